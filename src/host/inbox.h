/* SPDX-License-Identifier: Apache-2.0
 * inbox.h: what waits for the core: calls from the API and reports from engines, from many threads to one. */
#ifndef SUAN_HOST_INBOX_H
#define SUAN_HOST_INBOX_H

#include <pthread.h>

#include "port/service.h"

/* INBOX_ITEMS_MAX: jobs and cancels that may wait. INBOX_REPORTS_MAX: reports; an engine that has more waits for room.
 * INBOX_TAKE_MAX, INBOX_TAKE_REPORTS_MAX: jobs and cancels, and reports, in one commit. */
enum { INBOX_ITEMS_MAX = 100000, INBOX_REPORTS_MAX = 1000000, INBOX_TAKE_MAX = 4096, INBOX_TAKE_REPORTS_MAX = 16384 };

/* A report and the texts that it points to, in one piece of memory. */
struct queued_report {
	struct queued_report *next;
	struct report report;
};

struct taken {
	struct service_call *calls;
	struct queued_report *reports;
	uint32_t n_items, n_reports; /* of the calls; and how many reports */
};

struct inbox {
	pthread_mutex_t lock;
	pthread_cond_t filled, drained;
	struct service_call *calls, **calls_end;
	struct queued_report *reports, **reports_end;
	uint32_t n_items, n_reports;
	bool closed;
	pthread_t taker; /* the thread that takes; it never waits for room, or nobody would make any */
	bool has_taker;
};

void inbox_init(struct inbox *inbox);
void inbox_done(struct inbox *inbox); /* nothing waits in it any more */

/* Adds a call. Returns 0, or ERR_BUSY where too much waits or the queue is closed. */
int inbox_put_call(struct inbox *inbox, struct service_call *call, struct err *err);

/* Adds a copy of a report. Waits for room; once the queue is closed, reports are dropped: the engine is asked at
 * the next start. */
void inbox_put_report(struct inbox *inbox, const struct report *report);

/* Waits until something is there, the queue is closed, or `wait_us` has passed; then takes reports and calls, up to
 * INBOX_TAKE_REPORTS_MAX and INBOX_TAKE_MAX. Returns false once the queue is closed. */
bool inbox_take(struct inbox *inbox, us_t wait_us, struct taken *ret);

/* Gives the last n of the reports that were taken back: they are the first of those that wait. */
void inbox_return_reports(struct inbox *inbox, struct queued_report *reports, uint32_t n);

/* Takes the calls alone, all of them, after waiting `wait_us` or until closed. Returns false once closed. */
bool inbox_take_calls(struct inbox *inbox, us_t wait_us, struct service_call **ret);

/* Nothing can be added any more. */
void inbox_close(struct inbox *inbox);
uint32_t inbox_waiting(struct inbox *inbox);

#endif
