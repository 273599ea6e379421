/* SPDX-License-Identifier: Apache-2.0
 * fuzz_trace_swf.c: a log in the standard workload format; the first byte says what a processor is. */
#include "fuzz_trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct swf_unit unit = {.cards = size && data[0] & 1, .per_node = size ? 1 + data[0] / 2 : 1};
	char *text = size ? copy_text(data + 1, size - 1) : NULL;
	struct trace trace = {0};
	struct err err = {0};
	int code;

	if (!size)
		return 0;
	code = trace_parse_swf(text, size - 1, &unit, &trace, &err);
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
