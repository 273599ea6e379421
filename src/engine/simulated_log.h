/* SPDX-License-Identifier: Apache-2.0
 * simulated_log.h: what a simulated centre remembers of its attempts over a restart: one file, appended to, rewritten when most
 * of it is old.
 *
 * A record is its length, a checksum and its bytes. Reading stops at the first one that isn't whole: a write that was cut. */
#ifndef SUAN_ENGINE_SIMULATED_LOG_H
#define SUAN_ENGINE_SIMULATED_LOG_H

#include "base/buf.h"
#include "core/event.h"

/* All that decides what becomes of an attempt. */
struct simulated {
	uint32_t job, attempt;
	us_t run_us, limit_us; /* US_NEVER: for ever */
	us_t startup_us;
	int32_t exit_code; /* what it ends with by itself */
	us_t released_us;  /* US_NEVER: not released */
	us_t killed_us;    /* US_NEVER: not killed */
	enum cause cause;  /* of the kill */
	bool held;         /* else only killed: it can't be held any more */
};

struct simulated_log {
	int dir, fd;
	struct buf pending; /* not written yet */
	uint64_t n_records; /* in the file */
};

/* Opens the log in a folder and calls visit for what it holds, oldest first: a later record of an attempt replaces an earlier
 * one; forgotten: it is out. dir: borrowed until close. */
int simulated_log_open(struct simulated_log *log, int dir, void (*visit)(void *ctx, const struct simulated *s, bool forgotten),
                       void *ctx, struct err *err);

/* Adds a record, to be written by the next sync. */
void simulated_log_put(struct simulated_log *log, const struct simulated *s, bool forgotten);

/* Writes what was added; returns 0 once it is on disk. After a failure the same may be tried again. */
int simulated_log_sync(struct simulated_log *log, struct err *err);

/* Puts a new file, with what `put_all` adds, in the place of the old one. What was pending is then part of the new one, and must
 * be in what put_all adds. */
int simulated_log_rewrite(struct simulated_log *log, void (*put_all)(void *ctx, struct simulated_log *log), void *ctx,
                          struct err *err);

void simulated_log_close(struct simulated_log *log);

#endif
