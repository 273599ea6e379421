/* SPDX-License-Identifier: Apache-2.0
 * place.c: best fit over the tree of domains; see place.h.
 *
 * Which node or domain is tightest is asked of capacity's sets, so that the cost hardly grows with the pool; nodes that have the
 * cards, but too few CPUs or too little memory, are passed over one by one. */
#include "core/place.h"

#include <stdlib.h>

enum { CARD_NONE = 64 };

struct share place_share(const struct task *task, const struct request *request)
{
	return (struct share){
		.cards = task->cards,
		.milli = request->cards_milli < CARD_MILLI ? request->cards_milli : CARD_MILLI,
		.cpus_milli = request->cpus_milli,
		.memory_mib = request->memory_mib,
	};
}

/* ---- One node ---- */

static bool is_share(const struct request *q)
{
	return q->cards_milli > 0 && q->cards_milli < CARD_MILLI;
}

/* The partly free card of a node that a share fills best, or CARD_NONE. */
static uint32_t tightest_card(const struct capacity *c, uint32_t id, uint32_t milli)
{
	const struct node *node = &c->pool->nodes[id];
	uint32_t best = CARD_NONE, best_milli = CARD_MILLI;

	for (uint32_t i = 0; i < node->cards; i++) {
		uint32_t free = c->card_milli[node->card_first + i];

		if (free >= milli && free < best_milli) {
			best = i;
			best_milli = free;
		}
	}
	return best;
}

static bool holds_rest(const struct capacity *c, uint32_t node, const struct request *q)
{
	return c->free_cpus[node] >= q->cpus_milli && c->free_memory[node] >= q->memory_mib;
}

static uint32_t free_count(const struct capacity *c, uint32_t node)
{
	return (uint32_t)__builtin_popcountll(c->free_cards[node]);
}

bool place_node_holds(const struct capacity *c, uint32_t node, const struct request *q)
{
	if (!holds_rest(c, node, q))
		return false;
	if (is_share(q))
		return c->free_cards[node] || tightest_card(c, node, q->cards_milli) != CARD_NONE;
	return free_count(c, node) >= q->cards_milli / CARD_MILLI;
}

/* The cards of a node that a task gets: the tightest for a share, the lowest for whole ones. The node holds it. */
static uint64_t choose_cards(const struct capacity *c, uint32_t node, const struct request *q)
{
	uint64_t free = c->free_cards[node], chosen = 0;

	if (is_share(q)) {
		uint32_t card = tightest_card(c, node, q->cards_milli);

		return card != CARD_NONE ? (uint64_t)1 << card : free & -free;
	}
	for (uint32_t i = 0; i < q->cards_milli / CARD_MILLI; i++, free &= free - 1)
		chosen |= free & -free;
	return chosen;
}

static struct task task_on(const struct capacity *c, uint32_t node, const struct request *q)
{
	return (struct task){
		.centre = c->pool->nodes[node].centre,
		.node = c->pool->nodes[node].number,
		.cards_milli = q->cards_milli,
		.cards = choose_cards(c, node, q),
	};
}

/* ---- A group of one ---- */

/* The first node of a shelf with exactly `free` wholly free cards that holds the request. */
static uint32_t find_with(const struct capacity *c, const struct shelf *shelf, uint32_t free, const struct request *q)
{
	const struct domain *d = &c->pool->domains[shelf->domain];
	uint32_t end = d->node_first + d->n_nodes, node = capacity_next_node(c, shelf, free, d->node_first, end);

	while (node != NODE_NONE && !holds_rest(c, node, q))
		node = capacity_next_node(c, shelf, free, node + 1, end);
	return node;
}

/* The node whose partly free card a share fills best; NODE_NONE where it fits on none. least: the free thousandths of the
 * best so far. */
static uint32_t find_shared(const struct capacity *c, uint32_t domain, const struct request *q, uint32_t *least)
{
	const struct domain *d = &c->pool->domains[domain];
	uint32_t best = NODE_NONE;

	if (!c->shared[domain])
		return NODE_NONE;
	for (uint32_t i = 0; i < d->n_children; i++) {
		uint32_t node = find_shared(c, d->child_first + i, q, least);

		best = node != NODE_NONE ? node : best;
	}
	for (uint32_t n = d->node_first; d->tier == TIER_RACK && n < d->node_first + d->n_nodes; n++) {
		uint32_t card = tightest_card(c, n, q->cards_milli);
		uint32_t milli = card == CARD_NONE ? CARD_MILLI : c->card_milli[c->pool->nodes[n].card_first + card];

		if (milli < *least && holds_rest(c, n, q)) {
			*least = milli;
			best = n;
		}
	}
	return best;
}

static uint32_t find_one(const struct capacity *c, const struct shelf *shelf, const struct request *q)
{
	uint32_t least = CARD_MILLI, node = NODE_NONE;
	uint32_t from = is_share(q) ? 1 : q->cards_milli / CARD_MILLI;
	const uint32_t *hist = &c->hist[c->pool->domains[shelf->domain].hist_first];

	if (is_share(q))
		node = find_shared(c, shelf->domain, q, &least);
	for (uint32_t free = from; node == NODE_NONE && free <= shelf->cards_max; free++)
		if (hist[free])
			node = find_with(c, shelf, free, q);
	return node;
}

/* ---- A gang ---- */

/* At most so many of a domain's nodes hold the request, going by its counts alone. */
static uint32_t upper_bound(const struct capacity *c, uint32_t domain, uint32_t cards_max, const struct request *q)
{
	if (is_share(q))
		return c->shared[domain] + capacity_nodes_with(c, domain, cards_max, 1);
	return capacity_nodes_with(c, domain, cards_max, q->cards_milli / CARD_MILLI);
}

enum { FEW_NODES = 64 }; /* so many are gone through as quickly as sets of them */

/* How many of a domain's nodes hold whole cards, up to `nodes`: of those that have the cards free, by the sets. */
static uint32_t count_by_sets(const struct capacity *c, const struct shelf *shelf, const struct domain *d,
                              const struct request *q, uint32_t nodes)
{
	uint32_t end = d->node_first + d->n_nodes, count = 0;

	for (uint32_t free = q->cards_milli / CARD_MILLI; count < nodes && free <= shelf->cards_max; free++)
		for (uint32_t n = d->node_first; count < nodes && (n = capacity_next_node(c, shelf, free, n, end)) != NODE_NONE; n++)
			count += holds_rest(c, n, q);
	return count;
}

/* Whether `nodes` of a domain's nodes hold the request; its counts say that they have the cards. */
static bool domain_holds(const struct capacity *c, const struct shelf *shelf, const struct domain *d, const struct request *q,
                         uint32_t nodes)
{
	if (!is_share(q) && !q->cpus_milli && !q->memory_mib)
		return true;
	if (c->sets && q->cards_milli >= CARD_MILLI && d->n_nodes > FEW_NODES)
		return count_by_sets(c, shelf, d, q, nodes) == nodes;
	for (uint32_t n = d->node_first; nodes && n < d->node_first + d->n_nodes; n++)
		nodes -= place_node_holds(c, n, q);
	return nodes == 0;
}

static int compare_tasks(const void *a, const void *b)
{
	const struct task *x = a, *y = b;

	return x->node < y->node ? -1 : x->node > y->node;
}

static bool is_sorted(const struct task *tasks, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++)
		if (tasks[i].node < tasks[i - 1].node)
			return false;
	return true;
}

/* Fills a gang from a domain that holds it: fullest nodes first. For a share, nodes where a card is shared already. */
static void fill(const struct capacity *c, const struct shelf *shelf, const struct domain *d, const struct request *q,
                 struct task *tasks, uint32_t nodes)
{
	uint32_t taken = 0, end = d->node_first + d->n_nodes;

	for (uint32_t n = d->node_first; is_share(q) && taken < nodes && n < end; n++)
		if (holds_rest(c, n, q) && tightest_card(c, n, q->cards_milli) != CARD_NONE)
			tasks[taken++] = task_on(c, n, q);
	for (uint32_t free = is_share(q) ? 1 : q->cards_milli / CARD_MILLI; taken < nodes && free <= shelf->cards_max; free++)
		for (uint32_t n = capacity_next_node(c, shelf, free, d->node_first, end); n != NODE_NONE && taken < nodes;
		     n = capacity_next_node(c, shelf, free, n + 1, end))
			if (holds_rest(c, n, q) && !(is_share(q) && tightest_card(c, n, q->cards_milli) != CARD_NONE))
				tasks[taken++] = task_on(c, n, q);
	if (!is_sorted(tasks, nodes))
		qsort(tasks, nodes, sizeof *tasks, compare_tasks);
}

/* The domain of a run that holds the gang with the least room to spare, or NULL; by looking at each. */
static const struct domain *tightest_of_all(const struct capacity *c, const struct shelf *shelf, uint32_t first, uint32_t n,
                                            const struct request *q, uint32_t nodes)
{
	const struct domain *best = NULL;
	uint32_t least = UINT32_MAX;

	for (uint32_t d = first; d < first + n; d++) {
		uint32_t room = c->pool->domains[d].n_nodes < nodes ? 0 : upper_bound(c, d, shelf->cards_max, q);

		if (room < nodes || room >= least || !domain_holds(c, shelf, &c->pool->domains[d], q, nodes))
			continue;
		best = &c->pool->domains[d];
		least = room;
	}
	return best;
}

/* The same by the sets of racks or pods with just so much room. */
static const struct domain *tightest_by_room(const struct capacity *c, const struct shelf *shelf, enum tier tier,
                                             const struct request *q, uint32_t nodes)
{
	uint32_t most = tier == TIER_RACK ? shelf->rack_nodes_max : shelf->pod_nodes_max;
	uint32_t first = tier == TIER_RACK ? shelf->rack_first : shelf->pod_first;

	for (uint32_t room = nodes; room <= most; room++)
		for (uint32_t d = first; (d = capacity_next_domain(c, shelf, tier, q->cards_milli / CARD_MILLI, room, d)) != NODE_NONE;
		     d++)
			if (domain_holds(c, shelf, &c->pool->domains[d], q, nodes))
				return &c->pool->domains[d];
	return NULL;
}

static const struct domain *tightest_domain(const struct capacity *c, const struct shelf *shelf, enum tier tier,
                                            const struct request *q, uint32_t nodes)
{
	uint32_t first = tier == TIER_RACK ? shelf->rack_first : tier == TIER_POD ? shelf->pod_first : shelf->domain;
	uint32_t n = tier == TIER_RACK ? shelf->n_racks : tier == TIER_POD ? shelf->n_pods : 1;
	uint32_t most = tier == TIER_RACK ? shelf->rack_nodes_max : shelf->pod_nodes_max;
	uint32_t set = tier == TIER_RACK ? shelf->racks_set : shelf->pods_set;

	if (tier != TIER_CENTRE && most < nodes)
		return NULL;
	if (c->sets && tier != TIER_CENTRE && set != NODE_NONE && q->cards_milli >= CARD_MILLI &&
	    q->cards_milli / CARD_MILLI <= shelf->cards_max)
		return tightest_by_room(c, shelf, tier, q, nodes);
	return tightest_of_all(c, shelf, first, n, q, nodes);
}

static bool find_gang(const struct capacity *c, const struct shelf *shelf, const struct group *group, const struct request *q,
                      struct task *tasks)
{
	static const enum tier tiers[] = {TIER_RACK, TIER_POD, TIER_CENTRE};

	if (upper_bound(c, shelf->domain, shelf->cards_max, q) < group->nodes)
		return false;
	for (size_t i = 0; i < sizeof tiers / sizeof *tiers && tiers[i] <= group->highest; i++) {
		const struct domain *d = tightest_domain(c, shelf, tiers[i], q, group->nodes);

		if (d) {
			fill(c, shelf, d, q, tasks, group->nodes);
			return true;
		}
	}
	return false;
}

bool place_find(const struct capacity *c, uint32_t shelf_id, const struct group *group, const struct request *q,
                struct task *tasks)
{
	const struct shelf *shelf = &c->pool->shelves[shelf_id];
	uint32_t node;

	if (group->nodes > 1)
		return find_gang(c, shelf, group, q, tasks);
	node = find_one(c, shelf, q);
	if (node == NODE_NONE)
		return false;
	tasks[0] = task_on(c, node, q);
	return true;
}
