/* SPDX-License-Identifier: Apache-2.0
 * rig.c: a daemon for fault tests; see rig.h. */
#include "rig.h"

#include <arpa/inet.h>
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"

enum { START_MS = 60000, STOP_MS = 10000, ANSWER_BYTES_MAX = 16 << 20, ARGS_MAX = 16, PATH_BYTES = 2 * CONTROL_PATH };

static const char pool[] = "pool: fault\n"
						   "kinds:\n"
						   "  test-card: {vendor: test, class: general, memory_gib: 16}\n"
						   "centres:\n"
						   "  - name: here\n"
						   "    region: test\n"
						   "    engine: {type: local}\n"
						   "    nodes:\n"
						   "      - {count: 4, kind: test-card, cards: 8, cpus: 64, memory_gib: 64}\n";

int64_t rig_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void nap_us(long us)
{
	nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

static _Noreturn void die(const char *doing, const char *what)
{
	fprintf(stderr, "fault: %s %s: %s\n", doing, what, strerror(errno));
	exit(2);
}

/* ---- Files ---- */

static void write_text(const char *path, mode_t mode, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	size_t len = strlen(text);

	if (fd < 0 || write(fd, text, len) != (ssize_t)len || fchmod(fd, mode))
		die("can't write", path);
	close(fd);
}

static void remove_tree(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);

	if (list) {
		for (struct dirent *entry; (entry = readdir(list));)
			if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
				remove_tree(fd, entry->d_name);
		closedir(list);
		unlinkat(dir, name, AT_REMOVEDIR);
	} else {
		unlinkat(dir, name, 0);
	}
}

static char *in_dir(const struct rig *rig, const char *name, char *out)
{
	snprintf(out, PATH_BYTES, "%s/%s", rig->dir, name);
	return out;
}

/* ---- Setting up ---- */

/* Sanitizers ask to come first, and need not; what they report goes where the other tests' reports go. */
static const char *sanitizer_options(char *out, size_t size)
{
	const char *set = getenv("ASAN_OPTIONS");

	snprintf(out, size, "%s%sverify_asan_link_order=0:allocator_may_return_null=1:detect_leaks=0", set ? set : "",
	         set ? ":" : "");
	return out;
}

static void write_supervisor(const struct rig *rig)
{
	char text[4 * PATH_BYTES], path[PATH_BYTES], options[1024];
	const char *ubsan = getenv("UBSAN_OPTIONS");

	snprintf(
		text, sizeof text,
		"#!/bin/sh\nLD_PRELOAD='%s/test/fault/libfault_shim.so' SUAN_FAULT='%s/control' ASAN_OPTIONS='%s' UBSAN_OPTIONS='%s' "
		"exec '%s/suan-supervisor' \"$@\"\n",
		rig->build, rig->dir, sanitizer_options(options, sizeof options), ubsan ? ubsan : "", rig->build);
	write_text(in_dir(rig, "supervisor", path), 0700, text);
}

static void map_control(struct rig *rig)
{
	char path[PATH_BYTES];
	int fd = open(in_dir(rig, "control", path), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, sizeof *rig->control))
		die("can't make", path);
	rig->control = mmap(NULL, sizeof *rig->control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (rig->control == MAP_FAILED)
		die("can't map", path);
}

void rig_init(struct rig *rig, const char *kind)
{
	const char *build = getenv("SUAN_BUILD"), *tmp = getenv("TMPDIR");
	char path[PATH_BYTES];

	*rig = (struct rig){0};
	if (!build) {
		fputs("fault: SUAN_BUILD must name the build folder\n", stderr);
		exit(2);
	}
	snprintf(rig->build, sizeof rig->build, "%s", build);
	snprintf(rig->dir, sizeof rig->dir, "%.120s/suan-fault-%.20s-XXXXXX", tmp ? tmp : "/tmp", kind);
	if (!mkdtemp(rig->dir))
		die("can't make", rig->dir);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	signal(SIGPIPE, SIG_IGN);
	mkdir(in_dir(rig, "home", path), 0700);
	write_text(in_dir(rig, "pool.yaml", path), 0600, pool);
	write_supervisor(rig);
	map_control(rig);
	rig_reset(rig);
}

static void write_boot_id(struct rig *rig)
{
	char path[PATH_BYTES], text[64];

	rig->boots++;
	snprintf(text, sizeof text, "00000000-0000-4000-8000-%012u\n", rig->boots);
	write_text(in_dir(rig, "boot_id", path), 0600, text);
}

void rig_reset(struct rig *rig)
{
	static const char *const folders[] = {"state", "trash", "starts", "log"};
	char path[PATH_BYTES];

	rig_power_off(rig);
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		remove_tree(AT_FDCWD, in_dir(rig, folders[i], path));
		if (i < 3)
			mkdir(path, 0700);
	}
	unlink(in_dir(rig, "daemon.log", path));
	memset(rig->control, 0, sizeof *rig->control);
	snprintf(rig->control->state, CONTROL_PATH, "%s/state", rig->dir);
	snprintf(rig->control->log, CONTROL_PATH, "%s/log", rig->dir);
	snprintf(rig->control->trash, CONTROL_PATH, "%s/trash", rig->dir);
	snprintf(rig->control->boot_id, CONTROL_PATH, "%s/boot_id", rig->dir);
	rig->slowest_us = 0;
	rig->token[0] = 0;
}

void rig_done(struct rig *rig, bool keep)
{
	rig_power_off(rig);
	munmap(rig->control, sizeof *rig->control);
	if (!keep)
		remove_tree(AT_FDCWD, rig->dir);
}

/* ---- Starting and ending ---- */

struct environment {
	char lines[10][2 * PATH_BYTES];
	char *list[11];
	int n;
};

static void set(struct environment *env, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(env->lines[env->n], sizeof env->lines[0], fmt, args);
	va_end(args);
	env->list[env->n] = env->lines[env->n];
	env->n++;
}

static void fill_environment(const struct rig *rig, bool shim, struct environment *env)
{
	char options[1024];

	env->n = 0;
	set(env, "HOME=%s/home", rig->dir);
	set(env, "PATH=/usr/bin:/bin");
	set(env, "SUAN_FAULT=%s/control", rig->dir);
	set(env, "SUAN_SUPERVISOR=%s/supervisor", rig->dir);
	set(env, "SUAN_URL=http://127.0.0.1:%d", rig->port);
	set(env, "ASAN_OPTIONS=%s", sanitizer_options(options, sizeof options));
	set(env, "UBSAN_OPTIONS=%s", getenv("UBSAN_OPTIONS") ? getenv("UBSAN_OPTIONS") : "");
	if (shim || rig->heap)
		set(env, "LD_PRELOAD=%s%s%s%s%s", shim ? rig->build : "", shim ? "/test/fault/libfault_shim.so" : "",
		    shim && rig->heap ? ":" : "", rig->heap ? rig->build : "", rig->heap ? "/test/fault/libfault_heap.so" : "");
	if (rig->token[0])
		set(env, "SUAN_TOKEN=%s", rig->token);
	env->list[env->n] = NULL;
}

/* Starts a program, with its output to a pipe whose end is returned. log: for its standard error; NULL: there too. */
static int spawn(const struct rig *rig, char **argv, bool shim, const char *log, pid_t *ret)
{
	posix_spawn_file_actions_t actions;
	struct environment env;
	int ends[2];

	fill_environment(rig, shim, &env);
	if (pipe2(ends, O_CLOEXEC))
		die("can't make", "a pipe");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	if (log)
		posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	else
		posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
	errno = posix_spawn(ret, argv[0], &actions, NULL, argv, env.list);
	if (errno)
		die("can't start", argv[0]);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	return ends[0];
}

/* Reads what the daemon says until it serves. Returns its port, or 0. */
static int read_port(int fd)
{
	char text[256];
	size_t len = 0;
	int64_t until = rig_now_us() + START_MS * 1000ll;

	while (len < sizeof text - 1 && rig_now_us() < until) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		ssize_t n = poll(&ready, 1, 100) == 1 ? read(fd, text + len, sizeof text - 1 - len) : -1;
		char *colon;

		if (n == 0)
			return 0;
		if (n < 0)
			continue;
		len += (size_t)n;
		text[len] = 0;
		colon = strchr(text, '\n') ? strrchr(text, ':') : NULL;
		if (colon && !strncmp(text, "listening on", 12))
			return atoi(colon + 1);
	}
	return 0;
}

static void read_token(struct rig *rig)
{
	char path[PATH_BYTES];
	int fd = open(in_dir(rig, "state/token", path), O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, rig->token, sizeof rig->token - 1);

	if (fd >= 0)
		close(fd);
	rig->token[n > 0 ? n : 0] = 0;
	rig->token[strcspn(rig->token, "\n")] = 0;
}

bool rig_start(struct rig *rig)
{
	char program[PATH_BYTES], pool_path[PATH_BYTES], state[PATH_BYTES], log[PATH_BYTES];
	char *argv[] = {
		program,       "--pool", in_dir(rig, "pool.yaml", pool_path), "--state", in_dir(rig, "state", state), "--listen",
		"127.0.0.1:0", NULL};
	int fd;

	assert(!rig->daemon);
	if (!rig->boots)
		write_boot_id(rig);
	snprintf(program, sizeof program, "%s/suand", rig->build);
	fd = spawn(rig, argv, true, in_dir(rig, "daemon.log", log), &rig->daemon);
	rig->port = read_port(fd);
	close(fd);
	if (rig->port) {
		read_token(rig);
		return true;
	}
	for (int64_t until = rig_now_us() + 1000000; rig_runs(rig, NULL) && rig_now_us() < until;)
		nap_us(1000);
	return false;
}

bool rig_runs(struct rig *rig, int *ret_status)
{
	int status;

	if (!rig->daemon)
		return false;
	if (waitpid(rig->daemon, &status, WNOHANG) != rig->daemon)
		return true;
	rig->daemon = 0;
	if (ret_status)
		*ret_status = status;
	return false;
}

int rig_stop(struct rig *rig)
{
	int64_t until = rig_now_us() + STOP_MS * 1000ll;
	int status = 0;

	if (!rig->daemon)
		return 0;
	kill(rig->daemon, SIGTERM);
	while (rig_runs(rig, &status)) {
		if (rig_now_us() > until) {
			rig_power_off(rig);
			return -1;
		}
		nap_us(500);
	}
	return status;
}

/* Our children, of the daemon's and those that came to us. Returns how many; kills them if told to. */
static unsigned children(bool kill_them)
{
	char path[64], text[512];
	unsigned n = 0;
	DIR *proc = opendir("/proc");

	if (!proc)
		die("can't open", "/proc");
	for (struct dirent *entry; (entry = readdir(proc));) {
		long pid = strtol(entry->d_name, NULL, 10);
		char *at;
		int fd;
		ssize_t len;

		if (pid <= 1)
			continue;
		snprintf(path, sizeof path, "/proc/%ld/stat", pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		len = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
		if (fd >= 0)
			close(fd);
		text[len > 0 ? len : 0] = 0;
		at = strrchr(text, ')');
		if (!at || strtol(at + 4, NULL, 10) != getpid())
			continue;
		n++;
		if (kill_them)
			kill((pid_t)pid, SIGKILL);
	}
	closedir(proc);
	return n;
}

static void take_in(struct rig *rig)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		if (pid == rig->daemon)
			rig->daemon = 0;
}

/* Children of what is killed come to us, until there are none. */
void rig_power_off(struct rig *rig)
{
	if (rig->control)
		rig->control->off = true;
	while (waitpid(-1, NULL, WNOHANG) >= 0) {
		children(true);
		nap_us(500);
	}
	rig->daemon = 0;
	if (rig->control)
		rig->control->off = false;
	write_boot_id(rig);
}

unsigned rig_wait_for_children(struct rig *rig, unsigned ms)
{
	int64_t until = rig_now_us() + ms * 1000ll;
	unsigned n;

	assert(!rig->daemon);
	for (;;) {
		take_in(rig);
		n = children(false);
		if (!n || rig_now_us() > until)
			return n;
		nap_us(1000);
	}
}

/* ---- Asking ---- */

static int connect_to(int port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static void put_request(const struct rig *rig, struct buf *out, const char *method, const char *path, const char *body,
                        const char *key)
{
	buf_printf(out, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\nConnection: close\r\n", method, path,
	           rig->port, rig->token);
	if (key)
		buf_printf(out, "Idempotency-Key: %s\r\n", key);
	if (body || !strcmp(method, "POST"))
		buf_printf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n", body ? strlen(body) : 0);
	buf_printf(out, "\r\n%s", body ? body : "");
}

/* Reads to the end of the connection. Returns whether it came to that in time. */
static bool read_answer(int fd, int64_t until, struct buf *in)
{
	char piece[16384];

	while (in->len < ANSWER_BYTES_MAX) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		int64_t left = until - rig_now_us();
		ssize_t n;

		if (left <= 0 || poll(&ready, 1, (int)(left / 1000) + 1) != 1)
			return false;
		n = read(fd, piece, sizeof piece);
		if (n <= 0)
			return true;
		buf_put(in, piece, (size_t)n);
	}
	return true;
}

/* The status, and the body where the whole of it came; 0 otherwise. */
static int parse_answer(struct buf *in, json_t **ret)
{
	const char *text, *body, *length;
	size_t len;
	json_t *json;

	buf_put_u8(in, 0);
	text = (const char *)in->data;
	body = strstr(text, "\r\n\r\n");
	if (strncmp(text, "HTTP/1.1 ", 9) != 0 || !body)
		return 0;
	body += 4;
	len = in->len - 1 - (size_t)(body - text);
	length = strcasestr(text, "\r\nContent-Length: ");
	if (!length || length > body || strtoul(length + 18, NULL, 10) != len)
		return 0;
	json = json_loadb(body, len, JSON_DECODE_ANY, NULL);
	if (ret)
		*ret = json;
	else
		json_decref(json);
	return atoi(text + 9);
}

static int exchange(struct rig *rig, int fd, const struct buf *out, bool waits, json_t **ret)
{
	int64_t begun = rig_now_us(), until = begun + RIG_ANSWER_MS * 1000ll;
	struct buf in = {0};
	bool ended;
	int status;

	if (send(fd, out->data, out->len, MSG_NOSIGNAL) != (ssize_t)out->len)
		return 0;
	ended = read_answer(fd, until, &in);
	status = ended ? parse_answer(&in, ret) : -1;
	if (status > 0 && !waits && rig_now_us() - begun > rig->slowest_us)
		rig->slowest_us = rig_now_us() - begun;
	buf_done(&in);
	return status;
}

/* No answer: has it ended, or is that a fault of its own? */
static int settle(struct rig *rig)
{
	for (int64_t until = rig_now_us() + (rig->settle_us ? rig->settle_us : 2000000); rig_now_us() < until; nap_us(500))
		if (!rig_runs(rig, NULL) || rig->control->off)
			return 0;
	return -1;
}

int rig_ask(struct rig *rig, const char *method, const char *path, const char *body, const char *key, json_t **ret)
{
	struct buf out = {0};
	int fd, status = 0;

	if (ret)
		*ret = NULL;
	if (!rig->daemon)
		return 0;
	fd = connect_to(rig->port);
	if (fd >= 0) {
		put_request(rig, &out, method, path, body, key);
		status = exchange(rig, fd, &out, strstr(path, "/wait"), ret);
		close(fd);
		buf_done(&out);
	}
	return status ? status : settle(rig);
}

int rig_suan(struct rig *rig, char *out, size_t size, ...)
{
	char program[PATH_BYTES], *argv[ARGS_MAX] = {program};
	size_t len = 0;
	int fd, status, n = 1;
	va_list args;
	ssize_t got;
	pid_t pid;

	snprintf(program, sizeof program, "%s/suan", rig->build);
	va_start(args, size);
	while (n < ARGS_MAX - 1 && (argv[n] = va_arg(args, char *)))
		n++;
	va_end(args);
	argv[n] = NULL;
	fd = spawn(rig, argv, false, NULL, &pid);
	while (len < size - 1 && (got = read(fd, out + len, size - 1 - len)) > 0)
		len += (size_t)got;
	out[len] = 0;
	close(fd);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
