/* SPDX-License-Identifier: Apache-2.0
 * test_api_head.c: which beginnings of a connection are a request, and at which byte the others aren't. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "api/inside.h"

#define LINE "GET /v1/jobs HTTP/1.1\r\n"
#define HOST "Host: a\r\n"
#define AMPERSANDS "&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&&" /* 64 */
#define CHUNKED "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"

static int check(const char *text, size_t len, bool ended, struct err *err, unsigned *ret_status)
{
	/* Of its own size, so that a sanitizer sees what is read past it. */
	char *bytes = malloc(len ? len : 1);
	int code;

	assert_non_null(bytes);
	memcpy(bytes, text, len);
	*err = (struct err){0};
	code = head_check(bytes, len, ended, err, ret_status);
	free(bytes);
	return code;
}

/* What is a request is let in once it is whole, not a byte before; and what ends before that is refused. */
static void test_whole(void **state)
{
	static const char *const cases[] = {
		LINE HOST "\r\n",
		"GET /livez HTTP/1.0\r\n\r\n",
		"\r\n\r\n" LINE HOST "\r\n",
		"G!#$%&'*+-.^_`|~9 /\xff?a=\xc3\xa9&b HTTP/1.1\r\nHost:\r\nX-: \r\n\r\n",
		LINE "hOsT:a\r\nX: \t a \"b\": c\t\r\n\r\n",
		"POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc",
		"POST / HTTP/1.1\r\n" HOST "content-length:0\r\n\r\n",
		CHUNKED "0\r\n\r\n",
		CHUNKED "00000003\r\nabc\r\nB\r\n01234567890\r\n0\r\n\r\n",
		CHUNKED "1;a=\"b\"\r\na\r\n0\r\nTrailer: x\r\n\r\n",
	};
	struct err err;
	unsigned status;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t len = strlen(cases[i]);

		assert_int_equal(check(cases[i], len, false, &err, &status), HEAD_READY);
		assert_int_equal(check(cases[i], len, true, &err, &status), HEAD_READY);
		for (size_t part = 1; part < len; part++) {
			size_t head_len = (size_t)(strstr(cases[i] + 4, "\r\n\r\n") + 4 - cases[i]); /* blank lines may be in front */

			assert_int_equal(check(cases[i], part, false, &err, &status), part < head_len ? HEAD_PART : HEAD_BODY);
			assert_int_equal(check(cases[i], part, true, &err, &status), ERR_INVALID);
			assert_int_equal(status, 400);
			assert_non_null(strstr(err.text, "the request ends at byte"));
		}
	}
}

static void test_wrong(void **state)
{
	static const struct {
		const char *text;
		unsigned status, byte;
		const char *field;
	} cases[] = {
		{"\n", 400, 1, "method"},
		{" GET", 400, 1, "method"},
		{"\r\nG\x01T", 400, 4, "method"},
		{"\x16\x03", 400, 1, "method"},
		{"\x80", 400, 1, "method"},
		{"GET\t/ ", 400, 4, "method"},
		{"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 400, 1, "method"},
		{"GET  /", 400, 5, "path"},
		{"GET /\r\n", 400, 6, "path"},
		{"GET /\x7f", 400, 6, "path"},
		{"GET /a b", 400, 8, "version"},
		{"GET / HTTP/2", 400, 12, "version"},
		{"GET / HTTP/1.2", 400, 14, "version"},
		{"GET / HTTP/1.11", 400, 15, "version"},
		{"GET / HTTP/1.1\n", 400, 15, "version"},
		{"GET / HTTP/1.1\rX", 400, 16, "version"},
		{LINE "Host\r\n", 400, 28, "headers"},
		{LINE "Host :", 400, 28, "headers"},
		{LINE ":", 400, 24, "headers"},
		{LINE " a: b", 400, 24, "headers"},
		{LINE HOST "\tb", 400, 33, "headers"},
		{LINE "X: a\nY: b\r\n", 400, 28, "headers"},
		{LINE "X: a\r\r\n", 400, 29, "headers"},
		{LINE "X: \x0c\r\n", 400, 27, "headers"},
		{LINE "\r\n", 400, 25, "Host"},
		{LINE "Content-Length: \r\n", 400, 40, "Content-Length"},
		{LINE "Content-Length: 1 \r\n", 400, 41, "Content-Length"},
		{LINE "Content-Length: +1\r\n", 400, 40, "Content-Length"},
		{LINE "Content-Length: 1,1\r\n", 400, 41, "Content-Length"},
		{LINE "Content-Length: 1234567890123456789\r\n", 413, 59, "Content-Length"},
		{CHUNKED "x", 400, 57, "body"},
		{CHUNKED "1 \r\n", 400, 58, "body"},
		{CHUNKED "1;\n", 400, 59, "body"},
		{CHUNKED "1\r\nab", 400, 61, "body"},
		{CHUNKED "0\r\na\r\n", 400, 61, "headers"},
		{CHUNKED "123456789", 413, 65, "body"},
		{"GET /?" AMPERSANDS AMPERSANDS, 431, 0, "path"},
		{"GET /?" AMPERSANDS " HTTP/1.0\r\nCookie: " AMPERSANDS "\r\n", 0, 0, NULL},
		{"GET /?" AMPERSANDS " HTTP/1.0\r\nCookie: a;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;\r\n", 431, 0,
	     "headers"},
		{CHUNKED "fffffff\r\n", 0, 0, NULL},
		{CHUNKED "20000000\r\n", 413, 67, "body"},
	};
	char place[32];
	struct err err;
	unsigned status = 0;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int code = check(cases[i].text, strlen(cases[i].text), false, &err, &status);

		if (!cases[i].field) {
			assert_true(code >= 0);
			continue;
		}
		snprintf(place, sizeof place, "byte %u ", cases[i].byte);
		if (strcmp(err.subject, cases[i].field) != 0 || (!strstr(err.text, place) && cases[i].status == 400) ||
		    status != cases[i].status || code != (status == 400 ? ERR_INVALID : ERR_TOO_LARGE))
			fail_msg("%s: expected %u, %s, byte %u; got %u, %s: %s", cases[i].text, cases[i].status, cases[i].field,
			         cases[i].byte, status, err.subject, err.text);
	}
}

/* A zero byte, and every other control character, is refused wherever it stands in a head. */
static void test_control_characters(void **state)
{
	static const char good[] = "GET /v1/jobs?a=b HTTP/1.1\r\nHost: a\r\nX-Y: c d\r\n\r\n";
	char text[sizeof good];
	struct err err;
	unsigned status;

	(void)state;
	for (size_t at = 0; at < sizeof good - 1; at++)
		for (int c = 0; c < 0x20; c++) {
			memcpy(text, good, sizeof good);
			text[at] = (char)c;
			/* A tab is a blank in a value, and a carriage return is one where one is. */
			if (c == good[at] || (c == '\t' && at >= 32 && memchr(":  ac d", good[at], 7) && good[at - 1] != '\n'))
				continue;
			assert_int_equal(check(text, sizeof good - 1, true, &err, &status), ERR_INVALID);
		}
}

/* Bounds: of bytes, and of what libmicrohttpd keeps a record of. */
static void test_large(void **state)
{
	static char text[HEAD_MAX + 1];
	struct err err;
	unsigned status;
	int len = snprintf(text, sizeof text, LINE HOST "X: ");

	(void)state;
	memset(text + len, 'a', sizeof text - (size_t)len);
	assert_int_equal(check(text, HEAD_MAX - 1, false, &err, &status), HEAD_PART);
	assert_int_equal(check(text, HEAD_MAX, false, &err, &status), ERR_TOO_LARGE);
	assert_int_equal(status, 431);
	memcpy(text + HEAD_MAX - 4, "\r\n\r\n", 4);
	assert_int_equal(check(text, HEAD_MAX, false, &err, &status), HEAD_READY);

	for (int parts = HEAD_PARTS_MAX; parts <= HEAD_PARTS_MAX + 1; parts++) {
		len = snprintf(text, sizeof text, "GET /?a&b&c HTTP/1.1\r\n" HOST "Cookie: a;b\r\n"); /* 3 + 1 + 3 */
		for (int i = 7; i < parts; i++)
			len += snprintf(text + len, sizeof text - (size_t)len, "a:\r\n");
		len += snprintf(text + len, sizeof text - (size_t)len, "\r\n");
		assert_int_equal(check(text, (size_t)len, false, &err, &status), parts <= HEAD_PARTS_MAX ? HEAD_READY : ERR_TOO_LARGE);
	}
	assert_int_equal(status, 431);
}

/* A body that is too large to be looked at, or that is asked for, isn't waited for. */
static void test_body_later(void **state)
{
	static const char large[] = "POST / HTTP/1.1\r\n" HOST "Content-Length: 20000\r\n\r\n",
					  asked[] = "POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n",
					  small[] = "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nab";
	static char text[HEAD_MAX];
	struct err err;
	unsigned status;

	(void)state;
	assert_int_equal(check(large, sizeof large - 1, false, &err, &status), HEAD_READY);
	assert_int_equal(check(large, sizeof large - 1, true, &err, &status), ERR_INVALID);
	assert_int_equal(check(asked, sizeof asked - 1, false, &err, &status), HEAD_READY);
	assert_int_equal(check(small, sizeof small - 1, false, &err, &status), HEAD_BODY);
	assert_int_equal(check(small, sizeof small - 1, true, &err, &status), ERR_INVALID);
	assert_string_equal(err.subject, "body");
	memcpy(text, CHUNKED "1000000\r\n", sizeof CHUNKED "1000000\r\n" - 1);
	assert_int_equal(check(text, HEAD_MAX - 1, false, &err, &status), HEAD_BODY);
	assert_int_equal(check(text, HEAD_MAX, false, &err, &status), HEAD_READY);
	assert_int_equal(check(text, HEAD_MAX, true, &err, &status), HEAD_READY); /* the rest may be in the socket */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole), cmocka_unit_test(test_wrong),      cmocka_unit_test(test_control_characters),
		cmocka_unit_test(test_large), cmocka_unit_test(test_body_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
