/* SPDX-License-Identifier: Apache-2.0
 * suan_list.c: lists of the API, page by page; see suan_list.h. */
#include "cmd/suan_list.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/suan_client.h"

enum { PAGE_ROWS = 500, ROWS_MAX = 1000 };

char *list_path(struct client *client, const char *path, const struct list_filter *filters, unsigned n)
{
	struct buf buf = {0};
	char sign = '?';

	buf_printf(&buf, "%s", path);
	for (unsigned i = 0; i < n; i++) {
		char *value;

		if (!filters[i].value)
			continue;
		value = client_escape(client, filters[i].value);
		buf_printf(&buf, "%c%s=%s", sign, filters[i].key, value);
		free(value);
		sign = '&';
	}
	buf_put_u8(&buf, 0);
	return (char *)buf.data; /* the buffer's memory is plain heap */
}

/* Reads the page that begins at `cursor` (NULL: the first). */
static int read_page(struct client *client, const struct listing *listing, const char *cursor, uint64_t limit, json_t **ret)
{
	struct list_filter filters[LIST_FILTERS_MAX + 2];
	unsigned n = 0;
	char number[24];
	char *path;
	int status;

	for (; n < LIST_FILTERS_MAX && listing->filters[n].key; n++)
		filters[n] = listing->filters[n];
	if (listing->paged) {
		snprintf(number, sizeof number, "%" PRIu64, limit);
		filters[n++] = (struct list_filter){"limit", number};
		filters[n++] = (struct list_filter){"cursor", cursor};
	}
	path = list_path(client, listing->path, filters, n);
	status = client_get(client, path, ret);
	free(path);
	if (status == STATUS_DONE && !json_is_array(json_object_get(*ret, listing->key))) {
		json_decref(*ret);
		return complain(STATUS_UNREACHABLE, "%s: the answer has no \"%s\": is that suand?", client_url(client), listing->key);
	}
	return status;
}

static void print_rows(const struct listing *listing, const json_t *rows, struct table *table)
{
	us_t now = now_us();
	size_t i;
	json_t *row;

	json_array_foreach (rows, i, row)
		listing->row(table, row, now);
	if (table->n_cells)
		table_print(table, stdout);
}

/* Takes pages until there are no more or enough; with `all` given, their rows are gathered in it, else printed. Returns an exit
 * status; *ret_n counts the rows and *ret_more says whether there are more. */
static int read_pages(struct client *client, const struct listing *listing, bool everything, json_t *all, uint64_t *ret_n,
                      char **ret_more)
{
	struct table table = table_of(listing->columns, listing->n_columns);
	json_t *simulated = NULL;
	char *cursor = NULL;
	int status = listing->names_centres && !all ? client_simulated(client, &simulated) : STATUS_DONE;

	if (status != STATUS_DONE)
		return status;
	table.simulated = simulated;
	do {
		uint64_t limit = everything || ROWS_MAX - *ret_n > PAGE_ROWS ? PAGE_ROWS : ROWS_MAX - *ret_n;
		json_t *page = NULL, *rows;
		const char *next;

		status = read_page(client, listing, cursor, limit, &page);
		if (status != STATUS_DONE)
			break;
		rows = json_object_get(page, listing->key);
		*ret_n += json_array_size(rows);
		if (all)
			json_array_extend(all, rows);
		else
			print_rows(listing, rows, &table);
		next = listing->paged && json_array_size(rows) ? text_of(page, "next", NULL) : NULL;
		free(cursor);
		cursor = next ? strdup(next) : NULL;
		json_decref(page);
	} while (cursor && (everything || *ret_n < ROWS_MAX));
	*ret_more = cursor;
	table_done(&table);
	json_decref(simulated);
	return status;
}

static bool filtered(const struct listing *listing)
{
	for (unsigned i = 0; i < LIST_FILTERS_MAX; i++)
		if (listing->filters[i].value)
			return true;
	return false;
}

static void print_gathered(const struct listing *listing, json_t *all, const char *more)
{
	json_t *document = json_object();

	json_object_set(document, listing->key, all);
	if (listing->paged)
		json_object_set_new(document, "next", more ? json_string(more) : json_null());
	print_json(document, true);
	json_decref(document);
}

int list_run(struct client *client, const struct listing *listing, bool everything, bool json)
{
	json_t *all = json ? json_array() : NULL;
	char *more = NULL;
	uint64_t n = 0;
	int status = read_pages(client, listing, everything, all, &n, &more);

	if (status == STATUS_DONE && json)
		print_gathered(listing, all, more);
	if (status == STATUS_DONE && more)
		complain(0, "there are more than these %" PRIu64 ": --all shows them", n);
	if (status == STATUS_DONE && !n && !json)
		complain(0, "no %s%s", listing->key, filtered(listing) ? " like that" : "");
	if (status == STATUS_DONE && !n && filtered(listing))
		status = STATUS_NO;
	json_decref(all);
	free(more);
	return status;
}
