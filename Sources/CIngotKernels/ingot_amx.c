// AMX int8: Intel since Sapphire Rapids. A 64-byte atom of the weight layout is exactly one row of
// the tile register that `tdpbssd` takes as its second operand, so int8 weights are multiplied
// where they lie in the file. Everything that is not a product of many tokens is the VNNI table's.
#if defined(__x86_64__) && defined(__linux__)
#define _GNU_SOURCE
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ingot_common.h"

#if defined(__clang__)
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,amx-tile,amx-int8," \
                          "fma,f16c"))), \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,amx-tile,amx-int8,fma,f16c")
#endif

#include "ingot_panels_x86.h"

void ingot_multiply_tiled_avx512vnni(
    const ingot_tiled *w, const ingot_activations *x, int64_t first, int64_t end, float *out,
    void *scratch);

/// Where VNNI measures better: few tokens are bound by memory, and small groups by the stores and
/// conversions that each group costs.
enum { AMX_TOKENS = 9, AMX_GROUP = 32 };

int32_t ingot_activation_order_amx(int64_t tokens, int64_t group) {
  return tokens < AMX_TOKENS || group < AMX_GROUP ? INGOT_BY_QUAD : INGOT_BY_TOKEN;
}

/// The operand of `ldtilecfg`.
typedef struct __attribute__((aligned(64))) tile_shapes {
  uint8_t palette;
  uint8_t start_row;
  uint8_t reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} tile_shapes;

/// Registers: 0…3 sums, 4 activations (`tokens` × `depth` columns), 6 and 7 weights.
INGOT_INLINE void ingot_shape_tiles(int64_t depth, int64_t tokens) {
  tile_shapes shapes;
  memset(&shapes, 0, sizeof shapes);
  shapes.palette = 1;
  for (int i = 0; i < 8; i++) {
    shapes.rows[i] = (uint8_t)(i < 6 ? tokens : depth / 4);
    shapes.row_bytes[i] = (uint16_t)(i == 4 ? depth : 64);
  }
  _tile_loadconfig(&shapes);
}

/// Dot products of one block: `[group][weight tile][16 tokens][16 rows]`.
typedef int32_t ingot_dots[INGOT_BLOCK / 16][2][16][16];

/// 16 tokens × two weight tiles × one block of a panel; the products of the tile unit are turned
/// into floats while it works on the next.
typedef struct ingot_unit {
  int64_t first_group;
  int64_t groups;
  int64_t tokens;
  const float *token_scales;
  float *out;
} ingot_unit;

/// One group in the sum registers 2·`pair` and 2·`pair` + 1.
#define INGOT_AMX_GROUP(pair_left, pair_right)                        \
  do {                                                                \
    _tile_zero(pair_left);                                            \
    _tile_zero(pair_right);                                           \
    for (int64_t k = 0; k < group; k += depth) {                      \
      _tile_loadd(4, a, stride);                                      \
      _tile_loadd(6, left, 64);                                       \
      _tile_dpbssd(pair_left, 4, 6);                                  \
      _tile_loadd(7, right, 64);                                      \
      _tile_dpbssd(pair_right, 4, 7);                                 \
      a += depth, left += 16 * depth, right += 16 * depth;            \
    }                                                                 \
    _tile_stored(pair_left, dots[g][0], 64);                          \
    _tile_stored(pair_right, dots[g][1], 64);                         \
  } while (0)

INGOT_INLINE void ingot_amx_products(
    const ingot_panel *panel, const int8_t *a, int64_t stride, int64_t column, int64_t groups,
    ingot_dots dots) {
  const int64_t group = panel->group, depth = group < 64 ? group : 64;
  const uint8_t *left = panel->codes[0] + 16 * column, *right = panel->codes[1] + 16 * column;
  int64_t g = 0;
  for (; g + 1 < groups; g++) {
    INGOT_AMX_GROUP(0, 1);
    g++;
    INGOT_AMX_GROUP(2, 3);
  }
  if (g < groups) INGOT_AMX_GROUP(0, 1);
}

/// float(dot) · scale summed over the groups, then · token scale onto the output.
INGOT_INLINE void ingot_amx_finish_groups(
    const ingot_panel *panel, const ingot_unit *unit, ingot_dots dots, int groups) {
  for (int tile = 0; tile < 2; tile++) {
    const float *s = panel->scales[tile] + unit->first_group * INGOT_LANES;
    __m512 scale[INGOT_BLOCK / 16];
    INGOT_UNROLL
    for (int g = 0; g < groups; g++) scale[g] = _mm512_load_ps(s + g * INGOT_LANES);
    float *o = unit->out + tile * INGOT_LANES;
    for (int64_t t = 0; t < unit->tokens; t++, o += 2 * INGOT_LANES) {
      // The first product equals an FMA onto zero: the sign of a zero is lost in `out`.
      __m512 sum = _mm512_mul_ps(
          _mm512_cvtepi32_ps(_mm512_load_si512(dots[0][tile][t])), scale[0]);
      INGOT_UNROLL
      for (int g = 1; g < groups; g++)
        sum = _mm512_fmadd_ps(
            _mm512_cvtepi32_ps(_mm512_load_si512(dots[g][tile][t])), scale[g], sum);
      const __m512 token_scale = _mm512_set1_ps(unit->token_scales[t]);
      _mm512_store_ps(o, _mm512_fmadd_ps(sum, token_scale, _mm512_load_ps(o)));
    }
  }
}

static void ingot_amx_finish(
    const ingot_panel *panel, const ingot_unit *unit, ingot_dots dots) {
  switch (unit->groups) {
    case 1: ingot_amx_finish_groups(panel, unit, dots, 1); break;
    case 2: ingot_amx_finish_groups(panel, unit, dots, 2); break;
    case 3: ingot_amx_finish_groups(panel, unit, dots, 3); break;
    case 4: ingot_amx_finish_groups(panel, unit, dots, 4); break;
    case 5: ingot_amx_finish_groups(panel, unit, dots, 5); break;
    case 6: ingot_amx_finish_groups(panel, unit, dots, 6); break;
    case 7: ingot_amx_finish_groups(panel, unit, dots, 7); break;
    default: ingot_amx_finish_groups(panel, unit, dots, 8);
  }
}

static void ingot_amx_panel(
    const ingot_panel *panel, const ingot_activations *x, int64_t first, int64_t end,
    float *out) {
  ingot_dots dots[2] __attribute__((aligned(64)));
  ingot_unit units[2];
  const int64_t group = panel->group, depth = group < 64 ? group : 64;
  int64_t shape = 0, count = 0;
  for (int64_t t = first; t < end; t += 16) {
    const int64_t tokens = end - t < 16 ? end - t : 16;
    ingot_fetch_next(panel, (t - first) / 16, (end - first + 15) / 16);
    if (tokens != shape) ingot_shape_tiles(depth, shape = tokens);
    const int8_t *a = x->codes + t * x->token_stride + panel->first_column;
    for (int64_t column = 0; column < panel->columns; column += INGOT_BLOCK) {
      const int64_t rest = panel->columns - column;
      const int64_t block = (panel->first_column + column) / INGOT_BLOCK;
      ingot_unit *unit = &units[count % 2];
      *unit = (ingot_unit){
          .first_group = column / group,
          .groups = (rest < INGOT_BLOCK ? rest : INGOT_BLOCK) / group,
          .tokens = tokens,
          .token_scales = x->scales + block * x->padded_tokens + t,
          .out = out + (t - first) * 2 * INGOT_LANES};
      ingot_amx_products(
          panel, a + column, x->token_stride, column, unit->groups, dots[count % 2]);
      if (count > 0) ingot_amx_finish(panel, &units[(count + 1) % 2], dots[(count + 1) % 2]);
      count++;
    }
  }
  if (count > 0) ingot_amx_finish(panel, &units[(count + 1) % 2], dots[(count + 1) % 2]);
}

enum {
  /// Up to here a block of activations for all tokens stays in the first-level cache, so that
  /// weights can come straight from memory, a block of columns at a time.
  AMX_STREAM_TOKENS = 64,
  /// Bytes of each tile's codes that are on their way from memory.
  AMX_AHEAD_BYTES = 4096
};

/// Fetches the codes of one block of two neighbouring tiles, and with the first block the scales.
INGOT_INLINE void ingot_amx_fetch(
    const ingot_tiled *w, int64_t tile, int64_t end, int64_t column) {
  for (int64_t i = tile; i < tile + 2 && i < end; i++) {
    const uint8_t *base = ingot_tile(w, i);
    if (column == 0)
      for (int64_t k = 0; k < w->code_offset; k += 64)
        _mm_prefetch((const char *)base + k, _MM_HINT_T0);
    int64_t bytes;
    const char *codes = (const char *)ingot_packed_codes(w, i, column, &bytes);
    const int64_t most = ingot_code_bytes(w, INGOT_BLOCK);
    if (bytes > most) bytes = most;
    for (int64_t k = 0; k < bytes; k += 64) _mm_prefetch(codes + k, _MM_HINT_T0);
  }
}

/// One block of columns of two tiles as a panel in `codes` and `scales`.
INGOT_INLINE ingot_panel ingot_amx_block(
    const ingot_tiled *w, int64_t tile, int64_t end, int64_t column, uint8_t *codes,
    float *scales) {
  const int64_t rest = w->columns - column;
  ingot_panel panel = {
      .first_column = column,
      .columns = rest < INGOT_BLOCK ? rest : INGOT_BLOCK,
      .group = w->group};
  for (int i = 0; i < 2; i++) {
    const int64_t index = tile + i < end ? tile + i : tile;
    uint8_t *c = codes + i * INGOT_BLOCK * INGOT_LANES;
    float *s = scales + i * (INGOT_BLOCK / 16) * INGOT_LANES;
    int64_t bytes;
    ingot_unpack(
        w, ingot_tile(w, index), column, panel.columns, 0, w->kind == INGOT_INT8 ? 0 : c, s);
    panel.codes[i] =
        w->kind == INGOT_INT8 ? ingot_packed_codes(w, index, column, &bytes) : c;
    panel.scales[i] = s;
  }
  return panel;
}

/// Few tokens: bound by memory, so blocks of columns are fetched well ahead, unpacked while the
/// tile unit works on the block before, and meet all tokens at once.
static void ingot_amx_stream(
    const ingot_tiled *w, const ingot_activations *x, int64_t first, int64_t end, float *out,
    void *scratch) {
  enum {
    CODES = 2 * INGOT_BLOCK * INGOT_LANES,
    SCALES = 2 * (INGOT_BLOCK / 16) * INGOT_LANES
  };
  uint8_t *codes = scratch;
  float *scales = (float *)(codes + 2 * CODES);
  float *sums = scales + 2 * SCALES;
  ingot_dots *dots = (ingot_dots *)(sums + AMX_STREAM_TOKENS * 2 * INGOT_LANES);
  const int64_t group = w->group, depth = group < 64 ? group : 64, tokens = x->tokens;
  const int64_t ahead = AMX_AHEAD_BYTES / ingot_code_bytes(w, INGOT_BLOCK) * INGOT_BLOCK;
  const float tensor_scale = ingot_tensor_scale(w);
  int64_t shape = 0;
  for (int64_t column = 0; column < ahead && column < w->columns; column += INGOT_BLOCK)
    ingot_amx_fetch(w, first, end, column);
  for (int64_t tile = first; tile < end; tile += 2) {
    memset(sums, 0, (size_t)tokens * 2 * INGOT_LANES * sizeof *sums);
    ingot_panel panels[2];
    ingot_unit units[2];
    int64_t count = 0, before = 0;
    panels[0] = ingot_amx_block(w, tile, end, 0, codes, scales);
    for (int64_t column = 0, b = 0; column < w->columns; column += INGOT_BLOCK, b ^= 1) {
      const ingot_panel *panel = &panels[b];
      // What is fetched ahead continues in the next tiles.
      const int64_t next = column + ahead;
      if (next < w->columns) ingot_amx_fetch(w, tile, end, next);
      else if (tile + 2 < end && next - w->columns < w->columns)
        ingot_amx_fetch(w, tile + 2, end, (next - w->columns) / INGOT_BLOCK * INGOT_BLOCK);
      for (int64_t t = 0; t < tokens; t += 16, count++) {
        const int64_t now = count % 2, live = tokens - t < 16 ? tokens - t : 16;
        if (live != shape) ingot_shape_tiles(depth, shape = live);
        units[now] = (ingot_unit){
            .first_group = 0,
            .groups = panel->columns / group,
            .tokens = live,
            .token_scales = x->scales + column / INGOT_BLOCK * x->padded_tokens + t,
            .out = sums + t * 2 * INGOT_LANES};
        ingot_amx_products(
            panel, x->codes + t * x->token_stride + column, x->token_stride, 0,
            units[now].groups, dots[now]);
        if (count > 0) ingot_amx_finish(&panels[before], &units[1 - now], dots[1 - now]);
        before = b;
        // After the last use of the other panel's scales.
        if (t == 0 && column + INGOT_BLOCK < w->columns)
          panels[1 - b] = ingot_amx_block(
              w, tile, end, column + INGOT_BLOCK, codes + (1 - b) * CODES,
              scales + (1 - b) * SCALES);
      }
    }
    ingot_amx_finish(&panels[before], &units[(count + 1) % 2], dots[(count + 1) % 2]);
    for (int64_t i = tile; i < tile + 2 && i < end; i++)
      ingot_write_tile(
          w, i, sums + (i - tile) * INGOT_LANES, 2 * INGOT_LANES, 0, tokens, tensor_scale, out);
  }
}

void ingot_multiply_tiled_amx(
    const ingot_tiled *w, const ingot_activations *x, int64_t first, int64_t end, float *out,
    void *scratch) {
  if (x->order == INGOT_BY_QUAD) {
    ingot_multiply_tiled_avx512vnni(w, x, first, end, out, scratch);
    return;
  }
  if (x->tokens <= AMX_STREAM_TOKENS) ingot_amx_stream(w, x, first, end, out, scratch);
  else ingot_multiply_panels(w, x, first, end, out, scratch, 0, ingot_amx_panel);
  // Clean tile state makes context switches cheap again.
  _tile_release();
}

/// Asks Linux for the tile registers; they are off until a process asks.
int32_t ingot_amx_permitted(void) {
  enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
  return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

int64_t ingot_int8_dot_rate_amx(int64_t iterations) {
  static const int8_t ones[1024] __attribute__((aligned(64))) = {1};
  int32_t result[256];
  ingot_shape_tiles(64, 16);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_loadd(4, ones, 64);
  _tile_loadd(6, ones, 64);
  _tile_loadd(7, ones, 64);
  // Eight times fewer rounds than a vector unit would do in the same time.
  const int64_t rounds = iterations / 8 + 1;
  for (int64_t i = 0; i < rounds; i++) {
    _tile_dpbssd(0, 4, 6);
    _tile_dpbssd(1, 4, 7);
    _tile_dpbssd(2, 4, 6);
    _tile_dpbssd(3, 4, 7);
  }
  _tile_stored(0, result, 64);
  _tile_release();
  volatile int32_t keep = result[0];
  (void)keep;
  return rounds * 4 * 16 * 16 * 64;
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
