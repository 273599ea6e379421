/* SPDX-License-Identifier: Apache-2.0
 * outlook.h: when a job is expected to start: the work before it, shelf by shelf, and what was said of it.
 *
 * A job's work is what it needs of a shelf (thousandths of cards; of CPUs where the shelf has no cards) times how long it is
 * estimated to run. A job that waits counts on one shelf, the one of those that will do on which its work would be done first;
 * one that runs counts where it runs. The work on a shelf over the shelf's size is the base of a prediction: wrong by a factor
 * that stays about the same, which estimate.h learns. Of that follows an interval, said when the job first comes into the queue,
 * and held against what became of it once it starts. Jobs that start in the very step in which they come aren't learned from: the
 * interval is for those that wait.
 *
 * Estimates, all of it: no promise rests on them, and nobody is stopped for one; but under shortest a job without a limit stands
 * where its estimate puts it (rank.c). The sums follow from the state; what was said is a part of it. */
#ifndef SUAN_CORE_OUTLOOK_H
#define SUAN_CORE_OUTLOOK_H

#include "base/wide.h"
#include "core/job.h"
#include "core/pool.h"

struct core;
struct shape;

/* Thousandths × microseconds. */
struct shelf_work {
	u128 waiting;              /* of jobs that wait */
	u128 runs;                 /* of jobs that run: the whole of it */
	u128 ends;                 /* Σ what they hold × the instant at which they are expected to end */
	uint64_t held;             /* Σ what they hold */
	uint64_t size, cpus_milli; /* of the shelf */
};

/* Where a job would start first, and the base of what is said of it. */
struct shelf_choice {
	uint16_t shelf; /* SHELF_NONE: none will do */
	us_t base_us;
};

struct outlook {
	struct shelf_work *shelves;
	uint32_t n;
	/* A memo: what was chosen last, for this job, in the event of that number. */
	uint32_t chosen_for;
	uint64_t chosen_at;
	struct shelf_choice chosen;
};

/* The work of jobs that ended lately, and what it was estimated to be as they came; jobs that waited and started. A part of the
 * state.
 */
struct outlook_bias {
	uint64_t actual, expected, learned;
};

/* Sums of nothing, for the pool as it is. Cost: O(pool). */
void outlook_init(struct outlook *outlook, const struct pool *pool);
void outlook_done(struct outlook *outlook);

/* Says when a job is expected to start that comes into the queue now; call before it stands there. Cost: O(1), 0.7 µs. */
void outlook_say(struct core *core, struct job *job);
/* Estimates how long it will run, once, as it first comes into the queue: of its whole work; and what was estimated, 0 before.
 */
void outlook_estimate(const struct core *core, const struct shape *shape, struct job *job);
us_t outlook_run_us(const struct job *job);
/* It stands in line from now on, estimated; it is about to leave the line. Cost: O(1). */
void outlook_enter(struct core *core, struct job *job);
void outlook_leave(struct core *core, struct job *job);
/* An attempt holds what its plan says from now on; it is about to give it back. */
void outlook_hold(struct core *core, const struct job *job);
void outlook_release(struct core *core, const struct job *job);
/* An element of an array is about to be one that is taken (taken: false), or has just been. */
void outlook_element(struct core *core, const struct job *array, bool taken);
/* It was placed for the first time: what was said is held against that. */
void outlook_learn(struct core *core, const struct job *job, us_t placed_us);

/* It ended by itself, or by its limit, having run for so long; its plan is still there. */
void outlook_ran(struct core *core, const struct job *job, us_t run_us);

/* When a job that stands in line is expected to start, from what is before it now, as waits from now on; 9 in 10 times. False
 * where nothing can be told. */
bool outlook_of(const struct core *core, const struct job *job, uint32_t ahead, us_t now_us, us_t *ret_low_us, us_t *ret_high_us);

/* Whether it is one that a job can have, of so many shelves. */
bool outlook_fits(const struct job_outlook *o, uint32_t n_shelves);
/* Aborts where the sums aren't what the jobs say. Cost: O(jobs). */
void outlook_check(const struct core *core);

#endif
