// The key/value cache and attention over it, compiled once per instruction set.
//
// The definition, per query and key/value head:
//   score[j] = Σ_d (q[d]·scale) · key[j][d]     one chain of FMAs over d, then · key scale (int8)
//   p[j]     = exp(score[j] − max)              0 where the query does not see entry j, and below e⁻⁸⁷
//   out[d]   = (Σ_j (p[j]·value scale) · value[j][d]) / Σ_j p[j]    one chain of FMAs over j
// The sum of p runs in 16 lanes (entry j in lane j % 16). An entry that a query does not see adds
// exactly zero, so grouping queries changes nothing.
//
// The including file defines INGOT_ACCUMULATORS: how many f32x16 sums fit in its registers.

// MARK: cache

INGOT_INLINE float INGOT_NAME(store_scale)(const float *x, int64_t count) {
  float maximum = 0;
  for (int64_t i = 0; i < count; i++) {
    const float magnitude = __builtin_fabsf(x[i]);
    maximum = magnitude > maximum ? magnitude : maximum;
  }
  return maximum;
}

/// One vector of a cache entry, its elements `stride` elements apart.
static void INGOT_NAME(store_entry)(
    const float *x, int64_t count, int32_t format, void *base, int64_t offset, int64_t stride,
    float *scale) {
  if (format == INGOT_CACHE_F32) {
    float *out = (float *)base + offset;
    for (int64_t i = 0; i < count; i++) out[i * stride] = x[i];
  } else if (format == INGOT_CACHE_F16) {
    uint16_t *out = (uint16_t *)base + offset;
    for (int64_t i = 0; i < count; i++) out[i * stride] = ingot_f32_to_half(x[i]);
  } else {
    int8_t *out = (int8_t *)base + offset;
    const float maximum = INGOT_NAME(store_scale)(x, count);
    const float factor = maximum > 0 ? 127.0f / maximum : 0;
    *scale = maximum / 127.0f;
    for (int64_t i = 0; i < count; i++) {
      float v = x[i] * factor;
      v = v > 127.0f ? 127.0f : v < -127.0f ? -127.0f : v;
      out[i * stride] = (int8_t)(uint8_t)(ingot_bits(v + 12582912.0f) & 0xFF);
    }
  }
}

static void INGOT_NAME(cache_store_f32)(
    const ingot_cache *cache, int64_t head, int64_t index, const float *key, const float *value) {
  const int64_t d = cache->dimension, entry = head * cache->capacity + index;
  const int is_s8 = cache->format == INGOT_CACHE_INT8;
  if (key)
    INGOT_NAME(store_entry)(
        key, d, cache->format, cache->keys, (entry - index % 16) * d + index % 16, 16,
        is_s8 ? cache->key_scales + entry : 0);
  if (value)
    INGOT_NAME(store_entry)(
        value, d, cache->format, cache->values, entry * cache->value_stride, 1,
        is_s8 ? cache->value_scales + entry : 0);
}

/// Asks for the line some way ahead, in two steps where `ingot_fetch_ahead` takes two: the hardware's own
/// prefetch stops at page boundaries.
INGOT_INLINE void INGOT_NAME(cache_prefetch)(const void *base, int64_t index, int32_t format) {
  const int64_t size = format == INGOT_CACHE_F32 ? 4 : format == INGOT_CACHE_F16 ? 2 : 1;
  const char *const at = (const char *)base + index * size;
  if (!ingot_fetches_pages) __builtin_prefetch(at + INGOT_FAR, 0, 2);
  __builtin_prefetch(at + INGOT_NEAR);
}

INGOT_INLINE f32x16 INGOT_NAME(cache_load)(const void *base, int64_t index, int32_t format) {
  if (format == INGOT_CACHE_F32) return ingot_load((const float *)base + index);
  if (format == INGOT_CACHE_F16) return INGOT_LOAD_HALF((const uint16_t *)base + index);
  return ingot_load_s8((const int8_t *)base + index);
}

// MARK: which entries

/// Entries that at least one token of a group sees: whole tiles to score, and exact ranges to sum.
typedef struct INGOT_NAME(view) {
  int64_t prefix_tiles;
  int64_t own_first_tile;
  int64_t tiles;
  /// Tiles that every token sees whole.
  int64_t open_tiles;
  /// Ranges of entries; `shift` maps an entry to its place among the scores.
  int64_t first[3], end[3], shift[3];
} INGOT_NAME(view);

static INGOT_NAME(view) INGOT_NAME(make_view)(
    const ingot_span *spans, int64_t first, int64_t end) {
  int64_t prefix = 0, open = INT64_MAX, low = INT64_MAX, high = 0;
  for (int64_t t = first; t < end; t++) {
    if (spans[t].prefix_end < open) open = spans[t].prefix_end;
    if (spans[t].prefix_end > prefix) prefix = spans[t].prefix_end;
    if (spans[t].end <= spans[t].start) continue;
    if (spans[t].start < low) low = spans[t].start;
    if (spans[t].end > high) high = spans[t].end;
  }
  if (low < prefix) low = prefix;
  if (high < low) low = high = prefix;
  INGOT_NAME(view) v;
  v.prefix_tiles = (prefix + 15) / 16;
  v.open_tiles = open > 0 ? open / 16 : 0;
  v.own_first_tile = low / 16 > v.prefix_tiles ? low / 16 : v.prefix_tiles;
  const int64_t own_end = (high + 15) / 16;
  v.tiles = v.prefix_tiles + (own_end > v.own_first_tile ? own_end - v.own_first_tile : 0);
  const int64_t seam = v.prefix_tiles * 16, shift = v.own_first_tile * 16 - seam;
  v.first[0] = 0, v.end[0] = prefix, v.shift[0] = 0;
  v.first[1] = low, v.end[1] = high < seam ? high : seam, v.shift[1] = 0;
  v.first[2] = low > seam ? low : seam, v.end[2] = high, v.shift[2] = shift;
  return v;
}

// MARK: scores

/// Scores of `queries` queries with `tiles` tiles of 16 keys that begin at entries `base`; `q` is
/// [dimension][queries].
INGOT_INLINE void INGOT_NAME(score_tiles)(
    const ingot_cache *cache, const float *q, const int64_t *base, int tiles, int queries,
    int32_t format, f32x16 *out) {
  const int64_t d = cache->dimension;
  f32x16 sum[16];
  INGOT_UNROLL
  for (int i = 0; i < tiles * queries; i++) sum[i] = ingot_splat(0);
  for (int64_t i = 0; i < d; i++) {
    f32x16 key[4];
    INGOT_UNROLL
    for (int t = 0; t < tiles; t++)
      key[t] = INGOT_NAME(cache_load)(cache->keys, base[t] * d + 16 * i, format);
    INGOT_UNROLL
    for (int t = 0; t < tiles; t++)
      INGOT_NAME(cache_prefetch)(cache->keys, (base[t] + 16 * tiles) * d + 16 * i, format);
    INGOT_UNROLL
    for (int k = 0; k < queries; k++) {
      const f32x16 v = ingot_splat(q[i * queries + k]);
      INGOT_UNROLL
      for (int t = 0; t < tiles; t++)
        sum[k * tiles + t] = ingot_fma16(v, key[t], sum[k * tiles + t]);
    }
  }
  INGOT_UNROLL
  for (int t = 0; t < tiles; t++)
    INGOT_UNROLL
    for (int k = 0; k < queries; k++)
      out[k * tiles + t] =
          format == INGOT_CACHE_INT8
              ? sum[k * tiles + t] * ingot_load(cache->key_scales + base[t])
              : sum[k * tiles + t];
}

/// The score where the token sees the entry, −∞ elsewhere.
INGOT_INLINE f32x16 INGOT_NAME(visible)(f32x16 score, int64_t tile, ingot_span span) {
  const s32x16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const s32x16 entry = lane + ingot_splat_s32((int32_t)(tile * 16));
  const s32x16 is_own =
      (entry >= ingot_splat_s32(span.start)) & (entry < ingot_splat_s32(span.end))
      & ((entry < ingot_splat_s32(span.hole_start)) | (entry >= ingot_splat_s32(span.hole_end)));
  const s32x16 mask = (entry < ingot_splat_s32(span.prefix_end)) | is_own;
  return ingot_select(mask, score, ingot_splat(-__builtin_inff()));
}

/// Scores of tiles [first, end), counted through the prefix and what follows it, and their maxima.
INGOT_INLINE void INGOT_NAME(score_range)(
    const ingot_cache *cache, int64_t head, const float *q, const ingot_span *const *spans,
    const INGOT_NAME(view) *v, int64_t first, int64_t end, float *scores, int64_t stride,
    f32x16 *maxima, int tiles, int queries, int32_t format) {
  f32x16 s[16];
  for (int64_t i = first; i + tiles <= end; i += tiles) {
    int64_t tile[4], base[4];
    INGOT_UNROLL
    for (int t = 0; t < tiles; t++) {
      tile[t] = i + t + (i + t < v->prefix_tiles ? 0 : v->own_first_tile - v->prefix_tiles);
      base[t] = head * cache->capacity + tile[t] * 16;
    }
    INGOT_NAME(score_tiles)(cache, q, base, tiles, queries, format, s);
    if (i + tiles > v->open_tiles)
      INGOT_UNROLL
      for (int k = 0; k < queries; k++)
        INGOT_UNROLL
        for (int t = 0; t < tiles; t++)
          s[k * tiles + t] = INGOT_NAME(visible)(s[k * tiles + t], tile[t], *spans[k]);
    INGOT_UNROLL
    for (int k = 0; k < queries; k++)
      INGOT_UNROLL
      for (int t = 0; t < tiles; t++) {
        maxima[k] = ingot_max16(s[k * tiles + t], maxima[k]);
        ingot_store(scores + k * stride + (i + t) * 16, s[k * tiles + t]);
      }
  }
}

INGOT_INLINE void INGOT_NAME(score_all)(
    const ingot_cache *cache, int64_t head, const float *q, const ingot_span *const *spans,
    const INGOT_NAME(view) *v, float *scores, int64_t stride, f32x16 *maxima, int tiles,
    int queries, int32_t format) {
  const int64_t whole = v->tiles / tiles * tiles;
  INGOT_NAME(score_range)(
      cache, head, q, spans, v, 0, whole, scores, stride, maxima, tiles, queries, format);
  INGOT_NAME(score_range)(
      cache, head, q, spans, v, whole, v->tiles, scores, stride, maxima, 1, queries, format);
}

// MARK: softmax and values

/// Turns scores into exp(score − max) in place and returns 1 / Σ, or 0 when nothing is visible.
INGOT_INLINE float INGOT_NAME(soften)(float *scores, int64_t tiles, f32x16 maxima) {
  float maximum = ingot_maximum16(maxima);
  if (maximum == -__builtin_inff()) maximum = 0;
  const f32x16 shift = ingot_splat(maximum);
  f32x16 sum = ingot_splat(0);
  for (int64_t i = 0; i < tiles * 16; i += 16) {
    const f32x16 p = ingot_exp16_negative(ingot_load(scores + i) - shift);
    ingot_store(scores + i, p);
    sum += p;
  }
  const float total = ingot_sum16(sum);
  return total > 0 ? 1.0f / total : 0;
}

INGOT_INLINE void INGOT_NAME(weigh_values)(
    const ingot_cache *cache, int64_t head, const INGOT_NAME(view) *v, const float *p,
    int64_t stride, int64_t column, f32x16 *out, int vectors, int queries, int32_t format) {
  f32x16 sum[16];
  INGOT_UNROLL
  for (int i = 0; i < vectors * queries; i++) sum[i] = ingot_splat(0);
  for (int part = 0; part < 3; part++) {
    const float *weight = p - v->shift[part];
    for (int64_t j = v->first[part]; j < v->end[part]; j++) {
      const int64_t entry = head * cache->capacity + j;
      f32x16 weights[INGOT_ATTENTION_QUERIES];
      INGOT_UNROLL
      for (int k = 0; k < queries; k++)
        weights[k] = ingot_splat(
            format == INGOT_CACHE_INT8 ? weight[k * stride + j] * cache->value_scales[entry]
                                       : weight[k * stride + j]);
      INGOT_UNROLL
      for (int i = 0; i < vectors; i++) {
        const int64_t at = entry * cache->value_stride + column + 16 * i;
        const f32x16 value = INGOT_NAME(cache_load)(cache->values, at, format);
        INGOT_NAME(cache_prefetch)(cache->values, at, format);
        INGOT_UNROLL
        for (int k = 0; k < queries; k++)
          sum[k * vectors + i] = ingot_fma16(weights[k], value, sum[k * vectors + i]);
      }
    }
  }
  INGOT_UNROLL
  for (int i = 0; i < vectors * queries; i++) out[i] = sum[i];
}

INGOT_INLINE void INGOT_NAME(sum_values_of)(
    const ingot_cache *cache, int64_t head, const INGOT_NAME(view) *v, const float *p,
    int64_t stride, const float *inverse, float *const *out, int queries, int32_t format) {
  const int64_t d = cache->dimension;
  f32x16 sum[16];
  int64_t column = 0;
  while (column < d) {
    const int wide = INGOT_ACCUMULATORS / queries;
    int vectors = 1;
    if (wide >= 4 && d - column >= 64) {
      vectors = 4;
      INGOT_NAME(weigh_values)(cache, head, v, p, stride, column, sum, 4, queries, format);
    } else if (wide >= 2 && d - column >= 32) {
      vectors = 2;
      INGOT_NAME(weigh_values)(cache, head, v, p, stride, column, sum, 2, queries, format);
    } else {
      INGOT_NAME(weigh_values)(cache, head, v, p, stride, column, sum, 1, queries, format);
    }
    INGOT_UNROLL
    for (int k = 0; k < queries; k++)
      INGOT_UNROLL
      for (int i = 0; i < vectors; i++) {
        const int64_t at = column + 16 * i, left = d - at;
        const f32x16 r = sum[k * vectors + i] * ingot_splat(inverse[k]);
        if (left >= 16) ingot_store(out[k] + at, r);
        else ingot_store_part(out[k] + at, r, left);
      }
    column += 16 * vectors;
  }
}

// A function of its own for each format: what scoring needs would take registers from the sums.
#define INGOT_SUM_VALUES(name, format)                                                           \
  static __attribute__((noinline)) void INGOT_NAME(name)(                                        \
      const ingot_cache *cache, int64_t head, const INGOT_NAME(view) *v, const float *p,         \
      int64_t stride, const float *inverse, float *const *out, int queries) {                    \
    if (INGOT_ACCUMULATORS >= 8 && queries == 8)                                                 \
      INGOT_NAME(sum_values_of)(cache, head, v, p, stride, inverse, out, 8, format);             \
    else if (INGOT_ACCUMULATORS >= 4 && queries == 4)                                            \
      INGOT_NAME(sum_values_of)(cache, head, v, p, stride, inverse, out, 4, format);             \
    else if (INGOT_ACCUMULATORS >= 2 && queries == 2)                                            \
      INGOT_NAME(sum_values_of)(cache, head, v, p, stride, inverse, out, 2, format);             \
    else INGOT_NAME(sum_values_of)(cache, head, v, p, stride, inverse, out, 1, format);          \
  }
INGOT_SUM_VALUES(sum_values_f32, INGOT_CACHE_F32)
INGOT_SUM_VALUES(sum_values_f16, INGOT_CACHE_F16)
INGOT_SUM_VALUES(sum_values_s8, INGOT_CACHE_INT8)
#undef INGOT_SUM_VALUES

INGOT_INLINE void INGOT_NAME(sum_values)(
    const ingot_cache *cache, int64_t head, const INGOT_NAME(view) *v, const float *p,
    int64_t stride, const float *inverse, float *const *out, int queries, int32_t format) {
  if (format == INGOT_CACHE_F32)
    INGOT_NAME(sum_values_f32)(cache, head, v, p, stride, inverse, out, queries);
  else if (format == INGOT_CACHE_F16)
    INGOT_NAME(sum_values_f16)(cache, head, v, p, stride, inverse, out, queries);
  else INGOT_NAME(sum_values_s8)(cache, head, v, p, stride, inverse, out, queries);
}

// MARK: one group of queries

INGOT_INLINE void INGOT_NAME(attend_queries)(
    const ingot_attention *task, int64_t head, const float *const *q, float *const *out,
    const ingot_span *const *spans, const INGOT_NAME(view) *view, float *scratch, int queries,
    int32_t format) {
  const int64_t d = task->cache.dimension, stride = view->tiles * 16;
  float *turned = scratch, *scores = scratch + INGOT_ATTENTION_QUERIES * d;
  for (int64_t i = 0; i < d; i++)
    INGOT_UNROLL
    for (int k = 0; k < queries; k++) turned[i * queries + k] = q[k][i] * task->scale;
  f32x16 maxima[INGOT_ATTENTION_QUERIES];
  float inverse[INGOT_ATTENTION_QUERIES];
  INGOT_UNROLL
  for (int k = 0; k < queries; k++) maxima[k] = ingot_splat(-__builtin_inff());
  const int fit = INGOT_ACCUMULATORS / queries;
  if (fit >= 4)
    INGOT_NAME(score_all)(
        &task->cache, head, turned, spans, view, scores, stride, maxima, 4, queries, format);
  else if (fit >= 2)
    INGOT_NAME(score_all)(
        &task->cache, head, turned, spans, view, scores, stride, maxima, 2, queries, format);
  else
    INGOT_NAME(score_all)(
        &task->cache, head, turned, spans, view, scores, stride, maxima, 1, queries, format);
  INGOT_UNROLL
  for (int k = 0; k < queries; k++)
    inverse[k] = INGOT_NAME(soften)(scores + k * stride, view->tiles, maxima[k]);
  INGOT_NAME(sum_values)(
      &task->cache, head, view, scores, stride, inverse, out, queries, format);
}

INGOT_INLINE void INGOT_NAME(attend_format)(
    const ingot_attention *task, int64_t head, int64_t first, int64_t end, float *scratch,
    int32_t format) {
  const int64_t group = task->query_heads / task->cache.heads, d = task->cache.dimension;
  const int64_t total = (end - first) * group;
  const INGOT_NAME(view) view = INGOT_NAME(make_view)(task->spans, first, end);
  const float *q[INGOT_ATTENTION_QUERIES];
  float *out[INGOT_ATTENTION_QUERIES];
  const ingot_span *spans[INGOT_ATTENTION_QUERIES];
  for (int64_t start = 0; start < total;) {
    const int64_t left = total - start;
    const int n = INGOT_ACCUMULATORS >= 8 && left >= 8   ? 8
                  : INGOT_ACCUMULATORS >= 4 && left >= 4 ? 4
                  : INGOT_ACCUMULATORS >= 2 && left >= 2 ? 2
                                                         : 1;
    for (int k = 0; k < n; k++) {
      const int64_t token = first + (start + k) / group;
      const int64_t query_head = head * group + (start + k) % group;
      const int64_t at = (token * task->query_heads + query_head) * d;
      q[k] = task->queries + at;
      out[k] = task->output + at;
      spans[k] = &task->spans[token];
    }
    // Only the counts that fit in registers are compiled.
    if (INGOT_ACCUMULATORS >= 8 && n == 8)
      INGOT_NAME(attend_queries)(task, head, q, out, spans, &view, scratch, 8, format);
    else if (INGOT_ACCUMULATORS >= 4 && n == 4)
      INGOT_NAME(attend_queries)(task, head, q, out, spans, &view, scratch, 4, format);
    else if (INGOT_ACCUMULATORS >= 2 && n == 2)
      INGOT_NAME(attend_queries)(task, head, q, out, spans, &view, scratch, 2, format);
    else
      INGOT_NAME(attend_queries)(task, head, q, out, spans, &view, scratch, 1, format);
    start += n;
  }
}

static void INGOT_NAME(attend_f32)(
    const ingot_attention *task, int64_t head, int64_t first, int64_t end, void *scratch) {
  INGOT_NAME(attend_format)(task, head, first, end, scratch, INGOT_CACHE_F32);
}

static void INGOT_NAME(attend_f16)(
    const ingot_attention *task, int64_t head, int64_t first, int64_t end, void *scratch) {
  INGOT_NAME(attend_format)(task, head, first, end, scratch, INGOT_CACHE_F16);
}

static void INGOT_NAME(attend_s8)(
    const ingot_attention *task, int64_t head, int64_t first, int64_t end, void *scratch) {
  INGOT_NAME(attend_format)(task, head, first, end, scratch, INGOT_CACHE_INT8);
}

static void INGOT_NAME(attend)(
    const ingot_attention *task, int64_t head, int64_t first, int64_t end, void *scratch) {
  switch (task->cache.format) {
    case INGOT_CACHE_F32: INGOT_NAME(attend_f32)(task, head, first, end, scratch); break;
    case INGOT_CACHE_F16: INGOT_NAME(attend_f16)(task, head, first, end, scratch); break;
    default: INGOT_NAME(attend_s8)(task, head, first, end, scratch);
  }
}
