/* SPDX-License-Identifier: Apache-2.0
 * stores.h: the stores that there are, and what belongs beside them: who owns a state directory, and
 * whether a journal is whole. The contract of each is port/store.h. */
#ifndef SUAN_STORE_STORES_H
#define SUAN_STORE_STORES_H

#include <stdbool.h>

#include "port/store.h"

/* Opens a store for the one daemon that appends to it; makes what is missing.
 * where: a directory, or sqlite:DIRECTORY, for SQLite in DIRECTORY/journal.db (the directory is made 0700, every file in it
 * 0600); memory: for one that is gone when it is closed. The caller holds state_lock on the directory.
 * Returns 0; ERR_INVALID (not a store, or a URL with a password), ERR_UNSUPPORTED (a newer schema, or a kind of store that isn't
 * built in), ERR_CORRUPT, ERR_DENIED or ERR_IO; then *ret is as before. */
int store_open(const char *where, struct store **ret, struct err *err);

/* The same for looking at it, also beside a daemon that appends: nothing is made (ERR_NOT_FOUND), and append and erase are
 * ERR_DENIED. */
int store_open_reader(const char *where, struct store **ret, struct err *err);

/* The directory that `where` names for SQLite, to lock before store_open; NULL where it names none. Borrowed from `where`. */
const char *store_directory(const char *where);

/* Bounds what a store may take on its device: an append that would pass it is ERR_FULL. bytes: 0 for no bound. It is rounded
 * up to whole pages, and one that is below what is there already lets nothing more in. */
int store_limit(struct store *store, uint64_t bytes, struct err *err);

/* Makes the caller the one owner of a state directory, until *ret_fd is closed or the process ends, however it ends.
 * dir: made 0700 where it is missing. The file is dir/lock and holds the owner's process id.
 * Returns 0, ERR_CONFLICT (another process owns it; the text has its id), ERR_DENIED or ERR_IO. */
int state_lock(const char *dir, int *ret_fd, struct err *err);

/* Walks the whole journal: batches follow each other without a gap, time never goes back, and each hash is that of
 * journal.h. *ret_last (may be NULL) gets the last good batch, without its events (sequence 0: none), also on failure.
 * Returns 0, or ERR_CORRUPT with the first bad batch's events in the text, or what reading failed with.
 * Cost: reads and hashes every byte. */
int journal_verify(struct store *store, struct batch *ret_last, struct err *err);

/* The same against the anchors of *walk, which is otherwise all zero, and stands at the last good event after it. */
int journal_verify_walk(struct store *store, struct journal_walk *walk, struct err *err);

/* ---- One by one; store_open chooses ---- */

int memory_store_open(struct store **ret, struct err *err);
int sqlite_store_open(const char *dir, bool reader, struct store **ret, struct err *err);
int memory_store_limit(struct store *store, uint64_t bytes, struct err *err);
int sqlite_store_limit(struct store *store, uint64_t bytes, struct err *err);

/* Fills *err from errno: what couldn't be done to which file. */
int file_failed(const char *what, const char *path, struct err *err);

/* Makes a directory with mode 0700 where there is none (its parents must be there). Returns 0, ERR_INVALID where something else
 * is there, ERR_DENIED (also where it is somebody else's, or others may write in it) or ERR_IO. */
int state_dir(const char *dir, struct err *err);

#endif
