/* SPDX-License-Identifier: Apache-2.0
 * metrics.c: /metrics in OpenMetrics text, from the committed state and the host's counters. */
#include <inttypes.h>

#include "api/inside.h"
#include "core/state.h"

static const char media_type[] = "application/openmetrics-text; version=1.0.0; charset=utf-8";

static void family(struct buf *buf, const char *name, const char *type, const char *help)
{
	buf_printf(buf, "# TYPE suan_%s %s\n# HELP suan_%s %s\n", name, type, name, help);
}

/* A label's value: names have no quotes or control characters, but may have backslashes. */
static void label(struct buf *buf, const char *value)
{
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			buf_put_u8(buf, '\\');
		buf_put_u8(buf, (uint8_t)*value);
	}
}

static void put_jobs(struct buf *buf, const struct core *core)
{
	family(buf, "jobs", "gauge", "Jobs by state.");
	for (int state = JOB_QUEUED; state < JOB_STATE_COUNT; state++)
		buf_printf(buf, "suan_jobs{state=\"%s\"} %" PRIu32 "\n", job_state_word((enum job_state)state),
		           core_jobs_in_state(core, (enum job_state)state));
}

static void put_shelf(struct buf *buf, const struct pool *pool, const struct shelf *shelf, const char *name, uint64_t milli)
{
	char text[24];

	buf_printf(buf, "suan_%s{centre=\"", name);
	label(buf, pool_centre_name(pool, shelf->centre));
	buf_printf(buf, "\",kind=\"");
	label(buf, pool_kind_name(pool, shelf->kind));
	buf_printf(buf, "\",simulated=\"%d\"} %s\n", (pool->centres[shelf->centre].spec->capabilities & IS_SIMULATED) != 0,
	           units_format_milli(milli, text, sizeof text));
}

static void put_cards(struct buf *buf, const struct core *core)
{
	const struct pool *pool = core_pool(core);

	family(buf, "cards", "gauge", "Cards by centre and kind.");
	for (uint32_t i = 0; i < pool->n_shelves; i++)
		if (pool->shelves[i].kind != KIND_NONE)
			put_shelf(buf, pool, &pool->shelves[i], "cards", pool->shelves[i].cards * CARD_MILLI);
	family(buf, "cards_free", "gauge", "Free cards, shares included, by centre and kind.");
	for (uint32_t i = 0; i < pool->n_shelves; i++)
		if (pool->shelves[i].kind != KIND_NONE)
			put_shelf(buf, pool, &pool->shelves[i], "cards_free", core->capacity.shelf_milli[i]);
}

static void put_nodes(struct buf *buf, const struct core *core)
{
	const struct pool *pool = core_pool(core);
	uint32_t n[NODE_STATE_COUNT] = {[NODE_UP] = pool->n_nodes};

	for (uint32_t i = 0; i < core->n_marks; i++) {
		if (pool_node(pool, core->marks[i].centre, core->marks[i].number) == NODE_NONE)
			continue;
		n[NODE_UP]--;
		n[core->marks[i].state]++;
	}
	family(buf, "nodes", "gauge", "Nodes by state.");
	for (int state = 0; state < NODE_STATE_COUNT; state++)
		buf_printf(buf, "suan_nodes{state=\"%s\"} %" PRIu32 "\n", node_state_word((enum node_state)state), n[state]);
	family(buf, "bookings", "gauge", "Bookings and drains whose window isn't over.");
	buf_printf(buf, "suan_bookings %" PRIu32 "\n", core->n_bookings);
	family(buf, "reservations", "gauge", "Jobs that wait and hold a reservation.");
	buf_printf(buf, "suan_reservations %" PRIu32 "\n", core_reservations(core));
}

static void put_commits(struct buf *buf, const struct service_stats *stats)
{
	uint64_t below = 0;

	family(buf, "commit_seconds", "histogram", "Time to make a batch of events durable.");
	for (int i = 0; i < SERVICE_BUCKETS; i++) {
		below += stats->commit_le[i];
		buf_printf(buf, "suan_commit_seconds_bucket{le=\"%g\"} %" PRIu64 "\n", service_bucket_us[i] / 1e6, below);
	}
	buf_printf(buf, "suan_commit_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\n", stats->commits);
	buf_printf(buf, "suan_commit_seconds_count %" PRIu64 "\nsuan_commit_seconds_sum %.6f\n", stats->commits,
	           (double)stats->commit_us_sum / 1e6);
	family(buf, "commits_failed", "counter", "Tries to make a batch durable that the store refused.");
	buf_printf(buf, "suan_commits_failed_total %" PRIu64 "\n", stats->commits_failed);
	family(buf, "store_failing", "gauge", "1 while the store takes nothing.");
	buf_printf(buf, "suan_store_failing %d\n", stats->failing);
	family(buf, "inputs", "counter", "Requests and reports that the core has taken.");
	buf_printf(buf, "suan_inputs_total %" PRIu64 "\n", stats->inputs);
	family(buf, "inputs_refused", "counter", "Requests that were refused before the core saw them.");
	buf_printf(buf, "suan_inputs_refused_total %" PRIu64 "\n", stats->inputs_refused);
	family(buf, "inputs_queued", "gauge", "Requests and reports that wait for the core.");
	buf_printf(buf, "suan_inputs_queued %" PRIu32 "\n", stats->waiting);
}

static void put_requests(struct buf *buf, struct api *api)
{
	family(buf, "http_requests", "counter", "Requests by route and status.");
	for (unsigned row = 0; row <= ROUTES_MAX; row++)
		for (unsigned s = 0; s < STATUSES; s++) {
			uint64_t count = atomic_load(&api->counts[row][s]);

			if (count)
				buf_printf(buf, "suan_http_requests_total{method=\"%s\",route=\"%s\",status=\"%u\"} %" PRIu64 "\n",
				           row < n_routes ? routes[row].method : "", row < n_routes ? routes[row].path : "", statuses[s], count);
		}
	family(buf, "http_streams", "gauge", "Event streams, followed logs and waits that are open.");
	buf_printf(buf, "suan_http_streams %" PRIu32 "\n", atomic_load(&api->streams));
}

enum MHD_Result get_metrics(struct exchange *ex)
{
	struct service *service = ex->api->service;
	struct service_stats stats;
	const struct core *core;
	struct buf buf = {0};

	service->ops->stats(service, &stats);
	core = service->ops->read_begin(service, false);
	put_jobs(&buf, core);
	put_cards(&buf, core);
	put_nodes(&buf, core);
	family(&buf, "sequence", "gauge", "The sequence number of the last committed event.");
	buf_printf(&buf, "suan_sequence %" PRIu64 "\n", core_sequence(core));
	service->ops->read_end(service);
	family(&buf, "preempted", "counter", "Attempts that made room for others, since the daemon started.");
	buf_printf(&buf, "suan_preempted_total %" PRIu64 "\n", stats.preempted);
	put_commits(&buf, &stats);
	put_requests(&buf, ex->api);
	buf_printf(&buf, "# EOF\n");
	return reply_buf(ex, MHD_HTTP_OK, media_type, &buf);
}
