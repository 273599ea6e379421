/* SPDX-License-Identifier: Apache-2.0
 * start_claim.h: the folder that makes the start of an attempt unique, and keeps what became of it.
 *
 *   CLAIMS/<job>.<attempt>/claim    who supervises it: process, its start, the boot, its cgroups
 *                          lock     locked (flock) by the supervisor for as long as it lives
 *                          started  when the first task was started
 *                          kill     asked for: why, and with what grace
 *                          exit     how it ended
 *
 * The claim is made aside, with its content, and renamed into place: a rename onto a folder that isn't empty fails, so one
 * supervisor of any number wins, and nobody ever sees a claim without its content. A tombstone is a claim that has an exit from
 * the beginning: what it names can't start any more. All files are text, "key value" a line. */
#ifndef SUAN_ENGINE_START_CLAIM_H
#define SUAN_ENGINE_START_CLAIM_H

#include <sys/types.h>

#include "core/event.h"
#include "engine/cgroup.h"
#include "engine/process.h"

enum { CLAIM_LEFTOVERS_MAX = 1000 };

#define ATTEMPT_NAME_SIZE 24 /* "<job>.<attempt>" */

/* Writes an attempt's name, as its folders have it; size: ATTEMPT_NAME_SIZE or more. Returns buf. */
char *attempt_name(uint32_t job, uint32_t attempt, char *buf, size_t size);
/* Reads one back; returns whether it is one. */
bool attempt_of_name(const char *name, uint32_t *ret_job, uint32_t *ret_attempt);

/* An instant by both clocks: the boot's to count from in that boot, the wall's for people and for later boots. */
struct stamp {
	us_t wall_us, boot_us;
	char boot[BOOT_ID_SIZE];
};

struct stamp stamp_now(void);

/* The same instant by a clock that says now_us now and that nobody sets. Never after now_us, and 1 or more. */
us_t stamp_on_clock(const struct stamp *stamp, us_t now_us);

struct claim_owner {
	pid_t pid;
	uint64_t start; /* of that process, in clock ticks since the boot */
	char boot[BOOT_ID_SIZE];
	struct cgroup_paths cgroups;
};

struct claim_end {
	enum cause cause; /* EXIT, SIGNAL, LIMIT, CANCEL, MEMORY, ...; LOST: its supervisor died */
	int32_t exit_code;
	uint32_t rank;
	struct stamp at;
	char note[256]; /* "": none */
};

struct claim_kill {
	enum cause cause;
	us_t grace_us;
};

enum claim_state {
	CLAIM_NONE,  /* not claimed: it hasn't started */
	CLAIM_ALIVE, /* its supervisor lives */
	CLAIM_OVER,  /* it has an exit */
	CLAIM_DEAD   /* its supervisor is gone without leaving an exit */
};

struct claim_view {
	enum claim_state state;
	struct claim_owner owner; /* pid 0: not readable */
	bool this_boot;           /* the owner's boot is this one */
	bool started;
	struct stamp started_at;
	struct claim_end end; /* where OVER */
};

/* Claims an attempt for the calling process. Returns the claim's folder, which the caller keeps open, and the locked file in
 * *ret_lock, which it keeps open for as long as it lives; ERR_CONFLICT where somebody else has it; or another code. */
int claim_make(int claims, const char *name, const struct claim_owner *owner, int *ret_lock, struct err *err);

/* Makes a tombstone. Returns 0, ERR_CONFLICT where there is a claim already, or another code. */
int claim_bury(int claims, const char *name, const struct claim_end *end, struct err *err);

/* Removes what makers of claims left beside them when they died, at most CLAIM_LEFTOVERS_MAX of it; the rest is for another time.
 * What a living process may still be filling stays, whoever it is, but for the calling process: none of its own threads may be
 * making a claim meanwhile. What stays though nobody fills it (another process has the number of its maker) does no harm. Returns
 * how many went. Cost: O(claims), and some files for each that goes. */
uint32_t claim_remove_leftovers(int claims);

/* Looks at a claim. Returns 0, also where there is none. */
int claim_look(int claims, const char *name, struct claim_view *ret, struct err *err);

/* The supervisor's notes. An exit that is there stays as it is: ERR_CONFLICT. */
int claim_put_started(int claim, const struct stamp *at, struct err *err);
int claim_put_end(int claim, const struct claim_end *end, struct err *err);

/* Asks the supervisor to end its attempt; the first one that asks is heard. Returns 0 also where it was asked before. */
int claim_put_kill(int claims, const char *name, const struct claim_kill *kill, struct err *err);
/* Whether somebody asked. */
bool claim_read_kill(int claim, struct claim_kill *ret);

/* The words of causes, as these files have them. */
const char *claim_cause_word(enum cause cause);

#endif
