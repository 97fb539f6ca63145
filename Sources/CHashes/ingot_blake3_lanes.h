/* One width of the kernel. Before including it, define LANES (4, 8 or 16), NAME(x), which gives a
 * function of this width its name, and TARGET, the attribute that allows its instructions.
 *
 * Word w of the inputs of all lanes makes one vector, so the compression function is written once,
 * as the paper has it, and the compiler makes it AVX-512, AVX2, SSE2 or NEON. */

typedef uint32_t NAME(vector) __attribute__((vector_size(4 * LANES)));
#define V NAME(vector)

/* The lower and the upper halves of two vectors, element by element in turn. */
#if LANES == 16
#define LOW(a, b) __builtin_shufflevector( \
    a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define HIGH(a, b) __builtin_shufflevector( \
    a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#elif LANES == 8
#define LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#else
#define LOW(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#endif

/* LANES × LANES transposition: log2(LANES) perfect shuffles. */
TARGET static inline void NAME(transpose)(V *rows) {
  V other[LANES];
#pragma GCC unroll 4
  for (int distance = 1; distance < LANES; distance *= 2) {
#pragma GCC unroll 16
    for (int i = 0; i < LANES / 2; i++) {
      other[2 * i] = LOW(rows[i], rows[i + LANES / 2]);
      other[2 * i + 1] = HIGH(rows[i], rows[i + LANES / 2]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++) rows[i] = other[i];
  }
}

/* Sixteen message words of each lane's 64-byte block. */
TARGET static inline void NAME(load)(const uint8_t *const *inputs, size_t offset, V *words) {
#pragma GCC unroll 4
  for (int group = 0; group < 16 / LANES; group++) {
#pragma GCC unroll 16
    for (int lane = 0; lane < LANES; lane++) {
      memcpy(&words[group * LANES + lane], inputs[lane] + offset + group * sizeof(V), sizeof(V));
      /* The same place of the chunks after these: page by page, no hardware sees it coming. */
      if (group == 0) __builtin_prefetch(inputs[lane] + offset + LANES * INGOT_BLAKE3_CHUNK);
    }
    NAME(transpose)(words + group * LANES);
  }
}

#define ROTATE(x, n) (((x) >> (n)) | ((x) << (32 - (n))))
#define MIX(a, b, c, d, x, y) \
  do { \
    a += b + x; d ^= a; d = ROTATE(d, 16); \
    c += d;     b ^= c; b = ROTATE(b, 12); \
    a += b + y; d ^= a; d = ROTATE(d, 8);  \
    c += d;     b ^= c; b = ROTATE(b, 7);  \
  } while (0)

/* The compression function with a 32-byte result (section 2.2), on blocks of 64 bytes. */
TARGET static inline void NAME(compress)(
    V *value, const V *m, V counter_low, V counter_high, uint32_t flags) {
  const V zero = {0};
  V s[16];
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) s[i] = value[i];
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) s[8 + i] = zero + blake3_start[i];
  s[12] = counter_low;
  s[13] = counter_high;
  s[14] = zero + 64;
  s[15] = zero + flags;
#pragma GCC unroll 7
  for (int r = 0; r < 7; r++) {
    const uint8_t *o = blake3_order[r];
    MIX(s[0], s[4], s[8], s[12], m[o[0]], m[o[1]]);
    MIX(s[1], s[5], s[9], s[13], m[o[2]], m[o[3]]);
    MIX(s[2], s[6], s[10], s[14], m[o[4]], m[o[5]]);
    MIX(s[3], s[7], s[11], s[15], m[o[6]], m[o[7]]);
    MIX(s[0], s[5], s[10], s[15], m[o[8]], m[o[9]]);
    MIX(s[1], s[6], s[11], s[12], m[o[10]], m[o[11]]);
    MIX(s[2], s[7], s[8], s[13], m[o[12]], m[o[13]]);
    MIX(s[3], s[4], s[9], s[14], m[o[14]], m[o[15]]);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) value[i] = s[i] ^ s[i + 8];
}

/* LANES inputs of `blocks` × 64 bytes each; the first `count` values are stored. */
TARGET static void NAME(hash)(
    const uint8_t *const *inputs, size_t count, size_t blocks, uint64_t index, int counts,
    uint32_t flags, uint32_t first, uint32_t last, uint8_t *values) {
  const V zero = {0};
  V value[16], low = zero, high = zero, words[16];
  for (int i = 0; i < 8; i++) value[i] = zero + blake3_start[i];
  for (int lane = 0; counts && lane < LANES; lane++) {
    low[lane] = (uint32_t)(index + (uint64_t)lane);
    high[lane] = (uint32_t)((index + (uint64_t)lane) >> 32);
  }
  for (size_t block = 0; block < blocks; block++) {
    uint32_t f = flags | (block == 0 ? first : 0) | (block + 1 == blocks ? last : 0);
    NAME(load)(inputs, 64 * block, words);
    NAME(compress)(value, words, low, high, f);
  }
  for (size_t lane = 0; lane < count; lane++) {
    for (int i = 0; i < 8; i++) {
      uint32_t word = value[i][lane];
      memcpy(values + 32 * lane + 4 * i, &word, 4);
    }
  }
}

TARGET static void NAME(run)(
    const uint8_t *bytes, size_t count, size_t stride, uint64_t index, int counts, uint32_t flags,
    uint32_t first, uint32_t last, uint8_t *values) {
  for (size_t done = 0; done < count; done += LANES) {
    size_t here = count - done < LANES ? count - done : LANES;
    const uint8_t *inputs[LANES];
    /* Lanes without an input of their own repeat the first. */
    for (size_t lane = 0; lane < LANES; lane++) {
      inputs[lane] = bytes + (done + (lane < here ? lane : 0)) * stride;
    }
    NAME(hash)(
        inputs, here, stride / 64, index + done, counts, flags, first, last, values + 32 * done);
  }
}

#undef V
#undef LOW
#undef HIGH
#undef ROTATE
#undef MIX
#undef LANES
#undef NAME
#undef TARGET
