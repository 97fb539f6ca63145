// For the VNNI kernel: unpacking two weight tiles at a time into a panel of bytes that stays in the
// first-level cache while every token meets it. Included below a target attribute.

/// Columns of one panel: 2 tiles × 512 columns are 16 KiB.
enum { PANEL_COLUMNS = 512, PANEL_TOKENS = 512 };

/// Part of two neighbouring tiles with their codes as bytes and their scales as f32.
typedef struct ingot_panel {
  /// `[column / 4][16 rows][column % 4]`
  const uint8_t *codes[2];
  /// `[group][16 rows]`
  const float *scales[2];
  int64_t first_column;
  int64_t columns;
  int64_t group;
  /// `ingot_is_exact`: scales are integers in lanes of 32 bits, not floats.
  int32_t is_exact;
  /// Packed codes of the next panel, to be fetched while this one is multiplied.
  const uint8_t *next[2];
  int64_t next_bytes;
} ingot_panel;

/// Adds the products of a panel and tokens [first, end) to `out`, `[token][32 rows]`; the including file
/// defines it.
static void ingot_panel_tokens(
    const ingot_panel *panel, const ingot_activations *x, int64_t first, int64_t end, float *out);

/// Fetches share `part` of `parts` of the next panel into the second-level cache, so that memory
/// and arithmetic overlap also when tokens are few.
INGOT_INLINE void ingot_fetch_next(const ingot_panel *panel, int64_t part, int64_t parts) {
  const int64_t lines = panel->next_bytes / 64;
  for (int64_t i = lines * part / parts; i < lines * (part + 1) / parts; i++) {
    _mm_prefetch((const char *)panel->next[0] + 64 * i, _MM_HINT_T1);
    _mm_prefetch((const char *)panel->next[1] + 64 * i, _MM_HINT_T1);
  }
}

/// log2(group / 16)
INGOT_INLINE int ingot_level(int64_t group) { return __builtin_ctz((unsigned)group) - 4; }

/// Writes `count` tokens of one tile from rows of `stride` floats to the output matrix.
INGOT_INLINE void ingot_write_tile(
    const ingot_tiled *w, int64_t tile, const float *lanes, int64_t stride, int64_t first,
    int64_t count, float factor, float *out) {
  const int64_t live = w->rows - tile * INGOT_LANES;
  const __mmask16 mask = live >= INGOT_LANES ? 0xFFFF : (__mmask16)((1 << live) - 1);
  const __m512 f = _mm512_set1_ps(factor);
  out += first * w->rows + tile * INGOT_LANES;
  for (int64_t t = 0; t < count; t++)
    _mm512_mask_storeu_ps(
        out + t * w->rows, mask, _mm512_mul_ps(_mm512_loadu_ps(lanes + t * stride), f));
}

/// Where the codes of a tile from `column` on lie, and in `*bytes` how many belong to a panel.
INGOT_INLINE const uint8_t *ingot_packed_codes(
    const ingot_tiled *w, int64_t tile, int64_t column, int64_t *bytes) {
  const int64_t rest = w->columns - column;
  *bytes = ingot_code_bytes(w, rest < PANEL_COLUMNS ? rest : PANEL_COLUMNS);
  return ingot_tile(w, tile) + w->code_offset + ingot_code_bytes(w, column);
}

/// All tokens × tiles [first, end): two tiles and up to 512 tokens at a time, panel by panel along the
/// columns.
static void ingot_multiply_panels(
    const ingot_tiled *w, const ingot_activations *x, int64_t first, int64_t end, float *out,
    void *scratch) {
  uint8_t *codes = scratch;
  float *scales = (float *)(codes + 2 * PANEL_COLUMNS * INGOT_LANES);
  float *sums = scales + 2 * PANEL_COLUMNS / 16 * INGOT_LANES;
  const float factor = ingot_row_factor(w);
  for (int64_t from = 0; from < x->tokens; from += PANEL_TOKENS) {
    const int64_t left = x->tokens - from, count = left < PANEL_TOKENS ? left : PANEL_TOKENS;
    for (int64_t tile = first; tile < end; tile += 2) {
      const int64_t second = tile + 1 < end ? tile + 1 : tile;
      memset(sums, 0, (size_t)(count + 15) / 16 * 16 * 2 * INGOT_LANES * sizeof *sums);
      for (int64_t column = 0; column < w->columns; column += PANEL_COLUMNS) {
        const int64_t rest = w->columns - column;
        ingot_panel panel = {
            .first_column = column,
            .columns = rest < PANEL_COLUMNS ? rest : PANEL_COLUMNS,
            .group = w->group,
            .is_exact = ingot_is_exact(w)};
        for (int i = 0; i < 2; i++) {
          uint8_t *c = codes + i * PANEL_COLUMNS * INGOT_LANES;
          float *s = scales + i * PANEL_COLUMNS / 16 * INGOT_LANES;
          const uint8_t *bytes = ingot_tile(w, i == 0 ? tile : second);
          ingot_unpack(w, bytes, column, panel.columns, 0x80, c, s);
          panel.codes[i] = c;
          panel.scales[i] = s;
        }
        const int is_last = column + PANEL_COLUMNS >= w->columns;
        const int64_t next = is_last ? tile + 2 : tile;
        if (next < end) {
          const int64_t other = next + 1 < end ? next + 1 : next;
          const int64_t from_column = is_last ? 0 : column + PANEL_COLUMNS;
          panel.next[0] = ingot_packed_codes(w, next, from_column, &panel.next_bytes);
          panel.next[1] = ingot_packed_codes(w, other, from_column, &panel.next_bytes);
        }
        ingot_panel_tokens(&panel, x, from, from + count, sums);
      }
      ingot_write_tile(w, tile, sums, 2 * INGOT_LANES, from, count, factor, out);
      if (second != tile)
        ingot_write_tile(
            w, second, sums + INGOT_LANES, 2 * INGOT_LANES, from, count, factor, out);
    }
  }
}
