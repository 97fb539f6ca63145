// 16 tokens × 32 rows × one block of columns in the tile registers: a tile of activations meets two
// tiles of weights, and while the tile unit works on one such square the vector unit turns the
// products of the square before into floats. Included below a target attribute.
//
// Four tiles at a time (32 tokens × 32 rows) would load less, but measure slower: their products
// leave the first-level cache before they are finished.

/// Dot products of one square: `[group][weight tile][16 tokens][16 rows]`.
typedef int32_t ingot_dots[INGOT_BLOCK / 32][2][16][16];

typedef struct ingot_square {
  /// Codes of two weight tiles, `[column / 4][16 rows][column % 4]`.
  const uint8_t *codes[2];
  /// Their scales, `[group][16 rows]`.
  const float *scales[2];
  /// Activations, `[column / 64][16 tokens][64 columns]`, and their scales.
  const int8_t *tokens;
  const float *token_scales;
  /// Sums of each weight tile, `[token][16 rows]`.
  float *sums[2];
  int64_t groups;
} ingot_square;

/// Tokens [first, first + count) of one tile: float(dot) · scale summed over the groups, then
/// · token scale onto the sums.
INGOT_INLINE void ingot_finish_tokens(
    const ingot_square *square, ingot_dots dots, int tile, int first, int count, int groups) {
  __m512 scale[INGOT_BLOCK / 32];
  INGOT_UNROLL
  for (int g = 0; g < groups; g++)
    scale[g] = _mm512_load_ps(square->scales[tile] + g * INGOT_LANES);
  INGOT_UNROLL
  for (int t = first; t < first + count; t++) {
    // The first product equals an FMA onto zero: the sign of a zero is lost in the sum.
    __m512 sum =
        _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_load_si512(dots[0][tile][t])), scale[0]);
    INGOT_UNROLL
    for (int g = 1; g < groups; g++)
      sum = _mm512_fmadd_ps(
          _mm512_cvtepi32_ps(_mm512_load_si512(dots[g][tile][t])), scale[g], sum);
    float *to = square->sums[tile] + t * INGOT_LANES;
    _mm512_store_ps(
        to, _mm512_fmadd_ps(sum, _mm512_set1_ps(square->token_scales[t]), _mm512_load_ps(to)));
  }
}

/// Finishes a square.
static void ingot_square_finish(const ingot_square *square, ingot_dots dots) {
  for (int tile = 0; tile < 2; tile++)
    switch (square->groups) {
      case 1: ingot_finish_tokens(square, dots, tile, 0, 16, 1); break;
      case 2: ingot_finish_tokens(square, dots, tile, 0, 16, 2); break;
      case 3: ingot_finish_tokens(square, dots, tile, 0, 16, 3); break;
      default: ingot_finish_tokens(square, dots, tile, 0, 16, 4);
    }
}

/// Share `share` of `shares` of finishing a square of `groups` groups.
INGOT_INLINE void ingot_finish_share(
    const ingot_square *square, ingot_dots dots, int share, int shares, int groups) {
  const int count = 32 / shares, first = share * count;
  if (square) ingot_finish_tokens(square, dots, first / 16, first % 16, count, groups);
}

/// Bytes from the first column of a block to another.
INGOT_INLINE int64_t ingot_token_offset(int64_t column) {
  return column / INGOT_TILE_COLUMNS * INGOT_TILE_BYTES + column % INGOT_TILE_COLUMNS;
}

/// The products of `now`, one whole block, while `before` (if any, another such) is finished.
INGOT_INLINE void ingot_square_step(
    const ingot_square *now, ingot_dots dots, const ingot_square *before,
    ingot_dots dots_before, int groups) {
  const int group = INGOT_BLOCK / groups, depth = group < 64 ? group : 64;
  const int steps = group / depth, shares = 2 * groups * steps;
  int share = 0;
  INGOT_UNROLL
  for (int g = 0; g < groups; g++) {
    INGOT_UNROLL
    for (int k = 0; k < steps; k++) {
      const int column = g * group + k * depth, is_last = k == steps - 1;
      if (k == 0) _tile_zero(0);
      _tile_loadd(4, now->tokens + ingot_token_offset(column), INGOT_TILE_COLUMNS);
      _tile_loadd(6, now->codes[0] + column * INGOT_LANES, 64);
      _tile_dpbssd(0, 4, 6);
      ingot_finish_share(before, dots_before, share++, shares, groups);
      if (k == 0) _tile_zero(1);
      _tile_loadd(6, now->codes[1] + column * INGOT_LANES, 64);
      _tile_dpbssd(1, 4, 6);
      if (is_last) _tile_stored(0, dots[g][0], 64);
      ingot_finish_share(before, dots_before, share++, shares, groups);
      if (is_last) _tile_stored(1, dots[g][1], 64);
    }
  }
}

/// The products of a block with fewer columns than others.
static void ingot_square_products(const ingot_square *now, ingot_dots dots, int64_t group) {
  const int64_t depth = group < 64 ? group : 64;
  for (int64_t g = 0; g < now->groups; g++) {
    _tile_zero(0);
    _tile_zero(1);
    for (int64_t column = g * group; column < (g + 1) * group; column += depth) {
      _tile_loadd(4, now->tokens + ingot_token_offset(column), INGOT_TILE_COLUMNS);
      _tile_loadd(6, now->codes[0] + column * INGOT_LANES, 64);
      _tile_dpbssd(0, 4, 6);
      _tile_loadd(6, now->codes[1] + column * INGOT_LANES, 64);
      _tile_dpbssd(1, 4, 6);
    }
    _tile_stored(0, dots[g][0], 64);
    _tile_stored(1, dots[g][1], 64);
  }
}
