/* SPDX-License-Identifier: Apache-2.0
 * pass.c: what the queue yields now: the next job to place, who makes room for it, or the promise that it needs.
 *
 * Goes through the classes in order. A job starts where it fits in what is open to it: past what is kept for others that it would
 * delay by its bound. One that can't start may make others leave (preempt.c). Under fair and fifo the first jobs that wait
 * hold reservations, as many as the configuration says: EASY backfill (Lifka 1995) with several promises, made from bounds only,
 * each moved only for a stated cause. A first job that can be promised nothing, for what runs has no bound, is promised
 * what comes free on the nodes nearest to it once it has waited for `starvation_after`.
 *
 * A class that can't start is passed over until something comes free where it looks: by lane, so that a free card makes only
 * those be looked at again that could use it. With time alone nobody can start who couldn't, so that is a memo. But whom others
 * would make room for changes with time too (what is promised or booked for later is past, or comes near). That isn't watched:
 * others are asked for a class when a job comes to stand first in it, and when something came about where it looks. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/state.h"

/* ---- Order ---- */

/* A project's place among the entrants, which it takes where it has none. `place_of` may say anything of those that have none. */
static uint32_t enter(struct core *core, uint32_t project)
{
	uint32_t place;

	while (project >= core->places_cap) {
		uint32_t cap = core->places_cap ? 2 * core->places_cap : 64;

		core->place_of = mem_resize(core->place_of, cap, sizeof *core->place_of);
		memset(core->place_of + core->places_cap, 0, (cap - core->places_cap) * sizeof *core->place_of);
		core->places_cap = cap;
	}
	place = core->place_of[project];
	if (place < core->n_entrants && core->entrants[place] == project)
		return place;
	core->entrants[core->n_entrants] = project;
	return core->place_of[project] = core->n_entrants++;
}

/* Lists the projects of the buckets, each once. */
static void list_entrants(struct core *core)
{
	struct queue *queue = &core->queue;

	if (core->entrants_cap < queue->n_buckets) {
		core->entrants_cap = 2 * queue->n_buckets;
		core->entrants = mem_resize(core->entrants, core->entrants_cap, sizeof *core->entrants);
		core->ranks = mem_resize(core->ranks, core->entrants_cap, sizeof *core->ranks);
	}
	core->n_entrants = 0;
	for (uint32_t i = 0; i < queue->n_buckets; i++)
		if (queue->buckets[i])
			queue->buckets[i]->entrant = enter(core, queue->buckets[i]->project);
}

/* Gives each bucket its project's place. Returns whether buckets may have to change places. */
static bool rank_buckets(struct core *core, us_t now_us)
{
	struct queue *queue = &core->queue;
	bool changed = true, alone;

	if (!queue->sorted)
		list_entrants(core);
	alone = core->n_entrants == 1; /* and then the order that is kept, and its ranks, stay for when others come again */
	if (!alone) {
		projects_reach(core->tree, now_us);
		changed = projects_rank(core->tree, now_us, core->entrants, core->n_entrants, &core->ranking, core->ranks);
	}
	if (queue->sorted && !changed)
		return false;
	for (uint32_t i = 0; i < queue->n_buckets; i++)
		if (queue->buckets[i])
			queue->buckets[i]->share = alone ? 0 : core->ranks[queue->buckets[i]->entrant];
	return true;
}

void pass_sort(struct core *core, us_t now_us)
{
	struct queue *queue = &core->queue;

	if (queue->sorted && (!queue->by_share || queue->sorted_us == now_us || queue->n_order < 2))
		return;
	if (!queue->by_share || !queue->n_buckets || rank_buckets(core, now_us))
		queue_sort(queue, now_us);
	queue->sorted_us = now_us;
}

/* ---- What could have changed since a class was passed over ---- */

/* A shelf's room as it is now. */
static const struct shelf_room *room_now(const struct core *core, uint32_t number)
{
	const struct shelf *shelf = &core->pool->shelves[number];
	struct shelf_room *room = &core->room[number];

	if (room->at != core->room_as_of + 1) {
		capacity_nodes_by_cards(&core->keep.open, shelf->domain, shelf->cards_max, room->open);
		capacity_nodes_by_cards(&core->capacity, shelf->domain, shelf->cards_max, room->free);
		room->at = core->room_as_of + 1;
	}
	return room;
}

static uint64_t stamp_of(const struct core *core, const struct lane *lane)
{
	const struct bucket *bucket = core->queue.buckets[lane->bucket];
	struct site *site = core->queue.sites[lane->site];

	if (site->stamp_at != core->sequence + 1) {
		site->stamp_at = core->sequence + 1;
		site->stamp = core->freed_all;
		site->promised = 0;
		for (uint32_t i = 0; i < site->n_places; i++) {
			const struct freed *freed = &core->freed_at[site->places[i].shelf][site->places[i].cards];

			site->stamp += freed->times;
			site->promised += freed->promised;
		}
	}
	return site->stamp + (bucket->project == PROJECT_ALL ? core->relieved : projects_relieved(core->tree, bucket->project));
}

/* The same for whom others may make room: what others were promised since makes nobody leave. */
static uint64_t help_stamp_of(const struct core *core, const struct lane *lane)
{
	uint64_t stamp = stamp_of(core, lane);

	return stamp - core->queue.sites[lane->site]->promised;
}

/* A site, and what room it has now: the most nodes that one shelf has with as many wholly free cards as its tasks want. */
static const struct site *site_now(const struct core *core, uint32_t id)
{
	struct site *site = core->queue.sites[id];

	if (site->room_at == core->room_as_of + 1)
		return site;
	site->room_at = core->room_as_of + 1;
	site->open_nodes = site->free_nodes = 0;
	for (uint32_t i = 0; i < site->n_places; i++) {
		const struct shelf_room *room = room_now(core, site->places[i].shelf);
		uint32_t open = room->open[site->places[i].cards], free = room->free[site->places[i].cards];

		site->open_nodes = open > site->open_nodes ? open : site->open_nodes;
		site->free_nodes = free > site->free_nodes ? free : site->free_nodes;
	}
	return site;
}

/* Whether others may be made to leave for jobs of this bucket: then a gang that what is free can't hold is worth a look too. */
static bool may_preempt(const struct core *core, const struct bucket *bucket)
{
	return core->victims.count || core->projects_bounded || bucket->priority > JOB_PRIORITY_MAX;
}

static struct worth worth_of(const struct core *core, const struct lane *lane, us_t now_us)
{
	const struct site *site = site_now(core, lane->site);

	if (may_preempt(core, core->queue.buckets[lane->bucket]))
		return (struct worth){.nodes = UINT32_MAX};
	return (struct worth){site->open_nodes, site->free_nodes, keep_limit(&core->keep, now_us)};
}

enum { SITES_SHARED = 2 };

/* Whether anything of a site may be open to some job of this bucket; if so of any, then of the one of the highest priority. */
static bool has_room(const struct core *core, const struct bucket *bucket, uint32_t site_id, us_t limit_us)
{
	const struct site *site = site_now(core, site_id);

	return site->open_nodes || (site->free_nodes && limit_us) || may_preempt(core, bucket);
}

/* Whether any class of any lane may be worth a look. Where many lanes look in few places these are asked first: mostly nothing is
 * left anywhere, and then no bucket need be gone through. */
static bool any_has_room(const struct core *core, us_t now_us)
{
	const struct queue *queue = &core->queue;
	uint32_t lanes = queue->n_lanes - queue->spare_lanes.n, sites = queue->n_sites - queue->spare_sites.n;
	us_t limit_us = keep_limit(&core->keep, now_us);

	if (!queue->n_order || lanes < SITES_SHARED * sites)
		return true;
	for (uint32_t i = 0; i < queue->n_sites; i++)
		if (queue->sites[i] && has_room(core, queue->buckets[queue->order[0]], i, limit_us))
			return true;
	return false;
}

/* The first class of a lane that is worth a look; NULL: none, until its stamp changes: what is open grows with it alone, and
 * with time what is kept comes nearer. */
static struct job_class *open_of(struct core *core, struct lane *lane, us_t now_us)
{
	uint64_t stamp = stamp_of(core, lane);
	struct job_class *class;
	struct worth worth;

	if (lane->exhausted == stamp + 1)
		return NULL;
	worth = worth_of(core, lane, now_us);
	class = lane_open(lane, stamp, &worth);
	if (!class)
		lane->exhausted = stamp + 1;
	return class;
}

static struct job_class *bucket_open(struct core *core, struct bucket *bucket, us_t now_us)
{
	us_t limit_us = keep_limit(&core->keep, now_us);

	if (bucket->open_at == core->freed + 1)
		return bucket->open;
	bucket->open = NULL;
	for (uint32_t i = 0; i < bucket->n_lanes; i++) {
		struct job_class *class = has_room(core, bucket, bucket->lanes[i].site, limit_us)
		                              ? open_of(core, core->queue.lanes[bucket->lanes[i].lane], now_us)
		                              : NULL;

		if (class && (!bucket->open || class_before(class, bucket->open)))
			bucket->open = class;
	}
	bucket->open_at = core->freed + 1;
	return bucket->open;
}

static bool is_passed_over(const struct core *core, const struct job_class *class)
{
	return class->passed_over == stamp_of(core, core->queue.lanes[class->lane]) + 1;
}

/* ---- One class ---- */

/* One for whom others make room takes what its project owns, whichever way it goes; and who is moved goes where it is as fast. */
static struct asker asker_of(const struct core *core, const struct job *job)
{
	const struct reservation *r = core->keep.n_reservations ? keep_find(&core->keep, job->id) : NULL;
	struct asker asker = {.job = job->id, .project = job->project, .limit_us = job->limit_us};

	if (r && !reservation_is_ordinary(r)) {
		asker.owns = true;
		asker.speed_least_milli = job->moving ? r->request.speed_milli : 0;
	}
	return asker;
}

static void yield_placed(const struct core *core, const struct job *job, us_t now_us, const struct plan *plan, struct event *ret)
{
	*ret = (struct event){.type = EVENT_PLACED, .at_us = now_us};
	ret->placed = (struct placed){.job = job->id, .attempt = job->attempt + 1, .plan = *plan};
	if (job->array) {
		ret->placed.job = core->last_job + 1;
		ret->placed.attempt = 1;
		ret->placed.array = job->id;
		ret->placed.index = ranges_value(job->array->ranges, job->array->n_ranges, job->array->taken);
	}
}

enum { LENT_LEAST_US = 60000000 }; /* for less nobody is lent anything */

us_t pass_stay_us(const struct core *core, const struct job *job)
{
	us_t stay_us = job->preemptible_after_us > LENT_LEAST_US ? job->preemptible_after_us : LENT_LEAST_US;

	if (job->preemptible_after_us == US_NEVER)
		return job->limit_us;
	stay_us = us_add(stay_us, core->config.kill_grace_us);
	return stay_us < job->limit_us ? stay_us : job->limit_us;
}

/* A job that can't start for as long as limit_us: the longest stay, shorter than that, which something that is kept leaves room
 * for; 0: none. */
static us_t shorter_stay(const struct core *core, us_t now_us, us_t limit_us)
{
	us_t before_us = core->keep.withheld ? keep_start_before(&core->keep, plan_end(now_us, limit_us)) : 0;

	return before_us > now_us ? before_us - now_us : 0;
}

/* The first job of a class, of those with a limit of at most limit_us, that can start now: mostly its first; or one that ends, by
 * its bound, before something is kept that its first would delay; or one that may be stopped by then, and is lent what is kept.
 */
static const struct job *find_limited(struct core *core, const struct job_class *class, us_t limit_us, us_t now_us,
                                      struct plan *plan)
{
	const struct job *job = limit_us == US_NEVER ? class_first(class) : class_first_within(class, US_NEVER, limit_us);
	us_t stay_us = US_NEVER;

	while (job) {
		struct asker asker = asker_of(core, job);

		asker.quota_us = job->limit_us;
		asker.limit_us = job->limit_us < stay_us ? job->limit_us : stay_us;
		if (plan_now(core, core_shape(core, job), &asker, now_us, &core->scratch, plan))
			return job;
		stay_us = shorter_stay(core, now_us, asker.limit_us);
		job = stay_us ? class_first_within(class, stay_us, limit_us) : NULL;
	}
	return NULL;
}

/* The longest limit, shorter than that, with which a job is over before others are promised more of the quotas; 0: none. */
static us_t shorter_limit(const struct core *core, us_t now_us, us_t limit_us)
{
	us_t shorter_us = 0;

	for (uint32_t i = 0; core->projects_bounded && i < core->keep.n_reservations; i++) {
		us_t start_us = core->keep.reservations[i]->plan.start_us;

		if (!core->keep.reservations[i]->behind && start_us != US_NEVER && start_us - now_us > shorter_us &&
		    start_us - now_us < limit_us)
			shorter_us = start_us - now_us;
	}
	return shorter_us;
}

/* The first job of a class that can start now, as far as what is kept of the pool and of the quotas goes. NULL: none. */
static const struct job *find_startable(struct core *core, const struct job_class *class, us_t now_us, struct plan *plan)
{
	const struct job *first = class_first(class), *job = find_limited(core, class, US_NEVER, now_us, plan);
	us_t limit_us = US_NEVER;

	while (!job && first) { /* with a limit that leaves the first one in, it is the first of those too */
		limit_us = shorter_limit(core, now_us, first->limit_us < limit_us ? first->limit_us : limit_us);
		first = limit_us ? class_first_within(class, US_NEVER, limit_us) : NULL;
		job = first ? find_limited(core, class, limit_us, now_us, plan) : NULL;
	}
	return job;
}

static bool yield_unreserved(const struct reservation *r, enum cause cause, us_t now_us, struct event *ret)
{
	*ret = (struct event){.type = EVENT_UNRESERVED, .at_us = now_us};
	ret->unreserved.job = r->job;
	ret->unreserved.cause = cause;
	return true;
}

/* Whether others make room for a job. A promise that it holds and that can't be kept is taken back first, for what broke it:
 * others may be gone later than it said. */
static bool others_leave(struct core *core, const struct job *job, us_t now_us, struct event *ret)
{
	const struct reservation *r = keep_find(&core->keep, job->id);

	if (!preempt_for(core, core_shape(core, job), job, now_us, &core->scratch, ret))
		return false;
	return r && r->broken != CAUSE_NONE ? yield_unreserved(r, r->broken, now_us, ret) : true;
}

/* Whether a class yields anything: a start, or others that make room. If not it is passed over. */
static bool try_class(struct core *core, struct job_class *class, us_t now_us, struct event *ret)
{
	struct plan plan;
	const struct job *job = find_startable(core, class, now_us, &plan);
	const struct lane *lane = core->queue.lanes[class->lane];
	uint64_t help_stamp = help_stamp_of(core, lane);

	if (job) {
		yield_placed(core, job, now_us, &plan, ret);
		return true;
	}
	if (class->unhelped != help_stamp + 1 && others_leave(core, class_first(class), now_us, ret))
		return true;
	class->unhelped = help_stamp + 1;
	class_pass_over(&core->queue, class, stamp_of(core, lane));
	return false;
}

void pass_settle(struct core *core)
{
	core->moves_looked = core->freed + 1;
	for (uint32_t i = 0; i < core->queue.n_classes; i++) {
		struct job_class *class = core->queue.classes[i];

		if (class && !core->queue.shapes[class->shape]->never)
			class->unhelped = help_stamp_of(core, core->queue.lanes[class->lane]) + 1;
	}
}

/* Whether nobody is to make room for a class that somebody could make room for. */
static bool is_unhelped(const struct core *core, const struct job_class *class)
{
	const struct lane *lane;

	if (!class || core->queue.shapes[class->shape]->never)
		return false;
	lane = core->queue.lanes[class->lane];
	return class->unhelped == help_stamp_of(core, lane) + 1 && may_preempt(core, core->queue.buckets[lane->bucket]);
}

struct backlog pass_found(const struct core *core, struct arena *arena)
{
	uint32_t *unhelped = arena_new(arena, core->queue.n_classes, sizeof *unhelped), n = 0;

	for (uint32_t i = 0; i < core->queue.n_classes; i++)
		if (is_unhelped(core, core->queue.classes[i]))
			unhelped[n++] = class_first(core->queue.classes[i])->id;
	qsort(unhelped, n, sizeof *unhelped, compare_numbers);
	return (struct backlog){.more = true,
	                        .unmoved = !core->movers.count || core->moves_looked == core->freed + 1,
	                        .n_unhelped = n,
	                        .unhelped = unhelped};
}

/* The class that a job is the first of, if any of it could start some day; or NULL. */
static struct job_class *class_led_by(const struct core *core, uint32_t id)
{
	const struct job *job = core_job(core, id);
	struct job_class *class = job && queue_has(&core->queue, job) ? core->queue.classes[job->queue_class - 1] : NULL;

	return class && !core->queue.shapes[class->shape]->never && class_first(class) == job ? class : NULL;
}

bool pass_may_know(const struct core *core, const struct backlog *found)
{
	if (!found->more)
		return core->backlog && !found->unmoved && !found->n_unhelped;
	for (uint32_t i = 0; i < found->n_unhelped; i++)
		if (!class_led_by(core, found->unhelped[i]))
			return false;
	return true;
}

void pass_know(struct core *core, const struct backlog *found)
{
	for (uint32_t i = 0; i < found->n_unhelped; i++) {
		struct job_class *class = class_led_by(core, found->unhelped[i]);

		class->unhelped = help_stamp_of(core, core->queue.lanes[class->lane]) + 1;
	}
	if (found->unmoved)
		core->moves_looked = core->freed + 1;
}

/* ---- Promises ---- */

/* The ordinary promise number i, or NULL. */
static const struct reservation *ordinary(const struct core *core, uint32_t i)
{
	for (uint32_t k = 0; k < core->keep.n_reservations; k++)
		if (reservation_is_ordinary(core->keep.reservations[k]) && i-- == 0)
			return core->keep.reservations[k];
	return NULL;
}

static const struct reservation *last_ordinary(const struct core *core)
{
	for (uint32_t k = core->keep.n_reservations; k-- > 0;)
		if (reservation_is_ordinary(core->keep.reservations[k]))
			return core->keep.reservations[k];
	return NULL;
}

/* Whether what was to make room for a promise, or anything else that its plan counted on, is on its way out still; or is gone,
 * and there is room by the promised start, if not yet: until then its nodes may be booked for others, or held by one who was
 * promised that before. */
static bool waits_for_victims(struct core *core, const struct reservation *r, const struct asker *asker, us_t now_us)
{
	const struct job *waits = core_job(core, r->job);

	for (uint32_t i = 0; i < r->n_victims; i++) {
		const struct job *job = job_victim(core, r, i);

		if (job && job->state == JOB_CLEANUP)
			return true;
	}
	if (r->plan.start_us > now_us && preempt_left_at(core, core_shape(core, waits), asker, r->plan.start_us, &core->scratch))
		return true;
	return preempt_waits(core, core_shape(core, waits), asker, now_us, &core->scratch);
}

static bool share_a_node(const struct plan *a, const struct plan *b)
{
	for (uint32_t i = 0; i < a->n_tasks; i++)
		for (uint32_t k = 0; k < b->n_tasks; k++)
			if (a->tasks[i].centre == b->tasks[k].centre && a->tasks[i].node == b->tasks[k].node)
				return true;
	return false;
}

/* Whether a job that waits stands before another, which may not. */
static bool goes_before(const struct core *core, const struct job *job, const struct job *other, us_t now_us)
{
	uint32_t projects[] = {job->project, other->project}, ranks[2] = {0};

	if (job->priority != other->priority)
		return job->priority > other->priority;
	if (core->queue.by_share && job->project != other->project)
		projects_rank(core->tree, now_us, projects, 2, NULL, ranks);
	if (ranks[0] != ranks[1])
		return ranks[0] < ranks[1];
	return job->rank != other->rank ? job->rank < other->rank : job->id < other->id;
}

/* A promise on the nodes of one that would be put off, which begins behind it and before it would be over then: of a job that
 * goes before its own, or else the last one made. NULL: none. */
static const struct reservation *in_the_way(const struct core *core, const struct reservation *late, us_t until_us, us_t now_us)
{
	const struct reservation *last = NULL;

	for (uint32_t i = 0; i < core->keep.n_reservations; i++) {
		const struct reservation *r = core->keep.reservations[i];

		if (r->plan.start_us < late->plan.until_us || r->plan.start_us >= until_us || !share_a_node(&r->plan, &late->plan))
			continue;
		if (goes_before(core, core_job(core, r->job), core_job(core, late->job), now_us))
			return r;
		last = r;
	}
	return last;
}

/* Those for whom others make room start as soon as it is there, before anybody else. Where the others take longer than their
 * grace the promise is put off; where they are gone and there is no room, it is void. Returns whether there is news. */
static bool winner(struct core *core, const struct reservation *r, us_t now_us, struct event *ret)
{
	const struct job *job = core_job(core, r->job);
	struct asker asker = asker_of(core, job);
	us_t later_us = us_add(now_us, core->config.kill_grace_us > US_SECOND ? core->config.kill_grace_us : US_SECOND);
	us_t until_us = plan_end(later_us, job->limit_us);
	const struct reservation *way;
	struct plan plan;

	if (!job_is_live(job) && plan_now(core, core_shape(core, job), &asker, now_us, &core->scratch, &plan)) {
		yield_placed(core, job, now_us, &plan, ret);
		return true;
	}
	if (r->broken != CAUSE_NONE || !waits_for_victims(core, r, &asker, now_us))
		return yield_unreserved(r, r->broken != CAUSE_NONE ? r->broken : CAUSE_CAPACITY, now_us, ret);
	if (r->plan.start_us >= now_us)
		return false;
	way = in_the_way(core, r, until_us, now_us);
	if (keep_forbids(&core->keep, &r->plan, later_us, until_us, job->project) ||
	    (way && goes_before(core, core_job(core, way->job), job, now_us)))
		return yield_unreserved(r, CAUSE_OVERRUN, now_us, ret);
	if (way)
		return yield_unreserved(way, CAUSE_ORDER, now_us, ret);
	*ret = (struct event){.type = EVENT_RESERVED, .at_us = now_us};
	ret->reserved.job = r->job;
	ret->reserved.cause = CAUSE_OVERRUN;
	ret->reserved.plan = r->plan;
	ret->reserved.plan.start_us = later_us;
	ret->reserved.plan.until_us = until_us;
	ret->reserved.plan.claims = arena_new(&core->scratch, r->plan.n_claims, sizeof *r->plan.claims);
	for (uint32_t i = 0; i < r->plan.n_claims; i++)
		ret->reserved.plan.claims[i] = (struct claim){r->plan.claims[i].resource, r->plan.claims[i].amount, later_us,
		                                              ret->reserved.plan.until_us};
	ret->reserved.victims = r->victims;
	ret->reserved.n_victims = r->n_victims;
	return true;
}

static bool winners(struct core *core, us_t now_us, struct event *ret)
{
	for (uint32_t i = 0; i < core->keep.n_reservations; i++)
		if (!reservation_is_ordinary(core->keep.reservations[i]) && winner(core, core->keep.reservations[i], now_us, ret))
			return true;
	return false;
}

/* Why a job that waits first needs a (new) promise; CAUSE_NONE: it doesn't. A start is overrun only once it has passed: at that
 * very instant the ends that it waits for may still be on their way. */
static enum cause why_reserve(const struct reservation *r, us_t now_us)
{
	if (!r)
		return CAUSE_FIRST;
	if (r->broken != CAUSE_NONE)
		return r->broken;
	return r->plan.start_us < now_us ? CAUSE_OVERRUN : CAUSE_NONE;
}

static bool is_starved(const struct core *core, const struct job *job, us_t now_us)
{
	return us_add(job->eligible_us, core->config.starvation_after_us) <= now_us && core->config.starvation_after_us != US_NEVER;
}

/* Whether the nodes that a starving job waits for have less of use than others have now. */
static bool nearer_elsewhere(const struct core *core, const struct reservation *r, uint64_t milli)
{
	uint64_t here = 1;

	for (uint32_t i = 0; i < r->plan.n_tasks; i++) {
		uint32_t node = pool_node(core->pool, r->plan.tasks[i].centre, r->plan.tasks[i].node);
		uint32_t free = (uint32_t)__builtin_popcountll(core->capacity.free_cards[node]) * CARD_MILLI;

		here += free < r->request.cards_milli ? free : r->request.cards_milli;
	}
	return milli > here;
}

/* Keeps what comes free for a job that can be promised no start. Returns whether that is news. */
static bool keep_nearest(struct core *core, const struct job *job, const struct reservation *r, us_t now_us, struct event *ret)
{
	struct asker asker = asker_of(core, job);
	uint64_t milli;

	if (!is_starved(core, job, now_us) ||
	    !plan_nearest(core, core_shape(core, job), &asker, &core->scratch, &ret->reserved.plan, &milli))
		return false;
	if (r && r->plan.start_us == US_NEVER && r->broken == CAUSE_NONE && !nearer_elsewhere(core, r, milli))
		return false;
	ret->reserved.cause = CAUSE_STARVED;
	return true;
}

/* Gives a job that waits first, and can't start now, its promise. Returns whether that is news. */
static bool reserve(struct core *core, struct job_class *class, const struct job *job, us_t now_us, struct event *ret)
{
	const struct reservation *r = keep_find(&core->keep, job->id);
	bool is_open = r && r->plan.start_us == US_NEVER; /* no start is promised: there may be one by now */
	bool is_head = job == class_first(class);
	enum cause cause = why_reserve(r, now_us);
	struct asker asker = asker_of(core, job);

	if (cause == CAUSE_NONE && !is_open)
		return false;
	if ((!r || is_open) && is_head && class->unplanned == core->freed + 1 && class->starved == is_starved(core, job, now_us))
		return false;
	*ret = (struct event){.type = EVENT_RESERVED, .at_us = now_us};
	ret->reserved.job = job->id;
	ret->reserved.cause = is_open ? CAUSE_CAPACITY : cause;
	if (plan_earliest(core, core_shape(core, job), &asker, now_us, &core->scratch, &ret->reserved.plan))
		return true;
	if (is_head) {
		class->unplanned = core->freed + 1;
		class->starved = is_starved(core, job, now_us);
	}
	if (keep_nearest(core, job, r, now_us, ret))
		return true;
	return r && cause != CAUSE_NONE && yield_unreserved(r, cause, now_us, ret);
}

/* Whether a job could be promised anything, and so all of its class: its project may hold that much. */
static bool may_be_promised(const struct core *core, const struct shape *shape, const struct job *job)
{
	struct asker asker = asker_of(core, job);

	if (!core->projects_bounded)
		return true;
	for (uint32_t i = 0; i < shape->n_candidates; i++)
		if (plan_quota(core, &asker, shape, shape->candidates[i], NULL) == QUOTA_OK)
			return true;
	return false;
}

/* Whether a job in line may hold a promise: it does, or it could be promised something. What it holds stays its own where quota
 * is full now, and free again by then. */
static bool may_hold_promise(const struct core *core, const struct job *job)
{
	return keep_find(&core->keep, job->id) || may_be_promised(core, core_shape(core, job), job);
}

/* Whether a job would be promised something if those behind it held no promises: before that is known they keep them, for
 * one that can be promised nothing is in nobody's way. */
static bool could_be_promised(struct core *core, const struct shape *shape, const struct job *job, uint32_t place, us_t now_us,
                              struct arena *arena)
{
	struct asker asker = asker_of(core, job);
	struct plan plan;
	uint64_t milli;
	bool found;

	keep_set_behind(&core->keep, place, true);
	found = plan_now(core, shape, &asker, now_us, arena, &plan) || plan_earliest(core, shape, &asker, now_us, arena, &plan) ||
	        (is_starved(core, job, now_us) && plan_nearest(core, shape, &asker, arena, &plan, &milli));
	keep_set_behind(&core->keep, place, false);
	keep_then_end(&core->keep, &core->capacity); /* what is open was made so without them */
	return found;
}

/* Sees to the promise of a job that waits first. place: how many ordinary promises stand before. Returns whether there is news.
 */
static bool promise(struct core *core, struct job_class *class, const struct job *job, uint32_t *place, us_t now_us,
                    struct event *ret)
{
	const struct reservation *r = keep_find(&core->keep, job->id), *there = ordinary(core, *place);

	if (r && !reservation_is_ordinary(r))
		return false;
	if (there && there != r && (r || could_be_promised(core, core_shape(core, job), job, *place, now_us, &core->scratch)))
		return yield_unreserved(last_ordinary(core), CAUSE_ORDER, now_us, ret);
	if (!there || there == r) {
		if (reserve(core, class, job, now_us, ret))
			return true;
		*place += r != NULL;
	}
	return false;
}

/* ---- The jobs that wait first ---- */

/* Goes through jobs in order, where queue_walk goes through classes: the next of each class begun, merged. */
struct line {
	struct queue_walk walk;
	struct standing *begun;
	struct job_class *next; /* the first class not begun; NULL: none */
	uint32_t n, left;       /* left: how many jobs may still be asked for */
	bool is_begun;
};

struct standing {
	struct job_class *class;
	const struct job *job; /* NULL: no more */
	bool given;            /* it was: the next one's turn */
	uint32_t group;        /* a place in the queue's order: of two groups all of one go first */
	bool open;             /* for the caller: the class wasn't passed over */
};

/* most: how many jobs it is asked for at most. */
static struct line line_of(const struct core *core, uint32_t most, struct arena *arena)
{
	return (struct line){
		.walk = {.queue = &core->queue, .arena = arena}, .begun = arena_new(arena, most, sizeof(struct standing)), .left = most};
}

static bool stands_before(const struct standing *a, const struct standing *b)
{
	if (a->group != b->group)
		return a->group < b->group;
	return a->job->rank != b->job->rank ? a->job->rank < b->job->rank : a->job->id < b->job->id;
}

static struct standing *first_begun(struct line *line)
{
	struct standing *first = NULL;

	for (uint32_t i = 0; i < line->n; i++) {
		struct standing *s = &line->begun[i];

		if (s->given)
			s->job = s->job->array ? NULL : class_next(s->job);
		s->given = false;
	}
	for (uint32_t i = 0; i < line->n; i++)
		if (line->begun[i].job && (!first || stands_before(&line->begun[i], first)))
			first = &line->begun[i];
	return first;
}

/* The next job, and where it stands; an array counts once. A class whose first job it is can be dropped by line_drop. NULL: no
 * more, or as many as hold promises. */
static const struct job *line_next(struct line *line, struct standing **ret, bool *ret_first)
{
	struct standing *first, fresh;

	if (!line->left)
		return NULL;
	first = first_begun(line);
	if (!line->is_begun)
		line->next = queue_walk_next(&line->walk);
	line->is_begun = true;
	fresh = (struct standing){.class = line->next, .job = line->next ? class_first(line->next) : NULL, .group = line->walk.from};
	*ret_first = line->next && (!first || stands_before(&fresh, first));
	if (*ret_first) {
		line->begun[line->n] = fresh;
		first = &line->begun[line->n++];
		line->is_begun = false;
	}
	if (!first)
		return NULL;
	*ret = first;
	first->given = true;
	line->left--;
	return first->job;
}

/* None of the class that was begun last counts. */
static void line_drop(struct line *line)
{
	line->n--;
	line->left++;
}

bool pass_promises(const struct core *core)
{
	return core->config.reservations && (core->config.policy == POLICY_FAIR || core->config.policy == POLICY_FIFO);
}

/* A job that isn't the first of its class, but has a promise of its own: it may start on that where the first can't. */
static bool try_promised(struct core *core, const struct job *job, us_t now_us, struct event *ret)
{
	struct asker asker = asker_of(core, job);
	struct plan plan;

	if (!keep_find(&core->keep, job->id) || !plan_now(core, core_shape(core, job), &asker, now_us, &core->scratch, &plan))
		return false;
	yield_placed(core, job, now_us, &plan, ret);
	return true;
}

/* The jobs that wait first: they start, or hold a promise. Returns whether there is news. */
static bool first_in_line(struct core *core, us_t now_us, struct event *ret)
{
	struct line line = line_of(core, core->config.reservations, &core->scratch);
	struct standing *at;
	const struct job *job;
	uint32_t place = 0;
	bool is_first;

	while ((job = line_next(&line, &at, &is_first))) {
		if (is_first)
			at->open = !is_passed_over(core, at->class);
		if (at->open && (is_first ? try_class(core, at->class, now_us, ret) : try_promised(core, job, now_us, ret)))
			return true;
		if (is_first && !may_hold_promise(core, job))
			line_drop(&line);
		else if (promise(core, at->class, job, &place, now_us, ret))
			return true;
	}
	if (ordinary(core, place))
		return yield_unreserved(last_ordinary(core), CAUSE_ORDER, now_us, ret);
	return false;
}

/* ---- A job that isn't there ---- */

bool pass_starts_by(const struct core *core, const struct shape *shape, const struct job *job, us_t now_us, us_t by_us,
                    struct arena *arena)
{
	struct core *changed = (struct core *)(uintptr_t)core; /* what is open, for the question */
	struct asker asker = asker_of(core, job);
	uint32_t place = 0, there = 0;
	const struct reservation *r;
	struct plan plan;
	bool found;

	for (; (r = ordinary(core, there)) && !r->behind; there++) /* for a question others may be behind already */
		if (r->job == job->id || goes_before(core, core_job(core, r->job), job, now_us))
			place = there + 1;
	keep_set_behind(&changed->keep, place, true);
	found = (place < there && plan_now(core, shape, &asker, now_us, arena, &plan)) ||
	        (plan_earliest(core, shape, &asker, now_us, arena, &plan) && plan.start_us <= by_us);
	keep_set_behind(&changed->keep, place, false);
	keep_set_behind(&changed->keep, there, true);
	keep_then_end(&changed->keep, &core->capacity);
	return found;
}

/* A start now, for as long as its limit says, or as it can be lent something: as find_startable() has it. */
static bool plan_start(const struct core *core, const struct newcomer *n, us_t now_us, struct arena *arena, struct plan *ret)
{
	struct asker asker = n->asker;

	asker.quota_us = asker.limit_us;
	while (!plan_now(core, n->shape, &asker, now_us, arena, ret)) {
		asker.limit_us = shorter_stay(core, now_us, asker.limit_us);
		if (!asker.limit_us || asker.limit_us < n->job.stay_us)
			return false;
	}
	return true;
}

/* Whether a newcomer starts, or others make room for it, as try_class() would have it. */
static bool try_newcomer(const struct core *core, const struct newcomer *n, us_t now_us, struct arena *arena, struct event *ret)
{
	struct plan plan;

	if (!plan_start(core, n, now_us, arena, &plan))
		return n->leads && preempt_for(core, n->shape, &n->job, now_us, arena, ret);
	yield_placed(core, &n->job, now_us, &plan, ret);
	return true;
}

/* Where a newcomer would stand among the first, which are promised a start. */
struct seat {
	uint32_t place; /* ordinary promises before it */
	uint32_t stay;  /* and those behind it whose jobs are still among the first: the others go, even if it is promised nothing */
};

/* Returns whether it would be among the first, and those before it stand in the order in which they were promised theirs. */
static bool find_seat(struct core *core, const struct newcomer *n, us_t now_us, struct arena *arena, struct seat *ret)
{
	struct line line = line_of(core, core->config.reservations, arena);
	struct standing *at;
	const struct job *job;
	bool is_first, seated = false, in_order = true;

	*ret = (struct seat){0};
	while ((job = line_next(&line, &at, &is_first))) {
		const struct reservation *r = keep_find(&core->keep, job->id);

		if (!seated && !goes_before(core, job, &n->job, now_us)) {
			seated = true;
			if (!line.left)
				break; /* it has the last seat, instead of this one */
			line.left--;
		}
		if (!seated && job->array && at->class == n->class)
			return false; /* an array stands for all of its class that are behind it */
		if (is_first && !may_hold_promise(core, job)) {
			line_drop(&line);
		} else if (r && reservation_is_ordinary(r)) {
			in_order = in_order && ordinary(core, ret->place + ret->stay) == r;
			if (!in_order && !seated)
				return false; /* they have passed each other: what they are promised then is to be decided first */
			*(seated ? &ret->stay : &ret->place) += in_order;
		}
	}
	return seated || line.left;
}

/* A question is answered while others wait: so much is looked at, and no more. */
enum { OTHERS_ASKED = 8 };

/* Whether a job that waits first would be given another promise. */
static bool would_be_promised(struct core *core, struct job_class *class, const struct job *job, us_t now_us)
{
	uint64_t unplanned = class->unplanned;
	bool starved = class->starved, found;
	struct event event;

	found = reserve(core, class, job, now_us, &event);
	class->unplanned = unplanned; /* of the state as it is these memos are, and not of the question's */
	class->starved = starved;
	return found;
}

/* Whether, with some promises taken back, something would be decided for those for whom others make room, or who stand in line
 * before a newcomer. True as well where too many do. */
static bool others_first(struct core *core, const struct newcomer *n, us_t now_us, struct arena *arena)
{
	struct line line = line_of(core, OTHERS_ASKED + 1, arena);
	struct standing *at;
	const struct job *job;
	struct event event;
	struct plan plan;
	uint32_t asked = 0, promised = 0;
	bool is_first;

	for (uint32_t i = 0; i < core->keep.n_reservations; i++) {
		struct asker asker = asker_of(core, core_job(core, core->keep.reservations[i]->job));

		if (!reservation_is_ordinary(core->keep.reservations[i]) && !job_is_live(core_job(core, asker.job)) &&
		    plan_now(core, core_shape(core, core_job(core, asker.job)), &asker, now_us, arena, &plan))
			return true;
	}
	while ((job = line_next(&line, &at, &is_first)) && goes_before(core, job, &n->job, now_us)) {
		struct asker asker = asker_of(core, job);

		if (asked++ == OTHERS_ASKED)
			return true;
		if (is_first ? find_startable(core, at->class, now_us, &plan) ||
		                   preempt_for(core, core_shape(core, job), job, now_us, arena, &event)
		             : plan_now(core, core_shape(core, job), &asker, now_us, arena, &plan))
			return true;
		if (is_first && !may_hold_promise(core, job))
			line_drop(&line);
		else if (promised++ < core->config.reservations && would_be_promised(core, at->class, job, now_us))
			return true;
	}
	return false;
}

/* What a newcomer is given once others' promises were taken back. */
enum given { GIVEN_NOTHING, GIVEN_PLACE, GIVEN_UNKNOWN };

/* Takes back, for the question, all ordinary promises but the first `left`, as promise() and first_in_line() would: one by one,
 * from the last on. Returns whether that lets a newcomer start, or others make room for it: one that is among the first after
 * each of them, another after all. */
static enum given displace(struct core *core, const struct newcomer *n, uint32_t left, bool is_seated, us_t now_us,
                           struct arena *arena, struct event *ret)
{
	uint32_t there = left;

	while (ordinary(core, there))
		there++;
	while (there > left) {
		keep_set_behind(&core->keep, --there, true);
		keep_then_end(&core->keep, &core->capacity);
		if (others_first(core, n, now_us, arena))
			return GIVEN_UNKNOWN;
		if ((is_seated || there == left) && try_newcomer(core, n, now_us, arena, ret))
			return GIVEN_PLACE;
	}
	return GIVEN_NOTHING;
}

/* Ends what displace() began. */
static void put_back(struct core *core)
{
	keep_set_behind(&core->keep, 0, false);
	keep_then_end(&core->keep, &core->capacity);
}

/* What a newcomer is given that is among the first. */
static bool seat_newcomer(struct core *core, const struct newcomer *n, const struct seat *seat, us_t now_us, struct arena *arena,
                          struct event *ret)
{
	bool could = could_be_promised(core, n->shape, &n->job, seat->place, now_us, arena);
	enum given given = displace(core, n, could ? seat->place : seat->place + seat->stay, true, now_us, arena, ret);

	if (could && given == GIVEN_NOTHING) {
		*ret = (struct event){.type = EVENT_RESERVED, .at_us = now_us};
		could = plan_earliest(core, n->shape, &n->asker, now_us, arena, &ret->reserved.plan);
	}
	put_back(core);
	return given == GIVEN_PLACE || (could && given == GIVEN_NOTHING);
}

/* How many promises are left when it is a newcomer's turn: where it isn't among the first those go before that are of jobs that
 * aren't any more. Returns false where others change places before, as one who stands before it and has passed them by its shares
 * since something was last decided. */
static bool promises_left(struct core *core, const struct newcomer *n, us_t now_us, struct arena *arena, uint32_t *ret)
{
	struct line line = line_of(core, core->config.reservations, arena);
	struct standing *at;
	const struct job *job;
	uint32_t place = 0;
	bool is_first;

	while ((job = line_next(&line, &at, &is_first)) && goes_before(core, job, &n->job, now_us)) {
		const struct reservation *r = keep_find(&core->keep, job->id), *there = ordinary(core, place);

		if (is_first && !may_hold_promise(core, job)) {
			line_drop(&line);
			continue;
		}
		if (r && !reservation_is_ordinary(r))
			continue;
		if (there && there != r && (r || could_be_promised(core, core_shape(core, job), job, place, now_us, arena)))
			return false;
		place += r != NULL;
	}
	*ret = job || line.left ? UINT32_MAX : place;
	return true;
}

bool pass_newcomer(const struct core *core, const struct newcomer *n, us_t now_us, struct arena *arena, struct event *ret)
{
	struct core *changed = (struct core *)(uintptr_t)core; /* memos, and what is open, for the question */
	uint32_t left = UINT32_MAX;
	struct seat seat;

	pass_sort(changed, now_us);
	if (pass_promises(core) && !promises_left(changed, n, now_us, arena, &left))
		return false;
	if (ordinary(core, left)) {
		enum given given = displace(changed, n, left, false, now_us, arena, ret);

		put_back(changed);
		return given == GIVEN_PLACE;
	}
	if (try_newcomer(core, n, now_us, arena, ret))
		return true;
	return pass_promises(core) && may_be_promised(core, n->shape, &n->job) && find_seat(changed, n, now_us, arena, &seat) &&
	       seat_newcomer(changed, n, &seat, now_us, arena, ret);
}

/* When the next of the first in line will have waited for so long that what comes free is kept for it. */
static us_t next_starved(struct core *core, us_t now_us)
{
	us_t wake_us = US_NEVER;
	struct standing *at;
	const struct job *job;
	struct line line;
	bool is_first;

	pass_sort(core, now_us);
	arena_reset(&core->wake_scratch);
	line = line_of(core, core->config.reservations, &core->wake_scratch);
	while ((job = line_next(&line, &at, &is_first))) {
		us_t at_us = us_add(job->eligible_us, core->config.starvation_after_us);

		if (is_first && !may_hold_promise(core, job))
			line_drop(&line);
		else if (!keep_find(&core->keep, job->id) && at_us > now_us && at_us < wake_us)
			wake_us = at_us;
	}
	return wake_us;
}

/* Whether each of those that wait first has its promise: so it is between steps where there are as many promises. */
static bool all_are_promised(const struct core *core)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < core->keep.n_reservations; i++)
		n += reservation_is_ordinary(core->keep.reservations[i]);
	return n >= core->config.reservations && !core->replayed;
}

us_t pass_wake(const struct core *core, us_t now_us)
{
	struct core *memo = (struct core *)(uintptr_t)core;

	if (!pass_promises(core) || core->config.starvation_after_us == US_NEVER || all_are_promised(core))
		return US_NEVER;
	if (core->woken_at == core->sequence + 1 && core->woken_us == now_us)
		return core->starved_us;
	memo->starved_us = next_starved(memo, now_us);
	memo->woken_at = core->sequence + 1;
	memo->woken_us = now_us;
	return core->starved_us;
}

/* ---- All ---- */

/* The bucket of a group of equals whose next open class goes first; NULL: none has one. */
static struct job_class *next_open(struct core *core, uint32_t from, uint32_t to, us_t now_us)
{
	struct job_class *best = NULL;

	for (uint32_t i = from; i < to; i++) {
		struct job_class *class = bucket_open(core, core->queue.buckets[core->queue.order[i]], now_us);

		if (class && (!best || class_before(class, best)))
			best = class;
	}
	return best;
}

bool pass_next(struct core *core, us_t now_us, struct event *ret)
{
	if (!core->queue.waiting && !core->keep.n_reservations)
		return false;
	pass_sort(core, now_us);
	if (core->keep.n_reservations && winners(core, now_us, ret))
		return true;
	if (pass_promises(core) && first_in_line(core, now_us, ret))
		return true;
	if (!any_has_room(core, now_us))
		return false;
	for (uint32_t from = 0, to; from < core->queue.n_order; from = to) {
		struct job_class *class;

		to = core->queue.equal_to[from];
		while ((class = next_open(core, from, to, now_us)))
			if (try_class(core, class, now_us, ret))
				return true;
	}
	return false;
}
