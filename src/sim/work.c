/* SPDX-License-Identifier: Apache-2.0
 * work.c: work done, kept and lost; see work.h.
 *
 * 0 <= kept_us <= the job's run_us, and it never falls. */
#include "sim/work.h"

#include <assert.h>

__extension__ typedef unsigned __int128 wide;

us_t sim_run_us(us_t work_us, uint32_t speed_micro)
{
	wide run;

	assert(speed_micro);
	if (work_us == US_NEVER)
		return US_NEVER;
	run = speed_micro == SPEED_MICRO ? (wide)work_us : ((wide)work_us * SPEED_MICRO + speed_micro - 1) / speed_micro;
	return run < US_DURATION_MAX ? (us_t)run : US_DURATION_MAX;
}

/* Work done in a time, rounded down. */
static us_t work_done_us(us_t run_us, uint32_t speed_micro)
{
	wide work = speed_micro == SPEED_MICRO ? (wide)run_us : (wide)run_us * speed_micro / SPEED_MICRO;

	return work < US_DURATION_MAX ? (us_t)work : US_DURATION_MAX;
}

us_t work_begin(struct work *work, const struct trace_job *job, us_t now_us, uint32_t speed_micro)
{
	us_t left_us = job->run_us == US_NEVER ? US_NEVER : job->run_us - work->kept_us;

	work->began_us = now_us;
	work->speed_micro = speed_micro;
	left_us = sim_run_us(left_us, speed_micro);
	return work->restarted ? us_add(left_us, job->restart_us) : left_us;
}

us_t work_end(struct work *work, const struct trace_job *job, us_t now_us, bool done)
{
	us_t ran_us, total_us, before_us = work->kept_us;

	if (work->began_us == US_NEVER)
		return 0;
	ran_us = now_us - work->began_us - (work->restarted ? job->restart_us : 0);
	work->began_us = US_NEVER;
	work->restarted = true;
	if (ran_us <= 0)
		return 0;
	total_us = before_us + work_done_us(ran_us, work->speed_micro);
	if (total_us > job->run_us)
		total_us = job->run_us;
	if (done) {
		work->kept_us = total_us;
		return ran_us;
	}
	if (job->checkpoint_us)
		total_us -= total_us % job->checkpoint_us;
	if (total_us <= before_us)
		return 0;
	work->kept_us = total_us;
	ran_us = ran_us < sim_run_us(total_us - before_us, work->speed_micro) ? ran_us
	                                                                      : sim_run_us(total_us - before_us, work->speed_micro);
	return ran_us;
}
