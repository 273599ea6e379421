/* SPDX-License-Identifier: Apache-2.0
 * queue.h: what waits, in order, by classes of jobs that look alike.
 *
 * A shape is what a job asks for. A class is shape, project and priority: what can't be placed for one of its jobs can't be for
 * the next, so a class that doesn't fit is passed over once. In a class jobs are in order of rank (what the policy makes of them;
 * 0 under fair and fifo), then of arrival, which is the job's number.
 *
 * Classes that look for cards in the same places lie in one lane, so that cards that come free somewhere make only those lanes
 * be looked at that could use them. Lanes of one priority, and under fair of one project, lie in one bucket; buckets are in order
 * of priority, then of their projects' shares. Those of equal share are merged by rank and arrival. */
#ifndef SUAN_CORE_QUEUE_H
#define SUAN_CORE_QUEUE_H

#include "base/slab.h"
#include "base/spares.h"
#include "core/job.h"
#include "core/pool.h"

#define PROJECT_ALL UINT32_MAX

/* One way to place a shape: this request on that shelf. In the order in which they are tried. */
struct candidate {
	uint32_t request, shelf;
};

struct shape {
	struct group group;
	struct hash key;
	struct candidate *candidates; /* made anew with each pool */
	uint32_t n_candidates;
	bool never;      /* not even the empty pool could hold it */
	bool varies;     /* it is faster on some kinds of the pool than on others */
	uint32_t users;  /* jobs of this shape; without any it goes */
	uint64_t weight; /* under shortest: cards^power, in 1/65536 */
	uint64_t place;  /* a hash of where its tasks could lie: shelves, and wholly free cards that a node needs there */
	uint64_t mix;    /* of what it asks for, and the next shape of which it is the same; UINT32_MAX: none */
	uint32_t alike;
};

/* Somewhere to look: nodes of this shelf with so many wholly free cards; 0: shares, and no cards. */
struct place {
	uint32_t shelf, cards;
};

/* What a way down a lane reads comes first, and is as large as a line of a cache; then what its own node adds to that. */
struct job_class {
	struct tree_node in_lane;
	uint64_t rank;         /* of its first job, as it stands in the lane */
	uint32_t first;        /* the number of that job */
	uint32_t nodes_least;  /* in this node's part of the lane: the fewest nodes, */
	us_t stay_least_us;    /* the least stay, */
	uint64_t passed_least; /* and the least passed_over */
	us_t stay_us;          /* the least of its jobs */
	/* Memos, no part of the state: at which stamp (of its lane, see pass.c) plus 1 none of its jobs could start; at which count
	 * of `freed` no start could be promised to its first. */
	uint64_t passed_over, unplanned;
	uint32_t nodes; /* of its shape's gang */
	uint32_t shape, project, priority;
	uint32_t lane;    /* among the queue's lanes */
	struct tree jobs; /* that wait, by rank and number, with the least stay of each part */
	struct job *head; /* the first of them */
	bool starved;     /* at that count, its first had waited for long */
	/* At which stamp, less the promises in it, plus 1 nobody was to make room for its first job; follows from the state, and
	 * in a backlog from its event: see pass_settle(), pass_know(). */
	uint64_t unhelped;
};

/* How often something came free in a place; and how often of that only a promise was made there, which some may pass, but which
 * makes nobody leave. */
struct freed {
	uint64_t times, promised;
};

/* The places of some lanes, one of each bucket. */
struct site {
	struct place *places;
	uint32_t n_places;
	uint32_t users; /* lanes */
	uint64_t key;
	/* Memos, each as of the event of that number, less 1: the stamp (pass.c), and what of it are promises that were made; and, as
	 * of the core's `room_as_of`, for how many nodes' tasks there is room on one shelf, open to all, and free. */
	uint64_t stamp_at, stamp, promised, room_at;
	uint32_t open_nodes, free_nodes;
};

struct lane {
	uint32_t bucket, site; /* among the queue's */
	uint64_t key;
	struct tree classes;            /* by rank, then first */
	struct job_class *first, *last; /* of them */
	uint64_t exhausted;             /* a memo: the stamp, plus 1, at which every class was passed over */
};

struct bucket {
	uint32_t priority, project; /* project: PROJECT_ALL but under fair */
	uint32_t share;             /* its project's place among those in which jobs wait, as of the last queue_sort */
	uint32_t entrant;           /* for pass_sort: its project, in the list of those */
	struct {
		uint32_t lane, site;
	} * lanes;
	uint32_t n_lanes, lanes_cap;
	uint32_t waiting; /* jobs */
	/* Memos. */
	struct job_class *first; /* in order; NULL: to be found */
	struct job_class *open;  /* the first that wasn't passed over at `open_at`; NULL: none */
	uint64_t open_at;        /* 0: to be found */
};

struct queue {
	bool by_share; /* fair: a bucket for each project */
	struct slab class_memory, site_memory, lane_memory, bucket_memory;
	struct shape **shapes; /* NULL for one that went */
	uint32_t n_shapes, shapes_cap;
	struct spares spare_shapes;
	struct map shape_of_mix;    /* from a mix of what is asked for to the first shape that has it */
	struct job_class **classes; /* those in which a job waits; NULL: free */
	uint32_t n_classes, classes_cap;
	struct spares spare_classes;
	struct map class_of;
	struct site **sites; /* NULL: free */
	uint32_t n_sites, sites_cap;
	struct spares spare_sites;
	struct map site_of;
	struct lane **lanes; /* NULL: free */
	uint32_t n_lanes, lanes_cap;
	struct spares spare_lanes;
	struct map lane_of;
	struct bucket **buckets; /* NULL: free */
	uint32_t n_buckets, buckets_cap;
	struct spares spare_buckets;
	struct map bucket_of;
	uint32_t *order;    /* numbers of the buckets in which jobs wait, as of the last queue_sort */
	uint32_t *equal_to; /* by place in `order`: where those that stand equal with that one end */
	uint32_t n_order, order_cap;
	bool sorted; /* no bucket has come that `order` doesn't have */
	us_t sorted_us;
	uint32_t waiting, never; /* jobs; and of them those that no pool could hold, which lie in no lane */
	uint64_t changes;        /* a memo: counts arrivals and departures */
};

/* What tells a shape from another: a hash of what it asks for. */
struct hash shape_key(const struct group *group);
/* The number of a shape, for one more job; a new one is added, without candidates. The number of one that went is used again. */
uint32_t queue_shape(struct queue *queue, const struct group *group, bool *ret_new);
/* One job less of a shape. */
void queue_leave_shape(struct queue *queue, uint32_t id);
/* The number of a shape that is there, or UINT32_MAX. */
uint32_t queue_find_shape(const struct queue *queue, const struct group *group);
/* Frees all shapes, at the end. */
void queue_free_shapes(struct queue *queue);
/* The class of such jobs, or NULL where none waits. shape: may be UINT32_MAX. */
const struct job_class *queue_find_class(const struct queue *queue, uint32_t shape, uint32_t project, uint32_t priority);

/* Adds a job, whose rank is set, at its place; takes it out. Cost: O(log n). */
void queue_add(struct queue *queue, struct job *job);
void queue_remove(struct queue *queue, struct job *job);
bool queue_has(const struct queue *queue, const struct job *job);

/* Puts the buckets into order. shares: by bucket in queue->order, set by the caller through bucket->share before. */
void queue_sort(struct queue *queue, us_t now_us);

/* Goes through classes in order. All zero but the queue is at the beginning. Good until the queue changes. */
struct queue_walk {
	const struct queue *queue;
	uint32_t from, to;     /* of queue->order: buckets of equal standing */
	struct job_class **at; /* of each the next, */
	uint32_t which;        /* but of this one, counted from `from`: there it was given; `to` - `from`: of none */
	struct arena *arena;
};
struct job_class *queue_walk_next(struct queue_walk *walk);
/* The first class of a bucket. */
struct job_class *bucket_first(const struct queue *queue, struct bucket *bucket);
/* Whether class a goes before b, both in buckets of equal standing. */
bool class_before(const struct job_class *a, const struct job_class *b);
/* Which classes of a lane are worth a look: gangs of at most so many nodes; and where a job can make do with a stay of stay_us,
 * those of at most so many. */
struct worth {
	uint32_t nodes, nodes_within;
	us_t stay_us;
};
/* The lane's first class that wasn't passed over at this stamp, and is worth a look; NULL: none. */
struct job_class *lane_open(const struct lane *lane, uint64_t stamp, const struct worth *worth);
/* Notes that a class can't start at this stamp. */
void class_pass_over(struct queue *queue, struct job_class *class, uint64_t stamp);

/* A class's first job; never NULL for one in the queue. */
struct job *class_first(const struct job_class *class);
/* The one after it, or NULL. */
struct job *class_next(const struct job *job);
/* A class's first job that can make do with a stay of stay_us, and has a limit of at most limit_us; NULL: none. Cost: O(log n)
 * where one of the two is US_NEVER. */
struct job *class_first_within(const struct job_class *class, us_t stay_us, us_t limit_us);

/* Jobs that stand before this one, by the order of the last queue_sort. Cost: O(1) for the last to come under fair and fifo, else
 * O(classes × log n). */
uint32_t queue_ahead(const struct queue *queue, const struct job *job);

void queue_done(struct queue *queue);
void queue_check(const struct queue *queue);

#endif
