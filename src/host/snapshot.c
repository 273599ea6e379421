/* SPDX-License-Identifier: Apache-2.0
 * snapshot.c: what makes a start short and the core small: snapshots of the state, jobs that leave it, payloads that nobody has.
 *
 * A snapshot is of the follower, which the loop alone writes, so the loop may read it without a lock while others do, but for its
 * memos; what is slow, the keeper does. Before one is given to it, the history of all that left the core before is in the store:
 * so behind a snapshot nothing is missing, and after it replay brings it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "host/inside.h"
#include "host/log.h"

/* ---- Loading ---- */

struct place {
	const struct snapshot *snapshot;
	bool fits;
};

static int check_place(void *ctx, const struct batch *batch)
{
	struct place *place = ctx;

	place->fits = batch->sequence + batch->n_events - 1 == place->snapshot->sequence &&
	              !memcmp(batch->hash.bytes, place->snapshot->chain.bytes, HASH_BYTES);
	return 1;
}

/* Whether the journal has the batch that a snapshot was taken after. */
static int check_journal(const struct host *host, const struct snapshot *snapshot, struct err *err)
{
	struct place place = {.snapshot = snapshot};
	int code = host->config.store->ops->read(host->config.store, snapshot->sequence, check_place, &place, err);

	if (code < 0 || place.fits)
		return code < 0 ? code : 0;
	return err_set(err, ERR_CORRUPT, "snapshot", "the one after event %" PRIu64 " isn't of this journal", snapshot->sequence);
}

static int load_nth(struct host *host, uint32_t nth, struct snapshot *ret, struct err *err)
{
	struct store *store = host->config.store;
	struct buf bytes = {0};
	struct snapshot snapshot;
	struct core *core = NULL;
	int code = store->ops->snapshot(store, nth, &snapshot, &bytes, err);

	if (!code)
		code = check_journal(host, &snapshot, err);
	if (!code)
		code = core_load(bytes.data, bytes.len, &core, err);
	if (!code && core_sequence(core) != snapshot.sequence)
		code = err_set(err, ERR_CORRUPT, "snapshot", "the one after event %" PRIu64 " holds the state after event %" PRIu64,
		               snapshot.sequence, core_sequence(core));
	buf_done(&bytes);
	if (code < 0) {
		core_free(core);
		return code;
	}
	core_free(host->core);
	host->core = core;
	*ret = snapshot;
	return 0;
}

bool snapshot_load(struct host *host, struct snapshot *ret)
{
	*ret = (struct snapshot){0};
	for (uint32_t nth = 0; nth < SNAPSHOTS_KEPT; nth++) {
		struct err err;
		int code = load_nth(host, nth, ret, &err);

		if (!code)
			return true;
		if (code == ERR_NOT_FOUND)
			return false;
		log_failure(LOG_WARNING, "snapshot", &err);
	}
	return false;
}

/* ---- Taking ---- */

/* Room for a state a little larger than the last: growing to it by and by takes half as long again. */
static struct buf room_for(uint64_t last_len)
{
	struct buf buf = {.cap = last_len + last_len / 8};

	buf.data = buf.cap ? malloc(buf.cap) : NULL;
	return buf.data ? buf : (struct buf){0};
}

void snapshot_if_due(struct host *host, bool at_stop)
{
	struct snapshot snapshot = {
		.sequence = core_sequence(host->follower), .at_us = core_now(host->follower), .chain = host->chain};
	struct buf bytes;
	struct err err;

	if (!keeper_wants_snapshot(&host->keeper, at_stop))
		return;
	if (history_write(&host->history, host->config.store, &err) < 0) {
		log_failure(LOG_WARNING, "history", &err);
		return;
	}
	bytes = room_for(host->keeper.last_len);
	pthread_mutex_lock(&host->alone); /* it writes memos, as questions do */
	core_save(host->follower, &bytes);
	pthread_mutex_unlock(&host->alone);
	keeper_take(&host->keeper, &snapshot, &bytes);
}

/* ---- What leaves the core ---- */

void remember(struct host *host, const struct core *core, const struct event *event)
{
	const struct job *job;
	char *record;

	if (event->type != EVENT_FORGOTTEN || history_has(&host->history, event->forgotten.job))
		return;
	job = core_job(core, event->forgotten.job);
	record = host->config.job_record ? host->config.job_record(core, job) : mem_strdup("{}");
	history_add(&host->history, core, job, record ? record : mem_strdup("{}"));
}

void history_if_due(struct host *host, us_t now_us)
{
	struct err err;

	if (history_is_due(&host->history, now_us) && history_write(&host->history, host->config.store, &err) < 0)
		log_failure(LOG_WARNING, "history", &err);
}

/* ---- Payloads ---- */

struct unused {
	const struct core *core;
	struct hash *list;
	uint32_t n, cap;
};

static int note_unused(void *ctx, const struct hash *hash)
{
	struct unused *unused = ctx;

	if (core_payload_used(unused->core, hash))
		return 0;
	mem_grow((void **)&unused->list, &unused->cap, unused->n, sizeof *unused->list);
	unused->list[unused->n++] = *hash;
	return 0;
}

void sweep_payloads(struct host *host)
{
	struct store *store = host->config.store;
	struct unused unused = {.core = host->core};
	struct err err;
	int code = store->ops->payloads(store, note_unused, &unused, &err);

	for (uint32_t i = 0; !code && i < unused.n; i++) {
		code = store->ops->erase(store, &unused.list[i], &err);
		if (code == ERR_BUSY) /* it is gone; an old reader may still look at where it was */
			code = 0;
	}
	free(unused.list);
	if (code < 0)
		log_failure(LOG_WARNING, "erasing payloads", &err);
	else if (unused.n)
		log_entry(LOG_INFO, "erased", "payloads=%" PRIu32, unused.n);
}
