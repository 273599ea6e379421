/* SPDX-License-Identifier: Apache-2.0
 * event.h: facts. Everything that ever changed the state is one of these, in order.
 *
 * core_step() yields events; the store keeps them; applying them, and nothing else, makes the state. An
 * event is written as type, version, the time since the one before it, and its fields, as varints (buf.h).
 * Numbers of centres, kinds, projects and shapes are those that the pool and the order of events give them. */
#ifndef SUAN_CORE_EVENT_H
#define SUAN_CORE_EVENT_H

#include "base/arena.h"
#include "base/buf.h"
#include "core/spec.h"

enum event_type {
	EVENT_POOL = 1,   /* the pool is this, from now on */
	EVENT_CONFIG,     /* the configuration is this */
	EVENT_SUBMITTED,  /* a job was accepted */
	EVENT_ELIGIBLE,   /* what it waited for (dependencies, begin) is over: it is in the queue */
	EVENT_PLACED,     /* a plan was made for it, and an attempt begins with `intent` */
	EVENT_ATTEMPT,    /* its engine says: held, released, running */
	EVENT_BOUND,      /* its engine chose these cards (centres whose cards are counted, not exact) */
	EVENT_STOPPING,   /* it is being ended: canceled, or over its limit, or its centre let it go */
	EVENT_ENDED,      /* the attempt, or the waiting job, is over; what follows is in `then` */
	EVENT_RESERVED,   /* it holds a reservation: this start, these cards */
	EVENT_UNRESERVED, /* it holds none any more */
	EVENT_CENTRE,     /* a centre fell silent past its lease, or is heard again */
	EVENT_FORGOTTEN,  /* a job that is over leaves the core: from now on it is in the history table alone */
	EVENT_NODE,       /* nodes were cordoned, failed, or are back */
	EVENT_BOOKED,     /* whole nodes are kept over a window: for a project, or as a drain */
	EVENT_UNBOOKED,   /* they aren't any more */
	EVENT_AGED,       /* a job has run so long that it stands elsewhere: a level lower (las), open to preemption, or to a move */
	EVENT_EXTENDED,   /* a job that was lent cards until somebody else's promise may keep them to its own bound */
	EVENT_MOVING,     /* jobs that run are to start again on other cards, which are kept for them; each is then stopped */
	EVENT_BACKLOG,    /* more was due than is decided into one batch, and waits for the next; or no more is */
	EVENT_TYPE_COUNT
};

/* A job's states are PSI/J's, and unknown. */
enum job_state {
	JOB_NEW,       /* a dry run: not submitted */
	JOB_QUEUED,    /* waits: for a dependency, for its begin, or for cards */
	JOB_STAGE_IN,  /* placed; its centre makes it ready */
	JOB_ACTIVE,    /* runs */
	JOB_STAGE_OUT, /* its results are being moved (with datasets) */
	JOB_CLEANUP,   /* being stopped */
	JOB_COMPLETED,
	JOB_FAILED,
	JOB_CANCELED,
	JOB_UNKNOWN, /* its centre is silent past its lease */
	JOB_STATE_COUNT
};

enum attempt_state {
	ATTEMPT_NONE,
	ATTEMPT_INTENT,   /* durable here; its centre may not know yet */
	ATTEMPT_HELD,     /* its engine has it, and won't run it */
	ATTEMPT_RELEASED, /* its engine may run it */
	ATTEMPT_RUNNING,
	ATTEMPT_ENDED,
	ATTEMPT_REFUSED, /* its engine won't have it */
	ATTEMPT_LOST,    /* its engine lost it */
	ATTEMPT_STATE_COUNT
};

/* Why something is stopped or over. */
enum cause {
	CAUSE_NONE,
	CAUSE_EXIT,       /* it ended by itself */
	CAUSE_SIGNAL,     /* a signal that Suan didn't send ended it */
	CAUSE_LIMIT,      /* its time limit */
	CAUSE_CANCEL,     /* somebody canceled it */
	CAUSE_DEPENDENCY, /* a job that it needed did not complete */
	CAUSE_LOST,       /* its engine, or the machine, lost it */
	CAUSE_REFUSED,    /* its engine refused it */
	CAUSE_MEMORY,     /* over its memory */
	CAUSE_ELEMENTS,   /* an array: its elements are over */
	CAUSE_FIRST,      /* a reservation: the first that waits had none */
	CAUSE_ORDER,      /* a reservation: another job is first now */
	CAUSE_CAPACITY,   /* a reservation: what it counted on is gone */
	CAUSE_OVERRUN,    /* a reservation: its time has come, and cards are still held past their bound */
	CAUSE_PREEMPTED,  /* it makes room for a job that goes before it; a reservation: for which others are preempted */
	CAUSE_RECLAIMED,  /* it makes room for the project that its cards were borrowed from; a reservation: likewise */
	CAUSE_NODE,       /* a node under it failed */
	CAUSE_STARVED,    /* a reservation: it waited long, and no start can be promised */
	CAUSE_BOOKED,     /* a reservation: a booking took what it counted on */
	CAUSE_WINDOW,     /* a booking: its window is over */
	CAUSE_MOVED, /* it starts again on cards that it is faster on, or makes room for one that does; a reservation: for that */
	CAUSE_COUNT
};

/* What a plan takes of one resource, from when until when. */
struct claim {
	uint32_t resource; /* see pool.h */
	uint64_t amount;   /* in the resource's unit */
	us_t from_us, until_us;
};

/* One node's share of a gang. The task's rank is its place in the plan. */
struct task {
	uint32_t group;
	uint32_t centre;
	uint32_t node;        /* its number in its centre, from 0 */
	uint32_t cards_milli; /* 0: no card; below 1000: a share of the one card in `cards` */
	uint64_t cards;       /* bit i: card i of the node; 0 where the engine chooses */
};

/* What was decided for a job: whole, or not at all. */
struct plan {
	us_t start_us;
	us_t until_us;    /* when, by its bound, everything is free again; US_NEVER without a limit */
	uint32_t request; /* which of the group's requests was taken */
	uint32_t kind;    /* the kind of card; KIND_NONE for a job without */
	struct task *tasks;
	uint32_t n_tasks;
	struct claim *claims;
	uint32_t n_claims;
};

/* A request, resolved. */
struct request {
	uint32_t kind; /* a number, KIND_NONE or KIND_ANY */
	uint32_t cards_milli, cpus_milli, memory_mib;
	uint32_t centre; /* a number, or CENTRE_ANY */
	uint32_t speed_milli;
	uint8_t image; /* 1: wants a container image */
};

#define KIND_NONE UINT32_MAX
#define KIND_ANY (UINT32_MAX - 1)
#define CENTRE_ANY UINT32_MAX

struct group {
	uint32_t nodes;
	uint32_t n_requests;
	struct request *requests;
	uint8_t ordered, hard;
	enum tier highest;
};

struct submitted {
	uint32_t job;
	const char *name, *project, *user;
	struct group group;
	uint32_t priority;
	us_t limit_us, begin_us;
	const struct dependency_spec *dependencies;
	uint32_t n_dependencies;
	const struct range *array;
	uint32_t n_array, array_parallel_max;
	uint32_t max_restarts;
	bool rerun_when_lost;
	us_t checkpoint_every_us, preemptible_after_us;
	struct hash payload;
	const char *secrets;     /* "" for none */
	const void *idempotency; /* IDEMPOTENCY_BYTES of the hash of user and key, then of the request; NULL: none */
};

enum { IDEMPOTENCY_BYTES = 32 };

struct placed {
	uint32_t job;     /* an array's element: its new number */
	uint32_t attempt; /* from 1 */
	uint32_t array;   /* the array that the element is taken from; 0: none */
	uint32_t index;   /* its SUAN_ARRAY_INDEX */
	struct plan plan;
};

struct ended {
	uint32_t job, attempt;            /* attempt 0: it never was placed */
	enum attempt_state attempt_state; /* ENDED, REFUSED or LOST; NONE for attempt 0 */
	enum cause cause;
	int32_t exit_code;   /* 0 to 255, or 128 + signal */
	uint32_t rank;       /* of the task that decided it */
	us_t at_us;          /* when it ended, by its engine; at or before the event */
	enum job_state then; /* COMPLETED, FAILED, CANCELED; or QUEUED: it waits for its next attempt */
	const char *note;    /* for a person: what its engine said; "" for none */
};

/* A job that runs, and where it is to start again. */
struct move {
	uint32_t job;
	struct plan plan;
};

enum { MOVES_MAX = 2 }; /* at once: one alone, or two that change places */

struct booked {
	uint32_t booking;           /* its number, from 1 */
	const char *name, *project; /* project: "" for a drain */
	uint32_t centre;
	const struct node_range *ranges;
	uint32_t n_ranges;
	us_t from_us, until_us;
};

/* More is due than was decided, or no more is. */
struct backlog {
	bool more;
	/* Where more is, what was found out so far and follows from no other event: that nobody is to be moved; and for whose classes
	 * nobody is to make room, by their first jobs, in order. */
	bool unmoved;
	uint32_t n_unhelped;
	const uint32_t *unhelped;
};

struct event {
	enum event_type type;
	us_t at_us;
	union {
		struct pool_spec pool;
		struct config_spec config;
		struct submitted submitted;
		struct {
			uint32_t job;
		} eligible;
		struct placed placed;
		struct {
			uint32_t job, attempt;
			enum attempt_state state;
			us_t at_us; /* by its engine */
			const char *native_id;
		} attempt;
		struct {
			uint32_t job, attempt;
			struct task *tasks;
			uint32_t n_tasks;
		} bound;
		struct {
			uint32_t job, attempt;
			enum cause cause;
			const char *who;
		} stopping;
		struct ended ended;
		struct {
			uint32_t job;
			enum cause cause;
			struct plan plan;        /* start_us US_NEVER: no start is promised, what comes free on these nodes is kept */
			const uint32_t *victims; /* jobs that are ended to make room, in order */
			uint32_t n_victims;
		} reserved;
		struct {
			uint32_t job;
			enum cause cause;
		} unreserved;
		struct {
			uint32_t centre;
			bool silent;
		} centre;
		struct {
			uint32_t job;
		} forgotten;
		struct {
			uint32_t centre;
			struct node_range range;
			enum node_state state;
			const char *note; /* for a person; "" for none */
		} node;
		struct booked booked;
		struct {
			uint32_t booking;
			enum cause cause; /* CANCEL or WINDOW */
		} unbooked;
		struct {
			uint32_t job;
			uint32_t level;   /* under las */
			bool preemptible; /* from now on */
			bool movable;     /* likewise */
		} aged;
		struct {
			uint32_t job;
			us_t until_us; /* its plan's bound from now on */
		} extended;
		struct {
			uint32_t n; /* 1 to MOVES_MAX */
			struct move moves[MOVES_MAX];
		} moving;
		struct backlog backlog;
	};
};

/* Appends an event's bytes. previous_us: the time of the event before it, 0 for the first of a batch. */
void event_encode(const struct event *event, us_t previous_us, struct buf *buf);

/* Reads one event; what it points to is in the arena. Returns 0, or ERR_CORRUPT and changes nothing but the
 * reader and the arena. Cost: O(bytes). */
int event_decode(struct reader *r, us_t previous_us, struct arena *arena, struct event *ret);

/* The parts that also stand elsewhere. Decoding fills what is pointed to in the arena, and sets r->bad where it must. */
void plan_encode(const struct plan *plan, struct buf *buf);
void plan_decode(struct reader *r, struct arena *arena, struct plan *plan);
/* Makes *to a copy that is its owner's, in one piece of memory; what it owned before goes. plan_drop frees that, and leaves it
 * empty.
 */
void plan_keep(struct plan *to, const struct plan *from);
void plan_drop(struct plan *plan);
void booked_encode(const struct booked *booked, struct buf *buf);
void booked_decode(struct reader *r, struct arena *arena, struct booked *booked);
void backlog_encode(const struct backlog *backlog, struct buf *buf);
void backlog_decode(struct reader *r, struct arena *arena, struct backlog *backlog);
void group_encode(const struct group *group, struct buf *buf);
void group_decode(struct reader *r, struct arena *arena, struct group *group);

const char *event_word(enum event_type type);
const char *job_state_word(enum job_state state);
int job_state_from_word(const char *word);
const char *attempt_state_word(enum attempt_state state);
const char *cause_word(enum cause cause);

#endif
