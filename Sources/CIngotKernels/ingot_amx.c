// AMX int8: Intel since Sapphire Rapids. A 64-byte atom of the weight layout is exactly one row of
// the tile register that `tdpbssd` takes as its second operand, so int8 weights are multiplied
// where they lie in the file. 3 to 64 tokens stream the weights from memory (`ingot_amx_stream.h`);
// more sweep over parts of them that stay in the second-level cache. Exact sums of one or two tokens have a
// vector kernel of their own (`ingot_exact_few.h`); everything else is the VNNI table's.
#if defined(__x86_64__) && defined(__linux__)
#define _GNU_SOURCE
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ingot_common.h"

#if defined(__clang__)
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi,gfni,amx-tile," \
                          "amx-int8,fma,f16c"))), \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi,gfni")
#pragma GCC target("amx-tile,amx-int8,fma,f16c")
#endif

#include "ingot_unpack_x86.h"

#include "ingot_amx_tiles.h"

#include "ingot_amx_square.h"

#include "ingot_amx_planes.h"

#include "ingot_exact_few.h"

#include "ingot_amx_form.h"

#include "ingot_amx_stream.h"

void ingot_multiply_tiled_avx512vnni(
    const ingot_tiled *w, const ingot_activations *x, int64_t first, int64_t end, float *out,
    void *scratch);

/// One token and two are bound by memory; VNNI measures better there in groups of 16 and 32.
enum { AMX_TOKENS = 3 };

int32_t ingot_activation_order_amx(int64_t tokens) {
  return tokens < AMX_TOKENS ? INGOT_BY_QUAD : INGOT_BY_TILE;
}

enum {
  /// Most weight tiles that meet the same activations, columns and tokens at a time.
  SWEEP_TILES = 8,
  SWEEP_COLUMNS = 512,
  SWEEP_TOKENS = 512,
  /// Bytes of unpacked codes; exact sums have two such planes.
  PLANE = SWEEP_TILES * SWEEP_COLUMNS * INGOT_LANES
};

/// Some columns of a few neighbouring tiles.
typedef struct ingot_strip {
  int64_t tile, column;
  /// How many there are; at the edges of the matrix there may be fewer.
  int64_t tiles, width;
  /// Signed bytes, mapped or unpacked, and scales.
  ///
  /// Exact sums have no scales and the bytes of two planes, `PLANE` apart.
  const uint8_t *codes[SWEEP_TILES];
  const float *scales[SWEEP_TILES];
} ingot_strip;

/// One product of up to 512 tokens with a range of tiles, strip by strip along the columns.
typedef struct ingot_sweep {
  const ingot_tiled *w;
  const ingot_activations *x;
  int64_t first_tile, end_tile;
  int64_t first_token, end_token;
  /// log2 of the group.
  int32_t group_shift;
  /// Unpacked codes and scales of two strips, used in turn.
  uint8_t *codes[2];
  float *scales[2];
  /// `[tile][token][16 rows]`, tiles `sums_stride` floats apart.
  float *sums;
  int64_t sums_stride;
  ingot_dots *dots;
  /// Used in turn: the square that is multiplied, and the one before it, to be finished.
  ingot_square squares[2];
  ingot_plane_square plane_squares[2];
  /// The strip to be fetched: two ahead, because the next is unpacked early.
  ingot_strip fetched;
  /// Squares so far, and whether the last of them is still to be finished.
  int64_t count;
  int32_t is_pending;
} ingot_sweep;

/// The strip at a place, without its codes.
INGOT_INLINE ingot_strip ingot_strip_at(const ingot_sweep *s, int64_t tile, int64_t column) {
  const int64_t tiles = s->end_tile - tile, width = s->w->columns - column;
  ingot_strip strip;
  strip.tile = tile;
  strip.column = column;
  strip.tiles = tiles < SWEEP_TILES ? tiles : SWEEP_TILES;
  strip.width = width < SWEEP_COLUMNS ? width : SWEEP_COLUMNS;
  return strip;
}

/// The one that follows; it has no tiles beyond the last.
INGOT_INLINE ingot_strip ingot_strip_after(const ingot_sweep *s, const ingot_strip *strip) {
  const int64_t column = strip->column + SWEEP_COLUMNS;
  if (column < s->w->columns) return ingot_strip_at(s, strip->tile, column);
  return ingot_strip_at(s, strip->tile + SWEEP_TILES, 0);
}

/// Where the packed codes of a strip's tile lie.
INGOT_INLINE const char *ingot_strip_codes(
    const ingot_sweep *s, const ingot_strip *strip, int64_t tile) {
  return (const char *)ingot_tile(s->w, strip->tile + tile) + s->w->code_offset
         + ingot_code_bytes(s->w, strip->column);
}

/// Fetches the scales of a strip's tiles when it is the first of theirs.
INGOT_INLINE void ingot_strip_fetch_scales(const ingot_sweep *s, const ingot_strip *strip) {
  if (strip->column > 0) return;
  for (int64_t i = 0; i < strip->tiles; i++) {
    const char *scales = (const char *)ingot_tile(s->w, strip->tile + i);
    for (int64_t k = 0; k < s->w->code_offset; k += 64) _mm_prefetch(scales + k, _MM_HINT_T1);
  }
}

/// Fetches share `part` of `parts` of a strip's codes.
static void ingot_strip_fetch(
    const ingot_sweep *s, const ingot_strip *strip, int64_t part, int64_t parts) {
  const int64_t lines = ingot_code_bytes(s->w, strip->width) / 64;
  const int64_t first = lines * part / parts, end = lines * (part + 1) / parts;
  for (int64_t i = 0; i < strip->tiles; i++) {
    const char *codes = ingot_strip_codes(s, strip, i);
    for (int64_t k = first; k < end; k++) _mm_prefetch(codes + 64 * k, _MM_HINT_T1);
  }
}

/// Gives a strip its codes and scales, in buffer 0 or 1 where they are not mapped.
INGOT_INLINE void ingot_strip_open(const ingot_sweep *s, ingot_strip *strip, int64_t buffer) {
  const ingot_tiled *w = s->w;
  for (int64_t i = 0; i < strip->tiles; i++) {
    uint8_t *const unpacked = s->codes[buffer] + i * SWEEP_COLUMNS * INGOT_LANES;
    float *const scales =
        s->scales[buffer] + i * (SWEEP_COLUMNS >> s->group_shift) * INGOT_LANES;
    const uint8_t *const bytes = ingot_tile(w, strip->tile + i);
    strip->codes[i] = unpacked;
    strip->scales[i] = scales;
    if (ingot_is_exact(w)) {
      ingot_unpack_planes(
          w, bytes, strip->column, strip->width, unpacked, unpacked + PLANE);
    } else if (w->kind == INGOT_INT8) {
      // Signed bytes are multiplied where they are mapped.
      strip->codes[i] = bytes + w->code_offset + strip->column * INGOT_LANES;
      ingot_unpack(w, bytes, strip->column, strip->width, 0, 0, scales);
    } else {
      ingot_unpack(w, bytes, strip->column, strip->width, 0, unpacked, scales);
    }
  }
}

/// Multiplies the newest square and finishes the one before it.
static void ingot_sweep_square(ingot_sweep *s) {
  const int64_t now = s->count++ % 2, group = s->w->group;
  const ingot_square *const square = &s->squares[now];
  const ingot_square *before = s->is_pending ? &s->squares[1 - now] : 0;
  ingot_dots *const dots = &s->dots[now], *const dots_before = &s->dots[1 - now];
  const int is_whole = square->groups * group == INGOT_BLOCK;
  if (before && (!is_whole || before->groups != square->groups)) {
    ingot_square_finish(before, *dots_before);
    before = 0;
  }
  if (!is_whole) ingot_square_products(square, *dots, group);
  else if (group == 128) ingot_square_step(square, *dots, before, *dots_before, 1);
  else if (group == 64) ingot_square_step(square, *dots, before, *dots_before, 2);
  else ingot_square_step(square, *dots, before, *dots_before, 4);
  s->is_pending = 1;
}

/// The same for two planes, `width` columns.
static void ingot_sweep_planes(ingot_sweep *s, int64_t width) {
  const int64_t now = s->count++ % 2;
  const ingot_plane_square *const square = &s->plane_squares[now];
  const ingot_plane_square *before = s->is_pending ? &s->plane_squares[1 - now] : 0;
  ingot_dots *const dots = &s->dots[now], *const dots_before = &s->dots[1 - now];
  const int is_long = width > INGOT_TILE_COLUMNS;
  if (is_long && square->is_tall)
    ingot_planes_step(square, *dots, before, *dots_before, 2, 1);
  else if (is_long) ingot_planes_step(square, *dots, before, *dots_before, 2, 0);
  else if (square->is_tall) ingot_planes_step(square, *dots, before, *dots_before, 1, 1);
  else ingot_planes_step(square, *dots, before, *dots_before, 1, 0);
  s->is_pending = 1;
}

static void ingot_sweep_flush(ingot_sweep *s) {
  const int64_t last = (s->count + 1) % 2;
  if (!s->is_pending) return;
  s->is_pending = 0;
  if (ingot_is_exact(s->w)) {
    ingot_finish_planes(&s->plane_squares[last], s->dots[last], 0, 0, 16);
    ingot_finish_planes(&s->plane_squares[last], s->dots[last], 1, 0, 16);
  } else {
    ingot_square_finish(&s->squares[last], s->dots[last]);
  }
}

/// All blocks of one strip for 16 tokens from `token`.
static void ingot_sweep_tokens(ingot_sweep *s, const ingot_strip *strip, int64_t token) {
  const ingot_activations *x = s->x;
  const int8_t *tokens = x->codes + token * x->token_stride + strip->column * 16;
  for (int64_t i = 0; i < strip->tiles; i += 2) {
    const int64_t other = i + 1 < strip->tiles ? i + 1 : i;
    float *const sums =
        s->sums + i * s->sums_stride + (token - s->first_token) * INGOT_LANES;
    for (int64_t start = 0; start < strip->width; start += INGOT_BLOCK) {
      const int64_t rest = strip->width - start;
      const int64_t scale = (start >> s->group_shift) * INGOT_LANES;
      ingot_square *const square = &s->squares[s->count % 2];
      square->codes[0] = strip->codes[i] + start * INGOT_LANES;
      square->codes[1] = strip->codes[other] + start * INGOT_LANES;
      square->scales[0] = strip->scales[i] + scale;
      square->scales[1] = strip->scales[other] + scale;
      square->tokens = tokens + start * 16;
      square->token_scales =
          x->scales + (strip->column + start) / INGOT_BLOCK * x->padded_tokens + token;
      square->sums[0] = sums;
      // A tile that is not there adds to sums that nobody reads.
      square->sums[1] = sums + s->sums_stride;
      square->groups = (rest < INGOT_BLOCK ? rest : INGOT_BLOCK) >> s->group_shift;
      ingot_sweep_square(s);
    }
  }
}

/// The same for two planes and 32 tokens, or 16 where no more than those are left.
static void ingot_sweep_plane_tokens(
    ingot_sweep *s, const ingot_strip *strip, int64_t token, int64_t left) {
  const ingot_activations *x = s->x;
  const int is_tall = left > 16;
  const int64_t step = is_tall ? 1 : 2;
  for (int64_t i = 0; i < strip->tiles; i += step) {
    const int64_t other = is_tall || i + 1 == strip->tiles ? i : i + 1;
    float *const sums =
        s->sums + i * s->sums_stride + (token - s->first_token) * INGOT_LANES;
    for (int64_t start = 0; start < strip->width; start += INGOT_BLOCK) {
      ingot_plane_square *const square = &s->plane_squares[s->count % 2];
      square->is_tall = is_tall;
      square->tokens[0] =
          x->codes + token * x->token_stride + (strip->column + start) * 16;
      square->tokens[1] = square->tokens[0] + (is_tall ? 16 * x->token_stride : 0);
      square->token_scales[0] =
          x->scales + (strip->column + start) / INGOT_BLOCK * x->padded_tokens + token;
      square->token_scales[1] = square->token_scales[0] + (is_tall ? 16 : 0);
      square->high[0] = strip->codes[i] + start * INGOT_LANES;
      square->high[1] = strip->codes[other] + start * INGOT_LANES;
      square->low[0] = square->high[0] + PLANE;
      square->low[1] = square->high[1] + PLANE;
      square->sums[0] = sums;
      square->sums[1] = sums + (is_tall ? 16 * INGOT_LANES : s->sums_stride);
      ingot_sweep_planes(s, strip->width - start);
    }
  }
}

/// Writes the sums of a strip's tiles.
static void ingot_sweep_write(const ingot_sweep *s, const ingot_strip *strip, float *out) {
  const int64_t rows = s->w->rows, last = (strip->tile + strip->tiles) * INGOT_LANES;
  ingot_write_sums(
      s->sums, s->sums_stride, strip->tile * INGOT_LANES, last < rows ? last : rows,
      s->end_token - s->first_token, ingot_row_factor(s->w), out + s->first_token * rows, rows);
}

/// One strip × all tokens, while `next` is given its codes.
static void ingot_sweep_strip(
    ingot_sweep *s, const ingot_strip *strip, ingot_strip *next, int64_t next_buffer) {
  const int is_exact = ingot_is_exact(s->w);
  const int64_t step = is_exact ? 32 : 16;
  const int64_t parts = (s->end_token - s->first_token + step - 1) / step;
  for (int64_t part = 0; part < parts; part++) {
    const int64_t token = s->first_token + step * part;
    ingot_strip_fetch(s, &s->fetched, part, parts);
    if (is_exact) ingot_sweep_plane_tokens(s, strip, token, s->end_token - token);
    else ingot_sweep_tokens(s, strip, token);
    // Nobody needs the strip before any more, and the tile unit is busy with this one.
    if (part == 0) ingot_strip_open(s, next, next_buffer);
  }
}

/// All strips, with one more than is unpacked on its way from memory.
static void ingot_sweep_run(ingot_sweep *s, float *out) {
  ingot_strip strips[2];
  strips[0] = ingot_strip_at(s, s->first_tile, 0);
  s->fetched = ingot_strip_after(s, &strips[0]);
  if (s->fetched.tiles > 0) {
    ingot_strip_fetch_scales(s, &s->fetched);
    ingot_strip_fetch(s, &s->fetched, 0, 1);
    s->fetched = ingot_strip_after(s, &s->fetched);
  }
  int64_t now = 0;
  ingot_strip_open(s, &strips[0], 0);
  for (; strips[now].tiles > 0; now ^= 1) {
    const ingot_strip *const strip = &strips[now];
    if (strip->column == 0)
      memset(s->sums, 0, (size_t)((strip->tiles + 1) / 2 * 2 * s->sums_stride) * sizeof *s->sums);
    strips[1 - now] = ingot_strip_after(s, strip);
    ingot_strip_fetch_scales(s, &s->fetched);
    ingot_sweep_strip(s, strip, &strips[1 - now], 1 - now);
    s->fetched = ingot_strip_after(s, &s->fetched);
    if (strips[1 - now].tile == strip->tile) continue;
    ingot_sweep_flush(s);
    ingot_sweep_write(s, strip, out);
  }
}

/// Many tokens, 512 at a time.
static void ingot_multiply_sweeps(
    const ingot_tiled *w, const ingot_activations *x, int64_t first, int64_t end, float *out,
    void *scratch) {
  enum {
    CODES = 2 * PLANE,
    SCALES = SWEEP_TILES * SWEEP_COLUMNS / 16 * INGOT_LANES,
    SUMS = SWEEP_TILES * SWEEP_TOKENS * INGOT_LANES
  };
  _Static_assert(
      2 * CODES + 4 * (2 * SCALES + SUMS) + 2 * sizeof(ingot_dots) <= INGOT_MULTIPLY_SCRATCH,
      "does not fit in the scratch memory");
  uint8_t *const codes = scratch;
  float *const scales = (float *)(codes + 2 * CODES);
  ingot_dots *const dots = (ingot_dots *)(scales + 2 * SCALES);
  const int is_whole = ingot_is_exact(w) || w->group > INGOT_TILE_COLUMNS;
  ingot_shape_tiles(is_whole ? INGOT_TILE_COLUMNS : w->group, 16);
  for (int64_t token = 0; token < x->tokens; token += SWEEP_TOKENS) {
    const int64_t left = x->tokens - token, count = left < SWEEP_TOKENS ? left : SWEEP_TOKENS;
    ingot_sweep s = {
        .w = w,
        .x = x,
        .first_tile = first,
        .end_tile = end,
        .first_token = token,
        .end_token = token + count,
        .group_shift = __builtin_ctz((unsigned)w->group),
        .codes = {codes, codes + CODES},
        .scales = {scales, scales + SCALES},
        .dots = dots,
        .sums = (float *)(dots + 2),
        .sums_stride = (count + 15) / 16 * 16 * INGOT_LANES};
    ingot_sweep_run(&s, out);
  }
}

void ingot_multiply_tiled_amx(
    const ingot_tiled *w, const ingot_activations *x, int64_t first, int64_t end, float *out,
    void *scratch) {
  if (ingot_is_exact_few(w, x)) {
    ingot_multiply_exact_few(w, x, first, end, out);
    return;
  }
  if (x->order == INGOT_BY_QUAD) {
    ingot_multiply_tiled_avx512vnni(w, x, first, end, out, scratch);
    return;
  }
  if (x->tokens <= 0 || first >= end) return;
  if (ingot_is_stream(w, x)) ingot_multiply_stream(w, x, first, end, out, scratch);
  else ingot_multiply_sweeps(w, x, first, end, out, scratch);
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
