/* SPDX-License-Identifier: Apache-2.0
 * load.c: submits as fast as the daemon acknowledges them, from one thread with epoll over kept-alive connections.
 *
 * bench-load ID LISTEN TOKEN_FILE PID CONNECTIONS BATCH SECONDS RUNS [JOBS]. Each connection has one request under way at a time,
 * of BATCH jobs. Each job has a name and a payload of its own, as jobs have, and waits, for the pool is full: so each is decided
 * about, and none starts. With JOBS, a run ends once that many are acknowledged. Prints jobs acknowledged a second. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "http.h"
#include "measure.h"
#include "threads.h"

enum { CONNECTIONS_MAX = 1024, BATCH_MAX = 1000, JOB_BYTES = 256, LATENCIES_MAX = 1 << 20 };

struct load {
	const char *id;
	struct target target;
	pid_t pid;
	unsigned n, batch;
	double seconds;
	unsigned long jobs_wanted; /* 0: as many as the seconds allow */

	struct http connections[CONNECTIONS_MAX];
	uint64_t begun_ns[CONNECTIONS_MAX];
	int epoll;
	unsigned long serial; /* of the next job */
	char *body;
	unsigned under_way;

	unsigned long acknowledged; /* jobs of this run */
	double *latencies;          /* of its requests, ms */
	size_t n_latencies;
};

/* What the daemon has counted. */
struct counters {
	double commits, commit_seconds, events;
};

static double metric(const char *text, const char *name)
{
	char line[128];
	const char *at;

	snprintf(line, sizeof line, "\n%s ", name);
	at = strstr(text, line);
	return at ? strtod(at + strlen(line), NULL) : 0;
}

static struct counters read_counters(struct load *load)
{
	struct http *http = &load->connections[0];
	struct counters c;

	if (http_ask(http, &load->target, "GET", "/metrics", NULL) != 200)
		die("/metrics: status %d", http_status(http));
	c.commits = metric(http_body(http), "suan_commit_seconds_count");
	c.commit_seconds = metric(http_body(http), "suan_commit_seconds_sum");
	c.events = metric(http_body(http), "suan_sequence");
	return c;
}

static size_t put_job(char *to, unsigned long serial)
{
	return (size_t)snprintf(to, JOB_BYTES,
	                        "{\"name\":\"bench-%lu\",\"resources\":{\"accelerators\":\"h800:8\"},\"time\":\"1h\","
	                        "\"run\":\"./train --seed %lu\"}",
	                        serial, serial);
}

static size_t put_body(struct load *load)
{
	size_t len = 0;

	if (load->batch == 1)
		return put_job(load->body, load->serial++);
	len += (size_t)sprintf(load->body, "{\"jobs\":[");
	for (unsigned i = 0; i < load->batch; i++) {
		if (i)
			load->body[len++] = ',';
		len += put_job(load->body + len, load->serial++);
	}
	memcpy(load->body + len, "]}", 3);
	return len + 2;
}

static void watch(struct load *load, unsigned i, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.u32 = i};

	if (epoll_ctl(load->epoll, EPOLL_CTL_MOD, load->connections[i].fd, &event) < 0)
		die("epoll: %s", strerror(errno));
}

static void begin(struct load *load, unsigned i)
{
	size_t len = put_body(load);

	http_begin(&load->connections[i], &load->target, "POST", "/v1/jobs", load->body, len);
	load->begun_ns[i] = now_ns();
	load->under_way++;
	if (!http_send(&load->connections[i]))
		watch(load, i, EPOLLIN | EPOLLOUT);
}

static void take_answer(struct load *load, unsigned i)
{
	const struct http *http = &load->connections[i];

	load->under_way--;
	if (http_status(http) != 201 || (load->batch > 1 && strstr(http_body(http), "\"problem\"")))
		die("a submit got %d: %.300s", http_status(http), http_body(http));
	load->acknowledged += load->batch;
	if (load->n_latencies < LATENCIES_MAX)
		load->latencies[load->n_latencies++] = (double)(now_ns() - load->begun_ns[i]) / 1e6;
}

static bool goes_on(const struct load *load, uint64_t begun_ns)
{
	return load->jobs_wanted ? load->acknowledged + (unsigned long)load->under_way * load->batch < load->jobs_wanted
	                         : seconds_since(begun_ns) < load->seconds;
}

static void serve(struct load *load, const struct epoll_event *event, bool more)
{
	unsigned i = event->data.u32;
	struct http *http = &load->connections[i];

	if (event->events & EPOLLOUT && http_send(http))
		watch(load, i, EPOLLIN);
	if (!(event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) || !http_receive(http))
		return;
	take_answer(load, i);
	if (more)
		begin(load, i);
}

/* Returns how long it took, the last answer included. */
static double run_once(struct load *load)
{
	struct epoll_event events[CONNECTIONS_MAX];
	uint64_t begun = now_ns();

	load->acknowledged = 0;
	load->n_latencies = 0;
	for (unsigned i = 0; i < load->n && goes_on(load, begun); i++)
		begin(load, i);
	while (load->under_way) {
		int n = epoll_wait(load->epoll, events, CONNECTIONS_MAX, 30000);

		if (n <= 0)
			die("no answer within 30 s");
		for (int k = 0; k < n; k++)
			serve(load, &events[k], goes_on(load, begun));
	}
	return seconds_since(begun);
}

static void explain(struct load *load, double took, const struct cpu_use *a, const struct cpu_use *b, const struct counters *c,
                    const struct counters *d)
{
	double commits = d->commits - c->commits, in_commit = d->commit_seconds - c->commit_seconds;

	sort_values(load->latencies, load->n_latencies);
	put_why(load->id,
	        "core thread: in the store %.0f%% of the time, on a CPU %.0f%%; HTTP threads %.0f%%, load generator %.0f%% of a CPU; "
	        "%.1f jobs and %.2f ms a commit; answer p50 %.2f ms, p99 %.2f ms",
	        100 * in_commit / took, 100 * (b->core - a->core) / took, 100 * (b->api - a->api) / took,
	        100 * (b->own - a->own) / took, (d->events - c->events) / commits, 1e3 * in_commit / commits,
	        quantile(load->latencies, load->n_latencies, 0.5), quantile(load->latencies, load->n_latencies, 0.99));
}

static void measure(struct load *load)
{
	struct counters c = read_counters(load), d;
	struct cpu_use a = threads_cpu(load->pid), b;
	double took = run_once(load);

	b = threads_cpu(load->pid);
	d = read_counters(load);
	put_run(load->id, (double)load->acknowledged / took);
	explain(load, took, &a, &b, &c, &d);
}

static void open_all(struct load *load)
{
	load->epoll = epoll_create1(EPOLL_CLOEXEC);
	for (unsigned i = 0; i < load->n; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};

		http_open(&load->connections[i], &load->target);
		if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, load->connections[i].fd, &event) < 0)
			die("epoll: %s", strerror(errno));
	}
	load->body = malloc((size_t)load->batch * JOB_BYTES + 64);
	load->latencies = malloc(LATENCIES_MAX * sizeof *load->latencies);
	if (!load->body || !load->latencies)
		die("out of memory");
}

int main(int argc, char **argv)
{
	static struct load load;
	unsigned runs;

	if (argc < 9)
		die("usage: bench-load ID LISTEN TOKEN_FILE PID CONNECTIONS BATCH SECONDS RUNS [JOBS]");
	load.id = argv[1];
	target_read(&load.target, argv[2], argv[3]);
	load.pid = (pid_t)strtol(argv[4], NULL, 10);
	load.n = (unsigned)strtoul(argv[5], NULL, 10);
	load.batch = (unsigned)strtoul(argv[6], NULL, 10);
	load.seconds = strtod(argv[7], NULL);
	runs = (unsigned)strtoul(argv[8], NULL, 10);
	load.jobs_wanted = argc > 9 ? strtoul(argv[9], NULL, 10) : 0;
	if (!load.n || load.n > CONNECTIONS_MAX || !load.batch || load.batch > BATCH_MAX || !runs)
		die("expected 1 to %d connections, batches of 1 to %d, and a run or more", CONNECTIONS_MAX, BATCH_MAX);
	load.serial = (unsigned long)(now_ns() % 1000000000) * 1000;
	open_all(&load);
	while (runs--)
		measure(&load);
	for (unsigned i = 0; i < load.n; i++)
		http_close(&load.connections[i]);
	close(load.epoll);
	free(load.body);
	free(load.latencies);
	return 0;
}
