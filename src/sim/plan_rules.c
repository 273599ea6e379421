/* SPDX-License-Identifier: Apache-2.0
 * plan_rules.c: what the plan checker holds of a plan by itself, and of what it takes; see plan_rules.h. */
#include "sim/plan_rules.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/pool.h"

/* The rule that the event at hand breaks. */
int(plan_broken)(const struct plan_check *c, struct err *err, const char *fmt, ...)
{
	char subject[64], text[512];
	va_list args;

	if (!err)
		return ERR_CORRUPT;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	snprintf(subject, sizeof subject, "event %" PRIu64 " (%s)", c->n_events, event_word(c->event->type));
	return err_set(err, ERR_CORRUPT, subject, "%s", text);
}

/* ---- Rules that a plan keeps by itself ---- */

static int check_task(const struct plan_check *c, const struct request *request, const struct plan *plan, uint32_t i,
                      struct err *err)
{
	const struct task *t = &plan->tasks[i];
	struct book_node *node = book_node(&c->book, t->centre, t->node);
	unsigned bits = (unsigned)__builtin_popcountll(t->cards);
	unsigned needed = (t->cards_milli + CARD_MILLI - 1) / CARD_MILLI;

	if (!node)
		return plan_broken(c, err, "task %" PRIu32 ": centre %" PRIu32 " has no node %" PRIu32, i, t->centre, t->node);
	if (node->seen == c->n_plans)
		return plan_broken(c, err, "task %" PRIu32 ": node %" PRIu32 " is in the gang twice", i, t->node);
	node->seen = c->n_plans;
	if (c->book.centres[t->centre].silent)
		return plan_broken(c, err, "task %" PRIu32 ": centre %" PRIu32 " is silent", i, t->centre);
	if (t->group != 0)
		return plan_broken(c, err, "task %" PRIu32 ": group %" PRIu32 ": a job has one", i, t->group);
	if (t->cards_milli != request->cards_milli)
		return plan_broken(c, err, "task %" PRIu32 ": %" PRIu32 " thousandths of cards, %" PRIu32 " were asked for", i,
		                   t->cards_milli, request->cards_milli);
	if (t->cards_milli && node->kind != plan->kind)
		return plan_broken(c, err, "task %" PRIu32 ": node %" PRIu32 " is of another kind than the plan", i, t->node);
	if (node->cards < 64 && t->cards >> node->cards)
		return plan_broken(c, err, "task %" PRIu32 ": a card past the %" PRIu32 " of node %" PRIu32, i, node->cards, t->node);
	if (c->book.centres[t->centre].capabilities & CAN_EXACT_CARDS ? bits != needed : bits != 0)
		return plan_broken(c, err, "task %" PRIu32 ": %u cards named, for %" PRIu32 " thousandths", i, bits, t->cards_milli);
	return 0;
}

/* Whether the gang lies within one domain of the tier. */
static bool within(const struct plan_check *c, const struct plan *plan, enum tier tier)
{
	const struct task *first = &plan->tasks[0];
	const struct book_node *a = book_node(&c->book, first->centre, first->node);

	for (uint32_t i = 1; i < plan->n_tasks; i++) {
		const struct book_node *b = book_node(&c->book, plan->tasks[i].centre, plan->tasks[i].node);

		if ((tier == TIER_NODE && b != a) || (tier == TIER_RACK && b->rack != a->rack) ||
		    (tier == TIER_POD && b->pod != a->pod) || (tier <= TIER_CENTRE && plan->tasks[i].centre != first->centre))
			return false;
	}
	return true;
}

static int check_capabilities(const struct plan_check *c, const struct request *request, uint32_t centre, struct err *err)
{
	uint32_t can = c->book.centres[centre].capabilities;
	bool share = request->cards_milli && request->cards_milli < CARD_MILLI;

	if (request->image && !(can & CAN_IMAGES))
		return plan_broken(c, err, "centre %" PRIu32 " runs no images", centre);
	if (!request->image && !(can & CAN_BARE))
		return plan_broken(c, err, "centre %" PRIu32 " runs nothing without an image", centre);
	if (share && !(can & CAN_FRACTIONS))
		return plan_broken(c, err, "centre %" PRIu32 " has no shares of a card", centre);
	if (request->centre != CENTRE_ANY && request->centre != centre)
		return plan_broken(c, err, "centre %" PRIu32 ", and %" PRIu32 " was asked for", centre, request->centre);
	return 0;
}

static int check_claim(const struct plan_check *c, const struct plan *plan, uint32_t i, const uint32_t ids[3],
                       const uint64_t sums[3], unsigned *seen, struct err *err)
{
	const struct claim *claim = &plan->claims[i];
	unsigned which = 0;

	while (which < 3 && ids[which] != claim->resource)
		which++;
	if (which == 3 || *seen & 1u << which)
		return plan_broken(c, err, "claim %" PRIu32 ": of a resource that its tasks don't use, or twice", i);
	*seen |= 1u << which;
	if (claim->amount != sums[which])
		return plan_broken(c, err, "claim %" PRIu32 ": %" PRIu64 ", and its tasks sum to %" PRIu64, i, claim->amount,
		                   sums[which]);
	if (claim->from_us != plan->start_us || claim->until_us != plan->until_us)
		return plan_broken(c, err, "claim %" PRIu32 ": from or until isn't the plan's", i);
	return 0;
}

/* The claims are what the tasks add up to, and no others. */
static int check_claims(const struct plan_check *c, const struct request *request, const struct plan *plan, struct err *err)
{
	uint32_t centre = plan->tasks[0].centre;
	const uint32_t ids[3] = {resource_id(RESOURCE_CARDS, centre, plan->kind), resource_id(RESOURCE_CPUS, centre, 0),
	                         resource_id(RESOURCE_MEMORY, centre, 0)};
	const uint64_t sums[3] = {(uint64_t)plan->n_tasks * request->cards_milli, (uint64_t)plan->n_tasks * request->cpus_milli,
	                          (uint64_t)plan->n_tasks * request->memory_mib};
	unsigned seen = 0;

	for (uint32_t i = 0; i < plan->n_claims; i++)
		if (check_claim(c, plan, i, ids, sums, &seen, err) < 0)
			return ERR_CORRUPT;
	for (unsigned which = 0; which < 3; which++) {
		const struct book_resource *r = sums[which] ? book_resource(&c->book, ids[which]) : NULL;

		if (sums[which] && !(seen & 1u << which) && (!r || r->capacity != AMOUNT_NONE))
			return plan_broken(c, err, "no claim on %" PRIu64 " of resource %" PRIu32 " that its tasks use", sums[which],
			                   ids[which]);
	}
	return 0;
}

/* Whether a plan ends before the job's bound because it was lent: only to one that may be stopped then, having run for as long as
 * it asks for. */
static bool rule_lent(const struct plan_check *c, const struct book_job *job, const struct plan *plan)
{
	return job->preemptible_after_us != US_NEVER && plan->until_us < us_add(plan->start_us, job->limit_us) &&
	       plan->until_us - plan->start_us >= us_add(job->preemptible_after_us, c->config.kill_grace_us);
}

int rule_shape(struct plan_check *c, const struct book_job *job, const struct plan *plan, struct err *err)
{
	const struct group *group = book_group(&c->book, job);
	const struct request *request;

	c->n_plans++;
	if (plan->request >= group->n_requests)
		return plan_broken(c, err, "request %" PRIu32 " of %" PRIu32, plan->request, group->n_requests);
	request = &group->requests[plan->request];
	if (plan->n_tasks != group->nodes || !plan->n_tasks)
		return plan_broken(c, err, "%" PRIu32 " nodes for a gang of %" PRIu32, plan->n_tasks, group->nodes);
	if (request->kind != KIND_ANY && plan->kind != request->kind)
		return plan_broken(c, err, "kind %" PRIu32 ", and %" PRIu32 " was asked for", plan->kind, request->kind);
	if (!request->cards_milli != (plan->kind == KIND_NONE))
		return plan_broken(c, err, "a kind without cards, or cards without a kind");
	if (plan->until_us != us_add(plan->start_us, job->limit_us) && !rule_lent(c, job, plan))
		return plan_broken(c, err, "until %" PRId64 " isn't its start %" PRId64 " and its bound %" PRId64, plan->until_us,
		                   plan->start_us, job->limit_us);
	for (uint32_t i = 0; i < plan->n_tasks; i++)
		if (check_task(c, request, plan, i, err) < 0)
			return ERR_CORRUPT;
	if (!within(c, plan, TIER_CENTRE))
		return plan_broken(c, err, "a gang over several centres");
	if (!within(c, plan, group->highest))
		return plan_broken(c, err, "a gang wider than one %s", tier_word(group->highest));
	if (check_capabilities(c, request, plan->tasks[0].centre, err) < 0)
		return ERR_CORRUPT;
	return check_claims(c, request, plan, err);
}

int rule_nodes(struct plan_check *c, const struct book_job *job, const struct plan *plan, struct err *err)
{
	const struct group *group = book_group(&c->book, job);

	c->n_plans++;
	if (plan->request >= group->n_requests)
		return plan_broken(c, err, "request %" PRIu32 " of %" PRIu32, plan->request, group->n_requests);
	if (plan->n_tasks != group->nodes)
		return plan_broken(c, err, "%" PRIu32 " nodes for a gang of %" PRIu32, plan->n_tasks, group->nodes);
	for (uint32_t i = 0; i < plan->n_tasks; i++) {
		struct book_node *node = book_node(&c->book, plan->tasks[i].centre, plan->tasks[i].node);

		if (!node || node->seen == c->n_plans)
			return plan_broken(c, err, "task %" PRIu32 ": node %" PRIu32 " isn't there, or twice", i, plan->tasks[i].node);
		node->seen = c->n_plans;
	}
	return 0;
}

int rule_ready(const struct plan_check *c, const struct book_job *job, us_t at_us, struct err *err)
{
	if (job->begin_us > at_us)
		return plan_broken(c, err, "before its begin, %" PRId64, job->begin_us);
	for (uint32_t i = 0; i < job->n_dependencies; i++) {
		const struct book_job *other = book_job(&c->book, job->dependencies[i].job);

		if (other && other->state != BOOK_COMPLETED && (other->state != BOOK_OVER || job->dependencies[i].when == AFTER_OK))
			return plan_broken(c, err, "it depends on job %" PRIu32 ", which isn't over as it needs", job->dependencies[i].job);
	}
	return 0;
}

/* ---- Nodes that are out, and bookings ---- */

int rule_windows(const struct plan_check *c, const struct book_job *job, const struct book_plan *plan, struct err *err)
{
	for (uint32_t i = 0; i < plan->n_tasks; i++) {
		const struct book_task *task = &plan->tasks[i];

		if (task->node->state != NODE_UP)
			return plan_broken(c, err, "node %" PRIu32 " at centre %" PRIu32 " is %s", task->number, task->centre,
			                   node_state_word(task->node->state));
		for (uint32_t b = 0; task->node->bookings && b < c->book.n_bookings; b++) {
			const struct book_booking *booking = &c->book.bookings[b];

			if (booking->project != job->project && booking->from_us < plan->until_us && plan->start_us < booking->until_us &&
			    book_booking_has(booking, task->centre, task->number))
				return plan_broken(c, err,
				                   "node %" PRIu32 " at centre %" PRIu32 " is booked (%" PRIu32 ") from %" PRId64 " to %" PRId64
				                   ", and the plan lasts until %" PRId64,
				                   task->number, task->centre, booking->id, booking->from_us, booking->until_us, plan->until_us);
		}
	}
	return 0;
}

/* ---- Room ---- */

int rule_room(const struct plan_check *c, const struct book_task *task, struct err *err)
{
	const struct book_node *node = task->node;

	for (uint64_t left = task->cards; left; left &= left - 1) {
		int card = __builtin_ctzll(left);

		if (node->used_milli[card] + book_share(task) > CARD_MILLI)
			return plan_broken(c, err,
			                   "card %d of node %" PRIu32 " at centre %" PRIu32 ": %u thousandths are in use, %" PRIu32
			                   " more don't fit",
			                   card, task->number, task->centre, node->used_milli[card], book_share(task));
	}
	if (node->cards_milli + task->cards_milli > (uint64_t)node->cards * CARD_MILLI)
		return plan_broken(c, err, "node %" PRIu32 " at centre %" PRIu32 ": more cards than it has", task->number, task->centre);
	if (node->cpus_max != UNCOUNTED && node->cpus_milli + task->cpus_milli > node->cpus_max)
		return plan_broken(c, err, "node %" PRIu32 " at centre %" PRIu32 ": %" PRIu64 " thousandths of CPUs, it has %" PRIu32,
		                   task->number, task->centre, node->cpus_milli + task->cpus_milli, node->cpus_max);
	if (node->memory_max != UNCOUNTED && node->memory_mib + task->memory_mib > node->memory_max)
		return plan_broken(c, err, "node %" PRIu32 " at centre %" PRIu32 ": %" PRIu64 " MiB, it has %" PRIu32, task->number,
		                   task->centre, node->memory_mib + task->memory_mib, node->memory_max);
	return 0;
}

int rule_capacity(const struct plan_check *c, const struct book_plan *plan, struct err *err)
{
	for (uint32_t i = 0; i < plan->n_claims; i++) {
		const struct book_resource *r = book_resource(&c->book, plan->claims[i].resource);

		if (r && r->capacity != AMOUNT_NONE && r->used > r->capacity)
			return plan_broken(c, err, "resource %" PRIu32 ": %" PRIu64 " claimed of %" PRIu64, plan->claims[i].resource, r->used,
			                   r->capacity);
	}
	return 0;
}

int rule_quota(const struct plan_check *c, const struct book_job *job, const struct book_plan *plan, struct err *err)
{
	char why[256];

	if (plan->n_tasks && plan->tasks[0].cards_milli && quota_exceeded(&c->book.quota, job->project, plan->kind, why, sizeof why))
		return plan_broken(c, err, "%s", why);
	return 0;
}
