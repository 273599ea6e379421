/* SPDX-License-Identifier: Apache-2.0
 * units.h: the integers that everything is counted in, and how they are read and written.
 *
 * Time: microseconds since 1970-01-01 UTC, or of a duration (us_t). Cards and CPUs: thousandths.
 * Memory: MiB. Money: millionths of the pool's currency. No floating point decides anything. */
#ifndef SUAN_BASE_UNITS_H
#define SUAN_BASE_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef int64_t us_t;

#define US_NEVER INT64_MAX /* later than every instant; longer than every duration */
#define US_MS ((us_t)1000)
#define US_SECOND ((us_t)1000000)
#define US_MINUTE (60 * US_SECOND)
#define US_HOUR (60 * US_MINUTE)
#define US_DAY (24 * US_HOUR)
#define US_DURATION_MAX (100 * 366 * US_DAY) /* no limit or delay that a user gives is longer */

#define CARD_MILLI 1000u /* thousandths of one card, of one CPU */

/* instant + duration, saturating at US_NEVER. Both are 0 or more. */
us_t us_add(us_t instant, us_t duration);

/* Reads a duration with its unit: "90m", "1d12h", "3600s", "1.5h", "500ms", or clock form "01:30:00", "1-12:00:00".
 * A bare number is refused, for nobody knows its unit. On success *ret is 0 or more. */
int us_parse_duration(const char *text, us_t *ret, struct err *err);

/* Reads an instant: RFC 3339 with an offset or Z ("2026-12-01T02:00:00+08:00"); a time without an offset is refused. */
int us_parse_instant(const char *text, us_t *ret, struct err *err);

/* Writes "1d12h", "90m", "1.5s", "never" into buf, and returns buf. size: 32 or more. */
char *us_format_duration(us_t duration, char *buf, size_t size);

/* Writes RFC 3339 in UTC with microseconds cut to milliseconds, "2026-12-01T02:00:00.000Z", or "never". size: 32 or more. */
char *us_format_instant(us_t instant, char *buf, size_t size);

/* Reads a non-negative decimal ("0.5", "64", "1e3" is refused) as thousandths, millionths, ... : value × scale.
 * scale: a power of ten up to 10^6. round_up: a remainder rounds up (a need), else down (an offer).
 * Returns ERR_INVALID where it isn't one or is over max. */
int units_parse_scaled(const char *text, uint64_t scale, bool round_up, uint64_t max, uint64_t *ret, struct err *err);

/* Writes thousandths as a decimal without trailing zeros: 500 is "0.5", 8000 is "8". size: 24 or more. Returns buf. */
char *units_format_milli(uint64_t milli, char *buf, size_t size);

#endif
