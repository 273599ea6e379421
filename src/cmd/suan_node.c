/* SPDX-License-Identifier: Apache-2.0
 * suan_node.c: node, drain, book, bookings, unbook: taking nodes out of service and back, and keeping them over a window. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/suan_client.h"
#include "cmd/suan_list.h"
#include "cmd/suan_print.h"
#include "format/operator_request.h"

enum { CALL_TIMEOUT_S = 60 };

/* CENTRE/NUMBERS as typed. */
struct place {
	char centre[NAME_LEN_MAX + 1];
	const char *numbers;
	const struct node_range *ranges; /* in the arena */
	uint32_t n_ranges;
};

static int read_place(const char *verb, const char *word, struct arena *arena, struct place *ret)
{
	const char *slash = strrchr(word, '/');
	struct err err;

	if (!slash || slash == word || !slash[1] || (size_t)(slash - word) >= sizeof ret->centre)
		return usage_error(verb, "\"%s\": expected CENTRE/NUMBERS, such as tianjin/0-3", word);
	memcpy(ret->centre, word, (size_t)(slash - word));
	ret->centre[slash - word] = 0;
	ret->numbers = slash + 1;
	if (node_ranges_parse(ret->numbers, arena, &ret->ranges, &ret->n_ranges, &err) < 0)
		return usage_error(verb, "%s", err.text);
	return STATUS_DONE;
}

/* Asks, and prints the answer where that is wanted; else *ret is the caller's. body: given away; NULL: none. */
static int ask(const char *method, const char *path, json_t *body, bool json, json_t **ret)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	struct call call = {
		.method = method, .path = path, .body = text, .body_len = text ? strlen(text) : 0, .timeout_s = CALL_TIMEOUT_S};
	struct answer answer = {0};
	struct client *client;
	int status = client_start(&client);

	json_decref(body);
	if (status != STATUS_DONE) {
		free(text);
		return status;
	}
	status = client_ask(client, &call, &answer);
	if (status == STATUS_DONE && json)
		print_json(answer.json, true);
	if (status == STATUS_DONE)
		*ret = json_incref(answer.json);
	answer_done(&answer);
	client_close(client);
	free(text);
	return status;
}

/* ---- suan node ---- */

/* A name as a part of a path. The caller frees it. */
static char *escape(const char *name)
{
	struct buf buf = {0};

	for (; *name; name++) {
		bool plain = (*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') || (*name >= '0' && *name <= '9') ||
		             strchr("-_~", *name);

		buf_printf(&buf, plain ? "%c" : "%%%02x", (unsigned char)*name);
	}
	buf_put_u8(&buf, 0);
	return (char *)buf.data; /* the buffer's memory is plain heap */
}

static int set_state(const struct place *place, const char *action, const char *note, bool json)
{
	json_t *body = json_pack("{s:I, s:o}", "last", (json_int_t)place->ranges[0].last, "note",
	                         note ? json_string(note) : json_null()),
		   *answer = NULL;
	char *centre = escape(place->centre), path[4 * NAME_LEN_MAX + 64];
	int status;

	snprintf(path, sizeof path, "/v1/nodes/%s/%" PRIu32 "/%s", centre, place->ranges[0].first, action);
	free(centre);
	if (!body)
		return complain(STATUS_USAGE, "--note: expected text as UTF-8");
	status = ask("POST", path, body, json, &answer);
	if (status == STATUS_DONE && !json)
		print_line("%s/%s %s", text_of(answer, "centre", "?"), text_of(answer, "nodes", "?"), text_of(answer, "state", "?"));
	json_decref(answer);
	return status;
}

/* argv[0] is "node ACTION". */
static int node_verb(int argc, char **argv)
{
	const char *note = NULL, *action = strchr(argv[0], ' ') + 1;
	bool json = false;
	const struct opt opts[] = {{"note", 0, OPT_TEXT, &note}, {"json", 0, OPT_FLAG, &json}};
	struct arena arena = {0};
	struct place place;
	int status;

	if (opts_read(argc, argv, opts, 2, 1, 1) < 0)
		return STATUS_USAGE;
	status = read_place(argv[0], argv[1], &arena, &place);
	if (status == STATUS_DONE && place.n_ranges != 1)
		status = usage_error(argv[0], "\"%s\": expected one node or one range, such as %s/0-3", argv[1], place.centre);
	if (status == STATUS_DONE)
		status = set_state(&place, action, note, json);
	arena_done(&arena);
	return status;
}

int cmd_node_cordon(int argc, char **argv)
{
	return node_verb(argc, argv);
}

int cmd_node_uncordon(int argc, char **argv)
{
	return node_verb(argc, argv);
}

int cmd_node_down(int argc, char **argv)
{
	return node_verb(argc, argv);
}

int cmd_node_up(int argc, char **argv)
{
	return node_verb(argc, argv);
}

/* ---- suan drain, suan book ---- */

struct window {
	const char *project, *name, *from, *until; /* project: NULL for a drain */
	bool json;
};

static int check_window(const char *verb, const struct window *window)
{
	us_t now = now_us(), from_us = now, until_us = US_NEVER;
	struct err err;

	if (window->from && instant_parse(window->from, now, &from_us, &err) < 0)
		return usage_error(verb, "--from: %s", err.text);
	if (window->until && instant_or_never_parse(window->until, now, &until_us, &err) < 0)
		return usage_error(verb, "--until: %s", err.text);
	if (until_us <= from_us)
		return usage_error(verb, "--until: \"%s\": expected an instant after --from", window->until);
	return STATUS_DONE;
}

static json_t *text_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

static int book(const char *verb, const char *word, const struct window *window)
{
	struct arena arena = {0};
	json_t *body = NULL, *answer = NULL;
	struct place place;
	int status = read_place(verb, word, &arena, &place);

	if (status == STATUS_DONE)
		status = check_window(verb, window);
	if (status == STATUS_DONE) {
		/* What is relative is left to the daemon's clock. */
		body = json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "centre", place.centre, "nodes", place.numbers, "project",
		                 text_or_null(window->project), "name", text_or_null(window->name), "from", text_or_null(window->from),
		                 "until", text_or_null(window->until));
		status = body ? ask("POST", "/v1/bookings", body, window->json, &answer) : usage_error(verb, "expected text as UTF-8");
	}
	if (status == STATUS_DONE && !window->json)
		print_line("%" PRIdMAX, (intmax_t)int_of(answer, "id", 0));
	json_decref(answer);
	arena_done(&arena);
	return status;
}

int cmd_drain(int argc, char **argv)
{
	struct window window = {0};
	const struct opt opts[] = {{"from", 0, OPT_TEXT, &window.from},
	                           {"until", 0, OPT_TEXT, &window.until},
	                           {"name", 0, OPT_TEXT, &window.name},
	                           {"json", 0, OPT_FLAG, &window.json}};

	if (opts_read(argc, argv, opts, 4, 1, 1) < 0)
		return STATUS_USAGE;
	return book("drain", argv[1], &window);
}

int cmd_book(int argc, char **argv)
{
	struct window window = {0};
	const struct opt opts[] = {{"project", 'p', OPT_TEXT, &window.project},
	                           {"from", 0, OPT_TEXT, &window.from},
	                           {"until", 0, OPT_TEXT, &window.until},
	                           {"name", 0, OPT_TEXT, &window.name},
	                           {"json", 0, OPT_FLAG, &window.json}};

	if (opts_read(argc, argv, opts, 5, 1, 1) < 0)
		return STATUS_USAGE;
	if (!window.project)
		return usage_error("book", "--project is missing: expected for whom; without one it is a drain (suan drain)");
	if (!window.until)
		return usage_error("book", "--until is missing: expected an instant, +2h, or never");
	return book("book", argv[1], &window);
}

/* ---- suan bookings, suan unbook ---- */

static const struct column booking_columns[] = {{"ID", true, 0},       {"NAME", false, 8},  {"PROJECT", false, 8},
                                                {"CENTRE", false, 12}, {"NODES", false, 8}, {"FROM", false, 0},
                                                {"UNTIL", false, 0}};

static void booking_row(struct table *table, const json_t *booking, us_t now)
{
	const char *project = text_of(booking, "project", NULL), *centre = text_of(booking, "centre", "?");
	char when[40];

	table_add(table, PLAIN, NULL, "%" PRIdMAX, (intmax_t)int_of(booking, "id", 0));
	table_add(table, PLAIN, NULL, "%s", text_of(booking, "name", "?"));
	table_add(table, project ? PLAIN : DIM, NULL, "%s", project ? project : "(drain)");
	table_add(table, PLAIN, centre_mark(table->simulated, centre), "%s", centre);
	table_add(table, PLAIN, NULL, "%s", text_of(booking, "nodes", "?"));
	table_add(table, PLAIN, NULL, "%s", print_when(text_of(booking, "from", NULL), now, when, sizeof when));
	table_add(table, PLAIN, NULL, "%s",
	          text_of(booking, "until", NULL) ? print_when(text_of(booking, "until", NULL), now, when, sizeof when) : "never");
}

int cmd_bookings(int argc, char **argv)
{
	bool json = false;
	const struct opt opts[] = {{"json", 0, OPT_FLAG, &json}};
	struct listing listing = {.path = "/v1/bookings",
	                          .key = "bookings",
	                          .names_centres = true,
	                          .columns = booking_columns,
	                          .n_columns = sizeof booking_columns / sizeof *booking_columns,
	                          .row = booking_row};
	struct client *client;
	int status;

	if (opts_read(argc, argv, opts, 1, 0, 0) < 0)
		return STATUS_USAGE;
	if ((status = client_start(&client)) != STATUS_DONE)
		return status;
	status = list_run(client, &listing, true, json);
	client_close(client);
	return status;
}

int cmd_unbook(int argc, char **argv)
{
	bool json = false;
	const struct opt opts[] = {{"json", 0, OPT_FLAG, &json}};
	json_t *answer = NULL;
	char path[64];
	int status;

	if (opts_read(argc, argv, opts, 1, 1, 1) < 0)
		return STATUS_USAGE;
	if (!*argv[1] || argv[1][strspn(argv[1], "0123456789")] || strlen(argv[1]) > 10)
		return usage_error("unbook", "\"%s\": expected a booking's ID, such as 3 (suan bookings lists them)", argv[1]);
	snprintf(path, sizeof path, "/v1/bookings/%s", argv[1]);
	status = ask("DELETE", path, NULL, json, &answer);
	if (status == STATUS_DONE && !json)
		print_line("%s taken back", argv[1]);
	json_decref(answer);
	return status;
}
