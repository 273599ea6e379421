/* SPDX-License-Identifier: Apache-2.0
 * test_outlook.c: what would start a job that waits, tried; who is in its way; when it is expected to start, and how often that
 * holds. */
#include "core_fixture.h"
#include "sim/sim.h"

/* x: 4 nodes of 4 cards a in racks of 2. y: 1 node of 2 cards b. z: 1 node of 4 cards a. */
static const struct line_spec line_a = {.count = 4, .kind = "a", .cards = 4, .cpus_milli = 16000, .nodes_per_rack = 2},
							  line_b = {.count = 1, .kind = "b", .cards = 2, .cpus_milli = 8000},
							  line_z = {.count = 1, .kind = "a", .cards = 4, .cpus_milli = 16000};
static const struct centre_spec centres[] = {
	{.name = "x", .region = "r", .engine = "simulated", .capabilities = CAN_ALL, .lines = &line_a, .n_lines = 1},
	{.name = "y", .region = "r", .engine = "simulated", .capabilities = CAN_ALL, .lines = &line_b, .n_lines = 1},
	{.name = "z", .region = "r", .engine = "simulated", .capabilities = CAN_ALL, .lines = &line_z, .n_lines = 1}};

static struct world *world_with(uint32_t n_centres)
{
	struct pool_spec spec = pool_of(centres, n_centres);

	return world_new(&spec);
}

/* Both answers, and nothing changed by asking. */
static struct explanation ask(const struct world *w, uint32_t job, struct advice *ret)
{
	struct hash before = core_digest(w->core), after;
	struct explanation x;

	assert_int_equal(core_explain(w->core, job, w->now_us, &x, NULL), 0);
	core_advise(w->core, job, &x, ret);
	after = core_digest(w->core);
	assert_memory_equal(&before, &after, sizeof before);
	return x;
}

static void says(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in: %s", part, text);
}

static struct want changed(const struct world *w, struct want want, const struct advice *advice)
{
	switch (advice->change) {
	case CHANGE_LIMIT: want.limit_us = advice->limit_us; break;
	case CHANGE_TIER: want.highest = advice->tier; break;
	case CHANGE_NODES: want.nodes = advice->nodes; break;
	case CHANGE_CENTRE: want.centre = NULL; break;
	case CHANGE_KIND: want.kind = pool_kind_name(core_pool(w->core), advice->kind); break;
	case CHANGE_CARDS: want.cards_milli = advice->cards_milli; break;
	default: break;
	}
	return want;
}

/* A job waits for a reason, and is advised to change something; submitted like this instead, it starts. */
static void advised(struct world *w, struct want want, enum reason reason, enum change change, const char *text)
{
	uint32_t id = world_submit(w, want), instead;
	struct advice advice;
	struct explanation x;

	assert_state(w, id, JOB_QUEUED);
	x = ask(w, id, &advice);
	assert_string_equal(reason_word(x.reason), reason_word(reason));
	assert_string_equal(change_word(advice.change), change_word(change));
	says(advice.text, text);
	if (change != CHANGE_NONE) {
		world_cancel(w, id);
		instead = world_submit(w, changed(w, want, &advice));
		assert_state(w, instead, JOB_STAGE_IN);
	}
	world_free(w);
}

/* ---- Each change ---- */

static void test_limit(void **state)
{
	struct world *w = world_with(2);

	(void)state;
	world_submit(w, (struct want){.nodes = 4, .cards_milli = 3000, .limit_us = US_HOUR});
	world_submit(w, (struct want){.nodes = 4, .cards_milli = 4000, .limit_us = US_HOUR});
	advised(w, (struct want){.cards_milli = 1000, .limit_us = 2 * US_HOUR}, REASON_RESERVED, CHANGE_LIMIT, "at most 1h");
}

/* The longest limit that ends before: past the first start, before the second. */
static void test_limit_between(void **state)
{
	struct world *w = world_with(1);

	(void)state;
	assert_int_equal(world_book(w, "x", 0, 1, "others", US_HOUR, US_HOUR), 0);
	assert_int_equal(world_book(w, "x", 0, 3, "others", 3 * US_HOUR, US_HOUR), 0);
	advised(w, (struct want){.nodes = 2, .cards_milli = 4000}, REASON_BOOKED, CHANGE_LIMIT, "at most 3h");
}

/* One node in each rack is free. */
static void test_tier(void **state)
{
	struct world *w = world_with(1);
	uint32_t id[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		id[i] = world_submit(w, (struct want){.cards_milli = 4000});
	for (int i = 0; i < 4; i++)
		if (is_on(w, id[i], 0) || is_on(w, id[i], 3))
			world_end(w, id[i], 0);
	advised(w, (struct want){.nodes = 2, .cards_milli = 4000, .highest = TIER_RACK}, REASON_SPREAD, CHANGE_TIER, "one pod");
}

static void test_nodes(void **state)
{
	struct world *w = world_with(2);

	(void)state;
	world_submit(w, (struct want){.nodes = 2, .cards_milli = 4000});
	advised(w, (struct want){.nodes = 4, .cards_milli = 4000}, REASON_RESOURCES, CHANGE_NODES, "on 2 nodes instead of 4");
}

static void test_centre(void **state)
{
	struct world *w = world_with(3);

	(void)state;
	world_submit(w, (struct want){.nodes = 4, .cards_milli = 4000, .centre = "x"});
	advised(w, (struct want){.cards_milli = 4000, .centre = "x"}, REASON_RESOURCES, CHANGE_CENTRE, "another centre");
}

static void test_kind(void **state)
{
	struct world *w = world_with(2);

	(void)state;
	world_submit(w, (struct want){.nodes = 4, .cards_milli = 4000});
	advised(w, (struct want){.cards_milli = 2000}, REASON_RESOURCES, CHANGE_KIND, "of kind b");
}

static void test_cards(void **state)
{
	struct world *w = world_with(2);

	(void)state;
	world_submit(w, (struct want){.nodes = 4, .cards_milli = 1000});
	advised(w, (struct want){.cards_milli = 4000}, REASON_RESOURCES, CHANGE_CARDS, "with 3 card(s) a node instead of 4");
}

static void test_share(void **state)
{
	struct world *w = world_with(1);

	(void)state;
	world_submit(w, (struct want){.nodes = 4, .cards_milli = 3000});
	for (int i = 0; i < 4; i++)
		world_submit(w, (struct want){.cards_milli = 600});
	advised(w, (struct want){.cards_milli = 700}, REASON_RESOURCES, CHANGE_CARDS, "with 0.4 card(s) a node instead of 0.7");
}

static void test_nothing(void **state)
{
	struct world *w = world_with(2);

	(void)state;
	world_submit(w, (struct want){.nodes = 4, .cards_milli = 4000});
	world_submit(w, (struct want){.kind = "b", .cards_milli = 2000});
	advised(w, (struct want){.nodes = 2, .cards_milli = 4000, .highest = TIER_RACK}, REASON_RESOURCES, CHANGE_NONE,
	        "no other limit");
}

/* ---- Reasons with numbers of their own ---- */

static void test_quota(void **state)
{
	static const struct quota_spec quota = {
		.kind = "a", .nominal_milli = 8000, .borrowing_milli = AMOUNT_NONE, .lending_milli = AMOUNT_NONE};
	static const struct project_spec project = {.name = "p", .weight_milli = 1000, .quotas = &quota, .n_quotas = 1};
	struct pool_spec spec = pool_of(centres, 2);
	struct world *w;
	struct advice advice;
	struct explanation x;

	(void)state;
	spec.projects = &project;
	spec.n_projects = 1;
	w = world_new(&spec);
	world_submit(w, (struct want){.cards_milli = 4000, .project = "p"});
	x = ask(w, world_submit(w, (struct want){.nodes = 2, .cards_milli = 4000, .project = "p"}), &advice);
	assert_string_equal(reason_word(x.reason), "quota");
	assert_int_equal(x.verdict, QUOTA_NOMINAL);
	assert_int_equal(x.quota.used_milli, 4000);
	assert_int_equal(x.quota.nominal_milli, 8000);
	assert_int_equal(x.quota.borrowing_milli, 0);
	says(x.text, "holds 4 of its quota of 8 cards of kind a");
	world_cancel(w, 2);
	advised(w, (struct want){.nodes = 2, .cards_milli = 4000, .project = "p"}, REASON_QUOTA, CHANGE_NODES,
	        "on 1 node instead of 2");
}

static void test_booked(void **state)
{
	struct world *w = world_with(2);
	uint32_t booking, id;
	struct advice advice;
	struct explanation x;

	(void)state;
	assert_int_equal(world_book(w, "x", 0, 3, "others", US_HOUR, US_HOUR), 0);
	booking = w->step.job ? w->step.job : core_booking_after(w->core, 0)->id;
	id = world_submit(w, (struct want){.cards_milli = 4000});
	x = ask(w, id, &advice);
	assert_string_equal(reason_word(x.reason), "booked");
	assert_int_equal(x.booking, booking);
	says(x.text, "booked for project others");
	assert_int_equal(world_unbook(w, booking), 0);
	assert_state(w, id, JOB_STAGE_IN);
	world_node(w, "x", 0, 3, NODE_CORDONED);
	id = world_submit(w, (struct want){.cards_milli = 4000});
	x = ask(w, id, &advice);
	assert_string_equal(reason_word(x.reason), "booked");
	assert_int_equal(x.booking, 0);
	says(x.text, "cordoned");
	world_node(w, "x", 0, 3, NODE_UP);
	assert_int_equal(world_book(w, "x", 0, 3, NULL, US_HOUR, US_HOUR), 0);
	x = ask(w, world_submit(w, (struct want){.cards_milli = 4000}), &advice);
	says(x.text, "drained");
	assert_int_equal(advice.change, CHANGE_LIMIT);
	assert_int_equal(advice.limit_us, US_HOUR);
	world_free(w);
}

/* What comes free goes to the first that wants as much; a smaller job before it isn't what it waits for. */
static void test_order(void **state)
{
	struct world *w = world_with(1);
	uint32_t large, first, second, wide, urgent;
	struct advice advice;
	struct explanation x;

	(void)state;
	world_submit(w, (struct want){.cards_milli = 4000, .limit_us = 2 * US_HOUR, .project = "p"});
	large = world_submit(w, (struct want){.nodes = 3, .cards_milli = 4000, .limit_us = US_HOUR, .project = "q"});
	first = world_submit(w, (struct want){.cards_milli = 4000, .limit_us = US_HOUR, .project = "r"});
	second = world_submit(w, (struct want){.cards_milli = 2000, .project = "r"});
	wide = world_submit(w, (struct want){.nodes = 4, .cards_milli = 4000, .project = "r"});
	x = ask(w, first, &advice);
	assert_string_equal(reason_word(x.reason), "resources");
	assert_int_equal(advice.n_ahead, 0);
	assert_int_equal(advice.n_holders, 2);
	assert_int_equal(advice.holders[0].job, large);
	assert_int_equal(advice.holders[0].cards_milli, 12000);
	assert_int_equal(advice.holders[0].at_us, w->now_us + US_HOUR);
	assert_string_equal(core_project_name(w->core, advice.holders[1].project), "p");
	x = ask(w, second, &advice);
	assert_string_equal(reason_word(x.reason), "order");
	assert_int_equal(x.blocker, first);
	says(x.text, "goes to job 3 first");
	assert_int_equal(advice.n_ahead, 1);
	assert_int_equal(advice.ahead[0].job, first);
	assert_int_equal(advice.ahead[0].cards_milli, 4000);
	assert_int_equal(advice.ahead[0].at_us, w->now_us + US_HOUR);
	x = ask(w, wide, &advice);
	assert_string_equal(reason_word(x.reason), "resources");
	assert_int_equal(advice.n_ahead, 2);
	urgent = world_submit(w, (struct want){.cards_milli = 4000, .priority = 900});
	x = ask(w, first, &advice);
	assert_string_equal(reason_word(x.reason), "order");
	assert_int_equal(x.blocker, urgent);
	ask(w, wide, &advice);
	assert_int_equal(advice.n_ahead, 3);
	assert_int_equal(advice.ahead[0].job, urgent);
	assert_int_equal(advice.ahead[2].job, second);
	world_free(w);
}

/* ---- Intervals ---- */

static void test_interval(void **state)
{
	struct world *w = world_with(1);
	uint32_t promised, later, begins, depends;
	struct advice advice;
	struct explanation x;
	us_t low_us, high_us;

	(void)state;
	world_submit(w, (struct want){.nodes = 4, .cards_milli = 4000, .limit_us = US_HOUR});
	promised = world_submit(w, (struct want){.nodes = 4, .cards_milli = 4000, .limit_us = US_HOUR});
	later = world_submit(w, (struct want){.nodes = 2, .cards_milli = 4000, .limit_us = US_HOUR});
	begins = world_submit(w, (struct want){.cards_milli = 1000, .begin_us = w->now_us + US_DAY});
	depends = world_submit(w, (struct want){.cards_milli = 1000, .on = {{promised, AFTER_ANY}}, .n_on = 1});
	x = ask(w, promised, &advice);
	assert_int_equal(x.start_us, w->now_us + US_HOUR);
	assert_true(x.start_low_us >= w->now_us && x.start_low_us <= x.start_high_us && x.start_high_us <= x.start_us);
	x = ask(w, later, &advice);
	assert_true(x.start_low_us >= w->now_us && x.start_high_us > x.start_low_us && x.start_high_us != US_NEVER);
	assert_true(core_said(job_of(w, later), &low_us, &high_us));
	assert_true(low_us <= high_us && high_us > w->now_us);
	x = ask(w, begins, &advice);
	assert_true(x.start_low_us >= w->now_us + US_DAY && x.start_high_us >= x.start_low_us);
	assert_false(core_said(job_of(w, begins), &low_us, &high_us)); /* only once it comes into the queue */
	x = ask(w, depends, &advice);
	assert_int_equal(x.start_low_us, US_NEVER);
	assert_int_equal(x.start_high_us, US_NEVER);
	world_free(w);
}

/* An array counts with all elements that are left: core_check() after each step makes the sums anew. */
static void test_array(void **state)
{
	struct world *w = world_with(1);
	uint32_t array = world_submit(w, (struct want){.cards_milli = 4000, .array = {0, 9, 1}, .parallel_max = 6});

	(void)state;
	world_submit(w, (struct want){.cards_milli = 500});
	for (uint32_t i = 0; i < 4; i++)
		world_run(w, core_element(w->core, array, i)->id);
	w->now_us += 1000 * US_SECOND;
	for (uint32_t i = 0; i < 4; i++)
		world_end(w, core_element(w->core, array, i)->id, 0);
	assert_non_null(core_element(w->core, array, 6));
	world_cancel(w, array);
	world_free(w);
}

/* Sums follow the pool: jobs that run where the pool shrinks, and that wait while it grows. */
static void test_pool_changes(void **state)
{
	struct world *w = world_with(3);
	struct pool_spec fewer = pool_of(&centres[1], 2), all = pool_of(centres, 3);

	(void)state;
	for (int i = 0; i < 8; i++)
		world_submit(w, (struct want){.cards_milli = 4000, .limit_us = (us_t)(i + 1) * US_HOUR, .rerun = true, .restarts = 3});
	world_pool(w, &fewer);
	world_submit(w, (struct want){.cards_milli = 2000});
	world_pool(w, &all);
	world_config(w, config_default());
	for (uint32_t id = 1; id <= 4; id++)
		world_end(w, id, 0);
	world_free(w);
}

/* ---- How often it holds ---- */

/* Jobs of half an hour or so, by six users who differ, on 16 cards that they keep busy; without limits. */
static void make_trace(struct buf *text, uint32_t n)
{
	struct rng rng = {7};
	uint64_t at_s = 0;

	buf_printf(text, "id,user,submit_s,run_s,nodes,cards,kinds\n");
	for (uint32_t i = 0; i < n; i++) {
		uint32_t user = below(&rng, 6), run_s = (user + 1) * (100 + below(&rng, 900)), cards = 1u << below(&rng, 3);

		at_s += below(&rng, 670);
		buf_printf(text, "%u,u%u,%llu,%u,1,%u,a\n", i, user, (unsigned long long)at_s, run_s, cards);
	}
	buf_put_u8(text, 0);
}

static void test_coverage(void **state)
{
	struct pool_spec pool = pool_of(centres, 1);
	struct config_spec config = config_default();
	struct buf text = {0};
	struct trace trace;
	struct sim_result r;
	struct err err;
	double share;

	(void)state;
	config.history_after_us = US_NEVER;
	config.history_jobs_max = UINT32_MAX;
	make_trace(&text, 6000);
	assert_int_equal(trace_parse_csv((char *)text.data, text.len - 1, &trace, &err), 0);
	assert_int_equal(sim_run(&(struct sim_config){.pool = &pool, .config = &config, .trace = &trace}, &r, &err), 0);
	share = (double)r.held / (double)r.intervals;
	print_message("%llu jobs waited, %.2f%% as was said\n", (unsigned long long)r.intervals, 100 * share);
	assert_true(r.intervals > 2000 && r.intervals < 6000);
	assert_true(share > 0.88 && share < 0.92);
	sim_done(&r);
	trace_done(&trace);
	buf_done(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limit),    cmocka_unit_test(test_limit_between), cmocka_unit_test(test_tier),
		cmocka_unit_test(test_nodes),    cmocka_unit_test(test_centre),        cmocka_unit_test(test_kind),
		cmocka_unit_test(test_cards),    cmocka_unit_test(test_share),         cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_quota),    cmocka_unit_test(test_booked),        cmocka_unit_test(test_order),
		cmocka_unit_test(test_interval), cmocka_unit_test(test_array),         cmocka_unit_test(test_pool_changes),
		cmocka_unit_test(test_coverage),
	};

	return cmocka_run_group_tests_name("outlook", tests, NULL, NULL);
}
