/* SPDX-License-Identifier: Apache-2.0
 * recent.c: the batches that were committed lately; see recent.h. */
#include "host/recent.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void recent_init(struct recent *recent)
{
	memset(recent, 0, sizeof *recent);
	pthread_mutex_init(&recent->lock, NULL);
}

static struct kept **slot(struct recent *recent, uint64_t number)
{
	return &recent->ring[number % RECENT_BATCHES];
}

static uint64_t last_event(const struct batch *batch)
{
	return batch->sequence + batch->n_events - 1;
}

static void drop_oldest(struct recent *recent)
{
	struct kept *oldest = *slot(recent, recent->first);

	recent->bytes -= oldest->batch.len;
	*slot(recent, recent->first++) = NULL;
	recent_put(oldest);
}

void recent_done(struct recent *recent)
{
	while (recent->first != recent->end)
		drop_oldest(recent);
	pthread_mutex_destroy(&recent->lock);
}

void recent_add(struct recent *recent, const struct batch *batch)
{
	struct kept *kept = mem_new(1, sizeof *kept + batch->len);

	atomic_init(&kept->refs, 1);
	kept->batch = *batch;
	kept->batch.events = memcpy(kept + 1, batch->events, batch->len);
	pthread_mutex_lock(&recent->lock);
	*slot(recent, recent->end++) = kept;
	recent->bytes += batch->len;
	/* One slot stays free for the next; the newest stays, whatever its size. */
	while (recent->end - recent->first == RECENT_BATCHES || (recent->bytes > RECENT_BYTES_MAX && recent->end - recent->first > 1))
		drop_oldest(recent);
	pthread_mutex_unlock(&recent->lock);
}

struct kept *recent_get(struct recent *recent, uint64_t from, bool *ret_older)
{
	struct kept *found = NULL;
	uint64_t low, high;

	pthread_mutex_lock(&recent->lock);
	low = recent->first;
	high = recent->end;
	*ret_older = low == high || (*slot(recent, low))->batch.sequence > from;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (last_event(&(*slot(recent, middle))->batch) < from)
			low = middle + 1;
		else
			high = middle;
	}
	if (!*ret_older && low < recent->end) {
		found = *slot(recent, low);
		atomic_fetch_add(&found->refs, 1);
	}
	pthread_mutex_unlock(&recent->lock);
	return found;
}

void recent_put(struct kept *kept)
{
	if (atomic_fetch_sub(&kept->refs, 1) == 1)
		free(kept);
}
