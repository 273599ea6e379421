/* SPDX-License-Identifier: Apache-2.0
 * history.h: jobs that have left the core, on their way to the store's history, and there.
 *
 * They wait here for a moment, so that many are one commit. A crash loses none: the events that say that they left are in the
 * journal, and no snapshot is taken of a state behind them before they are in the history, so replay brings them again. */
#ifndef SUAN_HOST_HISTORY_H
#define SUAN_HOST_HISTORY_H

#include <pthread.h>

#include "base/map.h"
#include "core/core.h"
#include "port/store.h"

/* Written once so many wait, or one has waited so long. */
enum { HISTORY_WAITING_MAX = 256, HISTORY_WAIT_US = 1000000 };

/* One thread adds and writes; any reads. */
struct history {
	pthread_mutex_t lock;
	struct past_job *waiting; /* by when they left; texts are ours */
	uint32_t n, cap;
	us_t due_us;       /* of clock_now; US_NEVER: none waits */
	struct map stored; /* during a replay: the numbers of jobs that are in the store already */
};

void history_init(struct history *history);
void history_done(struct history *history);

/* Before a replay of all of the journal: learns which jobs the store has, so that these needn't be written down again; and after
 * it forgets that. Returns 0 or what the store failed with; then none is known. Cost: O(jobs of the history). */
int history_learn(struct history *history, struct store *store, struct err *err);
void history_unlearn(struct history *history);
/* Whether a job is known to be in the store. */
bool history_has(const struct history *history, uint32_t job);

/* Adds a job that is about to leave the core; record: ours from then on, made by malloc. */
void history_add(struct history *history, const struct core *core, const struct job *job, char *record);

/* Writes all that waits. Returns 0 or what the store failed with; then they wait on. */
int history_write(struct history *history, struct store *store, struct err *err);
bool history_is_due(const struct history *history, us_t now_us);

/* As store_ops.history, with those that wait. */
int history_read(struct history *history, struct store *store, const struct past_query *query,
                 int (*visit)(void *ctx, const struct past_job *job), void *ctx, struct err *err);

#endif
