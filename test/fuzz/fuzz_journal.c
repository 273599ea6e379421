/* SPDX-License-Identifier: Apache-2.0
 * fuzz_journal.c: the bytes of a batch, as a store gives them back: applied to a core that has a pool. Bytes that can't follow
 * are refused; what is accepted leaves a state that holds together, that can be saved, shown and gone on from. Batches with
 * pools of more than FUZZ_NODES_TRIED nodes aren't tried. */
#include <string.h>

#include "fuzz.h"

/* A decoded event has one encoding, which is what stands there but for integers that were written longer than need be. */
static void check_event(void *ctx, const struct core *core, uint64_t sequence, const struct event *event)
{
	struct buf once = {0}, twice = {0};
	struct arena arena = {0};
	struct event again;
	struct reader r;

	(void)ctx;
	CHECK(sequence == core_sequence(core) + 1 && event->at_us >= core_now(core));
	event_encode(event, 0, &once);
	r = reader_of(once.data, once.len);
	CHECK(event_decode(&r, 0, &arena, &again) == 0 && r.at == r.end);
	event_encode(&again, 0, &twice);
	CHECK(once.len == twice.len && !memcmp(once.data, twice.data, once.len));
	buf_done(&once);
	buf_done(&twice);
	arena_done(&arena);
}

/* What a daemon does with what it has read: looks at all of it, sends what is outstanding, and goes on. */
static void go_on(struct core *core)
{
	struct step step = {0};
	struct err err = {0};
	struct explanation why;
	int code;

	core_check(core);
	core_digest(core);
	core_outstanding(core, &step);
	for (const struct job *job = core_job_after(core, 0); job; job = core_job_after(core, job->id))
		core_explain(core, job->id, core_now(core), &why, &err);
	step_reset(&step);
	code = core_step(core, &(struct input){.type = INPUT_CLOCK, .now_us = core_now(core) + US_SECOND}, &step, &err);
	if (code < 0)
		fuzz_check_err(code, &err);
	core_check(core);
	step_done(&step);
}

/* Up to the first event that can't be read. */
static uint64_t nodes_of(const uint8_t *data, size_t size)
{
	struct reader r = reader_of(data, size);
	struct arena arena = {0};
	struct event event = {0};
	uint64_t n = 0;

	for (us_t previous = 0; r.at != r.end && event_decode(&r, previous, &arena, &event) == 0; previous = event.at_us)
		n += event.type == EVENT_POOL ? pool_count_nodes(&event.pool) : 0;
	arena_done(&arena);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct step step = {0};
	struct core *core;
	struct err err = {0};
	int code;

	if (nodes_of(data, size) > FUZZ_NODES_TRIED)
		return 0;
	core = fuzz_core(&step);
	code = core_apply(core, data, size, check_event, NULL, &err);
	if (code < 0)
		fuzz_check_err(code, &err);
	else
		go_on(core);
	core_free(core);
	step_done(&step);
	return 0;
}
