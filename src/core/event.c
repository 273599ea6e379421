/* SPDX-License-Identifier: Apache-2.0
 * event.c: facts as bytes, and their words; see event.h.
 *
 * An event is: type, version of the type, time since the event before, fields. Each type has one function that writes
 * its fields and one that reads them, side by side in a table. A later version of a type is read by what
 * `version` says; what was written once stays readable for ever. */
#include "core/event.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- Parts ---- */

static uint32_t read_u32(struct reader *r)
{
	return (uint32_t)read_uint_max(r, UINT32_MAX);
}

static us_t read_us(struct reader *r)
{
	return (us_t)read_uint_max(r, US_NEVER);
}

/* KIND_NONE, KIND_ANY and CENTRE_ANY are the largest numbers; shifted by two, what is common is a single byte. */
static void put_number(struct buf *buf, uint32_t number)
{
	buf_put_uint(buf, (uint32_t)(number + 2));
}

static uint32_t read_number(struct reader *r)
{
	return read_u32(r) - 2;
}

/* US_NEVER is common where no limit was given, and would take nine bytes: 0 stands for it. */
static void put_until(struct buf *buf, us_t until)
{
	buf_put_uint(buf, until == US_NEVER ? 0 : (uint64_t)until + 1);
}

static us_t read_until(struct reader *r)
{
	uint64_t value = read_uint_max(r, US_NEVER);

	return value == 0 ? US_NEVER : (us_t)(value - 1);
}

static bool task_continues(const struct task *first, const struct task *task, uint32_t n)
{
	return task->group == first->group && task->centre == first->centre && task->node == first->node + n &&
	       task->cards_milli == first->cards_milli && task->cards == first->cards;
}

/* Runs of neighbouring nodes with the same cards are one entry: a gang of 1,024 whole nodes takes some ten bytes. */
static void put_tasks(struct buf *buf, const struct task *tasks, uint32_t n)
{
	buf_put_uint(buf, n);
	for (uint32_t i = 0, run; i < n; i += run) {
		for (run = 1; i + run < n && task_continues(&tasks[i], &tasks[i + run], run);)
			run++;
		buf_put_uint(buf, run);
		buf_put_uint(buf, tasks[i].group);
		buf_put_uint(buf, tasks[i].centre);
		buf_put_uint(buf, tasks[i].node);
		buf_put_uint(buf, tasks[i].cards_milli);
		buf_put_uint(buf, tasks[i].cards);
	}
}

static struct task *read_tasks(struct reader *r, struct arena *arena, uint32_t *ret_n)
{
	uint32_t n = (uint32_t)read_uint_max(r, JOB_NODES_MAX);
	struct task *tasks = arena_new(arena, n, sizeof *tasks);

	for (uint32_t i = 0; i < n && !r->bad;) {
		uint32_t run = (uint32_t)read_uint_max(r, n - i);
		struct task first = {.group = read_u32(r), .centre = read_u32(r), .node = (uint32_t)read_uint_max(r, POOL_NODES_MAX)};

		first.cards_milli = read_u32(r);
		first.cards = read_uint(r);
		r->bad |= run == 0;
		for (uint32_t k = 0; k < run; k++) {
			tasks[i + k] = first;
			tasks[i + k].node += k;
		}
		i += run;
	}
	*ret_n = n;
	return tasks;
}

void plan_encode(const struct plan *plan, struct buf *buf)
{
	put_until(buf, plan->start_us);
	put_until(buf, plan->until_us);
	buf_put_uint(buf, plan->request);
	put_number(buf, plan->kind);
	put_tasks(buf, plan->tasks, plan->n_tasks);
	buf_put_uint(buf, plan->n_claims);
	for (uint32_t i = 0; i < plan->n_claims; i++) {
		buf_put_uint(buf, plan->claims[i].resource);
		buf_put_uint(buf, plan->claims[i].amount);
		put_until(buf, plan->claims[i].from_us);
		put_until(buf, plan->claims[i].until_us);
	}
}

void plan_decode(struct reader *r, struct arena *arena, struct plan *plan)
{
	plan->start_us = read_until(r);
	plan->until_us = read_until(r);
	plan->request = read_u32(r);
	plan->kind = read_number(r);
	plan->tasks = read_tasks(r, arena, &plan->n_tasks);
	plan->n_claims = read_count(r);
	plan->claims = arena_new(arena, plan->n_claims, sizeof *plan->claims);
	for (uint32_t i = 0; i < plan->n_claims; i++) {
		plan->claims[i].resource = read_u32(r);
		plan->claims[i].amount = read_uint(r);
		plan->claims[i].from_us = read_until(r);
		plan->claims[i].until_us = read_until(r);
	}
}

void plan_keep(struct plan *to, const struct plan *from)
{
	size_t claims = from->n_claims * sizeof *from->claims, tasks = from->n_tasks * sizeof *from->tasks;
	char *kept = mem_resize(NULL, claims + tasks, 1);

	_Static_assert(_Alignof(struct task) <= _Alignof(struct claim), "tasks may lie behind claims");
	if (claims)
		memcpy(kept, from->claims, claims);
	if (tasks)
		memcpy(kept + claims, from->tasks, tasks);
	free(to->claims);
	*to = *from;
	to->claims = (struct claim *)(void *)kept;
	to->tasks = (struct task *)(void *)(kept + claims);
}

void plan_drop(struct plan *plan)
{
	free(plan->claims);
	*plan = (struct plan){0};
}

void group_encode(const struct group *group, struct buf *buf)
{
	buf_put_uint(buf, group->nodes);
	buf_put_u8(buf, (uint8_t)(group->ordered | group->hard << 1));
	buf_put_uint(buf, group->highest);
	buf_put_uint(buf, group->n_requests);
	for (uint32_t i = 0; i < group->n_requests; i++) {
		const struct request *q = &group->requests[i];

		put_number(buf, q->kind);
		buf_put_uint(buf, q->cards_milli);
		buf_put_uint(buf, q->cpus_milli);
		buf_put_uint(buf, q->memory_mib);
		put_number(buf, q->centre);
		buf_put_uint(buf, q->speed_milli);
		buf_put_u8(buf, q->image);
	}
}

void group_decode(struct reader *r, struct arena *arena, struct group *group)
{
	uint8_t flags;

	group->nodes = (uint32_t)read_uint_max(r, JOB_NODES_MAX);
	flags = read_u8(r);
	group->ordered = flags & 1;
	group->hard = flags >> 1 & 1;
	group->highest = (enum tier)read_uint_max(r, TIER_COUNT - 1);
	group->n_requests = (uint32_t)read_uint_max(r, JOB_REQUESTS_MAX);
	group->requests = arena_new(arena, group->n_requests, sizeof *group->requests);
	for (uint32_t i = 0; i < group->n_requests; i++) {
		struct request *q = &group->requests[i];

		q->kind = read_number(r);
		q->cards_milli = (uint32_t)read_uint_max(r, CARDS_PER_NODE_MAX * CARD_MILLI);
		q->cpus_milli = read_u32(r);
		q->memory_mib = read_u32(r);
		q->centre = read_number(r);
		q->speed_milli = read_u32(r);
		q->image = (uint8_t)read_uint_max(r, 1);
	}
	r->bad |= group->nodes == 0 || group->n_requests == 0;
}

/* ---- One pair a type ---- */

static void put_pool(struct buf *buf, const struct event *e)
{
	pool_spec_encode(&e->pool, buf);
}

static void read_pool(struct reader *r, struct arena *arena, struct event *e)
{
	r->bad |= pool_spec_decode(r, arena, &e->pool) < 0;
}

static void put_config(struct buf *buf, const struct event *e)
{
	config_spec_encode(&e->config, buf);
}

static void read_config(struct reader *r, struct arena *arena, struct event *e)
{
	(void)arena;
	r->bad |= config_spec_decode(r, CONFIG_VERSION, &e->config) < 0;
}

static void read_config_1(struct reader *r, struct arena *arena, struct event *e)
{
	(void)arena;
	r->bad |= config_spec_decode(r, 1, &e->config) < 0;
}

static void put_submitted(struct buf *buf, const struct event *e)
{
	static const struct hash none;
	const struct submitted *s = &e->submitted;
	bool has_payload = memcmp(&s->payload, &none, sizeof none) != 0;

	buf_put_uint(buf, s->job);
	buf_put_str(buf, s->name);
	buf_put_str(buf, s->project);
	buf_put_str(buf, s->user);
	group_encode(&s->group, buf);
	buf_put_uint(buf, s->priority);
	put_until(buf, s->limit_us);
	buf_put_uint(buf, (uint64_t)s->begin_us);
	buf_put_uint(buf, s->n_dependencies);
	for (uint32_t i = 0; i < s->n_dependencies; i++) {
		buf_put_uint(buf, s->dependencies[i].job);
		buf_put_uint(buf, s->dependencies[i].when);
	}
	buf_put_uint(buf, s->n_array);
	for (uint32_t i = 0; i < s->n_array; i++) {
		buf_put_uint(buf, s->array[i].first);
		buf_put_uint(buf, s->array[i].last);
		buf_put_uint(buf, s->array[i].step);
	}
	buf_put_uint(buf, s->array_parallel_max);
	buf_put_uint(buf, s->max_restarts);
	buf_put_u8(buf, (uint8_t)(s->rerun_when_lost | has_payload << 1 | (s->idempotency != NULL) << 2));
	buf_put_uint(buf, (uint64_t)s->checkpoint_every_us);
	put_until(buf, s->preemptible_after_us);
	buf_put_str(buf, s->secrets);
	if (has_payload)
		buf_put(buf, s->payload.bytes, sizeof s->payload.bytes);
	if (s->idempotency)
		buf_put(buf, s->idempotency, IDEMPOTENCY_BYTES);
}

static void read_submitted(struct reader *r, struct arena *arena, struct event *e)
{
	struct submitted *s = &e->submitted;
	struct dependency_spec *dependencies;
	struct range *array;
	const void *payload;
	uint8_t flags;

	s->job = read_u32(r);
	s->name = read_str(r, arena);
	s->project = read_str(r, arena);
	s->user = read_str(r, arena);
	group_decode(r, arena, &s->group);
	s->priority = (uint32_t)read_uint_max(r, JOB_PRIORITY_MAX);
	s->limit_us = read_until(r);
	s->begin_us = read_us(r);
	s->n_dependencies = (uint32_t)read_uint_max(r, JOB_DEPENDENCIES_MAX);
	s->dependencies = dependencies = arena_new(arena, s->n_dependencies, sizeof *dependencies);
	for (uint32_t i = 0; i < s->n_dependencies; i++) {
		dependencies[i].job = read_u32(r);
		dependencies[i].when = (enum dependency_when)read_uint_max(r, AFTER_ANY);
	}
	s->n_array = (uint32_t)read_uint_max(r, JOB_RANGES_MAX);
	s->array = array = arena_new(arena, s->n_array, sizeof *array);
	for (uint32_t i = 0; i < s->n_array; i++) {
		array[i].first = read_u32(r);
		array[i].last = read_u32(r);
		array[i].step = read_u32(r);
	}
	s->array_parallel_max = read_u32(r);
	s->max_restarts = read_u32(r);
	flags = read_u8(r);
	s->rerun_when_lost = flags & 1;
	s->checkpoint_every_us = read_us(r);
	s->preemptible_after_us = read_until(r);
	s->secrets = read_str(r, arena);
	payload = flags & 2 ? read_bytes(r, HASH_BYTES) : NULL;
	if (payload)
		memcpy(s->payload.bytes, payload, HASH_BYTES);
	s->idempotency = flags & 4 ? read_bytes(r, IDEMPOTENCY_BYTES) : NULL;
}

static void put_eligible(struct buf *buf, const struct event *e)
{
	buf_put_uint(buf, e->eligible.job);
}

static void read_eligible(struct reader *r, struct arena *arena, struct event *e)
{
	(void)arena;
	e->eligible.job = read_u32(r);
}

static void put_placed(struct buf *buf, const struct event *e)
{
	buf_put_uint(buf, e->placed.job);
	buf_put_uint(buf, e->placed.attempt);
	buf_put_uint(buf, e->placed.array);
	if (e->placed.array)
		buf_put_uint(buf, e->placed.index);
	plan_encode(&e->placed.plan, buf);
}

static void read_placed(struct reader *r, struct arena *arena, struct event *e)
{
	e->placed.job = read_u32(r);
	e->placed.attempt = read_u32(r);
	e->placed.array = read_u32(r);
	if (e->placed.array)
		e->placed.index = read_u32(r);
	plan_decode(r, arena, &e->placed.plan);
}

static void put_attempt(struct buf *buf, const struct event *e)
{
	buf_put_uint(buf, e->attempt.job);
	buf_put_uint(buf, e->attempt.attempt);
	buf_put_uint(buf, e->attempt.state);
	buf_put_uint(buf, (uint64_t)(e->at_us - e->attempt.at_us));
	buf_put_str(buf, e->attempt.native_id);
}

static void read_attempt(struct reader *r, struct arena *arena, struct event *e)
{
	e->attempt.job = read_u32(r);
	e->attempt.attempt = read_u32(r);
	e->attempt.state = (enum attempt_state)read_uint_max(r, ATTEMPT_STATE_COUNT - 1);
	e->attempt.at_us = e->at_us - (us_t)read_uint_max(r, (uint64_t)e->at_us);
	e->attempt.native_id = read_str(r, arena);
}

static void put_bound(struct buf *buf, const struct event *e)
{
	buf_put_uint(buf, e->bound.job);
	buf_put_uint(buf, e->bound.attempt);
	put_tasks(buf, e->bound.tasks, e->bound.n_tasks);
}

static void read_bound(struct reader *r, struct arena *arena, struct event *e)
{
	e->bound.job = read_u32(r);
	e->bound.attempt = read_u32(r);
	e->bound.tasks = read_tasks(r, arena, &e->bound.n_tasks);
}

static void put_stopping(struct buf *buf, const struct event *e)
{
	buf_put_uint(buf, e->stopping.job);
	buf_put_uint(buf, e->stopping.attempt);
	buf_put_uint(buf, e->stopping.cause);
	buf_put_str(buf, e->stopping.who);
}

static void read_stopping(struct reader *r, struct arena *arena, struct event *e)
{
	e->stopping.job = read_u32(r);
	e->stopping.attempt = read_u32(r);
	e->stopping.cause = (enum cause)read_uint_max(r, CAUSE_COUNT - 1);
	e->stopping.who = read_str(r, arena);
}

static void put_ended(struct buf *buf, const struct event *e)
{
	const struct ended *x = &e->ended;

	buf_put_uint(buf, x->job);
	buf_put_uint(buf, x->attempt);
	buf_put_uint(buf, x->attempt_state);
	buf_put_uint(buf, x->cause);
	buf_put_int(buf, x->exit_code);
	buf_put_uint(buf, x->rank);
	buf_put_uint(buf, (uint64_t)(e->at_us - x->at_us));
	buf_put_uint(buf, x->then);
	buf_put_str(buf, x->note);
}

static void read_ended(struct reader *r, struct arena *arena, struct event *e)
{
	struct ended *x = &e->ended;

	x->job = read_u32(r);
	x->attempt = read_u32(r);
	x->attempt_state = (enum attempt_state)read_uint_max(r, ATTEMPT_STATE_COUNT - 1);
	x->cause = (enum cause)read_uint_max(r, CAUSE_COUNT - 1);
	x->exit_code = (int32_t)read_int(r);
	x->rank = read_u32(r);
	x->at_us = e->at_us - (us_t)read_uint_max(r, (uint64_t)e->at_us);
	x->then = (enum job_state)read_uint_max(r, JOB_STATE_COUNT - 1);
	x->note = read_str(r, arena);
}

static void put_reserved(struct buf *buf, const struct event *e)
{
	buf_put_uint(buf, e->reserved.job);
	buf_put_uint(buf, e->reserved.cause);
	plan_encode(&e->reserved.plan, buf);
	buf_put_uint(buf, e->reserved.n_victims);
	for (uint32_t i = 0; i < e->reserved.n_victims; i++)
		buf_put_uint(buf, e->reserved.victims[i]);
}

static void read_reserved_1(struct reader *r, struct arena *arena, struct event *e)
{
	e->reserved.job = read_u32(r);
	e->reserved.cause = (enum cause)read_uint_max(r, CAUSE_COUNT - 1);
	plan_decode(r, arena, &e->reserved.plan);
}

static void read_reserved(struct reader *r, struct arena *arena, struct event *e)
{
	uint32_t *victims;

	read_reserved_1(r, arena, e);
	e->reserved.n_victims = read_count(r);
	e->reserved.victims = victims = arena_new(arena, e->reserved.n_victims, sizeof *victims);
	for (uint32_t i = 0; i < e->reserved.n_victims; i++)
		victims[i] = read_u32(r);
}

static void put_unreserved(struct buf *buf, const struct event *e)
{
	buf_put_uint(buf, e->unreserved.job);
	buf_put_uint(buf, e->unreserved.cause);
}

static void read_unreserved(struct reader *r, struct arena *arena, struct event *e)
{
	(void)arena;
	e->unreserved.job = read_u32(r);
	e->unreserved.cause = (enum cause)read_uint_max(r, CAUSE_COUNT - 1);
}

static void put_centre(struct buf *buf, const struct event *e)
{
	buf_put_uint(buf, e->centre.centre);
	buf_put_u8(buf, e->centre.silent);
}

static void read_centre(struct reader *r, struct arena *arena, struct event *e)
{
	(void)arena;
	e->centre.centre = read_u32(r);
	e->centre.silent = read_uint_max(r, 1);
}

static void put_forgotten(struct buf *buf, const struct event *e)
{
	buf_put_uint(buf, e->forgotten.job);
}

static void read_forgotten(struct reader *r, struct arena *arena, struct event *e)
{
	(void)arena;
	e->forgotten.job = read_u32(r);
}

static void put_node(struct buf *buf, const struct event *e)
{
	buf_put_uint(buf, e->node.centre);
	buf_put_uint(buf, e->node.range.first);
	buf_put_uint(buf, e->node.range.last);
	buf_put_uint(buf, e->node.state);
	buf_put_str(buf, e->node.note);
}

static void read_node(struct reader *r, struct arena *arena, struct event *e)
{
	e->node.centre = read_u32(r);
	e->node.range.first = read_u32(r);
	e->node.range.last = read_u32(r);
	e->node.state = (enum node_state)read_uint_max(r, NODE_STATE_COUNT - 1);
	e->node.note = read_str(r, arena);
}

void booked_encode(const struct booked *b, struct buf *buf)
{
	buf_put_uint(buf, b->booking);
	buf_put_str(buf, b->name);
	buf_put_str(buf, b->project);
	buf_put_uint(buf, b->centre);
	buf_put_uint(buf, b->n_ranges);
	for (uint32_t i = 0; i < b->n_ranges; i++) {
		buf_put_uint(buf, b->ranges[i].first);
		buf_put_uint(buf, b->ranges[i].last);
	}
	buf_put_uint(buf, (uint64_t)b->from_us);
	put_until(buf, b->until_us);
}

void booked_decode(struct reader *r, struct arena *arena, struct booked *b)
{
	struct node_range *ranges;

	b->booking = read_u32(r);
	b->name = read_str(r, arena);
	b->project = read_str(r, arena);
	b->centre = read_u32(r);
	b->n_ranges = (uint32_t)read_uint_max(r, BOOKING_RANGES_MAX);
	b->ranges = ranges = arena_new(arena, b->n_ranges, sizeof *ranges);
	for (uint32_t i = 0; i < b->n_ranges; i++) {
		ranges[i].first = read_u32(r);
		ranges[i].last = read_u32(r);
	}
	b->from_us = read_us(r);
	b->until_us = read_until(r);
}

static void put_booked(struct buf *buf, const struct event *e)
{
	booked_encode(&e->booked, buf);
}

static void read_booked(struct reader *r, struct arena *arena, struct event *e)
{
	booked_decode(r, arena, &e->booked);
}

static void put_unbooked(struct buf *buf, const struct event *e)
{
	buf_put_uint(buf, e->unbooked.booking);
	buf_put_uint(buf, e->unbooked.cause);
}

static void read_unbooked(struct reader *r, struct arena *arena, struct event *e)
{
	(void)arena;
	e->unbooked.booking = read_u32(r);
	e->unbooked.cause = (enum cause)read_uint_max(r, CAUSE_COUNT - 1);
}

static void put_aged(struct buf *buf, const struct event *e)
{
	buf_put_uint(buf, e->aged.job);
	buf_put_uint(buf, e->aged.level);
	buf_put_u8(buf, (uint8_t)(e->aged.preemptible | e->aged.movable << 1));
}

static void read_aged(struct reader *r, struct arena *arena, struct event *e)
{
	uint8_t flags;

	(void)arena;
	e->aged.job = read_u32(r);
	e->aged.level = (uint32_t)read_uint_max(r, LAS_LEVELS_MAX);
	flags = read_u8(r);
	r->bad |= flags > 3;
	e->aged.preemptible = flags & 1;
	e->aged.movable = flags & 2;
}

static void put_extended(struct buf *buf, const struct event *e)
{
	buf_put_uint(buf, e->extended.job);
	put_until(buf, e->extended.until_us);
}

static void read_extended(struct reader *r, struct arena *arena, struct event *e)
{
	(void)arena;
	e->extended.job = read_u32(r);
	e->extended.until_us = read_until(r);
}

static void put_moving(struct buf *buf, const struct event *e)
{
	buf_put_uint(buf, e->moving.n);
	for (uint32_t i = 0; i < e->moving.n; i++) {
		buf_put_uint(buf, e->moving.moves[i].job);
		plan_encode(&e->moving.moves[i].plan, buf);
	}
}

static void read_moving(struct reader *r, struct arena *arena, struct event *e)
{
	e->moving.n = (uint32_t)read_uint_max(r, MOVES_MAX);
	for (uint32_t i = 0; i < e->moving.n; i++) {
		e->moving.moves[i].job = read_u32(r);
		plan_decode(r, arena, &e->moving.moves[i].plan);
	}
}

void backlog_encode(const struct backlog *backlog, struct buf *buf)
{
	buf_put_u8(buf, backlog->more);
	buf_put_u8(buf, backlog->unmoved);
	buf_put_uint(buf, backlog->n_unhelped);
	for (uint32_t i = 0; i < backlog->n_unhelped; i++)
		buf_put_uint(buf, backlog->unhelped[i]);
}

void backlog_decode(struct reader *r, struct arena *arena, struct backlog *backlog)
{
	uint32_t *unhelped;

	backlog->more = read_uint_max(r, 1);
	backlog->unmoved = read_uint_max(r, 1);
	backlog->n_unhelped = read_count(r);
	backlog->unhelped = unhelped = arena_new(arena, backlog->n_unhelped, sizeof *unhelped);
	for (uint32_t i = 0; i < backlog->n_unhelped; i++)
		unhelped[i] = read_u32(r);
}

static void put_backlog(struct buf *buf, const struct event *e)
{
	backlog_encode(&e->backlog, buf);
}

static void read_backlog(struct reader *r, struct arena *arena, struct event *e)
{
	backlog_decode(r, arena, &e->backlog);
}

typedef void read_fn(struct reader *r, struct arena *arena, struct event *event);

/* before: reads version 1, where there is a version 2. */
static const struct {
	const char *word;
	uint8_t version;
	void (*put)(struct buf *buf, const struct event *event);
	read_fn *read, *before;
} types[EVENT_TYPE_COUNT] = {
	[EVENT_POOL] = {"pool", 1, put_pool, read_pool},
	[EVENT_CONFIG] = {"config", CONFIG_VERSION, put_config, read_config, read_config_1},
	[EVENT_SUBMITTED] = {"submitted", 1, put_submitted, read_submitted},
	[EVENT_ELIGIBLE] = {"eligible", 1, put_eligible, read_eligible},
	[EVENT_PLACED] = {"placed", 1, put_placed, read_placed},
	[EVENT_ATTEMPT] = {"attempt", 1, put_attempt, read_attempt},
	[EVENT_BOUND] = {"bound", 1, put_bound, read_bound},
	[EVENT_STOPPING] = {"stopping", 1, put_stopping, read_stopping},
	[EVENT_ENDED] = {"ended", 1, put_ended, read_ended},
	[EVENT_RESERVED] = {"reserved", 2, put_reserved, read_reserved, read_reserved_1},
	[EVENT_UNRESERVED] = {"unreserved", 1, put_unreserved, read_unreserved},
	[EVENT_CENTRE] = {"centre", 1, put_centre, read_centre},
	[EVENT_FORGOTTEN] = {"forgotten", 1, put_forgotten, read_forgotten},
	[EVENT_NODE] = {"node", 1, put_node, read_node},
	[EVENT_BOOKED] = {"booked", 1, put_booked, read_booked},
	[EVENT_UNBOOKED] = {"unbooked", 1, put_unbooked, read_unbooked},
	[EVENT_AGED] = {"aged", 1, put_aged, read_aged},
	[EVENT_EXTENDED] = {"extended", 1, put_extended, read_extended},
	[EVENT_MOVING] = {"moving", 1, put_moving, read_moving},
	[EVENT_BACKLOG] = {"backlog", 1, put_backlog, read_backlog},
};

void event_encode(const struct event *event, us_t previous_us, struct buf *buf)
{
	assert(event->type > 0 && event->type < EVENT_TYPE_COUNT);
	assert(event->at_us >= previous_us);
	buf_put_u8(buf, (uint8_t)event->type);
	buf_put_u8(buf, types[event->type].version);
	buf_put_uint(buf, (uint64_t)(event->at_us - previous_us));
	types[event->type].put(buf, event);
}

int event_decode(struct reader *r, us_t previous_us, struct arena *arena, struct event *ret)
{
	struct event event = {.type = (enum event_type)read_u8(r)};
	uint8_t version = read_u8(r);

	read_fn *read;

	if (r->bad || event.type == 0 || event.type >= EVENT_TYPE_COUNT)
		return ERR_CORRUPT;
	read = version == types[event.type].version ? types[event.type].read : version == 1 ? types[event.type].before : NULL;
	if (!read)
		return ERR_CORRUPT;
	event.at_us = previous_us + (us_t)read_uint_max(r, (uint64_t)(US_NEVER - 1 - previous_us));
	read(r, arena, &event);
	if (r->bad)
		return ERR_CORRUPT;
	*ret = event;
	return 0;
}

/* ---- Words ---- */

static const char *const job_state_words[JOB_STATE_COUNT] = {
	"new", "queued", "stage_in", "active", "stage_out", "cleanup", "completed", "failed", "canceled", "unknown",
};

static const char *const attempt_state_words[ATTEMPT_STATE_COUNT] = {
	"none", "intent", "held", "released", "running", "ended", "refused", "lost",
};

static const char *const cause_words[CAUSE_COUNT] = {
	"none",  "exit",     "signal",  "limit",     "cancel",    "dependency", "lost",    "refused", "memory", "elements", "first",
	"order", "capacity", "overrun", "preempted", "reclaimed", "node",       "starved", "booked",  "window", "moved",
};

const char *event_word(enum event_type type)
{
	return type > 0 && type < EVENT_TYPE_COUNT ? types[type].word : "unknown";
}

const char *job_state_word(enum job_state state)
{
	return job_state_words[state];
}

int job_state_from_word(const char *word)
{
	for (int i = 0; i < JOB_STATE_COUNT; i++)
		if (!strcmp(job_state_words[i], word))
			return i;
	return -1;
}

const char *attempt_state_word(enum attempt_state state)
{
	return attempt_state_words[state];
}

const char *cause_word(enum cause cause)
{
	return cause_words[cause];
}
