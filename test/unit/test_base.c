/* SPDX-License-Identifier: Apache-2.0
 * test_base.c: bytes, tables, trees, arenas and errors, each against a plain model of itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/slab.h"
#include "base/tree.h"

/* ---- Bytes ---- */

static uint64_t any_size(struct rng *rng)
{
	return rng_next(rng) >> rng_below(rng, 64);
}

static void integers_go_round(void **state)
{
	struct rng rng = {1};
	struct buf buf = {0};
	struct reader r;
	uint64_t values[2000];

	(void)state;
	for (int i = 0; i < 2000; i++) {
		values[i] = any_size(&rng);
		buf_put_uint(&buf, values[i]);
		buf_put_int(&buf, (int64_t)values[i]);
	}
	r = reader_of(buf.data, buf.len);
	for (int i = 0; i < 2000; i++) {
		assert_true(read_uint(&r) == values[i]);
		assert_true(read_int(&r) == (int64_t)values[i]);
	}
	assert_false(r.bad);
	assert_ptr_equal(r.at, r.end);
	buf_done(&buf);
}

static void the_extremes_go_round(void **state)
{
	static const int64_t values[] = {0, -1, 1, INT64_MIN, INT64_MAX, INT32_MIN, UINT32_MAX};
	struct buf buf = {0};
	struct reader r;

	(void)state;
	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		buf_put_int(&buf, values[i]);
	buf_put_uint(&buf, UINT64_MAX);
	r = reader_of(buf.data, buf.len);
	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		assert_true(read_int(&r) == values[i]);
	assert_true(read_uint(&r) == UINT64_MAX);
	assert_false(r.bad);
	buf_done(&buf);
}

/* One value has one form: a longer one, or one over 64 bits, is bad; so is one that is cut. */
static void overlong_and_short_integers_are_bad(void **state)
{
	static const struct {
		uint8_t bytes[11];
		size_t len;
	} cases[] = {
		{{0x80}, 1},
		{{0x80, 0x00}, 2},
		{{0xff, 0x80, 0x00}, 3},
		{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}, 10},
		{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, 11},
		{{0}, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct reader r = reader_of(cases[i].bytes, cases[i].len);

		assert_true(read_uint(&r) == 0);
		assert_true(r.bad);
		assert_true(read_uint(&r) == 0); /* and stays so */
	}
}

static void strings_go_round_and_hostile_lengths_do_not(void **state)
{
	struct arena arena = {0};
	struct buf buf = {0};
	struct reader r;
	size_t len;

	(void)state;
	buf_put_str(&buf, "算力");
	buf_put_str(&buf, NULL);
	buf_put_blob(&buf, "a\0b", 3);
	r = reader_of(buf.data, buf.len);
	assert_string_equal(read_str(&r, &arena), "算力");
	assert_string_equal(read_str(&r, &arena), "");
	assert_memory_equal(read_blob(&r, &len), "a\0b", 3);
	assert_int_equal(len, 3);
	assert_false(r.bad);
	r = reader_of(buf.data + buf.len - 4, 4);
	assert_string_equal(read_str(&r, &arena), ""); /* a NUL inside */
	assert_true(r.bad);
	buf_done(&buf);

	buf_put_uint(&buf, UINT64_MAX);
	r = reader_of(buf.data, buf.len);
	assert_null(read_blob(&r, &len));
	assert_true(r.bad);
	r = reader_of(buf.data, buf.len);
	assert_int_equal(read_count(&r), 0);
	assert_true(r.bad);
	r = reader_of("\x05\x01", 2);
	assert_int_equal(read_count(&r), 0); /* five elements can't stand in one byte */
	assert_true(r.bad);
	buf_done(&buf);
	arena_done(&arena);
}

static void reading_noise_ends(void **state)
{
	struct rng rng = {9};
	struct arena arena = {0};

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint8_t bytes[24];
		struct reader r = reader_of(bytes, rng_below(&rng, sizeof bytes + 1));
		size_t len;

		for (size_t b = 0; b < sizeof bytes; b++)
			bytes[b] = (uint8_t)rng_next(&rng);
		while (!r.bad && r.at < r.end) {
			switch (rng_below(&rng, 5)) {
			case 0: read_uint(&r); break;
			case 1: read_int(&r); break;
			case 2: read_str(&r, &arena); break;
			case 3: read_blob(&r, &len); break;
			default: read_uint_max(&r, 100); break;
			}
			assert_true(r.at <= r.end);
		}
		arena_reset(&arena);
	}
	arena_done(&arena);
}

static void text_is_appended(void **state)
{
	struct buf buf = {0};

	(void)state;
	for (int i = 0; i < 1000; i++)
		buf_printf(&buf, "%d,", i);
	assert_int_equal(buf.len, 10 * 2 + 90 * 3 + 900 * 4);
	assert_memory_equal(buf.data + buf.len - 8, "998,999,", 8);
	buf_done(&buf);
	assert_null(buf.data);
}

/* ---- Tables ---- */

static void a_map_is_what_an_array_is(void **state)
{
	enum { KEYS = 512 };
	struct rng rng = {3};
	struct map map = {0};
	uint32_t model[KEYS], count = 0;

	(void)state;
	memset(model, 0xff, sizeof model);
	for (int i = 0; i < 200000; i++) {
		uint32_t key = (uint32_t)rng_below(&rng, KEYS);
		uint64_t scattered = (uint64_t)key << 40 | key; /* low bits alone don't tell keys apart */

		switch (rng_below(&rng, 3)) {
		case 0:
			count += model[key] == UINT32_MAX;
			model[key] = (uint32_t)i;
			map_set(&map, scattered, (uint32_t)i);
			break;
		case 1:
			assert_int_equal(map_remove(&map, scattered), model[key] != UINT32_MAX);
			count -= model[key] != UINT32_MAX;
			model[key] = UINT32_MAX;
			break;
		default: assert_int_equal(map_get(&map, scattered, UINT32_MAX), model[key]);
		}
		assert_int_equal(map.count, count);
	}
	assert_true(map.cap <= 4 * KEYS); /* what was removed takes no room for ever */
	map_done(&map);
	assert_int_equal(map_get(&map, 1, 5), 5);
}

static void strings_are_numbered_in_their_order(void **state)
{
	struct strtab tab = {0};
	const char *first;
	char text[32];

	(void)state;
	assert_int_equal(strtab_find(&tab, "x"), STRTAB_NONE);
	assert_int_equal(strtab_add(&tab, "first"), 0);
	first = strtab_name(&tab, 0);
	for (uint32_t i = 1; i < 20000; i++) {
		snprintf(text, sizeof text, "name-%u", i);
		assert_int_equal(strtab_add(&tab, text), i);
	}
	for (uint32_t i = 1; i < 20000; i++) {
		snprintf(text, sizeof text, "name-%u", i);
		assert_int_equal(strtab_add(&tab, text), i);
		assert_int_equal(strtab_find(&tab, text), i);
		assert_string_equal(strtab_name(&tab, i), text);
	}
	assert_ptr_equal(strtab_name(&tab, 0), first);
	assert_int_equal(strtab_find(&tab, "name-20000"), STRTAB_NONE);
	assert_int_equal(strtab_add(&tab, ""), 20000);
	strtab_done(&tab);
	assert_int_equal(tab.count, 0);
}

/* ---- Trees ---- */

struct item {
	struct tree_node node;
	uint32_t key;
	uint64_t sum; /* of the keys in this node's part of the tree */
	bool in;
};

static int compare_items(const struct tree_node *a, const struct tree_node *b)
{
	uint32_t x = tree_entry(a, struct item, node)->key, y = tree_entry(b, struct item, node)->key;

	return (x > y) - (x < y);
}

static uint64_t sum_of(const struct tree_node *node)
{
	return node ? tree_entry(node, struct item, node)->sum : 0;
}

static bool update_sum(struct tree_node *node)
{
	struct item *item = tree_entry(node, struct item, node);
	uint64_t was = item->sum;

	item->sum = item->key + sum_of(node->left) + sum_of(node->right);
	return item->sum != was;
}

/* In order both ways, parents right, and the sum what the members add up to. */
static void check_tree(const struct tree *tree, const struct item *items, uint32_t n)
{
	uint64_t sum = 0;
	uint32_t count = 0;
	const struct tree_node *node = tree_first(tree);

	for (uint32_t i = 0; i < n; i++) {
		if (!items[i].in)
			continue;
		assert_ptr_equal(node, &items[i].node);
		if (node->left)
			assert_ptr_equal(node->left->parent, node);
		if (node->right)
			assert_ptr_equal(node->right->parent, node);
		sum += items[i].key;
		count++;
		node = tree_next(node);
	}
	assert_null(node);
	assert_int_equal(tree->count, count);
	assert_true(sum_of(tree->root) == sum);
	node = tree_last(tree);
	for (uint32_t i = n; i-- > 0;) {
		if (!items[i].in)
			continue;
		assert_ptr_equal(node, &items[i].node);
		node = tree_previous(node);
	}
	assert_null(node);
}

static void a_tree_keeps_its_order_and_sums(void **state)
{
	enum { ITEMS = 300 };
	struct rng rng = {5};
	struct item *items = mem_new(ITEMS, sizeof *items);
	struct tree tree = {.compare = compare_items, .update = update_sum};

	(void)state;
	for (uint32_t i = 0; i < ITEMS; i++)
		items[i].key = i * 3;
	for (int step = 0; step < 20000; step++) {
		uint32_t i = (uint32_t)rng_below(&rng, ITEMS);

		if (items[i].in)
			tree_remove(&tree, &items[i].node);
		else if (tree.root && items[i].key < tree_entry(tree_last(&tree), struct item, node)->key)
			tree_insert(&tree, &items[i].node, i);
		else
			tree_append(&tree, &items[i].node, i, tree_last(&tree));
		items[i].in = !items[i].in;
		if (step % 50 == 0)
			check_tree(&tree, items, ITEMS);
	}
	check_tree(&tree, items, ITEMS);
	free(items);
}

static void the_same_inserts_give_the_same_tree(void **state)
{
	struct item a[64] = {0}, b[64] = {0};
	struct tree one = {.compare = compare_items}, two = {.compare = compare_items};

	(void)state;
	for (uint32_t i = 0; i < 64; i++) {
		a[i].key = b[i].key = i;
		tree_insert(&one, &a[i].node, i);
	}
	for (uint32_t i = 64; i-- > 0;)
		tree_insert(&two, &b[i].node, i);
	assert_int_equal(one.root - &a[0].node, two.root - &b[0].node);
	for (uint32_t i = 0; i < 64; i++)
		assert_int_equal(a[i].node.left ? tree_entry(a[i].node.left, struct item, node)->key : 999,
		                 b[i].node.left ? tree_entry(b[i].node.left, struct item, node)->key : 999);
}

/* ---- Arenas, errors, hashes ---- */

static void arenas_hand_out_zeroed_aligned_memory(void **state)
{
	struct arena arena = {0};
	struct rng rng = {11};

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 2000; i++) {
			size_t size = rng_below(&rng, i % 100 ? 200 : 100000);
			unsigned char *p = arena_new(&arena, size, 1);

			assert_int_equal((uintptr_t)p % 16, 0);
			for (size_t b = 0; b < size; b++)
				assert_int_equal(p[b], 0);
			memset(p, 0xaa, size);
		}
		arena_reset(&arena);
		assert_int_equal(arena.total, 0);
	}
	assert_string_equal(arena_printf(&arena, "%s-%d", "a", 7), "a-7");
	assert_string_equal(arena_strndup(&arena, "abcdef", 3), "abc");
	arena_done(&arena);
	arena_done(&arena);
}

static void errors_name_their_path_and_forge_no_lines(void **state)
{
	struct err err = {0};

	(void)state;
	assert_int_equal(err_set(&err, ERR_INVALID, "cards", "\"%s\": bad", "8\n[fake] line\x7f"), ERR_INVALID);
	assert_string_equal(err.text, "\"8?[fake] line?\": bad");
	assert_int_equal(err_within(&err, "[0]"), ERR_INVALID);
	err_within(&err, "nodes");
	assert_int_equal(err_within(&err, "centres[3]"), ERR_INVALID);
	assert_string_equal(err.subject, "centres[3].nodes[0].cards");
	for (int i = 0; i < 100; i++)
		err_within(&err, "deeper");
	assert_int_equal(strlen(err.subject), sizeof err.subject - 1);
	assert_int_equal(err_set(NULL, ERR_IO, "x", "y"), ERR_IO);
	assert_string_equal(err_word(ERR_INVALID), "invalid");
	assert_string_equal(err_word(-1000), "internal");
}

static void hashes_are_blake2b(void **state)
{
	struct hash empty = hash_of("", 0), joined, chained;
	char hex[HASH_HEX_SIZE];

	(void)state;
	assert_string_equal(hash_hex(&empty, hex, sizeof hex), "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
	chained = hash_chain(&empty, "abc", 3);
	{
		uint8_t bytes[HASH_BYTES + 3];

		memcpy(bytes, empty.bytes, HASH_BYTES);
		memcpy(bytes + HASH_BYTES, "abc", 3);
		joined = hash_of(bytes, sizeof bytes);
	}
	assert_memory_equal(chained.bytes, joined.bytes, HASH_BYTES);
}

/* Things of a size, taken and given back in an order by a seed: none lies over another, each is zeroed, keeps what was written,
 * and begins at a line of the cache; what was given back is used again. */
static void slabs_hand_out_zeroed_things_again(void **state)
{
	enum { THINGS = 600, SIZE = 100 };
	static const uint8_t zeros[SIZE];
	uint8_t *things[THINGS] = {0}, *last;
	struct rng rng = {5};
	struct slab slab = {0};

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint32_t at = (uint32_t)rng_below(&rng, THINGS);

		if (things[at]) {
			for (int k = 0; k < SIZE; k++)
				assert_int_equal(things[at][k], (uint8_t)at);
			slab_free(&slab, things[at]);
			last = things[at];
			things[at] = NULL;
			assert_ptr_equal(slab_new(&slab, SIZE), last);
			slab_free(&slab, last);
			continue;
		}
		things[at] = slab_new(&slab, SIZE);
		assert_int_equal((uintptr_t)things[at] % 64, 0);
		assert_memory_equal(things[at], zeros, SIZE);
		memset(things[at], (int)at, SIZE);
	}
	slab_free(&slab, NULL);
	slab_done(&slab); /* with some that were never given back */
	assert_null(slab.blocks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slabs_hand_out_zeroed_things_again),
		cmocka_unit_test(integers_go_round),
		cmocka_unit_test(the_extremes_go_round),
		cmocka_unit_test(overlong_and_short_integers_are_bad),
		cmocka_unit_test(strings_go_round_and_hostile_lengths_do_not),
		cmocka_unit_test(reading_noise_ends),
		cmocka_unit_test(text_is_appended),
		cmocka_unit_test(a_map_is_what_an_array_is),
		cmocka_unit_test(strings_are_numbered_in_their_order),
		cmocka_unit_test(a_tree_keeps_its_order_and_sums),
		cmocka_unit_test(the_same_inserts_give_the_same_tree),
		cmocka_unit_test(arenas_hand_out_zeroed_aligned_memory),
		cmocka_unit_test(errors_name_their_path_and_forge_no_lines),
		cmocka_unit_test(hashes_are_blake2b),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
