/* SPDX-License-Identifier: Apache-2.0
 * fuzz_trace.h: what holds for a trace, whatever it was read from. */
#ifndef SUAN_TEST_FUZZ_TRACE_H
#define SUAN_TEST_FUZZ_TRACE_H

#include <string.h>

#include "fuzz.h"
#include "sim/trace.h"

static inline void check_choice(const struct trace *trace, const struct trace_job *job)
{
	const struct trace_choice *choice = &trace->choices[job->choice];

	CHECK(job->choice < trace->n_choices);
	CHECK((uint64_t)choice->first + choice->n_kinds <= trace->n_kinds);
	CHECK((uint64_t)choice->first_speed + choice->n_speeds <= trace->n_kinds);
	for (uint32_t k = 0; k < choice->n_kinds; k++)
		CHECK(trace_text(trace, trace->kinds[choice->first + k].name) && trace->kinds[choice->first + k].speed_micro);
}

/* In order of submission, every time and amount in its range, every text there. */
static inline void check_trace(const struct trace *trace)
{
	for (uint32_t i = 0; i < trace->n_jobs; i++) {
		const struct trace_job *job = &trace->jobs[i];
		const uint32_t texts[] = {job->project, job->user, job->name};

		CHECK(job->submit_us >= 0 && job->run_us >= 0 && job->limit_us >= 0 && job->checkpoint_us >= 0 && job->restart_us >= 0);
		CHECK(!i || job[-1].submit_us <= job->submit_us);
		CHECK(job->nodes >= 1 && job->priority <= JOB_PRIORITY_MAX && job->highest < TIER_COUNT);
		CHECK(*trace_job_id(trace, job));
		check_choice(trace, job);
		for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
			CHECK(texts[k] == TRACE_TEXT_NONE || trace_text(trace, texts[k]));
	}
}

/* The readers write over their text, and its end. The copy is the caller's. */
static inline char *copy_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	CHECK(text);
	if (size)
		memcpy(text, data, size);
	text[size] = 0;
	return text;
}

#endif
