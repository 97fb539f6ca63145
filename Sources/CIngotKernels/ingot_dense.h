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

/// Reorders a region of row-major `x` so that bf16 weights meet it as they lie, two in 32 bits: of each 32
/// columns the even ones come first.
static void INGOT_NAME(unzip_f32)(
    const float *x, ingot_region region, int64_t tokens, int64_t columns, float *out) {
  const int64_t width = ingot_unzipped_columns(columns);
  const int64_t last = region.end_token < tokens ? region.end_token : tokens;
  for (int64_t t = region.first_token; t < last; t++)
    for (int64_t c = region.first_column; c < region.end_column; c += INGOT_UNZIPPED) {
      const int64_t left = region.end_column - c;
      float lanes[INGOT_UNZIPPED] = {0};
      memcpy(lanes, x + t * columns + c, (size_t)(left < INGOT_UNZIPPED ? left : INGOT_UNZIPPED) * 4);
      const f32x16 low = ingot_load(lanes), high = ingot_load(lanes + 16);
      float *to = out + t * width + c;
      ingot_store(
          to, __builtin_shufflevector(
                  low, high, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30));
      ingot_store(
          to + 16, __builtin_shufflevector(
                       low, high, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31));
    }
}

/// Half of 32 weights, `half` 0 or 1, in the order of the numbers that they meet: for bf16 the even or the odd
/// ones, each a shift or a mask away from f32, else the first or the last sixteen.
INGOT_INLINE f32x16 INGOT_NAME(dense_half)(
    const void *base, int64_t index, int32_t type, int half) {
  if (type != INGOT_BF16) return INGOT_NAME(dense_load)(base, index + 16 * half, type);
  u32x16 pairs;
  memcpy(&pairs, (const uint8_t *)base + 2 * index, sizeof pairs);
  return (f32x16)(half ? pairs & 0xFFFF0000u : pairs << 16);
}

/// The same of the last `count` weights, with zeros beyond them.
INGOT_INLINE f32x16 INGOT_NAME(dense_half_part)(
    const void *base, int64_t index, int32_t type, int half, int64_t count) {
  uint8_t copy[128] = {0};
  const int64_t size = type == INGOT_F32 ? 4 : 2;
  memcpy(copy, (const uint8_t *)base + size * index, (size_t)(size * count));
  return INGOT_NAME(dense_half)(copy, 0, type, half);
}

/// Half of the last `count` numbers, which are padded where they are unzipped.
INGOT_INLINE f32x16 INGOT_NAME(dense_input_part)(
    const float *x, int32_t type, int half, int64_t count) {
  if (type == INGOT_BF16) return ingot_load(x + 16 * half);
  const int64_t left = count - 16 * half;
  return ingot_load_part(x + 16 * half, left < 0 ? 0 : left < 16 ? left : 16);
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
  /// Numbers from token to token.
  int64_t stride;
  int64_t first;
  int64_t end;
  /// Bytes from a weight to the one that is wanted when all tokens have met this one.
  int64_t ahead;
  /// All tokens share the work: of `period` lines, a power of two, these ones fetch line `phase`.
  int64_t period;
  int64_t phase;
} INGOT_NAME(dense);

/// Fetches for later, while 32 columns of `rows` rows from `row` on are read at `column`.
INGOT_INLINE void INGOT_NAME(dense_fetch)(
    const INGOT_NAME(dense) *w, int32_t type, int64_t row, int rows, int64_t column) {
  const int64_t size = type == INGOT_F32 ? 4 : 2, stride = w->columns * size;
  const char *from = (const char *)w->weights + row * stride;
  if (w->period == 1 && ingot_fetches_pages) {
    // The rows lie one behind the other: as many bytes as are read of all of them.
    ingot_fetch_ahead(from + rows * column * size, rows * INGOT_UNZIPPED * size);
    return;
  }
  INGOT_UNROLL
  for (int64_t at = column * size; at < (column + INGOT_UNZIPPED) * size; at += 64) {
    if ((at / 64 & (w->period - 1)) != w->phase) continue;
    INGOT_UNROLL
    for (int r = 0; r < rows; r++) __builtin_prefetch(from + w->ahead + at + r * stride, 0, 3);
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
  for (; c + INGOT_UNZIPPED <= w->end; c += INGOT_UNZIPPED) {
    if (fetches) INGOT_NAME(dense_fetch)(w, type, row, STEP, c);
    INGOT_UNROLL
    for (int k = 0; k < 2; k++) {
      f32x16 v[STEP];
      INGOT_UNROLL
      for (int t = 0; t < tokens; t++) v[t] = ingot_load(x + t * w->stride + c + 16 * k);
      INGOT_UNROLL
      for (int r = 0; r < STEP; r++) {
        const f32x16 q = INGOT_NAME(dense_half)(w->weights, (row + r) * columns + c, type, k);
        INGOT_UNROLL
        for (int t = 0; t < tokens; t++) {
          f32x16 *to = &sum[(k % chains * tokens + t) * STEP + r];
          *to = INGOT_MULTIPLY_ADD(q, v[t], *to);
        }
      }
    }
  }
  INGOT_UNROLL
  for (int k = 0; c < w->end && k < 2; k++)
    INGOT_UNROLL
    for (int r = 0; r < STEP; r++) {
      const f32x16 q = INGOT_NAME(dense_half_part)(
          w->weights, (row + r) * columns + c, type, k, w->end - c);
      INGOT_UNROLL
      for (int t = 0; t < tokens; t++) {
        f32x16 *to = &sum[t * STEP + r];
        const float *from = x + t * w->stride + c;
        *to = INGOT_MULTIPLY_ADD(
            q, INGOT_NAME(dense_input_part)(from, type, k, w->end - c), *to);
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
  const int halves = SUMS / tokens;
  const int64_t at = row * w->columns, size = type == INGOT_F32 ? 4 : 2;
  f32x16 sum[SUMS];
  INGOT_UNROLL
  for (int i = 0; i < SUMS; i++) sum[i] = ingot_splat(0);
  int64_t c = w->first;
  for (; c + 16 * halves <= w->end; c += 16 * halves) {
    ingot_fetch_ahead((const char *)w->weights + (at + c) * size, 16 * halves * size);
    INGOT_UNROLL
    for (int k = 0; k < halves; k++) {
      const int64_t from = c + k / 2 * INGOT_UNZIPPED;
      const f32x16 q = INGOT_NAME(dense_half)(w->weights, at + from, type, k % 2);
      INGOT_UNROLL
      for (int t = 0; t < tokens; t++) {
        f32x16 *to = &sum[k * tokens + t];
        *to = INGOT_MULTIPLY_ADD(q, ingot_load(x + t * w->stride + from + k % 2 * 16), *to);
      }
    }
  }
  for (; c < w->end; c += INGOT_UNZIPPED) {
    const int64_t left = w->end - c < INGOT_UNZIPPED ? w->end - c : INGOT_UNZIPPED;
    INGOT_UNROLL
    for (int k = 0; k < 2; k++) {
      const f32x16 q = INGOT_NAME(dense_half_part)(w->weights, at + c, type, k, left);
      INGOT_UNROLL
      for (int t = 0; t < tokens; t++) {
        const float *from = x + t * w->stride + c;
        sum[t] = INGOT_MULTIPLY_ADD(
            q, INGOT_NAME(dense_input_part)(from, type, k, left), sum[t]);
      }
    }
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
          w, type, row + r, x + t * w->stride, to, count, fetches && t == 0);
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
  const int64_t stride = type == INGOT_BF16 ? ingot_unzipped_columns(columns) : columns;
  const INGOT_NAME(dense) all = {
      .weights = weights, .columns = columns, .stride = stride, .end = columns};
  const int64_t size = type == INGOT_F32 ? 4 : 2;
  const int64_t fours = first + (end - first) / DENSE_TILE * DENSE_TILE;
  const int64_t width = tokens > DENSE_TILE && columns > DENSE_COLUMNS ? DENSE_COLUMNS : columns;
  const int64_t period = tokens > 3 * DENSE_TILE ? 4 : tokens > DENSE_TILE ? 2 : 1;
  for (int64_t row = first; row < fours; row += DENSE_ROWS) {
    const int64_t last = row + DENSE_ROWS < fours ? row + DENSE_ROWS : fours;
    for (int64_t c = 0; c < columns; c += width) {
      const int is_last = c + width >= columns;
      INGOT_NAME(dense) w = {
          .weights = weights, .columns = columns, .stride = stride, .first = c,
          .end = is_last ? columns : c + width,
          .ahead = size * (period == 1 ? DENSE_TILE * columns
                           : is_last   ? DENSE_ROWS * columns - c
                                       : width),
          .period = period};
      for (int64_t t = 0; t < tokens; t += DENSE_TILE, w.phase++) {
        const int64_t left = tokens - t, count = left < DENSE_TILE ? left : DENSE_TILE;
        const float *from = x + t * stride;
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
      INGOT_NAME(dense_row)(&all, type, row, x + t * stride, sum, 1);
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
