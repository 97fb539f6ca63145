// Dense weights with f32 activations as dot products over columns, for the few tokens that AVX2's 16
// registers hold sums of: two rows × up to six tokens. Included below a target attribute, after ingot_dense.h.

enum {
  /// Rows and tokens whose sums are in registers: each weight is turned into f32 once for these tokens, each
  /// activation read once for these rows.
  DOTS_ROWS = 2,
  DOTS_TOKENS = 6,
  /// Rows that several parts of the tokens meet before the next ones: they stay in the second-level cache.
  DOTS_BLOCK = 16,
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
  int64_t first;
  int64_t end;
  int64_t ahead;
} avx2_dots;

INGOT_INLINE __m256 ingot_dots_load_avx2(const avx2_dots *w, int64_t index, int32_t type) {
  const uint8_t *base = w->weights;
  if (type == INGOT_F32) return _mm256_loadu_ps((const float *)(const void *)(base + 4 * index));
  const __m128i halves = _mm_loadu_si128((const void *)(base + 2 * index));
  if (type == INGOT_F16) return _mm256_cvtph_ps(halves);
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}

/// Eight sums over lanes, in the order of `v`.
INGOT_INLINE __m256 ingot_dots_sums_avx2(const __m256 v[8]) {
  const __m256 low = _mm256_hadd_ps(_mm256_hadd_ps(v[0], v[1]), _mm256_hadd_ps(v[2], v[3]));
  const __m256 high = _mm256_hadd_ps(_mm256_hadd_ps(v[4], v[5]), _mm256_hadd_ps(v[6], v[7]));
  return _mm256_add_ps(
      _mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31));
}

/// Eight columns of the weights and of each token.
INGOT_INLINE void ingot_dots_step_avx2(
    const avx2_dots *w, int32_t type, int64_t row, const float *x, int64_t c, int tokens,
    __m256 *sum) {
  __m256 q[DOTS_ROWS];
  INGOT_UNROLL
  for (int r = 0; r < DOTS_ROWS; r++)
    q[r] = ingot_dots_load_avx2(w, (row + r) * w->columns + c, type);
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++) {
    const __m256 a = _mm256_loadu_ps(x + t * w->columns + c);
    INGOT_UNROLL
    for (int r = 0; r < DOTS_ROWS; r++)
      sum[DOTS_ROWS * t + r] = _mm256_fmadd_ps(q[r], a, sum[DOTS_ROWS * t + r]);
  }
}

/// The last columns, fewer than eight.
INGOT_INLINE void ingot_dots_rest_avx2(
    const avx2_dots *w, int32_t type, int64_t row, const float *x, int64_t c, int tokens,
    __m256 *sum) {
  const int64_t left = w->end - c;
  INGOT_UNROLL
  for (int r = 0; r < DOTS_ROWS; r++) {
    float q[16];
    ingot_store(
        q, INGOT_NAME(dense_load_part)(w->weights, (row + r) * w->columns + c, type, left));
    INGOT_UNROLL
    for (int t = 0; t < tokens; t++) {
      float a[16];
      ingot_store(a, ingot_load_part(x + t * w->columns + c, left));
      sum[DOTS_ROWS * t + r] = _mm256_fmadd_ps(
          _mm256_loadu_ps(q), _mm256_loadu_ps(a), sum[DOTS_ROWS * t + r]);
    }
  }
}

/// Fetches for later while `width` columns of two rows are read at column `c`.
INGOT_INLINE void ingot_dots_fetch_avx2(
    const avx2_dots *w, int32_t type, int64_t row, int64_t c, int width) {
  const int64_t size = type == INGOT_F32 ? 4 : 2;
  const char *from = (const char *)w->weights + (row * w->columns + c) * size + w->ahead;
  INGOT_UNROLL
  for (int r = 0; r < DOTS_ROWS; r++)
    INGOT_UNROLL
    for (int at = 0; at < width * size; at += 64)
      __builtin_prefetch(from + r * w->columns * size + at, 0, 3);
}

/// Two rows × `tokens` tokens; added to `out` unless these are the first columns.
INGOT_INLINE void ingot_dots_tile_avx2(
    const avx2_dots *w, int32_t type, int64_t row, int64_t rows, const float *x, float *out,
    int tokens, int fetches) {
  enum { WIDTH = 32, SUMS = DOTS_ROWS * DOTS_TOKENS };
  __m256 sum[SUMS + 4];
  INGOT_UNROLL
  for (int i = 0; i < SUMS + 4; i++) sum[i] = _mm256_setzero_ps();
  int64_t c = w->first;
  for (; c + WIDTH <= w->end; c += WIDTH) {
    if (fetches) ingot_dots_fetch_avx2(w, type, row, c, WIDTH);
    INGOT_UNROLL
    for (int k = 0; k < WIDTH; k += 8) ingot_dots_step_avx2(w, type, row, x, c + k, tokens, sum);
  }
  for (; c + 8 <= w->end; c += 8) ingot_dots_step_avx2(w, type, row, x, c, tokens, sum);
  if (c < w->end) ingot_dots_rest_avx2(w, type, row, x, c, tokens, sum);
  float lanes[SUMS + 4];
  _mm256_storeu_ps(lanes, ingot_dots_sums_avx2(sum));
  if (tokens > 4) _mm256_storeu_ps(lanes + 8, ingot_dots_sums_avx2(sum + 8));
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++)
    INGOT_UNROLL
    for (int r = 0; r < DOTS_ROWS; r++) {
      float *to = out + t * rows + r;
      *to = w->first ? *to + lanes[DOTS_ROWS * t + r] : lanes[DOTS_ROWS * t + r];
    }
}

/// Pairs of rows [first, end) × `tokens` tokens.
INGOT_INLINE void ingot_dots_rows_avx2(
    const avx2_dots *w, int32_t type, int64_t first, int64_t end, int64_t rows, const float *x,
    float *out, int tokens, int fetches) {
  for (int64_t row = first; row < end; row += DOTS_ROWS)
    ingot_dots_tile_avx2(w, type, row, rows, x, out + row, tokens, fetches);
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
  // Parts of equal size, or with one token more than others.
  const int64_t parts = (tokens + DOTS_TOKENS - 1) / DOTS_TOKENS;
  const int64_t most = DOTS_ACTIVATIONS / ((tokens + parts - 1) / parts) / 32 * 32;
  const int64_t width = columns < most ? columns : most;
  const int64_t near = DOTS_AHEAD / (size * width) / DOTS_ROWS * DOTS_ROWS;
  const int64_t block = parts > 1 || near > DOTS_BLOCK ? DOTS_BLOCK : near < 2 ? 2 : near;
  for (int64_t row = first; row < end; row += block) {
    const int64_t last = row + block < end ? row + block : end;
    for (int64_t c = 0; c < columns; c += width) {
      const int is_last = c + width >= columns;
      const avx2_dots w = {
          .weights = weights, .columns = columns, .first = c, .end = is_last ? columns : c + width,
          .ahead = size * (is_last ? block * columns - c : width)};
      for (int64_t p = 0; p < parts; p++) {
        const int64_t t = tokens * p / parts, count = tokens * (p + 1) / parts - t;
        const float *from = x + t * columns;
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
  // One token waits for memory, which gives more where one row is read after the other; and the last row may
  // have no neighbour.
  const int64_t pairs = tokens <= 1 ? first : first + (end - first) / DOTS_ROWS * DOTS_ROWS;
  switch (pairs > first ? type : 0) {
    case 0: break;
    case INGOT_F32:
      ingot_dots_type_avx2(weights, INGOT_F32, rows, columns, first, pairs, x, tokens, out);
      break;
    case INGOT_F16:
      ingot_dots_type_avx2(weights, INGOT_F16, rows, columns, first, pairs, x, tokens, out);
      break;
    default:
      ingot_dots_type_avx2(weights, INGOT_BF16, rows, columns, first, pairs, x, tokens, out);
  }
  if (pairs < end)
    INGOT_NAME(multiply_dense_dots)(weights, type, rows, columns, pairs, end, x, tokens, out);
}
