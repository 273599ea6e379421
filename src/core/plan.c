/* SPDX-License-Identifier: Apache-2.0
 * plan.c: a whole plan for a job, or none: which shelf and request, and from when.
 *
 * Reads the state and writes nothing. A plan is a start, a task a node, and a claim a resource. Among the ways that will do
 * the order is: as the user ordered them, or faster for this job's work; then the cheaper card-hour; then the
 * pool file's order. The earliest start is found by giving back, on a copy, what ends by its bound, from the instant
 * on before which the calendars say that even the sum of what is needed isn't free. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/place.h"
#include "core/state.h"

/* ---- Ways to place a shape ---- */

/* Whether a centre's engine can enforce what a request wants: what it can't is never placed there. */
static bool centre_can(const struct centre_spec *centre, const struct request *q)
{
	if (q->cards_milli % CARD_MILLI && !(centre->capabilities & CAN_FRACTIONS))
		return false;
	return centre->capabilities & (q->image ? CAN_IMAGES : CAN_BARE);
}

static bool shelf_will_do(const struct core *core, const struct shelf *shelf, const struct request *q)
{
	if (q->centre != CENTRE_ANY && q->centre != shelf->centre)
		return false;
	if (q->kind != KIND_NONE && (shelf->kind == KIND_NONE || (q->kind != KIND_ANY && q->kind != shelf->kind)))
		return false;
	return centre_can(core->pool->centres[shelf->centre].spec, q);
}

/* Whether a comes before b: see the head of this file. Nodes without cards first for a job without. */
static bool before(const struct core *core, const struct group *group, struct candidate a, struct candidate b)
{
	const struct request *qa = &group->requests[a.request], *qb = &group->requests[b.request];
	const struct shelf *sa = &core->pool->shelves[a.shelf], *sb = &core->pool->shelves[b.shelf];

	if (group->ordered && a.request != b.request)
		return a.request < b.request;
	if (qa->speed_milli != qb->speed_milli)
		return qa->speed_milli > qb->speed_milli;
	if (qa->kind == KIND_NONE && (sa->kind == KIND_NONE) != (sb->kind == KIND_NONE) && sa->centre == sb->centre)
		return sa->kind == KIND_NONE;
	if (qa->kind != KIND_NONE && qb->kind != KIND_NONE && sa->price_micros != sb->price_micros)
		return sa->price_micros < sb->price_micros;
	return a.shelf != b.shelf ? a.shelf < b.shelf : a.request < b.request;
}

static uint32_t list_candidates(const struct core *core, const struct group *group, struct candidate *list)
{
	uint32_t n = 0;

	for (uint32_t r = 0; r < group->n_requests; r++)
		for (uint32_t s = 0; s < core->pool->n_shelves; s++) {
			struct candidate c = {r, s};
			uint32_t at = n;

			if (!shelf_will_do(core, &core->pool->shelves[s], &group->requests[r]))
				continue;
			for (; at > 0 && before(core, group, c, list[at - 1]); at--)
				list[at] = list[at - 1];
			list[at] = c;
			n++;
		}
	return n;
}

static bool empty_pool_holds(const struct core *core, const struct shape *shape)
{
	struct arena arena = {0};
	struct task *tasks = arena_new(&arena, shape->group.nodes, sizeof *tasks);
	bool holds = false;

	for (uint32_t i = 0; i < shape->n_candidates && !holds; i++)
		holds = place_find(&core->empty, shape->candidates[i].shelf, &shape->group,
		                   &shape->group.requests[shape->candidates[i].request], tasks);
	arena_done(&arena);
	return holds;
}

struct shape plan_shape(const struct core *core, const struct group *group, struct arena *arena)
{
	struct shape shape = {.group = *group};

	shape.candidates = arena_new(arena, (size_t)group->n_requests * core->pool->n_shelves, sizeof *shape.candidates);
	shape.n_candidates = list_candidates(core, group, shape.candidates);
	shape.never = !empty_pool_holds(core, &shape);
	return shape;
}

void plan_candidates(const struct core *core, struct shape *shape)
{
	struct arena arena = {0};
	struct shape made = plan_shape(core, &shape->group, &arena);

	free(shape->candidates);
	shape->candidates = NULL;
	shape->n_candidates = made.n_candidates;
	shape->never = made.never;
	if (made.n_candidates) {
		shape->candidates = mem_resize(NULL, made.n_candidates, sizeof *shape->candidates);
		memcpy(shape->candidates, made.candidates, made.n_candidates * sizeof *shape->candidates);
	}
	arena_done(&arena);
}

/* ---- A plan ---- */

static void add_claim(struct plan *plan, uint32_t resource, uint64_t amount)
{
	if (amount)
		plan->claims[plan->n_claims++] = (struct claim){resource, amount, plan->start_us, plan->until_us};
}

static void add_claims(struct plan *plan, const struct shelf *shelf, const struct request *q, struct arena *arena)
{
	uint64_t n = plan->n_tasks;

	plan->claims = arena_new(arena, 3, sizeof *plan->claims);
	add_claim(plan, resource_id(RESOURCE_CARDS, shelf->centre, shelf->kind), n * q->cards_milli);
	add_claim(plan, resource_id(RESOURCE_CPUS, shelf->centre, 0), n * q->cpus_milli);
	add_claim(plan, resource_id(RESOURCE_MEMORY, shelf->centre, 0), n * q->memory_mib);
}

static us_t end_by_bound(us_t start_us, us_t limit_us)
{
	return limit_us == US_NEVER ? US_NEVER : us_add(start_us, limit_us);
}

bool plan_find(const struct core *core, const struct shape *shape, us_t limit_us, const struct capacity *capacity, us_t start_us,
               struct arena *arena, struct plan *ret)
{
	struct task *tasks = arena_new(arena, shape->group.nodes, sizeof *tasks);

	for (uint32_t i = 0; i < shape->n_candidates; i++) {
		struct candidate c = shape->candidates[i];
		const struct shelf *shelf = &core->pool->shelves[c.shelf];
		const struct request *q = &shape->group.requests[c.request];

		if (core->silent[shelf->centre] || !place_find(capacity, c.shelf, &shape->group, q, tasks))
			continue;
		*ret = (struct plan){
			.start_us = start_us,
			.until_us = end_by_bound(start_us, limit_us),
			.request = c.request,
			.kind = q->kind == KIND_NONE ? KIND_NONE : shelf->kind,
			.tasks = tasks,
			.n_tasks = shape->group.nodes,
		};
		add_claims(ret, shelf, q, arena);
		return true;
	}
	return false;
}

/* ---- The earliest ---- */

struct end {
	us_t at_us;
	const struct job *job;
};

static int compare_ends(const void *a, const void *b)
{
	const struct end *x = a, *y = b;

	if (x->at_us != y->at_us)
		return x->at_us < y->at_us ? -1 : 1;
	return x->job->id < y->job->id ? -1 : x->job->id > y->job->id;
}

/* Everything that runs and has a bound, by its end. What is past its bound and still there is taken to end within
 * the grace that a kill has. */
static uint32_t list_ends(const struct core *core, us_t now_us, struct arena *arena, struct end **ret)
{
	us_t overrun_us = us_add(now_us, core->config.kill_grace_us > US_SECOND ? core->config.kill_grace_us : US_SECOND);
	uint32_t n = 0, live = core->in_state[JOB_STAGE_IN] + core->in_state[JOB_ACTIVE] + core->in_state[JOB_CLEANUP];

	*ret = arena_new(arena, live, sizeof **ret);
	for (const struct tree_node *node = tree_first(&core->live); node; node = tree_next(node)) {
		const struct job *job = tree_entry(node, struct job, in_live);

		if (job->plan.until_us != US_NEVER)
			(*ret)[n++] = (struct end){job->plan.until_us <= now_us ? overrun_us : job->plan.until_us, job};
	}
	qsort(*ret, n, sizeof **ret, compare_ends);
	return n;
}

static void give_back(const struct core *core, struct capacity *capacity, const struct job *job)
{
	struct share share;
	uint32_t node;

	for (uint32_t i = 0; i < job->plan.n_tasks; i++)
		if (job_holds(core, job, i, &node, &share))
			capacity_give(capacity, node, &share);
}

/* Of the cards that will be free on a task's node, those that are busy now come first: what is free now stays
 * open to jobs that run longer than the wait. */
static void prefer_busy(const struct core *core, const struct capacity *then, struct plan *plan)
{
	for (uint32_t i = 0; i < plan->n_tasks; i++) {
		struct task *task = &plan->tasks[i];
		uint32_t node = pool_node(core->pool, task->centre, task->node);
		uint64_t busy = then->free_cards[node] & ~core->capacity.free_cards[node], idle = then->free_cards[node] & ~busy;

		if (task->cards_milli < CARD_MILLI)
			continue;
		task->cards = 0;
		for (uint32_t k = 0; k < task->cards_milli / CARD_MILLI; k++) {
			uint64_t *from = busy ? &busy : &idle;

			task->cards |= *from & -*from;
			*from &= *from - 1;
		}
	}
}

static us_t later(us_t a, us_t b)
{
	return a > b ? a : b;
}

static us_t earliest_of(const struct core *core, uint32_t resource, uint64_t amount, us_t now_us)
{
	uint32_t i = map_get(&core->pool->resource_index, resource, UINT32_MAX);

	return amount && i != UINT32_MAX ? calendar_earliest(&core->calendars[i], amount, now_us, 1) : now_us;
}

/* Before this instant no way to place the shape has the sum of what it needs, wherever that may lie. */
static us_t not_before(const struct core *core, const struct shape *shape, us_t now_us)
{
	uint64_t n = shape->group.nodes;
	us_t least = US_NEVER;

	for (uint32_t i = 0; i < shape->n_candidates; i++) {
		const struct shelf *shelf = &core->pool->shelves[shape->candidates[i].shelf];
		const struct request *q = &shape->group.requests[shape->candidates[i].request];
		us_t at = earliest_of(core, resource_id(RESOURCE_CARDS, shelf->centre, shelf->kind), n * q->cards_milli, now_us);

		at = later(at, earliest_of(core, resource_id(RESOURCE_CPUS, shelf->centre, 0), n * q->cpus_milli, now_us));
		at = later(at, earliest_of(core, resource_id(RESOURCE_MEMORY, shelf->centre, 0), n * q->memory_mib, now_us));
		least = at < least ? at : least;
	}
	return least;
}

/* Whether a job runs at a centre where the shape may be placed: no other's end can help it. */
static bool is_near(const struct core *core, const struct shape *shape, const struct job *job)
{
	for (uint32_t i = 0; i < shape->n_candidates; i++)
		if (core->pool->shelves[shape->candidates[i].shelf].centre == job->plan.tasks[0].centre)
			return true;
	return false;
}

bool plan_earliest(const struct core *core, const struct shape *shape, us_t limit_us, us_t now_us, struct arena *arena,
                   struct plan *ret)
{
	us_t from_us = shape->never ? US_NEVER : not_before(core, shape, now_us);
	struct capacity then;
	struct end *ends;
	bool found = false;
	uint32_t n;

	if (from_us == US_NEVER)
		return false;
	n = list_ends(core, now_us, arena, &ends);
	capacity_copy(&then, &core->capacity);
	for (uint32_t i = 0; i < n && !found; i++) {
		bool last_of_instant = i + 1 == n || ends[i + 1].at_us != ends[i].at_us;

		if (is_near(core, shape, ends[i].job))
			give_back(core, &then, ends[i].job);
		if (last_of_instant && ends[i].at_us >= from_us)
			found = plan_find(core, shape, limit_us, &then, ends[i].at_us, arena, ret);
	}
	if (found)
		prefer_busy(core, &then, ret);
	capacity_done(&then);
	return found;
}
