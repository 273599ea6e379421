/* SPDX-License-Identifier: Apache-2.0
 * buf.c: writing and reading varints, strings and blobs; see buf.h. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static void make_room(struct buf *buf, size_t more)
{
	size_t cap = buf->cap ? buf->cap : 256;

	if (more <= buf->cap - buf->len)
		return;
	while (cap - buf->len < more)
		cap *= 2;
	buf->data = mem_resize(buf->data, cap, 1);
	buf->cap = cap;
}

void buf_put(struct buf *buf, const void *bytes, size_t len)
{
	if (!len)
		return;
	make_room(buf, len);
	memcpy(buf->data + buf->len, bytes, len);
	buf->len += len;
}

void buf_reserve(struct buf *buf, size_t more)
{
	make_room(buf, more);
}

void buf_put_secret(struct buf *buf, const void *bytes, size_t len)
{
	if (len > buf->cap - buf->len) {
		struct buf larger = {0};

		make_room(&larger, buf->len + len > 2 * buf->cap ? buf->len + len : 2 * buf->cap);
		buf_put(&larger, buf->data, buf->len);
		buf_done_secret(buf);
		*buf = larger;
	}
	buf_put(buf, bytes, len);
}

void buf_put_u8(struct buf *buf, uint8_t value)
{
	make_room(buf, 1);
	buf->data[buf->len++] = value;
}

void buf_put_long_uint(struct buf *buf, uint64_t value)
{
	uint8_t *at;

	if (buf->cap - buf->len < 10)
		make_room(buf, 10);
	for (at = buf->data + buf->len; value >= 0x80; value >>= 7)
		*at++ = (uint8_t)(value | 0x80);
	*at++ = (uint8_t)value;
	buf->len = (size_t)(at - buf->data);
}

void buf_put_int(struct buf *buf, int64_t value)
{
	buf_put_uint(buf, ((uint64_t)value << 1) ^ (uint64_t)(value < 0 ? -1 : 0));
}

void buf_put_blob(struct buf *buf, const void *bytes, size_t len)
{
	buf_put_uint(buf, len);
	buf_put(buf, bytes, len);
}

void buf_put_str(struct buf *buf, const char *text)
{
	buf_put_blob(buf, text ? text : "", text ? strlen(text) : 0);
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (len < 0)
		abort();
	make_room(buf, (size_t)len + 1);
	va_start(args, fmt);
	vsnprintf((char *)buf->data + buf->len, (size_t)len + 1, fmt, args);
	va_end(args);
	buf->len += (size_t)len;
}

void buf_done(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){0};
}

void buf_done_secret(struct buf *buf)
{
	if (buf->data)
		explicit_bzero(buf->data, buf->cap);
	buf_done(buf);
}

struct reader reader_of(const void *bytes, size_t len)
{
	/* No bytes may come as a null pointer, to which C adds not even 0. */
	return (struct reader){.at = bytes, .end = len ? (const uint8_t *)bytes + len : bytes};
}

const void *read_bytes(struct reader *r, size_t len)
{
	const uint8_t *at = r->at;

	if (r->bad || len > (size_t)(r->end - r->at)) {
		r->bad = true;
		return NULL;
	}
	r->at += len;
	return at;
}

uint8_t read_u8(struct reader *r)
{
	const uint8_t *p = read_bytes(r, 1);

	return p ? *p : 0;
}

uint64_t read_uint(struct reader *r)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte = read_u8(r);

		if (shift == 63 && byte > 1)
			break;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			if (byte == 0 && shift) /* one value has one form: the bytes are hashed */
				break;
			return r->bad ? 0 : value;
		}
	}
	r->bad = true;
	return 0;
}

uint64_t read_uint_max(struct reader *r, uint64_t max)
{
	uint64_t value = read_uint(r);

	if (value > max) {
		r->bad = true;
		return 0;
	}
	return value;
}

int64_t read_int(struct reader *r)
{
	uint64_t raw = read_uint(r);

	return (int64_t)(raw >> 1) ^ -(int64_t)(raw & 1);
}

const void *read_blob(struct reader *r, size_t *ret_len)
{
	uint64_t len = read_uint(r);
	const void *bytes = len <= SIZE_MAX ? read_bytes(r, (size_t)len) : NULL;

	*ret_len = bytes ? (size_t)len : 0;
	return bytes;
}

const char *read_str(struct reader *r, struct arena *arena)
{
	size_t len;
	const char *bytes = read_blob(r, &len);

	if (!bytes || memchr(bytes, 0, len)) {
		r->bad = true;
		return "";
	}
	return arena_strndup(arena, bytes, len);
}

uint32_t read_count(struct reader *r)
{
	return (uint32_t)read_uint_max(r, (uint64_t)(r->end - r->at) & UINT32_MAX);
}
