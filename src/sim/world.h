/* SPDX-License-Identifier: Apache-2.0
 * world.h: everything around a core, simulated: engines that answer at once, clocks that jump, and an auditor.
 *
 * A world feeds inputs to a core in the order of time, answers its effects as perfect centres would, hashes every event,
 * and has every plan checked. The trace simulator, the golden timelines and the random tests are three owners of one. */
#ifndef SUAN_SIM_WORLD_H
#define SUAN_SIM_WORLD_H

#include "core/core.h"
#include "core/journal.h"

struct world;

/* What becomes of an attempt: it runs for run_us, then it ends like this. */
struct fate {
	us_t run_us;              /* US_NEVER: for ever */
	us_t overrun_us;          /* how long after its limit its centre gets it ended */
	enum attempt_state state; /* ATTEMPT_ENDED, or ATTEMPT_LOST */
	enum cause cause;         /* of ENDED: EXIT or SIGNAL or MEMORY */
	int32_t exit_code;
};

/* How a world behaves, and who watches. Every function but `fate` may be NULL; what it is given is good for the call. */
struct world_config {
	void *ctx;
	/* Asked when an attempt begins to run. The world itself ends it at its limit. */
	struct fate (*fate)(void *ctx, const struct core *core, const struct job *job);
	/* Each event as soon as it was applied. */
	void (*applied)(void *ctx, const struct core *core, const struct event *event);
	/* Each event, read from its bytes; the state has it already, and all that its step decided. */
	void (*see)(void *ctx, const struct core *core, const struct event *event);
	/* When an input and all the answers that it led to have been taken. */
	void (*settled)(void *ctx, const struct core *core, us_t now_us);
	/* A job that is likely to be reported of next: what will be looked at then can be asked for. Changes nothing. */
	void (*soon)(void *ctx, uint32_t job);
	/* Each batch, once it is closed; it has no hash yet. */
	int (*commit)(void *ctx, const struct core *core, const struct batch *batch, struct err *err);
	us_t startup_us;    /* from release to running; 0: an attempt runs as soon as it is placed */
	us_t kill_us;       /* from a kill to the end that it brings about; 0: it ends at once */
	size_t batch_bytes; /* a batch is closed once it has that many; 0: after each step */
	bool unchecked;     /* leaves out the plan checker: for measuring the core alone */
	bool threaded;      /* hashes and checks on a thread of its own: what breaks a rule shows some batches later */
};

/* A world with an empty core, at instant 0. config is copied. Never NULL. */
struct world *world_new(const struct world_config *config);
struct world *world_free(struct world *world);
const struct core *world_core(const struct world *world);

/* Gives the core an input, and then every answer that its effects call for. Returns 0; what core_step returned where it
 * refused the input (nothing has changed); ERR_CORRUPT where the plan checker objects, at the latest at the end of the run. After
 * the latter the world is only good for being freed. */
int world_input(struct world *world, const struct input *input, struct err *err);

/* Submits a job now; *ret_job is its number. */
int world_submit(struct world *world, us_t now_us, const struct job_spec *spec, uint32_t *ret_job, struct err *err);

/* Lets time pass up to and with until_us: ends and wake-ups in order, ends first at one instant. US_NEVER: until nothing
 * can change by itself any more. Returns 0, or fails as world_input. */
int world_run(struct world *world, us_t until_us, struct err *err);

/* From now on an end that is brought about by a kill comes so much later. */
void world_slow(struct world *world, us_t kill_us);

/* The instant of the next end or wake-up; US_NEVER: none. */
us_t world_next(const struct world *world);

/* Closes the batch, waits for the auditor, and gives the hash of the chain of all batches. */
int world_finish(struct world *world, struct hash *ret_digest, struct err *err);

/* Plans and reservations that the checker has passed, once the world is finished; 0 where it is left out. */
uint64_t world_checked(const struct world *world);

#endif
