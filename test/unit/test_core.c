/* SPDX-License-Identifier: Apache-2.0
 * test_core.c: what core_step does with each input in each state; a follower and a loaded copy agree after every step.
 *
 * Ends with random days in small pools; `SUAN_TEST_SEED=N` runs one seed alone. */
#include "core_fixture.h"
#include "foretold.h"

/* ---- Pools ---- */

/* x: 4 nodes of 4 cards a, in racks of 2. y: 2 nodes of 2 cards b, whose engine doesn't end jobs at their limit. */
static const struct line_spec
	line_a = {.count = 4, .kind = "a", .cards = 4, .cpus_milli = 16000, .memory_mib = 1000, .nodes_per_rack = 2},
	line_b = {.count = 2, .kind = "b", .cards = 2, .cpus_milli = UNCOUNTED, .memory_mib = UNCOUNTED},
	line_a3 = {.count = 3, .kind = "a", .cards = 4, .cpus_milli = 16000, .memory_mib = 1000, .nodes_per_rack = 2};
static const struct centre_spec x_and_y[] = {
	{.name = "x", .region = "r", .engine = "simulated", .capabilities = CAN_ALL, .lines = &line_a, .n_lines = 1},
	{.name = "y",
     .region = "r",
     .engine = "simulated",
     .capabilities = CAN_BARE | CAN_EXACT_CARDS,
     .lines = &line_b,
     .n_lines = 1}};

static struct world *usual_world(void)
{
	struct pool_spec spec = pool_of(x_and_y, 2);

	return world_new(&spec);
}

static const struct want whole_x = {.nodes = 4, .cards_milli = 4000};

/* ---- The table of states ---- */

static void test_states(void **state)
{
	static const struct {
		enum job_state from;
		enum job_state to[8]; /* then JOB_NEW */
	} rows[JOB_STATE_COUNT] = {
		{JOB_NEW, {JOB_QUEUED}},
		{JOB_QUEUED, {JOB_STAGE_IN, JOB_ACTIVE, JOB_CLEANUP, JOB_COMPLETED, JOB_FAILED, JOB_CANCELED}},
		{JOB_STAGE_IN, {JOB_QUEUED, JOB_ACTIVE, JOB_CLEANUP, JOB_COMPLETED, JOB_FAILED, JOB_CANCELED}},
		{JOB_ACTIVE, {JOB_QUEUED, JOB_STAGE_OUT, JOB_CLEANUP, JOB_COMPLETED, JOB_FAILED, JOB_CANCELED}},
		{JOB_STAGE_OUT, {JOB_CLEANUP, JOB_COMPLETED, JOB_FAILED, JOB_CANCELED}},
		{JOB_CLEANUP, {JOB_QUEUED, JOB_COMPLETED, JOB_FAILED, JOB_CANCELED}},
		{JOB_COMPLETED, {JOB_NEW}}, /* over: nothing follows */
		{JOB_FAILED, {JOB_NEW}},
		{JOB_CANCELED, {JOB_NEW}},
		{JOB_UNKNOWN, {JOB_NEW}}, /* only shown, never held */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct job job = {.state = rows[i].from};

		assert_int_equal(rows[i].from, i);
		for (int to = 0; to < JOB_STATE_COUNT; to++) {
			bool may = false;

			for (int k = 0; k < 8 && rows[i].to[k] != JOB_NEW; k++)
				may |= (int)rows[i].to[k] == to;
			assert_int_equal(job_may_become(rows[i].from, (enum job_state)to), may);
		}
		assert_int_equal(job_is_over(&job), i == JOB_COMPLETED || i == JOB_FAILED || i == JOB_CANCELED);
	}
}

/* An attempt never goes back; what is over is followed by another attempt alone. */
static void test_attempt_states(void **state)
{
	(void)state;
	for (int from = 0; from < ATTEMPT_STATE_COUNT; from++)
		for (int to = 0; to < ATTEMPT_STATE_COUNT; to++) {
			bool live = from >= ATTEMPT_INTENT && from <= ATTEMPT_RUNNING;
			bool want = live ? to > from && !(from == ATTEMPT_RUNNING && to == ATTEMPT_REFUSED) : to == ATTEMPT_INTENT;

			assert_int_equal(attempt_may_become((enum attempt_state)from, (enum attempt_state)to), want);
		}
}

/* ---- A job's life ---- */

static void test_life(void **state)
{
	struct world *w = usual_world();
	uint32_t id = world_submit(w, (struct want){.nodes = 2, .cards_milli = 2000, .cpus_milli = 1000, .limit_us = US_HOUR});
	us_t placed = w->now_us;

	(void)state;
	assert_state(w, id, JOB_STAGE_IN);
	assert_true(has_effect(w, EFFECT_HOLD, id));
	assert_int_equal(job_of(w, id)->plan.n_tasks, 2);
	assert_int_equal(job_of(w, id)->plan.until_us, placed + US_HOUR);
	w->now_us += US_SECOND;
	world_report(w, id, ATTEMPT_HELD, 0, 0);
	assert_true(has_effect(w, EFFECT_RELEASE, id));
	assert_state(w, id, JOB_STAGE_IN);
	world_report(w, id, ATTEMPT_RELEASED, 0, 0);
	assert_int_equal(w->step.n_effects, 0);
	w->now_us += US_SECOND;
	world_report(w, id, ATTEMPT_RUNNING, 0, 0);
	assert_state(w, id, JOB_ACTIVE);
	assert_int_equal(job_of(w, id)->started_us, w->now_us);
	assert_int_equal(job_of(w, id)->plan.until_us, w->now_us + US_HOUR); /* its limit counts from its start */
	w->now_us += US_MINUTE;
	world_end(w, id, 0);
	assert_state(w, id, JOB_COMPLETED);
	assert_cause(w, id, CAUSE_EXIT);
	assert_int_equal(job_of(w, id)->ended_us, w->now_us);
	assert_true(has_effect(w, EFFECT_FORGET, id));
	assert_int_equal(core_capacity(w->core)->shelf_milli[0], 16000);
	world_free(w);
}

static void test_ends(void **state)
{
	static const struct {
		enum attempt_state attempt;
		enum cause cause;
		int32_t exit_code;
		enum job_state want;
		enum cause want_cause;
	} rows[] = {
		{ATTEMPT_ENDED, CAUSE_EXIT, 0, JOB_COMPLETED, CAUSE_EXIT},
		{ATTEMPT_ENDED, CAUSE_NONE, 0, JOB_COMPLETED, CAUSE_EXIT},
		{ATTEMPT_ENDED, CAUSE_EXIT, 3, JOB_FAILED, CAUSE_EXIT},
		{ATTEMPT_ENDED, CAUSE_SIGNAL, 139, JOB_FAILED, CAUSE_SIGNAL},
		{ATTEMPT_ENDED, CAUSE_LIMIT, 143, JOB_FAILED, CAUSE_LIMIT},
		{ATTEMPT_ENDED, CAUSE_MEMORY, 137, JOB_FAILED, CAUSE_MEMORY},
		{ATTEMPT_LOST, CAUSE_NONE, 0, JOB_FAILED, CAUSE_LOST},
		{ATTEMPT_REFUSED, CAUSE_NONE, 0, JOB_FAILED, CAUSE_REFUSED},
		{ATTEMPT_ENDED, CAUSE_CANCEL, 143, JOB_CANCELED, CAUSE_CANCEL},
		{ATTEMPT_ENDED, CAUSE_LIMIT, 0, JOB_FAILED, CAUSE_LIMIT},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct world *w = usual_world();
		uint32_t id = world_submit(w, (struct want){.cards_milli = 1000});

		if (rows[i].attempt == ATTEMPT_ENDED)
			world_run(w, id);
		world_report(w, id, rows[i].attempt, rows[i].cause, rows[i].exit_code);
		assert_state(w, id, rows[i].want);
		assert_cause(w, id, rows[i].want_cause);
		assert_int_equal(job_of(w, id)->exit_code, rows[i].exit_code);
		world_free(w);
	}
}

/* ---- Reports ---- */

static void report_no_news(struct world *w, struct report r)
{
	assert_int_equal(world_step(w, (struct input){.type = INPUT_REPORT, .report = r}), 0);
	assert_int_equal(w->step.n_events, 0);
	assert_int_equal(w->step.n_effects, 0);
}

static void test_reports_repeated_late_skipping(void **state)
{
	struct world *w = usual_world();
	uint32_t id = world_submit(w, (struct want){.cards_milli = 1000, .limit_us = US_HOUR});
	us_t placed = w->now_us;

	(void)state;
	w->now_us += US_MINUTE;
	world_step(w, (struct input){.type = INPUT_REPORT,
	                             .report = {.job = id, .attempt = 1, .state = ATTEMPT_RUNNING, .at_us = 5, .native_id = "n1"}});
	assert_state(w, id, JOB_ACTIVE);                     /* held and released are skipped */
	assert_int_equal(job_of(w, id)->started_us, placed); /* not before it was placed, whatever its engine's clock says */
	assert_string_equal(job_of(w, id)->extra->native_id, "n1");
	report_no_news(w, (struct report){.job = id, .attempt = 1, .state = ATTEMPT_RUNNING}); /* again */
	report_no_news(w, (struct report){.job = id, .attempt = 1, .state = ATTEMPT_HELD});    /* late */
	report_no_news(w, (struct report){.job = id, .attempt = 1, .state = ATTEMPT_RELEASED});
	report_no_news(w, (struct report){.job = id, .attempt = 1, .state = ATTEMPT_REFUSED}); /* it runs */
	report_no_news(w, (struct report){.job = id, .attempt = 2, .state = ATTEMPT_ENDED});   /* another attempt */
	report_no_news(w, (struct report){.job = id, .attempt = 0, .state = ATTEMPT_ENDED});
	report_no_news(w, (struct report){.job = id + 1, .attempt = 1, .state = ATTEMPT_ENDED}); /* another job */
	report_no_news(w, (struct report){.job = 0, .attempt = 1, .state = ATTEMPT_ENDED});
	world_step(w,
	           (struct input){
				   .type = INPUT_REPORT,
				   .report = {.job = id, .attempt = 1, .state = ATTEMPT_ENDED, .at_us = US_NEVER - 1, .rank = 9, .note = "why"}});
	assert_state(w, id, JOB_COMPLETED);
	assert_int_equal(job_of(w, id)->ended_us, w->now_us); /* nor after now */
	assert_int_equal(job_of(w, id)->exit_rank, 0);        /* it has one task */
	assert_string_equal(job_of(w, id)->extra->note, "why");
	report_no_news(w, (struct report){.job = id, .attempt = 1, .state = ATTEMPT_ENDED});
	report_no_news(w, (struct report){.job = id, .attempt = 1, .state = ATTEMPT_LOST});
	world_free(w);
}

/* Whatever an engine's clock says, nothing ends before it started. */
static void test_end_is_not_before_start(void **state)
{
	struct world *w = usual_world();
	uint32_t id = world_submit(w, (struct want){.cards_milli = 1000});

	(void)state;
	w->now_us += US_MINUTE;
	world_report(w, id, ATTEMPT_RUNNING, 0, 0);
	w->now_us += US_MINUTE;
	world_step(w, (struct input){.type = INPUT_REPORT, .report = {.job = id, .attempt = 1, .state = ATTEMPT_ENDED, .at_us = 7}});
	assert_int_equal(job_of(w, id)->ended_us, job_of(w, id)->started_us);
	world_free(w);
}

/* Several inputs make one batch, and a follower takes it whole, or not at all where it isn't the next. */
static void test_batch(void **state)
{
	struct world *w = usual_world();
	struct step step = {0};
	struct want_spec s;
	const struct job_spec *spec = want_spec(&(struct want){.cards_milli = 1000, .limit_us = US_HOUR}, &s);
	struct hash a, b;
	struct err err;

	(void)state;
	for (int i = 0; i < 10; i++) {
		struct input submit = {.type = INPUT_SUBMIT, .now_us = w->now_us + i * US_SECOND, .submit = {spec, NULL}};
		struct input runs = {
			.type = INPUT_REPORT, .now_us = submit.now_us + 1, .report = {.job = 1, .attempt = 1, .state = ATTEMPT_RUNNING}};

		assert_int_equal(core_step(w->core, &submit, &step, NULL), 0);
		assert_int_equal(step.job, i + 1);
		assert_int_equal(core_step(w->core, &runs, &step, NULL), 0);
	}
	assert_int_equal(step.n_events, 21); /* submitted and placed each, and once running */
	assert_int_equal(step.n_effects, 10);
	assert_int_equal(core_apply(w->follower, step.events.data, step.events.len, NULL, NULL, NULL), 0);
	world_compare(w);
	a = core_digest(w->follower);
	assert_int_equal(core_apply(w->follower, step.events.data, step.events.len, NULL, NULL, &err), ERR_CORRUPT); /* twice */
	b = core_digest(w->follower);
	assert_memory_equal(&a, &b, sizeof a);
	step_done(&step);
	world_free(w);
}

/* A pool whose centres have no nodes, and a core that has no pool. */
static void test_no_nodes(void **state)
{
	const struct centre_spec empty = {.name = "x", .region = "r", .engine = "simulated", .capabilities = CAN_ALL};
	struct pool_spec spec = pool_of(&empty, 1), usual = pool_of(x_and_y, 2);
	struct world *w = world_new(&spec);
	struct core *core = core_new();
	struct step step = {0};
	struct want_spec s;
	struct input submit = {.type = INPUT_SUBMIT, .submit = {want_spec(&(struct want){.cards_milli = 1000}, &s), NULL}};
	struct err err;

	(void)state;
	assert_int_equal(world_try(w, (struct want){.cards_milli = 1000}), ERR_NEVER);
	assert_int_equal(world_try(w, (struct want){.cpus_milli = 1000}), ERR_NEVER);
	assert_int_equal(world_pool(w, &usual), 0);
	world_submit(w, (struct want){.cards_milli = 1000});
	assert_int_equal(world_pool(w, &spec), 0);
	world_end(w, 1, 0);
	assert_state(w, 1, JOB_COMPLETED);
	world_free(w);
	assert_int_equal(core_step(core, &submit, &step, &err), ERR_BUSY);
	assert_string_equal(err.subject, "pool");
	assert_int_equal(core_step(core, &(struct input){.type = INPUT_CLOCK}, &step, NULL), 0);
	assert_int_equal(core_sequence(core), 0);
	step_done(&step);
	core_free(core);
}

/* An earlier time is taken as the last. */
static void test_time_never_decreases(void **state)
{
	struct world *w = usual_world();
	uint32_t id;

	(void)state;
	world_submit(w, (struct want){.cards_milli = 1000});
	w->now_us -= 500 * US_SECOND;
	step_reset(&w->step);
	id = world_submit(w, (struct want){.cards_milli = 1000});
	assert_int_equal(job_of(w, id)->submitted_us, 1000 * US_SECOND);
	assert_int_equal(core_now(w->core), 1000 * US_SECOND);
	world_free(w);
}

/* An engine that chooses its cards says which; what collides, or isn't there, is not believed. */
static void test_bound_cards(void **state)
{
	struct world *w = usual_world();
	uint32_t first = world_submit(w, (struct want){.kind = "b", .cards_milli = 1000}), second, other;
	uint64_t mask;
	struct report r = {.job = first, .attempt = 1, .state = ATTEMPT_RUNNING, .cards = &mask, .n_cards = 1};
	static const struct {
		uint64_t cards;
		uint32_t events, n_cards;
	} rows[] = {{1, 1, 1} /* as decided: RUNNING alone */,
	            {1, 0, 1},
	            {2, 1, 1},
	            {2, 0, 1},
	            {3, 0, 1},
	            {0, 0, 1},
	            {4, 0, 1},
	            {1, 0, 2},
	            {1, 0, 0}};

	(void)state;
	assert_int_equal(job_of(w, first)->plan.tasks[0].cards, 1);
	for (size_t i = 0; i < COUNT(rows); i++) {
		mask = rows[i].cards;
		r.n_cards = rows[i].n_cards;
		assert_int_equal(world_step(w, (struct input){.type = INPUT_REPORT, .report = r}), 0);
		assert_int_equal(w->step.n_events, rows[i].events);
	}
	assert_int_equal(job_of(w, first)->plan.tasks[0].cards, 2);
	second = world_submit(w, (struct want){.kind = "b", .cards_milli = 1000});
	assert_int_equal(job_of(w, second)->plan.tasks[0].node, job_of(w, first)->plan.tasks[0].node);
	assert_int_equal(job_of(w, second)->plan.tasks[0].cards, 1);
	mask = 2; /* which the first has */
	r = (struct report){.job = second, .attempt = 1, .state = ATTEMPT_RUNNING, .cards = &mask, .n_cards = 1};
	assert_int_equal(world_step(w, (struct input){.type = INPUT_REPORT, .report = r}), 0);
	assert_int_equal(job_of(w, second)->plan.tasks[0].cards, 1);
	assert_state(w, second, JOB_ACTIVE);
	other = world_submit(w, (struct want){.kind = "b", .cards_milli = 2000});
	assert_int_not_equal(job_of(w, other)->plan.tasks[0].node, job_of(w, first)->plan.tasks[0].node);
	world_free(w);
}

/* ---- Cancel ---- */

static void test_cancel_waiting(void **state)
{
	struct world *w = usual_world();
	uint32_t runs = world_submit(w, whole_x);
	const uint32_t waiting[] = {
		world_submit(w, whole_x),
		world_submit(w, (struct want){.cards_milli = 1000, .begin_us = w->now_us + US_HOUR}),
		world_submit(w, (struct want){.cards_milli = 1000, .on = {{runs, AFTER_OK}}, .n_on = 1}),
		world_submit(w, (struct want){.cards_milli = 1000, .array = {0, 9, 1}}),
	};

	(void)state;
	for (size_t i = 0; i < COUNT(waiting); i++) {
		assert_state(w, waiting[i], JOB_QUEUED);
		assert_int_equal(world_cancel(w, waiting[i]), 0);
		assert_int_equal(w->step.n_effects, 0);
		assert_state(w, waiting[i], JOB_CANCELED);
		assert_cause(w, waiting[i], CAUSE_CANCEL);
		assert_int_equal(job_of(w, waiting[i])->ended_us, w->now_us);
		assert_int_equal(world_cancel(w, waiting[i]), 0); /* again: no news */
		assert_int_equal(w->step.n_events, 0);
	}
	assert_int_equal(world_cancel(w, 99), ERR_NOT_FOUND);
	assert_string_equal(w->err.subject, "job");
	assert_int_equal(world_cancel(w, 0), ERR_NOT_FOUND);
	assert_state(w, runs, JOB_STAGE_IN);
	world_free(w);
}

static void test_cancel_live(void **state)
{
	static const struct {
		enum attempt_state at; /* when it is canceled */
		enum attempt_state then;
		enum cause cause;
		int32_t exit_code;
		enum job_state want;
		enum cause want_cause;
	} rows[] = {
		{ATTEMPT_INTENT, ATTEMPT_ENDED, CAUSE_CANCEL, 143, JOB_CANCELED, CAUSE_CANCEL},
		{ATTEMPT_INTENT, ATTEMPT_REFUSED, CAUSE_NONE, 0, JOB_CANCELED, CAUSE_REFUSED},
		{ATTEMPT_HELD, ATTEMPT_ENDED, CAUSE_CANCEL, 143, JOB_CANCELED, CAUSE_CANCEL},
		{ATTEMPT_RELEASED, ATTEMPT_ENDED, CAUSE_SIGNAL, 143, JOB_CANCELED, CAUSE_CANCEL},
		{ATTEMPT_RUNNING, ATTEMPT_ENDED, CAUSE_SIGNAL, 143, JOB_CANCELED, CAUSE_CANCEL},
		{ATTEMPT_RUNNING, ATTEMPT_ENDED, CAUSE_EXIT, 1, JOB_CANCELED, CAUSE_EXIT},  /* it ended by itself, badly */
		{ATTEMPT_RUNNING, ATTEMPT_ENDED, CAUSE_EXIT, 0, JOB_COMPLETED, CAUSE_EXIT}, /* its own success counts */
		{ATTEMPT_RUNNING, ATTEMPT_LOST, CAUSE_NONE, 0, JOB_CANCELED, CAUSE_LOST},   /* though it may be run again */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct world *w = usual_world();
		uint32_t id = world_submit(w, (struct want){.cards_milli = 1000, .rerun = true, .restarts = 3});

		for (int s = ATTEMPT_HELD; s <= (int)rows[i].at; s++)
			world_report(w, id, (enum attempt_state)s, 0, 0);
		assert_int_equal(world_cancel(w, id), 0);
		assert_state(w, id, JOB_CLEANUP);
		assert_true(has_effect(w, EFFECT_KILL, id));
		assert_string_equal(job_of(w, id)->extra->stopped_by, "alice");
		assert_int_equal(world_cancel(w, id), 0);
		assert_int_equal(w->step.n_events, 0);
		if (rows[i].at == ATTEMPT_INTENT && rows[i].then == ATTEMPT_ENDED) {
			world_report(w, id, ATTEMPT_HELD, 0, 0); /* its engine's answer was on its way */
			assert_false(has_effect(w, EFFECT_RELEASE, id));
			world_report(w, id, ATTEMPT_RUNNING, 0, 0);
			assert_state(w, id, JOB_CLEANUP);
		}
		world_report(w, id, rows[i].then, rows[i].cause, rows[i].exit_code);
		assert_state(w, id, rows[i].want);
		assert_cause(w, id, rows[i].want_cause);
		assert_int_equal(core_capacity(w->core)->shelf_milli[0], 16000);
		assert_int_equal(world_cancel(w, id), 0);
		assert_int_equal(w->step.n_events, 0);
		world_free(w);
	}
}

/* ---- Limits ---- */

static void test_limit(void **state)
{
	struct world *w = usual_world();
	uint32_t x = world_submit(w, (struct want){.cards_milli = 1000, .limit_us = US_MINUTE}); /* its engine does it */
	uint32_t y = world_submit(w, (struct want){.kind = "b", .cards_milli = 1000, .limit_us = US_MINUTE});

	(void)state;
	world_run(w, x);
	w->now_us += 5 * US_SECOND;
	world_run(w, y);
	assert_int_equal(core_wake(w->core), w->now_us + US_MINUTE);
	world_tick(w, US_MINUTE - 1);
	assert_int_equal(w->step.n_events, 0);
	world_tick(w, 1);
	assert_state(w, x, JOB_ACTIVE);
	assert_state(w, y, JOB_CLEANUP);
	assert_cause(w, y, CAUSE_LIMIT);
	assert_true(has_effect(w, EFFECT_KILL, y));
	assert_int_equal(w->step.n_effects, 1);
	world_report(w, y, ATTEMPT_ENDED, CAUSE_SIGNAL, 143);
	assert_state(w, y, JOB_FAILED);
	assert_cause(w, y, CAUSE_LIMIT);
	world_free(w);
}

/* ---- Lost, and run again ---- */

static void test_rerun(void **state)
{
	struct world *w = usual_world();
	uint32_t id = world_submit(w, (struct want){.cards_milli = 1000, .rerun = true, .restarts = 2}), once;

	(void)state;
	for (uint32_t attempt = 1; attempt <= 3; attempt++) {
		assert_state(w, id, JOB_STAGE_IN);
		assert_int_equal(job_of(w, id)->attempt, attempt);
		assert_true(has_effect(w, EFFECT_HOLD, id));
		world_run(w, id);
		world_lose(w, id); /* and placed again, in the same step */
		assert_true(has_effect(w, EFFECT_FORGET, id));
	}
	assert_state(w, id, JOB_FAILED);
	assert_cause(w, id, CAUSE_LOST);
	once = world_submit(w, (struct want){.cards_milli = 1000, .restarts = 2});
	world_run(w, once);
	world_lose(w, once);
	assert_state(w, once, JOB_FAILED);
	world_free(w);
}

/* Where a job doesn't say how often, the configuration does; and it stands where its number puts it. */
static void test_rerun_order(void **state)
{
	struct world *w = usual_world();
	struct want want = whole_x;
	uint32_t first, second;

	(void)state;
	want.rerun = true;
	want.restarts = -1;
	first = world_submit(w, want);
	second = world_submit(w, want);
	assert_int_equal(job_of(w, first)->restarts_left, 3);
	world_run(w, first);
	world_lose(w, first);
	assert_state(w, first, JOB_STAGE_IN);
	assert_state(w, second, JOB_QUEUED);
	assert_int_equal(job_of(w, first)->restarts_left, 2);
	assert_int_equal(job_of(w, first)->started_us, US_NEVER);
	world_free(w);
}

/* ---- Arrays ---- */

static void test_array(void **state)
{
	struct world *w = usual_world();
	uint32_t id = world_submit(w, (struct want){.cards_milli = 4000, .array = {10, 30, 5}, .parallel_max = 2});
	const struct array *a = job_of(w, id)->array;

	(void)state;
	assert_int_equal(a->count, 5);
	assert_int_equal(a->live, 2);
	assert_state(w, id, JOB_ACTIVE);
	for (uint32_t i = 0; i < 5; i++) {
		const struct job *element = core_element(w->core, id, 10 + 5 * i);

		assert_non_null(element);
		assert_int_equal(element->array_of, id);
		assert_int_equal(element->array_index, 10 + 5 * i);
		assert_true(a->live <= 2);
		world_run(w, element->id);
		world_end(w, element->id, i == 3 ? 7 : 0);
		assert_int_equal(a->over, i + 1);
	}
	assert_null(core_element(w->core, id, 11));
	assert_state(w, id, JOB_FAILED); /* one of them did */
	assert_cause(w, id, CAUSE_ELEMENTS);
	assert_int_equal(job_of(w, id)->exit_code, 7);
	world_free(w);
}

static void test_array_completes(void **state)
{
	struct world *w = usual_world();
	uint32_t id = world_submit(w, (struct want){.cards_milli = 1000, .array = {0, 15, 1}});
	uint32_t after = world_submit(w, (struct want){.cards_milli = 1000, .on = {{id, AFTER_OK}}, .n_on = 1});

	(void)state;
	assert_int_equal(job_of(w, id)->array->live, 16);
	for (uint32_t i = 0; i < 16; i++) {
		assert_state(w, after, JOB_QUEUED);
		world_end(w, core_element(w->core, id, i)->id, 0);
	}
	assert_state(w, id, JOB_COMPLETED);
	assert_state(w, after, JOB_STAGE_IN);
	world_free(w);
}

static void test_array_cancel(void **state)
{
	struct world *w = usual_world();
	uint32_t id = world_submit(w, (struct want){.cards_milli = 4000, .array = {0, 9, 1}}), element[4];

	(void)state;
	for (uint32_t i = 0; i < 4; i++)
		element[i] = core_element(w->core, id, i)->id;
	world_run(w, element[0]);
	world_end(w, element[1], 0); /* the fifth takes its place */
	assert_int_equal(job_of(w, id)->array->taken, 5);
	assert_int_equal(world_cancel(w, id), 0);
	assert_state(w, id, JOB_CLEANUP);
	assert_state(w, element[0], JOB_CLEANUP);
	assert_state(w, element[1], JOB_COMPLETED);
	assert_state(w, element[2], JOB_CLEANUP);
	assert_int_equal(w->step.n_effects, 4);
	assert_string_equal(job_of(w, element[0])->extra->stopped_by, "alice");
	world_cancel(w, id);
	assert_int_equal(w->step.n_events, 0);
	world_report(w, element[0], ATTEMPT_ENDED, CAUSE_CANCEL, 143);
	world_report(w, element[2], ATTEMPT_LOST, CAUSE_NONE, 0);
	world_end(w, element[3], 0);
	assert_state(w, element[3], JOB_COMPLETED);
	assert_state(w, id, JOB_CLEANUP);
	world_report(w, core_element(w->core, id, 4)->id, ATTEMPT_ENDED, CAUSE_CANCEL, 143);
	assert_state(w, id, JOB_CANCELED);
	assert_cause(w, id, CAUSE_CANCEL);
	assert_int_equal(job_of(w, id)->array->taken, 5); /* no more were taken */
	world_free(w);
}

/* An element that was lost waits as a job of its own, counts as running meanwhile, and goes with its array. */
static void test_array_lost_element(void **state)
{
	struct world *w = usual_world();
	uint32_t id = world_submit(
		w, (struct want){.nodes = 4, .cards_milli = 4000, .array = {0, 2, 1}, .parallel_max = 1, .rerun = true, .restarts = 1});
	uint32_t element = core_element(w->core, id, 0)->id, urgent;

	(void)state;
	urgent = world_submit(w, (struct want){.nodes = 4, .cards_milli = 4000, .priority = 900});
	world_run(w, element);
	world_lose(w, element);
	assert_state(w, urgent, JOB_STAGE_IN);
	assert_state(w, element, JOB_QUEUED);
	assert_int_equal(job_of(w, id)->array->live, 1);
	assert_int_equal(job_of(w, id)->array->taken, 1);
	world_end(w, urgent, 0);
	assert_state(w, element, JOB_STAGE_IN);
	assert_int_equal(job_of(w, element)->attempt, 2);
	world_lose(w, element); /* once too often */
	assert_state(w, element, JOB_FAILED);
	assert_int_equal(job_of(w, id)->array->taken, 2);
	urgent = world_submit(w, (struct want){.nodes = 4, .cards_milli = 4000, .priority = 900});
	element = core_element(w->core, id, 1)->id;
	world_lose(w, element);
	assert_state(w, element, JOB_QUEUED);
	world_cancel(w, id);
	assert_state(w, element, JOB_CANCELED); /* it had nothing to stop */
	assert_state(w, id, JOB_CANCELED);
	assert_state(w, urgent, JOB_STAGE_IN);
	world_free(w);
}

static void test_array_element_canceled(void **state)
{
	struct world *w = usual_world();
	uint32_t id = world_submit(w, (struct want){.cards_milli = 1000, .array = {5, 6, 1}});

	(void)state;
	world_cancel(w, core_element(w->core, id, 5)->id);
	assert_state(w, id, JOB_ACTIVE);
	world_report(w, core_element(w->core, id, 5)->id, ATTEMPT_ENDED, CAUSE_CANCEL, 143);
	world_end(w, core_element(w->core, id, 6)->id, 0);
	assert_state(w, id, JOB_FAILED);
	world_free(w);
}

/* ---- Dependencies and begin ---- */

static void test_dependencies(void **state)
{
	static const struct {
		enum dependency_when when;
		int32_t exit_code;
		bool cancel;
		enum job_state want;
	} rows[] = {
		{AFTER_OK, 0, false, JOB_STAGE_IN},  {AFTER_OK, 1, false, JOB_CANCELED},  {AFTER_OK, 0, true, JOB_CANCELED},
		{AFTER_ANY, 0, false, JOB_STAGE_IN}, {AFTER_ANY, 1, false, JOB_STAGE_IN}, {AFTER_ANY, 0, true, JOB_STAGE_IN},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (int early = 0; early < 2; early++) { /* submitted before the first is over, and after */
			struct world *w = usual_world();
			struct want want = {.cards_milli = 1000, .n_on = 1};
			uint32_t first = world_submit(w, (struct want){.cards_milli = 1000}), second = 0, third = 0;

			want.on[0] = (struct dependency_spec){first, rows[i].when};
			if (early)
				second = world_submit(w, want);
			if (early) /* what depends on that, whatever becomes of it */
				third = world_submit(w, (struct want){.cards_milli = 1000, .on = {{second, AFTER_OK}}, .n_on = 1});
			if (rows[i].cancel)
				world_cancel(w, first);
			world_report(w, first, ATTEMPT_ENDED, rows[i].cancel ? CAUSE_CANCEL : CAUSE_EXIT,
			             rows[i].cancel ? 143 : rows[i].exit_code);
			if (!early)
				second = world_submit(w, want);
			assert_state(w, second, rows[i].want);
			if (rows[i].want == JOB_CANCELED)
				assert_cause(w, second, CAUSE_DEPENDENCY);
			if (third)
				assert_state(w, third, rows[i].want == JOB_CANCELED ? JOB_CANCELED : JOB_QUEUED);
			world_free(w);
		}
}

static void test_several_dependencies(void **state)
{
	struct world *w = usual_world();
	uint32_t a = world_submit(w, (struct want){.cards_milli = 1000}), b = world_submit(w, (struct want){.cards_milli = 1000});
	uint32_t both = world_submit(w, (struct want){.cards_milli = 1000, .on = {{a, AFTER_OK}, {b, AFTER_ANY}}, .n_on = 2});
	uint32_t twice = world_submit(
		w, (struct want){.cards_milli = 1000, .on = {{a, AFTER_OK}, {b, AFTER_ANY}, {a, AFTER_OK}, {a, AFTER_ANY}}, .n_on = 4});
	uint32_t doomed = world_submit(
		w, (struct want){.cards_milli = 1000, .on = {{a, AFTER_ANY}, {b, AFTER_OK}, {b, AFTER_ANY}}, .n_on = 3});

	(void)state;
	world_end(w, a, 0);
	assert_state(w, both, JOB_QUEUED);
	assert_state(w, twice, JOB_QUEUED);
	world_end(w, b, 1);
	assert_state(w, both, JOB_STAGE_IN);
	assert_state(w, twice, JOB_STAGE_IN);
	assert_state(w, doomed, JOB_CANCELED);
	assert_int_equal(world_try(w, (struct want){.cards_milli = 1000, .on = {{a, AFTER_OK}, {77, AFTER_OK}}, .n_on = 2}),
	                 ERR_INVALID);
	assert_string_equal(w->err.subject, "depends_on[1].job");
	world_free(w);
}

/* A dependency on a failed array, on a waiting one that is canceled, and on an element. */
static void test_dependencies_on_arrays(void **state)
{
	struct world *w = usual_world();
	uint32_t array = world_submit(w, (struct want){.cards_milli = 1000, .array = {0, 1, 1}});
	uint32_t ok = world_submit(w, (struct want){.cards_milli = 1000, .on = {{array, AFTER_OK}}, .n_on = 1});
	uint32_t any = world_submit(w, (struct want){.cards_milli = 1000, .on = {{array, AFTER_ANY}}, .n_on = 1, .array = {0, 3, 1}});
	uint32_t one = core_element(w->core, array, 1)->id;
	uint32_t element = world_submit(w, (struct want){.cards_milli = 1000, .on = {{one, AFTER_OK}}, .n_on = 1});

	(void)state;
	world_end(w, one, 0);
	assert_state(w, element, JOB_STAGE_IN);
	assert_state(w, any, JOB_QUEUED);
	world_end(w, core_element(w->core, array, 0)->id, 2);
	assert_state(w, array, JOB_FAILED);
	assert_state(w, ok, JOB_CANCELED);
	assert_int_equal(job_of(w, any)->array->live, 4);
	world_free(w);
}

static void test_begin(void **state)
{
	struct world *w = usual_world();
	us_t begin = w->now_us + US_HOUR;
	uint32_t first = world_submit(w, (struct want){.cards_milli = 1000, .begin_us = begin});
	uint32_t both = world_submit(w, (struct want){.cards_milli = 1000, .begin_us = begin, .on = {{first, AFTER_ANY}}, .n_on = 1});
	uint32_t past = world_submit(w, (struct want){.cards_milli = 1000, .begin_us = 1});

	(void)state;
	assert_state(w, past, JOB_STAGE_IN);
	assert_int_equal(core_wake(w->core), begin);
	world_tick(w, US_HOUR - 1);
	assert_state(w, first, JOB_QUEUED);
	world_tick(w, 1);
	assert_state(w, first, JOB_STAGE_IN);
	assert_int_equal(job_of(w, first)->eligible_us, begin);
	assert_state(w, both, JOB_QUEUED);
	world_end(w, first, 1);
	assert_state(w, both, JOB_STAGE_IN);
	world_free(w);
}

/* ---- Once is enough ---- */

static void test_idempotency(void **state)
{
	struct world *w = usual_world();
	uint8_t key[IDEMPOTENCY_BYTES] = {1, 2, 3}, other_request[IDEMPOTENCY_BYTES], other_key[IDEMPOTENCY_BYTES];
	uint32_t id, next;

	(void)state;
	memcpy(other_request, key, sizeof key);
	memcpy(other_key, key, sizeof key);
	other_request[IDEMPOTENCY_BYTES / 2] = 9;
	other_key[0] = 9;
	id = world_submit(w, (struct want){.cards_milli = 1000, .key = key});
	assert_false(w->step.repeated);
	assert_int_equal(world_submit(w, (struct want){.cards_milli = 1000, .key = key}), id);
	assert_true(w->step.repeated);
	assert_int_equal(w->step.n_events, 0);
	assert_int_equal(world_try(w, (struct want){.cards_milli = 1000, .key = other_request}), ERR_CONFLICT);
	assert_string_equal(w->err.subject, "Idempotency-Key");
	next = world_submit(w, (struct want){.cards_milli = 1000, .key = other_key});
	assert_int_not_equal(next, id);
	assert_false(w->step.repeated);
	world_end(w, id, 0);
	assert_int_equal(world_submit(w, (struct want){.cards_milli = 1000, .key = key}), id); /* also when it is over */
	world_tick(w, 2 * US_DAY);                                                             /* until it is forgotten */
	assert_null(core_job(w->core, id));
	assert_int_equal(world_submit(w, (struct want){.cards_milli = 1000, .key = key}), next + 1);
	world_free(w);
}

/* ---- The pool and its centres change ---- */

/* A node goes while its job runs: the job goes on there, the rest of it keeps its cards, and nothing else moves. */
static void test_pool_shrinks(void **state)
{
	struct world *w = usual_world();
	struct centre_spec less[2];
	struct pool_spec spec = pool_of(x_and_y, 2), smaller = pool_of(less, 2), only_y = pool_of(&x_and_y[1], 1);
	uint32_t gang = world_submit(w, whole_x), waits;

	(void)state;
	memcpy(less, x_and_y, sizeof less);
	less[0].lines = &line_a3;
	world_run(w, gang);
	waits = world_submit(w, (struct want){.cards_milli = 1000});
	assert_int_equal(world_pool(w, &smaller), 0);
	assert_state(w, gang, JOB_ACTIVE);
	assert_state(w, waits, JOB_QUEUED);
	assert_int_equal(core_capacity(w->core)->shelf_milli[0], 0);
	assert_int_equal(world_pool(w, &smaller), 0); /* the same again is no news */
	assert_int_equal(w->step.n_events, 0);
	assert_int_equal(world_pool(w, &only_y), 0);
	assert_state(w, gang, JOB_ACTIVE);
	assert_int_equal(core_job_state(w->core, job_of(w, gang)), JOB_UNKNOWN); /* nobody is asked about it */
	assert_int_equal(world_pool(w, &spec), 0);                               /* it is back, with the job on it */
	assert_int_equal(core_job_state(w->core, job_of(w, gang)), JOB_ACTIVE);
	assert_int_equal(core_capacity(w->core)->shelf_milli[pool_find_centre(core_pool(w->core), "x") == 0 ? 0 : 1], 0);
	assert_int_equal(world_pool(w, &only_y), 0);
	world_end(w, gang, 0);
	assert_state(w, gang, JOB_COMPLETED);
	assert_state(w, waits, JOB_QUEUED);
	assert_int_equal(world_pool(w, &spec), 0);
	assert_state(w, waits, JOB_STAGE_IN);
	world_free(w);
}

/* A node that loses some of its cards: a running job goes on holding those that are left, so nobody gets one twice; when the
 * others are back it holds them too. */
static void test_pool_returns_taken(void **state)
{
	struct world *w = usual_world();
	struct line_spec fewer = line_a;
	struct centre_spec less[2];
	struct pool_spec spec = pool_of(x_and_y, 2), smaller = pool_of(less, 2);
	uint32_t gang, again;

	(void)state;
	memcpy(less, x_and_y, sizeof less);
	fewer.cards = 2;
	less[0].lines = &fewer;
	gang = world_submit(w, whole_x);
	world_pool(w, &smaller); /* its nodes have half of its cards now */
	again = world_submit(w, (struct want){.nodes = 4, .cards_milli = 2000});
	assert_state(w, again, JOB_QUEUED);
	assert_int_equal(core_capacity(w->core)->shelf_milli[0], 0);
	world_pool(w, &spec);
	assert_state(w, again, JOB_QUEUED);
	assert_int_equal(core_capacity(w->core)->shelf_milli[0], 0);
	world_end(w, gang, 0);
	assert_state(w, again, JOB_STAGE_IN);
	assert_int_equal(core_capacity(w->core)->shelf_milli[0], 8000);
	world_free(w);
}

/* A running job's engine stops seeing to its limit, or is gone: the core does it from then on. */
static void test_pool_limits(void **state)
{
	struct centre_spec unable[2];
	struct pool_spec spec = pool_of(x_and_y, 2), smaller = pool_of(unable, 2), gone = pool_of(&x_and_y[1], 1);
	const struct pool_spec *const next[] = {&smaller, &gone};

	(void)state;
	memcpy(unable, x_and_y, sizeof unable);
	unable[0].capabilities &= ~(uint32_t)CAN_LIMIT;
	for (size_t i = 0; i < COUNT(next); i++) {
		struct world *w = world_new(&spec);
		uint32_t id = world_submit(w, (struct want){.cards_milli = 1000, .limit_us = US_MINUTE});

		world_run(w, id);
		assert_int_equal(core_wake(w->core), US_NEVER);
		world_pool(w, next[i]);
		assert_int_equal(core_wake(w->core), w->now_us + US_MINUTE);
		world_tick(w, US_MINUTE);
		assert_state(w, id, JOB_CLEANUP);
		world_free(w);
	}
}

static void test_silent_centre(void **state)
{
	struct world *w = usual_world();
	uint32_t runs = world_submit(w, (struct want){.cards_milli = 1000}), waits;

	(void)state;
	world_run(w, runs);
	world_silence(w, 0, true);
	assert_true(core_centre_silent(w->core, 0));
	assert_string_equal(job_state_word(core_job_state(w->core, job_of(w, runs))), "unknown");
	assert_state(w, runs, JOB_ACTIVE);
	waits = world_submit(w, (struct want){.cards_milli = 1000});
	assert_state(w, waits, JOB_QUEUED);
	world_silence(w, 0, true);
	assert_int_equal(w->step.n_events, 0);
	world_silence(w, 0, false);
	assert_state(w, waits, JOB_STAGE_IN);
	assert_string_equal(job_state_word(core_job_state(w->core, job_of(w, runs))), "active");
	assert_int_equal(world_step(w, (struct input){.type = INPUT_CENTRE, .centre = {2, true}}), ERR_NOT_FOUND);
	world_free(w);
}

/* ---- What is refused names its field ---- */

static void test_refusals(void **state)
{
	static const struct {
		struct want want;
		int code;
		const char *subject, *text;
	} rows[] = {
		{{.cards_milli = 5000}, ERR_NEVER, "resources.accelerators", "4 cards"},
		{{.nodes = 5, .cards_milli = 1000}, ERR_NEVER, "num_nodes", "5"},
		{{.nodes = 3, .cards_milli = 1000, .highest = TIER_RACK}, ERR_NEVER, "topology.highest_tier", "rack"},
		{{.cards_milli = 1000, .cpus_milli = 16001}, ERR_NEVER, "resources", "16.001"},
		{{.cards_milli = 1000, .memory_mib = 1001}, ERR_NEVER, "resources", "1001 MiB"},
		{{.kind = "b", .cards_milli = 500}, ERR_NEVER, "resources.accelerators", "shares of a card"},
		{{.kind = "c", .cards_milli = 1000}, ERR_INVALID, "resources.accelerators", "no such kind"},
		{{.cards_milli = 1500}, ERR_INVALID, "resources.accelerators", "1.500"},
		{{.cards_milli = 65000}, ERR_INVALID, "resources.accelerators", "64"},
		{{.cards_milli = 1000, .centre = "z"}, ERR_INVALID, "resources.infra", "no such centre"},
		{{.cards_milli = 1000, .centre = "y"}, ERR_NEVER, "resources.infra", "kind a"},
		{{.nodes = JOB_NODES_MAX + 1, .cards_milli = 1000}, ERR_INVALID, "num_nodes", "expected 1 to"},
		{{.cards_milli = 1000, .highest = TIER_POOL}, ERR_UNSUPPORTED, "topology.highest_tier", "centre"},
		{{.cards_milli = 1000, .priority = 1001}, ERR_INVALID, "priority", "1001"},
		{{.cards_milli = 1000, .limit_us = -1}, ERR_INVALID, "time", ""},
		{{.cards_milli = 1000, .begin_us = -1}, ERR_INVALID, "begin", ""},
		{{.cards_milli = 1000, .array = {5, 4, 1}}, ERR_INVALID, "array", "ranges"},
		{{.cards_milli = 1000, .array = {0, JOB_ARRAY_MAX, 1}}, ERR_INVALID, "array", "1000000"},
		{{.cards_milli = 1000, .project = "a\nb"}, ERR_INVALID, "project", ""},
		{{.cards_milli = 1000, .on = {{1, AFTER_OK}}, .n_on = 1}, ERR_INVALID, "depends_on[0].job", "no such job"},
	};
	struct world *w = usual_world();

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int rc = world_try(w, rows[i].want);

		if (rc != rows[i].code || strcmp(w->err.subject, rows[i].subject) || !strstr(w->err.text, rows[i].text))
			fail_msg("row %zu: %d %s: %s", i, rc, w->err.subject, w->err.text);
	}
	assert_int_equal(core_sequence(w->core), 2); /* nothing has happened */
	world_free(w);
}

/* What is accepted can be read back: bounds that the journal has, a submit has. */
static void test_accepted_is_readable(void **state)
{
	static struct range ranges[JOB_RANGES_MAX + 1];
	struct world *w = usual_world();
	struct want_spec s;
	struct job_spec job;

	(void)state;
	for (uint32_t i = 0; i < COUNT(ranges); i++)
		ranges[i] = (struct range){i, i, 1};
	job = *want_spec(&(struct want){.cards_milli = 1000}, &s);
	job.array = ranges;
	job.n_array = JOB_RANGES_MAX;
	assert_int_equal(world_step(w, (struct input){.type = INPUT_SUBMIT, .submit = {&job, NULL}}), 0);
	job.n_array++;
	assert_true(world_step(w, (struct input){.type = INPUT_SUBMIT, .submit = {&job, NULL}}) < 0);
	assert_string_equal(w->err.subject, "array");
	job = *want_spec(&(struct want){.cards_milli = 1000}, &s);
	job.checkpoint_every_us = -1;
	assert_true(world_step(w, (struct input){.type = INPUT_SUBMIT, .submit = {&job, NULL}}) < 0);
	job = *want_spec(&(struct want){.cards_milli = 1000}, &s);
	job.preemptible_after_us = -1;
	assert_true(world_step(w, (struct input){.type = INPUT_SUBMIT, .submit = {&job, NULL}}) < 0);
	world_free(w);
}

static void test_config(void **state)
{
	struct world *w = usual_world();
	static const char *const subjects[] = {
		"reservations", "jobs_max",   "kill_grace",  "lease", "history_after", "half_life", "starvation_after",
		"las_levels",   "las_levels", "cards_power", "score", "score",         "score",     "move.after",
		"move.gain",    "move.gain",  "move.least"};
	struct config_spec config = config_default(), bad[COUNT(subjects)];

	(void)state;
	assert_int_equal(world_config(w, config), 0);
	assert_int_equal(w->step.n_events, 0); /* the same: no news */
	for (size_t i = 0; i < COUNT(bad); i++)
		bad[i] = config;
	bad[0].reservations = RESERVATIONS_MAX + 1;
	bad[1].jobs_max = (uint64_t)UINT32_MAX + 1;
	bad[2].kill_grace_us = US_DURATION_MAX + 1;
	bad[3].lease_us = -1;
	bad[4].history_after_us = -1;
	bad[5].half_life_us = 0;
	bad[6].starvation_after_us = -1;
	bad[7].n_las_levels = LAS_LEVELS_MAX + 1;
	bad[8].las_levels_us[1] = bad[8].las_levels_us[0]; /* they rise */
	bad[9].cards_power_milli = 1001;
	bad[10].finish_weight = 1001;
	bad[11].price_weight = 1001;
	bad[12].balance_weight = 1001;
	bad[13].move_after_us = -1;
	bad[14].move_gain_milli = 0; /* or they would change places for ever */
	bad[15].move_gain_milli = 1001;
	bad[16].move_least_us = US_DURATION_MAX + 1;
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_int_equal(world_config(w, bad[i]), ERR_INVALID);
		assert_string_equal(w->err.subject, subjects[i]);
	}
	for (int policy = POLICY_FAIR; policy <= POLICY_LAS; policy++) { /* the ends of what may be */
		struct config_spec good = {.policy = (enum policy)policy,
		                           .reservations = RESERVATIONS_MAX,
		                           .half_life_us = 1,
		                           .jobs_max = 9,
		                           .move_gain_milli = 1};

		assert_int_equal(world_config(w, good), 0);
		assert_int_equal(w->step.n_events, 1);
		good.half_life_us = good.starvation_after_us = good.move_after_us = US_NEVER;
		good.finish_weight = good.price_weight = good.balance_weight = good.cards_power_milli = 1000;
		for (uint32_t i = 0; i < LAS_LEVELS_MAX; i++)
			good.las_levels_us[good.n_las_levels++] = i + 1;
		assert_int_equal(world_config(w, good), 0);
	}
	config.jobs_max = 1;
	assert_int_equal(world_config(w, config), 0);
	assert_int_equal(w->step.n_events, 1);
	world_submit(w, (struct want){.cards_milli = 1000});
	assert_int_equal(world_try(w, (struct want){.cards_milli = 1000}), ERR_BUSY);
	world_free(w);
}

static void test_projects(void **state)
{
	static const struct project_spec projects[] = {{.name = "llm-lab", .weight_milli = 1000}};
	struct pool_spec open = pool_of(x_and_y, 2), closed = open;
	struct world *w = world_new(&open);

	(void)state;
	closed.projects = projects;
	closed.n_projects = 1;
	world_submit(w, (struct want){.cards_milli = 1000, .project = "llm-lub"}); /* any project exists */
	world_pool(w, &closed);
	world_submit(w, (struct want){.cards_milli = 1000, .project = "llm-lab"});
	assert_int_equal(world_try(w, (struct want){.cards_milli = 1000, .project = "llm-lob"}), ERR_INVALID);
	assert_string_equal(w->err.subject, "project");
	assert_non_null(strstr(w->err.text, "did you mean \"llm-lab\"")); /* not one that would be refused as well */
	assert_int_equal(world_try(w, (struct want){.cards_milli = 1000, .project = "llm-lub"}), ERR_INVALID);
	world_free(w);
}

/* ---- What is over leaves ---- */

static void test_forgotten(void **state)
{
	struct world *w = usual_world();
	struct config_spec config = config_default();
	uint32_t ids[5], array;

	(void)state;
	config.history_after_us = US_HOUR;
	config.history_jobs_max = 3;
	world_config(w, config);
	for (int i = 0; i < 5; i++) {
		ids[i] = world_submit(w, (struct want){.cards_milli = 1000});
		w->now_us += US_SECOND;
		world_end(w, ids[i], 0);
	}
	assert_null(core_job(w->core, ids[0]));
	assert_null(core_job(w->core, ids[1]));
	assert_non_null(core_job(w->core, ids[2]));
	assert_int_equal(world_cancel(w, ids[0]), ERR_NOT_FOUND);
	assert_int_equal(core_jobs_in_state(w->core, JOB_COMPLETED), 3);
	assert_int_equal(core_wake(w->core), job_of(w, ids[2])->ended_us + US_HOUR);
	array = world_submit(w, (struct want){.cards_milli = 1000, .array = {0, 9, 1}, .parallel_max = 1});
	for (uint32_t i = 0; i < 10; i++) {
		w->now_us += US_SECOND;
		world_end(w, core_element(w->core, array, i)->id, 0);
	}
	assert_state(w, array, JOB_COMPLETED);
	assert_null(core_element(w->core, array, 2));
	world_tick(w, 2 * US_HOUR);
	for (uint32_t id = 1; id <= array + 10; id++)
		assert_null(core_job(w->core, id));
	assert_int_equal(core_job_after(w->core, 0) == NULL, true);
	assert_int_equal(core_wake(w->core), US_NEVER);
	assert_int_equal(world_submit(w, (struct want){.cards_milli = 1000}), array + 11); /* numbers aren't used again */
	world_free(w);
}

/* ---- A dry run is what then happens ---- */

/* Asks first, looks whether that comes true in a copy, and submits then. Returns the job's number; 0: refused. */
static uint32_t submit_as_told(struct world *w, const struct want *want)
{
	struct want_spec s;
	int rc = foretold_check(w->core, want_spec(want, &s), w->now_us, "a dry run told otherwise", NULL);

	assert_int_equal(world_try(w, *want), rc);
	return rc == 0 ? w->step.job : 0;
}

static void test_dry_run(void **state)
{
	static const struct want wants[] = {
		{.nodes = 2, .cards_milli = 4000, .limit_us = US_HOUR},
		{.cards_milli = 500, .limit_us = 2 * US_HOUR},
		{.cards_milli = 9000},
		{.nodes = 3, .cards_milli = 4000, .limit_us = US_HOUR},                  /* reserved */
		{.cards_milli = 1000, .limit_us = US_HOUR},                              /* ahead of it */
		{.nodes = 2, .cards_milli = 4000, .limit_us = US_HOUR},                  /* behind it */
		{.nodes = 4, .cards_milli = 4000, .limit_us = US_HOUR, .priority = 900}, /* takes the reservation */
		{.kind = "b", .cards_milli = 2000},                                      /* elsewhere */
		{.cards_milli = 1000, .begin_us = 5000 * US_SECOND},
		{.cards_milli = 1000, .on = {{1, AFTER_OK}}, .n_on = 1},
		{.cards_milli = 100, .limit_us = US_MINUTE, .array = {0, 3, 1}},
	};
	struct world *w = usual_world();

	(void)state;
	for (size_t i = 0; i < COUNT(wants); i++)
		submit_as_told(w, &wants[i]);
	world_free(w);
}

/* Shares move with time: two that hold promises have passed each other since, which nothing was decided on yet. Where one would
 * stand between them no start is told; before both it is. */
static void test_dry_run_among_shares(void **state)
{
	struct config_spec config = config_default();
	struct pool_spec spec = pool_of(x_and_y, 2);
	struct world *w;
	uint32_t job;

	(void)state;
	config.policy = POLICY_FAIR;
	config.reservations = 3;
	w = world_of(&spec, config);
	job = world_submit(w, (struct want){.nodes = 4, .cards_milli = 4000, .limit_us = US_HOUR, .project = "left"});
	world_run(w, job);
	world_tick(w, 10 * US_MINUTE);
	world_end(w, job, 0);
	world_run(w, world_submit(w, (struct want){.nodes = 4, .cards_milli = 4000, .limit_us = 2 * US_HOUR, .project = "right"}));
	world_submit(w, (struct want){.nodes = 4, .cards_milli = 4000, .limit_us = US_HOUR, .project = "left"});
	world_submit(w, (struct want){.nodes = 4, .cards_milli = 4000, .limit_us = 30 * US_MINUTE, .project = "right"});
	w->now_us += 20 * US_MINUTE;
	submit_as_told(w, &(struct want){.nodes = 4, .cards_milli = 4000, .limit_us = US_HOUR, .project = "left"});
	submit_as_told(w, &(struct want){.nodes = 4, .cards_milli = 4000, .limit_us = US_HOUR, .project = "newest"});
	world_free(w);
}

/* ---- More due than is decided into one batch ---- */

static void test_backlog(void **state)
{
	struct world *w = usual_world();
	struct event e;
	struct arena arena = {0};
	uint32_t array, urgent;

	(void)state;
	world_decide_at_most(w, 3);
	array = world_submit(w, (struct want){.cards_milli = 1000, .array = {0, 7, 1}});
	assert_int_equal(count_events(w, EVENT_PLACED), 3);
	assert_true(find_event(w, EVENT_BACKLOG, 0, &arena, &e) && e.backlog.more);
	assert_true(core_has_backlog(w->core));
	assert_int_equal(core_wake(w->core), w->now_us);
	world_report(w, core_element(w->core, array, 0)->id, ATTEMPT_HELD, CAUSE_NONE, 0); /* taken, and its effect is sent */
	assert_int_equal(w->step.n_events, 1);
	assert_int_equal(w->step.n_effects, 1);
	urgent = world_submit(w, (struct want){.cards_milli = 1000, .priority = 900});
	assert_int_equal(w->step.n_events, 1); /* what is due first isn't decided yet, and this has to wait for it too */
	assert_state(w, urgent, JOB_QUEUED);
	assert_int_equal(world_cancel(w, 77), ERR_NOT_FOUND);
	assert_true(core_has_backlog(w->core));
	world_tick(w, 0);
	assert_int_equal(count_events(w, EVENT_PLACED), 3);
	assert_int_equal(count_events(w, EVENT_BACKLOG), 1);
	assert_state(w, urgent, JOB_STAGE_IN); /* it goes first */
	assert_int_equal(job_of(w, array)->array->taken, 5);
	assert_int_equal(world_cancel(w, array), 0);
	assert_int_equal(w->step.n_events, 1);
	assert_state(w, core_element(w->core, array, 0)->id, JOB_STAGE_IN);
	world_report(w, core_element(w->core, array, 1)->id, ATTEMPT_HELD, CAUSE_NONE,
	             0); /* and isn't released: it is to be stopped */
	assert_int_equal(w->step.n_events, 1);
	assert_int_equal(w->step.n_effects, 0);
	world_tick(w, 0);
	assert_int_equal(count_events(w, EVENT_STOPPING), 3);
	world_tick(w, 0);
	assert_int_equal(count_events(w, EVENT_STOPPING), 2);
	assert_true(find_event(w, EVENT_BACKLOG, 0, &arena, &e) && !e.backlog.more);
	assert_false(core_has_backlog(w->core));
	assert_true(core_wake(w->core) > w->now_us);
	assert_int_equal(job_of(w, array)->array->taken, 5); /* no more were taken */
	arena_done(&arena);
	world_free(w);
}

/* What comes in while more is due finds what is due by then as if it had been done. */
static void test_backlog_first(void **state)
{
	struct world *w = usual_world();
	uint32_t on_node, array, element;

	(void)state;
	world_decide_at_most(w, 1);
	on_node = world_submit(w, (struct want){.cards_milli = 1000, .rerun = true, .restarts = 1});
	array = world_submit(w, (struct want){.cards_milli = 1000, .array = {0, 0, 1}});
	world_catch_up(w);
	world_run(w, on_node);
	element = core_element(w->core, array, 0)->id;
	world_run(w, element);
	world_submit(w, (struct want){.cards_milli = 1000, .array = {0, 2, 1}});
	assert_true(core_has_backlog(w->core));

	world_end(w, element, 0); /* the array's last: it is over, and can't be canceled any more */
	assert_state(w, array, JOB_ACTIVE);
	assert_int_equal(world_cancel(w, array), 0);
	assert_int_equal(w->step.n_events, 0);

	world_node(w, "x", job_of(w, on_node)->plan.tasks[0].node, job_of(w, on_node)->plan.tasks[0].node, NODE_DOWN);
	assert_state(w, on_node, JOB_ACTIVE); /* it wasn't told yet, and ends with its node */
	assert_true(core_is_stopping(w->core, job_of(w, on_node)));
	world_report(w, on_node, ATTEMPT_ENDED, CAUSE_SIGNAL, 137);
	assert_state(w, on_node, JOB_QUEUED);
	world_catch_up(w);
	assert_state(w, array, JOB_COMPLETED);
	assert_state(w, on_node, JOB_STAGE_IN);
	world_free(w);
}

/* ---- Effects again, after a restart ---- */

static void test_outstanding(void **state)
{
	struct world *w = usual_world();
	uint32_t intent = world_submit(w, (struct want){.cards_milli = 1000}),
			 held = world_submit(w, (struct want){.cards_milli = 1000});
	uint32_t runs = world_submit(w, (struct want){.cards_milli = 1000}),
			 stops = world_submit(w, (struct want){.cards_milli = 1000});

	(void)state;
	world_report(w, held, ATTEMPT_HELD, 0, 0);
	world_run(w, runs);
	world_run(w, stops);
	world_cancel(w, stops);
	step_reset(&w->step);
	core_outstanding(w->follower, &w->step);
	assert_int_equal(w->step.n_effects, 3);
	assert_true(has_effect(w, EFFECT_HOLD, intent));
	assert_true(has_effect(w, EFFECT_RELEASE, held));
	assert_true(has_effect(w, EFFECT_KILL, stops));
	world_free(w);
}

/* ---- Random days ---- */

static struct want random_want(struct rng *rng, const struct world *w, uint32_t last)
{
	static const us_t limits[] = {0, US_SECOND, 10 * US_SECOND, 30 * US_SECOND, US_MINUTE, US_HOUR};
	struct want want = {.kind = chance(rng, 25)   ? "b"
	                            : chance(rng, 20) ? "*"
	                                              : "a",
	                    .nodes = chance(rng, 60) ? 1 : 1 + below(rng, 4),
	                    .cards_milli = chance(rng, 25) ? 250 * (1 + below(rng, 3)) : 1000 * below(rng, 5),
	                    .cpus_milli = chance(rng, 30) ? below(rng, 9000) : 0,
	                    .memory_mib = chance(rng, 20) ? below(rng, 600) : 0,
	                    .priority = chance(rng, 20) ? 1 + below(rng, 1000) : 0,
	                    .limit_us = limits[below(rng, COUNT(limits))],
	                    .begin_us = chance(rng, 10) ? w->now_us + below(rng, 100) * US_SECOND : 0,
	                    .parallel_max = below(rng, 4),
	                    .rerun = chance(rng, 50),
	                    .restarts = (int32_t)below(rng, 3),
	                    .highest = chance(rng, 20) ? TIER_RACK : TIER_CENTRE,
	                    .preemptible = chance(rng, 30),
	                    .preemptible_after_us = chance(rng, 50) ? 0 : below(rng, 20) * US_SECOND,
	                    .checkpoint_every_us = chance(rng, 30) ? (1 + below(rng, 20)) * US_SECOND : 0,
	                    .project = chance(rng, 30)   ? "other"
	                               : chance(rng, 20) ? "third"
	                                                 : NULL};

	if (!want.cards_milli && !want.cpus_milli && !want.memory_mib)
		want.cpus_milli = 1; /* every job runs on something */
	if (chance(rng, 15))
		want.array = (struct range){below(rng, 3), 3 + below(rng, 5), 1 + below(rng, 2)};
	while (last > 0 && want.n_on < 3 && chance(rng, 12))
		want.on[want.n_on++] = (struct dependency_spec){1 + below(rng, last), (enum dependency_when)below(rng, 2)};
	return want;
}

/* Some job whose attempt an engine may have; 0: none. */
static uint32_t random_live(struct rng *rng, const struct world *w)
{
	uint32_t seen = 0, chosen = 0;

	for (const struct job *job = core_job_after(w->core, 0); job; job = core_job_after(w->core, job->id))
		if (job_is_live(job) && below(rng, ++seen) == 0)
			chosen = job->id;
	return chosen;
}

static void random_report(struct rng *rng, struct world *w)
{
	static const enum cause causes[] = {CAUSE_EXIT, CAUSE_EXIT, CAUSE_SIGNAL, CAUSE_LIMIT, CAUSE_MEMORY};
	uint32_t id = random_live(rng, w);
	uint64_t cards[4];
	struct report r;

	if (!id)
		return;
	r = (struct report){.job = id,
	                    .attempt = job_of(w, id)->attempt - chance(rng, 3),
	                    .state = (enum attempt_state)(ATTEMPT_HELD + below(rng, 6)),
	                    .cause = causes[below(rng, COUNT(causes))],
	                    .at_us = chance(rng, 30) ? w->now_us - below(rng, 20) * US_SECOND : 0,
	                    .exit_code = chance(rng, 70) ? 0 : (int32_t)below(rng, 256),
	                    .rank = below(rng, 5)};
	if (chance(rng, 50) && r.state > ATTEMPT_RUNNING) /* running is where time is spent */
		r.state = ATTEMPT_RUNNING;
	if (chance(rng, 30)) {
		r.cards = cards;
		r.n_cards = job_of(w, id)->plan.n_tasks;
		for (int i = 0; i < 4; i++)
			cards[i] = rng_next(rng) & 15;
	}
	world_step(w, (struct input){.type = INPUT_REPORT, .report = r});
}

struct random_pool {
	struct line_spec lines[3][2];
	struct centre_spec centres[3];
	struct quota_spec quotas[2][2];
	struct project_spec projects[3];
	struct pool_spec spec;
};

static uint64_t random_amount(struct rng *rng)
{
	return chance(rng, 40) ? AMOUNT_NONE : 500 * below(rng, 12);
}

/* Two of three projects with quotas, mostly in one cohort. */
static void random_projects(struct rng *rng, struct random_pool *p)
{
	static const char *const names[] = {"default", "other", "third"};

	for (uint32_t i = 0; i < 3; i++) {
		p->projects[i] = (struct project_spec){.name = names[i], .weight_milli = 500 + below(rng, 2000)};
		if (i == 2)
			break;
		for (uint32_t k = 0; k < 2; k++)
			p->quotas[i][k] = (struct quota_spec){k ? "b" : "a", 500 * below(rng, 16), random_amount(rng), random_amount(rng)};
		p->projects[i].cohort = chance(rng, 80) ? "all" : NULL;
		p->projects[i].parent = i == 1 && chance(rng, 20) ? "third" : NULL;
		p->projects[i].quotas = p->quotas[i];
		p->projects[i].n_quotas = chance(rng, 80) ? 2 : 0;
	}
	p->spec.projects = p->projects;
	p->spec.n_projects = 3;
}

static void random_pool(struct rng *rng, struct random_pool *p)
{
	static const char *const names[] = {"x", "y", "z"};
	uint32_t first = chance(rng, 20);

	for (uint32_t c = 0; c < 3; c++) {
		for (int i = 0; i < 2; i++)
			p->lines[c][i] = (struct line_spec){.count = 1 + below(rng, 3),
			                                    .kind = i == (int)(c % 2) ? "a" : "b",
			                                    .cards = 1 + below(rng, 4),
			                                    .cpus_milli = chance(rng, 40) ? UNCOUNTED : 1000 * (1 + below(rng, 16)),
			                                    .memory_mib = chance(rng, 40) ? UNCOUNTED : 100 * (1 + below(rng, 10)),
			                                    .nodes_per_rack = below(rng, 3)};
		if (chance(rng, 15)) {
			p->lines[c][1].kind = NULL;
			p->lines[c][1].cards = 0;
		}
		p->centres[c] = (struct centre_spec){
			.name = names[c], .region = "r", .engine = "simulated", .lines = p->lines[c], .n_lines = 1 + below(rng, 2)};
		p->centres[c].capabilities = CAN_BARE | CAN_EXACT_CARDS | (chance(rng, 70) ? CAN_FRACTIONS : 0) |
		                             (chance(rng, 60) ? CAN_LIMIT : 0);
	}
	p->spec = pool_of(&p->centres[first], 1 + below(rng, 3 - first));
	if (chance(rng, 50))
		random_projects(rng, p);
}

/* Operators at work: some of what they ask for is refused. */
static void random_operator(struct rng *rng, struct world *w)
{
	static const char *const centres[] = {"x", "y", "z"}, *const projects[] = {NULL, "default", "other"};
	const char *centre = centres[below(rng, 3)];
	uint32_t first = below(rng, 4), last = first + below(rng, 2);

	if (chance(rng, 60))
		world_node(w, centre, first, last, chance(rng, 50) ? NODE_UP : chance(rng, 60) ? NODE_CORDONED : NODE_DOWN);
	else if (chance(rng, 70))
		world_book(w, centre, first, last, projects[below(rng, 3)], below(rng, 90) * US_SECOND,
		           chance(rng, 10) ? US_NEVER : (1 + below(rng, 60)) * US_SECOND);
	else
		world_unbook(w, 1 + below(rng, 9));
}

static void random_config(struct rng *rng, struct world *w)
{
	struct config_spec config = config_default();

	config.policy = chance(rng, 60) ? POLICY_FAIR : (enum policy)below(rng, 4);
	config.reservations = chance(rng, 50) ? 1 : below(rng, 5);
	config.history_after_us = chance(rng, 30) ? US_MINUTE : US_DAY;
	config.history_jobs_max = chance(rng, 30) ? 5 : 1000;
	config.starvation_after_us = chance(rng, 50) ? US_DAY : below(rng, 60) * US_SECOND;
	config.half_life_us = chance(rng, 30) ? US_NEVER : (1 + below(rng, 1000)) * US_SECOND;
	config.n_las_levels = 1 + below(rng, 3);
	for (uint32_t i = 0; i < config.n_las_levels; i++)
		config.las_levels_us[i] = (i + 1) * (1 + below(rng, 20)) * US_SECOND + (i ? config.las_levels_us[i - 1] : 0);
	config.balance_weight = chance(rng, 30) ? 50 : 0;
	world_config(w, config);
}

/* In days of small batches without a dry run: it answers for a state with nothing due. */
static uint32_t random_submit(struct rng *rng, struct world *w, uint32_t last)
{
	struct want want;

	if (!w->decisions_max)
		world_tick(w, 0); /* what is due comes first */
	want = random_want(rng, w, last);
	for (uint32_t i = 0; i < want.n_on; i++) /* one that left can't be named any more */
		if (!core_job(w->core, want.on[i].job))
			want.n_on = i;
	if (!w->decisions_max)
		return submit_as_told(w, &want);
	return world_try(w, want) == 0 ? w->step.job : 0;
}

static void random_step(struct rng *rng, struct world *w, uint32_t *last)
{
	uint32_t dice = below(rng, 100), id;
	struct random_pool pool;

	w->now_us += chance(rng, 60) ? 0 : below(rng, 12) * US_SECOND;
	if (chance(rng, 10) && core_wake(w->core) != US_NEVER && core_wake(w->core) > w->now_us &&
	    core_wake(w->core) < w->now_us + US_HOUR)
		w->now_us = core_wake(w->core);
	if (dice < 35) {
		id = random_submit(rng, w, *last);
		*last = id ? id : *last;
	} else if (dice < 80) {
		random_report(rng, w);
	} else if (dice < 87) {
		world_cancel(w, *last ? 1 + below(rng, *last) : 0);
	} else if (dice < 90) {
		world_tick(w, below(rng, 20) * US_SECOND);
	} else if (dice < 92) {
		world_step(w, (struct input){.type = INPUT_CENTRE, .centre = {below(rng, 3), chance(rng, 40)}});
	} else if (dice < 96) {
		random_operator(rng, w);
	} else if (dice < 98) {
		random_pool(rng, &pool);
		world_pool(w, &pool.spec);
	} else {
		random_config(rng, w);
	}
}

/* Everything is reported to have ended, and canceled where it still waits: then all cards are free and nobody is left. */
static void wind_up(struct world *w)
{
	struct rng rng = {1};
	uint32_t id;

	for (const struct job *job = core_job_after(w->core, 0); job; job = core_job_after(w->core, job ? id : 0)) {
		id = job->id;
		world_cancel(w, id);
	}
	world_catch_up(w);
	while ((id = random_live(&rng, w)))
		world_report(w, id, ATTEMPT_ENDED, CAUSE_CANCEL, 143);
	world_catch_up(w);
	for (const struct job *job = core_job_after(w->core, 0); job; job = core_job_after(w->core, job->id))
		assert_true(job_is_over(job));
	for (uint32_t s = 0; s < core_pool(w->core)->n_shelves; s++)
		assert_int_equal(core_capacity(w->core)->shelf_milli[s], core_pool(w->core)->shelves[s].cards * 1000);
}

/* Nobody waits who could start. */
static void check_nobody_missed(const struct world *w)
{
	struct explanation x;

	for (const struct job *job = core_job_after(w->core, 0); job; job = core_job_after(w->core, job->id)) {
		assert_int_equal(core_explain(w->core, job->id, w->now_us, &x, NULL), 0);
		assert_true(x.reason != REASON_QUEUE);
		assert_true(*x.text);
		assert_int_equal(x.reason == REASON_NONE, job->state != JOB_QUEUED && !(job->array && job->state == JOB_ACTIVE &&
		                                                                        job->array->taken < job->array->count));
	}
}

/* Everything may be asked while more is due, though little can be said then; and nothing changes by it. */
static void ask_anything(struct rng *rng, const struct world *w, uint32_t last)
{
	struct want want = random_want(rng, w, last);
	struct hash before = core_digest(w->core), after;
	struct explanation x;
	struct advice advice;
	struct want_spec s;
	struct plan plan;
	struct arena arena = {0};
	uint32_t stopped;

	for (const struct job *job = core_job_after(w->core, 0); job; job = core_job_after(w->core, job->id)) {
		assert_int_equal(core_explain(w->core, job->id, w->now_us, &x, NULL), 0);
		assert_true(*x.text);
		core_advise(w->core, job->id, &x, &advice);
	}
	core_dry_run(w->core, want_spec(&want, &s), w->now_us, &arena, &plan, &stopped, NULL);
	after = core_digest(w->core);
	assert_memory_equal(&before, &after, sizeof before);
	arena_done(&arena);
}

/* Appends the events of a batch, each by itself, but for those that say how much there is of them. */
static void put_decided(struct buf *buf, const uint8_t *bytes, size_t len)
{
	struct reader r = reader_of(bytes, len);
	struct arena arena = {0};
	struct event e;

	for (us_t previous_us = 0; r.at != r.end; previous_us = e.at_us) {
		assert_int_equal(event_decode(&r, previous_us, &arena, &e), 0);
		if (e.type != EVENT_BACKLOG)
			event_encode(&e, 0, buf);
	}
	arena_done(&arena);
}

/* Where no other input comes in between, what is decided bit by bit is what is decided at once. */
static void tick_bit_by_bit(struct world *w, us_t by_us)
{
	struct core *at_once = world_copy(w);
	uint32_t batch = w->n_batches;
	struct buf a = {0}, b = {0};
	struct step step = {0};

	w->now_us += by_us;
	core_set_decisions_max(at_once, UINT32_MAX);
	assert_int_equal(core_step(at_once, &(struct input){.type = INPUT_CLOCK, .now_us = w->now_us}, &step, NULL), 0);
	put_decided(&a, step.events.data, step.events.len);
	world_tick(w, 0);
	world_catch_up(w);
	for (; batch < w->n_batches; batch++) {
		size_t end = batch + 1 < w->n_batches ? w->batch[batch + 1] : w->journal.len;

		put_decided(&b, w->journal.data + w->batch[batch], end - w->batch[batch]);
	}
	assert_int_equal(a.len, b.len);
	if (a.len)
		assert_memory_equal(a.data, b.data, a.len);
	buf_done(&a);
	buf_done(&b);
	step_done(&step);
	core_free(at_once);
}

/* decisions_max: of one batch, so that much comes in while more is due; 0: as many as usual. */
static void one_day(uint64_t seed, uint32_t decisions_max)
{
	struct rng rng = {seed}, others = {seed ^ 0x5851f42d4c957f2d}; /* the day is the same whatever is looked at */
	struct random_pool pool;
	struct world *w;
	uint32_t last = 0;

	random_pool(&rng, &pool);
	w = world_new(&pool.spec);
	if (decisions_max)
		world_decide_at_most(w, decisions_max);
	for (int i = 0; i < 120; i++) {
		random_step(&rng, w, &last);
		if (decisions_max && chance(&others, 10))
			world_shadow(w, chance(&others, 50));
		if (decisions_max && chance(&others, 20))
			ask_anything(&others, w, last);
		if (decisions_max && chance(&others, 70))
			continue;
		world_tick(w, 0); /* what was due at this time, if the step was refused */
		world_catch_up(w);
		if (decisions_max)
			tick_bit_by_bit(w, below(&others, 60) * US_SECOND);
		check_nobody_missed(w);
	}
	wind_up(w);
	world_free(w);
}

/* Each seed's day, and of every third, or of one alone, a day of small batches. */
static void test_random_days(void **state)
{
	const char *seed = getenv("SUAN_TEST_SEED");
	const char *trace = getenv("SUAN_TEST_TRACE");

	(void)state;
	for (uint64_t s = seed ? strtoull(seed, NULL, 10) : 1, last = seed ? s : 300; s <= last; s++) {
		if (trace)
			fprintf(stderr, "seed %u\n", (unsigned)s);
		one_day(s, 0);
		if (!seed && s % 3)
			continue;
		if (trace)
			fprintf(stderr, "seed %u, small batches\n", (unsigned)s);
		one_day(s, 1 + (uint32_t)(s / 3 % 3));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_attempt_states),
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_reports_repeated_late_skipping),
		cmocka_unit_test(test_end_is_not_before_start),
		cmocka_unit_test(test_batch),
		cmocka_unit_test(test_no_nodes),
		cmocka_unit_test(test_time_never_decreases),
		cmocka_unit_test(test_bound_cards),
		cmocka_unit_test(test_cancel_waiting),
		cmocka_unit_test(test_cancel_live),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_rerun),
		cmocka_unit_test(test_rerun_order),
		cmocka_unit_test(test_array),
		cmocka_unit_test(test_array_completes),
		cmocka_unit_test(test_array_cancel),
		cmocka_unit_test(test_array_lost_element),
		cmocka_unit_test(test_array_element_canceled),
		cmocka_unit_test(test_dependencies),
		cmocka_unit_test(test_several_dependencies),
		cmocka_unit_test(test_dependencies_on_arrays),
		cmocka_unit_test(test_begin),
		cmocka_unit_test(test_idempotency),
		cmocka_unit_test(test_pool_shrinks),
		cmocka_unit_test(test_pool_returns_taken),
		cmocka_unit_test(test_pool_limits),
		cmocka_unit_test(test_silent_centre),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_accepted_is_readable),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_projects),
		cmocka_unit_test(test_forgotten),
		cmocka_unit_test(test_dry_run),
		cmocka_unit_test(test_dry_run_among_shares),
		cmocka_unit_test(test_backlog),
		cmocka_unit_test(test_backlog_first),
		cmocka_unit_test(test_outstanding),
		cmocka_unit_test(test_random_days),
	};

	if (getenv("SUAN_TEST_SEED"))
		cmocka_set_test_filter("test_random_days");
	return cmocka_run_group_tests_name("core", tests, NULL, NULL);
}
