/* SPDX-License-Identifier: Apache-2.0
 * test_plan_check.c: the checker lets right plans pass, and finds each wrong one by the rule that it breaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/pool.h"
#include "sim/plan_check.h"

enum { TASKS_MAX = 4 };

/* Centre 0 has racks of 2 and pods of 4 nodes of kind 0, and a node of kind 1; centre 1 counts its cards, and runs images only.
 */
static const struct line_spec lines[2][2] = {
	{{.count = 8, .kind = "a", .cards = 8, .cpus_milli = 16000, .memory_mib = 65536, .nodes_per_rack = 2, .racks_per_pod = 2},
     {.count = 1, .kind = "b", .cards = 4, .cpus_milli = UNCOUNTED, .memory_mib = UNCOUNTED}},
	{{.count = 2, .kind = "a", .cards = 8, .cpus_milli = 16000, .memory_mib = 65536}},
};
static const struct kind_spec kinds[] = {{.name = "a"}, {.name = "b"}};
static const struct centre_spec centres[] = {
	{.name = "exact", .capabilities = CAN_EXACT_CARDS | CAN_FRACTIONS | CAN_BARE, .lines = lines[0], .n_lines = 2},
	{.name = "counted", .capabilities = CAN_IMAGES, .lines = lines[1], .n_lines = 1},
};
static const struct pool_spec pool = {.name = "p", .kinds = kinds, .n_kinds = 2, .centres = centres, .n_centres = 2};

/* A checker that has been told of the pool, and how to tell it more. */
struct story {
	struct plan_check *checker;
	struct err err;
	us_t now_us;
	struct request request;
	struct submitted submitted;
	struct task tasks[TASKS_MAX];
	struct claim claims[3];
	struct placed placed;
};

static int tell(struct story *s, struct event event)
{
	event.at_us = s->now_us;
	return plan_check_event(s->checker, &event, &s->err);
}

static int setup(void **state)
{
	static struct story story;

	story = (struct story){.checker = plan_check_new()};
	*state = &story;
	return tell(&story, (struct event){.type = EVENT_POOL, .pool = pool});
}

static int teardown(void **state)
{
	plan_check_free(((struct story *)*state)->checker);
	return 0;
}

/* Fills in a job of `nodes` nodes with so many thousandths of cards of kind 0, 1 CPU and 1,024 MiB each, at most 100 s. */
static void ask(struct story *s, uint32_t job, uint32_t nodes, uint32_t cards_milli)
{
	s->request = (struct request){
		.kind = 0, .cards_milli = cards_milli, .cpus_milli = 1000, .memory_mib = 1024, .centre = CENTRE_ANY, .speed_milli = 1000};
	s->submitted = (struct submitted){
		.job = job,
		.name = "j",
		.project = "p",
		.user = "u",
		.group = {.nodes = nodes, .n_requests = 1, .requests = &s->request, .highest = TIER_CENTRE, .hard = 1},
		.priority = 100,
		.limit_us = 100 * US_SECOND,
		.secrets = ""};
}

static int submit(struct story *s)
{
	return tell(s, (struct event){.type = EVENT_SUBMITTED, .submitted = s->submitted});
}

/* Fills in the right plan for what was asked last: on the nodes from `node` on, with the first cards of each. */
static void plan(struct story *s, uint32_t centre, uint32_t node)
{
	uint32_t n = s->submitted.group.nodes, whole = (s->request.cards_milli + 999) / 1000;
	us_t until_us = us_add(s->now_us, s->submitted.limit_us);

	for (uint32_t i = 0; i < n; i++)
		s->tasks[i] = (struct task){.centre = centre,
		                            .node = node + i,
		                            .cards_milli = s->request.cards_milli,
		                            .cards = centre == 0 ? (1u << whole) - 1 : 0};
	s->claims[0] = (struct claim){resource_id(RESOURCE_CARDS, centre, s->request.kind), (uint64_t)n * s->request.cards_milli};
	s->claims[1] = (struct claim){resource_id(RESOURCE_CPUS, centre, 0), (uint64_t)n * s->request.cpus_milli};
	s->claims[2] = (struct claim){resource_id(RESOURCE_MEMORY, centre, 0), (uint64_t)n * s->request.memory_mib};
	for (int i = 0; i < 3; i++) {
		s->claims[i].from_us = s->now_us;
		s->claims[i].until_us = until_us;
	}
	s->placed = (struct placed){.job = s->submitted.job,
	                            .attempt = 1,
	                            .plan = {.start_us = s->now_us,
	                                     .until_us = until_us,
	                                     .kind = s->request.kind,
	                                     .tasks = s->tasks,
	                                     .n_tasks = n,
	                                     .claims = s->claims,
	                                     .n_claims = 3}};
}

static int place(struct story *s)
{
	return tell(s, (struct event){.type = EVENT_PLACED, .placed = s->placed});
}

static int end(struct story *s, uint32_t job, uint32_t attempt, enum job_state then)
{
	struct event event = {.type = EVENT_ENDED};

	event.ended = (struct ended){.job = job, .attempt = attempt, .attempt_state = ATTEMPT_ENDED, .then = then, .note = ""};
	return tell(s, event);
}

/* The plan that is filled in, moved to start at an instant, as a reservation. */
static int reserve(struct story *s, us_t start_us, enum cause cause)
{
	struct event event = {.type = EVENT_RESERVED};

	s->placed.plan.start_us = start_us;
	s->placed.plan.until_us = us_add(start_us, s->submitted.limit_us);
	for (int i = 0; i < 3; i++) {
		s->claims[i].from_us = start_us;
		s->claims[i].until_us = s->placed.plan.until_us;
	}
	event.reserved.job = s->submitted.job;
	event.reserved.cause = cause;
	event.reserved.plan = s->placed.plan;
	return tell(s, event);
}

#define assert_right(call) \
	do { \
		if ((call) != 0) \
			fail_msg("%s: %s: %s", #call, s->err.subject, s->err.text); \
	} while (0)

#define assert_wrong(call, says) \
	do { \
		assert_int_equal(call, ERR_CORRUPT); \
		if (!strstr(s->err.text, says)) \
			fail_msg("%s: \"%s\", expected \"%s\"", #call, s->err.text, says); \
	} while (0)

/* ---- Right ---- */

static void right_plans_pass(void **state)
{
	struct story *s = *state;

	ask(s, 1, 2, 4000);
	assert_right(submit(s));
	plan(s, 0, 0);
	assert_right(place(s));
	ask(s, 2, 1, 500);
	assert_right(submit(s));
	plan(s, 0, 0);
	s->tasks[0].cards = 1 << 4;
	assert_right(place(s));
	ask(s, 3, 1, 500);
	assert_right(submit(s));
	plan(s, 0, 0);
	s->tasks[0].cards = 1 << 4;
	assert_right(place(s));
	s->now_us = 50 * US_SECOND;
	assert_right(end(s, 1, 1, JOB_COMPLETED));
	ask(s, 4, 1, 4000);
	assert_right(submit(s));
	plan(s, 0, 0);
	assert_right(place(s));
	assert_int_equal(plan_check_count(s->checker), 4);
}

/* A job at a centre that counts its cards: which ones is told when it runs. */
static void bound_cards_count(void **state)
{
	struct story *s = *state;
	struct event event = {.type = EVENT_BOUND};

	for (uint32_t job = 1; job <= 2; job++) {
		ask(s, job, 1, 4000);
		s->request.image = 1;
		assert_right(submit(s));
		plan(s, 1, 0);
		assert_right(place(s));
	}
	s->tasks[0].cards = 0xf0;
	event.bound.job = 1;
	event.bound.attempt = 1;
	event.bound.tasks = s->tasks;
	event.bound.n_tasks = 1;
	assert_right(tell(s, event));
	event.bound.job = 2;
	s->tasks[0].cards = 0x1e;
	assert_wrong(tell(s, event), "card 4 is in use");
}

/* ---- Wrong by itself: each case changes one thing of a right plan ---- */

static void c_node_twice(struct story *s)
{
	s->tasks[1].node = s->tasks[0].node;
}
static void c_no_node(struct story *s)
{
	s->tasks[1].node = 9;
}
static void c_too_few(struct story *s)
{
	s->placed.plan.n_tasks = 1;
}
static void c_other_kind(struct story *s)
{
	s->placed.plan.kind = 1;
}
static void c_node_of_other_kind(struct story *s)
{
	s->tasks[1].node = 8;
}
static void c_fewer_cards(struct story *s)
{
	s->tasks[1].cards = 1;
}
static void c_other_amount(struct story *s)
{
	s->tasks[1].cards_milli = 1000;
}
static void c_card_past_end(struct story *s)
{
	s->tasks[1].cards = 0x180;
}
static void c_until(struct story *s)
{
	s->placed.plan.until_us++;
}
static void c_request(struct story *s)
{
	s->placed.plan.request = 1;
}
static void c_two_centres(struct story *s)
{
	s->tasks[1] = (struct task){.centre = 1, .node = 0, .cards_milli = 2000};
}
static void c_claim_amount(struct story *s)
{
	s->claims[0].amount--;
}
static void c_claim_missing(struct story *s)
{
	s->claims[0] = s->claims[--s->placed.plan.n_claims];
}
static void c_claim_twice(struct story *s)
{
	s->claims[2] = s->claims[0];
}
static void c_claim_from(struct story *s)
{
	s->claims[1].from_us++;
}
static void c_attempt(struct story *s)
{
	s->placed.attempt = 2;
}
static void c_job(struct story *s)
{
	s->placed.job = 7;
}
static void c_start(struct story *s)
{
	s->now_us = 1;
}
static void c_group(struct story *s)
{
	s->tasks[0].group = 1;
}

static void wrong_plans_are_found(void **state)
{
	static const struct {
		void (*change)(struct story *s);
		const char *says;
	} cases[] = {
		{c_node_twice, "in the gang twice"},
		{c_no_node, "has no node 9"},
		{c_too_few, "1 nodes for a gang of 2"},
		{c_other_kind, "and 0 was asked for"},
		{c_node_of_other_kind, "another kind"},
		{c_fewer_cards, "1 cards named"},
		{c_other_amount, "were asked for"},
		{c_card_past_end, "past the 8"},
		{c_until, "isn't its start"},
		{c_request, "request 1 of 1"},
		{c_two_centres, "several centres"},
		{c_claim_amount, "tasks sum to"},
		{c_claim_missing, "no claim on"},
		{c_claim_twice, "or twice"},
		{c_claim_from, "isn't the plan's"},
		{c_attempt, "attempt 2 after 0"},
		{c_job, "job 7 doesn't wait"},
		{c_start, "isn't now"},
		{c_group, "group 1"},
	};
	struct story *s = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		ask(s, 1, 2, 2000);
		assert_right(submit(s));
		plan(s, 0, 0);
		cases[i].change(s);
		assert_wrong(place(s), cases[i].says);
		teardown(state);
		assert_int_equal(setup(state), 0);
	}
}

static void gangs_stay_within_their_tier(void **state)
{
	static const struct {
		enum tier highest;
		uint32_t first, second;
		bool right;
	} cases[] = {
		{TIER_RACK, 0, 1, true}, {TIER_RACK, 1, 2, false},  {TIER_POD, 1, 2, true},
		{TIER_POD, 3, 4, false}, {TIER_CENTRE, 0, 7, true}, {TIER_NODE, 0, 1, false},
	};
	struct story *s = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		ask(s, 1, 2, 1000);
		s->submitted.group.highest = cases[i].highest;
		assert_right(submit(s));
		plan(s, 0, cases[i].first);
		s->tasks[1].node = cases[i].second;
		if (cases[i].right)
			assert_right(place(s));
		else
			assert_wrong(place(s), "wider than one");
		teardown(state);
		assert_int_equal(setup(state), 0);
	}
}

static void capabilities_are_needed(void **state)
{
	struct story *s = *state;

	ask(s, 1, 1, 2000);
	s->request.image = 1;
	assert_right(submit(s));
	plan(s, 0, 0);
	assert_wrong(place(s), "runs no images");
	ask(s, 2, 1, 2000);
	assert_right(submit(s));
	plan(s, 1, 0);
	assert_wrong(place(s), "nothing without an image");
	ask(s, 3, 1, 500);
	s->request.image = 1;
	assert_right(submit(s));
	plan(s, 1, 0);
	assert_wrong(place(s), "no shares");
	ask(s, 4, 1, 1000);
	s->request.centre = 1;
	assert_right(submit(s));
	plan(s, 0, 0);
	assert_wrong(place(s), "1 was asked for");
}

/* ---- Wrong beside another ---- */

static void cards_are_given_once(void **state)
{
	struct story *s = *state;

	ask(s, 1, 1, 4000);
	assert_right(submit(s));
	plan(s, 0, 0);
	assert_right(place(s));
	ask(s, 2, 1, 1000);
	assert_right(submit(s));
	plan(s, 0, 0);
	s->tasks[0].cards = 1 << 3;
	assert_wrong(place(s), "card 3 of node 0");
}

static void shares_never_sum_over_a_card(void **state)
{
	struct story *s = *state;

	ask(s, 1, 1, 600);
	assert_right(submit(s));
	plan(s, 0, 0);
	assert_right(place(s));
	ask(s, 2, 1, 401);
	assert_right(submit(s));
	plan(s, 0, 0);
	assert_wrong(place(s), "600 thousandths are in use, 401 more");
}

static void counted_cards_run_out(void **state)
{
	struct story *s = *state;

	for (uint32_t job = 1; job <= 2; job++) {
		ask(s, job, 1, 5000);
		s->request.image = 1;
		assert_right(submit(s));
		plan(s, 1, 0);
		if (job == 1)
			assert_right(place(s));
		else
			assert_wrong(place(s), "more cards than it has");
	}
}

static void cpus_and_memory_run_out(void **state)
{
	struct story *s = *state;

	for (int memory = 0; memory < 2; memory++) {
		for (uint32_t job = 1; job <= 2; job++) {
			ask(s, job, 1, 1000);
			*(memory ? &s->request.memory_mib : &s->request.cpus_milli) = memory ? 40000 : 9000;
			assert_right(submit(s));
			plan(s, 0, 0);
			s->tasks[0].cards = 1u << job;
			if (job == 1)
				assert_right(place(s));
			else
				assert_wrong(place(s), memory ? "80000 MiB" : "18000 thousandths of CPUs");
		}
		teardown(state);
		assert_int_equal(setup(state), 0);
	}
}

static void attempts_follow_each_other(void **state)
{
	struct story *s = *state;

	ask(s, 1, 1, 1000);
	assert_right(submit(s));
	plan(s, 0, 0);
	assert_right(place(s));
	assert_wrong(place(s), "doesn't wait");
	assert_wrong(end(s, 1, 2, JOB_COMPLETED), "isn't the one in force");
	assert_right(end(s, 1, 1, JOB_QUEUED));
	assert_wrong(place(s), "attempt 1 after 1");
	s->placed.attempt = 2;
	assert_right(place(s));
	assert_right(end(s, 1, 2, JOB_COMPLETED));
	assert_wrong(end(s, 1, 2, JOB_COMPLETED), "is over");
}

static void dependencies_and_begin_are_kept(void **state)
{
	struct story *s = *state;
	struct dependency_spec on = {1, AFTER_OK};

	ask(s, 1, 1, 1000);
	s->submitted.begin_us = 5 * US_SECOND;
	assert_right(submit(s));
	plan(s, 0, 0);
	assert_wrong(place(s), "before its begin");
	ask(s, 2, 1, 1000);
	s->submitted.dependencies = &on;
	s->submitted.n_dependencies = 1;
	assert_right(submit(s));
	plan(s, 0, 0);
	assert_wrong(place(s), "depends on job 1");
	assert_right(end(s, 1, 0, JOB_CANCELED));
	assert_wrong(place(s), "depends on job 1");
}

static void elements_are_taken_once(void **state)
{
	static const struct range range = {0, 10, 5};
	struct story *s = *state;

	ask(s, 1, 1, 1000);
	s->submitted.array = &range;
	s->submitted.n_array = 1;
	s->submitted.array_parallel_max = 2;
	assert_right(submit(s));
	plan(s, 0, 0);
	assert_wrong(place(s), "doesn't wait"); /* the array itself isn't placed */
	s->placed.array = 1;
	for (uint32_t i = 0; i < 3; i++) {
		s->placed.job = 2 + i;
		s->placed.index = 5 * i;
		s->tasks[0].cards = 1u << i;
		if (i < 2)
			assert_right(place(s));
		else
			assert_wrong(place(s), "3 elements");
	}
	s->placed.job = 9;
	s->placed.index = 5;
	assert_wrong(place(s), "taken before");
	s->placed.index = 6;
	assert_wrong(place(s), "no index 6");
}

/* ---- Promises ---- */

/* Job 1 has node 0 until 100 s; job 2 is promised nodes 0 and 1 then. */
static void promise(struct story *s)
{
	ask(s, 1, 1, 8000);
	assert_right(submit(s));
	plan(s, 0, 0);
	assert_right(place(s));
	ask(s, 2, 2, 8000);
	assert_right(submit(s));
	plan(s, 0, 0);
	assert_right(reserve(s, 100 * US_SECOND, CAUSE_FIRST));
}

static void promises_are_kept(void **state)
{
	struct story *s = *state;

	promise(s);
	ask(s, 3, 1, 1000);
	assert_right(submit(s));
	plan(s, 0, 1);
	assert_right(place(s)); /* until 100 s */
	ask(s, 4, 1, 8000);
	s->submitted.limit_us = US_NEVER;
	assert_right(submit(s));
	plan(s, 0, 2);
	assert_right(place(s)); /* elsewhere */
	ask(s, 5, 1, 1000);
	s->submitted.limit_us = 101 * US_SECOND;
	assert_right(submit(s));
	plan(s, 0, 1);
	s->tasks[0].cards = 2;
	assert_wrong(place(s), "is promised to job 2");
}

static void promised_cpus_are_kept(void **state)
{
	struct story *s = *state;

	ask(s, 1, 1, 1000);
	s->request.cpus_milli = 10000;
	assert_right(submit(s));
	plan(s, 0, 0);
	assert_right(place(s));
	ask(s, 2, 1, 1000);
	s->request.cpus_milli = 12000;
	assert_right(submit(s));
	plan(s, 0, 0);
	assert_right(reserve(s, 100 * US_SECOND, CAUSE_FIRST));
	ask(s, 3, 1, 1000);
	s->request.cpus_milli = 5000;
	s->submitted.limit_us = US_NEVER;
	assert_right(submit(s));
	plan(s, 0, 0);
	s->tasks[0].cards = 2;
	assert_wrong(place(s), "no room at 100000000");
}

/* What comes before it in the queue may take what it finds; the promise is made anew, and may be later then. */
static void promises_yield_to_what_is_before(void **state)
{
	struct story *s = *state;

	promise(s);
	ask(s, 3, 1, 8000);
	s->submitted.priority = 200;
	s->submitted.limit_us = 500 * US_SECOND;
	assert_right(submit(s));
	plan(s, 0, 1);
	assert_right(place(s));
	ask(s, 2, 2, 8000);
	plan(s, 0, 0);
	assert_wrong(reserve(s, 100 * US_SECOND, CAUSE_ORDER), "is promised to job 2"); /* still in use then */
}

static void promises_move_for_a_cause(void **state)
{
	struct story *s = *state;

	promise(s);
	assert_wrong(reserve(s, 200 * US_SECOND, CAUSE_FIRST), "moves from 100000000 to 200000000");
	teardown(state);
	assert_int_equal(setup(state), 0);
	promise(s);
	assert_right(reserve(s, 200 * US_SECOND, CAUSE_CAPACITY));
	assert_right(reserve(s, 150 * US_SECOND, CAUSE_FIRST));
}

static void promises_are_possible(void **state)
{
	struct story *s = *state;

	promise(s);
	assert_wrong(reserve(s, 99 * US_SECOND, CAUSE_FIRST), "has it until 100000000");
	teardown(state);
	assert_int_equal(setup(state), 0);
	promise(s);
	s->now_us = 101 * US_SECOND;
	assert_wrong(reserve(s, 100 * US_SECOND, CAUSE_ORDER), "which is past");
}

static void silent_centres_get_nothing(void **state)
{
	struct story *s = *state;
	struct event event = {.type = EVENT_CENTRE};

	event.centre.silent = true;
	assert_right(tell(s, event));
	ask(s, 1, 1, 1000);
	assert_right(submit(s));
	plan(s, 0, 0);
	assert_wrong(place(s), "is silent");
}

/* A smaller pool: what runs on a node that is still there keeps its cards. */
static void a_new_pool_keeps_what_runs(void **state)
{
	struct story *s = *state;
	struct line_spec line = lines[0][0];
	struct centre_spec centre = centres[0];
	struct pool_spec smaller = pool;

	ask(s, 1, 2, 8000);
	assert_right(submit(s));
	plan(s, 0, 0);
	assert_right(place(s));
	line.count = 1;
	centre.lines = &line;
	centre.n_lines = 1;
	smaller.centres = &centre;
	smaller.n_centres = 1;
	assert_right(tell(s, (struct event){.type = EVENT_POOL, .pool = smaller}));
	ask(s, 2, 1, 1000);
	assert_right(submit(s));
	plan(s, 0, 0);
	assert_wrong(place(s), "card 0 of node 0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		CASE(right_plans_pass),
		CASE(bound_cards_count),
		CASE(wrong_plans_are_found),
		CASE(gangs_stay_within_their_tier),
		CASE(capabilities_are_needed),
		CASE(cards_are_given_once),
		CASE(shares_never_sum_over_a_card),
		CASE(counted_cards_run_out),
		CASE(cpus_and_memory_run_out),
		CASE(attempts_follow_each_other),
		CASE(dependencies_and_begin_are_kept),
		CASE(elements_are_taken_once),
		CASE(promises_are_kept),
		CASE(promised_cpus_are_kept),
		CASE(promises_yield_to_what_is_before),
		CASE(promises_move_for_a_cause),
		CASE(promises_are_possible),
		CASE(silent_centres_get_nothing),
		CASE(a_new_pool_keeps_what_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
