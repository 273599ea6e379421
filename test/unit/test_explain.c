/* SPDX-License-Identifier: Apache-2.0
 * test_explain.c: each reason for waiting, with its numbers, and nothing changed by asking. */
#include "core_fixture.h"

/* x: 4 nodes of 4 cards a in racks of 2. y: 1 node of 2 cards b. */
static const struct line_spec line_a = {.count = 4,
                                        .kind = "a",
                                        .cards = 4,
                                        .cpus_milli = 16000,
                                        .memory_mib = 1000,
                                        .nodes_per_rack = 2},
							  line_b = {.count = 1, .kind = "b", .cards = 2, .cpus_milli = 8000, .memory_mib = 1000};
static const struct centre_spec x_and_y[] = {
	{.name = "x", .region = "r", .engine = "simulated", .capabilities = CAN_ALL, .lines = &line_a, .n_lines = 1},
	{.name = "y", .region = "r", .engine = "simulated", .capabilities = CAN_ALL, .lines = &line_b, .n_lines = 1}};

static struct world *usual_world(void)
{
	struct pool_spec spec = pool_of(x_and_y, 2);

	return world_new(&spec);
}

static struct explanation ask(const struct world *w, uint32_t job)
{
	struct hash before = core_digest(w->core), after;
	struct explanation x;

	assert_int_equal(core_explain(w->core, job, w->now_us, &x, NULL), 0);
	after = core_digest(w->core);
	assert_memory_equal(&before, &after, sizeof before);
	return x;
}

static void says(const struct explanation *x, enum reason reason, const char *text)
{
	assert_string_equal(reason_word(x->reason), reason_word(reason));
	if (!strstr(x->text, text))
		fail_msg("\"%s\" is not in: %s", text, x->text);
}

static void test_waiting_for_others(void **state)
{
	struct world *w = usual_world();
	uint32_t first = world_submit(w, (struct want){.cards_milli = 1000}),
			 second = world_submit(w, (struct want){.cards_milli = 1000});
	uint32_t after = world_submit(w,
	                              (struct want){.cards_milli = 1000, .on = {{first, AFTER_ANY}, {second, AFTER_OK}}, .n_on = 2});
	uint32_t later = world_submit(w, (struct want){.cards_milli = 1000, .begin_us = w->now_us + US_HOUR});
	uint32_t array = world_submit(w, (struct want){.cards_milli = 1000, .array = {0, 9, 1}, .parallel_max = 2});
	struct explanation x;

	(void)state;
	x = ask(w, first);
	says(&x, REASON_NONE, "stage_in");
	x = ask(w, after);
	says(&x, REASON_DEPENDENCY, "job 1");
	assert_int_equal(x.blocker, first);
	world_end(w, first, 0);
	x = ask(w, after);
	assert_int_equal(x.blocker, second);
	x = ask(w, later);
	says(&x, REASON_BEGIN, "1970-01-01T01:16:40");
	x = ask(w, array);
	says(&x, REASON_ARRAY, "2 of its elements run");
	world_cancel(w, later);
	x = ask(w, later);
	says(&x, REASON_NONE, "canceled");
	assert_int_equal(core_explain(w->core, 99, w->now_us, &x, &w->err), ERR_NOT_FOUND);
	assert_int_equal(core_explain(w->core, 0, w->now_us, &x, NULL), ERR_NOT_FOUND);
	world_free(w);
}

static void test_waiting_for_cards(void **state)
{
	struct world *w = usual_world();
	uint32_t gang, next, last;
	struct explanation x;

	(void)state;
	world_submit(w, (struct want){.nodes = 3, .cards_milli = 4000, .limit_us = US_HOUR});
	gang = world_submit(w, (struct want){.nodes = 2, .cards_milli = 2000, .limit_us = US_HOUR});
	next = world_submit(w, (struct want){.nodes = 2, .cards_milli = 2000, .limit_us = US_HOUR});
	last = world_submit(w, (struct want){.nodes = 4, .cards_milli = 3000, .limit_us = US_HOUR});
	x = ask(w, gang);
	says(&x, REASON_RESOURCES, "2 node(s)");
	assert_int_equal(x.need_nodes, 2);
	assert_int_equal(x.free_nodes, 1);
	assert_int_equal(x.free_milli, 4000);
	assert_int_equal(x.total_milli, 16000);
	assert_int_equal(x.kind, 0);
	assert_int_equal(x.centre, 0);
	assert_int_equal(x.ahead, 0);
	assert_int_equal(x.start_us, w->now_us + US_HOUR); /* it holds the reservation */
	x = ask(w, next);
	assert_int_equal(x.ahead, 1);
	assert_int_equal(x.start_us, US_NEVER);
	x = ask(w, last);
	assert_int_equal(x.ahead, 2);
	says(&x, REASON_RESOURCES, "4 node(s)");
	world_free(w);
}

static void test_waiting_for_cpus(void **state)
{
	struct world *w = usual_world();
	uint32_t id;
	struct explanation x;

	(void)state;
	for (int i = 0; i < 4; i++)
		world_submit(w, (struct want){.cards_milli = 1000, .cpus_milli = 15500});
	id = world_submit(w, (struct want){.cpus_milli = 9500});
	x = ask(w, id);
	says(&x, REASON_RESOURCES, "9.500 CPUs");
	assert_int_equal(x.free_nodes, 0);
	world_free(w);
}

/* Enough nodes are free, but not within one rack. */
static void test_spread(void **state)
{
	struct world *w = usual_world();
	uint32_t filler[2], id;
	struct explanation x;

	(void)state;
	filler[0] = world_submit(w, (struct want){.nodes = 2, .cards_milli = 4000, .highest = TIER_RACK});
	filler[1] = world_submit(w, (struct want){.nodes = 2, .cards_milli = 4000, .highest = TIER_RACK});
	world_end(w, filler[0], 0);
	world_end(w, filler[1], 0);
	world_submit(w, (struct want){.cards_milli = 4000});
	filler[0] = world_submit(w, (struct want){.nodes = 2, .cards_milli = 4000, .highest = TIER_RACK});
	world_submit(w, (struct want){.cards_milli = 4000});
	world_end(w, filler[0], 0);
	world_submit(w, (struct want){.cards_milli = 4000});
	world_end(w, 3, 0); /* one node in each rack is free */
	id = world_submit(w, (struct want){.nodes = 2, .cards_milli = 4000, .highest = TIER_RACK});
	assert_state(w, id, JOB_QUEUED);
	x = ask(w, id);
	says(&x, REASON_SPREAD, "within one rack");
	assert_int_equal(x.free_nodes, 2);
	world_free(w);
}

static void test_reserved(void **state)
{
	struct world *w = usual_world();
	uint32_t first, id;
	struct explanation x;

	(void)state;
	world_submit(w, (struct want){.nodes = 4, .cards_milli = 3000, .limit_us = US_HOUR});
	first = world_submit(w, (struct want){.nodes = 4, .cards_milli = 4000, .limit_us = US_HOUR});
	id = world_submit(w, (struct want){.cards_milli = 1000, .limit_us = 2 * US_HOUR});
	x = ask(w, id);
	says(&x, REASON_RESERVED, "job 2");
	assert_int_equal(x.blocker, first);
	assert_int_equal(x.free_nodes, 4);
	world_free(w);
}

/* The pool shrank: what could be held when it was accepted can't be any more, and is not in anybody's way. */
static void test_never(void **state)
{
	struct world *w = usual_world();
	struct pool_spec only_y = pool_of(&x_and_y[1], 1);
	uint32_t id, after;
	struct explanation x;

	(void)state;
	world_submit(w, (struct want){.nodes = 4, .cards_milli = 4000});
	id = world_submit(w, (struct want){.nodes = 4, .cards_milli = 4000});
	world_pool(w, &only_y);
	after = world_submit(w, (struct want){.kind = "b", .cards_milli = 2000});
	assert_state(w, after, JOB_STAGE_IN);
	x = ask(w, id);
	says(&x, REASON_NEVER, "nothing in the pool");
	assert_int_equal(x.total_milli, 0);
	world_free(w);
}

/* A centre that is silent has room that nothing is started on. */
static void test_silent(void **state)
{
	struct world *w = usual_world();
	uint32_t id;
	struct explanation x;

	(void)state;
	world_silence(w, 0, true);
	id = world_submit(w, (struct want){.cards_milli = 1000});
	x = ask(w, id);
	says(&x, REASON_RESOURCES, "x is silent");
	assert_int_equal(x.free_nodes, 0);
	assert_int_equal(x.free_milli, 0);
	world_free(w);
}

static void test_words(void **state)
{
	(void)state;
	for (int a = 0; a < REASON_COUNT; a++)
		for (int b = 0; b < a; b++)
			assert_string_not_equal(reason_word((enum reason)a), reason_word((enum reason)b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waiting_for_others),
		cmocka_unit_test(test_waiting_for_cards),
		cmocka_unit_test(test_waiting_for_cpus),
		cmocka_unit_test(test_spread),
		cmocka_unit_test(test_reserved),
		cmocka_unit_test(test_never),
		cmocka_unit_test(test_silent),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests_name("explain", tests, NULL, NULL);
}
