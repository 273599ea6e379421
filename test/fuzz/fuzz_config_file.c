/* SPDX-License-Identifier: Apache-2.0
 * fuzz_config_file.c: a configuration file. What is accepted stands in the journal and can be read back, and a core takes it. */
#include <string.h>

#include "format/pool_file.h"
#include "fuzz.h"

static void check_bytes(const struct config_spec *config)
{
	struct config_spec back;
	struct buf once = {0}, twice = {0};
	struct reader r;

	config_spec_encode(config, &once);
	r = reader_of(once.data, once.len);
	CHECK(config_spec_decode(&r, CONFIG_VERSION, &back) == 0 && r.at == r.end);
	config_spec_encode(&back, &twice);
	CHECK(once.len == twice.len && !memcmp(once.data, twice.data, once.len));
	buf_done(&once);
	buf_done(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {0};
	struct config_spec config;
	struct err err = {0};
	int code = config_file_parse((const char *)data, size, &arena, &config, &err);

	if (code < 0) {
		fuzz_check_err(code, &err);
	} else {
		struct step step = {0};
		struct core *core = fuzz_core(&step);

		check_bytes(&config);
		code = core_step(core, &(struct input){.type = INPUT_CONFIG, .now_us = FUZZ_NOW_US, .config = &config}, &step, &err);
		if (code < 0)
			fuzz_check_err(code, &err);
		core_free(core);
		step_done(&step);
	}
	arena_done(&arena);
	return 0;
}
