/* SPDX-License-Identifier: Apache-2.0
 * faults.c: nodes that fail and are repaired; see faults.h.
 *
 * The failures of n like nodes are one Poisson process of n times the rate, and each strikes one of them at random; one that
 * strikes a node that is down already strikes nobody. Repairs take equally long, so they come in the order of failures. */
#include "sim/faults.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

struct faults {
	const struct pool_spec *pool;
	struct fault_config config;
	struct rng rng;
	us_t next_us;          /* of the process */
	uint32_t *first;       /* by centre: its first node among all; one more at the end */
	bool *down;            /* by node among all */
	struct fault *repairs; /* to come, in order; from repairs_at on */
	uint32_t repairs_at, n_repairs, repairs_cap;
};

uint64_t faults_exponential(uint64_t uniform)
{
	const uint64_t ln2 = 2977044472; /* ln 2 × 2^32 */
	uint64_t mantissa = uniform ? uniform : 1, log2 = 0;
	int zeros = __builtin_clzll(mantissa);
	__extension__ typedef unsigned __int128 wide;

	/* The binary logarithm of the mantissa, 1 <= m < 2: squaring yields a bit of it at a time (Knuth, vol. 1, 1.2.2). */
	mantissa <<= zeros;
	for (int bit = 31; bit >= 0; bit--) {
		wide square = (wide)mantissa * mantissa;
		bool carry = square >> 127;

		mantissa = (uint64_t)(square >> (carry ? 64 : 63));
		log2 |= (uint64_t)carry << bit;
	}
	return (uint64_t)((wide)(((uint64_t)(zeros + 1) << 32) - log2) * ln2 >> 32);
}

static uint32_t n_nodes(const struct faults *faults)
{
	return faults->first[faults->pool->n_centres];
}

/* Draws the next instant of the process after the last. */
static void draw(struct faults *faults)
{
	__extension__ typedef unsigned __int128 wide;
	uint64_t wait;

	if (!faults->config.mtbf_us || !n_nodes(faults)) {
		faults->next_us = US_NEVER;
		return;
	}
	wait = (uint64_t)((wide)faults_exponential(rng_next(&faults->rng)) * (uint64_t)faults->config.mtbf_us / n_nodes(faults) >>
	                  32);
	faults->next_us = us_add(faults->next_us, (us_t)wait + 1);
}

struct faults *faults_new(const struct pool_spec *pool, const struct fault_config *config, uint64_t seed, us_t from_us)
{
	struct faults *faults = mem_new(1, sizeof *faults);

	*faults = (struct faults){.pool = pool, .config = *config, .rng = {rng_mix(seed)}, .next_us = from_us};
	faults->first = mem_new(pool->n_centres + 1, sizeof *faults->first);
	for (uint32_t c = 0; c < pool->n_centres; c++) {
		faults->first[c + 1] = faults->first[c];
		for (uint32_t l = 0; l < pool->centres[c].n_lines; l++)
			faults->first[c + 1] += pool->centres[c].lines[l].count;
	}
	faults->down = mem_new(n_nodes(faults), sizeof *faults->down);
	draw(faults);
	return faults;
}

struct faults *faults_free(struct faults *faults)
{
	if (!faults)
		return NULL;
	free(faults->first);
	free(faults->down);
	free(faults->repairs);
	free(faults);
	return NULL;
}

bool faults_any_down(const struct faults *faults)
{
	return faults->repairs_at < faults->n_repairs;
}

us_t faults_next(const struct faults *faults)
{
	us_t repair_us = faults_any_down(faults) ? faults->repairs[faults->repairs_at].at_us : US_NEVER;

	return repair_us < faults->next_us ? repair_us : faults->next_us;
}

static void repair(struct faults *faults, struct fault *ret)
{
	*ret = faults->repairs[faults->repairs_at++];
	faults->down[faults->first[ret->centre] + ret->node] = false;
	if (!faults_any_down(faults))
		faults->repairs_at = faults->n_repairs = 0;
}

/* The process strikes a node. Returns whether that one was up, and so is down now. */
static bool strike(struct faults *faults, struct fault *ret)
{
	uint32_t node = (uint32_t)rng_below(&faults->rng, n_nodes(faults)), centre = 0;

	while (faults->first[centre + 1] <= node)
		centre++;
	*ret = (struct fault){faults->next_us, centre, node - faults->first[centre], true};
	draw(faults);
	if (faults->down[node])
		return false;
	faults->down[node] = true;
	mem_grow((void **)&faults->repairs, &faults->repairs_cap, faults->n_repairs, sizeof *faults->repairs);
	faults->repairs[faults->n_repairs++] = (struct fault){us_add(ret->at_us, faults->config.repair_us), ret->centre, ret->node,
	                                                      false};
	return true;
}

bool faults_take(struct faults *faults, struct fault *ret)
{
	if (!faults_any_down(faults) || faults->repairs[faults->repairs_at].at_us > faults->next_us)
		return strike(faults, ret);
	repair(faults, ret);
	return true;
}
