// The forms in which the kernel for few tokens is compiled, and unpacking codes for it, one step of one
// tile at a time. Included below a target attribute.

/// Bytes of one tile's unpacked block, or of one plane of it.
enum { STREAM_CODES = INGOT_BLOCK * INGOT_LANES };

/// How a kernel is compiled: constants once it is inlined.
typedef struct ingot_form {
  int32_t kind;
  /// In a block of columns.
  int groups;
  int is_exact;
  /// Tokens whose sums are kept at a time: 8, in registers, or 16, in memory.
  int tokens;
  /// Whether there are more than those, so that unpacked codes are needed for longer.
  int is_long;
} ingot_form;

/// Whether a tile's products add up over all steps of a block.
INGOT_INLINE int ingot_is_deep(ingot_form form) { return form.is_exact || form.groups == 1; }

/// Parts of a block that one tile register holds: whole groups, or 64 columns.
INGOT_INLINE int ingot_steps(ingot_form form) { return ingot_is_deep(form) ? 2 : form.groups; }

/// One step of one of two tiles, of exact sums one plane of it.
typedef struct ingot_share {
  int step, tile, plane;
  /// Whether it is one of the block that follows.
  int is_next;
} ingot_share;

INGOT_INLINE int ingot_planes(ingot_form form) { return form.is_exact ? 2 : 1; }

/// Shares of a block.
INGOT_INLINE int ingot_shares(ingot_form form) {
  return 2 * ingot_steps(form) * ingot_planes(form);
}

/// Both steps of a tile where they add up, which takes fewest tile registers (few of them are renamed);
/// otherwise both tiles of a step, which share the activations.
INGOT_INLINE ingot_share ingot_share_at(ingot_form form, int index) {
  const int count = ingot_shares(form), planes = ingot_planes(form);
  const int plane = index % planes, i = index % count / planes, is_next = index >= count;
  if (ingot_is_deep(form)) return (ingot_share){i % 2, i / 2, plane, is_next};
  return (ingot_share){i / 2, i % 2, plane, is_next};
}

/// The share that is unpacked while share `index` is multiplied; of exact sums half of both planes. Two
/// steps ahead take little of the first-level cache, but all of a block must stay until the last token
/// has met it.
INGOT_INLINE ingot_share ingot_share_ahead(ingot_form form, int index) {
  return ingot_share_at(
      form, index + (form.is_long ? ingot_shares(form) : 2 * ingot_planes(form)));
}

/// Where a share's unpacked codes lie; loads from one are never just behind stores to another whose
/// addresses end in the same 12 bits, which they would wait for.
INGOT_INLINE int64_t ingot_share_offset(ingot_form form, ingot_share share) {
  if (form.is_exact) return 2 * share.tile * STREAM_CODES + share.step * INGOT_TILE_BYTES;
  if (form.groups == 1) return share.tile * STREAM_CODES + share.step * INGOT_TILE_BYTES;
  return (2 * share.step + share.tile) * (STREAM_CODES / form.groups);
}

/// One tile's block of packed codes.
typedef struct ingot_packed {
  const uint8_t *tile;
  const uint8_t *codes;
  int64_t block;
} ingot_packed;

/// Bytes of a tile's packed block.
INGOT_INLINE int64_t ingot_packed_bytes(ingot_form form) {
  const int bits = form.kind == INGOT_INT8 ? 8 : form.kind == INGOT_INT6 ? 6 : 4;
  return STREAM_CODES / 8 * bits;
}

/// Fetches as much of a tile's packed block as one step has.
INGOT_INLINE void ingot_fetch_packed(const uint8_t *codes, ingot_form form, int step) {
  const int lines = (int)ingot_packed_bytes(form) / 64 / ingot_steps(form);
  INGOT_UNROLL
  for (int i = step * lines; i < (step + 1) * lines; i++)
    _mm_prefetch((const char *)codes + 64 * i, _MM_HINT_T0);
}

/// The low and the high nibble of each byte as signed codes.
INGOT_INLINE void ingot_signed_nibbles(
    ingot_form form, __m512i both, __m512i levels, __m512i zero, __m512i codes[2]) {
  // Rows of bit matrices, that of the lowest result bit in the highest byte. Bits 0, 1, 2 and five times
  // bit 3, all of the latter inverted by a constant: q − 8 with its sign extended.
  enum { SIGN = 0xF8 };
  const __m512i low = _mm512_set1_epi64(0x0102040808080808);
  const __m512i high = _mm512_set1_epi64(0x1020408080808080);
  const __m512i shifted = _mm512_set1_epi64(0x1020408000000000);
  if (form.kind == INGOT_INT4) {
    codes[0] = _mm512_gf2p8affine_epi64_epi8(both, low, SIGN);
    codes[1] = _mm512_gf2p8affine_epi64_epi8(both, high, SIGN);
    return;
  }
  codes[0] = _mm512_and_si512(both, _mm512_set1_epi8(15));
  codes[1] = _mm512_gf2p8affine_epi64_epi8(both, shifted, 0);
  for (int i = 0; i < 2; i++) {
    if (form.kind == INGOT_CB4) codes[i] = _mm512_shuffle_epi8(levels, codes[i]);
    else codes[i] = _mm512_sub_epi8(codes[i], zero);
  }
}

/// Unpacks one step of 4-bit codes. In groups of 128, where packed bytes have codes of both steps, half
/// of each: `to` is then the start of the block.
INGOT_INLINE void ingot_unpack_nibbles(
    const ingot_tiled *w, const ingot_packed *packed, ingot_form form, __m512i levels, int step,
    uint8_t *to) {
  const int steps = ingot_steps(form), lines = 16 / steps;
  const int far = STREAM_CODES / form.groups / 2, is_half = form.groups == 1;
  __m512i zero = _mm512_setzero_si512();
  if (form.kind == INGOT_INT4Z)
    zero = _mm512_mullo_epi32(
        ingot_zero_points(w, packed->tile, packed->block * form.groups + (is_half ? 0 : step)),
        _mm512_set1_epi32(0x01010101));
  if (is_half) to += 64 * lines * step;
  INGOT_UNROLL
  for (int i = 0; i < lines; i++) {
    const __m512i both = _mm512_loadu_si512(packed->codes + 64 * (step * lines + i));
    __m512i q[2];
    ingot_signed_nibbles(form, both, levels, zero, q);
    _mm512_store_si512(to + 64 * i, q[0]);
    _mm512_store_si512(to + far + 64 * i, q[1]);
  }
}

/// The same for int6 (`ingot_unpack_int6`).
INGOT_INLINE void ingot_unpack_six_bits(
    const ingot_packed *packed, ingot_form form, int step, uint8_t *to) {
  const int lines = 8 / ingot_steps(form), quarter = STREAM_CODES / form.groups / 4;
  const int is_half = form.groups == 1;
  const uint8_t *from = packed->codes + step * (is_half ? 64 * lines : 3 * quarter);
  const __m512i offset = _mm512_set1_epi8(32);
  if (is_half) to += 64 * lines * step;
  INGOT_UNROLL
  for (int i = 0; i < lines; i++, from += 64, to += 64)
    ingot_unpack_int6_line(from, quarter, offset, to);
}

/// What nibbles are looked up in.
INGOT_INLINE __m512i ingot_form_levels(const ingot_tiled *w, ingot_form form) {
  return form.is_exact ? ingot_signed_levels(w) : ingot_nibble_bytes(w, 0);
}

/// Unpacks a share of a block, `to` being where the codes of its block begin; int8 codes are multiplied
/// where they are mapped. Exact sums keep in `scales` what both shares of a step need.
INGOT_INLINE void ingot_unpack_share(
    const ingot_tiled *w, const ingot_packed *packed, ingot_form form, __m512i levels,
    ingot_share share, ingot_plane_scales *scales, uint8_t *to) {
  if (form.kind == INGOT_INT8) return;
  const int step = share.step;
  if (form.groups == 1) share.step = 0;
  to += ingot_share_offset(form, share);
  if (form.is_exact && share.plane == 0)
    *scales = ingot_read_plane_scales(
        packed->tile + INGOT_BLOCK * packed->block + INGOT_TILE_COLUMNS * step);
  if (form.is_exact)
    ingot_unpack_plane_groups(
        packed->codes + 8 * INGOT_TILE_COLUMNS * step, *scales, 2 * share.plane,
        2 * share.plane + 2, levels, to, to + STREAM_CODES);
  else if (form.kind == INGOT_INT6) ingot_unpack_six_bits(packed, form, step, to);
  else ingot_unpack_nibbles(w, packed, form, levels, step, to);
}
