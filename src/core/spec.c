/* SPDX-License-Identifier: Apache-2.0
 * spec.c: words for enums, names, and pools and configurations as bytes; see spec.h. */
#include "core/spec.h"

#include <assert.h>
#include <string.h>

#include "core/pool.h"

/* ---- Words ---- */

static int find_word(const char *const *words, int n, const char *word)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(words[i], word))
			return i;
	return -1;
}

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static const char *const tier_words[] = {"node", "rack", "pod", "centre", "pool"};
static const char *const class_words[] = {"general", "intelligent", "super", "quantum"};
static const char *const policy_words[] = {"fair", "fifo", "shortest", "las"};
static const char *const node_state_words[] = {"up", "cordoned", "down"};
static const char *const precision_words[] = {"fp64", "fp32", "tf32", "fp16", "int8"};

const char *tier_word(enum tier tier)
{
	return tier_words[tier];
}

int tier_from_word(const char *word)
{
	return find_word(tier_words, COUNT(tier_words), word);
}

const char *card_class_word(enum card_class class)
{
	return class_words[class];
}

int card_class_from_word(const char *word)
{
	return find_word(class_words, COUNT(class_words), word);
}

const char *policy_word(enum policy policy)
{
	return policy_words[policy];
}

int policy_from_word(const char *word)
{
	return find_word(policy_words, COUNT(policy_words), word);
}

const char *node_state_word(enum node_state state)
{
	return node_state_words[state];
}

int node_state_from_word(const char *word)
{
	return find_word(node_state_words, COUNT(node_state_words), word);
}

const char *precision_word(enum precision precision)
{
	return precision_words[precision];
}

int precision_from_word(const char *word)
{
	return find_word(precision_words, COUNT(precision_words), word);
}

struct config_spec config_default(void)
{
	return (struct config_spec){
		.policy = POLICY_FAIR,
		.reservations = 1,
		.max_restarts = 3,
		.kill_grace_us = 30 * US_SECOND,
		.lease_us = 2 * US_MINUTE,
		.history_after_us = US_DAY,
		.history_jobs_max = 100000,
		.jobs_max = 2000000,
		.seed = 1,
		.starvation_after_us = US_DAY,
		.half_life_us = 7 * US_DAY,
		.las_levels_us = {8 * US_HOUR, 80 * US_HOUR, 800 * US_HOUR},
		.n_las_levels = 3,
		.cards_power_milli = 800,
		.finish_weight = 100,
		.price_weight = 10,
		.balance_weight = 0,
		.move_after_us = 30 * US_MINUTE,
		.move_gain_milli = 200,
		.move_least_us = 10 * US_MINUTE,
	};
}

/* ---- Names ---- */

/* Length of the valid UTF-8 sequence at p (RFC 3629), or 0. */
static unsigned utf8_length(const unsigned char *p)
{
	unsigned n = p[0] < 0x80                   ? 1
	             : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
	             : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
	             : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
	                                           : 0;

	for (unsigned i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
	    (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

bool spec_name_ok(const char *text)
{
	size_t len = strlen(text);

	if (len < 1 || len > NAME_LEN_MAX || text[0] == ' ' || text[len - 1] == ' ')
		return false;
	for (const unsigned char *p = (const unsigned char *)text; *p;) {
		unsigned n = utf8_length(p);

		if (!n || *p < 0x20 || *p == 0x7f || *p == '"' || *p == '\'' || *p == '\\' || (*p == 0xc2 && p[1] < 0xa0))
			return false;
		p += n;
	}
	return true;
}

/* Levenshtein's distance, of words of at most 63 bytes. */
static uint32_t edit_distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	uint8_t row[64];

	if (n > 63 || m > 63)
		return UINT32_MAX;
	for (size_t j = 0; j <= m; j++)
		row[j] = (uint8_t)j;
	for (size_t i = 1; i <= n; i++) {
		uint8_t diagonal = row[0];

		row[0] = (uint8_t)i;
		for (size_t j = 1; j <= m; j++) {
			uint8_t best = (uint8_t)(diagonal + (a[i - 1] != b[j - 1]));

			if (row[j] + 1 < best)
				best = (uint8_t)(row[j] + 1);
			if (row[j - 1] + 1 < best)
				best = (uint8_t)(row[j - 1] + 1);
			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[m];
}

const char *spec_nearest(const char *word, const char *const *names, uint32_t n)
{
	const char *nearest = NULL;
	uint32_t least = (uint32_t)strlen(word) / 3 + 1;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t distance = edit_distance(word, names[i]);

		if (distance < least + (nearest == NULL)) {
			least = distance;
			nearest = names[i];
		}
	}
	return nearest;
}

/* ---- As bytes ---- */

static void kind_encode(const struct kind_spec *k, struct buf *buf)
{
	buf_put_str(buf, k->name);
	buf_put_str(buf, k->vendor);
	buf_put_str(buf, k->source);
	buf_put_uint(buf, k->class);
	buf_put_u8(buf, k->measured);
	buf_put_uint(buf, k->memory_mib);
	for (int p = 0; p < PRECISION_COUNT; p++)
		buf_put_uint(buf, k->gflops[p]);
	buf_put_uint(buf, k->bandwidth_gbps);
	buf_put_uint(buf, k->watts);
}

static void kind_decode(struct reader *r, struct arena *arena, struct kind_spec *k)
{
	k->name = read_str(r, arena);
	k->vendor = read_str(r, arena);
	k->source = read_str(r, arena);
	k->class = (enum card_class)read_uint_max(r, COUNT(class_words) - 1);
	k->measured = read_uint_max(r, 1);
	k->memory_mib = (uint32_t)read_uint_max(r, UINT32_MAX);
	for (int p = 0; p < PRECISION_COUNT; p++)
		k->gflops[p] = read_uint(r);
	k->bandwidth_gbps = (uint32_t)read_uint_max(r, UINT32_MAX);
	k->watts = (uint32_t)read_uint_max(r, UINT32_MAX);
}

static void line_encode(const struct line_spec *l, struct buf *buf)
{
	buf_put_uint(buf, l->count);
	buf_put_str(buf, l->kind);
	buf_put_uint(buf, l->cards);
	buf_put_uint(buf, l->cpus_milli);
	buf_put_uint(buf, l->memory_mib);
	buf_put_uint(buf, l->nodes_per_rack);
	buf_put_uint(buf, l->racks_per_pod);
}

static const char *read_optional(struct reader *r, struct arena *arena)
{
	const char *text = read_str(r, arena);

	return *text ? text : NULL;
}

static void line_decode(struct reader *r, struct arena *arena, struct line_spec *l)
{
	l->count = (uint32_t)read_uint_max(r, POOL_NODES_MAX);
	l->kind = read_optional(r, arena);
	l->cards = (uint32_t)read_uint_max(r, CARDS_PER_NODE_MAX);
	l->cpus_milli = (uint32_t)read_uint_max(r, UINT32_MAX);
	l->memory_mib = (uint32_t)read_uint_max(r, UINT32_MAX);
	l->nodes_per_rack = (uint32_t)read_uint_max(r, UINT32_MAX);
	l->racks_per_pod = (uint32_t)read_uint_max(r, UINT32_MAX);
}

static void centre_encode(const struct centre_spec *c, struct buf *buf)
{
	buf_put_str(buf, c->name);
	buf_put_str(buf, c->region);
	buf_put_int(buf, c->latitude_udeg);
	buf_put_int(buf, c->longitude_udeg);
	buf_put_str(buf, c->engine);
	buf_put_uint(buf, c->n_options);
	for (uint32_t i = 0; i < c->n_options; i++) {
		buf_put_str(buf, c->options[i].key);
		buf_put_str(buf, c->options[i].value);
	}
	buf_put_uint(buf, c->capabilities);
	buf_put_uint(buf, c->pue_milli);
	buf_put_uint(buf, c->n_prices);
	for (uint32_t i = 0; i < c->n_prices; i++) {
		buf_put_str(buf, c->prices[i].kind);
		buf_put_uint(buf, c->prices[i].micros);
	}
	buf_put_uint(buf, c->n_lines);
	for (uint32_t i = 0; i < c->n_lines; i++)
		line_encode(&c->lines[i], buf);
}

static void centre_decode(struct reader *r, struct arena *arena, struct centre_spec *c)
{
	struct option_spec *options;
	struct price_spec *prices;
	struct line_spec *lines;

	c->name = read_str(r, arena);
	c->region = read_str(r, arena);
	c->latitude_udeg = (int32_t)read_int(r);
	c->longitude_udeg = (int32_t)read_int(r);
	c->engine = read_str(r, arena);
	c->n_options = read_count(r);
	c->options = options = arena_new(arena, c->n_options, sizeof *options);
	for (uint32_t i = 0; i < c->n_options; i++) {
		options[i].key = read_str(r, arena);
		options[i].value = read_str(r, arena);
	}
	c->capabilities = (uint32_t)read_uint_max(r, UINT32_MAX);
	c->pue_milli = (uint32_t)read_uint_max(r, UINT32_MAX);
	c->n_prices = read_count(r);
	c->prices = prices = arena_new(arena, c->n_prices, sizeof *prices);
	for (uint32_t i = 0; i < c->n_prices; i++) {
		prices[i].kind = read_str(r, arena);
		prices[i].micros = read_uint(r);
	}
	c->n_lines = read_count(r);
	c->lines = lines = arena_new(arena, c->n_lines, sizeof *lines);
	for (uint32_t i = 0; i < c->n_lines; i++)
		line_decode(r, arena, &lines[i]);
}

static void project_encode(const struct project_spec *p, struct buf *buf)
{
	buf_put_str(buf, p->name);
	buf_put_str(buf, p->parent);
	buf_put_str(buf, p->cohort);
	buf_put_uint(buf, p->weight_milli);
	buf_put_uint(buf, p->n_quotas);
	for (uint32_t i = 0; i < p->n_quotas; i++) {
		buf_put_str(buf, p->quotas[i].kind);
		buf_put_uint(buf, p->quotas[i].nominal_milli);
		buf_put_uint(buf, p->quotas[i].borrowing_milli);
		buf_put_uint(buf, p->quotas[i].lending_milli);
	}
}

static void project_decode(struct reader *r, struct arena *arena, struct project_spec *p)
{
	struct quota_spec *quotas;

	p->name = read_str(r, arena);
	p->parent = read_optional(r, arena);
	p->cohort = read_optional(r, arena);
	p->weight_milli = (uint32_t)read_uint_max(r, UINT32_MAX);
	p->n_quotas = read_count(r);
	p->quotas = quotas = arena_new(arena, p->n_quotas, sizeof *quotas);
	for (uint32_t i = 0; i < p->n_quotas; i++) {
		quotas[i].kind = read_str(r, arena);
		quotas[i].nominal_milli = read_uint(r);
		quotas[i].borrowing_milli = read_uint(r);
		quotas[i].lending_milli = read_uint(r);
	}
}

static void link_encode(const struct link_spec *l, struct buf *buf)
{
	buf_put_str(buf, l->name);
	buf_put_str(buf, l->ends[0]);
	buf_put_str(buf, l->ends[1]);
	buf_put_uint(buf, l->mbps);
	buf_put_uint(buf, l->latency_us);
	buf_put_uint(buf, l->price_micros_per_tib);
}

static void link_decode(struct reader *r, struct arena *arena, struct link_spec *l)
{
	l->name = read_str(r, arena);
	l->ends[0] = read_str(r, arena);
	l->ends[1] = read_str(r, arena);
	l->mbps = read_uint(r);
	l->latency_us = (uint32_t)read_uint_max(r, UINT32_MAX);
	l->price_micros_per_tib = read_uint(r);
}

void pool_spec_encode(const struct pool_spec *spec, struct buf *buf)
{
	buf_put_str(buf, spec->name);
	buf_put_str(buf, spec->currency);
	buf_put_uint(buf, spec->n_kinds);
	for (uint32_t i = 0; i < spec->n_kinds; i++)
		kind_encode(&spec->kinds[i], buf);
	buf_put_uint(buf, spec->n_centres);
	for (uint32_t i = 0; i < spec->n_centres; i++)
		centre_encode(&spec->centres[i], buf);
	buf_put_uint(buf, spec->n_links);
	for (uint32_t i = 0; i < spec->n_links; i++)
		link_encode(&spec->links[i], buf);
	buf_put_uint(buf, spec->n_projects);
	for (uint32_t i = 0; i < spec->n_projects; i++)
		project_encode(&spec->projects[i], buf);
}

int pool_spec_decode(struct reader *r, struct arena *arena, struct pool_spec *ret)
{
	struct pool_spec spec = {0};
	struct kind_spec *kinds;
	struct centre_spec *centres;
	struct link_spec *links;
	struct project_spec *projects;

	spec.name = read_str(r, arena);
	spec.currency = read_str(r, arena);
	spec.n_kinds = read_count(r);
	spec.kinds = kinds = arena_new(arena, spec.n_kinds, sizeof *kinds);
	for (uint32_t i = 0; i < spec.n_kinds; i++)
		kind_decode(r, arena, &kinds[i]);
	spec.n_centres = read_count(r);
	spec.centres = centres = arena_new(arena, spec.n_centres, sizeof *centres);
	for (uint32_t i = 0; i < spec.n_centres; i++)
		centre_decode(r, arena, &centres[i]);
	spec.n_links = read_count(r);
	spec.links = links = arena_new(arena, spec.n_links, sizeof *links);
	for (uint32_t i = 0; i < spec.n_links; i++)
		link_decode(r, arena, &links[i]);
	spec.n_projects = read_count(r);
	spec.projects = projects = arena_new(arena, spec.n_projects, sizeof *projects);
	for (uint32_t i = 0; i < spec.n_projects; i++)
		project_decode(r, arena, &projects[i]);
	if (r->bad)
		return ERR_CORRUPT;
	*ret = spec;
	return 0;
}

/* What is said of moves stands behind the rest, and only where it isn't what is usual: so configurations, and states, that were
 * written before there were moves are the bytes that they were. The policy's number tells: it is so much higher then. */
enum { WITH_MOVES = 8, UNSAID_GAIN_MILLI = 200 };
#define UNSAID_AFTER_US (30 * US_MINUTE)
#define UNSAID_LEAST_US (10 * US_MINUTE)

static bool has_moves(const struct config_spec *spec)
{
	return spec->move_after_us != UNSAID_AFTER_US || spec->move_gain_milli != UNSAID_GAIN_MILLI ||
	       spec->move_least_us != UNSAID_LEAST_US;
}

static void put_moves(const struct config_spec *spec, struct buf *buf)
{
	buf_put_uint(buf, (uint64_t)spec->move_after_us);
	buf_put_uint(buf, spec->move_gain_milli);
	buf_put_uint(buf, (uint64_t)spec->move_least_us);
}

static void read_moves(struct reader *r, struct config_spec *spec)
{
	spec->move_after_us = (us_t)read_uint_max(r, US_NEVER);
	spec->move_gain_milli = (uint32_t)read_uint_max(r, 1000);
	spec->move_least_us = (us_t)read_uint_max(r, US_DURATION_MAX);
}

void config_spec_encode(const struct config_spec *spec, struct buf *buf)
{
	buf_put_uint(buf, spec->policy + (has_moves(spec) ? WITH_MOVES : 0));
	buf_put_uint(buf, spec->reservations);
	buf_put_uint(buf, spec->max_restarts);
	buf_put_uint(buf, (uint64_t)spec->kill_grace_us);
	buf_put_uint(buf, (uint64_t)spec->lease_us);
	buf_put_uint(buf, (uint64_t)spec->history_after_us);
	buf_put_uint(buf, spec->history_jobs_max);
	buf_put_uint(buf, spec->jobs_max);
	buf_put_uint(buf, spec->seed);
	buf_put_uint(buf, (uint64_t)spec->starvation_after_us);
	buf_put_uint(buf, (uint64_t)spec->half_life_us);
	buf_put_uint(buf, spec->n_las_levels);
	for (uint32_t i = 0; i < spec->n_las_levels; i++)
		buf_put_uint(buf, (uint64_t)spec->las_levels_us[i]);
	buf_put_uint(buf, spec->cards_power_milli);
	buf_put_uint(buf, spec->finish_weight);
	buf_put_uint(buf, spec->price_weight);
	buf_put_uint(buf, spec->balance_weight);
	if (has_moves(spec))
		put_moves(spec, buf);
}

/* What version 2 added. */
static void read_config_2(struct reader *r, struct config_spec *spec)
{
	spec->starvation_after_us = (us_t)read_uint_max(r, US_NEVER);
	spec->half_life_us = (us_t)read_uint_max(r, US_NEVER);
	spec->n_las_levels = (uint32_t)read_uint_max(r, LAS_LEVELS_MAX);
	for (uint32_t i = 0; i < spec->n_las_levels; i++) {
		spec->las_levels_us[i] = (us_t)read_uint_max(r, US_NEVER);
		r->bad |= i > 0 && spec->las_levels_us[i] <= spec->las_levels_us[i - 1];
	}
	spec->cards_power_milli = (uint32_t)read_uint_max(r, 1000);
	spec->finish_weight = (uint32_t)read_uint_max(r, 1000);
	spec->price_weight = (uint32_t)read_uint_max(r, 1000);
	spec->balance_weight = (uint32_t)read_uint_max(r, 1000);
}

int config_spec_decode(struct reader *r, unsigned version, struct config_spec *ret)
{
	struct config_spec spec = config_default();
	uint32_t policy;

	spec.move_after_us = UNSAID_AFTER_US; /* whatever a later release's default is */
	spec.move_gain_milli = UNSAID_GAIN_MILLI;
	spec.move_least_us = UNSAID_LEAST_US;
	policy = (uint32_t)read_uint_max(r, WITH_MOVES + COUNT(policy_words) - 1);
	spec.policy = (enum policy)(policy % WITH_MOVES);
	r->bad |= policy % WITH_MOVES >= COUNT(policy_words);
	spec.reservations = (uint32_t)read_uint_max(r, RESERVATIONS_MAX);
	spec.max_restarts = (uint32_t)read_uint_max(r, UINT32_MAX);
	spec.kill_grace_us = (us_t)read_uint_max(r, US_DURATION_MAX);
	spec.lease_us = (us_t)read_uint_max(r, US_DURATION_MAX);
	spec.history_after_us = (us_t)read_uint_max(r, US_NEVER);
	spec.history_jobs_max = (uint32_t)read_uint_max(r, UINT32_MAX);
	spec.jobs_max = read_uint_max(r, UINT32_MAX);
	spec.seed = read_uint(r);
	if (version >= 2)
		read_config_2(r, &spec);
	if (policy >= WITH_MOVES)
		read_moves(r, &spec);
	if (r->bad)
		return ERR_CORRUPT;
	*ret = spec;
	return 0;
}
