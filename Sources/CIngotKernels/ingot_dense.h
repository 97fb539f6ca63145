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
  /// Rows and tokens whose sums are in registers at the same time.
  INGOT_NAME(dense_step) = INGOT_ACCUMULATORS >= 16 ? 4 : INGOT_ACCUMULATORS >= 4 ? 2 : 1
};

/// A few rows × `tokens` tokens, a vector of partial sums each, added to `sums[token][row]`.
INGOT_INLINE void INGOT_NAME(dense_block)(
    const void *weights, int32_t type, int64_t row, int64_t columns, const float *x,
    f32x16 (*sums)[DENSE_TILE], int tokens) {
  enum { STEP = INGOT_NAME(dense_step) };
  // With one token, two sums a row hide the latency of the additions.
  const int chains = tokens == 1 && STEP > 1 ? 2 : 1;
  f32x16 sum[STEP * STEP];
  INGOT_UNROLL
  for (int i = 0; i < STEP * tokens * chains; i++) sum[i] = ingot_splat(0);
  int64_t c = 0;
  const int64_t size = type == INGOT_F32 ? 4 : 2;
  const char *const rows = (const char *)weights + row * columns * size;
  for (; c + 16 * chains <= columns; c += 16 * chains) {
    // The rows lie one behind the other: as many bytes as are read of all of them.
    ingot_fetch_ahead(rows + STEP * c * size, STEP * 16 * chains * size);
    INGOT_UNROLL
    for (int k = 0; k < chains; k++) {
      f32x16 v[STEP];
      INGOT_UNROLL
      for (int t = 0; t < tokens; t++) v[t] = ingot_load(x + t * columns + c + 16 * k);
      INGOT_UNROLL
      for (int r = 0; r < STEP; r++) {
        const f32x16 w =
            INGOT_NAME(dense_load)(weights, (row + r) * columns + c + 16 * k, type);
        INGOT_UNROLL
        for (int t = 0; t < tokens; t++) {
          f32x16 *to = &sum[(k * tokens + t) * STEP + r];
          *to = INGOT_MULTIPLY_ADD(w, v[t], *to);
        }
      }
    }
  }
  for (; c < columns; c += 16) {
    const int64_t left = columns - c < 16 ? columns - c : 16;
    INGOT_UNROLL
    for (int r = 0; r < STEP; r++) {
      const f32x16 w =
          INGOT_NAME(dense_load_part)(weights, (row + r) * columns + c, type, left);
      INGOT_UNROLL
      for (int t = 0; t < tokens; t++) {
        f32x16 *to = &sum[t * STEP + r];
        *to = INGOT_MULTIPLY_ADD(w, ingot_load_part(x + t * columns + c, left), *to);
      }
    }
  }
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++)
    INGOT_UNROLL
    for (int r = 0; r < STEP; r++)
      sums[t][r] = chains == 2 ? sum[r] + sum[STEP + r] : sum[t * STEP + r];
}

/// Four rows × up to four tokens.
INGOT_INLINE void INGOT_NAME(dense_tile)(
    const void *weights, int32_t type, int64_t row, int64_t all_rows, int64_t columns,
    const float *x, float *out, int tokens) {
  enum { STEP = INGOT_NAME(dense_step) };
  f32x16 sums[DENSE_TILE][DENSE_TILE];
  INGOT_UNROLL
  for (int t = tokens; t < DENSE_TILE; t++)
    sums[t][0] = sums[t][1] = sums[t][2] = sums[t][3] = ingot_splat(0);
  INGOT_UNROLL
  for (int t = 0; t < tokens; t += STEP)
    INGOT_UNROLL
    for (int r = 0; r < DENSE_TILE; r += STEP) {
      f32x16(*to)[DENSE_TILE] = (f32x16(*)[DENSE_TILE])(&sums[t][r]);
      const int count = tokens - t < STEP ? tokens - t : STEP;
      INGOT_NAME(dense_block)(weights, type, row + r, columns, x + t * columns, to, count);
    }
  float lanes[16];
  ingot_store(lanes, ingot_sums16(sums[0]));
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++)
    memcpy(out + t * all_rows, lanes + t * DENSE_TILE, DENSE_TILE * sizeof *out);
}

/// Four rows × all tokens: the rows stay in the first-level cache. `out` is at the first of them.
INGOT_INLINE void INGOT_NAME(dense_rows)(
    const void *weights, int32_t type, int64_t row, int64_t all_rows, int64_t columns,
    const float *x, int64_t tokens, float *out) {
  for (; tokens >= DENSE_TILE; tokens -= DENSE_TILE) {
    INGOT_NAME(dense_tile)(weights, type, row, all_rows, columns, x, out, DENSE_TILE);
    x += DENSE_TILE * columns, out += DENSE_TILE * all_rows;
  }
  if (tokens == 1) INGOT_NAME(dense_tile)(weights, type, row, all_rows, columns, x, out, 1);
  if (tokens == 2) INGOT_NAME(dense_tile)(weights, type, row, all_rows, columns, x, out, 2);
  if (tokens == 3) INGOT_NAME(dense_tile)(weights, type, row, all_rows, columns, x, out, 3);
}

/// One row × one token, for what is left of the rows.
INGOT_INLINE float INGOT_NAME(dense_dot)(
    const void *weights, int32_t type, int64_t row, int64_t columns, const float *x) {
  f32x16 sum = ingot_splat(0);
  for (int64_t c = 0; c < columns; c += 16) {
    const int64_t left = columns - c, at = row * columns + c;
    sum = left >= 16
              ? INGOT_MULTIPLY_ADD(
                  INGOT_NAME(dense_load)(weights, at, type), ingot_load(x + c), sum)
              : INGOT_MULTIPLY_ADD(
                  INGOT_NAME(dense_load_part)(weights, at, type, left),
                  ingot_load_part(x + c, left), sum);
  }
  return ingot_sum16(sum);
}

/// Four rows of another type as f32, so that they are converted once and not for every four tokens.
INGOT_INLINE void INGOT_NAME(dense_widen)(
    const void *weights, int32_t type, int64_t row, int64_t columns, float *out) {
  // Whole vectors first; what is left of the four rows need not be one.
  const int64_t count = DENSE_TILE * columns, at = row * columns;
  int64_t i = 0;
  for (; i + 16 <= count; i += 16)
    ingot_store(out + i, INGOT_NAME(dense_load)(weights, at + i, type));
  if (i < count)
    ingot_store_part(
        out + i, INGOT_NAME(dense_load_part)(weights, at + i, type, count - i), count - i);
}

INGOT_INLINE void INGOT_NAME(dense_type)(
    const void *weights, int32_t type, int64_t rows, int64_t columns, int64_t first, int64_t end,
    const float *x, int64_t tokens, float *out, float *scratch) {
  const int widens = type != INGOT_F32 && tokens > DENSE_TILE
                     && columns * DENSE_TILE * (int64_t)sizeof *scratch <= INGOT_MULTIPLY_SCRATCH;
  int64_t row = first;
  for (; row + DENSE_TILE <= end; row += DENSE_TILE) {
    if (widens) {
      INGOT_NAME(dense_widen)(weights, type, row, columns, scratch);
      INGOT_NAME(dense_rows)(scratch, INGOT_F32, 0, rows, columns, x, tokens, out + row);
    } else {
      INGOT_NAME(dense_rows)(weights, type, row, rows, columns, x, tokens, out + row);
    }
  }
  for (; row < end; row++)
    for (int64_t t = 0; t < tokens; t++)
      out[t * rows + row] = INGOT_NAME(dense_dot)(weights, type, row, columns, x + t * columns);
}

static void INGOT_NAME(multiply_dense_dots)(
    const void *weights, int32_t type, int64_t rows, int64_t columns, int64_t first, int64_t end,
    const float *x, int64_t tokens, float *out, void *scratch) {
  switch (type) {
    case INGOT_F32:
      INGOT_NAME(dense_type)(weights, INGOT_F32, rows, columns, first, end, x, tokens, out, scratch);
      break;
    case INGOT_F16:
      INGOT_NAME(dense_type)(weights, INGOT_F16, rows, columns, first, end, x, tokens, out, scratch);
      break;
    default:
      INGOT_NAME(dense_type)(weights, INGOT_BF16, rows, columns, first, end, x, tokens, out, scratch);
  }
}
