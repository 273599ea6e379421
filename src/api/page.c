/* SPDX-License-Identifier: Apache-2.0
 * page.c: the page at /, and whether the daemon is there and takes requests. */
#include "api/inside.h"

static const char page[] =
	"<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Suan</title>\n"
	"<style>body{font:16px/1.5 sans-serif;max-width:42em;margin:3em auto;padding:0 1em}</style></head>\n"
	"<body><h1>Suan</h1>\n<p>This is the daemon of a pool of computing centres. It has no dashboard yet; what it knows is here:</p>\n"
	"<ul><li><a href=\"/v1/pool\">the pool</a>, its <a href=\"/v1/centres\">centres</a>, <a href=\"/v1/nodes\">nodes</a>,\n"
	"<a href=\"/v1/cards\">cards</a>, <a href=\"/v1/links\">links</a>, <a href=\"/v1/projects\">projects</a> and\n"
	"<a href=\"/v1/bookings\">bookings</a></li>\n"
	"<li><a href=\"/v1/jobs\">the jobs</a>, and <a href=\"/v1/events?since=0\">every event</a> as a stream</li>\n"
	"<li><a href=\"/metrics\">metrics</a>, and <a href=\"/openapi.json\">how to use the API</a></li></ul>\n"
	"<p>On the command line: <code>suan pool</code>, <code>suan submit FILE</code>, <code>suan jobs</code>, <code>suan help</code>."
	"</p></body></html>\n";

enum MHD_Result get_page(struct exchange *ex)
{
	return reply_text(ex, MHD_HTTP_OK, "text/html; charset=utf-8", page);
}

enum MHD_Result get_livez(struct exchange *ex)
{
	return reply_text(ex, MHD_HTTP_OK, "text/plain; charset=utf-8", "ok\n");
}

enum MHD_Result get_readyz(struct exchange *ex)
{
	struct service_stats stats;

	ex->api->service->ops->stats(ex->api->service, &stats);
	if (stats.failing)
		return reply_text(ex, MHD_HTTP_SERVICE_UNAVAILABLE, "text/plain; charset=utf-8",
		                  "the journal can't be written for now\n");
	return reply_text(ex, MHD_HTTP_OK, "text/plain; charset=utf-8", "ok\n");
}
