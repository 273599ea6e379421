/* SPDX-License-Identifier: Apache-2.0
 * secret.c: the secrets of jobs, as files; see secret.h. Names are our own random ones, so nothing that a user
 * chose is ever part of a path. */
#include "host/secret.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STACK_WIPED = 64 << 10 };

static const char suffix[] = ".json";

static int fail(struct err *err, const char *doing)
{
	int code = errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO;

	return err_set(err, code, "secrets", "%s: %s", doing, strerror(errno));
}

int secret_open_dir(const char *state_dir, struct err *err)
{
	int state = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), dir;

	if (state < 0)
		return fail(err, "can't open the state directory");
	if (mkdirat(state, "secrets", 0700) < 0 && errno != EEXIST) {
		close(state);
		return fail(err, "can't make the folder");
	}
	dir = openat(state, "secrets", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	close(state);
	if (dir < 0)
		return fail(err, "can't open the folder");
	return dir;
}

static char *to_json(const struct variable *secrets, uint32_t n)
{
	json_t *object = json_object();
	char *text;

	for (uint32_t i = 0; i < n; i++)
		json_object_set_new(object, secrets[i].name, json_string(secrets[i].value));
	text = json_object_size(object) == n ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
	return text;
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return fsync(fd);
}

int secret_write(int dir, const struct variable *secrets, uint32_t n, char name[SERVICE_SECRET_NAME], struct err *err)
{
	unsigned char random[16];
	char hex[2 * sizeof random + 1], file[SERVICE_SECRET_NAME], *text = to_json(secrets, n);
	int fd, code = 0;

	if (!text)
		return err_set(err, ERR_INVALID, "secrets", "expected distinct names and values in UTF-8");
	randombytes_buf(random, sizeof random);
	snprintf(file, sizeof file, "%s%s", sodium_bin2hex(hex, sizeof hex, random, sizeof random), suffix);
	fd = openat(dir, file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		code = fail(err, "can't make a file");
	} else if (write_all(fd, text, strlen(text)) < 0 || fsync(dir) < 0) {
		code = fail(err, "can't write a file");
		unlinkat(dir, file, 0);
	}
	if (fd >= 0)
		close(fd);
	sodium_memzero(text, strlen(text));
	free(text);
	sodium_stackzero(STACK_WIPED);
	if (!code)
		memcpy(name, file, sizeof file);
	return code;
}

static int from_json(json_t *object, struct arena *arena, const struct variable **ret, uint32_t *ret_n)
{
	uint32_t n = 0, size = (uint32_t)json_object_size(object);
	struct variable *list = arena_new(arena, size ? size : 1, sizeof *list);
	const char *key;
	json_t *value;

	json_object_foreach (object, key, value) {
		if (!json_is_string(value))
			return ERR_CORRUPT;
		list[n].name = arena_strdup(arena, key);
		list[n++].value = arena_strdup(arena, json_string_value(value));
	}
	*ret = list;
	*ret_n = n;
	return 0;
}

int secret_read(int dir, const char *name, struct arena *arena, const struct variable **ret, uint32_t *ret_n, struct err *err)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), code;
	json_t *object;

	if (fd < 0)
		return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "secrets", "the job's secrets can't be read: %s",
		               strerror(errno));
	object = json_loadfd(fd, 0, NULL);
	close(fd);
	code = json_is_object(object) ? from_json(object, arena, ret, ret_n) : ERR_CORRUPT;
	json_decref(object);
	sodium_stackzero(STACK_WIPED); /* where the reader of JSON had them */
	return code < 0 ? err_set(err, code, "secrets", "the file of the job's secrets isn't what was written") : 0;
}

void secret_remove(int dir, const char *name)
{
	unlinkat(dir, name, 0);
}

void secret_sweep(int dir, bool (*wanted)(void *ctx, const char *name), void *ctx)
{
	int fd = dup(dir);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!list) {
		if (fd >= 0)
			close(fd);
		return;
	}
	rewinddir(list);
	while ((entry = readdir(list)))
		if (entry->d_name[0] != '.' && !wanted(ctx, entry->d_name))
			unlinkat(dir, entry->d_name, 0);
	closedir(list);
}
