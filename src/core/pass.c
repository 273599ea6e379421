/* SPDX-License-Identifier: Apache-2.0
 * pass.c: what the queue yields now: the next job to place, or the reservation that the first waiting job needs.
 *
 * Goes through the classes in order. The first job that can't start now holds the reservation (EASY backfill, Lifka 1995,
 * with the promise kept: made from bounds only, and moved only for a stated cause). A job behind it starts
 * ahead only if it fits in what the reservation leaves (`kept`), or fits in what is free and ends, by its bound, by
 * the reserved start. A class that can't start is passed over until something comes free. */
#include <assert.h>

#include "core/state.h"

static bool passed_over(const struct core *core, const struct job_class *class)
{
	return class->passed_over == core->freed + 1;
}

static void pass_over(const struct core *core, struct job_class *class)
{
	class->passed_over = core->freed + 1;
}

static void yield_placed(const struct core *core, const struct job *job, us_t now_us, const struct plan *plan, struct event *ret)
{
	*ret = (struct event){.type = EVENT_PLACED, .at_us = now_us};
	ret->placed = (struct placed){.job = job->id, .attempt = job->attempt + 1, .plan = *plan};
	if (job->array) {
		ret->placed.job = core->last_job + 1;
		ret->placed.attempt = 1;
		ret->placed.array = job->id;
		ret->placed.index = ranges_value(job->array->ranges, job->array->n_ranges, job->array->taken);
	}
}

/* Why the first waiting job needs a (new) reservation; CAUSE_NONE: it doesn't. Its start is overrun only once it has passed:
 * at that very instant the ends that it waits for may still be on their way. */
static enum cause why_reserve(const struct core *core, const struct job *job, us_t now_us)
{
	const struct reservation *r = &core->reservation;

	if (!r->job)
		return CAUSE_FIRST;
	if (r->job != job->id)
		return CAUSE_ORDER;
	if (r->broken != CAUSE_NONE)
		return r->broken;
	return r->plan.start_us < now_us ? CAUSE_OVERRUN : CAUSE_NONE;
}

/* Gives the first waiting job, which can't start now, its reservation. Returns whether that is news. Where running jobs have
 * no bound there is no instant to promise, and nothing is held. */
static bool reserve(struct core *core, struct job_class *class, const struct job *job, us_t now_us, struct event *ret)
{
	enum cause cause = why_reserve(core, job, now_us);

	if (cause == CAUSE_NONE || core->config.reservations == 0)
		return false;
	if (!core->reservation.job && class->unplanned == core->freed + 1)
		return false;
	*ret = (struct event){.type = EVENT_RESERVED, .at_us = now_us};
	ret->reserved.job = job->id;
	ret->reserved.cause = cause;
	if (plan_earliest(core, core_shape(core, job), job->limit_us, now_us, &core->scratch, &ret->reserved.plan))
		return true;
	class->unplanned = core->freed + 1;
	if (!core->reservation.job)
		return false;
	*ret = (struct event){.type = EVENT_UNRESERVED, .at_us = now_us};
	ret->unreserved.job = core->reservation.job;
	ret->unreserved.cause = cause;
	return true;
}

bool pass_may_start(const struct core *core, const struct shape *shape, us_t limit_us, bool is_first, us_t now_us,
                    struct arena *arena, struct plan *ret)
{
	const struct reservation *r = &core->reservation;
	bool waits_behind = r->job && !is_first;

	if (waits_behind && plan_find(core, shape, limit_us, &r->kept, now_us, arena, ret))
		return true;
	if (waits_behind && (limit_us == US_NEVER || us_add(now_us, limit_us) > r->plan.start_us))
		return false;
	return plan_find(core, shape, limit_us, &core->capacity, now_us, arena, ret);
}

/* The first job of a class that may start ahead of the reservation; NULL: none may. */
static const struct job *find_ahead(struct core *core, struct job_class *class, us_t now_us, struct plan *plan)
{
	const struct reservation *r = &core->reservation;
	const struct job *job = class_first(class);
	const struct shape *shape = core_shape(core, job);

	if (pass_may_start(core, shape, job->limit_us, false, now_us, &core->scratch, plan))
		return job;
	job = r->job && r->plan.start_us > now_us ? class_first_within(class, r->plan.start_us - now_us) : NULL;
	if (job && plan_find(core, shape, job->limit_us, &core->capacity, now_us, &core->scratch, plan))
		return job;
	return NULL;
}

bool pass_next(struct core *core, us_t now_us, struct event *ret)
{
	bool is_first = true;
	struct plan plan;

	for (struct job_class *class = queue_first(&core->queue), *next; class; class = next) {
		const struct job *job = class_first(class);
		const struct shape *shape = core_shape(core, job);

		next = queue_next(class);
		if (shape->never)
			continue;
		if (is_first) {
			bool known = passed_over(core, class);

			if (!known && pass_may_start(core, shape, job->limit_us, true, now_us, &core->scratch, &plan)) {
				yield_placed(core, job, now_us, &plan, ret);
				return true;
			}
			pass_over(core, class);
			is_first = false;
			if (reserve(core, class, job, now_us, ret))
				return true;
			continue;
		}
		if (passed_over(core, class))
			continue;
		job = find_ahead(core, class, now_us, &plan);
		if (job) {
			yield_placed(core, job, now_us, &plan, ret);
			return true;
		}
		pass_over(core, class);
	}
	return false;
}
