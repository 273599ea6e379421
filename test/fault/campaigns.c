/* SPDX-License-Identifier: Apache-2.0
 * campaigns.c: the kinds of fault tests: what is set before a scenario runs, and what is told of it afterwards. */
#include "campaigns.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void begin(struct scenario *s, struct rig *rig, uint64_t seed)
{
	rig_reset(rig);
	*s = (struct scenario){.rig = rig, .rng = {.state = rng_mix(seed)}};
}

static void tell(const struct scenario *s, struct outcome *ret)
{
	const struct control *control = s->rig->control;

	snprintf(ret->failed, sizeof ret->failed, "%s", s->failed);
	ret->slowest_us = s->rig->slowest_us;
	ret->image = s->image;
	if (!ret->where[0] && control->failed_call[0])
		snprintf(ret->where, sizeof ret->where, "%s", control->failed_call);
}

/* Where the next crash is to come; what happened is kept by the control until the scenario takes it in. */
static void crash(struct rig *rig, uint64_t seed, uint64_t k, unsigned scope, bool power, struct outcome *ret)
{
	struct scenario s;

	begin(&s, rig, seed);
	rig->control->scope = scope;
	rig->control->kill_at = k;
	rig->control->power = rig->control->logs = power;
	s.stateless_losses = scope == SCOPE_SUPERVISOR;
	/* One in four crashes once more, while it comes up or just after. */
	if (k && !power && scope == SCOPE_DAEMON && rng_below(&s.rng, 4) == 0)
		s.again_within = 120;
	scenario_run(&s);
	ret->places = rig->control->points;
	ret->hit = s.crashes || rig->control->killed_call[0];
	snprintf(ret->where, sizeof ret->where, "%s of %s", rig->control->last_call, rig->control->killed_what);
	tell(&s, ret);
}

static void run_crash_daemon(struct rig *rig, uint64_t seed, uint64_t k, struct outcome *ret)
{
	crash(rig, seed, k, SCOPE_DAEMON, false, ret);
}

static void run_crash_supervisor(struct rig *rig, uint64_t seed, uint64_t k, struct outcome *ret)
{
	crash(rig, seed, k, SCOPE_SUPERVISOR, false, ret);
}

static void run_torn(struct rig *rig, uint64_t seed, uint64_t k, struct outcome *ret)
{
	crash(rig, seed, k, SCOPE_DAEMON | SCOPE_SUPERVISOR, true, ret);
}

/* ---- Disks ---- */

enum { MENDED_AFTER_US = 150000 };

/* One call fails; or eight in a row; or all, until it is mended. */
static void fail_disk(struct rig *rig, uint64_t seed, uint64_t k, int number, unsigned scope, struct outcome *ret)
{
	static const uint64_t widths[] = {1, 8, UINT64_MAX / 2};
	struct scenario s;

	begin(&s, rig, seed);
	rig->control->scope = scope;
	rig->control->fail_errno = number;
	rig->control->fail_from = k;
	rig->control->fail_until = k ? k + widths[rng_below(&s.rng, 3)] : 0;
	rig->control->mended_after_us = MENDED_AFTER_US;
	s.faults_answer = true;
	s.stateless_losses = scope == SCOPE_SUPERVISOR && number == EIO;
	scenario_run(&s);
	ret->places = rig->control->calls;
	ret->hit = rig->control->failed;
	tell(&s, ret);
}

static void run_full(struct rig *rig, uint64_t seed, uint64_t k, struct outcome *ret)
{
	fail_disk(rig, seed, k, ENOSPC, SCOPE_DAEMON, ret);
}

static void run_io(struct rig *rig, uint64_t seed, uint64_t k, struct outcome *ret)
{
	fail_disk(rig, seed, k, EIO, SCOPE_DAEMON, ret);
}

static void run_full_supervisor(struct rig *rig, uint64_t seed, uint64_t k, struct outcome *ret)
{
	fail_disk(rig, seed, k, ENOSPC, SCOPE_SUPERVISOR, ret);
}

static void run_io_supervisor(struct rig *rig, uint64_t seed, uint64_t k, struct outcome *ret)
{
	fail_disk(rig, seed, k, EIO, SCOPE_SUPERVISOR, ret);
}

const struct campaign campaigns[] = {
	{"crash", "suand is killed at the k-th point", run_crash_daemon, 40, 7000, false, false},
	{"crash-supervisor", "a supervisor is killed at the k-th point", run_crash_supervisor, 20, 3000, false, false},
	{"torn", "the power goes at the k-th point, and a part of what was never synced with it", run_torn, 50, 5000, false, false},
	{"full", "the disk is full from the k-th call of suand on", run_full, 25, 1500, false, false},
	{"io", "the disk fails from the k-th call of suand on", run_io, 25, 1500, false, false},
	{"full-supervisor", "the disk is full from the k-th call of a supervisor on", run_full_supervisor, 10, 500, false, false},
	{"io-supervisor", "the disk fails from the k-th call of a supervisor on", run_io_supervisor, 10, 500, false, false},
	{"no-memory", "an allocation of suand fails while a route is asked, each in turn", run_heap_routes, 0, 28, true, true},
	{"no-memory-suan", "an allocation of suan fails, each in turn", run_heap_suan, 0, 19, true, true},
	{"little-memory", "suand has no memory left while jobs are submitted", run_heap_limit, 3, 50, false, false},
	{"clock", "the wall clock is set a year forward and back", run_clock, 2, 20, false, false},
};
const unsigned n_campaigns = sizeof campaigns / sizeof *campaigns;
