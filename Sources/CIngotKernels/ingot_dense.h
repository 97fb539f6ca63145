// Dense weights with f32 activations as dot products over columns: for few tokens, and for the
// instruction sets without a kernel of their own. Compiled once per instruction set; rounding is
// not part of the contract here, so the product may be unfused where fusing is slow.

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

/// `rows` × `tokens` dot products.
INGOT_INLINE void INGOT_NAME(dense_block)(
    const void *weights, int32_t type, int64_t row, int64_t all_rows, int64_t columns,
    const float *x, float *out, int rows, int tokens) {
  f32x16 sum[16];
  INGOT_UNROLL
  for (int i = 0; i < rows * tokens; i++) sum[i] = ingot_splat(0);
  int64_t c = 0;
  for (; c + 16 <= columns; c += 16) {
    f32x16 v[8];
    INGOT_UNROLL
    for (int t = 0; t < tokens; t++) v[t] = ingot_load(x + t * columns + c);
    INGOT_UNROLL
    for (int r = 0; r < rows; r++) {
      const f32x16 w = INGOT_NAME(dense_load)(weights, (row + r) * columns + c, type);
      INGOT_UNROLL
      for (int t = 0; t < tokens; t++)
        sum[r * tokens + t] = INGOT_MULTIPLY_ADD(w, v[t], sum[r * tokens + t]);
    }
  }
  if (c < columns) {
    INGOT_UNROLL
    for (int r = 0; r < rows; r++) {
      const f32x16 w =
          INGOT_NAME(dense_load_part)(weights, (row + r) * columns + c, type, columns - c);
      INGOT_UNROLL
      for (int t = 0; t < tokens; t++)
        sum[r * tokens + t] = INGOT_MULTIPLY_ADD(
            w, ingot_load_part(x + t * columns + c, columns - c), sum[r * tokens + t]);
    }
  }
  INGOT_UNROLL
  for (int r = 0; r < rows; r++)
    INGOT_UNROLL
    for (int t = 0; t < tokens; t++)
      out[t * all_rows + row + r] = ingot_sum16(sum[r * tokens + t]);
}

/// A few rows × all tokens: the rows stay in the first-level cache.
INGOT_INLINE void INGOT_NAME(dense_rows)(
    const void *weights, int32_t type, int64_t row, int64_t all_rows, int64_t columns,
    const float *x, int64_t tokens, float *out, int rows) {
  int64_t t = 0;
  for (; t + 4 <= tokens; t += 4)
    INGOT_NAME(dense_block)(
        weights, type, row, all_rows, columns, x + t * columns, out + t * all_rows, rows, 4);
  for (; t < tokens; t++)
    INGOT_NAME(dense_block)(
        weights, type, row, all_rows, columns, x + t * columns, out + t * all_rows, rows, 1);
}

INGOT_INLINE void INGOT_NAME(dense_type)(
    const void *weights, int32_t type, int64_t rows, int64_t columns, int64_t first, int64_t end,
    const float *x, int64_t tokens, float *out) {
  int64_t row = first;
  for (; row + 4 <= end; row += 4)
    INGOT_NAME(dense_rows)(weights, type, row, rows, columns, x, tokens, out, 4);
  for (; row < end; row++)
    INGOT_NAME(dense_rows)(weights, type, row, rows, columns, x, tokens, out, 1);
}

static void INGOT_NAME(multiply_dense_dots)(
    const void *weights, int32_t type, int64_t rows, int64_t columns, int64_t first, int64_t end,
    const float *x, int64_t tokens, float *out, void *scratch) {
  (void)scratch;
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
