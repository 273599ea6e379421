/* SPDX-License-Identifier: Apache-2.0
 * lines.h: a file, gzipped or not, or a text in memory, line by line. */
#ifndef SUAN_SIM_LINES_H
#define SUAN_SIM_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { LINE_BYTES_MAX = 64 << 10 };

struct gzFile_s;

/* Where lines come from. Opened by one of the two below, closed by lines_close. */
struct lines {
	struct gzFile_s *file; /* NULL: the text itself is what `at` and `end` bound */
	char *buffer;          /* of a file: two lines' worth */
	char *at, *end;        /* what has been read and not yet handed out */
	bool ended;            /* nothing follows `end` */
	uint32_t number;       /* of the line handed out last; the first is 1 */
};

/* Opens a file; one that begins as gzip does is unpacked as it is read. Returns 0, ERR_NOT_FOUND or ERR_IO. */
int lines_open(struct lines *lines, const char *path, struct err *err);

/* Reads a text where it is: its line ends are overwritten. text[len] must be writable too. */
void lines_of_text(struct lines *lines, char *text, size_t len);

/* The next line, terminated, without its end (LF or CRLF), good until the next call; it may be written to. Returns 1,
 * or 0 at the end, or ERR_TOO_LARGE (a line over LINE_BYTES_MAX), ERR_INVALID (a NUL in it) or ERR_IO with the line's number. */
int lines_next(struct lines *lines, char **ret, struct err *err);

void lines_close(struct lines *lines);

#endif
