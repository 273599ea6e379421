/* SPDX-License-Identifier: Apache-2.0
 * test_fill.c: placing by the value of what is left: small cases by hand, and a mixed pool that is filled to its end. */
#include "core_fixture.h"

#include "core/fill.h"
#include "core/place.h"

struct model {
	struct strtab kinds, centres;
	struct pool *pool;
	struct capacity capacity;
	uint32_t shelves[16], n_shelves;
};

static void model_init(struct model *m, const struct line_spec *lines, uint32_t n)
{
	struct centre_spec centre = {.name = "x", .region = "r", .engine = "simulated", .lines = lines, .n_lines = n};
	struct pool_spec spec = pool_of(&centre, 1);

	*m = (struct model){0};
	assert_int_equal(pool_check(&spec, NULL), 0);
	m->pool = pool_new(&spec, &m->kinds, &m->centres);
	capacity_init(&m->capacity, m->pool);
	for (; m->n_shelves < m->pool->n_shelves; m->n_shelves++)
		m->shelves[m->n_shelves] = m->n_shelves;
}

static void model_done(struct model *m)
{
	capacity_done(&m->capacity);
	pool_free(m->pool);
	strtab_done(&m->kinds);
	strtab_done(&m->centres);
}

static struct request any(uint32_t cards_milli, uint32_t cpus_milli)
{
	return (struct request){
		.kind = cards_milli ? KIND_ANY : KIND_NONE, .cards_milli = cards_milli, .cpus_milli = cpus_milli, .centre = CENTRE_ANY};
}

static void learn(struct fill *f, struct request q, uint32_t times)
{
	for (uint32_t i = 0; i < times; i++)
		fill_learn(f, &q, 1, 1);
}

/* Places a request where the module says, which must hold it. Returns the node, or NODE_NONE. */
static uint32_t put(struct model *m, struct fill *f, struct request q)
{
	struct share share = {
		.milli = q.cards_milli < CARD_MILLI ? q.cards_milli : CARD_MILLI, .cpus_milli = q.cpus_milli, .memory_mib = q.memory_mib};
	uint32_t cards = q.cards_milli && q.cards_milli < CARD_MILLI ? 1 : q.cards_milli / CARD_MILLI, node;

	if (!fill_choose(f, &m->capacity, m->shelves, m->n_shelves, &q, &node, &share.cards))
		return NODE_NONE;
	assert_true(place_node_holds(&m->capacity, node, &q));
	assert_int_equal(__builtin_popcountll(share.cards), cards);
	capacity_take(&m->capacity, node, &share); /* asserts that it is free */
	return node;
}

/* Halves of cards stand two on a card, although there is a node for each. */
static void test_tight(void **state)
{
	static const struct line_spec lines[] = {{.count = 4, .kind = "a", .cards = 2, .cpus_milli = 32000, .memory_mib = 1000}};
	struct fill *f = fill_new();
	struct model m;

	(void)state;
	model_init(&m, lines, COUNT(lines));
	learn(f, any(500, 1000), 50);
	learn(f, any(1000, 1000), 50);
	learn(f, any(2000, 2000), 50);
	for (int i = 0; i < 6; i++)
		assert_int_not_equal(put(&m, f, any(500, 1000)), NODE_NONE);
	assert_int_equal(capacity_nodes_with(&m.capacity, m.pool->shelves[0].domain, 2, 2), 2); /* 3 cards of two nodes */
	assert_int_equal(put(&m, f, any(2000, 2000)), 2);
	fill_free(f);
	model_done(&m);
}

/* What a request takes of a node where some of the CPUs are gone already. */
static void test_cpus(void **state)
{
	static const struct line_spec lines[] = {
		{.count = 1, .kind = "a", .cards = 2, .cpus_milli = 16000, .memory_mib = 1000},
		{.count = 1, .kind = "a", .cards = 2, .cpus_milli = 64000, .memory_mib = 1000},
	};
	static const struct {
		uint32_t cards_milli, cpus_milli, want;
	} rows[] = {
		{0, 8000, 1},     /* no card: from where CPUs abound, so that none is stranded */
		{0, 16000, 1},    /* though it would just fit the first */
		{0, 40000, 1},    /* only there */
		{1000, 8000, 0},  /* leaves the other card of use */
		{1000, 16000, 1}, /* would strand a card of the first */
		{0, 65000, NODE_NONE}, {3000, 1000, NODE_NONE},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fill *f = fill_new();
		struct model m;

		model_init(&m, lines, COUNT(lines));
		learn(f, any(1000, 8000), 40);
		learn(f, any(1000, 16000), 10);
		assert_int_equal(put(&m, f, any(rows[i].cards_milli, rows[i].cpus_milli)), rows[i].want);
		fill_free(f);
		model_done(&m);
	}
}

/* Who may go anywhere leaves a kind alone that others can't do without; whoever needs it gets it. */
static void test_kinds(void **state)
{
	static const struct line_spec lines[] = {
		{.count = 4, .kind = "a", .cards = 4, .cpus_milli = 64000, .memory_mib = 1000},
		{.count = 4, .kind = "b", .cards = 4, .cpus_milli = 64000, .memory_mib = 1000},
	};

	(void)state;
	for (uint32_t wanted = 0; wanted < 2; wanted++) {
		struct fill *f = fill_new();
		struct request typed = any(1000, 4000), both[2] = {typed, typed};
		struct model m;

		model_init(&m, lines, COUNT(lines));
		typed.kind = wanted;
		learn(f, any(1000, 4000), 50);
		learn(f, typed, 50);
		both[0].kind = 1;
		both[1].kind = 0;
		fill_learn(f, both, 2, 3);
		for (int i = 0; i < 16; i++)
			assert_int_not_equal(m.pool->shelves[m.pool->nodes[put(&m, f, any(1000, 4000))].shelf].kind, wanted);
		assert_int_equal(m.pool->shelves[m.pool->nodes[put(&m, f, any(1000, 4000))].shelf].kind, wanted);
		fill_free(f);
		model_done(&m);
	}
}

/* Few have asked for what only the largest nodes hold, and as many as that may yet come: others leave these nodes alone, though a
 * smaller one would be left with few CPUs. */
static void test_rare(void **state)
{
	static const struct line_spec lines[] = {
		{.count = 6, .kind = "a", .cards = 8, .cpus_milli = 128000, .memory_mib = 1000},
		{.count = 40, .kind = "b", .cards = 8, .cpus_milli = 96000, .memory_mib = 1000},
	};
	struct fill *f = fill_new();
	struct model m;

	(void)state;
	model_init(&m, lines, COUNT(lines));
	learn(f, any(8000, 120000), 3);
	learn(f, any(8000, 64000), 30);
	learn(f, any(4000, 60000), 40);
	learn(f, any(1000, 11000), 200);
	learn(f, any(500, 4000), 20);
	for (int i = 0; i < 20; i++)
		assert_true(put(&m, f, any(4000, 60000)) >= 6);
	for (int i = 0; i < 6; i++)
		assert_true(put(&m, f, any(8000, 120000)) < 6);
	fill_free(f);
	model_done(&m);
}

/* ---- Filling a mixed pool ---- */

static const struct line_spec mixed[] = {
	{.count = 24, .kind = "a", .cards = 8, .cpus_milli = 64000, .memory_mib = 400000, .nodes_per_rack = 8},
	{.count = 30, .kind = "b", .cards = 2, .cpus_milli = 48000, .memory_mib = 200000},
	{.count = 4, .kind = "b", .cards = 4, .cpus_milli = UNCOUNTED, .memory_mib = 100000},
	{.count = 3, .cpus_milli = 64000, .memory_mib = 200000},
};

static struct request random_request(struct rng *rng)
{
	static const uint32_t cards[] = {0, 150, 250, 300, 450, 500, 600, 700, 1000, 1000, 1000, 1000, 2000, 4000, 8000};
	struct request q = any(cards[below(rng, COUNT(cards))], 0);

	q.cpus_milli = q.cards_milli < 1000 ? 2000 + 1500 * below(rng, 5) : q.cards_milli * (4 + below(rng, 8));
	q.cpus_milli = q.cpus_milli > 64000 ? 64000 : q.cpus_milli;
	q.memory_mib = 1000 * below(rng, 12);
	return q;
}

static uint64_t free_milli(const struct model *m)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < m->n_shelves; i++)
		sum += m->capacity.shelf_milli[i];
	return sum;
}

/* What stays free where requests come until 130% of the cards were asked for. */
static uint64_t left_by_fill(uint64_t seed)
{
	struct rng rng = {seed};
	struct fill *f = fill_new();
	uint64_t left, arrived = 0, all;
	struct model m;

	model_init(&m, mixed, COUNT(mixed));
	all = free_milli(&m);
	while (arrived < all * 13 / 10) {
		struct request q = random_request(&rng);

		learn(f, q, 1);
		put(&m, f, q);
		arrived += q.cards_milli;
	}
	capacity_check(&m.capacity);
	left = free_milli(&m);
	fill_free(f);
	model_done(&m);
	return left;
}

static uint64_t left_by_best_fit(uint64_t seed)
{
	struct rng rng = {seed};
	uint64_t left, arrived = 0, all;
	struct model m;

	model_init(&m, mixed, COUNT(mixed));
	all = free_milli(&m);
	while (arrived < all * 13 / 10) {
		struct request q = random_request(&rng);
		struct group group = {.nodes = 1, .n_requests = 1, .requests = &q, .highest = TIER_CENTRE};
		struct share share;
		struct task task;

		arrived += q.cards_milli;
		for (uint32_t s = 0; s < m.n_shelves; s++) {
			if (!place_find(&m.capacity, s, &group, &q, &task))
				continue;
			share = place_share(&task, &q);
			capacity_take(&m.capacity, pool_node(m.pool, 0, task.node), &share);
			break;
		}
	}
	left = free_milli(&m);
	model_done(&m);
	return left;
}

static void test_fuller(void **state)
{
	uint64_t fill = 0, best_fit = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		uint64_t left = left_by_fill(seed), other = left_by_best_fit(seed);

		assert_true(left <= other);
		fill += left;
		best_fit += other;
	}
	assert_true(fill * 5 < best_fit * 4); /* by a margin, in all */
}

/* ---- As bytes ---- */

static struct fill *copy_of(const struct fill *f)
{
	struct buf a = {0}, b = {0};
	struct fill *copy;
	struct reader r;

	fill_save(f, &a);
	r = reader_of(a.data, a.len);
	copy = fill_load(&r);
	assert_false(r.bad);
	assert_ptr_equal(r.at, r.end);
	fill_save(copy, &b);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	for (size_t cut = 0; cut < a.len; cut += 1 + cut / 8) {
		r = reader_of(a.data, cut);
		fill_free(fill_load(&r));
		assert_true(r.bad);
	}
	buf_done(&a);
	buf_done(&b);
	return copy;
}

/* A fill that was just loaded decides as one that has been deciding for long, whatever that one asked about in between. */
static void test_same_after_load(void **state)
{
	struct rng rng = {7}, other = {8};
	struct fill *f = fill_new();
	struct model m;

	(void)state;
	model_init(&m, mixed, COUNT(mixed));
	for (int i = 0; i < 400; i++) {
		struct request q = random_request(&rng), what_if = random_request(&other);
		uint32_t node = NODE_NONE, again = NODE_NONE;
		uint64_t cards = 0, cards_again = 0;

		learn(f, q, 1);
		if (i % 7 == 0) {
			struct fill *copy = copy_of(f);

			fill_choose(f, &m.capacity, m.shelves, 1 + i % m.n_shelves, &what_if, &node, &cards);
			node = NODE_NONE;
			cards = 0;
			assert_int_equal(fill_choose(f, &m.capacity, m.shelves, m.n_shelves, &q, &node, &cards),
			                 fill_choose(copy, &m.capacity, m.shelves, m.n_shelves, &q, &again, &cards_again));
			assert_int_equal(node, again);
			assert_int_equal(cards, cards_again);
			fill_free(copy);
		}
		put(&m, f, q);
	}
	fill_free(f);
	model_done(&m);
}

/* Far more types than are kept, very many of one, and gangs: bounded, and what is frequent stays known. */
static void test_bounded(void **state)
{
	struct fill *f = fill_new();
	struct buf bytes = {0};
	struct rng rng = {3};

	(void)state;
	for (uint32_t i = 0; i < 6 * FILL_TYPES_MAX; i++) {
		struct request q = any(1000 * below(&rng, 9), 1 + i);

		fill_learn(f, &q, 1, 1 + below(&rng, 3));
		learn(f, any(1000, 4000000), 2);
	}
	for (int i = 0; i < 400; i++) {
		struct request q = any(8000, 4000001);

		fill_learn(f, &q, 1, 1000000);
	}
	fill_save(f, &bytes);
	assert_true(bytes.len < (size_t)FILL_TYPES_MAX * 24);
	assert_non_null(memmem(bytes.data, bytes.len, "\xe8\x07\x80\x92\xf4\x01", 6)); /* 1000 and 4000000, as varints */
	buf_done(&bytes);
	fill_free(copy_of(f));
	fill_free(f);
	assert_null(fill_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tight),   cmocka_unit_test(test_cpus),   cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_rare),    cmocka_unit_test(test_fuller), cmocka_unit_test(test_same_after_load),
		cmocka_unit_test(test_bounded),
	};

	return cmocka_run_group_tests_name("fill", tests, NULL, NULL);
}
