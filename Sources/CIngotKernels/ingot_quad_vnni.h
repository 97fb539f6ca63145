// For the VNNI kernel: quantization of activations in the order of quads, the numbers that
// `ingot_quantized_input.h` defines. Included below a target attribute.

/// 127 / max |x| of one block for each of four tokens, or 0, after writing their scales. What is no number
/// does not count.
INGOT_INLINE __m128 ingot_quad_factors(const float *const rows[4], int64_t width, float *scales) {
  __m128 quarters[4];
  INGOT_UNROLL
  for (int t = 0; t < 4; t++) {
    __m512 most = _mm512_setzero_ps();
    for (int64_t i = 0; i < width; i += 16)
      most = _mm512_max_ps(_mm512_abs_ps(_mm512_loadu_ps(rows[t] + i)), most);
    const __m256 half =
        _mm256_max_ps(_mm512_castps512_ps256(most), _mm512_extractf32x8_ps(most, 1));
    quarters[t] = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  }
  _MM_TRANSPOSE4_PS(quarters[0], quarters[1], quarters[2], quarters[3]);
  const __m128 maximum = _mm_max_ps(
      _mm_max_ps(quarters[0], quarters[1]), _mm_max_ps(quarters[2], quarters[3]));
  const __m128 limit = _mm_set1_ps(127.0f);
  _mm_storeu_ps(scales, _mm_div_ps(maximum, limit));
  const __mmask8 positive = _mm_cmp_ps_mask(maximum, _mm_setzero_ps(), _CMP_GT_OQ);
  return _mm_maskz_div_ps(positive, limit, maximum);
}

/// 16 codes of one token in 32 bits each; 0 for what is no number.
INGOT_INLINE __m512i ingot_round_codes(const float *x, __m512 factor) {
  const __m512 limit = _mm512_set1_ps(127.0f);
  const __m512 v = _mm512_mul_ps(_mm512_loadu_ps(x), factor);
  // The second operand where one is no number.
  const __m512 within =
      _mm512_max_ps(_mm512_set1_ps(-127.0f), _mm512_min_ps(limit, v));
  return _mm512_maskz_cvtps_epi32(_mm512_cmp_ps_mask(v, v, _CMP_ORD_Q), within);
}

/// One block of four tokens.
static void ingot_quantize_quad(
    const float *const rows[4], int64_t token, int64_t start, int64_t width,
    const ingot_activations *out) {
  const __m128 factors = ingot_quad_factors(
      rows, width, out->scales + start / INGOT_BLOCK * out->padded_tokens + token);
  float lanes[4];
  _mm_storeu_ps(lanes, factors);
  ingot_s32x4_avx512vnni sums[INGOT_BLOCK / 16];
  int8_t *to = out->codes + token * out->token_stride + 4 * start;
  for (int64_t i = 0; i < width; i += 16) {
    __m512i codes[4];
    INGOT_UNROLL
    for (int t = 0; t < 4; t++)
      codes[t] = ingot_round_codes(rows[t] + i, _mm512_set1_ps(lanes[t]));
    // Packing goes by 128 bits: four columns of the four tokens.
    const __m512i all = _mm512_packs_epi16(
        _mm512_packs_epi32(codes[0], codes[1]), _mm512_packs_epi32(codes[2], codes[3]));
    _mm512_storeu_si512(to + 4 * i, all);
    const __m512i four = _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(1), all);
    const __m256i half =
        _mm256_add_epi32(_mm512_castsi512_si256(four), _mm512_extracti64x4_epi64(four, 1));
    const __m128i sum =
        _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    memcpy(&sums[i / 16], &sum, sizeof sum);
  }
  ingot_place_sums_avx512vnni(sums, width / 16, token, start, out);
}

/// The same of four tokens that are all beyond the last.
static void ingot_clear_quad(
    int64_t token, int64_t start, int64_t width, const ingot_activations *out) {
  const int64_t padded = out->padded_tokens;
  memset(out->scales + start / INGOT_BLOCK * padded + token, 0, 4 * sizeof *out->scales);
  memset(out->codes + token * out->token_stride + 4 * start, 0, (size_t)(4 * width));
  for (int level = 0; level < 4; level++) {
    int32_t *row = out->offsets[level];
    if (!row) continue;
    row += (start >> (4 + level)) * padded + token;
    for (int64_t i = 0; i < width >> (4 + level); i++) memset(row + i * padded, 0, 4 * sizeof *row);
  }
}

static void ingot_quantize_avx512vnni(
    const float *x, ingot_region region, const ingot_activations *out) {
  if (out->order != INGOT_BY_QUAD) {
    ingot_quantize_f32_s8_avx512vnni(x, region, out);
    return;
  }
  static const float nothing[INGOT_BLOCK];
  for (int64_t token = region.first_token; token < region.end_token; token += 4) {
    for (int64_t start = region.first_column; start < region.end_column; start += INGOT_BLOCK) {
      const int64_t left = region.end_column - start;
      const int64_t width = left < INGOT_BLOCK ? left : INGOT_BLOCK;
      if (token >= out->tokens) {
        ingot_clear_quad(token, start, width, out);
        continue;
      }
      const float *rows[4];
      for (int t = 0; t < 4; t++) {
        // Tokens beyond the last are zeros, so that a kernel may compute with whole quads.
        rows[t] = token + t < out->tokens ? x + (token + t) * out->columns + start : nothing;
        // Several rows are read in turn, in runs too short for the processor to see them coming.
        for (int64_t i = 0; token + t < out->tokens && i < INGOT_BLOCK; i += 16)
          _mm_prefetch((const char *)(rows[t] + 2 * INGOT_BLOCK + i), _MM_HINT_T0);
      }
      ingot_quantize_quad(rows, token, start, width, out);
    }
  }
}
