#include "ingot_blake3.h"

#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "BLAKE3 reads little-endian words as they lie in memory"
#endif

/* Flags of section 2.2. */
enum { CHUNK_START = 1, CHUNK_END = 2, PARENT = 4, ROOT = 8 };

static const uint32_t blake3_start[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

/* The message words of each round, in the order the mixing function takes them: the permutation of
 * table 2 applied again and again. */
static const uint8_t blake3_order[7][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8},
    {3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1},
    {10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6},
    {12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4},
    {9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7},
    {11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13},
};

#define LANES 4
#define NAME(x) blake3_4_##x
#define TARGET
#include "ingot_blake3_lanes.h"

#if defined(__x86_64__)
#define LANES 8
#define NAME(x) blake3_8_##x
#define TARGET __attribute__((target("avx2")))
#include "ingot_blake3_lanes.h"

#define LANES 16
#define NAME(x) blake3_16_##x
#define TARGET __attribute__((target("avx512f")))
#include "ingot_blake3_lanes.h"
#endif

int ingot_blake3_widths(void) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return 3;
  if (__builtin_cpu_supports("avx2")) return 2;
#endif
  return 1;
}

static void run(
    int width, const uint8_t *bytes, size_t count, size_t stride, uint64_t index, int counts,
    uint32_t flags, uint32_t first, uint32_t last, uint8_t *values) {
#if defined(__x86_64__)
  if (width == 2) {
    blake3_16_run(bytes, count, stride, index, counts, flags, first, last, values);
    return;
  }
  if (width == 1) {
    blake3_8_run(bytes, count, stride, index, counts, flags, first, last, values);
    return;
  }
#else
  (void)width;
#endif
  blake3_4_run(bytes, count, stride, index, counts, flags, first, last, values);
}

void ingot_blake3_chunks(
    int width, const uint8_t *bytes, size_t count, uint64_t index, uint8_t *values) {
  run(width, bytes, count, INGOT_BLAKE3_CHUNK, index, 1, 0, CHUNK_START, CHUNK_END, values);
}

void ingot_blake3_parents(int width, const uint8_t *children, size_t count, uint8_t *values) {
  run(width, children, count, 2 * INGOT_BLAKE3_VALUE, 0, 0, PARENT, 0, 0, values);
}

static uint32_t rotate(uint32_t x, int n) { return x >> n | x << (32 - n); }

static void mix(uint32_t *s, int a, int b, int c, int d, uint32_t x, uint32_t y) {
  s[a] += s[b] + x;
  s[d] = rotate(s[d] ^ s[a], 16);
  s[c] += s[d];
  s[b] = rotate(s[b] ^ s[c], 12);
  s[a] += s[b] + y;
  s[d] = rotate(s[d] ^ s[a], 8);
  s[c] += s[d];
  s[b] = rotate(s[b] ^ s[c], 7);
}

/* One block of one input, of any length up to 64: the short ends that the lanes cannot take. */
static void compress(
    uint32_t *value, const uint8_t *bytes, size_t count, uint64_t index, uint32_t flags) {
  uint8_t block[64] = {0};
  uint32_t m[16], s[16];
  if (count > 0) memcpy(block, bytes, count);
  memcpy(m, block, sizeof(m));
  memcpy(s, value, 32);
  memcpy(s + 8, blake3_start, 16);
  s[12] = (uint32_t)index;
  s[13] = (uint32_t)(index >> 32);
  s[14] = (uint32_t)count;
  s[15] = flags;
  for (int r = 0; r < 7; r++) {
    for (int i = 0; i < 4; i++) {
      mix(s, i, 4 + i, 8 + i, 12 + i, m[blake3_order[r][2 * i]], m[blake3_order[r][2 * i + 1]]);
    }
    for (int i = 0; i < 4; i++) {
      mix(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4,
          m[blake3_order[r][8 + 2 * i]], m[blake3_order[r][9 + 2 * i]]);
    }
  }
  for (int i = 0; i < 8; i++) value[i] = s[i] ^ s[i + 8];
}

void ingot_blake3_chunk(
    const uint8_t *bytes, size_t count, uint64_t index, int is_root, uint8_t *value) {
  uint32_t state[8];
  memcpy(state, blake3_start, sizeof(state));
  uint32_t flags = CHUNK_START;
  while (count > 64) {
    compress(state, bytes, 64, index, flags);
    bytes += 64;
    count -= 64;
    flags = 0;
  }
  compress(state, bytes, count, index, flags | CHUNK_END | (is_root ? ROOT : 0));
  memcpy(value, state, sizeof(state));
}

void ingot_blake3_root(const uint8_t *children, uint8_t *value) {
  uint32_t state[8];
  memcpy(state, blake3_start, sizeof(state));
  compress(state, children, 64, 0, PARENT | ROOT);
  memcpy(value, state, sizeof(state));
}
