/* SPDX-License-Identifier: Apache-2.0
 * pool_file.c: pool files into pool specs; see pool_file.h.
 *
 * A kind may be named before the file's own kinds are read, and a link before its centres, so names are looked up when the
 * whole file is in. What the core checks too (pool_new) is checked here as well where only the file knows the line. */
#include "format/pool_file.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/map.h"
#include "core/pool.h"
#include "format/form.h"

enum {
	POOL_YAML_NODES_MAX = 2000000,
	POOL_LINES_MAX = 100000,     /* of one centre */
	POOL_OPTIONS_MAX = 64,       /* of one engine */
	POOL_MONEY_MAX = 1000000000, /* of the currency, a card-hour or a TiB */
};

/* A pool while its file is being read. */
struct pool_draft {
	struct pool_spec spec;
	struct kind_spec *kinds; /* the file's own, then those of discoveries */
	uint32_t n_kinds, kinds_cap;
	struct centre_spec *centres;
	struct link_spec *links;
	struct project_spec *projects;
	pool_discover_fn *discover;
	void *discover_ctx;
};

/* ---- Kinds ---- */

static int read_vendor(struct form *form, const struct yaml *value, void *target)
{
	return form_name(form, value, &((struct kind_spec *)target)->vendor);
}

static int read_source(struct form *form, const struct yaml *value, void *target)
{
	return form_name(form, value, &((struct kind_spec *)target)->source);
}

static int read_class(struct form *form, const struct yaml *value, void *target)
{
	const char *words[CLASS_QUANTUM + 1];
	uint32_t class;

	for (int i = 0; i <= CLASS_QUANTUM; i++)
		words[i] = card_class_word((enum card_class)i);
	if (form_word(form, value, words, CLASS_QUANTUM + 1, &class) < 0)
		return form->err->code;
	((struct kind_spec *)target)->class = (enum card_class) class;
	return 0;
}

static int read_measured(struct form *form, const struct yaml *value, void *target)
{
	return form_bool(form, value, &((struct kind_spec *)target)->measured);
}

static int read_kind_memory(struct form *form, const struct yaml *value, void *target)
{
	return form_memory(form, value, false, false, &((struct kind_spec *)target)->memory_mib);
}

static int read_bandwidth(struct form *form, const struct yaml *value, void *target)
{
	uint64_t gbps;

	if (form_scaled(form, value, 1, false, 100000000, &gbps) < 0)
		return form->err->code;
	((struct kind_spec *)target)->bandwidth_gbps = (uint32_t)gbps;
	return 0;
}

static int read_watts(struct form *form, const struct yaml *value, void *target)
{
	return form_u32(form, value, 0, 1000000, &((struct kind_spec *)target)->watts);
}

/* A trillion operations a second, kept in thousandths of that. */
static int read_flops(struct form *form, const struct yaml *value, struct kind_spec *kind, const char *word)
{
	int precision = precision_from_word(word);

	assert(precision >= 0);
	return form_scaled(form, value, 1000, false, 1000000000, &kind->gflops[precision]);
}

/* The key is the precision; of a flat key, what stands before "_tflops". */
static int read_precision(struct form *form, const struct yaml *value, void *target)
{
	size_t len = strcspn(value->key, "_");

	return read_flops(form, value, target, arena_strndup(form->arena, value->key, len));
}

static int read_tflops(struct form *form, const struct yaml *value, void *target)
{
	static const struct form_key keys[] = {
		{"fp64", read_precision}, {"fp32", read_precision}, {"tf32", read_precision},
		{"fp16", read_precision}, {"int8", read_precision},
	};
	static const struct form_table table = {keys, FORM_COUNT(keys), NULL, 0};

	return form_map(form, value, &table, target);
}

static const struct form_key kind_keys[] = {
	{"vendor", read_vendor},
	{"class", read_class},
	{"memory_gib", read_kind_memory},
	{"tflops", read_tflops},
	{"fp64_tflops", read_precision},
	{"fp32_tflops", read_precision},
	{"tf32_tflops", read_precision},
	{"fp16_tflops", read_precision},
	{"int8_tflops", read_precision},
	{"bandwidth_gbps", read_bandwidth},
	{"watts", read_watts},
	{"source", read_source},
	{"measured", read_measured},
};
static const struct form_table kind_table = {kind_keys, FORM_COUNT(kind_keys), NULL, 0};

static struct kind_spec *find_kind(const struct pool_draft *draft, const char *name)
{
	for (uint32_t i = 0; i < draft->n_kinds; i++)
		if (!strcmp(draft->kinds[i].name, name))
			return &draft->kinds[i];
	return NULL;
}

static int add_kind(struct form *form, const struct yaml *at, struct pool_draft *draft, const struct kind_spec *kind)
{
	if (draft->n_kinds == POOL_KINDS_MAX)
		return form_fail(form, at, "more than %d kinds of card", POOL_KINDS_MAX);
	if (!draft->kinds)
		draft->kinds = arena_new(form->arena, POOL_KINDS_MAX, sizeof *draft->kinds);
	draft->kinds[draft->n_kinds++] = *kind;
	return 0;
}

/* What the file says of a kind goes over what the catalogue has of it. */
static int read_kind(struct form *form, const struct yaml *value, struct pool_draft *draft)
{
	const struct kind_spec *known = catalogue_find(value->key);
	struct kind_spec kind = known ? *known : (struct kind_spec){.vendor = "", .class = CLASS_INTELLIGENT};

	if (!spec_name_ok(value->key) || strpbrk(value->key, ":*,|=") || !strcmp(value->key, "any"))
		return form_fail(form, value, "expected a kind's name, without any of : * , | = and not any");
	kind.name = value->key;
	kind.source = "pool file";
	if (form_map(form, value, &kind_table, &kind) < 0)
		return form->err->code;
	return add_kind(form, value, draft, &kind);
}

static int read_kinds(struct form *form, const struct yaml *value, void *target)
{
	if (value->type != YAML_MAP)
		return form_fail(form, value, "expected a map of kinds, such as {v100: {memory_gib: 32}}");
	for (const struct yaml *m = value->first; m; m = m->next)
		if (read_kind(form, m, target) < 0)
			return form_within(form, m, m->key);
	return 0;
}

/* ---- Nodes ---- */

static int read_line_count(struct form *form, const struct yaml *value, void *target)
{
	return form_u32(form, value, 1, POOL_NODES_MAX, &((struct line_spec *)target)->count);
}

static int read_line_kind(struct form *form, const struct yaml *value, void *target)
{
	return form_name(form, value, &((struct line_spec *)target)->kind);
}

static int read_cards(struct form *form, const struct yaml *value, void *target)
{
	return form_u32(form, value, 0, CARDS_PER_NODE_MAX, &((struct line_spec *)target)->cards);
}

static int read_line_cpus(struct form *form, const struct yaml *value, void *target)
{
	return form_cpus(form, value, false, false, &((struct line_spec *)target)->cpus_milli);
}

static int read_line_memory(struct form *form, const struct yaml *value, void *target)
{
	return form_memory(form, value, false, false, &((struct line_spec *)target)->memory_mib);
}

static int read_nodes_per_rack(struct form *form, const struct yaml *value, void *target)
{
	return form_u32(form, value, 1, POOL_NODES_MAX, &((struct line_spec *)target)->nodes_per_rack);
}

static int read_racks_per_pod(struct form *form, const struct yaml *value, void *target)
{
	return form_u32(form, value, 1, POOL_NODES_MAX, &((struct line_spec *)target)->racks_per_pod);
}

static const struct form_key line_keys[] = {
	{"count", read_line_count},
	{"kind", read_line_kind},
	{"cards", read_cards},
	{"cpus", read_line_cpus},
	{"memory_gib", read_line_memory},
	{"nodes_per_rack", read_nodes_per_rack},
	{"racks_per_pod", read_racks_per_pod},
};
static const struct form_table line_table = {line_keys, FORM_COUNT(line_keys), NULL, 0};

static int read_line(struct form *form, const struct yaml *value, void *target)
{
	struct line_spec *line = target;

	*line = (struct line_spec){.count = 1, .cpus_milli = UNCOUNTED, .memory_mib = UNCOUNTED};
	if (form_map(form, value, &line_table, line) < 0)
		return form->err->code;
	if (line->kind && !line->cards)
		return form_fail(form, value, "no cards; expected cards: 1 to %d, a node's number of %s", CARDS_PER_NODE_MAX, line->kind);
	if (line->cards && !line->kind)
		return form_fail(form, value, "cards of no kind; expected kind: NAME");
	if (line->racks_per_pod && !line->nodes_per_rack)
		return form_fail(form, value, "racks_per_pod without nodes_per_rack, so the line is one rack");
	return 0;
}

static int read_nodes(struct form *form, const struct yaml *value, void *target)
{
	struct centre_spec *centre = target;

	return form_list(form, value, POOL_LINES_MAX, sizeof *centre->lines, read_line, &centre->lines, &centre->n_lines);
}

/* ---- Centres ---- */

static int read_centre_name(struct form *form, const struct yaml *value, void *target)
{
	return form_name(form, value, &((struct centre_spec *)target)->name);
}

static int read_region(struct form *form, const struct yaml *value, void *target)
{
	return form_name(form, value, &((struct centre_spec *)target)->region);
}

static int read_degrees(struct form *form, const struct yaml *value, uint32_t max, int32_t *ret)
{
	const char *text;
	uint64_t micros;

	if (form_text(form, value, &text) < 0)
		return form->err->code;
	if (units_parse_scaled(text + (*text == '-'), 1000000, false, (uint64_t)max * 1000000, &micros, form->err) < 0)
		return form_fail(form, value, "\"%.60s\": expected degrees from -%" PRIu32 " to %" PRIu32, text, max, max);
	*ret = *text == '-' ? -(int32_t)micros : (int32_t)micros;
	return 0;
}

static int read_location(struct form *form, const struct yaml *value, void *target)
{
	struct centre_spec *centre = target;

	if (value->type != YAML_LIST || value->n != 2)
		return form_fail(form, value, "expected [latitude, longitude], such as [39.38, 117.04]");
	if (read_degrees(form, value->first, 90, &centre->latitude_udeg) < 0)
		return form_within_index(form, value->first, 0);
	if (read_degrees(form, value->first->next, 180, &centre->longitude_udeg) < 0)
		return form_within_index(form, value->first->next, 1);
	return 0;
}

static int read_engine_type(struct form *form, const struct yaml *value, void *target)
{
	static const char *const words[] = {"local", "simulated", "slurm", "kubernetes"};
	uint32_t which;

	if (form_word(form, value, words, FORM_COUNT(words), &which) < 0)
		return form->err->code;
	((struct centre_spec *)target)->engine = words[which];
	return 0;
}

/* {type: ..., and what that engine reads for itself}. */
static int read_engine(struct form *form, const struct yaml *value, void *target)
{
	struct centre_spec *centre = target;
	struct option_spec *options = arena_new(form->arena, value->n, sizeof *options);
	uint32_t n = 0;

	if (value->type != YAML_MAP || value->n > POOL_OPTIONS_MAX)
		return form_fail(form, value, "expected {type: local} or {type: simulated}, and the engine's options");
	for (const struct yaml *m = value->first; m; m = m->next) {
		int rc = 0;

		if (!strcmp(m->key, "type")) {
			rc = read_engine_type(form, m, centre);
		} else if (!yaml_is_null(m)) {
			options[n].key = m->key;
			rc = form_text(form, m, &options[n++].value);
		}
		if (rc < 0)
			return form_within(form, m, m->key);
	}
	if (!centre->engine)
		return form_fail(form, value, "expected type: local or simulated");
	centre->options = options;
	centre->n_options = n;
	return 0;
}

static int read_pue(struct form *form, const struct yaml *value, void *target)
{
	uint64_t milli;

	if (form_scaled(form, value, 1000, false, 10000, &milli) < 0)
		return form->err->code;
	if (milli < 1000)
		return form_fail(form, value, "\"%.60s\": power usage effectiveness is 1 or more", value->text);
	((struct centre_spec *)target)->pue_milli = (uint32_t)milli;
	return 0;
}

static int read_prices(struct form *form, const struct yaml *value, void *target)
{
	struct centre_spec *centre = target;
	struct price_spec *prices = arena_new(form->arena, value->n, sizeof *prices);
	uint32_t n = 0;

	if (value->type != YAML_MAP || value->n > POOL_KINDS_MAX)
		return form_fail(form, value, "expected a map of kinds and prices, such as {h800: 12.50}");
	for (const struct yaml *m = value->first; m; m = m->next, n++) {
		prices[n].kind = m->key;
		if (form_scaled(form, m, 1000000, false, (uint64_t)POOL_MONEY_MAX * 1000000, &prices[n].micros) < 0)
			return form_within(form, m, m->key);
	}
	centre->prices = prices;
	centre->n_prices = n;
	return 0;
}

static const struct form_key centre_keys[] = {
	{"name", read_centre_name}, {"region", read_region}, {"location", read_location},
	{"engine", read_engine},    {"pue", read_pue},       {"price_per_card_hour", read_prices},
	{"nodes", read_nodes},
};
static const struct form_table centre_table = {centre_keys, FORM_COUNT(centre_keys), NULL, 0};

static int read_centre(struct form *form, const struct yaml *value, void *target)
{
	struct centre_spec *centre = target;

	centre->region = "";
	if (form_map(form, value, &centre_table, centre) < 0)
		return form->err->code;
	if (!centre->name)
		return form_fail(form, value, "no name"), form_within(form, value, "name");
	if (!centre->engine)
		return form_fail(form, value, "no engine; expected {type: local} or {type: simulated}"),
		       form_within(form, value, "engine");
	return 0;
}

static int read_centres(struct form *form, const struct yaml *value, void *target)
{
	struct pool_draft *draft = target;

	return form_list(form, value, POOL_CENTRES_MAX, sizeof *draft->centres, read_centre, &draft->centres, &draft->spec.n_centres);
}

/* ---- Links ---- */

static int read_link_name(struct form *form, const struct yaml *value, void *target)
{
	return form_name(form, value, &((struct link_spec *)target)->name);
}

static int read_ends(struct form *form, const struct yaml *value, void *target)
{
	struct link_spec *link = target;
	uint32_t i = 0;

	if (value->type != YAML_LIST || value->n != 2)
		return form_fail(form, value, "expected the names of two centres, such as [beijing-yizhuang, tianjin-wuqing]");
	for (const struct yaml *m = value->first; m; m = m->next, i++)
		if (form_name(form, m, &link->ends[i]) < 0)
			return form_within_index(form, m, i);
	if (!strcmp(link->ends[0], link->ends[1]))
		return form_fail(form, value, "both ends are %.60s; expected two centres", link->ends[0]);
	return 0;
}

static int read_gbps(struct form *form, const struct yaml *value, void *target)
{
	struct link_spec *link = target;

	if (form_scaled(form, value, 1000, false, 1000000000, &link->mbps) < 0)
		return form->err->code;
	return link->mbps ? 0 : form_fail(form, value, "expected more than 0");
}

static int read_latency(struct form *form, const struct yaml *value, void *target)
{
	return form_u32(form, value, 0, 1000000000, &((struct link_spec *)target)->latency_us);
}

static int read_link_price(struct form *form, const struct yaml *value, void *target)
{
	return form_scaled(form, value, 1000000, false, (uint64_t)POOL_MONEY_MAX * 1000000,
	                   &((struct link_spec *)target)->price_micros_per_tib);
}

static const struct form_key link_keys[] = {
	{"name", read_link_name},           {"ends", read_ends}, {"gbps", read_gbps}, {"latency_us", read_latency},
	{"price_per_tib", read_link_price},
};
static const struct form_table link_table = {link_keys, FORM_COUNT(link_keys), NULL, 0};

static int read_link(struct form *form, const struct yaml *value, void *target)
{
	struct link_spec *link = target;

	if (form_map(form, value, &link_table, link) < 0)
		return form->err->code;
	if (!link->name || !link->ends[0] || !link->mbps)
		return form_fail(form, value, "expected name, ends and gbps");
	return 0;
}

static int read_links(struct form *form, const struct yaml *value, void *target)
{
	struct pool_draft *draft = target;

	return form_list(form, value, POOL_LINKS_MAX, sizeof *draft->links, read_link, &draft->links, &draft->spec.n_links);
}

/* ---- Projects ---- */

static int read_project_name(struct form *form, const struct yaml *value, void *target)
{
	return form_name(form, value, &((struct project_spec *)target)->name);
}

static int read_parent(struct form *form, const struct yaml *value, void *target)
{
	return form_name(form, value, &((struct project_spec *)target)->parent);
}

static int read_cohort(struct form *form, const struct yaml *value, void *target)
{
	return form_name(form, value, &((struct project_spec *)target)->cohort);
}

static int read_weight(struct form *form, const struct yaml *value, void *target)
{
	uint64_t milli;

	if (form_scaled(form, value, 1000, false, 1000000000, &milli) < 0)
		return form->err->code;
	if (!milli)
		return form_fail(form, value, "expected a weight over 0");
	((struct project_spec *)target)->weight_milli = (uint32_t)milli;
	return 0;
}

/* The quota of a kind, added where there is none. The array has room for every kind. */
static struct quota_spec *quota_of(struct form *form, struct project_spec *project, const char *kind)
{
	struct quota_spec *quotas = (struct quota_spec *)project->quotas;

	if (!quotas)
		project->quotas = quotas = arena_new(form->arena, POOL_KINDS_MAX, sizeof *quotas);
	for (uint32_t i = 0; i < project->n_quotas; i++)
		if (!strcmp(quotas[i].kind, kind))
			return &quotas[i];
	if (project->n_quotas == POOL_KINDS_MAX)
		return NULL;
	quotas[project->n_quotas] = (struct quota_spec){kind, 0, AMOUNT_NONE, AMOUNT_NONE};
	return &quotas[project->n_quotas++];
}

/* One of the three maps of kinds and cards. offset: of the member of quota_spec that it fills. */
static int read_quotas(struct form *form, const struct yaml *value, struct project_spec *project, size_t offset)
{
	if (value->type != YAML_MAP)
		return form_fail(form, value, "expected a map of kinds and cards, such as {ascend-910b2: 2048}");
	for (const struct yaml *m = value->first; m; m = m->next) {
		struct quota_spec *quota = quota_of(form, project, m->key);

		if (!quota)
			form_fail(form, m, "more than %d kinds", POOL_KINDS_MAX);
		if (!quota || form_scaled(form, m, 1000, false, UINT64_C(1000000000000), (uint64_t *)((char *)quota + offset)) < 0)
			return form_within(form, m, m->key);
	}
	return 0;
}

static int read_nominal(struct form *form, const struct yaml *value, void *target)
{
	return read_quotas(form, value, target, offsetof(struct quota_spec, nominal_milli));
}

static int read_borrowing(struct form *form, const struct yaml *value, void *target)
{
	return read_quotas(form, value, target, offsetof(struct quota_spec, borrowing_milli));
}

static int read_lending(struct form *form, const struct yaml *value, void *target)
{
	return read_quotas(form, value, target, offsetof(struct quota_spec, lending_milli));
}

static const struct form_key project_keys[] = {
	{"name", read_project_name},     {"parent", read_parent},         {"cohort", read_cohort},
	{"weight", read_weight},         {"nominal_quota", read_nominal}, {"borrowing_limit", read_borrowing},
	{"lending_limit", read_lending},
};
static const struct form_table project_table = {project_keys, FORM_COUNT(project_keys), NULL, 0};

static int read_project(struct form *form, const struct yaml *value, void *target)
{
	struct project_spec *project = target;

	project->weight_milli = 1000;
	if (form_map(form, value, &project_table, project) < 0)
		return form->err->code;
	if (!project->name)
		return form_fail(form, value, "no name"), form_within(form, value, "name");
	return 0;
}

static int read_projects(struct form *form, const struct yaml *value, void *target)
{
	struct pool_draft *draft = target;

	return form_list(form, value, POOL_PROJECTS_MAX, sizeof *draft->projects, read_project, &draft->projects,
	                 &draft->spec.n_projects);
}

/* ---- The whole ---- */

static int read_pool_name(struct form *form, const struct yaml *value, void *target)
{
	return form_name(form, value, &((struct pool_draft *)target)->spec.name);
}

static int read_currency(struct form *form, const struct yaml *value, void *target)
{
	return form_name(form, value, &((struct pool_draft *)target)->spec.currency);
}

static const struct form_key pool_keys[] = {
	{"pool", read_pool_name},  {"currency", read_currency}, {"kinds", read_kinds},
	{"centres", read_centres}, {"links", read_links},       {"projects", read_projects},
};
static const struct form_table pool_table = {pool_keys, FORM_COUNT(pool_keys), NULL, 0};

/* Where in the file something stands, for the errors that are found when all of it is read. */
static const struct yaml *element(const struct yaml *root, const char *key, uint32_t index)
{
	const struct yaml *list = yaml_member(root, key), *m = list ? list->first : NULL;

	while (m && index--)
		m = m->next;
	return m ? m : root;
}

/* Puts the place of an element in front of an error about its `field`. */
static int fail_in(struct form *form, const struct yaml *root, const char *list, uint32_t index, const char *field)
{
	const struct yaml *at = element(root, list, index), *member = yaml_member(at, field);

	if (!form->err->line)
		form->err->line = member ? member->line : at->line;
	if (field)
		err_within(form->err, field);
	form_within_index(form, at, index);
	return err_within(form->err, list);
}

/* Names of centres, links or projects: each stands once. names: the first of `n` structures `size` bytes apart begins with
 * its name. */
static int check_unique(struct form *form, const struct yaml *root, const char *list, const void *items, uint32_t n, size_t size,
                        struct strtab *names)
{
	for (uint32_t i = 0; i < n; i++) {
		const char *name = *(const char *const *)((const char *)items + i * size);
		uint32_t number = strtab_add(names, name);

		if (number == i)
			continue;
		form_fail(form, NULL, "\"%.60s\" stands twice; first on line %" PRIu32, name, element(root, list, number)->line);
		return fail_in(form, root, list, i, "name");
	}
	return 0;
}

static int check_links(struct form *form, const struct yaml *root, const struct pool_draft *draft, const struct strtab *centres)
{
	for (uint32_t i = 0; i < draft->spec.n_links; i++) {
		for (int end = 0; end < 2; end++) {
			const char *name = draft->links[i].ends[end];

			if (strtab_find(centres, name) != STRTAB_NONE)
				continue;
			form_fail(form, NULL, "\"%.60s\": no centre has that name%s", name,
			          form_did_you_mean(form, name, centres->names, centres->count));
			err_within(form->err, end ? "[1]" : "[0]");
			return fail_in(form, root, "links", i, "ends");
		}
	}
	return 0;
}

/* Parents are there, and nobody is their own ancestor. */
static int check_parents(struct form *form, const struct yaml *root, const struct pool_draft *draft,
                         const struct strtab *projects)
{
	uint32_t n = draft->spec.n_projects;
	uint32_t *parents = arena_new(form->arena, n, sizeof *parents), *reached = arena_new(form->arena, n, sizeof *reached);

	for (uint32_t i = 0; i < n; i++) {
		const char *parent = draft->projects[i].parent;

		parents[i] = parent ? strtab_find(projects, parent) : STRTAB_NONE;
		if (!parent || parents[i] != STRTAB_NONE)
			continue;
		form_fail(form, NULL, "\"%.60s\": no project has that name%s", parent,
		          form_did_you_mean(form, parent, projects->names, projects->count));
		return fail_in(form, root, "projects", i, "parent");
	}
	/* reached[p]: the walk upward, from 1, that came by p first; coming by it twice in one walk is a cycle. */
	for (uint32_t i = 0; i < n; i++) {
		uint32_t p = i;

		while (p != STRTAB_NONE && !reached[p]) {
			reached[p] = i + 1;
			p = parents[p];
		}
		if (p == STRTAB_NONE || reached[p] != i + 1)
			continue;
		form_fail(form, NULL, "\"%.60s\": its parents lead back to it", draft->projects[p].name);
		return fail_in(form, root, "projects", p, "parent");
	}
	return 0;
}

/* Adds a kind that something names to those of the pool; from the file, else from the catalogue. */
static int use_kind(struct form *form, const struct pool_draft *draft, const char *name, struct kind_spec *used, uint32_t *n)
{
	const struct kind_spec *kind = find_kind(draft, name);
	const struct kind_spec *all;
	const char **names;
	uint32_t n_all;

	for (uint32_t i = 0; i < *n; i++)
		if (!strcmp(used[i].name, name))
			return 0;
	if (!kind)
		kind = catalogue_find(name);
	if (kind && *n < POOL_KINDS_MAX) {
		used[(*n)++] = *kind;
		return 0;
	}
	if (kind)
		return form_fail(form, NULL, "more than %d kinds of card", POOL_KINDS_MAX);
	all = catalogue_all(&n_all);
	names = arena_new(form->arena, n_all + draft->n_kinds, sizeof *names);
	for (uint32_t i = 0; i < n_all; i++)
		names[i] = all[i].name;
	for (uint32_t i = 0; i < draft->n_kinds; i++)
		names[n_all + i] = draft->kinds[i].name;
	return form_fail(form, NULL, "\"%.60s\": no kind of card has that name%s; describe it under kinds", name,
	                 form_did_you_mean(form, name, names, n_all + draft->n_kinds));
}

static int use_centre_kinds(struct form *form, const struct yaml *root, const struct pool_draft *draft, uint32_t i,
                            struct kind_spec *used, uint32_t *n)
{
	const struct centre_spec *centre = &draft->centres[i];
	const struct yaml *nodes = yaml_member(element(root, "centres", i), "nodes");
	const struct yaml *at = nodes ? nodes->first : NULL;

	for (uint32_t l = 0; l < centre->n_lines; l++, at = at ? at->next : NULL) {
		const struct yaml *kind = at ? yaml_member(at, "kind") : NULL;

		if (!centre->lines[l].kind || use_kind(form, draft, centre->lines[l].kind, used, n) == 0)
			continue;
		if (kind)
			form->err->line = kind->line;
		err_within(form->err, "kind");
		err_within(form->err, arena_printf(form->arena, "[%" PRIu32 "]", l));
		return fail_in(form, root, "centres", i, "nodes");
	}
	for (uint32_t p = 0; p < centre->n_prices; p++) {
		if (use_kind(form, draft, centre->prices[p].kind, used, n) == 0)
			continue;
		err_within(form->err, centre->prices[p].kind);
		return fail_in(form, root, "centres", i, "price_per_card_hour");
	}
	return 0;
}

static int use_kinds(struct form *form, const struct yaml *root, struct pool_draft *draft)
{
	struct kind_spec *used = arena_new(form->arena, POOL_KINDS_MAX, sizeof *used);
	uint32_t n = 0;

	for (uint32_t i = 0; i < draft->spec.n_centres; i++)
		if (use_centre_kinds(form, root, draft, i, used, &n) < 0)
			return form->err->code;
	for (uint32_t i = 0; i < draft->spec.n_projects; i++) {
		for (uint32_t q = 0; q < draft->projects[i].n_quotas; q++) {
			if (use_kind(form, draft, draft->projects[i].quotas[q].kind, used, &n) == 0)
				continue;
			return fail_in(form, root, "projects", i, "nominal_quota");
		}
	}
	draft->spec.kinds = used;
	draft->spec.n_kinds = n;
	return 0;
}

/* The nodes of a centre that names none, as its engine finds them. */
static int discover_nodes(struct form *form, const struct yaml *root, struct pool_draft *draft, uint32_t i)
{
	struct centre_spec *centre = &draft->centres[i];
	const struct kind_spec *kinds = NULL;
	uint32_t n_kinds = 0;

	if (!draft->discover) {
		form_fail(form, NULL, "no nodes; expected a list such as [{count: 4, kind: h800, cards: 8}]");
		return fail_in(form, root, "centres", i, "nodes");
	}
	if (draft->discover(draft->discover_ctx, centre, form->arena, &centre->lines, &centre->n_lines, &kinds, &n_kinds, form->err) <
	    0) {
		form->err->line = 0;
		return fail_in(form, root, "centres", i, "nodes");
	}
	for (uint32_t k = 0; k < n_kinds; k++)
		if (!find_kind(draft, kinds[k].name) && add_kind(form, NULL, draft, &kinds[k]) < 0)
			return fail_in(form, root, "centres", i, "nodes");
	return 0;
}

static int fill_nodes(struct form *form, const struct yaml *root, struct pool_draft *draft)
{
	uint64_t nodes = 0;

	for (uint32_t i = 0; i < draft->spec.n_centres; i++) {
		if (!draft->centres[i].n_lines && discover_nodes(form, root, draft, i) < 0)
			return form->err->code;
		for (uint32_t l = 0; l < draft->centres[i].n_lines; l++)
			nodes += draft->centres[i].lines[l].count;
		if (nodes <= POOL_NODES_MAX)
			continue;
		form_fail(form, NULL, "%" PRIu64 " nodes up to here; a pool has at most %d", nodes, POOL_NODES_MAX);
		return fail_in(form, root, "centres", i, "nodes");
	}
	return 0;
}

static int check_names(struct form *form, const struct yaml *root, const struct pool_draft *draft)
{
	struct strtab centres = {0}, links = {0}, projects = {0};
	const struct pool_spec *spec = &draft->spec;
	int rc = check_unique(form, root, "centres", draft->centres, spec->n_centres, sizeof *draft->centres, &centres);

	if (rc == 0)
		rc = check_unique(form, root, "links", draft->links, spec->n_links, sizeof *draft->links, &links);
	if (rc == 0)
		rc = check_unique(form, root, "projects", draft->projects, spec->n_projects, sizeof *draft->projects, &projects);
	if (rc == 0)
		rc = check_links(form, root, draft, &centres);
	if (rc == 0)
		rc = check_parents(form, root, draft, &projects);
	strtab_done(&centres);
	strtab_done(&links);
	strtab_done(&projects);
	return rc;
}

static int read_file(struct form *form, const char *text, size_t len, struct pool_draft *draft)
{
	static const struct yaml_bounds bounds = {POOL_FILE_BYTES_MAX, POOL_YAML_NODES_MAX};
	struct yaml *root = NULL;

	if (yaml_parse(text, len, &bounds, form->arena, &root, form->err) < 0)
		return form->err->code;
	if (!root || yaml_is_null(root))
		return form_fail(form, NULL,
		                 "empty; expected a pool file, such as {pool: mine, centres: [{name: here, engine: {type: local}}]}");
	if (form_map(form, root, &pool_table, draft) < 0)
		return form->err->code;
	if (!draft->spec.n_centres)
		return form_fail(form, root, "expected one centre or more"), form_within(form, root, "centres");
	if (check_names(form, root, draft) < 0 || fill_nodes(form, root, draft) < 0 || use_kinds(form, root, draft) < 0)
		return form->err->code;
	draft->spec.centres = draft->centres;
	draft->spec.links = draft->links;
	draft->spec.projects = draft->projects;
	return 0;
}

int pool_file_parse(const char *text, size_t len, pool_discover_fn *discover, void *ctx, struct arena *arena,
                    struct pool_spec *ret, const char *const **ret_warnings, uint32_t *ret_n_warnings, struct err *err)
{
	struct err scratch;
	struct form form = {.arena = arena, .err = err ? err : &scratch};
	struct pool_draft draft = {.spec = {.name = "pool", .currency = "CNY"}, .discover = discover, .discover_ctx = ctx};

	if (read_file(&form, text, len, &draft) < 0)
		return form.err->code;
	*ret = draft.spec;
	if (ret_warnings)
		*ret_warnings = form.warnings;
	if (ret_n_warnings)
		*ret_n_warnings = form.n_warnings;
	return 0;
}
