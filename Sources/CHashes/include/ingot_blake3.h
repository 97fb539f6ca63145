#ifndef INGOT_BLAKE3_H
#define INGOT_BLAKE3_H

#include <stddef.h>
#include <stdint.h>

/* The compression steps of BLAKE3 (O'Connor, Aumasson, Neves, Wilcox-O'Hearn: "BLAKE3, one
 * function, fast everywhere", 2020, sections 2.1-2.4), many inputs at a time: one input a vector
 * lane. The tree above them is Swift's (Sources/Bytes/Blake3.swift). */

enum {
  INGOT_BLAKE3_CHUNK = 1024, /* bytes of a chunk */
  INGOT_BLAKE3_VALUE = 32,   /* bytes of a chaining value */
};

/* Vector widths this machine has, from 0 (four lanes, any machine) up; every width gives the same
 * bytes. */
int ingot_blake3_widths(void);

/* The chaining values of `count` whole chunks that follow each other from `bytes` on, the first
 * with the given index. Writes 32 * count bytes. `width` must be below ingot_blake3_widths(). */
void ingot_blake3_chunks(
    int width, const uint8_t *bytes, size_t count, uint64_t index, uint8_t *values);

/* The chaining values of `count` inner nodes from their 2 * count children's. `values` may be
 * `children`. */
void ingot_blake3_parents(int width, const uint8_t *children, size_t count, uint8_t *values);

/* The chaining value of one chunk of 0 to 1024 bytes, of the root when it is the only one. */
void ingot_blake3_chunk(
    const uint8_t *bytes, size_t count, uint64_t index, int is_root, uint8_t *value);

/* The root's value from its two children's. */
void ingot_blake3_root(const uint8_t *children, uint8_t *value);

#endif
