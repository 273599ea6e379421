/* SPDX-License-Identifier: Apache-2.0
 * bitset.h: a set of numbers below n, in memory of the caller's: adding and removing in O(1), the next one in a few words.
 *
 * Two levels: a bit a number, and a bit for each of those words that isn't 0. */
#ifndef SUAN_BASE_BITSET_H
#define SUAN_BASE_BITSET_H

#include <stdint.h>

#define BITSET_NONE UINT32_MAX

/* Words that a set below n takes, which are 0 where it is empty. */
static inline uint32_t bitset_words(uint32_t n)
{
	uint32_t words = (n + 63) / 64;

	return words + (words + 63) / 64;
}

static inline void bitset_add(uint64_t *set, uint32_t n, uint32_t i)
{
	uint64_t *summary = set + (n + 63) / 64;

	set[i / 64] |= (uint64_t)1 << i % 64;
	summary[i / 4096] |= (uint64_t)1 << i / 64 % 64;
}

static inline void bitset_remove(uint64_t *set, uint32_t n, uint32_t i)
{
	uint64_t *summary = set + (n + 63) / 64;

	set[i / 64] &= ~((uint64_t)1 << i % 64);
	if (!set[i / 64])
		summary[i / 4096] &= ~((uint64_t)1 << i / 64 % 64);
}

/* The least member at or above `from`, or BITSET_NONE. Cost: O(1 + n / 4096). */
static inline uint32_t bitset_next(const uint64_t *set, uint32_t n, uint32_t from)
{
	uint32_t words = (n + 63) / 64, word = from / 64, group;
	const uint64_t *summary = set + words;
	uint64_t bits;

	if (from >= n)
		return BITSET_NONE;
	bits = set[word] & UINT64_MAX << from % 64;
	if (bits)
		return word * 64 + (uint32_t)__builtin_ctzll(bits);
	if (++word >= words)
		return BITSET_NONE;
	group = word / 64;
	bits = summary[group] & UINT64_MAX << word % 64;
	while (!bits) {
		if (++group >= (words + 63) / 64)
			return BITSET_NONE;
		bits = summary[group];
	}
	word = group * 64 + (uint32_t)__builtin_ctzll(bits);
	return word * 64 + (uint32_t)__builtin_ctzll(set[word]);
}

#endif
