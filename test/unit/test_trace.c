/* SPDX-License-Identifier: Apache-2.0
 * test_trace.c: reading traces: what is read, what is refused, and where it says the mistake is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "sim/lines.h"
#include "sim/sim.h"
#include "sim/trace.h"

static int parse(const char *text, struct trace *ret, struct err *err)
{
	char *copy = strdup(text);
	int code = trace_parse_csv(copy, strlen(text), ret, err);

	free(copy);
	return code;
}

static void reads_every_column(void **state)
{
	struct trace trace;
	struct err err = {0};
	const struct trace_job *job;

	(void)state;
	assert_int_equal(
		parse("id,submit_s,run_s,cards,nodes,project,user,name,limit_s,kinds,speeds,cpus,memory_gib,priority,topology,"
	          "preemptible,checkpoint_s,restart_s\n"
	          "j1,1.5,10,8,2,lab,wang,train,20,v100|p100,v100=1|p100=0.45,1.5,0.5,7,soft:rack,1,60,5\n",
	          &trace, &err),
		0);
	assert_int_equal(trace.n_jobs, 1);
	job = &trace.jobs[0];
	assert_string_equal(trace_job_id(&trace, job), "j1");
	assert_int_equal(job->submit_us, 1500000);
	assert_int_equal(job->run_us, 10 * US_SECOND);
	assert_int_equal(job->limit_us, 20 * US_SECOND);
	assert_int_equal(job->cards_milli, 8000);
	assert_int_equal(job->nodes, 2);
	assert_string_equal(trace_text(&trace, job->project), "lab");
	assert_string_equal(trace_text(&trace, job->user), "wang");
	assert_string_equal(trace_text(&trace, job->name), "train");
	assert_int_equal(job->cpus_milli, 1500);
	assert_int_equal(job->memory_mib, 512);
	assert_int_equal(job->priority, 7);
	assert_int_equal(job->highest, TIER_RACK);
	assert_int_equal(job->hard, 0);
	assert_int_equal(job->preemptible, 1);
	assert_int_equal(job->checkpoint_us, 60 * US_SECOND);
	assert_int_equal(job->restart_us, 5 * US_SECOND);
	assert_int_equal(trace.choices[job->choice].n_kinds, 2);
	assert_string_equal(trace_text(&trace, trace.kinds[trace.choices[job->choice].first + 1].name), "p100");
	assert_int_equal(trace.kinds[trace.choices[job->choice].first + 1].speed_micro, 450000);
	trace_done(&trace);
}

static void fills_in_defaults(void **state)
{
	struct trace trace;
	const struct trace_job *job;

	(void)state;
	assert_int_equal(parse("cards,run_s,submit_s,id\r\n0.125,inf,0,a\r\n", &trace, NULL), 0);
	job = &trace.jobs[0];
	assert_int_equal(job->cards_milli, 125);
	assert_true(job->run_us == US_NEVER);
	assert_true(job->limit_us == US_NEVER);
	assert_int_equal(job->nodes, 1);
	assert_int_equal(job->priority, JOB_PRIORITY_DEFAULT);
	assert_int_equal(job->highest, TIER_CENTRE);
	assert_int_equal(job->hard, 1);
	assert_true(job->preemptible < 0);
	assert_null(trace_text(&trace, job->project));
	trace_done(&trace);
}

/* Amounts round the way that can't overcommit: what is needed up, and a share to a thousandth. */
static void rounds_needs_up(void **state)
{
	struct trace trace;

	(void)state;
	assert_int_equal(
		parse("id,submit_s,run_s,cards,cpus,memory_gib\na,0.0000009,0.0000001,0.0001,0.0001,0.0000001\n", &trace, NULL), 0);
	assert_int_equal(trace.jobs[0].submit_us, 0);
	assert_int_equal(trace.jobs[0].run_us, 1);
	assert_int_equal(trace.jobs[0].cards_milli, 1);
	assert_int_equal(trace.jobs[0].cpus_milli, 1);
	assert_int_equal(trace.jobs[0].memory_mib, 1);
	trace_done(&trace);
}

static void sorts_by_submission(void **state)
{
	struct trace trace;

	(void)state;
	assert_int_equal(parse("id,submit_s,run_s,cards\nc,5,1,1\na,1,1,1\nb,1,1,1\n\nd,9,1,1", &trace, NULL), 0);
	assert_int_equal(trace.n_jobs, 4);
	assert_string_equal(trace_job_id(&trace, &trace.jobs[0]), "a");
	assert_string_equal(trace_job_id(&trace, &trace.jobs[1]), "b");
	assert_string_equal(trace_job_id(&trace, &trace.jobs[2]), "c");
	assert_string_equal(trace_job_id(&trace, &trace.jobs[3]), "d");
	trace_done(&trace);
}

static void reads_quotes(void **state)
{
	struct trace trace;

	(void)state;
	assert_int_equal(parse("\"id\",submit_s,run_s,\"cards\",name\n\"a, b\",0,1,\"1\",\"\"\n", &trace, NULL), 0);
	assert_string_equal(trace_job_id(&trace, &trace.jobs[0]), "a, b");
	assert_null(trace_text(&trace, trace.jobs[0].name));
	trace_done(&trace);
}

/* The same cells are resolved once. */
static void shares_choices(void **state)
{
	const uint32_t choices[] = {0, 0, 1, 2, 0, 3, 0, 4, 5};
	struct trace trace;

	(void)state;
	assert_int_equal(parse("id,submit_s,run_s,cards,kinds,speeds\na,0,1,1,x|y,x=2\nb,0,1,1,x|y,x=2\nc,0,1,1,y,\nd,0,1,1,,y=3\n"
	                       "e,0,1,1,x|y,x=2\nf,0,1,1,x|y,x=20\ng,0,1,1,x|y,x=2\nh,0,1,1,x|y,\ni,0,1,1,x,\n",
	                       &trace, NULL),
	                 0);
	assert_int_equal(trace.n_choices, 6);
	for (uint32_t i = 0; i < trace.n_jobs; i++)
		assert_int_equal(trace.jobs[i].choice, choices[i]);
	assert_int_equal(trace.kinds[trace.choices[0].first].speed_micro, 2 * SPEED_MICRO);
	assert_int_equal(trace.kinds[trace.choices[0].first + 1].speed_micro, SPEED_MICRO);
	assert_int_equal(trace.choices[2].n_kinds, 0);
	assert_int_equal(trace.choices[2].n_speeds, 1);
	trace_done(&trace);
}

#define HEAD "id,submit_s,run_s,cards,limit_s,nodes,kinds,speeds,cpus,memory_gib,priority,topology,preemptible\n"

static void says_what_is_wrong(void **state)
{
	static const struct {
		const char *text;
		uint32_t line;
		const char *subject, *says;
	} cases[] = {
		{"", 1, "header", "empty"},
		{"id,submit_s,cards\na,0,1\n", 1, "header", "\"run_s\" is missing"},
		{"id,submit_s,run_s,cards,prioritty\n", 1, "header", "did you mean \"priority\""},
		{"id,submit_s,run_s,cards,id\n", 1, "header", "twice"},
		{"id,submit_s,run_s,cards\na,0,1,1\nb,0,1\n", 3, "", "3 cells: expected 4"},
		{"id,submit_s,run_s,cards\na,0,1,\"1\n", 2, "", "quote"},
		{"id,submit_s,run_s,cards\na,0,1,\"1\"x\n", 2, "", "behind a closing quote"},
		{HEAD ",0,1,1,,,,,,,,,\n", 2, "id", "expected 1 to"},
		{HEAD "a,-1,1,1,,,,,,,,,\n", 2, "submit_s", "-1"},
		{HEAD "a,1e3,1,1,,,,,,,,,\n", 2, "submit_s", "1e3"},
		{HEAD "a,99999999999,1,1,,,,,,,,,\n", 2, "submit_s", "at most"},
		{HEAD "a,0,forever,1,,,,,,,,,\n", 2, "run_s", "forever"},
		{HEAD "a,0,,1,,,,,,,,,\n", 2, "run_s", "\"\""},
		{HEAD "a,0,1,1.5,,,,,,,,,\n", 2, "cards", "whole number of cards"},
		{HEAD "a,0,1,9999999,,,,,,,,,\n", 2, "cards", "at most"},
		{HEAD "a,0,1,1,0,,,,,,,,\n", 2, "limit_s", "more than 0"},
		{HEAD "a,0,1,1,,0,,,,,,,\n", 2, "nodes", "whole number from 1"},
		{HEAD "a,0,1,1,,1.5,,,,,,,\n", 2, "nodes", "whole number from 1"},
		{HEAD "a,0,1,1,,,v100||p100,,,,,,\n", 2, "kinds", "names of kinds"},
		{HEAD "a,0,1,1,,,,v100,,,,,\n", 2, "speeds", "KIND=SPEED"},
		{HEAD "a,0,1,1,,,,v100=0,,,,,\n", 2, "speeds", "above 0"},
		{HEAD "a,0,1,1,,,,v100=x,,,,,\n", 2, "speeds", "expected a number"},
		{HEAD "a,0,1,1,,,,,99999999999,,,,\n", 2, "cpus", "at most"},
		{HEAD "a,0,1,1,,,,,,9999999999,,,\n", 2, "memory_gib", "at most"},
		{HEAD "a,0,1,1,,,,,,,1001,,\n", 2, "priority", "0 to 1000"},
		{HEAD "a,0,1,1,,,,,,,,rack,\n", 2, "topology", "hard or soft"},
		{HEAD "a,0,1,1,,,,,,,,hard:row,\n", 2, "topology", "hard or soft"},
		{HEAD "a,0,1,1,,,,,,,,,yes\n", 2, "preemptible", "0 or 1"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct trace trace = {.n_jobs = 77};
		struct err err = {0};
		int code = parse(cases[i].text, &trace, &err);

		if (code != ERR_INVALID || err.line != cases[i].line || strcmp(err.subject, cases[i].subject) != 0 ||
		    !strstr(err.text, cases[i].says))
			fail_msg("case %zu: %d, line %u, \"%s\", \"%s\"", i, code, err.line, err.subject, err.text);
		assert_int_equal(trace.n_jobs, 77); /* nothing changes on failure */
	}
}

static void bounds_lines(void **state)
{
	size_t len = LINE_BYTES_MAX + 100;
	char *text = malloc(len + 1);
	struct trace trace;
	struct err err = {0};

	(void)state;
	memset(text, 'x', len);
	text[len] = 0;
	assert_int_equal(trace_parse_csv(text, len, &trace, &err), ERR_TOO_LARGE);
	assert_int_equal(err.line, 1);
	memcpy(text, "id\0,", 4);
	assert_int_equal(trace_parse_csv(text, 10, &trace, &err), ERR_INVALID);
	memset(text, ',', 200);
	assert_int_equal(trace_parse_csv(text, 200, &trace, &err), ERR_TOO_LARGE);
	free(text);
}

/* Random bytes, and random changes of a good trace, give an answer: the sanitizers watch. */
static void survives_anything(void **state)
{
	static const char good[] = HEAD "a,0,1,1,10,2,v100|p100,v100=1|p100=0.5,1,2,3,hard:rack,0\n\"b\",5,inf,0.5,,,,,,,,,\n";
	uint64_t random = 12345;
	char text[sizeof good];

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct trace trace;

		memcpy(text, good, sizeof good);
		for (int n = 0; n < 1 + i % 4; n++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			text[(random >> 33) % (sizeof good - 1)] = i % 3 ? "\",\n|=:.0159 \0x"[(random >> 20) % 15] : (char)(random >> 40);
		}
		if (trace_parse_csv(text, sizeof good - 1, &trace, NULL) == 0)
			trace_done(&trace);
	}
}

static char *temporary(const void *bytes, size_t len, bool gzip)
{
	char *path = strdup("/tmp/suan-test-trace-XXXXXX");
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	if (gzip) {
		gzFile file = gzdopen(fd, "wb");

		assert_int_equal(gzwrite(file, bytes, (unsigned)len), len);
		gzclose(file);
	} else {
		assert_int_equal(write(fd, bytes, len), len);
		close(fd);
	}
	return path;
}

/* Longer than any buffer, plain and gzipped; a gzip that is cut short is an error. */
static void reads_files(void **state)
{
	size_t cap = 4 << 20, len = 0, n = 0;
	char *text = malloc(cap);

	(void)state;
	len += (size_t)sprintf(text, "id,submit_s,run_s,cards,name\n");
	for (; len < cap - 200; n++)
		len += (size_t)sprintf(text + len, "job-%zu,%zu.25,100,%zu,%.*s\n", n, n, n % 8, (int)(n % 90),
		                       "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
		                       "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn");
	for (int gzip = 0; gzip < 2; gzip++) {
		char *path = temporary(text, len, gzip);
		struct trace trace;
		struct err err = {0};

		assert_int_equal(trace_read_csv(path, &trace, &err), 0);
		assert_int_equal(trace.n_jobs, n);
		assert_int_equal(trace.jobs[n - 1].submit_us, (us_t)(n - 1) * US_SECOND + 250000);
		assert_int_equal(trace.jobs[n - 1].line, n + 1);
		trace_done(&trace);
		if (gzip) {
			assert_int_equal(truncate(path, 50000), 0);
			assert_int_equal(trace_read_csv(path, &trace, &err), ERR_IO);
		}
		unlink(path);
		free(path);
	}
	assert_int_equal(trace_read_csv("/nonexistent/trace.csv", &(struct trace){0}, NULL), ERR_NOT_FOUND);
	free(text);
}

static int parse_swf(const char *text, const struct swf_unit *unit, struct trace *ret, struct err *err)
{
	char *copy = strdup(text);
	int code = trace_parse_swf(copy, strlen(text), unit, ret, err);

	free(copy);
	return code;
}

static void reads_swf(void **state)
{
	const struct swf_unit cards = {true, 8}, cpus = {false, 2};
	static const char log[] = "; Version: 2.2\n; MaxProcs: 240\n\n"
							  "  1  0  308434  31405  30  31405  -1  30  37980  -1  1  7  3  -1  -1  1  -1  -1\n"
							  "  2 60       5     -1   8     -1  -1   8  43200  -1 -1  5  1  -1  -1  1  -1  -1\n"
							  "  3 70  -1 552.21 -1 552.21 -1 4 -1 -1 1 -1 -1 12 -1 1 -1 -1\n";
	struct trace trace;
	struct err err = {0};

	(void)state;
	assert_int_equal(parse_swf(log, &cards, &trace, &err), 0);
	assert_int_equal(trace.n_jobs, 2);
	assert_int_equal(trace.n_skipped, 1);
	assert_int_equal(trace.jobs[0].nodes, 4); /* 30 cards on nodes of 8 */
	assert_int_equal(trace.jobs[0].cards_milli, 8000);
	assert_int_equal(trace.jobs[0].limit_us, 37980 * US_SECOND);
	assert_string_equal(trace_text(&trace, trace.jobs[0].user), "user7");
	assert_string_equal(trace_text(&trace, trace.jobs[0].project), "group3");
	assert_int_equal(trace.jobs[1].cards_milli, 4000);
	assert_int_equal(trace.jobs[1].run_us, 552210000);
	assert_true(trace.jobs[1].limit_us == US_NEVER);
	trace_done(&trace);
	assert_int_equal(parse_swf(log, &cpus, &trace, &err), 0);
	assert_int_equal(trace.jobs[0].nodes, 15);
	assert_int_equal(trace.jobs[0].cpus_milli, 2000);
	assert_int_equal(trace.jobs[0].cards_milli, 0);
	trace_done(&trace);
}

static void says_what_is_wrong_in_swf(void **state)
{
	const struct swf_unit unit = {true, 8};
	static const struct {
		const char *text;
		uint32_t line;
		const char *says;
	} cases[] = {
		{";\n1 2 3\n", 2, "3 fields"},
		{"1 0 0 x 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n", 1, "expected a number"},
		{"1 -1 0 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n", 1, "0 or more"},
		{"1 0 0 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n", 1, "more than 18"},
		{"1 0 0 1 3000000000 1 1 1 1 1 1 1 1 1 1 1 1 1\n", 1, "more than a job may have"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct trace trace;
		struct err err = {0};
		int code = parse_swf(cases[i].text, &unit, &trace, &err);

		if (code >= 0 || err.line != cases[i].line || !strstr(err.text, cases[i].says))
			fail_msg("case %zu: %d, line %u, \"%s\", \"%s\"", i, code, err.line, err.subject, err.text);
	}
}

static void divides_by_speed(void **state)
{
	(void)state;
	assert_int_equal(sim_run_us(10, SPEED_MICRO), 10);
	assert_int_equal(sim_run_us(10, SPEED_MICRO / 2), 20);
	assert_int_equal(sim_run_us(10, 3 * SPEED_MICRO), 4); /* 3.33 rounds up */
	assert_int_equal(sim_run_us(0, 1), 0);
	assert_true(sim_run_us(US_NEVER, 500000) == US_NEVER);
	assert_true(sim_run_us(US_DURATION_MAX, 1) == US_DURATION_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_column),  cmocka_unit_test(fills_in_defaults), cmocka_unit_test(rounds_needs_up),
		cmocka_unit_test(sorts_by_submission), cmocka_unit_test(reads_quotes),      cmocka_unit_test(shares_choices),
		cmocka_unit_test(says_what_is_wrong),  cmocka_unit_test(bounds_lines),      cmocka_unit_test(survives_anything),
		cmocka_unit_test(reads_files),         cmocka_unit_test(reads_swf),         cmocka_unit_test(says_what_is_wrong_in_swf),
		cmocka_unit_test(divides_by_speed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
