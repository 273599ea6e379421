/* SPDX-License-Identifier: Apache-2.0
 * yaml.c: hostile text into a bounded tree; see yaml.h.
 *
 * Text that is JSON is read by yaml_json.c. Any other is turned into events by libyaml, and the tree is our own, built from them.
 * So aliases are refused before anything could expand them, and every bound holds while reading: depth and nodes are counted as
 * they come. */
#include "format/yaml.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/mem.h"
#include "format/yaml_build.h"

enum { YAML_TAG_LINES_MAX = 64 };

/* libyaml takes all of its memory by these two and yaml_malloc, of which the program's own go before the library's. Secrets pass
 * through it, so what it gives back is zeroed. */
void yaml_free(void *p);
void *yaml_realloc(void *old, size_t size);

void yaml_free(void *p)
{
	mem_free_secret(p);
}

void *yaml_realloc(void *old, size_t size)
{
	size_t had = old ? malloc_usable_size(old) : 0;
	void *p = malloc(size ? size : 1);

	if (!p)
		return NULL;
	if (old)
		memcpy(p, old, had < size ? had : size);
	mem_free_secret(old);
	return p;
}

/* ---- Characters ---- */

/* The next character; its length, or 0 where that isn't valid UTF-8, or NUL. */
static size_t next_character(const char *at, const char *end, uint32_t *ret)
{
	static const uint32_t least[] = {1, 0x80, 0x800, 0x10000};
	const unsigned char *p = (const unsigned char *)at;
	uint32_t more = *p < 0x80 ? 0 : *p >= 0xf0 ? 3 : *p >= 0xe0 ? 2 : 1;
	uint32_t code = more ? *p & (0x3fu >> more) : *p;

	if (!*p || *p > 0xf4 || (more && *p < 0xc2) || more >= (size_t)(end - at))
		return 0;
	for (uint32_t i = 1; i <= more; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*ret = code;
	return more + 1;
}

bool yaml_text_ok(const char *text, size_t len, uint32_t *ret_line)
{
	uint32_t line = 1, code;
	size_t n;

	for (const char *p = text, *end = text + len; p < end; p += n) {
		line += *p == '\n';
		if (ret_line)
			*ret_line = line;
		n = next_character(p, end, &code);
		if (!n)
			return false;
	}
	return true;
}

/* Whether libyaml reads a character as itself: by YAML 1.1 three more end a line, and some may not stand in a text. */
static bool is_read_as_itself(uint32_t code)
{
	if (code < ' ')
		return code == '\t' || code == '\n' || code == '\r';
	return (code < 0x7f || code > 0x9f) && code != 0x2028 && code != 0x2029 && code != 0xfeff && code != 0xfffe && code != 0xffff;
}

static int refuse_character(struct yaml_builder *b, uint32_t code)
{
	err_set(b->err, ERR_INVALID, NULL, "the character U+%04X is not supported as it is; expected \\u%04x in double quotes", code,
	        code);
	b->err->line = b->line;
	return ERR_INVALID;
}

static bool is_break(char c)
{
	return c == '\n' || c == '\r';
}

/* Whether a line begins with a directive %TAG. libyaml compares each of them with all before it. */
static bool is_tag_line(const char *text, const char *at, const char *end)
{
	return *at == '%' && (at == text || is_break(at[-1])) && end - at >= 4 && !memcmp(at, "%TAG", 4);
}

static int check_text(struct yaml_builder *b, const char *text, size_t len)
{
	uint32_t tag_lines = 0, code = 0;
	size_t n;

	for (const char *p = text, *end = text + len; p < end; p += n) {
		n = next_character(p, end, &code);
		b->line += *p == '\n';
		tag_lines += is_tag_line(text, p, end);
		if (!is_read_as_itself(code))
			return refuse_character(b, code);
		if (tag_lines > YAML_TAG_LINES_MAX)
			return yaml_build_fail(b, ERR_INVALID, "tags (%TAG) are not supported; write the plain value");
	}
	return 0;
}

/* ---- Events ---- */

/* Where the reading of a text is. */
struct yaml_reading {
	struct yaml_builder *b;
	const char *text, *end, *given; /* given to libyaml up to there */
	const char *at;                 /* character number `index` */
	size_t index;
	uint32_t documents;
	bool ended; /* the last document, by "..." */
};

/* Gives libyaml the next piece: the text, and the end of its last line where that has none. */
static int give(void *ctx, unsigned char *buffer, size_t size, size_t *ret_n)
{
	struct yaml_reading *r = ctx;
	size_t left = (size_t)(r->end - r->given), n = left < size ? left : size;

	memcpy(buffer, r->given, n);
	r->given += n;
	if (n < size && left && !is_break(r->end[-1]))
		buffer[n++] = '\n';
	*ret_n = n;
	return 1;
}

static int refuse_extras(struct yaml_builder *b, const yaml_char_t *anchor, bool tag)
{
	if (anchor)
		return yaml_build_fail(b, ERR_INVALID, "anchors (&name) and aliases (*name) are not supported; write the value out");
	if (tag)
		return yaml_build_fail(b, ERR_INVALID, "tags (!name) are not supported; write the plain value");
	return 0;
}

/* Goes to a mark; each lies behind the one before. */
static void go_to(struct yaml_reading *r, const yaml_mark_t *mark)
{
	for (; r->index < mark->index && r->at < r->end; r->index++)
		for (r->at++; r->at < r->end && (*r->at & 0xc0) == 0x80; r->at++)
			;
}

/* What libyaml doesn't tell: a tag of "!" alone, with which no plain scalar begins; and between brackets a ? with no blank
 * behind, which it takes for the sign of a key, though YAML 1.2 has it as a part of the scalar. */
static int check_beginning(struct yaml_reading *r, const yaml_event_t *event)
{
	if (event->start_mark.index == event->end_mark.index)
		return 0; /* empty */
	go_to(r, &event->start_mark);
	if (*r->at == '!')
		return refuse_extras(r->b, NULL, true);
	if (r->at > r->text && r->at[-1] == '?')
		return yaml_build_fail(r->b, ERR_INVALID, "a value that begins with ? needs quotes here");
	return 0;
}

static int on_scalar(struct yaml_reading *r, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t len = event->data.scalar.length;

	if (refuse_extras(r->b, event->data.scalar.anchor, event->data.scalar.tag) < 0 || check_beginning(r, event) < 0)
		return r->b->err->code;
	return yaml_build_scalar(r->b, arena_strndup(r->b->arena, text, len), len,
	                         event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE);
}

static int on_document(struct yaml_reading *r)
{
	if (++r->documents > 1)
		return yaml_build_fail(r->b, ERR_INVALID, "a second document begins (---); expected one");
	return 0;
}

static int on_event(struct yaml_reading *r, const yaml_event_t *event)
{
	r->b->line = (uint32_t)event->start_mark.line + 1;
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT: return on_document(r);
	case YAML_DOCUMENT_END_EVENT: r->ended = !event->data.document_end.implicit; return 0;
	case YAML_ALIAS_EVENT: return refuse_extras(r->b, event->data.alias.anchor, false);
	case YAML_MAPPING_START_EVENT:
		if (refuse_extras(r->b, event->data.mapping_start.anchor, event->data.mapping_start.tag) < 0)
			return r->b->err->code;
		return yaml_build_start(r->b, YAML_MAP);
	case YAML_SEQUENCE_START_EVENT:
		if (refuse_extras(r->b, event->data.sequence_start.anchor, event->data.sequence_start.tag) < 0)
			return r->b->err->code;
		return yaml_build_start(r->b, YAML_LIST);
	case YAML_SCALAR_EVENT: return on_scalar(r, event);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT: return yaml_build_end(r->b);
	default: return 0;
	}
}

/* What libyaml says too little of. */
static const struct {
	const char *problem, *hint;
} hints[] = {
	{"found invalid Unicode character escape code", "; beyond \\uFFFF expected eight digits, such as \\U0001F600"},
	{"found character that cannot start any token", "; a tab can't indent, and a value that begins with @, % or ` needs quotes"},
	{"did not find expected <document start>", "; nothing may follow the end of the whole"},
};

static const char *hint_of(const char *problem)
{
	for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
		if (!strcmp(problem, hints[i].problem))
			return hints[i].hint;
	return "";
}

/* Whether what is wrong is where the context begins: a key without ':', quotes that nothing closes. */
static bool is_wrong_from_start(const char *context)
{
	return !strcmp(context, "while scanning a simple key") || !strcmp(context, "while scanning a quoted scalar");
}

/* What libyaml says of a text that it doesn't read. */
static int on_error(struct yaml_reading *r, const yaml_parser_t *parser)
{
	const char *context = parser->context ? parser->context : "", *problem = parser->problem ? parser->problem : "";
	const yaml_mark_t *start = *context ? &parser->context_mark : &parser->problem_mark;
	const yaml_mark_t *at = is_wrong_from_start(context) ? start : &parser->problem_mark;
	char since[32] = "";

	if (parser->error == YAML_MEMORY_ERROR)
		return yaml_build_fail(r->b, ERR_NOMEM, "no memory for a parser");
	r->b->line = (uint32_t)at->line + 1;
	if (r->ended && strstr(problem, "<document start>"))
		return on_document(r);
	if (start->line < at->line)
		snprintf(since, sizeof since, " from line %zu", start->line + 1);
	err_set(r->b->err, ERR_INVALID, NULL, "not YAML: %s%s%s%s%s (column %zu)", context, since, *context ? ", " : "", problem,
	        hint_of(problem), at->column + 1);
	r->b->err->line = r->b->line;
	return ERR_INVALID;
}

static int read_events(struct yaml_reading *r, yaml_parser_t *parser)
{
	yaml_event_t event;
	bool more = true;
	int rc = 0;

	while (rc == 0 && more) {
		if (!yaml_parser_parse(parser, &event))
			return on_error(r, parser);
		more = event.type != YAML_STREAM_END_EVENT;
		rc = on_event(r, &event);
		yaml_event_delete(&event);
	}
	return rc;
}

static int read_yaml(struct yaml_builder *b, const char *text, size_t len)
{
	struct yaml_reading r = {.b = b, .text = text, .end = text + len, .given = text, .at = text};
	yaml_parser_t parser;
	int rc;

	if (check_text(b, text, len) < 0)
		return b->err->code;
	if (!yaml_parser_initialize(&parser))
		return yaml_build_fail(b, ERR_NOMEM, "no memory for a parser");
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input(&parser, give, &r);
	rc = read_events(&r, &parser);
	yaml_parser_delete(&parser);
	return rc;
}

int yaml_parse(const char *text, size_t len, const struct yaml_bounds *bounds, struct arena *arena, struct yaml **ret,
               struct err *err)
{
	static const char mark[] = "\xef\xbb\xbf"; /* of UTF-8, at the beginning */
	struct err scratch;
	struct yaml_builder start = {.arena = arena, .err = err ? err : &scratch, .nodes_max = bounds->nodes, .line = 1}, b = start;
	size_t skip = len >= 3 && !memcmp(text, mark, 3) ? 3 : 0;
	int rc;

	if (len > bounds->bytes)
		return err_set(b.err, ERR_TOO_LARGE, NULL, "%zu bytes; expected at most %zu", len, bounds->bytes);
	if (!yaml_text_ok(text, len, &b.line))
		return yaml_build_fail(&b, ERR_INVALID, "not text: a NUL, or invalid UTF-8");
	b = start;
	rc = yaml_json_read(&b, text + skip, len - skip);
	if (rc == YAML_NOT_JSON) {
		b = start;
		rc = read_yaml(&b, text + skip, len - skip);
	}
	if (rc == 0)
		*ret = b.root;
	return rc;
}

const struct yaml *yaml_member(const struct yaml *map, const char *key)
{
	if (!map || map->type != YAML_MAP)
		return NULL;
	for (const struct yaml *m = map->first; m; m = m->next)
		if (!strcmp(m->key, key))
			return m;
	return NULL;
}

bool yaml_is_null(const struct yaml *node)
{
	return node->type == YAML_SCALAR && node->plain && (!*node->text || !strcmp(node->text, "~") || !strcmp(node->text, "null"));
}
