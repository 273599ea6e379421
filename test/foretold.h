/* SPDX-License-Identifier: Apache-2.0
 * foretold.h: what a dry run says is what happens if the same is submitted, and nothing else changes.
 *
 * Asked of any core in which all that was due is done. The job is submitted to a copy of it, made from its bytes: at once it is
 * placed, or promised, exactly what was told. Then the copy gets nothing but time, and the ends of what runs, at its bound (of
 * what is past that, when the grace of a kill is over): it starts by the start that it was told. Those that make room for it, or
 * are on their way out, end at once in one copy, and at the end of their grace in another. */
#ifndef SUAN_TEST_FORETOLD_H
#define SUAN_TEST_FORETOLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/core.h"

/* What was told of a job, and the copy in which it comes true. */
struct foretold {
	const char *repeat; /* how to see it again */
	struct plan plan;
	uint32_t stopped; /* to make room */
	us_t asked_us, end_by_us;
	struct core *copy;
	uint32_t job;
	struct step step;
	bool at_once;   /* those on their way out end at once */
	bool overtaken; /* a job came to stand before it */
};

#define foretold_fail(f, text, ...) fail_msg(text "\n%s", __VA_ARGS__, (f)->repeat)

static inline struct core *foretold_copy(const struct core *core)
{
	struct buf bytes = {0};
	struct core *copy = NULL;

	core_save(core, &bytes);
	assert_int_equal(core_load(bytes.data, bytes.len, &copy, NULL), 0);
	buf_done(&bytes);
	return copy;
}

/* The job, or the first element of an array, once it was placed; else the job. */
static inline const struct job *foretold_job(const struct foretold *f)
{
	const struct job *job = core_job(f->copy, f->job), *element = job && job->array ? core_element(f->copy, f->job, 0) : NULL;

	if (job && job->array && job->array->taken)
		element = core_job(f->copy, job->array->elements[0]);
	return element ? element : job;
}

static inline bool foretold_started(const struct foretold *f)
{
	const struct job *job = foretold_job(f);

	return !job || job->attempt > 0;
}

static inline void foretold_same(const struct foretold *f, const struct plan *a, const struct plan *b)
{
	bool same = a->start_us == b->start_us && a->until_us == b->until_us && a->n_tasks == b->n_tasks;

	for (uint32_t i = 0; same && i < a->n_tasks; i++)
		same = a->tasks[i].centre == b->tasks[i].centre && a->tasks[i].node == b->tasks[i].node &&
		       a->tasks[i].cards == b->tasks[i].cards;
	if (!same)
		foretold_fail(
			f, "job %u was told %lld until %lld, first on node %u (cards %#llx); it is %lld until %lld, on node %u (%#llx)",
			f->job, (long long)a->start_us, (long long)a->until_us, a->tasks[0].node, (unsigned long long)a->tasks[0].cards,
			(long long)b->start_us, (long long)b->until_us, b->tasks[0].node, (unsigned long long)b->tasks[0].cards);
}

/* Whether something was decided for others before it was its turn, in the step in which it came: then it needn't be told. */
static inline bool foretold_others_first(const struct foretold *f)
{
	struct reader r = reader_of(f->step.events.data, f->step.events.len);
	struct arena arena = {0};
	bool found = false;
	uint32_t job = 0;
	struct event e;

	for (us_t previous = 0; r.at != r.end && !found && job != f->job; previous = e.at_us) {
		assert_int_equal(event_decode(&r, previous, &arena, &e), 0);
		if (e.type == EVENT_PLACED)
			job = e.placed.array ? e.placed.array : e.placed.job;
		if (e.type == EVENT_RESERVED)
			job = e.reserved.job;
		found = job && job != f->job;
	}
	arena_done(&arena);
	return found;
}

/* What became of it in the step in which it came. */
static inline void foretold_at_once(const struct foretold *f)
{
	const struct job *job = foretold_job(f);
	const struct reservation *r = core_reservation_of(f->copy, f->job);
	bool between = core_config(f->copy)->reservations > 1; /* those who were promised something: these may change places too */

	if (f->plan.start_us == US_NEVER) {
		if (!between && !foretold_others_first(f) && (foretold_started(f) || (r && r->plan.start_us != US_NEVER)))
			foretold_fail(f, "job %u wasn't told its start, and has one", f->job);
		return;
	}
	if (f->plan.start_us == f->asked_us && !f->stopped) {
		if (!foretold_started(f))
			foretold_fail(f, "job %u was told that it starts now, and didn't", f->job);
		foretold_same(f, &f->plan, &job->plan);
		return;
	}
	if (f->stopped && foretold_started(f))
		return; /* those who leave need only be gone by when others are promised something beside it */
	if (!r)
		foretold_fail(f, "job %u was told a start, and neither started nor was promised one", f->job);
	foretold_same(f, &f->plan, &r->plan);
	if (r->n_victims != f->stopped)
		foretold_fail(f, "job %u was told that %u make room, and %u do", f->job, f->stopped, r->n_victims);
}

/* ---- And nothing else changes ---- */

/* When those are to start for whom a job makes room; US_NEVER: it does for nobody. */
static inline us_t foretold_awaited(const struct foretold *f, uint32_t job)
{
	us_t start_us = US_NEVER;

	for (uint32_t i = 0; i < core_reservations(f->copy); i++) {
		const struct reservation *r = core_reservation(f->copy, i);

		for (uint32_t k = 0; k < r->n_victims; k++)
			if (r->victims[k] == job && r->plan.start_us < start_us)
				start_us = r->plan.start_us;
	}
	return start_us;
}

/* When a live job ends. What is late is gone when the grace of a kill is over; or when others were promised to start, for
 * whom it makes room: or else they would start later. */
static inline us_t foretold_end(const struct foretold *f, const struct job *job)
{
	us_t grace_us = core_config(f->copy)->kill_grace_us, until_us = job->plan.until_us, late_us, awaited_us;

	if (job->state == JOB_CLEANUP && f->at_once)
		return core_now(f->copy);
	if (job->state == JOB_CLEANUP && f->stopped && us_add(f->asked_us, grace_us) < until_us)
		return us_add(f->asked_us, grace_us);
	if (until_us > f->asked_us)
		return until_us;
	late_us = us_add(f->asked_us, (job->state == JOB_CLEANUP && f->stopped) || grace_us > US_SECOND ? grace_us : US_SECOND);
	awaited_us = foretold_awaited(f, job->id);
	return awaited_us < late_us ? awaited_us : late_us;
}

/* The live job that ends first; NULL: none does. */
static inline const struct job *foretold_next(const struct foretold *f, us_t *ret_us)
{
	const struct job *next = NULL;

	*ret_us = US_NEVER;
	for (const struct job *job = core_live_after(f->copy, 0); job; job = core_live_after(f->copy, job->id))
		if (foretold_end(f, job) < *ret_us) {
			next = job;
			*ret_us = foretold_end(f, job);
		}
	return next;
}

/* Whether a job, which may have begun by now, stands before the one that was asked about. */
static inline bool foretold_before(const struct foretold *f, const struct job *job)
{
	bool fair = core_config(f->copy)->policy == POLICY_FAIR; /* then shares, which move with time, go before arrival */
	const struct job *own = core_job(f->copy, f->job);

	return job && job != own && job->eligible &&
	       (job->priority > own->priority || (job->priority == own->priority && (fair || job->array_of || job->id < own->id)));
}

/* Whether some job that waits does, or one that was placed by the latest step. */
static inline bool foretold_behind(const struct foretold *f)
{
	for (const struct job *job = core_job_after(f->copy, 0); job; job = core_job_after(f->copy, job->id)) {
		bool waits = job->state == JOB_QUEUED || (job->array && !job_is_over(job));

		if ((waits || job->placed_us == core_now(f->copy)) && foretold_before(f, job))
			return true;
	}
	return false;
}

/* Whether its promise went to jobs that stand before it: others' begins, dependencies, ends and shares may bring them there. */
static inline void foretold_look(struct foretold *f)
{
	struct reader r = reader_of(f->step.events.data, f->step.events.len);
	struct arena arena = {0};
	bool lost = false;
	struct event e;

	for (us_t previous = 0; r.at != r.end; previous = e.at_us) {
		assert_int_equal(event_decode(&r, previous, &arena, &e), 0);
		lost |= e.type == EVENT_RESERVED && e.reserved.job == f->job && e.reserved.cause == CAUSE_ORDER;
		lost |= e.type == EVENT_UNRESERVED && e.unreserved.job == f->job && e.unreserved.cause == CAUSE_ORDER;
	}
	if (lost && !foretold_behind(f))
		foretold_fail(f, "job %u lost its promise at %lld, and nobody stands before it", f->job, (long long)core_now(f->copy));
	f->overtaken |= lost;
	arena_done(&arena);
}

static inline void foretold_step(struct foretold *f, struct input in)
{
	step_reset(&f->step);
	assert_int_equal(core_step(f->copy, &in, &f->step, NULL), 0);
	foretold_look(f);
}

/* Why it still waits. */
static inline const char *foretold_why(const struct foretold *f)
{
	static struct explanation x;

	return core_explain(f->copy, f->job, core_now(f->copy), &x, NULL) == 0 ? x.text : "it is gone";
}

/* Until it starts, or is late. */
static inline void foretold_run(struct foretold *f)
{
	for (int i = 0; !foretold_started(f) && !f->overtaken; i++) {
		us_t end_us, wake_us = core_wake(f->copy), now_us = core_now(f->copy);
		const struct job *job = foretold_next(f, &end_us);
		struct input in = {.type = INPUT_CLOCK, .now_us = wake_us};

		if (job && end_us <= wake_us) {
			in = (struct input){.type = INPUT_REPORT, .now_us = end_us > now_us ? end_us : now_us};
			in.report = (struct report){
				.job = job->id, .attempt = job->attempt, .state = ATTEMPT_ENDED, .cause = CAUSE_LIMIT, .exit_code = 143};
		}
		if (in.now_us > f->plan.start_us || i > 10000)
			foretold_fail(f, "job %u was told a start at %lld (asked at %lld, %u stopped%s), and at %lld: %s", f->job,
			              (long long)f->plan.start_us, (long long)f->asked_us, f->stopped,
			              f->at_once ? ", which end at once" : "", (long long)now_us, foretold_why(f));
		foretold_step(f, in);
	}
}

/* Asks of a job, and looks whether it comes true in a copy. Returns what a submit returns; ret_events: NULL, or what the submit
 * yielded. */
static inline int foretold_check(const struct core *core, const struct job_spec *spec, us_t now_us, const char *repeat,
                                 struct buf *ret_events)
{
	struct foretold f = {.repeat = repeat, .asked_us = now_us};
	const struct input submit = {.type = INPUT_SUBMIT, .now_us = now_us, .who = spec->user, .submit = {.spec = spec}};
	struct arena arena = {0};
	struct hash before = core_digest(core), after;
	struct err told = {0}, err = {0};
	int rc = core_dry_run(core, spec, now_us, &arena, &f.plan, &f.stopped, &told);

	after = core_digest(core);
	assert_memory_equal(&before, &after, sizeof before);
	core_check(core);
	for (int i = 0; i < 2; i++) {
		f.at_once = i == 1;
		f.overtaken = false;
		f.copy = foretold_copy(core);
		step_reset(&f.step);
		assert_int_equal(core_step(f.copy, &submit, &f.step, &err), rc);
		assert_string_equal(err.text, told.text);
		f.job = f.step.job;
		if (ret_events && i == 0)
			buf_put(ret_events, f.step.events.data, f.step.events.len);
		if (rc == 0)
			foretold_at_once(&f);
		if (rc == 0 && f.plan.start_us != US_NEVER)
			foretold_run(&f);
		core_free(f.copy);
	}
	step_done(&f.step);
	arena_done(&arena);
	return rc;
}

#endif
