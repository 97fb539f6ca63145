// For AVX2: one block of columns of a tile × up to four tokens. Included below a target attribute.
//
// `vpmaddubsw` multiplies unsigned by signed bytes and adds pairs with saturation to 16 bits.

/// How a block of weights is multiplied.
typedef enum avx2_form {
  /// Codes 0…15 as they are: eight sums of pairs fit in 16 bits, 8 · 2 · 15 · 127 = 30480.
  AVX2_NIBBLES,
  /// Codes 0…63: two sums fit, 2 · 2 · 63 · 127 = 32004.
  AVX2_SIX_BITS,
  /// |w| times a, or times −1 − a where w is negative: one sum fits, 2 · 128 · −128 = −32768.
  AVX2_SIGNED
} avx2_form;

enum {
  AVX2_QUAD = 4,
  /// Bytes of a block of weights, in the larger form.
  AVX2_BLOCK_BYTES = 2 * INGOT_BLOCK * INGOT_LANES,
  /// Most groups of a block.
  AVX2_GROUPS = INGOT_BLOCK / 16
};

/// A block of columns of one tile.
typedef struct avx2_block {
  /// `[column / 4][16 rows][4]`; signed `[column / 4][|w|, −1 where w is negative][16 rows][4]`.
  uint8_t codes[AVX2_BLOCK_BYTES] __attribute__((aligned(64)));
  /// Floats, or integers where sums are exact.
  float scales[AVX2_GROUPS][INGOT_LANES];
  /// Zero points, where there are any; signed: Σ|w| of what is negative, which −1 − a takes too much. Of all groups
  /// together, times their scales, where sums are exact.
  int32_t zeros[AVX2_GROUPS][INGOT_LANES];
} avx2_block;

/// Up to four tokens of a block.
typedef struct avx2_tokens {
  /// `[column / 4][token][4]`
  const int8_t *a;
  /// −128 · Σa of each group, `[group][padded tokens]`; only for unsigned codes.
  const int32_t *offsets;
  int64_t padded_tokens;
  const float *scales;
} avx2_tokens;

/// Keeps the compiler from adding in another order, for which there are not enough registers.
#define INGOT_KEEP_AVX2(v) __asm__("" : "+x"(v))

/// Keeps the compiler from loading ahead what then has to wait in memory again.
#define INGOT_KEEP_LOADS_AVX2() __asm__ volatile("" ::: "memory")

/// Four activations of token t, repeated eight times.
INGOT_INLINE __m256i ingot_quad_avx2(const int8_t *a, int t) {
  int32_t word;
  memcpy(&word, a + 4 * t, 4);
  return _mm256_set1_epi32(word);
}

/// Adds eight atoms of nibbles to `dots[token][half]`.
INGOT_INLINE void ingot_nibbles_avx2(
    const uint8_t *codes, const int8_t *a, __m256i dots[AVX2_QUAD][2], int tokens) {
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i pairs[AVX2_QUAD][2];
  INGOT_UNROLL
  for (int i = 0; i < 8; i++) {
    const __m256i low = _mm256_load_si256((const void *)(codes + 64 * i));
    const __m256i high = _mm256_load_si256((const void *)(codes + 64 * i + 32));
    INGOT_UNROLL
    for (int t = 0; t < tokens; t++) {
      const __m256i v = ingot_quad_avx2(a + 16 * i, t);
      const __m256i products[2] = {_mm256_maddubs_epi16(low, v), _mm256_maddubs_epi16(high, v)};
      INGOT_UNROLL
      for (int k = 0; k < 2; k++)
        pairs[t][k] = i == 0 ? products[k] : _mm256_add_epi16(pairs[t][k], products[k]);
      INGOT_KEEP_AVX2(pairs[t][0]);
      INGOT_KEEP_AVX2(pairs[t][1]);
    }
    INGOT_KEEP_LOADS_AVX2();
  }
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++)
    INGOT_UNROLL
    for (int k = 0; k < 2; k++)
      dots[t][k] = _mm256_add_epi32(dots[t][k], _mm256_madd_epi16(pairs[t][k], ones));
}

/// Adds two atoms of six bits.
INGOT_INLINE void ingot_six_bits_avx2(
    const uint8_t *codes, const int8_t *a, __m256i dots[AVX2_QUAD][2], int tokens) {
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i w[4];
  INGOT_UNROLL
  for (int i = 0; i < 4; i++) w[i] = _mm256_load_si256((const void *)(codes + 32 * i));
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++) {
    const __m256i v = ingot_quad_avx2(a, t), next = ingot_quad_avx2(a + 16, t);
    INGOT_UNROLL
    for (int k = 0; k < 2; k++) {
      const __m256i pairs =
          _mm256_add_epi16(_mm256_maddubs_epi16(w[k], v), _mm256_maddubs_epi16(w[2 + k], next));
      dots[t][k] = _mm256_add_epi32(dots[t][k], _mm256_madd_epi16(pairs, ones));
    }
  }
}

/// Adds one atom of signed bytes.
INGOT_INLINE void ingot_signed_avx2(
    const uint8_t *codes, const int8_t *a, __m256i dots[AVX2_QUAD][2], int tokens) {
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i size[2], negative[2];
  INGOT_UNROLL
  for (int k = 0; k < 2; k++) {
    size[k] = _mm256_load_si256((const void *)(codes + 32 * k));
    negative[k] = _mm256_load_si256((const void *)(codes + 64 + 32 * k));
  }
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++) {
    const __m256i v = ingot_quad_avx2(a, t);
    INGOT_UNROLL
    for (int k = 0; k < 2; k++) {
      const __m256i pairs = _mm256_maddubs_epi16(size[k], _mm256_xor_si256(v, negative[k]));
      dots[t][k] = _mm256_add_epi32(dots[t][k], _mm256_madd_epi16(pairs, ones));
    }
  }
}

/// Adds `columns` columns to `dots[token][half]`.
INGOT_INLINE void ingot_columns_avx2(
    const uint8_t *codes, const int8_t *a, int64_t columns, avx2_form form,
    __m256i dots[AVX2_QUAD][2], int tokens) {
  switch (form) {
    case AVX2_NIBBLES:
      for (int64_t c = 0; c < columns; c += 32)
        ingot_nibbles_avx2(codes + 16 * c, a + 4 * c, dots, tokens);
      break;
    case AVX2_SIX_BITS:
      for (int64_t c = 0; c < columns; c += 8)
        ingot_six_bits_avx2(codes + 16 * c, a + 4 * c, dots, tokens);
      break;
    case AVX2_SIGNED:
      if (columns > 16) {
        for (int64_t c = 0; c < columns; c += 4)
          ingot_signed_avx2(codes + 32 * c, a + 4 * c, dots, tokens);
        break;
      }
      // The first products need not be added to anything.
      INGOT_UNROLL
      for (int64_t c = 0; c < 16; c += 4)
        ingot_signed_avx2(codes + 32 * c, a + 4 * c, dots, tokens);
  }
}

/// Whether codes are multiplied as they are stored.
INGOT_INLINE int ingot_is_unsigned_avx2(int32_t kind) {
  return kind == INGOT_INT4 || kind == INGOT_INT4Z || kind == INGOT_INT6;
}

/// Where the products of a group and a token start: −8 · Σa, −32 · Σa, −z · Σa or what signed codes need, which
/// have no offset.
INGOT_INLINE __m256i ingot_start_avx2(__m256i zeros, const int32_t *offset, int32_t kind) {
  if (!ingot_is_unsigned_avx2(kind)) return zeros;
  __m256i all = _mm256_set1_epi32(*offset);
  // Not in a general register, from where it would take two more steps to here.
  INGOT_KEEP_AVX2(all);
  if (kind == INGOT_INT4) return _mm256_srai_epi32(all, 4);
  if (kind == INGOT_INT6) return _mm256_srai_epi32(all, 2);
  return _mm256_mullo_epi32(_mm256_srai_epi32(all, 7), zeros);
}

/// One group of products joins the others of its block.
INGOT_INLINE __m256 ingot_join_avx2(__m256i dot, __m256 scale, __m256 sum, int is_exact) {
  if (!is_exact) return _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot), scale, sum);
  return _mm256_castsi256_ps(_mm256_add_epi32(
      _mm256_castps_si256(sum), _mm256_mullo_epi32(dot, _mm256_castps_si256(scale))));
}

/// A block's sum as a float.
INGOT_INLINE __m256 ingot_block_sum_avx2(__m256 sum, int is_exact) {
  return is_exact ? _mm256_cvtepi32_ps(_mm256_castps_si256(sum)) : sum;
}

/// The products of a block, added group by group.
INGOT_INLINE void ingot_groups_avx2(
    const avx2_block *block, const avx2_tokens *x, int64_t columns, int64_t group, int32_t kind,
    avx2_form form, __m256 sum[AVX2_QUAD][2], int tokens) {
  const int32_t *offsets = x->offsets;
  const int64_t wide = form == AVX2_SIGNED ? 2 : 1;
  const int is_exact = group == 16;
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++)
    INGOT_UNROLL
    for (int k = 0; k < 2; k++)
      sum[t][k] = is_exact ? _mm256_loadu_ps((const void *)(block->zeros[0] + 8 * k))
                           : _mm256_setzero_ps();
  for (int64_t g = 0, column = 0; column < columns; g++, column += group) {
    __m256i dots[AVX2_QUAD][2];
    INGOT_UNROLL
    for (int t = 0; t < tokens; t++)
      INGOT_UNROLL
      for (int k = 0; k < 2; k++)
        dots[t][k] = is_exact ? _mm256_setzero_si256()
                              : ingot_start_avx2(
                                    _mm256_loadu_si256((const void *)(block->zeros[g] + 8 * k)),
                                    offsets ? offsets + t : 0, kind);
    if (offsets) offsets += x->padded_tokens;
    ingot_columns_avx2(
        block->codes + wide * column * INGOT_LANES, x->a + 4 * column, group, form, dots, tokens);
    INGOT_UNROLL
    for (int t = 0; t < tokens; t++)
      INGOT_UNROLL
      for (int k = 0; k < 2; k++)
        sum[t][k] = ingot_join_avx2(
            dots[t][k], _mm256_loadu_ps(block->scales[g] + 8 * k), sum[t][k], is_exact);
  }
}

/// A block × `tokens` tokens, added to `sums[token][16 rows]`.
INGOT_INLINE void ingot_block_avx2(
    const avx2_block *block, const avx2_tokens *x, int64_t columns, int64_t group, int32_t kind,
    avx2_form form, float *sums, int tokens) {
  __m256 sum[AVX2_QUAD][2];
  ingot_groups_avx2(block, x, columns, group, kind, form, sum, tokens);
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++) {
    const __m256 scale = _mm256_set1_ps(x->scales[t]);
    INGOT_UNROLL
    for (int k = 0; k < 2; k++) {
      float *const to = sums + t * INGOT_LANES + 8 * k;
      const __m256 all = ingot_block_sum_avx2(sum[t][k], group == 16);
      _mm256_storeu_ps(to, _mm256_fmadd_ps(all, scale, _mm256_loadu_ps(to)));
    }
  }
}
