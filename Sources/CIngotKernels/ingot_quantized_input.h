// Quantization of activations, compiled once per instruction set.
//
// Per token and block of 128 columns (the last may be shorter): m = max |x|; scale = m / 127;
// q = round(clamp(x · (127 / m), ±127)), ties to even; m = 0 gives scale 0 and q 0.

typedef int32_t INGOT_NAME(s32x4) __attribute__((vector_size(16)));

/// 16 codes of one token.
INGOT_INLINE s8x16 INGOT_NAME(quantize16)(const float *x, f32x16 factor) {
  const f32x16 limit = ingot_splat(127.0f), magic = ingot_splat(12582912.0f);
  f32x16 v = ingot_load(x) * factor;
  v = ingot_select(v > limit, limit, v);
  v = ingot_select(v < -limit, -limit, v);
  // The low bits of 1.5·2^23 + v hold round(v); NaN ends in zeros, so it becomes 0 here.
  const s32x16 q = ingot_as_s32(v + magic) - ingot_splat_s32(0x4B400000);
  return __builtin_convertvector(q, s8x16);
}

INGOT_INLINE float INGOT_NAME(block_maximum)(const float *x, int64_t width) {
  f32x16 best = ingot_splat(0);
  for (int64_t i = 0; i < width; i += 16) best = ingot_max16(ingot_abs16(ingot_load(x + i)), best);
  return ingot_maximum16(best);
}

/// 127 / max |x| of one block, or 0, after writing its scale.
INGOT_INLINE f32x16 INGOT_NAME(block_factor)(
    const float *x, int64_t token, int64_t start, int64_t width, const ingot_activations *out) {
  // Several rows are read in turn, in runs too short for the processor to see them coming.
  for (int64_t i = 0; x && i < INGOT_BLOCK; i += 16)
    __builtin_prefetch(x + start + 2 * INGOT_BLOCK + i, 0, 3);
  const float maximum = x ? INGOT_NAME(block_maximum)(x + start, width) : 0;
  out->scales[start / INGOT_BLOCK * out->padded_tokens + token] = maximum / 127.0f;
  return ingot_splat(maximum > 0 ? 127.0f / maximum : 0);
}

/// One block of one token, its columns side by side.
INGOT_INLINE void INGOT_NAME(quantize_rows_block)(
    const float *x, int64_t token, int64_t start, int64_t width, const ingot_activations *out) {
  const f32x16 factor = INGOT_NAME(block_factor)(x, token, start, width, out);
  const int is_tile = out->order == INGOT_BY_TILE;
  const int64_t tile = token / 16 * 16 * out->token_stride + token % 16 * 64;
  int8_t *to = out->codes + (is_tile ? tile : token * out->token_stride);
  for (int64_t i = start; i < start + width; i += 16) {
    s8x16 codes = {0};
    if (x) codes = INGOT_NAME(quantize16)(x + i, factor);
    memcpy(to + (is_tile ? i / 64 * 1024 + i % 64 : i), &codes, 16);
  }
}

/// Four tokens' codes of 16 columns as `[column / 4][token][column % 4]`.
INGOT_INLINE s32x16 INGOT_NAME(interleave4)(const s8x16 codes[4]) {
  INGOT_NAME(s32x4) t[4];
  memcpy(t, codes, 64);
  const INGOT_NAME(s32x4) a = __builtin_shufflevector(t[0], t[1], 0, 4, 1, 5);
  const INGOT_NAME(s32x4) b = __builtin_shufflevector(t[2], t[3], 0, 4, 1, 5);
  const INGOT_NAME(s32x4) c = __builtin_shufflevector(t[0], t[1], 2, 6, 3, 7);
  const INGOT_NAME(s32x4) d = __builtin_shufflevector(t[2], t[3], 2, 6, 3, 7);
  const INGOT_NAME(s32x4) columns[4] = {
      __builtin_shufflevector(a, b, 0, 1, 4, 5), __builtin_shufflevector(a, b, 2, 3, 6, 7),
      __builtin_shufflevector(c, d, 0, 1, 4, 5), __builtin_shufflevector(c, d, 2, 3, 6, 7)};
  s32x16 all;
  memcpy(&all, columns, 64);
  return all;
}

/// Each token's sum over what `interleave4` gave.
INGOT_INLINE INGOT_NAME(s32x4) INGOT_NAME(sums4)(s32x16 codes) {
  const s32x16 sums =
      (codes >> 24) + ((codes << 8) >> 24) + ((codes << 16) >> 24) + ((codes << 24) >> 24);
  INGOT_NAME(s32x4) parts[4];
  memcpy(parts, &sums, 64);
  return parts[0] + parts[1] + parts[2] + parts[3];
}

/// Writes −128 · Σ of four tokens for every wanted group size from the sums of 16 columns.
INGOT_INLINE void INGOT_NAME(place_sums)(
    INGOT_NAME(s32x4) *sums, int64_t runs, int64_t token, int64_t column,
    const ingot_activations *out) {
  for (int level = 0; level < 4; level++) {
    if (out->offsets[level]) {
      int32_t *row = out->offsets[level] + (column >> (4 + level)) * out->padded_tokens + token;
      for (int64_t i = 0; i < runs; i++) {
        const INGOT_NAME(s32x4) offsets = sums[i] * -128;
        memcpy(row + i * out->padded_tokens, &offsets, 16);
      }
    }
    for (int64_t i = 0; i < runs / 2; i++) sums[i] = sums[2 * i] + sums[2 * i + 1];
    runs /= 2;
  }
}

/// One block of four tokens, interleaved; null where a token is not there.
INGOT_INLINE void INGOT_NAME(quantize_quad_block)(
    const float *const *x, int64_t token, int64_t start, int64_t width,
    const ingot_activations *out) {
  INGOT_NAME(s32x4) sums[INGOT_BLOCK / 16];
  f32x16 factor[4];
  for (int t = 0; t < 4; t++)
    factor[t] = INGOT_NAME(block_factor)(x[t], token + t, start, width, out);
  int8_t *to = out->codes + token * out->token_stride + 4 * start;
  for (int64_t i = 0; i < width; i += 16) {
    s8x16 codes[4] = {{0}};
    for (int t = 0; t < 4; t++)
      if (x[t]) codes[t] = INGOT_NAME(quantize16)(x[t] + start + i, factor[t]);
    const s32x16 all = INGOT_NAME(interleave4)(codes);
    memcpy(to + 4 * i, &all, 64);
    sums[i / 16] = INGOT_NAME(sums4)(all);
  }
  INGOT_NAME(place_sums)(sums, width / 16, token, start, out);
}

static void INGOT_NAME(quantize_f32_s8)(
    const float *x, ingot_region region, const ingot_activations *out) {
  for (int64_t token = region.first_token; token < region.end_token; token += 4) {
    // Tokens beyond the last are zeros, so that a kernel may compute with whole quads.
    const float *rows[4];
    for (int t = 0; t < 4; t++)
      rows[t] = token + t < out->tokens ? x + (token + t) * out->columns : 0;
    for (int64_t start = region.first_column; start < region.end_column; start += INGOT_BLOCK) {
      const int64_t left = region.end_column - start;
      const int64_t width = left < INGOT_BLOCK ? left : INGOT_BLOCK;
      if (out->order == INGOT_BY_QUAD)
        INGOT_NAME(quantize_quad_block)(rows, token, start, width, out);
      else
        for (int t = 0; t < 4; t++)
          INGOT_NAME(quantize_rows_block)(rows[t], token + t, start, width, out);
    }
  }
}
