// Quantizing weights: one tile of 16 rows at a time, from row-major source to bytes of the file.
//
// `ingot_quantize_scalar.c` is the definition; every other table gives the same bytes and the same
// statistics. No table uses fused multiply-add: its result must not depend on having it.
#ifndef INGOT_QUANTIZE_H
#define INGOT_QUANTIZE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// What went wrong in a tile.
enum {
  INGOT_QUANTIZE_FINE = 0,
  /// A weight is NaN or infinite.
  INGOT_QUANTIZE_NOT_FINITE = 1,
  /// A group's scale exceeds binary16.
  INGOT_QUANTIZE_OVERFLOW = 2
};

/// Bytes of scratch memory, aligned to 64, for tensors of `groups` groups in a row.
#define INGOT_QUANTIZE_SCRATCH(groups) (32768 + 64 * (groups))

/// How one tensor is quantized; `kind` and `element` are the values of `QuantizationScheme.Kind`
/// and `ElementType` in the Tensors module.
typedef struct ingot_quantize_task {
  int64_t columns;
  /// Offsets of the planes in a tile; see `TileLayout`.
  int64_t zero_offset;
  int64_t code_offset;
  /// One weight ≥ 0 of the squared error per column, or null for equal weights.
  const float *importance;
  int32_t kind;
  int32_t group;
  int32_t element;
  /// 0: scales from each group's largest weight; 1: scales of least squared error.
  int32_t search;
  /// cb4 only: the ascending codebook and the power that all group scales share (else 1).
  float tensor_scale;
  int8_t codebook[16];
} ingot_quantize_task;

/// What quantizing one tile did, padding rows not counted.
typedef struct ingot_quantize_result {
  /// Sums over the weights w and the dequantized weights v: (w − v)², w², v², w·v.
  double error;
  double source;
  double dequantized;
  double product;
  /// Largest |w − v|.
  float max_error;
  /// Rows of zeros, and rows of one other value.
  int32_t dead_rows;
  int32_t constant_rows;
  /// Groups whose largest weight exceeds six times the root mean square of their row.
  int32_t outlier_groups;
  /// Groups with weights other than zero whose scale is stored as zero.
  int32_t vanished_groups;
  /// Ticks of the processor's clock in the search for scales and in encoding, of a sample of the
  /// groups: for their proportion. Zero where there is no such clock.
  int64_t search_ticks;
  int64_t encode_ticks;
  /// The first fault in order of groups, then rows; nothing else is valid when there is one.
  int32_t fault;
  int32_t fault_row;
  int64_t fault_group;
} ingot_quantize_result;

typedef struct ingot_quantizer {
  const char *name;
  /// Quantizes `rows` (1…16) rows of `task->columns` weights at `source`, which may be unaligned.
  /// Every byte of the tile is written.
  void (*quantize_tile)(
      const ingot_quantize_task *task, const void *source, int32_t rows, uint8_t *tile,
      void *scratch, ingot_quantize_result *result);
  /// The largest magnitude of `count` weights; infinite or NaN when one of them is.
  float (*largest)(const void *source, int32_t element, int64_t count);
} ingot_quantizer;

/// The tables this machine can run, best first, the scalar one last; null beyond it.
const ingot_quantizer *ingot_quantizer_available(int32_t index);

#ifdef __cplusplus
}
#endif

#endif
