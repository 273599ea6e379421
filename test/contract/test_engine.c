/* SPDX-License-Identifier: Apache-2.0
 * test_engine.c: what every engine promises (port/engine.h), asked of each; and what the local engine promises of real processes.
 *
 * A bench is an engine with its reports kept as they come. The suite of all engines runs a job through `script` texts for the
 * local engine and through stated run times for the simulated one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/cgroup.h"
#include "engine/engines.h"
#include "engine/process.h"

enum { REPORTS_MAX = 4096 };

struct kept {
	uint32_t job, attempt;
	enum attempt_state state;
	enum cause cause;
	us_t at_us;
	int32_t exit_code;
	uint32_t rank;
	char note[256];
};

struct bench {
	char dir[128]; /* the engine's state */
	struct engine *engine;
	struct engine_sink sink;
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	struct kept reports[REPORTS_MAX];
	uint32_t n;
	char log[8192];
};

/* ---- The bench ---- */

static void take_report(void *ctx, const struct report *report)
{
	struct bench *b = ctx;

	pthread_mutex_lock(&b->mutex);
	if (b->n < REPORTS_MAX) {
		struct kept *kept = &b->reports[b->n++];

		*kept = (struct kept){report->job,   report->attempt,   report->state, report->cause,
		                      report->at_us, report->exit_code, report->rank,  ""};
		snprintf(kept->note, sizeof kept->note, "%s", report->note ? report->note : "");
	}
	pthread_cond_broadcast(&b->cond);
	pthread_mutex_unlock(&b->mutex);
}

static void take_log(void *ctx, const char *text)
{
	struct bench *b = ctx;
	size_t len;

	pthread_mutex_lock(&b->mutex);
	len = strlen(b->log);
	snprintf(b->log + len, sizeof b->log - len, "%s\n", text);
	pthread_mutex_unlock(&b->mutex);
}

static void open_bench(struct bench *b, const struct engine_ops *ops, const struct option_spec *options, uint32_t n_options)
{
	static struct centre_spec centre;
	const struct engine_config config = {.centre = &centre, .state_dir = b->dir, .seed = 1, .now = process_wall_us};
	struct err err = {0};

	centre = (struct centre_spec){.name = "here", .region = "", .engine = ops->type, .options = options, .n_options = n_options};
	b->sink = (struct engine_sink){.ctx = b, .report = take_report, .log = take_log};
	if (ops->open(&config, &b->sink, &b->engine, &err))
		fail_msg("open: %s: %s", err.subject, err.text);
}

static struct bench *bench_new(const struct engine_ops *ops, const struct option_spec *options, uint32_t n_options)
{
	struct bench *b = calloc(1, sizeof *b);
	const char *tmp = getenv("TMPDIR");

	assert_non_null(b);
	pthread_mutex_init(&b->mutex, NULL);
	pthread_cond_init(&b->cond, NULL);
	snprintf(b->dir, sizeof b->dir, "%s/suan-engine-XXXXXX", tmp && strlen(tmp) < 64 ? tmp : "/tmp");
	assert_non_null(mkdtemp(b->dir));
	open_bench(b, ops, options, n_options);
	return b;
}

static void remove_tree(const char *path)
{
	pid_t pid = fork();

	if (pid == 0) {
		execlp("rm", "rm", "-rf", "--", path, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
}

static void bench_free(struct bench *b)
{
	struct cgroups cgroups;

	if (b->engine)
		b->engine->ops->close(b->engine);
	cgroups_find(b->dir, &cgroups);
	for (uint32_t i = 0; i < cgroups.n; i++)
		rmdir(cgroups.trees[i].base);
	remove_tree(b->dir);
	free(b);
}

/* The daemon stops, and starts again: recover is the caller's. */
static void reopen(struct bench *b)
{
	const struct engine_ops *ops = b->engine->ops;

	b->engine = ops->close(b->engine);
	b->n = 0;
	open_bench(b, ops, NULL, 0);
}

static struct kept *find(struct bench *b, uint32_t job, enum attempt_state state)
{
	for (uint32_t i = 0; i < b->n; i++)
		if (b->reports[i].job == job && b->reports[i].state == state)
			return &b->reports[i];
	return NULL;
}

/* Waits for a report of a job; fails the test where it doesn't come. */
static struct kept await(struct bench *b, uint32_t job, enum attempt_state state)
{
	struct timespec until;
	struct kept *found;
	struct kept copy = {0};

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	pthread_mutex_lock(&b->mutex);
	while (!(found = find(b, job, state)) && !pthread_cond_timedwait(&b->cond, &b->mutex, &until))
		;
	if (found)
		copy = *found;
	pthread_mutex_unlock(&b->mutex);
	if (!found)
		fail_msg("job %" PRIu32 ": no report of state %d; the engine said:\n%s", job, (int)state, b->log);
	return copy;
}

static uint32_t count(struct bench *b, uint32_t job, enum attempt_state state)
{
	uint32_t n = 0;

	pthread_mutex_lock(&b->mutex);
	for (uint32_t i = 0; i < b->n; i++)
		n += b->reports[i].job == job && b->reports[i].state == state;
	pthread_mutex_unlock(&b->mutex);
	return n;
}

static uint32_t count_all(struct bench *b)
{
	uint32_t n;

	pthread_mutex_lock(&b->mutex);
	n = b->n;
	pthread_mutex_unlock(&b->mutex);
	return n;
}

/* Whether the engine said a text to the operator. */
static bool said(struct bench *b, const char *text)
{
	bool found;

	pthread_mutex_lock(&b->mutex);
	found = strstr(b->log, text) != NULL;
	pthread_mutex_unlock(&b->mutex);
	return found;
}

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* ---- Jobs ---- */

struct example {
	struct launch launch;
	struct payload payload;
	struct launch_task tasks[8];
};

/* A job of one node that runs a text; run_us, exit_code: what a simulated centre makes of it. */
static struct example *example(uint32_t job, const char *run)
{
	static struct example x;

	x = (struct example){0};
	x.payload = (struct payload){.setup = "",
	                             .run = run,
	                             .workdir = "",
	                             .output = "",
	                             .error = "",
	                             .checkpoint_signal = "TERM",
	                             .simulated_run_us = 50 * US_MS};
	x.launch = (struct launch){.job = job,
	                           .attempt = 1,
	                           .name = "test",
	                           .user = "tester",
	                           .project = "tests",
	                           .centre = "here",
	                           .kind = "",
	                           .vendor = "",
	                           .tasks = x.tasks,
	                           .n_tasks = 1,
	                           .limit_us = US_NEVER,
	                           .grace_us = US_SECOND / 2,
	                           .image = "",
	                           .payload = &x.payload};
	return &x;
}

static struct example *simulated(struct example *x, us_t run_us, int exit_code)
{
	x->payload.simulated_run_us = run_us;
	x->payload.simulated_exit = exit_code;
	return x;
}

static void hold(struct bench *b, struct example *x)
{
	struct err err;

	assert_int_equal(b->engine->ops->hold(b->engine, &x->launch, &err), 0);
}

static void release(struct bench *b, uint32_t job)
{
	struct err err;

	assert_int_equal(b->engine->ops->release(b->engine, job, 1, &err), 0);
}

static void end_job(struct bench *b, uint32_t job, us_t grace_us)
{
	struct err err;

	assert_int_equal(b->engine->ops->kill(b->engine, job, 1, CAUSE_CANCEL, grace_us, &err), 0);
}

static void forget(struct bench *b, uint32_t job)
{
	struct err err;

	assert_int_equal(b->engine->ops->forget(b->engine, job, 1, &err), 0);
}

static void recover(struct bench *b, const struct known *known, uint32_t n)
{
	struct err err;

	assert_int_equal(b->engine->ops->recover(b->engine, known, n, &err), 0);
}

static void recover_one(struct bench *b, uint32_t job, enum attempt_state state)
{
	const struct known known = {.job = job, .attempt = 1, .state = state, .placed_us = 1, .started_us = US_NEVER};

	recover(b, &known, 1);
}

static void start(struct bench *b, struct example *x)
{
	hold(b, x);
	await(b, x->launch.job, ATTEMPT_HELD);
	release(b, x->launch.job);
}

static struct kept run_to_end(struct bench *b, struct example *x)
{
	start(b, x);
	return await(b, x->launch.job, ATTEMPT_ENDED);
}

/* Reads a text file, "" where there is none. Static memory. */
static const char *slurp(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static const char *slurp(const char *fmt, ...)
{
	static char text[65536];
	char path[512];
	va_list args;
	ssize_t n;
	int fd;

	va_start(args, fmt);
	vsnprintf(path, sizeof path, fmt, args);
	va_end(args);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = 0;
	return text;
}

static const char *log_of(struct bench *b, uint32_t job, uint32_t rank)
{
	static char text[65536];
	struct err err;
	ssize_t n;
	int fd;

	if (b->engine->ops->log_open(b->engine, job, 1, rank, &fd, &err))
		return "";
	n = read(fd, text, sizeof text - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	return text;
}

/* Waits until a text file has something in it. */
static const char *await_file(const char *path)
{
	for (int i = 0; i < 2000; i++) {
		const char *text = slurp("%s", path);

		if (strchr(text, '\n'))
			return text;
		pause_ms(10);
	}
	fail_msg("%s: nothing was written to it", path);
	return "";
}

static bool is_alive(pid_t pid)
{
	const char *text = slurp("/proc/%d/stat", (int)pid), *end = strrchr(text, ')');

	return end && end[2] != 'Z' && end[2] != 'X';
}

/* The number after a key of a claim's file. */
static long claim_number(struct bench *b, uint32_t job, const char *file, const char *key)
{
	const char *text = slurp("%s/claims/%" PRIu32 ".1/%s", b->dir, job, file), *at = strstr(text, key);

	return at ? strtol(at + strlen(key), NULL, 10) : -1;
}

/* ---- What every engine promises ---- */

static const struct option_spec quick[] = {{"startup", "20ms"}, {"run", "100ms"}};

static int setup_local(void **state)
{
	*state = bench_new(&engine_local, NULL, 0);
	return 0;
}

static int setup_simulated(void **state)
{
	*state = bench_new(&engine_simulated, quick, 2);
	return 0;
}

static int teardown(void **state)
{
	bench_free(*state);
	return 0;
}

static void test_life(void **state)
{
	struct bench *b = *state;
	struct kept running, ended;

	hold(b, example(1, "exit 0"));
	await(b, 1, ATTEMPT_HELD);
	pause_ms(100);
	assert_int_equal(count(b, 1, ATTEMPT_RUNNING), 0); /* held is not started */
	release(b, 1);
	running = await(b, 1, ATTEMPT_RUNNING);
	ended = await(b, 1, ATTEMPT_ENDED);
	assert_int_equal(ended.cause, CAUSE_EXIT);
	assert_int_equal(ended.exit_code, 0);
	assert_true(running.at_us > 0 && running.at_us <= ended.at_us && ended.at_us <= process_wall_us());
}

static void test_exit_code(void **state)
{
	struct kept ended = run_to_end(*state, simulated(example(2, "exit 7"), 20 * US_MS, 7));

	assert_int_equal(ended.cause, CAUSE_EXIT);
	assert_int_equal(ended.exit_code, 7);
}

static void test_kill_running(void **state)
{
	struct bench *b = *state;
	struct kept ended;

	start(b, simulated(example(3, "sleep 100"), 100 * US_SECOND, 0));
	await(b, 3, ATTEMPT_RUNNING);
	end_job(b, 3, US_SECOND);
	ended = await(b, 3, ATTEMPT_ENDED);
	assert_int_equal(ended.cause, CAUSE_CANCEL);
	assert_int_equal(ended.exit_code, 128 + SIGTERM);
}

static void test_kill_held(void **state)
{
	struct bench *b = *state;

	hold(b, example(4, "exit 0"));
	await(b, 4, ATTEMPT_HELD);
	end_job(b, 4, 0);
	assert_int_equal(await(b, 4, ATTEMPT_ENDED).cause, CAUSE_CANCEL);
	release(b, 4); /* too late */
	pause_ms(200);
	assert_int_equal(count(b, 4, ATTEMPT_RUNNING), 0);
}

static void test_kill_never_held(void **state)
{
	struct bench *b = *state;

	end_job(b, 5, 0);
	assert_int_equal(await(b, 5, ATTEMPT_ENDED).cause, CAUSE_CANCEL);
	hold(b, example(5, "exit 0"));
	release(b, 5);
	pause_ms(200);
	assert_int_equal(count(b, 5, ATTEMPT_HELD), 0);
	assert_int_equal(count(b, 5, ATTEMPT_RUNNING), 0);
}

static void test_limit(void **state)
{
	struct bench *b = *state;
	struct example *x = simulated(example(6, "sleep 100"), 100 * US_SECOND, 0);
	struct kept running, ended;

	x->launch.limit_us = 300 * US_MS;
	start(b, x);
	running = await(b, 6, ATTEMPT_RUNNING);
	ended = await(b, 6, ATTEMPT_ENDED);
	assert_int_equal(ended.cause, CAUSE_LIMIT);
	assert_true(ended.at_us - running.at_us >= 299 * US_MS);
	assert_true(ended.at_us - running.at_us < 5 * US_SECOND);
}

static void test_repeats(void **state)
{
	struct bench *b = *state;
	char path[160];
	char text[300];

	snprintf(path, sizeof path, "%s/starts", b->dir);
	snprintf(text, sizeof text, "echo started >> %s; sleep 0.2", path);
	for (int i = 0; i < 3; i++)
		hold(b, simulated(example(7, text), 200 * US_MS, 0));
	await(b, 7, ATTEMPT_HELD);
	for (int i = 0; i < 5; i++)
		release(b, 7);
	await(b, 7, ATTEMPT_RUNNING);
	hold(b, simulated(example(7, text), 200 * US_MS, 0));
	release(b, 7);
	await(b, 7, ATTEMPT_ENDED);
	release(b, 7);
	end_job(b, 7, 0);
	pause_ms(200);
	assert_int_equal(await(b, 7, ATTEMPT_ENDED).cause, CAUSE_EXIT); /* it was over when it was killed */
	if (b->engine->ops == &engine_local)
		assert_string_equal(slurp("%s", path), "started\n");
}

/* A hold that needs no release: HELD may be left out, and where it comes, a release does no harm. */
static void test_released_at_once(void **state)
{
	struct bench *b = *state;
	struct example *x;
	char text[300];

	snprintf(text, sizeof text, "echo started >> %s/starts; exit 5", b->dir);
	x = simulated(example(15, text), 20 * US_MS, 5);
	x->launch.released = true;
	for (int i = 0; i < 3; i++)
		hold(b, x);
	for (int i = 0; i < 1000 && !count(b, 15, ATTEMPT_HELD) && !count(b, 15, ATTEMPT_RUNNING); i++)
		pause_ms(10);
	if (count(b, 15, ATTEMPT_HELD))
		release(b, 15);
	await(b, 15, ATTEMPT_RUNNING);
	assert_int_equal(await(b, 15, ATTEMPT_ENDED).exit_code, 5);
	hold(b, x);
	release(b, 15);
	pause_ms(200);
	if (b->engine->ops == &engine_local)
		assert_string_equal(slurp("%s/starts", b->dir), "started\n");
}

static void test_restart_while_held(void **state)
{
	struct bench *b = *state;

	hold(b, example(8, "exit 0"));
	await(b, 8, ATTEMPT_HELD);
	reopen(b);
	recover_one(b, 8, ATTEMPT_HELD);
	await(b, 8, ATTEMPT_HELD);
	release(b, 8);
	await(b, 8, ATTEMPT_ENDED);
}

static void test_restart_while_running(void **state)
{
	struct bench *b = *state;
	struct kept before, after;

	start(b, simulated(example(9, "sleep 1; exit 5"), US_SECOND, 5));
	before = await(b, 9, ATTEMPT_RUNNING);
	reopen(b);
	recover_one(b, 9, ATTEMPT_RUNNING);
	after = await(b, 9, ATTEMPT_RUNNING);
	assert_true(llabs(after.at_us - before.at_us) < 50 * US_MS); /* the same instant, not the restart's */
	assert_int_equal(await(b, 9, ATTEMPT_ENDED).exit_code, 5);
}

static void test_ended_meanwhile(void **state)
{
	struct bench *b = *state;
	const struct engine_ops *ops = b->engine->ops;
	us_t reopened;
	struct kept ended;

	start(b, simulated(example(10, "sleep 0.3; exit 6"), 300 * US_MS, 6));
	await(b, 10, ATTEMPT_RUNNING);
	b->engine = ops->close(b->engine);
	b->n = 0;
	pause_ms(1000);
	reopened = process_wall_us();
	open_bench(b, ops, NULL, 0);
	recover_one(b, 10, ATTEMPT_RUNNING);
	ended = await(b, 10, ATTEMPT_ENDED);
	assert_int_equal(ended.exit_code, 6);
	assert_true(ended.at_us < reopened - 300 * US_MS); /* when it ended, not when it was found */
}

static void test_intent_is_not_lost(void **state)
{
	struct bench *b = *state;

	recover_one(b, 11, ATTEMPT_INTENT);
	pause_ms(100);
	assert_int_equal(count_all(b), 0); /* it will be held again */
	assert_int_equal(run_to_end(b, example(11, "exit 0")).exit_code, 0);
}

static void test_known_but_gone(void **state)
{
	struct bench *b = *state;

	recover_one(b, 12, ATTEMPT_RUNNING);
	await(b, 12, ATTEMPT_LOST);
	release(b, 12);
	pause_ms(100);
	assert_int_equal(count(b, 12, ATTEMPT_RUNNING), 0);
}

static void test_unknown_never_starts(void **state)
{
	struct bench *b = *state;

	hold(b, example(13, "exit 0"));
	await(b, 13, ATTEMPT_HELD);
	reopen(b);
	recover(b, NULL, 0);
	release(b, 13);
	pause_ms(300);
	assert_int_equal(count(b, 13, ATTEMPT_RUNNING), 0);
}

static void test_log(void **state)
{
	struct bench *b = *state;
	struct err err;
	int fd;

	run_to_end(b, example(14, "echo one; echo two >&2"));
	if (b->engine->ops == &engine_simulated)
		assert_non_null(strstr(log_of(b, 14, 0), "simulated: nothing ran"));
	else
		assert_string_equal(log_of(b, 14, 0), "one\ntwo\n");
	forget(b, 14);
	pause_ms(200);
	assert_true(strlen(log_of(b, 14, 0)) > 0); /* what was printed stays */
	if (b->engine->ops == &engine_local)
		assert_int_equal(b->engine->ops->log_open(b->engine, 99, 1, 0, &fd, &err), ERR_NOT_FOUND);
}

static void test_many(void **state)
{
	struct bench *b = *state;
	uint32_t n = b->engine->ops == &engine_local ? 20 : 1000;

	for (uint32_t job = 100; job < 100 + n; job++)
		hold(b, example(job, "exit 3"));
	for (uint32_t job = 100; job < 100 + n; job++)
		await(b, job, ATTEMPT_HELD);
	for (uint32_t job = 100; job < 100 + n; job++)
		release(b, job);
	for (uint32_t job = 100; job < 100 + n; job++)
		assert_int_equal(await(b, job, ATTEMPT_ENDED).cause, CAUSE_EXIT);
}

static void test_bad_option(void **state)
{
	struct bench *b = *state;
	const struct option_spec option = {"startupp", "1s"};
	struct centre_spec centre = {.name = "here", .options = &option, .n_options = 1};
	const struct engine_config config = {.centre = &centre, .state_dir = b->dir, .now = process_wall_us};
	struct engine *engine = NULL;
	struct err err;

	assert_int_equal(b->engine->ops->open(&config, &b->sink, &engine, &err), ERR_INVALID);
	assert_null(engine);
	assert_non_null(strstr(err.subject, "engine"));
}

static void test_table(void **state)
{
	uint32_t n;

	(void)state;
	assert_ptr_equal(engine_find("local"), &engine_local);
	assert_ptr_equal(engine_find("simulated"), &engine_simulated);
	assert_null(engine_find("slurm"));
	engine_all(&n);
	assert_int_equal(n, 2);
}

/* ---- What the local engine promises of real processes ---- */

static void test_signal(void **state)
{
	struct kept ended = run_to_end(*state, example(20, "kill -SEGV $$"));

	assert_int_equal(ended.cause, CAUSE_SIGNAL);
	assert_int_equal(ended.exit_code, 128 + SIGSEGV);
}

static void test_setup_first(void **state)
{
	struct bench *b = *state;
	struct example *x = example(21, "cat made; exit 4");

	x->payload.setup = "echo by setup > made";
	assert_int_equal(run_to_end(b, x).exit_code, 4);
	assert_string_equal(log_of(b, 21, 0), "by setup\n");
	x = example(22, "echo must not run");
	x->payload.setup = "exit 9";
	assert_int_equal(run_to_end(b, x).exit_code, 9);
	assert_string_equal(log_of(b, 22, 0), "");
}

static void test_nothing_to_run(void **state)
{
	assert_int_equal(run_to_end(*state, example(23, "")).exit_code, 0);
}

static void test_limit_deaf_to_term(void **state)
{
	struct bench *b = *state;
	struct example *x = example(24, "trap '' TERM; while :; do sleep 0.05; done");
	struct kept running, ended;

	x->launch.limit_us = 300 * US_MS;
	x->launch.grace_us = 400 * US_MS;
	start(b, x);
	running = await(b, 24, ATTEMPT_RUNNING);
	ended = await(b, 24, ATTEMPT_ENDED);
	assert_int_equal(ended.cause, CAUSE_LIMIT);
	assert_int_equal(ended.exit_code, 128 + SIGKILL);
	assert_true(ended.at_us - running.at_us >= 699 * US_MS);
}

/* The shell dies of SIGTERM at once; its child uses the grace that it was promised. */
static void test_grace_is_for_all(void **state)
{
	struct bench *b = *state;

	start(b, example(25, "bash -c 'trap \"sleep 0.3; echo saved; exit 0\" TERM; echo ready; while :; do sleep 0.02; done'; :"));
	await(b, 25, ATTEMPT_RUNNING);
	while (!strstr(log_of(b, 25, 0), "ready"))
		pause_ms(5);
	end_job(b, 25, 10 * US_SECOND);
	await(b, 25, ATTEMPT_ENDED);
	assert_non_null(strstr(log_of(b, 25, 0), "saved"));
}

/* Leaves a process of another session behind that ignores SIGTERM, and prints its number. */
#define LEAVE_DAEMON \
	"setsid sh -c 'trap \"\" TERM; (echo $$ > daemon.tmp; mv daemon.tmp daemon; exec sleep 1000)' </dev/null & " \
	"while [ ! -s daemon ]; do sleep 0.01; done; "

static pid_t daemon_of(struct bench *b, uint32_t job)
{
	char path[200];

	snprintf(path, sizeof path, "%s/attempts/%" PRIu32 ".1/work/daemon", b->dir, job);
	return (pid_t)atoi(await_file(path));
}

static void test_daemon_is_ended(void **state)
{
	struct bench *b = *state;
	struct kept ended = run_to_end(b, example(26, LEAVE_DAEMON "exit 0"));

	assert_int_equal(ended.exit_code, 0);
	assert_false(is_alive(daemon_of(b, 26)));
}

static void test_supervisor_killed(void **state)
{
	struct bench *b = *state;
	pid_t supervisor, left;

	start(b, example(27, LEAVE_DAEMON "sleep 1000"));
	await(b, 27, ATTEMPT_RUNNING);
	left = daemon_of(b, 27);
	supervisor = (pid_t)claim_number(b, 27, "claim", "pid ");
	assert_true(supervisor > 1 && is_alive(supervisor) && is_alive(left));
	kill(supervisor, SIGKILL);
	await(b, 27, ATTEMPT_LOST);
	assert_false(is_alive(left)); /* before anybody hears that the cards are free */
}

static void test_gang(void **state)
{
	struct bench *b = *state;
	struct example *x = example(28, "echo $NODE_RANK $NNODES $MASTER_ADDR $SKYPILOT_NODE_RANK $SKYPILOT_NUM_NODES $MASTER_PORT\n"
	                                "trap 'echo term; exit 0' TERM\n"
	                                "if [ $NODE_RANK = 1 ]; then sleep 0.4; exit 9; fi\n"
	                                "while :; do sleep 0.02; done 2>/dev/null");
	char expected[64], port[16];
	struct kept ended;

	x->launch.n_tasks = 3;
	ended = run_to_end(b, x);
	assert_int_equal(ended.cause, CAUSE_EXIT);
	assert_int_equal(ended.exit_code, 9);
	assert_int_equal(ended.rank, 1);
	assert_int_equal(sscanf(log_of(b, 28, 0), "0 3 127.0.0.1 0 3 %15s", port), 1);
	snprintf(expected, sizeof expected, "0 3 127.0.0.1 0 3 %s\nterm\n", port);
	assert_string_equal(log_of(b, 28, 0), expected);
	snprintf(expected, sizeof expected, "1 3 127.0.0.1 1 3 %s\n", port);
	assert_string_equal(log_of(b, 28, 1), expected);
	snprintf(expected, sizeof expected, "2 3 127.0.0.1 2 3 %s\nterm\n", port);
	assert_string_equal(log_of(b, 28, 2), expected);
}

static void test_gang_well(void **state)
{
	struct bench *b = *state;
	struct example *x = example(29, "sleep 0.$NODE_RANK; echo $NODE_RANK");

	x->launch.n_tasks = 3;
	assert_int_equal(run_to_end(b, x).exit_code, 0);
	assert_string_equal(log_of(b, 29, 2), "2\n");
}

static void test_memory(void **state)
{
	struct bench *b = *state;
	struct example *x = example(30, "a=x; while :; do a=$a$a; done");
	struct kept ended;

	if (!said(b, "memory by cgroup")) {
		print_message("no memory cgroup that may be written: the limit of memory isn't tested on this machine\n");
		skip();
	}
	x->launch.memory_mib = 32;
	x->launch.limit_us = 15 * US_SECOND;
	ended = run_to_end(b, x);
	assert_int_equal(ended.cause, CAUSE_MEMORY);
	assert_non_null(strstr(ended.note, "32 MiB"));
}

static void test_processes(void **state)
{
	struct bench *b = *state;

	if (!said(b, "processes by cgroup")) {
		print_message("no pids cgroup that may be written: the limit of processes isn't tested on this machine\n");
		skip();
	}
	run_to_end(
		b,
		example(31,
	            "for f in /sys/fs/cgroup/pids /sys/fs/cgroup; do cat $f$(sed -n 's/.*pids:\\//\\//p;s/^0:://p' /proc/self/cgroup "
	            "| head -1)/pids.max; done 2>/dev/null | head -1"));
	assert_string_equal(log_of(b, 31, 0), "8192\n");
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A task has these variables and no others, whatever the daemon has. */
static void test_environment(void **state)
{
	static const char *const expected[] = {"#!/usr/bin/env", /* the script itself, which cat is given too */
	                                       "EPOCHS=3",
	                                       "HOME",
	                                       "LANG=C.UTF-8",
	                                       "LOGNAME",
	                                       "MASTER_ADDR=127.0.0.1",
	                                       "MASTER_PORT",
	                                       "MLU_VISIBLE_DEVICES=0,2",
	                                       "NNODES=1",
	                                       "NODE_RANK=0",
	                                       "PATH",
	                                       "SHELL",
	                                       "SKYPILOT_NODE_IPS=127.0.0.1",
	                                       "SKYPILOT_NODE_RANK=0",
	                                       "SKYPILOT_NUM_GPUS_PER_NODE=2",
	                                       "SKYPILOT_NUM_NODES=1",
	                                       "SUAN_ARRAY_COUNT=4",
	                                       "SUAN_ARRAY_ID=31",
	                                       "SUAN_ARRAY_INDEX=2",
	                                       "SUAN_ATTEMPT=1",
	                                       "SUAN_CARDS=0,2",
	                                       "SUAN_CENTRE=here",
	                                       "SUAN_CLAIM",
	                                       "SUAN_JOB_ID=32",
	                                       "SUAN_JOB_NAME=test",
	                                       "TMPDIR=/tmp",
	                                       "TOKEN=canary-7",
	                                       "USER"};
	struct bench *b = *state;
	struct example *x = example(32, "#!/usr/bin/env -S cat /proc/self/environ");
	const struct variable env = {"EPOCHS", "3"}, secret = {"TOKEN", "canary-7"};
	char text[8192], *lines[64];
	size_t n = 0;

	setenv("OF_THE_DAEMON", "leaks", 1);
	x->payload.envs = &env;
	x->payload.n_envs = 1;
	x->launch.secrets = &secret;
	x->launch.n_secrets = 1;
	x->launch.vendor = "cambricon";
	x->launch.array_of = 31;
	x->launch.array_index = 2;
	x->launch.array_count = 4;
	x->tasks[0] = (struct launch_task){.cards_milli = 2000, .cards = 5};
	run_to_end(b, x);
	memcpy(text, log_of(b, 32, 0), sizeof text);
	for (char *at = text; *at && n < 64; at += strlen(at) + 1)
		lines[n++] = at;
	qsort(lines, n, sizeof *lines, compare_lines);
	for (size_t i = 0; i < n && i < sizeof expected / sizeof *expected; i++)
		if (strncmp(lines[i], expected[i], strlen(expected[i])) != 0)
			fail_msg("variable %zu is \"%s\", expected \"%s\"", i, lines[i], expected[i]);
	assert_int_equal(n, sizeof expected / sizeof *expected);
}

/* Whether a file below a folder, any but those of `except`, holds a text. */
static bool find_text(const char *path, const char *text, const char *except)
{
	DIR *list = opendir(path);
	bool found = false;

	if (!list)
		return strstr(slurp("%s", path), text) && !(except && strstr(path, except));
	for (struct dirent *entry; !found && (entry = readdir(list));) {
		char inner[512];

		if (entry->d_name[0] == '.' && (!entry->d_name[1] || entry->d_name[1] == '.'))
			continue;
		snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
		found = entry->d_type != DT_SOCK && find_text(inner, text, except);
	}
	closedir(list);
	return found;
}

static mode_t mode_of(struct bench *b, const char *name)
{
	char path[300];
	struct stat st;

	snprintf(path, sizeof path, "%s/%s", b->dir, name);
	return stat(path, &st) ? 0 : st.st_mode & 0777;
}

static bool in_some_cmdline(const char *text)
{
	DIR *proc = opendir("/proc");
	bool found = false;

	for (struct dirent *entry; proc && !found && (entry = readdir(proc));) {
		char path[300];
		char bytes[4096];
		int fd;
		ssize_t n;

		snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = fd < 0 ? -1 : read(fd, bytes, sizeof bytes);
		found = n > 0 && memmem(bytes, (size_t)n, text, strlen(text));
		if (fd >= 0)
			close(fd);
	}
	closedir(proc);
	return found;
}

/* Whether a living process has a text followed by another in its environment. */
static bool in_some_environ(const char *name, const char *value)
{
	DIR *proc = opendir("/proc");
	char marker[200];
	bool found = false;

	snprintf(marker, sizeof marker, "%s%s", name, value);
	for (struct dirent *entry; proc && !found && (entry = readdir(proc));)
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			found = !strncmp(slurp("/proc/%s/environ", entry->d_name), marker, strlen(marker));
	closedir(proc);
	return found;
}

static void test_secrets(void **state)
{
	struct bench *b = *state;
	struct example *x = example(33, "echo ${#TOKEN}; while [ ! -e go ]; do sleep 0.01; done");
	const struct variable secret = {"TOKEN", "canary-8-secret"};
	char go[200];

	x->launch.secrets = &secret;
	x->launch.n_secrets = 1;
	hold(b, x);
	await(b, 33, ATTEMPT_HELD);
	assert_int_equal(mode_of(b, "attempts/33.1"), 0700);
	assert_int_equal(mode_of(b, "attempts/33.1/secrets"), 0600);
	assert_int_equal(mode_of(b, "attempts/33.1/launch"), 0600);
	assert_false(find_text(b->dir, "canary-8-secret", "33.1/secrets"));
	release(b, 33);
	await(b, 33, ATTEMPT_RUNNING);
	while (!log_of(b, 33, 0)[0])
		pause_ms(5);
	assert_int_equal(mode_of(b, "attempts/33.1/secrets"), 0); /* read once, and gone */
	assert_false(find_text(b->dir, "canary-8-secret", NULL));
	assert_false(in_some_cmdline("canary-8-secret"));
	snprintf(go, sizeof go, "%s/attempts/33.1/work/go", b->dir);
	close(open(go, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	await(b, 33, ATTEMPT_ENDED);
	assert_string_equal(log_of(b, 33, 0), "15\n");
	assert_false(said(b, "canary"));
}

static void test_bad_workdir(void **state)
{
	struct bench *b = *state;
	struct example *x = example(34, "echo must not run");
	struct kept ended;

	x->payload.workdir = "/nonexistent/folder";
	ended = run_to_end(b, x);
	assert_int_equal(ended.exit_code, 126);
	assert_non_null(strstr(ended.note, "/nonexistent/folder"));
	x = example(35, "#!/no/such/interpreter\n");
	ended = run_to_end(b, x);
	assert_int_equal(ended.exit_code, 127);
	assert_non_null(strstr(ended.note, "/no/such/interpreter"));
}

static void test_image_is_refused(void **state)
{
	struct bench *b = *state;
	struct example *x = example(36, "exit 0");

	x->launch.image = "docker:registry.example/train:1";
	hold(b, x);
	assert_non_null(strstr(await(b, 36, ATTEMPT_REFUSED).note, "image"));
}

static struct example *script(struct bench *b, uint32_t job, const char *run)
{
	struct example *x = example(job, run);

	x->payload.flavour = FLAVOUR_SBATCH;
	x->payload.workdir = b->dir;
	return x;
}

static void test_sbatch(void **state)
{
	struct bench *b = *state;
	struct example *x = script(b, 37,
	                           "#!/bin/sh\n#SBATCH -o x\necho $SLURM_JOB_ID $SLURM_JOB_NAME $SLURM_NNODES $SLURM_PROCID "
	                           "$SLURM_ARRAY_TASK_ID $SLURM_JOB_NODELIST; echo oops >&2; pwd\n");
	char expected[300];

	x->launch.name = "a/b";
	x->launch.n_tasks = 3; /* runs once, on the first node */
	x->tasks[1].node = 1;
	x->tasks[2].node = 5;
	x->launch.array_of = 30;
	x->launch.array_index = 4;
	x->launch.array_count = 9;
	x->payload.output = "log-%x-%A_%a-%4j.txt";
	assert_int_equal(run_to_end(b, x).exit_code, 0);
	snprintf(expected, sizeof expected, "37 a/b 3 0 4 here-[0-1,5]\noops\n%s\n", b->dir);
	assert_string_equal(slurp("%s/log-a_b-30_4-0037.txt", b->dir), expected);
	assert_string_equal(log_of(b, 37, 0), expected); /* Suan's log is the same file */
	assert_string_equal(log_of(b, 37, 1), "");
}

static void test_sbatch_error_file(void **state)
{
	struct bench *b = *state;
	struct example *x = script(b, 38, "#!/bin/sh\necho out; echo err >&2\n");

	x->payload.error = "errors.%j";
	run_to_end(b, x);
	assert_string_equal(log_of(b, 38, 0), "out\n");
	assert_string_equal(slurp("%s/errors.38", b->dir), "err\n");
}

static void test_sbatch_no_links(void **state)
{
	struct bench *b = *state;
	struct example *x = script(b, 39, "#!/bin/sh\necho out\n");
	char target[200], name[200];

	snprintf(target, sizeof target, "%s/victim", b->dir);
	snprintf(name, sizeof name, "%s/trap.txt", b->dir);
	assert_int_equal(symlink(target, name), 0);
	x->payload.output = "trap.txt";
	assert_int_equal(run_to_end(b, x).exit_code, 126);
	assert_string_equal(slurp("%s", target), "");
}

/* Suan's log is the script's own file also where that is on another file system, which no second name can reach. */
static void test_sbatch_elsewhere(void **state)
{
	struct bench *b = *state;
	struct example *x = script(b, 74, "#!/bin/sh\necho out\n");
	char dir[] = "/dev/shm/suan-engine-XXXXXX";
	struct stat here, there;

	if (!mkdtemp(dir) || stat(dir, &there) || stat(b->dir, &here) || here.st_dev == there.st_dev) {
		print_message("no second file system at /dev/shm: not tested on this machine\n");
		skip();
	}
	x->payload.workdir = dir;
	x->payload.output = "log";
	assert_int_equal(run_to_end(b, x).exit_code, 0);
	assert_string_equal(log_of(b, 74, 0), "out\n");
	assert_string_equal(slurp("%s/log", dir), "out\n");
	remove_tree(dir);
}

/* The limit holds while the daemon is away. */
static void test_limit_without_daemon(void **state)
{
	struct bench *b = *state;
	const struct engine_ops *ops = b->engine->ops;
	struct example *x = example(75, "sleep 1000");
	us_t reopened;
	struct kept ended;

	x->launch.limit_us = 400 * US_MS;
	start(b, x);
	await(b, 75, ATTEMPT_RUNNING);
	b->engine = ops->close(b->engine);
	b->n = 0;
	pause_ms(1500);
	reopened = process_wall_us();
	open_bench(b, ops, NULL, 0);
	recover_one(b, 75, ATTEMPT_RUNNING);
	ended = await(b, 75, ATTEMPT_ENDED);
	assert_int_equal(ended.cause, CAUSE_LIMIT);
	assert_true(ended.at_us < reopened - 300 * US_MS);
}

/* A supervisor that can't even claim is started again. */
static void test_supervisor_is_retried(void **state)
{
	struct bench *b = *state;
	char claims[200], away[200];

	hold(b, example(76, "exit 8"));
	await(b, 76, ATTEMPT_HELD);
	snprintf(claims, sizeof claims, "%s/claims", b->dir);
	snprintf(away, sizeof away, "%s/away", b->dir);
	assert_int_equal(rename(claims, away), 0);
	release(b, 76);
	for (int i = 0; i < 500 && !said(b, "tried again"); i++)
		pause_ms(10);
	assert_true(said(b, "supervisor.log"));
	assert_int_equal(count(b, 76, ATTEMPT_RUNNING), 0);
	assert_int_equal(rename(away, claims), 0);
	assert_int_equal(await(b, 76, ATTEMPT_ENDED).exit_code, 8);
}

static void test_cpus(void **state)
{
	struct bench *b = *state;
	struct example *x = example(77, "p=$(sed -n 's/^[0-9]*:[a-z,]*cpu[a-z,]*://p' /proc/self/cgroup | grep suan- | head -1)\n"
	                                "u=$(sed -n 's/^0:://p' /proc/self/cgroup)\n"
	                                "cat /sys/fs/cgroup/cpu$p/cpu.cfs_quota_us 2>/dev/null || cat /sys/fs/cgroup$u/cpu.max");

	if (!said(b, "CPUs by cgroup")) {
		print_message("no cpu cgroup that may be written: the limit of CPUs isn't tested on this machine\n");
		skip();
	}
	x->launch.cpus_milli = 1500;
	run_to_end(b, x);
	assert_int_equal(strtol(log_of(b, 77, 0), NULL, 10), 150000);
}

/* What fails for now is tried again, and said once. */
static void test_hold_is_retried(void **state)
{
	struct bench *b = *state;
	char path[200];

	snprintf(path, sizeof path, "%s/attempts/71.1", b->dir);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)); /* in the way of the attempt's folder */
	hold(b, example(71, "exit 8"));
	for (int i = 0; i < 500 && !said(b, "tried again"); i++)
		pause_ms(10);
	assert_true(said(b, "tried again"));
	assert_int_equal(count_all(b), 0);
	assert_int_equal(unlink(path), 0);
	await(b, 71, ATTEMPT_HELD);
	release(b, 71);
	assert_int_equal(await(b, 71, ATTEMPT_ENDED).exit_code, 8);
}

/* Nobody's datagram makes the engine believe anything: it looks at the claim. */
static void test_hostile_datagrams(void **state)
{
	static const char *const texts[] = {
		"", "72.1", "72", "../../etc", "4294967296.1", "72.1\n", "99999999999999999999999999999999"};
	struct bench *b = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	hold(b, example(72, "exit 0"));
	await(b, 72, ATTEMPT_HELD);
	snprintf(address.sun_path, sizeof address.sun_path, "%.80s/engine.sock", b->dir);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_int_equal(sendto(fd, texts[i], strlen(texts[i]), 0, (struct sockaddr *)&address, sizeof address),
		                 strlen(texts[i]));
	close(fd);
	pause_ms(100);
	assert_int_equal(count_all(b), 1);
	release(b, 72);
	await(b, 72, ATTEMPT_ENDED);
}

/* Processes that fork all the time and ignore SIGTERM are all gone when the end is reported. */
static void test_forking(void **state)
{
	struct bench *b = *state;
	pid_t pid;

	start(b, example(73, "trap '' TERM; f() { sleep 0.0$1 & g; }; g() { (setsid sleep 1000 & echo $! >> last); }\n"
	                     "for i in 1 2 3; do (while :; do f $i; sleep 0.01; done) & done; wait"));
	await(b, 73, ATTEMPT_RUNNING);
	pause_ms(500);
	end_job(b, 73, 0);
	await(b, 73, ATTEMPT_ENDED);
	pid = (pid_t)atoi(slurp("%s/attempts/73.1/work/last", b->dir));
	assert_true(pid > 1);
	assert_false(is_alive(pid));
	assert_false(in_some_environ("SUAN_CLAIM=", b->dir));
}

/* A launch that may run at once isn't synced. What a loss of power left of it isn't believed: the intent is held again. */
static void test_torn_launch(void **state)
{
	struct bench *b = *state;
	struct example *x;
	char path[200];

	hold(b, example(78, "exit 1"));
	await(b, 78, ATTEMPT_HELD);
	snprintf(path, sizeof path, "%s/attempts/78.1/launch", b->dir);
	assert_int_equal(truncate(path, 20), 0);
	reopen(b);
	recover_one(b, 78, ATTEMPT_INTENT);
	pause_ms(100);
	assert_int_equal(count_all(b), 0);
	x = example(78, "exit 7");
	x->launch.released = true;
	hold(b, x);
	assert_int_equal(await(b, 78, ATTEMPT_ENDED).exit_code, 7);
	assert_int_equal(count(b, 78, ATTEMPT_HELD), 0);
}

/* Secrets that a crash left on their way to their name go too, though nothing else is left of their attempt. */
static void test_secrets_cut_off(void **state)
{
	struct bench *b = *state;
	char path[200];

	snprintf(path, sizeof path, "%s/attempts/79.1", b->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	strcat(path, "/.secrets.4711");
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	recover(b, NULL, 0);
	for (int i = 0; i < 500 && !access(path, F_OK); i++)
		pause_ms(10);
	assert_int_not_equal(access(path, F_OK), 0);
}

/* Children of ours that have ended and that nobody has taken in. */
static unsigned count_zombies(void)
{
	DIR *list = opendir("/proc");
	unsigned n = 0;

	assert_non_null(list);
	for (struct dirent *entry; (entry = readdir(list));) {
		const char *text = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' ? slurp("/proc/%s/stat", entry->d_name) : "";
		const char *end = strrchr(text, ')');
		int parent;
		char state;

		n += end && sscanf(end + 1, " %c %d", &state, &parent) == 2 && state == 'Z' && parent == (int)getpid();
	}
	closedir(list);
	return n;
}

/* A supervisor reports the end before it ends itself, and is taken in all the same, also where its attempt is forgotten at once.
 */
static void test_supervisors_are_taken_in(void **state)
{
	struct bench *b = *state;
	unsigned before = count_zombies();

	for (uint32_t job = 200; job < 240; job++) {
		struct example *x = example(job, "true");

		x->launch.released = true;
		hold(b, x);
	}
	for (uint32_t job = 200; job < 240; job++) {
		await(b, job, ATTEMPT_ENDED);
		if (job % 2)
			forget(b, job);
	}
	for (int i = 0; i < 500 && count_zombies() > before; i++)
		pause_ms(10);
	assert_true(count_zombies() <= before);
}

/* ---- Starts are unique, and nothing is forgotten ---- */

/* Runs a supervisor on an attempt's folder, as a late one would. Returns its exit status. */
static int run_supervisor(struct bench *b, uint32_t job)
{
	char folder[200];
	int status;
	pid_t pid;

	snprintf(folder, sizeof folder, "%s/attempts/%" PRIu32 ".1", b->dir, job);
	pid = fork();
	if (pid == 0) {
		execl(getenv("SUAN_SUPERVISOR"), "suan-supervisor", folder, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A supervisor whose disk is full gives its claim back, with what was put into it meanwhile: a request to end is one for the
 * attempt, which doesn't start again. The supervisor here is a script, which does that at the right moment. */
static void test_end_in_a_claim_given_back(void **state)
{
	static const char script[] = "#!/bin/bash\n"
								 "claims=${1%/attempts/*}/claims name=${1##*/}\n"
								 "echo started >>\"${claims%/claims}/starts\"\n"
								 "mkdir \"$claims/.aside\" && exec 9>\"$claims/.aside/lock\" && flock -n 9 || exit 1\n"
								 "mv \"$claims/.aside\" \"$claims/$name\"\n"
								 "for ((i = 0; i < 2000; i++)); do [ -e \"$claims/$name/kill\" ] && break; sleep 0.01; done\n"
								 "mv \"$claims/$name\" \"$claims/.aside\" && rm -r \"$claims/.aside\"\n"
								 "exit 1\n";
	struct bench *b = *state;
	char path[200], claim[200], *real = strdup(getenv("SUAN_SUPERVISOR"));
	struct kept ended;
	FILE *file;

	snprintf(path, sizeof path, "%s/supervisor", b->dir);
	snprintf(claim, sizeof claim, "%s/claims/61.1/lock", b->dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(script, file);
	fclose(file);
	assert_int_equal(chmod(path, 0700), 0);
	setenv("SUAN_SUPERVISOR", path, 1);
	reopen(b);
	setenv("SUAN_SUPERVISOR", real, 1);
	start(b, example(61, "exit 0"));
	for (int i = 0; i < 2000 && access(claim, F_OK); i++)
		pause_ms(10);
	end_job(b, 61, US_SECOND);
	ended = await(b, 61, ATTEMPT_ENDED);
	assert_int_equal(ended.cause, CAUSE_CANCEL);
	assert_string_equal(ended.note, "it never started");
	pause_ms(300);
	assert_string_equal(slurp("%s/starts", b->dir), "started\n");
	assert_int_equal(count(b, 61, ATTEMPT_RUNNING), 0);
	free(real);
}

/* What a killed supervisor left beside the claims goes when the engine opens; what a living one may be filling stays. */
static void test_cut_off_claims(void **state)
{
	struct bench *b = *state;
	char left[200], filled[200];
	int lock;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	snprintf(left, sizeof left, "%s/claims/.tmp.%d.0", b->dir, (int)pid);
	snprintf(filled, sizeof filled, "%s/claims/.tmp.%d.1/lock", b->dir, (int)pid);
	assert_int_equal(mkdir(left, 0700), 0);
	*strrchr(filled, '/') = 0;
	assert_int_equal(mkdir(filled, 0700), 0);
	filled[strlen(filled)] = '/';
	lock = open(filled, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(flock(lock, LOCK_EX), 0);
	reopen(b);
	assert_int_equal(access(left, F_OK), -1);
	assert_int_equal(access(filled, F_OK), 0);
	close(lock);
	reopen(b);
	assert_int_equal(access(filled, F_OK), -1);
}

/* A text that leaves a line in STATE/starts.<job>, and ends with a code. */
static const char *counted(struct bench *b, uint32_t job, const char *then)
{
	static char text[512];

	snprintf(text, sizeof text, "echo started >> %s/starts.%" PRIu32 "; %s", b->dir, job, then);
	return text;
}

static void assert_starts(struct bench *b, uint32_t job, const char *expected)
{
	assert_string_equal(slurp("%s/starts.%" PRIu32, b->dir, job), expected);
}

static void test_two_engines(void **state)
{
	struct bench *b = *state;
	struct bench *other = calloc(1, sizeof *other);

	assert_non_null(other);
	pthread_mutex_init(&other->mutex, NULL);
	pthread_cond_init(&other->cond, NULL);
	memcpy(other->dir, b->dir, sizeof b->dir);
	open_bench(other, &engine_local, NULL, 0);
	for (uint32_t job = 40; job < 50; job++) {
		hold(b, example(job, counted(b, job, "sleep 0.1; exit 3")));
		await(b, job, ATTEMPT_HELD);
		hold(other, example(job, counted(b, job, "sleep 0.1; exit 3")));
		await(other, job, ATTEMPT_HELD);
		release(b, job);
		release(other, job);
	}
	for (uint32_t job = 40; job < 50; job++) {
		assert_int_equal(await(b, job, ATTEMPT_ENDED).exit_code, 3);
		assert_int_equal(await(other, job, ATTEMPT_ENDED).exit_code, 3);
		assert_starts(b, job, "started\n");
	}
	other->engine->ops->close(other->engine);
	free(other);
}

static void test_late_supervisor(void **state)
{
	struct bench *b = *state;
	char path[200];

	run_to_end(b, example(50, counted(b, 50, "exit 0")));
	assert_int_equal(run_supervisor(b, 50), 0); /* quietly */
	assert_starts(b, 50, "started\n");

	hold(b, example(51, counted(b, 51, "exit 0"))); /* a tombstone before any supervisor */
	await(b, 51, ATTEMPT_HELD);
	end_job(b, 51, 0);
	await(b, 51, ATTEMPT_ENDED);
	assert_int_equal(run_supervisor(b, 51), 0);
	assert_starts(b, 51, "");

	forget(b, 50); /* and when even the claim is gone, the launch is too */
	pause_ms(200);
	snprintf(path, sizeof path, "%s/claims/50.1", b->dir);
	remove_tree(path);
	run_supervisor(b, 50);
	assert_starts(b, 50, "started\n");
}

static void test_many_supervisors(void **state)
{
	struct bench *b = *state;
	pid_t pids[8];

	hold(b, example(52, counted(b, 52, "sleep 0.2; exit 0")));
	await(b, 52, ATTEMPT_HELD);
	for (size_t i = 0; i < 8; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			_exit(run_supervisor(b, 52));
	}
	for (size_t i = 0; i < 8; i++)
		waitpid(pids[i], NULL, 0);
	assert_starts(b, 52, "started\n");
	release(b, 52);
	assert_int_equal(await(b, 52, ATTEMPT_ENDED).exit_code, 0);
	assert_starts(b, 52, "started\n");
}

/* A daemon of its own process, which starts jobs and is killed with SIGKILL. */
static void killed_daemon(struct bench *b, const uint32_t *jobs, const char *const *runs, uint32_t n)
{
	int ready[2], status;
	char byte;
	pid_t pid;

	b->engine = b->engine->ops->close(b->engine);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		open_bench(b, &engine_local, NULL, 0);
		for (uint32_t i = 0; i < n; i++)
			start(b, example(jobs[i], runs[i]));
		for (uint32_t i = 0; i < n; i++)
			await(b, jobs[i], ATTEMPT_RUNNING);
		if (write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status));
	b->n = 0;
}

static void test_daemon_killed(void **state)
{
	struct bench *b = *state;
	const uint32_t jobs[] = {60, 61, 62};
	char long_one[600], short_one[600];
	const char *runs[] = {long_one, short_one, "sleep 1000"};
	const struct known known[] = {{.job = 60, .attempt = 1, .state = ATTEMPT_RUNNING},
	                              {.job = 61, .attempt = 1, .state = ATTEMPT_RELEASED},
	                              {.job = 62, .attempt = 1, .state = ATTEMPT_RUNNING}};

	snprintf(long_one, sizeof long_one, "%s", counted(b, 60, "sleep 2; exit 5"));
	snprintf(short_one, sizeof short_one, "%s", counted(b, 61, "sleep 0.3; exit 6"));
	killed_daemon(b, jobs, runs, 3);
	pause_ms(600);
	kill((pid_t)claim_number(b, 62, "claim", "pid "), SIGKILL); /* while nobody looks */
	pause_ms(50);
	open_bench(b, &engine_local, NULL, 0);
	recover(b, known, 3);
	await(b, 60, ATTEMPT_RUNNING);
	assert_int_equal(await(b, 61, ATTEMPT_ENDED).exit_code, 6);
	await(b, 62, ATTEMPT_LOST);
	assert_int_equal(await(b, 60, ATTEMPT_ENDED).exit_code, 5);
	assert_starts(b, 60, "started\n");
	assert_starts(b, 61, "started\n");
}

static void test_killed_after_restart(void **state)
{
	struct bench *b = *state;
	const uint32_t job = 63;
	const char *run = "sleep 1000";

	killed_daemon(b, &job, &run, 1);
	open_bench(b, &engine_local, NULL, 0);
	recover_one(b, 63, ATTEMPT_RUNNING);
	await(b, 63, ATTEMPT_RUNNING);
	end_job(b, 63, US_SECOND);
	assert_int_equal(await(b, 63, ATTEMPT_ENDED).cause, CAUSE_CANCEL);
}

static void edit_boot(struct bench *b, uint32_t job)
{
	char path[200], text[4096], *at;
	FILE *file;

	snprintf(text, sizeof text, "%s", slurp("%s/claims/%" PRIu32 ".1/claim", b->dir, job));
	at = strstr(text, "boot ");
	assert_non_null(at);
	at[5] = at[5] == '0' ? '1' : '0';
	snprintf(path, sizeof path, "%s/claims/%" PRIu32 ".1/claim", b->dir, job);
	file = fopen(path, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* After a reboot: with a claim it is lost, without one it is launched. */
static void test_other_boot(void **state)
{
	struct bench *b = *state;
	const struct known known[] = {{.job = 64, .attempt = 1, .state = ATTEMPT_RUNNING},
	                              {.job = 65, .attempt = 1, .state = ATTEMPT_RELEASED},
	                              {.job = 66, .attempt = 1, .state = ATTEMPT_HELD},
	                              {.job = 67, .attempt = 1, .state = ATTEMPT_RELEASED, .stopping = true, .cause = CAUSE_CANCEL}};
	pid_t supervisor, task;

	start(b, example(64, "echo $$; exec sleep 1000"));
	await(b, 64, ATTEMPT_RUNNING);
	for (uint32_t job = 65; job < 68; job++) {
		hold(b, example(job, counted(b, job, "exit 2")));
		await(b, job, ATTEMPT_HELD);
	}
	b->engine = b->engine->ops->close(b->engine);
	b->n = 0;
	supervisor = (pid_t)claim_number(b, 64, "claim", "pid ");
	kill(supervisor, SIGKILL);
	waitpid(supervisor, NULL, 0);
	edit_boot(b, 64);
	open_bench(b, &engine_local, NULL, 0);
	task = (pid_t)atoi(log_of(b, 64, 0));
	for (int i = 0; i < 500 && is_alive(task); i++)
		pause_ms(10);
	recover(b, known, 4);
	assert_non_null(strstr(await(b, 64, ATTEMPT_LOST).note, "restarted"));
	assert_int_equal(await(b, 65, ATTEMPT_ENDED).exit_code, 2);
	await(b, 66, ATTEMPT_HELD);
	assert_int_equal(await(b, 67, ATTEMPT_ENDED).cause, CAUSE_CANCEL); /* it was being stopped: it doesn't start */
	assert_starts(b, 65, "started\n");
	assert_starts(b, 66, "");
	assert_starts(b, 67, "");
}

static void test_forget(void **state)
{
	struct bench *b = *state;

	run_to_end(b, example(68, "echo kept; echo result > file"));
	run_to_end(b, example(69, "echo kept"));
	forget(b, 68);
	forget(b, 69);
	pause_ms(300);
	assert_int_equal(mode_of(b, "attempts/68.1/launch"), 0);
	assert_int_equal(mode_of(b, "attempts/68.1/run"), 0);
	assert_int_equal(mode_of(b, "attempts/69.1/work"), 0);
	assert_string_equal(slurp("%s/attempts/68.1/work/file", b->dir), "result\n"); /* what a job made is never removed */
	assert_string_equal(log_of(b, 68, 0), "kept\n");
	assert_int_equal(mode_of(b, "claims/68.1/exit"), 0600);
	assert_int_equal(mode_of(b, "claims/68.1/lock"), 0);
}

static void set_age(struct bench *b, const char *name, int days)
{
	const struct timespec now = {.tv_sec = time(NULL) - days * 86400L}, times[] = {now, now};
	char path[256];

	snprintf(path, sizeof path, "%s/attempts/%s", b->dir, name);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void await_no_output(struct bench *b, uint32_t job)
{
	for (int i = 0; i < 1000 && *log_of(b, job, 0); i++)
		pause_ms(10);
	assert_string_equal(log_of(b, job, 0), "");
}

/* What jobs printed goes after a month, or what the pool file says; what they made stays. */
static void test_old_output_goes(void **state)
{
	static const struct option_spec keep = {"keep", "10d"}, bad = {"keep", "long"};
	struct bench *b = *state;
	const struct engine_ops *ops = b->engine->ops;
	struct centre_spec centre = {.name = "here", .options = &bad, .n_options = 1};
	const struct engine_config config = {.centre = &centre, .state_dir = b->dir, .now = process_wall_us};
	struct engine *engine = NULL;
	struct err err;

	run_to_end(b, example(168, "echo kept; echo result > file"));
	run_to_end(b, example(169, "echo old"));
	forget(b, 168);
	forget(b, 169);
	pause_ms(300);
	set_age(b, "168.1", 29);
	set_age(b, "169.1", 31);
	reopen(b);
	recover(b, NULL, 0);
	await_no_output(b, 169);
	assert_string_equal(log_of(b, 168, 0), "kept\n");
	assert_int_equal(mode_of(b, "attempts/169.1"), 0);
	b->engine = ops->close(b->engine);
	open_bench(b, ops, &keep, 1);
	recover(b, NULL, 0);
	await_no_output(b, 168);
	assert_string_equal(slurp("%s/attempts/168.1/work/file", b->dir), "result\n");
	assert_int_equal(ops->open(&config, &b->sink, &engine, &err), ERR_INVALID);
	assert_string_equal(err.subject, "engine.keep");
}

static void test_groups_are_removed(void **state)
{
	struct bench *b = *state;
	struct cgroups cgroups;
	struct cgroup_paths paths;

	run_to_end(b, example(70, "exit 0"));
	cgroups_find(b->dir, &cgroups);
	cgroup_paths_of(&cgroups, "70.1", &paths);
	for (uint32_t i = 0; i < paths.n; i++)
		assert_int_not_equal(access(paths.paths[i], F_OK), 0);
}

static void test_start_is_quick(void **state)
{
	struct bench *b = *state;
	us_t best = US_NEVER;

	for (uint32_t job = 80; job < 90; job++) {
		us_t before;

		hold(b, example(job, "exit 0"));
		await(b, job, ATTEMPT_HELD);
		before = process_wall_us();
		release(b, job);
		await(b, job, ATTEMPT_RUNNING);
		if (process_wall_us() - before < best)
			best = process_wall_us() - before;
		await(b, job, ATTEMPT_ENDED);
	}
	print_message("from release to the report that it runs: %" PRId64 " us at best\n", best);
	assert_true(best < 200 * US_MS);
}

static void test_discover(void **state)
{
	struct bench *b = *state;
	struct arena arena = {0};
	struct discovery found;
	struct err err;

	assert_int_equal(b->engine->ops->discover(&(struct centre_spec){.name = "here"}, &arena, &found, &err), 0);
	assert_true(found.n_lines >= 1 && found.n_kinds >= 1);
	assert_true(found.lines[0].count == 1 && found.lines[0].cards >= 1 && found.lines[0].cards <= CARDS_PER_NODE_MAX);
	assert_true(found.lines[0].cpus_milli >= CARD_MILLI && found.lines[0].memory_mib > 0);
	assert_string_equal(found.lines[0].kind, found.kinds[0].name);
	arena_done(&arena);
}

/* ---- The simulated engine ---- */

/* The same seed, job and attempt give the same outcome, and the rate is about what was asked. */
static void test_failures(void **state)
{
	static const struct option_spec options[] = {{"startup", "0s"}, {"run", "1ms"}, {"failure_rate", "0.3"}, {"seed", "7"}};
	int32_t codes[300];
	uint32_t failed = 0;

	(void)state;
	for (int round = 0; round < 2; round++) {
		struct bench *b = bench_new(&engine_simulated, options, 4);

		for (uint32_t job = 1; job <= 300; job++) {
			hold(b, simulated(example(job, ""), US_NEVER, 0));
			release(b, job);
		}
		for (uint32_t job = 1; job <= 300; job++) {
			int32_t code = await(b, job, ATTEMPT_ENDED).exit_code;

			if (round)
				assert_int_equal(code, codes[job - 1]);
			codes[job - 1] = code;
			failed += code != 0;
		}
		bench_free(b);
	}
	assert_in_range(failed / 2, 60, 120);
}

static void test_cut_log(void **state)
{
	struct bench *b = *state;
	const struct engine_ops *ops = b->engine->ops;
	const struct known known[] = {{.job = 1, .attempt = 1, .state = ATTEMPT_HELD},
	                              {.job = 2, .attempt = 1, .state = ATTEMPT_INTENT}};
	char path[200];
	struct stat st;

	hold(b, simulated(example(1, ""), 10 * US_MS, 4));
	await(b, 1, ATTEMPT_HELD);
	hold(b, simulated(example(2, ""), 10 * US_MS, 4));
	await(b, 2, ATTEMPT_HELD);
	b->engine = ops->close(b->engine);
	b->n = 0;
	snprintf(path, sizeof path, "%s/attempts.log", b->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size - 3), 0); /* the machine stopped in the middle of a write */
	open_bench(b, ops, NULL, 0);
	recover(b, known, 2);
	await(b, 1, ATTEMPT_HELD);
	pause_ms(50);
	assert_int_equal(count(b, 2, ATTEMPT_HELD), 0);
	hold(b, simulated(example(2, ""), 10 * US_MS, 4)); /* and what comes after is read again */
	await(b, 2, ATTEMPT_HELD);
	reopen(b);
	recover(b, known, 2);
	await(b, 2, ATTEMPT_HELD);
}

/* What is old goes out of the log, and what lives stays in it. */
static void test_log_is_rewritten(void **state)
{
	struct bench *b = *state;
	char path[200];
	struct stat st;

	hold(b, simulated(example(1, ""), 10 * US_MS, 4));
	await(b, 1, ATTEMPT_HELD);
	for (uint32_t round = 0; round < 20; round++) {
		for (uint32_t job = 1000; job < 1300; job++) {
			hold(b, simulated(example(job, ""), 0, 0));
			end_job(b, job, 0);
		}
		await(b, 1299, ATTEMPT_ENDED);
		for (uint32_t job = 1000; job < 1300; job++)
			forget(b, job);
		end_job(b, 2000 + round, 0); /* in order: what comes before it is done with it */
		await(b, 2000 + round, ATTEMPT_ENDED);
		forget(b, 2000 + round);
		pthread_mutex_lock(&b->mutex);
		b->n = 0;
		pthread_mutex_unlock(&b->mutex);
	}
	snprintf(path, sizeof path, "%s/attempts.log", b->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_in_range(st.st_size, 1, 600000); /* 18,000 records take more than 800,000 bytes */
	reopen(b);
	recover_one(b, 1, ATTEMPT_HELD);
	await(b, 1, ATTEMPT_HELD);
	release(b, 1);
	assert_int_equal(await(b, 1, ATTEMPT_ENDED).exit_code, 4);
}

#define ALL(test) \
	cmocka_unit_test_setup_teardown(test, setup_local, teardown), cmocka_unit_test_setup_teardown(test, setup_simulated, teardown)
#define LOCAL(test) cmocka_unit_test_setup_teardown(test, setup_local, teardown)
#define SIMULATED(test) cmocka_unit_test_setup_teardown(test, setup_simulated, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		ALL(test_life),
		ALL(test_exit_code),
		ALL(test_kill_running),
		ALL(test_kill_held),
		ALL(test_kill_never_held),
		ALL(test_limit),
		ALL(test_repeats),
		ALL(test_released_at_once),
		ALL(test_restart_while_held),
		ALL(test_restart_while_running),
		ALL(test_ended_meanwhile),
		ALL(test_intent_is_not_lost),
		ALL(test_known_but_gone),
		ALL(test_unknown_never_starts),
		ALL(test_log),
		ALL(test_many),
		ALL(test_bad_option),
		LOCAL(test_signal),
		LOCAL(test_setup_first),
		LOCAL(test_nothing_to_run),
		LOCAL(test_limit_deaf_to_term),
		LOCAL(test_grace_is_for_all),
		LOCAL(test_daemon_is_ended),
		LOCAL(test_supervisor_killed),
		LOCAL(test_gang),
		LOCAL(test_gang_well),
		LOCAL(test_memory),
		LOCAL(test_processes),
		LOCAL(test_environment),
		LOCAL(test_secrets),
		LOCAL(test_bad_workdir),
		LOCAL(test_image_is_refused),
		LOCAL(test_sbatch),
		LOCAL(test_sbatch_error_file),
		LOCAL(test_sbatch_no_links),
		LOCAL(test_sbatch_elsewhere),
		LOCAL(test_limit_without_daemon),
		LOCAL(test_supervisor_is_retried),
		LOCAL(test_cpus),
		LOCAL(test_hold_is_retried),
		LOCAL(test_hostile_datagrams),
		LOCAL(test_forking),
		LOCAL(test_torn_launch),
		LOCAL(test_secrets_cut_off),
		LOCAL(test_supervisors_are_taken_in),
		LOCAL(test_end_in_a_claim_given_back),
		LOCAL(test_cut_off_claims),
		LOCAL(test_two_engines),
		LOCAL(test_late_supervisor),
		LOCAL(test_many_supervisors),
		LOCAL(test_daemon_killed),
		LOCAL(test_killed_after_restart),
		LOCAL(test_other_boot),
		LOCAL(test_forget),
		LOCAL(test_old_output_goes),
		LOCAL(test_groups_are_removed),
		LOCAL(test_start_is_quick),
		LOCAL(test_discover),
		cmocka_unit_test(test_failures),
		SIMULATED(test_cut_log),
		SIMULATED(test_log_is_rewritten),
	};
	const char *build = getenv("SUAN_BUILD");
	char path[512];

	if (build && !getenv("SUAN_SUPERVISOR")) {
		snprintf(path, sizeof path, "%s/suan-supervisor", build);
		setenv("SUAN_SUPERVISOR", path, 1);
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1); /* what a killed daemon leaves comes to us, and is taken in at the end */
	return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
