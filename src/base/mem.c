/* SPDX-License-Identifier: Apache-2.0
 * mem.c: the heap as the core uses it; see mem.h. */
#include "base/mem.h"

#include <assert.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096 }; /* where it is larger the kernel refuses the hint */

/* What is set aside; NULL while it is drawn on, or where nothing is. */
static _Atomic(void *) reserve;
static size_t reserve_bytes;

/* Gives the reserve to whoever needs it now. */
static void draw(void)
{
	free(atomic_exchange(&reserve, NULL));
}

_Noreturn void mem_exhausted(void)
{
	fputs("suan: out of memory\n", stderr);
	_exit(EXIT_FAILURE);
}

static void *must(void *p)
{
	if (!p)
		mem_exhausted();
	return p;
}

void *mem_new(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size ? size : 1);

	if (!p) {
		draw();
		p = must(calloc(count ? count : 1, size ? size : 1));
	}
	return p;
}

void *mem_resize(void *old, size_t count, size_t size)
{
	void *p = reallocarray(old, count ? count : 1, size ? size : 1);

	if (!p) {
		draw();
		p = must(reallocarray(old, count ? count : 1, size ? size : 1));
	}
	return p;
}

char *mem_strdup(const char *text)
{
	size_t size = strlen(text) + 1;

	return memcpy(mem_resize(NULL, size, 1), text, size);
}

bool mem_set_aside(size_t bytes)
{
	reserve_bytes = bytes;
	return !mem_is_low();
}

bool mem_is_low(void)
{
	void *none = NULL, *p;

	if (!reserve_bytes || atomic_load(&reserve))
		return false;
	p = malloc(reserve_bytes);
	if (p && !atomic_compare_exchange_strong(&reserve, &none, p))
		free(p); /* another thread was first */
	return !p;
}

void mem_will_fill(void *p, size_t bytes)
{
#ifdef MADV_POPULATE_WRITE
	uintptr_t first = ((uintptr_t)p + PAGE - 1) & ~(uintptr_t)(PAGE - 1), end = ((uintptr_t)p + bytes) & ~(uintptr_t)(PAGE - 1);

	if (end > first)
		madvise((void *)first, end - first, MADV_POPULATE_WRITE); /* since Linux 5.14; else they come one by one */
#else
	(void)p;
	(void)bytes;
#endif
}

void mem_free_secret(void *p)
{
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

void mem_grow(void **array, uint32_t *cap, uint32_t used, size_t size)
{
	assert(used <= *cap);
	if (used < *cap)
		return;
	assert(*cap < UINT32_MAX / 2);
	*cap = *cap < 8 ? 8 : *cap + *cap / 2;
	*array = mem_resize(*array, *cap, size);
}
