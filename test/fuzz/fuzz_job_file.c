/* SPDX-License-Identifier: Apache-2.0
 * fuzz_job_file.c: a job file (YAML or JSON) or script, as the daemon reads it. What is accepted has a payload that can be read
 * back, and can be put to a core, which accepts or refuses it. */
#include <string.h>

#include "format/job_file.h"
#include "fuzz.h"

static void check_payload(const struct job_file *job)
{
	struct arena arena = {0};
	struct payload back;
	struct buf again = {0};

	CHECK(payload_decode(job->payload_bytes.data, job->payload_bytes.len, &arena, &back) == 0);
	payload_encode(&back, &again);
	CHECK(again.len == job->payload_bytes.len && !memcmp(again.data, job->payload_bytes.data, again.len));
	buf_done(&again);
	arena_done(&arena);
}

/* Asked of a core, and where it would take it, submitted to another. */
static void check_job(struct job_spec *spec)
{
	static struct core *idle;
	static struct step idle_step;
	struct arena arena = {0};
	struct plan plan = {0};
	struct err err = {0};
	uint32_t stopped;
	int code;

	if (!idle)
		idle = fuzz_core(&idle_step);
	spec->user = "fuzz";
	code = core_dry_run(idle, spec, FUZZ_NOW_US, &arena, &plan, &stopped, &err);
	if (code < 0) {
		fuzz_check_err(code, &err);
	} else {
		struct step step = {0};
		struct core *core = fuzz_core(&step);

		fuzz_step(core, &(struct input){.type = INPUT_SUBMIT, .now_us = FUZZ_NOW_US, .submit.spec = spec}, &step);
		core_check(core);
		core_free(core);
		step_done(&step);
	}
	arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {0};
	struct job_file job;
	struct err err = {0};
	int code = job_file_parse((const char *)data, size, &arena, &job, &err);

	if (code < 0) {
		fuzz_check_err(code, &err);
	} else {
		check_payload(&job);
		check_job(&job.spec);
	}
	arena_done(&arena);
	return 0;
}
