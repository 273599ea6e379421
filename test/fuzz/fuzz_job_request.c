/* SPDX-License-Identifier: Apache-2.0
 * fuzz_job_request.c: a job file or script, as the command line turns it into a request. What it sends, the daemon accepts. */
#include <string.h>

#include "format/job_file.h"
#include "fuzz.h"

static const char *environment(const char *name)
{
	static const char *const values[][2] = {{"HOME", "/home/me"}, {"HF_TOKEN", "secret"}, {"BAD", "\xff"}};

	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		if (!strcmp(values[i][0], name))
			return values[i][1];
	return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {0};
	struct job_file job;
	struct buf json = {0};
	struct err err = {0};
	int code = job_file_to_request((const char *)data, size, "jobs/train.yaml", "/work", environment, &json, &err);

	if (code < 0) {
		fuzz_check_err(code, &err);
		CHECK(!json.len);
	} else {
		CHECK(job_file_parse((const char *)json.data, json.len, &arena, &job, &err) == 0);
		CHECK(job.spec.name);
	}
	buf_done(&json);
	arena_done(&arena);
	return 0;
}
