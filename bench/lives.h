/* SPDX-License-Identifier: Apache-2.0
 * lives.h: a journal as a busy pool makes it, by the simulator: the whole lives of many jobs. */
#ifndef SUAN_BENCH_LIVES_H
#define SUAN_BENCH_LIVES_H

#include "port/store.h"

/* A journal in memory: its batches, one after the other. */
struct lives {
	struct buf bytes;
	struct batch *batches; /* `events` is NULL: batch i's begin at offsets[i] */
	size_t *offsets;
	uint32_t n_batches, batches_cap, offsets_cap;
	uint64_t n_events;
	struct hash chain;
};

/* Runs jobs through a pool of 10,240 cards at some 85% of its capacity, until `jobs` are over, or, where `events` isn't 0, there
 * are that many. Times end near now_us. */
void lives_make(struct lives *lives, uint32_t jobs, uint64_t events, uint64_t seed, int64_t now_us);
/* A batch with its events. */
struct batch lives_batch(const struct lives *lives, uint32_t i);
void lives_done(struct lives *lives);

#endif
