/* SPDX-License-Identifier: Apache-2.0
 * fuzz_http.c: the bytes of a connection, given to the API as it serves them, over a pair of sockets and in one thread: nothing
 * listens, nothing waits. Behind the API stands a core with a job that runs, one that waits and an array, made anew after each
 * input that changed it.
 *
 * "Content-Length: *" stands for the length of what follows the head, so that a change of a body need not know of its length.
 * What the door refuses must be named. Of what it lets in, an answer must come, be none of 5xx, and where it refuses, be a
 * problem document that says what and where: libmicrohttpd finds nothing more to refuse by itself. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/inside.h"
#include "fuzz.h"

enum { TURNS_MAX = 100000, ANSWER_MAX = 8 << 20 };

/* ---- The service: a core, and the batch that made it ---- */

static struct {
	struct service service;
	struct core *core;
	struct step step;
	bool changed;
} host;

static const struct request_spec on_a = {.kind = "a", .cards_milli = 8000, .speed_milli = 1000};

static void submit(uint32_t nodes, const struct range *array)
{
	struct group_spec group = {.nodes = nodes, .requests = &on_a, .n_requests = 1, .highest = TIER_CENTRE, .hard = true};
	struct job_spec spec = {.name = "job",
	                        .project = "p",
	                        .user = "u",
	                        .groups = &group,
	                        .n_groups = 1,
	                        .priority = JOB_PRIORITY_DEFAULT,
	                        .limit_us = 3600 * US_SECOND,
	                        .array = array,
	                        .n_array = array ? 1 : 0,
	                        .preemptible_after_us = US_NEVER};

	fuzz_step(host.core, &(struct input){.type = INPUT_SUBMIT, .now_us = FUZZ_NOW_US, .who = "u", .submit.spec = &spec},
	          &host.step);
}

static void make_core(void)
{
	struct input running = {
		.type = INPUT_REPORT, .now_us = FUZZ_NOW_US, .report = {.job = 1, .attempt = 1, .state = ATTEMPT_RUNNING}};

	step_done(&host.step);
	host.step = (struct step){0};
	host.core = core_free(host.core);
	host.core = fuzz_core(&host.step);
	submit(2, NULL);
	fuzz_step(host.core, &running, &host.step);
	submit(3, NULL);
	submit(1, &(struct range){.first = 0, .last = 9, .step = 1});
	host.changed = false;
}

static void take_other(struct service_call *call, struct input *input)
{
	switch (call->type) {
	case SERVICE_SUBMIT: return;
	case SERVICE_CANCEL:
		input->type = INPUT_CANCEL;
		input->cancel.job = call->job;
		break;
	case SERVICE_NODE:
		input->type = INPUT_NODE;
		input->node.centre = call->node.centre;
		input->node.range = call->node.range;
		input->node.state = call->node.state;
		input->node.note = call->node.note;
		break;
	case SERVICE_BOOK:
		input->type = INPUT_BOOK;
		input->book = call->book;
		break;
	case SERVICE_UNBOOK:
		input->type = INPUT_UNBOOK;
		input->unbook.booking = call->booking;
		break;
	}
	call->code = core_step(host.core, input, &host.step, &call->err);
	if (!call->code && call->type == SERVICE_BOOK)
		call->booking = host.step.job;
}

static void take_call(struct service *service, struct service_call *call)
{
	struct input input = {.type = INPUT_SUBMIT, .now_us = FUZZ_NOW_US, .who = call->who};

	(void)service;
	step_reset(&host.step);
	host.changed = true;
	call->code = 0;
	for (uint32_t i = 0; call->type == SERVICE_SUBMIT && i < call->n_items; i++) {
		struct service_item *item = &call->items[i];

		input.submit.spec = item->spec;
		input.submit.idempotency = item->idempotency;
		item->code = core_step(host.core, &input, &host.step, &item->err);
		item->job = host.step.job;
		item->repeated = host.step.repeated;
	}
	if (call->type != SERVICE_SUBMIT)
		take_other(call, &input);
	fuzz_step(host.core, &(struct input){.type = INPUT_CLOCK, .now_us = FUZZ_NOW_US}, &host.step);
	core_check(host.core);
	call->done(call);
}

static const struct core *read_begin(struct service *service, bool alone)
{
	(void)service;
	(void)alone;
	return host.core;
}

static void read_end(struct service *service)
{
	(void)service;
}

static int read_events(struct service *service, uint64_t from, int (*visit)(void *ctx, const struct batch *batch), void *ctx,
                       struct err *err)
{
	struct batch batch = {.sequence = 1,
	                      .n_events = host.step.n_events,
	                      .at_us = host.step.last_us,
	                      .events = host.step.events.data,
	                      .len = host.step.events.len};

	(void)service;
	(void)err;
	return from <= host.step.n_events ? visit(ctx, &batch) : 0;
}

static void watch(struct service *service, void (*changed)(void *ctx), void *ctx)
{
	(void)service;
	(void)changed;
	(void)ctx;
}

static int log_open(struct service *service, uint32_t job, uint32_t attempt, uint32_t rank, int *ret_fd, struct err *err)
{
	int fd;

	(void)service;
	if (job != 1 || attempt != 1 || rank > 1)
		return err_set(err, ERR_NOT_FOUND, "id", "%u: no output", job);
	fd = memfd_create("log", MFD_CLOEXEC);
	CHECK(fd >= 0 && write(fd, "hello\n", 6) == 6);
	*ret_fd = fd;
	return 0;
}

static int history(struct service *service, const struct past_query *query, int (*visit)(void *ctx, const struct past_job *job),
                   void *ctx, struct err *err)
{
	(void)service;
	(void)query;
	(void)visit;
	(void)ctx;
	(void)err;
	return 0; /* nothing has left the core */
}

static us_t now(struct service *service)
{
	(void)service;
	return FUZZ_NOW_US;
}

static void stats(struct service *service, struct service_stats *ret)
{
	(void)service;
	*ret = (struct service_stats){.commits = 1, .events = host.step.n_events};
}

static const struct service_ops ops = {.call = take_call,
                                       .read_begin = read_begin,
                                       .read_end = read_end,
                                       .events = read_events,
                                       .watch = watch,
                                       .log_open = log_open,
                                       .history = history,
                                       .now = now,
                                       .stats = stats};

/* ---- The server: the API's own handlers; it stops already, so that what would wait is answered ---- */

static struct api api;
static struct MHD_Daemon *mhd;

static void start_server(void)
{
	struct err err;

	host.service.ops = &ops;
	api.config = (struct api_config){.service = &host.service,
	                                 .address = "127.0.0.1",
	                                 .port = 7480,
	                                 .token = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
	                                 .user = "me"};
	api.service = &host.service;
	api.port = 7480;
	strcpy(api.host, "127.0.0.1");
	strcpy(api.url, "http://127.0.0.1:7480");
	api.digest_sequence = UINT64_MAX;
	pthread_mutex_init(&api.digest_lock, NULL);
	CHECK(waits_start(&api, &err) == 0);
	waits_stop(&api.waits, &host.service);
	mhd = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, on_request, &api,
	                       MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_STRICT_FOR_CLIENT, 1,
	                       MHD_OPTION_URI_LOG_CALLBACK, on_first_line, &api, MHD_OPTION_NOTIFY_COMPLETED, on_completed, &api,
	                       MHD_OPTION_END);
	CHECK(mhd);
}

static int connect_client(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(50000), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int ends[2];

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends));
	CHECK(MHD_add_connection(mhd, ends[1], (struct sockaddr *)&address, sizeof address) == MHD_YES);
	return ends[0];
}

/* Sends all, says that nothing follows, and reads until the server closes. */
static void converse(int fd, const struct buf *request, struct buf *answer)
{
	size_t sent = 0;
	char piece[16384];
	ssize_t n = -1;

	for (int turn = 0; n; turn++) {
		CHECK(turn < TURNS_MAX);
		if (sent < request->len && (n = send(fd, request->data + sent, request->len - sent, MSG_NOSIGNAL)) > 0)
			sent += (size_t)n;
		if (sent == request->len)
			shutdown(fd, SHUT_WR);
		CHECK(MHD_run(mhd) == MHD_YES);
		n = recv(fd, piece, sizeof piece, 0);
		if (n > 0)
			buf_put(answer, piece, (size_t)n);
		CHECK(answer->len < ANSWER_MAX);
		if (n < 0 && errno != EAGAIN)
			break;
	}
}

/* ---- What is sent, and what must come back ---- */

static struct buf request_of(const uint8_t *data, size_t size)
{
	static const char mark[] = "Content-Length: *\r\n";
	const uint8_t *head_end = size ? memmem(data, size, "\r\n\r\n", 4) : NULL;
	const uint8_t *at = head_end ? memmem(data, (size_t)(head_end - data) + 2, mark, sizeof mark - 1) : NULL;
	struct buf text = {0};

	if (at) {
		buf_put(&text, data, (size_t)(at - data));
		buf_printf(&text, "Content-Length: %zu\r\n", size - (size_t)(head_end + 4 - data));
		size -= (size_t)(at - data) + sizeof mark - 1;
		data = at + sizeof mark - 1;
	}
	if (size)
		buf_put(&text, data, size);
	return text;
}

/* What server.c would do with it. */
static bool may_come_in(const struct buf *request)
{
	size_t len = request->len < HEAD_MAX ? request->len : HEAD_MAX;
	unsigned status = 0;
	struct err err = {0};
	int code = len ? head_check((const char *)request->data, len, true, &err, &status) : 0;

	CHECK(code >= 0 || (err.subject[0] && err.text[0] && status >= 400 && status < 500));
	CHECK(code == HEAD_READY || code < 0 || !len); /* for nothing follows */
	return code == HEAD_READY;
}

static void check_problem(const char *body, size_t len, int status)
{
	json_t *json = json_loadb(body, len, 0, NULL);
	const char *detail = json_string_value(json_object_get(json, "detail"));

	CHECK(json);
	CHECK(json_integer_value(json_object_get(json, "status")) == status);
	CHECK(detail && *detail);
	json_decref(json);
}

/* The value of a field of the answer's head, or NULL. */
static const char *field_of(const char *head, const char *name)
{
	const char *at = strcasestr(head, name);

	return at ? at + strlen(name) : NULL;
}

/* Only the first answer is looked at: where it ends depends on what was asked. */
static void check_answer(struct buf *answer, bool is_whole)
{
	char *text, *body;
	const char *type, *length;
	int status;

	CHECK(answer->len || !is_whole);
	if (!answer->len)
		return;
	buf_put(answer, "", 1);
	text = (char *)answer->data;
	CHECK(!strncmp(text, "HTTP/1.", 7) && text[8] == ' ');
	status = atoi(text + 9);
	CHECK(status >= 100 && status < 500);
	body = strstr(text, "\r\n\r\n");
	CHECK(body);
	*body = 0;
	body += 4;
	type = field_of(text, "\r\nContent-Type: ");
	length = field_of(text, "\r\nContent-Length: ");
	if (status < 400 || !is_whole)
		return;
	CHECK(type && !strncmp(type, "application/problem+json", 24));
	CHECK(length);
	if (*body == '{') /* an answer to HEAD has none */
		check_problem(body, strtoul(length, NULL, 10), status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf request = request_of(data, size), answer = {0};
	bool is_whole = request.len < HEAD_MAX;
	int fd;

	if (!mhd)
		start_server();
	if (!host.core || host.changed)
		make_core();
	if (!may_come_in(&request)) {
		buf_done(&request);
		return 0;
	}
	fd = connect_client();
	converse(fd, &request, &answer);
	close(fd);
	while (atomic_load(&api.exchanges))
		MHD_run(mhd);
	check_answer(&answer, is_whole);
	buf_done(&request);
	buf_done(&answer);
	return 0;
}
