// AVX2 with FMA: Intel since Haswell, AMD since Zen.
//
// `vpmaddubsw` multiplies unsigned by signed bytes and adds pairs with saturation to 16 bits.
// Nibbles (0…15) cannot saturate and eight such sums fit in 16 bits: 8 · 2 · 15 · 127 = 30480.
// Six bits (0…63) cannot either, and two such sums fit: 2 · 2 · 63 · 127 = 32004.
// Bytes go through |w| · sign(a, w), where one pair is at most 2 · 128 · 127 = 32512.
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
#define INGOT_GEMM_TOKENS 4
#include "ingot_vector.h"

#include "ingot_elementwise.h"
#include "ingot_quantized_input.h"
#include "ingot_attention.h"
#include "ingot_dense.h"
#include "ingot_gemm.h"

enum { AVX2_COLUMNS = 512, AVX2_TOKENS = 512, AVX2_QUAD = 4 };

/// Sums of pairs of products that fit in 16 bits where codes are multiplied as they are stored,
/// with −8·Σa, −32·Σa or −z·Σa to start from; 0 where they are signed bytes.
INGOT_INLINE int ingot_unsigned_run(int32_t kind) {
  return kind == INGOT_INT4 || kind == INGOT_INT4Z ? 8 : kind == INGOT_INT6 ? 2 : 0;
}

/// Codes of `columns` columns (whole groups), `[atom][16 rows][4]`: as stored, or signed bytes.
static void ingot_unpack_avx2(
    const ingot_tiled *w, const uint8_t *tile, int64_t first, int64_t columns, uint8_t *codes) {
  const int64_t group = w->group;
  const __m256i low = _mm256_set1_epi8(15);
  const __m256i levels =
      _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)w->payload));
  const uint8_t *p = tile + w->code_offset + ingot_code_bytes(w, first);
  if (w->kind == INGOT_INT6) {
    for (int64_t column = 0; column < columns; column += group)
      ingot_unpack_int6(
          p + ingot_code_bytes(w, column), group, 0, codes + column * INGOT_LANES);
    return;
  }
  for (int64_t g = 0; g < columns / group; g++) {
    uint8_t *far = codes + group * (INGOT_LANES / 2);
    for (int64_t i = 0; i < group * 8; i += 32, p += 32) {
      const __m256i both = _mm256_loadu_si256((const void *)p);
      __m256i near_q = _mm256_and_si256(both, low);
      __m256i far_q = _mm256_and_si256(_mm256_srli_epi16(both, 4), low);
      if (w->kind == INGOT_CB4) {
        near_q = _mm256_shuffle_epi8(levels, near_q);
        far_q = _mm256_shuffle_epi8(levels, far_q);
      }
      _mm256_storeu_si256((void *)(codes + i), near_q);
      _mm256_storeu_si256((void *)(far + i), far_q);
    }
    codes += group * INGOT_LANES;
  }
}

/// The scales of a group for eight rows: floats, or the bits of integers where sums are exact.
INGOT_INLINE __m256 ingot_scales_avx2(
    const ingot_tiled *w, const uint8_t *tile, int64_t index, int half, int is_exact) {
  if (w->kind == INGOT_CB4) {
    const __m128i codes = _mm_loadl_epi64((const void *)(tile + 16 * index + 8 * half));
    const __m256 values = _mm256_cvtph_ps(_mm_and_si128(
        _mm_slli_epi16(_mm_cvtepi8_epi16(codes), 5), _mm_set1_epi16(INGOT_S1E2M5_MASK)));
    if (!is_exact) return values;
    return _mm256_castsi256_ps(
        _mm256_cvtps_epi32(_mm256_mul_ps(values, _mm256_set1_ps(0x1p19f))));
  }
  return _mm256_cvtph_ps(_mm_loadu_si128((const void *)(tile + 32 * index + 16 * half)));
}

/// −offset · Σa of one group and token for eight rows.
INGOT_INLINE __m256i ingot_start_avx2(
    const ingot_tiled *w, const uint8_t *tile, int64_t index, int half, int32_t offset,
    int32_t kind) {
  if (kind == INGOT_INT4) return _mm256_set1_epi32(offset >> 4);
  if (kind == INGOT_INT6) return _mm256_set1_epi32(offset >> 2);
  if (kind != INGOT_INT4Z) return _mm256_setzero_si256();
  const __m256i zeros = _mm256_cvtepu8_epi32(
      _mm_loadl_epi64((const void *)(tile + w->zero_offset + 16 * index + 8 * half)));
  return _mm256_mullo_epi32(_mm256_set1_epi32(offset >> 7), zeros);
}

/// Four activations of token t of a quad, repeated eight times.
INGOT_INLINE __m256i ingot_quad_avx2(const int8_t *a, int t) {
  int32_t word;
  memcpy(&word, a + 4 * t, 4);
  return _mm256_set1_epi32(word);
}

/// One group of products joins the others of its block.
INGOT_INLINE __m256 ingot_join_avx2(__m256i dot, __m256 scale, __m256 sum, int is_exact) {
  if (!is_exact) return _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot), scale, sum);
  return _mm256_castsi256_ps(_mm256_add_epi32(
      _mm256_castps_si256(sum), _mm256_mullo_epi32(dot, _mm256_castps_si256(scale))));
}

/// A block's sum as a float.
INGOT_INLINE __m256 ingot_block_sum_avx2(__m256 sum, int is_exact) {
  return is_exact ? _mm256_cvtepi32_ps(_mm256_castps_si256(sum)) : sum;
}

/// Exact dot products of one group of codes, `dots[token][half]`, added to what is there.
INGOT_INLINE void ingot_group_avx2(
    const uint8_t *codes, const int8_t *a, int64_t group, int32_t kind, int tokens,
    __m256i dots[AVX2_QUAD][2]) {
  const __m256i ones = _mm256_set1_epi16(1);
  const int run = ingot_unsigned_run(kind);
  if (run == 0) {
    for (int64_t i = 0; i < group / 4; i++, codes += 64, a += 16) {
      INGOT_UNROLL
      for (int half = 0; half < 2; half++) {
        const __m256i w = _mm256_loadu_si256((const void *)(codes + 32 * half));
        const __m256i size = _mm256_abs_epi8(w);
        INGOT_UNROLL
        for (int t = 0; t < tokens; t++) {
          const __m256i pairs =
              _mm256_maddubs_epi16(size, _mm256_sign_epi8(ingot_quad_avx2(a, t), w));
          dots[t][half] = _mm256_add_epi32(dots[t][half], _mm256_madd_epi16(pairs, ones));
        }
      }
    }
    return;
  }
  for (int64_t atom = 0; atom < group / 4; atom += run) {
    __m256i pairs[AVX2_QUAD][2];
    INGOT_UNROLL
    for (int t = 0; t < tokens; t++) pairs[t][0] = pairs[t][1] = _mm256_setzero_si256();
    for (int i = 0; i < run; i++, codes += 64, a += 16) {
      const __m256i low = _mm256_loadu_si256((const void *)codes);
      const __m256i high = _mm256_loadu_si256((const void *)(codes + 32));
      INGOT_UNROLL
      for (int t = 0; t < tokens; t++) {
        const __m256i v = ingot_quad_avx2(a, t);
        pairs[t][0] = _mm256_add_epi16(pairs[t][0], _mm256_maddubs_epi16(low, v));
        pairs[t][1] = _mm256_add_epi16(pairs[t][1], _mm256_maddubs_epi16(high, v));
      }
    }
    INGOT_UNROLL
    for (int t = 0; t < tokens; t++) {
      dots[t][0] = _mm256_add_epi32(dots[t][0], _mm256_madd_epi16(pairs[t][0], ones));
      dots[t][1] = _mm256_add_epi32(dots[t][1], _mm256_madd_epi16(pairs[t][1], ones));
    }
  }
}

/// Part of one tile with its codes unpacked.
typedef struct avx2_panel {
  const ingot_tiled *w;
  const uint8_t *tile;
  const uint8_t *codes;
  int64_t first_column;
  int64_t columns;
} avx2_panel;

/// A panel × `tokens` tokens of one quad, added to `out[token][16 rows]`.
INGOT_INLINE void ingot_quad_tokens_avx2(
    const avx2_panel *panel, const ingot_activations *x, int64_t token, float *out, int32_t kind,
    int is_exact, int tokens) {
  const ingot_tiled *w = panel->w;
  const int64_t group = w->group, padded = x->padded_tokens;
  const int32_t *offsets = x->offsets[__builtin_ctz((unsigned)group) - 4];
  const int8_t *a =
      x->codes + token / 4 * 4 * x->token_stride + token % 4 * 4 + 4 * panel->first_column;
  for (int64_t start = 0; start < panel->columns; start += INGOT_BLOCK) {
    const int64_t end =
        start + INGOT_BLOCK < panel->columns ? start + INGOT_BLOCK : panel->columns;
    __m256 sum[AVX2_QUAD][2];
    INGOT_UNROLL
    for (int t = 0; t < tokens; t++) sum[t][0] = sum[t][1] = _mm256_setzero_ps();
    for (int64_t column = start; column < end; column += group) {
      const int64_t index = (panel->first_column + column) / group;
      __m256i dots[AVX2_QUAD][2];
      INGOT_UNROLL
      for (int t = 0; t < tokens; t++) {
        const int32_t offset =
            ingot_unsigned_run(kind) ? offsets[index * padded + token + t] : 0;
        dots[t][0] = ingot_start_avx2(w, panel->tile, index, 0, offset, kind);
        dots[t][1] = ingot_start_avx2(w, panel->tile, index, 1, offset, kind);
      }
      ingot_group_avx2(
          panel->codes + column * INGOT_LANES, a + 4 * column, group, kind, tokens, dots);
      const __m256 low = ingot_scales_avx2(w, panel->tile, index, 0, is_exact);
      const __m256 high = ingot_scales_avx2(w, panel->tile, index, 1, is_exact);
      INGOT_UNROLL
      for (int t = 0; t < tokens; t++) {
        sum[t][0] = ingot_join_avx2(dots[t][0], low, sum[t][0], is_exact);
        sum[t][1] = ingot_join_avx2(dots[t][1], high, sum[t][1], is_exact);
      }
    }
    const float *scales =
        x->scales + (panel->first_column + start) / INGOT_BLOCK * padded + token;
    INGOT_UNROLL
    for (int t = 0; t < tokens; t++) {
      const __m256 scale = _mm256_set1_ps(scales[t]);
      float *o = out + t * INGOT_LANES;
      const __m256 low = ingot_block_sum_avx2(sum[t][0], is_exact);
      const __m256 high = ingot_block_sum_avx2(sum[t][1], is_exact);
      _mm256_storeu_ps(o, _mm256_fmadd_ps(low, scale, _mm256_loadu_ps(o)));
      _mm256_storeu_ps(o + 8, _mm256_fmadd_ps(high, scale, _mm256_loadu_ps(o + 8)));
    }
  }
}

INGOT_INLINE void ingot_panel_avx2(
    const avx2_panel *panel, const ingot_activations *x, int64_t first, int64_t end, float *out,
    int32_t kind, int is_exact) {
  for (int64_t t = first; t < end; t += AVX2_QUAD) {
    float *at = out + (t - first) * INGOT_LANES;
    if (end - t == 1) ingot_quad_tokens_avx2(panel, x, t, at, kind, is_exact, 1);
    else if (end - t == 2) ingot_quad_tokens_avx2(panel, x, t, at, kind, is_exact, 2);
    else ingot_quad_tokens_avx2(panel, x, t, at, kind, is_exact, AVX2_QUAD);
  }
}

static void ingot_panel_int8_avx2(
    const avx2_panel *panel, const ingot_activations *x, int64_t first, int64_t end, float *out) {
  ingot_panel_avx2(panel, x, first, end, out, INGOT_INT8, 0);
}
static void ingot_panel_int4_avx2(
    const avx2_panel *panel, const ingot_activations *x, int64_t first, int64_t end, float *out) {
  ingot_panel_avx2(panel, x, first, end, out, INGOT_INT4, 0);
}
static void ingot_panel_int6_avx2(
    const avx2_panel *panel, const ingot_activations *x, int64_t first, int64_t end, float *out) {
  ingot_panel_avx2(panel, x, first, end, out, INGOT_INT6, 0);
}
static void ingot_panel_int4z_avx2(
    const avx2_panel *panel, const ingot_activations *x, int64_t first, int64_t end, float *out) {
  ingot_panel_avx2(panel, x, first, end, out, INGOT_INT4Z, 0);
}

static void ingot_panel_exact_avx2(
    const avx2_panel *panel, const ingot_activations *x, int64_t first, int64_t end, float *out) {
  ingot_panel_avx2(panel, x, first, end, out, INGOT_CB4, 1);
}

/// One tile × tokens [first, end) into `sums[token][16 rows]`.
static void ingot_tile_avx2(
    const ingot_tiled *w, const uint8_t *tile, const ingot_activations *x, int64_t first,
    int64_t end, float *sums, uint8_t *unpacked) {
  memset(sums, 0, (size_t)((end - first + 3) / 4 * 4 * INGOT_LANES) * sizeof *sums);
  // From memory once; further tokens find it in a cache.
  if (first == 0) ingot_fetch_ahead(tile, w->code_offset);
  for (int64_t column = 0; column < w->columns; column += AVX2_COLUMNS) {
    const int64_t rest = w->columns - column;
    avx2_panel panel = {
        .w = w,
        .tile = tile,
        .codes = tile + w->code_offset + column * INGOT_LANES,
        .first_column = column,
        .columns = rest < AVX2_COLUMNS ? rest : AVX2_COLUMNS};
    if (first == 0)
      ingot_fetch_ahead(
          tile + w->code_offset + ingot_code_bytes(w, column), ingot_code_bytes(w, panel.columns));
    if (w->kind != INGOT_INT8) {
      ingot_unpack_avx2(w, tile, column, panel.columns, unpacked);
      panel.codes = unpacked;
    }
    switch (w->kind) {
      case INGOT_INT4: ingot_panel_int4_avx2(&panel, x, first, end, sums); break;
      case INGOT_INT4Z: ingot_panel_int4z_avx2(&panel, x, first, end, sums); break;
      case INGOT_INT6: ingot_panel_int6_avx2(&panel, x, first, end, sums); break;
      default:
        // Signed bytes, whatever they were before.
        if (ingot_is_exact(w)) ingot_panel_exact_avx2(&panel, x, first, end, sums);
        else ingot_panel_int8_avx2(&panel, x, first, end, sums);
    }
  }
}

/// Writes tokens [first, end) of a tile from `sums[token][16 rows]`.
static void ingot_write_tile_avx2(
    const ingot_tiled *w, int64_t tile, const float *sums, int64_t first, int64_t end, float *out) {
  const float factor = ingot_row_factor(w);
  const int64_t row = tile * INGOT_LANES;
  const int64_t live = w->rows - row < INGOT_LANES ? w->rows - row : INGOT_LANES;
  for (int64_t t = first; t < end; t++)
    for (int64_t r = 0; r < live; r++)
      out[t * w->rows + row + r] = sums[(t - first) * INGOT_LANES + r] * factor;
}

#include "ingot_exact_avx2.h"

static void ingot_multiply_tiled_avx2(
    const ingot_tiled *w, const ingot_activations *x, int64_t first, int64_t end, float *out,
    void *scratch) {
  if (ingot_is_exact_many(w, x)) {
    ingot_multiply_exact(w, x, first, end, out, scratch);
    return;
  }
  uint8_t *unpacked = scratch;
  float *sums = (float *)(unpacked + AVX2_COLUMNS * INGOT_LANES);
  for (int64_t tile = first; tile < end; tile++) {
    for (int64_t from = 0; from < x->tokens; from += AVX2_TOKENS) {
      const int64_t last = from + AVX2_TOKENS < x->tokens ? from + AVX2_TOKENS : x->tokens;
      ingot_tile_avx2(w, ingot_tile(w, tile), x, from, last, sums, unpacked);
      ingot_write_tile_avx2(w, tile, sums, from, last, out);
    }
  }
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
    .packed_tokens = 32,
    .multiply_dense = ingot_multiply_dense_dots_avx2,
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
