/* SPDX-License-Identifier: Apache-2.0
 * sim.h: a trace, run over a pool by the same core that the daemon has. */
#ifndef SUAN_SIM_SIM_H
#define SUAN_SIM_SIM_H

#include <stdio.h>

#include "core/core.h"
#include "sim/faults.h"
#include "sim/trace.h"
#include "sim/work.h"

enum sim_outcome { SIM_PENDING, SIM_RUNNING, SIM_COMPLETED, SIM_FAILED, SIM_CANCELED, SIM_NEVER_FIT };

/* What became of a job of the trace. */
struct sim_job {
	us_t start_us, end_us; /* of its first start and its last end; US_NEVER: not yet */
	uint32_t centre, kind; /* numbers; CENTRE_ANY and KIND_NONE before it started */
	uint32_t restarts;
	enum sim_outcome outcome;
};

struct sim_config {
	const struct pool_spec *pool; /* capabilities may be 0: they become those of a perfect centre */
	const struct config_spec *config;
	const struct trace *trace;
	struct fault_config faults; /* of nodes; their instants follow from the configuration's seed */
	FILE *timeline;             /* NULL: none */
	bool unchecked;             /* without the plan checker */
	/* Called after each arrival and each end, to show progress; NULL: not. */
	void (*progress)(void *ctx, uint32_t arrived, uint32_t over, us_t now_us);
	void *progress_ctx;
};

/* Supply of a centre, and what the jobs that started there needed of it: thousandths of cards × seconds, by its number. */
struct sim_centre {
	uint64_t cards_milli;
	double demand_milli_s;
};

struct sim_result {
	struct sim_job *jobs; /* as in the trace */
	uint32_t n_jobs;
	uint32_t started, completed, failed, never_fit, pending, running;
	uint64_t restarts, preemptions, moves, failures, events, plans_checked;
	uint64_t moved[CAUSE_COUNT];  /* promised starts that were moved to a later instant, by cause */
	uint64_t total_milli;         /* thousandths of cards in the pool */
	uint64_t peak_milli;          /* most that were allocated at once */
	uint64_t end_milli;           /* allocated once the last arrival was considered */
	double card_seconds;          /* allocated, summed up to the last change */
	double useful_card_seconds;   /* of them those in which work was done that was completed or kept */
	uint64_t intervals, held;     /* predictions of waits that were stated, and those of them that held; 0: none were stated */
	us_t first_us, last_us;       /* of the first arrival, and of the last end or arrival */
	struct hash digest;           /* of the chain of events */
	char **centre_names, **kinds; /* by number */
	struct sim_centre *centres;   /* by number */
	uint32_t n_centres, n_kinds;
};

/* Runs the trace to where nothing can change any more. Returns 0 and fills *ret, the caller's to sim_done; or fails:
 * ERR_INVALID with the trace's line where the core refuses a job for another reason than its size, ERR_CORRUPT where a
 * plan breaks a rule, ERR_IO where the timeline can't be written. Cost: O(jobs × (log jobs + a decision)). */
int sim_run(const struct sim_config *config, struct sim_result *ret, struct err *err);
void sim_done(struct sim_result *result);

#endif
