// For AVX2 and more tokens than `ingot_direct_avx2.h` is for: a panel, which is a block of columns of a few tiles that
// stays in the first-level cache while every token meets it. Included below a target attribute.

enum {
  /// Tiles of a panel, which share the activations in the first-level cache.
  AVX2_PANEL = 4,
  /// Tokens whose sums a thread keeps.
  AVX2_TOKENS = 512
};

/// What a thread keeps in its scratch memory.
typedef struct avx2_memory {
  avx2_block blocks[AVX2_PANEL];
  /// `[tile][token][16 rows]`
  float sums[AVX2_PANEL][AVX2_TOKENS * INGOT_LANES];
} avx2_memory;
_Static_assert(sizeof(avx2_memory) <= INGOT_MULTIPLY_SCRATCH, "scratch memory is too small");

/// Part of a product.
typedef struct avx2_task {
  const ingot_tiled *w;
  const ingot_activations *x;
  avx2_memory *memory;
  /// Tiles [tile, tile + tiles) and tokens [first, end).
  int64_t tile;
  int64_t tiles;
  int64_t first;
  int64_t end;
} avx2_task;

/// The quad of tokens from `t` on.
INGOT_INLINE avx2_tokens ingot_tokens_avx2(
    const avx2_task *task, int64_t t, int64_t column, int64_t columns, int32_t kind,
    int64_t group) {
  const ingot_activations *const x = task->x;
  const int64_t padded = x->padded_tokens;
  const int32_t *const offsets = x->offsets[__builtin_ctz((unsigned)group) - 4];
  const int8_t *const codes = x->codes + t * x->token_stride + 4 * column;
  // The next quad's lie too far on for the processor to see them coming.
  for (int64_t i = 0; i < 4 * columns; i += 64)
    __builtin_prefetch(codes + AVX2_QUAD * x->token_stride + i, 0, 3);
  return (avx2_tokens){
      .a = codes,
      .offsets = ingot_is_unsigned_avx2(kind) ? offsets + column / group * padded + t : 0,
      .padded_tokens = padded,
      .scales = x->scales + column / INGOT_BLOCK * padded + t};
}

/// A panel × all tokens of the task.
INGOT_INLINE void ingot_panel_avx2(
    const avx2_task *task, int64_t column, int64_t columns, int32_t kind, avx2_form form,
    int64_t group) {
  avx2_memory *const memory = task->memory;
  for (int64_t i = 0; i < task->tiles; i++)
    ingot_place_block_avx2(
        task->w, ingot_tile(task->w, task->tile + i), column, columns, kind, form, group,
        &memory->blocks[i]);
  for (int64_t t = task->first; t < task->end; t += AVX2_QUAD) {
    const avx2_tokens quad = ingot_tokens_avx2(task, t, column, columns, kind, group);
    for (int64_t i = 0; i < task->tiles; i++) {
      float *const sums = memory->sums[i] + (t - task->first) * INGOT_LANES;
      if (task->end - t <= 2)
        ingot_block_avx2(&memory->blocks[i], &quad, columns, group, kind, form, sums, 2);
      else
        ingot_block_avx2(&memory->blocks[i], &quad, columns, group, kind, form, sums, AVX2_QUAD);
    }
  }
}

typedef void (*avx2_panel)(const avx2_task *task, int64_t column, int64_t columns);

// The compiler knows group sizes, which saves up to a twentieth.
#define INGOT_PANEL_AVX2(name, kind, form, group)                                             \
  static void ingot_panel_##name##_avx2(                                                      \
      const avx2_task *task, int64_t column, int64_t columns) {                               \
    ingot_panel_avx2(task, column, columns, kind, form, group);                               \
  }
#define INGOT_PANELS_AVX2(name, kind, form)                                                   \
  INGOT_PANEL_AVX2(name##_32, kind, form, 32)                                                 \
  INGOT_PANEL_AVX2(name##_64, kind, form, 64)                                                 \
  INGOT_PANEL_AVX2(name##_128, kind, form, 128)                                               \
  static const avx2_panel ingot_panels_##name[] = {                                           \
      ingot_panel_##name##_32_avx2, ingot_panel_##name##_64_avx2,                             \
      ingot_panel_##name##_128_avx2};

INGOT_PANELS_AVX2(int8, INGOT_INT8, AVX2_SIGNED)
INGOT_PANELS_AVX2(int6, INGOT_INT6, AVX2_SIX_BITS)
INGOT_PANELS_AVX2(int4, INGOT_INT4, AVX2_NIBBLES)
INGOT_PANELS_AVX2(int4z, INGOT_INT4Z, AVX2_NIBBLES)
INGOT_PANELS_AVX2(cb4, INGOT_CB4, AVX2_SIGNED)
INGOT_PANEL_AVX2(exact, INGOT_CB4, AVX2_SIGNED, 16)

static avx2_panel ingot_choose_panel_avx2(const ingot_tiled *w) {
  const int size = __builtin_ctz((unsigned)w->group) - 5;
  switch (w->kind) {
    case INGOT_INT8: return ingot_panels_int8[size];
    case INGOT_INT6: return ingot_panels_int6[size];
    case INGOT_INT4: return ingot_panels_int4[size];
    case INGOT_INT4Z: return ingot_panels_int4z[size];
    default: return ingot_is_exact(w) ? ingot_panel_exact_avx2 : ingot_panels_cb4[size];
  }
}

/// A few tiles × a few hundred tokens.
static void ingot_multiply_panels_avx2(const avx2_task *task, avx2_panel panel, float *out) {
  const ingot_tiled *const w = task->w;
  const int64_t quads = (task->end - task->first + AVX2_QUAD - 1) / AVX2_QUAD;
  for (int64_t i = 0; i < task->tiles; i++)
    memset(task->memory->sums[i], 0, (size_t)(quads * AVX2_QUAD * INGOT_LANES) * sizeof(float));
  for (int64_t column = 0; column < w->columns; column += INGOT_BLOCK) {
    const int64_t rest = w->columns - column;
    panel(task, column, rest < INGOT_BLOCK ? rest : INGOT_BLOCK);
  }
  for (int64_t i = 0; i < task->tiles; i++)
    ingot_write_tile_avx2(w, task->tile + i, task->first, task->end, task->memory->sums[i], out);
}

static void ingot_multiply_many_avx2(
    const ingot_tiled *w, const ingot_activations *x, int64_t first, int64_t end, float *out,
    avx2_memory *memory) {
  const avx2_panel panel = ingot_choose_panel_avx2(w);
  for (int64_t from = 0; from < x->tokens; from += AVX2_TOKENS) {
    const int64_t last = from + AVX2_TOKENS < x->tokens ? from + AVX2_TOKENS : x->tokens;
    for (int64_t tile = first; tile < end; tile += AVX2_PANEL) {
      const avx2_task task = {
          .w = w,
          .x = x,
          .memory = memory,
          .tile = tile,
          .tiles = end - tile < AVX2_PANEL ? end - tile : AVX2_PANEL,
          .first = from,
          .end = last};
      ingot_multiply_panels_avx2(&task, panel, out);
    }
  }
}
