/* SPDX-License-Identifier: Apache-2.0
 * audit.c: batches gone over, on the caller's thread or another; see audit.h.
 *
 * Between the threads there is one ring of batches and one lock. Invariant: taken - done <= RING; slots [done, taken) are the
 * auditor's, all others the caller's. The first failure stays; what comes after it is passed over. */
#include "sim/audit.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "sim/plan_check.h"

enum { RING = 8 };

/* A batch that was handed over, with its bytes. */
struct handed {
	struct batch batch;
	struct buf events;
};

struct audit {
	/* The auditor's. */
	struct plan_check *checker; /* NULL: left out */
	struct arena arena;
	struct hash hash;
	/* Between the two, under the lock where there is a thread. */
	struct handed ring[RING];
	uint64_t taken, done; /* batches */
	bool closing;
	int failed; /* 0, or what *why says */
	struct err why;
	bool threaded;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t change;
};

/* ---- One batch ---- */

static int check_events(struct audit *audit, const struct batch *batch, struct err *err)
{
	struct reader r = reader_of(batch->events, batch->len);
	struct event event = {0};

	while (r.at < r.end) {
		arena_reset(&audit->arena);
		if (event_decode(&r, event.at_us, &audit->arena, &event) < 0)
			return err_set(err, ERR_CORRUPT, "event", "what the core wrote can't be read again");
		if (plan_check_event(audit->checker, &event, err) < 0)
			return ERR_CORRUPT;
	}
	return 0;
}

static int go_over(struct audit *audit, const struct batch *batch, struct err *err)
{
	audit->hash = journal_hash(&audit->hash, batch->sequence, batch->n_events, batch->at_us, batch->events, batch->len);
	return audit->checker ? check_events(audit, batch, err) : 0;
}

/* ---- The thread ---- */

static void *work(void *ctx)
{
	struct audit *audit = ctx;

	pthread_mutex_lock(&audit->lock);
	for (;;) {
		struct err err;
		int code;

		while (audit->done == audit->taken && !audit->closing)
			pthread_cond_wait(&audit->change, &audit->lock);
		if (audit->closing)
			break;
		if (!audit->failed) {
			const struct batch batch = audit->ring[audit->done % RING].batch;

			pthread_mutex_unlock(&audit->lock);
			code = go_over(audit, &batch, &err);
			pthread_mutex_lock(&audit->lock);
			if (code < 0) {
				audit->failed = code;
				audit->why = err;
			}
		}
		audit->done++;
		pthread_cond_signal(&audit->change);
	}
	pthread_mutex_unlock(&audit->lock);
	return NULL;
}

static int failure(const struct audit *audit, struct err *err)
{
	if (audit->failed && err)
		*err = audit->why;
	return audit->failed;
}

static int hand_over(struct audit *audit, struct buf *events, const struct batch *batch, struct err *err)
{
	struct handed *slot;
	struct buf room;
	int code;

	pthread_mutex_lock(&audit->lock);
	while (audit->taken - audit->done == RING)
		pthread_cond_wait(&audit->change, &audit->lock);
	slot = &audit->ring[audit->taken % RING];
	room = slot->events;
	room.len = 0;
	slot->events = *events;
	slot->batch = *batch;
	slot->batch.events = slot->events.data;
	*events = room;
	audit->taken++;
	code = failure(audit, err);
	pthread_cond_signal(&audit->change);
	pthread_mutex_unlock(&audit->lock);
	return code;
}

/* ---- Its life ---- */

struct audit *audit_new(bool unchecked, bool threaded)
{
	struct audit *audit = mem_new(1, sizeof *audit);

	audit->checker = unchecked ? NULL : plan_check_new();
	pthread_mutex_init(&audit->lock, NULL);
	pthread_cond_init(&audit->change, NULL);
	audit->threaded = threaded && pthread_create(&audit->thread, NULL, work, audit) == 0;
	return audit;
}

struct audit *audit_free(struct audit *audit)
{
	if (!audit)
		return NULL;
	pthread_mutex_lock(&audit->lock);
	audit->closing = true;
	pthread_cond_signal(&audit->change);
	pthread_mutex_unlock(&audit->lock);
	if (audit->threaded)
		pthread_join(audit->thread, NULL);
	pthread_mutex_destroy(&audit->lock);
	pthread_cond_destroy(&audit->change);
	for (int i = 0; i < RING; i++)
		buf_done(&audit->ring[i].events);
	plan_check_free(audit->checker);
	arena_done(&audit->arena);
	free(audit);
	return NULL;
}

int audit_take(struct audit *audit, struct buf *events, const struct batch *batch, struct err *err)
{
	if (audit->threaded)
		return hand_over(audit, events, batch, err);
	if (!audit->failed)
		audit->failed = go_over(audit, batch, &audit->why);
	events->len = 0;
	return failure(audit, err);
}

int audit_finish(struct audit *audit, struct hash *ret_hash, struct err *err)
{
	int code;

	pthread_mutex_lock(&audit->lock);
	while (audit->threaded && audit->done != audit->taken)
		pthread_cond_wait(&audit->change, &audit->lock);
	*ret_hash = audit->hash;
	code = failure(audit, err);
	pthread_mutex_unlock(&audit->lock);
	return code;
}

uint64_t audit_count(const struct audit *audit)
{
	return audit->checker ? plan_check_count(audit->checker) : 0;
}
