/* SPDX-License-Identifier: Apache-2.0
 * suan_print.h: what a person reads: tables, fields, times; and JSON for scripts.
 *
 * Everything that comes from a job, a pool or a daemon passes print_escape: no byte of it can move the cursor,
 * change a colour or turn the direction of writing. */
#ifndef SUAN_CMD_SUAN_PRINT_H
#define SUAN_CMD_SUAN_PRINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/units.h"

enum colour { PLAIN, RED, GREEN, YELLOW, MAGENTA, CYAN, DIM, COLOUR_COUNT };

/* ---- Text ---- */

/* Whether stdout takes colours: a terminal, not a dumb one, and NO_COLOR not set. */
bool print_colours(void);
/* Columns of the terminal (or COLUMNS); 0: not a terminal, nothing is cut. */
unsigned print_columns(void);
/* A copy in which control characters, bidirectional overrides and bytes that aren't UTF-8 are written as \n, \t, \xNN or
 * \u{NNNN}. */
char *print_escape(struct arena *arena, const char *text);
/* Bytes of the UTF-8 character that text begins with, and the character; 0 where there is none. text: terminated. */
unsigned utf8_next(const char *text, uint32_t *ret);
/* Columns that escaped text takes on a terminal. */
unsigned print_width(const char *text);
/* A copy cut to `width` columns (1 or more), with a "…" at its end where something was cut. */
char *print_cut(struct arena *arena, const char *text, unsigned width);

/* ---- Tables ---- */

struct column {
	const char *title;
	bool right;         /* aligned to the right */
	unsigned shrink_to; /* may be cut to this many columns where the terminal is narrow; 0: never */
};

struct cell {
	const char *text; /* escaped */
	const char *mark; /* follows the text, and is never cut; NULL: none */
	enum colour colour;
};

/* Rows that are printed together. */
struct table {
	const struct column *columns;
	unsigned n_columns;
	struct cell *cells;
	uint32_t n_cells, cells_cap;
	struct arena arena;
	unsigned width; /* columns of the terminal; 0: no bound */
	bool colours;
	bool headed;             /* the titles were printed */
	const json_t *simulated; /* names of simulated centres, as keys; NULL: not known here */
};

/* A table for stdout. columns: borrowed until table_done. */
struct table table_of(const struct column *columns, unsigned n);
/* Adds the next cell of the current row. fmt's text is escaped. mark: a literal, or NULL. */
void table_add(struct table *table, enum colour colour, const char *mark, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
uint32_t table_rows(const struct table *table);
/* Prints the rows, before the first ones the titles, and empties the table for more. */
void table_print(struct table *table, FILE *file);
void table_done(struct table *table);

/* One line on stdout, what it holds escaped. */
void print_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* One line of a description, "  label     text". Nothing where the text is empty. */
void print_field(const char *label, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- States, times, amounts ---- */

enum colour state_colour(const char *state);
/* "3m ago", "in 2h", "now"; "-" for NULL or what isn't an instant. size: 40 or more. Returns buf. */
char *print_when(const char *instant, us_t now, char *buf, size_t size);
/* "3m", "2h", "1d4h": two units at most. size: 32 or more. Returns buf. */
char *print_duration(us_t duration, char *buf, size_t size);
us_t now_us(void);

/* ---- JSON ---- */

/* Prints one document and a newline. What a terminal could take for a command is written as \uNNNN. */
void print_json(const json_t *json, bool pretty);
/* A member as text, or `otherwise` where it isn't there, null, or no string. */
const char *text_of(const json_t *object, const char *key, const char *otherwise);
/* A member as a whole number, or `otherwise`. */
json_int_t int_of(const json_t *object, const char *key, json_int_t otherwise);
/* A member that is a decimal number, without trailing zeros; "-" where it isn't one. size: 32 or more. Returns buf. */
char *amount_of(const json_t *object, const char *key, char *buf, size_t size);
bool true_of(const json_t *object, const char *key);
/* "simulated" where the object says so, else NULL: the mark of a cell that names a centre. */
const char *simulated_mark(const json_t *object);
/* The same by a centre's name. names: as client_simulated gives them; may be NULL. */
const char *centre_mark(const json_t *names, const char *centre);

#endif
