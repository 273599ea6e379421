/* SPDX-License-Identifier: Apache-2.0
 * problem.c: what went wrong, as a problem document (RFC 9457). */
#include <string.h>

#include "api/inside.h"

static const struct {
	int code;
	unsigned status;
	const char *title;
} problems[] = {
	{ERR_INVALID, 422, "The request isn't valid"},
	{ERR_NOT_FOUND, 404, "Not found"},
	{ERR_CONFLICT, 409, "In conflict with what is there"},
	{ERR_DENIED, 403, "Not allowed"},
	{ERR_TOO_LARGE, 413, "Too large"},
	{ERR_BUSY, 503, "Busy"},
	{ERR_NOMEM, 503, "Out of memory"},
	{ERR_IO, 503, "A device failed"},
	{ERR_FULL, 507, "No space left"},
	{ERR_CORRUPT, 500, "Stored data is damaged"},
	{ERR_UNSUPPORTED, 422, "Not available here"},
	{ERR_NEVER, 422, "Nothing in the pool could ever hold it"},
};

static const char *title_of(int code)
{
	for (size_t i = 0; i < sizeof problems / sizeof *problems; i++)
		if (problems[i].code == code)
			return problems[i].title;
	return "Internal error";
}

unsigned problem_status(const struct err *err)
{
	/* Text that can't even be read names no field. */
	if (err->code == ERR_INVALID && !err->subject[0])
		return MHD_HTTP_BAD_REQUEST;
	for (size_t i = 0; i < sizeof problems / sizeof *problems; i++)
		if (problems[i].code == err->code)
			return problems[i].status;
	return MHD_HTTP_INTERNAL_SERVER_ERROR;
}

json_t *problem_json(const struct err *err, unsigned status)
{
	char detail[sizeof err->subject + sizeof err->text + 2], type[64];
	json_t *json;

	snprintf(type, sizeof type, "urn:suan:problem:%s", err_word(err->code));
	snprintf(detail, sizeof detail, "%s%s%s", err->subject, err->subject[0] ? ": " : "", err->text);
	json = json_pack("{s:s, s:s, s:i, s:o}", "type", type, "title", title_of(err->code), "status", (int)status, "detail",
	                 json_text(detail));
	json_object_set_new(json, "field", json_text(err->subject));
	json_object_set_new(json, "line", err->line ? json_integer(err->line) : json_null());
	return json;
}

enum MHD_Result reply_problem(struct exchange *ex, unsigned status, const struct err *err)
{
	struct MHD_Response *response;

	if (!status)
		status = problem_status(err);
	response = response_of_json(ex, problem_json(err, status), "application/problem+json");
	if (!response)
		return MHD_NO;
	if (status == MHD_HTTP_UNAUTHORIZED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer realm=\"suan\"");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, ex->allow);
	if (status == MHD_HTTP_SERVICE_UNAVAILABLE || status == MHD_HTTP_INSUFFICIENT_STORAGE)
		MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
	return reply_response(ex, status, response);
}
