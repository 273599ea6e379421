/* SPDX-License-Identifier: Apache-2.0
 * scale.c: what a decision costs as the pool, the queue and its variety grow. All times are of one CPU.
 *
 * bench-scale alike CARDS JOBS SEED     that many jobs wait, 25 single cards to a gang of 64, one limit
 * bench-scale varied CARDS JOBS SEED    that many, of 20,000 shapes and 100 projects, every limit different
 * bench-scale gangs RUNS SEED           wide gangs on a million cards
 *
 * A desk is full, the jobs arrive, then all that ran goes: placements until it is full again. From then on jobs arrive and random
 * ones end, in turns; each of these steps is timed by itself, with encoding and hashing its events. */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "desk.h"
#include "measure.h"

enum {
	SINGLES_TO_A_GANG = 25,
	GANG_NODES = 8,
	SHAPES = 20000,
	PROJECTS = 100,
	TURNS = 20000,           /* arrivals, and as many ends */
	ROUNDS = 5,              /* of so many turns: a run each, for they wait for memory, which others use too */
	TURNS_US_MAX = 20000000, /* of CPU time: over it there are fewer of them */
	TURN_US = 1000,
	LIMIT_LEAST_S = 3600,
	LIMIT_SPREAD_S = 72000,
	LARGE_CARDS = 1000000,
	POD_NODES = 64,
	WIDE_NODES = 1024,
};

typedef void job_maker(struct bench_job *ret, struct rng *rng);

static void make_alike(struct bench_job *ret, struct rng *rng)
{
	bool gang = rng_below(rng, SINGLES_TO_A_GANG + 1) == 0;

	bench_job(ret, "*", gang ? GANG_NODES : 1, gang ? BENCH_CARDS : 1, US_HOUR, rng);
}

/* A shape's number gives its cards, its nodes (one in twenty is a gang), its CPUs and its memory: no two are equal. */
static void make_varied(struct bench_job *ret, struct rng *rng)
{
	static char projects[PROJECTS][8];
	uint32_t shape = (uint32_t)rng_below(rng, SHAPES), cards = 1 + shape % BENCH_CARDS,
			 project = (uint32_t)rng_below(rng, PROJECTS);
	uint32_t nodes = shape / 8 % 20 ? 1 : 2 + shape / 160 % 7;
	us_t limit_us = LIMIT_LEAST_S * US_SECOND + (us_t)rng_below(rng, LIMIT_SPREAD_S * (uint64_t)US_SECOND);

	bench_job(ret, "*", nodes, cards, limit_us, rng);
	ret->request.cpus_milli = cards * 1000 * (1 + shape / 8 % 16);
	ret->request.memory_mib = cards * 1024 * (1 + shape / 128);
	snprintf(projects[project], sizeof projects[project], "p%02" PRIu32, project);
	ret->spec.project = projects[project];
}

/* ---- Many ---- */

/* What is measured of one desk: its name in the ids of the rows, and who makes its jobs. */
struct load {
	const char *id;
	job_maker *make;
	struct desk desk;
	struct rng rng;
	uint32_t cards, waiting;
	uint32_t *running; /* jobs */
	uint32_t n_running;
	double submit_us, place_us;
};

static void submit_all(struct load *load)
{
	struct bench_job job;
	uint64_t ns = 0, begun;

	for (uint32_t i = 0; i < load->waiting; i++) {
		load->make(&job, &load->rng);
		begun = cpu_ns();
		bench_submit(load->desk.core, load->desk.now_us, &job, &load->desk.step);
		desk_commit_full(&load->desk);
		ns += cpu_ns() - begun;
	}
	desk_commit(&load->desk);
	load->submit_us = (double)ns / 1e3 / load->waiting;
}

/* Those that were placed since the last call run from now on. */
static void run_started(struct load *load)
{
	struct desk *desk = &load->desk;
	uint32_t n = desk->n_started;

	load->running = realloc(load->running, (load->n_running + n + 1) * sizeof *load->running);
	if (!load->running)
		die("out of memory");
	for (uint32_t i = 0; i < n; i++) {
		load->running[load->n_running++] = desk->started[i];
		bench_report(desk->core, desk->now_us, desk->started[i], ATTEMPT_RUNNING, &desk->step);
		desk_commit_full(desk);
	}
	desk_commit(desk);
	memmove(desk->started, desk->started + n, (desk->n_started - n) * sizeof *desk->started);
	desk->n_started -= n;
}

static void place_all(struct load *load, const uint32_t blockers[BENCH_CENTRES])
{
	struct desk *desk = &load->desk;
	uint64_t begun;
	char id[64];

	desk->placed = 0;
	desk->n_started = 0;
	begun = cpu_ns();
	for (int i = 0; i < BENCH_CENTRES; i++) {
		bench_report(desk->core, desk->now_us, blockers[i], ATTEMPT_ENDED, &desk->step);
		desk_commit(desk);
	}
	if (!desk->placed)
		die("nothing was placed");
	load->place_us = cpu_seconds_since(begun) * 1e6 / (double)desk->placed;
	snprintf(id, sizeof id, "%s.place", load->id);
	put_run(id, load->place_us);
	put_why(id, "%" PRIu64 " placements, %" PRIu32 " jobs waiting before them", desk->placed, load->waiting);
	run_started(load);
}

static double time_arrival(struct load *load)
{
	struct desk *desk = &load->desk;
	struct bench_job job;
	uint64_t begun;

	load->make(&job, &load->rng);
	begun = cpu_ns();
	bench_submit(desk->core, desk->now_us += TURN_US, &job, &desk->step);
	desk_commit(desk);
	return cpu_us_since(begun);
}

static double time_end(struct load *load)
{
	struct desk *desk = &load->desk;
	uint32_t at = (uint32_t)rng_below(&load->rng, load->n_running), job = load->running[at];
	uint64_t begun;

	load->running[at] = load->running[--load->n_running];
	begun = cpu_ns();
	bench_report(desk->core, desk->now_us += TURN_US, job, ATTEMPT_ENDED, &desk->step);
	desk_commit(desk);
	return cpu_us_since(begun);
}

static void put_spread(const char *load_id, const char *what, double *values, size_t n, const char *note)
{
	char id[64];

	sort_values(values, n);
	snprintf(id, sizeof id, "%s.%s", load_id, what);
	put_run(id, quantile(values, n, 0.99));
	put_why(id, "of %zu: median %.1f us, 99.9%% %.0f us, longest %.0f us%s", n, quantile(values, n, 0.5),
	        quantile(values, n, 0.999), values[n - 1], note);
}

/* Arrivals and ends in turns, so that the queue stays as long as it is. Returns how many, and what they took in all. */
static uint32_t take_turns(struct load *load, double *arrivals, double *ends, double *ret_us)
{
	uint32_t n = 0;

	for (*ret_us = 0; n < TURNS && *ret_us < TURNS_US_MAX && load->n_running; n++) {
		arrivals[n] = time_arrival(load);
		ends[n] = time_end(load);
		*ret_us += arrivals[n] + ends[n];
		run_started(load);
	}
	return n;
}

/* What arrivals and ends take, and both together: a job's life but its reports. */
static void put_turns(struct load *load)
{
	double *arrivals = calloc(TURNS, sizeof *arrivals), *ends = calloc(TURNS, sizeof *ends), us;
	uint64_t placed = load->desk.placed;
	char id[64], note[64];
	uint32_t n;

	if (!arrivals || !ends)
		die("out of memory");
	n = take_turns(load, arrivals, ends, &us);
	snprintf(note, sizeof note, "; %.2f placements an end", (double)(load->desk.placed - placed) / n);
	put_spread(load->id, "arrival", arrivals, n, "");
	put_spread(load->id, "end", ends, n, note);
	snprintf(id, sizeof id, "%s.job", load->id);
	put_run(id, us / n);
	put_why(id, "mean of an arrival, an end and what it lets start; in bulk a submit takes %.2f us and a placement %.2f us",
	        load->submit_us, load->place_us);
	free(arrivals);
	free(ends);
}

static int measure_load(struct load *load)
{
	uint32_t blockers[BENCH_CENTRES];

	desk_open(&load->desk, load->cards, blockers);
	submit_all(load);
	place_all(load, blockers);
	for (int i = 0; i < ROUNDS; i++)
		put_turns(load);
	desk_close(&load->desk);
	free(load->running);
	return 0;
}

static int many(const char *word, job_maker *make, char **argv)
{
	struct load load = {.make = make,
	                    .cards = (uint32_t)strtoul(argv[0], NULL, 10),
	                    .waiting = (uint32_t)strtoul(argv[1], NULL, 10),
	                    .rng = {.state = strtoull(argv[2], NULL, 10)}};
	char id[32];

	snprintf(id, sizeof id, "%s.%" PRIu32, word, load.cards);
	load.id = id;
	return measure_load(&load);
}

static int alike(char **argv)
{
	return many("alike", make_alike, argv);
}

static int varied(char **argv)
{
	return many("varied", make_varied, argv);
}

/* ---- Wide gangs ---- */

static void submit_gang(struct desk *desk, uint32_t nodes, enum tier tier, struct rng *rng)
{
	struct bench_job job;

	bench_job(&job, "*", nodes, BENCH_CARDS, US_HOUR, rng);
	job.group.highest = tier;
	bench_submit(desk->core, desk->now_us += TURN_US, &job, &desk->step);
	desk_commit(desk);
}

/* Fills half of the pods with gangs and the rest with jobs of a node, and ends three in ten: free pods, and free nodes scattered.
 */
static void scatter(struct desk *desk, struct rng *rng)
{
	uint32_t pods = LARGE_CARDS / BENCH_CARDS / POD_NODES / 2, singles = LARGE_CARDS / BENCH_CARDS - pods * POD_NODES;

	for (uint32_t i = 0; i < pods; i++)
		submit_gang(desk, POD_NODES, TIER_POD, rng);
	for (uint32_t i = 0; i < singles; i++)
		submit_gang(desk, 1, TIER_NODE, rng);
	for (uint32_t i = 0; i < desk->n_started; i++)
		if (rng_below(rng, 10) < 3)
			bench_report(desk->core, desk->now_us, desk->started[i], ATTEMPT_ENDED, &desk->step);
	desk_commit(desk);
	desk->n_started = 0;
}

/* One gang at a time: from its submit to its placement, encoded and hashed; then it ends. */
static void time_gangs(struct desk *desk, const char *id, uint32_t nodes, enum tier tier, uint32_t runs, struct rng *rng)
{
	double *values = calloc(runs, sizeof *values), *ends = calloc(runs, sizeof *ends);
	uint64_t bytes = desk->bytes, begun;

	if (!values || !ends)
		die("out of memory");
	for (uint32_t i = 0; i < runs; i++) {
		begun = cpu_ns();
		submit_gang(desk, nodes, tier, rng);
		values[i] = cpu_us_since(begun);
		if (desk->n_started != 1)
			die("%s: the gang wasn't placed", id);
		begun = cpu_ns();
		bench_report(desk->core, desk->now_us += TURN_US, desk->started[0], ATTEMPT_ENDED, &desk->step);
		desk_commit(desk);
		ends[i] = cpu_us_since(begun);
		desk->n_started = 0;
	}
	bytes = (desk->bytes - bytes) / runs;
	sort_values(values, runs);
	sort_values(ends, runs);
	put_run(id, quantile(values, runs, 0.5));
	put_why(id,
	        "submitted, placed, %" PRIu64 " bytes encoded and hashed; 99th percentile of %" PRIu32 " %.0f us; its end %.0f us",
	        bytes, runs, quantile(values, runs, 0.99), quantile(ends, runs, 0.5));
	free(values);
	free(ends);
}

static int gangs(char **argv)
{
	uint32_t runs = (uint32_t)strtoul(argv[0], NULL, 10);
	struct rng rng = {.state = strtoull(argv[1], NULL, 10)};
	struct desk desk = {.now_us = 1000 * US_SECOND};

	desk.core = bench_core(LARGE_CARDS, desk.now_us);
	scatter(&desk, &rng);
	time_gangs(&desk, "gang.centre", WIDE_NODES, TIER_CENTRE, runs, &rng);
	time_gangs(&desk, "gang.pod", POD_NODES, TIER_POD, runs, &rng);
	desk_close(&desk);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int n_arguments;
		int (*run)(char **argv);
	} verbs[] = {{"alike", 3, alike}, {"varied", 3, varied}, {"gangs", 2, gangs}};

	if (sodium_init() < 0)
		die("libsodium can't start");
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (argc >= 2 && !strcmp(argv[1], verbs[i].name) && argc - 2 == verbs[i].n_arguments)
			return verbs[i].run(argv + 2);
	die("usage: bench-scale alike CARDS JOBS SEED | varied CARDS JOBS SEED | gangs RUNS SEED");
}
