/* SPDX-License-Identifier: Apache-2.0
 * reservation.h: what is kept of the pool for later: promises to jobs that wait, bookings, and nodes that are out.
 *
 * A reservation is a whole plan for a job that waits: a start, nodes and cards. A booking keeps whole nodes over a window, for a
 * project or (a drain) for nobody; a node that is cordoned or down is kept from now on, for nobody. What all of them leave to
 * any job, however long it runs, is `open`: a capacity of the whole pool, equal to what is free (`live`) but on the nodes kept.
 * On those, what a given job may take also depends on when it ends by its bound, and on whose it is: keep_show(). */
#ifndef SUAN_CORE_RESERVATION_H
#define SUAN_CORE_RESERVATION_H

#include "core/capacity.h"

struct kept_node;

/* A promise to a job that waits. */
struct reservation {
	uint32_t job;
	enum cause cause;  /* why it was made */
	enum cause broken; /* other than CAUSE_NONE: the plan can't be kept any more, and why */
	struct plan plan;  /* start_us US_NEVER: these nodes are kept until it fits there */
	struct request request;
	uint32_t *victims;  /* jobs that make room for it */
	uint32_t *attempts; /* of each of them the one that does: those may wait again, and run again, before this job starts */
	uint32_t n_victims;
	uint32_t n_stopped; /* of them, in order: those that have been told to end */
	bool behind;        /* for a question, and false between: as if it weren't there (keep_set_behind) */
};

/* Promises for which others were made to leave come and go by themselves. */
static inline bool reservation_is_ordinary(const struct reservation *r)
{
	return r->n_victims == 0;
}

/* How many of those that make room have been told to: of a promise that was put off all, though it counts them anew. */
static inline uint32_t reservation_told(const struct reservation *r)
{
	return r->cause == CAUSE_OVERRUN ? r->n_victims : r->n_stopped;
}

/* Whole nodes of a centre over a window. */
struct booking {
	uint32_t id;
	char *name;
	uint32_t project; /* UINT32_MAX: a drain */
	uint32_t centre;
	struct node_range *ranges;
	uint32_t n_ranges;
	us_t from_us, until_us;
};

struct start {
	us_t at_us;
	uint32_t uses; /* promises, and windows of nodes, that begin then */
};

/* All zero: nothing is kept, and there is no pool. */
struct keep {
	struct reservation **reservations; /* in the order in which they were made */
	uint32_t n_reservations, reservations_cap;
	struct capacity open;
	struct kept_node **nodes; /* that anything is kept of */
	uint32_t n_nodes, nodes_cap;
	struct map node_index;
	uint32_t withheld;    /* of them: nodes of which some part is free, and not open */
	uint32_t granted;     /* windows that are kept for a project */
	struct start *starts; /* the instants from which something is kept, each once, rising; but US_NEVER */
	uint32_t n_starts, starts_cap;
};

struct reservation *reservation_free(struct reservation *reservation);
struct booking *booking_free(struct booking *booking);

/* Nothing kept of a pool where `live` is free. Cost: O(pool). */
void keep_init(struct keep *keep, const struct capacity *live);
void keep_done(struct keep *keep);

/* Adds a promise and owns what it points to; the caller then calls keep_ends for each share of an attempt on its nodes. */
void keep_reserve(struct keep *keep, struct reservation *reservation, const struct capacity *live);
/* Takes it back and frees it. */
void keep_unreserve(struct keep *keep, uint32_t job, const struct capacity *live);
struct reservation *keep_find(const struct keep *keep, uint32_t job);
/* Keeps a node over [from, until) for a project (UINT32_MAX: for nobody); takes that back. id: tells windows of a node apart. */
void keep_window(struct keep *keep, uint32_t node, uint32_t id, uint32_t project, us_t from_us, us_t until_us,
                 const struct capacity *live);
void keep_unwindow(struct keep *keep, uint32_t node, uint32_t id, const struct capacity *live);
/* Whether a plan, from another start on, would run into a window that is kept for others than its project. */
bool keep_forbids(const struct keep *keep, const struct plan *plan, us_t start_us, us_t until_us, uint32_t project);
/* Whether something is kept of a node, so that the caller may ask no more of the others. */
bool keep_has(const struct keep *keep, uint32_t node);
/* Whether something is kept of it but for this job. */
bool keep_has_other(const struct keep *keep, uint32_t node, uint32_t job);

/* How long a share is in use. A promise for which others are made to leave counts on the end of those alone that are leaving. */
struct stay {
	us_t until_us; /* its bound */
	bool leaving;  /* who has it is on its way out */
};

/* A share that is in use now is free once the stay is over: for reservations made after it was taken. only: of that job's, 0: of
 * all. */
void keep_ends(struct keep *keep, uint32_t node, const struct share *share, struct stay stay, uint32_t only,
               const struct capacity *live);
/* A share was taken, or given back, after `live` was changed. cause: why, where it breaks a promise. */
void keep_taken(struct keep *keep, uint32_t node, const struct share *share, struct stay stay, const struct capacity *live,
                enum cause cause);
void keep_given(struct keep *keep, uint32_t node, const struct share *share, struct stay stay, const struct capacity *live);
/* A stay is another now, with nothing taken or given. That breaks no plan: should it last past the start, the reservation
 * moves then, once, and not with every job that comes up a little late. */
void keep_moved(struct keep *keep, uint32_t node, const struct share *share, struct stay before, struct stay after,
                const struct capacity *live);

/* Whether a share of a node that ends at from_us by its bound could as well end at until_us: nothing that is kept of the node
 * begins in between and needs it. project: whose it is. */
bool keep_spares(const struct keep *keep, uint32_t node, const struct share *share, uint32_t project, us_t from_us,
                 us_t until_us);

/* For whom, and until when: a job of a project that would end, by its bound, at until_us. */
struct keep_view {
	uint32_t job, project; /* job: whose own promise doesn't count; 0: none */
	us_t now_us, until_us;
};

/* Makes `open` what such a job may take, until keep_hide: no other step may lie between. Returns false, and changes nothing,
 * where that is no more than what is open to all. Cost: O(nodes kept). */
bool keep_show(struct keep *keep, const struct keep_view *view, const struct capacity *live);
void keep_hide(struct keep *keep, const struct capacity *live);

/* For a question the ordinary promises from number `place` on are as if they weren't there, or again as they are. What is open
 * isn't made anew (keep_then_end). Cost: O(promises × starts). */
void keep_set_behind(struct keep *keep, uint32_t place, bool behind);

/* Jobs with a limit over this that start now, and hold no promise, can take no more than what is open to all. */
us_t keep_limit(const struct keep *keep, us_t now_us);

/* The last instant before before_us from which something is kept; 0: none. */
us_t keep_start_before(const struct keep *keep, us_t before_us);

/* ---- For plans of the future (plan.c): what would be free on the kept nodes at a later instant ---- */

/* Begins: on each kept node what is free now counts. Until keep_then_end no other step. */
void keep_then_begin(struct keep *keep, const struct capacity *live);
/* A share comes free on a node by then; the node may be one that nothing is kept of. */
void keep_then_give(struct keep *keep, uint32_t node, const struct share *share);
void keep_then_take(struct keep *keep, uint32_t node, const struct share *share); /* again, what was given */
/* Makes `open` what a job may take that starts at view->now_us and ends at view->until_us. */
void keep_then_show(struct keep *keep, const struct keep_view *view);
/* The next instant after `after_us` at which something that is kept ends; US_NEVER: none. */
us_t keep_next_end(const struct keep *keep, us_t after_us);
void keep_then_end(struct keep *keep, const struct capacity *live);

/* Aborts where what is kept differs from what the promises and windows say. */
void keep_check(const struct keep *keep, const struct capacity *live);

#endif
