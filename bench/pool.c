/* SPDX-License-Identifier: Apache-2.0
 * pool.c: pools and jobs for measuring the core in process; see pool.h. */
#include "pool.h"

#include <stdio.h>
#include <string.h>

#include "measure.h"

enum {
	CAPABILITIES = CAN_EXACT_CARDS | CAN_FRACTIONS | CAN_IMAGES | CAN_BARE | CAN_START_ONCE | CAN_LIMIT | IS_SIMULATED,
};

static const char *const kind_names[BENCH_CENTRES] = {"ascend-910b2", "h800", "mlu590", "dcu-k100"};
static const char *const centre_names[BENCH_CENTRES] = {"tianjin", "beijing", "hebei", "inner-mongolia"};

struct pool_spec bench_pool(struct arena *arena, uint32_t cards)
{
	struct kind_spec *kinds = arena_new(arena, BENCH_CENTRES, sizeof *kinds);
	struct centre_spec *centres = arena_new(arena, BENCH_CENTRES, sizeof *centres);
	struct line_spec *lines = arena_new(arena, BENCH_CENTRES, sizeof *lines);

	for (int i = 0; i < BENCH_CENTRES; i++) {
		kinds[i] = (struct kind_spec){.name = kind_names[i], .vendor = "bench", .source = "bench", .class = CLASS_INTELLIGENT};
		lines[i] = (struct line_spec){.count = cards / BENCH_CENTRES / BENCH_CARDS,
		                              .kind = kind_names[i],
		                              .cards = BENCH_CARDS,
		                              .cpus_milli = 192000,
		                              .memory_mib = 1536 << 10,
		                              .nodes_per_rack = 4,
		                              .racks_per_pod = 16};
		centres[i] = (struct centre_spec){.name = centre_names[i],
		                                  .region = "bench",
		                                  .engine = "simulated",
		                                  .capabilities = CAPABILITIES,
		                                  .lines = &lines[i],
		                                  .n_lines = 1};
	}
	return (struct pool_spec){.name = "bench",
	                          .currency = "CNY",
	                          .kinds = kinds,
	                          .n_kinds = BENCH_CENTRES,
	                          .centres = centres,
	                          .n_centres = BENCH_CENTRES};
}

void bench_step(struct core *core, const struct input *input, struct step *step)
{
	struct err err;

	if (core_step(core, input, step, &err) < 0)
		die("the core refused an input: %s: %s", err.subject, err.text);
}

struct core *bench_core(uint32_t cards, us_t now_us)
{
	struct core *core = core_new();
	struct arena arena = {0};
	struct pool_spec pool = bench_pool(&arena, cards);
	struct config_spec config = config_default();
	struct step step = {0};

	core_set_decisions_max(core, UINT32_MAX); /* what is measured is each decision, and nobody waits for it */
	bench_step(core, &(struct input){.type = INPUT_CONFIG, .now_us = now_us, .config = &config}, &step);
	bench_step(core, &(struct input){.type = INPUT_POOL, .now_us = now_us, .pool = &pool}, &step);
	step_done(&step);
	arena_done(&arena);
	return core;
}

void bench_job(struct bench_job *ret, const char *kind, uint32_t nodes, uint32_t cards, us_t limit_us, struct rng *rng)
{
	*ret = (struct bench_job){0};
	snprintf(ret->name, sizeof ret->name, "train-%08x", (uint32_t)rng_next(rng));
	ret->request = (struct request_spec){.kind = kind, .cards_milli = cards * CARD_MILLI, .speed_milli = 1000};
	ret->group = (struct group_spec){
		.nodes = nodes, .requests = &ret->request, .n_requests = 1, .hard = true, .highest = TIER_CENTRE};
	ret->spec = (struct job_spec){.name = ret->name,
	                              .project = "default",
	                              .user = "bench",
	                              .groups = &ret->group,
	                              .n_groups = 1,
	                              .priority = JOB_PRIORITY_DEFAULT,
	                              .limit_us = limit_us,
	                              .max_restarts = -1,
	                              .preemptible_after_us = US_NEVER};
	for (size_t i = 0; i < HASH_BYTES; i += 8) {
		uint64_t word = rng_next(rng);

		memcpy(ret->spec.payload.bytes + i, &word, sizeof word);
	}
}

uint32_t bench_submit(struct core *core, us_t now_us, const struct bench_job *job, struct step *step)
{
	struct input input = {.type = INPUT_SUBMIT, .now_us = now_us, .submit.spec = &job->spec};

	bench_step(core, &input, step);
	return step->job;
}

void bench_report(struct core *core, us_t now_us, uint32_t job, enum attempt_state state, struct step *step)
{
	struct input input = {.type = INPUT_REPORT, .now_us = now_us};

	input.report = (struct report){.job = job, .attempt = 1, .state = state};
	if (state == ATTEMPT_ENDED)
		input.report.cause = CAUSE_EXIT;
	bench_step(core, &input, step);
}

void bench_fill(struct core *core, us_t now_us, uint32_t cards, uint32_t ret[BENCH_CENTRES])
{
	struct rng rng = {0};
	struct step step = {0};
	struct bench_job job;

	for (int i = 0; i < BENCH_CENTRES; i++) {
		bench_job(&job, kind_names[i], cards / BENCH_CENTRES / BENCH_CARDS, BENCH_CARDS, US_NEVER, &rng);
		ret[i] = bench_submit(core, now_us, &job, &step);
		for (int state = ATTEMPT_HELD; state <= ATTEMPT_RUNNING; state++)
			bench_report(core, now_us, ret[i], (enum attempt_state)state, &step);
	}
	step_done(&step);
}
