/* SPDX-License-Identifier: Apache-2.0
 * project_order.c: the order of projects, kept from one instant to the next; see project.h.
 *
 * Between two changes of what a project holds its share is, but for rounding, the greatest of some linear functions of one
 * variable that all projects share, the growth of the scale (project_use.c). So two neighbours in the order stay as they are
 * until a growth that can be told beforehand (a kinetic list: Basch, Guibas and Hershberger 1997). Each neighbour is kept with
 * that bound, and with whose accounts decided: only where the bound is past, or one of these has changed since, are the two
 * compared again, and moved where they have passed each other.
 *
 * The bounds are of the integers that project_share.c compares. A part of the pool, which is rounded down, is behind the line of
 * its greatest slope by less than 1, and ahead of the line that it lies on by less than 1. So for a first and a second, of parts
 * P, weights W and slopes U (the first's greatest, rounded up) and L (that of the second's greatest part, rounded down), the
 * second stays ahead for d more growth while W1 (P1 + U d + 1) <= W2 (P2 + L d - 1).
 *
 * Within a period growth rises; with the next one, or where all projects were declared anew, every two are compared again. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/project_inside.h"

enum { ROOM_BITS = 64 }; /* parts and slopes of fewer digits aren't cut off before growth has as many; steeper ones aren't told */

/* A listed project in the order, and how it stands to the one before. */
struct ranked {
	uint32_t project, place; /* place: in the list */
	uint32_t left, right;    /* whose accounts decided; PROJECT_NONE: not only two */
	uint64_t until;          /* the last growth at which they surely stand as they do, if these don't change */
	bool known, equal;       /* known: the above is so */
};

/* A share, and how fast it changes with growth: the weight's 2^-64. */
struct line {
	u128 share;
	u128 steepest, least; /* slopes of parts: no part rises faster; the share rises by no less */
};

enum { LINES_SEEN = 8 };

/* An instant, for comparing. */
struct scale {
	const struct projects *p;
	uint32_t periods;
	uint64_t growth;
	/* Lines worked out lately, by a digit of the account's address: who moves is compared with several. */
	const struct account *seen[LINES_SEEN];
	struct line lines[LINES_SEEN];
};

/* ---- Two of them ---- */

/* Whose share counts for a listed project on a level of the tree. */
struct rival {
	const struct account *account;
	uint64_t weight_inverse;
	uint32_t project;
};

static struct rival rival_on(const struct projects *p, uint32_t project, uint32_t level)
{
	const struct project *at = project_of(p, project);
	uint32_t depth = at->depth;

	if (level == depth + 1 && at->n_children > 0)
		return (struct rival){&at->own, inverse_weight(1000), project};
	if (level > depth || at == &project_nobody)
		return (struct rival){&project_nobody.total, inverse_weight(1000), project};
	for (; depth > level; depth--)
		project = p->project[project].parent;
	return (struct rival){&p->project[project].total, p->project[project].weight_inverse, project};
}

static struct line line_of(const struct scale *s, const struct rival *rival)
{
	const struct account *a = rival->account;
	struct line line = {0};
	u128 most = 0;

	for (uint32_t i = 0; i < a->n && a->uses[i].resource < s->p->n_inverses; i++) {
		const struct inverse *inverse = &s->p->inverses[a->uses[i].resource];
		u128 slope = (u128)a->uses[i].held * inverse->factor >> (inverse->shift & 63);
		u128 part = use_part(&a->uses[i], inverse, s->periods, s->growth);

		if (slope + (a->uses[i].held > 0) > line.steepest)
			line.steepest = slope + (a->uses[i].held > 0);
		if (part > most) {
			most = part;
			line.least = slope;
		}
	}
	line.share = part_cut(most) * rival->weight_inverse;
	if (most >> ROOM_BITS)
		line.least = 0;
	return line;
}

/* The line of a rival; its account always has the same weight. */
static const struct line *line_at(struct scale *s, const struct rival *rival)
{
	uint32_t i = (uintptr_t)rival->account / sizeof(struct project) % LINES_SEEN;

	if (s->seen[i] != rival->account)
		s->lines[i] = line_of(s, rival);
	s->seen[i] = rival->account;
	return &s->lines[i];
}

/* The last growth at which a share is surely below another, as it is now. */
static uint64_t stays_below(const struct scale *s, const struct line *a, uint64_t weight_a, const struct line *b,
                            uint64_t weight_b)
{
	u128 gap = b->share - a->share, slack = (u128)weight_a + weight_b, up, down, more;
	uint32_t zeros, cut_off;

	if (gap <= slack || a->steepest >> ROOM_BITS)
		return s->growth;
	gap -= slack;
	up = a->steepest * weight_a;
	down = (b->least >> ROOM_BITS ? UINT64_MAX : b->least) * weight_b;
	if (up <= down)
		return UINT64_MAX;
	zeros = gap >> 64 ? (uint32_t)__builtin_clzll((uint64_t)(gap >> 64)) : 64;
	cut_off = 64 - zeros; /* of the rate's 64 digits below 1, where the gap has no room for them */
	more = (gap << zeros) / (((up - down) >> cut_off) + 1);
	return more < UINT64_MAX - s->growth ? s->growth + (uint64_t)more : UINT64_MAX;
}

/* Below 0, 0 or above: how a project stands to one behind it. Sets the rest of *ret but where it is above. */
static int meet(struct scale *s, uint32_t project, struct ranked *ret)
{
	uint32_t depth_a = project_of(s->p, project)->depth, depth_b = project_of(s->p, ret->project)->depth, differing = 0;

	ret->until = UINT64_MAX;
	ret->left = project;
	ret->right = ret->project;
	for (uint32_t level = 0; level <= (depth_a > depth_b ? depth_a : depth_b) + 1; level++) {
		struct rival a = rival_on(s->p, project, level), b = rival_on(s->p, ret->project, level);
		struct line x, y;
		uint64_t until;

		if (a.account == b.account)
			continue;
		x = *line_at(s, &a);
		y = *line_at(s, &b);
		ret->left = differing ? PROJECT_NONE : a.project;
		ret->right = differing++ ? PROJECT_NONE : b.project;
		if (x.share > y.share)
			return 1;
		until = x.share < y.share ? stays_below(s, &x, a.weight_inverse, &y, b.weight_inverse)
		                          : (x.steepest || y.steepest ? s->growth : UINT64_MAX);
		ret->until = until < ret->until ? until : ret->until;
		ret->known = true;
		ret->equal = false;
		if (x.share < y.share)
			return -1;
	}
	ret->known = ret->equal = true;
	return 0;
}

/* ---- All of them ---- */

static void reserve(const struct projects *p, struct project_ranking *r, const uint32_t *list, uint32_t n)
{
	uint32_t most = p->n;

	for (uint32_t i = 0; i < n; i++)
		most = list[i] >= most ? list[i] + 1 : most;
	assert(most <= PROJECT_NUMBERS_MAX);
	if (most > r->n_place) {
		free(r->place_of);
		r->n_place = most + most / 2;
		r->place_of = mem_new(r->n_place, sizeof *r->place_of);
	}
	if (n > r->cap) {
		r->cap = n + n / 2;
		r->list = mem_resize(r->list, r->cap, sizeof *r->list);
		r->order = mem_resize(r->order, r->cap, sizeof *r->order);
	}
}

/* The order from nothing: it begins with the ranks that project_share.c gives. */
static void begin(const struct projects *p, const struct moment *at, const uint32_t *list, uint32_t n, struct project_ranking *r,
                  uint32_t *ranks)
{
	uint32_t *next = mem_new(n, sizeof *next);

	reserve(p, r, list, n);
	projects_rank_all(p, at, list, n, ranks);
	for (uint32_t i = 0; i < n; i++) { /* of equals the first in the list is first */
		uint32_t at_order = ranks[i] + next[ranks[i]]++;

		r->order[at_order] = (struct ranked){.project = list[i], .place = i, .equal = at_order > ranks[i]};
	}
	if (n)
		memcpy(r->list, list, n * sizeof *list);
	r->n = n;
	free(next);
}

/* Keeps of the order those that are listed; whoever is new comes behind. */
static void list_again(struct project_ranking *r, const uint32_t *list, uint32_t n)
{
	uint32_t out = 0, left_out = 0;

	for (uint32_t i = 0; i < n; i++) {
		assert(r->place_of[list[i]] == 0); /* each once */
		r->place_of[list[i]] = i + 1;
	}
	for (uint32_t i = 0; i < r->n; i++) {
		struct ranked one = r->order[i];
		uint32_t *place = &r->place_of[one.project];

		left_out = *place ? left_out : i + 1;
		if (!*place)
			continue;
		one.place = *place - 1;
		one.known &= left_out != i; /* the one before is still there */
		r->order[out++] = one;
		*place = 0;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (r->place_of[list[i]])
			r->order[out++] = (struct ranked){.project = list[i], .place = i};
		r->place_of[list[i]] = 0;
	}
	if (n)
		memcpy(r->list, list, n * sizeof *list);
	r->n = n;
}

/* Forgets how those stand of whom something changed since, or whose bound is past. Returns whether there are any. */
static bool doubt(const struct scale *s, struct project_ranking *r)
{
	uint64_t changed = s->p->n_changed - r->changed_seen;
	bool all = changed > CHANGED_KEPT, any = false;

	for (uint64_t i = r->changed_seen; !all && i < s->p->n_changed; i++)
		r->place_of[s->p->changed[i % CHANGED_KEPT]] = 1;
	for (uint32_t i = 1; i < r->n; i++) {
		struct ranked *one = &r->order[i];

		if (all || one->until < s->growth ||
		    (changed && (one->left == PROJECT_NONE || r->place_of[one->left] || r->place_of[one->right])))
			one->known = false;
		any |= !one->known;
	}
	for (uint64_t i = r->changed_seen; !all && i < s->p->n_changed; i++)
		r->place_of[s->p->changed[i % CHANGED_KEPT]] = 0;
	return any;
}

/* Where a project belongs among the first n, which are in order: behind those that are equal. It is looked for from the end, in
 * steps that grow, for most pass one or two. */
static uint32_t find_place(struct scale *s, const struct ranked *order, uint32_t n, struct ranked moving)
{
	uint32_t low = 0, high = n;

	for (uint32_t step = 1; high > 0; step *= 2) {
		uint32_t probe = high > step ? high - step : 0;

		if (meet(s, order[probe].project, &moving) <= 0) {
			low = probe + 1;
			break;
		}
		high = probe;
	}
	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (meet(s, order[middle].project, &moving) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Moves a project forward. Both that it comes between are compared; the one that it leaves behind isn't yet. */
static void move(struct scale *s, struct project_ranking *r, uint32_t from, uint32_t to)
{
	struct ranked moving = r->order[from];

	memmove(&r->order[to + 1], &r->order[to], (from - to) * sizeof moving);
	r->order[to] = moving;
	if (to > 0)
		meet(s, r->order[to - 1].project, &r->order[to]);
	else
		r->order[to].equal = false;
	meet(s, moving.project, &r->order[to + 1]);
	if (from + 1 < r->n)
		r->order[from + 1].known = false;
}

/* Compares those again of whom it isn't known how they stand. Returns whether any rank is another. */
static bool repair(struct scale *s, struct project_ranking *r)
{
	bool changed = false;

	for (uint32_t i = 1; i < r->n; i++) {
		bool equal = r->order[i].equal;

		if (r->order[i].known)
			continue;
		if (meet(s, r->order[i - 1].project, &r->order[i]) > 0) {
			move(s, r, i, find_place(s, r->order, i - 1, r->order[i]));
			changed = true;
		}
		changed |= r->order[i].equal != equal;
	}
	return changed;
}

static void tell_ranks(const struct project_ranking *r, uint32_t *ranks)
{
	for (uint32_t i = 0, rank = 0; i < r->n; i++) {
		rank = i > 0 && r->order[i].equal ? rank : i;
		ranks[r->order[i].place] = rank;
	}
}

/* Whether what is kept can be gone on from; with another list, whether that is worth it. */
static bool goes_on(const struct projects *p, const struct moment *at, const struct project_ranking *r, uint32_t n)
{
	return r->n > 0 && n <= r->n + r->n / 4 + 4 && r->remade == p->remade && r->period == at->period && r->growth <= at->growth;
}

bool projects_rank(const struct projects *p, us_t now_us, const uint32_t *list, uint32_t n, struct project_ranking *r,
                   uint32_t *ret_ranks)
{
	struct moment at = moment_of(p, now_us);
	struct scale scale = {.p = p, .periods = periods_since(p, &at), .growth = at.growth};
	bool changed = true, same_list;

	if (!r) {
		projects_rank_all(p, &at, list, n, ret_ranks);
		return true;
	}
	same_list = r->n == n && (n == 0 || !memcmp(r->list, list, n * sizeof *list));
	if (!goes_on(p, &at, r, n)) {
		begin(p, &at, list, n, r, ret_ranks);
	} else {
		reserve(p, r, list, n);
		if (!same_list)
			list_again(r, list, n);
		changed = (doubt(&scale, r) && repair(&scale, r)) || !same_list;
		if (changed)
			tell_ranks(r, ret_ranks);
	}
	r->remade = p->remade;
	r->period = at.period;
	r->growth = at.growth;
	r->changed_seen = p->n_changed;
	return changed;
}

void project_ranking_check(const struct projects *p, const struct project_ranking *r)
{
	const struct moment at = {r->period, r->growth};
	uint32_t *ranks = mem_new(r->n, sizeof *ranks), *from_nothing = mem_new(r->n, sizeof *ranks);

	if (r->remade == p->remade && r->changed_seen == p->n_changed) {
		tell_ranks(r, ranks);
		projects_rank_all(p, &at, r->list, r->n, from_nothing);
		assert(!memcmp(ranks, from_nothing, r->n * sizeof *ranks));
	}
	free(ranks);
	free(from_nothing);
}

void project_ranking_done(struct project_ranking *r)
{
	free(r->order);
	free(r->list);
	free(r->place_of);
	*r = (struct project_ranking){0};
}
