/* SPDX-License-Identifier: Apache-2.0
 * test_changes.c: what a start says of files that aren't what the journal knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "host/changes.h"

struct seen {
	uint32_t n;
	char text[4096];
};

static void see(void *ctx, bool is_new, const char *line)
{
	struct seen *seen = ctx;
	size_t len = strlen(seen->text);

	seen->n++;
	snprintf(seen->text + len, sizeof seen->text - len, "%c%s\n", is_new ? '+' : '-', line);
}

static struct line_spec lines[2] = {{.count = 8, .kind = "h800", .cards = 8, .cpus_milli = 64000, .memory_mib = UNCOUNTED},
                                    {.count = 2, .cpus_milli = UNCOUNTED, .memory_mib = 1024}};
static struct option_spec options[1] = {{"startup", "1s"}};
static struct price_spec prices[1] = {{"h800", 14000000}};
static struct centre_spec centres[2] = {{.name = "a",
                                         .region = "tj",
                                         .engine = "simulated",
                                         .options = options,
                                         .n_options = 1,
                                         .prices = prices,
                                         .n_prices = 1,
                                         .lines = lines,
                                         .n_lines = 2},
                                        {.name = "b", .engine = "local", .lines = lines + 1, .n_lines = 1}};
static struct link_spec links[1] = {{"l", {"a", "b"}, 100000, 10, 0}};
static struct quota_spec quotas[1] = {{"h800", 64000, AMOUNT_NONE, 8000}};
static struct project_spec projects[1] = {{"p", NULL, "c", 1000, quotas, 1}};
static struct kind_spec kinds[1] = {{.name = "h800", .vendor = "nvidia", .memory_mib = 81920}};

static struct pool_spec pool_whole(void)
{
	return (struct pool_spec){.name = "pool",
	                          .currency = "CNY",
	                          .kinds = kinds,
	                          .n_kinds = 1,
	                          .centres = centres,
	                          .n_centres = 2,
	                          .links = links,
	                          .n_links = 1,
	                          .projects = projects,
	                          .n_projects = 1};
}

static struct seen between(const struct buf *before, const struct pool_spec *pool)
{
	struct seen seen = {0};
	struct buf after = {0};
	uint32_t n;

	changes_describe_pool(pool, &after);
	n = changes_between(before, &after, see, &seen);
	assert_int_equal(n, seen.n);
	buf_done(&after);
	return seen;
}

/* Each thing that a pool file can change is said, and nothing else. */
static void test_pool(void **state)
{
	struct pool_spec pool = pool_whole();
	struct buf before = {0};

	(void)state;
	changes_describe_pool(&pool, &before);
	assert_string_equal(between(&before, &pool).text, "");

	lines[0].count = 6;
	assert_string_equal(between(&before, &pool).text,
	                    "+centre a: 6 nodes with 8 h800 cpus 64\n-centre a: 8 nodes with 8 h800 cpus 64\n");
	lines[0].count = 8;
	prices[0].micros++;
	assert_int_equal(between(&before, &pool).n, 2);
	prices[0].micros--;
	options[0].value = "2s";
	assert_int_equal(between(&before, &pool).n, 2);
	options[0].value = "1s";
	quotas[0].lending_milli = AMOUNT_NONE;
	assert_string_equal(between(&before, &pool).text,
	                    "+project p: h800 nominal_quota 64\n-project p: h800 nominal_quota 64 lending_limit 8\n");
	quotas[0].lending_milli = 8000;
	kinds[0].gflops[PRECISION_FP16] = 1000;
	assert_int_equal(between(&before, &pool).n, 2);
	kinds[0].gflops[PRECISION_FP16] = 0;
	pool.n_links = 0;
	assert_string_equal(between(&before, &pool).text, "-link l: a to b, mbps 100000 latency_us 10\n");
	pool.n_links = 1;
	pool.n_centres = 1;
	assert_int_equal(between(&before, &pool).n, 2); /* the centre, and its line of nodes */
	buf_done(&before);
}

/* Two equal lines of nodes and one are not the same. */
static void test_twice(void **state)
{
	struct line_spec twice[2] = {lines[0], lines[0]};
	struct pool_spec pool = pool_whole();
	struct centre_spec centre = centres[0];
	struct buf before = {0};

	(void)state;
	pool.centres = &centre;
	pool.n_centres = 1;
	centre.lines = twice;
	changes_describe_pool(&pool, &before);
	centre.n_lines = 1;
	assert_string_equal(between(&before, &pool).text, "-centre a: 8 nodes with 8 h800 cpus 64\n");
	buf_done(&before);
}

static void test_config(void **state)
{
	struct config_spec config = config_default();
	struct buf before = {0}, after = {0};
	struct seen seen = {0};

	(void)state;
	changes_describe_config(&config, &before);
	config.policy = POLICY_FIFO;
	config.lease_us = US_NEVER;
	changes_describe_config(&config, &after);
	assert_int_equal(changes_between(&before, &after, see, &seen), 4);
	assert_non_null(strstr(seen.text, "+policy: fifo\n"));
	assert_non_null(strstr(seen.text, "-policy: fair\n"));
	assert_non_null(strstr(seen.text, "+lease: never\n"));
	buf_done(&before);
	buf_done(&after);
}

/* Each field of the configuration, changed alone, is said. */
static void test_each_setting(void **state)
{
	static const struct config_spec standard = {.n_las_levels = 2, .las_levels_us = {1, US_HOUR}};
	struct config_spec config = standard;
	const struct {
		void *field;
		size_t size;
		const char *line;
	} cases[] = {
		{&config.reservations, 4, "+reservations: 3\n"},         {&config.max_restarts, 4, "+max_restarts: 3\n"},
		{&config.jobs_max, 8, "+jobs_max: 3000000\n"},           {&config.seed, 8, "+seed: 3000000\n"},
		{&config.history_jobs_max, 4, "+history_jobs_max: 3\n"}, {&config.starvation_after_us, 8, "+starvation_after: 3s\n"},
		{&config.half_life_us, 8, "+half_life: 3s\n"},           {&config.las_levels_us[1], 8, "+las_levels[1]: 3s\n"},
		{&config.n_las_levels, 4, "+las_levels[2]: 0s\n"},       {&config.cards_power_milli, 4, "+cards_power: 0.003\n"},
		{&config.finish_weight, 4, "+score.finish: 3\n"},        {&config.price_weight, 4, "+score.price: 3\n"},
		{&config.balance_weight, 4, "+score.balance: 3\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf before = {0}, after = {0};
		struct seen seen = {0};

		changes_describe_config(&standard, &before);
		config = standard;
		if (cases[i].size == 4)
			*(uint32_t *)cases[i].field = 3;
		else
			*(int64_t *)cases[i].field = 3 * US_SECOND;
		changes_describe_config(&config, &after);
		if (!changes_between(&before, &after, see, &seen) || !strstr(seen.text, cases[i].line))
			fail_msg("%s not in: %s", cases[i].line, seen.text);
		buf_done(&before);
		buf_done(&after);
	}
}

static void test_bound(void **state)
{
	struct buf before = {0}, after = {0};
	struct seen seen = {0};

	(void)state;
	for (int i = 0; i < CHANGES_SHOWN_MAX + 7; i++) {
		buf_printf(&after, "line %d", i);
		buf_put_u8(&after, 0);
	}
	assert_int_equal(changes_between(&before, &after, see, &seen), CHANGES_SHOWN_MAX + 7);
	assert_int_equal(seen.n, CHANGES_SHOWN_MAX);
	buf_done(&after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pool),         cmocka_unit_test(test_twice), cmocka_unit_test(test_config),
		cmocka_unit_test(test_each_setting), cmocka_unit_test(test_bound),
	};

	return cmocka_run_group_tests_name("changes", tests, NULL, NULL);
}
