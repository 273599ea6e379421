/* SPDX-License-Identifier: Apache-2.0
 * journal.c: the chain of batches; see journal.h. */
#include "core/journal.h"

#include <inttypes.h>
#include <string.h>

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
	hash = hash_of_buf(&header);
	return hash_chain(&hash, events, len);
}

static bool same(const struct hash *a, const struct hash *b)
{
	return !memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

static const struct anchor *next_anchor(const struct journal_walk *walk)
{
	return walk->next < walk->n_anchors ? &walk->anchors[walk->next] : NULL;
}

static int bad(const struct journal_walk *walk, const struct batch *batch, struct err *err, const char *why)
{
	return err_set(err, ERR_CORRUPT, "journal", "events %" PRIu64 " to %" PRIu64 ": %s; the last good event is %" PRIu64,
	               batch->sequence, batch->sequence + (batch->n_events ? batch->n_events - 1 : 0), why, walk->sequence);
}

/* The chain is whole, but isn't the one that was anchored: from the event after the last anchor that fits, it was written anew.
 */
static int rewritten(const struct journal_walk *walk, const struct anchor *anchor, struct err *err)
{
	char at[40];

	return err_set(
		err, ERR_CORRUPT, "journal",
		"events %" PRIu64 " to %" PRIu64 " were rewritten: their chain is whole, but it isn't what the anchor at event %" PRIu64
		" (%s) was made of; the last good event is %" PRIu64,
		walk->anchored + 1, anchor->sequence, anchor->sequence, us_format_instant(anchor->at_us, at, sizeof at), walk->anchored);
}

int journal_walk_take(struct journal_walk *walk, const struct batch *batch, struct err *err)
{
	uint64_t last = batch->sequence + batch->n_events - 1;
	const struct anchor *anchor = next_anchor(walk);
	struct hash hash;

	if (batch->sequence != walk->sequence + 1)
		return bad(walk, batch, err,
		           batch->sequence > walk->sequence ? "events before these are missing" : "these events come twice");
	if (!batch->n_events || batch->at_us < walk->at_us)
		return bad(walk, batch, err, batch->n_events ? "time goes back" : "a batch without events");
	hash = journal_hash(&walk->hash, batch->sequence, batch->n_events, batch->at_us, batch->events, batch->len);
	if (!same(&hash, &batch->hash))
		return bad(walk, batch, err, "the hash isn't that of these bytes after the events before them");
	if (anchor && anchor->sequence <= last && (anchor->sequence != last || !same(&anchor->hash, &hash))) {
		walk->good = walk->anchored;
		return rewritten(walk, anchor, err);
	}
	if (anchor && anchor->sequence == last) {
		walk->anchored = last;
		walk->next++;
	}
	walk->sequence = walk->good = last;
	walk->at_us = batch->at_us;
	walk->hash = hash;
	return 0;
}

int journal_walk_end(const struct journal_walk *walk, struct err *err)
{
	const struct anchor *anchor = next_anchor(walk);
	const struct anchor *last = anchor ? &walk->anchors[walk->n_anchors - 1] : NULL;
	char at[40];

	if (!anchor)
		return 0;
	return err_set(err, ERR_CORRUPT, "journal",
	               "events %" PRIu64 " to %" PRIu64 " are missing: the end was cut off, for an anchor says that event %" PRIu64
	               " was there at %s; the last good event is %" PRIu64,
	               walk->sequence + 1, last->sequence, last->sequence, us_format_instant(last->at_us, at, sizeof at),
	               walk->sequence);
}
