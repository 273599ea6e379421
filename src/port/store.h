/* SPDX-License-Identifier: Apache-2.0
 * store.h: where the journal and the payloads are kept. Function tables and nothing else.
 *
 * A store is used by one thread for appending; reads may come from others at the same time. */
#ifndef SUAN_PORT_STORE_H
#define SUAN_PORT_STORE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/units.h"

/* One commit: events `sequence` to `sequence + n_events − 1`. */
struct batch {
	uint64_t sequence; /* of its first event; the first batch has 1 */
	uint32_t n_events;
	us_t at_us; /* time of its last event */
	const void *events;
	size_t len;
	struct hash hash; /* of the previous batch's hash, and this one's header and events: journal.h */
};

/* A payload to keep under the hash of its bytes. */
struct blob {
	struct hash hash;
	const void *bytes;
	size_t len;
};

struct store {
	const struct store_ops *ops;
};

struct store_ops {
	const char *name; /* "sqlite", "memory" */

	/* Appends a batch and its payloads, all or nothing; returns 0 once they are durable. The batch must follow the
	 * last one (ERR_CONFLICT). A payload that is there already is no error. ERR_FULL: no space; ERR_IO: the device
	 * failed; after either, the same batch may be tried again. */
	int (*append)(struct store *store, const struct batch *batch, const struct blob *blobs, uint32_t n_blobs, struct err *err);

	/* Calls visit for each batch that ends at or after `from_sequence`, in order; what it gets is good for the call. Stops
	 * where visit returns other than 0, and returns that. Returns 0 at the end. */
	int (*read)(struct store *store, uint64_t from_sequence, int (*visit)(void *ctx, const struct batch *batch), void *ctx,
	            struct err *err);

	/* The last batch's sequence and hash, without its events; sequence 0 and n_events 0 where the store is empty. */
	int (*last)(struct store *store, struct batch *ret, struct err *err);

	/* Appends a payload's bytes to *ret. Returns 0 or ERR_NOT_FOUND (never kept, or erased). */
	int (*payload)(struct store *store, const struct hash *hash, struct buf *ret, struct err *err);

	/* Erases a payload for good; one that isn't there is no error. */
	int (*erase)(struct store *store, const struct hash *hash, struct err *err);

	struct store *(*close)(struct store *store); /* accepts NULL, returns NULL */
};

#endif
