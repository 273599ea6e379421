/* SPDX-License-Identifier: Apache-2.0
 * hash.h: the hash that chains the journal and names states and payloads (BLAKE2b-256, by libsodium). */
#ifndef SUAN_BASE_HASH_H
#define SUAN_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"

#define HASH_BYTES 32
#define HASH_HEX_SIZE (2 * HASH_BYTES + 1)

struct hash {
	uint8_t bytes[HASH_BYTES];
};

/* The first 8 bytes of a hash as a number: a key for a table, whose owner compares the rest where it matters. */
static inline uint64_t hash_word(const uint8_t *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, sizeof word);
	return word;
}

/* The hash of `len` bytes. */
struct hash hash_of(const void *bytes, size_t len);

/* The hash of what was written, which is freed. */
struct hash hash_of_buf(struct buf *buf);

/* The hash of a previous hash followed by `len` bytes: one link of a chain. */
struct hash hash_chain(const struct hash *previous, const void *bytes, size_t len);

/* Writes 64 lower-case hex digits and a NUL; size: HASH_HEX_SIZE or more. Returns buf. */
char *hash_hex(const struct hash *hash, char *buf, size_t size);

#endif
