/* SPDX-License-Identifier: Apache-2.0
 * test_calendar.c: the calendar against an array with one number an instant. */
#include "core_fixture.h"

#include "core/calendar.h"

enum { INSTANTS = 48, CLAIMS_MAX = 40 };

/* Time runs over 0 .. INSTANTS; what is claimed at the last of them is claimed for ever. */
struct oracle {
	uint64_t capacity;
	int64_t claimed[INSTANTS + 1];
	us_t folded_us;
};

struct held {
	uint64_t amount;
	us_t from_us, until_us;
};

static void oracle_change(struct oracle *o, const struct held *h, int sign)
{
	for (us_t t = h->from_us; t <= INSTANTS && t < h->until_us; t++)
		o->claimed[t] += sign * (int64_t)h->amount;
}

static bool oracle_free(const struct oracle *o, uint64_t amount, us_t at_us, us_t duration_us)
{
	for (us_t t = at_us; t <= INSTANTS && t < us_add(at_us, duration_us); t++)
		if (o->claimed[t] + (int64_t)amount > (int64_t)o->capacity)
			return false;
	return at_us <= INSTANTS || o->claimed[INSTANTS] + (int64_t)amount <= (int64_t)o->capacity;
}

static us_t oracle_earliest(const struct oracle *o, uint64_t amount, us_t not_before_us, us_t duration_us)
{
	us_t t = not_before_us > o->folded_us ? not_before_us : o->folded_us;

	for (; t <= INSTANTS; t++)
		if (oracle_free(o, amount, t, duration_us))
			return t;
	return t > INSTANTS && oracle_free(o, amount, t, duration_us) ? t : US_NEVER;
}

static struct held random_claim(struct rng *rng, const struct oracle *o)
{
	struct held h = {.amount = below(rng, 5), .from_us = below(rng, INSTANTS)};

	if (h.from_us < o->folded_us && chance(rng, 70)) /* mostly from now on, sometimes since before */
		h.from_us = o->folded_us;
	h.until_us = chance(rng, 15) ? US_NEVER : h.from_us + 1 + below(rng, INSTANTS - (uint32_t)h.from_us);
	return h;
}

static void compare(const struct calendar *c, const struct oracle *o, struct rng *rng)
{
	calendar_check(c);
	for (us_t t = o->folded_us; t <= INSTANTS; t++)
		assert_int_equal(calendar_claimed(c, t), o->claimed[t]);
	for (int i = 0; i < 12; i++) {
		uint64_t amount = below(rng, (uint32_t)o->capacity + 2);
		us_t from = below(rng, INSTANTS + 4), duration = chance(rng, 20) ? US_NEVER : 1 + below(rng, INSTANTS);

		assert_int_equal(calendar_earliest(c, amount, from, duration), oracle_earliest(o, amount, from, duration));
	}
}

static void one_run(uint64_t seed)
{
	struct rng rng = {seed};
	struct oracle o = {.capacity = 1 + below(&rng, 12)};
	struct calendar c = {.capacity = o.capacity};
	struct held held[CLAIMS_MAX];
	uint32_t n = 0;

	for (int step = 0; step < 120; step++) {
		if (n < CLAIMS_MAX && chance(&rng, 55)) {
			held[n] = random_claim(&rng, &o);
			calendar_add(&c, held[n].amount, held[n].from_us, held[n].until_us);
			oracle_change(&o, &held[n++], 1);
		} else if (n > 0 && chance(&rng, 80)) {
			uint32_t i = below(&rng, n);

			calendar_remove(&c, held[i].amount, held[i].from_us, held[i].until_us);
			oracle_change(&o, &held[i], -1);
			held[i] = held[--n];
		} else if (o.folded_us < INSTANTS) {
			us_t to = o.folded_us + below(&rng, 3);

			calendar_fold(&c, to);
			calendar_fold(&c, to - 1); /* never goes back */
			o.folded_us = to;
		}
		compare(&c, &o, &rng);
	}
	while (n > 0) {
		n--;
		calendar_remove(&c, held[n].amount, held[n].from_us, held[n].until_us);
	}
	assert_int_equal(c.steps.count, 0); /* nothing is left behind */
	assert_int_equal(c.base, 0);
	calendar_done(&c);
}

static void test_against_array(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 150; seed++)
		one_run(seed);
}

static void test_edges(void **state)
{
	static const struct {
		uint64_t capacity, amount;
		us_t not_before_us, duration_us, want_us;
	} rows[] = {
		{8, 8, 0, 5, 0},                        /* all of it, until the first claim */
		{8, 8, 0, 10, 0},                       /* up to the very instant at which it begins */
		{8, 8, 0, 11, 30},                      /* one longer waits for its end */
		{8, 3, 0, US_NEVER, 0},                 /* beside it, for ever */
		{8, 4, 0, US_NEVER, 30},                /* not beside it */
		{8, 4, 29, 1, 30},                      /* the end is exclusive */
		{8, 9, 0, 1, US_NEVER},                 /* never that much */
		{AMOUNT_NONE, 1000000, 5, US_NEVER, 5}, /* not counted */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct calendar c = {.capacity = rows[i].capacity};

		calendar_add(&c, 5, 10, 30);
		assert_int_equal(calendar_earliest(&c, rows[i].amount, rows[i].not_before_us, rows[i].duration_us), rows[i].want_us);
		calendar_done(&c);
	}
}

/* Claims that begin where others end leave no hump, and a claim for ever leaves no step at its end. */
static void test_touching(void **state)
{
	struct calendar c = {.capacity = 4};

	(void)state;
	calendar_add(&c, 4, 10, 20);
	calendar_add(&c, 4, 20, 30);
	calendar_add(&c, 1, 30, US_NEVER);
	assert_int_equal(c.steps.count, 3);
	assert_int_equal(calendar_earliest(&c, 1, 10, 1), 30);
	assert_int_equal(calendar_earliest(&c, 4, 10, 1), US_NEVER);
	calendar_remove(&c, 1, 30, US_NEVER);
	assert_int_equal(calendar_earliest(&c, 4, 10, US_NEVER), 30);
	calendar_fold(&c, 25);
	assert_int_equal(c.steps.count, 1);
	assert_int_equal(calendar_claimed(&c, 25), 4);
	calendar_remove(&c, 4, 10, 20); /* over already */
	calendar_remove(&c, 4, 20, 30);
	assert_int_equal(c.steps.count, 0);
	assert_int_equal(calendar_claimed(&c, 25), 0);
	calendar_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_array),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_touching),
	};

	return cmocka_run_group_tests_name("calendar", tests, NULL, NULL);
}
