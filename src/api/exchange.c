/* SPDX-License-Identifier: Apache-2.0
 * exchange.c: the life of a request: its head is checked before anything is read, its body is bounded, its route's
 * handler answers it, or lets it wait and answers when it comes back. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/inside.h"
#include "base/mem.h"

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

/* A parameter that the route doesn't know is an error, and so is one without its "=" and one that is there twice: a misspelt
 * filter must not show everything. */
struct queries_seen {
	const struct route *route;
	uint32_t seen; /* a bit for each of the route's parameters */
	struct err *err;
	int code;
};

static enum MHD_Result check_query(void *ctx, enum MHD_ValueKind kind, const char *key, const char *value)
{
	struct queries_seen *q = ctx;
	const struct parameter *p = q->route->parameters;

	(void)kind;
	while (p && p->name && (strcmp(p->in, "query") != 0 || strcmp(p->name, key) != 0))
		p++;
	if (!p || !p->name) {
		q->code = err_set(q->err, ERR_INVALID, *key ? key : "query", "%s doesn't take this parameter", q->route->path);
	} else if (!value) {
		q->code = err_set(q->err, ERR_INVALID, key, "has no value: expected %s=VALUE", key);
	} else {
		uint32_t bit = 1u << (p - q->route->parameters);

		if (q->seen & bit)
			q->code = err_set(q->err, ERR_INVALID, key, "is there twice");
		q->seen |= bit;
	}
	return q->code ? MHD_NO : MHD_YES;
}

static int check_head(struct exchange *ex, struct err *err, unsigned *ret_status)
{
	struct queries_seen queries = {.route = ex->route, .err = err};
	int code = auth_check_caller(ex, err, ret_status);

	if (code < 0)
		return code;
	*ret_status = MHD_HTTP_BAD_REQUEST;
	MHD_get_connection_values(ex->connection, MHD_GET_ARGUMENT_KIND, check_query, &queries);
	if (queries.code < 0)
		return queries.code;
	*ret_status = MHD_HTTP_CONTENT_TOO_LARGE;
	/* Who asks first, or sends more than anybody would read, is told at once. */
	if (declared_length(ex) > DISCARD_MAX || (declared_length(ex) > BODY_MAX && exchange_header(ex, MHD_HTTP_HEADER_EXPECT)))
		return err_set(err, ERR_TOO_LARGE, "body", "at most %d MiB", BODY_MAX >> 20);
	return 0;
}

/* What means one thing only may be there only once: whoever reads the first, and whoever reads the last, must read the same. */
static const char *const once_only[] = {"Host",      "Origin",          "Authorization", "Content-Type",      "Content-Length",
                                        "Suan-User", "Idempotency-Key", "Last-Event-ID", "Transfer-Encoding", "Expect"};

struct headers_seen {
	bool seen[sizeof once_only / sizeof *once_only];
	struct err *err;
	int code;
};

static enum MHD_Result see_header(void *ctx, enum MHD_ValueKind kind, const char *key, size_t key_len, const char *value,
                                  size_t value_len)
{
	struct headers_seen *s = ctx;

	(void)kind;
	if (memchr(key, 0, key_len) || (value && memchr(value, 0, value_len)))
		s->code = err_set(s->err, ERR_INVALID, "headers", "a header has a zero byte");
	for (size_t i = 0; !s->code && i < sizeof once_only / sizeof *once_only; i++) {
		if (strcasecmp(key, once_only[i]) != 0)
			continue;
		if (s->seen[i])
			s->code = err_set(s->err, ERR_INVALID, once_only[i], "there twice: expected once");
		s->seen[i] = true;
	}
	return s->code ? MHD_NO : MHD_YES;
}

/* Before any header is believed. */
static int check_form(struct exchange *ex, const char *version, struct err *err)
{
	const char *coding = exchange_header(ex, MHD_HTTP_HEADER_TRANSFER_ENCODING);
	struct headers_seen seen = {.err = err};

	if (ex->amiss)
		return err_set(err, ERR_INVALID, "path", "%s", ex->amiss);
	if (strcmp(version, MHD_HTTP_VERSION_1_1) != 0 && strcmp(version, MHD_HTTP_VERSION_1_0) != 0)
		return err_set(err, ERR_INVALID, "version", "\"%.20s\": expected HTTP/1.1 or HTTP/1.0", version);
	MHD_get_connection_values_n(ex->connection, MHD_HEADER_KIND, see_header, &seen);
	if (seen.code || !coding)
		return seen.code;
	if (exchange_header(ex, MHD_HTTP_HEADER_CONTENT_LENGTH))
		return err_set(err, ERR_INVALID, "Content-Length", "there beside Transfer-Encoding: expected one of them");
	if (strcasecmp(coding, "chunked") != 0)
		return err_set(err, ERR_INVALID, "Transfer-Encoding", "\"%.40s\": expected chunked, or a Content-Length instead", coding);
	return 0;
}

/* The path of "http://HOST/path", which a client sends to a proxy and a server must take too. */
static int take_authority(const struct exchange *ex, const char **url, struct err *err)
{
	const char *scheme = ex->api->tls ? "https://" : "http://", *host;
	size_t len = strlen(scheme);

	if (**url == '/')
		return 0;
	host = *url + len;
	if (strncasecmp(*url, scheme, len) != 0 || !auth_is_our_host(ex->api, host, strcspn(host, "/")))
		return err_set(err, ERR_DENIED, "path", "\"%.100s\": expected a path, such as /v1/jobs", *url);
	*url = host + strcspn(host, "/");
	if (!**url)
		*url = "/";
	return 0;
}

/* The head is here, and nothing of the body. */
static enum MHD_Result begin(struct exchange *ex, const char *url, const char *method, const char *version)
{
	unsigned status = MHD_HTTP_BAD_REQUEST;
	struct err err = {0};
	int code = check_form(ex, version, &err);

	ex->begun = true;
	ex->began_us = wait_clock();
	peer_sends(ex);
	if (!code)
		code = auth_check_site(ex, &err, &status);
	if (!code)
		code = take_authority(ex, &url, &err);
	if (code < 0)
		return reply_problem(ex, status, &err);
	ex->route = route_find(method, url, ex->id, ex->centre, ex->allow);
	if (!ex->route) {
		err_set(&err, ex->allow[0] ? ERR_UNSUPPORTED : ERR_NOT_FOUND, "path", "%.100s: %s", url,
		        ex->allow[0] ? "not with this method" : "there is no such resource");
		return reply_problem(ex, ex->allow[0] ? MHD_HTTP_METHOD_NOT_ALLOWED : 0, &err);
	}
	code = check_head(ex, &err, &status);
	/* What can't fail draws on a reserve; until that is back, nothing more is begun but what says how the daemon fares. */
	if (code >= 0 && !strncmp(url, "/v1/", 4) && mem_is_low()) {
		status = 0;
		code = err_set(&err, ERR_NOMEM, NULL, "the daemon has no memory for more just now; jobs that run go on");
	}
	return code < 0 ? reply_problem(ex, status, &err) : MHD_YES;
}

/* More than a body may be is read and dropped: who sends it learns why only once it has been read. */
static enum MHD_Result take_body(struct exchange *ex, const char *data, size_t *size)
{
	size_t len = *size;

	*size = 0;
	ex->body_read += len;
	peer_sends(ex);
	if (ex->body_read > DISCARD_MAX)
		return MHD_NO;
	if (!(ex->route->flags & (TAKES_BODY | MAY_HAVE_BODY)) || ex->refused)
		return MHD_YES;
	if (ex->body_read > BODY_MAX) {
		ex->refused = ERR_TOO_LARGE;
		return MHD_YES;
	}
	ex->body_counted += len;
	if (atomic_fetch_add(&ex->api->bodies, len) + len > BODIES_MAX)
		ex->refused = ERR_BUSY;
	else
		buf_put_secret(&ex->body, data, len);
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
	peer_waits(ex);
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

/* What no path or query of ours has in it as it is sent: percent signs in a path would be a second way to write it, but where it
 * names a centre, which may be called anything; and text ends at a zero byte. */
static const char *find_amiss(const char *target)
{
	static const char with_names[] = "/v1/nodes/";
	size_t len = strcspn(target, "?");

	if (memchr(target, '%', len) && strncmp(target, with_names, sizeof with_names - 1) != 0)
		return "a path here has no percent signs";
	if (memmem(target, len, "%00", 3))
		return "a path has a zero byte";
	if (strstr(target + len, "%00"))
		return "a query has a zero byte";
	return NULL;
}

void *on_first_line(void *ctx, const char *target, struct MHD_Connection *connection)
{
	struct exchange *ex = exchange_new(ctx, connection);

	peer_begins(connection);
	if (ex)
		ex->amiss = find_amiss(target);
	return ex;
}

enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                           const char *data, size_t *size, void **state)
{
	struct exchange *ex = *state;

	if (!ex)
		*state = ex = exchange_new(ctx, connection);
	if (!ex)
		return MHD_NO;
	if (!ex->begun)
		return begin(ex, url, method, version);
	return *size ? take_body(ex, data, size) : handle(ex);
}

void on_completed(void *ctx, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode why)
{
	struct exchange *ex = *state;
	struct api *api = ctx;

	(void)why;
	if (!ex)
		return;
	if (ex->counted_stream)
		atomic_fetch_sub(&api->streams, 1);
	atomic_fetch_sub(&api->bodies, ex->body_counted);
	atomic_fetch_sub(&api->exchanges, 1);
	peer_rests(connection);
	buf_done_secret(&ex->body);
	arena_done_secret(&ex->arena);
	free(ex);
	*state = NULL;
}
