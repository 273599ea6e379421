/* SPDX-License-Identifier: Apache-2.0
 * payloads.c: payloads that were lately seen; see payloads.h. */
#include "host/payloads.h"

#include <string.h>

static uint32_t slot_of(const struct hash *hash)
{
	uint32_t bits;

	memcpy(&bits, hash->bytes, sizeof bits);
	return bits % PAYLOADS_SLOTS;
}

void payloads_put(struct payloads *payloads, const struct hash *hash, const void *bytes, size_t len)
{
	uint32_t slot = slot_of(hash);

	if (len > PAYLOADS_BYTES_MAX)
		return;
	payloads->slots[slot].hash = *hash;
	payloads->slots[slot].bytes.len = 0;
	buf_put(&payloads->slots[slot].bytes, bytes, len);
}

int payloads_get(struct payloads *payloads, struct store *store, const struct hash *hash, struct buf *scratch,
                 const struct buf **ret, struct err *err)
{
	uint32_t slot = slot_of(hash);
	const struct buf *found = &payloads->slots[slot].bytes;
	int code;

	if (found->len && !memcmp(&payloads->slots[slot].hash, hash, sizeof *hash)) {
		*ret = found;
		return 0;
	}
	scratch->len = 0;
	code = store->ops->payload(store, hash, scratch, err);
	if (code < 0)
		return code;
	payloads_put(payloads, hash, scratch->data, scratch->len);
	*ret = scratch;
	return 0;
}

void payloads_drop(struct payloads *payloads, const struct hash *hash)
{
	uint32_t slot = slot_of(hash);

	if (!memcmp(&payloads->slots[slot].hash, hash, sizeof *hash))
		payloads->slots[slot].bytes.len = 0;
}

void payloads_done(struct payloads *payloads)
{
	for (uint32_t i = 0; i < PAYLOADS_SLOTS; i++)
		buf_done(&payloads->slots[i].bytes);
}
