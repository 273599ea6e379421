/* SPDX-License-Identifier: Apache-2.0
 * map.h: hash tables from an integer or a string to a 32-bit value.
 *
 * Open addressing, linear probing, at most three quarters full. Neither can be iterated: what is decided
 * never depends on the order of a table. */
#ifndef SUAN_BASE_MAP_H
#define SUAN_BASE_MAP_H

#include <stdbool.h>
#include <stdint.h>

/* From a 64-bit key to a 32-bit value; all zero is an empty one. */
struct map {
	struct map_slot *slots;
	uint32_t cap, count;
};

/* The value, or `otherwise` where the key isn't there. Cost: O(1). */
uint32_t map_get(const struct map *map, uint64_t key, uint32_t otherwise);
/* Adds or replaces. */
void map_set(struct map *map, uint64_t key, uint32_t value);
/* Takes the key out; returns whether it was there. */
bool map_remove(struct map *map, uint64_t key);
void map_done(struct map *map);

#define STRTAB_NONE UINT32_MAX

/* Interned strings, numbered from 0 in the order in which they came; all zero is an empty table. Strings are never
 * taken out, and a pointer to one stays good until strtab_done. */
struct strtab {
	const char **names;
	uint32_t count, cap;
	uint32_t *slots; /* number + 1; 0: free */
	uint32_t slots_cap;
};

/* The number of a string, added where it is new. */
uint32_t strtab_add(struct strtab *tab, const char *text);
/* The number of a string, or STRTAB_NONE. */
uint32_t strtab_find(const struct strtab *tab, const char *text);
/* The string of a number that was handed out. */
const char *strtab_name(const struct strtab *tab, uint32_t number);
void strtab_done(struct strtab *tab);

#endif
