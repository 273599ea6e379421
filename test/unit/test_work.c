/* SPDX-License-Identifier: Apache-2.0
 * test_work.c: what is left of a job's work over attempts that are cut short, and when nodes fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim/faults.h"
#include "sim/work.h"

#define S US_SECOND

/* A job of 100 s, cut short after so long at that speed; then it goes on at speed 1. */
static void work_is_kept_in_steps(void **state)
{
	static const struct {
		us_t checkpoint_us, restart_us, ran_us;
		uint32_t speed_micro;
		us_t useful_us, then_us; /* of the first attempt; how long the second takes */
	} cases[] = {
		{0, 0, 30 * S, SPEED_MICRO, 30 * S, 70 * S},          {0, 5 * S, 30 * S, SPEED_MICRO, 30 * S, 75 * S},
		{20 * S, 0, 30 * S, SPEED_MICRO, 20 * S, 80 * S},     {20 * S, 5 * S, 19 * S, SPEED_MICRO, 0, 105 * S},
		{20 * S, 0, 20 * S, SPEED_MICRO, 20 * S, 80 * S},     {0, 0, 30 * S, SPEED_MICRO / 2, 30 * S, 85 * S},
		{20 * S, 0, 50 * S, SPEED_MICRO / 2, 40 * S, 80 * S}, /* 25 s of work, of which 20 s are kept */
		{0, 0, 30 * S, 2 * SPEED_MICRO, 30 * S, 40 * S},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct trace_job job = {.run_us = 100 * S, .checkpoint_us = cases[i].checkpoint_us, .restart_us = cases[i].restart_us};
		struct work work = {.began_us = US_NEVER};

		work_begin(&work, &job, 1000 * S, cases[i].speed_micro);
		assert_int_equal(work_end(&work, &job, 1000 * S + cases[i].ran_us, false), cases[i].useful_us);
		assert_int_equal(work_begin(&work, &job, 2000 * S, SPEED_MICRO), cases[i].then_us);
		assert_int_equal(work_end(&work, &job, 2000 * S + cases[i].then_us, true), cases[i].then_us - cases[i].restart_us);
	}
}

static void work_adds_up(void **state)
{
	struct trace_job job = {.run_us = 100 * S, .checkpoint_us = 30 * S, .restart_us = 2 * S};
	struct work work = {.began_us = US_NEVER};

	(void)state;
	assert_int_equal(work_end(&work, &job, 5 * S, false), 0); /* it never ran */
	assert_int_equal(work_begin(&work, &job, 0, SPEED_MICRO), 100 * S);
	assert_int_equal(work_end(&work, &job, 50 * S, false), 30 * S);
	assert_int_equal(work_begin(&work, &job, 100 * S, SPEED_MICRO), 72 * S);
	assert_int_equal(work_end(&work, &job, 101 * S, false), 0); /* not even restarted */
	assert_int_equal(work_begin(&work, &job, 200 * S, SPEED_MICRO), 72 * S);
	assert_int_equal(work_end(&work, &job, 240 * S, false), 30 * S);
	assert_int_equal(work_begin(&work, &job, 300 * S, SPEED_MICRO), 42 * S);
	job.run_us = US_NEVER;
	assert_true(work_begin(&work, &job, 300 * S, SPEED_MICRO) == US_NEVER);
}

static void exponential_is_a_logarithm(void **state)
{
	static const struct {
		uint64_t uniform;
		double expected;
	} cases[] = {
		{UINT64_MAX, 0},
		{UINT64_C(1) << 63, 0.69314718},
		{UINT64_C(1) << 62, 1.38629436},
		{UINT64_C(6786177901268887552), 1}, /* 2^64 / e */
		{1, 44.3614195},
		{0, 44.3614195},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_float_equal((double)faults_exponential(cases[i].uniform) / 4294967296.0, cases[i].expected, 1e-7);
}

static const struct line_spec lines[] = {{.count = 3}, {.count = 2}};
static const struct centre_spec centres[] = {
	{.name = "a", .lines = lines, .n_lines = 2},
	{.name = "b", .lines = lines, .n_lines = 1},
};
static const struct pool_spec pool = {.centres = centres, .n_centres = 2};

/* Nodes go down and come back in turn, each as long as it should, and as often on average. */
static void nodes_fail_and_are_repaired(void **state)
{
	const struct fault_config config = {100 * S, 10 * S};
	struct faults *faults = faults_new(&pool, &config, 7, 0), *same = faults_new(&pool, &config, 7, 0);
	us_t down_us[8] = {0}, last_us = 0;
	struct fault fault, other;
	uint32_t failures = 0;

	(void)state;
	while (faults_next(faults) < 100000 * S) {
		us_t at_us = faults_next(faults);
		bool changed = faults_take(faults, &fault);
		us_t *since_us = &down_us[fault.centre * 5 + fault.node];

		assert_true(at_us >= last_us);
		last_us = at_us;
		assert_int_equal(faults_take(same, &other), changed);
		if (!changed)
			continue;
		assert_true(fault.at_us == at_us && other.at_us == at_us && other.node == fault.node);
		assert_true(fault.node < (fault.centre ? 3 : 5));
		assert_int_equal(*since_us != 0, !fault.down);
		assert_true(fault.down || at_us - *since_us == 10 * S);
		*since_us = fault.down ? at_us : 0;
		failures += fault.down;
	}
	/* 8 nodes, 100000 s, and one failure of each in 110 s. */
	assert_in_range(failures, 6900, 7650);
	faults_free(faults);
	faults_free(same);
}

static void none_fails_unless_asked(void **state)
{
	struct faults *faults = faults_new(&pool, &(struct fault_config){0, S}, 1, 0);

	(void)state;
	assert_true(faults_next(faults) == US_NEVER);
	assert_false(faults_any_down(faults));
	faults_free(faults);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(work_is_kept_in_steps),      cmocka_unit_test(work_adds_up),
		cmocka_unit_test(exponential_is_a_logarithm), cmocka_unit_test(nodes_fail_and_are_repaired),
		cmocka_unit_test(none_fails_unless_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
