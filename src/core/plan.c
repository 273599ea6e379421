/* SPDX-License-Identifier: Apache-2.0
 * plan.c: a whole plan for a job, or none: which shelf and request, and from when.
 *
 * Reads the state and writes nothing that lasts. A plan is a start, a task a node, and a claim a resource. Among the ways that
 * will do the order is: as the user ordered them; then by a score of how late this job's work would be done there, and what it
 * would cost (and, where the configuration gives it weight, how much of the centre is in use); then the pool file's order. The
 * earliest start is found by giving back what ends by its bound, and taking it again after; it is looked for only where what has
 * no bound leaves enough, and tried only once the sum of the cards that are free by then is enough. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/wide.h"
#include "core/place.h"
#include "core/state.h"

/* ---- Ways to place a shape ---- */

/* Whether a centre's engine can enforce what a request wants: what it can't is never placed there. */
static bool centre_can(const struct centre_spec *centre, const struct request *q)
{
	if (q->cards_milli % CARD_MILLI && !(centre->capabilities & CAN_FRACTIONS))
		return false;
	return centre->capabilities & (q->image ? CAN_IMAGES : CAN_BARE);
}

static bool shelf_will_do(const struct core *core, const struct shelf *shelf, const struct request *q)
{
	if (q->centre != CENTRE_ANY && q->centre != shelf->centre)
		return false;
	if (q->kind != KIND_NONE && (shelf->kind == KIND_NONE || (q->kind != KIND_ANY && q->kind != shelf->kind)))
		return false;
	return centre_can(core->pool->centres[shelf->centre].spec, q);
}

/* A way to place a shape, as it compares to others. */
struct way {
	struct candidate c;
	uint64_t score;
};

enum { PER_MILLE = 1000 };

/* The weighted sum of how much longer this job's work takes there than on its fastest, and how much more it costs than at the
 * cheapest, in thousandths of these. */
static uint64_t score_of(const struct core *core, const struct group *group, struct candidate c, uint32_t fastest,
                         uint64_t cheapest)
{
	const struct request *q = &group->requests[c.request];
	uint64_t price = core->pool->shelves[c.shelf].price_micros, score, cost;

	score = (uint64_t)core->config.finish_weight * fastest * PER_MILLE / (q->speed_milli ? q->speed_milli : 1);
	if (q->kind == KIND_NONE || !price)
		return score;
	cost = price * PER_MILLE / (q->speed_milli ? q->speed_milli : 1);
	if (cheapest && cost > cheapest)
		score += core->config.price_weight * (cost / cheapest > 1000000 ? 1000000 : (cost - cheapest) * PER_MILLE / cheapest);
	return score;
}

/* The cheapest work that the ways offer, in price a card-hour at speed 1; 0 where none has a price. */
static uint64_t cheapest_of(const struct core *core, const struct group *group, const struct way *ways, uint32_t n)
{
	uint64_t cheapest = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t speed = group->requests[ways[i].c.request].speed_milli;
		uint64_t cost = core->pool->shelves[ways[i].c.shelf].price_micros * PER_MILLE / (speed ? speed : 1);

		if (cost && (!cheapest || cost < cheapest))
			cheapest = cost;
	}
	return cheapest;
}

/* Whether a comes before b: see the head of this file. Nodes without cards first for a job without. */
static bool before(const struct core *core, const struct group *group, const struct way *a, const struct way *b)
{
	const struct shelf *sa = &core->pool->shelves[a->c.shelf], *sb = &core->pool->shelves[b->c.shelf];

	if (group->ordered && a->c.request != b->c.request)
		return a->c.request < b->c.request;
	if (group->requests[a->c.request].kind == KIND_NONE && (sa->kind == KIND_NONE) != (sb->kind == KIND_NONE) &&
	    sa->centre == sb->centre)
		return sa->kind == KIND_NONE;
	if (a->score != b->score)
		return a->score < b->score;
	return a->c.shelf != b->c.shelf ? a->c.shelf < b->c.shelf : a->c.request < b->c.request;
}

static void sort_ways(const struct core *core, const struct group *group, struct way *ways, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++) {
		struct way way = ways[i];
		uint32_t at = i;

		for (; at > 0 && before(core, group, &way, &ways[at - 1]); at--)
			ways[at] = ways[at - 1];
		ways[at] = way;
	}
}

/* Sets each way's score. */
static void score_ways(const struct core *core, const struct group *group, struct way *ways, uint32_t n)
{
	uint64_t cheapest = cheapest_of(core, group, ways, n);
	uint32_t fastest = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t speed = group->requests[ways[i].c.request].speed_milli;

		fastest = speed > fastest ? speed : fastest;
	}
	for (uint32_t i = 0; i < n; i++)
		ways[i].score = score_of(core, group, ways[i].c, fastest, cheapest);
}

static uint32_t list_candidates(const struct core *core, const struct group *group, struct candidate *list, struct arena *arena)
{
	struct way *ways = arena_new(arena, (size_t)group->n_requests * core->pool->n_shelves, sizeof *ways);
	uint32_t n = 0;

	for (uint32_t r = 0; r < group->n_requests; r++)
		for (uint32_t s = 0; s < core->pool->n_shelves; s++)
			if (shelf_will_do(core, &core->pool->shelves[s], &group->requests[r]))
				ways[n++].c = (struct candidate){r, s};
	score_ways(core, group, ways, n);
	sort_ways(core, group, ways, n);
	for (uint32_t i = 0; i < n; i++)
		list[i] = ways[i].c;
	return n;
}

/* The square root of a number in 1/2^32, likewise. */
static uint64_t root(uint64_t x)
{
	uint64_t low = 0, high = (uint64_t)1 << 34;

	while (low + 1 < high) {
		uint64_t mid = (low + high) / 2;

		if ((u128)mid * mid <= (u128)x << 32)
			low = mid;
		else
			high = mid;
	}
	return low;
}

static bool empty_pool_holds(const struct core *core, const struct shape *shape)
{
	struct arena arena = {0};
	struct task *tasks = arena_new(&arena, shape->group.nodes, sizeof *tasks);
	bool holds = false;

	for (uint32_t i = 0; i < shape->n_candidates && !holds; i++)
		holds = place_find(&core->empty, shape->candidates[i].shelf, &shape->group,
		                   &shape->group.requests[shape->candidates[i].request], tasks);
	arena_done(&arena);
	return holds;
}

/* x^(milli / 1000) for x of 1 or more, in 1/65536: 2^(log2(x) × milli / 1000), bit by bit (Knuth, TAOCP 1.2.2, exercises 25 and
 * 28). */
static uint64_t power(uint64_t x, uint32_t milli)
{
	uint64_t fraction, bits, result = (uint64_t)1 << 32, factor = (uint64_t)2 << 32, log;
	uint32_t whole = 63 - (uint32_t)__builtin_clzll(x);

	/* log2 in 1/2^24: the leading bit, then each square tells one more. */
	fraction = whole > 32 ? x >> (whole - 32) : x << (32 - whole);
	log = whole;
	for (int i = 0; i < 24; i++) {
		fraction = (uint64_t)((u128)fraction * fraction >> 32);
		log = log << 1 | (fraction >> 33 & 1);
		fraction >>= fraction >> 33 & 1;
	}
	bits = log * milli / 1000;
	for (int i = 0; i < 24; i++) {
		factor = root(factor);
		if (bits >> (23 - i) & 1)
			result = (uint64_t)((u128)result * factor >> 32);
	}
	return result << (bits >> 24) >> 16;
}

/* What a gang's remaining time is multiplied with under `shortest`. */
static uint64_t cards_weight(const struct group *group, uint32_t power_milli)
{
	uint64_t cards = (uint64_t)group->nodes * group->requests[0].cards_milli / CARD_MILLI;

	return power(cards ? cards : 1, power_milli);
}

/* Where a shape's tasks could lie, as a number: shelves, and the wholly free cards that a node needs there. */
static uint64_t place_key(const struct shape *shape)
{
	struct buf buf = {0};
	struct hash hash;

	for (uint32_t i = 0; i < shape->n_candidates; i++) {
		buf_put_uint(&buf, shape->candidates[i].shelf);
		buf_put_uint(&buf, shape->group.requests[shape->candidates[i].request].cards_milli / CARD_MILLI);
	}
	hash = hash_of_buf(&buf);
	return hash_word(hash.bytes);
}

struct shape plan_shape(const struct core *core, const struct group *group, struct arena *arena)
{
	struct shape shape = {.group = *group, .key = shape_key(group)};

	shape.candidates = arena_new(arena, (size_t)group->n_requests * core->pool->n_shelves, sizeof *shape.candidates);
	shape.n_candidates = list_candidates(core, group, shape.candidates, arena);
	shape.never = !empty_pool_holds(core, &shape);
	shape.varies = move_varies(core, &shape);
	shape.weight = cards_weight(group, core->config.cards_power_milli);
	shape.place = place_key(&shape);
	return shape;
}

void plan_candidates(const struct core *core, struct shape *shape)
{
	struct arena arena = {0};
	struct shape made = plan_shape(core, &shape->group, &arena);

	free(shape->candidates);
	shape->candidates = NULL;
	shape->n_candidates = made.n_candidates;
	shape->never = made.never;
	shape->varies = made.varies;
	shape->weight = made.weight;
	shape->place = made.place;
	if (made.n_candidates) {
		shape->candidates = mem_resize(NULL, made.n_candidates, sizeof *shape->candidates);
		memcpy(shape->candidates, made.candidates, made.n_candidates * sizeof *shape->candidates);
	}
	arena_done(&arena);
}

/* ---- A plan ---- */

static void add_claim(struct plan *plan, uint32_t resource, uint64_t amount)
{
	if (amount)
		plan->claims[plan->n_claims++] = (struct claim){resource, amount, plan->start_us, plan->until_us};
}

static void add_claims(struct plan *plan, const struct shelf *shelf, const struct request *q, struct arena *arena)
{
	uint64_t n = plan->n_tasks;

	plan->claims = arena_new(arena, 3, sizeof *plan->claims);
	add_claim(plan, resource_id(RESOURCE_CARDS, shelf->centre, shelf->kind), n * q->cards_milli);
	add_claim(plan, resource_id(RESOURCE_CPUS, shelf->centre, 0), n * q->cpus_milli);
	add_claim(plan, resource_id(RESOURCE_MEMORY, shelf->centre, 0), n * q->memory_mib);
}

us_t plan_end(us_t start_us, us_t limit_us)
{
	return limit_us == US_NEVER ? US_NEVER : us_add(start_us, limit_us);
}

static bool within_quota(const struct core *core, const struct shape *shape, const struct asker *a, struct candidate c)
{
	return a->quota_waived || plan_quota(core, a, shape, c, NULL) == QUOTA_OK;
}

/* Whether a job may go a way at all: its centre is heard, and it is fast enough, and within the quotas. */
static bool is_open_to(const struct core *core, const struct shape *shape, const struct asker *a, struct candidate c)
{
	return !core->silent[core->pool->shelves[c.shelf].centre] &&
	       shape->group.requests[c.request].speed_milli >= a->speed_least_milli && within_quota(core, shape, a, c);
}

/* The ways in the order of how much of each centre's cards is in use, weighed against the rest of the score; in the arena. */
static const struct candidate *balanced(const struct core *core, const struct shape *shape, struct arena *arena)
{
	struct way *ways = arena_new(arena, shape->n_candidates, sizeof *ways);
	struct candidate *list = arena_new(arena, shape->n_candidates, sizeof *list);

	for (uint32_t i = 0; i < shape->n_candidates; i++)
		ways[i].c = shape->candidates[i];
	score_ways(core, &shape->group, ways, shape->n_candidates);
	for (uint32_t i = 0; i < shape->n_candidates; i++) {
		uint64_t all = core->pool->shelves[ways[i].c.shelf].cards * CARD_MILLI;
		uint64_t used = all - core->capacity.shelf_milli[ways[i].c.shelf];

		ways[i].score += all ? core->config.balance_weight * (used * PER_MILLE / all) : 0;
	}
	sort_ways(core, &shape->group, ways, shape->n_candidates);
	for (uint32_t i = 0; i < shape->n_candidates; i++)
		list[i] = ways[i].c;
	return list;
}

enum { SHARES_ONE_IN = 32, SHARES_LEAST = 4 };

/* Whether nodes are chosen by what their rest is worth: where shares of cards are asked for often, for whole cards alone best fit
 * is as good, and far cheaper. */
static bool uses_value(const struct arrivals *a)
{
	return a->fill && a->shares >= SHARES_LEAST && a->shares * SHARES_ONE_IN >= a->all;
}

static const struct arrivals *arrivals_of(const struct core *core, const struct asker *asker)
{
	return asker->arrivals ? asker->arrivals : &core->arrivals;
}

/* Whether two ways differ in the kind or centre alone, at one price. */
static bool as_good(const struct core *core, const struct shape *shape, struct candidate a, struct candidate b)
{
	const struct request *x = &shape->group.requests[a.request], *y = &shape->group.requests[b.request];

	return (a.request == b.request || !shape->group.ordered) && x->cards_milli == y->cards_milli &&
	       x->cpus_milli == y->cpus_milli && x->memory_mib == y->memory_mib && x->speed_milli == y->speed_milli &&
	       core->pool->shelves[a.shelf].price_micros == core->pool->shelves[b.shelf].price_micros;
}

/* Of ways list[from] to before `to`, which are as good as each other, the one with the node whose rest is then worth most; `to`
 * where none holds the request. */
static uint32_t choose_by_value(const struct core *core, const struct shape *shape, const struct asker *asker,
                                const struct capacity *capacity, const struct candidate *list, uint32_t from, uint32_t to,
                                struct arena *arena, struct task *ret)
{
	uint32_t *shelves = arena_new(arena, to - from, sizeof *shelves), n = 0, node;
	const struct request *q = &shape->group.requests[list[from].request];
	uint64_t cards;

	for (uint32_t i = from; i < to; i++)
		if (is_open_to(core, shape, asker, list[i]))
			shelves[n++] = list[i].shelf;
	if (!n || !fill_choose(arrivals_of(core, asker)->fill, capacity, shelves, n, q, &node, &cards))
		return to;
	*ret = (struct task){.centre = core->pool->nodes[node].centre,
	                     .node = core->pool->nodes[node].number,
	                     .cards_milli = q->cards_milli,
	                     .cards = cards};
	while (list[from].shelf != core->pool->nodes[node].shelf)
		from++;
	return from;
}

/* Whether some way before list[i], from list[from] on, is to the same kind of card. */
static bool kind_was_seen(const struct core *core, const struct candidate *list, uint32_t from, uint32_t i)
{
	while (from < i && core->pool->shelves[list[from].shelf].kind != core->pool->shelves[list[i].shelf].kind)
		from++;
	return from < i;
}

/* How badly a node fits one task: cards left over there, and of those as good the larger node. */
static uint32_t badness(const struct core *core, const struct capacity *capacity, const struct task *task)
{
	uint32_t node = pool_node(core->pool, task->centre, task->node);
	uint32_t left = (uint32_t)__builtin_popcountll(capacity->free_cards[node] & ~task->cards);

	return left << 8 | core->pool->nodes[node].cards;
}

/* Of ways list[from] to before `to`, which are as good as each other, the first that holds the group; where they are to several
 * kinds, that of the kind whose node fits best, so that who may go anywhere leaves large nodes alone. `to`: none holds it. */
static uint32_t find_tightest(const struct core *core, const struct shape *shape, const struct asker *asker,
                              const struct capacity *capacity, const struct candidate *list, uint32_t from, uint32_t to,
                              struct task *tasks)
{
	uint32_t best = to, least = UINT32_MAX;
	struct task task = {0};

	for (uint32_t i = from; i < to; i++) {
		if ((best < to && kind_was_seen(core, list, best, i)) || !is_open_to(core, shape, asker, list[i]) ||
		    !place_find(capacity, list[i].shelf, &shape->group, &shape->group.requests[list[i].request], tasks))
			continue;
		if (to == from + 1)
			return i;
		if (badness(core, capacity, &tasks[0]) < least) {
			best = i;
			least = badness(core, capacity, &tasks[0]);
			task = tasks[0];
		}
	}
	if (best < to)
		tasks[0] = task;
	return best;
}

/* The first of list[from] and on that holds the group, with its tasks; n_candidates where none does. */
static uint32_t find_way(const struct core *core, const struct shape *shape, const struct asker *asker,
                         const struct capacity *capacity, const struct candidate *list, struct arena *arena, struct task *tasks)
{
	bool by_value = asker->by_value && shape->group.nodes == 1 && uses_value(arrivals_of(core, asker));

	for (uint32_t i = 0, to, way; i < shape->n_candidates; i = to) {
		for (to = i + 1; shape->group.nodes == 1 && to < shape->n_candidates && as_good(core, shape, list[i], list[to]);)
			to++;
		if (by_value) {
			way = choose_by_value(core, shape, asker, capacity, list, i, to, arena, tasks);

			if (way < to)
				return way;
			continue;
		}
		way = find_tightest(core, shape, asker, capacity, list, i, to, tasks);
		if (way < to)
			return way;
	}
	return shape->n_candidates;
}

bool plan_find(const struct core *core, const struct shape *shape, const struct asker *who, const struct capacity *capacity,
               us_t start_us, struct arena *arena, struct plan *ret)
{
	struct asker then = *who, *asker = &then;
	struct task *tasks = arena_new(arena, shape->group.nodes, sizeof *tasks);
	const struct candidate *list = core->config.balance_weight && shape->n_candidates > 1 ? balanced(core, shape, arena)
	                                                                                      : shape->candidates;

	const struct shelf *shelf;
	const struct request *q;
	uint32_t way;

	then.from_us = start_us;
	way = find_way(core, shape, asker, capacity, list, arena, tasks);
	if (way == shape->n_candidates)
		return false;
	shelf = &core->pool->shelves[list[way].shelf];
	q = &shape->group.requests[list[way].request];
	*ret = (struct plan){
		.start_us = start_us,
		.until_us = plan_end(start_us, asker->limit_us),
		.request = list[way].request,
		.kind = q->kind == KIND_NONE ? KIND_NONE : shelf->kind,
		.tasks = tasks,
		.n_tasks = shape->group.nodes,
	};
	add_claims(ret, shelf, q, arena);
	return true;
}

bool plan_now(const struct core *core, const struct shape *shape, const struct asker *who, us_t now_us, struct arena *arena,
              struct plan *ret)
{
	struct asker by_value = *who, *asker = &by_value;
	const struct keep_view view = {asker->job, asker->project, now_us, plan_end(now_us, asker->limit_us)};
	bool promised = asker->job && core->keep.n_reservations && keep_find(&core->keep, asker->job), shown, found;

	asker->by_value = true;
	/* One who was promised cards looks at those too, at once: they are as good as others, and its promise goes. */
	if (!promised && plan_find(core, shape, asker, &core->keep.open, now_us, arena, ret))
		return true;
	shown = keep_show(keep_of(core), &view, &core->capacity);
	found = (shown || promised) && plan_find(core, shape, asker, &core->keep.open, now_us, arena, ret);
	if (shown)
		keep_hide(keep_of(core), &core->capacity);
	return found;
}

/* ---- The earliest ---- */

/* Of the cards that will be free on a task's node, those that are busy now come first: what is free now stays
 * open to jobs that run longer than the wait. */
static void prefer_busy(const struct core *core, const struct capacity *then, struct plan *plan)
{
	for (uint32_t i = 0; i < plan->n_tasks; i++) {
		struct task *task = &plan->tasks[i];
		uint32_t node = pool_node(core->pool, task->centre, task->node);
		uint64_t busy = then->free_cards[node] & ~core->capacity.free_cards[node], idle = then->free_cards[node] & ~busy;

		if (task->cards_milli < CARD_MILLI)
			continue;
		task->cards = 0;
		for (uint32_t k = 0; k < task->cards_milli / CARD_MILLI; k++) {
			uint64_t *from = busy ? &busy : &idle;

			task->cards |= *from & -*from;
			*from &= *from - 1;
		}
	}
}

/* Whether an amount of all is left by what is held for ever. */
static bool is_left(uint64_t all, uint64_t endless, uint64_t amount)
{
	return all == AMOUNT_NONE || endless + amount <= all;
}

/* Whether some way to place the shape will have the sum of what it needs, once all that has a bound is over. */
static bool may_ever_start(const struct core *core, const struct shape *shape)
{
	uint64_t n = shape->group.nodes;

	for (uint32_t i = 0; i < shape->n_candidates; i++) {
		const struct request *q = &shape->group.requests[shape->candidates[i].request];
		const struct shelf *shelf = &core->pool->shelves[shape->candidates[i].shelf];
		const struct shelf_sum *endless = &core->endless[shape->candidates[i].shelf];

		if (is_left(shelf->cards * CARD_MILLI, endless->cards_milli, n * q->cards_milli) &&
		    is_left(shelf->cpus_milli, endless->cpus_milli, n * q->cpus_milli) &&
		    is_left(shelf->memory_mib, endless->memory_mib, n * q->memory_mib))
			return true;
	}
	return false;
}

/* Whether a job that ends runs where the shape may be placed: no other's end can help it. */
static bool is_near(const struct shape *shape, const struct sorted_entry *end)
{
	if (end->with == UINT32_MAX)
		return true;
	for (uint32_t i = 0; i < shape->n_candidates; i++)
		if (shape->candidates[i].shelf == end->with)
			return true;
	return false;
}

/* What runs, in the order in which it ends by its bound. What is past its bound and still there is taken to end within the grace
 * that a kill has. */
struct future {
	const struct core *core;
	const struct shape *shape;
	us_t now_us, late_us;         /* late_us: when what is late ends */
	struct sorted_place late, on; /* the next near one of those that are late, and of the others, in `ends` */
	us_t at_us;
	uint64_t *free_milli; /* by shelf: thousandths of cards that are free by then, whomever they are kept for */
};

/* Whether somebody stands at a place of `ends` who ends by an instant. */
static bool ends_by(const struct core *core, struct sorted_place place, us_t at_us)
{
	const struct sorted_entry *end = sorted_at(&core->ends, place);

	return end && end->key <= at_us;
}

/* The next place from one on where somebody stands whose end can help. */
static struct sorted_place near_from(const struct future *f, struct sorted_place place)
{
	const struct sorted *all = &f->core->ends;
	const struct sorted_entry *end;

	while ((end = sorted_at(all, place)) && !is_near(f->shape, end))
		place = sorted_next(all, place);
	return place;
}

static struct future future_of(const struct core *core, const struct shape *shape, us_t now_us, struct arena *arena)
{
	struct future f = {.core = core, .shape = shape, .now_us = now_us, .at_us = now_us};

	f.free_milli = arena_new(arena, core->pool->n_shelves, sizeof *f.free_milli);
	memcpy(f.free_milli, core->capacity.shelf_milli, core->pool->n_shelves * sizeof *f.free_milli);
	f.late_us = us_add(now_us, core->config.kill_grace_us > US_SECOND ? core->config.kill_grace_us : US_SECOND);
	while (ends_by(core, f.on, now_us))
		f.on = sorted_next(&core->ends, f.on);
	f.late = near_from(&f, f.late);
	f.on = near_from(&f, f.on);
	return f;
}

static void ends_then(struct future *f, struct sorted_place place)
{
	const struct job *job = core_job(f->core, sorted_at(&f->core->ends, place)->id);
	struct share share;
	uint32_t id;

	for (uint32_t i = 0; i < job->plan.n_tasks; i++)
		if (job_holds(f->core, job, i, &id, &share)) {
			keep_then_give(keep_of(f->core), id, &share);
			f->free_milli[f->core->pool->nodes[id].shelf] += share_milli(&share);
		}
}

/* Whether a shelf has the cards by then, wherever they may lie. */
static bool has_the_cards(const struct future *f)
{
	const struct shape *shape = f->shape;

	for (uint32_t i = 0; i < shape->n_candidates; i++)
		if ((uint64_t)shape->group.nodes * shape->group.requests[shape->candidates[i].request].cards_milli <=
		    f->free_milli[shape->candidates[i].shelf])
			return true;
	return false;
}

/* Whether a shelf has as many nodes with so many wholly free cards as the group wants; whole cards can't be had otherwise. */
static bool has_the_nodes(const struct core *core, const struct shape *shape)
{
	for (uint32_t i = 0; i < shape->n_candidates; i++) {
		const struct shelf *shelf = &core->pool->shelves[shape->candidates[i].shelf];
		uint32_t milli = shape->group.requests[shape->candidates[i].request].cards_milli;

		if (milli < CARD_MILLI ||
		    capacity_nodes_with(&core->keep.open, shelf->domain, shelf->cards_max, milli / CARD_MILLI) >= shape->group.nodes)
			return true;
	}
	return false;
}

enum { ENDS_AT_ONCE = 64 };

/* Goes on to the next instant at which anything ends; false where there is none. Of many ends at one instant some count at a
 * time: a gang seldom needs them all. */
static bool future_next(struct future *f)
{
	const struct sorted *all = &f->core->ends;
	us_t next_us = keep_next_end(&f->core->keep, f->at_us);
	int ends = 0;

	if (ends_by(f->core, f->late, f->now_us) && f->late_us < next_us)
		next_us = f->late_us;
	if (ends_by(f->core, f->on, next_us))
		next_us = sorted_at(all, f->on)->key;
	if (next_us == US_NEVER)
		return false;
	f->at_us = next_us;
	for (; f->late_us <= next_us && ends_by(f->core, f->late, f->now_us); f->late = near_from(f, sorted_next(all, f->late)))
		ends_then(f, f->late);
	for (; ends < ENDS_AT_ONCE && ends_by(f->core, f->on, next_us); f->on = near_from(f, sorted_next(all, f->on)), ends++)
		ends_then(f, f->on);
	return true;
}

/* Takes again what was given back. */
static void future_done(const struct future *f)
{
	const struct sorted *all = &f->core->ends;
	const struct sorted_entry *end, *on = sorted_at(all, f->on);
	bool late_ended = f->at_us >= f->late_us;
	struct share share;
	uint32_t id;

	for (struct sorted_place at = {0}; (end = sorted_at(all, at)) != on; at = sorted_next(all, at)) {
		const struct job *job;

		if ((end->key <= f->now_us && !late_ended) || !is_near(f->shape, end))
			continue;
		job = core_job(f->core, end->id);
		for (uint32_t i = 0; i < job->plan.n_tasks; i++)
			if (job_holds(f->core, job, i, &id, &share) && !keep_has(&f->core->keep, id))
				capacity_take(&keep_of(f->core)->open, id, &share);
	}
	keep_then_end(keep_of(f->core), &f->core->capacity);
}

bool plan_earliest(const struct core *core, const struct shape *shape, const struct asker *asker, us_t now_us,
                   struct arena *arena, struct plan *ret)
{
	struct future f;
	bool found = false;

	if (shape->never || !may_ever_start(core, shape))
		return false;
	keep_then_begin(keep_of(core), &core->capacity);
	f = future_of(core, shape, now_us, arena);
	while (!found && future_next(&f)) {
		struct keep_view view = {asker->job, asker->project, f.at_us, plan_end(f.at_us, asker->limit_us)};

		if (!has_the_cards(&f))
			continue;
		keep_then_show(keep_of(core), &view);
		found = has_the_nodes(core, shape) && plan_find(core, shape, asker, &core->keep.open, f.at_us, arena, ret);
	}
	if (found)
		prefer_busy(core, &core->keep.open, ret);
	future_done(&f);
	return found;
}

/* ---- The nearest ---- */

/* Thousandths of a node's cards that are free and of use to one task. */
static uint32_t use_of(const struct core *core, uint32_t node, const struct request *q)
{
	uint32_t free = (uint32_t)__builtin_popcountll(core->capacity.free_cards[node]) * CARD_MILLI;

	return free < q->cards_milli ? free : q->cards_milli;
}

/* Whether a task could ever lie on a node, and nothing else is kept of it. */
static bool could_hold(const struct core *core, uint32_t node, const struct request *q, const struct asker *asker)
{
	return place_node_holds(&core->empty, node, q) && !keep_has_other(&core->keep, node, asker->job);
}

/* The nodes of a domain that come nearest to holding the gang, by rising number; returns their use, or 0 where they are too few.
 */
static uint64_t nearest_in(const struct core *core, const struct domain *d, const struct shape *shape, const struct request *q,
                           const struct asker *asker, uint32_t *nodes)
{
	uint32_t n = 0, most = q->cards_milli, unit = most < CARD_MILLI ? most : CARD_MILLI, steps = unit ? most / unit : 0;
	uint64_t use = 1;

	for (uint32_t step = 0; step <= steps && n < shape->group.nodes; step++)
		for (uint32_t i = 0; i < d->n_nodes && n < shape->group.nodes; i++) {
			uint32_t node = d->node_first + i, free = use_of(core, node, q);

			if (free != (steps - step) * unit || !could_hold(core, node, q, asker))
				continue;
			nodes[n++] = node;
			use += free;
		}
	return n == shape->group.nodes ? use : 0;
}

int compare_numbers(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* A node's task on the cards that are free, then on others. */
static struct task task_there(const struct core *core, uint32_t node, const struct request *q)
{
	const struct node *n = &core->pool->nodes[node];
	struct task task = {.centre = n->centre, .node = n->number, .cards_milli = q->cards_milli};
	uint64_t free = core->capacity.free_cards[node];
	uint32_t need = q->cards_milli < CARD_MILLI ? q->cards_milli > 0 : q->cards_milli / CARD_MILLI;

	for (uint32_t k = 0; k < need; k++) {
		uint64_t from = free ? free : ~task.cards;

		task.cards |= from & -from;
		free &= free - 1;
	}
	return task;
}

bool plan_nearest(const struct core *core, const struct shape *shape, const struct asker *asker, struct arena *arena,
                  struct plan *ret, uint64_t *ret_milli)
{
	uint32_t *nodes = arena_new(arena, shape->group.nodes, sizeof *nodes),
			 *best = arena_new(arena, shape->group.nodes, sizeof *best);
	uint64_t most = 0;

	for (uint32_t i = 0; i < shape->n_candidates; i++) {
		const struct shelf *shelf = &core->pool->shelves[shape->candidates[i].shelf];
		const struct request *q = &shape->group.requests[shape->candidates[i].request];
		enum tier tier = shape->group.highest < TIER_RACK ? TIER_RACK : shape->group.highest;
		uint32_t first = tier == TIER_RACK ? shelf->rack_first : tier == TIER_POD ? shelf->pod_first : shelf->domain;
		uint32_t n = tier == TIER_RACK ? shelf->n_racks : tier == TIER_POD ? shelf->n_pods : 1;

		for (uint32_t d = first; d < first + n; d++) {
			uint64_t use = nearest_in(core, &core->pool->domains[d], shape, q, asker, nodes);

			if (use <= most || !within_quota(core, shape, asker, shape->candidates[i]))
				continue;
			most = use;
			memcpy(best, nodes, shape->group.nodes * sizeof *best);
			*ret = (struct plan){.start_us = US_NEVER, .until_us = US_NEVER, .request = shape->candidates[i].request};
			ret->kind = q->kind == KIND_NONE ? KIND_NONE : shelf->kind;
		}
	}
	if (!most)
		return false;
	qsort(best, shape->group.nodes, sizeof *best, compare_numbers);
	ret->n_tasks = shape->group.nodes;
	ret->tasks = arena_new(arena, ret->n_tasks, sizeof *ret->tasks);
	for (uint32_t i = 0; i < ret->n_tasks; i++)
		ret->tasks[i] = task_there(core, best[i], &shape->group.requests[ret->request]);
	*ret_milli = most;
	return true;
}
