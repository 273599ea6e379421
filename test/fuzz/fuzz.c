/* SPDX-License-Identifier: Apache-2.0
 * fuzz.c: the pool and the core that targets try things on; see fuzz.h. */
#include "fuzz.h"

#include <string.h>

static const struct kind_spec kinds[] = {
	{.name = "a", .vendor = "v", .source = "test", .class = CLASS_INTELLIGENT, .memory_mib = 65536},
	{.name = "b", .vendor = "v", .source = "test", .class = CLASS_GENERAL, .memory_mib = 16384},
};
static const struct line_spec exact_lines[] = {
	{.count = 3, .kind = "a", .cards = 8, .cpus_milli = 64000, .memory_mib = 524288, .nodes_per_rack = 2},
	{.count = 1, .cpus_milli = 8000, .memory_mib = 16384},
};
static const struct line_spec counted_lines[] = {
	{.count = 4, .kind = "b", .cards = 4, .cpus_milli = UNCOUNTED, .memory_mib = UNCOUNTED}};
static const struct centre_spec centres[] = {
	{.name = "exact",
     .region = "r",
     .engine = "local",
     .capabilities = CAN_EXACT_CARDS | CAN_FRACTIONS | CAN_BARE | CAN_LOGS | CAN_SIGNALS | CAN_START_ONCE,
     .lines = exact_lines,
     .n_lines = 2},
	{.name = "counted",
     .region = "r",
     .engine = "simulated",
     .capabilities = CAN_IMAGES | CAN_BARE | CAN_LIMIT,
     .lines = counted_lines,
     .n_lines = 1},
};
const struct pool_spec fuzz_pool = {
	.name = "fuzz", .currency = "CNY", .kinds = kinds, .n_kinds = 2, .centres = centres, .n_centres = 2};

void fuzz_step(struct core *core, const struct input *input, struct step *step)
{
	struct err err = {0};
	int code = core_step(core, input, step, &err);

	if (code < 0)
		fprintf(stderr, "%s: %s\n", err.subject, err.text);
	CHECK(code == 0);
}

struct core *fuzz_core(struct step *step)
{
	struct config_spec config = config_default();
	struct core *core = core_new();

	fuzz_step(core, &(struct input){.type = INPUT_CONFIG, .now_us = FUZZ_NOW_US, .config = &config}, step);
	fuzz_step(core, &(struct input){.type = INPUT_POOL, .now_us = FUZZ_NOW_US, .pool = &fuzz_pool}, step);
	return core;
}

static void check_line(const char *text, size_t size)
{
	size_t len = strnlen(text, size);

	CHECK(len < size);
	for (size_t i = 0; i < len; i++)
		CHECK((unsigned char)text[i] >= 0x20 && text[i] != 0x7f);
}

void fuzz_check_err(int code, const struct err *err)
{
	CHECK(code < 0 && code >= ERR_NEVER);
	CHECK(err->code == code);
	check_line(err->subject, sizeof err->subject);
	check_line(err->text, sizeof err->text);
	CHECK(err->text[0]);
}
