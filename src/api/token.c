/* SPDX-License-Identifier: Apache-2.0
 * token.c: the secret that lets a caller write: made at the first start, kept in files of mode 0600. */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/api.h"

static int fail(struct err *err, const char *path)
{
	int code = errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO;

	return err_set(err, code, "token", "%s: %s", path, strerror(errno));
}

static int write_and_sync(int fd, const char *token)
{
	size_t len = strlen(token);

	return write(fd, token, len) == (ssize_t)len && write(fd, "\n", 1) == 1 && fsync(fd) == 0 ? 0 : -1;
}

static int sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0)
		return -1;
	rc = fsync(fd);
	close(fd);
	return rc;
}

/* Writes the token to dir/name by way of a new file and a rename, so that nobody reads half of one. */
static int write_file(const char *dir, const char *name, const char *token, struct err *err)
{
	struct buf path = {0}, draft = {0};
	int fd, code = 0;

	buf_printf(&path, "%s/%s", dir, name);
	buf_printf(&draft, "%s/.%s.new", dir, name);
	unlink((char *)draft.data);
	fd = open((char *)draft.data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || write_and_sync(fd, token) < 0 || rename((char *)draft.data, (char *)path.data) < 0 || sync_dir(dir) < 0)
		code = fail(err, (char *)path.data);
	if (fd >= 0)
		close(fd);
	buf_done(&path);
	buf_done(&draft);
	return code;
}

static int read_token(int fd, const char *path, char token[TOKEN_SIZE], struct err *err)
{
	char text[TOKEN_SIZE + 2] = {0};
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return fail(err, path);
	if (st.st_mode & 077)
		return err_set(err, ERR_DENIED, "token", "%s: others may read it; expected mode 0600", path);
	n = read(fd, text, sizeof text - 1);
	if (n < 0)
		return fail(err, path);
	text[strcspn(text, "\n")] = 0;
	if (strlen(text) != TOKEN_SIZE - 1 || strspn(text, "0123456789abcdef") != TOKEN_SIZE - 1)
		return err_set(err, ERR_INVALID, "token", "%s: expected 64 hex digits; remove the file to have a new one made", path);
	memcpy(token, text, TOKEN_SIZE);
	return 0;
}

int token_renew(const char *state_dir, char token[TOKEN_SIZE], struct err *err)
{
	unsigned char random[(TOKEN_SIZE - 1) / 2];

	randombytes_buf(random, sizeof random);
	sodium_bin2hex(token, TOKEN_SIZE, random, sizeof random);
	sodium_memzero(random, sizeof random);
	return write_file(state_dir, "token", token, err);
}

int token_load(const char *state_dir, char token[TOKEN_SIZE], struct err *err)
{
	struct buf path = {0};
	int fd, code;

	buf_printf(&path, "%s/token", state_dir);
	fd = open((char *)path.data, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0)
		code = read_token(fd, (char *)path.data, token, err);
	else
		code = errno == ENOENT ? token_renew(state_dir, token, err) : fail(err, (char *)path.data);
	if (fd >= 0)
		close(fd);
	buf_done(&path);
	return code;
}

/* Makes dir and those above it. */
static int make_dirs(char *dir, struct err *err)
{
	for (char *slash = strchr(dir + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (mkdir(dir, 0700) < 0 && errno != EEXIST)
			return fail(err, dir);
		*slash = '/';
	}
	return mkdir(dir, 0700) < 0 && errno != EEXIST ? fail(err, dir) : 0;
}

int token_publish(const char *config_dir, const char *address, uint16_t port, const char *token, struct err *err)
{
	struct buf dir = {0};
	char name[96];
	int code;

	buf_printf(&dir, "%s/suan/tokens", config_dir);
	snprintf(name, sizeof name, "%s_%u", address, port);
	code = make_dirs((char *)dir.data, err);
	if (!code)
		code = write_file((char *)dir.data, name, token, err);
	buf_done(&dir);
	return code;
}
