/* SPDX-License-Identifier: Apache-2.0
 * yaml_json.c: JSON into the tree of yaml.h.
 *
 * All of JSON is YAML 1.2 and means the same there, but libyaml reads 1.1: it knows no pairs of surrogates, takes U+2028 for the
 * end of a line, and refuses DEL. jansson knows neither the line of a value nor that of a key that stands twice. So JSON is read
 * here, after RFC 8259. */
#include <assert.h>
#include <string.h>

#include "format/yaml_build.h"

struct json {
	struct yaml_builder *b;
	const char *at, *end;
};

static void skip_blanks(struct json *j)
{
	for (; j->at < j->end && (*j->at == ' ' || *j->at == '\t' || *j->at == '\r' || *j->at == '\n'); j->at++)
		j->b->line += *j->at == '\n';
}

/* Whether `c` comes next, behind white space. */
static bool comes(struct json *j, char c)
{
	skip_blanks(j);
	return j->at < j->end && *j->at == c;
}

static bool take(struct json *j, char c)
{
	bool it = comes(j, c);

	j->at += it;
	return it;
}

/* ---- Strings ---- */

static bool take_hex(const char **at, const char *end, uint32_t *ret)
{
	uint32_t code = 0;

	if (end - *at < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		char c = *(*at)++;

		if (c >= '0' && c <= '9')
			code = code << 4 | (uint32_t)(c - '0');
		else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
			code = code << 4 | (uint32_t)((c & 7) + 9);
		else
			return false;
	}
	*ret = code;
	return true;
}

/* Half of a pair alone becomes bytes that aren't UTF-8, which the builder refuses. */
static char *put_utf8(char *to, uint32_t code)
{
	if (code < 0x80) {
		*to++ = (char)code;
		return to;
	}
	if (code < 0x800) {
		*to++ = (char)(0xc0 | code >> 6);
	} else {
		if (code < 0x10000) {
			*to++ = (char)(0xe0 | code >> 12);
		} else {
			*to++ = (char)(0xf0 | code >> 18);
			*to++ = (char)(0x80 | (code >> 12 & 0x3f));
		}
		*to++ = (char)(0x80 | (code >> 6 & 0x3f));
	}
	*to++ = (char)(0x80 | (code & 0x3f));
	return to;
}

/* What follows \u: four digits, or a pair of surrogates. At most as long as it was written. */
static bool take_unicode(const char **at, const char *end, char **to)
{
	const char *next;
	uint32_t code, low;

	if (!take_hex(at, end, &code))
		return false;
	next = *at + 2;
	if (code >= 0xd800 && code <= 0xdbff && end - *at >= 6 && !memcmp(*at, "\\u", 2) && take_hex(&next, end, &low) &&
	    low >= 0xdc00 && low <= 0xdfff) {
		code = 0x10000 + ((code - 0xd800) << 10 | (low - 0xdc00));
		*at = next;
	}
	*to = put_utf8(*to, code);
	return true;
}

static bool take_escape(const char **at, const char *end, char **to)
{
	static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
	char c = *(*at)++;
	const char *escape = memchr(escapes, c, sizeof escapes - 1);

	if (c == 'u')
		return take_unicode(at, end, to);
	if (!escape)
		return false;
	*(*to)++ = meanings[escape - escapes];
	return true;
}

/* Reads a string from behind its first quote. */
static int read_string(struct json *j)
{
	const char *from = j->at, *until = from;
	char *value, *to;

	for (; until < j->end && *until != '"'; until += *until == '\\' ? 2 : 1)
		if ((unsigned char)*until < ' ')
			return YAML_NOT_JSON;
	if (until >= j->end)
		return YAML_NOT_JSON;
	to = value = arena_new(j->b->arena, (size_t)(until - from) + 1, 1);
	while (from < until) {
		if (*from != '\\')
			*to++ = *from++;
		else if (from++, !take_escape(&from, until, &to))
			return YAML_NOT_JSON;
	}
	j->at = until + 1;
	return yaml_build_scalar(j->b, value, (size_t)(to - value), false);
}

/* ---- Numbers, true, false, null ---- */

static bool take_digits(const char **at)
{
	size_t n = strspn(*at, "0123456789");

	*at += n;
	return n;
}

static bool is_number(const char *p)
{
	p += *p == '-';
	if (*p == '0')
		p++;
	else if (!take_digits(&p))
		return false;
	if (*p == '.' && (p++, !take_digits(&p)))
		return false;
	if (*p != 'e' && *p != 'E')
		return !*p;
	p++;
	p += *p == '+' || *p == '-';
	return take_digits(&p) && !*p;
}

static int read_word(struct json *j)
{
	const char *from = j->at;
	char *word;

	while (j->at < j->end && *j->at && strchr("0123456789+-.eEtrufalsn", *j->at))
		j->at++;
	word = arena_strndup(j->b->arena, from, (size_t)(j->at - from));
	if (strcmp(word, "true") != 0 && strcmp(word, "false") != 0 && strcmp(word, "null") != 0 && !is_number(word))
		return YAML_NOT_JSON;
	return yaml_build_scalar(j->b, word, (size_t)(j->at - from), true);
}

/* ---- Objects and arrays ---- */

static bool in_object(const struct json *j)
{
	const struct yaml *top = yaml_build_top(j->b);

	return top && top->type == YAML_MAP;
}

static char closer(const struct json *j)
{
	return in_object(j) ? '}' : ']';
}

/* A scalar, or the beginning of an object or an array. */
static int read_value(struct json *j, bool *ret_opened)
{
	enum yaml_type type = comes(j, '{') ? YAML_MAP : comes(j, '[') ? YAML_LIST : YAML_SCALAR;

	*ret_opened = type != YAML_SCALAR;
	if (!*ret_opened)
		return take(j, '"') ? read_string(j) : read_word(j);
	j->at++;
	return yaml_build_start(j->b, type);
}

static int read_key(struct json *j)
{
	int rc = take(j, '"') ? read_string(j) : YAML_NOT_JSON;

	return rc ? rc : take(j, ':') ? 0 : YAML_NOT_JSON;
}

/* What may come behind a value: the ends of what it is in, then a comma or the end of the text. */
static int read_behind(struct json *j, bool *ret_more)
{
	while (j->b->depth && take(j, closer(j)))
		if (yaml_build_end(j->b) < 0)
			return j->b->err->code;
	*ret_more = j->b->depth && take(j, ',');
	skip_blanks(j);
	return *ret_more || (!j->b->depth && j->at == j->end) ? 0 : YAML_NOT_JSON;
}

int yaml_json_read(struct yaml_builder *b, const char *text, size_t len)
{
	struct json j = {b, text, text + len};
	bool opened, more = false;
	int rc;

	do {
		rc = in_object(&j) ? read_key(&j) : 0;
		if (rc == 0)
			rc = read_value(&j, &opened);
		if (rc == 0 && (!opened || comes(&j, closer(&j))))
			rc = read_behind(&j, &more);
		else
			more = true;
	} while (rc == 0 && more);
	return rc;
}
