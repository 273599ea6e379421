/* SPDX-License-Identifier: Apache-2.0
 * suan_job.c: jobs and job: the queue, and one job in full. */
#include "cmd/suan_job.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cmd/cmd.h"
#include "cmd/suan_client.h"
#include "cmd/suan_list.h"
#include "cmd/suan_print.h"
#include "core/event.h"
#include "core/pool.h"

/* ---- IDs and paths ---- */

int job_check_id(const char *verb, const char *id)
{
	size_t len = strspn(id, "0123456789"), element = 0;

	if (len && id[len] == '_')
		element = strspn(id + len + 1, "0123456789");
	if (!len || len > 10 || element > 10 || (element ? id[len + 1 + element] : id[len]))
		return usage_error(verb, "\"%s\": expected a job's ID, such as 17, or 12_5 for element 5 of array 12", id);
	return STATUS_DONE;
}

char *job_path(char *buf, const char *id, const char *rest)
{
	snprintf(buf, JOB_PATH_SIZE, "/v1/jobs/%s%s", id, rest);
	return buf;
}

char *job_id_text(const json_t *job, char *buf, size_t size)
{
	json_int_t array = int_of(job, "array_id", -1), index = int_of(job, "array_index", -1);

	if (array > 0 && index >= 0)
		snprintf(buf, size, "%" PRIdMAX "_%" PRIdMAX, (intmax_t)array, (intmax_t)index);
	else
		snprintf(buf, size, "%" PRIdMAX, (intmax_t)int_of(job, "id", 0));
	return buf;
}

/* ---- suan jobs ---- */

static const struct column job_columns[] = {
	{"ID", true, 0},    {"NAME", false, 10},  {"PROJECT", false, 7}, {"STATE", false, 0},
	{"NODES", true, 0}, {"WHERE", false, 12}, {"SINCE", false, 0},
};

/* The instant at which a job came into its state. */
static const char *job_since(const json_t *job)
{
	static const char *const keys[] = {"ended_at", "started_at", "placed_at", "submitted_at"};

	for (unsigned i = 0; i < sizeof keys / sizeof *keys; i++)
		if (text_of(job, keys[i], NULL))
			return text_of(job, keys[i], NULL);
	return NULL;
}

static void job_row(struct table *table, const json_t *job, us_t now)
{
	const json_t *array = json_object_get(job, "array");
	const char *state = text_of(job, "state", "?"), *centre = text_of(job, "centre", NULL);
	const char *reason = text_of(json_object_get(job, "reason"), "code", NULL);
	char id[40], when[40];

	table_add(table, PLAIN, NULL, "%s", job_id_text(job, id, sizeof id));
	if (json_is_object(array))
		table_add(table, PLAIN, NULL, "%s [%" PRIdMAX "]", text_of(job, "name", ""), (intmax_t)int_of(array, "count", 0));
	else
		table_add(table, PLAIN, NULL, "%s", text_of(job, "name", ""));
	table_add(table, PLAIN, NULL, "%s", text_of(job, "project", ""));
	table_add(table, state_colour(state), NULL, "%s", state);
	table_add(table, PLAIN, NULL, "%" PRIdMAX, (intmax_t)int_of(job, "num_nodes", 1));
	if (centre)
		table_add(table, PLAIN, simulated_mark(job), "%s", centre);
	else
		table_add(table, DIM, NULL, reason ? "(%s)" : "-", reason);
	table_add(table, PLAIN, NULL, "%s", print_when(job_since(job), now, when, sizeof when));
}

static int unknown_state(const char *state)
{
	const char *words[JOB_STATE_COUNT], *near;

	for (int i = 0; i < JOB_STATE_COUNT; i++)
		words[i] = job_state_word((enum job_state)i);
	near = spec_nearest(state, words, JOB_STATE_COUNT);
	if (near)
		return usage_error("jobs", "--state: unknown state \"%s\": did you mean %s?", state, near);
	return usage_error("jobs", "--state: unknown state \"%s\": expected queued, stage_in, active, completed, failed, ...", state);
}

int cmd_jobs(int argc, char **argv)
{
	const char *state = NULL, *project = NULL;
	bool all = false, json = false;
	const struct opt opts[] = {{"state", 's', OPT_TEXT, &state},
	                           {"project", 'p', OPT_TEXT, &project},
	                           {"all", 'a', OPT_FLAG, &all},
	                           {"json", 0, OPT_FLAG, &json}};
	struct listing listing = {.path = "/v1/jobs",
	                          .key = "jobs",
	                          .paged = true,
	                          .columns = job_columns,
	                          .n_columns = sizeof job_columns / sizeof *job_columns,
	                          .row = job_row};
	struct client *client;
	int status;

	if (opts_read(argc, argv, opts, 4, 0, 0) < 0)
		return STATUS_USAGE;
	if (state && job_state_from_word(state) < 0)
		return unknown_state(state);
	if ((status = client_start(&client)) != STATUS_DONE)
		return status;
	listing.filters[0] = (struct list_filter){"state", state};
	listing.filters[1] = (struct list_filter){"project", project};
	status = list_run(client, &listing, all, json);
	client_close(client);
	return status;
}

/* ---- suan job ---- */

/* Whole numbers gathered as "0-3,5". */
struct ranges {
	char text[200];
	size_t len;
	json_int_t first, last; /* the run that is open; first -1: none */
};

static void ranges_flush(struct ranges *ranges)
{
	int n = 0;
	size_t left = sizeof ranges->text - ranges->len;

	if (ranges->first < 0 || left < 48)
		return;
	n = snprintf(ranges->text + ranges->len, left, "%s%" PRIdMAX, ranges->len ? "," : "", (intmax_t)ranges->first);
	if (ranges->last > ranges->first)
		n += snprintf(ranges->text + ranges->len + n, left - (size_t)n, "-%" PRIdMAX, (intmax_t)ranges->last);
	ranges->len += (size_t)n;
	if (sizeof ranges->text - ranges->len < 48)
		snprintf(ranges->text + ranges->len, sizeof ranges->text - ranges->len, ",...");
	ranges->first = -1;
}

static void ranges_add(struct ranges *ranges, json_int_t number)
{
	if (ranges->first >= 0 && number == ranges->last + 1) {
		ranges->last = number;
		return;
	}
	ranges_flush(ranges);
	ranges->first = ranges->last = number;
}

static void cards_text(const json_t *task, char *buf, size_t size)
{
	const json_t *cards = json_object_get(task, "cards"), *card;
	struct ranges ranges = {.first = -1};
	char count[32];
	size_t i;

	amount_of(task, "count", count, sizeof count);
	json_array_foreach (cards, i, card)
		ranges_add(&ranges, json_integer_value(card));
	ranges_flush(&ranges);
	snprintf(buf, size, "%s%s%s%s", count, *ranges.text ? " (card " : "", ranges.text, *ranges.text ? ")" : "");
}

static bool same_share(const json_t *a, const json_t *b)
{
	return json_equal(json_object_get(a, "centre"), json_object_get(b, "centre")) &&
	       json_equal(json_object_get(a, "count"), json_object_get(b, "count")) &&
	       json_equal(json_object_get(a, "cards"), json_object_get(b, "cards"));
}

/* One line for the tasks from `at` on that have the same share of their nodes. Returns where they end. */
static size_t print_share(const json_t *job, const json_t *tasks, size_t at, const json_t *simulated)
{
	const json_t *first = json_array_get(tasks, at), *task = first;
	const char *kind = text_of(job, "kind", NULL),
			   *mark = simulated ? centre_mark(simulated, text_of(first, "centre", NULL)) : simulated_mark(job);
	struct ranges nodes = {.first = -1};
	char cards[256];

	for (; task && same_share(first, task); task = json_array_get(tasks, ++at))
		ranges_add(&nodes, strtoll(text_of(task, "node", "0"), NULL, 10));
	ranges_flush(&nodes);
	cards_text(first, cards, sizeof cards);
	print_field("where", "%s%s%s, node %s%s%s%s%s", text_of(first, "centre", "?"), mark ? " " : "", mark ? mark : "", nodes.text,
	            kind ? ": " : "", kind ? cards : "", kind ? " of " : "", kind ? kind : "");
	return at;
}

void job_print_placement(const json_t *job, const json_t *simulated)
{
	enum { LINES_MAX = 8 };
	const json_t *tasks = json_object_get(job, "placement");
	size_t at = 0, n = json_array_size(tasks);

	for (unsigned lines = 0; at < n && lines < LINES_MAX; lines++)
		at = print_share(job, tasks, at, simulated);
	if (at < n)
		print_field("", "and %zu more tasks (--json shows them)", n - at);
}

static void print_instant(const json_t *job, const char *label, const char *key, us_t now)
{
	const char *instant = text_of(job, key, NULL);
	char when[40];

	if (instant)
		print_field(label, "%s (%s)", print_when(instant, now, when, sizeof when), instant);
}

static void print_dependencies(const json_t *job)
{
	const json_t *list = json_object_get(job, "depends_on"), *one;
	size_t i;

	json_array_foreach (list, i, one)
		print_field("depends on", "job %" PRIdMAX " (%s)", (intmax_t)int_of(one, "job", 0), text_of(one, "when", ""));
}

static void print_array(const json_t *job)
{
	const json_t *array = json_object_get(job, "array");

	if (json_is_object(array))
		print_field("array",
		            "%s: %" PRIdMAX " elements, %" PRIdMAX " placed, %" PRIdMAX " live, %" PRIdMAX " over, %" PRIdMAX " failed",
		            text_of(array, "ranges", ""), (intmax_t)int_of(array, "count", 0), (intmax_t)int_of(array, "placed", 0),
		            (intmax_t)int_of(array, "live", 0), (intmax_t)int_of(array, "over", 0), (intmax_t)int_of(array, "failed", 0));
	if (int_of(job, "array_id", 0) > 0)
		print_field("element", "%" PRIdMAX " of array %" PRIdMAX ", itself job %" PRIdMAX,
		            (intmax_t)int_of(job, "array_index", 0), (intmax_t)int_of(job, "array_id", 0),
		            (intmax_t)int_of(job, "id", 0));
}

static void print_reservation(const json_t *job, us_t now)
{
	const json_t *held = json_object_get(job, "reservation"), *victims = json_object_get(held, "preempts"), *victim;
	const char *start = text_of(held, "start_at", NULL);
	struct ranges ranges = {.first = -1};
	char when[40];
	size_t i;

	if (!json_is_object(held))
		return;
	print_field("reserved", "%s: %s", start ? print_when(start, now, when, sizeof when) : "no start can be told",
	            text_of(held, "cause", "?"));
	json_array_foreach (victims, i, victim)
		ranges_add(&ranges, json_integer_value(victim));
	ranges_flush(&ranges);
	print_field(strcmp(text_of(held, "cause", ""), "moved") ? "preempts" : "moves", "%s", ranges.text);
}

/* Cards times time so far, and what a checkpoint kept of it. */
static void print_service(const json_t *job)
{
	double attained = json_number_value(json_object_get(job, "attained_card_s"));
	double done = json_number_value(json_object_get(job, "done_s"));
	char text[40];

	if (attained > 0 && attained < 4e12)
		print_field("attained", "%s of card time", print_duration((us_t)(attained * 1e6), text, sizeof text));
	if (done > 0 && done < 4e9)
		print_field("kept", "%s of its work", print_duration((us_t)(done * 1e6), text, sizeof text));
}

static void print_end(const json_t *job)
{
	const char *cause = text_of(job, "cause", "none");

	if (json_is_integer(json_object_get(job, "exit_code")))
		print_field("exit", int_of(job, "num_nodes", 1) > 1 ? "%" PRIdMAX " (task %" PRIdMAX ")" : "%" PRIdMAX,
		            (intmax_t)int_of(job, "exit_code", 0), (intmax_t)int_of(job, "exit_rank", 0));
	if (strcmp(cause, "none") != 0 && strcmp(cause, "exit") != 0)
		print_field("cause", "%s", cause);
	print_field("note", "%s", text_of(job, "note", ""));
}

static void print_job(const json_t *job)
{
	const json_t *reason = json_object_get(job, "reason"), *limit = json_object_get(job, "time_limit_s");
	char id[40], duration[40];
	us_t now = now_us();

	print_line("job %s", job_id_text(job, id, sizeof id));
	print_field("name", "%s", text_of(job, "name", ""));
	print_field("project", "%s", text_of(job, "project", ""));
	print_field("user", "%s", text_of(job, "user", ""));
	print_field("state", "%s", text_of(job, "state", "?"));
	if (json_is_object(reason))
		print_field("reason", "%s: %s", text_of(reason, "code", "?"), text_of(reason, "text", ""));
	print_field("priority", "%" PRIdMAX, (intmax_t)int_of(job, "priority", 0));
	print_field("nodes", "%" PRIdMAX, (intmax_t)int_of(job, "num_nodes", 1));
	if (json_is_number(limit) && json_number_value(limit) < 4e9)
		print_field("time limit", "%s", us_format_duration((us_t)(json_number_value(limit) * 1e6), duration, sizeof duration));
	print_dependencies(job);
	print_array(job);
	job_print_placement(job, NULL);
	print_reservation(job, now);
	if (int_of(job, "attempt", 0) > 0)
		print_field("attempt", "%" PRIdMAX, (intmax_t)int_of(job, "attempt", 0));
	print_field("native", "%s", text_of(job, "native_id", ""));
	print_field("native state", "%s", text_of(job, "native_state", ""));
	print_instant(job, "begins", "begin_at", now);
	print_instant(job, "submitted", "submitted_at", now);
	print_instant(job, "placed", "placed_at", now);
	print_instant(job, "lent until", "lent_until", now);
	print_instant(job, "started", "started_at", now);
	print_instant(job, "ended", "ended_at", now);
	print_service(job);
	print_end(job);
}

int cmd_job(int argc, char **argv)
{
	bool json = false;
	const struct opt opts[] = {{"json", 0, OPT_FLAG, &json}};
	struct client *client;
	char path[JOB_PATH_SIZE];
	json_t *job = NULL;
	int status;

	if (opts_read(argc, argv, opts, 1, 1, 1) < 0)
		return STATUS_USAGE;
	if ((status = job_check_id("job", argv[1])) != STATUS_DONE || (status = client_start(&client)) != STATUS_DONE)
		return status;
	status = client_get(client, job_path(path, argv[1], ""), &job);
	if (status == STATUS_DONE && json)
		print_json(job, true);
	else if (status == STATUS_DONE)
		print_job(job);
	json_decref(job);
	client_close(client);
	return status;
}
