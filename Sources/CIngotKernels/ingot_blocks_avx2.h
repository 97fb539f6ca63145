// For AVX2: weights as `ingot_block_avx2` multiplies them. Included below a target attribute.

/// How many blocks ahead of a panel memory is fetched.
enum { AVX2_BLOCKS_AHEAD = 2 };

/// What 16 codes stand for.
INGOT_INLINE __m256i ingot_levels_avx2(const ingot_tiled *w) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)w->payload));
}

/// The scales of a group of cb4 for eight rows.
INGOT_INLINE __m256 ingot_short_scales_avx2(const uint8_t *tile, int64_t index, int half) {
  const __m128i codes = _mm_loadl_epi64((const void *)(tile + 16 * index + 8 * half));
  return _mm256_cvtph_ps(_mm_and_si128(
      _mm_slli_epi16(_mm_cvtepi8_epi16(codes), 5), _mm_set1_epi16(INGOT_S1E2M5_MASK)));
}

/// The same in units of 2^-19.
INGOT_INLINE __m256i ingot_integer_scales_avx2(const uint8_t *tile, int64_t index, int half) {
  return _mm256_cvtps_epi32(
      _mm256_mul_ps(ingot_short_scales_avx2(tile, index, half), _mm256_set1_ps(0x1p19f)));
}

/// The zero points of a group for eight rows.
INGOT_INLINE __m256i ingot_zeros_avx2(const uint8_t *zeros) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)zeros));
}

/// The scales of a group for eight rows: floats, or the bits of integers where sums are exact.
INGOT_INLINE __m256 ingot_scales_avx2(
    const ingot_tiled *w, const uint8_t *tile, int64_t index, int half, int is_exact) {
  if (is_exact) return _mm256_castsi256_ps(ingot_integer_scales_avx2(tile, index, half));
  if (w->kind == INGOT_CB4) return ingot_short_scales_avx2(tile, index, half);
  return _mm256_cvtph_ps(_mm_loadu_si128((const void *)(tile + 32 * index + 16 * half)));
}

/// 64 nibbles: the low ones, which belong to the nearer columns, then the high ones.
INGOT_INLINE void ingot_split_nibbles_avx2(const uint8_t *p, __m256i *near, __m256i *far) {
  const __m256i low = _mm256_set1_epi8(15), both = _mm256_loadu_si256((const void *)p);
  *near = _mm256_and_si256(both, low);
  *far = _mm256_and_si256(_mm256_srli_epi16(both, 4), low);
}

static void ingot_place_nibbles_avx2(
    const uint8_t *p, int64_t columns, int64_t group, uint8_t *codes) {
  for (int64_t g = 0; g < columns; g += group, codes += group * INGOT_LANES)
    for (int64_t i = 0; i < group * 8; i += 32, p += 32) {
      __m256i near, far;
      ingot_split_nibbles_avx2(p, &near, &far);
      _mm256_store_si256((void *)(codes + i), near);
      _mm256_store_si256((void *)(codes + group * 8 + i), far);
    }
}

static void ingot_place_six_bits_avx2(
    const uint8_t *p, int64_t columns, int64_t group, uint8_t *codes) {
  for (int64_t g = 0; g < columns; g += group)
    ingot_unpack_int6(p + 12 * g, group, 0, codes + 16 * g);
}

/// Places eight rows of an atom of signed bytes, and adds |w| of what is negative to 16-bit sums.
INGOT_INLINE void ingot_place_signed_avx2(
    __m256i size, __m256i negative, uint8_t *at, __m256i *sums) {
  _mm256_store_si256((void *)at, size);
  _mm256_store_si256((void *)(at + 64), negative);
  const __m256i pairs =
      _mm256_maddubs_epi16(_mm256_and_si256(size, negative), _mm256_set1_epi8(1));
  *sums = _mm256_add_epi16(*sums, pairs);
}

/// A group of signed bytes, or of what nibbles stand for.
INGOT_INLINE void ingot_place_signed_group_avx2(
    const uint8_t *p, int64_t group, int32_t kind, __m256i levels, uint8_t *codes,
    int32_t *sums) {
  const __m256i sizes = _mm256_abs_epi8(levels);
  const __m256i negatives = _mm256_cmpgt_epi8(_mm256_setzero_si256(), levels);
  __m256i all[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
  for (int64_t i = 0; i < group / (kind == INGOT_INT8 ? 4 : 8); i++)
    INGOT_UNROLL
    for (int k = 0; k < 2; k++) {
      const uint8_t *const from = p + 64 * i + 32 * k;
      uint8_t *const at = codes + 128 * i + 32 * k;
      if (kind == INGOT_INT8) {
        const __m256i w = _mm256_loadu_si256((const void *)from);
        ingot_place_signed_avx2(
            _mm256_abs_epi8(w), _mm256_cmpgt_epi8(_mm256_setzero_si256(), w), at, &all[k]);
      } else {
        __m256i near, far;
        ingot_split_nibbles_avx2(from, &near, &far);
        ingot_place_signed_avx2(
            _mm256_shuffle_epi8(sizes, near), _mm256_shuffle_epi8(negatives, near), at, &all[k]);
        ingot_place_signed_avx2(
            _mm256_shuffle_epi8(sizes, far), _mm256_shuffle_epi8(negatives, far),
            at + 16 * group, &all[k]);
      }
    }
  INGOT_UNROLL
  for (int k = 0; k < 2; k++)
    _mm256_storeu_si256(
        (void *)(sums + 8 * k), _mm256_madd_epi16(all[k], _mm256_set1_epi16(1)));
}

/// Fetches what a panel behind the next one wants of a tile: beyond the tile's end, part of the next.
INGOT_INLINE void ingot_fetch_block_avx2(const uint8_t *from, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + i, 0, 2);
}

/// Adds up what groups need whose sums are exact.
INGOT_INLINE void ingot_join_zeros_avx2(avx2_block *block, int64_t groups) {
  INGOT_UNROLL
  for (int half = 0; half < 2; half++) {
    __m256i sum = _mm256_setzero_si256();
    for (int64_t g = 0; g < groups; g++)
      sum = _mm256_add_epi32(
          sum, _mm256_mullo_epi32(
                   _mm256_loadu_si256((const void *)(block->scales[g] + 8 * half)),
                   _mm256_loadu_si256((const void *)(block->zeros[g] + 8 * half))));
    _mm256_storeu_si256((void *)(block->zeros[0] + 8 * half), sum);
  }
}

/// `columns` columns (whole groups, at most a block) of a tile from `first` on.
INGOT_INLINE void ingot_place_block_avx2(
    const ingot_tiled *w, const uint8_t *tile, int64_t first, int64_t columns, int32_t kind,
    avx2_form form, int64_t group, avx2_block *block) {
  const int64_t index = first / group, bytes = ingot_code_bytes(w, columns);
  const uint8_t *const p = tile + w->code_offset + ingot_code_bytes(w, first);
  ingot_fetch_block_avx2(p + AVX2_BLOCKS_AHEAD * bytes, bytes);
  if (form == AVX2_NIBBLES) ingot_place_nibbles_avx2(p, columns, group, block->codes);
  if (form == AVX2_SIX_BITS) ingot_place_six_bits_avx2(p, columns, group, block->codes);
  const __m256i levels = ingot_levels_avx2(w);
  for (int64_t g = 0; form == AVX2_SIGNED && g < columns / group; g++)
    ingot_place_signed_group_avx2(
        p + ingot_code_bytes(w, g * group), group, kind, levels, block->codes + 32 * g * group,
        block->zeros[g]);
  for (int64_t g = 0; g < columns / group; g++)
    INGOT_UNROLL
    for (int half = 0; half < 2; half++) {
      _mm256_storeu_ps(
          block->scales[g] + 8 * half, ingot_scales_avx2(w, tile, index + g, half, group == 16));
      if (kind == INGOT_INT4Z)
        _mm256_storeu_si256(
            (void *)(block->zeros[g] + 8 * half),
            ingot_zeros_avx2(tile + w->zero_offset + 16 * (index + g) + 8 * half));
    }
  if (group == 16) ingot_join_zeros_avx2(block, columns / group);
}

/// Writes tokens [first, end) of a tile from `sums[token][16 rows]`.
static void ingot_write_tile_avx2(
    const ingot_tiled *w, int64_t tile, int64_t first, int64_t end, const float *sums, float *out) {
  const float factor = ingot_row_factor(w);
  const int64_t row = tile * INGOT_LANES;
  const int64_t live = w->rows - row < INGOT_LANES ? w->rows - row : INGOT_LANES;
  for (int64_t t = first; t < end; t++, sums += INGOT_LANES)
    for (int64_t r = 0; r < live; r++) out[t * w->rows + row + r] = sums[r] * factor;
}
