// What the AMX kernels share: the shapes of tile registers, and writing sums. Included below a target
// attribute.

enum {
  INGOT_TILE_BYTES = 1024,
  /// Bytes of one row of a tile register.
  INGOT_TILE_COLUMNS = 64
};

/// The operand of `ldtilecfg`.
typedef struct __attribute__((aligned(64))) tile_shapes {
  uint8_t palette;
  uint8_t start_row;
  uint8_t reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} tile_shapes;

/// Registers: 0…3 sums, 4 and 5 activations (`tokens` ≤ 16 of `depth` bytes), 6 and 7 weights.
INGOT_INLINE void ingot_shape_tiles(int64_t depth, int64_t tokens) {
  tile_shapes shapes;
  memset(&shapes, 0, sizeof shapes);
  shapes.palette = 1;
  for (int i = 0; i < 8; i++) {
    shapes.rows[i] = (uint8_t)(i < 6 ? tokens : depth / 4);
    shapes.row_bytes[i] = (uint16_t)(i == 4 || i == 5 ? depth : 64);
  }
  // GCC knows of the first bytes only that they are read.
  __asm__ volatile("" : : "r"(&shapes) : "memory");
  _tile_loadconfig(&shapes);
}

/// Writes `tokens` tokens of neighbouring weight tiles, rows [row, end), times `factor`: whole runs of
/// rows for each token.
///
/// - sums: `[tile][token][16 rows]`, tiles `stride` floats apart.
/// - out: `[token][rows]` from the first token on.
INGOT_INLINE void ingot_write_sums(
    const float *sums, int64_t stride, int64_t row, int64_t end, int64_t tokens, float factor,
    float *out, int64_t rows) {
  const __m512 f = _mm512_set1_ps(factor);
  for (int64_t t = 0; t < tokens; t++) {
    const float *from = sums + t * INGOT_LANES;
    for (int64_t r = row; r < end; r += INGOT_LANES, from += stride) {
      const __mmask16 live = end - r >= INGOT_LANES ? 0xFFFF : (__mmask16)((1 << (end - r)) - 1);
      _mm512_mask_storeu_ps(out + t * rows + r, live, _mm512_mul_ps(_mm512_load_ps(from), f));
    }
  }
}
