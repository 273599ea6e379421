/* SPDX-License-Identifier: Apache-2.0
 * err.h: what a failure carries.
 *
 * Three kinds of "no" are kept apart. An outcome ("no room yet") is an enum of its module. A bug is
 * an assert. A failure (a bad job file, a full disk) returns a negative code and fills a struct err
 * with subject, value and expectation. Nothing changes on failure, output parameters included. */
#ifndef SUAN_BASE_ERR_H
#define SUAN_BASE_ERR_H

#include <stdint.h>

enum err_code {
	ERR_INVALID = -1,      /* the input is wrong; the text names the field and the fix */
	ERR_NOT_FOUND = -2,    /* the thing named isn't there */
	ERR_CONFLICT = -3,     /* the thing is in another state than the request needs */
	ERR_DENIED = -4,       /* who asked may not */
	ERR_TOO_LARGE = -5,    /* over a bound; the text says which */
	ERR_BUSY = -6,         /* try again later */
	ERR_NOMEM = -7,        /* out of memory */
	ERR_IO = -8,           /* a device or the network failed */
	ERR_FULL = -9,         /* no space: the store can't take more for now */
	ERR_CORRUPT = -10,     /* stored bytes are not what was written */
	ERR_UNSUPPORTED = -11, /* known, and not available here */
	ERR_NEVER = -12,       /* a job that not even the empty pool could hold */
};

/* A failure. subject: the field or thing ("resources.accelerators"); text: value and expectation.
 * line: the line of the input file where that is known, else 0. Both strings are always terminated
 * and hold no control characters. */
struct err {
	int code;
	uint32_t line;
	char subject[128];
	char text[640];
};

/* Fills *err (which may be NULL) and returns `code`, so that a caller can `return err_set(...)`.
 * code: one of enum err_code. subject: borrowed, cut at its bound; may be NULL for none. */
int err_set(struct err *err, int code, const char *subject, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* What a failure returns: the code itself, known to the compiler to be below 0. So it sees that nobody reads what wasn't set. A
 * function that fills an error and always returns its code gets a macro of its own name around it, as err_set has here. */
static inline int err_is_failure(int code)
{
	if (code >= 0)
		__builtin_unreachable();
	return code;
}

#define err_set(...) err_is_failure(err_set(__VA_ARGS__))

/* Puts `prefix` and a dot in front of the subject: "jobs" + "name" = "jobs.name". Returns err->code. */
int err_within(struct err *err, const char *prefix);

/* A short stable word for a code ("invalid", "not_found", ...), for problem documents and logs. */
const char *err_word(int code);

#endif
