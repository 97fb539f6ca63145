// The arithmetic of Ingot's runtime, as one table of functions per instruction set.
//
// No instruction set appears in this header. `ingot_scalar.c` is the definition of every quantized
// operation; each other table must give the same bits, for any split of the work.
//
// A kernel cannot fail: the caller checks shapes, and any bit pattern in weights, scales or inputs
// gives some result without trapping.
#ifndef INGOT_KERNELS_H
#define INGOT_KERNELS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// How weights are quantized; the values of `QuantizationScheme.Kind`.
enum { INGOT_INT8 = 1, INGOT_INT4 = 2, INGOT_INT4Z = 3, INGOT_CB4 = 4, INGOT_INT6 = 5 };

/// Types of dense weights; the values of `ElementType`.
enum { INGOT_F32 = 1, INGOT_F16 = 2, INGOT_BF16 = 3 };

/// Types of cached keys and values.
enum { INGOT_CACHE_F32 = 0, INGOT_CACHE_F16 = 1, INGOT_CACHE_INT8 = 2 };

enum {
  /// Output rows of one weight tile, and virtual lanes of every elementwise operation.
  INGOT_LANES = 16,
  /// Columns that share one activation scale.
  INGOT_BLOCK = 128,
  /// Columns whose even ones are put before the odd ones where bf16 weights meet few tokens.
  INGOT_UNZIPPED = 32,
  /// Bytes of scratch memory, aligned to 64, that a multiplication may use.
  INGOT_MULTIPLY_SCRATCH = 1 << 20,
  /// Queries (tokens × grouped heads) that attention handles together.
  INGOT_ATTENTION_QUERIES = 8
};

/// A quantized matrix as it lies in the file; see `TileLayout` in the Tensors module.
typedef struct ingot_tiled {
  const uint8_t *payload;
  int64_t rows;
  int64_t columns;
  int64_t tile_bytes;
  int64_t zero_offset;
  int64_t code_offset;
  int32_t kind;
  int32_t group;
} ingot_tiled;

/// How the codes of quantized activations are ordered; each table states the one it wants.
enum {
  /// `[token][column]`, tokens `token_stride` bytes apart.
  INGOT_BY_TOKEN = 0,
  /// `[token / 4][column / 4][token % 4][column % 4]`, quads `4 * token_stride` bytes apart.
  INGOT_BY_QUAD = 1,
  /// `[token / 16][column / 64][token % 16][column % 64]`, 16 tokens `16 * token_stride` bytes
  /// apart; `token_stride` is a multiple of 64.
  INGOT_BY_TILE = 2
};

/// Activations quantized to int8 in ±127 with one scale per token and block of 128 columns.
typedef struct ingot_activations {
  int8_t *codes;
  /// `[block][padded_tokens]`
  float *scales;
  /// −128 · Σ codes for each group, `[group][padded_tokens]`, one plane per group size 16 << i;
  /// null where nobody asks for that size. Unsigned × signed dot products start there; only
  /// `INGOT_BY_QUAD` has them.
  int32_t *offsets[4];
  int64_t tokens;
  int64_t columns;
  int64_t token_stride;
  int64_t padded_tokens;
  int32_t order;
} ingot_activations;

/// Tokens and columns of row-major numbers.
typedef struct ingot_region {
  int64_t first_token;
  int64_t end_token;
  int64_t first_column;
  int64_t end_column;
} ingot_region;

/// One token sees cache entries [0, prefix_end), and those of [start, end) that are not in
/// [hole_start, hole_end).
typedef struct ingot_span {
  int32_t prefix_end;
  int32_t start;
  int32_t end;
  int32_t hole_start;
  int32_t hole_end;
} ingot_span;

/// One layer of the key/value cache. `capacity` is a multiple of 16.
///
/// Keys: `[head][entry / 16][dimension][entry % 16]`; values: `[head][entry][value_stride]` with
/// zeros from `dimension` to `value_stride`. int8 has one scale per head and entry,
/// `[head][entry]`, for keys and for values.
typedef struct ingot_cache {
  void *keys;
  void *values;
  float *key_scales;
  float *value_scales;
  int64_t capacity;
  int64_t heads;
  int64_t dimension;
  int64_t value_stride;
  int32_t format;
} ingot_cache;

typedef struct ingot_attention {
  ingot_cache cache;
  /// `[tokens][query_heads][dimension]`
  const float *queries;
  float *output;
  const ingot_span *spans;
  int64_t query_heads;
  /// 1 / sqrt(dimension)
  float scale;
} ingot_attention;

typedef struct ingot_summary {
  int64_t argmax;
  float maximum;
  float log_sum_exp;
} ingot_summary;

typedef struct ingot_kernels {
  const char *name;

  // Quantized products.

  /// The order of codes that `multiply_tiled` wants for this many tokens.
  int32_t (*activation_order)(int64_t tokens);
  // Four functions turn activations into what products want. Each takes a region of row-major `x`: whole
  // fours of tokens, of which some may lie beyond the last and become zeros, and whole blocks of 128
  // columns, or up to the last one.

  /// Quantizes a region.
  void (*quantize)(const float *x, ingot_region region, const ingot_activations *out);
  /// Rows of tiles [first, end) for every token: `out[token * rows + row]`.
  void (*multiply_tiled)(
      const ingot_tiled *weights, const ingot_activations *x, int64_t first, int64_t end,
      float *out, void *scratch);

  /// Tokens that meet quantized weights from memory in little more time than one does.
  int64_t shared_tokens;

  // Float products. Their rounding may differ between tables.

  /// For fewer tokens than this, weights of 16 bits are multiplied faster by `multiply_dense`.
  int64_t packed_tokens;
  /// The same for weights of 32 bits.
  int64_t packed_tokens_f32;
  /// Puts a region in the order `[token][column / 32]`, of each 32 columns the even ones and then the odd
  /// ones, with zeros beyond the last column; nothing beyond the last token.
  void (*unzip)(const float *x, ingot_region region, int64_t tokens, int64_t columns, float *out);
  /// Rows [first, end) of row-major weights with few tokens of f32 `x`, unzipped for bf16 weights, else
  /// row-major: `out[token * rows + row]`.
  void (*multiply_dense)(
      const void *weights, int32_t type, int64_t rows, int64_t columns, int64_t first,
      int64_t end, const float *x, int64_t tokens, float *out);
  /// Puts a region in the order `[token / 4][column][token % 4]`.
  void (*pack)(const float *x, ingot_region region, int64_t tokens, int64_t columns, float *out);
  /// The same product with many tokens of packed `x`; tokens padded with zeros to whole 16.
  void (*multiply_dense_packed)(
      const void *weights, int32_t type, int64_t rows, int64_t columns, int64_t first,
      int64_t end, const float *x, int64_t tokens, float *out, void *scratch);
  /// Null without a matrix unit for bf16. Splits the numbers of a region into three of bf16 that add up to
  /// it, in the order that `multiply_bf16` wants for `tokens` tokens: `[token / 16][column / 32]`, then
  /// tiles of each part, columns padded with zeros to whole 32.
  void (*split_bf16)(
      const float *x, ingot_region region, int64_t tokens, int64_t columns, uint16_t *out);
  /// Rows [first, end) of row-major bf16 weights with split `x`, its tokens padded to whole 16; null as
  /// `split_bf16`.
  void (*multiply_bf16)(
      const void *weights, int64_t rows, int64_t columns, int64_t first, int64_t end,
      const uint16_t *x, int64_t tokens, float *out, void *scratch);
  /// Rows of tiles [first, end), dequantized, with packed f32 `x`.
  void (*multiply_dequantized)(
      const ingot_tiled *weights, int64_t first, int64_t end, const float *x, int64_t tokens,
      float *out, void *scratch);

  // Elementwise operations and reductions, the same bits in every table.

  void (*rms_norm)(
      const float *x, const float *weight, float epsilon, int64_t width, float *out);
  /// RMSNorm of one head, then rotary embedding of halves with `dimension / 2` cosines and sines.
  void (*head_norm_rope)(
      float *x, const float *weight, float epsilon, int64_t dimension, const float *cosines,
      const float *sines);
  void (*swiglu)(float *gate, const float *up, int64_t count);
  void (*add)(float *x, const float *y, int64_t count);
  void (*softmax_summary)(const float *logits, int64_t count, ingot_summary *out);
  /// Stores the key of one token and head, its value, or both (the other is null), `[dimension]` each,
  /// as entry `index`.
  void (*cache_store)(
      const ingot_cache *cache, int64_t head, int64_t index, const float *key, const float *value);
  /// Attention of tokens [first, end) over one key/value head; `scratch` holds
  /// `ingot_attention_scratch` bytes.
  void (*attend)(
      const ingot_attention *task, int64_t head, int64_t first, int64_t end, void *scratch);

  // Rates of the machine; each returns the number of operations it did.

  /// Multiply-adds of `iterations` rounds of the int8 dot product that `multiply_tiled` uses.
  int64_t (*int8_dot_rate)(int64_t iterations);
  /// Multiply-adds of `iterations` rounds of f32 FMA.
  int64_t (*f32_fma_rate)(int64_t iterations);
} ingot_kernels;

/// The tables this machine can run, best first; null beyond the last.
const ingot_kernels *ingot_kernels_available(int32_t index);

/// Bytes of scratch that `attend` needs when at most `entries` cache entries are visible.
int64_t ingot_attention_scratch(int64_t entries, int64_t dimension);

/// The weights of one row as f32, by the definition.
void ingot_dequantize_row(const ingot_tiled *weights, int64_t row, float *out);
/// `count` dense weights of any alignment as f32.
void ingot_dense_to_f32(const void *weights, int32_t type, int64_t count, float *out);

/// Reads `bytes` bytes (a multiple of 256) and returns something that depends on all of them.
uint64_t ingot_read_memory(const void *memory, int64_t bytes);

/// Cores that this process may run on.
int32_t ingot_available_cores(void);

/// Tells the processor that this is a spin loop.
static inline void ingot_spin_hint(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

#ifdef __cplusplus
}
#endif

#endif
