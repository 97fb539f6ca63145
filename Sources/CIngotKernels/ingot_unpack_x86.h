// For the AVX-512 kernels: scales and codes of part of a weight tile as numbers, and activations beside
// them. Included below a target attribute.

/// The scales of a group of cb4.
INGOT_INLINE __m512 ingot_short_scales(const uint8_t *tile, int64_t index) {
  const __m128i codes = _mm_loadu_si128((const void *)(tile + 16 * index));
  return _mm512_cvtph_ps(_mm256_and_si256(
      _mm256_slli_epi16(_mm256_cvtepi8_epi16(codes), 5), _mm256_set1_epi16(INGOT_S1E2M5_MASK)));
}

/// The same in units of 2^-19, which the last bit of 1.5 · 2^4 has too: sums need none of the ports that
/// multiply.
INGOT_INLINE __m512i ingot_integer_scales(const uint8_t *tile, int64_t index) {
  const __m512 magic = _mm512_set1_ps(24.0f);
  return _mm512_sub_epi32(
      _mm512_castps_si512(_mm512_add_ps(ingot_short_scales(tile, index), magic)),
      _mm512_castps_si512(magic));
}

/// The scales of a group: floats, or the bits of integers where sums are exact.
INGOT_INLINE __m512 ingot_scales(
    const ingot_tiled *w, const uint8_t *tile, int64_t index, int is_exact) {
  if (is_exact) return _mm512_castsi512_ps(ingot_integer_scales(tile, index));
  if (w->kind == INGOT_CB4) return ingot_short_scales(tile, index);
  return _mm512_cvtph_ps(_mm256_loadu_si256((const void *)(tile + 32 * index)));
}

INGOT_INLINE __m512i ingot_widen_zeros(const uint8_t *zeros) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)zeros));
}

/// The zero points of a group, one in each 32-bit lane.
INGOT_INLINE __m512i ingot_zero_points(
    const ingot_tiled *w, const uint8_t *tile, int64_t index) {
  return ingot_widen_zeros(tile + w->zero_offset + 16 * index);
}

/// The 16 bytes that nibbles stand for, `flip` (0 or 0x80) applied, in each 128-bit lane.
INGOT_INLINE __m512i ingot_nibble_bytes(const ingot_tiled *w, int flip) {
  __m128i table;
  if (w->kind == INGOT_CB4) {
    table = _mm_loadu_si128((const void *)w->payload);
  } else {
    table = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    if (w->kind == INGOT_INT4) table = _mm_sub_epi8(table, _mm_set1_epi8(8));
  }
  return _mm512_broadcast_i32x4(_mm_xor_si128(table, _mm_set1_epi8((char)flip)));
}

/// The codes of four atoms of int6, a quarter of the group apart, from their low bits and their high two
/// (`ingot_unpack_int6`).
INGOT_INLINE void ingot_join_six_bits(__m512i even, __m512i odd, __m512i two, __m512i codes[4]) {
  const __m512i low = _mm512_set1_epi8(15), six = _mm512_set1_epi8(0x3F);
  // The second operand where `low` is set, elsewhere the third.
  enum { SELECT = 0xCA };
  codes[0] = _mm512_ternarylogic_epi32(low, even, _mm512_slli_epi16(two, 4), SELECT);
  codes[1] = _mm512_ternarylogic_epi32(low, odd, _mm512_slli_epi16(two, 2), SELECT);
  codes[2] = _mm512_ternarylogic_epi32(low, _mm512_srli_epi16(even, 4), two, SELECT);
  codes[3] = _mm512_ternarylogic_epi32(
      low, _mm512_srli_epi16(odd, 4), _mm512_srli_epi16(two, 2), SELECT);
  INGOT_UNROLL
  for (int k = 0; k < 4; k++) codes[k] = _mm512_and_si512(codes[k], six);
}

INGOT_INLINE __m512i ingot_levels_u8(const ingot_tiled *w) { return ingot_nibble_bytes(w, 0x80); }

/// 128 nibbles as bytes: the low ones, which belong to the nearer columns, then the high ones; numbers as they
/// are, or what `levels` has for them.
INGOT_INLINE void ingot_split_nibbles(
    __m512i both, __m512i levels, int is_codebook, __m512i *near, __m512i *far) {
  const __m512i low = _mm512_set1_epi8(15);
  *near = _mm512_and_si512(both, low);
  *far = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
  if (!is_codebook) return;
  *near = _mm512_shuffle_epi8(levels, *near);
  *far = _mm512_shuffle_epi8(levels, *far);
}

/// Four activations of token t, repeated 16 times.
INGOT_INLINE __m512i ingot_quad(const int8_t *a, int t, int64_t quad_stride) {
  int32_t word;
  memcpy(&word, a + t / 4 * quad_stride + t % 4 * 4, 4);
  return _mm512_set1_epi32(word);
}

/// Four vectors of int6 codes as bytes less `offset`, a quarter of their group apart as what they are packed in.
INGOT_INLINE void ingot_unpack_int6_line(
    const uint8_t *packed, int64_t quarter, __m512i offset, uint8_t *codes) {
  __m512i q[4];
  ingot_join_six_bits(
      _mm512_loadu_si512(packed), _mm512_loadu_si512(packed + quarter),
      _mm512_loadu_si512(packed + 2 * quarter), q);
  INGOT_UNROLL
  for (int k = 0; k < 4; k++) _mm512_store_si512(codes + k * quarter, _mm512_sub_epi8(q[k], offset));
}

/// The codes of one int6 group as signed bytes, or 128 more where `flip` is 0x80.
INGOT_INLINE void ingot_unpack_int6_group(
    const uint8_t *packed, int64_t group, int flip, uint8_t *codes) {
  const int64_t quarter = group * (INGOT_LANES / 4);
  const __m512i offset = _mm512_set1_epi8((char)(32 - flip));
  for (int64_t i = 0; i < quarter; i += 64) {
    INGOT_UNROLL
    for (int k = 0; k < 3; k++)
      _mm_prefetch((const char *)packed + 3 * i + 64 * k + 1536, _MM_HINT_T0);
    ingot_unpack_int6_line(packed + i, quarter, offset, codes + i);
  }
}

/// Unpacks `columns` columns (whole groups) of one tile from `first_column`.
///
/// `flip` 0x80 gives code + 128 as unsigned bytes, 0 gives signed codes. Null `codes` or `scales`: only the
/// other.
static void ingot_unpack(
    const ingot_tiled *w, const uint8_t *tile, int64_t first_column, int64_t columns, int flip,
    uint8_t *codes, float *scales) {
  const int64_t group = w->group, first_group = first_column / group;
  const __m512i low = _mm512_set1_epi8(15);
  const int is_exact = ingot_is_exact(w);
  for (int64_t g = 0; scales && g < columns / group; g++)
    _mm512_store_ps(scales + g * INGOT_LANES, ingot_scales(w, tile, first_group + g, is_exact));
  if (!codes) return;
  if (w->kind == INGOT_INT8) {
    const uint8_t *p = tile + w->code_offset + first_column * INGOT_LANES;
    const __m512i mask = _mm512_set1_epi8((char)flip);
    for (int64_t i = 0; i < columns * INGOT_LANES; i += 64) {
      _mm_prefetch((const char *)p + i + 1024, _MM_HINT_T0);
      _mm512_store_si512(codes + i, _mm512_xor_si512(_mm512_loadu_si512(p + i), mask));
    }
  } else if (w->kind == INGOT_INT6) {
    const uint8_t *p = tile + w->code_offset + ingot_code_bytes(w, first_column);
    for (int64_t g = 0; g < columns / group; g++, p += 12 * group, codes += 16 * group)
      ingot_unpack_int6_group(p, group, flip, codes);
  } else {
    const uint8_t *p = tile + w->code_offset + first_column * (INGOT_LANES / 2);
    const __m512i table = ingot_nibble_bytes(w, flip);
    for (int64_t g = 0; g < columns / group; g++) {
      __m512i zero = _mm512_setzero_si512();
      // Each row's zero point in all four bytes of its lane; (q ^ flip) − z ≡ (q − z) ^ flip.
      if (w->kind == INGOT_INT4Z)
        zero = _mm512_mullo_epi32(
            ingot_zero_points(w, tile, first_group + g), _mm512_set1_epi32(0x01010101));
      uint8_t *far = codes + group * (INGOT_LANES / 2);
      for (int64_t i = 0; i < group / 8; i++, p += 64, codes += 64, far += 64) {
        const __m512i both = _mm512_loadu_si512(p);
        _mm_prefetch((const char *)p + 1024, _MM_HINT_T0);
        const __m512i a = _mm512_shuffle_epi8(table, _mm512_and_si512(both, low));
        const __m512i b =
            _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(both, 4), low));
        _mm512_store_si512(codes, _mm512_sub_epi8(a, zero));
        _mm512_store_si512(far, _mm512_sub_epi8(b, zero));
      }
      codes = far;
    }
  }
}
