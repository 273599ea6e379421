/* SPDX-License-Identifier: Apache-2.0
 * test_place.c: placements on small random shelves, against trying everything. */
#include "core_fixture.h"

#include "core/place.h"

/* ---- A plain model of one shelf: where its nodes stand, and what each has free ---- */

enum { NODES_MAX = 32 };

struct spot {
	uint32_t rack, pod;
	uint32_t cards, milli[4];
	uint32_t cpus, memory;
};

struct model {
	struct strtab kinds, centres;
	struct pool *pool;
	struct capacity capacity;
	struct spot spots[NODES_MAX];
	uint32_t n, cards_max;
};

static void add_line(struct model *m, const struct line_spec *l, uint32_t line)
{
	for (uint32_t i = 0; i < l->count; i++) {
		uint32_t rack = l->nodes_per_rack ? i / l->nodes_per_rack : 0;
		struct spot *s = &m->spots[m->n++];

		/* A line without racks is one rack, without pods one pod. */
		*s = (struct spot){.rack = line * 100 + rack, .cards = l->cards, .cpus = l->cpus_milli, .memory = l->memory_mib};
		s->pod = line * 100 + (l->nodes_per_rack && l->racks_per_pod ? rack / l->racks_per_pod : 0);
		for (uint32_t k = 0; k < l->cards; k++)
			s->milli[k] = 1000;
	}
	m->cards_max = l->cards > m->cards_max ? l->cards : m->cards_max;
}

static void model_init(struct model *m, struct rng *rng)
{
	struct line_spec lines[3];
	struct centre_spec centre = {.name = "x", .region = "r", .engine = "simulated", .lines = lines, .n_lines = 1 + below(rng, 3)};
	struct pool_spec spec = pool_of(&centre, 1);
	bool cards = chance(rng, 85);

	*m = (struct model){0};
	for (uint32_t i = 0; i < centre.n_lines; i++) {
		lines[i] = (struct line_spec){.count = 1 + below(rng, 7),
		                              .kind = cards ? "a" : NULL,
		                              .cards = cards ? 1 + below(rng, 4) : 0,
		                              .cpus_milli = chance(rng, 30) ? UNCOUNTED : below(rng, 5),
		                              .memory_mib = chance(rng, 30) ? UNCOUNTED : below(rng, 5),
		                              .nodes_per_rack = below(rng, 4),
		                              .racks_per_pod = below(rng, 3)};
		add_line(m, &lines[i], i);
	}
	assert_int_equal(pool_check(&spec, NULL), 0);
	m->pool = pool_new(&spec, &m->kinds, &m->centres);
	assert_int_equal(m->pool->n_shelves, 1);
	assert_int_equal(m->pool->n_nodes, m->n);
	capacity_init(&m->capacity, m->pool);
}

static void model_done(struct model *m)
{
	capacity_done(&m->capacity);
	pool_free(m->pool);
	strtab_done(&m->kinds);
	strtab_done(&m->centres);
}

/* Something runs on some of the nodes. */
static void fill_some(struct model *m, struct rng *rng)
{
	for (uint32_t n = 0; n < m->n; n++) {
		struct spot *s = &m->spots[n];
		uint16_t milli[CARDS_PER_NODE_MAX];

		for (uint32_t i = 0; i < s->cards; i++)
			milli[i] = (uint16_t)(s->milli[i] = chance(rng, 50) ? 1000 : chance(rng, 50) ? 0 : 100 * below(rng, 11));
		s->cpus = s->cpus == UNCOUNTED ? UNCOUNTED : below(rng, s->cpus + 1);
		s->memory = s->memory == UNCOUNTED ? UNCOUNTED : below(rng, s->memory + 1);
		capacity_set(&m->capacity, n, milli, s->cpus, s->memory);
	}
	capacity_check(&m->capacity);
}

/* ---- Trying everything ---- */

static uint32_t whole_of(const struct spot *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->cards; i++)
		n += s->milli[i] == 1000;
	return n;
}

static bool rest_fits(const struct spot *s, const struct request *q)
{
	return s->cpus >= q->cpus_milli && s->memory >= q->memory_mib;
}

static bool holds(const struct spot *s, const struct request *q)
{
	if (!rest_fits(s, q))
		return false;
	for (uint32_t i = 0; i < s->cards && q->cards_milli < 1000; i++)
		if (s->milli[i] >= q->cards_milli)
			return true;
	return q->cards_milli >= 1000 ? whole_of(s) >= q->cards_milli / 1000 : q->cards_milli == 0;
}

static bool same_domain(const struct spot *a, const struct spot *b, enum tier tier)
{
	return tier == TIER_CENTRE || (tier == TIER_POD ? a->pod == b->pod : tier == TIER_RACK ? a->rack == b->rack : a == b);
}

/* Nodes that hold a task, in the domain of this node. */
static uint32_t room_around(const struct model *m, uint32_t node, enum tier tier, const struct request *q)
{
	uint32_t room = 0;

	for (uint32_t n = 0; n < m->n; n++)
		room += same_domain(&m->spots[n], &m->spots[node], tier) && holds(&m->spots[n], q);
	return room;
}

/* The narrowest tier with a domain that holds it all, up to the highest; TIER_COUNT: none. */
static enum tier narrowest(const struct model *m, const struct group *g, const struct request *q)
{
	enum tier highest = g->nodes == 1 ? TIER_CENTRE : g->highest;

	for (enum tier t = TIER_NODE; t <= highest; t++)
		for (uint32_t n = 0; n < m->n; n++)
			if (room_around(m, n, t, q) >= g->nodes)
				return t;
	return TIER_COUNT;
}

/* ---- Is it legal, and is it the best? ---- */

static void check_cards(const struct spot *s, const struct task *t, const struct request *q)
{
	uint32_t want = q->cards_milli >= 1000 ? q->cards_milli / 1000 : q->cards_milli > 0;

	assert_int_equal(t->cards_milli, q->cards_milli);
	assert_int_equal(__builtin_popcountll(t->cards), want);
	for (uint32_t i = 0; i < 64; i++)
		if (t->cards >> i & 1) {
			assert_true(i < s->cards);
			assert_true(s->milli[i] >= (q->cards_milli < 1000 ? q->cards_milli : 1000));
		}
	assert_true(rest_fits(s, q));
}

static void check_legal(const struct model *m, const struct group *g, const struct request *q, const struct task *tasks,
                        enum tier tier)
{
	for (uint32_t i = 0; i < g->nodes; i++) {
		assert_true(tasks[i].node < m->n);
		assert_true(i == 0 || tasks[i].node > tasks[i - 1].node); /* distinct, in order */
		assert_true(same_domain(&m->spots[tasks[i].node], &m->spots[tasks[0].node], tier));
		check_cards(&m->spots[tasks[i].node], &tasks[i], q);
	}
}

/* The least free thousandths of a partly free card that holds a share, among nodes that hold the rest. */
static uint32_t tightest(const struct model *m, const struct request *q)
{
	uint32_t least = 1000;

	for (uint32_t n = 0; n < m->n; n++)
		for (uint32_t i = 0; i < m->spots[n].cards; i++)
			if (rest_fits(&m->spots[n], q) && m->spots[n].milli[i] >= q->cards_milli && m->spots[n].milli[i] < least)
				least = m->spots[n].milli[i];
	return least;
}

static uint32_t fewest_whole(const struct model *m, const struct request *q)
{
	uint32_t least = UINT32_MAX;

	for (uint32_t n = 0; n < m->n; n++)
		if (holds(&m->spots[n], q) && whole_of(&m->spots[n]) < least)
			least = whole_of(&m->spots[n]);
	return least;
}

/* A single node is the one that it fills best; of equals the first. */
static void check_best_node(const struct model *m, const struct request *q, const struct task *t)
{
	const struct spot *s = &m->spots[t->node];
	uint32_t card = t->cards ? (uint32_t)__builtin_ctzll(t->cards) : 0, least = tightest(m, q);

	if (q->cards_milli > 0 && q->cards_milli < 1000 && least < 1000) {
		assert_int_equal(s->milli[card], least);
		return;
	}
	assert_int_equal(whole_of(s), fewest_whole(m, q));
	for (uint32_t n = 0; n < t->node; n++)
		assert_false(holds(&m->spots[n], q) && whole_of(&m->spots[n]) == whole_of(s));
}

/* Where only whole cards count: of the domains of that tier the one with the least room, in it the fullest nodes. */
static void check_best_domain(const struct model *m, const struct group *g, const struct request *q, const struct task *tasks,
                              enum tier tier)
{
	uint32_t room = room_around(m, tasks[0].node, tier, q), taken_most = 0, left_least = UINT32_MAX;

	for (uint32_t n = 0; n < m->n; n++) {
		uint32_t other = room_around(m, n, tier, q), whole = whole_of(&m->spots[n]);
		bool taken = false;

		assert_true(other < g->nodes || other >= room);
		if (n < tasks[0].node && !same_domain(&m->spots[n], &m->spots[tasks[0].node], tier)) /* of equals the first */
			assert_true(other < g->nodes || other > room);
		for (uint32_t i = 0; i < g->nodes; i++)
			taken |= tasks[i].node == n;
		if (taken)
			taken_most = whole > taken_most ? whole : taken_most;
		else if (same_domain(&m->spots[n], &m->spots[tasks[0].node], tier) && holds(&m->spots[n], q))
			left_least = whole < left_least ? whole : left_least;
	}
	assert_true(taken_most <= left_least);
}

static struct request random_request(struct rng *rng)
{
	struct request q = {.kind = 0, .centre = CENTRE_ANY, .speed_milli = 1000};

	q.cards_milli = chance(rng, 30) ? 100 * (1 + below(rng, 9)) : 1000 * below(rng, 5);
	if (chance(rng, 40))
		q.cpus_milli = below(rng, 4);
	if (chance(rng, 40))
		q.memory_mib = below(rng, 4);
	return q;
}

static void one_run(uint64_t seed, uint32_t *found_all)
{
	struct rng rng = {seed};
	struct model m;

	model_init(&m, &rng);
	for (int i = 0; i < 20; i++) {
		struct request q = random_request(&rng);
		struct group g = {
			.nodes = 1 + below(&rng, 5), .n_requests = 1, .requests = &q, .highest = (enum tier)below(&rng, TIER_POOL)};
		struct task tasks[5];
		enum tier want = narrowest(&m, &g, &q);
		bool found = place_find(&m.capacity, 0, &g, &q, tasks);

		assert_int_equal(found, want != TIER_COUNT);
		for (uint32_t n = 0; n < m.n; n++)
			assert_int_equal(place_node_holds(&m.capacity, n, &q), holds(&m.spots[n], &q));
		if (found) {
			++*found_all;
			check_legal(&m, &g, &q, tasks, g.nodes == 1 ? TIER_NODE : want);
			if (g.nodes == 1)
				check_best_node(&m, &q, tasks);
			else if (!q.cpus_milli && !q.memory_mib && (q.cards_milli == 0 || q.cards_milli >= 1000))
				check_best_domain(&m, &g, &q, tasks, want);
		}
		if (i % 4 == 0)
			fill_some(&m, &rng);
	}
	model_done(&m);
}

static void test_against_everything(void **state)
{
	uint32_t found = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 1500; seed++)
		one_run(seed, &found);
	assert_in_range(found, 6000, 24000); /* of 30,000: both answers are common */
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_everything)};

	return cmocka_run_group_tests_name("place", tests, NULL, NULL);
}
