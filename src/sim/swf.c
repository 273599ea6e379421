/* SPDX-License-Identifier: Apache-2.0
 * swf.c: logs in the standard workload format, version 2.2 (Chapin et al. 1999; Feitelson's archive); see trace.h.
 *
 * A line is 18 numbers, -1 for what isn't known. A processor becomes a card or a CPU, as the pool has them; a job of
 * more processors than a node has becomes a gang of equal nodes. A job that never ran (canceled while it waited) is
 * skipped and counted. The waiting time in the log is another scheduler's doing, and isn't read; nor are the preceding
 * job and think time, for they would couple arrivals to this one's. */
#include "sim/trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "sim/lines.h"

enum swf_field {
	SWF_ID,
	SWF_SUBMIT,
	SWF_WAIT,
	SWF_RUN,
	SWF_PROCESSORS,
	SWF_CPU_TIME,
	SWF_MEMORY,
	SWF_PROCESSORS_ASKED,
	SWF_TIME_ASKED,
	SWF_MEMORY_ASKED, /* KB a processor */
	SWF_STATUS,
	SWF_USER,
	SWF_GROUP,
	SWF_PROGRAM,
	SWF_QUEUE,
	SWF_PARTITION,
	SWF_PRECEDING,
	SWF_THINK,
	SWF_FIELDS
};

static const char *const field_names[SWF_FIELDS] = {
	"job number",
	"submit time",
	"wait time",
	"run time",
	"allocated processors",
	"CPU time",
	"used memory",
	"requested processors",
	"requested time",
	"requested memory",
	"status",
	"user",
	"group",
	"executable",
	"queue",
	"partition",
	"preceding job",
	"think time",
};

/* A value as the log has it, in millionths; below 0: not known. */
static int read_field(const char *text, int field, int64_t *ret, struct err *err)
{
	uint64_t micro;

	if (*text == '-' && units_parse_scaled(text + 1, 1000000, false, INT64_MAX, &micro, NULL) == 0) {
		*ret = -1;
		return 0;
	}
	if (units_parse_scaled(text, 1000000, false, US_DURATION_MAX, &micro, err) < 0)
		return err_within(err, field_names[field]);
	*ret = (int64_t)micro;
	return 0;
}

static int read_fields(char *line, int64_t fields[SWF_FIELDS], struct err *err)
{
	int n = 0;
	char *word;

	for (char *rest = line; (word = strsep(&rest, " \t"));) {
		if (!*word)
			continue;
		if (n == SWF_FIELDS)
			return err_set(err, ERR_INVALID, NULL, "more than %d fields", SWF_FIELDS);
		if (read_field(word, n, &fields[n], err) < 0)
			return err->code;
		n++;
	}
	return n == SWF_FIELDS ? 0 : err_set(err, ERR_INVALID, NULL, "%d fields: expected %d", n, SWF_FIELDS);
}

static uint32_t label(struct trace *trace, const char *prefix, int64_t micro)
{
	char text[32];

	if (micro < 0)
		return TRACE_TEXT_NONE;
	snprintf(text, sizeof text, "%s%" PRId64, prefix, micro / 1000000);
	return strtab_add(&trace->texts, text);
}

/* Spreads the processors over nodes: as few as will do, all alike. */
static int set_size(struct trace_job *job, int64_t processors, const struct swf_unit *unit, struct err *err)
{
	int64_t nodes = (processors + unit->per_node - 1) / unit->per_node;
	int64_t each = (processors + nodes - 1) / nodes;

	if (nodes > JOB_NODES_MAX || each > TRACE_CARDS_MAX)
		return err_set(err, ERR_TOO_LARGE, field_names[SWF_PROCESSORS], "%" PRId64 ": more than a job may have", processors);
	job->nodes = (uint32_t)nodes;
	*(unit->cards ? &job->cards_milli : &job->cpus_milli) = (uint32_t)each * 1000;
	return 0;
}

static int add_line(struct trace *trace, const int64_t f[SWF_FIELDS], const struct swf_unit *unit, uint32_t line, struct err *err)
{
	int64_t processors = (f[SWF_PROCESSORS] > 0 ? f[SWF_PROCESSORS] : f[SWF_PROCESSORS_ASKED]) / 1000000;
	struct trace_job *job;
	char id[24];

	if (f[SWF_ID] < 0 || f[SWF_SUBMIT] < 0)
		return err_set(err, ERR_INVALID, field_names[f[SWF_ID] < 0 ? SWF_ID : SWF_SUBMIT], "expected a number of 0 or more");
	if (f[SWF_RUN] < 0 || processors < 1) {
		trace->n_skipped++;
		return 0;
	}
	snprintf(id, sizeof id, "%" PRId64, f[SWF_ID] / 1000000);
	if (trace_add(trace, id, &job, err) < 0)
		return err->code;
	job->line = line;
	job->submit_us = f[SWF_SUBMIT];
	job->run_us = f[SWF_RUN];
	if (f[SWF_TIME_ASKED] > 0)
		job->limit_us = f[SWF_TIME_ASKED];
	job->user = label(trace, "user", f[SWF_USER]);
	job->project = label(trace, "group", f[SWF_GROUP]);
	job->name = label(trace, "program", f[SWF_PROGRAM]);
	return set_size(job, processors, unit, err);
}

static int read_all(struct lines *lines, const struct swf_unit *unit, struct trace *ret, struct err *err)
{
	struct trace trace = {0};
	struct err scratch;
	int64_t fields[SWF_FIELDS];
	char *line;
	int got;

	err = err ? err : &scratch;
	/* Any kind will do: the one choice of all jobs. */
	mem_grow((void **)&trace.choices, &trace.choices_cap, 0, sizeof *trace.choices);
	trace.choices[trace.n_choices++] = (struct trace_choice){0};
	while ((got = lines_next(lines, &line, err)) > 0) {
		line += strspn(line, " \t");
		if (!*line || *line == ';')
			continue;
		got = read_fields(line, fields, err);
		if (got >= 0)
			got = add_line(&trace, fields, unit, lines->number, err);
		if (got < 0)
			break;
	}
	if (got < 0 && !err->line)
		err->line = lines->number;
	lines_close(lines);
	if (got < 0) {
		trace_done(&trace);
		return got;
	}
	trace_sort(&trace);
	*ret = trace;
	return 0;
}

int trace_read_swf(const char *path, const struct swf_unit *unit, struct trace *ret, struct err *err)
{
	struct lines lines;
	int opened = lines_open(&lines, path, err);

	return opened < 0 ? opened : read_all(&lines, unit, ret, err);
}

int trace_parse_swf(char *text, size_t len, const struct swf_unit *unit, struct trace *ret, struct err *err)
{
	struct lines lines;

	lines_of_text(&lines, text, len);
	return read_all(&lines, unit, ret, err);
}
