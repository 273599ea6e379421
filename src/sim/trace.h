/* SPDX-License-Identifier: Apache-2.0
 * trace.h: recorded work to simulate, in memory: Suan's own CSV, and the standard workload format (SWF). */
#ifndef SUAN_SIM_TRACE_H
#define SUAN_SIM_TRACE_H

#include "base/map.h"
#include "core/spec.h"

enum {
	TRACE_JOBS_MAX = 10000000,
	TRACE_CARDS_MAX = 1000000, /* a node: far more than any has, so that a job too large is told from a slip */
	SPEED_MICRO = 1000000,     /* relative speed 1 */
};

#define TRACE_TEXT_NONE UINT32_MAX /* an empty cell */

/* A kind that will do, with the speed of this job's work on it in millionths. */
struct trace_kind {
	uint32_t name; /* of trace.texts */
	uint32_t speed_micro;
};

/* Which kinds will do and how fast each is: what many jobs of a trace share. */
struct trace_choice {
	uint32_t first, n_kinds;        /* of trace.kinds: what will do; none: any kind */
	uint32_t first_speed, n_speeds; /* of trace.kinds: the speeds stated for kinds that need not be among those */
};

struct trace_job {
	uint64_t id; /* offset of its name in trace.ids */
	us_t submit_us;
	us_t run_us;   /* at speed 1; US_NEVER: it never ends */
	us_t limit_us; /* US_NEVER: none */
	us_t checkpoint_us, restart_us;
	uint32_t line;                /* of its file */
	uint32_t project, user, name; /* of trace.texts, or TRACE_TEXT_NONE */
	uint32_t choice;
	uint32_t nodes;
	uint32_t cards_milli, cpus_milli, memory_mib; /* a node */
	uint16_t priority;
	uint8_t highest, hard; /* enum tier; whether never wider */
	int8_t preemptible;    /* below 0: not stated */
};

/* A trace, by time of submission; of one instant, in the file's order. All zero is an empty one. */
struct trace {
	struct trace_job *jobs;
	uint32_t n_jobs, jobs_cap;
	struct trace_choice *choices;
	uint32_t n_choices, choices_cap;
	struct trace_kind *kinds;
	uint32_t n_kinds, kinds_cap;
	struct strtab texts;
	struct buf ids;     /* names of jobs, each terminated */
	uint32_t n_skipped; /* jobs of the file that never ran: an SWF log's canceled ones */
};

/* Reads the native CSV (gzipped or not). Returns 0, or fails with the column as subject and the line's number: ERR_INVALID,
 * ERR_TOO_LARGE, ERR_IO, ERR_NOT_FOUND. *ret is the caller's to trace_done, and is only written on success. */
int trace_read_csv(const char *path, struct trace *ret, struct err *err);

/* What a processor of an SWF log is in the pool that it is tried on. */
struct swf_unit {
	bool cards;        /* else CPUs */
	uint32_t per_node; /* 1 or more; a job of more takes several equal nodes */
};

/* Reads an SWF log (version 2.2, Feitelson et al.), gzipped or not. Errors as above. */
int trace_read_swf(const char *path, const struct swf_unit *unit, struct trace *ret, struct err *err);

/* The same from a text in memory, which is overwritten; text[len] must be writable. For tests and fuzzing. */
int trace_parse_csv(char *text, size_t len, struct trace *ret, struct err *err);
int trace_parse_swf(char *text, size_t len, const struct swf_unit *unit, struct trace *ret, struct err *err);

const char *trace_job_id(const struct trace *trace, const struct trace_job *job);
/* A text's number as text; NULL for TRACE_TEXT_NONE. */
const char *trace_text(const struct trace *trace, uint32_t number);
void trace_done(struct trace *trace);

/* ---- For the readers alone ---- */

/* Adds a job with every field at its default, and its name; ERR_TOO_LARGE past TRACE_JOBS_MAX. */
int trace_add(struct trace *trace, const char *id, struct trace_job **ret, struct err *err);
/* Puts the jobs into order of submission, those of one instant as they came. */
void trace_sort(struct trace *trace);

#endif
