/* SPDX-License-Identifier: Apache-2.0
 * slab.c: things of one size, in blocks that grow with their number; see slab.h. */
#include "base/slab.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#ifndef __has_feature /* clang's way to tell; gcc has __SANITIZE_ADDRESS__ */
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, size) ((void)(p), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(p, size) ((void)(p), (void)(size))
#endif

enum { LINE = 64, BLOCK_LEAST = 8, BLOCK_MOST = 2048 }; /* bytes; things */
enum { LARGE = 256 << 10 };                             /* bytes */

/* A thing's room: whole lines of the cache, where it is larger than one. */
static size_t stride_of(const struct slab *slab)
{
	size_t to = slab->size > LINE / 2 ? LINE : slab->size > LINE / 4 ? LINE / 2 : LINE / 4;

	return (slab->size + to - 1) / to * to;
}

/* A large one is filled by thousands of things, which would each wait for a page. */
static void add_block(struct slab *slab)
{
	size_t n = slab->block ? slab->block : BLOCK_LEAST, bytes = n * stride_of(slab) + 2 * LINE;
	char *block = mem_resize(NULL, bytes, 1);

	if (bytes >= LARGE)
		mem_will_fill(block, bytes);
	memcpy(block, &slab->blocks, sizeof slab->blocks);
	slab->blocks = block;
	slab->block = 2 * n < BLOCK_MOST ? 2 * n : BLOCK_MOST;
	slab->at = block + LINE + (LINE - (uintptr_t)block % LINE) % LINE;
	slab->left = n;
	ASAN_POISON_MEMORY_REGION(slab->at, n * stride_of(slab));
}

/* What was never taken of the latest block, or of another. */
static void *take_fresh(struct slab *slab)
{
	char *thing;

	if (!slab->left)
		add_block(slab);
	thing = slab->at;
	slab->at += stride_of(slab);
	slab->left--;
	return thing;
}

void *slab_new(struct slab *slab, size_t size)
{
	void *thing;

	assert(size >= sizeof slab->free && (slab->size == size || !slab->size));
	slab->size = size;
	thing = slab->free ? slab->free : take_fresh(slab);
	ASAN_UNPOISON_MEMORY_REGION(thing, size);
	if (thing == slab->free)
		memcpy(&slab->free, thing, sizeof slab->free);
	return memset(thing, 0, size);
}

void slab_free(struct slab *slab, void *thing)
{
	if (!thing)
		return;
	memcpy(thing, &slab->free, sizeof slab->free);
	slab->free = thing;
	ASAN_POISON_MEMORY_REGION(thing, slab->size);
}

void slab_done(struct slab *slab)
{
	while (slab->blocks) {
		void *block = slab->blocks;

		memcpy(&slab->blocks, block, sizeof slab->blocks);
		free(block);
	}
	*slab = (struct slab){0};
}
