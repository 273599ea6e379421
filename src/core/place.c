/* SPDX-License-Identifier: Apache-2.0
 * place.c: best fit over the tree of domains; see place.h. */
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

/* The first node below a domain with exactly `free` wholly free cards that holds the request. Descends only where the
 * histograms say that there is one. */
static uint32_t find_with(const struct capacity *c, uint32_t domain, uint32_t free, const struct request *q)
{
	const struct domain *d = &c->pool->domains[domain];

	if (!c->hist[d->hist_first + free])
		return NODE_NONE;
	for (uint32_t i = 0; i < d->n_children; i++) {
		uint32_t node = find_with(c, d->child_first + i, free, q);

		if (node != NODE_NONE)
			return node;
	}
	for (uint32_t n = d->node_first; d->tier == TIER_RACK && n < d->node_first + d->n_nodes; n++)
		if (free_count(c, n) == free && holds_rest(c, n, q))
			return n;
	return NODE_NONE;
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

	if (is_share(q))
		node = find_shared(c, shelf->domain, q, &least);
	for (uint32_t free = from; node == NODE_NONE && free <= shelf->cards_max; free++)
		node = find_with(c, shelf->domain, free, q);
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

static bool domain_holds(const struct capacity *c, const struct domain *d, const struct request *q, uint32_t nodes)
{
	for (uint32_t n = d->node_first; nodes && n < d->node_first + d->n_nodes; n++)
		nodes -= place_node_holds(c, n, q);
	return nodes == 0;
}

static int compare_tasks(const void *a, const void *b)
{
	const struct task *x = a, *y = b;

	return x->node < y->node ? -1 : x->node > y->node;
}

/* Fills a gang from a domain that holds it: fullest nodes first. For a share, nodes where a card is shared already. */
static void fill(const struct capacity *c, const struct domain *d, uint32_t cards_max, const struct request *q,
                 struct task *tasks, uint32_t nodes)
{
	uint32_t taken = 0;

	for (uint32_t n = d->node_first; is_share(q) && taken < nodes && n < d->node_first + d->n_nodes; n++)
		if (holds_rest(c, n, q) && tightest_card(c, n, q->cards_milli) != CARD_NONE)
			tasks[taken++] = task_on(c, n, q);
	for (uint32_t free = is_share(q) ? 1 : q->cards_milli / CARD_MILLI; taken < nodes && free <= cards_max; free++)
		for (uint32_t n = d->node_first; c->hist[d->hist_first + free] && taken < nodes && n < d->node_first + d->n_nodes; n++)
			if (free_count(c, n) == free && holds_rest(c, n, q) &&
			    !(is_share(q) && tightest_card(c, n, q->cards_milli) != CARD_NONE))
				tasks[taken++] = task_on(c, n, q);
	qsort(tasks, nodes, sizeof *tasks, compare_tasks);
}

/* The domain of a run that holds the gang with the least room to spare, or NULL. */
static const struct domain *tightest_domain(const struct capacity *c, uint32_t first, uint32_t n, uint32_t cards_max,
                                            const struct request *q, uint32_t nodes)
{
	const struct domain *best = NULL;
	uint32_t least = UINT32_MAX;

	for (uint32_t d = first; d < first + n; d++) {
		uint32_t room = upper_bound(c, d, cards_max, q);

		if (room < nodes || room >= least || !domain_holds(c, &c->pool->domains[d], q, nodes))
			continue;
		best = &c->pool->domains[d];
		least = room;
	}
	return best;
}

static bool find_gang(const struct capacity *c, const struct shelf *shelf, const struct group *group, const struct request *q,
                      struct task *tasks)
{
	const struct {
		enum tier tier;
		uint32_t first, n;
	} runs[] = {
		{TIER_RACK, shelf->rack_first, shelf->n_racks},
		{TIER_POD, shelf->pod_first, shelf->n_pods},
		{TIER_CENTRE, shelf->domain, 1},
	};

	if (upper_bound(c, shelf->domain, shelf->cards_max, q) < group->nodes)
		return false;
	for (size_t i = 0; i < sizeof runs / sizeof *runs && runs[i].tier <= group->highest; i++) {
		const struct domain *d = tightest_domain(c, runs[i].first, runs[i].n, shelf->cards_max, q, group->nodes);

		if (d) {
			fill(c, d, shelf->cards_max, q, tasks, group->nodes);
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
