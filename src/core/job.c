/* SPDX-License-Identifier: Apache-2.0
 * job.c: the tables of what may follow what; see job.h. */
#include "core/job.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define BIT(x) (1u << (x))
#define JOB_OVER (BIT(JOB_COMPLETED) | BIT(JOB_FAILED) | BIT(JOB_CANCELED))

/* A row a state: the states that may follow it. A live job may go back to the queue: its attempt was lost, refused, or
 * (later) preempted. An array is active once its first element is placed. What is over stays so. */
static const uint32_t job_next[JOB_STATE_COUNT] = {
	[JOB_NEW] = BIT(JOB_QUEUED),
	[JOB_QUEUED] = BIT(JOB_STAGE_IN) | BIT(JOB_ACTIVE) | BIT(JOB_CLEANUP) | JOB_OVER,
	[JOB_STAGE_IN] = BIT(JOB_QUEUED) | BIT(JOB_ACTIVE) | BIT(JOB_CLEANUP) | JOB_OVER,
	[JOB_ACTIVE] = BIT(JOB_QUEUED) | BIT(JOB_STAGE_OUT) | BIT(JOB_CLEANUP) | JOB_OVER,
	[JOB_STAGE_OUT] = BIT(JOB_CLEANUP) | JOB_OVER,
	[JOB_CLEANUP] = BIT(JOB_QUEUED) | JOB_OVER,
};

/* An engine's reports may skip a state (what runs was released), never go back. */
static const uint32_t attempt_next[ATTEMPT_STATE_COUNT] = {
	[ATTEMPT_NONE] = BIT(ATTEMPT_INTENT),
	[ATTEMPT_INTENT] = BIT(ATTEMPT_HELD) | BIT(ATTEMPT_RELEASED) | BIT(ATTEMPT_RUNNING) | BIT(ATTEMPT_ENDED) |
                       BIT(ATTEMPT_REFUSED) | BIT(ATTEMPT_LOST),
	[ATTEMPT_HELD] = BIT(ATTEMPT_RELEASED) | BIT(ATTEMPT_RUNNING) | BIT(ATTEMPT_ENDED) | BIT(ATTEMPT_REFUSED) | BIT(ATTEMPT_LOST),
	[ATTEMPT_RELEASED] = BIT(ATTEMPT_RUNNING) | BIT(ATTEMPT_ENDED) | BIT(ATTEMPT_REFUSED) | BIT(ATTEMPT_LOST),
	[ATTEMPT_RUNNING] = BIT(ATTEMPT_ENDED) | BIT(ATTEMPT_LOST),
	[ATTEMPT_ENDED] = BIT(ATTEMPT_INTENT), /* the next attempt */
	[ATTEMPT_REFUSED] = BIT(ATTEMPT_INTENT),
	[ATTEMPT_LOST] = BIT(ATTEMPT_INTENT),
};

bool job_may_become(enum job_state from, enum job_state to)
{
	return job_next[from] & BIT(to);
}

bool attempt_may_become(enum attempt_state from, enum attempt_state to)
{
	return attempt_next[from] & BIT(to);
}

bool job_is_over(const struct job *job)
{
	return JOB_OVER & BIT(job->state);
}

bool job_is_live(const struct job *job)
{
	return job->attempt_state >= ATTEMPT_INTENT && job->attempt_state <= ATTEMPT_RUNNING;
}

bool job_is_moving(const struct job *job)
{
	return job->moving &&
	       (job->state == JOB_QUEUED || job->state == JOB_ACTIVE || (job->state == JOB_CLEANUP && job->cause == CAUSE_MOVED));
}

bool cause_makes_room(enum cause cause)
{
	return cause == CAUSE_PREEMPTED || cause == CAUSE_RECLAIMED || cause == CAUSE_MOVED;
}

uint64_t ranges_count(const struct range *ranges, uint32_t n)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (ranges[i].step == 0 || ranges[i].last < ranges[i].first)
			return 0;
		count += (uint64_t)(ranges[i].last - ranges[i].first) / ranges[i].step + 1;
	}
	return count > JOB_ARRAY_MAX ? 0 : count;
}

uint32_t ranges_value(const struct range *ranges, uint32_t n, uint32_t nth)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t count = (ranges[i].last - ranges[i].first) / ranges[i].step + 1;

		if (nth < count)
			return ranges[i].first + nth * ranges[i].step;
		nth -= count;
	}
	return 0;
}

struct job_extra *job_extra(struct job *job)
{
	if (!job->extra)
		job->extra = mem_new(1, sizeof *job->extra);
	return job->extra;
}

struct job *job_new(struct job_memory *memory)
{
	return slab_new(&memory->jobs, sizeof(struct job));
}

/* Most have one task; only these are of one size. */
static size_t running_size(uint32_t n_tasks)
{
	return sizeof(struct running) + n_tasks * sizeof(struct tenant);
}

void job_set_name(struct job *job, const char *name)
{
	size_t size = strlen(name) + 1;

	job->name = size <= sizeof job->short_name ? memcpy(job->short_name, name, size) : mem_strdup(name);
}

struct running *running_new(struct job_memory *memory, struct job *job, uint32_t n_tasks)
{
	struct running *running = n_tasks == 1 ? slab_new(&memory->running, running_size(1)) : mem_new(1, running_size(n_tasks));

	running->job = job;
	running->n_tasks = n_tasks;
	return running;
}

struct running *running_free(struct job_memory *memory, struct running *running)
{
	if (running)
		free(running->movers);
	if (running && running->n_tasks == 1)
		slab_free(&memory->running, running);
	else
		free(running);
	return NULL;
}

void job_memory_done(struct job_memory *memory)
{
	slab_done(&memory->jobs);
	slab_done(&memory->running);
}

struct job *job_free(struct job_memory *memory, struct job *job)
{
	if (!job)
		return NULL;
	if (job->array) {
		free(job->array->ranges);
		free(job->array->elements);
		free(job->array);
	}
	if (job->extra) {
		free(job->extra->dependencies);
		free(job->extra->dependents);
		free(job->extra->secrets);
		free(job->extra->note);
		free(job->extra->native_id);
		free(job->extra->stopped_by);
		free(job->extra);
	}
	running_free(memory, job->running);
	if (job->name != job->short_name)
		free(job->name);
	free(job->held);
	plan_drop(&job->plan);
	slab_free(&memory->jobs, job);
	return NULL;
}
