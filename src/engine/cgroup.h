/* SPDX-License-Identifier: Apache-2.0
 * cgroup.h: bounds on what a task may use, and one handle on all of its processes, through the kernel's control groups.
 *
 * Both versions, and the mount that has both: on each tree that is there and may be written, an attempt gets a group of its own
 * with one inside it for each task. What this machine doesn't allow is left out, and said by cgroups_describe. */
#ifndef SUAN_ENGINE_CGROUP_H
#define SUAN_ENGINE_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CGROUP_TREES_MAX = 4, CGROUP_PATH_SIZE = 256 };

enum cgroup_use {
	CGROUP_MEMORY = 1 << 0,
	CGROUP_CPU = 1 << 1,
	CGROUP_PIDS = 1 << 2,
	CGROUP_KILL = 1 << 3, /* ends a whole tree of processes at once */
};

struct cgroup_tree {
	bool v2;
	uint32_t uses;                    /* enum cgroup_use */
	char base[CGROUP_PATH_SIZE - 40]; /* the folder that holds the attempts' groups */
};

/* The trees that are of use here. */
struct cgroups {
	struct cgroup_tree trees[CGROUP_TREES_MAX];
	uint32_t n;
};

/* An attempt's group on each tree: enough to end and remove it, also for another process at another time. */
struct cgroup_paths {
	char paths[CGROUP_TREES_MAX][CGROUP_PATH_SIZE];
	uint32_t n;
};

struct cgroup_limits {
	uint32_t memory_mib; /* 0: none */
	uint32_t cpus_milli; /* 0: none */
	uint32_t pids;       /* processes and threads; 0: none */
};

/* Finds the trees and makes in each the folder that holds our attempts. owner: a text that tells one engine's groups from
 * another's on this machine (its state folder). Never fails: what can't be used isn't in the result. */
void cgroups_find(const char *owner, struct cgroups *ret);

/* What is bounded and how, and what isn't, in one line for the operator. Returns buf. */
char *cgroups_describe(const struct cgroups *cgroups, char *buf, size_t size);

/* The paths of an attempt's groups, whether they are there or not. */
void cgroup_paths_of(const struct cgroups *cgroups, const char *attempt, struct cgroup_paths *ret);

/* Makes the groups of a task, with its limits. Returns the uses that are in effect. */
uint32_t cgroup_make(const struct cgroups *cgroups, const char *attempt, uint32_t rank, const struct cgroup_limits *limits);

/* Puts the calling process, which has one thread, into them. */
void cgroup_enter(const struct cgroups *cgroups, const char *attempt, uint32_t rank);

/* The task's group of version 2, open, for a process to be made in it (clone3): the caller's. -1: there is none. */
int cgroup_open_v2(const struct cgroups *cgroups, const char *attempt, uint32_t rank);

/* How many of a task's processes the kernel ended for being over their memory. */
uint64_t cgroup_oom_kills(const struct cgroups *cgroups, const char *attempt, uint32_t rank);

/* Sends SIGKILL to all that is in an attempt's groups. Call it until cgroup_is_empty. */
void cgroup_kill(const struct cgroup_paths *paths);
bool cgroup_is_empty(const struct cgroup_paths *paths);
/* Removes the groups; what still holds a process stays. */
void cgroup_remove(const struct cgroup_paths *paths);

#endif
