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

/// The signed codes that nibbles stand for.
INGOT_INLINE int8x16_t ingot_neon_levels(const ingot_tiled *w) {
  if (w->kind == INGOT_CB4) return vld1q_s8((const int8_t *)w->payload);
  static const int8_t counting[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const int8x16_t q = vld1q_s8(counting);
  return w->kind == INGOT_INT4 ? vsubq_s8(q, vdupq_n_s8(8)) : q;
}

/// The zero points of rows 4i … 4i + 3, each in the four bytes of its row; zeros but for int4z.
INGOT_INLINE int8x16_t ingot_neon_zeros(
    const ingot_tiled *w, const uint8_t *tile, int64_t group, int i) {
  if (w->kind != INGOT_INT4Z) return vdupq_n_s8(0);
  static const uint8_t repeat[16] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3};
  const uint8x16_t zeros = vld1q_u8(tile + w->zero_offset + 16 * group);
  return vreinterpretq_s8_u8(
      vqtbl1q_u8(zeros, vaddq_u8(vld1q_u8(repeat), vdupq_n_u8((uint8_t)(4 * i)))));
}

/// Signed codes of one group, `[atom][16 rows][4]`, at `codes`; int8 needs no copy.
static const int8_t *ingot_neon_unpack(
    const ingot_tiled *w, const uint8_t *tile, int64_t group_index, int8_t *codes) {
  const int64_t group = w->group;
  if (w->kind == INGOT_INT8)
    return (const int8_t *)tile + w->code_offset + group_index * group * INGOT_LANES;
  const uint8_t *p = tile + w->code_offset + ingot_code_bytes(w, group_index * group);
  if (w->kind == INGOT_INT6) {
    ingot_unpack_int6(p, group, 32, (uint8_t *)codes);
    return codes;
  }
  const int8x16_t levels = ingot_neon_levels(w);
  int8x16_t zeros[4];
  for (int i = 0; i < 4; i++) zeros[i] = ingot_neon_zeros(w, tile, group_index, i);
  for (int64_t b = 0; b < group / 8; b++)
    for (int i = 0; i < 4; i++) {
      const uint8x16_t both = vld1q_u8(p + b * 64 + 16 * i);
      const int8x16_t near_q = vqtbl1q_s8(levels, vandq_u8(both, vdupq_n_u8(15)));
      const int8x16_t far_q = vqtbl1q_s8(levels, vshrq_n_u8(both, 4));
      vst1q_s8(codes + b * 64 + 16 * i, vsubq_s8(near_q, zeros[i]));
      vst1q_s8(codes + (group / 8 + b) * 64 + 16 * i, vsubq_s8(far_q, zeros[i]));
    }
  return codes;
}

/// Group scales of 16 rows: floats, or the bits of integers where sums are exact.
INGOT_INLINE void ingot_neon_scales(
    const ingot_tiled *w, const uint8_t *tile, int64_t index, float32x4_t *scales) {
  if (w->kind == INGOT_CB4) {
    const int8x16_t codes = vld1q_s8((const int8_t *)tile + 16 * index);
    const int16x8_t mask = vdupq_n_s16(INGOT_S1E2M5_MASK);
    const uint16x8_t low =
        vreinterpretq_u16_s16(vandq_s16(vshll_n_s8(vget_low_s8(codes), 5), mask));
    const uint16x8_t high =
        vreinterpretq_u16_s16(vandq_s16(vshll_n_s8(vget_high_s8(codes), 5), mask));
    scales[0] = vcvt_f32_f16(vreinterpret_f16_u16(vget_low_u16(low)));
    scales[1] = vcvt_f32_f16(vreinterpret_f16_u16(vget_high_u16(low)));
    scales[2] = vcvt_f32_f16(vreinterpret_f16_u16(vget_low_u16(high)));
    scales[3] = vcvt_f32_f16(vreinterpret_f16_u16(vget_high_u16(high)));
    for (int i = 0; i < 4 && ingot_is_exact(w); i++)
      scales[i] = vreinterpretq_f32_s32(vcvtq_s32_f32(vmulq_n_f32(scales[i], 0x1p19f)));
    return;
  }
  const uint8_t *p = tile + 32 * index;
  for (int i = 0; i < 4; i++)
    scales[i] = vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p + 8 * i)));
}

/// One group of products joins the others of its block.
INGOT_INLINE float32x4_t ingot_neon_join(
    int32x4_t dot, float32x4_t scale, float32x4_t sum, int is_exact) {
  if (!is_exact) return vfmaq_f32(sum, vcvtq_f32_s32(dot), scale);
  return vreinterpretq_f32_s32(
      vmlaq_s32(vreinterpretq_s32_f32(sum), dot, vreinterpretq_s32_f32(scale)));
}

/// A block's sum as a float.
INGOT_INLINE float32x4_t ingot_neon_block_sum(float32x4_t sum, int is_exact) {
  return is_exact ? vcvtq_f32_s32(vreinterpretq_s32_f32(sum)) : sum;
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

enum { NEON_COLUMNS = 512, NEON_TOKENS = 512 };

/// One tile × tokens [first, end), panel by panel along the columns.
static void ingot_neon_tile(
    const ingot_tiled *w, const uint8_t *tile, const ingot_activations *x, int64_t first,
    int64_t end, float *sums, int8_t *unpacked) {
  const int8_t *codes[NEON_COLUMNS / 16];
  float32x4_t scales[NEON_COLUMNS / 16 * 4];
  memset(sums, 0, (size_t)((end - first + 3) / 4 * 4 * INGOT_LANES) * sizeof *sums);
  for (int64_t column = 0; column < w->columns; column += NEON_COLUMNS) {
    const int64_t rest = w->columns - column;
    const int64_t columns = rest < NEON_COLUMNS ? rest : NEON_COLUMNS;
    for (int64_t g = 0; g < columns / w->group; g++) {
      const int64_t index = column / w->group + g;
      codes[g] = ingot_neon_unpack(w, tile, index, unpacked + g * w->group * INGOT_LANES);
      ingot_neon_scales(w, tile, index, scales + 4 * g);
    }
    for (int64_t t = first; t < end; t += 4) {
      float *to = sums + (t - first) * INGOT_LANES;
      if (ingot_is_exact(w)) ingot_neon_quad(w, codes, scales, x, t, column, columns, to, 1);
      else ingot_neon_quad(w, codes, scales, x, t, column, columns, to, 0);
    }
  }
}

static void ingot_multiply_tiled_neon(
    const ingot_tiled *w, const ingot_activations *x, int64_t first, int64_t end, float *out,
    void *scratch) {
  int8_t *unpacked = scratch;
  float *sums = (float *)(unpacked + NEON_COLUMNS * INGOT_LANES);
  const float factor = ingot_row_factor(w);
  for (int64_t tile = first; tile < end; tile++) {
    const int64_t row = tile * INGOT_LANES;
    const int64_t live = w->rows - row < INGOT_LANES ? w->rows - row : INGOT_LANES;
    for (int64_t from = 0; from < x->tokens; from += NEON_TOKENS) {
      const int64_t last = from + NEON_TOKENS < x->tokens ? from + NEON_TOKENS : x->tokens;
      ingot_neon_tile(w, ingot_tile(w, tile), x, from, last, sums, unpacked);
      for (int64_t t = from; t < last; t++)
        for (int64_t r = 0; r < live; r++)
          out[t * w->rows + row + r] = sums[(t - from) * INGOT_LANES + r] * factor;
    }
  }
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
    .packed_tokens = 32,
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
