/* SPDX-License-Identifier: Apache-2.0
 * measure.h: what every measurement here uses: clocks, memory, order statistics, and how a figure is handed on.
 *
 * A program prints, to standard output, a line `run ID VALUE` for each run of a row, and `why ID TEXT` for what bounds it;
 * tools/bench gathers them into the table. */
#ifndef SUAN_BENCH_MEASURE_H
#define SUAN_BENCH_MEASURE_H

#include <stddef.h>
#include <stdint.h>

/* Nanoseconds of the monotonic clock; seconds since an earlier reading. */
uint64_t now_ns(void);
double seconds_since(uint64_t begun_ns);

/* The same of the CPU time of this process: for what one thread does in memory, so that others' work doesn't count. */
uint64_t cpu_ns(void);
double cpu_seconds_since(uint64_t begun_ns);
/* The same in microseconds, less what reading the clock takes at least (a third of a microsecond to one where that is a call of
 * the kernel): for what takes few of them itself. */
double cpu_us_since(uint64_t begun_ns);

/* Resident bytes of this process. */
uint64_t resident_bytes(void);

/* Sorts values; the value that a share of them (0 to 1) doesn't pass. n: 1 or more. */
void sort_values(double *values, size_t n);
double quantile(const double *sorted, size_t n, double share);

void put_run(const char *id, double value);
void put_why(const char *id, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Says what went wrong and ends the process with 1: a measurement that failed has no figure. */
_Noreturn void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
