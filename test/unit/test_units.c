/* SPDX-License-Identifier: Apache-2.0
 * test_units.c: durations, instants and scaled decimals, read and written. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/units.h"

static void durations_are_read(void **state)
{
	static const struct {
		const char *text;
		us_t us;
	} cases[] = {
		{"90m", 90 * US_MINUTE},      {"1d12h", 36 * US_HOUR},
		{"3600s", US_HOUR},           {"1.5h", 90 * US_MINUTE},
		{"500ms", 500 * US_MS},       {"0s", 0},
		{"2w", 14 * US_DAY},          {"1h30m15s", US_HOUR + 30 * US_MINUTE + 15 * US_SECOND},
		{"01:30:00", 90 * US_MINUTE}, {"1-12:00:00", 36 * US_HOUR},
		{"100:00:00", 100 * US_HOUR}, {"0.001s", US_MS},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		us_t us = -1;
		struct err err = {0};

		if (us_parse_duration(cases[i].text, &us, &err) < 0)
			fail_msg("%s: %s", cases[i].text, err.text);
		assert_int_equal(us, cases[i].us);
	}
}

static void bad_durations_are_refused(void **state)
{
	static const char *const cases[] = {"",         "90",     "3600",      "-5m",     "5x",
	                                    "m",        "1.2.3s", "h1",        "12:00",   "01:60:00",
	                                    "01:00:60", "1:2",    "a:b:c",     "101000d", "99999999999999999999s",
	                                    "1e3s",     "5 m",    "01:30:00x", "1-",      "--1:00:00",
	                                    " 5m"};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		us_t us = -7;
		struct err err = {0};

		if (us_parse_duration(cases[i], &us, &err) == 0)
			fail_msg("\"%s\" was read as %" PRId64, cases[i], us);
		assert_int_equal(us, -7);
		assert_int_equal(err.code, ERR_INVALID);
		assert_true(strlen(err.text) > 0);
	}
}

/* Thousands of terms that are each within the bound. */
static void a_long_sum_does_not_overflow(void **state)
{
	static char text[6 * 4000 + 1];
	struct err err = {0};
	us_t us = -7;

	(void)state;
	for (size_t i = 0; i < 4000; i++)
		memcpy(text + 6 * i, "36500d", 6);
	assert_int_equal(us_parse_duration(text, &us, &err), ERR_INVALID);
	assert_int_equal(us, -7);
}

static void a_bare_number_is_told_its_fix(void **state)
{
	us_t us;
	struct err err = {0};

	(void)state;
	assert_int_equal(us_parse_duration("90", &us, &err), ERR_INVALID);
	assert_non_null(strstr(err.text, "90m"));
}

static void instants_are_read(void **state)
{
	static const struct {
		const char *text;
		us_t us;
	} cases[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"2026-12-01T02:00:00+08:00", INT64_C(1796061600) * US_SECOND},
		{"2026-11-30T18:00:00Z", INT64_C(1796061600) * US_SECOND},
		{"2000-02-29T12:00:00.5-01:30", INT64_C(951831000) * US_SECOND + 500 * US_MS},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		us_t us = -1;
		struct err err = {0};

		if (us_parse_instant(cases[i].text, &us, &err) < 0)
			fail_msg("%s: %s", cases[i].text, err.text);
		assert_int_equal(us, cases[i].us);
	}
}

static void bad_instants_are_refused(void **state)
{
	static const char *const cases[] = {"",
	                                    "now",
	                                    "2026-12-01",
	                                    "2026-12-01T02:00:00",
	                                    "2026-13-01T02:00:00Z",
	                                    "2026-02-29T02:00:00Z",
	                                    "2026-12-01T24:00:00Z",
	                                    "2026-12-01T02:00:00Zz",
	                                    "2026-12-01T02:00:00+8",
	                                    "2026-12-01T02:00:00+99:00",
	                                    "1969-12-31T23:59:59Z",
	                                    "-026-12-01T02:00:00Z",
	                                    "2026-12-01T02:00: 0Z",
	                                    "2026-12-01T02:00:00++8:00",
	                                    "1970-01-01T00:00:00+01:00",
	                                    "-199-12-01T02:00:00Z"};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		us_t us = -7;
		struct err err = {0};

		if (us_parse_instant(cases[i], &us, &err) == 0)
			fail_msg("\"%s\" was read as %" PRId64, cases[i], us);
		assert_int_equal(us, -7);
		assert_int_equal(err.code, ERR_INVALID);
	}
}

static void decimals_are_exact(void **state)
{
	static const struct {
		const char *text;
		uint64_t scale;
		bool up;
		uint64_t value;
	} cases[] = {
		{"8", 1000, false, 8000},   {"0.5", 1000, false, 500},    {".5", 1000, false, 500},          {"0.0004", 1000, true, 1},
		{"0.0004", 1000, false, 0}, {"1.9999", 1000, true, 2000}, {"6.50", 1000000, false, 6500000}, {"5.", 10, false, 50},
		{"00012", 1, false, 12},    {"0.000", 1000, true, 0},
	};
	static const char *const bad[] = {
		"", "-1", "+1", "1e3", "1,5", "0x10", "inf", "nan", "1.2.3", " 1", "1 ", ".", "99999999999999999999999"};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint64_t value = 77;

		assert_int_equal(units_parse_scaled(cases[i].text, cases[i].scale, cases[i].up, UINT64_MAX, &value, NULL), 0);
		assert_int_equal(value, cases[i].value);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		uint64_t value = 77;

		if (units_parse_scaled(bad[i], 1000, false, UINT64_MAX, &value, NULL) == 0)
			fail_msg("\"%s\" was read as %" PRIu64, bad[i], value);
		assert_int_equal(value, 77);
	}
}

static void a_maximum_holds(void **state)
{
	uint64_t value = 77;
	struct err err = {0};

	(void)state;
	assert_int_equal(units_parse_scaled("64", 1000, false, 64000, &value, &err), 0);
	assert_int_equal(units_parse_scaled("64.001", 1000, false, 64000, &value, &err), ERR_INVALID);
	assert_int_equal(value, 64000);
	assert_non_null(strstr(err.text, "at most 64"));
}

/* What is written is read again as the same. */
static void durations_and_instants_go_round(void **state)
{
	struct rng rng = {42};

	(void)state;
	for (int i = 0; i < 20000; i++) {
		us_t us = (us_t)rng_below(&rng, i % 2 ? US_DURATION_MAX : 3 * US_DAY) / US_MS * US_MS, back = -1;
		char text[48];

		assert_int_equal(us_parse_duration(us_format_duration(us, text, sizeof text), &back, NULL), 0);
		assert_int_equal(back, us);
		assert_int_equal(us_parse_instant(us_format_instant(us, text, sizeof text), &back, NULL), 0);
		assert_int_equal(back, us);
	}
}

static void thousandths_go_round(void **state)
{
	struct rng rng = {7};

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint64_t milli = rng_below(&rng, UINT64_C(1) << (1 + i % 50)), back = 1;
		char text[48];

		assert_int_equal(units_parse_scaled(units_format_milli(milli, text, sizeof text), 1000, false, UINT64_MAX, &back, NULL),
		                 0);
		assert_int_equal(back, milli);
	}
}

static void never_is_written(void **state)
{
	char text[48];

	(void)state;
	assert_string_equal(us_format_duration(US_NEVER, text, sizeof text), "never");
	assert_string_equal(us_format_instant(US_NEVER, text, sizeof text), "never");
	assert_string_equal(us_format_duration(0, text, sizeof text), "0s");
	assert_string_equal(us_format_duration(36 * US_HOUR, text, sizeof text), "1d12h");
	assert_true(us_add(US_NEVER, 5) == US_NEVER);
	assert_true(us_add(5, US_NEVER) == US_NEVER);
	assert_true(us_add(5, 6) == 11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_are_read),
		cmocka_unit_test(bad_durations_are_refused),
		cmocka_unit_test(a_long_sum_does_not_overflow),
		cmocka_unit_test(a_bare_number_is_told_its_fix),
		cmocka_unit_test(instants_are_read),
		cmocka_unit_test(bad_instants_are_refused),
		cmocka_unit_test(decimals_are_exact),
		cmocka_unit_test(a_maximum_holds),
		cmocka_unit_test(durations_and_instants_go_round),
		cmocka_unit_test(thousandths_go_round),
		cmocka_unit_test(never_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
