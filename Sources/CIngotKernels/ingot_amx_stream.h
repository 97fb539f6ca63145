// Up to 64 tokens: weights come straight from memory, two tiles and one block of columns at a time.
// While the tile unit multiplies a share of them, the vector unit turns the products of the block
// before into floats and unpacks a share that follows. Small shares in turn, because a processor does
// not look far enough ahead to find one unit's work behind much of the other's. Included below a target
// attribute.

enum {
  /// Up to here the activations of one block of columns stay in the first-level cache.
  STREAM_TOKENS = 64,
  /// Blocks on their way to the first-level cache, after the one that follows.
  STREAM_AHEAD = 2,
  /// Most products of a block and 16 tokens.
  STREAM_DOTS = INGOT_BLOCK / 32 * 2 * INGOT_LANES * INGOT_LANES
};

typedef struct ingot_stream {
  const ingot_tiled *w;
  const ingot_activations *x;
  int64_t end_tile;
  /// Unpacked codes (`ingot_share_offset`) of two blocks used in turn, of one if not `is_long`.
  uint8_t *codes[2];
  /// Products of two squares used in turn, `[group or plane][tile][token][16 rows]`.
  int32_t *dots[2];
  /// `[16 tokens of all][tile][token][16 rows]`
  float *sums;
} ingot_stream;

/// One block of up to 16 tokens × two tiles.
typedef struct ingot_stream_square {
  /// Unpacked codes, and mapped codes of int8.
  const uint8_t *codes;
  const uint8_t *mapped[2];
  /// `[column / 64][16 tokens][64 columns]`
  const int8_t *tokens;
  int32_t *dots;
} ingot_stream_square;

/// Products of a square that are to be added to the sums; the last of them may be stored while the next square is
/// multiplied.
typedef struct ingot_stream_products {
  int32_t *dots;
  /// Where each tile's scales start, and which group is the first.
  const uint8_t *scales[2];
  int64_t group;
  const float *token_scales;
  float *sums;
} ingot_stream_products;

/// Scales of two tiles' groups in one block.
typedef __m512 ingot_stream_scales[2][INGOT_BLOCK / 32];

INGOT_INLINE void ingot_stream_read_scales(
    const ingot_stream *s, const ingot_stream_products *products, ingot_form form,
    ingot_stream_scales scales) {
  if (form.is_exact) return;
  INGOT_UNROLL
  for (int g = 0; g < form.groups; g++) {
    scales[0][g] = ingot_scales(s->w, products->scales[0], products->group + g, 0);
    scales[1][g] = ingot_scales(s->w, products->scales[1], products->group + g, 0);
  }
}

/// Loads a share into the tile registers: activations in 4 and 5, weights in 6.
INGOT_INLINE void ingot_stream_load(
    const ingot_stream_square *now, ingot_form form, ingot_share share) {
  const int column = INGOT_BLOCK / ingot_steps(form) * share.step;
  const uint8_t *const codes =
      form.kind == INGOT_INT8
          ? now->mapped[share.tile] + column * INGOT_LANES
          : now->codes + ingot_share_offset(form, share) + share.plane * STREAM_CODES;
  const int8_t *const tokens = now->tokens + ingot_token_offset(column);
  if (share.tile == 0 && share.plane == 0) {
    if (ingot_is_deep(form) && share.step == 1) _tile_loadd(5, tokens, INGOT_TILE_COLUMNS);
    else _tile_loadd(4, tokens, INGOT_TILE_COLUMNS);
  }
  _tile_loadd(6, codes, 64);
}

/// Whether products are stored a share after they are complete, so that stores do not wait for the tile unit:
/// a tenth to a fifth faster. Groups of 128 with up to 16 tokens, which have few products, are slower so.
INGOT_INLINE int ingot_stores_late(ingot_form form) { return form.groups > 1 || form.is_long; }

/// The tile register with a share's products: of exact sums one for each plane, else one for each tile where
/// those of both are there at the same time.
INGOT_INLINE int ingot_sum_register(ingot_form form, ingot_share share) {
  return form.is_exact ? share.plane : ingot_stores_late(form) ? share.tile : 0;
}

/// Multiplies it.
INGOT_INLINE void ingot_stream_multiply(ingot_form form, ingot_share share) {
  const int is_second = ingot_is_deep(form) && share.step == 1;
  if (ingot_sum_register(form, share) == 0) {
    if (!is_second) _tile_zero(0);
    if (is_second) _tile_dpbssd(0, 5, 6);
    else _tile_dpbssd(0, 4, 6);
  } else {
    if (!is_second) _tile_zero(1);
    if (share.plane && is_second) _tile_dpbsud(1, 5, 6);
    else if (share.plane) _tile_dpbsud(1, 4, 6);
    else if (is_second) _tile_dpbssd(1, 5, 6);
    else _tile_dpbssd(1, 4, 6);
  }
}

/// Products that were complete with a share to memory.
INGOT_INLINE void ingot_stream_store(int32_t *dots, ingot_form form, ingot_share share) {
  const int size = form.tokens * INGOT_LANES;
  if (ingot_is_deep(form) && share.step == 0) return;
  const int place = form.is_exact          ? 2 * share.plane + share.tile
                    : ingot_is_deep(form) ? share.tile
                                           : 2 * share.step + share.tile;
  if (ingot_sum_register(form, share) == 0) _tile_stored(0, dots + place * size, 64);
  else _tile_stored(1, dots + place * size, 64);
}

/// Stores what share `index` of a square has completed, or the share before it: before the first comes the last
/// one of the square before.
INGOT_INLINE void ingot_stream_store_at(
    const ingot_stream_square *now, const ingot_stream_products *before, ingot_form form,
    int index) {
  const int late = ingot_stores_late(form);
  if (late && index == 0)
    ingot_stream_store(before->dots, form, ingot_share_at(form, ingot_shares(form) - 1));
  else ingot_stream_store(now->dots, form, ingot_share_at(form, index - late));
}

/// One token's sum over a block, before its own scale; `dots` at its first group or plane.
INGOT_INLINE __m512 ingot_stream_sum(
    const int32_t *dots, const __m512 *scales, ingot_form form) {
  const int size = 2 * form.tokens * INGOT_LANES;
  if (form.is_exact)
    return _mm512_cvtepi32_ps(_mm512_add_epi32(
        _mm512_slli_epi32(_mm512_load_si512(dots), 8), _mm512_load_si512(dots + size)));
  // The first product equals an FMA onto zero: the sign of a zero is lost in the sum.
  __m512 sum = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_load_si512(dots)), scales[0]);
  INGOT_UNROLL
  for (int g = 1; g < form.groups; g++)
    sum = _mm512_fmadd_ps(
        _mm512_cvtepi32_ps(_mm512_load_si512(dots + g * size)), scales[g], sum);
  return sum;
}

/// Adds share `share` of `shares` of a square's products to `totals`, `[tile][token]`, or to the sums
/// in memory.
INGOT_INLINE void ingot_stream_finish(
    const ingot_stream_products *products, ingot_form form, ingot_stream_scales scales, int share,
    int shares, __m512 *totals) {
  const int count = 2 * form.tokens / shares;
  INGOT_UNROLL
  for (int i = share * count; i < (share + 1) * count; i++) {
    const __m512 sum = ingot_stream_sum(
        products->dots + i * INGOT_LANES, scales[i / form.tokens], form);
    const __m512 scale = _mm512_set1_ps(products->token_scales[i % form.tokens]);
    if (form.tokens == 8) {
      totals[i] = _mm512_fmadd_ps(sum, scale, totals[i]);
    } else {
      float *const to = products->sums + i * INGOT_LANES;
      _mm512_store_ps(to, _mm512_fmadd_ps(sum, scale, _mm512_load_ps(to)));
    }
  }
}

typedef void ingot_stream_more_function(
    const ingot_stream *s, const ingot_stream_square *now, const ingot_stream_products *before);

/// Two tiles' blocks; in a matrix that ends with one tile, twice the same.
typedef struct ingot_stream_pair {
  ingot_packed of[2];
} ingot_stream_pair;

/// The first blocks of a pair of tiles, or of the last tiles.
INGOT_INLINE ingot_stream_pair ingot_stream_pair_at(const ingot_stream *s, int64_t tile) {
  ingot_stream_pair pair;
  for (int i = 0; i < 2; i++) {
    const int64_t at = tile + i < s->end_tile ? tile + i : s->end_tile - 1;
    const uint8_t *const bytes = ingot_tile(s->w, at);
    pair.of[i] = (ingot_packed){bytes, bytes + s->w->code_offset, 0};
  }
  return pair;
}

/// The same for tiles beyond the last one of this product, as long as the matrix has them: the thread's next
/// product is most often theirs.
INGOT_INLINE ingot_stream_pair ingot_stream_pair_beyond(const ingot_stream *s, int64_t tile) {
  ingot_stream all = *s;
  all.end_tile = (s->w->rows + INGOT_LANES - 1) / INGOT_LANES;
  return ingot_stream_pair_at(&all, tile);
}

/// The blocks after those of a pair; after the last, the first ones of `after`.
INGOT_INLINE ingot_stream_pair ingot_stream_pair_after(
    const ingot_stream *s, const ingot_stream_pair *pair, const ingot_stream_pair *after,
    ingot_form form) {
  ingot_stream_pair next = *pair;
  if ((pair->of[0].block + 1) * INGOT_BLOCK == s->w->columns) return *after;
  for (int i = 0; i < 2; i++) {
    next.of[i].codes += ingot_packed_bytes(form);
    next.of[i].block++;
  }
  return next;
}

/// Lines [first, end) of runs of memory `stride` bytes apart that are fetched early: 8 runs, or 2 that are
/// only scales.
typedef struct ingot_stream_lines {
  const char *runs;
  int64_t stride, first, end;
  int32_t is_scales;
} ingot_stream_lines;

/// What is fetched of a pair of tiles during block `block` of the pair before: all of them, or their
/// scales where 8 runs are not as many pages.
INGOT_INLINE ingot_stream_lines ingot_stream_lines_of(
    const ingot_tiled *w, const ingot_stream_pair *pair, int64_t block, int64_t blocks) {
  const int is_scales = 2 * w->tile_bytes < INGOT_FETCH_RUNS * INGOT_PAGE;
  const int64_t all = w->tile_bytes / 32;
  const int64_t lines =
      is_scales ? w->code_offset / 64 : (all + INGOT_FETCH_RUNS - 1) / INGOT_FETCH_RUNS;
  return (ingot_stream_lines){
      (const char *)pair->of[0].tile, is_scales ? w->tile_bytes : 64 * lines,
      lines * block / blocks, lines * (block + 1) / blocks, is_scales};
}

/// Fetches share `share` of `shares` of them.
INGOT_INLINE void ingot_stream_fetch(const ingot_stream_lines *lines, int share, int shares) {
  const int64_t count = lines->end - lines->first;
  for (int64_t i = count * share / shares; i < count * (share + 1) / shares; i++) {
    const char *const line = lines->runs + 64 * (lines->first + i);
    if (lines->is_scales) {
      __builtin_prefetch(line, 0, 2);
      __builtin_prefetch(line + lines->stride, 0, 2);
    } else {
      ingot_fetch_lines(line, lines->stride);
    }
  }
}

/// What a block's kernel unpacks and fetches besides.
typedef struct ingot_stream_supply {
  ingot_stream_pair now, next;
  /// Packed blocks that are to be fetched into the first-level cache.
  const uint8_t *ahead[2];
  /// What is to be fetched from memory.
  ingot_stream_lines lines;
  __m512i levels;
  /// Where shares of the next block are unpacked to.
  uint8_t *codes;
} ingot_stream_supply;

/// Multiplies a block of up to 16 tokens while the one before is finished and more is unpacked.
INGOT_INLINE void ingot_stream_block(
    const ingot_stream *s, const ingot_stream_square *now, const ingot_stream_products *before,
    const ingot_stream_supply *supply, ingot_form form, __m512 *totals) {
  const int shares = ingot_shares(form);
  ingot_stream_scales scales;
  ingot_stream_read_scales(s, before, form, scales);
  ingot_plane_scales plane_scales = {0};
  INGOT_UNROLL
  for (int i = 0; i < shares; i++) {
    const ingot_share share = ingot_share_at(form, i), other = ingot_share_ahead(form, i);
    ingot_stream_load(now, form, share);
    ingot_stream_finish(before, form, scales, i, shares, totals);
    ingot_stream_multiply(form, share);
    ingot_stream_fetch(&supply->lines, i, shares);
    if (share.plane == 0) ingot_fetch_packed(supply->ahead[share.tile], form, share.step);
    const ingot_stream_pair *const from = other.is_next ? &supply->next : &supply->now;
    ingot_unpack_share(
        s->w, &from->of[other.tile], form, supply->levels, other, &plane_scales, supply->codes);
    ingot_stream_store_at(now, before, form, i);
  }
}

/// Multiplies the block that is unpacked already by more tokens.
INGOT_INLINE void ingot_stream_more(
    const ingot_stream *s, const ingot_stream_square *now, const ingot_stream_products *before,
    ingot_form form) {
  const int shares = ingot_shares(form);
  ingot_stream_scales scales;
  ingot_stream_read_scales(s, before, form, scales);
  INGOT_UNROLL
  for (int i = 0; i < shares; i++) {
    const ingot_share share = ingot_share_at(form, i);
    ingot_stream_load(now, form, share);
    ingot_stream_finish(before, form, scales, i, shares, 0);
    ingot_stream_multiply(form, share);
    ingot_stream_store_at(now, before, form, i);
  }
}

/// Writes the sums of the pair of tiles from `tile` on.
static void ingot_stream_write_sums(
    const ingot_stream *s, int64_t tile, int64_t tokens_at_a_time, float *out) {
  const int64_t rows = s->w->rows, tokens = s->x->tokens, row = tile * INGOT_LANES;
  const int64_t end = (tile + 2 < s->end_tile ? tile + 2 : s->end_tile) * INGOT_LANES;
  const float *sums = s->sums;
  for (int64_t t = 0; t < tokens; t += 16, sums += 2 * tokens_at_a_time * INGOT_LANES)
    ingot_write_sums(
        sums, tokens_at_a_time * INGOT_LANES, row, end < rows ? end : rows,
        tokens - t < 16 ? tokens - t : 16, ingot_row_factor(s->w), out + t * rows, rows);
}

INGOT_INLINE void ingot_stream_write(
    const ingot_stream *s, int64_t tile, ingot_form form, const __m512 *totals, float *out) {
  if (form.tokens == 8) {
    INGOT_UNROLL
    for (int i = 0; i < 16; i++) _mm512_store_ps(s->sums + i * INGOT_LANES, totals[i]);
  }
  ingot_stream_write_sums(s, tile, form.tokens, out);
}

/// All tiles from `first` on, in pairs.
INGOT_INLINE void ingot_stream_run(
    const ingot_stream *s, int64_t first, ingot_form form, ingot_stream_more_function *more,
    float *out) {
  const ingot_tiled *const w = s->w;
  const ingot_activations *const x = s->x;
  const int64_t blocks = w->columns / INGOT_BLOCK, bytes = ingot_packed_bytes(form);
  const int64_t parts = form.is_long ? (x->tokens + 15) / 16 : 1;
  const int64_t size = 2 * form.tokens * INGOT_LANES;
  ingot_stream_supply supply = {
      .now = ingot_stream_pair_at(s, first), .levels = ingot_form_levels(w, form)};
  ingot_plane_scales plane_scales = {0};
  INGOT_UNROLL
  for (int i = 0; i < (form.is_long ? ingot_shares(form) : 2 * ingot_planes(form)); i++) {
    const ingot_share share = ingot_share_at(form, i);
    ingot_unpack_share(
        w, &supply.now.of[share.tile], form, supply.levels, share, &plane_scales, s->codes[0]);
  }
  __m512 totals[16];
  INGOT_UNROLL
  for (int i = 0; i < 16; i++) totals[i] = _mm512_setzero_ps();
  // Before the first block nothing is pending; what lies in memory is added to sums that start later.
  ingot_stream_products before = {
      s->dots[0], {supply.now.of[0].tile, supply.now.of[1].tile}, 0, x->scales, s->sums};
  int64_t count = 0;
  for (int64_t tile = first; tile < s->end_tile; tile += 2) {
    const ingot_stream_pair after = ingot_stream_pair_at(s, tile + 2);
    const ingot_stream_pair fetched = ingot_stream_pair_beyond(s, tile + 2);
    for (int i = 0; i < 2; i++)
      supply.ahead[i] = supply.now.of[i].codes + (1 + STREAM_AHEAD) * bytes;
    for (int64_t block = 0; block < blocks; block++, count++) {
      const int64_t parity = form.is_long ? count & 1 : 0;
      ingot_stream_square square = {
          .codes = s->codes[parity],
          .mapped = {supply.now.of[0].codes, supply.now.of[1].codes},
          .tokens = x->codes + block * STREAM_CODES,
          .dots = s->dots[count * parts & 1]};
      supply.codes = s->codes[form.is_long ? 1 - parity : 0];
      supply.next = ingot_stream_pair_after(s, &supply.now, &after, form);
      for (int i = 0; i < 2; i++)
        if (block + 1 + STREAM_AHEAD == blocks) supply.ahead[i] = after.of[i].codes;
      supply.lines = ingot_stream_lines_of(w, &fetched, block, blocks);
      ingot_stream_block(s, &square, &before, &supply, form, totals);
      for (int i = 0; i < 2; i++) supply.ahead[i] += bytes;
      if (block == 0) {
        // The last block of the pair before has been added just now.
        if (tile > first) ingot_stream_write(s, tile - 2, form, totals, out);
        INGOT_UNROLL
        for (int i = 0; i < 16; i++) totals[i] = _mm512_setzero_ps();
        if (form.tokens != 8) memset(s->sums, 0, (size_t)(parts * size) * sizeof *s->sums);
      }
      before = (ingot_stream_products){
          square.dots, {supply.now.of[0].tile, supply.now.of[1].tile}, block * form.groups,
          x->scales + block * x->padded_tokens, s->sums};
      for (int64_t part = 1; part < parts; part++) {
        square.tokens += 16 * x->token_stride;
        square.dots = s->dots[(count * parts + part) & 1];
        more(s, &square, &before);
        before.dots = square.dots;
        before.token_scales += 16;
        before.sums += size;
      }
      supply.now = supply.next;
    }
  }
  ingot_stream_scales scales;
  ingot_stream_read_scales(s, &before, form, scales);
  if (ingot_stores_late(form))
    ingot_stream_store(before.dots, form, ingot_share_at(form, ingot_shares(form) - 1));
  ingot_stream_finish(&before, form, scales, 0, 1, totals);
  ingot_stream_write(s, first + (s->end_tile - 1 - first) / 2 * 2, form, totals, out);
}

// One function for each form: with all of them in one, compilers keep fewer values in registers.

#define INGOT_STREAM_FORM(name, kind, groups, is_exact) \
  static __attribute__((noinline)) void ingot_stream_##name##_more( \
      const ingot_stream *s, const ingot_stream_square *now, \
      const ingot_stream_products *before) { \
    ingot_stream_more(s, now, before, (ingot_form){kind, groups, is_exact, 16, 1}); \
  } \
  static __attribute__((noinline)) void ingot_stream_##name##_long( \
      const ingot_stream *s, int64_t first, float *out) { \
    ingot_stream_run( \
        s, first, (ingot_form){kind, groups, is_exact, 16, 1}, ingot_stream_##name##_more, out); \
  } \
  static __attribute__((noinline)) void ingot_stream_##name##_16( \
      const ingot_stream *s, int64_t first, float *out) { \
    ingot_stream_run(s, first, (ingot_form){kind, groups, is_exact, 16, 0}, 0, out); \
  } \
  static __attribute__((noinline)) void ingot_stream_##name##_8( \
      const ingot_stream *s, int64_t first, float *out) { \
    ingot_stream_run(s, first, (ingot_form){kind, groups, is_exact, 8, 0}, 0, out); \
  } \
  static void ingot_stream_##name(const ingot_stream *s, int64_t first, float *out) { \
    if (s->x->tokens <= 8) ingot_stream_##name##_8(s, first, out); \
    else if (s->x->tokens <= 16) ingot_stream_##name##_16(s, first, out); \
    else ingot_stream_##name##_long(s, first, out); \
  }

#define INGOT_STREAM_KIND(name, kind) \
  INGOT_STREAM_FORM(name##_g32, kind, 4, 0) \
  INGOT_STREAM_FORM(name##_g64, kind, 2, 0) \
  INGOT_STREAM_FORM(name##_g128, kind, 1, 0) \
  static void ingot_stream_##name(const ingot_stream *s, int64_t first, float *out) { \
    if (s->w->group == 32) ingot_stream_##name##_g32(s, first, out); \
    else if (s->w->group == 64) ingot_stream_##name##_g64(s, first, out); \
    else ingot_stream_##name##_g128(s, first, out); \
  }

INGOT_STREAM_KIND(int8, INGOT_INT8)
INGOT_STREAM_KIND(int6, INGOT_INT6)
INGOT_STREAM_KIND(int4, INGOT_INT4)
INGOT_STREAM_KIND(int4z, INGOT_INT4Z)
INGOT_STREAM_KIND(cb4, INGOT_CB4)
INGOT_STREAM_FORM(exact, INGOT_CB4, 8, 1)

/// Whether a product is one for this kernel.
static int ingot_is_stream(const ingot_tiled *w, const ingot_activations *x) {
  return x->tokens <= STREAM_TOKENS && w->columns % INGOT_BLOCK == 0
         && !(ingot_is_exact(w) && ingot_has_lowest_level(w));
}

static void ingot_multiply_stream(
    const ingot_tiled *w, const ingot_activations *x, int64_t first, int64_t end, float *out,
    void *scratch) {
  uint8_t *const codes = scratch;
  int32_t *const dots = (int32_t *)(codes + 8 * STREAM_CODES);
  const ingot_stream s = {
      w, x, end, {codes, codes + 4 * STREAM_CODES}, {dots, dots + STREAM_DOTS},
      (float *)(dots + 2 * STREAM_DOTS)};
  _Static_assert(
      8 * STREAM_CODES + 4 * (2 * STREAM_DOTS + 2 * STREAM_TOKENS * INGOT_LANES)
          <= INGOT_MULTIPLY_SCRATCH,
      "does not fit in the scratch memory");
  ingot_shape_tiles(
      ingot_is_exact(w) || w->group > INGOT_TILE_COLUMNS ? INGOT_TILE_COLUMNS : w->group,
      x->tokens < 16 ? x->tokens : 16);
  if (ingot_is_exact(w)) {
    ingot_stream_exact(&s, first, out);
    return;
  }
  switch (w->kind) {
    case INGOT_INT8: ingot_stream_int8(&s, first, out); break;
    case INGOT_INT6: ingot_stream_int6(&s, first, out); break;
    case INGOT_INT4: ingot_stream_int4(&s, first, out); break;
    case INGOT_INT4Z: ingot_stream_int4z(&s, first, out); break;
    default: ingot_stream_cb4(&s, first, out);
  }
}
