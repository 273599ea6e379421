/* SPDX-License-Identifier: Apache-2.0
 * start_claim.c: the claim on an attempt's start; see start_claim.h. */
#include "engine/start_claim.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/files.h"

/* GIVE_BACK_TRIES: a supervisor has ten seconds for it, the daemon's thread none. */
enum { RECORD_BYTES_MAX = 64 << 10, GIVE_BACK_TRIES = 200, ASIDE_NAME_SIZE = 48 };

static const char *const cause_words[] = {
	[CAUSE_NONE] = "none",       [CAUSE_EXIT] = "exit",           [CAUSE_SIGNAL] = "signal",         [CAUSE_LIMIT] = "limit",
	[CAUSE_CANCEL] = "cancel",   [CAUSE_MEMORY] = "memory",       [CAUSE_DEPENDENCY] = "dependency", [CAUSE_LOST] = "lost",
	[CAUSE_REFUSED] = "refused", [CAUSE_PREEMPTED] = "preempted", [CAUSE_RECLAIMED] = "reclaimed",   [CAUSE_NODE] = "node",
	[CAUSE_MOVED] = "moved",
};

const char *claim_cause_word(enum cause cause)
{
	assert((size_t)cause < sizeof cause_words / sizeof *cause_words);
	assert(cause_words[cause]);
	return cause_words[cause];
}

static enum cause cause_of_record(const struct buf *record)
{
	char word[32];

	if (record_text(record, "cause", word, sizeof word))
		for (size_t i = 0; i < sizeof cause_words / sizeof *cause_words; i++)
			if (cause_words[i] && !strcmp(cause_words[i], word))
				return (enum cause)i;
	return CAUSE_NONE;
}

char *attempt_name(uint32_t job, uint32_t attempt, char *buf, size_t size)
{
	assert(size >= ATTEMPT_NAME_SIZE);
	snprintf(buf, size, "%" PRIu32 ".%" PRIu32, job, attempt);
	return buf;
}

bool attempt_of_name(const char *name, uint32_t *ret_job, uint32_t *ret_attempt)
{
	char again[ATTEMPT_NAME_SIZE];
	uint32_t job, attempt;

	if (sscanf(name, "%" SCNu32 ".%" SCNu32, &job, &attempt) != 2 ||
	    strcmp(attempt_name(job, attempt, again, sizeof again), name))
		return false;
	*ret_job = job;
	*ret_attempt = attempt;
	return true;
}

struct stamp stamp_now(void)
{
	struct stamp now = {.wall_us = process_wall_us(), .boot_us = process_boot_us()};

	process_boot_id(now.boot, sizeof now.boot);
	return now;
}

us_t stamp_on_clock(const struct stamp *stamp, us_t now_us)
{
	char boot[BOOT_ID_SIZE];
	bool this_boot = !strcmp(process_boot_id(boot, sizeof boot), stamp->boot);
	us_t then = this_boot ? now_us - (process_boot_us() - stamp->boot_us) : stamp->wall_us;

	return then < 1 || then > now_us ? now_us : then;
}

/* ---- Records ---- */

static void stamp_encode(const struct stamp *at, struct buf *record)
{
	buf_printf(record, "wall_us %" PRId64 "\nboot_us %" PRId64 "\nboot %s\n", at->wall_us, at->boot_us, at->boot);
}

static bool stamp_decode(const struct buf *record, struct stamp *ret)
{
	record_text(record, "boot", ret->boot, sizeof ret->boot);
	return record_int(record, "wall_us", &ret->wall_us) && record_int(record, "boot_us", &ret->boot_us) && ret->wall_us >= 0 &&
	       ret->boot_us >= 0;
}

static void owner_encode(const struct claim_owner *owner, struct buf *record)
{
	buf_printf(record, "pid %d\nstart %" PRIu64 "\nboot %s\n", (int)owner->pid, owner->start, owner->boot);
	for (uint32_t i = 0; i < owner->cgroups.n; i++)
		buf_printf(record, "cgroup%" PRIu32 " %s\n", i, owner->cgroups.paths[i]);
}

static void owner_decode(const struct buf *record, struct claim_owner *ret)
{
	int64_t pid, start;
	char key[16];

	*ret = (struct claim_owner){0};
	if (!record_int(record, "pid", &pid) || !record_int(record, "start", &start) || pid <= 1 || pid > INT32_MAX ||
	    !record_text(record, "boot", ret->boot, sizeof ret->boot))
		return;
	ret->pid = (pid_t)pid;
	ret->start = (uint64_t)start;
	for (; ret->cgroups.n < CGROUP_TREES_MAX; ret->cgroups.n++) {
		snprintf(key, sizeof key, "cgroup%" PRIu32, ret->cgroups.n);
		if (!record_text(record, key, ret->cgroups.paths[ret->cgroups.n], CGROUP_PATH_SIZE))
			break;
	}
}

static void end_encode(const struct claim_end *end, struct buf *record)
{
	stamp_encode(&end->at, record);
	buf_printf(record, "cause %s\ncode %" PRId32 "\nrank %" PRIu32 "\n", claim_cause_word(end->cause), end->exit_code, end->rank);
	if (end->note[0])
		buf_printf(record, "note %.*s\n", (int)strcspn(end->note, "\n"), end->note);
}

static bool end_decode(const struct buf *record, struct claim_end *ret)
{
	int64_t code, rank;

	*ret = (struct claim_end){.cause = cause_of_record(record)};
	if (!stamp_decode(record, &ret->at) || !record_int(record, "code", &code) || !record_int(record, "rank", &rank) ||
	    ret->cause == CAUSE_NONE)
		return false;
	ret->exit_code = (int32_t)code;
	ret->rank = (uint32_t)rank;
	record_text(record, "note", ret->note, sizeof ret->note);
	return true;
}

/* Reads a record of a claim; false where it isn't there or can't be read. */
static bool record_read(int claim, const char *name, struct buf *ret)
{
	return file_read(claim, name, RECORD_BYTES_MAX, ret, NULL) == 0;
}

/* ---- Making ---- */

/* The name of a folder beside the claims says which thread made it; a supervisor's only one has the number of the process. */
static char *aside_name(pid_t maker, unsigned number, char *buf, size_t size)
{
	assert(size >= ASIDE_NAME_SIZE);
	snprintf(buf, size, ".tmp.%d.%u", (int)maker, number);
	return buf;
}

static bool maker_of_name(const char *name, pid_t *ret)
{
	char again[ASIDE_NAME_SIZE];
	unsigned number;
	int maker;

	if (sscanf(name, ".tmp.%d.%u", &maker, &number) != 2 || maker <= 0 ||
	    strcmp(aside_name(maker, number, again, sizeof again), name))
		return false;
	*ret = maker;
	return true;
}

/* A folder of our own beside the claims. Returns it open; size: ASIDE_NAME_SIZE or more. */
static int make_aside(int claims, char *name, size_t size, struct err *err)
{
	for (unsigned i = 0; i < 1000; i++) {
		aside_name(gettid(), i, name, size);
		if (!mkdirat(claims, name, 0700))
			return folder_open(claims, name, err);
		if (errno != EEXIST)
			break;
	}
	return err_from_errno(err, name, "can't be made");
}

/* Gives the folder its name, if nobody has it. That the name is there is what must outlast a loss of power, before anything
 * starts: a claim that then turns out to be empty belongs to an earlier boot, and counts all the same. So this is the one sync.
 */
static int put_in_place(int claims, const char *aside, const char *name, unsigned tries, struct err *err)
{
	int code;

	if (renameat(claims, aside, claims, name))
		return err_from_errno(err, name, "can't be claimed");
	code = folder_sync(claims, err);
	/* Nothing has started: the name is given back, so that another may try when the disk is well. Meanwhile a claim's lock says
	 * that its maker lives. */
	while (code && renameat(claims, name, claims, aside) && tries-- > 0)
		nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	return code;
}

static int lock_new(int folder, struct err *err)
{
	int fd = openat(folder, "lock", O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_from_errno(err, "lock", "can't be made");
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		close(fd);
		return err_from_errno(err, "lock", "can't be locked");
	}
	return fd;
}

int claim_make(int claims, const char *name, const struct claim_owner *owner, int *ret_lock, struct err *err)
{
	char aside[ASIDE_NAME_SIZE];
	struct buf record = {0};
	int folder = make_aside(claims, aside, sizeof aside, err), lock, code;

	if (folder < 0)
		return folder;
	lock = lock_new(folder, err);
	owner_encode(owner, &record);
	code = lock < 0 ? lock : file_put(folder, "claim", record.data, record.len, 0, err);
	buf_done(&record);
	if (!code)
		code = put_in_place(claims, aside, name, GIVE_BACK_TRIES, err);
	if (!code) {
		*ret_lock = lock;
		return folder;
	}
	close(folder);
	if (lock >= 0)
		close(lock);
	folder_remove(claims, aside, NULL, NULL);
	return code;
}

int claim_bury(int claims, const char *name, const struct claim_end *end, struct err *err)
{
	char aside[ASIDE_NAME_SIZE];
	int folder = make_aside(claims, aside, sizeof aside, err), code;

	if (folder < 0)
		return folder;
	code = claim_put_end(folder, end, err);
	close(folder);
	if (!code)
		code = put_in_place(claims, aside, name, 0, err);
	if (code)
		folder_remove(claims, aside, NULL, NULL);
	return code;
}

/* ---- Looking ---- */

/* Whether a living process holds the lock. */
static bool is_locked(int folder)
{
	int fd = openat(folder, "lock", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	bool locked;

	if (fd < 0)
		return false;
	locked = flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK;
	close(fd);
	return locked;
}

static bool read_end(int folder, struct claim_end *ret)
{
	struct buf record = {0};
	bool ok = record_read(folder, "exit", &record) && end_decode(&record, ret);

	buf_done(&record);
	return ok;
}

/* The lock is looked at before the last look for an exit: a supervisor writes its exit first, and lets go of the lock after. */
static enum claim_state look_state(int folder, struct claim_end *ret_end)
{
	if (read_end(folder, ret_end))
		return CLAIM_OVER;
	if (is_locked(folder))
		return CLAIM_ALIVE;
	return read_end(folder, ret_end) ? CLAIM_OVER : CLAIM_DEAD;
}

int claim_look(int claims, const char *name, struct claim_view *ret, struct err *err)
{
	char boot[BOOT_ID_SIZE];
	struct buf record = {0};
	int folder = folder_open(claims, name, err);

	*ret = (struct claim_view){.state = CLAIM_NONE};
	if (folder == ERR_NOT_FOUND)
		return 0;
	if (folder < 0)
		return folder;
	ret->state = look_state(folder, &ret->end);
	if (record_read(folder, "claim", &record))
		owner_decode(&record, &ret->owner);
	record.len = 0;
	ret->started = record_read(folder, "started", &record) && stamp_decode(&record, &ret->started_at);
	ret->this_boot = !strcmp(process_boot_id(boot, sizeof boot), ret->owner.boot);
	buf_done(&record);
	close(folder);
	return 0;
}

/* ---- What a crash leaves ---- */

static bool is_our_thread(pid_t tid)
{
	char path[48];

	snprintf(path, sizeof path, "/proc/self/task/%d", (int)tid);
	return access(path, F_OK) == 0;
}

/* Whether a living process may be filling a folder. A lock says so by itself. Where none is held, its maker may be about to make
 * one, or may need none (a tombstone's): then its number counts, but for one that stands in a record of an earlier boot, and for
 * ours. */
static bool may_be_filled(int folder, pid_t maker)
{
	struct claim_owner owner = {0};
	struct buf record = {0};
	char boot[BOOT_ID_SIZE];
	bool earlier_boot;

	if (is_locked(folder))
		return true;
	if (record_read(folder, "claim", &record))
		owner_decode(&record, &owner);
	buf_done(&record);
	earlier_boot = owner.pid && strcmp(process_boot_id(boot, sizeof boot), owner.boot) != 0;
	return !earlier_boot && !is_our_thread(maker) && process_runs(maker);
}

/* A maker that is gone never comes back, so nobody fills the folder between the look and the removal. Returns whether it went. */
static bool remove_leftover(int claims, const char *name, pid_t maker)
{
	int folder = folder_open(claims, name, NULL);
	bool stays = folder >= 0 && may_be_filled(folder, maker);

	if (folder >= 0)
		close(folder);
	return !stays && !folder_remove(claims, name, NULL, NULL);
}

uint32_t claim_remove_leftovers(int claims)
{
	int fd = openat(claims, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	uint32_t n = 0;
	pid_t maker;

	if (!list) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	for (struct dirent *entry; n < CLAIM_LEFTOVERS_MAX && (entry = readdir(list));)
		n += maker_of_name(entry->d_name, &maker) && remove_leftover(claims, entry->d_name, maker);
	closedir(list);
	return n;
}

/* ---- Notes ---- */

int claim_put_started(int claim, const struct stamp *at, struct err *err)
{
	struct buf record = {0};
	int code;

	stamp_encode(at, &record);
	/* Not synced, for it would delay the news: once the machine goes down, it is the claim that counts. */
	code = file_put(claim, "started", record.data, record.len, 0, err);
	buf_done(&record);
	return code;
}

int claim_put_end(int claim, const struct claim_end *end, struct err *err)
{
	struct buf record = {0};
	int code;

	end_encode(end, &record);
	code = file_put(claim, "exit", record.data, record.len, FILE_DURABLE | FILE_KEEP, err);
	buf_done(&record);
	return code;
}

int claim_put_kill(int claims, const char *name, const struct claim_kill *kill, struct err *err)
{
	struct buf record = {0};
	int folder = folder_open(claims, name, err), code;

	if (folder < 0)
		return folder;
	buf_printf(&record, "cause %s\ngrace_us %" PRId64 "\n", claim_cause_word(kill->cause), kill->grace_us);
	code = file_put(folder, "kill", record.data, record.len, FILE_DURABLE | FILE_KEEP, err);
	buf_done(&record);
	close(folder);
	return code == ERR_CONFLICT ? 0 : code;
}

bool claim_read_kill(int claim, struct claim_kill *ret)
{
	struct buf record = {0};
	bool ok = record_read(claim, "kill", &record) && record_int(&record, "grace_us", &ret->grace_us) && ret->grace_us >= 0;

	ret->cause = ok ? cause_of_record(&record) : CAUSE_NONE;
	buf_done(&record);
	return ok && ret->cause != CAUSE_NONE;
}
