/* SPDX-License-Identifier: Apache-2.0
 * trace.c: Suan's own traces, CSV with a header, and what every reader needs; see trace.h.
 *
 * Each line goes through one buffer and leaves a record of fixed size; texts that recur (kinds, projects, users) are
 * kept once. The columns are a table: one parser each. */
#include "sim/trace.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/pool.h"
#include "sim/lines.h"

enum { COLUMNS_MAX = 64 };

int trace_add(struct trace *trace, const char *id, struct trace_job **ret, struct err *err)
{
	struct trace_job *job;

	if (trace->n_jobs >= TRACE_JOBS_MAX)
		return err_set(err, ERR_TOO_LARGE, NULL, "more than %d jobs", TRACE_JOBS_MAX);
	mem_grow((void **)&trace->jobs, &trace->jobs_cap, trace->n_jobs, sizeof *trace->jobs);
	job = &trace->jobs[trace->n_jobs++];
	*job = (struct trace_job){.id = trace->ids.len,
	                          .limit_us = US_NEVER,
	                          .project = TRACE_TEXT_NONE,
	                          .user = TRACE_TEXT_NONE,
	                          .name = TRACE_TEXT_NONE,
	                          .nodes = 1,
	                          .priority = JOB_PRIORITY_DEFAULT,
	                          .highest = TIER_CENTRE,
	                          .hard = 1,
	                          .preemptible = -1};
	buf_put(&trace->ids, id, strlen(id) + 1);
	*ret = job;
	return 0;
}

static int by_submit(const void *a, const void *b)
{
	const struct trace_job *x = a, *y = b;

	if (x->submit_us != y->submit_us)
		return x->submit_us < y->submit_us ? -1 : 1;
	return x->line < y->line ? -1 : x->line > y->line;
}

void trace_sort(struct trace *trace)
{
	for (uint32_t i = 1; i < trace->n_jobs; i++) {
		if (trace->jobs[i].submit_us < trace->jobs[i - 1].submit_us) {
			qsort(trace->jobs, trace->n_jobs, sizeof *trace->jobs, by_submit);
			return;
		}
	}
}

const char *trace_job_id(const struct trace *trace, const struct trace_job *job)
{
	return (const char *)trace->ids.data + job->id;
}

const char *trace_text(const struct trace *trace, uint32_t number)
{
	return number == TRACE_TEXT_NONE ? NULL : strtab_name(&trace->texts, number);
}

void trace_done(struct trace *trace)
{
	free(trace->jobs);
	free(trace->choices);
	free(trace->kinds);
	strtab_done(&trace->texts);
	buf_done(&trace->ids);
	*trace = (struct trace){0};
}

/* ---- Cells ---- */

/* What a line's cells are read into: the job, and what of the line is resolved once all cells are read. */
struct row {
	struct trace *trace;
	struct trace_job *job;
	const char *kinds, *speeds;
};

typedef int cell_fn(struct row *row, char *cell, struct err *err);

static int seconds(const char *cell, bool round_up, us_t *ret, struct err *err)
{
	uint64_t us;

	if (units_parse_scaled(cell, 1000000, round_up, US_DURATION_MAX, &us, err) < 0)
		return err->code;
	*ret = (us_t)us;
	return 0;
}

static int whole(const char *cell, uint64_t min, uint64_t max, uint64_t *ret, struct err *err)
{
	uint64_t value;

	if (strchr(cell, '.') || units_parse_scaled(cell, 1, false, max, &value, NULL) < 0 || value < min)
		return err_set(err, ERR_INVALID, NULL, "\"%.60s\": expected a whole number from %" PRIu64 " to %" PRIu64, cell, min, max);
	*ret = value;
	return 0;
}

/* A text that is kept has been found good. */
static int text_cell(struct row *row, const char *cell, uint32_t *ret, struct err *err)
{
	*ret = strtab_find(&row->trace->texts, cell);
	if (*ret != STRTAB_NONE)
		return 0;
	if (!spec_name_ok(cell))
		return err_set(err, ERR_INVALID, NULL, "\"%.60s\": expected 1 to %d bytes without control characters or quotes", cell,
		               NAME_LEN_MAX);
	*ret = strtab_add(&row->trace->texts, cell);
	return 0;
}

static int cell_id(struct row *row, char *cell, struct err *err)
{
	(void)row;
	return spec_name_ok(cell)
	           ? 0
	           : err_set(err, ERR_INVALID, NULL, "\"%.60s\": expected 1 to %d bytes without control characters or quotes", cell,
	                     NAME_LEN_MAX);
}

static int cell_project(struct row *row, char *cell, struct err *err)
{
	return text_cell(row, cell, &row->job->project, err);
}

static int cell_user(struct row *row, char *cell, struct err *err)
{
	return text_cell(row, cell, &row->job->user, err);
}

static int cell_name(struct row *row, char *cell, struct err *err)
{
	return text_cell(row, cell, &row->job->name, err);
}

static int cell_submit(struct row *row, char *cell, struct err *err)
{
	return seconds(cell, false, &row->job->submit_us, err);
}

static int cell_run(struct row *row, char *cell, struct err *err)
{
	if (!strcmp(cell, "inf")) {
		row->job->run_us = US_NEVER;
		return 0;
	}
	return seconds(cell, true, &row->job->run_us, err);
}

static int cell_limit(struct row *row, char *cell, struct err *err)
{
	if (seconds(cell, true, &row->job->limit_us, err) < 0)
		return err->code;
	return row->job->limit_us > 0
	           ? 0
	           : err_set(err, ERR_INVALID, NULL, "\"%.60s\": expected more than 0, or nothing for no limit", cell);
}

static int cell_nodes(struct row *row, char *cell, struct err *err)
{
	uint64_t nodes;

	if (whole(cell, 1, JOB_NODES_MAX, &nodes, err) < 0)
		return err->code;
	row->job->nodes = (uint32_t)nodes;
	return 0;
}

static int cell_cards(struct row *row, char *cell, struct err *err)
{
	uint64_t milli;

	if (units_parse_scaled(cell, CARD_MILLI, true, (uint64_t)TRACE_CARDS_MAX * CARD_MILLI, &milli, err) < 0)
		return err->code;
	if (milli > CARD_MILLI && milli % CARD_MILLI)
		return err_set(err, ERR_INVALID, NULL, "\"%.60s\": expected a whole number of cards, or a share below 1", cell);
	row->job->cards_milli = (uint32_t)milli;
	return 0;
}

static int cell_kinds(struct row *row, char *cell, struct err *err)
{
	(void)err;
	row->kinds = cell;
	return 0;
}

static int cell_speeds(struct row *row, char *cell, struct err *err)
{
	(void)err;
	row->speeds = cell;
	return 0;
}

static int cell_cpus(struct row *row, char *cell, struct err *err)
{
	uint64_t milli;

	if (units_parse_scaled(cell, 1000, true, UNCOUNTED - 1, &milli, err) < 0)
		return err->code;
	row->job->cpus_milli = (uint32_t)milli;
	return 0;
}

/* GiB as MiB, rounded up, as a need is: read in millionths, for 1024 isn't a power of ten. */
static int cell_memory(struct row *row, char *cell, struct err *err)
{
	uint64_t micro, mib;

	if (units_parse_scaled(cell, 1000000, true, (uint64_t)4000000 * 1000000, &micro, err) < 0)
		return err->code;
	mib = (micro * 1024 + 999999) / 1000000;
	if (mib >= UNCOUNTED)
		return err_set(err, ERR_INVALID, NULL, "\"%.60s\": more memory than any node has", cell);
	row->job->memory_mib = (uint32_t)mib;
	return 0;
}

static int cell_priority(struct row *row, char *cell, struct err *err)
{
	uint64_t priority;

	if (whole(cell, 0, JOB_PRIORITY_MAX, &priority, err) < 0)
		return err->code;
	row->job->priority = (uint16_t)priority;
	return 0;
}

static int cell_topology(struct row *row, char *cell, struct err *err)
{
	char *colon = strchr(cell, ':');
	size_t mode = colon ? (size_t)(colon - cell) : 0;
	int tier = colon ? tier_from_word(colon + 1) : -1;

	if (mode != 4 || (strncmp(cell, "hard", 4) && strncmp(cell, "soft", 4)) || tier < 0)
		return err_set(err, ERR_INVALID, NULL, "\"%.60s\": expected hard or soft, a colon, and node, rack, pod, centre or pool",
		               cell);
	row->job->hard = *cell == 'h';
	row->job->highest = (uint8_t)tier;
	return 0;
}

static int cell_preemptible(struct row *row, char *cell, struct err *err)
{
	if ((*cell != '0' && *cell != '1') || cell[1])
		return err_set(err, ERR_INVALID, NULL, "\"%.60s\": expected 0 or 1", cell);
	row->job->preemptible = (int8_t)(*cell - '0');
	return 0;
}

static int cell_checkpoint(struct row *row, char *cell, struct err *err)
{
	return seconds(cell, true, &row->job->checkpoint_us, err);
}

static int cell_restart(struct row *row, char *cell, struct err *err)
{
	return seconds(cell, true, &row->job->restart_us, err);
}

/* The columns. Those that are needed come first. */
enum { COLUMN_ID, COLUMN_SUBMIT, COLUMN_RUN, COLUMN_CARDS, COLUMNS_NEEDED };
static const struct column {
	const char *name;
	cell_fn *read;
} columns[] = {
	[COLUMN_ID] = {"id", cell_id},
	[COLUMN_SUBMIT] = {"submit_s", cell_submit},
	[COLUMN_RUN] = {"run_s", cell_run},
	[COLUMN_CARDS] = {"cards", cell_cards},
	{"project", cell_project},
	{"user", cell_user},
	{"name", cell_name},
	{"limit_s", cell_limit},
	{"nodes", cell_nodes},
	{"kinds", cell_kinds},
	{"speeds", cell_speeds},
	{"cpus", cell_cpus},
	{"memory_gib", cell_memory},
	{"priority", cell_priority},
	{"topology", cell_topology},
	{"preemptible", cell_preemptible},
	{"checkpoint_s", cell_checkpoint},
	{"restart_s", cell_restart},
};
enum { N_COLUMNS = sizeof columns / sizeof *columns };

/* ---- Which kinds, and how fast ---- */

static int add_kind(struct trace *trace, const char *name, uint32_t speed_micro, struct err *err)
{
	if (!spec_name_ok(name))
		return err_set(err, ERR_INVALID, NULL, "\"%.60s\": expected names of kinds with | between them", name);
	mem_grow((void **)&trace->kinds, &trace->kinds_cap, trace->n_kinds, sizeof *trace->kinds);
	trace->kinds[trace->n_kinds++] = (struct trace_kind){strtab_add(&trace->texts, name), speed_micro};
	return 0;
}

/* "v100=1|p100=0.45", or, without speeds, "v100|p100". Cuts the cell up. Returns how many, or fails. */
static int add_kinds(struct trace *trace, char *cell, bool speeds, struct err *err)
{
	int n = 0;

	for (char *part, *rest = cell; (part = strsep(&rest, "|")); n++) {
		uint64_t micro = SPEED_MICRO;
		char *value = speeds ? strchr(part, '=') : NULL;

		if (n == JOB_REQUESTS_MAX)
			return err_set(err, ERR_TOO_LARGE, NULL, "more than %d kinds", JOB_REQUESTS_MAX);
		if (speeds) {
			if (!value)
				return err_set(err, ERR_INVALID, NULL, "\"%.60s\": expected KIND=SPEED", part);
			*value++ = 0;
			if (units_parse_scaled(value, SPEED_MICRO, false, (uint64_t)1000 * SPEED_MICRO, &micro, err) < 0)
				return err->code;
			if (!micro)
				return err_set(err, ERR_INVALID, NULL, "\"%.60s\": expected a speed above 0; leave out a kind that won't do",
				               value);
		}
		if (add_kind(trace, part, (uint32_t)micro, err) < 0)
			return err->code;
	}
	return n;
}

/* The number of the choice that the two cells of a row make. Cells seen before cost one look-up. */
static int look_up(struct row *row, struct strtab *seen, struct err *err)
{
	struct trace *trace = row->trace;
	struct trace_choice choice = {0};
	char key[2 * LINE_BYTES_MAX], *cells[2];
	size_t kinds_len = strlen(row->kinds), speeds_len = strlen(row->speeds);
	int n;

	memcpy(key, row->kinds, kinds_len);
	key[kinds_len] = '\n'; /* no cell holds one */
	memcpy(key + kinds_len + 1, row->speeds, speeds_len + 1);
	row->job->choice = strtab_find(seen, key);
	if (row->job->choice != STRTAB_NONE)
		return 0;
	row->job->choice = strtab_add(seen, key);
	assert(row->job->choice == trace->n_choices);
	key[kinds_len] = 0;
	cells[0] = key;
	cells[1] = key + kinds_len + 1;
	for (int speeds = 0; speeds < 2; speeds++) {
		uint32_t first = trace->n_kinds;

		n = *cells[speeds] ? add_kinds(trace, cells[speeds], speeds, err) : 0;
		if (n < 0)
			return err_within(err, speeds ? "speeds" : "kinds");
		*(speeds ? &choice.first_speed : &choice.first) = first;
		*(speeds ? &choice.n_speeds : &choice.n_kinds) = (uint32_t)n;
	}
	for (uint32_t k = choice.first; k < choice.first + choice.n_kinds; k++)
		for (uint32_t s = choice.first_speed; s < choice.first_speed + choice.n_speeds; s++)
			if (trace->kinds[k].name == trace->kinds[s].name)
				trace->kinds[k].speed_micro = trace->kinds[s].speed_micro;
	mem_grow((void **)&trace->choices, &trace->choices_cap, trace->n_choices, sizeof *trace->choices);
	trace->choices[trace->n_choices++] = choice;
	return 0;
}

/* Whether two cells are those of a choice. */
static bool are_of(const struct row *row, const char *key)
{
	size_t kinds_len = strlen(row->kinds);

	return !strncmp(key, row->kinds, kinds_len) && key[kinds_len] == '\n' && !strcmp(key + kinds_len + 1, row->speeds);
}

/* Most rows choose as the one before. */
static int choose(struct row *row, struct strtab *seen, struct err *err)
{
	const struct trace *trace = row->trace;
	uint32_t last = trace->n_jobs > 1 ? trace->jobs[trace->n_jobs - 2].choice : STRTAB_NONE;

	if (last == STRTAB_NONE || !are_of(row, strtab_name(seen, last)))
		return look_up(row, seen, err);
	row->job->choice = last;
	return 0;
}

/* ---- Lines ---- */

/* Takes a quoted cell apart in place; *at is behind its opening quote, and is left behind its end. */
static int unquote(char **at, struct err *err)
{
	char *from = *at, *to = *at;

	for (; *from != '"' || from[1] == '"'; *to++ = *from++) {
		if (!*from)
			return err_set(err, ERR_INVALID, NULL, "a quote that isn't closed on its line");
		if (*from == '"')
			from++;
	}
	*at = from + 1;
	*to = 0;
	return 0;
}

/* Cuts a line into cells, in place. Returns how many, or fails. */
static int cut(char *line, char *cells[COLUMNS_MAX], struct err *err)
{
	int n = 0;

	for (char *at = line;; at++) {
		if (n == COLUMNS_MAX)
			return err_set(err, ERR_TOO_LARGE, NULL, "more than %d columns", COLUMNS_MAX);
		cells[n++] = at;
		if (*at == '"') {
			cells[n - 1] = ++at;
			if (unquote(&at, err) < 0)
				return err->code;
			if (*at && *at != ',')
				return err_set(err, ERR_INVALID, NULL, "text behind a closing quote");
		} else {
			at = strchrnul(at, ',');
		}
		if (!*at)
			return n;
		*at = 0;
	}
}

/* A CSV being read. */
struct csv {
	struct lines lines;
	const struct column *column_of[COLUMNS_MAX];
	int place_of_id;
	int n;
	struct strtab choices;
	struct trace trace;
};

static const struct column *find_column(const char *name, struct err *err)
{
	const char *names[N_COLUMNS], *near;

	for (size_t i = 0; i < N_COLUMNS; i++) {
		if (!strcmp(columns[i].name, name))
			return &columns[i];
		names[i] = columns[i].name;
	}
	near = spec_nearest(name, names, N_COLUMNS);
	err_set(err, ERR_INVALID, "header", "\"%.60s\": not a column of a trace%s%s%s", name, near ? "; did you mean \"" : "",
	        near ? near : "", near ? "\"?" : "");
	return NULL;
}

static int read_header(struct csv *csv, struct err *err)
{
	char *line, *cells[COLUMNS_MAX];
	int got = lines_next(&csv->lines, &line, err);

	if (got < 0)
		return got;
	if (!got)
		return err_set(err, ERR_INVALID, "header", "the file is empty: expected a line with the names of the columns");
	if (!strncmp(line, "\xef\xbb\xbf", 3))
		line += 3;
	csv->n = cut(line, cells, err);
	if (csv->n < 0)
		return csv->n;
	for (int i = 0; i < csv->n; i++) {
		csv->column_of[i] = find_column(cells[i], err);
		if (!csv->column_of[i])
			return err->code;
		for (int j = 0; j < i; j++)
			if (csv->column_of[j] == csv->column_of[i])
				return err_set(err, ERR_INVALID, "header", "\"%s\": twice", cells[i]);
		if (csv->column_of[i] == &columns[COLUMN_ID])
			csv->place_of_id = i;
	}
	for (const struct column *c = columns; c < columns + COLUMNS_NEEDED; c++) {
		int i = 0;

		while (i < csv->n && csv->column_of[i] != c)
			i++;
		if (i == csv->n)
			return err_set(err, ERR_INVALID, "header", "the column \"%s\" is missing", c->name);
	}
	return 0;
}

static int read_row(struct csv *csv, char *line, struct err *err)
{
	char *cells[COLUMNS_MAX];
	struct row row = {&csv->trace, NULL, "", ""};
	int n = cut(line, cells, err);

	if (n < 0)
		return n;
	if (n != csv->n)
		return err_set(err, ERR_INVALID, NULL, "%d cells: expected %d, as in the header", n, csv->n);
	if (trace_add(&csv->trace, cells[csv->place_of_id], &row.job, err) < 0)
		return err->code;
	row.job->line = csv->lines.number;
	for (int i = 0; i < n; i++) {
		const struct column *column = csv->column_of[i];

		if (!*cells[i] && column >= columns + COLUMNS_NEEDED)
			continue;
		if (column->read(&row, cells[i], err) < 0)
			return err_within(err, column->name);
	}
	return choose(&row, &csv->choices, err);
}

static int read_rows(struct csv *csv, struct err *err)
{
	char *line;
	int got = read_header(csv, err);

	while (got >= 0 && (got = lines_next(&csv->lines, &line, err)) > 0)
		if (*line)
			got = read_row(csv, line, err);
	return got;
}

static int read_all(struct csv *csv, struct trace *ret, struct err *err)
{
	struct err scratch;
	int got = read_rows(csv, err ? err : (err = &scratch));

	if (got < 0 && !err->line)
		err->line = csv->lines.number ? csv->lines.number : 1;
	lines_close(&csv->lines);
	strtab_done(&csv->choices);
	if (got < 0) {
		trace_done(&csv->trace);
		return got;
	}
	trace_sort(&csv->trace);
	*ret = csv->trace;
	return 0;
}

int trace_read_csv(const char *path, struct trace *ret, struct err *err)
{
	struct csv csv = {0};
	int opened = lines_open(&csv.lines, path, err);

	return opened < 0 ? opened : read_all(&csv, ret, err);
}

int trace_parse_csv(char *text, size_t len, struct trace *ret, struct err *err)
{
	struct csv csv = {0};

	lines_of_text(&csv.lines, text, len);
	return read_all(&csv, ret, err);
}
