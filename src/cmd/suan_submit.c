/* SPDX-License-Identifier: Apache-2.0
 * suan_submit.c: handing in a job, once.
 *
 * Each submit carries an idempotency key. Where the daemon goes away between taking the request and answering it, the same
 * request is sent again with the same key, and answered with the job that the first one made. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/buf.h"
#include "cmd/cmd.h"
#include "cmd/suan_client.h"
#include "cmd/suan_job.h"
#include "cmd/suan_print.h"
#include "format/job_file.h"

enum { KEY_SIZE = 33, BUSY_TRIES = 5, LOST_PATIENCE_S = 30 };

struct submit {
	const char *file, *key;
	bool dry_run, wait, json;
	bool own_key; /* given by the user, who may have used it before */
};

/* ---- From the file to a request ---- */

/* Reads the whole file, or one byte more than a job file may have. */
static int read_file(const char *file, struct buf *text, struct err *err)
{
	int fd = strcmp(file, "-") ? open(file, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	char chunk[65536];
	ssize_t n = 0;

	if (fd < 0)
		return err_set(err, ERR_NOT_FOUND, NULL, "%s", strerror(errno));
	while (text->len <= JOB_FILE_BYTES_MAX) {
		n = read(fd, chunk, sizeof chunk);
		if (n <= 0 && !(n < 0 && errno == EINTR))
			break;
		buf_put(text, chunk, n > 0 ? (size_t)n : 0);
	}
	if (n < 0)
		err_set(err, ERR_IO, NULL, "%s", strerror(errno));
	if (fd != STDIN_FILENO)
		close(fd);
	return n < 0 ? err->code : 0;
}

static const char *get_environment(const char *name)
{
	return getenv(name);
}

static int make_request(const char *file, struct buf *request, struct err *err)
{
	struct buf text = {0};
	char *cwd = getcwd(NULL, 0);
	int rc = read_file(file, &text, err);

	if (rc == 0 && !cwd)
		rc = err_set(err, ERR_IO, "the current directory", "%s", strerror(errno));
	if (rc == 0)
		rc = job_file_to_request(text.len ? (const char *)text.data : "", text.len, strcmp(file, "-") ? file : NULL, cwd,
		                         get_environment, request, err);
	free(cwd);
	buf_done(&text);
	return rc;
}

static void make_key(char *key)
{
	unsigned char random[(KEY_SIZE - 1) / 2];

	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		abort(); /* so few bytes always come whole */
	for (size_t i = 0; i < sizeof random; i++)
		snprintf(key + 2 * i, 3, "%02x", random[i]);
}

/* ---- Sending it, until it is known what became of it ---- */

/* Sends a request that may be repeated. Returns as client_call does; answer->sent says of any of the tries. */
static int send_once_or_more(struct client *client, const struct call *call, struct answer *answer, struct err *err)
{
	struct patience patience = patience_until(now_us() + LOST_PATIENCE_S * US_SECOND);
	unsigned busy = 0;
	bool sent = false;
	int rc;

	for (;;) {
		rc = client_call(client, call, answer, err);
		sent = sent || answer->sent;
		if (rc == ERR_IO && sent && patience_pause(&patience, client))
			continue;
		if (rc != 0 || answer->status != 503 || busy++ == BUSY_TRIES)
			break;
		sleep_ms(answer->retry_s ? 1000 * (answer->retry_s < 5 ? answer->retry_s : 5) : 500);
	}
	answer->sent = sent;
	return rc;
}

/* ---- What comes back ---- */

static void print_dry_run(const json_t *plan, const json_t *simulated)
{
	const char *start = text_of(plan, "start_at", NULL);
	char when[40];

	if (start)
		print_line("would start %s", print_when(start, now_us(), when, sizeof when));
	else
		print_line("when it would start can't be told");
	if (text_of(plan, "reason", NULL) || text_of(plan, "lent_until", NULL))
		print_field("because", "%s", text_of(plan, "text", text_of(plan, "reason", "")));
	job_print_placement(plan, simulated);
}

static int show_dry_run(struct client *client, const json_t *plan)
{
	json_t *simulated = NULL;
	int status = client_simulated(client, &simulated);

	if (status == STATUS_DONE)
		print_dry_run(plan, simulated);
	json_decref(simulated);
	return status;
}

static int finish(struct client *client, const struct submit *submit, const json_t *answer)
{
	json_t *job = NULL;
	char id[40];
	int status;

	complain_warnings(answer);
	if (submit->json && (submit->dry_run || !submit->wait))
		print_json(answer, true);
	if (submit->dry_run)
		return submit->json ? STATUS_DONE : show_dry_run(client, answer);
	job_id_text(answer, id, sizeof id);
	if (!submit->json)
		print_line("%s", id);
	if (!submit->wait)
		return STATUS_DONE;
	fflush(stdout);
	status = job_wait(client, id, US_NEVER, &job);
	if (status != STATUS_DONE)
		return status;
	if (submit->json)
		print_json(job, true);
	else
		job_print_outcome(job, true);
	status = job_outcome(job);
	json_decref(job);
	return status;
}

static int submit_request(struct client *client, const struct submit *submit, const struct buf *request)
{
	struct call call = {.method = "POST",
	                    .path = submit->dry_run ? "/v1/jobs?dry_run=true" : "/v1/jobs",
	                    .body = (const char *)request->data,
	                    .body_len = request->len,
	                    .idempotency_key = submit->dry_run ? NULL : submit->key,
	                    .timeout_s = 60};
	struct answer answer = {0};
	struct err err;
	int status;

	if (send_once_or_more(client, &call, &answer, &err) < 0) {
		status = client_lost(client, &err);
		if (answer.sent && !submit->dry_run)
			complain(0, "whether the job was taken isn't known: submit it again with --key %s, and it is there once",
			         submit->key);
	} else {
		status = answer_status(client, &answer);
	}
	if (status == STATUS_DONE && answer.replayed && submit->own_key)
		complain(0, "this key was used before: it is the job that was made then");
	if (status == STATUS_DONE)
		status = finish(client, submit, answer.json);
	answer_done(&answer);
	return status;
}

static int check_key(const char *key)
{
	size_t len = strlen(key);

	for (size_t i = 0; i < len; i++)
		if (key[i] <= ' ' || key[i] > '~')
			return usage_error("submit", "--key: a key has no blanks or control characters");
	return len >= 1 && len <= 255 ? STATUS_DONE : usage_error("submit", "--key: a key has 1 to 255 characters");
}

int cmd_submit(int argc, char **argv)
{
	char key[KEY_SIZE];
	struct submit submit = {.key = key};
	const struct opt opts[] = {{"dry-run", 'n', OPT_FLAG, &submit.dry_run},
	                           {"wait", 'w', OPT_FLAG, &submit.wait},
	                           {"key", 0, OPT_TEXT, &submit.key},
	                           {"json", 0, OPT_FLAG, &submit.json}};
	struct buf request = {0};
	struct client *client;
	struct err err;
	int status;

	make_key(key);
	if (opts_read(argc, argv, opts, 4, 1, 1) < 0 || check_key(submit.key) != STATUS_DONE)
		return STATUS_USAGE;
	submit.file = argv[1];
	submit.own_key = submit.key != key;
	if (make_request(submit.file, &request, &err) < 0) {
		buf_done(&request);
		return complain_err(STATUS_NO, strcmp(submit.file, "-") ? submit.file : "standard input", &err);
	}
	status = client_start(&client);
	if (status == STATUS_DONE) {
		status = submit_request(client, &submit, &request);
		client_close(client);
	}
	if (request.len)
		explicit_bzero(request.data, request.len); /* it may hold secrets */
	buf_done(&request);
	return status;
}
