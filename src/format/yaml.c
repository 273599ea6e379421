/* SPDX-License-Identifier: Apache-2.0
 * yaml.c: hostile text into a bounded tree; see yaml.h.
 *
 * libfyaml turns the text into events; the tree is our own, built from them. So aliases are refused before anything
 * could expand them, and every bound holds while reading: depth and nodes are counted as they come. */
#include "format/yaml.h"

#include <assert.h>
#include <libfyaml.h>
#include <stdlib.h>
#include <string.h>

#include "format/job_file.h"

enum { YAML_BLANKS_COST_MAX = 500000000, ROOM_BYTES = 1 << 20, ROOM_PER_BYTE = 16 };

/* The open maps and lists, outermost first, and where in them the next node goes. */
struct yaml_builder {
	struct arena *arena;
	struct err *err;
	uint32_t nodes_max, nodes;
	uint32_t depth;
	struct {
		struct yaml *node;
		struct yaml **tail; /* where the next child is linked */
		const char *key;    /* of a map: read, and its value isn't */
		uint32_t key_line;
	} open[YAML_DEPTH_MAX];
	const char *text; /* all of it */
	struct yaml *root;
	uint32_t documents;
	uint32_t line; /* of the last event that had one */
};

static int fail(struct yaml_builder *b, int code, const char *text)
{
	err_set(b->err, code, NULL, "%s", text);
	b->err->line = b->line;
	return code;
}

bool yaml_text_ok(const char *text, size_t len, uint32_t *ret_line)
{
	const unsigned char *p = (const unsigned char *)text, *end = p + len;
	uint32_t line = 1;

	while (p < end) {
		uint32_t more = *p < 0x80 ? 0 : *p >= 0xf0 ? 3 : *p >= 0xe0 ? 2 : 1;
		static const uint32_t least[] = {1, 0x80, 0x800, 0x10000};
		uint32_t code = more ? *p & (0x3fu >> more) : *p;

		line += *p == '\n';
		if (ret_line)
			*ret_line = line;
		if (!*p || *p > 0xf4 || (more && *p < 0xc2) || more >= (size_t)(end - p))
			return false;
		for (uint32_t i = 1; i <= more; i++) {
			if ((p[i] & 0xc0) != 0x80)
				return false;
			code = code << 6 | (p[i] & 0x3f);
		}
		if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
			return false;
		p += more + 1;
	}
	return true;
}

/* libfyaml 0.7 looks ahead over all the white space in a row at each byte of it: n of them cost it n * n nanoseconds, and
 * 100,000 a quarter of a minute. So what they cost together is bounded, which no file that a person wrote comes near. */
static bool blanks_ok(const char *text, size_t len, uint32_t *ret_line)
{
	uint64_t cost = 0, run = 0;
	uint32_t line = 1;

	for (size_t i = 0; i < len; i++) {
		line += text[i] == '\n';
		run = text[i] == ' ' || text[i] == '\t' || text[i] == '\n' || text[i] == '\r' ? run + 1 : 0;
		cost += run ? 2 * run - 1 : 0; /* the sum of the odd numbers is the square */
		if (cost > YAML_BLANKS_COST_MAX) {
			*ret_line = line;
			return false;
		}
	}
	return true;
}

/* Links a node that has just begun into the map or list that is open. */
static int add_node(struct yaml_builder *b, enum yaml_type type, struct yaml **ret)
{
	struct yaml *node;

	if (++b->nodes > b->nodes_max)
		return fail(b, ERR_TOO_LARGE, "too many keys and values");
	node = arena_new(b->arena, 1, sizeof *node);
	node->type = type;
	node->line = b->line;
	if (!b->depth) {
		b->root = node;
	} else {
		struct yaml *parent = b->open[b->depth - 1].node;

		if (parent->type == YAML_MAP) {
			assert(b->open[b->depth - 1].key);
			node->key = b->open[b->depth - 1].key;
			node->line = b->open[b->depth - 1].key_line;
			b->open[b->depth - 1].key = NULL;
		}
		*b->open[b->depth - 1].tail = node;
		b->open[b->depth - 1].tail = &node->next;
		parent->n++;
	}
	*ret = node;
	return 0;
}

static bool expects_key(const struct yaml_builder *b)
{
	return b->depth && b->open[b->depth - 1].node->type == YAML_MAP && !b->open[b->depth - 1].key;
}

static int on_start(struct yaml_builder *b, enum yaml_type type)
{
	struct yaml *node;

	if (expects_key(b))
		return fail(b, ERR_INVALID, "a key is a map or a list; expected a name");
	if (b->depth == YAML_DEPTH_MAX)
		return fail(b, ERR_TOO_LARGE, "nested too deep");
	if (add_node(b, type, &node) < 0)
		return b->err->code;
	b->open[b->depth].node = node;
	b->open[b->depth].tail = &node->first;
	b->open[b->depth].key = NULL;
	b->depth++;
	return 0;
}

static int compare_keys(const void *a, const void *b)
{
	const struct yaml *x = *(const struct yaml *const *)a, *y = *(const struct yaml *const *)b;
	int order = strcmp(x->key, y->key);

	return order ? order : (x->line > y->line) - (x->line < y->line);
}

static int check_duplicates(struct yaml_builder *b, const struct yaml *map)
{
	const struct yaml **members = arena_new(b->arena, map->n, sizeof *members);
	uint32_t n = 0;

	for (const struct yaml *m = map->first; m; m = m->next)
		members[n++] = m;
	qsort(members, n, sizeof *members, compare_keys);
	for (uint32_t i = 1; i < n; i++) {
		if (strcmp(members[i - 1]->key, members[i]->key) != 0)
			continue;
		b->line = members[i]->line;
		err_set(b->err, ERR_INVALID, members[i]->key, "stands twice; first on line %u", members[i - 1]->line);
		b->err->line = b->line;
		return ERR_INVALID;
	}
	return 0;
}

static int on_end(struct yaml_builder *b)
{
	const struct yaml *node = b->open[--b->depth].node;

	return node->type == YAML_MAP && node->n > 1 ? check_duplicates(b, node) : 0;
}

static bool is_break(char c)
{
	return c == '\n' || c == '\r';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Takes the white space at `at` that holds a line's end: one end is a space, each further one a newline. Returns what follows, or
 * `at` where there is no end of a line. */
static const char *fold_lines(const char *at, const char *end, char **to)
{
	const char *p = at;
	uint32_t breaks = 0;

	for (; p < end && (is_blank(*p) || is_break(*p)); p++)
		breaks += is_break(*p) && !(*p == '\n' && p > at && p[-1] == '\r');
	if (!breaks)
		return at;
	if (breaks == 1)
		*(*to)++ = ' ';
	for (; breaks > 1; breaks--)
		*(*to)++ = '\n';
	return p;
}

/* A scalar in single quotes, from the text itself: libfyaml 0.7 reads two quotes that are escaped in a row ('a''''b') as three,
 * cuts the value short, and loses the memory. */
static const char *read_single_quoted(struct yaml_builder *b, struct fy_token *token, size_t *ret_len)
{
	const struct fy_mark *from = fy_token_start_mark(token), *until = fy_token_end_mark(token);
	const char *at = b->text + from->input_pos, *end = b->text + until->input_pos;
	char *value = arena_new(b->arena, (size_t)(end - at) + 1, 1), *to = value;

	while (at < end) {
		const char *behind = fold_lines(at, end, &to);

		if (behind == at) {
			*to++ = *at;
			behind = at + (*at == '\'' ? 2 : 1);
		}
		at = behind;
	}
	*ret_len = (size_t)(to - value);
	return value;
}

/* Whether a scalar in double quotes has the end of a line behind a backslash, or a carriage return as it is. */
static bool escapes_break(const struct yaml_builder *b, struct fy_token *token)
{
	const struct fy_mark *from = fy_token_start_mark(token), *until = fy_token_end_mark(token);

	if (memchr(b->text + from->input_pos, '\r', until->input_pos - from->input_pos))
		return true;
	for (const char *at = b->text + from->input_pos, *end = b->text + until->input_pos; at + 1 < end; at += *at == '\\' ? 2 : 1)
		if (*at == '\\' && is_break(at[1]))
			return true;
	return false;
}

static int on_scalar(struct yaml_builder *b, struct fy_token *token)
{
	size_t len = 0;
	bool quoted = fy_token_scalar_style(token) == FYSS_SINGLE_QUOTED;
	const char *text;
	struct yaml *node;

	/* libfyaml 0.7 reads some of these wrongly, and loses the memory. */
	if (fy_token_scalar_style(token) == FYSS_DOUBLE_QUOTED && escapes_break(b, token))
		return fail(
			b, ERR_INVALID,
			"in double quotes the end of a line behind a \\, or as a carriage return, is not supported; write text of several "
			"lines after |");
	text = quoted ? read_single_quoted(b, token, &len) : fy_token_get_text(token, &len);
	if (!text)
		text = "";
	if (!yaml_text_ok(text, len, NULL))
		return fail(b, ERR_INVALID, "a string with a NUL or with invalid Unicode");
	if (expects_key(b)) {
		b->open[b->depth - 1].key = arena_strndup(b->arena, text, len);
		b->open[b->depth - 1].key_line = b->line;
		return ++b->nodes > b->nodes_max ? fail(b, ERR_TOO_LARGE, "too many keys and values") : 0;
	}
	if (add_node(b, YAML_SCALAR, &node) < 0)
		return b->err->code;
	node->text = arena_strndup(b->arena, text, len);
	node->plain = fy_token_scalar_style(token) == FYSS_PLAIN;
	return 0;
}

static int refuse_extras(struct yaml_builder *b, const struct fy_token *anchor, const struct fy_token *tag)
{
	if (anchor)
		return fail(b, ERR_INVALID, "anchors (&name) and aliases (*name) are not supported; write the value out");
	if (tag)
		return fail(b, ERR_INVALID, "tags (!name) are not supported; write the plain value");
	return 0;
}

static int on_event(struct yaml_builder *b, struct fy_event *event)
{
	const struct fy_mark *mark = fy_event_start_mark(event);

	if (mark && mark->line >= 0)
		b->line = (uint32_t)mark->line + 1;
	switch (event->type) {
	case FYET_DOCUMENT_START:
		return ++b->documents > 1 ? fail(b, ERR_INVALID, "a second document begins (---); expected one") : 0;
	case FYET_ALIAS: return refuse_extras(b, event->alias.anchor, NULL);
	case FYET_MAPPING_START:
		if (refuse_extras(b, event->mapping_start.anchor, event->mapping_start.tag) < 0)
			return b->err->code;
		return on_start(b, YAML_MAP);
	case FYET_SEQUENCE_START:
		if (refuse_extras(b, event->sequence_start.anchor, event->sequence_start.tag) < 0)
			return b->err->code;
		return on_start(b, YAML_LIST);
	case FYET_SCALAR:
		if (refuse_extras(b, event->scalar.anchor, event->scalar.tag) < 0)
			return b->err->code;
		return on_scalar(b, event->scalar.value);
	case FYET_MAPPING_END:
	case FYET_SEQUENCE_END: return on_end(b);
	default: return 0;
	}
}

/* What libfyaml says of a text that isn't YAML. */
static int syntax_error(struct yaml_builder *b, struct fy_diag *diag)
{
	void *at = NULL;
	const struct fy_diag_error *error = fy_diag_errors_iterate(diag, &at);

	if (!error)
		return fail(b, ERR_INVALID, "not YAML");
	if (error->line > 0)
		b->line = (uint32_t)error->line;
	err_set(b->err, ERR_INVALID, NULL, "not YAML: %s (column %d)", error->msg, error->column);
	b->err->line = b->line;
	return ERR_INVALID;
}

/* The library doesn't survive an allocation that fails, so what it may need is asked for first. */
static bool have_room(size_t len)
{
	void *room = malloc(ROOM_BYTES + ROOM_PER_BYTE * len);

	free(room);
	return room;
}

static int parse_events(struct yaml_builder *b, const char *text, size_t len, struct fy_diag *diag)
{
	struct fy_parse_cfg cfg = {.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG, .diag = diag};
	struct fy_parser *parser = have_room(len) ? fy_parser_create(&cfg) : NULL;
	struct fy_event *event;
	int rc = 0;

	if (!parser)
		return fail(b, ERR_NOMEM, "no memory for a parser");
	if (fy_parser_set_string(parser, text, len) < 0)
		rc = fail(b, ERR_NOMEM, "no memory for a parser");
	while (rc == 0 && (event = fy_parser_parse(parser))) {
		rc = on_event(b, event);
		fy_parser_event_free(parser, event);
	}
	if (rc == 0 && fy_parser_get_stream_error(parser))
		rc = syntax_error(b, diag);
	fy_parser_destroy(parser);
	return rc;
}

int yaml_parse(const char *text, size_t len, const struct yaml_bounds *bounds, struct arena *arena, struct yaml **ret,
               struct err *err)
{
	struct err scratch;
	struct yaml_builder b = {.arena = arena, .err = err ? err : &scratch, .nodes_max = bounds->nodes, .text = text, .line = 1};
	struct fy_diag_cfg diag_cfg;
	struct fy_diag *diag;
	int rc;

	if (len > bounds->bytes)
		return err_set(b.err, ERR_TOO_LARGE, NULL, "%zu bytes; expected at most %zu", len, bounds->bytes);
	if (!yaml_text_ok(text, len, &b.line))
		return fail(&b, ERR_INVALID, "not text: a NUL, or invalid UTF-8");
	if (!blanks_ok(text, len, &b.line))
		return fail(&b, ERR_INVALID, "too many blanks or blank lines in a row, up to here");
	b.line = 1;
	fy_diag_cfg_default(&diag_cfg);
	diag_cfg.fp = NULL;
	diag = fy_diag_create(&diag_cfg);
	if (!diag)
		return fail(&b, ERR_NOMEM, "no memory for a parser");
	fy_diag_set_collect_errors(diag, true);
	rc = parse_events(&b, text, len, diag);
	fy_diag_destroy(diag);
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
