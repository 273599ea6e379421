/* SPDX-License-Identifier: Apache-2.0
 * test_reservation.c: what is kept for the first job that waits: who may pass it, what moves it, and that nobody delays it. */
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
	assert_int_equal(w->step.wake_us, w->now_us + US_HOUR + 1);
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

	assert_int_equal(core_dry_run(w->core, want_spec(&want, &s), w->now_us, &arena, &plan, NULL), 0);
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
	assert_int_equal(cause_of_reserved(w, EVENT_RESERVED), CAUSE_ORDER);
	assert_reserved(w, urgent, start);
	world_cancel(w, urgent);
	assert_reserved(w, first, start); /* and back */
	/* One that starts at once takes what was kept, and the reservation moves. */
	urgent = world_submit(w, (struct want){.cpus_milli = 7000, .limit_us = 3 * US_HOUR, .priority = 500});
	assert_state(w, urgent, JOB_STAGE_IN);
	urgent = world_submit(w, (struct want){.cpus_milli = 7000, .limit_us = 3 * US_HOUR, .priority = 500});
	assert_state(w, urgent, JOB_STAGE_IN);
	assert_int_equal(cause_of_reserved(w, EVENT_RESERVED), CAUSE_ORDER);
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
	assert_int_equal(w->step.wake_us, us_add(w->now_us, US_DAY)); /* when the canceled one is forgotten */
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
	assert_int_equal(w->step.wake_us, US_NEVER);
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

/* ---- Nobody delays it ---- */

enum { DAY_JOBS = 40 };

struct day {
	struct world *w;
	us_t ends[DAY_JOBS + 1];     /* when a running job ends by itself */
	us_t promised[DAY_JOBS + 1]; /* the first start that it was promised; 0: none */
};

/* Engines that start at once: then every bound is kept, and every promise must be. */
static void start_placed(struct day *d, struct rng *rng)
{
	uint32_t held_by;
	const struct plan *plan;

	for (bool any = true; any;) {
		any = false;
		plan = first_reservation(d->w->core, &held_by);
		if (plan && !d->promised[held_by])
			d->promised[held_by] = plan->start_us;
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

static void test_nobody_delays_it(void **state)
{
	struct pool_spec spec = pool_of(x_and_y, 2);
	uint32_t promises = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct rng rng = {seed};
		struct day d = {.w = world_new(&spec)};
		uint32_t submitted = 0;

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
		cmocka_unit_test(test_nobody_delays_it),
	};

	return cmocka_run_group_tests_name("reservation", tests, NULL, NULL);
}
