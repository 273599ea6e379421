/* SPDX-License-Identifier: Apache-2.0
 * queue.c: classes, lanes, buckets, and their order; see queue.h. Shapes are in shape.c.
 *
 * Invariants: a class in which a job waits lies in exactly one lane, a lane in one bucket, but for classes that no pool could
 * hold; none of them is empty. A lane's tree keeps, for each part, the least stamp at which one of its classes was passed over
 * and the smallest gang, so that the first class worth a look is found by one descent. */
#include "core/queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- Jobs of a class ---- */

static struct job *job_in_class(const struct tree_node *node)
{
	return tree_entry(node, struct job, in_class);
}

static struct job_class *class_in_lane(const struct tree_node *node)
{
	return tree_entry(node, struct job_class, in_lane);
}

static int compare_jobs(const struct tree_node *a, const struct tree_node *b)
{
	const struct job *x = job_in_class(a), *y = job_in_class(b);

	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static uint32_t class_part(const struct tree_node *node)
{
	return node ? job_in_class(node)->class_part : 0;
}

static bool update_part(struct tree_node *node)
{
	struct job *job = job_in_class(node);
	uint32_t n = class_part(node->left) + 1 + class_part(node->right);
	us_t stay_us = job->stay_us, limit_us = job->limit_us;
	bool changed;

	for (int i = 0; i < 2; i++) {
		const struct tree_node *child = i ? node->right : node->left;

		if (child && job_in_class(child)->stay_least_us < stay_us)
			stay_us = job_in_class(child)->stay_least_us;
		if (child && job_in_class(child)->limit_least_us < limit_us)
			limit_us = job_in_class(child)->limit_least_us;
	}
	changed = job->stay_least_us != stay_us || job->limit_least_us != limit_us || job->class_part != n;
	job->stay_least_us = stay_us;
	job->limit_least_us = limit_us;
	job->class_part = n;
	return changed;
}

struct job *class_first(const struct job_class *class)
{
	return class->head;
}

struct job *class_next(const struct job *job)
{
	struct tree_node *node = tree_next(&job->in_class);

	return node ? job_in_class(node) : NULL;
}

static struct job *find_within(struct tree_node *node, us_t stay_us, us_t limit_us)
{
	struct job *job, *found;

	if (!node || job_in_class(node)->stay_least_us > stay_us || job_in_class(node)->limit_least_us > limit_us)
		return NULL;
	job = job_in_class(node);
	found = find_within(node->left, stay_us, limit_us);
	if (found)
		return found;
	return job->stay_us <= stay_us && job->limit_us <= limit_us ? job : find_within(node->right, stay_us, limit_us);
}

struct job *class_first_within(const struct job_class *class, us_t stay_us, us_t limit_us)
{
	return find_within(class->jobs.root, stay_us, limit_us);
}

/* ---- Classes of a lane ---- */

bool class_before(const struct job_class *a, const struct job_class *b)
{
	return a->rank != b->rank ? a->rank < b->rank : a->first < b->first;
}

static int compare_classes(const struct tree_node *a, const struct tree_node *b)
{
	const struct job_class *x = class_in_lane(a), *y = class_in_lane(b);

	return class_before(x, y) ? -1 : class_before(y, x);
}

static bool update_class(struct tree_node *node)
{
	struct job_class *class = class_in_lane(node);
	uint64_t passed = class->passed_over;
	uint32_t nodes = class->nodes;
	us_t stay_us = class->stay_us;
	bool changed;

	for (int i = 0; i < 2; i++) {
		const struct tree_node *child = i ? node->right : node->left;

		if (!child)
			continue;
		if (class_in_lane(child)->passed_least < passed)
			passed = class_in_lane(child)->passed_least;
		if (class_in_lane(child)->nodes_least < nodes)
			nodes = class_in_lane(child)->nodes_least;
		if (class_in_lane(child)->stay_least_us < stay_us)
			stay_us = class_in_lane(child)->stay_least_us;
	}
	changed = passed != class->passed_least || nodes != class->nodes_least || stay_us != class->stay_least_us;
	class->passed_least = passed;
	class->nodes_least = nodes;
	class->stay_least_us = stay_us;
	return changed;
}

static bool is_worth(const struct worth *worth, uint32_t nodes, us_t stay_us)
{
	return nodes <= worth->nodes || (nodes <= worth->nodes_within && stay_us <= worth->stay_us);
}

static struct job_class *find_open(const struct tree_node *node, uint64_t stamp, const struct worth *worth)
{
	struct job_class *class, *found;

	if (!node)
		return NULL;
	class = class_in_lane(node);
	if (class->passed_least > stamp || !is_worth(worth, class->nodes_least, class->stay_least_us))
		return NULL;
	found = find_open(node->left, stamp, worth);
	if (found)
		return found;
	if (class->passed_over <= stamp && is_worth(worth, class->nodes, class->stay_us))
		return class;
	return find_open(node->right, stamp, worth);
}

struct job_class *lane_open(const struct lane *lane, uint64_t stamp, const struct worth *worth)
{
	return find_open(lane->classes.root, stamp, worth);
}

void class_pass_over(struct queue *queue, struct job_class *class, uint64_t stamp)
{
	struct lane *lane = queue->lanes[class->lane];

	class->passed_over = stamp + 1;
	tree_updated(&lane->classes, &class->in_lane);
	queue->buckets[lane->bucket]->open_at = 0;
}

/* ---- Buckets ---- */

static uint64_t bucket_key(uint32_t priority, uint32_t project)
{
	return (uint64_t)priority << 32 | project;
}

static uint32_t bucket_of(struct queue *queue, uint32_t priority, uint32_t project)
{
	uint32_t id = map_get(&queue->bucket_of, bucket_key(priority, project), UINT32_MAX);

	if (id != UINT32_MAX)
		return id;
	id = spares_take(&queue->spare_buckets, (void **)&queue->buckets, &queue->buckets_cap, &queue->n_buckets,
	                 sizeof *queue->buckets);
	queue->buckets[id] = slab_new(&queue->bucket_memory, sizeof *queue->buckets[id]);
	*queue->buckets[id] = (struct bucket){.priority = priority, .project = project};
	map_set(&queue->bucket_of, bucket_key(priority, project), id);
	queue->sorted = false;
	return id;
}

static void bucket_changed(struct queue *queue, uint32_t id)
{
	queue->buckets[id]->first = NULL;
	queue->buckets[id]->open_at = 0;
	queue->changes++;
}

/* Whether bucket a goes before b; below 0, 0 where they stand equal, or above. */
static int compare_buckets(const struct bucket *a, const struct bucket *b)
{
	if (a->priority != b->priority)
		return a->priority > b->priority ? -1 : 1;
	return a->share < b->share ? -1 : a->share > b->share;
}

/* Few buckets change their places from one instant to the next, so insertion is about linear. */
static void sort_order(struct queue *queue)
{
	for (uint32_t i = 1; i < queue->n_order; i++) {
		uint32_t id = queue->order[i], at = i;

		for (; at > 0; at--) {
			int c = compare_buckets(queue->buckets[id], queue->buckets[queue->order[at - 1]]);

			if (c > 0 || (c == 0 && id > queue->order[at - 1]))
				break;
			queue->order[at] = queue->order[at - 1];
		}
		queue->order[at] = id;
	}
}

static bool stand_equal(const struct queue *queue, uint32_t place, uint32_t next)
{
	return compare_buckets(queue->buckets[queue->order[place]], queue->buckets[queue->order[next]]) == 0;
}

static void note_equals(struct queue *queue)
{
	for (uint32_t i = queue->n_order; i-- > 0;)
		queue->equal_to[i] = i + 1 < queue->n_order && stand_equal(queue, i, i + 1) ? queue->equal_to[i + 1] : i + 1;
}

/* Who is left stands as before. */
static void leave_order(struct queue *queue, uint32_t id)
{
	uint32_t place = 0;

	while (queue->order[place] != id)
		place++;
	queue->n_order--;
	memmove(&queue->order[place], &queue->order[place + 1], (queue->n_order - place) * sizeof *queue->order);
	note_equals(queue);
}

static void drop_bucket(struct queue *queue, uint32_t id)
{
	struct bucket *bucket = queue->buckets[id];

	if (queue->sorted)
		leave_order(queue, id);
	map_remove(&queue->bucket_of, bucket_key(bucket->priority, bucket->project));
	free(bucket->lanes);
	slab_free(&queue->bucket_memory, bucket);
	queue->buckets[id] = NULL;
	spares_give(&queue->spare_buckets, id);
}

static void list_buckets(struct queue *queue)
{
	queue->n_order = 0;
	for (uint32_t i = 0; i < queue->n_buckets; i++)
		if (queue->buckets[i]) {
			if (queue->n_order == queue->order_cap) {
				mem_grow((void **)&queue->order, &queue->order_cap, queue->n_order, sizeof *queue->order);
				queue->equal_to = mem_resize(queue->equal_to, queue->order_cap, sizeof *queue->equal_to);
			}
			queue->order[queue->n_order++] = i;
		}
}

void queue_sort(struct queue *queue, us_t now_us)
{
	if (!queue->sorted)
		list_buckets(queue);
	sort_order(queue);
	note_equals(queue);
	queue->sorted = true;
	queue->sorted_us = now_us;
}

struct job_class *bucket_first(const struct queue *queue, struct bucket *bucket)
{
	if (bucket->first)
		return bucket->first;
	for (uint32_t i = 0; i < bucket->n_lanes; i++) {
		struct job_class *class = queue->lanes[bucket->lanes[i].lane]->first;

		if (!bucket->first || class_before(class, bucket->first))
			bucket->first = class;
	}
	return bucket->first;
}

/* The first class of a lane that goes after another one, or NULL. */
static struct job_class *lane_after(const struct lane *lane, const struct job_class *after)
{
	struct job_class *found = NULL;

	for (struct tree_node *node = lane->classes.root; node;) {
		if (class_before(after, class_in_lane(node))) {
			found = class_in_lane(node);
			node = node->left;
		} else {
			node = node->right;
		}
	}
	return found;
}

static struct job_class *bucket_after(const struct queue *queue, const struct bucket *bucket, const struct job_class *after)
{
	struct job_class *found = NULL;

	for (uint32_t i = 0; i < bucket->n_lanes; i++) {
		struct job_class *class = lane_after(queue->lanes[bucket->lanes[i].lane], after);

		if (class && (!found || class_before(class, found)))
			found = class;
	}
	return found;
}

static bool begin_group(struct queue_walk *walk)
{
	const struct queue *queue = walk->queue;

	walk->from = walk->to;
	if (walk->from == queue->n_order)
		return false;
	walk->to = queue->equal_to[walk->from];
	walk->which = walk->to - walk->from;
	walk->at = arena_new(walk->arena, walk->to - walk->from, sizeof(struct job_class *));
	for (uint32_t i = walk->from; i < walk->to; i++)
		walk->at[i - walk->from] = bucket_first(queue, queue->buckets[queue->order[i]]);
	return true;
}

struct job_class *queue_walk_next(struct queue_walk *walk)
{
	struct job_class *best;

	if (walk->which < walk->to - walk->from)
		walk->at[walk->which] = bucket_after(walk->queue, walk->queue->buckets[walk->queue->order[walk->from + walk->which]],
		                                     walk->at[walk->which]);
	do {
		best = NULL;
		for (uint32_t i = 0; i < walk->to - walk->from; i++)
			if (walk->at[i] && (!best || class_before(walk->at[i], best))) {
				best = walk->at[i];
				walk->which = i;
			}
	} while (!best && begin_group(walk));
	return best;
}

/* ---- Sites and lanes ---- */

static uint64_t lane_key(uint64_t place, uint32_t bucket)
{
	return place ^ (bucket + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

/* Where a shape's tasks could lie, each shelf once, with the fewest cards that one of its requests wants there. */
static void list_places(struct site *site, const struct shape *shape)
{
	site->places = mem_new(shape->n_candidates, sizeof *site->places);
	for (uint32_t i = 0; i < shape->n_candidates; i++) {
		struct place place = {shape->candidates[i].shelf,
		                      shape->group.requests[shape->candidates[i].request].cards_milli / CARD_MILLI};
		uint32_t k = 0;

		while (k < site->n_places && site->places[k].shelf != place.shelf)
			k++;
		if (k == site->n_places)
			site->places[site->n_places++] = place;
		else if (place.cards < site->places[k].cards)
			site->places[k].cards = place.cards;
	}
}

/* The number of a shape's site, for one more lane. */
static uint32_t site_of(struct queue *queue, const struct shape *shape)
{
	uint32_t id = map_get(&queue->site_of, shape->place, UINT32_MAX);

	if (id == UINT32_MAX) {
		id = spares_take(&queue->spare_sites, (void **)&queue->sites, &queue->sites_cap, &queue->n_sites, sizeof *queue->sites);
		queue->sites[id] = slab_new(&queue->site_memory, sizeof *queue->sites[id]);
		queue->sites[id]->key = shape->place;
		list_places(queue->sites[id], shape);
		map_set(&queue->site_of, shape->place, id);
	}
	queue->sites[id]->users++;
	return id;
}

static void leave_site(struct queue *queue, uint32_t id)
{
	if (--queue->sites[id]->users)
		return;
	map_remove(&queue->site_of, queue->sites[id]->key);
	free(queue->sites[id]->places);
	slab_free(&queue->site_memory, queue->sites[id]);
	queue->sites[id] = NULL;
	spares_give(&queue->spare_sites, id);
}

static uint32_t lane_of(struct queue *queue, const struct job_class *class)
{
	const struct shape *shape = queue->shapes[class->shape];
	uint32_t bucket = bucket_of(queue, class->priority, queue->by_share ? class->project : PROJECT_ALL);
	uint64_t key = lane_key(shape->place, bucket);
	uint32_t id = map_get(&queue->lane_of, key, UINT32_MAX);
	struct lane *lane;
	struct bucket *b;

	if (id != UINT32_MAX)
		return id;
	id = spares_take(&queue->spare_lanes, (void **)&queue->lanes, &queue->lanes_cap, &queue->n_lanes, sizeof *queue->lanes);
	lane = queue->lanes[id] = slab_new(&queue->lane_memory, sizeof *lane);
	*lane = (struct lane){.bucket = bucket, .site = site_of(queue, shape), .key = key};
	lane->classes = (struct tree){.compare = compare_classes, .update = update_class};
	map_set(&queue->lane_of, key, id);
	b = queue->buckets[bucket];
	mem_grow((void **)&b->lanes, &b->lanes_cap, b->n_lanes, sizeof *b->lanes);
	b->lanes[b->n_lanes].lane = id;
	b->lanes[b->n_lanes++].site = lane->site;
	return id;
}

static void drop_lane(struct queue *queue, uint32_t id)
{
	struct lane *lane = queue->lanes[id];
	struct bucket *bucket = queue->buckets[lane->bucket];
	uint32_t i = 0;

	while (bucket->lanes[i].lane != id)
		i++;
	bucket->lanes[i] = bucket->lanes[--bucket->n_lanes];
	map_remove(&queue->lane_of, lane->key);
	leave_site(queue, lane->site);
	slab_free(&queue->lane_memory, lane);
	queue->lanes[id] = NULL;
	spares_give(&queue->spare_lanes, id);
}

static void lane_insert(struct lane *lane, struct job_class *class)
{
	uint64_t id = (uint64_t) class->shape << 32 | class->project;

	if (!lane->last || class_before(lane->last, class)) { /* who comes now mostly comes last */
		tree_append(&lane->classes, &class->in_lane, id, lane->last ? &lane->last->in_lane : NULL);
		lane->last = class;
	} else {
		tree_insert(&lane->classes, &class->in_lane, id);
	}
	if (!lane->first || class_before(class, lane->first))
		lane->first = class;
}

static void lane_remove(struct lane *lane, struct job_class *class)
{
	if (lane->first == class) {
		struct tree_node *next = tree_next(&class->in_lane);

		lane->first = next ? class_in_lane(next) : NULL;
	}
	if (lane->last == class) {
		struct tree_node *previous = tree_previous(&class->in_lane);

		lane->last = previous ? class_in_lane(previous) : NULL;
	}
	tree_remove(&lane->classes, &class->in_lane);
}

static void enter_lane(struct queue *queue, struct job_class *class)
{
	struct lane *lane;

	class->lane = lane_of(queue, class);
	lane = queue->lanes[class->lane];
	class->passed_over = 0;
	class->stay_us = job_in_class(class->jobs.root)->stay_least_us;
	lane_insert(lane, class);
	lane->exhausted = 0;
}

static void leave_lane(struct queue *queue, struct job_class *class)
{
	struct lane *lane = queue->lanes[class->lane];

	lane_remove(lane, class);
	if (!lane->classes.count)
		drop_lane(queue, class->lane);
}

/* ---- Classes ---- */

static uint64_t class_key(uint32_t shape, uint32_t project, uint32_t priority)
{
	assert(project < 1u << 24 && priority < 1u << 10);
	return (uint64_t)shape << 34 | (uint64_t)project << 10 | priority;
}

const struct job_class *queue_find_class(const struct queue *queue, uint32_t shape, uint32_t project, uint32_t priority)
{
	uint32_t id = shape == UINT32_MAX ? UINT32_MAX : map_get(&queue->class_of, class_key(shape, project, priority), UINT32_MAX);

	return id == UINT32_MAX ? NULL : queue->classes[id];
}

/* The number of a job's class, made where it is the first of it that waits. */
static uint32_t class_of(struct queue *queue, const struct job *job)
{
	uint64_t key = class_key(job->shape, job->project, job->priority);
	uint32_t id = map_get(&queue->class_of, key, UINT32_MAX);
	struct job_class *class;

	if (id != UINT32_MAX)
		return id;
	class = slab_new(&queue->class_memory, sizeof *class);
	*class = (struct job_class){.shape = job->shape, .project = job->project, .priority = job->priority};
	class->nodes = queue->shapes[job->shape]->group.nodes;
	class->jobs = (struct tree){.compare = compare_jobs, .update = update_part};
	id = spares_take(&queue->spare_classes, (void **)&queue->classes, &queue->classes_cap, &queue->n_classes,
	                 sizeof *queue->classes);
	queue->classes[id] = class;
	map_set(&queue->class_of, key, id);
	return id;
}

static void drop_class(struct queue *queue, uint32_t id)
{
	struct job_class *class = queue->classes[id];

	map_remove(&queue->class_of, class_key(class->shape, class->project, class->priority));
	slab_free(&queue->class_memory, class);
	queue->classes[id] = NULL;
	spares_give(&queue->spare_classes, id);
}

/* Whether a class in a lane would stand where it stands with another first job. */
static bool stays_between(const struct job_class *class, const struct job *first)
{
	const struct job_class like = {.rank = first->rank, .first = first->id};
	const struct tree_node *before = tree_previous(&class->in_lane), *after = tree_next(&class->in_lane);

	return (!before || class_before(class_in_lane(before), &like)) && (!after || class_before(&like, class_in_lane(after)));
}

/* Sets what a class's lane is told of it: the stamp at which it was passed over, and the least stay of its jobs. */
static void tell_lane(struct queue *queue, struct job_class *class, uint64_t passed_over)
{
	us_t stay_us = job_in_class(class->jobs.root)->stay_least_us;

	if (class->passed_over == passed_over && class->stay_us == stay_us)
		return;
	class->passed_over = passed_over;
	class->stay_us = stay_us;
	tree_updated(&queue->lanes[class->lane]->classes, &class->in_lane);
}

/* Moves a class to where its first job now puts it. was_in: it lies in a lane. */
static void place_class(struct queue *queue, struct job_class *class, bool was_in)
{
	const struct job *first = class->head;
	struct lane *lane = was_in ? queue->lanes[class->lane] : NULL;
	bool stays;

	if (!first) {
		leave_lane(queue, class);
		return;
	}
	if (was_in && class->first == first->id && class->rank == first->rank)
		return;
	stays = was_in && stays_between(class, first);
	if (was_in && !stays)
		lane_remove(lane, class);
	class->first = first->id;
	class->rank = first->rank;
	if (!was_in)
		enter_lane(queue, class);
	else if (!stays)
		lane_insert(lane, class);
}

void queue_add(struct queue *queue, struct job *job)
{
	struct job_class *class;
	bool was_in;

	job->queue_class = class_of(queue, job) + 1;
	class = queue->classes[job->queue_class - 1];
	was_in = class->jobs.count > 0;
	tree_insert(&class->jobs, &job->in_class, job->id);
	if (!class->head || compare_jobs(&job->in_class, &class->head->in_class) < 0) {
		class->head = job;
		class->unhelped = class->unplanned = 0;
	}
	queue->waiting++;
	if (queue->shapes[class->shape]->never) {
		queue->never++;
		return;
	}
	place_class(queue, class, was_in);
	tell_lane(queue, class, 0);
	queue->lanes[class->lane]->exhausted = 0;
	queue->buckets[queue->lanes[class->lane]->bucket]->waiting++;
	bucket_changed(queue, queue->lanes[class->lane]->bucket);
}

void queue_remove(struct queue *queue, struct job *job)
{
	uint32_t id = job->queue_class - 1, bucket;
	struct job_class *class = queue->classes[id];

	if (class->head == job) {
		class->head = class_next(job);
		class->unplanned = 0; /* the next one's limit may be another */
	}
	tree_remove(&class->jobs, &job->in_class);
	job->queue_class = 0;
	queue->waiting--;
	if (queue->shapes[class->shape]->never) {
		queue->never--;
	} else {
		bucket = queue->lanes[class->lane]->bucket;
		place_class(queue, class, true);
		if (class->head)
			tell_lane(queue, class, class->passed_over);
		bucket_changed(queue, bucket);
		if (!--queue->buckets[bucket]->waiting)
			drop_bucket(queue, bucket);
	}
	if (class->jobs.count == 0)
		drop_class(queue, id);
}

bool queue_has(const struct queue *queue, const struct job *job)
{
	(void)queue;
	return job->queue_class != 0;
}

/* ---- Counting ---- */

/* Jobs of a class that stand before one. */
static uint32_t class_ahead(const struct job_class *class, const struct job *job)
{
	uint32_t ahead = 0;

	for (const struct tree_node *node = class->jobs.root; node;) {
		const struct job *other = job_in_class(node);

		if (other->rank < job->rank || (other->rank == job->rank && other->id < job->id)) {
			ahead += class_part(node->left) + 1;
			node = node->right;
		} else {
			node = node->left;
		}
	}
	return ahead;
}

static uint32_t bucket_ahead(const struct queue *queue, const struct bucket *bucket, const struct job *job)
{
	uint32_t ahead = 0;

	for (uint32_t i = 0; i < bucket->n_lanes; i++)
		for (const struct tree_node *node = tree_first(&queue->lanes[bucket->lanes[i].lane]->classes); node;
		     node = tree_next(node))
			ahead += class_ahead(class_in_lane(node), job);
	return ahead;
}

uint32_t queue_ahead(const struct queue *queue, const struct job *job)
{
	const struct job_class *class = queue->classes[job->queue_class - 1];
	const struct bucket *own;
	uint32_t ahead = 0;

	if (queue->shapes[class->shape]->never)
		return 0;
	own = queue->buckets[queue->lanes[class->lane]->bucket];
	for (uint32_t i = 0; i < queue->n_order; i++) {
		const struct bucket *bucket = queue->buckets[queue->order[i]];
		int c = bucket ? compare_buckets(bucket, own) : 1;

		if (c < 0)
			ahead += bucket->waiting;
		else if (c == 0)
			ahead += bucket_ahead(queue, bucket, job);
	}
	return ahead;
}

void queue_done(struct queue *queue)
{
	queue_free_shapes(queue);
	for (uint32_t i = 0; i < queue->n_sites; i++)
		if (queue->sites[i])
			free(queue->sites[i]->places);
	for (uint32_t i = 0; i < queue->n_buckets; i++)
		if (queue->buckets[i])
			free(queue->buckets[i]->lanes);
	slab_done(&queue->class_memory);
	slab_done(&queue->site_memory);
	slab_done(&queue->lane_memory);
	slab_done(&queue->bucket_memory);
	spares_done(&queue->spare_classes);
	spares_done(&queue->spare_sites);
	spares_done(&queue->spare_lanes);
	spares_done(&queue->spare_buckets);
	free(queue->classes);
	free(queue->sites);
	free(queue->lanes);
	free(queue->buckets);
	free(queue->order);
	free(queue->equal_to);
	map_done(&queue->class_of);
	map_done(&queue->site_of);
	map_done(&queue->lane_of);
	map_done(&queue->bucket_of);
	*queue = (struct queue){0};
}

/* What a class says of its part of a lane follows from itself and the two below. */
static void check_part(const struct tree_node *node)
{
	struct job_class again = *class_in_lane(node);

	update_class(&again.in_lane);
	assert(again.passed_least == class_in_lane(node)->passed_least);
	assert(again.nodes_least == class_in_lane(node)->nodes_least);
	assert(again.stay_least_us == class_in_lane(node)->stay_least_us);
}

static uint32_t check_lane(const struct queue *queue, uint32_t id)
{
	uint32_t waiting = 0;

	assert(queue->lanes[id]->first == class_in_lane(tree_first(&queue->lanes[id]->classes)));
	assert(queue->lanes[id]->last == class_in_lane(tree_last(&queue->lanes[id]->classes)));
	assert(queue->sites[queue->lanes[id]->site]->users > 0);
	for (const struct tree_node *node = tree_first(&queue->lanes[id]->classes); node; node = tree_next(node)) {
		const struct job_class *class = class_in_lane(node);

		assert(class->lane == id && class->jobs.count > 0);
		assert(class->head == job_in_class(tree_first(&class->jobs)));
		assert(class_first(class)->id == class->first && class_first(class)->rank == class->rank);
		assert(class_part(class->jobs.root) == class->jobs.count);
		assert(class->stay_us == job_in_class(class->jobs.root)->stay_least_us);
		check_part(node);
		assert(!queue->shapes[class->shape]->never);
		waiting += class->jobs.count;
	}
	assert(waiting);
	return waiting;
}

static void check_order(const struct queue *queue)
{
	for (uint32_t i = 0; i < queue->n_order; i++) {
		uint32_t to = queue->equal_to[i];

		assert(to > i && to <= queue->n_order);
		assert(stand_equal(queue, i, to - 1));
		assert(to == queue->n_order || !stand_equal(queue, i, to));
	}
}

void queue_check(const struct queue *queue)
{
	uint32_t waiting = queue->never;

	for (uint32_t i = 0; i < queue->n_buckets; i++) {
		uint32_t in_bucket = 0;

		for (uint32_t k = 0; queue->buckets[i] && k < queue->buckets[i]->n_lanes; k++)
			in_bucket += check_lane(queue, queue->buckets[i]->lanes[k].lane);
		assert(!queue->buckets[i] || in_bucket == queue->buckets[i]->waiting);
		waiting += in_bucket;
	}
	assert(waiting == queue->waiting);
	if (queue->sorted)
		check_order(queue);
}
