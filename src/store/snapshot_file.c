/* SPDX-License-Identifier: Apache-2.0
 * snapshot_file.c: snapshots as files beside the journal; see snapshot_file.h.
 *
 * A file is a head and the bytes. It is written under another name, synced piece by piece so that the journal's own syncs never
 * wait behind all of it, and renamed: so a file of this name is whole, unless the disk has lost something, which the digests
 * show. */
#include "store/snapshot_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/stores.h"

enum { PIECE_BYTES = 1 << 20, NAMES_MAX = 64, HEAD_BYTES_MAX = 256 };

static const char magic[] = "suan snapshot 1\n";
static const char draft[] = "snapshot.new";
static const char prefix[] = "snapshot-";

/* ---- The files that there are ---- */

static bool read_name(const char *name, uint64_t *ret)
{
	char *end;

	if (strncmp(name, prefix, sizeof prefix - 1) != 0 || strlen(name) != sizeof prefix - 1 + 20)
		return false;
	*ret = strtoull(name + sizeof prefix - 1, &end, 10);
	return !*end;
}

static void write_name(uint64_t sequence, char name[40])
{
	snprintf(name, 40, "%s%020" PRIu64, prefix, sequence);
}

static int newest_first(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x > y ? -1 : x < y;
}

/* The sequence numbers of those in the folder, the newest first. There are SNAPSHOTS_KEPT, and a few where a crash kept the rest
 * from going. */
static int list(int dir, uint64_t sequences[NAMES_MAX], uint32_t *ret_n, struct err *err)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *handle = fd < 0 ? NULL : fdopendir(fd);
	uint32_t n = 0;

	if (!handle) {
		if (fd >= 0)
			close(fd);
		return file_failed("list the directory of the snapshots", ".", err);
	}
	for (const struct dirent *entry; n < NAMES_MAX && (entry = readdir(handle));)
		if (read_name(entry->d_name, &sequences[n]))
			n++;
	closedir(handle);
	qsort(sequences, n, sizeof *sequences, newest_first);
	*ret_n = n;
	return 0;
}

static int open_dir(const char *path, int *ret, struct err *err)
{
	*ret = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret < 0 ? file_failed("open the directory of the snapshots", path, err) : 0;
}

/* ---- Writing ---- */

static void encode_head(const struct snapshot *snapshot, struct buf *buf)
{
	struct hash hash;

	buf_put(buf, magic, sizeof magic - 1);
	buf_put_uint(buf, snapshot->sequence);
	buf_put_uint(buf, (uint64_t)snapshot->at_us);
	buf_put(buf, snapshot->chain.bytes, HASH_BYTES);
	buf_put(buf, snapshot->digest.bytes, HASH_BYTES);
	buf_put_uint(buf, snapshot->len);
	hash = hash_of(buf->data, buf->len);
	buf_put(buf, hash.bytes, HASH_BYTES);
}

static int write_all(int fd, const uint8_t *bytes, size_t len)
{
	while (len) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_pieces(int fd, const uint8_t *bytes, size_t len)
{
	for (size_t at = 0, n; at < len; at += n) {
		n = len - at < PIECE_BYTES ? len - at : PIECE_BYTES;
		if (write_all(fd, bytes + at, n) < 0 || fdatasync(fd) < 0)
			return -1;
	}
	return 0;
}

static int write_draft(int dir, const struct snapshot *snapshot, struct err *err)
{
	int fd, rc;
	struct buf head = {0};

	unlinkat(dir, draft, 0);
	fd = openat(dir, draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return file_failed("make this file", draft, err);
	encode_head(snapshot, &head);
	rc = write_all(fd, head.data, head.len);
	if (rc == 0)
		rc = write_pieces(fd, snapshot->bytes, snapshot->len);
	rc = rc == 0 && fsync(fd) == 0 ? 0 : file_failed("write this file", draft, err);
	buf_done(&head);
	close(fd);
	if (rc < 0)
		unlinkat(dir, draft, 0);
	return rc;
}

/* Those that are too many, and those beyond the newest, which can only be of another journal. */
static void prune(int dir, uint64_t newest)
{
	uint64_t sequences[NAMES_MAX];
	uint32_t n = 0, kept = 0;
	char name[40];

	if (list(dir, sequences, &n, NULL) < 0)
		return;
	for (uint32_t i = 0; i < n; i++) {
		if (sequences[i] <= newest && kept++ < SNAPSHOTS_KEPT)
			continue;
		write_name(sequences[i], name);
		unlinkat(dir, name, 0);
	}
}

int snapshot_file_put(const char *path, const struct snapshot *snapshot, struct err *err)
{
	char name[40];
	int dir, code = open_dir(path, &dir, err);

	if (code < 0)
		return code;
	write_name(snapshot->sequence, name);
	code = write_draft(dir, snapshot, err);
	if (!code && (renameat(dir, draft, dir, name) < 0 || fsync(dir) < 0))
		code = file_failed("rename this file", name, err);
	if (!code)
		prune(dir, snapshot->sequence);
	close(dir);
	return code;
}

/* ---- Reading ---- */

static int read_head(struct reader *r, struct snapshot *ret)
{
	const uint8_t *begin = r->at;
	const void *start = read_bytes(r, sizeof magic - 1), *chain, *digest, *hash;
	struct hash expected;

	if (!start || memcmp(start, magic, sizeof magic - 1) != 0)
		return ERR_CORRUPT;
	*ret = (struct snapshot){.sequence = read_uint(r), .at_us = (us_t)read_uint_max(r, US_NEVER - 1)};
	chain = read_bytes(r, HASH_BYTES);
	digest = read_bytes(r, HASH_BYTES);
	ret->len = read_uint(r);
	expected = hash_of(begin, (size_t)(r->at - begin));
	hash = read_bytes(r, HASH_BYTES);
	if (r->bad || memcmp(hash, expected.bytes, HASH_BYTES) != 0 || ret->len != (size_t)(r->end - r->at))
		return ERR_CORRUPT;
	memcpy(ret->chain.bytes, chain, HASH_BYTES);
	memcpy(ret->digest.bytes, digest, HASH_BYTES);
	return 0;
}

/* Reads what is left of a file into memory of its size. */
static int read_file(int fd, struct buf *ret)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -1;
	ret->cap = (size_t)st.st_size + 1;
	ret->data = malloc(ret->cap);
	if (!ret->data)
		return -1;
	while (ret->len < (size_t)st.st_size) {
		ssize_t n = read(fd, ret->data + ret->len, (size_t)st.st_size - ret->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -1 : 0;
		ret->len += (size_t)n;
	}
	return 0;
}

static int take_file(const struct buf *file, const char *name, struct snapshot *ret, struct buf *bytes, struct err *err)
{
	struct reader r = reader_of(file->data, file->len);
	struct snapshot head;
	struct hash digest;

	if (read_head(&r, &head) < 0)
		return err_set(err, ERR_CORRUPT, "snapshot", "%s: its head isn't what was written", name);
	digest = hash_of(r.at, head.len);
	if (memcmp(digest.bytes, head.digest.bytes, HASH_BYTES) != 0)
		return err_set(err, ERR_CORRUPT, "snapshot", "%s: its bytes aren't what was written", name);
	buf_put(bytes, r.at, head.len);
	*ret = head;
	return 0;
}

static int get_named(int dir, const char *name, struct snapshot *ret, struct buf *bytes, struct err *err)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), code;
	struct buf file = {0};

	if (fd < 0)
		return file_failed("open this file", name, err);
	code = read_file(fd, &file) < 0 ? file_failed("read this file", name, err) : take_file(&file, name, ret, bytes, err);
	buf_done(&file);
	close(fd);
	return code;
}

int snapshot_file_get(const char *path, uint32_t nth, struct snapshot *ret, struct buf *bytes, struct err *err)
{
	uint64_t sequences[NAMES_MAX];
	uint32_t n = 0;
	char name[40];
	int dir, code = open_dir(path, &dir, err);

	if (code < 0)
		return code;
	code = list(dir, sequences, &n, err);
	if (!code && nth >= n)
		code = err_set(err, ERR_NOT_FOUND, "snapshot", "there is none");
	if (!code) {
		write_name(sequences[nth], name);
		code = get_named(dir, name, ret, bytes, err);
		if (!code && ret->sequence != sequences[nth])
			code = err_set(err, ERR_CORRUPT, "snapshot", "%s: it says that it is after event %" PRIu64, name, ret->sequence);
	}
	close(dir);
	return code;
}
