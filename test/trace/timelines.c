/* SPDX-License-Identifier: Apache-2.0
 * timelines.c: compares each scenario under test/trace/ with its expected.txt; with --write, rewrites those instead.
 *
 * usage: timelines [--write] FOLDER */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "simulate.h"
#include "timeline.h"

enum { SCENARIOS_MAX = 500 };

static char *path_of(const char *folder, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s", folder, name) < 0)
		abort();
	return path;
}

static int is_scenario(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static bool has_file(const char *folder, const char *name)
{
	char *path = path_of(folder, name);
	bool has = access(path, R_OK) == 0;

	free(path);
	return has;
}

/* A folder with jobs.csv is a trace to simulate, another a scenario of steps. */
static int run_folder(const char *folder, struct buf *ret, struct err *err)
{
	return (has_file(folder, "jobs.csv") ? simulate_run : timeline_run)(folder, ret, err);
}

/* The folders that hold `steps` or `jobs.csv`, by name. Returns how many. */
static int find_scenarios(const char *root, char *folders[SCENARIOS_MAX])
{
	struct dirent **entries;
	int n = scandir(root, &entries, is_scenario, alphasort), found = 0;

	for (int i = 0; i < n; i++) {
		char *folder = path_of(root, entries[i]->d_name);

		if (found < SCENARIOS_MAX && (has_file(folder, "steps") || has_file(folder, "jobs.csv")))
			folders[found++] = folder;
		else
			free(folder);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	return found;
}

static void first_difference(const char *expected, const char *got)
{
	for (int line = 1; *expected || *got; line++) {
		int a = (int)strcspn(expected, "\n"), b = (int)strcspn(got, "\n");

		if (a != b || strncmp(expected, got, (size_t)a)) {
			print_error("line %d\n  expected: %.*s\n  got:      %.*s\n", line, a, expected, b, got);
			return;
		}
		expected += a + (expected[a] == '\n');
		got += b + (got[b] == '\n');
	}
}

static void compare(void **state)
{
	const char *folder = *state;
	struct buf got = {0}, expected = {0};
	struct err err = {0};
	char *path = path_of(folder, "expected.txt");

	if (run_folder(folder, &got, &err) < 0)
		fail_msg("%s, line %u: %s: %s", folder, err.line, err.subject, err.text);
	if (timeline_read_file(path, &expected, &err) < 0)
		fail_msg("%s: %s", path, err.text);
	buf_put(&got, "", 1);
	if (strcmp((const char *)expected.data, (const char *)got.data) != 0) {
		first_difference((const char *)expected.data, (const char *)got.data);
		fail_msg("%s: not as expected; if it is right, run test/trace/regenerate and review the change", folder);
	}
	buf_done(&got);
	buf_done(&expected);
	free(path);
}

static int rewrite(const char *folder)
{
	struct buf got = {0};
	struct err err = {0};
	char *path = path_of(folder, "expected.txt");
	FILE *file = NULL;
	int bad = run_folder(folder, &got, &err) < 0;

	if (bad)
		fprintf(stderr, "%s, line %u: %s: %s\n", folder, err.line, err.subject, err.text);
	else if (!(file = fopen(path, "we")) || fwrite(got.data, 1, got.len, file) != got.len || fclose(file))
		bad = fprintf(stderr, "%s: %s\n", path, strerror(errno)) > 0;
	buf_done(&got);
	free(path);
	return bad;
}

int main(int argc, char **argv)
{
	static char *folders[SCENARIOS_MAX];
	static struct CMUnitTest tests[SCENARIOS_MAX];
	int write = argc > 1 && !strcmp(argv[1], "--write"), n, bad = 0;

	if (argc != 2 + write) {
		fputs("usage: timelines [--write] FOLDER\n", stderr);
		return 2;
	}
	n = find_scenarios(argv[1 + write], folders);
	for (int i = 0; i < n; i++) {
		if (write)
			bad += rewrite(folders[i]);
		tests[i] = (struct CMUnitTest){.name = strrchr(folders[i], '/') + 1, .test_func = compare, .initial_state = folders[i]};
	}
	if (!n)
		bad = fprintf(stderr, "%s: no scenarios\n", argv[1 + write]) > 0;
	else if (!write)
		bad = _cmocka_run_group_tests("timelines", tests, (size_t)n, NULL, NULL);
	for (int i = 0; i < n; i++)
		free(folders[i]);
	return bad != 0;
}
