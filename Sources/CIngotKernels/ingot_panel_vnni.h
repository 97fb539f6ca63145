// For the VNNI kernel: part of two neighbouring weight tiles that stays in the first-level cache while
// every token meets it, what is fetched meanwhile, and where results go. Included below a target attribute.

enum {
  /// Columns of a panel at most, and bytes that the codes of two tiles take.
  PANEL_COLUMNS = 1024,
  PANEL_BYTES = 16384,
  /// From here on codes are unpacked once for all tokens. For fewer, the vector unit has time to do it beside
  /// the products, each time; less of it where there are zero points, and where unpacking takes the ports that
  /// multiply (`ingot_shares_ports`): there six bits are never worth it.
  UNPACK_TOKENS = 96,
  UNPACK_TOKENS_ZEROS = 48,
  UNPACK_TOKENS_SHARED = 24,
  /// A kind of codes: bytes less −128, so unsigned.
  UNPACKED = 0,
  /// Scales, zero points and codes of two tiles.
  FETCH_RUNS = 6,
  /// Lines that a small first-level cache fetches from memory in a go (measured on a Zen 4).
  NEAR_LINES = 8
};

typedef struct ingot_panel {
  /// As `kind` has them.
  const uint8_t *codes[2];
  const uint8_t *zeros[2];
  /// `[group][16 rows]`; integers in lanes of 32 bits where `is_exact` (`ingot_is_exact`).
  const float *scales[2];
  /// What nibbles stand for.
  __m512i levels;
  int64_t first_column;
  int64_t columns;
  int64_t group;
  /// How the codes lie: as in the file, or `UNPACKED`.
  int32_t kind;
  int32_t is_exact;
  /// Whether calls take up to `WIDE_TOKENS` tokens, for processors that start two products a cycle and take five
  /// cycles for each (`ingot_shares_ports`): more products at a time that do not wait for one another. On an
  /// Emerald Rapids 3 to 5 % more with 16 and 32 tokens, 0 to 2 % with 512; the loop alone keeps 80 % of the limit while
  /// a neighbour shares the core, and with it the scheduler, where six tokens keep 67 %.
  int32_t is_wide;
} ingot_panel;

/// The bytes of the next panel, fetched a few lines at a time while this one is multiplied, so that memory and
/// arithmetic overlap also when tokens are few.
typedef struct ingot_fetch {
  const uint8_t *at[FETCH_RUNS];
  const uint8_t *end[FETCH_RUNS];
  int run;
  /// Lines for every block of 128 columns that meets some tokens, or every group (`ingot_fetch_steps`).
  int64_t step;
  /// Whether they go into the second-level cache only: where a small first-level cache would wait for many at
  /// a time.
  int is_far;
} ingot_fetch;

/// Where two neighbouring tiles' rows go in the output matrix, and their factor.
typedef struct ingot_output {
  /// Of token 0; `rows` floats on lies the next token's.
  float *at[2];
  int64_t rows;
  __mmask16 live[2];
  float factor;
} ingot_output;

INGOT_INLINE void ingot_fetch_step(ingot_fetch *fetch) {
  int64_t lines = fetch->step;
  for (; fetch->run < FETCH_RUNS; fetch->run++) {
    const uint8_t *at = fetch->at[fetch->run], *end = fetch->end[fetch->run];
    for (; at < end && lines > 0; at += 64, lines--) {
      if (fetch->is_far) _mm_prefetch((const char *)at, _MM_HINT_T1);
      else _mm_prefetch((const char *)at, _MM_HINT_T0);
    }
    fetch->at[fetch->run] = at;
    if (lines == 0) return;
  }
}

/// Plans to fetch columns [first, end) of two tiles in `steps` steps.
static ingot_fetch ingot_plan_fetch(
    const ingot_tiled *w, const int64_t tiles[2], int64_t first, int64_t end, int64_t steps) {
  ingot_fetch fetch = {.run = 0};
  const int64_t scale_bytes = w->kind == INGOT_CB4 ? INGOT_LANES : 2 * INGOT_LANES;
  const int64_t zero_bytes = w->kind == INGOT_INT4Z ? INGOT_LANES : 0;
  const int64_t from = first / w->group, to = end / w->group;
  int64_t lines = 0;
  for (int i = 0; i < 2; i++) {
    const uint8_t *tile = ingot_tile(w, tiles[i]);
    const uint8_t *zeros = tile + w->zero_offset, *codes = tile + w->code_offset;
    fetch.at[i] = tile + from * scale_bytes;
    fetch.end[i] = tile + to * scale_bytes;
    fetch.at[2 + i] = zeros + from * zero_bytes;
    fetch.end[2 + i] = zeros + to * zero_bytes;
    fetch.at[4 + i] = codes + ingot_code_bytes(w, first);
    fetch.end[4 + i] = codes + ingot_code_bytes(w, end);
  }
  for (int i = 0; i < FETCH_RUNS; i++) lines += (fetch.end[i] - fetch.at[i] + 63) / 64;
  fetch.step = (lines + steps - 1) / steps;
  fetch.is_far = ingot_has_small_cache && fetch.step > NEAR_LINES;
  return fetch;
}

/// Writing is slow when it finds the lines far away.
INGOT_INLINE void ingot_fetch_output(const ingot_output *out, int64_t first, int64_t end) {
  for (int64_t t = first; t < end; t++) {
    __builtin_prefetch(out->at[0] + t * out->rows, 1, 3);
    __builtin_prefetch(out->at[1] + t * out->rows, 1, 3);
  }
}

/// Writes tokens [first, end) from `sums`, `[token][32 rows]`.
INGOT_INLINE void ingot_write_output(
    const ingot_output *out, const float *sums, int64_t first, int64_t end) {
  const __m512 factor = _mm512_set1_ps(out->factor);
  for (int64_t t = first; t < end; t++) {
    for (int i = 0; i < 2; i++, sums += INGOT_LANES) {
      const __m512 value = _mm512_mul_ps(_mm512_load_ps(sums), factor);
      float *to = out->at[i] + t * out->rows;
      if (out->live[i] == 0xFFFF) _mm512_storeu_ps(to, value);
      else _mm512_mask_storeu_ps(to, out->live[i], value);
    }
  }
}
