/* SPDX-License-Identifier: Apache-2.0
 * fuzz_payload.c: a payload, as it stands in the store. What is accepted has one encoding. */
#include <string.h>

#include "core/payload.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {0};
	struct payload payload;
	struct buf once = {0}, twice = {0};

	if (payload_decode(data, size, &arena, &payload) == 0) {
		CHECK(payload.simulated_run_us >= 0);
		payload_encode(&payload, &once);
		CHECK(payload_decode(once.data, once.len, &arena, &payload) == 0);
		payload_encode(&payload, &twice);
		CHECK(once.len == twice.len && !memcmp(once.data, twice.data, once.len));
	}
	buf_done(&once);
	buf_done(&twice);
	arena_done(&arena);
	return 0;
}
