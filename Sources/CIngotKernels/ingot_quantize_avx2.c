// Quantization with AVX2: sixteen virtual lanes in two registers.

#if defined(__x86_64__)

#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)

#include "ingot_quantize_common.h"

typedef float table_f32x16 __attribute__((ext_vector_type(16)));
typedef int32_t table_s32x16 __attribute__((ext_vector_type(16)));

/// The codebook and its thresholds as a binary search tree, every layer in one register.
#define QUANTIZE_TABLE
typedef struct quantize_table {
  /// Threshold 7; thresholds 3 and 11; 1, 5, 9 and 13; 0, 2, … 14; levels 0…7 and 8…15.
  __m256 layer0, layer1[2], layer2, layer3, levels[2];
} quantize_table;

INGOT_QUANTIZE_INLINE quantize_table quantize_make_table(const int8_t *codebook) {
  float t[16] = {0}, levels[16];
  for (int32_t k = 0; k < 15; k++) t[k] = (float)(codebook[k] + codebook[k + 1]) * 0.5f;
  for (int32_t k = 0; k < 16; k++) levels[k] = codebook[k];
  quantize_table table;
  table.layer0 = _mm256_set1_ps(t[7]);
  table.layer1[0] = _mm256_set1_ps(t[3]);
  table.layer1[1] = _mm256_set1_ps(t[11]);
  table.layer2 = _mm256_setr_ps(t[1], t[5], t[9], t[13], t[1], t[5], t[9], t[13]);
  table.layer3 = _mm256_setr_ps(t[0], t[2], t[4], t[6], t[8], t[10], t[12], t[14]);
  table.levels[0] = _mm256_loadu_ps(levels);
  table.levels[1] = _mm256_loadu_ps(levels + 8);
  return table;
}

/// Walks the tree for 8 lanes; also returns the outcome of the first comparison.
INGOT_QUANTIZE_INLINE __m256i quantize_walk(const quantize_table *table, __m256 u, __m256 *upper) {
  __m256 first = _mm256_cmp_ps(u, table->layer0, _CMP_GT_OQ);
  __m256 threshold = _mm256_blendv_ps(table->layer1[0], table->layer1[1], first);
  __m256i bit2 = _mm256_castps_si256(_mm256_cmp_ps(u, threshold, _CMP_GT_OQ));
  __m256i bit3 = _mm256_castps_si256(first);
  // Comparisons are −1 where true, so subtracting twice a mask and a mask counts in binary.
  __m256i node = _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_add_epi32(bit3, bit3));
  node = _mm256_sub_epi32(node, bit2);
  threshold = _mm256_permutevar8x32_ps(table->layer2, node);
  __m256i bit1 = _mm256_castps_si256(_mm256_cmp_ps(u, threshold, _CMP_GT_OQ));
  node = _mm256_sub_epi32(_mm256_add_epi32(node, node), bit1);
  threshold = _mm256_permutevar8x32_ps(table->layer3, node);
  __m256i bit0 = _mm256_castps_si256(_mm256_cmp_ps(u, threshold, _CMP_GT_OQ));
  *upper = first;
  return _mm256_sub_epi32(_mm256_add_epi32(node, node), bit0);
}

INGOT_QUANTIZE_INLINE table_f32x16 quantize_nearest(
    const quantize_table *table, table_f32x16 values) {
  __m256 u[2], level[2], upper;
  memcpy(u, &values, sizeof u);
  for (int32_t half = 0; half < 2; half++) {
    __m256i index = quantize_walk(table, u[half], &upper);
    level[half] = _mm256_blendv_ps(
        _mm256_permutevar8x32_ps(table->levels[0], index),
        _mm256_permutevar8x32_ps(table->levels[1], index), upper);
  }
  memcpy(&values, level, sizeof level);
  return values;
}

INGOT_QUANTIZE_INLINE table_s32x16 quantize_nearest_index(
    const quantize_table *table, table_f32x16 values) {
  __m256 u[2], upper;
  __m256i index[2];
  memcpy(u, &values, sizeof u);
  for (int32_t half = 0; half < 2; half++) index[half] = quantize_walk(table, u[half], &upper);
  table_s32x16 result;
  memcpy(&result, index, sizeof index);
  return result;
}

#define QUANTIZE_NAME "avx2"
#define QUANTIZE_SYMBOL ingot_quantizer_avx2
#include "ingot_quantize_vector.h"

#pragma clang attribute pop

#endif
