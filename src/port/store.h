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
#include "core/event.h"
#include "core/journal.h"

/* A payload to keep under the hash of its bytes. */
struct blob {
	struct hash hash;
	const void *bytes;
	size_t len;
};

/* A state of the core, as it was right after a batch. */
struct snapshot {
	uint64_t sequence;  /* of the last event that is in it */
	us_t at_us;         /* of that event */
	struct hash chain;  /* of the batch that ends with it */
	struct hash digest; /* of the bytes */
	const void *bytes;  /* core_save's */
	size_t len;
};

enum { SNAPSHOTS_KEPT = 2 };

/* A job that has left the core, as the history keeps it. */
struct past_job {
	uint32_t id;
	uint32_t array_of, array_index; /* array_of 0: not an element */
	uint32_t attempt;               /* attempts that it had */
	enum job_state state;           /* completed, failed or canceled */
	us_t ended_us;
	const char *project;
	const char *centre; /* of its last attempt; "" for none */
	const char *record; /* the whole job, for showing */
};

/* Which of them: all that is stated must hold. */
struct past_query {
	uint32_t after, before;         /* their number is above `after`, and below `before` */
	uint32_t array_of, array_index; /* array_of 0: any */
	int state;                      /* enum job_state; below 0: any */
	const char *project;            /* NULL: any */
	uint32_t limit;                 /* that many at most */
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

	/* Calls visit with the hash of each payload that is kept, in any order, until it returns other than 0, and returns that. */
	int (*payloads)(struct store *store, int (*visit)(void *ctx, const struct hash *hash), void *ctx, struct err *err);

	/* Keeps a snapshot, and of the older ones only the last SNAPSHOTS_KEPT − 1; any that is beyond it isn't of this journal, and
	 * goes. Durable when it returns 0, and never seen in part. May be called from any one thread, beside append and reads,
	 * neither of which waits for it. Cost: writes its bytes, in pieces. */
	int (*snapshot_put)(struct store *store, const struct snapshot *snapshot, struct err *err);

	/* The nth newest snapshot, from 0; its bytes, checked by their digest, are appended to *bytes, and ret->bytes is left NULL.
	 * Returns 0; ERR_NOT_FOUND: there are no more than n; ERR_CORRUPT: this one isn't what was written. Then *bytes is as before.
	 */
	int (*snapshot)(struct store *store, uint32_t nth, struct snapshot *ret, struct buf *bytes, struct err *err);

	/* Adds jobs to the history, all or nothing; returns 0 once they are durable. One that is there already stays as it is. Of the
	 * appending thread. Errors as append's. */
	int (*history_put)(struct store *store, const struct past_job *jobs, uint32_t n, struct err *err);

	/* Calls visit for those of the history that the query wants, by falling number, until it returns other than 0, and returns
	 * that. What it gets is good for the call. Cost: O(those found), where no more than one of project and state is rare. */
	int (*history)(struct store *store, const struct past_query *query, int (*visit)(void *ctx, const struct past_job *job),
	               void *ctx, struct err *err);

	/* Calls visit with the number of each job of the history, in any order, until it returns other than 0, and returns that.
	 * Cost: O(jobs), and small: what else is known of them isn't read. */
	int (*history_ids)(struct store *store, int (*visit)(void *ctx, uint32_t job), void *ctx, struct err *err);

	struct store *(*close)(struct store *store); /* accepts NULL, returns NULL */
};

#endif
