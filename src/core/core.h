/* SPDX-License-Identifier: Apache-2.0
 * core.h: the machine, and the table of contents of src/core/.
 *
 *   spec ─► admit ─► queue ─► pass { plan, place } ─► events ─► (store) ─► effects ─► (engine) ─► input ─► …
 *
 * A core is a pure, deterministic state machine: the same inputs give the same bytes, on every compiler. It
 * has no clock, file, socket, thread or random source. It is used by one thread at a time. */
#ifndef SUAN_CORE_CORE_H
#define SUAN_CORE_CORE_H

#include "base/hash.h"
#include "core/capacity.h"
#include "core/effect.h"
#include "core/event.h"
#include "core/input.h"
#include "core/job.h"
#include "core/pool.h"
#include "core/project.h"
#include "core/reservation.h"

struct core;

/* What steps have yielded and nobody has committed yet. All zero is empty; the caller owns it, and may let
 * several steps add to it before it commits them as one batch. */
struct step {
	struct buf events; /* encoded, in order */
	uint32_t n_events;
	uint32_t decided; /* of them what the core decided by itself: bounded, see core_has_backlog() */
	us_t last_us;     /* time of the last event; 0: none, so that a batch's first event carries its whole time */
	struct effect *effects;
	uint32_t n_effects, effects_cap;
	/* Of the latest core_step alone: */
	uint32_t job;  /* of a submit: the job's number */
	bool repeated; /* of a submit: this key was used before, and `job` is what it made then */
	/* Called with each event as soon as it was applied, which it and what it points to are good for; may be NULL. It stays
	 * through step_reset. */
	void (*applied)(void *ctx, const struct core *core, const struct event *event);
	void *ctx;
};

/* An empty core. Never NULL. */
struct core *core_new(void);
struct core *core_free(struct core *core);

/* How much is decided into one batch at most, 1 or more: core_new() sets DECISIONS_MAX. What is due past that is a backlog. */
enum { DECISIONS_MAX = 5000 };
void core_set_decisions_max(struct core *core, uint32_t decisions_max);

/* Takes one input: decides, applies, and adds the events and effects to *step. Returns 0, or a negative code
 * with the reason in *err; then nothing has changed. */
int core_step(struct core *core, const struct input *input, struct step *step, struct err *err);

/* Applies a batch of events that a core yielded: replay, and the follower. Returns 0, or ERR_CORRUPT where
 * the bytes aren't a batch that could follow this state; the core is then of no more use.
 * visit: called with each event before it is applied; may be NULL. */
int core_apply(struct core *core, const void *events, size_t len,
               void (*visit)(void *ctx, const struct core *core, uint64_t sequence, const struct event *event), void *ctx,
               struct err *err);

/* Empties a step for the next batch and keeps its memory; _done frees it. */
void step_reset(struct step *step);
void step_done(struct step *step);

/* The effects that the state still waits for, added to *step: after a restart they are sent again. */
void core_outstanding(const struct core *core, struct step *step);

/* ---- Looking at the state ---- */

/* Events applied so far: the sequence number of the last one, the first being 1. */
uint64_t core_sequence(const struct core *core);
us_t core_now(const struct core *core); /* time of the last event */
/* When the state next changes by itself: when to call core_step again, with INPUT_CLOCK, if nothing comes in before; US_NEVER:
 * not at all. Cost: O(log n), and once after each event where jobs wait O(those that wait first). */
us_t core_wake(const struct core *core);
/* Whether more was due than may be decided into one batch. Steps with INPUT_CLOCK then go on with it, a batch at a time, and
 * other inputs are taken without a decision, so that no input waits for more than a batch: core_wake() is now until all is
 * decided. */
bool core_has_backlog(const struct core *core);
const struct config_spec *core_config(const struct core *core);
const struct pool *core_pool(const struct core *core); /* NULL before the first EVENT_POOL */

/* The hash of the whole state, canonically encoded. Takes turns with the questions below, as core_save does. Cost: O(state). */
struct hash core_digest(const struct core *core);
/* The canonical encoding: what core_digest hashes, and a snapshot keeps. */
void core_save(const struct core *core, struct buf *buf);
/* A core from what core_save wrote: the same digest, and from then on the same decisions. Returns 0, or ERR_CORRUPT for bytes
 * that core_save of this release can't have written; it may trust their hash to have been checked. */
int core_load(const void *bytes, size_t len, struct core **ret, struct err *err);

/* A job by its number, or NULL. */
const struct job *core_job(const struct core *core, uint32_t id);
/* An element of an array that was placed, or NULL. */
const struct job *core_element(const struct core *core, uint32_t array, uint32_t index);
/* The job with the least number above `after`, or NULL: for going through all. Cost: O(1) mostly. */
const struct job *core_job_after(const struct core *core, uint32_t after);
/* The job with the greatest number below `before` (UINT32_MAX: the last), or NULL. */
const struct job *core_job_before(const struct core *core, uint32_t before);
/* Of those whose attempt an engine may hold or run: the one with the least number above `after`, or NULL. Cost: O(1) mostly. */
const struct job *core_live_after(const struct core *core, uint32_t after);
uint32_t core_jobs_in_state(const struct core *core, enum job_state state);
const char *core_user(const struct core *core, uint32_t user); /* the user of a job */
const char *core_project_name(const struct core *core, uint32_t project);
/* Whether a job of the core has this payload. */
bool core_payload_used(const struct core *core, const struct hash *payload);
/* What a job asks for. */
const struct group *core_job_group(const struct core *core, const struct job *job);
/* What is free now, node by node: capacity.h. Borrowed; valid once there is a pool. */
const struct capacity *core_capacity(const struct core *core);
bool core_centre_silent(const struct core *core, uint32_t centre);
/* Whether a job is being stopped, or is about to be told so: an element of an array that is, or an attempt on a node that is
 * down. */
bool core_is_stopping(const struct core *core, const struct job *job);
/* The state to show: the job's, or unknown where its centre is silent, or has left the pool. */
enum job_state core_job_state(const struct core *core, const struct job *job);
/* What is kept for jobs that wait, in the order in which it was promised: reservation.h. Borrowed until the next step. */
uint32_t core_reservations(const struct core *core);
const struct reservation *core_reservation(const struct core *core, uint32_t i);
const struct reservation *core_reservation_of(const struct core *core, uint32_t job); /* NULL: it holds none */
/* Bookings and drains, by number: the one with the least number above `after`, or NULL. Borrowed until the next step. */
const struct booking *core_booking_after(const struct core *core, uint32_t after);
/* What operators or engines said of a node (its number in the pool), and why ("" for none). */
enum node_state core_node_state(const struct core *core, uint32_t node, const char **ret_note);
/* Shares, quotas and what is held: project.h. */
const struct projects *core_projects(const struct core *core);
/* Until when a job has what others were promised, or booked, from then on: it is stopped before, if that is needed then.
 * US_NEVER: it was lent nothing. */
us_t core_lent_until(const struct job *job);
/* The service that a job has had, all attempts together: time × cards, in card-microseconds; and the part of its work that was
 * kept at its last checkpoint, in microseconds of running. */
us_t core_attained_us(const struct core *core, const struct job *job, us_t now_us);
us_t core_done_us(const struct job *job);
/* When a job was expected to start as it first came into the queue, 9 in 10 times: outlook.h. False where nothing was said. For a
 * job that waits: those that start at once aren't counted. */
bool core_said(const struct job *job, us_t *ret_low_us, us_t *ret_high_us);

/* ---- Asking without changing ---- */

/* Why a job waits. */
enum reason {
	REASON_NONE,       /* it doesn't */
	REASON_BEGIN,      /* its begin hasn't come */
	REASON_DEPENDENCY, /* on a job that isn't over */
	REASON_ARRAY,      /* as many elements run as its array allows */
	REASON_RESOURCES,  /* not that many are free */
	REASON_SPREAD,     /* enough are free, but not within one node or domain */
	REASON_RESERVED,   /* what is free is kept for a job before it */
	REASON_NEVER,      /* nothing in the pool could ever hold it */
	REASON_QUEUE,      /* it hasn't been considered yet */
	REASON_QUOTA,      /* its project may hold no more of the kinds that would do */
	REASON_BOOKED,     /* what is free is booked, drained, cordoned or down */
	REASON_ORDER,      /* not that many are free, and what comes free goes to a job before it that wants as much */
	REASON_COUNT
};

/* Why a job waits, with numbers. */
struct explanation {
	us_t now_us; /* when it was asked */
	enum reason reason;
	uint32_t blocker;           /* the dependency, the job that holds the reservation, or stands before it; 0: none */
	uint32_t kind;              /* the numbers below are of this kind; KIND_NONE: of CPUs or memory */
	uint32_t centre;            /* and this centre, the one that comes nearest; CENTRE_ANY: none */
	uint64_t need_nodes;        /* nodes of that size that it needs */
	uint64_t free_nodes;        /* and that are free there now */
	uint64_t free_milli;        /* thousandths of cards of that kind that are free in the pool now */
	uint64_t total_milli;       /* and that there are */
	uint32_t ahead;             /* jobs before it in the queue */
	enum quota_verdict verdict; /* of QUOTA: why */
	struct quota_view quota;
	uint32_t quota_kind;
	uint32_t booking;                 /* of BOOKED: its number; 0: nodes are out */
	us_t start_us;                    /* from when, by bounds alone, it can have run; US_NEVER: can't be told */
	us_t start_low_us, start_high_us; /* when it is expected to start, 9 in 10 times; US_NEVER: can't be told */
	char text[512];                   /* one sentence for a person */
};

/* Explains a job. Returns 0 or ERR_NOT_FOUND. Reads only. */
int core_explain(const struct core *core, uint32_t job, us_t now_us, struct explanation *ret, struct err *err);

/* A job that stands before another, or holds what it would need. */
struct other_job {
	uint32_t job, project;
	uint32_t kind; /* of what it holds; of what it wants: of its first way */
	uint64_t nodes;
	uint64_t cards_milli; /* in all */
	us_t at_us;           /* holds: by its bound it ends then. Wants: it was promised a start then. US_NEVER: neither */
};

/* What a job could ask for instead, least intrusive first. */
enum change { CHANGE_NONE, CHANGE_LIMIT, CHANGE_TIER, CHANGE_NODES, CHANGE_CENTRE, CHANGE_KIND, CHANGE_CARDS, CHANGE_COUNT };

enum { OTHER_JOBS_MAX = 3 };

/* Who is in its way, and what would start it now. */
struct advice {
	struct other_job ahead[OTHER_JOBS_MAX], holders[OTHER_JOBS_MAX]; /* the first in line; the largest first */
	uint32_t n_ahead, n_holders;
	/* The first change that would start it now, were it submitted like this; the best of its sort. */
	enum change change;
	us_t limit_us;        /* of LIMIT: at most so long */
	enum tier tier;       /* of TIER */
	uint32_t nodes;       /* of NODES */
	uint32_t kind;        /* of KIND */
	uint32_t cards_milli; /* of CARDS: a node */
	char text[256];       /* one sentence; "" where nothing was looked for: it waits for no cards */
};

/* Advises on a job that `why` explains: at the same instant, in the same state. Reads only. Cost: some 50 plans, and a
 * millisecond where much runs. */
void core_advise(const struct core *core, uint32_t job, const struct explanation *why, struct advice *ret);

/* What would be decided for a job if it were submitted now: its plan in the arena. start_us: now; or the start that it would be
 * promised, by bounds; or, where others would be stopped to make room for it, when they are gone at the latest, which is a grace
 * from now: it starts sooner if they are gone sooner. US_NEVER: can't be told. ret_stopped: how many would be stopped.
 * That is what happens if the same is submitted at that instant, and nothing else is due then (core_has_backlog). A promised
 * start then holds like any other: while no job comes to stand before it (under fair, shares move with time), and what runs ends
 * by its bound. Returns 0, or what a submit would return. Reads only. */
int core_dry_run(const struct core *core, const struct job_spec *spec, us_t now_us, struct arena *arena, struct plan *ret,
                 uint32_t *ret_stopped, struct err *err);

/* Aborts, by assert, where what is kept to be quick differs from what the state says. Cost: O(state). */
void core_check(const struct core *core);

const char *reason_word(enum reason reason);
const char *change_word(enum change change);

#endif
