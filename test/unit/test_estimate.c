/* SPDX-License-Identifier: Apache-2.0
 * test_estimate.c: what is learned of run times; and queues, whose waits shall lie in the intervals that were said before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/rng.h"
#include "core/estimate.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static uint32_t below(struct rng *rng, uint32_t bound)
{
	return (uint32_t)rng_below(rng, bound);
}

static bool chance(struct rng *rng, uint32_t percent)
{
	return below(rng, 100) < percent;
}

/* ---- Random amounts ---- */

/* An exponential variate: −ln of a uniform one, its logarithm by squaring. */
static us_t exponential(struct rng *rng, us_t mean_us)
{
	uint64_t u = rng_next(rng) | 1, fraction = 0, m;
	int zeros = __builtin_clzll(u);

	m = u << zeros >> 32;
	for (int i = 0; i < 16; i++) {
		uint64_t square = m * m >> 31, carry = square >> 32;

		m = square >> carry;
		fraction = fraction * 2 + carry;
	}
	/* 45426 / 65536 is ln 2 */
	return (us_t)(((((uint64_t)zeros + 1) << 16) - fraction) * 45426 / 65536 * (uint64_t)(mean_us / 1000) / 65536 * 1000);
}

/* About lognormal around the value: a factor of 4/3 up or down each round, and a tenth at the end. 8 rounds: sigma 0.8. */
static us_t noisy(struct rng *rng, us_t value, uint32_t rounds)
{
	for (uint32_t i = 0; i < rounds; i++)
		value = chance(rng, 50) ? value * 4 / 3 : value * 3 / 4;
	return rounds ? value * (900 + below(rng, 201)) / 1000 : value;
}

static void assert_near(us_t value, us_t want, us_t permille)
{
	us_t off = value > want ? value - want : want - value;

	if (off > want / 1000 * permille + 1)
		fail_msg("%lld us, and not about %lld us", (long long)value, (long long)want);
}

/* ---- Run times ---- */

static const struct estimate_key ann = {1, 10, 100, 1000};

static void learn_times(struct estimates *e, struct estimate_key key, us_t limit_us, us_t run_us, uint32_t times)
{
	for (uint32_t i = 0; i < times; i++)
		estimate_learn(e, &key, limit_us, run_us);
}

/* One kind of run is learned; what is said of a job that is like it in some things only? */
static void test_levels(void **state)
{
	static const struct {
		struct estimate_key asked;
		us_t limit_us;
		enum estimate_level level;
		us_t mid_us;
	} rows[] = {
		{{1, 10, 100, 1000}, US_NEVER, ESTIMATE_BY_NAME_SHAPE, US_HOUR},
		{{1, 10, 100, 1001}, US_NEVER, ESTIMATE_BY_NAME, US_HOUR},
		{{1, 10, 101, 1000}, US_NEVER, ESTIMATE_BY_SHAPE, US_HOUR},
		{{1, 10, 101, 1001}, US_NEVER, ESTIMATE_BY_USER, US_HOUR},
		{{2, 10, 100, 1000}, US_NEVER, ESTIMATE_BY_USER, US_HOUR},         /* his, in another project */
		{{1, 11, 100, 1000}, 8 * US_HOUR, ESTIMATE_BY_LIMIT, 2 * US_HOUR}, /* a quarter of the limit was used */
		{{1, 11, 100, 1000}, 8 * US_MINUTE, ESTIMATE_BY_LIMIT, 2 * US_MINUTE},
		{{1, 11, 100, 1000}, US_NEVER, ESTIMATE_BY_PROJECT, US_HOUR},
		{{2, 11, 100, 1000}, US_NEVER, ESTIMATE_BY_ALL, US_HOUR},
		{{1, 10, 100, 1000}, 5 * US_MINUTE, ESTIMATE_BY_NAME_SHAPE, 5 * US_MINUTE}, /* no estimate is over the limit */
	};
	struct estimates e = {0};

	(void)state;
	learn_times(&e, ann, 4 * US_HOUR, US_HOUR, 30);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct estimate got = estimate_run(&e, &rows[i].asked, rows[i].limit_us);

		assert_int_equal(estimate_run_mid(&e, &rows[i].asked, rows[i].limit_us), got.mid_us);
		assert_int_equal(got.level, rows[i].level);
		assert_near(got.mid_us, rows[i].mid_us, 8);
		assert_true(got.low_us <= got.mid_us && got.mid_us <= got.high_us && got.high_us <= rows[i].limit_us);
		assert_true(got.n >= 29 && got.n <= 30);
	}
	estimates_check(&e);
	estimates_done(&e);
}

static void test_nothing_known(void **state)
{
	struct estimates e = {0};
	struct estimate got = estimate_run(&e, &ann, US_NEVER);

	(void)state;
	assert_int_equal(got.level, ESTIMATE_BY_NOTHING);
	assert_int_equal(got.n, 0);
	assert_int_equal(got.low_us, US_MINUTE);
	assert_int_equal(got.mid_us, US_HOUR);
	assert_int_equal(got.high_us, US_DAY);
	got = estimate_run(&e, &ann, 10 * US_HOUR);
	assert_int_equal(got.low_us, 6 * US_MINUTE);
	assert_int_equal(got.mid_us, 5 * US_HOUR);
	assert_int_equal(got.high_us, 10 * US_HOUR);
	assert_int_equal(estimate_remaining(&e, &ann, US_NEVER, 2 * US_HOUR).mid_us, 2 * US_HOUR);
	estimates_check(&e);
}

/* What always runs the same is met to 1/500 over the whole range, and clamped beyond. */
static void test_precision(void **state)
{
	(void)state;
	for (us_t run_us = US_SECOND; run_us < 100 * US_DAY; run_us = run_us * 13 / 10 + 7) {
		struct estimates e = {0};
		struct estimate got;

		learn_times(&e, ann, US_NEVER, run_us, 3);
		got = estimate_run(&e, &ann, US_NEVER);
		assert_near(got.low_us, run_us, 2);
		assert_near(got.high_us, run_us, 2);
		estimates_done(&e);
	}
	for (int i = 0; i < 3; i++) {
		static const us_t runs[] = {0, 1000 * US_DAY, US_NEVER};
		static const us_t want[] = {US_SECOND * 524 / 1000, 101 * US_DAY, 101 * US_DAY};
		struct estimates e = {0};

		learn_times(&e, ann, US_NEVER, runs[i], 1);
		assert_near(estimate_run(&e, &ann, US_NEVER).mid_us, want[i], 10);
		estimates_done(&e);
	}
}

/* A user who changes his program is believed within 40 runs; one run that stands out is forgotten. */
static void test_recent_counts(void **state)
{
	struct estimates e = {0};

	(void)state;
	learn_times(&e, ann, US_NEVER, US_DAY, 1);
	learn_times(&e, ann, US_NEVER, US_HOUR, 300);
	assert_near(estimate_run(&e, &ann, US_NEVER).high_us, US_HOUR, 2);
	learn_times(&e, ann, US_NEVER, 10 * US_MINUTE, 40);
	assert_near(estimate_run(&e, &ann, US_NEVER).mid_us, 10 * US_MINUTE, 2);
	learn_times(&e, ann, US_NEVER, 10 * US_MINUTE, 300);
	assert_near(estimate_run(&e, &ann, US_NEVER).high_us, 10 * US_MINUTE, 2);
	estimates_check(&e);
	estimates_done(&e);
}

/* Few runs of one's own move the middle, and leave the tails to others. */
static void test_few_runs(void **state)
{
	static const struct estimate_key bob = {1, 11, 100, 1000};
	struct estimates e = {0};
	struct estimate got;
	struct rng rng = {5};

	(void)state;
	for (int i = 0; i < 60; i++)
		learn_times(&e, ann, US_NEVER, noisy(&rng, 10 * US_HOUR, 6), 1);
	learn_times(&e, bob, US_NEVER, US_HOUR, 4);
	got = estimate_run(&e, &bob, US_NEVER);
	assert_near(got.mid_us, US_HOUR, 2);
	assert_true(got.high_us > 5 * US_HOUR);
	learn_times(&e, bob, US_NEVER, US_HOUR, 60);
	got = estimate_run(&e, &bob, US_NEVER);
	assert_near(got.high_us, US_HOUR, 2);
	estimates_done(&e);
}

/* Of runs that don't change, 9 in 10 lie between low and high, of those that are left half-way too. */
static void test_runs_held(void **state)
{
	struct estimates e = {0};
	struct rng rng = {3};
	uint32_t held = 0, left_held = 0, over_mid = 0;

	(void)state;
	for (int i = 0; i < 5100; i++) {
		us_t run_us = noisy(&rng, US_HOUR, 8), ran_us = run_us / 2;
		struct estimate whole = estimate_run(&e, &ann, US_NEVER), left = estimate_remaining(&e, &ann, US_NEVER, ran_us);

		if (i >= 100) {
			held += run_us >= whole.low_us && run_us <= whole.high_us;
			over_mid += run_us > whole.mid_us;
			left_held += run_us - ran_us >= left.low_us && run_us - ran_us <= left.high_us;
		}
		estimate_learn(&e, &ann, US_NEVER, run_us);
	}
	assert_in_range(held, 4250, 4700);
	assert_in_range(over_mid, 2200, 2700);
	assert_in_range(left_held, 4000, 4800);
	estimates_done(&e);
}

/* Half of the runs fail within a minute, and half take two hours: what is left depends on what is behind. */
static void test_remaining(void **state)
{
	static const struct {
		us_t ran_us, limit_us, low_us, mid_us, high_us;
	} rows[] = {
		{0, US_NEVER, 1 * US_MINUTE, 1 * US_MINUTE, 120 * US_MINUTE},
		{30 * US_SECOND, US_NEVER, 30 * US_SECOND, 30 * US_SECOND, 119 * US_MINUTE + 30 * US_SECOND},
		{2 * US_MINUTE, US_NEVER, 118 * US_MINUTE, 118 * US_MINUTE, 118 * US_MINUTE},
		{110 * US_MINUTE, US_NEVER, 10 * US_MINUTE, 10 * US_MINUTE, 10 * US_MINUTE},
		{190 * US_MINUTE, US_NEVER, 10 * US_MINUTE, 190 * US_MINUTE, 3610 * US_MINUTE}, /* as none before: as long again */
		{190 * US_MINUTE, 200 * US_MINUTE, 10 * US_MINUTE, 10 * US_MINUTE, 10 * US_MINUTE},
		{110 * US_MINUTE, 115 * US_MINUTE, 5 * US_MINUTE, 5 * US_MINUTE, 5 * US_MINUTE},
		{110 * US_MINUTE, 110 * US_MINUTE, 0, 0, 0},
		{120 * US_DAY, 110 * US_MINUTE, 0, 0, 0},
	};
	struct estimates e = {0};

	(void)state;
	for (int i = 0; i < 40; i++) {
		learn_times(&e, ann, US_NEVER, 2 * US_HOUR, 1);
		learn_times(&e, ann, US_NEVER, US_MINUTE, 1);
	}
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct estimate got = estimate_remaining(&e, &ann, rows[i].limit_us, rows[i].ran_us);

		assert_near(got.low_us, rows[i].low_us, 15);
		assert_near(got.mid_us, rows[i].mid_us, 15);
		assert_near(got.high_us, rows[i].high_us, 15);
	}
	estimates_done(&e);
}

/* Users come and go for ever; those who were learned last are known, those before are not. */
static void test_bounded(void **state)
{
	struct estimates e = {0};

	(void)state;
	for (uint32_t i = 0; i < 6000; i++) {
		struct estimate_key key = {.project = 7, .user = i, .name = i, .shape = i};

		estimate_learn(&e, &key, US_NEVER, (1 + i % 60) * US_MINUTE);
		assert_true(e.n_slots <= ESTIMATE_KEYS_MAX);
		if (i % 500 == 0)
			estimates_check(&e);
	}
	assert_int_equal(e.n_slots, ESTIMATE_KEYS_MAX);
	for (uint32_t i = 0; i < 6000; i += 50) {
		struct estimate_key key = {.project = 7, .user = i, .name = i, .shape = i};
		struct estimate got = estimate_run(&e, &key, US_NEVER);

		/* Three keys each, beside the project's: 1,365 users */
		assert_int_equal(got.level, i >= 6000 - 1365 ? ESTIMATE_BY_NAME : ESTIMATE_BY_PROJECT);
	}
	estimates_done(&e);
}

static void learn_some(struct estimates *e, struct rng *rng, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct estimate_key key = {0};
		us_t run_us;

		key.project = below(rng, 5); /* one after the other: compilers may choose the order in a list */
		key.user = below(rng, 60);
		key.name = below(rng, 300);
		key.shape = below(rng, 10);
		run_us = noisy(rng, (1 + (us_t)key.name) * US_MINUTE, 12);

		estimate_learn(e, &key, chance(rng, 30) ? US_NEVER : 3 * run_us + 1, run_us);
	}
}

static void assert_same_estimates(const struct estimates *a, const struct estimates *b)
{
	struct buf x = {0}, y = {0};

	estimates_save(a, &x);
	estimates_save(b, &y);
	assert_int_equal(x.len, y.len);
	assert_memory_equal(x.data, y.data, x.len);
	assert_true(x.len <= ESTIMATES_BYTES_MAX);
	buf_done(&x);
	buf_done(&y);
}

/* A loaded one answers as the saved, also after both have learned on, past where the oldest keys go. */
static void test_save(void **state)
{
	(void)state;
	for (uint32_t n = 0; n <= 30000; n = n * 5 + 40) {
		struct estimates e = {0}, loaded = {0};
		struct buf buf = {0};
		struct rng rng = {n}, again;
		struct reader r;

		learn_some(&e, &rng, n);
		estimates_save(&e, &buf);
		r = reader_of(buf.data, buf.len);
		estimates_load(&loaded, &r);
		assert_true(!r.bad && r.at == r.end);
		estimates_check(&loaded);
		again = rng;
		learn_some(&e, &rng, 2000);
		learn_some(&loaded, &again, 2000);
		assert_same_estimates(&e, &loaded);
		estimates_check(&e);
		estimates_check(&loaded);
		estimates_done(&e);
		estimates_done(&loaded);
		buf_done(&buf);
	}
}

/* What comes of loading: bad, or a state that holds. */
static bool loads(const struct buf *buf, bool is_waits)
{
	static struct wait_model waits;
	struct estimates e = {0};
	struct reader r = reader_of(buf->data, buf->len);

	memset(&waits, 0, sizeof waits);
	if (is_waits)
		wait_model_load(&waits, &r);
	else
		estimates_load(&e, &r);
	if (!r.bad) {
		estimates_check(&e);
		wait_model_check(&waits);
	}
	estimates_done(&e);
	return !r.bad;
}

/* Cut bytes are bad; changed ones are bad, or another state that holds. */
static void try_bad_bytes(struct buf *buf, bool is_waits)
{
	struct rng rng = {buf->len};

	assert_true(loads(buf, is_waits));
	for (size_t at = 0; at < buf->len; at++) {
		struct buf cut = {.data = buf->data, .len = at};
		uint8_t old = buf->data[at];

		assert_false(loads(&cut, is_waits));
		for (int i = 0; i < 3; i++) {
			buf->data[at] = i == 0 ? old ^ (uint8_t)(1 << below(&rng, 8)) : (uint8_t)below(&rng, 256);
			loads(buf, is_waits);
		}
		buf->data[at] = old;
	}
}

static void test_bad_bytes(void **state)
{
	static struct wait_model waits;
	struct estimates e = {0};
	struct buf buf = {0};
	struct rng rng = {9};

	(void)state;
	learn_some(&e, &rng, 50);
	estimates_save(&e, &buf);
	try_bad_bytes(&buf, false);
	for (uint32_t i = 0; i < 3000; i++)
		wait_learn(&waits, i % 100 * US_MINUTE, i % 9, 0, US_HOUR, i * 7 % 200 * US_MINUTE, 3);
	buf.len = 0;
	wait_model_save(&waits, &buf);
	try_bad_bytes(&buf, true);
	estimates_done(&e);
	buf_done(&buf);
}

/* ---- Waits ---- */

/* A queue before one server, first come, first served, whose mean service is 100 s; or waits that have nothing to do with one
 * another. Halves: before and after a change. */
struct queue_case {
	const char *name;
	uint32_t load_percent[2];
	us_t times[2], per[2];          /* base: wait × times / per */
	uint32_t noise;                 /* rounds, on the base */
	us_t more_us;                   /* mean of what is added to the base */
	uint32_t at_once;               /* percent that don't wait, whatever the base */
	uint32_t burst;                 /* jobs of each load in turn; 0: by halves */
	bool is_loose;                  /* no queue: base and wait lognormal, long waits come last */
	uint32_t held_least, held_most; /* permille */
	uint32_t width_most;            /* percent of the ideal */
};

enum { JOBS = 20000, WARM_UP = 500 };

struct promise {
	us_t base_us, low_us, high_us, actual_us, start_us;
};

static struct promise promises[JOBS];
static uint32_t due[JOBS], n_due; /* a heap by start */

static void due_push(uint32_t job)
{
	uint32_t i = n_due++;

	for (; i && promises[due[(i - 1) / 2]].start_us > promises[job].start_us; i = (i - 1) / 2)
		due[i] = due[(i - 1) / 2];
	due[i] = job;
}

static uint32_t due_pop(void)
{
	uint32_t first = due[0], last = due[--n_due], i = 0, k;

	while ((k = 2 * i + 1) < n_due) {
		k += k + 1 < n_due && promises[due[k + 1]].start_us < promises[due[k]].start_us;
		if (promises[due[k]].start_us >= promises[last].start_us)
			break;
		due[i] = due[k];
		i = k;
	}
	due[i] = last;
	return first;
}

/* The job's wait and the guess of it; *work_us: what is left to do before it. */
static void draw_job(const struct queue_case *c, struct rng *rng, uint32_t i, us_t *work_us, us_t *now_us, struct promise *ret)
{
	uint32_t half = i >= JOBS / 2, load = c->load_percent[c->burst ? i / c->burst % 2 : half];
	us_t gap_us = exponential(rng, 100 * US_SECOND * 100 / load);

	*now_us += gap_us;
	*work_us = *work_us > gap_us ? *work_us - gap_us : 0;
	ret->actual_us = c->is_loose ? noisy(rng, 1000 * US_SECOND, 16) : *work_us;
	ret->base_us = noisy(rng, ret->actual_us * c->times[half] / c->per[half], c->noise);
	if (c->more_us)
		ret->base_us += exponential(rng, c->more_us);
	if (chance(rng, c->at_once))
		ret->actual_us = 0;
	ret->start_us = *now_us + ret->actual_us;
	*work_us += exponential(rng, 100 * US_SECOND);
}

static void learn_due(struct wait_model *model, us_t now_us)
{
	while (n_due && promises[due[0]].start_us <= now_us) {
		const struct promise *p = &promises[due_pop()];

		wait_learn(model, p->base_us, 2, p->low_us, p->high_us, p->actual_us, n_due);
	}
}

static void run_queue(const struct queue_case *c, struct wait_model *model, uint64_t seed)
{
	struct rng rng = {seed};
	us_t work_us = 0, now_us = 0;

	memset(model, 0, sizeof *model);
	n_due = 0;
	for (uint32_t i = 0; i < JOBS; i++) {
		struct promise *p = &promises[i];

		draw_job(c, &rng, i, &work_us, &now_us, p);
		learn_due(model, now_us);
		wait_interval(model, p->base_us, 2, &p->low_us, &p->high_us);
		assert_true(0 <= p->low_us && p->low_us <= p->high_us && p->high_us < US_NEVER);
		due_push(i);
	}
	wait_model_check(model);
}

static int compare_us(const void *a, const void *b)
{
	us_t x = *(const us_t *)a, y = *(const us_t *)b;

	return x < y ? -1 : x > y;
}

/* The median width of [least, most] × base, where these hold 90% over the whole run: nobody can know them before. */
static us_t ideal_width(void)
{
	enum { N = JOBS - WARM_UP };
	static us_t ratios[N], widths[N];

	for (uint32_t i = 0; i < N; i++) {
		const struct promise *p = &promises[WARM_UP + i];

		ratios[i] = (p->actual_us / 1000 + 1000) * 10000 / (p->base_us / 1000 + 1000);
	}
	qsort(ratios, N, sizeof *ratios, compare_us);
	for (uint32_t i = 0; i < N; i++) {
		us_t base_us = promises[WARM_UP + i].base_us + US_SECOND, low_us = base_us / 10000 * ratios[N / 20] - US_SECOND;

		widths[i] = base_us / 10000 * ratios[N - N / 20] - US_SECOND - (low_us > 0 ? low_us : 0);
	}
	qsort(widths, N, sizeof *widths, compare_us);
	return widths[N / 2];
}

static us_t said_width(void)
{
	static us_t widths[JOBS - WARM_UP];

	for (uint32_t i = WARM_UP; i < JOBS; i++)
		widths[i - WARM_UP] = promises[i].high_us - promises[i].low_us;
	qsort(widths, JOBS - WARM_UP, sizeof *widths, compare_us);
	return widths[(JOBS - WARM_UP) / 2];
}

static void judge_queue(const struct queue_case *c)
{
	uint32_t held = 0, permille;
	us_t width_us = said_width(), ideal_us = ideal_width();

	for (uint32_t i = WARM_UP; i < JOBS; i++)
		held += promises[i].actual_us >= promises[i].low_us && promises[i].actual_us <= promises[i].high_us;
	permille = held * 1000 / (JOBS - WARM_UP);
	if (getenv("SUAN_TEST_PRINT"))
		print_message("%s: %u of 1000 held, %lld%% of the ideal width\n", c->name, permille,
		              (long long)(width_us * 100 / (ideal_us + 1)));
	if (permille < c->held_least || permille > c->held_most)
		fail_msg("%s: %u of 1000 held, and not %u to %u", c->name, permille, c->held_least, c->held_most);
	if (width_us / 100 > ideal_us / 10000 * c->width_most)
		fail_msg("%s: %lld us wide, where %lld us would do", c->name, (long long)width_us, (long long)ideal_us);
}

static void test_queues(void **state)
{
	static const struct queue_case cases[] = {
		/* The base is off by 3, and noisy; a job that needn't wait for others may be thought to. */
		{"load 0.5", {50, 50}, {3, 3}, {1, 1}, 4, 30 * US_SECOND, 0, 0, false, 880, 920, 250},
		{"load 0.9", {90, 90}, {3, 3}, {1, 1}, 4, 30 * US_SECOND, 0, 0, false, 880, 920, 250},
		{"load 1.1", {110, 110}, {3, 3}, {1, 1}, 4, 30 * US_SECOND, 0, 0, false, 880, 920, 250},
		{"load 0.9, a third", {90, 90}, {1, 1}, {3, 3}, 8, 30 * US_SECOND, 0, 0, false, 880, 920, 250},
		{"load 1.1, lognormal", {110, 110}, {1, 1}, {1, 1}, 8, 0, 0, 0, false, 880, 920, 250},
		{"bursts", {160, 40}, {1, 1}, {1, 1}, 8, 30 * US_SECOND, 0, 500, false, 880, 920, 250},
		{"3 and then a third", {70, 102}, {3, 1}, {1, 3}, 4, 30 * US_SECOND, 0, 0, false, 880, 920, 250},
		{"10 times as long from one day on", {90, 90}, {1, 1}, {1, 10}, 6, 0, 0, 0, true, 880, 920, 250},
		{"the longest come last", {90, 90}, {2, 2}, {1, 1}, 10, 0, 0, 0, true, 880, 920, 250},
		{"some are backfilled", {95, 95}, {1, 1}, {1, 1}, 6, 30 * US_SECOND, 30, 0, false, 880, 920, 250},
		{"one in 40 is backfilled", {95, 95}, {1, 1}, {1, 1}, 6, 30 * US_SECOND, 2, 0, false, 880, 920, 250},
		{"the base says nothing", {90, 90}, {0, 0}, {1, 1}, 0, 0, 0, 0, false, 880, 920, 250},
		/* Where all that waits 0 is known before, those are held as well: 100% of them, and 90% of the others. */
		{"known to start at once", {50, 50}, {1, 1}, {1, 1}, 8, 0, 0, 0, false, 930, 965, 250},
		/* A base that is always exact can't be missed by the narrowest interval there is. */
		{"exact", {90, 90}, {3, 3}, {1, 1}, 0, 0, 0, 0, false, 985, 1000, 250},
		{"nobody waits", {90, 90}, {1, 1}, {1, 1}, 4, 30 * US_SECOND, 97, 0, false, 950, 990, 250},
	};
	static struct wait_model model;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		for (uint64_t seed = 1; seed <= 3; seed++) {
			run_queue(&cases[i], &model, seed * 1000 + i);
			judge_queue(&cases[i]);
		}
}

static void test_first_waits(void **state)
{
	static struct wait_model model;
	us_t low_us, high_us;

	(void)state;
	wait_interval(&model, 5 * US_MINUTE, 0, &low_us, &high_us);
	assert_int_equal(low_us, 0);
	assert_int_equal(high_us, 80 * US_MINUTE + US_HOUR);
	wait_interval(&model, US_NEVER, 1000, &low_us, &high_us);
	assert_true(low_us == 0 && high_us < US_NEVER);
	for (int i = 0; i < 100; i++)
		wait_learn(&model, 0, 0, 0, 0, 0, 0);
	wait_interval(&model, 0, 0, &low_us, &high_us);
	assert_true(low_us == 0 && high_us == 0);
	for (int i = 0; i < 5; i++) /* now 1 in 20 waits: they are the misses that may be */
		wait_learn(&model, 0, 0, 0, 0, US_HOUR, 0);
	wait_interval(&model, 0, 0, &low_us, &high_us);
	assert_true(low_us == 0 && high_us == 0);
	for (int i = 0; i < 10; i++)
		wait_learn(&model, 0, 0, 0, 0, US_HOUR, 0);
	wait_interval(&model, 0, 0, &low_us, &high_us);
	assert_int_equal(low_us, 0);
	assert_near(high_us, US_HOUR, 200);
	wait_model_check(&model);
}

/* After misses without end, a level that is past everything, and then nobody who waits. */
static void test_misses_and_zeros(void **state)
{
	static struct wait_model model;
	us_t low_us, high_us;

	(void)state;
	for (int i = 0; i < 1000; i++)
		wait_learn(&model, US_MINUTE, 0, 0, 0, US_HOUR, 0);
	wait_interval(&model, US_MINUTE, 0, &low_us, &high_us);
	assert_true(high_us > 2 * US_HOUR && high_us < 32 * US_HOUR);
	for (int i = 0; i < 5000; i++)
		wait_learn(&model, US_MINUTE, 0, 0, high_us, 0, 1000000);
	wait_interval(&model, US_MINUTE, 0, &low_us, &high_us);
	assert_true(low_us == 0 && high_us == 0);
	wait_model_check(&model);
}

static void say_and_learn(struct wait_model *model, us_t base_us, uint32_t queue_state, us_t actual_us)
{
	us_t low_us, high_us;

	wait_interval(model, base_us, queue_state, &low_us, &high_us);
	wait_learn(model, base_us, queue_state, low_us, high_us, actual_us, 0);
}

/* A base that was exact for long, whose intervals never missed, and no more is: at least half of the first 100 waits are held. */
static void test_exact_no_more(void **state)
{
	static struct wait_model model;
	struct rng rng = {2};
	us_t low_us, high_us;
	uint32_t held = 0;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		wait_interval(&model, US_HOUR, 0, &low_us, &high_us);
		assert_true(low_us <= 2 * US_HOUR && high_us >= 2 * US_HOUR);
		assert_true(i == 0 || high_us - low_us < 30 * US_MINUTE);
		wait_learn(&model, US_HOUR, 0, low_us, high_us, 2 * US_HOUR, 0);
	}
	for (int i = 0; i < 100; i++) {
		us_t actual_us = noisy(&rng, 2 * US_HOUR, 6);

		wait_interval(&model, US_HOUR, 0, &low_us, &high_us);
		held += low_us <= actual_us && actual_us <= high_us;
		wait_learn(&model, US_HOUR, 0, low_us, high_us, actual_us, 0);
	}
	assert_in_range(held, 50, 100);
}

/* Queue states and magnitudes are told apart once enough is known of each. */
static void test_groups(void **state)
{
	static struct wait_model model;
	us_t low_us, high_us;

	(void)state;
	for (int i = 0; i < 200; i++) {
		say_and_learn(&model, US_HOUR, 0, US_HOUR);
		say_and_learn(&model, US_HOUR, 1, 10 * US_HOUR);
		say_and_learn(&model, US_DAY, 1, US_HOUR);
	}
	wait_interval(&model, US_HOUR, 0, &low_us, &high_us);
	assert_true(low_us > 0 && low_us <= US_HOUR && high_us >= US_HOUR && high_us < 2 * US_HOUR);
	wait_interval(&model, US_HOUR, 1, &low_us, &high_us);
	assert_true(low_us > 8 * US_HOUR && low_us <= 10 * US_HOUR && high_us >= 10 * US_HOUR && high_us < 12 * US_HOUR);
	wait_interval(&model, US_HOUR, 5, &low_us, &high_us); /* a state as never before: both */
	assert_true(low_us <= US_HOUR && high_us >= 10 * US_HOUR);
	wait_interval(&model, 100 * US_DAY, 1, &low_us, &high_us); /* as a day */
	assert_true(low_us <= 4 * US_DAY + 6 * US_HOUR && high_us > 4 * US_DAY && high_us < 1000 * US_DAY);
	wait_model_check(&model);
}

/* One that was saved half-way says and learns the same as one that wasn't; and all compilers make the same bytes. */
static void test_waits_saved(void **state)
{
	static const struct queue_case c = {"saved", {105, 80}, {2, 1}, {1, 1}, 6, 30 * US_SECOND, 10, 0, false, 0, 1000, 0};
	static struct wait_model model, loaded;
	struct buf buf = {0};
	struct reader r;
	struct rng rng = {4};

	(void)state;
	run_queue(&c, &model, 7);
	wait_model_save(&model, &buf);
	assert_true(buf.len <= WAIT_BYTES_MAX);
	r = reader_of(buf.data, buf.len);
	memset(&loaded, 0, sizeof loaded);
	wait_model_load(&loaded, &r);
	assert_true(!r.bad && r.at == r.end);
	assert_memory_equal(&loaded, &model, sizeof model);
	for (int i = 0; i < 500; i++) {
		us_t base_us = noisy(&rng, US_HOUR, 20), low_us[2], high_us[2];

		wait_interval(&model, base_us, 2, &low_us[0], &high_us[0]);
		wait_interval(&loaded, base_us, 2, &low_us[1], &high_us[1]);
		assert_true(low_us[0] == low_us[1] && high_us[0] == high_us[1]);
	}
	buf_done(&buf);
}

/* The bytes after a fixed history: they are hashed with the state, so every compiler must come to the same. */
static void test_same_bytes(void **state)
{
	static const struct queue_case c = {"bytes", {105, 80}, {2, 1}, {1, 1}, 6, 30 * US_SECOND, 10, 0, false, 0, 1000, 0};
	static struct wait_model model;
	struct estimates e = {0};
	struct buf buf = {0};
	struct rng rng = {11};
	struct hash hash;
	char hex[HASH_HEX_SIZE];

	(void)state;
	learn_some(&e, &rng, 10000);
	estimates_save(&e, &buf);
	run_queue(&c, &model, 8);
	wait_model_save(&model, &buf);
	hash = hash_of(buf.data, buf.len);
	hash_hex(&hash, hex, sizeof hex);
	hex[16] = 0;
	assert_string_equal(hex, "e7e6a9b64ef65826");
	estimates_done(&e);
	buf_done(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels),           cmocka_unit_test(test_nothing_known), cmocka_unit_test(test_precision),
		cmocka_unit_test(test_recent_counts),    cmocka_unit_test(test_few_runs),      cmocka_unit_test(test_runs_held),
		cmocka_unit_test(test_remaining),        cmocka_unit_test(test_bounded),       cmocka_unit_test(test_save),
		cmocka_unit_test(test_bad_bytes),        cmocka_unit_test(test_queues),        cmocka_unit_test(test_first_waits),
		cmocka_unit_test(test_misses_and_zeros), cmocka_unit_test(test_groups),        cmocka_unit_test(test_waits_saved),
		cmocka_unit_test(test_exact_no_more),    cmocka_unit_test(test_same_bytes),
	};

	return cmocka_run_group_tests_name("estimate", tests, NULL, NULL);
}
