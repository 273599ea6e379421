/* SPDX-License-Identifier: Apache-2.0
 * stores.c: chooses a store by its URL; see stores.h. */
#include "store/stores.h"

#include <string.h>

/* What stands after a scheme, or NULL where `where` doesn't begin with it. */
static const char *after(const char *where, const char *scheme)
{
	size_t len = strlen(scheme);

	return strncmp(where, scheme, len) ? NULL : where + len;
}

/* Never quotes the URL: what is wrong with it may be that it holds a password. */
static int refuse_url(const char *where, struct err *err)
{
	const char *host = strchr(where, ':') + 1, *at = strchr(host, '@'), *colon = strchr(host, ':');

	if (at && colon && colon < at)
		return err_set(err, ERR_INVALID, "store", "the URL holds a password, which would show in the list of processes");
	if (after(where, "postgresql://") || after(where, "postgres://"))
		return err_set(err, ERR_UNSUPPORTED, "store",
		               "PostgreSQL isn't built in yet: expected a directory, sqlite:DIRECTORY or memory:");
	return err_set(err, ERR_INVALID, "store", "unknown kind of store: expected a directory, sqlite:DIRECTORY or memory:");
}

/* Whether it begins with a scheme: letters and a colon, before any slash. A folder of such a name is written ./a:b. */
static bool has_scheme(const char *where)
{
	size_t len = strspn(where, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");

	return len && where[len] == ':';
}

const char *store_directory(const char *where)
{
	const char *dir = after(where, "sqlite:");

	if (!dir)
		return *where && !has_scheme(where) ? where : NULL;
	return *dir && strncmp(dir, "//", 2) != 0 ? dir : NULL;
}

static int open_any(const char *where, bool reader, struct store **ret, struct err *err)
{
	const char *dir = store_directory(where);

	if (dir)
		return sqlite_store_open(dir, reader, ret, err);
	if (!*where || !strcmp(where, "sqlite:"))
		return err_set(err, ERR_INVALID, "store", "expected a directory, sqlite:DIRECTORY or memory:");
	if (strcmp(where, "memory:") != 0)
		return refuse_url(where, err);
	if (reader)
		return err_set(err, ERR_NOT_FOUND, "store", "memory: holds nothing that another process could read");
	return memory_store_open(ret, err);
}

int store_open(const char *where, struct store **ret, struct err *err)
{
	return open_any(where, false, ret, err);
}

int store_open_reader(const char *where, struct store **ret, struct err *err)
{
	return open_any(where, true, ret, err);
}

int store_limit(struct store *store, uint64_t bytes, struct err *err)
{
	static const struct {
		const char *name;
		int (*limit)(struct store *store, uint64_t bytes, struct err *err);
	} limits[] = {{"sqlite", sqlite_store_limit}, {"memory", memory_store_limit}};

	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
		if (!strcmp(store->ops->name, limits[i].name))
			return limits[i].limit(store, bytes, err);
	return err_set(err, ERR_UNSUPPORTED, "store", "%s: has no bound", store->ops->name);
}
