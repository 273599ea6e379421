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
/* Three projects of a cohort, of which b keeps 4 of its cards to itself; and a group above one that borrows nothing. */
static const struct quota_spec quotas[] = {
	{.kind = "a", .nominal_milli = 8000, .borrowing_milli = 6000, .lending_milli = AMOUNT_NONE},
	{.kind = "a", .nominal_milli = 8000, .borrowing_milli = AMOUNT_NONE, .lending_milli = 4000},
	{.kind = "a", .nominal_milli = 0, .borrowing_milli = AMOUNT_NONE, .lending_milli = AMOUNT_NONE},
	{.kind = "a", .nominal_milli = 4000, .borrowing_milli = AMOUNT_NONE, .lending_milli = AMOUNT_NONE},
};
static const struct project_spec projects[] = {
	{.name = "a", .cohort = "c", .weight_milli = 1000, .quotas = &quotas[0], .n_quotas = 1},
	{.name = "b", .cohort = "c", .weight_milli = 1000, .quotas = &quotas[1], .n_quotas = 1},
	{.name = "guest", .cohort = "c", .weight_milli = 1000, .quotas = &quotas[2], .n_quotas = 1},
	{.name = "group", .weight_milli = 1000, .quotas = &quotas[3], .n_quotas = 1},
	{.name = "child", .parent = "group", .weight_milli = 1000},
	{.name = "p", .weight_milli = 1000},
};
static const struct pool_spec pool = {.name = "p",
                                      .kinds = kinds,
                                      .n_kinds = 2,
                                      .centres = centres,
                                      .n_centres = 2,
                                      .projects = projects,
                                      .n_projects = sizeof projects / sizeof *projects};

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
		.preemptible_after_us = US_NEVER,
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

static int end_by(struct story *s, uint32_t job, uint32_t attempt, enum cause cause, enum job_state then)
{
	struct event event = {.type = EVENT_ENDED};

	event.ended = (struct ended){
		.job = job, .attempt = attempt, .attempt_state = ATTEMPT_ENDED, .cause = cause, .then = then, .note = ""};
	return tell(s, event);
}

static int end(struct story *s, uint32_t job, uint32_t attempt, enum job_state then)
{
	return end_by(s, job, attempt, CAUSE_EXIT, then);
}

static int runs(struct story *s, uint32_t job, uint32_t attempt)
{
	struct event event = {.type = EVENT_ATTEMPT};

	event.attempt.job = job;
	event.attempt.attempt = attempt;
	event.attempt.state = ATTEMPT_RUNNING;
	event.attempt.at_us = s->now_us;
	event.attempt.native_id = "";
	return tell(s, event);
}

static int stop(struct story *s, uint32_t job, enum cause cause)
{
	struct event event = {.type = EVENT_STOPPING};

	event.stopping.job = job;
	event.stopping.attempt = 1;
	event.stopping.cause = cause;
	event.stopping.who = "";
	return tell(s, event);
}

static int configure(struct story *s, enum policy policy, uint32_t reservations)
{
	struct event event = {.type = EVENT_CONFIG, .config = config_default()};

	event.config.policy = policy;
	event.config.reservations = reservations;
	return tell(s, event);
}

static int mark(struct story *s, uint32_t node, enum node_state state)
{
	struct event event = {.type = EVENT_NODE};

	event.node.range = (struct node_range){node, node};
	event.node.state = state;
	event.node.note = "";
	return tell(s, event);
}

/* Booking 1: nodes 0 to 2 and 4 of centre 0. project: "" for a drain. */
static int book(struct story *s, const char *project, us_t from_us, us_t until_us)
{
	static const struct node_range ranges[] = {{0, 2}, {4, 4}};
	struct event event = {.type = EVENT_BOOKED};

	event.booked = (struct booked){
		.booking = 1, .name = "b", .project = project, .ranges = ranges, .n_ranges = 2, .from_us = from_us, .until_us = until_us};
	return tell(s, event);
}

static int unbook(struct story *s, enum cause cause)
{
	struct event event = {.type = EVENT_UNBOOKED};

	event.unbooked.booking = 1;
	event.unbooked.cause = cause;
	return tell(s, event);
}

/* The plan that is filled in, moved to start at an instant, as a reservation for which victims leave. */
static int reserve_with(struct story *s, us_t start_us, enum cause cause, const uint32_t *victims, uint32_t n)
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
	event.reserved.victims = victims;
	event.reserved.n_victims = n;
	return tell(s, event);
}

static int reserve(struct story *s, us_t start_us, enum cause cause)
{
	return reserve_with(s, start_us, cause, NULL, 0);
}

static int unreserve(struct story *s, uint32_t job, enum cause cause)
{
	struct event event = {.type = EVENT_UNRESERVED};

	event.unreserved.job = job;
	event.unreserved.cause = cause;
	return tell(s, event);
}

/* Begins anew, with nothing told but the pool. */
static void again(struct story *s)
{
	void *state = s;

	plan_check_free(s->checker);
	assert_int_equal(setup(&state), 0);
}

/* A job of one node, submitted, with its plan filled in: on that node of centre 0, its first cards. */
static void bring(struct story *s, uint32_t job, uint32_t cards, uint32_t node)
{
	ask(s, job, 1, 1000 * cards);
	assert_int_equal(submit(s), 0);
	plan(s, 0, node);
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
	s->submitted.rerun_when_lost = true;
	s->submitted.max_restarts = 1;
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

/* Whoever comes: what was promised is first taken back, for a stated cause. */
static void promises_yield_only_when_taken_back(void **state)
{
	struct story *s = *state;

	promise(s);
	ask(s, 3, 1, 8000);
	s->submitted.priority = 200;
	s->submitted.limit_us = 500 * US_SECOND;
	assert_right(submit(s));
	plan(s, 0, 1);
	assert_wrong(place(s), "is promised to job 2");
	again(s);
	promise(s);
	assert_right(unreserve(s, 2, CAUSE_ORDER));
	bring(s, 3, 8, 1);
	assert_right(place(s));
	ask(s, 2, 2, 8000);
	plan(s, 0, 0);
	assert_right(reserve(s, 200 * US_SECOND, CAUSE_FIRST));
}

static void promises_move_for_a_cause(void **state)
{
	struct story *s = *state;

	promise(s);
	assert_wrong(reserve(s, 200 * US_SECOND, CAUSE_FIRST), "moves from 100000000 to 200000000");
	again(s);
	promise(s);
	assert_right(reserve(s, 200 * US_SECOND, CAUSE_ORDER));
	assert_right(reserve(s, 150 * US_SECOND, CAUSE_FIRST));
}

static int go_silent(struct story *s)
{
	struct event event = {.type = EVENT_CENTRE};

	event.centre.silent = true;
	return tell(s, event);
}

static int hear_again(struct story *s)
{
	return tell(s, (struct event){.type = EVENT_CENTRE});
}

static int nothing(struct story *s)
{
	(void)s;
	return 0;
}

static int pass_start(struct story *s)
{
	s->now_us = 101 * US_SECOND;
	return 0;
}

static int cordon(struct story *s)
{
	return mark(s, 1, NODE_CORDONED) ? ERR_CORRUPT : mark(s, 1, NODE_UP);
}

static int be_silent(struct story *s)
{
	return go_silent(s) ? ERR_CORRUPT : hear_again(s);
}

static int be_booked(struct story *s)
{
	return book(s, "a", 150 * US_SECOND, 160 * US_SECOND) ? ERR_CORRUPT : unbook(s, CAUSE_CANCEL);
}

/* A cause is stated, and it is so. */
static void causes_are_true(void **state)
{
	static const struct {
		int (*happens)(struct story *s);
		enum cause cause;
		bool right;
	} cases[] = {
		{nothing, CAUSE_CAPACITY, false},  {be_silent, CAUSE_CAPACITY, true}, {nothing, CAUSE_OVERRUN, false},
		{pass_start, CAUSE_OVERRUN, true}, {nothing, CAUSE_BOOKED, false},    {cordon, CAUSE_BOOKED, true},
		{be_booked, CAUSE_BOOKED, true},   {cordon, CAUSE_CAPACITY, false},   {nothing, CAUSE_NONE, false},
		{nothing, CAUSE_PREEMPTED, false},
	};
	struct story *s = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		promise(s);
		assert_right(cases[i].happens(s));
		if (cases[i].right)
			assert_right(reserve(s, 300 * US_SECOND, cases[i].cause));
		else
			assert_wrong(reserve(s, 300 * US_SECOND, cases[i].cause), "moves from");
		again(s);
		promise(s);
		assert_right(cases[i].happens(s));
		if (cases[i].right)
			assert_right(unreserve(s, 2, cases[i].cause));
		else
			assert_wrong(unreserve(s, 2, cases[i].cause), "which isn't so");
		again(s);
	}
	assert_wrong(unreserve(s, 2, CAUSE_ORDER), "was promised nothing");
}

/* Job 2 is promised nodes 0 and 1 from 100 s to 200 s. What else may be promised, with so many cards, when? */
static void promises_fit_together(void **state)
{
	static const struct {
		uint32_t node, cards;
		us_t start_us;
		const char *says; /* NULL: it is right */
	} cases[] = {
		{2, 8, 100 * US_SECOND, NULL}, {1, 1, 199 * US_SECOND, "is promised it until 200000000"},
		{1, 1, 200 * US_SECOND, NULL}, {1, 8, 0, NULL},
		{1, 8, 1, "is promised"}, /* it would run into the other's start */
		{0, 1, 200 * US_SECOND, NULL},
	};
	struct story *s = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_right(configure(s, POLICY_FIFO, 2));
		promise(s);
		bring(s, 3, cases[i].cards, cases[i].node);
		if (cases[i].says)
			assert_wrong(reserve(s, cases[i].start_us, CAUSE_FIRST), cases[i].says);
		else
			assert_right(reserve(s, cases[i].start_us, CAUSE_FIRST));
		again(s);
	}
}

/* Each of two promises is kept against what is placed; a third is one too many. */
static void every_promise_is_kept(void **state)
{
	struct story *s = *state;

	assert_right(configure(s, POLICY_FAIR, 2));
	promise(s);
	bring(s, 3, 4, 2);
	assert_right(reserve(s, 50 * US_SECOND, CAUSE_FIRST));
	bring(s, 4, 4, 2);
	assert_wrong(place(s), "is promised to job 3 at 50000000");
	again(s);
	assert_right(configure(s, POLICY_FAIR, 2));
	promise(s);
	bring(s, 3, 4, 2);
	assert_right(reserve(s, 50 * US_SECOND, CAUSE_FIRST));
	bring(s, 4, 4, 2);
	s->tasks[0].cards = 0xf0;
	assert_right(place(s));
	ask(s, 3, 1, 4000); /* its own promise isn't in its way */
	plan(s, 0, 2);
	assert_right(place(s));
	bring(s, 5, 1, 3);
	assert_right(reserve(s, 0, CAUSE_FIRST));
	bring(s, 6, 1, 4);
	assert_wrong(reserve(s, 0, CAUSE_FIRST), "at most 2 may");
}

/* What starves keeps its nodes from everybody else, however short. */
static void kept_nodes_are_kept(void **state)
{
	struct story *s = *state;

	bring(s, 1, 8, 0);
	assert_wrong(reserve(s, US_NEVER, CAUSE_FIRST), "no start");
	again(s);
	bring(s, 1, 8, 0);
	assert_right(reserve(s, US_NEVER, CAUSE_STARVED));
	bring(s, 2, 1, 1);
	assert_right(place(s));
	bring(s, 3, 1, 0);
	s->submitted.limit_us = 1;
	assert_wrong(place(s), "is kept for job 1");
	again(s);
	bring(s, 1, 8, 0);
	assert_right(reserve(s, US_NEVER, CAUSE_STARVED));
	plan(s, 0, 0);
	assert_right(place(s));
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

/* ---- Quotas ---- */

static void quotas_are_kept(void **state)
{
	/* Each line: jobs of so many cards of these projects, one after the other; only the last may be wrong. */
	static const struct {
		struct {
			const char *project;
			uint32_t cards;
		} jobs[4];
		const char *says; /* NULL: all are right */
	} cases[] = {
		{{{"p", 8}, {"p", 8}}, NULL}, /* without quotas */
		{{{"a", 8}}, NULL},           /* its own */
		{{{"a", 8}, {"a", 4}}, NULL}, /* b lends 4 */
		{{{"a", 8}, {"a", 5}}, "the 4000 that it may borrow"},
		{{{"b", 8}, {"b", 8}}, NULL}, /* a lends all */
		{{{"b", 8}, {"b", 8}, {"b", 1}}, "the 8000 that it may borrow"},
		{{{"guest", 8}, {"guest", 4}}, NULL},           /* has none of its own */
		{{{"guest", 8}, {"guest", 4}, {"b", 4}}, NULL}, /* what b keeps */
		{{{"guest", 8}, {"guest", 4}, {"b", 5}}, "cohort c"},
		{{{"guest", 8}, {"guest", 4}, {"a", 1}}, "cohort c"},
		{{{"group", 4}}, NULL},
		{{{"child", 3}, {"group", 1}}, NULL},
		{{{"child", 3}, {"group", 2}}, "project group"},
		{{{"child", 5}}, "project group"}, /* a child's count for those above */
	};
	struct story *s = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		for (uint32_t j = 0; j < 4 && cases[i].jobs[j].project; j++) {
			bool last = j == 3 || !cases[i].jobs[j + 1].project;

			ask(s, j + 1, 1, 1000 * cases[i].jobs[j].cards);
			s->submitted.project = cases[i].jobs[j].project;
			assert_right(submit(s));
			plan(s, 0, j);
			if (last && cases[i].says)
				assert_wrong(place(s), cases[i].says);
			else
				assert_right(place(s));
		}
		again(s);
	}
}

/* A kind that a project with quotas doesn't list, and what ends is free again. */
static void quotas_list_kinds(void **state)
{
	struct story *s = *state;

	ask(s, 1, 1, 4000);
	s->submitted.project = "group";
	assert_right(submit(s));
	plan(s, 0, 0);
	assert_right(place(s));
	assert_right(end(s, 1, 1, JOB_COMPLETED));
	ask(s, 2, 1, 4000);
	s->submitted.project = "group";
	assert_right(submit(s));
	plan(s, 0, 0);
	assert_right(place(s));
	ask(s, 3, 1, 1000);
	s->request.kind = 1;
	s->submitted.project = "a";
	assert_right(submit(s));
	plan(s, 0, 8);
	assert_wrong(place(s), "over its nominal quota of 0");
}

/* ---- Nodes that are out, and bookings ---- */

static void windows_are_kept(void **state)
{
	/* A job of project p and 100 s, placed at 0 on a node; booking 1 is of nodes 0, 1, 2 and 4. */
	static const struct {
		const char *project;
		us_t from_us, until_us;
		uint32_t node;
		bool right;
	} cases[] = {
		{"", 0, US_NEVER, 0, false},
		{"", 0, US_NEVER, 3, true},
		{"", 0, US_NEVER, 4, false},
		{"", 99 * US_SECOND, 200 * US_SECOND, 2, false},
		{"", 100 * US_SECOND, 200 * US_SECOND, 2, true}, /* it is over by then */
		{"a", 50 * US_SECOND, 60 * US_SECOND, 1, false},
		{"p", 50 * US_SECOND, 60 * US_SECOND, 1, true}, /* its own */
	};
	struct story *s = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_right(book(s, cases[i].project, cases[i].from_us, cases[i].until_us));
		bring(s, 1, 8, cases[i].node);
		if (cases[i].right)
			assert_right(place(s));
		else
			assert_wrong(place(s), "is booked (1)");
		again(s);
		assert_right(book(s, cases[i].project, cases[i].from_us, cases[i].until_us));
		bring(s, 1, 8, cases[i].node);
		if (cases[i].right)
			assert_right(reserve(s, 0, CAUSE_FIRST));
		else
			assert_wrong(reserve(s, 0, CAUSE_FIRST), "is booked (1)");
		again(s);
	}
}

static void bookings_end(void **state)
{
	struct story *s = *state;

	assert_wrong(unbook(s, CAUSE_CANCEL), "no booking 1");
	assert_wrong(book(s, "", 10, 10), "from 10 to 10");
	assert_right(book(s, "", 10, 20));
	assert_wrong(book(s, "", 10, 20), "was there already");
	assert_wrong(unbook(s, CAUSE_WINDOW), "lasts until 20");
	s->now_us = 20;
	assert_right(unbook(s, CAUSE_WINDOW));
	bring(s, 1, 8, 0);
	assert_right(place(s));
}

static void nodes_that_are_out_get_nothing(void **state)
{
	struct story *s = *state;

	assert_right(mark(s, 0, NODE_CORDONED));
	assert_right(mark(s, 1, NODE_DOWN));
	bring(s, 1, 8, 0);
	assert_wrong(place(s), "is cordoned");
	bring(s, 2, 8, 1);
	assert_wrong(place(s), "is down");
	assert_right(tell(s, (struct event){.type = EVENT_POOL, .pool = pool})); /* it says nothing of nodes */
	bring(s, 3, 8, 1);
	assert_wrong(reserve(s, 50 * US_SECOND, CAUSE_FIRST), "is down");
	again(s);
	assert_right(mark(s, 0, NODE_DOWN));
	assert_right(mark(s, 0, NODE_UP));
	bring(s, 1, 8, 0);
	assert_right(place(s));
	assert_wrong(mark(s, 9, NODE_DOWN), "no node 9");
}

/* What ran on a node that failed waits again only where it may run again, and as often as it says. */
static void lost_jobs_run_again_as_they_say(void **state)
{
	struct story *s = *state;

	ask(s, 1, 1, 8000);
	s->submitted.rerun_when_lost = true;
	s->submitted.max_restarts = 1;
	assert_right(submit(s));
	plan(s, 0, 0);
	assert_right(place(s));
	assert_wrong(stop(s, 1, CAUSE_NODE), "none of its nodes did");
	assert_right(mark(s, 0, NODE_DOWN));
	assert_right(stop(s, 1, CAUSE_NODE));
	assert_right(end_by(s, 1, 1, CAUSE_NODE, JOB_QUEUED));
	plan(s, 0, 1);
	s->placed.attempt = 2;
	assert_right(place(s));
	assert_wrong(end_by(s, 1, 2, CAUSE_LOST, JOB_QUEUED), "may not run again");
	bring(s, 2, 8, 2);
	assert_right(place(s));
	assert_wrong(end_by(s, 2, 1, CAUSE_LOST, JOB_QUEUED), "may not run again");
}

/* ---- Who makes room ---- */

/* Job 1, of that priority, has run on node 0 for 10 s and is preemptible after so long; job 2, of priority 100, wants the node.
 */
static void run_and_want(struct story *s, uint32_t priority, us_t preemptible_after_us)
{
	ask(s, 1, 1, 8000);
	s->submitted.priority = priority;
	s->submitted.preemptible_after_us = preemptible_after_us;
	assert_right(submit(s));
	plan(s, 0, 0);
	assert_right(place(s));
	assert_right(runs(s, 1, 1));
	s->now_us = 10 * US_SECOND;
	bring(s, 2, 8, 0);
}

static void victims_may_be_preempted(void **state)
{
	static const uint32_t victims[] = {1, 1};
	static const struct {
		enum policy policy;
		uint32_t priority;
		us_t after_us;
		const char *says; /* NULL: it is right */
	} cases[] = {
		{POLICY_FAIR, 50, 0, NULL},
		{POLICY_FAIR, 50, 10 * US_SECOND, NULL},
		{POLICY_FAIR, 50, 11 * US_SECOND, "can't be preempted before 11000000"},
		{POLICY_FAIR, 50, US_NEVER, "can't be preempted"},
		{POLICY_FAIR, 100, 0, "of priority 100"},
		{POLICY_FIFO, 150, 0, "of priority 150"},
		{POLICY_SHORTEST, 100, 0, NULL},
		{POLICY_LAS, 100, 0, NULL},
		{POLICY_LAS, 101, 0, "of priority 101"},
	};
	struct story *s = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_right(configure(s, cases[i].policy, 1));
		run_and_want(s, cases[i].priority, cases[i].after_us);
		if (cases[i].says)
			assert_wrong(reserve_with(s, 40 * US_SECOND, CAUSE_PREEMPTED, victims, 1), cases[i].says);
		else
			assert_right(reserve_with(s, 40 * US_SECOND, CAUSE_PREEMPTED, victims, 1));
		again(s);
	}
	run_and_want(s, 50, 0);
	assert_wrong(reserve_with(s, 40 * US_SECOND, CAUSE_PREEMPTED, victims, 2), "leave twice");
	assert_wrong(reserve_with(s, 40 * US_SECOND, CAUSE_PREEMPTED, NULL, 0), "0 jobs are made to leave");
	assert_wrong(reserve_with(s, 40 * US_SECOND, CAUSE_FIRST, victims, 1), "1 jobs are made to leave");
}

static void preempted_jobs_wait_again(void **state)
{
	static const uint32_t victim = 1, other = 2;
	struct story *s = *state;

	run_and_want(s, 50, 0);
	assert_wrong(stop(s, 1, CAUSE_PREEMPTED), "for nobody");
	assert_right(reserve_with(s, 40 * US_SECOND, CAUSE_PREEMPTED, &victim, 1));
	assert_wrong(stop(s, 1, CAUSE_RECLAIMED), "for nobody");
	assert_right(stop(s, 1, CAUSE_PREEMPTED));
	assert_wrong(reserve_with(s, 40 * US_SECOND, CAUSE_PREEMPTED, &victim, 1), "is being stopped");
	assert_wrong(end_by(s, 1, 1, CAUSE_PREEMPTED, JOB_FAILED), "is failed then");
	assert_right(end_by(s, 1, 1, CAUSE_PREEMPTED, JOB_QUEUED));
	ask(s, 3, 1, 1000);
	assert_right(submit(s));
	plan(s, 0, 1);
	assert_wrong(reserve_with(s, 40 * US_SECOND, CAUSE_PREEMPTED, &other, 1), "job 2 doesn't run");
	again(s);
	run_and_want(s, 50, 0);
	assert_wrong(end_by(s, 1, 1, CAUSE_PREEMPTED, JOB_QUEUED), "was stopped by none");
}

/* Those that make room don't do it for a third. */
static void nobody_takes_what_victims_leave(void **state)
{
	static const uint32_t victim = 1;
	struct story *s = *state;

	run_and_want(s, 50, 0);
	assert_right(reserve_with(s, 40 * US_SECOND, CAUSE_PREEMPTED, &victim, 1));
	assert_right(stop(s, 1, CAUSE_PREEMPTED));
	assert_right(end_by(s, 1, 1, CAUSE_PREEMPTED, JOB_QUEUED));
	ask(s, 3, 1, 1000);
	s->submitted.limit_us = US_SECOND; /* it would be over by the promised start */
	assert_right(submit(s));
	plan(s, 0, 0);
	assert_wrong(place(s), "others are made to leave it to job 2");
	again(s);
	run_and_want(s, 50, 0);
	assert_right(reserve_with(s, 40 * US_SECOND, CAUSE_PREEMPTED, &victim, 1));
	assert_right(stop(s, 1, CAUSE_PREEMPTED));
	plan(s, 0, 0);
	assert_wrong(place(s), "thousandths are in use"); /* they haven't left */
	again(s);
	run_and_want(s, 50, 0);
	assert_right(reserve_with(s, 40 * US_SECOND, CAUSE_PREEMPTED, &victim, 1));
	assert_right(stop(s, 1, CAUSE_PREEMPTED));
	assert_right(end_by(s, 1, 1, CAUSE_PREEMPTED, JOB_QUEUED));
	plan(s, 0, 0);
	assert_right(place(s));
}

/* Beside a share that victims leave the rest of the card is free, to as many as it has room for. */
static void what_victims_hold_is_in_nobodys_way(void **state)
{
	static const uint32_t victim = 1;
	struct story *s = *state;

	ask(s, 1, 1, 800);
	s->submitted.priority = 50;
	s->submitted.preemptible_after_us = 0;
	assert_right(submit(s));
	plan(s, 0, 0);
	assert_right(place(s));
	assert_right(runs(s, 1, 1));
	s->now_us = 10 * US_SECOND;
	ask(s, 2, 1, 800);
	assert_right(submit(s));
	plan(s, 0, 0);
	assert_right(reserve_with(s, 40 * US_SECOND, CAUSE_PREEMPTED, &victim, 1));
	for (uint32_t job = 3; job <= 4; job++) {
		ask(s, job, 1, 200);
		s->submitted.limit_us = US_SECOND;
		assert_right(submit(s));
	}
	assert_right(stop(s, 1, CAUSE_PREEMPTED));
	plan(s, 0, 0);
	s->placed.job = 3;
	assert_right(place(s));
	assert_right(end_by(s, 1, 1, CAUSE_PREEMPTED, JOB_QUEUED));
	s->placed.job = 4;
	assert_wrong(place(s), "others are made to leave it to job 2");
}

/* Who takes longer than the grace is waited for: the promise is put off, for the same jobs; it is void once they are gone. */
static void winners_wait_for_victims(void **state)
{
	static const uint32_t victim = 1, other = 3;
	struct story *s = *state;

	run_and_want(s, 50, 0);
	assert_right(reserve_with(s, 40 * US_SECOND, CAUSE_PREEMPTED, &victim, 1));
	assert_right(stop(s, 1, CAUSE_PREEMPTED));
	assert_wrong(unreserve(s, 2, CAUSE_CAPACITY), "which isn't so");
	s->now_us = 41 * US_SECOND;
	bring(s, 3, 8, 1);
	assert_right(place(s));
	ask(s, 2, 1, 8000);
	plan(s, 0, 0);
	assert_wrong(reserve_with(s, 71 * US_SECOND, CAUSE_OVERRUN, &other, 1), "because of: overrun");
	assert_right(reserve_with(s, 71 * US_SECOND, CAUSE_OVERRUN, &victim, 1));
	assert_right(end_by(s, 1, 1, CAUSE_PREEMPTED, JOB_QUEUED));
	assert_right(unreserve(s, 2, CAUSE_CAPACITY));
}

/* By the grace what is stopped is over, and what is promised may rest on that. */
static void stopped_jobs_end_by_the_grace(void **state)
{
	struct story *s = *state;

	bring(s, 1, 8, 0);
	assert_right(place(s));
	s->now_us = 10 * US_SECOND;
	assert_right(stop(s, 1, CAUSE_CANCEL));
	bring(s, 2, 8, 0);
	assert_wrong(reserve(s, 39 * US_SECOND, CAUSE_FIRST), "has it until 40000000");
	assert_right(unreserve(s, 2, CAUSE_ORDER));
	assert_right(reserve(s, 40 * US_SECOND, CAUSE_FIRST));
}

/* Jobs 1 and 2 of `guest` hold 4 cards each, of which `borrowed` thousandths are beyond what is its own: nothing is. A job of
 * project a wants its nominal. */
static void only_what_is_borrowed_is_reclaimed(void **state)
{
	static const uint32_t both[] = {1, 2};
	static const struct {
		const char *victims, *winner;
		uint32_t n;
		const char *says; /* NULL: it is right */
	} cases[] = {
		{"guest", "a", 1, NULL},
		{"guest", "a", 2, NULL},
		{"guest", "p", 1, "holds nothing that was borrowed"}, /* not of the cohort */
		{"b", "a", 1, "holds nothing that was borrowed"},     /* within its own nominal */
		{"a", "a", 1, "holds nothing that was borrowed"},
		{"p", "a", 1, "holds nothing that was borrowed"},
	};
	struct story *s = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		for (uint32_t job = 1; job <= 2; job++) {
			ask(s, job, 1, 4000);
			s->submitted.project = cases[i].victims;
			assert_right(submit(s));
			plan(s, 0, job);
			assert_right(place(s));
			assert_right(runs(s, job, 1));
		}
		ask(s, 3, 1, 8000);
		s->submitted.project = cases[i].winner;
		assert_right(submit(s));
		plan(s, 0, 0);
		if (cases[i].says)
			assert_wrong(reserve_with(s, 30 * US_SECOND, CAUSE_RECLAIMED, both, cases[i].n), cases[i].says);
		else
			assert_right(reserve_with(s, 30 * US_SECOND, CAUSE_RECLAIMED, both, cases[i].n));
		again(s);
	}
}

/* Project a borrows 2 cards with two jobs of 5: taking back ends with the first. */
static void reclaiming_ends_at_the_nominal(void **state)
{
	static const uint32_t both[] = {1, 2};
	struct story *s = *state;

	for (uint32_t n = 1; n <= 2; n++) {
		for (uint32_t job = 1; job <= 2; job++) {
			ask(s, job, 1, 5000);
			s->submitted.project = "a";
			assert_right(submit(s));
			plan(s, 0, job);
			assert_right(place(s));
		}
		ask(s, 3, 1, 8000);
		s->submitted.project = "b";
		assert_right(submit(s));
		plan(s, 0, 0);
		if (n == 1)
			assert_right(reserve_with(s, 30 * US_SECOND, CAUSE_RECLAIMED, both, n));
		else
			assert_wrong(reserve_with(s, 30 * US_SECOND, CAUSE_RECLAIMED, both, n), "job 2 holds nothing that was borrowed");
		again(s);
	}
}

/* ---- Lending ---- */

/* Job 1 runs on node 0 until 100 s, and job 2 was promised that and node 1 from then on. */
static void promise_two_nodes(struct story *s)
{
	bring(s, 1, 8, 0);
	assert_right(place(s));
	assert_right(runs(s, 1, 1));
	ask(s, 2, 2, 8000);
	assert_right(submit(s));
	plan(s, 0, 0);
	assert_right(reserve(s, 100 * US_SECOND, CAUSE_FIRST));
}

/* Job 3, of up to 1000 s, takes node 1 until then. */
static int lend(struct story *s, us_t preemptible_after_us, us_t until_us)
{
	ask(s, 3, 1, 8000);
	s->submitted.limit_us = 1000 * US_SECOND;
	s->submitted.preemptible_after_us = preemptible_after_us;
	assert_right(submit(s));
	plan(s, 0, 1);
	s->placed.plan.until_us = until_us;
	for (int i = 0; i < 3; i++)
		s->claims[i].until_us = until_us;
	return place(s);
}

static int extend(struct story *s, us_t until_us)
{
	struct event event = {.type = EVENT_EXTENDED};

	event.extended.job = 3;
	event.extended.until_us = until_us;
	return tell(s, event);
}

static void lent_to_those_that_yield(void **state)
{
	static const struct {
		us_t after_us, until_us;
		const char *says; /* NULL: it is right */
	} cases[] = {
		{0, 100 * US_SECOND, NULL},
		{70 * US_SECOND, 100 * US_SECOND, NULL},
		{71 * US_SECOND, 100 * US_SECOND, "isn't its start"}, /* and the grace */
		{US_NEVER, 100 * US_SECOND, "isn't its start"},
		{0, 101 * US_SECOND, "promised to job 2"},
		{0, 1000 * US_SECOND, "promised to job 2"},
		{0, 1001 * US_SECOND, "isn't its start"},
	};
	struct story *s = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		promise_two_nodes(s);
		if (cases[i].says)
			assert_wrong(lend(s, cases[i].after_us, cases[i].until_us), cases[i].says);
		else
			assert_right(lend(s, cases[i].after_us, cases[i].until_us));
		again(s);
	}
}

static void lent_cards_go_back_in_time(void **state)
{
	struct story *s = *state;

	promise_two_nodes(s);
	assert_right(lend(s, 0, 100 * US_SECOND));
	s->now_us = 5 * US_SECOND;
	assert_right(runs(s, 3, 1)); /* which lends it no longer */
	s->now_us = 70 * US_SECOND - 1;
	assert_wrong(stop(s, 3, CAUSE_PREEMPTED), "for nobody");
	assert_wrong(extend(s, 1005 * US_SECOND), "promised to job 2");
	again(s);
	s->now_us = 0;
	promise_two_nodes(s);
	assert_right(lend(s, 0, 100 * US_SECOND));
	s->now_us = 70 * US_SECOND;
	assert_right(stop(s, 3, CAUSE_PREEMPTED));
	assert_wrong(extend(s, 1000 * US_SECOND), "was lent nothing");
}

static void lent_cards_are_kept_if_nobody_wants_them(void **state)
{
	struct story *s = *state;
	struct event booked = {.type = EVENT_BOOKED};

	promise_two_nodes(s);
	assert_right(lend(s, 0, 100 * US_SECOND));
	assert_wrong(extend(s, 999 * US_SECOND), "isn't its bound");
	again(s);
	promise_two_nodes(s);
	assert_right(lend(s, 0, 100 * US_SECOND));
	assert_right(unreserve(s, 2, CAUSE_ORDER));
	assert_right(extend(s, 1000 * US_SECOND));
	assert_wrong(extend(s, 1000 * US_SECOND), "was lent nothing");
	again(s);
	promise_two_nodes(s);
	assert_right(lend(s, 0, 100 * US_SECOND));
	assert_right(unreserve(s, 2, CAUSE_ORDER));
	booked.booked = (struct booked){.booking = 1,
	                                .name = "b",
	                                .project = "",
	                                .ranges = &(struct node_range){1, 1},
	                                .n_ranges = 1,
	                                .from_us = 100 * US_SECOND,
	                                .until_us = US_NEVER};
	assert_right(tell(s, booked));
	assert_wrong(extend(s, 1000 * US_SECOND), "is booked from 100000000");
}

static void ageing_takes_its_time(void **state)
{
	struct story *s = *state;
	struct event event = {.type = EVENT_AGED};

	run_and_want(s, 100, 20 * US_SECOND);
	event.aged.job = 1;
	event.aged.level = 1;
	assert_right(tell(s, event));
	event.aged.preemptible = true;
	assert_wrong(tell(s, event), "hasn't run for as long");
	s->now_us = 20 * US_SECOND;
	assert_right(tell(s, event));
	event.aged.job = 2;
	assert_wrong(tell(s, event), "doesn't run");
}

/* ---- Centres and pools ---- */

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

/* Nodes with less memory: what no longer fits is cut down, in order of the jobs' numbers, and only that much comes free again. */
static void a_new_pool_may_leave_less(void **state)
{
	struct story *s = *state;
	struct line_spec line = lines[0][0];
	struct centre_spec centre = centres[0];
	struct pool_spec smaller = pool;

	for (uint32_t job = 1; job <= 2; job++) {
		ask(s, job, 1, 1000);
		s->request.memory_mib = 30000;
		assert_right(submit(s));
		plan(s, 0, 0);
		s->tasks[0].cards = job;
		assert_right(place(s));
	}
	line.memory_mib = 40000;
	centre.lines = &line;
	centre.n_lines = 1;
	smaller.centres = &centre;
	smaller.n_centres = 1;
	assert_right(tell(s, (struct event){.type = EVENT_POOL, .pool = smaller}));
	assert_right(end(s, 2, 1, JOB_COMPLETED));
	for (uint32_t job = 3; job <= 4; job++) {
		ask(s, job, 1, 1000);
		s->request.memory_mib = job == 3 ? 10000 : 1;
		assert_right(submit(s));
		plan(s, 0, 0);
		s->tasks[0].cards = 1u << job;
		if (job == 3)
			assert_right(place(s));
		else
			assert_wrong(place(s), "40001 MiB");
	}
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
		CASE(promises_yield_only_when_taken_back),
		CASE(promises_move_for_a_cause),
		CASE(causes_are_true),
		CASE(promises_are_possible),
		CASE(promises_fit_together),
		CASE(every_promise_is_kept),
		CASE(kept_nodes_are_kept),
		CASE(quotas_are_kept),
		CASE(quotas_list_kinds),
		CASE(windows_are_kept),
		CASE(bookings_end),
		CASE(nodes_that_are_out_get_nothing),
		CASE(lost_jobs_run_again_as_they_say),
		CASE(victims_may_be_preempted),
		CASE(preempted_jobs_wait_again),
		CASE(nobody_takes_what_victims_leave),
		CASE(what_victims_hold_is_in_nobodys_way),
		CASE(winners_wait_for_victims),
		CASE(stopped_jobs_end_by_the_grace),
		CASE(only_what_is_borrowed_is_reclaimed),
		CASE(reclaiming_ends_at_the_nominal),
		CASE(lent_to_those_that_yield),
		CASE(lent_cards_go_back_in_time),
		CASE(lent_cards_are_kept_if_nobody_wants_them),
		CASE(ageing_takes_its_time),
		CASE(silent_centres_get_nothing),
		CASE(a_new_pool_keeps_what_runs),
		CASE(a_new_pool_may_leave_less),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
