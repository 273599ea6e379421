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

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/rng.h"
#include "core/pool.h"

struct book_node;

/* A node's part of an attempt, or of a promise. */
struct book_task {
	struct book_plan *plan;
	struct book_node *node;         /* NULL: the pool no longer has it */
	struct book_task *next, **link; /* what else is in the same list of the node */
	uint32_t centre, number;
	uint32_t cards_milli, cpus_milli, memory_mib;
	uint64_t cards;
};

struct book_node {
	struct book_task *live, *promised;
	uint16_t *used_milli;                         /* of each card */
	uint64_t cards_milli, cpus_milli, memory_mib; /* in use */
	uint64_t seen;                                /* the last plan that was counted here */
	uint32_t cards, cpus_max, memory_max;
	uint32_t kind, rack, pod; /* rack, pod: numbers in the pool */
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
	uint32_t job, kind, n_tasks, n_claims;
	us_t start_us, until_us;
	bool broken; /* a promise that was broken rightly: it is to be made anew */
	bool moved;  /* an attempt of which some node left the pool */
	struct claim *claims;
	struct book_task tasks[];
};

enum book_state { BOOK_UNKNOWN, BOOK_WAITS, BOOK_LIVE, BOOK_COMPLETED, BOOK_OVER };

struct book_array {
	struct range *ranges;
	uint32_t n_ranges, live, parallel_max;
};

struct book_job {
	us_t limit_us, begin_us;
	struct dependency_spec *dependencies;
	struct book_array *array; /* NULL: none */
	struct book_plan *live, *promise;
	uint32_t n_dependencies;
	uint32_t group, attempt, array_of, priority;
	enum book_state state;
};

/* What somebody asked for; jobs that ask alike share it. */
struct book_group {
	struct group group;
	uint64_t hash;
};

struct plan_check {
	uint64_t n_events, n_plans;
	const struct event *event; /* the one at hand */
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
};

struct plan_check *plan_check_new(void)
{
	return mem_new(1, sizeof(struct plan_check));
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

static struct book_job *job_of(const struct plan_check *c, uint32_t number)
{
	return number < c->n_jobs && c->jobs[number].state != BOOK_UNKNOWN ? &c->jobs[number] : NULL;
}

static const struct group *group_of(const struct plan_check *c, const struct book_job *job)
{
	return &c->groups[job->group]->group;
}

static struct book_node *node_of(const struct plan_check *c, uint32_t centre, uint32_t number)
{
	if (centre >= c->n_centres || number >= c->centres[centre].n_nodes)
		return NULL;
	return &c->nodes[c->centres[centre].node_first + number];
}

static struct book_resource *resource_of(const struct plan_check *c, uint32_t id)
{
	uint32_t at = map_get(&c->resource_of, id, UINT32_MAX);

	return at == UINT32_MAX ? NULL : &c->resources[at];
}

/* ---- The books of nodes ---- */

static void list_add(struct book_task **head, struct book_task *task)
{
	task->next = *head;
	task->link = head;
	if (task->next)
		task->next->link = &task->next;
	*head = task;
}

static void list_remove(struct book_task *task)
{
	if (!task->link)
		return;
	*task->link = task->next;
	if (task->next)
		task->next->link = task->link;
	task->link = NULL;
}

/* What one task takes of each card that it has. */
static uint32_t share_of(const struct book_task *task)
{
	return task->cards_milli < CARD_MILLI ? task->cards_milli : CARD_MILLI;
}

static void use_cards(struct book_node *node, const struct book_task *task, int sign)
{
	for (uint64_t left = task->cards; left; left &= left - 1)
		node->used_milli[__builtin_ctzll(left)] = (uint16_t)(node->used_milli[__builtin_ctzll(left)] +
		                                                     sign * (int)share_of(task));
}

static void use_node(struct book_task *task)
{
	struct book_node *node = task->node;

	node->cards_milli += task->cards_milli;
	node->cpus_milli += task->cpus_milli;
	node->memory_mib += task->memory_mib;
	use_cards(node, task, 1);
	list_add(&node->live, task);
}

static void leave_node(struct book_task *task)
{
	struct book_node *node = task->node;

	if (!node)
		return;
	list_remove(task);
	use_cards(node, task, -1);
	node->cards_milli -= task->cards_milli;
	node->cpus_milli -= task->cpus_milli;
	node->memory_mib -= task->memory_mib;
}

/* ---- The pool ---- */

static void add_resource(struct plan_check *c, uint32_t id, uint64_t amount)
{
	struct book_resource *r = resource_of(c, id);

	if (!r) {
		mem_grow((void **)&c->resources, &c->resources_cap, c->n_resources, sizeof *c->resources);
		map_set(&c->resource_of, id, c->n_resources);
		r = &c->resources[c->n_resources++];
		*r = (struct book_resource){0};
	}
	r->capacity = r->capacity == AMOUNT_NONE || amount == AMOUNT_NONE ? AMOUNT_NONE : r->capacity + amount;
}

static void add_line(struct plan_check *c, uint32_t centre, const struct line_spec *line, uint32_t *node, uint32_t *card,
                     uint32_t *domain)
{
	uint32_t kind = line->kind ? strtab_find(&c->kinds, line->kind) : KIND_NONE;
	uint64_t rack_size = line->nodes_per_rack ? line->nodes_per_rack : line->count;
	uint64_t pod_size = line->nodes_per_rack && line->racks_per_pod ? rack_size * line->racks_per_pod : line->count;

	for (uint32_t i = 0; i < line->count; i++) {
		c->nodes[(*node)++] = (struct book_node){.used_milli = &c->used_milli[*card],
		                                         .cards = line->cards,
		                                         .cpus_max = line->cpus_milli,
		                                         .memory_max = line->memory_mib,
		                                         .kind = kind,
		                                         .rack = *domain + (uint32_t)(i / rack_size),
		                                         .pod = *domain + (uint32_t)(i / pod_size)};
		*card += line->cards;
	}
	*domain += line->count;
	if (line->cards)
		add_resource(c, resource_id(RESOURCE_CARDS, centre, kind), (uint64_t)line->count * line->cards * CARD_MILLI);
	add_resource(c, resource_id(RESOURCE_CPUS, centre, 0),
	             line->cpus_milli == UNCOUNTED ? AMOUNT_NONE : (uint64_t)line->count * line->cpus_milli);
	add_resource(c, resource_id(RESOURCE_MEMORY, centre, 0),
	             line->memory_mib == UNCOUNTED ? AMOUNT_NONE : (uint64_t)line->count * line->memory_mib);
}

/* Numbers of kinds and centres are those of the order in which they first came, and stay. */
static void number_names(struct plan_check *c, const struct pool_spec *spec, uint32_t *ret_nodes, uint32_t *ret_cards)
{
	*ret_nodes = *ret_cards = 0;
	for (uint32_t i = 0; i < spec->n_kinds; i++)
		strtab_add(&c->kinds, spec->kinds[i].name);
	for (uint32_t i = 0; i < spec->n_centres; i++) {
		strtab_add(&c->centre_names, spec->centres[i].name);
		for (uint32_t l = 0; l < spec->centres[i].n_lines; l++) {
			*ret_nodes += spec->centres[i].lines[l].count;
			*ret_cards += spec->centres[i].lines[l].count * spec->centres[i].lines[l].cards;
		}
	}
}

static void build_pool(struct plan_check *c, const struct pool_spec *spec)
{
	uint32_t n_nodes, n_cards, node = 0, card = 0, domain = 0;

	number_names(c, spec, &n_nodes, &n_cards);
	c->centres = mem_resize(c->centres, c->centre_names.count, sizeof *c->centres);
	for (uint32_t i = 0; i < c->centre_names.count; i++)
		c->centres[i] = (struct book_centre){.silent = i < c->n_centres && c->centres[i].silent};
	c->n_centres = c->centre_names.count;
	c->nodes = mem_new(n_nodes, sizeof *c->nodes);
	c->used_milli = mem_new(n_cards, sizeof *c->used_milli);
	for (uint32_t i = 0; i < spec->n_centres; i++) {
		uint32_t centre = strtab_find(&c->centre_names, spec->centres[i].name);

		c->centres[centre].node_first = node;
		c->centres[centre].capabilities = spec->centres[i].capabilities;
		for (uint32_t l = 0; l < spec->centres[i].n_lines; l++)
			add_line(c, centre, &spec->centres[i].lines[l], &node, &card, &domain);
		c->centres[centre].n_nodes = node - c->centres[centre].node_first;
	}
}

static void free_pool(struct plan_check *c)
{
	free(c->nodes);
	free(c->used_milli);
	map_done(&c->resource_of);
	c->n_resources = 0;
}

static void claim_all(struct plan_check *c, const struct book_plan *plan, int sign)
{
	for (uint32_t i = 0; i < plan->n_claims && !plan->moved; i++) {
		struct book_resource *r = resource_of(c, plan->claims[i].resource);

		if (r)
			r->used += (uint64_t)sign * plan->claims[i].amount;
	}
}

/* ---- Plans ---- */

static struct book_plan *keep_plan(struct plan_check *c, uint32_t job, const struct plan *plan, const struct request *request)
{
	struct book_plan *kept = mem_new(1,
	                                 sizeof *kept + plan->n_tasks * sizeof *kept->tasks + plan->n_claims * sizeof *kept->claims);

	*kept = (struct book_plan){.job = job,
	                           .kind = plan->kind,
	                           .n_tasks = plan->n_tasks,
	                           .n_claims = plan->n_claims,
	                           .start_us = plan->start_us,
	                           .until_us = plan->until_us};
	kept->claims = (struct claim *)(void *)&kept->tasks[plan->n_tasks];
	if (plan->n_claims)
		memcpy(kept->claims, plan->claims, plan->n_claims * sizeof *plan->claims);
	for (uint32_t i = 0; i < plan->n_tasks; i++) {
		const struct task *t = &plan->tasks[i];

		kept->tasks[i] = (struct book_task){.plan = kept,
		                                    .node = node_of(c, t->centre, t->node),
		                                    .centre = t->centre,
		                                    .number = t->node,
		                                    .cards_milli = t->cards_milli,
		                                    .cpus_milli = request->cpus_milli,
		                                    .memory_mib = request->memory_mib,
		                                    .cards = t->cards};
	}
	return kept;
}

static void enlist(struct book_plan **head, struct book_plan *plan)
{
	plan->next = *head;
	plan->link = head;
	if (plan->next)
		plan->next->link = &plan->next;
	*head = plan;
}

static struct book_plan *free_plan(struct book_plan *plan)
{
	if (!plan)
		return NULL;
	*plan->link = plan->next;
	if (plan->next)
		plan->next->link = plan->link;
	free(plan);
	return NULL;
}

static struct book_plan *end_plan(struct plan_check *c, struct book_plan *plan)
{
	if (!plan)
		return NULL;
	for (uint32_t i = 0; i < plan->n_tasks; i++)
		leave_node(&plan->tasks[i]);
	claim_all(c, plan, -1);
	return free_plan(plan);
}

static struct book_plan *end_promise(struct book_plan *plan)
{
	for (uint32_t i = 0; plan && i < plan->n_tasks; i++)
		list_remove(&plan->tasks[i]);
	return free_plan(plan);
}

static void end_promises(struct plan_check *c)
{
	while (c->promised) {
		uint32_t job = c->promised->job;

		c->jobs[job].promise = end_promise(c->jobs[job].promise);
	}
}

/* ---- Rules that a plan keeps by itself ---- */

static int check_task(const struct plan_check *c, const struct request *request, const struct plan *plan, uint32_t i,
                      struct err *err)
{
	const struct task *t = &plan->tasks[i];
	struct book_node *node = node_of(c, t->centre, t->node);
	unsigned bits = (unsigned)__builtin_popcountll(t->cards);
	unsigned needed = (t->cards_milli + CARD_MILLI - 1) / CARD_MILLI;

	if (!node)
		return broken(c, err, "task %" PRIu32 ": centre %" PRIu32 " has no node %" PRIu32, i, t->centre, t->node);
	if (node->seen == c->n_plans)
		return broken(c, err, "task %" PRIu32 ": node %" PRIu32 " is in the gang twice", i, t->node);
	node->seen = c->n_plans;
	if (c->centres[t->centre].silent)
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
	if (c->centres[t->centre].capabilities & CAN_EXACT_CARDS ? bits != needed : bits != 0)
		return broken(c, err, "task %" PRIu32 ": %u cards named, for %" PRIu32 " thousandths", i, bits, t->cards_milli);
	return 0;
}

/* Whether the gang lies within one domain of the tier. */
static bool within(const struct plan_check *c, const struct plan *plan, enum tier tier)
{
	const struct task *first = &plan->tasks[0];
	const struct book_node *a = node_of(c, first->centre, first->node);

	for (uint32_t i = 1; i < plan->n_tasks; i++) {
		const struct book_node *b = node_of(c, plan->tasks[i].centre, plan->tasks[i].node);

		if ((tier == TIER_NODE && b != a) || (tier == TIER_RACK && b->rack != a->rack) ||
		    (tier == TIER_POD && b->pod != a->pod) || (tier <= TIER_CENTRE && plan->tasks[i].centre != first->centre))
			return false;
	}
	return true;
}

static int check_capabilities(const struct plan_check *c, const struct request *request, uint32_t centre, struct err *err)
{
	uint32_t can = c->centres[centre].capabilities;
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
		const struct book_resource *r = sums[which] ? resource_of(c, ids[which]) : NULL;

		if (sums[which] && !(seen & 1u << which) && (!r || r->capacity != AMOUNT_NONE))
			return broken(c, err, "no claim on %" PRIu64 " of resource %" PRIu32 " that its tasks use", sums[which], ids[which]);
	}
	return 0;
}

/* What was asked for, is what the plan gives: how many, of which kind, where, how close together, for how long. */
static int check_shape(struct plan_check *c, const struct book_job *job, const struct plan *plan, struct err *err)
{
	const struct group *group = group_of(c, job);
	const struct request *request;

	c->n_plans++;
	if (plan->request >= group->n_requests)
		return broken(c, err, "request %" PRIu32 " of %" PRIu32, plan->request, group->n_requests);
	request = &group->requests[plan->request];
	if (plan->n_tasks != group->nodes)
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
		const struct book_job *other = job_of(c, job->dependencies[i].job);

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

		if (node->used_milli[card] + share_of(task) > CARD_MILLI)
			return broken(c, err,
			              "card %d of node %" PRIu32 " at centre %" PRIu32 ": %u thousandths are in use, %" PRIu32
			              " more don't fit",
			              card, task->number, task->centre, node->used_milli[card], share_of(task));
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
		used_milli[__builtin_ctzll(left)] = share_of(promise);
	for (const struct book_task *t = node->live; t; t = t->next) {
		if (t->plan->until_us <= promise->plan->start_us)
			continue;
		for (uint64_t left = t->cards & promise->cards; left; left &= left - 1) {
			int card = __builtin_ctzll(left);

			used_milli[card] += share_of(t);
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
	const struct book_job *job = &c->jobs[number];

	return job->array_of && job->attempt == 1 ? job->array_of : number;
}

/* The order of the queue: priority, then arrival. */
static bool comes_before(const struct plan_check *c, uint32_t a, uint32_t b)
{
	return c->jobs[a].priority != c->jobs[b].priority ? c->jobs[a].priority > c->jobs[b].priority : a < b;
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
		const struct book_resource *r = resource_of(c, plan->claims[i].resource);

		if (r && r->capacity != AMOUNT_NONE && r->used > r->capacity)
			return broken(c, err, "resource %" PRIu32 ": %" PRIu64 " claimed of %" PRIu64, plan->claims[i].resource, r->used,
			              r->capacity);
	}
	return 0;
}

/* ---- Jobs ---- */

static uint64_t group_hash(const struct group *group)
{
	uint64_t h = rng_mix(group->nodes ^ (uint64_t)group->highest << 32 ^ (uint64_t)group->n_requests << 40);

	for (uint32_t i = 0; i < group->n_requests; i++) {
		const struct request *r = &group->requests[i];

		h = rng_mix(h ^ r->kind ^ (uint64_t)r->cards_milli << 32);
		h = rng_mix(h ^ r->cpus_milli ^ (uint64_t)r->memory_mib << 32);
		h = rng_mix(h ^ r->centre ^ (uint64_t)r->image << 32);
	}
	return h;
}

/* Alike in all that a rule here asks. */
static bool same_group(const struct group *a, const struct group *b)
{
	if (a->nodes != b->nodes || a->n_requests != b->n_requests || a->highest != b->highest)
		return false;
	for (uint32_t i = 0; i < a->n_requests; i++) {
		const struct request *x = &a->requests[i], *y = &b->requests[i];

		if (x->kind != y->kind || x->cards_milli != y->cards_milli || x->cpus_milli != y->cpus_milli ||
		    x->memory_mib != y->memory_mib || x->centre != y->centre || x->image != y->image)
			return false;
	}
	return true;
}

static uint32_t keep_group(struct plan_check *c, const struct group *group)
{
	uint64_t hash = group_hash(group);
	uint32_t first = map_get(&c->group_of, hash, UINT32_MAX);
	struct book_group *kept = NULL;

	/* Those of one hash follow one another; there is hardly ever more than one. */
	for (uint32_t i = first; i < c->n_groups; i++)
		if (c->groups[i]->hash == hash && same_group(&c->groups[i]->group, group))
			return i;
	kept = arena_new(&c->arena, 1, sizeof *kept);
	kept->hash = hash;
	kept->group = *group;
	kept->group.requests = arena_new(&c->arena, group->n_requests, sizeof *group->requests);
	memcpy(kept->group.requests, group->requests, group->n_requests * sizeof *group->requests);
	mem_grow((void **)&c->groups, &c->groups_cap, c->n_groups, sizeof *c->groups);
	if (first == UINT32_MAX)
		map_set(&c->group_of, hash, c->n_groups);
	c->groups[c->n_groups] = kept;
	return c->n_groups++;
}

/* The record of a job's number, new. */
static int new_job(struct plan_check *c, uint32_t number, struct book_job **ret, struct err *err)
{
	if (job_of(c, number))
		return broken(c, err, "job %" PRIu32 " was there already", number);
	if (number == 0 || number > 100000000)
		return broken(c, err, "%" PRIu32 ": not a job's number", number);
	while (c->n_jobs <= number) {
		mem_grow((void **)&c->jobs, &c->jobs_cap, c->n_jobs, sizeof *c->jobs);
		c->jobs[c->n_jobs++] = (struct book_job){.state = BOOK_UNKNOWN};
	}
	*ret = &c->jobs[number];
	(*ret)->state = BOOK_WAITS;
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
	job->group = keep_group(c, &s->group);
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

static void free_extras(struct book_job *job)
{
	if (job->array)
		free(job->array->ranges);
	free(job->array);
	free(job->dependencies);
	job->array = NULL;
	job->dependencies = NULL;
	job->n_dependencies = 0;
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
	struct book_job *array = job_of(c, p->array), *job;
	uint64_t key = (uint64_t)p->array << 32 | p->index;

	if (!array || !array->array || array->state != BOOK_WAITS)
		return broken(c, err, "job %" PRIu32 " isn't an array that waits", p->array);
	if (!in_ranges(array->array, p->index))
		return broken(c, err, "array %" PRIu32 " has no index %" PRIu32, p->array, p->index);
	if (map_get(&c->elements, key, 0))
		return broken(c, err, "index %" PRIu32 " of array %" PRIu32 " was taken before", p->index, p->array);
	if (check_ready(c, array, c->event->at_us, err) < 0 || new_job(c, p->job, &job, err) < 0)
		return ERR_CORRUPT;
	array = job_of(c, p->array);
	map_set(&c->elements, key, p->job);
	job->group = array->group;
	job->limit_us = array->limit_us;
	job->priority = array->priority;
	job->array_of = p->array;
	return 0;
}

static int count_element(struct plan_check *c, const struct book_job *job, int by, struct err *err)
{
	struct book_array *array = job->array_of ? c->jobs[job->array_of].array : NULL;

	if (!array)
		return 0;
	array->live += (uint32_t)by;
	if (array->parallel_max && array->live > array->parallel_max)
		return broken(c, err, "%" PRIu32 " elements of array %" PRIu32 " at once, at most %" PRIu32, array->live, job->array_of,
		              array->parallel_max);
	return 0;
}

/* ---- A new pool ---- */

/* Finds an attempt's nodes again. What is still there stays in use; a node that is gone, or has no room any more, holds
 * nothing of it, and the sums of its claims are no longer known. */
static void settle(struct plan_check *c, struct book_plan *plan)
{
	for (uint32_t i = 0; i < plan->n_tasks; i++) {
		struct book_task *task = &plan->tasks[i];
		struct book_node *node = task->node || !plan->moved ? node_of(c, task->centre, task->number) : NULL;

		task->link = NULL;
		task->node = node;
		if (node && (node->cards >= 64 || !(task->cards >> node->cards)) && check_room(c, task, NULL) == 0) {
			use_node(task);
			continue;
		}
		task->node = NULL;
		plan->moved = true;
	}
}

/* A new pool: what runs goes on where its node still is, the oldest job first. Promises are to be made anew. */
static int take_pool(struct plan_check *c, const struct pool_spec *spec)
{
	end_promises(c);
	free_pool(c);
	build_pool(c, spec);
	for (uint32_t number = 1; number < c->n_jobs; number++) {
		struct book_plan *plan = c->jobs[number].live;

		if (!plan)
			continue;
		settle(c, plan);
		claim_all(c, plan, 1);
	}
	return 0;
}

/* ---- Events ---- */

static int start_plan(struct plan_check *c, uint32_t number, struct book_job *job, const struct plan *plan, struct err *err)
{
	const struct request *request = &group_of(c, job)->requests[plan->request];
	struct book_plan *kept = keep_plan(c, number, plan, request);

	job->live = kept;
	enlist(&c->live, kept);
	for (uint32_t i = 0; i < kept->n_tasks; i++) {
		if (check_room(c, &kept->tasks[i], err) < 0)
			return ERR_CORRUPT;
		use_node(&kept->tasks[i]);
	}
	for (uint32_t i = 0; i < kept->n_tasks; i++)
		if (check_promises(c, &kept->tasks[i], false, err) < 0)
			return ERR_CORRUPT;
	claim_all(c, kept, 1);
	return check_capacity(c, kept, err);
}

static int take_placed(struct plan_check *c, const struct placed *p, struct err *err)
{
	struct book_job *job = job_of(c, p->job);

	if (!job && p->array && take_element(c, p, err) < 0)
		return ERR_CORRUPT;
	job = job_of(c, p->job);
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
	c->jobs[in_line(c, p->job)].promise = end_promise(c->jobs[in_line(c, p->job)].promise);
	if (count_element(c, job, 1, err) < 0)
		return ERR_CORRUPT;
	return start_plan(c, p->job, job, &p->plan, err);
}

/* It runs since then, and so by its bound until later than was planned. */
static int take_attempt(struct plan_check *c, uint32_t number, uint32_t attempt, enum attempt_state state, us_t at_us,
                        struct err *err)
{
	struct book_job *job = job_of(c, number);
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
	struct book_job *job = job_of(c, number);

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
		use_cards(task->node, task, 1);
		for (uint64_t left = task->cards; left; left &= left - 1)
			if (task->node->used_milli[__builtin_ctzll(left)] > CARD_MILLI)
				return broken(c, err, "task %" PRIu32 ": card %d is in use", i, __builtin_ctzll(left));
	}
	return 0;
}

static int take_ended(struct plan_check *c, const struct ended *e, struct err *err)
{
	struct book_job *job = job_of(c, e->job);

	if (!job || (job->state != BOOK_LIVE && job->state != BOOK_WAITS))
		return broken(c, err, "job %" PRIu32 " is over, or never was", e->job);
	if (e->attempt != (job->state == BOOK_LIVE ? job->attempt : 0))
		return broken(c, err, "attempt %" PRIu32 " of job %" PRIu32 " isn't the one in force", e->attempt, e->job);
	if (job->promise && e->then != JOB_QUEUED)
		job->promise = end_promise(job->promise);
	if (job->state == BOOK_LIVE) {
		job->live = end_plan(c, job->live);
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
	struct book_job *job = job_of(c, number);
	struct book_plan *kept;

	if (!job || job->state != BOOK_WAITS)
		return broken(c, err, "job %" PRIu32 " doesn't wait", number);
	if (job->promise && plan->start_us > job->promise->start_us && !may_delay(cause))
		return broken(c, err, "job %" PRIu32 "'s start moves from %" PRId64 " to %" PRId64 ", because of: %s", number,
		              job->promise->start_us, plan->start_us, cause_word(cause));
	end_promises(c); /* this release holds one */
	if (check_ready(c, job, c->event->at_us, err) < 0)
		return ERR_CORRUPT;
	if (plan->start_us != US_NEVER && plan->start_us < c->event->at_us)
		return broken(c, err, "a start at %" PRId64 ", which is past", plan->start_us);
	if (plan->start_us == US_NEVER) /* holds nothing */
		plan = &(const struct plan){.start_us = US_NEVER, .until_us = US_NEVER, .kind = KIND_NONE};
	else if (check_shape(c, job, plan, err) < 0)
		return ERR_CORRUPT;
	kept = keep_plan(c, number, plan, plan->n_tasks ? &group_of(c, job)->requests[plan->request] : NULL);
	job->promise = kept;
	enlist(&c->promised, kept);
	for (uint32_t i = 0; i < kept->n_tasks; i++) {
		list_add(&kept->tasks[i].node->promised, &kept->tasks[i]);
		if (check_promise(c, &kept->tasks[i], err) < 0)
			return ERR_CORRUPT;
	}
	return 0;
}

static int take_unreserved(struct plan_check *c, uint32_t number, struct err *err)
{
	struct book_job *job = job_of(c, number);

	if (!job)
		return broken(c, err, "there is no job %" PRIu32, number);
	job->promise = end_promise(job->promise);
	return 0;
}

/* It leaves the core; that it was, and how it ended, stays known, so that its number isn't given again. */
static int take_forgotten(struct plan_check *c, uint32_t number, struct err *err)
{
	struct book_job *job = job_of(c, number);

	if (!job || (job->state != BOOK_COMPLETED && job->state != BOOK_OVER))
		return broken(c, err, "job %" PRIu32 " isn't over", number);
	free_extras(job);
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
		if (event->centre.centre >= c->n_centres)
			return broken(c, err, "there is no centre %" PRIu32, event->centre.centre);
		c->centres[event->centre.centre].silent = event->centre.silent;
		break;
	case EVENT_FORGOTTEN: return take_forgotten(c, event->forgotten.job, err);
	case EVENT_CONFIG:
	case EVENT_ELIGIBLE:
	case EVENT_TYPE_COUNT: break;
	}
	return 0;
}

struct plan_check *plan_check_free(struct plan_check *c)
{
	if (!c)
		return NULL;
	for (uint32_t i = 0; i < c->n_jobs; i++) {
		struct book_job *job = &c->jobs[i];

		end_plan(c, job->live);
		end_promise(job->promise);
		free_extras(job);
	}
	free(c->jobs);
	free_pool(c);
	free(c->centres);
	free(c->resources);
	free(c->groups);
	arena_done(&c->arena);
	map_done(&c->group_of);
	map_done(&c->elements);
	strtab_done(&c->kinds);
	strtab_done(&c->centre_names);
	free(c);
	return NULL;
}
