// Exact sums (`ingot_is_exact`) in the tile registers. A level times its scale is an integer of 16
// bits, 256 · high + low, with signed bytes in one plane and unsigned ones in another. Planes need no
// groups: two products for 64 columns, however small the groups. Included below a target attribute.

/// What turns the nibbles of four groups into two planes.
typedef struct ingot_plane_scales {
  /// A byte for each row of each group: the size of its scale, and bit 4 set where it is negative.
  __m512i sizes, signs;
} ingot_plane_scales;

/// The 16 levels and the same negated, twice; no level is −128.
INGOT_INLINE __m512i ingot_signed_levels(const ingot_tiled *w) {
  const __m128i levels = _mm_loadu_si128((const void *)w->payload);
  const __m256i both = _mm256_inserti128_si256(
      _mm256_castsi128_si256(levels), _mm_sub_epi8(_mm_setzero_si128(), levels), 1);
  return _mm512_broadcast_i64x4(both);
}

/// The scales of four groups, in units of 2^-19 (`ingot_s1e2m5_to_integer`).
INGOT_INLINE ingot_plane_scales ingot_read_plane_scales(const uint8_t *scales) {
  // Below 64 a code without its sign is its own size; above, of 64 + i it is 64 + 2 · i, and from
  // 96 + i on 128 + 4 · i.
  uint8_t large[64];
  for (int i = 0; i < 32; i++) {
    large[i] = (uint8_t)(64 + 2 * i);
    large[32 + i] = (uint8_t)(128 + 4 * i);
  }
  const __m512i codes = _mm512_loadu_si512(scales);
  const __mmask64 is_large = _mm512_test_epi8_mask(codes, _mm512_set1_epi8(64));
  const ingot_plane_scales read = {
      _mm512_mask_permutexvar_epi8(
          _mm512_and_si512(codes, _mm512_set1_epi8(63)), is_large, codes,
          _mm512_loadu_si512(large)),
      _mm512_srli_epi16(codes, 3)};
  return read;
}

/// `to` with what stands beside each byte of `where` in the words of `from`. One instruction; compilers
/// make two of it.
INGOT_INLINE __m512i ingot_insert_neighbours(__m512i to, __mmask64 where, __m512i from) {
  const __m512i neighbours = _mm512_broadcast_i32x4(
      _mm_setr_epi8(1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14));
  __asm__("vpshufb %3, %2, %0 %{%1%}" : "+v"(to) : "Yk"(where), "v"(from), "v"(neighbours));
  return to;
}

/// 64 levels (their indexes in the low 5 bits) times their scales, split in bytes.
INGOT_INLINE void ingot_split_products(
    __m512i index, __m512i table, __m512i even_scales, __m512i odd_scales, uint8_t *high,
    uint8_t *low) {
  const __mmask64 even_bytes = 0x5555555555555555, odd_bytes = ~even_bytes;
  const __m512i levels = _mm512_permutexvar_epi8(index, table);
  // The other byte of each pair has the scale 0.
  const __m512i even = _mm512_maddubs_epi16(even_scales, levels);
  const __m512i odd = _mm512_maddubs_epi16(odd_scales, levels);
  _mm512_store_si512(high, ingot_insert_neighbours(odd, even_bytes, even));
  _mm512_store_si512(low, ingot_insert_neighbours(even, odd_bytes, odd));
}

/// Unpacks groups [first, end) of four of one tile to both planes, `[column / 4][16 rows][column % 4]`
/// each; no level is −128.
INGOT_INLINE void ingot_unpack_plane_groups(
    const uint8_t *packed, ingot_plane_scales all, int first, int end, __m512i table,
    uint8_t *high, uint8_t *low) {
  enum { FAR = 16 * INGOT_LANES / 2 };
  const __m512i nibble = _mm512_set1_epi8(15);
  INGOT_UNROLL
  for (int g = first; g < end; g++) {
    // A row's byte in each of its four places.
    __m512i rows = _mm512_add_epi32(
        _mm512_mullo_epi32(
            _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
            _mm512_set1_epi32(0x01010101)),
        _mm512_set1_epi8((char)(16 * g)));
    // Clang takes very long over permutations that it knows.
    __asm__("" : "+v"(rows));
    const __m512i even_scales =
        _mm512_maskz_permutexvar_epi8(0x5555555555555555, rows, all.sizes);
    const __m512i odd_scales = _mm512_slli_epi16(even_scales, 8);
    const __m512i signs = _mm512_permutexvar_epi8(rows, all.signs);
    // The first operand where the second is set, elsewhere the third.
    enum { SELECT = 0xE2 };
    INGOT_UNROLL
    for (int i = 0; i < FAR; i += 64) {
      const int at = 2 * FAR * g + i;
      const __m512i both = _mm512_loadu_si512(packed + FAR * g + i);
      ingot_split_products(
          _mm512_ternarylogic_epi32(both, nibble, signs, SELECT), table, even_scales,
          odd_scales, high + at, low + at);
      ingot_split_products(
          _mm512_ternarylogic_epi32(_mm512_srli_epi16(both, 4), nibble, signs, SELECT), table,
          even_scales, odd_scales, high + at + FAR, low + at + FAR);
    }
  }
}

/// Whether a negated level may not fit in a byte; our own files have none such.
INGOT_INLINE int ingot_has_lowest_level(const ingot_tiled *w) {
  const __m128i levels = _mm_loadu_si128((const void *)w->payload);
  return _mm_movemask_epi8(_mm_cmpeq_epi8(levels, _mm_set1_epi8(-128))) != 0;
}

/// Unpacks one group, whatever its levels: slow, for rests of less than four and levels of −128.
static void ingot_unpack_plane_group_plainly(
    const ingot_tiled *w, const uint8_t *packed, const uint8_t *scales, uint8_t *high,
    uint8_t *low) {
  for (int i = 0; i < 16 * INGOT_LANES; i++) {
    const int half = i / (8 * INGOT_LANES), row = i / 4 % INGOT_LANES;
    const uint8_t nibble = packed[i % (8 * INGOT_LANES)] >> 4 * half & 15;
    const int product = (int8_t)w->payload[nibble] * ingot_s1e2m5_to_integer(scales[row]);
    high[i] = (uint8_t)(product >> 8);
    low[i] = (uint8_t)product;
  }
}

/// Unpacks `columns` columns (whole groups) of one tile from `first_column`, zeros after them up to a
/// whole tile register.
static void ingot_unpack_planes(
    const ingot_tiled *w, const uint8_t *tile, int64_t first_column, int64_t columns,
    uint8_t *high, uint8_t *low) {
  const uint8_t *packed = tile + w->code_offset + ingot_code_bytes(w, first_column);
  const uint8_t *scales = tile + first_column;
  const __m512i table = ingot_signed_levels(w);
  const int is_plain = ingot_has_lowest_level(w);
  for (int64_t column = 0; column < columns; column += INGOT_TILE_COLUMNS) {
    const int64_t left = (columns - column) / 16, groups = left < 4 ? left : 4;
    for (int i = 0; i < 8; i++) _mm_prefetch((const char *)packed + 1024 + 64 * i, _MM_HINT_T0);
    if (groups == 4 && !is_plain) {
      ingot_unpack_plane_groups(packed, ingot_read_plane_scales(scales), 0, 4, table, high, low);
    } else {
      memset(high, 0, INGOT_TILE_BYTES);
      memset(low, 0, INGOT_TILE_BYTES);
      for (int64_t g = 0; g < groups; g++)
        ingot_unpack_plane_group_plainly(
            w, packed + 128 * g, scales + 16 * g, high + 256 * g, low + 256 * g);
    }
    packed += 512, scales += 64, high += INGOT_TILE_BYTES, low += INGOT_TILE_BYTES;
  }
}

/// One square of planes: 32 tokens × 16 rows, which loads less, or 16 tokens × 32 rows where tokens are
/// few.
typedef struct ingot_plane_square {
  /// Activations, `[column / 64][16 tokens][64 columns]` each; the same twice for 32 rows.
  const int8_t *tokens[2];
  const float *token_scales[2];
  /// The high and low plane of each weight tile; the same twice for 32 tokens.
  const uint8_t *high[2];
  const uint8_t *low[2];
  /// `[16 tokens][16 rows]` each.
  float *sums[2];
  int32_t is_tall;
} ingot_plane_square;

/// Tokens [first, first + count) of one half: float(256 · high + low) · token scale onto the sums.
INGOT_INLINE void ingot_finish_planes(
    const ingot_plane_square *square, ingot_dots dots, int half, int first, int count) {
  if (!square) return;
  INGOT_UNROLL
  for (int t = first; t < first + count; t++) {
    const __m512i exact = _mm512_add_epi32(
        _mm512_slli_epi32(_mm512_load_si512(dots[0][half][t]), 8),
        _mm512_load_si512(dots[1][half][t]));
    float *to = square->sums[half] + t * INGOT_LANES;
    _mm512_store_ps(
        to, _mm512_fmadd_ps(
                _mm512_cvtepi32_ps(exact), _mm512_set1_ps(square->token_scales[half][t]),
                _mm512_load_ps(to)));
  }
}

/// Both planes of `now`, `steps` times 64 columns, while `before` (if any) is finished. One register
/// for all weights: there are few to rename.
INGOT_INLINE void ingot_planes_step(
    const ingot_plane_square *now, ingot_dots dots, const ingot_plane_square *before,
    ingot_dots dots_before, int steps, int is_tall) {
  const int rows = 8 / steps;
  INGOT_UNROLL
  for (int k = 0; k < steps; k++) {
    const int at = k * INGOT_TILE_BYTES, left = 2 * k * rows, is_last = k == steps - 1;
    if (k == 0) _tile_zero(0);
    _tile_loadd(4, now->tokens[0] + at, INGOT_TILE_COLUMNS);
    _tile_loadd(6, now->high[0] + at, 64);
    _tile_dpbssd(0, 4, 6);
    ingot_finish_planes(before, dots_before, 0, left, rows);
    if (k == 0) _tile_zero(2);
    if (is_tall) _tile_loadd(5, now->tokens[1] + at, INGOT_TILE_COLUMNS);
    else _tile_loadd(6, now->high[1] + at, 64);
    if (is_tall) _tile_dpbssd(2, 5, 6);
    else _tile_dpbssd(2, 4, 6);
    if (is_last) _tile_stored(0, dots[0][0], 64);
    ingot_finish_planes(before, dots_before, 0, left + rows, rows);
    if (k == 0) _tile_zero(1);
    _tile_loadd(6, now->low[0] + at, 64);
    _tile_dpbsud(1, 4, 6);
    if (is_last) _tile_stored(2, dots[0][1], 64);
    ingot_finish_planes(before, dots_before, 1, left, rows);
    if (k == 0) _tile_zero(3);
    if (!is_tall) _tile_loadd(6, now->low[1] + at, 64);
    if (is_tall) _tile_dpbsud(3, 5, 6);
    else _tile_dpbsud(3, 4, 6);
    if (is_last) _tile_stored(1, dots[1][0], 64);
    ingot_finish_planes(before, dots_before, 1, left + rows, rows);
    if (is_last) _tile_stored(3, dots[1][1], 64);
  }
}
