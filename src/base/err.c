/* SPDX-License-Identifier: Apache-2.0
 * err.c: filling a failure; see err.h. */
#include "base/err.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* An error may quote hostile input: control characters would let it forge lines of a log. */
static void make_printable(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

int(err_set)(struct err *err, int code, const char *subject, const char *fmt, ...)
{
	va_list args;

	assert(code < 0);
	if (!err)
		return code;
	err->code = code;
	err->line = 0;
	snprintf(err->subject, sizeof err->subject, "%s", subject ? subject : "");
	va_start(args, fmt);
	vsnprintf(err->text, sizeof err->text, fmt, args);
	va_end(args);
	make_printable(err->subject);
	make_printable(err->text);
	return code;
}

int err_within(struct err *err, const char *prefix)
{
	char inner[sizeof err->subject];

	if (!err)
		return ERR_INVALID;
	memcpy(inner, err->subject, sizeof inner);
	snprintf(err->subject, sizeof err->subject, inner[0] && inner[0] != '[' ? "%s.%s" : "%s%s", prefix, inner);
	make_printable(err->subject);
	return err->code;
}

const char *err_word(int code)
{
	static const char *const words[] = {
		[-ERR_INVALID] = "invalid",
		[-ERR_NOT_FOUND] = "not_found",
		[-ERR_CONFLICT] = "conflict",
		[-ERR_DENIED] = "denied",
		[-ERR_TOO_LARGE] = "too_large",
		[-ERR_BUSY] = "busy",
		[-ERR_NOMEM] = "no_memory",
		[-ERR_IO] = "io",
		[-ERR_FULL] = "full",
		[-ERR_CORRUPT] = "corrupt",
		[-ERR_UNSUPPORTED] = "unsupported",
		[-ERR_NEVER] = "never_fits",
	};

	return code < 0 && code >= ERR_NEVER ? words[-code] : "internal";
}
