/* SPDX-License-Identifier: Apache-2.0
 * apply.c: the only writer of the state. Each event has one function here, and decides nothing.
 *
 * Replay is this file alone: whatever the policy of a later release, an old journal gives the state that it gave. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/place.h"
#include "core/state.h"

/* ---- Small parts ---- */

static int compare_live(const struct tree_node *a, const struct tree_node *b)
{
	uint32_t x = tree_entry(a, struct job, in_live)->id, y = tree_entry(b, struct job, in_live)->id;

	return x < y ? -1 : x > y;
}

static int compare_timers(const struct tree_node *a, const struct tree_node *b)
{
	const struct job *x = tree_entry(a, struct job, in_timers), *y = tree_entry(b, struct job, in_timers);

	if (x->timer_us != y->timer_us)
		return x->timer_us < y->timer_us ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static void timer_set(struct core *core, struct job *job, us_t at_us)
{
	if (job->timer_us != US_NEVER)
		tree_remove(&core->timers, &job->in_timers);
	job->timer_us = at_us;
	core->timers.compare = compare_timers;
	if (at_us != US_NEVER)
		tree_insert(&core->timers, &job->in_timers, job->id);
}

/* Puts a job among those that are over. */
static void shelve(struct core *core, struct job *job)
{
	timer_set(core, job, US_NEVER);
	job->timer_us = job->ended_us;
	core->over.compare = compare_timers;
	tree_insert(&core->over, &job->in_timers, job->id);
}

static bool array_is_over(const struct job *job)
{
	const struct array *a = job->array;

	return a->live == 0 && (job->state == JOB_CLEANUP || a->taken == a->count);
}

static bool array_is_stopping(const struct core *core, const struct job *job)
{
	return job->array_of && core->jobs[job->array_of] && core->jobs[job->array_of]->state == JOB_CLEANUP;
}

/* When a job next changes by itself; 0: at once. What is to be done then, core.c's follow_up() says. */
us_t job_timer(const struct core *core, const struct job *job)
{
	const struct centre_spec *centre;

	if (job_is_over(job))
		return US_NEVER;
	if (job->doomed || (job->array && array_is_over(job)))
		return 0;
	if (job->state != JOB_CLEANUP && array_is_stopping(core, job))
		return 0;
	if (job->state == JOB_QUEUED && !job->eligible)
		return job->waits_for == 0 ? job->begin_us : US_NEVER;
	if (job->state != JOB_ACTIVE || job->array || job->limit_us == US_NEVER)
		return US_NEVER;
	centre = core->pool->centres[job->plan.tasks[0].centre].spec;
	return centre && centre->capabilities & CAN_LIMIT ? US_NEVER : us_add(job->started_us, job->limit_us);
}

static void retime(struct core *core, struct job *job)
{
	timer_set(core, job, job_timer(core, job));
}

static void set_state(struct core *core, struct job *job, enum job_state state)
{
	assert(job_may_become(job->state, state));
	core->in_state[job->state]--;
	core->in_state[state]++;
	job->state = state;
}

static struct job *job_at(struct core *core, uint32_t id)
{
	assert(id >= 1 && id <= core->last_job);
	assert(core->jobs[id]);
	return core->jobs[id];
}

/* One job more, or less, that has a payload. */
static void use_payload(struct core *core, const struct hash *payload, int change)
{
	static const struct hash none;
	uint32_t users = core_payload_users(core, payload) + (uint32_t)change;

	if (!memcmp(payload, &none, sizeof none))
		return;
	if (users)
		map_set(&core->payloads, hash_word(payload->bytes), users);
	else
		map_remove(&core->payloads, hash_word(payload->bytes));
}

static struct job *add_job(struct core *core, uint32_t id)
{
	struct job *job = mem_new(1, sizeof *job);

	assert(id == core->last_job + 1);
	core->last_job = id;
	if (id >= core->jobs_cap) {
		uint32_t cap = core->jobs_cap ? core->jobs_cap * 2 : 64;

		core->jobs = mem_resize(core->jobs, cap, sizeof *core->jobs);
		memset(core->jobs + core->jobs_cap, 0, (cap - core->jobs_cap) * sizeof *core->jobs);
		core->jobs_cap = cap;
	}
	core->jobs[id] = job;
	job->id = id;
	job->state = JOB_QUEUED;
	job->placed_us = job->started_us = job->ended_us = job->eligible_us = job->timer_us = US_NEVER;
	core->in_state[JOB_QUEUED]++;
	core->n_jobs++;
	return job;
}

static uint32_t add_project(struct core *core, const char *name)
{
	uint32_t id = strtab_add(&core->projects, name);

	if (id == core->n_projects) {
		mem_grow((void **)&core->project, &core->projects_cap, core->n_projects, sizeof *core->project);
		core->project[core->n_projects++] = (struct project){.parent = UINT32_MAX, .weight_milli = 1000};
	}
	return id;
}

static char *copy_or_null(const char *text)
{
	return text && *text ? mem_strdup(text) : NULL;
}

/* ---- What a plan takes and gives back ---- */

static struct calendar *calendar_of(struct core *core, uint32_t resource)
{
	uint32_t i = map_get(&core->pool->resource_index, resource, UINT32_MAX);

	return i == UINT32_MAX ? NULL : &core->calendars[i];
}

static void add_claims(struct core *core, const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->n_claims; i++) {
		const struct claim *c = &plan->claims[i];
		struct calendar *calendar = calendar_of(core, c->resource);

		if (calendar) {
			calendar_fold(calendar, core->now_us);
			calendar_add(calendar, c->amount, c->from_us, c->until_us);
		}
	}
}

static void remove_claims(struct core *core, const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->n_claims; i++) {
		const struct claim *c = &plan->claims[i];
		struct calendar *calendar = calendar_of(core, c->resource);

		if (calendar)
			calendar_remove(calendar, c->amount, c->from_us, c->until_us);
	}
}

static void take_plan(struct core *core, struct job *job)
{
	struct share share;
	uint32_t node;

	for (uint32_t i = 0; i < job->plan.n_tasks; i++) {
		if (!job_holds(core, job, i, &node, &share))
			continue;
		capacity_take(&core->capacity, node, &share);
		reservation_taken(&core->reservation, node, &share, job->plan.until_us, &core->capacity, CAUSE_ORDER);
	}
	add_claims(core, &job->plan);
	tree_insert(&core->live, &job->in_live, job->id);
}

static void give_plan(struct core *core, struct job *job)
{
	struct share share;
	uint32_t node;

	tree_remove(&core->live, &job->in_live);
	core->freed++;
	for (uint32_t i = 0; i < job->plan.n_tasks; i++) {
		if (!job_holds(core, job, i, &node, &share))
			continue;
		capacity_give(&core->capacity, node, &share);
		reservation_given(&core->reservation, node, &share, job->plan.until_us, &core->capacity);
	}
	remove_claims(core, &job->plan);
}

/* The attempt runs since started_us, so by its bound it is there until then plus its limit. */
static void move_until(struct core *core, struct job *job)
{
	us_t until = job->limit_us == US_NEVER ? US_NEVER : us_add(job->started_us, job->limit_us);
	struct share share;
	uint32_t node;

	if (until == job->plan.until_us)
		return;
	for (uint32_t i = 0; i < job->plan.n_tasks; i++)
		if (job_holds(core, job, i, &node, &share))
			reservation_moved(&core->reservation, node, &share, job->plan.until_us, until, &core->capacity);
	remove_claims(core, &job->plan);
	job->plan.until_us = until;
	for (uint32_t i = 0; i < job->plan.n_claims; i++)
		job->plan.claims[i].until_us = until;
	add_claims(core, &job->plan);
}

static void copy_plan(struct plan *to, const struct plan *from)
{
	free(to->tasks);
	free(to->claims);
	*to = *from;
	to->tasks = mem_new(from->n_tasks, sizeof *to->tasks);
	memcpy(to->tasks, from->tasks, from->n_tasks * sizeof *to->tasks);
	to->claims = mem_new(from->n_claims, sizeof *to->claims);
	memcpy(to->claims, from->claims, from->n_claims * sizeof *to->claims);
}

static void drop_plan(struct plan *plan)
{
	free(plan->tasks);
	free(plan->claims);
	*plan = (struct plan){0};
}

/* ---- The queue and the reservation ---- */

static void unreserve(struct core *core)
{
	if (core->reservation.job) {
		reservation_clear(&core->reservation);
		core->freed++;
	}
}

/* Whether a job stands in line: an array while it has elements left and as many run as may. */
bool job_stands_in_line(const struct job *job)
{
	const struct array *a = job->array;

	if (!job->eligible)
		return false;
	if (a)
		return (job->state == JOB_QUEUED || job->state == JOB_ACTIVE) && a->taken < a->count &&
		       (!a->parallel_max || a->live < a->parallel_max);
	return job->state == JOB_QUEUED;
}

/* Brings the queue in line with a job's state. A job that leaves it holds no reservation. */
static void requeue(struct core *core, struct job *job)
{
	bool stands = job_stands_in_line(job), stood = queue_has(&core->queue, job);

	if (stands && !stood)
		queue_add(&core->queue, job);
	if (!stands && stood)
		queue_remove(&core->queue, job);
	if (!stands && core->reservation.job == job->id)
		unreserve(core);
}

/* ---- One function an event ---- */

static void index_pool(struct core *core, bool pool_changed);

/* The tree of projects as the pool declares it. */
static void declare_projects(struct core *core)
{
	const struct pool_spec *spec = &core->pool->spec;

	for (uint32_t i = 0; i < core->n_projects; i++)
		core->project[i] = (struct project){.parent = UINT32_MAX, .weight_milli = 1000};
	core->projects_declared = spec->n_projects > 0;
	for (uint32_t i = 0; i < spec->n_projects; i++) {
		uint32_t id = add_project(core, spec->projects[i].name);

		core->project[id].declared = true;
		core->project[id].weight_milli = spec->projects[i].weight_milli;
	}
	for (uint32_t i = 0; i < spec->n_projects; i++)
		if (spec->projects[i].parent)
			core->project[strtab_find(&core->projects, spec->projects[i].name)].parent = strtab_find(&core->projects,
			                                                                                         spec->projects[i].parent);
}

static void apply_pool(struct core *core, const struct event *e)
{
	uint32_t had = core->centres.count;

	unreserve(core);
	pool_free(core->pool);
	core->pool = pool_new(&e->pool, &core->kinds, &core->centres);
	core->silent = mem_resize(core->silent, core->centres.count, sizeof *core->silent);
	for (uint32_t i = had; i < core->centres.count; i++)
		core->silent[i] = false;
	declare_projects(core);
	index_pool(core, true);
	core->freed++;
}

static void apply_config(struct core *core, const struct event *e)
{
	core->config = e->config;
	if (!core->config.reservations)
		unreserve(core);
	core->freed++;
}

static bool dependency_dooms(const struct core *core, const struct dependency_spec *d)
{
	const struct job *on = core_job(core, d->job);

	return d->when == AFTER_OK && on && job_is_over(on) && on->state != JOB_COMPLETED;
}

static bool dependency_met(const struct core *core, const struct dependency_spec *d)
{
	const struct job *on = core_job(core, d->job);

	return !on || (job_is_over(on) && (d->when == AFTER_ANY || on->state == JOB_COMPLETED));
}

/* Counts what a waiting job waits for, and enters it with those jobs. */
static void watch_dependencies(struct core *core, struct job *job)
{
	for (uint32_t i = 0; i < job->extra->n_dependencies; i++) {
		const struct dependency_spec *d = &job->extra->dependencies[i];
		struct job_extra *on;

		if (dependency_met(core, d))
			continue;
		job->waits_for++;
		if (dependency_dooms(core, d)) {
			job->doomed = true;
			continue;
		}
		on = job_extra(job_at(core, d->job));
		if (on->n_dependents && on->dependents[on->n_dependents - 1] == job->id)
			continue; /* named twice: both are seen to when it is over */
		mem_grow((void **)&on->dependents, &on->dependents_cap, on->n_dependents, sizeof *on->dependents);
		on->dependents[on->n_dependents++] = job->id;
	}
}

static void add_dependencies(struct core *core, struct job *job, const struct submitted *s)
{
	struct job_extra *extra = job_extra(job);

	extra->dependencies = mem_new(s->n_dependencies, sizeof *extra->dependencies);
	memcpy(extra->dependencies, s->dependencies, s->n_dependencies * sizeof *extra->dependencies);
	extra->n_dependencies = s->n_dependencies;
	watch_dependencies(core, job);
}

static void add_array(struct job *job, const struct submitted *s)
{
	job->array = mem_new(1, sizeof *job->array);
	job->array->ranges = mem_new(s->n_array, sizeof *job->array->ranges);
	memcpy(job->array->ranges, s->array, s->n_array * sizeof *job->array->ranges);
	job->array->n_ranges = s->n_array;
	job->array->count = (uint32_t)ranges_count(s->array, s->n_array);
	job->array->parallel_max = s->array_parallel_max;
}

static void apply_submitted(struct core *core, const struct event *e)
{
	const struct submitted *s = &e->submitted;
	struct job *job = add_job(core, s->job);
	bool new_shape;

	job->shape = queue_shape(&core->queue, &s->group, &new_shape);
	if (new_shape)
		plan_candidates(core, core->queue.shapes[job->shape]);
	job->project = add_project(core, s->project);
	job->name = mem_strdup(s->name);
	job->user = strtab_add(&core->users, s->user);
	job->priority = (uint16_t)s->priority;
	job->rerun_when_lost = s->rerun_when_lost;
	job->restarts_left = s->max_restarts;
	job->submitted_us = e->at_us;
	job->begin_us = s->begin_us;
	job->limit_us = s->limit_us;
	job->checkpoint_every_us = s->checkpoint_every_us;
	job->preemptible_after_us = s->preemptible_after_us;
	job->payload = s->payload;
	use_payload(core, &job->payload, 1);
	if (*s->secrets)
		job_extra(job)->secrets = mem_strdup(s->secrets);
	if (s->idempotency) {
		job_extra(job)->has_idempotency = true;
		memcpy(job->extra->idempotency, s->idempotency, IDEMPOTENCY_BYTES);
		map_set(&core->idempotency, hash_word(s->idempotency), job->id);
	}
	if (s->n_array)
		add_array(job, s);
	if (s->n_dependencies)
		add_dependencies(core, job, s);
	job->eligible = job->waits_for == 0 && job->begin_us <= e->at_us;
	job->eligible_us = job->eligible ? e->at_us : US_NEVER;
	requeue(core, job);
	retime(core, job);
}

static void apply_eligible(struct core *core, const struct event *e)
{
	struct job *job = job_at(core, e->eligible.job);

	assert(!job->eligible && job->state == JOB_QUEUED);
	job->eligible = true;
	job->eligible_us = e->at_us;
	requeue(core, job);
	retime(core, job);
}

/* Makes an element of an array a job of its own. */
static struct job *take_element(struct core *core, const struct placed *p)
{
	struct job *array = job_at(core, p->array), *job;
	struct array *a = array->array;

	assert(a && a->taken < a->count);
	job = add_job(core, p->job);
	job->shape = array->shape;
	core->queue.shapes[job->shape]->users++;
	job->project = array->project;
	job->name = mem_strdup(array->name);
	job->user = array->user;
	job->priority = array->priority;
	job->rerun_when_lost = array->rerun_when_lost;
	job->restarts_left = array->restarts_left;
	job->submitted_us = array->submitted_us;
	job->begin_us = array->begin_us;
	job->limit_us = array->limit_us;
	job->eligible_us = array->eligible_us;
	job->checkpoint_every_us = array->checkpoint_every_us;
	job->preemptible_after_us = array->preemptible_after_us;
	job->payload = array->payload;
	use_payload(core, &job->payload, 1);
	job->eligible = true;
	job->array_of = array->id;
	job->array_index = p->index;
	if (array->extra && array->extra->secrets)
		job_extra(job)->secrets = mem_strdup(array->extra->secrets);
	mem_grow((void **)&a->elements, &a->elements_cap, a->taken, sizeof *a->elements);
	a->elements[a->taken++] = job->id;
	a->live++;
	return job;
}

static void apply_placed(struct core *core, const struct event *e)
{
	const struct placed *p = &e->placed;
	struct job *array = p->array ? job_at(core, p->array) : NULL;
	struct job *job = array ? take_element(core, p) : job_at(core, p->job);

	if (core->reservation.job && core->reservation.job == (array ? array->id : job->id))
		unreserve(core);
	assert(p->attempt == job->attempt + 1);
	assert(attempt_may_become(job->attempt_state, ATTEMPT_INTENT));
	job->attempt = p->attempt;
	job->attempt_state = ATTEMPT_INTENT;
	job->placed_us = e->at_us;
	job->started_us = job->ended_us = US_NEVER;
	job->cause = CAUSE_NONE;
	copy_plan(&job->plan, &p->plan);
	set_state(core, job, JOB_STAGE_IN);
	requeue(core, job);
	retime(core, job);
	take_plan(core, job);
	if (array) {
		if (array->state == JOB_QUEUED)
			set_state(core, array, JOB_ACTIVE);
		array->placed_us = array->placed_us == US_NEVER ? e->at_us : array->placed_us;
		requeue(core, array);
	}
}

static void apply_attempt(struct core *core, const struct event *e)
{
	struct job *job = job_at(core, e->attempt.job);

	assert(job->attempt == e->attempt.attempt);
	assert(attempt_may_become(job->attempt_state, e->attempt.state));
	job->attempt_state = e->attempt.state;
	if (*e->attempt.native_id) {
		free(job_extra(job)->native_id);
		job->extra->native_id = mem_strdup(e->attempt.native_id);
	}
	if (e->attempt.state != ATTEMPT_RUNNING)
		return;
	job->started_us = e->attempt.at_us;
	move_until(core, job);
	if (job->state == JOB_STAGE_IN)
		set_state(core, job, JOB_ACTIVE);
	if (job->array_of && job_at(core, job->array_of)->started_us == US_NEVER)
		job_at(core, job->array_of)->started_us = job->started_us;
	retime(core, job);
}

static void apply_bound(struct core *core, const struct event *e)
{
	struct job *job = job_at(core, e->bound.job);

	assert(job->attempt == e->bound.attempt && e->bound.n_tasks == job->plan.n_tasks);
	give_plan(core, job);
	memcpy(job->plan.tasks, e->bound.tasks, job->plan.n_tasks * sizeof *job->plan.tasks);
	take_plan(core, job);
}

static void apply_stopping(struct core *core, const struct event *e)
{
	struct job *job = job_at(core, e->stopping.job);

	set_state(core, job, JOB_CLEANUP);
	job->cause = e->stopping.cause;
	if (*e->stopping.who) {
		free(job_extra(job)->stopped_by);
		job->extra->stopped_by = mem_strdup(e->stopping.who);
	}
	requeue(core, job);
	retime(core, job);
	for (uint32_t i = 0; job->array && i < job->array->taken; i++)
		if (core->jobs[job->array->elements[i]] && !job_is_over(core->jobs[job->array->elements[i]]))
			retime(core, core->jobs[job->array->elements[i]]);
}

static void release_dependents(struct core *core, struct job *job)
{
	for (uint32_t i = 0; job->extra && i < job->extra->n_dependents; i++) {
		struct job *d = core->jobs[job->extra->dependents[i]];

		if (!d || job_is_over(d))
			continue;
		for (uint32_t k = 0; k < d->extra->n_dependencies; k++) {
			if (d->extra->dependencies[k].job != job->id)
				continue;
			d->doomed |= dependency_dooms(core, &d->extra->dependencies[k]);
			d->waits_for -= dependency_met(core, &d->extra->dependencies[k]);
		}
		retime(core, d);
	}
}

static void element_over(struct core *core, const struct job *job)
{
	struct job *array = job_at(core, job->array_of);

	array->array->live--;
	array->array->over++;
	if (job->state != JOB_COMPLETED) {
		array->array->failed++;
		array->exit_code = array->exit_code ? array->exit_code : job->exit_code;
	}
	requeue(core, array);
	retime(core, array);
}

static void apply_ended(struct core *core, const struct event *e)
{
	const struct ended *x = &e->ended;
	struct job *job = job_at(core, x->job);
	bool had_dependents = job->extra && job->extra->n_dependents;

	if (x->attempt) {
		assert(x->attempt == job->attempt);
		assert(attempt_may_become(job->attempt_state, x->attempt_state));
		give_plan(core, job);
		job->attempt_state = x->attempt_state;
	}
	job->cause = x->cause;
	job->exit_code = x->exit_code;
	job->exit_rank = x->rank;
	job->ended_us = x->at_us;
	free(job->held);
	job->held = NULL;
	if (*x->note || (job->extra && job->extra->note)) {
		free(job_extra(job)->note);
		job->extra->note = copy_or_null(x->note);
	}
	set_state(core, job, x->then);
	if (x->then == JOB_QUEUED) {
		job->restarts_left--;
		drop_plan(&job->plan);
		job->placed_us = job->started_us = US_NEVER;
	}
	requeue(core, job);
	if (!job_is_over(job)) {
		retime(core, job);
		return;
	}
	shelve(core, job);
	if (had_dependents)
		release_dependents(core, job);
	if (job->array_of)
		element_over(core, job);
}

void apply_reservation(struct core *core, uint32_t id, const struct plan *plan)
{
	const struct job *job = job_at(core, id);
	struct share share;
	uint32_t node_id;

	reservation_set(&core->reservation, id, plan, &core_shape(core, job)->group.requests[plan->request], &core->capacity);
	for (const struct tree_node *node = tree_first(&core->live); node; node = tree_next(node)) {
		const struct job *live = tree_entry(node, struct job, in_live);

		for (uint32_t i = 0; live->plan.until_us <= plan->start_us && i < live->plan.n_tasks; i++)
			if (job_holds(core, live, i, &node_id, &share))
				reservation_ends(&core->reservation, node_id, &share, &core->capacity);
	}
}

static void apply_reserved(struct core *core, const struct event *e)
{
	unreserve(core);
	apply_reservation(core, e->reserved.job, &e->reserved.plan);
	core->freed++;
}

static void apply_unreserved(struct core *core, const struct event *e)
{
	(void)e;
	unreserve(core);
}

static void apply_centre(struct core *core, const struct event *e)
{
	core->silent[e->centre.centre] = e->centre.silent;
	for (uint32_t i = 0; e->centre.silent && core->reservation.job && i < core->reservation.plan.n_tasks; i++)
		if (core->reservation.plan.tasks[i].centre == e->centre.centre)
			core->reservation.broken = CAUSE_CAPACITY; /* nothing is started there until it is heard again */
	core->freed++;
}

static void apply_forgotten(struct core *core, const struct event *e)
{
	struct job *job = job_at(core, e->forgotten.job);

	assert(job_is_over(job));
	tree_remove(&core->over, &job->in_timers);
	if (job->extra && job->extra->has_idempotency &&
	    map_get(&core->idempotency, hash_word(job->extra->idempotency), 0) == job->id)
		map_remove(&core->idempotency, hash_word(job->extra->idempotency));
	use_payload(core, &job->payload, -1);
	queue_leave_shape(&core->queue, job->shape);
	core->in_state[job->state]--;
	core->n_jobs--;
	core->jobs[job->id] = job_free(job);
}

void apply(struct core *core, const struct event *event)
{
	static void (*const by_type[EVENT_TYPE_COUNT])(struct core *, const struct event *) = {
		[EVENT_POOL] = apply_pool,           [EVENT_CONFIG] = apply_config,         [EVENT_SUBMITTED] = apply_submitted,
		[EVENT_ELIGIBLE] = apply_eligible,   [EVENT_PLACED] = apply_placed,         [EVENT_ATTEMPT] = apply_attempt,
		[EVENT_BOUND] = apply_bound,         [EVENT_STOPPING] = apply_stopping,     [EVENT_ENDED] = apply_ended,
		[EVENT_RESERVED] = apply_reserved,   [EVENT_UNRESERVED] = apply_unreserved, [EVENT_CENTRE] = apply_centre,
		[EVENT_FORGOTTEN] = apply_forgotten,
	};

	assert(event->at_us >= core->now_us);
	core->sequence++;
	core->now_us = event->at_us;
	by_type[event->type](core, event);
}

/* ---- What is kept to be quick ---- */

static uint32_t lesser(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* What of a share a node has free: all of it, but where the pool has changed. */
static struct share what_remains(const struct core *core, uint32_t node, struct share share)
{
	const struct node *n = &core->pool->nodes[node];
	uint64_t cards = 0;

	for (uint32_t i = 0; i < n->cards; i++)
		if (share.cards >> i & 1 && core->capacity.card_milli[n->card_first + i] >= share.milli)
			cards |= (uint64_t)1 << i;
	share.cards = cards;
	share.cpus_milli = lesser(share.cpus_milli, core->capacity.free_cpus[node]);
	share.memory_mib = lesser(share.memory_mib, core->capacity.free_memory[node]);
	return share;
}

static bool same_share(const struct share *a, const struct share *b)
{
	return a->cards == b->cards && a->milli == b->milli && a->cpus_milli == b->cpus_milli && a->memory_mib == b->memory_mib;
}

/* Finds what a live job still holds of its nodes after the pool changed: nothing of one that left; of one
 * that lost cards, those that are left. Its tasks go on all the same. */
static void find_held(struct core *core, struct job *job)
{
	bool all = true;

	free(job->held);
	job->held = mem_new(job->plan.n_tasks, sizeof *job->held);
	for (uint32_t i = 0; i < job->plan.n_tasks; i++) {
		const struct task *task = &job->plan.tasks[i];
		uint32_t node = pool_node(core->pool, task->centre, task->node);
		struct share share = place_share(task, job_request(core, job));

		if (node != NODE_NONE)
			job->held[i] = what_remains(core, node, share);
		all = all && same_share(&job->held[i], &share);
	}
	if (all) {
		free(job->held);
		job->held = NULL;
	}
}

/* Everything that follows from the pool: what is free with what runs on it, calendars, ways to place each shape. */
static void index_pool(struct core *core, bool pool_changed)
{
	for (uint32_t i = 0; core->calendars && i < core->n_calendars; i++)
		calendar_done(&core->calendars[i]);
	free(core->calendars);
	core->n_calendars = core->pool->n_resources;
	core->calendars = mem_new(core->n_calendars, sizeof *core->calendars);
	for (uint32_t i = 0; i < core->n_calendars; i++)
		core->calendars[i].capacity = core->pool->resources[i].capacity;
	capacity_done(&core->capacity);
	capacity_done(&core->empty);
	capacity_init(&core->capacity, core->pool);
	capacity_init(&core->empty, core->pool);
	core->live = (struct tree){.compare = compare_live};
	for (uint32_t id = 1; id <= core->last_job; id++) {
		struct job *job = core->jobs[id];

		if (!job || !job_is_live(job))
			continue;
		if (pool_changed) {
			find_held(core, job);
			retime(core, job);
		}
		take_plan(core, job);
	}
	for (uint32_t i = 0; i < core->queue.n_shapes; i++)
		if (core->queue.shapes[i])
			plan_candidates(core, core->queue.shapes[i]);
}

/* What follows from one job that was loaded. Jobs come in the order of their numbers. */
static void index_job(struct core *core, struct job *job)
{
	core->n_jobs++;
	core->in_state[job->state]++;
	use_payload(core, &job->payload, 1);
	job->timer_us = US_NEVER;
	if (job->extra && job->extra->has_idempotency)
		map_set(&core->idempotency, hash_word(job->extra->idempotency), job->id);
	if (job->state == JOB_QUEUED && job->extra)
		watch_dependencies(core, job);
	if (job_is_over(job))
		shelve(core, job);
	requeue(core, job);
}

void apply_index(struct core *core, const struct plan *reserved, uint32_t job)
{
	for (uint32_t i = 0; i < core->projects.count; i++)
		add_project(core, strtab_name(&core->projects, i));
	declare_projects(core);
	index_pool(core, false);
	for (uint32_t id = 1; id <= core->last_job; id++)
		if (core->jobs[id])
			index_job(core, core->jobs[id]);
	for (uint32_t id = 1; id <= core->last_job; id++)
		if (core->jobs[id] && !job_is_over(core->jobs[id]))
			retime(core, core->jobs[id]);
	if (job)
		apply_reservation(core, job, reserved);
}
