/* SPDX-License-Identifier: Apache-2.0
 * path_walk.c: a path, part by part; see path_walk.h.
 *
 * The kernel never resolves more than one part for us, and follows no link: each part is opened in the folder that the parts
 * before it led to, by descriptor. So whoever renames folders or puts links in their place changes what a part is, never where
 * its name is looked up. Beneath a folder, those that the path went through stay open: ".." is the one before, and not what the
 * file system says, for a folder may be moved out meanwhile. */
#include "engine/path_walk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

struct walk {
	enum path_rule rule;
	int dir; /* where it begins; not ours to close */
	int held[WALK_DEPTH_MAX];
	uint32_t n; /* of `held`: the last one is where it is. Only beneath a folder more than one. */
	uint32_t n_links;
	char path[PATH_MAX]; /* what is still to go, from `at` on */
	const char *at;
};

static int here(const struct walk *w)
{
	return w->n ? w->held[w->n - 1] : w->dir;
}

/* Goes into a folder, which is the walk's from now on. */
static int enter(struct walk *w, int fd)
{
	if (fd < 0)
		return -1;
	if (w->rule != PATH_BENEATH && w->n)
		close(w->held[--w->n]);
	if (w->n == WALK_DEPTH_MAX) {
		close(fd);
		errno = ENAMETOOLONG;
		return -1;
	}
	w->held[w->n++] = fd;
	return 0;
}

static int enter_parent(struct walk *w)
{
	if (w->rule != PATH_BENEATH)
		return enter(w, openat(here(w), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
	if (!w->n) {
		errno = EXDEV;
		return -1;
	}
	close(w->held[--w->n]);
	return 0;
}

/* ---- Links ---- */

/* Opens a part that is a symbolic link, as the link. -1: it isn't one; errno stays. */
static int open_link(int dir, const char *name)
{
	int saved = errno, fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) || !S_ISLNK(st.st_mode))) {
		close(fd);
		fd = -1;
	}
	errno = saved;
	return fd;
}

/* Whether a user's path may go through a link: not those of /proc, which needn't lead where they say, nor one that somebody else
 * put in a folder that everybody shares. Sets errno where it may not. */
static bool may_follow(int dir, int link)
{
	struct stat folder, st;
	struct statfs fs;

	if (fstatfs(link, &fs) || fstat(link, &st) || fstat(dir, &folder))
		return false;
	errno = ELOOP;
	if (fs.f_type == PROC_SUPER_MAGIC)
		return false;
	errno = EACCES;
	return (folder.st_mode & (S_ISVTX | S_IWOTH)) != (S_ISVTX | S_IWOTH) || st.st_uid == geteuid() || st.st_uid == folder.st_uid;
}

/* Puts what a link says before what is still to go; where it isn't the last part, it must be a folder, whatever comes then. */
static int put_before(struct walk *w, int link, bool inner)
{
	char path[PATH_MAX];
	ssize_t len = readlinkat(link, "", path, sizeof path);
	size_t rest = strlen(w->at);

	if (len == 0)
		errno = ENOENT;
	if (len <= 0)
		return -1;
	if ((size_t)len + rest + 2 > sizeof path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (inner)
		path[len++] = '/';
	memcpy(path + len, w->at, rest + 1);
	memcpy(w->path, path, (size_t)len + rest + 1);
	w->at = w->path;
	return *w->at == '/' ? enter(w, open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)) : 0;
}

/* Goes on where a link leads, if the rule has it. Closes the link. */
static int follow(struct walk *w, int link, bool inner)
{
	int failed = -1;

	if (w->rule != PATH_OF_USER || w->n_links++ == WALK_LINKS_MAX)
		errno = ELOOP;
	else if (may_follow(here(w), link))
		failed = put_before(w, link, inner);
	close(link);
	return failed;
}

/* ---- Parts ---- */

/* A part that others follow. */
static int enter_part(struct walk *w, const char *name)
{
	int fd, link;

	if (!strcmp(name, "."))
		return 0;
	if (!strcmp(name, ".."))
		return enter_parent(w);
	fd = openat(here(w), name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 || (errno != ENOTDIR && errno != ELOOP))
		return enter(w, fd);
	link = open_link(here(w), name);
	return link < 0 ? -1 : follow(w, link, true);
}

/* The last part. Returns the descriptor; -1 with *ret_more set where it is a link, which the walk follows now. */
static int open_last(struct walk *w, const char *name, int flags, mode_t mode, bool *ret_more)
{
	int fd, link;

	if (!strcmp(name, "..")) {
		if (enter_parent(w))
			return -1;
		name = ".";
	}
	fd = openat(here(w), name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd >= 0 || (errno != ELOOP && errno != ENOTDIR) || flags & O_NOFOLLOW)
		return fd;
	link = open_link(here(w), name);
	if (link >= 0)
		*ret_more = !follow(w, link, false);
	return -1;
}

/* Takes the next part of what is to go. Returns whether others follow; after a slash at the end "." does. */
static bool take_part(struct walk *w, char name[PATH_MAX])
{
	size_t len = strcspn(w->at, "/");
	bool inner = w->at[len] == '/';

	memcpy(name, w->at, len);
	strcpy(name + len, len ? "" : ".");
	w->at += len;
	w->at += strspn(w->at, "/");
	return inner;
}

static int walk_parts(struct walk *w, int flags, mode_t mode)
{
	char name[PATH_MAX];

	for (;;) {
		bool more = false;
		int fd = -1;

		if (take_part(w, name))
			more = !enter_part(w, name);
		else
			fd = open_last(w, name, flags, mode, &more);
		if (!more)
			return fd;
	}
}

static int begin(struct walk *w, const char *path)
{
	size_t len = strlen(path);

	w->at = w->path;
	errno = !len ? ENOENT : len >= sizeof w->path ? ENAMETOOLONG : EXDEV;
	if (!len || len >= sizeof w->path || (path[0] == '/' && w->rule == PATH_BENEATH))
		return -1;
	memcpy(w->path, path, len + 1);
	return path[0] == '/' ? enter(w, open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)) : 0;
}

int path_walk(int dir, const char *path, int flags, mode_t mode, enum path_rule rule)
{
	struct walk w = {.rule = rule, .dir = dir};
	int fd, saved;

	assert(!(flags & O_PATH)); /* it would open a link as a link */
	fd = begin(&w, path) ? -1 : walk_parts(&w, flags, mode);
	saved = errno;
	while (w.n)
		close(w.held[--w.n]);
	errno = saved;
	return fd;
}
