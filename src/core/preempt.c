/* SPDX-License-Identifier: Apache-2.0
 * preempt.c: whether jobs that run can make room for one that waits: its whole placement first, then who has to go.
 *
 * Two reasons. A job that goes before others (a higher priority; under shortest and las also an earlier place in the policy's
 * order) may end those that say they can be preempted, once they have run long enough. A project whose cards others of its cohort
 * borrowed may take them back while it stays within its own nominal quota, whatever their jobs say. For
 * what a project would borrow only those have to go whom the same quota bounds, and who hold as much of it.
 *
 * Victims are tried in order until the winner fits, its gang included; then those are spared without which it fits still. The
 * order: what is borrowed most; the lowest priority; under shortest and las the last in order, else the least work lost since the
 * last checkpoint. A job that states no checkpoint counts as losing nothing: hiding checkpoints must not pay (kueue#477). */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/state.h"

struct victim {
	const struct job *job;
	uint32_t fellow; /* of a reclaim: the project that borrowed */
	uint64_t rank;   /* as of now */
	uint64_t lost;   /* work since its last checkpoint: milli-card-microseconds, saturating */
	bool spared;
};

/* One search. */
struct search {
	const struct core *core;
	const struct shape *shape;
	const struct job *winner;
	us_t now_us;
	struct arena *arena;
	uint64_t *given_milli; /* by kind: what those hold who go; then only whom the winner's own quota bounds. NULL: all may */
	bool reclaims;
	uint32_t kind;  /* of a reclaim: whose borrowed cards are meant, */
	uint32_t owner; /* and the project that they were borrowed from: the winner's, or one above it */
	struct victim *victims;
	uint32_t n;
};

/* ---- Who ---- */

static uint64_t work_lost(const struct core *core, const struct job *job, us_t now_us)
{
	us_t ran_us = job->started_us == US_NEVER ? 0 : now_us - job->started_us;
	us_t since_us = job->checkpoint_every_us ? ran_us % job->checkpoint_every_us : 0;
	uint64_t milli = (uint64_t)core_shape(core, job)->group.nodes * job_request(core, job)->cards_milli;

	return (uint64_t)since_us / US_MS * (milli ? milli : 1);
}

/* Whether a job runs where the winner could. */
static bool is_near(const struct search *s, const struct job *job)
{
	for (uint32_t i = 0; i < s->shape->n_candidates; i++) {
		const struct shelf *shelf = &s->core->pool->shelves[s->shape->candidates[i].shelf];

		if (shelf->centre == job->plan.tasks[0].centre && (job->plan.kind == KIND_NONE || shelf->kind == job->plan.kind))
			return true;
	}
	return false;
}

static void add_victim(struct search *s, const struct job *job, uint32_t fellow)
{
	s->victims[s->n++] = (struct victim){
		.job = job,
		.fellow = fellow,
		.rank = rank_running(s->core, job, s->now_us),
		.lost = work_lost(s->core, job, s->now_us),
	};
}

/* Those that the winner goes before: the victims' tree has the first to go first, so it ends where that no longer holds. */
static void list_behind(struct search *s)
{
	const struct job *w = s->winner;
	uint64_t rank = rank_winning(s->core, w);

	s->victims = arena_new(s->arena, s->core->victims.count, sizeof *s->victims);
	s->n = 0;
	for (const struct tree_node *node = tree_first(&s->core->victims); node; node = tree_next(node)) {
		const struct running *r = tree_entry(node, struct running, in_victims);
		bool same = r->job->priority == w->priority;

		if (r->job->priority > w->priority || (same && (!rank_orders(s->core) || r->rank <= rank)))
			break;
		if (same && rank_running(s->core, r->job, s->now_us) <= rank)
			continue;
		if (is_near(s, r->job) && (!s->given_milli || projects_share_quota(s->core->tree, w->project, r->job->project)))
			add_victim(s, r->job, PROJECT_NONE);
	}
}

static void list_borrowers(struct search *s)
{
	s->victims = arena_new(s->arena, s->core->n_live, sizeof *s->victims);
	s->n = 0;
	for (const struct job *job = core_live_after(s->core, 0); job; job = core_live_after(s->core, job->id)) {
		uint32_t fellow;

		if (job->state != JOB_ACTIVE || job->plan.kind != s->kind || !is_near(s, job))
			continue;
		fellow = projects_cohort_fellow(s->core->tree, s->owner, job->project);
		if (fellow != PROJECT_NONE && projects_borrows(s->core->tree, fellow, s->kind))
			add_victim(s, job, fellow);
	}
}

/* The first to go first. */
static int compare_victims(const void *x, const void *y, void *ctx)
{
	const struct victim *a = x, *b = y;
	const struct search *s = ctx;
	int over = s->reclaims && a->fellow != b->fellow ? projects_over_share(s->core->tree, a->fellow, b->fellow, s->kind) : 0;

	if (over)
		return over > 0 ? -1 : 1;
	if (a->job->priority != b->job->priority)
		return a->job->priority < b->job->priority ? -1 : 1;
	if (rank_orders(s->core) && a->rank != b->rank)
		return a->rank > b->rank ? -1 : 1;
	if (a->lost != b->lost)
		return a->lost < b->lost ? -1 : 1;
	return a->job->id > b->job->id ? -1 : a->job->id < b->job->id;
}

/* ---- Whether ---- */

/* What a victim holds comes free, or is taken again, for the question. */
void preempt_set_aside(const struct core *core, const struct job *job, bool gone)
{
	struct project_amount amount = job_amount(core, job);
	struct share share;
	uint32_t node;

	for (uint32_t i = 0; i < job->plan.n_tasks; i++) {
		if (!job_holds(core, job, i, &node, &share))
			continue;
		if (gone)
			keep_then_give(keep_of(core), node, &share);
		else
			keep_then_take(keep_of(core), node, &share);
	}
	if (gone)
		projects_set_aside(core->tree, job->project, &amount);
	else
		projects_hold_again(core->tree, job->project, &amount);
}

static bool fits(const struct search *s, const struct asker *asker, us_t start_us, struct plan *ret)
{
	const struct keep_view view = {asker->job, asker->project, start_us, plan_end(start_us, asker->limit_us)};

	keep_then_show(keep_of(s->core), &view);
	return plan_find(s->core, s->shape, asker, &s->core->keep.open, start_us, s->arena, ret);
}

/* When those are gone that are on their way out; now where none are. They have what the grace was when they were stopped; who is
 * late takes one more. With quotas those count too that leave elsewhere. */
static us_t left_us(const struct search *s)
{
	const struct sorted *leaving = &s->core->leaving;
	us_t last_us = s->now_us;

	for (struct sorted_place at = {0}; sorted_at(leaving, at); at = sorted_next(leaving, at)) {
		const struct job *job = core_job(s->core, sorted_at(leaving, at)->id);
		us_t until_us = job->plan.until_us;

		if (until_us == US_NEVER || (!s->core->projects_bounded && !is_near(s, job)))
			continue;
		if (until_us < s->now_us)
			until_us = us_add(s->now_us, s->core->config.kill_grace_us);
		last_us = until_us > last_us ? until_us : last_us;
	}
	return last_us;
}

/* When those are gone too that are made to leave now. */
static us_t gone_us(const struct search *s)
{
	us_t last_us = left_us(s), grace_us = us_add(s->now_us, s->core->config.kill_grace_us);

	return last_us > grace_us ? last_us : grace_us;
}

/* What is on its way out, or ends by its bound by an instant, counts as gone, or again as there. */
static void set_leaving_aside(const struct search *s, us_t by_us, bool gone)
{
	const struct sorted *leaving = &s->core->leaving, *ends = &s->core->ends;

	for (struct sorted_place at = {0}; sorted_at(leaving, at); at = sorted_next(leaving, at))
		preempt_set_aside(s->core, core_job(s->core, sorted_at(leaving, at)->id), gone);
	for (struct sorted_place at = {0}; sorted_at(ends, at) && sorted_at(ends, at)->key <= by_us; at = sorted_next(ends, at)) {
		const struct job *job = core_job(s->core, sorted_at(ends, at)->id);

		if (job->state != JOB_CLEANUP)
			preempt_set_aside(s->core, job, gone);
	}
}

/* A victim counts as gone, or again as there. */
static void set_victim_aside(const struct search *s, const struct victim *v, bool gone)
{
	const struct project_amount amount = job_amount(s->core, v->job);

	preempt_set_aside(s->core, v->job, gone);
	if (s->given_milli && amount.cards_milli)
		s->given_milli[amount.kind] += gone ? amount.cards_milli : -amount.cards_milli;
}

/* Whether it fits at an instant with those gone that leave, or end by their bound by by_us. */
static bool fits_without(const struct search *s, const struct asker *asker, us_t by_us, us_t start_us)
{
	struct plan plan;
	bool found;

	keep_then_begin(keep_of(s->core), &s->core->capacity);
	set_leaving_aside(s, by_us, true);
	found = fits(s, asker, start_us, &plan);
	set_leaving_aside(s, by_us, false);
	keep_then_end(keep_of(s->core), &s->core->capacity);
	return found;
}

bool preempt_left_at(const struct core *core, const struct shape *shape, const struct asker *asker, us_t start_us,
                     struct arena *arena)
{
	const struct search s = {.core = core, .shape = shape, .arena = arena};

	return fits_without(&s, asker, start_us, start_us);
}

bool preempt_waits(const struct core *core, const struct shape *shape, const struct asker *asker, us_t now_us,
                   struct arena *arena)
{
	const struct search s = {.core = core, .shape = shape, .now_us = now_us, .arena = arena};

	return core->leaving.count && fits_without(&s, asker, 0, left_us(&s));
}

/* Adds victims until the winner fits, and spares those that it doesn't need. Returns whether it does fit; *ret is its plan. */
static bool make_room(struct search *s, const struct asker *asker, us_t start_us, struct plan *ret)
{
	uint32_t n = 0;
	bool found = false;

	keep_then_begin(keep_of(s->core), &s->core->capacity);
	set_leaving_aside(s, 0, true);
	for (; n < s->n && !found; n++) {
		struct victim *v = &s->victims[n];

		v->spared = s->reclaims && !projects_borrows(s->core->tree, v->fellow, s->kind);
		if (v->spared)
			continue;
		set_victim_aside(s, v, true);
		found = fits(s, asker, start_us, ret);
	}
	for (uint32_t i = n; found && n > 1 && i-- > 0;) {
		struct plan plan;

		if (s->victims[i].spared)
			continue;
		set_victim_aside(s, &s->victims[i], false);
		s->victims[i].spared = fits(s, asker, start_us, &plan);
		if (s->victims[i].spared)
			*ret = plan;
		else
			set_victim_aside(s, &s->victims[i], true);
	}
	for (uint32_t i = 0; i < n; i++)
		if (!s->victims[i].spared)
			set_victim_aside(s, &s->victims[i], false);
	set_leaving_aside(s, 0, false);
	keep_then_end(keep_of(s->core), &s->core->capacity);
	s->n = n;
	return found;
}

static void yield(const struct search *s, const struct plan *plan, enum cause cause, struct event *ret)
{
	uint32_t *victims = arena_new(s->arena, s->n, sizeof *victims), n = 0;

	for (uint32_t i = 0; i < s->n; i++)
		if (!s->victims[i].spared)
			victims[n++] = s->victims[i].job->id;
	*ret = (struct event){.type = EVENT_RESERVED, .at_us = s->now_us};
	ret->reserved.job = s->winner->id;
	ret->reserved.cause = cause;
	ret->reserved.plan = *plan;
	ret->reserved.victims = victims;
	ret->reserved.n_victims = n;
}

static bool try_search(struct search *s, enum cause cause, struct event *ret)
{
	/* Nobody is made to leave for what the winner's project would borrow: whoever lends it could take it back at once, and so for
	 * ever. But what its own leave it may go on borrowing. */
	const struct asker asker = {.job = s->winner->id,
	                            .project = s->winner->project,
	                            .limit_us = s->winner->limit_us,
	                            .owns = true,
	                            .given_milli = s->given_milli};
	us_t start_us = gone_us(s);
	struct plan plan;

	if (!s->n)
		return false;
	qsort_r(s->victims, s->n, sizeof *s->victims, compare_victims, s);
	if (!make_room(s, &asker, start_us, &plan))
		return false;
	yield(s, &plan, cause, ret);
	return true;
}

/* Takes back what others of its cohort borrowed, of one of the kinds that would do. */
static bool reclaim(struct search *s, struct event *ret)
{
	struct quota_view view;

	for (uint32_t i = 0; i < s->shape->n_candidates; i++) {
		const struct request *q = &s->shape->group.requests[s->shape->candidates[i].request];
		uint64_t milli = (uint64_t)s->shape->group.nodes * q->cards_milli;

		s->kind = s->core->pool->shelves[s->shape->candidates[i].shelf].kind;
		if (!milli || !projects_may_reclaim(s->core->tree, s->winner->project, s->kind, milli))
			continue;
		projects_fits(s->core->tree, s->winner->project, s->kind, milli, &view);
		s->owner = view.project;
		list_borrowers(s);
		if (try_search(s, CAUSE_RECLAIMED, ret))
			return true;
	}
	return false;
}

/* Whether the winner starts no later if nobody leaves for it: what ends by its bound within the grace does as well. The promises
 * of those that it goes before would be taken back for it. */
static bool starts_sooner(const struct search *s, const struct plan *plan)
{
	const struct reservation *own = keep_find(&s->core->keep, s->winner->id);

	if (own && own->broken == CAUSE_NONE)
		return own->plan.start_us <= plan->start_us;
	return pass_starts_by(s->core, s->shape, s->winner, s->now_us, plan->start_us, s->arena);
}

/* The ways to place the winner that its project wouldn't borrow for once those of its own who leave run again: others could take
 * back what it has then, and so for ever. */
static struct shape owned_ways(const struct search *s)
{
	struct candidate *kept = arena_new(s->arena, s->shape->n_candidates, sizeof *kept);
	struct shape owned = *s->shape;

	owned.candidates = kept;
	owned.n_candidates = 0;
	for (uint32_t i = 0; i < s->shape->n_candidates; i++) {
		const struct candidate *c = &s->shape->candidates[i];
		uint64_t milli = (uint64_t)s->shape->group.nodes * s->shape->group.requests[c->request].cards_milli;

		if (!milli || projects_owns(s->core->tree, s->winner->project, s->core->pool->shelves[c->shelf].kind, milli))
			kept[owned.n_candidates++] = *c;
	}
	return owned;
}

/* Those that the winner goes before make room; if not for what its project owns, then those within the same quota for as much as
 * they hold of it. */
static bool preempt(struct search *s, struct event *ret)
{
	const struct shape *shape = s->shape, owned = s->core->projects_bounded ? owned_ways(s) : *shape;
	bool found;

	s->shape = &owned;
	list_behind(s);
	found = try_search(s, CAUSE_PREEMPTED, ret);
	s->shape = shape;
	if (found || !s->core->projects_bounded)
		return found;
	s->given_milli = arena_new(s->arena, s->core->pool->n_kinds, sizeof *s->given_milli);
	list_behind(s);
	found = try_search(s, CAUSE_PREEMPTED, ret);
	s->given_milli = NULL;
	return found;
}

bool preempt_for(const struct core *core, const struct shape *shape, const struct job *job, us_t now_us, struct arena *arena,
                 struct event *ret)
{
	struct search s = {.core = core, .shape = shape, .winner = job, .now_us = now_us, .arena = arena};
	const struct asker asker = {.job = job->id, .project = job->project, .limit_us = job->limit_us};
	const struct reservation *own = keep_find(&core->keep, job->id);

	if ((own && own->n_victims) || preempt_waits(core, shape, &asker, now_us, arena))
		return false; /* they are on their way out */
	if (core->victims.count && preempt(&s, ret))
		return !starts_sooner(&s, &ret->reserved.plan);
	s.reclaims = true;
	return reclaim(&s, ret) && !starts_sooner(&s, &ret->reserved.plan);
}
