// The shapes of the AMX tile registers. Included below a target attribute.

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

/// Registers: 0…3 sums, 4 and 5 activations (`tokens` rows of `depth` bytes), 6 and 7 weights.
INGOT_INLINE void ingot_shape_tiles(int64_t depth, int64_t tokens) {
  tile_shapes shapes;
  memset(&shapes, 0, sizeof shapes);
  shapes.palette = 1;
  for (int i = 0; i < 8; i++) {
    shapes.rows[i] = (uint8_t)(i < 6 ? tokens : depth / 4);
    shapes.row_bytes[i] = (uint16_t)(i == 4 || i == 5 ? depth : 64);
  }
  _tile_loadconfig(&shapes);
}
