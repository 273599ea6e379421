/* SPDX-License-Identifier: Apache-2.0
 * suan_logs.c: the output of a job, as its bytes are, or followed as it is written. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cmd/cmd.h"
#include "cmd/suan_client.h"
#include "cmd/suan_job.h"
#include "cmd/suan_print.h"

enum { GATHERED_MAX = 64 << 20, PAUSE_MS = 500 };

struct logs {
	const char *id;
	uint64_t node, attempt; /* attempt 0: there is none yet */
	bool latest;            /* of whichever attempt is the latest; else of the one that was asked for */
	bool follow, json;
	uint64_t offset;     /* bytes of this attempt that came so far */
	struct buf gathered; /* for --json */
	struct patience patience;
};

/* What there is to know of the job before its output is read. */
struct seen {
	uint64_t attempt;
	bool over;
	char state[16];
};

static int take_bytes(void *ctx, const void *bytes, size_t len)
{
	struct logs *logs = ctx;

	logs->offset += len;
	if (logs->json) {
		if (logs->gathered.len < GATHERED_MAX)
			buf_put(&logs->gathered, bytes, len);
		return 0;
	}
	return fwrite(bytes, 1, len, stdout) == len && fflush(stdout) == 0 ? 0 : -1;
}

/* A request that is asked again where output is followed and the daemon is away. Returns an exit status, or -1: ask again. */
static int ask(struct client *client, struct logs *logs, const struct call *call, struct answer *answer)
{
	struct err err;
	int rc = client_call(client, call, answer, &err);

	if (!client_is_away(rc, answer))
		patience_heard(&logs->patience);
	else if (logs->follow && patience_pause(&logs->patience, client))
		return -1;
	return rc < 0 ? client_lost(client, &err) : STATUS_DONE;
}

/* An array's output is that of its elements. */
static int no_single_output(const char *id, const json_t *array)
{
	const char *ranges = text_of(array, "ranges", "0");

	return complain(STATUS_NO, "job %s is an array: ask for one of its elements, such as suan logs %s_%.*s", id, id,
	                (int)strspn(ranges, "0123456789"), ranges);
}

static int take_job(const struct logs *logs, const json_t *job, struct seen *ret)
{
	static const char *const over[] = {"completed", "failed", "canceled"};
	const json_t *array = json_object_get(job, "array");

	if (json_is_object(array))
		return no_single_output(logs->id, array);
	if (logs->node >= (uint64_t)int_of(job, "num_nodes", 1))
		return complain(STATUS_NO, "--node %" PRIu64 ": job %s has %" PRIdMAX " tasks, numbered from 0", logs->node, logs->id,
		                (intmax_t)int_of(job, "num_nodes", 1));
	*ret = (struct seen){.attempt = (uint64_t)int_of(job, "attempt", 0)};
	snprintf(ret->state, sizeof ret->state, "%s", text_of(job, "state", "?"));
	for (unsigned i = 0; i < sizeof over / sizeof *over; i++)
		ret->over = ret->over || !strcmp(ret->state, over[i]);
	return STATUS_DONE;
}

static int look(struct client *client, struct logs *logs, struct seen *ret)
{
	char path[JOB_PATH_SIZE];
	struct call call = {.method = "GET", .path = job_path(path, logs->id, ""), .timeout_s = 60};
	struct answer answer = {0};
	int status;

	while ((status = ask(client, logs, &call, &answer)) < 0)
		continue;
	if (status == STATUS_DONE)
		status = answer_status(client, &answer);
	if (status == STATUS_DONE)
		status = take_job(logs, answer.json, ret);
	answer_done(&answer);
	return status;
}

/* Asks for the output from logs->offset on. Returns an exit status, or -1: there is none, or not all of it. */
static int read_some(struct client *client, struct logs *logs)
{
	char rest[120], path[JOB_PATH_SIZE * 2];
	struct call call = {.method = "GET", .path = path, .timeout_s = logs->follow ? 0 : 600, .sink = take_bytes, .ctx = logs};
	struct answer answer = {0};
	int status;

	snprintf(rest, sizeof rest, "/logs?node=%" PRIu64 "&attempt=%" PRIu64 "&offset=%" PRIu64 "%s", logs->node, logs->attempt,
	         logs->offset, logs->follow ? "&follow=true" : "");
	snprintf(path, sizeof path, "/v1/jobs/%s%s", logs->id, rest);
	status = ask(client, logs, &call, &answer);
	if (status == STATUS_DONE && answer.status == 404 && logs->follow)
		status = -1;
	else if (status == STATUS_DONE && answer.status != 200)
		status = answer_status(client, &answer);
	answer_done(&answer);
	return status;
}

/* The latest attempt is another than before: from now on it is that one's output. */
static void turn_to(struct logs *logs, uint64_t attempt)
{
	if (logs->attempt)
		complain(0, "attempt %" PRIu64, attempt);
	logs->attempt = attempt;
	logs->offset = 0;
	logs->gathered.len = 0;
}

/* Reads all of the output, or follows it to its end. The job is looked at before its output is read: what was over then
 * is read in full. */
static int show(struct client *client, struct logs *logs)
{
	for (;;) {
		struct seen seen;
		int status = look(client, logs, &seen);

		if (status != STATUS_DONE)
			return status;
		if (logs->latest && seen.attempt != logs->attempt)
			turn_to(logs, seen.attempt);
		if (!logs->attempt && (seen.over || !logs->follow))
			return complain(STATUS_NO, "job %s has no output: it is %s and was never started", logs->id, seen.state);
		status = logs->attempt ? read_some(client, logs) : -1;
		if (status > 0 || (status == STATUS_DONE && (!logs->follow || seen.over || logs->attempt < seen.attempt)))
			return status;
		if (seen.over && status < 0 && !logs->patience.said)
			return complain(STATUS_NO, "job %s is %s and left no output", logs->id, seen.state);
		sleep_ms(PAUSE_MS);
	}
}

/* JSON has no bytes that aren't UTF-8: each of those becomes U+FFFD. */
static json_t *text_json(struct buf *bytes)
{
	struct buf text = {0};
	json_t *json;

	buf_put_u8(bytes, 0); /* what is cut in its middle ends here */
	for (size_t i = 0; i + 1 < bytes->len;) {
		uint32_t c;
		unsigned len = utf8_next((const char *)bytes->data + i, &c);

		buf_put(&text, len ? (const char *)bytes->data + i : "\xef\xbf\xbd", len ? len : 3);
		i += len ? len : 1;
	}
	json = text.len ? json_stringn((const char *)text.data, text.len) : json_string("");
	buf_done(&text);
	return json;
}

static void print_gathered(struct logs *logs)
{
	json_t *document = json_object();

	if (logs->offset > logs->gathered.len)
		complain(0, "only the first %zu bytes of %" PRIu64, logs->gathered.len, logs->offset);
	json_object_set_new(document, "id", json_string(logs->id));
	json_object_set_new(document, "attempt", json_integer((json_int_t)logs->attempt));
	json_object_set_new(document, "node", json_integer((json_int_t)logs->node));
	json_object_set_new(document, "bytes", json_integer((json_int_t)logs->offset));
	json_object_set_new(document, "text", text_json(&logs->gathered));
	print_json(document, true);
	json_decref(document);
}

int cmd_logs(int argc, char **argv)
{
	struct logs logs = {.patience = patience_until(US_NEVER)};
	const struct opt opts[] = {{"follow", 'f', OPT_FLAG, &logs.follow},
	                           {"node", 'n', OPT_COUNT, &logs.node},
	                           {"attempt", 'a', OPT_COUNT, &logs.attempt},
	                           {"json", 0, OPT_FLAG, &logs.json}};
	struct client *client;
	int status;

	if (opts_read(argc, argv, opts, 4, 1, 1) < 0 || job_check_id("logs", argv[1]) != STATUS_DONE)
		return STATUS_USAGE;
	logs.id = argv[1];
	logs.latest = !logs.attempt;
	if ((status = client_start(&client)) != STATUS_DONE)
		return status;
	status = show(client, &logs);
	if (status == STATUS_DONE && logs.json)
		print_gathered(&logs);
	buf_done(&logs.gathered);
	client_close(client);
	return status;
}
