// Norms, activations and reductions, compiled once per instruction set; INGOT_NAME(op) names them.
// Every sum runs in 16 lanes (element i in lane i % 16) and ends in the tree of `ingot_sum16`.

static float INGOT_NAME(inverse_rms)(const float *x, float epsilon, int64_t width) {
  f32x16 sum = ingot_splat(0);
  int64_t i = 0;
  for (; i + 16 <= width; i += 16) {
    const f32x16 v = ingot_load(x + i);
    sum = ingot_fma16(v, v, sum);
  }
  if (i < width) {
    const f32x16 v = ingot_load_part(x + i, width - i);
    sum = ingot_fma16(v, v, sum);
  }
  return 1.0f / __builtin_sqrtf(ingot_sum16(sum) / (float)width + epsilon);
}

static void INGOT_NAME(rms_norm_f32)(
    const float *x, const float *weight, float epsilon, int64_t width, float *out) {
  const f32x16 inverse = ingot_splat(INGOT_NAME(inverse_rms)(x, epsilon, width));
  int64_t i = 0;
  for (; i + 16 <= width; i += 16)
    ingot_store(out + i, ingot_load(weight + i) * (ingot_load(x + i) * inverse));
  if (i < width) {
    const int64_t rest = width - i;
    const f32x16 v = ingot_load_part(x + i, rest) * inverse;
    ingot_store_part(out + i, ingot_load_part(weight + i, rest) * v, rest);
  }
}

/// Rotates the pair (x[i], x[i + half]) by angle i: Hugging Face's `rotate_half` convention.
INGOT_INLINE void INGOT_NAME(rotate)(
    f32x16 *first, f32x16 *second, f32x16 cosine, f32x16 sine) {
  const f32x16 a = *first, b = *second;
  *first = a * cosine - b * sine;
  *second = b * cosine + a * sine;
}

static void INGOT_NAME(head_norm_rope_f32)(
    float *x, const float *weight, float epsilon, int64_t dimension, const float *cosines,
    const float *sines) {
  const f32x16 inverse = ingot_splat(INGOT_NAME(inverse_rms)(x, epsilon, dimension));
  const int64_t half = dimension / 2;
  for (int64_t i = 0; i < half; i += 16) {
    const int64_t n = half - i;
    if (n >= 16) {
      f32x16 a = ingot_load(weight + i) * (ingot_load(x + i) * inverse);
      f32x16 b = ingot_load(weight + half + i) * (ingot_load(x + half + i) * inverse);
      INGOT_NAME(rotate)(&a, &b, ingot_load(cosines + i), ingot_load(sines + i));
      ingot_store(x + i, a);
      ingot_store(x + half + i, b);
    } else {
      f32x16 a = ingot_load_part(weight + i, n) * (ingot_load_part(x + i, n) * inverse);
      f32x16 b =
          ingot_load_part(weight + half + i, n) * (ingot_load_part(x + half + i, n) * inverse);
      INGOT_NAME(rotate)(
          &a, &b, ingot_load_part(cosines + i, n), ingot_load_part(sines + i, n));
      ingot_store_part(x + i, a, n);
      ingot_store_part(x + half + i, b, n);
    }
  }
}

INGOT_INLINE f32x16 INGOT_NAME(silu)(f32x16 x) {
  return x / (ingot_splat(1.0f) + ingot_exp16(-x));
}

static void INGOT_NAME(swiglu_f32)(float *gate, const float *up, int64_t count) {
  int64_t i = 0;
  for (; i + 16 <= count; i += 16)
    ingot_store(gate + i, INGOT_NAME(silu)(ingot_load(gate + i)) * ingot_load(up + i));
  if (i < count) {
    const int64_t rest = count - i;
    const f32x16 v = INGOT_NAME(silu)(ingot_load_part(gate + i, rest));
    ingot_store_part(gate + i, v * ingot_load_part(up + i, rest), rest);
  }
}

static void INGOT_NAME(add_f32)(float *x, const float *y, int64_t count) {
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) ingot_store(x + i, ingot_load(x + i) + ingot_load(y + i));
  for (; i < count; i++) x[i] += y[i];
}

/// Natural logarithm of a positive finite number in f64, from IEEE operations only.
///
/// x = 2^k·m with m in [√½, √2); log m = 2·atanh(s), s = (m − 1)/(m + 1), as a series in s²: |s| <
/// 0.1716, so 11 terms leave an error below 1e-17.
static double INGOT_NAME(log)(double x) {
  uint64_t bits;
  memcpy(&bits, &x, 8);
  int64_t exponent = (int64_t)(bits >> 52) - 1023;
  bits = (bits & 0xFFFFFFFFFFFFFull) | 0x3FF0000000000000ull;
  double m;
  memcpy(&m, &bits, 8);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    exponent += 1;
  }
  const double s = (m - 1) / (m + 1), z = s * s;
  double series = 0;
  for (int k = 10; k >= 0; k--) series = series * z + 1.0 / (2 * k + 1);
  return (double)exponent * 0.6931471805599453 + 2 * s * series;
}

/// Lanes are summed in runs of 64 vectors first, so that a vocabulary of 151671 keeps 6 digits.
static float INGOT_NAME(exp_sum)(const float *x, int64_t count, float maximum) {
  const f32x16 shift = ingot_splat(maximum);
  f32x16 total = ingot_splat(0);
  int64_t i = 0;
  while (i + 16 <= count) {
    f32x16 run = ingot_splat(0);
    for (int k = 0; k < 64 && i + 16 <= count; k++, i += 16)
      run += ingot_exp16_negative(ingot_load(x + i) - shift);
    total += run;
  }
  if (i < count) {
    float lanes[16];
    ingot_store(lanes, ingot_exp16_negative(ingot_load_part(x + i, count - i) - shift));
    total += ingot_load_part(lanes, count - i);
  }
  return ingot_sum16(total);
}

static void INGOT_NAME(softmax_summary_f32)(
    const float *logits, int64_t count, ingot_summary *out) {
  const float lowest = -__builtin_inff();
  f32x16 best = ingot_splat(lowest);
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) best = ingot_max16(ingot_load(logits + i), best);
  float maximum = ingot_maximum16(best);
  for (; i < count; i++) maximum = logits[i] > maximum ? logits[i] : maximum;
  int64_t argmax = 0;
  while (argmax < count && logits[argmax] != maximum) argmax++;
  out->argmax = argmax < count ? argmax : 0;
  out->maximum = maximum;
  const double sum = INGOT_NAME(exp_sum)(logits, count, maximum);
  // A sum that is not positive and finite comes from NaN or infinite logits alone.
  out->log_sum_exp = sum > 0 && sum < __builtin_inf()
                         ? (float)((double)maximum + INGOT_NAME(log)(sum))
                         : (float)sum;
}
