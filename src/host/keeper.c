/* SPDX-License-Identifier: Apache-2.0
 * keeper.c: writes snapshots and anchors beside the journal; see keeper.h. None of it is needed for what was acknowledged to
 * last, so a failure here is said, and tried again later. */
#include "host/keeper.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "host/log.h"

static void init(struct keeper *keeper, struct store *store, uint64_t snapshot_events)
{
	pthread_condattr_t attr;

	*keeper = (struct keeper){
		.store = store, .anchors.fd = -1, .snapshot_events = snapshot_events ? snapshot_events : KEEPER_SNAPSHOT_EVENTS};
	pthread_mutex_init(&keeper->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&keeper->wanted, &attr);
	pthread_condattr_destroy(&attr);
}

int keeper_open(struct keeper *keeper, struct store *store, const char *state_dir, const char *path, uint64_t snapshot_events,
                struct err *err)
{
	int code;

	init(keeper, store, snapshot_events);
	if (!strcmp(store->ops->name, "memory")) /* its journal ends with the process: nothing could be held against the next one */
		return 0;
	code = anchors_open(state_dir, path, &keeper->anchors, err);
	if (!code && keeper->anchors.n)
		keeper->anchored = keeper->anchors.list[keeper->anchors.n - 1].sequence;
	return code;
}

void keeper_done(struct keeper *keeper)
{
	if (!keeper->store) /* never opened */
		return;
	keeper_stop(keeper);
	anchors_done(&keeper->anchors);
	buf_done(&keeper->bytes_of_snapshot);
	pthread_cond_destroy(&keeper->wanted);
	pthread_mutex_destroy(&keeper->lock);
}

/* ---- The thread ---- */

static void write_snapshot(struct keeper *keeper)
{
	struct snapshot *snapshot = &keeper->snapshot;
	struct err err = {0};

	snapshot->bytes = keeper->bytes_of_snapshot.data;
	snapshot->len = keeper->bytes_of_snapshot.len;
	snapshot->digest = hash_of(snapshot->bytes, snapshot->len);
	if (keeper->store->ops->snapshot_put(keeper->store, snapshot, &err) < 0)
		log_failure(LOG_WARNING, "snapshot", &err);
	else
		log_entry(LOG_INFO, "snapshot", "sequence=%" PRIu64 " bytes=%zu", snapshot->sequence, snapshot->len);
	buf_done(&keeper->bytes_of_snapshot);
}

static bool write_anchor(struct keeper *keeper, const struct anchor *anchor)
{
	struct err err = {0};

	if (keeper->anchors.fd < 0)
		return true;
	if (anchors_add(&keeper->anchors, anchor, &err) == 0)
		return true;
	log_failure(LOG_WARNING, "anchor", &err);
	return false;
}

static struct timespec in_seconds(int seconds)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += seconds;
	return t;
}

/* Waits for work. The lock is held. Returns whether the time for an anchor has come. */
static bool wait_for_work(struct keeper *keeper)
{
	struct timespec until = in_seconds(KEEPER_ANCHOR_S);
	int rc = 0;

	while (!keeper->stopping && !keeper->writing && keeper->batches < KEEPER_ANCHOR_BATCHES && rc == 0)
		rc = pthread_cond_timedwait(&keeper->wanted, &keeper->lock, &until);
	return rc != 0 || keeper->stopping || keeper->batches >= KEEPER_ANCHOR_BATCHES;
}

/* One round; the lock is held before and after, and not while writing. */
static void work(struct keeper *keeper, bool anchor_is_due)
{
	struct anchor latest = keeper->latest;
	bool anchor = anchor_is_due && latest.sequence > keeper->anchored, snapshot = keeper->writing;

	if (anchor_is_due)
		keeper->batches = 0;
	pthread_mutex_unlock(&keeper->lock);
	if (anchor)
		anchor = write_anchor(keeper, &latest);
	if (snapshot)
		write_snapshot(keeper);
	pthread_mutex_lock(&keeper->lock);
	if (anchor)
		keeper->anchored = latest.sequence;
	if (snapshot)
		keeper->writing = false;
}

static void *keep(void *arg)
{
	struct keeper *keeper = arg;
	bool over = false;

	pthread_setname_np(pthread_self(), "keeper");
	pthread_mutex_lock(&keeper->lock);
	while (!over) {
		bool anchor_is_due = wait_for_work(keeper);

		over = keeper->stopping && !keeper->writing;
		work(keeper, anchor_is_due);
	}
	pthread_mutex_unlock(&keeper->lock);
	return NULL;
}

int keeper_start(struct keeper *keeper, struct err *err)
{
	/* What there was before the first anchor gets one at once. */
	pthread_mutex_lock(&keeper->lock);
	if (!keeper->anchored && keeper->latest.sequence)
		keeper->batches = KEEPER_ANCHOR_BATCHES;
	pthread_mutex_unlock(&keeper->lock);
	if (pthread_create(&keeper->thread, NULL, keep, keeper) != 0)
		return err_set(err, ERR_NOMEM, "host", "can't start a thread");
	keeper->started = true;
	return 0;
}

void keeper_stop(struct keeper *keeper)
{
	if (!keeper->started)
		return;
	pthread_mutex_lock(&keeper->lock);
	keeper->stopping = true;
	pthread_cond_signal(&keeper->wanted);
	pthread_mutex_unlock(&keeper->lock);
	pthread_join(keeper->thread, NULL);
	keeper->started = false;
}

/* ---- The loop's side ---- */

void keeper_note(struct keeper *keeper, const struct batch *batch)
{
	keeper->events += batch->n_events;
	keeper->bytes += batch->len;
	pthread_mutex_lock(&keeper->lock);
	keeper->latest = (struct anchor){
		.sequence = batch->sequence + batch->n_events - 1, .at_us = batch->at_us, .hash = batch->hash};
	if (++keeper->batches == KEEPER_ANCHOR_BATCHES)
		pthread_cond_signal(&keeper->wanted);
	pthread_mutex_unlock(&keeper->lock);
}

void keeper_resume(struct keeper *keeper, const struct snapshot *snapshot)
{
	keeper->events = keeper->bytes = 0;
	keeper->last_len = snapshot->len;
	keeper->latest = (struct anchor){.sequence = snapshot->sequence, .at_us = snapshot->at_us, .hash = snapshot->chain};
}

bool keeper_wants_snapshot(struct keeper *keeper, bool at_stop)
{
	bool is_due = at_stop ? keeper->events >= KEEPER_STOP_EVENTS || keeper->events >= keeper->snapshot_events
	                      : keeper->events >= keeper->snapshot_events && keeper->bytes >= keeper->last_len / 2;
	bool writing;

	if (!is_due || !keeper->started)
		return false;
	pthread_mutex_lock(&keeper->lock);
	writing = keeper->writing;
	pthread_mutex_unlock(&keeper->lock);
	return !writing;
}

void keeper_take(struct keeper *keeper, const struct snapshot *snapshot, struct buf *bytes)
{
	keeper->events = keeper->bytes = 0;
	keeper->last_len = bytes->len;
	pthread_mutex_lock(&keeper->lock);
	keeper->snapshot = *snapshot;
	keeper->bytes_of_snapshot = *bytes;
	keeper->writing = true;
	pthread_cond_signal(&keeper->wanted);
	pthread_mutex_unlock(&keeper->lock);
	*bytes = (struct buf){0};
}
