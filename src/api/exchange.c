/* SPDX-License-Identifier: Apache-2.0
 * exchange.c: the life of a request: its head is checked before anything is read, its body is bounded, its route's
 * handler answers it, or lets it wait and answers when it comes back. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/inside.h"

const char *exchange_query(const struct exchange *ex, const char *name)
{
	return MHD_lookup_connection_value(ex->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *exchange_header(const struct exchange *ex, const char *name)
{
	return MHD_lookup_connection_value(ex->connection, MHD_HEADER_KIND, name);
}

int exchange_number(const struct exchange *ex, const char *name, uint64_t least, uint64_t most, uint64_t otherwise, uint64_t *ret,
                    struct err *err)
{
	const char *text = exchange_query(ex, name);
	unsigned long long value;
	char *end;

	if (!text) {
		*ret = otherwise;
		return 0;
	}
	errno = 0;
	value = isdigit((unsigned char)*text) ? strtoull(text, &end, 10) : 0;
	if (!isdigit((unsigned char)*text) || *end || errno || value < least || value > most)
		return err_set(err, ERR_INVALID, name, "\"%.60s\": expected a whole number from %llu to %llu", text,
		               (unsigned long long)least, (unsigned long long)most);
	*ret = value;
	return 0;
}

int exchange_flag(const struct exchange *ex, const char *name, bool *ret, struct err *err)
{
	const char *text = exchange_query(ex, name);

	if (text && strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
		return err_set(err, ERR_INVALID, name, "\"%.60s\": expected true or false", text);
	*ret = text && !strcmp(text, "true");
	return 0;
}

bool exchange_streams(struct exchange *ex)
{
	if (ex->counted_stream)
		return true;
	if (atomic_fetch_add(&ex->api->streams, 1) >= STREAMS_MAX) {
		atomic_fetch_sub(&ex->api->streams, 1);
		return false;
	}
	ex->counted_stream = true;
	return true;
}

static uint64_t declared_length(const struct exchange *ex)
{
	const char *text = exchange_header(ex, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return text ? strtoull(text, NULL, 10) : 0;
}

/* A query that the route doesn't know is an error: a misspelt filter must not show everything. */
struct unknown_query {
	const struct route *route;
	struct err *err;
	int code;
};

static enum MHD_Result check_query(void *ctx, enum MHD_ValueKind kind, const char *key, const char *value)
{
	struct unknown_query *u = ctx;

	(void)kind;
	(void)value;
	for (const struct parameter *p = u->route->parameters; p && p->name; p++)
		if (!strcmp(p->in, "query") && !strcmp(p->name, key))
			return MHD_YES;
	u->code = err_set(u->err, ERR_INVALID, key, "%s doesn't take this parameter", u->route->path);
	return MHD_NO;
}

static int check_head(struct exchange *ex, struct err *err, unsigned *ret_status)
{
	struct unknown_query unknown = {.route = ex->route, .err = err};
	int code = auth_check_caller(ex, err, ret_status);

	if (code < 0)
		return code;
	*ret_status = MHD_HTTP_BAD_REQUEST;
	MHD_get_connection_values(ex->connection, MHD_GET_ARGUMENT_KIND, check_query, &unknown);
	if (unknown.code < 0)
		return unknown.code;
	*ret_status = MHD_HTTP_CONTENT_TOO_LARGE;
	/* Who asks first, or sends more than anybody would read, is told at once. */
	if (declared_length(ex) > DISCARD_MAX || (declared_length(ex) > BODY_MAX && exchange_header(ex, MHD_HTTP_HEADER_EXPECT)))
		return err_set(err, ERR_TOO_LARGE, "body", "at most %d MiB", BODY_MAX >> 20);
	return 0;
}

/* The head is here, and nothing of the body. */
static enum MHD_Result begin(struct exchange *ex, const char *url, const char *method)
{
	unsigned status = 0;
	struct err err = {0};
	int code = auth_check_site(ex, &err, &status);

	if (code < 0)
		return reply_problem(ex, status, &err);
	ex->route = route_find(method, url, ex->id, ex->allow);
	if (!ex->route) {
		err_set(&err, ERR_NOT_FOUND, "path", "%.100s: %s", url,
		        ex->allow[0] ? "not with this method" : "there is no such resource");
		return reply_problem(ex, ex->allow[0] ? MHD_HTTP_METHOD_NOT_ALLOWED : 0, &err);
	}
	code = check_head(ex, &err, &status);
	return code < 0 ? reply_problem(ex, status, &err) : MHD_YES;
}

/* More than a body may be is read and dropped: who sends it learns why only once it has been read. */
static enum MHD_Result take_body(struct exchange *ex, const char *data, size_t *size)
{
	size_t len = *size;

	*size = 0;
	ex->body_read += len;
	if (ex->body_read > DISCARD_MAX)
		return MHD_NO;
	if (!(ex->route->flags & TAKES_BODY) || ex->refused)
		return MHD_YES;
	if (ex->body_read > BODY_MAX) {
		ex->refused = ERR_TOO_LARGE;
		return MHD_YES;
	}
	ex->body_counted += len;
	if (atomic_fetch_add(&ex->api->bodies, len) + len > BODIES_MAX)
		ex->refused = ERR_BUSY;
	else
		buf_put(&ex->body, data, len);
	return MHD_YES;
}

static enum MHD_Result refuse_body(struct exchange *ex)
{
	struct err err;

	if (ex->refused == ERR_TOO_LARGE)
		err_set(&err, ERR_TOO_LARGE, "body", "at most %d MiB", BODY_MAX >> 20);
	else
		err_set(&err, ERR_BUSY, "body", "too many large requests at once");
	return reply_problem(ex, 0, &err);
}

static enum MHD_Result handle(struct exchange *ex)
{
	if (ex->again)
		return ex->again(ex);
	return ex->refused ? refuse_body(ex) : ex->route->handle(ex);
}

static struct exchange *exchange_new(struct api *api, struct MHD_Connection *connection)
{
	struct exchange *ex = calloc(1, sizeof *ex);

	if (!ex)
		return NULL;
	ex->api = api;
	ex->connection = connection;
	ex->waiter.connection = connection;
	atomic_fetch_add(&api->exchanges, 1);
	return ex;
}

enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                           const char *data, size_t *size, void **state)
{
	struct exchange *ex = *state;

	(void)version;
	if (!ex) {
		*state = ex = exchange_new(ctx, connection);
		return ex ? begin(ex, url, method) : MHD_NO;
	}
	return *size ? take_body(ex, data, size) : handle(ex);
}

void on_completed(void *ctx, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode why)
{
	struct exchange *ex = *state;
	struct api *api = ctx;

	(void)connection;
	(void)why;
	if (!ex)
		return;
	if (ex->counted_stream)
		atomic_fetch_sub(&api->streams, 1);
	atomic_fetch_sub(&api->bodies, ex->body_counted);
	atomic_fetch_sub(&api->exchanges, 1);
	buf_done(&ex->body);
	arena_done(&ex->arena);
	free(ex);
	*state = NULL;
}
