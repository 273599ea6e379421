/* SPDX-License-Identifier: Apache-2.0
 * view.c: the service that the API uses: calls in, the committed state and events out. Any thread. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "host/clock.h"
#include "host/inside.h"
#include "host/secret.h"

static struct host *of(struct service *service)
{
	return (struct host *)service;
}

static int write_secrets(const struct host *host, struct service_call *call, struct err *err)
{
	for (uint32_t i = 0; call->type == SERVICE_SUBMIT && i < call->n_items; i++) {
		struct service_item *item = &call->items[i];
		int code = item->n_secrets ? secret_write(host->secrets, item->secrets, item->n_secrets, item->secret_name, err) : 0;

		if (code < 0)
			return code;
	}
	return 0;
}

static void service_call(struct service *service, struct service_call *call)
{
	struct host *host = of(service);
	int code = atomic_load(&host->failing);

	if (mem_is_low()) /* before the core is entered, whose own allocations can't fail */
		code = err_set(&call->err, ERR_NOMEM, NULL,
		               "the daemon has no memory for more just now; nothing was done, and jobs that run go on");
	else if (code)
		code = err_set(&call->err, code, NULL, "the journal can't be written for now; nothing was done, and jobs that run go on");
	else
		code = write_secrets(host, call, &call->err);
	if (!code)
		code = inbox_put_call(&host->inbox, call, &call->err);
	if (!code)
		return;
	drop_secrets(host, call, false);
	pthread_mutex_lock(&host->stats_lock);
	host->stats.inputs_refused++;
	pthread_mutex_unlock(&host->stats_lock);
	call->code = code;
	call->done(call);
}

/* Which lock a reader took is the same for both kinds; `alone` readers also take turns among themselves. */
static _Thread_local bool is_alone;

static const struct core *read_begin(struct service *service, bool alone)
{
	struct host *host = of(service);

	if (alone)
		pthread_mutex_lock(&host->alone);
	is_alone = alone;
	pthread_rwlock_rdlock(&host->view);
	return host->follower;
}

static void read_end(struct service *service)
{
	struct host *host = of(service);

	pthread_rwlock_unlock(&host->view);
	if (is_alone)
		pthread_mutex_unlock(&host->alone);
}

static uint64_t after_batch(const struct batch *batch)
{
	return batch->sequence + batch->n_events;
}

struct catching_up {
	uint64_t next;
	int (*visit)(void *ctx, const struct batch *batch);
	void *ctx;
};

static int visit_stored(void *ctx, const struct batch *batch)
{
	struct catching_up *c = ctx;

	c->next = after_batch(batch);
	return c->visit(c->ctx, batch);
}

static int events(struct service *service, uint64_t from, int (*visit)(void *ctx, const struct batch *batch), void *ctx,
                  struct err *err)
{
	struct host *host = of(service);
	struct catching_up c = {.next = from ? from : 1, .visit = visit, .ctx = ctx};
	struct kept *kept;
	bool older;
	int code = 0;

	kept = recent_get(&host->recent, c.next, &older);
	if (!kept && older)
		code = host->config.store->ops->read(host->config.store, c.next, visit_stored, &c, err);
	while (!code && (kept || (kept = recent_get(&host->recent, c.next, &older)))) {
		c.next = after_batch(&kept->batch);
		code = visit(ctx, &kept->batch);
		recent_put(kept);
		kept = NULL;
	}
	return code;
}

static int history(struct service *service, const struct past_query *query, int (*visit)(void *ctx, const struct past_job *job),
                   void *ctx, struct err *err)
{
	struct host *host = of(service);

	return history_read(&host->history, host->config.store, query, visit, ctx, err);
}

static void watch(struct service *service, void (*changed)(void *ctx), void *ctx)
{
	struct host *host = of(service);

	pthread_mutex_lock(&host->watch_lock);
	host->changed = changed;
	host->changed_ctx = ctx;
	pthread_mutex_unlock(&host->watch_lock);
}

/* Where the output of a job that has left the core lies. */
struct past_place {
	const struct host *host;
	uint32_t attempts;
	struct engine *engine;
};

static int find_place(void *ctx, const struct past_job *job)
{
	struct past_place *place = ctx;

	place->attempts = job->attempt;
	for (uint32_t i = 0; i < place->host->n_stations; i++)
		if (place->host->stations[i].name && !strcmp(place->host->stations[i].name, job->centre))
			place->engine = place->host->stations[i].engine;
	return 1;
}

static int find_past_engine(struct host *host, uint32_t number, uint32_t attempt, struct engine **ret, uint32_t *ret_latest,
                            struct err *err)
{
	struct past_query query = {.after = number - 1, .before = number + 1, .state = -1, .limit = 1};
	struct past_place place = {.host = host};
	int code = number ? history(&host->service, &query, find_place, &place, err) : 0;

	if (code <= 0)
		return code ? code : err_set(err, ERR_NOT_FOUND, "id", "%u: no such job", number);
	if (attempt < 1 || attempt > place.attempts)
		return err_set(err, ERR_NOT_FOUND, "attempt", "%u: job %u has had %u", attempt, number, place.attempts);
	*ret = place.engine;
	*ret_latest = place.attempts;
	return 0;
}

/* Where an attempt before the latest ran isn't kept: it may have been at another centre. So all are asked whose engines really
 * run something; an attempt's name is the same at each, and no other's. */
static int open_earlier(struct host *host, uint32_t number, uint32_t attempt, uint32_t rank, int *ret_fd, struct err *err)
{
	for (uint32_t i = 0; i < host->n_stations; i++) {
		struct engine *engine = host->stations[i].engine;

		if (engine && !(engine->ops->capabilities & IS_SIMULATED) &&
		    engine->ops->log_open(engine, number, attempt, rank, ret_fd, err) == 0)
			return 0;
	}
	return err_set(err, ERR_NOT_FOUND, "attempt", "%u of job %u left no output at node %u of any centre of the pool", attempt,
	               number, rank);
}

static int log_open(struct service *service, uint32_t number, uint32_t attempt, uint32_t rank, int *ret_fd, struct err *err)
{
	struct host *host = of(service);
	const struct job *job = core_job(read_begin(service, false), number);
	struct engine *engine = NULL;
	uint32_t placed = 0; /* where attempts below that one ran isn't kept; nor the latest, of a job that waits again */
	int code = 0;

	if (!job)
		code = 0;
	else if (!job->attempt)
		code = err_set(err, ERR_NOT_FOUND, "attempt", "job %u hasn't been placed yet, so it has no output", number);
	else if (attempt < 1 || attempt > job->attempt)
		code = err_set(err, ERR_NOT_FOUND, "attempt", "%u: job %u has had %u", attempt, number, job->attempt);
	else if (attempt == job->attempt && job->plan.n_tasks && rank >= job->plan.n_tasks)
		code = err_set(err, ERR_NOT_FOUND, "node", "%u: job %u has nodes 0 to %u", rank, number, job->plan.n_tasks - 1);
	else if (job->plan.n_tasks)
		engine = station_engine(host, job->plan.tasks[0].centre);
	placed = job ? job->attempt + (job->plan.n_tasks == 0) : 0;
	read_end(service);
	if (!job)
		code = find_past_engine(host, number, attempt, &engine, &placed, err);
	if (code < 0)
		return code;
	if (attempt < placed)
		return open_earlier(host, number, attempt, rank, ret_fd, err);
	if (!engine)
		return err_set(err, ERR_NOT_FOUND, "centre", "the job's centre isn't in the pool any more");
	return engine->ops->log_open(engine, number, attempt, rank, ret_fd, err);
}

static us_t now(struct service *service)
{
	(void)service;
	return clock_now();
}

static void stats(struct service *service, struct service_stats *ret)
{
	struct host *host = of(service);

	pthread_mutex_lock(&host->stats_lock);
	*ret = host->stats;
	pthread_mutex_unlock(&host->stats_lock);
	ret->waiting = inbox_waiting(&host->inbox);
	ret->waiting_max = INBOX_ITEMS_MAX;
	ret->failing = atomic_load(&host->failing) != 0;
}

const struct service_ops host_service_ops = {
	.call = service_call,
	.read_begin = read_begin,
	.read_end = read_end,
	.events = events,
	.history = history,
	.watch = watch,
	.log_open = log_open,
	.now = now,
	.stats = stats,
};
