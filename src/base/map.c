/* SPDX-License-Identifier: Apache-2.0
 * map.c: open addressing with linear probing; see map.h. */
#include "base/map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

struct map_slot {
	uint64_t key;
	uint32_t value;
	uint32_t taken; /* 0: free */
};

/* The slot that holds the key, or the free one where the search ended. The table is never full. */
static struct map_slot *map_slot_of(const struct map *map, uint64_t key)
{
	uint32_t i = (uint32_t)rng_mix(key) & (map->cap - 1);

	while (map->slots[i].taken && map->slots[i].key != key)
		i = (i + 1) & (map->cap - 1);
	return &map->slots[i];
}

static void map_rehash(struct map *map)
{
	struct map old = *map;

	map->cap = 16;
	while (map->cap < old.count * 2 + 2)
		map->cap *= 2;
	map->slots = mem_new(map->cap, sizeof *map->slots);
	for (uint32_t i = 0; i < old.cap; i++)
		if (old.slots[i].taken)
			*map_slot_of(map, old.slots[i].key) = old.slots[i];
	free(old.slots);
}

uint32_t map_get(const struct map *map, uint64_t key, uint32_t otherwise)
{
	const struct map_slot *slot = map->cap ? map_slot_of(map, key) : NULL;

	return slot && slot->taken ? slot->value : otherwise;
}

void map_set(struct map *map, uint64_t key, uint32_t value)
{
	struct map_slot *slot;

	if (map->count + 1 > map->cap / 4 * 3)
		map_rehash(map);
	slot = map_slot_of(map, key);
	map->count += !slot->taken;
	*slot = (struct map_slot){key, value, 1};
}

/* What stands behind the gap, and was put there since the gap was taken, closes it (Knuth, volume 3, algorithm 6.4 R): so there
 * are no marks of what is gone, which would have to be cleared away. */
bool map_remove(struct map *map, uint64_t key)
{
	struct map_slot *slot = map->cap ? map_slot_of(map, key) : NULL;
	uint32_t last = map->cap - 1, gap;

	if (!slot || !slot->taken)
		return false;
	gap = (uint32_t)(slot - map->slots);
	for (uint32_t i = (gap + 1) & last; map->slots[i].taken; i = (i + 1) & last) {
		uint32_t home = (uint32_t)rng_mix(map->slots[i].key) & last;

		if (((i - home) & last) < ((i - gap) & last))
			continue;
		map->slots[gap] = map->slots[i];
		gap = i;
	}
	map->slots[gap].taken = 0;
	map->count--;
	return true;
}

void map_done(struct map *map)
{
	free(map->slots);
	*map = (struct map){0};
}

/* FNV-1a; the strings are short names. */
static uint64_t text_hash(const char *text)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3u;
	return rng_mix(h);
}

static uint32_t *strtab_slot_of(const struct strtab *tab, const char *text)
{
	uint32_t i = (uint32_t)text_hash(text) & (tab->slots_cap - 1);

	while (tab->slots[i] && strcmp(tab->names[tab->slots[i] - 1], text) != 0)
		i = (i + 1) & (tab->slots_cap - 1);
	return &tab->slots[i];
}

static void strtab_rehash(struct strtab *tab)
{
	tab->slots_cap = tab->slots_cap ? tab->slots_cap * 2 : 16;
	free(tab->slots);
	tab->slots = mem_new(tab->slots_cap, sizeof *tab->slots);
	for (uint32_t n = 0; n < tab->count; n++)
		*strtab_slot_of(tab, tab->names[n]) = n + 1;
}

uint32_t strtab_add(struct strtab *tab, const char *text)
{
	uint32_t *slot;

	if (tab->count + 1 > tab->slots_cap / 4 * 3)
		strtab_rehash(tab);
	slot = strtab_slot_of(tab, text);
	if (*slot)
		return *slot - 1;
	mem_grow((void **)&tab->names, &tab->cap, tab->count, sizeof *tab->names);
	tab->names[tab->count] = mem_strdup(text);
	*slot = ++tab->count;
	return tab->count - 1;
}

uint32_t strtab_find(const struct strtab *tab, const char *text)
{
	uint32_t *slot = tab->slots_cap ? strtab_slot_of(tab, text) : NULL;

	return slot && *slot ? *slot - 1 : STRTAB_NONE;
}

const char *strtab_name(const struct strtab *tab, uint32_t number)
{
	assert(number < tab->count);
	return tab->names[number];
}

void strtab_done(struct strtab *tab)
{
	for (uint32_t n = 0; n < tab->count; n++)
		free((void *)tab->names[n]);
	free(tab->names);
	free(tab->slots);
	*tab = (struct strtab){0};
}
