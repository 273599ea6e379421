/* SPDX-License-Identifier: Apache-2.0
 * running.c: what jobs that run hold, kept in every book at once; see apply_inside.h.
 *
 * A job whose attempt an engine may hold or run has a `struct running`. From take_plan to give_plan it stands in `live`, in
 * `ends` where it has a bound, and as a tenant on each of its nodes that the pool still has; what it holds there is taken from
 * the capacity, is known to what is kept, and counts for its shelf's work and its project. Where it may be preempted it stands
 * among the victims. Where it has no bound, what it holds counts as held for ever (`endless`).
 *
 * came_free and came_free_all count for the passes (the memos in state.h): one of them follows each change that could let a job
 * start that was found not to. */
#include <stdlib.h>
#include <string.h>

#include "base/bitset.h"
#include "base/mem.h"
#include "core/apply_inside.h"
#include "core/place.h"

/* The lowest priority first; of one priority what stands last in the policy's order, and came last. */
static int compare_victims(const struct tree_node *a, const struct tree_node *b)
{
	const struct running *x = tree_entry(a, struct running, in_victims), *y = tree_entry(b, struct running, in_victims);

	if (x->job->priority != y->job->priority)
		return x->job->priority < y->job->priority ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank > y->rank ? -1 : 1;
	return x->job->id > y->job->id ? -1 : x->job->id < y->job->id;
}

/* ---- Who is live ---- */

void empty_live(struct core *core)
{
	if (core->live_cap)
		memset(core->live, 0, bitset_words(core->live_cap) * sizeof *core->live);
	core->n_live = 0;
}

/* Room for the numbers of all jobs that may come before there is room for more of these. */
static void grow_live(struct core *core)
{
	uint64_t *live = mem_new(bitset_words(core->jobs_cap), sizeof *live);

	for (const struct job *job = core_live_after(core, 0); job; job = core_live_after(core, job->id))
		bitset_add(live, core->jobs_cap, job->id);
	free(core->live);
	core->live = live;
	core->live_cap = core->jobs_cap;
}

static void enter_live(struct core *core, uint32_t id)
{
	if (core->live_cap < core->jobs_cap)
		grow_live(core);
	bitset_add(core->live, core->live_cap, id);
	core->n_live++;
}

static void leave_live(struct core *core, uint32_t id)
{
	bitset_remove(core->live, core->live_cap, id);
	core->n_live--;
}

/* ---- What came free ---- */

bool others_may_leave(const struct core *core)
{
	return core->victims.count || core->projects_bounded;
}

static void count_free(struct core *core, uint32_t node, bool by_promise)
{
	struct freed *at = core->freed_at[core->pool->nodes[node].shelf];
	uint32_t free = others_may_leave(core) ? core->pool->nodes[node].cards
	                                       : (uint32_t)__builtin_popcountll(core->capacity.free_cards[node]);

	core->freed++;
	for (uint32_t cards = 0; cards <= free; cards++) {
		at[cards].times++;
		at[cards].promised += by_promise;
	}
}

void came_free(struct core *core, uint32_t node)
{
	count_free(core, node, false);
}

void may_be_passed(struct core *core, uint32_t node)
{
	count_free(core, node, true);
}

bool has_something_free(const struct core *core, uint32_t node)
{
	const struct node *n = &core->pool->nodes[node];

	if (core->capacity.free_cards[node] || (core->capacity.free_cpus[node] && core->capacity.free_memory[node]))
		return true;
	for (uint32_t i = 0; i < n->cards; i++)
		if (core->capacity.card_milli[n->card_first + i])
			return true;
	return false;
}

void came_free_all(struct core *core)
{
	core->freed++;
	core->freed_all++;
}

/* ---- What a plan takes and gives back ---- */

struct project_amount job_amount(const struct core *core, const struct job *job)
{
	const struct request *q = job_request(core, job);
	uint64_t n = job->plan.n_tasks;

	return (struct project_amount){.kind = q->cards_milli ? job->plan.kind : KIND_NONE,
	                               .cards_milli = n * q->cards_milli,
	                               .cpus_milli = n * q->cpus_milli,
	                               .memory_mib = n * q->memory_mib};
}

static void enter_tenant(struct core *core, struct running *running, uint32_t task, uint32_t node)
{
	struct tenant *t = &running->tenants[task];

	*t = (struct tenant){.next = core->tenants[node], .link = &core->tenants[node], .of = running, .task = task};
	if (t->next)
		t->next->link = &t->next;
	core->tenants[node] = t;
}

static void leave_tenant(struct tenant *t)
{
	if (!t->link)
		return;
	*t->link = t->next;
	if (t->next)
		t->next->link = t->link;
}

/* The shelf on which a job's tasks lie; UINT32_MAX: on several, or on none that is there. */
static uint32_t shelf_of(const struct core *core, const struct job *job)
{
	uint32_t shelf = UINT32_MAX, node;

	for (uint32_t i = 0; i < job->plan.n_tasks; i++) {
		node = pool_node(core->pool, job->plan.tasks[i].centre, job->plan.tasks[i].node);
		if (node == NODE_NONE || (i && core->pool->nodes[node].shelf != shelf))
			return UINT32_MAX;
		shelf = core->pool->nodes[node].shelf;
	}
	return shelf;
}

static void enter_ends(struct core *core, struct job *job)
{
	if (job->plan.until_us != US_NEVER)
		sorted_insert(&core->ends, job->plan.until_us, job->id, shelf_of(core, job));
}

static void leave_ends(struct core *core, struct job *job)
{
	if (job->plan.until_us != US_NEVER)
		sorted_remove(&core->ends, job->plan.until_us, job->id);
}

static void set_leaving(struct core *core, struct job *job, bool leaves)
{
	if (leaves && !job->running->leaves)
		sorted_insert(&core->leaving, 0, job->id, 0);
	if (!leaves && job->running->leaves)
		sorted_remove(&core->leaving, 0, job->id);
	job->running->leaves = leaves;
}

bool job_holds_counted(const struct core *core, const struct job *job)
{
	struct share share;
	uint32_t node;

	if (job_amount(core, job).cards_milli)
		return true;
	for (uint32_t i = 0; i < job->plan.n_tasks; i++)
		if (job_holds(core, job, i, &node, &share) && ((share.cpus_milli && core->capacity.free_cpus[node] != UNCOUNTED) ||
		                                               (share.memory_mib && core->capacity.free_memory[node] != UNCOUNTED)))
			return true;
	return false;
}

void line_up(struct core *core, struct job *job)
{
	struct running *running = job->running;

	if (!running)
		return;
	set_leaving(core, job, job->state == JOB_CLEANUP && job_holds_counted(core, job));
	if (running->in_line)
		tree_remove(&core->victims, &running->in_victims);
	running->in_line = job->preemptible && job->state == JOB_ACTIVE;
	running->rank = rank_running(core, job, core->now_us);
	core->victims.compare = compare_victims;
	if (running->in_line)
		tree_insert(&core->victims, &running->in_victims, job->id);
	if (job->movable || running->n_movers)
		move_enter(core, running);
}

struct stay stay_of(const struct job *job)
{
	return (struct stay){.until_us = job->plan.until_us, .leaving = job->state == JOB_CLEANUP};
}

/* What is held of a node for ever, by whoever has no bound. sign: 1 more, -1 less of it. */
static void count_endless(struct core *core, uint32_t node, const struct share *share, int sign)
{
	struct shelf_sum *sum = &core->endless[core->pool->nodes[node].shelf];

	sum->cards_milli += (uint64_t)sign * share_milli(share);
	sum->cpus_milli += (uint64_t)sign * share->cpus_milli;
	sum->memory_mib += (uint64_t)sign * share->memory_mib;
}

void take_plan(struct core *core, struct job *job, bool again)
{
	struct project_amount amount = job_amount(core, job);
	struct share share;
	uint32_t node;

	job->running = running_new(&core->memory, job, job->plan.n_tasks);
	for (uint32_t i = 0; i < job->plan.n_tasks; i++) {
		if (!job_holds(core, job, i, &node, &share))
			continue;
		capacity_take(&core->capacity, node, &share);
		keep_taken(&core->keep, node, &share, stay_of(job), &core->capacity, CAUSE_ORDER);
		enter_tenant(core, job->running, i, node);
		if (job->plan.until_us == US_NEVER)
			count_endless(core, node, &share, 1);
	}
	outlook_hold(core, job);
	enter_live(core, job->id);
	enter_ends(core, job);
	line_up(core, job);
	if (again)
		projects_hold_again(core->tree, job->project, &amount);
	else
		projects_take(core->tree, job->project, &amount, core->now_us);
}

void give_plan(struct core *core, struct job *job)
{
	struct project_amount amount = job_amount(core, job);
	struct share share;
	uint32_t node;

	leave_live(core, job->id);
	leave_ends(core, job);
	set_leaving(core, job, false);
	if (job->running->in_line)
		tree_remove(&core->victims, &job->running->in_victims);
	move_leave(core, job->running);
	core->freed++;
	for (uint32_t i = 0; i < job->plan.n_tasks; i++) {
		leave_tenant(&job->running->tenants[i]);
		if (!job_holds(core, job, i, &node, &share))
			continue;
		capacity_give(&core->capacity, node, &share);
		keep_given(&core->keep, node, &share, stay_of(job), &core->capacity);
		came_free(core, node);
		if (job->plan.until_us == US_NEVER)
			count_endless(core, node, &share, -1);
	}
	outlook_release(core, job);
	projects_give(core->tree, job->project, &amount, core->now_us);
	core->relieved += core->projects_bounded;
	job->running = running_free(&core->memory, job->running);
}

void set_stay(struct core *core, struct job *job, struct stay before, us_t until_us)
{
	struct stay after = {.until_us = until_us, .leaving = stay_of(job).leaving};
	bool ends = until_us != US_NEVER, had_end = before.until_us != US_NEVER;
	struct share share;
	uint32_t node;

	if (after.until_us == before.until_us && after.leaving == before.leaving)
		return;
	for (uint32_t i = 0; i < job->plan.n_tasks; i++) {
		if (!job_holds(core, job, i, &node, &share))
			continue;
		if (ends != had_end)
			count_endless(core, node, &share, ends ? -1 : 1);
		if (!keep_has(&core->keep, node))
			continue;
		keep_moved(&core->keep, node, &share, before, after, &core->capacity);
		came_free(core, node); /* what is promised there may need less of what is free */
	}
	if (after.until_us == before.until_us)
		return;
	leave_ends(core, job);
	job->plan.until_us = until_us;
	for (uint32_t i = 0; i < job->plan.n_claims; i++)
		job->plan.claims[i].until_us = until_us;
	enter_ends(core, job);
}

us_t job_bound_us(const struct job *job)
{
	return plan_end(job->started_us != US_NEVER ? job->started_us : job->plan.start_us, job->limit_us);
}

const struct job *job_victim(const struct core *core, const struct reservation *r, uint32_t i)
{
	const struct job *job = core_job(core, r->victims[i]);

	return job && job_is_live(job) && job->attempt == r->attempts[i] ? job : NULL;
}

bool job_is_lent(const struct job *job)
{
	return job_is_live(job) && job->state != JOB_CLEANUP && job->plan.until_us < job_bound_us(job);
}

us_t job_due_us(const struct core *core, const struct job *job)
{
	us_t due_us = job->plan.until_us - core->config.kill_grace_us;

	return due_us > job->placed_us ? due_us : job->placed_us;
}

bool job_may_stay(const struct core *core, const struct job *job)
{
	struct share share;
	uint32_t node;

	for (uint32_t i = 0; i < job->plan.n_tasks; i++)
		if (job_holds(core, job, i, &node, &share) &&
		    !keep_spares(&core->keep, node, &share, job->project, job->plan.until_us, job_bound_us(job)))
			return false;
	return true;
}

void move_until(struct core *core, struct job *job)
{
	set_stay(core, job, stay_of(job), job_bound_us(job));
}

/* ---- When the pool changes ---- */

static uint32_t lesser(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* What of a share a node has free: all of it, but where the pool has changed. */
static struct share what_remains(const struct core *core, uint32_t node, struct share share)
{
	const struct node *n = &core->pool->nodes[node];
	uint64_t cards = 0;

	for (uint32_t i = 0; i < n->cards; i++)
		if (share.cards >> i & 1 && core->capacity.card_milli[n->card_first + i] >= share.milli)
			cards |= (uint64_t)1 << i;
	share.cards = cards;
	share.cpus_milli = lesser(share.cpus_milli, core->capacity.free_cpus[node]);
	share.memory_mib = lesser(share.memory_mib, core->capacity.free_memory[node]);
	return share;
}

static bool same_share(const struct share *a, const struct share *b)
{
	return a->cards == b->cards && a->milli == b->milli && a->cpus_milli == b->cpus_milli && a->memory_mib == b->memory_mib;
}

void find_held(struct core *core, struct job *job)
{
	bool all = true;

	free(job->held);
	job->held = mem_new(job->plan.n_tasks, sizeof *job->held);
	for (uint32_t i = 0; i < job->plan.n_tasks; i++) {
		const struct task *task = &job->plan.tasks[i];
		uint32_t node = pool_node(core->pool, task->centre, task->node);
		struct share share = place_share(task, job_request(core, job));

		if (node != NODE_NONE)
			job->held[i] = what_remains(core, node, share);
		all = all && same_share(&job->held[i], &share);
	}
	if (all) {
		free(job->held);
		job->held = NULL;
	}
}

void forget_running(struct core *core, struct job *job)
{
	struct project_amount amount;

	if (!job->running)
		return;
	amount = job_amount(core, job);
	projects_give(core->tree, job->project, &amount, core->now_us);
	job->running = running_free(&core->memory, job->running);
}
