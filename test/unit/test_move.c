/* SPDX-License-Identifier: Apache-2.0
 * test_move.c: what becomes of jobs while they are moved: the grace, others that linger, cancels, nodes that fail, a new pool;
 * and who is moved at all. */
#include "core_fixture.h"

/* x: nodes of 4 cards, of kind a; y: of kind b. */
static const struct line_spec a_nodes = {.count = 1, .kind = "a", .cards = 4, .cpus_milli = 8000, .memory_mib = UNCOUNTED},
							  b_nodes = {.count = 1, .kind = "b", .cards = 4, .cpus_milli = 8000, .memory_mib = UNCOUNTED};
static const struct centre_spec xy[] = {
	{.name = "x", .region = "r", .engine = "simulated", .capabilities = CAN_ALL, .lines = &a_nodes, .n_lines = 1},
	{.name = "y", .region = "r", .engine = "simulated", .capabilities = CAN_ALL, .lines = &b_nodes, .n_lines = 1}};

enum { AFTER = 30 * 60, GRACE = 30 }; /* seconds, as is usual */

/* A job of 4 cards of either kind, that may be stopped; speeds in thousandths. */
static uint32_t submit(struct world *w, uint32_t speed_a, uint32_t speed_b, us_t limit_us, uint32_t priority)
{
	const struct request_spec requests[] = {{.kind = "a", .cards_milli = 4000, .speed_milli = speed_a},
	                                        {.kind = "b", .cards_milli = 4000, .speed_milli = speed_b}};
	const struct group_spec group = {.nodes = 1, .requests = requests, .n_requests = 2, .highest = TIER_CENTRE};
	const struct job_spec spec = {.name = "j",
	                              .project = "default",
	                              .user = "u",
	                              .groups = &group,
	                              .n_groups = 1,
	                              .priority = priority,
	                              .limit_us = limit_us,
	                              .max_restarts = 2,
	                              .preemptible_after_us = 0,
	                              .checkpoint_every_us = US_MINUTE};

	if (world_step(w, (struct input){.type = INPUT_SUBMIT, .submit = {&spec, NULL}}) < 0)
		fail_msg("refused: %s: %s", w->err.subject, w->err.text);
	return w->step.job;
}

static struct world *world_with(enum policy policy)
{
	struct pool_spec spec = pool_of(xy, 2);
	struct config_spec config = config_default();

	config.policy = policy;
	return world_of(&spec, config);
}

static void runs(struct world *w, uint32_t job, uint32_t centre)
{
	assert_state(w, job, JOB_STAGE_IN);
	assert_int_equal(job_of(w, job)->plan.tasks[0].centre, centre);
	world_run(w, job);
}

static void leaves(struct world *w, uint32_t job)
{
	world_report(w, job, ATTEMPT_ENDED, CAUSE_SIGNAL, 143);
}

static void assert_moving(struct world *w, uint32_t job, bool moving)
{
	assert_int_equal(job_is_moving(job_of(w, job)), moving);
	assert_int_equal(core_reservation_of(w->core, job) != NULL, moving);
}

/* A job on slow cards, with the fast ones taken by another until now. */
static struct world *world_with_slow(uint32_t *ret_job)
{
	struct world *w = world_with(POLICY_FIFO);
	uint32_t first = world_submit(w, (struct want){.cards_milli = 4000});

	runs(w, first, 0);
	*ret_job = submit(w, 1000, 400, 10 * US_HOUR, 100);
	runs(w, *ret_job, 1);
	world_tick(w, AFTER * US_SECOND);
	assert_true(job_of(w, *ret_job)->movable);
	assert_state(w, *ret_job, JOB_ACTIVE);
	world_end(w, first, 0);
	return w;
}

static void test_moves(void **state)
{
	uint32_t job;
	struct world *w = world_with_slow(&job);

	(void)state;
	assert_int_equal(count_events(w, EVENT_MOVING), 1);
	assert_state(w, job, JOB_CLEANUP);
	assert_cause(w, job, CAUSE_MOVED);
	assert_true(has_effect(w, EFFECT_KILL, job));
	assert_promised(w, job, w->now_us + GRACE * US_SECOND);
	world_tick(w, 5 * US_SECOND);
	leaves(w, job);
	runs(w, job, 0);
	assert_int_equal(job_of(w, job)->attempt, 2);
	assert_int_equal(job_of(w, job)->restarts_left, 2); /* that doesn't count */
	assert_int_equal(core_done_us(job_of(w, job)), 30 * 60 * US_SECOND / 1000 * 400);
	world_tick(w, 2 * AFTER * US_SECOND);
	assert_state(w, job, JOB_ACTIVE); /* it is as fast as can be */
	world_free(w);
}

/* What is kept for it isn't for others meanwhile, and it starts there though it lingers. */
static void test_lingers(void **state)
{
	uint32_t job, other;
	struct world *w = world_with_slow(&job);

	(void)state;
	other = world_submit(w, (struct want){.cards_milli = 4000, .limit_us = US_SECOND});
	assert_state(w, other, JOB_QUEUED);
	world_tick(w, (GRACE + 1) * US_SECOND);
	assert_int_equal(cause_of_reserved(w, EVENT_RESERVED), CAUSE_OVERRUN);
	assert_moving(w, job, true);
	assert_state(w, other, JOB_QUEUED);
	world_tick(w, US_SECOND);
	leaves(w, job);
	runs(w, job, 0);
	world_free(w);
}

static void test_canceled(void **state)
{
	uint32_t job;
	struct world *w = world_with_slow(&job);

	(void)state;
	world_cancel(w, job);
	assert_moving(w, job, false);
	world_report(w, job, ATTEMPT_ENDED, CAUSE_CANCEL, 143);
	assert_state(w, job, JOB_CANCELED);
	world_free(w);
}

/* The node that it is to go to fails, or the pool is another: then it waits like any other, and starts where it can. */
static void test_target_is_gone(void **state)
{
	struct pool_spec pool = pool_of(&xy[1], 1);

	(void)state;
	for (int how = 0; how < 2; how++) {
		uint32_t job;
		struct world *w = world_with_slow(&job);

		if (how)
			world_pool(w, &pool);
		else
			world_step(w, (struct input){.type = INPUT_NODE, .node = {.centre = "x", .range = {0, 0}, .state = NODE_DOWN}});
		assert_moving(w, job, false);
		leaves(w, job);
		assert_state(w, job, JOB_STAGE_IN);
		assert_string_equal(pool_centre_name(core_pool(w->core), job_of(w, job)->plan.tasks[0].centre), "y");
		world_free(w);
	}
}

/* Two that change places, under las: the one that gains little came first. */
static struct world *world_with_two(uint32_t jobs[2])
{
	struct world *w = world_with(POLICY_LAS);

	jobs[0] = submit(w, 1000, 900, US_NEVER, 100);
	runs(w, jobs[0], 0);
	jobs[1] = submit(w, 1000, 300, US_NEVER, 100);
	runs(w, jobs[1], 1);
	world_tick(w, AFTER * US_SECOND);
	assert_int_equal(count_events(w, EVENT_MOVING), 1);
	for (int i = 0; i < 2; i++) {
		assert_state(w, jobs[i], JOB_CLEANUP);
		assert_moving(w, jobs[i], true);
	}
	return w;
}

static void test_swaps(void **state)
{
	(void)state;
	for (uint32_t last = 0; last < 2; last++) { /* either may linger */
		uint32_t jobs[2];
		struct world *w = world_with_two(jobs);
		struct explanation x;

		leaves(w, jobs[1 - last]);
		assert_state(w, jobs[1 - last], JOB_QUEUED);
		assert_moving(w, jobs[1 - last], true);
		assert_int_equal(core_explain(w->core, jobs[1 - last], w->now_us, &x, NULL), 0);
		assert_non_null(strstr(x.text, "moved"));
		world_tick(w, (GRACE + 1) * US_SECOND);
		leaves(w, jobs[last]);
		runs(w, jobs[0], 1);
		runs(w, jobs[1], 0);
		world_free(w);
	}
}

/* One is canceled: the other goes on its way. */
static void test_swap_canceled(void **state)
{
	(void)state;
	for (uint32_t which = 0; which < 2; which++) {
		uint32_t jobs[2];
		struct world *w = world_with_two(jobs);

		world_cancel(w, jobs[which]);
		world_report(w, jobs[which], ATTEMPT_ENDED, CAUSE_CANCEL, 143);
		assert_state(w, jobs[which], JOB_CANCELED);
		leaves(w, jobs[1 - which]);
		assert_state(w, jobs[1 - which], JOB_STAGE_IN);
		assert_moving(w, jobs[1 - which], false);
		world_free(w);
	}
}

/* Whether two jobs change places, as the first has it slower for the second. */
static void test_who_loses(void **state)
{
	static const struct {
		enum policy policy;
		uint32_t first_b, second_b, first_priority, second_priority;
		bool swaps;
	} rows[] = {
		{POLICY_LAS, 900, 300, 100, 100, true},
		{POLICY_LAS, 900, 300, 200, 100, false},
		{POLICY_LAS, 900, 300, 100, 200, true},
		{POLICY_FIFO, 900, 300, 100, 100, false}, /* there nobody is stopped for one of the same priority */
		{POLICY_FIFO, 900, 300, 100, 200, true},
		{POLICY_FIFO, 1000, 300, 100, 100, false}, /* it says the same of both, so nothing is known of it */
		{POLICY_LAS, 900, 850, 100, 100, false},   /* too little */
		{POLICY_LAS, 900, 700, 100, 100, true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct world *w = world_with(rows[i].policy);
		uint32_t first = submit(w, 1000, rows[i].first_b, US_NEVER, rows[i].first_priority), second;

		runs(w, first, 0);
		second = submit(w, 1000, rows[i].second_b, US_NEVER, rows[i].second_priority);
		runs(w, second, 1);
		world_tick(w, AFTER * US_SECOND);
		assert_int_equal(count_events(w, EVENT_MOVING), rows[i].swaps);
		world_free(w);
	}
}

static void test_switched_off(void **state)
{
	struct world *w = world_with(POLICY_LAS);
	struct config_spec config = *core_config(w->core);
	uint32_t jobs[2];

	(void)state;
	config.move_after_us = US_NEVER;
	world_config(w, config);
	jobs[0] = submit(w, 1000, 900, US_NEVER, 100);
	runs(w, jobs[0], 0);
	jobs[1] = submit(w, 1000, 300, US_NEVER, 100);
	runs(w, jobs[1], 1);
	world_tick(w, AFTER * US_SECOND);
	assert_int_equal(w->step.n_events, 0);
	config.move_after_us = AFTER * US_SECOND; /* and on: it is due at once */
	world_config(w, config);
	assert_int_equal(count_events(w, EVENT_MOVING), 1);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moves),          cmocka_unit_test(test_lingers),      cmocka_unit_test(test_canceled),
		cmocka_unit_test(test_target_is_gone), cmocka_unit_test(test_swaps),        cmocka_unit_test(test_swap_canceled),
		cmocka_unit_test(test_who_loses),      cmocka_unit_test(test_switched_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
