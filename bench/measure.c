/* SPDX-License-Identifier: Apache-2.0
 * measure.c: clocks, memory, order statistics and figures; see measure.h. */
#include "measure.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static uint64_t read_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint64_t now_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t cpu_ns(void)
{
	return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

double seconds_since(uint64_t begun_ns)
{
	return (double)(now_ns() - begun_ns) / 1e9;
}

double cpu_seconds_since(uint64_t begun_ns)
{
	return (double)(cpu_ns() - begun_ns) / 1e9;
}

static uint64_t clock_cost_ns(void)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < 1000; i++) {
		uint64_t begun = cpu_ns(), took = cpu_ns() - begun;

		least = took < least ? took : least;
	}
	return least;
}

double cpu_us_since(uint64_t begun_ns)
{
	static uint64_t cost_ns = UINT64_MAX;
	uint64_t took_ns = cpu_ns() - begun_ns;

	if (cost_ns == UINT64_MAX)
		cost_ns = clock_cost_ns();
	return took_ns > cost_ns ? (double)(took_ns - cost_ns) / 1e3 : 0;
}

uint64_t resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long all, resident;

	if (!file || fscanf(file, "%lu %lu", &all, &resident) != 2)
		die("can't read /proc/self/statm");
	fclose(file);
	return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int compare_values(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

void sort_values(double *values, size_t n)
{
	qsort(values, n, sizeof *values, compare_values);
}

double quantile(const double *sorted, size_t n, double share)
{
	size_t at = (size_t)(share * (double)n);

	return sorted[at < n ? at : n - 1];
}

void put_run(const char *id, double value)
{
	printf("run %s %.9g\n", id, value);
	fflush(stdout);
}

void put_why(const char *id, const char *fmt, ...)
{
	va_list args;

	printf("why %s ", id);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
}

void die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("bench: ", stderr);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(EXIT_FAILURE);
}
