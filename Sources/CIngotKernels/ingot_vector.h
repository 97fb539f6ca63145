// Operations on 16 virtual lanes, compiled anew for each instruction set that includes this file.
//
// The including file may define INGOT_LOAD_HALF(p), which turns 16 binary16 numbers at any address
// into an f32x16, where the instruction set has a conversion.

INGOT_INLINE f32x16 ingot_splat(float x) {
  return (f32x16){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x};
}

INGOT_INLINE s32x16 ingot_splat_s32(int32_t x) {
  return (s32x16){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x};
}

INGOT_INLINE f32x16 ingot_load(const float *p) {
  f32x16 v;
  memcpy(&v, p, sizeof v);
  return v;
}

INGOT_INLINE void ingot_store(float *p, f32x16 v) { memcpy(p, &v, sizeof v); }

/// The first `count` lanes from memory, zeros in the others.
INGOT_INLINE f32x16 ingot_load_part(const float *p, int64_t count) {
  float lanes[16] = {0};
  memcpy(lanes, p, (size_t)count * 4);
  return ingot_load(lanes);
}

INGOT_INLINE void ingot_store_part(float *p, f32x16 v, int64_t count) {
  float lanes[16];
  ingot_store(lanes, v);
  memcpy(p, lanes, (size_t)count * 4);
}

/// a·b + c with one rounding.
INGOT_INLINE f32x16 ingot_fma16(f32x16 a, f32x16 b, f32x16 c) {
#if defined(__clang__)
  return __builtin_elementwise_fma(a, b, c);
#else
  f32x16 r;
  for (int i = 0; i < 16; i++) r[i] = __builtin_fmaf(a[i], b[i], c[i]);
  return r;
#endif
}

INGOT_INLINE f32x16 ingot_as_f32(s32x16 v) { return (f32x16)v; }
INGOT_INLINE s32x16 ingot_as_s32(f32x16 v) { return (s32x16)v; }

/// `mask` lanes are all ones or all zeros.
INGOT_INLINE f32x16 ingot_select(s32x16 mask, f32x16 yes, f32x16 no) {
  return ingot_as_f32((mask & ingot_as_s32(yes)) | (~mask & ingot_as_s32(no)));
}

INGOT_INLINE f32x16 ingot_max16(f32x16 a, f32x16 b) { return ingot_select(a > b, a, b); }

INGOT_INLINE f32x16 ingot_abs16(f32x16 x) {
  return ingot_as_f32(ingot_as_s32(x) & ingot_splat_s32(0x7FFFFFFF));
}

/// Σ of the lanes: halves are folded onto each other, 16 → 8 → 4 → 2 → 1.
INGOT_INLINE float ingot_sum16(f32x16 v) {
  float lanes[16];
  ingot_store(lanes, v);
  for (int width = 8; width > 0; width /= 2)
    for (int i = 0; i < width; i++) lanes[i] += lanes[i + width];
  return lanes[0];
}

/// Two vectors to one: neighbours two lanes apart are added, within each 128 bits.
INGOT_INLINE f32x16 ingot_fold_pairs(f32x16 a, f32x16 b) {
  return __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
         + __builtin_shufflevector(
             a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
}

/// Two vectors to one: halves of each 128 bits are added.
INGOT_INLINE f32x16 ingot_fold_halves(f32x16 a, f32x16 b) {
  return __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
         + __builtin_shufflevector(
             a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
}

/// Two vectors to one: neighbouring 128 bits are added.
INGOT_INLINE f32x16 ingot_fold_quarters(f32x16 a, f32x16 b) {
  return __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27)
         + __builtin_shufflevector(
             a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
}

/// Lane i of the result is the sum over the lanes of `v[i]`: four rounds in which two vectors become
/// one, where one vector after the other would take four rounds each.
INGOT_INLINE f32x16 ingot_sums16(const f32x16 *v) {
  f32x16 sum[8];
  INGOT_UNROLL
  for (int i = 0; i < 8; i++) sum[i] = ingot_fold_pairs(v[2 * i], v[2 * i + 1]);
  INGOT_UNROLL
  for (int i = 0; i < 4; i++) sum[i] = ingot_fold_halves(sum[2 * i], sum[2 * i + 1]);
  return ingot_fold_quarters(
      ingot_fold_quarters(sum[0], sum[1]), ingot_fold_quarters(sum[2], sum[3]));
}

INGOT_INLINE float ingot_maximum16(f32x16 v) {
  float lanes[16];
  ingot_store(lanes, v);
  for (int width = 8; width > 0; width /= 2)
    for (int i = 0; i < width; i++)
      lanes[i] = lanes[i] > lanes[i + width] ? lanes[i] : lanes[i + width];
  return lanes[0];
}

INGOT_INLINE f32x16 ingot_sqrt16(f32x16 x) {
#if defined(__clang__)
  return __builtin_elementwise_sqrt(x);
#else
  for (int i = 0; i < 16; i++) x[i] = __builtin_sqrtf(x[i]);
  return x;
#endif
}

/// e to the x as r · 2ⁿ: returns r and leaves n in the low bits of `power`, 0x4B400000 above them.
///
/// x = n·ln 2 + f with |f| ≤ ln 2 / 2; r is a polynomial of degree 6 in f, its error below 1 ulp.
INGOT_INLINE f32x16 ingot_exp_parts(f32x16 x, s32x16 *power) {
  // Adding 1.5·2^23 rounds to an integer, to even on ties, and leaves it in the low bits.
  const f32x16 magic = ingot_splat(12582912.0f);
  const f32x16 shifted = ingot_fma16(x, ingot_splat(1.44269504f), magic);
  const f32x16 n = shifted - magic;
  f32x16 f = ingot_fma16(n, ingot_splat(-6.93145752e-1f), x);
  f = ingot_fma16(n, ingot_splat(-1.42860677e-6f), f);
  f32x16 r = ingot_splat(1.37805939e-3f);
  r = ingot_fma16(r, f, ingot_splat(8.37312452e-3f));
  r = ingot_fma16(r, f, ingot_splat(4.16695364e-2f));
  r = ingot_fma16(r, f, ingot_splat(1.66664720e-1f));
  r = ingot_fma16(r, f, ingot_splat(4.99999851e-1f));
  r = ingot_fma16(r, f, ingot_splat(1.0f));
  r = ingot_fma16(r, f, ingot_splat(1.0f));
  *power = ingot_as_s32(shifted);
  return r;
}

/// e to the x; 0 below −104 and infinity above 88.8.
INGOT_INLINE f32x16 ingot_exp16(f32x16 x) {
  x = ingot_select(x > ingot_splat(88.8f), ingot_splat(88.8f), x);
  x = ingot_select(x < ingot_splat(-104.0f), ingot_splat(-104.0f), x);
  s32x16 power;
  const f32x16 r = ingot_exp_parts(x, &power);
  // Two factors 2^(n/2), so that subnormal results round once.
  const s32x16 exponent = power - ingot_splat_s32(0x4B400000);
  const s32x16 half = exponent >> 1;
  const f32x16 first = ingot_as_f32((half + 127) << 23);
  const f32x16 second = ingot_as_f32((exponent - half + 127) << 23);
  return r * first * second;
}

/// e to the x for x ≤ 0, as softmax wants it; 0 below −87, where results would become subnormal.
INGOT_INLINE f32x16 ingot_exp16_negative(f32x16 x) {
  const f32x16 lowest = ingot_splat(-87.0f);
  const s32x16 vanishes = x < lowest;
  s32x16 power;
  const f32x16 r = ingot_exp_parts(ingot_select(vanishes, lowest, x), &power);
  // n alone reaches the exponent.
  return ingot_as_f32(~vanishes & (ingot_as_s32(r) + (power << 23)));
}

#ifndef INGOT_LOAD_HALF
INGOT_INLINE f32x16 ingot_load_half(const uint16_t *p) {
  u16x16 halves;
  memcpy(&halves, p, sizeof halves);
  const u32x16 wide = __builtin_convertvector(halves, u32x16);
  const f32x16 magnitude = (f32x16)((wide & 0x7FFF) << 13) * ingot_splat(0x1p112f);
  return (f32x16)((u32x16)magnitude | (wide & 0x8000) << 16);
}
#define INGOT_LOAD_HALF(p) ingot_load_half(p)
#endif

INGOT_INLINE f32x16 ingot_load_s8(const int8_t *p) {
  s8x16 bytes;
  memcpy(&bytes, p, sizeof bytes);
  return __builtin_convertvector(bytes, f32x16);
}
