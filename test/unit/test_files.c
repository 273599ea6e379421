/* SPDX-License-Identifier: Apache-2.0
 * test_files.c: how far a path leads, while somebody swaps what is on the way for links; by the kernel's openat2, and by the walk
 * that stands in for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/files.h"
#include "engine/path_walk.h"

enum { ROUNDS = 2000 };

/* root/inside/sub/file says "in", root/outside/file says "out"; root/inside/link leads to root/outside. */
static int (*opener)(int dir, const char *path, int flags, mode_t mode, enum path_rule rule);
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
	opener = path_open;
	return 0;
}

static int set_up_walk(void **state)
{
	set_up_folders(state);
	opener = path_walk;
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
	int fd = opener(inside, path, O_RDONLY, 0, rule);
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

/* ---- The walk answers as the kernel does ---- */

static void add_links(void)
{
	static const char *const links[][2] = {{"sub", "rel"},      {"sub/file", "relfile"}, {"..", "up"},
	                                       {"loop", "loop"},    {"nowhere", "dangling"}, {"rel/../relfile", "twice"},
	                                       {"sub/file/", "no"}, {"/proc/self", "proc"}};

	for (size_t i = 0; i < sizeof links / sizeof *links; i++)
		assert_int_equal(symlinkat(links[i][0], inside, links[i][1]), 0);
}

/* How a path ends: the inode that it leads to, or minus the errno. */
static long answer_of(int fd)
{
	struct stat st;

	if (fd < 0)
		return -errno;
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	return (long)st.st_ino;
}

static void compare(const char *path)
{
	static const int flags[] = {O_RDONLY, O_RDONLY | O_NOFOLLOW, O_RDONLY | O_DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
	                            O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK};

	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		for (enum path_rule rule = PATH_BENEATH; rule <= PATH_OF_USER; rule++) {
			long kernel = answer_of(path_open(inside, path, flags[i], 0, rule));
			long walk = answer_of(path_walk(inside, path, flags[i], 0, rule));

			if (kernel != walk)
				fail_msg("\"%.80s\", flags %o, rule %d: %ld by the kernel, %ld by the walk", path, flags[i], rule, kernel, walk);
		}
}

static void test_walk_is_the_same(void **state)
{
	static const char *const paths[] = {
		"",
		".",
		"./",
		"..",
		"../",
		"/",
		"//",
		"sub",
		"sub/",
		"sub/.",
		"sub/..",
		"sub/../..",
		"sub/../../inside/sub/file",
		"sub//file",
		"./sub/./file",
		"sub/file/",
		"sub/file/.",
		"sub/file/..",
		"sub/file/x",
		"none",
		"none/",
		"none/x",
		"none/../sub/file",
		"sub/../sub/../sub/file",
		"link",
		"link/",
		"link/.",
		"link/..",
		"link/file",
		"link/file/",
		"link/../outside/file",
		"link/../inside",
		"rel",
		"rel/",
		"rel/file",
		"relfile",
		"relfile/",
		"relfile/x",
		"up",
		"up/",
		"up/outside/file",
		"loop",
		"loop/",
		"loop/x",
		"dangling",
		"dangling/x",
		"twice",
		"twice/",
		"no",
		"no/x",
		"/dev/null",
		"/../dev/null",
	};
	static const char *const magic[] = {"/proc/self/root/dev/null", "/proc/self/cwd", "/proc/self/exe", "proc/cwd", "proc/fd/0"};
	char path[PATH_MAX + 2];

	(void)state;
	add_links();
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
		compare(paths[i]);
	for (size_t i = 0; i < sizeof magic / sizeof *magic; i++)
		for (enum path_rule rule = PATH_BENEATH; rule <= PATH_OF_USER; rule++)
			assert_true(path_open(inside, magic[i], O_RDONLY, 0, rule) < 0 && path_walk(inside, magic[i], O_RDONLY, 0, rule) < 0);
	snprintf(path, sizeof path, "%s/outside/file", root);
	compare(path);
	snprintf(path, sizeof path, "%s/inside/../inside/up/outside/file", root);
	compare(path);
	for (size_t len = NAME_MAX; len <= NAME_MAX + 1; len++) {
		memset(path, 'x', len);
		path[len] = 0;
		compare(path);
	}
	for (size_t i = 0; i < sizeof path; i++)
		path[i] = "sub/../"[i % 7];
	path[PATH_MAX - 1] = 0;
	compare(path);
	path[PATH_MAX - 1] = '/';
	path[PATH_MAX] = 0;
	compare(path);
}

/* It makes files where the kernel would, with the mode, and never through a link. */
static void test_walk_makes(void **state)
{
	const int flags = O_WRONLY | O_CREAT | O_NOFOLLOW;
	struct stat st;

	(void)state;
	add_links();
	assert_true(answer_of(path_walk(inside, "sub/../sub/new", flags, 0640, PATH_BENEATH)) > 0);
	assert_int_equal(fstatat(inside, "sub/new", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_true(answer_of(path_walk(inside, "rel/newer", flags, 0640, PATH_OF_USER)) > 0);
	assert_int_equal(answer_of(path_walk(inside, "rel/newest", flags, 0640, PATH_BENEATH)), -ELOOP);
	assert_int_equal(answer_of(path_walk(inside, "dangling", flags, 0640, PATH_OF_USER)), -ELOOP);
	assert_int_equal(answer_of(path_walk(inside, "../new", flags, 0640, PATH_BENEATH)), -EXDEV);
	assert_int_equal(faccessat(inside, "sub/newest", F_OK, 0), -1);
	assert_int_equal(faccessat(inside, "nowhere", F_OK, 0), -1);
}

/* What bounds it: the depth, the links; and nothing stays open. */
static void test_walk_bounds(void **state)
{
	char path[PATH_MAX] = "", name[16];
	int before = dup(inside);

	(void)state;
	for (int i = 0; i <= WALK_LINKS_MAX; i++) {
		snprintf(path, sizeof path, "chain%d", i);
		snprintf(name, sizeof name, "chain%d", i - 1);
		assert_int_equal(symlinkat(i ? name : "sub", inside, path), 0);
	}
	compare("chain39/file");
	compare("chain40/file");
	path[0] = 0;
	for (int i = 0; i < WALK_DEPTH_MAX; i++) {
		strcat(path, i ? "/d" : "d");
		assert_int_equal(mkdirat(inside, path, 0700), 0);
	}
	compare(path);
	strcat(path, "/d");
	assert_int_equal(mkdirat(inside, path, 0700), 0);
	compare(path);
	strcat(path, "/d");
	assert_int_equal(answer_of(path_walk(inside, path, O_RDONLY, 0, PATH_BENEATH)), -ENAMETOOLONG);
	assert_int_equal(answer_of(path_walk(inside, path, O_RDONLY, 0, PATH_OF_USER)), -ENOENT);
	close(before);
	assert_int_equal(dup(inside), before);
	close(before);
}

/* A folder that everybody shares: a link of somebody else in it isn't followed, whatever fs.protected_symlinks says. */
static void test_walk_shared_folder(void **state)
{
	(void)state;
	assert_int_equal(mkdirat(inside, "shared", 0700), 0);
	assert_int_equal(fchmodat(inside, "shared", 01777, 0), 0);
	assert_int_equal(symlinkat("../sub", inside, "shared/link"), 0);
	opener = path_walk;
	assert_string_equal(says("shared/link/file", PATH_OF_USER), "in");
	if (geteuid() != 0)
		return;
	assert_int_equal(fchownat(inside, "shared/link", 65534, 65534, AT_SYMLINK_NOFOLLOW), 0);
	assert_string_equal(says("shared/link/file", PATH_OF_USER), "");
	assert_int_equal(errno, EACCES);
	assert_string_equal(says("shared/link", PATH_OF_USER), "");
	assert_int_equal(errno, EACCES);
}

/* A folder that is moved out while the walk is in it: ".." is where it came from, not where the folder is now. */
static void *move(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop)) {
		renameat(inside, "sub/deep", inside, "../outside/deep");
		renameat(inside, "../outside/deep", inside, "sub/deep");
	}
	return NULL;
}

static void test_race_of_parents(void **state)
{
	unsigned in = 0, refused = 0;
	pthread_t thread;

	(void)state;
	assert_int_equal(mkdirat(inside, "sub/deep", 0700), 0);
	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&thread, NULL, move, NULL), 0);
	for (int i = 0; i < 100 * ROUNDS && (i < ROUNDS || !in || !refused); i++) {
		const char *text = says("sub/deep/../file", PATH_BENEATH);

		assert_string_not_equal(text, "out");
		in += !strcmp(text, "in");
		refused += !*text;
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	assert_true(in > 0 && refused > 0);
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
		cmocka_unit_test_setup_teardown(test_rules, set_up_walk, tear_down_folders),
		cmocka_unit_test_setup_teardown(test_race, set_up_folders, tear_down_folders),
		cmocka_unit_test_setup_teardown(test_race, set_up_walk, tear_down_folders),
		cmocka_unit_test_setup_teardown(test_race_of_parents, set_up_folders, tear_down_folders),
		cmocka_unit_test_setup_teardown(test_race_of_parents, set_up_walk, tear_down_folders),
		cmocka_unit_test_setup_teardown(test_walk_is_the_same, set_up_folders, tear_down_folders),
		cmocka_unit_test_setup_teardown(test_walk_makes, set_up_folders, tear_down_folders),
		cmocka_unit_test_setup_teardown(test_walk_bounds, set_up_folders, tear_down_folders),
		cmocka_unit_test_setup_teardown(test_walk_shared_folder, set_up_folders, tear_down_folders),
		cmocka_unit_test_setup_teardown(test_remove, set_up_folders, tear_down_folders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
