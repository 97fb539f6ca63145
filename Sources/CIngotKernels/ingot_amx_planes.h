// Exact sums (`ingot_is_exact`) in the tile registers. A level times its scale is an integer of 16
// bits, 256 · high + low, with signed bytes in one plane and unsigned ones in another. Planes need no
// groups: two products for 64 columns, however small the groups. Included below a target attribute.

/// Columns of a plane are padded with zeros to whole tile registers.
INGOT_INLINE int64_t ingot_plane_columns(int64_t columns) {
  return (columns + INGOT_TILE_COLUMNS - 1) / INGOT_TILE_COLUMNS * INGOT_TILE_COLUMNS;
}

/// The scales of one group in both halves of each row's 32 bits.
INGOT_INLINE __m512i ingot_paired_scales(const uint8_t *tile, int64_t index) {
  const __m512i scales = ingot_integer_scales(tile, index);
  return _mm512_or_si512(
      _mm512_slli_epi32(scales, 16), _mm512_and_si512(scales, _mm512_set1_epi32(0xFFFF)));
}

/// 64 levels times their scales, split in bytes.
INGOT_INLINE void ingot_split_products(
    __m512i levels, __m512i scales, uint8_t *high, uint8_t *low) {
  const __m512i low_bytes = _mm512_set1_epi16(0x00FF);
  const __m512i odd = _mm512_mullo_epi16(_mm512_srai_epi16(levels, 8), scales);
  const __m512i even =
      _mm512_mullo_epi16(_mm512_srai_epi16(_mm512_slli_epi16(levels, 8), 8), scales);
  // The second operand where `low_bytes` is set, elsewhere the third.
  enum { SELECT = 0xCA };
  _mm512_store_si512(
      high, _mm512_ternarylogic_epi32(low_bytes, _mm512_srli_epi16(even, 8), odd, SELECT));
  _mm512_store_si512(
      low, _mm512_ternarylogic_epi32(low_bytes, even, _mm512_slli_epi16(odd, 8), SELECT));
}

/// Unpacks `columns` columns (whole groups) of one tile from `first_column` to both planes,
/// `[column / 4][16 rows][column % 4]` each.
static void ingot_unpack_planes(
    const ingot_tiled *w, const uint8_t *tile, int64_t first_column, int64_t columns,
    uint8_t *high, uint8_t *low) {
  enum { group = 16, far = group * INGOT_LANES / 2 };
  const uint8_t *p = tile + w->code_offset + ingot_code_bytes(w, first_column);
  const __m512i table = ingot_nibble_bytes(w, 0), nibble = _mm512_set1_epi8(15);
  int64_t index = first_column / group;
  for (int64_t column = 0; column < columns; column += group, index++) {
    const __m512i scales = ingot_paired_scales(tile, index);
    INGOT_UNROLL
    for (int i = 0; i < far; i += 64, p += 64, high += 64, low += 64) {
      const __m512i both = _mm512_loadu_si512(p);
      _mm_prefetch((const char *)p + 1024, _MM_HINT_T0);
      const __m512i a = _mm512_shuffle_epi8(table, _mm512_and_si512(both, nibble));
      const __m512i b =
          _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(both, 4), nibble));
      ingot_split_products(a, scales, high, low);
      ingot_split_products(b, scales, high + far, low + far);
    }
    high += far, low += far;
  }
  const size_t rest = (size_t)(ingot_plane_columns(columns) - columns) * INGOT_LANES;
  if (rest == 0) return;
  memset(high, 0, rest);
  memset(low, 0, rest);
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

/// Both planes of `now`, `steps` times 64 columns, while `before` (if any) is finished.
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
    if (k == 0) _tile_zero(1);
    _tile_loadd(7, now->low[0] + at, 64);
    _tile_dpbsud(1, 4, 7);
    if (is_last) _tile_stored(0, dots[0][0], 64);
    ingot_finish_planes(before, dots_before, 0, left + rows, rows);
    if (k == 0) _tile_zero(2);
    if (is_tall) {
      _tile_loadd(5, now->tokens[1] + at, INGOT_TILE_COLUMNS);
      _tile_dpbssd(2, 5, 6);
    } else {
      _tile_loadd(6, now->high[1] + at, 64);
      _tile_dpbssd(2, 4, 6);
    }
    if (is_last) _tile_stored(1, dots[1][0], 64);
    ingot_finish_planes(before, dots_before, 1, left, rows);
    if (k == 0) _tile_zero(3);
    if (is_tall) {
      _tile_dpbsud(3, 5, 7);
    } else {
      _tile_loadd(7, now->low[1] + at, 64);
      _tile_dpbsud(3, 4, 7);
    }
    if (is_last) _tile_stored(2, dots[0][1], 64);
    ingot_finish_planes(before, dots_before, 1, left + rows, rows);
    if (is_last) _tile_stored(3, dots[1][1], 64);
  }
}
