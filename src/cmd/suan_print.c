/* SPDX-License-Identifier: Apache-2.0
 * suan_print.c: what a person reads; see suan_print.h. */
#include "cmd/suan_print.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "base/buf.h"
#include "base/mem.h"

static const char *const colour_codes[COLOUR_COUNT] = {
	[RED] = "\033[31m",     [GREEN] = "\033[32m", [YELLOW] = "\033[33m",
	[MAGENTA] = "\033[35m", [CYAN] = "\033[36m",  [DIM] = "\033[2m",
};

/* ---- Text ---- */

bool print_colours(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no && *no) && !(term && !strcmp(term, "dumb"));
}

unsigned print_columns(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	long given = columns ? strtol(columns, NULL, 10) : 0;

	if (given > 0 && given < 10000)
		return (unsigned)given;
	if (!isatty(STDOUT_FILENO))
		return 0;
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

unsigned utf8_next(const char *text, uint32_t *ret)
{
	static const struct {
		uint8_t mask, lead, len;
		uint32_t least;
	} forms[] = {{0x80, 0x00, 1, 0}, {0xe0, 0xc0, 2, 0x80}, {0xf0, 0xe0, 3, 0x800}, {0xf8, 0xf0, 4, 0x10000}};
	const uint8_t *p = (const uint8_t *)text;

	for (unsigned f = 0; f < sizeof forms / sizeof *forms; f++) {
		uint32_t c = p[0] & (uint8_t)~forms[f].mask;

		if ((p[0] & forms[f].mask) != forms[f].lead)
			continue;
		for (unsigned i = 1; i < forms[f].len; i++) {
			if ((p[i] & 0xc0) != 0x80)
				return 0;
			c = c << 6 | (p[i] & 0x3f);
		}
		*ret = c;
		return c >= forms[f].least && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff) ? forms[f].len : 0;
	}
	return 0;
}

/* Whether a terminal might take the character for a command, or let it reorder what stands around it. */
static bool is_hostile(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069) || c == 0xfeff || (c >= 0xe0000 && c <= 0xe007f);
}

static void put_escaped(struct buf *buf, uint32_t c)
{
	if (c == '\n' || c == '\t')
		buf_printf(buf, "\\%c", c == '\n' ? 'n' : 't');
	else if (c < 0x80)
		buf_printf(buf, "\\x%02" PRIx32, c);
	else
		buf_printf(buf, "\\u{%04" PRIx32 "}", c);
}

char *print_escape(struct arena *arena, const char *text)
{
	struct buf buf = {0};
	char *ret;

	while (*text) {
		uint32_t c;
		unsigned len = utf8_next(text, &c);

		if (!len)
			buf_printf(&buf, "\\x%02x", (uint8_t)*text);
		else if (is_hostile(c))
			put_escaped(&buf, c);
		else
			buf_put(&buf, text, len);
		text += len ? len : 1;
	}
	ret = buf.len ? arena_strndup(arena, (const char *)buf.data, buf.len) : arena_strdup(arena, "");
	buf_done(&buf);
	return ret;
}

static unsigned char_width(uint32_t c)
{
	int width = wcwidth((wchar_t)c);

	return width < 0 ? 1 : (unsigned)width;
}

unsigned print_width(const char *text)
{
	unsigned width = 0;

	while (*text) {
		uint32_t c = '?';
		unsigned len = utf8_next(text, &c);

		width += char_width(c);
		text += len ? len : 1;
	}
	return width;
}

char *print_cut(struct arena *arena, const char *text, unsigned width)
{
	const char *p = text;
	unsigned used = 0;

	assert(width >= 1);
	if (print_width(text) <= width)
		return arena_strdup(arena, text);
	for (;;) {
		uint32_t c = '?';
		unsigned len = utf8_next(p, &c);

		if (used + char_width(c) > width - 1)
			break;
		used += char_width(c);
		p += len ? len : 1;
	}
	return arena_printf(arena, "%.*s…", (int)(p - text), text);
}

/* ---- Tables ---- */

struct table table_of(const struct column *columns, unsigned n)
{
	return (struct table){.columns = columns, .n_columns = n, .width = print_columns(), .colours = print_colours()};
}

void table_add(struct table *table, enum colour colour, const char *mark, const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		mem_exhausted();
	va_end(args);
	mem_grow((void **)&table->cells, &table->cells_cap, table->n_cells, sizeof *table->cells);
	table->cells[table->n_cells++] = (struct cell){print_escape(&table->arena, text), mark, colour};
	free(text);
}

uint32_t table_rows(const struct table *table)
{
	return table->n_cells / table->n_columns;
}

static unsigned cell_width(const struct cell *cell)
{
	unsigned text = print_width(cell->text), mark = cell->mark ? print_width(cell->mark) : 0;

	return text + mark + (text && mark ? 1 : 0);
}

enum { GAP = 2 };

/* Takes columns away, one at a time from the widest that may shrink, until the line fits. */
static void shrink(const struct table *table, unsigned *widths, const unsigned *least)
{
	unsigned total = 0;

	for (unsigned i = 0; i < table->n_columns; i++)
		total += widths[i] + (i ? GAP : 0);
	while (table->width && total > table->width) {
		unsigned widest = table->n_columns;

		for (unsigned i = 0; i < table->n_columns; i++)
			if (widths[i] > least[i] && (widest == table->n_columns || widths[i] > widths[widest]))
				widest = i;
		if (widest == table->n_columns)
			return;
		widths[widest]--;
		total--;
	}
}

static void measure(const struct table *table, unsigned *widths)
{
	unsigned least[32];

	for (unsigned i = 0; i < table->n_columns; i++) {
		least[i] = table->columns[i].shrink_to;
		widths[i] = print_width(table->columns[i].title);
	}
	for (uint32_t n = 0; n < table->n_cells; n++) {
		unsigned i = n % table->n_columns, width = cell_width(&table->cells[n]);
		unsigned mark = table->cells[n].mark ? print_width(table->cells[n].mark) + 1 + 4 : 0;

		if (width > widths[i])
			widths[i] = width;
		if (table->columns[i].shrink_to && mark > least[i])
			least[i] = mark;
	}
	for (unsigned i = 0; i < table->n_columns; i++)
		if (!table->columns[i].shrink_to)
			least[i] = widths[i];
	shrink(table, widths, least);
}

static void pad(FILE *file, unsigned n)
{
	fprintf(file, "%*s", (int)n, "");
}

static void print_cell(struct table *table, const struct column *column, const struct cell *cell, unsigned width, bool last,
                       FILE *file)
{
	unsigned mark = cell->mark ? print_width(cell->mark) + (*cell->text ? 1 : 0) : 0;
	const char *text = width > mark ? print_cut(&table->arena, cell->text, width - mark) : "";
	unsigned used = print_width(text) + mark;
	bool coloured = table->colours && colour_codes[cell->colour];

	if (column->right && used < width)
		pad(file, width - used);
	fprintf(file, "%s%s%s", coloured ? colour_codes[cell->colour] : "", text, coloured ? "\033[0m" : "");
	if (cell->mark)
		fprintf(file, "%s%s", *text ? " " : "", cell->mark);
	if (!last)
		pad(file, (!column->right && used < width ? width - used : 0) + GAP);
}

static void print_titles(struct table *table, const unsigned *widths, FILE *file)
{
	for (unsigned i = 0; i < table->n_columns; i++) {
		struct cell title = {table->columns[i].title, NULL, DIM};

		print_cell(table, &table->columns[i], &title, widths[i], i + 1 == table->n_columns, file);
	}
	fputc('\n', file);
	table->headed = true;
}

void table_print(struct table *table, FILE *file)
{
	unsigned widths[32];

	assert(table->n_columns >= 1);
	assert(table->n_columns <= sizeof widths / sizeof *widths);
	assert(table->n_cells % table->n_columns == 0);
	measure(table, widths);
	if (!table->headed)
		print_titles(table, widths, file);
	for (uint32_t n = 0; n < table->n_cells; n++) {
		unsigned i = n % table->n_columns;

		print_cell(table, &table->columns[i], &table->cells[n], widths[i], i + 1 == table->n_columns, file);
		if (i + 1 == table->n_columns)
			fputc('\n', file);
	}
	table->n_cells = 0;
	arena_reset(&table->arena);
}

void table_done(struct table *table)
{
	free(table->cells);
	arena_done(&table->arena);
	*table = (struct table){0};
}

/* Prints `before` as it is and the text escaped, and a newline. */
static void put_line(const char *before, const char *fmt, va_list args)
{
	struct arena arena = {0};
	char *text;

	if (vasprintf(&text, fmt, args) < 0)
		mem_exhausted();
	if (*text)
		printf("%s%s\n", before, print_escape(&arena, text));
	free(text);
	arena_done(&arena);
}

void print_line(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	put_line("", fmt, args);
	va_end(args);
}

void print_field(const char *label, const char *fmt, ...)
{
	char before[32];
	va_list args;

	snprintf(before, sizeof before, "  %-12s ", label);
	va_start(args, fmt);
	put_line(before, fmt, args);
	va_end(args);
}

/* ---- States, times, amounts ---- */

enum colour state_colour(const char *state)
{
	static const struct {
		const char *state;
		enum colour colour;
	} table[] = {{"queued", YELLOW},   {"stage_in", CYAN}, {"active", CYAN},  {"stage_out", CYAN}, {"cleanup", CYAN},
	             {"completed", GREEN}, {"failed", RED},    {"canceled", DIM}, {"unknown", MAGENTA}};

	for (unsigned i = 0; i < sizeof table / sizeof *table; i++)
		if (!strcmp(table[i].state, state))
			return table[i].colour;
	return PLAIN;
}

us_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (us_t)now.tv_sec * US_SECOND + now.tv_nsec / 1000;
}

char *print_duration(us_t duration, char *buf, size_t size)
{
	static const us_t units[] = {US_DAY, US_HOUR, US_MINUTE, US_SECOND};
	us_t grain = US_SECOND;

	/* A second unit says little once the first is past ten. */
	for (unsigned i = 0; i < 3; i++)
		if (duration >= units[i] && grain == US_SECOND)
			grain = duration >= 10 * units[i] ? units[i] : units[i + 1];
	duration = us_add(duration, grain / 2);
	return us_format_duration(duration - duration % grain, buf, size);
}

char *print_when(const char *instant, us_t now, char *buf, size_t size)
{
	char length[40];
	us_t at;

	assert(size >= 40);
	if (!instant || us_parse_instant(instant, &at, NULL) < 0)
		snprintf(buf, size, "-");
	else if (at - now < US_SECOND && now - at < US_SECOND)
		snprintf(buf, size, "now");
	else if (at > now)
		snprintf(buf, size, "in %s", print_duration(at - now, length, sizeof length));
	else
		snprintf(buf, size, "%s ago", print_duration(now - at, length, sizeof length));
	return buf;
}

/* ---- JSON ---- */

/* jansson escapes what JSON asks for; the rest of what is_hostile may only stand in strings, so \uNNNN is the same. */
static void put_json(FILE *file, const char *text)
{
	while (*text) {
		uint32_t c;
		unsigned len = utf8_next(text, &c);

		if (len > 1 && c > 0xffff && is_hostile(c))
			fprintf(file, "\\u%04x\\u%04x", (unsigned)(0xd800 + ((c - 0x10000) >> 10)),
			        (unsigned)(0xdc00 + ((c - 0x10000) & 0x3ff)));
		else if (len && c >= 0x7f && is_hostile(c))
			fprintf(file, "\\u%04x", (unsigned)c);
		else
			fwrite(text, 1, len ? len : 1, file);
		text += len ? len : 1;
	}
}

void print_json(const json_t *json, bool pretty)
{
	char *text = json_dumps(json, (pretty ? JSON_INDENT(2) : JSON_COMPACT) | JSON_REAL_PRECISION(15) | JSON_ENCODE_ANY);

	if (!text)
		mem_exhausted();
	put_json(stdout, text);
	putchar('\n');
	free(text);
}

const char *text_of(const json_t *object, const char *key, const char *otherwise)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : otherwise;
}

json_int_t int_of(const json_t *object, const char *key, json_int_t otherwise)
{
	const json_t *value = json_object_get(object, key);

	return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

char *amount_of(const json_t *object, const char *key, char *buf, size_t size)
{
	const json_t *value = json_object_get(object, key);
	double number = json_number_value(value);

	assert(size >= 32);
	if (!json_is_number(value) || !(number >= 0 && number < 1e15))
		snprintf(buf, size, "-");
	else
		units_format_milli((uint64_t)(number * 1000 + 0.5), buf, size);
	return buf;
}

bool true_of(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

const char *centre_mark(const json_t *names, const char *centre)
{
	return centre && json_object_get(names, centre) ? "simulated" : NULL;
}

const char *simulated_mark(const json_t *object)
{
	return true_of(object, "simulated") ? "simulated" : NULL;
}
