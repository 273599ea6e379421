/* SPDX-License-Identifier: Apache-2.0
 * test_preempt.c: who makes room for whom, what is kept for the winner meanwhile, and what becomes of those that left; and the
 * same for cards that a project borrowed. */
#include "core_fixture.h"

/* x: nodes of 4 cards. */
static const struct line_spec two_nodes = {.count = 2, .kind = "a", .cards = 4, .cpus_milli = 8000, .memory_mib = UNCOUNTED},
							  three_nodes = {.count = 3, .kind = "a", .cards = 4, .cpus_milli = 8000, .memory_mib = UNCOUNTED};
static const struct centre_spec x2[] = {
	{.name = "x", .region = "r", .engine = "simulated", .capabilities = CAN_ALL, .lines = &two_nodes, .n_lines = 1}};
static const struct centre_spec x3[] = {
	{.name = "x", .region = "r", .engine = "simulated", .capabilities = CAN_ALL, .lines = &three_nodes, .n_lines = 1}};

static struct world *world_on(const struct centre_spec *centre)
{
	struct pool_spec spec = pool_of(centre, 1);

	return world_new(&spec);
}

/* Submits a job, once it was told that so many would be stopped for it. */
static uint32_t submit_told(struct world *w, struct want want, us_t start_us, uint32_t n_stopped)
{
	struct want_spec s;
	struct arena arena = {0};
	struct plan plan;
	uint32_t stopped;

	assert_int_equal(core_dry_run(w->core, want_spec(&want, &s), w->now_us, &arena, &plan, &stopped, NULL), 0);
	assert_int_equal(plan.start_us, start_us);
	assert_int_equal(stopped, n_stopped);
	arena_done(&arena);
	return world_submit(w, want);
}

/* Submits a job that starts at once, and runs. */
static uint32_t runs(struct world *w, struct want want)
{
	uint32_t id = world_submit(w, want);

	assert_state(w, id, JOB_STAGE_IN);
	world_run(w, id);
	return id;
}

static const struct want yields = {.cards_milli = 4000, .preemptible = true, .limit_us = 10 * US_HOUR},
						 urgent = {.cards_milli = 4000, .priority = 500, .limit_us = US_HOUR};

/* Who the latest step stops, in order; ends with 0. */
static void assert_stopped(const struct world *w, enum cause cause, const uint32_t *want)
{
	struct arena arena = {0};
	struct event e;
	uint32_t n = 0;

	for (; find_event(w, EVENT_STOPPING, n, &arena, &e); n++) {
		assert_int_equal(e.stopping.job, want[n]);
		assert_string_equal(cause_word(e.stopping.cause), cause_word(cause));
		assert_true(has_effect(w, EFFECT_KILL, want[n]));
		assert_state(w, want[n], JOB_CLEANUP);
	}
	assert_int_equal(want[n], 0);
	arena_done(&arena);
}

#define STOPPED(...) \
	(const uint32_t[]) \
	{ \
		__VA_ARGS__, 0 \
	}

static void leaves(struct world *w, uint32_t job)
{
	world_report(w, job, ATTEMPT_ENDED, CAUSE_SIGNAL, 143);
}

/* ---- Priority ---- */

static void test_makes_room(void **state)
{
	struct world *w = world_on(x2);
	struct want want = yields;
	uint32_t first, second, winner;

	(void)state;
	want.restarts = 2;
	first = runs(w, want);
	second = runs(w, want);
	winner = world_submit(w, urgent);
	assert_stopped(w, CAUSE_PREEMPTED, STOPPED(second)); /* which came last */
	assert_int_equal(cause_of_reserved(w, EVENT_RESERVED), CAUSE_PREEMPTED);
	assert_promised(w, winner, w->now_us + 30 * US_SECOND); /* the grace */
	world_tick(w, 5 * US_SECOND);
	leaves(w, second);
	assert_true(is_on(w, winner, 1));
	assert_state(w, second, JOB_QUEUED);
	assert_cause(w, second, CAUSE_PREEMPTED);
	assert_int_equal(job_of(w, second)->restarts_left, 2); /* that doesn't count */
	assert_promised(w, second, w->now_us + US_HOUR);
	assert_state(w, first, JOB_ACTIVE);
	world_run(w, winner);
	world_end(w, winner, 0);
	assert_state(w, second, JOB_STAGE_IN);
	assert_int_equal(job_of(w, second)->attempt, 2);
	world_free(w);
}

/* A dry run says who would be stopped: until when at the latest, and how many. Not for one behind another of its class. */
static void test_told(void **state)
{
	struct world *w = world_on(x2);
	us_t grace_us = core_config(w->core)->kill_grace_us;
	uint32_t victim, first;

	(void)state;
	runs(w, (struct want){.cards_milli = 4000});
	victim = runs(w, yields);
	first = submit_told(w, urgent, w->now_us + grace_us, 1);
	assert_stopped(w, CAUSE_PREEMPTED, STOPPED(victim));
	assert_promised(w, first, w->now_us + grace_us);
	submit_told(w, urgent, US_NEVER, 0);
	world_free(w);
}

/* One that stands before all takes what was promised to others, where it starts as soon on that: nobody is stopped for it. */
static void test_not_where_promises_go(void **state)
{
	struct world *w = world_on(x2);
	us_t soon_us = w->now_us + 20 * US_SECOND;
	uint32_t second, first;

	(void)state;
	runs(w, yields);
	runs(w, (struct want){.cards_milli = 4000, .limit_us = 20 * US_SECOND});
	second = world_submit(w, (struct want){.cards_milli = 4000});
	assert_promised(w, second, soon_us);
	first = submit_told(w, (struct want){.cards_milli = 4000, .priority = 500}, soon_us, 0);
	assert_int_equal(count_events(w, EVENT_STOPPING), 0);
	assert_promised(w, first, soon_us);
	world_free(w);
}

static void test_who_may_be_preempted(void **state)
{
	static const struct {
		struct want victim;
		uint32_t priority;
		bool goes;
	} rows[] = {
		{{.cards_milli = 3000, .preemptible = true}, 500, true},
		{{.cards_milli = 3000, .preemptible = true}, 101, true},
		{{.cards_milli = 3000, .preemptible = true}, 100, false}, /* its equal */
		{{.cards_milli = 3000, .preemptible = true, .priority = 600}, 500, false},
		{{.cards_milli = 3000}, 500, false},                                                             /* says nothing */
		{{.cards_milli = 3000, .preemptible = true, .preemptible_after_us = US_MINUTE + 1}, 500, false}, /* too soon */
		{{.cards_milli = 3000, .preemptible = true, .preemptible_after_us = US_MINUTE}, 500, true},
		{{.cards_milli = 3000, .preemptible = true, .limit_us = US_MINUTE + 30 * US_SECOND}, 500, false}, /* it ends as soon */
		{{.cards_milli = 3000, .preemptible = true, .limit_us = US_MINUTE + 30 * US_SECOND + 1}, 500, true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct world *w = world_on(x2);
		uint32_t winner;

		runs(w, (struct want){.cards_milli = 4000});
		runs(w, rows[i].victim);
		world_tick(w, US_MINUTE);
		winner = world_submit(w, (struct want){.cards_milli = 4000, .priority = rows[i].priority, .limit_us = US_HOUR});
		if ((count_events(w, EVENT_STOPPING) > 0) != rows[i].goes)
			fail_msg("row %zu", i);
		assert_state(w, winner, JOB_QUEUED);
		if (rows[i].goes)
			assert_stopped(w, CAUSE_PREEMPTED, STOPPED(2));
		world_free(w);
	}
}

/* A job that can't be preempted yet is once it has run long enough; nobody has to ask again. */
static void test_preemptible_later(void **state)
{
	struct world *w = world_on(x2);
	uint32_t victim;

	(void)state;
	runs(w, (struct want){.cards_milli = 4000});
	victim = runs(w, (struct want){.cards_milli = 1000, .preemptible = true, .preemptible_after_us = US_MINUTE});
	world_submit(w, urgent);
	assert_state(w, victim, JOB_ACTIVE);
	assert_int_equal(core_wake(w->core), w->now_us + US_MINUTE);
	world_tick(w, US_MINUTE - 1);
	assert_int_equal(w->step.n_events, 0);
	world_tick(w, 1);
	assert_int_equal(count_events(w, EVENT_AGED), 1);
	assert_stopped(w, CAUSE_PREEMPTED, STOPPED(victim));
	world_free(w);
}

/* ---- Which ones ---- */

/* A gang takes as many as it needs and no more; who wouldn't help is spared, though it would go first. */
static void test_gang_spares(void **state)
{
	struct world *w = world_on(x3);
	uint32_t small, victims[2], winner;

	(void)state;
	runs(w, (struct want){.cards_milli = 3000});
	small = runs(w, (struct want){.cards_milli = 1000, .preemptible = true, .priority = 1}); /* on the same node */
	assert_true(is_on(w, small, 0));
	victims[0] = runs(w, yields);
	victims[1] = runs(w, yields);
	winner = world_submit(w, (struct want){.nodes = 2, .cards_milli = 3000, .priority = 500, .limit_us = US_HOUR});
	assert_stopped(w, CAUSE_PREEMPTED, STOPPED(victims[1], victims[0]));
	leaves(w, victims[0]);
	assert_state(w, winner, JOB_QUEUED); /* all or nothing */
	leaves(w, victims[1]);
	assert_true(is_on(w, winner, 1) && is_on(w, winner, 2));
	assert_state(w, small, JOB_ACTIVE);
	world_free(w);
}

/* Where all of them together wouldn't do nobody leaves. */
static void test_not_in_vain(void **state)
{
	struct world *w = world_on(x2);

	(void)state;
	runs(w, (struct want){.cards_milli = 1000});
	runs(w, (struct want){.cards_milli = 3000, .preemptible = true});
	runs(w, yields);
	world_submit(w, (struct want){.nodes = 2, .cards_milli = 4000, .priority = 500, .limit_us = US_HOUR});
	assert_int_equal(count_events(w, EVENT_STOPPING), 0);
	world_free(w);
}

/* The least work lost since its last checkpoint; who states none counts as losing nothing: hiding them doesn't pay. */
static void test_least_work_lost(void **state)
{
	static const struct {
		us_t every_us[2]; /* of two jobs that have run for 11 minutes */
		uint32_t victim;
	} rows[] = {
		{{10 * US_MINUTE, 6 * US_MINUTE}, 0}, /* 1 against 5 */
		{{6 * US_MINUTE, 10 * US_MINUTE}, 1},
		{{0, 10 * US_MINUTE}, 0}, /* it hides them */
		{{10 * US_MINUTE, 0}, 1},
		{{10 * US_MINUTE, 10 * US_MINUTE}, 1}, /* equals: the last to come */
		{{0, 0}, 1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct world *w = world_on(x2);
		uint32_t ids[2];

		for (int k = 0; k < 2; k++) {
			struct want want = yields;

			want.checkpoint_every_us = rows[i].every_us[k];
			ids[k] = runs(w, want);
		}
		world_tick(w, 11 * US_MINUTE);
		world_submit(w, urgent);
		assert_stopped(w, CAUSE_PREEMPTED, STOPPED(ids[rows[i].victim]));
		leaves(w, ids[rows[i].victim]);
		assert_int_equal(core_done_us(job_of(w, ids[rows[i].victim])),
		                 rows[i].every_us[rows[i].victim] ? 11 * US_MINUTE - 11 * US_MINUTE % rows[i].every_us[rows[i].victim]
		                                                  : 0);
		assert_int_equal(core_attained_us(w->core, job_of(w, ids[rows[i].victim]), w->now_us), 4 * 11 * US_MINUTE);
		world_free(w);
	}
}

static void test_lowest_priority_first(void **state)
{
	struct world *w = world_on(x2);
	struct want low = yields;
	uint32_t victim;

	(void)state;
	low.priority = 50;
	victim = runs(w, low);
	runs(w, yields);
	world_submit(w, urgent);
	assert_stopped(w, CAUSE_PREEMPTED, STOPPED(victim));
	world_free(w);
}

/* ---- Meanwhile ---- */

/* Two leave, one after the other: what the first gave up is kept, from the shortest job too. */
static void test_nobody_takes_the_room(void **state)
{
	struct world *w = world_on(x2);
	struct want half = {.cards_milli = 2000, .preemptible = true};
	uint32_t ids[2], winner, small;

	(void)state;
	runs(w, (struct want){.cards_milli = 4000});
	for (int i = 0; i < 2; i++)
		ids[i] = runs(w, half);
	winner = world_submit(w, urgent);
	assert_stopped(w, CAUSE_PREEMPTED, STOPPED(ids[1], ids[0]));
	leaves(w, ids[0]);
	small = world_submit(w, (struct want){.cards_milli = 500, .limit_us = US_SECOND});
	assert_state(w, small, JOB_QUEUED);
	assert_state(w, ids[0], JOB_QUEUED);
	assert_reason(w, small, REASON_RESERVED);
	leaves(w, ids[1]);
	assert_state(w, winner, JOB_STAGE_IN);
	world_free(w);
}

/* They take longer than their grace: the promise is put off, and says why. */
static void test_longer_than_grace(void **state)
{
	struct world *w = world_on(x2);
	uint32_t victim, winner;

	(void)state;
	runs(w, (struct want){.cards_milli = 4000});
	victim = runs(w, yields);
	winner = world_submit(w, urgent);
	assert_int_equal(core_wake(w->core), w->now_us + 30 * US_SECOND + 1);
	world_tick(w, 30 * US_SECOND);
	assert_int_equal(w->step.n_events, 0);
	world_tick(w, 1);
	assert_int_equal(cause_of_reserved(w, EVENT_RESERVED), CAUSE_OVERRUN);
	assert_promised(w, winner, w->now_us + 30 * US_SECOND);
	leaves(w, victim);
	assert_state(w, winner, JOB_STAGE_IN);
	world_free(w);
}

/* The winner is canceled: who was told to leave has left, and runs again. */
static void test_winner_canceled(void **state)
{
	struct world *w = world_on(x2);
	uint32_t victim, winner;

	(void)state;
	runs(w, (struct want){.cards_milli = 4000});
	victim = runs(w, yields);
	winner = world_submit(w, urgent);
	world_cancel(w, winner);
	assert_state(w, winner, JOB_CANCELED);
	assert_reserved(w, 0, 0);
	assert_state(w, victim, JOB_CLEANUP);
	leaves(w, victim);
	assert_state(w, victim, JOB_STAGE_IN);
	assert_int_equal(job_of(w, victim)->attempt, 2);
	world_free(w);
}

/* However a victim ends it isn't done; but when somebody cancels it, that counts. */
static void test_how_they_end(void **state)
{
	static const struct {
		bool canceled;
		enum attempt_state state;
		enum cause cause;
		int32_t exit_code;
		enum job_state want;
	} rows[] = {
		{false, ATTEMPT_ENDED, CAUSE_SIGNAL, 143, JOB_QUEUED},  {false, ATTEMPT_ENDED, CAUSE_EXIT, 0, JOB_QUEUED},
		{false, ATTEMPT_ENDED, CAUSE_EXIT, 1, JOB_QUEUED},      {false, ATTEMPT_LOST, 0, 0, JOB_QUEUED},
		{true, ATTEMPT_ENDED, CAUSE_SIGNAL, 143, JOB_CANCELED}, {true, ATTEMPT_LOST, 0, 0, JOB_CANCELED},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct world *w = world_on(x2);
		uint32_t victim, winner;

		runs(w, (struct want){.cards_milli = 4000});
		victim = runs(w, yields);
		winner = world_submit(w, urgent);
		if (rows[i].canceled) {
			world_cancel(w, victim);
			assert_cause(w, victim, CAUSE_CANCEL);
			assert_string_equal(job_of(w, victim)->extra->stopped_by, "alice");
		}
		world_report(w, victim, rows[i].state, rows[i].cause, rows[i].exit_code);
		assert_state(w, victim, rows[i].want);
		assert_state(w, winner, JOB_STAGE_IN);
		world_free(w);
	}
}

/* ---- Reclaiming ---- */

struct shares {
	struct quota_spec quotas[3];
	struct project_spec projects[3];
	struct pool_spec spec;
};

/* Projects p, q, r of one cohort, on three nodes of 4 cards. */
static struct world *world_of_cohort(struct shares *s, const struct quota_spec quotas[3])
{
	static const char *const names[] = {"p", "q", "r"};

	for (int i = 0; i < 3; i++) {
		s->quotas[i] = quotas[i];
		s->quotas[i].kind = "a";
		s->projects[i] = (struct project_spec){
			.name = names[i], .cohort = "all", .weight_milli = 1000, .quotas = &s->quotas[i], .n_quotas = 1};
	}
	s->spec = pool_of(x3, 1);
	s->spec.projects = s->projects;
	s->spec.n_projects = 3;
	return world_new(&s->spec);
}

#define ALL AMOUNT_NONE
static const struct quota_spec fours[3] = {{NULL, 4000, ALL, ALL}, {NULL, 4000, ALL, ALL}, {NULL, 4000, ALL, ALL}};

static uint32_t runs_for(struct world *w, const char *project, uint32_t cards)
{
	return runs(w, (struct want){.cards_milli = cards * 1000, .project = project, .limit_us = 10 * US_HOUR});
}

/* What q borrowed is given back to p, whatever q's jobs say, while p stays within its own. */
static void test_reclaims(void **state)
{
	struct shares s;
	struct world *w = world_of_cohort(&s, fours);
	uint32_t theirs[6], mine, more;

	(void)state;
	for (int i = 0; i < 6; i++)
		theirs[i] = runs_for(w, "q", 2); /* all there is */
	mine = world_submit(w, (struct want){.cards_milli = 2000, .project = "p", .limit_us = US_HOUR});
	assert_int_equal(cause_of_reserved(w, EVENT_RESERVED), CAUSE_RECLAIMED);
	assert_stopped(w, CAUSE_RECLAIMED, STOPPED(theirs[5]));
	leaves(w, theirs[5]);
	assert_state(w, mine, JOB_STAGE_IN);
	assert_state(w, theirs[5], JOB_QUEUED);
	assert_reason(w, theirs[5], REASON_RESOURCES);
	more = world_submit(w, (struct want){.cards_milli = 3000, .project = "p", .limit_us = US_HOUR});
	assert_int_equal(count_events(w, EVENT_STOPPING), 0); /* it would hold 5 of its 4 */
	world_end(w, theirs[0], 0);
	assert_state(w, theirs[5], JOB_STAGE_IN);
	assert_state(w, more, JOB_QUEUED);
	world_free(w);
}

/* The project that is most over its share gives first, and each only what it borrowed. */
static void test_most_over_share_first(void **state)
{
	struct shares s;
	struct world *w = world_of_cohort(&s, fours);
	uint32_t q, r;

	(void)state;
	runs_for(w, "q", 4);
	runs_for(w, "r", 4);
	q = runs_for(w, "q", 1);
	r = runs_for(w, "r", 3);
	world_submit(w, (struct want){.cards_milli = 1000, .project = "p", .limit_us = US_HOUR});
	assert_stopped(w, CAUSE_RECLAIMED, STOPPED(r));
	assert_state(w, q, JOB_ACTIVE);
	world_free(w);
}

/* Lending and borrowing limits: what isn't lent can't be borrowed, and so needs no reclaiming. */
static void test_limits(void **state)
{
	static const struct {
		struct quota_spec quotas[3];
		uint32_t cards; /* that q can hold at once, of 12 */
	} rows[] = {
		{{{NULL, 4000, ALL, ALL}, {NULL, 4000, ALL, ALL}, {NULL, 4000, ALL, ALL}}, 12},
		{{{NULL, 4000, ALL, 0}, {NULL, 4000, ALL, ALL}, {NULL, 4000, ALL, ALL}}, 8},
		{{{NULL, 4000, ALL, 1000}, {NULL, 4000, ALL, ALL}, {NULL, 4000, ALL, 2000}}, 7},
		{{{NULL, 4000, ALL, ALL}, {NULL, 4000, 1000, ALL}, {NULL, 4000, ALL, ALL}}, 5},
		{{{NULL, 4000, ALL, ALL}, {NULL, 4000, 0, ALL}, {NULL, 4000, ALL, ALL}}, 4},
		{{{NULL, 1000, ALL, ALL}, {NULL, 0, ALL, ALL}, {NULL, 2000, ALL, ALL}}, 3},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct shares s;
		struct world *w = world_of_cohort(&s, rows[i].quotas);
		uint32_t live = 0, mine;

		for (int k = 0; k < 12; k++) {
			uint32_t id = world_submit(w, (struct want){.cards_milli = 1000, .project = "q", .limit_us = US_HOUR});

			live += job_is_live(job_of(w, id));
			if (job_is_live(job_of(w, id)))
				world_run(w, id);
			else
				assert_reason(w, id, REASON_QUOTA);
		}
		assert_int_equal(live, rows[i].cards);
		mine = world_submit(w, (struct want){.cards_milli = 1000, .project = "p", .limit_us = US_HOUR});
		assert_int_equal(count_events(w, EVENT_STOPPING), i == 0 || i == 5); /* elsewhere there is room */
		assert_state(w, mine, i == 0 || i == 5 ? JOB_QUEUED : JOB_STAGE_IN);
		world_free(w);
	}
}

/* A project outside the cohort gives nothing back, nor one that holds no more than its own. */
static void test_not_from_others(void **state)
{
	struct shares s;
	struct world *w = world_of_cohort(&s, fours);

	(void)state;
	s.projects[1].cohort = "other";
	assert_int_equal(world_pool(w, &s.spec), 0);
	runs_for(w, "q", 4);
	for (int i = 0; i < 8; i++)
		runs_for(w, "r", 1); /* four are p's */
	world_submit(w, (struct want){.cards_milli = 4000, .project = "p", .limit_us = US_HOUR});
	assert_int_equal(count_events(w, EVENT_STOPPING), 4);
	for (uint32_t id = 1; id <= 5; id++)
		assert_state(w, id, JOB_ACTIVE); /* q's, and the first four of r */
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_makes_room),
		cmocka_unit_test(test_told),
		cmocka_unit_test(test_not_where_promises_go),
		cmocka_unit_test(test_who_may_be_preempted),
		cmocka_unit_test(test_preemptible_later),
		cmocka_unit_test(test_gang_spares),
		cmocka_unit_test(test_not_in_vain),
		cmocka_unit_test(test_least_work_lost),
		cmocka_unit_test(test_lowest_priority_first),
		cmocka_unit_test(test_nobody_takes_the_room),
		cmocka_unit_test(test_longer_than_grace),
		cmocka_unit_test(test_winner_canceled),
		cmocka_unit_test(test_how_they_end),
		cmocka_unit_test(test_reclaims),
		cmocka_unit_test(test_most_over_share_first),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_not_from_others),
	};

	return cmocka_run_group_tests_name("preempt", tests, NULL, NULL);
}
