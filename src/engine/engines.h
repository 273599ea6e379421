/* SPDX-License-Identifier: Apache-2.0
 * engines.h: the engines that this build has, by the type that a pool file names. */
#ifndef SUAN_ENGINE_ENGINES_H
#define SUAN_ENGINE_ENGINES_H

#include "port/engine.h"

extern const struct engine_ops engine_local;
extern const struct engine_ops engine_simulated;

/* The engine of a type ("local", "simulated"), or NULL. The table is static. */
const struct engine_ops *engine_find(const char *type);

/* All of them, for messages and checks. *ret_n: how many. */
const struct engine_ops *const *engine_all(uint32_t *ret_n);

#endif
