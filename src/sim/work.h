/* SPDX-License-Identifier: Apache-2.0
 * work.h: how much of a job's work is done, kept and lost, over attempts that may be cut short.
 *
 * Work is counted as time at speed 1. Of an attempt that is cut short the work up to the last multiple of the job's checkpoint
 * interval is kept; the next attempt first takes the time of a restart, and goes on from there. */
#ifndef SUAN_SIM_WORK_H
#define SUAN_SIM_WORK_H

#include <stdbool.h>

#include "sim/trace.h"

/* Of one job; all zero but began_us, which is US_NEVER, before it ran. */
struct work {
	us_t kept_us;  /* work that no end can take away any more */
	us_t began_us; /* when its attempt began to run; US_NEVER: it doesn't run */
	uint32_t speed_micro;
	bool restarted; /* that attempt isn't its first */
};

/* How long a job runs at a relative speed in millionths, rounded up to a microsecond. speed_micro: 1 or more. */
us_t sim_run_us(us_t work_us, uint32_t speed_micro);

/* An attempt begins to run. Returns how long it takes to the job's end; US_NEVER: it never ends. */
us_t work_begin(struct work *work, const struct trace_job *job, us_t now_us, uint32_t speed_micro);

/* It is over. Returns how much of its time was useful: all but the restart where the job's work is done, else what it took to do
 * the work that is kept. 0 where it never ran. */
us_t work_end(struct work *work, const struct trace_job *job, us_t now_us, bool done);

#endif
