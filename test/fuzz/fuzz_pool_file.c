/* SPDX-License-Identifier: Apache-2.0
 * fuzz_pool_file.c: a pool file. What is accepted stands in the journal and can be read back, and a core takes or refuses it. */
#include <string.h>

#include "format/pool_file.h"
#include "fuzz.h"

static void check_bytes(const struct pool_spec *pool)
{
	struct arena arena = {0};
	struct pool_spec back;
	struct buf once = {0}, twice = {0};
	struct reader r;

	pool_spec_encode(pool, &once);
	r = reader_of(once.data, once.len);
	CHECK(pool_spec_decode(&r, &arena, &back) == 0 && r.at == r.end);
	pool_spec_encode(&back, &twice);
	CHECK(once.len == twice.len && !memcmp(once.data, twice.data, once.len));
	buf_done(&once);
	buf_done(&twice);
	arena_done(&arena);
}

static void check_core(const struct pool_spec *pool)
{
	struct step step = {0};
	struct core *core = fuzz_core(&step);
	struct err err = {0};
	int code = core_step(core, &(struct input){.type = INPUT_POOL, .now_us = FUZZ_NOW_US, .pool = pool}, &step, &err);

	if (code < 0)
		fuzz_check_err(code, &err);
	core_check(core);
	core_free(core);
	step_done(&step);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {0};
	struct pool_spec pool;
	const char *const *warnings;
	uint32_t n_warnings;
	struct err err = {0};
	int code = pool_file_parse((const char *)data, size, NULL, NULL, &arena, &pool, &warnings, &n_warnings, &err);

	if (code < 0) {
		fuzz_check_err(code, &err);
	} else {
		check_bytes(&pool);
		if (pool_count_nodes(&pool) <= FUZZ_NODES_TRIED)
			check_core(&pool);
	}
	arena_done(&arena);
	return 0;
}
