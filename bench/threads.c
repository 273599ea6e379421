/* SPDX-License-Identifier: Apache-2.0
 * threads.c: CPU time by thread; see threads.h. */
#include "threads.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"

/* Nanoseconds on a CPU stand in schedstat, finer than the clock ticks of stat. */
static double thread_seconds(pid_t pid, const char *thread, char *name, size_t size)
{
	char path[128];
	unsigned long long ns = 0;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/task/%.20s/comm", (int)pid, thread);
	file = fopen(path, "re");
	*name = 0;
	if (file) {
		if (!fgets(name, (int)size, file))
			*name = 0;
		fclose(file);
	}
	name[strcspn(name, "\n")] = 0;
	snprintf(path, sizeof path, "/proc/%d/task/%.20s/schedstat", (int)pid, thread);
	file = fopen(path, "re");
	if (file) {
		if (fscanf(file, "%llu", &ns) != 1)
			ns = 0;
		fclose(file);
	}
	return (double)ns / 1e9;
}

static void add_thread(struct cpu_use *use, pid_t pid, const char *thread)
{
	char name[32];
	double seconds = thread_seconds(pid, thread, name, sizeof name);

	if (!strcmp(name, "core"))
		use->core += seconds;
	else if (!strcmp(name, "http"))
		use->api += seconds;
	else
		use->other += seconds;
}

struct cpu_use threads_cpu(pid_t pid)
{
	struct cpu_use use = {0};
	struct timespec own;
	char path[64];
	DIR *tasks;

	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	if (!tasks)
		die("%s: there is no such process", path);
	for (struct dirent *entry; (entry = readdir(tasks));)
		if (entry->d_name[0] != '.')
			add_thread(&use, pid, entry->d_name);
	closedir(tasks);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
	use.own = (double)own.tv_sec + (double)own.tv_nsec / 1e9;
	return use;
}
