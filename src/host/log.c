/* SPDX-License-Identifier: Apache-2.0
 * log.c: the daemon's log; see log.h. An entry leaves in one write, so that lines of threads don't mix. */
#include "host/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/clock.h"

static const char *const level_words[] = {"info", "warning", "error"};

/* What is logged may quote hostile input: no entry may forge another. */
static void make_one_line(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

void log_entry(enum log_level level, const char *what, const char *fmt, ...)
{
	char line[2048], at[32];
	va_list args;
	int n, rest;

	n = snprintf(line, sizeof line, "%s level=%s what=%s ", us_format_instant(clock_now(), at, sizeof at), level_words[level],
	             what);
	va_start(args, fmt);
	rest = vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, args);
	va_end(args);
	if (rest < 0)
		return;
	make_one_line(line);
	n = (int)strlen(line);
	line[n] = '\n';
	/* A log that can't be written is no reason to stop. */
	if (write(STDERR_FILENO, line, (size_t)n + 1) < 0)
		return;
}

void log_failure(enum log_level level, const char *doing, const struct err *err)
{
	log_entry(level, "failure", "doing=\"%s\" code=%s subject=\"%s\" text=\"%s\"", doing, err_word(err->code), err->subject,
	          err->text);
}
