/* SPDX-License-Identifier: Apache-2.0
 * world.c: everything around a core, simulated; see world.h.
 *
 * What is to come is in one heap, by time and then by when it was put there: four children to a parent, which lie side by side,
 * and what is to be reported beside it. Answers to the effects of a step wait in a queue and go in one by one, before anything
 * else happens. Hashing and checking is the auditor's (audit.h), batch by batch. */
#include "sim/world.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/spares.h"
#include "sim/audit.h"

enum { EXIT_BY_TERM = 128 + 15 };

/* Something that will be reported of an attempt. */
struct due {
	us_t at_us;
	uint32_t job, attempt;
	enum attempt_state state;
	enum cause cause;
	int32_t exit_code;
};

/* Its place in the order of what is to come. */
struct coming {
	us_t at_us;
	uint32_t order; /* when it was put there; goes round, which is of no matter among fewer than 2^31 */
	uint32_t slot;  /* among the dues */
};

struct world {
	struct world_config config;
	struct core *core;
	struct audit *audit;
	struct step step;
	size_t events_seen; /* bytes of step.events that have been shown */
	uint32_t effects_seen;
	us_t seen_us;      /* time of the last event shown, as the next one's is relative to it; 0 in a new batch */
	uint64_t sequence; /* of the last event of a closed batch */
	struct arena arena;
	us_t now_us;
	struct coming *heap;
	uint32_t heap_len, heap_cap, order;
	struct due *dues; /* of what is in the heap */
	uint32_t n_dues, dues_cap;
	struct spares spare_dues;
	struct due *answers; /* to give at once; answers_at <= answers_len */
	uint32_t answers_at, answers_len, answers_cap;
};

struct world *world_new(const struct world_config *config)
{
	struct world *world = mem_new(1, sizeof *world);

	world->config = *config;
	world->core = core_new();
	world->audit = audit_new(config->unchecked, config->threaded);
	world->step.applied = config->applied;
	world->step.ctx = config->ctx;
	return world;
}

struct world *world_free(struct world *world)
{
	if (!world)
		return NULL;
	core_free(world->core);
	audit_free(world->audit);
	step_done(&world->step);
	arena_done(&world->arena);
	free(world->heap);
	free(world->dues);
	spares_done(&world->spare_dues);
	free(world->answers);
	free(world);
	return NULL;
}

const struct core *world_core(const struct world *world)
{
	return world->core;
}

void world_slow(struct world *world, us_t kill_us)
{
	world->config.kill_us = kill_us;
}

uint64_t world_checked(const struct world *world)
{
	return audit_count(world->audit);
}

/* ---- What is to come ---- */

static bool comes_before(const struct coming *a, const struct coming *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : (int32_t)(a->order - b->order) < 0;
}

static uint32_t keep_due(struct world *world, const struct due *due)
{
	uint32_t slot = spares_take(&world->spare_dues, (void **)&world->dues, &world->dues_cap, &world->n_dues, sizeof *world->dues);

	world->dues[slot] = *due;
	return slot;
}

static void heap_push(struct world *world, struct due due)
{
	struct coming coming = {due.at_us, world->order++, keep_due(world, &due)};
	uint32_t i = world->heap_len;

	mem_grow((void **)&world->heap, &world->heap_cap, world->heap_len, sizeof *world->heap);
	world->heap_len++;
	for (; i && comes_before(&coming, &world->heap[(i - 1) / 4]); i = (i - 1) / 4)
		world->heap[i] = world->heap[(i - 1) / 4];
	world->heap[i] = coming;
}

static struct due heap_pop(struct world *world)
{
	struct coming last = world->heap[--world->heap_len];
	uint32_t i = 0, slot = world->heap[0].slot;

	for (uint32_t first; (first = 4 * i + 1) < world->heap_len;) {
		uint32_t end = first + 4 < world->heap_len ? first + 4 : world->heap_len, least = first;

		for (uint32_t child = first; child < end && 4 * child + 1 < world->heap_len; child++)
			__builtin_prefetch(&world->heap[4 * child + 1]); /* of the four that come next, before it is known which */
		for (uint32_t child = first + 1; child < end; child++)
			if (comes_before(&world->heap[child], &world->heap[least]))
				least = child;
		if (!comes_before(&world->heap[least], &last))
			break;
		world->heap[i] = world->heap[least];
		i = least;
	}
	world->heap[i] = last;
	spares_give(&world->spare_dues, slot);
	return world->dues[slot];
}

/* ---- Asking ahead ---- */

enum { CACHE_LINE = 64 };

/* What ends was last looked at long ago, and has to come from memory. So what a report changes is asked for while the one before
 * it is taken: first the job, and then what the job points to. Whatever comes in between only makes that be of no use. */
static const struct job *next_job(const struct world *world)
{
	return world->heap_len ? core_job(world->core, world->dues[world->heap[0].slot].job) : NULL;
}

static void fetch_job(const struct world *world)
{
	const struct job *job = next_job(world);

	for (size_t at = 0; job && at < sizeof *job; at += CACHE_LINE)
		__builtin_prefetch((const char *)job + at);
	if (job && world->config.soon)
		world->config.soon(world->config.ctx, world->dues[world->heap[0].slot].job);
	for (uint32_t i = 1; i < 5 && i < world->heap_len; i++) /* of these one is the next after it */
		__builtin_prefetch(&world->dues[world->heap[i].slot]);
}

/* Always inline: gcc takes a function that only asks for memory for one that does nothing, and leaves out the calls of it. */
__attribute__((always_inline)) static inline void fetch_running(const struct world *world)
{
	const struct job *job = next_job(world);

	if (!job || !job->running)
		return;
	__builtin_prefetch(job->running);
	__builtin_prefetch(job->running->tenants);
	__builtin_prefetch(job->plan.tasks);
}

/* ---- How centres answer ---- */

static void answer(struct world *world, struct due due)
{
	mem_grow((void **)&world->answers, &world->answers_cap, world->answers_len, sizeof *world->answers);
	world->answers[world->answers_len++] = due;
}

/* At once, or `after_us` from now. */
static void answer_after(struct world *world, struct due due, us_t after_us)
{
	due.at_us = us_add(world->now_us, after_us);
	if (after_us)
		heap_push(world, due);
	else
		answer(world, due);
}

/* How a killed attempt ends. Of what ran on a node that failed nothing is heard but that it is lost. */
static struct due end_by_kill(const struct effect *effect)
{
	struct due due = {.job = effect->job,
	                  .attempt = effect->attempt,
	                  .state = ATTEMPT_ENDED,
	                  .cause = effect->cause,
	                  .exit_code = EXIT_BY_TERM};

	if (effect->cause == CAUSE_NODE)
		return (struct due){.job = effect->job, .attempt = effect->attempt, .state = ATTEMPT_LOST, .cause = CAUSE_LOST};
	if (cause_makes_room(effect->cause))
		due.cause = CAUSE_SIGNAL;
	return due;
}

static void take_effect(struct world *world, const struct effect *effect)
{
	struct due due = {.job = effect->job, .attempt = effect->attempt, .state = ATTEMPT_RUNNING};

	switch (effect->type) {
	case EFFECT_HOLD:
		if (world->config.startup_us)
			due.state = ATTEMPT_HELD; /* else a perfect centre runs it at once, which the table of attempts allows */
		answer(world, due);
		break;
	case EFFECT_RELEASE:
		if (world->config.startup_us)
			answer_after(world, due, world->config.startup_us);
		break;
	case EFFECT_KILL: answer_after(world, end_by_kill(effect), world->config.kill_us); break;
	case EFFECT_FORGET:
	case EFFECT_ERASE: break;
	}
}

/* An attempt begins to run: its end is known from here on. */
static void plan_end(struct world *world, uint32_t number)
{
	const struct job *job = core_job(world->core, number);
	struct fate fate = world->config.fate(world->config.ctx, world->core, job);
	struct due due = {
		.job = number, .attempt = job->attempt, .state = fate.state, .cause = fate.cause, .exit_code = fate.exit_code};

	if (us_add(job->limit_us, fate.overrun_us) < fate.run_us) {
		fate.run_us = us_add(job->limit_us, fate.overrun_us);
		due.state = ATTEMPT_ENDED;
		due.cause = CAUSE_LIMIT;
		due.exit_code = EXIT_BY_TERM;
	}
	due.at_us = us_add(world->now_us, fate.run_us);
	if (due.at_us != US_NEVER)
		heap_push(world, due);
}

/* ---- Events ---- */

static int show_events(struct world *world, struct err *err)
{
	struct reader r = reader_of(world->step.events.data + world->events_seen, world->step.events.len - world->events_seen);

	while (r.at < r.end) {
		struct event event;

		arena_reset(&world->arena);
		if (event_decode(&r, world->seen_us, &world->arena, &event) < 0)
			return err_set(err, ERR_CORRUPT, "event", "what the core wrote can't be read again");
		world->seen_us = event.at_us;
		world->config.see(world->config.ctx, world->core, &event);
	}
	world->events_seen = world->step.events.len;
	return 0;
}

static int close_batch(struct world *world, struct err *err)
{
	struct step *step = &world->step;
	struct batch batch = {
		.sequence = world->sequence + 1, .n_events = step->n_events, .at_us = step->last_us, .len = step->events.len};
	int code = 0;

	if (!step->n_events)
		return 0;
	batch.events = step->events.data;
	if (world->config.commit)
		code = world->config.commit(world->config.ctx, world->core, &batch, err);
	if (code == 0)
		code = audit_take(world->audit, &step->events, &batch, err);
	world->sequence += step->n_events;
	step_reset(step);
	world->events_seen = 0;
	world->effects_seen = 0;
	world->seen_us = 0;
	return code;
}

static int step_once(struct world *world, const struct input *input, struct err *err)
{
	int code;

	world->step.decided = 0; /* its batches are of many turns */
	code = core_step(world->core, input, &world->step, err);
	if (code < 0)
		return code;
	if (world->config.see)
		code = show_events(world, err);
	for (; code == 0 && world->effects_seen < world->step.n_effects; world->effects_seen++)
		take_effect(world, &world->step.effects[world->effects_seen]);
	if (code == 0 && world->step.events.len >= world->config.batch_bytes)
		code = close_batch(world, err);
	return code;
}

/* ---- Centres that choose the cards themselves ---- */

/* Adds what runs on a node's cards. */
static void add_used(const struct job *job, const struct task *on, uint32_t used_milli[CARDS_PER_NODE_MAX])
{
	for (uint32_t i = 0; i < job->plan.n_tasks; i++) {
		const struct task *task = &job->plan.tasks[i];

		if (task->centre != on->centre || task->node != on->node)
			continue;
		for (uint64_t left = task->cards; left; left &= left - 1)
			used_milli[__builtin_ctzll(left)] += task->cards_milli < CARD_MILLI ? task->cards_milli : CARD_MILLI;
	}
}

/* The first cards of its node that have room for a task, as an engine would take them; 0: there aren't as many. */
static uint64_t choose_cards(const struct core *core, const struct task *task)
{
	uint32_t used_milli[CARDS_PER_NODE_MAX] = {0};
	uint32_t share = task->cards_milli < CARD_MILLI ? task->cards_milli : CARD_MILLI,
			 wanted = (task->cards_milli + 999) / CARD_MILLI;
	uint32_t node = pool_node(core_pool(core), task->centre, task->node);
	uint64_t chosen = 0;

	for (const struct job *job = core_job_after(core, 0); job; job = core_job_after(core, job->id))
		if (job_is_live(job))
			add_used(job, task, used_milli);
	for (uint32_t i = 0; node != NODE_NONE && wanted && i < core_pool(core)->nodes[node].cards; i++)
		if (used_milli[i] + share <= CARD_MILLI) {
			chosen |= UINT64_C(1) << i;
			wanted--;
		}
	return wanted ? 0 : chosen;
}

/* Fills in which cards an attempt got, where the plan leaves that to the centre. Cost: O(jobs × tasks); for small pools. */
static void choose(struct world *world, const struct job *job, struct report *report)
{
	uint64_t *cards;

	if (!job->plan.tasks[0].cards_milli || job->plan.tasks[0].cards)
		return;
	arena_reset(&world->arena);
	cards = arena_new(&world->arena, job->plan.n_tasks, sizeof *cards);
	for (uint32_t i = 0; i < job->plan.n_tasks; i++)
		if (!(cards[i] = choose_cards(world->core, &job->plan.tasks[i])))
			return;
	report->cards = cards;
	report->n_cards = job->plan.n_tasks;
}

/* ---- Inputs ---- */

static int give_report(struct world *world, const struct due *due, struct err *err)
{
	struct input input = {.type = INPUT_REPORT, .now_us = world->now_us};
	int code;

	input.report = (struct report){.job = due->job,
	                               .attempt = due->attempt,
	                               .state = due->state,
	                               .at_us = world->now_us,
	                               .cause = due->cause,
	                               .exit_code = due->exit_code};
	if (due->state == ATTEMPT_RUNNING)
		choose(world, core_job(world->core, due->job), &input.report);
	code = step_once(world, &input, err);
	if (code == 0 && due->state == ATTEMPT_RUNNING)
		plan_end(world, due->job);
	return code;
}

/* It is news: the attempt that it is about is still there. */
static bool still_live(const struct world *world, const struct due *due)
{
	const struct job *job = core_job(world->core, due->job);

	return job && job_is_live(job) && job->attempt == due->attempt;
}

static int take_answers(struct world *world, struct err *err)
{
	while (world->answers_at < world->answers_len) {
		struct due due = world->answers[world->answers_at++];
		int code = still_live(world, &due) ? give_report(world, &due, err) : 0;

		if (code < 0)
			return code;
	}
	world->answers_at = world->answers_len = 0;
	return 0;
}

/* Until nothing more is due at this instant. */
static int settle(struct world *world, struct err *err)
{
	int code = take_answers(world, err);

	while (code == 0 && core_has_backlog(world->core)) {
		code = step_once(world, &(struct input){.type = INPUT_CLOCK, .now_us = world->now_us}, err);
		code = code < 0 ? code : take_answers(world, err);
	}
	if (code < 0)
		return code;
	if (world->config.settled)
		world->config.settled(world->config.ctx, world->core, world->now_us);
	return 0;
}

int world_input(struct world *world, const struct input *input, struct err *err)
{
	int code;

	if (input->now_us > world->now_us)
		world->now_us = input->now_us;
	code = step_once(world, input, err);
	return code < 0 ? code : settle(world, err);
}

int world_submit(struct world *world, us_t now_us, const struct job_spec *spec, uint32_t *ret_job, struct err *err)
{
	struct input input = {.type = INPUT_SUBMIT, .now_us = now_us, .who = spec->user};
	int code;

	input.submit.spec = spec;
	world->now_us = now_us > world->now_us ? now_us : world->now_us;
	code = step_once(world, &input, err);
	if (code < 0)
		return code;
	*ret_job = world->step.job;
	return settle(world, err);
}

us_t world_next(const struct world *world)
{
	us_t wake_us = core_wake(world->core);

	return world->heap_len && world->heap[0].at_us < wake_us ? world->heap[0].at_us : wake_us;
}

static int give_clock(struct world *world, us_t now_us, struct err *err)
{
	uint64_t events = core_sequence(world->core);
	int code = world_input(world, &(struct input){.type = INPUT_CLOCK, .now_us = now_us}, err);

	if (code == 0 && core_sequence(world->core) == events && core_wake(world->core) <= now_us)
		return err_set(err, ERR_CORRUPT, "wake-up", "at %" PRId64 " us the core did nothing, and wants to be called at %" PRId64,
		               now_us, core_wake(world->core));
	return code;
}

int world_run(struct world *world, us_t until_us, struct err *err)
{
	for (us_t next_us; (next_us = world_next(world)) != US_NEVER && next_us <= until_us;) {
		int code = 0;

		if (!world->heap_len || world->heap[0].at_us > next_us) {
			code = give_clock(world, next_us, err);
		} else {
			struct due due = heap_pop(world);

			if (!still_live(world, &due))
				continue;
			fetch_job(world);
			world->now_us = next_us > world->now_us ? next_us : world->now_us;
			code = give_report(world, &due, err);
			fetch_running(world);
			code = code < 0 ? code : settle(world, err);
		}
		if (code < 0)
			return code;
	}
	return 0;
}

int world_finish(struct world *world, struct hash *ret_digest, struct err *err)
{
	int code = close_batch(world, err);

	return code < 0 ? code : audit_finish(world->audit, ret_digest, err);
}
