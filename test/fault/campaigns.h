/* SPDX-License-Identifier: Apache-2.0
 * campaigns.h: one run of each kind of fault test. */
#ifndef SUAN_TEST_FAULT_CAMPAIGNS_H
#define SUAN_TEST_FAULT_CAMPAIGNS_H

#include "scenario.h"

/* What came of one run. */
struct outcome {
	bool hit;        /* the fault came: the scenario has a place numbered `k` */
	uint64_t places; /* how many it passed */
	char failed[SCENARIO_TEXT];
	char where[2 * CONTROL_NAME + 8]; /* of the fault */
	int64_t slowest_us;
	struct image image;
};

struct campaign {
	const char *name, *what;
	/* Runs it with the fault at the k-th place, in the order that the seed gives; k 0: no fault. */
	void (*run)(struct rig *rig, uint64_t seed, uint64_t k, struct outcome *ret);
	unsigned sample; /* runs where none are asked for */
	unsigned full;   /* and in a soak */
	bool heap;       /* with heap.so */
	bool every;      /* a test, too, runs each place, once */
};

extern const struct campaign campaigns[];
extern const unsigned n_campaigns;

/* shortage.c: allocations fail while each route is asked; while each verb of suan runs; and a daemon truly has no memory. */
void run_heap_routes(struct rig *rig, uint64_t seed, uint64_t k, struct outcome *ret);
void run_heap_suan(struct rig *rig, uint64_t seed, uint64_t k, struct outcome *ret);
void run_heap_limit(struct rig *rig, uint64_t seed, uint64_t k, struct outcome *ret);
/* clocks.c */
void run_clock(struct rig *rig, uint64_t seed, uint64_t k, struct outcome *ret);

#endif
