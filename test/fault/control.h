/* SPDX-License-Identifier: Apache-2.0
 * control.h: what a fault test and the libraries that it preloads into suand and suan-supervisor share: one mapped file, named by
 * the environment variable SUAN_FAULT. The test sets it, also while they run; the libraries count in it. */
#ifndef SUAN_TEST_FAULT_CONTROL_H
#define SUAN_TEST_FAULT_CONTROL_H

#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

enum { CONTROL_PATH = 512, CONTROL_NAME = 64, BLOCK_BYTES = 512 };

/* Whose calls count. */
enum fault_scope { SCOPE_DAEMON = 1, SCOPE_SUPERVISOR = 2 };

struct control {
	uint32_t scope; /* of the points that count, and the calls that fail */

	/* Each call that a crash could come before or after is two points. At the one numbered kill_at the process kills itself;
	 * 0: never. Where `power` is set, the whole machine goes off: every process ends at its next point. */
	_Atomic uint64_t points, kill_at;
	bool power;
	_Atomic bool off;
	char killed_call[CONTROL_NAME];                          /* which call it was at; the test empties it once it knows */
	char last_call[CONTROL_NAME], killed_what[CONTROL_NAME]; /* the same, kept; of a supervisor, its attempt */

	/* Calls on files of the state directory that could fail, and those that do: from the fail_from-th up to, not including,
	 * the fail_until-th, or until the disk is mended: so long after the first failure; 0: it isn't. */
	_Atomic uint64_t calls, fail_from, fail_until, failed;
	_Atomic int fail_errno;
	_Atomic int64_t failing_since_us;
	int64_t mended_after_us;
	char failed_call[CONTROL_NAME]; /* the first that failed */

	/* Allocations, likewise. */
	_Atomic bool heap_counts;
	_Atomic uint64_t allocations, heap_from, heap_until, heap_failed;

	_Atomic int64_t wall_offset_us; /* what the wall clock says too much */

	bool logs; /* whether `log` is written */
	char state[CONTROL_PATH], log[CONTROL_PATH], trash[CONTROL_PATH];
	_Atomic uint64_t trash_next;
	char boot_id[CONTROL_PATH]; /* a file to read instead of the kernel's boot id; "": the kernel's */
};

/* What a file or folder is known by, as statx has it: no rename changes it, and none that is made later has it, though it may get
 * the inode number of one that is gone (as on ext4). 0: there is none. */
static inline uint64_t node_at(int dir, const char *path, int flags)
{
	struct statx st;

	if (statx(dir, path, flags, STATX_INO | STATX_BTIME, &st))
		return 0;
	if (!(st.stx_mask & STATX_BTIME))
		return st.stx_ino;
	return st.stx_ino + 0x9e3779b97f4a7c15 * ((uint64_t)st.stx_btime.tv_sec * 1000000000 + st.stx_btime.tv_nsec);
}

/* The log: what has been done to files under the state directory, so that what was never synced can be undone. Records follow one
 * another, each with `len` bytes after it. */
enum entry_type {
	ENTRY_WRITE,  /* of file `node`: `len` bytes as they were at `offset`, and its size before */
	ENTRY_SYNC,   /* file or folder `node` is on disk as it is now */
	ENTRY_CREATE, /* the name in folder `node` is new: a file or a link */
	ENTRY_MKDIR,
	ENTRY_UNLINK, /* the name is gone; its file is kept as `trash` */
	ENTRY_RMDIR,
	ENTRY_RENAME, /* two names; `trash`: what had the second before, or 0; `moved`: what had the first. It may have failed */
};

struct entry {
	uint32_t type, len;
	uint64_t node, trash, moved;
	int64_t offset, size;
};

#endif
