/* SPDX-License-Identifier: Apache-2.0
 * torn_claims.c: what the loss of power leaves of a claim on a start: one that was made is there in every image of the disk,
 * whoever else tried meanwhile. A name that was never synced is there in some images and not in others.
 *
 * The test runs itself again with the shim preloaded, to make the claims; and tears the disk by one seed after the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/files.h"
#include "engine/start_claim.h"
#include "image.h"
#include "rig.h"

enum { SEEDS = 40 };

static const char name[] = "8.1";
static struct rig rig;

/* ---- What is done, with the shim ---- */

static int claim(int claims)
{
	const struct claim_owner owner = {.pid = getpid(), .boot = "x"};
	int lock;

	return claim_make(claims, name, &owner, &lock, NULL) < 0;
}

static int bury(int claims)
{
	const struct claim_end end = {.cause = CAUSE_CANCEL, .at = {1, 1, "x"}};

	return claim_bury(claims, name, &end, NULL) < 0;
}

static int name_only(int claims)
{
	return mkdirat(claims, ".tmp", 0700) || renameat(claims, ".tmp", claims, name);
}

static const struct {
	const char *what;
	int (*first)(int claims), (*second)(int claims); /* the second comes too late */
	bool synced;
} acts[] = {
	{"a claim", claim, NULL, true},
	{"a claim, and another claimant", claim, claim, true},
	{"a claim, and a tombstone", claim, bury, true},
	{"a tombstone, and a claimant", bury, claim, true},
	{"a name that was never synced", name_only, NULL, false},
};

static int act(const char *which, const char *folder)
{
	size_t i = strtoul(which, NULL, 10);
	int claims = folder_open(AT_FDCWD, folder, NULL);

	if (claims < 0 || acts[i].first(claims))
		return 1;
	return acts[i].second && !acts[i].second(claims) ? 2 : 0;
}

/* ---- What is left ---- */

static void run_act(size_t which)
{
	char number[16];
	char *argv[] = {"torn_claims", number, rig.control->state, NULL};
	int status;
	pid_t pid;

	snprintf(number, sizeof number, "%zu", which);
	pid = fork();
	if (pid == 0) {
		execv("/proc/self/exe", argv);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static bool is_there_after(size_t which, uint64_t seed)
{
	char path[CONTROL_PATH + 16];
	struct image image;

	rig_reset(&rig);
	rig.control->logs = true;
	run_act(which);
	image_tear(rig.control, seed, &image);
	snprintf(path, sizeof path, "%s/%s", rig.control->state, name);
	return access(path, F_OK) == 0;
}

static void test_images(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
		unsigned there = 0;

		for (uint64_t seed = 1; seed <= SEEDS; seed++)
			there += is_there_after(i, seed);
		if (acts[i].synced ? there != SEEDS : there == 0 || there == SEEDS)
			fail_msg("%s: there in %u of %d images", acts[i].what, there, SEEDS);
	}
}

/* ---- Setting up ---- */

static void set_environment(void)
{
	char text[2 * CONTROL_PATH];
	const char *options = getenv("ASAN_OPTIONS");

	snprintf(text, sizeof text, "%s/test/fault/libfault_shim.so", rig.build);
	setenv("LD_PRELOAD", text, 1);
	snprintf(text, sizeof text, "%s/control", rig.dir);
	setenv("SUAN_FAULT", text, 1);
	snprintf(text, sizeof text, "%s%sverify_asan_link_order=0:detect_leaks=0", options ? options : "", options ? ":" : "");
	setenv("ASAN_OPTIONS", text, 1);
}

static int setup(void **state)
{
	(void)state;
	rig_init(&rig, "claims");
	set_environment();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_done(&rig, false);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_images)};

	if (argc == 3)
		return act(argv[1], argv[2]);
	return cmocka_run_group_tests_name("torn_claims", tests, setup, teardown);
}
