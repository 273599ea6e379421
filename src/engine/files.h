/* SPDX-License-Identifier: Apache-2.0
 * files.h: small files that are seen whole or not at all, in folders that are named by a descriptor.
 *
 * No function here follows a symbolic link in the last part of a name. */
#ifndef SUAN_ENGINE_FILES_H
#define SUAN_ENGINE_FILES_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

enum file_flag {
	FILE_DURABLE = 1 << 0, /* on disk, and its name too, before the call returns */
	FILE_KEEP = 1 << 1,    /* one that is there stays: ERR_CONFLICT */
};

/* Fills *err from errno: what was being done to `subject` failed. Returns the code that fits: ERR_NOT_FOUND, ERR_CONFLICT,
 * ERR_DENIED, ERR_FULL, ERR_NOMEM or ERR_IO. */
int err_from_errno(struct err *err, const char *subject, const char *doing);

/* Puts a file in a folder, with mode 0600: written aside, then given its name. flags: enum file_flag. */
int file_put(int dir, const char *name, const void *bytes, size_t len, unsigned flags, struct err *err);

/* Appends a regular file's content to *ret. max: more bytes than that are ERR_TOO_LARGE. */
int file_read(int dir, const char *name, size_t max, struct buf *ret, struct err *err);

/* How far a path may lead. Links are those of the file system (symbolic) and of /proc (magic: /proc/self/fd/3). */
enum path_rule {
	PATH_BENEATH,  /* not out of dir, by .., by a link or at all; for folders in which a job can write */
	PATH_NO_LINKS, /* anywhere, and through no link: for names that we made canonical */
	PATH_OF_USER,  /* anywhere, through symbolic links too, but no magic ones: for names that a user chose */
};

/* As openat, by that rule, whatever anybody does to the folders meanwhile. O_CLOEXEC is added. Returns a descriptor, or -1 and
 * errno: ELOOP for a link, EXDEV for a way out. By openat2, or where that can't be had as path_walk.h says. */
int path_open(int dir, const char *path, int flags, mode_t mode, enum path_rule rule);

enum mark { MARK_MISSING, MARK_THERE, MARK_UNKNOWN };

/* Marks a file itself, whatever names it has, as the output of an attempt ("<job>.<attempt>"); and whether it bears that mark:
 * MARK_UNKNOWN where the file system keeps no marks (extended attributes of users). */
void file_mark(int fd, const char *attempt);
enum mark file_has_mark(int fd, const char *attempt);

/* Opens a folder; dir may be AT_FDCWD, and then the name has no link in it. Returns a descriptor, which is the caller's, or a
 * negative code. */
int folder_open(int dir, const char *name, struct err *err);

/* As folder_open, and makes it first, with mode 0700, where it isn't there. */
int folder_make(int dir, const char *name, struct err *err);

int folder_sync(int dir, struct err *err);

/* Removes what is in a folder, one level deep, but for files that `keep` says stay (NULL: none do), and folders that aren't
 * empty; then the folder, where nothing stays. What isn't there is no error, and what isn't a folder goes by itself. */
int folder_remove(int dir, const char *name, bool (*keep)(const char *name), struct err *err);

/* A line "key value" of a text record, copied into out (size bytes, always terminated). Returns whether it is there. */
bool record_text(const struct buf *record, const char *key, char *out, size_t size);
bool record_int(const struct buf *record, const char *key, int64_t *ret);

#endif
