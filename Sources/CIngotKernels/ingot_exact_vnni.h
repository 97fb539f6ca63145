// For the VNNI kernel: exact sums (`ingot_is_exact`), where groups of 16 columns are short enough that their
// levels stay in registers while one token after another meets them. Included below a target attribute.

enum {
  /// Columns and vectors of four columns of a group.
  EXACT_GROUP = 16,
  EXACT_ATOMS = 4,
  /// Bytes of the codes of a group of one tile.
  EXACT_BYTES = 128,
  /// Tokens whose sums one call keeps in registers, with one or two tiles.
  EXACT_TOKENS = 8
};

/// The levels of a group of one tile as unsigned bytes, in the order of its columns.
INGOT_INLINE void ingot_exact_levels(
    const uint8_t *codes, __m512i levels, __m512i to[EXACT_ATOMS]) {
  const __m512i first = _mm512_loadu_si512(codes), second = _mm512_loadu_si512(codes + 64);
  ingot_split_nibbles(first, levels, 1, &to[0], &to[2]);
  ingot_split_nibbles(second, levels, 1, &to[1], &to[3]);
}

/// One group × one token: scales · (levels · activations) of `tiles` tiles joins `sums`. `a` points at the
/// token's activations in a quad, `offset` is where unsigned products start.
INGOT_INLINE void ingot_exact_token(
    const __m512i (*levels)[EXACT_ATOMS], const __m512i *scales, const int8_t *a, int32_t offset,
    __m512i *sums, int tiles) {
  __m512i dots[2];
  INGOT_UNROLL
  for (int i = 0; i < tiles; i++) dots[i] = _mm512_set1_epi32(offset);
  INGOT_UNROLL
  for (int k = 0; k < EXACT_ATOMS; k++) {
    const __m512i v = ingot_quad(a + 16 * k, 0, 0);
    INGOT_UNROLL
    for (int i = 0; i < tiles; i++) dots[i] = _mm512_dpbusd_epi32(dots[i], levels[i][k], v);
  }
  INGOT_UNROLL
  for (int i = 0; i < tiles; i++)
    sums[i] = _mm512_add_epi32(sums[i], _mm512_mullo_epi32(dots[i], scales[i]));
}

/// One tile × `tokens` tokens straight from the mapped bytes: `out` gets `[token][16 rows]`.
INGOT_INLINE void ingot_exact_tile(
    const ingot_tiled *w, const uint8_t *tile, const ingot_activations *x, float *out, int tokens) {
  const int64_t columns = w->columns, padded = x->padded_tokens;
  const int64_t quad_stride = 4 * x->token_stride;
  const __m512i table = ingot_levels_u8(w);
  const uint8_t *codes = tile + w->code_offset;
  const int8_t *quad = x->codes;
  const int32_t *offsets = x->offsets[0];
  int64_t index = 0;
  ingot_fetch_ahead(tile, w->code_offset);
  __m512 totals[EXACT_TOKENS];
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++) totals[t] = _mm512_setzero_ps();
  for (int64_t start = 0; start < columns; start += INGOT_BLOCK) {
    const int64_t end = start + INGOT_BLOCK < columns ? start + INGOT_BLOCK : columns;
    __m512i sums[EXACT_TOKENS];
    INGOT_UNROLL
    for (int t = 0; t < tokens; t++) sums[t] = _mm512_setzero_si512();
    for (int64_t column = start; column < end; column += EXACT_GROUP, index++) {
      ingot_fetch_ahead(codes, EXACT_BYTES);
      __m512i levels[1][EXACT_ATOMS];
      ingot_exact_levels(codes, table, levels[0]);
      const __m512i scale = ingot_integer_scales(tile, index);
      INGOT_UNROLL
      for (int t = 0; t < tokens; t++)
        ingot_exact_token(
            levels, &scale, quad + t / 4 * quad_stride + t % 4 * 4, offsets[t], &sums[t], 1);
      codes += EXACT_BYTES;
      quad += 4 * EXACT_GROUP;
      offsets += padded;
    }
    const float *scales = x->scales + start / INGOT_BLOCK * padded;
    INGOT_UNROLL
    for (int t = 0; t < tokens; t++)
      totals[t] =
          _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[t]), _mm512_set1_ps(scales[t]), totals[t]);
  }
  ingot_store_totals(w, totals, out, tokens);
}
