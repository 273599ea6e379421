/* SPDX-License-Identifier: Apache-2.0
 * plan_check.c: the independent checker; see plan_check.h.
 *
 * It believes nothing but the pool's specification and what was asked for. Of each node it knows what runs there and
 * what is promised there, and adds up again. Racks and pods are its own arithmetic on the lines of the pool file.
 *
 * Invariants of the books, and so of every schedule that passes: for each card, the sum of shares <= 1000 thousandths;
 * for each node, cards, CPUs and memory in use <= what it has; for each resource, the sum of claims <= its capacity; for
 * each promise, what still runs on its nodes past its start, by the bounds, leaves room for it. */
#include "sim/plan_check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/pool.h"
#include "sim/book.h"

struct plan_check {
	uint64_t n_events, n_plans;
	const struct event *event; /* the one at hand */
	struct book book;
};

struct plan_check *plan_check_new(void)
{
	return mem_new(1, sizeof(struct plan_check));
}

struct plan_check *plan_check_free(struct plan_check *checker)
{
	if (checker)
		book_done(&checker->book);
	free(checker);
	return NULL;
}

uint64_t plan_check_count(const struct plan_check *checker)
{
	return checker->n_plans;
}

static int broken(const struct plan_check *c, struct err *err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The rule that the event at hand breaks. */
static int broken(const struct plan_check *c, struct err *err, const char *fmt, ...)
{
	char subject[64], text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	snprintf(subject, sizeof subject, "event %" PRIu64 " (%s)", c->n_events, event_word(c->event->type));
	return err_set(err, ERR_CORRUPT, subject, "%s", text);
}

/* ---- Rules that a plan keeps by itself ---- */

static int check_task(const struct plan_check *c, const struct request *request, const struct plan *plan, uint32_t i,
                      struct err *err)
{
	const struct task *t = &plan->tasks[i];
	struct book_node *node = book_node(&c->book, t->centre, t->node);
	unsigned bits = (unsigned)__builtin_popcountll(t->cards);
	unsigned needed = (t->cards_milli + CARD_MILLI - 1) / CARD_MILLI;

	if (!node)
		return broken(c, err, "task %" PRIu32 ": centre %" PRIu32 " has no node %" PRIu32, i, t->centre, t->node);
	if (node->seen == c->n_plans)
		return broken(c, err, "task %" PRIu32 ": node %" PRIu32 " is in the gang twice", i, t->node);
	node->seen = c->n_plans;
	if (c->book.centres[t->centre].silent)
		return broken(c, err, "task %" PRIu32 ": centre %" PRIu32 " is silent", i, t->centre);
	if (t->group != 0)
		return broken(c, err, "task %" PRIu32 ": group %" PRIu32 ": a job has one", i, t->group);
	if (t->cards_milli != request->cards_milli)
		return broken(c, err, "task %" PRIu32 ": %" PRIu32 " thousandths of cards, %" PRIu32 " were asked for", i, t->cards_milli,
		              request->cards_milli);
	if (t->cards_milli && node->kind != plan->kind)
		return broken(c, err, "task %" PRIu32 ": node %" PRIu32 " is of another kind than the plan", i, t->node);
	if (node->cards < 64 && t->cards >> node->cards)
		return broken(c, err, "task %" PRIu32 ": a card past the %" PRIu32 " of node %" PRIu32, i, node->cards, t->node);
	if (c->book.centres[t->centre].capabilities & CAN_EXACT_CARDS ? bits != needed : bits != 0)
		return broken(c, err, "task %" PRIu32 ": %u cards named, for %" PRIu32 " thousandths", i, bits, t->cards_milli);
	return 0;
}

/* Whether the gang lies within one domain of the tier. */
static bool within(const struct plan_check *c, const struct plan *plan, enum tier tier)
{
	const struct task *first = &plan->tasks[0];
	const struct book_node *a = book_node(&c->book, first->centre, first->node);

	for (uint32_t i = 1; i < plan->n_tasks; i++) {
		const struct book_node *b = book_node(&c->book, plan->tasks[i].centre, plan->tasks[i].node);

		if ((tier == TIER_NODE && b != a) || (tier == TIER_RACK && b->rack != a->rack) ||
		    (tier == TIER_POD && b->pod != a->pod) || (tier <= TIER_CENTRE && plan->tasks[i].centre != first->centre))
			return false;
	}
	return true;
}

static int check_capabilities(const struct plan_check *c, const struct request *request, uint32_t centre, struct err *err)
{
	uint32_t can = c->book.centres[centre].capabilities;
	bool share = request->cards_milli && request->cards_milli < CARD_MILLI;

	if (request->image && !(can & CAN_IMAGES))
		return broken(c, err, "centre %" PRIu32 " runs no images", centre);
	if (!request->image && !(can & CAN_BARE))
		return broken(c, err, "centre %" PRIu32 " runs nothing without an image", centre);
	if (share && !(can & CAN_FRACTIONS))
		return broken(c, err, "centre %" PRIu32 " has no shares of a card", centre);
	if (request->centre != CENTRE_ANY && request->centre != centre)
		return broken(c, err, "centre %" PRIu32 ", and %" PRIu32 " was asked for", centre, request->centre);
	return 0;
}

static int check_claim(const struct plan_check *c, const struct plan *plan, uint32_t i, const uint32_t ids[3],
                       const uint64_t sums[3], unsigned *seen, struct err *err)
{
	const struct claim *claim = &plan->claims[i];
	unsigned which = 0;

	while (which < 3 && ids[which] != claim->resource)
		which++;
	if (which == 3 || *seen & 1u << which)
		return broken(c, err, "claim %" PRIu32 ": of a resource that its tasks don't use, or twice", i);
	*seen |= 1u << which;
	if (claim->amount != sums[which])
		return broken(c, err, "claim %" PRIu32 ": %" PRIu64 ", and its tasks sum to %" PRIu64, i, claim->amount, sums[which]);
	if (claim->from_us != plan->start_us || claim->until_us != plan->until_us)
		return broken(c, err, "claim %" PRIu32 ": from or until isn't the plan's", i);
	return 0;
}

/* The claims are what the tasks add up to, and no others. */
static int check_claims(const struct plan_check *c, const struct request *request, const struct plan *plan, struct err *err)
{
	uint32_t centre = plan->tasks[0].centre;
	const uint32_t ids[3] = {resource_id(RESOURCE_CARDS, centre, plan->kind), resource_id(RESOURCE_CPUS, centre, 0),
	                         resource_id(RESOURCE_MEMORY, centre, 0)};
	const uint64_t sums[3] = {(uint64_t)plan->n_tasks * request->cards_milli, (uint64_t)plan->n_tasks * request->cpus_milli,
	                          (uint64_t)plan->n_tasks * request->memory_mib};
	unsigned seen = 0;

	for (uint32_t i = 0; i < plan->n_claims; i++)
		if (check_claim(c, plan, i, ids, sums, &seen, err) < 0)
			return ERR_CORRUPT;
	for (unsigned which = 0; which < 3; which++) {
		const struct book_resource *r = sums[which] ? book_resource(&c->book, ids[which]) : NULL;

		if (sums[which] && !(seen & 1u << which) && (!r || r->capacity != AMOUNT_NONE))
			return broken(c, err, "no claim on %" PRIu64 " of resource %" PRIu32 " that its tasks use", sums[which], ids[which]);
	}
	return 0;
}

/* What was asked for, is what the plan gives: how many, of which kind, where, how close together, for how long. */
static int check_shape(struct plan_check *c, const struct book_job *job, const struct plan *plan, struct err *err)
{
	const struct group *group = book_group(&c->book, job);
	const struct request *request;

	c->n_plans++;
	if (plan->request >= group->n_requests)
		return broken(c, err, "request %" PRIu32 " of %" PRIu32, plan->request, group->n_requests);
	request = &group->requests[plan->request];
	if (plan->n_tasks != group->nodes || !plan->n_tasks)
		return broken(c, err, "%" PRIu32 " nodes for a gang of %" PRIu32, plan->n_tasks, group->nodes);
	if (request->kind != KIND_ANY && plan->kind != request->kind)
		return broken(c, err, "kind %" PRIu32 ", and %" PRIu32 " was asked for", plan->kind, request->kind);
	if (!request->cards_milli != (plan->kind == KIND_NONE))
		return broken(c, err, "a kind without cards, or cards without a kind");
	if (plan->until_us != us_add(plan->start_us, job->limit_us))
		return broken(c, err, "until %" PRId64 " isn't its start %" PRId64 " and its bound %" PRId64, plan->until_us,
		              plan->start_us, job->limit_us);
	for (uint32_t i = 0; i < plan->n_tasks; i++)
		if (check_task(c, request, plan, i, err) < 0)
			return ERR_CORRUPT;
	if (!within(c, plan, TIER_CENTRE))
		return broken(c, err, "a gang over several centres");
	if (!within(c, plan, group->highest))
		return broken(c, err, "a gang wider than one %s", tier_word(group->highest));
	if (check_capabilities(c, request, plan->tasks[0].centre, err) < 0)
		return ERR_CORRUPT;
	return check_claims(c, request, plan, err);
}

/* What it waited for is over. */
static int check_ready(const struct plan_check *c, const struct book_job *job, us_t at_us, struct err *err)
{
	if (job->begin_us > at_us)
		return broken(c, err, "before its begin, %" PRId64, job->begin_us);
	for (uint32_t i = 0; i < job->n_dependencies; i++) {
		const struct book_job *other = book_job(&c->book, job->dependencies[i].job);

		if (other && other->state != BOOK_COMPLETED && (other->state != BOOK_OVER || job->dependencies[i].when == AFTER_OK))
			return broken(c, err, "it depends on job %" PRIu32 ", which isn't over as it needs", job->dependencies[i].job);
	}
	return 0;
}

/* ---- Rules between plans ---- */

/* The room on a task's node for it, now. */
static int check_room(const struct plan_check *c, const struct book_task *task, struct err *err)
{
	const struct book_node *node = task->node;

	for (uint64_t left = task->cards; left; left &= left - 1) {
		int card = __builtin_ctzll(left);

		if (node->used_milli[card] + book_share(task) > CARD_MILLI)
			return broken(c, err,
			              "card %d of node %" PRIu32 " at centre %" PRIu32 ": %u thousandths are in use, %" PRIu32
			              " more don't fit",
			              card, task->number, task->centre, node->used_milli[card], book_share(task));
	}
	if (node->cards_milli + task->cards_milli > (uint64_t)node->cards * CARD_MILLI)
		return broken(c, err, "node %" PRIu32 " at centre %" PRIu32 ": more cards than it has", task->number, task->centre);
	if (node->cpus_max != UNCOUNTED && node->cpus_milli + task->cpus_milli > node->cpus_max)
		return broken(c, err, "node %" PRIu32 " at centre %" PRIu32 ": %" PRIu64 " thousandths of CPUs, it has %" PRIu32,
		              task->number, task->centre, node->cpus_milli + task->cpus_milli, node->cpus_max);
	if (node->memory_max != UNCOUNTED && node->memory_mib + task->memory_mib > node->memory_max)
		return broken(c, err, "node %" PRIu32 " at centre %" PRIu32 ": %" PRIu64 " MiB, it has %" PRIu32, task->number,
		              task->centre, node->memory_mib + task->memory_mib, node->memory_max);
	return 0;
}

/* What a promise needs of its node is there at its start, if everything that runs ends by its bound. */
static int check_promise(const struct plan_check *c, const struct book_task *promise, struct err *err)
{
	const struct book_node *node = promise->node;
	uint64_t cards_milli = promise->cards_milli, cpus_milli = promise->cpus_milli, memory_mib = promise->memory_mib;
	uint32_t used_milli[CARDS_PER_NODE_MAX] = {0};

	for (uint64_t left = promise->cards; left; left &= left - 1)
		used_milli[__builtin_ctzll(left)] = book_share(promise);
	for (const struct book_task *t = node->live; t; t = t->next) {
		if (t->plan->until_us <= promise->plan->start_us)
			continue;
		for (uint64_t left = t->cards & promise->cards; left; left &= left - 1) {
			int card = __builtin_ctzll(left);

			used_milli[card] += book_share(t);
			if (used_milli[card] > CARD_MILLI)
				return broken(c, err,
				              "card %d of node %" PRIu32 " at centre %" PRIu32 " is promised to job %" PRIu32 " at %" PRId64
				              ", and job %" PRIu32 " has it until %" PRId64,
				              card, promise->number, promise->centre, promise->plan->job, promise->plan->start_us, t->plan->job,
				              t->plan->until_us);
		}
		cards_milli += t->cards_milli;
		cpus_milli += t->cpus_milli;
		memory_mib += t->memory_mib;
	}
	if (cards_milli > (uint64_t)node->cards * CARD_MILLI || (node->cpus_max != UNCOUNTED && cpus_milli > node->cpus_max) ||
	    (node->memory_max != UNCOUNTED && memory_mib > node->memory_max))
		return broken(c, err,
		              "node %" PRIu32 " at centre %" PRIu32 ": no room at %" PRId64 " for what is promised to job %" PRIu32,
		              promise->number, promise->centre, promise->plan->start_us, promise->plan->job);
	return 0;
}

/* The job that stood in the queue for the one at hand: the array, for an element's first attempt. */
static uint32_t in_line(const struct plan_check *c, uint32_t number)
{
	const struct book_job *job = &c->book.jobs[number];

	return job->array_of && job->attempt == 1 ? job->array_of : number;
}

/* The order of the queue: priority, then arrival. */
static bool comes_before(const struct plan_check *c, uint32_t a, uint32_t b)
{
	return c->book.jobs[a].priority != c->book.jobs[b].priority ? c->book.jobs[a].priority > c->book.jobs[b].priority : a < b;
}

/* What runs past a promise's start must leave it room, unless it comes before it in the queue: that one may take what it
 * finds, and the promise is to be made anew. */
static int check_promises(const struct plan_check *c, const struct book_task *task, bool may_break, struct err *err)
{
	for (struct book_task *p = task->node->promised; p; p = p->next) {
		bool before = may_break || comes_before(c, in_line(c, task->plan->job), p->plan->job);

		if (p->plan->broken || task->plan->until_us <= p->plan->start_us || check_promise(c, p, before ? NULL : err) == 0)
			continue;
		if (!before)
			return ERR_CORRUPT;
		p->plan->broken = true;
	}
	return 0;
}

static int check_capacity(const struct plan_check *c, const struct book_plan *plan, struct err *err)
{
	for (uint32_t i = 0; i < plan->n_claims; i++) {
		const struct book_resource *r = book_resource(&c->book, plan->claims[i].resource);

		if (r && r->capacity != AMOUNT_NONE && r->used > r->capacity)
			return broken(c, err, "resource %" PRIu32 ": %" PRIu64 " claimed of %" PRIu64, plan->claims[i].resource, r->used,
			              r->capacity);
	}
	return 0;
}

/* ---- Jobs ---- */

/* The record of a job's number, new. */
static int new_job(struct plan_check *c, uint32_t number, struct book_job **ret, struct err *err)
{
	if (book_job(&c->book, number))
		return broken(c, err, "job %" PRIu32 " was there already", number);
	if (number == 0 || number > 100000000)
		return broken(c, err, "%" PRIu32 ": not a job's number", number);
	*ret = book_new_job(&c->book, number);
	return 0;
}

static void *copy(const void *from, uint32_t n, size_t size)
{
	return n ? memcpy(mem_new(n, size), from, n * size) : NULL;
}

static int take_submitted(struct plan_check *c, const struct submitted *s, struct err *err)
{
	struct book_job *job;

	if (new_job(c, s->job, &job, err) < 0)
		return ERR_CORRUPT;
	for (uint32_t i = 0; i < s->n_array; i++)
		if (!s->array[i].step)
			return broken(c, err, "a range of indices with a step of 0");
	if (s->limit_us < 0)
		return broken(c, err, "a limit below 0");
	job->group = book_keep_group(&c->book, &s->group);
	job->limit_us = s->limit_us;
	job->priority = s->priority;
	job->begin_us = s->begin_us;
	job->dependencies = copy(s->dependencies, s->n_dependencies, sizeof *s->dependencies);
	job->n_dependencies = s->n_dependencies;
	if (s->n_array) {
		job->array = mem_new(1, sizeof *job->array);
		job->array->ranges = copy(s->array, s->n_array, sizeof *s->array);
		job->array->n_ranges = s->n_array;
		job->array->parallel_max = s->array_parallel_max;
	}
	return 0;
}

static bool in_ranges(const struct book_array *array, uint32_t index)
{
	for (uint32_t i = 0; i < array->n_ranges; i++) {
		const struct range *r = &array->ranges[i];

		if (index >= r->first && index <= r->last && (index - r->first) % r->step == 0)
			return true;
	}
	return false;
}

/* An element of an array gets its number, with its first attempt. */
static int take_element(struct plan_check *c, const struct placed *p, struct err *err)
{
	struct book_job *array = book_job(&c->book, p->array), *job;
	uint64_t key = (uint64_t)p->array << 32 | p->index;

	if (!array || !array->array || array->state != BOOK_WAITS)
		return broken(c, err, "job %" PRIu32 " isn't an array that waits", p->array);
	if (!in_ranges(array->array, p->index))
		return broken(c, err, "array %" PRIu32 " has no index %" PRIu32, p->array, p->index);
	if (map_get(&c->book.elements, key, 0))
		return broken(c, err, "index %" PRIu32 " of array %" PRIu32 " was taken before", p->index, p->array);
	if (check_ready(c, array, c->event->at_us, err) < 0 || new_job(c, p->job, &job, err) < 0)
		return ERR_CORRUPT;
	array = book_job(&c->book, p->array);
	map_set(&c->book.elements, key, p->job);
	job->group = array->group;
	job->limit_us = array->limit_us;
	job->priority = array->priority;
	job->array_of = p->array;
	return 0;
}

static int count_element(struct plan_check *c, const struct book_job *job, int by, struct err *err)
{
	struct book_array *array = job->array_of ? c->book.jobs[job->array_of].array : NULL;

	if (!array)
		return 0;
	array->live += (uint32_t)by;
	if (array->parallel_max && array->live > array->parallel_max)
		return broken(c, err, "%" PRIu32 " elements of array %" PRIu32 " at once, at most %" PRIu32, array->live, job->array_of,
		              array->parallel_max);
	return 0;
}

/* ---- A new pool ---- */

/* Finds an attempt's nodes again, also those that an earlier change took away. What is there stays in use; a node that is gone,
 * or has no room any more, holds nothing of it, and then the sums of its claims are no longer known. */
static void settle(struct plan_check *c, struct book_plan *plan)
{
	plan->moved = false;
	for (uint32_t i = 0; i < plan->n_tasks; i++) {
		struct book_task *task = &plan->tasks[i];
		struct book_node *node = book_node(&c->book, task->centre, task->number);

		task->link = NULL;
		task->node = node;
		if (node && (node->cards >= 64 || !(task->cards >> node->cards)) && check_room(c, task, NULL) == 0)
			book_use(task);
		else
			task->node = NULL;
		plan->moved |= !task->node || (task->cards_milli && node->kind != plan->kind);
	}
}

/* A new pool: what runs goes on where its node still is, the oldest job first. Promises are to be made anew. */
static int take_pool(struct plan_check *c, const struct pool_spec *spec)
{
	book_end_promises(&c->book);
	book_set_pool(&c->book, spec);
	for (uint32_t number = 1; number < c->book.n_jobs; number++) {
		struct book_plan *plan = c->book.jobs[number].live;

		if (!plan)
			continue;
		settle(c, plan);
		book_claim(&c->book, plan, 1);
	}
	return 0;
}

/* ---- Events ---- */

static int start_plan(struct plan_check *c, uint32_t number, struct book_job *job, const struct plan *plan, struct err *err)
{
	const struct request *request = &book_group(&c->book, job)->requests[plan->request];
	struct book_plan *kept = book_keep_plan(&c->book, &c->book.live, number, plan, request);

	job->live = kept;
	for (uint32_t i = 0; i < kept->n_tasks; i++) {
		if (check_room(c, &kept->tasks[i], err) < 0)
			return ERR_CORRUPT;
		book_use(&kept->tasks[i]);
	}
	for (uint32_t i = 0; i < kept->n_tasks; i++)
		if (check_promises(c, &kept->tasks[i], false, err) < 0)
			return ERR_CORRUPT;
	book_claim(&c->book, kept, 1);
	return check_capacity(c, kept, err);
}

static int take_placed(struct plan_check *c, const struct placed *p, struct err *err)
{
	struct book_job *job = book_job(&c->book, p->job);

	if (!job && p->array && take_element(c, p, err) < 0)
		return ERR_CORRUPT;
	job = book_job(&c->book, p->job);
	if (!job || job->state != BOOK_WAITS || job->array)
		return broken(c, err, "job %" PRIu32 " doesn't wait", p->job);
	if (p->array != job->array_of && p->array)
		return broken(c, err, "job %" PRIu32 " isn't of array %" PRIu32, p->job, p->array);
	if (p->attempt != job->attempt + 1)
		return broken(c, err, "attempt %" PRIu32 " after %" PRIu32, p->attempt, job->attempt);
	if (p->plan.start_us != c->event->at_us)
		return broken(c, err, "its start, %" PRId64 ", isn't now", p->plan.start_us);
	if (check_ready(c, job, c->event->at_us, err) < 0 || check_shape(c, job, &p->plan, err) < 0)
		return ERR_CORRUPT;
	job->attempt = p->attempt;
	job->state = BOOK_LIVE;
	c->book.jobs[in_line(c, p->job)].promise = book_end_promise(c->book.jobs[in_line(c, p->job)].promise);
	if (count_element(c, job, 1, err) < 0)
		return ERR_CORRUPT;
	return start_plan(c, p->job, job, &p->plan, err);
}

/* It runs since then, and so by its bound until later than was planned. */
static int take_attempt(struct plan_check *c, uint32_t number, uint32_t attempt, enum attempt_state state, us_t at_us,
                        struct err *err)
{
	struct book_job *job = book_job(&c->book, number);
	us_t until_us;

	if (!job || job->state != BOOK_LIVE || job->attempt != attempt)
		return broken(c, err, "job %" PRIu32 " has no attempt %" PRIu32 " in force", number, attempt);
	if (state != ATTEMPT_RUNNING)
		return 0;
	until_us = us_add(at_us, job->limit_us);
	if (until_us < job->live->until_us)
		return broken(c, err, "job %" PRIu32 " runs before it was placed", number);
	job->live->until_us = until_us;
	for (uint32_t i = 0; i < job->live->n_tasks; i++)
		if (job->live->tasks[i].node)
			check_promises(c, &job->live->tasks[i], true, NULL);
	return 0;
}

static int take_bound(struct plan_check *c, uint32_t number, uint32_t attempt, const struct task *tasks, uint32_t n,
                      struct err *err)
{
	struct book_job *job = book_job(&c->book, number);

	if (!job || job->state != BOOK_LIVE || job->attempt != attempt || job->live->n_tasks != n)
		return broken(c, err, "job %" PRIu32 " has no such attempt with that many tasks", number);
	for (uint32_t i = 0; i < n; i++) {
		struct book_task *task = &job->live->tasks[i];

		if (task->centre != tasks[i].centre || task->number != tasks[i].node || task->cards)
			return broken(c, err, "task %" PRIu32 ": on another node than planned, or bound before", i);
		if (!task->node)
			continue;
		if ((unsigned)__builtin_popcountll(tasks[i].cards) != (task->cards_milli + CARD_MILLI - 1) / CARD_MILLI ||
		    (task->node->cards < 64 && tasks[i].cards >> task->node->cards))
			return broken(c, err, "task %" PRIu32 ": not as many cards as planned, or some that aren't there", i);
		task->cards = tasks[i].cards;
		book_use_cards(task->node, task, 1);
		for (uint64_t left = task->cards; left; left &= left - 1)
			if (task->node->used_milli[__builtin_ctzll(left)] > CARD_MILLI)
				return broken(c, err, "task %" PRIu32 ": card %d is in use", i, __builtin_ctzll(left));
	}
	return 0;
}

static int take_ended(struct plan_check *c, const struct ended *e, struct err *err)
{
	struct book_job *job = book_job(&c->book, e->job);

	if (!job || (job->state != BOOK_LIVE && job->state != BOOK_WAITS))
		return broken(c, err, "job %" PRIu32 " is over, or never was", e->job);
	if (e->attempt != (job->state == BOOK_LIVE ? job->attempt : 0))
		return broken(c, err, "attempt %" PRIu32 " of job %" PRIu32 " isn't the one in force", e->attempt, e->job);
	if (job->promise && e->then != JOB_QUEUED)
		job->promise = book_end_promise(job->promise);
	if (job->state == BOOK_LIVE) {
		job->live = book_end_plan(&c->book, job->live);
		if (count_element(c, job, -1, err) < 0)
			return ERR_CORRUPT;
	}
	job->state = e->then == JOB_QUEUED ? BOOK_WAITS : e->then == JOB_COMPLETED ? BOOK_COMPLETED : BOOK_OVER;
	return 0;
}

/* A promise that another replaces may come earlier, and later only for these causes. */
static bool may_delay(enum cause cause)
{
	return cause == CAUSE_ORDER || cause == CAUSE_CAPACITY || cause == CAUSE_OVERRUN;
}

static int take_reserved(struct plan_check *c, uint32_t number, enum cause cause, const struct plan *plan, struct err *err)
{
	struct book_job *job = book_job(&c->book, number);
	struct book_plan *kept;

	if (!job || job->state != BOOK_WAITS)
		return broken(c, err, "job %" PRIu32 " doesn't wait", number);
	if (job->promise && plan->start_us > job->promise->start_us && !may_delay(cause))
		return broken(c, err, "job %" PRIu32 "'s start moves from %" PRId64 " to %" PRId64 ", because of: %s", number,
		              job->promise->start_us, plan->start_us, cause_word(cause));
	book_end_promises(&c->book); /* this release holds one */
	if (check_ready(c, job, c->event->at_us, err) < 0)
		return ERR_CORRUPT;
	if (plan->start_us != US_NEVER && plan->start_us < c->event->at_us)
		return broken(c, err, "a start at %" PRId64 ", which is past", plan->start_us);
	if (plan->start_us == US_NEVER) /* holds nothing */
		plan = &(const struct plan){.start_us = US_NEVER, .until_us = US_NEVER, .kind = KIND_NONE};
	else if (check_shape(c, job, plan, err) < 0)
		return ERR_CORRUPT;
	kept = book_keep_plan(&c->book, &c->book.promised, number, plan,
	                      plan->n_tasks ? &book_group(&c->book, job)->requests[plan->request] : NULL);
	job->promise = kept;
	for (uint32_t i = 0; i < kept->n_tasks; i++) {
		book_promise(&kept->tasks[i]);
		if (check_promise(c, &kept->tasks[i], err) < 0)
			return ERR_CORRUPT;
	}
	return 0;
}

static int take_unreserved(struct plan_check *c, uint32_t number, struct err *err)
{
	struct book_job *job = book_job(&c->book, number);

	if (!job)
		return broken(c, err, "there is no job %" PRIu32, number);
	job->promise = book_end_promise(job->promise);
	return 0;
}

/* It leaves the core; that it was, and how it ended, stays known, so that its number isn't given again. */
static int take_forgotten(struct plan_check *c, uint32_t number, struct err *err)
{
	struct book_job *job = book_job(&c->book, number);

	if (!job || (job->state != BOOK_COMPLETED && job->state != BOOK_OVER))
		return broken(c, err, "job %" PRIu32 " isn't over", number);
	book_job_done(job);
	return 0;
}

int plan_check_event(struct plan_check *c, const struct event *event, struct err *err)
{
	c->n_events++;
	c->event = event;
	switch (event->type) {
	case EVENT_POOL: return take_pool(c, &event->pool);
	case EVENT_SUBMITTED: return take_submitted(c, &event->submitted, err);
	case EVENT_PLACED: return take_placed(c, &event->placed, err);
	case EVENT_BOUND: return take_bound(c, event->bound.job, event->bound.attempt, event->bound.tasks, event->bound.n_tasks, err);
	case EVENT_ENDED: return take_ended(c, &event->ended, err);
	case EVENT_RESERVED: return take_reserved(c, event->reserved.job, event->reserved.cause, &event->reserved.plan, err);
	case EVENT_UNRESERVED: return take_unreserved(c, event->unreserved.job, err);
	case EVENT_ATTEMPT:
		return take_attempt(c, event->attempt.job, event->attempt.attempt, event->attempt.state, event->attempt.at_us, err);
	case EVENT_STOPPING: return event->stopping.attempt ? 0 : take_unreserved(c, event->stopping.job, err);
	case EVENT_CENTRE:
		if (event->centre.centre >= c->book.n_centres)
			return broken(c, err, "there is no centre %" PRIu32, event->centre.centre);
		c->book.centres[event->centre.centre].silent = event->centre.silent;
		break;
	case EVENT_FORGOTTEN: return take_forgotten(c, event->forgotten.job, err);
	case EVENT_CONFIG:
		if (!event->config.reservations)
			book_end_promises(&c->book);
		break;
	case EVENT_ELIGIBLE:
	case EVENT_TYPE_COUNT: break;
	}
	return 0;
}
