/* SPDX-License-Identifier: Apache-2.0
 * state.c: the state directory, and that one process at a time owns it; see stores.h.
 *
 * The lock is flock's, on an open file: the kernel drops it when the owner ends, also by SIGKILL, so a stale one can't stay. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/stores.h"

enum { LOCK_TRIES = 50 };

int file_failed(const char *what, const char *path, struct err *err)
{
	static const struct {
		int number, code;
	} codes[] = {
		{ENOENT, ERR_NOT_FOUND}, {EACCES, ERR_DENIED}, {EPERM, ERR_DENIED}, {EROFS, ERR_DENIED},
		{ELOOP, ERR_DENIED},     {ENOSPC, ERR_FULL},   {EDQUOT, ERR_FULL},  {ENOTDIR, ERR_INVALID},
	};
	int code = ERR_IO;

	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		if (codes[i].number == errno)
			code = codes[i].code;
	return err_set(err, code, "state", "%.400s: can't %s: %s", path, what, strerror(errno));
}

int state_dir(const char *dir, struct err *err)
{
	struct stat st;

	if (mkdir(dir, 0700) == 0)
		return 0;
	if (errno != EEXIST)
		return file_failed("make this directory", dir, err);
	if (stat(dir, &st) < 0)
		return file_failed("look at this directory", dir, err);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ERR_INVALID, "state", "%.400s: not a directory", dir);
	/* Who can write here can put another journal, another token, or other scripts of jobs in place. */
	if (st.st_uid != geteuid())
		return err_set(err, ERR_DENIED, "state", "%.400s: belongs to user %u: expected a directory of user %u's own", dir,
		               st.st_uid, geteuid());
	if (st.st_mode & 022)
		return err_set(err, ERR_DENIED, "state", "%.400s: others may write in it (mode %04o): expected 0700; chmod 700 mends it",
		               dir, st.st_mode & 07777);
	return 0;
}

/* That the directory has a name must outlast a loss of power, like what is in it. Where its parent may not be read, nothing can
 * be done about that. */
static void sync_name(const char *dir)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof path, "%s/..", dir);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

static int say_owner(int fd, const char *dir, struct err *err)
{
	char text[24] = "";
	ssize_t n = pread(fd, text, sizeof text - 1, 0);

	return err_set(err, ERR_CONFLICT, "state", "%.400s: in use by another suand, process %ld", dir, n > 0 ? atol(text) : 0);
}

/* The lock holds without it: where the disk is full, others are only told of process 0. */
static void write_owner(int fd)
{
	if (ftruncate(fd, 0) == 0 && dprintf(fd, "%ld\n", (long)getpid()) < 0)
		return;
}

/* What a daemon that was killed was just about to start may have its lock for a moment longer, until it is another program. */
static int lock_patiently(int fd)
{
	for (int tries = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; tries++) {
		if (errno != EWOULDBLOCK || tries == LOCK_TRIES)
			return -1;
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	return 0;
}

int state_lock(const char *dir, int *ret_fd, struct err *err)
{
	char path[4096];
	int fd, n = snprintf(path, sizeof path, "%s/lock", dir), code = state_dir(dir, err);

	if (code < 0)
		return code;
	if (n >= (int)sizeof path)
		return err_set(err, ERR_INVALID, "state", "the directory's name is longer than %zu bytes", sizeof path - 6);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return file_failed("open this file", path, err);
	if (lock_patiently(fd) < 0) {
		code = errno == EWOULDBLOCK ? say_owner(fd, dir, err) : file_failed("lock this file", path, err);
		close(fd);
		return code;
	}
	write_owner(fd);
	sync_name(dir);
	*ret_fd = fd;
	return 0;
}
