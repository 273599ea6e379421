/* SPDX-License-Identifier: Apache-2.0
 * path_walk.h: what openat2 does, for kernels without it (before 5.6), and where a filter of system calls doesn't know it. */
#ifndef SUAN_ENGINE_PATH_WALK_H
#define SUAN_ENGINE_PATH_WALK_H

#include "engine/files.h"

/* Beneath a folder, a path leads through at most this many; and everywhere through at most this many links. */
enum { WALK_DEPTH_MAX = 64, WALK_LINKS_MAX = 40 };

/* As path_open, with its promise and its errors, by one openat for each part. What differs: beneath a folder a path that is
 * deeper than WALK_DEPTH_MAX is ENAMETOOLONG; a user's path goes through no link at all in /proc; links in folders such as /tmp
 * are followed as with fs.protected_symlinks=1. flags: without O_PATH. */
int path_walk(int dir, const char *path, int flags, mode_t mode, enum path_rule rule);

#endif
