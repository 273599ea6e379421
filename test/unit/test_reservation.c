/* SPDX-License-Identifier: Apache-2.0
 * test_reservation.c: what is kept for the jobs that wait first: who may pass them, what moves it, that nobody delays them, and
 * what becomes of one that can be promised nothing. */
#include "core_fixture.h"

/* Two nodes of 4 cards. */
static const struct line_spec two_nodes = {.count = 2, .kind = "a", .cards = 4, .cpus_milli = 8000, .memory_mib = UNCOUNTED},
							  other_node = {.count = 1, .kind = "b", .cards = 4, .cpus_milli = 8000, .memory_mib = UNCOUNTED};
static const struct centre_spec x_and_y[] = {
	{.name = "x", .region = "r", .engine = "simulated", .capabilities = CAN_ALL, .lines = &two_nodes, .n_lines = 1},
	{.name = "y", .region = "r", .engine = "simulated", .capabilities = CAN_ALL, .lines = &other_node, .n_lines = 1}};

static struct world *small_world(void)
{
	struct pool_spec spec = pool_of(x_and_y, 1);

	return world_new(&spec);
}

/* A world where node 0 is taken for an hour, node 1 half for two, and a job that needs a whole node waits. */
static struct world *waiting_world(uint32_t *first)
{
	struct world *w = small_world();

	world_submit(w, (struct want){.cards_milli = 4000, .cpus_milli = 1000, .limit_us = US_HOUR});
	world_submit(w, (struct want){.cards_milli = 2000, .cpus_milli = 1000, .limit_us = 2 * US_HOUR});
	*first = world_submit(w, (struct want){.cards_milli = 4000, .cpus_milli = 6000, .limit_us = US_HOUR});
	assert_int_equal(cause_of_reserved(w, EVENT_RESERVED), CAUSE_FIRST);
	assert_reserved(w, *first, w->now_us + US_HOUR);
	assert_int_equal(core_wake(w->core), w->now_us + US_HOUR + 1);
	return w;
}

static void test_who_may_pass(void **state)
{
	static const struct {
		struct want want;
		bool starts;
	} rows[] = {
		{{.cards_milli = 2000, .limit_us = US_HOUR}, true},          /* ends by the start */
		{{.cards_milli = 2000, .limit_us = 10 * US_HOUR}, true},     /* long, on cards that nobody needs then */
		{{.cards_milli = 2000}, true},                               /* even without a limit */
		{{.cards_milli = 500}, true},                                /* a share of one of them */
		{{.cards_milli = 3000, .limit_us = US_SECOND}, false},       /* there is no room for it at all */
		{{.cards_milli = 0, .cpus_milli = 7000}, true},              /* CPUs of the other node */
		{{.cards_milli = 0, .cpus_milli = 1000, .nodes = 2}, true},  /* a CPU of each is left */
		{{.cards_milli = 0, .cpus_milli = 3000, .nodes = 2}, false}, /* two of node 0 are not, for ever */
		{{.cards_milli = 0, .cpus_milli = 3000, .nodes = 2, .limit_us = US_HOUR}, true}, /* until the start they are */
		{{.cards_milli = 0, .cpus_milli = 3000, .nodes = 2, .limit_us = US_HOUR + 1}, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint32_t first, id;
		struct world *w = waiting_world(&first);
		us_t start = w->now_us + US_HOUR;

		id = world_submit(w, rows[i].want);
		if ((job_of(w, id)->state == JOB_STAGE_IN) != rows[i].starts)
			fail_msg("row %zu is %s", i, job_state_word(job_of(w, id)->state));
		assert_reserved(w, first, start);
		assert_int_equal(count_events(w, EVENT_RESERVED), 0);
		world_free(w);
	}
}

/* When a job would start, were it submitted. */
static us_t told_start(const struct world *w, struct want want)
{
	struct want_spec s;
	struct arena arena = {0};
	struct plan plan;
	uint32_t stopped;

	assert_int_equal(core_dry_run(w->core, want_spec(&want, &s), w->now_us, &arena, &plan, &stopped, NULL), 0);
	assert_int_equal(stopped, 0);
	arena_done(&arena);
	return plan.start_us;
}

/* What passes by its bound alone must end by then: a microsecond more is too long. */
static void test_bounds_are_exact(void **state)
{
	struct world *w = small_world();
	uint32_t runs = world_submit(w, (struct want){.nodes = 2, .cards_milli = 3000, .limit_us = US_HOUR}), first, longer, exact,
			 later;
	us_t start = w->now_us + US_HOUR;

	(void)state;
	first = world_submit(w, (struct want){.nodes = 2, .cards_milli = 4000, .limit_us = US_HOUR});
	assert_reserved(w, first, start);
	assert_int_equal(told_start(w, (struct want){.cards_milli = 1000, .limit_us = US_HOUR + 1}), US_NEVER);
	assert_int_equal(told_start(w, (struct want){.cards_milli = 1000, .limit_us = US_HOUR}), w->now_us);
	longer = world_submit(w, (struct want){.cards_milli = 1000, .limit_us = US_HOUR + 1});
	exact = world_submit(w, (struct want){.cards_milli = 1000, .limit_us = US_HOUR}); /* of the same class, behind it */
	assert_state(w, longer, JOB_QUEUED);
	assert_state(w, exact, JOB_STAGE_IN);
	world_tick(w, US_MINUTE);
	later = world_submit(w, (struct want){.cards_milli = 1000, .limit_us = US_HOUR}); /* time has passed */
	assert_state(w, later, JOB_QUEUED);
	world_tick(w, 59 * US_MINUTE);
	assert_reserved(w, first, start); /* at its start what it waits for may still be on its way */
	world_end(w, runs, 0);
	world_end(w, exact, 0);
	assert_state(w, first, JOB_STAGE_IN);
	assert_reserved(w, longer, w->now_us + US_HOUR);
	world_free(w);
}

static void test_order_moves_it(void **state)
{
	uint32_t first, urgent;
	struct world *w = waiting_world(&first);
	us_t start = w->now_us + US_HOUR;

	(void)state;
	urgent = world_submit(w, (struct want){.cards_milli = 4000, .limit_us = US_HOUR, .priority = 500});
	assert_int_equal(cause_of_reserved(w, EVENT_UNRESERVED), CAUSE_ORDER);
	assert_int_equal(cause_of_reserved(w, EVENT_RESERVED), CAUSE_FIRST);
	assert_reserved(w, urgent, start);
	world_cancel(w, urgent);
	assert_reserved(w, first, start); /* and back */
	/* One that starts at once takes what was kept, and the reservation moves. */
	urgent = world_submit(w, (struct want){.cpus_milli = 7000, .limit_us = 3 * US_HOUR, .priority = 500});
	assert_state(w, urgent, JOB_STAGE_IN);
	urgent = world_submit(w, (struct want){.cpus_milli = 7000, .limit_us = 3 * US_HOUR, .priority = 500});
	assert_state(w, urgent, JOB_STAGE_IN);
	assert_int_equal(cause_of_reserved(w, EVENT_UNRESERVED), CAUSE_ORDER);
	assert_int_equal(cause_of_reserved(w, EVENT_RESERVED), CAUSE_FIRST);
	assert_reserved(w, first, w->now_us + 3 * US_HOUR);
	world_free(w);
}

static void test_cancel_frees_it(void **state)
{
	uint32_t first, held_back;
	struct world *w = waiting_world(&first);

	(void)state;
	held_back = world_submit(w, (struct want){.cpus_milli = 3000, .nodes = 2});
	assert_state(w, held_back, JOB_QUEUED);
	world_cancel(w, first);
	assert_state(w, held_back, JOB_STAGE_IN);
	assert_reserved(w, 0, 0);
	assert_int_equal(core_wake(w->core), us_add(w->now_us, US_DAY)); /* when the canceled one is forgotten */
	world_free(w);
}

static void test_starts_early(void **state)
{
	uint32_t first;
	struct world *w = waiting_world(&first);

	(void)state;
	w->now_us += US_MINUTE;
	world_end(w, 1, 0);
	assert_state(w, first, JOB_STAGE_IN);
	assert_reserved(w, 0, 0);
	world_free(w);
}

static void test_overrun(void **state)
{
	uint32_t first;
	struct world *w = waiting_world(&first);
	us_t start = w->now_us + US_HOUR;

	(void)state;
	world_tick(w, US_HOUR);
	assert_reserved(w, first, start);
	world_tick(w, 1);
	assert_int_equal(cause_of_reserved(w, EVENT_RESERVED), CAUSE_OVERRUN);
	assert_reserved(w, first, w->now_us + 30 * US_SECOND); /* by then it is killed */
	world_end(w, 1, 0);
	assert_state(w, first, JOB_STAGE_IN);
	world_free(w);
}

/* Where what runs has no bound there is no instant to promise, and nobody is held back. */
static void test_unbounded_holds_nothing(void **state)
{
	struct world *w = small_world();
	uint32_t first, small, urgent;

	(void)state;
	world_submit(w, (struct want){.cards_milli = 4000});
	world_submit(w, (struct want){.cards_milli = 2000});
	first = world_submit(w, (struct want){.cards_milli = 4000, .limit_us = US_HOUR});
	assert_reserved(w, 0, 0);
	assert_int_equal(core_wake(w->core), w->now_us + US_DAY); /* when it has waited for long */
	small = world_submit(w, (struct want){.cards_milli = 1000});
	assert_state(w, small, JOB_STAGE_IN);
	assert_state(w, first, JOB_QUEUED);
	world_free(w);
	w = waiting_world(&first); /* a reservation goes when a job becomes first that nothing can be promised to */
	world_submit(w, (struct want){.cards_milli = 2000});
	urgent = world_submit(w, (struct want){.nodes = 2, .cards_milli = 4000, .priority = 500});
	assert_state(w, urgent, JOB_QUEUED);
	assert_int_equal(cause_of_reserved(w, EVENT_UNRESERVED), CAUSE_ORDER);
	assert_reserved(w, 0, 0);
	world_cancel(w, urgent);
	assert_reserved(w, first, w->now_us + US_HOUR);
	world_free(w);
}

/* The first had nothing to be promised and leaves; the next was passed over, and is first now. */
static void test_next_is_promised(void **state)
{
	struct world *w = small_world();
	uint32_t first, next;

	(void)state;
	world_submit(w, (struct want){.nodes = 2, .cards_milli = 2000});
	world_submit(w, (struct want){.nodes = 2, .cards_milli = 2000, .limit_us = US_HOUR});
	first = world_submit(w, (struct want){.cards_milli = 4000, .limit_us = US_HOUR});
	next = world_submit(w, (struct want){.cards_milli = 2000, .limit_us = US_HOUR});
	assert_reserved(w, 0, 0);
	world_cancel(w, first);
	assert_reserved(w, next, w->now_us + US_HOUR);
	world_free(w);
}

static void test_configured_off(void **state)
{
	uint32_t first, other;
	struct world *w = waiting_world(&first);
	struct config_spec config = config_default();

	(void)state;
	other = world_submit(w, (struct want){.cpus_milli = 3000, .nodes = 2});
	assert_state(w, other, JOB_QUEUED);
	config.reservations = 0;
	world_config(w, config);
	assert_reserved(w, 0, 0);
	assert_state(w, other, JOB_STAGE_IN);
	world_end(w, other, 0);
	config.reservations = 1;
	world_config(w, config);
	assert_reserved(w, first, w->now_us + US_HOUR);
	world_free(w);
}

/* Its centre falls silent: nothing starts there, so it is promised elsewhere, or nothing. */
static void test_silence_moves_it(void **state)
{
	struct pool_spec spec = pool_of(x_and_y, 2);
	struct world *w = world_new(&spec);
	uint32_t first;

	(void)state;
	world_submit(w, (struct want){.nodes = 2, .cards_milli = 4000, .limit_us = US_HOUR});
	world_submit(w, (struct want){.kind = "b", .cards_milli = 4000, .limit_us = 2 * US_HOUR});
	first = world_submit(w, (struct want){.kind = "*", .cards_milli = 4000, .limit_us = US_HOUR});
	assert_reserved(w, first, w->now_us + US_HOUR);
	world_silence(w, 0, true);
	assert_int_equal(cause_of_reserved(w, EVENT_RESERVED), CAUSE_CAPACITY);
	assert_reserved(w, first, w->now_us + 2 * US_HOUR);
	world_silence(w, 1, true);
	assert_int_equal(cause_of_reserved(w, EVENT_UNRESERVED), CAUSE_CAPACITY);
	assert_reserved(w, 0, 0);
	world_silence(w, 0, false);
	assert_reserved(w, first, w->now_us + US_HOUR);
	world_free(w);
}

/* ---- Several ---- */

static struct world *world_with(uint32_t reservations)
{
	struct pool_spec spec = pool_of(x_and_y, 1);
	struct config_spec config = config_default();

	config.reservations = reservations;
	return world_of(&spec, config);
}

/* The promises in order: jobs and starts, then a job of 0. */
static void assert_promises(const struct world *w, uint32_t n, const uint32_t *jobs, const us_t *starts)
{
	assert_int_equal(core_reservations(w->core), n);
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(core_reservation(w->core, i)->job, jobs[i]);
		assert_int_equal(core_reservation(w->core, i)->plan.start_us, starts[i]);
	}
}

/* Node 0 is taken but for a card for an hour, node 1 for two; four jobs that want a whole node wait, of which three are promised
 * one. */
static struct world *three_world(uint32_t jobs[4], us_t starts[3])
{
	struct world *w = world_with(3);

	world_submit(w, (struct want){.cards_milli = 3000, .limit_us = US_HOUR});
	world_submit(w, (struct want){.cards_milli = 3000, .limit_us = 2 * US_HOUR});
	for (int i = 0; i < 4; i++)
		jobs[i] = world_submit(w, (struct want){.cards_milli = 4000, .limit_us = US_HOUR});
	starts[0] = w->now_us + US_HOUR;
	starts[1] = starts[2] = w->now_us + 2 * US_HOUR;
	assert_promises(w, 3, jobs, starts);
	return w;
}

static void test_three(void **state)
{
	uint32_t jobs[4];
	us_t starts[3];
	struct world *w = three_world(jobs, starts);

	(void)state;
	assert_int_equal(core_reservation(w->core, 1)->plan.tasks[0].node + core_reservation(w->core, 2)->plan.tasks[0].node, 1);
	world_tick(w, US_HOUR);
	world_end(w, 1, 0);
	assert_state(w, jobs[0], JOB_STAGE_IN);
	assert_promises(w, 3, (uint32_t[]){jobs[1], jobs[2], jobs[3]},
	                (us_t[]){starts[1], starts[2], w->now_us + 2 * US_HOUR}); /* the fourth is third now */
	world_end(w, jobs[0], 0); /* much earlier than by its bound: the second has its node at once */
	assert_state(w, jobs[1], JOB_STAGE_IN);
	assert_promises(w, 2, (uint32_t[]){jobs[2], jobs[3]},
	                (us_t[]){starts[2], w->now_us + 2 * US_HOUR}); /* a promise is a bound */
	world_free(w);
}

/* A card is free on each node, until an hour and until two hours from now. */
static void test_passes_between_starts(void **state)
{
	static const struct {
		us_t limit_us;
		int node; /* -1: waits */
	} rows[] = {
		{US_HOUR, 0}, {US_HOUR + 1, 1}, {90 * US_MINUTE, 1}, {2 * US_HOUR, 1}, {2 * US_HOUR + 1, -1}, {0, -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint32_t jobs[4], id, longer;
		us_t starts[3];
		struct world *w = three_world(jobs, starts);

		longer = world_submit(w, (struct want){.cards_milli = 1000, .limit_us = 3 * US_HOUR}); /* of the same class, before it */
		assert_state(w, longer, JOB_QUEUED);
		assert_reason(w, longer, REASON_RESERVED);
		id = world_submit(w, (struct want){.cards_milli = 1000, .limit_us = rows[i].limit_us});
		if (rows[i].node < 0)
			assert_state(w, id, JOB_QUEUED);
		else
			assert_true(is_on(w, id, (uint32_t)rows[i].node));
		assert_promises(w, 3, jobs, starts);
		world_free(w);
	}
}

static void test_cancel_the_middle(void **state)
{
	uint32_t jobs[4];
	us_t starts[3];
	struct world *w = three_world(jobs, starts);

	(void)state;
	world_cancel(w, jobs[1]);
	assert_promises(w, 3, (uint32_t[]){jobs[0], jobs[2], jobs[3]}, (us_t[]){starts[0], starts[1], starts[2]});
	assert_int_equal(count_events(w, EVENT_RESERVED), 1); /* the third stays where it is */
	assert_int_equal(count_events(w, EVENT_UNRESERVED), 0);
	world_free(w);
}

/* Promises go by arrival, not by what looks alike. */
static void test_promises_in_order(void **state)
{
	struct world *w = world_with(2);
	uint32_t jobs[3];

	(void)state;
	world_submit(w, (struct want){.nodes = 2, .cards_milli = 4000, .limit_us = US_HOUR});
	jobs[0] = world_submit(w, (struct want){.cards_milli = 4000, .limit_us = US_HOUR});
	jobs[1] = world_submit(w, (struct want){.cards_milli = 3000, .limit_us = US_HOUR});
	jobs[2] = world_submit(w, (struct want){.cards_milli = 4000, .limit_us = US_HOUR}); /* like the first */
	assert_promises(w, 2, jobs, (us_t[]){w->now_us + US_HOUR, w->now_us + US_HOUR});
	world_free(w);
}

/* One that can be promised nothing stands before one that can: that one keeps its promise. */
static void test_first_cannot_be_promised(void **state)
{
	struct world *w = world_with(2);
	uint32_t gang, single;

	(void)state;
	world_submit(w, (struct want){.cards_milli = 4000});
	world_submit(w, (struct want){.cards_milli = 4000, .limit_us = US_HOUR});
	gang = world_submit(w, (struct want){.nodes = 2, .cards_milli = 4000, .limit_us = US_HOUR});
	single = world_submit(w, (struct want){.cards_milli = 4000, .limit_us = US_HOUR});
	assert_promises(w, 1, &single, (us_t[]){w->now_us + US_HOUR});
	world_tick(w, US_MINUTE);
	assert_int_equal(w->step.n_events, 0);
	assert_state(w, gang, JOB_QUEUED);
	world_free(w);
}

/* Under fair a project that has used less goes first, and all promises are made anew in that order; under fifo nothing moves. */
static void test_shares_reorder(void **state)
{
	(void)state;
	for (int policy = POLICY_FAIR; policy <= POLICY_FIFO; policy++) {
		struct world *w = world_with(2);
		struct config_spec config = *core_config(w->core);
		uint32_t mine[2], theirs;
		us_t start;

		config.policy = (enum policy)policy;
		world_config(w, config);
		world_submit(w, (struct want){.nodes = 2, .cards_milli = 4000, .limit_us = US_HOUR, .project = "mine"});
		world_tick(w, US_MINUTE); /* it has used something */
		for (int i = 0; i < 2; i++)
			mine[i] = world_submit(w, (struct want){.cards_milli = 4000, .limit_us = US_HOUR, .project = "mine"});
		start = w->now_us + 59 * US_MINUTE;
		assert_promises(w, 2, mine, (us_t[]){start, start});
		theirs = world_submit(w, (struct want){.nodes = 2, .cards_milli = 4000, .limit_us = US_HOUR, .project = "theirs"});
		if (policy == POLICY_FIFO) {
			assert_promises(w, 2, mine, (us_t[]){start, start});
		} else {
			assert_int_equal(cause_of_reserved(w, EVENT_UNRESERVED), CAUSE_ORDER);
			assert_promises(w, 2, (uint32_t[]){theirs, mine[0]}, (us_t[]){start, start + US_HOUR});
		}
		world_tick(w, 59 * US_MINUTE);
		world_end(w, 1, 0);
		assert_state(w, theirs, policy == POLICY_FIFO ? JOB_QUEUED : JOB_STAGE_IN);
		assert_state(w, mine[1], policy == POLICY_FIFO ? JOB_STAGE_IN : JOB_QUEUED);
		world_free(w);
	}
}

/* ---- Starvation ---- */

static const struct line_spec three_nodes = {.count = 3, .kind = "a", .cards = 4, .cpus_milli = 8000, .memory_mib = UNCOUNTED};
static const struct centre_spec three_nodes_x[] = {
	{.name = "x", .region = "r", .engine = "simulated", .capabilities = CAN_ALL, .lines = &three_nodes, .n_lines = 1}};

/* Without a bound run 4 cards on node 0, 2 on node 1, 3 on node 2 (the last in two jobs); a job that wants a node has waited for
 * an hour, and what comes free on node 1 is kept for it. */
static struct world *starving_world(uint32_t *first)
{
	static const uint32_t nodes[] = {0, 1, 2, 2};
	struct pool_spec spec = pool_of(three_nodes_x, 1);
	struct config_spec config = config_default();
	struct world *w;

	config.starvation_after_us = US_HOUR;
	w = world_of(&spec, config);
	world_submit(w, (struct want){.cards_milli = 4000});
	world_submit(w, (struct want){.cards_milli = 2000, .cpus_milli = 7000});
	world_submit(w, (struct want){.cards_milli = 2000, .cpus_milli = 6000});
	world_submit(w, (struct want){.cards_milli = 1000, .cpus_milli = 2000});
	for (uint32_t id = 1; id <= 4; id++) {
		assert_int_equal(job_of(w, id)->plan.tasks[0].node, nodes[id - 1]);
		world_run(w, id);
	}
	*first = world_submit(w, (struct want){.cards_milli = 4000, .limit_us = US_HOUR});
	assert_reserved(w, 0, 0);
	assert_int_equal(core_wake(w->core), w->now_us + US_HOUR);
	world_tick(w, US_HOUR - 1);
	assert_int_equal(w->step.n_events, 0);
	world_tick(w, 1);
	assert_int_equal(cause_of_reserved(w, EVENT_RESERVED), CAUSE_STARVED);
	assert_reserved(w, *first, US_NEVER);
	assert_int_equal(core_reservation(w->core, 0)->plan.tasks[0].node, 1);
	return w;
}

static void test_starving_keeps(void **state)
{
	uint32_t first, id;
	struct world *w = starving_world(&first);

	(void)state;
	id = world_submit(w, (struct want){.cards_milli = 1000, .limit_us = US_SECOND}); /* of node 2's one free card */
	assert_true(is_on(w, id, 2));
	id = world_submit(w, (struct want){.cards_milli = 1000, .limit_us = US_SECOND}); /* however short: it comes in between */
	assert_state(w, id, JOB_QUEUED);
	assert_reason(w, id, REASON_RESERVED);
	world_cancel(w, id);
	world_end(w, 2, 0);
	assert_state(w, first, JOB_STAGE_IN);
	assert_true(is_on(w, first, 1));
	assert_reserved(w, 0, 0);
	world_free(w);
}

static void test_starving_moves_nearer(void **state)
{
	uint32_t first;
	struct world *w = starving_world(&first);

	(void)state;
	world_end(w, 3, 0); /* three cards of node 2 are free now */
	assert_int_equal(cause_of_reserved(w, EVENT_RESERVED), CAUSE_STARVED);
	assert_reserved(w, first, US_NEVER);
	assert_int_equal(core_reservation(w->core, 0)->plan.tasks[0].node, 2);
	world_tick(w, US_MINUTE);
	assert_int_equal(w->step.n_events, 0); /* and stays */
	world_end(w, 1, 0);                    /* a whole node comes free elsewhere */
	assert_true(is_on(w, first, 0));
	world_free(w);
}

/* What runs gets a bound: from then on a start is promised. */
static void test_starving_is_promised(void **state)
{
	uint32_t first, id;
	struct world *w = starving_world(&first);

	(void)state;
	world_cancel(w, 1);
	assert_int_equal(cause_of_reserved(w, EVENT_RESERVED), CAUSE_CAPACITY);
	assert_reserved(w, first, w->now_us + 30 * US_SECOND); /* its grace */
	assert_int_equal(core_reservation(w->core, 0)->plan.tasks[0].node, 0);
	id = world_submit(w, (struct want){.cards_milli = 2000}); /* of node 1, which is kept no more */
	assert_true(is_on(w, id, 1));
	world_free(w);
}

/* Not where it is configured off, nor before its time. */
static void test_never_starves(void **state)
{
	struct world *w = small_world();
	struct config_spec config = config_default();

	(void)state;
	config.starvation_after_us = US_NEVER;
	world_config(w, config);
	world_submit(w, (struct want){.cards_milli = 4000});
	world_submit(w, (struct want){.cards_milli = 2000});
	world_submit(w, (struct want){.cards_milli = 4000});
	assert_int_equal(core_wake(w->core), US_NEVER);
	world_tick(w, 100 * US_DAY);
	assert_int_equal(w->step.n_events, 0);
	config.starvation_after_us = 100 * US_DAY; /* as soon as it is configured */
	world_config(w, config);
	assert_reserved(w, 3, US_NEVER);
	world_free(w);
}

/* ---- Nobody delays them ---- */

enum { DAY_JOBS = 40 };

struct day {
	struct world *w;
	us_t ends[DAY_JOBS + 1];     /* when a running job ends by itself */
	us_t promised[DAY_JOBS + 1]; /* the first start that it was promised; 0: none */
};

/* Engines that start at once: then every bound is kept, and every promise must be. */
static void start_placed(struct day *d, struct rng *rng)
{
	for (bool any = true; any;) {
		any = false;
		for (uint32_t i = 0; i < core_reservations(d->w->core); i++) {
			const struct reservation *r = core_reservation(d->w->core, i);

			if (!d->promised[r->job])
				d->promised[r->job] = r->plan.start_us;
			assert_true(r->plan.start_us <= d->promised[r->job]);
		}
		for (uint32_t id = 1; id <= DAY_JOBS && core_job(d->w->core, id); id++) {
			const struct job *job = core_job(d->w->core, id);

			if (job->state != JOB_STAGE_IN)
				continue;
			assert_true(!d->promised[id] || d->w->now_us <= d->promised[id]);
			world_report(d->w, id, ATTEMPT_RUNNING, 0, 0);
			d->ends[id] = d->w->now_us + (chance(rng, 40) ? job->limit_us : 1 + (us_t)rng_below(rng, (uint64_t)job->limit_us));
			any = true;
		}
	}
}

static bool next_end(struct day *d)
{
	uint32_t next = 0;

	for (uint32_t id = 1; id <= DAY_JOBS; id++)
		if (d->ends[id] && (!next || d->ends[id] < d->ends[next]))
			next = id;
	if (!next)
		return false;
	d->w->now_us = d->ends[next];
	d->ends[next] = 0;
	world_end(d->w, next, 0);
	return true;
}

static struct want day_want(struct rng *rng)
{
	struct want want = {
		.kind = chance(rng, 30) ? "*" : "a", .nodes = 1 + chance(rng, 30), .limit_us = (1 + below(rng, 6)) * US_MINUTE};

	want.cards_milli = chance(rng, 20) ? 500 : 1000 * (1 + below(rng, 4));
	want.cpus_milli = chance(rng, 30) ? below(rng, 8001) : 0;
	return want;
}

static void test_nobody_delays_them(void **state)
{
	struct pool_spec spec = pool_of(x_and_y, 2);
	uint32_t promises = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct rng rng = {seed};
		struct config_spec config = config_default();
		struct day d;
		uint32_t submitted = 0;

		config.reservations = 1 + seed % 4;
		d = (struct day){.w = world_of(&spec, config)};

		while (submitted < DAY_JOBS || next_end(&d)) {
			if (submitted < DAY_JOBS && chance(&rng, 70)) {
				d.w->now_us += below(&rng, 3); /* so near that no end is passed over */
				for (uint32_t id = 1; id <= DAY_JOBS; id++)
					if (d.ends[id] && d.ends[id] < d.w->now_us)
						d.w->now_us = d.ends[id];
				world_submit(d.w, day_want(&rng));
				submitted++;
			} else if (submitted < DAY_JOBS) {
				next_end(&d);
			}
			start_placed(&d, &rng);
		}
		for (uint32_t id = 1; id <= DAY_JOBS; id++) {
			assert_state(d.w, id, JOB_COMPLETED);
			promises += d.promised[id] != 0;
		}
		world_free(d.w);
	}
	assert_true(promises > 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_may_pass),
		cmocka_unit_test(test_bounds_are_exact),
		cmocka_unit_test(test_order_moves_it),
		cmocka_unit_test(test_cancel_frees_it),
		cmocka_unit_test(test_starts_early),
		cmocka_unit_test(test_overrun),
		cmocka_unit_test(test_unbounded_holds_nothing),
		cmocka_unit_test(test_next_is_promised),
		cmocka_unit_test(test_configured_off),
		cmocka_unit_test(test_silence_moves_it),
		cmocka_unit_test(test_three),
		cmocka_unit_test(test_passes_between_starts),
		cmocka_unit_test(test_cancel_the_middle),
		cmocka_unit_test(test_promises_in_order),
		cmocka_unit_test(test_first_cannot_be_promised),
		cmocka_unit_test(test_shares_reorder),
		cmocka_unit_test(test_starving_keeps),
		cmocka_unit_test(test_starving_moves_nearer),
		cmocka_unit_test(test_starving_is_promised),
		cmocka_unit_test(test_never_starves),
		cmocka_unit_test(test_nobody_delays_them),
	};

	return cmocka_run_group_tests_name("reservation", tests, NULL, NULL);
}
