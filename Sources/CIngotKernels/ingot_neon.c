// AArch64 NEON with the dot product instructions (Armv8.2 DotProd: Apple A11/M1, Cortex-A76, and
// Neoverse N1 on). An atom is four q registers of four rows each; `sdot` by lane takes four
// activations of one token, and one q register of activations holds four tokens.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "ingot_common.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("arch=armv8.2-a+dotprod")
#endif

#define INGOT_NAME(op) ingot_##op##_neon
#define INGOT_ACCUMULATORS 4
#define INGOT_GEMM_VECTORS 1
#define INGOT_GEMM_TOKENS 4
#include "ingot_vector.h"

#include "ingot_elementwise.h"
#include "ingot_quantized_input.h"
#include "ingot_attention.h"
#include "ingot_dense.h"
#include "ingot_gemm.h"
#include "ingot_unpack_neon.h"

/// Vectors of a group's scales.
enum { NEON_SCALES = 4 };

/// Four rows' sums for four tokens.
typedef struct neon_sums {
  float32x4_t of[4][4];
} neon_sums;

/// One group of unpacked codes: `dots[row quarter][token]` += codes · activations.
INGOT_INLINE void ingot_neon_atom(
    const int8x16_t *codes, int8x16_t activations, int32x4_t dots[4][4]) {
  INGOT_UNROLL
  for (int q = 0; q < 4; q++) {
    dots[q][0] = vdotq_laneq_s32(dots[q][0], codes[q], activations, 0);
    dots[q][1] = vdotq_laneq_s32(dots[q][1], codes[q], activations, 1);
    dots[q][2] = vdotq_laneq_s32(dots[q][2], codes[q], activations, 2);
    dots[q][3] = vdotq_laneq_s32(dots[q][3], codes[q], activations, 3);
  }
}

/// One tile's unpacked panel × four tokens, added to `out[token][16 rows]`.
///
/// - first_column, columns: whole activation blocks (the last may be short).
INGOT_INLINE void ingot_neon_quad(
    const ingot_tiled *w, const int8_t *const *codes, const float32x4_t *scales,
    const ingot_activations *x, int64_t token, int64_t first_column, int64_t columns, float *out,
    int is_exact) {
  const int64_t group = w->group;
  const int8_t *a = x->codes + token * x->token_stride + 4 * first_column;
  int64_t index = 0;
  for (int64_t start = 0; start < columns; start += INGOT_BLOCK) {
    const int64_t end = start + INGOT_BLOCK < columns ? start + INGOT_BLOCK : columns;
    neon_sums sums;
    for (int q = 0; q < 4; q++)
      for (int t = 0; t < 4; t++) sums.of[q][t] = vdupq_n_f32(0);
    for (int64_t column = start; column < end; column += group, index++) {
      int32x4_t dots[4][4];
      INGOT_UNROLL
      for (int q = 0; q < 4; q++)
        dots[q][0] = dots[q][1] = dots[q][2] = dots[q][3] = vdupq_n_s32(0);
      const int8_t *p = codes[index];
      for (int64_t i = 0; i < group / 4; i++, p += 64, a += 16) {
        const int8x16_t atom[4] = {
            vld1q_s8(p), vld1q_s8(p + 16), vld1q_s8(p + 32), vld1q_s8(p + 48)};
        ingot_neon_atom(atom, vld1q_s8(a), dots);
      }
      for (int q = 0; q < 4; q++)
        for (int t = 0; t < 4; t++)
          sums.of[q][t] =
              ingot_neon_join(dots[q][t], scales[4 * index + q], sums.of[q][t], is_exact);
    }
    const float *token_scales =
        x->scales + (first_column + start) / INGOT_BLOCK * x->padded_tokens + token;
    for (int t = 0; t < 4; t++)
      for (int q = 0; q < 4; q++) {
        float *o = out + t * INGOT_LANES + 4 * q;
        const float32x4_t sum = ingot_neon_block_sum(sums.of[q][t], is_exact);
        vst1q_f32(o, vfmaq_n_f32(vld1q_f32(o), sum, token_scales[t]));
      }
  }
}

/// One group: int8 codes where they are mapped, others in `room`.
static const int8_t *ingot_neon_group(
    const ingot_tiled *w, const uint8_t *tile, int64_t index, int8_t *room, float32x4_t *scales) {
  ingot_neon_scales(w, tile, index, scales);
  return ingot_neon_unpack(w, tile, index, room);
}

#include "ingot_tiles_neon.h"

void ingot_multiply_tiled_neon(
    const ingot_tiled *w, const ingot_activations *x, int64_t first, int64_t end, float *out,
    void *scratch) {
  ingot_neon_tiles(w, x, first, end, out, scratch);
}

static int32_t ingot_activation_order_neon(int64_t tokens) {
  (void)tokens;
  return INGOT_BY_QUAD;
}

static int64_t ingot_int8_dot_rate_neon(int64_t iterations) {
  volatile int8_t seed = 1;
  const int8x16_t a = vdupq_n_s8(seed);
  int32x4_t sum[12];
  for (int k = 0; k < 12; k++) sum[k] = vdupq_n_s32(k);
  for (int64_t i = 0; i < iterations; i++) {
    INGOT_UNROLL
    for (int k = 0; k < 12; k++) {
      sum[k] = vdotq_s32(sum[k], a, a);
      __asm__ volatile("" : "+w"(sum[k]));
    }
  }
  volatile int32_t result = 0;
  for (int k = 0; k < 12; k++) result += vaddvq_s32(sum[k]);
  return iterations * 12 * 16;
}

static int64_t ingot_f32_fma_rate_neon(int64_t iterations) {
  volatile float seed = 0.999f;
  const float32x4_t a = vdupq_n_f32(seed);
  float32x4_t sum[12];
  for (int k = 0; k < 12; k++) sum[k] = vdupq_n_f32((float)k);
  for (int64_t i = 0; i < iterations; i++) {
    INGOT_UNROLL
    for (int k = 0; k < 12; k++) {
      sum[k] = vfmaq_f32(sum[k], a, a);
      __asm__ volatile("" : "+w"(sum[k]));
    }
  }
  volatile float result = 0;
  for (int k = 0; k < 12; k++) result += vaddvq_f32(sum[k]);
  return iterations * 12 * 4;
}

const ingot_kernels ingot_kernels_neon = {
    .name = "neon",
    .activation_order = ingot_activation_order_neon,
    .quantize = ingot_quantize_f32_s8_neon,
    .multiply_tiled = ingot_multiply_tiled_neon,
    .shared_tokens = 8,
    .packed_tokens = 32,
    .packed_tokens_f32 = 64,
    .unzip = ingot_unzip_f32_neon,
    .multiply_dense = ingot_multiply_dense_dots_neon,
    .pack = ingot_pack_f32_neon,
    .multiply_dense_packed = ingot_multiply_dense_packed_neon,
    .multiply_dequantized = ingot_multiply_dequantized_neon,
    .rms_norm = ingot_rms_norm_f32_neon,
    .head_norm_rope = ingot_head_norm_rope_f32_neon,
    .swiglu = ingot_swiglu_f32_neon,
    .add = ingot_add_f32_neon,
    .softmax_summary = ingot_softmax_summary_f32_neon,
    .cache_store = ingot_cache_store_f32_neon,
    .attend = ingot_attend_neon,
    .int8_dot_rate = ingot_int8_dot_rate_neon,
    .f32_fma_rate = ingot_f32_fma_rate_neon,
};

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
