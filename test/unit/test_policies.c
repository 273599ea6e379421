/* SPDX-License-Identifier: Apache-2.0
 * test_policies.c: the order that each policy gives, who makes room by it, and what happens when the policy changes. */
#include "core_fixture.h"

/* One node of 4 cards. */
static const struct line_spec one_node = {.count = 1, .kind = "a", .cards = 4, .cpus_milli = 8000, .memory_mib = UNCOUNTED};
static const struct centre_spec x1[] = {
	{.name = "x", .region = "r", .engine = "simulated", .capabilities = CAN_ALL, .lines = &one_node, .n_lines = 1}};

static struct world *world_by(struct config_spec config)
{
	struct pool_spec spec = pool_of(x1, 1);

	return world_of(&spec, config);
}

static struct config_spec config_of(enum policy policy)
{
	struct config_spec config = config_default();

	config.policy = policy;
	return config;
}

/* Ends what runs, one after the other, and tells in which order those that waited start. */
static void assert_order(struct world *w, uint32_t runs, const uint32_t *want, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		world_end(w, runs, 0);
		for (uint32_t k = 0; k < n; k++)
			if (job_is_live(job_of(w, want[k])) != (k == i))
				fail_msg("place %u: job %u is %s", i, want[k], job_state_word(job_of(w, want[k])->state));
		runs = want[i];
	}
}

/* ---- Order ---- */

/* Four jobs that each need the whole node, and so start one by one. */
static void test_order(void **state)
{
	static const struct {
		enum policy policy;
		struct want wants[4];
		uint32_t order[4];
	} rows[] = {
		{POLICY_FIFO,
	     {{.limit_us = US_HOUR}, {.limit_us = US_MINUTE, .priority = 50}, {.limit_us = US_MINUTE}, {.priority = 200}},
	     {3, 0, 2, 1}},
		{POLICY_FAIR,
	     {{.limit_us = US_HOUR}, {.limit_us = US_MINUTE, .priority = 50}, {.limit_us = US_MINUTE}, {.priority = 200}},
	     {3, 0, 2, 1}},
		{POLICY_SHORTEST,
	     {{.limit_us = US_HOUR}, {.limit_us = 2 * US_MINUTE}, {.limit_us = US_MINUTE, .priority = 99}, {.limit_us = US_MINUTE}},
	     {3, 1, 0, 2}},
		{POLICY_SHORTEST, /* of one without a limit nothing is known: an hour */
	     {{.limit_us = 0}, {.limit_us = 30 * US_MINUTE}, {.limit_us = 0}, {.limit_us = 2 * US_HOUR}},
	     {1, 0, 2, 3}},
		{POLICY_LAS, {{.limit_us = US_HOUR}, {.limit_us = US_MINUTE}, {.priority = 200}, {.limit_us = 1}}, {2, 0, 1, 3}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct world *w = world_by(config_of(rows[i].policy));
		uint32_t runs = world_submit(w, (struct want){.cards_milli = 4000}), ids[4], want[4];

		for (int k = 0; k < 4; k++) {
			struct want job = rows[i].wants[k];

			job.cards_milli = 4000;
			ids[k] = world_submit(w, job);
		}
		for (int k = 0; k < 4; k++)
			want[k] = ids[rows[i].order[k]];
		assert_order(w, runs, want, 4);
		world_free(w);
	}
}

/* Remaining time × cards^power: with a power of 1 a gang's work counts whole, with 0 its time alone. */
static void test_cards_power(void **state)
{
	static const struct {
		uint32_t power_milli;
		us_t wide_us; /* the limit of a job of 4 cards beside one of 3 that takes 10 minutes */
		bool wide_first;
	} rows[] = {
		{0, 9 * US_MINUTE, true},    {0, 11 * US_MINUTE, false},
		{1000, 7 * US_MINUTE, true}, {1000, 8 * US_MINUTE, false}, /* 28 against 30; 32 */
		{750, 8 * US_MINUTE, true},                                /* 4^0.75 = 2.83, 3^0.75 = 2.28: 22.6 against 22.8 */
		{750, 9 * US_MINUTE, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct config_spec config = config_of(POLICY_SHORTEST);
		struct world *w;
		uint32_t runs, wide, narrow;

		config.cards_power_milli = rows[i].power_milli;
		w = world_by(config);
		runs = world_submit(w, (struct want){.cards_milli = 4000});
		narrow = world_submit(w, (struct want){.cards_milli = 3000, .limit_us = 10 * US_MINUTE});
		wide = world_submit(w, (struct want){.cards_milli = 4000, .limit_us = rows[i].wide_us});
		world_end(w, runs, 0);
		assert_state(w, wide, rows[i].wide_first ? JOB_STAGE_IN : JOB_QUEUED);
		assert_state(w, narrow, rows[i].wide_first ? JOB_QUEUED : JOB_STAGE_IN);
		world_free(w);
	}
}

/* Of one priority the project with the smaller share goes first, level by level. */
static void test_fair_levels(void **state)
{
	static const struct project_spec projects[] = {
		{.name = "lab", .weight_milli = 1000},
		{.name = "lab-a", .parent = "lab", .weight_milli = 1000},
		{.name = "lab-b", .parent = "lab", .weight_milli = 1000},
		{.name = "shop", .weight_milli = 3000},
	};
	struct pool_spec spec = pool_of(x1, 1);
	struct world *w;
	uint32_t a, b, shop, runs;

	(void)state;
	spec.projects = projects;
	spec.n_projects = COUNT(projects);
	w = world_new(&spec);
	runs = world_submit(w, (struct want){.cards_milli = 4000, .project = "lab-a"});
	world_tick(w, 10 * US_MINUTE);
	world_end(w, runs, 0);
	runs = world_submit(w, (struct want){.cards_milli = 4000, .project = "shop"});
	world_tick(w, 20 * US_MINUTE); /* with three times the weight that is less than lab-a's 10 */
	a = world_submit(w, (struct want){.cards_milli = 4000, .project = "lab-a"});
	b = world_submit(w, (struct want){.cards_milli = 4000, .project = "lab-b"}); /* nothing of its own, but lab's */
	shop = world_submit(w, (struct want){.cards_milli = 4000, .project = "shop"});
	assert_order(w, runs, (uint32_t[]){shop, b, a}, 3);
	world_free(w);
}

/* ---- Who makes room ---- */

static const struct want yields = {.cards_milli = 4000, .preemptible = true, .limit_us = US_HOUR};

static void test_shortest_preempts(void **state)
{
	static const struct {
		us_t ran_us, limit_us; /* of the one that runs; of the one that comes */
		bool goes;
	} rows[] = {
		{0, US_HOUR, false},
		{US_SECOND, US_HOUR, false}, /* an hour less a second is left */
		{10 * US_MINUTE, 49 * US_MINUTE, true},
		{10 * US_MINUTE, 51 * US_MINUTE, false},
		{59 * US_MINUTE, 30 * US_SECOND, true},
	};

	(void)state;
	for (int policy = POLICY_FAIR; policy <= POLICY_SHORTEST; policy++)
		for (size_t i = 0; i < COUNT(rows); i++) {
			struct world *w = world_by(config_of((enum policy)policy));
			uint32_t runs = world_submit(w, yields);

			world_run(w, runs);
			world_tick(w, rows[i].ran_us);
			world_submit(w, (struct want){.cards_milli = 4000, .limit_us = rows[i].limit_us});
			assert_state(w, runs, rows[i].goes && policy == POLICY_SHORTEST ? JOB_CLEANUP : JOB_ACTIVE);
			world_free(w);
		}
}

/* What was done up to the last checkpoint needn't be done again: that much less remains. */
static void test_shortest_remaining(void **state)
{
	struct world *w = world_by(config_of(POLICY_SHORTEST));
	struct want want = yields;
	uint32_t first, urgent, second;

	(void)state;
	want.checkpoint_every_us = 10 * US_MINUTE;
	first = world_submit(w, want);
	world_run(w, first);
	world_tick(w, 45 * US_MINUTE);
	urgent = world_submit(w, (struct want){.cards_milli = 4000, .limit_us = US_MINUTE});
	world_report(w, first, ATTEMPT_ENDED, CAUSE_SIGNAL, 143); /* 40 of its 60 are done */
	second = world_submit(w, (struct want){.cards_milli = 4000, .limit_us = 21 * US_MINUTE});
	assert_int_equal(core_done_us(job_of(w, first)), 40 * US_MINUTE);
	world_end(w, urgent, 0);
	assert_state(w, first, JOB_STAGE_IN);
	assert_state(w, second, JOB_QUEUED);
	world_free(w);
}

/* A job of a project that takes the whole node for so long. */
static void run_for(struct world *w, const char *project, us_t run_us)
{
	uint32_t job = world_submit(w, (struct want){.cards_milli = 4000, .project = project});

	world_run(w, job);
	world_tick(w, run_us);
	world_end(w, job, 0);
}

/* Without limits the order is by what jobs like these ran before, and nobody is stopped for that. */
static void test_shortest_learned(void **state)
{
	struct world *w = world_by(config_of(POLICY_SHORTEST));
	uint32_t runs, slow, quick, limited;

	(void)state;
	for (int i = 0; i < 8; i++) {
		run_for(w, "slow", 20 * US_MINUTE);
		run_for(w, "quick", 10 * US_SECOND);
	}
	runs = world_submit(w, (struct want){.cards_milli = 4000, .project = "slow", .preemptible = true});
	world_run(w, runs);
	slow = world_submit(w, (struct want){.cards_milli = 4000, .project = "slow"});
	quick = world_submit(w, (struct want){.cards_milli = 4000, .project = "quick"});
	limited = world_submit(w, (struct want){.cards_milli = 4000, .project = "quick", .priority = 50, .limit_us = US_HOUR});
	assert_state(w, runs, JOB_ACTIVE);
	assert_order(w, runs, (uint32_t[]){quick, slow, limited}, 3);
	world_free(w);
}

/* One without a limit makes room for one that has one, however long. */
static void test_shortest_unbounded_yields(void **state)
{
	struct world *w = world_by(config_of(POLICY_SHORTEST));
	uint32_t runs;

	(void)state;
	run_for(w, "quick", 10 * US_SECOND);
	runs = world_submit(w, (struct want){.cards_milli = 4000, .project = "quick", .preemptible = true});
	world_run(w, runs);
	world_submit(w, (struct want){.cards_milli = 4000, .limit_us = 20 * US_HOUR});
	assert_state(w, runs, JOB_CLEANUP);
	world_free(w);
}

/* ---- Levels ---- */

static struct config_spec las_config(void)
{
	struct config_spec config = config_of(POLICY_LAS);

	config.las_levels_us[0] = US_MINUTE; /* of one card */
	config.las_levels_us[1] = 10 * US_MINUTE;
	config.n_las_levels = 2;
	return config;
}

static void test_las_levels(void **state)
{
	struct world *w = world_by(las_config());
	uint32_t old, fresh, next;

	(void)state;
	old = world_submit(w, yields);
	world_run(w, old);
	assert_int_equal(core_wake(w->core), w->now_us + 15 * US_SECOND); /* times 4 cards */
	world_tick(w, 10 * US_SECOND);
	fresh = world_submit(w, (struct want){.cards_milli = 4000, .preemptible = true});
	assert_state(w, old, JOB_ACTIVE); /* of one level: by arrival */
	world_tick(w, 5 * US_SECOND - 1);
	assert_int_equal(w->step.n_events, 0);
	world_tick(w, 1);
	assert_int_equal(count_events(w, EVENT_AGED), 1);
	assert_int_equal(job_of(w, old)->level, 1);
	assert_state(w, old, JOB_CLEANUP);
	world_report(w, old, ATTEMPT_ENDED, CAUSE_SIGNAL, 143);
	assert_state(w, fresh, JOB_STAGE_IN);
	assert_int_equal(job_of(w, old)->level, 1); /* its service stays */
	next = world_submit(w, (struct want){.cards_milli = 4000});
	world_end(w, fresh, 0);
	assert_state(w, next, JOB_STAGE_IN); /* of level 0, before the older of level 1 */
	world_end(w, next, 0);
	assert_state(w, old, JOB_STAGE_IN);
	world_run(w, old);
	assert_int_equal(core_wake(w->core), w->now_us + 135 * US_SECOND); /* 10 minutes of a card, less the one that it had */
	world_tick(w, 135 * US_SECOND);
	assert_int_equal(job_of(w, old)->level, 2);
	assert_int_equal(core_wake(w->core), w->now_us + US_DAY - 145 * US_SECOND + 10 * US_SECOND); /* the first to be forgotten */
	world_free(w);
}

/* Nobody needs to yield to an equal, and levels mean nothing to what can't be preempted. */
static void test_las_not_preemptible(void **state)
{
	struct world *w = world_by(las_config());
	uint32_t old = world_submit(w, (struct want){.cards_milli = 4000}), fresh;

	(void)state;
	world_run(w, old);
	world_tick(w, US_HOUR);
	assert_int_equal(job_of(w, old)->level, 2);
	fresh = world_submit(w, (struct want){.cards_milli = 4000});
	assert_state(w, old, JOB_ACTIVE);
	assert_state(w, fresh, JOB_QUEUED);
	world_free(w);
}

/* ---- The policy changes ---- */

/* Jobs wait and run under one policy after the other: promises go and come, and everybody is still served. */
static void test_policy_changes(void **state)
{
	static const enum policy then[] = {POLICY_LAS, POLICY_FIFO, POLICY_SHORTEST, POLICY_FAIR, POLICY_SHORTEST, POLICY_LAS};
	struct world *w = world_by(config_of(POLICY_FAIR));
	uint32_t runs, ids[6];

	(void)state;
	runs = world_submit(w, (struct want){.cards_milli = 3000, .limit_us = US_HOUR, .project = "p"});
	world_run(w, runs);
	for (uint32_t i = 0; i < COUNT(ids); i++)
		ids[i] = world_submit(w, (struct want){.cards_milli = 2000 + 1000 * (i % 3),
		                                       .limit_us = (7 - i) * US_MINUTE,
		                                       .preemptible = i % 2,
		                                       .project = i % 2 ? "p" : "q"});
	assert_int_equal(core_reservations(w->core), 1);
	for (size_t i = 0; i < COUNT(then); i++) {
		struct config_spec config = config_of(then[i]);
		bool promises = then[i] == POLICY_FAIR || then[i] == POLICY_FIFO;

		config.reservations = 2;
		config.las_levels_us[0] = US_MINUTE + (us_t)i;
		world_tick(w, US_MINUTE);
		assert_int_equal(world_config(w, config), 0);
		assert_int_equal(core_reservations(w->core), promises ? 2 : 0);
		assert_state(w, runs, JOB_ACTIVE);
	}
	for (uint32_t left = COUNT(ids) + 1; left > 0; left--) {
		const struct job *job = core_live_after(w->core, 0);

		assert_non_null(job);
		world_end(w, job->id, 0);
	}
	for (uint32_t i = 0; i < COUNT(ids); i++)
		assert_state(w, ids[i], JOB_COMPLETED);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_cards_power),
		cmocka_unit_test(test_fair_levels),
		cmocka_unit_test(test_shortest_preempts),
		cmocka_unit_test(test_shortest_remaining),
		cmocka_unit_test(test_shortest_learned),
		cmocka_unit_test(test_shortest_unbounded_yields),
		cmocka_unit_test(test_las_levels),
		cmocka_unit_test(test_las_not_preemptible),
		cmocka_unit_test(test_policy_changes),
	};

	return cmocka_run_group_tests_name("policies", tests, NULL, NULL);
}
