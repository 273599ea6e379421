/* SPDX-License-Identifier: Apache-2.0
 * queue.c: shapes, classes and their order; see queue.h. */
#include "core/queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- Shapes ---- */

static struct hash key_of(const struct group *group)
{
	struct buf buf = {0};
	struct hash key;

	group_encode(group, &buf);
	key = hash_of(buf.data, buf.len);
	buf_done(&buf);
	return key;
}

uint32_t queue_find_shape(const struct queue *queue, const struct group *group)
{
	struct hash key = key_of(group);
	uint32_t id = map_get(&queue->shape_of_key, hash_word(key.bytes), UINT32_MAX);

	assert(id == UINT32_MAX || !memcmp(&queue->shapes[id]->key, &key, sizeof key));
	return id;
}

uint32_t queue_shape(struct queue *queue, const struct group *group, bool *ret_new)
{
	uint32_t id = queue_find_shape(queue, group);
	struct shape *shape;

	*ret_new = id == UINT32_MAX;
	if (!*ret_new) {
		queue->shapes[id]->users++;
		return id;
	}
	shape = mem_new(1, sizeof *shape);
	shape->users = 1;
	shape->group = *group;
	shape->group.requests = mem_new(group->n_requests, sizeof *group->requests);
	memcpy(shape->group.requests, group->requests, group->n_requests * sizeof *group->requests);
	shape->key = key_of(group);
	if (queue->n_free_shapes) {
		id = queue->free_shapes[--queue->n_free_shapes];
	} else {
		mem_grow((void **)&queue->shapes, &queue->shapes_cap, queue->n_shapes, sizeof *queue->shapes);
		id = queue->n_shapes++;
	}
	queue->shapes[id] = shape;
	map_set(&queue->shape_of_key, hash_word(shape->key.bytes), id);
	return id;
}

static void shape_free(struct shape *shape)
{
	if (!shape)
		return;
	free(shape->group.requests);
	free(shape->candidates);
	free(shape);
}

void queue_leave_shape(struct queue *queue, uint32_t id)
{
	struct shape *shape = queue->shapes[id];

	if (--shape->users)
		return;
	map_remove(&queue->shape_of_key, hash_word(shape->key.bytes));
	shape_free(shape);
	queue->shapes[id] = NULL;
	mem_grow((void **)&queue->free_shapes, &queue->free_shapes_cap, queue->n_free_shapes, sizeof *queue->free_shapes);
	queue->free_shapes[queue->n_free_shapes++] = id;
}

/* ---- Classes ---- */

static struct job *job_in_class(const struct tree_node *node)
{
	return tree_entry(node, struct job, in_class);
}

static struct job_class *class_in_queue(const struct tree_node *node)
{
	return tree_entry(node, struct job_class, in_queue);
}

static int compare_jobs(const struct tree_node *a, const struct tree_node *b)
{
	uint32_t x = job_in_class(a)->id, y = job_in_class(b)->id;

	return x < y ? -1 : x > y;
}

static uint32_t class_part(const struct tree_node *node)
{
	return node ? job_in_class(node)->class_part : 0;
}

static void update_part(struct tree_node *node)
{
	us_t least = job_in_class(node)->limit_us;

	if (node->left && job_in_class(node->left)->limit_least_us < least)
		least = job_in_class(node->left)->limit_least_us;
	if (node->right && job_in_class(node->right)->limit_least_us < least)
		least = job_in_class(node->right)->limit_least_us;
	job_in_class(node)->limit_least_us = least;
	job_in_class(node)->class_part = class_part(node->left) + 1 + class_part(node->right);
}

static int compare_classes(const struct tree_node *a, const struct tree_node *b)
{
	const struct job_class *x = class_in_queue(a), *y = class_in_queue(b);

	if (x->priority != y->priority)
		return x->priority > y->priority ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

static uint64_t class_key(uint32_t shape, uint32_t project, uint32_t priority)
{
	assert(project < 1u << 24 && priority < 1u << 10);
	return (uint64_t)shape << 34 | (uint64_t)project << 10 | priority;
}

/* The number of a job's class, made where it is the first of it that waits. */
static uint32_t class_of(struct queue *queue, const struct job *job)
{
	uint64_t key = class_key(job->shape, job->project, job->priority);
	uint32_t id = map_get(&queue->class_of, key, UINT32_MAX);
	struct job_class *class;

	if (id != UINT32_MAX)
		return id;
	class = mem_new(1, sizeof *class);
	*class = (struct job_class){.shape = job->shape, .project = job->project, .priority = job->priority};
	class->jobs = (struct tree){.compare = compare_jobs, .update = update_part};
	if (queue->n_free_classes) {
		id = queue->free_classes[--queue->n_free_classes];
	} else {
		mem_grow((void **)&queue->classes, &queue->classes_cap, queue->n_classes, sizeof *queue->classes);
		id = queue->n_classes++;
	}
	queue->classes[id] = class;
	map_set(&queue->class_of, key, id);
	return id;
}

static void drop_class(struct queue *queue, uint32_t id)
{
	struct job_class *class = queue->classes[id];

	map_remove(&queue->class_of, class_key(class->shape, class->project, class->priority));
	free(class);
	queue->classes[id] = NULL;
	mem_grow((void **)&queue->free_classes, &queue->free_classes_cap, queue->n_free_classes, sizeof *queue->free_classes);
	queue->free_classes[queue->n_free_classes++] = id;
}

/* Moves a class to where its first job now puts it. */
static void reorder(struct queue *queue, struct job_class *class)
{
	struct tree_node *head = tree_first(&class->jobs);
	uint32_t first = head ? job_in_class(head)->id : 0;

	if (first == class->first)
		return;
	if (class->first)
		tree_remove(&queue->order, &class->in_queue);
	class->first = first;
	queue->order.compare = compare_classes;
	if (first)
		tree_insert(&queue->order, &class->in_queue, (uint64_t) class->shape << 32 | class->project);
}

void queue_add(struct queue *queue, struct job *job)
{
	struct job_class *class;

	job->queue_class = class_of(queue, job) + 1;
	class = queue->classes[job->queue_class - 1];
	tree_insert(&class->jobs, &job->in_class, job->id);
	class->passed_over = 0;
	queue->waiting++;
	reorder(queue, class);
}

void queue_remove(struct queue *queue, struct job *job)
{
	uint32_t id = job->queue_class - 1;
	struct job_class *class = queue->classes[id];

	tree_remove(&class->jobs, &job->in_class);
	job->queue_class = 0;
	queue->waiting--;
	reorder(queue, class);
	if (class->jobs.count == 0)
		drop_class(queue, id);
}

bool queue_has(const struct queue *queue, const struct job *job)
{
	(void)queue;
	return job->queue_class != 0;
}

struct job_class *queue_first(const struct queue *queue)
{
	struct tree_node *node = tree_first(&queue->order);

	return node ? class_in_queue(node) : NULL;
}

struct job_class *queue_next(const struct job_class *class)
{
	struct tree_node *node = tree_next(&class->in_queue);

	return node ? class_in_queue(node) : NULL;
}

struct job *class_first(const struct job_class *class)
{
	return job_in_class(tree_first(&class->jobs));
}

struct job *class_first_within(const struct job_class *class, us_t limit_us)
{
	struct tree_node *node = class->jobs.root;

	if (!node || job_in_class(node)->limit_least_us > limit_us)
		return NULL;
	for (;;) {
		if (node->left && job_in_class(node->left)->limit_least_us <= limit_us)
			node = node->left;
		else if (job_in_class(node)->limit_us <= limit_us)
			return job_in_class(node);
		else
			node = node->right;
	}
}

/* Jobs of a class that came before a number. */
static uint32_t class_ahead(const struct job_class *class, uint32_t id)
{
	uint32_t ahead = 0;

	for (const struct tree_node *node = class->jobs.root; node;) {
		if (job_in_class(node)->id < id) {
			ahead += class_part(node->left) + 1;
			node = node->right;
		} else {
			node = node->left;
		}
	}
	return ahead;
}

uint32_t queue_ahead(const struct queue *queue, const struct job *job)
{
	uint32_t ahead = 0;

	for (const struct job_class *class = queue_first(queue); class; class = queue_next(class)) {
		if (class->priority < job->priority)
			break;
		ahead += class->priority > job->priority ? class->jobs.count : class_ahead(class, job->id);
	}
	return ahead;
}

void queue_done(struct queue *queue)
{
	for (uint32_t i = 0; i < queue->n_shapes; i++)
		shape_free(queue->shapes[i]);
	free(queue->free_shapes);
	free(queue->free_classes);
	for (uint32_t i = 0; i < queue->n_classes; i++)
		free(queue->classes[i]);
	free(queue->shapes);
	free(queue->classes);
	map_done(&queue->shape_of_key);
	map_done(&queue->class_of);
	*queue = (struct queue){0};
}

void queue_check(const struct queue *queue)
{
	uint32_t waiting = 0;

	for (const struct job_class *class = queue_first(queue); class; class = queue_next(class)) {
		assert(class->jobs.count > 0);
		assert(class_first(class)->id == class->first);
		assert(class_part(class->jobs.root) == class->jobs.count);
		waiting += class->jobs.count;
	}
	assert(waiting == queue->waiting);
}
