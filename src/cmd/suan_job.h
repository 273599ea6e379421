/* SPDX-License-Identifier: Apache-2.0
 * suan_job.h: what the verbs about jobs share. */
#ifndef SUAN_CMD_SUAN_JOB_H
#define SUAN_CMD_SUAN_JOB_H

#include <jansson.h>
#include <stdbool.h>

#include "base/units.h"

struct client;

enum { JOB_PATH_SIZE = 128 };

/* Checks a job's ID as typed: a number, or 12_5 for element 5 of array 12. Returns STATUS_DONE, or STATUS_USAGE having
 * said so for `verb`. */
int job_check_id(const char *verb, const char *id);
/* "/v1/jobs/ID" and what follows. id: checked. Returns buf, JOB_PATH_SIZE long. */
char *job_path(char *buf, const char *id, const char *rest);

/* Waits until a job is over; a daemon that goes away meanwhile is waited for too. deadline_us: of now_us; US_NEVER: none.
 * Returns STATUS_DONE and the job in *ret, the caller's; STATUS_NO at the deadline or where there is no such job;
 * STATUS_UNREACHABLE where the daemon was never reached. What it returns it has said. */
int job_wait(struct client *client, const char *id, us_t deadline_us, json_t **ret);

/* STATUS_DONE where a job that is over completed, else STATUS_NO. */
int job_outcome(const json_t *job);
/* "17", or "12_5" for an element. size: 32 or more. Returns buf. */
char *job_id_text(const json_t *job, char *buf, size_t size);
/* "17 failed, exit 3": a job that is over in a few words, on one line of stdout or stderr. */
void job_print_outcome(const json_t *job, bool to_stderr);
/* Where a job's tasks are, as lines of a description. simulated: as client_simulated gives it; NULL: the job itself says. */
void job_print_placement(const json_t *job, const json_t *simulated);

#endif
