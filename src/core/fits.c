/* SPDX-License-Identifier: Apache-2.0
 * fits.c: whether an event could follow the state.
 *
 * What a core decides always fits. What comes from outside as bytes (a journal, a batch for a follower) or as an engine's word
 * is held against the state here first, so that apply.c may assert. */
#include "core/place.h"
#include "core/state.h"

static const struct job *known_job(const struct core *core, uint32_t id)
{
	return id >= 1 && id <= core->last_job ? core->jobs[id] : NULL;
}

/* The tasks are on nodes of the pool, in their order and so on distinct ones, on cards that are there. */
static bool tasks_fit(const struct core *core, const struct task *tasks, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t node = pool_node(core->pool, tasks[i].centre, tasks[i].node);

		if (node == NODE_NONE || (core->pool->nodes[node].cards < 64 && tasks[i].cards >> core->pool->nodes[node].cards))
			return false;
		if (i > 0 && (tasks[i].centre < tasks[i - 1].centre ||
		              (tasks[i].centre == tasks[i - 1].centre && tasks[i].node <= tasks[i - 1].node)))
			return false;
	}
	return true;
}

/* Each task has as many cards as the request wants. */
static bool cards_fit(const struct request *q, const struct task *tasks, uint32_t n)
{
	uint32_t cards = q->cards_milli < CARD_MILLI ? q->cards_milli > 0 : q->cards_milli / CARD_MILLI;

	for (uint32_t i = 0; i < n; i++)
		if (tasks[i].cards_milli != q->cards_milli || (uint32_t)__builtin_popcountll(tasks[i].cards) != cards)
			return false;
	return true;
}

enum { CLAIM_BITS_MAX = 52 }; /* a million nodes of 32 bits each */

static bool claims_fit(const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->n_claims; i++)
		if (plan->claims[i].from_us >= plan->claims[i].until_us || plan->claims[i].amount >> CLAIM_BITS_MAX)
			return false;
	return true;
}

/* The kind is that of the nodes; none, for a job without cards. */
static bool kind_fits(const struct core *core, const struct group *group, const struct plan *plan)
{
	bool cards = group->requests[plan->request].kind != KIND_NONE;

	for (uint32_t i = 0; i < plan->n_tasks; i++) {
		uint32_t node = pool_node(core->pool, plan->tasks[i].centre, plan->tasks[i].node);

		if (node == NODE_NONE || (cards ? core->pool->shelves[core->pool->nodes[node].shelf].kind : KIND_NONE) != plan->kind)
			return false;
	}
	return true;
}

static bool plan_fits(const struct core *core, const struct group *group, const struct plan *plan)
{
	return plan->request < group->n_requests && kind_fits(core, group, plan) && plan->n_tasks == group->nodes &&
	       tasks_fit(core, plan->tasks, plan->n_tasks) &&
	       cards_fit(&group->requests[plan->request], plan->tasks, plan->n_tasks) && claims_fit(plan);
}

/* Everything that a placement takes is free. */
static bool is_free(const struct core *core, const struct request *q, const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->n_tasks; i++) {
		uint32_t node = pool_node(core->pool, plan->tasks[i].centre, plan->tasks[i].node);
		struct share share = place_share(&plan->tasks[i], q);

		for (uint64_t left = share.cards; left; left &= left - 1)
			if (core->capacity.card_milli[core->pool->nodes[node].card_first + (uint32_t)__builtin_ctzll(left)] < share.milli)
				return false;
		if (core->capacity.free_cpus[node] < share.cpus_milli || core->capacity.free_memory[node] < share.memory_mib)
			return false;
	}
	return true;
}

/* It stands in line, or its cards are kept for it and it has left the ones that it had. */
static bool may_be_placed(const struct core *core, const struct job *job)
{
	return queue_has(&core->queue, job) || (job->moving && job->state == JOB_QUEUED);
}

static bool placed_fits(const struct core *core, const struct placed *p, us_t at_us)
{
	const struct job *from = known_job(core, p->array ? p->array : p->job);
	const struct group *group;

	if (!from || !may_be_placed(core, from) || !from->array != !p->array)
		return false;
	if (p->array && (p->job != core->last_job + 1 ||
	                 p->index != ranges_value(from->array->ranges, from->array->n_ranges, from->array->taken)))
		return false;
	if (p->attempt != (p->array ? 1 : from->attempt + 1))
		return false;
	for (uint32_t i = 0; i < p->plan.n_claims; i++)
		if (p->plan.claims[i].from_us > at_us)
			return false;
	group = &core_shape(core, from)->group;
	return plan_fits(core, group, &p->plan) && is_free(core, &group->requests[p->plan.request], &p->plan);
}

/* An engine's choice of other cards of the same nodes, which are free. After a pool change took some of what the job held, its
 * books stay as they are. */
static bool bound_fits(const struct core *core, uint32_t id, uint32_t attempt, const struct task *tasks, uint32_t n)
{
	const struct job *job = known_job(core, id);

	if (!job || job->attempt != attempt || !job_is_live(job) || n != job->plan.n_tasks || !tasks_fit(core, tasks, n) ||
	    !cards_fit(job_request(core, job), tasks, n) || job->held)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		const struct task *was = &job->plan.tasks[i];
		uint32_t node = pool_node(core->pool, was->centre, was->node);
		struct share share = place_share(&tasks[i], job_request(core, job));

		if (tasks[i].centre != was->centre || tasks[i].node != was->node)
			return false;
		for (uint64_t left = tasks[i].cards & ~was->cards; left; left &= left - 1)
			if (core->capacity.card_milli[core->pool->nodes[node].card_first + (uint32_t)__builtin_ctzll(left)] < share.milli)
				return false;
	}
	return true;
}

static bool ended_fits(const struct core *core, const struct ended *x)
{
	const struct job *job = known_job(core, x->job);

	if (!job || !job_may_become(job->state, x->then))
		return false;
	if (x->then != JOB_QUEUED && x->then != JOB_COMPLETED && x->then != JOB_FAILED && x->then != JOB_CANCELED)
		return false;
	if (x->attempt == 0)
		return !job_is_live(job) && x->then != JOB_QUEUED && !(job->array && job->array->live) && x->at_us >= job->submitted_us;
	return job->attempt == x->attempt && attempt_may_become(job->attempt_state, x->attempt_state) &&
	       x->attempt_state >= ATTEMPT_ENDED && x->at_us >= job->placed_us &&
	       (job->started_us == US_NEVER || x->at_us >= job->started_us) &&
	       (x->then != JOB_QUEUED || cause_makes_room(x->cause) || job->restarts_left > 0);
}

static bool submitted_fits(const struct core *core, const struct submitted *s)
{
	if (s->job != core->last_job + 1 || (s->n_array && !ranges_count(s->array, s->n_array)) || s->limit_us <= 0)
		return false;
	for (uint32_t i = 0; i < s->n_dependencies; i++)
		if (!known_job(core, s->dependencies[i].job))
			return false;
	for (uint32_t i = 0; i < s->group.n_requests; i++) {
		const struct request *q = &s->group.requests[i];

		if ((q->kind < KIND_ANY && q->kind >= core->pool->n_kinds) || (q->kind == KIND_NONE) != (q->cards_milli == 0))
			return false;
	}
	return true;
}

/* Whether a job may be stopped; one that is being stopped may be canceled meanwhile. */
static bool may_stop(const struct job *job, enum cause cause)
{
	return job_may_become(job->state, JOB_CLEANUP) || (job->state == JOB_CLEANUP && job_is_live(job) && cause == CAUSE_CANCEL);
}

/* Rising ranges, apart, of nodes that the pool has. */
static bool nodes_fit(const struct core *core, uint32_t centre, const struct node_range *ranges, uint32_t n)
{
	if (centre >= core->pool->n_centres)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (ranges[i].last < ranges[i].first || ranges[i].last >= core->pool->centres[centre].n_nodes ||
		    (i > 0 && ranges[i].first <= ranges[i - 1].last))
			return false;
	return true;
}

static bool booked_fits(const struct core *core, const struct booked *b)
{
	return b->booking == core->last_booking + 1 && b->n_ranges && b->from_us < b->until_us &&
	       nodes_fit(core, b->centre, b->ranges, b->n_ranges);
}

/* Jobs that run, each once, and whole plans for them. */
static bool moving_fits(const struct core *core, const struct event *e)
{
	for (uint32_t i = 0; i < e->moving.n; i++) {
		const struct move *m = &e->moving.moves[i];
		const struct job *job = known_job(core, m->job);

		if (!job || job->state != JOB_ACTIVE || job->array || job->moving || m->plan.start_us < e->at_us ||
		    m->plan.start_us == US_NEVER || (i > 0 && m->job == e->moving.moves[0].job) ||
		    !plan_fits(core, &core_shape(core, job)->group, &m->plan))
			return false;
	}
	return e->moving.n > 0;
}

bool apply_fits(const struct core *core, const struct event *e)
{
	const struct job *job;

	if (e->at_us < core->now_us || (!core->pool && e->type != EVENT_POOL && e->type != EVENT_CONFIG))
		return false;
	switch (e->type) {
	case EVENT_POOL: return pool_check(&e->pool, NULL) == 0;
	case EVENT_SUBMITTED: return submitted_fits(core, &e->submitted);
	case EVENT_ELIGIBLE:
		job = known_job(core, e->eligible.job);
		return job && !job->eligible && job->state == JOB_QUEUED && job->waits_for == 0 && job->begin_us <= e->at_us;
	case EVENT_PLACED: return placed_fits(core, &e->placed, e->at_us);
	case EVENT_ATTEMPT:
		job = known_job(core, e->attempt.job);
		return job && job_is_live(job) && job->attempt == e->attempt.attempt && e->attempt.state <= ATTEMPT_RUNNING &&
		       attempt_may_become(job->attempt_state, e->attempt.state) && e->attempt.at_us >= job->placed_us;
	case EVENT_BOUND: return bound_fits(core, e->bound.job, e->bound.attempt, e->bound.tasks, e->bound.n_tasks);
	case EVENT_STOPPING:
		job = known_job(core, e->stopping.job);
		return job && may_stop(job, e->stopping.cause) && (job_is_live(job) || job->array) &&
		       e->stopping.attempt == (job_is_live(job) ? job->attempt : 0);
	case EVENT_ENDED: return ended_fits(core, &e->ended);
	case EVENT_RESERVED:
		job = known_job(core, e->reserved.job);
		return job && (queue_has(&core->queue, job) || job->moving) && e->reserved.plan.start_us >= e->at_us &&
		       plan_fits(core, &core_shape(core, job)->group, &e->reserved.plan);
	case EVENT_UNRESERVED: return keep_find(&core->keep, e->unreserved.job) != NULL;
	case EVENT_NODE: return nodes_fit(core, e->node.centre, &e->node.range, 1);
	case EVENT_BOOKED: return booked_fits(core, &e->booked);
	case EVENT_UNBOOKED:
		return core_booking_after(core, e->unbooked.booking - 1) &&
		       core_booking_after(core, e->unbooked.booking - 1)->id == e->unbooked.booking;
	case EVENT_AGED:
		job = known_job(core, e->aged.job);
		return job && job_is_live(job) && job->state == JOB_ACTIVE && e->aged.level <= core->config.n_las_levels;
	case EVENT_EXTENDED:
		job = known_job(core, e->extended.job);
		return job && job_is_lent(job) && e->extended.until_us == job_bound_us(job);
	case EVENT_MOVING: return moving_fits(core, e);
	case EVENT_FORGOTTEN: job = known_job(core, e->forgotten.job); return job && job_is_over(job);
	case EVENT_CENTRE: return e->centre.centre < core->centres.count;
	case EVENT_BACKLOG: return pass_may_know(core, &e->backlog);
	default: return true;
	}
}
