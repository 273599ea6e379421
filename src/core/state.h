/* SPDX-License-Identifier: Apache-2.0
 * state.h: the state of a core. Only apply.c writes it; everything else in src/core/ reads it. */
#ifndef SUAN_CORE_STATE_H
#define SUAN_CORE_STATE_H

#include "base/map.h"
#include "core/calendar.h"
#include "core/core.h"
#include "core/queue.h"
#include "core/reservation.h"

/* A node of the project tree. */
struct project {
	bool declared;
	uint32_t parent; /* UINT32_MAX: none */
	uint32_t weight_milli;
};

struct core {
	/* The state: what core_save writes, and the digest covers. */
	uint64_t sequence;
	us_t now_us;
	struct config_spec config;
	struct strtab kinds, centres, projects, users;
	struct pool *pool;
	struct job **jobs; /* by number, from 1; NULL where it left */
	uint32_t last_job, jobs_cap;
	bool *silent; /* by centre */
	struct reservation reservation;

	/* Kept to be quick: follows from the state, and core_check() says so. */
	struct project *project; /* by number */
	uint32_t n_projects, projects_cap;
	bool projects_declared;
	struct queue queue;
	struct capacity capacity, empty; /* free now; of the pool with nothing running */
	struct calendar *calendars;      /* by the pool's resources */
	uint32_t n_calendars;
	struct tree timers;     /* jobs that aren't over, by timer_us */
	struct tree over;       /* jobs that are, by when they ended */
	struct map payloads;    /* from the first 8 bytes of a payload's hash to the jobs that have it */
	struct tree live;       /* jobs whose attempt an engine may hold or run, by number */
	struct map idempotency; /* from the first 8 bytes of the key to the job */
	uint32_t in_state[JOB_STATE_COUNT];
	uint32_t n_jobs;

	/* A memo of passes: counts what could let a class start that was found not to. Never part of a decision. */
	uint64_t freed;
	struct arena scratch; /* of one step */
};

/* apply.c: the only writer. The event follows the state, or the process stops by an assert. */
void apply(struct core *core, const struct event *event);
/* fits.c: whether an event from outside could follow the state: what replay checks before it applies. */
bool apply_fits(const struct core *core, const struct event *event);

/* Makes all that is kept to be quick, of a state that was loaded; reserved: the plan of the reservation of `job`, 0: none. */
void apply_index(struct core *core, const struct plan *reserved, uint32_t job);
/* view.c: jobs of the core that have this payload; 0 for the zero hash, which is no payload. */
uint32_t core_payload_users(const struct core *core, const struct hash *payload);

/* admit.c: a job's spec as an event, or why not. What *ret points to is the spec's or in the arena. */
int admit(const struct core *core, const struct job_spec *spec, const void *idempotency, us_t now_us, struct arena *arena,
          struct submitted *ret, struct err *err);

/* plan.c: a plan for a shape in what `capacity` says is free, starting at start_us, in the arena. Returns whether there is one.
 */
bool plan_find(const struct core *core, const struct shape *shape, us_t limit_us, const struct capacity *capacity, us_t start_us,
               struct arena *arena, struct plan *ret);
/* The earliest plan by the bounds of what runs; whether there is one that starts before US_NEVER. */
bool plan_earliest(const struct core *core, const struct shape *shape, us_t limit_us, us_t now_us, struct arena *arena,
                   struct plan *ret);
/* The ways to place a shape on the pool as it is, in the order in which they are tried, and whether the empty pool holds it. */
void plan_candidates(const struct core *core, struct shape *shape);
/* A shape for a group that nobody has submitted yet; in the arena. */
struct shape plan_shape(const struct core *core, const struct group *group, struct arena *arena);

/* pass.c: the next thing that the queue yields at this instant, in *ret, in the core's scratch. Returns false where nothing
 * more can start. Writes nothing of the state: only its memo of what was passed over. */
bool pass_next(struct core *core, us_t now_us, struct event *ret);
/* Whether a job of this shape and limit could start now, and its plan: as the first that waits, or behind the reservation. */
bool pass_may_start(const struct core *core, const struct shape *shape, us_t limit_us, bool is_first, us_t now_us,
                    struct arena *arena, struct plan *ret);

/* apply.c, for check.c: whether a job stands in line (an array: while it has elements left and fewer run than may), when it
 * next changes by itself, and a reservation with all that follows from it. */
bool job_stands_in_line(const struct job *job);
us_t job_timer(const struct core *core, const struct job *job);
void apply_reservation(struct core *core, uint32_t job, const struct plan *plan);
/* view.c: what a live job holds of the node of one of its tasks; false where that node left the pool. */
bool job_holds(const struct core *core, const struct job *job, uint32_t task, uint32_t *ret_node, struct share *ret_share);
/* What a job asks for, and the one of its requests by which it was placed. */
const struct shape *core_shape(const struct core *core, const struct job *job);
const struct request *job_request(const struct core *core, const struct job *job);

#endif
