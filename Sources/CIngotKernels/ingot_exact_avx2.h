// Exact sums (`ingot_is_exact`) of more than a few tokens with AVX2. A level times its scale is an integer of
// 16 bits, so a block of columns is one chain of `vpmaddwd`, without a multiplication for each group and without
// the detour over signs that bytes take. Included below a target attribute.

enum {
  /// For fewer tokens, turning weights into 16 bits costs more than it saves.
  EXACT_TOKENS = 5,
  /// Tiles whose block stays in the first-level cache while every token meets it.
  EXACT_TILES = 4,
  /// Numbers of one tile's block.
  EXACT_BLOCK = INGOT_BLOCK * INGOT_LANES
};

/// What a thread keeps in its scratch memory.
typedef struct ingot_exact_memory {
  /// Weights, `[column / 4][even, odd column][16 rows][column / 2 % 2]`.
  int16_t weights[EXACT_TILES][EXACT_BLOCK];
  /// Activations, `[column / 4][even, odd column][token][column / 2 % 2]`.
  int16_t tokens[AVX2_QUAD * INGOT_BLOCK];
  /// `[tile][token][16 rows]`
  float sums[EXACT_TILES][AVX2_TOKENS * INGOT_LANES];
} ingot_exact_memory;
_Static_assert(sizeof(ingot_exact_memory) <= INGOT_MULTIPLY_SCRATCH, "scratch memory is too small");

/// The even and the odd bytes of each pair as numbers of 16 bits.
INGOT_INLINE void ingot_widen_pairs(__m256i bytes, __m256i *even, __m256i *odd) {
  *even = _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8);
  *odd = _mm256_srai_epi16(bytes, 8);
}

/// Levels times scales of `columns` columns (whole groups) of one tile from `first` on.
static void ingot_exact_weights(
    const ingot_tiled *w, const uint8_t *tile, int64_t first, int64_t columns, int16_t *to) {
  const __m256i low = _mm256_set1_epi8(15);
  const __m256i levels =
      _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)w->payload));
  const uint8_t *p = tile + w->code_offset + ingot_code_bytes(w, first);
  for (int64_t g = 0; g < columns / 16; g++, p += 128, to += 16 * INGOT_LANES)
    INGOT_UNROLL
    for (int half = 0; half < 2; half++) {
      const __m256i sizes =
          _mm256_castps_si256(ingot_scales_avx2(w, tile, first / 16 + g, half, 1));
      const __m256i scale = _mm256_blend_epi16(sizes, _mm256_slli_epi32(sizes, 16), 0xAA);
      INGOT_UNROLL
      for (int i = 0; i < 4; i++) {
        const __m256i both = _mm256_loadu_si256((const void *)(p + 64 * (i % 2) + 32 * half));
        const __m256i nibbles =
            _mm256_and_si256(i < 2 ? both : _mm256_srli_epi16(both, 4), low);
        __m256i even, odd;
        ingot_widen_pairs(_mm256_shuffle_epi8(levels, nibbles), &even, &odd);
        int16_t *const at = to + 64 * i + 16 * half;
        _mm256_storeu_si256((void *)at, _mm256_mullo_epi16(even, scale));
        _mm256_storeu_si256((void *)(at + 32), _mm256_mullo_epi16(odd, scale));
      }
    }
}

/// `columns` columns of four tokens, from where they begin.
static void ingot_exact_quad(const int8_t *from, int64_t columns, int16_t *to) {
  for (int64_t c = 0; c < columns; c += 8, from += 32, to += 32) {
    __m256i even, odd;
    ingot_widen_pairs(_mm256_loadu_si256((const void *)from), &even, &odd);
    _mm256_storeu_si256((void *)to, _mm256_permute2x128_si256(even, odd, 0x20));
    _mm256_storeu_si256((void *)(to + 16), _mm256_permute2x128_si256(even, odd, 0x31));
  }
}

/// One tile's block × `tokens` tokens of a quad, added to `sums[token][16 rows]`.
INGOT_INLINE void ingot_exact_block(
    const int16_t *weights, const int16_t *a, int64_t columns, const float *scales, float *sums,
    int tokens) {
  __m256i dots[AVX2_QUAD][2];
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++) dots[t][0] = dots[t][1] = _mm256_setzero_si256();
  for (int64_t c = 0; c < columns; c += 2, weights += 32, a += 2 * AVX2_QUAD) {
    const __m256i low = _mm256_loadu_si256((const void *)weights);
    const __m256i high = _mm256_loadu_si256((const void *)(weights + 16));
    INGOT_UNROLL
    for (int t = 0; t < tokens; t++) {
      const __m256i v = ingot_quad_avx2((const int8_t *)a, t);
      dots[t][0] = _mm256_add_epi32(dots[t][0], _mm256_madd_epi16(low, v));
      dots[t][1] = _mm256_add_epi32(dots[t][1], _mm256_madd_epi16(high, v));
    }
  }
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++) {
    const __m256 scale = _mm256_set1_ps(scales[t]);
    INGOT_UNROLL
    for (int half = 0; half < 2; half++) {
      float *const to = sums + t * INGOT_LANES + 8 * half;
      _mm256_storeu_ps(
          to, _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots[t][half]), scale, _mm256_loadu_ps(to)));
    }
  }
}

/// Tokens [first, end) × `columns` columns of `tiles` tiles, whose weights lie in memory already.
static void ingot_exact_tokens(
    const ingot_activations *x, int64_t tiles, int64_t column, int64_t columns, int64_t first,
    int64_t end, ingot_exact_memory *memory) {
  const float *const scales = x->scales + column / INGOT_BLOCK * x->padded_tokens;
  for (int64_t t = first; t < end; t += AVX2_QUAD) {
    ingot_exact_quad(x->codes + t * x->token_stride + 4 * column, columns, memory->tokens);
    for (int64_t i = 0; i < tiles; i++) {
      const int16_t *const weights = memory->weights[i], *const a = memory->tokens;
      float *const sums = memory->sums[i] + (t - first) * INGOT_LANES;
      if (end - t == 1) ingot_exact_block(weights, a, columns, scales + t, sums, 1);
      else if (end - t == 2) ingot_exact_block(weights, a, columns, scales + t, sums, 2);
      else ingot_exact_block(weights, a, columns, scales + t, sums, AVX2_QUAD);
    }
  }
}

/// Tokens [from, last) × `tiles` tiles from `tile` on.
static void ingot_exact_tiles(
    const ingot_tiled *w, const ingot_activations *x, int64_t tile, int64_t tiles, int64_t from,
    int64_t last, ingot_exact_memory *memory) {
  for (int64_t i = 0; i < tiles; i++) {
    memset(memory->sums[i], 0, (size_t)((last - from + 3) / 4 * 4 * INGOT_LANES) * sizeof(float));
    ingot_fetch_ahead(ingot_tile(w, tile + i), w->code_offset);
  }
  for (int64_t column = 0; column < w->columns; column += INGOT_BLOCK) {
    const int64_t rest = w->columns - column, columns = rest < INGOT_BLOCK ? rest : INGOT_BLOCK;
    for (int64_t i = 0; i < tiles; i++) {
      const uint8_t *const bytes = ingot_tile(w, tile + i);
      ingot_fetch_ahead(
          bytes + w->code_offset + ingot_code_bytes(w, column), ingot_code_bytes(w, columns));
      ingot_exact_weights(w, bytes, column, columns, memory->weights[i]);
    }
    ingot_exact_tokens(x, tiles, column, columns, from, last, memory);
  }
}

/// Whether a product is one for this kernel.
static int ingot_is_exact_many(const ingot_tiled *w, const ingot_activations *x) {
  return ingot_is_exact(w) && x->tokens >= EXACT_TOKENS;
}

static void ingot_multiply_exact(
    const ingot_tiled *w, const ingot_activations *x, int64_t first, int64_t end, float *out,
    ingot_exact_memory *memory) {
  for (int64_t from = 0; from < x->tokens; from += AVX2_TOKENS) {
    const int64_t last = from + AVX2_TOKENS < x->tokens ? from + AVX2_TOKENS : x->tokens;
    for (int64_t tile = first; tile < end; tile += EXACT_TILES) {
      const int64_t tiles = end - tile < EXACT_TILES ? end - tile : EXACT_TILES;
      ingot_exact_tiles(w, x, tile, tiles, from, last, memory);
      for (int64_t i = 0; i < tiles; i++)
        ingot_write_tile_avx2(w, tile + i, memory->sums[i], from, last, out);
    }
  }
}
