/* SPDX-License-Identifier: Apache-2.0
 * sorted.c: pairs in leaves under one array, a B-tree of two levels (Bayer and McCreight 1972); see sorted.h.
 *
 * A full leaf is split in half when one more belongs there; but behind the last entry a new leaf begins, so that what comes by
 * rising keys fills its leaves. Two neighbours that would fit into half a leaf become one. So 0 < n <= SORTED_LEAF for each leaf,
 * and for two neighbours together n > SORTED_LEAF / 2: there are at most 4 n / SORTED_LEAF leaves, and one more. */
#include "base/sorted.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { HALF = SORTED_LEAF / 2 };

/* ---- Where an entry belongs ---- */

/* Without a jump, which would be foreseen half of the time. */
static bool is_before(const struct sorted_entry *a, const struct sorted_entry *b)
{
	return (a->key < b->key) | ((a->key == b->key) & (a->id < b->id));
}

/* The last leaf that doesn't begin behind an entry; the first where all do. There is a leaf. */
static uint32_t leaf_for(const struct sorted *set, const struct sorted_entry *entry)
{
	uint32_t from = 0;

	if (!is_before(entry, &set->leaves[set->n_leaves - 1].first))
		return set->n_leaves - 1;
	for (uint32_t n = set->n_leaves, half; n > 1; n -= half) {
		half = n / 2;
		from += is_before(entry, &set->leaves[from + half].first) ? 0 : half;
	}
	return from;
}

/* How many entries of a leaf come before an entry. */
static uint32_t place_for(const struct sorted_leaf *leaf, const struct sorted_entry *entry)
{
	uint32_t from = 0;

	for (uint32_t n = leaf->n, half; n > 1; n -= half) {
		half = n / 2;
		from += is_before(&leaf->entries[from + half - 1], entry) ? half : 0;
	}
	return from + is_before(&leaf->entries[from], entry);
}

/* ---- Leaves come and go ---- */

/* Adds a leaf that has no entries yet, before the at-th. */
static struct sorted_leaf *add_leaf(struct sorted *set, uint32_t at)
{
	mem_grow((void **)&set->leaves, &set->leaves_cap, set->n_leaves, sizeof *set->leaves);
	memmove(&set->leaves[at + 1], &set->leaves[at], (set->n_leaves - at) * sizeof *set->leaves);
	set->leaves[at] = (struct sorted_leaf){.entries = mem_resize(NULL, SORTED_LEAF, sizeof *set->leaves->entries)};
	set->n_leaves++;
	return &set->leaves[at];
}

static void drop_leaf(struct sorted *set, uint32_t at)
{
	free(set->leaves[at].entries);
	set->n_leaves--;
	memmove(&set->leaves[at], &set->leaves[at + 1], (set->n_leaves - at) * sizeof *set->leaves);
}

/* The later half of a full leaf becomes one of its own. */
static void split(struct sorted *set, uint32_t at)
{
	struct sorted_leaf *later = add_leaf(set, at + 1), *leaf = later - 1;

	memcpy(later->entries, &leaf->entries[HALF], (SORTED_LEAF - HALF) * sizeof *later->entries);
	later->first = later->entries[0];
	later->n = SORTED_LEAF - HALF;
	leaf->n = HALF;
}

/* Makes one of a leaf and the next, where there is a next and both fit into half of one. */
static void join(struct sorted *set, uint32_t at)
{
	struct sorted_leaf *leaf = &set->leaves[at], *next = leaf + 1;

	if (at + 1 >= set->n_leaves || leaf->n + next->n > HALF)
		return;
	memcpy(&leaf->entries[leaf->n], next->entries, next->n * sizeof *leaf->entries);
	leaf->n += next->n;
	drop_leaf(set, at + 1);
}

/* ---- Entries come and go ---- */

/* The leaf where an entry belongs, with room for it. */
static struct sorted_leaf *leaf_with_room(struct sorted *set, const struct sorted_entry *entry)
{
	uint32_t at;

	if (!set->n_leaves)
		return add_leaf(set, 0);
	at = leaf_for(set, entry);
	if (set->leaves[at].n < SORTED_LEAF)
		return &set->leaves[at];
	if (at + 1 == set->n_leaves && is_before(&set->leaves[at].entries[SORTED_LEAF - 1], entry))
		return add_leaf(set, at + 1);
	split(set, at);
	return &set->leaves[is_before(entry, &set->leaves[at + 1].first) ? at : at + 1];
}

void sorted_insert(struct sorted *set, int64_t key, uint32_t id, uint32_t with)
{
	const struct sorted_entry entry = {key, id, with};
	struct sorted_leaf *leaf = leaf_with_room(set, &entry);
	uint32_t at = leaf->n ? place_for(leaf, &entry) : 0;

	assert(at == leaf->n || is_before(&entry, &leaf->entries[at]));
	memmove(&leaf->entries[at + 1], &leaf->entries[at], (leaf->n - at) * sizeof entry);
	leaf->entries[at] = entry;
	leaf->first = leaf->entries[0];
	leaf->n++;
	set->count++;
}

void sorted_remove(struct sorted *set, int64_t key, uint32_t id)
{
	const struct sorted_entry entry = {.key = key, .id = id};
	struct sorted_leaf *leaf;
	uint32_t at, place;

	assert(set->n_leaves);
	at = leaf_for(set, &entry);
	leaf = &set->leaves[at];
	place = place_for(leaf, &entry);
	assert(place < leaf->n);
	assert(leaf->entries[place].key == key);
	assert(leaf->entries[place].id == id);
	leaf->n--;
	memmove(&leaf->entries[place], &leaf->entries[place + 1], (leaf->n - place) * sizeof entry);
	leaf->first = leaf->entries[0];
	set->count--;
	if (!leaf->n) {
		drop_leaf(set, at);
		return;
	}
	join(set, at);
	if (at)
		join(set, at - 1);
}

void sorted_done(struct sorted *set)
{
	for (uint32_t i = 0; i < set->n_leaves; i++)
		free(set->leaves[i].entries);
	free(set->leaves);
	*set = (struct sorted){0};
}

void sorted_check(const struct sorted *set)
{
	const struct sorted_entry *before = NULL;
	uint32_t count = 0;

	for (uint32_t i = 0; i < set->n_leaves; i++) {
		const struct sorted_leaf *leaf = &set->leaves[i];

		assert(leaf->n > 0);
		assert(leaf->n <= SORTED_LEAF);
		assert(i == 0 || leaf[-1].n + leaf->n > HALF);
		assert(leaf->first.key == leaf->entries[0].key);
		assert(leaf->first.id == leaf->entries[0].id);
		for (uint32_t k = 0; k < leaf->n; k++) {
			assert(!before || is_before(before, &leaf->entries[k]));
			before = &leaf->entries[k];
		}
		count += leaf->n;
	}
	assert(count == set->count);
}
