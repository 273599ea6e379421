/* SPDX-License-Identifier: Apache-2.0
 * plan_promises.c: what the plan checker holds of promises: that they are possible and are kept, who makes room for them, and why
 * they move; see plan_rules.h.
 *
 * A promise is checked at its start, where it needs the most that it ever will of what others have: until then what runs only
 * ends. So it is enough to ask at the start of each promise whether what runs by its bound beyond it, and the promises in force
 * then, fit on the node and on each card. */
#include "sim/plan_rules.h"

#include <inttypes.h>
#include <string.h>

#include "core/pool.h"

/* What is in use of a node at one instant. */
struct use {
	uint64_t cards_milli, cpus_milli, memory_mib;
	uint32_t used_milli[CARDS_PER_NODE_MAX];
};

/* Returns a card that is used more than it can be, or −1. */
static int add_use(struct use *use, const struct book_task *task)
{
	int over = -1;

	for (uint64_t left = task->cards; left; left &= left - 1) {
		int card = __builtin_ctzll(left);

		use->used_milli[card] += book_share(task);
		if (use->used_milli[card] > CARD_MILLI)
			over = card;
	}
	use->cards_milli += task->cards_milli;
	use->cpus_milli += task->cpus_milli;
	use->memory_mib += task->memory_mib;
	return over;
}

static bool fits(const struct use *use, const struct book_node *node)
{
	return use->cards_milli <= (uint64_t)node->cards * CARD_MILLI &&
	       (node->cpus_max == UNCOUNTED || use->cpus_milli <= node->cpus_max) &&
	       (node->memory_max == UNCOUNTED || use->memory_mib <= node->memory_max);
}

/* Whether a task that runs is there at a promise's start. Those that are yet to be told to make room aren't. */
static bool runs_then(const struct plan_check *c, const struct book_task *task, const struct book_plan *promise)
{
	const struct book_job *job = &c->book.jobs[task->plan->job];

	return task->plan->until_us > promise->start_us && (!job->victim_of || job->stopped != CAUSE_NONE);
}

/* Whether another promise is in force at a promise's start. One without a start keeps the whole node, and is another matter. */
static bool is_kept_then(const struct book_plan *other, const struct book_plan *promise)
{
	return other != promise && !other->broken && other->start_us != US_NEVER && other->start_us <= promise->start_us &&
	       promise->start_us < other->until_us;
}

static int no_room(const struct plan_check *c, const struct book_task *promise, int card, const struct book_plan *with, bool runs,
                   struct err *err)
{
	return plan_broken(c, err,
	                   "card %d of node %" PRIu32 " at centre %" PRIu32 " is promised to job %" PRIu32 " at %" PRId64
	                   ", and job %" PRIu32 " %s it until %" PRId64,
	                   card, promise->number, promise->centre, promise->plan->job, promise->plan->start_us, with->job,
	                   runs ? "has" : "is promised", with->until_us);
}

int rule_promise(const struct plan_check *c, const struct book_task *promise, struct err *err)
{
	const struct book_node *node = promise->node;
	struct use use = {0};
	int over;

	add_use(&use, promise);
	for (const struct book_task *t = node->live; t; t = t->next)
		if (runs_then(c, t, promise->plan) && (over = add_use(&use, t)) >= 0)
			return no_room(c, promise, over, t->plan, true, err);
	for (const struct book_task *t = node->promised; t; t = t->next)
		if (is_kept_then(t->plan, promise->plan) && (over = add_use(&use, t)) >= 0)
			return no_room(c, promise, over, t->plan, false, err);
	if (!fits(&use, node))
		return plan_broken(c, err,
		                   "node %" PRIu32 " at centre %" PRIu32 ": no room at %" PRId64 " for what is promised to job %" PRIu32,
		                   promise->number, promise->centre, promise->plan->start_us, promise->plan->job);
	return 0;
}

/* Whether a task that runs is on its way out, or is about to be told to make room. */
static bool is_leaving(const struct plan_check *c, const struct book_task *task)
{
	const struct book_job *job = &c->book.jobs[task->plan->job];

	return job->victim_of || job->stopped != CAUSE_NONE;
}

/* Others are made to leave for this promise: what they leave is not for the taking, however short the stay. So with them gone,
 * and whoever else runs still there, but for those who had been promised as much and are over by then, there is room for it
 * beside the task. What they hold until then is in nobody's way: beside a share of a card the rest of it is free as ever. */
static int rule_victims_room(const struct plan_check *c, const struct book_task *task, const struct book_task *promise,
                             struct err *err)
{
	struct use use = {0};
	bool over = add_use(&use, promise) >= 0;

	if (task->promised)
		return 0; /* and it is gone by then: or else this promise would not be possible */
	for (const struct book_task *t = task->node->live; t; t = t->next)
		if (t == task || (!is_leaving(c, t) && !(t->promised && t->plan->until_us <= promise->plan->start_us)))
			over |= add_use(&use, t) >= 0;
	for (const struct book_task *t = task->node->promised; t; t = t->next)
		if (t->plan->n_victims && is_kept_then(t->plan, promise->plan))
			over |= add_use(&use, t) >= 0;
	if (over || !fits(&use, task->node))
		return plan_broken(c, err, "node %" PRIu32 " at centre %" PRIu32 ": others are made to leave it to job %" PRIu32,
		                   task->number, task->centre, promise->plan->job);
	return 0;
}

static int leaves_promise(const struct plan_check *c, const struct book_task *task, const struct book_task *promise,
                          struct err *err)
{
	if (promise->plan->start_us == US_NEVER)
		return plan_broken(c, err, "node %" PRIu32 " at centre %" PRIu32 ": what comes free there is kept for job %" PRIu32,
		                   task->number, task->centre, promise->plan->job);
	if (promise->plan->n_victims && rule_victims_room(c, task, promise, err) < 0)
		return ERR_CORRUPT;
	return task->plan->until_us > promise->plan->start_us ? rule_promise(c, promise, err) : 0;
}

int rule_promises(const struct plan_check *c, const struct book_task *task, struct err *err)
{
	for (const struct book_task *p = task->node->promised; p; p = p->next)
		if (!p->plan->broken && leaves_promise(c, task, p, err) < 0)
			return ERR_CORRUPT;
	return 0;
}

int rule_other_promises(const struct plan_check *c, const struct book_task *promise, struct err *err)
{
	const struct book_plan *plan = promise->plan;

	for (const struct book_task *p = promise->node->promised; p; p = p->next) {
		if (p == promise || p->plan->broken)
			continue;
		if (p->plan->start_us == US_NEVER)
			return plan_broken(c, err, "node %" PRIu32 " at centre %" PRIu32 ": what comes free there is kept for job %" PRIu32,
			                   p->number, p->centre, p->plan->job);
		if (plan->start_us <= p->plan->start_us && p->plan->start_us < plan->until_us && rule_promise(c, p, err) < 0)
			return ERR_CORRUPT;
	}
	return 0;
}

/* ---- Who makes room ---- */

static bool by_rank(const struct plan_check *c)
{
	return c->config.policy == POLICY_SHORTEST || c->config.policy == POLICY_LAS;
}

static int may_preempt(const struct plan_check *c, uint32_t winner, uint32_t victim, struct err *err)
{
	const struct book_job *w = &c->book.jobs[winner], *v = &c->book.jobs[victim];
	us_t from_us = v->started_us == US_NEVER ? US_NEVER : us_add(v->started_us, v->preemptible_after_us);

	if (from_us > c->event->at_us || from_us == US_NEVER)
		return plan_broken(c, err, "job %" PRIu32 " can't be preempted before %" PRId64, victim, from_us);
	if (v->priority > w->priority || (v->priority == w->priority && !by_rank(c)))
		return plan_broken(c, err,
		                   "job %" PRIu32 " of priority %" PRIu32 " is preempted for job %" PRIu32 " of priority %" PRIu32,
		                   victim, v->priority, winner, w->priority);
	return 0;
}

static uint64_t milli_of(const struct book_plan *plan)
{
	return plan->n_tasks ? (uint64_t)plan->n_tasks * plan->tasks[0].given_milli : 0;
}

/* Only while the victim's project is over its nominal, those before it in the list gone. */
static int may_reclaim(struct plan_check *c, uint32_t winner, const uint32_t *victims, uint32_t n, struct err *err)
{
	struct quota_book *quota = &c->book.quota;
	uint32_t owner = c->book.jobs[winner].project, done;
	int code = 0;

	for (done = 0; done < n && code == 0; done++) {
		const struct book_job *v = &c->book.jobs[victims[done]];

		if (!milli_of(v->live) || !quota_is_borrowed_from(quota, v->project, owner, v->live->kind))
			code = plan_broken(c, err, "job %" PRIu32 " holds nothing that was borrowed from the project of job %" PRIu32,
			                   victims[done], winner);
		quota_hold(quota, v->project, v->live->kind == KIND_NONE ? 0 : v->live->kind, -(int64_t)milli_of(v->live));
	}
	while (done-- > 0) {
		const struct book_job *v = &c->book.jobs[victims[done]];

		quota_hold(quota, v->project, v->live->kind == KIND_NONE ? 0 : v->live->kind, (int64_t)milli_of(v->live));
	}
	return code;
}

/* They take longer than their grace: the promise is put off, and names nobody new. */
static int check_put_off(const struct plan_check *c, uint32_t winner, const uint32_t *victims, uint32_t n, struct err *err)
{
	for (uint32_t i = 0; i < n; i++)
		if (!book_job(&c->book, victims[i]))
			return plan_broken(c, err, "there is no job %" PRIu32, victims[i]);
	if (!c->book.jobs[winner].promise || n > c->book.jobs[winner].promise->n_victims ||
	    (n && memcmp(victims, c->book.jobs[winner].promise->victims, n * sizeof *victims) != 0))
		return plan_broken(c, err, "others are made to leave for job %" PRIu32 " because of: overrun", winner);
	return 0;
}

int rule_victims(struct plan_check *c, uint32_t winner, enum cause cause, const uint32_t *victims, uint32_t n, struct err *err)
{
	bool preempts = cause == CAUSE_PREEMPTED, reclaims = cause == CAUSE_RECLAIMED;

	if (n && cause == CAUSE_OVERRUN)
		return check_put_off(c, winner, victims, n, err);
	if ((n > 0) != (preempts || reclaims))
		return plan_broken(c, err, "%" PRIu32 " jobs are made to leave, because of: %s", n, cause_word(cause));
	for (uint32_t i = 0; i < n; i++) {
		struct book_job *v = book_job(&c->book, victims[i]);

		if (!v || v->state != BOOK_LIVE || v->stopped != CAUSE_NONE)
			return plan_broken(c, err, "job %" PRIu32 " doesn't run, or is being stopped", victims[i]);
		for (uint32_t k = 0; k < i; k++)
			if (victims[k] == victims[i])
				return plan_broken(c, err, "job %" PRIu32 " is made to leave twice", victims[i]);
		if (preempts && may_preempt(c, winner, victims[i], err) < 0)
			return ERR_CORRUPT;
		v->may_leave = cause;
	}
	return reclaims ? may_reclaim(c, winner, victims, n, err) : 0;
}

/* ---- Who is moved ---- */

static int may_move(const struct plan_check *c, const struct move *move, struct err *err)
{
	const struct book_job *job = book_job(&c->book, move->job);
	us_t after_us = c->config.move_after_us;

	if (!job || job->state != BOOK_LIVE || job->stopped != CAUSE_NONE || job->started_us == US_NEVER || job->promise)
		return plan_broken(c, err, "job %" PRIu32 " doesn't run, or is on its way already", move->job);
	after_us = after_us > job->preemptible_after_us ? after_us : job->preemptible_after_us;
	if (us_add(job->started_us, after_us) > c->event->at_us || after_us == US_NEVER)
		return plan_broken(c, err, "job %" PRIu32 " can't be moved before %" PRId64, move->job,
		                   us_add(job->started_us, after_us));
	if (move->plan.request >= book_group(&c->book, job)->n_requests || move->plan.kind == job->live->kind)
		return plan_broken(c, err, "job %" PRIu32 " is moved to what it has", move->job);
	if (move->plan.start_us != us_add(c->event->at_us, c->config.kill_grace_us))
		return plan_broken(c, err, "job %" PRIu32 " starts again at %" PRId64 ", which isn't when it is gone", move->job,
		                   move->plan.start_us);
	return 0;
}

/* Whether some centre of the pool could run a job by a request. */
static bool is_there(const struct plan_check *c, const struct request *q)
{
	bool share = q->cards_milli % CARD_MILLI != 0;

	for (uint32_t centre = 0; centre < c->book.n_centres; centre++) {
		uint32_t can = c->book.centres[centre].capabilities;

		if ((q->centre == CENTRE_ANY || q->centre == centre) && can & (q->image ? CAN_IMAGES : CAN_BARE) &&
		    (!share || can & CAN_FRACTIONS) &&
		    (q->kind == KIND_ANY || book_resource(&c->book, resource_id(RESOURCE_CARDS, centre, q->kind))))
			return true;
	}
	return false;
}

/* How much faster a job is there, in thousandths of its fastest in this pool. */
static int64_t gain_of(const struct plan_check *c, const struct move *move)
{
	const struct book_job *job = book_job(&c->book, move->job);
	const struct group *group = book_group(&c->book, job);
	int64_t fastest = 1, speed = group->requests[move->plan.request].speed_milli;

	for (uint32_t i = 0; i < group->n_requests; i++)
		if (group->requests[i].speed_milli > fastest && is_there(c, &group->requests[i]))
			fastest = group->requests[i].speed_milli;
	return (speed - group->requests[job->live->request].speed_milli) * 1000 / fastest;
}

int rule_moving(const struct plan_check *c, const struct move *moves, uint32_t n, struct err *err)
{
	int64_t gain = 0;

	if (!n || n > MOVES_MAX || (n == 2 && moves[0].job == moves[1].job))
		return plan_broken(c, err, "%" PRIu32 " jobs are moved at once", n);
	for (uint32_t i = 0; i < n; i++) {
		if (may_move(c, &moves[i], err) < 0)
			return ERR_CORRUPT;
		gain += gain_of(c, &moves[i]);
	}
	if (gain_of(c, &moves[0]) <= 0)
		return plan_broken(c, err, "job %" PRIu32 " is moved, and no faster there", moves[0].job);
	if (gain < c->config.move_gain_milli)
		return plan_broken(c, err, "job %" PRIu32 " is moved for %" PRId64 " thousandths, and %" PRIu32 " are asked for",
		                   moves[0].job, gain, c->config.move_gain_milli);
	for (uint32_t i = 1; i < n; i++) {
		const struct book_job *a = book_job(&c->book, moves[0].job), *b = book_job(&c->book, moves[i].job);

		if (gain_of(c, &moves[i]) < 0 && (b->priority > a->priority || (b->priority == a->priority && !by_rank(c))))
			return plan_broken(c, err, "job %" PRIu32 " gets slower cards for job %" PRIu32 ", which couldn't have it stopped",
			                   moves[i].job, moves[0].job);
	}
	return 0;
}

/* ---- Why promises move ---- */

int rule_moves(const struct plan_check *c, const struct book_plan *promise, enum cause cause, struct err *err)
{
	bool overrun = promise->overrun || promise->start_us < c->event->at_us, is_true;

	switch (cause) {
	case CAUSE_ORDER: is_true = true; break;
	case CAUSE_OVERRUN: is_true = overrun; break;
	case CAUSE_CAPACITY: is_true = promise->lost_nodes || (promise->n_victims && !book_awaits_victims(&c->book, promise)); break;
	case CAUSE_BOOKED: is_true = promise->booked; break;
	case CAUSE_STARVED: is_true = overrun || promise->lost_nodes || promise->booked; break;
	default: is_true = false;
	}
	if (!is_true)
		return plan_broken(c, err, "the promise of %" PRId64 " to job %" PRIu32 " isn't kept, because of: %s, which isn't so",
		                   promise->start_us, promise->job, cause_word(cause));
	return 0;
}

static int task_extended(const struct plan_check *c, const struct book_job *job, const struct book_task *task, us_t from_us,
                         struct err *err)
{
	us_t until_us = job->live->until_us;

	if (rule_promises(c, task, err) < 0)
		return ERR_CORRUPT;
	for (uint32_t i = 0; task->node->bookings && i < c->book.n_bookings; i++) {
		const struct book_booking *b = &c->book.bookings[i];

		if (b->project != job->project && b->from_us >= from_us && b->from_us < until_us &&
		    book_booking_has(b, task->centre, task->number))
			return plan_broken(c, err, "job %" PRIu32 " stays until %" PRId64 " on a node that is booked from %" PRId64,
			                   job->live->job, until_us, b->from_us);
	}
	return 0;
}

int rule_extended(const struct plan_check *c, struct book_job *job, us_t until_us, struct err *err)
{
	us_t from_us = job->live->until_us;

	job->live->until_us = until_us;
	for (uint32_t i = 0; i < job->live->n_tasks; i++)
		if (job->live->tasks[i].node && task_extended(c, job, &job->live->tasks[i], from_us, err) < 0)
			return ERR_CORRUPT;
	return 0;
}
