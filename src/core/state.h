/* SPDX-License-Identifier: Apache-2.0
 * state.h: the state of a core. Only apply.c, and the files that it calls (apply_inside.h), write it; everything else in
 * src/core/ reads it. */
#ifndef SUAN_CORE_STATE_H
#define SUAN_CORE_STATE_H

#include "base/map.h"
#include "base/sorted.h"
#include "core/core.h"
#include "core/estimate.h"
#include "core/fill.h"
#include "core/outlook.h"
#include "core/queue.h"

/* Nodes that operators or engines said something of. */
struct node_mark {
	uint32_t centre, number;
	enum node_state state; /* never NODE_UP */
	char *note;
};

/* Amounts of a shelf's nodes together. */
struct shelf_sum {
	uint64_t cards_milli, cpus_milli, memory_mib;
};

/* How many nodes of a shelf have so many wholly free cards and more: that are open to all, and in all. A memo of pass.c. */
struct shelf_room {
	uint64_t at; /* the core's room_as_of, plus 1 */
	uint32_t open[CARDS_PER_NODE_MAX + 1], free[CARDS_PER_NODE_MAX + 1];
};

struct core {
	/* The state: what core_save writes, and the digest covers. */
	uint64_t sequence;
	us_t now_us;
	struct config_spec config;
	struct strtab kinds, centres, projects, users;
	struct pool *pool;
	struct job **jobs; /* by number, from 1; NULL where it left */
	struct job_memory memory;
	uint32_t last_job, jobs_cap;
	bool *silent;              /* by centre */
	struct keep keep;          /* its reservations, in order; the rest of it follows */
	struct booking **bookings; /* by number */
	uint32_t n_bookings, bookings_cap, last_booking;
	struct node_mark *marks; /* by centre and number */
	uint32_t n_marks, marks_cap;
	struct projects *tree; /* its decayed use; the rest of it follows */
	struct estimates estimates;
	struct wait_model waits;
	struct outlook_bias outlook_bias;
	struct arrivals arrivals; /* jobs submitted */
	uint32_t last_submitted;  /* the job that came last: learned with the next, so that a dry run asks what a submit asks */
	bool backlog;             /* more is due than was decided: core_has_backlog() */

	/* Kept to be quick: follows from the state, and core_check() says so. */
	struct queue queue;
	struct capacity capacity, empty; /* free now; of the pool with nothing running */
	struct shelf_sum *endless;       /* by shelf: what is held by jobs without a bound */
	struct sorted timers;            /* jobs that aren't over, by timer_us */
	struct sorted over;              /* jobs that are, by when they ended */
	struct outlook outlook;          /* the work on each shelf */
	struct map payloads;             /* from the first 8 bytes of a payload's hash to the jobs that have it */
	uint64_t *live;                  /* the numbers of jobs whose attempt an engine may hold or run: a set below live_cap */
	uint32_t live_cap, n_live;
	struct sorted ends;      /* of them those with a bound, by it; with the shelf on which all of each lies, or UINT32_MAX */
	struct sorted leaving;   /* of them those that are being stopped and hold anything that is counted, by number */
	struct tree victims;     /* of them those that may be preempted */
	struct tree movers;      /* where those that may be moved could go: struct mover */
	struct tenant **tenants; /* by node: what runs there */
	struct map idempotency;  /* from the first 8 bytes of the key to the job */
	uint32_t in_state[JOB_STATE_COUNT];
	uint32_t n_jobs;

	/* Memos of passes, never part of a decision: how often something came about that could let a job start that was found not to.
	 * `freed`: anywhere; `freed_all`: for any job; `freed_at`: by shelf and wholly free cards of the node. */
	uint64_t freed, freed_all;
	struct freed (*freed_at)[CARDS_PER_NODE_MAX + 1];
	uint64_t relieved;       /* the same, of any quota */
	uint64_t room_as_of;     /* the latest event that may have changed what is free or open */
	struct shelf_room *room; /* by shelf */
	uint32_t decisions_max;  /* no memo: of one batch */
	uint64_t moves_looked; /* no memo: at which count of `freed`, plus 1, nobody was to be moved; follows from the state, and in a
	                          backlog from its event */
	bool replayed;         /* events were applied that this core didn't decide: see pass_settle() */
	us_t looked_us; /* when it was last asked what is due: without a backlog nothing more is due by itself until core_wake() */
	struct project_ranking ranking;
	/* The projects of the buckets, as of the last queue_sort, and how they rank; by project, its place among them. */
	uint32_t *entrants, *ranks, *place_of;
	uint32_t n_entrants, entrants_cap, places_cap;
	bool projects_bounded;     /* some project has quotas */
	struct arena scratch;      /* of one step */
	struct arena wake_scratch; /* of pass_wake, which remembers what it said last: */
	uint64_t woken_at;         /* after the event of this number, less 1, */
	us_t woken_us, starved_us; /* at this instant */
};

/* Where a question changes for a moment what is open, and leaves it as it was: nothing of that is the state. */
static inline struct keep *keep_of(const struct core *core)
{
	return (struct keep *)(uintptr_t)&core->keep;
}

/* For whom a plan is made. */
struct asker {
	uint32_t job; /* 0: not submitted yet */
	uint32_t project;
	us_t limit_us;
	us_t quota_us;                   /* for how long it may hold quota: cards are lent for less, and quota isn't; 0: limit_us */
	bool quota_waived;               /* others are to make room in it first */
	bool owns;                       /* its project is to hold no more than its own nominal; but for what it was promised so, */
	const uint64_t *given_milli;     /* and, by kind, what is left to it within its own quota; NULL: nothing */
	uint32_t speed_least_milli;      /* ways on which it would be slower aren't for it */
	bool by_value;                   /* a start now: of nodes that will do the one whose rest is worth most, see fill.h */
	us_t from_us;                    /* set by plan_find: from when on; 0: not told */
	const struct arrivals *arrivals; /* by what was seen of these; NULL: of those that came */
};

/* apply.c: makes the next state. The event follows the state, or the process stops by an assert. */
void apply(struct core *core, const struct event *event);
/* fits.c: whether an event from outside could follow the state: what replay checks before it applies. */
bool apply_fits(const struct core *core, const struct event *event);

/* Makes all that is kept to be quick, of a state that was loaded; reserved: its reservations, owned from then on. */
void apply_index(struct core *core, struct reservation **reserved, uint32_t n);
/* view.c: jobs of the core that have this payload; 0 for the zero hash, which is no payload. */
uint32_t core_payload_users(const struct core *core, const struct hash *payload);

/* admit.c: a job's spec as an event, or why not. What *ret points to is the spec's or in the arena. */
int admit(const struct core *core, const struct job_spec *spec, const void *idempotency, us_t now_us, struct arena *arena,
          struct submitted *ret, struct err *err);

/* plan.c: a plan for a shape in what `capacity` says is free, within quota, starting at start_us, in the arena. Returns whether
 * there is one. */
bool plan_find(const struct core *core, const struct shape *shape, const struct asker *asker, const struct capacity *capacity,
               us_t start_us, struct arena *arena, struct plan *ret);
/* The same in what is open to the asker now: past what is kept for others. */
bool plan_now(const struct core *core, const struct shape *shape, const struct asker *asker, us_t now_us, struct arena *arena,
              struct plan *ret);
/* The earliest plan by the bounds of what runs and what is kept; whether there is one that starts before US_NEVER. */
bool plan_earliest(const struct core *core, const struct shape *shape, const struct asker *asker, us_t now_us,
                   struct arena *arena, struct plan *ret);
/* The nodes that come nearest to holding it, in one domain of its tier, to keep what comes free there; start_us is US_NEVER.
 * ret_milli: thousandths of cards that are free there and of use. Returns whether there are such nodes. */
bool plan_nearest(const struct core *core, const struct shape *shape, const struct asker *asker, struct arena *arena,
                  struct plan *ret, uint64_t *ret_milli);
us_t plan_end(us_t start_us, us_t limit_us);       /* by the bound */
int compare_numbers(const void *a, const void *b); /* of uint32_t, for qsort */
/* The ways to place a shape on the pool as it is, in the order in which they are tried, and whether the empty pool holds it. */
void plan_candidates(const struct core *core, struct shape *shape);
/* A shape for a group that nobody has submitted yet; in the arena. */
struct shape plan_shape(const struct core *core, const struct group *group, struct arena *arena);
/* plan_quota.c: what quotas say to one way of placing a shape. What others were promised for that time counts as held: it isn't
 * taken from under them. why: NULL, or as projects_fits says. */
enum quota_verdict plan_quota(const struct core *core, const struct asker *asker, const struct shape *shape, struct candidate way,
                              struct quota_view *why);

/* pass.c: the next thing that the queue yields at this instant, in *ret, in the core's scratch. Returns false where nothing
 * more can start. Writes nothing of the state: only its memos of what was passed over. */
bool pass_next(struct core *core, us_t now_us, struct event *ret);
/* When a job that waits first is to be promised what comes free; US_NEVER: none is. */
us_t pass_wake(const struct core *core, us_t now_us);
/* The shortest stay that a job can be placed for, where others were promised its cards, or booked them, after that. */
us_t pass_stay_us(const struct core *core, const struct job *job);
/* Whether jobs that wait first are promised anything, under this policy. */
bool pass_promises(const struct core *core);
/* Of a state that was loaded or replayed, without a backlog: all has been decided, so for every class others have been asked to
 * make room. Without that a core that was loaded would ask them at another time than one that went on. Cost: O(classes). */
void pass_settle(struct core *core);
/* In a backlog it is so for some: what was found out, in the arena. Whether a core may be told so, and telling it: one that was
 * loaded or replays then decides as this one. Cost: O(classes). */
struct backlog pass_found(const struct core *core, struct arena *arena);
bool pass_may_know(const struct core *core, const struct backlog *found);
void pass_know(struct core *core, const struct backlog *found);
/* The order of buckets at an instant. */
void pass_sort(struct core *core, us_t now_us);

/* Whether a job, which may not be submitted yet, and can't start now, would start by an instant though nobody made room for it:
 * now, or as it would be promised, with the promises taken back that are of jobs behind it. */
bool pass_starts_by(const struct core *core, const struct shape *shape, const struct job *job, us_t now_us, us_t by_us,
                    struct arena *arena);

/* A job that isn't there: what preempt_for needs of it, and where it would stand. */
struct newcomer {
	struct job job; /* its number: the next one */
	const struct shape *shape;
	struct asker asker;
	const struct job_class *class; /* NULL: nobody of its class waits */
	bool leads;                    /* it would be the first of its class */
};

/* What would be yielded for a newcomer if nothing else changed: that it is placed, others that make room, or a promise; *ret, in
 * the arena, has no more than the plan and the victims. Returns false where that can't be told. */
bool pass_newcomer(const struct core *core, const struct newcomer *newcomer, us_t now_us, struct arena *arena, struct event *ret);

/* preempt.c: whether jobs that run can make room for one that waits, the plan and who; in *ret, in the arena. */
bool preempt_for(const struct core *core, const struct shape *shape, const struct job *job, us_t now_us, struct arena *arena,
                 struct event *ret);
/* Whether there is room for a job at an instant to come, with those gone that are on their way out or end by their bound. */
bool preempt_left_at(const struct core *core, const struct shape *shape, const struct asker *asker, us_t start_us,
                     struct arena *arena);
/* Whether it is enough for a job to wait for those that are on their way out. */
bool preempt_waits(const struct core *core, const struct shape *shape, const struct asker *asker, us_t now_us,
                   struct arena *arena);
/* preempt.c: what a job holds comes free, or is taken again, for a question between keep_then_begin and keep_then_end. */
void preempt_set_aside(const struct core *core, const struct job *job, bool gone);

/* move.c: jobs that run are started again on cards that they are faster on: the next that are, in *ret, in the core's scratch.
 * Asked when nobody who waits can start. Returns false where there are none. Cost: O(1) where no job may be moved, or nothing
 * came free since none was. */
bool move_next(struct core *core, us_t now_us, struct event *ret);
/* Whether a shape is faster on some kinds than on others, so that it could be worth a move. */
bool move_varies(const struct core *core, const struct shape *shape);
/* When an attempt that runs may be moved; US_NEVER: never. */
us_t move_ages(const struct core *core, const struct job *job);
/* Brings the movers in line with a job that runs; takes it out of them. */
void move_enter(struct core *core, struct running *running);
void move_leave(struct core *core, struct running *running);

/* rank.c: the policy's order of a job of a shape; what it is when it runs; when it next stands elsewhere, and how (US_NEVER:
 * never). */
uint64_t rank_waiting(const struct core *core, const struct shape *shape, const struct job *job);
/* The same of a job that waits, for asking whom it may stop: by its limit alone, so that nobody is stopped for an estimate. */
uint64_t rank_winning(const struct core *core, const struct job *job);
uint64_t rank_running(const struct core *core, const struct job *job, us_t now_us);
us_t rank_ages(const struct core *core, const struct job *job);
/* What a job that runs can still need of its whole work, at speed 1: by its limit, or without one by what was learned. */
us_t rank_left_us(const struct core *core, const struct job *job, us_t now_us);
/* Whether jobs of one priority go before each other, so that one may have another stopped. */
bool rank_orders(const struct core *core);
uint8_t rank_level(const struct core *core, us_t attained_us);

/* waiting.c, for check.c: whether a job stands in line (an array: while it has elements left and fewer run than may), and when it
 * next changes by itself. */
bool job_stands_in_line(const struct job *job);
us_t job_timer(const struct core *core, const struct job *job);
/* waiting.c: whether a job with this dependency can't run any more: what it needs is over, and isn't completed. */
bool dependency_dooms(const struct core *core, const struct dependency_spec *d);
/* apply.c: a reservation, and all that follows from it. Owns it. */
void apply_reservation(struct core *core, struct reservation *reservation);
/* view.c: what a live job holds of the node of one of its tasks; false where that node left the pool. */
bool job_holds(const struct core *core, const struct job *job, uint32_t task, uint32_t *ret_node, struct share *ret_share);
/* apply.c: the tree of projects as the pool and the configuration have it; what estimates know a job by. */
void apply_projects(struct core *core);
struct estimate_key core_estimate_key(const struct shape *shape, const struct job *job);
/* running.c: what a job's attempt holds, for its project's books. */
struct project_amount job_amount(const struct core *core, const struct job *job);
/* Whether it holds anything that is counted: a card, or CPUs or memory of a node that states them. */
bool job_holds_counted(const struct core *core, const struct job *job);
/* nodes.c: whether a node under a job's attempt is down. */
bool job_lost_node(const struct core *core, const struct job *job);
/* running.c: when an attempt is over by its job's own limit; whether it was lent cards only until somebody else's promise, or
 * window, before that; when it is told to go then, and whether it may stay instead: nobody needs them any more. */
us_t job_bound_us(const struct job *job);
bool job_is_lent(const struct job *job);
us_t job_due_us(const struct core *core, const struct job *job);
bool job_may_stay(const struct core *core, const struct job *job);
/* running.c: number i of those that make room for a promise; NULL: it has left. */
const struct job *job_victim(const struct core *core, const struct reservation *r, uint32_t i);
/* explain.c: whether a job stands before another, both in line, by the order of the last sort. */
bool job_stands_before(const struct core *core, const struct job *a, const struct job *b);
/* What the job asked for that came last; NULL: it left, or none came. */
const struct group *core_last_group(const struct core *core);
/* What a job asks for, and the one of its requests by which it was placed. */
const struct shape *core_shape(const struct core *core, const struct job *job);
const struct request *job_request(const struct core *core, const struct job *job);

#endif
