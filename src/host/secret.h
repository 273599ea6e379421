/* SPDX-License-Identifier: Apache-2.0
 * secret.h: the secrets of jobs, in files of mode 0600 in STATE/secrets, outside the journal and the payloads. */
#ifndef SUAN_HOST_SECRET_H
#define SUAN_HOST_SECRET_H

#include "base/arena.h"
#include "port/service.h"

/* Opens the folder, made where it is missing. Returns its descriptor or a negative code. */
int secret_open_dir(const char *state_dir, struct err *err);

/* Writes a new file, synced with its folder, and its random name to `name`. */
int secret_write(int dir, const struct variable *secrets, uint32_t n, char name[SERVICE_SECRET_NAME], struct err *err);

/* Reads one; what it returns is in the arena, which the caller wipes by arena_done. ERR_NOT_FOUND: it isn't there. */
int secret_read(int dir, const char *name, struct arena *arena, const struct variable **ret, uint32_t *ret_n, struct err *err);

/* Removes one; one that isn't there is no error. */
void secret_remove(int dir, const char *name);

/* Removes those that `wanted` doesn't want: left over from submits that a crash cut off. */
void secret_sweep(int dir, bool (*wanted)(void *ctx, const char *name), void *ctx);

#endif
