// Quantization, the definition: one row and one group at a time, plain C.

#include "ingot_quantize_common.h"

/// The weights of one group, how much each counts, and the codes they get.
typedef struct group_state {
  int32_t count;
  const ingot_quantize_task *task;
  const float *importance;
  float weights[INGOT_QUANTIZE_CHUNK];
  float codes[INGOT_QUANTIZE_CHUNK];
  /// Smallest and largest code of a uniform scheme, relative to its zero point.
  float low, high;
} group_state;

static float from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

static uint32_t to_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  return bits;
}

static float from_half(uint16_t half) {
  uint32_t sign = (uint32_t)(half & 0x8000) << 16, magnitude = half & 0x7FFF;
  if (magnitude >= 0x7C00) return from_bits(sign | 0x7F800000 | (magnitude & 0x3FF) << 13);
  // Shifting puts the exponent field 112 too low, subnormals included; the product is exact.
  return from_bits(sign | to_bits(from_bits(magnitude << 13) * 0x1p112f));
}

/// Nearest binary16, ties to even; `value` is below 65520.
static uint16_t to_half(float value) {
  uint32_t sign = to_bits(value) >> 16 & 0x8000, magnitude = to_bits(value) & 0x7FFFFFFF;
  if (magnitude < 0x38800000) {
    // Subnormal result: adding 0.5 aligns the fraction so that the addition rounds to even.
    return (uint16_t)(sign | (to_bits(from_bits(magnitude) + 0.5f) - 0x3F000000));
  }
  uint32_t rounded = magnitude + 0xFFF + (magnitude >> 13 & 1);
  return (uint16_t)(sign | (rounded - 0x38000000) >> 13);
}

static float load(const void *source, int32_t element, int64_t index) {
  const uint8_t *bytes = source;
  if (element == ELEMENT_F32) {
    uint32_t bits;
    memcpy(&bits, bytes + 4 * index, 4);
    return from_bits(bits);
  }
  uint16_t bits;
  memcpy(&bits, bytes + 2 * index, 2);
  return element == ELEMENT_F16 ? from_half(bits) : from_bits((uint32_t)bits << 16);
}

static float magnitude(float value) { return from_bits(to_bits(value) & 0x7FFFFFFF); }

/// The level nearest to `u`, as an index (cb4); ties go down.
static int32_t level_index(const int8_t *codebook, float u) {
  int32_t index = 0;
  for (int32_t k = 0; k < 15; k++) {
    index += u > (float)(codebook[k] + codebook[k + 1]) * 0.5f;
  }
  return index;
}

/// The representable number nearest to `u`, in units of the group's scale.
static float level(const group_state *group, float u) {
  if (group->task->kind == QUANTIZE_CB4) {
    return group->task->codebook[level_index(group->task->codebook, u)];
  }
  u = u < group->low ? group->low : u;
  u = u > group->high ? group->high : u;
  return (u + INGOT_QUANTIZE_ROUNDER) - INGOT_QUANTIZE_ROUNDER;
}

/// Sums of weight · level and of level², each times its importance, when weights are rounded after
/// multiplication by `inverse`. The best scale for these levels is their ratio.
static void correlate(const group_state *group, float inverse, float *product, float *square) {
  float a = 0, b = 0;
  for (int32_t i = 0; i < group->count; i++) {
    float l = level(group, group->weights[i] * inverse);
    if (group->importance) {
      a = a + group->weights[i] * group->importance[i] * l;
      b = b + l * l * group->importance[i];
    } else {
      a = a + group->weights[i] * l;
      b = b + l * l;
    }
  }
  *product = a;
  *square = b;
}

/// The scale of largest explained square a²/b among the targets, each replaced by the best scale
/// for its rounding.
static float search_scale(
    const group_state *group, const ingot_quantize_targets *targets, float extreme, float *best) {
  float scale = 0;
  for (int32_t i = 0; i < targets->count; i++) {
    float a, b;
    correlate(group, targets->value[i] / extreme, &a, &b);
    float score = b > 0 ? a * a / b : 0;
    if (score > *best) {
      *best = score;
      scale = b > 0 ? a / b : extreme / targets->value[i];
    }
  }
  return scale;
}

/// The S1E2M5 code of least error beside `scale`; without search, of the nearest value.
static uint8_t scale_code(const group_state *group, float scale) {
  float target = magnitude(scale);
  uint32_t code = target < 0x1p-14f ? (uint32_t)(target * 0x1p19f) : (to_bits(target) >> 18) - 3584;
  if (code > INGOT_QUANTIZE_TOP_CODE - 1) code = INGOT_QUANTIZE_TOP_CODE - 1;
  float below = ingot_quantize_code_value((int32_t)code);
  float above = ingot_quantize_code_value((int32_t)code + 1);
  float below_error = target - below, above_error = above - target;
  if (group->task->search) {
    float a, b;
    float signed_below = scale < 0 ? -below : below, signed_above = scale < 0 ? -above : above;
    correlate(group, below != 0 ? 1 / signed_below : 0, &a, &b);
    below_error = signed_below * (signed_below * b - 2 * a);
    correlate(group, 1 / signed_above, &a, &b);
    above_error = signed_above * (signed_above * b - 2 * a);
  }
  if (above_error < below_error) code += 1;
  return (uint8_t)(code | (scale < 0 && code != 0 ? 0x80 : 0));
}

/// Fills in the bits of the scale and the zero point; returns whether the scale is representable.
static int choose_scale(group_state *group, uint16_t *bits, float *value, int32_t *zero) {
  const ingot_quantize_task *task = group->task;
  float extreme = 0, low = 0, high = 0;
  for (int32_t i = 0; i < group->count; i++) {
    float w = group->weights[i];
    if (magnitude(w) > magnitude(extreme)) extreme = w;
    low = w < low ? w : low;
    high = w > high ? w : high;
  }
  *bits = 0;
  *value = 0;
  *zero = 0;
  if (!(magnitude(extreme) >= INGOT_QUANTIZE_TINY)) return 1;
  ingot_quantize_targets targets = ingot_quantize_make_targets(task);
  float scale, best = -1;
  float range = high - low;
  float plain = (task->kind == QUANTIZE_INT4Z ? range : extreme) / ingot_quantize_reach(task->kind);
  if (task->kind != QUANTIZE_CB4 && !(magnitude(plain) < 65520)) return 0;
  if (task->kind == QUANTIZE_INT4Z) {
    float center = (-low * 15 / range + INGOT_QUANTIZE_ROUNDER) - INGOT_QUANTIZE_ROUNDER;
    float first = task->search ? center - 1 : center, last = task->search ? center + 1 : center;
    float chosen = center;
    scale = plain;
    for (float z = first; z <= last && task->search; z += 1) {
      float point = z < 0 ? 0 : z > 15 ? 15 : z, before = best;
      group->low = -point, group->high = 15 - point;
      float found = search_scale(group, &targets, range, &best);
      if (best > before) scale = found, chosen = point;
    }
    *zero = (int32_t)chosen;
  } else {
    scale = task->search ? search_scale(group, &targets, extreme, &best) : plain;
  }
  if (task->kind == QUANTIZE_CB4) {
    *bits = scale_code(group, scale);
    *value = ingot_quantize_code_value(*bits & 0x7F);
    if (*bits & 0x80) *value = -*value;
    return 1;
  }
  if (!(magnitude(scale) < 65520)) return 0;
  *bits = to_half(scale);
  *value = from_half(*bits);
  if (*value == 0) *bits = 0, *zero = 0;
  if (task->kind == QUANTIZE_INT4Z) {
    group->low = (float)-*zero;
    group->high = (float)(15 - *zero);
  }
  return 1;
}

static void store_code(
    const ingot_quantize_task *task, uint8_t *tile, int32_t row, int64_t column, int32_t code) {
  int64_t in_atom = row * 4 + column % 4;
  if (task->kind == QUANTIZE_INT8) {
    tile[task->code_offset + column / 4 * 64 + in_atom] = (uint8_t)code;
    return;
  }
  int64_t group = column / task->group, atom = column % task->group / 4, blocks = task->group / 8;
  uint8_t *codes = tile + task->code_offset + in_atom
                   + ingot_quantize_code_bytes(task->kind, group * task->group);
  codes[atom % blocks * 64] |= (uint8_t)(atom < blocks ? code & 15 : code << 4);
  if (task->kind != QUANTIZE_INT6) return;
  int64_t quarter = blocks / 2;
  codes[(blocks + atom % quarter) * 64] |= (uint8_t)(code >> 4 << (2 * (atom / quarter)));
}

static void encode_group(
    group_state *group, uint8_t *tile, int32_t row, int64_t index, ingot_quantize_sums *sums,
    uint16_t bits, float value, int32_t zero) {
  const ingot_quantize_task *task = group->task;
  if (task->kind == QUANTIZE_CB4) {
    tile[index * 16 + row] = (uint8_t)bits;
  } else {
    memcpy(tile + (index * 16 + row) * 2, &bits, 2);
  }
  if (task->kind == QUANTIZE_INT4Z) tile[task->zero_offset + index * 16 + row] = (uint8_t)zero;
  float inverse = value != 0 ? 1 / value : 0;
  float error = 0, source = 0, dequantized = 0, product = 0;
  for (int32_t i = 0; i < group->count; i++) {
    float w = group->weights[i];
    float l = level(group, w * inverse);
    int32_t code = (int32_t)l;
    code += ingot_quantize_offset(task->kind);
    if (task->kind == QUANTIZE_INT4Z) code += zero;
    if (task->kind == QUANTIZE_CB4) code = level_index(task->codebook, w * inverse);
    store_code(task, tile, row, index * task->group + i, code);
    float v = value * l, difference = w - v;
    error = error + difference * difference;
    source = source + w * w;
    dequantized = dequantized + v * v;
    product = product + w * v;
    if (magnitude(difference) > sums->max_error[row]) sums->max_error[row] = magnitude(difference);
    if (w != sums->first[row]) sums->varies[row] = 1;
  }
  sums->error[row] += error;
  sums->source[row] += source;
  sums->dequantized[row] += dequantized;
  sums->product[row] += product;
  if (value == 0 && source != 0) sums->vanished[row] += 1;
}

static void quantize_tile(
    const ingot_quantize_task *task, const void *source, int32_t rows, uint8_t *tile,
    void *scratch, ingot_quantize_result *result) {
  memset(result, 0, sizeof *result);
  ingot_quantize_sums sums;
  memset(&sums, 0, sizeof sums);
  float *maxima = scratch;
  int64_t groups = task->columns / task->group;
  int64_t code_bytes = ingot_quantize_code_bytes(task->kind, task->columns);
  memset(tile, 0, (size_t)(task->code_offset + code_bytes));
  float inverse = 1 / task->tensor_scale;
  int64_t search_ticks = 0, encode_ticks = 0;
  for (int64_t g = 0; g < groups; g++) {
    int is_timed = g % INGOT_QUANTIZE_TIMED == 0;
    for (int32_t row = 0; row < INGOT_QUANTIZE_LANES; row++) {
      group_state group = {.count = task->group, .task = task};
      group.importance = task->importance ? task->importance + g * task->group : 0;
      group.low = ingot_quantize_low(task->kind);
      group.high = ingot_quantize_high(task->kind);
      float largest = 0;
      for (int32_t i = 0; i < task->group && row < rows; i++) {
        int64_t index = row * task->columns + g * task->group + i;
        float weight = load(source, task->element, index);
        if (!(magnitude(weight) < from_bits(0x7F800000))) {
          *result = (ingot_quantize_result){
              .fault = INGOT_QUANTIZE_NOT_FINITE, .fault_row = row, .fault_group = g};
          return;
        }
        group.weights[i] = weight * inverse;
        largest = magnitude(group.weights[i]) > largest ? magnitude(group.weights[i]) : largest;
        if (g == 0 && i == 0) sums.first[row] = group.weights[0];
      }
      maxima[g * 16 + row] = largest;
      uint16_t bits;
      float value;
      int32_t zero;
      int64_t start = is_timed ? ingot_quantize_clock() : 0;
      if (!choose_scale(&group, &bits, &value, &zero)) {
        *result = (ingot_quantize_result){
            .fault = INGOT_QUANTIZE_OVERFLOW, .fault_row = row, .fault_group = g};
        return;
      }
      int64_t chosen = is_timed ? ingot_quantize_clock() : 0;
      encode_group(&group, tile, row, g, &sums, bits, value, zero);
      if (is_timed) {
        search_ticks += chosen - start;
        encode_ticks += ingot_quantize_clock() - chosen;
      }
    }
  }
  ingot_quantize_finish(task, &sums, maxima, rows, result);
  result->search_ticks = search_ticks;
  result->encode_ticks = encode_ticks;
}

static float largest(const void *source, int32_t element, int64_t count) {
  uint32_t bits = 0;
  for (int64_t i = 0; i < count; i++) {
    // Magnitudes order as their bit patterns do, NaN above infinity.
    uint32_t next = to_bits(load(source, element, i)) & 0x7FFFFFFF;
    bits = next > bits ? next : bits;
  }
  return from_bits(bits);
}

const ingot_quantizer ingot_quantizer_scalar = {"scalar", quantize_tile, largest};
