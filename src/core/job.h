/* SPDX-License-Identifier: Apache-2.0
 * job.h: a job, its attempt, and the one table of what may follow what.
 *
 * Others read these fields and never write them: apply.c and the files that it calls are the only writers. */
#ifndef SUAN_CORE_JOB_H
#define SUAN_CORE_JOB_H

#include "base/slab.h"
#include "base/tree.h"
#include "core/capacity.h"
#include "core/event.h"

/* What only an array has: its elements are one record until each is placed. */
struct array {
	struct range *ranges;
	uint32_t n_ranges;
	uint32_t count;        /* elements in all */
	uint32_t taken;        /* of them placed, or over: always the first ones */
	uint32_t live;         /* placed and not over */
	uint32_t over;         /* placed and over */
	uint32_t failed;       /* of those over: not completed */
	uint32_t parallel_max; /* live at once; 0: no limit */
	uint32_t *elements;    /* numbers of the jobs of the first `taken` */
	uint32_t elements_cap;
};

/* What only some jobs have. */
struct job_extra {
	struct dependency_spec *dependencies;
	uint32_t n_dependencies;
	uint32_t *dependents; /* jobs that depend on this one and aren't over */
	uint32_t n_dependents, dependents_cap;
	char *secrets;    /* name of its secrets' file; NULL: none */
	char *note;       /* what its engine last said; NULL: nothing */
	char *native_id;  /* its engine's own name for the attempt; NULL: none */
	char *stopped_by; /* who canceled it; NULL: nobody */
	bool has_idempotency;
	uint8_t idempotency[IDEMPOTENCY_BYTES];
	us_t done_us;     /* of its work, kept at a checkpoint of an earlier attempt: in time of running at speed 1 */
	us_t attained_us; /* service of earlier attempts: time × cards */
};

/* A kind that a job which runs could be moved to, in the tree of these: see move.c. */
struct mover {
	struct tree_node node;
	const struct running *of;
	uint32_t from, to;     /* kinds */
	uint64_t holds, needs; /* thousandths of cards, here and there */
	int32_t gain;          /* how much faster it is there: thousandths of its fastest; below 0: slower */
	uint32_t priority, job;
};

/* A task on its node, in the list of what runs there. */
struct tenant {
	struct tenant *next, **link; /* link NULL: its node left the pool */
	struct running *of;
	uint32_t task;
};

/* What only a job has whose attempt its engine may hold or run. All of it follows from the rest. What the tree of victims
 * compares here lies in one line of the cache. */
struct running {
	struct job *job;
	uint32_t n_tasks;            /* tenants */
	bool in_line;                /* it stands among the victims */
	bool leaves;                 /* it stands among those that leave */
	uint64_t rank;               /* as it stands there */
	struct tree_node in_victims; /* where it may be preempted: the first to go first */
	struct mover *movers;        /* where it may be moved: by kind that it could be moved to */
	uint32_t n_movers;
	struct tenant tenants[]; /* by task: what it has of a node */
};

#define SHELF_NONE UINT16_MAX
#define OUTLOOK_UNSAID UINT8_MAX

/* When it was expected to start as it first came into the queue, and what it counts for to others; instants and times in codes of
 * outlook.c. */
struct job_outlook {
	uint16_t run;       /* how long it will run; 0: it hasn't been in the queue */
	uint16_t shelf;     /* on which it counts while it waits; SHELF_NONE: on none */
	uint16_t base;      /* of the prediction */
	uint16_t low, high; /* the wait that was said */
	uint8_t state;      /* of the queue; OUTLOOK_UNSAID: nothing was said */
};

enum { JOB_SHORT_NAME = 24 }; /* a name of fewer bytes lies in the job itself */

struct job {
	uint32_t id;
	uint32_t shape; /* what it asks for: see queue.h */
	uint32_t project;
	char *name;    /* see job_set_name */
	uint32_t user; /* core_user() */
	enum job_state state;
	enum attempt_state attempt_state;
	enum cause cause; /* of its end; while it is being stopped, why */
	uint16_t priority;
	uint8_t level;    /* under las: how many of its levels the service that it had has passed */
	bool preemptible; /* its attempt has run long enough for that */
	bool eligible;    /* in the queue as far as dependencies and begin go */
	bool rerun_when_lost;
	bool movable : 1;   /* its attempt has run long enough to be moved to faster cards */
	bool doomed : 1;    /* one of its dependencies never will be met; follows from the rest */
	bool moving : 1;    /* it holds a reservation for another attempt elsewhere, and so doesn't stand in line; likewise */
	struct share *held; /* by task: what it holds of its node since a pool change took some; NULL: all that it was given */
	uint32_t attempt;   /* attempts so far */
	uint32_t restarts_left;
	uint32_t array_of, array_index; /* an element; array_of is 0 for any other job */
	int32_t exit_code;
	uint32_t exit_rank;
	us_t submitted_us, begin_us, eligible_us;
	us_t placed_us, started_us, ended_us; /* of the latest attempt; US_NEVER: not yet */
	us_t checkpoint_every_us, preemptible_after_us;
	struct hash payload;
	struct plan plan;        /* of the latest attempt; no tasks before the first */
	struct array *array;     /* NULL: none */
	struct job_extra *extra; /* NULL: none */
	struct job_outlook outlook;

	/* Kept to be quick; follows from the rest. */
	uint32_t waits_for;      /* dependencies that aren't met */
	us_t limit_us;           /* given, and here since a class's tree looks at it with what follows */
	uint64_t rank;           /* the policy's order within a priority; 0 under fair and fifo */
	us_t stay_us;            /* waiting: the shortest stay that it can be placed for, see pass.c */
	struct running *running; /* NULL: not placed */
	uint32_t queue_class;
	uint32_t class_part;       /* jobs in this one's part of its class's tree */
	struct tree_node in_class; /* waiting: by arrival */
	us_t stay_least_us;        /* least stay in this node's part of that tree, */
	us_t limit_least_us;       /* and least limit */
	us_t timer_us;             /* the next instant at which it changes by itself; over: when it ended */
	char short_name[JOB_SHORT_NAME];
};

/* Whether a job may go from one state to another. One table, in job.c. */
bool job_may_become(enum job_state from, enum job_state to);
bool attempt_may_become(enum attempt_state from, enum attempt_state to);

/* completed, failed or canceled: it stays so for ever. */
bool job_is_over(const struct job *job);
/* It has an attempt that its engine may hold or run. */
bool job_is_live(const struct job *job);
/* It is on its way to other cards, which are kept for it: not told to end yet, or ending for that, or about to start there. */
bool job_is_moving(const struct job *job);
/* Whether who ends by this cause was stopped for the sake of others, or of a faster start elsewhere: however it ends, it waits
 * again, and that counts against nothing. */
bool cause_makes_room(enum cause cause);
/* The number of elements of some ranges; 0 where they are no good (a step of 0, last before first, over JOB_ARRAY_MAX). */
uint64_t ranges_count(const struct range *ranges, uint32_t n);
/* The nth value of some ranges, from 0. nth: below ranges_count. */
uint32_t ranges_value(const struct range *ranges, uint32_t n, uint32_t nth);

/* The job's extra part, made where it hasn't one. */
struct job_extra *job_extra(struct job *job);
/* Where jobs lie, and what those have that run; all zero is empty. job_memory_done frees what is left of both at once, but
 * nothing that a job owns, and no running of several tasks. */
struct job_memory {
	struct slab jobs, running;
};
struct job *job_new(struct job_memory *memory);
/* Gives a new job its name, which is copied. */
void job_set_name(struct job *job, const char *name);
/* Frees a job and all that it owns. Accepts NULL, and returns it. */
struct job *job_free(struct job_memory *memory, struct job *job);
struct running *running_new(struct job_memory *memory, struct job *job, uint32_t n_tasks);
struct running *running_free(struct job_memory *memory, struct running *running);
void job_memory_done(struct job_memory *memory);

#endif
