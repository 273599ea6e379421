/* SPDX-License-Identifier: Apache-2.0
 * replay.c: from the journal back to the state, in both cores. What is applied is what follows the newest good snapshot; what
 * is checked, against the chain and its anchors, is all of it, beside that on a thread of its own. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "host/inside.h"
#include "host/log.h"

enum { HISTORY_PIECE = 1000 };

struct replay {
	struct host *host;
	struct journal_walk walk;
	uint32_t write_at; /* once so many wait for the history */
	struct err *err;
};

/* Checking alone, of the whole journal. */
struct check {
	struct store *store;
	struct journal_walk walk;
	struct err err;
	int code;
	pthread_t thread;
};

/* ---- Checking ---- */

static int check_batch(void *ctx, const struct batch *batch)
{
	struct check *check = ctx;

	return journal_walk_take(&check->walk, batch, &check->err);
}

static void *check_all(void *arg)
{
	struct check *check = arg;

	check->code = check->store->ops->read(check->store, 0, check_batch, check, &check->err);
	if (!check->code)
		check->code = journal_walk_end(&check->walk, &check->err);
	return NULL;
}

/* What to do about it stands with what is wrong. */
static int say_way_out(const struct journal_walk *walk, int code, struct err *err)
{
	size_t len = strlen(err->text);

	if (code != ERR_CORRUPT)
		return code;
	snprintf(err->text + len, sizeof err->text - len,
	         walk->good ? ". `suan journal copy --from OLD --until %" PRIu64
	                      " --to NEW` makes a journal that ends there, to go on with (docs/record.md)"
	                    : "; docs/record.md says how to go on%.0" PRIu64,
	         walk->good);
	return code;
}

/* ---- Applying ---- */

static void on_event(void *ctx, const struct core *core, uint64_t sequence, const struct event *event)
{
	struct replay *replay = ctx;

	(void)sequence;
	remember(replay->host, core, event);
}

/* A disk that is full for now is no reason not to start: what waits is written later. */
static void write_history(struct replay *replay)
{
	struct history *history = &replay->host->history;
	struct err err;

	if (history_write(history, replay->host->config.store, &err) < 0)
		log_failure(LOG_WARNING, "history", &err);
	replay->write_at = history->n + HISTORY_PIECE;
}

static int apply_batch(void *ctx, const struct batch *batch)
{
	struct replay *replay = ctx;
	struct host *host = replay->host;
	struct journal_walk before = replay->walk;
	struct err why = {0};
	int code = journal_walk_take(&replay->walk, batch, replay->err);

	if (code < 0)
		return code;
	code = core_apply(host->core, batch->events, batch->len, on_event, replay, &why);
	if (code < 0 || core_sequence(host->core) != replay->walk.sequence) {
		replay->walk = before;
		return err_set(replay->err, ERR_CORRUPT, "journal",
		               "events %" PRIu64 " to %" PRIu64 ": %s; the last good event is %" PRIu64, batch->sequence,
		               batch->sequence + batch->n_events - 1,
		               code < 0 ? why.text : "they hold another number of events than they say", before.good);
	}
	keeper_note(&host->keeper, batch);
	if (host->history.n >= replay->write_at)
		write_history(replay);
	return 0;
}

/* The follower is a copy of the core that was made. */
static int copy_core(struct host *host, struct err *err)
{
	struct buf bytes = {0};
	struct core *copy;
	int code;

	core_save(host->core, &bytes);
	code = core_load(bytes.data, bytes.len, &copy, err);
	buf_done(&bytes);
	if (code < 0)
		return code;
	core_free(host->follower);
	host->follower = copy;
	return 0;
}

static int apply_from(struct host *host, const struct snapshot *snapshot, struct journal_walk *walk, struct err *err)
{
	struct store *store = host->config.store;
	struct replay replay = {.host = host, .walk = *walk, .write_at = HISTORY_PIECE, .err = err};
	struct err why;
	int code;

	if (snapshot->sequence) {
		replay.walk = (struct journal_walk){
			.sequence = snapshot->sequence, .good = snapshot->sequence, .at_us = snapshot->at_us, .hash = snapshot->chain};
		keeper_resume(&host->keeper, snapshot);
	} else if (history_learn(&host->history, store, &why) < 0) {
		log_failure(LOG_WARNING, "history", &why); /* then all of it is written again, which changes nothing */
	}
	code = store->ops->read(store, replay.walk.sequence + 1, apply_batch, &replay, err);
	if (!code)
		code = journal_walk_end(&replay.walk, err);
	history_unlearn(&host->history);
	if (!code)
		write_history(&replay);
	if (!code)
		code = copy_core(host, err);
	host->chain = replay.walk.hash;
	*walk = replay.walk;
	return code;
}

int replay(struct host *host, us_t *ret_last_us, struct err *err)
{
	struct anchors *anchors = &host->keeper.anchors;
	struct check check = {.store = host->config.store, .walk = {.anchors = anchors->list, .n_anchors = anchors->n}};
	struct snapshot snapshot;
	struct journal_walk walk = check.walk;
	bool beside = snapshot_load(host, &snapshot) && pthread_create(&check.thread, NULL, check_all, &check) == 0;
	int code;

	if (!beside && snapshot.sequence)
		check_all(&check);
	code = apply_from(host, &snapshot, &walk, err);
	if (beside)
		pthread_join(check.thread, NULL);
	if (check.code < 0) { /* of all of it, so it knows better */
		*err = check.err;
		code = check.code;
		walk = check.walk;
	}
	*ret_last_us = walk.at_us;
	return code < 0 ? say_way_out(&walk, code, err) : 0;
}
