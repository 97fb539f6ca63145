// For the AVX-512 kernels: unpacking two weight tiles at a time into a panel of bytes that stays in
// the first-level cache while every token meets it. Included below a target attribute.

/// Columns of one panel: 2 tiles × 512 columns are 16 KiB.
enum { PANEL_COLUMNS = 512, PANEL_TOKENS = 512 };

/// Part of two neighbouring tiles with their codes as bytes and their scales as f32.
typedef struct ingot_panel {
  /// `[column / 4][16 rows][column % 4]`
  const uint8_t *codes[2];
  /// `[group][16 rows]`
  const float *scales[2];
  int64_t first_column;
  int64_t columns;
  int64_t group;
  /// `ingot_is_exact`: scales are integers in lanes of 32 bits, not floats.
  int32_t is_exact;
  /// Packed codes of the next panel, to be fetched while this one is multiplied.
  const uint8_t *next[2];
  int64_t next_bytes;
} ingot_panel;

typedef void ingot_panel_function(
    const ingot_panel *panel, const ingot_activations *x, int64_t first, int64_t end,
    float *out);

/// Fetches share `part` of `parts` of the next panel into the second-level cache, so that memory
/// and arithmetic overlap also when tokens are few.
INGOT_INLINE void ingot_fetch_next(const ingot_panel *panel, int64_t part, int64_t parts) {
  const int64_t lines = panel->next_bytes / 64;
  for (int64_t i = lines * part / parts; i < lines * (part + 1) / parts; i++) {
    _mm_prefetch((const char *)panel->next[0] + 64 * i, _MM_HINT_T1);
    _mm_prefetch((const char *)panel->next[1] + 64 * i, _MM_HINT_T1);
  }
}

/// log2(group / 16)
INGOT_INLINE int ingot_level(int64_t group) { return __builtin_ctz((unsigned)group) - 4; }

/// Four activations of token t, repeated 16 times.
INGOT_INLINE __m512i ingot_quad(const int8_t *a, int t, int64_t quad_stride) {
  int32_t word;
  memcpy(&word, a + t / 4 * quad_stride + t % 4 * 4, 4);
  return _mm512_set1_epi32(word);
}

/// The scales of a group of cb4.
INGOT_INLINE __m512 ingot_short_scales(const uint8_t *tile, int64_t index) {
  const __m128i codes = _mm_loadu_si128((const void *)(tile + 16 * index));
  return _mm512_cvtph_ps(_mm256_and_si256(
      _mm256_slli_epi16(_mm256_cvtepi8_epi16(codes), 5), _mm256_set1_epi16(INGOT_S1E2M5_MASK)));
}

/// The same in units of 2^-19.
INGOT_INLINE __m512i ingot_integer_scales(const uint8_t *tile, int64_t index) {
  return _mm512_cvtps_epi32(
      _mm512_mul_ps(ingot_short_scales(tile, index), _mm512_set1_ps(0x1p19f)));
}

/// The scales of a group: floats, or the bits of integers where sums are exact.
INGOT_INLINE __m512 ingot_scales(
    const ingot_tiled *w, const uint8_t *tile, int64_t index, int is_exact) {
  if (is_exact) return _mm512_castsi512_ps(ingot_integer_scales(tile, index));
  if (w->kind == INGOT_CB4) return ingot_short_scales(tile, index);
  return _mm512_cvtph_ps(_mm256_loadu_si256((const void *)(tile + 32 * index)));
}

/// The zero points of a group, one in each 32-bit lane.
INGOT_INLINE __m512i ingot_zero_points(
    const ingot_tiled *w, const uint8_t *tile, int64_t index) {
  return _mm512_cvtepu8_epi32(
      _mm_loadu_si128((const void *)(tile + w->zero_offset + 16 * index)));
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

INGOT_INLINE __m512i ingot_levels_u8(const ingot_tiled *w) { return ingot_nibble_bytes(w, 0x80); }

/// Unpacks `columns` columns (whole groups) of one tile from `first_column`.
///
/// `flip` 0x80 gives code + 128 as unsigned bytes, 0 gives signed codes. Null `codes`: scales only.
static void ingot_unpack(
    const ingot_tiled *w, const uint8_t *tile, int64_t first_column, int64_t columns, int flip,
    uint8_t *codes, float *scales) {
  const int64_t group = w->group, first_group = first_column / group;
  const __m512i low = _mm512_set1_epi8(15);
  const int is_exact = ingot_is_exact(w);
  for (int64_t g = 0; g < columns / group; g++)
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
    for (int64_t column = first_column; column < first_column + columns; column += group) {
      const uint8_t *p = tile + w->code_offset + ingot_code_bytes(w, column);
      for (int64_t i = 0; i < group * 12; i += 64)
        _mm_prefetch((const char *)p + i + 1536, _MM_HINT_T0);
      ingot_unpack_int6(p, group, 32 - flip, codes);
      codes += group * INGOT_LANES;
    }
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

/// Writes `count` tokens of one tile from rows of `stride` floats to the output matrix.
INGOT_INLINE void ingot_write_tile(
    const ingot_tiled *w, int64_t tile, const float *lanes, int64_t stride, int64_t first,
    int64_t count, float factor, float *out) {
  const int64_t live = w->rows - tile * INGOT_LANES;
  const __mmask16 mask = live >= INGOT_LANES ? 0xFFFF : (__mmask16)((1 << live) - 1);
  const __m512 f = _mm512_set1_ps(factor);
  out += first * w->rows + tile * INGOT_LANES;
  for (int64_t t = 0; t < count; t++)
    _mm512_mask_storeu_ps(
        out + t * w->rows, mask, _mm512_mul_ps(_mm512_loadu_ps(lanes + t * stride), f));
}

/// Where the codes of a tile from `column` on lie, and in `*bytes` how many belong to a panel.
INGOT_INLINE const uint8_t *ingot_packed_codes(
    const ingot_tiled *w, int64_t tile, int64_t column, int64_t *bytes) {
  const int64_t rest = w->columns - column;
  *bytes = ingot_code_bytes(w, rest < PANEL_COLUMNS ? rest : PANEL_COLUMNS);
  return ingot_tile(w, tile) + w->code_offset + ingot_code_bytes(w, column);
}

/// All tokens × tiles [first, end): for two tiles and up to 512 tokens, panel by panel along the
/// columns, `body` adds each panel's products to sums in scratch.
static void ingot_multiply_panels(
    const ingot_tiled *w, const ingot_activations *x, int64_t first, int64_t end, float *out,
    void *scratch, int flip, ingot_panel_function *body) {
  uint8_t *codes = scratch;
  float *scales = (float *)(codes + 2 * PANEL_COLUMNS * INGOT_LANES);
  float *sums = scales + 2 * PANEL_COLUMNS / 16 * INGOT_LANES;
  const float factor = ingot_row_factor(w);
  for (int64_t from = 0; from < x->tokens; from += PANEL_TOKENS) {
    const int64_t left = x->tokens - from, count = left < PANEL_TOKENS ? left : PANEL_TOKENS;
    for (int64_t tile = first; tile < end; tile += 2) {
      const int64_t second = tile + 1 < end ? tile + 1 : tile;
      memset(sums, 0, (size_t)(count + 15) / 16 * 16 * 2 * INGOT_LANES * sizeof *sums);
      for (int64_t column = 0; column < w->columns; column += PANEL_COLUMNS) {
        const int64_t rest = w->columns - column;
        ingot_panel panel = {
            .first_column = column,
            .columns = rest < PANEL_COLUMNS ? rest : PANEL_COLUMNS,
            .group = w->group,
            .is_exact = ingot_is_exact(w)};
        for (int i = 0; i < 2; i++) {
          uint8_t *c = codes + i * PANEL_COLUMNS * INGOT_LANES;
          float *s = scales + i * PANEL_COLUMNS / 16 * INGOT_LANES;
          const int64_t index = i == 0 ? tile : second;
          // Signed bytes are multiplied where they are mapped.
          const int is_mapped = w->kind == INGOT_INT8 && flip == 0;
          int64_t bytes;
          ingot_unpack(
              w, ingot_tile(w, index), column, panel.columns, flip, is_mapped ? 0 : c, s);
          panel.codes[i] = is_mapped ? ingot_packed_codes(w, index, column, &bytes) : c;
          panel.scales[i] = s;
        }
        const int is_last = column + PANEL_COLUMNS >= w->columns;
        const int64_t next = is_last ? tile + 2 : tile;
        if (next < end) {
          const int64_t other = next + 1 < end ? next + 1 : next;
          const int64_t from_column = is_last ? 0 : column + PANEL_COLUMNS;
          panel.next[0] = ingot_packed_codes(w, next, from_column, &panel.next_bytes);
          panel.next[1] = ingot_packed_codes(w, other, from_column, &panel.next_bytes);
        }
        body(&panel, x, from, from + count, sums);
      }
      ingot_write_tile(w, tile, sums, 2 * INGOT_LANES, from, count, factor, out);
      if (second != tile)
        ingot_write_tile(
            w, second, sums + INGOT_LANES, 2 * INGOT_LANES, from, count, factor, out);
    }
  }
}
