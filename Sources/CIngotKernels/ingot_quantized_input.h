// Quantization of activations, compiled once per instruction set.
//
// Per token and block of 128 columns (the last may be shorter): m = max |x|; scale = m / 127;
// q = round(clamp(x · (127 / m), ±127)), ties to even; m = 0 gives scale 0 and q 0.

/// 16 codes of one token and their sum.
INGOT_INLINE int32_t INGOT_NAME(quantize16)(const float *x, f32x16 factor, int8_t *codes) {
  const f32x16 limit = ingot_splat(127.0f), magic = ingot_splat(12582912.0f);
  f32x16 v = ingot_load(x) * factor;
  v = ingot_select(v > limit, limit, v);
  v = ingot_select(v < -limit, -limit, v);
  // The low bits of 1.5·2^23 + v hold round(v); NaN ends in zeros, so it becomes 0 here.
  const s32x16 q = ingot_as_s32(v + magic) - ingot_splat_s32(0x4B400000);
  const s8x16 narrow = __builtin_convertvector(q, s8x16);
  memcpy(codes, &narrow, 16);
  const s32x16 exact = __builtin_convertvector(narrow, s32x16);
  int32_t lanes[16];
  memcpy(lanes, &exact, sizeof lanes);
  for (int width = 8; width > 0; width /= 2)
    for (int i = 0; i < width; i++) lanes[i] += lanes[i + width];
  return lanes[0];
}

INGOT_INLINE float INGOT_NAME(block_maximum)(const float *x, int64_t width) {
  f32x16 best = ingot_splat(0);
  for (int64_t i = 0; i < width; i += 16) best = ingot_max16(ingot_abs16(ingot_load(x + i)), best);
  return ingot_maximum16(best);
}

/// Puts 16 codes of columns c … c+15 where the order wants them.
INGOT_INLINE void INGOT_NAME(place16)(
    const int8_t *codes, int64_t token, int64_t column, const ingot_activations *out) {
  if (out->order == INGOT_BY_TOKEN) {
    memcpy(out->codes + token * out->token_stride + column, codes, 16);
    return;
  }
  int8_t *quad = out->codes + (token / 4) * 4 * out->token_stride + column * 4 + token % 4 * 4;
  for (int i = 0; i < 4; i++) memcpy(quad + 16 * i, codes + 4 * i, 4);
}

/// Writes −128 · Σ for every wanted group size from the sums of 16 columns.
INGOT_INLINE void INGOT_NAME(place_sums)(
    int32_t *sums, int64_t runs, int64_t token, int64_t column, const ingot_activations *out) {
  for (int level = 0; level < 4; level++) {
    if (out->offsets[level]) {
      int32_t *row = out->offsets[level] + (column >> (4 + level)) * out->padded_tokens + token;
      for (int64_t i = 0; i < runs; i++) row[i * out->padded_tokens] = -128 * sums[i];
    }
    for (int64_t i = 0; i < runs / 2; i++) sums[i] = sums[2 * i] + sums[2 * i + 1];
    runs /= 2;
  }
}

static void INGOT_NAME(quantize_token)(
    const float *x, int64_t token, const ingot_activations *out) {
  int32_t sums[8];
  int8_t codes[16];
  for (int64_t start = 0; start < out->columns; start += INGOT_BLOCK) {
    const int64_t left = out->columns - start;
    const int64_t width = left < INGOT_BLOCK ? left : INGOT_BLOCK;
    const float maximum = x ? INGOT_NAME(block_maximum)(x + start, width) : 0;
    const float factor = maximum > 0 ? 127.0f / maximum : 0;
    out->scales[start / INGOT_BLOCK * out->padded_tokens + token] = maximum / 127.0f;
    for (int64_t i = 0; i < width; i += 16) {
      if (x) {
        sums[i / 16] = INGOT_NAME(quantize16)(x + start + i, ingot_splat(factor), codes);
      } else {
        memset(codes, 0, 16);
        sums[i / 16] = 0;
      }
      INGOT_NAME(place16)(codes, token, start + i, out);
    }
    INGOT_NAME(place_sums)(sums, width / 16, token, start, out);
  }
}

static void INGOT_NAME(quantize_f32_s8)(
    const float *x, int64_t first, int64_t end, const ingot_activations *out) {
  // Tokens beyond the last are zeros, so that a kernel may compute with whole quads.
  for (int64_t t = first; t < end; t++)
    INGOT_NAME(quantize_token)(t < out->tokens ? x + t * out->columns : 0, t, out);
}
