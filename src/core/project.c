/* SPDX-License-Identifier: Apache-2.0
 * project.c: fair shares, quotas and cohorts; see project.h.
 *
 * Decayed use. With half-life H and C = H / ln 2, an amount h held from instant s on has at t the use h·C·(1 − 2^((s−t)/H)).
 * Seen on a scale that grows as the use decays, A(t) = use(t) / C · 2^(t/H), that is h·(G(t) − G(s)) with G(t) = 2^(t/H): linear
 * in G. So each entry is two numbers, A = base + held·G, and they change only when something is taken (base −= h·G(now),
 * held += h) or given. Time costs nothing, and what holds nothing keeps its A for ever. All shares at an instant are on one
 * scale, so that comparing them needs no 2^−x at all: only G(now), once.
 *
 * In integers: instant t is in period n = ⌊t / H⌋, and G(t) = growth·2^n, with growth = 2^56·2^(t/H − n), rounded down. Bases are
 * kept as of a period (`period`), G as growth·2^(n − period). Since growth depends on t mod H alone, moving all bases to a later
 * period (a shift, rounded down) leaves exactly A rounded down: uses never fall below 0, and no error grows. The sums over
 * subtrees are sums of the projects' own entries, which are the state, and are made anew after each such move.
 * Without decay G(t) = t.
 *
 * Bounds: held < 2^55, growth < 2^57, n − period <= PERIODS_MAX = 8; so |base|, A < 2^121. A divided by a capacity is a part of
 * the whole pool, for which A is growth; it is cut off at 2^65, over 100 pools.
 *
 * Quotas. A project with quotas and without a cohort is the only one of a cohort of its own. A cohort keeps for each kind
 * what its projects bring (nominal, lendable), what they hold, and how much of that is over what each keeps for itself. */
#include "core/project.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/wide.h"
#include "core/event.h"

enum {
	GROWTH_BITS = 56,
	TIME_BITS = 10,   /* of a microsecond, without decay */
	WEIGHT_BITS = 52, /* of 1 / weight */
	SHARE_BITS = 65,  /* of a part of the pool */
	PERIODS_MAX = 8,
	RESOURCE_CPUS_MILLI = 0,
	RESOURCE_MEMORY_MIB = 1,
	RESOURCE_KINDS = 2, /* and the kind's number */
	PROJECT_NUMBERS_MAX = 1 << 24,
	RUN_MAX = 12, /* as many are sorted by insertion */
	SEEN = 64,
};

#define HELD_MAX (UINT64_C(1) << 55)
#define QUOTA_MAX (UINT64_C(1) << 48) /* more is as good as this: sums stay in 64 bits */
#define INSTANT_MAX (INT64_C(1) << 55)
#define USE_MAX ((u128)1 << 121)

/* What an account holds and has used of one resource. */
struct use {
	uint32_t resource;
	uint64_t held;
	i128 base;
};

/* Uses by resource, ascending. */
struct account {
	struct use *uses;
	uint32_t n, cap;
};

struct quota {
	uint32_t kind;
	uint64_t nominal, borrowing, lendable;
};

/* One kind in a cohort. */
struct cohort_line {
	uint32_t kind;
	uint64_t nominal, lendable;
	uint64_t used, shared; /* shared: the sum of what each holds over what it keeps */
};

struct cohort {
	struct cohort_line *lines; /* by kind, ascending */
	uint32_t n_lines, cap;
	uint64_t relieved;
};

/* What ranking reads comes first: it fits one line of a cache. */
struct project {
	uint32_t parent, depth, n_children;
	uint32_t guarded; /* the nearest with quotas, from itself up; PROJECT_NONE */
	uint64_t weight_inverse;
	struct account total, own; /* total: with all below it */
	bool declared;
	uint32_t weight_milli;
	uint32_t cohort;      /* PROJECT_NONE where it has no quotas */
	struct quota *quotas; /* by kind, ascending; n_quotas 0: unlimited */
	uint32_t n_quotas, quotas_cap;
};

/* 1 / capacity, as a product and a shift. */
struct inverse {
	uint64_t factor; /* 0: that resource doesn't count */
	uint32_t shift;
};

/* An instant as the scale of uses: G = growth · 2^period. */
struct moment {
	uint64_t period, growth;
};

struct projects {
	struct project *project; /* by number */
	uint32_t n, cap;
	uint32_t n_declared;
	struct cohort *cohorts;
	uint32_t n_cohorts;
	struct inverse *inverses; /* by resource */
	uint32_t n_inverses;
	us_t half_life_us;  /* US_NEVER: no decay */
	uint64_t period;    /* of all bases */
	uint64_t relieved;  /* what the cohorts before the latest declaration counted */
	struct moment last; /* a memo: the latest instant of a take or give; growth 0: none */
	us_t last_us;
};

/* ---- The clock ---- */

/* 2^(2^−i) for i from 1, in 2^−63, rounded down. */
static const uint64_t roots_of_2[GROWTH_BITS] = {
	0xb504f333f9de6484, 0x9837f0518db8a96f, 0x8b95c1e3ea8bd6e6, 0x85aac367cc487b14, 0x82cd8698ac2ba1d7, 0x8164d1f3bc030773,
	0x80b1ed4fd999ab6c, 0x8058d7d2d5e5f6b0, 0x802c6436d0e04f50, 0x8016302f17467628, 0x800b179c82028fd0, 0x80058baf7fee3b5d,
	0x8002c5d00fdcfcb6, 0x800162e61bed4a48, 0x8000b17292f702a3, 0x800058b92abbae02, 0x80002c5c8dade4d7, 0x8000162e44eaf636,
	0x80000b1721fa7c18, 0x8000058b90de7e4c, 0x800002c5c8678f36, 0x80000162e431db9f, 0x800000b1721872d0, 0x80000058b90c1aa8,
	0x8000002c5c8605a4, 0x800000162e4300e6, 0x8000000b17217ff8, 0x800000058b90bfdd, 0x80000002c5c85fe6, 0x8000000162e42ff1,
	0x80000000b17217f8, 0x8000000058b90bfc, 0x800000002c5c85fd, 0x80000000162e42fe, 0x800000000b17217f, 0x80000000058b90bf,
	0x8000000002c5c85f, 0x800000000162e42f, 0x8000000000b17217, 0x800000000058b90b, 0x80000000002c5c85, 0x8000000000162e42,
	0x80000000000b1721, 0x8000000000058b90, 0x800000000002c5c8, 0x80000000000162e4, 0x800000000000b172, 0x80000000000058b9,
	0x8000000000002c5c, 0x800000000000162e, 0x8000000000000b17, 0x800000000000058b, 0x80000000000002c5, 0x8000000000000162,
	0x80000000000000b1, 0x8000000000000058,
};

/* 2^56 · 2^(part / whole), part < whole < 2^52: one binary digit of the quotient after the other, and the root that stands for
 * it. It grows with each microsecond: by 2^−52 of itself at least, and the rounding is below 2^−56. */
static uint64_t growth_of(uint64_t part, uint64_t whole)
{
	u128 growth = (u128)1 << 63;

	for (int i = 0; i < GROWTH_BITS; i++) {
		part <<= 1;
		if (part < whole)
			continue;
		part -= whole;
		growth = growth * roots_of_2[i] >> 63;
	}
	return (uint64_t)(growth >> (63 - GROWTH_BITS));
}

static bool decays(us_t half_life_us)
{
	return half_life_us != US_NEVER;
}

static struct moment moment_at(us_t half_life_us, us_t now_us)
{
	uint64_t now, whole = (uint64_t)half_life_us;

	if (now_us > INSTANT_MAX)
		now_us = INSTANT_MAX;
	now = now_us > 0 ? (uint64_t)now_us : 0;
	if (!decays(half_life_us))
		return (struct moment){0, now << TIME_BITS};
	return (struct moment){now / whole, growth_of(now % whole, whole)};
}

static uint32_t periods_since(const struct projects *p, const struct moment *at)
{
	uint64_t periods = at->period > p->period ? at->period - p->period : 0;

	return periods < 127 ? (uint32_t)periods : 127;
}

/* ---- Arithmetic ---- */

/* value · numerator / denominator, rounded down, at most USE_MAX. denominator: 1 to 2^63. */
static u128 scale(u128 value, uint64_t numerator, uint64_t denominator)
{
	u128 low = (u128)(uint64_t)value * numerator, high = (value >> 64) * numerator + (low >> 64);
	uint64_t words[3] = {(uint64_t)(high >> 64), (uint64_t)high, (uint64_t)low};
	u128 quotient = 0;
	uint64_t rest = 0;

	for (int i = 0; i < 192; i++) {
		rest = rest << 1 | (words[i / 64] >> (63 - i % 64) & 1);
		if (quotient > USE_MAX / 2)
			return USE_MAX;
		quotient <<= 1;
		if (rest >= denominator) {
			rest -= denominator;
			quotient |= 1;
		}
	}
	return quotient;
}

static uint64_t cut(u128 value, uint64_t most)
{
	return value < most ? (uint64_t)value : most;
}

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

/* ---- Accounts ---- */

/* Where a resource stands among the uses, or would. */
static uint32_t place_of(const struct account *a, uint32_t resource)
{
	uint32_t low = 0, high = a->n;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (a->uses[middle].resource < resource)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct use *use_of(struct account *a, uint32_t resource)
{
	uint32_t i = place_of(a, resource);

	if (i < a->n && a->uses[i].resource == resource)
		return &a->uses[i];
	mem_grow((void **)&a->uses, &a->cap, a->n, sizeof *a->uses);
	memmove(&a->uses[i + 1], &a->uses[i], (a->n - i) * sizeof *a->uses);
	a->n++;
	a->uses[i] = (struct use){.resource = resource};
	return &a->uses[i];
}

static uint64_t held_of(const struct account *a, uint32_t resource)
{
	uint32_t i = place_of(a, resource);

	return i < a->n && a->uses[i].resource == resource ? a->uses[i].held : 0;
}

/* A at a moment, so many periods after that of the bases: floor(A / 2^periods). A shift of what is below 0 rounds down too, with
 * each compiler that we build with. */
static u128 use_at(const struct use *use, uint32_t periods, uint64_t growth)
{
	i128 value = (use->base >> periods) + (i128)((u128)use->held * growth);

	return value > 0 ? (u128)value : 0;
}

/* The greatest of an account's uses, as parts of the pool (all of it, long enough: 2^GROWTH_BITS and over). */
static u128 greatest_part(const struct projects *p, const struct account *a, uint32_t periods, uint64_t growth)
{
	u128 most = 0;

	for (uint32_t i = 0; i < a->n && a->uses[i].resource < p->n_inverses; i++) {
		const struct inverse *inverse = &p->inverses[a->uses[i].resource];
		u128 value = use_at(&a->uses[i], periods, growth);
		u128 part = ((value >> 64) * inverse->factor + ((u128)(uint64_t)value * inverse->factor >> 64)) >> inverse->shift;

		if (part > most)
			most = part;
	}
	return most < (u128)1 << SHARE_BITS ? most : (u128)1 << SHARE_BITS;
}

/* ---- Numbers, lookups ---- */

static const struct project nobody = {
	.parent = PROJECT_NONE, .weight_milli = 1000, .guarded = PROJECT_NONE, .cohort = PROJECT_NONE};

static uint64_t inverse_weight(uint32_t weight_milli)
{
	return ((uint64_t)1000 << WEIGHT_BITS) / (weight_milli ? weight_milli : 1);
}

static const struct project *project_of(const struct projects *p, uint32_t project)
{
	return project < p->n ? &p->project[project] : &nobody;
}

/* Makes the numbers up to this one exist. */
static void grow(struct projects *p, uint32_t project)
{
	assert(project < PROJECT_NUMBERS_MAX);
	while (p->n <= project) {
		mem_grow((void **)&p->project, &p->cap, p->n, sizeof *p->project);
		p->project[p->n] = nobody;
		p->project[p->n++].weight_inverse = inverse_weight(1000);
	}
}

static uint32_t guarded_of(const struct projects *p, uint32_t project)
{
	return project_of(p, project)->guarded;
}

/* The next with quotas above one that has some. */
static uint32_t guarded_above(const struct projects *p, uint32_t guarded)
{
	uint32_t parent = p->project[guarded].parent;

	return parent == PROJECT_NONE ? PROJECT_NONE : p->project[parent].guarded;
}

static const struct quota *quota_of(const struct project *project, uint32_t kind)
{
	uint32_t low = 0, high = project->n_quotas;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (project->quotas[middle].kind < kind)
			low = middle + 1;
		else
			high = middle;
	}
	return low < project->n_quotas && project->quotas[low].kind == kind ? &project->quotas[low] : NULL;
}

/* What a project has of a kind that it doesn't list. */
static struct quota quota_or_none(const struct project *project, uint32_t kind)
{
	const struct quota *quota = quota_of(project, kind);

	return quota ? *quota : (struct quota){.kind = kind};
}

static struct cohort_line *line_of(const struct cohort *cohort, uint32_t kind)
{
	uint32_t low = 0, high = cohort->n_lines;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (cohort->lines[middle].kind < kind)
			low = middle + 1;
		else
			high = middle;
	}
	return low < cohort->n_lines && cohort->lines[low].kind == kind ? &cohort->lines[low] : NULL;
}

static uint64_t over(uint64_t amount, uint64_t bound)
{
	return amount > bound ? amount - bound : 0;
}

static uint64_t kept_of(const struct project *project, uint32_t kind)
{
	struct quota quota = quota_or_none(project, kind);

	return quota.nominal - quota.lendable;
}

/* ---- Taking and giving ---- */

/* A project with quotas comes from holding `before` to holding `after` of a kind. */
static void count_in_cohort(struct projects *p, const struct project *project, uint32_t kind, uint64_t before, uint64_t after)
{
	struct cohort_line *line = line_of(&p->cohorts[project->cohort], kind);
	uint64_t kept;

	if (!line) /* nobody there lists the kind */
		return;
	kept = kept_of(project, kind);
	line->used += after - before;
	line->shared += over(after, kept) - over(before, kept);
}

/* change: below 0 where it is given. base: what goes into the base beside it. */
static void change_use(struct use *use, i128 change, i128 base)
{
	assert((i128)use->held + change >= 0);
	use->held = (uint64_t)((i128)use->held + change);
	assert(use->held < HELD_MAX);
	use->base += base;
}

/* Adds to a project's sum, and its ancestors'. */
static void change_totals(struct projects *p, uint32_t project, uint32_t resource, i128 change, i128 base)
{
	for (uint32_t n = project; n != PROJECT_NONE; n = p->project[n].parent) {
		struct use *use = use_of(&p->project[n].total, resource);
		uint64_t before = use->held;

		change_use(use, change, base);
		if (resource >= RESOURCE_KINDS && p->project[n].n_quotas > 0)
			count_in_cohort(p, &p->project[n], resource - RESOURCE_KINDS, before, use->held);
	}
}

static void change_one(struct projects *p, uint32_t project, uint32_t resource, i128 change, i128 growth)
{
	if (change == 0)
		return;
	change_use(use_of(&p->project[project].own, resource), change, -change * growth);
	change_totals(p, project, resource, change, -change * growth);
}

/* sign: 1 takes, −1 gives. growth: G now, or 0 where the use knows of it already. */
static void change_all(struct projects *p, uint32_t project, const struct project_amount *amount, int sign, i128 growth)
{
	assert(amount->cards_milli == 0 || amount->kind < POOL_KINDS_MAX * 1024);
	grow(p, project);
	if (amount->cards_milli > 0)
		change_one(p, project, RESOURCE_KINDS + amount->kind, (i128)sign * amount->cards_milli, growth);
	change_one(p, project, RESOURCE_CPUS_MILLI, (i128)sign * amount->cpus_milli, growth);
	change_one(p, project, RESOURCE_MEMORY_MIB, (i128)sign * amount->memory_mib, growth);
}

/* Makes the sums over subtrees and cohorts anew from what each project itself holds and used. */
static void sum_up(struct projects *p)
{
	for (uint32_t i = 0; i < p->n_cohorts; i++)
		for (uint32_t k = 0; k < p->cohorts[i].n_lines; k++)
			p->cohorts[i].lines[k].used = p->cohorts[i].lines[k].shared = 0;
	for (uint32_t i = 0; i < p->n; i++)
		p->project[i].total.n = 0;
	for (uint32_t i = 0; i < p->n; i++)
		for (uint32_t k = 0; k < p->project[i].own.n; k++) {
			struct use *use = &p->project[i].own.uses[k];

			change_totals(p, i, use->resource, (i128)use->held, use->base);
		}
}

/* Moves all bases to a later period. */
static void move_bases(struct projects *p, uint64_t period, uint32_t periods)
{
	p->period = period;
	for (uint32_t i = 0; i < p->n; i++)
		for (uint32_t k = 0; k < p->project[i].own.n; k++)
			p->project[i].own.uses[k].base >>= periods;
	sum_up(p);
}

/* G at an instant at which something changes, on the scale of the bases. */
static i128 growth_at(struct projects *p, us_t now_us)
{
	struct moment at = p->last;

	if (!at.growth || now_us != p->last_us) {
		p->last = at = moment_at(p->half_life_us, now_us);
		p->last_us = now_us;
	}
	if (periods_since(p, &at) > PERIODS_MAX)
		move_bases(p, at.period, periods_since(p, &at));
	return (i128)at.growth << periods_since(p, &at);
}

void projects_take(struct projects *p, uint32_t project, const struct project_amount *amount, us_t now_us)
{
	change_all(p, project, amount, 1, growth_at(p, now_us));
}

void projects_give(struct projects *p, uint32_t project, const struct project_amount *amount, us_t now_us)
{
	change_all(p, project, amount, -1, growth_at(p, now_us));
	if (amount->cards_milli > 0)
		for (uint32_t n = guarded_of(p, project); n != PROJECT_NONE; n = guarded_above(p, n))
			p->cohorts[p->project[n].cohort].relieved++;
}

void projects_set_aside(struct projects *p, uint32_t project, const struct project_amount *amount)
{
	change_all(p, project, amount, -1, 0);
}

void projects_hold_again(struct projects *p, uint32_t project, const struct project_amount *amount)
{
	change_all(p, project, amount, 1, 0);
}

uint64_t projects_held_milli(const struct projects *p, uint32_t project, uint32_t kind)
{
	return kind == KIND_NONE ? 0 : held_of(&project_of(p, project)->total, RESOURCE_KINDS + kind);
}

/* ---- The order ---- */

/* A listed project on its way down: its share on the level, and whether others are still equal that may not stay so. By place
 * in the list, which is how shares are computed: the projects' memory is read in that order, not in that of the ranks. */
struct entrant {
	u128 share;
	bool tied;
};

/* An entrant in the order so far. */
struct ranked {
	u128 share;
	uint32_t place; /* in the list */
};

/* One ranking on its way. ranks: those that are equal so far have the place of the first of them in the order. */
struct contest {
	const struct projects *p;
	const uint32_t *list;
	uint32_t n;
	struct entrant *entrants;
	struct ranked *ranked, *spare;
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

	if (at == &nobody)
		return 0;
	if (level <= at->depth)
		return subtree_share(c, ancestor_at(c->p, project, level));
	if (level == at->depth + 1 && at->n_children > 0)
		return greatest_part(c->p, &at->own, c->periods, c->growth) * inverse_weight(1000);
	return 0;
}

static void insert_sort(struct ranked *a, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++) {
		struct ranked moving = a[i];
		uint32_t k = i;

		for (; k > 0 && a[k - 1].share > moving.share; k--)
			a[k] = a[k - 1];
		a[k] = moving;
	}
}

/* A stable merge sort that costs one pass over what is in order already. spare: room for half of it. */
static void merge_sort(struct ranked *a, uint32_t n, struct ranked *spare)
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
		tied = goes_deeper(c->p, c->list[c->ranked[i].place], level);
	for (uint32_t i = first; i < end; i++) {
		c->ranks[c->ranked[i].place] = first;
		c->entrants[c->ranked[i].place].tied = tied;
	}
	return tied;
}

/* Orders those that were equal down to the level above. Returns whether some may still be told apart. */
static bool rank_run(struct contest *c, uint32_t first, uint32_t end, uint32_t level)
{
	struct ranked *a = c->ranked;
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
		uint32_t place = c->ranked[i].place, rank = c->ranks[place];

		for (next = i + 1; next < c->n && c->ranks[c->ranked[next].place] == rank;)
			next++;
		if (c->entrants[place].tied)
			tied |= rank_run(c, i, next, level);
	}
	return tied;
}

static void ranking_reserve(struct project_ranking *r, const uint32_t *list, uint32_t n)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < n; i++)
		most = list[i] > most ? list[i] : most;
	assert(most < PROJECT_NUMBERS_MAX);
	if (most >= r->n_place) {
		free(r->place_of);
		r->n_place = most + most / 2 + 1;
		r->place_of = mem_new(r->n_place, sizeof *r->place_of);
	}
	if (n > r->cap) {
		r->cap = n + n / 2;
		r->order = mem_resize(r->order, r->cap, sizeof *r->order);
		r->entrants = mem_resize(r->entrants, r->cap, sizeof *r->entrants);
		r->ranked = mem_resize(r->ranked, r->cap, sizeof *r->ranked);
		r->spare = mem_resize(r->spare, r->cap, sizeof *r->spare);
	}
}

/* Begins with the order of last time; whoever is new comes behind. */
static void ranking_begin(struct project_ranking *r, const uint32_t *list, uint32_t n)
{
	uint32_t out = 0;

	ranking_reserve(r, list, n);
	for (uint32_t i = 0; i < n; i++) {
		assert(r->place_of[list[i]] == 0); /* each once */
		r->place_of[list[i]] = i + 1;
	}
	for (uint32_t i = 0; i < r->n; i++) {
		uint32_t project = r->order[i];

		if (project >= r->n_place || r->place_of[project] == 0)
			continue;
		r->ranked[out++].place = r->place_of[project] - 1;
		r->place_of[project] = 0;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (r->place_of[list[i]] > 0)
			r->ranked[out++].place = i;
		r->place_of[list[i]] = 0;
	}
}

void projects_rank(const struct projects *p, us_t now_us, const uint32_t *list, uint32_t n, struct project_ranking *ranking,
                   uint32_t *ret_ranks)
{
	struct project_ranking once = {0}, *r = ranking ? ranking : &once;
	struct moment at = moment_at(p->half_life_us, now_us);
	struct contest c = {.p = p, .list = list, .n = n, .ranks = ret_ranks};

	ranking_begin(r, list, n);
	c.entrants = r->entrants;
	c.ranked = r->ranked;
	c.spare = r->spare;
	c.periods = periods_since(p, &at);
	c.growth = at.growth;
	for (uint32_t i = 0; i < SEEN; i++)
		c.seen[i].project = PROJECT_NONE;
	for (uint32_t i = 0; i < n; i++) {
		c.entrants[i].tied = true;
		c.ranks[i] = 0;
	}
	for (uint32_t level = 0; rank_level(&c, level);)
		level++;
	for (uint32_t i = 0; i < n; i++)
		r->order[i] = list[c.ranked[i].place];
	r->n = n;
	project_ranking_done(&once);
}

void project_ranking_done(struct project_ranking *r)
{
	free(r->order);
	free(r->place_of);
	free(r->entrants);
	free(r->ranked);
	free(r->spare);
	*r = (struct project_ranking){0};
}

/* ---- Shares and uses for people ---- */

us_t projects_unit_us(const struct projects *p)
{
	const uint64_t inverse_ln_2 = UINT64_C(0x171547652b82fe17); /* in 2^−60 */

	return decays(p->half_life_us) ? (us_t)((u128)(uint64_t)p->half_life_us * inverse_ln_2 >> 60) : US_NEVER;
}

/* A value on the scale of a moment as amount × microseconds, and back. */
static u128 to_amount_us(const struct projects *p, const struct moment *at, u128 value)
{
	if (!decays(p->half_life_us))
		return value >> TIME_BITS;
	return scale(value, (uint64_t)projects_unit_us(p), at->growth);
}

static u128 from_amount_us(const struct projects *p, const struct moment *at, u128 value)
{
	uint64_t unit_us = (uint64_t)projects_unit_us(p);

	return decays(p->half_life_us) ? scale(value, at->growth, unit_us ? unit_us : 1) : scale(value, 1 << TIME_BITS, 1);
}

us_t projects_share_us(const struct projects *p, uint32_t project, us_t now_us)
{
	struct moment at = moment_at(p->half_life_us, now_us);
	const struct project *of = project_of(p, project);
	u128 part = greatest_part(p, &of->total, periods_since(p, &at), at.growth);

	return (us_t)cut(scale(to_amount_us(p, &at, part), 1000, of->weight_milli), (uint64_t)US_NEVER);
}

uint64_t projects_used_milli_hours(const struct projects *p, uint32_t project, uint32_t kind, us_t now_us)
{
	struct moment at = moment_at(p->half_life_us, now_us);
	const struct account *total = &project_of(p, project)->total;
	uint32_t i;

	if (kind == KIND_NONE)
		return 0;
	i = place_of(total, RESOURCE_KINDS + kind);
	if (i == total->n || total->uses[i].resource != RESOURCE_KINDS + kind)
		return 0;
	return cut(scale(to_amount_us(p, &at, use_at(&total->uses[i], periods_since(p, &at), at.growth)), 1, (uint64_t)US_HOUR),
	           UINT64_MAX);
}

/* ---- Quota ---- */

/* What a project may borrow at most: by its limit, and by what the others lend. */
static uint64_t borrowing_of(const struct quota *quota, const struct cohort_line *line)
{
	uint64_t lent = line->lendable - quota->lendable;

	return quota->borrowing < lent ? quota->borrowing : lent;
}

/* Whether a project with quotas refuses `milli` more on top of what is used. used: by it; line: of its cohort, as it is then. */
static enum quota_verdict refuses(const struct quota *quota, const struct cohort_line *line, uint64_t used, uint64_t milli)
{
	uint64_t kept = quota->nominal - quota->lendable;

	if ((u128)used + milli > (u128)quota->nominal + borrowing_of(quota, line))
		return QUOTA_NOMINAL;
	if (line->shared - over(used, kept) + over(used + milli, kept) > line->lendable)
		return over(used + milli, kept) > 0 ? QUOTA_COHORT : QUOTA_OK; /* what it keeps is its own, whatever the others hold */
	return QUOTA_OK;
}

/* The verdict of one project with quotas. empty: as if nobody held anything. */
static enum quota_verdict verdict_of(const struct projects *p, uint32_t guarded, uint32_t kind, uint64_t milli, bool empty)
{
	const struct project *project = &p->project[guarded];
	const struct quota *quota = quota_of(project, kind);
	struct cohort_line line;

	if (!quota)
		return QUOTA_KIND;
	line = *line_of(&p->cohorts[project->cohort], kind);
	if (empty)
		line.shared = 0;
	return refuses(quota, &line, empty ? 0 : projects_held_milli(p, guarded, kind), milli);
}

static uint64_t lent_of(const struct quota *quota, const struct cohort_line *line, uint64_t used)
{
	uint64_t to_be_had = over(quota->nominal - quota->lendable, used) + over(line->lendable, line->shared);

	return over(over(quota->nominal, used), to_be_had);
}

static struct quota_view view_of(const struct projects *p, uint32_t guarded, uint32_t kind, bool empty)
{
	const struct project *project;
	struct quota_view view = {.project = guarded};
	struct cohort_line line = {0}, *of_cohort;
	struct quota quota;

	if (guarded == PROJECT_NONE)
		return view;
	project = &p->project[guarded];
	quota = quota_or_none(project, kind);
	of_cohort = line_of(&p->cohorts[project->cohort], kind);
	if (of_cohort)
		line = *of_cohort;
	if (empty)
		line.shared = line.used = 0;
	view.used_milli = empty ? 0 : projects_held_milli(p, guarded, kind);
	view.nominal_milli = quota.nominal;
	view.borrowing_milli = quota_of(project, kind) ? borrowing_of(&quota, &line) : 0;
	view.lent_milli = lent_of(&quota, &line, view.used_milli);
	view.cohort_used_milli = line.used;
	view.cohort_nominal_milli = line.nominal;
	return view;
}

static enum quota_verdict fits(const struct projects *p, uint32_t project, uint32_t kind, uint64_t milli, bool empty,
                               struct quota_view *why)
{
	enum quota_verdict worst = QUOTA_OK;
	uint32_t by = guarded_of(p, project);

	for (uint32_t n = by; n != PROJECT_NONE && kind != KIND_NONE && milli > 0; n = guarded_above(p, n)) {
		enum quota_verdict verdict = verdict_of(p, n, kind, milli, empty);

		if (verdict == QUOTA_OK || (worst != QUOTA_OK && worst <= verdict))
			continue;
		worst = verdict;
		by = n;
	}
	if (why)
		*why = view_of(p, by, kind, empty);
	return worst;
}

enum quota_verdict projects_fits(const struct projects *p, uint32_t project, uint32_t kind, uint64_t milli,
                                 struct quota_view *why)
{
	return fits(p, project, kind, milli, false, why);
}

enum quota_verdict projects_ever_fits(const struct projects *p, uint32_t project, uint32_t kind, uint64_t milli,
                                      struct quota_view *why)
{
	return fits(p, project, kind, milli, true, why);
}

bool projects_may_reclaim(const struct projects *p, uint32_t project, uint32_t kind, uint64_t milli)
{
	if (projects_fits(p, project, kind, milli, NULL) != QUOTA_COHORT)
		return false;
	for (uint32_t n = guarded_of(p, project); n != PROJECT_NONE; n = guarded_above(p, n)) {
		struct quota quota = quota_or_none(&p->project[n], kind);

		if (verdict_of(p, n, kind, milli, false) == QUOTA_COHORT && projects_held_milli(p, n, kind) + milli > quota.nominal)
			return false;
	}
	return true;
}

uint64_t projects_borrows(const struct projects *p, uint32_t project, uint32_t kind)
{
	const struct project *of = project_of(p, project);

	return of->n_quotas ? over(projects_held_milli(p, project, kind), quota_or_none(of, kind).nominal) : 0;
}

int projects_over_share(const struct projects *p, uint32_t a, uint32_t b, uint32_t kind)
{
	uint64_t x = projects_borrows(p, a, kind), y = projects_borrows(p, b, kind);
	uint64_t of_a = quota_or_none(project_of(p, a), kind).nominal, of_b = quota_or_none(project_of(p, b), kind).nominal;
	u128 left = (u128)x * of_b, right = (u128)y * of_a;

	if (x == 0 || y == 0 || (of_a == 0 && of_b == 0))
		return (x > y) - (x < y);
	return (left > right) - (left < right); /* where one's nominal is 0, the other's product is */
}

bool projects_same_cohort(const struct projects *p, uint32_t a, uint32_t b)
{
	uint32_t cohort = project_of(p, a)->cohort;

	return cohort != PROJECT_NONE && cohort == project_of(p, b)->cohort;
}

uint32_t projects_cohort_fellow(const struct projects *p, uint32_t member, uint32_t project)
{
	for (uint32_t n = guarded_of(p, project); n != PROJECT_NONE; n = guarded_above(p, n))
		if (n != member && projects_same_cohort(p, n, member))
			return n;
	return PROJECT_NONE;
}

uint64_t projects_relieved(const struct projects *p, uint32_t project)
{
	uint64_t relieved = p->relieved;

	for (uint32_t n = guarded_of(p, project); n != PROJECT_NONE; n = guarded_above(p, n))
		relieved += p->cohorts[p->project[n].cohort].relieved;
	return relieved;
}

static bool within_quotas(const struct projects *p, uint32_t project)
{
	const struct account *total = &p->project[project].total;

	for (uint32_t i = place_of(total, RESOURCE_KINDS); i < total->n; i++) {
		uint32_t kind = total->uses[i].resource - RESOURCE_KINDS;

		if (total->uses[i].held > 0 && verdict_of(p, project, kind, 0, false) != QUOTA_OK)
			return false;
	}
	return true;
}

bool projects_within_quotas(const struct projects *p)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (p->project[i].n_quotas > 0 && !within_quotas(p, i))
			return false;
	return true;
}

/* ---- The declaration ---- */

static void cohorts_free(struct projects *p)
{
	for (uint32_t i = 0; i < p->n_cohorts; i++) {
		p->relieved += p->cohorts[i].relieved;
		free(p->cohorts[i].lines);
	}
	free(p->cohorts);
	p->cohorts = NULL;
	p->n_cohorts = 0;
}

/* Takes all that was declared back. */
static void forget(struct projects *p)
{
	cohorts_free(p);
	p->relieved++;
	p->n_declared = 0;
	for (uint32_t i = 0; i < p->n; i++) {
		struct account own = p->project[i].own, total = p->project[i].total;

		free(p->project[i].quotas);
		p->project[i] = nobody;
		p->project[i].own = own;
		p->project[i].total = total;
		p->project[i].weight_inverse = inverse_weight(1000);
	}
}

static void add_quota(struct project *project, const struct quota_spec *spec, uint32_t kind)
{
	struct quota quota = {.kind = kind, .nominal = cut(spec->nominal_milli, QUOTA_MAX), .borrowing = spec->borrowing_milli};
	uint32_t at = project->n_quotas;

	quota.lendable = cut(spec->lending_milli, quota.nominal);
	mem_grow((void **)&project->quotas, &project->quotas_cap, project->n_quotas, sizeof *project->quotas);
	for (; at > 0 && project->quotas[at - 1].kind > kind; at--)
		project->quotas[at] = project->quotas[at - 1];
	project->quotas[at] = quota;
	project->n_quotas++;
}

/* A project whose quotas are all for kinds that aren't there has one of 0 for a kind that nobody has: it isn't unlimited. */
static void declare_quotas(struct project *project, const struct project_spec *spec, const struct strtab *kinds)
{
	for (uint32_t i = 0; i < spec->n_quotas; i++) {
		uint32_t kind = strtab_find(kinds, spec->quotas[i].kind);

		if (kind != STRTAB_NONE && !quota_of(project, kind))
			add_quota(project, &spec->quotas[i], kind);
	}
	if (spec->n_quotas > 0 && project->n_quotas == 0)
		add_quota(project, &(struct quota_spec){0}, KIND_NONE);
}

/* The numbers of cohorts: those with names first, as they come, then one each for those without. */
static void declare_cohorts(struct projects *p, const struct pool_spec *spec, const struct strtab *names)
{
	struct strtab cohorts = {0};
	uint32_t n;

	for (uint32_t i = 0; i < spec->n_projects; i++)
		if (spec->projects[i].cohort && spec->projects[i].n_quotas)
			p->project[strtab_find(names, spec->projects[i].name)].cohort = strtab_add(&cohorts, spec->projects[i].cohort);
	n = cohorts.count;
	strtab_done(&cohorts);
	for (uint32_t i = 0; i < p->n; i++)
		if (p->project[i].n_quotas && p->project[i].cohort == PROJECT_NONE)
			p->project[i].cohort = n++;
	p->n_cohorts = n;
	p->cohorts = mem_new(n, sizeof *p->cohorts);
}

static void bring_into_cohort(struct cohort *cohort, const struct quota *quota)
{
	struct cohort_line *line = line_of(cohort, quota->kind);

	if (!line) {
		uint32_t at = cohort->n_lines;

		mem_grow((void **)&cohort->lines, &cohort->cap, cohort->n_lines, sizeof *cohort->lines);
		for (; at > 0 && cohort->lines[at - 1].kind > quota->kind; at--)
			cohort->lines[at] = cohort->lines[at - 1];
		line = &cohort->lines[at];
		*line = (struct cohort_line){.kind = quota->kind};
		cohort->n_lines++;
	}
	line->nominal += quota->nominal;
	line->lendable += quota->lendable;
}

/* Depths, and who is guarded by whom, once all parents are known. */
static void declare_depths(struct projects *p)
{
	for (uint32_t i = 0; i < p->n; i++) {
		struct project *project = &p->project[i];

		for (uint32_t n = i; n != PROJECT_NONE; n = p->project[n].parent) {
			if (project->guarded == PROJECT_NONE && p->project[n].n_quotas > 0)
				project->guarded = n;
			project->depth++;
			assert(project->depth <= p->n); /* no circle */
		}
		project->depth--;
		for (uint32_t k = 0; k < project->n_quotas; k++)
			bring_into_cohort(&p->cohorts[project->cohort], &project->quotas[k]);
	}
}

static void declare_tree(struct projects *p, const struct pool_spec *spec, struct strtab *names, const struct strtab *kinds)
{
	for (uint32_t i = 0; i < spec->n_projects; i++) {
		const struct project_spec *from = &spec->projects[i];
		uint32_t number = strtab_add(names, from->name);

		grow(p, number);
		p->project[number].declared = true;
		p->project[number].weight_milli = from->weight_milli ? from->weight_milli : 1;
		p->project[number].weight_inverse = inverse_weight(from->weight_milli);
		declare_quotas(&p->project[number], from, kinds);
	}
	p->n_declared = spec->n_projects;
	for (uint32_t i = 0; i < spec->n_projects; i++)
		if (spec->projects[i].parent) {
			uint32_t parent = strtab_find(names, spec->projects[i].parent);

			assert(parent < p->n);
			p->project[strtab_find(names, spec->projects[i].name)].parent = parent;
			p->project[parent].n_children++;
		}
}

static void declare_capacity(struct projects *p, const struct project_capacity *capacity)
{
	p->n_inverses = RESOURCE_KINDS + capacity->n_kinds;
	p->inverses = mem_resize(p->inverses, p->n_inverses, sizeof *p->inverses);
	p->inverses[RESOURCE_CPUS_MILLI] = inverse_of(capacity->cpus_milli);
	p->inverses[RESOURCE_MEMORY_MIB] = inverse_of(capacity->memory_mib);
	for (uint32_t i = 0; i < capacity->n_kinds; i++)
		p->inverses[RESOURCE_KINDS + i] = inverse_of(capacity->cards_milli[i]);
}

/* Puts every use on the scale of another half-life: what was used stays what it is now, and decays differently from now on. */
static void change_half_life(struct projects *p, us_t half_life_us, us_t now_us)
{
	struct projects old = {.half_life_us = p->half_life_us, .period = p->period};
	struct moment before = moment_at(p->half_life_us, now_us), after = moment_at(half_life_us, now_us);
	uint32_t periods = periods_since(p, &before);

	p->half_life_us = half_life_us;
	p->last = (struct moment){0};
	p->period = after.period;
	for (uint32_t i = 0; i < p->n; i++)
		for (uint32_t k = 0; k < p->project[i].own.n; k++) {
			struct use *use = &p->project[i].own.uses[k];
			u128 value = to_amount_us(&old, &before, use_at(use, periods, before.growth));

			use->base = (i128)from_amount_us(p, &after, value) - (i128)((u128)use->held * after.growth);
		}
}

void projects_declare(struct projects *p, const struct pool_spec *spec, struct strtab *names, const struct strtab *kinds,
                      const struct project_capacity *capacity, us_t half_life_us, us_t now_us)
{
	if (half_life_us <= 0 || half_life_us > US_DURATION_MAX)
		half_life_us = US_NEVER;
	if (half_life_us != p->half_life_us)
		change_half_life(p, half_life_us, now_us);
	forget(p);
	declare_tree(p, spec, names, kinds);
	declare_cohorts(p, spec, names);
	declare_depths(p);
	declare_capacity(p, capacity);
	sum_up(p);
}

struct projects *projects_new(void)
{
	struct projects *p = mem_new(1, sizeof *p);

	p->half_life_us = US_NEVER;
	return p;
}

struct projects *projects_free(struct projects *p)
{
	if (!p)
		return NULL;
	cohorts_free(p);
	for (uint32_t i = 0; i < p->n; i++) {
		free(p->project[i].quotas);
		free(p->project[i].own.uses);
		free(p->project[i].total.uses);
	}
	free(p->project);
	free(p->inverses);
	free(p);
	return NULL;
}

bool projects_any_declared(const struct projects *p)
{
	return p->n_declared > 0;
}

bool projects_is_declared(const struct projects *p, uint32_t project)
{
	return project_of(p, project)->declared;
}

uint32_t projects_parent(const struct projects *p, uint32_t project)
{
	return project_of(p, project)->parent;
}

uint32_t projects_weight_milli(const struct projects *p, uint32_t project)
{
	return project_of(p, project)->weight_milli;
}

/* ---- As bytes ---- */

/* How many of an account's uses have a base: the others are as if they weren't there. */
static uint32_t count_bases(const struct account *a)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < a->n; i++)
		n += a->uses[i].base != 0;
	return n;
}

static void save_account(const struct account *a, struct buf *buf)
{
	buf_put_uint(buf, count_bases(a));
	for (uint32_t i = 0; i < a->n; i++) {
		const struct use *use = &a->uses[i];

		if (use->base == 0)
			continue;
		buf_put_uint(buf, use->resource);
		buf_put_int(buf, (int64_t)(use->base >> 64));
		buf_put_uint(buf, (uint64_t)use->base);
	}
}

void projects_save(const struct projects *p, struct buf *buf)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->n; i++)
		n += count_bases(&p->project[i].own) > 0;
	buf_put_uint(buf, p->period);
	buf_put_uint(buf, n);
	for (uint32_t i = 0; i < p->n; i++)
		if (count_bases(&p->project[i].own) > 0) {
			buf_put_uint(buf, i);
			save_account(&p->project[i].own, buf);
		}
}

/* One use; resources ascend. */
static void load_use(struct account *a, struct reader *r, uint32_t n_kinds)
{
	uint32_t resource = (uint32_t)read_uint_max(r, RESOURCE_KINDS + n_kinds - UINT64_C(1));
	int64_t high = read_int(r);
	uint64_t low = read_uint(r);
	i128 base = (i128)((u128)(uint64_t)high << 64 | low);

	if (base == 0 || base > (i128)USE_MAX || base < -(i128)USE_MAX || (a->n && a->uses[a->n - 1].resource >= resource))
		r->bad = true;
	if (!r->bad)
		use_of(a, resource)->base = base;
}

/* Returns the project's number. */
static uint32_t load_account(struct projects *p, struct reader *r, uint32_t n_projects, uint32_t n_kinds)
{
	uint32_t project = (uint32_t)read_uint_max(r, n_projects ? n_projects - 1 : 0);
	uint32_t n = read_count(r);

	if (r->bad || n == 0 || n_projects == 0 || project >= PROJECT_NUMBERS_MAX)
		r->bad = true;
	else
		grow(p, project);
	for (; n > 0 && !r->bad; n--)
		load_use(&p->project[project].own, r, n_kinds);
	return project;
}

int projects_load(struct projects *p, struct reader *r, uint32_t n_projects, uint32_t n_kinds)
{
	uint64_t next = 0;
	uint32_t n;

	for (uint32_t i = 0; i < p->n; i++)
		assert(p->project[i].own.n == 0);
	p->period = read_uint_max(r, (uint64_t)INSTANT_MAX);
	n = read_count(r);
	for (; n > 0 && !r->bad; n--) {
		uint32_t project = load_account(p, r, n_projects, n_kinds);

		if (project < next)
			r->bad = true;
		next = (uint64_t)project + 1;
	}
	if (r->bad)
		return ERR_CORRUPT;
	sum_up(p);
	return 0;
}

/* ---- Checks ---- */

static void check_account(const struct account *a)
{
	for (uint32_t i = 0; i < a->n; i++) {
		assert(i == 0 || a->uses[i - 1].resource < a->uses[i].resource);
		assert(a->uses[i].held < HELD_MAX);
		assert(a->uses[i].held > 0 || a->uses[i].base >= 0);
		assert(a->uses[i].base >= -(i128)USE_MAX && a->uses[i].base <= (i128)USE_MAX);
	}
}

static bool same_uses(const struct account *a, const struct account *b)
{
	for (uint32_t i = 0; i < a->n; i++) {
		const struct use *x = &a->uses[i], *y;
		uint32_t k = place_of(b, x->resource);

		if (k == b->n || b->uses[k].resource != x->resource) {
			if (x->held != 0 || x->base != 0)
				return false;
			continue;
		}
		y = &b->uses[k];
		if (x->held != y->held || x->base != y->base)
			return false;
	}
	return true;
}

/* The sums over subtrees, added up once more, those of one project after the other into its ancestors'. */
static void check_totals(const struct projects *p)
{
	struct account *sums = mem_new(p->n, sizeof *sums);

	for (uint32_t i = 0; i < p->n; i++)
		for (uint32_t n = i; n != PROJECT_NONE; n = p->project[n].parent)
			for (uint32_t k = 0; k < p->project[i].own.n; k++) {
				const struct use *use = &p->project[i].own.uses[k];

				change_use(use_of(&sums[n], use->resource), (i128)use->held, use->base);
			}
	for (uint32_t i = 0; i < p->n; i++) {
		assert(same_uses(&sums[i], &p->project[i].total));
		assert(same_uses(&p->project[i].total, &sums[i]));
		free(sums[i].uses);
	}
	free(sums);
}

static void check_cohort(const struct projects *p, uint32_t cohort)
{
	for (uint32_t k = 0; k < p->cohorts[cohort].n_lines; k++) {
		const struct cohort_line *line = &p->cohorts[cohort].lines[k];
		uint64_t nominal = 0, lendable = 0, used = 0, shared = 0;

		for (uint32_t i = 0; i < p->n; i++) {
			struct quota quota = quota_or_none(&p->project[i], line->kind);
			uint64_t held = line->kind == KIND_NONE ? 0 : projects_held_milli(p, i, line->kind);

			if (p->project[i].cohort != cohort)
				continue;
			nominal += quota.nominal;
			lendable += quota.lendable;
			used += held;
			shared += over(held, quota.nominal - quota.lendable);
		}
		assert(line->nominal == nominal);
		assert(line->lendable == lendable && lendable <= nominal);
		assert(line->used == used);
		assert(line->shared == shared && shared <= used);
		assert(shared > lendable || used <= nominal);
	}
}

void projects_check(const struct projects *p)
{
	uint32_t n_declared = 0;

	for (uint32_t i = 0; i < p->n; i++) {
		const struct project *project = &p->project[i];

		n_declared += project->declared;
		check_account(&project->own);
		check_account(&project->total);
		assert(project->weight_inverse == inverse_weight(project->weight_milli));
		assert(project->depth == (project->parent == PROJECT_NONE ? 0 : p->project[project->parent].depth + 1));
		assert((project->cohort == PROJECT_NONE) == (project->n_quotas == 0));
		assert(project->guarded == (project->n_quotas                 ? i
		                            : project->parent == PROJECT_NONE ? PROJECT_NONE
		                                                              : p->project[project->parent].guarded));
	}
	assert(n_declared == p->n_declared);
	check_totals(p);
	for (uint32_t i = 0; i < p->n_cohorts; i++)
		check_cohort(p, i);
}
