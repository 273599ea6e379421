/* SPDX-License-Identifier: Apache-2.0
 * inbox.c: what waits for the core; see inbox.h. One lock, held for a few pointers only. */
#include "host/inbox.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

void inbox_init(struct inbox *inbox)
{
	pthread_condattr_t attr;

	*inbox = (struct inbox){0};
	inbox->calls_end = &inbox->calls;
	inbox->reports_end = &inbox->reports;
	pthread_mutex_init(&inbox->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&inbox->filled, &attr);
	pthread_cond_init(&inbox->drained, &attr);
	pthread_condattr_destroy(&attr);
}

void inbox_done(struct inbox *inbox)
{
	assert(!inbox->calls);
	for (struct queued_report *r = inbox->reports, *next; r; r = next) {
		next = r->next;
		free(r);
	}
	pthread_cond_destroy(&inbox->filled);
	pthread_cond_destroy(&inbox->drained);
	pthread_mutex_destroy(&inbox->lock);
}

static uint32_t call_items(const struct service_call *call)
{
	return call->type == SERVICE_SUBMIT ? call->n_items : 1;
}

int inbox_put_call(struct inbox *inbox, struct service_call *call, struct err *err)
{
	uint32_t items = call_items(call);
	int code = 0;

	pthread_mutex_lock(&inbox->lock);
	if (inbox->closed) {
		code = err_set(err, ERR_BUSY, NULL, "the daemon is stopping");
	} else if (inbox->n_items + items > INBOX_ITEMS_MAX) {
		code = err_set(err, ERR_BUSY, NULL, "%u requests wait already, and no more may; try again", inbox->n_items);
	} else {
		call->next = NULL;
		*inbox->calls_end = call;
		inbox->calls_end = &call->next;
		inbox->n_items += items;
		pthread_cond_signal(&inbox->filled);
	}
	pthread_mutex_unlock(&inbox->lock);
	return code;
}

static struct queued_report *copy_report(const struct report *report)
{
	size_t native = report->native_id ? strlen(report->native_id) + 1 : 0;
	size_t note = report->note ? strlen(report->note) + 1 : 0;
	size_t cards = report->cards ? report->n_cards * sizeof *report->cards : 0;
	struct queued_report *copy = mem_new(1, sizeof *copy + cards + native + note);
	char *at = (char *)(copy + 1);

	copy->report = *report;
	if (cards)
		copy->report.cards = memcpy(at, report->cards, cards);
	if (native)
		copy->report.native_id = memcpy(at + cards, report->native_id, native);
	if (note)
		copy->report.note = memcpy(at + cards + native, report->note, note);
	return copy;
}

void inbox_put_report(struct inbox *inbox, const struct report *report)
{
	struct queued_report *copy = copy_report(report);

	pthread_mutex_lock(&inbox->lock);
	while (!inbox->closed && inbox->n_reports >= INBOX_REPORTS_MAX && inbox->has_taker &&
	       !pthread_equal(inbox->taker, pthread_self()))
		pthread_cond_wait(&inbox->drained, &inbox->lock);
	if (inbox->closed) {
		free(copy);
	} else {
		*inbox->reports_end = copy;
		inbox->reports_end = &copy->next;
		inbox->n_reports++;
		pthread_cond_signal(&inbox->filled);
	}
	pthread_mutex_unlock(&inbox->lock);
}

static struct timespec after(us_t wait_us)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += wait_us / US_SECOND;
	t.tv_nsec += wait_us % US_SECOND * 1000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

/* Cuts the first calls off the list, up to `items_max` items but one call at least. */
static struct service_call *cut_calls(struct inbox *inbox, uint32_t items_max, uint32_t *ret_items)
{
	struct service_call *first = inbox->calls, **end = &inbox->calls;
	uint32_t items = 0;

	while (*end && (!items || items + call_items(*end) <= items_max)) {
		items += call_items(*end);
		end = &(*end)->next;
	}
	inbox->calls = *end;
	if (!inbox->calls)
		inbox->calls_end = &inbox->calls;
	if (items)
		*end = NULL;
	inbox->n_items -= items;
	*ret_items = items;
	return items ? first : NULL;
}

/* Cuts the first reports off the list: all, where they aren't more than one commit has. */
static struct queued_report *cut_reports(struct inbox *inbox, uint32_t *ret_n)
{
	struct queued_report *first = inbox->reports, **end = inbox->reports_end;
	uint32_t n = inbox->n_reports;

	if (n > INBOX_TAKE_REPORTS_MAX)
		for (n = 0, end = &inbox->reports; n < INBOX_TAKE_REPORTS_MAX; n++)
			end = &(*end)->next;
	inbox->reports = *end;
	*end = NULL;
	if (!inbox->reports)
		inbox->reports_end = &inbox->reports;
	inbox->n_reports -= n;
	*ret_n = n;
	return n ? first : NULL;
}

bool inbox_take(struct inbox *inbox, us_t wait_us, struct taken *ret)
{
	struct timespec until = after(wait_us);
	bool open;

	pthread_mutex_lock(&inbox->lock);
	inbox->taker = pthread_self();
	inbox->has_taker = true;
	while (!inbox->closed && !inbox->calls && !inbox->reports)
		if (pthread_cond_timedwait(&inbox->filled, &inbox->lock, &until))
			break;
	ret->calls = cut_calls(inbox, INBOX_TAKE_MAX, &ret->n_items);
	ret->reports = cut_reports(inbox, &ret->n_reports);
	pthread_cond_broadcast(&inbox->drained);
	open = !inbox->closed;
	pthread_mutex_unlock(&inbox->lock);
	return open;
}

void inbox_return_reports(struct inbox *inbox, struct queued_report *reports, uint32_t n)
{
	struct queued_report **end = &reports;

	if (!n)
		return;
	while (*end)
		end = &(*end)->next;
	pthread_mutex_lock(&inbox->lock);
	*end = inbox->reports;
	if (!inbox->reports)
		inbox->reports_end = end;
	inbox->reports = reports;
	inbox->n_reports += n;
	pthread_mutex_unlock(&inbox->lock);
}

bool inbox_take_calls(struct inbox *inbox, us_t wait_us, struct service_call **ret)
{
	struct timespec until = after(wait_us);
	uint32_t items;
	bool open;

	pthread_mutex_lock(&inbox->lock);
	while (!inbox->closed && pthread_cond_timedwait(&inbox->filled, &inbox->lock, &until) == 0)
		;
	*ret = cut_calls(inbox, UINT32_MAX, &items);
	open = !inbox->closed;
	pthread_mutex_unlock(&inbox->lock);
	return open;
}

void inbox_close(struct inbox *inbox)
{
	pthread_mutex_lock(&inbox->lock);
	inbox->closed = true;
	pthread_cond_broadcast(&inbox->filled);
	pthread_cond_broadcast(&inbox->drained);
	pthread_mutex_unlock(&inbox->lock);
}

uint32_t inbox_waiting(struct inbox *inbox)
{
	uint32_t n;

	pthread_mutex_lock(&inbox->lock);
	n = inbox->n_items + inbox->n_reports;
	pthread_mutex_unlock(&inbox->lock);
	return n;
}
