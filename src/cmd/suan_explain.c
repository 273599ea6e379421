/* SPDX-License-Identifier: Apache-2.0
 * suan_explain.c: why a job waits: the one reason that matters most, the numbers behind it, what would change it, and
 * when it is expected to start. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/suan_client.h"
#include "cmd/suan_job.h"
#include "cmd/suan_print.h"

static intmax_t number(const json_t *object, const char *key)
{
	return (intmax_t)int_of(object, key, 0);
}

/* ---- What would change it, by reason ---- */

/* What the job could ask for instead, before what others would have to do; "" where nothing was found. */
static const char *instead(const json_t *why)
{
	static char text[300];

	*text = 0;
	if (json_is_object(json_object_get(why, "change")))
		snprintf(text, sizeof text, "%s; or ", text_of(why, "change_text", ""));
	return text;
}

static void change_begin(const json_t *why)
{
	(void)why;
	print_field("to change", "its begin has to come; cancel it and submit it with another");
}

static void change_dependency(const json_t *why)
{
	if (number(why, "blocker"))
		print_field("to change", "job %" PRIdMAX " has to end (suan job %" PRIdMAX ")", number(why, "blocker"),
		            number(why, "blocker"));
	else
		print_field("to change", "the jobs that it depends on have to end (suan job ID names them)");
}

static void change_array(const json_t *why)
{
	(void)why;
	print_field("to change", "an element that runs has to end; the array was submitted with that bound (%%N)");
}

static void change_resources(const json_t *why)
{
	intmax_t need = number(why, "need_nodes"), have = number(why, "free_nodes");

	if (have > 0 && have < need)
		print_field("to change", "%" PRIdMAX " more such nodes have to come free, or it asks for %" PRIdMAX, need - have, have);
	else
		print_field("to change", "something that runs there has to end, or it asks for less, or for another kind as well");
}

static void change_spread(const json_t *why)
{
	(void)why;
	print_field("to change", "a wider topology.highest_tier, mode soft, or fewer nodes");
}

static void change_reserved(const json_t *why)
{
	if (number(why, "blocker"))
		print_field("to change", "a time limit that ends it before job %" PRIdMAX " is to start, or that job gone",
		            number(why, "blocker"));
	else
		print_field("to change", "a time limit that ends it before the reserved start");
}

static void change_quota(const json_t *why)
{
	print_field("to change", "%sjobs of its project, or of those that borrowed its cards, have to end (suan projects)",
	            instead(why));
}

static void change_booked(const json_t *why)
{
	print_field("to change", "%sa booking, a drain or a cordon has to end (suan bookings, suan nodes)%s", instead(why),
	            *instead(why) ? "" : ", or a time limit that ends it before");
}

static void change_order(const json_t *why)
{
	print_field("to change", "job %" PRIdMAX " stands before it: it has to start, or go; a higher priority would pass it",
	            number(why, "blocker"));
}

static void change_never(const json_t *why)
{
	(void)why;
	print_field("to change", "the pool has to grow, or it asks for less: cancel it, and try suan submit --dry-run");
}

static void change_queue(const json_t *why)
{
	(void)why;
	print_field("to change", "nothing: it is considered next");
}

static const struct {
	const char *reason;
	void (*change)(const json_t *why);
	bool also; /* it says more than what the job could ask for instead */
} changes[] = {
	{"begin", change_begin, false},         {"dependency", change_dependency, false}, {"array", change_array, false},
	{"resources", change_resources, false}, {"spread", change_spread, false},         {"reserved", change_reserved, false},
	{"never", change_never, false},         {"queue", change_queue, false},           {"quota", change_quota, true},
	{"booked", change_booked, true},        {"order", change_order, false},
};

static void print_change(const json_t *why, const char *reason)
{
	bool found = json_is_object(json_object_get(why, "change"));

	for (unsigned i = 0; i < sizeof changes / sizeof *changes; i++) {
		if (strcmp(changes[i].reason, reason) != 0)
			continue;
		if (!found || changes[i].also)
			changes[i].change(why);
		else
			print_field("to change", "%s", text_of(why, "change_text", ""));
	}
}

/* ---- The numbers ---- */

static void print_needs(const json_t *why, const json_t *simulated)
{
	const char *kind = text_of(why, "kind", NULL), *centre = text_of(why, "centre", NULL);
	const char *mark = centre_mark(simulated, centre);
	char have[32], all[32];

	if (number(why, "need_nodes"))
		print_field("needs", "%" PRIdMAX " node%s%s%s; %" PRIdMAX " free%s%s%s%s", number(why, "need_nodes"),
		            number(why, "need_nodes") == 1 ? "" : "s", kind && *kind ? " of " : "", kind ? kind : "",
		            number(why, "free_nodes"), centre && *centre ? " at " : "", centre ? centre : "", mark ? " " : "",
		            mark ? mark : "");
	if (kind && *kind && json_is_number(json_object_get(why, "total_cards")))
		print_field("in the pool", "%s of %s cards of %s are free", amount_of(why, "free_cards", have, sizeof have),
		            amount_of(why, "total_cards", all, sizeof all), kind);
}

/* "job 3 (team-x, 8 cards)", a few of them; at: the field with an instant, and what it means. */
static void print_others(const char *name, const json_t *others, const char *at, const char *means)
{
	char line[512], cards[32], when[40];
	size_t i, len = 0;
	json_t *other;

	*line = 0;
	json_array_foreach (others, i, other) {
		const char *until = text_of(other, at, NULL), *kind = text_of(other, "kind", NULL);

		len += (size_t)snprintf(line + len, sizeof line - len, "%sjob %" PRIdMAX " (%s", i ? ", " : "", number(other, "job"),
		                        text_of(other, "project", "?"));
		if (kind && len < sizeof line)
			len += (size_t)snprintf(line + len, sizeof line - len, ", %s cards of %s",
			                        amount_of(other, "cards", cards, sizeof cards), kind);
		if (until && len < sizeof line)
			len += (size_t)snprintf(line + len, sizeof line - len, ", %s %s", means,
			                        print_when(until, now_us(), when, sizeof when));
		if (len < sizeof line)
			len += (size_t)snprintf(line + len, sizeof line - len, ")");
		if (len >= sizeof line)
			break;
	}
	if (*line)
		print_field(name, "%s", line);
}

static void print_interval(const json_t *why)
{
	const char *low = text_of(why, "expected_start_low_at", NULL), *high = text_of(why, "expected_start_high_at", NULL);
	us_t now = now_us();
	char from[40], to[40];

	if (low && high)
		print_field("expected", "between %s and %s, 9 times in 10", print_when(low, now, from, sizeof from),
		            print_when(high, now, to, sizeof to));
	else
		print_field("expected", "can't be told");
}

static void print_expected(const json_t *why)
{
	const char *reserved = text_of(json_object_get(why, "reservation"), "start_at", NULL);
	us_t now = now_us();
	char when[40];

	if (json_is_object(json_object_get(why, "reservation")) && !reserved)
		print_field("reserved", "what comes free on its nodes is kept for it; when that is enough can't be told");
	if (reserved)
		print_field("reserved", "%s (%s): nothing later may delay that", print_when(reserved, now, when, sizeof when), reserved);
	print_interval(why);
}

static void print_explanation(const char *id, const json_t *why, const json_t *simulated)
{
	const char *reason = text_of(why, "reason", "none"), *state = text_of(why, "state", "?"), *text = text_of(why, "text", "");

	if (!strcmp(reason, "none")) { /* where the text says no more than the state, the state alone */
		print_line("job %s is %s: %s", id, state, strncmp(text, "it doesn't", 10) ? text : "it doesn't wait");
		return;
	}
	print_line("job %s is %s: %s", id, state, reason);
	print_field("because", "%s", text_of(why, "text", ""));
	print_needs(why, simulated);
	if (number(why, "blocker"))
		print_field("behind", "job %" PRIdMAX, number(why, "blocker"));
	print_others("held by", json_object_get(why, "holders"), "until", "ends by its limit");
	if (json_is_integer(json_object_get(why, "ahead")))
		print_field("ahead", "%" PRIdMAX " job%s in the queue", number(why, "ahead"), number(why, "ahead") == 1 ? "" : "s");
	print_others("first", json_object_get(why, "ahead_jobs"), "promised_at", "promised to start");
	print_change(why, reason);
	print_expected(why);
}

int cmd_explain(int argc, char **argv)
{
	bool json = false;
	const struct opt opts[] = {{"json", 0, OPT_FLAG, &json}};
	struct client *client;
	char path[JOB_PATH_SIZE];
	json_t *why = NULL, *simulated = NULL;
	int status;

	if (opts_read(argc, argv, opts, 1, 1, 1) < 0)
		return STATUS_USAGE;
	if ((status = job_check_id("explain", argv[1])) != STATUS_DONE || (status = client_start(&client)) != STATUS_DONE)
		return status;
	status = client_get(client, job_path(path, argv[1], "/explain"), &why);
	if (status == STATUS_DONE && json)
		print_json(why, true);
	else if (status == STATUS_DONE && (status = client_simulated(client, &simulated)) == STATUS_DONE)
		print_explanation(argv[1], why, simulated);
	json_decref(simulated);
	json_decref(why);
	client_close(client);
	return status;
}
