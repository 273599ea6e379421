/* SPDX-License-Identifier: Apache-2.0
 * rank.c: what a policy makes of a job: its order within a priority, and when that changes while it runs.
 *
 * fair, fifo: by arrival alone (0 for all; under fair, projects' shares come before it, in queue.h). shortest: least remaining
 * time × cards^power first, which with a power below 1 lets gangs pass single cards a little and does better than SRSF (power 1;
 * Tiresias, NSDI'19) itself; the time is what the limit leaves, or without one what was learned of jobs like it, for which
 * nobody is stopped. las: by levels of the service that a job has had (multilevel feedback; Tiresias-L's discretised
 * two-dimensional LAS), which needs no estimates. */
#include "base/wide.h"
#include "core/state.h"

enum { LEAST_LEFT = 8 }; /* of an estimate: one that has been outrun tells that little */

/* What a job can still need of its whole work, at speed 1; without a limit what it is estimated to. */
static us_t remaining_us(const struct job *job, us_t ran_us)
{
	us_t done_us = core_done_us(job) + ran_us, whole_us = job->limit_us, least_us = 0;

	if (whole_us == US_NEVER) {
		whole_us = outlook_run_us(job);
		least_us = whole_us / LEAST_LEFT;
	}
	return done_us < whole_us - least_us ? whole_us - done_us : least_us;
}

static uint32_t best_speed_milli(const struct group *group)
{
	uint32_t best = 1;

	for (uint32_t i = 0; i < group->n_requests; i++)
		best = group->requests[i].speed_milli > best ? group->requests[i].speed_milli : best;
	return best;
}

static uint64_t rank_of(const struct core *core, const struct shape *shape, const struct job *job, us_t ran_us)
{
	us_t left_us;
	u128 product;

	switch (core->config.policy) {
	case POLICY_LAS: return job->level;
	case POLICY_SHORTEST:
		left_us = remaining_us(job, ran_us);
		product = (u128)(uint64_t)left_us * shape->weight / best_speed_milli(&shape->group);
		return product < UINT64_MAX ? (uint64_t)product : UINT64_MAX - 1;
	default: return 0;
	}
}

uint64_t rank_waiting(const struct core *core, const struct shape *shape, const struct job *job)
{
	return rank_of(core, shape, job, 0);
}

/* Whether a job's rank rests on what was learned. */
static bool is_estimated(const struct core *core, const struct job *job)
{
	return core->config.policy == POLICY_SHORTEST && job->limit_us == US_NEVER;
}

uint64_t rank_winning(const struct core *core, const struct job *job)
{
	return is_estimated(core, job) ? UINT64_MAX : job->rank;
}

uint64_t rank_running(const struct core *core, const struct job *job, us_t now_us)
{
	us_t ran_us = job->started_us == US_NEVER ? 0 : now_us - job->started_us;

	if (is_estimated(core, job))
		return UINT64_MAX;
	return rank_of(core, core_shape(core, job), job, (us_t)((u128)(uint64_t)ran_us * job_request(core, job)->speed_milli / 1000));
}

us_t rank_left_us(const struct core *core, const struct job *job, us_t now_us)
{
	us_t ran_us = job->started_us == US_NEVER ? 0 : now_us - job->started_us;

	return remaining_us(job, (us_t)((u128)(uint64_t)ran_us * job_request(core, job)->speed_milli / 1000));
}

bool rank_orders(const struct core *core)
{
	return core->config.policy == POLICY_SHORTEST || core->config.policy == POLICY_LAS;
}

/* Cards that a job holds, in thousandths; one without cards counts as one. */
static uint64_t held_milli(const struct core *core, const struct job *job)
{
	uint64_t milli = (uint64_t)core_shape(core, job)->group.nodes * job_request(core, job)->cards_milli;

	return milli ? milli : CARD_MILLI;
}

us_t core_attained_us(const struct core *core, const struct job *job, us_t now_us)
{
	us_t before_us = job->extra ? job->extra->attained_us : 0, until_us = job->ended_us != US_NEVER ? job->ended_us : now_us;
	u128 now;

	if (!job->plan.n_tasks || job->started_us == US_NEVER || until_us <= job->started_us)
		return before_us;
	now = (u128)(uint64_t)(until_us - job->started_us) * held_milli(core, job) / CARD_MILLI + (uint64_t)before_us;
	return now < US_NEVER ? (us_t)now : US_NEVER;
}

us_t core_done_us(const struct job *job)
{
	return job->extra ? job->extra->done_us : 0;
}

uint8_t rank_level(const struct core *core, us_t attained_us)
{
	uint8_t level = 0;

	while (level < core->config.n_las_levels && core->config.las_levels_us[level] <= attained_us)
		level++;
	return level;
}

us_t rank_ages(const struct core *core, const struct job *job)
{
	us_t at_us = job->movable ? US_NEVER : move_ages(core, job), left_us;

	if (job->preemptible_after_us != US_NEVER && !job->preemptible) {
		left_us = us_add(job->started_us, job->preemptible_after_us);
		at_us = left_us < at_us ? left_us : at_us;
	}
	if (core->config.policy == POLICY_LAS && job->level < core->config.n_las_levels) {
		u128 wait;

		left_us = core->config.las_levels_us[job->level] - (job->extra ? job->extra->attained_us : 0);
		wait = left_us <= 0 ? 0 : ((u128)(uint64_t)left_us * CARD_MILLI + held_milli(core, job) - 1) / held_milli(core, job);
		left_us = wait < US_NEVER ? us_add(job->started_us, (us_t)wait) : US_NEVER;
		at_us = left_us < at_us ? left_us : at_us;
	}
	return at_us;
}
