/* SPDX-License-Identifier: Apache-2.0
 * scenario.h: what the fault tests do to a daemon, as a careful user would, and what must hold afterwards, whatever happened
 * meanwhile: jobs that succeed, fail, wait, are canceled, come as an array or as a gang, need a secret, depend on one another;
 * repeated keys; a clean restart.
 *
 * The oracle: every acknowledged job is there under its number and ends with the right state and exit code; what a client saw to
 * be over stays as it was seen; no task starts twice for one attempt, and each that ended did start; no key makes two jobs; no
 * secret is left behind; the journal is whole, and its replay gives the digest that the daemon shows. */
#ifndef SUAN_TEST_FAULT_SCENARIO_H
#define SUAN_TEST_FAULT_SCENARIO_H

#include "base/rng.h"
#include "image.h"
#include "rig.h"

enum { SCENARIO_TASKS = 10, SCENARIO_TEXT = 600 };

/* One job, and what is known of it. */
struct task {
	unsigned id; /* 0: not acknowledged yet */
	bool cancel_asked, canceled;
	char seen[40]; /* its state, once a client has seen that it is over */
	int seen_code;
	bool may_be_lost;
};

struct scenario {
	struct rig *rig;
	struct rng rng;
	bool stateless_losses; /* a supervisor may be ended: its job may then be lost */
	bool faults_answer;    /* requests may be refused with 503 and 507 for a while, and the daemon may not come up */
	uint64_t again_within; /* crash once more within so many points of the next start; 0: don't */

	struct task tasks[SCENARIO_TASKS];
	unsigned crashes, starts, refused;
	struct image image; /* the sum of those torn */
	int64_t begun_us;
	char failed[SCENARIO_TEXT]; /* "": all holds */
};

/* Runs it from an empty state, with the faults that the control is set to, to its end, and checks. Returns whether all held; else
 * s->failed says what didn't. */
bool scenario_run(struct scenario *s);

/* Says that something doesn't hold; the first is kept. */
void scenario_fail(struct scenario *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
