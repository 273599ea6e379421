/* SPDX-License-Identifier: Apache-2.0
 * jobs.c: the routes that show jobs, wait for one, explain one, cancel one. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/inside.h"
#include "api/past.h"

enum { LIST_DEFAULT = 100, LIST_MAX = 1000, LIST_TASKS_MAX = 20000, SCAN_MAX = 4096, WAIT_MAX_S = 300, WAIT_DEFAULT_S = 60 };

/* A decimal number without sign that fits; *end is what stands after it. */
static bool read_number(const char *text, uint32_t *ret, const char **end)
{
	unsigned long long value;
	char *rest;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	value = strtoull(text, &rest, 10);
	if (errno || value >= UINT32_MAX)
		return false;
	*ret = (uint32_t)value;
	*end = rest;
	return true;
}

int job_id_parse(const char *text, struct job_id *ret, struct err *err)
{
	struct job_id id = {0};
	const char *end;

	if (read_number(text, &id.job, &end) && id.job) {
		if (*end == '_' && read_number(end + 1, &id.index, &end))
			id.is_element = true;
		if (!*end) {
			*ret = id;
			return 0;
		}
	}
	return err_set(err, ERR_INVALID, "id", "\"%.40s\": expected a job's number, or ARRAY_INDEX for an element of an array", text);
}

/* Which element of its array an index is, from 0; UINT32_MAX: none. */
static uint32_t place_of(const struct array *array, uint32_t index)
{
	uint32_t place = 0;

	for (uint32_t i = 0; i < array->n_ranges; i++) {
		const struct range *range = &array->ranges[i];

		if (index >= range->first && index <= range->last && (index - range->first) % range->step == 0)
			return place + (index - range->first) / range->step;
		place += (range->last - range->first) / range->step + 1;
	}
	return UINT32_MAX;
}

const struct job *job_id_find(const struct core *core, const struct job_id *id, struct err *err)
{
	const struct job *job = core_job(core, id->job), *element;
	uint32_t place;

	if (!job) {
		err_set(err, ERR_NOT_FOUND, "id", "%u: there is no such job", id->job);
		return NULL;
	}
	if (!id->is_element)
		return job;
	if (!job->array) {
		err_set(err, ERR_NOT_FOUND, "id", "%u_%u: job %u isn't an array", id->job, id->index, id->job);
		return NULL;
	}
	element = core_element(core, id->job, id->index);
	place = place_of(job->array, id->index);
	if (!element &&
	    (place == UINT32_MAX || place < job->array->taken)) { /* one that was placed, and is gone, is in the history */
		err_set(err, ERR_NOT_FOUND, "id", "%u_%u: array %u has no such element", id->job, id->index, id->job);
		return NULL;
	}
	return element ? element : job;
}

/* Why a job waits; NULL where it doesn't. */
static const struct explanation *explain(const struct core *core, const struct job *job, us_t now_us, struct explanation *why)
{
	struct err err;

	if (job->state != JOB_QUEUED || core_explain(core, job->id, now_us, why, &err) < 0)
		return NULL;
	return why;
}

static json_t *past_seen(struct service *service, const struct job_id *id, bool *ret_over, struct err *err)
{
	struct past past;

	if (past_find(service, id, &past, err) < 0)
		return NULL;
	*ret_over = true;
	return past.json;
}

/* An element that isn't placed waits for what its array waits for. */
static json_t *unplaced_seen(const struct core *core, const struct job *array, uint32_t index, us_t now_us)
{
	struct explanation why;
	struct err err;
	bool waits = !job_is_over(array) && core_explain(core, array->id, now_us, &why, &err) == 0;

	return json_unplaced_element(core, array, index, waits ? &why : NULL, now_us);
}

json_t *job_seen(struct api *api, const struct job_id *id, bool *ret_over, struct err *err)
{
	struct service *service = api->service;
	const struct core *core = service->ops->read_begin(service, true);
	const struct job *job = job_id_find(core, id, err);
	struct explanation why;
	json_t *json = NULL;

	if (job) {
		us_t now_us = service->ops->now(service);

		*ret_over = job_is_over(job);
		json = id->is_element && job->array ? unplaced_seen(core, job, id->index, now_us)
		                                    : json_job(core, job, explain(core, job, now_us, &why), now_us);
	}
	service->ops->read_end(service);
	return job ? json : past_seen(service, id, ret_over, err);
}

enum MHD_Result get_job(struct exchange *ex)
{
	struct job_id id;
	struct err err;
	json_t *json;
	bool over;

	if (job_id_parse(ex->id, &id, &err) < 0)
		return reply_problem(ex, 0, &err);
	json = job_seen(ex->api, &id, &over, &err);
	return json ? reply_json(ex, MHD_HTTP_OK, json) : reply_problem(ex, 0, &err);
}

enum MHD_Result get_explain(struct exchange *ex)
{
	struct service *service = ex->api->service;
	struct explanation why = {0};
	const struct core *core;
	const struct job *job;
	struct past past;
	struct job_id id;
	struct err err;
	json_t *json = NULL;

	if (job_id_parse(ex->id, &id, &err) < 0)
		return reply_problem(ex, 0, &err);
	core = service->ops->read_begin(service, true);
	job = job_id_find(core, &id, &err);
	if (job && core_explain(core, job->id, service->ops->now(service), &why, &err) == 0)
		json = json_explanation(core, job, id.is_element && job->array, &why);
	service->ops->read_end(service);
	if (!job && past_find(service, &id, &past, &err) == 0)
		json = past_explanation(&past);
	return json ? reply_json(ex, MHD_HTTP_OK, json) : reply_problem(ex, 0, &err);
}

/* ---- The list ---- */

struct list {
	struct exchange *ex;
	const char *project;
	int state; /* below 0: any */
	uint32_t before;
	uint64_t limit;
	uint32_t tasks; /* shown so far: a page of large gangs ends early */
	json_t *jobs;
};

static int read_list(struct list *list, struct err *err)
{
	const char *state = exchange_query(list->ex, "state");
	uint64_t cursor;

	list->project = exchange_query(list->ex, "project");
	list->state = state ? job_state_from_word(state) : -1;
	if (state && list->state < 0)
		return err_set(err, ERR_INVALID, "state",
		               "\"%.60s\": expected queued, stage_in, active, stage_out, cleanup, completed, failed, canceled or unknown",
		               state);
	if (exchange_number(list->ex, "limit", 1, LIST_MAX, LIST_DEFAULT, &list->limit, err) < 0 ||
	    exchange_number(list->ex, "cursor", 1, UINT32_MAX, UINT32_MAX, &cursor, err) < 0)
		return err->code;
	list->before = (uint32_t)cursor;
	return 0;
}

static bool is_listed(const struct list *list, const struct core *core, const struct job *job)
{
	if (list->state >= 0 && core_job_state(core, job) != (enum job_state)list->state)
		return false;
	return !list->project || !strcmp(core_project_name(core, job->project), list->project);
}

static bool is_full(const struct list *list)
{
	return json_array_size(list->jobs) >= list->limit || list->tasks >= LIST_TASKS_MAX;
}

/* The next job of the core that is listed; looks at no more than SCAN_MAX, so that commits need not wait for long. *ret_low:
 * where it stands, or how far was looked. Returns NULL where none was found; *ret_more: there are more to look at. */
static json_t *next_in_core(struct list *list, uint32_t *ret_low, uint32_t *ret_tasks, bool *ret_more)
{
	struct service *service = list->ex->api->service;
	const struct core *core = service->ops->read_begin(service, true);
	const struct job *job = core_job_before(core, list->before);
	us_t now_us = service->ops->now(service);
	struct explanation why;
	json_t *json = NULL;

	*ret_low = 0;
	*ret_more = job;
	for (uint32_t seen = 0; job && !json && seen < SCAN_MAX; seen++) {
		*ret_low = job->id;
		*ret_tasks = job->plan.n_tasks;
		if (is_listed(list, core, job))
			json = json_job(core, job, explain(core, job, now_us, &why), now_us);
		job = core_job_before(core, *ret_low);
	}
	service->ops->read_end(service);
	return json;
}

/* Adds those of the history between. They are looked up after the core was looked at, so none is missed that leaves it now. */
static int list_past(struct list *list, uint32_t low, struct err *err)
{
	struct past_query query = {.after = low,
	                           .before = list->before,
	                           .state = list->state,
	                           .project = list->project,
	                           .limit = (uint32_t)(list->limit - json_array_size(list->jobs))};
	uint32_t last = 0;
	bool large = false;
	int n = 0;

	if (low + 1 < list->before)
		n = past_list(list->ex->api->service, &query, list->jobs, &last, &large, err);
	if (n > 0)
		list->before = last;
	if (large)
		list->tasks = LIST_TASKS_MAX;
	return n;
}

/* Adds one job of the core, and those of the history before it. *ret_more: there may be more. */
static int list_some(struct list *list, bool *ret_more, struct err *err)
{
	uint32_t low, tasks = 0;
	bool in_core;
	json_t *json = next_in_core(list, &low, &tasks, &in_core);
	int code = list_past(list, low, err);

	*ret_more = in_core || (code > 0 && is_full(list));
	if (code < 0 || is_full(list)) {
		json_decref(json);
		return code;
	}
	list->before = in_core ? low : 1;
	if (json) {
		json_array_append_new(list->jobs, json);
		list->tasks += tasks;
	}
	return 0;
}

static int stop_at_first(void *ctx, const struct past_job *job)
{
	(void)ctx;
	(void)job;
	return 1;
}

/* Whether a page after this one could hold anything. */
static bool is_more(const struct list *list)
{
	struct service *service = list->ex->api->service;
	struct past_query query = {.before = list->before, .state = list->state, .project = list->project, .limit = 1};
	bool more = core_job_before(service->ops->read_begin(service, false), list->before);
	struct err err;

	service->ops->read_end(service);
	return more || service->ops->history(service, &query, stop_at_first, NULL, &err) != 0;
}

enum MHD_Result get_jobs(struct exchange *ex)
{
	struct list list = {.ex = ex};
	struct err err;
	char cursor[16];
	bool more = true;

	if (read_list(&list, &err) < 0)
		return reply_problem(ex, MHD_HTTP_BAD_REQUEST, &err);
	list.jobs = json_array();
	while (more && !is_full(&list)) {
		if (list_some(&list, &more, &err) < 0) {
			json_decref(list.jobs);
			return reply_problem(ex, 0, &err);
		}
	}
	more = more && is_more(&list);
	snprintf(cursor, sizeof cursor, "%u", list.before);
	return reply_json(ex, MHD_HTTP_OK,
	                  json_pack("{s:o, s:o}", "jobs", list.jobs, "next", more ? json_string(cursor) : json_null()));
}

/* ---- Waiting ---- */

static enum MHD_Result wait_more(struct exchange *ex)
{
	struct waits *waits = &ex->api->waits;
	struct job_id id;
	struct err err;
	bool over = false;
	json_t *json;

	if (job_id_parse(ex->id, &id, &err) < 0)
		return reply_problem(ex, 0, &err);
	do {
		ex->waiter.generation = wait_generation(waits);
		json = job_seen(ex->api, &id, &over, &err);
		if (!json)
			return reply_problem(ex, 0, &err);
		if (over || wait_clock() >= ex->waiter.due_us || waits_stopping(waits))
			return reply_json(ex, over ? MHD_HTTP_OK : MHD_HTTP_ACCEPTED, json);
		json_decref(json);
	} while (!wait_for(waits, &ex->waiter));
	return MHD_YES;
}

enum MHD_Result get_wait(struct exchange *ex)
{
	uint64_t timeout_s;
	struct err err;

	if (exchange_number(ex, "timeout_s", 0, WAIT_MAX_S, WAIT_DEFAULT_S, &timeout_s, &err) < 0)
		return reply_problem(ex, MHD_HTTP_BAD_REQUEST, &err);
	if (!exchange_streams(ex)) {
		err_set(&err, ERR_BUSY, NULL, "%d requests wait already", STREAMS_MAX);
		return reply_problem(ex, 0, &err);
	}
	ex->waiter.due_us = wait_clock() + (us_t)timeout_s * US_SECOND;
	ex->waiter.on_commit = true;
	ex->again = wait_more;
	return wait_more(ex);
}

/* ---- Changing ---- */

static void call_done(struct service_call *call)
{
	struct exchange *ex = call->ctx;

	servers_resume(ex->api, ex->connection);
}

enum MHD_Result call_service(struct exchange *ex, enum MHD_Result (*again)(struct exchange *ex))
{
	ex->again = again;
	ex->call.done = call_done;
	ex->call.ctx = ex;
	ex->call.who = ex->user;
	/* The answer may come before `call` returns. */
	MHD_suspend_connection(ex->connection);
	ex->api->service->ops->call(ex->api->service, &ex->call);
	return MHD_YES;
}

static enum MHD_Result canceled(struct exchange *ex)
{
	struct job_id id = {.job = ex->call.job};
	struct err err;
	bool over;
	json_t *json;

	if (ex->call.code < 0)
		return reply_problem(ex, 0, &ex->call.err);
	json = job_seen(ex->api, &id, &over, &err);
	return json ? reply_json(ex, over ? MHD_HTTP_OK : MHD_HTTP_ACCEPTED, json) : reply_problem(ex, 0, &err);
}

enum MHD_Result post_cancel(struct exchange *ex)
{
	struct service *service = ex->api->service;
	const struct job *job;
	struct past past;
	struct job_id id;
	struct err err;
	bool over = false;

	if (job_id_parse(ex->id, &id, &err) < 0)
		return reply_problem(ex, 0, &err);
	job = job_id_find(service->ops->read_begin(service, false), &id, &err);
	if (job) {
		over = job_is_over(job);
		ex->call.job = job->id;
		if (id.is_element && job->array && !over) {
			err_set(&err, ERR_CONFLICT, "id",
			        "%u_%u isn't placed yet, and until then can only be canceled with its whole array, %u", id.job, id.index,
			        id.job);
			job = NULL;
		}
	}
	service->ops->read_end(service);
	if (!job && err.code == ERR_NOT_FOUND && past_find(service, &id, &past, &err) == 0)
		return reply_json(ex, MHD_HTTP_OK, past.json);
	if (!job)
		return reply_problem(ex, 0, &err);
	if (over)
		return canceled(ex);
	ex->call.type = SERVICE_CANCEL;
	return call_service(ex, canceled);
}
