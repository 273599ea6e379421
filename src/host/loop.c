/* SPDX-License-Identifier: Apache-2.0
 * loop.c: the one thread that owns the deciding core. Each turn takes what waits, steps through it, makes it one
 * commit, and only then answers and acts. */
#include <stdlib.h>

#include "base/mem.h"
#include "host/clock.h"
#include "host/inside.h"
#include "host/log.h"

/* REPORTS_US: what reports may take of a turn, so that calls don't wait for more than that where each of many is dear. */
enum { IDLE_US = 60000000, REPORTS_US = 50000 };

static const char stopped_early[] =
	"the daemon stopped before this was durable: it may or may not have been done; ask again with the same Idempotency-Key";

static void take_report(struct host *host, const struct report *report, us_t now_us)
{
	struct input input = {.type = INPUT_REPORT, .now_us = now_us, .report = *report};
	struct err err = {0};

	if (core_step(host->core, &input, &host->step, &err) < 0)
		log_entry(LOG_WARNING, "report", "job=%u attempt=%u state=%s text=\"%s\"", report->job, report->attempt,
		          attempt_state_word(report->state), err.text);
}

/* Takes as many of the reports as a turn has time for, which *taken has from then on; the others wait for the next. */
static void take_reports(struct host *host, struct taken *taken, us_t now_us)
{
	struct queued_report **at = &taken->reports, *rest;
	uint32_t n = 0;

	for (; *at && (!n || clock_now() < now_us + REPORTS_US); at = &(*at)->next, n++)
		take_report(host, &(*at)->report, now_us);
	rest = *at;
	*at = NULL;
	inbox_return_reports(&host->inbox, rest, taken->n_reports - n);
	taken->n_reports = n;
}

static void keep_blob(struct host *host, const struct service_item *item)
{
	if (!item->payload_len)
		return;
	mem_grow((void **)&host->blobs, &host->blobs_cap, host->n_blobs, sizeof *host->blobs);
	host->blobs[host->n_blobs++] = (struct blob){.hash = item->spec->payload, .bytes = item->payload, .len = item->payload_len};
}

static void take_item(struct host *host, const char *who, struct service_item *item, us_t now_us)
{
	struct job_spec spec = *item->spec;
	struct input input = {.type = INPUT_SUBMIT, .now_us = now_us, .who = who};

	spec.secrets = item->secret_name[0] ? item->secret_name : NULL;
	input.submit.spec = &spec;
	input.submit.idempotency = item->idempotency;
	item->code = core_step(host->core, &input, &host->step, &item->err);
	if (item->code < 0)
		return;
	item->job = host->step.job;
	item->repeated = host->step.repeated;
	if (!item->repeated)
		keep_blob(host, item);
}

static void take_node(const struct service_node *node, struct input *input)
{
	input->type = INPUT_NODE;
	input->node.centre = node->centre;
	input->node.range = node->range;
	input->node.state = node->state;
	input->node.note = node->note;
}

static void take_call(struct host *host, struct service_call *call, us_t now_us)
{
	struct input input = {.now_us = now_us, .who = call->who};

	call->code = 0;
	switch (call->type) {
	case SERVICE_SUBMIT:
		for (uint32_t i = 0; i < call->n_items; i++)
			take_item(host, call->who, &call->items[i], now_us);
		return;
	case SERVICE_CANCEL:
		input.type = INPUT_CANCEL;
		input.cancel.job = call->job;
		break;
	case SERVICE_NODE: take_node(&call->node, &input); break;
	case SERVICE_BOOK:
		input.type = INPUT_BOOK;
		input.book = call->book;
		break;
	case SERVICE_UNBOOK:
		input.type = INPUT_UNBOOK;
		input.unbook.booking = call->booking;
		break;
	}
	call->code = core_step(host->core, &input, &host->step, &call->err);
	if (!call->code && call->type == SERVICE_BOOK)
		call->booking = host->step.job;
}

static void take_clock(struct host *host, us_t now_us)
{
	struct input input = {.type = INPUT_CLOCK, .now_us = now_us};
	struct err err = {0};

	if (core_wake(host->core) <= now_us && core_step(host->core, &input, &host->step, &err) < 0)
		log_failure(LOG_ERROR, "clock", &err);
}

static void free_reports(struct queued_report *reports)
{
	for (struct queued_report *next; reports; reports = next) {
		next = reports->next;
		free(reports);
	}
}

static void answer(struct host *host, struct service_call *calls, bool durable)
{
	for (struct service_call *next; calls; calls = next) {
		next = calls->next;
		if (durable) {
			drop_secrets(host, calls, true);
		} else {
			/* The store may have it after all: secrets stay, and the next start knows whether they are wanted. */
			calls->code = err_set(&calls->err, ERR_IO, NULL, "%s", stopped_early);
		}
		calls->done(calls);
	}
}

static void begin_step(struct host *host)
{
	step_reset(&host->step);
	host->n_blobs = 0;
	arena_reset(&host->kept);
}

static void count_inputs(struct host *host, const struct taken *taken)
{
	pthread_mutex_lock(&host->stats_lock);
	host->stats.inputs += taken->n_items + taken->n_reports;
	pthread_mutex_unlock(&host->stats_lock);
}

/* Before the inputs, so that what they yield isn't sent twice. */
static void resend(struct host *host, us_t now_us)
{
	if (host->resend_us > now_us)
		return;
	host->resend_us = US_NEVER;
	core_outstanding(host->core, &host->step);
}

static bool turn(struct host *host, struct taken *taken)
{
	us_t now_us = clock_now();
	bool durable;

	begin_step(host);
	resend(host, now_us);
	take_reports(host, taken, now_us);
	for (struct service_call *call = taken->calls; call; call = call->next)
		take_call(host, call, now_us);
	take_clock(host, now_us);
	host->calls = taken->calls;
	durable = commit(host);
	count_inputs(host, taken);
	answer(host, host->calls, durable);
	host->calls = NULL;
	free_reports(taken->reports);
	if (durable) {
		effects_send(host, host->step.effects, host->step.n_effects);
		history_if_due(host, now_us);
		snapshot_if_due(host, false);
	}
	return durable;
}

static us_t until_next(const struct host *host)
{
	us_t now_us = clock_now(), next_us = core_wake(host->core);

	if (host->resend_us < next_us)
		next_us = host->resend_us;
	if (host->history.due_us < next_us)
		next_us = host->history.due_us;
	if (next_us <= now_us)
		return 0;
	return next_us - now_us < IDLE_US ? next_us - now_us : IDLE_US;
}

static void refuse_rest(struct host *host)
{
	struct service_call *calls, *next;

	inbox_close(&host->inbox);
	inbox_take_calls(&host->inbox, 0, &calls);
	for (; calls; calls = next) {
		next = calls->next;
		refuse(host, calls, ERR_BUSY, "the daemon is stopping");
	}
}

void *loop(void *arg)
{
	struct host *host = arg;
	bool open = true;

	pthread_setname_np(pthread_self(), "core"); /* for who looks at where the CPU time goes */
	while (open) {
		struct taken taken;

		open = inbox_take(&host->inbox, until_next(host), &taken);
		if (!turn(host, &taken))
			break;
	}
	refuse_rest(host);
	return NULL;
}

int step_once(struct host *host, struct input *input, struct err *err)
{
	int code;

	begin_step(host);
	input->now_us = clock_now();
	code = core_step(host->core, input, &host->step, err);
	return code < 0 ? code : commit_once(host, err);
}
