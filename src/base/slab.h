/* SPDX-License-Identifier: Apache-2.0
 * slab.h: memory for many things of one size that come and go.
 *
 * What is given back is used again first, and each thing of more than half a line of the cache begins at one. Under the address
 * sanitizer what nobody has may not be touched. */
#ifndef SUAN_BASE_SLAB_H
#define SUAN_BASE_SLAB_H

#include <stddef.h>

/* All zero is an empty one. */
struct slab {
	size_t size;  /* of a thing; 0: none was taken yet */
	void *free;   /* the things that were given back, each with a pointer to the next */
	void *blocks; /* of things, each with a pointer to the next */
	char *at;     /* what was never taken of the latest block */
	size_t left;  /* in things */
	size_t block; /* things of the next block; 0: it is the first */
};

/* A zeroed thing. size: in bytes, a pointer's or more, the same each time. Never NULL: see mem.h. Cost: O(size). */
void *slab_new(struct slab *slab, size_t size);
/* Gives a thing back. Accepts NULL. */
void slab_free(struct slab *slab, void *thing);
/* Frees the memory of all things, also of those that weren't given back. */
void slab_done(struct slab *slab);

#endif
