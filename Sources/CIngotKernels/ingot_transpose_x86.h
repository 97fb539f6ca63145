// For the AVX-512 kernels. Included below a target attribute.

/// 16 × 16 words of 32 bits turned in four steps: within pairs, quads, and 128-bit lanes twice.
INGOT_INLINE void ingot_transpose_x86(const f32x16 *in, float *out, int64_t stride) {
  __m512 a[16], b[16];
  INGOT_UNROLL
  for (int i = 0; i < 16; i += 2) {
    a[i] = _mm512_unpacklo_ps((__m512)in[i], (__m512)in[i + 1]);
    a[i + 1] = _mm512_unpackhi_ps((__m512)in[i], (__m512)in[i + 1]);
  }
  INGOT_UNROLL
  for (int i = 0; i < 16; i += 4) {
    for (int k = 0; k < 2; k++) {
      const __m512d low = (__m512d)a[i + k], high = (__m512d)a[i + k + 2];
      b[i + 2 * k] = (__m512)_mm512_unpacklo_pd(low, high);
      b[i + 2 * k + 1] = (__m512)_mm512_unpackhi_pd(low, high);
    }
  }
  // b[4r + c] holds column c of each 128-bit lane for rows 4r … 4r + 3.
  INGOT_UNROLL
  for (int c = 0; c < 4; c++) {
    const __m512 even_low = _mm512_shuffle_f32x4(b[c], b[4 + c], 0x88);
    const __m512 odd_low = _mm512_shuffle_f32x4(b[c], b[4 + c], 0xDD);
    const __m512 even_high = _mm512_shuffle_f32x4(b[8 + c], b[12 + c], 0x88);
    const __m512 odd_high = _mm512_shuffle_f32x4(b[8 + c], b[12 + c], 0xDD);
    _mm512_storeu_ps(out + c * stride, _mm512_shuffle_f32x4(even_low, even_high, 0x88));
    _mm512_storeu_ps(out + (4 + c) * stride, _mm512_shuffle_f32x4(odd_low, odd_high, 0x88));
    _mm512_storeu_ps(out + (8 + c) * stride, _mm512_shuffle_f32x4(even_low, even_high, 0xDD));
    _mm512_storeu_ps(out + (12 + c) * stride, _mm512_shuffle_f32x4(odd_low, odd_high, 0xDD));
  }
}
