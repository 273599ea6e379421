/* SPDX-License-Identifier: Apache-2.0
 * json_pool.c: the pool and its centres as the API shows them: what there is, what is free. */
#include <string.h>

#include "api/inside.h"
#include "core/state.h"

/* Cards of one kind, in the pool or at a centre. */
struct amount {
	uint64_t cards, free_milli;
};

static struct amount amount_of(const struct core *core, uint32_t kind, uint32_t centre)
{
	const struct pool *pool = core_pool(core);
	struct amount sum = {0};

	for (uint32_t i = 0; i < pool->n_shelves; i++) {
		const struct shelf *shelf = &pool->shelves[i];

		if (shelf->kind != kind || (centre != CENTRE_ANY && shelf->centre != centre))
			continue;
		sum.cards += shelf->cards;
		sum.free_milli += core->capacity.shelf_milli[i];
	}
	return sum;
}

static void add_amount(json_t *json, struct amount amount)
{
	json_object_set_new(json, "cards", json_integer((json_int_t)amount.cards));
	json_object_set_new(json, "free_cards", json_milli(amount.free_milli));
}

/* ---- A centre ---- */

static json_t *json_capabilities(uint32_t capabilities)
{
	static const struct {
		enum capability capability;
		const char *word;
	} words[] = {{CAN_EXACT_CARDS, "exact_cards"},
	             {CAN_FRACTIONS, "fractions"},
	             {CAN_IMAGES, "images"},
	             {CAN_BARE, "bare"},
	             {CAN_LOGS, "logs"},
	             {CAN_SIGNALS, "signals"},
	             {CAN_START_ONCE, "start_once"},
	             {CAN_LIMIT, "limit"}};
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (capabilities & words[i].capability)
			json_array_append_new(list, json_string(words[i].word));
	return list;
}

static json_t *json_price(const struct centre_spec *spec, const char *kind)
{
	for (uint32_t i = 0; i < spec->n_prices; i++)
		if (!strcmp(spec->prices[i].kind, kind))
			return json_micros(spec->prices[i].micros);
	return json_null();
}

static json_t *json_centre_kinds(const struct core *core, uint32_t centre, struct amount *ret_sum)
{
	const struct pool *pool = core_pool(core);
	json_t *list = json_array();

	for (uint32_t kind = 0; kind < pool->n_kinds; kind++) {
		struct amount amount = amount_of(core, kind, centre);
		json_t *json;

		if (!amount.cards)
			continue;
		json = json_pack("{s:s}", "kind", pool->kind_names[kind]);
		add_amount(json, amount);
		json_object_set_new(json, "price_per_card_hour", json_price(pool->centres[centre].spec, pool->kind_names[kind]));
		json_array_append_new(list, json);
		ret_sum->cards += amount.cards;
		ret_sum->free_milli += amount.free_milli;
	}
	return list;
}

json_t *json_centre(const struct core *core, uint32_t number)
{
	const struct centre *centre = &core_pool(core)->centres[number];
	const struct centre_spec *spec = centre->spec;
	struct amount sum = {0};
	json_t *json = json_object(), *kinds = json_centre_kinds(core, number, &sum);
	bool located = spec->latitude_udeg || spec->longitude_udeg;

	json_object_set_new(json, "name", json_text(spec->name));
	json_object_set_new(json, "region", json_text(spec->region));
	json_object_set_new(json, "location",
	                    located ? json_pack("[f, f]", spec->latitude_udeg / 1e6, spec->longitude_udeg / 1e6) : json_null());
	json_object_set_new(json, "engine", json_text(spec->engine));
	json_object_set_new(json, "simulated", json_boolean(spec->capabilities & IS_SIMULATED));
	json_object_set_new(json, "capabilities", json_capabilities(spec->capabilities));
	json_object_set_new(json, "at_least_once", json_boolean(!(spec->capabilities & CAN_START_ONCE)));
	json_object_set_new(json, "silent", json_boolean(core->silent[number]));
	json_object_set_new(json, "nodes", json_integer(centre->n_nodes));
	add_amount(json, sum);
	json_object_set_new(json, "kinds", kinds);
	json_object_set_new(json, "pue", spec->pue_milli ? json_milli(spec->pue_milli) : json_null());
	return json;
}

/* ---- The pool ---- */

static json_t *json_compute(const struct kind_spec *kind, uint64_t cards)
{
	json_t *list = json_array();

	for (int p = 0; p < PRECISION_COUNT; p++)
		if (kind->gflops[p])
			json_array_append_new(list, json_pack("{s:s, s:f, s:s, s:o}", "precision", precision_word((enum precision)p),
			                                      "pflops", (double)kind->gflops[p] * (double)cards / 1e6, "basis",
			                                      kind->measured ? "measured" : "nominal", "source", json_text(kind->source)));
	return list;
}

static json_t *json_kinds(const struct core *core, struct amount *ret_sum)
{
	const struct pool *pool = core_pool(core);
	json_t *list = json_array();

	for (uint32_t number = 0; number < pool->n_kinds; number++) {
		const struct kind_spec *kind = pool->kinds[number];
		struct amount amount = amount_of(core, number, CENTRE_ANY);
		json_t *json;

		if (!kind || !amount.cards)
			continue;
		json = json_pack("{s:s, s:o, s:s}", "kind", kind->name, "vendor", json_text(kind->vendor), "class",
		                 card_class_word(kind->class));
		add_amount(json, amount);
		json_object_set_new(json, "allocated_cards", json_milli(amount.cards * CARD_MILLI - amount.free_milli));
		json_object_set_new(json, "compute", json_compute(kind, amount.cards));
		json_array_append_new(list, json);
		ret_sum->cards += amount.cards;
		ret_sum->free_milli += amount.free_milli;
	}
	return list;
}

static uint64_t simulated_cards(const struct pool *pool)
{
	uint64_t cards = 0;

	for (uint32_t i = 0; i < pool->n_shelves; i++)
		if (pool->centres[pool->shelves[i].centre].spec->capabilities & IS_SIMULATED)
			cards += pool->shelves[i].kind == KIND_NONE ? 0 : pool->shelves[i].cards;
	return cards;
}

json_t *json_pool(const struct core *core)
{
	const struct pool *pool = core_pool(core);
	struct amount sum = {0};
	json_t *json = json_object(), *kinds = json_kinds(core, &sum), *jobs = json_object();

	for (int state = JOB_QUEUED; state < JOB_STATE_COUNT; state++)
		json_object_set_new(jobs, job_state_word((enum job_state)state),
		                    json_integer(core_jobs_in_state(core, (enum job_state)state)));
	json_object_set_new(json, "name", json_text(pool->spec.name));
	json_object_set_new(json, "currency", json_text(pool->spec.currency));
	json_object_set_new(json, "sequence", json_integer((json_int_t)core_sequence(core)));
	add_amount(json, sum);
	json_object_set_new(json, "kinds", kinds);
	json_object_set_new(json, "centres", json_integer(pool->spec.n_centres));
	json_object_set_new(json, "simulated_cards", json_integer((json_int_t)simulated_cards(pool)));
	json_object_set_new(json, "nodes", json_integer(pool->n_nodes));
	json_object_set_new(json, "jobs", jobs);
	return json;
}
