// Prints one line per case with a hash of what a quantizer wrote and measured, so that two machines
// (or two instruction sets) can be compared with `cmp`. Usage: quantize_bits [TABLE]; without a
// table, the names of those that this machine can run.
#define _POSIX_C_SOURCE 200112L
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingot_quantize.h"

enum { COLUMNS = 384, ROWS = 16, INT8 = 1, INT4, INT4Z, CB4, INT6, F32 = 1, F16, BF16 };

static uint64_t state = 88172645463325252ull;

static uint32_t next_random(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (uint32_t)(state >> 32);
}

/// A sum of uniform numbers, near enough to a Gaussian one, exact on every machine.
static float next_weight(void) {
  int32_t sum = 0;
  for (int i = 0; i < 6; i++) sum += (int32_t)(next_random() >> 16) - 32768;
  return (float)sum / 65536.0f;
}

/// Ordinary weights, and groups of zeros, of tiny numbers, with outliers, and of one sign.
static void fill(float *weights) {
  for (int row = 0; row < ROWS; row++)
    for (int column = 0; column < COLUMNS; column++) {
      const float w = next_weight();
      const int kind = (row + column / 64) % 8;
      weights[row * COLUMNS + column] = kind == 1   ? 0
                                        : kind == 2 ? w * 1e-12f
                                        : kind == 3 ? w * (column % 37 == 0 ? 40.0f : 1.0f)
                                        : kind == 4 ? w * w
                                                    : w * 0.02f;
    }
}

/// The weights in another type, cut off; f16 keeps what is below its normal numbers as zero.
static void *as_element(const float *weights, int32_t element) {
  uint8_t *bytes = malloc(ROWS * COLUMNS * 4);
  for (int i = 0; i < ROWS * COLUMNS; i++) {
    uint32_t bits;
    memcpy(&bits, weights + i, 4);
    const uint32_t magnitude = bits & 0x7FFFFFFF;
    uint16_t half = (uint16_t)(bits >> 16);
    if (element == F16)
      half = magnitude < 0x38800000
                 ? 0
                 : (uint16_t)((bits >> 16 & 0x8000) | (magnitude - 0x38000000) >> 13);
    if (element == F32) memcpy(bytes + 4 * i, &bits, 4);
    else memcpy(bytes + 2 * i, &half, 2);
  }
  return bytes;
}

static uint64_t hash(uint64_t value, const void *bytes, size_t count) {
  for (size_t i = 0; i < count; i++)
    value = (value ^ ((const uint8_t *)bytes)[i]) * 1099511628211ull;
  return value;
}

static size_t padded(size_t bytes) { return (bytes + 63) / 64 * 64; }

static void check(
    const ingot_quantizer *q, const float *weights, int32_t kind, int32_t group, int32_t element,
    int32_t search, int32_t rows, const float *importance) {
  const size_t groups = COLUMNS / group;
  ingot_quantize_task task = {
      .columns = COLUMNS,
      .kind = kind,
      .group = group,
      .element = element,
      .search = search,
      .importance = importance,
      .tensor_scale = kind == CB4 ? 37.5f : 1,
      .codebook = {-113, -88, -68, -52, -38, -25, -14, -3, 8, 19, 31, 44, 59, 77, 98, 127}};
  task.zero_offset = (int64_t)padded(groups * 16 * (kind == CB4 ? 1 : 2));
  task.code_offset = task.zero_offset + (int64_t)padded(kind == INT4Z ? groups * 16 : 0);
  const size_t bytes =
      (size_t)task.code_offset + COLUMNS * (kind == INT8 ? 16 : kind == INT6 ? 12 : 8);
  void *tile = 0, *scratch = 0;
  if (posix_memalign(&tile, 64, bytes) || posix_memalign(&scratch, 64, INGOT_QUANTIZE_SCRATCH(groups)))
    abort();
  memset(tile, 0xA5, bytes);
  void *source = as_element(weights, element);
  ingot_quantize_result result;
  q->quantize_tile(&task, source, rows, tile, scratch, &result);
  uint64_t value = 14695981039346656037ull;
  // After a fault nothing else is defined.
  if (result.fault == INGOT_QUANTIZE_FINE) {
    value = hash(value, tile, bytes);
    const double sums[] = {result.error, result.source, result.dequantized, result.product};
    value = hash(value, sums, sizeof sums);
    value = hash(value, &result.max_error, sizeof result.max_error);
  }
  const int32_t counts[] = {
      result.dead_rows, result.constant_rows, result.outlier_groups, result.vanished_groups,
      result.fault, result.fault_row, (int32_t)result.fault_group};
  value = hash(value, counts, sizeof counts);
  const float largest = q->largest(source, element, ROWS * COLUMNS - 3);
  value = hash(value, &largest, sizeof largest);
  printf(
      "kind %d group %d element %d search %d rows %d importance %d %016llx\n", kind, group, element,
      search, rows, importance != 0, (unsigned long long)value);
  free(tile), free(scratch), free(source);
}

int main(int count, char **arguments) {
  const ingot_quantizer *q = 0;
  for (int32_t i = 0; ingot_quantizer_available(i); i++) {
    if (count < 2) puts(ingot_quantizer_available(i)->name);
    else if (!strcmp(ingot_quantizer_available(i)->name, arguments[1]))
      q = ingot_quantizer_available(i);
  }
  if (count < 2) return 0;
  if (!q) return 3;
  static float weights[ROWS * COLUMNS], importance[COLUMNS];
  fill(weights);
  for (int i = 0; i < COLUMNS; i++) importance[i] = (float)(next_random() >> 24) / 16.0f;
  for (int32_t kind = INT8; kind <= INT6; kind++)
    for (int32_t group = kind == CB4 ? 16 : 32; group <= 128; group *= 2)
      for (int32_t element = F32; element <= BF16; element++)
        for (int32_t search = 0; search <= 1; search++) {
          check(q, weights, kind, group, element, search, 16, 0);
          check(q, weights, kind, group, element, search, 5, 0);
          check(q, weights, kind, group, element, search, 16, importance);
        }
  // A weight that is not finite, and one whose scale does not fit in fp16.
  for (int i = 0; i < 2; i++) {
    weights[7 * COLUMNS + 200] = i == 0 ? 1e30f : 1.0f / 0.0f;
    for (int32_t kind = INT8; kind <= INT6; kind++) check(q, weights, kind, 32, F32, 1, 16, 0);
  }
  return 0;
}
