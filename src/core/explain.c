/* SPDX-License-Identifier: Apache-2.0
 * explain.c: why a job waits, in one dominant reason with numbers; and what would become of a job that isn't submitted.
 *
 * Reads the state and writes nothing: the same questions that the pass asks, without their consequences. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/place.h"
#include "core/state.h"

const char *reason_word(enum reason reason)
{
	static const char *const words[REASON_COUNT] = {
		"none", "begin", "dependency", "array", "resources", "spread", "reserved", "never", "queue", "quota", "booked", "order",
	};

	return words[reason];
}

/* ---- Numbers ---- */

/* The nodes of a shelf that could hold one task now. Where only whole cards count the histograms know: such an answer goes out
 * with every submit. */
static uint64_t nodes_with_room(const struct core *core, const struct shelf *shelf, const struct request *q)
{
	const struct domain *d = &core->pool->domains[shelf->domain];
	uint64_t room = 0;

	if (q->cards_milli >= CARD_MILLI && !q->cpus_milli && !q->memory_mib)
		return capacity_nodes_with(&core->capacity, shelf->domain, shelf->cards_max, q->cards_milli / CARD_MILLI);
	for (uint32_t n = d->node_first; n < d->node_first + d->n_nodes; n++)
		room += place_node_holds(&core->capacity, n, q);
	return room;
}

/* Whether an alternative before this one is on the same shelf, whose cards then are counted. */
static bool named_before(const struct shape *shape, uint32_t candidate)
{
	for (uint32_t i = 0; i < candidate; i++)
		if (shape->candidates[i].shelf == shape->candidates[candidate].shelf)
			return true;
	return false;
}

/* Counts the nodes that could hold one task now, shelf by shelf, and keeps the shelf that comes nearest. */
static void count_room(const struct core *core, const struct shape *shape, struct explanation *x)
{
	const struct pool *pool = core->pool;

	x->kind = KIND_NONE;
	x->centre = CENTRE_ANY;
	x->need_nodes = shape->group.nodes;
	for (uint32_t i = 0; i < shape->n_candidates; i++) {
		const struct shelf *shelf = &pool->shelves[shape->candidates[i].shelf];
		const struct request *q = &shape->group.requests[shape->candidates[i].request];
		bool silent = core->silent[shelf->centre]; /* nothing is started there */
		uint64_t room = silent ? 0 : nodes_with_room(core, shelf, q);

		if (!named_before(shape, i)) {
			x->free_milli += silent ? 0 : core->capacity.shelf_milli[shape->candidates[i].shelf];
			x->total_milli += shelf->cards * CARD_MILLI;
		}
		if (i == 0 || room > x->free_nodes) {
			x->free_nodes = room;
			x->centre = shelf->centre;
			x->kind = q->kind == KIND_NONE ? KIND_NONE : shelf->kind;
		}
	}
}

/* The first that it waits for; of one that is about to be canceled for it, that failed. */
static uint32_t first_dependency(const struct core *core, const struct job *job)
{
	for (uint32_t i = 0; i < job->extra->n_dependencies; i++) {
		const struct dependency_spec *d = &job->extra->dependencies[i];
		const struct job *on = core_job(core, d->job);

		if (on && (job->doomed ? dependency_dooms(core, d) : !job_is_over(on)))
			return on->id;
	}
	return 0;
}

/* ---- Sentences ---- */

/* The first centre that would do, were it heard; CENTRE_ANY: none. */
static uint32_t silent_centre(const struct core *core, const struct shape *shape)
{
	for (uint32_t i = 0; i < shape->n_candidates; i++)
		if (core->silent[core->pool->shelves[shape->candidates[i].shelf].centre])
			return core->pool->shelves[shape->candidates[i].shelf].centre;
	return CENTRE_ANY;
}

static void say_resources(const struct core *core, const struct shape *shape, struct explanation *x)
{
	char free[24], total[24], each[24];
	uint32_t silent = silent_centre(core, shape);
	const struct request *q = &shape->group.requests[0];

	units_format_milli(x->free_milli, free, sizeof free);
	units_format_milli(x->total_milli, total, sizeof total);
	units_format_milli(q->cards_milli, each, sizeof each);
	if (x->kind == KIND_NONE)
		snprintf(x->text, sizeof x->text,
		         "needs %" PRIu64 " node(s) with %u.%03u CPUs and %u MiB each; %" PRIu64 " could hold that now", x->need_nodes,
		         q->cpus_milli / 1000, q->cpus_milli % 1000, q->memory_mib, x->free_nodes);
	else if (x->reason == REASON_SPREAD)
		snprintf(x->text, sizeof x->text,
		         "%" PRIu64 " nodes at %s could hold a part of it now, but not %" PRIu64 " within one %s", x->free_nodes,
		         pool_centre_name(core->pool, x->centre), x->need_nodes, tier_word(shape->group.highest));
	else
		snprintf(x->text, sizeof x->text,
		         "needs %" PRIu64 " node(s) with %s card(s) each; %s has the most room: %" PRIu64
		         " of them now (%s of %s cards that will do are free in the pool)",
		         x->need_nodes, each, pool_centre_name(core->pool, x->centre), x->free_nodes, free, total);
	if (silent != CENTRE_ANY) {
		size_t len = strlen(x->text);

		snprintf(x->text + len, sizeof x->text - len, "; %s is silent, and nothing is started there",
		         pool_centre_name(core->pool, silent));
	}
}

static void say_quota(const struct core *core, struct explanation *x)
{
	const struct quota_view *v = &x->quota;
	const char *kind = pool_kind_name(core->pool, x->quota_kind), *project = core_project_name(core, v->project);
	char used[24], nominal[24], other[24];

	units_format_milli(v->used_milli, used, sizeof used);
	units_format_milli(v->nominal_milli, nominal, sizeof nominal);
	if (x->verdict == QUOTA_COHORT)
		snprintf(x->text, sizeof x->text,
		         "project %s holds %s of its %s cards of kind %s, and others of its cohort hold the rest "
		         "of what it would need (%s in use)",
		         project, used, nominal, kind, units_format_milli(v->cohort_used_milli, other, sizeof other));
	else if (x->verdict == QUOTA_KIND)
		snprintf(x->text, sizeof x->text, "project %s has no quota of kind %s", project, kind);
	else
		snprintf(x->text, sizeof x->text, "project %s holds %s of its quota of %s cards of kind %s, and may borrow %s", project,
		         used, nominal, kind, units_format_milli(v->borrowing_milli, other, sizeof other));
}

static void say_reserved(const struct core *core, struct explanation *x)
{
	us_t start_us = keep_find(&core->keep, x->blocker)->plan.start_us;
	char when[40];

	if (start_us == US_NEVER)
		snprintf(x->text, sizeof x->text,
		         "there is room, but it is kept for job %" PRIu32 ", which has waited for long, until that can start",
		         x->blocker);
	else
		snprintf(x->text, sizeof x->text,
		         "there is room, but it is kept for job %" PRIu32 ", which starts by %s; a limit that ends before would do",
		         x->blocker, us_format_instant(start_us, when, sizeof when));
}

static const struct booking *find_booking(const struct core *core, uint32_t id)
{
	for (uint32_t i = 0; i < core->n_bookings; i++)
		if (core->bookings[i]->id == id)
			return core->bookings[i];
	return NULL;
}

static void say_booked(const struct core *core, struct explanation *x)
{
	const struct booking *b = find_booking(core, x->booking);
	char from[40], until[40];

	if (!b) {
		snprintf(x->text, sizeof x->text, "there is room, but on nodes that are cordoned or down");
		return;
	}
	us_format_instant(b->from_us, from, sizeof from);
	us_format_instant(b->until_us, until, sizeof until);
	if (b->project == UINT32_MAX)
		snprintf(x->text, sizeof x->text, "there is room, but on nodes that are drained from %s to %s (%s, number %" PRIu32 ")",
		         from, until, b->name, b->id);
	else
		snprintf(x->text, sizeof x->text,
		         "there is room, but on nodes that are booked for project %s from %s to %s (%s, number %" PRIu32 ")",
		         core_project_name(core, b->project), from, until, b->name, b->id);
}

static void say_order(const struct core *core, const struct shape *shape, struct explanation *x)
{
	size_t len;

	say_resources(core, shape, x);
	len = strlen(x->text);
	snprintf(x->text + len, sizeof x->text - len, "; what comes free goes to job %" PRIu32 " first, which stands before it",
	         x->blocker);
}

static void say_none(const struct core *core, const struct job *job, struct explanation *x)
{
	const struct reservation *r = job->moving ? keep_find(&core->keep, job->id) : NULL;
	char when[40];

	if (r)
		snprintf(x->text, sizeof x->text, "it is being moved to cards of %s at %s, on which it starts at %s",
		         pool_kind_name(core->pool, r->plan.kind), pool_centre_name(core->pool, r->plan.tasks[0].centre),
		         us_format_instant(r->plan.start_us, when, sizeof when));
	else
		snprintf(x->text, sizeof x->text, "it doesn't wait: it is %s", job_state_word(core_job_state(core, job)));
}

static void say(const struct core *core, const struct job *job, struct explanation *x)
{
	char when[40];

	switch (x->reason) {
	case REASON_NONE: say_none(core, job, x); break;
	case REASON_BEGIN:
		snprintf(x->text, sizeof x->text, "it may not begin before %s", us_format_instant(job->begin_us, when, sizeof when));
		break;
	case REASON_DEPENDENCY:
		snprintf(x->text, sizeof x->text, "it depends on job %" PRIu32 ", which is %s", x->blocker,
		         x->blocker ? job_state_word(core->jobs[x->blocker]->state) : "over");
		break;
	case REASON_ARRAY:
		snprintf(x->text, sizeof x->text, "%" PRIu32 " of its elements run, as many as its array allows at once",
		         job->array->live);
		break;
	case REASON_NEVER: snprintf(x->text, sizeof x->text, "nothing in the pool as it is now could ever hold it"); break;
	case REASON_RESERVED: say_reserved(core, x); break;
	case REASON_BOOKED: say_booked(core, x); break;
	case REASON_ORDER: say_order(core, core_shape(core, job), x); break;
	case REASON_QUOTA: say_quota(core, x); break;
	case REASON_QUEUE:
		snprintf(x->text, sizeof x->text,
		         job->moving ? "it is being moved: it starts again as soon as whoever has the cards that are kept for it has left"
		                     : "it is about to be considered");
		break;
	default: say_resources(core, core_shape(core, job), x); break;
	}
}

/* ---- Why ---- */

/* What the quota says of the first way that it refuses. */
static void find_quota(const struct core *core, const struct shape *shape, const struct asker *asker, struct explanation *x)
{
	for (uint32_t i = 0; i < shape->n_candidates; i++) {
		x->quota_kind = core->pool->shelves[shape->candidates[i].shelf].kind;
		x->verdict = plan_quota(core, asker, shape, shape->candidates[i], &x->quota);
		if (x->verdict != QUOTA_OK)
			return;
	}
}

/* The job for which some node of a plan is kept; 0: none. */
static uint32_t who_keeps(const struct core *core, const struct plan *plan, uint32_t but)
{
	for (uint32_t i = 0; i < core->keep.n_reservations; i++) {
		const struct reservation *r = core->keep.reservations[i];

		for (uint32_t k = 0; r->job != but && k < r->plan.n_tasks; k++)
			for (uint32_t n = 0; n < plan->n_tasks; n++)
				if (r->plan.tasks[k].centre == plan->tasks[n].centre && r->plan.tasks[k].node == plan->tasks[n].node)
					return r->job;
	}
	return 0;
}

/* The booking for which some node of a plan is kept; 0: none. */
static uint32_t who_booked(const struct core *core, const struct plan *plan)
{
	for (uint32_t i = 0; i < core->n_bookings; i++) {
		const struct booking *b = core->bookings[i];

		for (uint32_t k = 0; b->from_us < plan->until_us && b->until_us > plan->start_us && k < b->n_ranges; k++)
			for (uint32_t n = 0; n < plan->n_tasks; n++)
				if (plan->tasks[n].centre == b->centre && plan->tasks[n].node >= b->ranges[k].first &&
				    plan->tasks[n].node <= b->ranges[k].last)
					return b->id;
	}
	return 0;
}

/* Whether two shapes look for cards on one shelf. */
static bool share_shelf(const struct shape *a, const struct shape *b)
{
	for (uint32_t i = 0; i < a->n_candidates; i++)
		for (uint32_t k = 0; k < b->n_candidates; k++)
			if (a->candidates[i].shelf == b->candidates[k].shelf)
				return true;
	return false;
}

/* Whether what is room for a is room for b too, but for CPUs and memory. */
static bool wants_as_much(const struct shape *a, const struct shape *b)
{
	return a->group.nodes >= b->group.nodes && a->group.requests[0].cards_milli >= b->group.requests[0].cards_milli;
}

static const struct bucket *bucket_of(const struct core *core, const struct job *job)
{
	const struct queue *queue = &core->queue;

	return queue->buckets[queue->lanes[queue->classes[job->queue_class - 1]->lane]->bucket];
}

bool job_stands_before(const struct core *core, const struct job *a, const struct job *b)
{
	const struct bucket *x = bucket_of(core, a), *y = bucket_of(core, b);

	if (x->priority != y->priority)
		return x->priority > y->priority;
	if (core->queue.by_share && x->share != y->share)
		return x->share < y->share;
	return a->rank != b->rank ? a->rank < b->rank : a->id < b->id;
}

enum { CLASSES_LOOKED_AT = 16 };

/* The first in line that stands before a job, looks for the same and wants as much; 0: none of the first few. */
static uint32_t who_goes_first(const struct core *core, const struct job *job, struct arena *arena)
{
	struct queue_walk walk = {.queue = &core->queue, .arena = arena};
	const struct shape *shape = core_shape(core, job);
	struct job_class *class;

	for (int i = 0; i < CLASSES_LOOKED_AT && (class = queue_walk_next(&walk)); i++) {
		const struct job *first = class_first(class);
		const struct shape *other = core_shape(core, first);

		if (first == job)
			return 0;
		if (share_shelf(shape, other) && wants_as_much(other, shape))
			return job_stands_before(core, first, job) ? first->id : 0;
	}
	return 0;
}

static enum reason why(const struct core *core, const struct job *job, us_t now_us, struct arena *arena, struct explanation *x)
{
	const struct shape *shape = core_shape(core, job);
	struct asker asker = {.job = job->id, .project = job->project, .limit_us = job->limit_us};
	struct plan plan;

	if (job->state != JOB_QUEUED && !(job->array && job->state == JOB_ACTIVE && job->array->taken < job->array->count))
		return REASON_NONE;
	if (job->moving)
		return REASON_QUEUE;
	if (job->waits_for) {
		x->blocker = first_dependency(core, job);
		return REASON_DEPENDENCY;
	}
	if (!job->eligible)
		return job->begin_us > now_us ? REASON_BEGIN : REASON_QUEUE;
	if (job->array && job->array->parallel_max && job->array->live >= job->array->parallel_max)
		return REASON_ARRAY;
	if (shape->never)
		return REASON_NEVER;
	if (plan_now(core, shape, &asker, now_us, arena, &plan))
		return REASON_QUEUE;
	asker.quota_waived = true;
	if (plan_now(core, shape, &asker, now_us, arena, &plan)) {
		asker.from_us = now_us;
		find_quota(core, shape, &asker, x);
		return REASON_QUOTA;
	}
	if (plan_find(core, shape, &asker, &core->capacity, now_us, arena, &plan)) {
		x->blocker = who_keeps(core, &plan, job->id);
		x->booking = x->blocker ? 0 : who_booked(core, &plan);
		return x->blocker ? REASON_RESERVED : REASON_BOOKED;
	}
	if (x->free_nodes >= x->need_nodes)
		return REASON_SPREAD;
	x->blocker = who_goes_first(core, job, arena);
	return x->blocker ? REASON_ORDER : REASON_RESOURCES;
}

/* When it is expected to start. What was promised bounds it. */
static void expect(const struct core *core, const struct job *job, struct explanation *x)
{
	us_t low_us, high_us, from_us = x->now_us;

	x->start_low_us = x->start_high_us = US_NEVER;
	if (x->reason == REASON_BEGIN)
		from_us = job->begin_us > from_us ? job->begin_us : from_us;
	if (x->reason == REASON_QUEUE)
		x->start_low_us = x->start_high_us = from_us;
	if (x->reason == REASON_NONE || x->reason == REASON_DEPENDENCY || x->reason == REASON_ARRAY || x->reason == REASON_NEVER ||
	    x->reason == REASON_QUEUE || !outlook_of(core, job, x->ahead, x->now_us, &low_us, &high_us))
		return;
	x->start_low_us = us_add(from_us, low_us);
	x->start_high_us = us_add(from_us, high_us);
	if (x->start_us == US_NEVER)
		return;
	x->start_high_us = x->start_us < x->start_high_us ? x->start_us : x->start_high_us;
	x->start_low_us = x->start_low_us < x->start_high_us ? x->start_low_us : x->start_high_us;
}

/* The order, as of now or a second ago: a memo, which nothing but a question may need here. */
static void sort(const struct core *core, us_t now_us)
{
	if (!core->queue.sorted || core->queue.sorted_us + US_SECOND <= now_us)
		pass_sort((struct core *)(uintptr_t)core, now_us);
}

int core_explain(const struct core *core, uint32_t id, us_t now_us, struct explanation *ret, struct err *err)
{
	const struct job *job = core_job(core, id);
	struct explanation x = {.start_us = US_NEVER};
	struct arena arena = {0};

	if (!job)
		return err_set(err, ERR_NOT_FOUND, "job", "%" PRIu32 ": there is no such job", id);
	now_us = now_us < core->now_us ? core->now_us : now_us;
	x.now_us = now_us;
	sort(core, now_us);
	count_room(core, core_shape(core, job), &x);
	x.reason = why(core, job, now_us, &arena, &x);
	x.ahead = queue_has(&core->queue, job) ? queue_ahead(&core->queue, job) : 0;
	if (keep_find(&core->keep, id))
		x.start_us = keep_find(&core->keep, id)->plan.start_us;
	else if (x.reason == REASON_QUEUE)
		x.start_us = now_us;
	expect(core, job, &x);
	say(core, job, &x);
	arena_done(&arena);
	*ret = x;
	return 0;
}

/* Whether a job that isn't submitted yet would wait for one of its dependencies, or never run because of it. */
static bool waits_for_others(const struct core *core, const struct job_spec *spec)
{
	for (uint32_t i = 0; i < spec->n_dependencies; i++) {
		const struct job *on = core_job(core, spec->dependencies[i].job);

		if (on && (!job_is_over(on) || (spec->dependencies[i].when == AFTER_OK && on->state != JOB_COMPLETED)))
			return true;
	}
	return false;
}

/* A job as it would be once it is submitted; its shape lies in the arena. */
static struct newcomer newcomer_of(const struct core *core, const struct submitted *s, us_t now_us, struct arena *arena)
{
	uint32_t project = strtab_find(&core->projects, s->project), user = strtab_find(&core->users, s->user);
	struct shape *shape = arena_new(arena, 1, sizeof *shape);
	struct newcomer n = {.shape = shape, .job = {.id = s->job}};

	*shape = plan_shape(core, &s->group, arena);
	n.job.project = project == STRTAB_NONE ? core->projects.count : project;
	n.job.priority = (uint16_t)s->priority;
	n.job.limit_us = s->limit_us;
	n.job.name = (char *)(uintptr_t)s->name; /* read only */
	n.job.user = user == STRTAB_NONE ? core->users.count : user;
	n.job.eligible_us = now_us;
	n.job.preemptible_after_us = s->preemptible_after_us;
	n.job.stay_us = pass_stay_us(core, &n.job);
	outlook_estimate(core, shape, &n.job);
	n.job.rank = rank_waiting(core, shape, &n.job);
	n.asker = (struct asker){.job = n.job.id, .project = n.job.project, .limit_us = n.job.limit_us};
	n.class = queue_find_class(&core->queue, queue_find_shape(&core->queue, &s->group), n.job.project, n.job.priority);
	n.leads = !n.class || n.job.rank < class_first(n.class)->rank;
	return n;
}

int core_dry_run(const struct core *core, const struct job_spec *spec, us_t now_us, struct arena *arena, struct plan *ret,
                 uint32_t *ret_stopped, struct err *err)
{
	struct submitted s;
	struct event event = {0};
	struct arrivals arrivals;
	struct newcomer n;
	struct err own;
	int rc = admit(core, spec, NULL, now_us, arena, &s, err ? err : &own);

	if (rc < 0)
		return rc;
	*ret = (struct plan){.start_us = US_NEVER, .until_us = US_NEVER, .kind = KIND_NONE};
	*ret_stopped = 0;
	now_us = now_us < core->now_us ? core->now_us : now_us;
	if (spec->begin_us > now_us || waits_for_others(core, spec))
		return 0;
	n = newcomer_of(core, &s, now_us, arena);
	arrivals = arrivals_ahead(&core->arrivals, core_last_group(core), &s.group);
	n.asker.arrivals = &arrivals;
	if (pass_newcomer(core, &n, now_us, arena, &event)) {
		*ret = event.type == EVENT_PLACED ? event.placed.plan : event.reserved.plan;
		*ret_stopped = event.type == EVENT_PLACED ? 0 : event.reserved.n_victims;
	}
	arrivals_ahead_done(&core->arrivals, &arrivals);
	return 0;
}
