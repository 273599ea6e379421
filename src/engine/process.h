/* SPDX-License-Identifier: Apache-2.0
 * process.h: what /proc says of processes, and killing whole families of them. */
#ifndef SUAN_ENGINE_PROCESS_H
#define SUAN_ENGINE_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/units.h"

#define BOOT_ID_SIZE 40

/* The id of this boot of the machine; size: BOOT_ID_SIZE or more. "" where it can't be told. Returns buf. */
char *process_boot_id(char *buf, size_t size);

/* When a process started, in clock ticks since the boot: with its number, it names a process for good. 0: there is none. */
uint64_t process_start(pid_t pid);

/* Whether a process or thread of this number runs, and isn't one that has ended and that nobody has taken in yet. */
bool process_runs(pid_t pid);

/* Time since the boot, sleep included: it never jumps. */
us_t process_boot_us(void);
us_t process_wall_us(void);

/* Sends a signal to all descendants of a process, as far as they can be seen in one look; the process itself gets none.
 * Returns how many were found. Cost: O(processes of the machine). */
uint32_t process_signal_descendants(pid_t ancestor, int signal_number);

/* Sends SIGKILL to every process that has this string, such as "NAME=value", in its initial environment. Returns how many. */
uint32_t process_kill_marked(const char *marker);

#endif
