// AVX-512 with VNNI: Intel since Ice Lake, AMD since Zen 4.
#if defined(__x86_64__)
#include <immintrin.h>

#include "ingot_common.h"

#if defined(__clang__)
#pragma clang attribute push( \
    __attribute__((target( \
        "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma,f16c"))), \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma,f16c")
#endif

#define INGOT_NAME(op) ingot_##op##_avx512vnni
#define INGOT_LOAD_HALF(p) ((f32x16)_mm512_cvtph_ps(_mm256_loadu_si256((const void *)(p))))
#define INGOT_ACCUMULATORS 16
#include "ingot_vector.h"

#include "ingot_elementwise.h"
#include "ingot_quantized_input.h"
#include "ingot_attention.h"
#include "ingot_dense.h"
#include "ingot_transpose_x86.h"
#include "ingot_unpack_x86.h"


static void ingot_unpack_signed_avx512vnni(
    const ingot_tiled *w, const uint8_t *tile, int64_t first, int64_t count, int8_t *codes) {
  ingot_unpack(w, tile, first, count, 0, (uint8_t *)codes, 0);
}

#define INGOT_GEMM_VECTORS 2
#define INGOT_GEMM_TOKENS 12
#define INGOT_TRANSPOSE ingot_transpose_x86
#define INGOT_UNPACK_SIGNED ingot_unpack_signed_avx512vnni
#include "ingot_gemm.h"

#include "ingot_quad_vnni.h"
#include "ingot_join_vnni.h"
#include "ingot_exact_vnni.h"
#include "ingot_stream_vnni.h"
#include "ingot_panel_vnni.h"
#include "ingot_block_vnni.h"
#include "ingot_panels_vnni.h"

void ingot_multiply_tiled_avx512vnni(
    const ingot_tiled *w, const ingot_activations *x, int64_t first, int64_t end, float *out,
    void *scratch) {
  if (x->tokens <= 0) return;
  if (x->tokens <= STREAM_TOKENS) {
    ingot_multiply_few(w, x, first, end, out);
  } else {
    ingot_multiply_panels(w, x, first, end, out, scratch);
  }
}

int32_t ingot_activation_order_avx512vnni(int64_t tokens) {
  (void)tokens;
  return INGOT_BY_QUAD;
}

static int64_t ingot_int8_dot_rate_avx512vnni(int64_t iterations) {
  __m512i sum[12];
  volatile int32_t seed = 0x01010101;
  const __m512i a = _mm512_set1_epi32(seed), b = _mm512_set1_epi32(seed);
  INGOT_UNROLL
  for (int k = 0; k < 12; k++) sum[k] = _mm512_set1_epi32(k);
  for (int64_t i = 0; i < iterations; i++)
    INGOT_UNROLL
    for (int k = 0; k < 12; k++) {
      sum[k] = _mm512_dpbusd_epi32(sum[k], a, b);
      __asm__ volatile("" : "+v"(sum[k]));
    }
  volatile int32_t result = 0;
  INGOT_UNROLL
  for (int k = 0; k < 12; k++) result += _mm512_reduce_add_epi32(sum[k]);
  return iterations * 12 * 64;
}

static int64_t ingot_f32_fma_rate_avx512vnni(int64_t iterations) {
  __m512 sum[12];
  volatile float seed = 0.999f;
  const __m512 a = _mm512_set1_ps(seed);
  INGOT_UNROLL
  for (int k = 0; k < 12; k++) sum[k] = _mm512_set1_ps((float)k);
  for (int64_t i = 0; i < iterations; i++)
    INGOT_UNROLL
    for (int k = 0; k < 12; k++) {
      sum[k] = _mm512_fmadd_ps(sum[k], a, a);
      __asm__ volatile("" : "+v"(sum[k]));
    }
  volatile float result = 0;
  INGOT_UNROLL
  for (int k = 0; k < 12; k++) result += _mm512_reduce_add_ps(sum[k]);
  return iterations * 12 * 16;
}

const ingot_kernels ingot_kernels_avx512vnni = {
    .name = "avx512vnni",
    .activation_order = ingot_activation_order_avx512vnni,
    .quantize = ingot_quantize_avx512vnni,
    .multiply_tiled = ingot_multiply_tiled_avx512vnni,
    .shared_tokens = 8,
    .packed_tokens = 128,
    .packed_tokens_f32 = 64,
    .unzip = ingot_unzip_f32_avx512vnni,
    .multiply_dense = ingot_multiply_dense_dots_avx512vnni,
    .pack = ingot_pack_f32_avx512vnni,
    .multiply_dense_packed = ingot_multiply_dense_packed_avx512vnni,
    .multiply_dequantized = ingot_multiply_dequantized_avx512vnni,
    .rms_norm = ingot_rms_norm_f32_avx512vnni,
    .head_norm_rope = ingot_head_norm_rope_f32_avx512vnni,
    .swiglu = ingot_swiglu_f32_avx512vnni,
    .add = ingot_add_f32_avx512vnni,
    .softmax_summary = ingot_softmax_summary_f32_avx512vnni,
    .cache_store = ingot_cache_store_f32_avx512vnni,
    .attend = ingot_attend_avx512vnni,
    .int8_dot_rate = ingot_int8_dot_rate_avx512vnni,
    .f32_fma_rate = ingot_f32_fma_rate_avx512vnni,
};

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
