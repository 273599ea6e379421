/* SPDX-License-Identifier: Apache-2.0
 * rng.h: random numbers that follow from a seed (SplitMix64, Steele, Lea and Flood 2014). Not for secrets. */
#ifndef SUAN_BASE_RNG_H
#define SUAN_BASE_RNG_H

#include <stdint.h>

#include "base/wide.h"

struct rng {
	uint64_t state;
};

/* One well mixed 64-bit value from another; a hash for integers. */
static inline uint64_t rng_mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static inline uint64_t rng_next(struct rng *rng)
{
	uint64_t value = rng_mix(rng->state);

	rng->state += 0x9e3779b97f4a7c15u;
	return value;
}

/* A value from 0 to bound − 1, without bias that anyone could measure (Lemire's multiply). bound: 1 or more. */
static inline uint64_t rng_below(struct rng *rng, uint64_t bound)
{
	return (uint64_t)(((u128)rng_next(rng) * bound) >> 64);
}

#endif
