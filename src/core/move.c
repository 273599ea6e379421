/* SPDX-License-Identifier: Apache-2.0
 * move.c: jobs that run are started again on cards that they are faster on.
 *
 * A job takes what is free when its turn comes, and so may run on a slow kind while faster cards come free that nobody who waits
 * can use; or it may hold cards that it gains little from, and another, on slow ones, would gain much from. So, when nobody else
 * can start:
 *   a move    a job goes to cards of another kind that are free and open to it;
 *   a swap    two jobs change places.
 * Of the speeds that jobs state only how they compare is asked: the sum of speed / fastest over the jobs that move has to rise by
 * `move_gain`, so that the pool as a whole does its work faster (the throughput of Gavel, OSDI'20, with one job a card). In a
 * swap nobody gets slower cards for the sake of one that couldn't have it stopped: see may_lose().
 *
 * A move costs what was done since the last checkpoint, and a restart: it has to save `move_least` and that twice over, by the
 * limit, or without one by what was learned. A job that says nothing of checkpoints loses all of its attempt. No job is moved
 * before its attempt has run for `move_after`, and so none to and fro.
 *
 * What is yielded is a promise like that of preempt.c: whole plans, as of now + grace, within the quotas that the projects call
 * their own, past everything that is kept for others. Each job is stopped then, and starts on what was kept for it before anybody
 * else (winner() in pass.c).
 *
 * Who may be moved stands in a tree by kind held and kind wanted, size and priority, those that gain most first. So it is enough
 * to look at the first few of each group, and at nothing where nobody may be moved. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/wide.h"
#include "core/place.h"
#include "core/state.h"

enum {
	PER_MILLE = 1000,
	GROUPS_MAX = 128, /* of movers, by kind and size: others aren't looked at */
	TRIED_MAX = 4,    /* of one group */
	PLANS_MAX = 16,   /* of swaps, for one decision */
};

/* ---- Who may be moved where ---- */

static const struct mover *mover_of(const struct tree_node *node)
{
	return tree_entry(node, struct mover, node);
}

#define COMPARE(x, y) \
	do { \
		if ((x) != (y)) \
			return (x) < (y) ? -1 : 1; \
	} while (0)

/* A group: jobs of one priority that hold as much of a kind, and would need as much of another. */
static int compare_groups(const struct mover *a, const struct mover *b)
{
	COMPARE(a->from, b->from);
	COMPARE(a->to, b->to);
	COMPARE(a->holds, b->holds);
	COMPARE(a->needs, b->needs);
	COMPARE(b->priority, a->priority);
	return 0;
}

static int compare_gains(const struct mover *a, const struct mover *b)
{
	COMPARE(b->priority, a->priority);
	COMPARE(b->gain, a->gain);
	COMPARE(a->job, b->job);
	return 0;
}

static int compare_movers(const struct tree_node *x, const struct tree_node *y)
{
	const struct mover *a = mover_of(x), *b = mover_of(y);
	int groups = compare_groups(a, b);

	return groups ? groups : compare_gains(a, b);
}

bool move_varies(const struct core *core, const struct shape *shape)
{
	const struct candidate *first = shape->candidates;

	for (uint32_t i = 1; i < shape->n_candidates; i++) {
		const struct candidate *c = &shape->candidates[i];

		if (core->pool->shelves[c->shelf].kind != core->pool->shelves[first->shelf].kind &&
		    shape->group.requests[c->request].cards_milli &&
		    shape->group.requests[c->request].speed_milli != shape->group.requests[first->request].speed_milli)
			return true;
	}
	return false;
}

us_t move_ages(const struct core *core, const struct job *job)
{
	us_t after_us = core->config.move_after_us;

	if (job->preemptible_after_us == US_NEVER || after_us == US_NEVER || !core_shape(core, job)->varies)
		return US_NEVER;
	return us_add(job->started_us, after_us > job->preemptible_after_us ? after_us : job->preemptible_after_us);
}

static uint32_t fastest_milli(const struct shape *shape)
{
	uint32_t fastest = 1;

	for (uint32_t i = 0; i < shape->n_candidates; i++) {
		uint32_t speed = shape->group.requests[shape->candidates[i].request].speed_milli;

		fastest = speed > fastest ? speed : fastest;
	}
	return fastest;
}

/* How much faster a job would be by another of its requests than by the one that it runs by, in thousandths of its fastest. */
static int32_t gain_of(const struct core *core, const struct job *job, uint32_t request)
{
	const struct shape *shape = core_shape(core, job);
	int64_t speed = shape->group.requests[request].speed_milli, now = job_request(core, job)->speed_milli;

	return (int32_t)((speed - now) * PER_MILLE / fastest_milli(shape));
}

/* Adds a way to be moved; of several to one kind the fastest counts. */
static void add_mover(const struct core *core, struct running *running, struct candidate c)
{
	const struct job *job = running->job;
	const struct group *group = &core_shape(core, job)->group;
	struct mover m = {
		.of = running,
		.from = job->plan.kind,
		.to = core->pool->shelves[c.shelf].kind,
		.holds = (uint64_t)group->nodes * job_request(core, job)->cards_milli,
		.needs = (uint64_t)group->nodes * group->requests[c.request].cards_milli,
		.gain = gain_of(core, job, c.request),
		.priority = job->priority,
		.job = job->id,
	};
	uint32_t i = 0;

	if (m.to == m.from || m.to == KIND_NONE || !m.needs)
		return;
	while (i < running->n_movers && running->movers[i].to != m.to)
		i++;
	if (i == running->n_movers)
		running->n_movers++;
	else if (running->movers[i].gain >= m.gain)
		return;
	running->movers[i] = m;
}

void move_leave(struct core *core, struct running *running)
{
	for (uint32_t i = 0; i < running->n_movers; i++)
		tree_remove(&core->movers, &running->movers[i].node);
	free(running->movers);
	running->movers = NULL;
	running->n_movers = 0;
}

void move_enter(struct core *core, struct running *running)
{
	const struct job *job = running->job;
	const struct shape *shape = core_shape(core, job);

	move_leave(core, running);
	if (!job->movable || job->state != JOB_ACTIVE || job->plan.kind == KIND_NONE || job->held || !shape->varies ||
	    core->config.move_after_us == US_NEVER)
		return;
	running->movers = mem_new(shape->n_candidates, sizeof *running->movers);
	for (uint32_t i = 0; i < shape->n_candidates; i++)
		add_mover(core, running, shape->candidates[i]);
	core->movers.compare = compare_movers;
	for (uint32_t i = 0; i < running->n_movers; i++)
		tree_insert(&core->movers, &running->movers[i].node, job->id);
}

/* ---- One decision ---- */

struct search {
	const struct core *core;
	us_t now_us, start_us; /* start_us: when those that are stopped now are gone, by their grace */
	struct arena *arena;
	const struct mover *groups[GROUPS_MAX]; /* the first of each */
	uint32_t n_groups, n_plans;
};

/* The first mover of the group after one's own; NULL: none. first: of them all. */
static const struct mover *next_group(const struct core *core, const struct mover *m)
{
	const struct tree_node *node = core->movers.root;
	const struct mover *found = NULL;

	while (node) {
		if (!m || compare_groups(m, mover_of(node)) < 0) {
			found = mover_of(node);
			node = node->left;
		} else {
			node = node->right;
		}
	}
	return found;
}

/* The next of a mover's group; NULL: it is the last. */
static const struct mover *next_in_group(const struct mover *m)
{
	const struct tree_node *node = tree_next(&m->node);

	return node && !compare_groups(m, mover_of(node)) ? mover_of(node) : NULL;
}

static int compare_tops(const void *x, const void *y)
{
	const struct mover *a = *(const struct mover *const *)x, *b = *(const struct mover *const *)y;
	int order = compare_gains(a, b);

	return order ? order : compare_groups(a, b); /* one job may stand first in several */
}

/* The groups, the highest priority and the greatest gain first. */
static void list_groups(struct search *s)
{
	const struct mover *m = NULL;

	while (s->n_groups < GROUPS_MAX && (m = next_group(s->core, m)))
		s->groups[s->n_groups++] = m;
	qsort(s->groups, s->n_groups, sizeof(const struct mover *), compare_tops);
}

static uint64_t scaled(uint64_t amount, uint32_t times, uint32_t by)
{
	u128 product = (u128)amount * times / (by ? by : 1);

	return product < US_NEVER ? (uint64_t)product : US_NEVER;
}

/* The time in which an attempt did what would be lost of it. */
static us_t lost_us(const struct search *s, const struct job *job)
{
	us_t ran_us = s->now_us - job->started_us;

	return job->checkpoint_every_us ? ran_us % job->checkpoint_every_us : ran_us;
}

/* Whether a job is done so much earlier by a request that it is worth what is lost of it and of others (others_us). What it still
 * has to do is no more than its limit leaves time for, here. */
static bool is_worth(const struct search *s, const struct job *job, uint32_t request, us_t others_us)
{
	uint32_t here = job_request(s->core, job)->speed_milli, there = core_shape(s->core, job)->group.requests[request].speed_milli;
	us_t bound_us = job_bound_us(job), lost = lost_us(s, job);
	uint64_t left = (uint64_t)rank_left_us(s->core, job, s->now_us), here_us, there_us;

	here_us = scaled(left, PER_MILLE, here);
	if (bound_us != US_NEVER && (uint64_t)(bound_us - s->now_us) < here_us)
		here_us = bound_us > s->now_us ? (uint64_t)(bound_us - s->now_us) : 0;
	there_us = scaled(here_us, here, there) + (uint64_t)s->core->config.kill_grace_us;
	lost = us_add((us_t)scaled((uint64_t)lost, here, there), others_us);
	return here_us >= there_us && us_add(us_add(lost, lost), s->core->config.move_least_us) <= (us_t)(here_us - there_us);
}

/* Whether a job can be stopped now: its centre is heard. */
static bool can_leave(const struct search *s, const struct job *job)
{
	return !s->core->silent[job->plan.tasks[0].centre];
}

/* A plan for a job from when it has left, in what is free then, between keep_then_begin and keep_then_end. Within what its
 * project calls its own: what is borrowed could be taken back at once. */
static bool find_plan(const struct search *s, const struct job *job, struct plan *ret)
{
	const struct core *core = s->core;
	const struct asker asker = {.job = job->id, .project = job->project, .limit_us = job->limit_us, .owns = true};
	const struct keep_view view = {job->id, job->project, s->start_us, plan_end(s->start_us, job->limit_us)};

	keep_then_show(keep_of(core), &view);
	return plan_find(core, core_shape(core, job), &asker, &core->keep.open, s->start_us, s->arena, ret);
}

static void yield(const struct search *s, const struct job *const *jobs, const struct plan *plans, uint32_t n, struct event *ret)
{
	*ret = (struct event){.type = EVENT_MOVING, .at_us = s->now_us};
	ret->moving.n = n;
	for (uint32_t i = 0; i < n; i++)
		ret->moving.moves[i] = (struct move){jobs[i]->id, plans[i]};
}

/* ---- A move ---- */

/* Whether a shelf of the kind has as much open to all as a mover needs. */
static bool has_room(const struct search *s, const struct mover *m)
{
	const struct pool *pool = s->core->pool;

	for (uint32_t i = 0; i < pool->n_shelves; i++)
		if (pool->shelves[i].kind == m->to && s->core->keep.open.shelf_milli[i] >= m->needs)
			return true;
	return false;
}

static bool try_move(struct search *s, const struct job *job, struct event *ret)
{
	struct plan plan;
	bool found;

	keep_then_begin(keep_of(s->core), &s->core->capacity);
	found = find_plan(s, job, &plan);
	keep_then_end(keep_of(s->core), &s->core->capacity);
	if (!found || plan.kind == job->plan.kind || gain_of(s->core, job, plan.request) < (int32_t)s->core->config.move_gain_milli ||
	    !is_worth(s, job, plan.request, 0))
		return false;
	yield(s, &job, &plan, 1, ret);
	return true;
}

static bool try_moves(struct search *s, struct event *ret)
{
	for (uint32_t i = 0; i < s->n_groups; i++) {
		const struct mover *m = s->groups[i];

		if (m->gain < (int32_t)s->core->config.move_gain_milli || !has_room(s, m))
			continue;
		for (int tried = 0; m && tried < TRIED_MAX && m->gain >= (int32_t)s->core->config.move_gain_milli; tried++) {
			if (can_leave(s, m->of->job) && try_move(s, m->of->job, ret))
				return true;
			m = next_in_group(m);
		}
	}
	return false;
}

/* ---- A swap ---- */

/* Two groups that could change places, and what is gained at most. */
struct pair {
	const struct mover *a, *b;
	int32_t gain;
};

static int compare_pairs(const void *x, const void *y)
{
	const struct pair *a = x, *b = y;
	int first;

	COMPARE(b->gain, a->gain);
	first = compare_gains(a->a, b->a);
	return first ? first : compare_gains(a->b, b->b);
}

/* Whether b may get slower cards for a: it has a lower priority, or under shortest and las the same, and doesn't stand before it.
 */
static bool may_lose(const struct search *s, const struct job *b, const struct job *a)
{
	if (b->priority != a->priority)
		return b->priority < a->priority;
	return rank_orders(s->core) && rank_running(s->core, b, s->now_us) >= rank_running(s->core, a, s->now_us);
}

/* What a plan takes is taken, or free again, for the question what another could take beside it. */
static void set_taken(const struct search *s, const struct job *job, const struct plan *plan, bool taken)
{
	const struct core *core = s->core;
	const struct request *q = &core_shape(core, job)->group.requests[plan->request];
	const struct project_amount amount = {.kind = plan->kind, .cards_milli = (uint64_t)plan->n_tasks * q->cards_milli};

	for (uint32_t i = 0; i < plan->n_tasks; i++) {
		uint32_t node = pool_node(core->pool, plan->tasks[i].centre, plan->tasks[i].node);
		struct share share = place_share(&plan->tasks[i], q);

		if (taken)
			keep_then_take(keep_of(core), node, &share);
		else
			keep_then_give(keep_of(core), node, &share);
	}
	if (taken)
		projects_hold_again(core->tree, job->project, &amount);
	else
		projects_set_aside(core->tree, job->project, &amount);
}

/* Plans for two jobs once both have left. */
static bool find_plans(const struct search *s, const struct job *const jobs[2], struct plan plans[2])
{
	bool found;

	keep_then_begin(keep_of(s->core), &s->core->capacity);
	preempt_set_aside(s->core, jobs[0], true);
	preempt_set_aside(s->core, jobs[1], true);
	found = find_plan(s, jobs[0], &plans[0]);
	if (found) {
		set_taken(s, jobs[0], &plans[0], true);
		found = find_plan(s, jobs[1], &plans[1]);
		set_taken(s, jobs[0], &plans[0], false);
	}
	preempt_set_aside(s->core, jobs[1], false);
	preempt_set_aside(s->core, jobs[0], false);
	keep_then_end(keep_of(s->core), &s->core->capacity);
	return found;
}

static bool try_swap(struct search *s, const struct mover *a, const struct mover *b, struct event *ret)
{
	const struct job *const jobs[2] = {a->of->job, b->of->job};
	struct plan plans[2];
	int32_t gain;

	if (!can_leave(s, jobs[1]) || (b->gain < 0 && !may_lose(s, jobs[1], jobs[0])))
		return false;
	s->n_plans++;
	if (!find_plans(s, jobs, plans) || plans[0].kind == jobs[0]->plan.kind || plans[1].kind == jobs[1]->plan.kind)
		return false;
	gain = gain_of(s->core, jobs[1], plans[1].request);
	if (gain + gain_of(s->core, jobs[0], plans[0].request) < (int32_t)s->core->config.move_gain_milli ||
	    (gain < 0 && !may_lose(s, jobs[1], jobs[0])) || !is_worth(s, jobs[0], plans[0].request, lost_us(s, jobs[1])))
		return false;
	yield(s, jobs, plans, 2, ret);
	return true;
}

static bool try_pair(struct search *s, const struct pair *pair, struct event *ret)
{
	const struct mover *a = pair->a;

	for (int i = 0; a && i < TRIED_MAX && a->gain > 0; i++, a = next_in_group(a)) {
		const struct mover *b = pair->b;

		if (!can_leave(s, a->of->job))
			continue;
		for (int k = 0; b && k < TRIED_MAX && a->gain + b->gain >= (int32_t)s->core->config.move_gain_milli; k++) {
			if (s->n_plans == PLANS_MAX)
				return false;
			if (try_swap(s, a, b, ret))
				return true;
			b = next_in_group(b);
		}
	}
	return false;
}

/* Whether the jobs of one group could take the places of another's. */
static bool is_pair(const struct search *s, const struct mover *a, const struct mover *b)
{
	return a->to == b->from && b->to == a->from && a->needs <= b->holds && b->needs <= a->holds && a->gain > 0 &&
	       a->gain >= b->gain && a->gain + b->gain >= (int32_t)s->core->config.move_gain_milli;
}

static bool try_swaps(struct search *s, struct event *ret)
{
	struct pair *pairs = NULL;
	uint32_t n = 0;

	for (uint32_t round = 0; round < 2; round++) {
		if (round)
			pairs = arena_new(s->arena, n, sizeof *pairs);
		n = 0;
		for (uint32_t i = 0; i < s->n_groups; i++)
			for (uint32_t k = 0; k < s->n_groups; k++) {
				const struct mover *a = s->groups[i], *b = s->groups[k];

				if (!is_pair(s, a, b))
					continue;
				if (pairs)
					pairs[n] = (struct pair){a, b, a->gain + b->gain};
				n++;
			}
		if (!n)
			return false;
	}
	qsort(pairs, n, sizeof *pairs, compare_pairs);
	for (uint32_t i = 0; i < n; i++)
		if (try_pair(s, &pairs[i], ret))
			return true;
	return false;
}

bool move_next(struct core *core, us_t now_us, struct event *ret)
{
	struct search s = {.core = core, .now_us = now_us, .arena = &core->scratch};

	if (!core->movers.count || core->moves_looked == core->freed + 1)
		return false;
	s.start_us = us_add(now_us, core->config.kill_grace_us);
	list_groups(&s);
	if (try_moves(&s, ret) || try_swaps(&s, ret))
		return true;
	core->moves_looked = core->freed + 1;
	return false;
}
