/* SPDX-License-Identifier: Apache-2.0
 * desk.c: a core whose events are hashed; see desk.h. */
#include "desk.h"

#include <stdlib.h>

#include "base/mem.h"

enum { COMMIT_EVENTS = 64 };

static void note_started(struct desk *desk, uint32_t job)
{
	mem_grow((void **)&desk->started, &desk->started_cap, desk->n_started, sizeof *desk->started);
	desk->started[desk->n_started++] = job;
	desk->placed++;
}

void desk_commit(struct desk *desk)
{
	struct step *step = &desk->step;

	if (!step->n_events)
		return;
	desk->chain = journal_hash(&desk->chain, core_sequence(desk->core) - step->n_events + 1, step->n_events, step->last_us,
	                           step->events.data, step->events.len);
	desk->events += step->n_events;
	desk->bytes += step->events.len;
	for (uint32_t i = 0; i < step->n_effects; i++)
		if (step->effects[i].type == EFFECT_HOLD)
			note_started(desk, step->effects[i].job);
	step_reset(step);
}

void desk_commit_full(struct desk *desk)
{
	if (desk->step.n_events >= COMMIT_EVENTS)
		desk_commit(desk);
}

void desk_open(struct desk *desk, uint32_t cards, uint32_t blockers[BENCH_CENTRES])
{
	*desk = (struct desk){.now_us = 1000 * US_SECOND};
	desk->core = bench_core(cards, desk->now_us);
	bench_fill(desk->core, desk->now_us, cards, blockers);
}

void desk_close(struct desk *desk)
{
	step_done(&desk->step);
	core_free(desk->core);
	free(desk->started);
}
