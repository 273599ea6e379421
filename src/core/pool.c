/* SPDX-License-Identifier: Apache-2.0
 * pool.c: building the tree of domains from lines of equal nodes; see pool.h.
 *
 * Invariants: every domain's nodes are a run of numbers; a shelf's pods, and all of its racks, are runs of domains;
 * a node's number in its centre is its place in the pool file, whatever its shelf. */
#include "core/pool.h"

#include "base/bitset.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- Checking ---- */

/* Adds a name to a table of those seen; ERR_INVALID where it can't be a name, or was there already. */
static int check_name(struct strtab *seen, const char *list, uint32_t i, const char *name, struct err *err)
{
	char subject[64];
	uint32_t before = seen->count;

	snprintf(subject, sizeof subject, "%s[%" PRIu32 "].name", list, i);
	if (!name || !spec_name_ok(name) || strchr(name, '/'))
		return err_set(err, ERR_INVALID, subject,
		               "\"%.60s\": expected 1 to %d bytes of text without control characters, quotes or slashes",
		               name ? name : "", NAME_LEN_MAX);
	if (strtab_add(seen, name) != before)
		return err_set(err, ERR_INVALID, subject, "\"%.60s\": there is one of this name already", name);
	return 0;
}

static int check_known(const struct strtab *seen, const char *subject, const char *what, const char *name, struct err *err)
{
	const char *near;

	if (strtab_find(seen, name) != STRTAB_NONE)
		return 0;
	near = spec_nearest(name, seen->names, seen->count);
	return err_set(err, ERR_INVALID, subject, "\"%.60s\": there is no such %s%s%.60s%s", name, what,
	               near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static int check_line(const struct line_spec *l, const struct strtab *kinds, const char *subject, uint64_t *nodes,
                      struct err *err)
{
	if (l->count == 0)
		return err_set(err, ERR_INVALID, subject, "count: 0: expected 1 or more nodes");
	if (l->cards > CARDS_PER_NODE_MAX)
		return err_set(err, ERR_INVALID, subject, "cards: %" PRIu32 ": a node has at most %d", l->cards, CARDS_PER_NODE_MAX);
	if (l->cards && !l->kind)
		return err_set(err, ERR_INVALID, subject, "kind: missing: nodes with cards say of which kind");
	if (!l->cards && l->kind)
		return err_set(err, ERR_INVALID, subject, "cards: 0: nodes with a kind have 1 card or more");
	if (l->kind && check_known(kinds, subject, "kind of card", l->kind, err) < 0)
		return err->code;
	*nodes += l->count;
	if (*nodes > POOL_NODES_MAX)
		return err_set(err, ERR_INVALID, subject, "count: the pool has more than %d nodes", POOL_NODES_MAX);
	return 0;
}

static int check_centres(const struct pool_spec *spec, const struct strtab *kinds, struct strtab *centres, struct err *err)
{
	uint64_t nodes = 0;
	char subject[64];

	if (spec->n_centres == 0 || spec->n_centres > POOL_CENTRES_MAX)
		return err_set(err, ERR_INVALID, "centres", "%" PRIu32 ": expected 1 to %d", spec->n_centres, POOL_CENTRES_MAX);
	for (uint32_t i = 0; i < spec->n_centres; i++) {
		const struct centre_spec *c = &spec->centres[i];

		if (check_name(centres, "centres", i, c->name, err) < 0)
			return err->code;
		for (uint32_t k = 0; k < c->n_lines; k++) {
			snprintf(subject, sizeof subject, "centres[%" PRIu32 "].nodes[%" PRIu32 "]", i, k);
			if (check_line(&c->lines[k], kinds, subject, &nodes, err) < 0)
				return err->code;
		}
		for (uint32_t k = 0; k < c->n_prices; k++) {
			snprintf(subject, sizeof subject, "centres[%" PRIu32 "].price_per_card_hour", i);
			if (check_known(kinds, subject, "kind of card", c->prices[k].kind, err) < 0)
				return err->code;
		}
	}
	return 0;
}

static int check_links(const struct pool_spec *spec, const struct strtab *centres, struct strtab *links, struct err *err)
{
	char subject[64];

	for (uint32_t i = 0; i < spec->n_links; i++) {
		const struct link_spec *l = &spec->links[i];

		if (check_name(links, "links", i, l->name, err) < 0)
			return err->code;
		snprintf(subject, sizeof subject, "links[%" PRIu32 "].ends", i);
		for (int end = 0; end < 2; end++)
			if (check_known(centres, subject, "centre", l->ends[end], err) < 0)
				return err->code;
		if (!strcmp(l->ends[0], l->ends[1]))
			return err_set(err, ERR_INVALID, subject, "\"%.60s\": both ends are the same centre", l->ends[0]);
	}
	return 0;
}

/* Every parent is declared, following parents ends at a root, and none of them is of the project's own cohort, in which what the
 * project holds would count twice. */
static int check_parents(const struct pool_spec *spec, const struct strtab *projects, uint32_t i, struct err *err)
{
	const struct project_spec *own = &spec->projects[i], *p = own;
	char subject[64];

	snprintf(subject, sizeof subject, "projects[%" PRIu32 "].parent", i);
	for (uint32_t steps = 1; p->parent; steps++) {
		if (check_known(projects, subject, "project", p->parent, err) < 0)
			return err->code;
		p = &spec->projects[strtab_find(projects, p->parent)];
		if (p == own || steps > spec->n_projects)
			return err_set(err, ERR_INVALID, subject, "\"%.60s\": its parents go in a circle", own->parent);
		if (steps > PROJECT_DEPTH_MAX)
			return err_set(err, ERR_INVALID, subject, "\"%.60s\": more than %d projects above it", own->parent,
			               PROJECT_DEPTH_MAX);
		if (!own->cohort || !p->cohort || strcmp(own->cohort, p->cohort) != 0)
			continue;
		snprintf(subject, sizeof subject, "projects[%" PRIu32 "].cohort", i);
		return err_set(err, ERR_INVALID, subject, "\"%.60s\": %.60s, above it, is of that cohort already", own->cohort, p->name);
	}
	return 0;
}

static int check_projects(const struct pool_spec *spec, const struct strtab *kinds, struct strtab *projects, struct err *err)
{
	char subject[64];

	for (uint32_t i = 0; i < spec->n_projects; i++)
		if (check_name(projects, "projects", i, spec->projects[i].name, err) < 0)
			return err->code;
	for (uint32_t i = 0; i < spec->n_projects; i++) {
		const struct project_spec *p = &spec->projects[i];

		if (check_parents(spec, projects, i, err) < 0)
			return err->code;
		snprintf(subject, sizeof subject, "projects[%" PRIu32 "].nominal_quota", i);
		for (uint32_t k = 0; k < p->n_quotas; k++)
			if (check_known(kinds, subject, "kind of card", p->quotas[k].kind, err) < 0)
				return err->code;
	}
	return 0;
}

int pool_check(const struct pool_spec *spec, struct err *err)
{
	struct strtab kinds = {0}, centres = {0}, links = {0}, projects = {0};
	struct err own;
	int rc = 0;

	err = err ? err : &own;
	if (spec->n_kinds > POOL_KINDS_MAX || spec->n_links > POOL_LINKS_MAX || spec->n_projects > POOL_PROJECTS_MAX)
		return err_set(err, ERR_INVALID, "pool", "more than %d kinds, %d links or %d projects", POOL_KINDS_MAX, POOL_LINKS_MAX,
		               POOL_PROJECTS_MAX);
	for (uint32_t i = 0; i < spec->n_kinds && !rc; i++)
		rc = check_name(&kinds, "kinds", i, spec->kinds[i].name, err);
	if (!rc)
		rc = check_centres(spec, &kinds, &centres, err);
	if (!rc)
		rc = check_links(spec, &centres, &links, err);
	if (!rc)
		rc = check_projects(spec, &kinds, &projects, err);
	strtab_done(&kinds);
	strtab_done(&centres);
	strtab_done(&links);
	strtab_done(&projects);
	return rc;
}

/* ---- Building ---- */

static void copy_spec(struct pool *pool, const struct pool_spec *spec)
{
	struct buf buf = {0};
	struct reader r;
	int rc;

	pool_spec_encode(spec, &buf);
	r = reader_of(buf.data, buf.len);
	rc = pool_spec_decode(&r, &pool->arena, &pool->spec);
	assert(rc == 0);
	(void)rc;
	buf_done(&buf);
}

static uint32_t add_domain(struct pool *pool, uint32_t *cap, enum tier tier, uint32_t cards_max)
{
	mem_grow((void **)&pool->domains, cap, pool->n_domains, sizeof *pool->domains);
	pool->domains[pool->n_domains] = (struct domain){
		.tier = tier, .parent = NODE_NONE, .node_first = pool->n_nodes, .hist_first = pool->n_hist};
	pool->n_hist += cards_max + 1;
	return pool->n_domains++;
}

static uint64_t price_of(const struct centre_spec *centre, const char *kind)
{
	for (uint32_t i = 0; kind && i < centre->n_prices; i++)
		if (!strcmp(centre->prices[i].kind, kind))
			return centre->prices[i].micros;
	return 0;
}

static bool same_kind(const struct line_spec *a, const struct line_spec *b)
{
	return a->kind && b->kind ? !strcmp(a->kind, b->kind) : a->kind == b->kind;
}

static void add_nodes(struct pool *pool, uint32_t shelf, const struct line_spec *line, uint32_t number_first)
{
	struct centre *centre = &pool->centres[pool->shelves[shelf].centre];

	for (uint32_t i = 0; i < line->count; i++) {
		uint32_t id = pool->n_nodes++;

		pool->nodes[id] = (struct node){
			.centre = pool->shelves[shelf].centre,
			.shelf = shelf,
			.number = number_first + i,
			.card_first = pool->n_cards,
			.cards = line->cards,
			.cpus_milli = line->cpus_milli,
			.memory_mib = line->memory_mib,
		};
		pool->node_of_number[centre->node_first + number_first + i] = id;
		pool->n_cards += line->cards;
	}
}

/* Cuts a line's nodes, which are the last `count` of the pool, into runs of `size` and makes a domain of each. */
static void cut(struct pool *pool, uint32_t *cap, enum tier tier, uint32_t first, uint32_t count, uint64_t size,
                uint32_t cards_max)
{
	for (uint32_t at = 0; at < count;) {
		uint32_t n = size && size < count - at ? (uint32_t)size : count - at;
		uint32_t id = add_domain(pool, cap, tier, cards_max);

		pool->domains[id].node_first = first + at;
		pool->domains[id].n_nodes = n;
		at += n;
	}
}

/* Every line of one kind at a centre, in the order of the file: first their nodes, then the shelf's pods, then its racks. */
static void add_shelf(struct pool *pool, uint32_t centre, const struct centre_spec *spec, uint32_t first_line, uint32_t *cap)
{
	struct shelf *shelf = &pool->shelves[pool->n_shelves];
	uint32_t id = pool->n_shelves++, number = 0, node_first = pool->n_nodes, at;
	const struct line_spec *first = &spec->lines[first_line];

	*shelf = (struct shelf){
		.centre = centre,
		.kind = first->kind ? pool_find_kind(pool, first->kind) : KIND_NONE,
		.price_micros = price_of(spec, first->kind),
	};
	for (uint32_t i = 0; i < spec->n_lines; number += spec->lines[i++].count) {
		if (!same_kind(first, &spec->lines[i]))
			continue;
		if (spec->lines[i].cards > shelf->cards_max)
			shelf->cards_max = spec->lines[i].cards;
		shelf->cards += (uint64_t)spec->lines[i].cards * spec->lines[i].count;
		add_nodes(pool, id, &spec->lines[i], number);
	}
	shelf->domain = add_domain(pool, cap, TIER_CENTRE, shelf->cards_max);
	pool->domains[shelf->domain].node_first = node_first;
	pool->domains[shelf->domain].n_nodes = pool->n_nodes - node_first;
	shelf->pod_first = pool->n_domains;
	at = node_first;
	for (uint32_t i = 0; i < spec->n_lines; i++)
		if (same_kind(first, &spec->lines[i])) {
			const struct line_spec *l = &spec->lines[i];

			cut(pool, cap, TIER_POD, at, l->count, (uint64_t)l->nodes_per_rack * l->racks_per_pod, shelf->cards_max);
			at += l->count;
		}
	shelf->n_pods = pool->n_domains - shelf->pod_first;
	shelf->rack_first = pool->n_domains;
	at = node_first;
	for (uint32_t i = 0; i < spec->n_lines; i++)
		if (same_kind(first, &spec->lines[i])) {
			cut(pool, cap, TIER_RACK, at, spec->lines[i].count, spec->lines[i].nodes_per_rack, shelf->cards_max);
			at += spec->lines[i].count;
		}
	shelf->n_racks = pool->n_domains - shelf->rack_first;
}

/* Makes a run of domains the children of another run; both cover the same nodes in order, and no child crosses a parent's end. */
static void adopt(struct pool *pool, uint32_t parent_first, uint32_t n_parents, uint32_t child_first, uint32_t n_children)
{
	uint32_t c = child_first;

	for (uint32_t p = parent_first; p < parent_first + n_parents; p++) {
		struct domain *parent = &pool->domains[p];

		parent->child_first = c;
		for (; c < child_first + n_children && pool->domains[c].node_first < parent->node_first + parent->n_nodes; c++)
			pool->domains[c].parent = p;
		parent->n_children = c - parent->child_first;
	}
	assert(c == child_first + n_children);
}

static uint32_t nodes_max(const struct pool *pool, uint32_t first, uint32_t n)
{
	uint32_t most = 0;

	for (uint32_t d = first; d < first + n; d++)
		most = pool->domains[d].n_nodes > most ? pool->domains[d].n_nodes : most;
	return most;
}

/* Room for sets of n domains of at most `nodes` nodes, one for each number of cards and of nodes. */
static uint32_t add_room_sets(struct pool *pool, uint32_t cards_max, uint32_t nodes, uint32_t n)
{
	uint32_t first = pool->n_sets;

	if (nodes > ROOM_MAX || n < 2)
		return NODE_NONE;
	pool->n_sets += cards_max * nodes * bitset_words(n);
	return first;
}

static void add_sets(struct pool *pool, struct shelf *shelf)
{
	shelf->nodes_set = pool->n_sets;
	pool->n_sets += (shelf->cards_max + 1) * bitset_words(pool->domains[shelf->domain].n_nodes);
	shelf->rack_nodes_max = nodes_max(pool, shelf->rack_first, shelf->n_racks);
	shelf->pod_nodes_max = nodes_max(pool, shelf->pod_first, shelf->n_pods);
	shelf->racks_set = add_room_sets(pool, shelf->cards_max, shelf->rack_nodes_max, shelf->n_racks);
	shelf->pods_set = add_room_sets(pool, shelf->cards_max, shelf->pod_nodes_max, shelf->n_pods);
}

/* What one node doesn't count has no sum to run out of. */
static uint64_t add_counted(uint64_t sum, uint32_t amount)
{
	return sum == AMOUNT_NONE || amount == UNCOUNTED ? AMOUNT_NONE : sum + amount;
}

static void add_up(const struct pool *pool, struct shelf *shelf)
{
	const struct domain *d = &pool->domains[shelf->domain];

	for (uint32_t n = d->node_first; n < d->node_first + d->n_nodes; n++) {
		shelf->cpus_milli = add_counted(shelf->cpus_milli, pool->nodes[n].cpus_milli);
		shelf->memory_mib = add_counted(shelf->memory_mib, pool->nodes[n].memory_mib);
	}
}

static void tie_shelf(struct pool *pool, struct shelf *shelf)
{
	add_up(pool, shelf);
	add_sets(pool, shelf);
	adopt(pool, shelf->domain, 1, shelf->pod_first, shelf->n_pods);
	adopt(pool, shelf->pod_first, shelf->n_pods, shelf->rack_first, shelf->n_racks);
	for (uint32_t r = shelf->rack_first; r < shelf->rack_first + shelf->n_racks; r++)
		for (uint32_t n = 0; n < pool->domains[r].n_nodes; n++)
			pool->nodes[pool->domains[r].node_first + n].rack = r;
}

static bool first_of_its_kind(const struct centre_spec *spec, uint32_t line)
{
	for (uint32_t i = 0; i < line; i++)
		if (same_kind(&spec->lines[i], &spec->lines[line]))
			return false;
	return true;
}

static void add_centre(struct pool *pool, uint32_t id, const struct centre_spec *spec, uint32_t *cap)
{
	struct centre *centre = &pool->centres[id];

	centre->spec = spec;
	centre->node_first = pool->n_nodes;
	centre->shelf_first = pool->n_shelves;
	for (uint32_t i = 0; i < spec->n_lines; i++)
		if (first_of_its_kind(spec, i))
			add_shelf(pool, id, spec, i, cap);
	centre->n_shelves = pool->n_shelves - centre->shelf_first;
	centre->n_nodes = pool->n_nodes - centre->node_first;
	for (uint32_t s = 0; s < centre->n_shelves; s++)
		tie_shelf(pool, &pool->shelves[centre->shelf_first + s]);
}

uint64_t pool_count_nodes(const struct pool_spec *spec)
{
	uint64_t n = 0;

	for (uint32_t c = 0; c < spec->n_centres; c++)
		for (uint32_t l = 0; l < spec->centres[c].n_lines; l++)
			n += spec->centres[c].lines[l].count;
	return n;
}

static uint32_t count_lines(const struct pool_spec *spec)
{
	uint32_t n = 0;

	for (uint32_t c = 0; c < spec->n_centres; c++)
		n += spec->centres[c].n_lines;
	return n;
}

struct pool *pool_new(const struct pool_spec *spec, struct strtab *kinds, struct strtab *centres)
{
	struct pool *pool = mem_new(1, sizeof *pool);
	uint32_t cap = 0, n_nodes = (uint32_t)pool_count_nodes(spec);

	copy_spec(pool, spec);
	spec = &pool->spec;
	for (uint32_t i = 0; i < spec->n_kinds; i++)
		strtab_add(kinds, spec->kinds[i].name);
	for (uint32_t i = 0; i < spec->n_centres; i++)
		strtab_add(centres, spec->centres[i].name);
	pool->n_kinds = kinds->count;
	pool->kinds = arena_new(&pool->arena, kinds->count, sizeof *pool->kinds);
	pool->kind_names = arena_new(&pool->arena, kinds->count, sizeof *pool->kind_names);
	for (uint32_t i = 0; i < kinds->count; i++)
		pool->kind_names[i] = arena_strdup(&pool->arena, strtab_name(kinds, i));
	for (uint32_t i = 0; i < spec->n_kinds; i++)
		pool->kinds[strtab_find(kinds, spec->kinds[i].name)] = &spec->kinds[i];
	pool->n_centres = centres->count;
	pool->centres = arena_new(&pool->arena, centres->count, sizeof *pool->centres);
	for (uint32_t i = 0; i < centres->count; i++)
		pool->centres[i].name = arena_strdup(&pool->arena, strtab_name(centres, i));
	pool->nodes = mem_new(n_nodes, sizeof *pool->nodes);
	pool->node_of_number = mem_new(n_nodes, sizeof *pool->node_of_number);
	pool->shelves = arena_new(&pool->arena, count_lines(spec), sizeof *pool->shelves);
	for (uint32_t i = 0; i < spec->n_centres; i++)
		add_centre(pool, strtab_find(centres, spec->centres[i].name), &spec->centres[i], &cap);
	assert(pool->n_nodes == n_nodes);
	return pool;
}

struct pool *pool_free(struct pool *pool)
{
	if (pool) {
		free(pool->nodes);
		free(pool->node_of_number);
		free(pool->domains);
		arena_done(&pool->arena);
		free(pool);
	}
	return NULL;
}

/* ---- Looking up ---- */

/* The same but for capitals, of ASCII letters alone: what strcasecmp says depends on the locale. */
static bool same_letters(const char *a, const char *b)
{
	for (; *a && *b; a++, b++) {
		char x = *a >= 'A' && *a <= 'Z' ? (char)(*a + 32) : *a, y = *b >= 'A' && *b <= 'Z' ? (char)(*b + 32) : *b;

		if (x != y)
			return false;
	}
	return *a == *b;
}

uint32_t pool_find_kind(const struct pool *pool, const char *name)
{
	uint32_t found = NODE_NONE, n = 0;

	for (uint32_t i = 0; i < pool->n_kinds; i++) {
		if (!pool->kinds[i] || !same_letters(pool->kind_names[i], name))
			continue;
		if (!strcmp(pool->kind_names[i], name))
			return i;
		found = i;
		n++;
	}
	return n == 1 ? found : NODE_NONE;
}

uint32_t pool_find_centre(const struct pool *pool, const char *name)
{
	for (uint32_t i = 0; i < pool->n_centres; i++)
		if (pool->centres[i].spec && !strcmp(pool->centres[i].spec->name, name))
			return i;
	return NODE_NONE;
}

uint32_t pool_node(const struct pool *pool, uint32_t centre, uint32_t number)
{
	if (centre >= pool->n_centres || number >= pool->centres[centre].n_nodes)
		return NODE_NONE;
	return pool->node_of_number[pool->centres[centre].node_first + number];
}

const char *pool_kind_name(const struct pool *pool, uint32_t kind)
{
	return kind == KIND_NONE ? "" : kind == KIND_ANY ? "any" : kind < pool->n_kinds ? pool->kind_names[kind] : "?";
}

const char *pool_centre_name(const struct pool *pool, uint32_t centre)
{
	return centre < pool->n_centres ? pool->centres[centre].name : "?";
}

uint32_t pool_domain_of(const struct pool *pool, uint32_t node, enum tier tier)
{
	uint32_t domain = pool->nodes[node].rack;

	while (pool->domains[domain].tier < tier)
		domain = pool->domains[domain].parent;
	return domain;
}
