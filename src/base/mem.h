/* SPDX-License-Identifier: Apache-2.0
 * mem.h: the heap as the core uses it.
 *
 * The core's apply can't fail, so its allocations may not: these abort where the machine has no memory
 * left. Edges that take input from outside use malloc and return ERR_NOMEM instead. */
#ifndef SUAN_BASE_MEM_H
#define SUAN_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

/* Zeroed memory of count × size bytes. The caller frees it with free(). Never NULL, also for 0 bytes. */
void *mem_new(size_t count, size_t size);

/* As realloc for count × size bytes; what is new isn't zeroed. Never NULL. */
void *mem_resize(void *old, size_t count, size_t size);

/* A copy of the string. Never NULL. */
char *mem_strdup(const char *text);

/* As free, and leaves zeros: for libraries through whose hands secrets go. Accepts NULL. */
void mem_free_secret(void *p);

/* Makes room for one more element in a growing array: *array has *cap elements of `size` bytes, `used`
 * of them taken. Grows by half, 8 at least. */
void mem_grow(void **array, uint32_t *cap, uint32_t used, size_t size);

#endif
