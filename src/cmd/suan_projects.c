/* SPDX-License-Identifier: Apache-2.0
 * suan_projects.c: the projects as a tree: what is theirs, what they hold, and how much of the pool that was lately. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/suan_client.h"
#include "cmd/suan_print.h"

static const struct column columns[] = {{"PROJECT", false, 14}, {"COHORT", false, 6}, {"WEIGHT", true, 0},
                                        {"SHARE", true, 0},     {"HELD", false, 8},   {"QUOTA", false, 8},
                                        {"BORROWED", false, 8}, {"QUEUED", true, 0},  {"ACTIVE", true, 0}};

enum { N_COLUMNS = sizeof columns / sizeof *columns, DEPTH_MAX = 100 };

/* The projects by their parent: `first` child and `next` sibling, by place in the answer; -1: none. */
struct forest {
	const json_t *list;
	int *first, *next, root;
};

/* "h800:8 a800:16": of each kind the amount under a key, where there is any. */
static void add_by_kind(struct table *table, const json_t *list, const char *key)
{
	struct buf text = {0};
	const json_t *one;
	char amount[32];
	size_t i;

	json_array_foreach (list, i, one)
		if (json_number_value(json_object_get(one, key)) > 0)
			buf_printf(&text, "%s%s:%s", text.len ? " " : "", text_of(one, "kind", "?"),
			           amount_of(one, key, amount, sizeof amount));
	table_add(table, text.len ? PLAIN : DIM, NULL, "%.*s", text.len ? (int)text.len : 1,
	          text.len ? (const char *)text.data : "-");
	buf_done(&text);
}

static void add_number(struct table *table, const json_t *project, const char *key)
{
	char amount[32];

	table_add(table, PLAIN, NULL, "%s", amount_of(project, key, amount, sizeof amount));
}

static void add_project(struct table *table, const json_t *project, int depth)
{
	const json_t *quotas = json_object_get(project, "quotas"), *share = json_object_get(project, "share");

	table_add(table, PLAIN, NULL, "%*s%s", 2 * depth, "", text_of(project, "name", "?"));
	table_add(table, PLAIN, NULL, "%s", text_of(project, "cohort", "-"));
	add_number(table, project, "weight");
	if (json_is_number(share))
		table_add(table, PLAIN, NULL, "%.3f", json_number_value(share));
	else
		table_add(table, DIM, NULL, "-");
	add_by_kind(table, json_object_get(project, "held"), "cards");
	add_by_kind(table, quotas, "nominal_quota");
	add_by_kind(table, quotas, "borrowed");
	add_number(table, project, "jobs_queued");
	add_number(table, project, "jobs_active");
}

static void add_tree(struct table *table, const struct forest *forest, int at, int depth)
{
	for (; at >= 0; at = forest->next[at]) {
		add_project(table, json_array_get(forest->list, (size_t)at), depth);
		if (depth < DEPTH_MAX)
			add_tree(table, forest, forest->first[at], depth + 1);
	}
}

/* Where each name stands in the list, as the values of an object. */
static json_t *index_of(const json_t *list)
{
	json_t *index = json_object(), *project;
	size_t i;

	json_array_foreach (list, i, project)
		json_object_set_new(index, text_of(project, "name", ""), json_integer((json_int_t)i));
	return index;
}

/* From the last to the first, so that siblings stand in the order of the list. */
static void plant(struct forest *forest, const json_t *index)
{
	for (int i = (int)json_array_size(forest->list) - 1; i >= 0; i--) {
		const char *parent = text_of(json_array_get(forest->list, (size_t)i), "parent", NULL);
		const json_t *place = parent ? json_object_get(index, parent) : NULL;
		int *before = place ? &forest->first[json_integer_value(place)] : &forest->root;

		forest->next[i] = *before;
		*before = i;
	}
}

static void print_projects(const json_t *list)
{
	struct table table = table_of(columns, N_COLUMNS);
	size_t n = json_array_size(list);
	struct forest forest = {.list = list, .first = mem_new(n + 1, sizeof(int)), .next = mem_new(n + 1, sizeof(int)), .root = -1};
	json_t *index = index_of(list);

	for (size_t i = 0; i < n; i++)
		forest.first[i] = -1;
	plant(&forest, index);
	add_tree(&table, &forest, forest.root, 0);
	if (n)
		table_print(&table, stdout);
	else
		complain(0, "no projects");
	table_done(&table);
	json_decref(index);
	free(forest.first);
	free(forest.next);
}

int cmd_projects(int argc, char **argv)
{
	bool json = false;
	const struct opt opts[] = {{"json", 0, OPT_FLAG, &json}};
	json_t *answer = NULL;
	struct client *client;
	int status;

	if (opts_read(argc, argv, opts, 1, 0, 0) < 0)
		return STATUS_USAGE;
	if ((status = client_start(&client)) != STATUS_DONE)
		return status;
	status = client_get(client, "/v1/projects", &answer);
	if (status == STATUS_DONE && json)
		print_json(answer, true);
	else if (status == STATUS_DONE)
		print_projects(json_object_get(answer, "projects"));
	json_decref(answer);
	client_close(client);
	return status;
}
