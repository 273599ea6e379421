/* SPDX-License-Identifier: Apache-2.0
 * arena.c: scratch memory in blocks that double; see arena.h. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct arena_block {
	struct arena_block *next;
	size_t size;
	_Alignas(16) unsigned char bytes[];
};

static void add_block(struct arena *arena, size_t at_least)
{
	size_t size = arena->size ? arena->size * 2 : 4096;
	struct arena_block *block;

	if (size > 1 << 20)
		size = 1 << 20;
	if (size < at_least)
		size = at_least;
	block = mem_resize(NULL, 1, sizeof *block + size);
	block->next = arena->blocks;
	block->size = size;
	arena->blocks = block;
	arena->size = size;
	arena->used = 0;
}

void *arena_new(struct arena *arena, size_t count, size_t size)
{
	size_t bytes;
	void *p;

	if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2)
		abort();
	bytes = (bytes + 15) & ~(size_t)15;
	if (!arena->blocks || bytes > arena->size - arena->used)
		add_block(arena, bytes);
	p = arena->blocks->bytes + arena->used;
	arena->used += bytes;
	arena->total += bytes;
	return memset(p, 0, bytes);
}

char *arena_strndup(struct arena *arena, const char *text, size_t len)
{
	char *copy = arena_new(arena, len + 1, 1);

	if (len) /* text may be a null pointer then */
		memcpy(copy, text, len);
	return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
	return arena_strndup(arena, text, strlen(text));
}

char *arena_printf(struct arena *arena, const char *fmt, ...)
{
	va_list args;
	int len;
	char *text;

	va_start(args, fmt);
	len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (len < 0)
		abort();
	text = arena_new(arena, (size_t)len + 1, 1);
	va_start(args, fmt);
	vsnprintf(text, (size_t)len + 1, fmt, args);
	va_end(args);
	return text;
}

void arena_reset(struct arena *arena)
{
	struct arena_block *keep = arena->blocks;

	if (!keep)
		return;
	for (struct arena_block *b = keep->next, *next; b; b = next) {
		next = b->next;
		free(b);
	}
	keep->next = NULL;
	arena->used = 0;
	arena->total = 0;
}

void arena_done(struct arena *arena)
{
	arena_reset(arena);
	free(arena->blocks);
	*arena = (struct arena){0};
}

void arena_done_secret(struct arena *arena)
{
	for (struct arena_block *b = arena->blocks; b; b = b->next)
		explicit_bzero(b->bytes, b->size);
	arena_done(arena);
}
