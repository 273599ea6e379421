/* SPDX-License-Identifier: Apache-2.0
 * faults.h: nodes that fail and are repaired, at random instants that follow from a seed.
 *
 * Each node that is up fails after a time drawn from an exponential distribution, and is up again a fixed time later. */
#ifndef SUAN_SIM_FAULTS_H
#define SUAN_SIM_FAULTS_H

#include "base/rng.h"
#include "core/spec.h"

struct fault_config {
	us_t mtbf_us;   /* mean time between failures of a node; 0: none fails */
	us_t repair_us; /* from a failure until the node is back; 1 or more */
};

/* A node that went down, or is back. */
struct fault {
	us_t at_us;
	uint32_t centre, node; /* the centre's place in the pool's specification; the node's number in it */
	bool down;
};

struct faults;

/* Failures of a pool from an instant on; nobody fails where mtbf_us is 0. pool: borrowed until faults_free. Never NULL. */
struct faults *faults_new(const struct pool_spec *pool, const struct fault_config *config, uint64_t seed, us_t from_us);
struct faults *faults_free(struct faults *faults);

/* The instant of the next one; US_NEVER: there is none. */
us_t faults_next(const struct faults *faults);
/* Takes what comes next, which is at faults_next(), and not never. Returns whether a node changed: what strikes one that is down
 * already changes nothing. */
bool faults_take(struct faults *faults, struct fault *ret);
/* Whether a node is down, and so will be up again. */
bool faults_any_down(const struct faults *faults);

/* −ln of a uniform value: an exponential variate of mean 1, in units of 2^-32. Integers only, so that it is the same everywhere.
 */
uint64_t faults_exponential(uint64_t uniform);

#endif
