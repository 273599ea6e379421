/* SPDX-License-Identifier: Apache-2.0
 * files.c: small files, whole or not at all; see files.h. */
#include "engine/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "engine/path_walk.h"

int err_from_errno(struct err *err, const char *subject, const char *doing)
{
	static const struct {
		int number, code;
	} codes[] = {{ENOENT, ERR_NOT_FOUND}, {EEXIST, ERR_CONFLICT}, {ENOTEMPTY, ERR_CONFLICT}, {EACCES, ERR_DENIED},
	             {EPERM, ERR_DENIED},     {ENOSPC, ERR_FULL},     {EDQUOT, ERR_FULL},        {ENOMEM, ERR_NOMEM}};
	int number = errno, code = ERR_IO;

	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		if (codes[i].number == number)
			code = codes[i].code;
	return err_set(err, code, subject, "%s: %s", doing, strerror(number));
}

static int write_all(int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_aside(int dir, const char *name, const void *bytes, size_t len, unsigned flags)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600), failed;

	if (fd < 0)
		return -1;
	failed = write_all(fd, bytes, len) || ((flags & FILE_DURABLE) && fdatasync(fd));
	if (failed) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	return close(fd);
}

/* A rename replaces, a link doesn't. */
static int give_name(int dir, const char *aside, const char *name, unsigned flags)
{
	if (flags & FILE_KEEP)
		return linkat(dir, aside, dir, name, 0);
	return renameat(dir, aside, dir, name);
}

int file_put(int dir, const char *name, const void *bytes, size_t len, unsigned flags, struct err *err)
{
	char aside[80];
	int code = 0;

	snprintf(aside, sizeof aside, ".%.48s.%d", name, (int)gettid());
	if (write_aside(dir, aside, bytes, len, flags))
		code = err_from_errno(err, name, "can't be written");
	else if (give_name(dir, aside, name, flags))
		code = err_from_errno(err, name, "can't be put in place");
	if (code || (flags & FILE_KEEP))
		unlinkat(dir, aside, 0);
	if (!code && (flags & FILE_DURABLE))
		code = folder_sync(dir, err);
	return code;
}

int file_read(int dir, const char *name, size_t max, struct buf *ret, struct err *err)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK), code = 0;
	size_t before = ret->len;
	struct stat st;

	if (fd < 0)
		return err_from_errno(err, name, "can't be opened");
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		code = err_set(err, ERR_IO, name, "not a regular file");
	while (!code) {
		char chunk[4096];
		ssize_t n = read(fd, chunk, sizeof chunk);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			code = err_from_errno(err, name, "can't be read");
		if (n <= 0)
			break;
		if (ret->len - before + (size_t)n > max)
			code = err_set(err, ERR_TOO_LARGE, name, "over %zu bytes", max);
		else
			buf_put(ret, chunk, (size_t)n);
	}
	close(fd);
	if (code)
		ret->len = before;
	return code;
}

int path_open(int dir, const char *path, int flags, mode_t mode, enum path_rule rule)
{
	static const uint64_t rules[] = {
		[PATH_BENEATH] = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
		[PATH_NO_LINKS] = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
		[PATH_OF_USER] = RESOLVE_NO_MAGICLINKS,
	};
	struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC), .mode = flags & O_CREAT ? mode : 0, .resolve = rules[rule]};
	int fd;

	/* Somebody renames folders just now: the kernel can't tell where the path leads. */
	for (int i = 0; (fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof how)) < 0 && errno == EAGAIN && i < 100; i++)
		;
	/* An old kernel, or a filter of system calls that doesn't know it (seccomp, valgrind). EPERM may be the file's own: then the
	 * walk says so again. */
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		return path_walk(dir, path, flags, mode, rule);
	return fd;
}

static const char mark_name[] = "user.suan.output";

void file_mark(int fd, const char *attempt)
{
	/* Where it can't be marked, file_has_mark() says that nobody knows. */
	if (fsetxattr(fd, mark_name, attempt, strlen(attempt), 0))
		return;
}

enum mark file_has_mark(int fd, const char *attempt)
{
	char value[64];
	ssize_t len = fgetxattr(fd, mark_name, value, sizeof value);

	if (len < 0)
		return errno == ENODATA || errno == ERANGE ? MARK_MISSING : MARK_UNKNOWN;
	return (size_t)len == strlen(attempt) && !memcmp(value, attempt, (size_t)len) ? MARK_THERE : MARK_MISSING;
}

int folder_open(int dir, const char *name, struct err *err)
{
	enum path_rule rule = dir == AT_FDCWD ? PATH_NO_LINKS : PATH_BENEATH;
	int fd = path_open(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, rule);

	return fd >= 0 ? fd : err_from_errno(err, name, "can't be opened");
}

int folder_make(int dir, const char *name, struct err *err)
{
	if (mkdirat(dir, name, 0700) && errno != EEXIST)
		return err_from_errno(err, name, "can't be made");
	return folder_open(dir, name, err);
}

int folder_sync(int dir, struct err *err)
{
	return fsync(dir) ? err_from_errno(err, NULL, "a folder can't be synced") : 0;
}

int folder_remove(int dir, const char *name, bool (*keep)(const char *name), struct err *err)
{
	int fd = folder_open(dir, name, err), number = errno;
	DIR *list;

	if (fd == ERR_NOT_FOUND)
		return 0;
	if (fd < 0 && (number == ELOOP || number == ENOTDIR)) /* something else was put in its place: that goes, not what it names */
		return unlinkat(dir, name, 0) && errno != ENOENT ? err_from_errno(err, name, "can't be removed") : 0;
	if (fd < 0)
		return fd;
	list = fdopendir(fd);
	if (!list) {
		close(fd);
		return err_from_errno(err, name, "can't be listed");
	}
	for (struct dirent *entry; (entry = readdir(list));) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") || (keep && keep(entry->d_name)))
			continue;
		if (unlinkat(fd, entry->d_name, 0) && errno == EISDIR)
			unlinkat(fd, entry->d_name, AT_REMOVEDIR);
	}
	closedir(list);
	if (unlinkat(dir, name, AT_REMOVEDIR) && errno != ENOTEMPTY && errno != EEXIST && errno != ENOENT)
		return err_from_errno(err, name, "can't be removed");
	return 0;
}

/* The value of the line that begins with "key ", up to its end. */
static const char *find_value(const struct buf *record, const char *key, size_t *ret_len)
{
	const char *at = (const char *)record->data, *end = at + record->len;
	size_t key_len = strlen(key);

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *stop = newline ? newline : end;

		if ((size_t)(stop - at) > key_len && !memcmp(at, key, key_len) && at[key_len] == ' ') {
			*ret_len = (size_t)(stop - at) - key_len - 1;
			return at + key_len + 1;
		}
		at = newline ? newline + 1 : end;
	}
	return NULL;
}

bool record_text(const struct buf *record, const char *key, char *out, size_t size)
{
	size_t len;
	const char *value = record->len ? find_value(record, key, &len) : NULL;

	if (!value || memchr(value, 0, len))
		return false;
	snprintf(out, size, "%.*s", (int)(len < size ? len : size - 1), value);
	return true;
}

bool record_int(const struct buf *record, const char *key, int64_t *ret)
{
	char text[32], *end;
	long long value;

	if (!record_text(record, key, text, sizeof text))
		return false;
	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno || end == text || *end)
		return false;
	*ret = value;
	return true;
}
