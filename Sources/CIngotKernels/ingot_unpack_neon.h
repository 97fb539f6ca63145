// For the NEON kernels: codes and scales of part of a weight tile as numbers. Included below a target
// attribute.

/// The signed codes that nibbles stand for.
INGOT_INLINE int8x16_t ingot_neon_levels(const ingot_tiled *w) {
  if (w->kind == INGOT_CB4) return vld1q_s8((const int8_t *)w->payload);
  static const int8_t counting[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const int8x16_t q = vld1q_s8(counting);
  return w->kind == INGOT_INT4 ? vsubq_s8(q, vdupq_n_s8(8)) : q;
}

/// The zero points of rows 4i … 4i + 3, each in the four bytes of its row; zeros but for int4z.
INGOT_INLINE int8x16_t ingot_neon_zeros(
    const ingot_tiled *w, const uint8_t *tile, int64_t group, int i) {
  if (w->kind != INGOT_INT4Z) return vdupq_n_s8(0);
  static const uint8_t repeat[16] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3};
  const uint8x16_t zeros = vld1q_u8(tile + w->zero_offset + 16 * group);
  return vreinterpretq_s8_u8(
      vqtbl1q_u8(zeros, vaddq_u8(vld1q_u8(repeat), vdupq_n_u8((uint8_t)(4 * i)))));
}

/// Signed codes of one group, `[atom][16 rows][4]`, at `codes`; int8 needs no copy.
static const int8_t *ingot_neon_unpack(
    const ingot_tiled *w, const uint8_t *tile, int64_t group_index, int8_t *codes) {
  const int64_t group = w->group;
  if (w->kind == INGOT_INT8)
    return (const int8_t *)tile + w->code_offset + group_index * group * INGOT_LANES;
  const uint8_t *p = tile + w->code_offset + ingot_code_bytes(w, group_index * group);
  if (w->kind == INGOT_INT6) {
    ingot_unpack_int6(p, group, 32, (uint8_t *)codes);
    return codes;
  }
  const int8x16_t levels = ingot_neon_levels(w);
  int8x16_t zeros[4];
  for (int i = 0; i < 4; i++) zeros[i] = ingot_neon_zeros(w, tile, group_index, i);
  for (int64_t b = 0; b < group / 8; b++)
    for (int i = 0; i < 4; i++) {
      const uint8x16_t both = vld1q_u8(p + b * 64 + 16 * i);
      const int8x16_t near_q = vqtbl1q_s8(levels, vandq_u8(both, vdupq_n_u8(15)));
      const int8x16_t far_q = vqtbl1q_s8(levels, vshrq_n_u8(both, 4));
      vst1q_s8(codes + b * 64 + 16 * i, vsubq_s8(near_q, zeros[i]));
      vst1q_s8(codes + (group / 8 + b) * 64 + 16 * i, vsubq_s8(far_q, zeros[i]));
    }
  return codes;
}

/// Group scales of 16 rows: floats, or the bits of integers where sums are exact.
INGOT_INLINE void ingot_neon_scales(
    const ingot_tiled *w, const uint8_t *tile, int64_t index, float32x4_t *scales) {
  if (w->kind == INGOT_CB4) {
    const int8x16_t codes = vld1q_s8((const int8_t *)tile + 16 * index);
    const int16x8_t mask = vdupq_n_s16(INGOT_S1E2M5_MASK);
    const uint16x8_t low =
        vreinterpretq_u16_s16(vandq_s16(vshll_n_s8(vget_low_s8(codes), 5), mask));
    const uint16x8_t high =
        vreinterpretq_u16_s16(vandq_s16(vshll_n_s8(vget_high_s8(codes), 5), mask));
    scales[0] = vcvt_f32_f16(vreinterpret_f16_u16(vget_low_u16(low)));
    scales[1] = vcvt_f32_f16(vreinterpret_f16_u16(vget_high_u16(low)));
    scales[2] = vcvt_f32_f16(vreinterpret_f16_u16(vget_low_u16(high)));
    scales[3] = vcvt_f32_f16(vreinterpret_f16_u16(vget_high_u16(high)));
    for (int i = 0; i < 4 && ingot_is_exact(w); i++)
      scales[i] = vreinterpretq_f32_s32(vcvtq_s32_f32(vmulq_n_f32(scales[i], 0x1p19f)));
    return;
  }
  const uint8_t *p = tile + 32 * index;
  for (int i = 0; i < 4; i++)
    scales[i] = vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p + 8 * i)));
}

/// One group of products joins the others of its block.
INGOT_INLINE float32x4_t ingot_neon_join(
    int32x4_t dot, float32x4_t scale, float32x4_t sum, int is_exact) {
  if (!is_exact) return vfmaq_f32(sum, vcvtq_f32_s32(dot), scale);
  return vreinterpretq_f32_s32(
      vmlaq_s32(vreinterpretq_s32_f32(sum), dot, vreinterpretq_s32_f32(scale)));
}

/// A block's sum as a float.
INGOT_INLINE float32x4_t ingot_neon_block_sum(float32x4_t sum, int is_exact) {
  return is_exact ? vcvtq_f32_s32(vreinterpretq_s32_f32(sum)) : sum;
}
