/* SPDX-License-Identifier: Apache-2.0
 * core_fixture.h: small pools, a core with a follower behind it, and short ways to ask things of them.
 *
 * Every step of a world is checked: core_check() on both cores; the follower, which saw nothing but the bytes, has the same
 * digest; and a core loaded from the state before the step decides the same. */
#ifndef SUAN_TEST_CORE_FIXTURE_H
#define SUAN_TEST_CORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "core/core.h"
#include "sim/plan_check.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { CAN_ALL = CAN_EXACT_CARDS | CAN_FRACTIONS | CAN_IMAGES | CAN_BARE | CAN_LOGS | CAN_SIGNALS | CAN_START_ONCE | CAN_LIMIT };

static const struct kind_spec kinds_ab[] = {
	{.name = "a", .vendor = "v", .source = "s", .class = CLASS_INTELLIGENT, .memory_mib = 1},
	{.name = "b", .vendor = "w", .source = "t", .class = CLASS_GENERAL, .measured = true},
};

static inline uint32_t below(struct rng *rng, uint32_t bound)
{
	return (uint32_t)rng_below(rng, bound);
}

static inline bool chance(struct rng *rng, uint32_t percent)
{
	return below(rng, 100) < percent;
}

static inline struct pool_spec pool_of(const struct centre_spec *centres, uint32_t n)
{
	return (struct pool_spec){
		.name = "p", .currency = "CNY", .kinds = kinds_ab, .n_kinds = COUNT(kinds_ab), .centres = centres, .n_centres = n};
}

/* ---- A world ---- */

struct world {
	struct core *core, *follower;
	struct plan_check *checker; /* sees every plan, but for centres whose cards are only counted */
	bool unchecked;
	struct step step;   /* of the latest input alone */
	struct buf journal; /* every batch so far, one behind the other */
	size_t batch[4096]; /* where each begins in it */
	uint32_t n_batches;
	struct core *shadow;    /* loaded, or replayed, at some time, and given the same inputs since; NULL: none */
	uint32_t decisions_max; /* of one batch, which is a step here; 0: as many as usual */
	us_t now_us;
	struct err err;
};

static inline void world_compare(const struct world *w)
{
	struct buf a = {0}, b = {0};

	core_check(w->core);
	core_check(w->follower);
	core_save(w->core, &a);
	core_save(w->follower, &b);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	buf_done(&a);
	buf_done(&b);
}

/* The first reservation's plan and job; NULL and 0 where nobody holds one. */
static inline const struct plan *first_reservation(const struct core *core, uint32_t *ret_job)
{
	const struct reservation *r = core_reservations(core) ? core_reservation(core, 0) : NULL;

	*ret_job = r ? r->job : 0;
	return r ? &r->plan : NULL;
}

static inline void print_events(const char *what, const struct step *step)
{
	struct reader r = reader_of(step->events.data, step->events.len);
	struct arena arena = {0};
	struct event e;

	print_error("%s:", what);
	for (us_t previous = 0; r.at != r.end && event_decode(&r, previous, &arena, &e) == 0; previous = e.at_us)
		print_error(" %s", event_word(e.type));
	print_error("\n");
	arena_done(&arena);
}

static inline struct core *world_copy(const struct world *w)
{
	struct buf bytes = {0};
	struct core *copy;
	struct err err;

	core_save(w->core, &bytes);
	if (core_load(bytes.data, bytes.len, &copy, &err) < 0)
		fail_msg("a state doesn't load: %s", err.text);
	if (w->decisions_max)
		core_set_decisions_max(copy, w->decisions_max);
	buf_done(&bytes);
	return copy;
}

/* What the latest step decided, a core decides that was loaded from the state before it. */
static inline void world_compare_copy(const struct world *w, struct core *copy, const struct input *in, int rc)
{
	struct step step = {0};
	struct hash a, b;

	assert_int_equal(core_step(copy, in, &step, NULL), rc);
	if (step.events.len != w->step.events.len) {
		print_events("decided", &w->step);
		print_events("loaded", &step);
	}
	assert_int_equal(step.events.len, w->step.events.len);
	if (step.events.len)
		assert_memory_equal(step.events.data, w->step.events.data, step.events.len);
	assert_int_equal(step.n_effects, w->step.n_effects);
	for (uint32_t i = 0; i < step.n_effects; i++) {
		assert_int_equal(step.effects[i].type, w->step.effects[i].type);
		assert_int_equal(step.effects[i].job, w->step.effects[i].job);
		assert_int_equal(step.effects[i].attempt, w->step.effects[i].attempt);
	}
	assert_int_equal(core_wake(copy), core_wake(w->core));
	assert_int_equal(step.job, w->step.job);
	core_check(copy);
	a = core_digest(w->core);
	b = core_digest(copy);
	assert_memory_equal(&a, &b, sizeof a);
	step_done(&step);
	core_free(copy);
}

/* The same of a core that has run beside it. */
static inline void world_compare_shadow(const struct world *w, const struct input *in, int rc)
{
	struct step step = {0};

	assert_int_equal(core_step(w->shadow, in, &step, NULL), rc);
	assert_int_equal(step.events.len, w->step.events.len);
	if (step.events.len)
		assert_memory_equal(step.events.data, w->step.events.data, step.events.len);
	assert_int_equal(core_wake(w->shadow), core_wake(w->core));
	step_done(&step);
}

/* The checker holds plans against cards named one by one: not where an engine chooses them. */
static inline bool world_has_counted(const struct event *event)
{
	if (event->type != EVENT_POOL)
		return event->type == EVENT_BOUND;
	for (uint32_t i = 0; i < event->pool.n_centres; i++)
		if (!(event->pool.centres[i].capabilities & CAN_EXACT_CARDS))
			return true;
	return false;
}

/* Every event that the follower applies goes through the independent checker. */
static inline void world_see(void *ctx, const struct core *core, uint64_t sequence, const struct event *event)
{
	struct world *w = ctx;
	struct err err;

	(void)core;
	(void)sequence;
	w->unchecked |= world_has_counted(event);
	if (!w->unchecked && plan_check_event(w->checker, event, &err) < 0)
		fail_msg("%s: %s", err.subject, err.text);
}

/* Gives the core an input at the world's time. Returns what core_step does. */
static inline int world_step(struct world *w, struct input in)
{
	struct core *copy = world_copy(w);
	uint64_t before = core_sequence(w->core);
	struct err err = {0};
	int rc;

	step_reset(&w->step);
	in.now_us = w->now_us;
	rc = core_step(w->core, &in, &w->step, &w->err);
	world_compare_copy(w, copy, &in, rc);
	if (w->shadow)
		world_compare_shadow(w, &in, rc);
	assert_int_equal(core_sequence(w->core), before + w->step.n_events);
	if (rc < 0) {
		assert_int_equal(w->step.n_events, 0);
		assert_int_equal(w->step.n_effects, 0);
		assert_int_equal(w->err.code, rc);
	}
	if (w->step.n_events) {
		assert_true(w->n_batches < COUNT(w->batch));
		w->batch[w->n_batches++] = w->journal.len;
		buf_put(&w->journal, w->step.events.data, w->step.events.len);
		if (core_apply(w->follower, w->step.events.data, w->step.events.len, world_see, w, &err) < 0)
			fail_msg("the follower refuses: %s", err.text);
	}
	if (rc == 0 && !core_has_backlog(w->core) && core_wake(w->core) <= core_now(w->core)) { /* what was due is done */
		uint32_t held_by;
		const struct plan *plan = first_reservation(w->core, &held_by);

		print_events("decided", &w->step);
		fail_msg("wakes at %lld, now is %lld; the reservation is job %u's, at %lld", (long long)core_wake(w->core),
		         (long long)w->now_us, held_by, (long long)(plan ? plan->start_us : 0));
	}
	world_compare(w);
	return rc;
}

static inline int world_pool(struct world *w, const struct pool_spec *spec)
{
	return world_step(w, (struct input){.type = INPUT_POOL, .pool = spec});
}

static inline int world_config(struct world *w, struct config_spec config)
{
	return world_step(w, (struct input){.type = INPUT_CONFIG, .config = &config});
}

static inline struct world *world_of(const struct pool_spec *spec, struct config_spec config)
{
	struct world *w = mem_new(1, sizeof *w);

	w->core = core_new();
	w->follower = core_new();
	w->checker = plan_check_new();
	w->now_us = 1000 * US_SECOND;
	assert_int_equal(world_config(w, config), 0);
	assert_int_equal(world_pool(w, spec), 0);
	return w;
}

/* From now on a core that is loaded now, or that replayed all, runs beside it. */
static inline void world_shadow(struct world *w, bool replayed)
{
	struct err err;

	core_free(w->shadow);
	w->shadow = replayed ? core_new() : world_copy(w);
	for (uint32_t i = 0; replayed && i < w->n_batches; i++) {
		size_t end = i + 1 < w->n_batches ? w->batch[i + 1] : w->journal.len;

		assert_int_equal(core_apply(w->shadow, w->journal.data + w->batch[i], end - w->batch[i], NULL, NULL, &err), 0);
	}
	if (w->decisions_max)
		core_set_decisions_max(w->shadow, w->decisions_max);
}

/* From now on so much is decided into a batch: 1 or more. */
static inline void world_decide_at_most(struct world *w, uint32_t decisions_max)
{
	w->decisions_max = decisions_max;
	core_set_decisions_max(w->core, decisions_max);
}

static inline struct world *world_new(const struct pool_spec *spec)
{
	return world_of(spec, config_default());
}

static inline void world_free(struct world *w)
{
	core_free(w->core);
	core_free(w->follower);
	core_free(w->shadow);
	plan_check_free(w->checker);
	step_done(&w->step);
	buf_done(&w->journal);
	free(w);
}

static inline void world_tick(struct world *w, us_t by_us)
{
	w->now_us += by_us;
	world_step(w, (struct input){.type = INPUT_CLOCK});
}

/* Until nothing more is due. */
static inline void world_catch_up(struct world *w)
{
	while (core_has_backlog(w->core))
		world_tick(w, 0);
}

/* ---- Jobs ---- */

/* What a test asks for; 0 is the usual. */
struct want {
	const char *kind; /* NULL: "a" where there are cards */
	uint32_t nodes, cards_milli, cpus_milli, memory_mib;
	enum tier highest; /* 0: the whole centre */
	const char *centre;
	uint32_t priority; /* 0: 100 */
	us_t limit_us;     /* 0: none */
	us_t begin_us;
	struct dependency_spec on[4];
	uint32_t n_on;
	struct range array; /* step 0: none */
	uint32_t parallel_max;
	bool rerun;
	int32_t restarts;
	bool preemptible; /* once it has run for preemptible_after_us */
	us_t preemptible_after_us;
	us_t checkpoint_every_us;
	const void *key;
	const char *project;
};

struct want_spec {
	struct job_spec job;
	struct group_spec group;
	struct request_spec request;
};

/* The spec of a want; its parts lie in *s. */
static inline const struct job_spec *want_spec(const struct want *want, struct want_spec *s)
{
	s->request = (struct request_spec){
		.kind = want->cards_milli ? (want->kind ? want->kind : "a") : NULL,
		.cards_milli = want->cards_milli,
		.cpus_milli = want->cpus_milli,
		.memory_mib = want->memory_mib,
		.centre = want->centre,
		.speed_milli = 1000,
	};
	s->group = (struct group_spec){.nodes = want->nodes ? want->nodes : 1,
	                               .requests = &s->request,
	                               .n_requests = 1,
	                               .highest = want->highest ? want->highest : TIER_CENTRE};
	s->job = (struct job_spec){
		.name = "j",
		.project = want->project ? want->project : "default",
		.user = "u",
		.groups = &s->group,
		.n_groups = 1,
		.priority = want->priority ? want->priority : 100,
		.limit_us = want->limit_us ? want->limit_us : US_NEVER,
		.begin_us = want->begin_us,
		.dependencies = want->on,
		.n_dependencies = want->n_on,
		.array = &want->array,
		.n_array = want->array.step ? 1 : 0,
		.array_parallel_max = want->parallel_max,
		.max_restarts = want->restarts,
		.rerun_when_lost = want->rerun,
		.preemptible_after_us = want->preemptible ? want->preemptible_after_us : US_NEVER,
		.checkpoint_every_us = want->checkpoint_every_us,
	};
	return &s->job;
}

/* Submits. Returns what core_step does. */
static inline int world_try(struct world *w, struct want want)
{
	struct want_spec s;

	return world_step(w, (struct input){.type = INPUT_SUBMIT, .submit = {want_spec(&want, &s), want.key}});
}

/* Submits what is accepted; returns its number. */
static inline uint32_t world_submit(struct world *w, struct want want)
{
	if (world_try(w, want) < 0)
		fail_msg("refused: %s: %s", w->err.subject, w->err.text);
	assert_int_not_equal(w->step.job, 0);
	return w->step.job;
}

static inline const struct job *job_of(const struct world *w, uint32_t id)
{
	const struct job *job = core_job(w->core, id);

	assert_non_null(job);
	return job;
}

static inline int world_report(struct world *w, uint32_t job, enum attempt_state state, enum cause cause, int32_t exit_code)
{
	struct report r = {.job = job, .attempt = job_of(w, job)->attempt, .state = state, .cause = cause, .exit_code = exit_code};

	return world_step(w, (struct input){.type = INPUT_REPORT, .report = r});
}

static inline void world_run(struct world *w, uint32_t job)
{
	world_report(w, job, ATTEMPT_HELD, 0, 0);
	world_report(w, job, ATTEMPT_RELEASED, 0, 0);
	world_report(w, job, ATTEMPT_RUNNING, 0, 0);
	assert_int_equal(job_of(w, job)->state, JOB_ACTIVE);
}

static inline void world_end(struct world *w, uint32_t job, int32_t exit_code)
{
	world_report(w, job, ATTEMPT_ENDED, CAUSE_EXIT, exit_code);
}

static inline void world_lose(struct world *w, uint32_t job)
{
	world_report(w, job, ATTEMPT_LOST, 0, 0);
}

static inline int world_cancel(struct world *w, uint32_t job)
{
	return world_step(w, (struct input){.type = INPUT_CANCEL, .who = "alice", .cancel = {job}});
}

static inline void world_silence(struct world *w, uint32_t centre, bool silent)
{
	assert_int_equal(world_step(w, (struct input){.type = INPUT_CENTRE, .centre = {centre, silent}}), 0);
}

/* An operator, or an engine, says what nodes of a centre are. Returns what core_step does. */
static inline int world_node(struct world *w, const char *centre, uint32_t first, uint32_t last, enum node_state state)
{
	struct input in = {.type = INPUT_NODE, .who = "alice"};

	in.node.centre = centre;
	in.node.range = (struct node_range){first, last};
	in.node.state = state;
	in.node.note = "because";
	return world_step(w, in);
}

/* Books nodes of a centre from now + from_us on, for so long; project NULL: a drain. Returns what core_step does; the number is
 * in step.job then. */
static inline int world_book(struct world *w, const char *centre, uint32_t first, uint32_t last, const char *project,
                             us_t from_us, us_t for_us)
{
	const struct node_range range = {first, last};
	const struct booking_spec b = {.name = "b",
	                               .project = project,
	                               .centre = centre,
	                               .ranges = &range,
	                               .n_ranges = 1,
	                               .from_us = w->now_us + from_us,
	                               .until_us = us_add(w->now_us + from_us, for_us)};

	return world_step(w, (struct input){.type = INPUT_BOOK, .who = "alice", .book = &b});
}

static inline int world_unbook(struct world *w, uint32_t booking)
{
	return world_step(w, (struct input){.type = INPUT_UNBOOK, .who = "alice", .unbook = {booking}});
}

#define assert_state(w, id, want) assert_string_equal(job_state_word(job_of(w, id)->state), job_state_word(want))
#define assert_cause(w, id, want) assert_string_equal(cause_word(job_of(w, id)->cause), cause_word(want))

/* Whether the latest step has an effect of this type for this job. */
static inline bool has_effect(const struct world *w, enum effect_type type, uint32_t job)
{
	for (uint32_t i = 0; i < w->step.n_effects; i++)
		if (w->step.effects[i].type == type && w->step.effects[i].job == job)
			return true;
	return false;
}

/* The nth event of this type in the latest step, from 0; in the arena. */
static inline bool find_event(const struct world *w, enum event_type type, uint32_t nth, struct arena *arena, struct event *ret)
{
	struct reader r = reader_of(w->step.events.data, w->step.events.len);

	for (us_t previous = 0; r.at != r.end; previous = ret->at_us) {
		assert_int_equal(event_decode(&r, previous, arena, ret), 0);
		if (ret->type == type && nth-- == 0)
			return true;
	}
	return false;
}

/* How many events of this type the latest step has. */
static inline uint32_t count_events(const struct world *w, enum event_type type)
{
	struct arena arena = {0};
	struct event e;
	uint32_t n = 0;

	while (find_event(w, type, n, &arena, &e))
		n++;
	arena_done(&arena);
	return n;
}

/* Why the reservation moved or went in the latest step; CAUSE_COUNT where it didn't. */
static inline enum cause cause_of_reserved(const struct world *w, enum event_type type)
{
	struct arena arena = {0};
	struct event e;
	enum cause cause = CAUSE_COUNT;

	if (find_event(w, type, 0, &arena, &e))
		cause = type == EVENT_RESERVED ? e.reserved.cause : e.unreserved.cause;
	arena_done(&arena);
	return cause;
}

/* Whether a job is live on this node of the first centre, as its first task or another. */
static inline bool is_on(const struct world *w, uint32_t job, uint32_t node)
{
	const struct job *j = job_of(w, job);

	for (uint32_t i = 0; job_is_live(j) && i < j->plan.n_tasks; i++)
		if (j->plan.tasks[i].centre == 0 && j->plan.tasks[i].node == node)
			return true;
	return false;
}

/* A job holds a promise of this start. */
static inline void assert_promised(const struct world *w, uint32_t job, us_t start_us)
{
	const struct reservation *r = core_reservation_of(w->core, job);

	if (!r)
		fail_msg("job %u holds no promise", job);
	assert_int_equal(r->plan.start_us, start_us);
}

#define assert_reason(w, job, want) assert_string_equal(reason_word(reason_of(w, job)), reason_word(want))

static inline enum reason reason_of(const struct world *w, uint32_t job)
{
	struct explanation x;

	assert_int_equal(core_explain(w->core, job, w->now_us, &x, NULL), 0);
	assert_true(*x.text);
	return x.reason;
}

/* Job and start of the reservation. */
static inline void assert_reserved(const struct world *w, uint32_t job, us_t start_us)
{
	uint32_t held_by;
	const struct plan *plan = first_reservation(w->core, &held_by);

	assert_int_equal(held_by, job);
	if (job)
		assert_int_equal(plan->start_us, start_us);
	else
		assert_null(plan);
}

#endif
