/* SPDX-License-Identifier: Apache-2.0
 * test_api_route.c: the table of routes, the document that is made from it, and the small parts of answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/inside.h"

static void test_matches(void **state)
{
	static const struct {
		const char *pattern, *path, *id; /* id: NULL where it doesn't match */
		const char *centre;
	} cases[] = {
		{"/v1/jobs", "/v1/jobs", ""},
		{"/v1/jobs", "/v1/jobs/", NULL},
		{"/v1/jobs", "/v1/job", NULL},
		{"/", "/", ""},
		{"/", "/x", NULL},
		{"/v1/jobs/{id}", "/v1/jobs/17", "17"},
		{"/v1/jobs/{id}", "/v1/jobs/12_5", "12_5"},
		{"/v1/jobs/{id}", "/v1/jobs/", NULL},
		{"/v1/jobs/{id}", "/v1/jobs/1/logs", NULL},
		{"/v1/jobs/{id}/logs", "/v1/jobs/1/logs", "1"},
		{"/v1/jobs/{id}/logs", "/v1/jobs//logs", NULL},
		{"/v1/jobs/{id}/logs", "/v1/jobs/1/log", NULL},
		{"/v1/jobs/{id}", "/v1/jobs/0123456789012345678901234567890123456789", NULL},
		{"/v1/nodes/{centre}/{number}/up", "/v1/nodes/a/3/up", "3", "a"},
		{"/v1/nodes/{centre}/{number}/up", "/v1/nodes/tianjin wuqing/31/up", "31", "tianjin wuqing"},
		{"/v1/nodes/{centre}/{number}/up", "/v1/nodes/a/b/3/up", NULL},
		{"/v1/nodes/{centre}/{number}/up", "/v1/nodes/../3/up", "3", ".."},
		{"/v1/nodes/{centre}/{number}/up", "/v1/nodes/{centre}/{number}/up", "{number}", "{centre}"},
		{"/v1/nodes/{centre}/{number}/up", "/v1/nodes/a//up", NULL},
		{"/v1/nodes/{centre}/{number}/up", "/v1/nodes//3/up", NULL},
		{"/v1/nodes/{centre}/{number}/up", "/v1/nodes/3/up", NULL},
		{"/v1/nodes/{centre}/{number}/up", "/v1/nodes/up", NULL},
		{"/v1/nodes/{centre}/{number}/up", "/up", NULL},
		{"/v1/nodes/{centre}/{number}/up", "/v1/nodes/a/3/down", NULL},
		{"/v1/nodes/{centre}/{number}/up", "/v2/nodes/a/3/up", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char id[ID_MAX] = "", centre[CENTRE_MAX] = "";

		assert_int_equal(route_matches(cases[i].pattern, cases[i].path, id, centre), cases[i].id != NULL);
		if (cases[i].id)
			assert_string_equal(id, cases[i].id);
		if (cases[i].id)
			assert_string_equal(centre, cases[i].centre ? cases[i].centre : "");
	}
}

static void test_find(void **state)
{
	char id[ID_MAX] = "", centre[CENTRE_MAX] = "", allow[ALLOW_MAX], name[CENTRE_MAX + 64];

	(void)state;
	assert_string_equal(route_find("POST", "/v1/jobs", id, centre, allow)->path, "/v1/jobs");
	assert_string_equal(route_find("HEAD", "/v1/pool", id, centre, allow)->path, "/v1/pool");
	assert_string_equal(route_find("GET", "/v1/jobs/9/wait", id, centre, allow)->path, "/v1/jobs/{id}/wait");
	assert_string_equal(id, "9");
	assert_null(route_find("DELETE", "/v1/jobs", id, centre, allow));
	assert_string_equal(allow, "POST, GET");
	assert_null(route_find("GET", "/v2/jobs", id, centre, allow));
	assert_string_equal(allow, "");
	assert_string_equal(route_find("DELETE", "/v1/bookings/7", id, centre, allow)->path, "/v1/bookings/{id}");
	assert_string_equal(id, "7");
	assert_null(route_find("GET", "/v1/nodes/a/3/cordon", id, centre, allow));
	assert_string_equal(allow, "POST");
	/* A name as long as names may be, and one longer. */
	snprintf(name, sizeof name, "/v1/nodes/%0*d/3/cordon", NAME_LEN_MAX, 0);
	assert_non_null(route_find("POST", name, id, centre, allow));
	snprintf(name, sizeof name, "/v1/nodes/%0*d/3/cordon", NAME_LEN_MAX + 1, 0);
	assert_null(route_find("POST", name, id, centre, allow));
}

/* Whoever writes needs the token, whatever else is said of a route. */
static void test_writes_need_token(void **state)
{
	(void)state;
	for (unsigned i = 0; i < n_routes; i++)
		if (strcmp(routes[i].method, "GET") != 0)
			assert_true(routes[i].flags & NEEDS_TOKEN);
}

static void check_parameters(const struct route *route, const json_t *operation)
{
	const json_t *list = json_object_get(operation, "parameters");
	size_t expected = 0;

	for (const char *hole = route->path; (hole = strchr(hole, '{')); hole++)
		expected++;
	for (const struct parameter *p = route->parameters; p && p->name; p++)
		expected++;
	assert_int_equal(json_array_size(list), expected);
}

static void test_openapi(void **state)
{
	json_t *document = openapi_document(), *paths = json_object_get(document, "paths");
	json_t *known = json_object_get(json_object_get(document, "components"), "schemas");

	(void)state;
	assert_non_null(document);
	assert_string_equal(json_string_value(json_object_get(document, "openapi")), "3.1.0");
	for (unsigned i = 0; i < n_routes; i++) {
		const char *method = !strcmp(routes[i].method, "POST") ? "post" : !strcmp(routes[i].method, "GET") ? "get" : "delete";
		json_t *operation = json_object_get(json_object_get(paths, routes[i].path), method);

		assert_non_null(operation);
		assert_non_null(json_object_get(json_object_get(operation, "responses"), "default"));
		assert_int_equal(json_object_get(json_object_get(operation, "responses"), "201") != NULL, (routes[i].flags & MAKES) != 0);
		assert_int_equal(json_object_get(operation, "requestBody") != NULL,
		                 (routes[i].flags & (TAKES_BODY | MAY_HAVE_BODY)) != 0);
		check_parameters(&routes[i], operation);
		assert_int_equal(json_object_get(operation, "security") != NULL, (routes[i].flags & NEEDS_TOKEN) != 0);
		if (!strchr(routes[i].answer, '/') && strcmp(routes[i].answer, "openapi") != 0)
			assert_non_null(json_object_get(known, routes[i].answer));
	}
	assert_int_equal(json_object_size(known), n_schemas);
	json_decref(document);
}

static void test_units(void **state)
{
	static const struct {
		uint64_t milli;
		const char *text;
	} cases[] = {{0, "0"}, {500, "0.5"}, {300, "0.3"}, {8000, "8"}, {1234567, "1234.567"}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		json_t *json = json_milli(cases[i].milli);
		char *text = json_dumps(json, JSON_ENCODE_ANY | JSON_REAL_PRECISION(12));

		assert_string_equal(text, cases[i].text);
		free(text);
		json_decref(json);
	}
	assert_true(json_is_null(json_instant(US_NEVER)));
	assert_true(json_is_null(json_seconds(US_NEVER)));
	assert_true(json_is_null(json_text("")));
}

static void test_problems(void **state)
{
	static const struct {
		int code;
		const char *subject;
		unsigned status;
	} cases[] = {{ERR_INVALID, "name", 422}, {ERR_INVALID, "", 400}, {ERR_NOT_FOUND, "id", 404}, {ERR_TOO_LARGE, "body", 413},
	             {ERR_BUSY, "", 503},        {ERR_FULL, "", 507},    {ERR_IO, "", 503},          {ERR_CORRUPT, "", 500},
	             {ERR_NEVER, "x", 422},      {ERR_DENIED, "x", 403}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err err;
		json_t *json;

		err_set(&err, cases[i].code, cases[i].subject, "why");
		assert_int_equal(problem_status(&err), cases[i].status);
		assert_int_equal(statuses[status_index(cases[i].status)], cases[i].status);
		json = problem_json(&err, cases[i].status);
		assert_int_equal(json_is_null(json_object_get(json, "field")), !cases[i].subject[0]);
		json_decref(json);
	}
}

static void test_listen(void **state)
{
	static const struct {
		const char *text, *address; /* address: NULL where it is refused */
		uint16_t port;
	} cases[] = {{"127.0.0.1:7480", "127.0.0.1", 7480},
	             {"localhost:1", "127.0.0.1", 1},
	             {"[::1]:80", "::1", 80},
	             {"127.0.0.1:0", "127.0.0.1", 0},
	             {"127.0.0.1", NULL, 0},
	             {":80", NULL, 0},
	             {"127.0.0.1:65536", NULL, 0},
	             {"127.0.0.1:", NULL, 0},
	             {"127.0.0.1:8x", NULL, 0},
	             {"127.0.0.1:-1", NULL, 0},
	             {"0.0.0.0:80", NULL, 0},
	             {"192.0.2.1:80", NULL, 0},
	             {"[::]:80", NULL, 0},
	             {"host.example:80", NULL, 0},
	             {"127.9.8.7:80", "127.9.8.7", 80}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char address[64];
		uint16_t port;
		struct err err;

		assert_int_equal(api_parse_listen(cases[i].text, false, address, &port, &err) == 0, cases[i].address != NULL);
		if (!cases[i].address)
			continue;
		assert_string_equal(address, cases[i].address);
		assert_int_equal(port, cases[i].port);
	}
}

static void test_job_ids(void **state)
{
	struct job_id id;
	struct err err;
	static const char *const bad[] = {"", "0", "-1", "x", "1x", "1_", "_1", "1_2_3", "99999999999", "1_99999999999", " 1", "1 "};

	(void)state;
	assert_int_equal(job_id_parse("17", &id, &err), 0);
	assert_int_equal(id.job, 17);
	assert_false(id.is_element);
	assert_int_equal(job_id_parse("12_0", &id, &err), 0);
	assert_true(id.is_element);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(job_id_parse(bad[i], &id, &err), ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matches), cmocka_unit_test(test_find),    cmocka_unit_test(test_writes_need_token),
		cmocka_unit_test(test_openapi), cmocka_unit_test(test_units),   cmocka_unit_test(test_problems),
		cmocka_unit_test(test_listen),  cmocka_unit_test(test_job_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
