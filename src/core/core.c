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
	core->decisions_max = DECISIONS_MAX;
	core->tree = projects_new();
	return core;
}

struct core *core_free(struct core *core)
{
	if (!core)
		return NULL;
	for (uint32_t id = 1; id <= core->last_job; id++)
		job_free(&core->memory, core->jobs[id]);
	job_memory_done(&core->memory);
	free(core->endless);
	free(core->live);
	sorted_done(&core->timers);
	sorted_done(&core->over);
	sorted_done(&core->ends);
	sorted_done(&core->leaving);
	capacity_done(&core->capacity);
	capacity_done(&core->empty);
	queue_done(&core->queue);
	strtab_done(&core->kinds);
	strtab_done(&core->centres);
	strtab_done(&core->projects);
	strtab_done(&core->users);
	map_done(&core->idempotency);
	map_done(&core->payloads);
	keep_done(&core->keep);
	for (uint32_t i = 0; i < core->n_bookings; i++)
		booking_free(core->bookings[i]);
	for (uint32_t i = 0; i < core->n_marks; i++)
		free(core->marks[i].note);
	projects_free(core->tree);
	fill_free(core->arrivals.fill);
	project_ranking_done(&core->ranking);
	estimates_done(&core->estimates);
	outlook_done(&core->outlook);
	pool_free(core->pool);
	arena_done(&core->scratch);
	free(core->jobs);
	free(core->silent);
	free(core->bookings);
	free(core->marks);
	free(core->tenants);
	free(core->freed_at);
	free(core->room);
	free(core->entrants);
	free(core->ranks);
	free(core->place_of);
	arena_done(&core->wake_scratch);
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
		if (e->attempt.state == ATTEMPT_HELD && !core_is_stopping(core, job))
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
	for (const struct job *job = core_live_after(core, 0); job; job = core_live_after(core, job->id)) {
		if (job->state == JOB_CLEANUP)
			add_effect(step, EFFECT_KILL, job, job->cause);
		else if (core_is_stopping(core, job))
			continue;
		else if (job->attempt_state == ATTEMPT_INTENT)
			add_effect(step, EFFECT_HOLD, job, CAUSE_NONE);
		else if (job->attempt_state == ATTEMPT_HELD)
			add_effect(step, EFFECT_RELEASE, job, CAUSE_NONE);
	}
}

void step_reset(struct step *step)
{
	step->events.len = 0;
	step->n_events = step->decided = 0;
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
	if (step->applied)
		step->applied(step->ctx, core, event);
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

static int check_config(const struct config_spec *b, struct err *err)
{
	const struct {
		const char *name;
		us_t value, least, most;
		const char *range;
	} times[] = {
		{"kill_grace", b->kill_grace_us, 0, US_DURATION_MAX, "0 to a hundred years"},
		{"lease", b->lease_us, 0, US_DURATION_MAX, "0 to a hundred years"},
		{"history_after", b->history_after_us, 0, US_NEVER, "0 or more"},
		{"starvation_after", b->starvation_after_us, 0, US_NEVER, "0 or more"},
		{"half_life", b->half_life_us, 1, US_NEVER, "more than 0"},
		{"move.after", b->move_after_us, 0, US_NEVER, "0 or more"},
		{"move.least", b->move_least_us, 0, US_DURATION_MAX, "0 to a hundred years"},
	};

	for (size_t i = 0; i < sizeof times / sizeof *times; i++)
		if (times[i].value < times[i].least || times[i].value > times[i].most)
			return err_set(err, ERR_INVALID, times[i].name, "%" PRId64 " us: expected %s", times[i].value, times[i].range);
	if (b->reservations > RESERVATIONS_MAX)
		return err_set(err, ERR_INVALID, "reservations", "%" PRIu32 ": at most %d", b->reservations, RESERVATIONS_MAX);
	if (b->jobs_max > UINT32_MAX)
		return err_set(err, ERR_INVALID, "jobs_max", "%" PRIu64 ": at most %" PRIu32, b->jobs_max, UINT32_MAX);
	if (b->n_las_levels > LAS_LEVELS_MAX)
		return err_set(err, ERR_INVALID, "las_levels", "%" PRIu32 " levels: at most %d", b->n_las_levels, LAS_LEVELS_MAX);
	for (uint32_t i = 0; i < b->n_las_levels; i++)
		if (b->las_levels_us[i] <= (i ? b->las_levels_us[i - 1] : 0))
			return err_set(err, ERR_INVALID, "las_levels", "level %" PRIu32 ": expected more than the one before it", i + 1);
	if (b->cards_power_milli > 1000)
		return err_set(err, ERR_INVALID, "cards_power", "%" PRIu32 " thousandths: expected 0 to 1", b->cards_power_milli);
	if (b->finish_weight > 1000 || b->price_weight > 1000 || b->balance_weight > 1000)
		return err_set(err, ERR_INVALID, "score", "a weight over 1000: expected 0 to 1000");
	if (b->move_gain_milli < 1 || b->move_gain_milli > 1000)
		return err_set(err, ERR_INVALID, "move.gain", "%" PRIu32 " thousandths: expected more than 0, and at most 1",
		               b->move_gain_milli);
	return 0;
}

static bool same_config(const struct config_spec *a, const struct config_spec *b)
{
	struct buf x = {0}, y = {0};
	bool same;

	config_spec_encode(a, &x);
	config_spec_encode(b, &y);
	same = x.len == y.len && !memcmp(x.data, y.data, x.len);
	buf_done(&x);
	buf_done(&y);
	return same;
}

static int take_config(const struct core *core, const struct input *in, struct arena *arena, struct event *ret, struct step *step,
                       struct err *err)
{
	(void)arena;
	(void)step;
	if (check_config(in->config, err) < 0)
		return err->code;
	ret->type = EVENT_CONFIG;
	ret->config = *in->config;
	return core->sequence == 0 || !same_config(&core->config, in->config);
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

/* A job that is being stopped, and would wait for another attempt then. */
static bool waits_again(const struct job *job)
{
	return job_is_live(job) && (cause_makes_room(job->cause) || job->cause == CAUSE_NODE);
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
	if (job_is_over(job) || (job->state == JOB_CLEANUP && !waits_again(job)) ||
	    (job->array && job->array->over == job->array->count))
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

/* ---- Nodes and bookings ---- */

/* The nodes of a centre by name, whose ranges rise and are there. subject: the field that is wrong otherwise. */
static int find_nodes(const struct core *core, const char *name, const struct node_range *ranges, uint32_t n,
                      uint32_t *ret_centre, struct err *err)
{
	uint32_t centre = core->pool ? pool_find_centre(core->pool, name) : NODE_NONE;

	if (centre == NODE_NONE || !core->pool->centres[centre].n_nodes)
		return err_set(err, ERR_NOT_FOUND, "centre", "\"%.60s\": there is no such centre in the pool", name);
	for (uint32_t i = 0; i < n; i++) {
		if (ranges[i].last < ranges[i].first || (i > 0 && ranges[i].first <= ranges[i - 1].last))
			return err_set(err, ERR_INVALID, "nodes", "expected rising numbers, each once, such as 0-3,8");
		if (ranges[i].last >= core->pool->centres[centre].n_nodes)
			return err_set(err, ERR_NOT_FOUND, "nodes", "%" PRIu32 ": %.60s has nodes 0 to %" PRIu32, ranges[i].last, name,
			               core->pool->centres[centre].n_nodes - 1);
	}
	*ret_centre = centre;
	return 0;
}

static int take_node(const struct core *core, const struct input *in, struct arena *arena, struct event *ret, struct step *step,
                     struct err *err)
{
	bool is_news = false;

	(void)arena;
	(void)step;
	if (find_nodes(core, in->node.centre, &in->node.range, 1, &ret->node.centre, err) < 0)
		return err->code;
	ret->type = EVENT_NODE;
	ret->node.range = in->node.range;
	ret->node.state = in->node.state;
	ret->node.note = in->node.note ? in->node.note : "";
	for (uint32_t i = in->node.range.first; i <= in->node.range.last; i++) {
		const char *note;
		enum node_state state = core_node_state(core, pool_node(core->pool, ret->node.centre, i), &note);

		is_news |= state != in->node.state || strcmp(note, ret->node.note) != 0;
	}
	return is_news;
}

/* A job that, by its bound, would still run on booked nodes when their window begins; NULL: none. */
static const struct job *runs_into(const struct core *core, uint32_t centre, const struct booking_spec *b)
{
	for (uint32_t i = 0; i < b->n_ranges; i++)
		for (uint32_t k = b->ranges[i].first; k <= b->ranges[i].last; k++)
			for (const struct tenant *t = core->tenants[pool_node(core->pool, centre, k)]; t; t = t->next)
				if (t->of->job->plan.until_us > b->from_us)
					return t->of->job;
	return NULL;
}

/* Another booking for a project that has one of the nodes within the window; NULL: none. */
static const struct booking *booked_already(const struct core *core, uint32_t centre, const struct booking_spec *b)
{
	for (uint32_t n = 0; n < core->n_bookings; n++) {
		const struct booking *other = core->bookings[n];

		if (other->centre != centre || other->from_us >= b->until_us || b->from_us >= other->until_us)
			continue;
		for (uint32_t i = 0; i < other->n_ranges; i++)
			for (uint32_t k = 0; k < b->n_ranges; k++)
				if (other->ranges[i].first <= b->ranges[k].last && b->ranges[k].first <= other->ranges[i].last)
					return other;
	}
	return NULL;
}

/* A drain may be declared over what runs (that goes on to its end) and over other bookings; a project's booking may not. */
static int check_booking(const struct core *core, uint32_t centre, const struct booking_spec *b, struct err *err)
{
	const struct booking *other;
	const struct job *job;

	if (!b->project)
		return 0;
	if (!spec_name_ok(b->project))
		return err_set(err, ERR_INVALID, "project", "\"%.60s\": expected 1 to %d bytes of plain text", b->project, NAME_LEN_MAX);
	if (projects_any_declared(core->tree) && (strtab_find(&core->projects, b->project) == STRTAB_NONE ||
	                                          !projects_is_declared(core->tree, strtab_find(&core->projects, b->project))))
		return err_set(err, ERR_INVALID, "project", "\"%.60s\": there is no such project in the pool", b->project);
	job = runs_into(core, centre, b);
	if (job)
		return err_set(err, ERR_CONFLICT, "from",
		               "job %" PRIu32 " may still run on these nodes then; book others, later, or drain them", job->id);
	other = booked_already(core, centre, b);
	if (other)
		return err_set(err, ERR_CONFLICT, "nodes", "booking %" PRIu32 " (%s) has some of them within that window", other->id,
		               other->name);
	return 0;
}

static int take_book(const struct core *core, const struct input *in, struct arena *arena, struct event *ret, struct step *step,
                     struct err *err)
{
	const struct booking_spec *b = in->book;
	us_t from_us = b->from_us > ret->at_us ? b->from_us : ret->at_us;
	uint32_t centre = 0;

	(void)arena;
	if (!b->name || !spec_name_ok(b->name))
		return err_set(err, ERR_INVALID, "name", "expected 1 to %d bytes of plain text", NAME_LEN_MAX);
	if (!b->n_ranges || b->n_ranges > BOOKING_RANGES_MAX)
		return err_set(err, ERR_INVALID, "nodes", "%" PRIu32 " ranges: expected 1 to %d", b->n_ranges, BOOKING_RANGES_MAX);
	if (find_nodes(core, b->centre, b->ranges, b->n_ranges, &centre, err) < 0)
		return err->code;
	if (b->until_us <= from_us)
		return err_set(err, ERR_INVALID, "until", "expected an instant after `from` and now");
	if (core->n_bookings >= BOOKINGS_MAX)
		return err_set(err, ERR_BUSY, "bookings", "there are %d already, as many as may be", BOOKINGS_MAX);
	if (check_booking(core, centre, b, err) < 0)
		return err->code;
	ret->type = EVENT_BOOKED;
	ret->booked = (struct booked){.booking = core->last_booking + 1,
	                              .name = b->name,
	                              .project = b->project ? b->project : "",
	                              .centre = centre,
	                              .ranges = b->ranges,
	                              .n_ranges = b->n_ranges,
	                              .from_us = from_us,
	                              .until_us = b->until_us};
	step->job = ret->booked.booking;
	return 1;
}

static int take_unbook(const struct core *core, const struct input *in, struct arena *arena, struct event *ret, struct step *step,
                       struct err *err)
{
	const struct booking *b = in->unbook.booking ? core_booking_after(core, in->unbook.booking - 1) : NULL;

	(void)arena;
	(void)step;
	if (!b || b->id != in->unbook.booking)
		return err_set(err, ERR_NOT_FOUND, "booking", "%" PRIu32 ": there is no such booking", in->unbook.booking);
	ret->type = EVENT_UNBOOKED;
	ret->unbooked.booking = b->id;
	ret->unbooked.cause = CAUSE_CANCEL;
	return 1;
}

/* ---- Reports ---- */

/* Whether an attempt is over for its node, which in a backlog it may not have been told yet. */
static bool node_failed(const struct core *core, const struct job *job)
{
	return job->state == JOB_CLEANUP ? job->cause == CAUSE_NODE : core->backlog && job_lost_node(core, job);
}

/* What becomes of a job whose attempt is over: what made room waits again, however it ended, for a script that saves its work and
 * exits with 0 isn't done; then its own success counts, whatever was asked meanwhile; then what was asked; then, for what was
 * lost unasked and may run again, the queue. */
static enum job_state what_then(const struct core *core, const struct job *job, const struct report *r, enum cause cause)
{
	if (job->state == JOB_CLEANUP && cause_makes_room(job->cause))
		return JOB_QUEUED;
	if (r->state == ATTEMPT_ENDED && cause == CAUSE_EXIT && r->exit_code == 0)
		return JOB_COMPLETED;
	if (cause == CAUSE_CANCEL || job->cause == CAUSE_CANCEL)
		return JOB_CANCELED;
	if (((r->state == ATTEMPT_LOST && job->state != JOB_CLEANUP) || node_failed(core, job)) && job->rerun_when_lost &&
	    job->restarts_left > 0)
		return JOB_QUEUED;
	return JOB_FAILED;
}

static enum cause cause_of(const struct core *core, const struct job *job, const struct report *r)
{
	if (job->state == JOB_CLEANUP && cause_makes_room(job->cause))
		return job->cause;
	if (node_failed(core, job))
		return CAUSE_NODE;
	if (r->state == ATTEMPT_LOST)
		return CAUSE_LOST;
	if (r->state == ATTEMPT_REFUSED)
		return CAUSE_REFUSED;
	if (job->state == JOB_CLEANUP && r->cause != CAUSE_EXIT)
		return job->cause;
	return r->cause == CAUSE_NONE ? CAUSE_EXIT : r->cause;
}

static void take_end(const struct core *core, const struct job *job, const struct report *r, us_t at_us, struct event *ret)
{
	enum cause cause = cause_of(core, job, r);

	ret->type = EVENT_ENDED;
	ret->ended = (struct ended){
		.job = job->id,
		.attempt = job->attempt,
		.attempt_state = r->state,
		.cause = cause,
		.exit_code = r->exit_code,
		.rank = r->rank < job->plan.n_tasks ? r->rank : 0,
		.at_us = at_us,
		.then = what_then(core, job, r, cause),
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
		take_end(core, job, r, at_us, ret);
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
	[INPUT_CANCEL] = take_cancel, [INPUT_REPORT] = take_report, [INPUT_CENTRE] = take_centre, [INPUT_NODE] = take_node,
	[INPUT_BOOK] = take_book,     [INPUT_UNBOOK] = take_unbook,
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

/* A job that has run so long that it stands elsewhere. */
static struct event aged(const struct core *core, const struct job *job, us_t now_us)
{
	struct event e = {.type = EVENT_AGED};
	us_t yields_us = us_add(job->started_us, job->preemptible_after_us);

	e.aged.job = job->id;
	e.aged.level = rank_level(core, core_attained_us(core, job, now_us));
	e.aged.level = e.aged.level > job->level ? e.aged.level : job->level;
	e.aged.preemptible = job->preemptible || (job->preemptible_after_us != US_NEVER && yields_us <= now_us);
	e.aged.movable = job->movable || move_ages(core, job) <= now_us;
	return e;
}

/* What was lent is due: it is given back, or nobody needs it any more. */
static struct event give_back(const struct core *core, const struct job *job)
{
	struct event e = {.type = EVENT_EXTENDED};

	if (!job_may_stay(core, job))
		return stopping(job, CAUSE_PREEMPTED, "");
	e.extended.job = job->id;
	e.extended.until_us = job_bound_us(job);
	return e;
}

/* What a job whose timer has come does next: see job_timer() in waiting.c. */
static struct event follow_up(const struct core *core, const struct job *job, us_t now_us)
{
	struct event e = {.type = EVENT_ELIGIBLE};
	const struct job *array = job->array_of ? core->jobs[job->array_of] : NULL;

	if (job->array && job->state == JOB_CLEANUP) /* before doomed, which a core that was loaded in between doesn't know of it */
		return ended_waiting(job, job->cause, JOB_CANCELED);
	if (job->doomed)
		return ended_waiting(job, CAUSE_DEPENDENCY, JOB_CANCELED);
	if (job->array && job->array->over == job->array->count)
		return ended_waiting(job, CAUSE_ELEMENTS, job->array->failed ? JOB_FAILED : JOB_COMPLETED);
	if (array && array->state == JOB_CLEANUP && job_is_live(job))
		return stopping(job, array->cause, array->extra && array->extra->stopped_by ? array->extra->stopped_by : "");
	if (array && array->state == JOB_CLEANUP)
		return ended_waiting(job, array->cause, JOB_CANCELED);
	if (job_is_live(job) && job_lost_node(core, job))
		return stopping(job, CAUSE_NODE, "");
	if (job_is_lent(job) && job_due_us(core, job) <= now_us)
		return give_back(core, job);
	if (job->state == JOB_ACTIVE && rank_ages(core, job) <= now_us)
		return aged(core, job, now_us);
	if (job->state == JOB_ACTIVE)
		return stopping(job, CAUSE_LIMIT, "");
	e.eligible.job = job->id;
	return e;
}

/* The job that is to leave the core: the one that has been over longest, once that is long enough or too many are over. */
static const struct job *to_forget(const struct core *core, us_t now_us)
{
	const struct sorted_entry *first = sorted_first(&core->over);

	if (first &&
	    (core->over.count > core->config.history_jobs_max || us_add(first->key, core->config.history_after_us) <= now_us))
		return core_job(core, first->id);
	return NULL;
}

/* The next job that is to make room for one that was promised its place. */
static const struct job *next_victim(const struct core *core, enum cause *ret_cause)
{
	for (uint32_t i = 0; i < core->keep.n_reservations; i++) {
		const struct reservation *r = core->keep.reservations[i];

		for (uint32_t k = reservation_told(r); k < r->n_victims; k++) {
			const struct job *job = job_victim(core, r, k);

			*ret_cause = r->cause;
			if (job && job->state != JOB_CLEANUP && job_may_become(job->state, JOB_CLEANUP))
				return job;
		}
	}
	return NULL;
}

static bool stop_victim(const struct core *core, us_t now_us, struct event *ret)
{
	enum cause cause;
	const struct job *job = core->keep.n_reservations ? next_victim(core, &cause) : NULL;

	if (!job)
		return false;
	*ret = stopping(job, cause, "");
	ret->at_us = now_us;
	return true;
}

/* A booking whose window is over, or NULL. */
static const struct booking *past_booking(const struct core *core, us_t now_us)
{
	for (uint32_t i = 0; i < core->n_bookings; i++)
		if (core->bookings[i]->until_us <= now_us)
			return core->bookings[i];
	return NULL;
}

static bool decide(struct core *core, us_t now_us, struct event *ret)
{
	const struct sorted_entry *timer = sorted_first(&core->timers);
	const struct booking *booking;
	const struct job *job;

	if (timer && timer->key <= now_us) {
		*ret = follow_up(core, core_job(core, timer->id), now_us);
		ret->at_us = now_us;
		if (ret->type == EVENT_ENDED)
			ret->ended.at_us = now_us;
		return true;
	}
	if (stop_victim(core, now_us, ret))
		return true;
	booking = past_booking(core, now_us);
	if (booking) {
		*ret = (struct event){.type = EVENT_UNBOOKED, .at_us = now_us};
		ret->unbooked.booking = booking->id;
		ret->unbooked.cause = CAUSE_WINDOW;
		return true;
	}
	if (core->pool && (pass_next(core, now_us, ret) || move_next(core, now_us, ret)))
		return true;
	job = to_forget(core, now_us);
	if (!job)
		return false;
	*ret = (struct event){.type = EVENT_FORGOTTEN, .at_us = now_us};
	ret->forgotten.job = job->id;
	return true;
}

/* When the state next changes by itself, after an instant at which all that was due is done. */
static us_t wake_after(const struct core *core, us_t now_us)
{
	const struct sorted_entry *timer = sorted_first(&core->timers), *over = sorted_first(&core->over);
	us_t wake = timer ? timer->key : US_NEVER, starved_us;
	us_t forget = over ? us_add(over->key, core->config.history_after_us) : US_NEVER;

	if (forget < wake)
		wake = forget;

	for (uint32_t i = 0; i < core->keep.n_reservations; i++)
		if (core->keep.reservations[i]->plan.start_us < wake)
			wake = core->keep.reservations[i]->plan.start_us + 1; /* past it: see why_reserve() in pass.c */
	for (uint32_t i = 0; i < core->n_bookings; i++) {
		wake = core->bookings[i]->until_us < wake ? core->bookings[i]->until_us : wake;
		wake = core->bookings[i]->from_us > now_us && core->bookings[i]->from_us < wake ? core->bookings[i]->from_us : wake;
	}
	starved_us = core->queue.waiting ? pass_wake(core, now_us) : US_NEVER;
	return starved_us < wake ? starved_us : wake;
}

us_t core_wake(const struct core *core)
{
	if (core->backlog)
		return core->now_us;
	return wake_after(core, core->looked_us > core->now_us ? core->looked_us : core->now_us);
}

bool core_has_backlog(const struct core *core)
{
	return core->backlog;
}

void core_set_decisions_max(struct core *core, uint32_t decisions_max)
{
	core->decisions_max = decisions_max;
}

/* The next of what is due, as long as the batch may hold more. Those who make room for a promise go with it all the same: it
 * counts on when they are gone. */
static bool next_due(struct core *core, us_t now_us, const struct step *step, struct event *ret)
{
	return step->decided < core->decisions_max ? decide(core, now_us, ret) : stop_victim(core, now_us, ret);
}

static void decide_due(struct core *core, us_t now_us, struct step *step)
{
	struct event event;

	if (core->backlog && step->decided >= core->decisions_max)
		return;
	for (; next_due(core, now_us, step, &event); step->decided++, arena_reset(&core->scratch))
		emit(core, &event, step);
	event = (struct event){.type = EVENT_BACKLOG, .at_us = now_us};
	if (step->decided >= core->decisions_max)
		event.backlog = pass_found(core, &core->scratch);
	if (event.backlog.more || core->backlog)
		emit(core, &event, step);
}

int core_step(struct core *core, const struct input *input, struct step *step, struct err *err)
{
	us_t now_us = input->now_us > core->now_us ? input->now_us : core->now_us;
	struct event event = {.at_us = now_us};
	struct err own;
	int rc;

	arena_reset(&core->scratch);
	if (core->replayed && !core->backlog)
		pass_settle(core);
	core->replayed = false;
	core->looked_us = now_us;
	step->job = 0;
	step->repeated = false;
	if (take_bound(core, input, &core->scratch, &event))
		emit(core, &event, step);
	event = (struct event){.at_us = now_us};
	rc = take_input[input->type](core, input, &core->scratch, &event, step, err ? err : &own);
	if (rc < 0)
		return rc;
	if (rc > 0)
		emit(core, &event, step);
	if (!core->backlog || input->type == INPUT_CLOCK)
		decide_due(core, now_us, step);
	return 0;
}

int core_apply(struct core *core, const void *events, size_t len,
               void (*visit)(void *ctx, const struct core *core, uint64_t sequence, const struct event *event), void *ctx,
               struct err *err)
{
	struct reader r = reader_of(events, len);
	struct event event = {0};

	core->replayed = true;
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
