/* SPDX-License-Identifier: Apache-2.0
 * test_pool_file.c: pool files, configuration files and the catalogue of cards. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "core/pool.h"
#include "format/pool_file.h"

/* ---- Helpers ---- */

struct read {
	struct arena arena;
	struct pool_spec pool;
	const char *const *warnings;
	uint32_t n_warnings;
	struct err err;
	int rc;
};

static struct read read_with(const char *text, size_t len, pool_discover_fn *discover, void *ctx)
{
	struct read r = {0};

	r.rc = pool_file_parse(text, len, discover, ctx, &r.arena, &r.pool, &r.warnings, &r.n_warnings, &r.err);
	return r;
}

static struct read read_good(const char *text)
{
	struct read r = read_with(text, strlen(text), NULL, NULL);

	if (r.rc < 0)
		fail_msg("%s\nline %" PRIu32 ": %s: %s", text, r.err.line, r.err.subject, r.err.text);
	return r;
}

static void done(struct read *r)
{
	arena_done(&r->arena);
}

static const struct kind_spec *kind_of(const struct read *r, const char *name)
{
	for (uint32_t i = 0; i < r->pool.n_kinds; i++)
		if (!strcmp(r->pool.kinds[i].name, name))
			return &r->pool.kinds[i];
	return NULL;
}

/* The file of docs/format/pool.md's reader: every key. */
static const char every_key[] =
	"pool: jing-jin-ji\n"
	"currency: EUR\n"
	"kinds:\n"
	"  v100: {vendor: nvidia, class: super, memory_gib: 32, tflops: {fp64: 7.8, fp32: 15.7, tf32: 0, fp16: 125, int8: 0.5}, "
	"bandwidth_gbps: 901, watts: 300, source: bench, measured: true}\n"
	"  own: {fp16_tflops: 125.25, fp64_tflops: 1, fp32_tflops: 2, tf32_tflops: 3, int8_tflops: 4}\n"
	"  unused: {watts: 1}\n"
	"centres:\n"
	"  - name: tianjin-wuqing\n"
	"    region: tianjin\n"
	"    location: [39.38, -117.04]\n"
	"    engine: {type: simulated, startup: 1s, failure_rate: 0.5, seed: null}\n"
	"    pue: 1.25\n"
	"    price_per_card_hour: {ascend-910b2: 6.50, h20: 1}\n"
	"    nodes:\n"
	"      - {count: 512, kind: ascend-910b2, cards: 8, cpus: 192.5, memory_gib: 1536.3, nodes_per_rack: 4, racks_per_pod: 16}\n"
	"      - {count: 16, cpus: 96, memory_gib: 384}\n"
	"  - {name: b, engine: {type: simulated}, nodes: [{kind: own, cards: 2}, {kind: v100, cards: 64}]}\n"
	"links:\n"
	"  - {name: by-tw, ends: [b, tianjin-wuqing], gbps: 400.5, latency_us: 1000, price_per_tib: 2.00}\n"
	"projects:\n"
	"  - {name: child, parent: top, weight: 0.5, cohort: c, nominal_quota: {h20: 2048, v100: 0.5}, borrowing_limit: {h20: 1024}, "
	"lending_limit: {own: 512}}\n"
	"  - {name: top}\n";

static void every_key_is_read(void **state)
{
	struct read r = read_good(every_key);
	const struct pool_spec *pool = &r.pool;
	const struct centre_spec *centre = &pool->centres[0];
	const struct project_spec *child = &pool->projects[0];

	(void)state;
	assert_string_equal(pool->name, "jing-jin-ji");
	assert_string_equal(pool->currency, "EUR");
	assert_int_equal(pool->n_centres, 2);
	assert_string_equal(centre->name, "tianjin-wuqing");
	assert_string_equal(centre->region, "tianjin");
	assert_int_equal(centre->latitude_udeg, 39380000);
	assert_int_equal(centre->longitude_udeg, -117040000);
	assert_string_equal(centre->engine, "simulated");
	assert_int_equal(centre->n_options, 2);
	assert_string_equal(centre->options[0].key, "startup");
	assert_string_equal(centre->options[0].value, "1s");
	assert_string_equal(centre->options[1].value, "0.5");
	assert_int_equal(centre->capabilities, 0);
	assert_int_equal(centre->pue_milli, 1250);
	assert_int_equal(centre->n_prices, 2);
	assert_int_equal(centre->prices[0].micros, 6500000);
	assert_int_equal(centre->n_lines, 2);
	assert_int_equal(centre->lines[0].count, 512);
	assert_string_equal(centre->lines[0].kind, "ascend-910b2");
	assert_int_equal(centre->lines[0].cards, 8);
	assert_int_equal(centre->lines[0].cpus_milli, 192500);
	assert_int_equal(centre->lines[0].memory_mib, 1573171); /* 1573171.2: an offer rounds down */
	assert_int_equal(centre->lines[0].nodes_per_rack, 4);
	assert_int_equal(centre->lines[0].racks_per_pod, 16);
	assert_null(centre->lines[1].kind);
	assert_int_equal(centre->lines[1].cards, 0);
	assert_int_equal(pool->centres[1].lines[0].count, 1);
	assert_int_equal(pool->centres[1].lines[0].cpus_milli, UNCOUNTED);
	assert_int_equal(pool->centres[1].lines[0].memory_mib, UNCOUNTED);
	assert_int_equal(pool->n_links, 1);
	assert_string_equal(pool->links[0].ends[0], "b");
	assert_int_equal(pool->links[0].mbps, 400500);
	assert_int_equal(pool->links[0].latency_us, 1000);
	assert_int_equal(pool->links[0].price_micros_per_tib, 2000000);
	assert_int_equal(pool->n_projects, 2);
	assert_string_equal(child->parent, "top");
	assert_string_equal(child->cohort, "c");
	assert_int_equal(child->weight_milli, 500);
	assert_int_equal(child->n_quotas, 3);
	assert_int_equal(child->quotas[0].nominal_milli, 2048000);
	assert_int_equal(child->quotas[0].borrowing_milli, 1024000);
	assert_true(child->quotas[0].lending_milli == AMOUNT_NONE);
	assert_int_equal(child->quotas[1].nominal_milli, 500);
	assert_int_equal(child->quotas[2].nominal_milli, 0);
	assert_int_equal(child->quotas[2].lending_milli, 512000);
	assert_null(pool->projects[1].parent);
	assert_int_equal(pool->projects[1].weight_milli, 1000);
	assert_int_equal(r.n_warnings, 0);
	done(&r);
}

/* The file's own over the catalogue's, and only what is named. */
static void kinds_are_resolved(void **state)
{
	struct read r = read_good(every_key);
	const struct kind_spec *v100 = kind_of(&r, "v100"), *own = kind_of(&r, "own");

	(void)state;
	assert_int_equal(r.pool.n_kinds, 4);
	assert_null(kind_of(&r, "unused"));
	assert_null(kind_of(&r, "h100"));
	assert_non_null(kind_of(&r, "h20")); /* a price names it */
	assert_int_equal(kind_of(&r, "ascend-910b2")->gflops[PRECISION_FP16], 376000);
	assert_int_equal(v100->class, CLASS_SUPER);
	assert_true(v100->measured);
	assert_string_equal(v100->source, "bench");
	assert_int_equal(v100->gflops[PRECISION_FP64], 7800);
	assert_int_equal(v100->gflops[PRECISION_INT8], 500);
	assert_int_equal(v100->bandwidth_gbps, 901);
	assert_int_equal(own->gflops[PRECISION_FP16], 125250);
	assert_int_equal(own->gflops[PRECISION_FP64], 1000);
	assert_int_equal(own->gflops[PRECISION_FP32], 2000);
	assert_int_equal(own->gflops[PRECISION_TF32], 3000);
	assert_int_equal(own->gflops[PRECISION_INT8], 4000);
	assert_string_equal(own->source, "pool file");
	assert_false(own->measured);
	done(&r);

	r = read_good(
		"kinds: {h800: {watts: 350}}\ncentres: [{name: a, engine: {type: simulated}, nodes: [{kind: h800, cards: 1}]}]\n");
	assert_int_equal(kind_of(&r, "h800")->watts, 350);
	assert_int_equal(kind_of(&r, "h800")->memory_mib, 80 * 1024);
	assert_string_equal(r.pool.name, "pool");
	assert_string_equal(r.pool.currency, "CNY");
	assert_int_equal(r.n_warnings, 0);
	done(&r);
}

/* ---- Discovery ---- */

static int discover_two(void *ctx, const struct centre_spec *centre, struct arena *arena, const struct line_spec **ret_lines,
                        uint32_t *ret_n_lines, const struct kind_spec **ret_kinds, uint32_t *ret_n_kinds, struct err *err)
{
	static const struct line_spec line = {1, "odd-card", 2, 4000, 8192, 0, 0};
	static const struct kind_spec kind = {.name = "odd-card", .vendor = "v", .source = "this machine", .memory_mib = 4};

	(void)arena;
	++*(int *)ctx;
	if (!strcmp(centre->name, "broken"))
		return err_set(err, ERR_UNSUPPORTED, "engine", "can't look");
	*ret_lines = &line;
	*ret_n_lines = 1;
	*ret_kinds = &kind;
	*ret_n_kinds = 1;
	return 0;
}

static void a_centre_without_nodes_is_looked_at(void **state)
{
	static const char text[] =
		"centres:\n- {name: here, engine: {type: local}}\n- {name: virtual, engine: {type: local}, nodes: [{kind: cpu-core, cards: 2}]}\n"
		"- {name: there, engine: {type: local}}\n";
	static const char broken[] = "centres:\n- name: broken\n  engine: {type: local}\n";
	int calls = 0;
	struct read r = read_with(text, strlen(text), discover_two, &calls);

	(void)state;
	assert_int_equal(r.rc, 0);
	assert_int_equal(calls, 2);
	assert_string_equal(r.pool.centres[0].lines[0].kind, "odd-card");
	assert_string_equal(r.pool.centres[1].lines[0].kind, "cpu-core");
	assert_int_equal(r.pool.n_kinds, 2);
	assert_int_equal(kind_of(&r, "odd-card")->memory_mib, 4);
	done(&r);
	r = read_with(broken, strlen(broken), discover_two, &calls);
	assert_true(r.rc < 0);
	assert_string_equal(r.err.subject, "centres[0].nodes.engine");
	assert_int_equal(r.err.line, 2);
	done(&r);
}

/* ---- Bad input ---- */

#define CENTRE "centres: [{name: a, engine: {type: simulated}, nodes: [{kind: h800, cards: 8}]}]\n"
#define TWO \
	"centres:\n" \
	"- {name: one, engine: {type: simulated}, nodes: [{count: 2}]}\n" \
	"- {name: two, engine: {type: simulated}, nodes: [{count: 2}]}\n"
#define LINE(line) "centres:\n- name: a\n  engine: {type: simulated}\n  nodes:\n  - " line "\n"

static const struct {
	const char *text, *subject;
	uint32_t line;
	const char *part;
} bad[] = {
	{"", "", 0, "empty"},
	{"hello", "", 1, "expected a map"},
	{"pool: x\n", "centres", 1, "one centre or more"},
	{"pool: x\ncentres: []\n", "centres", 1, "one centre or more"},
	{"centres: {a: b}\n", "centres", 1, "expected a list"},
	{CENTRE "centers: []\n", "centers", 2, "did you mean \"centres\"?"},
	{CENTRE "pool: [x]\n", "pool", 2, "single value"},
	{CENTRE "pool: \"a\\nb\"\n", "pool", 2, "expected a name"},
	{"a: &x 1\n", "", 1, "aliases"},
	/* Centres */
	{"centres:\n- {engine: {type: local}}\n", "centres[0].name", 2, "no name"},
	{"centres:\n- {name: a}\n", "centres[0].engine", 2, "no engine"},
	{"centres:\n- {name: a, engine: local}\n", "centres[0].engine", 2, "expected {type"},
	{"centres:\n- {name: a, engine: {startup: 1s}}\n", "centres[0].engine", 2, "expected type"},
	{"centres:\n- {name: a, engine: {type: locale}}\n", "centres[0].engine.type", 2, "did you mean \"local\"?"},
	{"centres:\n- {name: a, engine: {type: local, x: [1]}}\n", "centres[0].engine.x", 2, "single value"},
	{"centres:\n- {name: a, engine: {type: local}, node: []}\n", "centres[0].node", 2, "did you mean \"nodes\"?"},
	{"centres:\n- {name: a, engine: {type: local}}\n", "centres[0].nodes", 2, "no nodes"},
	{"centres:\n- {name: a, engine: {type: local}, location: 39}\n", "centres[0].location", 2, "latitude"},
	{"centres:\n- {name: a, engine: {type: local}, location: [91, 0]}\n", "centres[0].location[0]", 2, "90"},
	{"centres:\n- {name: a, engine: {type: local}, location: [0, -181]}\n", "centres[0].location[1]", 2, "180"},
	{"centres:\n- {name: a, engine: {type: local}, pue: 0.9}\n", "centres[0].pue", 2, "1 or more"},
	{"centres:\n- {name: a, engine: {type: local}, price_per_card_hour: 3}\n", "centres[0].price_per_card_hour", 2, "map"},
	{"centres:\n- {name: a, engine: {type: local}, price_per_card_hour: {h800: -3}}\n", "centres[0].price_per_card_hour.h800", 2,
     "number"},
	{"centres:\n- name: a\n  engine: {type: simulated}\n  nodes: [{count: 1}]\n  price_per_card_hour: {h80: 3}\n",
     "centres[0].price_per_card_hour.h80", 5, "did you mean"},
	{"centres:\n- {name: a, engine: {type: simulated}, nodes: [{count: 1}]}\n- {name: b, engine: {type: simulated}, nodes: [{count: "
     "1}]}\n- {name: a, engine: {type: simulated}}\n",
     "centres[2].name", 4, "\"a\" stands twice; first on line 2"},
	/* Nodes */
	{LINE("{count: 0}"), "centres[0].nodes[0].count", 5, "from 1"},
	{LINE("{count: 4000001}"), "centres[0].nodes[0].count", 5, "to 4000000"},
	{LINE("{count: 4000000}\n  - {count: 1}"), "centres[0].nodes", 4, "at most 4000000"},
	{LINE("{kind: h800}"), "centres[0].nodes[0]", 5, "no cards"},
	{LINE("{kind: h800, cards: 0}"), "centres[0].nodes[0]", 5, "no cards"},
	{LINE("{cards: 8}"), "centres[0].nodes[0]", 5, "no kind"},
	{LINE("{kind: h800, cards: 65}"), "centres[0].nodes[0].cards", 5, "to 64"},
	{LINE("{kind: h800, cards: 0.5}"), "centres[0].nodes[0].cards", 5, "whole number"},
	{LINE("{kind: h808, cards: 8}"), "centres[0].nodes[0].kind", 5, "did you mean \"h800\"?"},
	{LINE("{count: 1}\n  - {count: 1}\n  - {kind: nonsense-card, cards: 8}"), "centres[0].nodes[2].kind", 7, "under kinds"},
	{LINE("{cpus: -1}"), "centres[0].nodes[0].cpus", 5, "number"},
	{LINE("{cpus: 8+}"), "centres[0].nodes[0].cpus", 5, "decimal"},
	{LINE("{memory_gib: 9999999}"), "centres[0].nodes[0].memory_gib", 5, "at most"},
	{LINE("{memory: 64}"), "centres[0].nodes[0].memory", 5, "unknown key"},
	{LINE("{nodes_per_rack: 0}"), "centres[0].nodes[0].nodes_per_rack", 5, "from 1"},
	{LINE("{racks_per_pod: 4}"), "centres[0].nodes[0]", 5, "without nodes_per_rack"},
	{LINE("3"), "centres[0].nodes[0]", 5, "expected a map"},
	/* Kinds */
	{CENTRE "kinds: [a]\n", "kinds", 2, "map"},
	{CENTRE "kinds:\n  x: {tflops: {fp8: 1}}\n", "kinds.x.tflops.fp8", 3, "did you mean"},
	{CENTRE "kinds:\n  x: {fp8_tflops: 1}\n", "kinds.x.fp8_tflops", 3, "did you mean"},
	{CENTRE "kinds:\n  x: {class: clever}\n", "kinds.x.class", 3, "expected general"},
	{CENTRE "kinds:\n  x: {measured: yes}\n", "kinds.x.measured", 3, "true"},
	{CENTRE "kinds:\n  any: {watts: 1}\n", "kinds.any", 3, "not any"},
	{CENTRE "kinds:\n  'a:b': {watts: 1}\n", "kinds.a:b", 3, "without any of"},
	{CENTRE "kinds:\n  x: {watts: 1.5}\n", "kinds.x.watts", 3, "whole number"},
	/* Links */
	{TWO "links:\n- {name: l, ends: [one, too], gbps: 1}\n", "links[0].ends[1]", 5, "did you mean \"two\"?"},
	{TWO "links:\n- {name: l, ends: [nowhere, two], gbps: 1}\n", "links[0].ends[0]", 5, "no centre has that name"},
	{TWO "links:\n- {name: l, ends: [one, one], gbps: 1}\n", "links[0].ends", 5, "two centres"},
	{TWO "links:\n- {name: l, ends: [one], gbps: 1}\n", "links[0].ends", 5, "two centres"},
	{TWO "links:\n- {name: l, ends: [one, two]}\n", "links[0]", 5, "gbps"},
	{TWO "links:\n- {name: l, ends: [one, two], gbps: 0}\n", "links[0].gbps", 5, "more than 0"},
	{TWO "links:\n- {name: l, ends: [one, two], gbps: 1}\n- {name: l, ends: [one, two], gbps: 1}\n", "links[1].name", 6,
     "first on line 5"},
	/* Projects */
	{CENTRE "projects:\n- {weight: 1}\n", "projects[0].name", 3, "no name"},
	{CENTRE "projects:\n- {name: a}\n- {name: b, parent: aa}\n", "projects[1].parent", 4, "did you mean \"a\"?"},
	{CENTRE "projects:\n- {name: a, parent: a}\n", "projects[0].parent", 3, "lead back"},
	{CENTRE "projects:\n- {name: a, parent: b}\n- {name: b, parent: c}\n- {name: c, parent: b}\n", "projects[1].parent", 4,
     "lead back"},
	{CENTRE "projects:\n- {name: a}\n- {name: a}\n", "projects[1].name", 4, "first on line 3"},
	{CENTRE "projects:\n- {name: a, weight: 0}\n", "projects[0].weight", 3, "over 0"},
	{CENTRE "projects:\n- {name: a, nominal_quota: {h800: x}}\n", "projects[0].nominal_quota.h800", 3, "number"},
	{CENTRE "projects:\n- {name: a, nominal_quota: [h800]}\n", "projects[0].nominal_quota", 3, "map"},
	{CENTRE "projects:\n- {name: a, nominal_quota: {h801: 4}}\n", "projects[0].nominal_quota", 3, "did you mean"},
	{CENTRE "projects:\n- {name: a, quota: {h800: 4}}\n", "projects[0].quota", 3, "unknown key"},
};

static void bad_pools_get_their_path_line_and_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct read r = {0};
		struct pool_spec untouched;

		memset(&untouched, 0x5a, sizeof untouched);
		r.pool = untouched;
		r.rc = pool_file_parse(bad[i].text, strlen(bad[i].text), NULL, NULL, &r.arena, &r.pool, &r.warnings, &r.n_warnings,
		                       &r.err);
		if (r.rc != ERR_INVALID || strcmp(r.err.subject, bad[i].subject) != 0 || r.err.line != bad[i].line ||
		    !strstr(r.err.text, bad[i].part))
			fail_msg("%s\ngave %d, line %" PRIu32 ", \"%s\": %s\nnot line %" PRIu32 ", \"%s\": %s", bad[i].text, r.rc, r.err.line,
			         r.err.subject, r.err.text, bad[i].line, bad[i].subject, bad[i].part);
		assert_memory_equal(&r.pool, &untouched, sizeof untouched); /* nothing changes on failure */
		done(&r);
	}
}

static void what_is_too_large_is_refused_unread(void **state)
{
	size_t len = 100u << 20;
	char *text = malloc(len);
	struct read r;

	(void)state;
	assert_non_null(text);
	r = read_with(text, len, NULL, NULL);
	assert_int_equal(r.rc, ERR_TOO_LARGE);
	assert_int_equal(r.arena.total, 0);
	done(&r);
	free(text);
}

/* As many centres, links and projects as there may be, in a chain of parents: no cost that grows with their square. */
static void a_large_pool_is_read(void **state)
{
	struct buf text = {0};
	struct read r;

	(void)state;
	buf_printf(&text, "centres:\n");
	for (int i = 0; i < POOL_CENTRES_MAX; i++)
		buf_printf(&text, "- {name: c%d, engine: {type: simulated}, nodes: [{count: 100, kind: h800, cards: 8}]}\n", i);
	buf_printf(&text, "links:\n");
	for (int i = 0; i < POOL_LINKS_MAX; i++)
		buf_printf(&text, "- {name: l%d, ends: [c%d, c%d], gbps: 1}\n", i, i % 1000, i % 1000 + 1);
	buf_printf(&text, "projects:\n- {name: p0}\n");
	for (int i = 1; i < POOL_PROJECTS_MAX; i++)
		buf_printf(&text, "- {name: p%d, parent: p%d}\n", i, i - 1);
	r = read_with((const char *)text.data, text.len, NULL, NULL);
	assert_int_equal(r.rc, 0);
	assert_int_equal(r.pool.n_projects, POOL_PROJECTS_MAX);
	done(&r);
	buf_printf(&text, "- {name: one-more}\n");
	r = read_with((const char *)text.data, text.len, NULL, NULL);
	assert_int_equal(r.rc, ERR_INVALID);
	assert_string_equal(r.err.subject, "projects");
	done(&r);
	buf_done(&text);
}

/* What the parser accepts has the bytes that the journal keeps, and they say the same. */
static void a_pool_goes_round_through_the_journal(void **state)
{
	struct read r = read_good(every_key);
	struct buf bytes = {0}, again = {0};
	struct arena arena = {0};
	struct pool_spec back;
	struct reader reader;

	(void)state;
	pool_spec_encode(&r.pool, &bytes);
	reader = reader_of(bytes.data, bytes.len);
	assert_int_equal(pool_spec_decode(&reader, &arena, &back), 0);
	assert_ptr_equal(reader.at, reader.end);
	pool_spec_encode(&back, &again);
	assert_int_equal(bytes.len, again.len);
	assert_memory_equal(bytes.data, again.data, bytes.len);
	buf_done(&bytes);
	buf_done(&again);
	arena_done(&arena);
	done(&r);
}

/* ---- The example ---- */

static int discover_cores(void *ctx, const struct centre_spec *centre, struct arena *arena, const struct line_spec **ret_lines,
                          uint32_t *ret_n_lines, const struct kind_spec **ret_kinds, uint32_t *ret_n_kinds, struct err *err)
{
	static const struct line_spec line = {1, "cpu-core", 2, 2000, 4096, 0, 0};

	(void)ctx, (void)centre, (void)arena, (void)ret_kinds, (void)err;
	*ret_lines = &line;
	*ret_n_lines = 1;
	*ret_n_kinds = 0;
	return 0;
}

static void the_example_has_ten_thousand_cards(void **state)
{
	char path[4096];
	const char *root = getenv("SUAN_SOURCE");
	static char text[1 << 16];
	FILE *file;
	struct read r;
	uint64_t cards = 0, most = 0;
	uint32_t kinds = 0;

	(void)state;
	snprintf(path, sizeof path, "%s/examples/jing-jin-ji.yaml", root ? root : ".");
	file = fopen(path, "r");
	assert_non_null(file);
	r = read_with(text, fread(text, 1, sizeof text, file), discover_cores, NULL);
	fclose(file);
	assert_int_equal(r.rc, 0);
	assert_int_equal(r.n_warnings, 0);
	assert_string_equal(r.pool.centres[0].name, "here");
	assert_string_equal(r.pool.centres[1].name, "here-virtual");
	for (uint32_t i = 0; i < r.pool.n_centres; i++) {
		const struct centre_spec *centre = &r.pool.centres[i];
		uint64_t here = 0;

		if (strcmp(centre->engine, "simulated") != 0)
			continue;
		for (uint32_t l = 0; l < centre->n_lines; l++)
			here += (uint64_t)centre->lines[l].count * centre->lines[l].cards;
		cards += here;
		most = here > most ? here : most;
	}
	for (uint32_t k = 0; k < r.pool.n_kinds; k++)
		kinds += r.pool.kinds[k].class == CLASS_INTELLIGENT;
	assert_int_equal(cards, 10240);
	assert_true(most >= 8192);
	assert_true(kinds >= 4);
	done(&r);
}

/* ---- The catalogue ---- */

static void the_catalogue_is_sound(void **state)
{
	static const char *const expected[] = {"h100",         "h800",         "h20",         "h200",    "a100",     "a800",
	                                       "v100",         "a10",          "t4",          "l40s",    "rtx-4090", "ascend-910b1",
	                                       "ascend-910b2", "ascend-910b3", "ascend-310p", "mlu370",  "mlu590",   "dcu-k100",
	                                       "kunlun-r200",  "br104",        "mi300x",      "cpu-core"};
	uint32_t n;
	const struct kind_spec *all = catalogue_all(&n);

	(void)state;
	for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
		assert_non_null(catalogue_find(expected[i]));
	assert_null(catalogue_find("h101"));
	for (uint32_t i = 0; i < n; i++) {
		assert_ptr_equal(catalogue_find(all[i].name), &all[i]); /* each name once */
		assert_true(spec_name_ok(all[i].name) && spec_name_ok(all[i].vendor) && spec_name_ok(all[i].source));
		assert_false(all[i].measured);
		assert_true(all[i].gflops[PRECISION_FP32] <= all[i].gflops[PRECISION_FP16] || !all[i].gflops[PRECISION_FP16]);
	}
	assert_int_equal(catalogue_find("cpu-core")->class, CLASS_GENERAL);
	assert_int_equal(catalogue_find("v100")->gflops[PRECISION_FP64], 7800);
	assert_int_equal(catalogue_find("h20")->gflops[PRECISION_FP16], 148000);
}

/* ---- Configuration ---- */

static void a_configuration_is_read(void **state)
{
	static const char text[] =
		"policy: fifo\nreservations: 0\nmax_restarts: 5\nkill_grace: 10s\nlease: 2m\njobs_max: 1000\nseed: 9223372036854775807\n"
		"starvation_after: 2h\nhalf_life: 14d\nlas_levels: [30m, 4h]\ncards_power: 0.25\nscore: {finish: 1000, price: 0, balance: 7}\n";
	static const char some[] =
		"reservations: 64\nstarvation_after: never\nhalf_life: never\ncards_power: 1\nscore: {balance: 3}\n";
	struct arena arena = {0};
	struct config_spec config, standard = config_default();

	(void)state;
	assert_int_equal(config_file_parse(text, strlen(text), &arena, &config, NULL), 0);
	assert_int_equal(config.policy, POLICY_FIFO);
	assert_int_equal(config.reservations, 0);
	assert_int_equal(config.max_restarts, 5);
	assert_true(config.kill_grace_us == 10 * US_SECOND);
	assert_true(config.lease_us == 2 * US_MINUTE);
	assert_int_equal(config.jobs_max, 1000);
	assert_true(config.seed == INT64_MAX);
	assert_true(config.starvation_after_us == 2 * US_HOUR);
	assert_true(config.half_life_us == 14 * US_DAY);
	assert_int_equal(config.n_las_levels, 2);
	assert_true(config.las_levels_us[0] == 30 * US_MINUTE && config.las_levels_us[1] == 4 * US_HOUR && !config.las_levels_us[2]);
	assert_int_equal(config.cards_power_milli, 250);
	assert_int_equal(config.finish_weight, 1000);
	assert_int_equal(config.price_weight, 0);
	assert_int_equal(config.balance_weight, 7);
	assert_int_equal(config_file_parse(some, strlen(some), &arena, &config, NULL), 0);
	assert_int_equal(config.reservations, RESERVATIONS_MAX);
	assert_true(config.starvation_after_us == US_NEVER && config.half_life_us == US_NEVER);
	assert_int_equal(config.cards_power_milli, 1000);
	assert_int_equal(config.finish_weight, standard.finish_weight);
	assert_int_equal(config.balance_weight, 3);
	assert_int_equal(config.n_las_levels, standard.n_las_levels);
	assert_int_equal(config_file_parse("", 0, &arena, &config, NULL), 0);
	assert_int_equal(config.policy, standard.policy);
	assert_true(config.lease_us == standard.lease_us);
	assert_true(config.jobs_max == standard.jobs_max);
	arena_done(&arena);
}

static void bad_configurations_are_refused(void **state)
{
	static const struct {
		const char *text, *subject, *part;
	} cases[] = {
		{"policy: fare\n", "policy", "did you mean \"fair\"?"},
		{"reservations: 65\n", "reservations", "to 64"},
		{"starvation_after: 3\n", "starvation_after", "3h"},
		{"starvation_after: nevr\n", "starvation_after", "duration"},
		{"half_life: 0s\n", "half_life", "more than 0, or never"},
		{"half_life: [never]\n", "half_life", "single value"},
		{"las_levels: 1h\n", "las_levels", "expected a list"},
		{"las_levels: []\n", "las_levels", "1 to 32"},
		{"las_levels: [1h, 4h, 2h]\n", "las_levels[2]", "rising"},
		{"las_levels: [1h, 1h]\n", "las_levels[1]", "rising"},
		{"las_levels: [0s]\n", "las_levels[0]", "more than 0"},
		{"las_levels: [1s,2s,3s,4s,5s,6s,7s,8s,9s,10s,11s,12s,13s,14s,15s,16s,17s,18s,19s,20s,21s,22s,23s,24s,25s,26s,27s,28s,"
	     "29s,30s,31s,32s,33s]\n",
	     "las_levels", "at most 32"},
		{"cards_power: 1.001\n", "cards_power", "at most 1"},
		{"cards_power: -1\n", "cards_power", "0 or more"},
		{"score: 5\n", "score", "a map"},
		{"score: {finish: 1001}\n", "score.finish", "to 1000"},
		{"score: {finish: 0.5}\n", "score.finish", "whole number"},
		{"score: {prize: 5}\n", "score.prize", "did you mean \"price\"?"},
		{"kill_grace: 10\n", "kill_grace", "10s"},
		{"lease: 0s\n", "lease", "more than 0"},
		{"jobs_max: 0\n", "jobs_max", "from 1"},
		{"seed: -1\n", "seed", "whole number"},
		{"sed: 1\n", "sed", "did you mean \"seed\"?"},
		{"[]\n", "", "expected a map"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct arena arena = {0};
		struct config_spec config;
		struct err err = {0};

		assert_int_equal(config_file_parse(cases[i].text, strlen(cases[i].text), &arena, &config, &err), ERR_INVALID);
		assert_string_equal(err.subject, cases[i].subject);
		assert_int_equal(err.line, 1);
		if (!strstr(err.text, cases[i].part))
			fail_msg("%s: %s", cases[i].text, err.text);
		arena_done(&arena);
	}
}

/* ---- Mutations ---- */

static void ten_thousand_mutations_end_well(void **state)
{
	static const char *const pieces[] = {":",
	                                     "- ",
	                                     "\n",
	                                     "{",
	                                     "}",
	                                     "[",
	                                     "]",
	                                     ",",
	                                     "#",
	                                     "&a",
	                                     "*a",
	                                     "!!x",
	                                     "\"",
	                                     "'",
	                                     "\\",
	                                     "\t",
	                                     "null",
	                                     "99999999999999999999",
	                                     "-1",
	                                     "0",
	                                     ".",
	                                     "\xff",
	                                     "---",
	                                     "name",
	                                     "parent: child",
	                                     "h800",
	                                     "local"};
	const char *given = getenv("SUAN_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 10) : 1;
	struct rng rng = {seed};
	uint32_t good = 0;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		struct buf text = {0};
		size_t at = 0, cut;
		struct read r;

		for (uint64_t n = 1 + rng_below(&rng, 4); n > 0; n--) {
			const char *piece = pieces[rng_below(&rng, sizeof pieces / sizeof *pieces)];

			cut = at + rng_below(&rng, sizeof every_key - 1 - at + 1);
			buf_put(&text, every_key + at, cut - at);
			buf_put(&text, piece, strlen(piece));
			at = cut + rng_below(&rng, 9);
			at = at < sizeof every_key - 1 ? at : sizeof every_key - 1;
		}
		buf_put(&text, every_key + at, sizeof every_key - 1 - at);
		r = read_with((const char *)text.data, text.len, discover_cores, NULL);
		good += r.rc == 0;
		if (r.rc != 0 && (r.rc != ERR_INVALID || !r.err.line || !*r.err.text))
			fail_msg("seed %" PRIu64 ", mutation %d gave %d, line %" PRIu32 ": %s\n%.*s", seed, i, r.rc, r.err.line, r.err.text,
			         (int)text.len, text.data);
		done(&r);
		buf_done(&text);
	}
	assert_true(good > 100 && good < 9000); /* else they show nothing */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_is_read),
		cmocka_unit_test(kinds_are_resolved),
		cmocka_unit_test(a_centre_without_nodes_is_looked_at),
		cmocka_unit_test(bad_pools_get_their_path_line_and_reason),
		cmocka_unit_test(what_is_too_large_is_refused_unread),
		cmocka_unit_test(a_large_pool_is_read),
		cmocka_unit_test(a_pool_goes_round_through_the_journal),
		cmocka_unit_test(the_example_has_ten_thousand_cards),
		cmocka_unit_test(the_catalogue_is_sound),
		cmocka_unit_test(a_configuration_is_read),
		cmocka_unit_test(bad_configurations_are_refused),
		cmocka_unit_test(ten_thousand_mutations_end_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
