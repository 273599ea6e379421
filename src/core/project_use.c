/* SPDX-License-Identifier: Apache-2.0
 * project_use.c: what projects hold, and what of it they used lately; see project.h.
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
 * Bounds: held < 2^55, growth < 2^57, n − period <= PERIODS_MAX = 8; so |base|, A < 2^121. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/project_inside.h"

enum {
	GROWTH_BITS = 56,
	TIME_BITS = 10, /* of a microsecond, without decay */
	PERIODS_MAX = 8,
};

#define HELD_MAX (UINT64_C(1) << 55)
#define INSTANT_MAX (INT64_C(1) << 55)
#define USE_MAX ((u128)1 << 121)

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

/* 2^56 · 2^(part / whole), part < whole < 2^52: for each binary digit of the quotient that is 1, from the first on, the root that
 * stands for it. It grows with each microsecond: by 2^−52 of itself at least, and the rounding is below 2^−56. */
static uint64_t growth_of(uint64_t part, uint64_t whole)
{
	uint64_t growth = UINT64_C(1) << 63, quotient = (uint64_t)(((u128)part << GROWTH_BITS) / whole);

	for (uint64_t left = quotient << (64 - GROWTH_BITS); left;) {
		int digit = __builtin_clzll(left);

		growth = (uint64_t)((u128)growth * roots_of_2[digit] >> 63);
		left &= ~(UINT64_C(1) << (63 - digit));
	}
	return growth >> (63 - GROWTH_BITS);
}

static bool decays(us_t half_life_us)
{
	return half_life_us != US_NEVER;
}

struct moment moment_at(us_t half_life_us, us_t now_us)
{
	uint64_t now, whole = (uint64_t)half_life_us;

	if (now_us > INSTANT_MAX)
		now_us = INSTANT_MAX;
	now = now_us > 0 ? (uint64_t)now_us : 0;
	if (!decays(half_life_us))
		return (struct moment){0, now << TIME_BITS};
	return (struct moment){now / whole, growth_of(now % whole, whole)};
}

struct moment moment_of(const struct projects *p, us_t now_us)
{
	return p->last.growth && now_us == p->last_us ? p->last : moment_at(p->half_life_us, now_us);
}

uint32_t periods_since(const struct projects *p, const struct moment *at)
{
	uint64_t periods = at->period > p->period ? at->period - p->period : 0;

	return periods < 127 ? (uint32_t)periods : 127;
}

/* ---- Accounts ---- */

uint32_t account_place(const struct account *a, uint32_t resource)
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
	uint32_t i = account_place(a, resource);

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
	uint32_t i = account_place(a, resource);

	return i < a->n && a->uses[i].resource == resource ? a->uses[i].held : 0;
}

/* ---- Taking and giving ---- */

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
			cohorts_count(p, &p->project[n], resource - RESOURCE_KINDS, before, use->held);
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
	projects_grow(p, project);
	if (amount->cards_milli > 0)
		change_one(p, project, RESOURCE_KINDS + amount->kind, (i128)sign * amount->cards_milli, growth);
	change_one(p, project, RESOURCE_CPUS_MILLI, (i128)sign * amount->cpus_milli, growth);
	change_one(p, project, RESOURCE_MEMORY_MIB, (i128)sign * amount->memory_mib, growth);
}

/* For orders that are kept. A question that is undone before anybody ranks is no change. */
static void note_change(struct projects *p, uint32_t project)
{
	for (uint32_t n = project; n != PROJECT_NONE; n = p->project[n].parent)
		p->changed[p->n_changed++ % CHANGED_KEPT] = n;
}

void uses_sum(struct projects *p)
{
	cohorts_clear(p);
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
	p->remade++;
	for (uint32_t i = 0; i < p->n; i++)
		for (uint32_t k = 0; k < p->project[i].own.n; k++)
			p->project[i].own.uses[k].base >>= periods;
	uses_sum(p);
}

void projects_reach(struct projects *p, us_t now_us)
{
	p->last = moment_of(p, now_us);
	p->last_us = now_us;
}

/* G at an instant at which something changes, on the scale of the bases. */
static i128 growth_at(struct projects *p, us_t now_us)
{
	struct moment at;

	projects_reach(p, now_us);
	at = p->last;
	if (periods_since(p, &at) > PERIODS_MAX)
		move_bases(p, at.period, periods_since(p, &at));
	return (i128)at.growth << periods_since(p, &at);
}

void projects_take(struct projects *p, uint32_t project, const struct project_amount *amount, us_t now_us)
{
	change_all(p, project, amount, 1, growth_at(p, now_us));
	note_change(p, project);
}

void projects_give(struct projects *p, uint32_t project, const struct project_amount *amount, us_t now_us)
{
	change_all(p, project, amount, -1, growth_at(p, now_us));
	note_change(p, project);
	if (amount->cards_milli > 0)
		cohorts_relieve(p, project);
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

/* ---- As amounts and times ---- */

u128 use_scale(u128 value, uint64_t numerator, uint64_t denominator)
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

us_t projects_unit_us(const struct projects *p)
{
	const uint64_t inverse_ln_2 = UINT64_C(0x171547652b82fe17); /* in 2^−60 */

	return decays(p->half_life_us) ? (us_t)((u128)(uint64_t)p->half_life_us * inverse_ln_2 >> 60) : US_NEVER;
}

u128 use_amount_us(const struct projects *p, const struct moment *at, u128 value)
{
	if (!decays(p->half_life_us))
		return value >> TIME_BITS;
	return use_scale(value, (uint64_t)projects_unit_us(p), at->growth);
}

/* The way back from use_amount_us. */
static u128 from_amount_us(const struct projects *p, const struct moment *at, u128 value)
{
	uint64_t unit_us = (uint64_t)projects_unit_us(p);

	return decays(p->half_life_us) ? use_scale(value, at->growth, unit_us ? unit_us : 1) : use_scale(value, 1 << TIME_BITS, 1);
}

uint64_t projects_used_milli_hours(const struct projects *p, uint32_t project, uint32_t kind, us_t now_us)
{
	struct moment at = moment_at(p->half_life_us, now_us);
	const struct account *total = &project_of(p, project)->total;
	uint32_t i;

	if (kind == KIND_NONE)
		return 0;
	i = account_place(total, RESOURCE_KINDS + kind);
	if (i == total->n || total->uses[i].resource != RESOURCE_KINDS + kind)
		return 0;
	return cut(use_scale(use_amount_us(p, &at, use_at(&total->uses[i], periods_since(p, &at), at.growth)), 1, (uint64_t)US_HOUR),
	           UINT64_MAX);
}

void uses_change_half_life(struct projects *p, us_t half_life_us, us_t now_us)
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
			u128 value = use_amount_us(&old, &before, use_at(use, periods, before.growth));

			use->base = (i128)from_amount_us(p, &after, value) - (i128)((u128)use->held * after.growth);
		}
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
		projects_grow(p, project);
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
	p->remade++;
	uses_sum(p);
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
		uint32_t k = account_place(b, x->resource);

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

void uses_check(const struct projects *p)
{
	for (uint32_t i = 0; i < p->n; i++) {
		check_account(&p->project[i].own);
		check_account(&p->project[i].total);
	}
	check_totals(p);
}
