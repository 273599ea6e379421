/* SPDX-License-Identifier: Apache-2.0
 * hash.c: BLAKE2b-256; see hash.h. */
#include "base/hash.h"

#include <assert.h>
#include <sodium.h>

struct hash hash_of(const void *bytes, size_t len)
{
	struct hash hash;

	crypto_generichash(hash.bytes, sizeof hash.bytes, bytes, len, NULL, 0);
	return hash;
}

struct hash hash_of_buf(struct buf *buf)
{
	struct hash hash = hash_of(buf->data, buf->len);

	buf_done(buf);
	return hash;
}

struct hash hash_chain(const struct hash *previous, const void *bytes, size_t len)
{
	crypto_generichash_state state;
	struct hash hash;

	crypto_generichash_init(&state, NULL, 0, sizeof hash.bytes);
	crypto_generichash_update(&state, previous->bytes, sizeof previous->bytes);
	crypto_generichash_update(&state, bytes, len);
	crypto_generichash_final(&state, hash.bytes, sizeof hash.bytes);
	return hash;
}

char *hash_hex(const struct hash *hash, char *buf, size_t size)
{
	assert(size >= HASH_HEX_SIZE);
	return sodium_bin2hex(buf, size, hash->bytes, sizeof hash->bytes);
}
