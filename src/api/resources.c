/* SPDX-License-Identifier: Apache-2.0
 * resources.c: the routes that show what there is: the pool, centres, nodes, cards, links, projects. */
#include <stdlib.h>
#include <string.h>

#include "api/inside.h"
#include "core/state.h"

enum { NODES_DEFAULT = 100, NODES_MAX = 1000 };

/* The digest costs as much as the state is large, so it is kept until the state changes. */
static struct hash digest_of(struct api *api, const struct core *core)
{
	struct hash digest;

	pthread_mutex_lock(&api->digest_lock);
	if (api->digest_sequence != core_sequence(core)) {
		api->digest = core_digest(core);
		api->digest_sequence = core_sequence(core);
	}
	digest = api->digest;
	pthread_mutex_unlock(&api->digest_lock);
	return digest;
}

enum MHD_Result get_pool(struct exchange *ex)
{
	const struct api_config *config = &ex->api->config;
	struct service *service = ex->api->service;
	const struct core *core = service->ops->read_begin(service, true);
	json_t *json = json_pool(core), *warnings = json_array();
	struct hash digest = digest_of(ex->api, core);
	char hex[HASH_HEX_SIZE];

	service->ops->read_end(service);
	for (uint32_t i = 0; i < config->n_warnings; i++)
		json_array_append_new(warnings, json_text(config->warnings[i]));
	json_object_set_new(json, "state_digest", json_string(hash_hex(&digest, hex, sizeof hex)));
	json_object_set_new(json, "now", json_instant(service->ops->now(service)));
	json_object_set_new(json, "warnings", warnings);
	return reply_json(ex, MHD_HTTP_OK, json);
}

enum MHD_Result get_centres(struct exchange *ex)
{
	struct service *service = ex->api->service;
	const struct core *core = service->ops->read_begin(service, false);
	json_t *list = json_array();

	for (uint32_t i = 0; i < core_pool(core)->n_centres; i++)
		if (core_pool(core)->centres[i].spec)
			json_array_append_new(list, json_centre(core, i));
	service->ops->read_end(service);
	return reply_json(ex, MHD_HTTP_OK, json_pack("{s:o}", "centres", list));
}

/* ---- Nodes and cards, page by page ---- */

/* A run of nodes, in the pool's order; a cursor says where the next page begins: the node's number, and the card's. */
struct page {
	struct exchange *ex;
	const char *centre_name;
	uint32_t centre;      /* or CENTRE_ANY */
	uint64_t node_number; /* or UINT32_MAX */
	uint64_t limit, from;
	json_t *list;
};

static int read_page(struct page *page, struct err *err)
{
	page->centre_name = exchange_query(page->ex, "centre");
	if (exchange_number(page->ex, "limit", 1, NODES_MAX, NODES_DEFAULT, &page->limit, err) < 0 ||
	    exchange_number(page->ex, "node", 0, UINT32_MAX - 1, UINT32_MAX, &page->node_number, err) < 0 ||
	    exchange_number(page->ex, "cursor", 0, UINT64_MAX / 2, 0, &page->from, err) < 0)
		return err->code;
	return 0;
}

/* The centre by its name; ERR_NOT_FOUND. */
static int find_centre(struct page *page, const struct pool *pool, struct err *err)
{
	page->centre = CENTRE_ANY;
	if (!page->centre_name)
		return 0;
	page->centre = pool_find_centre(pool, page->centre_name);
	if (page->centre == NODE_NONE || !pool->centres[page->centre].spec)
		return err_set(err, ERR_NOT_FOUND, "centre", "\"%.100s\": the pool has no such centre", page->centre_name);
	return 0;
}

static bool is_on_page(const struct page *page, const struct node *node)
{
	if (page->centre != CENTRE_ANY && node->centre != page->centre)
		return false;
	return page->node_number == UINT32_MAX || node->number == page->node_number;
}

static json_t *json_counted(uint32_t amount, uint64_t unit)
{
	return amount == UNCOUNTED ? json_null() : json_micros((uint64_t)amount * 1000000 / unit);
}

static uint64_t free_milli(const struct core *core, const struct node *node)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < node->cards; i++)
		sum += core->capacity.card_milli[node->card_first + i];
	return sum;
}

/* The place of a node's rack or pod among those of its centre's nodes of that kind. */
static uint32_t domain_place(const struct pool *pool, uint32_t node, enum tier tier)
{
	const struct shelf *shelf = &pool->shelves[pool->nodes[node].shelf];

	return pool_domain_of(pool, node, tier) - (tier == TIER_RACK ? shelf->rack_first : shelf->pod_first);
}

static bool books(const struct booking *booking, const struct node *node)
{
	if (booking->centre != node->centre)
		return false;
	for (uint32_t i = 0; i < booking->n_ranges; i++)
		if (node->number >= booking->ranges[i].first && node->number <= booking->ranges[i].last)
			return true;
	return false;
}

/* The booking that a node is in, or the next one. */
static json_t *booking_of(const struct core *core, const struct node *node)
{
	const struct booking *first = NULL;

	for (const struct booking *b = core_booking_after(core, 0); b; b = core_booking_after(core, b->id))
		if ((!first || b->from_us < first->from_us) && books(b, node))
			first = b;
	return first ? json_booking(core, first) : json_null();
}

static json_t *json_node(const struct core *core, uint32_t number)
{
	const struct pool *pool = core_pool(core);
	const struct node *node = &pool->nodes[number];
	const char *note;
	enum node_state state = core_node_state(core, number, &note);
	char name[16];
	json_t *json;

	snprintf(name, sizeof name, "%u", node->number);
	json = json_pack("{s:s, s:s, s:o}", "centre", pool_centre_name(pool, node->centre), "node", name, "kind",
	                 node->cards ? json_text(pool_kind_name(pool, pool->shelves[node->shelf].kind)) : json_null());
	json_object_set_new(json, "cards", json_integer(node->cards));
	json_object_set_new(json, "free_cards", json_milli(free_milli(core, node)));
	json_object_set_new(json, "cpus", json_counted(node->cpus_milli, 1000));
	json_object_set_new(json, "free_cpus", json_counted(core->capacity.free_cpus[number], 1000));
	json_object_set_new(json, "memory_gib", json_counted(node->memory_mib, 1024));
	json_object_set_new(json, "free_memory_gib", json_counted(core->capacity.free_memory[number], 1024));
	json_object_set_new(json, "rack", json_integer(domain_place(pool, number, TIER_RACK)));
	json_object_set_new(json, "pod", json_integer(domain_place(pool, number, TIER_POD)));
	json_object_set_new(json, "state", json_string(node_state_word(state)));
	json_object_set_new(json, "note", json_text(note));
	json_object_set_new(json, "booking", booking_of(core, node));
	return json;
}

/* Adds nodes from page->from on; *ret_next: where the next page begins, 0: nowhere. */
static void add_nodes(struct page *page, const struct core *core, uint64_t *ret_next)
{
	const struct pool *pool = core_pool(core);
	uint32_t first = 0, end = pool->n_nodes;

	*ret_next = 0;
	if (page->centre != CENTRE_ANY) {
		first = pool->centres[page->centre].node_first;
		end = first + pool->centres[page->centre].n_nodes;
	}
	for (uint64_t i = page->from > first ? page->from : first; i < end; i++) {
		if (!is_on_page(page, &pool->nodes[i]))
			continue;
		if (json_array_size(page->list) == page->limit) {
			*ret_next = i;
			return;
		}
		json_array_append_new(page->list, json_node(core, (uint32_t)i));
	}
}

/* The jobs on the cards of a page: (node, jobs' tasks) pairs would do for one node; here a list a card. */
struct card_place {
	uint32_t node, card;
	json_t *jobs;
};

static void add_card(struct page *page, const struct core *core, struct card_place *place, uint32_t node, uint32_t card)
{
	const struct pool *pool = core_pool(core);
	const struct node *n = &pool->nodes[node];
	char name[16];

	snprintf(name, sizeof name, "%u", n->number);
	*place = (struct card_place){.node = node, .card = card, .jobs = json_array()};
	json_array_append_new(page->list,
	                      json_pack("{s:s, s:s, s:i, s:s, s:o, s:o}", "centre", pool_centre_name(pool, n->centre), "node", name,
	                                "card", (int)card, "kind", pool_kind_name(pool, pool->shelves[n->shelf].kind), "free",
	                                json_milli(core->capacity.card_milli[n->card_first + card]), "jobs", place->jobs));
}

static uint32_t add_cards(struct page *page, const struct core *core, struct card_place *places, uint64_t *ret_next)
{
	const struct pool *pool = core_pool(core);
	uint32_t n = 0;

	*ret_next = 0;
	for (uint64_t i = page->from / CARDS_PER_NODE_MAX; i < pool->n_nodes; i++) {
		uint32_t card = i == page->from / CARDS_PER_NODE_MAX ? page->from % CARDS_PER_NODE_MAX : 0;

		for (; is_on_page(page, &pool->nodes[i]) && card < pool->nodes[i].cards; card++) {
			if (n == page->limit) {
				*ret_next = i * CARDS_PER_NODE_MAX + card;
				return n;
			}
			add_card(page, core, &places[n++], (uint32_t)i, card);
		}
	}
	return n;
}

static int compare_places(const void *a, const void *b)
{
	const struct card_place *x = a, *y = b;

	if (x->node != y->node)
		return x->node < y->node ? -1 : 1;
	return x->card < y->card ? -1 : x->card > y->card;
}

static void add_job_of_task(const struct core *core, const struct job *job, const struct task *task, struct card_place *places,
                            uint32_t n)
{
	struct card_place key = {.node = pool_node(core_pool(core), task->centre, task->node)};

	for (key.card = 0; key.card < CARDS_PER_NODE_MAX && task->cards >> key.card; key.card++) {
		struct card_place *found;

		if (!(task->cards >> key.card & 1))
			continue;
		found = bsearch(&key, places, n, sizeof *places, compare_places);
		if (found)
			json_array_append_new(found->jobs, json_integer(job->id));
	}
}

static void add_jobs(const struct core *core, struct card_place *places, uint32_t n)
{
	for (const struct job *job = core_live_after(core, 0); job && n; job = core_live_after(core, job->id)) {
		for (uint32_t i = 0; i < job->plan.n_tasks; i++)
			if (job->plan.tasks[i].cards)
				add_job_of_task(core, job, &job->plan.tasks[i], places, n);
	}
}

static enum MHD_Result reply_page(const struct page *page, const char *name, int code, uint64_t next, const struct err *err)
{
	char cursor[24];

	if (code < 0) {
		json_decref(page->list);
		return reply_problem(page->ex, 0, err);
	}
	snprintf(cursor, sizeof cursor, "%llu", (unsigned long long)next);
	return reply_json(page->ex, MHD_HTTP_OK,
	                  json_pack("{s:o, s:o}", name, page->list, "next", next ? json_string(cursor) : json_null()));
}

enum MHD_Result get_nodes(struct exchange *ex)
{
	struct page page = {.ex = ex};
	struct service *service = ex->api->service;
	const struct core *core;
	uint64_t next = 0;
	struct err err;
	int code;

	if (read_page(&page, &err) < 0)
		return reply_problem(ex, MHD_HTTP_BAD_REQUEST, &err);
	page.list = json_array();
	core = service->ops->read_begin(service, false);
	code = find_centre(&page, core_pool(core), &err);
	if (!code)
		add_nodes(&page, core, &next);
	service->ops->read_end(service);
	return reply_page(&page, "nodes", code, next, &err);
}

enum MHD_Result get_cards(struct exchange *ex)
{
	struct page page = {.ex = ex};
	struct service *service = ex->api->service;
	struct card_place *places;
	const struct core *core;
	uint64_t next = 0;
	struct err err;
	int code;

	if (read_page(&page, &err) < 0)
		return reply_problem(ex, MHD_HTTP_BAD_REQUEST, &err);
	page.list = json_array();
	places = arena_new(&ex->arena, page.limit, sizeof *places);
	core = service->ops->read_begin(service, false);
	code = find_centre(&page, core_pool(core), &err);
	if (!code)
		add_jobs(core, places, add_cards(&page, core, places, &next));
	service->ops->read_end(service);
	return reply_page(&page, "cards", code, next, &err);
}

/* ---- Links and projects ---- */

enum MHD_Result get_links(struct exchange *ex)
{
	struct service *service = ex->api->service;
	const struct pool_spec *spec = &core_pool(service->ops->read_begin(service, false))->spec;
	json_t *list = json_array();

	for (uint32_t i = 0; i < spec->n_links; i++) {
		const struct link_spec *link = &spec->links[i];

		json_array_append_new(list, json_pack("{s:s, s:[s, s], s:o, s:i, s:o}", "name", link->name, "ends", link->ends[0],
		                                      link->ends[1], "gbps", json_milli(link->mbps), "latency_us", (int)link->latency_us,
		                                      "price_per_tib", json_micros(link->price_micros_per_tib)));
	}
	service->ops->read_end(service);
	return reply_json(ex, MHD_HTTP_OK, json_pack("{s:o}", "links", list));
}

static json_t *json_limit(uint64_t milli)
{
	return milli == AMOUNT_NONE ? json_null() : json_milli(milli);
}

/* What is held against a quota: by the project and all below it, and in its cohort. */
static void add_quota_use(json_t *json, const struct projects *projects, uint32_t project, uint32_t kind)
{
	struct quota_view view = {.project = PROJECT_NONE};

	projects_fits(projects, project, kind, 0, &view);
	if (view.project != project)
		view = (struct quota_view){.project = project};
	json_object_set_new(json, "used", json_milli(view.used_milli));
	json_object_set_new(json, "borrowed", json_milli(projects_borrows(projects, project, kind)));
	json_object_set_new(json, "may_borrow", json_milli(view.borrowing_milli));
	json_object_set_new(json, "lent", json_milli(view.lent_milli));
	json_object_set_new(json, "cohort_used", json_milli(view.cohort_used_milli));
	json_object_set_new(json, "cohort_nominal", json_milli(view.cohort_nominal_milli));
}

static json_t *json_quotas(const struct core *core, uint32_t project, const struct project_spec *spec)
{
	json_t *list = json_array();

	for (uint32_t i = 0; spec && i < spec->n_quotas; i++) {
		const struct quota_spec *quota = &spec->quotas[i];
		uint32_t kind = pool_find_kind(core_pool(core), quota->kind);
		json_t *json = json_pack("{s:s, s:o, s:o, s:o}", "kind", quota->kind, "nominal_quota", json_limit(quota->nominal_milli),
		                         "borrowing_limit", json_limit(quota->borrowing_milli), "lending_limit",
		                         json_limit(quota->lending_milli));

		if (kind != NODE_NONE)
			add_quota_use(json, core_projects(core), project, kind);
		json_array_append_new(list, json);
	}
	return list;
}

/* By kind, what a project and all below it hold now, and have used lately. */
static json_t *json_held(const struct core *core, uint32_t project, us_t now_us)
{
	const struct projects *projects = core_projects(core);
	const struct pool *pool = core_pool(core);
	json_t *list = json_array();

	for (uint32_t kind = 0; kind < pool->n_kinds; kind++) {
		uint64_t held = projects_held_milli(projects, project, kind);
		uint64_t used = projects_used_milli_hours(projects, project, kind, now_us);

		if (held || used)
			json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "kind", pool->kind_names[kind], "cards", json_milli(held),
			                                      "used_card_hours", json_milli(used)));
	}
	return list;
}

/* The part of the pool that a project held lately, divided by its weight; null where use isn't forgotten, for then there is no
 * "lately". */
static json_t *json_share(const struct projects *projects, uint32_t project, us_t now_us)
{
	us_t unit_us = projects_unit_us(projects), share_us = projects_share_us(projects, project, now_us);

	if (unit_us == US_NEVER || unit_us <= 0)
		return json_null();
	return json_real((double)share_us / (double)unit_us);
}

struct project_use {
	const struct project_spec *spec; /* NULL: not declared */
	uint32_t queued, active;
	uint64_t cards_milli;
};

static void count_use(const struct core *core, struct project_use *use)
{
	for (const struct job *job = core_job_after(core, 0); job; job = core_job_after(core, job->id)) {
		struct project_use *u = &use[job->project];

		if (job->state == JOB_QUEUED)
			u->queued++;
		if (!job_is_live(job))
			continue;
		u->active++;
		for (uint32_t i = 0; i < job->plan.n_tasks; i++)
			u->cards_milli += job->plan.tasks[i].cards_milli;
	}
}

static void find_specs(const struct core *core, struct project_use *use)
{
	const struct pool_spec *spec = &core_pool(core)->spec;

	for (uint32_t i = 0; i < spec->n_projects; i++) {
		uint32_t number = strtab_find(&core->projects, spec->projects[i].name);

		if (number != STRTAB_NONE)
			use[number].spec = &spec->projects[i];
	}
}

static json_t *json_project(const struct core *core, uint32_t number, const struct project_use *use, us_t now_us)
{
	const struct projects *projects = core_projects(core);
	const struct project_spec *spec = use->spec;
	json_t *json = json_object();

	json_object_set_new(json, "name", json_text(core_project_name(core, number)));
	json_object_set_new(json, "parent", json_text(spec ? spec->parent : NULL));
	json_object_set_new(json, "weight", json_milli(projects_weight_milli(projects, number)));
	json_object_set_new(json, "share", json_share(projects, number, now_us));
	json_object_set_new(json, "cohort", json_text(spec ? spec->cohort : NULL));
	json_object_set_new(json, "held", json_held(core, number, now_us));
	json_object_set_new(json, "quotas", json_quotas(core, number, spec));
	json_object_set_new(json, "jobs_queued", json_integer(use->queued));
	json_object_set_new(json, "jobs_active", json_integer(use->active));
	json_object_set_new(json, "cards_in_use", json_milli(use->cards_milli));
	return json;
}

enum MHD_Result get_projects(struct exchange *ex)
{
	struct service *service = ex->api->service;
	const struct core *core = service->ops->read_begin(service, false);
	struct project_use *use = arena_new(&ex->arena, core->projects.count, sizeof *use);
	us_t now_us = service->ops->now(service);
	json_t *list = json_array();

	if (now_us < core_now(core))
		now_us = core_now(core);
	find_specs(core, use);
	count_use(core, use);
	for (uint32_t i = 0; i < core->projects.count; i++)
		json_array_append_new(list, json_project(core, i, &use[i], now_us));
	service->ops->read_end(service);
	return reply_json(ex, MHD_HTTP_OK, json_pack("{s:o}", "projects", list));
}
