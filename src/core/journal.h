/* SPDX-License-Identifier: Apache-2.0
 * journal.h: the chain of batches, so that a changed, dropped, reordered or rewritten one shows.
 *
 * Each batch carries a hash of the one before and of its own bytes. That shows every change but two: an end that was cut off, and
 * a chain that was written anew from some event on. These show by *anchors*: points of the chain that were written down
 * elsewhere. */
#ifndef SUAN_CORE_JOURNAL_H
#define SUAN_CORE_JOURNAL_H

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
	struct hash hash; /* of the previous batch's hash, and this one's header and events */
};

/* The chain after some event, as it was written down elsewhere. */
struct anchor {
	uint64_t sequence; /* of the last event of a batch */
	us_t at_us;        /* of the last event of that batch */
	struct hash hash;  /* of that batch */
};

/* The hash of a batch: of the previous batch's hash (all zero before the first), then sequence, number of events and
 * time as varints, then the events. */
struct hash journal_hash(const struct hash *previous, uint64_t sequence, uint32_t n_events, us_t at_us, const void *events,
                         size_t len);

/* Where a walk along the chain stands. All zero is before the first event; one may also begin behind a batch that is known. */
struct journal_walk {
	uint64_t sequence; /* of the last good event */
	us_t at_us;
	struct hash hash;
	const struct anchor *anchors; /* borrowed; by sequence, none twice */
	uint32_t n_anchors, next;     /* those before `next` were passed */
	uint64_t anchored;            /* the last event that an anchor vouches for; 0: none so far */
	uint64_t good; /* the last event that a copy may end with: `sequence`, or `anchored` after an anchor differed */
};

/* Takes the next batch. Returns 0; or ERR_CORRUPT, with the events that are wrong, how, and the last good one in the text,
 * and nothing but `good` has changed. */
int journal_walk_take(struct journal_walk *walk, const struct batch *batch, struct err *err);

/* At the end of the journal: ERR_CORRUPT where an anchor says that there were more events. */
int journal_walk_end(const struct journal_walk *walk, struct err *err);

#endif
