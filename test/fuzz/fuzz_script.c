/* SPDX-License-Identifier: Apache-2.0
 * fuzz_script.c: the lines #SBATCH and #SUAN of a script. The input is what stands behind the first line, so that nearly all of
 * what is tried is a script. */
#include <string.h>

#include "format/job_file.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char first[] = "#!/bin/bash\n#SBATCH ";
	struct arena arena = {0};
	struct job_file job;
	struct buf text = {0};
	struct err err = {0};
	int code;

	buf_put(&text, first, sizeof first - 1);
	if (size)
		buf_put(&text, data, size);
	code = job_file_parse((char *)text.data, text.len, &arena, &job, &err);
	if (code < 0) {
		fuzz_check_err(code, &err);
		CHECK(err.line || err.subject[0] || code == ERR_TOO_LARGE);
	} else {
		CHECK(job.payload.flavour == FLAVOUR_SBATCH);
		CHECK(strlen(job.payload.run) == text.len && !memcmp(job.payload.run, text.data, text.len));
	}
	buf_done(&text);
	arena_done(&arena);
	return 0;
}
