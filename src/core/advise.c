/* SPDX-License-Identifier: Apache-2.0
 * advise.c: for a job that waits: who stands before it, who holds what it would need, and the smallest change that would start
 * it now.
 *
 * Beside explain.c. A change is found by asking the planner about a job that differs in one thing, least intrusive first: a
 * shorter limit, a wider tier, fewer nodes, another centre, another kind, fewer cards a node. What is said would start now does,
 * if it is submitted like this and nothing else comes between. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/state.h"

const char *change_word(enum change change)
{
	static const char *const words[CHANGE_COUNT] = {"none", "limit", "tier", "nodes", "centre", "kind", "cards"};

	return words[change];
}

/* ---- Others ---- */

static struct other_job who_wants(const struct core *core, const struct job *job)
{
	const struct group *group = &core_shape(core, job)->group;
	const struct reservation *r = keep_find(&core->keep, job->id);

	return (struct other_job){.job = job->id,
	                          .project = job->project,
	                          .kind = group->requests[0].kind,
	                          .nodes = group->nodes,
	                          .cards_milli = (uint64_t)group->nodes * group->requests[0].cards_milli,
	                          .at_us = r ? r->plan.start_us : US_NEVER};
}

enum { CLASSES_AHEAD = 8 };

/* The first in line: of the first classes, which come in order of their first jobs, the first few jobs each. */
static void find_ahead(const struct core *core, const struct job *job, struct arena *arena, struct advice *ret)
{
	struct queue_walk walk = {.queue = &core->queue, .arena = arena};
	const struct job *list[OTHER_JOBS_MAX];
	struct job_class *class;

	for (int c = 0; c < CLASSES_AHEAD && (class = queue_walk_next(&walk)); c++)
		for (const struct job *j = class_first(class); j && job_stands_before(core, j, job); j = class_next(j)) {
			uint32_t i = ret->n_ahead;

			if (i == OTHER_JOBS_MAX && job_stands_before(core, list[i - 1], j))
				break;
			ret->n_ahead += i < OTHER_JOBS_MAX;
			for (i = ret->n_ahead - 1; i > 0 && job_stands_before(core, j, list[i - 1]); i--)
				list[i] = list[i - 1];
			list[i] = j;
		}
	for (uint32_t i = 0; i < ret->n_ahead; i++)
		ret->ahead[i] = who_wants(core, list[i]);
}

/* What a job holds of the shelf that its nodes are on: cards, or CPUs of one without. */
static uint64_t held_by(const struct core *core, const struct job *job, bool of_cards)
{
	const struct request *q = job_request(core, job);

	return (uint64_t)job->plan.n_tasks * (of_cards ? q->cards_milli : q->cpus_milli);
}

/* Puts a job among the largest. */
static void add_holder(const struct core *core, const struct job *job, bool of_cards, struct advice *ret,
                       uint64_t held[OTHER_JOBS_MAX])
{
	uint64_t here = held_by(core, job, of_cards);
	uint32_t i = ret->n_holders;

	if (!here || (i == OTHER_JOBS_MAX && held[i - 1] >= here))
		return;
	ret->n_holders += i < OTHER_JOBS_MAX;
	for (i = ret->n_holders - 1; i > 0 && held[i - 1] < here; i--) {
		held[i] = held[i - 1];
		ret->holders[i] = ret->holders[i - 1];
	}
	held[i] = here;
	ret->holders[i] = (struct other_job){.job = job->id,
	                                     .project = job->project,
	                                     .kind = job->plan.kind,
	                                     .nodes = job->plan.n_tasks,
	                                     .cards_milli = of_cards ? here : 0,
	                                     .at_us = job->plan.until_us};
}

enum { TASKS_LOOKED_AT = 16384 };

/* The largest of those that hold what it would need, where it comes nearest. In a large centre: of the first so many tasks. */
static void find_holders(const struct core *core, const struct explanation *why, struct advice *ret)
{
	bool of_cards = why->kind != KIND_NONE;
	uint64_t held[OTHER_JOBS_MAX];
	uint32_t seen = 0;

	for (uint32_t s = 0; s < core->pool->n_shelves; s++) {
		const struct shelf *shelf = &core->pool->shelves[s];
		const struct domain *d = &core->pool->domains[shelf->domain];

		if (shelf->centre != why->centre || (of_cards && shelf->kind != why->kind))
			continue;
		for (uint32_t n = d->node_first; n < d->node_first + d->n_nodes && seen < TASKS_LOOKED_AT; n++)
			for (const struct tenant *t = core->tenants[n]; t; t = t->next) {
				seen++;
				if (t->task == 0)
					add_holder(core, t->of->job, of_cards, ret, held);
			}
	}
}

/* ---- Changes ---- */

struct question {
	const struct core *core;
	const struct job *job;
	const struct shape *shape; /* what it asks for */
	us_t now_us;
	struct advice *ret;
};

static bool starts_within(const struct question *q, const struct shape *shape, us_t limit_us)
{
	struct asker asker = {.job = q->job->id, .project = q->job->project, .limit_us = limit_us};
	struct arena arena = {0};
	struct plan plan;
	bool starts = plan_now(q->core, shape, &asker, q->now_us, &arena, &plan);

	arena_done(&arena);
	return starts;
}

static bool starts_as(const struct question *q, const struct group *group)
{
	struct arena arena = {0};
	struct shape shape = plan_shape(q->core, group, &arena);
	bool starts = !shape.never && starts_within(q, &shape, q->job->limit_us);

	arena_done(&arena);
	return starts;
}

/* The group with its requests in the arena, for changes. */
static struct group copy_group(const struct group *group, struct arena *arena)
{
	struct group copy = *group;

	copy.requests = arena_new(arena, group->n_requests, sizeof *copy.requests);
	memcpy(copy.requests, group->requests, group->n_requests * sizeof *copy.requests);
	return copy;
}

/* The longest limit that ends before something is kept that it would be in the way of: whole seconds. */
static bool try_limit(const struct question *q)
{
	const struct keep *keep = &q->core->keep;
	uint32_t low = 0, high = keep->n_starts;
	us_t limit_us = 0;

	while (low < high) {
		uint32_t mid = (low + high) / 2;
		us_t here_us = (keep->starts[mid].at_us - q->now_us) / US_SECOND * US_SECOND;

		if (here_us < US_SECOND) {
			low = mid + 1;
		} else if (here_us < q->job->limit_us && starts_within(q, q->shape, here_us)) {
			limit_us = here_us;
			low = mid + 1;
		} else {
			high = mid;
		}
	}
	q->ret->limit_us = limit_us;
	return limit_us > 0;
}

static bool try_tier(const struct question *q)
{
	struct group group = q->shape->group;

	for (int tier = (int)group.highest + 1; tier <= TIER_CENTRE; tier++) {
		group.highest = q->ret->tier = (enum tier)tier;
		if (starts_as(q, &group))
			return true;
	}
	return false;
}

/* The most nodes that start. */
static bool try_nodes(const struct question *q)
{
	struct group group = q->shape->group;
	uint32_t low = 0, high = group.nodes; /* low starts, or is 0; high doesn't */

	while (low + 1 < high) {
		group.nodes = low + (high - low) / 2;
		if (starts_as(q, &group))
			low = group.nodes;
		else
			high = group.nodes;
	}
	q->ret->nodes = low;
	return low > 0;
}

static bool try_centre(const struct question *q)
{
	struct arena arena = {0};
	struct group group = copy_group(&q->shape->group, &arena);
	bool changed = false, starts;

	for (uint32_t i = 0; i < group.n_requests; i++) {
		changed |= group.requests[i].centre != CENTRE_ANY;
		group.requests[i].centre = CENTRE_ANY;
	}
	starts = changed && starts_as(q, &group);
	arena_done(&arena);
	return starts;
}

static bool asks_for(const struct group *group, uint32_t kind)
{
	for (uint32_t i = 0; i < group->n_requests; i++)
		if (group->requests[i].kind == kind || group->requests[i].kind == KIND_ANY)
			return true;
	return false;
}

/* The first of the pool's kinds, in the order of the pool file; at the same centre, where it names one. */
static bool try_kind(const struct question *q)
{
	struct request request = q->shape->group.requests[0];
	struct group group = q->shape->group;

	group.requests = &request;
	group.n_requests = 1;
	for (uint32_t kind = 0; kind < q->core->pool->n_kinds && request.kind != KIND_NONE; kind++) {
		request.kind = q->ret->kind = kind;
		if (!asks_for(&q->shape->group, kind) && starts_as(q, &group))
			return true;
	}
	return false;
}

/* The group with at most so many thousandths of cards a node; the same where it asks for a share of one. */
static bool starts_with_cards(const struct question *q, uint32_t milli)
{
	struct arena arena = {0};
	struct group group = copy_group(&q->shape->group, &arena);
	bool starts;

	for (uint32_t i = 0; i < group.n_requests; i++)
		group.requests[i].cards_milli = group.requests[i].cards_milli < milli ? group.requests[i].cards_milli : milli;
	starts = starts_as(q, &group);
	arena_done(&arena);
	return starts;
}

/* The most cards a node that start: whole ones of whole ones, else a smaller share. */
static bool try_cards(const struct question *q)
{
	uint32_t milli = 0, unit, low = 0, high;

	for (uint32_t i = 0; i < q->shape->group.n_requests; i++)
		milli = q->shape->group.requests[i].cards_milli > milli ? q->shape->group.requests[i].cards_milli : milli;
	unit = milli > CARD_MILLI ? CARD_MILLI : milli < CARD_MILLI ? 1 : milli;
	high = milli / unit;
	while (low + 1 < high) {
		uint32_t mid = low + (high - low) / 2;

		if (starts_with_cards(q, mid * unit))
			low = mid;
		else
			high = mid;
	}
	q->ret->cards_milli = low * unit;
	return low > 0;
}

static void say(const struct question *q)
{
	struct advice *x = q->ret;
	char value[32], now[32];
	const uint32_t nodes = q->shape->group.nodes;

	switch (x->change) {
	case CHANGE_LIMIT:
		snprintf(x->text, sizeof x->text, "with a time limit of at most %s it would start now",
		         us_format_duration(x->limit_us, value, sizeof value));
		break;
	case CHANGE_TIER: snprintf(x->text, sizeof x->text, "spread as far as one %s it would start now", tier_word(x->tier)); break;
	case CHANGE_NODES:
		snprintf(x->text, sizeof x->text, "on %" PRIu32 " node%s instead of %" PRIu32 " it would start now", x->nodes,
		         x->nodes == 1 ? "" : "s", nodes);
		break;
	case CHANGE_CENTRE: snprintf(x->text, sizeof x->text, "at another centre it would start now"); break;
	case CHANGE_KIND:
		snprintf(x->text, sizeof x->text, "on cards of kind %s it would start now", pool_kind_name(q->core->pool, x->kind));
		break;
	case CHANGE_CARDS:
		units_format_milli(x->cards_milli, value, sizeof value);
		units_format_milli(q->shape->group.requests[0].cards_milli, now, sizeof now);
		snprintf(x->text, sizeof x->text, "with %s card(s) a node instead of %s it would start now", value, now);
		break;
	default:
		snprintf(x->text, sizeof x->text,
		         "no other limit, tier, number of nodes, centre, kind or number of cards alone would start it now");
	}
}

static bool lacks_room(enum reason reason)
{
	return reason == REASON_RESOURCES || reason == REASON_SPREAD || reason == REASON_RESERVED || reason == REASON_QUOTA ||
	       reason == REASON_BOOKED || reason == REASON_ORDER || reason == REASON_NEVER;
}

void core_advise(const struct core *core, uint32_t id, const struct explanation *why, struct advice *ret)
{
	static bool (*const tries[CHANGE_COUNT])(const struct question *) = {
		[CHANGE_LIMIT] = try_limit,   [CHANGE_TIER] = try_tier, [CHANGE_NODES] = try_nodes,
		[CHANGE_CENTRE] = try_centre, [CHANGE_KIND] = try_kind, [CHANGE_CARDS] = try_cards,
	};
	const struct job *job = core_job(core, id);
	struct advice advice = {.limit_us = US_NEVER};
	const struct question q = {core, job, core_shape(core, job), why->now_us, &advice};
	struct arena arena = {0};

	if (queue_has(&core->queue, job) && !q.shape->never)
		find_ahead(core, job, &arena, &advice);
	arena_done(&arena);
	if (lacks_room(why->reason)) {
		find_holders(core, why, &advice);
		for (int change = CHANGE_LIMIT; !advice.change && change < CHANGE_COUNT; change++)
			advice.change = tries[change](&q) ? (enum change)change : CHANGE_NONE;
		say(&q);
	}
	*ret = advice;
}
