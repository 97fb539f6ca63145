// For the VNNI kernel: more than a few tokens, two tiles at a time, panel by panel along the columns. Included
// below a target attribute.

/// Tokens whose sums lie in scratch memory at a time.
enum { PANEL_TOKENS = 512 };

/// What a thread keeps in its scratch memory.
typedef struct ingot_panel_memory {
  uint8_t codes[2][PANEL_BYTES / 2];
  /// Groups have at least 16 columns.
  float scales[2][PANEL_COLUMNS];
  /// `[token][32 rows]`
  float sums[PANEL_TOKENS * 2 * INGOT_LANES];
} ingot_panel_memory;
_Static_assert(sizeof(ingot_panel_memory) <= INGOT_MULTIPLY_SCRATCH, "scratch memory is too small");

/// Whether codes are unpacked once for all tokens.
INGOT_INLINE int ingot_is_unpacked(const ingot_tiled *w, int64_t tokens) {
  if (ingot_shares_ports) return w->kind == INGOT_INT6 || tokens >= UNPACK_TOKENS_SHARED;
  return tokens >= (w->kind == INGOT_INT4Z ? UNPACK_TOKENS_ZEROS : UNPACK_TOKENS);
}

/// Columns from `first` on that make a panel.
INGOT_INLINE int64_t ingot_panel_width(const ingot_tiled *w, int is_unpacked, int64_t first) {
  const int64_t bytes = is_unpacked ? INGOT_LANES : ingot_code_bytes(w, 1);
  const int64_t most = PANEL_BYTES / 2 / bytes / INGOT_BLOCK * INGOT_BLOCK;
  const int64_t rest = w->columns - first;
  return rest < most ? rest : most;
}

/// Columns [first, first + columns) of two tiles.
static ingot_panel ingot_prepare_panel(
    const ingot_tiled *w, const int64_t tiles[2], int is_unpacked, int64_t first, int64_t columns,
    ingot_panel_memory *memory) {
  ingot_panel panel = {
      .levels = ingot_levels_u8(w),
      .first_column = first,
      .columns = columns,
      .group = w->group,
      .kind = is_unpacked ? UNPACKED : w->kind,
      .is_exact = ingot_is_exact(w),
      .is_wide = !ingot_is_exact(w) && ingot_shares_ports};
  for (int i = 0; i < 2; i++) {
    const uint8_t *tile = ingot_tile(w, tiles[i]);
    ingot_unpack(
        w, tile, first, columns, 0x80, is_unpacked ? memory->codes[i] : 0, memory->scales[i]);
    panel.codes[i] =
        is_unpacked ? memory->codes[i] : tile + w->code_offset + ingot_code_bytes(w, first);
    panel.zeros[i] = tile + w->zero_offset + first / w->group * INGOT_LANES;
    panel.scales[i] = memory->scales[i];
  }
  return panel;
}

/// The most tokens that one call takes.
INGOT_INLINE int64_t ingot_most_tokens(const ingot_panel *panel) {
  return panel->is_exact ? EXACT_TOKENS : panel->is_wide ? WIDE_TOKENS : BLOCK_TOKENS;
}

/// How often one call fetches a share of the next panel: for each block, or for each group where it has so many tokens
/// that a block's share would be more lines than the first-level cache waits for at a time.
INGOT_INLINE int64_t ingot_fetch_steps(const ingot_panel *panel) {
  const int64_t step = panel->is_wide ? panel->group : INGOT_BLOCK;
  return (panel->columns + step - 1) / step;
}

/// How many of `left` tokens one call takes: as many as fit in registers, or fewer where that leaves fewer
/// over.
INGOT_INLINE int64_t ingot_call_tokens(const ingot_panel *panel, int64_t left) {
  if (panel->is_exact && left > BLOCK_TOKENS) return EXACT_TOKENS;
  if (panel->is_wide) {
    // 13 to 16 are better twice 8 than 12 and 4.
    const int is_less = left <= LESS_WIDE_TOKENS || (left > 12 && left <= 16);
    return left <= 4 ? 4 : is_less ? LESS_WIDE_TOKENS : WIDE_TOKENS;
  }
  return left > 4 && left != 7 && left != 8 ? BLOCK_TOKENS : 4;
}

/// Tokens [first, end), and up to 3 beyond them. Writes results where `out` is given.
static void ingot_panel_tokens(
    const ingot_panel *panel, const ingot_activations *x, int64_t first, int64_t end,
    ingot_fetch *fetch, float *sums, const ingot_output *out) {
  for (int64_t t = first; t < end;) {
    const int64_t tokens = ingot_call_tokens(panel, end - t);
    const int64_t last = t + tokens < end ? t + tokens : end;
    float *at = sums + (t - first) * 2 * INGOT_LANES;
    if (out) ingot_fetch_output(out, t, last);
    ingot_block_tokens(panel, x, t, tokens, fetch, at);
    if (out) ingot_write_output(out, at, t, last);
    t += tokens;
  }
}

/// Two tiles × tokens [from, from + count); `next` are the two that come after them.
static void ingot_multiply_pair(
    const ingot_tiled *w, const ingot_activations *x, const int64_t tiles[2],
    const int64_t *next, int64_t from, int64_t count, const ingot_output *out,
    ingot_panel_memory *memory) {
  const int is_unpacked = ingot_is_unpacked(w, x->tokens);
  memset(memory->sums, 0, (size_t)(count + 3) / 4 * 4 * 2 * INGOT_LANES * sizeof *memory->sums);
  for (int64_t column = 0; column < w->columns;) {
    const int64_t width = ingot_panel_width(w, is_unpacked, column), end = column + width;
    const int is_last = end == w->columns;
    const ingot_panel panel = ingot_prepare_panel(w, tiles, is_unpacked, column, width, memory);
    ingot_fetch fetch = {.run = FETCH_RUNS};
    if (!is_last || next) {
      const int64_t start = is_last ? 0 : end;
      const int64_t most = ingot_most_tokens(&panel);
      const int64_t steps = (count + most - 1) / most * ingot_fetch_steps(&panel);
      fetch = ingot_plan_fetch(
          w, is_last ? next : tiles, start, start + ingot_panel_width(w, is_unpacked, start),
          steps);
    }
    ingot_panel_tokens(
        &panel, x, from, from + count, &fetch, memory->sums, is_last ? out : 0);
    column = end;
  }
}

/// All tokens × tiles [first, end). Fetches the first panel beyond them too, which the same thread often
/// multiplies next.
static void ingot_multiply_panels(
    const ingot_tiled *w, const ingot_activations *x, int64_t first, int64_t end, float *out,
    void *scratch) {
  const int64_t all_tiles = (w->rows + INGOT_LANES - 1) / INGOT_LANES;
  for (int64_t from = 0; from < x->tokens; from += PANEL_TOKENS) {
    const int64_t left = x->tokens - from, count = left < PANEL_TOKENS ? left : PANEL_TOKENS;
    for (int64_t tile = first; tile < end; tile += 2) {
      // A tile alone is its own neighbour, which writes nothing.
      const int64_t tiles[2] = {tile, tile + 1 < end ? tile + 1 : tile};
      const int64_t next[2] = {tile + 2, tile + 3 < all_tiles ? tile + 3 : tile + 2};
      const ingot_output rows = {
          .at = {out + tiles[0] * INGOT_LANES, out + tiles[1] * INGOT_LANES},
          .rows = w->rows,
          .live = {ingot_live_rows(w, tile, end), ingot_live_rows(w, tile + 1, end)},
          .factor = ingot_row_factor(w)};
      ingot_multiply_pair(
          w, x, tiles, next[0] < all_tiles ? next : 0, from, count, &rows, scratch);
    }
  }
}
