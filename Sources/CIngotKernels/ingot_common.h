// Shared by the kernel sources: vector types of 16 virtual lanes, and scalar conversions.
//
// Arithmetic on `f32x16` is IEEE per lane whatever registers the compiler maps it to, so code that
// is written once with it gives the same bits on every instruction set. Contraction is off: a
// fused multiply-add happens where `ingot_fma16` says so and nowhere else.
#ifndef INGOT_COMMON_H
#define INGOT_COMMON_H

#include <stdint.h>
#include <string.h>

#include "include/ingot_kernels.h"

#ifdef __clang__
#pragma clang fp contract(off)
// Every function that passes vectors is inlined, so how the ABI would pass them does not matter.
#pragma clang diagnostic ignored "-Wpsabi"
#endif

#define INGOT_INLINE static inline __attribute__((always_inline, unused))

/// Before a loop whose bounds are constants once the function around it is inlined: its arrays
/// then live in registers.
#if defined(__clang__)
#define INGOT_UNROLL _Pragma("clang loop unroll(full)")
#else
#define INGOT_UNROLL _Pragma("GCC unroll 32")
#endif

enum {
  /// Places that memory is read in at once.
  INGOT_FETCH_RUNS = 8,
  /// Bytes of a page of memory.
  INGOT_PAGE = 4096,
  /// How far ahead memory that is read in order is fetched into the second-level cache, and from there into
  /// the first.
  INGOT_FAR = 16384,
  INGOT_NEAR = 4096,
  /// The latter where lines come from eight pages in turn.
  INGOT_NEAR_OF_PAGES = 2048
};

/// Fetches a line of each of 8 runs of memory, `stride` bytes apart, into the second-level cache. Memory
/// that is read in several pages at once gives two fifths more than one page after another (measured on a
/// Sapphire Rapids, two threads: 28 GB/s against 20), in whatever order it is used then.
INGOT_INLINE void ingot_fetch_lines(const char *first, int64_t stride) {
  for (int run = 0; run < INGOT_FETCH_RUNS; run++) __builtin_prefetch(first + run * stride, 0, 2);
}

/// Whether `ingot_fetch_ahead` reads several pages at once: on Intel's processors. On AMD's that loses a fourth
/// against one page after another (Zen 5, two threads: 36 GB/s against 49). Set with the tables.
extern __attribute__((visibility("hidden"))) int32_t ingot_fetches_pages;

/// Whether unpacking codes takes the ports that multiply them: on Intel's processors, which have two for vectors of
/// 512 bits; AMD's have four, of which two multiply. Set with the tables.
extern __attribute__((visibility("hidden"))) int32_t ingot_shares_ports;

/// Whether the first-level cache is smaller than 48 KiB, as on a Zen 4: too small for the next 16 KiB of weights
/// beside the present ones and their activations. Set with the tables.
extern __attribute__((visibility("hidden"))) int32_t ingot_has_small_cache;

/// Fetches what lies behind `bytes` bytes that are read in one go: as many bytes further on, in two steps (the
/// first-level cache waits for too few lines at a time to be filled from memory: with 8 tokens, one thread of
/// a Zen 4 read 14 GB/s of int8 where two steps give 25), or of the 8 pages after these a line of each in turn. Lines
/// of pages in turn go into the first level a step before they are used, too, as nobody else sees them coming there
/// (Emerald Rapids, two threads: a twentieth to a tenth more with 1 and 8 tokens).
INGOT_INLINE void ingot_fetch_ahead(const void *from, int64_t bytes) {
  enum { WINDOW = INGOT_FETCH_RUNS * INGOT_PAGE, RUN = INGOT_FETCH_RUNS * 64 };
  const uintptr_t start = (uintptr_t)from, end = start + (uintptr_t)bytes;
  if (!ingot_fetches_pages) {
    for (uintptr_t at = (start + 63) & -(uintptr_t)64; at < end; at += 64) {
      __builtin_prefetch((const char *)at + INGOT_FAR, 0, 2);
      __builtin_prefetch((const char *)at + INGOT_NEAR, 0, 3);
    }
    return;
  }
  for (uintptr_t at = (start + 63) & -(uintptr_t)64; at < end; at += 64)
    __builtin_prefetch((const char *)at + INGOT_NEAR_OF_PAGES, 0, 3);
  // Eight lines fetch a line of each page of the next window.
  for (uintptr_t at = (start + RUN - 1) & -(uintptr_t)RUN; at < end; at += RUN) {
    const uintptr_t next = (at & -(uintptr_t)WINDOW) + WINDOW;
    ingot_fetch_lines((const char *)(next + (at & (WINDOW - 1)) / INGOT_FETCH_RUNS), INGOT_PAGE);
  }
}

typedef float f32x16 __attribute__((vector_size(64)));
typedef int32_t s32x16 __attribute__((vector_size(64)));
typedef uint32_t u32x16 __attribute__((vector_size(64)));
typedef uint16_t u16x16 __attribute__((vector_size(32)));
typedef int8_t s8x16 __attribute__((vector_size(16)));

INGOT_INLINE uint32_t ingot_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  return bits;
}

INGOT_INLINE float ingot_from_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}

/// The f32 with the same value as a binary16 bit pattern.
INGOT_INLINE float ingot_half_to_f32(uint16_t half) {
  uint32_t sign = (uint32_t)(half & 0x8000) << 16;
  uint32_t magnitude = half & 0x7FFF;
  if (magnitude >= 0x7C00) return ingot_from_bits(sign | 0x7F800000 | (magnitude & 0x3FF) << 13);
  // Shifting puts the exponent field 112 too low, subnormals included; the product is exact.
  return ingot_from_bits(sign | ingot_bits(ingot_from_bits(magnitude << 13) * 0x1p112f));
}

INGOT_INLINE float ingot_brain_to_f32(uint16_t brain) {
  return ingot_from_bits((uint32_t)brain << 16);
}

/// The nearest binary16 bit pattern, ties to even, saturating at ±65504.
INGOT_INLINE uint16_t ingot_f32_to_half(float x) {
  uint32_t sign = ingot_bits(x) >> 16 & 0x8000;
  uint32_t magnitude = ingot_bits(x) & 0x7FFFFFFF;
  if (magnitude >= 0x477FE000) return (uint16_t)(sign | 0x7BFF);
  if (magnitude < 0x38800000) {
    // Subnormal result: adding 0.5 aligns the fraction so that the addition rounds to even.
    return (uint16_t)(sign | (ingot_bits(ingot_from_bits(magnitude) + 0.5f) - 0x3F000000));
  }
  uint32_t rounded = magnitude + 0xFFF + (magnitude >> 13 & 1);
  return (uint16_t)(sign | (rounded - 0x38000000) >> 13);
}

INGOT_INLINE const uint8_t *ingot_tile(const ingot_tiled *w, int64_t tile) {
  return w->payload + 64 + tile * w->tile_bytes;
}

/// Numbers of one token whose columns are unzipped, zeros included.
INGOT_INLINE int64_t ingot_unzipped_columns(int64_t columns) {
  return (columns + INGOT_UNZIPPED - 1) / INGOT_UNZIPPED * INGOT_UNZIPPED;
}

/// Bytes that the codes of `columns` columns (whole groups) of a tile take.
INGOT_INLINE int64_t ingot_code_bytes(const ingot_tiled *w, int64_t columns) {
  const int64_t bits = w->kind == INGOT_INT8 ? 8 : w->kind == INGOT_INT6 ? 6 : 4;
  return columns * (INGOT_LANES * bits / 8);
}

INGOT_INLINE float ingot_tensor_scale(const ingot_tiled *w) {
  float scale;
  memcpy(&scale, w->payload + 16, 4);
  return scale;
}

/// The binary16 with the value of an S1E2M5 scale: sign to bit 15, the other bits to 11…5.
INGOT_INLINE uint16_t ingot_s1e2m5_to_half(uint8_t code) {
  return (uint16_t)((code & 0x80) << 8 | (code & 0x7F) << 5);
}

/// Vectors do the same: sign-extend to 16 bits, shift left by 5, keep these bits.
#define INGOT_S1E2M5_MASK ((short)0x8FE0)

/// Whether the groups of a block are summed as integers: cb4 in groups of 16.
///
/// A level times its scale, in units of 2^-19, fits in 16 bits, and the sum of 128 of them times 8-bit
/// activations in 32. Sums of integers have no order, so kernels need not look at small groups one by
/// one: in the tile registers that doubles their speed. Larger groups gain nothing.
INGOT_INLINE int ingot_is_exact(const ingot_tiled *w) {
  return w->kind == INGOT_CB4 && w->group == 16;
}

/// The scale in units of 2^-19: an integer within ±252.
INGOT_INLINE int32_t ingot_s1e2m5_to_integer(uint8_t code) {
  const int32_t exponent = code >> 5 & 3, mantissa = code & 31;
  const int32_t magnitude = exponent ? (32 + mantissa) << (exponent - 1) : mantissa;
  return code & 0x80 ? -magnitude : magnitude;
}

/// What the sum over a row is multiplied by at the end.
INGOT_INLINE float ingot_row_factor(const ingot_tiled *w) {
  const float scale = ingot_tensor_scale(w);
  return ingot_is_exact(w) ? scale * 0x1p-19f : scale;
}

/// The codes of one int6 group as bytes less `offset`, `[atom][16 rows][4]`: plain loops over
/// bytes, which compilers turn into whatever vectors there are.
///
/// Low four bits lie as int4 has them, `group / 8` blocks of 64 bytes; then `group / 16` blocks hold
/// two high bits of four atoms that lie a quarter of the group apart.
INGOT_INLINE void ingot_unpack_int6(
    const uint8_t *restrict packed, int64_t group, int offset, uint8_t *restrict codes) {
  const int64_t quarter = group / 4 * INGOT_LANES;
  const uint8_t *high = packed + 2 * quarter;
  const uint8_t less = (uint8_t)offset;
  for (int64_t i = 0; i < quarter; i++) {
    const uint8_t even = packed[i], odd = packed[quarter + i], two = high[i];
    codes[i] = (uint8_t)(((even & 15) | (two << 4 & 0x30)) - less);
    codes[quarter + i] = (uint8_t)(((odd & 15) | (two << 2 & 0x30)) - less);
    codes[2 * quarter + i] = (uint8_t)((even >> 4 | (two & 0x30)) - less);
    codes[3 * quarter + i] = (uint8_t)((odd >> 4 | (two >> 2 & 0x30)) - less);
  }
}

/// The scale of one row of a tile and one group, before the tensor scale.
INGOT_INLINE float ingot_group_scale(const ingot_tiled *w, const uint8_t *tile, int64_t index) {
  if (w->kind == INGOT_CB4) return ingot_half_to_f32(ingot_s1e2m5_to_half(tile[index]));
  uint16_t half;
  memcpy(&half, tile + 2 * index, 2);
  return ingot_half_to_f32(half);
}

#endif
