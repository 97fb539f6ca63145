#ifndef INGOT_SHA256_H
#define INGOT_SHA256_H

#include <stddef.h>
#include <stdint.h>

/* The compression function of SHA-256 (FIPS 180-4, section 6.2.2). Padding is Swift's
 * (Sources/Bytes/Sha256.swift). */

enum { INGOT_SHA256_BLOCK = 64 }; /* bytes of a block */

/* Ways this machine has, from 0 (plain C, any machine) up: 1 is the processor's SHA instructions.
 * Both give the same bytes. */
int ingot_sha256_ways(void);

/* Takes `count` blocks into the eight words of the state. `way` must be below
 * ingot_sha256_ways(). */
void ingot_sha256_blocks(int way, uint32_t *state, const uint8_t *bytes, size_t count);

#endif
