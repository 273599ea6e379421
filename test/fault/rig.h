/* SPDX-License-Identifier: Apache-2.0
 * rig.h: a suand of a test's own, with the libraries of this folder preloaded, in a folder of its own; and one connection at a
 * time to ask it things. The test is the reaper of all that the daemon leaves behind. */
#ifndef SUAN_TEST_FAULT_RIG_H
#define SUAN_TEST_FAULT_RIG_H

#include <jansson.h>
#include <sys/types.h>

#include "control.h"

enum { RIG_ANSWER_MS = 15000 };

struct rig {
	char dir[CONTROL_PATH / 2]; /* of all that follows */
	char build[CONTROL_PATH];   /* where the programs are */
	struct control *control;
	pid_t daemon; /* 0: none */
	int port;
	char token[80];
	bool heap; /* heap.so too */
	unsigned boots;
	int64_t short_us;   /* how long one request may be asked again with its next allocation failing; 0: until it makes no more */
	int64_t settle_us;  /* how long an answer that doesn't come may be the end of the daemon; 0: 2 s */
	int64_t slowest_us; /* of the answers so far, but for those that wait for a job */
};

/* Makes the folder, and everything in it anew. kind: a word for its name. */
void rig_init(struct rig *rig, const char *kind);
/* Ends whatever still runs and removes the folder, unless it is to be looked at. */
void rig_done(struct rig *rig, bool keep);

/* Empties the state, and forgets all settings. */
void rig_reset(struct rig *rig);

/* Starts a daemon. Returns once it serves: true; or once it has ended: false. */
bool rig_start(struct rig *rig);
/* Whether it still runs; takes in its end, with the status in *ret_status where that isn't NULL. */
bool rig_runs(struct rig *rig, int *ret_status);
/* Stops it as an operator would. Returns its wait status; below 0 where it did not end within 10 s, and was killed. */
int rig_stop(struct rig *rig);
/* The power goes: every process that the rig has started ends at once; the next boot has another id. */
void rig_power_off(struct rig *rig);
/* Waits until nothing that the daemon left behind runs. Returns how many still do after that time. */
unsigned rig_wait_for_children(struct rig *rig, unsigned ms);

/* A request; body and key may be NULL. Returns the status, with the answer in *ret where that isn't NULL (NULL where it isn't
 * JSON); 0 where no answer came, for the daemon ended; below 0 where it didn't, and none came within RIG_ANSWER_MS. */
int rig_ask(struct rig *rig, const char *method, const char *path, const char *body, const char *key, json_t **ret);

/* Runs `suan WORD...`, up to a NULL; its output in out, terminated. Returns its exit status, or 128 and a signal. */
int rig_suan(struct rig *rig, char *out, size_t size, ...) __attribute__((sentinel));

int64_t rig_now_us(void);

#endif
