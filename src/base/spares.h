/* SPDX-License-Identifier: Apache-2.0
 * spares.h: numbers of things in a table that came free, to be used again: the one that came free last goes first. */
#ifndef SUAN_BASE_SPARES_H
#define SUAN_BASE_SPARES_H

#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"

/* All zero: none. Ends with spares_done. */
struct spares {
	uint32_t *numbers;
	uint32_t n, cap;
};

/* A number for a new thing of so many bytes in a table, which has room at it then: a spare one, or the next, *n. Cost: O(1),
 * amortised. */
static inline uint32_t spares_take(struct spares *spares, void **table, uint32_t *cap, uint32_t *n, size_t size)
{
	if (spares->n)
		return spares->numbers[--spares->n];
	mem_grow(table, cap, *n, size);
	return (*n)++;
}

/* The thing of a number went. */
static inline void spares_give(struct spares *spares, uint32_t number)
{
	mem_grow((void **)&spares->numbers, &spares->cap, spares->n, sizeof *spares->numbers);
	spares->numbers[spares->n++] = number;
}

static inline void spares_done(struct spares *spares)
{
	free(spares->numbers);
	*spares = (struct spares){0};
}

#endif
