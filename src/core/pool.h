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
	uint32_t centre, shelf, rack; /* rack: its lowest domain */
	uint32_t number;              /* in its centre */
	uint32_t card_first;          /* its first card among the cards of the pool */
	uint32_t cards;
	uint32_t cpus_milli, memory_mib; /* or UNCOUNTED */
};

enum { ROOM_MAX = 64 }; /* racks and pods of more nodes aren't indexed by how many of them have room: there are few */

/* A rack, a pod, or a shelf (a centre's nodes of one kind). Its part of any array by node is node_first and on. */
struct domain {
	enum tier tier;  /* TIER_RACK, TIER_POD or TIER_CENTRE */
	uint32_t parent; /* NODE_NONE for a shelf */
	uint32_t node_first, n_nodes;
	uint32_t child_first, n_children; /* pods of a shelf, racks of a pod; 0 for a rack */
	uint32_t hist_first;              /* where its counts stand in capacity's histograms */
};

/* The nodes of one kind (or without cards) at one centre. */
struct shelf {
	uint32_t centre, kind; /* kind: KIND_NONE for nodes without cards */
	uint32_t domain;
	uint32_t pod_first, n_pods;   /* among the domains */
	uint32_t rack_first, n_racks; /* among the domains */
	uint32_t cards_max;           /* of one of its nodes */
	uint32_t rack_nodes_max, pod_nodes_max;
	uint32_t nodes_set, racks_set,
		pods_set;                    /* where its sets begin among capacity's: see there; NODE_NONE: it has none of these */
	uint64_t cards;                  /* of all of them, */
	uint64_t cpus_milli, memory_mib; /* and these; AMOUNT_NONE: not counted */
	uint64_t price_micros;           /* a card-hour */
};

enum resource_type { RESOURCE_CARDS, RESOURCE_CPUS, RESOURCE_MEMORY, RESOURCE_LINK };

/* The name of a resource in claims, whose amounts are thousandths of cards or CPUs, MiB, Mbit/s: it stays when the pool changes.
 * centre: a link's number for RESOURCE_LINK. kind: of cards, else 0. */
static inline uint32_t resource_id(enum resource_type type, uint32_t centre, uint32_t kind)
{
	return centre << 17 | (kind & 0x7fff) << 2 | (uint32_t)type;
}

/* A centre; one that the pool no longer has keeps its number, with spec NULL and no nodes. */
struct centre {
	const char *name;
	const struct centre_spec *spec;
	uint32_t node_first, n_nodes;
	uint32_t shelf_first, n_shelves;
};

struct pool {
	struct arena arena;
	struct pool_spec spec;          /* a copy, in the arena */
	const struct kind_spec **kinds; /* by number; NULL for one that the pool no longer has */
	const char **kind_names;
	uint32_t n_kinds;
	struct centre *centres;
	uint32_t n_centres;
	struct node *nodes;
	uint32_t n_nodes;
	uint32_t *node_of_number; /* by centre's node_first + number: the node */
	struct domain *domains;
	uint32_t n_domains;
	struct shelf *shelves;
	uint32_t n_shelves;
	uint32_t n_hist;  /* words of histogram in all */
	uint32_t n_sets;  /* words of sets in all */
	uint32_t n_cards; /* slots for cards, of every node */
};

/* Checks a pool file's content: names unique, ends of links there, kinds known, counts within bounds, projects a
 * tree. Returns 0, or ERR_INVALID naming the field. */
int pool_check(const struct pool_spec *spec, struct err *err);
/* How many nodes a pool has; its spec needn't have passed pool_check, which takes POOL_NODES_MAX at most. */
uint64_t pool_count_nodes(const struct pool_spec *spec);

/* Builds a pool from a spec that passed pool_check. Numbers of kinds and centres come from the two tables, to which
 * new names are added. Never NULL. Cost: O(nodes). */
struct pool *pool_new(const struct pool_spec *spec, struct strtab *kinds, struct strtab *centres);
struct pool *pool_free(struct pool *pool);

/* Numbers by name; NODE_NONE where there is none. A kind is found in capitals too ("H100:8", as other tools write it), where
 * only one can be meant. */
uint32_t pool_find_kind(const struct pool *pool, const char *name);
uint32_t pool_find_centre(const struct pool *pool, const char *name);
/* The node with that number at that centre, or NODE_NONE. */
uint32_t pool_node(const struct pool *pool, uint32_t centre, uint32_t number);
const char *pool_kind_name(const struct pool *pool, uint32_t kind); /* "" for KIND_NONE, "any" for KIND_ANY */
const char *pool_centre_name(const struct pool *pool, uint32_t centre);
/* The rack, pod or shelf that a node is in; tier: TIER_RACK, TIER_POD or TIER_CENTRE. */
uint32_t pool_domain_of(const struct pool *pool, uint32_t node, enum tier tier);

/* The nearest name in a list to one that isn't in it, for "did you mean"; NULL where none is near (an edit distance
 * over a third of its length). */
const char *spec_nearest(const char *word, const char *const *names, uint32_t n);

#endif
