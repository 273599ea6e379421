/* SPDX-License-Identifier: Apache-2.0
 * book.c: the plan checker's own books; see book.h. Racks and pods are its own arithmetic on the lines of the pool file. */
#include "sim/book.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "core/pool.h"

struct book_job *book_job(const struct book *book, uint32_t number)
{
	return number < book->n_jobs && book->jobs[number].state != BOOK_UNKNOWN ? &book->jobs[number] : NULL;
}

const struct group *book_group(const struct book *book, const struct book_job *job)
{
	return &book->groups[job->group]->group;
}

struct book_node *book_node(const struct book *book, uint32_t centre, uint32_t number)
{
	if (centre >= book->n_centres || number >= book->centres[centre].n_nodes)
		return NULL;
	return &book->nodes[book->centres[centre].node_first + number];
}

struct book_resource *book_resource(const struct book *book, uint32_t id)
{
	uint32_t at = map_get(&book->resource_of, id, UINT32_MAX);

	return at == UINT32_MAX ? NULL : &book->resources[at];
}

/* ---- Nodes ---- */

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
uint32_t book_share(const struct book_task *task)
{
	return task->cards_milli < CARD_MILLI ? task->cards_milli : CARD_MILLI;
}

void book_use_cards(struct book_node *node, const struct book_task *task, int sign)
{
	for (uint64_t left = task->cards; left; left &= left - 1)
		node->used_milli[__builtin_ctzll(left)] = (uint16_t)(node->used_milli[__builtin_ctzll(left)] +
		                                                     sign * (int)book_share(task));
}

void book_use(struct book_task *task)
{
	struct book_node *node = task->node;

	node->cards_milli += task->cards_milli;
	node->cpus_milli += task->cpus_milli;
	node->memory_mib += task->memory_mib;
	book_use_cards(node, task, 1);
	list_add(&node->live, task);
}

static uint32_t lesser(uint64_t a, uint64_t b)
{
	return (uint32_t)(a < b ? a : b);
}

/* Of each card the whole share or nothing; of the rest what there is. */
static void fit_in(struct book_task *task, const struct book_node *node)
{
	uint32_t share;

	task->cards_milli = task->given_milli;
	share = book_share(task);
	task->cards = 0;
	for (uint32_t i = 0; i < node->cards; i++)
		if (task->given >> i & 1 && node->used_milli[i] + share <= CARD_MILLI)
			task->cards |= UINT64_C(1) << i;
	if (task->given)
		task->cards_milli = (uint32_t)__builtin_popcountll(task->cards) * share;
	else
		task->cards_milli = lesser(task->given_milli, (uint64_t)node->cards * CARD_MILLI - node->cards_milli);
	task->cpus_milli = task->given_cpus_milli;
	if (node->cpus_max != UNCOUNTED)
		task->cpus_milli = lesser(task->given_cpus_milli, node->cpus_max - node->cpus_milli);
	task->memory_mib = task->given_mib;
	if (node->memory_max != UNCOUNTED)
		task->memory_mib = lesser(task->given_mib, node->memory_max - node->memory_mib);
}

bool book_use_again(struct book *book, struct book_task *task)
{
	task->link = NULL;
	task->node = book_node(book, task->centre, task->number);
	if (!task->node)
		return false;
	fit_in(task, task->node);
	book_use(task);
	return task->cards_milli == task->given_milli && task->cards == task->given && task->cpus_milli == task->given_cpus_milli &&
	       task->memory_mib == task->given_mib;
}

static void leave_node(struct book_task *task)
{
	struct book_node *node = task->node;

	if (!node)
		return;
	list_remove(task);
	book_use_cards(node, task, -1);
	node->cards_milli -= task->cards_milli;
	node->cpus_milli -= task->cpus_milli;
	node->memory_mib -= task->memory_mib;
}

void book_promise(struct book_task *task)
{
	list_add(&task->node->promised, task);
}

/* ---- The pool ---- */

static void add_resource(struct book *book, uint32_t id, uint64_t amount)
{
	struct book_resource *r = book_resource(book, id);

	if (!r) {
		mem_grow((void **)&book->resources, &book->resources_cap, book->n_resources, sizeof *book->resources);
		map_set(&book->resource_of, id, book->n_resources);
		r = &book->resources[book->n_resources++];
		*r = (struct book_resource){0};
	}
	r->capacity = r->capacity == AMOUNT_NONE || amount == AMOUNT_NONE ? AMOUNT_NONE : r->capacity + amount;
}

static void add_line(struct book *book, uint32_t centre, const struct line_spec *line, uint32_t *node, uint32_t *card,
                     uint32_t *domain)
{
	uint32_t kind = line->kind ? strtab_find(&book->kinds, line->kind) : KIND_NONE;
	uint64_t rack_size = line->nodes_per_rack ? line->nodes_per_rack : line->count;
	uint64_t pod_size = line->nodes_per_rack && line->racks_per_pod ? rack_size * line->racks_per_pod : line->count;

	for (uint32_t i = 0; i < line->count; i++) {
		book->nodes[(*node)++] = (struct book_node){.used_milli = &book->used_milli[*card],
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
		add_resource(book, resource_id(RESOURCE_CARDS, centre, kind), (uint64_t)line->count * line->cards * CARD_MILLI);
	add_resource(book, resource_id(RESOURCE_CPUS, centre, 0),
	             line->cpus_milli == UNCOUNTED ? AMOUNT_NONE : (uint64_t)line->count * line->cpus_milli);
	add_resource(book, resource_id(RESOURCE_MEMORY, centre, 0),
	             line->memory_mib == UNCOUNTED ? AMOUNT_NONE : (uint64_t)line->count * line->memory_mib);
}

/* Numbers of kinds and centres are those of the order in which they first came, and stay. */
static void number_names(struct book *book, const struct pool_spec *spec, uint32_t *ret_nodes, uint32_t *ret_cards)
{
	*ret_nodes = *ret_cards = 0;
	for (uint32_t i = 0; i < spec->n_kinds; i++)
		strtab_add(&book->kinds, spec->kinds[i].name);
	for (uint32_t i = 0; i < spec->n_centres; i++) {
		strtab_add(&book->centre_names, spec->centres[i].name);
		for (uint32_t l = 0; l < spec->centres[i].n_lines; l++) {
			*ret_nodes += spec->centres[i].lines[l].count;
			*ret_cards += spec->centres[i].lines[l].count * spec->centres[i].lines[l].cards;
		}
	}
}

static void build_pool(struct book *book, const struct pool_spec *spec)
{
	uint32_t n_nodes, n_cards, node = 0, card = 0, domain = 0;

	number_names(book, spec, &n_nodes, &n_cards);
	book->centres = mem_resize(book->centres, book->centre_names.count, sizeof *book->centres);
	for (uint32_t i = 0; i < book->centre_names.count; i++)
		book->centres[i] = (struct book_centre){.silent = i < book->n_centres && book->centres[i].silent};
	book->n_centres = book->centre_names.count;
	book->nodes = mem_new(n_nodes, sizeof *book->nodes);
	book->used_milli = mem_new(n_cards, sizeof *book->used_milli);
	for (uint32_t i = 0; i < spec->n_centres; i++) {
		uint32_t centre = strtab_find(&book->centre_names, spec->centres[i].name);

		book->centres[centre].node_first = node;
		book->centres[centre].capabilities = spec->centres[i].capabilities;
		for (uint32_t l = 0; l < spec->centres[i].n_lines; l++)
			add_line(book, centre, &spec->centres[i].lines[l], &node, &card, &domain);
		book->centres[centre].n_nodes = node - book->centres[centre].node_first;
	}
}

static void free_pool(struct book *book)
{
	free(book->nodes);
	free(book->used_milli);
	map_done(&book->resource_of);
	book->n_resources = 0;
}

/* What operators said of nodes stays with those that are still there, and so do bookings. */
static void mark_nodes(struct book *book)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < book->n_marks; i++) {
		struct book_node *node = book_node(book, book->marks[i].centre, book->marks[i].number);

		if (!node)
			continue;
		node->state = book->marks[i].state;
		book->marks[n++] = book->marks[i];
	}
	book->n_marks = n;
}

static void count_booking(struct book *book, const struct book_booking *b, int by)
{
	for (uint32_t i = 0; i < b->n_ranges; i++)
		for (uint32_t number = b->ranges[i].first; number <= b->ranges[i].last; number++) {
			struct book_node *node = book_node(book, b->centre, number);

			if (!node)
				break;
			node->bookings += (uint32_t)by;
		}
}

void book_set_pool(struct book *book, const struct pool_spec *spec)
{
	free_pool(book);
	build_pool(book, spec);
	mark_nodes(book);
	for (uint32_t i = 0; i < book->n_bookings; i++)
		count_booking(book, &book->bookings[i], 1);
	quota_declare(&book->quota, spec, &book->kinds);
}

/* ---- Nodes that are out, and bookings ---- */

void book_mark(struct book *book, uint32_t centre, uint32_t number, enum node_state state)
{
	struct book_node *node = book_node(book, centre, number);
	uint32_t i = 0;

	if (!node)
		return;
	node->state = state;
	while (i < book->n_marks && (book->marks[i].centre != centre || book->marks[i].number != number))
		i++;
	if (i < book->n_marks)
		book->marks[i] = book->marks[--book->n_marks];
	if (state == NODE_UP)
		return;
	mem_grow((void **)&book->marks, &book->marks_cap, book->n_marks, sizeof *book->marks);
	book->marks[book->n_marks++] = (struct book_mark){centre, number, state};
}

void book_keep_booking(struct book *book, const struct booked *booked)
{
	struct book_booking *b;

	mem_grow((void **)&book->bookings, &book->bookings_cap, book->n_bookings, sizeof *book->bookings);
	b = &book->bookings[book->n_bookings++];
	*b = (struct book_booking){.id = booked->booking,
	                           .project = *booked->project ? quota_project(&book->quota, booked->project) : UINT32_MAX,
	                           .centre = booked->centre,
	                           .n_ranges = booked->n_ranges,
	                           .from_us = booked->from_us,
	                           .until_us = booked->until_us,
	                           .ranges = mem_new(booked->n_ranges, sizeof *b->ranges)};
	memcpy(b->ranges, booked->ranges, b->n_ranges * sizeof *b->ranges);
	count_booking(book, b, 1);
}

void book_end_booking(struct book *book, struct book_booking *booking)
{
	count_booking(book, booking, -1);
	free(booking->ranges);
	*booking = book->bookings[--book->n_bookings];
}

struct book_booking *book_find_booking(const struct book *book, uint32_t id)
{
	for (uint32_t i = 0; i < book->n_bookings; i++)
		if (book->bookings[i].id == id)
			return &book->bookings[i];
	return NULL;
}

bool book_booking_has(const struct book_booking *b, uint32_t centre, uint32_t number)
{
	for (uint32_t i = 0; b->centre == centre && i < b->n_ranges; i++)
		if (b->ranges[i].first <= number && number <= b->ranges[i].last)
			return true;
	return false;
}

/* ---- Plans ---- */

void book_claim(struct book *book, const struct book_plan *plan, int sign)
{
	for (uint32_t i = 0; i < plan->n_claims && !plan->moved; i++) {
		struct book_resource *r = book_resource(book, plan->claims[i].resource);

		if (r)
			r->used += (uint64_t)sign * plan->claims[i].amount;
	}
}

static void enlist(struct book_plan **head, struct book_plan *plan)
{
	plan->next = *head;
	plan->link = head;
	if (plan->next)
		plan->next->link = &plan->next;
	*head = plan;
}

enum { SPARE_CLAIMS = 4 };

/* Room for a plan. Those of one task, which most are, are used again and again. */
static struct book_plan *new_plan(struct book *book, uint32_t n_tasks, uint32_t n_claims)
{
	struct book_plan *plan = book->spare;
	bool small = n_tasks == 1 && n_claims <= SPARE_CLAIMS;

	if (!small || !plan)
		return mem_new(1,
		               sizeof *plan + n_tasks * sizeof *plan->tasks + (small ? SPARE_CLAIMS : n_claims) * sizeof *plan->claims);
	book->spare = plan->next;
	return plan;
}

static void free_plan(struct book *book, struct book_plan *plan)
{
	*plan->link = plan->next;
	if (plan->next)
		plan->next->link = plan->link;
	if (plan->n_tasks != 1 || plan->n_claims > SPARE_CLAIMS) {
		free(plan);
		return;
	}
	plan->next = book->spare;
	book->spare = plan;
}

struct book_plan *book_keep_plan(struct book *book, struct book_plan **list, uint32_t job, const struct plan *plan,
                                 const struct request *request)
{
	struct book_plan *kept = new_plan(book, plan->n_tasks, plan->n_claims);

	*kept = (struct book_plan){.job = job,
	                           .kind = plan->kind,
	                           .request = plan->request,
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
		                                    .node = book_node(book, t->centre, t->node),
		                                    .centre = t->centre,
		                                    .number = t->node,
		                                    .cards_milli = t->cards_milli,
		                                    .cpus_milli = request->cpus_milli,
		                                    .memory_mib = request->memory_mib,
		                                    .cards = t->cards,
		                                    .given_milli = t->cards_milli,
		                                    .given_cpus_milli = request->cpus_milli,
		                                    .given_mib = request->memory_mib,
		                                    .given = t->cards};
	}
	enlist(list, kept);
	return kept;
}

struct book_plan *book_end_plan(struct book *book, struct book_plan *plan)
{
	if (!plan)
		return NULL;
	for (uint32_t i = 0; i < plan->n_tasks; i++)
		leave_node(&plan->tasks[i]);
	book_claim(book, plan, -1);
	free_plan(book, plan);
	return NULL;
}

void book_name_victims(struct book *book, struct book_job *job, const uint32_t *victims, uint32_t n)
{
	struct book_plan *promise = job->promise;

	promise->victims = mem_new(n, sizeof *victims);
	promise->n_victims = n;
	if (n)
		memcpy(promise->victims, victims, n * sizeof *victims);
	for (uint32_t i = 0; i < n; i++) /* of a promise that is put off some are gone, and may run again */
		if (promise->cause != CAUSE_OVERRUN || book->jobs[victims[i]].stopped != CAUSE_NONE)
			book->jobs[victims[i]].victim_of = promise->job;
	book->n_ordinary -= n > 0;
}

bool book_awaits_victims(const struct book *book, const struct book_plan *promise)
{
	for (uint32_t i = 0; i < promise->n_victims; i++)
		if (book->jobs[promise->victims[i]].state == BOOK_LIVE && book->jobs[promise->victims[i]].victim_of == promise->job)
			return true;
	return false;
}

void book_end_promise(struct book *book, struct book_job *job)
{
	struct book_plan *promise = job->promise;

	if (!promise)
		return;
	book->n_ordinary -= promise->n_victims == 0;
	for (uint32_t i = 0; i < promise->n_victims; i++)
		if (book->jobs[promise->victims[i]].victim_of == promise->job && book->jobs[promise->victims[i]].stopped == CAUSE_NONE)
			book->jobs[promise->victims[i]].victim_of = 0; /* it need not leave any more */
	free(promise->victims);
	for (uint32_t i = 0; i < promise->n_tasks; i++)
		list_remove(&promise->tasks[i]);
	free_plan(book, promise);
	job->promise = NULL;
}

void book_end_promises(struct book *book)
{
	while (book->promised)
		book_end_promise(book, &book->jobs[book->promised->job]);
}

/* ---- Jobs ---- */

static uint64_t group_hash(const struct group *group)
{
	uint64_t h = rng_mix(group->nodes ^ (uint64_t)group->highest << 32 ^ (uint64_t)group->n_requests << 40);

	for (uint32_t i = 0; i < group->n_requests; i++) {
		const struct request *r = &group->requests[i];

		h = rng_mix(h ^ r->kind ^ (uint64_t)r->cards_milli << 32);
		h = rng_mix(h ^ r->cpus_milli ^ (uint64_t)r->memory_mib << 32);
		h = rng_mix(h ^ r->centre ^ (uint64_t)r->image << 32 ^ (uint64_t)r->speed_milli << 33);
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
		    x->memory_mib != y->memory_mib || x->centre != y->centre || x->image != y->image || x->speed_milli != y->speed_milli)
			return false;
	}
	return true;
}

uint32_t book_keep_group(struct book *book, const struct group *group)
{
	uint64_t hash = group_hash(group);
	uint32_t first = map_get(&book->group_of, hash, UINT32_MAX);
	struct book_group *kept = NULL;

	/* Those of one hash follow one another; there is hardly ever more than one. */
	for (uint32_t i = first; i < book->n_groups; i++)
		if (book->groups[i]->hash == hash && same_group(&book->groups[i]->group, group))
			return i;
	kept = arena_new(&book->arena, 1, sizeof *kept);
	kept->hash = hash;
	kept->group = *group;
	kept->group.requests = arena_new(&book->arena, group->n_requests, sizeof *group->requests);
	memcpy(kept->group.requests, group->requests, group->n_requests * sizeof *group->requests);
	mem_grow((void **)&book->groups, &book->groups_cap, book->n_groups, sizeof *book->groups);
	if (first == UINT32_MAX)
		map_set(&book->group_of, hash, book->n_groups);
	book->groups[book->n_groups] = kept;
	return book->n_groups++;
}

struct book_job *book_new_job(struct book *book, uint32_t number)
{
	assert(number > 0 && !book_job(book, number));
	while (book->n_jobs <= number) {
		mem_grow((void **)&book->jobs, &book->jobs_cap, book->n_jobs, sizeof *book->jobs);
		book->jobs[book->n_jobs++] = (struct book_job){.state = BOOK_UNKNOWN};
	}
	book->jobs[number].state = BOOK_WAITS;
	book->jobs[number].started_us = US_NEVER;
	return &book->jobs[number];
}

void book_job_done(struct book_job *job)
{
	if (job->array)
		free(job->array->ranges);
	free(job->array);
	free(job->dependencies);
	job->array = NULL;
	job->dependencies = NULL;
	job->n_dependencies = 0;
}

void book_done(struct book *book)
{
	for (uint32_t i = 0; i < book->n_jobs; i++) {
		book_end_plan(book, book->jobs[i].live);
		book_end_promise(book, &book->jobs[i]);
		book_job_done(&book->jobs[i]);
	}
	free(book->jobs);
	for (struct book_plan *plan; (plan = book->spare);) {
		book->spare = plan->next;
		free(plan);
	}
	for (uint32_t i = 0; i < book->n_bookings; i++)
		free(book->bookings[i].ranges);
	free(book->bookings);
	free(book->marks);
	quota_done(&book->quota);
	free_pool(book);
	free(book->centres);
	free(book->resources);
	free(book->groups);
	arena_done(&book->arena);
	map_done(&book->group_of);
	map_done(&book->elements);
	strtab_done(&book->kinds);
	strtab_done(&book->centre_names);
	*book = (struct book){0};
}
