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

#include "ingot_panels_vnni.h"

static void ingot_unpack_signed_avx512vnni(
    const ingot_tiled *w, const uint8_t *tile, int64_t first, int64_t count, int8_t *codes) {
  float scales[PANEL_COLUMNS / 16 * 16] __attribute__((aligned(64)));
  ingot_unpack(w, tile, first, count, 0, (uint8_t *)codes, scales);
}

#define INGOT_GEMM_VECTORS 2
#define INGOT_GEMM_TOKENS 12
#define INGOT_TRANSPOSE ingot_transpose_x86
#define INGOT_UNPACK_SIGNED ingot_unpack_signed_avx512vnni
#include "ingot_gemm.h"

/// Tokens that one call of `stream` or `block` keeps in registers.
enum { STREAM_TOKENS = 8, BLOCK_TOKENS = 12 };

/// Σ over a group starts at −offset · Σ activations, because `vpdpbusd` wants unsigned weights.
INGOT_INLINE __m512i ingot_start(
    const int32_t *offsets, int token, int32_t kind, __m512i zero_points) {
  const __m512i sum = _mm512_set1_epi32(offsets[token]);
  if (kind == INGOT_INT4) return _mm512_srai_epi32(sum, 4);
  if (kind == INGOT_INT6) return _mm512_srai_epi32(sum, 2);
  if (kind == INGOT_INT4Z) return _mm512_mullo_epi32(_mm512_srai_epi32(sum, 7), zero_points);
  return sum;
}

/// One group of products joins the others of its block.
INGOT_INLINE __m512 ingot_join(__m512i dot, __m512 scale, __m512 sum, int is_first, int is_exact) {
  if (is_exact) {
    const __m512i product = _mm512_mullo_epi32(dot, _mm512_castps_si512(scale));
    return _mm512_castsi512_ps(
        is_first ? product : _mm512_add_epi32(product, _mm512_castps_si512(sum)));
  }
  // The first product equals an FMA onto zero: the sign of a zero is lost in the sum.
  const __m512 value = _mm512_cvtepi32_ps(dot);
  return is_first ? _mm512_mul_ps(value, scale) : _mm512_fmadd_ps(value, scale, sum);
}

/// A block's sum as a float, from the bits of an integer where sums are exact.
INGOT_INLINE __m512 ingot_block_sum(__m512 sum, int is_exact) {
  return is_exact ? _mm512_cvtepi32_ps(_mm512_castps_si512(sum)) : sum;
}

/// One group of int6 codes × `tokens` tokens added to `dot`; `a` at the group's first column.
INGOT_INLINE void ingot_stream_int6(
    const uint8_t *codes, int64_t group, const int8_t *a, int64_t quad_stride, __m512i *dot,
    int tokens) {
  const int64_t quarter = group * (INGOT_LANES / 4);
  // Few tokens: sums of their own, so that products do not wait for one another.
  __m512i far_dot[STREAM_TOKENS];
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++) far_dot[t] = _mm512_setzero_si512();
  for (int64_t i = 0; i < quarter; i += 64, a += 16) {
    const __m512i even = _mm512_loadu_si512(codes + i);
    const __m512i odd = _mm512_loadu_si512(codes + quarter + i);
    const __m512i two = _mm512_loadu_si512(codes + 2 * quarter + i);
    __m512i q[4];
    ingot_join_six_bits(even, odd, two, q);
    INGOT_UNROLL
    for (int k = 0; k < 4; k++) {
      INGOT_UNROLL
      for (int t = 0; t < tokens; t++) {
        const __m512i v = ingot_quad(a + k * group, t, quad_stride);
        __m512i *sum = tokens <= 4 && k % 2 ? &far_dot[t] : &dot[t];
        *sum = _mm512_dpbusd_epi32(*sum, q[k], v);
      }
    }
  }
  if (tokens > 4) return;
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++) dot[t] = _mm512_add_epi32(dot[t], far_dot[t]);
}

/// One tile × up to 8 tokens, straight from the mapped bytes: bound by memory.
INGOT_INLINE void ingot_stream_tile(
    const ingot_tiled *w, const uint8_t *tile, const ingot_activations *x, int64_t first,
    float *out, int tokens, int32_t kind, int is_exact) {
  const int64_t columns = w->columns, group = w->group, padded = x->padded_tokens;
  const int32_t *offsets = x->offsets[ingot_level(w->group)] + first;
  const uint8_t *codes = tile + w->code_offset;
  const int8_t *quad = x->codes + first * x->token_stride;
  const int64_t quad_stride = 4 * x->token_stride;
  const __m512i low = _mm512_set1_epi8(15), flip = _mm512_set1_epi8((char)0x80);
  const __m512i levels = ingot_levels_u8(w);
  ingot_fetch_ahead(tile, w->code_offset);
  __m512 total[STREAM_TOKENS];
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++) total[t] = _mm512_setzero_ps();
  int64_t index = 0;
  for (int64_t start = 0; start < columns; start += INGOT_BLOCK) {
    const int64_t end = start + INGOT_BLOCK < columns ? start + INGOT_BLOCK : columns;
    __m512 sum[STREAM_TOKENS];
    INGOT_UNROLL
    for (int t = 0; t < tokens; t++) sum[t] = _mm512_setzero_ps();
    for (int64_t column = start; column < end; column += group, index++) {
      __m512i dot[STREAM_TOKENS];
      const __m512i zero =
          kind == INGOT_INT4Z ? ingot_zero_points(w, tile, index) : _mm512_setzero_si512();
      INGOT_UNROLL
      for (int t = 0; t < tokens; t++) dot[t] = ingot_start(offsets + index * padded, t, kind, zero);
      const int8_t *a = quad + 4 * column;
      ingot_fetch_ahead(codes, ingot_code_bytes(w, group));
      if (kind == INGOT_INT8) {
        for (int64_t i = 0; i < group / 4; i++, codes += 64, a += 16) {
          const __m512i q = _mm512_xor_si512(_mm512_loadu_si512(codes), flip);
          INGOT_UNROLL
          for (int t = 0; t < tokens; t++)
            dot[t] = _mm512_dpbusd_epi32(dot[t], q, ingot_quad(a, t, quad_stride));
        }
      } else if (kind == INGOT_INT6) {
        ingot_stream_int6(codes, group, a, quad_stride, dot, tokens);
        codes += 12 * group;
      } else {
        const int64_t far = 2 * group;
        // Few tokens: sums of their own, so that products do not wait for one another.
        __m512i far_dot[STREAM_TOKENS];
        INGOT_UNROLL
        for (int t = 0; t < tokens; t++) far_dot[t] = _mm512_setzero_si512();
        for (int64_t i = 0; i < group / 8; i++, codes += 64, a += 16) {
          const __m512i both = _mm512_loadu_si512(codes);
          __m512i near_q = _mm512_and_si512(both, low);
          __m512i far_q = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
          if (kind == INGOT_CB4) {
            near_q = _mm512_shuffle_epi8(levels, near_q);
            far_q = _mm512_shuffle_epi8(levels, far_q);
          }
          INGOT_UNROLL
          for (int t = 0; t < tokens; t++) {
            dot[t] = _mm512_dpbusd_epi32(dot[t], near_q, ingot_quad(a, t, quad_stride));
            __m512i *other = tokens <= 4 ? &far_dot[t] : &dot[t];
            *other = _mm512_dpbusd_epi32(*other, far_q, ingot_quad(a + far, t, quad_stride));
          }
        }
        if (tokens <= 4) {
          INGOT_UNROLL
          for (int t = 0; t < tokens; t++) dot[t] = _mm512_add_epi32(dot[t], far_dot[t]);
        }
      }
      const __m512 scale = ingot_scales(w, tile, index, is_exact);
      INGOT_UNROLL
      for (int t = 0; t < tokens; t++) sum[t] = ingot_join(dot[t], scale, sum[t], 0, is_exact);
    }
    const float *scales = x->scales + start / INGOT_BLOCK * padded + first;
    INGOT_UNROLL
    for (int t = 0; t < tokens; t++)
      total[t] = _mm512_fmadd_ps(
          ingot_block_sum(sum[t], is_exact), _mm512_set1_ps(scales[t]), total[t]);
  }
  const __m512 factor = _mm512_set1_ps(ingot_row_factor(w));
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++)
    _mm512_storeu_ps(out + t * INGOT_LANES, _mm512_mul_ps(total[t], factor));
}

INGOT_INLINE void ingot_stream_kind(
    const ingot_tiled *w, const uint8_t *tile, const ingot_activations *x, int64_t first,
    float *out, int tokens) {
  switch (w->kind) {
    case INGOT_INT8: ingot_stream_tile(w, tile, x, first, out, tokens, INGOT_INT8, 0); break;
    case INGOT_INT4: ingot_stream_tile(w, tile, x, first, out, tokens, INGOT_INT4, 0); break;
    case INGOT_INT4Z: ingot_stream_tile(w, tile, x, first, out, tokens, INGOT_INT4Z, 0); break;
    case INGOT_INT6: ingot_stream_tile(w, tile, x, first, out, tokens, INGOT_INT6, 0); break;
    default:
      if (ingot_is_exact(w)) ingot_stream_tile(w, tile, x, first, out, tokens, INGOT_CB4, 1);
      else ingot_stream_tile(w, tile, x, first, out, tokens, INGOT_CB4, 0);
  }
}

static void ingot_stream_1(
    const ingot_tiled *w, const uint8_t *tile, const ingot_activations *x, int64_t first,
    float *out) {
  ingot_stream_kind(w, tile, x, first, out, 1);
}
static void ingot_stream_2(
    const ingot_tiled *w, const uint8_t *tile, const ingot_activations *x, int64_t first,
    float *out) {
  ingot_stream_kind(w, tile, x, first, out, 2);
}
static void ingot_stream_4(
    const ingot_tiled *w, const uint8_t *tile, const ingot_activations *x, int64_t first,
    float *out) {
  ingot_stream_kind(w, tile, x, first, out, 4);
}
static void ingot_stream_8(
    const ingot_tiled *w, const uint8_t *tile, const ingot_activations *x, int64_t first,
    float *out) {
  ingot_stream_kind(w, tile, x, first, out, 8);
}

static void ingot_multiply_few(
    const ingot_tiled *w, const ingot_activations *x, int64_t first, int64_t end, float *out) {
  float lanes[STREAM_TOKENS * INGOT_LANES];
  for (int64_t tile = first; tile < end; tile++) {
    const uint8_t *bytes = ingot_tile(w, tile);
    if (x->tokens == 1) ingot_stream_1(w, bytes, x, 0, lanes);
    else if (x->tokens == 2) ingot_stream_2(w, bytes, x, 0, lanes);
    else if (x->tokens <= 4) ingot_stream_4(w, bytes, x, 0, lanes);
    else ingot_stream_8(w, bytes, x, 0, lanes);
    ingot_write_tile(w, tile, lanes, INGOT_LANES, 0, x->tokens, 1.0f, out);
  }
}

/// Two unpacked tiles × `tokens` tokens over the blocks of a panel.
INGOT_INLINE void ingot_block(
    const ingot_panel *panel, const ingot_activations *x, int64_t first, float *out,
    int tokens, int is_exact) {
  const int64_t group = panel->group, padded = x->padded_tokens;
  const int32_t *offsets = x->offsets[ingot_level(panel->group)]
                           + panel->first_column / group * padded + first;
  const int64_t quad_stride = 4 * x->token_stride;
  const int8_t *a = x->codes + first * x->token_stride + 4 * panel->first_column;
  const uint8_t *left = panel->codes[0], *right = panel->codes[1];
  const float *left_scale = panel->scales[0], *right_scale = panel->scales[1];
  for (int64_t start = 0; start < panel->columns; start += INGOT_BLOCK) {
    const int64_t rest = panel->columns - start;
    const int64_t groups = (rest < INGOT_BLOCK ? rest : INGOT_BLOCK) / group;
    __m512 sum[2 * BLOCK_TOKENS];
    for (int64_t g = 0; g < groups; g++) {
      __m512i dot[2 * BLOCK_TOKENS];
      INGOT_UNROLL
      for (int t = 0; t < tokens; t++) dot[2 * t] = dot[2 * t + 1] = _mm512_set1_epi32(offsets[t]);
      for (int64_t i = 0; i < group / 4; i++, left += 64, right += 64, a += 16) {
        const __m512i l = _mm512_load_si512(left), r = _mm512_load_si512(right);
        INGOT_UNROLL
        for (int t = 0; t < tokens; t++) {
          const __m512i v = ingot_quad(a, t, quad_stride);
          dot[2 * t] = _mm512_dpbusd_epi32(dot[2 * t], l, v);
          dot[2 * t + 1] = _mm512_dpbusd_epi32(dot[2 * t + 1], r, v);
        }
      }
      const __m512 ls = _mm512_load_ps(left_scale), rs = _mm512_load_ps(right_scale);
      INGOT_UNROLL
      for (int t = 0; t < tokens; t++) {
        sum[2 * t] = ingot_join(dot[2 * t], ls, sum[2 * t], g == 0, is_exact);
        sum[2 * t + 1] = ingot_join(dot[2 * t + 1], rs, sum[2 * t + 1], g == 0, is_exact);
      }
      left_scale += INGOT_LANES;
      right_scale += INGOT_LANES;
      offsets += padded;
    }
    const float *scales =
        x->scales + (panel->first_column + start) / INGOT_BLOCK * padded + first;
    INGOT_UNROLL
    for (int t = 0; t < tokens; t++) {
      const __m512 scale = _mm512_set1_ps(scales[t]);
      float *o = out + t * 2 * INGOT_LANES;
      const __m512 l = ingot_block_sum(sum[2 * t], is_exact);
      const __m512 r = ingot_block_sum(sum[2 * t + 1], is_exact);
      _mm512_store_ps(o, _mm512_fmadd_ps(l, scale, _mm512_load_ps(o)));
      _mm512_store_ps(o + 16, _mm512_fmadd_ps(r, scale, _mm512_load_ps(o + 16)));
    }
  }
}

static void ingot_block_12(
    const ingot_panel *panel, const ingot_activations *x, int64_t first, float *out) {
  if (panel->is_exact) ingot_block(panel, x, first, out, 12, 1);
  else ingot_block(panel, x, first, out, 12, 0);
}
static void ingot_block_8(
    const ingot_panel *panel, const ingot_activations *x, int64_t first, float *out) {
  if (panel->is_exact) ingot_block(panel, x, first, out, 8, 1);
  else ingot_block(panel, x, first, out, 8, 0);
}
static void ingot_block_4(
    const ingot_panel *panel, const ingot_activations *x, int64_t first, float *out) {
  if (panel->is_exact) ingot_block(panel, x, first, out, 4, 1);
  else ingot_block(panel, x, first, out, 4, 0);
}

/// 12 tokens at a time; whole quads, so up to 3 beyond `end`.
static void ingot_panel_tokens(
    const ingot_panel *panel, const ingot_activations *x, int64_t first, int64_t end,
    float *out) {
  for (int64_t t = first; t < end;) {
    float *at = out + (t - first) * 2 * INGOT_LANES;
    const int64_t left = end - t;
    ingot_fetch_next(panel, (t - first) / BLOCK_TOKENS, (end - first + 11) / BLOCK_TOKENS);
    // 16 left: 8 + 8 beats 12 + 4.
    if (left > 8 && !(left > 12 && left <= 16)) ingot_block_12(panel, x, t, at), t += 12;
    else if (left > 4) ingot_block_8(panel, x, t, at), t += 8;
    else ingot_block_4(panel, x, t, at), t += 4;
  }
}

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
    .quantize = ingot_quantize_f32_s8_avx512vnni,
    .multiply_tiled = ingot_multiply_tiled_avx512vnni,
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
