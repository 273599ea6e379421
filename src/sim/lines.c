/* SPDX-License-Identifier: Apache-2.0
 * lines.c: a file or a text, line by line; see lines.h.
 *
 * buffer <= at <= end <= buffer + BUFFER_BYTES, and one more byte for the terminator of a last line without an end. */
#include "sim/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { BUFFER_BYTES = 2 * LINE_BYTES_MAX };

int lines_open(struct lines *lines, const char *path, struct err *err)
{
	gzFile file;

	errno = 0;
	file = gzopen(path, "rbe");
	if (!file)
		return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, NULL, "%s", errno ? strerror(errno) : "out of memory");
	gzbuffer(file, 128 << 10);
	*lines = (struct lines){.file = file, .buffer = malloc(BUFFER_BYTES + 1)};
	if (!lines->buffer) {
		lines_close(lines);
		return err_set(err, ERR_NOMEM, NULL, "out of memory");
	}
	lines->at = lines->end = lines->buffer;
	return 0;
}

void lines_of_text(struct lines *lines, char *text, size_t len)
{
	*lines = (struct lines){.at = text, .end = text + len, .ended = true};
}

/* Moves what is left to the front and reads on behind it. */
static int fill(struct lines *lines, struct err *err)
{
	size_t left = (size_t)(lines->end - lines->at);
	const char *why;
	int got, code;

	memmove(lines->buffer, lines->at, left);
	lines->at = lines->buffer;
	lines->end = lines->buffer + left;
	got = gzread(lines->file, lines->end, (unsigned)(BUFFER_BYTES - left));
	why = gzerror(lines->file, &code);
	if (got < 0 || code != Z_OK) { /* Z_BUF_ERROR: the file ends within what is packed */
		err_set(err, ERR_IO, NULL, "%s",
		        code == Z_ERRNO       ? strerror(errno)
		        : code == Z_BUF_ERROR ? "the gzip file is cut short"
		                              : why);
		if (err)
			err->line = lines->number + 1;
		return ERR_IO;
	}
	lines->ended = got == 0;
	lines->end += got;
	return 0;
}

static int bad_line(struct lines *lines, int code, const char *what, struct err *err)
{
	err_set(err, code, NULL, "%s", what);
	if (err)
		err->line = lines->number;
	return code;
}

int lines_next(struct lines *lines, char **ret, struct err *err)
{
	char *line, *end;

	for (;;) {
		size_t left = (size_t)(lines->end - lines->at);

		end = left ? memchr(lines->at, '\n', left) : NULL;
		if (end || lines->ended || left > LINE_BYTES_MAX)
			break;
		if (fill(lines, err) < 0)
			return ERR_IO;
	}
	if (!end && lines->at == lines->end)
		return 0;
	line = lines->at;
	lines->number++;
	lines->at = end ? end + 1 : lines->end;
	end = end ? end : lines->end;
	if (end - line > LINE_BYTES_MAX)
		return bad_line(lines, ERR_TOO_LARGE, "a line of more than 65536 bytes", err);
	if (memchr(line, 0, (size_t)(end - line)))
		return bad_line(lines, ERR_INVALID, "a NUL byte: expected text", err);
	if (end > line && end[-1] == '\r')
		end--;
	*end = 0;
	*ret = line;
	return 1;
}

void lines_close(struct lines *lines)
{
	if (lines->file)
		gzclose(lines->file);
	free(lines->buffer);
	*lines = (struct lines){0};
}
