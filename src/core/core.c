/* SPDX-License-Identifier: Apache-2.0
 * core.c: core_step(), the loop of decide and apply; see core.h.
 *
 * An input yields at most one event of its own (take_input). Then follow-ups are yielded until there are none: what a job's
 * timer says (follow_up), and what the queue yields (pass.c). Each event is encoded, applied, and turned into the
 * effects that it asks for. Deciding reads the state and never writes it. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/state.h"

struct core *core_new(void)
{
	struct core *core = mem_new(1, sizeof *core);

	core->config = config_default();
	return core;
}

struct core *core_free(struct core *core)
{
	if (!core)
		return NULL;
	reservation_clear(&core->reservation);
	for (uint32_t id = 1; id <= core->last_job; id++)
		job_free(core->jobs[id]);
	for (uint32_t i = 0; i < core->n_calendars; i++)
		calendar_done(&core->calendars[i]);
	free(core->calendars);
	capacity_done(&core->capacity);
	capacity_done(&core->empty);
	queue_done(&core->queue);
	strtab_done(&core->kinds);
	strtab_done(&core->centres);
	strtab_done(&core->projects);
	strtab_done(&core->users);
	map_done(&core->idempotency);
	map_done(&core->payloads);
	pool_free(core->pool);
	arena_done(&core->scratch);
	free(core->jobs);
	free(core->silent);
	free(core->project);
	free(core);
	return NULL;
}

/* ---- Effects ---- */

static void add_effect(struct step *step, enum effect_type type, const struct job *job, enum cause cause)
{
	mem_grow((void **)&step->effects, &step->effects_cap, step->n_effects, sizeof *step->effects);
	step->effects[step->n_effects++] = (struct effect){
		.type = type, .centre = job->plan.tasks[0].centre, .job = job->id, .attempt = job->attempt, .cause = cause};
}

/* What an event asks of the world, once it was applied. */
static void add_effects_of(const struct core *core, const struct event *e, struct step *step)
{
	const struct job *job;

	switch (e->type) {
	case EVENT_PLACED: add_effect(step, EFFECT_HOLD, core->jobs[e->placed.job], CAUSE_NONE); break;
	case EVENT_ATTEMPT:
		job = core->jobs[e->attempt.job];
		if (e->attempt.state == ATTEMPT_HELD && job->state != JOB_CLEANUP)
			add_effect(step, EFFECT_RELEASE, job, CAUSE_NONE);
		break;
	case EVENT_STOPPING:
		job = core->jobs[e->stopping.job];
		if (e->stopping.attempt)
			add_effect(step, EFFECT_KILL, job, e->stopping.cause);
		break;
	default: break;
	}
}

static void add_erase(const struct core *core, const struct job *job, struct step *step)
{
	if (core_payload_users(core, &job->payload) != 1)
		return;
	mem_grow((void **)&step->effects, &step->effects_cap, step->n_effects, sizeof *step->effects);
	step->effects[step->n_effects++] = (struct effect){.type = EFFECT_ERASE, .job = job->id, .payload = job->payload};
}

/* An end drops the plan of a job that waits again, and what is forgotten is gone: these effects are added before. */
static void add_effects_before(const struct core *core, const struct event *e, struct step *step)
{
	if (e->type == EVENT_ENDED && e->ended.attempt)
		add_effect(step, EFFECT_FORGET, core->jobs[e->ended.job], e->ended.cause);
	if (e->type == EVENT_FORGOTTEN)
		add_erase(core, core->jobs[e->forgotten.job], step);
}

void core_outstanding(const struct core *core, struct step *step)
{
	for (const struct tree_node *node = tree_first(&core->live); node; node = tree_next(node)) {
		const struct job *job = tree_entry(node, struct job, in_live);

		if (job->state == JOB_CLEANUP)
			add_effect(step, EFFECT_KILL, job, job->cause);
		else if (job->attempt_state == ATTEMPT_INTENT)
			add_effect(step, EFFECT_HOLD, job, CAUSE_NONE);
		else if (job->attempt_state == ATTEMPT_HELD)
			add_effect(step, EFFECT_RELEASE, job, CAUSE_NONE);
	}
}

void step_reset(struct step *step)
{
	step->events.len = 0;
	step->n_events = 0;
	step->n_effects = 0;
	step->last_us = 0;
}

void step_done(struct step *step)
{
	buf_done(&step->events);
	free(step->effects);
	*step = (struct step){0};
}

static void emit(struct core *core, const struct event *event, struct step *step)
{
	event_encode(event, step->last_us, &step->events);
	step->last_us = event->at_us;
	step->n_events++;
	add_effects_before(core, event, step);
	apply(core, event);
	add_effects_of(core, event, step);
}

/* ---- Deciding: an input's own event ---- */

/* Each returns 1 with an event, 0 where the input is no news, or a negative code. */
typedef int take_fn(const struct core *core, const struct input *in, struct arena *arena, struct event *ret, struct step *step,
                    struct err *err);

static bool same_pool(const struct core *core, const struct pool_spec *spec)
{
	struct buf a = {0}, b = {0};
	bool same;

	if (!core->pool)
		return false;
	pool_spec_encode(&core->pool->spec, &a);
	pool_spec_encode(spec, &b);
	same = a.len == b.len && !memcmp(a.data, b.data, a.len);
	buf_done(&a);
	buf_done(&b);
	return same;
}

static int take_pool(const struct core *core, const struct input *in, struct arena *arena, struct event *ret, struct step *step,
                     struct err *err)
{
	(void)arena;
	(void)step;
	if (pool_check(in->pool, err) < 0)
		return err->code;
	ret->type = EVENT_POOL;
	ret->pool = *in->pool;
	return !same_pool(core, in->pool);
}

static int take_config(const struct core *core, const struct input *in, struct arena *arena, struct event *ret, struct step *step,
                       struct err *err)
{
	const struct config_spec *a = &core->config, *b = in->config;

	(void)arena;
	(void)step;
	if (b->policy != POLICY_FAIR && b->policy != POLICY_FIFO)
		return err_set(err, ERR_UNSUPPORTED, "policy", "%s: not in this release; use fair or fifo", policy_word(b->policy));
	if (b->reservations > 1)
		return err_set(err, ERR_UNSUPPORTED, "reservations", "%" PRIu32 ": at most 1 in this release", b->reservations);
	if (b->jobs_max > UINT32_MAX)
		return err_set(err, ERR_INVALID, "jobs_max", "%" PRIu64 ": at most %" PRIu32, b->jobs_max, UINT32_MAX);
	if (b->kill_grace_us < 0 || b->kill_grace_us > US_DURATION_MAX)
		return err_set(err, ERR_INVALID, "kill_grace", "%" PRId64 " us: expected 0 to a hundred years", b->kill_grace_us);
	if (b->lease_us < 0 || b->lease_us > US_DURATION_MAX)
		return err_set(err, ERR_INVALID, "lease", "%" PRId64 " us: expected 0 to a hundred years", b->lease_us);
	if (b->history_after_us < 0)
		return err_set(err, ERR_INVALID, "history_after", "%" PRId64 " us: expected 0 or more", b->history_after_us);
	ret->type = EVENT_CONFIG;
	ret->config = *b;
	return core->sequence == 0 || a->policy != b->policy || a->reservations != b->reservations ||
	       a->max_restarts != b->max_restarts || a->kill_grace_us != b->kill_grace_us || a->lease_us != b->lease_us ||
	       a->jobs_max != b->jobs_max || a->seed != b->seed || a->history_after_us != b->history_after_us ||
	       a->history_jobs_max != b->history_jobs_max;
}

/* A request with a key that was used before is the same request, or a mistake. */
static int find_repeated(const struct core *core, const uint8_t *key, struct step *step, struct err *err)
{
	const struct job *job;

	job = core_job(core, map_get(&core->idempotency, hash_word(key), 0));
	if (!job || memcmp(job->extra->idempotency, key, IDEMPOTENCY_BYTES / 2) != 0)
		return 0;
	if (memcmp(job->extra->idempotency, key, IDEMPOTENCY_BYTES) != 0)
		return err_set(err, ERR_CONFLICT, "Idempotency-Key", "used before for another request, which made job %" PRIu32, job->id);
	step->repeated = true;
	step->job = job->id;
	return 1;
}

static int take_submit(const struct core *core, const struct input *in, struct arena *arena, struct event *ret, struct step *step,
                       struct err *err)
{
	int rc = in->submit.idempotency ? find_repeated(core, in->submit.idempotency, step, err) : 0;

	if (rc)
		return rc < 0 ? rc : 0;
	ret->type = EVENT_SUBMITTED;
	rc = admit(core, in->submit.spec, in->submit.idempotency, ret->at_us, arena, &ret->submitted, err);
	step->job = rc ? 0 : ret->submitted.job;
	return rc ? rc : 1;
}

static struct event stopping(const struct job *job, enum cause cause, const char *who)
{
	struct event e = {.type = EVENT_STOPPING};

	e.stopping.job = job->id;
	e.stopping.attempt = job_is_live(job) ? job->attempt : 0;
	e.stopping.cause = cause;
	e.stopping.who = who ? who : "";
	return e;
}

static struct event ended_waiting(const struct job *job, enum cause cause, enum job_state then)
{
	struct event e = {.type = EVENT_ENDED};

	e.ended = (struct ended){.job = job->id, .cause = cause, .exit_code = job->exit_code, .then = then, .note = ""};
	return e;
}

static int take_cancel(const struct core *core, const struct input *in, struct arena *arena, struct event *ret, struct step *step,
                       struct err *err)
{
	const struct job *job = core_job(core, in->cancel.job);
	us_t at_us = ret->at_us;

	(void)arena;
	(void)step;
	if (!job)
		return err_set(err, ERR_NOT_FOUND, "job", "%" PRIu32 ": there is no such job", in->cancel.job);
	if (job_is_over(job) || job->state == JOB_CLEANUP)
		return 0;
	if (job_is_live(job) || job->array) {
		*ret = stopping(job, CAUSE_CANCEL, in->who);
	} else {
		*ret = ended_waiting(job, CAUSE_CANCEL, JOB_CANCELED);
		ret->ended.at_us = at_us;
	}
	ret->at_us = at_us;
	return 1;
}

static int take_centre(const struct core *core, const struct input *in, struct arena *arena, struct event *ret, struct step *step,
                       struct err *err)
{
	(void)arena;
	(void)step;
	if (in->centre.centre >= core->centres.count)
		return err_set(err, ERR_NOT_FOUND, "centre", "%" PRIu32 ": there is no such centre", in->centre.centre);
	ret->type = EVENT_CENTRE;
	ret->centre.centre = in->centre.centre;
	ret->centre.silent = in->centre.silent;
	return core->silent[in->centre.centre] != in->centre.silent;
}

/* What becomes of a job whose attempt is over: its own success counts whatever was asked meanwhile; then what was asked;
 * then, for what was lost unasked and may run again, the queue. */
static enum job_state what_then(const struct job *job, const struct report *r, enum cause cause)
{
	if (r->state == ATTEMPT_ENDED && cause == CAUSE_EXIT && r->exit_code == 0)
		return JOB_COMPLETED;
	if (cause == CAUSE_CANCEL || job->cause == CAUSE_CANCEL)
		return JOB_CANCELED;
	if (r->state == ATTEMPT_LOST && job->state != JOB_CLEANUP && job->rerun_when_lost && job->restarts_left > 0)
		return JOB_QUEUED;
	return JOB_FAILED;
}

static enum cause cause_of(const struct job *job, const struct report *r)
{
	if (r->state == ATTEMPT_LOST)
		return CAUSE_LOST;
	if (r->state == ATTEMPT_REFUSED)
		return CAUSE_REFUSED;
	if (job->state == JOB_CLEANUP && r->cause != CAUSE_EXIT)
		return job->cause;
	return r->cause == CAUSE_NONE ? CAUSE_EXIT : r->cause;
}

static void take_end(const struct job *job, const struct report *r, us_t at_us, struct event *ret)
{
	enum cause cause = cause_of(job, r);

	ret->type = EVENT_ENDED;
	ret->ended = (struct ended){
		.job = job->id,
		.attempt = job->attempt,
		.attempt_state = r->state,
		.cause = cause,
		.exit_code = r->exit_code,
		.rank = r->rank < job->plan.n_tasks ? r->rank : 0,
		.at_us = at_us,
		.then = what_then(job, r, cause),
		.note = r->note ? r->note : "",
	};
}

/* Reports may come twice, late, or about an attempt that is over: what isn't news is ignored. */
static int take_report(const struct core *core, const struct input *in, struct arena *arena, struct event *ret, struct step *step,
                       struct err *err)
{
	const struct report *r = &in->report;
	const struct job *job = core_job(core, r->job);
	us_t at_us;

	(void)arena;
	(void)step;
	(void)err;
	if (!job || !job_is_live(job) || job->attempt != r->attempt || !attempt_may_become(job->attempt_state, r->state))
		return 0;
	at_us = r->at_us == 0 || r->at_us > ret->at_us ? ret->at_us : r->at_us;
	at_us = at_us < job->placed_us ? job->placed_us : at_us;
	at_us = job->started_us != US_NEVER && at_us < job->started_us ? job->started_us : at_us;
	if (r->state >= ATTEMPT_ENDED) {
		take_end(job, r, at_us, ret);
		return 1;
	}
	ret->type = EVENT_ATTEMPT;
	ret->attempt.job = job->id;
	ret->attempt.attempt = job->attempt;
	ret->attempt.state = r->state;
	ret->attempt.at_us = at_us;
	ret->attempt.native_id = r->native_id ? r->native_id : "";
	return 1;
}

static int take_clock(const struct core *core, const struct input *in, struct arena *arena, struct event *ret, struct step *step,
                      struct err *err)
{
	(void)core;
	(void)in;
	(void)arena;
	(void)ret;
	(void)step;
	(void)err;
	return 0;
}

static take_fn *const take_input[] = {
	[INPUT_CLOCK] = take_clock,   [INPUT_POOL] = take_pool,     [INPUT_CONFIG] = take_config, [INPUT_SUBMIT] = take_submit,
	[INPUT_CANCEL] = take_cancel, [INPUT_REPORT] = take_report, [INPUT_CENTRE] = take_centre,
};

/* An engine whose centre chooses the cards says which with its report that the attempt runs. */
static bool take_bound(const struct core *core, const struct input *in, struct arena *arena, struct event *ret)
{
	const struct report *r = &in->report;
	const struct job *job = in->type == INPUT_REPORT && r->cards ? core_job(core, r->job) : NULL;
	bool is_news = false;

	if (!job || !job_is_live(job) || job->attempt != r->attempt || r->n_cards != job->plan.n_tasks)
		return false;
	ret->type = EVENT_BOUND;
	ret->bound.job = job->id;
	ret->bound.attempt = job->attempt;
	ret->bound.n_tasks = job->plan.n_tasks;
	ret->bound.tasks = arena_new(arena, job->plan.n_tasks, sizeof *ret->bound.tasks);
	memcpy(ret->bound.tasks, job->plan.tasks, job->plan.n_tasks * sizeof *ret->bound.tasks);
	for (uint32_t i = 0; i < r->n_cards; i++) {
		is_news |= ret->bound.tasks[i].cards != r->cards[i];
		ret->bound.tasks[i].cards = r->cards[i];
	}
	return is_news && apply_fits(core, ret);
}

/* ---- Deciding: what follows ---- */

/* What a job whose timer has come does next: see timer_of() in apply.c. */
static struct event follow_up(const struct core *core, const struct job *job)
{
	struct event e = {.type = EVENT_ELIGIBLE};
	const struct job *array = job->array_of ? core->jobs[job->array_of] : NULL;

	if (job->doomed)
		return ended_waiting(job, CAUSE_DEPENDENCY, JOB_CANCELED);
	if (job->array && job->state == JOB_CLEANUP)
		return ended_waiting(job, job->cause, JOB_CANCELED);
	if (job->array && job->array->over == job->array->count)
		return ended_waiting(job, CAUSE_ELEMENTS, job->array->failed ? JOB_FAILED : JOB_COMPLETED);
	if (array && array->state == JOB_CLEANUP && job_is_live(job))
		return stopping(job, array->cause, array->extra && array->extra->stopped_by ? array->extra->stopped_by : "");
	if (array && array->state == JOB_CLEANUP)
		return ended_waiting(job, array->cause, JOB_CANCELED);
	if (job->state == JOB_ACTIVE)
		return stopping(job, CAUSE_LIMIT, "");
	e.eligible.job = job->id;
	return e;
}

/* The job that is to leave the core: the one that has been over longest, once that is long enough or too many are over. */
static const struct job *to_forget(const struct core *core, us_t now_us)
{
	const struct tree_node *node = tree_first(&core->over);
	const struct job *job = node ? tree_entry(node, struct job, in_timers) : NULL;

	if (job &&
	    (core->over.count > core->config.history_jobs_max || us_add(job->timer_us, core->config.history_after_us) <= now_us))
		return job;
	return NULL;
}

static bool decide(struct core *core, us_t now_us, struct event *ret)
{
	struct tree_node *node = tree_first(&core->timers);
	const struct job *job = node ? tree_entry(node, struct job, in_timers) : NULL;

	if (job && job->timer_us <= now_us) {
		*ret = follow_up(core, job);
		ret->at_us = now_us;
		if (ret->type == EVENT_ENDED)
			ret->ended.at_us = now_us;
		return true;
	}
	if (core->pool && pass_next(core, now_us, ret))
		return true;
	job = to_forget(core, now_us);
	if (!job)
		return false;
	*ret = (struct event){.type = EVENT_FORGOTTEN, .at_us = now_us};
	ret->forgotten.job = job->id;
	return true;
}

us_t core_wake(const struct core *core)
{
	const struct tree_node *node = tree_first(&core->timers);
	us_t wake = node ? tree_entry(node, struct job, in_timers)->timer_us : US_NEVER;
	us_t forget = US_NEVER;

	node = tree_first(&core->over);
	if (node)
		forget = us_add(tree_entry(node, struct job, in_timers)->timer_us, core->config.history_after_us);
	if (forget < wake)
		wake = forget;

	if (core->reservation.job && core->reservation.plan.start_us < wake)
		wake = core->reservation.plan.start_us + 1; /* past it: see why_reserve() in pass.c */
	return wake;
}

int core_step(struct core *core, const struct input *input, struct step *step, struct err *err)
{
	us_t now_us = input->now_us > core->now_us ? input->now_us : core->now_us;
	struct event event = {.at_us = now_us};
	struct err own;
	int rc;

	arena_reset(&core->scratch);
	step->job = 0;
	step->repeated = false;
	if (take_bound(core, input, &core->scratch, &event))
		emit(core, &event, step);
	event = (struct event){.at_us = now_us};
	rc = take_input[input->type](core, input, &core->scratch, &event, step, err ? err : &own);
	if (rc < 0) {
		step->wake_us = core_wake(core);
		return rc;
	}
	if (rc > 0)
		emit(core, &event, step);
	for (; decide(core, now_us, &event); arena_reset(&core->scratch))
		emit(core, &event, step);
	step->wake_us = core_wake(core);
	return 0;
}

int core_apply(struct core *core, const void *events, size_t len,
               void (*visit)(void *ctx, const struct core *core, uint64_t sequence, const struct event *event), void *ctx,
               struct err *err)
{
	struct reader r = reader_of(events, len);
	struct event event = {0};

	for (us_t previous = 0; r.at != r.end; previous = event.at_us) {
		arena_reset(&core->scratch);
		if (event_decode(&r, previous, &core->scratch, &event) < 0)
			return err_set(err, ERR_CORRUPT, "journal", "event %" PRIu64 " can't be read", core->sequence + 1);
		if (!apply_fits(core, &event))
			return err_set(err, ERR_CORRUPT, "journal", "event %" PRIu64 " (%s) can't follow the one before", core->sequence + 1,
			               event_word(event.type));
		if (visit)
			visit(ctx, core, core->sequence + 1, &event);
		apply(core, &event);
	}
	return 0;
}
