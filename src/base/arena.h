/* SPDX-License-Identifier: Apache-2.0
 * arena.h: scratch memory that is given back all at once. */
#ifndef SUAN_BASE_ARENA_H
#define SUAN_BASE_ARENA_H

#include <stddef.h>

struct arena_block;

/* An arena; all zero is an empty one. */
struct arena {
	struct arena_block *blocks; /* the newest first */
	size_t used, size;          /* of the newest block */
	size_t total;               /* bytes handed out since the last reset */
};

/* Zeroed memory of count × size bytes, aligned for any type, good until arena_reset or arena_done. Never NULL. */
void *arena_new(struct arena *arena, size_t count, size_t size);

/* A terminated copy of `len` bytes of text. */
char *arena_strndup(struct arena *arena, const char *text, size_t len);
char *arena_strdup(struct arena *arena, const char *text);

/* A formatted string. */
char *arena_printf(struct arena *arena, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Takes everything back and keeps one block for the next use. */
void arena_reset(struct arena *arena);

/* Takes everything back and frees it. The arena is empty again and may be used. */
void arena_done(struct arena *arena);

/* The same for what may hold secrets: all of it is zeroed first. */
void arena_done_secret(struct arena *arena);

#endif
