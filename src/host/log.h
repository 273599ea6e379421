/* SPDX-License-Identifier: Apache-2.0
 * log.h: the daemon's log: one line an entry on standard error, key=value. */
#ifndef SUAN_HOST_LOG_H
#define SUAN_HOST_LOG_H

#include "base/err.h"

enum log_level { LOG_INFO, LOG_WARNING, LOG_ERROR };

/* Writes `time level=… what=… ` and the formatted rest. what: one word. Control characters become '?'. Any thread. */
void log_entry(enum log_level level, const char *what, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same for a failure: code, subject and text. doing: what was being done, a word or two. */
void log_failure(enum log_level level, const char *doing, const struct err *err);

#endif
