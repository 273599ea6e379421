/* SPDX-License-Identifier: Apache-2.0
 * fuzz_trace_csv.c: a trace as CSV. */
#include "fuzz_trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = copy_text(data, size);
	struct trace trace = {0};
	struct err err = {0};
	int code = trace_parse_csv(text, size, &trace, &err);

	if (code < 0) {
		fuzz_check_err(code, &err);
		CHECK(err.line);
	} else {
		check_trace(&trace);
		trace_done(&trace);
	}
	free(text);
	return 0;
}
