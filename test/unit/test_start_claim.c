/* SPDX-License-Identifier: Apache-2.0
 * test_start_claim.c: the claim on an attempt's start, its files, and launches as bytes: whole, cut, hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"
#include "engine/files.h"
#include "engine/launch_file.h"
#include "engine/start_claim.h"

static char dir[64];
static int claims;

static int setup(void **state)
{
	struct err err;

	(void)state;
	snprintf(dir, sizeof dir, "/tmp/suan-claim-XXXXXX");
	assert_non_null(mkdtemp(dir));
	claims = folder_open(AT_FDCWD, dir, &err);
	assert_true(claims >= 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	folder_remove(claims, "1.1", NULL, NULL);
	close(claims);
	return rmdir(dir); /* nothing else was left: no folder made aside, no half a file */
}

static struct claim_owner self(void)
{
	struct claim_owner owner = {.pid = getpid(), .start = process_start(getpid())};

	process_boot_id(owner.boot, sizeof owner.boot);
	owner.cgroups.n = 2;
	snprintf(owner.cgroups.paths[0], CGROUP_PATH_SIZE, "/sys/fs/cgroup/a b/1.1");
	snprintf(owner.cgroups.paths[1], CGROUP_PATH_SIZE, "/sys/fs/cgroup/unified/1.1");
	return owner;
}

static struct claim_view look(void)
{
	struct claim_view view;
	struct err err;

	assert_int_equal(claim_look(claims, "1.1", &view, &err), 0);
	return view;
}

static void write_file(const char *name, const char *text)
{
	char path[128];
	int fd;

	snprintf(path, sizeof path, "%s/1.1/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void test_life(void **state)
{
	struct claim_owner owner = self();
	const struct claim_end end = {.cause = CAUSE_MEMORY, .exit_code = 137, .rank = 3, .at = {5, 6, "x"}, .note = "two\nlines"};
	const struct claim_kill first = {CAUSE_CANCEL, 7}, second = {CAUSE_LIMIT, 8};
	struct claim_kill asked;
	struct claim_view view;
	struct err err;
	int lock, other, claim;

	(void)state;
	assert_int_equal(look().state, CLAIM_NONE);
	claim = claim_make(claims, "1.1", &owner, &lock, &err);
	assert_true(claim >= 0);
	assert_int_equal(claim_make(claims, "1.1", &owner, &other, &err), ERR_CONFLICT);
	assert_int_equal(claim_bury(claims, "1.1", &end, &err), ERR_CONFLICT);
	view = look();
	assert_int_equal(view.state, CLAIM_ALIVE);
	assert_true(view.this_boot && view.owner.pid == getpid() && view.owner.start == owner.start && view.owner.cgroups.n == 2);
	assert_string_equal(view.owner.cgroups.paths[0], "/sys/fs/cgroup/a b/1.1");
	assert_false(view.started);

	assert_int_equal(claim_put_started(claim, &(struct stamp){1, 2, "x"}, &err), 0);
	assert_true(look().started && look().started_at.boot_us == 2);
	assert_false(claim_read_kill(claim, &asked));
	assert_int_equal(claim_put_kill(claims, "1.1", &first, &err), 0);
	assert_int_equal(claim_put_kill(claims, "1.1", &second, &err), 0);
	assert_true(claim_read_kill(claim, &asked));
	assert_true(asked.cause == CAUSE_CANCEL && asked.grace_us == 7); /* the first that asks is heard */

	assert_int_equal(claim_put_end(claim, &end, &err), 0);
	assert_int_equal(claim_put_end(claim, &end, &err), ERR_CONFLICT);
	view = look();
	assert_int_equal(view.state, CLAIM_OVER);
	assert_true(view.end.cause == CAUSE_MEMORY && view.end.exit_code == 137 && view.end.rank == 3 && view.end.at.wall_us == 5);
	assert_string_equal(view.end.note, "two");
	close(lock);
	close(claim);
	assert_int_equal(look().state, CLAIM_OVER);
}

static void test_dead(void **state)
{
	struct claim_owner owner = self();
	struct err err;
	int lock, claim = claim_make(claims, "1.1", &owner, &lock, &err);

	(void)state;
	close(claim);
	assert_int_equal(look().state, CLAIM_ALIVE);
	close(lock); /* as the end of the process does */
	assert_int_equal(look().state, CLAIM_DEAD);
}

static void test_tombstone(void **state)
{
	const struct claim_end end = {.cause = CAUSE_CANCEL, .at = {5, 6, "x"}};
	struct claim_owner owner = self();
	struct err err;
	int lock;

	(void)state;
	assert_int_equal(claim_bury(claims, "1.1", &end, &err), 0);
	assert_int_equal(look().state, CLAIM_OVER);
	assert_int_equal(look().owner.pid, 0);
	assert_int_equal(claim_make(claims, "1.1", &owner, &lock, &err), ERR_CONFLICT);
}

/* Of many that try at once, one has it. */
static void test_race(void **state)
{
	(void)state;
	for (int round = 0; round < 20; round++) {
		int winners = 0;
		pid_t pids[6];

		for (size_t i = 0; i < 6; i++) {
			pids[i] = fork();
			if (pids[i] == 0) {
				struct claim_owner owner = self();
				int lock;

				_exit(claim_make(claims, "1.1", &owner, &lock, NULL) >= 0);
			}
		}
		for (size_t i = 0; i < 6; i++) {
			int status;

			waitpid(pids[i], &status, 0);
			winners += WEXITSTATUS(status);
		}
		assert_int_equal(winners, 1);
		assert_int_equal(look().state, CLAIM_DEAD);
		assert_int_equal(folder_remove(claims, "1.1", NULL, NULL), 0);
	}
}

/* ---- What a crash leaves ---- */

/* A process that has made such a folder, did what `fill` does in it, and then hangs. */
static pid_t hang_in(const char *name, void (*fill)(int folder))
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		char own[64];

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		snprintf(own, sizeof own, ".tmp.%d.0", (int)getpid());
		name = name ? name : own;
		mkdirat(claims, name, 0700);
		if (fill)
			fill(folder_open(claims, name, NULL));
		if (write(ready[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void end_process(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* The number of a process that is gone. */
static pid_t gone(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	return pid;
}

static void make_locked(int folder)
{
	flock(openat(folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600), LOCK_EX);
}

static void put_claim(const char *name, const char *boot)
{
	char record[128];
	int folder;

	assert_int_equal(mkdirat(claims, name, 0700), 0);
	folder = folder_open(claims, name, NULL);
	snprintf(record, sizeof record, "pid %d\nstart 1\nboot %s\n", (int)getppid(), boot);
	assert_int_equal(file_put(folder, "claim", record, strlen(record), 0, NULL), 0);
	close(openat(folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	close(folder);
}

static bool is_there(const char *name)
{
	return faccessat(claims, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* What makers left that are gone goes: empty, with a record, a tombstone's, of an earlier boot, of our own threads before us. */
static void test_leftovers_go(void **state)
{
	char empty[64], tombstone[64], earlier[64], ours[64], link[64], path[128];
	pid_t dead = gone();
	int folder;

	(void)state;
	snprintf(empty, sizeof empty, ".tmp.%d.0", (int)dead);
	snprintf(tombstone, sizeof tombstone, ".tmp.%d.999", (int)dead);
	snprintf(link, sizeof link, ".tmp.%d.7", (int)dead);
	snprintf(earlier, sizeof earlier, ".tmp.%d.0", (int)getppid()); /* it lives, and isn't who made this */
	snprintf(ours, sizeof ours, ".tmp.%d.0", (int)getpid());
	assert_int_equal(mkdirat(claims, empty, 0700), 0);
	assert_int_equal(mkdirat(claims, ours, 0700), 0);
	assert_int_equal(mkdirat(claims, tombstone, 0700), 0);
	folder = folder_open(claims, tombstone, NULL);
	assert_int_equal(file_put(folder, "exit", "x", 1, 0, NULL), 0);
	close(folder);
	put_claim(earlier, "another");
	assert_int_equal(mkdirat(claims, "1.1", 0700), 0);
	write_file("exit", "kept");
	snprintf(path, sizeof path, "%s/%s", dir, link);
	assert_int_equal(symlink("1.1", path), 0);
	assert_int_equal(claim_remove_leftovers(claims), 5);
	assert_false(is_there(empty) || is_there(tombstone) || is_there(earlier) || is_there(ours) || is_there(link));
	assert_true(is_there("1.1/exit")); /* a claim stays, and what a link names */
}

/* What a living process may be filling stays until it is gone: before it has its lock, and by its lock whatever its number. */
static void test_leftovers_in_use(void **state)
{
	char bare[64], locked[64];
	pid_t first = hang_in(NULL, NULL), second;

	(void)state;
	snprintf(bare, sizeof bare, ".tmp.%d.0", (int)first);
	snprintf(locked, sizeof locked, ".tmp.%d.0", (int)gone());
	second = hang_in(locked, make_locked);
	assert_int_equal(claim_remove_leftovers(claims), 0);
	assert_true(is_there(bare) && is_there(locked));
	end_process(second);
	kill(first, SIGKILL);
	waitid(P_PID, (id_t)first, &(siginfo_t){0}, WEXITED | WNOWAIT); /* ended, and not taken in yet */
	assert_int_equal(claim_remove_leftovers(claims), 2);
	waitpid(first, NULL, 0);
}

/* Names that we don't give stay, and what is too much for one time is left for the next. */
static void test_leftovers_bounds(void **state)
{
	static const char *const others[] = {".tmp",      ".tmp.1",    ".tmp.1.",  ".tmp.-1.0",
	                                     ".tmp.01.0", ".tmp.1.0x", ".tmp.x.0", "tmp.1.0"};
	pid_t dead = gone();
	char name[64];

	(void)state;
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		assert_int_equal(mkdirat(claims, others[i], 0700), 0);
	for (unsigned i = 0; i < CLAIM_LEFTOVERS_MAX + 1; i++) {
		snprintf(name, sizeof name, ".tmp.%d.%u", (int)dead, i);
		assert_int_equal(mkdirat(claims, name, 0700), 0);
	}
	assert_int_equal(claim_remove_leftovers(claims), CLAIM_LEFTOVERS_MAX);
	assert_int_equal(claim_remove_leftovers(claims), 1);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		assert_int_equal(unlinkat(claims, others[i], AT_REMOVEDIR), 0);
}

/* Files that aren't what was written: none of them crashes, none of them counts as an end. */
static void test_bad_files(void **state)
{
	static const char *const texts[] = {"",
	                                    "\n\n\n",
	                                    "cause",
	                                    "cause exit\n",
	                                    "wall_us 1\nboot_us 2\ncause exit\ncode x\nrank 0\n",
	                                    "wall_us 1\nboot_us 2\ncause nonsense\ncode 0\nrank 0\n",
	                                    "wall_us 99999999999999999999\nboot_us 2\ncause exit\ncode 0\nrank 0\n",
	                                    "pid -1\nstart 1\nboot x\n",
	                                    "pid 1\nstart 1\nboot x\n",
	                                    "\377\376\n pid"};

	(void)state;
	assert_int_equal(mkdirat(claims, "1.1", 0700), 0);
	assert_int_equal(look().state, CLAIM_DEAD); /* empty, as a loss of power may leave it: it counts as claimed */
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		write_file("claim", texts[i]);
		write_file("started", texts[i]);
		write_file("exit", texts[i]);
		assert_int_equal(look().state, CLAIM_DEAD);
		assert_int_equal(look().owner.pid, 0);
	}
	write_file("exit", "rank 0\ncode 3\ncause exit\nboot_us 2\nwall_us 1"); /* in any order, without a last newline */
	assert_int_equal(look().state, CLAIM_OVER);
}

/* Within a boot, what counts is how long ago it was; across boots, what the wall's clock said; the future is now. */
static void test_stamps(void **state)
{
	struct stamp now = stamp_now(), stamp = now;
	us_t then;

	(void)state;
	stamp.boot_us -= 3 * US_SECOND;
	stamp.wall_us += US_DAY; /* somebody set it */
	then = stamp_on_clock(&stamp, 100 * US_SECOND);
	assert_true(then <= 97 * US_SECOND && then > 90 * US_SECOND);
	stamp.boot_us = now.boot_us + US_HOUR;
	assert_int_equal(stamp_on_clock(&stamp, 100 * US_SECOND), 100 * US_SECOND);
	stamp = (struct stamp){.wall_us = 50 * US_SECOND, .boot_us = now.boot_us, .boot = "another"};
	assert_int_equal(stamp_on_clock(&stamp, 100 * US_SECOND), 50 * US_SECOND);
	stamp.wall_us = -5;
	assert_int_equal(stamp_on_clock(&stamp, 100 * US_SECOND), 100 * US_SECOND);
}

static void test_names(void **state)
{
	static const char *const bad[] = {"",     ".",     "..",   "1",    "1.",           ".1",      "1.1x",
	                                  "01.1", "1.1.1", "-1.1", "1 .1", "4294967296.1", ".tmp.1.0"};
	uint32_t job, attempt;
	char name[ATTEMPT_NAME_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(attempt_of_name(bad[i], &job, &attempt));
	assert_true(attempt_of_name(attempt_name(UINT32_MAX, UINT32_MAX, name, sizeof name), &job, &attempt));
	assert_true(job == UINT32_MAX && attempt == UINT32_MAX);
}

static void make_launch(struct launch *launch, struct payload *payload)
{
	static const struct launch_task tasks[] = {{1, 500, 4}, {2, 8000, 0xff}};
	static const struct variable envs[] = {{"A", "1\n2"}, {"B", ""}};

	*payload = (struct payload){.flavour = FLAVOUR_SBATCH,
	                            .setup = "s",
	                            .run = "#!/bin/sh\n",
	                            .workdir = "/w",
	                            .output = "o",
	                            .error = "",
	                            .envs = envs,
	                            .n_envs = 2};
	*launch = (struct launch){.job = 7,
	                          .attempt = 8,
	                          .name = "n",
	                          .user = "u",
	                          .project = "p",
	                          .centre = "c",
	                          .kind = "k",
	                          .vendor = "v",
	                          .tasks = tasks,
	                          .n_tasks = 2,
	                          .cpus_milli = 9,
	                          .memory_mib = 10,
	                          .limit_us = US_NEVER,
	                          .grace_us = 12,
	                          .array_of = 13,
	                          .array_index = 14,
	                          .array_count = 15,
	                          .image = "",
	                          .payload = payload};
}

static void test_launch(void **state)
{
	struct launch launch, back;
	struct payload payload, payload_back;
	struct arena arena = {0};
	struct buf buf = {0}, again = {0};

	(void)state;
	make_launch(&launch, &payload);
	launch_encode(&launch, &buf);
	assert_int_equal(launch_decode(buf.data, buf.len, &arena, &back, &payload_back), 0);
	launch_encode(&back, &again);
	assert_int_equal(buf.len, again.len);
	assert_memory_equal(buf.data, again.data, buf.len);
	assert_true(back.limit_us == US_NEVER && back.tasks[1].cards == 0xff && back.array_count == 15);
	assert_string_equal(payload_back.envs[0].value, "1\n2");
	for (size_t len = 0; len < buf.len; len++)
		assert_int_equal(launch_decode(buf.data, len, &arena, &back, &payload_back), ERR_CORRUPT);
	buf_done(&buf);
	buf_done(&again);
	arena_done(&arena);
}

/* Any bytes are read without a crash, and without asking for more memory than they are worth. */
static void test_launch_mutated(void **state)
{
	struct rng rng = {.state = 1};
	struct launch launch, back;
	struct payload payload, payload_back;
	struct arena arena = {0};
	struct buf buf = {0};

	(void)state;
	make_launch(&launch, &payload);
	launch_encode(&launch, &buf);
	for (int i = 0; i < 20000; i++) {
		uint8_t bytes[512];

		assert_true(buf.len <= sizeof bytes);
		memcpy(bytes, buf.data, buf.len);
		for (uint64_t n = 1 + rng_below(&rng, 4); n--;)
			bytes[14 + rng_below(&rng, buf.len - 14)] = (uint8_t)rng_next(&rng);
		if (!launch_decode(bytes, buf.len, &arena, &back, &payload_back))
			assert_true(back.n_tasks >= 1 && back.n_tasks <= LAUNCH_TASKS_MAX);
		assert_true(arena.total < 1 << 20);
		arena_reset(&arena);
	}
	buf_done(&buf);
	arena_done(&arena);
}

static void test_variables(void **state)
{
	static const struct variable envs[] = {{"A", "1\n2"}, {"B", ""}};
	const struct variable *back;
	struct arena arena = {0};
	struct buf buf = {0};
	uint32_t n;

	(void)state;
	variables_encode(envs, 2, &buf);
	assert_int_equal(variables_decode(buf.data, buf.len, &arena, &back, &n), 0);
	assert_true(n == 2 && !strcmp(back[0].value, "1\n2") && !strcmp(back[1].name, "B"));
	for (size_t len = 0; len < buf.len; len++)
		assert_int_equal(variables_decode(buf.data, len, &arena, &back, &n), ERR_CORRUPT);
	buf_done(&buf);
	arena_done(&arena);
}

static void test_files(void **state)
{
	struct buf buf = {0};
	struct err err;
	char path[128];

	(void)state;
	assert_int_equal(file_put(claims, "f", "one", 3, FILE_DURABLE, &err), 0);
	assert_int_equal(file_put(claims, "f", "two", 3, FILE_KEEP, &err), ERR_CONFLICT);
	assert_int_equal(file_read(claims, "f", 2, &buf, &err), ERR_TOO_LARGE);
	assert_int_equal(buf.len, 0);
	assert_int_equal(file_put(claims, "f", "three", 5, 0, &err), 0);
	assert_int_equal(file_read(claims, "f", 5, &buf, &err), 0);
	assert_memory_equal(buf.data, "three", 5);
	snprintf(path, sizeof path, "%s/link", dir);
	assert_int_equal(symlink("f", path), 0);
	assert_int_equal(file_read(claims, "link", 100, &buf, &err), ERR_IO); /* a link is never followed */
	assert_int_equal(file_read(claims, "none", 100, &buf, &err), ERR_NOT_FOUND);
	assert_int_equal(file_read(claims, ".", 100, &buf, &err), ERR_IO);
	unlinkat(claims, "link", 0);
	unlinkat(claims, "f", 0);
	buf_done(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_life, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dead, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tombstone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_race, setup, teardown),
		cmocka_unit_test_setup_teardown(test_leftovers_go, setup, teardown),
		cmocka_unit_test_setup_teardown(test_leftovers_in_use, setup, teardown),
		cmocka_unit_test_setup_teardown(test_leftovers_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_files, setup, teardown),
		cmocka_unit_test(test_stamps),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_launch),
		cmocka_unit_test(test_launch_mutated),
		cmocka_unit_test(test_variables),
	};

	return cmocka_run_group_tests_name("start_claim", tests, NULL, NULL);
}
