/* SPDX-License-Identifier: Apache-2.0
 * test_api_http.c: the API over real sockets, on a host with the memory store and an engine that obeys the test. */
#include "host_fixture.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "api/api.h"

static const char token[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static struct api *api;

static int set_up_api(void **state)
{
	struct api_config config = {.address = "127.0.0.1", .token = token, .user = "starter"};
	struct fixture *f;

	set_up(state);
	f = *state;
	config.service = f->service;
	assert_int_equal(api_start(&config, &api, &f->err), 0);
	return 0;
}

static int tear_down_api(void **state)
{
	struct fixture *f = *state;

	host_stop(f->host);
	api = api_stop(api);
	return tear_down(state);
}

/* ---- A client ---- */

struct answer {
	int status;
	char text[1 << 16]; /* head and body */
	char *body;
	json_t *json;
};

static int dial(void)
{
	struct sockaddr_in where = {
		.sin_family = AF_INET, .sin_port = htons(api_port(api)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval patience = {.tv_sec = 20};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	assert_int_equal(connect(fd, (struct sockaddr *)&where, sizeof where), 0);
	return fd;
}

static void read_answer(int fd, struct answer *a)
{
	size_t len = 0;
	ssize_t n;

	while (len < sizeof a->text - 1 && (n = read(fd, a->text + len, sizeof a->text - 1 - len)) > 0)
		len += (size_t)n;
	a->text[len] = 0;
	close(fd);
	assert_int_equal(sscanf(a->text, "HTTP/1.1 %d", &a->status), 1);
	a->body = strstr(a->text, "\r\n\r\n");
	assert_non_null(a->body);
	a->body += 4;
	json_decref(a->json);
	a->json = json_loads(a->body, 0, NULL);
}

/* Sends a head and a body as they are; Host, Connection and Content-Length are added. */
static int send_request(const char *line, const char *headers, const char *body)
{
	int fd = dial();

	dprintf(fd, "%s HTTP/1.1\r\nHost: localhost:%u\r\nConnection: close\r\n%s", line, api_port(api), headers);
	if (body)
		dprintf(fd, "Content-Length: %zu\r\n", strlen(body));
	dprintf(fd, "\r\n%s", body ? body : "");
	return fd;
}

static void ask(struct answer *a, const char *line, const char *headers, const char *body)
{
	read_answer(send_request(line, headers, body), a);
}

#define BEARER "Authorization: Bearer 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\r\n"
#define WRITE BEARER "Content-Type: application/json\r\n"

static const char *field(const struct answer *a, const char *name)
{
	const char *text = json_string_value(json_object_get(a->json, name));

	return text ? text : "";
}

static json_int_t number(const struct answer *a, const char *name)
{
	return json_integer_value(json_object_get(a->json, name));
}

static const char gang[] = "{\"run\": \"x\", \"num_nodes\": 4, \"resources\": {\"accelerators\": \"k:8\"}, \"time\": \"1h\"}";
static const char half[] = "{\"run\": \"x\", \"resources\": {\"accelerators\": \"k:0.5\"}}";

/* ---- Tests ---- */

static void test_doors(void **state)
{
	static const struct {
		const char *line, *headers, *body;
		int status;
		const char *field;
	} cases[] = {
		{"GET /v1/pool", "", NULL, 200, NULL},
		{"HEAD /v1/pool", "", NULL, 200, NULL},
		{"GET /v1/pool", "Origin: http://evil.example\r\n", NULL, 403, "Origin"},
		{"GET /v1/pool", "Origin: null\r\n", NULL, 403, "Origin"},
		{"GET /nothing", "", NULL, 404, "path"},
		{"PUT /v1/jobs", "", NULL, 405, "path"},
		{"GET /v1/jobs?stat=queued", "", NULL, 400, "stat"},
		{"GET /v1/jobs?state=quued", "", NULL, 400, "state"},
		{"GET /v1/jobs?limit=0", "", NULL, 400, "limit"},
		{"GET /v1/jobs?limit=1001", "", NULL, 400, "limit"},
		{"GET /v1/jobs?limit=99999999999999999999", "", NULL, 400, "limit"},
		{"GET /v1/jobs/1", "", NULL, 404, "id"},
		{"GET /v1/jobs/x", "", NULL, 422, "id"},
		{"GET /v1/jobs/1/logs?follow=maybe", "", NULL, 400, "follow"},
		{"GET /v1/nodes?centre=nowhere", "", NULL, 404, "centre"},
		{"POST /v1/jobs", "Content-Type: application/json\r\n", half, 401, "Authorization"},
		{"POST /v1/jobs", "Authorization: Bearer 0\r\nContent-Type: application/json\r\n", half, 401, "Authorization"},
		{"POST /v1/jobs/1/cancel", "", NULL, 401, "Authorization"},
		{"POST /v1/jobs", BEARER "Content-Type: text/plain\r\n", half, 415, "Content-Type"},
		{"POST /v1/jobs", BEARER, half, 415, "Content-Type"},
		{"POST /v1/jobs", WRITE "Suan-User: a\"b\r\n", half, 400, "Suan-User"},
		{"POST /v1/jobs", WRITE "Idempotency-Key: \r\n", half, 400, "Idempotency-Key"},
		{"POST /v1/jobs", WRITE, "", 400, "body"},
		{"GET /v1/cards?&limit=5", "", NULL, 400, "query"},
		{"POST /v1/jobs", WRITE, "{", 400, NULL},
		{"POST /v1/jobs", WRITE, "{\"rum\": \"x\"}", 422, "rum"},
		{"POST /v1/jobs", WRITE, "{\"jobs\": []}", 422, "jobs"},
		{"POST /v1/jobs?dry_run=true", WRITE, "{\"jobs\": [{\"run\": \"x\"}]}", 400, "dry_run"},
		{"POST /v1/jobs", WRITE, "{\"run\": \"x\", \"resources\": {\"accelerators\": \"k:9\"}}", 422, "resources.accelerators"},
		{"POST /v1/jobs/1/cancel", WRITE, "{}", 404, "id"},
		{"POST /v1/jobs", BEARER "Content-Type: application/json; charset=utf-8\r\n", half, 201, NULL},
		{"POST /v1/jobs", BEARER "Content-Type: text/yaml\r\n", "run: x\n", 201, NULL},
	};
	struct answer a = {0};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		ask(&a, cases[i].line, cases[i].headers, cases[i].body);
		if (a.status != cases[i].status || (cases[i].field && strcmp(field(&a, "field"), cases[i].field) != 0))
			fail_msg("%s: %d, expected %d: %s", cases[i].line, a.status, cases[i].status, a.body);
	}
	json_decref(a.json);
}

static void test_hosts(void **state)
{
	static const struct {
		const char *host;
		int status;
	} cases[] = {{"localhost:%u", 200}, {"LOCALHOST:%u", 200}, {"127.0.0.1:%u", 200},    {"[::1]:%u", 200},
	             {"localhost", 403},    {"localhost:1", 403},  {"evil.example:%u", 403}, {"127.0.0.1.evil.example:%u", 403}};
	struct answer a = {0};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int fd = dial();
		char host[96];
		const char *hole = strstr(cases[i].host, "%u");

		snprintf(host, sizeof host, "%.*s", (int)(hole ? hole - cases[i].host : 64), cases[i].host);
		if (hole)
			snprintf(host + strlen(host), sizeof host - strlen(host), "%u", api_port(api));
		dprintf(fd, "GET /livez HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host);
		read_answer(fd, &a);
		assert_int_equal(a.status, cases[i].status);
	}
	json_decref(a.json);
}

/* Too large a body is refused, whether its length is declared or not, and the daemon doesn't keep it. */
static void test_large(void **state)
{
	static char piece[1 << 16];
	struct answer a = {0};
	int fd = send_request("POST /v1/jobs", WRITE "Expect: 100-continue\r\nContent-Length: 6000000\r\n", NULL);

	(void)state;
	read_answer(fd, &a);
	assert_int_equal(a.status, 413);
	memset(piece, 'a', sizeof piece);
	fd = send_request("POST /v1/jobs", WRITE "Transfer-Encoding: chunked\r\n", NULL);
	for (int i = 0; i < 100; i++) {
		dprintf(fd, "%zx\r\n", sizeof piece);
		for (size_t sent = 0; sent < sizeof piece;) {
			ssize_t n = write(fd, piece + sent, sizeof piece - sent);

			assert_true(n > 0);
			sent += (size_t)n;
		}
		dprintf(fd, "\r\n");
	}
	dprintf(fd, "0\r\n\r\n");
	read_answer(fd, &a);
	assert_int_equal(a.status, 413);
	json_decref(a.json);
}

static void test_submit(void **state)
{
	struct fixture *f = *state;
	struct answer a = {0};
	uint32_t job;

	ask(&a, "POST /v1/jobs?dry_run=true", WRITE, gang);
	assert_int_equal(a.status, 200);
	assert_string_equal(field(&a, "state"), "new");
	assert_int_equal(json_array_size(json_object_get(a.json, "placement")), 4);
	ask(&a, "POST /v1/jobs", WRITE "Suan-User: ann\r\nIdempotency-Key: one\r\n", gang);
	assert_int_equal(a.status, 201);
	assert_string_equal(field(&a, "user"), "ann");
	assert_int_equal(number(&a, "num_nodes"), 4);
	job = (uint32_t)number(&a, "id");
	wait_state(f, job, JOB_ACTIVE);

	ask(&a, "POST /v1/jobs", WRITE "Suan-User: ann\r\nIdempotency-Key: one\r\n", gang);
	assert_int_equal(a.status, 200);
	assert_non_null(strstr(a.text, "Idempotency-Replayed: true"));
	assert_int_equal(number(&a, "id"), job);
	ask(&a, "POST /v1/jobs", WRITE "Suan-User: ann\r\nIdempotency-Key: one\r\n", half);
	assert_int_equal(a.status, 422);
	assert_string_equal(field(&a, "field"), "Idempotency-Key");
	ask(&a, "POST /v1/jobs", WRITE "Suan-User: bob\r\nIdempotency-Key: one\r\n", half); /* another user's key */
	assert_int_equal(a.status, 201);
	assert_string_equal(field(&a, "state"), "queued");
	assert_string_equal(json_string_value(json_object_get(json_object_get(a.json, "reason"), "code")), "resources");

	ask(&a, "GET /v1/jobs/1/logs?node=3", "", NULL);
	assert_int_equal(a.status, 200);
	assert_non_null(strstr(a.body, "output of 1.1 rank 3"));
	ask(&a, "GET /v1/jobs/1/logs?node=4", "", NULL);
	assert_int_equal(a.status, 404);
	ask(&a, "GET /v1/jobs/2/explain", "", NULL);
	assert_string_equal(field(&a, "reason"), "resources");
	ask(&a, "POST /v1/jobs/1/cancel", BEARER, NULL);
	assert_true(a.status == 202 || a.status == 200); /* this engine may be quicker than the answer */
	wait_state(f, 1, JOB_CANCELED);
	ask(&a, "POST /v1/jobs/1/cancel", BEARER, NULL);
	assert_int_equal(a.status, 200);
	json_decref(a.json);
}

static void test_batch(void **state)
{
	struct answer a = {0};
	json_t *jobs;

	(void)state;
	ask(&a, "POST /v1/jobs", WRITE,
	    "{\"jobs\": [{\"run\": \"x\"}, {\"rum\": 1}, {\"run\": \"x\", \"num_nodes\": 5}, {\"run\": \"y\"}]}");
	assert_int_equal(a.status, 201);
	jobs = json_object_get(a.json, "jobs");
	assert_int_equal(json_array_size(jobs), 4);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(jobs, 0), "id")), 1);
	assert_non_null(json_object_get(json_array_get(jobs, 1), "problem"));
	assert_non_null(json_object_get(json_array_get(jobs, 2), "problem"));
	assert_int_equal(json_integer_value(json_object_get(json_array_get(jobs, 3), "id")), 2);
	json_decref(a.json);
}

/* Page by page, each job is shown once, the newest first. */
static void test_pages(void **state)
{
	struct fixture *f = *state;
	struct answer a = {0};
	char line[64] = "GET /v1/jobs?limit=3";
	json_int_t expected = 10;

	for (int i = 0; i < 10; i++)
		submit_job(f, 1, "x");
	while (expected) {
		json_t *jobs;

		ask(&a, line, "", NULL);
		jobs = json_object_get(a.json, "jobs");
		assert_true(json_array_size(jobs) > 0);
		for (size_t i = 0; i < json_array_size(jobs); i++)
			assert_int_equal(json_integer_value(json_object_get(json_array_get(jobs, i), "id")), expected--);
		snprintf(line, sizeof line, "GET /v1/jobs?limit=3&cursor=%s", field(&a, "next"));
	}
	assert_true(json_is_null(json_object_get(a.json, "next")));
	ask(&a, "GET /v1/nodes?limit=3", "", NULL);
	assert_int_equal(json_array_size(json_object_get(a.json, "nodes")), 3);
	assert_string_equal(field(&a, "next"), "3");
	ask(&a, "GET /v1/cards?limit=5&cursor=70", "", NULL); /* node 1 from card 6 on */
	assert_int_equal(json_array_size(json_object_get(a.json, "cards")), 5);
	assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(a.json, "cards"), 2), "node")), "2");
	json_decref(a.json);
}

static void test_wait(void **state)
{
	struct fixture *f = *state;
	uint32_t job = submit_job(f, 1, "x");
	struct answer a = {0};
	int fd;

	wait_state(f, job, JOB_ACTIVE);
	ask(&a, "GET /v1/jobs/1/wait?timeout_s=0", "", NULL);
	assert_int_equal(a.status, 202);
	fd = send_request("GET /v1/jobs/1/wait?timeout_s=60", "", NULL);
	usleep(50000);
	fake_report(job, 1, ATTEMPT_ENDED, CAUSE_EXIT, 5);
	read_answer(fd, &a);
	assert_int_equal(a.status, 200);
	assert_int_equal(number(&a, "exit_code"), 5);
	json_decref(a.json);
}

static bool read_until(int fd, struct buf *got, const char *text)
{
	char piece[4096];
	ssize_t n;

	while (!got->len || !memmem(got->data, got->len, text, strlen(text))) {
		n = read(fd, piece, sizeof piece);
		if (n <= 0)
			return false;
		buf_put(got, piece, (size_t)n);
	}
	return true;
}

static void test_stream(void **state)
{
	struct fixture *f = *state;
	struct buf got = {0}, resumed = {0};
	uint32_t job;
	int fd = send_request("GET /v1/events?since=0", "", NULL);

	assert_true(read_until(fd, &got, "event: pool"));
	job = submit_job(f, 1, "x");
	assert_true(read_until(fd, &got, "\"state\":\"running\""));
	fake_report(job, 1, ATTEMPT_ENDED, CAUSE_EXIT, 0);
	assert_true(read_until(fd, &got, "event: ended"));
	close(fd);
	fd = send_request("GET /v1/events?since=0", "Last-Event-ID: 3\r\n", NULL);
	assert_true(read_until(fd, &resumed, "event: ended"));
	assert_null(memmem(resumed.data, resumed.len, "id: 3\n", 6));
	assert_non_null(memmem(resumed.data, resumed.len, "id: 4\n", 6));
	close(fd);
	buf_done(&got);
	buf_done(&resumed);
}

/* Streams and waits that are open when the daemon stops end, and don't hold it up. */
static void test_stop(void **state)
{
	struct fixture *f = *state;
	int stream, wait, log;
	struct buf got = {0};

	submit_job(f, 1, "x");
	wait_state(f, 1, JOB_ACTIVE);
	stream = send_request("GET /v1/events", "", NULL);
	wait = send_request("GET /v1/jobs/1/wait?timeout_s=300", "", NULL);
	log = send_request("GET /v1/jobs/1/logs?follow=true", "", NULL);
	assert_true(read_until(stream, &got, "still here"));
	got.len = 0;
	assert_true(read_until(log, &got, "output of 1.1"));
	host_stop(f->host);
	api = api_stop(api);
	got.len = 0;
	assert_true(read_until(wait, &got, " 202 "));
	assert_false(read_until(stream, &got, "never sent"));
	assert_false(read_until(log, &got, "never sent"));
	close(stream);
	close(wait);
	close(log);
	buf_done(&got);
}

static struct service_call operator_call(struct fixture *f, struct service_call call)
{
	struct waited w = {.call = call};

	waited_begin(f, &w);
	waited_end(&w);
	return w.call;
}

static const json_t *node_at(const struct answer *a, size_t place)
{
	return json_array_get(json_object_get(a->json, "nodes"), place);
}

static const char *node_field(const struct answer *a, size_t place, const char *name)
{
	const char *text = json_string_value(json_object_get(node_at(a, place), name));

	return text ? text : "";
}

/* The centre of these tests is called "..", which a path says with percent signs. */
static void test_nodes(void **state)
{
	static const struct {
		const char *line, *headers, *body;
		int status;
		const char *field;
	} bad[] = {
		{"POST /v1/nodes/%2e%2e/0/cordon", "", NULL, 401, "Authorization"},
		{"POST /v1/nodes/%2e%2e/0/cordon", BEARER, "{}", 415, "Content-Type"},
		{"POST /v1/nodes/%2e%2e/0/cordon", BEARER "Content-Type: text/plain\r\n", "{}", 415, "Content-Type"},
		{"POST /v1/nodes/%2e%2e/0/cordon?note=x", BEARER, NULL, 400, "note"},
		{"POST /v1/nodes/%2e%2e/x/cordon", BEARER, NULL, 422, "number"},
		{"POST /v1/nodes/%2e%2e/-1/cordon", BEARER, NULL, 422, "number"},
		{"POST /v1/nodes/%2e%2e/4000000/cordon", BEARER, NULL, 422, "number"},
		{"POST /v1/nodes/%2e%2e/4/cordon", BEARER, NULL, 404, "nodes"},
		{"POST /v1/nodes/nowhere/0/cordon", BEARER, NULL, 404, "centre"},
		{"POST /v1/nodes/%ff/0/cordon", BEARER, NULL, 404, "centre"},
		{"POST /v1/nodes/%2e%2e/0/cordon", WRITE, "{\"last\": 4}", 404, "nodes"},
		{"POST /v1/nodes/%2e%2e/2/cordon", WRITE, "{\"last\": 1}", 422, "last"},
		{"POST /v1/nodes/%2e%2e/2/cordon", WRITE, "{\"lats\": 1}", 422, "lats"},
		{"POST /v1/nodes/%2e%2e/2/cordon", WRITE, "{", 400, NULL},
		{"POST /v1/nodes/%2e%2e/2/drain", BEARER, NULL, 404, "path"},
		{"GET /v1/nodes/%2e%2e/2/cordon", BEARER, NULL, 405, "path"},
		{"POST /v1/nodes/%2e%2e%00/2/cordon", BEARER, NULL, 400, "path"},
		{"POST /v1/nodes/a%2f2/cordon", BEARER, NULL, 404, NULL},
	};
	struct answer a = {0};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ask(&a, bad[i].line, bad[i].headers, bad[i].body);
		if (a.status != bad[i].status || (bad[i].field && strcmp(field(&a, "field"), bad[i].field) != 0))
			fail_msg("%s: %d, expected %d: %s", bad[i].line, a.status, bad[i].status, a.body);
	}
	ask(&a, "POST /v1/nodes/%2e%2e/1/cordon", WRITE, "{\"last\": 2, \"note\": \"why\"}");
	assert_int_equal(a.status, 200);
	assert_string_equal(field(&a, "nodes"), "1-2");
	ask(&a, "POST /v1/nodes/%2e%2e/3/down", BEARER, NULL);
	assert_int_equal(a.status, 200);
	ask(&a, "GET /v1/nodes", "", NULL);
	assert_string_equal(node_field(&a, 0, "state"), "up");
	assert_string_equal(node_field(&a, 1, "state"), "cordoned");
	assert_string_equal(node_field(&a, 2, "note"), "why");
	assert_string_equal(node_field(&a, 3, "state"), "down");
	ask(&a, "GET /metrics", "", NULL);
	assert_non_null(
		strstr(a.body, "\nsuan_nodes{state=\"up\"} 1\nsuan_nodes{state=\"cordoned\"} 2\nsuan_nodes{state=\"down\"} 1\n"));
	ask(&a, "POST /v1/nodes/%2e%2e/2/uncordon", WRITE, "{\"last\": 3}");
	assert_int_equal(a.status, 409);
	ask(&a, "POST /v1/nodes/%2e%2e/1/uncordon", WRITE, "{\"last\": 2}");
	assert_int_equal(a.status, 200);
	ask(&a, "POST /v1/nodes/%2e%2e/3/up", BEARER, NULL);
	assert_int_equal(a.status, 200);
	ask(&a, "GET /v1/nodes", "", NULL);
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(node_field(&a, i, "state"), "up");
	json_decref(a.json);
}

static void test_bookings(void **state)
{
	static const struct node_range last_node = {3, 3};
	struct fixture *f = *state;
	const struct booking_spec spec = {.name = "later",
	                                  .centre = "..",
	                                  .ranges = &last_node,
	                                  .n_ranges = 1,
	                                  .from_us = f->service->ops->now(f->service),
	                                  .until_us = US_NEVER};
	struct answer a = {0};

	ask(&a, "POST /v1/bookings", BEARER, NULL);
	assert_int_equal(a.status, 415);
	ask(&a, "POST /v1/bookings", WRITE, "");
	assert_int_equal(a.status, 400);
	assert_string_equal(field(&a, "field"), "body");
	ask(&a, "POST /v1/bookings", WRITE, "{\"centre\": \"..\", \"nodes\": \"0,2\", \"project\": \"p\", \"until\": \"+1h\"}");
	assert_int_equal(a.status, 201);
	assert_int_equal(number(&a, "id"), 1);
	assert_string_equal(field(&a, "project"), "p");
	assert_string_equal(field(&a, "nodes"), "0,2");
	assert_int_equal(strlen(field(&a, "from")), 24);
	ask(&a, "POST /v1/bookings", WRITE, "{\"centre\": \"..\", \"nodes\": \"2-3\", \"project\": \"q\", \"until\": \"+1h\"}");
	assert_int_equal(a.status, 409);
	assert_string_equal(field(&a, "field"), "nodes");
	assert_int_equal(operator_call(f, (struct service_call){.type = SERVICE_BOOK, .book = &spec}).booking, 2);
	ask(&a, "GET /v1/bookings", "", NULL);
	assert_int_equal(json_array_size(json_object_get(a.json, "bookings")), 2);
	ask(&a, "GET /v1/nodes", "", NULL);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(node_at(&a, 2), "booking"), "id")), 1);
	assert_true(json_is_null(json_object_get(node_at(&a, 1), "booking")));
	ask(&a, "POST /v1/jobs?dry_run=true", WRITE, gang);
	assert_int_equal(a.status, 200);
	assert_string_not_equal(field(&a, "text"), "it would start at once");
	ask(&a, "DELETE /v1/bookings/1", "", NULL);
	assert_int_equal(a.status, 401);
	ask(&a, "DELETE /v1/bookings/1", BEARER, NULL);
	assert_int_equal(a.status, 200);
	ask(&a, "DELETE /v1/bookings/1", BEARER, NULL);
	assert_int_equal(a.status, 404);
	assert_int_equal(operator_call(f, (struct service_call){.type = SERVICE_UNBOOK, .booking = 2}).code, 0);
	ask(&a, "POST /v1/jobs", WRITE, gang);
	wait_state(f, (uint32_t)number(&a, "id"), JOB_ACTIVE);
	json_decref(a.json);
}

/* What operators did is told as it is committed. */
static void test_operators_stream(void **state)
{
	struct buf got = {0};
	struct answer a = {0};
	int fd = send_request("GET /v1/events", "", NULL);

	(void)state;
	ask(&a, "POST /v1/nodes/%2e%2e/0/cordon", WRITE, "{\"last\": 1, \"note\": \"n\"}");
	ask(&a, "POST /v1/bookings", WRITE, "{\"centre\": \"..\", \"nodes\": \"0-1,3\", \"name\": \"b\"}");
	ask(&a, "DELETE /v1/bookings/1", BEARER, NULL);
	close(fd);
	fd = send_request("GET /v1/events?since=0", "", NULL);
	assert_true(read_until(fd, &got, "\"type\":\"unbooked\",\"booking\":1,\"cause\":\"cancel\""));
	buf_put_u8(&got, 0);
	assert_non_null(
		strstr((char *)got.data, "\"type\":\"node\",\"centre\":\"..\",\"nodes\":\"0-1\",\"state\":\"cordoned\",\"note\":\"n\""));
	assert_non_null(
		strstr((char *)got.data,
	           "\"type\":\"booked\",\"booking\":1,\"name\":\"b\",\"project\":null,\"centre\":\"..\",\"nodes\":\"0-1,3\""));
	close(fd);
	buf_done(&got);
	json_decref(a.json);
}

static void test_projects(void **state)
{
	struct fixture *f = *state;
	struct answer a = {0};
	const json_t *project, *held;

	submit_job(f, 2, "x");
	wait_state(f, 1, JOB_ACTIVE);
	ask(&a, "GET /v1/projects", "", NULL);
	project = json_array_get(json_object_get(a.json, "projects"), 0);
	held = json_array_get(json_object_get(project, "held"), 0);
	assert_string_equal(json_string_value(json_object_get(project, "name")), "p");
	assert_true(json_is_null(json_object_get(project, "parent")));
	assert_true(json_is_number(json_object_get(project, "share")));
	assert_string_equal(json_string_value(json_object_get(held, "kind")), "k");
	assert_int_equal(json_integer_value(json_object_get(held, "cards")), 16);
	ask(&a, "GET /v1/jobs/1", "", NULL);
	assert_true(json_is_null(json_object_get(a.json, "reservation")));
	assert_true(json_is_number(json_object_get(a.json, "attained_card_s")));
	submit_job(f, 4, "x");
	ask(&a, "GET /v1/jobs/2", "", NULL);
	assert_string_equal(json_string_value(json_object_get(json_object_get(a.json, "reservation"), "cause")), "first");
	assert_int_equal(strlen(json_string_value(json_object_get(json_object_get(a.json, "reservation"), "start_at"))), 24);
	assert_true(json_is_array(json_object_get(json_object_get(a.json, "reservation"), "preempts")));
	ask(&a, "GET /v1/jobs/2/explain", "", NULL);
	assert_string_equal(json_string_value(json_object_get(json_object_get(a.json, "reservation"), "cause")), "first");
	json_decref(a.json);
}

static void test_metrics(void **state)
{
	struct fixture *f = *state;
	struct answer a = {0};
	size_t len;

	submit_job(f, 4, "x");
	wait_state(f, 1, JOB_ACTIVE);
	ask(&a, "GET /metrics", "", NULL);
	assert_non_null(strstr(a.text, "application/openmetrics-text"));
	assert_non_null(strstr(a.body, "\nsuan_jobs{state=\"active\"} 1\n"));
	assert_non_null(strstr(a.body, "suan_cards_free{centre=\"..\",kind=\"k\",simulated=\"0\"} 0\n"));
	len = strlen(a.body);
	assert_string_equal(a.body + len - 6, "# EOF\n");
	ask(&a, "GET /v1/pool", "", NULL);
	assert_int_equal(number(&a, "cards"), 32);
	assert_int_equal(number(&a, "free_cards"), 0);
	assert_int_equal(strlen(field(&a, "state_digest")), 64);
	json_decref(a.json);
}

/* ---- What comes to the door (door.c) ---- */

/* Sends the text in pieces of `piece` bytes, and says that nothing follows. */
static void send_pieces(struct answer *a, const char *text, size_t piece)
{
	int fd = dial();

	for (size_t at = 0, len = strlen(text); at < len; at += piece) {
		assert_true(send(fd, text + at, at + piece < len ? piece : len - at, MSG_NOSIGNAL) > 0);
		if (piece < len)
			usleep(1000);
	}
	shutdown(fd, SHUT_WR);
	read_answer(fd, a);
}

static void test_pieces(void **state)
{
	struct answer a = {0};
	char text[512];

	(void)state;
	snprintf(text, sizeof text, "POST /v1/jobs HTTP/1.1\r\nHost: localhost:%u\r\n" WRITE "Content-Length: %zu\r\n\r\n%s",
	         api_port(api), strlen(half), half);
	for (size_t piece = 1; piece < 600; piece *= 7) {
		send_pieces(&a, text, piece);
		assert_int_equal(a.status, 201);
	}
	text[strlen(text) - 1] = 0; /* its last byte doesn't come */
	for (size_t piece = 1; piece < 600; piece *= 7) {
		send_pieces(&a, text, piece);
		assert_int_equal(a.status, 400);
		assert_string_equal(field(&a, "field"), "body");
	}
	json_decref(a.json);
}

/* The API stops while somebody stands at the door, and another is told what is wrong. */
static void test_stop_at_the_door(void **state)
{
	int waiting = dial(), refused = dial();
	struct fixture *f = *state;
	char answer[1024];

	dprintf(waiting, "GET /livez HT");
	dprintf(refused, "\n");
	assert_true(recv(refused, answer, sizeof answer, 0) > 0);
	host_stop(f->host);
	api = api_stop(api);
	assert_true(recv(waiting, answer, sizeof answer, 0) <= 0); /* reset, for what it sent wasn't taken */
	assert_true(recv(refused, answer, sizeof answer, 0) <= 0);
	close(waiting);
	close(refused);
}

/* A body is given more time than a head. Who is late is told where the request ended; who said nothing isn't. */
static void test_slow(void **state)
{
	struct answer a = {0};
	int fd = dial(), half_head = dial(), silent = dial();

	(void)state;
	dprintf(half_head, "GET /livez HT");
	dprintf(fd,
	        "POST /v1/jobs?dry_run=true HTTP/1.1\r\nHost: localhost:%u\r\nConnection: close\r\n" WRITE
	        "Content-Length: %zu\r\n\r\n%.3s",
	        api_port(api), strlen(half), half);
	sleep(12);
	dprintf(fd, "%s", half + 3);
	read_answer(fd, &a);
	assert_int_equal(a.status, 200);
	read_answer(half_head, &a);
	assert_int_equal(a.status, 408);
	assert_string_equal(field(&a, "field"), "headers");
	assert_non_null(strstr(a.body, "ends at byte 13:"));
	assert_int_equal(recv(silent, a.text, 1, 0), 0);
	close(silent);
	json_decref(a.json);
}

/* Who is told what is wrong can read it, also where more was sent than anybody read, and is counted. */
static void test_told(void **state)
{
	static char rest[200000];
	struct answer a = {0};
	int fd = dial();

	(void)state;
	memset(rest, 'x', sizeof rest);
	dprintf(fd, "BREW\t/coffee\r\n");
	send(fd, rest, sizeof rest, MSG_NOSIGNAL);
	read_answer(fd, &a);
	assert_int_equal(a.status, 400);
	assert_string_equal(field(&a, "field"), "method");
	assert_string_equal(field(&a, "type"), "urn:suan:problem:invalid");
	assert_non_null(strstr(a.text, "\r\nConnection: close\r\n"));
	fd = dial();
	dprintf(fd, "HEAD / HTTP/1.1\r\n\r\n");
	read_answer(fd, &a);
	assert_int_equal(a.status, 400);
	assert_string_equal(a.body, "");
	ask(&a, "GET /metrics", "", NULL);
	assert_non_null(strstr(a.body, "status=\"400\"} 2\n"));
	json_decref(a.json);
}

/* Once it is in, a connection is libmicrohttpd's: it answers one request after the other, and refuses what isn't one. */
static void test_kept_connection(void **state)
{
	struct answer a = {0};
	int fd = dial();
	char *second;

	(void)state;
	for (int i = 0; i < 2; i++)
		dprintf(fd, "GET /livez HTTP/1.1\r\nHost: localhost:%u\r\n\r\n", api_port(api));
	dprintf(fd, "GET /livez HTTP/1.1\r\nHost\r\n\r\n");
	shutdown(fd, SHUT_WR);
	read_answer(fd, &a);
	assert_int_equal(a.status, 200);
	second = strstr(a.body, "HTTP/1.1 200 ");
	assert_non_null(second);
	assert_non_null(strstr(second, "HTTP/1.1 400 "));
	json_decref(a.json);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up_api, tear_down_api)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(test_doors),
	                                   TEST(test_hosts),
	                                   TEST(test_large),
	                                   TEST(test_submit),
	                                   TEST(test_batch),
	                                   TEST(test_pages),
	                                   TEST(test_wait),
	                                   TEST(test_stream),
	                                   TEST(test_stop),
	                                   TEST(test_metrics),
	                                   TEST(test_nodes),
	                                   TEST(test_bookings),
	                                   TEST(test_operators_stream),
	                                   TEST(test_projects),
	                                   TEST(test_pieces),
	                                   TEST(test_stop_at_the_door),
	                                   TEST(test_slow),
	                                   TEST(test_told),
	                                   TEST(test_kept_connection)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
