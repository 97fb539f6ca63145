// 16 rows of 16 columns to 16 columns of 16 rows with AVX2. Included below a target attribute.

/// Eight vectors of eight rows to eight of columns, `stride` floats apart.
INGOT_INLINE void ingot_transpose8_avx2(const __m256 in[8], float *out, int64_t stride) {
  __m256 pairs[8], fours[8];
  INGOT_UNROLL
  for (int i = 0; i < 8; i += 2) {
    pairs[i] = _mm256_unpacklo_ps(in[i], in[i + 1]);
    pairs[i + 1] = _mm256_unpackhi_ps(in[i], in[i + 1]);
  }
  INGOT_UNROLL
  for (int i = 0; i < 8; i += 4)
    INGOT_UNROLL
    for (int k = 0; k < 2; k++) {
      fours[i + 2 * k] = _mm256_shuffle_ps(pairs[i + k], pairs[i + 2 + k], 0x44);
      fours[i + 2 * k + 1] = _mm256_shuffle_ps(pairs[i + k], pairs[i + 2 + k], 0xEE);
    }
  INGOT_UNROLL
  for (int c = 0; c < 4; c++) {
    _mm256_storeu_ps(out + c * stride, _mm256_permute2f128_ps(fours[c], fours[c + 4], 0x20));
    _mm256_storeu_ps(
        out + (c + 4) * stride, _mm256_permute2f128_ps(fours[c], fours[c + 4], 0x31));
  }
}

INGOT_INLINE void ingot_transpose_avx2(const f32x16 *in, float *out, int64_t stride) {
  INGOT_UNROLL
  for (int quarter = 0; quarter < 4; quarter++) {
    const int row = quarter / 2 * 8, column = quarter % 2 * 8;
    __m256 rows[8];
    INGOT_UNROLL
    for (int r = 0; r < 8; r++)
      memcpy(&rows[r], (const char *)&in[row + r] + column * sizeof(float), sizeof rows[r]);
    ingot_transpose8_avx2(rows, out + column * stride + row, stride);
  }
}
