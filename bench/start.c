/* SPDX-License-Identifier: Apache-2.0
 * start.c: how long from asking for a local job to the first instruction of its `run`.
 *
 * bench-start ID LISTEN TOKEN_FILE DIR JOBS. One job at a time: it is submitted, writes the time as the first thing that it does,
 * and is over before the next one is. The same line is also run by a bare posix_spawn of the shell, for what of it isn't Suan's.
 */
#include <errno.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "http.h"
#include "measure.h"

enum { JOBS_MAX = 10000, BARE_RUNS = 50, PATIENCE_MS = 10000 };

struct start {
	const char *id, *dir;
	struct target target;
	struct http http;
	int watch; /* on the folder that jobs write to */
	unsigned jobs;
	double *from_sent, *from_answer, *answer, *bare;
};

static double wall_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void put_line(const struct start *start, unsigned i, char *line, size_t size)
{
	snprintf(line, size, "echo $EPOCHREALTIME >%s/%u", start->dir, i);
}

/* Waits for the file that the ith job writes; the instant in it. */
static double first_instruction_ms(const struct start *start, unsigned i)
{
	struct pollfd fd = {.fd = start->watch, .events = POLLIN};
	char path[4096], events[4096];
	double at = 0;
	FILE *file;

	if (poll(&fd, 1, PATIENCE_MS) != 1 || read(start->watch, events, sizeof events) < 0)
		die("job %u hasn't run within %d s", i, PATIENCE_MS / 1000);
	snprintf(path, sizeof path, "%s/%u", start->dir, i);
	file = fopen(path, "re");
	if (!file || fscanf(file, "%lf", &at) != 1)
		die("%s: no time in it", path);
	fclose(file);
	unlink(path);
	return at * 1e3;
}

static void wait_until_over(struct start *start, unsigned long job)
{
	char path[64];

	snprintf(path, sizeof path, "/v1/jobs/%lu", job);
	for (int ms = 0; ms < PATIENCE_MS; ms += 2) {
		if (http_ask(&start->http, &start->target, "GET", path, NULL) == 200 &&
		    strstr(http_body(&start->http), "\"state\":\"completed\""))
			return;
		usleep(2000);
	}
	die("job %lu isn't over: %.300s", job, http_body(&start->http));
}

static void run_job(struct start *start, unsigned i)
{
	char line[4096 + 64], body[8192];
	double sent, answered, began;
	unsigned long job;

	put_line(start, i, line, sizeof line);
	snprintf(body, sizeof body, "{\"name\":\"start-%u\",\"resources\":{\"accelerators\":\"cpu-core:1\"},\"run\":\"%s\"}", i,
	         line);
	sent = wall_ms();
	if (http_ask(&start->http, &start->target, "POST", "/v1/jobs", body) != 201)
		die("a submit got %d: %.300s", http_status(&start->http), http_body(&start->http));
	answered = wall_ms();
	job = strtoul(http_body(&start->http) + strlen("{\"id\":"), NULL, 10);
	began = first_instruction_ms(start, i);
	start->from_sent[i] = began - sent;
	start->from_answer[i] = began - answered;
	start->answer[i] = answered - sent;
	wait_until_over(start, job);
}

static void run_bare(struct start *start, unsigned i)
{
	char line[4096 + 64];
	char *argv[] = {"/bin/bash", "-c", line, NULL}, *env[] = {NULL};
	double begun = wall_ms();
	pid_t pid;

	put_line(start, i, line, sizeof line);
	if (posix_spawn(&pid, argv[0], NULL, NULL, argv, env) != 0)
		die("can't start %s", argv[0]);
	waitpid(pid, NULL, 0);
	start->bare[i] = first_instruction_ms(start, i) - begun;
}

static void put_results(struct start *start)
{
	char id[64];
	size_t n = start->jobs;

	sort_values(start->from_sent, n);
	sort_values(start->from_answer, n);
	sort_values(start->answer, n);
	sort_values(start->bare, BARE_RUNS);
	snprintf(id, sizeof id, "%s.p50", start->id);
	put_run(id, quantile(start->from_sent, n, 0.5));
	put_why(
		id,
		"%zu jobs one at a time, from the POST; from its answer %.2f ms (the answer takes %.2f ms); a bare spawn of the shell %.2f ms",
		n, quantile(start->from_answer, n, 0.5), quantile(start->answer, n, 0.5), quantile(start->bare, BARE_RUNS, 0.5));
	snprintf(id, sizeof id, "%s.p99", start->id);
	put_run(id, quantile(start->from_sent, n, 0.99));
	put_why(id, "from the answer %.2f ms; slowest %.2f ms; bare spawn p99 %.2f ms; two syncs come before the start",
	        quantile(start->from_answer, n, 0.99), start->from_sent[n - 1], quantile(start->bare, BARE_RUNS, 0.99));
}

int main(int argc, char **argv)
{
	struct start start = {0};

	if (argc != 6)
		die("usage: bench-start ID LISTEN TOKEN_FILE DIR JOBS");
	start.id = argv[1];
	target_read(&start.target, argv[2], argv[3]);
	start.dir = argv[4];
	start.jobs = (unsigned)strtoul(argv[5], NULL, 10);
	if (!start.jobs || start.jobs > JOBS_MAX)
		die("expected 1 to %d jobs", JOBS_MAX);
	start.from_sent = calloc(start.jobs, sizeof(double));
	start.from_answer = calloc(start.jobs, sizeof(double));
	start.answer = calloc(start.jobs, sizeof(double));
	start.bare = calloc(BARE_RUNS, sizeof(double));
	if (!start.from_sent || !start.from_answer || !start.answer || !start.bare)
		die("out of memory");
	start.watch = inotify_init1(IN_CLOEXEC);
	if (start.watch < 0 || inotify_add_watch(start.watch, start.dir, IN_CLOSE_WRITE) < 0)
		die("%s: can't be watched: %s", start.dir, strerror(errno));
	http_open(&start.http, &start.target);
	for (unsigned i = 0; i < BARE_RUNS; i++)
		run_bare(&start, i);
	for (unsigned i = 0; i < start.jobs; i++)
		run_job(&start, i);
	put_results(&start);
	http_close(&start.http);
	close(start.watch);
	free(start.from_sent);
	free(start.from_answer);
	free(start.answer);
	free(start.bare);
	return 0;
}
