/* SPDX-License-Identifier: Apache-2.0
 * units.c: reading and writing durations, instants and scaled decimals; see units.h. */
#include "base/units.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

us_t us_add(us_t instant, us_t duration)
{
	assert(instant >= 0);
	assert(duration >= 0);
	return duration > US_NEVER - instant ? US_NEVER : instant + duration;
}

int units_parse_scaled(const char *text, uint64_t scale, bool round_up, uint64_t max, uint64_t *ret, struct err *err)
{
	uint64_t whole = 0, part = 0, step = scale;
	bool rest = false;
	const char *p = text;

	if (!isdigit((unsigned char)*p) && !(*p == '.' && isdigit((unsigned char)p[1])))
		return err_set(err, ERR_INVALID, NULL, "\"%.60s\": expected a number of 0 or more", text);
	for (; isdigit((unsigned char)*p); p++) {
		if (whole > (UINT64_MAX / scale - 9) / 10)
			return err_set(err, ERR_INVALID, NULL, "\"%.60s\": too large", text);
		whole = whole * 10 + (uint64_t)(*p - '0');
	}
	if (*p == '.') {
		for (p++; isdigit((unsigned char)*p); p++) {
			step /= 10;
			if (step)
				part += (uint64_t)(*p - '0') * step;
			else if (*p != '0')
				rest = true;
		}
	}
	if (*p)
		return err_set(err, ERR_INVALID, NULL, "\"%.60s\": expected a plain decimal number", text);
	whole = whole * scale + part + (rest && round_up ? 1 : 0);
	if (whole > max)
		return err_set(err, ERR_INVALID, NULL, "\"%.60s\": at most %" PRIu64, text, max / scale);
	*ret = whole;
	return 0;
}

char *units_format_milli(uint64_t milli, char *buf, size_t size)
{
	int n = snprintf(buf, size, "%" PRIu64 ".%03" PRIu64, milli / 1000, milli % 1000);

	assert(n > 0 && (size_t)n < size);
	while (buf[n - 1] == '0')
		buf[--n] = 0;
	if (buf[n - 1] == '.')
		buf[--n] = 0;
	return buf;
}

/* "01:30:00" or "1-12:00:00" (days first), as Slurm writes them. */
static int parse_clock(const char *text, us_t *ret, struct err *err)
{
	unsigned days = 0, hours, minutes, seconds;
	const char *clock = strchr(text, '-');
	int n = 0;

	if (clock && (sscanf(text, "%4u-%n", &days, &n) != 1 || text + n != clock + 1))
		goto bad;
	clock = clock ? clock + 1 : text;
	n = 0;
	if (text[strspn(text, "0123456789-:")])
		goto bad;
	if (!isdigit((unsigned char)*clock) || sscanf(clock, "%6u:%2u:%2u%n", &hours, &minutes, &seconds, &n) != 3 || clock[n] ||
	    minutes > 59 || seconds > 59)
		goto bad;
	*ret = (us_t)days * US_DAY + (us_t)hours * US_HOUR + (us_t)minutes * US_MINUTE + (us_t)seconds * US_SECOND;
	return 0;
bad:
	return err_set(err, ERR_INVALID, NULL, "\"%.60s\": expected HH:MM:SS or D-HH:MM:SS", text);
}

static us_t unit_us(const char *unit, size_t len)
{
	static const struct {
		const char *name;
		us_t us;
	} units[] = {{"ms", US_MS}, {"s", US_SECOND}, {"m", US_MINUTE}, {"h", US_HOUR}, {"d", US_DAY}, {"w", 7 * US_DAY}};

	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (strlen(units[i].name) == len && !strncmp(units[i].name, unit, len))
			return units[i].us;
	return 0;
}

int us_parse_duration(const char *text, us_t *ret, struct err *err)
{
	us_t sum = 0;
	const char *p = text;

	if (strchr(text, ':'))
		return parse_clock(text, ret, err);
	while (*p) {
		char number[24];
		uint64_t micro;
		size_t digits = strspn(p, "0123456789."), letters = strspn(p + digits, "mshdw");
		us_t unit = unit_us(p + digits, letters);

		if (digits && !p[digits] && !sum)
			return err_set(err, ERR_INVALID, NULL, "\"%.60s\": a bare number has no unit; write %.20ss, %.20sm or %.20sh", text,
			               text, text, text);
		if (!digits || digits >= sizeof number || !unit)
			return err_set(err, ERR_INVALID, NULL, "\"%.60s\": expected a duration such as 90m, 1d12h, 3600s or 01:30:00", text);
		memcpy(number, p, digits);
		number[digits] = 0;
		if (units_parse_scaled(number, 1000, true, 1000u * 1000000000u, &micro, err) < 0)
			return err->code;
		if (micro > (uint64_t)(US_DURATION_MAX / (unit / 1000)))
			return err_set(err, ERR_INVALID, NULL, "\"%.60s\": longer than 100 years", text);
		sum += (us_t)micro * (unit / 1000);
		/* Each time, for a sum of many would overflow. */
		if (sum > US_DURATION_MAX)
			break;
		p += digits + letters;
	}
	if (p == text || *p)
		return err_set(err, ERR_INVALID, NULL, "\"%.60s\": expected a duration of at most 100 years, such as 90m", text);
	*ret = sum;
	return 0;
}

/* Days from 1970-01-01 of a date in the proleptic Gregorian calendar (Howard Hinnant's days_from_civil). */
static int64_t days_from_date(int64_t year, unsigned month, unsigned day)
{
	int64_t era;
	unsigned year_of_era, day_of_year;

	year -= month <= 2;
	era = (year >= 0 ? year : year - 399) / 400;
	year_of_era = (unsigned)(year - era * 400);
	day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
	return era * 146097 + (int64_t)(year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year) - 719468;
}

static unsigned days_in_month(unsigned year, unsigned month)
{
	static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return days[month - 1] + (month == 2 && year % 4 == 0 && (year % 100 || year % 400 == 0));
}

/* Reads exactly `digits` digits: no sign and no blank, which scanf would take. */
static bool take_number(const char **at, int digits, unsigned *ret)
{
	unsigned value = 0;

	for (; digits; digits--, ++*at) {
		if (!isdigit((unsigned char)**at))
			return false;
		value = value * 10 + (unsigned)(**at - '0');
	}
	*ret = value;
	return true;
}

/* One of some characters. */
static bool take_char(const char **at, const char *any)
{
	if (!**at || !strchr(any, **at))
		return false;
	++*at;
	return true;
}

static bool take_date(const char **at, us_t *ret)
{
	unsigned year, month, day;

	if (!take_number(at, 4, &year) || !take_char(at, "-") || !take_number(at, 2, &month) || !take_char(at, "-") ||
	    !take_number(at, 2, &day))
		return false;
	if (year < 1970 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
		return false;
	*ret = days_from_date(year, month, day) * US_DAY;
	return true;
}

static bool take_time(const char **at, us_t *ret)
{
	unsigned hour, minute, second;
	us_t fraction = 0, scale = US_SECOND;

	if (!take_number(at, 2, &hour) || !take_char(at, ":") || !take_number(at, 2, &minute) || !take_char(at, ":") ||
	    !take_number(at, 2, &second) || hour > 23 || minute > 59 || second > 59)
		return false;
	if (take_char(at, "."))
		for (; isdigit((unsigned char)**at); ++*at)
			fraction += (us_t)(**at - '0') * (scale /= 10);
	*ret = hour * US_HOUR + minute * US_MINUTE + second * US_SECOND + fraction;
	return true;
}

static bool take_offset(const char **at, us_t *ret)
{
	bool west = **at == '-';
	unsigned hour, minute;

	*ret = 0;
	if (take_char(at, "Zz"))
		return true;
	if (!take_char(at, "+-") || !take_number(at, 2, &hour) || !take_char(at, ":") || !take_number(at, 2, &minute) || hour > 14 ||
	    minute > 59)
		return false;
	*ret = (hour * US_HOUR + minute * US_MINUTE) * (west ? -1 : 1);
	return true;
}

int us_parse_instant(const char *text, us_t *ret, struct err *err)
{
	const char *at = text;
	us_t date, time, offset;

	if (!take_date(&at, &date) || !take_char(&at, "Tt ") || !take_time(&at, &time) || !take_offset(&at, &offset) || *at ||
	    date + time < offset)
		return err_set(err, ERR_INVALID, NULL,
		               "\"%.60s\": expected an instant with its offset, such as 2026-12-01T02:00:00+08:00", text);
	*ret = date + time - offset;
	return 0;
}

char *us_format_duration(us_t duration, char *buf, size_t size)
{
	static const struct {
		char name;
		us_t us;
	} units[] = {{'d', US_DAY}, {'h', US_HOUR}, {'m', US_MINUTE}};
	size_t at = 0;

	assert(size >= 32);
	if (duration == US_NEVER) {
		memcpy(buf, "never", 6);
		return buf;
	}
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		if (duration >= units[i].us) {
			at += (size_t)snprintf(buf + at, size - at, "%" PRId64 "%c", duration / units[i].us, units[i].name);
			duration %= units[i].us;
		}
	}
	if (duration >= US_MS || at == 0) {
		char seconds[24];

		units_format_milli((uint64_t)(duration / US_MS), seconds, sizeof seconds);
		snprintf(buf + at, size - at, "%ss", seconds);
	}
	return buf;
}

char *us_format_instant(us_t instant, char *buf, size_t size)
{
	int64_t days = instant / US_DAY, z = days + 719468, era = z / 146097;
	unsigned day_of_era = (unsigned)(z - era * 146097);
	unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	unsigned mp = (5 * day_of_year + 2) / 153, month = mp < 10 ? mp + 3 : mp - 9;
	us_t ms = instant % US_DAY / US_MS;

	assert(size >= 32);
	if (instant == US_NEVER) {
		memcpy(buf, "never", 6);
		return buf;
	}
	snprintf(buf, size, "%04" PRId64 "-%02u-%02uT%02u:%02u:%02u.%03uZ", (int64_t)year_of_era + era * 400 + (month <= 2), month,
	         day_of_year - (153 * mp + 2) / 5 + 1, (unsigned)(ms / 3600000), (unsigned)(ms / 60000 % 60),
	         (unsigned)(ms / 1000 % 60), (unsigned)(ms % 1000));
	return buf;
}
