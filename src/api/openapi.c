/* SPDX-License-Identifier: Apache-2.0
 * openapi.c: /openapi.json, made from the table of routes and the schemas below. */
#include <assert.h>
#include <string.h>

#include "api/inside.h"

/* The table writes ' for ", to be readable. */
static json_t *parse(const char *text)
{
	char copy[SCHEMA_MAX];
	size_t len = strlen(text);

	assert(len < sizeof copy);
	memcpy(copy, text, len + 1);
	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	return json_loads(copy, 0, NULL);
}

static json_t *components(void)
{
	json_t *all = json_object();

	for (unsigned i = 0; i < n_schemas; i++)
		json_object_set_new(all, schemas[i].name, parse(schemas[i].text));
	return all;
}

/* A schema of ours by its name; else the media type of an answer that isn't JSON. */
static json_t *content_of(const char *answer)
{
	json_t *schema;

	if (strchr(answer, '/'))
		return json_pack("{s:{s:{s:s}}}", answer, "schema", "type", "string");
	if (!strcmp(answer, "openapi"))
		schema = json_pack("{s:s}", "type", "object");
	else
		schema = json_pack("{s:o}", "$ref", json_sprintf("#/components/schemas/%s", answer));
	return json_pack("{s:{s:o}}", "application/json", "schema", schema);
}

static json_t *parameters_of(const struct route *route)
{
	json_t *list = json_array();

	for (const char *hole = route->path; (hole = strchr(hole, '{')); hole++)
		json_array_append_new(list, json_pack("{s:o, s:s, s:b, s:{s:s}}", "name", json_stringn(hole + 1, strcspn(hole, "}") - 1),
		                                      "in", "path", "required", 1, "schema", "type", "string"));
	for (const struct parameter *p = route->parameters; p && p->name; p++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:{s:s}}", "name", p->name, "in", p->in, "description", p->text,
		                                      "schema", "type", p->type));
	return list;
}

static json_t *responses_of(const struct route *route)
{
	json_t *responses = json_object();
	bool makes = route->flags & MAKES, makes_job = makes && !strcmp(route->answer, "job");

	json_object_set_new(responses, makes ? "201" : "200",
	                    json_pack("{s:s, s:o}", "description", route->text, "content", content_of(route->answer)));
	if (makes_job)
		json_object_set_new(responses, "200",
		                    json_pack("{s:s, s:o}", "description", "A dry run, or the job that this key made before.", "content",
		                              content_of(route->answer)));
	if (!strcmp(route->answer, "job") && !makes && strchr(route->path + 1, '{') && strrchr(route->path, '/')[1] != '{')
		json_object_set_new(
			responses, "202",
			json_pack("{s:s, s:o}", "description", "The job, which isn't over yet.", "content", content_of("job")));
	json_object_set_new(responses, "default",
	                    json_pack("{s:s, s:{s:{s:{s:s}}}}", "description", "A problem document (RFC 9457).", "content",
	                              "application/problem+json", "schema", "$ref", "#/components/schemas/problem"));
	return responses;
}

static json_t *operation_of(const struct route *route)
{
	json_t *json = json_pack("{s:s, s:o, s:o}", "summary", route->text, "parameters", parameters_of(route), "responses",
	                         responses_of(route));

	if (route->flags & NEEDS_TOKEN)
		json_object_set_new(json, "security", json_pack("[{s:[]}]", "token"));
	if (route->flags & (TAKES_BODY | MAY_HAVE_BODY))
		json_object_set_new(json, "requestBody",
		                    json_pack("{s:b, s:{s:{s:{s:s}}, s:{s:{s:s}}}}", "required", (route->flags & TAKES_BODY) != 0,
		                              "content", "application/json", "schema", "type", "object", "application/yaml", "schema",
		                              "type", "string"));
	return json;
}

static const char *method_word(const char *method)
{
	if (!strcmp(method, "POST"))
		return "post";
	return !strcmp(method, "DELETE") ? "delete" : "get";
}

static json_t *paths(void)
{
	json_t *all = json_object();

	for (unsigned i = 0; i < n_routes; i++) {
		json_t *path = json_object_get(all, routes[i].path);

		if (!path) {
			path = json_object();
			json_object_set_new(all, routes[i].path, path);
		}
		json_object_set_new(path, method_word(routes[i].method), operation_of(&routes[i]));
	}
	return all;
}

json_t *openapi_document(void)
{
	return json_pack("{s:s, s:{s:s, s:s, s:s}, s:o, s:{s:o, s:{s:{s:s, s:s}}}}", "openapi", "3.1.0", "info", "title", "Suan",
	                 "version", SUAN_VERSION, "description", "A scheduler over many computing centres.", "paths", paths(),
	                 "components", "schemas", components(), "securitySchemes", "token", "type", "http", "scheme", "bearer");
}

enum MHD_Result get_openapi(struct exchange *ex)
{
	return reply_json(ex, MHD_HTTP_OK, openapi_document());
}
