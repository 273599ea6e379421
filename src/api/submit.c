/* SPDX-License-Identifier: Apache-2.0
 * submit.c: POST /v1/jobs: one job, a batch of jobs in one commit, or a dry run. */
#include <sodium.h>
#include <string.h>
#include <strings.h>

#include "api/inside.h"
#include "api/past.h"
#include "base/mem.h"
#include "format/job_file.h"

enum { KEY_LEN_MAX = 255, STACK_WIPED = 64 << 10 };

/* One job of the request. */
struct entry {
	struct job_file file;
	struct err err;     /* code below 0: it couldn't be read, and has no item */
	struct err refusal; /* code below 0: why the core will refuse it, better than the core knows */
	struct service_item *item;
	uint8_t idempotency[IDEMPOTENCY_BYTES];
};

struct submission {
	struct entry *entries;
	uint32_t n;
	bool batch;
};

/* ---- Reading ---- */

/* The jobs of {"jobs": [...]}, new; NULL where the body isn't that. */
static json_t *batch_of(const struct exchange *ex)
{
	json_t *root = NULL, *jobs;

	/* A single job is by far the commonest, and need not be read twice. */
	if (memmem(ex->body.data, ex->body.len, "\"jobs\"", 6))
		root = json_loadb((char *)ex->body.data, ex->body.len, 0, NULL);
	jobs = json_incref(json_object_get(root, "jobs"));
	json_decref(root);
	if (json_is_array(jobs))
		return jobs;
	json_decref(jobs);
	return NULL;
}

static int read_entry(struct exchange *ex, const char *text, size_t len, struct entry *entry)
{
	entry->err.code = 0;
	if (job_file_parse(text, len, &ex->arena, &entry->file, &entry->err) < 0)
		return entry->err.code;
	entry->file.spec.user = ex->user;
	return 0;
}

static int read_batch(struct exchange *ex, json_t *jobs, struct submission *s, struct err *err)
{
	size_t n = json_array_size(jobs);

	if (!n || n > SERVICE_ITEMS_MAX)
		return err_set(err, n ? ERR_TOO_LARGE : ERR_INVALID, "jobs", "%zu jobs: expected 1 to %d", n, SERVICE_ITEMS_MAX);
	s->batch = true;
	s->n = (uint32_t)n;
	s->entries = arena_new(&ex->arena, n, sizeof *s->entries);
	for (uint32_t i = 0; i < n; i++) {
		char *text = json_dumps(json_array_get(jobs, i), JSON_COMPACT | JSON_ENCODE_ANY);

		if (!text)
			return err_set(err, ERR_NOMEM, "jobs", "out of memory");
		read_entry(ex, text, strlen(text), &s->entries[i]);
		mem_free_secret(text);
	}
	return 0;
}

static int read_single(struct exchange *ex, struct submission *s, struct err *err)
{
	s->n = 1;
	s->entries = arena_new(&ex->arena, 1, sizeof *s->entries);
	if (read_entry(ex, (char *)ex->body.data, ex->body.len, s->entries) == 0)
		return 0;
	*err = s->entries->err;
	return err->code;
}

static int read_body(struct exchange *ex, struct submission *s, struct err *err)
{
	json_t *jobs;
	int code;

	if (!ex->body.len)
		return err_set(err, ERR_INVALID, "body", "there is none: expected a job file as YAML or JSON");
	jobs = batch_of(ex);
	code = jobs ? read_batch(ex, jobs, s, err) : read_single(ex, s, err);
	json_decref(jobs);
	sodium_stackzero(STACK_WIPED); /* where the readers of YAML and JSON had secrets */
	return code;
}

/* ---- The key ---- */

static int check_key(const char *key, struct err *err)
{
	size_t len = strlen(key);

	for (const char *p = key; *p; p++)
		if (*p < 0x20 || *p > 0x7e)
			return err_set(err, ERR_INVALID, "Idempotency-Key", "expected printable ASCII");
	if (!len || len > KEY_LEN_MAX)
		return err_set(err, ERR_INVALID, "Idempotency-Key", "%zu characters: expected 1 to %d", len, KEY_LEN_MAX);
	return 0;
}

/* Who and which key, then what: the core tells a repeat from another request under the same key. */
static void fill_key(const struct exchange *ex, const char *key, uint32_t place, struct entry *entry)
{
	struct hash body = hash_of(ex->body.data, ex->body.len), name;
	struct buf text = {0};

	buf_put_str(&text, ex->user);
	buf_put_str(&text, key);
	buf_put_uint(&text, place);
	name = hash_of(text.data, text.len);
	buf_done(&text);
	memcpy(entry->idempotency, name.bytes, IDEMPOTENCY_BYTES / 2);
	memcpy(entry->idempotency + IDEMPOTENCY_BYTES / 2, body.bytes, IDEMPOTENCY_BYTES / 2);
}

/* ---- Dependencies on jobs that have left the core ---- */

static int resolve(struct exchange *ex, struct submission *s, struct err *err)
{
	for (uint32_t i = 0; i < s->n; i++) {
		struct entry *entry = &s->entries[i];
		int code = 0;

		if (!entry->err.code && entry->file.spec.n_dependencies)
			code = past_resolve(ex->api->service, &entry->file, &ex->arena, &entry->refusal, err);
		if (code < 0)
			return code;
	}
	return 0;
}

static void explain_refusal(const struct entry *entry, struct err *err)
{
	if (entry->refusal.code && !strncmp(err->subject, "depends_on", 10))
		*err = entry->refusal;
}

/* ---- Answering ---- */

static json_t *json_warnings(const struct job_file *file)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < file->n_warnings; i++)
		json_array_append_new(list, json_text(file->warnings[i]));
	return list;
}

static json_t *json_submitted(struct api *api, const struct entry *entry, struct err *err)
{
	struct job_id id = {.job = entry->item->job};
	bool over;
	json_t *json = job_seen(api, &id, &over, err);

	if (json)
		json_object_set_new(json, "warnings", json_warnings(&entry->file));
	return json;
}

static enum MHD_Result answer_single(struct exchange *ex, struct entry *entry)
{
	struct service_item *item = entry->item;
	struct err err;
	json_t *json;

	/* Known by its key, and not by its content: the request is what is wrong. */
	if (item->code == ERR_CONFLICT)
		return reply_problem(ex, MHD_HTTP_UNPROCESSABLE_CONTENT, &item->err);
	if (item->code < 0) {
		explain_refusal(entry, &item->err);
		return reply_problem(ex, 0, &item->err);
	}
	json = json_submitted(ex->api, entry, &err);
	if (!json)
		return reply_problem(ex, 0, &err);
	if (item->repeated)
		return reply_json_with(ex, MHD_HTTP_OK, json, "Idempotency-Replayed", "true");
	return reply_json(ex, MHD_HTTP_CREATED, json);
}

static json_t *json_entry(struct api *api, const struct entry *entry)
{
	struct err err = entry->err;
	json_t *json = NULL;

	if (!err.code && entry->item->code < 0) {
		err = entry->item->err;
		explain_refusal(entry, &err);
	}
	if (!err.code)
		json = json_submitted(api, entry, &err);
	return json ? json : json_pack("{s:o}", "problem", problem_json(&err, problem_status(&err)));
}

static enum MHD_Result submitted(struct exchange *ex)
{
	const struct submission *s = ex->submission;
	json_t *list;

	if (ex->call.code < 0)
		return reply_problem(ex, 0, &ex->call.err);
	if (!s->batch)
		return answer_single(ex, s->entries);
	list = json_array();
	for (uint32_t i = 0; i < s->n; i++)
		json_array_append_new(list, json_entry(ex->api, &s->entries[i]));
	return reply_json(ex, MHD_HTTP_CREATED, json_pack("{s:o}", "jobs", list));
}

static enum MHD_Result submit(struct exchange *ex, struct submission *s, const char *key)
{
	struct service_item *items = arena_new(&ex->arena, s->n, sizeof *items);

	ex->call.type = SERVICE_SUBMIT;
	ex->call.items = items;
	for (uint32_t i = 0; i < s->n; i++) {
		struct entry *entry = &s->entries[i];

		if (entry->err.code < 0)
			continue;
		entry->item = &items[ex->call.n_items++];
		if (key)
			fill_key(ex, key, i, entry);
		*entry->item = (struct service_item){.spec = &entry->file.spec,
		                                     .payload = entry->file.payload_bytes.data,
		                                     .payload_len = entry->file.payload_bytes.len,
		                                     .secrets = entry->file.secrets,
		                                     .n_secrets = entry->file.n_secrets,
		                                     .idempotency = key ? entry->idempotency : NULL};
	}
	return ex->call.n_items ? call_service(ex, submitted) : submitted(ex);
}

/* ---- Dry run ---- */

/* stopped: how many others would have to make room. */
static json_t *json_dry_run(const struct core *core, const struct job_file *file, const struct plan *plan, uint32_t stopped,
                            us_t now_us)
{
	enum reason reason = REASON_NONE;
	us_t lent_until_us = US_NEVER;
	char at[32], text[200];

	if (file->spec.n_dependencies)
		reason = REASON_DEPENDENCY;
	else if (file->spec.begin_us > now_us)
		reason = REASON_BEGIN;
	else if (plan->start_us > now_us || stopped)
		reason = REASON_RESOURCES;
	else if (plan->until_us < us_add(plan->start_us, file->spec.limit_us))
		lent_until_us = plan->until_us;
	if (plan->start_us == US_NEVER)
		snprintf(text, sizeof text,
		         "when it can start can't be told: it wouldn't be among the first, which are promised a start, or jobs without a "
		         "limit hold what it needs");
	else if (stopped)
		snprintf(text, sizeof text, "%u job(s) would be stopped to make room; it starts when they are gone, by %s", stopped,
		         us_format_instant(plan->start_us, at, sizeof at));
	else if (plan->start_us > now_us)
		snprintf(text, sizeof text, "by the limits of what runs, it can start at %s",
		         us_format_instant(plan->start_us, at, sizeof at));
	else if (lent_until_us != US_NEVER)
		snprintf(text, sizeof text, "on what is kept for later: it is stopped before %s, if that is needed then",
		         us_format_instant(lent_until_us, at, sizeof at));
	else
		snprintf(text, sizeof text, "it would start at once");
	return json_pack("{s:b, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o}", "dry_run", 1, "state", job_state_word(JOB_NEW),
	                 "start_at", json_instant(plan->start_us), "lent_until", json_instant(lent_until_us), "centre",
	                 plan->n_tasks ? json_text(pool_centre_name(core_pool(core), plan->tasks[0].centre)) : json_null(),
	                 "placement", json_placement(core, plan), "kind",
	                 plan->kind == KIND_NONE ? json_null() : json_text(pool_kind_name(core_pool(core), plan->kind)), "reason",
	                 reason == REASON_NONE ? json_null() : json_string(reason_word(reason)), "text", text, "warnings",
	                 json_warnings(file));
}

static enum MHD_Result dry_run(struct exchange *ex, const struct submission *s)
{
	struct service *service = ex->api->service;
	const struct core *core;
	struct plan plan = {0};
	struct err err = {0};
	json_t *json = NULL;
	uint32_t stopped = 0;
	us_t now_us;

	if (s->batch) {
		err_set(&err, ERR_INVALID, "dry_run", "a dry run takes one job");
		return reply_problem(ex, MHD_HTTP_BAD_REQUEST, &err);
	}
	core = service->ops->read_begin(service, true);
	now_us = service->ops->now(service);
	if (core_dry_run(core, &s->entries->file.spec, now_us, &ex->arena, &plan, &stopped, &err) == 0)
		json = json_dry_run(core, &s->entries->file, &plan, stopped, now_us);
	else
		explain_refusal(s->entries, &err);
	service->ops->read_end(service);
	return json ? reply_json(ex, MHD_HTTP_OK, json) : reply_problem(ex, 0, &err);
}

enum MHD_Result post_jobs(struct exchange *ex)
{
	struct submission *s = arena_new(&ex->arena, 1, sizeof *s);
	const char *key = exchange_header(ex, "Idempotency-Key");
	struct err err = {0};
	bool dry = false;

	ex->submission = s;
	if (exchange_flag(ex, "dry_run", &dry, &err) < 0 || (key && check_key(key, &err) < 0))
		return reply_problem(ex, MHD_HTTP_BAD_REQUEST, &err);
	if (read_body(ex, s, &err) < 0 || resolve(ex, s, &err) < 0)
		return reply_problem(ex, ex->body.len ? 0 : MHD_HTTP_BAD_REQUEST, &err);
	return dry ? dry_run(ex, s) : submit(ex, s, key);
}
