/* SPDX-License-Identifier: Apache-2.0
 * check.c: core_check(): what is kept to be quick is what the state says. Each part is made anew and compared. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/state.h"

static void check_capacity(const struct core *core)
{
	struct capacity fresh;
	struct share share;
	uint32_t id;

	capacity_init(&fresh, core->pool);
	for (const struct job *job = core_live_after(core, 0); job; job = core_live_after(core, job->id)) {
		assert(job_is_live(job));
		for (uint32_t i = 0; i < job->plan.n_tasks; i++)
			if (job_holds(core, job, i, &id, &share))
				capacity_take(&fresh, id, &share);
	}
	assert(fresh.size == core->capacity.size);
	assert(!memcmp(fresh.memory, core->capacity.memory, fresh.size));
	capacity_done(&fresh);
	capacity_check(&core->capacity);
}

/* What every node has of each job that runs there, and only that. */
static void check_tenants(const struct core *core)
{
	uint64_t here = 0, there = 0;
	struct share share;
	uint32_t id;

	for (const struct job *job = core_live_after(core, 0); job; job = core_live_after(core, job->id)) {
		assert(job->running->job == job);
		for (uint32_t i = 0; i < job->plan.n_tasks; i++)
			here += job_holds(core, job, i, &id, &share);
	}
	for (uint32_t n = 0; n < core->pool->n_nodes; n++)
		for (const struct tenant *t = core->tenants[n]; t; t = t->next) {
			assert(*t->link == t && job_holds(core, t->of->job, t->task, &id, &share) && id == n);
			there++;
		}
	assert(here == there);
}

/* Who runs and has a bound stands in the set, by it. */
static void check_ends(const struct core *core)
{
	uint32_t bounded = 0;

	sorted_check(&core->ends);
	for (const struct job *job = core_live_after(core, 0); job; job = core_live_after(core, job->id))
		bounded += job->plan.until_us != US_NEVER;
	assert(bounded == core->ends.count);
	for (struct sorted_place at = {0}; sorted_at(&core->ends, at); at = sorted_next(&core->ends, at)) {
		const struct job *job = core_job(core, sorted_at(&core->ends, at)->id);

		assert(job);
		assert(job_is_live(job));
		assert(sorted_at(&core->ends, at)->key == job->plan.until_us);
	}
}

static void check_leaving(const struct core *core)
{
	uint32_t leaving = 0;

	sorted_check(&core->leaving);
	for (const struct job *job = core_live_after(core, 0); job; job = core_live_after(core, job->id)) {
		assert(job->running->leaves == (job->state == JOB_CLEANUP && job_holds_counted(core, job)));
		leaving += job->running->leaves;
	}
	assert(leaving == core->leaving.count);
}

/* What jobs without a bound hold, added up once more. */
static void check_endless(const struct core *core)
{
	struct shelf_sum *sums = mem_new(core->pool->n_shelves, sizeof *sums);
	struct share share;
	uint32_t id;

	for (const struct job *job = core_live_after(core, 0); job; job = core_live_after(core, job->id)) {
		for (uint32_t i = 0; job->plan.until_us == US_NEVER && i < job->plan.n_tasks; i++) {
			struct shelf_sum *sum;

			if (!job_holds(core, job, i, &id, &share))
				continue;
			sum = &sums[core->pool->nodes[id].shelf];
			sum->cards_milli += share_milli(&share);
			sum->cpus_milli += share.cpus_milli;
			sum->memory_mib += share.memory_mib;
		}
	}
	assert(!memcmp(sums, core->endless, core->pool->n_shelves * sizeof *sums));
	free(sums);
}

/* Who may be moved stands in the tree, in order; who moves holds the promise for it. */
static void check_moves(const struct core *core)
{
	uint32_t there = 0, moving = 0, held = 0;

	for (const struct job *job = core_live_after(core, 0); job; job = core_live_after(core, job->id))
		there += job->running->n_movers;
	assert(there == core->movers.count);
	for (const struct tree_node *node = tree_first(&core->movers); node; node = tree_next(node)) {
		const struct job *job = tree_entry(node, struct mover, node)->of->job;

		assert(job->movable && job->state == JOB_ACTIVE);
		assert(!tree_next(node) || core->movers.compare(node, tree_next(node)) < 0);
	}
	for (uint32_t id = 1; id <= core->last_job; id++)
		moving += core->jobs[id] && core->jobs[id]->moving;
	for (uint32_t i = 0; i < core->keep.n_reservations; i++)
		held += core->jobs[core->keep.reservations[i]->job]->moving;
	assert(moving == held);
}

void core_check(const struct core *core)
{
	uint32_t in_state[JOB_STATE_COUNT] = {0}, waiting = 0, live = 0, over = 0;

	if (!core->pool)
		return;
	for (uint32_t id = 1; id <= core->last_job; id++) {
		const struct job *job = core->jobs[id];

		if (!job)
			continue;
		in_state[job->state]++;
		waiting += job_stands_in_line(job);
		live += job_is_live(job);
		assert(job_stands_in_line(job) == queue_has(&core->queue, job));
		assert(job->timer_us == (job_is_over(job) ? job->ended_us : job_timer(core, job)));
		over += job_is_over(job);
		assert(!job_is_live(job) || job->plan.n_tasks == core_shape(core, job)->group.nodes);
	}
	assert(!memcmp(in_state, core->in_state, sizeof in_state));
	assert(waiting == core->queue.waiting && live == core->n_live && over == core->over.count);
	queue_check(&core->queue);
	sorted_check(&core->timers);
	sorted_check(&core->over);
	check_ends(core);
	check_leaving(core);
	check_endless(core);
	check_capacity(core);
	check_tenants(core);
	check_moves(core);
	keep_check(&core->keep, &core->capacity);
	projects_check(core->tree);
	project_ranking_check(core->tree, &core->ranking);
	outlook_check(core);
}
