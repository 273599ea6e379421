/* SPDX-License-Identifier: Apache-2.0
 * report.h: what a simulation comes to, as JSON, CSV, text and a page. Floating point is fine here: nothing is decided. */
#ifndef SUAN_SIM_REPORT_H
#define SUAN_SIM_REPORT_H

#include <stdio.h>

#include "sim/sim.h"

/* Where the middle and the tail of some durations are, in seconds; n 0: there are none, and the rest is 0. Percentiles
 * are by nearest rank. */
struct spread {
	uint32_t n;
	double mean, p50, p90, p99, max;
};

/* What the reports share. Cost: O(n log n) in the jobs. */
struct summary {
	struct spread wait, jct; /* of jobs that started: submit to start; of jobs that ran to an end: submit to end */
	bool has_makespan;       /* every job that started has ended */
	double makespan_s;       /* first submit to last end */
	double cards, utilisation, peak_share, end_share;
	double useful_share;   /* of the allocated card time: work that was completed or kept; 0 where nothing was allocated */
	uint32_t worst_centre; /* where the demand of the jobs that started there is the most of its supply; CENTRE_ANY: no cards */
	double worst_demand;   /* that part */
};

struct summary report_summary(const struct trace *trace, const struct sim_result *result);

/* Each writes all of it, and returns 0, or ERR_IO. */
int report_json(const struct trace *trace, const struct sim_result *result, double wall_s, FILE *out, struct err *err);
int report_text(const struct trace *trace, const struct sim_result *result, double wall_s, FILE *out, struct err *err);
int report_jobs(const struct trace *trace, const struct sim_result *result, FILE *out, struct err *err);
int report_html(const struct trace *trace, const struct sim_result *result, double wall_s, const char *title, FILE *out,
                struct err *err);

#endif
