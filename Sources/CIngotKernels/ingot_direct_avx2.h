// For AVX2: up to four tokens × weights as they lie in memory, whose sums stay in registers. Included below a target
// attribute.

/// Adds one vector of unsigned codes times the activations `a` of each token to 16-bit sums.
INGOT_INLINE void ingot_add_pairs_avx2(
    __m256i codes, const int8_t *a, __m256i pairs[AVX2_QUAD], int tokens) {
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++) {
    pairs[t] = _mm256_add_epi16(pairs[t], _mm256_maddubs_epi16(codes, ingot_quad_avx2(a, t)));
    INGOT_KEEP_AVX2(pairs[t]);
  }
}

/// 16-bit sums join those of 32 bits.
INGOT_INLINE void ingot_widen_pairs_avx2(
    const __m256i pairs[AVX2_QUAD], __m256i dots[AVX2_QUAD], int tokens) {
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++)
    dots[t] = _mm256_add_epi32(dots[t], _mm256_madd_epi16(pairs[t], _mm256_set1_epi16(1)));
}

/// Adds one vector of signed bytes.
INGOT_INLINE void ingot_add_signed_avx2(
    __m256i w, const int8_t *a, __m256i dots[AVX2_QUAD], int tokens) {
  const __m256i size = _mm256_abs_epi8(w);
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++) {
    const __m256i pairs =
        _mm256_maddubs_epi16(size, _mm256_sign_epi8(ingot_quad_avx2(a, t), w));
    dots[t] = _mm256_add_epi32(dots[t], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
}

/// 32 columns of nibbles of eight rows, of which the second 16 lie `far` atoms further on.
INGOT_INLINE void ingot_direct_nibbles_avx2(
    const uint8_t *p, const int8_t *a, int64_t far, __m256i dots[AVX2_QUAD], int tokens) {
  __m256i pairs[AVX2_QUAD];
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++) pairs[t] = _mm256_setzero_si256();
  INGOT_UNROLL
  for (int i = 0; i < 4; i++) {
    __m256i codes[2];
    ingot_split_nibbles_avx2(p + 64 * i, &codes[0], &codes[1]);
    ingot_add_pairs_avx2(codes[0], a + 16 * i, pairs, tokens);
    ingot_add_pairs_avx2(codes[1], a + 16 * (i + far), pairs, tokens);
  }
  ingot_widen_pairs_avx2(pairs, dots, tokens);
}

/// 8 columns of levels of eight rows, of which the second 4 lie `far` atoms further on.
INGOT_INLINE void ingot_direct_levels_avx2(
    const uint8_t *p, const int8_t *a, int64_t far, __m256i levels, __m256i dots[AVX2_QUAD],
    int tokens) {
  __m256i codes[2];
  ingot_split_nibbles_avx2(p, &codes[0], &codes[1]);
  ingot_add_signed_avx2(_mm256_shuffle_epi8(levels, codes[0]), a, dots, tokens);
  ingot_add_signed_avx2(_mm256_shuffle_epi8(levels, codes[1]), a + 16 * far, dots, tokens);
}

/// 16 columns of six bits of eight rows, four each a quarter of the group of `quarter` atoms apart.
INGOT_INLINE void ingot_direct_six_bits_avx2(
    const uint8_t *p, const int8_t *a, int64_t quarter, __m256i dots[AVX2_QUAD], int tokens) {
  const __m256i high = _mm256_set1_epi8(0x30);
  const __m256i two = _mm256_loadu_si256((const void *)(p + 128 * quarter));
  __m256i near[2], far[2];
  INGOT_UNROLL
  for (int i = 0; i < 2; i++)
    ingot_split_nibbles_avx2(p + 64 * quarter * i, &near[i], &far[i]);
  const __m256i codes[4] = {
      _mm256_or_si256(near[0], _mm256_and_si256(_mm256_slli_epi16(two, 4), high)),
      _mm256_or_si256(near[1], _mm256_and_si256(_mm256_slli_epi16(two, 2), high)),
      _mm256_or_si256(far[0], _mm256_and_si256(two, high)),
      _mm256_or_si256(far[1], _mm256_and_si256(_mm256_srli_epi16(two, 2), high))};
  INGOT_UNROLL
  for (int k = 0; k < 4; k += 2) {
    __m256i pairs[AVX2_QUAD];
    INGOT_UNROLL
    for (int t = 0; t < tokens; t++)
      pairs[t] = _mm256_maddubs_epi16(codes[k], ingot_quad_avx2(a + 16 * k * quarter, t));
    ingot_add_pairs_avx2(codes[k + 1], a + 16 * (k + 1) * quarter, pairs, tokens);
    ingot_widen_pairs_avx2(pairs, dots, tokens);
  }
}

/// Adds a group of eight rows, whose codes begin at `p`.
INGOT_INLINE void ingot_direct_group_avx2(
    const uint8_t *p, const int8_t *a, int64_t group, int32_t kind, __m256i levels,
    __m256i dots[AVX2_QUAD], int tokens) {
  switch (kind) {
    case INGOT_INT8:
      for (int64_t i = 0; i < group / 4; i++)
        ingot_add_signed_avx2(
            _mm256_loadu_si256((const void *)(p + 64 * i)), a + 16 * i, dots, tokens);
      break;
    case INGOT_INT6:
      for (int64_t i = 0; i < group / 16; i++)
        ingot_direct_six_bits_avx2(p + 64 * i, a + 16 * i, group / 16, dots, tokens);
      break;
    case INGOT_CB4:
      for (int64_t i = 0; i < group / 8; i++)
        ingot_direct_levels_avx2(p + 64 * i, a + 16 * i, group / 8, levels, dots, tokens);
      break;
    default:
      for (int64_t i = 0; i < group / 8; i += 4)
        ingot_direct_nibbles_avx2(p + 64 * i, a + 16 * i, group / 8, dots, tokens);
  }
}

/// Where the products of a group of eight rows start for each token.
INGOT_INLINE void ingot_direct_start_avx2(
    const ingot_tiled *w, const uint8_t *tile, int64_t index, int half, const int32_t *offsets,
    int32_t kind, __m256i dots[AVX2_QUAD], int tokens) {
  __m256i zeros = _mm256_setzero_si256();
  if (kind == INGOT_INT4Z)
    zeros = ingot_zeros_avx2(tile + w->zero_offset + 16 * index + 8 * half);
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++)
    dots[t] = ingot_is_unsigned_avx2(kind) ? ingot_start_avx2(zeros, offsets[t], kind)
                                           : _mm256_setzero_si256();
}

/// One block of one tile's eight rows × `tokens` tokens: float sums of its groups.
INGOT_INLINE void ingot_direct_block_avx2(
    const ingot_tiled *w, const uint8_t *tile, int half, const avx2_tokens *x, int64_t first,
    int64_t columns, int64_t group, int32_t kind, int is_exact, __m256i levels,
    __m256 sum[AVX2_QUAD], int tokens) {
  const uint8_t *p = tile + w->code_offset + ingot_code_bytes(w, first) + 32 * half;
  __m256i exact[AVX2_QUAD];
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++) {
    sum[t] = _mm256_setzero_ps();
    exact[t] = _mm256_setzero_si256();
  }
  for (int64_t g = 0; g < columns / group; g++) {
    const int64_t index = first / group + g;
    __m256i dots[AVX2_QUAD];
    ingot_direct_start_avx2(
        w, tile, index, half, x->offsets + g * x->padded_tokens, kind, dots, tokens);
    ingot_direct_group_avx2(
        p + ingot_code_bytes(w, g * group), x->a + 4 * g * group, group, kind, levels, dots,
        tokens);
    if (is_exact) {
      const __m256i scale = ingot_integer_scales_avx2(tile, index, half);
      INGOT_UNROLL
      for (int t = 0; t < tokens; t++)
        exact[t] = _mm256_add_epi32(exact[t], _mm256_mullo_epi32(dots[t], scale));
    } else {
      const __m256 scale = ingot_scales_avx2(w, tile, index, half);
      INGOT_UNROLL
      for (int t = 0; t < tokens; t++)
        sum[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots[t]), scale, sum[t]);
    }
  }
  INGOT_UNROLL
  for (int t = 0; is_exact && t < tokens; t++) sum[t] = _mm256_cvtepi32_ps(exact[t]);
}

/// Eight rows of a tile × `tokens` tokens, from memory to `sums[token][16 rows]`.
INGOT_INLINE void ingot_direct_tile_avx2(
    const ingot_tiled *w, const uint8_t *tile, const ingot_activations *x, int64_t token,
    int64_t group, int32_t kind, int is_exact, float *sums, int tokens) {
  const int64_t padded = x->padded_tokens;
  const __m256i levels = ingot_levels_avx2(w);
  const int32_t *const offsets = x->offsets[__builtin_ctz((unsigned)group) - 4] + token;
  const int8_t *const a = x->codes + token * x->token_stride;
  __m256 all[2][AVX2_QUAD];
  INGOT_UNROLL
  for (int i = 0; i < 2 * tokens; i++) all[i % 2][i / 2] = _mm256_setzero_ps();
  for (int64_t column = 0; column < w->columns; column += INGOT_BLOCK) {
    const int64_t rest = w->columns - column, columns = rest < INGOT_BLOCK ? rest : INGOT_BLOCK;
    const avx2_tokens quad = {
        .a = a + 4 * column, .offsets = offsets + column / group * padded, .padded_tokens = padded};
    ingot_fetch_ahead(
        tile + w->code_offset + ingot_code_bytes(w, column), ingot_code_bytes(w, columns));
    INGOT_UNROLL
    for (int half = 0; half < 2; half++) {
      __m256 sum[AVX2_QUAD];
      ingot_direct_block_avx2(
          w, tile, half, &quad, column, columns, group, kind, is_exact, levels, sum, tokens);
      INGOT_UNROLL
      for (int t = 0; t < tokens; t++)
        all[half][t] = _mm256_fmadd_ps(
            sum[t], _mm256_set1_ps(x->scales[column / INGOT_BLOCK * padded + token + t]),
            all[half][t]);
    }
  }
  INGOT_UNROLL
  for (int i = 0; i < 2 * tokens; i++)
    _mm256_storeu_ps(sums + i / 2 * INGOT_LANES + i % 2 * 8, all[i % 2][i / 2]);
}

/// The same for as many tokens of a quad as there are.
INGOT_INLINE void ingot_direct_kind_avx2(
    const ingot_tiled *w, const uint8_t *tile, const ingot_activations *x, int64_t token,
    int32_t kind, int is_exact, float *sums) {
  const int64_t count = x->tokens - token, group = is_exact ? 16 : w->group;
  if (count == 1)
    ingot_direct_tile_avx2(w, tile, x, token, group, kind, is_exact, sums, 1);
  else if (count == 2)
    ingot_direct_tile_avx2(w, tile, x, token, group, kind, is_exact, sums, 2);
  else ingot_direct_tile_avx2(w, tile, x, token, group, kind, is_exact, sums, AVX2_QUAD);
}

#define INGOT_DIRECT_AVX2(name, kind, is_exact)                                               \
  static void name(                                                                           \
      const ingot_tiled *w, const uint8_t *tile, const ingot_activations *x, int64_t token,   \
      float *sums) {                                                                          \
    ingot_direct_kind_avx2(w, tile, x, token, kind, is_exact, sums);                          \
  }
INGOT_DIRECT_AVX2(ingot_direct_int8_avx2, INGOT_INT8, 0)
INGOT_DIRECT_AVX2(ingot_direct_int4_avx2, INGOT_INT4, 0)
INGOT_DIRECT_AVX2(ingot_direct_int4z_avx2, INGOT_INT4Z, 0)
INGOT_DIRECT_AVX2(ingot_direct_int6_avx2, INGOT_INT6, 0)
INGOT_DIRECT_AVX2(ingot_direct_cb4_avx2, INGOT_CB4, 0)
INGOT_DIRECT_AVX2(ingot_direct_exact_avx2, INGOT_CB4, 1)

/// Tiles [first, end) × the few tokens there are.
static void ingot_multiply_direct_avx2(
    const ingot_tiled *w, const ingot_activations *x, int64_t first, int64_t end, float *out,
    float *sums) {
  for (int64_t tile = first; tile < end; tile++) {
    const uint8_t *const bytes = ingot_tile(w, tile);
    ingot_fetch_ahead(bytes, w->code_offset);
    for (int64_t t = 0; t < x->tokens; t += AVX2_QUAD) {
      switch (w->kind) {
        case INGOT_INT8: ingot_direct_int8_avx2(w, bytes, x, t, sums); break;
        case INGOT_INT4: ingot_direct_int4_avx2(w, bytes, x, t, sums); break;
        case INGOT_INT4Z: ingot_direct_int4z_avx2(w, bytes, x, t, sums); break;
        case INGOT_INT6: ingot_direct_int6_avx2(w, bytes, x, t, sums); break;
        default:
          if (ingot_is_exact(w)) ingot_direct_exact_avx2(w, bytes, x, t, sums);
          else ingot_direct_cb4_avx2(w, bytes, x, t, sums);
      }
      const int64_t last = x->tokens - t < AVX2_QUAD ? x->tokens : t + AVX2_QUAD;
      ingot_write_tile_avx2(w, tile, t, last, sums, out);
    }
  }
}
