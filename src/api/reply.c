/* SPDX-License-Identifier: Apache-2.0
 * reply.c: answers: JSON, text, bytes. */
#include <stdlib.h>
#include <string.h>

#include "api/inside.h"

enum { ANSWER_BYTES = 2048 };

const unsigned statuses[STATUSES] = {200, 201, 202, 204, 400, 401, 403, 404, 405, 409, 413, 415, 422, 431, 500, 503, 507, 0};

unsigned status_index(unsigned status)
{
	unsigned i = 0;

	while (i < STATUSES - 1 && statuses[i] != status)
		i++;
	return i;
}

void count_answer(struct api *api, const struct route *route, unsigned status)
{
	atomic_fetch_add(&api->counts[route ? (unsigned)(route - routes) : ROUTES_MAX][status_index(status)], 1);
}

enum MHD_Result reply_response(struct exchange *ex, unsigned status, struct MHD_Response *response)
{
	enum MHD_Result result;

	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	result = MHD_queue_response(ex->connection, status, response);
	MHD_destroy_response(response);
	count_answer(ex->api, ex->route, status);
	return result;
}

/* The text of a value, by malloc; NULL: no memory. Written into room that most answers fit in, for json_dumps makes its room by
 * and by, and then a copy. */
static char *text_of_json(const json_t *json, size_t *ret_len)
{
	size_t size = ANSWER_BYTES;
	char *text = NULL;

	for (int i = 0; i < 2; i++) {
		char *room = realloc(text, size);

		if (!room)
			break;
		text = room;
		*ret_len = json_dumpb(json, text, size, JSON_COMPACT | JSON_REAL_PRECISION(12));
		if (*ret_len && *ret_len <= size)
			return text;
		size = *ret_len;
		if (!size)
			break;
	}
	free(text);
	return NULL;
}

struct MHD_Response *response_of_json(struct exchange *ex, json_t *json, const char *type)
{
	struct MHD_Response *response;
	size_t len;
	char *text = text_of_json(json, &len);

	json_decref(json);
	if (!text)
		return NULL;
	peer_takes(ex, len);
	response = MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
	if (response)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	return response;
}

enum MHD_Result reply_json_with(struct exchange *ex, unsigned status, json_t *json, const char *header, const char *value)
{
	struct MHD_Response *response = response_of_json(ex, json, "application/json");

	if (!response)
		return MHD_NO;
	if (header)
		MHD_add_response_header(response, header, value);
	return reply_response(ex, status, response);
}

enum MHD_Result reply_json(struct exchange *ex, unsigned status, json_t *json)
{
	return reply_json_with(ex, status, json, NULL, NULL);
}

enum MHD_Result reply_text(struct exchange *ex, unsigned status, const char *type, const char *text)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_MUST_COPY);

	peer_takes(ex, strlen(text));
	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	return reply_response(ex, status, response);
}

enum MHD_Result reply_buf(struct exchange *ex, unsigned status, const char *type, struct buf *buf)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(buf->len, buf->data, MHD_RESPMEM_MUST_FREE);

	peer_takes(ex, buf->len);
	if (!response) {
		buf_done(buf);
		return MHD_NO;
	}
	*buf = (struct buf){0};
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	return reply_response(ex, status, response);
}
