/* Prints values of the hash functions, a case a line, once for every way this machine has: where all
 * agree, each line comes as often as there are ways, and no case has two values. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ingot_blake3.h"
#include "ingot_sha256.h"

enum { CHUNKS = 37 };
static uint8_t bytes[CHUNKS * INGOT_BLAKE3_CHUNK];

static void print(const char *name, size_t count, const uint8_t *value, size_t length) {
  printf("%s %zu ", name, count);
  for (size_t i = 0; i < length; i++) printf("%02x", value[i]);
  printf("\n");
}

int main(void) {
  uint32_t random = 1;
  for (size_t i = 0; i < sizeof(bytes); i++) {
    random = random * 1664525 + 1013904223;
    bytes[i] = (uint8_t)(random >> 24);
  }
  for (int way = 0; way < ingot_sha256_ways(); way++) {
    for (size_t count = 0; count < 40; count++) {
      uint32_t state[8] = {1, 2, 3, 4, 5, 6, 7, 8};
      /* An odd address: source bytes lie anywhere. */
      ingot_sha256_blocks(way, state, bytes + 1, count);
      char text[65] = "";
      for (int i = 0; i < 8; i++) snprintf(text + 8 * i, 9, "%08" PRIx32, state[i]);
      printf("sha256 %zu %s\n", count, text);
    }
  }
  for (int width = 0; width < ingot_blake3_widths(); width++) {
    for (size_t count = 1; count <= CHUNKS; count++) {
      uint8_t values[CHUNKS * INGOT_BLAKE3_VALUE];
      ingot_blake3_chunks(width, bytes, count, 7, values);
      print("blake3 chunks", count, values, count * INGOT_BLAKE3_VALUE);
      ingot_blake3_parents(width, values, count / 2, values);
      print("blake3 parents", count, values, count / 2 * INGOT_BLAKE3_VALUE);
    }
  }
  return 0;
}
