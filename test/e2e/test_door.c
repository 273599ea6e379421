/* SPDX-License-Identifier: Apache-2.0
 * test_door.c: the daemon's door under people who mean no good: malformed requests, clients that never finish, more connections
 * than it has places for, floods of requests. A daemon of its own, on a port of its own, and a client by epoll. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	HALF_OPEN = 2000,
	HONEST = 100,
	HONEST_ROUNDS = 10,
	SLOW = 20,       /* of each sort */
	CROWD = 4300,    /* more than the daemon takes at once */
	FLOOD = 32,      /* connections that send all the time */
	FLOOD_MS = 4000, /* for so long */
	SLOW_MS = 1000,  /* a byte a second */
};

static const char pool_text[] = "pool: door\n"
								"centres:\n"
								"  - {name: here, engine: {type: local}, nodes: [{count: 2, kind: cpu-core, cards: 2}]}\n";

static char dir[64], token[128];
static uint16_t port;
static pid_t daemon_pid;

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- The daemon ---- */

static void write_text(const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void read_text(const char *path, char *ret, size_t size)
{
	FILE *file = fopen(path, "r");
	size_t n;

	assert_non_null(file);
	n = fread(ret, 1, size - 1, file);
	fclose(file);
	ret[n] = 0;
	ret[strcspn(ret, "\n")] = 0;
}

static _Noreturn void run_daemon(int out)
{
	char program[512], pool[128], state[128], log[128];
	int fd;

	snprintf(program, sizeof program, "%s/suand", getenv("SUAN_BUILD"));
	snprintf(pool, sizeof pool, "%s/pool.yaml", dir);
	snprintf(state, sizeof state, "%s/state", dir);
	snprintf(log, sizeof log, "%s/log", dir);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	dup2(out, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	setenv("HOME", dir, 1);
	unsetenv("XDG_CONFIG_HOME");
	execl(program, program, "--pool", pool, "--state", state, "--listen", "127.0.0.1:0", NULL);
	_exit(127);
}

static int start_daemon(void **state)
{
	char line[256] = "", path[128];
	int out[2];
	FILE *said;

	(void)state;
	assert_non_null(getenv("SUAN_BUILD"));
	snprintf(dir, sizeof dir, "/tmp/suan-door-XXXXXX");
	assert_non_null(mkdtemp(dir));
	write_text("pool.yaml", pool_text);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	daemon_pid = fork();
	if (daemon_pid == 0)
		run_daemon(out[1]);
	close(out[1]);
	said = fdopen(out[0], "r");
	assert_non_null(fgets(line, sizeof line, said));
	fclose(said);
	assert_int_equal(sscanf(line, "listening on http://127.0.0.1:%hu", &port), 1);
	snprintf(path, sizeof path, "%s/state/token", dir);
	read_text(path, token, sizeof token);
	return 0;
}

static int stop_daemon(void **state)
{
	char command[128];
	int status;

	(void)state;
	kill(daemon_pid, SIGTERM);
	assert_int_equal(waitpid(daemon_pid, &status, 0), daemon_pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command);
}

/* In KiB. */
static long daemon_memory(void)
{
	char path[64], line[256];
	long kib = -1;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/status", daemon_pid);
	file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof line, file))
		sscanf(line, "VmRSS: %ld", &kib);
	fclose(file);
	assert_true(kib > 0);
	return kib;
}

/* ---- A client ---- */

static int dial(int flags)
{
	struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&where, sizeof where) != 0)
		assert_int_equal(errno, EINPROGRESS);
	return fd;
}

static int send_text(int fd, const char *text, size_t len)
{
	return (int)send(fd, text, len, MSG_NOSIGNAL);
}

/* Reads to the end; the bytes are terminated. */
static size_t read_all(int fd, char *ret, size_t size, int patience_ms)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	size_t len = 0;
	ssize_t n = 1;

	while (n > 0 && len < size - 1 && poll(&ready, 1, patience_ms) == 1) {
		n = recv(fd, ret + len, size - 1 - len, 0);
		len += n > 0 ? (size_t)n : 0;
	}
	ret[len] = 0;
	return len;
}

static int status_of(const char *answer)
{
	int status = 0;

	return sscanf(answer, "HTTP/1.1 %d", &status) == 1 ? status : 0;
}

/* One request, its headers given whole but for Host, Authorization and Connection. Returns its status; 0: none came. */
static int ask(const char *line, const char *headers, const char *body, char *answer, size_t size)
{
	char text[8192];
	int fd = dial(0), len;

	len = snprintf(text, sizeof text,
	               "%s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: close\r\nAuthorization: Bearer %s\r\n%s\r\n%s", line, port,
	               token, headers, body);
	assert_int_equal(send_text(fd, text, (size_t)len), len);
	read_all(fd, answer, size, 20000);
	close(fd);
	return status_of(answer);
}

static int submit(const char *body, char *answer, size_t size)
{
	char headers[128];

	snprintf(headers, sizeof headers, "Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(body));
	return ask("POST /v1/jobs", headers, body, answer, size);
}

/* ---- Requests that aren't any ---- */

static const char tiny_job[] = "{\"run\":\"true\",\"resources\":{\"accelerators\":\"cpu-core:1\"}}";

/* HOST stands for a good Host header, AUTH for the token, JOB for a job and LEN for its length. */
static const struct {
	const char *what, *request;
	int status;
	const char *at; /* what its problem document names */
} malformed[] = {
	{"no host", "GET /livez HTTP/1.1\r\n\r\n", 400, "Host"},
	{"another host", "GET /livez HTTP/1.1\r\nHost: evil.example:80\r\n\r\n", 403, "Host"},
	{"our host, no port", "GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 403, "Host"},
	{"two hosts", "GET /livez HTTP/1.1\r\nHOST\r\nHost: evil.example\r\n\r\n", 400, "Host"},
	{"two tokens", "POST /v1/jobs HTTP/1.1\r\nHOST\r\nAUTH\r\nAuthorization: Bearer x\r\nContent-Length: 0\r\n\r\n", 400,
     "Authorization"},
	{"origin null", "GET /livez HTTP/1.1\r\nHOST\r\nOrigin: null\r\n\r\n", 403, "Origin"},
	{"origin of another port", "GET /livez HTTP/1.1\r\nHOST\r\nOrigin: http://127.0.0.1:1\r\n\r\n", 403, "Origin"},
	{"origin of another scheme", "GET /livez HTTP/1.1\r\nHOST\r\nOrigin: https://PORT\r\n\r\n", 403, "Origin"},
	{"another site's target", "GET http://evil.example/livez HTTP/1.1\r\nHOST\r\n\r\n", 403, "path"},
	{"a tunnel", "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHOST\r\n\r\n", 403, "path"},
	{"a star", "OPTIONS * HTTP/1.1\r\nHOST\r\n\r\n", 403, "path"},
	{"an escaped slash", "GET /v1%2fpool HTTP/1.1\r\nHOST\r\n\r\n", 400, "path"},
	{"a zero byte in the path", "GET /livez%00x HTTP/1.1\r\nHOST\r\n\r\n", 400, "path"},
	{"a zero byte in a query", "GET /v1/jobs?limit=1%00x HTTP/1.1\r\nHOST\r\n\r\n", 400, "path"},
	{"up", "GET /v1/../livez HTTP/1.1\r\nHOST\r\n\r\n", 404, "path"},
	{"two slashes", "GET //livez HTTP/1.1\r\nHOST\r\n\r\n", 404, "path"},
	{"an unknown method", "BREW /v1/pool HTTP/1.1\r\nHOST\r\n\r\n", 405, "path"},
	{"trace", "TRACE /v1/pool HTTP/1.1\r\nHOST\r\n\r\n", 405, "path"},
	{"options", "OPTIONS /v1/jobs HTTP/1.1\r\nHOST\r\n\r\n", 405, "path"},
	{"HTTP/1.2", "GET /livez HTTP/1.2\r\nHOST\r\n\r\n", 400, "version"},
	{"HTTP/2.0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "version"},
	{"no version", "GET /livez\r\n\r\n", 400, "path"},
	{"a version in small letters", "GET /livez http/1.1\r\nHOST\r\n\r\n", 400, "version"},
	{"two blanks", "GET  /livez HTTP/1.1\r\nHOST\r\n\r\n", 400, "path"},
	{"a blank in a path", "GET /live z HTTP/1.1\r\nHOST\r\n\r\n", 400, "version"},
	{"a method that isn't one", "G\xc3T /livez HTTP/1.1\r\nHOST\r\n\r\n", 400, "method"},
	{"a method that doesn't end", "GETGETGETGETGETGETGETGETGETGETGETGET", 400, "method"},
	{"line feeds alone", "GET /livez HTTP/1.1\nHOST\n\n", 400, "version"},
	{"a line feed alone after a header", "GET /livez HTTP/1.1\r\nHOST\nX: y\r\n\r\n", 400, "headers"},
	{"a header without a colon", "GET /livez HTTP/1.1\r\nHOST\r\nX\r\n\r\n", 400, "headers"},
	{"a header without a name", "GET /livez HTTP/1.1\r\nHOST\r\n: x\r\n\r\n", 400, "headers"},
	{"a header on two lines", "GET /livez HTTP/1.1\r\nHOST\r\nX: y\r\n z\r\n\r\n", 400, "headers"},
	{"a control character in a header", "GET /livez HTTP/1.1\r\nHOST\r\nX: \x07\r\n\r\n", 400, "headers"},
	{"a blank before a colon", "GET /livez HTTP/1.1\r\nHost : 127.0.0.1\r\n\r\n", 400, "headers"},
	{"no length", "POST /v1/jobs HTTP/1.1\r\nHOST\r\nAUTH\r\nContent-Length: abc\r\n\r\nJOB", 400, "Content-Length"},
	{"a length below nothing", "POST /v1/jobs HTTP/1.1\r\nHOST\r\nAUTH\r\nContent-Length: -5\r\n\r\nJOB", 400, "Content-Length"},
	{"a length of 22 digits", "POST /v1/jobs HTTP/1.1\r\nHOST\r\nAUTH\r\nContent-Length: 9999999999999999999999\r\n\r\nJOB", 413,
     "Content-Length"},
	{"a length of 9 TB", "POST /v1/jobs HTTP/1.1\r\nHOST\r\nAUTH\r\nContent-Length: 9999999999999\r\n\r\nJOB", 413, "body"},
	{"100 MB announced", "POST /v1/jobs HTTP/1.1\r\nHOST\r\nAUTH\r\nExpect: 100-continue\r\nContent-Length: 100000000\r\n\r\n",
     413, "body"},
	{"two lengths", "POST /v1/jobs HTTP/1.1\r\nHOST\r\nAUTH\r\nContent-Length: LEN\r\nContent-Length: 3\r\n\r\nJOB", 400,
     "Content-Length"},
	{"a length and chunks",
     "POST /v1/jobs HTTP/1.1\r\nHOST\r\nAUTH\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
     "Content-Length"},
	{"another encoding", "POST /v1/jobs HTTP/1.1\r\nHOST\r\nAUTH\r\nTransfer-Encoding: gzip\r\n\r\nJOB", 400,
     "Transfer-Encoding"},
	{"chunks of chunks", "POST /v1/jobs HTTP/1.1\r\nHOST\r\nAUTH\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400,
     "Transfer-Encoding"},
	{"a chunk without a size",
     "POST /v1/jobs HTTP/1.1\r\nHOST\r\nAUTH\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nJOB\r\n0\r\n\r\n", 400, "body"},
	{"a chunk longer than it says",
     "POST /v1/jobs HTTP/1.1\r\nHOST\r\nAUTH\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nJOB\r\n0\r\n\r\n", 400, "body"},
	{"a chunk larger than there are numbers",
     "POST /v1/jobs HTTP/1.1\r\nHOST\r\nAUTH\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nJOB", 413, "body"},
	{"a form",
     "POST /v1/jobs HTTP/1.1\r\nHOST\r\nToken: x\r\nAuthorization: Bearer TOKEN\r\nContent-Type: "
     "application/x-www-form-urlencoded\r\nContent-Length: LEN\r\n\r\nJOB",
     415, "Content-Type"},
	{"the token in capitals", "POST /v1/jobs HTTP/1.1\r\nHOST\r\nAuthorization: Bearer UPPER\r\nContent-Length: LEN\r\n\r\nJOB",
     401, "Authorization"},
	{"half the token", "POST /v1/jobs HTTP/1.1\r\nHOST\r\nAuthorization: Bearer HALF\r\nContent-Length: LEN\r\n\r\nJOB", 401,
     "Authorization"},
	{"TLS", "\x16\x03\x01\x02", 400, "method"},
};

/* Replaces the words that stand for something. */
static void fill_request(const char *template, char *ret, size_t size)
{
	char host[64], auth[192], length[16], ours[32], half[128], upper[128];
	const struct {
		const char *word, *text;
	} words[] = {{"HOST", host}, {"AUTH", auth},   {"JOB", tiny_job}, {"LEN", length},
	             {"PORT", ours}, {"UPPER", upper}, {"HALF", half},    {"TOKEN", token}};
	size_t len = 0;

	snprintf(host, sizeof host, "Host: 127.0.0.1:%u\r\nConnection: close", port);
	snprintf(auth, sizeof auth, "Authorization: Bearer %s\r\nContent-Type: application/json", token);
	snprintf(length, sizeof length, "%zu", strlen(tiny_job));
	snprintf(ours, sizeof ours, "127.0.0.1:%u", port);
	snprintf(half, sizeof half, "%.32s", token);
	snprintf(upper, sizeof upper, "%s", token);
	upper[0] = 'Z';
	while (*template && len < size - 512) {
		size_t i = 0;

		while (i < sizeof words / sizeof *words && strncmp(template, words[i].word, strlen(words[i].word)) != 0)
			i++;
		if (i < sizeof words / sizeof *words) {
			len += (size_t)snprintf(ret + len, size - len, "%s", words[i].text);
			template += strlen(words[i].word);
		} else {
			ret[len++] = *template ++;
		}
	}
	ret[len] = 0;
}

static bool names_field(const char *answer, const char *field)
{
	char expected[64];

	snprintf(expected, sizeof expected, "\"field\":\"%s\"", field);
	return strstr(answer, "application/problem+json") && strstr(answer, expected);
}

static void test_malformed(void **state)
{
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
		char request[4096], answer[8192];
		int fd = dial(0), status;

		fill_request(malformed[i].request, request, sizeof request);
		send_text(fd, request, strlen(request));
		read_all(fd, answer, sizeof answer, 5000);
		close(fd);
		status = status_of(answer);
		if (status == malformed[i].status && names_field(answer, malformed[i].at))
			continue;
		print_message("%s: expected %d and %s, got: %.300s\n", malformed[i].what, malformed[i].status, malformed[i].at, answer);
		wrong++;
	}
	assert_int_equal(wrong, 0);
}

/* What is too large for a connection's memory is refused before anything is done with it. */
static void test_too_large(void **state)
{
	static char request[1 << 20], answer[8192];
	int fd, status;

	(void)state;
	for (int form = 0; form < 3; form++) {
		size_t len = (size_t)snprintf(request, sizeof request,
		                              form == 0 ? "GET /" : "GET /livez HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n", port);

		for (; len < sizeof request - 64; len += form == 2 ? 6 : 1)
			memcpy(request + len, form == 2 ? "X: y\r\n" : "a", form == 2 ? 6 : 1);
		memcpy(request + len, "\r\n\r\n", 4);
		fd = dial(0);
		send_text(fd, request, len + 4);
		read_all(fd, answer, sizeof answer, 5000);
		close(fd);
		status = status_of(answer);
		assert_true(status == 0 || status == 400 || status == 414 || status == 431); /* 0: it closed while we sent */
	}
	assert_int_equal(ask("GET /livez", "", "", answer, sizeof answer), 200);
}

/* What is right, and unusual. */
static void test_unusual(void **state)
{
	char answer[32768], text[1024];
	int fd;

	(void)state;
	snprintf(text, sizeof text, "GET http://127.0.0.1:%u/livez", port);
	assert_int_equal(ask(text, "", "", answer, sizeof answer), 200);
	assert_int_equal(ask("HEAD /v1/pool", "", "", answer, sizeof answer), 200);
	assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
	snprintf(text, sizeof text, "%zx\r\n%s\r\n0\r\n\r\n", strlen(tiny_job), tiny_job);
	assert_int_equal(ask("POST /v1/jobs?dry_run=true", "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n", text,
	                     answer, sizeof answer),
	                 200);
	snprintf(text, sizeof text, "Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: %zu\r\n",
	         strlen(tiny_job));
	assert_int_equal(ask("POST /v1/jobs?dry_run=true", text, tiny_job, answer, sizeof answer), 100);
	assert_non_null(strstr(answer, "HTTP/1.1 200 OK"));
	/* A length that lies: too short, and the rest is a request that isn't one. */
	assert_int_equal(ask("POST /v1/jobs?dry_run=true", "Content-Type: application/json\r\nContent-Length: 5\r\n", tiny_job,
	                     answer, sizeof answer),
	                 400);
	fd = dial(0);
	for (int i = 0; i < 50; i++) {
		int len = snprintf(text, sizeof text, "GET /v1/jobs/%d HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n%s\r\n", 1000 + i, port,
		                   i == 49 ? "Connection: close\r\n" : "");

		assert_int_equal(send_text(fd, text, (size_t)len), len);
	}
	read_all(fd, answer, sizeof answer, 5000);
	close(fd);
	for (int i = 0; i < 50; i++) { /* all are answered, in their order */
		const char *at;

		snprintf(text, sizeof text, "%d: there is no such job", 1000 + i);
		at = strstr(answer, text);
		if (!at)
			print_message("not found: %s in %.600s\n", text, answer);
		assert_non_null(at);
	}
}

/* ---- Clients that never finish, beside some that do ---- */

enum sort { SORT_HALF_OPEN, SORT_SLOW_HEAD, SORT_SLOW_BODY, SORT_HONEST };

struct visitor {
	enum sort sort;
	int fd; /* -1: it is over */
	long opened_ms, closed_ms;
	size_t sent;       /* of a slow one */
	unsigned answered; /* of an honest one: rounds */
	long slowest_ms;
	bool wrong;
	size_t got;
	char head[16];
};

static void visit(struct visitor *v, int epoll)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = v};
	char text[512];
	int len = 0;

	v->fd = dial(0);
	v->opened_ms = now_ms();
	v->got = 0;
	if (v->sort == SORT_HALF_OPEN)
		len = snprintf(text, sizeof text, "GET /v1/pool HTTP/1.1\r\nHost: 127.0");
	else if (v->sort == SORT_SLOW_BODY)
		len = snprintf(text, sizeof text,
		               "POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAuthorization: Bearer %s\r\nContent-Type: "
		               "application/json\r\nContent-Length: 100000\r\n\r\n",
		               port, token);
	else if (v->sort == SORT_HONEST)
		len = snprintf(text, sizeof text, "GET /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: close\r\n\r\n", port);
	assert_int_equal(send_text(v->fd, text, (size_t)len), len);
	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, v->fd, &event), 0);
}

static void leave(struct visitor *v)
{
	close(v->fd);
	v->fd = -1;
	v->closed_ms = now_ms();
}

/* The end of an honest one's answer: the next round. */
static void finish_round(struct visitor *v, int epoll)
{
	long took = now_ms() - v->opened_ms;

	leave(v);
	v->slowest_ms = took > v->slowest_ms ? took : v->slowest_ms;
	v->wrong |= strncmp(v->head, "HTTP/1.1 200", 12) != 0;
	if (++v->answered < HONEST_ROUNDS)
		visit(v, epoll);
}

static void hear(struct visitor *v, int epoll)
{
	char piece[65536];
	ssize_t n = recv(v->fd, piece, sizeof piece, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0 && v->got < sizeof v->head) {
		size_t part = sizeof v->head - v->got < (size_t)n ? sizeof v->head - v->got : (size_t)n;

		memcpy(v->head + v->got, piece, part);
		v->got += part;
	}
	if (n > 0)
		return;
	if (v->sort == SORT_HONEST)
		finish_round(v, epoll);
	else
		leave(v);
}

/* One more byte of each slow one. */
static void trickle(struct visitor *visitors, size_t n)
{
	static const char head[] =
		"GET /v1/pool HTTP/1.1\r\nHost: localhost\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

	for (size_t i = 0; i < n; i++) {
		struct visitor *v = &visitors[i];

		if (v->fd < 0 || (v->sort != SORT_SLOW_HEAD && v->sort != SORT_SLOW_BODY))
			continue;
		send_text(v->fd, v->sort == SORT_SLOW_HEAD ? head + v->sent % (sizeof head - 1) : " ", 1);
		v->sent++;
	}
}

static size_t open_ones(const struct visitor *visitors, size_t n)
{
	size_t open = 0;

	for (size_t i = 0; i < n; i++)
		open += visitors[i].fd >= 0;
	return open;
}

/* Until all have gone, or the time is up. */
static void attend(struct visitor *visitors, size_t n, int epoll, long until_ms)
{
	struct epoll_event events[256];
	long next_ms = 0;

	while (open_ones(visitors, n) && now_ms() < until_ms) {
		int ready = epoll_wait(epoll, events, 256, 100);

		for (int i = 0; i < ready; i++)
			hear(events[i].data.ptr, epoll);
		if (now_ms() >= next_ms) {
			trickle(visitors, n);
			next_ms = now_ms() + SLOW_MS;
		}
	}
}

static void check_visitor(const struct visitor *v)
{
	/* What peer.c allows, and what a machine under sanitizers and other tests may add. */
	static const long patience_ms[] = {[SORT_HALF_OPEN] = 16000, [SORT_SLOW_HEAD] = 16000, [SORT_SLOW_BODY] = 28000};

	if (v->sort == SORT_HONEST) {
		assert_int_equal(v->answered, HONEST_ROUNDS);
		assert_false(v->wrong);
		return;
	}
	assert_int_equal(v->fd, -1);
	assert_true(v->closed_ms - v->opened_ms < patience_ms[v->sort]);
	if (v->sort == SORT_HALF_OPEN && v->got)
		assert_memory_equal(v->head, "HTTP/1.1 408", 12);
	if (v->sort == SORT_SLOW_BODY)
		assert_true(v->closed_ms - v->opened_ms > 5000); /* not at once, for it might be an honest one of a slow line */
}

static void test_slow_ones(void **state)
{
	const size_t n = HALF_OPEN + 2 * SLOW + HONEST;
	struct visitor *visitors = calloc(n, sizeof *visitors);
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	long slowest_ms = 0, start_ms = now_ms();
	unsigned told = 0;

	(void)state;
	assert_non_null(visitors);
	for (size_t i = 0; i < n; i++) {
		visitors[i].sort = i < HALF_OPEN              ? SORT_HALF_OPEN
		                   : i < HALF_OPEN + SLOW     ? SORT_SLOW_HEAD
		                   : i < HALF_OPEN + 2 * SLOW ? SORT_SLOW_BODY
		                                              : SORT_HONEST;
		visit(&visitors[i], epoll);
	}
	attend(visitors, n, epoll, start_ms + 40000);
	for (size_t i = 0; i < n; i++) {
		check_visitor(&visitors[i]);
		slowest_ms = visitors[i].slowest_ms > slowest_ms ? visitors[i].slowest_ms : slowest_ms;
		told += visitors[i].sort == SORT_HALF_OPEN && visitors[i].got;
	}
	print_message(
		"%d half-open, %d slow: %d honest ones made %d requests each, the slowest took %ld ms; the last of the others was "
		"dropped after %ld ms, and %u of the half-open ones were told so\n",
		HALF_OPEN, 2 * SLOW, HONEST, HONEST_ROUNDS, slowest_ms, now_ms() - start_ms, told);
	assert_true(told > 0);
	assert_true(slowest_ms < 8000);
	close(epoll);
	free(visitors);
}

/* More connections than there are places, all silent: those that wait make room for those that ask. */
static void test_crowd(void **state)
{
	int *fds = calloc(CROWD, sizeof *fds);
	char answer[4096];
	long start_ms;
	int status;

	(void)state;
	assert_non_null(fds);
	for (int i = 0; i < CROWD; i++)
		fds[i] = dial(SOCK_NONBLOCK);
	start_ms = now_ms();
	status = ask("GET /livez", "", "", answer, sizeof answer);
	print_message("%d silent connections: an honest request took %ld ms\n", CROWD, now_ms() - start_ms);
	assert_int_equal(status, 200);
	assert_true(now_ms() - start_ms < 8000);
	for (int i = 0; i < CROWD; i++)
		close(fds[i]);
	free(fds);
}

/* More good ones than there are places, all at once, that stay: whoever rests makes room. */
static void test_burst(void **state)
{
	int *fds = calloc(CROWD, sizeof *fds);
	char answer[4096], text[128];
	int len = snprintf(text, sizeof text, "GET /livez HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n\r\n", port);
	unsigned answered = 0;
	long start_ms;

	(void)state;
	assert_non_null(fds);
	for (int i = 0; i < CROWD; i++)
		fds[i] = dial(SOCK_NONBLOCK);
	for (int i = 0; i < CROWD; i++)
		send_text(fds[i], text, (size_t)len);
	start_ms = now_ms();
	for (int i = 0; i < 4; i++)
		assert_int_equal(ask("GET /livez", "", "", answer, sizeof answer), 200);
	for (int i = 0; i < CROWD; i++) {
		struct pollfd ready = {.fd = fds[i], .events = POLLIN};

		if (poll(&ready, 1, 10000) == 1 && recv(fds[i], answer, sizeof answer, 0) > 0)
			answered += status_of(answer) == 200;
		close(fds[i]);
	}
	print_message("%d good connections at once: %u answered, 4 more after %ld ms\n", CROWD, answered, now_ms() - start_ms);
	assert_true(answered > 0); /* a slow machine looks at some so late that they have made room */
	free(fds);
}

/* Processor time of the daemon, in ms. */
static long daemon_ms(void)
{
	unsigned long user, system;
	char path[64], line[1024];

	snprintf(path, sizeof path, "/proc/%d/stat", daemon_pid);
	read_text(path, line, sizeof line);
	assert_int_equal(sscanf(strrchr(line, ')'), ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system), 2);
	return (long)(user + system) * 1000 / sysconf(_SC_CLK_TCK);
}

/* A chunk whose size never ends, where the door doesn't see it: it is of no use to anybody, and keeps no thread busy. */
static void test_endless_chunk(void **state)
{
	static char extension[60000];
	char text[512], answer[4096];
	int fd = dial(0), len;
	long begun_ms, used_ms;

	(void)state;
	memset(extension, 'a', sizeof extension);
	len = snprintf(text, sizeof text, "GET /livez HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n\r\n", port);
	send_text(fd, text, (size_t)len);
	assert_true(recv(fd, answer, sizeof answer, 0) > 0);
	len = snprintf(text, sizeof text, "GET /livez HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nTransfer-Encoding: chunked\r\n\r\n5;", port);
	send_text(fd, text, (size_t)len);
	send(fd, extension, sizeof extension, MSG_NOSIGNAL | MSG_DONTWAIT);
	usleep(200000);
	begun_ms = now_ms();
	used_ms = daemon_ms();
	usleep(1500000);
	begun_ms = now_ms() - begun_ms;
	used_ms = daemon_ms() - used_ms;
	print_message("an endless chunk: %ld ms of %ld ms\n", used_ms, begun_ms);
	assert_true(used_ms < begun_ms / 4);
	assert_int_equal(ask("GET /livez", "", "", answer, sizeof answer), 200);
	close(fd);
}

/* ---- A flood of requests, beside a job that runs ---- */

/* Requests that nobody reads the answers of: reads, dry runs, and submits of jobs that can't start yet. */
static void flood_once(int fd, unsigned turn)
{
	static const char *const lines[] = {"GET /v1/jobs?limit=1000", "GET /v1/nodes", "POST /v1/jobs?dry_run=true",
	                                    "POST /v1/jobs"};
	const char *line = lines[turn % 4];
	const char *job =
		"{\"run\":\"true\",\"resources\":{\"accelerators\":\"cpu-core:2\"},\"num_nodes\":2,\"begin\":\"2099-01-01T00:00:00Z\"}";
	char text[1024];
	int len = snprintf(text, sizeof text,
	                   "%s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"
	                   "Content-Length: %zu\r\n\r\n%s",
	                   line, port, token, *line == 'P' ? strlen(job) : 0, *line == 'P' ? job : "");

	send(fd, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* One that isn't a request, and goes on long after it was told so. */
static void send_junk(void)
{
	static char junk[65536] = "BREW\t/coffee";
	int fd = dial(0);

	while (send(fd, junk, sizeof junk, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
		;
	close(fd);
}

/* The child that floods; half of its connections read what comes. */
static _Noreturn void flood(void)
{
	char piece[65536];
	long until_ms = now_ms() + FLOOD_MS;
	int fds[FLOOD];

	for (int i = 0; i < FLOOD; i++)
		fds[i] = dial(0);
	for (unsigned turn = 0; now_ms() < until_ms; turn++) {
		int i = (int)(turn % FLOOD);

		if (i == 0)
			send_junk();
		flood_once(fds[i], turn / FLOOD);
		if (i % 2)
			while (recv(fds[i], piece, sizeof piece, MSG_DONTWAIT) > 0)
				;
	}
	_exit(0);
}

static bool wait_completed(const char *id, long until_ms)
{
	char line[64], answer[8192];

	snprintf(line, sizeof line, "GET /v1/jobs/%s", id);
	while (now_ms() < until_ms) {
		if (ask(line, "", "", answer, sizeof answer) == 200 && strstr(answer, "\"state\":\"completed\""))
			return true;
		usleep(20000);
	}
	return false;
}

static void test_flood(void **state)
{
	char answer[8192], id[24];
	long before_kib = daemon_memory(), start_ms, slowest_ms = 0, after_kib;
	unsigned done = 0;
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0)
		flood();
	start_ms = now_ms();
	usleep(200000);
	while (now_ms() - start_ms < FLOOD_MS) { /* jobs come, run, and their ends are heard */
		long from_ms = now_ms();
		const char *at;

		assert_int_equal(submit(tiny_job, answer, sizeof answer), 201);
		at = strstr(answer, "{\"id\":");
		assert_non_null(at);
		assert_int_equal(sscanf(at + 6, "%23[^,]", id), 1);
		assert_true(wait_completed(id, now_ms() + 15000));
		slowest_ms = now_ms() - from_ms > slowest_ms ? now_ms() - from_ms : slowest_ms;
		done++;
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	after_kib = daemon_memory();
	print_message(
		"a flood of %d ms: %u jobs ran meanwhile, the slowest was seen to end after %ld ms; memory from %ld to %ld KiB\n",
		FLOOD_MS, done, slowest_ms, before_kib, after_kib);
	assert_true(done >= 1);
	assert_true(after_kib - before_kib < 400 * 1024);
}

/* ---- For test_door.sh: where in a process's memory a secret is ---- */

enum { PIECE = 1 << 20, MAPPING_MAX = 512 << 20 }; /* a sanitizer's shadow is of terabytes */

/* Counts the places in one mapping; pieces overlap by what the secret is long. */
static unsigned scan_mapping(int memory, unsigned long from, unsigned long until, const char *secret)
{
	static char piece[PIECE];
	size_t len = strlen(secret);
	unsigned found = 0;

	for (unsigned long at = from; at < until; at += PIECE - len) {
		ssize_t n = pread(memory, piece, until - at < PIECE ? until - at : PIECE, (off_t)at);
		const char *hit = n > 0 ? memmem(piece, (size_t)n, secret, len) : NULL;

		if (hit)
			printf("%#lx\n", at + (unsigned long)(hit - piece));
		found += hit != NULL;
	}
	return found;
}

/* Exit status: 0 it is nowhere, 1 it is somewhere, 3 the memory can't be read. */
static int scan(const char *pid, const char *file)
{
	char path[64], line[512], secret[64];
	unsigned long from, until;
	unsigned found = 0, mappings = 0;
	FILE *maps;
	int memory;

	read_text(file, secret, sizeof secret);
	snprintf(path, sizeof path, "/proc/%.20s/mem", pid);
	memory = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof path, "/proc/%.20s/maps", pid);
	maps = fopen(path, "r");
	if (memory < 0 || !maps)
		return 3;
	for (; fgets(line, sizeof line, maps); mappings++)
		if (sscanf(line, "%lx-%lx rw", &from, &until) == 2 && until - from < MAPPING_MAX)
			found += scan_mapping(memory, from, until, secret);
	fclose(maps);
	close(memory);
	if (!mappings)
		return 3;
	return found ? 1 : 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_malformed),     cmocka_unit_test(test_too_large), cmocka_unit_test(test_unusual),
		cmocka_unit_test(test_slow_ones),     cmocka_unit_test(test_crowd),     cmocka_unit_test(test_burst),
		cmocka_unit_test(test_endless_chunk), cmocka_unit_test(test_flood),
	};
	struct rlimit limit;

	if (argc == 4 && !strcmp(argv[1], "scan"))
		return scan(argv[2], argv[3]);
	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max < 16384 ? limit.rlim_max : 16384;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	return cmocka_run_group_tests(tests, start_daemon, stop_daemon);
}
