// AArch64 with the int8 matrix instructions (Armv8.6 I8MM: Apple M2, Neoverse V1 and N2 on). `smmla`
// multiplies two tokens by two rows over eight columns, twice the products of a `sdot`. Its weight operand is two
// atoms zipped, which is done once for all tokens; up to four tokens are the NEON table's.
//
// Tested under emulation; no machine was at hand to measure it on.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "ingot_common.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("dotprod,i8mm"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("arch=armv8.2-a+dotprod+i8mm")
#endif

#include "ingot_unpack_neon.h"

enum {
  /// For fewer tokens weights are multiplied as `sdot` takes them.
  I8MM_TOKENS = 5,
  /// Vectors of a group's scales: those of each pair of rows, twice.
  NEON_SCALES = 8
};

/// Two rows of four columns each of two atoms as two rows of eight: rows 0 and 1, and 2 and 3.
INGOT_INLINE void ingot_i8mm_zip(int8x16_t near, int8x16_t far, int8x16_t pairs[2]) {
  const int32x4_t a = vreinterpretq_s32_s8(near), b = vreinterpretq_s32_s8(far);
  pairs[0] = vreinterpretq_s8_s32(vzip1q_s32(a, b));
  pairs[1] = vreinterpretq_s8_s32(vzip2q_s32(a, b));
}

/// One group's codes as `[column / 8][row / 2][2 rows][8 columns]`, and its scales.
static const int8_t *ingot_neon_group(
    const ingot_tiled *w, const uint8_t *tile, int64_t index, int8_t *room, float32x4_t *scales) {
  int8_t unpacked[INGOT_BLOCK * INGOT_LANES];
  const int8_t *codes = ingot_neon_unpack(w, tile, index, unpacked);
  int8_t *to = room;
  for (int64_t i = 0; i < w->group / 8; i++, codes += 128)
    for (int q = 0; q < 4; q++, to += 32) {
      int8x16_t pairs[2];
      ingot_i8mm_zip(vld1q_s8(codes + 16 * q), vld1q_s8(codes + 64 + 16 * q), pairs);
      vst1q_s8(to, pairs[0]);
      vst1q_s8(to + 16, pairs[1]);
    }
  float32x4_t fours[4];
  ingot_neon_scales(w, tile, index, fours);
  for (int q = 0; q < 4; q++) {
    scales[2 * q] = vcombine_f32(vget_low_f32(fours[q]), vget_low_f32(fours[q]));
    scales[2 * q + 1] = vcombine_f32(vget_high_f32(fours[q]), vget_high_f32(fours[q]));
  }
  return room;
}

/// One group × four tokens: `dots[pair of rows][pair of tokens]`, `[token][row]` each.
INGOT_INLINE void ingot_i8mm_group(
    const int8_t *codes, const int8_t *a, int64_t group, int32x4_t dots[8][2]) {
  INGOT_UNROLL
  for (int r = 0; r < 8; r++) dots[r][0] = dots[r][1] = vdupq_n_s32(0);
  for (int64_t i = 0; i < group / 8; i++, a += 32, codes += 128) {
    int8x16_t tokens[2];
    ingot_i8mm_zip(vld1q_s8(a), vld1q_s8(a + 16), tokens);
    INGOT_UNROLL
    for (int r = 0; r < 8; r++) {
      const int8x16_t rows = vld1q_s8(codes + 16 * r);
      dots[r][0] = vmmlaq_s32(dots[r][0], tokens[0], rows);
      dots[r][1] = vmmlaq_s32(dots[r][1], tokens[1], rows);
    }
  }
}

/// Adds two pairs of rows × a pair of tokens, times the tokens' scales, to `out[token][16 rows]`.
INGOT_INLINE void ingot_i8mm_write(
    float32x4_t low, float32x4_t high, const float *token_scales, float *out) {
  const float32x4_t rows[2] = {
      vcombine_f32(vget_low_f32(low), vget_low_f32(high)),
      vcombine_f32(vget_high_f32(low), vget_high_f32(high))};
  for (int t = 0; t < 2; t++, out += INGOT_LANES)
    vst1q_f32(out, vfmaq_n_f32(vld1q_f32(out), rows[t], token_scales[t]));
}

/// One tile's panel × four tokens, added to `out[token][16 rows]`.
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
    float32x4_t sums[8][2];
    for (int r = 0; r < 8; r++) sums[r][0] = sums[r][1] = vdupq_n_f32(0);
    for (int64_t column = start; column < end; column += group, index++, a += 4 * group) {
      int32x4_t dots[8][2];
      ingot_i8mm_group(codes[index], a, group, dots);
      for (int r = 0; r < 8; r++)
        for (int p = 0; p < 2; p++)
          sums[r][p] =
              ingot_neon_join(dots[r][p], scales[NEON_SCALES * index + r], sums[r][p], is_exact);
    }
    const float *token_scales =
        x->scales + (first_column + start) / INGOT_BLOCK * x->padded_tokens + token;
    for (int p = 0; p < 2; p++)
      for (int q = 0; q < 4; q++)
        ingot_i8mm_write(
            ingot_neon_block_sum(sums[2 * q][p], is_exact),
            ingot_neon_block_sum(sums[2 * q + 1][p], is_exact), token_scales + 2 * p,
            out + 2 * p * INGOT_LANES + 4 * q);
  }
}

#include "ingot_tiles_neon.h"

void ingot_multiply_tiled_neon(
    const ingot_tiled *w, const ingot_activations *x, int64_t first, int64_t end, float *out,
    void *scratch);

void ingot_multiply_tiled_i8mm(
    const ingot_tiled *w, const ingot_activations *x, int64_t first, int64_t end, float *out,
    void *scratch) {
  if (x->tokens < I8MM_TOKENS) ingot_multiply_tiled_neon(w, x, first, end, out, scratch);
  else ingot_neon_tiles(w, x, first, end, out, scratch);
}

int64_t ingot_int8_dot_rate_i8mm(int64_t iterations) {
  volatile int8_t seed = 1;
  const int8x16_t a = vdupq_n_s8(seed);
  int32x4_t sum[12];
  for (int k = 0; k < 12; k++) sum[k] = vdupq_n_s32(k);
  for (int64_t i = 0; i < iterations; i++) {
    INGOT_UNROLL
    for (int k = 0; k < 12; k++) {
      sum[k] = vmmlaq_s32(sum[k], a, a);
      __asm__ volatile("" : "+w"(sum[k]));
    }
  }
  volatile int32_t result = 0;
  for (int k = 0; k < 12; k++) result += vaddvq_s32(sum[k]);
  return iterations * 12 * 32;
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
