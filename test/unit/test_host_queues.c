/* SPDX-License-Identifier: Apache-2.0
 * test_host_queues.c: what waits for the core, and the batches that were committed lately: order and bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/clock.h"
#include "host/inbox.h"
#include "host/recent.h"

static void test_order(void **state)
{
	struct service_call calls[3] = {{.type = SERVICE_CANCEL}, {.type = SERVICE_SUBMIT, .n_items = 5}, {.type = SERVICE_CANCEL}};
	struct report report = {.job = 7, .native_id = "id", .note = "note", .cards = (uint64_t[]){1, 2}, .n_cards = 2};
	struct inbox inbox;
	struct taken taken;
	struct err err;

	(void)state;
	inbox_init(&inbox);
	for (int i = 0; i < 3; i++)
		assert_int_equal(inbox_put_call(&inbox, &calls[i], &err), 0);
	inbox_put_report(&inbox, &report);
	assert_int_equal(inbox_waiting(&inbox), 8);
	assert_true(inbox_take(&inbox, 0, &taken));
	assert_int_equal(taken.n_items, 7);
	assert_int_equal(taken.n_reports, 1);
	assert_ptr_equal(taken.calls, &calls[0]);
	assert_ptr_equal(calls[0].next, &calls[1]);
	assert_ptr_equal(calls[1].next, &calls[2]);
	assert_null(calls[2].next);
	assert_ptr_not_equal(taken.reports->report.note, report.note);
	assert_string_equal(taken.reports->report.note, "note");
	assert_string_equal(taken.reports->report.native_id, "id");
	assert_int_equal(taken.reports->report.cards[1], 2);
	free(taken.reports);
	assert_true(inbox_take(&inbox, 1000, &taken));
	assert_null(taken.calls);
	assert_null(taken.reports);
	inbox_done(&inbox);
}

/* What a turn has no time for comes first in the next, before what came in between. */
static void test_returned(void **state)
{
	struct queued_report *rest;
	struct inbox inbox;
	struct taken taken;

	(void)state;
	inbox_init(&inbox);
	for (uint32_t i = 1; i <= 3; i++)
		inbox_put_report(&inbox, &(struct report){.job = i});
	for (uint32_t turn = 0; turn < 2; turn++) { /* the second time nothing came in between */
		assert_true(inbox_take(&inbox, 0, &taken));
		assert_int_equal(taken.n_reports, 3);
		rest = taken.reports->next;
		free(taken.reports);
		if (!turn)
			inbox_put_report(&inbox, &(struct report){.job = 4});
		inbox_return_reports(&inbox, rest, 2);
		assert_int_equal(inbox_waiting(&inbox), turn ? 2 : 3);
	}
	inbox_put_report(&inbox, &(struct report){.job = 5});
	inbox_return_reports(&inbox, NULL, 0);
	assert_true(inbox_take(&inbox, 0, &taken));
	for (uint32_t i = 3; i <= 5; i++) {
		assert_int_equal(taken.reports->report.job, i);
		rest = taken.reports->next;
		free(taken.reports);
		taken.reports = rest;
	}
	assert_null(taken.reports);
	inbox_done(&inbox);
}

/* Of very many a commit has some, and the next one those behind them. */
static void test_many_reports(void **state)
{
	struct inbox inbox;
	struct taken taken;
	uint32_t job = 0;

	(void)state;
	inbox_init(&inbox);
	for (uint32_t i = 1; i <= 2 * INBOX_TAKE_REPORTS_MAX + 3; i++)
		inbox_put_report(&inbox, &(struct report){.job = i});
	for (uint32_t turn = 0; turn < 3; turn++) {
		assert_true(inbox_take(&inbox, 0, &taken));
		assert_int_equal(taken.n_reports, turn < 2 ? INBOX_TAKE_REPORTS_MAX : 3);
		for (struct queued_report *r = taken.reports, *next; r; r = next) {
			next = r->next;
			assert_int_equal(r->report.job, ++job);
			free(r);
		}
	}
	assert_int_equal(job, 2 * INBOX_TAKE_REPORTS_MAX + 3);
	assert_int_equal(inbox_waiting(&inbox), 0);
	inbox_done(&inbox);
}

static void test_bounds(void **state)
{
	uint32_t n = INBOX_ITEMS_MAX / SERVICE_ITEMS_MAX;
	struct service_call *calls = calloc(n + 1, sizeof *calls);
	struct inbox inbox;
	struct taken taken;
	struct err err;
	uint32_t got = 0;

	(void)state;
	inbox_init(&inbox);
	for (uint32_t i = 0; i <= n; i++) {
		calls[i] = (struct service_call){.type = SERVICE_SUBMIT, .n_items = SERVICE_ITEMS_MAX};
		assert_int_equal(inbox_put_call(&inbox, &calls[i], &err), i < n ? 0 : ERR_BUSY);
	}
	for (bool open = true; open && got < n;) {
		uint32_t items = 0;

		open = inbox_take(&inbox, 0, &taken);
		for (struct service_call *call = taken.calls; call; call = call->next, got++)
			items += call->n_items;
		assert_true(items > 0 && items <= INBOX_TAKE_MAX);
	}
	assert_int_equal(got, n);
	inbox_close(&inbox);
	assert_int_equal(inbox_put_call(&inbox, &calls[0], &err), ERR_BUSY);
	inbox_put_report(&inbox, &(struct report){.job = 1}); /* dropped, and nobody waits */
	assert_false(inbox_take(&inbox, US_HOUR, &taken));
	assert_null(taken.reports);
	inbox_done(&inbox);
	free(calls);
}

static void add(struct recent *recent, uint64_t *sequence, uint32_t n_events, size_t len)
{
	void *bytes = calloc(1, len);

	recent_add(recent, &(struct batch){.sequence = *sequence, .n_events = n_events, .events = bytes, .len = len});
	*sequence += n_events;
	free(bytes);
}

static void test_recent(void **state)
{
	struct recent recent;
	uint64_t sequence = 1;
	struct kept *kept, *held;
	bool older;

	(void)state;
	recent_init(&recent);
	assert_null(recent_get(&recent, 1, &older));
	assert_true(older);
	for (int i = 0; i < 3 * RECENT_BATCHES; i++)
		add(&recent, &sequence, 3, 10);
	assert_null(recent_get(&recent, sequence, &older));
	assert_false(older); /* it is yet to come */
	assert_null(recent_get(&recent, 1, &older));
	assert_true(older);
	for (uint64_t from = sequence - 30; from < sequence; from++) {
		kept = recent_get(&recent, from, &older);
		assert_non_null(kept);
		assert_true(kept->batch.sequence <= from && from < kept->batch.sequence + 3);
		recent_put(kept);
	}
	held = recent_get(&recent, sequence - 1, &older);
	for (int i = 0; i < 10; i++)
		add(&recent, &sequence, 1, RECENT_BYTES_MAX / 2);
	assert_int_equal(((const char *)held->batch.events)[9], 0); /* still there, though it left the ring */
	recent_put(held);
	add(&recent, &sequence, 1, 2 * RECENT_BYTES_MAX);
	kept = recent_get(&recent, sequence - 1, &older);
	assert_non_null(kept); /* the newest stays, whatever its size */
	recent_put(kept);
	recent_done(&recent);
}

static void test_clock(void **state)
{
	us_t wall, ahead;

	(void)state;
	clock_anchor(0);
	wall = clock_now();
	assert_true(wall > 1700000000 * US_SECOND);
	ahead = wall + 1000 * US_DAY;
	clock_anchor(ahead); /* the journal's last instant: never before it */
	assert_true(clock_now() >= ahead);
	clock_anchor(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),  cmocka_unit_test(test_returned), cmocka_unit_test(test_many_reports),
		cmocka_unit_test(test_bounds), cmocka_unit_test(test_recent),   cmocka_unit_test(test_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
