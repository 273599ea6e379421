/* SPDX-License-Identifier: Apache-2.0
 * test_project.c: decayed use against closed forms and a naive sum, the order of projects, quotas and cohorts, and their bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "core/event.h"
#include "core/project.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { KIND_A, KIND_B, KINDS, PROJECTS_MAX = 16 };

#define WEEK (7 * US_DAY)
#define START (20000 * US_DAY) /* a usual instant */
#define CARD ((uint64_t)CARD_MILLI)
#define NO_LIMIT AMOUNT_NONE

static uint32_t below(struct rng *rng, uint32_t bound)
{
	return (uint32_t)rng_below(rng, bound);
}

static bool chance(struct rng *rng, uint32_t percent)
{
	return below(rng, 100) < percent;
}

/* A tree of projects over 100 cards of each kind, 1000 CPUs and 1000 MiB. */
struct fixture {
	struct projects *p;
	struct strtab names, kinds;
	uint64_t cards_milli[KINDS];
	struct project_capacity capacity;
};

static void declare(struct fixture *f, const struct project_spec *specs, uint32_t n, us_t half_life_us, us_t now_us)
{
	struct pool_spec spec = {.name = "p", .currency = "CNY", .projects = specs, .n_projects = n};

	f->capacity.cards_milli = f->cards_milli;
	projects_declare(f->p, &spec, &f->names, &f->kinds, &f->capacity, half_life_us, now_us);
	projects_check(f->p);
}

static struct fixture setup(const struct project_spec *specs, uint32_t n, us_t half_life_us)
{
	struct fixture f = {.p = projects_new(),
	                    .cards_milli = {100 * CARD, 100 * CARD},
	                    .capacity = {.n_kinds = KINDS, .cpus_milli = 1000 * CARD, .memory_mib = 1000}};

	strtab_add(&f.kinds, "a");
	strtab_add(&f.kinds, "b");
	declare(&f, specs, n, half_life_us, 0);
	return f;
}

static void done(struct fixture *f)
{
	projects_check(f->p);
	f->p = projects_free(f->p);
	strtab_done(&f->names);
	strtab_done(&f->kinds);
}

static uint32_t number(struct fixture *f, const char *name)
{
	return strtab_add(&f->names, name);
}

static struct project_amount cards(uint32_t kind, uint64_t milli)
{
	return (struct project_amount){.kind = kind, .cards_milli = milli};
}

static void take(struct fixture *f, const char *name, uint32_t kind, uint64_t n, us_t now_us)
{
	projects_take(f->p, number(f, name), &(struct project_amount){kind, n * CARD, 0, 0}, now_us);
}

static void give(struct fixture *f, const char *name, uint32_t kind, uint64_t n, us_t now_us)
{
	projects_give(f->p, number(f, name), &(struct project_amount){kind, n * CARD, 0, 0}, now_us);
}

/* Holds cards of kind a over a while. */
static void use_cards(struct fixture *f, const char *name, uint64_t n, us_t from_us, us_t until_us)
{
	take(f, name, KIND_A, n, from_us);
	give(f, name, KIND_A, n, until_us);
}

static us_t share_us(struct fixture *f, const char *name, us_t now_us)
{
	return projects_share_us(f->p, number(f, name), now_us);
}

static void assert_near(uint64_t got, uint64_t want, uint64_t within)
{
	if (got > want + within || got + within < want)
		fail_msg("%llu is not within %llu of %llu", (unsigned long long)got, (unsigned long long)within,
		         (unsigned long long)want);
}

static uint64_t part_of(us_t part, us_t whole, uint64_t unit)
{
	__extension__ typedef unsigned __int128 wide;

	return (uint64_t)((wide)(uint64_t)part * unit / (uint64_t)whole);
}

/* ---- Decay ---- */

/* What is left of a use, in 10^−9, after so many thousandths of a half-life. */
static const struct {
	uint32_t after_milli;
	uint64_t left;
} decays[] = {
	{0, 1000000000},   {100, 933032992},  {250, 840896415}, {500, 707106781}, {1000, 500000000}, {1500, 353553391},
	{2000, 250000000}, {3000, 125000000}, {8000, 3906250},  {9500, 1381068},  {20000, 954},      {200000, 0},
};

static void test_decay(void **state)
{
	static const us_t half_lives[] = {US_MINUTE, US_HOUR, WEEK, 10 * 365 * US_DAY, US_DURATION_MAX / 250};

	(void)state;
	for (size_t h = 0; h < COUNT(half_lives); h++)
		for (int busy = 0; busy < 2; busy++) { /* others take and give meanwhile: the bases move on */
			us_t half = half_lives[h], start = START + half / 3, used;
			struct fixture f = setup(NULL, 0, half);

			use_cards(&f, "p", 40, START, start);
			used = share_us(&f, "p", start);
			for (size_t i = 0; i < COUNT(decays); i++) {
				us_t now = start + half / 1000 * decays[i].after_milli;

				if (busy)
					use_cards(&f, "q", 1, now, now);
				assert_near(part_of(share_us(&f, "p", now), used, 1000000000), decays[i].left, 1 + 1000000000 / (uint64_t)used);
				projects_check(f.p);
			}
			done(&f);
		}
}

/* Whoever holds the whole pool for long has used one unit; for one half-life from nothing, half of that. */
static void test_steady(void **state)
{
	struct fixture f = setup(NULL, 0, WEEK);

	(void)state;
	assert_int_equal(projects_unit_us(f.p), 872541960729); /* a week / ln 2 */
	take(&f, "all", KIND_A, 100, START);
	take(&f, "some", KIND_B, 25, START);
	assert_near(part_of(share_us(&f, "all", START + WEEK), projects_unit_us(f.p), 1000000000), 500000000, 2);
	assert_near(part_of(share_us(&f, "some", START + WEEK), projects_unit_us(f.p), 1000000000), 125000000, 2);
	assert_near(part_of(share_us(&f, "all", START + 100 * WEEK), projects_unit_us(f.p), 1000000000), 1000000000, 2);
	assert_near(part_of(share_us(&f, "some", START + 100 * WEEK), projects_unit_us(f.p), 1000000000), 250000000, 2);
	/* 25 cards × 242.4 h of a unit, in thousandths of card-hours */
	assert_near(projects_used_milli_hours(f.p, number(&f, "some"), KIND_B, START + 100 * WEEK), 6059319, 1);
	assert_int_equal(projects_used_milli_hours(f.p, number(&f, "some"), KIND_A, START + 100 * WEEK), 0);
	assert_int_equal(projects_used_milli_hours(f.p, 7, KIND_NONE, START), 0);
	done(&f);
}

/* Each microsecond counts, however long the half-life is. */
static void test_monotone(void **state)
{
	static const us_t half_lives[] = {1, 3, 1000, US_SECOND, WEEK, US_DURATION_MAX, US_NEVER, 0};

	(void)state;
	for (size_t h = 0; h < COUNT(half_lives); h++) {
		struct fixture f = setup(NULL, 0, half_lives[h]);
		uint32_t list[2] = {number(&f, "less"), number(&f, "more")}, ranks[2];

		for (us_t i = 0; i < 300; i++) {
			us_t at = START + i * (i % 7) * 1000;

			f.p = projects_free(f.p);
			f.p = projects_new();
			declare(&f, NULL, 0, half_lives[h], 0);
			take(&f, "more", KIND_A, 100, at);
			take(&f, "less", KIND_A, 100, at + 1);
			projects_rank(f.p, at + 1, list, 2, NULL, ranks);
			assert_int_equal(ranks[0], 0);
			assert_int_equal(ranks[1], 1);
			give(&f, "more", KIND_A, 100, at + 1);
			give(&f, "less", KIND_A, 100, at + 2);
			projects_check(f.p);
		}
		done(&f);
	}
}

/* e^−x for 0 <= x, by its series. */
static double exp_minus(double x)
{
	double sum = 1, term = 1;
	int halvings = 0;

	for (; x > 0.5; x /= 2)
		halvings++;
	for (int i = 1; i < 20; i++)
		sum += term *= -x / i;
	while (halvings-- > 0)
		sum *= sum;
	return sum;
}

/* Takes and gives at random, against the sum that is decayed at each step. */
static void compare_with_sum(uint64_t seed, us_t half_life_us)
{
	struct fixture f = setup(NULL, 0, half_life_us);
	struct rng rng = {seed};
	double used = 0, unit = half_life_us == US_NEVER ? 0 : (double)half_life_us / 0.693147180559945309417;
	uint64_t held = 0;
	us_t now = START, step;

	for (int i = 0; i < 400; i++) {
		step = (us_t)below(&rng, 1 << below(&rng, 31)) * (chance(&rng, 3) ? 3000 : 20);
		now += step;
		if (unit > 0) {
			double left = exp_minus((double)step / unit);

			used = used * left + (double)held * unit * (1 - left);
		} else {
			used += (double)held * (double)step;
		}
		if (held > 0 && chance(&rng, 50)) {
			uint64_t n = below(&rng, (uint32_t)held + 1);

			projects_give(f.p, number(&f, "p"), &(struct project_amount){KIND_A, n, 0, 0}, now);
			held -= n;
		} else {
			uint64_t n = below(&rng, 20000);

			projects_take(f.p, number(&f, "p"), &(struct project_amount){KIND_A, n, 0, 0}, now);
			held += n;
		}
		assert_int_equal(projects_held_milli(f.p, number(&f, "p"), KIND_A), held);
		assert_near((uint64_t)share_us(&f, "p", now), (uint64_t)(used / 100000), 2 + (uint64_t)(used / 100000 * 1e-9));
	}
	done(&f);
}

static void test_random_use(void **state)
{
	static const us_t half_lives[] = {10 * US_MINUTE, WEEK, US_NEVER};

	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++)
		for (size_t h = 0; h < COUNT(half_lives); h++)
			compare_with_sum(seed, half_lives[h]);
}

/* The greatest of the uses counts; what the pool doesn't count doesn't. */
static void test_dominant(void **state)
{
	static const struct {
		struct project_amount amount;
		uint64_t cpus_milli, want; /* capacity of CPUs; part of the pool in 10^−3 */
	} rows[] = {
		{{KIND_A, 10000, 0, 0}, 1000000, 100},
		{{KIND_A, 10000, 200000, 0}, 1000000, 200},
		{{KIND_A, 10000, 200000, 300}, 1000000, 300},
		{{KIND_B, 400000, 200000, 300}, 1000000, 4000}, /* more than there is (any more) */
		{{KIND_NONE, 0, 200000, 0}, 1000000, 200},
		{{KIND_A, 10000, 200000, 0}, AMOUNT_NONE, 100},
		{{KIND_A, 10000, 200000, 0}, 0, 100},
		{{2, 10000, 0, 0}, 0, 0}, /* a kind that the pool has no more */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fixture f = setup(NULL, 0, WEEK);

		f.capacity.cpus_milli = rows[i].cpus_milli;
		declare(&f, NULL, 0, WEEK, 0);
		projects_take(f.p, number(&f, "p"), &rows[i].amount, START);
		assert_near(part_of(share_us(&f, "p", START + 200 * WEEK), projects_unit_us(f.p), 1000000), rows[i].want * 1000, 1);
		done(&f);
	}
}

/* ---- The order ---- */

static const struct project_spec tree[] = {
	{.name = "x", .weight_milli = 1000},
	{.name = "x1", .parent = "x", .weight_milli = 1000},
	{.name = "x2", .parent = "x", .weight_milli = 3000},
	{.name = "y", .weight_milli = 2000},
	{.name = "y1", .parent = "y", .weight_milli = 1000},
	{.name = "y2", .parent = "y", .weight_milli = 1000},
	{.name = "y21", .parent = "y2", .weight_milli = 1000},
};

/* Ranks the projects of `list`, one blank between, and writes them in order: "a < b = c". */
static const char *order(struct fixture *f, const char *list, us_t now_us, struct project_ranking *ranking)
{
	static char text[1024];
	char copy[256], *names[PROJECTS_MAX], *save;
	uint32_t numbers[PROJECTS_MAX], ranks[PROJECTS_MAX], n = 0;
	size_t len = 0;

	snprintf(copy, sizeof copy, "%s", list);
	for (char *name = strtok_r(copy, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
		names[n] = name;
		numbers[n++] = number(f, name);
	}
	projects_rank(f->p, now_us, numbers, n, ranking, ranks);
	text[0] = 0;
	for (uint32_t rank = 0; rank < n; rank++)
		for (uint32_t i = 0, first = 1; i < n; i++)
			if (ranks[i] == rank) {
				len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", !len ? "" : first ? " < " : " = ", names[i]);
				first = 0;
			}
	return text;
}

static void test_order(void **state)
{
	static const struct {
		struct {
			const char *name;
			uint32_t cards;
		} used[6];
		const char *list, *want;
	} rows[] = {
		{{{0}}, "y x x1 y21 z", "y = x = x1 = y21 = z"}, /* nobody used anything: by arrival */
		{{{"z", 1}}, "z x y1", "x = y1 < z"},
		{{{"x", 4}, {"y", 7}}, "x y z", "z < y < x"},       /* 4 / 1 and 7 / 2 */
		{{{"x", 4}, {"y", 8}}, "x y", "x < y"},             /* 4 / 1 and 8 / 2; equal, and of their own jobs x's used less */
		{{{"x", 4}, {"y", 9}}, "x y", "x < y"},             /* 4 / 1 and 9 / 2 */
		{{{"x1", 2}, {"x2", 5}}, "x1 x2 z", "z < x2 < x1"}, /* 2 / 1 and 5 / 3 */
		{{{"x1", 2}, {"x2", 7}}, "x1 x2 x", "x < x1 < x2"}, /* its own jobs are one more child */
		{{{"x1", 2}, {"x2", 7}, {"x", 2}}, "x1 x2 x", "x1 = x < x2"}, /* of weight 1 */
		{{{"x1", 2}, {"x2", 9}, {"x", 4}}, "x1 x2 x", "x1 < x2 < x"},
		{{{"x1", 3}, {"y1", 4}}, "x1 x2 x y1 y2 y y21", "y2 = y = y21 < y1 < x2 = x < x1"}, /* the level above comes first */
		{{{"x1", 3}, {"y1", 8}}, "x1 x2 y1 y2 y21", "x2 < x1 < y2 = y21 < y1"},
		{{{"y21", 5}, {"y1", 6}}, "y2 y21 y1 y", "y < y2 < y21 < y1"},
		{{{"x1", 4}, {"z", 4}}, "x1 z x2", "z = x2 < x1"}, /* equal at the top, and below it z has nothing */
		{{{"z", 1}, {"zz", 1}}, "zz z", "zz = z"},         /* not declared: weight 1, no parent */
		{{{"zz", 1}}, "nobody zz", "nobody < zz"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fixture f = setup(tree, COUNT(tree), WEEK);
		struct project_ranking ranking = {0};

		for (size_t k = 0; rows[i].used[k].name; k++)
			take(&f, rows[i].used[k].name, KIND_A, rows[i].used[k].cards, START);
		for (us_t late = 1; late < 30; late += 9) { /* the order is the same however late it is */
			const char *want = rows[i].want;

			assert_string_equal(order(&f, rows[i].list, START + late * US_DAY, NULL), want);
			assert_string_equal(order(&f, rows[i].list, START + late * US_DAY, &ranking), want);
		}
		project_ranking_done(&ranking);
		done(&f);
	}
}

/* Who held more some time ago comes before who holds less now, in the end. */
static void test_order_in_time(void **state)
{
	struct fixture f = setup(NULL, 0, WEEK);
	struct project_ranking ranking = {0};

	(void)state;
	use_cards(&f, "past", 100, START - WEEK, START);
	take(&f, "now", KIND_A, 20, START);
	assert_string_equal(order(&f, "past now none", START + US_HOUR, &ranking), "none < now < past");
	/* 1/2 · 2^−x = 1/5 · (1 − 2^−x) at 2^x = 3.5: after 1.807 weeks */
	assert_string_equal(order(&f, "past now none", START + WEEK * 1807 / 1000, &ranking), "none < now < past");
	assert_string_equal(order(&f, "past now none", START + WEEK * 1808 / 1000, &ranking), "none < past < now");
	assert_string_equal(order(&f, "none now past", START + WEEK * 1808 / 1000, &ranking), "none < past < now");
	project_ranking_done(&ranking);
	done(&f);
}

static uint32_t depth_of(struct fixture *f, uint32_t project)
{
	uint32_t depth = 0;

	while ((project = projects_parent(f->p, project)) != PROJECT_NONE)
		depth++;
	return depth;
}

static void assert_ordered(struct fixture *f, uint32_t before, uint32_t after, us_t now_us)
{
	uint32_t a = before, b = after, over_a = a, over_b = b;

	while (a != b) {
		if (depth_of(f, a) >= depth_of(f, b)) {
			over_a = a;
			a = projects_parent(f->p, a);
		} else {
			over_b = b;
			b = projects_parent(f->p, b);
		}
		if (a == PROJECT_NONE && b != PROJECT_NONE) {
			for (; b != PROJECT_NONE; b = projects_parent(f->p, b))
				over_b = b;
		}
	}
	if (a == before || a == after) /* one is above the other: its own jobs compete, whose share isn't shown */
		return;
	assert_true(projects_share_us(f->p, over_a, now_us) <= projects_share_us(f->p, over_b, now_us));
}

/* A random forest: ranks agree with the shares of the children of the deepest common ancestor, with and without a memo, while
 * the list changes. */
static void one_forest(uint64_t seed)
{
	struct rng rng = {seed};
	struct project_spec specs[PROJECTS_MAX];
	char names[PROJECTS_MAX][8];
	uint32_t list[PROJECTS_MAX], ranks[PROJECTS_MAX], again[PROJECTS_MAX];
	struct project_ranking ranking = {0};
	struct fixture f;
	us_t now = START;

	for (uint32_t i = 0; i < PROJECTS_MAX; i++) {
		snprintf(names[i], sizeof names[i], "p%u", i);
		specs[i] = (struct project_spec){.name = names[i], .weight_milli = 1 + below(&rng, 4000)};
		if (i > 0 && chance(&rng, 70))
			specs[i].parent = names[below(&rng, i)];
	}
	f = setup(specs, PROJECTS_MAX, WEEK);
	for (int step = 0; step < 60; step++) {
		uint32_t n = 0;

		for (uint32_t i = 0, first = below(&rng, PROJECTS_MAX); i < PROJECTS_MAX; i++)
			if (chance(&rng, 80))
				list[n++] = (first + i * 7) % PROJECTS_MAX;
		now += below(&rng, 2000000000);
		take(&f, names[below(&rng, PROJECTS_MAX)], below(&rng, 2), below(&rng, 20), now);
		now += below(&rng, 2000000000);
		projects_rank(f.p, now, list, n, &ranking, ranks);
		projects_rank(f.p, now, list, n, NULL, again);
		assert_memory_equal(ranks, again, n * sizeof *ranks);
		for (uint32_t i = 0; i < n; i++)
			for (uint32_t k = 0; k < n; k++)
				if (ranks[i] < ranks[k])
					assert_ordered(&f, list[i], list[k], now);
	}
	project_ranking_done(&ranking);
	done(&f);
}

static void test_random_order(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++)
		one_forest(seed);
}

/* ---- The order, kept ---- */

enum { HOLDINGS_MAX = 40 };

/* A forest whose order is kept while its projects take and give. */
struct kept {
	struct fixture f;
	struct rng rng;
	struct project_spec specs[PROJECTS_MAX];
	char names[PROJECTS_MAX][8];
	struct {
		uint32_t project;
		struct project_amount amount;
	} holdings[HOLDINGS_MAX];
	uint32_t n_holdings;
	us_t half_life_us, now_us;
	uint32_t list[PROJECTS_MAX], ranks[PROJECTS_MAX], n;
	struct project_ranking ranking;
	uint32_t unchanged; /* rankings that said so */
};

/* nested: how many of a hundred have a parent. Weights are few, so that some projects are equal. */
static void plant(struct kept *k, uint32_t nested)
{
	for (uint32_t i = 0; i < PROJECTS_MAX; i++) {
		snprintf(k->names[i], sizeof k->names[i], "p%u", i);
		k->specs[i] = (struct project_spec){.name = k->names[i],
		                                    .weight_milli = chance(&k->rng, 80) ? 1000 : 1 + below(&k->rng, 9)};
		if (i > 0 && chance(&k->rng, nested))
			k->specs[i].parent = k->names[below(&k->rng, i)];
	}
}

/* From nothing at all to several half-lives; mostly little. */
static us_t some_time(struct kept *k)
{
	static const us_t most[] = {1, 2, 2000, 2000, US_SECOND, US_SECOND, US_HOUR, 3 * US_DAY};

	return chance(&k->rng, 2) ? 3 * k->half_life_us : (us_t)rng_below(&k->rng, (uint64_t)most[below(&k->rng, COUNT(most))]);
}

static void take_or_give(struct kept *k)
{
	uint32_t i = k->n_holdings;

	if (i < HOLDINGS_MAX && (i == 0 || chance(&k->rng, 55))) {
		k->holdings[i].project = below(&k->rng, PROJECTS_MAX);
		k->holdings[i].amount = (struct project_amount){below(&k->rng, KINDS),
		                                                1 + below(&k->rng, 3) * (chance(&k->rng, 50) ? 1 : 700),
		                                                below(&k->rng, 3) * 10, below(&k->rng, 2)};
		projects_take(k->f.p, k->holdings[i].project, &k->holdings[i].amount, k->now_us);
		k->n_holdings++;
		return;
	}
	i = below(&k->rng, i);
	projects_give(k->f.p, k->holdings[i].project, &k->holdings[i].amount, k->now_us);
	k->holdings[i] = k->holdings[--k->n_holdings];
}

static void list_some(struct kept *k)
{
	k->n = 0;
	for (uint32_t i = 0, first = below(&k->rng, PROJECTS_MAX); i < PROJECTS_MAX; i++)
		if (chance(&k->rng, 80))
			k->list[k->n++] = (first + i * 7) % PROJECTS_MAX;
}

/* The ranks are what they are from nothing, whether they were written or are said to be as they were. */
static void rank_twice(struct kept *k)
{
	uint32_t from_nothing[PROJECTS_MAX];

	k->unchanged += !projects_rank(k->f.p, k->now_us, k->list, k->n, &k->ranking, k->ranks);
	projects_rank(k->f.p, k->now_us, k->list, k->n, NULL, from_nothing);
	assert_memory_equal(k->ranks, from_nothing, k->n * sizeof *from_nothing);
	project_ranking_check(k->f.p, &k->ranking);
}

/* For a question something isn't held for a moment: the order from nothing may be asked for, and what is kept isn't touched. */
static void ask(struct kept *k)
{
	uint32_t i = below(&k->rng, k->n_holdings), ranks[PROJECTS_MAX];

	projects_set_aside(k->f.p, k->holdings[i].project, &k->holdings[i].amount);
	if (chance(&k->rng, 50))
		projects_rank(k->f.p, k->now_us, k->list, k->n, NULL, ranks);
	projects_hold_again(k->f.p, k->holdings[i].project, &k->holdings[i].amount);
}

static uint32_t one_kept_order(uint64_t seed)
{
	static const us_t half_lives[] = {US_MINUTE, US_HOUR, WEEK, 0};
	struct kept *k = calloc(1, sizeof *k);
	uint32_t unchanged;

	assert_non_null(k);
	k->rng.state = seed;
	k->half_life_us = half_lives[seed % COUNT(half_lives)];
	k->now_us = START;
	plant(k, seed / 4 % 3 * 35);
	k->f = setup(k->specs, PROJECTS_MAX, k->half_life_us);
	for (int step = 0; step < 400; step++) {
		if (step % 16 == 0 || chance(&k->rng, 10))
			list_some(k);
		if (chance(&k->rng, 1)) {
			plant(k, 35);
			declare(&k->f, k->specs, PROJECTS_MAX, k->half_life_us, k->now_us);
		}
		if (k->n_holdings && chance(&k->rng, 5))
			ask(k);
		for (k->now_us += some_time(k); chance(&k->rng, 40);)
			take_or_give(k);
		k->now_us += some_time(k);
		rank_twice(k);
	}
	unchanged = k->unchanged;
	project_ranking_done(&k->ranking);
	done(&k->f);
	free(k);
	return unchanged;
}

static void test_kept_order(void **state)
{
	uint32_t unchanged = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 120; seed++)
		unchanged += one_kept_order(seed);
	assert_true(unchanged > 120 * 400 / 10);
}

/* Many, so that the sort's halves are merged: rising by what they hold, equal in pairs. */
static void test_many(void **state)
{
	enum { MANY = 3000 };
	static uint32_t list[MANY], ranks[MANY];
	struct fixture f = setup(NULL, 0, WEEK);
	struct project_ranking ranking = {0};

	(void)state;
	for (uint32_t i = 0; i < MANY; i++) {
		uint32_t j = i * 1877 % MANY; /* each once, mixed up */
		struct project_amount amount = cards(KIND_A, j / 2);

		list[i] = j;
		projects_take(f.p, j, &amount, START);
	}
	for (int again = 0; again < 3; again++) {
		projects_rank(f.p, START + US_DAY * (1 + again), list, MANY, &ranking, ranks);
		for (uint32_t i = 0; i < MANY; i++)
			assert_int_equal(ranks[i], list[i] / 2 * 2);
	}
	project_ranking_done(&ranking);
	done(&f);
}

/* ---- Quotas ---- */

#define QUOTAS(...) \
	.quotas = (const struct quota_spec[]){__VA_ARGS__}, .n_quotas = COUNT(((const struct quota_spec[]){__VA_ARGS__}))

/* In cards; three of cohort c, one alone, and a tree. */
static const struct project_spec shared[] = {
	{.name = "lender", .cohort = "c", .weight_milli = 1000, QUOTAS({"a", 40000, NO_LIMIT, NO_LIMIT})},
	{.name = "keeper", .cohort = "c", .weight_milli = 1000, QUOTAS({"a", 30000, 0, 10000}, {"b", 8000, NO_LIMIT, NO_LIMIT})},
	{.name = "guest", .cohort = "c", .weight_milli = 1000, QUOTAS({"a", 0, 35000, NO_LIMIT})},
	{.name = "alone", .weight_milli = 1000, QUOTAS({"a", 10000, NO_LIMIT, 5000})},
	{.name = "free", .cohort = "c", .weight_milli = 1000}, /* no quotas: unlimited, and nothing to lend */
	{.name = "top", .weight_milli = 1000, QUOTAS({"a", 20000, NO_LIMIT, NO_LIMIT})},
	{.name = "mid", .parent = "top", .weight_milli = 1000},
	{.name = "low", .parent = "mid", .cohort = "d", .weight_milli = 1000, QUOTAS({"a", 5000, NO_LIMIT, NO_LIMIT})},
	{.name = "other", .parent = "top", .cohort = "d", .weight_milli = 1000, QUOTAS({"a", 30000, NO_LIMIT, NO_LIMIT})},
	{.name = "ghost", .weight_milli = 1000, QUOTAS({"gone", 5000, NO_LIMIT, NO_LIMIT})},
};

#define OK QUOTA_OK
#define KIND QUOTA_KIND
#define NOMINAL QUOTA_NOMINAL
#define COHORT QUOTA_COHORT

/* What is asked while that is used, and the answers. */
static const struct {
	struct {
		const char *name;
		uint32_t cards;
	} used[4];
	const char *asks;
	uint32_t kind, cards;
	enum quota_verdict now, ever;
	bool reclaims;
	const char *by;
} quota_rows[] = {
	{{{0}}, "alone", KIND_A, 10, OK, OK, false, "alone"},
	{{{0}}, "alone", KIND_A, 11, NOMINAL, NOMINAL, false, "alone"}, /* nobody to borrow from */
	{{{0}}, "alone", KIND_B, 1, KIND, KIND, false, "alone"},
	{{{0}}, "alone", KIND_B, 0, OK, OK, false, "alone"},
	{{{0}}, "alone", KIND_NONE, 5, OK, OK, false, "alone"},
	{{{"alone", 9}}, "alone", KIND_A, 1, OK, OK, false, "alone"},
	{{{"alone", 9}}, "alone", KIND_A, 2, NOMINAL, OK, false, "alone"},
	{{{0}}, "free", KIND_A, 100000, OK, OK, false, NULL},
	{{{0}}, "unheard-of", KIND_B, 100000, OK, OK, false, NULL},
	{{{0}}, "ghost", KIND_A, 1, KIND, KIND, false, "ghost"},
	/* lender: nominal 40, the keeper lends 10 of 30 */
	{{{0}}, "lender", KIND_A, 50, OK, OK, false, "lender"},
	{{{0}}, "lender", KIND_A, 51, NOMINAL, NOMINAL, false, "lender"},
	{{{"keeper", 20}}, "lender", KIND_A, 50, OK, OK, false, "lender"},     /* what it keeps */
	{{{"keeper", 21}}, "lender", KIND_A, 50, COHORT, OK, false, "lender"}, /* and would have lent */
	{{{"keeper", 21}}, "lender", KIND_A, 49, OK, OK, false, "lender"},
	/* keeper: borrows nothing; 20 of its 30 can't be lent */
	{{{0}}, "keeper", KIND_A, 30, OK, OK, false, "keeper"},
	{{{0}}, "keeper", KIND_A, 31, NOMINAL, NOMINAL, false, "keeper"},
	{{{"lender", 50}}, "keeper", KIND_A, 20, OK, OK, false, "keeper"},
	{{{"lender", 50}}, "keeper", KIND_A, 21, COHORT, OK, true, "keeper"},
	{{{"lender", 50}, {"keeper", 20}}, "keeper", KIND_A, 10, COHORT, OK, true, "keeper"},
	{{{"lender", 50}, {"keeper", 20}}, "keeper", KIND_A, 11, NOMINAL, OK, false, "keeper"},
	/* guest: nominal 0, borrows up to 35 */
	{{{0}}, "guest", KIND_A, 35, OK, OK, false, "guest"},
	{{{0}}, "guest", KIND_A, 36, NOMINAL, NOMINAL, false, "guest"},
	{{{"lender", 20}}, "guest", KIND_A, 30, OK, OK, false, "guest"},
	{{{"lender", 20}}, "guest", KIND_A, 31, COHORT, OK, false, "guest"}, /* nothing of its own to take back */
	{{{"guest", 35}}, "lender", KIND_A, 15, OK, OK, false, "lender"},
	{{{"guest", 35}}, "lender", KIND_A, 16, COHORT, OK, true, "lender"},
	{{{"guest", 35}}, "lender", KIND_A, 40, COHORT, OK, true, "lender"},
	{{{"guest", 35}}, "lender", KIND_A, 41, COHORT, OK, false, "lender"},
	{{{"free", 90}}, "lender", KIND_A, 50, OK, OK, false, "lender"}, /* is none of the cohort's business */
	/* a parent's bounds all below it */
	{{{0}}, "top", KIND_A, 20, OK, OK, false, "top"},
	{{{0}}, "mid", KIND_A, 20, OK, OK, false, "top"},
	{{{0}}, "mid", KIND_A, 21, NOMINAL, NOMINAL, false, "top"},
	{{{0}}, "low", KIND_A, 20, OK, OK, false, "low"},
	{{{0}}, "low", KIND_A, 21, NOMINAL, NOMINAL, false, "top"},
	{{{"top", 3}, {"mid", 4}, {"other", 5}}, "low", KIND_A, 8, OK, OK, false, "low"},
	{{{"top", 3}, {"mid", 4}, {"other", 5}}, "low", KIND_A, 9, NOMINAL, OK, false, "top"},
	{{{"low", 20}}, "other", KIND_A, 1, NOMINAL, OK, false, "top"},
	{{{"other", 20}}, "low", KIND_A, 16, NOMINAL, OK, false, "top"}, /* refused by its cohort too */
	{{{"low", 15}}, "other", KIND_A, 5, OK, OK, false, "other"},
};

static void test_quota(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(quota_rows); i++) {
		struct fixture f = setup(shared, COUNT(shared), WEEK);
		uint32_t asks = number(&f, quota_rows[i].asks);
		struct quota_view view, ever;

		for (size_t k = 0; quota_rows[i].used[k].name; k++)
			take(&f, quota_rows[i].used[k].name, KIND_A, quota_rows[i].used[k].cards, START);
		if (projects_fits(f.p, asks, quota_rows[i].kind, quota_rows[i].cards * CARD, &view) != quota_rows[i].now ||
		    projects_ever_fits(f.p, asks, quota_rows[i].kind, quota_rows[i].cards * CARD, &ever) != quota_rows[i].ever ||
		    projects_may_reclaim(f.p, asks, quota_rows[i].kind, quota_rows[i].cards * CARD) != quota_rows[i].reclaims ||
		    view.project != (quota_rows[i].by ? number(&f, quota_rows[i].by) : PROJECT_NONE))
			fail_msg("row %zu: %s asks for %u: %d by %u", i, quota_rows[i].asks, quota_rows[i].cards,
			         projects_fits(f.p, asks, quota_rows[i].kind, quota_rows[i].cards * CARD, NULL), view.project);
		assert_true(projects_within_quotas(f.p) || quota_rows[i].used[0].cards > 50);
		done(&f);
	}
}

static void test_quota_view(void **state)
{
	struct fixture f = setup(shared, COUNT(shared), WEEK);
	struct quota_view view;

	(void)state;
	take(&f, "guest", KIND_A, 30, START);
	take(&f, "keeper", KIND_A, 5, START);
	assert_int_equal(projects_fits(f.p, number(&f, "lender"), KIND_A, 25 * CARD, &view), QUOTA_COHORT);
	assert_int_equal(view.used_milli, 0);
	assert_int_equal(view.nominal_milli, 40000);
	assert_int_equal(view.borrowing_milli, 10000);
	assert_int_equal(view.lent_milli, 20000); /* 30 of the 50 that may be lent are: 10 are the keeper's */
	assert_int_equal(view.cohort_used_milli, 35000);
	assert_int_equal(view.cohort_nominal_milli, 70000);
	projects_fits(f.p, number(&f, "guest"), KIND_A, 20 * CARD, &view);
	assert_int_equal(view.used_milli, 30000);
	assert_int_equal(view.borrowing_milli, 35000);
	assert_int_equal(view.lent_milli, 0);
	projects_ever_fits(f.p, number(&f, "guest"), KIND_A, 20 * CARD, &view);
	assert_int_equal(view.used_milli, 0);
	assert_int_equal(view.cohort_used_milli, 0);
	assert_int_equal(projects_borrows(f.p, number(&f, "guest"), KIND_A), 30000);
	assert_int_equal(projects_borrows(f.p, number(&f, "keeper"), KIND_A), 0);
	assert_int_equal(projects_borrows(f.p, number(&f, "free"), KIND_A), 0);
	done(&f);
}

static void test_over_share(void **state)
{
	static const struct {
		uint32_t lender, guest, want; /* cards held; 0: less, 1: equal, 2: more */
		const char *a, *b;
	} rows[] = {
		{40, 0, 1, "lender", "guest"}, {41, 0, 2, "lender", "guest"}, {40, 1, 0, "lender", "guest"},
		{45, 1, 0, "lender", "guest"}, {45, 5, 1, "guest", "guest"},  {50, 0, 2, "lender", "alone"},
		{41, 0, 0, "alone", "lender"}, {41, 0, 0, "free", "lender"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fixture f = setup(shared, COUNT(shared), WEEK);
		uint32_t a = number(&f, rows[i].a), b = number(&f, rows[i].b);

		take(&f, "lender", KIND_A, rows[i].lender, START);
		take(&f, "guest", KIND_A, rows[i].guest, START);
		assert_int_equal(projects_over_share(f.p, a, b, KIND_A), (int)rows[i].want - 1);
		assert_int_equal(projects_over_share(f.p, b, a, KIND_A), 1 - (int)rows[i].want);
		done(&f);
	}
}

/* 5 over 10 is more than 7 over 20. */
static void test_over_share_in_proportion(void **state)
{
	const struct project_spec specs[] = {
		{.name = "small", .cohort = "c", .weight_milli = 1000, QUOTAS({"a", 10000, NO_LIMIT, NO_LIMIT})},
		{.name = "large", .cohort = "c", .weight_milli = 1000, QUOTAS({"a", 20000, NO_LIMIT, NO_LIMIT})},
		{.name = "idle", .cohort = "c", .weight_milli = 1000, QUOTAS({"a", 50000, NO_LIMIT, NO_LIMIT})},
	};
	struct fixture f = setup(specs, COUNT(specs), WEEK);

	(void)state;
	take(&f, "small", KIND_A, 15, START);
	take(&f, "large", KIND_A, 27, START);
	assert_int_equal(projects_over_share(f.p, number(&f, "small"), number(&f, "large"), KIND_A), 1);
	take(&f, "large", KIND_A, 3, START);
	assert_int_equal(projects_over_share(f.p, number(&f, "small"), number(&f, "large"), KIND_A), 0);
	take(&f, "large", KIND_A, 1, START);
	assert_int_equal(projects_over_share(f.p, number(&f, "small"), number(&f, "large"), KIND_A), -1);
	done(&f);
}

static void test_cohorts(void **state)
{
	struct fixture f = setup(shared, COUNT(shared), WEEK);
	uint32_t lender = number(&f, "lender"), guest = number(&f, "guest"), low = number(&f, "low"), other = number(&f, "other");
	uint32_t alone = number(&f, "alone"), unlimited = number(&f, "free"), top = number(&f, "top");

	(void)state;
	assert_true(projects_same_cohort(f.p, lender, guest));
	assert_true(projects_same_cohort(f.p, alone, alone));
	assert_false(projects_same_cohort(f.p, alone, top));
	assert_false(projects_same_cohort(f.p, lender, unlimited));
	assert_false(projects_same_cohort(f.p, unlimited, unlimited));
	assert_int_equal(projects_cohort_fellow(f.p, lender, guest), guest);
	assert_int_equal(projects_cohort_fellow(f.p, lender, lender), PROJECT_NONE);
	assert_int_equal(projects_cohort_fellow(f.p, other, low), low);
	assert_int_equal(projects_cohort_fellow(f.p, other, number(&f, "mid")), PROJECT_NONE);
	assert_true(projects_any_declared(f.p));
	assert_true(projects_is_declared(f.p, low));
	assert_false(projects_is_declared(f.p, number(&f, "nobody")));
	assert_int_equal(projects_parent(f.p, low), number(&f, "mid"));
	assert_int_equal(projects_weight_milli(f.p, number(&f, "nobody")), 1000);
	done(&f);
}

/* 10,000 takes and gives of what fits, at random: no quota and no cohort is ever exceeded, nothing that is kept is refused, and
 * what was refused passes only after the counter grew. */
static void random_quotas(uint64_t seed, const struct project_spec *specs, uint32_t n)
{
	struct fixture f = setup(specs, n, WEEK);
	struct rng rng = {seed};
	uint64_t held[PROJECTS_MAX] = {0}, relieved[PROJECTS_MAX], refused[PROJECTS_MAX] = {0};
	uint32_t verdicts[4] = {0};

	for (int i = 0; i < 10000; i++) {
		uint32_t project = below(&rng, n);
		uint64_t milli = below(&rng, 12) * 500;
		enum quota_verdict verdict = projects_fits(f.p, project, KIND_A, milli, NULL);

		verdicts[verdict]++;
		if (milli >= refused[project] && refused[project] > 0 && relieved[project] == projects_relieved(f.p, project))
			assert_int_not_equal(verdict, QUOTA_OK);
		if (verdict == QUOTA_OK) {
			projects_take(f.p, project, &(struct project_amount){KIND_A, milli, 0, 0}, START + i);
			held[project] += milli;
		} else if (verdict != QUOTA_KIND) {
			refused[project] = milli;
			relieved[project] = projects_relieved(f.p, project);
		}
		if (held[project] > 0 && chance(&rng, 45)) {
			milli = 1 + below(&rng, (uint32_t)held[project]);
			projects_give(f.p, project, &(struct project_amount){KIND_A, milli, 0, 0}, START + i);
			held[project] -= milli;
		}
		assert_true(projects_within_quotas(f.p));
		if (i % 100 == 0)
			projects_check(f.p);
	}
	assert_true(verdicts[QUOTA_OK] > 1000 && verdicts[QUOTA_NOMINAL] > 100 && verdicts[QUOTA_COHORT] > 100);
	done(&f);
}

static void test_random_quotas(void **state)
{
	const struct project_spec cohort[] = {
		{.name = "p0", .cohort = "c", .weight_milli = 1000, QUOTAS({"a", 40000, NO_LIMIT, NO_LIMIT})},
		{.name = "p1", .cohort = "c", .weight_milli = 1000, QUOTAS({"a", 30000, 5000, 10000})},
		{.name = "p2", .cohort = "c", .weight_milli = 1000, QUOTAS({"a", 0, NO_LIMIT, NO_LIMIT})},
		{.name = "p3", .cohort = "c", .weight_milli = 1000, QUOTAS({"a", 9000, NO_LIMIT, 0})},
		{.name = "p4", .parent = "p1", .cohort = "d", .weight_milli = 1000, QUOTAS({"a", 15000, 3000, NO_LIMIT})},
		{.name = "p5", .parent = "p1", .cohort = "d", .weight_milli = 1000, QUOTAS({"a", 5000, NO_LIMIT, 4000})},
		{.name = "p6", .parent = "p2", .weight_milli = 1000},
	};

	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++)
		random_quotas(seed, cohort, COUNT(cohort));
}

/* The sum of a cohort's use against its nominals, from outside. */
static void test_cohort_sum(void **state)
{
	struct fixture f = setup(shared, COUNT(shared), WEEK);
	static const char *const members[] = {"lender", "keeper", "guest"};
	struct rng rng = {7};
	uint64_t most = 0;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		const char *name = members[below(&rng, 3)];
		uint32_t n = 1 + below(&rng, 9);
		uint64_t sum = 0;

		if (projects_fits(f.p, number(&f, name), KIND_A, n * CARD, NULL) == QUOTA_OK)
			take(&f, name, KIND_A, n, START);
		else if (projects_held_milli(f.p, number(&f, name), KIND_A) >= n * CARD && chance(&rng, 50))
			give(&f, name, KIND_A, n, START);
		for (size_t k = 0; k < COUNT(members); k++)
			sum += projects_held_milli(f.p, number(&f, members[k]), KIND_A);
		assert_true(sum <= 70000);
		most = sum > most ? sum : most;
	}
	assert_int_equal(most, 70000); /* and all of it can be used */
	done(&f);
}

static void test_relieved(void **state)
{
	static const struct {
		const char *gives, *waits;
		uint32_t kind;
		bool grows;
	} rows[] = {
		{"alone", "alone", KIND_A, true}, {"lender", "guest", KIND_A, true},  {"guest", "lender", KIND_A, true},
		{"free", "guest", KIND_A, false}, {"alone", "lender", KIND_A, false}, {"mid", "low", KIND_A, true},
		{"low", "other", KIND_A, true},   {"top", "other", KIND_A, true},     {"other", "mid", KIND_A, true},
		{"free", "free", KIND_A, false},  {"lender", "mid", KIND_A, false},   {"lender", "guest", KIND_NONE, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fixture f = setup(shared, COUNT(shared), WEEK);
		struct project_amount amount = {rows[i].kind, rows[i].kind == KIND_NONE ? 0 : CARD, 5, 5};
		uint32_t waits = number(&f, rows[i].waits), gives = number(&f, rows[i].gives);
		uint64_t before = projects_relieved(f.p, waits);

		projects_take(f.p, gives, &amount, START);
		assert_int_equal(projects_relieved(f.p, waits), before);
		projects_give(f.p, gives, &amount, START);
		assert_int_equal(projects_relieved(f.p, waits) > before, rows[i].grows);
		before = projects_relieved(f.p, waits);
		declare(&f, shared, COUNT(shared), WEEK, START);
		assert_true(projects_relieved(f.p, waits) > before);
		done(&f);
	}
}

/* ---- Declared anew ---- */

static void test_redeclare(void **state)
{
	const struct project_spec moved[] = {
		{.name = "x", .weight_milli = 1000},
		{.name = "y", .weight_milli = 2000, QUOTAS({"a", 8000, NO_LIMIT, NO_LIMIT})},
		{.name = "x1", .parent = "y", .weight_milli = 500},
	};
	struct fixture f = setup(tree, COUNT(tree), WEEK);
	us_t now = START + 3 * WEEK, x1, x, y;

	(void)state;
	take(&f, "x1", KIND_A, 10, START);
	take(&f, "x2", KIND_A, 5, START);
	take(&f, "y2", KIND_A, 1, START);
	x = share_us(&f, "x", now);
	x1 = share_us(&f, "x1", now);
	y = share_us(&f, "y", now);
	declare(&f, moved, COUNT(moved), WEEK, now);
	assert_int_equal(share_us(&f, "x", now), 0);
	assert_near((uint64_t)share_us(&f, "x1", now), 2 * (uint64_t)x1, 2);
	assert_near((uint64_t)share_us(&f, "y", now), (uint64_t)x1 / 2, 2);
	assert_near((uint64_t)(share_us(&f, "x2", now) + x1), (uint64_t)x, 2); /* on its own now, of weight 1 */
	assert_near((uint64_t)share_us(&f, "y2", now), 2 * (uint64_t)y, 4);
	assert_int_equal(projects_held_milli(f.p, number(&f, "y"), KIND_A), 10000);
	/* holds more than it may from now on: nothing breaks, and nothing more fits */
	assert_false(projects_within_quotas(f.p));
	assert_int_equal(projects_fits(f.p, number(&f, "x1"), KIND_A, 1, NULL), QUOTA_NOMINAL);
	give(&f, "x1", KIND_A, 3, now);
	assert_int_equal(projects_fits(f.p, number(&f, "x1"), KIND_A, CARD, NULL), QUOTA_OK);
	declare(&f, NULL, 0, WEEK, now);
	assert_false(projects_any_declared(f.p));
	assert_int_equal(share_us(&f, "y", now), 0);
	done(&f);
}

/* Where more is lent out than may be from now on, what a project keeps is still its own. */
static void test_lends_less(void **state)
{
	const struct project_spec less[] = {
		{.name = "lender", .cohort = "c", .weight_milli = 1000, QUOTAS({"a", 40000, NO_LIMIT, NO_LIMIT})},
		{.name = "keeper", .cohort = "c", .weight_milli = 1000, QUOTAS({"a", 30000, 0, 5000})},
	};
	struct fixture f = setup(shared, COUNT(shared), WEEK);
	uint32_t keeper = number(&f, "keeper");

	(void)state;
	take(&f, "lender", KIND_A, 50, START);
	assert_true(projects_within_quotas(f.p));
	declare(&f, less, COUNT(less), WEEK, START);
	assert_false(projects_within_quotas(f.p));
	assert_int_equal(projects_fits(f.p, keeper, KIND_A, 25 * CARD, NULL), QUOTA_OK);
	assert_int_equal(projects_fits(f.p, keeper, KIND_A, 26 * CARD, NULL), QUOTA_COHORT);
	assert_true(projects_may_reclaim(f.p, keeper, KIND_A, 30 * CARD));
	give(&f, "lender", KIND_A, 6, START);
	assert_int_equal(projects_fits(f.p, keeper, KIND_A, 26 * CARD, NULL), QUOTA_OK);
	assert_true(projects_within_quotas(f.p));
	done(&f);
}

/* Another half-life changes nothing of what was used till now. */
static void test_half_life_changes(void **state)
{
	static const us_t half_lives[] = {WEEK, US_NEVER, US_HOUR, US_DAY, 0, US_DURATION_MAX, US_NEVER, WEEK};
	struct fixture f = setup(NULL, 0, WEEK);
	us_t now = START + 3 * WEEK, before;

	(void)state;
	take(&f, "p", KIND_A, 50, START);
	take(&f, "q", KIND_A, 50, START);
	give(&f, "q", KIND_A, 50, START + US_DAY);
	for (size_t i = 0; i < COUNT(half_lives); i++) {
		us_t of_q = share_us(&f, "q", now), grown;

		before = share_us(&f, "p", now);
		declare(&f, NULL, 0, half_lives[i], now);
		assert_near((uint64_t)share_us(&f, "p", now), (uint64_t)before, (uint64_t)before / 1000000000 + 2);
		assert_near((uint64_t)share_us(&f, "q", now), (uint64_t)of_q, (uint64_t)of_q / 1000000000 + 2);
		grown = share_us(&f, "p", now + 2000) - share_us(&f, "p", now);
		if (half_lives[i] <= 0 || half_lives[i] >= US_DURATION_MAX)
			assert_near((uint64_t)grown, 1000, 2); /* half the pool for 2 ms */
		now += US_HOUR;
	}
	done(&f);
}

/* ---- As bytes ---- */

static struct fixture load_copy(struct fixture *f, const struct project_spec *specs, uint32_t n, us_t half_life_us,
                                const struct buf *bytes)
{
	struct fixture copy = setup(specs, n, half_life_us);
	struct reader r = reader_of(bytes->data, bytes->len);

	for (uint32_t i = 0; i < f->names.count; i++)
		strtab_add(&copy.names, strtab_name(&f->names, i));
	assert_int_equal(projects_load(copy.p, &r, copy.names.count, KINDS), 0);
	assert_true(r.at == r.end);
	return copy;
}

static void one_save(uint64_t seed, us_t half_life_us)
{
	static const char *const names[] = {"x", "x1", "x2", "y", "y1", "y21", "z"};
	struct fixture f = setup(tree, COUNT(tree), half_life_us), copy;
	struct rng rng = {seed};
	uint32_t held[COUNT(names)] = {0};
	struct buf a = {0}, b = {0};
	us_t now = START;

	for (int i = 0; i < 80; i++) {
		uint32_t k = below(&rng, COUNT(names));

		now += below(&rng, 1000000000) * 100LL;
		if (held[k] > 0 && chance(&rng, 50)) {
			give(&f, names[k], KIND_B, 1, now);
			held[k]--;
		} else {
			take(&f, names[k], KIND_B, 1, now);
			held[k]++;
		}
	}
	projects_save(f.p, &a);
	copy = load_copy(&f, tree, COUNT(tree), half_life_us, &a);
	for (uint32_t k = 0; k < COUNT(names); k++)
		projects_hold_again(copy.p, number(&copy, names[k]), &(struct project_amount){KIND_B, held[k] * CARD, 0, 0});
	projects_check(copy.p);
	projects_save(copy.p, &b);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	for (int i = 0; i < 10; i++) { /* and both go on alike */
		char text[1024];

		now += US_DAY * (us_t)below(&rng, 40);
		use_cards(&f, "y2", 3, now, now + 5);
		use_cards(&copy, "y2", 3, now, now + 5);
		for (uint32_t k = 0; k < COUNT(names); k++)
			assert_int_equal(share_us(&f, names[k], now + 5), share_us(&copy, names[k], now + 5));
		snprintf(text, sizeof text, "%s", order(&f, "x x1 x2 y y1 y2 y21 z", now + 5, NULL));
		assert_string_equal(order(&copy, "x x1 x2 y y1 y2 y21 z", now + 5, NULL), text);
		a.len = b.len = 0;
		projects_save(f.p, &a);
		projects_save(copy.p, &b);
		assert_int_equal(a.len, b.len);
		assert_memory_equal(a.data, b.data, a.len);
	}
	buf_done(&a);
	buf_done(&b);
	done(&f);
	done(&copy);
}

static void test_save(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		one_save(seed, WEEK);
		one_save(seed, US_HOUR);
		one_save(seed, US_NEVER);
	}
}

/* The bytes of a small state: the same of every compiler, and of every later version of the program. */
static void test_bytes(void **state)
{
	static const struct {
		us_t half_life_us;
		const char *want;
	} rows[] = {
		{WEEK, "b71603010103019b9d8d9cf0bfb6cbff0102010200b087803503010200c6a2beadefe2d802"},
		{US_NEVER, "0003010103bf07808080c0e293f9f7550201020080c03e03010200808080a0fbd9bdd703"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fixture f = setup(tree, COUNT(tree), rows[i].half_life_us);
		struct buf bytes = {0}, hex = {0};

		use_cards(&f, "y", 3, START, START + US_DAY);
		take(&f, "x1", KIND_B, 5, START + 2 * US_DAY);
		use_cards(&f, "x2", 1, START + 100 * US_DAY, START + 100 * US_DAY + 1); /* the bases move */
		projects_save(f.p, &bytes);
		for (size_t k = 0; k < bytes.len; k++)
			buf_printf(&hex, "%02x", bytes.data[k]);
		assert_string_equal((const char *)hex.data, rows[i].want);
		buf_done(&bytes);
		buf_done(&hex);
		done(&f);
	}
}

static void test_load_table(void **state)
{
	static const struct {
		uint8_t bytes[16];
		size_t len;
		int want;
	} rows[] = {
		{{0, 1, 1, 1, 3, 0, 5}, 7, 0}, /* period, projects: number, uses: resource, high, low */
		{{0, 2, 1, 1, 3, 0, 5, 2, 1, 3, 0, 5}, 12, 0},
		{{0, 2, 2, 1, 3, 0, 5, 1, 1, 3, 0, 5}, 12, ERR_CORRUPT},
		{{0, 2, 1, 1, 3, 0, 5, 1, 1, 2, 0, 5}, 12, ERR_CORRUPT}, /* twice */
		{{0, 1, 1, 2, 2, 0, 5, 3, 0, 5}, 10, 0},
		{{0, 1, 1, 2, 3, 0, 5, 2, 0, 5}, 10, ERR_CORRUPT},
		{{0, 1, 1, 2, 3, 0, 5, 3, 0, 5}, 10, ERR_CORRUPT},
		{{0, 1, 1, 1, 3, 0, 0}, 7, ERR_CORRUPT}, /* a base of 0 isn't written */
		{{0, 1, 1, 0, 0, 0, 0}, 7, ERR_CORRUPT},
		{{0, 1, COUNT(tree), 1, 3, 0, 5}, 7, ERR_CORRUPT},
		{{0, 1, 1, 1, 2 + KINDS, 0, 5}, 7, ERR_CORRUPT},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fixture f = setup(tree, COUNT(tree), WEEK);
		struct reader r = reader_of(rows[i].bytes, rows[i].len);

		assert_int_equal(projects_load(f.p, &r, COUNT(tree), KINDS), rows[i].want);
		if (rows[i].want == 0)
			projects_check(f.p);
		f.p = projects_free(f.p);
		strtab_done(&f.names);
		strtab_done(&f.kinds);
	}
}

/* What is cut short, or changed in a byte, is refused or loads: nothing worse. */
static void test_load_bad(void **state)
{
	struct fixture f = setup(tree, COUNT(tree), WEEK);
	struct buf bytes = {0};

	(void)state;
	use_cards(&f, "x1", 3, START, START + US_DAY);
	use_cards(&f, "y", 3, START + US_DAY, START + 2 * US_DAY);
	projects_save(f.p, &bytes);
	for (size_t len = 0; len < bytes.len; len++) {
		struct fixture g = setup(tree, COUNT(tree), WEEK);
		struct reader r = reader_of(bytes.data, len);

		assert_int_equal(projects_load(g.p, &r, COUNT(tree), KINDS), ERR_CORRUPT);
		g.p = projects_free(g.p);
		done(&f);
		f = setup(tree, COUNT(tree), WEEK);
		strtab_done(&g.names);
		strtab_done(&g.kinds);
	}
	for (size_t at = 0; at < bytes.len; at++)
		for (uint32_t bit = 0; bit < 8; bit++) {
			struct fixture g = setup(tree, COUNT(tree), WEEK);
			struct reader r = reader_of(bytes.data, bytes.len);

			bytes.data[at] ^= (uint8_t)(1 << bit);
			projects_load(g.p, &r, COUNT(tree), KINDS);
			bytes.data[at] ^= (uint8_t)(1 << bit);
			g.p = projects_free(g.p);
			strtab_done(&g.names);
			strtab_done(&g.kinds);
		}
	buf_done(&bytes);
	done(&f);
}

/* ---- Bounds ---- */

/* A million cards, all memory that nodes may have, 100 years, weights from the least to the most. */
static void test_bounds(void **state)
{
	const struct project_spec specs[] = {
		{.name = "top", .weight_milli = 1},
		{.name = "one", .parent = "top", .weight_milli = 1, .cohort = "c", QUOTAS({"a", UINT64_MAX - 1, NO_LIMIT, NO_LIMIT})},
		{.name = "two", .parent = "top", .weight_milli = 1000000000, .cohort = "c", QUOTAS({"a", UINT64_MAX - 1, 5, NO_LIMIT})},
	};
	static const us_t half_lives[] = {1, US_SECOND, WEEK, US_DURATION_MAX, US_NEVER};
	static const struct project_amount all = {KIND_A, 1000000 * (uint64_t)CARD_MILLI, UINT64_C(4000000) * UINT32_MAX,
	                                          UINT64_C(4000000) * UINT32_MAX};

	(void)state;
	for (size_t h = 0; h < COUNT(half_lives); h++) {
		struct fixture f = setup(specs, COUNT(specs), half_lives[h]);
		us_t unit = projects_unit_us(f.p), share;

		f.cards_milli[KIND_A] = 1000000 * CARD;
		f.capacity.cpus_milli = f.capacity.memory_mib = UINT64_C(4000000) * UINT32_MAX;
		declare(&f, specs, COUNT(specs), half_lives[h], 0);
		projects_take(f.p, number(&f, "two"), &all, 0);
		for (int year = 1; year <= 100; year++) {
			use_cards(&f, "one", 1, year * 365 * US_DAY, year * 365 * US_DAY + 1);
			projects_check(f.p);
		}
		assert_string_equal(order(&f, "two one nobody", 100 * 366 * US_DAY, NULL), "nobody < one < two");
		share = share_us(&f, "two", 100 * 366 * US_DAY);
		if (half_lives[h] == US_NEVER)
			assert_near((uint64_t)share, 100 * 366 * US_DAY / 1000000, 1);
		else
			assert_true(share <= unit / 1000000);
		assert_int_equal(projects_used_milli_hours(f.p, number(&f, "two"), KIND_A, 100 * 366 * US_DAY) > 0, half_lives[h] > 1000);
		assert_int_equal(projects_fits(f.p, number(&f, "two"), KIND_A, UINT64_C(1) << 47, NULL), QUOTA_OK);
		assert_int_equal(projects_fits(f.p, number(&f, "two"), KIND_A, UINT64_MAX, NULL), QUOTA_NOMINAL);
		projects_give(f.p, number(&f, "two"), &all, 100 * 366 * US_DAY);
		share_us(&f, "two", US_NEVER);
		order(&f, "two one nobody", US_NEVER, NULL);
		done(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decay),
		cmocka_unit_test(test_steady),
		cmocka_unit_test(test_monotone),
		cmocka_unit_test(test_random_use),
		cmocka_unit_test(test_dominant),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_order_in_time),
		cmocka_unit_test(test_random_order),
		cmocka_unit_test(test_kept_order),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_quota),
		cmocka_unit_test(test_quota_view),
		cmocka_unit_test(test_over_share),
		cmocka_unit_test(test_over_share_in_proportion),
		cmocka_unit_test(test_cohorts),
		cmocka_unit_test(test_random_quotas),
		cmocka_unit_test(test_cohort_sum),
		cmocka_unit_test(test_relieved),
		cmocka_unit_test(test_redeclare),
		cmocka_unit_test(test_lends_less),
		cmocka_unit_test(test_half_life_changes),
		cmocka_unit_test(test_save),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_load_table),
		cmocka_unit_test(test_load_bad),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests_name("project", tests, NULL, NULL);
}
