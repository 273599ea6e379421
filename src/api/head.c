/* SPDX-License-Identifier: Apache-2.0
 * head.c: whether what a client begins with is a request (RFC 9112), and if not, at which byte.
 *
 * libmicrohttpd refuses what isn't HTTP as well, but with a page of its own or none, and without saying where. So this is
 * stricter than it: what is let through here is refused, if at all, by our own handlers, with a problem document. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/inside.h"

/* What a step of reading comes to; a negative code: it isn't a request. */
enum { MORE, DONE };

enum { METHOD_MAX = 32, LENGTH_DIGITS_MAX = 18, CHUNK_DIGITS_MAX = 8, EXTENSION_MAX = 256 };

struct head {
	const char *bytes;
	size_t at, len;
	const char *name; /* of the header that is read; not terminated */
	size_t name_len;
	bool is_1_1, has_host, is_chunked, expects;
	uint64_t length; /* of the body, as stated */
	unsigned parts;  /* headers, parameters and cookies: libmicrohttpd keeps a record of each */
	unsigned status;
	struct err *err;
};

/* The byte at `at`, which counts from 1 for a reader, is wrong. */
static int wrong(struct head *head, const char *field, const char *expected)
{
	head->status = MHD_HTTP_BAD_REQUEST;
	if (head->at == head->len)
		return err_set(head->err, ERR_INVALID, field, "the request ends at byte %zu: expected %s", head->at, expected);
	return err_set(head->err, ERR_INVALID, field, "byte %zu is 0x%02x: expected %s", head->at + 1,
	               (unsigned char)head->bytes[head->at], expected);
}

static int too_large(struct head *head, unsigned status, const char *field, const char *most)
{
	head->status = status;
	return err_set(head->err, ERR_TOO_LARGE, field, "at byte %zu: at most %s", head->at + 1, most);
}

static int too_many(struct head *head, const char *field)
{
	return too_large(head, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE, field, "128 headers, parameters and cookies");
}

static bool is_token(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* No control characters; a path has no blank either. What isn't ASCII is for who reads the text. */
static bool is_visible(unsigned char c)
{
	return c > ' ' && c != 0x7f;
}

static bool is_text(unsigned char c)
{
	return is_visible(c) || c == ' ' || c == '\t';
}

static size_t span(const struct head *head, bool (*is_one)(unsigned char))
{
	size_t n = 0;

	while (head->at + n < head->len && is_one((unsigned char)head->bytes[head->at + n]))
		n++;
	return n;
}

/* Takes one byte, which must be this one. */
static int take(struct head *head, char c, const char *field, const char *expected)
{
	if (head->at == head->len)
		return MORE;
	if (head->bytes[head->at] != c)
		return wrong(head, field, expected);
	head->at++;
	return DONE;
}

static int take_line_end(struct head *head, const char *field, const char *expected)
{
	int code = take(head, '\r', field, expected);

	return code == DONE ? take(head, '\n', field, "a line feed after the carriage return") : code;
}

/* ---- The request line ---- */

static int read_method(struct head *head)
{
	size_t n = span(head, is_token);

	if (n > METHOD_MAX)
		return wrong(head, "method", "a method, such as GET");
	head->at += n;
	if (!n)
		return head->at == head->len           ? MORE
		       : head->bytes[head->at] == 0x16 ? wrong(head, "method", "a method, such as GET; for TLS suand needs --tls-cert")
		                                       : wrong(head, "method", "a method, such as GET");
	return take(head, ' ', "method", "a method, such as GET, and one blank");
}

static int read_target(struct head *head)
{
	size_t n = span(head, is_visible);

	if (!n && head->at < head->len)
		return wrong(head, "path", "a path, such as /v1/jobs");
	for (size_t i = 0; i < n; i++)
		head->parts += head->bytes[head->at + i] == '?' || head->bytes[head->at + i] == '&';
	head->at += n;
	if (head->parts > HEAD_PARTS_MAX)
		return too_many(head, "path");
	return take(head, ' ', "path", "a path, one blank, and HTTP/1.1");
}

static int read_version(struct head *head)
{
	static const char expected[] = "HTTP/1.";
	int code = DONE;

	for (size_t i = 0; i < sizeof expected - 1 && code == DONE; i++)
		code = take(head, expected[i], "version", "HTTP/1.1 or HTTP/1.0");
	if (code != DONE || head->at == head->len)
		return code == DONE ? MORE : code;
	head->is_1_1 = head->bytes[head->at] == '1';
	if (!head->is_1_1 && head->bytes[head->at] != '0')
		return wrong(head, "version", "HTTP/1.1 or HTTP/1.0");
	head->at++;
	return take_line_end(head, "version", "the line to end after HTTP/1.1 or HTTP/1.0");
}

/* ---- Headers ---- */

static bool is_named(const struct head *head, const char *name)
{
	return head->name_len == strlen(name) && !strncasecmp(head->name, name, head->name_len);
}

/* A value, with the blanks after it, from `at` to `end`. */
static int take_value(struct head *head, size_t end)
{
	const char *value = head->bytes + head->at;
	size_t len = end - head->at;

	if (is_named(head, "Host"))
		head->has_host = true;
	if (is_named(head, "Expect"))
		head->expects = true;
	if (is_named(head, "Transfer-Encoding"))
		head->is_chunked = len == 7 && !strncasecmp(value, "chunked", len);
	if (is_named(head, "Cookie"))
		for (size_t i = 0; i < len; i++)
			head->parts += !i || value[i] == ';' || value[i] == ',';
	if (!is_named(head, "Content-Length"))
		return DONE;
	if (!len)
		return wrong(head, "Content-Length", "a number of bytes");
	head->length = 0;
	for (; head->at < end; head->at++) {
		char c = head->bytes[head->at];

		if (c < '0' || c > '9')
			return wrong(head, "Content-Length", "a number of bytes, in digits alone");
		if (head->length <= DISCARD_MAX) /* more is refused, whatever it is */
			head->length = head->length * 10 + (uint64_t)(c - '0');
	}
	return len > LENGTH_DIGITS_MAX ? too_large(head, MHD_HTTP_CONTENT_TOO_LARGE, "Content-Length", "18 digits") : DONE;
}

static int read_header(struct head *head)
{
	size_t n = span(head, is_token), end;
	int code;

	head->name = head->bytes + head->at;
	head->name_len = n;
	head->at += n;
	if (head->at == head->len)
		return MORE;
	if (!n && (head->bytes[head->at] == ' ' || head->bytes[head->at] == '\t'))
		return wrong(head, "headers", "the name of a header: none may go on in a line of its own");
	if (!n || head->bytes[head->at] != ':')
		return wrong(head, "headers", n ? "a colon right after the name of a header" : "the name of a header, or an empty line");
	head->at++;
	while (head->at < head->len && (head->bytes[head->at] == ' ' || head->bytes[head->at] == '\t'))
		head->at++;
	end = head->at + span(head, is_text);
	code = end < head->len && head->bytes[end] == '\r' ? take_value(head, end) : DONE;
	if (code < 0)
		return code;
	head->at = end;
	if (++head->parts > HEAD_PARTS_MAX)
		return too_many(head, "headers");
	return take_line_end(head, "headers", "text without control characters, and a carriage return and a line feed");
}

static int read_headers(struct head *head)
{
	int code = DONE;

	while (code == DONE) {
		if (head->at == head->len)
			return MORE;
		if (head->bytes[head->at] == '\r')
			return take_line_end(head, "headers", "an empty line");
		code = read_header(head);
	}
	return code;
}

static int read_head(struct head *head)
{
	int (*const steps[])(struct head *) = {read_method, read_target, read_version, read_headers};
	int code = DONE;

	/* Empty lines before a request are skipped. */
	while (head->at < head->len && head->bytes[head->at] == '\r' && code == DONE)
		code = take_line_end(head, "method", "a method, such as GET");
	for (size_t i = 0; i < sizeof steps / sizeof *steps && code == DONE; i++)
		code = steps[i](head);
	if (code != DONE || head->has_host || !head->is_1_1)
		return code;
	head->status = MHD_HTTP_BAD_REQUEST;
	return err_set(head->err, ERR_INVALID, "Host", "the head ends at byte %zu without this header, and HTTP/1.1 needs it",
	               head->at);
}

/* ---- What of the body is here ---- */

static unsigned digit_of(char c)
{
	return c >= '0' && c <= '9' ? (unsigned)(c - '0') : (c | 32) >= 'a' && (c | 32) <= 'f' ? (unsigned)((c | 32) - 'a' + 10) : 16;
}

/* One chunk. *ret_last: the one of no bytes, after which there is an empty line. */
static int read_chunk(struct head *head, bool *ret_last)
{
	uint64_t size = 0;
	size_t digits = 0;
	int code;

	for (; head->at < head->len && digit_of(head->bytes[head->at]) < 16; head->at++, digits++) {
		if (digits == CHUNK_DIGITS_MAX)
			return too_large(head, MHD_HTTP_CONTENT_TOO_LARGE, "body", "8 digits of a chunk's size");
		size = size * 16 + digit_of(head->bytes[head->at]);
	}
	if (head->at == head->len)
		return MORE;
	if (!digits)
		return wrong(head, "body", "the size of a chunk, in hexadecimal digits");
	if (head->bytes[head->at] == ';') { /* an extension, which nobody reads */
		size_t n = span(head, is_text);

		if (n > EXTENSION_MAX)
			return too_large(head, MHD_HTTP_CONTENT_TOO_LARGE, "body", "256 bytes of a chunk's extension");
		head->at += n;
	}
	code = take_line_end(head, "body", "the line to end after the size of a chunk");
	*ret_last = code == DONE && !size;
	if (code != DONE || !size)
		return code;
	if (size > DISCARD_MAX)
		return too_large(head, MHD_HTTP_CONTENT_TOO_LARGE, "body", "256 MiB in a chunk");
	if (size > head->len - head->at) {
		head->at = head->len;
		return MORE;
	}
	head->at += size;
	return take_line_end(head, "body", "the end of a line after as many bytes as the chunk said");
}

static int read_body(struct head *head)
{
	bool last = false;
	int code = DONE;

	if (!head->is_chunked) {
		bool whole = head->length <= head->len - head->at;

		head->at = whole ? head->at + head->length : head->len;
		return whole ? DONE : MORE;
	}
	while (code == DONE && !last)
		code = read_chunk(head, &last);
	return code == DONE ? read_headers(head) : code; /* there may be headers after the last chunk */
}

int head_check(const char *bytes, size_t len, bool ended, struct err *err, unsigned *ret_status)
{
	struct head head = {.bytes = bytes, .len = len, .err = err};
	int code = read_head(&head);
	bool has_head = code == DONE, is_cut = len >= HEAD_MAX; /* cut: there may be more than is seen */
	size_t head_len = head.at;

	if (has_head)
		code = read_body(&head);
	if (code == MORE && is_cut && !has_head)
		code = too_large(&head, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE, "headers", "16 KiB of a request line and headers");
	if (code == MORE && ended && !is_cut)
		code = wrong(&head, has_head ? "body" : "headers", has_head ? "all of the body" : "an empty line after the headers");
	if (code < 0) {
		*ret_status = head.status;
		return code;
	}
	if (!has_head)
		return HEAD_PART;
	/* A body that won't fit, or that is to be asked for, isn't waited for. */
	return code == DONE || is_cut || head.expects || head.length > HEAD_MAX - head_len ? HEAD_READY : HEAD_BODY;
}
