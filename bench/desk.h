/* SPDX-License-Identifier: Apache-2.0
 * desk.h: a core with what a daemon does after each of its turns: the events are hashed into the chain, and the batch is closed.
 */
#ifndef SUAN_BENCH_DESK_H
#define SUAN_BENCH_DESK_H

#include "core/journal.h"
#include "pool.h"

struct desk {
	struct core *core;
	struct step step;
	struct hash chain;
	uint64_t placed, events, bytes;
	us_t now_us;
	uint32_t *started; /* jobs placed since whoever reads this last set n_started to 0 */
	uint32_t n_started, started_cap;
};

/* A core over bench_pool(cards), all of it taken by the blockers. The caller owns it, until desk_close. */
void desk_open(struct desk *desk, uint32_t cards, uint32_t blockers[BENCH_CENTRES]);
void desk_close(struct desk *desk);

/* Hashes what the steps since the last call yielded. _full: only once it is as much as a commit holds at 64 connections. */
void desk_commit(struct desk *desk);
void desk_commit_full(struct desk *desk);

#endif
