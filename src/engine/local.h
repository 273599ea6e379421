/* SPDX-License-Identifier: Apache-2.0
 * local.h: inside the local engine: its attempts (local_attempt.c), and the thread that looks after them (local.c).
 *
 * The truth about an attempt is in its two folders (supervise.h, start_claim.h); what is kept in memory is only which attempts to
 * look at. Only the engine's thread touches what is here, but for the mailbox and the folders' descriptors. */
#ifndef SUAN_ENGINE_LOCAL_H
#define SUAN_ENGINE_LOCAL_H

#include "base/map.h"
#include "engine/posted.h"

/* An attempt to look at. */
struct attempt {
	uint32_t job, attempt;
	int pidfd;         /* of its supervisor; -1: not watched */
	pid_t child;       /* its supervisor, where we started it and haven't taken it in; 0: none */
	bool launched;     /* a supervisor was started, or one is known to be there */
	bool told_running; /* reported */
	bool over;         /* its end was reported */
	bool stopping;     /* it is to end, for this cause, after this grace */
	enum cause cause;
	us_t grace_us;
	struct letter *retry; /* what failed for now, and is tried again */
	us_t retry_at_us, retry_wait_us;
};

struct local {
	struct posted posted; /* first */
	struct engine_sink sink;
	us_t (*now)(void);
	char *state_dir;             /* canonical */
	char *supervisor;            /* the program */
	int state, attempts, claims; /* folders */
	int epoll, socket, clock;
	struct attempt **table;
	uint32_t n, cap;
	struct map index;                  /* key of (job, attempt): its place in the table */
	struct letter *holds, **last_hold; /* still to be done: everything else goes first */
	pid_t *leaving; /* children that nobody watches any more, and that haven't ended yet: in a moment they will */
	uint32_t n_leaving, cap_leaving;
	us_t purge_at_us;
	us_t keep_us; /* what attempts printed stays this long after they are over */
	bool closing;
};

/* One line for the operator. */
void local_log(struct local *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The attempt in the table, or NULL; added where it isn't there; taken out, and freed. */
struct attempt *local_find_attempt(struct local *e, uint32_t job, uint32_t attempt);
struct attempt *local_add_attempt(struct local *e, uint32_t job, uint32_t attempt);
void local_drop_attempt(struct local *e, struct attempt *a);
/* What stands for an attempt's supervisor among the epoll's events: never below 2^32, for jobs count from 1. */
uint64_t local_key(uint32_t job, uint32_t attempt);
/* Stops waiting for the end of its supervisor, and takes it in: now, or where it is only about to end with local_take_in. */
void local_unwatch(struct local *e, struct attempt *a);
/* Whether its supervisor is a child of ours that runs. Takes it in where it has ended. */
bool local_child_runs(struct attempt *a);
/* Takes in what is leaving and has ended, so that none stays a zombie. Cost: O(leaving). */
void local_take_in(struct local *e);

/* Looks at an attempt's claim, and reports what it says; settles it where its supervisor died. Returns its enum claim_state, or a
 * negative code. */
int local_look(struct local *e, struct attempt *a, struct err *err);

/* Does what a letter asks of an attempt. Returns 0, or a negative code, after which it may be tried again. FORGET frees *a. */
int local_do(struct local *e, struct attempt *a, struct letter *letter, struct err *err);

/* Sees to it that what has a folder here and isn't in the table never starts. Cost: O(folders). */
void local_tidy(struct local *e);
/* Removes the claims of attempts that were forgotten long ago, and what others printed longer ago than keep_us. Cost: O(claims
 * and folders). */
void local_purge(struct local *e);

#endif
