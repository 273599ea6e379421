/* SPDX-License-Identifier: Apache-2.0
 * pool.h: pools and jobs for measuring the core in process. */
#ifndef SUAN_BENCH_POOL_H
#define SUAN_BENCH_POOL_H

#include "base/arena.h"
#include "base/rng.h"
#include "core/core.h"

enum { BENCH_CENTRES = 4, BENCH_CARDS = 8 };

/* Four centres of a kind each, nodes of 8 cards in racks of 4 and pods of 64: `cards` in all. In the arena. */
struct pool_spec bench_pool(struct arena *arena, uint32_t cards);

/* A core that has that pool, at now_us. */
struct core *bench_core(uint32_t cards, us_t now_us);

/* A job of `nodes` nodes with `cards` cards each; kind: "*" for any. It has a payload of its own, by the random source. What it
 * points to is in *ret's own fields, so a bench_job stays where it was made. */
struct bench_job {
	struct job_spec spec;
	struct group_spec group;
	struct request_spec request;
	char name[32];
};
void bench_job(struct bench_job *ret, const char *kind, uint32_t nodes, uint32_t cards, us_t limit_us, struct rng *rng);

/* One step; ends the process where the core refuses it. */
void bench_step(struct core *core, const struct input *input, struct step *step);
/* Submits a job; its number. */
uint32_t bench_submit(struct core *core, us_t now_us, const struct bench_job *job, struct step *step);
/* A report on a job's first attempt. */
void bench_report(struct core *core, us_t now_us, uint32_t job, enum attempt_state state, struct step *step);

/* Four gangs that take a centre each, running without a limit, so that nothing else can start. *ret: their numbers. */
void bench_fill(struct core *core, us_t now_us, uint32_t cards, uint32_t ret[BENCH_CENTRES]);

#endif
