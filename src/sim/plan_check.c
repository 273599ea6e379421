/* SPDX-License-Identifier: Apache-2.0
 * plan_check.c: the independent checker; see plan_check.h. Its books are book.c and quota.c, its rules plan_rules.h.
 *
 * It believes nothing but the pool's specification and what was asked for. Of each node it knows what runs there and
 * what is promised there, and adds up again. Racks and pods are its own arithmetic on the lines of the pool file.
 *
 * Invariants of the books, and so of every schedule that passes: for each card, the sum of shares <= 1000 thousandths;
 * for each node, cards, CPUs and memory in use <= what it has; for each resource, the sum of claims <= its capacity; for
 * each promise, what still runs on its nodes past its start, by the bounds, and the other promises of that instant leave room for
 * it; for each project and cohort, what is held <= what its quotas allow. */
#include "sim/plan_check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/pool.h"
#include "sim/plan_rules.h"

struct plan_check *plan_check_new(void)
{
	struct plan_check *checker = mem_new(1, sizeof *checker);

	checker->config = config_default();
	return checker;
}

struct plan_check *plan_check_free(struct plan_check *checker)
{
	if (checker)
		book_done(&checker->book);
	free(checker);
	return NULL;
}

uint64_t plan_check_count(const struct plan_check *checker)
{
	return checker->n_plans;
}

/* The job that stood in the queue for the one at hand: the array, for an element's first attempt. */
static uint32_t in_line(const struct plan_check *c, uint32_t number)
{
	const struct book_job *job = &c->book.jobs[number];

	return job->array_of && job->attempt == 1 ? job->array_of : number;
}

/* What runs, or is promised, longer than was planned may be in the way of promises, which are to be made anew then. */
static void break_promises(struct plan_check *c, const struct book_plan *plan)
{
	for (uint32_t i = 0; i < plan->n_tasks; i++) {
		const struct book_task *task = &plan->tasks[i];

		for (struct book_task *p = task->node ? task->node->promised : NULL; p; p = p->next)
			if (p->plan != plan && !p->plan->broken && plan->until_us > p->plan->start_us && p->plan->start_us != US_NEVER &&
			    rule_promise(c, p, NULL) < 0)
				p->plan->broken = p->plan->overrun = true;
	}
}

/* ---- Jobs ---- */

/* The record of a job's number, new. */
static int new_job(struct plan_check *c, uint32_t number, struct book_job **ret, struct err *err)
{
	if (book_job(&c->book, number))
		return plan_broken(c, err, "job %" PRIu32 " was there already", number);
	if (number == 0 || number > 100000000)
		return plan_broken(c, err, "%" PRIu32 ": not a job's number", number);
	*ret = book_new_job(&c->book, number);
	return 0;
}

static void *copy(const void *from, uint32_t n, size_t size)
{
	return n ? memcpy(mem_new(n, size), from, n * size) : NULL;
}

static int take_submitted(struct plan_check *c, const struct submitted *s, struct err *err)
{
	struct book_job *job;

	if (new_job(c, s->job, &job, err) < 0)
		return ERR_CORRUPT;
	for (uint32_t i = 0; i < s->n_array; i++)
		if (!s->array[i].step)
			return plan_broken(c, err, "a range of indices with a step of 0");
	if (s->limit_us < 0)
		return plan_broken(c, err, "a limit below 0");
	job->group = book_keep_group(&c->book, &s->group);
	job->limit_us = s->limit_us;
	job->priority = s->priority;
	job->project = quota_project(&c->book.quota, s->project);
	job->preemptible_after_us = s->preemptible_after_us;
	job->restarts_left = s->max_restarts;
	job->rerun_when_lost = s->rerun_when_lost;
	job->begin_us = s->begin_us;
	job->dependencies = copy(s->dependencies, s->n_dependencies, sizeof *s->dependencies);
	job->n_dependencies = s->n_dependencies;
	if (s->n_array) {
		job->array = mem_new(1, sizeof *job->array);
		job->array->ranges = copy(s->array, s->n_array, sizeof *s->array);
		job->array->n_ranges = s->n_array;
		job->array->parallel_max = s->array_parallel_max;
	}
	return 0;
}

static bool in_ranges(const struct book_array *array, uint32_t index)
{
	for (uint32_t i = 0; i < array->n_ranges; i++) {
		const struct range *r = &array->ranges[i];

		if (index >= r->first && index <= r->last && (index - r->first) % r->step == 0)
			return true;
	}
	return false;
}

/* An element of an array gets its number, with its first attempt. */
static int take_element(struct plan_check *c, const struct placed *p, struct err *err)
{
	struct book_job *array = book_job(&c->book, p->array), *job;
	uint64_t key = (uint64_t)p->array << 32 | p->index;

	if (!array || !array->array || array->state != BOOK_WAITS)
		return plan_broken(c, err, "job %" PRIu32 " isn't an array that waits", p->array);
	if (!in_ranges(array->array, p->index))
		return plan_broken(c, err, "array %" PRIu32 " has no index %" PRIu32, p->array, p->index);
	if (map_get(&c->book.elements, key, 0))
		return plan_broken(c, err, "index %" PRIu32 " of array %" PRIu32 " was taken before", p->index, p->array);
	if (rule_ready(c, array, c->event->at_us, err) < 0 || new_job(c, p->job, &job, err) < 0)
		return ERR_CORRUPT;
	array = book_job(&c->book, p->array);
	map_set(&c->book.elements, key, p->job);
	job->group = array->group;
	job->limit_us = array->limit_us;
	job->priority = array->priority;
	job->project = array->project;
	job->preemptible_after_us = array->preemptible_after_us;
	job->restarts_left = array->restarts_left;
	job->rerun_when_lost = array->rerun_when_lost;
	job->array_of = p->array;
	return 0;
}

static int count_element(struct plan_check *c, const struct book_job *job, int by, struct err *err)
{
	struct book_array *array = job->array_of ? c->book.jobs[job->array_of].array : NULL;

	if (!array)
		return 0;
	array->live += (uint32_t)by;
	if (array->parallel_max && array->live > array->parallel_max)
		return plan_broken(c, err, "%" PRIu32 " elements of array %" PRIu32 " at once, at most %" PRIu32, array->live,
		                   job->array_of, array->parallel_max);
	return 0;
}

/* What a job's attempt holds of its project's quota; sign below 0: no more. */
static void hold_quota(struct plan_check *c, const struct book_job *job, int sign)
{
	const struct book_plan *plan = job->live;

	if (plan->n_tasks && plan->tasks[0].given_milli)
		quota_hold(&c->book.quota, job->project, plan->kind, sign * (int64_t)plan->n_tasks * plan->tasks[0].given_milli);
}

/* ---- A new pool ---- */

/* Finds an attempt's nodes again, also those that an earlier change took away. What is left of them stays in use; where that
 * isn't all, the sums of its claims are no longer known. */
static void settle(struct plan_check *c, struct book_plan *plan)
{
	plan->moved = false;
	for (uint32_t i = 0; i < plan->n_tasks; i++) {
		struct book_task *task = &plan->tasks[i];

		if (!book_use_again(&c->book, task) || (task->cards_milli && task->node->kind != plan->kind))
			plan->moved = true;
	}
}

/* A new pool: what runs goes on where its node still is, the oldest job first. Promises are to be made anew. */
static int take_pool(struct plan_check *c, const struct pool_spec *spec)
{
	book_end_promises(&c->book);
	book_set_pool(&c->book, spec);
	for (uint32_t number = 1; number < c->book.n_jobs; number++) {
		struct book_plan *plan = c->book.jobs[number].live;

		if (!plan)
			continue;
		settle(c, plan);
		book_claim(&c->book, plan, 1);
		hold_quota(c, &c->book.jobs[number], 1);
	}
	return 0;
}

/* ---- Events ---- */

static int start_plan(struct plan_check *c, uint32_t number, struct book_job *job, const struct plan *plan, struct err *err)
{
	const struct request *request = &book_group(&c->book, job)->requests[plan->request];
	struct book_plan *kept = book_keep_plan(&c->book, &c->book.live, number, plan, request);

	job->live = kept;
	if (rule_windows(c, job, kept, err) < 0)
		return ERR_CORRUPT;
	for (uint32_t i = 0; i < kept->n_tasks; i++) {
		const struct book_node *node = kept->tasks[i].node;

		kept->tasks[i].promised = node && node->own_event == c->n_events && !(kept->tasks[i].cards & ~node->own_cards);
		if (rule_room(c, &kept->tasks[i], err) < 0)
			return ERR_CORRUPT;
		book_use(&kept->tasks[i]);
	}
	for (uint32_t i = 0; i < kept->n_tasks; i++)
		if (rule_promises(c, &kept->tasks[i], err) < 0)
			return ERR_CORRUPT;
	hold_quota(c, job, 1);
	book_claim(&c->book, kept, 1);
	return rule_capacity(c, kept, err) < 0 ? ERR_CORRUPT : rule_quota(c, job, kept, err);
}

/* What the job at hand was promised it may take, whoever leaves for others. */
static void note_own_promise(struct plan_check *c, const struct book_plan *promise)
{
	for (uint32_t i = 0; promise && i < promise->n_tasks; i++)
		if (promise->tasks[i].node) {
			promise->tasks[i].node->own_event = c->n_events;
			promise->tasks[i].node->own_cards = promise->tasks[i].cards;
		}
}

static int take_placed(struct plan_check *c, const struct placed *p, struct err *err)
{
	struct book_job *job = book_job(&c->book, p->job);

	if (!job && p->array && take_element(c, p, err) < 0)
		return ERR_CORRUPT;
	job = book_job(&c->book, p->job);
	if (!job || job->state != BOOK_WAITS || job->array)
		return plan_broken(c, err, "job %" PRIu32 " doesn't wait", p->job);
	if (p->array != job->array_of && p->array)
		return plan_broken(c, err, "job %" PRIu32 " isn't of array %" PRIu32, p->job, p->array);
	if (p->attempt != job->attempt + 1)
		return plan_broken(c, err, "attempt %" PRIu32 " after %" PRIu32, p->attempt, job->attempt);
	if (p->plan.start_us != c->event->at_us)
		return plan_broken(c, err, "its start, %" PRId64 ", isn't now", p->plan.start_us);
	if (rule_ready(c, job, c->event->at_us, err) < 0 || rule_shape(c, job, &p->plan, err) < 0)
		return ERR_CORRUPT;
	job->attempt = p->attempt;
	job->state = BOOK_LIVE;
	job->started_us = US_NEVER;
	note_own_promise(c, c->book.jobs[in_line(c, p->job)].promise);
	book_end_promise(&c->book, &c->book.jobs[in_line(c, p->job)]);
	if (count_element(c, job, 1, err) < 0)
		return ERR_CORRUPT;
	return start_plan(c, p->job, job, &p->plan, err);
}

/* Whether a job has its cards only until something else needs them, before its own bound. */
static bool is_lent(const struct book_job *job)
{
	us_t from_us = job->started_us != US_NEVER ? job->started_us : job->live->start_us;

	return job->stopped == CAUSE_NONE && job->live->until_us < us_add(from_us, job->limit_us);
}

/* It runs since then, and so by its bound, where that isn't lent, until later than was planned. */
static int take_attempt(struct plan_check *c, uint32_t number, uint32_t attempt, enum attempt_state state, us_t at_us,
                        struct err *err)
{
	struct book_job *job = book_job(&c->book, number);
	bool lent;

	if (!job || job->state != BOOK_LIVE || job->attempt != attempt)
		return plan_broken(c, err, "job %" PRIu32 " has no attempt %" PRIu32 " in force", number, attempt);
	if (state != ATTEMPT_RUNNING)
		return 0;
	lent = is_lent(job);
	if (at_us < job->live->start_us)
		return plan_broken(c, err, "job %" PRIu32 " runs before it was placed", number);
	job->started_us = at_us;
	if (job->stopped != CAUSE_NONE)
		return 0; /* it is over by the grace all the same */
	if (!lent)
		job->live->until_us = us_add(at_us, job->limit_us);
	break_promises(c, job->live);
	return 0;
}

/* What it was lent is its own from now on, where that breaks no promise and runs into no booking. */
static int take_extended(struct plan_check *c, uint32_t number, us_t until_us, struct err *err)
{
	struct book_job *job = book_job(&c->book, number);
	us_t from_us;

	if (!job || job->state != BOOK_LIVE || !is_lent(job))
		return plan_broken(c, err, "job %" PRIu32 " was lent nothing", number);
	from_us = job->started_us != US_NEVER ? job->started_us : job->live->start_us;
	if (until_us != us_add(from_us, job->limit_us))
		return plan_broken(c, err, "job %" PRIu32 " is extended to %" PRId64 ", which isn't its bound", number, until_us);
	return rule_extended(c, job, until_us, err);
}

static int take_bound(struct plan_check *c, uint32_t number, uint32_t attempt, const struct task *tasks, uint32_t n,
                      struct err *err)
{
	struct book_job *job = book_job(&c->book, number);

	if (!job || job->state != BOOK_LIVE || job->attempt != attempt || job->live->n_tasks != n)
		return plan_broken(c, err, "job %" PRIu32 " has no such attempt with that many tasks", number);
	for (uint32_t i = 0; i < n; i++) {
		struct book_task *task = &job->live->tasks[i];

		if (task->centre != tasks[i].centre || task->number != tasks[i].node || task->cards)
			return plan_broken(c, err, "task %" PRIu32 ": on another node than planned, or bound before", i);
		if (!task->node)
			continue;
		if ((unsigned)__builtin_popcountll(tasks[i].cards) != (task->cards_milli + CARD_MILLI - 1) / CARD_MILLI ||
		    (task->node->cards < 64 && tasks[i].cards >> task->node->cards))
			return plan_broken(c, err, "task %" PRIu32 ": not as many cards as planned, or some that aren't there", i);
		task->cards = task->given = tasks[i].cards;
		book_use_cards(task->node, task, 1);
		for (uint64_t left = task->cards; left; left &= left - 1)
			if (task->node->used_milli[__builtin_ctzll(left)] > CARD_MILLI)
				return plan_broken(c, err, "task %" PRIu32 ": card %d is in use", i, __builtin_ctzll(left));
	}
	break_promises(c, job->live);
	return 0;
}

/* Who waits again after an attempt: what made room for others always; what was lost while it may be run again; nobody else. */
static int check_requeued(const struct plan_check *c, struct book_job *job, const struct ended *e, struct err *err)
{
	bool made_room = e->cause == CAUSE_PREEMPTED || e->cause == CAUSE_RECLAIMED || e->cause == CAUSE_MOVED;

	if (made_room && (job->stopped != e->cause || e->then != JOB_QUEUED))
		return plan_broken(c, err, "job %" PRIu32 " ends by %s: it was stopped by %s, and is %s then", e->job,
		                   cause_word(e->cause), cause_word(job->stopped), job_state_word(e->then));
	if (made_room || e->then != JOB_QUEUED)
		return 0;
	if (!job->rerun_when_lost || !job->restarts_left)
		return plan_broken(c, err, "job %" PRIu32 " waits again, and may not run again", e->job);
	job->restarts_left--;
	return 0;
}

static int take_ended(struct plan_check *c, const struct ended *e, struct err *err)
{
	struct book_job *job = book_job(&c->book, e->job);

	if (!job || (job->state != BOOK_LIVE && job->state != BOOK_WAITS))
		return plan_broken(c, err, "job %" PRIu32 " is over, or never was", e->job);
	if (e->attempt != (job->state == BOOK_LIVE ? job->attempt : 0))
		return plan_broken(c, err, "attempt %" PRIu32 " of job %" PRIu32 " isn't the one in force", e->attempt, e->job);
	if (e->then != JOB_QUEUED)
		book_end_promise(&c->book, job);
	if (job->state == BOOK_LIVE) {
		if (check_requeued(c, job, e, err) < 0)
			return ERR_CORRUPT;
		hold_quota(c, job, -1);
		job->live = book_end_plan(&c->book, job->live);
		if (count_element(c, job, -1, err) < 0)
			return ERR_CORRUPT;
	}
	job->stopped = CAUSE_NONE;
	job->victim_of = 0;
	job->started_us = US_NEVER;
	job->state = e->then == JOB_QUEUED ? BOOK_WAITS : e->then == JOB_COMPLETED ? BOOK_COMPLETED : BOOK_OVER;
	return 0;
}

/* ---- Being stopped ---- */

/* Whether what a job was lent is due, so that it is gone by the grace. */
static bool is_due(const struct plan_check *c, const struct book_job *job)
{
	return is_lent(job) && us_add(c->event->at_us, c->config.kill_grace_us) >= job->live->until_us;
}

static int check_stopping(const struct plan_check *c, uint32_t number, const struct book_job *job, enum cause cause,
                          struct err *err)
{
	const struct book_job *winner = job->victim_of ? &c->book.jobs[job->victim_of] : NULL;
	bool lost = false;

	if (is_due(c, job) && cause == CAUSE_PREEMPTED)
		return 0;
	if ((cause == CAUSE_PREEMPTED || cause == CAUSE_RECLAIMED || cause == CAUSE_MOVED) &&
	    (!winner || !winner->promise || job->may_leave != cause))
		return plan_broken(c, err, "job %" PRIu32 " makes room (%s) for nobody who was promised it", number, cause_word(cause));
	for (uint32_t i = 0; i < job->live->n_tasks; i++)
		lost |= !job->live->tasks[i].node || job->live->tasks[i].node->state == NODE_DOWN;
	if (cause == CAUSE_NODE && !lost)
		return plan_broken(c, err, "job %" PRIu32 " is stopped for a node that failed, and none of its nodes did", number);
	return 0;
}

/* What is being stopped is over by the grace, if its bound isn't earlier. */
static int take_stopping(struct plan_check *c, uint32_t number, uint32_t attempt, enum cause cause, struct err *err)
{
	struct book_job *job = book_job(&c->book, number);
	us_t gone_us = us_add(c->event->at_us, c->config.kill_grace_us);

	if (!job)
		return plan_broken(c, err, "there is no job %" PRIu32, number);
	if (!attempt) {
		book_end_promise(&c->book, job);
		return 0;
	}
	if (job->state != BOOK_LIVE || job->attempt != attempt)
		return plan_broken(c, err, "job %" PRIu32 " has no attempt %" PRIu32 " in force", number, attempt);
	if (check_stopping(c, number, job, cause, err) < 0)
		return ERR_CORRUPT;
	if (cause != CAUSE_MOVED)
		book_end_promise(&c->book, job); /* it was to start elsewhere, and is stopped for another reason now */
	job->stopped = cause;
	if (gone_us < job->live->until_us)
		job->live->until_us = gone_us;
	return 0;
}

static int take_aged(const struct plan_check *c, uint32_t number, bool preemptible, struct err *err)
{
	const struct book_job *job = book_job(&c->book, number);

	if (!job || job->state != BOOK_LIVE)
		return plan_broken(c, err, "job %" PRIu32 " doesn't run", number);
	if (preemptible && (job->started_us == US_NEVER || us_add(job->started_us, job->preemptible_after_us) > c->event->at_us))
		return plan_broken(c, err, "job %" PRIu32 " hasn't run for as long as it says that it isn't preempted", number);
	return 0;
}

/* ---- Promises ---- */

/* A promise that another replaces may come earlier, and later only for a cause that is so. */
static int check_moved(const struct plan_check *c, const struct book_job *job, const struct plan *plan, enum cause cause,
                       struct err *err)
{
	if (!job->promise || plan->start_us <= job->promise->start_us)
		return 0;
	if (rule_moves(c, job->promise, cause, NULL) < 0)
		return plan_broken(c, err, "job %" PRIu32 "'s start moves from %" PRId64 " to %" PRId64 ", because of: %s",
		                   job->promise->job, job->promise->start_us, plan->start_us, cause_word(cause));
	return 0;
}

/* A promise that is put off, since others take longer than their grace to leave, may run into those after it. */
static int check_promised(struct plan_check *c, const struct book_job *job, const struct book_plan *promise, struct err *err)
{
	bool is_put_off = promise->cause == CAUSE_OVERRUN && promise->n_victims;

	if (promise->start_us == US_NEVER)
		return 0; /* its nodes are kept, and what is theirs when */
	if (rule_windows(c, job, promise, err) < 0)
		return ERR_CORRUPT;
	for (uint32_t i = 0; i < promise->n_tasks; i++) {
		if (rule_promise(c, &promise->tasks[i], err) < 0)
			return ERR_CORRUPT;
		if (!is_put_off && rule_other_promises(c, &promise->tasks[i], err) < 0)
			return ERR_CORRUPT;
	}
	if (is_put_off)
		break_promises(c, promise);
	return 0;
}

static void keep_promise(struct plan_check *c, uint32_t number, struct book_job *job, enum cause cause, const struct plan *plan,
                         const uint32_t *victims, uint32_t n_victims)
{
	struct book_plan *kept = book_keep_plan(&c->book, &c->book.promised, number, plan,
	                                        &book_group(&c->book, job)->requests[plan->request]);

	kept->cause = cause;
	job->promise = kept;
	c->book.n_ordinary++;
	for (uint32_t i = 0; i < kept->n_tasks; i++)
		book_promise(&kept->tasks[i]);
	book_name_victims(&c->book, job, victims, n_victims);
}

/* A job that is moved, and takes longer than its grace to leave. */
static bool is_put_off(const struct book_job *job, enum cause cause)
{
	return job->state == BOOK_LIVE && job->promise && job->stopped == CAUSE_MOVED && cause == CAUSE_OVERRUN;
}

/* The promises of jobs that change places count on each other's end, so they are made together and then checked. */
static int take_moving(struct plan_check *c, const struct move *moves, uint32_t n, struct err *err)
{
	uint32_t victims[MOVES_MAX];

	if (rule_moving(c, moves, n, err) < 0)
		return ERR_CORRUPT;
	for (uint32_t i = 0; i < n; i++)
		victims[i] = moves[i].job;
	for (uint32_t i = 0; i < n; i++) {
		struct book_job *job = book_job(&c->book, moves[i].job);

		if (rule_shape(c, job, &moves[i].plan, err) < 0)
			return ERR_CORRUPT;
		job->may_leave = CAUSE_MOVED;
		keep_promise(c, moves[i].job, job, CAUSE_MOVED, &moves[i].plan, victims, n);
	}
	for (uint32_t i = 0; i < n; i++) {
		struct book_job *job = book_job(&c->book, moves[i].job);

		if (check_promised(c, job, job->promise, err) < 0)
			return ERR_CORRUPT;
	}
	return 0;
}

static int take_reserved(struct plan_check *c, uint32_t number, enum cause cause, const struct plan *plan,
                         const uint32_t *victims, uint32_t n_victims, struct err *err)
{
	struct book_job *job = book_job(&c->book, number);
	bool has_start = plan->start_us != US_NEVER;

	if (!job || (job->state != BOOK_WAITS && !is_put_off(job, cause)))
		return plan_broken(c, err, "job %" PRIu32 " doesn't wait", number);
	if (check_moved(c, job, plan, cause, err) < 0 || rule_ready(c, job, c->event->at_us, err) < 0 ||
	    rule_victims(c, number, cause, victims, n_victims, err) < 0)
		return ERR_CORRUPT;
	book_end_promise(&c->book, job);
	if (has_start && plan->start_us < c->event->at_us)
		return plan_broken(c, err, "a start at %" PRId64 ", which is past", plan->start_us);
	if (!has_start && cause != CAUSE_STARVED)
		return plan_broken(c, err, "no start, because of: %s", cause_word(cause));
	if ((has_start ? rule_shape : rule_nodes)(c, job, plan, err) < 0)
		return ERR_CORRUPT;
	keep_promise(c, number, job, cause, plan, victims, n_victims);
	if (c->book.n_ordinary > c->config.reservations && !n_victims)
		return plan_broken(c, err, "%" PRIu32 " jobs hold a promise, and at most %" PRIu32 " may", c->book.n_ordinary,
		                   c->config.reservations);
	return check_promised(c, job, job->promise, err);
}

static int take_unreserved(struct plan_check *c, uint32_t number, enum cause cause, struct err *err)
{
	struct book_job *job = book_job(&c->book, number);

	if (!job || !job->promise)
		return plan_broken(c, err, "job %" PRIu32 " was promised nothing", number);
	if (rule_moves(c, job->promise, cause, err) < 0)
		return ERR_CORRUPT;
	book_end_promise(&c->book, job);
	return 0;
}

/* ---- Nodes, centres and bookings ---- */

static int take_centre(struct plan_check *c, uint32_t centre, bool silent, struct err *err)
{
	if (centre >= c->book.n_centres)
		return plan_broken(c, err, "there is no centre %" PRIu32, centre);
	c->book.centres[centre].silent = silent;
	for (struct book_plan *p = c->book.promised; silent && p; p = p->next)
		for (uint32_t i = 0; i < p->n_tasks; i++)
			if (p->tasks[i].centre == centre)
				p->broken = p->lost_nodes = true;
	return 0;
}

/* Promises that count on a node in a time can't be kept. */
static void break_booked(struct plan_check *c, uint32_t centre, uint32_t number, us_t from_us, us_t until_us)
{
	struct book_node *node = book_node(&c->book, centre, number);

	for (struct book_task *p = node ? node->promised : NULL; p; p = p->next)
		if (from_us < p->plan->until_us && p->plan->start_us < until_us)
			p->plan->broken = p->plan->booked = true;
}

static int take_node(struct plan_check *c, uint32_t centre, struct node_range range, enum node_state state, struct err *err)
{
	for (uint32_t number = range.first; number <= range.last; number++) {
		if (!book_node(&c->book, centre, number))
			return plan_broken(c, err, "centre %" PRIu32 " has no node %" PRIu32, centre, number);
		book_mark(&c->book, centre, number, state);
		if (state != NODE_UP)
			break_booked(c, centre, number, c->event->at_us, US_NEVER);
	}
	return 0;
}

static int take_booked(struct plan_check *c, const struct booked *b, struct err *err)
{
	if (book_find_booking(&c->book, b->booking))
		return plan_broken(c, err, "booking %" PRIu32 " was there already", b->booking);
	if (b->until_us <= b->from_us || b->until_us <= c->event->at_us)
		return plan_broken(c, err, "booking %" PRIu32 ": from %" PRId64 " to %" PRId64, b->booking, b->from_us, b->until_us);
	for (uint32_t i = 0; i < b->n_ranges; i++) {
		if (b->ranges[i].last < b->ranges[i].first || !book_node(&c->book, b->centre, b->ranges[i].last))
			return plan_broken(c, err, "centre %" PRIu32 " has no node %" PRIu32, b->centre, b->ranges[i].last);
		for (uint32_t number = b->ranges[i].first; number <= b->ranges[i].last; number++)
			break_booked(c, b->centre, number, b->from_us, b->until_us);
	}
	book_keep_booking(&c->book, b);
	return 0;
}

static int take_unbooked(struct plan_check *c, uint32_t id, enum cause cause, struct err *err)
{
	struct book_booking *booking = book_find_booking(&c->book, id);

	if (!booking)
		return plan_broken(c, err, "there is no booking %" PRIu32, id);
	if (cause == CAUSE_WINDOW && booking->until_us > c->event->at_us)
		return plan_broken(c, err, "the window of booking %" PRIu32 " lasts until %" PRId64, id, booking->until_us);
	book_end_booking(&c->book, booking);
	return 0;
}

/* It leaves the core; that it was, and how it ended, stays known, so that its number isn't given again. */
static int take_forgotten(struct plan_check *c, uint32_t number, struct err *err)
{
	struct book_job *job = book_job(&c->book, number);

	if (!job || (job->state != BOOK_COMPLETED && job->state != BOOK_OVER))
		return plan_broken(c, err, "job %" PRIu32 " isn't over", number);
	book_job_done(job);
	return 0;
}

int plan_check_event(struct plan_check *c, const struct event *event, struct err *err)
{
	c->n_events++;
	c->event = event;
	switch (event->type) {
	case EVENT_POOL: return take_pool(c, &event->pool);
	case EVENT_SUBMITTED: return take_submitted(c, &event->submitted, err);
	case EVENT_PLACED: return take_placed(c, &event->placed, err);
	case EVENT_BOUND: return take_bound(c, event->bound.job, event->bound.attempt, event->bound.tasks, event->bound.n_tasks, err);
	case EVENT_ENDED: return take_ended(c, &event->ended, err);
	case EVENT_RESERVED:
		return take_reserved(c, event->reserved.job, event->reserved.cause, &event->reserved.plan, event->reserved.victims,
		                     event->reserved.n_victims, err);
	case EVENT_UNRESERVED: return take_unreserved(c, event->unreserved.job, event->unreserved.cause, err);
	case EVENT_ATTEMPT:
		return take_attempt(c, event->attempt.job, event->attempt.attempt, event->attempt.state, event->attempt.at_us, err);
	case EVENT_STOPPING: return take_stopping(c, event->stopping.job, event->stopping.attempt, event->stopping.cause, err);
	case EVENT_CENTRE: return take_centre(c, event->centre.centre, event->centre.silent, err);
	case EVENT_FORGOTTEN: return take_forgotten(c, event->forgotten.job, err);
	case EVENT_CONFIG:
		c->config = event->config;
		book_end_promises(&c->book);
		break;
	case EVENT_NODE: return take_node(c, event->node.centre, event->node.range, event->node.state, err);
	case EVENT_BOOKED: return take_booked(c, &event->booked, err);
	case EVENT_UNBOOKED: return take_unbooked(c, event->unbooked.booking, event->unbooked.cause, err);
	case EVENT_MOVING: return take_moving(c, event->moving.moves, event->moving.n, err);
	case EVENT_EXTENDED: return take_extended(c, event->extended.job, event->extended.until_us, err);
	case EVENT_AGED: return take_aged(c, event->aged.job, event->aged.preemptible, err);
	case EVENT_ELIGIBLE:
	case EVENT_BACKLOG:
	case EVENT_TYPE_COUNT: break;
	}
	return 0;
}
