/* SPDX-License-Identifier: Apache-2.0
 * queue.h: what waits, in order, by classes of jobs that look alike.
 *
 * A shape is what a job asks for. A class is shape, project and priority: what can't be placed for one of its jobs can't
 * be for the next, so a class that doesn't fit is passed over once. Classes are ordered by priority, then by the
 * arrival of their first job; in a class jobs are in order of arrival. Arrival is the job's number. */
#ifndef SUAN_CORE_QUEUE_H
#define SUAN_CORE_QUEUE_H

#include "core/job.h"
#include "core/pool.h"

/* One way to place a shape: this request on that shelf. In the order in which they are tried. */
struct candidate {
	uint32_t request, shelf;
};

struct shape {
	struct group group;
	struct hash key;
	struct candidate *candidates; /* made anew with each pool */
	uint32_t n_candidates;
	bool never;     /* not even the empty pool could hold it */
	uint32_t users; /* jobs of this shape; without any it goes */
};

struct job_class {
	uint32_t shape, project, priority;
	struct tree jobs; /* that wait, by number, with the least limit of each part */
	struct tree_node in_queue;
	uint32_t first; /* number of its first job, as it stands in the queue */
	/* Memos, no part of the state: its `freed`, plus 1, at which the class was found not to start now, and by no bound. */
	uint64_t passed_over, unplanned;
};

struct queue {
	struct shape **shapes; /* NULL for one that went */
	uint32_t n_shapes, shapes_cap;
	uint32_t *free_shapes;
	uint32_t n_free_shapes, free_shapes_cap;
	struct map shape_of_key;    /* from the key's first 8 bytes */
	struct job_class **classes; /* those in which a job waits; NULL: free */
	uint32_t n_classes, classes_cap;
	uint32_t *free_classes;
	uint32_t n_free_classes, free_classes_cap;
	struct map class_of;
	struct tree order;
	uint32_t waiting;
};

/* The number of a shape, for one more job; a new one is added, without candidates. The number of one that went is used again. */
uint32_t queue_shape(struct queue *queue, const struct group *group, bool *ret_new);
/* One job of the shape less. */
void queue_leave_shape(struct queue *queue, uint32_t shape);
/* The number of a shape, or UINT32_MAX; reads only. */
uint32_t queue_find_shape(const struct queue *queue, const struct group *group);

/* Puts a job in line, at the place of its number; takes it out. Cost: O(log n). */
void queue_add(struct queue *queue, struct job *job);
void queue_remove(struct queue *queue, struct job *job);
bool queue_has(const struct queue *queue, const struct job *job);

/* The first class; the next one. NULL at the end. */
struct job_class *queue_first(const struct queue *queue);
struct job_class *queue_next(const struct job_class *class);
/* A class's first job; never NULL for one in the queue. */
struct job *class_first(const struct job_class *class);
/* A class's first job whose limit is at most limit_us, or NULL. Cost: O(log n). */
struct job *class_first_within(const struct job_class *class, us_t limit_us);

/* Jobs that stand before this one. Cost: O(classes), times O(log n) for those of its own priority. */
uint32_t queue_ahead(const struct queue *queue, const struct job *job);

void queue_done(struct queue *queue);
void queue_check(const struct queue *queue);

#endif
