/* SPDX-License-Identifier: Apache-2.0
 * operators.c: the routes for those who run the pool: nodes taken out of service and put back, and nodes booked over a window
 * of time, for a project or as a drain.
 *
 * What is written wrongly is refused here; what names something that isn't there is refused by the core, which alone decides. */
#include "format/operator_request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/inside.h"
#include "core/state.h"

/* A whole decimal number of the path. Returns false where it isn't one, or over most. */
static bool read_part(const char *text, uint32_t most, uint32_t *ret)
{
	unsigned long long value;

	errno = 0;
	value = strtoull(text, NULL, 10);
	if (!*text || text[strspn(text, "0123456789")] || errno || value > most)
		return false;
	*ret = (uint32_t)value;
	return true;
}

/* The body; "" where there is none. */
static const char *body_of(const struct exchange *ex)
{
	return ex->body.len ? (const char *)ex->body.data : "";
}

/* ---- Nodes ---- */

static int read_node(struct exchange *ex, enum node_state state, struct service_node *ret, struct err *err)
{
	struct node_request request;
	uint32_t number;

	if (!read_part(ex->id, POOL_NODES_MAX - 1, &number))
		return err_set(err, ERR_INVALID, "number", "\"%.40s\": expected a node's number in its centre", ex->id);
	if (node_request_parse(body_of(ex), ex->body.len, &ex->arena, &request, err) < 0)
		return err->code;
	if (request.last == UINT32_MAX)
		request.last = number;
	if (request.last < number)
		return err_set(err, ERR_INVALID, "last", "%u: expected %u or more, the last node of a range that begins with %u",
		               request.last, number, number);
	*ret = (struct service_node){.centre = ex->centre, .range = {number, request.last}, .state = state, .note = request.note};
	return 0;
}

/* Whether a node of the range failed: what was only cordoned is one thing, what is broken another. */
static int check_none_down(struct exchange *ex, const struct service_node *node, struct err *err)
{
	struct service *service = ex->api->service;
	const struct core *core = service->ops->read_begin(service, false);
	uint32_t centre = pool_find_centre(core_pool(core), node->centre);
	int code = 0;

	for (uint32_t i = 0; !code && i < core->n_marks; i++) {
		const struct node_mark *mark = &core->marks[i];

		if (mark->centre == centre && mark->number >= node->range.first && mark->number <= node->range.last &&
		    mark->state == NODE_DOWN)
			code = err_set(err, ERR_CONFLICT, "number", "node %u is down, not cordoned: `up` puts it back into service",
			               mark->number);
	}
	service->ops->read_end(service);
	return code;
}

static enum MHD_Result node_set(struct exchange *ex)
{
	const struct service_node *node = &ex->call.node;

	if (ex->call.code < 0)
		return reply_problem(ex, 0, &ex->call.err);
	return reply_json(ex, MHD_HTTP_OK,
	                  json_pack("{s:s, s:o, s:s, s:o}", "centre", node->centre, "nodes", json_node_ranges(&node->range, 1),
	                            "state", node_state_word(node->state), "note", json_text(node->note)));
}

static enum MHD_Result set_node(struct exchange *ex, enum node_state state, bool only_cordoned)
{
	struct err err = {0};

	if (read_node(ex, state, &ex->call.node, &err) < 0 || (only_cordoned && check_none_down(ex, &ex->call.node, &err) < 0))
		return reply_problem(ex, 0, &err);
	ex->call.type = SERVICE_NODE;
	return call_service(ex, node_set);
}

enum MHD_Result post_cordon(struct exchange *ex)
{
	return set_node(ex, NODE_CORDONED, false);
}

enum MHD_Result post_uncordon(struct exchange *ex)
{
	return set_node(ex, NODE_UP, true);
}

enum MHD_Result post_down(struct exchange *ex)
{
	return set_node(ex, NODE_DOWN, false);
}

enum MHD_Result post_up(struct exchange *ex)
{
	return set_node(ex, NODE_UP, false);
}

/* ---- Bookings ---- */

json_t *json_booking(const struct core *core, const struct booking *booking)
{
	bool is_drain = booking->project == PROJECT_NONE;

	return json_pack("{s:I, s:s, s:o, s:s, s:o, s:o, s:o}", "id", (json_int_t)booking->id, "name", booking->name, "project",
	                 is_drain ? json_null() : json_text(core_project_name(core, booking->project)), "centre",
	                 pool_centre_name(core_pool(core), booking->centre), "nodes",
	                 json_node_ranges(booking->ranges, booking->n_ranges), "from", json_instant(booking->from_us), "until",
	                 json_instant(booking->until_us));
}

enum MHD_Result get_bookings(struct exchange *ex)
{
	struct service *service = ex->api->service;
	const struct core *core = service->ops->read_begin(service, false);
	json_t *list = json_array();

	for (const struct booking *b = core_booking_after(core, 0); b; b = core_booking_after(core, b->id))
		json_array_append_new(list, json_booking(core, b));
	service->ops->read_end(service);
	return reply_json(ex, MHD_HTTP_OK, json_pack("{s:o}", "bookings", list));
}

/* Its number alone, where its window is over by now. */
static json_t *booking_seen(struct exchange *ex, uint32_t id)
{
	struct service *service = ex->api->service;
	const struct core *core = service->ops->read_begin(service, false);
	const struct booking *booking = core_booking_after(core, id - 1);
	json_t *json = booking && booking->id == id ? json_booking(core, booking) : json_pack("{s:I}", "id", (json_int_t)id);

	service->ops->read_end(service);
	return json;
}

static enum MHD_Result booked(struct exchange *ex)
{
	if (ex->call.code < 0)
		return reply_problem(ex, 0, &ex->call.err);
	return reply_json(ex, MHD_HTTP_CREATED, booking_seen(ex, ex->call.booking));
}

enum MHD_Result post_bookings(struct exchange *ex)
{
	struct service *service = ex->api->service;
	struct booking_spec *spec = arena_new(&ex->arena, 1, sizeof *spec);
	struct err err = {0};

	if (booking_request_parse(body_of(ex), ex->body.len, service->ops->now(service), &ex->arena, spec, &err) < 0)
		return reply_problem(ex, ex->body.len ? 0 : MHD_HTTP_BAD_REQUEST, &err);
	ex->call.type = SERVICE_BOOK;
	ex->call.book = spec;
	return call_service(ex, booked);
}

static enum MHD_Result unbooked(struct exchange *ex)
{
	if (ex->call.code < 0)
		return reply_problem(ex, 0, &ex->call.err);
	return reply_json(ex, MHD_HTTP_OK, json_pack("{s:I}", "id", (json_int_t)ex->call.booking));
}

enum MHD_Result delete_booking(struct exchange *ex)
{
	struct err err;

	if (!read_part(ex->id, UINT32_MAX - 1, &ex->call.booking) || !ex->call.booking) {
		err_set(&err, ERR_INVALID, "id", "\"%.40s\": expected a booking's number", ex->id);
		return reply_problem(ex, 0, &err);
	}
	ex->call.type = SERVICE_UNBOOK;
	return call_service(ex, unbooked);
}
