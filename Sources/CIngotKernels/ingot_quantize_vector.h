// Quantization of 16 rows at once: lane r of every vector belongs to row r of the tile.
//
// Included by one source file per instruction set, which defines `QUANTIZE_NAME`, and may define
// `QUANTIZE_TABLE`, `quantize_table`, `quantize_nearest` and `quantize_nearest_index` when it has
// something better than comparing with every threshold. All else is plain vector arithmetic, IEEE
// per lane, so that each lane does exactly what `ingot_quantize_scalar.c` does for its row.

#include "ingot_quantize_common.h"

// Every function that takes or returns a vector is inlined, so no calling convention is involved.
#pragma clang diagnostic ignored "-Wpsabi"

typedef float f32x16 __attribute__((ext_vector_type(16)));
typedef double f64x16 __attribute__((ext_vector_type(16)));
typedef int32_t s32x16 __attribute__((ext_vector_type(16)));
typedef uint32_t u32x16 __attribute__((ext_vector_type(16)));
typedef uint16_t u16x16 __attribute__((ext_vector_type(16)));
typedef uint8_t u8x16 __attribute__((ext_vector_type(16)));

#define BITS(x) __builtin_bit_cast(s32x16, x)
#define FLOATS(x) __builtin_bit_cast(f32x16, x)
#define MAGNITUDE(x) FLOATS(BITS(x) & 0x7FFFFFFF)

#ifndef QUANTIZE_TABLE
/// The codebook as thresholds and steps between levels.
typedef struct quantize_table {
  float threshold[15];
  float step[15];
  float first;
} quantize_table;

INGOT_QUANTIZE_INLINE quantize_table quantize_make_table(const int8_t *codebook) {
  quantize_table table;
  table.first = codebook[0];
  for (int32_t k = 0; k < 15; k++) {
    table.threshold[k] = (float)(codebook[k] + codebook[k + 1]) * 0.5f;
    table.step[k] = (float)(codebook[k + 1] - codebook[k]);
  }
  return table;
}

/// The level nearest to each `u`; sums of small integers are exact in any order.
INGOT_QUANTIZE_INLINE f32x16 quantize_nearest(const quantize_table *table, f32x16 u) {
  f32x16 level = (f32x16)table->first;
  for (int32_t k = 0; k < 15; k++) {
    level += u > table->threshold[k] ? (f32x16)table->step[k] : (f32x16)0.0f;
  }
  return level;
}

INGOT_QUANTIZE_INLINE s32x16 quantize_nearest_index(const quantize_table *table, f32x16 u) {
  s32x16 index = (s32x16)0;
  for (int32_t k = 0; k < 15; k++) index -= u > table->threshold[k];
  return index;
}
#endif

/// One group of 16 rows; `weights` and `products` are `[column][16]`.
typedef struct group_state {
  const ingot_quantize_task *task;
  const f32x16 *weights;
  /// weight × importance, the same memory as `weights` without importance.
  const f32x16 *products;
  const float *importance;
  const quantize_table *table;
  f32x16 low, high;
} group_state;

INGOT_QUANTIZE_INLINE f32x16 quantize_level(const group_state *group, f32x16 u, int32_t kind) {
  if (kind == QUANTIZE_CB4) return quantize_nearest(group->table, u);
  u = u < group->low ? group->low : u;
  u = u > group->high ? group->high : u;
  return (u + INGOT_QUANTIZE_ROUNDER) - INGOT_QUANTIZE_ROUNDER;
}

INGOT_QUANTIZE_INLINE void correlate(
    const group_state *group, f32x16 inverse, int32_t kind, f32x16 *product, f32x16 *square) {
  f32x16 a = (f32x16)0.0f, b = (f32x16)0.0f;
  int32_t count = group->task->group;
  if (group->importance) {
    for (int32_t i = 0; i < count; i++) {
      f32x16 l = quantize_level(group, group->weights[i] * inverse, kind);
      a = a + group->products[i] * l;
      b = b + l * l * group->importance[i];
    }
  } else {
#pragma clang loop unroll_count(4)
    for (int32_t i = 0; i < count; i++) {
      f32x16 l = quantize_level(group, group->weights[i] * inverse, kind);
      a = a + group->weights[i] * l;
      b = b + l * l;
    }
  }
  *product = a;
  *square = b;
}

INGOT_QUANTIZE_INLINE f32x16 search_scale(
    const group_state *group, const ingot_quantize_targets *targets, f32x16 extreme, int32_t kind,
    f32x16 *best) {
  f32x16 scale = (f32x16)0.0f;
  for (int32_t i = 0; i < targets->count; i++) {
    f32x16 a, b, target = (f32x16)targets->value[i];
    correlate(group, target / extreme, kind, &a, &b);
    f32x16 score = b > 0 ? a * a / b : (f32x16)0.0f;
    f32x16 refined = b > 0 ? a / b : extreme / target;
    scale = score > *best ? refined : scale;
    *best = score > *best ? score : *best;
  }
  return scale;
}

INGOT_QUANTIZE_INLINE f32x16 code_values(s32x16 code) {
  f32x16 small = __builtin_convertvector(code, f32x16) * 0x1p-19f;
  return code < 32 ? small : FLOATS((code + 3584) << 18);
}

INGOT_QUANTIZE_INLINE s32x16 scale_codes(const group_state *group, f32x16 scale) {
  f32x16 target = MAGNITUDE(scale);
  // Small enough to convert whether or not the lane uses it.
  f32x16 clamped = target < 0x1p-14f ? target : (f32x16)0.0f;
  s32x16 code = target < 0x1p-14f ? __builtin_convertvector(clamped * 0x1p19f, s32x16)
                                  : (BITS(target) >> 18) - 3584;
  code = code > INGOT_QUANTIZE_TOP_CODE - 1 ? (s32x16)(INGOT_QUANTIZE_TOP_CODE - 1) : code;
  f32x16 below = code_values(code), above = code_values(code + 1);
  f32x16 below_error = target - below, above_error = above - target;
  if (group->task->search) {
    f32x16 a, b;
    f32x16 signed_below = scale < 0 ? -below : below, signed_above = scale < 0 ? -above : above;
    f32x16 inverse = below != 0 ? 1 / signed_below : (f32x16)0.0f;
    correlate(group, inverse, QUANTIZE_CB4, &a, &b);
    below_error = signed_below * (signed_below * b - 2 * a);
    correlate(group, 1 / signed_above, QUANTIZE_CB4, &a, &b);
    above_error = signed_above * (signed_above * b - 2 * a);
  }
  code -= above_error < below_error;
  return code | (scale < 0 && code != 0 ? (s32x16)0x80 : (s32x16)0);
}

INGOT_QUANTIZE_INLINE s32x16 halves(f32x16 value) {
  s32x16 sign = BITS(value) >> 16 & 0x8000, magnitude = BITS(value) & 0x7FFFFFFF;
  s32x16 small = BITS(FLOATS(magnitude) + 0.5f) - 0x3F000000;
  s32x16 rounded = magnitude + 0xFFF + (magnitude >> 13 & 1);
  return sign | (magnitude < 0x38800000 ? small : (rounded - 0x38000000) >> 13);
}

/// Values of finite and infinite halves.
INGOT_QUANTIZE_INLINE f32x16 half_values(s32x16 half) {
  s32x16 sign = (half & 0x8000) << 16, magnitude = half & 0x7FFF;
  s32x16 finite = BITS(FLOATS(magnitude << 13) * 0x1p112f);
  return FLOATS(sign | (magnitude >= 0x7C00 ? 0x7F800000 | (magnitude & 0x3FF) << 13 : finite));
}

/// Scales of one group as they are stored.
typedef struct group_scales {
  s32x16 bits;
  f32x16 value;
  s32x16 zero;
  /// Lanes whose scale cannot be stored.
  s32x16 overflow;
} group_scales;

INGOT_QUANTIZE_INLINE group_scales choose_scales(
    group_state *group, const ingot_quantize_targets *targets, f32x16 extreme, f32x16 lowest,
    f32x16 highest, int32_t kind) {
  group_scales chosen = {(s32x16)0, (f32x16)0.0f, (s32x16)0, (s32x16)0};
  s32x16 live = MAGNITUDE(extreme) >= INGOT_QUANTIZE_TINY;
  extreme = live ? extreme : (f32x16)1.0f;
  f32x16 range = live ? highest - lowest : (f32x16)1.0f;
  f32x16 plain = (kind == QUANTIZE_INT4Z ? range : extreme) / ingot_quantize_reach(kind);
  f32x16 scale = plain, best = (f32x16)-1.0f, point = (f32x16)0.0f;
  int32_t search = group->task->search;
  if (kind == QUANTIZE_INT4Z) {
    f32x16 center = (-lowest * 15 / range + INGOT_QUANTIZE_ROUNDER) - INGOT_QUANTIZE_ROUNDER;
    point = center;
    for (float offset = -1; offset <= 1 && search; offset += 1) {
      f32x16 z = center + offset, before = best;
      z = z < 0 ? (f32x16)0.0f : z > 15 ? (f32x16)15.0f : z;
      group->low = -z;
      group->high = 15 - z;
      f32x16 found = search_scale(group, targets, range, kind, &best);
      scale = best > before ? found : scale;
      point = best > before ? z : point;
    }
  } else if (search) {
    scale = search_scale(group, targets, extreme, kind, &best);
  }
  if (kind == QUANTIZE_CB4) {
    s32x16 codes = scale_codes(group, scale);
    chosen.bits = live ? codes : (s32x16)0;
    f32x16 value = code_values(chosen.bits & 0x7F);
    chosen.value = (chosen.bits & 0x80) != 0 ? -value : value;
    return chosen;
  }
  chosen.overflow = live & ~((MAGNITUDE(plain) < 65520) & (MAGNITUDE(scale) < 65520));
  scale = live & ~chosen.overflow ? scale : (f32x16)0.0f;
  chosen.bits = halves(scale);
  chosen.value = half_values(chosen.bits);
  chosen.bits = chosen.value != 0 ? chosen.bits : (s32x16)0;
  if (kind == QUANTIZE_INT4Z) {
    point = chosen.value != 0 ? point : (f32x16)0.0f;
    // The bits of a sum with the rounder are the integer, whatever a faulty lane holds.
    chosen.zero = BITS(point + INGOT_QUANTIZE_ROUNDER) - INGOT_QUANTIZE_ROUNDER_BITS;
    group->low = -point;
    group->high = 15 - point;
  }
  return chosen;
}

/// Per-row sums as vectors; stored to `ingot_quantize_sums` at the end of a tile.
typedef struct tile_sums {
  f64x16 error, source, dequantized, product;
  f32x16 max_error, first;
  s32x16 varies, vanished;
} tile_sums;

/// Bits 4 and 5 of int6 codes, of four atoms a quarter of the group apart in each byte.
INGOT_QUANTIZE_INLINE void encode_high_bits(
    const s32x16 *words, int32_t quarter, uint8_t *codes) {
  for (int32_t block = 0; block < quarter; block++) {
    s32x16 bits = (s32x16)0;
    for (int32_t k = 0; k < 4; k++) {
      s32x16 two = words[block + k * quarter] >> 4 & 0x03030303;
      bits |= two << (2 * k);
    }
    memcpy(codes + block * 64, &bits, sizeof bits);
  }
}

INGOT_QUANTIZE_INLINE void encode_group(
    const group_state *group, const group_scales *scales, int64_t index, uint8_t *tile,
    int32_t kind, tile_sums *sums) {
  const ingot_quantize_task *task = group->task;
  f32x16 inverse = scales->value != 0 ? 1 / scales->value : (f32x16)0.0f;
  f32x16 error = (f32x16)0.0f, source = error, dequantized = error, product = error;
  f32x16 max_error = sums->max_error, first = sums->first;
  s32x16 varies = sums->varies;
  s32x16 offset = kind == QUANTIZE_INT4Z ? scales->zero : (s32x16)ingot_quantize_offset(kind);
  s32x16 words[INGOT_QUANTIZE_CHUNK / 4];
  for (int32_t i = 0; i < task->group; i += 4) {
    s32x16 word = (s32x16)0;
#pragma clang loop unroll(full)
    for (int32_t j = 0; j < 4; j++) {
      f32x16 w = group->weights[i + j], u = w * inverse;
      f32x16 l = quantize_level(group, u, kind);
      s32x16 code;
      if (kind == QUANTIZE_CB4) {
        code = quantize_nearest_index(group->table, u);
      } else {
        code = BITS(l + INGOT_QUANTIZE_ROUNDER) - INGOT_QUANTIZE_ROUNDER_BITS + offset;
      }
      word |= (code & 0xFF) << (8 * j);
      f32x16 v = scales->value * l, difference = w - v, gap = MAGNITUDE(difference);
      error = error + difference * difference;
      source = source + w * w;
      dequantized = dequantized + v * v;
      product = product + w * v;
      max_error = gap > max_error ? gap : max_error;
      varies |= w != first;
    }
    words[i / 4] = word;
  }
  sums->max_error = max_error;
  sums->varies = varies;
  sums->error += __builtin_convertvector(error, f64x16);
  sums->source += __builtin_convertvector(source, f64x16);
  sums->dequantized += __builtin_convertvector(dequantized, f64x16);
  sums->product += __builtin_convertvector(product, f64x16);
  sums->vanished -= (scales->value == 0) & (source != 0);

  if (kind == QUANTIZE_CB4) {
    u8x16 bytes = __builtin_convertvector(scales->bits, u8x16);
    memcpy(tile + index * 16, &bytes, sizeof bytes);
  } else {
    u16x16 bits = __builtin_convertvector(scales->bits, u16x16);
    memcpy(tile + index * 32, &bits, sizeof bits);
  }
  if (kind == QUANTIZE_INT4Z) {
    u8x16 zeros = __builtin_convertvector(scales->zero, u8x16);
    memcpy(tile + task->zero_offset + index * 16, &zeros, sizeof zeros);
  }
  int32_t atoms = task->group / 4;
  if (kind == QUANTIZE_INT8) {
    uint8_t *codes = tile + task->code_offset + index * atoms * 64;
    memcpy(codes, words, (size_t)atoms * 64);
    return;
  }
  uint8_t *codes =
      tile + task->code_offset + ingot_quantize_code_bytes(kind, index * task->group);
  for (int32_t block = 0; block < atoms / 2; block++) {
    s32x16 near_code = words[block] & 0x0F0F0F0F, far_code = words[block + atoms / 2] & 0x0F0F0F0F;
    s32x16 pair = near_code | far_code << 4;
    memcpy(codes + block * 64, &pair, sizeof pair);
  }
  if (kind == QUANTIZE_INT6) encode_high_bits(words, atoms / 4, codes + atoms / 2 * 64);
}

/// 16 consecutive weights of one row as f32.
INGOT_QUANTIZE_INLINE f32x16 load_row(const uint8_t *source, int32_t element) {
  if (element == ELEMENT_F32) {
    f32x16 values;
    memcpy(&values, source, sizeof values);
    return values;
  }
  u16x16 bits;
  memcpy(&bits, source, sizeof bits);
  s32x16 wide = __builtin_bit_cast(s32x16, __builtin_convertvector(bits, u32x16));
  return element == ELEMENT_F16 ? half_values(wide) : FLOATS(wide << 16);
}

/// Turns 16 rows of 16 columns into 16 columns of 16 rows: four rounds of interleaving.
INGOT_QUANTIZE_INLINE void transpose(f32x16 *rows) {
  f32x16 other[16];
#pragma clang loop unroll(full)
  for (int32_t round = 0; round < 4; round++) {
    f32x16 *from = round % 2 == 0 ? rows : other, *to = round % 2 == 0 ? other : rows;
#pragma clang loop unroll(full)
    for (int32_t i = 0; i < 8; i++) {
      to[2 * i] = __builtin_shufflevector(
          from[i], from[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      to[2 * i + 1] = __builtin_shufflevector(
          from[i], from[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
  }
}

/// Columns [first, first + count) of up to 16 rows as `[column][16]`, missing rows zero.
INGOT_QUANTIZE_INLINE void load_columns(
    const ingot_quantize_task *task, const uint8_t *source, int32_t rows, int64_t first,
    int64_t count, f32x16 *out) {
  int64_t size = task->element == ELEMENT_F32 ? 4 : 2;
  for (int64_t column = 0; column < count; column += 16) {
    for (int32_t row = 0; row < 16; row++) {
      const uint8_t *start = source + (row * task->columns + first + column) * size;
      out[column + row] = row < rows ? load_row(start, task->element) : (f32x16)0.0f;
    }
    transpose(out + column);
  }
}

INGOT_QUANTIZE_INLINE int32_t first_lane(s32x16 mask) {
  for (int32_t lane = 0; lane < 16; lane++) {
    if (mask[lane]) return lane;
  }
  return 16;
}

/// Finds the fault of the lowest row, if there is one.
INGOT_QUANTIZE_INLINE int find_fault(
    s32x16 not_finite, s32x16 overflow, int64_t group, ingot_quantize_result *result) {
  int32_t lane = first_lane(not_finite | overflow);
  if (lane == 16) return 0;
  *result = (ingot_quantize_result){
      .fault = not_finite[lane] ? INGOT_QUANTIZE_NOT_FINITE : INGOT_QUANTIZE_OVERFLOW,
      .fault_row = lane,
      .fault_group = group};
  return 1;
}

/// What a group's rows span.
typedef struct group_range {
  f32x16 extreme, lowest, highest;
  s32x16 not_finite;
} group_range;

/// Scales the weights of a group by `inverse` in place and finds their range.
INGOT_QUANTIZE_INLINE group_range measure_group(f32x16 *weights, int32_t count, float inverse) {
  group_range range = {(f32x16)0.0f, (f32x16)0.0f, (f32x16)0.0f, (s32x16)0};
  s32x16 exponents = (s32x16)0;
  for (int32_t i = 0; i < count; i++) {
    s32x16 bits = BITS(weights[i]) & 0x7FFFFFFF;
    exponents = bits > exponents ? bits : exponents;
    f32x16 w = weights[i] * inverse;
    weights[i] = w;
    range.extreme = MAGNITUDE(w) > MAGNITUDE(range.extreme) ? w : range.extreme;
    range.lowest = w < range.lowest ? w : range.lowest;
    range.highest = w > range.highest ? w : range.highest;
  }
  range.not_finite = exponents >= 0x7F800000;
  return range;
}

INGOT_QUANTIZE_INLINE void quantize_tile_of(
    const ingot_quantize_task *task, const void *source, int32_t rows, uint8_t *tile,
    void *scratch, ingot_quantize_result *result, int32_t kind) {
  memset(result, 0, sizeof *result);
  f32x16 *weights = scratch, *products = weights + INGOT_QUANTIZE_CHUNK;
  f32x16 *maxima = products + INGOT_QUANTIZE_CHUNK;
  const quantize_table table = quantize_make_table(task->codebook);
  const ingot_quantize_targets targets = ingot_quantize_make_targets(task);
  group_state group = {.task = task, .table = &table};
  tile_sums sums;
  memset(&sums, 0, sizeof sums);
  int64_t groups = task->columns / task->group;
  memset(tile, 0, (size_t)task->code_offset);
  float inverse = 1 / task->tensor_scale;
  int64_t search_ticks = 0, encode_ticks = 0;
  for (int64_t index = 0; index < groups; index++) {
    int64_t first = index * task->group, at = first % INGOT_QUANTIZE_CHUNK;
    if (at == 0) {
      int64_t left = task->columns - first;
      load_columns(
          task, source, rows, first, left < INGOT_QUANTIZE_CHUNK ? left : INGOT_QUANTIZE_CHUNK,
          weights);
    }
    group_range range = measure_group(weights + at, task->group, inverse);
    maxima[index] = MAGNITUDE(range.extreme);
    if (index == 0) sums.first = weights[0];
    group.weights = group.products = weights + at;
    group.low = (f32x16)ingot_quantize_low(kind);
    group.high = (f32x16)ingot_quantize_high(kind);
    if (task->importance) {
      group.importance = task->importance + first;
      for (int32_t i = 0; i < task->group; i++) {
        products[i] = group.weights[i] * group.importance[i];
      }
      group.products = products;
    }
    int is_timed = index % INGOT_QUANTIZE_TIMED == 0;
    int64_t start = is_timed ? ingot_quantize_clock() : 0;
    group_scales scales =
        choose_scales(&group, &targets, range.extreme, range.lowest, range.highest, kind);
    int64_t chosen = is_timed ? ingot_quantize_clock() : 0;
    if (find_fault(range.not_finite, scales.overflow, index, result)) return;
    encode_group(&group, &scales, index, tile, kind, &sums);
    if (is_timed) {
      search_ticks += chosen - start;
      encode_ticks += ingot_quantize_clock() - chosen;
    }
  }
  ingot_quantize_sums stored;
  memcpy(stored.error, &sums.error, sizeof stored.error);
  memcpy(stored.source, &sums.source, sizeof stored.source);
  memcpy(stored.dequantized, &sums.dequantized, sizeof stored.dequantized);
  memcpy(stored.product, &sums.product, sizeof stored.product);
  memcpy(stored.max_error, &sums.max_error, sizeof stored.max_error);
  memcpy(stored.first, &sums.first, sizeof stored.first);
  memcpy(stored.varies, &sums.varies, sizeof stored.varies);
  memcpy(stored.vanished, &sums.vanished, sizeof stored.vanished);
  ingot_quantize_finish(task, &stored, (const float *)maxima, rows, result);
  result->search_ticks = search_ticks;
  result->encode_ticks = encode_ticks;
}

#define QUANTIZE_KIND(name, kind)                                                             \
  static __attribute__((noinline)) void name(                                                 \
      const ingot_quantize_task *task, const void *source, int32_t rows, uint8_t *tile,       \
      void *scratch, ingot_quantize_result *result) {                                         \
    quantize_tile_of(task, source, rows, tile, scratch, result, kind);                        \
  }
QUANTIZE_KIND(quantize_tile_int8, QUANTIZE_INT8)
QUANTIZE_KIND(quantize_tile_int4, QUANTIZE_INT4)
QUANTIZE_KIND(quantize_tile_int4z, QUANTIZE_INT4Z)
QUANTIZE_KIND(quantize_tile_cb4, QUANTIZE_CB4)
QUANTIZE_KIND(quantize_tile_int6, QUANTIZE_INT6)
#undef QUANTIZE_KIND

static void quantize_tile(
    const ingot_quantize_task *task, const void *source, int32_t rows, uint8_t *tile,
    void *scratch, ingot_quantize_result *result) {
  switch (task->kind) {
    case QUANTIZE_INT8: quantize_tile_int8(task, source, rows, tile, scratch, result); break;
    case QUANTIZE_INT4: quantize_tile_int4(task, source, rows, tile, scratch, result); break;
    case QUANTIZE_INT4Z: quantize_tile_int4z(task, source, rows, tile, scratch, result); break;
    case QUANTIZE_CB4: quantize_tile_cb4(task, source, rows, tile, scratch, result); break;
    case QUANTIZE_INT6: quantize_tile_int6(task, source, rows, tile, scratch, result); break;
  }
}

static float largest(const void *source, int32_t element, int64_t count) {
  const uint8_t *bytes = source;
  int64_t size = element == ELEMENT_F32 ? 4 : 2, index = 0;
  s32x16 most = (s32x16)0;
  for (; index + 16 <= count; index += 16) {
    s32x16 bits = BITS(load_row(bytes + index * size, element)) & 0x7FFFFFFF;
    most = bits > most ? bits : most;
  }
  if (index < count) {
    uint8_t tail[64] = {0};
    memcpy(tail, bytes + index * size, (size_t)((count - index) * size));
    s32x16 bits = BITS(load_row(tail, element)) & 0x7FFFFFFF;
    most = bits > most ? bits : most;
  }
  int32_t result = 0;
  for (int32_t lane = 0; lane < 16; lane++) result = most[lane] > result ? most[lane] : result;
  float value;
  memcpy(&value, &result, 4);
  return value;
}

const ingot_quantizer QUANTIZE_SYMBOL = {QUANTIZE_NAME, quantize_tile, largest};
