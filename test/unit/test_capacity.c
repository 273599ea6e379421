/* SPDX-License-Identifier: Apache-2.0
 * test_capacity.c: what is free, against plain arrays, over random pools, takes and gives. */
#include "core_fixture.h"

#include "core/capacity.h"

enum { NODES_MAX = 64, SHARES_MAX = 80 };

struct taken {
	uint32_t node;
	struct share share;
};

struct model {
	struct strtab kinds, centres;
	struct pool *pool;
	uint32_t milli[NODES_MAX][8];
	uint32_t cpus[NODES_MAX], memory[NODES_MAX];
};

static struct line_spec random_line(struct rng *rng)
{
	struct line_spec l = {.count = 1 + below(rng, 5), .nodes_per_rack = below(rng, 4), .racks_per_pod = below(rng, 3)};

	if (chance(rng, 80)) {
		l.kind = chance(rng, 50) ? "a" : "b";
		l.cards = 1 + below(rng, 8);
	}
	l.cpus_milli = chance(rng, 20) ? UNCOUNTED : 1000 * (1 + below(rng, 16));
	l.memory_mib = chance(rng, 20) ? UNCOUNTED : 1 + below(rng, 1000);
	return l;
}

static void model_init(struct model *m, struct rng *rng)
{
	struct line_spec lines[2][3];
	struct centre_spec centres[2] = {{.name = "x", .region = "r", .engine = "simulated"},
	                                 {.name = "y", .region = "r", .engine = "local"}};
	struct pool_spec spec = pool_of(centres, 2);

	*m = (struct model){0};
	for (int c = 0; c < 2; c++) {
		centres[c].lines = lines[c];
		centres[c].n_lines = 1 + below(rng, 3);
		for (uint32_t i = 0; i < centres[c].n_lines; i++)
			lines[c][i] = random_line(rng);
	}
	assert_int_equal(pool_check(&spec, NULL), 0);
	m->pool = pool_new(&spec, &m->kinds, &m->centres);
	assert_true(m->pool->n_nodes <= NODES_MAX);
	for (uint32_t n = 0; n < m->pool->n_nodes; n++) {
		for (uint32_t i = 0; i < m->pool->nodes[n].cards; i++)
			m->milli[n][i] = 1000;
		m->cpus[n] = m->pool->nodes[n].cpus_milli;
		m->memory[n] = m->pool->nodes[n].memory_mib;
	}
}

static void model_done(struct model *m)
{
	pool_free(m->pool);
	strtab_done(&m->kinds);
	strtab_done(&m->centres);
}

/* Something of a node that is free there. */
static struct taken random_share(const struct model *m, struct rng *rng)
{
	struct taken t = {.node = below(rng, m->pool->n_nodes)};
	uint32_t cards = m->pool->nodes[t.node].cards;

	t.share.milli = chance(rng, 50) ? 1000 : 1 + below(rng, 999);
	for (uint32_t i = 0; i < cards; i++)
		if (chance(rng, 50) && m->milli[t.node][i] >= t.share.milli)
			t.share.cards |= (uint64_t)1 << i;
	t.share.cpus_milli = m->cpus[t.node] == UNCOUNTED ? below(rng, 5000) : below(rng, m->cpus[t.node] + 1);
	t.share.memory_mib = m->memory[t.node] == UNCOUNTED ? below(rng, 5000) : below(rng, m->memory[t.node] + 1);
	return t;
}

static void model_change(struct model *m, const struct taken *t, int sign)
{
	for (uint32_t i = 0; i < 8; i++)
		if (t->share.cards >> i & 1)
			m->milli[t->node][i] += (uint32_t)sign * t->share.milli;
	if (m->cpus[t->node] != UNCOUNTED)
		m->cpus[t->node] += (uint32_t)sign * t->share.cpus_milli;
	if (m->memory[t->node] != UNCOUNTED)
		m->memory[t->node] += (uint32_t)sign * t->share.memory_mib;
}

static uint32_t whole_of(const struct model *m, uint32_t node)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->pool->nodes[node].cards; i++)
		n += m->milli[node][i] == 1000;
	return n;
}

static void compare_domain(const struct model *m, const struct capacity *c, uint32_t domain, uint32_t cards_max)
{
	const struct domain *d = &m->pool->domains[domain];
	uint32_t shared = 0;

	for (uint32_t n = d->node_first; n < d->node_first + d->n_nodes; n++) {
		bool partly = false;

		for (uint32_t i = 0; i < m->pool->nodes[n].cards; i++)
			partly |= m->milli[n][i] > 0 && m->milli[n][i] < 1000;
		shared += partly;
	}
	assert_int_equal(c->shared[domain], shared);
	for (uint32_t f = 0; f <= cards_max; f++) {
		uint32_t with = 0;

		for (uint32_t n = d->node_first; n < d->node_first + d->n_nodes; n++)
			with += whole_of(m, n) >= f;
		assert_int_equal(capacity_nodes_with(c, domain, cards_max, f), with);
	}
}

static void compare(const struct model *m, const struct capacity *c)
{
	capacity_check(c);
	for (uint32_t n = 0; n < m->pool->n_nodes; n++) {
		assert_int_equal(c->free_cpus[n], m->cpus[n]);
		assert_int_equal(c->free_memory[n], m->memory[n]);
		assert_int_equal(__builtin_popcountll(c->free_cards[n]), whole_of(m, n));
		for (uint32_t i = 0; i < m->pool->nodes[n].cards; i++)
			assert_int_equal(c->card_milli[m->pool->nodes[n].card_first + i], m->milli[n][i]);
	}
	for (uint32_t s = 0; s < m->pool->n_shelves; s++) {
		const struct shelf *shelf = &m->pool->shelves[s];
		const struct domain *d = &m->pool->domains[shelf->domain];
		uint64_t milli = 0;

		for (uint32_t n = d->node_first; n < d->node_first + d->n_nodes; n++)
			for (uint32_t i = 0; i < m->pool->nodes[n].cards; i++)
				milli += m->milli[n][i];
		assert_int_equal(c->shelf_milli[s], milli);
		compare_domain(m, c, shelf->domain, shelf->cards_max);
		for (uint32_t i = 0; i < shelf->n_pods; i++)
			compare_domain(m, c, shelf->pod_first + i, shelf->cards_max);
		for (uint32_t i = 0; i < shelf->n_racks; i++)
			compare_domain(m, c, shelf->rack_first + i, shelf->cards_max);
	}
}

static void one_run(uint64_t seed)
{
	struct rng rng = {seed};
	struct model m;
	struct capacity c, copy, full;
	struct taken taken[SHARES_MAX];
	uint32_t n = 0;

	model_init(&m, &rng);
	capacity_init(&c, m.pool);
	capacity_init(&full, m.pool);
	compare(&m, &c);
	for (int step = 0; step < 100; step++) {
		if (n < SHARES_MAX && chance(&rng, 60)) {
			taken[n] = random_share(&m, &rng);
			capacity_take(&c, taken[n].node, &taken[n].share);
			model_change(&m, &taken[n++], 1 - 2);
		} else if (n > 0) {
			uint32_t i = below(&rng, n);

			capacity_give(&c, taken[i].node, &taken[i].share);
			model_change(&m, &taken[i], 1);
			taken[i] = taken[--n];
		}
		compare(&m, &c);
	}
	capacity_index(&copy, &c);
	while (n > 0) {
		n--;
		capacity_give(&c, taken[n].node, &taken[n].share);
	}
	assert_memory_equal(c.memory, full.memory, full.size); /* all given back is as new, */
	compare(&m, &copy);                                    /* and the copy doesn't notice */
	capacity_done(&c);
	capacity_done(&copy);
	capacity_done(&full);
	model_done(&m);
}

static void test_random(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 100; seed++)
		one_run(seed);
}

/* Set to any values, the counts follow. */
static void test_set(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 50; seed++) {
		struct rng rng = {seed};
		struct model m;
		struct capacity c;

		model_init(&m, &rng);
		capacity_init(&c, m.pool);
		for (int step = 0; step < 30; step++) {
			uint32_t n = below(&rng, m.pool->n_nodes);
			uint16_t milli[CARDS_PER_NODE_MAX];

			for (uint32_t i = 0; i < m.pool->nodes[n].cards; i++)
				m.milli[n][i] = milli[i] = (uint16_t)(chance(&rng, 40) ? 1000 : chance(&rng, 40) ? 0 : below(&rng, 1001));
			if (m.cpus[n] != UNCOUNTED)
				m.cpus[n] = below(&rng, m.pool->nodes[n].cpus_milli + 1);
			if (m.memory[n] != UNCOUNTED)
				m.memory[n] = below(&rng, m.pool->nodes[n].memory_mib + 1);
			capacity_set(&c, n, milli, m.cpus[n], m.memory[n]);
			compare(&m, &c);
		}
		capacity_done(&c);
		model_done(&m);
	}
}

/* A node of 64 cards uses every bit. */
static void test_64_cards(void **state)
{
	const struct line_spec line = {.count = 1, .kind = "a", .cards = 64, .cpus_milli = UNCOUNTED, .memory_mib = UNCOUNTED};
	const struct centre_spec centre = {.name = "x", .region = "r", .engine = "local", .lines = &line, .n_lines = 1};
	struct pool_spec spec = pool_of(&centre, 1);
	struct strtab kinds = {0}, centres = {0};
	struct pool *pool = pool_new(&spec, &kinds, &centres);
	struct capacity c;

	(void)state;
	capacity_init(&c, pool);
	assert_true(c.free_cards[0] == UINT64_MAX);
	capacity_take(&c, 0, &(struct share){.cards = UINT64_MAX, .milli = 1000});
	assert_true(c.free_cards[0] == 0 && c.shelf_milli[0] == 0);
	capacity_give(&c, 0, &(struct share){.cards = (uint64_t)1 << 63, .milli = 1000});
	assert_int_equal(capacity_nodes_with(&c, pool->shelves[0].domain, 64, 1), 1);
	assert_int_equal(capacity_nodes_with(&c, pool->shelves[0].domain, 64, 2), 0);
	capacity_check(&c);
	capacity_done(&c);
	pool_free(pool);
	strtab_done(&kinds);
	strtab_done(&centres);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_64_cards),
	};

	return cmocka_run_group_tests_name("capacity", tests, NULL, NULL);
}
