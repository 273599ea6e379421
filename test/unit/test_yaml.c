/* SPDX-License-Identifier: Apache-2.0
 * test_yaml.c: YAML and JSON into trees: what each form means, what is refused and on which line, and what hostile text costs. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/buf.h"
#include "format/job_file.h"
#include "format/yaml.h"

/* ---- Helpers ---- */

static const struct yaml_bounds wide = {16 << 20, 1000000};

struct read {
	struct arena arena;
	struct yaml *root;
	struct err err;
	int rc;
};

/* The text lies alone at the end of a block, so that a sanitizer sees who reads on. */
static struct read parse_within(const char *text, size_t len, const struct yaml_bounds *bounds)
{
	struct read r = {0};
	char *alone = malloc(len ? len : 1);

	assert_non_null(alone);
	memcpy(alone, text, len);
	r.rc = yaml_parse(alone, len, bounds, &r.arena, &r.root, &r.err);
	free(alone);
	return r;
}

static struct read parse(const char *text, size_t len)
{
	return parse_within(text, len, &wide);
}

static struct read parse_text(const char *text)
{
	return parse(text, strlen(text));
}

static void put_scalar(struct buf *out, const struct yaml *node)
{
	if (node->plain) {
		buf_printf(out, "%s", node->text);
		return;
	}
	buf_put_u8(out, '\'');
	for (const char *p = node->text; *p; p++)
		if (*p == '\n')
			buf_printf(out, "\\n");
		else
			buf_put_u8(out, (uint8_t)*p);
	buf_put_u8(out, '\'');
}

/* A tree in a line: {key: value, ...}, [value, ...], a scalar that isn't plain in single quotes. */
static void put_tree(struct buf *out, const struct yaml *node)
{
	if (!node) {
		buf_printf(out, "nothing");
		return;
	}
	if (node->type == YAML_SCALAR) {
		put_scalar(out, node);
		return;
	}
	buf_put_u8(out, node->type == YAML_MAP ? '{' : '[');
	for (const struct yaml *m = node->first; m; m = m->next) {
		if (node->type == YAML_MAP)
			buf_printf(out, "%s: ", m->key);
		put_tree(out, m);
		if (m->next)
			buf_printf(out, ", ");
	}
	buf_put_u8(out, node->type == YAML_MAP ? '}' : ']');
}

static void is_read_as(const char *text, const char *tree)
{
	struct read r = parse_text(text);
	struct buf out = {0};

	if (r.rc < 0)
		fail_msg("%s\nline %" PRIu32 ": %s", text, r.err.line, r.err.text);
	put_tree(&out, r.root);
	buf_put_u8(&out, 0);
	if (strcmp((const char *)out.data, tree) != 0)
		fail_msg("%s\nis read as %s\nand not as %s", text, out.data, tree);
	buf_done(&out);
	arena_done(&r.arena);
}

static void is_refused(const char *text, int code, uint32_t line, const char *part)
{
	struct read r = parse_text(text);

	if (r.rc != code || r.err.line != line || !strstr(r.err.text, part))
		fail_msg("%s\ngives %d, line %" PRIu32 ": %s", text, r.rc, r.err.line, r.rc < 0 ? r.err.text : "");
	assert_null(r.root);
	arena_done(&r.arena);
}

struct reading {
	const char *text, *tree;
};

static void are_read(const struct reading *cases, size_t n)
{
	for (size_t i = 0; i < n; i++)
		is_read_as(cases[i].text, cases[i].tree);
}

#define ARE_READ(cases) are_read(cases, sizeof(cases) / sizeof *(cases))

/* ---- YAML ---- */

static void test_block(void **state)
{
	static const struct reading cases[] = {
		{"", "nothing"},
		{" \n# nothing\n\n", "nothing"},
		{"---\n...\n", ""},
		{"a: b\nc:\n- d\n- e: f\n  g: h\n-\n- - i\n  - j\n", "{a: b, c: [d, {e: f, g: h}, , [i, j]]}"},
		{"a:\nb: ~\nc: null\nd: ''\n", "{a: , b: ~, c: null, d: ''}"},
		{"? a\n: b\n? c\n", "{a: b, c: }"},
		{"a: b c\n  d\n\n  e\n", "{a: b c d\ne}"},
		{"a: b#c # d\ne: f:g\nh: http://i:80/?j=k\n", "{a: b#c, e: f:g, h: http://i:80/?j=k}"},
		{"%YAML 1.2\n---\na: b\n...\n# c\n", "{a: b}"},
		{"a:\tb\t# c\n", "{a: b}"},
		{"--- {a: b}", "{a: b}"},
		{"\xef\xbb\xbf"
	     "a: b\n",
	     "{a: b}"},
		{"算: é 😀\n", "{算: é 😀}"},
	};

	(void)state;
	ARE_READ(cases);
}

static void test_flow(void **state)
{
	static const struct reading cases[] = {
		{"{a: b, c, \"d\":e, 'f': , ? g : h}", "{a: b, c: , d: e, f: , g: h}"},
		{"{h800:8, a800:4}", "{h800:8: , a800:4: }"},
		{"[a, b: c, {d: e}, [f], ]", "[a, {b: c}, {d: e}, [f]]"},
		{"[-1, -a, a?b, c:d, http://e:80/?f=g]", "[-1, -a, a?b, c:d, http://e:80/?f=g]"},
		{"{a: [b,\n\tc],\n\n  d:\n e\n f}", "{a: [b, c], d: e f}"},
		{"[]", "[]"},
		{"{}", "{}"},
	};

	(void)state;
	ARE_READ(cases);
}

static void test_quotes(void **state)
{
	static const struct reading cases[] = {
		{"''", "''"},
		{"'a''''b'", "'a''b'"},
		{"''''''''''''", "''''''"
	                     "'"},
		{"'a  \n\n  \n  b '", "'a\\n\\nb '"},
		{"'\\n # \"'", "'\\n # \"'"},
		{"\"a\n  b\n\n\n  c \"", "'a b\\n\\nc '"},
		{"\"a\\\n  b  \\\n  \\  c\"", "'ab    c'"},
		{"\"a\\\r\n  b\r\n  c\"", "'ab c'"},
		{"\"\\\"\\\\\\/\\t\\x41\\u00e9\\U0001F600\"", "'\"\\/\tAé😀'"},
		{"\"\\u0085\\N\\L\\P\\e\"", "'\xc2\x85\xc2\x85\xe2\x80\xa8\xe2\x80\xa9\x1b'"},
	};

	(void)state;
	ARE_READ(cases);
}

static void test_block_scalars(void **state)
{
	static const struct reading cases[] = {
		{"a: |\n  b\n  c\n", "{a: 'b\\nc\\n'}"},
		{"a: |\n  b", "{a: 'b\\n'}"},
		{"a: |-\n  b\n\n\n", "{a: 'b'}"},
		{"a: |+\n  b\n\n\n", "{a: 'b\\n\\n\\n'}"},
		{"a: |+\n  b\n\n  ", "{a: 'b\\n\\n\\n'}"},
		{"a: >\n  b\n  c\n\n  d\n   e\n  f\n", "{a: 'b c\\nd\\n e\\nf\\n'}"},
		{"a: >-\n  b\n\n\n\n\n\n  c\n\n\n\n\n", "{a: 'b\\n\\n\\n\\n\\nc'}"},
		{"a: |\n\n\n\n\n\n\n  b\n\n\n\n\n\n  c\n", "{a: '\\n\\n\\n\\n\\n\\nb\\n\\n\\n\\n\\n\\nc\\n'}"},
		{"a: |2\n   b\n  c\n", "{a: ' b\\nc\\n'}"},
		{"a: |-2\n   b\n", "{a: ' b'}"},
		{"a: |1+\n   b\n\n", "{a: '  b\\n\\n'}"},
		{"a: |\n  b\n   \n  c\n", "{a: 'b\\n \\nc\\n'}"},
		{"a: |\n  b\n  \tc\n", "{a: 'b\\n\tc\\n'}"},
		{"a: | # b\n  # c\n  d: e\n# f\ng: h\n", "{a: '# c\\nd: e\\n', g: h}"},
		{"a: |\nb: >\nc: d\n", "{a: '', b: '', c: d}"},
		{"a: |\r\n  b\r\n\r\n  c\r\nd: e\r\n", "{a: 'b\\n\\nc\\n', d: e}"},
		{"a: |\r  b\r  c\rd: e\r", "{a: 'b\\nc\\n', d: e}"},
		{"- |\n a\n- >\n b\n", "['a\\n', 'b\\n']"},
	};

	(void)state;
	ARE_READ(cases);
}

static void test_bad_yaml(void **state)
{
	static const struct {
		const char *text;
		uint32_t line;
		const char *part;
	} cases[] = {
		{"a: &b c\n", 1, "anchors (&name) and aliases (*name) are not supported; write the value out"},
		{"a: b\nc: *a\n", 2, "anchors"},
		{"a: b\nc: &d\n  e: f\n", 2, "anchors"},
		{"a: b\nc: &d [e]\n", 2, "anchors"},
		{"a: !!str b\n", 1, "tags (!name) are not supported; write the plain value"},
		{"é: 😀\na: ! b\n", 2, "tags"},
		{"é: 😀\r\n\r\na: ! 'b'\r\n", 3, "tags"},
		{"- !\n", 1, "tags"},
		{"! {a: b}\n", 1, "tags"},
		{"- a\n- !b [c]\n", 2, "tags"},
		{"a: b\n---\nc: d\n", 2, "a second document begins (---); expected one"},
		{"a: b\n...\nc: d\n", 3, "a second document begins (---); expected one"},
		{"? [a]\n: b\n", 1, "a key is a map or a list; expected a name"},
		{"{{a: b}: c}", 1, "a key is a map or a list; expected a name"},
		{"a: b\nc: d\na: e\n", 3, "stands twice; first on line 1"},
		{"\"a\\0b\"", 1, "a string with a NUL or with invalid Unicode"},
		{"a: \"\\ud83d\\ude00\"\n", 1, "such as \\U0001F600"},
		{"a: [b, ?c]\n", 1, "a value that begins with ? needs quotes here"},
		{"{a: ?b}", 1, "did not find expected node content"},
		{"a: [\n?b]\n", 2, "a value that begins with ? needs quotes here"},
		{"{ ?a: b}", 1, "a value that begins with ? needs quotes here"},
		{"a: b\n  c: d\n", 2, "not YAML: mapping values are not allowed in this context (column 4)"},
		{"a:\n  b: c\n d: e\n", 3, "not YAML: while parsing a block mapping from line 1, did not find expected key (column 2)"},
		{"a: b\nc\n", 2, "not YAML: while scanning a simple key, could not find expected ':' (column 1)"},
		{"a: b\nc: 'd\ne: f\n", 2, "not YAML: while scanning a quoted scalar, found unexpected end of stream (column 4)"},
		{"a: [b\nc: d\n", 2, "not YAML: while parsing a flow sequence from line 1, did not find expected ',' or ']'"},
		{"a:\n\tb: c\n", 2, "a tab can't indent"},
		{"a: @b\n", 1, "needs quotes (column 4)"},
		{"a: |\n   b\n  c\n", 3, "not YAML"},
		{"{a: b} c", 1, "nothing may follow the end of the whole (column 8)"},
		{"a: |0\n b\n", 1, "not YAML"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		is_refused(cases[i].text, ERR_INVALID, cases[i].line, cases[i].part);
}

/* YAML 1.1 ends a line at some of these, and forbids others: none of them changes a text unseen. JSON and escapes have them all.
 */
static void test_characters(void **state)
{
	static const struct {
		const char *character, *name;
	} cases[] = {
		{"\xc2\x85", "U+0085"}, {"\xe2\x80\xa8", "U+2028"}, {"\xe2\x80\xa9", "U+2029"}, {"\x1b", "U+001B"},
		{"\x7f", "U+007F"},     {"\xc2\x9b", "U+009B"},     {"\xef\xbb\xbf", "U+FEFF"}, {"\xef\xbf\xbe", "U+FFFE"},
	};
	static const char *const forms[] = {"a: |\n  b%sc\n", "a: \"\n b%sc\"\n", "a:\n  b%sc\n", "# a\n# b%sc\na: d\n"};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[64], tree[64];

		for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
			snprintf(text, sizeof text, forms[f], cases[i].character);
			is_refused(text, ERR_INVALID, 2, cases[i].name);
		}
		if ((unsigned char)*cases[i].character < ' ')
			continue;
		snprintf(text, sizeof text, "{\"a\":\"b%sc\"}", cases[i].character);
		snprintf(tree, sizeof tree, "{a: 'b%sc'}", cases[i].character);
		is_read_as(text, tree);
	}
	is_refused("a: b\n\xff", ERR_INVALID, 2, "not text: a NUL, or invalid UTF-8");
	is_refused("a: \xed\xa0\x80", ERR_INVALID, 1, "not text");
}

/* ---- JSON ---- */

static void test_json(void **state)
{
	static const struct reading cases[] = {
		{"{\"a\":1}", "{a: 1}"},
		{"\t{\n\t\"a\"\r\n:\t[ ] ,\"b\" : { }\n}\n\t", "{a: [], b: {}}"},
		{"[0,-1,1.5e+3,2E-7,-0.0,true,false,null,\"\"]", "[0, -1, 1.5e+3, 2E-7, -0.0, true, false, null, '']"},
		{"{\"\":\"\",\" \":{\"a\":[[]]}}", "{: '',  : {a: [[]]}}"},
		{"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u7b97\\ud83d\\ude00\\uD83D\\uDE00\"", "'\"\\/\b\f\\n\r\tAé算😀😀'"},
		{"\"a\\nb\"", "'a\\nb'"},
		{"{\"a\":\"# b\",\"c\":\"{d: e}\"}", "{a: '# b', c: '{d: e}'}"},
		{"7", "7"},
		{"null", "null"},
		{"\xef\xbb\xbf{\"a\":1}", "{a: 1}"},
		/* No JSON, and YAML all the same. */
		{"[1,2,]", "[1, 2]"},
		{"{\"a\":1} # b", "{a: 1}"},
		{"{\"a\":'b',c: 01}", "{a: 'b', c: 01}"},
		{"{\"a\":\"b\n  c\"}", "{a: 'b c'}"},
		{"[01, 1., .5, +1, truer, \"\\x41\"]", "[01, 1., .5, +1, truer, 'A']"},
	};

	(void)state;
	ARE_READ(cases);
}

static void test_bad_json(void **state)
{
	static const struct {
		const char *text;
		uint32_t line;
		const char *part;
	} cases[] = {
		{"{\"a\":1,\n\"b\":\n2,\n\"a\":3}", 4, "stands twice; first on line 1"},
		{"[\n\"\\u0000\"]", 2, "a string with a NUL or with invalid Unicode"},
		{"[\"\\ud83d\"]", 1, "a string with a NUL or with invalid Unicode"},
		{"[\"\\ud83d\\ud83d\"]", 1, "a string with a NUL or with invalid Unicode"},
		{"[\"\\ude00\\ud83d\"]", 1, "a string with a NUL or with invalid Unicode"},
		{"{\"a\":\"1\"\n\"b\":2}", 2, "not YAML: while parsing a flow mapping from line 1, did not find expected ',' or '}'"},
		{"{\"a\":1", 2, "not YAML"},
		{"{\"a\":1}}", 1, "not YAML"},
		{"[\"a\\", 1, "not YAML"},
		{"[\"\\u12", 1, "not YAML"},
		{"[\"\\q\"]", 1, "not YAML"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		is_refused(cases[i].text, ERR_INVALID, cases[i].line, cases[i].part);
}

/* libyaml's keys end at 1024 characters; those of JSON don't. */
static void test_long_keys(void **state)
{
	struct buf text = {0};
	struct read r;

	(void)state;
	buf_printf(&text, "{\"");
	for (int i = 0; i < 100000; i++)
		buf_put_u8(&text, 'k');
	buf_printf(&text, "\":1}");
	r = parse((const char *)text.data, text.len);
	assert_int_equal(r.rc, 0);
	assert_int_equal(strlen(r.root->first->key), 100000);
	arena_done(&r.arena);
	text.data[text.len - 3] = ' ';
	r = parse((const char *)text.data, text.len);
	assert_int_equal(r.rc, ERR_INVALID);
	arena_done(&r.arena);
	buf_done(&text);
}

/* ---- Lines ---- */

/* As a list of "line:key or value". */
static void put_lines(struct buf *out, const struct yaml *node)
{
	buf_printf(out, "%" PRIu32 ":%s ", node->line, node->key ? node->key : node->type == YAML_SCALAR ? node->text : "");
	for (const struct yaml *m = node->first; m; m = m->next)
		put_lines(out, m);
}

static void test_lines(void **state)
{
	static const struct {
		const char *text, *lines;
	} cases[] = {
		{"\n# x\na: b\nc:\n  d:\n   e\n\nf: |\n  g\n\n  h\ni:\n- j\n-\n  k\n", "3: 3:a 4:c 5:d 8:f 12:i 13:j 15:k "},
		{"{a: b,\nc: [d,\n e,\n {f: g}]}", "1: 1:a 2:c 2:d 3:e 4: 4:f "},
		{"\n{\"a\":\n1,\"b\":\n[\n2,{\"c\":\n3}]}", "2: 2:a 3:b 5:2 5: 5:c "},
		{"a: b\r\nc: d\r\n\r\ne: f", "1: 1:a 2:c 4:e "},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct read r = parse_text(cases[i].text);
		struct buf out = {0};

		assert_int_equal(r.rc, 0);
		put_lines(&out, r.root);
		buf_put_u8(&out, 0);
		assert_string_equal((const char *)out.data, cases[i].lines);
		buf_done(&out);
		arena_done(&r.arena);
	}
}

/* ---- Bounds ---- */

static void test_bounds(void **state)
{
	static const struct yaml_bounds bounds = {30, 5};
	static const struct {
		const char *text;
		int rc;
		const char *part;
	} cases[] = {
		{"[a, b, c, d]", 0, ""},
		{"[a, b, c, d, e]", ERR_TOO_LARGE, "too many keys and values"},
		{"[1,2,3,4,5]", ERR_TOO_LARGE, "too many keys and values"},
		{"{a: b, c: d}", 0, ""},
		{"{a: b, c: d, e: f}", ERR_TOO_LARGE, "too many keys and values"},
		{"{\"a\":1,\"c\":2,\"e\":3}", ERR_TOO_LARGE, "too many keys and values"},
		{"# 789012345678901234567890", 0, ""},
		{"# 78901234567890123456789012345", ERR_TOO_LARGE, "31 bytes; expected at most 30"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct read r = parse_within(cases[i].text, strlen(cases[i].text), &bounds);

		assert_int_equal(r.rc, cases[i].rc);
		if (r.rc < 0)
			assert_non_null(strstr(r.err.text, cases[i].part));
		arena_done(&r.arena);
	}
}

static void test_depth(void **state)
{
	static const struct {
		const char *open, *middle, *close;
	} cases[] = {{"[", "", "]"}, {"{\"a\":", "1", "}"}, {"{a: ", "b", "}"}, {"- ", "a", ""}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		for (int depth = YAML_DEPTH_MAX; depth <= YAML_DEPTH_MAX + 1; depth++) {
			struct buf text = {0};
			struct read r;

			for (int n = 0; n < depth; n++)
				buf_printf(&text, "%s", cases[i].open);
			buf_printf(&text, "%s", cases[i].middle);
			for (int n = 0; n < depth; n++)
				buf_printf(&text, "%s", cases[i].close);
			r = parse((const char *)text.data, text.len);
			assert_int_equal(r.rc, depth > YAML_DEPTH_MAX ? ERR_TOO_LARGE : 0);
			arena_done(&r.arena);
			buf_done(&text);
		}
	}
}

static uint64_t cpu_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* A mebibyte of anything is read or refused in a time in proportion: a square would be hours. */
static void test_time(void **state)
{
	static const struct {
		const char *head, *piece, *tail;
	} cases[] = {
		{"", "[", ""},
		{"", "{", ""},
		{"", "- ", ""},
		{"", "? ", ""},
		{"", "{? ", ""},
		{"", "[{a: ", ""},
		{"", "? a\n", ""},
		{"", ": \n", ""},
		{"", "-\n", ""},
		{"", "a: b\n", ""},
		{"", " ", "{}"},
		{"", "\t", "{}"},
		{"", "\n", "a: b"},
		{"", "\r", "a: b"},
		{"", "#\n", ""},
		{"", "%a\n", ""},
		{"", "%TAG !a! b\n", ""},
		{"---\n...\n", "%TAG !a! b\n", ""},
		{"---\r...\r", "%TAG !a! b\r", ""},
		{"a: b", " # c\n", ""},
		{"a: |\n ", "\n", "  b\n"},
		{"a: |\n", " ", "b\n"},
		{"a: |+\n  b\n", "\n", ""},
		{"a: >\n", "  b\n\n", ""},
		{"a: >\n b\n", "   c\n", ""},
		{"a: b", " ", "c\n"},
		{"a: b", "\n", "  c\n"},
		{"a: ", "b", "\n"},
		{"a: ", "b ", "\n"},
		{"a: b\n", "  c\n", ""},
		{"a: '", "''", "'\n"},
		{"a: '", " ", "'\n"},
		{"a: 'b", "\n", "'\n"},
		{"a: \"", " ", "\"\n"},
		{"a: \"", "\\\n", "\"\n"},
		{"a: \"", "\\n", "\"\n"},
		{"a: !<", "b", "> c\n"},
		{"{", "a: b, ", "}"},
		{"[", "a, ", "]"},
		{"[", "\n", "a]"},
		{"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "a,", ""},
		{"[", "\"a\",", "]"},
		{"{\"a\":\"", "\\u0041", "\"}"},
		{"", "a", ": b"},
		{"\"", "a", "\": b"},
	};
	static const struct yaml_bounds bounds = {2 << 20, YAML_NODES_MAX};
	enum { BYTES = 1 << 20, MS_MAX = 5000 }; /* each takes 0.3 s at most, ten times that under a sanitizer */

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint64_t start = cpu_ms();
		struct buf text = {0};
		struct read r;

		buf_printf(&text, "%s", cases[i].head);
		while (text.len < BYTES)
			buf_put(&text, cases[i].piece, strlen(cases[i].piece));
		buf_printf(&text, "%s", cases[i].tail);
		r = parse_within((const char *)text.data, text.len, &bounds);
		assert_true(r.rc == 0 || r.rc == ERR_INVALID || r.rc == ERR_TOO_LARGE);
		arena_done(&r.arena);
		buf_done(&text);
		if (cpu_ms() - start > MS_MAX)
			fail_msg("\"%s\" takes %" PRIu64 " ms", cases[i].piece, cpu_ms() - start);
	}
}

/* Many names, each another: the search for one that stands twice isn't a square either. */
static void test_many_keys(void **state)
{
	struct buf text = {0};
	struct read r;

	(void)state;
	for (int i = 0; i < 200000; i++)
		buf_printf(&text, "k%d: v\n", i);
	r = parse((const char *)text.data, text.len);
	assert_int_equal(r.rc, 0);
	assert_int_equal(r.root->n, 200000);
	arena_done(&r.arena);
	buf_printf(&text, "k77: w\n");
	r = parse((const char *)text.data, text.len);
	assert_int_equal(r.rc, ERR_INVALID);
	assert_string_equal(r.err.subject, "k77");
	assert_int_equal(r.err.line, 200001);
	assert_non_null(strstr(r.err.text, "first on line 78"));
	arena_done(&r.arena);
	buf_done(&text);
}

/* ---- Without memory ---- */

/* In place of libyaml's own, as src/format/yaml.c has the two others: the allocation of that number fails. */
void *yaml_malloc(size_t size);

static uint32_t allocations, failing;

void *yaml_malloc(size_t size)
{
	return ++allocations == failing ? NULL : malloc(size ? size : 1);
}

static void test_no_memory(void **state)
{
	static const char text[] =
		"%YAML 1.1\n---\na: 'b c'\n\"d\": [e, {f: g}, |\n  h\n\n  i\n, [[[[[[[[[[[[[[[[[[[[k]]]]]]]]]]]]]]]]]]]]]\n"
		"? l\n: - m\n  - n\no: >\n  p\n";
	static const char *const texts[] = {text, "a: &b c\n", "a: !b c\n", "a: *b\n", "%TAG !a! b\n---\nc", "a: b: c\n", "a: 'b"};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct read r;
		int rc;

		allocations = failing = 0;
		r = parse_text(texts[i]);
		rc = r.rc;
		arena_done(&r.arena);
		assert_true(allocations > 5); /* so it is ours that libyaml calls */
		for (failing = 1; failing <= allocations; failing++) {
			allocations = 0;
			r = parse_text(texts[i]);
			assert_true(r.rc == ERR_NOMEM || (r.rc == rc && allocations < failing));
			arena_done(&r.arena);
		}
	}
	failing = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_block),         cmocka_unit_test(test_flow),      cmocka_unit_test(test_quotes),
		cmocka_unit_test(test_block_scalars), cmocka_unit_test(test_bad_yaml),  cmocka_unit_test(test_characters),
		cmocka_unit_test(test_json),          cmocka_unit_test(test_bad_json),  cmocka_unit_test(test_long_keys),
		cmocka_unit_test(test_lines),         cmocka_unit_test(test_bounds),    cmocka_unit_test(test_depth),
		cmocka_unit_test(test_time),          cmocka_unit_test(test_many_keys), cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
