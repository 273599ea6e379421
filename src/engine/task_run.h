/* SPDX-License-Identifier: Apache-2.0
 * task_run.h: starts one task of an attempt as a process: its groups, folder, output, environment, script. */
#ifndef SUAN_ENGINE_TASK_RUN_H
#define SUAN_ENGINE_TASK_RUN_H

#include <sys/types.h>

#include "engine/cgroup.h"
#include "engine/task_env.h"

enum { TASK_NOTE_SIZE = 4096 };

/* What all tasks of an attempt have in common. */
struct task_job {
	const struct launch *launch;
	int attempt;        /* the attempt's folder, open */
	const char *folder; /* and its name, absolute */
	const char *name;   /* "<job>.<attempt>" */
	const char *claim;  /* the claim's folder, absolute */
	uint16_t port;
	const struct cgroups *cgroups;
	char *note; /* TASK_NOTE_SIZE bytes that children share: why the first one couldn't start. NULL: not to be had */
	const char *home, *user, *shell, *host;
};

/* Fills in who we are, from the machine's own tables. */
void task_job_read_account(struct task_job *job, struct arena *arena);

/* Starts a script ("setup" or "run") of the attempt's folder as the task of this rank, in a session of its own. Returns its
 * process, or -1 where no process could be made. What fails later shows as an exit code of 126 or 127 and in job->note. */
pid_t task_start(const struct task_job *job, uint32_t rank, const char *script);

#endif
