/* SPDX-License-Identifier: Apache-2.0
 * recent.h: the batches that were committed lately, for those who follow the events. */
#ifndef SUAN_HOST_RECENT_H
#define SUAN_HOST_RECENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "port/store.h"

enum { RECENT_BATCHES = 1024, RECENT_BYTES_MAX = 8 << 20 };

/* A batch with its events, shared by those who read it. */
struct kept {
	_Atomic unsigned refs;
	struct batch batch;
};

struct recent {
	pthread_mutex_t lock;
	struct kept *ring[RECENT_BATCHES];
	uint64_t first, end; /* those numbered first to end − 1 are there, at number % RECENT_BATCHES */
	size_t bytes;
};

void recent_init(struct recent *recent);
void recent_done(struct recent *recent);

/* Adds a copy of the batch that follows; the oldest leave where there is no room. */
void recent_add(struct recent *recent, const struct batch *batch);

/* The first batch that ends at or after the event `from`, for recent_put; NULL where none does, or where it isn't kept
 * any more: *ret_older then says so. */
struct kept *recent_get(struct recent *recent, uint64_t from, bool *ret_older);
void recent_put(struct kept *kept);

#endif
