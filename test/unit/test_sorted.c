/* SPDX-License-Identifier: Apache-2.0
 * test_sorted.c: sets of pairs against a plain sorted array, and how few leaves they have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/sorted.h"

/* ---- The plain array ---- */

enum { PLAIN_MAX = 4000 };

struct plain {
	struct sorted_entry entries[PLAIN_MAX];
	uint32_t n;
};

/* Where an entry is, or would be. */
static uint32_t plain_place(const struct plain *plain, int64_t key, uint32_t id)
{
	uint32_t at = 0;

	while (at < plain->n && (plain->entries[at].key != key ? plain->entries[at].key < key : plain->entries[at].id < id))
		at++;
	return at;
}

static bool plain_has(const struct plain *plain, int64_t key, uint32_t id)
{
	uint32_t at = plain_place(plain, key, id);

	return at < plain->n && plain->entries[at].key == key && plain->entries[at].id == id;
}

static void plain_insert(struct plain *plain, int64_t key, uint32_t id)
{
	uint32_t at = plain_place(plain, key, id);

	assert_true(plain->n < PLAIN_MAX);
	memmove(&plain->entries[at + 1], &plain->entries[at], (plain->n - at) * sizeof *plain->entries);
	plain->entries[at] = (struct sorted_entry){key, id};
	plain->n++;
}

static void plain_remove(struct plain *plain, int64_t key, uint32_t id)
{
	uint32_t at = plain_place(plain, key, id);

	plain->n--;
	memmove(&plain->entries[at], &plain->entries[at + 1], (plain->n - at) * sizeof *plain->entries);
}

/* The set has what the array has, in its order, and in few leaves. */
static void check_same(const struct sorted *set, const struct plain *plain)
{
	struct sorted_place at = {0};

	sorted_check(set);
	assert_int_equal(set->count, plain->n);
	assert_true(set->n_leaves <= plain->n * 4 / SORTED_LEAF + 1);
	for (uint32_t i = 0; i < plain->n; i++) {
		const struct sorted_entry *entry = sorted_at(set, at);

		assert_non_null(entry);
		assert_true(entry->key == plain->entries[i].key);
		assert_int_equal(entry->id, plain->entries[i].id);
		at = sorted_next(set, at);
	}
	assert_null(sorted_at(set, at));
}

/* ---- Random ---- */

/* How a run of random operations goes. */
struct course {
	uint64_t keys; /* that there are */
	uint32_t ids;  /* likewise */
	uint64_t grow; /* of 100 operations: inserts, in the first half of a wave; in the second what is left */
	bool rising;   /* keys mostly rise with time */
};

static const struct course courses[] = {
	{5, 400, 60, false},        /* many of one key */
	{1, 3000, 70, false},       /* all of one key */
	{UINT64_MAX, 3, 80, false}, /* keys from end to end */
	{40, 2, 55, false},         /* few entries */
	{1000000, 100, 65, true},   /* what comes mostly belongs near the end */
	{100000, 9, 100, false},    /* all comes, all goes */
	{1000, 9, 100, true},       /* likewise, behind what there is */
};

enum { OPERATIONS = 12000, WAVE = 3000, CHECK_EVERY = 97 };

static int64_t random_key(const struct course *course, struct rng *rng, int step)
{
	uint64_t key = rng_below(rng, course->keys);

	if (course->keys == UINT64_MAX)
		return (int64_t)(key ^ (uint64_t)INT64_MIN);
	return course->rising ? step * (int64_t)(course->keys / 100) + (int64_t)key : (int64_t)key - (int64_t)(course->keys / 2);
}

/* Takes out one by chance; of two one at the front, as where what ends first goes first. */
static void remove_random(struct sorted *set, struct plain *plain, struct rng *rng)
{
	uint64_t bound = rng_below(rng, 2) && plain->n > 8 ? 8 : plain->n;
	struct sorted_entry entry = plain->entries[rng_below(rng, bound)];

	sorted_remove(set, entry.key, entry.id);
	plain_remove(plain, entry.key, entry.id);
}

static void run_course(const struct course *course, struct plain *plain, uint64_t seed)
{
	struct sorted set = {0};
	struct rng rng = {seed};

	plain->n = 0;
	for (int step = 0; step < OPERATIONS; step++) {
		bool first_half = step % WAVE < WAVE / 2,
			 insert = rng_below(&rng, 100) < (first_half ? course->grow : 100 - course->grow);
		int64_t key = random_key(course, &rng, step);
		uint32_t id = (uint32_t)rng_below(&rng, course->ids);

		if (!insert && plain->n) {
			remove_random(&set, plain, &rng);
		} else if (insert && !plain_has(plain, key, id)) {
			sorted_insert(&set, key, id, 0);
			plain_insert(plain, key, id);
		}
		if (step % CHECK_EVERY == 0 || plain->n < 3)
			check_same(&set, plain);
	}
	check_same(&set, plain);
	sorted_done(&set);
	assert_int_equal(set.count, 0);
}

static void a_set_is_what_an_array_is(void **state)
{
	struct plain *plain = malloc(sizeof *plain);

	(void)state;
	assert_non_null(plain);
	for (size_t i = 0; i < sizeof courses / sizeof *courses; i++)
		for (uint64_t seed = 1; seed <= 3; seed++)
			run_course(&courses[i], plain, seed);
	free(plain);
}

/* ---- Edges ---- */

static void an_empty_set_has_nothing(void **state)
{
	struct sorted set = {0};

	(void)state;
	sorted_check(&set);
	assert_null(sorted_at(&set, (struct sorted_place){0}));
	for (int i = 0; i < 3; i++) {
		sorted_insert(&set, 7, 1, 0);
		assert_int_equal(sorted_at(&set, (struct sorted_place){0})->key, 7);
		sorted_remove(&set, 7, 1);
		assert_null(sorted_at(&set, (struct sorted_place){0}));
		assert_int_equal(set.n_leaves, 0);
	}
	sorted_done(&set);
	sorted_done(&set);
}

static void extremes_have_their_places(void **state)
{
	static const int64_t keys[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX};
	enum { KEYS = sizeof keys / sizeof *keys };
	struct plain plain = {0};
	struct sorted set = {0};

	(void)state;
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < KEYS; i++) {
			int64_t key = keys[i * 3 % KEYS];

			sorted_insert(&set, key, round ? 0 : UINT32_MAX, 0);
			plain_insert(&plain, key, round ? 0 : UINT32_MAX);
		}
	check_same(&set, &plain);
	for (int i = 0; i < KEYS; i++) {
		sorted_remove(&set, keys[i * 2 % KEYS], UINT32_MAX);
		plain_remove(&plain, keys[i * 2 % KEYS], UINT32_MAX);
		check_same(&set, &plain);
	}
	sorted_done(&set);
}

/* What comes by rising keys fills its leaves, and what goes in that order, or the other way round, leaves none behind. */
static void rising_keys_fill_their_leaves(void **state)
{
	enum { LEAVES = 50, N = LEAVES * SORTED_LEAF };
	struct sorted set = {0};

	(void)state;
	for (int back = 0; back < 2; back++) {
		for (uint32_t i = 0; i < N; i++)
			sorted_insert(&set, i / 3, i, 0);
		assert_int_equal(set.n_leaves, LEAVES);
		for (uint32_t i = 0; i < N; i++) {
			uint32_t id = back ? N - 1 - i : i;

			sorted_remove(&set, id / 3, id);
			sorted_check(&set);
			assert_true(set.n_leaves <= (N - i) / SORTED_LEAF + 1);
		}
		assert_int_equal(set.n_leaves, 0);
	}
	sorted_done(&set);
}

/* One more than a leaf has room for, in its middle: two halves; and one leaf again once both fit into half of one. */
static void a_full_leaf_is_split_and_sparse_ones_are_joined(void **state)
{
	struct sorted set = {0};

	(void)state;
	for (uint32_t i = 0; i < SORTED_LEAF; i++)
		sorted_insert(&set, 10 * i, 1, 0);
	assert_int_equal(set.n_leaves, 1);
	sorted_insert(&set, 5, 1, 0);
	assert_int_equal(set.n_leaves, 2);
	assert_int_equal(set.leaves[0].n, SORTED_LEAF / 2 + 1);
	for (uint32_t i = 0; i < SORTED_LEAF / 2; i++) {
		assert_int_equal(set.n_leaves, 2);
		sorted_remove(&set, 10 * (2 * i + 1), 1);
		sorted_check(&set);
	}
	assert_int_equal(set.n_leaves, 2);
	sorted_remove(&set, 5, 1);
	assert_int_equal(set.n_leaves, 1);
	sorted_check(&set);
	sorted_done(&set);
}

/* The same operations give the same leaves. */
static void leaves_follow_from_the_operations(void **state)
{
	struct sorted sets[2] = {{0}};

	(void)state;
	for (int s = 0; s < 2; s++) {
		struct rng rng = {11};

		for (uint32_t i = 0; i < 3000; i++)
			sorted_insert(&sets[s], (int64_t)rng_below(&rng, 900), i, 0);
	}
	assert_int_equal(sets[0].n_leaves, sets[1].n_leaves);
	for (uint32_t i = 0; i < sets[0].n_leaves; i++) {
		assert_int_equal(sets[0].leaves[i].n, sets[1].leaves[i].n);
		assert_int_equal(sets[0].leaves[i].first.id, sets[1].leaves[i].first.id);
	}
	sorted_done(&sets[0]);
	sorted_done(&sets[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_set_is_what_an_array_is),
		cmocka_unit_test(an_empty_set_has_nothing),
		cmocka_unit_test(extremes_have_their_places),
		cmocka_unit_test(rising_keys_fill_their_leaves),
		cmocka_unit_test(a_full_leaf_is_split_and_sparse_ones_are_joined),
		cmocka_unit_test(leaves_follow_from_the_operations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
