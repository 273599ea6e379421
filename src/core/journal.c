/* SPDX-License-Identifier: Apache-2.0
 * journal.c: the chain of batches; see journal.h. */
#include "core/journal.h"

#include "base/buf.h"

struct hash journal_hash(const struct hash *previous, uint64_t sequence, uint32_t n_events, us_t at_us, const void *events,
                         size_t len)
{
	struct buf header = {0};
	struct hash hash;

	buf_put(&header, previous->bytes, sizeof previous->bytes);
	buf_put_uint(&header, sequence);
	buf_put_uint(&header, n_events);
	buf_put_int(&header, at_us);
	hash = hash_of(header.data, header.len);
	buf_done(&header);
	return hash_chain(&hash, events, len);
}
