// For the VNNI kernel: two neighbouring tiles of a panel × a few tokens, with the products of a group in registers and
// the sums of a block there or, of wide calls, in memory. Included below a target attribute.

enum {
  /// Tokens of one call, but for exact sums: 12 products of a group and 12 sums of a block for two tiles in registers,
  /// and four loads for six products.
  BLOCK_TOKENS = 6,
  /// Tokens of a wide call (`ingot_panel`): 24 products of a group in registers, and sums of a block in memory.
  WIDE_TOKENS = 12,
  /// Tokens of a wide call where that leaves fewer over.
  LESS_WIDE_TOKENS = 8
};

/// The tokens of one call: `a` points at two side by side, as the next two may be in another quad.
typedef struct ingot_pairs {
  const int8_t *a[WIDE_TOKENS / 2];
} ingot_pairs;

/// One atom of two tiles, 4 columns `at` bytes on, added to `dot`, `[token][tile]`.
INGOT_INLINE void ingot_dots(
    __m512i left, __m512i right, const ingot_pairs *x, int64_t at, __m512i *dot, int tokens) {
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++) {
    const __m512i v = ingot_quad(x->a[t / 2] + at, t % 2, 0);
    dot[2 * t] = _mm512_dpbusd_epi32(dot[2 * t], left, v);
    dot[2 * t + 1] = _mm512_dpbusd_epi32(dot[2 * t + 1], right, v);
  }
}

/// A group of codes as bytes, which are signed unless they were unpacked.
INGOT_INLINE void ingot_group_bytes(
    const uint8_t *const codes[2], int64_t group, int is_signed, const ingot_pairs *x, __m512i *dot,
    int tokens) {
  const __m512i flip = is_signed ? _mm512_set1_epi8((char)0x80) : _mm512_setzero_si512();
  for (int64_t first = 0; first < group; first += 16) {
    INGOT_UNROLL
    for (int64_t column = first; column < first + 16; column += 4)
      ingot_dots(
          _mm512_xor_si512(_mm512_loadu_si512(codes[0] + 16 * column), flip),
          _mm512_xor_si512(_mm512_loadu_si512(codes[1] + 16 * column), flip), x, 4 * column, dot,
          tokens);
  }
}

/// A group of 4-bit codes.
INGOT_INLINE void ingot_group_nibbles(
    const uint8_t *const codes[2], int64_t group, __m512i levels, int is_codebook,
    const ingot_pairs *x, __m512i *dot, int tokens) {
  for (int64_t first = 0; first < group / 2; first += 8) {
    INGOT_UNROLL
    for (int64_t column = first; column < first + 8; column += 4) {
      __m512i near[2], far[2];
      INGOT_UNROLL
      for (int i = 0; i < 2; i++) {
        const __m512i both = _mm512_loadu_si512(codes[i] + 16 * column);
        ingot_split_nibbles(both, levels, is_codebook, &near[i], &far[i]);
      }
      ingot_dots(near[0], near[1], x, 4 * column, dot, tokens);
      ingot_dots(far[0], far[1], x, 4 * column + 2 * group, dot, tokens);
    }
  }
}

/// A group of 6-bit codes.
INGOT_INLINE void ingot_group_int6(
    const uint8_t *const codes[2], int64_t group, const ingot_pairs *x, __m512i *dot, int tokens) {
  const int64_t quarter = group * (INGOT_LANES / 4);
  for (int64_t i = 0; i < quarter; i += 64) {
    // One tile after the other: the codes of both do not fit into the registers beside the products.
    INGOT_UNROLL
    for (int k = 0; k < 2; k++) {
      __m512i q[4];
      ingot_join_six_bits(
          _mm512_loadu_si512(codes[k] + i), _mm512_loadu_si512(codes[k] + quarter + i),
          _mm512_loadu_si512(codes[k] + 2 * quarter + i), q);
      INGOT_UNROLL
      for (int n = 0; n < 4; n++)
        INGOT_UNROLL
        for (int t = 0; t < tokens; t++)
          dot[2 * t + k] = _mm512_dpbusd_epi32(
              dot[2 * t + k], q[n], ingot_quad(x->a[t / 2] + i / 4 + n * group, t % 2, 0));
    }
  }
}

/// Where the products of a group start; moves `zeros` on.
INGOT_INLINE void ingot_start_group(
    const uint8_t *zeros[2], const int32_t *offsets, int32_t kind, __m512i *dot, int tokens) {
  __m512i zero[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
  if (kind == INGOT_INT4Z) {
    INGOT_UNROLL
    for (int i = 0; i < 2; i++) {
      zero[i] = ingot_widen_zeros(zeros[i]);
      zeros[i] += INGOT_LANES;
    }
  }
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++) {
    dot[2 * t] = ingot_start(offsets, t, kind, zero[0]);
    dot[2 * t + 1] = ingot_start(offsets, t, kind, zero[1]);
  }
}

/// One group of products joins the others of its block in memory, or is the first of them.
INGOT_INLINE void ingot_join_memory(__m512i dot, __m512 scale, float *sum, int is_first) {
  const __m512 others = is_first ? _mm512_setzero_ps() : _mm512_load_ps(sum);
  _mm512_store_ps(sum, ingot_join(dot, scale, others));
}

/// A block of columns joins the others of its rows: `sums` are `[token][32 rows]`, each token's times its
/// activation scale.
INGOT_INLINE void ingot_add_block(
    const __m512 *block, const float *activation_scales, float *sums, int tokens) {
  INGOT_UNROLL
  for (int t = 0; t < tokens; t++) {
    const __m512 scale = _mm512_set1_ps(activation_scales[t]);
    INGOT_UNROLL
    for (int i = 0; i < 2; i++, sums += INGOT_LANES)
      _mm512_store_ps(sums, _mm512_fmadd_ps(block[2 * t + i], scale, _mm512_load_ps(sums)));
  }
}

/// Where the tokens of one call begin in a panel: their activations, offsets of groups and scales of blocks.
typedef struct ingot_block_input {
  ingot_pairs pairs;
  const int32_t *offsets;
  const float *scales;
} ingot_block_input;

INGOT_INLINE ingot_block_input ingot_locate_input(
    const ingot_panel *panel, const ingot_activations *x, int64_t first, int tokens) {
  const int64_t padded = x->padded_tokens;
  ingot_block_input input = {
      .offsets = x->offsets[ingot_level(panel->group)]
                 + panel->first_column / panel->group * padded + first,
      .scales = x->scales + panel->first_column / INGOT_BLOCK * padded + first};
  INGOT_UNROLL
  for (int t = 0; t < tokens; t += 2)
    input.pairs.a[t / 2] = x->codes + (first + t) / 4 * 4 * x->token_stride
                           + (first + t) % 4 * 4 + 4 * panel->first_column;
  return input;
}

/// Products of a panel with groups of `group` columns and tokens [first, first + tokens), an even number from an even
/// one, added to `sums`, `[token][32 rows]`.
INGOT_INLINE void ingot_block(
    const ingot_panel *panel, const ingot_activations *x, int64_t first, ingot_fetch *fetch,
    float *sums, int tokens, int32_t kind, int64_t group) {
  const int64_t padded = x->padded_tokens;
  ingot_block_input input = ingot_locate_input(panel, x, first, tokens);
  const uint8_t *codes[2] = {panel->codes[0], panel->codes[1]};
  const uint8_t *zeros[2] = {panel->zeros[0], panel->zeros[1]};
  const float *scales[2] = {panel->scales[0], panel->scales[1]};
  const int is_bytes = kind == INGOT_INT8 || kind == UNPACKED;
  const int is_wide = tokens > BLOCK_TOKENS;
  // Calls of four are for both.
  const int by_group = is_wide || (tokens < BLOCK_TOKENS && panel->is_wide);
  float memory[2 * WIDE_TOKENS * INGOT_LANES] __attribute__((aligned(64)));
  const int64_t code_bytes = group * (is_bytes ? 16 : kind == INGOT_INT6 ? 12 : 8);
  for (int64_t start = 0; start < panel->columns; start += INGOT_BLOCK) {
    const int64_t rest = panel->columns - start, width = rest < INGOT_BLOCK ? rest : INGOT_BLOCK;
    if (!by_group) ingot_fetch_step(fetch);
    __m512 sum[2 * WIDE_TOKENS];
    INGOT_UNROLL
    for (int i = 0; !is_wide && i < 2 * tokens; i++) sum[i] = _mm512_setzero_ps();
    for (int64_t column = 0; column < width; column += group) {
      // Fewer pointers, so that they stay in registers.
      if (kind == UNPACKED) {
        codes[1] = codes[0] + PANEL_BYTES / 2;
        scales[1] = scales[0] + PANEL_COLUMNS;
      }
      if (by_group) ingot_fetch_step(fetch);
      __m512i dot[2 * WIDE_TOKENS];
      ingot_start_group(zeros, input.offsets, kind, dot, tokens);
      if (is_bytes)
        ingot_group_bytes(codes, group, kind == INGOT_INT8, &input.pairs, dot, tokens);
      else if (kind == INGOT_INT6) ingot_group_int6(codes, group, &input.pairs, dot, tokens);
      else
        ingot_group_nibbles(
            codes, group, panel->levels, kind == INGOT_CB4, &input.pairs, dot, tokens);
      const __m512 scale[2] = {_mm512_load_ps(scales[0]), _mm512_load_ps(scales[1])};
      INGOT_UNROLL
      for (int i = 0; i < 2 * tokens; i++) {
        if (is_wide)
          ingot_join_memory(dot[i], scale[i % 2], memory + i * INGOT_LANES, column == 0);
        else sum[i] = ingot_join(dot[i], scale[i % 2], sum[i]);
      }
      // Nothing that lies in memory is to be kept in a register.
      if (is_wide) __asm__ volatile("" : "+m"(memory));
      INGOT_UNROLL
      for (int i = 0; i < 2; i++) codes[i] += code_bytes, scales[i] += INGOT_LANES;
      INGOT_UNROLL
      for (int t = 0; t < tokens; t += 2) input.pairs.a[t / 2] += 4 * group;
      input.offsets += padded;
    }
    INGOT_UNROLL
    for (int i = 0; is_wide && i < 2 * tokens; i++)
      sum[i] = _mm512_load_ps(memory + i * INGOT_LANES);
    ingot_add_block(sum, input.scales, sums, tokens);
    input.scales += padded;
  }
}

/// The same with exact sums, up to `EXACT_TOKENS`; the codes are levels as bytes where `is_unpacked`.
INGOT_INLINE void ingot_block_exact(
    const ingot_panel *panel, const ingot_activations *x, int64_t first, ingot_fetch *fetch,
    float *sums, int tokens, int is_unpacked) {
  ingot_block_input input = ingot_locate_input(panel, x, first, tokens);
  const uint8_t *codes[2] = {panel->codes[0], panel->codes[1]};
  const float *scales[2] = {panel->scales[0], panel->scales[1]};
  for (int64_t start = 0; start < panel->columns; start += INGOT_BLOCK) {
    const int64_t rest = panel->columns - start, width = rest < INGOT_BLOCK ? rest : INGOT_BLOCK;
    ingot_fetch_step(fetch);
    __m512i sum[2 * EXACT_TOKENS];
    INGOT_UNROLL
    for (int i = 0; i < 2 * tokens; i++) sum[i] = _mm512_setzero_si512();
    for (int64_t column = 0; column < width; column += EXACT_GROUP) {
      __m512i levels[2][EXACT_ATOMS], scale[2];
      INGOT_UNROLL
      for (int i = 0; i < 2; i++) {
        INGOT_UNROLL
        for (int k = 0; is_unpacked && k < EXACT_ATOMS; k++)
          levels[i][k] = _mm512_load_si512(codes[i] + 64 * k);
        if (!is_unpacked) ingot_exact_levels(codes[i], panel->levels, levels[i]);
        scale[i] = _mm512_load_si512(scales[i]);
        codes[i] += is_unpacked ? 2 * EXACT_BYTES : EXACT_BYTES;
        scales[i] += INGOT_LANES;
      }
      INGOT_UNROLL
      for (int t = 0; t < tokens; t++)
        ingot_exact_token(
            levels, scale, input.pairs.a[t / 2] + t % 2 * 4, input.offsets[t], &sum[2 * t], 2);
      INGOT_UNROLL
      for (int t = 0; t < tokens; t += 2) input.pairs.a[t / 2] += 4 * EXACT_GROUP;
      input.offsets += x->padded_tokens;
    }
    __m512 block[2 * EXACT_TOKENS];
    INGOT_UNROLL
    for (int i = 0; i < 2 * tokens; i++) block[i] = _mm512_cvtepi32_ps(sum[i]);
    ingot_add_block(block, input.scales, sums, tokens);
    input.scales += x->padded_tokens;
  }
}

/// Exact sums of a panel as it lies.
INGOT_INLINE void ingot_block_levels(
    const ingot_panel *panel, const ingot_activations *x, int64_t first, ingot_fetch *fetch,
    float *sums, int tokens) {
  if (panel->kind == UNPACKED) ingot_block_exact(panel, x, first, fetch, sums, tokens, 1);
  else ingot_block_exact(panel, x, first, fetch, sums, tokens, 0);
}

/// The same for any group; the loops of the commonest are unrolled where all kinds of codes share them.
INGOT_INLINE void ingot_block_group(
    const ingot_panel *panel, const ingot_activations *x, int64_t first, ingot_fetch *fetch,
    float *sums, int tokens, int32_t kind) {
  if (kind == UNPACKED && panel->group == 64)
    ingot_block(panel, x, first, fetch, sums, tokens, kind, 64);
  else ingot_block(panel, x, first, fetch, sums, tokens, kind, panel->group);
}

INGOT_INLINE void ingot_block_kind(
    const ingot_panel *panel, const ingot_activations *x, int64_t first, ingot_fetch *fetch,
    float *sums, int tokens) {
  switch (panel->kind) {
    case UNPACKED: ingot_block_group(panel, x, first, fetch, sums, tokens, UNPACKED); break;
    case INGOT_INT8: ingot_block_group(panel, x, first, fetch, sums, tokens, INGOT_INT8); break;
    case INGOT_INT4: ingot_block_group(panel, x, first, fetch, sums, tokens, INGOT_INT4); break;
    case INGOT_INT4Z: ingot_block_group(panel, x, first, fetch, sums, tokens, INGOT_INT4Z); break;
    case INGOT_INT6: ingot_block_group(panel, x, first, fetch, sums, tokens, INGOT_INT6); break;
    default: ingot_block_group(panel, x, first, fetch, sums, tokens, INGOT_CB4);
  }
}

/// Products of any panel with as many tokens as `ingot_call_tokens` says.
static void ingot_block_tokens(
    const ingot_panel *panel, const ingot_activations *x, int64_t first, int64_t tokens,
    ingot_fetch *fetch, float *sums) {
  if (panel->is_exact) {
    if (tokens == EXACT_TOKENS) ingot_block_levels(panel, x, first, fetch, sums, EXACT_TOKENS);
    else if (tokens == BLOCK_TOKENS) ingot_block_levels(panel, x, first, fetch, sums, BLOCK_TOKENS);
    else ingot_block_levels(panel, x, first, fetch, sums, 4);
  } else if (tokens == WIDE_TOKENS) {
    ingot_block_kind(panel, x, first, fetch, sums, WIDE_TOKENS);
  } else if (tokens == LESS_WIDE_TOKENS) {
    ingot_block_kind(panel, x, first, fetch, sums, LESS_WIDE_TOKENS);
  } else if (tokens == BLOCK_TOKENS) {
    ingot_block_kind(panel, x, first, fetch, sums, BLOCK_TOKENS);
  } else {
    ingot_block_kind(panel, x, first, fetch, sums, 4);
  }
}
