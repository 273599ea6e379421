/* SPDX-License-Identifier: Apache-2.0
 * mutations.c: sends good job files and good requests, each with a few changes made from a seed, to a daemon, and judges what it
 * answers: whatever is refused, HTTP or not, gets a 4xx with a problem document that names the field, the line or the byte, and
 * nothing gets a 5xx. What stayed good in spite of its changes is counted apart; nobody waits for a wait that became a long one.
 *
 * Usage: mutations PORT TOKEN jobs|requests COUNT SEED. Prints the counts; exit status 1 with what was sent and answered where an
 * answer is wrong, or none comes within 10 s. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/rng.h"

enum { PATIENCE_MS = 10000, WAIT_MS = 50, ANSWER_MAX = 16 << 20 };

static uint16_t port;
static const char *token;
static struct rng rng;

/* ---- What is changed ---- */

static const char *const job_seeds[] = {
	"name: pretrain\nnum_nodes: 2\nresources:\n  accelerators: test-card:4\n  cpus: 4+\n  memory: 16\n  infra: here\ntime: 72h\n"
	"priority: 50\ntopology: {mode: soft, highest_tier: centre}\nbegin: 2036-12-01T02:00:00+08:00\nenvs: {EPOCHS: \"3\"}\n"
	"workdir: /tmp\nsetup: |\n  true\nrun: |\n  true\nrecovery: {max_restarts: 3, on_lost: ask}\n"
	"checkpoint: {every: 30m, signal: TERM}\npreemptible_after: 2h\n",
	"name: array\narray: 0-9:3%2\nresources:\n  any_of:\n    - {accelerators: \"test-card:1\"}\n    - {cpus: 2, memory: 1}\nrun: 'true'\n",
	("{\"name\":\"json\",\"resources\":{\"accelerators\":{\"test-card\":2}},\"time\":\"1d12h\",\"envs\":{\"A\":\"1\"},\"run\":\"true\\n\","
     "\"depends_on\":[{\"job\":1,\"when\":\"afterany\"}],\"secrets\":{\"TOKEN\":\"x\"}}"),
	"#!/bin/bash\n#SBATCH --job-name=script --gpus=2 -N 1 -t 1:00:00\n#SBATCH --mem=4G --dependency=afterany:1\n#SUAN priority: 7\ntrue\n",
	"{\"script\":\"#!/bin/sh\\n#SBATCH -n 2 --cpus-per-task=2 --time=10\\ntrue\\n\",\"workdir\":\"/tmp\",\"name\":\"wrapped\"}",
	"{\"jobs\":[{\"run\":\"true\"},{\"run\":\"true\",\"num_nodes\":2,\"resources\":{\"accelerators\":\"test-card:4\"}}]}",
};

/* %s: the token. */
static const char *const request_seeds[] = {
	"GET /v1/jobs?state=queued&project=p&limit=2&cursor=3 HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n",
	"GET /v1/jobs/1 HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n",
	"GET /v1/jobs/1/explain HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n",
	"GET /v1/jobs/1/logs?node=0&attempt=1&offset=2 HTTP/1.1\r\nHost: localhost:PORT\r\n\r\n",
	"GET /v1/nodes?centre=here&node=1&limit=3&cursor=2 HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nOrigin: http://127.0.0.1:PORT\r\n\r\n",
	"GET /v1/cards?centre=here&limit=5 HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n",
	"GET /v1/jobs/1/wait?timeout_s=0 HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n",
	"GET /v1/events?since=0 HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nLast-Event-ID: 1\r\n\r\n",
	"POST /v1/jobs?dry_run=true HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nAuthorization: Bearer TOKEN\r\nContent-Type: application/json\r\n"
	"Idempotency-Key: key\r\nSuan-User: me\r\nContent-Length: 14\r\n\r\n{\"run\":\"true\"}",
	"POST /v1/jobs/1/cancel HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nAuthorization: Bearer TOKEN\r\nContent-Length: 0\r\n\r\n",
	"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nAuthorization: Bearer TOKEN\r\nContent-Type: application/yaml\r\n"
	"Transfer-Encoding: chunked\r\n\r\n9\r\nrun: true\r\n0\r\n\r\n",
};

/* What tends to break a reader. */
static const char *const pieces[] = {
	"-1",
	"0",
	"4294967296",
	"18446744073709551616",
	"1e9",
	"0.0001",
	"null",
	"true",
	"[]",
	"{}",
	"[[[[[[[[",
	"{",
	"}",
	"]",
	"\"",
	"'",
	":",
	": ",
	", ",
	"\n",
	"\r\n",
	"\t",
	"  ",
	"#",
	"&a ",
	"*a",
	"!!str ",
	"---",
	"...",
	"%",
	"%s%n",
	"%00",
	"%ff",
	"?",
	"&",
	"=",
	"/",
	"/../",
	"|",
	">",
	"\\",
	"\\u0000",
	"\xff",
	"\xc3\xa9",
	"\xed\xa0\x80",
	"name",
	"run",
	"rnu: x\n",
	"resources",
	"72h",
	"9999999d",
	"kind:9999",
};

static void insert(struct buf *text, size_t at, const void *bytes, size_t len)
{
	struct buf made = {0};

	buf_put(&made, text->data, at);
	buf_put(&made, bytes, len);
	buf_put(&made, text->data + at, text->len - at);
	buf_done(text);
	*text = made;
}

static void cut(struct buf *text, size_t at, size_t len)
{
	memmove(text->data + at, text->data + at + len, text->len - at - len);
	text->len -= len;
}

/* A run of bytes, mostly short. */
static size_t run_of(const struct buf *text, size_t at)
{
	size_t most = text->len - at, len = 1 + rng_below(&rng, rng_below(&rng, 4) ? 4 : 40);

	return len < most ? len : most;
}

static void change(struct buf *text)
{
	size_t at = text->len ? rng_below(&rng, text->len) : 0;
	const char *piece = pieces[rng_below(&rng, sizeof pieces / sizeof *pieces)];
	uint8_t byte = (uint8_t)rng_next(&rng);

	if (!text->len)
		return;
	switch (rng_below(&rng, 7)) {
	case 0: text->data[at] ^= (uint8_t)(1u << rng_below(&rng, 8)); return;
	case 1: text->data[at] = byte; return;
	case 2: cut(text, at, run_of(text, at)); return;
	case 3: insert(text, at, piece, strlen(piece)); return;
	case 4: /* in the place of a word, or of a number */
		cut(text, at, strcspn((const char *)text->data + at, " \r\n:,}"));
		insert(text, at, piece, strlen(piece));
		return;
	case 5: { /* once more, somewhere */
		size_t len = run_of(text, at);
		struct buf copy = {0};

		buf_put(&copy, text->data + at, len);
		insert(text, rng_below(&rng, text->len), copy.data, copy.len);
		buf_done(&copy);
		return;
	}
	default:
		if (rng_below(&rng, 8) == 0)
			text->len = at;
		else
			insert(text, at, &byte, 1);
	}
}

/* Terminated for the sake of strcspn; the terminator isn't counted. */
static void mutate(struct buf *text)
{
	for (uint64_t n = 1 + rng_below(&rng, 4); n > 0; n--) {
		buf_put(text, "", 1);
		text->len--;
		change(text);
	}
}

static void put_seed(struct buf *buf, const char *seed)
{
	for (const char *at = seed; *at;) {
		if (!strncmp(at, "PORT", 4)) {
			buf_printf(buf, "%u", port);
			at += 4;
		} else if (!strncmp(at, "TOKEN", 5)) {
			buf_put(buf, token, strlen(token));
			at += 5;
		} else {
			buf_put(buf, at++, 1);
		}
	}
}

static struct buf make_job(void)
{
	const char *seed = job_seeds[rng_below(&rng, sizeof job_seeds / sizeof *job_seeds)];
	struct buf body = {0}, request = {0};

	buf_put(&body, seed, strlen(seed));
	mutate(&body);
	buf_printf(&request,
	           "POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAuthorization: Bearer %s\r\nContent-Type: application/yaml\r\n"
	           "Content-Length: %zu\r\n\r\n",
	           port, token, body.len);
	if (body.len)
		buf_put(&request, body.data, body.len);
	buf_done(&body);
	return request;
}

static struct buf make_request(void)
{
	struct buf request = {0};

	put_seed(&request, request_seeds[rng_below(&rng, sizeof request_seeds / sizeof *request_seeds)]);
	mutate(&request);
	if (!request.len)
		buf_put(&request, "\n", 1); /* who sends nothing asks nothing */
	buf_put(&request, "", 1);
	request.len--;
	return request;
}

/* ---- Asking ---- */

static int connect_daemon(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
		fprintf(stderr, "can't connect: %s\n", strerror(errno));
		exit(1);
	}
	return fd;
}

static void send_all(int fd, const struct buf *request)
{
	/* It may close before it has read all: then its answer says why. */
	for (size_t sent = 0; sent < request->len;) {
		ssize_t n = send(fd, request->data + sent, request->len - sent, MSG_NOSIGNAL);

		if (n < 0)
			return;
		sent += (size_t)n;
	}
}

struct answer {
	struct buf bytes; /* terminated */
	int status;       /* 0: closed without one */
	const char *body;
	bool is_problem;
	bool timed_out;
};

static const char *head_field(const char *head, const char *name)
{
	const char *at = strcasestr(head, name);

	return at ? at + strlen(name) : NULL;
}

/* Cuts the head off once it is there. Returns whether all is there: the length that it states, or, of what has no length, the
 * head. */
static bool read_head(struct answer *answer)
{
	char *text = (char *)answer->bytes.data, *end = strstr(text, "\r\n\r\n");
	const char *length;
	size_t have;

	while (end && !strncmp(text, "HTTP/1.1 100", 12)) {
		text = end + 4;
		end = strstr(text, "\r\n\r\n");
	}
	if (!end)
		return false;
	*end = 0;
	answer->status = strncmp(text, "HTTP/1.", 7) == 0 ? atoi(text + 9) : -1;
	answer->body = end + 4;
	answer->is_problem = head_field(text, "\r\nContent-Type: application/problem+json");
	length = head_field(text, "\r\nContent-Length: ");
	have = answer->bytes.len - (size_t)(answer->body - (char *)answer->bytes.data);
	if (length && have < strtoul(length, NULL, 10)) {
		*end = '\r';
		return false;
	}
	return true;
}

/* Whether it is one that may be answered late with reason: a wait for the end of a job, by default for up to 60 s. */
static bool may_wait(const struct buf *request)
{
	static const char path[] = "GET /v1/jobs/", now[] = "timeout_s=0";
	const char *line = (const char *)request->data, *end = memchr(line, '\n', request->len), *at;
	size_t len = end ? (size_t)(end - line) : request->len;

	if (len < sizeof path || memcmp(line, path, sizeof path - 1) != 0 || !memmem(line, len, "/wait", 5))
		return false;
	at = memmem(line, len, now, sizeof now - 1);
	return !at || isdigit((unsigned char)at[sizeof now - 1]);
}

static void read_answer(int fd, int patience_ms, struct answer *answer)
{
	char piece[65536];
	ssize_t n;

	*answer = (struct answer){0};
	for (;;) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};

		if (poll(&wait, 1, patience_ms) != 1 || answer->bytes.len > ANSWER_MAX) {
			answer->timed_out = true;
			return;
		}
		n = recv(fd, piece, sizeof piece, 0);
		if (n <= 0)
			return;
		buf_put(&answer->bytes, piece, (size_t)n);
		buf_put(&answer->bytes, "", 1);
		answer->bytes.len--;
		if (read_head(answer))
			return;
	}
}

/* ---- Judging ---- */

enum verdict { STILL_GOOD, REFUSED, WRONG, N_VERDICTS };

static bool names_a_place(json_t *problem)
{
	return json_is_string(json_object_get(problem, "field")) || json_is_integer(json_object_get(problem, "line"));
}

/* HEAD has no body to look at. */
static bool problem_ok(const struct answer *answer, bool has_body)
{
	json_t *json = has_body ? json_loads(answer->body, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
	bool ok = json && json_integer_value(json_object_get(json, "status")) == answer->status &&
	          json_is_string(json_object_get(json, "detail")) && names_a_place(json);

	json_decref(json);
	return ok || !has_body;
}

/* In a batch each job has an answer of its own. */
static enum verdict judge_batch(const struct answer *answer)
{
	json_t *json = json_loads(answer->body, JSON_DISABLE_EOF_CHECK, NULL), *jobs = json_object_get(json, "jobs"), *one;
	enum verdict verdict = STILL_GOOD;
	size_t i;

	for (i = 0; i < json_array_size(jobs); i++) {
		json_int_t status;

		one = json_object_get(json_array_get(jobs, i), "problem");
		if (!one)
			continue;
		status = json_integer_value(json_object_get(one, "status"));
		if (status < 400 || status >= 500 || !names_a_place(one))
			verdict = WRONG;
		else if (verdict == STILL_GOOD)
			verdict = REFUSED;
	}
	json_decref(json);
	return verdict;
}

static enum verdict judge(const struct buf *request, const struct answer *answer, bool is_job)
{
	bool has_body = request->len < 4 || memcmp(request->data, "HEAD", 4) != 0;

	if (answer->timed_out)
		return may_wait(request) ? STILL_GOOD : WRONG;
	if (answer->status >= 200 && answer->status < 300)
		return is_job ? judge_batch(answer) : STILL_GOOD;
	if (answer->status < 400 || answer->status >= 500)
		return WRONG;
	return problem_ok(answer, has_body) ? REFUSED : WRONG;
}

static void show_wrong(uint32_t i, const struct buf *request, const struct answer *answer)
{
	printf("# number %u: sent\n", i);
	for (size_t k = 0; k < request->len && k < 2000; k++)
		printf(request->data[k] >= 0x20 && request->data[k] < 0x7f ? "%c"
		       : request->data[k] == '\n'                          ? "\\n\n"
		                                                           : "\\x%02x",
		       request->data[k]);
	printf("\n# and got %s, status %d: %.1000s\n", answer->timed_out ? "nothing in time" : "this", answer->status,
	       answer->body ? answer->body : "");
}

int main(int argc, char **argv)
{
	uint32_t counts[N_VERDICTS] = {0}, n = argc == 6 ? (uint32_t)strtoul(argv[4], NULL, 10) : 0;
	bool are_jobs = n && !strcmp(argv[3], "jobs");

	if (!n) {
		fprintf(stderr, "usage: mutations PORT TOKEN jobs|requests COUNT SEED\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	port = (uint16_t)strtoul(argv[1], NULL, 10);
	token = argv[2];
	rng.state = strtoull(argv[5], NULL, 10);
	for (uint32_t i = 0; i < n; i++) {
		struct buf request = are_jobs ? make_job() : make_request();
		int fd = connect_daemon();
		struct linger now = {.l_onoff = 1};
		struct answer answer;
		enum verdict verdict;

		send_all(fd, &request);
		shutdown(fd, SHUT_WR);
		read_answer(fd, may_wait(&request) ? WAIT_MS : PATIENCE_MS, &answer);
		/* Closed at once, so that thousands of them leave no port behind. */
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
		close(fd);
		verdict = judge(&request, &answer, are_jobs);
		if (verdict == WRONG && counts[WRONG] < 5)
			show_wrong(i, &request, &answer);
		counts[verdict]++;
		buf_done(&request);
		buf_done(&answer.bytes);
	}
	printf("judged %u: refused %u, still good %u, wrong %u\n", n, counts[REFUSED], counts[STILL_GOOD], counts[WRONG]);
	return counts[WRONG] ? 1 : 0;
}
