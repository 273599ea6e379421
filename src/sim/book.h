/* SPDX-License-Identifier: Apache-2.0
 * book.h: the plan checker's own books: of each node what runs there and what is promised there, of each resource what is
 * claimed, of each job what it asked for. They share nothing with what the planner keeps; plan_check.c reads them, and says what
 * is wrong. */
#ifndef SUAN_SIM_BOOK_H
#define SUAN_SIM_BOOK_H

#include "base/map.h"
#include "core/event.h"
#include "sim/quota.h"

struct book_node;

/* A node's part of an attempt, or of a promise. */
struct book_task {
	struct book_plan *plan;
	struct book_node *node;         /* NULL: the pool no longer has it */
	struct book_task *next, **link; /* what else is in the same list of the node */
	uint32_t centre, number;
	/* What it holds: all that it was given, but where a pool change left less. */
	uint32_t cards_milli, cpus_milli, memory_mib;
	uint64_t cards;
	uint32_t given_milli, given_cpus_milli, given_mib;
	uint64_t given;
	bool promised; /* of an attempt: its job had been promised these cards */
};

struct book_node {
	struct book_task *live, *promised;
	uint16_t *used_milli;                         /* of each card */
	uint64_t cards_milli, cpus_milli, memory_mib; /* in use */
	uint64_t seen;                                /* the last plan that was counted here */
	uint64_t own_event, own_cards;                /* the last event that places who was promised this node, and what of it */
	uint32_t cards, cpus_max, memory_max;
	uint32_t kind, rack, pod; /* rack, pod: numbers in the pool */
	uint32_t bookings;        /* that name it */
	enum node_state state;
};

struct book_centre {
	uint32_t node_first, n_nodes;
	uint32_t capabilities;
	bool silent;
};

/* A resource, by the name that claims have for it. */
struct book_resource {
	uint64_t used, capacity;
};

/* A plan in force: an attempt's, or a reservation's. */
struct book_plan {
	struct book_plan *next, **link; /* among all of its sort */
	uint32_t job, kind, request, n_tasks, n_claims;
	us_t start_us, until_us;
	bool broken; /* a promise that was broken rightly: it is to be made anew */
	bool moved;  /* an attempt of which some node left the pool */
	/* Of a promise: */
	enum cause cause;  /* why it was made */
	uint32_t *victims; /* that make room for it */
	uint32_t n_victims;
	bool lost_nodes, booked, overrun; /* what it counted on is gone: may be moved for that */
	struct claim *claims;
	struct book_task tasks[];
};

enum book_state { BOOK_UNKNOWN, BOOK_WAITS, BOOK_LIVE, BOOK_COMPLETED, BOOK_OVER };

struct book_array {
	struct range *ranges;
	uint32_t n_ranges, live, parallel_max;
};

struct book_job {
	us_t limit_us, begin_us, preemptible_after_us;
	us_t started_us; /* its attempt runs since then; US_NEVER: it doesn't */
	struct dependency_spec *dependencies;
	struct book_array *array; /* NULL: none */
	struct book_plan *live, *promise;
	uint32_t n_dependencies;
	uint32_t group, attempt, array_of, priority, project;
	uint32_t restarts_left;
	uint32_t victim_of;   /* the job that it makes room for; 0: none */
	enum cause may_leave; /* for which cause it was named as one that makes room */
	enum cause stopped;   /* why its attempt is being stopped; CAUSE_NONE: it isn't */
	enum book_state state;
	bool rerun_when_lost;
};

/* Nodes that are out, and nodes that are booked. */
struct book_mark {
	uint32_t centre, number;
	enum node_state state;
};

struct book_booking {
	uint32_t id, project, centre, n_ranges; /* project: UINT32_MAX for a drain */
	us_t from_us, until_us;
	struct node_range *ranges;
};

/* What somebody asked for; jobs that ask alike share it. */
struct book_group {
	struct group group;
	uint64_t hash;
};

/* All zero: nothing is known. */
struct book {
	struct strtab kinds, centre_names;
	struct book_centre *centres;
	uint32_t n_centres;
	struct book_node *nodes;
	uint16_t *used_milli; /* of every card of the pool */
	struct map resource_of;
	struct book_resource *resources;
	uint32_t n_resources, resources_cap;
	struct book_plan *live, *promised;
	struct book_job *jobs; /* by number */
	uint32_t n_jobs, jobs_cap;
	struct arena arena; /* groups */
	struct map group_of;
	struct book_group **groups;
	uint32_t n_groups, groups_cap;
	struct map elements; /* (array, index) to the job's number */
	struct quota_book quota;
	struct book_mark *marks; /* never NODE_UP */
	uint32_t n_marks, marks_cap;
	struct book_booking *bookings;
	uint32_t n_bookings, bookings_cap;
	uint32_t n_ordinary;     /* promises for which nobody is made to leave */
	struct book_plan *spare; /* plans of one task, to be used again */
};

/* Looking up; NULL where there is none. */
struct book_job *book_job(const struct book *book, uint32_t number);
const struct group *book_group(const struct book *book, const struct book_job *job);
struct book_node *book_node(const struct book *book, uint32_t centre, uint32_t number);
struct book_resource *book_resource(const struct book *book, uint32_t id);

/* Nodes, racks, pods and resources as the pool's lines say, with nothing in use. What ran keeps its plans: book_use each again.
 */
void book_set_pool(struct book *book, const struct pool_spec *spec);

/* What one task takes of each card that it has. */
uint32_t book_share(const struct book_task *task);
/* A task begins to use its node. */
void book_use(struct book_task *task);
/* Finds a task's node in a new pool, and begins to use what is left there of what it was given. Returns whether that is all. */
bool book_use_again(struct book *book, struct book_task *task);
/* The cards that a task in use has now been given; or, sign below 0, gives back. */
void book_use_cards(struct book_node *node, const struct book_task *task, int sign);
/* Adds a plan's claims to what is claimed, or, sign below 0, takes them away. */
void book_claim(struct book *book, const struct book_plan *plan, int sign);

/* A copy of a plan, the last of a list: book->live or book->promised. request: which it takes; NULL for a plan without tasks. */
struct book_plan *book_keep_plan(struct book *book, struct book_plan **list, uint32_t job, const struct plan *plan,
                                 const struct request *request);
/* An attempt is over: its nodes and claims are free. NULL is accepted; returns NULL. */
struct book_plan *book_end_plan(struct book *book, struct book_plan *plan);
/* A job's promise is over, if it has one. */
void book_end_promise(struct book *book, struct book_job *job);
void book_end_promises(struct book *book);
/* A job's promise is one for which others leave. */
void book_name_victims(struct book *book, struct book_job *job, const uint32_t *victims, uint32_t n);
/* Whether one of them is still on its way out. */
bool book_awaits_victims(const struct book *book, const struct book_plan *promise);
/* A promise's tasks are put down at their nodes. */
void book_promise(struct book_task *task);

/* A node is out, or back. One that the pool hasn't is left out. */
void book_mark(struct book *book, uint32_t centre, uint32_t number, enum node_state state);
/* Keeps a booking, and takes it back; find: NULL where there is none. */
void book_keep_booking(struct book *book, const struct booked *booked);
void book_end_booking(struct book *book, struct book_booking *booking);
struct book_booking *book_find_booking(const struct book *book, uint32_t id);
bool book_booking_has(const struct book_booking *booking, uint32_t centre, uint32_t number);

/* The number of a group like this one. */
uint32_t book_keep_group(struct book *book, const struct group *group);
/* The record of a new number, waiting; the number is above 0, and wasn't there. */
struct book_job *book_new_job(struct book *book, uint32_t number);
/* Frees what a job that is over has beside its record. */
void book_job_done(struct book_job *job);
void book_done(struct book *book);

#endif
