/* SPDX-License-Identifier: Apache-2.0
 * project_share.c: how much of the pool each project had lately, and the order of projects by that; see project.h.
 *
 * A share is the greatest of the decayed uses, each divided by the pool's capacity, times 1 / weight. All shares at an instant
 * are on one scale (project_use.c), on which whoever held all of a resource for ever has `growth`.
 *
 * Bounds: A divided by a capacity is a part of the whole pool, for which A is growth < 2^57; it is cut off at 2^65, over 100
 * pools. 1 / weight is at most 2^62, so a share is below 2^128.
 *
 * Projects are ranked level by level down the tree: a run of those that are equal so far is sorted by their shares on the next.
 * From one instant to the next the order is kept (project_order.c). */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/project_inside.h"

enum {
	RUN_MAX = 12, /* as many are sorted by insertion */
	SEEN = 64,
};

/* ---- Shares ---- */

/* factor = ⌊2^(127 − leading zeros) / amount⌋, so that use / amount = use · factor / 2^(127 − leading zeros). */
static struct inverse inverse_of(uint64_t amount)
{
	uint32_t zeros = amount ? (uint32_t)__builtin_clzll(amount) : 0;
	u128 rest = 0;
	uint64_t factor = 0, divisor = amount << zeros;

	if (amount == 0 || amount == AMOUNT_NONE)
		return (struct inverse){0, 63};
	for (int i = 0; i < 127; i++) { /* all ones, of 127 digits: what it lacks is below the rounding, and it fits 64 bits */
		rest = rest << 1 | 1;
		factor <<= 1;
		if (rest >= divisor) {
			rest -= divisor;
			factor |= 1;
		}
	}
	return (struct inverse){factor, 63 - zeros};
}

void shares_declare(struct projects *p, const struct project_capacity *capacity)
{
	p->n_inverses = RESOURCE_KINDS + capacity->n_kinds;
	p->inverses = mem_resize(p->inverses, p->n_inverses, sizeof *p->inverses);
	p->inverses[RESOURCE_CPUS_MILLI] = inverse_of(capacity->cpus_milli);
	p->inverses[RESOURCE_MEMORY_MIB] = inverse_of(capacity->memory_mib);
	for (uint32_t i = 0; i < capacity->n_kinds; i++)
		p->inverses[RESOURCE_KINDS + i] = inverse_of(capacity->cards_milli[i]);
}

/* The greatest of an account's uses, as parts of the pool (all of it, long enough: growth and over). */
static u128 greatest_part(const struct projects *p, const struct account *a, uint32_t periods, uint64_t growth)
{
	u128 most = 0;

	for (uint32_t i = 0; i < a->n && a->uses[i].resource < p->n_inverses; i++) {
		u128 part = use_part(&a->uses[i], &p->inverses[a->uses[i].resource], periods, growth);

		if (part > most)
			most = part;
	}
	return part_cut(most);
}

us_t projects_share_us(const struct projects *p, uint32_t project, us_t now_us)
{
	struct moment at = moment_at(p->half_life_us, now_us);
	const struct project *of = project_of(p, project);
	u128 part = greatest_part(p, &of->total, periods_since(p, &at), at.growth);

	return (us_t)cut(use_scale(use_amount_us(p, &at, part), 1000, of->weight_milli), (uint64_t)US_NEVER);
}

/* ---- The order ---- */

/* A listed project on its way down: its share on the level, and whether others are still equal that may not stay so. By place
 * in the list, which is how shares are computed: the projects' memory is read in that order, not in that of the ranks. */
struct entrant {
	u128 share;
	bool tied;
};

/* An entrant in the order so far. */
struct standing {
	u128 share;
	uint32_t place; /* in the list */
};

/* One ranking on its way. ranks: those that are equal so far have the place of the first of them in the order. */
struct contest {
	const struct projects *p;
	const uint32_t *list;
	uint32_t n;
	struct entrant *entrants;
	struct standing *standings, *spare;
	uint32_t *ranks;
	uint32_t periods; /* the moment */
	uint64_t growth;
	struct {
		uint32_t project; /* PROJECT_NONE: none */
		u128 share;
	} seen[SEEN]; /* shares computed lately, by the last digits of the project: many share an ancestor */
};

static uint32_t ancestor_at(const struct projects *p, uint32_t project, uint32_t depth)
{
	while (p->project[project].depth > depth)
		project = p->project[project].parent;
	return project;
}

static u128 subtree_share(struct contest *c, uint32_t project)
{
	const struct project *at = &c->p->project[project];

	if (c->seen[project % SEEN].project != project) {
		c->seen[project % SEEN].project = project;
		c->seen[project % SEEN].share = greatest_part(c->p, &at->total, c->periods, c->growth) * at->weight_inverse;
	}
	return c->seen[project % SEEN].share;
}

/* Whether a project has a share on a level below this one. */
static bool goes_deeper(const struct projects *p, uint32_t project, uint32_t level)
{
	const struct project *at = project_of(p, project);

	return level < at->depth || (level == at->depth && at->n_children > 0);
}

/* The share by which a project competes on a level; 0 below its last. */
static u128 share_on(struct contest *c, uint32_t project, uint32_t level)
{
	const struct project *at = project_of(c->p, project);

	if (at == &project_nobody)
		return 0;
	if (level <= at->depth)
		return subtree_share(c, ancestor_at(c->p, project, level));
	if (level == at->depth + 1 && at->n_children > 0)
		return greatest_part(c->p, &at->own, c->periods, c->growth) * inverse_weight(1000);
	return 0;
}

static void insert_sort(struct standing *a, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++) {
		struct standing moving = a[i];
		uint32_t k = i;

		for (; k > 0 && a[k - 1].share > moving.share; k--)
			a[k] = a[k - 1];
		a[k] = moving;
	}
}

/* A stable merge sort that costs one pass over what is in order already. spare: room for half of it. */
static void merge_sort(struct standing *a, uint32_t n, struct standing *spare)
{
	uint32_t half = n / 2, left = 0, right = half, out = 0;

	if (n <= RUN_MAX) {
		insert_sort(a, n);
		return;
	}
	merge_sort(a, half, spare);
	merge_sort(a + half, n - half, spare);
	if (a[half - 1].share <= a[half].share)
		return;
	memcpy(spare, a, half * sizeof *a);
	while (left < half && right < n) {
		if (spare[left].share <= a[right].share)
			a[out++] = spare[left++];
		else
			a[out++] = a[right++];
	}
	memcpy(a + out, spare + left, (half - left) * sizeof *a);
}

/* A run of equal shares on a level: they have one rank, unless the next level decides. Returns whether it may. */
static bool rank_equals(struct contest *c, uint32_t first, uint32_t end, uint32_t level)
{
	bool tied = false;

	for (uint32_t i = first; end - first > 1 && i < end && !tied; i++)
		tied = goes_deeper(c->p, c->list[c->standings[i].place], level);
	for (uint32_t i = first; i < end; i++) {
		c->ranks[c->standings[i].place] = first;
		c->entrants[c->standings[i].place].tied = tied;
	}
	return tied;
}

/* Orders those that were equal down to the level above. Returns whether some may still be told apart. */
static bool rank_run(struct contest *c, uint32_t first, uint32_t end, uint32_t level)
{
	struct standing *a = c->standings;
	bool tied = false;

	for (uint32_t i = first; i < end; i++)
		a[i].share = c->entrants[a[i].place].share;
	merge_sort(a + first, end - first, c->spare);
	for (uint32_t i = first, next; i < end; i = next) {
		for (next = i + 1; next < end && a[next].share == a[i].share;)
			next++;
		tied |= rank_equals(c, i, next, level);
	}
	return tied;
}

static bool rank_level(struct contest *c, uint32_t level)
{
	bool tied = false;

	for (uint32_t i = 0; i < c->n; i++)
		if (c->entrants[i].tied)
			c->entrants[i].share = share_on(c, c->list[i], level);
	for (uint32_t i = 0, next; i < c->n; i = next) {
		uint32_t place = c->standings[i].place, rank = c->ranks[place];

		for (next = i + 1; next < c->n && c->ranks[c->standings[next].place] == rank;)
			next++;
		if (c->entrants[place].tied)
			tied |= rank_run(c, i, next, level);
	}
	return tied;
}

void projects_rank_all(const struct projects *p, const struct moment *at, const uint32_t *list, uint32_t n, uint32_t *ret_ranks)
{
	struct contest c = {.p = p, .list = list, .n = n, .ranks = ret_ranks, .growth = at->growth};

	c.periods = periods_since(p, at);
	c.entrants = mem_new(n, sizeof *c.entrants);
	c.standings = mem_new(n, sizeof *c.standings);
	c.spare = mem_new(n, sizeof *c.spare);
	for (uint32_t i = 0; i < SEEN; i++)
		c.seen[i].project = PROJECT_NONE;
	for (uint32_t i = 0; i < n; i++) {
		c.standings[i].place = i;
		c.entrants[i].tied = true;
		c.ranks[i] = 0;
	}
	for (uint32_t level = 0; rank_level(&c, level);)
		level++;
	free(c.entrants);
	free(c.standings);
	free(c.spare);
}
