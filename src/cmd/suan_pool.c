/* SPDX-License-Identifier: Apache-2.0
 * suan_pool.c: pool, centres, nodes, cards, links: what there is, and what is free. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/suan_client.h"
#include "cmd/suan_list.h"
#include "cmd/suan_print.h"

static void add_amount(struct table *table, const json_t *row, const char *key)
{
	char amount[32];

	table_add(table, PLAIN, NULL, "%s", amount_of(row, key, amount, sizeof amount));
}

static void add_centre(struct table *table, const char *centre)
{
	table_add(table, PLAIN, centre_mark(table->simulated, centre), "%s", centre);
}

/* Free of all, as "6/8". */
static void add_free_of(struct table *table, const json_t *row, const char *free_key, const char *all_key)
{
	char have[32], all[32];

	amount_of(row, free_key, have, sizeof have);
	amount_of(row, all_key, all, sizeof all);
	if (!strcmp(all, "-"))
		table_add(table, DIM, NULL, "-");
	else
		table_add(table, PLAIN, NULL, "%s/%s", have, all);
}

/* Opens the client, prints one list, closes it. */
static int show_list(struct listing *listing, bool all, bool json)
{
	struct client *client;
	int status = client_start(&client);

	if (status != STATUS_DONE)
		return status;
	status = list_run(client, listing, all, json);
	client_close(client);
	return status;
}

/* A list that takes no option but --json. */
static int simple_list(int argc, char **argv, struct listing *listing)
{
	bool json = false;
	const struct opt opts[] = {{"json", 0, OPT_FLAG, &json}};

	if (opts_read(argc, argv, opts, 1, 0, 0) < 0)
		return STATUS_USAGE;
	return show_list(listing, true, json);
}

/* ---- suan pool ---- */

static const struct column kind_columns[] = {{"KIND", false, 8}, {"VENDOR", false, 6}, {"CLASS", false, 6},
                                             {"CARDS", true, 0}, {"FREE", true, 0},    {"COMPUTE (DENSE)", false, 16}};

/* "fp16 2621 PFLOPS nominal": the precision that these cards are bought for. */
static void add_compute(struct table *table, const json_t *kind)
{
	static const char *const order[] = {"fp16", "fp32", "fp64", "tf32", "int8"};
	const json_t *list = json_object_get(kind, "compute"), *one;
	size_t i;

	for (unsigned n = 0; n < sizeof order / sizeof *order; n++) {
		json_array_foreach (list, i, one) {
			char amount[32];

			if (strcmp(text_of(one, "precision", ""), order[n]) != 0)
				continue;
			table_add(table, PLAIN, NULL, "%s %s PFLOPS %s", order[n], amount_of(one, "pflops", amount, sizeof amount),
			          text_of(one, "basis", ""));
			return;
		}
	}
	table_add(table, DIM, NULL, "not stated");
}

static void print_kinds(const json_t *pool)
{
	struct table table = table_of(kind_columns, sizeof kind_columns / sizeof *kind_columns);
	const json_t *kinds = json_object_get(pool, "kinds"), *kind;
	size_t i;

	json_array_foreach (kinds, i, kind) {
		table_add(&table, PLAIN, NULL, "%s", text_of(kind, "kind", "?"));
		table_add(&table, PLAIN, NULL, "%s", text_of(kind, "vendor", ""));
		table_add(&table, PLAIN, NULL, "%s", text_of(kind, "class", ""));
		add_amount(&table, kind, "cards");
		add_amount(&table, kind, "free_cards");
		add_compute(&table, kind);
	}
	table_print(&table, stdout);
	table_done(&table);
}

static void print_job_counts(const json_t *pool)
{
	struct buf text = {0};
	const char *state;
	json_t *count;

	json_object_foreach (json_object_get(pool, "jobs"), state, count)
		if (json_integer_value(count))
			buf_printf(&text, "%s%" PRIdMAX " %s", text.len ? ", " : "", (intmax_t)json_integer_value(count), state);
	print_field("jobs", "%.*s", (int)text.len, text.len ? (const char *)text.data : "");
	buf_done(&text);
}

static void print_pool(const json_t *pool)
{
	const json_t *centres = json_object_get(pool, "centres");
	intmax_t n = json_is_array(centres) ? (intmax_t)json_array_size(centres) : (intmax_t)int_of(pool, "centres", 0);
	char have[32], all[32], simulated[32];

	amount_of(pool, "simulated_cards", simulated, sizeof simulated);
	print_line("%s", text_of(pool, "name", "?"));
	print_field("cards", "%s, %s free; %s of them simulated", amount_of(pool, "cards", all, sizeof all),
	            amount_of(pool, "free_cards", have, sizeof have), simulated);
	print_field("nodes", "%" PRIdMAX " at %" PRIdMAX " centres", (intmax_t)int_of(pool, "nodes", 0), n);
	print_job_counts(pool);
	print_field("record", "%" PRIdMAX " events, state %.16s...", (intmax_t)int_of(pool, "sequence", 0),
	            text_of(pool, "state_digest", "?"));
	putchar('\n');
	print_kinds(pool);
	complain_warnings(pool);
}

int cmd_pool(int argc, char **argv)
{
	bool json = false;
	const struct opt opts[] = {{"json", 0, OPT_FLAG, &json}};
	struct client *client;
	json_t *pool = NULL;
	int status;

	if (opts_read(argc, argv, opts, 1, 0, 0) < 0)
		return STATUS_USAGE;
	if ((status = client_start(&client)) != STATUS_DONE)
		return status;
	status = client_get(client, "/v1/pool", &pool);
	if (status == STATUS_DONE && json)
		print_json(pool, true);
	else if (status == STATUS_DONE)
		print_pool(pool);
	json_decref(pool);
	client_close(client);
	return status;
}

/* ---- suan centres ---- */

static const struct column centre_columns[] = {{"CENTRE", false, 18}, {"REGION", false, 6}, {"ENGINE", false, 6},
                                               {"NODES", true, 0},    {"CARDS", true, 0},   {"KINDS", false, 12},
                                               {"STATE", false, 0}};

static void add_kind_names(struct table *table, const json_t *centre)
{
	const json_t *kinds = json_object_get(centre, "kinds"), *kind;
	struct buf text = {0};
	size_t i;

	json_array_foreach (kinds, i, kind)
		buf_printf(&text, "%s%s", text.len ? " " : "", text_of(kind, "kind", "?"));
	table_add(table, PLAIN, NULL, "%.*s", (int)text.len, text.len ? (const char *)text.data : "");
	buf_done(&text);
}

static void centre_row(struct table *table, const json_t *centre, us_t now)
{
	const char *engine = text_of(centre, "engine", "");
	bool silent = true_of(centre, "silent");

	(void)now;
	table_add(table, PLAIN, NULL, "%s", text_of(centre, "name", "?"));
	table_add(table, PLAIN, NULL, "%s", text_of(centre, "region", ""));
	/* The engine's type says it by itself where it is the simulated one. */
	table_add(table, PLAIN, strcmp(engine, "simulated") ? simulated_mark(centre) : NULL, "%s", engine);
	table_add(table, PLAIN, NULL, "%" PRIdMAX, (intmax_t)int_of(centre, "nodes", 0));
	add_free_of(table, centre, "free_cards", "cards");
	add_kind_names(table, centre);
	table_add(table, silent ? RED : GREEN, NULL, silent ? "silent" : true_of(centre, "at_least_once") ? "up*" : "up");
}

int cmd_centres(int argc, char **argv)
{
	struct listing listing = {.path = "/v1/centres",
	                          .key = "centres",
	                          .columns = centre_columns,
	                          .n_columns = sizeof centre_columns / sizeof *centre_columns,
	                          .row = centre_row};

	return simple_list(argc, argv, &listing);
}

/* ---- suan nodes ---- */

static const struct column node_columns[] = {{"CENTRE", false, 12}, {"NODE", true, 0}, {"KIND", false, 8}, {"CARDS", true, 0},
                                             {"CPUS", true, 0},     {"GIB", true, 0},  {"RACK", true, 0},  {"POD", true, 0},
                                             {"STATE", false, 0},   {"WHY", false, 8}};

/* A number or a string, as it is. */
static void add_any(struct table *table, const json_t *row, const char *key)
{
	const json_t *value = json_object_get(row, key);

	if (json_is_integer(value))
		table_add(table, PLAIN, NULL, "%" PRIdMAX, (intmax_t)json_integer_value(value));
	else
		table_add(table, PLAIN, NULL, "%s", text_of(row, key, "-"));
}

/* Its state; and what was said of it, or the booking that it is in, or the next one. */
static void add_state(struct table *table, const json_t *node, us_t now)
{
	const char *state = text_of(node, "state", "?"), *note = text_of(node, "note", NULL);
	const json_t *booking = json_object_get(node, "booking");
	char when[40];

	table_add(table, !strcmp(state, "up") ? GREEN : !strcmp(state, "down") ? RED : YELLOW, NULL, "%s", state);
	if (json_is_object(booking) && !note)
		table_add(table, PLAIN, NULL, "%s %" PRIdMAX ", from %s", text_of(booking, "project", NULL) ? "booking" : "drain",
		          (intmax_t)int_of(booking, "id", 0), print_when(text_of(booking, "from", NULL), now, when, sizeof when));
	else
		table_add(table, PLAIN, NULL, "%s", note ? note : "");
}

static void node_row(struct table *table, const json_t *node, us_t now)
{
	add_centre(table, text_of(node, "centre", "?"));
	add_any(table, node, "node");
	table_add(table, PLAIN, NULL, "%s", text_of(node, "kind", "-"));
	add_free_of(table, node, "free_cards", "cards");
	add_free_of(table, node, "free_cpus", "cpus");
	add_free_of(table, node, "free_memory_gib", "memory_gib");
	add_any(table, node, "rack");
	add_any(table, node, "pod");
	add_state(table, node, now);
}

int cmd_nodes(int argc, char **argv)
{
	const char *centre = NULL;
	bool all = false, json = false;
	const struct opt opts[] = {{"centre", 'c', OPT_TEXT, &centre}, {"all", 'a', OPT_FLAG, &all}, {"json", 0, OPT_FLAG, &json}};
	struct listing listing = {.path = "/v1/nodes",
	                          .key = "nodes",
	                          .paged = true,
	                          .names_centres = true,
	                          .columns = node_columns,
	                          .n_columns = sizeof node_columns / sizeof *node_columns,
	                          .row = node_row};

	if (opts_read(argc, argv, opts, 3, 0, 0) < 0)
		return STATUS_USAGE;
	listing.filters[0] = (struct list_filter){"centre", centre};
	return show_list(&listing, all, json);
}

/* ---- suan cards ---- */

static const struct column card_columns[] = {{"CENTRE", false, 12}, {"NODE", true, 0}, {"CARD", true, 0},
                                             {"KIND", false, 8},    {"FREE", true, 0}, {"JOBS", false, 8}};

static void card_row(struct table *table, const json_t *card, us_t now)
{
	const json_t *jobs = json_object_get(card, "jobs"), *job;
	struct buf text = {0};
	size_t i;

	(void)now;
	add_centre(table, text_of(card, "centre", "?"));
	add_any(table, card, "node");
	add_any(table, card, "card");
	table_add(table, PLAIN, NULL, "%s", text_of(card, "kind", "?"));
	add_amount(table, card, "free");
	json_array_foreach (jobs, i, job)
		buf_printf(&text, "%s%" PRIdMAX, text.len ? " " : "", (intmax_t)json_integer_value(job));
	table_add(table, PLAIN, NULL, "%.*s", (int)text.len, text.len ? (const char *)text.data : "");
	buf_done(&text);
}

int cmd_cards(int argc, char **argv)
{
	const char *centre = NULL, *node = NULL;
	bool all = false, json = false;
	const struct opt opts[] = {{"centre", 'c', OPT_TEXT, &centre},
	                           {"node", 'n', OPT_TEXT, &node},
	                           {"all", 'a', OPT_FLAG, &all},
	                           {"json", 0, OPT_FLAG, &json}};
	struct listing listing = {.path = "/v1/cards",
	                          .key = "cards",
	                          .paged = true,
	                          .names_centres = true,
	                          .columns = card_columns,
	                          .n_columns = sizeof card_columns / sizeof *card_columns,
	                          .row = card_row};

	if (opts_read(argc, argv, opts, 4, 0, 0) < 0)
		return STATUS_USAGE;
	listing.filters[0] = (struct list_filter){"centre", centre};
	listing.filters[1] = (struct list_filter){"node", node};
	return show_list(&listing, all, json);
}

/* ---- suan links ---- */

static const struct column link_columns[] = {{"LINK", false, 8},     {"FROM", false, 10},  {"TO", false, 10},
                                             {"GBIT/S", true, 0},    {"LATENCY", true, 0}, {"PRICE/TIB", true, 0},
                                             {"SIMULATED", false, 0}};

/* Which ends are simulated: a column of its own, for two marked names don't fit a line. */
static void add_simulated_ends(struct table *table, const char *const *ends)
{
	static const char *const words[] = {"no", "from", "to", "both"};
	bool from = centre_mark(table->simulated, ends[0]), to = centre_mark(table->simulated, ends[1]);

	table_add(table, PLAIN, NULL, "%s", words[from + 2 * to]);
}

static void link_row(struct table *table, const json_t *link, us_t now)
{
	const char *ends[2];

	(void)now;
	table_add(table, PLAIN, NULL, "%s", text_of(link, "name", "?"));
	for (size_t i = 0; i < 2; i++) {
		ends[i] = json_string_value(json_array_get(json_object_get(link, "ends"), i));
		table_add(table, PLAIN, NULL, "%s", ends[i] ? ends[i] : "?");
	}
	add_amount(table, link, "gbps");
	table_add(table, PLAIN, NULL, "%" PRIdMAX " us", (intmax_t)int_of(link, "latency_us", 0));
	add_amount(table, link, "price_per_tib");
	add_simulated_ends(table, ends);
}

int cmd_links(int argc, char **argv)
{
	struct listing listing = {.path = "/v1/links",
	                          .key = "links",
	                          .names_centres = true,
	                          .columns = link_columns,
	                          .n_columns = sizeof link_columns / sizeof *link_columns,
	                          .row = link_row};

	return simple_list(argc, argv, &listing);
}
