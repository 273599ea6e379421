/* SPDX-License-Identifier: Apache-2.0
 * mem.h: the heap as the core uses it.
 *
 * The core's apply can't fail, so its allocations may not. Where the machine has no memory left they draw on a reserve that was
 * set aside while there was some; whoever takes input from outside looks at mem_is_low first, and refuses it then. Where the
 * reserve is gone too, the process says so and exits with status 1, without a core dump: what is durable is safe, and secrets
 * stay out of dumps. Edges use malloc and return ERR_NOMEM where that is simple. */
#ifndef SUAN_BASE_MEM_H
#define SUAN_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed memory of count × size bytes. The caller frees it with free(). Never NULL, also for 0 bytes. */
void *mem_new(size_t count, size_t size);

/* As realloc for count × size bytes; what is new isn't zeroed. Never NULL. */
void *mem_resize(void *old, size_t count, size_t size);

/* A copy of the string. Never NULL. */
char *mem_strdup(const char *text);

/* Makes room for one more element in a growing array: *array has *cap elements of `size` bytes, `used`
 * of them taken. Grows by half, 8 at least. */
void mem_grow(void **array, uint32_t *cap, uint32_t used, size_t size);

/* Says that new memory will be filled soon: its pages are had at once, rather than one by one as each is written to first. A
 * hint, for many pages. Its content is left as it is. */
void mem_will_fill(void *p, size_t bytes);

/* As free, and leaves zeros: for libraries through whose hands secrets go. Accepts NULL. */
void mem_free_secret(void *p);

/* There is none, and nothing else can be done: says so and exits with status 1. */
_Noreturn void mem_exhausted(void);

/* Sets memory aside for when there is none; once, before there is another thread. It is address space until it is needed. Returns
 * whether it could be had. */
bool mem_set_aside(size_t bytes);

/* Whether the reserve was drawn on, and can't be had back yet: tries that first. Always false without one. Any thread. */
bool mem_is_low(void);

#endif
