/* SPDX-License-Identifier: Apache-2.0
 * capacity.c: keeping what is free; see capacity.h.
 *
 * Invariants: a card's bit is set exactly where its thousandths are 1000; a domain's histogram sums to its nodes;
 * nothing is ever below 0 or above what the node has. All arrays lie in one block, so that a copy is one memcpy. */
#include "core/capacity.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bitset.h"
#include "base/mem.h"

/* Takes the next array of the block; with no block yet, only its size counts. */
static void *take_array(struct capacity *c, size_t count, size_t size)
{
	void *at = c->memory ? (unsigned char *)c->memory + c->size : NULL;

	c->size += count * size;
	return at;
}

/* Lays the arrays out in the block, widest elements first; the sets come last, so that what is before them compares. */
static void lay_out(struct capacity *c, void *memory, bool sets)
{
	const struct pool *pool = c->pool;

	c->memory = memory;
	c->size = 0;
	c->free_cards = take_array(c, pool->n_nodes, sizeof *c->free_cards);
	c->shelf_milli = take_array(c, pool->n_shelves, sizeof *c->shelf_milli);
	c->free_cpus = take_array(c, pool->n_nodes, sizeof *c->free_cpus);
	c->free_memory = take_array(c, pool->n_nodes, sizeof *c->free_memory);
	c->hist = take_array(c, pool->n_hist, sizeof *c->hist);
	c->shared = take_array(c, pool->n_domains, sizeof *c->shared);
	c->card_milli = take_array(c, pool->n_cards, sizeof *c->card_milli);
	c->size = (c->size + 7) / 8 * 8;
	c->sets = sets ? take_array(c, pool->n_sets, sizeof *c->sets) : NULL;
	c->rooms = sets ? take_array(c, pool->n_hist, sizeof *c->rooms) : NULL;
	c->moved = sets ? take_array(c, pool->n_domains, sizeof *c->moved) : NULL;
	c->n_moved = sets ? take_array(c, 1, sizeof *c->n_moved) : NULL;
	c->is_moved = sets ? take_array(c, pool->n_domains, sizeof *c->is_moved) : NULL;
}

static uint64_t all_cards(uint32_t cards)
{
	return cards == 64 ? UINT64_MAX : ((uint64_t)1 << cards) - 1;
}

/* Whether a node has a card that is neither wholly free nor wholly taken. */
static bool has_shared(const struct capacity *c, const struct node *node)
{
	for (uint32_t i = 0; i < node->cards; i++)
		if (c->card_milli[node->card_first + i] % CARD_MILLI)
			return true;
	return false;
}

/* ---- Sets ---- */

static uint64_t *node_set(const struct capacity *c, const struct shelf *shelf, uint32_t free)
{
	return &c->sets[shelf->nodes_set + free * bitset_words(c->pool->domains[shelf->domain].n_nodes)];
}

/* One tier of a shelf, as its sets need it. */
struct run {
	uint32_t set, first, n, nodes_max;
};

static struct run run_of(const struct shelf *shelf, enum tier tier)
{
	return tier == TIER_RACK ? (struct run){shelf->racks_set, shelf->rack_first, shelf->n_racks, shelf->rack_nodes_max}
	                         : (struct run){shelf->pods_set, shelf->pod_first, shelf->n_pods, shelf->pod_nodes_max};
}

static bool has_set(const struct shelf *shelf, enum tier tier)
{
	return (tier == TIER_RACK && shelf->racks_set != NODE_NONE) || (tier == TIER_POD && shelf->pods_set != NODE_NONE);
}

static uint64_t *room_set_of(const struct capacity *c, const struct run *run, uint32_t cards, uint32_t room)
{
	return &c->sets[run->set + ((cards - 1) * run->nodes_max + room - 1) * bitset_words(run->n)];
}

uint32_t capacity_next_node(const struct capacity *c, const struct shelf *shelf, uint32_t free, uint32_t from, uint32_t end)
{
	const struct domain *d = &c->pool->domains[shelf->domain];
	uint32_t i;

	for (uint32_t n = from; !c->sets && n < end; n++)
		if ((uint32_t)__builtin_popcountll(c->free_cards[n]) == free)
			return n;
	i = c->sets ? bitset_next(node_set(c, shelf, free), d->n_nodes, from - d->node_first) : BITSET_NONE;
	return i == BITSET_NONE || d->node_first + i >= end ? NODE_NONE : d->node_first + i;
}

uint32_t capacity_next_domain(const struct capacity *c, const struct shelf *shelf, enum tier tier, uint32_t cards, uint32_t room,
                              uint32_t from)
{
	struct run run = run_of(shelf, tier);
	uint32_t i;

	capacity_settle(c);
	i = bitset_next(room_set_of(c, &run, cards, room), run.n, from - run.first);

	return i == BITSET_NONE ? NODE_NONE : run.first + i;
}

/* Notes that a rack's or pod's histogram has changed. */
static void note_moved(struct capacity *c, uint32_t domain)
{
	if (c->is_moved[domain])
		return;
	c->is_moved[domain] = true;
	c->moved[(*c->n_moved)++] = domain;
}

/* Moves a domain between sets, for each number of cards that another number of its nodes has now. */
static void settle_domain(const struct capacity *c, uint32_t domain)
{
	const struct domain *d = &c->pool->domains[domain];
	const struct shelf *shelf = &c->pool->shelves[c->pool->nodes[d->node_first].shelf];
	struct run run = run_of(shelf, d->tier);
	uint32_t room = 0;

	for (uint32_t cards = shelf->cards_max; cards > 0; cards--) {
		uint32_t *was = &c->rooms[d->hist_first + cards];

		room += c->hist[d->hist_first + cards];
		if (room == *was)
			continue;
		if (*was)
			bitset_remove(room_set_of(c, &run, cards, *was), run.n, domain - run.first);
		if (room)
			bitset_add(room_set_of(c, &run, cards, room), run.n, domain - run.first);
		*was = room;
	}
}

void capacity_settle(const struct capacity *c)
{
	for (uint32_t i = 0; c->sets && i < *c->n_moved; i++) {
		settle_domain(c, c->moved[i]);
		c->is_moved[c->moved[i]] = false;
		c->moved[i] = 0;
	}
	if (c->sets)
		*c->n_moved = 0;
}

/* ---- Counts ---- */

/* Moves a node within the counts of every domain above it. shared: 1 more, or UINT32_MAX: one less, has a partly free card. */
static void recount(struct capacity *c, uint32_t id, uint32_t was, uint32_t is, uint32_t shared)
{
	const struct node *node = &c->pool->nodes[id];
	const struct shelf *shelf = &c->pool->shelves[node->shelf];
	const struct domain *domains = c->pool->domains;
	uint32_t first = domains[shelf->domain].node_first, n = domains[shelf->domain].n_nodes;

	if (was == is && !shared)
		return;
	if (was != is && c->sets) {
		bitset_remove(node_set(c, shelf, was), n, id - first);
		bitset_add(node_set(c, shelf, is), n, id - first);
	}
	for (uint32_t d = node->rack; d != NODE_NONE; d = domains[d].parent) {
		if (was != is && c->sets && has_set(shelf, domains[d].tier))
			note_moved(c, d);
		c->hist[domains[d].hist_first + was]--;
		c->hist[domains[d].hist_first + is]++;
		c->shared[d] += shared;
	}
}

/* Counts a node that wasn't counted yet. */
static void count_node(struct capacity *c, uint32_t id)
{
	const struct node *node = &c->pool->nodes[id];
	const struct shelf *shelf = &c->pool->shelves[node->shelf];
	uint32_t whole = (uint32_t)__builtin_popcountll(c->free_cards[id]);

	if (c->sets)
		bitset_add(node_set(c, shelf, whole), c->pool->domains[shelf->domain].n_nodes,
		           id - c->pool->domains[shelf->domain].node_first);
	for (uint32_t d = node->rack; d != NODE_NONE; d = c->pool->domains[d].parent) {
		if (c->sets && has_set(shelf, c->pool->domains[d].tier))
			note_moved(c, d);
		c->hist[c->pool->domains[d].hist_first + whole]++;
		c->shared[d] += has_shared(c, node);
	}
}

void capacity_init(struct capacity *c, const struct pool *pool)
{
	*c = (struct capacity){.pool = pool};
	lay_out(c, NULL, false);
	lay_out(c, mem_new(c->size, 1), false);
	for (uint32_t n = 0; n < pool->n_nodes; n++) {
		const struct node *node = &pool->nodes[n];

		c->free_cards[n] = all_cards(node->cards);
		c->free_cpus[n] = node->cpus_milli;
		c->free_memory[n] = node->memory_mib;
		c->shelf_milli[node->shelf] += (uint64_t)node->cards * CARD_MILLI;
		for (uint32_t i = 0; i < node->cards; i++)
			c->card_milli[node->card_first + i] = CARD_MILLI;
		count_node(c, n);
	}
}

void capacity_index(struct capacity *copy, const struct capacity *of)
{
	*copy = *of;
	lay_out(copy, NULL, true);
	lay_out(copy, mem_new(copy->size, 1), true);
	memcpy(copy->memory, of->memory, of->size);
	memset(copy->hist, 0, copy->pool->n_hist * sizeof *copy->hist);
	memset(copy->shared, 0, copy->pool->n_domains * sizeof *copy->shared);
	for (uint32_t n = 0; n < copy->pool->n_nodes; n++)
		count_node(copy, n);
}

void capacity_done(struct capacity *c)
{
	free(c->memory);
	*c = (struct capacity){0};
}

/* Whole cards: none of them was, or comes to be, partly free. */
static void change_whole(struct capacity *c, uint32_t id, uint64_t cards, bool take)
{
	const struct node *node = &c->pool->nodes[id];
	uint16_t *milli = &c->card_milli[node->card_first], is = take ? 0 : CARD_MILLI;
	uint32_t was = (uint32_t)__builtin_popcountll(c->free_cards[id]), n = (uint32_t)__builtin_popcountll(cards);

	assert(cards >> (node->cards - 1) <= 1);
	for (uint64_t left = cards; left; left &= left - 1) {
		assert(milli[__builtin_ctzll(left)] == CARD_MILLI - is);
		milli[__builtin_ctzll(left)] = is;
	}
	if (take) {
		c->free_cards[id] &= ~cards;
		c->shelf_milli[node->shelf] -= (uint64_t)n * CARD_MILLI;
	} else {
		c->free_cards[id] |= cards;
		c->shelf_milli[node->shelf] += (uint64_t)n * CARD_MILLI;
	}
	recount(c, id, was, take ? was - n : was + n, 0);
}

/* A share of one card. */
static void change_share(struct capacity *c, uint32_t id, const struct share *share, bool take)
{
	const struct node *node = &c->pool->nodes[id];
	uint32_t i = (uint32_t)__builtin_ctzll(share->cards), was = (uint32_t)__builtin_popcountll(c->free_cards[id]);
	uint16_t *milli = &c->card_milli[node->card_first + i];
	bool had_shared = has_shared(c, node);

	assert(i < node->cards);
	assert(take ? *milli >= share->milli : *milli + share->milli <= CARD_MILLI);
	*milli = (uint16_t)(take ? *milli - share->milli : *milli + share->milli);
	c->shelf_milli[node->shelf] += take ? -(uint64_t)share->milli : share->milli;
	c->free_cards[id] &= ~((uint64_t)1 << i);
	c->free_cards[id] |= (uint64_t)(*milli == CARD_MILLI) << i;
	recount(c, id, was, (uint32_t)__builtin_popcountll(c->free_cards[id]), (uint32_t)has_shared(c, node) - (uint32_t)had_shared);
}

static void change_cards(struct capacity *c, uint32_t id, const struct share *share, bool take)
{
	struct share one = *share;

	if (share->milli == CARD_MILLI) {
		change_whole(c, id, share->cards, take);
		return;
	}
	for (uint64_t left = share->cards; left; left &= left - 1) {
		one.cards = left & -left;
		change_share(c, id, &one, take);
	}
}

void capacity_take(struct capacity *c, uint32_t node, const struct share *share)
{
	if (share->cards)
		change_cards(c, node, share, true);
	if (c->free_cpus[node] != UNCOUNTED) {
		assert(c->free_cpus[node] >= share->cpus_milli);
		c->free_cpus[node] -= share->cpus_milli;
	}
	if (c->free_memory[node] != UNCOUNTED) {
		assert(c->free_memory[node] >= share->memory_mib);
		c->free_memory[node] -= share->memory_mib;
	}
}

void capacity_give(struct capacity *c, uint32_t node, const struct share *share)
{
	if (share->cards)
		change_cards(c, node, share, false);
	if (c->free_cpus[node] != UNCOUNTED) {
		c->free_cpus[node] += share->cpus_milli;
		assert(c->free_cpus[node] <= c->pool->nodes[node].cpus_milli);
	}
	if (c->free_memory[node] != UNCOUNTED) {
		c->free_memory[node] += share->memory_mib;
		assert(c->free_memory[node] <= c->pool->nodes[node].memory_mib);
	}
}

void capacity_set(struct capacity *c, uint32_t id, const uint16_t *milli, uint32_t cpus_milli, uint32_t memory_mib)
{
	const struct node *node = &c->pool->nodes[id];
	uint32_t was = (uint32_t)__builtin_popcountll(c->free_cards[id]), had_shared = has_shared(c, node);

	for (uint32_t i = 0; i < node->cards; i++) {
		uint16_t *card = &c->card_milli[node->card_first + i];

		assert(milli[i] <= CARD_MILLI);
		c->shelf_milli[node->shelf] += (uint64_t)milli[i] - *card;
		*card = milli[i];
		c->free_cards[id] &= ~((uint64_t)1 << i);
		c->free_cards[id] |= (uint64_t)(milli[i] == CARD_MILLI) << i;
	}
	recount(c, id, was, (uint32_t)__builtin_popcountll(c->free_cards[id]), has_shared(c, node) - had_shared);
	c->free_cpus[id] = cpus_milli;
	c->free_memory[id] = memory_mib;
}

uint32_t capacity_nodes_with(const struct capacity *c, uint32_t domain, uint32_t cards_max, uint32_t cards)
{
	const uint32_t *hist = &c->hist[c->pool->domains[domain].hist_first];
	uint32_t n = 0;

	for (uint32_t f = cards; f <= cards_max; f++)
		n += hist[f];
	return n;
}

void capacity_nodes_by_cards(const struct capacity *c, uint32_t domain, uint32_t cards_max, uint32_t *ret)
{
	const uint32_t *hist = &c->hist[c->pool->domains[domain].hist_first];
	uint32_t n = 0;

	for (uint32_t f = cards_max + 1; f-- > 0;)
		ret[f] = n += hist[f];
}

void capacity_check(const struct capacity *c)
{
	struct capacity fresh = {.pool = c->pool};

	lay_out(&fresh, NULL, c->sets != NULL);
	lay_out(&fresh, mem_new(fresh.size, 1), c->sets != NULL);
	memcpy(fresh.free_cards, c->free_cards, c->pool->n_nodes * sizeof *c->free_cards);
	memcpy(fresh.card_milli, c->card_milli, c->pool->n_cards * sizeof *c->card_milli);
	for (uint32_t n = 0; n < c->pool->n_nodes; n++) {
		const struct node *node = &c->pool->nodes[n];

		count_node(&fresh, n);
		for (uint32_t i = 0; i < node->cards; i++) {
			uint16_t milli = c->card_milli[node->card_first + i];

			assert((milli == CARD_MILLI) == (c->free_cards[n] >> i & 1));
			fresh.shelf_milli[node->shelf] += milli;
		}
	}
	capacity_settle(c);
	capacity_settle(&fresh);
	assert(!memcmp(fresh.hist, c->hist, c->pool->n_hist * sizeof *c->hist));
	assert(!c->sets || !memcmp(fresh.sets, c->sets, c->pool->n_sets * sizeof *c->sets));
	assert(!memcmp(fresh.shared, c->shared, c->pool->n_domains * sizeof *c->shared));
	assert(!memcmp(fresh.shelf_milli, c->shelf_milli, c->pool->n_shelves * sizeof *c->shelf_milli));
	capacity_done(&fresh);
}
