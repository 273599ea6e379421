/* SPDX-License-Identifier: Apache-2.0
 * suan_sim.c: `suan sim`: the same scheduler over a trace, without a daemon. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "core/pool.h"
#include "engine/engines.h"
#include "format/pool_file.h"
#include "sim/report.h"
#include "sim/sim.h"

enum { CONFIG_FILE_BYTES_MAX = 1 << 20 };

struct sim_options {
	const char *pool, *trace, *format, *config, *policy, *jobs, *timeline, *report;
	uint64_t seed;
	us_t mtbf_us, repair_us; /* 0: not given */
	bool json, no_check;
};

#define NO_SEED UINT64_MAX

/* ---- Reading ---- */

/* Reads a whole file of at most `max` bytes. */
static int read_file(const char *path, size_t max, struct buf *text, struct err *err)
{
	FILE *file = fopen(path, "re");
	char chunk[65536];
	int code = 0;

	if (!file)
		return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, NULL, "%s", strerror(errno));
	for (size_t n; code == 0 && (n = fread(chunk, 1, sizeof chunk, file)) > 0;) {
		buf_put(text, chunk, n);
		if (text->len > max)
			code = err_set(err, ERR_TOO_LARGE, NULL, "more than %zu bytes", max);
	}
	if (code == 0 && ferror(file))
		code = err_set(err, ERR_IO, NULL, "%s", strerror(errno));
	fclose(file);
	return code;
}

/* The nodes of a centre that is this machine, as found: then what is simulated depends on where. */
static int discover(void *ctx, const struct centre_spec *centre, struct arena *arena, const struct line_spec **ret_lines,
                    uint32_t *ret_n_lines, const struct kind_spec **ret_kinds, uint32_t *ret_n_kinds, struct err *err)
{
	const struct engine_ops *engine = engine_find(centre->engine);
	struct discovery found = {0};

	(void)ctx;
	if (!engine || !engine->discover)
		return err_set(err, ERR_INVALID, NULL, "missing: a centre with engine \"%s\" must name its nodes", centre->engine);
	if (engine->discover(centre, arena, &found, err) < 0)
		return err->code;
	*ret_lines = found.lines;
	*ret_n_lines = found.n_lines;
	*ret_kinds = found.kinds;
	*ret_n_kinds = found.n_kinds;
	return 0;
}

static int read_pool(const char *path, struct arena *arena, struct pool_spec *ret)
{
	struct buf text = {0};
	struct err err = {0};
	const char *const *warnings;
	uint32_t n_warnings;
	int code = read_file(path, POOL_FILE_BYTES_MAX, &text, &err);

	if (code == 0)
		code = pool_file_parse((const char *)text.data, text.len, discover, NULL, arena, ret, &warnings, &n_warnings, &err);
	buf_done(&text);
	if (code < 0)
		return complain_err(STATUS_NO, path, &err);
	for (uint32_t i = 0; i < n_warnings; i++)
		complain(0, "%s: %s", path, warnings[i]);
	return 0;
}

static int read_config(const struct sim_options *options, struct arena *arena, struct config_spec *ret)
{
	struct buf text = {0};
	struct err err = {0};
	int policy = options->policy ? policy_from_word(options->policy) : 0, code = 0;

	*ret = config_default();
	if (policy < 0)
		return usage_error("sim", "--policy %s: expected fair, fifo, shortest or las", options->policy);
	if (options->config) {
		code = read_file(options->config, CONFIG_FILE_BYTES_MAX, &text, &err);
		if (code == 0)
			code = config_file_parse((const char *)text.data, text.len, arena, ret, &err);
		buf_done(&text);
	}
	if (code < 0)
		return complain_err(STATUS_NO, options->config, &err);
	/* A simulation is over before anybody would look for an old job in the history: nothing is forgotten. */
	ret->history_after_us = US_NEVER;
	ret->history_jobs_max = UINT32_MAX;
	if (options->policy)
		ret->policy = (enum policy)policy;
	if (options->seed != NO_SEED)
		ret->seed = options->seed;
	return 0;
}

/* A processor of a log is a card where the pool has cards, else a CPU; a node has as many as the first node that has any. */
static struct swf_unit unit_of(const struct pool_spec *pool)
{
	struct swf_unit unit = {.per_node = 1};

	for (uint32_t c = 0; c < pool->n_centres; c++)
		for (uint32_t l = 0; l < pool->centres[c].n_lines; l++) {
			const struct line_spec *line = &pool->centres[c].lines[l];

			if (line->cards)
				return (struct swf_unit){.cards = true, .per_node = line->cards};
			if (unit.per_node == 1 && line->cpus_milli != UNCOUNTED && line->cpus_milli >= 2000)
				unit.per_node = line->cpus_milli / 1000;
		}
	return unit;
}

static int read_trace(const struct sim_options *options, const struct pool_spec *pool, struct trace *ret)
{
	struct swf_unit unit = unit_of(pool);
	struct err err = {0};
	int code;

	if (!strcmp(options->format, "suan"))
		code = trace_read_csv(options->trace, ret, &err);
	else if (!strcmp(options->format, "swf"))
		code = trace_read_swf(options->trace, &unit, ret, &err);
	else
		return usage_error("sim", "--format %s: expected suan or swf", options->format);
	if (code < 0)
		return complain_err(STATUS_NO, options->trace, &err);
	if (ret->n_skipped)
		complain(0, "%s: %" PRIu32 " jobs that never ran are left out", options->trace, ret->n_skipped);
	return 0;
}

/* ---- Progress ---- */

struct progress {
	struct timespec began, shown;
	uint32_t n_jobs, calls;
	bool terminal, any;
};

static double seconds_since(const struct timespec *then)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - then->tv_sec) + (double)(now.tv_nsec - then->tv_nsec) / 1e9;
}

static void show_progress(void *ctx, uint32_t arrived, uint32_t over, us_t now_us)
{
	struct progress *p = ctx;
	char span[32];

	if (!p->terminal || ++p->calls % 256 || seconds_since(&p->began) < 2 || (p->any && seconds_since(&p->shown) < 0.2))
		return;
	p->any = true;
	clock_gettime(CLOCK_MONOTONIC, &p->shown);
	fprintf(stderr, "\r%" PRIu32 " of %" PRIu32 " jobs arrived, %" PRIu32 " over; at %s of the trace\033[K", arrived, p->n_jobs,
	        over, us_format_duration(now_us / US_SECOND * US_SECOND, span, sizeof span));
}

static void end_progress(const struct progress *p)
{
	if (p->any)
		fputs("\r\033[K", stderr);
}

/* ---- Writing ---- */

struct outcome {
	const struct sim_options *options;
	const struct trace *trace;
	const struct sim_result *result;
	double wall_s;
};

static int write_jobs(const struct outcome *o, FILE *file, struct err *err)
{
	return report_jobs(o->trace, o->result, file, err);
}

static int write_page(const struct outcome *o, FILE *file, struct err *err)
{
	return report_html(o->trace, o->result, o->wall_s, o->options->trace, file, err);
}

static int write_to(const char *path, int (*write)(const struct outcome *, FILE *, struct err *), const struct outcome *outcome)
{
	struct err err = {0};
	FILE *file = path ? fopen(path, "we") : NULL;
	int code;

	if (!path)
		return STATUS_DONE;
	if (!file)
		return complain(STATUS_NO, "%s: %s", path, strerror(errno));
	code = write(outcome, file, &err);
	if (fclose(file) && code == 0)
		code = err_set(&err, ERR_IO, NULL, "%s", strerror(errno));
	return code < 0 ? complain_err(STATUS_NO, path, &err) : STATUS_DONE;
}

static int write_all(const struct outcome *o)
{
	struct err err = {0};
	int status = write_to(o->options->jobs, write_jobs, o), code;

	if (status == STATUS_DONE)
		status = write_to(o->options->report, write_page, o);
	if (status != STATUS_DONE)
		return status;
	code = (o->options->json ? report_json : report_text)(o->trace, o->result, o->wall_s, stdout, &err);
	return code < 0 ? complain_err(STATUS_NO, NULL, &err) : STATUS_DONE;
}

/* ---- Running ---- */

static int simulate(const struct sim_options *options, const struct pool_spec *pool, const struct config_spec *config,
                    const struct trace *trace, FILE *timeline, struct progress *progress)
{
	struct sim_result result = {0};
	struct err err = {0};
	int code, status;

	progress->n_jobs = trace->n_jobs;
	code = sim_run(&(struct sim_config){.pool = pool,
	                                    .config = config,
	                                    .trace = trace,
	                                    .faults = {options->mtbf_us, options->repair_us ? options->repair_us : US_HOUR},
	                                    .timeline = timeline,
	                                    .unchecked = options->no_check,
	                                    .progress = show_progress,
	                                    .progress_ctx = progress},
	               &result, &err);
	end_progress(progress);
	if (code < 0)
		return complain_err(STATUS_NO, err.line ? options->trace : NULL, &err);
	status = write_all(&(struct outcome){options, trace, &result, seconds_since(&progress->began)});
	sim_done(&result);
	return status;
}

static int run_with(const struct sim_options *options, struct arena *arena, struct trace *trace, struct progress *progress)
{
	struct pool_spec pool;
	struct config_spec config;
	FILE *timeline = NULL;
	int status = read_config(options, arena, &config);

	if (status == 0)
		status = read_pool(options->pool, arena, &pool);
	if (status == 0)
		status = read_trace(options, &pool, trace);
	if (status == 0 && options->timeline && !(timeline = fopen(options->timeline, "we")))
		status = complain(STATUS_NO, "%s: %s", options->timeline, strerror(errno));
	if (status == 0)
		status = simulate(options, &pool, &config, trace, timeline, progress);
	if (timeline && fclose(timeline) && status == 0)
		status = complain(STATUS_NO, "%s: %s", options->timeline, strerror(errno));
	return status;
}

int cmd_sim(int argc, char **argv)
{
	struct sim_options options = {.format = "suan", .seed = NO_SEED};
	struct progress progress = {.terminal = isatty(STDERR_FILENO)};
	struct arena arena = {0};
	struct trace trace = {0};
	const struct opt opts[] = {
		{"pool", 0, OPT_TEXT, &options.pool},
		{"trace", 0, OPT_TEXT, &options.trace},
		{"format", 0, OPT_TEXT, &options.format},
		{"config", 0, OPT_TEXT, &options.config},
		{"policy", 0, OPT_TEXT, &options.policy},
		{"seed", 0, OPT_COUNT, &options.seed},
		{"jobs", 0, OPT_TEXT, &options.jobs},
		{"timeline", 0, OPT_TEXT, &options.timeline},
		{"report", 0, OPT_TEXT, &options.report},
		{"json", 0, OPT_FLAG, &options.json},
		{"no-check", 0, OPT_FLAG, &options.no_check},
		{"mtbf", 0, OPT_DURATION, &options.mtbf_us},
		{"repair", 0, OPT_DURATION, &options.repair_us},
	};
	int status;

	clock_gettime(CLOCK_MONOTONIC, &progress.began);
	if (opts_read(argc, argv, opts, sizeof opts / sizeof *opts, 0, 0) < 0)
		return STATUS_USAGE;
	if (!options.pool || !options.trace)
		return usage_error("sim", "%s is needed", options.pool ? "--trace" : "--pool");
	if (options.repair_us && !options.mtbf_us)
		return usage_error("sim", "--repair: no node fails without --mtbf");
	status = run_with(&options, &arena, &trace, &progress);
	trace_done(&trace);
	arena_done(&arena);
	return status;
}
