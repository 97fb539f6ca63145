// Dense weights with f32 activations as dot products over columns, for the few tokens that AVX2's 16
// registers hold sums of. Twelve sums keep both multipliers busy, each of which takes four cycles: three rows
// × four tokens, or two × six of f16, which takes another register on its way to f32. Included below a target
// attribute, after ingot_dense.h.

enum {
  /// Rows × tokens whose sums are in registers: each weight is turned into f32 once for these tokens, each
  /// activation read once for these rows.
  DOTS_SUMS = 12,
  DOTS_ROWS = 3,
  DOTS_TOKENS = 6,
  /// Rows that several parts of the tokens meet before the next ones: they stay in the second-level cache.
  DOTS_BLOCK = 18,
  /// Bytes of rows that one part of the tokens meets, about as far ahead as it fetches: the first-level cache
  /// has room for them.
  DOTS_AHEAD = 16384,
  /// Columns times tokens, 24 KiB, that stay in the first-level cache while these rows pass.
  DOTS_ACTIVATIONS = 6144
};

/// Row-major weights, columns [first, end) of them, and bytes from a weight to the one that is fetched meanwhile.
typedef struct avx2_dots {
  const void *weights;
  int64_t columns;
  /// Numbers from token to token.
  int64_t stride;
  int64_t first;
  int64_t end;
  int64_t ahead;
} avx2_dots;

/// Eight of 32 weights in the order of the numbers that they meet, `part` 0 to 3. The even ones of bf16 are
/// shifted, or `reads_before`: they are the upper halves of what lies two bytes before.
INGOT_INLINE __m256 ingot_dots_load_avx2(
    const uint8_t *base, int32_t type, int part, int reads_before) {
  if (type == INGOT_F32) return _mm256_loadu_ps((const float *)(const void *)(base + 32 * part));
  if (type == INGOT_F16)
    return _mm256_cvtph_ps(_mm_loadu_si128((const void *)(base + 16 * part)));
  const int is_even = part < 2;
  const uint8_t *from = base + 32 * (part % 2) - (is_even && reads_before ? 2 : 0);
  const __m256i pairs = _mm256_loadu_si256((const void *)from);
  return _mm256_castsi256_ps(
      is_even && !reads_before
          ? _mm256_slli_epi32(pairs, 16)
          : _mm256_and_si256(pairs, _mm256_set1_epi32((int32_t)0xFFFF0000)));
}

/// Sums of each row and token: one token has few of them for the multipliers. Rows do not count, because
/// threads share them and results should not depend on how.
INGOT_INLINE int ingot_dots_chains_avx2(int tokens) { return tokens == 1 ? 2 : 1; }

/// 32 columns: `base` is at the first row, rows `stride` bytes apart.
INGOT_INLINE void ingot_dots_step_avx2(
    const uint8_t *base, int64_t stride, int32_t type, const float *x, int64_t x_stride, int rows,
    int tokens, int reads_before, __m256 *sum) {
  const int chains = ingot_dots_chains_avx2(tokens);
  INGOT_UNROLL
  for (int part = 0; part < 4; part++) {
    __m256 q[DOTS_ROWS], *to = sum + part % chains * rows * tokens;
    INGOT_UNROLL
    for (int r = 0; r < rows; r++)
      q[r] = ingot_dots_load_avx2(base + r * stride, type, part, reads_before);
    INGOT_UNROLL
    for (int t = 0; t < tokens; t++) {
      const __m256 a = _mm256_loadu_ps(x + t * x_stride + 8 * part);
      INGOT_UNROLL
      for (int r = 0; r < rows; r++)
        to[rows * t + r] = _mm256_fmadd_ps(q[r], a, to[rows * t + r]);
    }
  }
}

/// The last columns, fewer than 32, padded with zeros. Unzipped numbers are so already.
INGOT_INLINE void ingot_dots_rest_avx2(
    const uint8_t *base, int64_t stride, int32_t type, const float *x, int64_t x_stride,
    int64_t left, int rows, int tokens, __m256 *sum) {
  uint8_t weights[DOTS_ROWS][4 * INGOT_UNZIPPED] = {{0}};
  float numbers[DOTS_TOKENS][INGOT_UNZIPPED] = {{0}};
  const int64_t size = type == INGOT_F32 ? 4 : 2;
  for (int r = 0; r < rows; r++) memcpy(weights[r], base + r * stride, (size_t)(left * size));
  for (int t = 0; t < tokens; t++)
    memcpy(numbers[t], x + t * x_stride, 4 * (size_t)(type == INGOT_BF16 ? INGOT_UNZIPPED : left));
  ingot_dots_step_avx2(
      weights[0], sizeof weights[0], type, numbers[0], INGOT_UNZIPPED, rows, tokens, 0, sum);
}

/// Four sums over lanes, in the order of `v`.
INGOT_INLINE __m128 ingot_dots_sums_avx2(const __m256 v[4]) {
  const __m256 sums = _mm256_hadd_ps(_mm256_hadd_ps(v[0], v[1]), _mm256_hadd_ps(v[2], v[3]));
  return _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1));
}

/// A few rows × tokens. One row alone may be the first, with nothing before it. Added to `out` unless these are
/// the first columns.
INGOT_INLINE void ingot_dots_tile_avx2(
    const avx2_dots *w, int32_t type, int64_t row, int64_t all_rows, const float *x, float *out,
    int rows, int tokens, int fetches) {
  const int64_t size = type == INGOT_F32 ? 4 : 2, stride = w->columns * size;
  const uint8_t *base = (const uint8_t *)w->weights + row * stride;
  const int count = rows * tokens, chains = ingot_dots_chains_avx2(tokens);
  __m256 sum[DOTS_SUMS];
  INGOT_UNROLL
  for (int i = 0; i < DOTS_SUMS; i++) sum[i] = _mm256_setzero_ps();
  int64_t c = w->first;
  for (; c + INGOT_UNZIPPED <= w->end; c += INGOT_UNZIPPED) {
    INGOT_UNROLL
    for (int r = 0; fetches && r < rows; r++)
      INGOT_UNROLL
      for (int at = 0; at < INGOT_UNZIPPED * size; at += 64)
        __builtin_prefetch(base + c * size + w->ahead + r * stride + at, 0, 3);
    ingot_dots_step_avx2(
        base + c * size, stride, type, x + c, w->stride, rows, tokens, rows > 1, sum);
  }
  if (c < w->end)
    ingot_dots_rest_avx2(
        base + c * size, stride, type, x + c, w->stride, w->end - c, rows, tokens, sum);
  INGOT_UNROLL
  for (int i = 0; chains == 2 && i < count; i++) {
    sum[i] = _mm256_add_ps(sum[i], sum[count + i]);
    sum[count + i] = _mm256_setzero_ps();
  }
  float lanes[DOTS_SUMS];
  INGOT_UNROLL
  for (int i = 0; i < count; i += 4) _mm_storeu_ps(lanes + i, ingot_dots_sums_avx2(sum + i));
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++)
    INGOT_UNROLL
    for (int r = 0; r < rows; r++) {
      float *to = out + t * all_rows + r;
      *to = w->first ? *to + lanes[rows * t + r] : lanes[rows * t + r];
    }
}

/// Rows whose sums with so many tokens are in registers.
INGOT_INLINE int ingot_dots_rows_of_avx2(int32_t type, int64_t tokens) {
  return type == INGOT_F16 && tokens > 3 ? DOTS_SUMS / DOTS_TOKENS : DOTS_ROWS;
}

/// Rows [first, end) × `tokens` tokens.
INGOT_INLINE void ingot_dots_rows_avx2(
    const avx2_dots *w, int32_t type, int64_t first, int64_t end, int64_t rows, const float *x,
    float *out, int tokens, int fetches) {
  const int step = ingot_dots_rows_of_avx2(type, tokens);
  int64_t row = first;
  if (row == 0) ingot_dots_tile_avx2(w, type, row++, rows, x, out, 1, tokens, fetches);
  for (; row + step <= end; row += step)
    ingot_dots_tile_avx2(w, type, row, rows, x, out + row, step, tokens, fetches);
  for (; row < end; row++)
    ingot_dots_tile_avx2(w, type, row, rows, x, out + row, 1, tokens, fetches);
}

INGOT_INLINE void ingot_dots_tokens_avx2(
    const avx2_dots *w, int32_t type, int64_t first, int64_t end, int64_t rows, const float *x,
    float *out, int64_t tokens, int fetches) {
  switch (tokens) {
    case 1: ingot_dots_rows_avx2(w, type, first, end, rows, x, out, 1, fetches); break;
    case 2: ingot_dots_rows_avx2(w, type, first, end, rows, x, out, 2, fetches); break;
    case 3: ingot_dots_rows_avx2(w, type, first, end, rows, x, out, 3, fetches); break;
    case 4: ingot_dots_rows_avx2(w, type, first, end, rows, x, out, 4, fetches); break;
    case 5: ingot_dots_rows_avx2(w, type, first, end, rows, x, out, 5, fetches); break;
    default: ingot_dots_rows_avx2(w, type, first, end, rows, x, out, DOTS_TOKENS, fetches);
  }
}

INGOT_INLINE void ingot_dots_type_avx2(
    const void *weights, int32_t type, int64_t rows, int64_t columns, int64_t first, int64_t end,
    const float *x, int64_t tokens, float *out) {
  const int64_t size = type == INGOT_F32 ? 4 : 2;
  const int64_t stride = type == INGOT_BF16 ? ingot_unzipped_columns(columns) : columns;
  // Parts of equal size, or with one token more than others.
  const int64_t fit = type == INGOT_F16 ? DOTS_TOKENS : DOTS_SUMS / DOTS_ROWS;
  const int64_t parts = (tokens + fit - 1) / fit;
  const int64_t share = (tokens + parts - 1) / parts, step = ingot_dots_rows_of_avx2(type, share);
  const int64_t most = DOTS_ACTIVATIONS / share / INGOT_UNZIPPED * INGOT_UNZIPPED;
  const int64_t width = columns < most ? columns : most;
  const int64_t near = DOTS_AHEAD / (size * width) / step * step;
  const int64_t block = parts > 1 || near > DOTS_BLOCK ? DOTS_BLOCK : near < step ? step : near;
  for (int64_t row = first; row < end; row += block) {
    const int64_t last = row + block < end ? row + block : end;
    for (int64_t c = 0; c < columns; c += width) {
      const int is_last = c + width >= columns;
      const avx2_dots w = {
          .weights = weights, .columns = columns, .stride = stride, .first = c,
          .end = is_last ? columns : c + width,
          .ahead = size * (is_last ? block * columns - c : width)};
      for (int64_t p = 0; p < parts; p++) {
        const int64_t t = tokens * p / parts, count = tokens * (p + 1) / parts - t;
        const float *from = x + t * stride;
        float *to = out + t * rows;
        if (p == 0) ingot_dots_tokens_avx2(&w, type, row, last, rows, from, to, count, 1);
        else ingot_dots_tokens_avx2(&w, type, row, last, rows, from, to, count, 0);
      }
    }
  }
}

static void ingot_multiply_dots_avx2(
    const void *weights, int32_t type, int64_t rows, int64_t columns, int64_t first, int64_t end,
    const float *x, int64_t tokens, float *out) {
  switch (type) {
    case INGOT_F32:
      ingot_dots_type_avx2(weights, INGOT_F32, rows, columns, first, end, x, tokens, out);
      break;
    case INGOT_F16:
      ingot_dots_type_avx2(weights, INGOT_F16, rows, columns, first, end, x, tokens, out);
      break;
    default:
      ingot_dots_type_avx2(weights, INGOT_BF16, rows, columns, first, end, x, tokens, out);
  }
}
