/* SPDX-License-Identifier: Apache-2.0
 * apply_inside.h: what the writers of the state share; nobody else includes it.
 *
 *   apply.c    one function an event, which calls the others; and what is kept to be quick, made anew
 *   waiting.c  who stands in line, what jobs wait for, when they next change by themselves
 *   running.c  what running jobs hold
 *   nodes.c    nodes that are out, bookings */
#ifndef SUAN_CORE_APPLY_INSIDE_H
#define SUAN_CORE_APPLY_INSIDE_H

#include "core/state.h"

/* A job that is there. */
struct job *job_at(struct core *core, uint32_t id);

/* ---- waiting.c ---- */

/* Brings the queue in line with a job's state. A job that leaves it holds no reservation. */
void requeue(struct core *core, struct job *job);
/* What the queue's order rests on is about to change: everybody who waits steps out, and in again. Cost: O(jobs). */
void empty_queue(struct core *core);
void refill_queue(struct core *core);

/* Takes a promise back, where there is one; what is free on its nodes is open to others. */
void unreserve(struct core *core, uint32_t job);
void unreserve_all(struct core *core);

/* Brings a job's timer in line with its state. */
void retime(struct core *core, struct job *job);
/* Puts a job among those that are over. */
void shelve(struct core *core, struct job *job);

/* Counts what a waiting job waits for, and enters it with those jobs. */
void watch_dependencies(struct core *core, struct job *job);
/* A job is over: those that wait for it are told. */
void release_dependents(struct core *core, struct job *job);

/* ---- running.c ---- */

/* None is live, as far as the set of them goes. */
void empty_live(struct core *core);
/* A job's attempt holds what its plan says. again: the books of its project know of it already. */
void take_plan(struct core *core, struct job *job, bool again);
void give_plan(struct core *core, struct job *job);
/* How long the attempt holds that. */
struct stay stay_of(const struct job *job);
/* By its bound the attempt is there until then; before: its stay as it was, before it may have begun to leave. */
void set_stay(struct core *core, struct job *job, struct stay before, us_t until_us);
/* The attempt runs since started_us, so by its bound it is there until then plus its limit. */
void move_until(struct core *core, struct job *job);
/* Brings the victims in line with a job's state. */
void line_up(struct core *core, struct job *job);

/* Something came free on a node: classes that want no more wholly free cards of it than it has are looked at again; where others
 * may be made to leave, no more than it could have. */
bool others_may_leave(const struct core *core); /* jobs that run may be made to, for some job that waits */
void came_free(struct core *core, uint32_t node);
/* A promise was made on a node: they are looked at again too, but not for whom others may make room. */
void may_be_passed(struct core *core, uint32_t node);
void came_free_all(struct core *core); /* anything, anywhere: every class is looked at again */
/* Whether anything of a node is free that somebody could use. */
bool has_something_free(const struct core *core, uint32_t node);

/* A live job's attempt comes out of the old pool's books, without a change to what its project used. */
void forget_running(struct core *core, struct job *job);
/* Finds what a live job still holds of its nodes after the pool changed: nothing of one that left; of one that lost cards, those
 * that are left. Its tasks go on all the same. */
void find_held(struct core *core, struct job *job);

/* ---- nodes.c ---- */

/* Sets or takes away (NODE_UP) one node's mark. */
void mark_node(struct core *core, uint32_t centre, uint32_t number, enum node_state state, const char *note);
void add_booking(struct core *core, const struct booked *booked);
/* booking: one that there is. */
void remove_booking(struct core *core, uint32_t booking);
/* What is kept of the pool but for promises: nodes that are out, and bookings. Marks of nodes that left the pool go. */
void index_keep(struct core *core);

#endif
