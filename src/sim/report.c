/* SPDX-License-Identifier: Apache-2.0
 * report.c: what a simulation comes to; see report.h. */
#include "sim/report.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- Figures ---- */

enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS };

/* One pass of a radix sort: by one digit, those of equal digits as they stand. */
static void deal(const us_t *from, us_t *to, uint32_t n, int shift)
{
	uint32_t at[DIGITS + 1] = {0};

	for (uint32_t i = 0; i < n; i++)
		at[(from[i] >> shift) % DIGITS + 1]++;
	for (uint32_t d = 1; d < DIGITS; d++)
		at[d] += at[d - 1];
	for (uint32_t i = 0; i < n; i++)
		to[at[(from[i] >> shift) % DIGITS]++] = from[i];
}

/* Sorts durations, of which none is below 0, from their last digit to their first: comparing them took longer than all else here
 * does. Of a pair of digits the second may be 0 throughout. */
static void sort_durations(us_t *values, uint32_t n)
{
	us_t *other = mem_new(n, sizeof *other), all = 0;

	for (uint32_t i = 0; i < n; i++)
		all |= values[i];
	assert(all >= 0);
	for (int shift = 0; shift < 64 && all >> shift; shift += 2 * DIGIT_BITS) {
		deal(values, other, n, shift);
		deal(other, values, n, shift + DIGIT_BITS);
	}
	free(other);
}

static double to_s(us_t us)
{
	return (double)us / US_SECOND;
}

/* The least of the sorted values that `percent` of them don't exceed. */
static double percentile(const us_t *sorted, uint32_t n, uint32_t percent)
{
	uint64_t rank = ((uint64_t)n * percent + 99) / 100;

	return to_s(sorted[rank ? rank - 1 : 0]);
}

/* Sorts the values. */
static struct spread spread_of(us_t *values, uint32_t n)
{
	double sum = 0;

	if (!n)
		return (struct spread){0};
	sort_durations(values, n);
	for (uint32_t i = 0; i < n; i++)
		sum += to_s(values[i]);
	return (struct spread){
		n, sum / n, percentile(values, n, 50), percentile(values, n, 90), percentile(values, n, 99), to_s(values[n - 1])};
}

static bool has_ended(const struct sim_job *job)
{
	return job->start_us != US_NEVER && job->end_us != US_NEVER;
}

/* How long the jobs waited whose nodes × cards lie in a range; `cards_milli` bounds are inclusive. */
static struct spread waits(const struct trace *trace, const struct sim_result *r, uint64_t least_milli, uint64_t most_milli)
{
	us_t *values = mem_new(r->n_jobs, sizeof *values);
	uint32_t n = 0;
	struct spread spread;

	for (uint32_t i = 0; i < r->n_jobs; i++) {
		uint64_t milli = (uint64_t)trace->jobs[i].nodes * trace->jobs[i].cards_milli;

		if (r->jobs[i].start_us != US_NEVER && milli >= least_milli && milli <= most_milli)
			values[n++] = r->jobs[i].start_us - trace->jobs[i].submit_us;
	}
	spread = spread_of(values, n);
	free(values);
	return spread;
}

static struct spread completion_times(const struct trace *trace, const struct sim_result *r)
{
	us_t *values = mem_new(r->n_jobs, sizeof *values);
	uint32_t n = 0;
	struct spread spread;

	for (uint32_t i = 0; i < r->n_jobs; i++)
		if (has_ended(&r->jobs[i]))
			values[n++] = r->jobs[i].end_us - trace->jobs[i].submit_us;
	spread = spread_of(values, n);
	free(values);
	return spread;
}

/* A centre's demand over its supply in a time; 0 where it has no cards. */
static double demand(const struct sim_centre *centre, double span_s)
{
	double supply = (double)centre->cards_milli * span_s;

	return supply > 0 ? centre->demand_milli_s / supply : 0;
}

static void find_worst(const struct sim_result *r, double span_s, struct summary *s)
{
	s->worst_centre = CENTRE_ANY;
	for (uint32_t c = 0; c < r->n_centres; c++) {
		if (!r->centres[c].cards_milli || (s->worst_centre != CENTRE_ANY && demand(&r->centres[c], span_s) <= s->worst_demand))
			continue;
		s->worst_centre = c;
		s->worst_demand = demand(&r->centres[c], span_s);
	}
}

struct summary report_summary(const struct trace *trace, const struct sim_result *r)
{
	struct summary s = {.wait = waits(trace, r, 0, UINT64_MAX), .jct = completion_times(trace, r)};
	double span_s = to_s(r->last_us - r->first_us), total = (double)r->total_milli;
	us_t last_end_us = r->first_us;

	for (uint32_t i = 0; i < r->n_jobs; i++)
		if (has_ended(&r->jobs[i]) && r->jobs[i].end_us > last_end_us)
			last_end_us = r->jobs[i].end_us;
	s.has_makespan = r->running == 0;
	s.makespan_s = to_s(last_end_us - r->first_us);
	s.cards = total / CARD_MILLI;
	s.utilisation = span_s > 0 && total > 0 ? r->card_seconds / (s.cards * span_s) : 0;
	s.peak_share = total > 0 ? (double)r->peak_milli / total : 0;
	s.end_share = total > 0 ? (double)r->end_milli / total : 0;
	s.useful_share = r->card_seconds > 0 ? r->useful_card_seconds / r->card_seconds : 0;
	find_worst(r, span_s, &s);
	return s;
}

static int written(FILE *out, const char *what, struct err *err)
{
	if (fflush(out) || ferror(out))
		return err_set(err, ERR_IO, what, "%s", strerror(errno));
	return 0;
}

/* ---- JSON ---- */

static json_t *spread_json(const struct spread *s)
{
	if (!s->n)
		return json_pack("{s:n,s:n,s:n,s:n,s:n}", "mean", "p50", "p90", "p99", "max");
	return json_pack("{s:f,s:f,s:f,s:f,s:f}", "mean", s->mean, "p50", s->p50, "p90", s->p90, "p99", s->p99, "max", s->max);
}

static json_t *moved_json(const struct sim_result *r)
{
	json_t *json = json_object();

	for (int cause = 0; cause < CAUSE_COUNT; cause++)
		if (r->moved[cause])
			json_object_set_new(json, cause_word((enum cause)cause), json_integer((json_int_t)r->moved[cause]));
	return json;
}

static json_t *centres_json(const struct sim_result *r, double span_s)
{
	json_t *json = json_object();

	for (uint32_t c = 0; c < r->n_centres; c++)
		if (r->centres[c].cards_milli)
			json_object_set_new(json, r->centre_names[c], json_real(demand(&r->centres[c], span_s)));
	return json;
}

/* What came later than the object's first keys: failures, promises, demand. */
static void add_more(json_t *json, const struct sim_result *r, const struct summary *s)
{
	json_object_set_new(json, "moves", json_integer((json_int_t)r->moves));
	json_object_set_new(json, "failures", json_integer((json_int_t)r->failures));
	json_object_set_new(json, "useful_share", json_real(s->useful_share));
	json_object_set_new(json, "reservations_moved", moved_json(r));
	json_object_set_new(json, "demand_over_supply", centres_json(r, to_s(r->last_us - r->first_us)));
	json_object_set_new(json, "worst_demand_over_supply",
	                    s->worst_centre == CENTRE_ANY ? json_null() : json_real(s->worst_demand));
	json_object_set_new(json, "intervals", json_integer((json_int_t)r->intervals));
	json_object_set_new(json, "interval_coverage",
	                    r->intervals ? json_real((double)r->held / (double)r->intervals) : json_null());
}

int report_json(const struct trace *trace, const struct sim_result *r, double wall_s, FILE *out, struct err *err)
{
	struct summary s = report_summary(trace, r);
	char digest[HASH_HEX_SIZE];
	json_t *json = json_pack(
		"{s:I,s:I,s:I,s:I,s:I,s:I,s:o,s:o,s:o,s:f,s:f,s:f,s:f,s:f,s:I,s:I,s:I,s:f,s:s}", "jobs", (json_int_t)r->n_jobs, "started",
		(json_int_t)r->started, "completed", (json_int_t)r->completed, "failed", (json_int_t)r->failed, "never_fit",
		(json_int_t)r->never_fit, "pending", (json_int_t)r->pending, "makespan_s",
		s.has_makespan ? json_real(s.makespan_s) : json_null(), "wait_s", spread_json(&s.wait), "jct_s", spread_json(&s.jct),
		"cards", s.cards, "card_seconds", r->card_seconds, "utilisation", s.utilisation, "allocated_share_peak", s.peak_share,
		"allocated_share_end", s.end_share, "preemptions", (json_int_t)r->preemptions, "restarts", (json_int_t)r->restarts,
		"events", (json_int_t)r->events, "wall_s", wall_s, "digest", hash_hex(&r->digest, digest, sizeof digest));

	if (!json)
		return err_set(err, ERR_NOMEM, "report", "out of memory");
	add_more(json, r, &s);
	json_dumpf(json, out, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(15));
	json_decref(json);
	fputc('\n', out);
	return written(out, "report", err);
}

/* ---- Text ---- */

static const char *duration(double seconds, char buf[32])
{
	if (seconds < 1)
		snprintf(buf, 32, "%.3fs", seconds);
	else
		us_format_duration((us_t)(seconds + 0.5) * US_SECOND, buf, 32);
	return buf;
}

static void print_spread(const char *name, const struct spread *s, FILE *out)
{
	char text[4][32];

	if (s->n)
		fprintf(out, "%-13s mean %s, half under %s, 90%% under %s, longest %s\n", name, duration(s->mean, text[0]),
		        duration(s->p50, text[1]), duration(s->p90, text[2]), duration(s->max, text[3]));
}

/* Lines that only some runs have anything to say in. */
static void print_more(const struct sim_result *r, const struct summary *s, FILE *out)
{
	const char *comma = "";

	if (r->preemptions || r->restarts)
		fprintf(out, "restarts      %" PRIu64 ", %" PRIu64 " preemptions, %" PRIu64 " moves\n", r->restarts, r->preemptions,
		        r->moves);
	if (r->failures || s->useful_share < 1)
		fprintf(out, "useful        %.2f%% of the card time in use, %" PRIu64 " failures of nodes\n", 100 * s->useful_share,
		        r->failures);
	for (int cause = 0; cause < CAUSE_COUNT; cause++) {
		if (!r->moved[cause])
			continue;
		fprintf(out, "%s%" PRIu64 " (%s)", *comma ? comma : "promises      moved to a later start: ", r->moved[cause],
		        cause_word((enum cause)cause));
		comma = ", ";
	}
	if (*comma)
		fputc('\n', out);
	if (r->n_centres > 1 && s->worst_centre != CENTRE_ANY)
		fprintf(out, "demand        at most %.2f%% of a centre's supply, at %s\n", 100 * s->worst_demand,
		        r->centre_names[s->worst_centre]);
	if (r->intervals)
		fprintf(out, "predictions   %.2f%% of %" PRIu64 " jobs that waited started when it was said\n",
		        100 * (double)r->held / (double)r->intervals, r->intervals);
}

int report_text(const struct trace *trace, const struct sim_result *r, double wall_s, FILE *out, struct err *err)
{
	struct summary s = report_summary(trace, r);
	char digest[HASH_HEX_SIZE], span[32];

	fprintf(out,
	        "jobs          %" PRIu32 ": %" PRIu32 " completed, %" PRIu32 " failed, %" PRIu32 " running, %" PRIu32
	        " waiting, %" PRIu32 " that the pool could never hold\n",
	        r->n_jobs, r->completed, r->failed, r->running, r->pending, r->never_fit);
	if (s.has_makespan)
		fprintf(out, "makespan      %s\n", duration(s.makespan_s, span));
	print_spread("wait", &s.wait, out);
	print_spread("completion", &s.jct, out);
	fprintf(out, "cards         %.15g, %.2f%% used, at most %.2f%% at once, %.2f%% after the last arrival\n", s.cards,
	        100 * s.utilisation, 100 * s.peak_share, 100 * s.end_share);
	print_more(r, &s, out);
	fprintf(out, "events        %" PRIu64 " in %.2f s, %" PRIu64 " plans checked\n", r->events, wall_s, r->plans_checked);
	fprintf(out, "digest        %s\n", hash_hex(&r->digest, digest, sizeof digest));
	return written(out, "report", err);
}

/* ---- CSV ---- */

/* A name as a cell; spec_name_ok leaves it no quote and no line end, but a comma. */
static void put_cell(FILE *out, const char *text)
{
	fprintf(out, strchr(text, ',') ? "\"%s\"" : "%s", text);
}

static void put_instant(FILE *out, us_t us)
{
	if (us != US_NEVER)
		fprintf(out, "%" PRId64 ".%06" PRId64, us / US_SECOND, us % US_SECOND);
	fputc(',', out);
}

int report_jobs(const struct trace *trace, const struct sim_result *r, FILE *out, struct err *err)
{
	static const char *const outcomes[] = {
		[SIM_PENDING] = "pending", [SIM_RUNNING] = "running",   [SIM_COMPLETED] = "completed",
		[SIM_FAILED] = "failed",   [SIM_CANCELED] = "canceled", [SIM_NEVER_FIT] = "never_fit",
	};

	fputs("id,submit_s,start_s,end_s,centre,kinds,outcome,restarts\n", out);
	for (uint32_t i = 0; i < r->n_jobs; i++) {
		const struct sim_job *job = &r->jobs[i];

		put_cell(out, trace_job_id(trace, &trace->jobs[i]));
		fputc(',', out);
		put_instant(out, trace->jobs[i].submit_us);
		put_instant(out, job->start_us);
		put_instant(out, job->end_us);
		put_cell(out, job->centre < r->n_centres ? r->centre_names[job->centre] : "");
		fputc(',', out);
		put_cell(out, job->kind < r->n_kinds ? r->kinds[job->kind] : "");
		fprintf(out, ",%s,%" PRIu32 "\n", outcomes[job->outcome], job->restarts);
	}
	return written(out, "jobs", err);
}

/* ---- The page ---- */

enum { BINS = 480, CHART_WIDTH = 960, CHART_HEIGHT = 240 };

static void put_escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '<')
			fputs("&lt;", out);
		else if (*text == '&')
			fputs("&amp;", out);
		else if (*text == '>')
			fputs("&gt;", out);
		else
			fputc(*text, out);
	}
}

/* Mean cards in use in each of BINS equal parts of the run. A job's whole parts are added as a difference, so that the
 * cost doesn't grow with its length. */
static void fill_bins(const struct trace *trace, const struct sim_result *r, double bins[BINS])
{
	double diff[BINS + 1] = {0}, span = to_s(r->last_us - r->first_us), level = 0;

	for (uint32_t i = 0; i < r->n_jobs && span > 0; i++) {
		const struct sim_job *job = &r->jobs[i];
		us_t end_us = job->end_us < r->last_us ? job->end_us : r->last_us;
		double cards = (double)trace->jobs[i].nodes * trace->jobs[i].cards_milli / CARD_MILLI, from, to;
		int first, last;

		if (job->start_us == US_NEVER || end_us <= job->start_us)
			continue;
		from = to_s(job->start_us - r->first_us) / span * BINS;
		to = to_s(end_us - r->first_us) / span * BINS;
		first = from < BINS ? (int)from : BINS - 1;
		last = to < BINS ? (int)to : BINS - 1;
		diff[first] += cards;
		diff[last] -= cards;
		bins[first] -= cards * (from - first);
		bins[last] += cards * (to - last);
	}
	for (int i = 0; i < BINS; i++) {
		level += diff[i];
		bins[i] += level;
	}
}

static void put_chart(const struct trace *trace, const struct sim_result *r, FILE *out)
{
	double bins[BINS] = {0}, cards = (double)r->total_milli / CARD_MILLI;
	char span[32];

	fill_bins(trace, r, bins);
	fprintf(out, "<svg viewBox=\"-44 -10 %d %d\" role=\"img\" aria-label=\"cards in use over time\">\n", CHART_WIDTH + 54,
	        CHART_HEIGHT + 36);
	for (int percent = 0; percent <= 100; percent += 25)
		fprintf(out, "<path class=\"grid\" d=\"M0 %dH%d\"/><text x=\"-6\" y=\"%d\" text-anchor=\"end\">%d%%</text>\n",
		        CHART_HEIGHT - CHART_HEIGHT * percent / 100, CHART_WIDTH, CHART_HEIGHT - CHART_HEIGHT * percent / 100 + 4,
		        percent);
	fprintf(out, "<path class=\"used\" d=\"M0 %d", CHART_HEIGHT);
	for (int i = 0; i < BINS; i++) {
		double share = cards > 0 ? bins[i] / cards : 0;

		fprintf(out, "V%.2fH%d", CHART_HEIGHT * (1 - share), (i + 1) * CHART_WIDTH / BINS);
	}
	fprintf(out, "V%dZ\"/>\n<text x=\"0\" y=\"%d\">0</text><text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n</svg>\n",
	        CHART_HEIGHT, CHART_HEIGHT + 20, CHART_WIDTH, CHART_HEIGHT + 20, duration(to_s(r->last_us - r->first_us), span));
}

static const struct {
	const char *name;
	uint64_t least_milli, most_milli;
} sizes[] = {
	{"no card", 0, 0},
	{"a share of a card", 1, 999},
	{"1", 1000, 1000},
	{"over 1, to 8", 1001, 8000},
	{"9 to 64", 8001, 64000},
	{"65 to 512", 64001, 512000},
	{"over 512", 512001, UINT64_MAX},
	{"all", 0, UINT64_MAX},
};

static void put_waits(const struct trace *trace, const struct sim_result *r, FILE *out)
{
	char text[5][32];

	fputs("<table><tr><th>cards of the job<th>started<th>mean wait<th>half under<th>90% under<th>99% under<th>longest</tr>\n",
	      out);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct spread s = waits(trace, r, sizes[i].least_milli, sizes[i].most_milli);

		if (s.n)
			fprintf(out, "<tr><td>%s<td>%" PRIu32 "<td>%s<td>%s<td>%s<td>%s<td>%s</tr>\n", sizes[i].name, s.n,
			        duration(s.mean, text[0]), duration(s.p50, text[1]), duration(s.p90, text[2]), duration(s.p99, text[3]),
			        duration(s.max, text[4]));
	}
	fputs("</table>\n", out);
}

static const char page_head[] = "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\n"
								"<meta name=\"viewport\" content=\"width=device-width\">\n<style>\n"
								":root{color-scheme:light dark}\n"
								"body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}\n"
								"svg{width:100%;height:auto}svg text{font-size:11px;fill:currentColor}\n"
								".grid{stroke:currentColor;opacity:.15}.used{fill:#2a78b8;opacity:.85}\n"
								"table{border-collapse:collapse;font-variant-numeric:tabular-nums}\n"
								"th,td{padding:.3rem .9rem .3rem 0;text-align:right;border-bottom:1px solid #8884}\n"
								"th:first-child,td:first-child{text-align:left}pre{overflow-x:auto}\n</style>\n";

int report_html(const struct trace *trace, const struct sim_result *r, double wall_s, const char *title, FILE *out,
                struct err *err)
{
	fputs(page_head, out);
	fputs("<title>", out);
	put_escaped(out, title);
	fputs("</title>\n<h1>", out);
	put_escaped(out, title);
	fputs("</h1>\n<p>Simulated: nothing ran.</p>\n<h2>Cards in use</h2>\n", out);
	put_chart(trace, r, out);
	fputs("<h2>How long jobs waited</h2>\n", out);
	put_waits(trace, r, out);
	fputs("<h2>In figures</h2>\n<pre>\n", out);
	if (report_text(trace, r, wall_s, out, err) < 0)
		return err ? err->code : ERR_IO;
	fputs("</pre>\n</html>\n", out);
	return written(out, "report", err);
}
