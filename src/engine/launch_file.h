/* SPDX-License-Identifier: Apache-2.0
 * launch_file.h: a launch as bytes, so that the process that runs an attempt needs nothing but its folder. */
#ifndef SUAN_ENGINE_LAUNCH_FILE_H
#define SUAN_ENGINE_LAUNCH_FILE_H

#include "base/arena.h"
#include "port/engine.h"

enum { LAUNCH_TASKS_MAX = 1024, LAUNCH_VARIABLES_MAX = 4096, LAUNCH_BYTES_MAX = PAYLOAD_BYTES_MAX + (1 << 20) };

/* Appends all of a launch but its secrets, which have a file of their own, and what is for simulated centres. */
void launch_encode(const struct launch *launch, struct buf *buf);

/* Reads it back; ret->payload is ret_payload, and all that they point to is in the arena. It has no
 * secrets. Returns 0 or ERR_CORRUPT. */
int launch_decode(const void *bytes, size_t len, struct arena *arena, struct launch *ret, struct payload *ret_payload);

void variables_encode(const struct variable *variables, uint32_t n, struct buf *buf);
int variables_decode(const void *bytes, size_t len, struct arena *arena, const struct variable **ret, uint32_t *ret_n);

#endif
