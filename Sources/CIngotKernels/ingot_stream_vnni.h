// For the VNNI kernel: one tile × up to 8 tokens straight from the mapped bytes, bound by memory. Included
// below a target attribute.

/// Tokens that one call keeps in registers.
enum { STREAM_TOKENS = 8 };

/// One group of int6 codes × `tokens` tokens added to `dot`; `a` at the group's first column.
INGOT_INLINE void ingot_stream_int6(
    const uint8_t *codes, int64_t group, const int8_t *a, int64_t quad_stride, __m512i *dot,
    int tokens) {
  const int64_t quarter = group * (INGOT_LANES / 4);
  // Few tokens: sums of their own, so that products do not wait for one another.
  __m512i far_dot[STREAM_TOKENS];
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++) far_dot[t] = _mm512_setzero_si512();
  for (int64_t i = 0; i < quarter; i += 64, a += 16) {
    ingot_fetch_ahead(codes + 3 * i, 192);
    const __m512i even = _mm512_loadu_si512(codes + i);
    const __m512i odd = _mm512_loadu_si512(codes + quarter + i);
    const __m512i two = _mm512_loadu_si512(codes + 2 * quarter + i);
    __m512i q[4];
    ingot_join_six_bits(even, odd, two, q);
    INGOT_UNROLL
    for (int k = 0; k < 4; k++) {
      INGOT_UNROLL
      for (int t = 0; t < tokens; t++) {
        const __m512i v = ingot_quad(a + k * group, t, quad_stride);
        __m512i *sum = tokens <= 4 && k % 2 ? &far_dot[t] : &dot[t];
        *sum = _mm512_dpbusd_epi32(*sum, q[k], v);
      }
    }
  }
  if (tokens > 4) return;
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++) dot[t] = _mm512_add_epi32(dot[t], far_dot[t]);
}

/// One tile × `tokens` tokens: `out` gets `[token][16 rows]`.
INGOT_INLINE void ingot_stream_tile(
    const ingot_tiled *w, const uint8_t *tile, const ingot_activations *x, float *out, int tokens,
    int32_t kind) {
  const int64_t columns = w->columns, group = w->group, padded = x->padded_tokens;
  const int32_t *offsets = x->offsets[ingot_level(w->group)];
  const uint8_t *codes = tile + w->code_offset;
  const int8_t *quad = x->codes;
  const int64_t quad_stride = 4 * x->token_stride;
  const __m512i flip = _mm512_set1_epi8((char)0x80), levels = ingot_levels_u8(w);
  ingot_fetch_ahead(tile, w->code_offset);
  __m512 total[STREAM_TOKENS];
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++) total[t] = _mm512_setzero_ps();
  int64_t index = 0;
  for (int64_t start = 0; start < columns; start += INGOT_BLOCK) {
    const int64_t end = start + INGOT_BLOCK < columns ? start + INGOT_BLOCK : columns;
    __m512 sum[STREAM_TOKENS];
    INGOT_UNROLL
    for (int t = 0; t < tokens; t++) sum[t] = _mm512_setzero_ps();
    for (int64_t column = start; column < end; column += group, index++) {
      __m512i dot[STREAM_TOKENS];
      const __m512i zero =
          kind == INGOT_INT4Z ? ingot_zero_points(w, tile, index) : _mm512_setzero_si512();
      INGOT_UNROLL
      for (int t = 0; t < tokens; t++) dot[t] = ingot_start(offsets + index * padded, t, kind, zero);
      const int8_t *a = quad + 4 * column;
      if (kind == INGOT_INT8) {
        for (int64_t i = 0; i < group / 4; i++, codes += 64, a += 16) {
          ingot_fetch_ahead(codes, 64);
          const __m512i q = _mm512_xor_si512(_mm512_loadu_si512(codes), flip);
          INGOT_UNROLL
          for (int t = 0; t < tokens; t++)
            dot[t] = _mm512_dpbusd_epi32(dot[t], q, ingot_quad(a, t, quad_stride));
        }
      } else if (kind == INGOT_INT6) {
        ingot_stream_int6(codes, group, a, quad_stride, dot, tokens);
        codes += 12 * group;
      } else {
        const int64_t far = 2 * group;
        // Few tokens: sums of their own, so that products do not wait for one another.
        __m512i far_dot[STREAM_TOKENS];
        INGOT_UNROLL
        for (int t = 0; t < tokens; t++) far_dot[t] = _mm512_setzero_si512();
        for (int64_t i = 0; i < group / 8; i++, codes += 64, a += 16) {
          ingot_fetch_ahead(codes, 64);
          const __m512i both = _mm512_loadu_si512(codes);
          __m512i near_q, far_q;
          ingot_split_nibbles(both, levels, kind == INGOT_CB4, &near_q, &far_q);
          // One after the other: two products in a row that join the same sum wait for each other.
          INGOT_UNROLL
          for (int t = 0; t < tokens; t++)
            dot[t] = _mm512_dpbusd_epi32(dot[t], near_q, ingot_quad(a, t, quad_stride));
          INGOT_UNROLL
          for (int t = 0; t < tokens; t++) {
            __m512i *other = tokens <= 4 ? &far_dot[t] : &dot[t];
            *other = _mm512_dpbusd_epi32(*other, far_q, ingot_quad(a + far, t, quad_stride));
          }
        }
        if (tokens <= 4) {
          INGOT_UNROLL
          for (int t = 0; t < tokens; t++) dot[t] = _mm512_add_epi32(dot[t], far_dot[t]);
        }
      }
      const __m512 scale = ingot_scales(w, tile, index, 0);
      INGOT_UNROLL
      for (int t = 0; t < tokens; t++) sum[t] = ingot_join(dot[t], scale, sum[t]);
    }
    const float *scales = x->scales + start / INGOT_BLOCK * padded;
    INGOT_UNROLL
    for (int t = 0; t < tokens; t++)
      total[t] = _mm512_fmadd_ps(sum[t], _mm512_set1_ps(scales[t]), total[t]);
  }
  ingot_store_totals(w, total, out, tokens);
}

INGOT_INLINE void ingot_stream_kind(
    const ingot_tiled *w, const uint8_t *tile, const ingot_activations *x, float *out,
    int tokens) {
  switch (w->kind) {
    case INGOT_INT8: ingot_stream_tile(w, tile, x, out, tokens, INGOT_INT8); break;
    case INGOT_INT4: ingot_stream_tile(w, tile, x, out, tokens, INGOT_INT4); break;
    case INGOT_INT4Z: ingot_stream_tile(w, tile, x, out, tokens, INGOT_INT4Z); break;
    case INGOT_INT6: ingot_stream_tile(w, tile, x, out, tokens, INGOT_INT6); break;
    default:
      if (ingot_is_exact(w)) ingot_exact_tile(w, tile, x, out, tokens);
      else ingot_stream_tile(w, tile, x, out, tokens, INGOT_CB4);
  }
}

static void ingot_multiply_few(
    const ingot_tiled *w, const ingot_activations *x, int64_t first, int64_t end, float *out) {
  float lanes[STREAM_TOKENS * INGOT_LANES];
  for (int64_t tile = first; tile < end; tile++) {
    const uint8_t *bytes = ingot_tile(w, tile);
    if (x->tokens == 1) ingot_stream_kind(w, bytes, x, lanes, 1);
    else if (x->tokens == 2) ingot_stream_kind(w, bytes, x, lanes, 2);
    else if (x->tokens <= 4) ingot_stream_kind(w, bytes, x, lanes, 4);
    else ingot_stream_kind(w, bytes, x, lanes, 8);
    const __mmask16 live = ingot_live_rows(w, tile, end);
    for (int64_t t = 0; t < x->tokens; t++)
      _mm512_mask_storeu_ps(
          out + t * w->rows + tile * INGOT_LANES, live, _mm512_loadu_ps(lanes + t * INGOT_LANES));
  }
}
