// AMX bf16: products of bf16 weights with f32 activations. An f32 number is the exact sum of three bf16
// numbers, each product of two bf16 numbers is exact in f32, and the tile unit adds them in f32: the
// result is as good as that of f32 FMAs, at sixteen times their rate for a third of the work.
//
// Numbers below 2^-126 count as zero there, and the products of an infinite activation are NaN.
//
// Here: many tokens, for which turning the weights costs little; few are in ingot_amx_bf16_few.h.
#if defined(__x86_64__) && defined(__linux__)
#include <immintrin.h>

#include "ingot_common.h"

#if defined(__clang__)
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,amx-tile,amx-bf16"))), \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,amx-tile,amx-bf16")
#endif

#include "ingot_amx_tiles.h"
#include "ingot_transpose_x86.h"

enum {
  /// Numbers of one tile register: 16 × 32.
  BF16_TILE = 512,
  BF16_COLUMNS = 32,
  BF16_PARTS = 3,
  /// Most weight tiles that meet the same activations, columns and tokens at a time.
  BF16_TILES = 8,
  BF16_STRIP = 256,
  BF16_TOKENS = 512,
  BF16_PANEL = BF16_TILES * BF16_STRIP * INGOT_LANES,
  BF16_SUMS = BF16_TILES * BF16_TOKENS * INGOT_LANES
};
_Static_assert(
    2 * BF16_PANEL + 4 * BF16_SUMS <= INGOT_MULTIPLY_SCRATCH, "does not fit in the scratch memory");

INGOT_INLINE int64_t ingot_bf16_steps(int64_t columns) {
  return (columns + BF16_COLUMNS - 1) / BF16_COLUMNS;
}

/// The upper halves of 16 numbers, which are taken off them.
INGOT_INLINE __m512 ingot_take_bf16(__m512 x, uint16_t *out) {
  const __m512i bits = _mm512_castps_si512(x);
  _mm256_storeu_si256((void *)out, _mm512_cvtepi32_epi16(_mm512_srli_epi32(bits, 16)));
  const __m512i upper = _mm512_and_si512(bits, _mm512_set1_epi32((int)0xFFFF0000u));
  return _mm512_sub_ps(x, _mm512_castsi512_ps(upper));
}

#include "ingot_amx_bf16_few.h"

/// For many tokens: `[token / 16][column / 32][part][token % 16][column % 32]`.
void ingot_split_bf16_amx(
    const float *x, ingot_region region, int64_t tokens, int64_t columns, uint16_t *out) {
  if (tokens <= BF16_FEW_TOKENS) {
    ingot_split_bf16_few(x, region, tokens, columns, out);
    return;
  }
  const int64_t steps = ingot_bf16_steps(columns);
  for (int64_t t = region.first_token; t < region.end_token; t++)
    for (int64_t c = region.first_column; c < ingot_bf16_steps(region.end_column) * BF16_COLUMNS; c += 16) {
      uint16_t *to = out + (t / 16 * steps + c / BF16_COLUMNS) * BF16_PARTS * BF16_TILE
                     + t % 16 * BF16_COLUMNS + c % BF16_COLUMNS;
      __m512 rest = ingot_load_left(x + t * columns + c, t < tokens ? columns - c : 0);
      for (int part = 0; part < BF16_PARTS; part++) rest = ingot_take_bf16(rest, to + part * BF16_TILE);
    }
}

/// Weights of rows [row, row + 16) × `width` columns as tiles, `[column / 2][16 rows][column % 2]`, with
/// zeros beyond `end` and beyond the last column of the last tile.
static void ingot_bf16_panel(
    const uint16_t *w, int64_t columns, int64_t row, int64_t end, int64_t first, int64_t width,
    uint16_t *out) {
  for (int64_t c = 0; c < width; c += BF16_COLUMNS) {
    const int64_t left = width - c;
    const __mmask32 live = left >= BF16_COLUMNS ? 0xFFFFFFFFu : (1u << left) - 1;
    f32x16 in[16];
    INGOT_UNROLL
    for (int r = 0; r < 16; r++)
      in[r] = row + r < end
                  ? (f32x16)_mm512_maskz_loadu_epi16(live, w + (row + r) * columns + first + c)
                  : (f32x16)_mm512_setzero_ps();
    // Two columns in each word.
    ingot_transpose_x86(in, (float *)(out + c * INGOT_LANES), 16);
  }
}

/// 16 tokens × two weight tiles × `steps` tiles of columns added to the sums.
INGOT_INLINE void ingot_bf16_square(
    const uint16_t *left, const uint16_t *right, const uint16_t *x, int64_t steps, float *left_sums,
    float *right_sums) {
  _tile_loadd(0, left_sums, 64);
  _tile_loadd(1, right_sums, 64);
  for (int64_t k = 0; k < steps; k++) {
    _tile_loadd(6, left, 64);
    _tile_loadd(4, x, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, right, 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(4, x + BF16_TILE, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(4, x + 2 * BF16_TILE, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    left += BF16_TILE, right += BF16_TILE, x += BF16_PARTS * BF16_TILE;
  }
  _tile_stored(0, left_sums, 64);
  _tile_stored(1, right_sums, 64);
}

/// Up to 512 tokens of split `x` × up to 8 tiles of rows [row, end).
static void ingot_bf16_rows(
    const uint16_t *w, int64_t rows, int64_t columns, int64_t row, int64_t end, const uint16_t *x,
    int64_t tokens, float *out, uint16_t *panel, float *sums) {
  const int64_t tiles = (end - row + INGOT_LANES - 1) / INGOT_LANES;
  const int64_t padded = (tokens + 15) / 16 * 16, token_size = ingot_bf16_steps(columns) * BF16_PARTS;
  memset(sums, 0, (size_t)((tiles + 1) / 2 * 2 * padded * INGOT_LANES) * sizeof *sums);
  for (int64_t first = 0; first < columns; first += BF16_STRIP) {
    const int64_t rest = columns - first, width = rest < BF16_STRIP ? rest : BF16_STRIP;
    for (int64_t i = 0; i < tiles; i++)
      ingot_bf16_panel(
          w, columns, row + i * INGOT_LANES, end, first, width, panel + i * BF16_STRIP * INGOT_LANES);
    for (int64_t t = 0; t < padded; t += 16)
      for (int64_t i = 0; i < tiles; i += 2) {
        const int64_t other = i + 1 < tiles ? i + 1 : i;
        float *to = sums + (i * padded + t) * INGOT_LANES;
        // A tile that is not there adds to sums that nobody reads.
        ingot_bf16_square(
            panel + i * BF16_STRIP * INGOT_LANES, panel + other * BF16_STRIP * INGOT_LANES,
            x + (t / 16 * token_size + first / BF16_COLUMNS * BF16_PARTS) * BF16_TILE,
            ingot_bf16_steps(width), to, to + padded * INGOT_LANES);
      }
  }
  ingot_write_sums(sums, padded * INGOT_LANES, row, end, tokens, 1, out, rows);
}

void ingot_multiply_bf16_amx(
    const void *weights, int64_t rows, int64_t columns, int64_t first, int64_t end,
    const uint16_t *x, int64_t tokens, float *out, void *scratch) {
  ingot_shape_tiles(INGOT_TILE_COLUMNS, 16);
  if (tokens <= BF16_FEW_TOKENS) {
    const bf16_few few = {weights, rows, columns, end, x, tokens, out};
    ingot_multiply_bf16_few(&few, first);
    _tile_release();
    return;
  }
  uint16_t *panel = scratch;
  float *sums = (float *)(panel + BF16_PANEL);
  for (int64_t from = 0; from < tokens; from += BF16_TOKENS) {
    const int64_t left = tokens - from, count = left < BF16_TOKENS ? left : BF16_TOKENS;
    const uint16_t *part =
        x + from / 16 * ingot_bf16_steps(columns) * BF16_PARTS * BF16_TILE;
    for (int64_t row = first; row < end; row += BF16_TILES * INGOT_LANES) {
      const int64_t last = row + BF16_TILES * INGOT_LANES;
      ingot_bf16_rows(
          weights, rows, columns, row, last < end ? last : end, part, count, out + from * rows,
          panel, sums);
    }
  }
  _tile_release();
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
