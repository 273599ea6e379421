/* SPDX-License-Identifier: Apache-2.0
 * test_operator_request.c: what operators ask of nodes: bodies of requests, numbers of nodes, instants. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "format/operator_request.h"

static const us_t now_us = (us_t)1800000000 * US_SECOND; /* 2027-01-15T08:00:00Z */

static void numbers_of_nodes(void **state)
{
	static const struct {
		const char *text, *expected; /* expected: NULL where it is refused */
	} cases[] = {
		{"0", "0-0"},      {"0-3,8", "0-3 8-8"},
		{"1,2,3", "1-3"},  {"0-3,4-7", "0-7"},
		{"5-5", "5-5"},    {"3999999", "3999999-3999999"},
		{"", NULL},        {",", NULL},
		{"1,", NULL},      {",1", NULL},
		{"1,,2", NULL},    {"3-1", NULL},
		{"1-", NULL},      {"-1", NULL},
		{"1 ,2", NULL},    {" 1", NULL},
		{"+1", NULL},      {"2,1", NULL},
		{"1,1", NULL},     {"0-3,3", NULL},
		{"4000000", NULL}, {"99999999999999999999", NULL},
		{"1x", NULL},      {"0x1", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct arena arena = {0};
		const struct node_range *ranges = NULL;
		uint32_t n = 99;
		char text[200] = "";
		struct err err = {0};
		int code = node_ranges_parse(cases[i].text, &arena, &ranges, &n, &err);

		if ((code == 0) != (cases[i].expected != NULL))
			fail_msg("%s: %d %s", cases[i].text, code, err.text);
		if (code) {
			assert_int_equal(code, ERR_INVALID);
			assert_true(n == 99 && *err.text);
		}
		for (uint32_t k = 0; !code && k < n; k++)
			snprintf(text + strlen(text), sizeof text - strlen(text), "%s%" PRIu32 "-%" PRIu32, k ? " " : "", ranges[k].first,
			         ranges[k].last);
		if (!code)
			assert_string_equal(text, cases[i].expected);
		arena_done(&arena);
	}
}

/* As many ranges as may be, and one more. */
static void many_ranges(void **state)
{
	char text[BOOKING_RANGES_MAX * 6 + 16] = "0";
	size_t len = 1;
	const struct node_range *ranges;
	struct arena arena = {0};
	struct err err;
	uint32_t n;

	(void)state;
	for (int i = 1; i < BOOKING_RANGES_MAX; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, ",%d", 2 * i);
	assert_int_equal(node_ranges_parse(text, &arena, &ranges, &n, &err), 0);
	assert_int_equal(n, BOOKING_RANGES_MAX);
	snprintf(text + len, sizeof text - len, ",%d", 2 * BOOKING_RANGES_MAX);
	assert_int_equal(node_ranges_parse(text, &arena, &ranges, &n, &err), ERR_INVALID);
	arena_done(&arena);
}

static void instants(void **state)
{
	static const struct {
		const char *text;
		us_t expected; /* -1: refused */
		us_t or_never;
	} cases[] = {
		{"now", now_us, now_us},
		{"+2h", now_us + 2 * US_HOUR, now_us + 2 * US_HOUR},
		{"+1d12h", now_us + 36 * US_HOUR, now_us + 36 * US_HOUR},
		{"+0s", now_us, now_us},
		{"2027-01-15T16:00:01+08:00", now_us + US_SECOND, now_us + US_SECOND},
		{"never", -1, US_NEVER},
		{"+2", -1, -1},
		{"+", -1, -1},
		{"2h", -1, -1},
		{"-2h", -1, -1},
		{"+-2h", -1, -1},
		{"", -1, -1},
		{"2027-01-15T16:00:01", -1, -1},
		{"Now", -1, -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		us_t got = -1, or_never = -1;
		struct err err = {0};
		int code = instant_parse(cases[i].text, now_us, &got, &err);

		assert_true(code == 0 || (code == ERR_INVALID && *err.text));
		if (got != cases[i].expected)
			fail_msg("%s: %" PRId64, cases[i].text, got);
		instant_or_never_parse(cases[i].text, now_us, &or_never, &err);
		if (or_never != cases[i].or_never)
			fail_msg("%s, or never: %" PRId64, cases[i].text, or_never);
	}
}

static void bodies_of_nodes(void **state)
{
	static const struct {
		const char *text, *note; /* note: NULL for none */
		uint32_t last;
		const char *subject; /* where it is refused; else NULL */
	} cases[] = {
		{"", NULL, UINT32_MAX, NULL},
		{"{}", NULL, UINT32_MAX, NULL},
		{"{\"note\": \"fan\", \"last\": 7}", "fan", 7, NULL},
		{"{\"note\": null, \"last\": null}", NULL, UINT32_MAX, NULL},
		{"note: 风扇\n", "风扇", UINT32_MAX, NULL},
		{"{\"nota\": \"x\"}", NULL, 0, "nota"},
		{"{\"last\": -1}", NULL, 0, "last"},
		{"{\"last\": 1.5}", NULL, 0, "last"},
		{"{\"last\": 4000000}", NULL, 0, "last"},
		{"{\"last\": \"x\"}", NULL, 0, "last"},
		{"{\"note\": [1]}", NULL, 0, "note"},
		{"{\"note\": \"two\\nlines\"}", NULL, 0, "note"},
		{"[]", NULL, 0, ""},
		{"{", NULL, 0, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct node_request request = {"untouched", 99};
		struct arena arena = {0};
		struct err err = {0};
		int code = node_request_parse(cases[i].text, strlen(cases[i].text), &arena, &request, &err);

		if ((code == 0) != (cases[i].subject == NULL))
			fail_msg("%s: %d %s: %s", cases[i].text, code, err.subject, err.text);
		if (code) {
			assert_string_equal(err.subject, cases[i].subject);
			assert_int_equal(request.last, 99);
		} else {
			assert_int_equal(request.last, cases[i].last);
			assert_string_equal(request.note ? request.note : "(none)", cases[i].note ? cases[i].note : "(none)");
		}
		arena_done(&arena);
	}
}

static void a_note_has_a_bound(void **state)
{
	struct node_request request;
	char text[NODE_NOTE_LEN_MAX + 32];
	struct arena arena = {0};
	struct err err;

	(void)state;
	snprintf(text, sizeof text, "{\"note\": \"%0*d\"}", NODE_NOTE_LEN_MAX, 0);
	assert_int_equal(node_request_parse(text, strlen(text), &arena, &request, &err), 0);
	snprintf(text, sizeof text, "{\"note\": \"%0*d\"}", NODE_NOTE_LEN_MAX + 1, 0);
	assert_int_equal(node_request_parse(text, strlen(text), &arena, &request, &err), ERR_INVALID);
	assert_string_equal(err.subject, "note");
	arena_done(&arena);
}

static void bookings(void **state)
{
	static const struct {
		const char *text, *name, *project;
		us_t from_us, until_us;
	} cases[] = {
		{"{\"centre\": \"a b/c\", \"nodes\": \"0-1,3\"}", "drain", NULL, now_us, US_NEVER},
		{"{\"centre\": \"a b/c\", \"nodes\": \"0-1,3\", \"project\": \"p\", \"until\": \"+2h\"}", "p", "p", now_us,
	     now_us + 2 * US_HOUR},
		{"centre: a b/c\nnodes: 0-1,3\nname: n\nproject: null\nfrom: +1h\nuntil: never\n", "n", NULL, now_us + US_HOUR, US_NEVER},
		{"centre: a b/c\nnodes: 0-1,3\nfrom: 2027-01-15T07:00:00Z\nuntil: 2027-01-15T16:00:01+08:00\n", "drain", NULL,
	     now_us - US_HOUR, now_us + US_SECOND},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct arena arena = {0};
		struct booking_spec spec;
		struct err err = {0};

		if (booking_request_parse(cases[i].text, strlen(cases[i].text), now_us, &arena, &spec, &err) < 0)
			fail_msg("%s: %s: %s", cases[i].text, err.subject, err.text);
		assert_string_equal(spec.name, cases[i].name);
		assert_string_equal(spec.project ? spec.project : "", cases[i].project ? cases[i].project : "");
		assert_int_equal(spec.project != NULL, cases[i].project != NULL);
		assert_string_equal(spec.centre, "a b/c");
		assert_int_equal(spec.n_ranges, 2);
		assert_int_equal(spec.ranges[1].last, 3);
		assert_true(spec.from_us == cases[i].from_us && spec.until_us == cases[i].until_us);
		arena_done(&arena);
	}
}

static void bad_bookings_name_the_field(void **state)
{
	static const struct {
		const char *text, *subject, *part;
	} cases[] = {
		{"", "body", "there is none"},
		{"null", "body", "there is none"},
		{"{}", "centre", "no centre"},
		{"{\"centre\": \"a\"}", "nodes", "no nodes"},
		{"{\"centre\": \"a\", \"nodes\": []}", "nodes", "single value"},
		{"{\"centre\": \"a\", \"nodes\": \"3-1\"}", "nodes", "such as 0-3,8"},
		{"{\"centre\": \"a\\nb\", \"nodes\": \"1\"}", "centre", "a name"},
		{"{\"centre\": \"a\", \"nodes\": \"1\", \"name\": \"\"}", "name", "a name"},
		{"{\"centre\": \"a\", \"nodes\": \"1\", \"project\": {}}", "project", "single value"},
		{"{\"centre\": \"a\", \"nodes\": \"1\", \"from\": \"never\"}", "from", "expected an instant"},
		{"{\"centre\": \"a\", \"nodes\": \"1\", \"from\": \"2h\"}", "from", "+2h"},
		{"{\"centre\": \"a\", \"nodes\": \"1\", \"until\": \"tomorrow\"}", "until", "expected an instant"},
		{"{\"centre\": \"a\", \"nodes\": \"1\", \"until\": \"now\"}", "until", "after `from`"},
		{"{\"centre\": \"a\", \"nodes\": \"1\", \"from\": \"+2h\", \"until\": \"+1h\"}", "until", "after `from`"},
		{"{\"centre\": \"a\", \"nodes\": \"1\", \"from\": \"2026-01-01T00:00:00Z\", \"until\": \"2026-02-01T00:00:00Z\"}",
	     "until", "is over"},
		{"{\"centre\": \"a\", \"nodes\": \"1\", \"untl\": \"+1h\"}", "untl", "did you mean \"until\"?"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct booking_spec spec = {.n_ranges = 99};
		struct arena arena = {0};
		struct err err = {0};

		assert_int_equal(booking_request_parse(cases[i].text, strlen(cases[i].text), now_us, &arena, &spec, &err), ERR_INVALID);
		if (strcmp(err.subject, cases[i].subject) != 0 || !strstr(err.text, cases[i].part))
			fail_msg("%s: %s: %s", cases[i].text, err.subject, err.text);
		assert_int_equal(spec.n_ranges, 99);
		arena_done(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_of_nodes),
		cmocka_unit_test(many_ranges),
		cmocka_unit_test(instants),
		cmocka_unit_test(bodies_of_nodes),
		cmocka_unit_test(a_note_has_a_bound),
		cmocka_unit_test(bookings),
		cmocka_unit_test(bad_bookings_name_the_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
