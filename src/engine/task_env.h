/* SPDX-License-Identifier: Apache-2.0
 * task_env.h: what a task finds around it: its environment, and where its output goes. Text from text, nothing else. */
#ifndef SUAN_ENGINE_TASK_ENV_H
#define SUAN_ENGINE_TASK_ENV_H

#include "base/arena.h"
#include "port/engine.h"

/* What the machine adds to a launch. */
struct task_place {
	const char *home, *user, *shell, *host;
	const char *claim;   /* the claim's folder, so that a process can be told by its environment */
	const char *workdir; /* where it runs */
	uint16_t port;       /* MASTER_PORT */
};

/* A task's whole environment, as execve takes it, in the arena: the usual few of a login, Suan's, SkyPilot's, the visible
 * devices of its cards' vendor, Slurm's for a script; then the job's own, then its secrets: what comes later replaces. Nothing is
 * taken from the calling process. rank: below launch->n_tasks. */
char **task_env(const struct launch *launch, uint32_t rank, const struct task_place *place, struct arena *arena);

/* An #SBATCH output pattern with its %j %A %a %x %u %N %n %s %t %J %% filled in, as Slurm does ("%4j" pads with zeros; a
 * backslash anywhere leaves the pattern as it is), in the arena. */
char *slurm_expand(const char *pattern, const struct launch *launch, const char *host, struct arena *arena);

/* Slurm's way to write the nodes of a job: "here-[0-2,5]". In the arena. */
char *slurm_nodelist(const struct launch *launch, struct arena *arena);

#endif
