/* SPDX-License-Identifier: Apache-2.0
 * test_bookings.c: nodes that are kept over a window, cordoned or down: who may start there, what is refused, what moves, and
 * what becomes of jobs under a node that failed. */
#include "core_fixture.h"

/* Two nodes of 4 cards. */
static const struct line_spec two_nodes = {.count = 2, .kind = "a", .cards = 4, .cpus_milli = 8000, .memory_mib = UNCOUNTED};
static const struct centre_spec centre_x[] = {
	{.name = "x", .region = "r", .engine = "simulated", .capabilities = CAN_ALL, .lines = &two_nodes, .n_lines = 1}};

static struct world *small_world(void)
{
	struct pool_spec spec = pool_of(centre_x, 1);

	return world_new(&spec);
}

/* ---- Bookings ---- */

/* Node 1 is booked for project p, from an hour to two from now. */
static void test_who_may_start(void **state)
{
	static const struct {
		const char *project;
		uint32_t nodes;
		us_t limit_us;
		bool starts;
		uint32_t node; /* where it may lie, while node 0 is taken */
	} rows[] = {
		{"q", 1, US_HOUR, true, 1},      /* an outsider that ends by then */
		{"q", 1, US_HOUR + 1, false, 0}, /* a microsecond too long */
		{"q", 1, 0, false, 0},
		{"p", 1, US_HOUR + 1, true, 1}, /* its own */
		{"p", 1, 0, true, 1},           /* even past its end */
		{"q", 2, US_MINUTE, false, 0},  /* node 0 is taken */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct world *w = small_world();
		uint32_t id;

		world_submit(w, (struct want){.cards_milli = 4000, .limit_us = 10 * US_HOUR});
		assert_int_equal(world_book(w, "x", 1, 1, "p", US_HOUR, US_HOUR), 0);
		assert_int_equal(core_wake(w->core), w->now_us + US_HOUR);
		id = world_submit(
			w,
			(struct want){.nodes = rows[i].nodes, .cards_milli = 4000, .limit_us = rows[i].limit_us, .project = rows[i].project});
		if ((job_of(w, id)->state == JOB_STAGE_IN) != rows[i].starts)
			fail_msg("row %zu is %s", i, job_state_word(job_of(w, id)->state));
		if (rows[i].starts)
			assert_true(is_on(w, id, rows[i].node));
		world_free(w);
	}
}

/* While the window lasts outsiders wait; when it is over they start, and nobody has to say so. */
static void test_window(void **state)
{
	struct world *w = small_world();
	uint32_t outsider, owner;
	us_t until = w->now_us + 2 * US_HOUR;

	(void)state;
	world_submit(w, (struct want){.cards_milli = 4000});
	assert_int_equal(world_book(w, "x", 1, 1, "p", US_HOUR, US_HOUR), 0);
	world_tick(w, US_HOUR);
	outsider = world_submit(w, (struct want){.cards_milli = 1000, .limit_us = US_MINUTE, .project = "q"});
	assert_state(w, outsider, JOB_QUEUED);
	assert_reason(w, outsider, REASON_BOOKED);
	assert_promised(w, outsider, until);
	owner = world_submit(w, (struct want){.cards_milli = 1000, .limit_us = US_MINUTE, .project = "p"});
	assert_true(is_on(w, owner, 1));
	world_tick(w, US_HOUR - 1);
	assert_state(w, outsider, JOB_QUEUED);
	world_tick(w, 1);
	assert_int_equal(count_events(w, EVENT_UNBOOKED), 1);
	assert_null(core_booking_after(w->core, 0));
	assert_true(is_on(w, outsider, 1));
	world_free(w);
}

/* ---- What is refused ---- */

static void test_refusals(void **state)
{
	static char too_long[NAME_LEN_MAX + 2];
	static const struct node_range both = {0, 1}, third = {2, 2}, back = {1, 0}, twice[] = {{0, 0}, {0, 1}}, one = {1, 1};
	static const struct {
		const char *name, *project, *centre;
		const struct node_range *ranges;
		uint32_t n;
		us_t from_us, until_us; /* from now */
		int code;
		const char *subject;
	} rows[] = {
		{"", NULL, "x", &both, 1, 0, US_HOUR, ERR_INVALID, "name"},
		{too_long, NULL, "x", &both, 1, 0, US_HOUR, ERR_INVALID, "name"},
		{"b", "a\nb", "x", &both, 1, 5 * US_HOUR, 6 * US_HOUR, ERR_INVALID, "project"},
		{"b", NULL, "y", &both, 1, 0, US_HOUR, ERR_NOT_FOUND, "centre"},
		{"b", NULL, "x", &third, 1, 0, US_HOUR, ERR_NOT_FOUND, "nodes"},
		{"b", NULL, "x", &back, 1, 0, US_HOUR, ERR_INVALID, "nodes"},
		{"b", NULL, "x", twice, 2, 0, US_HOUR, ERR_INVALID, "nodes"},
		{"b", NULL, "x", &both, 0, 0, US_HOUR, ERR_INVALID, "nodes"},
		{"b", NULL, "x", &both, 1, US_HOUR, US_HOUR, ERR_INVALID, "until"},
		{"b", NULL, "x", &both, 1, -US_HOUR, 0, ERR_INVALID, "until"},             /* it is over already */
		{"b", "p", "x", &both, 1, US_HOUR - 1, 2 * US_HOUR, ERR_CONFLICT, "from"}, /* job 1 may still run then */
		{"b", "p", "x", &one, 1, 3 * US_HOUR, 5 * US_HOUR, ERR_CONFLICT, "nodes"}, /* booked from 4 on */
		{"b", "p", "x", &both, 1, US_HOUR, 4 * US_HOUR + 1, ERR_CONFLICT, "nodes"},
		{"b", "p", "x", &both, 1, US_HOUR, 4 * US_HOUR, 0, NULL},            /* between the two */
		{"b", NULL, "x", &both, 1, 0, US_NEVER - 2000 * US_SECOND, 0, NULL}, /* a drain may lie over everything */
	};
	struct world *w = small_world();

	(void)state;
	memset(too_long, 'x', sizeof too_long - 1);
	world_submit(w, (struct want){.cards_milli = 1000, .limit_us = US_HOUR}); /* on node 0 */
	assert_int_equal(world_book(w, "x", 1, 1, "p", 4 * US_HOUR, US_HOUR), 0);
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct booking_spec b = {rows[i].name,
		                               rows[i].project,
		                               rows[i].centre,
		                               rows[i].ranges,
		                               rows[i].n,
		                               w->now_us + rows[i].from_us,
		                               w->now_us + rows[i].until_us};
		int rc = world_step(w, (struct input){.type = INPUT_BOOK, .book = &b});

		if (rc != rows[i].code || (rc && strcmp(w->err.subject, rows[i].subject)))
			fail_msg("row %zu: %d %s: %s", i, rc, rc ? w->err.subject : "", rc ? w->err.text : "");
	}
	assert_int_equal(world_unbook(w, 99), ERR_NOT_FOUND);
	assert_string_equal(w->err.subject, "booking");
	assert_int_equal(world_unbook(w, 0), ERR_NOT_FOUND);
	world_free(w);
}

/* A project that isn't declared can't book where projects are. */
static void test_declared_projects(void **state)
{
	static const struct project_spec projects[] = {{.name = "p", .weight_milli = 1000}};
	struct pool_spec spec = pool_of(centre_x, 1);
	struct world *w;

	(void)state;
	spec.projects = projects;
	spec.n_projects = 1;
	w = world_new(&spec);
	assert_int_equal(world_book(w, "x", 0, 0, "q", 0, US_HOUR), ERR_INVALID);
	assert_string_equal(w->err.subject, "project");
	assert_int_equal(world_book(w, "x", 0, 0, "p", 0, US_HOUR), 0);
	assert_int_equal(w->step.job, 1); /* its number */
	assert_int_equal(world_book(w, "x", 0, 0, NULL, 0, US_HOUR), 0);
	assert_int_equal(w->step.job, 2);
	assert_int_equal(world_unbook(w, 1), 0);
	assert_int_equal(world_unbook(w, 1), ERR_NOT_FOUND);
	world_free(w);
}

/* ---- Promises across a drain ---- */

/* Both nodes are busy for an hour, and drained from two hours on for two; a gang of both is promised a start. */
static void test_promise_across_drain(void **state)
{
	static const struct {
		us_t limit_us, start_us; /* start: from now */
	} rows[] = {
		{US_HOUR, US_HOUR},         /* it fits before */
		{US_HOUR + 1, 4 * US_HOUR}, /* it doesn't: after */
		{0, 4 * US_HOUR},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) /* the drain comes first, or it moves the promise */
		for (int drained_first = 0; drained_first < 2; drained_first++) {
			struct world *w = small_world();
			us_t now = w->now_us;
			uint32_t gang;

			world_submit(w, (struct want){.nodes = 2, .cards_milli = 4000, .limit_us = US_HOUR});
			if (drained_first)
				world_book(w, "x", 1, 1, NULL, 2 * US_HOUR, 2 * US_HOUR);
			gang = world_submit(w, (struct want){.nodes = 2, .cards_milli = 4000, .limit_us = rows[i].limit_us});
			if (!drained_first) {
				assert_promised(w, gang, now + US_HOUR);
				world_book(w, "x", 1, 1, NULL, 2 * US_HOUR, 2 * US_HOUR);
				assert_int_equal(cause_of_reserved(w, EVENT_RESERVED),
				                 rows[i].start_us == US_HOUR ? (int)CAUSE_COUNT : (int)CAUSE_BOOKED);
			}
			assert_promised(w, gang, now + rows[i].start_us);
			w->now_us = now + US_HOUR;
			world_end(w, 1, 0);
			assert_state(w, gang, rows[i].start_us == US_HOUR ? JOB_STAGE_IN : JOB_QUEUED);
			w->now_us = now + 4 * US_HOUR;
			if (rows[i].start_us == US_HOUR)
				world_end(w, gang, 0);
			world_tick(w, 0);
			assert_state(w, gang, rows[i].start_us == US_HOUR ? JOB_COMPLETED : JOB_STAGE_IN);
			world_free(w);
		}
}

/* A drain without an end leaves nothing to promise; taken back, there is. */
static void test_drain_for_ever(void **state)
{
	struct world *w = small_world();
	uint32_t runs = world_submit(w, (struct want){.nodes = 2, .cards_milli = 4000, .limit_us = US_HOUR}), gang;

	(void)state;
	gang = world_submit(w, (struct want){.nodes = 2, .cards_milli = 4000, .limit_us = US_HOUR});
	world_book(w, "x", 1, 1, NULL, 0, US_NEVER);
	assert_int_equal(cause_of_reserved(w, EVENT_UNRESERVED), CAUSE_BOOKED);
	assert_reserved(w, 0, 0);
	assert_state(w, runs, JOB_STAGE_IN); /* what is there goes on */
	world_unbook(w, 1);
	assert_promised(w, gang, w->now_us + US_HOUR);
	world_book(w, "x", 1, 1, NULL, 0, US_NEVER);
	world_end(w, runs, 0);
	assert_state(w, gang, JOB_QUEUED);
	assert_reason(w, gang, REASON_BOOKED);
	world_unbook(w, 2);
	assert_state(w, gang, JOB_STAGE_IN);
	world_free(w);
}

/* ---- Nodes that are out ---- */

static void test_cordoned(void **state)
{
	struct world *w = small_world();
	uint32_t runs = world_submit(w, (struct want){.cards_milli = 3000, .limit_us = US_HOUR}), waits;
	const char *note;

	(void)state;
	assert_int_equal(world_node(w, "x", 0, 0, NODE_CORDONED), 0);
	assert_int_equal(w->step.n_events, 1);
	assert_int_equal(core_node_state(w->core, 0, &note), NODE_CORDONED);
	assert_string_equal(note, "because");
	world_node(w, "x", 0, 0, NODE_CORDONED); /* again: no news */
	assert_int_equal(w->step.n_events, 0);
	world_run(w, runs); /* it goes on */
	world_submit(w, (struct want){.cards_milli = 4000, .limit_us = 2 * US_HOUR});
	waits = world_submit(w, (struct want){.cards_milli = 1000, .limit_us = US_SECOND});
	assert_state(w, waits, JOB_QUEUED);
	assert_reason(w, waits, REASON_BOOKED);
	assert_promised(w, waits, w->now_us + 2 * US_HOUR); /* the other node's end */
	world_end(w, runs, 0);
	assert_state(w, waits, JOB_QUEUED);
	world_node(w, "x", 0, 1, NODE_UP);
	assert_true(is_on(w, waits, 0));
	assert_int_equal(world_node(w, "x", 1, 2, NODE_DOWN), ERR_NOT_FOUND);
	assert_string_equal(w->err.subject, "nodes");
	assert_int_equal(world_node(w, "z", 0, 0, NODE_DOWN), ERR_NOT_FOUND);
	assert_int_equal(world_node(w, "x", 1, 0, NODE_DOWN), ERR_INVALID);
	world_free(w);
}

/* A promise that counted on a node moves with it. */
static void test_promise_on_cordoned(void **state)
{
	struct world *w = small_world();
	uint32_t waits;

	(void)state;
	world_submit(w, (struct want){.cards_milli = 4000, .limit_us = US_HOUR});
	world_submit(w, (struct want){.cards_milli = 4000, .limit_us = 2 * US_HOUR});
	waits = world_submit(w, (struct want){.cards_milli = 4000, .limit_us = US_HOUR});
	assert_promised(w, waits, w->now_us + US_HOUR);
	world_node(w, "x", 0, 0, NODE_CORDONED);
	assert_int_equal(cause_of_reserved(w, EVENT_RESERVED), CAUSE_BOOKED);
	assert_promised(w, waits, w->now_us + 2 * US_HOUR);
	world_node(w, "x", 1, 1, NODE_CORDONED);
	assert_int_equal(cause_of_reserved(w, EVENT_UNRESERVED), CAUSE_BOOKED);
	world_free(w);
}

/* What a node that fails takes with it: the whole gang ends, and runs again elsewhere where it may. */
static void test_down(void **state)
{
	static const struct {
		bool rerun;
		int32_t restarts;
		enum attempt_state report;
		enum cause cause;
		int32_t exit_code;
		enum job_state want;
		enum cause want_cause;
	} rows[] = {
		{true, 1, ATTEMPT_LOST, 0, 0, JOB_QUEUED, CAUSE_NODE},
		{true, 1, ATTEMPT_ENDED, CAUSE_SIGNAL, 143, JOB_QUEUED, CAUSE_NODE},
		{true, 0, ATTEMPT_LOST, 0, 0, JOB_FAILED, CAUSE_NODE},
		{false, 1, ATTEMPT_LOST, 0, 0, JOB_FAILED, CAUSE_NODE},
		{false, 1, ATTEMPT_ENDED, CAUSE_SIGNAL, 143, JOB_FAILED, CAUSE_NODE},
		{true, 1, ATTEMPT_ENDED, CAUSE_EXIT, 0, JOB_QUEUED,
	     CAUSE_NODE}, /* who was told to end, and says all is well, isn't done */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct world *w = small_world();
		uint32_t gang = world_submit(
			w, (struct want){.nodes = 2, .cards_milli = 3000, .rerun = rows[i].rerun, .restarts = rows[i].restarts});
		uint32_t other = world_submit(w, (struct want){.cards_milli = 1000}); /* on node 0 */

		world_run(w, gang);
		world_run(w, other);
		world_node(w, "x", 1, 1, NODE_DOWN);
		assert_state(w, gang, JOB_CLEANUP);
		assert_cause(w, gang, CAUSE_NODE);
		assert_true(has_effect(w, EFFECT_KILL, gang));
		assert_int_equal(w->step.n_effects, 1);
		assert_state(w, other, JOB_ACTIVE);
		world_report(w, gang, rows[i].report, rows[i].cause, rows[i].exit_code);
		assert_state(w, gang, rows[i].want);
		assert_cause(w, gang, rows[i].want_cause);
		world_node(w, "x", 1, 1, NODE_UP);
		if (rows[i].want == JOB_QUEUED) {
			assert_state(w, gang, JOB_STAGE_IN);
			assert_int_equal(job_of(w, gang)->attempt, 2);
			assert_int_equal(job_of(w, gang)->restarts_left, 0);
		}
		world_free(w);
	}
}

static const struct line_spec three_nodes = {.count = 3, .kind = "a", .cards = 4, .cpus_milli = 8000, .memory_mib = UNCOUNTED};
static const struct centre_spec centre_x3[] = {
	{.name = "x", .region = "r", .engine = "simulated", .capabilities = CAN_ALL, .lines = &three_nodes, .n_lines = 1}};

/* A gang restarts on healthy nodes, from its last checkpoint; one that is still being made ready too. */
static void test_gang_restarts(void **state)
{
	struct pool_spec spec = pool_of(centre_x3, 1);

	(void)state;
	for (int runs = 0; runs < 2; runs++) {
		struct world *w = world_new(&spec);
		uint32_t gang = world_submit(w, (struct want){.nodes = 2,
		                                              .cards_milli = 4000,
		                                              .limit_us = US_HOUR,
		                                              .checkpoint_every_us = 4 * US_MINUTE,
		                                              .rerun = true,
		                                              .restarts = 3});

		assert_true(is_on(w, gang, 0) && is_on(w, gang, 1));
		if (runs)
			world_run(w, gang);
		world_tick(w, 10 * US_MINUTE);
		world_node(w, "x", 0, 0, NODE_DOWN);
		assert_state(w, gang, JOB_CLEANUP);
		world_lose(w, gang);
		assert_state(w, gang, JOB_STAGE_IN);
		assert_true(is_on(w, gang, 1) && is_on(w, gang, 2));
		assert_int_equal(job_of(w, gang)->attempt, 2);
		assert_int_equal(core_done_us(job_of(w, gang)), runs ? 8 * US_MINUTE : 0);
		assert_int_equal(core_attained_us(w->core, job_of(w, gang), w->now_us), runs ? 8 * 10 * US_MINUTE : 0);
		world_free(w);
	}
}

/* Nothing is ever started on a node that is out, not even what asks for next to nothing. */
static void test_nothing_starts_there(void **state)
{
	static const struct want wants[] = {{.cards_milli = 1000}, {.cards_milli = 100}, {.cpus_milli = 1}, {.memory_mib = 1}};

	(void)state;
	for (int how = 0; how < 3; how++)
		for (size_t i = 0; i < COUNT(wants); i++) {
			struct world *w = small_world();
			uint32_t id;

			if (how < 2)
				world_node(w, "x", 0, 1, how ? NODE_DOWN : NODE_CORDONED);
			else
				world_book(w, "x", 0, 1, NULL, 0, US_HOUR);
			id = world_submit(w, wants[i]);
			assert_state(w, id, JOB_QUEUED);
			world_free(w);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_may_start),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_declared_projects),
		cmocka_unit_test(test_promise_across_drain),
		cmocka_unit_test(test_drain_for_ever),
		cmocka_unit_test(test_cordoned),
		cmocka_unit_test(test_promise_on_cordoned),
		cmocka_unit_test(test_down),
		cmocka_unit_test(test_gang_restarts),
		cmocka_unit_test(test_nothing_starts_there),
	};

	return cmocka_run_group_tests_name("bookings", tests, NULL, NULL);
}
