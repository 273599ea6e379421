/* SPDX-License-Identifier: Apache-2.0
 * made.c: made-up work for a pool of many kinds, as a native trace (docs/format/trace.md), from a seed.
 *
 * bench-made JOBS CARDS LOAD SEED KIND=WEIGHT...: arrivals are a Poisson process that keeps LOAD (a share, 0.88) of CARDS busy;
 * run times are lognormal (median 10 minutes, a tenth over an hour and a half), of at most a day; limits are 1.2 to 4 times the
 * run time. Jobs of one card take any kind, as half of those with more on one node do; all others name one of KIND, whose nodes
 * have 8 cards, by WEIGHT. 20 projects, 200 users. */
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "measure.h"

enum { MEDIAN_S = 600, LONGEST_S = 86400, USERS = 200, PROJECTS = 20, KINDS_MAX = 64 };

#define SIGMA 1.7 /* of the logarithm of the run time */

/* Sizes as published logs have them: most jobs are small, most card time is in the large ones. weight: of 1000. */
static const struct size {
	uint32_t weight, nodes, cards;
} sizes[] = {{760, 1, 1}, {80, 1, 2}, {60, 1, 4}, {80, 1, 8}, {13, 2, 8}, {5, 4, 8}, {2, 8, 8}};

struct kind {
	char name[64];
	uint32_t weight;
};

static struct kind kinds[KINDS_MAX];
static uint32_t n_kinds, weights;

static void read_kind(const char *text)
{
	struct kind *kind = &kinds[n_kinds];

	if (n_kinds == KINDS_MAX || sscanf(text, "%63[^=]=%" SCNu32, kind->name, &kind->weight) != 2 || !kind->weight)
		die("%s: expected KIND=WEIGHT", text);
	weights += kind->weight;
	n_kinds++;
}

/* Over 0, to 1. */
static double uniform(struct rng *rng)
{
	return ((double)(rng_next(rng) >> 11) + 1) / 9007199254740992.0;
}

/* Box and Muller 1958. */
static double normal(struct rng *rng)
{
	double radius = sqrt(-2 * log(uniform(rng)));

	return radius * cos(6.283185307179586 * uniform(rng));
}

static const struct size *draw_size(struct rng *rng)
{
	uint64_t at = rng_below(rng, 1000);
	const struct size *size = sizes;

	while (at >= size->weight)
		at -= size++->weight;
	return size;
}

static double draw_run_s(struct rng *rng)
{
	double run_s = MEDIAN_S * exp(SIGMA * normal(rng));

	return run_s < 1 ? 1 : run_s > LONGEST_S ? LONGEST_S : run_s;
}

/* Cards × seconds of a job, in the mean, by a sample with a seed of its own. */
static double mean_work(void)
{
	struct rng rng = {.state = 1};
	double sum = 0;
	int n = 200000;

	for (int i = 0; i < n; i++) {
		const struct size *size = draw_size(&rng);

		sum += draw_run_s(&rng) * size->nodes * size->cards;
	}
	return sum / n;
}

static const char *draw_kind(struct rng *rng)
{
	uint64_t at = rng_below(rng, weights);
	const struct kind *kind = kinds;

	while (at >= kind->weight)
		at -= kind++->weight;
	return kind->name;
}

static void put_job(uint32_t id, double submit_s, struct rng *rng)
{
	const struct size *size = draw_size(rng);
	double run_s = draw_run_s(rng), limit_s = ceil(run_s * (1.2 + 2.8 * uniform(rng)));
	uint32_t user = (uint32_t)rng_below(rng, USERS);
	const char *kind = draw_kind(rng);

	if (size->nodes == 1 && (size->cards == 1 || rng_below(rng, 2)))
		kind = "";
	printf("%" PRIu32 ",p%02" PRIu32 ",u%03" PRIu32 ",%.6f,%.6f,%.0f,%" PRIu32 ",%" PRIu32 ",%s\n", id, user % PROJECTS, user,
	       submit_s, run_s, limit_s, size->nodes, size->cards, kind);
}

int main(int argc, char **argv)
{
	uint32_t jobs = argc > 5 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
	double gap_s, now_s = 0;
	struct rng rng;

	if (!jobs)
		die("usage: bench-made JOBS CARDS LOAD SEED KIND=WEIGHT...");
	rng = (struct rng){.state = strtoull(argv[4], NULL, 10)};
	gap_s = mean_work() / (strtod(argv[2], NULL) * strtod(argv[3], NULL));
	for (int i = 5; i < argc; i++)
		read_kind(argv[i]);
	puts("id,project,user,submit_s,run_s,limit_s,nodes,cards,kinds");
	for (uint32_t i = 0; i < jobs; i++)
		put_job(i, now_s -= gap_s * log(uniform(&rng)), &rng);
	return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
