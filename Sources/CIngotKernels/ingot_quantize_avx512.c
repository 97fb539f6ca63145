// Quantization with AVX-512 F, BW, DQ and VL: sixteen lanes in one register.

#if defined(__x86_64__)

#include <immintrin.h>

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))), apply_to = function)

#include "ingot_quantize_common.h"

typedef float table_f32x16 __attribute__((ext_vector_type(16)));
typedef int32_t table_s32x16 __attribute__((ext_vector_type(16)));

/// The codebook and its thresholds as a binary search tree: each layer is the thresholds shifted so
/// that the index reached so far finds the next one.
#define QUANTIZE_TABLE
typedef struct quantize_table {
  __m512 layers[4], levels;
} quantize_table;

INGOT_QUANTIZE_INLINE quantize_table quantize_make_table(const int8_t *codebook) {
  float t[24] = {0}, levels[16];
  for (int32_t k = 0; k < 15; k++) t[k] = (float)(codebook[k] + codebook[k + 1]) * 0.5f;
  for (int32_t k = 0; k < 16; k++) levels[k] = codebook[k];
  quantize_table table;
  table.layers[0] = _mm512_set1_ps(t[7]);
  table.layers[1] = _mm512_loadu_ps(t + 3);
  table.layers[2] = _mm512_loadu_ps(t + 1);
  table.layers[3] = _mm512_loadu_ps(t);
  table.levels = _mm512_loadu_ps(levels);
  return table;
}

INGOT_QUANTIZE_INLINE table_s32x16 quantize_nearest_index(
    const quantize_table *table, table_f32x16 values) {
  __m512 u = __builtin_bit_cast(__m512, values);
  __mmask16 above = _mm512_cmp_ps_mask(u, table->layers[0], _CMP_GT_OQ);
  __m512i index = _mm512_maskz_set1_epi32(above, 8);
#pragma clang loop unroll(full)
  for (int32_t layer = 1; layer < 4; layer++) {
    __m512 threshold = _mm512_permutexvar_ps(index, table->layers[layer]);
    above = _mm512_cmp_ps_mask(u, threshold, _CMP_GT_OQ);
    index = _mm512_mask_or_epi32(index, above, index, _mm512_set1_epi32(8 >> layer));
  }
  return __builtin_bit_cast(table_s32x16, index);
}

INGOT_QUANTIZE_INLINE table_f32x16 quantize_nearest(
    const quantize_table *table, table_f32x16 values) {
  __m512i index = __builtin_bit_cast(__m512i, quantize_nearest_index(table, values));
  return __builtin_bit_cast(table_f32x16, _mm512_permutexvar_ps(index, table->levels));
}

#define QUANTIZE_NAME "avx512"
#define QUANTIZE_SYMBOL ingot_quantizer_avx512
#include "ingot_quantize_vector.h"

#pragma clang attribute pop

#endif
