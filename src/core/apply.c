/* SPDX-License-Identifier: Apache-2.0
 * apply.c: what each event makes of the state. Each has one function here, and decides nothing.
 *
 * With the files that it calls (apply_inside.h) it is the only writer of the state. Replay is these alone: whatever the policy of
 * a later release, an old journal gives the state that it gave. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/apply_inside.h"

/* ---- Small parts ---- */

static void set_state(struct core *core, struct job *job, enum job_state state)
{
	assert(job_may_become(job->state, state));
	core->in_state[job->state]--;
	core->in_state[state]++;
	job->state = state;
}

struct job *job_at(struct core *core, uint32_t id)
{
	assert(id >= 1 && id <= core->last_job);
	assert(core->jobs[id]);
	return core->jobs[id];
}

/* One job more, or less, that has a payload. */
static void use_payload(struct core *core, const struct hash *payload, int change)
{
	static const struct hash none;
	uint32_t users;

	if (!memcmp(payload, &none, sizeof none))
		return;
	users = core_payload_users(core, payload) + (uint32_t)change;
	if (users)
		map_set(&core->payloads, hash_word(payload->bytes), users);
	else
		map_remove(&core->payloads, hash_word(payload->bytes));
}

static struct job *add_job(struct core *core, uint32_t id)
{
	struct job *job = job_new(&core->memory);

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
	job->outlook.shelf = SHELF_NONE;
	job->outlook.state = OUTLOOK_UNSAID;
	core->in_state[JOB_QUEUED]++;
	core->n_jobs++;
	return job;
}

static char *copy_or_null(const char *text)
{
	return text && *text ? mem_strdup(text) : NULL;
}

/* ---- One function an event ---- */

static void index_pool(struct core *core, bool pool_changed);

/* The tree of projects as the pool declares it, over what the pool has. */
void apply_projects(struct core *core)
{
	uint64_t *milli = mem_new(core->pool->n_kinds, sizeof *milli);
	struct project_capacity capacity = {.cards_milli = milli, .n_kinds = core->pool->n_kinds};

	for (uint32_t i = 0; i < core->pool->n_shelves; i++)
		if (core->pool->shelves[i].kind != KIND_NONE)
			milli[core->pool->shelves[i].kind] += core->pool->shelves[i].cards * CARD_MILLI;
	for (uint32_t i = 0; i < core->pool->n_nodes; i++) {
		capacity.cpus_milli += core->pool->nodes[i].cpus_milli == UNCOUNTED ? 0 : core->pool->nodes[i].cpus_milli;
		capacity.memory_mib += core->pool->nodes[i].memory_mib == UNCOUNTED ? 0 : core->pool->nodes[i].memory_mib;
	}
	core->projects_bounded = false;
	for (uint32_t i = 0; i < core->pool->spec.n_projects; i++)
		core->projects_bounded |= core->pool->spec.projects[i].n_quotas > 0;
	projects_declare(core->tree, &core->pool->spec, &core->projects, &core->kinds, &capacity, core->config.half_life_us,
	                 core->now_us);
	free(milli);
}

static void apply_pool(struct core *core, const struct event *e)
{
	uint32_t had = core->centres.count;

	empty_queue(core);
	if (core->pool)
		unreserve_all(core);
	pool_free(core->pool);
	core->pool = pool_new(&e->pool, &core->kinds, &core->centres);
	core->silent = mem_resize(core->silent, core->centres.count, sizeof *core->silent);
	for (uint32_t i = had; i < core->centres.count; i++)
		core->silent[i] = false;
	index_pool(core, true);
	apply_projects(core);
	refill_queue(core);
	came_free_all(core);
}

static void apply_config(struct core *core, const struct event *e)
{
	bool half_life_changed = core->config.half_life_us != e->config.half_life_us;

	empty_queue(core);
	core->config = e->config;
	if (core->pool)
		unreserve_all(core);
	for (uint32_t i = 0; core->pool && i < core->queue.n_shapes; i++)
		if (core->queue.shapes[i])
			plan_candidates(core, core->queue.shapes[i]);
	if (core->pool && half_life_changed)
		apply_projects(core);
	for (uint32_t id = 1; core->pool && id <= core->last_job; id++)
		if (core->jobs[id])
			core->jobs[id]->level = rank_level(core, core_attained_us(core, core->jobs[id], core->now_us));
	for (const struct job *live = core_live_after(core, 0); live; live = core_live_after(core, live->id)) {
		struct job *job = job_at(core, live->id);

		job->movable = job->movable && move_ages(core, job) <= core->now_us;
		retime(core, job);
		line_up(core, job);
	}
	refill_queue(core);
	came_free_all(core);
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
	struct job *job;
	bool new_shape;

	arrivals_add(&core->arrivals, core_last_group(core), &s->group);
	core->last_submitted = s->job;
	job = add_job(core, s->job);
	job->shape = queue_shape(&core->queue, &s->group, &new_shape);
	if (new_shape)
		plan_candidates(core, core->queue.shapes[job->shape]);
	job->project = strtab_add(&core->projects, s->project);
	job_set_name(job, s->name);
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
	if (job->eligible)
		outlook_say(core, job);
	requeue(core, job);
	retime(core, job);
}

static void apply_eligible(struct core *core, const struct event *e)
{
	struct job *job = job_at(core, e->eligible.job);

	assert(!job->eligible && job->state == JOB_QUEUED);
	job->eligible = true;
	job->eligible_us = e->at_us;
	outlook_say(core, job);
	requeue(core, job);
	retime(core, job);
}

/* Makes an element of an array a job of its own. */
static struct job *take_element(struct core *core, const struct placed *p)
{
	struct job *array = job_at(core, p->array), *job;
	struct array *a = array->array;

	assert(a && a->taken < a->count);
	outlook_element(core, array, false);
	job = add_job(core, p->job);
	job->shape = array->shape;
	core->queue.shapes[job->shape]->users++;
	job->project = array->project;
	job_set_name(job, array->name);
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
	job->outlook.run = array->outlook.run;
	outlook_element(core, array, true);
	return job;
}

static void apply_placed(struct core *core, const struct event *e)
{
	const struct placed *p = &e->placed;
	struct job *array = p->array ? job_at(core, p->array) : NULL;
	struct job *job = array ? take_element(core, p) : job_at(core, p->job);

	job->moving = false;
	if (core->keep.n_reservations && keep_find(&core->keep, array ? array->id : job->id))
		unreserve(core, array ? array->id : job->id);
	assert(p->attempt == job->attempt + 1);
	assert(attempt_may_become(job->attempt_state, ATTEMPT_INTENT));
	job->attempt = p->attempt;
	job->attempt_state = ATTEMPT_INTENT;
	job->placed_us = e->at_us;
	job->started_us = job->ended_us = US_NEVER;
	job->cause = CAUSE_NONE;
	plan_keep(&job->plan, &p->plan);
	set_state(core, job, JOB_STAGE_IN);
	requeue(core, job);
	job->preemptible = job->movable = false;
	if (array ? array->array->taken == 1 : job->attempt == 1)
		outlook_learn(core, array ? array : job, e->at_us);
	take_plan(core, job, false);
	retime(core, job);
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
	bool is_lent = job_is_lent(job);

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
	if (!is_lent)
		move_until(core, job);
	if (job->state == JOB_STAGE_IN)
		set_state(core, job, JOB_ACTIVE);
	job->preemptible = job->preemptible_after_us == 0;
	line_up(core, job);
	if (job->preemptible || core->projects_bounded)
		came_free_all(core); /* it could make room, or give back what it borrowed */
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
	take_plan(core, job, false);
}

/* The next one of those that make room for a promise is being stopped. */
static void note_stopped(struct core *core, uint32_t job, enum cause cause)
{
	if (!cause_makes_room(cause))
		return;
	for (uint32_t i = 0; i < core->keep.n_reservations; i++) {
		struct reservation *r = core->keep.reservations[i];

		if (r->n_stopped < r->n_victims && r->victims[r->n_stopped] == job)
			r->n_stopped++;
	}
}

static void apply_stopping(struct core *core, const struct event *e)
{
	struct job *job = job_at(core, e->stopping.job);
	struct stay before = stay_of(job);

	if (job->state != JOB_CLEANUP)
		set_state(core, job, JOB_CLEANUP);
	job->cause = e->stopping.cause;
	if (*e->stopping.who) {
		free(job_extra(job)->stopped_by);
		job->extra->stopped_by = mem_strdup(e->stopping.who);
	}
	requeue(core, job);
	if (job->running) {
		us_t gone_us = us_add(e->at_us, core->config.kill_grace_us);

		if (gone_us <= job->plan.start_us)
			gone_us = job->plan.start_us + 1; /* without a grace, as it starts: a plan ends after it starts */
		if (gone_us < before.until_us)
			core->freed++; /* what had no bound has one: there may be a start to promise */
		set_stay(core, job, before, gone_us < before.until_us ? gone_us : before.until_us);
		line_up(core, job);
		note_stopped(core, job->id, e->stopping.cause);
		if (core->victims.count || core->projects_bounded)
			came_free_all(core); /* with it gone, fewer others have to leave */
	}
	retime(core, job);
	for (uint32_t i = 0; job->array && i < job->array->taken; i++)
		if (core->jobs[job->array->elements[i]] && !job_is_over(core->jobs[job->array->elements[i]]))
			retime(core, core->jobs[job->array->elements[i]]);
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

/* What estimates know a job by; digits of its name don't count, so that run-1 and run-2 are alike. */
struct estimate_key core_estimate_key(const struct shape *shape, const struct job *job)
{
	struct estimate_key key = {.project = job->project, .user = job->user, .name = UINT64_C(0xcbf29ce484222325)};

	for (const char *p = job->name; *p; p++)
		if (*p < '0' || *p > '9')
			key.name = (key.name ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
	key.shape = hash_word(shape->key.bytes);
	return key;
}

/* What an attempt that is over has had and achieved. Called once ended_us is set, and before the plan goes. */
static void add_service(struct core *core, struct job *job, const struct ended *x)
{
	us_t ran_us = job->started_us == US_NEVER ? 0 : job->ended_us - job->started_us, every_us = job->checkpoint_every_us;
	struct estimate_key key;

	if (x->then == JOB_QUEUED && ran_us > 0) {
		us_t attained_us = core_attained_us(core, job, job->ended_us), kept_us = every_us ? ran_us - ran_us % every_us : 0;

		job_extra(job)->attained_us = attained_us;
		job->extra->done_us += kept_us / 1000 * job_request(core, job)->speed_milli;
		job->level = rank_level(core, attained_us);
	} else if (x->cause == CAUSE_LIMIT || x->then == JOB_COMPLETED) {
		key = core_estimate_key(core_shape(core, job), job);
		estimate_learn(&core->estimates, &key, job->limit_us, ran_us);
		outlook_ran(core, job, ran_us);
	}
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
	if (x->attempt)
		add_service(core, job, x);
	if (x->then == JOB_QUEUED) {
		job->restarts_left -= !cause_makes_room(x->cause);
		plan_drop(&job->plan);
		job->placed_us = job->started_us = US_NEVER;
		job->preemptible = job->movable = false;
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

void apply_reservation(struct core *core, struct reservation *r)
{
	keep_reserve(&core->keep, r, &core->capacity);
	for (uint32_t i = 0; i < r->plan.n_tasks; i++) {
		uint32_t node = pool_node(core->pool, r->plan.tasks[i].centre, r->plan.tasks[i].node);

		for (const struct tenant *t = core->tenants[node]; t; t = t->next) {
			const struct job *job = t->of->job;
			struct share share;
			uint32_t same;

			if (job->plan.until_us <= r->plan.start_us && job_holds(core, job, t->task, &same, &share))
				keep_ends(&core->keep, node, &share, stay_of(job), r->job, &core->capacity);
		}
		/* A job that ends before the start may pass where one before it may not. */
		if (has_something_free(core, node))
			may_be_passed(core, node);
	}
}

/* The attempt by which a job makes room; where the promise replaces another for which it did so, that one. */
static uint32_t leaving_attempt(const struct core *core, const struct reservation *before, uint32_t victim)
{
	for (uint32_t i = 0; before && i < before->n_victims; i++)
		if (before->victims[i] == victim)
			return before->attempts[i];
	return core_job(core, victim) ? core_job(core, victim)->attempt : 0;
}

static struct reservation *new_reservation(const struct core *core, const struct job *job, const struct request *request,
                                           enum cause cause, const struct plan *plan, const uint32_t *victims, uint32_t n_victims)
{
	const struct reservation *before = keep_find(&core->keep, job->id);
	struct reservation *r = mem_new(1, sizeof *r);

	r->job = job->id;
	r->cause = cause;
	r->request = *request;
	plan_keep(&r->plan, plan);
	r->n_victims = n_victims;
	r->victims = mem_new(r->n_victims, sizeof *r->victims);
	r->attempts = mem_new(r->n_victims, sizeof *r->attempts);
	for (uint32_t i = 0; i < n_victims; i++) {
		r->victims[i] = victims[i];
		r->attempts[i] = leaving_attempt(core, before, victims[i]);
	}
	return r;
}

static void apply_reserved(struct core *core, const struct event *e)
{
	struct job *job = job_at(core, e->reserved.job);
	const struct request *request = &core_shape(core, job)->group.requests[e->reserved.plan.request];
	struct reservation *r = new_reservation(core, job, request, e->reserved.cause, &e->reserved.plan, e->reserved.victims,
	                                        e->reserved.n_victims);
	bool moving = job->moving; /* its promise is put off */

	job->moving = false;
	if (keep_find(&core->keep, job->id)) /* only now: the event may speak of it */
		unreserve(core, job->id);
	job->moving = moving;
	apply_reservation(core, r);
	core->freed++;
}

static void apply_moving(struct core *core, const struct event *e)
{
	uint32_t victims[MOVES_MAX];

	for (uint32_t i = 0; i < e->moving.n; i++)
		victims[i] = e->moving.moves[i].job;
	for (uint32_t i = 0; i < e->moving.n; i++) {
		const struct plan *plan = &e->moving.moves[i].plan;
		struct job *job = job_at(core, victims[i]);

		job->moving = true;
		apply_reservation(core, new_reservation(core, job, &core_shape(core, job)->group.requests[plan->request], CAUSE_MOVED,
		                                        plan, victims, e->moving.n));
	}
	core->freed++;
}

static void apply_unreserved(struct core *core, const struct event *e)
{
	unreserve(core, e->unreserved.job);
	core->freed++;
}

static void apply_centre(struct core *core, const struct event *e)
{
	core->silent[e->centre.centre] = e->centre.silent;
	for (uint32_t i = 0; e->centre.silent && i < core->keep.n_reservations; i++)
		for (uint32_t k = 0; k < core->keep.reservations[i]->plan.n_tasks; k++)
			if (core->keep.reservations[i]->plan.tasks[k].centre == e->centre.centre)
				core->keep.reservations[i]->broken = CAUSE_CAPACITY; /* nothing is started there until it is heard again */
	came_free_all(core);
}

static void apply_node(struct core *core, const struct event *e)
{
	for (uint32_t number = e->node.range.first; number <= e->node.range.last; number++) {
		uint32_t node = pool_node(core->pool, e->node.centre, number);

		mark_node(core, e->node.centre, number, e->node.state, e->node.note);
		for (const struct tenant *t = core->tenants[node]; t; t = t->next)
			retime(core, t->of->job);
	}
	came_free_all(core);
}

static void apply_booked(struct core *core, const struct event *e)
{
	add_booking(core, &e->booked);
	came_free_all(core);
}

static void apply_unbooked(struct core *core, const struct event *e)
{
	remove_booking(core, e->unbooked.booking);
	came_free_all(core);
}

static void apply_aged(struct core *core, const struct event *e)
{
	struct job *job = job_at(core, e->aged.job);

	if (e->aged.level != job->level || e->aged.preemptible != job->preemptible || !e->aged.movable)
		came_free_all(core);
	core->freed++;
	job->level = (uint8_t)e->aged.level;
	job->preemptible = e->aged.preemptible;
	job->movable = e->aged.movable;
	line_up(core, job);
	retime(core, job);
}

static void apply_extended(struct core *core, const struct event *e)
{
	struct job *job = job_at(core, e->extended.job);

	move_until(core, job);
	assert(job->plan.until_us == e->extended.until_us);
	retime(core, job);
}

static void apply_forgotten(struct core *core, const struct event *e)
{
	struct job *job = job_at(core, e->forgotten.job);

	assert(job_is_over(job));
	sorted_remove(&core->over, job->timer_us, job->id);
	if (job->extra && job->extra->has_idempotency &&
	    map_get(&core->idempotency, hash_word(job->extra->idempotency), 0) == job->id)
		map_remove(&core->idempotency, hash_word(job->extra->idempotency));
	use_payload(core, &job->payload, -1);
	queue_leave_shape(&core->queue, job->shape);
	core->in_state[job->state]--;
	core->n_jobs--;
	core->jobs[e->forgotten.job] = job_free(&core->memory, job); /* its id goes with it */
}

static void apply_backlog(struct core *core, const struct event *e)
{
	core->backlog = e->backlog.more;
	pass_know(core, &e->backlog);
}

/* Whether an event leaves what is free of the nodes, and open to whom, as it was. */
static bool leaves_room(enum event_type type)
{
	return type == EVENT_SUBMITTED || type == EVENT_ELIGIBLE || type == EVENT_ATTEMPT || type == EVENT_FORGOTTEN ||
	       type == EVENT_BACKLOG;
}

void apply(struct core *core, const struct event *event)
{
	static void (*const by_type[EVENT_TYPE_COUNT])(struct core *, const struct event *) = {
		[EVENT_POOL] = apply_pool,
		[EVENT_CONFIG] = apply_config,
		[EVENT_SUBMITTED] = apply_submitted,
		[EVENT_ELIGIBLE] = apply_eligible,
		[EVENT_PLACED] = apply_placed,
		[EVENT_ATTEMPT] = apply_attempt,
		[EVENT_BOUND] = apply_bound,
		[EVENT_STOPPING] = apply_stopping,
		[EVENT_ENDED] = apply_ended,
		[EVENT_RESERVED] = apply_reserved,
		[EVENT_UNRESERVED] = apply_unreserved,
		[EVENT_CENTRE] = apply_centre,
		[EVENT_FORGOTTEN] = apply_forgotten,
		[EVENT_NODE] = apply_node,
		[EVENT_BOOKED] = apply_booked,
		[EVENT_UNBOOKED] = apply_unbooked,
		[EVENT_AGED] = apply_aged,
		[EVENT_EXTENDED] = apply_extended,
		[EVENT_MOVING] = apply_moving,
		[EVENT_BACKLOG] = apply_backlog,
	};

	assert(event->at_us >= core->now_us);
	core->sequence++;
	core->now_us = event->at_us;
	if (!leaves_room(event->type))
		core->room_as_of = core->sequence;
	by_type[event->type](core, event);
}

/* ---- What is kept to be quick ---- */

/* Everything that follows from the pool: what is free with what runs on it, ways to place each shape. */
static void index_pool(struct core *core, bool pool_changed)
{
	free(core->endless);
	core->endless = mem_new(core->pool->n_shelves, sizeof *core->endless);
	capacity_done(&core->capacity);
	capacity_done(&core->empty);
	capacity_init(&core->capacity, core->pool);
	capacity_index(&core->empty, &core->capacity);
	free(core->tenants);
	core->tenants = mem_new(core->pool->n_nodes, sizeof *core->tenants);
	free(core->freed_at);
	core->freed_at = mem_new(core->pool->n_shelves, sizeof *core->freed_at);
	free(core->room);
	core->room = mem_new(core->pool->n_shelves, sizeof *core->room);
	empty_live(core);
	sorted_done(&core->ends);
	sorted_done(&core->leaving);
	core->victims = core->movers = (struct tree){0};
	outlook_init(&core->outlook, core->pool);
	index_keep(core);
	for (uint32_t i = 0; i < core->queue.n_shapes; i++)
		if (core->queue.shapes[i])
			plan_candidates(core, core->queue.shapes[i]); /* before take_plan: the rank of what runs needs weights */
	for (uint32_t id = 1; id <= core->last_job; id++) {
		struct job *job = core->jobs[id];

		if (!job || !job_is_live(job))
			continue;
		forget_running(core, job);
		if (pool_changed)
			find_held(core, job);
		take_plan(core, job, !pool_changed);
		if (pool_changed)
			retime(core, job);
	}
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

static bool moves_itself(const struct reservation *r)
{
	for (uint32_t i = 0; i < r->n_victims; i++)
		if (r->victims[i] == r->job)
			return true;
	return false;
}

void apply_index(struct core *core, struct reservation **reserved, uint32_t n)
{
	enum cause *broken = mem_new(n, sizeof *broken);

	index_pool(core, false);
	core->queue.by_share = core->config.policy == POLICY_FAIR;
	for (uint32_t i = 0; i < n; i++) /* before jobs are put into line */
		core->jobs[reserved[i]->job]->moving = moves_itself(reserved[i]);
	for (uint32_t id = 1; id <= core->last_job; id++)
		if (core->jobs[id])
			index_job(core, core->jobs[id]);
	for (uint32_t id = 1; id <= core->last_job; id++)
		if (core->jobs[id] && !job_is_over(core->jobs[id]))
			retime(core, core->jobs[id]);
	for (uint32_t i = 0; i < n; i++)
		broken[i] = reserved[i]->broken;
	for (uint32_t i = 0; i < n; i++)
		apply_reservation(core, reserved[i]);
	for (uint32_t i = 0; i < n; i++) /* a bound that moved breaks no promise, though making it anew would */
		reserved[i]->broken = broken[i];
	free(broken);
}
