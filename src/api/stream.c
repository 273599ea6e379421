/* SPDX-License-Identifier: Apache-2.0
 * stream.c: the events as they are committed, as server-sent events.
 *
 * A stream is a sequence number and a bounded piece of text. A client that reads slowly is simply further behind: it
 * gets the rest from the store, and nobody waits for it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/inside.h"

enum { STREAM_TEXT_MAX = 64 << 10, STREAM_BLOCK = 16 << 10, HEARTBEAT_US = 15000000 };

struct stream {
	struct exchange *ex;
	uint64_t next; /* the event to send next */
	struct buf text;
	size_t sent;
	struct arena arena;
	struct core const *core; /* while text is being made */
};

static void put_event(struct stream *stream, uint64_t sequence, const struct event *event)
{
	json_t *json = json_event(stream->core, sequence, event);
	char *data = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(12));

	json_decref(json);
	if (data)
		buf_printf(&stream->text, "id: %llu\nevent: %s\ndata: %s\n\n", (unsigned long long)sequence, event_word(event->type),
		           data);
	free(data);
}

/* Stops, by returning 1, once there is text enough: within a batch too, for a batch may hold thousands of events. */
static int put_batch(void *ctx, const struct batch *batch)
{
	struct stream *stream = ctx;
	struct service *service = stream->ex->api->service;
	struct reader r = reader_of(batch->events, batch->len);
	struct event event = {0};
	int code = 0;

	stream->core = service->ops->read_begin(service, false);
	for (uint64_t sequence = batch->sequence; !code && sequence < batch->sequence + batch->n_events; sequence++) {
		code = event_decode(&r, event.at_us, &stream->arena, &event);
		if (code < 0 || sequence < stream->next)
			continue;
		put_event(stream, sequence, &event);
		stream->next = sequence + 1;
		code = stream->text.len >= STREAM_TEXT_MAX;
	}
	service->ops->read_end(service);
	arena_reset(&stream->arena);
	return code;
}

static int refill(struct stream *stream)
{
	struct service *service = stream->ex->api->service;
	struct err err;

	stream->sent = stream->text.len = 0;
	return service->ops->events(service, stream->next, put_batch, stream, &err);
}

static ssize_t on_read(void *ctx, uint64_t pos, char *to, size_t max)
{
	struct stream *stream = ctx;
	struct exchange *ex = stream->ex;
	struct waits *waits = &ex->api->waits;
	size_t left;

	(void)pos;
	while (stream->sent == stream->text.len) {
		ex->waiter.generation = wait_generation(waits);
		if (refill(stream) < 0)
			return MHD_CONTENT_READER_END_WITH_ERROR;
		if (stream->text.len)
			break;
		if (waits_stopping(waits))
			return MHD_CONTENT_READER_END_OF_STREAM;
		if (wait_clock() >= ex->waiter.due_us)
			buf_put(&stream->text, ": still here\n\n", 14);
		else if (wait_for(waits, &ex->waiter))
			return 0;
	}
	ex->waiter.due_us = wait_clock() + HEARTBEAT_US;
	left = stream->text.len - stream->sent;
	left = left < max ? left : max;
	memcpy(to, stream->text.data + stream->sent, left);
	stream->sent += left;
	return (ssize_t)left;
}

static void on_free(void *ctx)
{
	struct stream *stream = ctx;

	buf_done(&stream->text);
	arena_done(&stream->arena);
	free(stream);
}

/* Where to begin: after the last one that the client has, else after ?since, else with what comes from now on. */
static int read_start(struct exchange *ex, uint64_t *ret, struct err *err)
{
	const char *last = exchange_header(ex, "Last-Event-ID");
	struct service *service = ex->api->service;
	uint64_t now = core_sequence(service->ops->read_begin(service, false));
	char *end;

	service->ops->read_end(service);
	if (exchange_number(ex, "since", 0, INT64_MAX, now, ret, err) < 0)
		return err->code;
	if (last && *last) {
		errno = 0;
		*ret = strtoull(last, &end, 10);
		if (*end || errno || *last < '0' || *last > '9')
			return err_set(err, ERR_INVALID, "Last-Event-ID", "\"%.40s\": expected an event's sequence number", last);
	}
	*ret = *ret > now ? now + 1 : *ret + 1;
	return 0;
}

enum MHD_Result get_events(struct exchange *ex)
{
	struct MHD_Response *response;
	struct stream *stream;
	struct err err;
	uint64_t next;

	if (read_start(ex, &next, &err) < 0)
		return reply_problem(ex, MHD_HTTP_BAD_REQUEST, &err);
	if (!exchange_streams(ex)) {
		err_set(&err, ERR_BUSY, NULL, "%d streams are open already", STREAMS_MAX);
		return reply_problem(ex, 0, &err);
	}
	stream = calloc(1, sizeof *stream);
	if (!stream)
		return MHD_NO;
	stream->ex = ex;
	stream->next = next;
	ex->waiter.on_commit = true;
	ex->waiter.due_us = wait_clock(); /* a first comment at once: the client knows that it is heard */
	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, on_read, stream, on_free);
	if (!response) {
		on_free(stream);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream");
	return reply_response(ex, MHD_HTTP_OK, response);
}
