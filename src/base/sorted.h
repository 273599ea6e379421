/* SPDX-License-Identifier: Apache-2.0
 * sorted.h: a set of pairs of a key and an id, in the order of both, for many that come and go.
 *
 * Its entries lie side by side in leaves, and what each leaf begins with lies in one array: to look for an entry touches a few
 * lines of the cache, where each step down a tree of nodes touches another. */
#ifndef SUAN_BASE_SORTED_H
#define SUAN_BASE_SORTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SORTED_LEAF = 64 }; /* entries of a leaf, at most */

struct sorted_entry {
	int64_t key;
	uint32_t id;
	uint32_t with; /* the owner's, to be at hand; no part of the order */
};

struct sorted_leaf {
	struct sorted_entry first;
	uint32_t n;                   /* entries: 1 or more */
	struct sorted_entry *entries; /* rising, room for SORTED_LEAF; the first of them is `first` */
};

/* All zero is an empty one. */
struct sorted {
	struct sorted_leaf *leaves; /* rising */
	uint32_t n_leaves, leaves_cap;
	uint32_t count; /* entries */
};

/* Where somebody stands who goes through a set; all zero is before the first. Good until the set changes. */
struct sorted_place {
	uint32_t leaf, at;
};

/* Adds an entry that isn't there. Cost: O(log n + SORTED_LEAF), and once in many times O(n / SORTED_LEAF). */
void sorted_insert(struct sorted *set, int64_t key, uint32_t id, uint32_t with);
/* Takes out an entry that is there. Cost: likewise. */
void sorted_remove(struct sorted *set, int64_t key, uint32_t id);
/* Frees what it has; it is empty then. */
void sorted_done(struct sorted *set);
/* Asserts what always holds. Cost: O(n). */
void sorted_check(const struct sorted *set);

/* The entry at a place; NULL behind the last. Good until the set changes. */
static inline const struct sorted_entry *sorted_at(const struct sorted *set, struct sorted_place place)
{
	return place.leaf < set->n_leaves ? &set->leaves[place.leaf].entries[place.at] : NULL;
}

/* The first entry; NULL: there is none. */
static inline const struct sorted_entry *sorted_first(const struct sorted *set)
{
	return set->n_leaves ? &set->leaves[0].first : NULL;
}

/* The place behind one where there is an entry. */
static inline struct sorted_place sorted_next(const struct sorted *set, struct sorted_place place)
{
	bool in_leaf = place.at + 1 < set->leaves[place.leaf].n;

	return in_leaf ? (struct sorted_place){place.leaf, place.at + 1} : (struct sorted_place){place.leaf + 1, 0};
}

#endif
