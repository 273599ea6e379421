/* SPDX-License-Identifier: Apache-2.0
 * fuzz_launch.c: the file that the supervisor of an attempt reads, and the one beside it with secrets. */
#include <string.h>

#include "engine/launch_file.h"
#include "fuzz.h"

static void check_launch(const struct launch *launch)
{
	struct arena arena = {0};
	struct launch again;
	struct payload payload;
	struct buf once = {0}, twice = {0};

	CHECK(launch->n_tasks >= 1 && launch->n_tasks <= LAUNCH_TASKS_MAX);
	launch_encode(launch, &once);
	CHECK(launch_decode(once.data, once.len, &arena, &again, &payload) == 0);
	launch_encode(&again, &twice);
	CHECK(once.len == twice.len && !memcmp(once.data, twice.data, once.len));
	buf_done(&once);
	buf_done(&twice);
	arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {0};
	struct launch launch;
	struct payload payload;
	const struct variable *variables;
	uint32_t n;

	if (launch_decode(data, size, &arena, &launch, &payload) == 0)
		check_launch(&launch);
	if (variables_decode(data, size, &arena, &variables, &n) == 0)
		for (uint32_t i = 0; i < n; i++)
			CHECK(variables[i].name && variables[i].value);
	arena_done(&arena);
	return 0;
}
