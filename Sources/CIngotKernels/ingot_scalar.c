// The definition: every quantized operation in plain C, and the table used where no instruction
// set is recognised. Written to be read; the other tables must equal it bit for bit.
#include "ingot_common.h"

#define INGOT_NAME(op) ingot_##op##_scalar
// Fused products are library calls without FMA instructions.
#define INGOT_MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
#define INGOT_ACCUMULATORS 1
#define INGOT_GEMM_VECTORS 1
#define INGOT_GEMM_TOKENS 4
#include "ingot_vector.h"

#include "ingot_elementwise.h"
#include "ingot_quantized_input.h"
#include "ingot_attention.h"
#include "ingot_dense.h"
#include "ingot_gemm.h"

/// The integer a weight's code stands for: q, q − z or level[i].
static int32_t ingot_weight(
    const ingot_tiled *w, const uint8_t *tile, int64_t row, int64_t column) {
  const int64_t in_atom = row * 4 + column % 4;
  if (w->kind == INGOT_INT8) {
    return (int8_t)tile[w->code_offset + column / 4 * 64 + in_atom];
  }
  const int64_t group = column / w->group, atom = column % w->group / 4, blocks = w->group / 8;
  const uint8_t *codes = tile + w->code_offset + ingot_code_bytes(w, group * w->group) + in_atom;
  const uint8_t byte = codes[atom % blocks * 64];
  const int32_t code = atom < blocks ? byte & 15 : byte >> 4;
  switch (w->kind) {
    case INGOT_INT4: return code - 8;
    case INGOT_INT6: {
      const int64_t quarter = blocks / 2;
      const int32_t high = codes[(blocks + atom % quarter) * 64] >> (2 * (atom / quarter)) & 3;
      return (high << 4 | code) - 32;
    }
    case INGOT_INT4Z: return code - tile[w->zero_offset + group * INGOT_LANES + row];
    default: return (int8_t)w->payload[code];
  }
}

/// The exact product of one group of weights and one token.
static int32_t ingot_group_dot(
    const ingot_tiled *w, const uint8_t *tile, int64_t row, const ingot_activations *x,
    int64_t token, int64_t column) {
  int32_t dot = 0;
  for (int64_t c = column; c < column + w->group; c++)
    dot += ingot_weight(w, tile, row, c) * x->codes[token * x->token_stride + c];
  return dot;
}

/// One output: groups inside activation blocks, as integers or by fused multiply-adds, and blocks in
/// order.
static float ingot_output(
    const ingot_tiled *w, const uint8_t *tile, int64_t row, const ingot_activations *x,
    int64_t token) {
  float out = 0;
  for (int64_t start = 0; start < w->columns; start += INGOT_BLOCK) {
    const int64_t end = start + INGOT_BLOCK < w->columns ? start + INGOT_BLOCK : w->columns;
    float sum = 0;
    int32_t exact = 0;
    for (int64_t column = start; column < end; column += w->group) {
      const int32_t dot = ingot_group_dot(w, tile, row, x, token, column);
      const int64_t index = column / w->group * INGOT_LANES + row;
      if (ingot_is_exact(w)) exact += ingot_s1e2m5_to_integer(tile[index]) * dot;
      else sum = __builtin_fmaf((float)dot, ingot_group_scale(w, tile, index), sum);
    }
    if (ingot_is_exact(w)) sum = (float)exact;
    out = __builtin_fmaf(sum, x->scales[start / INGOT_BLOCK * x->padded_tokens + token], out);
  }
  return out * ingot_row_factor(w);
}

static void ingot_multiply_tiled_scalar(
    const ingot_tiled *w, const ingot_activations *x, int64_t first, int64_t end, float *out,
    void *scratch) {
  (void)scratch;
  for (int64_t tile = first; tile < end; tile++)
    for (int64_t row = 0; row < INGOT_LANES && tile * INGOT_LANES + row < w->rows; row++)
      for (int64_t t = 0; t < x->tokens; t++)
        out[t * w->rows + tile * INGOT_LANES + row] =
            ingot_output(w, ingot_tile(w, tile), row, x, t);
}

static int32_t ingot_activation_order_scalar(int64_t tokens) {
  (void)tokens;
  return INGOT_BY_TOKEN;
}

/// The integers of one group of a row, as `ingot_weight` has them one by one.
static void ingot_group_weights(
    const ingot_tiled *w, const uint8_t *tile, int64_t row, int64_t group, int32_t *out) {
  if (w->kind == INGOT_INT8) {
    const uint8_t *atoms = tile + w->code_offset + group * w->group * INGOT_LANES + row * 4;
    for (int64_t i = 0; i < w->group; i++) out[i] = (int8_t)atoms[i / 4 * 64 + i % 4];
    return;
  }
  const int64_t half = w->group / 2, quarter = w->group / 4;
  const uint8_t *atoms =
      tile + w->code_offset + ingot_code_bytes(w, group * w->group) + row * 4;
  for (int64_t i = 0; i < half; i++) {
    const uint8_t byte = atoms[i / 4 * 64 + i % 4];
    out[i] = byte & 15;
    out[half + i] = byte >> 4;
  }
  if (w->kind == INGOT_INT6)
    for (int64_t i = 0; i < quarter; i++) {
      const uint8_t byte = atoms[half / 4 * 64 + i / 4 * 64 + i % 4];
      for (int64_t k = 0; k < 4; k++) out[k * quarter + i] |= (byte >> (2 * k) & 3) << 4;
    }
  const int32_t offset =
      w->kind == INGOT_INT4 ? 8
      : w->kind == INGOT_INT6 ? 32
      : w->kind == INGOT_INT4Z ? tile[w->zero_offset + group * INGOT_LANES + row]
                               : 0;
  for (int64_t i = 0; i < w->group; i++) out[i] -= offset;
  if (w->kind == INGOT_CB4)
    for (int64_t i = 0; i < w->group; i++) out[i] = (int8_t)w->payload[out[i]];
}

void ingot_dequantize_row(const ingot_tiled *w, int64_t row, float *out) {
  const uint8_t *tile = ingot_tile(w, row / INGOT_LANES);
  const float tensor_scale = ingot_tensor_scale(w);
  row %= INGOT_LANES;
  for (int64_t group = 0; group < w->columns / w->group; group++) {
    const float scale = ingot_group_scale(w, tile, group * INGOT_LANES + row);
    int32_t weights[INGOT_BLOCK];
    ingot_group_weights(w, tile, row, group, weights);
    for (int64_t i = 0; i < w->group; i++)
      out[group * w->group + i] = (float)weights[i] * scale * tensor_scale;
  }
}

void ingot_dense_to_f32(const void *weights, int32_t type, int64_t count, float *out) {
  const uint8_t *bytes = weights;
  if (type == INGOT_F32) {
    memcpy(out, bytes, (size_t)count * 4);
    return;
  }
  for (int64_t i = 0; i < count; i++) {
    uint16_t half;
    memcpy(&half, bytes + 2 * i, 2);
    out[i] = type == INGOT_F16 ? ingot_half_to_f32(half) : ingot_brain_to_f32(half);
  }
}

int64_t ingot_attention_scratch(int64_t entries, int64_t dimension) {
  // Two ranges of whole tiles, for each query, and the turned queries.
  return INGOT_ATTENTION_QUERIES * (entries + 48 + dimension) * 4;
}

uint64_t ingot_read_memory(const void *memory, int64_t bytes) {
  const uint8_t *p = memory;
  uint64_t sum[8] = {0};
  for (int64_t i = 0; i < bytes; i += 64) {
    // What gives most where nothing is done with the numbers.
    if (ingot_fetches_pages) ingot_fetch_ahead(p + i, 64);
    else __builtin_prefetch(p + i + INGOT_PAGE, 0, 2);
    for (int k = 0; k < 8; k++) {
      uint64_t word;
      memcpy(&word, p + i + 8 * k, 8);
      sum[k] += word;
    }
  }
  return sum[0] + sum[1] + sum[2] + sum[3] + sum[4] + sum[5] + sum[6] + sum[7];
}

static int64_t ingot_int8_dot_rate_scalar(int64_t iterations) {
  volatile int32_t left = 3, right = 5, result;
  int32_t sum[8] = {0};
  for (int64_t i = 0; i < iterations; i++)
    for (int k = 0; k < 8; k++) sum[k] += (int8_t)left * (int8_t)right;
  result = sum[0] + sum[1] + sum[2] + sum[3] + sum[4] + sum[5] + sum[6] + sum[7];
  (void)result;
  return iterations * 8;
}

static int64_t ingot_f32_fma_rate_scalar(int64_t iterations) {
  volatile float factor = 0.999f;
  const f32x16 f = ingot_splat(factor);
  f32x16 a = f, b = f, c = f;
  for (int64_t i = 0; i < iterations; i++) {
    a = a * f + f;
    b = b * f + f;
    c = c * f + f;
  }
  volatile float result = ingot_sum16(a + b + c);
  (void)result;
  return iterations * 48;
}

const ingot_kernels ingot_kernels_scalar = {
    .name = "scalar",
    .activation_order = ingot_activation_order_scalar,
    .quantize = ingot_quantize_f32_s8_scalar,
    .multiply_tiled = ingot_multiply_tiled_scalar,
    .shared_tokens = 1,
    .packed_tokens = 32,
    .packed_tokens_f32 = 64,
    .unzip = ingot_unzip_f32_scalar,
    .multiply_dense = ingot_multiply_dense_dots_scalar,
    .pack = ingot_pack_f32_scalar,
    .multiply_dense_packed = ingot_multiply_dense_packed_scalar,
    .multiply_dequantized = ingot_multiply_dequantized_scalar,
    .rms_norm = ingot_rms_norm_f32_scalar,
    .head_norm_rope = ingot_head_norm_rope_f32_scalar,
    .swiglu = ingot_swiglu_f32_scalar,
    .add = ingot_add_f32_scalar,
    .softmax_summary = ingot_softmax_summary_f32_scalar,
    .cache_store = ingot_cache_store_f32_scalar,
    .attend = ingot_attend_scalar,
    .int8_dot_rate = ingot_int8_dot_rate_scalar,
    .f32_fma_rate = ingot_f32_fma_rate_scalar,
};
