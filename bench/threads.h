/* SPDX-License-Identifier: Apache-2.0
 * threads.h: how much CPU time a process's threads have taken, by name: what says whether a thread bounds a figure. */
#ifndef SUAN_BENCH_THREADS_H
#define SUAN_BENCH_THREADS_H

#include <sys/types.h>

/* Seconds of CPU. */
struct cpu_use {
	double core; /* the thread that owns the core */
	double api;  /* the HTTP threads together */
	double other;
	double own; /* this process */
};

/* What a process has taken so far, and this one. */
struct cpu_use threads_cpu(pid_t pid);

#endif
