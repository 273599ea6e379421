/* SPDX-License-Identifier: Apache-2.0
 * plan_rules.h: the rules of the plan checker, each a question to its books. For plan_check.c alone, which keeps them.
 *
 * Each returns 0, or ERR_CORRUPT with the rule that the event at hand breaks, in numbers. */
#ifndef SUAN_SIM_PLAN_RULES_H
#define SUAN_SIM_PLAN_RULES_H

#include "base/err.h"
#include "sim/book.h"

struct plan_check {
	uint64_t n_events, n_plans;
	const struct event *event; /* the one at hand */
	struct config_spec config;
	struct book book;
};

/* The rule that the event at hand breaks: fills *err, and returns ERR_CORRUPT. */
int plan_broken(const struct plan_check *c, struct err *err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
#define plan_broken(...) err_is_failure(plan_broken(__VA_ARGS__))

/* ---- What a plan keeps by itself ---- */

/* What was asked for, is what the plan gives: how many, of which kind, where, how close together, for how long. Counts the plan.
 */
int rule_shape(struct plan_check *c, const struct book_job *job, const struct plan *plan, struct err *err);
/* Nodes to be kept, without a start: as many as were asked for, each once. */
int rule_nodes(struct plan_check *c, const struct book_job *job, const struct plan *plan, struct err *err);
/* Its begin has come, and what it depends on is over. */
int rule_ready(const struct plan_check *c, const struct book_job *job, us_t at_us, struct err *err);
/* No node of it is out, or booked for somebody else, from start_us to until_us. */
int rule_windows(const struct plan_check *c, const struct book_job *job, const struct book_plan *plan, struct err *err);

/* ---- What it leaves to others ---- */

/* The room on a task's node for it, now. err: NULL where only the answer is wanted. */
int rule_room(const struct plan_check *c, const struct book_task *task, struct err *err);
/* What is claimed of each of the plan's resources is there. */
int rule_capacity(const struct plan_check *c, const struct book_plan *plan, struct err *err);
/* No project above the job, and no cohort, holds more of the plan's kind than it may. */
int rule_quota(const struct plan_check *c, const struct book_job *job, const struct book_plan *plan, struct err *err);
/* What a promise needs of its node is there at its start, if everything that runs ends by its bound and the other promises are
 * kept. */
int rule_promise(const struct plan_check *c, const struct book_task *promise, struct err *err);
/* A task that runs leaves the promises on its node what they need. */
int rule_promises(const struct plan_check *c, const struct book_task *task, struct err *err);
/* The same of a promise that is being made. */
int rule_other_promises(const struct plan_check *c, const struct book_task *promise, struct err *err);
/* A job that was lent cards keeps them until then, by its own bound: that breaks no promise, and runs into no booking. Sets it.
 */
int rule_extended(const struct plan_check *c, struct book_job *job, us_t until_us, struct err *err);

/* ---- Who makes room ---- */

/* Each job that a reservation names as a victim may be ended for that cause. */
int rule_victims(struct plan_check *c, uint32_t winner, enum cause cause, const uint32_t *victims, uint32_t n, struct err *err);

/* Jobs that run are to start again elsewhere: they may be stopped for that, on another kind, and the speeds that they state rise
 * by as much in all as the configuration asks. Nobody gets slower cards for one of a lower priority. */
int rule_moving(const struct plan_check *c, const struct move *moves, uint32_t n, struct err *err);

/* ---- Why promises move ---- */

/* A promise may come later, or be taken back, for that cause: it is one of those that are stated, and it is true. */
int rule_moves(const struct plan_check *c, const struct book_plan *promise, enum cause cause, struct err *err);

#endif
