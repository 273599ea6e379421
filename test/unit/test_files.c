/* SPDX-License-Identifier: Apache-2.0
 * test_files.c: how far a path leads, while somebody swaps what is on the way for links. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/files.h"

enum { ROUNDS = 2000 };

/* root/inside/sub/file says "in", root/outside/file says "out"; root/inside/link leads to root/outside. */
static char root[64];
static int inside;
static atomic_bool stop;

static void put(const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", root, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int set_up_folders(void **state)
{
	static const char *const folders[] = {"inside", "inside/sub", "outside"};
	char path[128], target[128];

	(void)state;
	strcpy(root, "/tmp/suan-files-XXXXXX");
	assert_non_null(mkdtemp(root));
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		snprintf(path, sizeof path, "%s/%s", root, folders[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	put("inside/sub/file", "in");
	put("outside/file", "out");
	snprintf(path, sizeof path, "%s/inside/link", root);
	snprintf(target, sizeof target, "%s/outside", root);
	assert_int_equal(symlink(target, path), 0);
	snprintf(path, sizeof path, "%s/inside", root);
	inside = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(inside >= 0);
	return 0;
}

static int tear_down_folders(void **state)
{
	char command[128];

	(void)state;
	close(inside);
	snprintf(command, sizeof command, "rm -rf %s", root);
	return system(command);
}

/* What the file says at the end of a path; "" where it can't be opened, and errno. */
static const char *says(const char *path, enum path_rule rule)
{
	static char text[8];
	int fd = path_open(inside, path, O_RDONLY, 0, rule);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);

	text[n > 0 ? n : 0] = 0;
	if (fd >= 0)
		close(fd);
	return text;
}

static void test_rules(void **state)
{
	char magic[64], absolute[128];
	int fd;

	(void)state;
	assert_string_equal(says("sub/file", PATH_BENEATH), "in");
	assert_string_equal(says("sub/../sub/file", PATH_BENEATH), "in");
	assert_string_equal(says("link/file", PATH_BENEATH), "");
	assert_int_equal(errno, ELOOP);
	assert_string_equal(says("../outside/file", PATH_BENEATH), "");
	assert_int_equal(errno, EXDEV);
	snprintf(absolute, sizeof absolute, "%s/outside/file", root);
	assert_string_equal(says(absolute, PATH_BENEATH), "");
	assert_int_equal(errno, EXDEV);
	assert_string_equal(says(absolute, PATH_NO_LINKS), "out");
	assert_string_equal(says("link/file", PATH_NO_LINKS), "");
	assert_string_equal(says("link/file", PATH_OF_USER), "out");
	fd = open(absolute, O_RDONLY | O_CLOEXEC);
	snprintf(magic, sizeof magic, "/proc/self/fd/%d", fd);
	assert_string_equal(says(magic, PATH_OF_USER), "");
	assert_int_equal(errno, ELOOP);
	close(fd);
}

/* Swaps the folder for the link, and back, without an instant in which neither is there. */
static void *swap(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop))
		renameat2(inside, "sub", inside, "link", RENAME_EXCHANGE);
	return NULL;
}

static void test_race(void **state)
{
	unsigned in = 0, refused = 0;
	pthread_t thread;

	(void)state;
	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&thread, NULL, swap, NULL), 0);
	for (int i = 0; i < 100 * ROUNDS && (i < ROUNDS || !in || !refused); i++) {
		const char *text = says("sub/file", PATH_BENEATH);

		assert_string_not_equal(text, "out");
		in += !strcmp(text, "in");
		refused += !*text;
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	assert_true(in > 0 && refused > 0); /* there was a race */
}

/* What stands in a folder's place goes, and not what it names. */
static void test_remove(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(symlinkat("sub", inside, "gone"), 0);
	assert_int_equal(folder_remove(inside, "gone", NULL, &err), 0);
	assert_int_equal(faccessat(inside, "gone", F_OK, AT_SYMLINK_NOFOLLOW), -1);
	assert_int_equal(folder_remove(inside, "nothing", NULL, &err), 0);
	assert_true(folder_open(inside, "../outside", &err) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rules, set_up_folders, tear_down_folders),
		cmocka_unit_test_setup_teardown(test_race, set_up_folders, tear_down_folders),
		cmocka_unit_test_setup_teardown(test_remove, set_up_folders, tear_down_folders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
