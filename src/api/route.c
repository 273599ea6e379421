/* SPDX-License-Identifier: Apache-2.0
 * route.c: the table of routes. /openapi.json is made from it, so it can't say anything else. */
#include <string.h>

#include "api/inside.h"

#define QUERY(name, type, text) \
	{ \
		name, "query", type, text \
	}
#define HEADER(name, text) \
	{ \
		name, "header", "string", text \
	}

static const struct parameter submit_parameters[] = {
	QUERY("dry_run", "boolean", "Say where and when it would run, and change nothing."),
	HEADER("Idempotency-Key", "Sending the same request again with the same key makes no second job."),
	HEADER("Suan-User", "Whose job it is; by default, of whoever started the daemon."),
	{0}};
static const struct parameter list_parameters[] = {QUERY("state", "string", "Only jobs in this state."),
                                                   QUERY("project", "string", "Only jobs of this project."),
                                                   QUERY("limit", "integer", "At most so many jobs: 1 to 1000, by default 100."),
                                                   QUERY("cursor", "string", "`next` of the page before."),
                                                   {0}};
static const struct parameter wait_parameters[] = {
	QUERY("timeout_s", "integer", "How long to wait: 0 to 300 seconds, by default 60."), {0}};
static const struct parameter log_parameters[] = {QUERY("node", "integer", "The task's rank in its gang, by default 0."),
                                                  QUERY("attempt", "integer", "Which attempt, by default the latest."),
                                                  QUERY("offset", "integer", "From which byte on."),
                                                  QUERY("follow", "boolean", "Go on until the job is over."),
                                                  {0}};
static const struct parameter node_parameters[] = {QUERY("centre", "string", "Only nodes of this centre."),
                                                   QUERY("node", "integer", "Only nodes of this number in their centre."),
                                                   QUERY("limit", "integer", "At most so many: 1 to 1000, by default 100."),
                                                   QUERY("cursor", "string", "`next` of the page before."),
                                                   {0}};
static const struct parameter event_parameters[] = {
	QUERY("since", "integer", "Begin after this sequence number; by default, with what comes from now on."),
	HEADER("Last-Event-ID", "Begin after this event; goes before `since`."),
	{0}};
static const struct parameter cancel_parameters[] = {HEADER("Suan-User", "Who cancels it."), {0}};
static const struct parameter operator_parameters[] = {HEADER("Suan-User", "Who asks for it."), {0}};

const struct route routes[] = {
	{"POST", "/v1/jobs", post_jobs, NEEDS_TOKEN | TAKES_BODY | MAKES,
     "Submit a job file as JSON or YAML, or {\"jobs\": [...]} with at most 1000 of them in one commit.", "job",
     submit_parameters},
	{"GET", "/v1/jobs", get_jobs, 0, "The jobs, the newest first.", "jobs", list_parameters},
	{"GET", "/v1/jobs/{id}", get_job, 0, "One job, or one element of an array as ARRAY_INDEX.", "job", NULL},
	{"POST", "/v1/jobs/{id}/cancel", post_cancel, NEEDS_TOKEN, "Cancel a job, or a whole array.", "job", cancel_parameters},
	{"GET", "/v1/jobs/{id}/logs", get_logs, 0, "A task's output.", "text/plain", log_parameters},
	{"GET", "/v1/jobs/{id}/explain", get_explain, 0, "Why a job waits.", "explanation", NULL},
	{"GET", "/v1/jobs/{id}/wait", get_wait, 0, "The job once it is over, with 200; or with 202 when the time is up.", "job",
     wait_parameters},
	{"GET", "/v1/pool", get_pool, 0, "What there is, what is free, and the digest of the state.", "pool", NULL},
	{"GET", "/v1/centres", get_centres, 0, "The centres.", "centres", NULL},
	{"GET", "/v1/nodes", get_nodes, 0, "The nodes.", "nodes", node_parameters},
	{"POST", "/v1/nodes/{centre}/{number}/cordon", post_cordon, NEEDS_TOKEN | MAY_HAVE_BODY,
     "Start nothing more on a node, or on a range of nodes ({\"last\": N, \"note\": \"why\"}); what runs there goes on.",
     "node_state", operator_parameters},
	{"POST", "/v1/nodes/{centre}/{number}/uncordon", post_uncordon, NEEDS_TOKEN | MAY_HAVE_BODY,
     "Put nodes that were cordoned back into service.", "node_state", operator_parameters},
	{"POST", "/v1/nodes/{centre}/{number}/down", post_down, NEEDS_TOKEN | MAY_HAVE_BODY,
     "Say that nodes failed: what runs there is lost.", "node_state", operator_parameters},
	{"POST", "/v1/nodes/{centre}/{number}/up", post_up, NEEDS_TOKEN | MAY_HAVE_BODY,
     "Put nodes back into service, whatever they were.", "node_state", operator_parameters},
	{"GET", "/v1/bookings", get_bookings, 0, "The bookings and drains whose window isn't over.", "bookings", NULL},
	{"POST", "/v1/bookings", post_bookings, NEEDS_TOKEN | TAKES_BODY | MAKES,
     "Keep whole nodes over a window: {\"centre\": ..., \"nodes\": \"0-3,8\", \"from\": ..., \"until\": ..., \"project\": ..., "
     "\"name\": ...}. Without a project it is a drain.",
     "booking", operator_parameters},
	{"DELETE", "/v1/bookings/{id}", delete_booking, NEEDS_TOKEN, "Take a booking back.", "unbooked", operator_parameters},
	{"GET", "/v1/cards", get_cards, 0, "The cards, and the jobs on them.", "cards", node_parameters},
	{"GET", "/v1/links", get_links, 0, "The links between centres.", "links", NULL},
	{"GET", "/v1/projects", get_projects, 0, "The projects: their tree, shares, quotas, and what they hold.", "projects", NULL},
	{"GET", "/v1/events", get_events, 0, "The events of the journal as they are committed.", "text/event-stream",
     event_parameters},
	{"GET", "/livez", get_livez, OPEN, "200 while the daemon answers.", "text/plain", NULL},
	{"GET", "/readyz", get_readyz, OPEN, "200 while the daemon takes requests; 503 while its store doesn't.", "text/plain", NULL},
	{"GET", "/metrics", get_metrics, 0, "Metrics in OpenMetrics text.", "application/openmetrics-text", NULL},
	{"GET", "/openapi.json", get_openapi, 0, "This document.", "openapi", NULL},
	{"GET", "/", get_page, 0, "A page for people.", "text/html", NULL},
};

const unsigned n_routes = sizeof routes / sizeof *routes;
_Static_assert(sizeof routes / sizeof *routes <= ROUTES_MAX, "api.counts has a row for each route");

/* Copies what a hole stands for, where it can be that. */
static bool fill(const char *text, size_t len, size_t size, char *ret)
{
	if (!len || len >= size)
		return false;
	memcpy(ret, text, len);
	ret[len] = 0;
	return true;
}

bool route_matches(const char *pattern, const char *path, char *id, char *centre)
{
	while (*pattern) {
		bool is_centre = !strncmp(pattern, "{centre}", 8);
		size_t len = strcspn(path, "/");

		if (*pattern != '{') {
			if (*pattern++ != *path++)
				return false;
			continue;
		}
		if (!fill(path, len, is_centre ? CENTRE_MAX : ID_MAX, is_centre ? centre : id))
			return false;
		path += len;
		pattern = strchr(pattern, '}') + 1;
	}
	return !*path;
}

const struct route *route_find(const char *method, const char *path, char *id, char *centre, char *allow)
{
	allow[0] = 0;
	/* What answers GET answers HEAD, without the body. */
	if (!strcmp(method, "HEAD"))
		method = "GET";
	for (unsigned i = 0; i < n_routes; i++) {
		if (!route_matches(routes[i].path, path, id, centre))
			continue;
		if (!strcmp(routes[i].method, method))
			return &routes[i];
		if (allow[0])
			strcat(allow, ", ");
		strcat(allow, routes[i].method);
	}
	return NULL;
}
