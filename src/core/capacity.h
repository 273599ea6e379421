/* SPDX-License-Identifier: Apache-2.0
 * capacity.h: what is free now, node by node, with counts over the tree of domains.
 *
 * Whole cards are counted by node: a domain's histogram says how many of its nodes have f wholly free cards, for each f. Sets say
 * which: of each shelf the nodes with exactly f, and the racks and pods of which exactly r nodes have c or more. So the
 * tightest node or domain is found without going through the others. Racks and pods are moved between their sets only when one is
 * looked for: a gang changes many nodes of each, and most jobs have one node. */
#ifndef SUAN_CORE_CAPACITY_H
#define SUAN_CORE_CAPACITY_H

#include "core/pool.h"

struct capacity {
	const struct pool *pool;
	uint64_t *free_cards;  /* by node: bit i is set where card i is wholly free */
	uint32_t *free_cpus;   /* by node: thousandths; UNCOUNTED stays */
	uint32_t *free_memory; /* by node: MiB; UNCOUNTED stays */
	uint64_t *shelf_milli; /* by shelf: free thousandths of cards, shares included */
	uint32_t *hist;        /* by domain's hist_first + f: nodes with f wholly free cards */
	uint64_t *sets;        /* by shelf's nodes_set, racks_set, pods_set; NULL: it isn't searched, but by going through all */
	uint32_t *rooms;      /* as hist, of racks and pods: nodes with f or more, as the sets have it. With sets only, like these: */
	uint32_t *moved;      /* domains whose histogram has changed since; */
	uint32_t *n_moved;    /* so many */
	bool *is_moved;       /* by domain: it is among them */
	uint32_t *shared;     /* by domain: nodes with a card that is partly free */
	uint16_t *card_milli; /* by card: free thousandths */
	void *memory;
	size_t size;
};

/* What one node gives to a task. cards: bits; milli: of each card in `cards` (1000: whole). */
struct share {
	uint64_t cards;
	uint32_t milli, cpus_milli, memory_mib;
};

/* Thousandths of cards of a share. */
static inline uint64_t share_milli(const struct share *share)
{
	return (uint64_t)(uint32_t)__builtin_popcountll(share->cards) * share->milli;
}

/* Everything free, without sets. Cost: O(nodes). */
void capacity_init(struct capacity *capacity, const struct pool *pool);
/* A copy with sets, for searching. Cost: O(nodes). */
void capacity_index(struct capacity *copy, const struct capacity *of);
void capacity_done(struct capacity *capacity);

/* Takes a share from a node, which must have it free; gives it back. Cost: O(tiers + cards of the share). */
void capacity_take(struct capacity *capacity, uint32_t node, const struct share *share);
void capacity_give(struct capacity *capacity, uint32_t node, const struct share *share);

/* Sets what a node has free. milli: of each of its cards; cpus and memory: as in the arrays. */
void capacity_set(struct capacity *capacity, uint32_t node, const uint16_t *milli, uint32_t cpus_milli, uint32_t memory_mib);

/* Nodes of a domain with at least `cards` wholly free cards. Cost: O(cards of a node). */
uint32_t capacity_nodes_with(const struct capacity *capacity, uint32_t domain, uint32_t cards_max, uint32_t cards);

/* The same for all of 0 to cards_max cards: ret[cards]. */
void capacity_nodes_by_cards(const struct capacity *capacity, uint32_t domain, uint32_t cards_max, uint32_t *ret);

/* The first node of a domain's shelf at or after `from` with exactly `free` wholly free cards, or NODE_NONE where there is none
 * before `end`. Cost: a few words. */
uint32_t capacity_next_node(const struct capacity *capacity, const struct shelf *shelf, uint32_t free, uint32_t from,
                            uint32_t end);
/* The first rack or pod (tier) of a shelf at or after `from` of which exactly `room` nodes, 1 or more, have at least `cards`, 1
 * or more, wholly free cards; NODE_NONE: none. The shelf has sets of that tier. */
uint32_t capacity_next_domain(const struct capacity *capacity, const struct shelf *shelf, enum tier tier, uint32_t cards,
                              uint32_t room, uint32_t from);

/* Brings the sets of racks and pods up to date: for comparing the memory of two. */
void capacity_settle(const struct capacity *capacity);
/* Aborts where the counts differ from the nodes. */
void capacity_check(const struct capacity *capacity);

#endif
