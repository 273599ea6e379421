/* SPDX-License-Identifier: Apache-2.0
 * random.c: random work and random faults on small random pools, from a seed: every policy, quotas, priorities, preemption,
 * several promises, bookings and drains, nodes that fail, jobs that are canceled, lost, or end too late.
 *
 * Before each submit: what a dry run tells comes true in a copy (foretold.h), which is loaded from bytes, and decides the same.
 * After each step: core_check; the plan checker; a follower that applied the same bytes has the same digest; each job that waits
 * has a reason; where no reservation stands, no job waits that a brute search finds room for. At the end: nothing runs any more,
 * a fresh core that replays the whole log has the digest too, and so has one that was loaded from the saved state.
 *
 * usage: random [FIRST [COUNT [tell]]]   the seeds to run; a failure prints the command that repeats its own; with a third word,
 * each event is told. From seed 1000001 on they are days on which jobs are moved: nearly all run on any kind, at different
 * speeds, and may be stopped soon. */
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "foretold.h"
#include "sim/world.h"

/* Centres that count cards and choose them themselves: not until the core leaves the choice to them. */
#define COUNTED false

enum {
	KINDS = 3,
	CENTRES_MAX = 3,
	LINES_MAX = 3,
	PROJECTS = 4,
	SHAPES = 8,
	ACTIONS = 80,
	EVENTS_MAX = 50000,
	DEFAULT_SEEDS = 1000,
	MOVING_SEEDS = 1000001, /* and on */
};

static uint64_t first_seed = 1, n_seeds = DEFAULT_SEEDS;
static bool telling;
static char repeat[128]; /* the command for the seed at hand */

/* A world with its followers. */
struct trial {
	struct rng rng;
	struct arena arena;
	struct world *world;
	struct core *follower;
	struct buf log; /* every batch: its length, then its bytes */
	struct pool_spec pools[2];
	struct group_spec shapes[SHAPES];
	struct config_spec config;
	uint32_t last_job, last_booking;
	bool faults, quotas, moves;
	struct buf foretold; /* what the next step yields, as a core found that was loaded from the state; empty: not asked */
};

static uint32_t below(struct trial *t, uint32_t bound)
{
	return (uint32_t)rng_below(&t->rng, bound);
}

/* One of n times, on average. */
static bool one_in(struct trial *t, uint32_t n)
{
	return below(t, n) == 0;
}

/* ---- Pools and jobs ---- */

static const char *const kind_names[KINDS] = {"a100", "b200", "c300"};

static void fill_line(struct trial *t, struct line_spec *line)
{
	uint32_t kind = below(t, KINDS + 1);

	*line = (struct line_spec){
		.count = 1 + below(t, 5),
		.kind = kind < KINDS ? kind_names[kind] : NULL,
		.cards = kind < KINDS ? 1 + below(t, 8) : 0,
		.cpus_milli = one_in(t, 4) ? UNCOUNTED : 1000 * (1 + below(t, 16)),
		.memory_mib = one_in(t, 4) ? UNCOUNTED : 1024 * (1 + below(t, 32)),
		.nodes_per_rack = below(t, 4),
		.racks_per_pod = below(t, 3),
	};
}

static void fill_centre(struct trial *t, struct centre_spec *centre, uint32_t number)
{
	struct line_spec *lines = arena_new(&t->arena, LINES_MAX, sizeof *lines);
	struct price_spec *prices = arena_new(&t->arena, KINDS, sizeof *prices);

	*centre = (struct centre_spec){
		.name = arena_printf(&t->arena, "centre-%" PRIu32, number),
		.region = "here",
		.engine = "simulated",
		.capabilities = CAN_EXACT_CARDS | CAN_FRACTIONS | CAN_BARE | CAN_IMAGES | CAN_START_ONCE | CAN_LIMIT | IS_SIMULATED,
		.lines = lines,
		.n_lines = 1 + below(t, LINES_MAX),
		.prices = prices,
		.n_prices = KINDS,
	};
	if (COUNTED && one_in(t, 4)) /* as Slurm: it chooses the cards, and shares none */
		centre->capabilities &= ~(uint32_t)(CAN_EXACT_CARDS | CAN_FRACTIONS);
	if (one_in(t, 6))
		centre->capabilities &= ~(uint32_t)(one_in(t, 2) ? CAN_BARE : CAN_IMAGES);
	for (uint32_t i = 0; i < centre->n_lines; i++)
		fill_line(t, &lines[i]);
	for (uint32_t i = 0; i < KINDS; i++)
		prices[i] = (struct price_spec){kind_names[i], 1000000 * below(t, 3)};
}

static const char *const project_names[PROJECTS] = {"top", "left", "right", "guest"};

/* Left and right below top; quotas on some, most in one cohort. */
static struct project_spec *make_projects(struct trial *t)
{
	struct project_spec *projects = arena_new(&t->arena, PROJECTS, sizeof *projects);

	for (uint32_t i = 0; i < PROJECTS; i++) {
		struct quota_spec *quotas = arena_new(&t->arena, KINDS, sizeof *quotas);

		for (uint32_t k = 0; k < KINDS; k++)
			quotas[k] = (struct quota_spec){.kind = kind_names[k],
			                                .nominal_milli = 1000 * below(t, 16),
			                                .borrowing_milli = one_in(t, 2) ? AMOUNT_NONE : 1000 * below(t, 8),
			                                .lending_milli = one_in(t, 2) ? AMOUNT_NONE : 1000 * below(t, 8)};
		projects[i] = (struct project_spec){.name = project_names[i],
		                                    .parent = i == 1 || i == 2 ? project_names[0] : NULL,
		                                    .cohort = i && !one_in(t, 4) ? "cohort" : NULL,
		                                    .weight_milli = 500 * (1 + below(t, 4)),
		                                    .quotas = quotas,
		                                    .n_quotas = i && !one_in(t, 4) ? 1 + below(t, KINDS) : 0};
	}
	return projects;
}

static struct pool_spec make_pool(struct trial *t)
{
	static struct kind_spec kinds[KINDS];
	struct centre_spec *centres = arena_new(&t->arena, CENTRES_MAX, sizeof *centres);
	uint32_t n = 1 + below(t, CENTRES_MAX);

	for (uint32_t i = 0; i < KINDS; i++)
		kinds[i] = (struct kind_spec){.name = kind_names[i], .vendor = "none", .source = "test", .memory_mib = 1024};
	for (uint32_t i = 0; i < n; i++)
		fill_centre(t, &centres[i], i);
	return (struct pool_spec){.name = "random",
	                          .currency = "CNY",
	                          .kinds = kinds,
	                          .n_kinds = KINDS,
	                          .centres = centres,
	                          .n_centres = n,
	                          .projects = t->quotas ? make_projects(t) : NULL,
	                          .n_projects = t->quotas ? PROJECTS : 0};
}

static void fill_request(struct trial *t, struct request_spec *request)
{
	uint32_t cards = below(t, 10), kind = below(t, KINDS + 1);

	*request = (struct request_spec){
		.kind = kind < KINDS ? kind_names[kind] : "*",
		.cards_milli = cards < 2 ? 100 + 100 * below(t, 9) : CARD_MILLI * (cards - 1),
		.cpus_milli = one_in(t, 2) ? 0 : 500 * (1 + below(t, 8)),
		.memory_mib = one_in(t, 2) ? 0 : 512 * (1 + below(t, 16)),
		.image = one_in(t, 6) ? "image" : NULL,
		.speed_milli = one_in(t, 3) ? 500 + below(t, 1000) : 1000,
	};
	if (one_in(t, 8)) {
		request->kind = NULL;
		request->cards_milli = 0;
		request->cpus_milli += 500;
	}
}

/* One card, or two, on one node of any kind: so that jobs can change places. */
static struct group_spec make_swappable(struct trial *t)
{
	struct request_spec *requests = arena_new(&t->arena, KINDS, sizeof *requests);
	uint32_t cards = CARD_MILLI * (1 + one_in(t, 4));

	for (uint32_t i = 0; i < KINDS; i++)
		requests[i] = (struct request_spec){.kind = kind_names[i], .cards_milli = cards, .speed_milli = 200 + below(t, 1000)};
	return (struct group_spec){.nodes = 1, .requests = requests, .n_requests = KINDS, .highest = TIER_CENTRE};
}

/* The same on each kind, gangs, shares and all, at different speeds. */
static struct group_spec make_movable(struct trial *t)
{
	struct request_spec *requests = arena_new(&t->arena, KINDS, sizeof *requests);

	fill_request(t, &requests[0]);
	for (uint32_t i = 0; i < KINDS; i++) {
		requests[i] = requests[0];
		requests[i].kind = requests[0].cards_milli ? kind_names[i] : NULL;
		requests[i].speed_milli = 200 + below(t, 1000);
	}
	return (struct group_spec){.nodes = one_in(t, 2) ? 1 : 1 + below(t, 5),
	                           .requests = requests,
	                           .n_requests = requests[0].cards_milli ? KINDS : 1,
	                           .highest = (enum tier)below(t, TIER_POOL),
	                           .hard = one_in(t, 2)};
}

static struct group_spec make_shape(struct trial *t)
{
	struct request_spec *requests = arena_new(&t->arena, 2, sizeof *requests);
	uint32_t n = 1 + one_in(t, 3);

	for (uint32_t i = 0; i < n; i++)
		fill_request(t, &requests[i]);
	return (struct group_spec){.nodes = one_in(t, 2) ? 1 : 1 + below(t, 5),
	                           .requests = requests,
	                           .n_requests = n,
	                           .ordered = one_in(t, 2),
	                           .highest = (enum tier)below(t, TIER_POOL),
	                           .hard = one_in(t, 2)};
}

/* ---- Brute force ---- */

/* What is free on a node, added up from the plans of what runs. */
struct room {
	uint32_t card_milli[CARDS_PER_NODE_MAX];
	int64_t cards_milli, cpus_milli, memory_mib;
};

static struct room room_of(const struct core *core, uint32_t node)
{
	const struct node *n = &core_pool(core)->nodes[node];
	struct room room = {.cards_milli = (int64_t)n->cards * CARD_MILLI, .cpus_milli = n->cpus_milli, .memory_mib = n->memory_mib};

	for (uint32_t i = 0; i < n->cards; i++)
		room.card_milli[i] = CARD_MILLI;
	for (const struct job *job = core_job_after(core, 0); job; job = core_job_after(core, job->id))
		for (uint32_t i = 0; job_is_live(job) && i < job->plan.n_tasks; i++) {
			const struct task *task = &job->plan.tasks[i];
			const struct request *q = &core_job_group(core, job)->requests[job->plan.request];

			if (task->centre != n->centre || task->node != n->number)
				continue;
			for (uint64_t left = task->cards; left; left &= left - 1)
				room.card_milli[__builtin_ctzll(left)] -= task->cards_milli < CARD_MILLI ? task->cards_milli : CARD_MILLI;
			room.cards_milli -= task->cards_milli;
			room.cpus_milli -= n->cpus_milli == UNCOUNTED ? 0 : q->cpus_milli;
			room.memory_mib -= n->memory_mib == UNCOUNTED ? 0 : q->memory_mib;
		}
	return room;
}

/* Whether a job may have nothing of a node now: it is out, or booked for others before the job would be over. */
static bool is_kept(const struct core *core, uint32_t node, const struct job *job)
{
	const struct node *n = &core_pool(core)->nodes[node];
	const char *note;

	if (core_node_state(core, node, &note) != NODE_UP)
		return true;
	for (const struct booking *b = core_booking_after(core, 0); b; b = core_booking_after(core, b->id))
		for (uint32_t i = 0; i < b->n_ranges; i++)
			if (b->centre == n->centre && b->ranges[i].first <= n->number && n->number <= b->ranges[i].last &&
			    b->from_us < us_add(core_now(core), job->limit_us) && core_now(core) < b->until_us && b->project != job->project)
				return true;
	return false;
}

static bool within_quota(const struct core *core, uint32_t node, const struct request *q, const struct job *job)
{
	uint32_t kind = core_pool(core)->shelves[core_pool(core)->nodes[node].shelf].kind;

	return !q->cards_milli || projects_fits(core_projects(core), job->project, kind, q->cards_milli, NULL) == QUOTA_OK;
}

static bool node_holds(const struct core *core, uint32_t node, const struct request *q)
{
	const struct node *n = &core_pool(core)->nodes[node];
	uint32_t kind = core_pool(core)->shelves[n->shelf].kind, can = core_pool(core)->centres[n->centre].spec->capabilities;
	struct room room = room_of(core, node);
	uint32_t whole = 0, share = 0;

	if (core_centre_silent(core, n->centre) || !(can & (q->image ? CAN_IMAGES : CAN_BARE)))
		return false;
	if (q->cpus_milli > room.cpus_milli || q->memory_mib > room.memory_mib || q->cards_milli > room.cards_milli)
		return false;
	if (!q->cards_milli)
		return true;
	if (kind == KIND_NONE || (q->kind != KIND_ANY && q->kind != kind))
		return false;
	if (!(can & CAN_EXACT_CARDS))
		return q->cards_milli >= CARD_MILLI;
	for (uint32_t i = 0; i < n->cards; i++) {
		whole += room.card_milli[i] == CARD_MILLI;
		share += room.card_milli[i] >= q->cards_milli;
	}
	return q->cards_milli < CARD_MILLI ? share > 0 : whole * CARD_MILLI >= q->cards_milli;
}

/* Nobody waits who could start: only jobs of one node, for which a search through the nodes is the whole truth. */
static void check_nobody_waits(const struct core *core)
{
	for (const struct job *job = core_job_after(core, 0); job; job = core_job_after(core, job->id)) {
		const struct group *group = core_job_group(core, job);

		if (job->state != JOB_QUEUED || !job->eligible || job->array || group->nodes != 1)
			continue;
		for (uint32_t r = 0; r < group->n_requests; r++)
			for (uint32_t n = 0; n < core_pool(core)->n_nodes; n++)
				if (node_holds(core, n, &group->requests[r]) && !is_kept(core, n, job) &&
				    within_quota(core, n, &group->requests[r], job))
					fail_msg("job %" PRIu32 " waits, and node %" PRIu32 " could hold it\n%s", job->id, n, repeat);
	}
}

static void check_reasons(const struct core *core)
{
	for (const struct job *job = core_job_after(core, 0); job; job = core_job_after(core, job->id)) {
		struct explanation why = {0};
		struct err err = {0};

		if (job->state != JOB_QUEUED)
			continue;
		if (core_explain(core, job->id, core_now(core), &why, &err) < 0 || why.reason == REASON_NONE)
			fail_msg("job %" PRIu32 " waits for no reason\n%s", job->id, repeat);
	}
}

/* ---- Watching ---- */

static int commit(void *ctx, const struct core *core, const struct batch *batch, struct err *err)
{
	struct trial *t = ctx;
	struct hash ours, theirs;

	if (t->foretold.len && (t->foretold.len != batch->len || memcmp(t->foretold.data, batch->events, batch->len) != 0))
		return err_set(err, ERR_CORRUPT, "loaded", "a core that was loaded decides otherwise than one that went on");
	t->foretold.len = 0;
	buf_put_uint(&t->log, batch->len);
	buf_put(&t->log, batch->events, batch->len);
	if (core_apply(t->follower, batch->events, batch->len, NULL, NULL, err) < 0)
		return err->code;
	ours = core_digest(core);
	theirs = core_digest(t->follower);
	if (memcmp(&ours, &theirs, sizeof ours) != 0)
		return err_set(err, ERR_CORRUPT, "follower", "after event %" PRIu64 " it differs", core_sequence(core));
	core_check(core);
	core_check(t->follower);
	if (core_sequence(core) > EVENTS_MAX)
		return err_set(err, ERR_CORRUPT, "events", "more than %d: jobs make room for one another without end", EVENTS_MAX);
	return 0;
}

static struct fate fate_of(void *ctx, const struct core *core, const struct job *job)
{
	struct trial *t = ctx;
	us_t run_us = one_in(t, 3) ? 10 * US_SECOND * below(t, 40) : US_SECOND * (1 + below(t, 400));
	struct fate fate = {.run_us = run_us, .state = ATTEMPT_ENDED, .cause = CAUSE_EXIT};

	(void)core;
	(void)job;
	if (one_in(t, 8))
		fate.exit_code = 1;
	if (t->faults && one_in(t, 12))
		fate.state = ATTEMPT_LOST;
	return fate;
}

static void tell_plan(const struct core *core, uint32_t job, const struct plan *plan)
{
	print_message(" job %" PRIu32 " from %" PRId64 " until %" PRId64 ":", job, plan->start_us, plan->until_us);
	for (uint32_t i = 0; i < plan->n_tasks; i++)
		print_message(" %s/%" PRIu32 "[%#" PRIx64 ", %" PRIu32 "]", pool_centre_name(core_pool(core), plan->tasks[i].centre),
		              plan->tasks[i].node, plan->tasks[i].cards, plan->tasks[i].cards_milli);
}

static void tell_reserved(const struct core *core, const struct event *e)
{
	tell_plan(core, e->reserved.job, &e->reserved.plan);
	print_message(" (%s)", cause_word(e->reserved.cause));
	for (uint32_t i = 0; i < e->reserved.n_victims; i++)
		print_message("%s%" PRIu32, i ? ", " : " victims ", e->reserved.victims[i]);
}

static void see(void *ctx, const struct core *core, const struct event *e)
{
	(void)ctx;
	print_message("%12" PRId64 " %-10s", e->at_us, event_word(e->type));
	if (e->type == EVENT_PLACED)
		tell_plan(core, e->placed.job, &e->placed.plan);
	else if (e->type == EVENT_RESERVED)
		tell_reserved(core, e);
	else if (e->type == EVENT_UNRESERVED)
		print_message(" job %" PRIu32 " (%s)", e->unreserved.job, cause_word(e->unreserved.cause));
	else if (e->type == EVENT_STOPPING)
		print_message(" job %" PRIu32 " (%s)", e->stopping.job, cause_word(e->stopping.cause));
	else if (e->type == EVENT_NODE)
		print_message(" %s/%" PRIu32 "-%" PRIu32 " %s", pool_centre_name(core_pool(core), e->node.centre), e->node.range.first,
		              e->node.range.last, node_state_word(e->node.state));
	else if (e->type == EVENT_BOOKED)
		print_message(" %" PRIu32 " for \"%s\" at %s/%" PRIu32 "-%" PRIu32 " from %" PRId64 " until %" PRId64, e->booked.booking,
		              e->booked.project, pool_centre_name(core_pool(core), e->booked.centre), e->booked.ranges[0].first,
		              e->booked.ranges[0].last, e->booked.from_us, e->booked.until_us);
	else if (e->type == EVENT_SUBMITTED)
		print_message(" job %" PRIu32 " of %s, priority %" PRIu32 ", limit %" PRId64 ", preemptible after %" PRId64 ", %" PRIu32
		              " nodes%s",
		              e->submitted.job, e->submitted.project, e->submitted.priority, e->submitted.limit_us,
		              e->submitted.preemptible_after_us, e->submitted.group.nodes, e->submitted.n_array ? ", an array" : "");
	else if (e->type == EVENT_ENDED)
		print_message(" job %" PRIu32 " %s (%s)", e->ended.job, job_state_word(e->ended.then), cause_word(e->ended.cause));
	else if (e->type == EVENT_MOVING)
		for (uint32_t i = 0; i < e->moving.n; i++)
			tell_plan(core, e->moving.moves[i].job, &e->moving.moves[i].plan);
	else if (e->type == EVENT_ATTEMPT)
		print_message(" job %" PRIu32 " %s", e->attempt.job, attempt_state_word(e->attempt.state));
	print_message("\n");
}

static void settled(void *ctx, const struct core *core, us_t now_us)
{
	(void)ctx;
	(void)now_us;
	if (!core_pool(core))
		return;
	check_reasons(core);
	if (!core_reservations(core))
		check_nobody_waits(core);
}

/* ---- What happens ---- */

static int submit(struct trial *t, us_t now_us, struct err *err)
{
	struct dependency_spec dependency = {t->last_job ? 1 + below(t, t->last_job) : 0, one_in(t, 2) ? AFTER_OK : AFTER_ANY};
	struct range range = {below(t, 3), 3 + below(t, 6), 1 + below(t, 2)};
	struct job_spec spec = {
		.name = "job",
		.project = project_names[one_in(t, 8) ? 0 : 1 + below(t, PROJECTS - 1)],
		.user = "somebody",
		.groups = &t->shapes[below(t, SHAPES)],
		.n_groups = 1,
		.priority = 100 * (1 + below(t, 3)),
		.limit_us = one_in(t, 4)   ? US_NEVER
	                : one_in(t, 2) ? US_SECOND * (1 + below(t, 500))
	                               : 10 * US_SECOND * (1 + below(t, 40)),
		.begin_us = one_in(t, 8) ? now_us + US_SECOND * below(t, 300) : 0,
		.dependencies = &dependency,
		.n_dependencies = t->last_job && one_in(t, 6),
		.array = &range,
		.n_array = one_in(t, 8),
		.array_parallel_max = below(t, 3),
		.max_restarts = (int32_t)below(t, 4) - 1,
		.rerun_when_lost = one_in(t, 2),
		.checkpoint_every_us = one_in(t, 2) ? 0 : US_SECOND * (1 + below(t, 100)),
		.preemptible_after_us = one_in(t, 3)   ? US_NEVER
	                            : one_in(t, 2) ? 0
	                                           : US_SECOND * below(t, 100),
	};
	uint32_t job;
	int told, code;

	if (t->moves) {
		spec.preemptible_after_us = one_in(t, 9) ? US_NEVER : US_SECOND * below(t, 10);
		spec.checkpoint_every_us = one_in(t, 8) ? 0 : US_SECOND * (1 + below(t, 10));
	}

	t->foretold.len = 0;
	told = foretold_check(world_core(t->world), &spec, now_us, repeat, &t->foretold);
	code = world_submit(t->world, now_us, &spec, &job, err);
	if (code != ERR_CORRUPT)
		assert_int_equal(code, told);
	if (code == 0)
		t->last_job = job;
	/* A job that left the core can't be depended on any more. */
	if (code == ERR_INVALID && !strncmp(err->subject, "depends_on", 10))
		return 0;
	return code == ERR_NEVER ? 0 : code;
}

static int cancel(struct trial *t, us_t now_us, struct err *err)
{
	struct input input = {.type = INPUT_CANCEL, .now_us = now_us, .who = "somebody"};
	int code;

	input.cancel.job = 1 + below(t, t->last_job + 2);
	code = world_input(t->world, &input, err);
	return code == ERR_NOT_FOUND ? 0 : code;
}

/* An engine says something of a job, right or wrong, twice or late. */
static int report(struct trial *t, us_t now_us, struct err *err)
{
	const struct job *job = core_job(world_core(t->world), 1 + below(t, t->last_job + 4));
	struct input input = {.type = INPUT_REPORT, .now_us = now_us};

	if (!job)
		return 0;
	input.report = (struct report){
		.job = job->id,
		.attempt = job->attempt - (job->attempt && one_in(t, 4)),
		.state = (enum attempt_state)(ATTEMPT_HELD + below(t, ATTEMPT_STATE_COUNT - ATTEMPT_HELD)),
		.at_us = one_in(t, 2) ? 0 : now_us - (us_t)below(t, 1000),
		.cause = CAUSE_EXIT,
		.exit_code = (int32_t)below(t, 2),
	};
	if (input.report.at_us < 0)
		input.report.at_us = 0;
	return world_input(t->world, &input, err);
}

static int lease(struct trial *t, us_t now_us, struct err *err)
{
	struct input input = {.type = INPUT_CENTRE, .now_us = now_us};

	input.centre.centre = below(t, core_pool(world_core(t->world))->n_centres);
	input.centre.silent = one_in(t, 2);
	return world_input(t->world, &input, err);
}

static int change_pool(struct trial *t, us_t now_us, struct err *err)
{
	return world_input(t->world, &(struct input){.type = INPUT_POOL, .now_us = now_us, .pool = &t->pools[below(t, 2)]}, err);
}

/* A centre of the pool, and some of its nodes. */
static struct node_range some_nodes(struct trial *t, uint32_t *ret_centre)
{
	const struct pool *pool = core_pool(world_core(t->world));
	struct node_range range;

	do
		*ret_centre = below(t, pool->n_centres);
	while (!pool->centres[*ret_centre].n_nodes);
	range.first = below(t, pool->centres[*ret_centre].n_nodes);
	range.last = range.first + below(t, pool->centres[*ret_centre].n_nodes - range.first);
	return range;
}

static int change_nodes(struct trial *t, us_t now_us, struct err *err)
{
	struct input input = {.type = INPUT_NODE, .now_us = now_us, .who = "somebody"};
	uint32_t centre;

	input.node.range = some_nodes(t, &centre);
	input.node.centre = pool_centre_name(core_pool(world_core(t->world)), centre);
	input.node.state = one_in(t, 2) ? NODE_UP : (enum node_state)below(t, NODE_STATE_COUNT);
	return world_input(t->world, &input, err);
}

static int book(struct trial *t, us_t now_us, struct err *err)
{
	uint32_t centre;
	struct node_range range = some_nodes(t, &centre);
	us_t from_us = one_in(t, 2) ? now_us : now_us + US_SECOND * below(t, 300);
	struct booking_spec spec = {
		.name = "booking",
		.project = one_in(t, 2) ? NULL : project_names[below(t, PROJECTS)],
		.centre = pool_centre_name(core_pool(world_core(t->world)), centre),
		.ranges = &range,
		.n_ranges = 1,
		.from_us = from_us,
		.until_us = one_in(t, 4) ? US_NEVER : from_us + US_SECOND * (1 + below(t, 300)),
	};
	int code = world_input(t->world, &(struct input){.type = INPUT_BOOK, .now_us = now_us, .who = "somebody", .book = &spec},
	                       err);

	t->last_booking += code == 0;
	return code == ERR_CORRUPT ? code : 0; /* refused: something else has those nodes then */
}

static int unbook(struct trial *t, us_t now_us, uint32_t booking, struct err *err)
{
	struct input input = {.type = INPUT_UNBOOK, .now_us = now_us, .who = "somebody"};
	int code;

	input.unbook.booking = booking;
	code = world_input(t->world, &input, err);
	return code == ERR_NOT_FOUND ? 0 : code;
}

/* When jobs that run are moved to faster cards: soon, so that it happens. */
static void configure_moves(struct trial *t)
{
	if (!t->moves)
		return;
	t->config.move_after_us = one_in(t, 16) ? US_NEVER : US_SECOND * below(t, 10);
	t->config.move_gain_milli = 1 + below(t, 300);
	t->config.move_least_us = US_SECOND * below(t, 3);
}

/* What an installation may be changed to while it works. */
static int configure(struct trial *t, us_t now_us, struct err *err)
{
	t->config.policy = (enum policy)below(t, POLICY_LAS + 1);
	t->config.reservations = one_in(t, 4) ? 0 : 1 + below(t, 4);
	t->config.kill_grace_us = one_in(t, 2) ? 0 : US_SECOND * below(t, 31);
	t->config.starvation_after_us = one_in(t, 2) ? US_NEVER : US_SECOND * below(t, 200);
	t->config.half_life_us = one_in(t, 3) ? US_NEVER : US_SECOND * (1 + below(t, 1000));
	t->config.cards_power_milli = 250 * below(t, 5);
	t->config.n_las_levels = 1 + below(t, 3);
	for (uint32_t i = 0; i < t->config.n_las_levels; i++)
		t->config.las_levels_us[i] = (i ? t->config.las_levels_us[i - 1] : 0) + US_SECOND * (1 + below(t, 200));
	configure_moves(t);
	return world_input(t->world, &(struct input){.type = INPUT_CONFIG, .now_us = now_us, .config = &t->config}, err);
}

static int act(struct trial *t, us_t now_us, struct err *err)
{
	uint32_t what = below(t, 100);

	if (what < 66 || !t->last_job)
		return submit(t, now_us, err);
	if (what < 74)
		return cancel(t, now_us, err);
	if (what < 78)
		return book(t, now_us, err);
	if (what < 81)
		return unbook(t, now_us, 1 + below(t, t->last_booking + 1), err);
	if (what < 86)
		return change_nodes(t, now_us, err);
	if (what < 88)
		return configure(t, now_us, err);
	if (!t->faults)
		return 0;
	if (what < 94)
		return report(t, now_us, err);
	return what < 98 ? lease(t, now_us, err) : change_pool(t, now_us, err);
}

static int begin(struct trial *t, struct err *err)
{
	int code;

	t->config = config_default();
	if (one_in(t, 2))
		t->config.history_after_us = 200 * US_SECOND;
	if (one_in(t, 3))
		t->config.history_jobs_max = 5;
	t->config.seed = t->rng.state;
	configure_moves(t);
	t->quotas = !one_in(t, 3);
	t->pools[0] = make_pool(t);
	t->pools[1] = make_pool(t);
	for (uint32_t i = 0; i < SHAPES; i++)
		t->shapes[i] = !t->moves || one_in(t, 8) ? make_shape(t) : one_in(t, 4) ? make_movable(t) : make_swappable(t);
	code = configure(t, US_SECOND, err);
	return code < 0 ? code
	                : world_input(t->world, &(struct input){.type = INPUT_POOL, .now_us = US_SECOND, .pool = &t->pools[0]}, err);
}

/* A centre that stays silent would keep its jobs, and nodes that are out or booked keep jobs from starting. */
static int make_whole(struct trial *t, us_t now_us, struct err *err)
{
	const struct pool *pool = core_pool(world_core(t->world));
	int code = 0;

	for (uint32_t c = 0; code == 0 && c < pool->n_centres; c++) {
		struct input input = {.type = INPUT_CENTRE, .now_us = now_us};

		input.centre.centre = c;
		code = world_input(t->world, &input, err);
		if (code < 0 || !pool->centres[c].n_nodes)
			continue;
		input = (struct input){.type = INPUT_NODE, .now_us = now_us};
		input.node.centre = pool_centre_name(pool, c);
		input.node.range = (struct node_range){0, pool->centres[c].n_nodes - 1};
		code = world_input(t->world, &input, err);
	}
	for (uint32_t b = 1; code == 0 && b <= t->last_booking; b++)
		code = unbook(t, now_us, b, err);
	return code;
}

static int run(struct trial *t, struct err *err)
{
	us_t now_us = US_SECOND;
	int code = begin(t, err);

	for (int i = 0; code == 0 && i < ACTIONS; i++) {
		now_us += one_in(t, 3) ? 0 : one_in(t, 2) ? US_MS * below(t, 40000) : 10 * US_SECOND * below(t, 4);
		code = world_run(t->world, now_us, err);
		if (code == 0)
			code = act(t, now_us, err);
	}
	if (code == 0)
		code = make_whole(t, now_us, err);
	return code < 0 ? code : world_run(t->world, US_NEVER, err);
}

/* ---- Judging ---- */

static void check_replay(struct trial *t)
{
	struct core *core = core_new();
	struct reader r = reader_of(t->log.data, t->log.len);
	struct hash ours, theirs;
	struct err err = {0};

	while (r.at < r.end) {
		size_t len;
		const void *bytes = read_blob(&r, &len);

		assert_false(r.bad);
		if (core_apply(core, bytes, len, NULL, NULL, &err) < 0)
			fail_msg("replay: %s: %s\n%s", err.subject, err.text, repeat);
	}
	ours = core_digest(world_core(t->world));
	theirs = core_digest(core);
	if (memcmp(&ours, &theirs, sizeof ours) != 0)
		fail_msg("replay: another digest\n%s", repeat);
	core_free(core);
}

/* What was saved and loaded is the same state. */
static void check_load(struct trial *t)
{
	struct buf saved = {0};
	struct core *core;
	struct hash ours, theirs;
	struct err err = {0};

	core_save(world_core(t->world), &saved);
	if (core_load(saved.data, saved.len, &core, &err) < 0)
		fail_msg("load: %s: %s\n%s", err.subject, err.text, repeat);
	core_check(core);
	ours = core_digest(world_core(t->world));
	theirs = core_digest(core);
	if (memcmp(&ours, &theirs, sizeof ours) != 0)
		fail_msg("load: another digest\n%s", repeat);
	core_free(core);
	buf_done(&saved);
}

/* Nothing can change any more: nothing runs. */
static void check_end(struct trial *t)
{
	const struct core *core = world_core(t->world);

	for (const struct job *job = core_job_after(core, 0); job; job = core_job_after(core, job->id))
		if (job_is_live(job) && !job->array)
			fail_msg("job %" PRIu32 " still %s at the end\n%s", job->id, job_state_word(job->state), repeat);
	check_reasons(core);
}

static uint64_t try_seed(uint64_t seed, uint64_t *ret_events)
{
	struct trial t = {.rng = {seed}, .follower = core_new(), .faults = seed % 3 != 0, .moves = seed >= MOVING_SEEDS};
	struct world_config config = {.ctx = &t,
	                              .fate = fate_of,
	                              .commit = commit,
	                              .settled = settled,
	                              .startup_us = seed % 2 ? 0 : 3 * US_SECOND,
	                              .kill_us = seed % 5 < 2 ? 0 : seed % 5 * seed % 20 * US_SECOND};
	struct err err = {0};
	uint64_t checked;

	if (telling)
		config.see = see;

	snprintf(repeat, sizeof repeat, "repeat with: build/test/trace/random %" PRIu64 " 1 tell", seed);
	t.world = world_new(&config);
	if (run(&t, &err) < 0)
		fail_msg("%s: %s\n%s", err.subject, err.text, repeat);
	check_end(&t);
	check_replay(&t);
	check_load(&t);
	checked = world_checked(t.world);
	*ret_events += core_sequence(world_core(t.world));
	world_free(t.world);
	core_free(t.follower);
	buf_done(&t.log);
	buf_done(&t.foretold);
	arena_done(&t.arena);
	return checked;
}

static void seeds(void **state)
{
	uint64_t checked = 0, events = 0;

	(void)state;
	for (uint64_t seed = first_seed; seed < first_seed + n_seeds; seed++)
		checked += try_seed(seed, &events);
	print_message("%" PRIu64 " seeds, %" PRIu64 " events, %" PRIu64 " plans checked\n", n_seeds, events, checked);
	assert_true(checked > n_seeds || n_seeds < 10); /* of one, every job may be refused */
}

/* An assert of the core says nothing of the seed. */
static void on_abort(int number)
{
	ssize_t n = write(STDERR_FILENO, repeat, strlen(repeat));

	n += write(STDERR_FILENO, "\n", 1);
	(void)n;
	(void)number;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(seeds)};

	if (argc > 1)
		first_seed = strtoull(argv[1], NULL, 10);
	if (argc > 2)
		n_seeds = strtoull(argv[2], NULL, 10);
	telling = argc > 3;
	signal(SIGABRT, on_abort);
	return cmocka_run_group_tests_name("random", tests, NULL, NULL);
}
