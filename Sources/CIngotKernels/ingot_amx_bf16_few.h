// bf16 weights × up to 32 tokens in the tile unit: weights go there as they lie in the file, rows of 32
// columns, and activations as pairs of columns, so that nothing is turned but the sums. Those of one
// block are written while the next is multiplied. Included below a target attribute.
//
// A tile has room for 16 tokens. Up to five use it for all three parts of theirs, which makes one product
// out of three; the sums of the parts are added at the end.

enum {
  /// Tokens whose parts lie side by side in a tile: part p of token t is column p · tokens + t.
  BF16_JOINT_TOKENS = 5,
  /// Beyond these, sums are collected strip by strip, and it is the weights that are turned.
  BF16_FEW_TOKENS = 32,
  /// Rows of one block, two tiles.
  BF16_BLOCK_ROWS = 32,
  /// Steps of 32 columns from the weights asked for to those multiplied.
  BF16_AHEAD = 4
};

/// Sums of a block, `[token / 16][row / 16][16 rows][16 tokens]`.
typedef float bf16_few_sums[4][256] __attribute__((aligned(64)));

typedef struct bf16_few {
  const uint16_t *weights;
  int64_t rows, columns;
  /// End of the rows wanted.
  int64_t end;
  /// `[token / 16][column / 32][part][pair][token % 16][column % 2]`; joint:
  /// `[column / 32][pair][16 columns of a tile][column % 2]`.
  const uint16_t *x;
  int64_t tokens;
  float *out;
} bf16_few;

/// What fills a tile: the parts of all tokens, one part of 16, or of 16 in each of two.
typedef enum bf16_form { BF16_JOINT, BF16_ONE, BF16_TWO } bf16_form;

INGOT_INLINE bf16_form ingot_bf16_form(int64_t tokens) {
  return tokens <= BF16_JOINT_TOKENS ? BF16_JOINT : tokens <= 16 ? BF16_ONE : BF16_TWO;
}

/// Numbers of x in a step of 32 columns of 16 tokens.
INGOT_INLINE int64_t ingot_bf16_step_size(bf16_form form) {
  return form == BF16_JOINT ? BF16_TILE : BF16_PARTS * BF16_TILE;
}

// MARK: activations

/// The upper halves of 32 numbers, which are taken off them: in each 128 bits those of four columns of
/// `low` and of four of `high`.
INGOT_INLINE __m512i ingot_take_bf16_pairs(__m512 *low, __m512 *high) {
  const __m512i upper = _mm512_set1_epi32((int)0xFFFF0000u);
  const __m512i a = _mm512_castps_si512(*low), b = _mm512_castps_si512(*high);
  *low = _mm512_sub_ps(*low, _mm512_castsi512_ps(_mm512_and_si512(a, upper)));
  *high = _mm512_sub_ps(*high, _mm512_castsi512_ps(_mm512_and_si512(b, upper)));
  return _mm512_packus_epi32(_mm512_srli_epi32(a, 16), _mm512_srli_epi32(b, 16));
}

/// What `ingot_take_bf16_pairs` gave of four tokens as `[pair][token]`, pairs 16 tokens apart.
INGOT_INLINE void ingot_store_bf16_pairs(const __m512i pairs[4], uint16_t *out) {
  const __m512i a = _mm512_unpacklo_epi32(pairs[0], pairs[1]);
  const __m512i b = _mm512_unpacklo_epi32(pairs[2], pairs[3]);
  const __m512i c = _mm512_unpackhi_epi32(pairs[0], pairs[1]);
  const __m512i d = _mm512_unpackhi_epi32(pairs[2], pairs[3]);
  const __m512i quads[4] = {
      _mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b), _mm512_unpacklo_epi64(c, d),
      _mm512_unpackhi_epi64(c, d)};
  INGOT_UNROLL
  for (int i = 0; i < 4; i++) {
    // Lane l of the four holds pair 2l, 2l + 1, 2l + 8 and 2l + 9.
    uint16_t *to = out + (i / 2 * 8 + i % 2) * 32;
    _mm_storeu_si128((void *)to, _mm512_castsi512_si128(quads[i]));
    _mm_storeu_si128((void *)(to + 64), _mm512_extracti32x4_epi32(quads[i], 1));
    _mm_storeu_si128((void *)(to + 128), _mm512_extracti32x4_epi32(quads[i], 2));
    _mm_storeu_si128((void *)(to + 192), _mm512_extracti32x4_epi32(quads[i], 3));
  }
}

/// Up to 16 numbers, zeros beyond `left`.
INGOT_INLINE __m512 ingot_load_left(const float *x, int64_t left) {
  if (left >= 16) return _mm512_loadu_ps(x);
  return left > 0 ? _mm512_maskz_loadu_ps((__mmask16)((1 << left) - 1), x) : _mm512_setzero_ps();
}

/// One token's part of 32 columns as a column of a tile, from what `ingot_take_bf16_pairs` gave.
INGOT_INLINE void ingot_store_bf16_column(__m512i pairs, uint16_t *out) {
  uint32_t lanes[16];
  _mm512_storeu_si512(lanes, pairs);
  // Word w of lane l is pair 2l + w % 2, and 8 more for the upper two.
  for (int i = 0; i < 16; i++)
    memcpy(out + (i / 4 * 2 + i % 2 + i % 4 / 2 * 8) * 32, lanes + i, sizeof *lanes);
}

/// `split_bf16` for joint parts.
static void ingot_split_bf16_joint(
    const float *x, ingot_region region, int64_t tokens, int64_t columns, uint16_t *out) {
  const int64_t first = region.first_column / BF16_COLUMNS, end = ingot_bf16_steps(region.end_column);
  for (int64_t t = region.first_token; t < region.end_token && t < tokens; t++)
    for (int64_t k = first; k < end; k++) {
      const float *from = x + t * columns + k * BF16_COLUMNS;
      const int64_t left = columns - k * BF16_COLUMNS;
      __m512 low = ingot_load_left(from, left), high = ingot_load_left(from + 16, left - 16);
      for (int part = 0; part < BF16_PARTS; part++)
        ingot_store_bf16_column(
            ingot_take_bf16_pairs(&low, &high), out + k * BF16_TILE + (part * tokens + t) * 2);
    }
}

/// `split_bf16` for `bf16_few.x`.
static void ingot_split_bf16_few(
    const float *x, ingot_region region, int64_t tokens, int64_t columns, uint16_t *out) {
  if (ingot_bf16_form(tokens) == BF16_JOINT) {
    ingot_split_bf16_joint(x, region, tokens, columns, out);
    return;
  }
  const int64_t steps = ingot_bf16_steps(columns);
  const int64_t first = region.first_column / BF16_COLUMNS, end = ingot_bf16_steps(region.end_column);
  for (int64_t t = region.first_token; t < region.end_token; t += 4)
    for (int64_t k = first; k < end; k++) {
      __m512 low[4], high[4];
      INGOT_UNROLL
      for (int i = 0; i < 4; i++) {
        const float *from = x + (t + i) * columns + k * BF16_COLUMNS;
        const int64_t left = t + i < tokens ? columns - k * BF16_COLUMNS : 0;
        low[i] = ingot_load_left(from, left);
        high[i] = ingot_load_left(from + 16, left - 16);
      }
      uint16_t *to = out + (t / 16 * steps + k) * BF16_PARTS * BF16_TILE + t % 16 * 2;
      for (int part = 0; part < BF16_PARTS; part++, to += BF16_TILE) {
        __m512i pairs[4];
        INGOT_UNROLL
        for (int i = 0; i < 4; i++) pairs[i] = ingot_take_bf16_pairs(&low[i], &high[i]);
        ingot_store_bf16_pairs(pairs, to);
      }
    }
}

// MARK: sums

/// Writes tile `tile` of the sums of rows from `row` on.
static void ingot_bf16_write_tile(
    const bf16_few *p, const float *sums, int64_t row, int64_t tile, bf16_form form) {
  const int64_t token = tile / 2 * 16;
  row += tile % 2 * 16;
  const int64_t left = p->end - row, tokens = p->tokens - token;
  f32x16 in[16];
  INGOT_UNROLL
  for (int i = 0; i < 16; i++) in[i] = (f32x16)_mm512_load_ps(sums + 16 * i);
  float *to = p->out + token * p->rows + row;
  if (left >= 16 && tokens >= 16) {
    ingot_transpose_x86(in, to, p->rows);
    return;
  }
  float turned[256];
  ingot_transpose_x86(in, turned, 16);
  const __mmask16 live = left >= 16 ? 0xFFFF : left > 0 ? (__mmask16)((1 << left) - 1) : 0;
  for (int64_t t = 0; t < tokens && t < 16; t++) {
    __m512 sum = _mm512_loadu_ps(turned + 16 * t);
    if (form == BF16_JOINT)
      for (int part = 1; part < BF16_PARTS; part++)
        sum = _mm512_add_ps(sum, _mm512_loadu_ps(turned + 16 * (part * tokens + t)));
    _mm512_mask_storeu_ps(to + t * p->rows, live, sum);
  }
}

// MARK: products

/// A tile of activations with two of weights: registers 0 and 1 for the first 16 tokens, 2 and 3 for the
/// others.
INGOT_INLINE void ingot_bf16_pair(const uint16_t *x, int is_second) {
  _tile_loadd(6, x, 64);
  if (is_second) {
    _tile_dpbf16ps(2, 4, 6);
    _tile_dpbf16ps(3, 5, 6);
  } else {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 5, 6);
  }
}

/// 32 columns of 32 rows, `stride` bytes apart, added to the sums; activations of the tokens beyond 16 lie
/// `next` numbers on.
INGOT_INLINE void ingot_bf16_few_step(
    const uint8_t *rows, int64_t stride, const uint16_t *x, int64_t next, bf16_form form) {
  _tile_loadd(4, rows, stride);
  _tile_loadd(5, rows + 16 * stride, stride);
  const int parts = form == BF16_JOINT ? 1 : BF16_PARTS;
  INGOT_UNROLL
  for (int part = 0; part < parts; part++) ingot_bf16_pair(x + part * BF16_TILE, 0);
  if (form != BF16_TWO) return;
  INGOT_UNROLL
  for (int part = 0; part < parts; part++) ingot_bf16_pair(x + next + part * BF16_TILE, 1);
}

/// The rest of the columns, or rows of which some are not there: copied, with zeros for what is missing.
static void ingot_bf16_few_part(
    const bf16_few *p, int64_t row, int64_t column, const uint16_t *x, int64_t next,
    bf16_form form) {
  uint16_t copy[2 * BF16_TILE];
  const int64_t left = p->columns - column;
  const __mmask32 live = left >= BF16_COLUMNS ? 0xFFFFFFFFu : (1u << left) - 1;
  for (int64_t r = 0; r < BF16_BLOCK_ROWS; r++)
    _mm512_storeu_si512(
        copy + r * BF16_COLUMNS,
        _mm512_maskz_loadu_epi16(
            row + r < p->end ? live : 0, p->weights + (row + r) * p->columns + column));
  ingot_bf16_few_step((const uint8_t *)copy, 64, x, next, form);
}

/// The sums of rows [row, row + 32), while those of the block before are written: of the rows from
/// `row − 32` on, unless this block is the `first`.
INGOT_INLINE void ingot_bf16_few_block(
    const bf16_few *p, int64_t row, int64_t first, bf16_few_sums sums, bf16_few_sums before,
    bf16_form form) {
  const int wide = form == BF16_TWO;
  const int64_t steps = ingot_bf16_steps(p->columns), stride = 2 * p->columns;
  const int64_t size = ingot_bf16_step_size(form), next = steps * size;
  const int64_t tiles = row == first ? 0 : 2 + 2 * wide;
  const int64_t direct = row + BF16_BLOCK_ROWS <= p->end ? p->columns / BF16_COLUMNS : 0;
  const uint8_t *at = (const uint8_t *)(p->weights + row * p->columns);
  const uint16_t *x = p->x;
  const char *const below = (const char *)at + BF16_BLOCK_ROWS * stride;
  // Two blocks leave room in the second-level cache.
  const int is_short = BF16_BLOCK_ROWS * stride <= 1 << 18;
  // At the end of a row that is the beginning of the block below.
  const int64_t wrap = BF16_BLOCK_ROWS * stride + (BF16_AHEAD - steps) * 64;
  _tile_zero(0);
  _tile_zero(1);
  if (wide) _tile_zero(2);
  if (wide) _tile_zero(3);
  for (int64_t k = 0; k < steps; k++, at += 64, x += size) {
    if (k < direct) {
      if (is_short) {
        // As many lines as are read now, of eight places in the block below.
        for (int64_t i = 4 * k; i < 4 * (k + 1); i++) ingot_fetch_lines(below + 64 * i, 4 * stride);
      } else {
        INGOT_UNROLL
        for (int r = 0; r < BF16_BLOCK_ROWS; r++)
          __builtin_prefetch(
              at + r * stride + (k + BF16_AHEAD < steps ? BF16_AHEAD * 64 : wrap));
      }
      ingot_bf16_few_step(at, stride, x, next, form);
    } else {
      ingot_bf16_few_part(p, row, k * BF16_COLUMNS, x, next, form);
    }
    if (k < tiles) ingot_bf16_write_tile(p, before[k], row - BF16_BLOCK_ROWS, k, form);
  }
  for (int64_t k = steps; k < tiles; k++)
    ingot_bf16_write_tile(p, before[k], row - BF16_BLOCK_ROWS, k, form);
  _tile_stored(0, sums[0], 64);
  _tile_stored(1, sums[1], 64);
  if (wide) _tile_stored(2, sums[2], 64);
  if (wide) _tile_stored(3, sums[3], 64);
}

/// Rows [first, p->end) with up to 32 tokens.
static void ingot_multiply_bf16_few(const bf16_few *p, int64_t first) {
  bf16_few_sums sums[2];
  const bf16_form form = ingot_bf16_form(p->tokens);
  int64_t row = first;
  for (int odd = 0; row < p->end; row += BF16_BLOCK_ROWS, odd = !odd)
    switch (form) {
      case BF16_JOINT:
        ingot_bf16_few_block(p, row, first, sums[odd], sums[!odd], BF16_JOINT);
        break;
      case BF16_ONE: ingot_bf16_few_block(p, row, first, sums[odd], sums[!odd], BF16_ONE); break;
      default: ingot_bf16_few_block(p, row, first, sums[odd], sums[!odd], BF16_TWO);
    }
  const int64_t last = row - BF16_BLOCK_ROWS;
  if (last < first) return;
  for (int64_t k = 0; k < (form == BF16_TWO ? 4 : 2); k++)
    ingot_bf16_write_tile(p, sums[(last - first) / BF16_BLOCK_ROWS % 2][k], last, k, form);
}
