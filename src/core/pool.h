/* SPDX-License-Identifier: Apache-2.0
 * pool.h: what there is: kinds, centres, and their nodes as a tree of domains.
 *
 * Nodes are numbered through the pool so that every domain is a run of numbers: by centre, in it by shelf (the
 * nodes of one kind of card at one centre), in it by pod and rack. Outside the core a node is (centre, its number
 * in the centre), which stays when other centres change. Static until the next EVENT_POOL; what is free is in
 * capacity.h. */
#ifndef SUAN_CORE_POOL_H
#define SUAN_CORE_POOL_H

#include "base/arena.h"
#include "base/map.h"
#include "core/event.h"

#define NODE_NONE UINT32_MAX

struct node {
	uint32_t rack;   /* its lowest domain */
	uint32_t number; /* in its centre */
	uint32_t card_first; /* its first card among the cards of the pool */
	uint32_t cpus_milli, memory_mib; /* or UNCOUNTED */
	uint16_t centre, shelf_cards; /* shelf_cards: cards of this node */
	uint32_t shelf;
};

/* A rack, a pod, or a shelf (a centre's nodes of one kind). */
struct domain {
	enum tier tier;   /* TIER_RACK, TIER_POD or TIER_CENTRE */
	uint32_t parent;  /* NODE_NONE for a shelf */
	uint32_t node_first, n_nodes;
	uint32_t child_first, n_children; /* pods of a shelf, racks of a pod; 0 for a rack */
	uint32_t hist_first; /* where its counts stand in capacity's histograms */
	uint32_t shelf;
};

/* The nodes of one kind (or without cards) at one centre. */
struct shelf {
	uint32_t centre, kind; /* kind: KIND_NONE for nodes without cards */
	uint32_t domain;
	uint32_t cards_max;    /* of one of its nodes */
	uint64_t cards;        /* of all of them */
	uint64_t price_micros; /* a card-hour */
	uint32_t resource;     /* its cards, as a resource; NODE_NONE for a shelf without */
};

enum resource_type { RESOURCE_CARDS, RESOURCE_CPUS, RESOURCE_MEMORY, RESOURCE_LINK };

/* Anything with a capacity over time. */
struct resource {
	enum resource_type type;
	uint32_t centre, kind; /* a link: centre is its number */
	uint64_t capacity;     /* thousandths of cards or CPUs, MiB, Mbit/s; AMOUNT_NONE: not counted */
};

struct centre {
	uint32_t node_first, n_nodes;
	uint32_t shelf_first, n_shelves;
	uint32_t cpus_resource, memory_resource;
	const struct centre_spec *spec;
};

struct pool {
	struct arena arena;
	struct pool_spec spec; /* a copy, in the arena */
	struct centre *centres;
	uint32_t n_centres;
	struct node *nodes;
	uint32_t n_nodes;
	uint32_t *node_of_number; /* by centre's node_first + number: the node */
	struct domain *domains;
	uint32_t n_domains;
	struct shelf *shelves;
	uint32_t n_shelves;
	struct resource *resources;
	uint32_t n_resources;
	uint32_t n_hist;  /* words of histogram in all */
	uint32_t n_cards; /* slots for cards, of every node */
};

/* Builds a pool from its file's content, checked: names unique, ends of links there, kinds known, sums within
 * bounds. Returns 0, or ERR_INVALID naming the field; *ret is then unchanged. Cost: O(nodes). */
int pool_new(const struct pool_spec *spec, struct pool **ret, struct err *err);
struct pool *pool_free(struct pool *pool);

/* Numbers by name; NODE_NONE where there is none. */
uint32_t pool_find_kind(const struct pool *pool, const char *name);
uint32_t pool_find_centre(const struct pool *pool, const char *name);
/* The node with that number at that centre, or NODE_NONE. */
uint32_t pool_node(const struct pool *pool, uint32_t centre, uint32_t number);
const char *pool_kind_name(const struct pool *pool, uint32_t kind); /* "" for KIND_NONE, "any" for KIND_ANY */
/* The domain of a tier that a node is in: its rack, pod or shelf. */
const struct domain *pool_domain_of(const struct pool *pool, uint32_t node, enum tier tier);

/* The nearest name in a list to one that isn't in it, for "did you mean"; NULL where none is near (an edit distance
 * over a third of its length). */
const char *spec_nearest(const char *word, const char *const *names, uint32_t n);

#endif
