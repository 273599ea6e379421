/* SPDX-License-Identifier: Apache-2.0
 * test_pool.c: from lines of equal nodes to the tree of domains; and what a pool may not be. */
#include "core_fixture.h"

#include "core/pool.h"

struct built {
	struct strtab kinds, centres;
	struct pool *pool;
};

static void build(struct built *b, const struct pool_spec *spec)
{
	assert_int_equal(pool_check(spec, NULL), 0);
	b->pool = pool_free(b->pool);
	b->pool = pool_new(spec, &b->kinds, &b->centres);
}

static void built_done(struct built *b)
{
	pool_free(b->pool);
	strtab_done(&b->kinds);
	strtab_done(&b->centres);
}

static struct line_spec line(uint32_t count, const char *kind, uint32_t cards, uint32_t per_rack, uint32_t per_pod)
{
	return (struct line_spec){.count = count,
	                          .kind = kind,
	                          .cards = cards,
	                          .cpus_milli = 1000,
	                          .memory_mib = 10,
	                          .nodes_per_rack = per_rack,
	                          .racks_per_pod = per_pod};
}

static struct centre_spec centre(const char *name, const struct line_spec *lines, uint32_t n)
{
	return (struct centre_spec){
		.name = name, .region = "r", .engine = "simulated", .capabilities = CAN_ALL, .lines = lines, .n_lines = n};
}

/* ---- Domains ---- */

/* Every domain is a run of nodes; its children cut that run into pieces, in order. */
static void check_domain(const struct pool *pool, uint32_t id)
{
	const struct domain *d = &pool->domains[id];
	uint32_t at = d->node_first;

	for (uint32_t i = 0; i < d->n_children; i++) {
		const struct domain *child = &pool->domains[d->child_first + i];

		assert_int_equal(child->parent, id);
		assert_int_equal(child->tier + 1, d->tier);
		assert_int_equal(child->node_first, at);
		assert_true(child->n_nodes > 0);
		check_domain(pool, d->child_first + i);
		at += child->n_nodes;
	}
	assert_true(d->tier == TIER_RACK ? d->n_children == 0 : at == d->node_first + d->n_nodes);
	for (uint32_t n = d->node_first; n < d->node_first + d->n_nodes; n++)
		assert_int_equal(pool_domain_of(pool, n, d->tier), id);
}

static void check_pool(const struct pool *pool)
{
	uint32_t nodes = 0, cards = 0;

	for (uint32_t s = 0; s < pool->n_shelves; s++) {
		const struct shelf *shelf = &pool->shelves[s];
		uint64_t here = 0;

		assert_int_equal(pool->domains[shelf->domain].parent, NODE_NONE);
		assert_int_equal(pool->domains[shelf->domain].tier, TIER_CENTRE);
		check_domain(pool, shelf->domain);
		for (uint32_t n = nodes; n < nodes + pool->domains[shelf->domain].n_nodes; n++) {
			assert_int_equal(pool->nodes[n].shelf, s);
			assert_int_equal(pool->nodes[n].centre, shelf->centre);
			assert_int_equal(pool->nodes[n].card_first, cards);
			assert_int_equal(pool_node(pool, shelf->centre, pool->nodes[n].number), n);
			assert_true(pool->nodes[n].cards <= shelf->cards_max);
			cards += pool->nodes[n].cards;
			here += pool->nodes[n].cards;
		}
		assert_int_equal(shelf->cards, here);
		nodes += pool->domains[shelf->domain].n_nodes;
	}
	assert_int_equal(pool->n_nodes, nodes);
	assert_int_equal(pool->n_cards, cards);
}

static void test_racks_and_pods(void **state)
{
	static const struct {
		uint32_t count, per_rack, per_pod, racks, pods, last_rack, last_pod; /* last: nodes of the last one */
	} rows[] = {
		{8, 0, 0, 1, 1, 8, 8},  /* one rack, one pod */
		{8, 4, 0, 2, 1, 4, 8},  /* no pods stated: one */
		{8, 0, 3, 1, 1, 8, 8},  /* pods of racks that aren't stated: one */
		{10, 4, 2, 3, 2, 2, 2}, /* what remains is a smaller one */
		{16, 2, 2, 8, 4, 2, 4},
		{3, 5, 5, 1, 1, 3, 3}, /* not even a full one */
		{4, UINT32_MAX, UINT32_MAX, 1, 1, 4, 4},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct line_spec l = line(rows[i].count, "a", 2, rows[i].per_rack, rows[i].per_pod);
		struct centre_spec c = centre("x", &l, 1);
		struct pool_spec spec = pool_of(&c, 1);
		struct built b = {0};
		const struct shelf *s;

		build(&b, &spec);
		s = &b.pool->shelves[0];
		check_pool(b.pool);
		assert_int_equal(s->n_racks, rows[i].racks);
		assert_int_equal(s->n_pods, rows[i].pods);
		assert_int_equal(b.pool->domains[s->rack_first + s->n_racks - 1].n_nodes, rows[i].last_rack);
		assert_int_equal(b.pool->domains[s->pod_first + s->n_pods - 1].n_nodes, rows[i].last_pod);
		built_done(&b);
	}
}

/* Lines of one kind are one shelf, though others stand between them; a node's number is its place in the file. */
static void test_interleaved_kinds(void **state)
{
	const struct line_spec lines[] = {line(2, "a", 4, 0, 0), line(3, "b", 2, 2, 0), line(2, "a", 8, 1, 1), line(1, NULL, 0, 0, 0),
	                                  line(1, "b", 1, 0, 0)};
	const struct centre_spec centres[] = {centre("x", lines, COUNT(lines)), centre("y", &lines[1], 1)};
	struct pool_spec spec = pool_of(centres, 2);
	struct built b = {0};
	static const struct {
		uint32_t number, kind, cards;
	} rows[] = {{0, 0, 4}, {1, 0, 4}, {2, 1, 2}, {4, 1, 2}, {5, 0, 8}, {6, 0, 8}, {7, KIND_NONE, 0}, {8, 1, 1}};

	(void)state;
	build(&b, &spec);
	check_pool(b.pool);
	assert_int_equal(b.pool->n_shelves, 4);
	assert_int_equal(b.pool->shelves[0].cards, 24);
	assert_int_equal(b.pool->shelves[0].cards_max, 8);
	assert_int_equal(b.pool->shelves[0].n_racks, 3); /* one of the first line, two of the third */
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint32_t n = pool_node(b.pool, 0, rows[i].number);

		assert_int_not_equal(n, NODE_NONE);
		assert_int_equal(b.pool->nodes[n].number, rows[i].number);
		assert_int_equal(b.pool->nodes[n].cards, rows[i].cards);
		assert_int_equal(b.pool->shelves[b.pool->nodes[n].shelf].kind, rows[i].kind);
	}
	assert_int_equal(pool_node(b.pool, 0, 9), NODE_NONE);
	assert_int_equal(pool_node(b.pool, 1, 3), NODE_NONE);
	assert_int_equal(pool_node(b.pool, 2, 0), NODE_NONE);
	built_done(&b);
}

static void test_random_pools(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct rng rng = {seed};
		struct line_spec lines[3][4];
		struct centre_spec centres[3];
		struct pool_spec spec = pool_of(centres, 1 + below(&rng, 3));
		struct built b = {0};

		for (uint32_t c = 0; c < spec.n_centres; c++) {
			static const char *const names[] = {"x", "y", "z"};
			uint32_t n = below(&rng, 5);

			for (uint32_t i = 0; i < n; i++) {
				uint32_t cards = below(&rng, 5);

				lines[c][i] = line(1 + below(&rng, 9), cards ? (chance(&rng, 50) ? "a" : "b") : NULL, cards, below(&rng, 4),
				                   below(&rng, 4));
			}
			centres[c] = centre(names[c], lines[c], n);
		}
		build(&b, &spec);
		check_pool(b.pool);
		built_done(&b);
	}
}

/* ---- Sums, prices ---- */

static void test_sums(void **state)
{
	const struct line_spec lines[] = {line(2, "a", 4, 0, 0), line(3, "b", 2, 0, 0), line(1, "a", 1, 0, 0)};
	struct line_spec uncounted = {.count = 1, .cpus_milli = UNCOUNTED, .memory_mib = 7};
	const struct price_spec price = {"b", 6500000};
	struct centre_spec centres[] = {centre("x", lines, 3), centre("y", &uncounted, 1)};
	struct pool_spec spec = pool_of(centres, 2);
	struct built b = {0};

	(void)state;
	centres[0].prices = &price;
	centres[0].n_prices = 1;
	build(&b, &spec);
	assert_int_equal(b.pool->shelves[0].cards, 9);
	assert_int_equal(b.pool->shelves[0].cpus_milli, 3000);
	assert_int_equal(b.pool->shelves[0].memory_mib, 30);
	assert_int_equal(b.pool->shelves[1].cards, 6);
	assert_int_equal(b.pool->shelves[1].cpus_milli, 3000);
	assert_true(b.pool->shelves[2].cpus_milli == AMOUNT_NONE);
	assert_int_equal(b.pool->shelves[2].memory_mib, 7);
	assert_int_equal(b.pool->shelves[0].price_micros, 0);
	assert_int_equal(b.pool->shelves[1].price_micros, 6500000);
	built_done(&b);
}

/* ---- The next pool ---- */

/* A centre that goes keeps its number for when it comes back; a new one gets the next. */
static void test_numbers_stay(void **state)
{
	const struct line_spec l = line(2, "b", 2, 0, 0);
	const struct centre_spec first[] = {centre("x", &l, 1), centre("y", &l, 1)},
							 second[] = {centre("z", &l, 1), centre("y", &l, 1)},
							 third[] = {centre("y", &l, 1), centre("x", &l, 1)};
	const struct pool_spec specs[] = {pool_of(first, 2), pool_of(second, 2), pool_of(third, 2)};
	struct built b = {0};

	(void)state;
	build(&b, &specs[0]);
	assert_int_equal(pool_find_centre(b.pool, "y"), 1);
	build(&b, &specs[1]);
	check_pool(b.pool);
	assert_int_equal(pool_find_centre(b.pool, "x"), NODE_NONE);
	assert_int_equal(pool_find_centre(b.pool, "y"), 1);
	assert_int_equal(pool_find_centre(b.pool, "z"), 2);
	assert_int_equal(pool_node(b.pool, 0, 0), NODE_NONE);
	assert_int_equal(b.pool->nodes[pool_node(b.pool, 2, 1)].centre, 2);
	assert_string_equal(pool_centre_name(b.pool, 0), "x"); /* a job that runs there still says where */
	build(&b, &specs[2]);
	assert_int_equal(pool_find_centre(b.pool, "x"), 0);
	assert_int_equal(pool_find_centre(b.pool, "z"), NODE_NONE);
	assert_int_equal(pool_find_kind(b.pool, "b"), 1);
	assert_int_equal(pool_find_kind(b.pool, "c"), NODE_NONE);
	assert_string_equal(pool_kind_name(b.pool, 1), "b");
	assert_string_equal(pool_kind_name(b.pool, KIND_NONE), "");
	assert_string_equal(pool_kind_name(b.pool, KIND_ANY), "any");
	built_done(&b);
}

/* ---- What a pool may not be ---- */

static const struct line_spec good_line = {.count = 1, .kind = "a", .cards = 1};

static void refuse(const struct pool_spec *spec, const char *subject, const char *text)
{
	struct err err = {0};

	assert_int_equal(pool_check(spec, &err), ERR_INVALID);
	assert_string_equal(err.subject, subject);
	if (!strstr(err.text, text))
		fail_msg("\"%s\" is not in: %s", text, err.text);
	assert_int_equal(pool_check(spec, NULL), ERR_INVALID);
}

static void test_bad_lines(void **state)
{
	static const struct {
		struct line_spec line;
		const char *text;
	} rows[] = {
		{{.count = 0, .kind = "a", .cards = 1}, "count: 0"},
		{{.count = 1, .kind = "a", .cards = 65}, "at most 64"},
		{{.count = 1, .cards = 2}, "kind: missing"},
		{{.count = 1, .kind = "a"}, "cards: 0"},
		{{.count = 1, .kind = "aa", .cards = 1}, "did you mean \"a\""},
		{{.count = 4000001, .kind = "a", .cards = 1}, "more than 4000000 nodes"},
		{{.count = UINT32_MAX, .kind = "a", .cards = 1}, "more than 4000000 nodes"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct line_spec lines[] = {good_line, rows[i].line};
		const struct centre_spec c = centre("x", lines, 2);
		struct pool_spec spec = pool_of(&c, 1);

		refuse(&spec, "centres[0].nodes[1]", rows[i].text);
	}
}

static void test_bad_names(void **state)
{
	static const char *const names[] = {"",     " x",   "x ",   "a\nb",     "a/b",         "a\"b",
	                                    "a\\b", "\x7f", "\xff", "\xc2\x85", "\xed\xa0\x80"};

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		const struct centre_spec centres[] = {centre("x", &good_line, 1), centre(names[i], &good_line, 1)};
		struct pool_spec spec = pool_of(centres, 2);

		refuse(&spec, "centres[1].name", "expected 1 to 128 bytes");
	}
}

/* A line of projects, each below the one before: as many as may be, and one more. */
static void refuse_deep(void)
{
	const struct centre_spec one = centre("x", &good_line, 1);
	struct project_spec line[PROJECT_DEPTH_MAX + 2];
	char names[PROJECT_DEPTH_MAX + 2][8];
	struct pool_spec spec = pool_of(&one, 1);

	for (int i = 0; i < PROJECT_DEPTH_MAX + 2; i++) {
		snprintf(names[i], sizeof names[i], "p%d", i);
		line[i] = (struct project_spec){.name = names[i], .parent = i ? names[i - 1] : NULL};
	}
	spec.projects = line;
	spec.n_projects = PROJECT_DEPTH_MAX + 1;
	assert_int_equal(pool_check(&spec, NULL), 0);
	spec.n_projects++;
	refuse(&spec, "projects[33].parent", "more than 32 projects above it");
}

static void test_bad_wholes(void **state)
{
	const struct centre_spec twice[] = {centre("x", &good_line, 1), centre("x", &good_line, 1)},
							 both[] = {centre("x", &good_line, 1), centre("y", &good_line, 1)};
	const struct link_spec nowhere = {.name = "l", .ends = {"x", "why"}}, itself = {.name = "l", .ends = {"x", "x"}};
	const struct link_spec links_twice[] = {{.name = "l", .ends = {"x", "y"}}, {.name = "l", .ends = {"y", "x"}}};
	const struct project_spec orphan = {.name = "p", .parent = "q"}, circle[] = {{.name = "p", .parent = "q"},
	                                                                             {.name = "q", .parent = "r"},
	                                                                             {.name = "r", .parent = "q"}};
	const struct project_spec family[] = {
		{.name = "p", .cohort = "c"}, {.name = "q", .parent = "p", .cohort = "d"}, {.name = "r", .parent = "q", .cohort = "c"}};
	const struct quota_spec unknown = {"c", 1000, AMOUNT_NONE, AMOUNT_NONE};
	const struct price_spec price = {"c", 1};
	struct centre_spec priced = centre("x", &good_line, 1);
	struct pool_spec spec = pool_of(twice, 2);

	(void)state;
	refuse(&spec, "centres[1].name", "one of this name already");
	spec = pool_of(both, 0);
	refuse(&spec, "centres", "expected 1 to 1024");
	spec = pool_of(both, 2);
	spec.n_links = 1;
	spec.links = &nowhere;
	refuse(&spec, "links[0].ends", "no such centre");
	spec.links = &itself;
	refuse(&spec, "links[0].ends", "same centre");
	spec.links = links_twice;
	spec.n_links = 2;
	refuse(&spec, "links[1].name", "already");
	spec = pool_of(both, 2);
	spec.n_projects = 1;
	spec.projects = &orphan;
	refuse(&spec, "projects[0].parent", "no such project");
	spec.projects = circle;
	spec.n_projects = 3;
	refuse(&spec, "projects[0].parent", "circle");
	spec.projects = &(struct project_spec){.name = "p", .quotas = &unknown, .n_quotas = 1};
	spec.n_projects = 1;
	refuse(&spec, "projects[0].nominal_quota", "no such kind");
	spec.projects = family;
	spec.n_projects = 3;
	refuse(&spec, "projects[2].cohort", "p, above it, is of that cohort already");
	refuse_deep();
	priced.prices = &price;
	priced.n_prices = 1;
	spec = pool_of(&priced, 1);
	refuse(&spec, "centres[0].price_per_card_hour", "no such kind");
}

/* As the journal has it, it is the same pool. */
static void test_bytes(void **state)
{
	const struct option_spec option = {"startup", "2s"};
	const struct price_spec price = {"a", 123456789012};
	const struct quota_spec quota = {"a", 1000, AMOUNT_NONE, 5};
	const struct project_spec projects[] = {{.name = "p", .weight_milli = 2000},
	                                        {.name = "q", .parent = "p", .cohort = "c", .quotas = &quota, .n_quotas = 1}};
	const struct link_spec link = {.name = "l", .ends = {"x", "y"}, .mbps = 400000, .latency_us = 3, .price_micros_per_tib = 9};
	struct centre_spec centres[] = {centre("x", &good_line, 1), centre("y", NULL, 0)};
	struct pool_spec spec = pool_of(centres, 2), back;
	struct buf bytes = {0}, again = {0};
	struct arena arena = {0};
	struct reader r;

	(void)state;
	centres[0].options = &option;
	centres[0].n_options = 1;
	centres[0].prices = &price;
	centres[0].n_prices = 1;
	centres[0].latitude_udeg = -39380000;
	centres[0].longitude_udeg = 117040000;
	centres[0].pue_milli = 1200;
	spec.links = &link;
	spec.n_links = 1;
	spec.projects = projects;
	spec.n_projects = 2;
	pool_spec_encode(&spec, &bytes);
	r = reader_of(bytes.data, bytes.len);
	assert_int_equal(pool_spec_decode(&r, &arena, &back), 0);
	assert_ptr_equal(r.at, r.end);
	assert_string_equal(back.currency, "CNY");
	assert_int_equal(back.kinds[1].measured, true);
	assert_int_equal(back.centres[0].latitude_udeg, -39380000);
	assert_int_equal(back.centres[0].longitude_udeg, 117040000);
	assert_int_equal(back.centres[0].pue_milli, 1200);
	assert_int_equal(back.centres[0].capabilities, CAN_ALL);
	assert_string_equal(back.centres[0].options[0].value, "2s");
	assert_int_equal(back.centres[0].prices[0].micros, 123456789012);
	assert_string_equal(back.links[0].ends[1], "y");
	assert_int_equal(back.links[0].price_micros_per_tib, 9);
	assert_null(back.projects[0].parent);
	assert_string_equal(back.projects[1].parent, "p");
	assert_string_equal(back.projects[1].cohort, "c");
	assert_true(back.projects[1].quotas[0].borrowing_milli == AMOUNT_NONE);
	pool_spec_encode(&back, &again);
	assert_int_equal(again.len, bytes.len);
	assert_memory_equal(again.data, bytes.data, bytes.len);
	buf_done(&bytes);
	buf_done(&again);
	arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_racks_and_pods), cmocka_unit_test(test_interleaved_kinds), cmocka_unit_test(test_random_pools),
		cmocka_unit_test(test_sums),           cmocka_unit_test(test_numbers_stay),      cmocka_unit_test(test_bad_lines),
		cmocka_unit_test(test_bad_names),      cmocka_unit_test(test_bad_wholes),        cmocka_unit_test(test_bytes),
	};

	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
