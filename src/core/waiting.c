/* SPDX-License-Identifier: Apache-2.0
 * waiting.c: jobs that aren't over: who stands in line, what a job waits for, and when it next changes by itself; see
 * apply_inside.h.
 *
 * A job is in the queue if and only if job_stands_in_line; one that isn't holds no reservation. `waits_for` counts the
 * dependencies that aren't met. A job's timer is job_timer as of the last event that could change it; one that is over stands in
 * `over` by when it ended. */
#include <stdlib.h>

#include "base/mem.h"
#include "core/apply_inside.h"

/* ---- Timers ---- */

static void timer_set(struct core *core, struct job *job, us_t at_us)
{
	if (job->timer_us == at_us)
		return;
	if (job->timer_us != US_NEVER)
		sorted_remove(&core->timers, job->timer_us, job->id);
	job->timer_us = at_us;
	if (at_us != US_NEVER)
		sorted_insert(&core->timers, at_us, job->id, 0);
}

void shelve(struct core *core, struct job *job)
{
	timer_set(core, job, US_NEVER);
	job->timer_us = job->ended_us;
	sorted_insert(&core->over, job->timer_us, job->id, 0);
}

static bool array_is_over(const struct job *job)
{
	const struct array *a = job->array;

	return a->live == 0 && (job->state == JOB_CLEANUP || a->taken == a->count);
}

/* When a job next changes by itself; 0: at once. What is to be done then, core.c's follow_up() says. */
us_t job_timer(const struct core *core, const struct job *job)
{
	const struct centre_spec *centre;
	us_t at_us;

	if (job_is_over(job))
		return US_NEVER;
	if (job->doomed || (job->array && array_is_over(job)))
		return 0;
	if (job->state != JOB_CLEANUP && core_is_stopping(core, job))
		return 0;
	if (job->state == JOB_QUEUED && !job->eligible)
		return job->waits_for == 0 ? job->begin_us : US_NEVER;
	at_us = job_is_lent(job) ? job_due_us(core, job) : US_NEVER;
	if (job->state != JOB_ACTIVE || job->array)
		return at_us;
	at_us = rank_ages(core, job) < at_us ? rank_ages(core, job) : at_us;
	centre = core->pool->centres[job->plan.tasks[0].centre].spec;
	if (job->limit_us == US_NEVER || (centre && centre->capabilities & CAN_LIMIT))
		return at_us;
	return us_add(job->started_us, job->limit_us) < at_us ? us_add(job->started_us, job->limit_us) : at_us;
}

void retime(struct core *core, struct job *job)
{
	timer_set(core, job, job_timer(core, job));
}

/* ---- The queue and its reservations ---- */

void unreserve(struct core *core, uint32_t job)
{
	struct reservation *r = keep_find(&core->keep, job);
	uint32_t n = r ? r->plan.n_tasks : 0, *nodes = mem_new(n, sizeof *nodes);
	bool kept_quota = r && core->projects_bounded, moved = r && core->jobs[job]->moving;

	for (uint32_t i = 0; i < n; i++)
		nodes[i] = pool_node(core->pool, r->plan.tasks[i].centre, r->plan.tasks[i].node);
	if (r) {
		keep_unreserve(&core->keep, job, &core->capacity);
		core->jobs[job]->moving = false;
		core->freed++; /* also where nothing is free there: others may be promised it */
	}
	for (uint32_t i = 0; i < n; i++)
		if (others_may_leave(core) || has_something_free(core, nodes[i]))
			came_free(core, nodes[i]);
	if (kept_quota)
		came_free_all(core);
	free(nodes);
	if (moved)
		requeue(core, core->jobs[job]); /* it stands in line like any other */
}

void unreserve_all(struct core *core)
{
	for (uint32_t i = 0; i < core->keep.n_reservations; i++) /* whoever is in line then, the caller says */
		core->jobs[core->keep.reservations[i]->job]->moving = false;
	while (core->keep.n_reservations)
		unreserve(core, core->keep.reservations[0]->job);
}

/* Whether a job stands in line: an array while it has elements left and as many run as may. */
bool job_stands_in_line(const struct job *job)
{
	const struct array *a = job->array;

	if (!job->eligible || job->moving)
		return false;
	if (a)
		return (job->state == JOB_QUEUED || job->state == JOB_ACTIVE) && a->taken < a->count &&
		       (!a->parallel_max || a->live < a->parallel_max);
	return job->state == JOB_QUEUED;
}

void requeue(struct core *core, struct job *job)
{
	bool stands = job_stands_in_line(job), stood = queue_has(&core->queue, job);

	if (stands && !stood) {
		outlook_estimate(core, core_shape(core, job), job);
		job->rank = rank_waiting(core, core_shape(core, job), job);
		job->stay_us = pass_stay_us(core, job);
		queue_add(&core->queue, job);
		outlook_enter(core, job);
	}
	if (!stands && stood) {
		outlook_leave(core, job);
		queue_remove(&core->queue, job);
	}
	if (!stands && core->keep.n_reservations && !job_is_moving(job) && keep_find(&core->keep, job->id))
		unreserve(core, job->id);
}

void empty_queue(struct core *core)
{
	for (uint32_t id = 1; id <= core->last_job; id++)
		if (core->jobs[id] && queue_has(&core->queue, core->jobs[id])) {
			outlook_leave(core, core->jobs[id]);
			queue_remove(&core->queue, core->jobs[id]);
		}
}

void refill_queue(struct core *core)
{
	core->queue.by_share = core->config.policy == POLICY_FAIR;
	for (uint32_t id = 1; id <= core->last_job; id++)
		if (core->jobs[id] && !queue_has(&core->queue, core->jobs[id]))
			requeue(core, core->jobs[id]);
}

/* ---- Dependencies ---- */

bool dependency_dooms(const struct core *core, const struct dependency_spec *d)
{
	const struct job *on = core_job(core, d->job);

	return d->when == AFTER_OK && on && job_is_over(on) && on->state != JOB_COMPLETED;
}

static bool dependency_met(const struct core *core, const struct dependency_spec *d)
{
	const struct job *on = core_job(core, d->job);

	return !on || (job_is_over(on) && (d->when == AFTER_ANY || on->state == JOB_COMPLETED));
}

void watch_dependencies(struct core *core, struct job *job)
{
	for (uint32_t i = 0; i < job->extra->n_dependencies; i++) {
		const struct dependency_spec *d = &job->extra->dependencies[i];
		struct job_extra *on;

		if (dependency_met(core, d))
			continue;
		job->waits_for++;
		if (dependency_dooms(core, d)) {
			job->doomed = true;
			continue;
		}
		on = job_extra(job_at(core, d->job));
		if (on->n_dependents && on->dependents[on->n_dependents - 1] == job->id)
			continue; /* named twice: both are seen to when it is over */
		mem_grow((void **)&on->dependents, &on->dependents_cap, on->n_dependents, sizeof *on->dependents);
		on->dependents[on->n_dependents++] = job->id;
	}
}

void release_dependents(struct core *core, struct job *job)
{
	for (uint32_t i = 0; job->extra && i < job->extra->n_dependents; i++) {
		struct job *d = core->jobs[job->extra->dependents[i]];

		if (!d || job_is_over(d))
			continue;
		for (uint32_t k = 0; k < d->extra->n_dependencies; k++) {
			if (d->extra->dependencies[k].job != job->id)
				continue;
			d->doomed |= dependency_dooms(core, &d->extra->dependencies[k]);
			d->waits_for -= dependency_met(core, &d->extra->dependencies[k]);
		}
		retime(core, d);
	}
}
