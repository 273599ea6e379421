/* SPDX-License-Identifier: Apache-2.0
 * mem.c: the heap as the core uses it; see mem.h. */
#include "base/mem.h"

#include <assert.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *p)
{
	if (!p) {
		fputs("suan: out of memory\n", stderr);
		abort();
	}
	return p;
}

void *mem_new(size_t count, size_t size)
{
	return must(calloc(count ? count : 1, size ? size : 1));
}

void *mem_resize(void *old, size_t count, size_t size)
{
	return must(reallocarray(old, count ? count : 1, size ? size : 1));
}

char *mem_strdup(const char *text)
{
	return must(strdup(text));
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
