/* SPDX-License-Identifier: Apache-2.0
 * operator_request.c: what operators ask of nodes; see operator_request.h. */
#include "format/operator_request.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "format/form.h"

enum { REQUEST_BYTES_MAX = 1 << 20, REQUEST_YAML_NODES_MAX = 1000, NODE_NUMBER_MAX = POOL_NODES_MAX - 1 };

static const struct yaml_bounds bounds = {REQUEST_BYTES_MAX, REQUEST_YAML_NODES_MAX};

/* ---- Texts ---- */

static bool take_number(const char **at, uint32_t *ret)
{
	uint64_t value = 0;

	if (!isdigit((unsigned char)**at))
		return false;
	for (; isdigit((unsigned char)**at); ++*at) {
		value = value * 10 + (uint64_t)(**at - '0');
		if (value > NODE_NUMBER_MAX)
			return false;
	}
	*ret = (uint32_t)value;
	return true;
}

static bool take_range(const char **at, struct node_range *ret)
{
	if (!take_number(at, &ret->first))
		return false;
	ret->last = ret->first;
	if (**at != '-')
		return true;
	++*at;
	return take_number(at, &ret->last) && ret->last >= ret->first;
}

int node_ranges_parse(const char *text, struct arena *arena, const struct node_range **ret, uint32_t *ret_n, struct err *err)
{
	struct node_range *ranges = arena_new(arena, BOOKING_RANGES_MAX, sizeof *ranges), range;
	const char *at = text;
	uint32_t n = 0;

	do {
		if (!take_range(&at, &range) || (*at && *at != ','))
			return err_set(err, ERR_INVALID, NULL, "\"%.60s\": expected numbers of nodes from 0 to %d, such as 0-3,8", text,
			               NODE_NUMBER_MAX);
		if (n && range.first <= ranges[n - 1].last)
			return err_set(err, ERR_INVALID, NULL,
			               "\"%.60s\": %" PRIu32 " comes after %" PRIu32 "; expected rising numbers, each once", text,
			               range.first, ranges[n - 1].last);
		if (n && range.first == ranges[n - 1].last + 1)
			ranges[n - 1].last = range.last;
		else if (n == BOOKING_RANGES_MAX)
			return err_set(err, ERR_INVALID, NULL, "more than %d ranges of nodes", BOOKING_RANGES_MAX);
		else
			ranges[n++] = range;
	} while (*at++ == ',');
	*ret = ranges;
	*ret_n = n;
	return 0;
}

int instant_parse(const char *text, us_t now_us, us_t *ret, struct err *err)
{
	us_t ahead;

	if (!strcmp(text, "now")) {
		*ret = now_us;
		return 0;
	}
	if (*text != '+')
		return us_parse_instant(text, ret, err) < 0
		           ? err_set(err, ERR_INVALID, NULL,
		                     "\"%.60s\": expected an instant with its offset, such as 2026-12-01T02:00:00+08:00, now, or +2h",
		                     text)
		           : 0;
	if (us_parse_duration(text + 1, &ahead, err) < 0)
		return err->code;
	*ret = us_add(now_us, ahead);
	return 0;
}

int instant_or_never_parse(const char *text, us_t now_us, us_t *ret, struct err *err)
{
	if (strcmp(text, "never") != 0)
		return instant_parse(text, now_us, ret, err);
	*ret = US_NEVER;
	return 0;
}

/* ---- Bodies ---- */

static int read_note(struct form *form, const struct yaml *value, void *target)
{
	const char *text;

	if (form_text(form, value, &text) < 0)
		return form->err->code;
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return form_fail(form, value, "expected one line, without control characters");
	if (strlen(text) > NODE_NOTE_LEN_MAX)
		return form_fail(form, value, "%zu bytes; expected at most %d", strlen(text), NODE_NOTE_LEN_MAX);
	((struct node_request *)target)->note = text;
	return 0;
}

static int read_last(struct form *form, const struct yaml *value, void *target)
{
	return form_u32(form, value, 0, NODE_NUMBER_MAX, &((struct node_request *)target)->last);
}

int node_request_parse(const char *text, size_t len, struct arena *arena, struct node_request *ret, struct err *err)
{
	static const struct form_key keys[] = {{"note", read_note}, {"last", read_last}};
	static const struct form_table table = {keys, FORM_COUNT(keys), NULL, 0};
	struct form form = {.arena = arena, .err = err};
	struct node_request request = {.last = UINT32_MAX};
	struct yaml *root = NULL;

	if (yaml_parse(text, len, &bounds, arena, &root, err) < 0)
		return err->code;
	if (root && !yaml_is_null(root) && form_map(&form, root, &table, &request) < 0)
		return err->code;
	*ret = request;
	return 0;
}

struct booking_draft {
	struct booking_spec spec;
	us_t now_us;
};

static int read_name(struct form *form, const struct yaml *value, void *target)
{
	return form_name(form, value, &((struct booking_draft *)target)->spec.name);
}

static int read_project(struct form *form, const struct yaml *value, void *target)
{
	return form_name(form, value, &((struct booking_draft *)target)->spec.project);
}

static int read_centre(struct form *form, const struct yaml *value, void *target)
{
	return form_name(form, value, &((struct booking_draft *)target)->spec.centre);
}

static int read_nodes(struct form *form, const struct yaml *value, void *target)
{
	struct booking_spec *spec = &((struct booking_draft *)target)->spec;
	const char *text;

	if (form_text(form, value, &text) < 0)
		return form->err->code;
	return node_ranges_parse(text, form->arena, &spec->ranges, &spec->n_ranges, form->err);
}

static int read_from(struct form *form, const struct yaml *value, void *target)
{
	struct booking_draft *draft = target;
	const char *text;

	if (form_text(form, value, &text) < 0)
		return form->err->code;
	return instant_parse(text, draft->now_us, &draft->spec.from_us, form->err);
}

static int read_until(struct form *form, const struct yaml *value, void *target)
{
	struct booking_draft *draft = target;
	const char *text;

	if (form_text(form, value, &text) < 0)
		return form->err->code;
	return instant_or_never_parse(text, draft->now_us, &draft->spec.until_us, form->err);
}

static const struct form_key booking_keys[] = {
	{"name", read_name},   {"project", read_project}, {"centre", read_centre},
	{"nodes", read_nodes}, {"from", read_from},       {"until", read_until},
};
static const struct form_table booking_table = {booking_keys, FORM_COUNT(booking_keys), NULL, 0};

/* What must be there, and in order. */
static int check_booking(struct form *form, const struct booking_draft *draft)
{
	const struct booking_spec *spec = &draft->spec;
	char at[32];

	if (!spec->centre)
		return err_set(form->err, ERR_INVALID, "centre", "no centre; expected a centre's name");
	if (!spec->n_ranges)
		return err_set(form->err, ERR_INVALID, "nodes", "no nodes; expected numbers of nodes, such as 0-3,8");
	if (spec->from_us == US_NEVER)
		return err_set(form->err, ERR_INVALID, "from", "expected an instant");
	if (spec->until_us <= spec->from_us)
		return err_set(form->err, ERR_INVALID, "until", "expected an instant after `from` (%s)",
		               us_format_instant(spec->from_us, at, sizeof at));
	if (spec->until_us <= draft->now_us)
		return err_set(form->err, ERR_INVALID, "until", "%s is over; expected an instant to come, or never",
		               us_format_instant(spec->until_us, at, sizeof at));
	return 0;
}

int booking_request_parse(const char *text, size_t len, us_t now_us, struct arena *arena, struct booking_spec *ret,
                          struct err *err)
{
	struct form form = {.arena = arena, .err = err};
	struct booking_draft draft = {.spec = {.from_us = now_us, .until_us = US_NEVER}, .now_us = now_us};
	struct yaml *root = NULL;

	if (yaml_parse(text, len, &bounds, arena, &root, err) < 0)
		return err->code;
	if (!root || yaml_is_null(root))
		return err_set(err, ERR_INVALID, "body",
		               "there is none: expected {\"centre\": ..., \"nodes\": \"0-3,8\", \"until\": ...}");
	if (form_map(&form, root, &booking_table, &draft) < 0 || check_booking(&form, &draft) < 0)
		return err->code;
	if (!draft.spec.name)
		draft.spec.name = draft.spec.project ? draft.spec.project : "drain";
	*ret = draft.spec;
	return 0;
}
