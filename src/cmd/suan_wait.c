/* SPDX-License-Identifier: Apache-2.0
 * suan_wait.c: wait and cancel: what is done to one job after another. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/suan_client.h"
#include "cmd/suan_job.h"
#include "cmd/suan_print.h"

enum { POLL_S = 60 }; /* a wait asks this long at a time */

/* ---- suan wait ---- */

static unsigned poll_s(const struct patience *patience)
{
	us_t left = patience->deadline_us == US_NEVER ? POLL_S * US_SECOND : patience->deadline_us - now_us();

	return left > POLL_S * US_SECOND ? POLL_S : left <= US_SECOND ? 1 : (unsigned)((left + US_SECOND - 1) / US_SECOND);
}

static int not_over(const char *id, const json_t *job)
{
	return complain(STATUS_NO, "job %s isn't over: it is %s", id, text_of(job, "state", "still there"));
}

/* Asks once, at most POLL_S long. Returns an exit status, or -1: ask again. */
static int wait_once(struct client *client, const char *id, struct patience *patience, json_t **ret)
{
	struct answer answer = {0};
	struct err err;
	char rest[40], path[JOB_PATH_SIZE];
	unsigned timeout_s = poll_s(patience);
	us_t asked = now_us();
	struct call call = {.method = "GET", .timeout_s = timeout_s + 30};
	int rc, status;

	snprintf(rest, sizeof rest, "/wait?timeout_s=%u", timeout_s);
	call.path = job_path(path, id, rest);
	rc = client_call(client, &call, &answer, &err);
	if (client_is_away(rc, &answer)) {
		status = patience_pause(patience, client) ? -1 : rc < 0 ? client_lost(client, &err) : answer_status(client, &answer);
		answer_done(&answer);
		return status;
	}
	patience_heard(patience);
	status = rc < 0 ? client_lost(client, &err) : answer_status(client, &answer);
	if (status == STATUS_DONE && answer.status == 202) {
		status = now_us() >= patience->deadline_us ? not_over(id, answer.json) : -1;
		if (status < 0 && now_us() - asked < 100 * US_MS)
			sleep_ms(200); /* it didn't wait: it is stopping, say */
	} else if (status == STATUS_DONE) {
		*ret = json_incref(answer.json);
	}
	answer_done(&answer);
	return status;
}

int job_wait(struct client *client, const char *id, us_t deadline_us, json_t **ret)
{
	struct patience patience = patience_until(deadline_us);
	int status;

	do
		status = wait_once(client, id, &patience, ret);
	while (status < 0);
	return status;
}

int job_outcome(const json_t *job)
{
	return strcmp(text_of(job, "state", ""), "completed") ? STATUS_NO : STATUS_DONE;
}

void job_print_outcome(const json_t *job, bool to_stderr)
{
	const char *state = text_of(job, "state", "?"), *cause = text_of(job, "cause", "none");
	const json_t *code = json_object_get(job, "exit_code");
	char id[40], text[80] = "";

	if (job_outcome(job) != STATUS_DONE && json_is_integer(code) && !strcmp(cause, "exit"))
		snprintf(text, sizeof text, ", exit %" PRIdMAX, (intmax_t)json_integer_value(code));
	else if (job_outcome(job) != STATUS_DONE && strcmp(cause, "none") != 0 && strcmp(cause, "cancel") != 0)
		snprintf(text, sizeof text, ", %.60s", cause);
	job_id_text(job, id, sizeof id);
	if (to_stderr)
		complain(0, "job %s %s%s", id, state, text);
	else
		print_line("%s %s%s", id, state, text);
	fflush(stdout);
}

/* One verb over several jobs: each job as it comes; for --json the job, or several as an array. */
static void gather(json_t **all, json_t *job, int n_ids)
{
	if (n_ids == 1) {
		*all = job;
		return;
	}
	if (!*all)
		*all = json_array();
	json_array_append_new(*all, job);
}

/* Prints what was gathered, where JSON is wanted, and closes. Returns status. */
static int finish(struct client *client, bool json, json_t *all, int status)
{
	if (json && all)
		print_json(all, true);
	json_decref(all);
	client_close(client);
	return status;
}

static int check_ids(int n, char **argv)
{
	for (int i = 1; i <= n; i++)
		if (job_check_id(argv[0], argv[i]) != STATUS_DONE)
			return STATUS_USAGE;
	return STATUS_DONE;
}

int cmd_wait(int argc, char **argv)
{
	us_t timeout = US_NEVER;
	bool json = false;
	const struct opt opts[] = {{"timeout", 't', OPT_DURATION, &timeout}, {"json", 0, OPT_FLAG, &json}};
	int n = opts_read(argc, argv, opts, 2, 1, -1), status, worst = STATUS_DONE;
	json_t *all = NULL;
	struct client *client;
	us_t deadline;

	if (n < 0 || check_ids(n, argv) != STATUS_DONE)
		return STATUS_USAGE;
	if ((status = client_start(&client)) != STATUS_DONE)
		return status;
	deadline = us_add(now_us(), timeout);
	for (int i = 1; i <= n && worst != STATUS_UNREACHABLE; i++) {
		json_t *job = NULL;

		status = job_wait(client, argv[i], deadline, &job);
		if (status == STATUS_DONE) {
			status = job_outcome(job);
			if (!json)
				job_print_outcome(job, false);
			gather(&all, job, n);
		}
		worst = status > worst ? status : worst;
	}
	return finish(client, json, all, worst);
}

/* ---- suan cancel ---- */

static int cancel_one(struct client *client, const char *id, json_t **ret)
{
	char path[JOB_PATH_SIZE];
	struct call call = {.method = "POST", .path = job_path(path, id, "/cancel"), .body = "{}", .body_len = 2, .timeout_s = 60};
	struct answer answer = {0};
	int status = client_ask(client, &call, &answer);

	/* 200 is also what a job gets that needed nothing but leaving the queue. */
	if (status == STATUS_DONE && answer.status == 200 && strcmp(text_of(answer.json, "state", ""), "canceled") != 0)
		complain(0, "job %s is over already: %s", id, text_of(answer.json, "state", "?"));
	if (status == STATUS_DONE)
		*ret = json_incref(answer.json);
	answer_done(&answer);
	return status;
}

int cmd_cancel(int argc, char **argv)
{
	bool json = false;
	const struct opt opts[] = {{"json", 0, OPT_FLAG, &json}};
	int n = opts_read(argc, argv, opts, 1, 1, -1), status, worst = STATUS_DONE;
	struct client *client;
	json_t *all = NULL;

	if (n < 0 || check_ids(n, argv) != STATUS_DONE)
		return STATUS_USAGE;
	if ((status = client_start(&client)) != STATUS_DONE)
		return status;
	for (int i = 1; i <= n && worst != STATUS_UNREACHABLE; i++) {
		json_t *job = NULL;

		status = cancel_one(client, argv[i], &job);
		if (status == STATUS_DONE && !json)
			print_line("%s %s", argv[i], text_of(job, "state", "?"));
		if (status == STATUS_DONE)
			gather(&all, job, n);
		worst = status > worst ? status : worst;
	}
	return finish(client, json, all, worst);
}
