/* SPDX-License-Identifier: Apache-2.0
 * save.c: the whole state as canonical bytes, and their hash.
 *
 * Only the state proper is written, not what is kept to be quick; in the order of numbers, never of tables. */
#include <string.h>

#include "core/state.h"

enum { SAVE_VERSION = 1 };

static void save_names(const struct strtab *names, struct buf *buf)
{
	buf_put_uint(buf, names->count);
	for (uint32_t i = 0; i < names->count; i++)
		buf_put_str(buf, strtab_name(names, i));
}

static void save_array(const struct array *a, struct buf *buf)
{
	buf_put_uint(buf, a->n_ranges);
	for (uint32_t i = 0; i < a->n_ranges; i++) {
		buf_put_uint(buf, a->ranges[i].first);
		buf_put_uint(buf, a->ranges[i].last);
		buf_put_uint(buf, a->ranges[i].step);
	}
	buf_put_uint(buf, a->parallel_max);
	buf_put_uint(buf, a->live);
	buf_put_uint(buf, a->over);
	buf_put_uint(buf, a->failed);
	buf_put_uint(buf, a->taken);
	for (uint32_t i = 0; i < a->taken; i++)
		buf_put_uint(buf, a->elements[i]);
}

static void save_extra(const struct job_extra *x, struct buf *buf)
{
	buf_put_uint(buf, x->n_dependencies);
	for (uint32_t i = 0; i < x->n_dependencies; i++) {
		buf_put_uint(buf, x->dependencies[i].job);
		buf_put_uint(buf, x->dependencies[i].when);
	}
	buf_put_str(buf, x->secrets);
	buf_put_str(buf, x->note);
	buf_put_str(buf, x->native_id);
	buf_put_str(buf, x->stopped_by);
	buf_put_u8(buf, x->has_idempotency);
	if (x->has_idempotency)
		buf_put(buf, x->idempotency, sizeof x->idempotency);
}

static void save_times(const struct job *job, struct buf *buf)
{
	const us_t times[] = {job->submitted_us, job->begin_us,   job->limit_us, job->eligible_us,         job->placed_us,
	                      job->started_us,   job->ended_us,   job->checkpoint_every_us, job->preemptible_after_us};

	for (size_t i = 0; i < sizeof times / sizeof *times; i++)
		buf_put_uint(buf, times[i] == US_NEVER ? 0 : (uint64_t)times[i] + 1);
}

static void save_job(const struct core *core, const struct job *job, struct buf *buf)
{
	static const struct job_extra no_extra;

	buf_put_uint(buf, job->id);
	group_encode(&core_shape(core, job)->group, buf);
	buf_put_uint(buf, job->project);
	buf_put_str(buf, job->name);
	buf_put_uint(buf, job->user);
	buf_put_uint(buf, job->state);
	buf_put_uint(buf, job->attempt_state);
	buf_put_uint(buf, job->cause);
	buf_put_uint(buf, job->priority);
	buf_put_u8(buf, (uint8_t)(job->eligible | job->rerun_when_lost << 1 | (job->absent != NULL) << 2 | (job->array != NULL) << 3));
	buf_put_uint(buf, job->attempt);
	buf_put_uint(buf, job->restarts_left);
	buf_put_uint(buf, job->array_of);
	buf_put_uint(buf, job->array_index);
	buf_put_int(buf, job->exit_code);
	buf_put_uint(buf, job->exit_rank);
	save_times(job, buf);
	buf_put(buf, job->payload.bytes, sizeof job->payload.bytes);
	plan_encode(&job->plan, buf);
	for (uint32_t i = 0; job->absent && i < job->plan.n_tasks; i++)
		buf_put_u8(buf, job->absent[i]);
	if (job->array)
		save_array(job->array, buf);
	save_extra(job->extra ? job->extra : &no_extra, buf);
}

void core_save(const struct core *core, struct buf *buf)
{
	buf_put_uint(buf, SAVE_VERSION);
	buf_put_uint(buf, core->sequence);
	buf_put_uint(buf, (uint64_t)core->now_us);
	config_spec_encode(&core->config, buf);
	save_names(&core->kinds, buf);
	save_names(&core->centres, buf);
	save_names(&core->projects, buf);
	save_names(&core->users, buf);
	buf_put_u8(buf, core->pool != NULL);
	if (core->pool)
		pool_spec_encode(&core->pool->spec, buf);
	for (uint32_t i = 0; i < core->centres.count; i++)
		buf_put_u8(buf, core->silent[i]);
	buf_put_uint(buf, core->last_job);
	for (uint32_t id = 1; id <= core->last_job; id++)
		if (core->jobs[id])
			save_job(core, core->jobs[id], buf);
	buf_put_uint(buf, core->reservation.job);
	if (core->reservation.job) {
		plan_encode(&core->reservation.plan, buf);
		buf_put_uint(buf, core->reservation.broken);
	}
}

struct hash core_digest(const struct core *core)
{
	struct buf buf = {0};
	struct hash hash;

	core_save(core, &buf);
	hash = hash_of(buf.data, buf.len);
	buf_done(&buf);
	return hash;
}
