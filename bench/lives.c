/* SPDX-License-Identifier: Apache-2.0
 * lives.c: a journal as a busy pool makes it; see lives.h. */
#include "lives.h"

#include <stdlib.h>

#include "base/mem.h"
#include "core/journal.h"
#include "measure.h"
#include "pool.h"
#include "sim/world.h"

/* 100,000 jobs within a day: none of them is old enough for a daemon that starts on this journal to forget it. */
enum { POOL_CARDS = 10240, BATCH_BYTES = 4096, GAP_US = 800000, GANG_EVERY = 20, RUN_LEAST_S = 200, RUN_SPREAD_S = 2800 };

static int keep_batch(void *ctx, const struct core *core, const struct batch *from, struct err *err)
{
	struct lives *lives = ctx;
	struct batch batch = {.sequence = from->sequence, .n_events = from->n_events, .at_us = from->at_us, .len = from->len};

	(void)core;
	(void)err;
	batch.hash = journal_hash(&lives->chain, batch.sequence, batch.n_events, batch.at_us, from->events, from->len);
	lives->chain = batch.hash;
	mem_grow((void **)&lives->batches, &lives->batches_cap, lives->n_batches, sizeof *lives->batches);
	mem_grow((void **)&lives->offsets, &lives->offsets_cap, lives->n_batches, sizeof *lives->offsets);
	lives->offsets[lives->n_batches] = lives->bytes.len;
	lives->batches[lives->n_batches++] = batch;
	buf_put(&lives->bytes, from->events, from->len);
	lives->n_events += from->n_events;
	return 0;
}

static struct fate fate(void *ctx, const struct core *core, const struct job *job)
{
	struct rng rng = {.state = job->id};

	(void)ctx;
	(void)core;
	return (struct fate){.run_us = (us_t)(RUN_LEAST_S + rng_below(&rng, RUN_SPREAD_S)) * US_SECOND,
	                     .state = ATTEMPT_ENDED,
	                     .cause = CAUSE_EXIT,
	                     .exit_code = rng_below(&rng, 50) == 0};
}

static void check(int code, const struct err *err)
{
	if (code < 0)
		die("the simulated pool failed: %s: %s", err->subject, err->text);
}

static void set_up(struct world *world, us_t at_us)
{
	struct arena arena = {0};
	struct pool_spec pool = bench_pool(&arena, POOL_CARDS);
	struct config_spec config = config_default();
	struct err err;

	check(world_input(world, &(struct input){.type = INPUT_CONFIG, .now_us = at_us, .config = &config}, &err), &err);
	check(world_input(world, &(struct input){.type = INPUT_POOL, .now_us = at_us, .pool = &pool}, &err), &err);
	arena_done(&arena);
}

static void arrive(struct world *world, us_t at_us, struct rng *rng)
{
	uint32_t nodes = rng_below(rng, GANG_EVERY) ? 1 : 4, cards = 1u << rng_below(rng, 4), number;
	struct bench_job job;
	struct err err;

	bench_job(&job, "*", nodes, cards, (RUN_LEAST_S + RUN_SPREAD_S) * US_SECOND, rng);
	check(world_run(world, at_us, &err), &err);
	check(world_submit(world, at_us, &job.spec, &number, &err), &err);
}

void lives_make(struct lives *lives, uint32_t jobs, uint64_t events, uint64_t seed, us_t now_us)
{
	struct world_config config = {
		.ctx = lives, .fate = fate, .commit = keep_batch, .startup_us = US_SECOND, .batch_bytes = BATCH_BYTES, .unchecked = true};
	struct rng rng = {.state = seed};
	us_t at_us = now_us - (us_t)jobs * GAP_US - US_HOUR;
	struct world *world;
	struct err err;

	*lives = (struct lives){0};
	world = world_new(&config);
	set_up(world, at_us);
	for (uint32_t i = 0; i < jobs && (!events || lives->n_events < events); i++)
		arrive(world, at_us += GAP_US, &rng);
	check(world_run(world, at_us + US_HOUR, &err), &err);
	check(world_finish(world, &(struct hash){0}, &err), &err);
	world_free(world);
}

struct batch lives_batch(const struct lives *lives, uint32_t i)
{
	struct batch batch = lives->batches[i];

	batch.events = lives->bytes.data + lives->offsets[i];
	return batch;
}

void lives_done(struct lives *lives)
{
	buf_done(&lives->bytes);
	free(lives->batches);
	free(lives->offsets);
	*lives = (struct lives){0};
}
