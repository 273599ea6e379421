/* SPDX-License-Identifier: Apache-2.0
 * simulate.c: a trace, simulated, and told; see simulate.h. */
#include "simulate.h"

#include <inttypes.h>

#include "format/pool_file.h"
#include "sim/report.h"
#include "timeline.h"

static void tell(const struct trace *trace, const struct sim_result *r, struct buf *out)
{
	struct summary s = report_summary(trace, r);
	char digest[HASH_HEX_SIZE];

	buf_printf(out,
	           "jobs %" PRIu32 ", started %" PRIu32 ", completed %" PRIu32 ", failed %" PRIu32 ", never_fit %" PRIu32
	           ", pending %" PRIu32 ", running %" PRIu32 "\n",
	           r->n_jobs, r->started, r->completed, r->failed, r->never_fit, r->pending, r->running);
	buf_printf(out, "wait_s mean %.3f, p90 %.3f, max %.3f\n", s.wait.mean, s.wait.p90, s.wait.max);
	buf_printf(out, "jct_s mean %.3f\n", s.jct.mean);
	buf_printf(out, "utilisation %.4f, allocated_share_peak %.4f, allocated_share_end %.4f\n", s.utilisation, s.peak_share,
	           s.end_share);
	buf_printf(out, "events %" PRIu64 ", plans checked %" PRIu64 "\n", r->events, r->plans_checked);
	buf_printf(out, "digest %s\n", hash_hex(&r->digest, digest, sizeof digest));
}

int simulate_run(const char *folder, struct buf *ret, struct err *err)
{
	struct arena arena = {0};
	struct buf text = {0};
	struct trace trace = {0};
	struct sim_result result = {0};
	struct pool_spec pool;
	struct config_spec config = config_default();
	const char *const *warnings;
	uint32_t n_warnings;
	int code = timeline_read_file(arena_printf(&arena, "%s/pool.yaml", folder), &text, err);

	if (code == 0)
		code = pool_file_parse((const char *)text.data, text.len, NULL, NULL, &arena, &pool, &warnings, &n_warnings, err);
	if (code == 0)
		code = trace_read_csv(arena_printf(&arena, "%s/jobs.csv", folder), &trace, err);
	if (code == 0)
		code = sim_run(&(struct sim_config){.pool = &pool, .config = &config, .trace = &trace}, &result, err);
	if (code == 0)
		tell(&trace, &result, ret);
	sim_done(&result);
	trace_done(&trace);
	buf_done(&text);
	arena_done(&arena);
	return code;
}
