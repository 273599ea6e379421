/* SPDX-License-Identifier: Apache-2.0
 * image.c: torn images; see image.h. Files and folders are known by node_at(). */
#include "image.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/rng.h"

struct record {
	struct entry entry;
	const unsigned char *bytes;
	bool synced; /* nothing before a sync can be lost */
};

struct log {
	struct buf bytes;
	struct record *records;
	size_t n;
};

/* ---- Reading the log ---- */

static bool read_whole(const char *path, struct buf *ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char piece[65536];
	ssize_t n;

	if (fd < 0)
		return false;
	while ((n = read(fd, piece, sizeof piece)) > 0)
		buf_put(ret, piece, (size_t)n);
	close(fd);
	return n == 0;
}

static void read_log(const char *path, struct log *log)
{
	size_t at = 0, cap = 0;

	*log = (struct log){0};
	read_whole(path, &log->bytes);
	while (at + sizeof(struct entry) <= log->bytes.len) {
		struct record record = {.bytes = log->bytes.data + at + sizeof(struct entry)};

		memcpy(&record.entry, log->bytes.data + at, sizeof record.entry);
		at += sizeof record.entry + record.entry.len;
		if (at > log->bytes.len)
			break;
		if (log->n == cap) {
			cap = cap ? cap * 2 : 256;
			log->records = realloc(log->records, cap * sizeof *log->records);
			if (!log->records)
				abort();
		}
		log->records[log->n++] = record;
	}
}

static void mark_synced(struct log *log)
{
	for (size_t i = 0; i < log->n; i++)
		for (size_t j = 0; log->records[i].entry.type == ENTRY_SYNC && j < i; j++)
			if (log->records[j].entry.node == log->records[i].entry.node)
				log->records[j].synced = true;
}

/* ---- Names ---- */

/* Where a file or folder is now, below `path`. */
static bool find_node(const char *path, uint64_t node, char *out, size_t size)
{
	struct stat st;
	bool found;
	DIR *list;

	if (lstat(path, &st))
		return false;
	if (node_at(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW) == node)
		return snprintf(out, size, "%s", path) < (int)size;
	list = S_ISDIR(st.st_mode) ? opendir(path) : NULL;
	if (!list)
		return false;
	found = false;
	for (struct dirent *entry; !found && (entry = readdir(list));) {
		char below[PATH_MAX];

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
		    snprintf(below, sizeof below, "%s/%s", path, entry->d_name) >= (int)sizeof below)
			continue;
		found = find_node(below, node, out, size);
	}
	closedir(list);
	return found;
}

static void remove_below(const char *path)
{
	DIR *list = opendir(path);

	for (struct dirent *entry; list && (entry = readdir(list));) {
		char below[PATH_MAX];

		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    snprintf(below, sizeof below, "%s/%s", path, entry->d_name) < (int)sizeof below && unlink(below))
			remove_below(below);
	}
	if (list)
		closedir(list);
	rmdir(path);
}

/* Where the process ended before it did what it had logged, the name is there already. */
static void put_back(const char *kept, const char *path)
{
	if (link(kept, path))
		return;
}

/* Only where what was moved is what has the new name. A rename that failed was logged too: that of a claimant that lost names the
 * winner's claim, which may be synced, and stays. */
static void undo_rename(uint64_t moved, const char *from, const char *to, const char *kept)
{
	if (node_at(AT_FDCWD, to, AT_SYMLINK_NOFOLLOW) != moved)
		return;
	if (!rename(to, from) && kept[0])
		put_back(kept, to);
}

static void undo_name(const struct control *control, const struct record *record)
{
	const char *name = (const char *)record->bytes, *second = name + strlen(name) + 1;
	char folder[PATH_MAX], path[PATH_MAX + 256], to[PATH_MAX + 256], kept[CONTROL_PATH + 32] = "";

	if (!find_node(control->state, record->entry.node, folder, sizeof folder))
		return;
	snprintf(path, sizeof path, "%s/%s", folder, name);
	if (record->entry.trash)
		snprintf(kept, sizeof kept, "%s/%lu", control->trash, (unsigned long)record->entry.trash);
	switch (record->entry.type) {
	case ENTRY_CREATE: unlink(path); break;
	case ENTRY_MKDIR: remove_below(path); break;
	case ENTRY_RMDIR: mkdir(path, 0700); break;
	case ENTRY_UNLINK: put_back(kept, path); break;
	case ENTRY_RENAME:
		snprintf(to, sizeof to, "%s/%s", folder, second);
		undo_rename(record->entry.moved, path, to, kept);
		break;
	default: break;
	}
}

static bool is_name(const struct record *record)
{
	return record->entry.type >= ENTRY_CREATE;
}

static void undo_names(const struct control *control, const struct log *log, struct rng *rng, struct image *ret)
{
	unsigned kept;

	for (size_t i = 0; i < log->n; i++)
		ret->names_unsynced += is_name(&log->records[i]) && !log->records[i].synced;
	kept = (unsigned)rng_below(rng, ret->names_unsynced + 1);
	ret->names_undone = ret->names_unsynced - kept;
	for (size_t i = log->n, left = ret->names_undone; i-- > 0 && left;) {
		if (!is_name(&log->records[i]) || log->records[i].synced)
			continue;
		undo_name(control, &log->records[i]);
		left--;
	}
}

/* ---- Contents ---- */

static void resize(struct buf *buf, size_t len)
{
	static const unsigned char zeros[4096];

	while (buf->len < len)
		buf_put(buf, zeros, len - buf->len < sizeof zeros ? len - buf->len : sizeof zeros);
	buf->len = len;
}

/* Takes back what was written to a file since it was synced, the last write first. */
static void rewind_file(const struct log *log, uint64_t node, struct buf *old)
{
	for (size_t i = log->n; i-- > 0;) {
		const struct record *record = &log->records[i];

		if (record->entry.type != ENTRY_WRITE || record->entry.node != node || record->synced)
			continue;
		resize(old, (size_t)record->entry.size);
		if ((size_t)record->entry.offset + record->entry.len <= old->len && record->entry.len)
			memcpy(old->data + record->entry.offset, record->bytes, record->entry.len);
	}
}

/* By a coin for each block: as it is now, or as it was. */
static void mix(struct buf *now, struct buf *old, struct rng *rng, struct image *ret)
{
	size_t size = rng_below(rng, 2) ? now->len : old->len, most = now->len > old->len ? now->len : old->len;

	resize(now, most);
	resize(old, most);
	for (size_t at = 0; at < most; at += BLOCK_BYTES) {
		size_t n = most - at < BLOCK_BYTES ? most - at : BLOCK_BYTES;

		if (!memcmp(now->data + at, old->data + at, n))
			continue;
		ret->blocks_unsynced++;
		if (rng_below(rng, 2))
			continue;
		ret->blocks_undone++;
		memcpy(now->data + at, old->data + at, n);
	}
	now->len = size;
}

static void write_whole(const char *path, const struct buf *bytes)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0 || (bytes->len && write(fd, bytes->data, bytes->len) != (ssize_t)bytes->len))
		perror("image: a file can't be written");
	if (fd >= 0)
		close(fd);
}

static void tear_file(const struct control *control, const struct log *log, uint64_t node, struct rng *rng, struct image *ret)
{
	struct buf now = {0}, old = {0};
	char path[PATH_MAX];

	if (find_node(control->state, node, path, sizeof path) && read_whole(path, &now)) {
		buf_put(&old, now.len ? (const void *)now.data : "", now.len);
		rewind_file(log, node, &old);
		mix(&now, &old, rng, ret);
		write_whole(path, &now);
		ret->files++;
	}
	buf_done(&now);
	buf_done(&old);
}

static bool is_first_of(const struct log *log, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (log->records[i].entry.type == ENTRY_WRITE && !log->records[i].synced &&
		    log->records[i].entry.node == log->records[at].entry.node)
			return false;
	return true;
}

void image_tear(const struct control *control, uint64_t seed, struct image *ret)
{
	struct rng rng = {.state = rng_mix(seed)};
	struct log log;

	*ret = (struct image){0};
	read_log(control->log, &log);
	mark_synced(&log);
	undo_names(control, &log, &rng, ret);
	for (size_t i = 0; i < log.n; i++)
		if (log.records[i].entry.type == ENTRY_WRITE && !log.records[i].synced && is_first_of(&log, i))
			tear_file(control, &log, log.records[i].entry.node, &rng, ret);
	free(log.records);
	buf_done(&log.bytes);
	unlink(control->log);
}
