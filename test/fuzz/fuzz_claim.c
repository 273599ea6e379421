/* SPDX-License-Identifier: Apache-2.0
 * fuzz_claim.c: the records of a claim. The input is each of its files at once: their keys differ. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/start_claim.h"
#include "fuzz.h"

static char folder[64];
static int claims = -1, record = -1;

static void clean_up(void)
{
	static const char *const names[] = {"1.1/claim", "1.1/started", "1.1/exit", "1.1/kill", "1.1/lock"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		unlinkat(claims, names[i], 0);
	unlinkat(claims, "1.1", AT_REMOVEDIR);
	rmdir(folder);
}

/* One file under all its names. */
static void set_up(void)
{
	static const char *const names[] = {"1.1/started", "1.1/exit", "1.1/kill"};

	snprintf(folder, sizeof folder, "%s/suan-fuzz-claim-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	CHECK(mkdtemp(folder));
	claims = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(claims >= 0 && !mkdirat(claims, "1.1", 0700));
	record = openat(claims, "1.1/claim", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	CHECK(record >= 0);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		CHECK(!linkat(claims, "1.1/claim", claims, names[i], 0));
	atexit(clean_up);
}

static void check_view(const struct claim_view *view)
{
	CHECK(view->state == CLAIM_OVER || view->state == CLAIM_DEAD);
	CHECK(view->owner.pid == 0 || view->owner.pid > 1);
	CHECK(memchr(view->owner.boot, 0, sizeof view->owner.boot));
	CHECK(view->owner.cgroups.n <= CGROUP_TREES_MAX);
	if (view->state == CLAIM_OVER) {
		CHECK(view->end.cause > CAUSE_NONE && view->end.cause < CAUSE_COUNT);
		CHECK(memchr(view->end.note, 0, sizeof view->end.note) && !strchr(view->end.note, '\n'));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct claim_view view;
	struct claim_kill kill;
	uint32_t job, attempt;
	char name[ATTEMPT_NAME_SIZE], given[64];
	struct err err;
	int fd;

	if (claims < 0)
		set_up();
	CHECK(!ftruncate(record, 0) && pwrite(record, data, size, 0) == (ssize_t)size);
	CHECK(claim_look(claims, "1.1", &view, &err) == 0);
	check_view(&view);
	fd = openat(claims, "1.1", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(fd >= 0);
	if (claim_read_kill(fd, &kill))
		CHECK(kill.grace_us >= 0 && kill.cause > CAUSE_NONE && kill.cause < CAUSE_COUNT);
	close(fd);
	snprintf(given, sizeof given, "%.*s", (int)(size < 60 ? size : 60), size ? (const char *)data : "");
	if (attempt_of_name(given, &job, &attempt))
		CHECK(!strcmp(attempt_name(job, attempt, name, sizeof name), given));
	return 0;
}
