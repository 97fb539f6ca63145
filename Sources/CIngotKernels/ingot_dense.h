// Dense weights with f32 activations as dot products over columns, for few tokens. Compiled once per
// instruction set; rounding is not part of the contract here, so the product may be unfused where
// fusing is slow.

#ifndef INGOT_MULTIPLY_ADD
#define INGOT_MULTIPLY_ADD(a, b, c) ingot_fma16(a, b, c)
#endif

INGOT_INLINE f32x16 INGOT_NAME(dense_load)(const void *base, int64_t index, int32_t type) {
  if (type == INGOT_F32) return ingot_load((const float *)((const uint8_t *)base + 4 * index));
  const uint8_t *p = (const uint8_t *)base + 2 * index;
  if (type == INGOT_F16) return INGOT_LOAD_HALF((const uint16_t *)(const void *)p);
  u16x16 brains;
  memcpy(&brains, p, sizeof brains);
  return (f32x16)(__builtin_convertvector(brains, u32x16) << 16);
}

INGOT_INLINE f32x16 INGOT_NAME(dense_load_part)(
    const void *base, int64_t index, int32_t type, int64_t count) {
  uint8_t copy[64] = {0};
  const int64_t size = type == INGOT_F32 ? 4 : 2;
  memcpy(copy, (const uint8_t *)base + size * index, (size_t)(size * count));
  return INGOT_NAME(dense_load)(copy, 0, type);
}

enum {
  /// Rows and tokens whose sums are folded together.
  DENSE_TILE = 4,
  /// Rows that all tokens meet before the next ones: they stay in the second-level cache.
  DENSE_ROWS = 16,
  /// Columns of four tokens that stay in the first-level cache while these rows pass.
  DENSE_COLUMNS = 2048,
  /// Rows and tokens whose sums are in registers at the same time.
  INGOT_NAME(dense_step) = INGOT_ACCUMULATORS >= 16 ? 4 : INGOT_ACCUMULATORS >= 4 ? 2 : 1
};

/// Row-major weights, the columns that a product takes, and what is fetched meanwhile.
typedef struct INGOT_NAME(dense) {
  const void *weights;
  int64_t columns;
  int64_t first;
  int64_t end;
  /// Bytes from a weight to the one that is wanted when all tokens have met this one.
  int64_t ahead;
  /// All tokens share the work: of `period` lines, a power of two, these ones fetch line `phase`.
  int64_t period;
  int64_t phase;
} INGOT_NAME(dense);

/// Fetches for later, while `rows` rows from `row` on are read at `column`, for `width` columns.
INGOT_INLINE void INGOT_NAME(dense_fetch)(
    const INGOT_NAME(dense) *w, int32_t type, int64_t row, int rows, int64_t column, int width) {
  const int64_t size = type == INGOT_F32 ? 4 : 2, stride = w->columns * size;
  const char *from = (const char *)w->weights + row * stride;
  if (w->period == 1 && ingot_fetches_pages) {
    // The rows lie one behind the other: as many bytes as are read of all of them.
    ingot_fetch_ahead(from + rows * column * size, rows * width * size);
  } else if (column * size % 64 == 0 && (column * size / 64 & (w->period - 1)) == w->phase) {
    from += w->ahead + column * size;
    INGOT_UNROLL
    for (int r = 0; r < rows; r++) __builtin_prefetch(from + r * stride, 0, 3);
  }
}

/// A few rows × `tokens` tokens, a vector of partial sums each, in `sums[token][row]`.
INGOT_INLINE void INGOT_NAME(dense_block)(
    const INGOT_NAME(dense) *w, int32_t type, int64_t row, const float *x,
    f32x16 (*sums)[DENSE_TILE], int tokens, int fetches) {
  enum { STEP = INGOT_NAME(dense_step) };
  const int64_t columns = w->columns;
  // With one token, two sums a row hide the latency of the additions.
  const int chains = tokens == 1 && STEP > 1 ? 2 : 1;
  f32x16 sum[STEP * STEP];
  INGOT_UNROLL
  for (int i = 0; i < STEP * tokens * chains; i++) sum[i] = ingot_splat(0);
  int64_t c = w->first;
  for (; c + 16 * chains <= w->end; c += 16 * chains) {
    if (fetches) INGOT_NAME(dense_fetch)(w, type, row, STEP, c, 16 * chains);
    INGOT_UNROLL
    for (int k = 0; k < chains; k++) {
      f32x16 v[STEP];
      INGOT_UNROLL
      for (int t = 0; t < tokens; t++) v[t] = ingot_load(x + t * columns + c + 16 * k);
      INGOT_UNROLL
      for (int r = 0; r < STEP; r++) {
        const f32x16 q =
            INGOT_NAME(dense_load)(w->weights, (row + r) * columns + c + 16 * k, type);
        INGOT_UNROLL
        for (int t = 0; t < tokens; t++) {
          f32x16 *to = &sum[(k * tokens + t) * STEP + r];
          *to = INGOT_MULTIPLY_ADD(q, v[t], *to);
        }
      }
    }
  }
  for (; c < w->end; c += 16) {
    const int64_t left = w->end - c < 16 ? w->end - c : 16;
    INGOT_UNROLL
    for (int r = 0; r < STEP; r++) {
      const f32x16 q =
          INGOT_NAME(dense_load_part)(w->weights, (row + r) * columns + c, type, left);
      INGOT_UNROLL
      for (int t = 0; t < tokens; t++) {
        f32x16 *to = &sum[t * STEP + r];
        *to = INGOT_MULTIPLY_ADD(q, ingot_load_part(x + t * columns + c, left), *to);
      }
    }
  }
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++)
    INGOT_UNROLL
    for (int r = 0; r < STEP; r++)
      sums[t][r] = chains == 2 ? sum[r] + sum[STEP + r] : sum[t * STEP + r];
}

/// One row × one or two tokens, a vector of partial sums each, in `sums[token][0]`: memory is read in order.
INGOT_INLINE void INGOT_NAME(dense_row)(
    const INGOT_NAME(dense) *w, int32_t type, int64_t row, const float *x,
    f32x16 (*sums)[DENSE_TILE], int tokens) {
  // Four sums hide the latency of the additions.
  enum { SUMS = 4 };
  const int chains = SUMS / tokens;
  const int64_t at = row * w->columns, size = type == INGOT_F32 ? 4 : 2;
  f32x16 sum[SUMS];
  INGOT_UNROLL
  for (int i = 0; i < SUMS; i++) sum[i] = ingot_splat(0);
  int64_t c = w->first;
  for (; c + 16 * chains <= w->end; c += 16 * chains) {
    ingot_fetch_ahead((const char *)w->weights + (at + c) * size, 16 * chains * size);
    INGOT_UNROLL
    for (int k = 0; k < chains; k++) {
      const f32x16 q = INGOT_NAME(dense_load)(w->weights, at + c + 16 * k, type);
      INGOT_UNROLL
      for (int t = 0; t < tokens; t++) {
        f32x16 *to = &sum[k * tokens + t];
        *to = INGOT_MULTIPLY_ADD(q, ingot_load(x + t * w->columns + c + 16 * k), *to);
      }
    }
  }
  for (; c < w->end; c += 16) {
    const int64_t left = w->end - c < 16 ? w->end - c : 16;
    const f32x16 q = INGOT_NAME(dense_load_part)(w->weights, at + c, type, left);
    INGOT_UNROLL
    for (int t = 0; t < tokens; t++)
      sum[t] = INGOT_MULTIPLY_ADD(q, ingot_load_part(x + t * w->columns + c, left), sum[t]);
  }
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++)
    sums[t][0] = tokens == 1 ? (sum[0] + sum[1]) + (sum[2] + sum[3]) : sum[t] + sum[2 + t];
}

/// Four rows × up to four tokens; added to `out` unless these are the first columns.
INGOT_INLINE void INGOT_NAME(dense_tile)(
    const INGOT_NAME(dense) *w, int32_t type, int64_t row, int64_t all_rows, const float *x,
    float *out, int tokens, int fetches) {
  enum { STEP = INGOT_NAME(dense_step) };
  f32x16 sums[DENSE_TILE][DENSE_TILE];
  INGOT_UNROLL
  for (int t = tokens; t < DENSE_TILE; t++)
    sums[t][0] = sums[t][1] = sums[t][2] = sums[t][3] = ingot_splat(0);
  // One or two tokens alone need their weights from memory; after others the rows are near.
  const int is_alone = tokens <= 2 && w->period == 1;
  INGOT_UNROLL
  for (int r = 0; is_alone && r < DENSE_TILE; r++)
    INGOT_NAME(dense_row)(
        w, type, row + r, x, (f32x16(*)[DENSE_TILE])(&sums[0][r]), tokens <= 2 ? tokens : 2);
  INGOT_UNROLL
  for (int t = 0; !is_alone && t < tokens; t += STEP)
    INGOT_UNROLL
    for (int r = 0; r < DENSE_TILE; r += STEP) {
      f32x16(*to)[DENSE_TILE] = (f32x16(*)[DENSE_TILE])(&sums[t][r]);
      const int count = tokens - t < STEP ? tokens - t : STEP;
      INGOT_NAME(dense_block)(
          w, type, row + r, x + t * w->columns, to, count, fetches && t == 0);
    }
  float lanes[16];
  ingot_store(lanes, ingot_sums16(sums[0]));
  for (int t = 0; t < tokens; t++)
    for (int r = 0; r < DENSE_TILE; r++) {
      float *to = out + t * all_rows + r;
      *to = w->first ? *to + lanes[t * DENSE_TILE + r] : lanes[t * DENSE_TILE + r];
    }
}

/// Whole fours of rows × up to four tokens. `out` is at the first token.
INGOT_INLINE void INGOT_NAME(dense_rows)(
    const INGOT_NAME(dense) *w, int32_t type, int64_t first, int64_t end, int64_t rows,
    const float *x, int64_t tokens, float *out, int fetches) {
  for (int64_t row = first; row < end; row += DENSE_TILE) {
    float *to = out + row;
    switch (tokens) {
      case 1: INGOT_NAME(dense_tile)(w, type, row, rows, x, to, 1, fetches); break;
      case 2: INGOT_NAME(dense_tile)(w, type, row, rows, x, to, 2, fetches); break;
      case 3: INGOT_NAME(dense_tile)(w, type, row, rows, x, to, 3, fetches); break;
      default: INGOT_NAME(dense_tile)(w, type, row, rows, x, to, DENSE_TILE, fetches);
    }
  }
}

INGOT_INLINE void INGOT_NAME(dense_type)(
    const void *weights, int32_t type, int64_t rows, int64_t columns, int64_t first, int64_t end,
    const float *x, int64_t tokens, float *out) {
  const INGOT_NAME(dense) all = {.weights = weights, .columns = columns, .end = columns};
  const int64_t size = type == INGOT_F32 ? 4 : 2;
  const int64_t fours = first + (end - first) / DENSE_TILE * DENSE_TILE;
  const int64_t width = tokens > DENSE_TILE && columns > DENSE_COLUMNS ? DENSE_COLUMNS : columns;
  const int64_t period = tokens > 3 * DENSE_TILE ? 4 : tokens > DENSE_TILE ? 2 : 1;
  for (int64_t row = first; row < fours; row += DENSE_ROWS) {
    const int64_t last = row + DENSE_ROWS < fours ? row + DENSE_ROWS : fours;
    for (int64_t c = 0; c < columns; c += width) {
      const int is_last = c + width >= columns;
      INGOT_NAME(dense) w = {
          .weights = weights, .columns = columns, .first = c, .end = is_last ? columns : c + width,
          .ahead = size * (period == 1 ? DENSE_TILE * columns
                           : is_last   ? DENSE_ROWS * columns - c
                                       : width),
          .period = period};
      for (int64_t t = 0; t < tokens; t += DENSE_TILE, w.phase++) {
        const int64_t left = tokens - t, count = left < DENSE_TILE ? left : DENSE_TILE;
        const float *from = x + t * columns;
        float *to = out + t * rows;
        if (w.phase < period)
          INGOT_NAME(dense_rows)(&w, type, row, last, rows, from, count, to, 1);
        else INGOT_NAME(dense_rows)(&w, type, row, last, rows, from, count, to, 0);
      }
    }
  }
  for (int64_t row = fours; row < end; row++)
    for (int64_t t = 0; t < tokens; t++) {
      f32x16 sum[1][DENSE_TILE];
      INGOT_NAME(dense_row)(&all, type, row, x + t * columns, sum, 1);
      out[t * rows + row] = ingot_sum16(sum[0][0]);
    }
}

static void INGOT_NAME(multiply_dense_dots)(
    const void *weights, int32_t type, int64_t rows, int64_t columns, int64_t first, int64_t end,
    const float *x, int64_t tokens, float *out) {
  switch (type) {
    case INGOT_F32:
      INGOT_NAME(dense_type)(weights, INGOT_F32, rows, columns, first, end, x, tokens, out);
      break;
    case INGOT_F16:
      INGOT_NAME(dense_type)(weights, INGOT_F16, rows, columns, first, end, x, tokens, out);
      break;
    default:
      INGOT_NAME(dense_type)(weights, INGOT_BF16, rows, columns, first, end, x, tokens, out);
  }
}
