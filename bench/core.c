/* SPDX-License-Identifier: Apache-2.0
 * core.c: the core measured in process: replay, decisions, reports, submits, memory. Rates are a second of one CPU's time.
 *
 * bench-core replay EVENTS RUNS SEED    applies a simulator's journal to a fresh core, with and without checking its chain
 * bench-core journal DIR JOBS SEED      writes a journal of that many jobs' whole lives to a store, for a daemon to start on
 * bench-core decide RUNS SEED           placements, reports and submits a second
 * bench-core memory JOBS SEED           bytes a waiting job
 * bench-core cards CARDS...             bytes a card */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/journal.h"
#include "desk.h"
#include "lives.h"
#include "measure.h"
#include "store/stores.h"

enum {
	POOL_CARDS = 10240,
	SINGLES = 5000,
	GANGS = 200,
	GANG_NODES = 8,
	QUEUED = 200000,
	SHAPES = 16,
};

static us_t wall_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (us_t)t.tv_sec * US_SECOND + t.tv_nsec / 1000;
}

/* ---- Replay ---- */

static double replay_once(const struct lives *lives, bool hashed)
{
	struct core *core = core_new();
	struct hash chain = {0};
	uint64_t begun = cpu_ns();
	double took;

	for (uint32_t i = 0; i < lives->n_batches; i++) {
		struct batch batch = lives_batch(lives, i);
		struct err err;

		if (hashed) {
			chain = journal_hash(&chain, batch.sequence, batch.n_events, batch.at_us, batch.events, batch.len);
			if (memcmp(&chain, &batch.hash, sizeof chain) != 0)
				die("the chain is broken at event %" PRIu64, batch.sequence);
		}
		if (core_apply(core, batch.events, batch.len, NULL, NULL, &err) < 0)
			die("replay: %s", err.text);
	}
	took = cpu_seconds_since(begun);
	if (core_sequence(core) != lives->n_events)
		die("%" PRIu64 " events were replayed, not %" PRIu64, core_sequence(core), lives->n_events);
	core_free(core);
	return took;
}

static int replay(int argc, char **argv)
{
	uint64_t events = strtoull(argv[0], NULL, 10), seed = strtoull(argv[2], NULL, 10);
	unsigned runs = (unsigned)strtoul(argv[1], NULL, 10);
	struct lives lives;

	(void)argc;
	lives_make(&lives, UINT32_MAX >> 8, events, seed, wall_us());
	for (unsigned i = 0; i < runs; i++) {
		put_run("replay.hashed", (double)lives.n_events / replay_once(&lives, true));
		put_run("replay.plain", (double)lives.n_events / replay_once(&lives, false));
	}
	put_why("replay.hashed", "one CPU: %" PRIu64 " events of a simulated pool, %.1f bytes each, %.0f to a batch", lives.n_events,
	        (double)lives.bytes.len / (double)lives.n_events, (double)lives.n_events / lives.n_batches);
	put_why("replay.plain", "one CPU: the same without hashing, so what the chain costs is the difference");
	lives_done(&lives);
	return 0;
}

/* ---- A journal to start on ---- */

static int journal(int argc, char **argv)
{
	uint32_t jobs = (uint32_t)strtoul(argv[1], NULL, 10);
	struct lives lives;
	struct store *store;
	struct err err;

	(void)argc;
	if (store_open(argv[0], &store, &err) < 0)
		die("%s: %s", argv[0], err.text);
	lives_make(&lives, jobs, 0, strtoull(argv[2], NULL, 10), wall_us());
	for (uint32_t i = 0; i < lives.n_batches; i++) {
		struct batch batch = lives_batch(&lives, i);

		if (store->ops->append(store, &batch, NULL, 0, &err) < 0)
			die("%s: %s", argv[0], err.text);
	}
	store->ops->close(store);
	printf("%" PRIu64 "\n", lives.n_events);
	lives_done(&lives);
	return 0;
}

/* ---- Decisions ---- */

/* The backlog: single cards and gangs of 64, in an order by the seed. */
static void submit_backlog(struct desk *desk, struct rng *rng)
{
	uint32_t singles = SINGLES, gangs = GANGS;
	struct bench_job job;

	while (singles + gangs) {
		bool gang = rng_below(rng, singles + gangs) < gangs;

		bench_job(&job, "*", gang ? GANG_NODES : 1, gang ? BENCH_CARDS : 1, US_HOUR, rng);
		bench_submit(desk->core, desk->now_us, &job, &desk->step);
		desk_commit_full(desk);
		gangs -= gang;
		singles -= !gang;
	}
	desk_commit(desk);
}

/* All that runs goes, centre by centre, and what waits is placed. */
static void place_backlog(struct desk *desk, const uint32_t blockers[BENCH_CENTRES])
{
	uint64_t begun, events = desk->events, bytes = desk->bytes;
	double took;

	desk->placed = 0;
	begun = cpu_ns();
	for (int i = 0; i < BENCH_CENTRES; i++) {
		bench_report(desk->core, desk->now_us, blockers[i], ATTEMPT_ENDED, &desk->step);
		desk_commit(desk);
	}
	took = cpu_seconds_since(begun);
	put_run("core.place", (double)desk->placed / took);
	put_why("core.place",
	        "one CPU: %" PRIu64 " placements until %d cards are full; %.1f events and %.0f bytes a placement, encoded and hashed",
	        desk->placed, POOL_CARDS, (double)(desk->events - events) / (double)desk->placed,
	        (double)(desk->bytes - bytes) / (double)desk->placed);
}

/* Every placed job is held, released, runs and ends, which lets what still waits start. */
static void report_lives(struct desk *desk, uint32_t last)
{
	uint64_t begun = cpu_ns(), reports = 0;

	for (int state = ATTEMPT_HELD; state <= ATTEMPT_ENDED; state++)
		for (uint32_t id = BENCH_CENTRES + 1; id <= last; id++) {
			const struct job *job = core_job(desk->core, id);

			if (!job || job->attempt_state != (enum attempt_state)(state - 1))
				continue;
			bench_report(desk->core, desk->now_us += 100, id, (enum attempt_state)state, &desk->step);
			desk_commit_full(desk);
			reports++;
		}
	desk_commit(desk);
	put_run("core.report", (double)reports / cpu_seconds_since(begun));
	put_why("core.report",
	        "one CPU: %" PRIu64 " reports (held, released, running, ended), what still waits placed as cards come free", reports);
}

static void submit_queue(uint64_t seed)
{
	struct rng rng = {.state = seed};
	struct bench_job *jobs = calloc(QUEUED, sizeof *jobs);
	uint32_t blockers[BENCH_CENTRES];
	struct desk desk;
	uint64_t begun;

	if (!jobs)
		die("out of memory");
	for (uint32_t i = 0; i < QUEUED; i++) {
		uint32_t shape = (uint32_t)rng_below(&rng, SHAPES);

		bench_job(&jobs[i], "*", 1 + shape / 8, 1 + shape % 8, US_HOUR, &rng);
	}
	desk_open(&desk, POOL_CARDS, blockers);
	begun = cpu_ns();
	for (uint32_t i = 0; i < QUEUED; i++) {
		bench_submit(desk.core, desk.now_us, &jobs[i], &desk.step);
		desk_commit_full(&desk);
	}
	desk_commit(&desk);
	put_run("core.submit", QUEUED / cpu_seconds_since(begun));
	put_why("core.submit",
	        "one CPU: %d jobs of %d shapes into a waiting queue, each decided about; %.0f bytes each, encoded and hashed", QUEUED,
	        SHAPES, (double)desk.bytes / QUEUED);
	desk_close(&desk);
	free(jobs);
}

static int decide(int argc, char **argv)
{
	unsigned runs = (unsigned)strtoul(argv[0], NULL, 10);
	uint64_t seed = strtoull(argv[1], NULL, 10);

	(void)argc;
	for (unsigned i = 0; i < runs; i++) {
		struct rng rng = {.state = seed};
		uint32_t blockers[BENCH_CENTRES];
		struct desk desk;

		desk_open(&desk, POOL_CARDS, blockers);
		submit_backlog(&desk, &rng);
		place_backlog(&desk, blockers);
		report_lives(&desk, BENCH_CENTRES + SINGLES + GANGS);
		core_check(desk.core);
		desk_close(&desk);
		submit_queue(seed + i);
	}
	return 0;
}

/* ---- Memory ---- */

static void submit_many(struct desk *desk, uint32_t n, struct rng *rng)
{
	struct bench_job job;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t shape = (uint32_t)rng_below(rng, SHAPES);

		bench_job(&job, "*", 1 + shape / 8, 1 + shape % 8, US_HOUR, rng);
		bench_submit(desk->core, desk->now_us, &job, &desk->step);
		desk_commit_full(desk);
	}
	desk_commit(desk);
}

static int memory(int argc, char **argv)
{
	uint32_t jobs = (uint32_t)strtoul(argv[0], NULL, 10), blockers[BENCH_CENTRES];
	struct rng rng = {.state = strtoull(argv[1], NULL, 10)};
	struct desk desk;
	uint64_t few;

	(void)argc;
	desk_open(&desk, POOL_CARDS, blockers);
	submit_many(&desk, 1000, &rng);
	few = resident_bytes();
	submit_many(&desk, jobs, &rng);
	put_run("memory.job", (double)(resident_bytes() - few) / jobs);
	put_why("memory.job", "resident memory of a core with %" PRIu32 " waiting jobs over 1,000 of them; a struct job is %zu bytes",
	        jobs + 1000, sizeof(struct job));
	desk_close(&desk);
	return 0;
}

/* One pool a process: memory that was freed may stay with it. */
static int cards(int argc, char **argv)
{
	uint32_t n = (uint32_t)strtoul(argv[0], NULL, 10), blockers[BENCH_CENTRES];
	uint64_t before = resident_bytes();
	struct rng rng = {.state = 1};
	struct bench_job job;
	struct desk desk;
	char id[32];

	(void)argc;
	desk_open(&desk, n, blockers);
	bench_job(&job, "*", 1, 1, US_HOUR, &rng);
	bench_submit(desk.core, desk.now_us, &job, &desk.step);
	snprintf(id, sizeof id, "memory.card.%" PRIu32, n);
	put_run(id, (double)(resident_bytes() - before) / n);
	put_why(id, "resident memory of a core whose %" PRIu32 " nodes all run, over that of an empty process", n / BENCH_CARDS);
	desk_close(&desk);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int n_arguments;
		int (*run)(int argc, char **argv);
	} verbs[] = {
		{"replay", 3, replay}, {"journal", 3, journal}, {"decide", 2, decide}, {"memory", 2, memory}, {"cards", 1, cards}};

	if (sodium_init() < 0)
		die("libsodium can't start");
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (argc >= 2 && !strcmp(argv[1], verbs[i].name) && argc - 2 == verbs[i].n_arguments)
			return verbs[i].run(argc - 2, argv + 2);
	die("usage: bench-core replay EVENTS RUNS SEED | journal DIR JOBS SEED | decide RUNS SEED | memory JOBS SEED | cards CARDS");
}
