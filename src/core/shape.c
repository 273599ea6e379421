/* SPDX-License-Identifier: Apache-2.0
 * shape.c: what jobs ask for, each thing that is asked for once; see queue.h.
 *
 * A shape is found by a mix of its fields; shapes of one mix are a list, told apart by comparing. Invariant: a shape that has
 * users is in the list of its mix, exactly once. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "core/queue.h"

struct hash shape_key(const struct group *group)
{
	struct buf buf = {0};

	group_encode(group, &buf);
	return hash_of_buf(&buf);
}

static bool same_request(const struct request *a, const struct request *b)
{
	return a->kind == b->kind && a->cards_milli == b->cards_milli && a->cpus_milli == b->cpus_milli &&
	       a->memory_mib == b->memory_mib && a->centre == b->centre && a->speed_milli == b->speed_milli && a->image == b->image;
}

static bool same_group(const struct group *a, const struct group *b)
{
	if (a->nodes != b->nodes || a->n_requests != b->n_requests || a->ordered != b->ordered || a->hard != b->hard ||
	    a->highest != b->highest)
		return false;
	for (uint32_t i = 0; i < a->n_requests; i++)
		if (!same_request(&a->requests[i], &b->requests[i]))
			return false;
	return true;
}

/* Of what mostly differs; shapes of one mix are told apart by same_group. Far cheaper than the key, which is for who is new. */
static uint64_t mix_of(const struct group *group)
{
	uint64_t mix = (uint64_t)group->nodes << 32 | group->n_requests << 4 | (uint64_t)group->highest << 2 | group->hard;

	for (uint32_t i = 0; i < group->n_requests; i++) {
		const struct request *q = &group->requests[i];

		mix = rng_mix(mix ^ ((uint64_t)q->kind << 32 | q->cards_milli));
		mix = rng_mix(mix ^ ((uint64_t)q->cpus_milli << 32 | q->memory_mib));
		mix = rng_mix(mix ^ ((uint64_t)q->centre << 32 | q->speed_milli));
	}
	return mix;
}

/* The shape, from the first of this mix on. */
static uint32_t find_alike(const struct queue *queue, uint64_t mix, const struct group *group)
{
	uint32_t id = map_get(&queue->shape_of_mix, mix, UINT32_MAX);

	while (id != UINT32_MAX && !same_group(&queue->shapes[id]->group, group))
		id = queue->shapes[id]->alike;
	return id;
}

uint32_t queue_find_shape(const struct queue *queue, const struct group *group)
{
	return find_alike(queue, mix_of(group), group);
}

uint32_t queue_shape(struct queue *queue, const struct group *group, bool *ret_new)
{
	uint64_t mix = mix_of(group);
	uint32_t id = find_alike(queue, mix, group);
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
	shape->key = shape_key(group);
	id = spares_take(&queue->spare_shapes, (void **)&queue->shapes, &queue->shapes_cap, &queue->n_shapes, sizeof *queue->shapes);
	queue->shapes[id] = shape;
	shape->mix = mix;
	shape->alike = map_get(&queue->shape_of_mix, mix, UINT32_MAX);
	map_set(&queue->shape_of_mix, mix, id);
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

/* Takes a shape out of those of its mix. */
static void unlink_alike(struct queue *queue, uint32_t id)
{
	const struct shape *shape = queue->shapes[id];
	uint32_t before = map_get(&queue->shape_of_mix, shape->mix, UINT32_MAX);

	if (before != id) {
		while (queue->shapes[before]->alike != id)
			before = queue->shapes[before]->alike;
		queue->shapes[before]->alike = shape->alike;
	} else if (shape->alike != UINT32_MAX) {
		map_set(&queue->shape_of_mix, shape->mix, shape->alike);
	} else {
		map_remove(&queue->shape_of_mix, shape->mix);
	}
}

void queue_leave_shape(struct queue *queue, uint32_t id)
{
	struct shape *shape = queue->shapes[id];

	if (--shape->users)
		return;
	unlink_alike(queue, id);
	shape_free(shape);
	queue->shapes[id] = NULL;
	spares_give(&queue->spare_shapes, id);
}

void queue_free_shapes(struct queue *queue)
{
	for (uint32_t i = 0; i < queue->n_shapes; i++)
		shape_free(queue->shapes[i]);
	spares_done(&queue->spare_shapes);
	free(queue->shapes);
	map_done(&queue->shape_of_mix);
}
