/* SPDX-License-Identifier: Apache-2.0
 * history.c: jobs that have left the core; see history.h. */
#include "host/history.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "host/clock.h"

void history_init(struct history *history)
{
	*history = (struct history){.due_us = US_NEVER};
	pthread_mutex_init(&history->lock, NULL);
}

static int note_stored(void *ctx, uint32_t job)
{
	map_set(ctx, job, 1);
	return 0;
}

int history_learn(struct history *history, struct store *store, struct err *err)
{
	int code = store->ops->history_ids(store, note_stored, &history->stored, err);

	if (code < 0)
		history_unlearn(history);
	return code;
}

void history_unlearn(struct history *history)
{
	map_done(&history->stored);
}

bool history_has(const struct history *history, uint32_t job)
{
	return history->stored.count && map_get(&history->stored, job, 0);
}

static void drop(struct past_job *job)
{
	free((void *)(uintptr_t)job->project);
	free((void *)(uintptr_t)job->centre);
	free((void *)(uintptr_t)job->record);
}

static void drop_first(struct history *history, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		drop(&history->waiting[i]);
	history->n -= n;
	if (history->n)
		memmove(history->waiting, history->waiting + n, history->n * sizeof *history->waiting);
}

void history_done(struct history *history)
{
	drop_first(history, history->n);
	free(history->waiting);
	history_unlearn(history);
	pthread_mutex_destroy(&history->lock);
}

static const char *centre_of(const struct core *core, const struct job *job)
{
	return job->plan.n_tasks ? pool_centre_name(core_pool(core), job->plan.tasks[0].centre) : "";
}

void history_add(struct history *history, const struct core *core, const struct job *job, char *record)
{
	struct past_job past = {.id = job->id,
	                        .array_of = job->array_of,
	                        .array_index = job->array_index,
	                        .attempt = job->attempt,
	                        .state = job->state,
	                        .ended_us = job->ended_us,
	                        .project = mem_strdup(core_project_name(core, job->project)),
	                        .centre = mem_strdup(centre_of(core, job)),
	                        .record = record};

	pthread_mutex_lock(&history->lock);
	mem_grow((void **)&history->waiting, &history->cap, history->n, sizeof *history->waiting);
	history->waiting[history->n++] = past;
	if (history->due_us == US_NEVER)
		history->due_us = us_add(clock_now(), HISTORY_WAIT_US);
	pthread_mutex_unlock(&history->lock);
}

bool history_is_due(const struct history *history, us_t now_us)
{
	return history->n >= HISTORY_WAITING_MAX || (history->n && history->due_us <= now_us);
}

/* Only the caller's thread changes what waits, so the store is called without the lock; they are there for readers until they
 * are in the store. */
int history_write(struct history *history, struct store *store, struct err *err)
{
	uint32_t n = history->n;
	int code = n ? store->ops->history_put(store, history->waiting, n, err) : 0;

	if (code < 0) {
		history->due_us = us_add(clock_now(), HISTORY_WAIT_US);
		return code;
	}
	pthread_mutex_lock(&history->lock);
	drop_first(history, n);
	history->due_us = US_NEVER;
	pthread_mutex_unlock(&history->lock);
	return 0;
}

/* ---- Reading ---- */

struct merge {
	struct past_job *waiting; /* copies of those that are wanted, by falling number */
	uint32_t n, at, left;
	int (*visit)(void *ctx, const struct past_job *job);
	void *ctx;
};

static bool is_wanted(const struct past_query *query, const struct past_job *job)
{
	return job->id > query->after && job->id < query->before &&
	       (query->state < 0 || job->state == (enum job_state)query->state) &&
	       (!query->project || !strcmp(query->project, job->project)) &&
	       (!query->array_of || (job->array_of == query->array_of && job->array_index == query->array_index));
}

static int by_falling_number(const void *a, const void *b)
{
	uint32_t x = ((const struct past_job *)a)->id, y = ((const struct past_job *)b)->id;

	return x > y ? -1 : x < y;
}

static void copy_waiting(struct history *history, const struct past_query *query, struct merge *merge)
{
	uint32_t cap = 0;

	pthread_mutex_lock(&history->lock);
	for (uint32_t i = 0; i < history->n; i++) {
		const struct past_job *job = &history->waiting[i];

		if (!is_wanted(query, job))
			continue;
		mem_grow((void **)&merge->waiting, &cap, merge->n, sizeof *merge->waiting);
		merge->waiting[merge->n] = *job;
		merge->waiting[merge->n].project = mem_strdup(job->project);
		merge->waiting[merge->n].centre = mem_strdup(job->centre);
		merge->waiting[merge->n++].record = mem_strdup(job->record);
	}
	pthread_mutex_unlock(&history->lock);
	if (merge->n)
		qsort(merge->waiting, merge->n, sizeof *merge->waiting, by_falling_number);
}

static int visit_one(struct merge *merge, const struct past_job *job)
{
	if (!merge->left)
		return 0;
	merge->left--;
	return merge->visit(merge->ctx, job);
}

/* Those that wait and come before this number, by falling numbers. */
static int visit_waiting(struct merge *merge, uint32_t above)
{
	int code = 0;

	while (!code && merge->at < merge->n && merge->waiting[merge->at].id > above)
		code = visit_one(merge, &merge->waiting[merge->at++]);
	return code;
}

static int visit_stored(void *ctx, const struct past_job *job)
{
	struct merge *merge = ctx;
	int code = visit_waiting(merge, job->id);

	if (code)
		return code;
	if (merge->at < merge->n && merge->waiting[merge->at].id == job->id) /* written just now */
		merge->at++;
	return visit_one(merge, job);
}

int history_read(struct history *history, struct store *store, const struct past_query *query,
                 int (*visit)(void *ctx, const struct past_job *job), void *ctx, struct err *err)
{
	struct merge merge = {.left = query->limit, .visit = visit, .ctx = ctx};
	int code;

	copy_waiting(history, query, &merge); /* first: what leaves the queue meanwhile is in the store */
	code = store->ops->history(store, query, visit_stored, &merge, err);
	if (!code)
		code = visit_waiting(&merge, 0);
	for (uint32_t i = 0; i < merge.n; i++)
		drop(&merge.waiting[i]);
	free(merge.waiting);
	return code;
}
