// For AVX2: up to eight tokens × weights as they lie in memory, whose sums stay in registers. Included below a target
// attribute.

enum {
  /// Tokens that share what codes are turned into.
  AVX2_FEW = 2 * AVX2_QUAD
};

/// Where the activations of up to two quads begin, and how far apart.
typedef struct avx2_activations {
  const int8_t *a;
  int64_t quad_stride;
} avx2_activations;

/// Four activations of token t, `atom` times four columns on.
INGOT_INLINE __m256i ingot_token_avx2(const avx2_activations *x, int64_t atom, int t) {
  return ingot_quad_avx2(x->a + t / 4 * x->quad_stride + 16 * atom, t % 4);
}

/// Adds one vector of unsigned codes times the activations of an atom of each token to 16-bit sums.
INGOT_INLINE void ingot_add_pairs_avx2(
    __m256i codes, const avx2_activations *x, int64_t atom, __m256i *pairs, int tokens) {
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++) {
    pairs[t] = _mm256_add_epi16(pairs[t], _mm256_maddubs_epi16(codes, ingot_token_avx2(x, atom, t)));
    INGOT_KEEP_AVX2(pairs[t]);
  }
}

/// 16-bit sums join those of 32 bits.
INGOT_INLINE void ingot_widen_pairs_avx2(const __m256i *pairs, __m256i *dots, int tokens) {
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++)
    dots[t] = _mm256_add_epi32(dots[t], _mm256_madd_epi16(pairs[t], _mm256_set1_epi16(1)));
}

/// Adds one vector of signed bytes.
INGOT_INLINE void ingot_add_signed_avx2(
    __m256i w, const avx2_activations *x, int64_t atom, __m256i *dots, int tokens) {
  const __m256i size = _mm256_abs_epi8(w);
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++) {
    const __m256i pairs =
        _mm256_maddubs_epi16(size, _mm256_sign_epi8(ingot_token_avx2(x, atom, t), w));
    dots[t] = _mm256_add_epi32(dots[t], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
}

/// 32 columns of nibbles of eight rows, of which the second 16 lie `far` atoms further on.
INGOT_INLINE void ingot_direct_nibbles_avx2(
    const uint8_t *p, const avx2_activations *x, int64_t atom, int64_t far, __m256i *dots,
    int tokens) {
  __m256i pairs[AVX2_FEW];
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++) pairs[t] = _mm256_setzero_si256();
  INGOT_UNROLL
  for (int i = 0; i < 4; i++) {
    __m256i codes[2];
    ingot_split_nibbles_avx2(p + 64 * i, &codes[0], &codes[1]);
    ingot_add_pairs_avx2(codes[0], x, atom + i, pairs, tokens);
    ingot_add_pairs_avx2(codes[1], x, atom + i + far, pairs, tokens);
  }
  ingot_widen_pairs_avx2(pairs, dots, tokens);
}

/// 8 columns of levels of eight rows, of which the second 4 lie `far` atoms further on.
INGOT_INLINE void ingot_direct_levels_avx2(
    const uint8_t *p, const avx2_activations *x, int64_t atom, int64_t far, __m256i levels,
    __m256i *dots, int tokens) {
  __m256i codes[2];
  ingot_split_nibbles_avx2(p, &codes[0], &codes[1]);
  ingot_add_signed_avx2(_mm256_shuffle_epi8(levels, codes[0]), x, atom, dots, tokens);
  ingot_add_signed_avx2(_mm256_shuffle_epi8(levels, codes[1]), x, atom + far, dots, tokens);
}

/// 16 columns of six bits of eight rows, four each a quarter of the group of `quarter` atoms apart.
INGOT_INLINE void ingot_direct_six_bits_avx2(
    const uint8_t *p, const avx2_activations *x, int64_t atom, int64_t quarter, __m256i *dots,
    int tokens) {
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
    __m256i pairs[AVX2_FEW];
    INGOT_UNROLL
    for (int t = 0; t < tokens; t++)
      pairs[t] = _mm256_maddubs_epi16(codes[k], ingot_token_avx2(x, atom + k * quarter, t));
    ingot_add_pairs_avx2(codes[k + 1], x, atom + (k + 1) * quarter, pairs, tokens);
    ingot_widen_pairs_avx2(pairs, dots, tokens);
  }
}

/// Adds a group of eight rows, whose codes begin at `p` and its activations at `x`.
INGOT_INLINE void ingot_direct_group_avx2(
    const uint8_t *p, const avx2_activations *x, int64_t group, int32_t kind, __m256i levels,
    __m256i *dots, int tokens) {
  switch (kind) {
    case INGOT_INT8:
      for (int64_t i = 0; i < group / 4; i++)
        ingot_add_signed_avx2(
            _mm256_loadu_si256((const void *)(p + 64 * i)), x, i, dots, tokens);
      break;
    case INGOT_INT6:
      for (int64_t i = 0; i < group / 16; i++)
        ingot_direct_six_bits_avx2(p + 64 * i, x, i, group / 16, dots, tokens);
      break;
    case INGOT_CB4:
      for (int64_t i = 0; i < group / 8; i++)
        ingot_direct_levels_avx2(p + 64 * i, x, i, group / 8, levels, dots, tokens);
      break;
    default:
      for (int64_t i = 0; i < group / 8; i += 4)
        ingot_direct_nibbles_avx2(p + 64 * i, x, i, group / 8, dots, tokens);
  }
}

/// Where the products of a group of eight rows start for each token; signed ones have no offsets.
INGOT_INLINE void ingot_direct_start_avx2(
    const ingot_tiled *w, const uint8_t *tile, int64_t index, int half, const int32_t *offsets,
    int32_t kind, __m256i *dots, int tokens) {
  __m256i zeros = _mm256_setzero_si256();
  if (kind == INGOT_INT4Z)
    zeros = ingot_zeros_avx2(tile + w->zero_offset + 16 * index + 8 * half);
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++)
    dots[t] = ingot_start_avx2(zeros, offsets ? offsets + t : 0, kind);
}

/// One block of one tile's eight rows × `tokens` tokens: float sums of its groups.
INGOT_INLINE void ingot_direct_block_avx2(
    const ingot_tiled *w, const uint8_t *tile, int half, const ingot_activations *x, int64_t token,
    int64_t first, int64_t columns, int64_t group, int32_t kind, int is_exact, __m256i levels,
    __m256 *sum, int tokens) {
  const uint8_t *p = tile + w->code_offset + ingot_code_bytes(w, first) + 32 * half;
  const int64_t padded = x->padded_tokens, stride = x->token_stride;
  const int32_t *offsets = ingot_is_unsigned_avx2(kind)
                               ? x->offsets[__builtin_ctz((unsigned)group) - 4]
                                     + first / group * padded + token
                               : 0;
  avx2_activations quads = {
      .a = x->codes + token * stride + 4 * first, .quad_stride = AVX2_QUAD * stride};
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++) sum[t] = _mm256_setzero_ps();
  for (int64_t index = first / group; index < (first + columns) / group; index++) {
    __m256i dots[AVX2_FEW];
    ingot_direct_start_avx2(w, tile, index, half, offsets, kind, dots, tokens);
    ingot_direct_group_avx2(p, &quads, group, kind, levels, dots, tokens);
    p += ingot_code_bytes(w, group);
    quads.a += 4 * group;
    if (offsets) offsets += padded;
    const __m256 scale = ingot_scales_avx2(w, tile, index, half, is_exact);
    INGOT_UNROLL
    for (int t = 0; t < tokens; t++) sum[t] = ingot_join_avx2(dots[t], scale, sum[t], is_exact);
  }
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++) sum[t] = ingot_block_sum_avx2(sum[t], is_exact);
}

/// Eight rows of a tile × `tokens` tokens, from memory to `sums[token][16 rows]`.
INGOT_INLINE void ingot_direct_tile_avx2(
    const ingot_tiled *w, const uint8_t *tile, const ingot_activations *x, int64_t token,
    int64_t group, int32_t kind, int is_exact, float *sums, int tokens) {
  const __m256i levels = ingot_levels_avx2(w);
  __m256 all[2][AVX2_FEW];
  INGOT_UNROLL
  for (int i = 0; i < 2 * tokens; i++) all[i % 2][i / 2] = _mm256_setzero_ps();
  for (int64_t column = 0; column < w->columns; column += INGOT_BLOCK) {
    const int64_t rest = w->columns - column, columns = rest < INGOT_BLOCK ? rest : INGOT_BLOCK;
    const float *const scales = x->scales + column / INGOT_BLOCK * x->padded_tokens + token;
    ingot_fetch_ahead(
        tile + w->code_offset + ingot_code_bytes(w, column), ingot_code_bytes(w, columns));
    INGOT_UNROLL
    for (int half = 0; half < 2; half++) {
      __m256 sum[AVX2_FEW];
      ingot_direct_block_avx2(
          w, tile, half, x, token, column, columns, group, kind, is_exact, levels, sum, tokens);
      INGOT_UNROLL
      for (int t = 0; t < tokens; t++)
        all[half][t] = _mm256_fmadd_ps(sum[t], _mm256_set1_ps(scales[t]), all[half][t]);
    }
  }
  INGOT_UNROLL
  for (int i = 0; i < 2 * tokens; i++)
    _mm256_storeu_ps(sums + i / 2 * INGOT_LANES + i % 2 * 8, all[i % 2][i / 2]);
}

/// The same for `count` tokens: 1, 2, 4 or 8.
INGOT_INLINE void ingot_direct_kind_avx2(
    const ingot_tiled *w, const uint8_t *tile, const ingot_activations *x, int64_t token,
    int64_t count, int32_t kind, int is_exact, float *sums) {
  const int64_t group = is_exact ? 16 : w->group;
  switch (count) {
    case 1: ingot_direct_tile_avx2(w, tile, x, token, group, kind, is_exact, sums, 1); break;
    case 2: ingot_direct_tile_avx2(w, tile, x, token, group, kind, is_exact, sums, 2); break;
    case AVX2_QUAD:
      ingot_direct_tile_avx2(w, tile, x, token, group, kind, is_exact, sums, AVX2_QUAD);
      break;
    default: ingot_direct_tile_avx2(w, tile, x, token, group, kind, is_exact, sums, AVX2_FEW);
  }
}

typedef void (*avx2_direct)(
    const ingot_tiled *w, const uint8_t *tile, const ingot_activations *x, int64_t token,
    int64_t count, float *sums);

#define INGOT_DIRECT_AVX2(name, kind, is_exact)                                               \
  static void ingot_direct_##name##_avx2(                                                     \
      const ingot_tiled *w, const uint8_t *tile, const ingot_activations *x, int64_t token,   \
      int64_t count, float *sums) {                                                           \
    ingot_direct_kind_avx2(w, tile, x, token, count, kind, is_exact, sums);                   \
  }
INGOT_DIRECT_AVX2(int8, INGOT_INT8, 0)
INGOT_DIRECT_AVX2(int6, INGOT_INT6, 0)
INGOT_DIRECT_AVX2(int4, INGOT_INT4, 0)
INGOT_DIRECT_AVX2(int4z, INGOT_INT4Z, 0)
INGOT_DIRECT_AVX2(cb4, INGOT_CB4, 0)
INGOT_DIRECT_AVX2(exact, INGOT_CB4, 1)

static avx2_direct ingot_choose_direct_avx2(const ingot_tiled *w) {
  switch (w->kind) {
    case INGOT_INT8: return ingot_direct_int8_avx2;
    case INGOT_INT6: return ingot_direct_int6_avx2;
    case INGOT_INT4: return ingot_direct_int4_avx2;
    case INGOT_INT4Z: return ingot_direct_int4z_avx2;
    default: return ingot_is_exact(w) ? ingot_direct_exact_avx2 : ingot_direct_cb4_avx2;
  }
}

/// Of `left` tokens, how many to multiply together; there may be up to three that are not there, and are zeros.
INGOT_INLINE int64_t ingot_direct_count_avx2(int64_t left) {
  if (left > AVX2_QUAD + 2) return AVX2_FEW;
  return left > 2 ? AVX2_QUAD : left;
}

/// Tiles [first, end) × the few tokens there are.
static void ingot_multiply_direct_avx2(
    const ingot_tiled *w, const ingot_activations *x, int64_t first, int64_t end, float *out,
    float *sums) {
  const avx2_direct direct = ingot_choose_direct_avx2(w);
  for (int64_t tile = first; tile < end; tile++) {
    const uint8_t *const bytes = ingot_tile(w, tile);
    ingot_fetch_ahead(bytes, w->code_offset);
    for (int64_t t = 0, count; t < x->tokens; t += count) {
      count = ingot_direct_count_avx2(x->tokens - t);
      direct(w, bytes, x, t, count, sums);
      const int64_t last = x->tokens - t < count ? x->tokens : t + count;
      ingot_write_tile_avx2(w, tile, t, last, sums, out);
    }
  }
}
