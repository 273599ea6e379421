/* SPDX-License-Identifier: Apache-2.0
 * plan_quota.c: what quotas say to a way of placing a job, with what is promised to others counted as held.
 *
 * For each instant t of a promise's stay: what runs + what is promised at t <= what the quotas allow. What runs counts for ever:
 * its end is waited for where cards are, and not where quota is. So whoever asks for a stay has to fit at its start, and at the
 * start of each promise within it, for more is held only from such an instant on. Mostly it fits even if all of these are held at
 * once, and that is asked first. A promise keeps that true for its own stay: who holds one asks about its start alone. */
#include "core/state.h"

/* Whether a promise is of as much of a kind. */
static bool is_as_much(const struct reservation *own, uint32_t kind, uint64_t milli)
{
	return own && own->plan.kind == kind && (uint64_t)own->plan.n_tasks * own->request.cards_milli == milli;
}

/* Whether it counts already at an instant: whoever was promised something after it was so beside it. NULL: no. */
static bool covers(const struct reservation *own, us_t at_us)
{
	return own && own->plan.start_us <= at_us && at_us < own->plan.until_us;
}

/* A time for which somebody asks for quota. */
struct quota_question {
	const struct asker *asker;
	us_t from_us, until_us; /* 0, 0: the asker isn't told when */
	bool covered;           /* by the asker's own promise */
	bool owns;              /* what its project would borrow isn't for it */
};

/* Whether what is promised counts then as held by its job's project. What others make room for counts at once, for it may start
 * any time; but by its start where the asker had been promised as much. */
static bool keeps_quota(const struct reservation *r, const struct quota_question *q)
{
	if (r->job == q->asker->job || r->behind || r->plan.start_us == US_NEVER)
		return false;
	return (r->n_victims && !q->covered) || (r->plan.start_us < q->until_us && q->from_us < r->plan.until_us);
}

/* Those that make room for a winner count as gone, or again as there: it holds its share instead of them, and not beside them. */
static void set_victims_aside(const struct core *core, const struct reservation *r, bool gone)
{
	for (uint32_t i = 0; i < r->n_victims; i++) {
		const struct job *job = job_victim(core, r, i);
		struct project_amount amount;

		if (!job)
			continue;
		if (job->moving && job->id != r->job) /* of two that change places each is a victim of both: it counts with its own */
			continue;
		amount = job_amount(core, job);
		if (gone)
			projects_set_aside(core->tree, job->project, &amount);
		else
			projects_hold_again(core->tree, job->project, &amount);
	}
}

/* What is promised to others counts as held, or again not. To one who isn't told from when on he would be there those count as
 * gone that are on their way out for others: for the while that both are counted he would be denied what he was promised. */
static void hold_promised(const struct core *core, const struct quota_question *q, bool held)
{
	for (uint32_t i = 0; i < core->keep.n_reservations; i++) {
		const struct reservation *r = core->keep.reservations[i];
		const struct project_amount amount = {.kind = r->plan.kind,
		                                      .cards_milli = (uint64_t)r->plan.n_tasks * r->request.cards_milli};
		uint32_t project = core_job(core, r->job)->project;

		if (!keeps_quota(r, q))
			continue;
		if (!q->from_us)
			set_victims_aside(core, r, held);
		if (!amount.cards_milli)
			continue;
		if (held)
			projects_hold_again(core->tree, project, &amount);
		else
			projects_set_aside(core->tree, project, &amount);
	}
}

static enum quota_verdict quota_then(const struct core *core, const struct quota_question *q, uint32_t kind, uint64_t milli,
                                     struct quota_view *why)
{
	const struct asker *a = q->asker;
	enum quota_verdict verdict;

	hold_promised(core, q, true);
	verdict = projects_fits(core->tree, a->project, kind, milli, why);
	if (verdict == QUOTA_OK && q->owns && !(a->given_milli && milli <= a->given_milli[kind]) &&
	    !projects_owns(core->tree, a->project, kind, milli))
		verdict = QUOTA_NOMINAL;
	hold_promised(core, q, false);
	return verdict;
}

/* At the start of each promise within the time that isn't covered. */
static enum quota_verdict quota_at_starts(const struct core *core, const struct quota_question *q, const struct reservation *own,
                                          uint32_t kind, uint64_t milli, struct quota_view *why)
{
	enum quota_verdict verdict = QUOTA_OK;

	for (uint32_t i = 0; verdict == QUOTA_OK && i < core->keep.n_reservations; i++) {
		us_t start_us = core->keep.reservations[i]->plan.start_us;
		struct quota_question then = {q->asker, start_us, us_add(start_us, 1), false, q->owns};

		if (q->from_us < start_us && start_us < q->until_us && !covers(own, start_us))
			verdict = quota_then(core, &then, kind, milli, why);
	}
	return verdict;
}

enum quota_verdict plan_quota(const struct core *core, const struct asker *a, const struct shape *shape, struct candidate c,
                              struct quota_view *why)
{
	uint64_t milli = (uint64_t)shape->group.nodes * shape->group.requests[c.request].cards_milli;
	uint32_t kind = core->pool->shelves[c.shelf].kind;
	struct quota_question q = {.asker = a, .from_us = a->from_us, .until_us = a->from_us ? a->from_us + 1 : 0};
	const struct reservation *own;
	enum quota_verdict verdict;

	if (!core->projects_bounded || !milli)
		return QUOTA_OK;
	own = a->job ? keep_find(&core->keep, a->job) : NULL;
	if (!is_as_much(own, kind, milli) || (a->owns && !own->n_victims)) /* of an ordinary one a part may be borrowed */
		own = NULL;
	q.owns = a->owns && !own;
	q.covered = covers(own, a->from_us);
	verdict = quota_then(core, &q, kind, milli, why);
	if (verdict != QUOTA_OK || !a->from_us || !core->keep.n_reservations)
		return verdict;
	q.until_us = plan_end(a->from_us, a->quota_us ? a->quota_us : a->limit_us);
	q.covered = false;
	return quota_then(core, &q, kind, milli, NULL) == QUOTA_OK ? QUOTA_OK : quota_at_starts(core, &q, own, kind, milli, why);
}
