/* SPDX-License-Identifier: Apache-2.0
 * plan_check.h: the independent checker. It shares no code with the planner: from the events alone it keeps its own
 * books of every node, card and promise, and says where a plan breaks a rule. */
#ifndef SUAN_SIM_PLAN_CHECK_H
#define SUAN_SIM_PLAN_CHECK_H

#include "core/event.h"

struct plan_check;

/* Empty books. Never NULL. */
struct plan_check *plan_check_new(void);
struct plan_check *plan_check_free(struct plan_check *checker);

/* Takes the next event, in order, the first being the journal's first. The event is borrowed for the call. Returns 0, or
 * ERR_CORRUPT where the event breaks a rule: err->subject is "event N (word)", the text says which rule, with numbers;
 * the books are then of no more use. Cost: O(tasks) and, where a node of a reservation is used, O(what runs there). */
int plan_check_event(struct plan_check *checker, const struct event *event, struct err *err);

/* Plans and reservations that were checked so far. */
uint64_t plan_check_count(const struct plan_check *checker);

#endif
