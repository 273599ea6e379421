/* SPDX-License-Identifier: Apache-2.0
 * test_print.c: what the command line shows: escaping, cutting, tables, times, JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cmd/suan_print.c"

#include <locale.h>

static void test_escape(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{"", ""},
		{"plain", "plain"},
		{"算力", "算力"},
		{"a\nb\tc", "a\\nb\\tc"},
		{"\033[31mred", "\\x1b[31mred"},
		{"del\177", "del\\x7f"},
		{"\xc2\x9b"
	     "1m",
	     "\\u{009b}1m"}, /* CSI as one character */
		{"\xe2\x80\xae"
	     "evil",
	     "\\u{202e}evil"},                   /* right to left from here */
		{"\xff\xfe", "\\xff\\xfe"},          /* no UTF-8 */
		{"\xc0\xaf", "\\xc0\\xaf"},          /* overlong */
		{"\xed\xa0\x80", "\\xed\\xa0\\x80"}, /* half of a surrogate pair */
		{"\xe7\xae", "\\xe7\\xae"},          /* cut in its middle */
		{"\xf3\xa0\x80\xa1", "\\u{e0021}"},  /* a tag, which shows as nothing */
	};
	struct arena arena = {0};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(print_escape(&arena, cases[i].text), cases[i].expected);
	arena_done(&arena);
}

static void test_cut(void **state)
{
	struct arena arena = {0};

	(void)state;
	assert_int_equal(print_width("算力abc"), 7);
	assert_string_equal(print_cut(&arena, "abcdef", 6), "abcdef");
	assert_string_equal(print_cut(&arena, "abcdef", 4), "abc…");
	assert_string_equal(print_cut(&arena, "算力平台", 8), "算力平台");
	assert_string_equal(print_cut(&arena, "算力平台", 6), "算力…");
	assert_string_equal(print_cut(&arena, "abc", 1), "…");
	arena_done(&arena);
}

static const struct column columns[] = {{"ID", true, 0}, {"NAME", false, 4}, {"WHERE", false, 6}};

static char *print_to_text(struct table *table)
{
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);

	assert_non_null(file);
	table_print(table, file);
	fclose(file);
	return text;
}

static void add_rows(struct table *table)
{
	table_add(table, PLAIN, NULL, "%d", 7);
	table_add(table, GREEN, NULL, "a\033name");
	table_add(table, PLAIN, "simulated", "%s", "tianjin-wuqing");
	table_add(table, PLAIN, NULL, "%d", 12345);
	table_add(table, PLAIN, NULL, "b");
	table_add(table, PLAIN, NULL, "-");
}

static void test_table(void **state)
{
	struct table table = table_of(columns, 3);
	char *text;

	(void)state;
	table.width = 0;
	table.colours = false;
	add_rows(&table);
	assert_int_equal(table_rows(&table), 2);
	text = print_to_text(&table);
	assert_string_equal(text, "   ID  NAME       WHERE\n"
	                          "    7  a\\x1bname  tianjin-wuqing simulated\n"
	                          "12345  b          -\n");
	free(text);
	assert_int_equal(table_rows(&table), 0);
	add_rows(&table);
	text = print_to_text(&table); /* a second page has no titles */
	assert_ptr_equal(strstr(text, "NAME "), NULL);
	free(text);
	table_done(&table);
}

/* However narrow, the mark is never cut, nor a column that may not shrink. */
static void test_table_narrow(void **state)
{
	for (unsigned width = 1; width < 60; width++) {
		struct table table = table_of(columns, 3);
		char *text, *line, *rest;

		table.width = width;
		table.colours = false;
		add_rows(&table);
		text = print_to_text(&table);
		assert_non_null(strstr(text, "simulated\n"));
		assert_non_null(strstr(text, "12345"));
		for (line = strtok_r(text, "\n", &rest); width >= 30 && line; line = strtok_r(NULL, "\n", &rest))
			assert_true(print_width(line) <= width);
		free(text);
		table_done(&table);
	}
	(void)state;
}

static void test_table_colours(void **state)
{
	struct table table = table_of(columns, 3);
	char *text;

	(void)state;
	table.width = 0;
	table.colours = true;
	add_rows(&table);
	text = print_to_text(&table);
	assert_non_null(strstr(text, "\033[32ma\\x1bname\033[0m"));
	free(text);
	table_done(&table);
}

static void test_when(void **state)
{
	static const struct {
		const char *instant, *expected;
	} cases[] = {
		{"2026-01-01T00:00:00Z", "now"},
		{"2026-01-01T00:00:00.900Z", "now"},
		{"2025-12-31T23:57:00Z", "3m ago"},
		{"2025-12-31T23:56:40Z", "3m20s ago"},
		{"2026-01-01T02:00:00Z", "in 2h"},
		{"2026-01-01T02:05:20Z", "in 2h5m"},
		{"2026-01-01T00:59:59.900Z", "in 1h"},
		{"2025-12-31T23:59:50.600Z", "9s ago"},
		{"2026-01-02T12:20:00Z", "in 1d12h"},
		{"2026-01-21T11:30:00Z", "in 20d"},
		{"2026-01-01T01:00:00+08:00", "7h ago"},
		{"soon", "-"},
		{NULL, "-"},
	};
	char buf[40];
	us_t now;

	(void)state;
	assert_int_equal(us_parse_instant("2026-01-01T00:00:00Z", &now, NULL), 0);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(print_when(cases[i].instant, now, buf, sizeof buf), cases[i].expected);
}

static void test_amount(void **state)
{
	json_t *object = json_pack("{s:f, s:i, s:s, s:n, s:f}", "half", 0.5, "eight", 8, "text", "8", "null", "minus", -1.0);
	char buf[32];

	(void)state;
	assert_non_null(object);
	assert_string_equal(amount_of(object, "half", buf, sizeof buf), "0.5");
	assert_string_equal(amount_of(object, "eight", buf, sizeof buf), "8");
	assert_string_equal(amount_of(object, "text", buf, sizeof buf), "-");
	assert_string_equal(amount_of(object, "null", buf, sizeof buf), "-");
	assert_string_equal(amount_of(object, "minus", buf, sizeof buf), "-");
	assert_string_equal(amount_of(object, "nothing", buf, sizeof buf), "-");
	json_decref(object);
}

/* What is escaped in JSON is the same text to whoever reads it. */
static void test_json_is_the_same(void **state)
{
	static const char text[] = "算力 \xc2\x9b\xe2\x80\xae\xf3\xa0\x80\xa1 \n \xf0\x9f\x98\x80";
	json_t *before = json_pack("{s:s}", "name", text), *after;
	char *dumped = json_dumps(before, JSON_COMPACT), *shown = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&shown, &size);

	(void)state;
	put_json(file, dumped);
	fclose(file);
	assert_null(strstr(shown, "\xc2\x9b"));
	assert_null(strstr(shown, "\xe2\x80\xae"));
	assert_non_null(strstr(shown, "算力"));
	after = json_loads(shown, 0, NULL);
	assert_non_null(after);
	assert_true(json_equal(before, after));
	json_decref(before);
	json_decref(after);
	free(dumped);
	free(shown);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escape),        cmocka_unit_test(test_cut),
		cmocka_unit_test(test_table),         cmocka_unit_test(test_table_narrow),
		cmocka_unit_test(test_table_colours), cmocka_unit_test(test_when),
		cmocka_unit_test(test_amount),        cmocka_unit_test(test_json_is_the_same),
	};

	setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests_name("print", tests, NULL, NULL);
}
