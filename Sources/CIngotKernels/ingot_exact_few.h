// Exact sums (`ingot_is_exact`) of one or two tokens, straight from the mapped bytes. Permutations of 64
// bytes look at 6 bits of an index, so nibbles need no mask where the levels are repeated, and turn the
// scales of four groups into numbers at once. Included below a target attribute with AVX-512 VNNI and VBMI.

/// Activations, and levels as unsigned bytes, four times the same 16.
typedef struct ingot_exact_few {
  const ingot_tiled *w;
  const ingot_activations *x;
  __m512i levels;
} ingot_exact_few;

/// One group of 16 columns × `tokens` tokens: levels · activations, before the scales.
INGOT_INLINE void ingot_exact_group(
    const ingot_exact_few *s, const uint8_t *codes, const int8_t *a, const int32_t *offsets,
    __m512i *dots, int tokens) {
  // A quad of activations has 16 bytes; what is in high nibbles is 8 columns further on.
  enum { QUAD = 16, FAR = 2 * QUAD };
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++) dots[t] = _mm512_set1_epi32(offsets[t]);
  INGOT_UNROLL
  for (int i = 0; i < 2; i++, a += QUAD) {
    const __m512i both = _mm512_loadu_si512(codes + 64 * i);
    const __m512i near = _mm512_permutexvar_epi8(both, s->levels);
    const __m512i far = _mm512_permutexvar_epi8(_mm512_srli_epi16(both, 4), s->levels);
    INGOT_UNROLL
    for (int t = 0; t < tokens; t++) {
      dots[t] = _mm512_dpbusd_epi32(dots[t], near, ingot_quad(a, t, 0));
      dots[t] = _mm512_dpbusd_epi32(dots[t], far, ingot_quad(a + FAR, t, 0));
    }
  }
}

/// Adds 64 columns, four groups, of a tile to the integers `sums`.
INGOT_INLINE void ingot_exact_step(
    const ingot_exact_few *s, const uint8_t *tile, int64_t column, __m512i *sums, int tokens) {
  const ingot_plane_scales scales = ingot_read_plane_scales(tile + column);
  uint8_t sizes[64] __attribute__((aligned(64)));
  _mm512_store_si512(sizes, scales.sizes);
  const __mmask64 negative = _mm512_movepi8_mask(_mm512_loadu_si512(tile + column));
  const uint8_t *const codes = tile + s->w->code_offset + ingot_code_bytes(s->w, column);
  const int64_t padded = s->x->padded_tokens;
  INGOT_UNROLL
  for (int g = 0; g < 4; g++) {
    __m512i dots[2], scale = _mm512_cvtepu8_epi32(_mm_load_si128((const void *)(sizes + 16 * g)));
    scale = _mm512_mask_sub_epi32(
        scale, (__mmask16)(negative >> 16 * g), _mm512_setzero_si512(), scale);
    ingot_exact_group(
        s, codes + 128 * g, s->x->codes + 4 * (column + 16 * g),
        s->x->offsets[0] + (column / 16 + g) * padded, dots, tokens);
    INGOT_UNROLL
    for (int t = 0; t < tokens; t++)
      sums[t] = _mm512_add_epi32(sums[t], _mm512_mullo_epi32(dots[t], scale));
  }
  // From memory, and what has come from there into the first-level cache.
  ingot_fetch_ahead(codes, 512);
  for (int i = 0; i < 512; i += 64) _mm_prefetch((const char *)codes + 2048 + i, _MM_HINT_T0);
}

/// Tiles [first, end); columns in whole blocks.
INGOT_INLINE void ingot_exact_tiles(
    const ingot_exact_few *s, int64_t first, int64_t end, float *out, int tokens) {
  const int64_t columns = s->w->columns, rows = s->w->rows;
  const float factor = ingot_row_factor(s->w);
  for (int64_t index = first; index < end; index++) {
    const uint8_t *const tile = ingot_tile(s->w, index);
    ingot_fetch_ahead(tile, s->w->code_offset);
    float lanes[2 * INGOT_LANES] __attribute__((aligned(64)));
    __m512 totals[2];
    INGOT_UNROLL
    for (int t = 0; t < tokens; t++) totals[t] = _mm512_setzero_ps();
    for (int64_t start = 0; start < columns; start += INGOT_BLOCK) {
      __m512i sums[2];
      INGOT_UNROLL
      for (int t = 0; t < tokens; t++) sums[t] = _mm512_setzero_si512();
      ingot_exact_step(s, tile, start, sums, tokens);
      ingot_exact_step(s, tile, start + INGOT_BLOCK / 2, sums, tokens);
      const float *const scales = s->x->scales + start / INGOT_BLOCK * s->x->padded_tokens;
      INGOT_UNROLL
      for (int t = 0; t < tokens; t++)
        totals[t] = _mm512_fmadd_ps(
            _mm512_cvtepi32_ps(sums[t]), _mm512_set1_ps(scales[t]), totals[t]);
    }
    INGOT_UNROLL
    for (int t = 0; t < tokens; t++) _mm512_store_ps(lanes + t * INGOT_LANES, totals[t]);
    const int64_t row = index * INGOT_LANES;
    ingot_write_sums(
        lanes, 0, row, row + INGOT_LANES < rows ? row + INGOT_LANES : rows, tokens, factor,
        out, rows);
  }
}

static void ingot_exact_1(const ingot_exact_few *s, int64_t first, int64_t end, float *out) {
  ingot_exact_tiles(s, first, end, out, 1);
}
static void ingot_exact_2(const ingot_exact_few *s, int64_t first, int64_t end, float *out) {
  ingot_exact_tiles(s, first, end, out, 2);
}

/// Whether a product is one for this kernel.
static int ingot_is_exact_few(const ingot_tiled *w, const ingot_activations *x) {
  return ingot_is_exact(w) && x->order == INGOT_BY_QUAD && x->tokens > 0 && x->tokens <= 2
         && w->columns % INGOT_BLOCK == 0;
}

static void ingot_multiply_exact_few(
    const ingot_tiled *w, const ingot_activations *x, int64_t first, int64_t end, float *out) {
  const __m128i levels = _mm_loadu_si128((const void *)w->payload);
  const ingot_exact_few s = {
      w, x, _mm512_broadcast_i32x4(_mm_xor_si128(levels, _mm_set1_epi8((char)0x80)))};
  if (x->tokens == 1) ingot_exact_1(&s, first, end, out);
  else ingot_exact_2(&s, first, end, out);
}
