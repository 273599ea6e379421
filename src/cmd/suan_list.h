/* SPDX-License-Identifier: Apache-2.0
 * suan_list.h: lists of the API as tables, or gathered into one JSON document. */
#ifndef SUAN_CMD_SUAN_LIST_H
#define SUAN_CMD_SUAN_LIST_H

#include "cmd/suan_print.h"

struct client;

enum { LIST_FILTERS_MAX = 4 };

/* One "key=value" of a query; without a value it is left out. */
struct list_filter {
	const char *key, *value;
};

/* A list of the API. */
struct listing {
	const char *path, *key; /* "/v1/jobs", whose rows are in "jobs" */
	bool paged;             /* takes limit and cursor, and gives next */
	bool names_centres;     /* its rows name centres without saying whether they are simulated: table->simulated does */
	struct list_filter filters[LIST_FILTERS_MAX];
	const struct column *columns;
	unsigned n_columns;
	/* Adds one row's cells. */
	void (*row)(struct table *table, const json_t *row, us_t now);
};

/* Prints a list: the first 1000 rows, or everything. Returns an exit status: STATUS_NO where a filter left nothing. */
int list_run(struct client *client, const struct listing *listing, bool everything, bool json);

/* A path with its query. The caller frees it with free(). */
char *list_path(struct client *client, const char *path, const struct list_filter *filters, unsigned n);

#endif
