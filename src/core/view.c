/* SPDX-License-Identifier: Apache-2.0
 * view.c: looking at the state, for everybody: the planner, the API, the simulator. Nothing here changes anything. */
#include <string.h>

#include "base/bitset.h"
#include "core/place.h"
#include "core/state.h"

/* ---- For the rest of the core ---- */

const struct shape *core_shape(const struct core *core, const struct job *job)
{
	return core->queue.shapes[job->shape];
}

const struct group *core_last_group(const struct core *core)
{
	const struct job *last = core_job(core, core->last_submitted);

	return last ? &core_shape(core, last)->group : NULL;
}

const struct request *job_request(const struct core *core, const struct job *job)
{
	return &core->queue.shapes[job->shape]->group.requests[job->plan.request];
}

bool job_holds(const struct core *core, const struct job *job, uint32_t i, uint32_t *ret_node, struct share *ret_share)
{
	const struct task *task = &job->plan.tasks[i];

	*ret_node = pool_node(core->pool, task->centre, task->node);
	*ret_share = job->held ? job->held[i] : place_share(task, job_request(core, job));
	return *ret_node != NODE_NONE;
}

uint32_t core_payload_users(const struct core *core, const struct hash *payload)
{
	return map_get(&core->payloads, hash_word(payload->bytes), 0);
}

/* ---- For everybody ---- */

uint64_t core_sequence(const struct core *core)
{
	return core->sequence;
}

us_t core_now(const struct core *core)
{
	return core->now_us;
}

const struct config_spec *core_config(const struct core *core)
{
	return &core->config;
}

const struct pool *core_pool(const struct core *core)
{
	return core->pool;
}

const struct capacity *core_capacity(const struct core *core)
{
	return &core->capacity;
}

const struct job *core_job(const struct core *core, uint32_t id)
{
	return id >= 1 && id <= core->last_job ? core->jobs[id] : NULL;
}

const struct job *core_element(const struct core *core, uint32_t array, uint32_t index)
{
	const struct job *job = core_job(core, array);

	for (uint32_t i = 0; job && job->array && i < job->array->taken; i++)
		if (ranges_value(job->array->ranges, job->array->n_ranges, i) == index)
			return core_job(core, job->array->elements[i]);
	return NULL;
}

const struct job *core_job_after(const struct core *core, uint32_t after)
{
	for (uint32_t id = after + 1; id <= core->last_job; id++)
		if (core->jobs[id])
			return core->jobs[id];
	return NULL;
}

const struct job *core_job_before(const struct core *core, uint32_t before)
{
	for (uint32_t id = before > core->last_job ? core->last_job : before - 1; id >= 1 && before; id--)
		if (core->jobs[id])
			return core->jobs[id];
	return NULL;
}

uint32_t core_jobs_in_state(const struct core *core, enum job_state state)
{
	return core->in_state[state];
}

const char *core_user(const struct core *core, uint32_t user)
{
	return strtab_name(&core->users, user);
}

const char *core_project_name(const struct core *core, uint32_t project)
{
	return strtab_name(&core->projects, project);
}

bool core_payload_used(const struct core *core, const struct hash *payload)
{
	return core_payload_users(core, payload) > 0;
}

const struct group *core_job_group(const struct core *core, const struct job *job)
{
	return &core_shape(core, job)->group;
}

bool core_centre_silent(const struct core *core, uint32_t centre)
{
	return core->silent[centre];
}

/* Whether nothing is heard of a centre: it is silent, or the pool no longer has it, and no engine is asked. */
static bool is_out_of_sight(const struct core *core, uint32_t centre)
{
	return core->silent[centre] || !core->pool->centres[centre].spec;
}

us_t core_lent_until(const struct job *job)
{
	return job_is_lent(job) ? job->plan.until_us : US_NEVER;
}

bool core_is_stopping(const struct core *core, const struct job *job)
{
	const struct job *array = job->array_of ? core->jobs[job->array_of] : NULL;

	return job->state == JOB_CLEANUP || (array && array->state == JOB_CLEANUP) || (job_is_live(job) && job_lost_node(core, job));
}

enum job_state core_job_state(const struct core *core, const struct job *job)
{
	return job_is_live(job) && is_out_of_sight(core, job->plan.tasks[0].centre) ? JOB_UNKNOWN : job->state;
}

const struct job *core_live_after(const struct core *core, uint32_t after)
{
	uint32_t id = after < core->live_cap ? bitset_next(core->live, core->live_cap, after + 1) : BITSET_NONE;

	return id == BITSET_NONE ? NULL : core->jobs[id];
}

uint32_t core_reservations(const struct core *core)
{
	return core->keep.n_reservations;
}

const struct reservation *core_reservation(const struct core *core, uint32_t i)
{
	return core->keep.reservations[i];
}

const struct reservation *core_reservation_of(const struct core *core, uint32_t job)
{
	return keep_find(&core->keep, job);
}

const struct booking *core_booking_after(const struct core *core, uint32_t after)
{
	for (uint32_t i = 0; i < core->n_bookings; i++)
		if (core->bookings[i]->id > after)
			return core->bookings[i];
	return NULL;
}

const struct projects *core_projects(const struct core *core)
{
	return core->tree;
}
