// Products with f32 activations for many tokens, compiled once per instruction set: weights become
// a panel of f32 that stays in the nearer caches, `[column][rows]`, and blocks of tokens meet
// it with their sums in registers. Rounding is not part of the contract here.
//
// The including file defines INGOT_GEMM_VECTORS (f32x16 of rows), INGOT_GEMM_TOKENS (4, 8, 12,
// or 6 of 12) and may define INGOT_TRANSPOSE(in, out, stride), 16 vectors of 16 rows to 16 of columns, and
// INGOT_UNPACK_SIGNED(w, tile, column, count, codes), the signed codes of part of a tile.

enum {
  /// Panels that share the activations in the first-level cache, and tokens at a time.
  GEMM_PANELS = 4,
  GEMM_TOKENS = 512,
  GEMM_MANY = 96,
  /// Columns on their way from the second-level cache to the first.
  GEMM_AHEAD = 16,
  INGOT_NAME(gemm_rows) = 16 * INGOT_GEMM_VECTORS,
  /// Columns of a panel: 32 KiB for 32 rows. Fewer read and write the sums more often.
  INGOT_NAME(gemm_columns) = 256,
  /// Numbers in a panel; turning 16 columns at a time may write 15 too many.
  INGOT_NAME(gemm_panel) = INGOT_NAME(gemm_rows) * (INGOT_NAME(gemm_columns) + 16)
};

#ifndef INGOT_TRANSPOSE
INGOT_INLINE void INGOT_NAME(transpose)(const f32x16 *in, float *out, int64_t stride) {
  float lanes[16][16];
  for (int r = 0; r < 16; r++) ingot_store(lanes[r], in[r]);
  for (int c = 0; c < 16; c++)
    for (int r = 0; r < 16; r++) out[c * stride + r] = lanes[r][c];
}
#define INGOT_TRANSPOSE(in, out, stride) INGOT_NAME(transpose)(in, out, stride)
#endif

#ifndef INGOT_UNPACK_SIGNED
static void INGOT_NAME(unpack_signed)(
    const ingot_tiled *w, const uint8_t *tile, int64_t first, int64_t count, int8_t *codes) {
  if (w->kind == INGOT_INT8) {
    memcpy(codes, tile + w->code_offset + first * 16, (size_t)count * 16);
    return;
  }
  const int64_t blocks = w->group / 8;
  if (w->kind == INGOT_INT6) {
    const uint8_t *packed = tile + w->code_offset;
    for (int64_t c = 0; c < count; c += w->group)
      ingot_unpack_int6(
          packed + ingot_code_bytes(w, first + c), w->group, 32,
          (uint8_t *)codes + c * INGOT_LANES);
    return;
  }
  for (int64_t g = first / w->group; g < (first + count) / w->group; g++) {
    int8_t levels[16][16];
    for (int row = 0; row < 16; row++)
      for (int code = 0; code < 16; code++)
        levels[row][code] =
            (int8_t)(w->kind == INGOT_CB4    ? (int8_t)w->payload[code]
                     : w->kind == INGOT_INT4 ? code - 8
                                             : code - tile[w->zero_offset + g * 16 + row]);
    const uint8_t *p = tile + w->code_offset + g * blocks * 64;
    for (int64_t i = 0; i < blocks * 64; i++) {
      codes[i] = levels[i % 64 / 4][p[i] & 15];
      codes[blocks * 64 + i] = levels[i % 64 / 4][p[i] >> 4];
    }
    codes += blocks * 128;
  }
}
#define INGOT_UNPACK_SIGNED INGOT_NAME(unpack_signed)
#endif

/// Reorders a region of row-major `x` to `[token / 4][column][token % 4]`, with zeros beyond the last
/// token.
static void INGOT_NAME(pack_f32)(
    const float *x, ingot_region region, int64_t tokens, int64_t columns, float *out) {
  for (int64_t q = region.first_token / 4; q < (region.end_token + 3) / 4; q++) {
    float *to = out + q * 4 * columns;
    const float *from[4];
    for (int i = 0; i < 4; i++) from[i] = 4 * q + i < tokens ? x + (4 * q + i) * columns : 0;
    for (int64_t c = region.first_column; c < region.end_column; c++)
      for (int i = 0; i < 4; i++) to[4 * c + i] = from[i] ? from[i][c] : 0;
  }
}

/// Rows [row, row + 16) × `count` columns of dense weights to `[column][stride]`.
INGOT_INLINE void INGOT_NAME(dense_panel)(
    const void *weights, int32_t type, int64_t row, int64_t rows, int64_t columns, int64_t first,
    int64_t count, float *out, int64_t stride) {
  f32x16 in[16];
  int64_t c = 0;
  for (; c < count; c += 16) {
    const int64_t left = count - c;
    for (int r = 0; r < 16; r++) {
      const int64_t at = (row + r) * columns + first + c;
      in[r] = row + r >= rows ? ingot_splat(0)
              : left >= 16    ? INGOT_NAME(dense_load)(weights, at, type)
                              : INGOT_NAME(dense_load_part)(weights, at, type, left);
    }
    // Up to 15 columns beyond the last: the panel has room, and nobody reads them.
    INGOT_TRANSPOSE(in, out + c * stride, stride);
  }
}

/// `count` columns of one tile to `[column][stride]`; `count` is a multiple of the group.
INGOT_INLINE void INGOT_NAME(tiled_panel)(
    const ingot_tiled *w, const uint8_t *tile, int64_t first, int64_t count, float *out,
    int64_t stride) {
  int8_t codes[GEMM_PANELS * INGOT_NAME(gemm_columns) * 16] __attribute__((aligned(64)));
  INGOT_UNPACK_SIGNED(w, tile, first, count, codes);
  const f32x16 tensor_scale = ingot_splat(ingot_tensor_scale(w));
  for (int64_t c = 0; c < count; c += w->group) {
    float lanes[16];
    for (int r = 0; r < 16; r++)
      lanes[r] = ingot_group_scale(w, tile, (first + c) / w->group * 16 + r);
    const f32x16 scale = ingot_load(lanes);
    for (int64_t i = c; i < c + w->group; i += 4) {
      s32x16 atom;
      memcpy(&atom, codes + i * 16, 64);
      for (int k = 0; k < 4; k++)
        ingot_store(
            out + (i + k) * stride,
            __builtin_convertvector((atom << (24 - 8 * k)) >> 24, f32x16) * scale
                * tensor_scale);
    }
  }
}

/// A panel × `tokens` tokens added to `sums`, `[token][rows]`; the first is token `first` of the quad at `x`.
INGOT_INLINE void INGOT_NAME(gemm_block)(
    const float *panel, int64_t count, const float *x, int64_t quad_stride, float *sums,
    int first, int tokens) {
  f32x16 sum[INGOT_GEMM_TOKENS * INGOT_GEMM_VECTORS];
  INGOT_UNROLL
  for (int i = 0; i < tokens * INGOT_GEMM_VECTORS; i++) sum[i] = ingot_load(sums + 16 * i);
  for (int64_t c = 0; c < count; c++) {
    f32x16 w[INGOT_GEMM_VECTORS];
    INGOT_UNROLL
    for (int v = 0; v < INGOT_GEMM_VECTORS; v++) {
      w[v] = ingot_load(panel + c * INGOT_NAME(gemm_rows) + 16 * v);
      __builtin_prefetch(panel + (c + GEMM_AHEAD) * INGOT_NAME(gemm_rows) + 16 * v, 0, 3);
    }
    INGOT_UNROLL
    for (int t = 0; t < tokens; t++) {
      const int at = first + t;
      const f32x16 a = ingot_splat(x[at / 4 * quad_stride + 4 * c + at % 4]);
      INGOT_UNROLL
      for (int v = 0; v < INGOT_GEMM_VECTORS; v++)
        sum[t * INGOT_GEMM_VECTORS + v] =
            INGOT_MULTIPLY_ADD(a, w[v], sum[t * INGOT_GEMM_VECTORS + v]);
    }
  }
  INGOT_UNROLL
  for (int i = 0; i < tokens * INGOT_GEMM_VECTORS; i++) ingot_store(sums + 16 * i, sum[i]);
}

/// Tokens [first, first + count) of packed `x` with the live panels of a group; a block of tokens
/// stays in the first-level cache while it meets them all.
static void INGOT_NAME(gemm_tokens)(
    const float *panels, int64_t live, int64_t column, int64_t width, const float *x,
    int64_t columns, int64_t count, float *sums, int64_t sums_size) {
  const int64_t quad_stride = 4 * columns, panel_size = INGOT_NAME(gemm_panel);
  for (int64_t t = 0; t < count;) {
    const int64_t left = count - t;
    const float *from = x + t * columns + 4 * column;
    int tokens = 4;
    // 16 left: 8 + 8 beats 12 + 4.
    if (INGOT_GEMM_TOKENS == 6 && left >= 12) tokens = 12;
    else if (INGOT_GEMM_TOKENS >= 12 && left > 8 && !(left > 12 && left <= 16)) tokens = 12;
    else if (INGOT_GEMM_TOKENS >= 8 && left > 4) tokens = 8;
    for (int64_t i = 0; i < live; i++) {
      const float *panel = panels + i * panel_size;
      float *to = sums + i * sums_size + t * INGOT_NAME(gemm_rows);
      if (INGOT_GEMM_TOKENS == 6 && tokens == 12) {
        // Two halves: the second begins inside a quad.
        enum { HALF = INGOT_GEMM_TOKENS == 6 ? 6 : 4 };
        INGOT_NAME(gemm_block)(panel, width, from, quad_stride, to, 0, HALF);
        INGOT_NAME(gemm_block)(
            panel, width, from + quad_stride, quad_stride, to + HALF * INGOT_NAME(gemm_rows), 2,
            HALF);
      } else if (INGOT_GEMM_TOKENS >= 12 && tokens == 12) {
        INGOT_NAME(gemm_block)(panel, width, from, quad_stride, to, 0, INGOT_GEMM_TOKENS);
      } else if (INGOT_GEMM_TOKENS >= 8 && tokens == 8) {
        INGOT_NAME(gemm_block)(
            panel, width, from, quad_stride, to, 0, INGOT_GEMM_TOKENS >= 8 ? 8 : 4);
      } else {
        INGOT_NAME(gemm_block)(panel, width, from, quad_stride, to, 0, 4);
      }
    }
    t += tokens;
  }
}

INGOT_INLINE void INGOT_NAME(gemm_write)(
    const float *sums, int64_t sums_size, int64_t live, int64_t row, int64_t end, int64_t rows,
    int64_t tokens, float *out) {
  enum { ROWS = INGOT_NAME(gemm_rows) };
  for (int64_t t = 0; t < tokens; t++)
    for (int64_t i = 0; i < live; i++) {
      const int64_t left = end - row - i * ROWS;
      float *to = out + t * rows + row + i * ROWS;
      const float *from = sums + i * sums_size + t * ROWS;
      if (left >= ROWS) memcpy(to, from, ROWS * sizeof *to);
      else memcpy(to, from, (size_t)left * sizeof *to);
    }
}

/// Rows [first, end) of dense or tiled weights × all tokens of packed `x`.
INGOT_INLINE void INGOT_NAME(gemm)(
    const void *weights, const ingot_tiled *tiled, int32_t type, int64_t rows, int64_t columns,
    int64_t first, int64_t end, const float *x, int64_t tokens, float *out, float *scratch) {
  enum { ROWS = INGOT_NAME(gemm_rows) };
  float *sums = scratch + GEMM_PANELS * INGOT_NAME(gemm_panel);
  // Few tokens: long runs of few rows, which memory delivers best. Many: short runs of many rows,
  // so that the tokens' columns stay in the first-level cache.
  const int64_t panels = tokens < GEMM_MANY ? 1 : GEMM_PANELS;
  const int64_t depth = INGOT_NAME(gemm_columns) * GEMM_PANELS / panels;
  for (int64_t from = 0; from < tokens; from += GEMM_TOKENS) {
    const int64_t count = tokens - from < GEMM_TOKENS ? tokens - from : GEMM_TOKENS;
    const int64_t sums_size = (count + 15) / 16 * 16 * ROWS;
    for (int64_t row = first; row < end; row += panels * ROWS) {
      const int64_t left = (end - row + ROWS - 1) / ROWS;
      const int64_t live = left < panels ? left : panels;
      memset(sums, 0, (size_t)(live * sums_size) * sizeof *sums);
      for (int64_t column = 0; column < columns; column += depth) {
        const int64_t width = columns - column < depth ? columns - column : depth;
        for (int64_t r = 0; r < live * ROWS; r += 16) {
          float *to = scratch + r / ROWS * INGOT_NAME(gemm_panel) + r % ROWS;
          // Rows beyond the last: whatever the panel holds is never written out.
          if (row + r >= end) continue;
          if (tiled)
            INGOT_NAME(tiled_panel)(
                tiled, ingot_tile(tiled, (row + r) / 16), column, width, to, ROWS);
          else
            INGOT_NAME(dense_panel)(
                weights, type, row + r, rows, columns, column, width, to, ROWS);
        }
        INGOT_NAME(gemm_tokens)(
            scratch, live, column, width, x + from * columns, columns, count, sums, sums_size);
      }
      INGOT_NAME(gemm_write)(sums, sums_size, live, row, end, rows, count, out + from * rows);
    }
  }
}

static void INGOT_NAME(multiply_dense_packed)(
    const void *weights, int32_t type, int64_t rows, int64_t columns, int64_t first, int64_t end,
    const float *x, int64_t tokens, float *out, void *scratch) {
  switch (type) {
    case INGOT_F32:
      INGOT_NAME(gemm)(
          weights, 0, INGOT_F32, rows, columns, first, end, x, tokens, out, scratch);
      break;
    case INGOT_F16:
      INGOT_NAME(gemm)(
          weights, 0, INGOT_F16, rows, columns, first, end, x, tokens, out, scratch);
      break;
    default:
      INGOT_NAME(gemm)(
          weights, 0, INGOT_BF16, rows, columns, first, end, x, tokens, out, scratch);
  }
}

static void INGOT_NAME(multiply_dequantized)(
    const ingot_tiled *w, int64_t first, int64_t end, const float *x, int64_t tokens, float *out,
    void *scratch) {
  const int64_t last = end * 16 < w->rows ? end * 16 : w->rows;
  INGOT_NAME(gemm)(
      0, w, 0, w->rows, w->columns, first * 16, last, x, tokens, out, scratch);
}
