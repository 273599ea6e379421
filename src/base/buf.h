/* SPDX-License-Identifier: Apache-2.0
 * buf.h: a growing run of bytes, and the integers of the journal's records in it.
 *
 * Integers are written as LEB128 varints (7 bits a byte, low bits first), signed ones zigzag first.
 * Strings and blobs are a varint length and the bytes. Reading never passes the end: a short or overlong
 * input sets `bad`, and every later read then returns 0 or empty. */
#ifndef SUAN_BASE_BUF_H
#define SUAN_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

/* Bytes being written; all zero is an empty one. Out of memory aborts, as in mem.h. */
struct buf {
	uint8_t *data;
	size_t len, cap;
};

void buf_put(struct buf *buf, const void *bytes, size_t len);
void buf_put_u8(struct buf *buf, uint8_t value);
void buf_put_long_uint(struct buf *buf, uint64_t value);
/* Most numbers take one byte. */
static inline void buf_put_uint(struct buf *buf, uint64_t value)
{
	if (value < 0x80 && buf->len < buf->cap)
		buf->data[buf->len++] = (uint8_t)value;
	else
		buf_put_long_uint(buf, value);
}
void buf_put_int(struct buf *buf, int64_t value);
void buf_put_blob(struct buf *buf, const void *bytes, size_t len);
void buf_put_str(struct buf *buf, const char *text); /* NULL is written as "" */
void buf_printf(struct buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Makes room for `more` bytes after what is there, so that putting them moves nothing. */
void buf_reserve(struct buf *buf, size_t more);
void buf_done(struct buf *buf);

/* For bytes that may hold secrets. Putting leaves no copy behind where the buffer moves, and done leaves zeros. */
void buf_put_secret(struct buf *buf, const void *bytes, size_t len);
void buf_done_secret(struct buf *buf);

/* Bytes being read. */
struct reader {
	const uint8_t *at, *end;
	bool bad;
};

struct reader reader_of(const void *bytes, size_t len);
uint8_t read_u8(struct reader *r);
uint64_t read_uint(struct reader *r);
uint64_t read_uint_max(struct reader *r, uint64_t max); /* over max: bad */
int64_t read_int(struct reader *r);
/* A run of `len` bytes where they are, borrowed; NULL and bad where fewer are left. */
const void *read_bytes(struct reader *r, size_t len);
/* A blob where it is, borrowed. */
const void *read_blob(struct reader *r, size_t *ret_len);
/* A terminated copy in the arena; "" where bad. A string with a NUL inside is bad. */
const char *read_str(struct reader *r, struct arena *arena);
/* A count of elements that each take at least one byte: never more than the bytes left, so that a hostile
 * count can't ask for memory. */
uint32_t read_count(struct reader *r);

#endif
