/* SPDX-License-Identifier: Apache-2.0
 * verify.c: whether a journal is whole: each batch follows the one before, and hashes as journal.h says. */
#include <inttypes.h>
#include <string.h>

#include "core/journal.h"
#include "store/stores.h"

struct walk {
	struct batch last; /* the last good one, without its events */
	struct err *err;
};

static uint64_t last_event(const struct batch *batch)
{
	return batch->sequence ? batch->sequence + batch->n_events - 1 : 0;
}

static int bad(const struct walk *walk, const struct batch *batch, const char *why)
{
	return err_set(walk->err, ERR_CORRUPT, "journal", "events %" PRIu64 " to %" PRIu64 ": %s; the last good event is %" PRIu64,
	               batch->sequence, last_event(batch), why, last_event(&walk->last));
}

static bool same(const struct hash *a, const struct hash *b)
{
	return !memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

static int visit(void *ctx, const struct batch *batch)
{
	struct walk *walk = ctx;
	uint64_t next = last_event(&walk->last) + 1;
	struct hash hash;

	if (batch->sequence != next)
		return bad(walk, batch, batch->sequence > next ? "events before these are missing" : "these events come twice");
	if (!batch->n_events || batch->at_us < walk->last.at_us)
		return bad(walk, batch, batch->n_events ? "time goes back" : "a batch without events");
	hash = journal_hash(&walk->last.hash, batch->sequence, batch->n_events, batch->at_us, batch->events, batch->len);
	if (!same(&hash, &batch->hash))
		return bad(walk, batch, "the hash isn't that of these bytes after the events before them");
	walk->last = *batch;
	walk->last.events = NULL;
	walk->last.len = 0;
	return 0;
}

int journal_verify(struct store *store, struct batch *ret_last, struct err *err)
{
	struct walk walk = {.err = err};
	int code = store->ops->read(store, 0, visit, &walk, err);

	if (ret_last)
		*ret_last = walk.last;
	return code;
}
