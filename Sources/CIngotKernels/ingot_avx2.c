// AVX2 with FMA: Intel since Haswell, AMD since Zen.
#if defined(__x86_64__)
#include <immintrin.h>

#include "ingot_common.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif

#define INGOT_NAME(op) ingot_##op##_avx2

INGOT_INLINE f32x16 ingot_load_half_avx2(const uint16_t *p) {
  const __m256 halves[2] = {
      _mm256_cvtph_ps(_mm_loadu_si128((const void *)p)),
      _mm256_cvtph_ps(_mm_loadu_si128((const void *)(p + 8)))};
  f32x16 v;
  memcpy(&v, halves, sizeof v);
  return v;
}

#define INGOT_LOAD_HALF(p) ingot_load_half_avx2(p)
#define INGOT_ACCUMULATORS 4
#define INGOT_GEMM_VECTORS 1
#define INGOT_GEMM_TOKENS 6
#include "ingot_vector.h"

#include "ingot_transpose_avx2.h"
#define INGOT_TRANSPOSE(in, out, stride) ingot_transpose_avx2(in, out, stride)

#include "ingot_elementwise.h"
#include "ingot_quantized_input.h"
#include "ingot_attention.h"
#include "ingot_dense.h"
#include "ingot_dots_avx2.h"
#include "ingot_gemm.h"

#include "ingot_block_avx2.h"
#include "ingot_blocks_avx2.h"
#include "ingot_direct_avx2.h"
#include "ingot_panel_avx2.h"

/// Most tokens that meet weights as they lie in memory, unpacked again for every eight: what unpacking costs
/// beside the memory that unpacked codes would take from the first-level cache.
static int64_t ingot_direct_tokens_avx2(const ingot_tiled *w) {
  return w->kind == INGOT_INT8 ? 24 : w->kind == INGOT_CB4 ? 8 : 12;
}

static void ingot_multiply_tiled_avx2(
    const ingot_tiled *w, const ingot_activations *x, int64_t first, int64_t end, float *out,
    void *scratch) {
  if (x->tokens <= ingot_direct_tokens_avx2(w))
    ingot_multiply_direct_avx2(w, x, first, end, out, scratch);
  else ingot_multiply_many_avx2(w, x, first, end, out, scratch);
}

static int32_t ingot_activation_order_avx2(int64_t tokens) {
  (void)tokens;
  return INGOT_BY_QUAD;
}

static int64_t ingot_int8_dot_rate_avx2(int64_t iterations) {
  volatile int32_t seed = 0x01010101;
  const __m256i a = _mm256_set1_epi32(seed), ones = _mm256_set1_epi16(1);
  __m256i sum[8];
  for (int k = 0; k < 8; k++) sum[k] = _mm256_set1_epi32(k);
  for (int64_t i = 0; i < iterations; i++) {
    INGOT_UNROLL
    for (int k = 0; k < 8; k++) {
      __m256i v = a;
      __asm__ volatile("" : "+x"(v));
      const __m256i pairs = _mm256_madd_epi16(_mm256_maddubs_epi16(v, a), ones);
      sum[k] = _mm256_add_epi32(sum[k], pairs);
    }
  }
  __m256i all = sum[0];
  for (int k = 1; k < 8; k++) all = _mm256_add_epi32(all, sum[k]);
  volatile int32_t result = _mm256_extract_epi32(all, 0);
  (void)result;
  return iterations * 8 * 32;
}

static int64_t ingot_f32_fma_rate_avx2(int64_t iterations) {
  volatile float seed = 0.999f;
  const __m256 a = _mm256_set1_ps(seed);
  __m256 sum[12];
  for (int k = 0; k < 12; k++) sum[k] = _mm256_set1_ps((float)k);
  for (int64_t i = 0; i < iterations; i++) {
    INGOT_UNROLL
    for (int k = 0; k < 12; k++) {
      sum[k] = _mm256_fmadd_ps(sum[k], a, a);
      __asm__ volatile("" : "+x"(sum[k]));
    }
  }
  __m256 all = sum[0];
  for (int k = 1; k < 12; k++) all = _mm256_add_ps(all, sum[k]);
  volatile float result = _mm256_cvtss_f32(all);
  (void)result;
  return iterations * 12 * 8;
}

const ingot_kernels ingot_kernels_avx2 = {
    .name = "avx2",
    .activation_order = ingot_activation_order_avx2,
    .quantize = ingot_quantize_f32_s8_avx2,
    .multiply_tiled = ingot_multiply_tiled_avx2,
    .shared_tokens = 4,
    .packed_tokens = 32,
    .packed_tokens_f32 = 24,
    .unzip = ingot_unzip_f32_avx2,
    .multiply_dense = ingot_multiply_dots_avx2,
    .pack = ingot_pack_f32_avx2,
    .multiply_dense_packed = ingot_multiply_dense_packed_avx2,
    .multiply_dequantized = ingot_multiply_dequantized_avx2,
    .rms_norm = ingot_rms_norm_f32_avx2,
    .head_norm_rope = ingot_head_norm_rope_f32_avx2,
    .swiglu = ingot_swiglu_f32_avx2,
    .add = ingot_add_f32_avx2,
    .softmax_summary = ingot_softmax_summary_f32_avx2,
    .cache_store = ingot_cache_store_f32_avx2,
    .attend = ingot_attend_avx2,
    .int8_dot_rate = ingot_int8_dot_rate_avx2,
    .f32_fma_rate = ingot_f32_fma_rate_avx2,
};

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
