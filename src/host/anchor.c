/* SPDX-License-Identifier: Apache-2.0
 * anchor.c: signed points of the chain in a file outside the store; see anchor.h. */
#include "host/anchor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

enum { FILE_BYTES_MAX = 1 << 30, HEX_SIGNATURE = 2 * crypto_sign_BYTES };

static const char word[] = "suan-anchor-1";

static int fail(struct err *err, const char *doing, const char *path)
{
	int code = errno == ENOSPC || errno == EDQUOT  ? ERR_FULL
	           : errno == ENOENT                   ? ERR_NOT_FOUND
	           : errno == EACCES || errno == EPERM ? ERR_DENIED
	                                               : ERR_IO;

	return err_set(err, code, "anchors", "%.400s: can't %s: %s", path, doing, strerror(errno));
}

/* ---- Files ---- */

static int read_all(int fd, struct buf *ret)
{
	uint8_t piece[65536];
	ssize_t n;

	while ((n = pread(fd, piece, sizeof piece, (off_t)ret->len)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		buf_put(ret, piece, (size_t)n);
		if (ret->len > FILE_BYTES_MAX) {
			errno = EFBIG;
			return -1;
		}
	}
	return 0;
}

static int sync_dir_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash ? mem_strdup(path) : mem_strdup(".");
	int fd, rc;

	if (slash)
		dir[slash == path ? 1 : slash - path] = 0;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = fd < 0 ? -1 : fsync(fd);
	if (fd >= 0)
		close(fd);
	free(dir);
	return rc;
}

/* Writes a small new file by way of a rename, so that nobody reads half of one. */
static int write_file(const char *path, const char *text, struct err *err)
{
	struct buf draft = {0};
	size_t len = strlen(text);
	int fd, code = 0;

	buf_printf(&draft, "%s.new", path);
	unlink((char *)draft.data);
	fd = open((char *)draft.data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || write(fd, text, len) != (ssize_t)len || fsync(fd) < 0 || rename((char *)draft.data, path) < 0 ||
	    sync_dir_of(path) < 0)
		code = fail(err, "write this file", path);
	if (fd >= 0)
		close(fd);
	buf_done(&draft);
	return code;
}

/* ---- The key ---- */

/* Reads so many bytes that a file holds as one line of hex digits. */
static int read_hex(const char *path, bool is_secret, uint8_t *ret, size_t size, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | (is_secret ? O_NOFOLLOW : 0)), code = 0;
	struct buf text = {0};
	struct stat st;
	size_t len = 0;

	if (fd < 0)
		return fail(err, "open this file", path);
	if (fstat(fd, &st) < 0 || read_all(fd, &text) < 0)
		code = fail(err, "read this file", path);
	else if (is_secret && st.st_mode & 077)
		code = err_set(err, ERR_DENIED, "anchors", "%.400s: others may read it; expected mode 0600", path);
	else if (sodium_hex2bin(ret, size, (char *)text.data, text.len, "\n", &len, NULL) < 0 || len != size)
		code = err_set(err, ERR_INVALID, "anchors", "%.400s: expected %zu hex digits", path, 2 * size);
	if (text.data)
		sodium_memzero(text.data, text.len);
	buf_done(&text);
	close(fd);
	return code;
}

int anchor_key_read(const char *path, uint8_t key[ANCHOR_KEY_BYTES], struct err *err)
{
	return read_hex(path, false, key, ANCHOR_KEY_BYTES, err);
}

static int write_hex(const char *path, const uint8_t *bytes, size_t size, struct err *err)
{
	char text[2 * ANCHOR_SECRET_BYTES + 2];
	int code;

	sodium_bin2hex(text, sizeof text, bytes, size);
	strcat(text, "\n");
	code = write_file(path, text, err);
	sodium_memzero(text, sizeof text);
	return code;
}

/* The key of a state directory, made where there is none; its public half is written down beside it. */
static int load_key(const char *state_dir, uint8_t secret[ANCHOR_SECRET_BYTES], struct err *err)
{
	struct buf path = {0}, public_path = {0};
	uint8_t key[ANCHOR_KEY_BYTES], known[ANCHOR_KEY_BYTES];
	int code;

	buf_printf(&path, "%s/anchor.key", state_dir);
	buf_printf(&public_path, "%s/anchor.pub", state_dir);
	code = read_hex((char *)path.data, true, secret, ANCHOR_SECRET_BYTES, err);
	if (code == ERR_NOT_FOUND) {
		crypto_sign_keypair(key, secret);
		code = write_hex((char *)path.data, secret, ANCHOR_SECRET_BYTES, err);
	}
	if (!code) {
		crypto_sign_ed25519_sk_to_pk(key, secret);
		if (anchor_key_read((char *)public_path.data, known, NULL) < 0 || memcmp(known, key, sizeof key) != 0)
			code = write_hex((char *)public_path.data, key, sizeof key, err);
	}
	buf_done(&path);
	buf_done(&public_path);
	return code;
}

/* ---- Lines ---- */

static bool read_number(const char **at, uint64_t max, uint64_t *ret)
{
	char *end;

	if (**at < '0' || **at > '9')
		return false;
	errno = 0;
	*ret = strtoull(*at, &end, 10);
	if (errno || *ret > max || *end != ' ')
		return false;
	*at = end + 1;
	return true;
}

/* Reads one line, which ends at `end`; `key` NULL: its signature isn't looked at. */
static bool read_line(const char *line, const char *end, const uint8_t *key, struct anchor *ret)
{
	uint8_t signature[crypto_sign_BYTES];
	const char *at = line + sizeof word;
	uint64_t sequence, at_us;
	size_t len = 0;

	if ((size_t)(end - line) > ANCHOR_LINE_MAX || (size_t)(end - line) < sizeof word ||
	    memcmp(line, word, sizeof word - 1) != 0 || at[-1] != ' ' || !read_number(&at, INT64_MAX, &sequence) ||
	    !read_number(&at, INT64_MAX, &at_us) || !sequence || end - at != 2 * HASH_BYTES + 1 + HEX_SIGNATURE ||
	    at[2 * HASH_BYTES] != ' ')
		return false;
	ret->sequence = sequence;
	ret->at_us = (us_t)at_us;
	if (sodium_hex2bin(ret->hash.bytes, HASH_BYTES, at, 2 * HASH_BYTES, NULL, &len, NULL) < 0 || len != HASH_BYTES)
		return false;
	at += 2 * HASH_BYTES + 1;
	if (sodium_hex2bin(signature, sizeof signature, at, HEX_SIGNATURE, NULL, &len, NULL) < 0 || len != sizeof signature)
		return false;
	return !key || crypto_sign_verify_detached(signature, (const uint8_t *)line, (size_t)(at - 1 - line), key) == 0;
}

static int bad_line(const char *path, uint32_t n, const char *why, struct err *err)
{
	return err_set(err, ERR_CORRUPT, "anchors", "%.300s: line %" PRIu32 " %s (docs/record.md)", path, n, why);
}

static uint32_t count_lines(const struct buf *text)
{
	uint32_t n = 0;

	for (size_t i = 0; i < text->len; i++)
		n += text->data[i] == '\n';
	return n;
}

/* Reads the whole lines of a text. *ret_size: where the last one ends. */
static int read_lines(const char *path, const struct buf *text, const uint8_t *key, uint32_t checked_max, struct anchor *list,
                      uint32_t n, size_t *ret_size, struct err *err)
{
	const char *line = (const char *)text->data, *end;

	for (uint32_t i = 0; i < n; i++, line = end + 1) {
		bool checked = n - i <= checked_max;

		end = memchr(line, '\n', (size_t)((const char *)text->data + text->len - line));
		if (!read_line(line, end, checked ? key : NULL, &list[i]))
			return bad_line(path, i + 1, "isn't an anchor that this journal's key signed", err);
		if (i && list[i].sequence <= list[i - 1].sequence)
			return bad_line(path, i + 1, "doesn't come after the one before it", err);
	}
	*ret_size = n ? (size_t)(line - (const char *)text->data) : 0;
	return 0;
}

static int read_open(int fd, const char *path, const uint8_t *key, uint32_t checked_max, struct anchor **ret, uint32_t *ret_n,
                     size_t *ret_size, struct err *err)
{
	struct buf text = {0};
	struct anchor *list;
	uint32_t n;
	int code = 0;

	if (read_all(fd, &text) < 0) {
		code = fail(err, "read this file", path);
		buf_done(&text);
		return code;
	}
	n = count_lines(&text);
	list = mem_new(n, sizeof *list);
	code = read_lines(path, &text, key, checked_max, list, n, ret_size, err);
	buf_done(&text);
	if (code < 0) {
		free(list);
		return code;
	}
	*ret = list;
	*ret_n = n;
	return 0;
}

int anchors_read(const char *path, const uint8_t key[ANCHOR_KEY_BYTES], uint32_t checked_max, struct anchor **ret,
                 uint32_t *ret_n, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), code;
	size_t size;

	if (fd < 0)
		return fail(err, "open this file", path);
	code = read_open(fd, path, key, checked_max, ret, ret_n, &size, err);
	close(fd);
	return code;
}

/* ---- The file that is appended to ---- */

static int open_file(struct anchors *anchors, struct err *err)
{
	uint8_t key[ANCHOR_KEY_BYTES];
	size_t size = 0;
	int code;

	anchors->fd = open(anchors->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (anchors->fd < 0)
		return fail(err, "open this file", anchors->path);
	if (sync_dir_of(anchors->path) < 0)
		return fail(err, "sync the directory of this file", anchors->path);
	crypto_sign_ed25519_sk_to_pk(key, anchors->secret);
	code = read_open(anchors->fd, anchors->path, key, ANCHOR_CHECKED, &anchors->list, &anchors->n, &size, err);
	anchors->size = (off_t)size;
	if (!code && ftruncate(anchors->fd, anchors->size) < 0)
		code = fail(err, "cut off what a crash left of the last line of this file", anchors->path);
	return code;
}

int anchors_open(const char *state_dir, const char *path, struct anchors *ret, struct err *err)
{
	struct anchors anchors = {.fd = -1};
	struct buf name = {0};
	int code;

	buf_printf(&name, path ? "%s" : "%s/anchors", path ? path : state_dir);
	anchors.path = (char *)name.data;
	code = load_key(state_dir, anchors.secret, err);
	if (!code)
		code = open_file(&anchors, err);
	if (code < 0) {
		anchors_done(&anchors);
		return code;
	}
	*ret = anchors;
	return 0;
}

void anchors_done(struct anchors *anchors)
{
	if (anchors->fd >= 0)
		close(anchors->fd);
	free(anchors->path);
	free(anchors->list);
	sodium_memzero(anchors, sizeof *anchors);
	anchors->fd = -1;
}

/* What an append that failed has left of its line, and couldn't be cut off then, would spoil the next one. */
static int cut_rest(const struct anchors *anchors, struct err *err)
{
	struct stat st;

	if (fstat(anchors->fd, &st) == 0 && st.st_size <= anchors->size)
		return 0;
	return ftruncate(anchors->fd, anchors->size) < 0 ? fail(err, "cut off half a line of this file", anchors->path) : 0;
}

int anchors_add(struct anchors *anchors, const struct anchor *anchor, struct err *err)
{
	char line[ANCHOR_LINE_MAX + 1], hex[HASH_HEX_SIZE];
	uint8_t signature[crypto_sign_BYTES];
	size_t len;
	ssize_t n;
	int code = cut_rest(anchors, err);

	if (code < 0)
		return code;
	len = (size_t)snprintf(line, sizeof line, "%s %" PRIu64 " %" PRId64 " %s", word, anchor->sequence, anchor->at_us,
	                       hash_hex(&anchor->hash, hex, sizeof hex));
	crypto_sign_detached(signature, NULL, (uint8_t *)line, len, anchors->secret);
	line[len++] = ' ';
	sodium_bin2hex(line + len, sizeof line - len, signature, sizeof signature);
	len += HEX_SIGNATURE;
	line[len++] = '\n';
	n = write(anchors->fd, line, len);
	if (n == (ssize_t)len && fdatasync(anchors->fd) == 0) {
		anchors->size += n;
		return 0;
	}
	if (n >= 0 && n < (ssize_t)len)
		errno = ENOSPC;
	fail(err, "append to this file", anchors->path);
	/* What got there of it would spoil the next line. */
	if (n > 0 && ftruncate(anchors->fd, anchors->size) < 0)
		return fail(err, "cut off half a line of this file", anchors->path);
	return err ? err->code : ERR_IO;
}
