/* SPDX-License-Identifier: Apache-2.0
 * engines.c: the table of engines; see engines.h. */
#include "engine/engines.h"

#include <string.h>

static const struct engine_ops *const engines[] = {&engine_local, &engine_simulated};

const struct engine_ops *const *engine_all(uint32_t *ret_n)
{
	*ret_n = sizeof engines / sizeof *engines;
	return engines;
}

const struct engine_ops *engine_find(const char *type)
{
	for (size_t i = 0; i < sizeof engines / sizeof *engines; i++)
		if (!strcmp(engines[i]->type, type))
			return engines[i];
	return NULL;
}
