// Prints one line per case with a hash of a kernel's output bits, so that two machines (or two
// instruction sets) can be compared with `cmp`. Usage: kernel_bits [TABLE [edges]]; without a table,
// the names of those that this machine can run, on x86 also as another maker's processor runs them
// (TABLE:other); `edges` adds shapes that take a while. Every block of memory is exactly as large as
// the kernels may use, so a sanitizer sees each byte beyond. Dense products, which may round as they
// like, say whether they are close to the exact ones.
#define _DEFAULT_SOURCE
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ingot_kernels.h"

static uint64_t state = 88172645463325252ull;

static uint64_t next_random(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

static float next_float(void) { return (float)((int32_t)(next_random() >> 40) - 8388608) / 2e6f; }

static float *floats(int64_t count) {
  float *x = malloc((size_t)count * sizeof *x);
  for (int64_t i = 0; i < count; i++) x[i] = next_float();
  return x;
}

static void *aligned(int64_t bytes) {
  void *p = 0;
  if (posix_memalign(&p, 64, (size_t)(bytes > 0 ? bytes : 1)) != 0) abort();
  memset(p, 0xA5, (size_t)bytes);
  return p;
}

static void report(const char *name, const void *bytes, int64_t count) {
  uint64_t hash = 14695981039346656037ull;
  for (int64_t i = 0; i < count; i++)
    hash = (hash ^ ((const uint8_t *)bytes)[i]) * 1099511628211ull;
  printf("%s %016llx\n", name, (unsigned long long)hash);
}

static int64_t padded(int64_t bytes) { return (bytes + 63) / 64 * 64; }

static ingot_tiled make_tiled(int32_t kind, int32_t group, int64_t rows, int64_t columns) {
  const int64_t groups = columns / group, tiles = (rows + 15) / 16;
  ingot_tiled w = {.kind = kind, .group = group, .rows = rows, .columns = columns};
  w.zero_offset = padded(groups * 16 * (kind == INGOT_CB4 ? 1 : 2));
  w.code_offset = w.zero_offset + padded(kind == INGOT_INT4Z ? groups * 16 : 0);
  const int64_t bits = kind == INGOT_INT8 ? 8 : kind == INGOT_INT6 ? 6 : 4;
  w.tile_bytes = w.code_offset + padded(columns * 16 * bits / 8);
  uint8_t *p = aligned(64 + tiles * w.tile_bytes);
  for (int64_t i = 0; i < 64 + tiles * w.tile_bytes; i++) p[i] = (uint8_t)(next_random() >> 33);
  const float tensor_scale = kind == INGOT_CB4 ? 0.37f : 1;
  memcpy(p + 16, &tensor_scale, 4);
  for (int64_t t = 0; t < tiles; t++) {
    uint8_t *tile = p + 64 + t * w.tile_bytes;
    for (int64_t i = 0; i < groups * 16; i++) {
      const uint16_t half = (uint16_t)(0x2000 | (next_random() >> 33 & 0x83FF));
      if (kind != INGOT_CB4) memcpy(tile + 2 * i, &half, 2);
      if (kind == INGOT_INT4Z) tile[w.zero_offset + i] &= 15;
    }
  }
  w.payload = p;
  return w;
}

static void check_product_of(
    const ingot_kernels *k, ingot_tiled w, float *x, int64_t tokens, const char *label) {
  const int64_t rows = w.rows, columns = w.columns;
  ingot_activations a = {
      .tokens = tokens,
      .columns = columns,
      .padded_tokens = (tokens + 15) / 16 * 16,
      .token_stride = padded(columns),
      .order = k->activation_order(tokens)};
  a.codes = aligned(a.padded_tokens * a.token_stride);
  a.scales = aligned((columns + 127) / 128 * a.padded_tokens * 4);
  for (int i = 0; i < 4; i++)
    if (16 << i == w.group)
      a.offsets[i] = aligned((columns + (16 << i) - 1) / (16 << i) * a.padded_tokens * 4);
  k->quantize(x, (ingot_region){0, a.padded_tokens, 0, columns}, &a);
  float *out = aligned(tokens * rows * 4);
  void *scratch = aligned(INGOT_MULTIPLY_SCRATCH);
  // In two parts, as two threads would.
  const int64_t tiles = (rows + 15) / 16, middle = tiles / 2 | 1;
  k->multiply_tiled(&w, &a, 0, middle < tiles ? middle : tiles, out, scratch);
  if (middle < tiles) k->multiply_tiled(&w, &a, middle, tiles, out, scratch);
  char name[96];
  snprintf(
      name, sizeof name, "%s kind %d group %d %lldx%lld tokens %lld", label, w.kind, w.group,
      (long long)rows, (long long)columns, (long long)tokens);
  report(name, out, tokens * rows * 4);
  free((void *)w.payload), free(x), free(a.codes), free(a.scales), free(out), free(scratch);
  for (int i = 0; i < 4; i++) free(a.offsets[i]);
}

static void check_product(
    const ingot_kernels *k, int32_t kind, int32_t group, int64_t rows, int64_t columns,
    int64_t tokens) {
  float *x = floats(tokens * columns);
  if (tokens > 1) memset(x, 0, (size_t)(columns < 128 ? columns : 128) * 4);
  check_product_of(k, make_tiled(kind, group, rows, columns), x, tokens, "product");
}

/// cb4 with every level the lowest, every scale the largest and every activation 127 or -127: what sums
/// of integers must hold.
static void check_largest_product(const ingot_kernels *k, int lowest, int64_t tokens) {
  const int64_t columns = 384, group = 16;
  const ingot_tiled w = make_tiled(INGOT_CB4, 16, 33, columns);
  uint8_t *bytes = (uint8_t *)w.payload;
  memset(bytes, lowest, 16);
  for (int64_t tile = 0; tile < 3; tile++)
    for (int64_t i = 0; i < columns / group * 16; i++)
      bytes[64 + tile * w.tile_bytes + i] = i % 3 ? 0x7F : 0xFF;
  float *x = floats(tokens * columns);
  for (int64_t i = 0; i < tokens * columns; i++) x[i] = i / columns % 2 ? -3 : 3;
  check_product_of(k, w, x, tokens, "largest product");
}

// MARK: dense products, whose rounding is free

/// Memory that ends where a page begins that may not be read, and may be moved to where one ends: no sanitizer
/// sees the loads of a matrix unit.
typedef struct guarded {
  uint8_t *bytes;
  uint8_t *front;
  void *pages;
  size_t size;
} guarded;

static guarded guard(int64_t count) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  const size_t live = ((size_t)count + page - 1) / page * page;
  guarded g = {.size = page + live + page};
  g.pages = mmap(0, g.size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (g.pages == MAP_FAILED) abort();
  g.front = (uint8_t *)g.pages + page;
  if (mprotect(g.front, live, PROT_READ | PROT_WRITE) != 0) abort();
  g.bytes = g.front + live - count;
  return g;
}

static void release(guarded g) { munmap(g.pages, g.size); }

/// A number near 1 of either sign, stored as `type` at `index`, and its value.
static double store_weight(uint8_t *bytes, int32_t type, int64_t index) {
  const uint32_t sign = (uint32_t)(next_random() >> 63), fraction = (uint32_t)(next_random() >> 57);
  const double value = (sign ? -1 : 1) * (1 + fraction / 128.0);
  const uint32_t f32 = sign << 31 | 0x3F800000u | fraction << 16;
  const uint16_t f16 = (uint16_t)(sign << 15 | 0x3C00u | fraction << 3), bf16 = (uint16_t)(f32 >> 16);
  if (type == INGOT_F32) memcpy(bytes + 4 * index, &f32, 4);
  else memcpy(bytes + 2 * index, type == INGOT_F16 ? &f16 : &bf16, 2);
  return value;
}

static int is_close(
    const float *found, const double *weights, const float *x, int64_t rows, int64_t columns,
    int64_t tokens) {
  for (int64_t t = 0; t < tokens; t++)
    for (int64_t r = 0; r < rows; r++) {
      double sum = 0, size = 0;
      for (int64_t c = 0; c < columns; c++) {
        const double term = weights[r * columns + c] * (double)x[t * columns + c];
        sum += term, size += fabs(term);
      }
      // Written so that NaN fails.
      if (!(fabs((double)found[t * rows + r] - sum) <= (double)columns * 0x1p-23 * size)) return 0;
    }
  return 1;
}

static void check_dense(
    const ingot_kernels *k, int32_t type, int64_t rows, int64_t columns, int64_t tokens) {
  const int64_t wide = (tokens + 15) / 16 * 16, middle = rows / 2 / 32 * 32;
  const int64_t weight_bytes = rows * columns * (type == INGOT_F32 ? 4 : 2);
  const guarded w = guard(weight_bytes);
  const guarded x = guard(tokens * columns * 4), out = guard(tokens * rows * 4);
  double *weights = malloc((size_t)(rows * columns) * sizeof *weights);
  for (int64_t i = 0; i < rows * columns; i++) weights[i] = store_weight(w.bytes, type, i);
  float *in = (float *)x.bytes, *found = (float *)out.bytes;
  for (int64_t i = 0; i < tokens * columns; i++) in[i] = next_float();
  void *scratch = aligned(INGOT_MULTIPLY_SCRATCH);
  float *packed = aligned(wide * columns * 4);
  const int64_t whole = (columns + 31) / 32 * 32;
  uint16_t *parts = aligned(wide * whole * 6);
  const guarded unzipped = guard(tokens * whole * 4);
  const ingot_region all = {0, wide, 0, columns};
  k->pack(in, all, tokens, columns, packed);
  k->unzip(in, all, tokens, columns, (float *)unzipped.bytes);
  if (k->split_bf16) k->split_bf16(in, all, tokens, columns, parts);
  const float *met = type == INGOT_BF16 ? (const float *)unzipped.bytes : in;
  int close = 1;
  for (int way = 0; way < 4; way++) {
    if (way == 2 && (type != INGOT_BF16 || !k->multiply_bf16)) continue;
    if (way == 3) memmove(w.front, w.bytes, (size_t)weight_bytes);
    memset(found, 0xA5, (size_t)(tokens * rows) * 4);
    // In two parts, as two threads would.
    for (int part = 0; part < 2; part++) {
      const int64_t first = part ? middle : 0, end = part ? rows : middle;
      if (way == 0)
        k->multiply_dense(w.bytes, type, rows, columns, first, end, met, tokens, found);
      else if (way == 1)
        k->multiply_dense_packed(
            w.bytes, type, rows, columns, first, end, packed, tokens, found, scratch);
      else if (way == 2)
        k->multiply_bf16(w.bytes, rows, columns, first, end, parts, tokens, found, scratch);
      else k->multiply_dense(w.front, type, rows, columns, first, end, met, tokens, found);
    }
    close = close && is_close(found, weights, in, rows, columns, tokens);
  }
  printf(
      "dense type %d %lldx%lld tokens %lld %s\n", type, (long long)rows, (long long)columns,
      (long long)tokens, close ? "close" : "WRONG");
  release(w), release(x), release(out), release(unzipped);
  free(weights), free(scratch), free(packed), free(parts);
}

/// Quantized weights with f32 activations.
static void check_dequantized(
    const ingot_kernels *k, int32_t kind, int32_t group, int64_t rows, int64_t columns,
    int64_t tokens) {
  const ingot_tiled w = make_tiled(kind, group, rows, columns);
  double *weights = malloc((size_t)(rows * columns) * sizeof *weights);
  float *row = aligned(columns * 4);
  for (int64_t r = 0; r < rows; r++) {
    ingot_dequantize_row(&w, r, row);
    for (int64_t c = 0; c < columns; c++) weights[r * columns + c] = row[c];
  }
  const int64_t wide = (tokens + 15) / 16 * 16;
  float *x = floats(tokens * columns), *packed = aligned(wide * columns * 4);
  k->pack(x, (ingot_region){0, wide, 0, columns}, tokens, columns, packed);
  float *out = aligned(tokens * rows * 4);
  void *scratch = aligned(INGOT_MULTIPLY_SCRATCH);
  k->multiply_dequantized(&w, 0, (rows + 15) / 16, packed, tokens, out, scratch);
  printf(
      "dequantized kind %d group %d %lldx%lld tokens %lld %s\n", kind, group, (long long)rows,
      (long long)columns, (long long)tokens,
      is_close(out, weights, x, rows, columns, tokens) ? "close" : "WRONG");
  free((void *)w.payload), free(weights), free(row), free(x), free(packed), free(out), free(scratch);
}

static void check_attention(
    const ingot_kernels *k, int32_t format, int64_t heads, int64_t shared, int64_t d,
    int64_t tokens) {
  const int64_t capacity = 64, stride = (d + 15) / 16 * 16;
  ingot_cache cache = {
      .keys = aligned(shared * capacity * d * 4),
      .values = aligned(shared * capacity * stride * 4),
      .key_scales = aligned(shared * capacity * 4),
      .value_scales = aligned(shared * capacity * 4),
      .capacity = capacity,
      .heads = shared,
      .dimension = d,
      .value_stride = stride,
      .format = format};
  for (int64_t i = 0; i < 50; i++) {
    float *key = floats(shared * d), *value = floats(shared * d);
    for (int64_t h = 0; h < shared; h++) k->cache_store(&cache, h, i, key + h * d, value + h * d);
    free(key), free(value);
  }
  float *queries = floats(tokens * heads * d), *out = aligned(tokens * heads * d * 4);
  ingot_span *spans = malloc((size_t)tokens * sizeof *spans);
  for (int64_t t = 0; t < tokens; t++)
    spans[t] = (ingot_span){
        .prefix_end = (int32_t)(t % 3 == 0 ? t : 7),
        .start = (int32_t)(20 + t),
        .end = (int32_t)(31 + t),
        .hole_start = (int32_t)(22 + t),
        .hole_end = (int32_t)(22 + 2 * t)};
  const ingot_attention task = {
      .cache = cache, .queries = queries, .output = out, .spans = spans, .query_heads = heads,
      .scale = 0.125f};
  void *scratch = aligned(ingot_attention_scratch(capacity, d));
  for (int64_t h = 0; h < shared; h++) k->attend(&task, h, 0, tokens, scratch);
  char name[96];
  snprintf(
      name, sizeof name, "attention format %d heads %lld/%lld dimension %lld tokens %lld", format,
      (long long)heads, (long long)shared, (long long)d, (long long)tokens);
  report(name, out, tokens * heads * d * 4);
  free(cache.keys), free(cache.values), free(cache.key_scales), free(cache.value_scales);
  free(queries), free(out), free(spans), free(scratch);
}

static void check_elementwise(const ingot_kernels *k, int64_t n) {
  float *x = floats(n), *y = floats(n), *z = floats(n), *w = floats(n);
  char name[64];
  snprintf(name, sizeof name, "rms_norm %lld", (long long)n);
  k->rms_norm(x, w, 1e-6f, n, z);
  report(name, z, n * 4);
  snprintf(name, sizeof name, "swiglu %lld", (long long)n);
  for (int64_t i = 0; i < n; i++) x[i] *= 20;
  k->swiglu(x, y, n);
  report(name, x, n * 4);
  if (n % 2 == 0) {
    snprintf(name, sizeof name, "head_norm_rope %lld", (long long)n);
    k->head_norm_rope(y, w, 1e-6f, n, z, z + n / 2);
    report(name, y, n * 4);
  }
  snprintf(name, sizeof name, "softmax %lld", (long long)n);
  ingot_summary summary;
  memset(&summary, 0, sizeof summary);
  k->softmax_summary(w, n, &summary);
  report(name, &summary, sizeof summary);
  free(x), free(y), free(z), free(w);
}

#if defined(__x86_64__)
/// What tables know of the processor: how memory is read, and which of two ways products take.
extern int32_t ingot_fetches_pages, ingot_shares_ports, ingot_has_small_cache;

/// Whether the table of this name does something else on another maker's processor.
static int has_other(const char *name) { return !strcmp(name, "avx512vnni"); }

static void take_other(void) {
  ingot_fetches_pages = !ingot_fetches_pages;
  ingot_shares_ports = !ingot_shares_ports;
  ingot_has_small_cache = !ingot_has_small_cache;
}
#else
static int has_other(const char *name) {
  (void)name;
  return 0;
}
static void take_other(void) {}
#endif

/// The table with the first `length` characters of `name` as its name, or null.
static const ingot_kernels *find_table(const char *name, size_t length) {
  const ingot_kernels *k;
  for (int32_t i = 0; (k = ingot_kernels_available(i)); i++)
    if (strlen(k->name) == length && !strncmp(k->name, name, length)) return k;
  return 0;
}

static void list_tables(void) {
  const ingot_kernels *k;
  for (int32_t i = 0; (k = ingot_kernels_available(i)); i++) {
    puts(k->name);
    if (has_other(k->name)) printf("%s:other\n", k->name);
  }
}

int main(int count, char **arguments) {
  if (count < 2) {
    list_tables();
    return 0;
  }
  const char *const wanted = arguments[1];
  const ingot_kernels *const k = find_table(wanted, strcspn(wanted, ":"));
  if (!k) return 3;
  if (strchr(wanted, ':')) take_other();
  const int64_t tokens[] = {1, 2, 3, 5, 8, 13, 17, 33};
  for (int32_t kind = INGOT_INT8; kind <= INGOT_INT6; kind++)
    for (int32_t group = kind == INGOT_CB4 ? 16 : 32; group <= 128; group *= 2)
      for (int t = 0; t < 8; t++) {
        check_product(k, kind, group, 33, group, tokens[t]);
        check_product(k, kind, group, 19, 640, tokens[t]);
        if (group < 128) check_product(k, kind, group, 16, 192, tokens[t]);
      }
  for (int t = 0; t < 8; t++) {
    check_largest_product(k, -128, tokens[t]);
    // Kernels may negate levels, of which the first has no counterpart.
    check_largest_product(k, -127, tokens[t]);
  }
  // More tiles, columns and tokens than any kernel takes at once.
  for (int32_t kind = INGOT_INT8; kind <= INGOT_INT6; kind++)
    for (int32_t group = kind == INGOT_CB4 ? 16 : 32; group <= 128; group *= 2)
      check_product(k, kind, group, 288, 512 + group, 65);
  if (count > 2 && !strcmp(arguments[2], "edges"))
    for (int32_t kind = INGOT_INT8; kind <= INGOT_INT6; kind++)
      for (int32_t group = kind == INGOT_CB4 ? 16 : 32; group <= 128; group *= 2) {
        const int64_t edges[] = {0, 9, 12, 16, 31, 64, 65, 97};
        for (int t = 0; t < 8; t++) check_product(k, kind, group, 65, 3 * 128 + group, edges[t]);
        // The vocabulary of ReFusion, one group wide.
        check_product(k, kind, group, 151671, group, 1);
        check_product(k, kind, group, 151671, group, 33);
        check_product(k, kind, group, 1, group, 600);
        // Several panels of columns, codes unpacked for all tokens and not.
        check_product(k, kind, group, 33, 2 * 1024 + group, 33);
        check_product(k, kind, group, 33, 2 * 1024 + group, 97);
        check_dequantized(k, kind, group, 33, 1024 + group, 17);
        check_dequantized(k, kind, group, 33, 1024 + group, 100);
      }
  const int64_t few[] = {1, 2, 3, 4, 5, 6, 16, 17, 31, 32, 33, 70};
  for (int32_t type = INGOT_F32; type <= INGOT_BF16; type++)
    for (int t = 0; t < 12; t++) {
      check_dense(k, type, 1, 16, few[t]);
      check_dense(k, type, 33, 7, few[t]);
      check_dense(k, type, 83, 139, few[t]);
      check_dense(k, type, 128, 96, few[t]);
      check_dense(k, type, 48, 290, few[t]);
      check_dense(k, type, 21, 4100, few[t]);
    }
  const int64_t widths[] = {2, 16, 30, 128, 257, 3009};
  for (int i = 0; i < 6; i++) check_elementwise(k, widths[i]);
  for (int32_t format = INGOT_CACHE_F32; format <= INGOT_CACHE_INT8; format++)
    for (int64_t t = 1; t <= 9; t += 4) {
      check_attention(k, format, 4, 2, 64, t);
      check_attention(k, format, 6, 1, 40, t);
      check_attention(k, format, 1, 1, 128, t);
    }
  return 0;
}
