// For the NEON kernels: a product tile by tile, panel by panel along the columns. Included below a target
// attribute, behind
//
// * NEON_SCALES: vectors of a group's scales,
// * `ingot_neon_group(w, tile, index, room, scales)`: writes one group's scales, and returns its codes, mapped or
//   in `room`, as
// * `ingot_neon_quad` wants them: one tile's panel × four tokens, added to `out[token][16 rows]`.

enum { NEON_COLUMNS = 512, NEON_TOKENS = 512 };

/// One tile × tokens [first, end), panel by panel along the columns.
static void ingot_neon_tile(
    const ingot_tiled *w, const uint8_t *tile, const ingot_activations *x, int64_t first,
    int64_t end, float *sums, int8_t *unpacked) {
  const int8_t *codes[NEON_COLUMNS / 16];
  float32x4_t scales[NEON_COLUMNS / 16 * NEON_SCALES];
  memset(sums, 0, (size_t)((end - first + 3) / 4 * 4 * INGOT_LANES) * sizeof *sums);
  for (int64_t column = 0; column < w->columns; column += NEON_COLUMNS) {
    const int64_t rest = w->columns - column;
    const int64_t columns = rest < NEON_COLUMNS ? rest : NEON_COLUMNS;
    for (int64_t g = 0; g < columns / w->group; g++)
      codes[g] = ingot_neon_group(
          w, tile, column / w->group + g, unpacked + g * w->group * INGOT_LANES,
          scales + NEON_SCALES * g);
    for (int64_t t = first; t < end; t += 4) {
      float *to = sums + (t - first) * INGOT_LANES;
      if (ingot_is_exact(w)) ingot_neon_quad(w, codes, scales, x, t, column, columns, to, 1);
      else ingot_neon_quad(w, codes, scales, x, t, column, columns, to, 0);
    }
  }
}

static void ingot_neon_tiles(
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
