/* SPDX-License-Identifier: Apache-2.0
 * commit.c: a step becomes durable, and only then can be seen.
 *
 * Nothing is rolled back: a batch that the store wouldn't take is kept and tried again. Meanwhile new calls are
 * refused, for nobody could tell their callers when they would be durable, and those of the batch itself are told so after a
 * moment; reports wait in the queue. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "core/journal.h"
#include "host/inside.h"
#include "host/log.h"
#include "host/secret.h"

/* PATIENCE_US: how long the callers of a batch that isn't taken wait before they are told. */
enum { RETRY_FIRST_US = 10000, RETRY_MOST_US = 1000000, PATIENCE_US = 400000 };

void drop_secrets(const struct host *host, struct service_call *call, bool only_unused)
{
	for (uint32_t i = 0; call->type == SERVICE_SUBMIT && i < call->n_items; i++) {
		struct service_item *item = &call->items[i];

		if (!item->secret_name[0] || (only_unused && item->code == 0 && !item->repeated))
			continue;
		secret_remove(host->secrets, item->secret_name);
		item->secret_name[0] = 0;
	}
}

void refuse(const struct host *host, struct service_call *call, int code, const char *text)
{
	drop_secrets(host, call, false);
	call->code = err_set(&call->err, code, NULL, "%s", text);
	call->done(call);
}

static us_t stopwatch(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (us_t)t.tv_sec * US_SECOND + t.tv_nsec / 1000;
}

static void count_commit(struct host *host, int code, uint32_t n_events, us_t took_us)
{
	uint32_t bucket = 0;

	while (bucket < SERVICE_BUCKETS && took_us > service_bucket_us[bucket])
		bucket++;
	pthread_mutex_lock(&host->stats_lock);
	if (code < 0) {
		host->stats.commits_failed++;
	} else {
		host->stats.commits++;
		host->stats.events += n_events;
		host->stats.commit_us_sum += (uint64_t)took_us;
		host->stats.commit_le[bucket]++;
	}
	pthread_mutex_unlock(&host->stats_lock);
}

static int append(struct host *host, const struct batch *batch, struct err *err)
{
	us_t begun = stopwatch();
	int code = host->config.store->ops->append(host->config.store, batch, host->blobs, host->n_blobs, err);

	count_commit(host, code, batch->n_events, stopwatch() - begun);
	return code;
}

static bool is_passing(int code)
{
	return code == ERR_FULL || code == ERR_IO || code == ERR_BUSY || code == ERR_NOMEM;
}

/* The calls that came while the store takes nothing. */
static bool refuse_waiting(struct host *host, us_t wait_us, const struct err *err)
{
	struct service_call *calls, *next;
	bool open = inbox_take_calls(&host->inbox, wait_us, &calls);

	for (; calls; calls = next) {
		next = calls->next;
		refuse(host, calls, err->code, err->text);
	}
	return open;
}

static void keep_blobs(struct host *host)
{
	for (uint32_t i = 0; i < host->n_blobs; i++) {
		void *copy = arena_new(&host->kept, host->blobs[i].len, 1);

		memcpy(copy, host->blobs[i].bytes, host->blobs[i].len);
		host->blobs[i].bytes = copy;
	}
}

/* Nobody waits for a sick disk without a word: what the step's callers asked for will be done, but nobody can tell them when. */
static void answer_undecided(struct host *host, const struct err *why)
{
	struct service_call *next;

	if (!host->calls)
		return;
	keep_blobs(host);
	for (struct service_call *call = host->calls; call; call = next) {
		next = call->next;
		drop_secrets(host, call, true);
		call->code = err_set(
			&call->err, why->code, why->subject, "%.400s; it is tried again, so this may be done later: %s", why->text,
			call->type == SERVICE_BOOK ? "look at the bookings before asking again" : "ask again with the same Idempotency-Key");
		call->done(call);
	}
	host->calls = NULL;
}

static bool append_until_durable(struct host *host, const struct batch *batch)
{
	struct err err = {0};
	us_t wait_us = RETRY_FIRST_US, begun_us = stopwatch();
	int code;

	while ((code = append(host, batch, &err)) < 0) {
		if (!is_passing(code)) {
			log_failure(LOG_ERROR, "commit", &err);
			host->config.stopped(host->config.ctx);
			return false;
		}
		if (!atomic_load(&host->failing))
			log_failure(LOG_ERROR, "commit", &err);
		atomic_store(&host->failing, code);
		if (stopwatch() - begun_us > PATIENCE_US)
			answer_undecided(host, &err);
		if (!refuse_waiting(host, wait_us, &err))
			return false;
		wait_us = wait_us * 2 < RETRY_MOST_US ? wait_us * 2 : RETRY_MOST_US;
	}
	if (atomic_exchange(&host->failing, 0))
		log_entry(LOG_INFO, "resumed", "sequence=%" PRIu64, batch->sequence);
	return true;
}

static void count_preempted(struct host *host, const struct event *event)
{
	if (event->type != EVENT_STOPPING || (event->stopping.cause != CAUSE_PREEMPTED && event->stopping.cause != CAUSE_RECLAIMED))
		return;
	pthread_mutex_lock(&host->stats_lock);
	host->stats.preempted++;
	pthread_mutex_unlock(&host->stats_lock);
}

/* Sees each event just before the follower takes it: the secrets of a job that ends go, and what is forgotten is remembered. */
static void on_event(void *ctx, const struct core *core, uint64_t sequence, const struct event *event)
{
	struct host *host = ctx;
	const struct job *job;

	(void)sequence;
	remember(host, core, event);
	count_preempted(host, event);
	if (event->type != EVENT_ENDED || event->ended.then == JOB_QUEUED)
		return;
	job = core_job(core, event->ended.job);
	if (!job || job->array_of || !job->extra || !job->extra->secrets)
		return;
	mem_grow((void **)&host->stale, &host->stale_cap, host->n_stale, sizeof *host->stale);
	strncpy(host->stale[host->n_stale], job->extra->secrets, SERVICE_SECRET_NAME - 1);
	host->stale[host->n_stale++][SERVICE_SECRET_NAME - 1] = 0;
}

static void show(struct host *host, const struct batch *batch)
{
	struct err err;
	int code;

	pthread_rwlock_wrlock(&host->view);
	code = core_apply(host->follower, batch->events, batch->len, on_event, host, &err);
	pthread_rwlock_unlock(&host->view);
	assert(code == 0);
	assert(core_sequence(host->follower) == core_sequence(host->core));
	host->chain = batch->hash;
	keeper_note(&host->keeper, batch);
	recent_add(&host->recent, batch);
	for (uint32_t i = 0; i < host->n_blobs; i++)
		payloads_put(&host->payloads, &host->blobs[i].hash, host->blobs[i].bytes, host->blobs[i].len);
	for (uint32_t i = 0; i < host->n_stale; i++)
		secret_remove(host->secrets, host->stale[i]);
	host->n_stale = 0;
	pthread_mutex_lock(&host->watch_lock);
	if (host->changed)
		host->changed(host->changed_ctx);
	pthread_mutex_unlock(&host->watch_lock);
}

static struct batch batch_of(const struct host *host)
{
	const struct step *step = &host->step;
	struct batch batch = {.sequence = core_sequence(host->core) - step->n_events + 1,
	                      .n_events = step->n_events,
	                      .at_us = step->last_us,
	                      .events = step->events.data,
	                      .len = step->events.len};

	batch.hash = journal_hash(&host->chain, batch.sequence, batch.n_events, batch.at_us, batch.events, batch.len);
	return batch;
}

bool commit(struct host *host)
{
	struct batch batch;

	if (!host->step.n_events)
		return true;
	batch = batch_of(host);
	if (!append_until_durable(host, &batch))
		return false;
	show(host, &batch);
	return true;
}

int commit_once(struct host *host, struct err *err)
{
	struct batch batch;
	int code;

	if (!host->step.n_events)
		return 0;
	batch = batch_of(host);
	code = append(host, &batch, err);
	if (!code)
		show(host, &batch);
	return code;
}
