/* SPDX-License-Identifier: Apache-2.0
 * payloads.h: payloads as they were lately written or read, so that a launch need not ask the store. */
#ifndef SUAN_HOST_PAYLOADS_H
#define SUAN_HOST_PAYLOADS_H

#include "port/store.h"

enum { PAYLOADS_SLOTS = 512, PAYLOADS_BYTES_MAX = 32 << 10 };

/* One a slot, by its hash; all zero is empty. One thread's. */
struct payloads {
	struct {
		struct hash hash;
		struct buf bytes;
	} slots[PAYLOADS_SLOTS];
};

/* Remembers a payload, unless it is large. */
void payloads_put(struct payloads *payloads, const struct hash *hash, const void *bytes, size_t len);

/* A payload's bytes, from here or the store; borrowed until the next put or get. `scratch` holds what isn't remembered.
 * Returns 0, or what the store failed with. */
int payloads_get(struct payloads *payloads, struct store *store, const struct hash *hash, struct buf *scratch,
                 const struct buf **ret, struct err *err);
/* Forgets a payload. */
void payloads_drop(struct payloads *payloads, const struct hash *hash);
void payloads_done(struct payloads *payloads);

#endif
