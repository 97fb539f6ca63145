// For the VNNI kernel: how products of groups and blocks start and come together, and which rows are
// written. Included below a target attribute.

/// log2(group / 16)
INGOT_INLINE int ingot_level(int64_t group) { return __builtin_ctz((unsigned)group) - 4; }

/// Σ over a group starts at −offset · Σ activations, because `vpdpbusd` wants unsigned weights.
INGOT_INLINE __m512i ingot_start(
    const int32_t *offsets, int token, int32_t kind, __m512i zero_points) {
  const __m512i sum = _mm512_set1_epi32(offsets[token]);
  if (kind == INGOT_INT4) return _mm512_srai_epi32(sum, 4);
  if (kind == INGOT_INT6) return _mm512_srai_epi32(sum, 2);
  if (kind == INGOT_INT4Z) return _mm512_mullo_epi32(_mm512_srai_epi32(sum, 7), zero_points);
  return sum;
}

/// One group of products joins the others of its block, which start at zero.
INGOT_INLINE __m512 ingot_join(__m512i dot, __m512 scale, __m512 sum) {
  return _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), scale, sum);
}

/// The sums of one tile's rows, `[token]`, times the row factor: `out` gets `[token][16 rows]`.
INGOT_INLINE void ingot_store_totals(
    const ingot_tiled *w, const __m512 *totals, float *out, int tokens) {
  const __m512 factor = _mm512_set1_ps(ingot_row_factor(w));
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++)
    _mm512_storeu_ps(out + t * INGOT_LANES, _mm512_mul_ps(totals[t], factor));
}

/// The rows of a tile that are there; none from tile `end` on.
INGOT_INLINE __mmask16 ingot_live_rows(const ingot_tiled *w, int64_t tile, int64_t end) {
  const int64_t live = w->rows - tile * INGOT_LANES;
  if (tile >= end) return 0;
  return live >= INGOT_LANES ? 0xFFFF : (__mmask16)((1 << live) - 1);
}
