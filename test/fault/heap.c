/* SPDX-License-Identifier: Apache-2.0
 * heap.c: preloaded into suand and suan, so that tests can let allocations fail by their number; see control.h. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "control.h"

static struct control *control;
/* The C library's list of users and a sanitizer's threads don't survive a failure: theirs don't count. */
static _Thread_local bool is_spared;

#define NEXT(name) \
	static __typeof__(&name) next; \
	if (!next) \
	*(void **)&next = dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void load(void)
{
	const char *path = getenv("SUAN_FAULT");
	int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
	void *at;

	if (fd < 0)
		return;
	at = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (at != MAP_FAILED)
		control = at;
}

static bool fails(void)
{
	uint64_t number;

	if (!control || !control->heap_counts || is_spared)
		return false;
	number = atomic_fetch_add(&control->allocations, 1) + 1;
	if (number < control->heap_from || number >= control->heap_until)
		return false;
	atomic_fetch_add(&control->heap_failed, 1);
	errno = ENOMEM;
	return true;
}

void *malloc(size_t n)
{
	NEXT(malloc);
	return fails() ? NULL : next(n);
}

void *calloc(size_t count, size_t n)
{
	NEXT(calloc);
	return fails() ? NULL : next(count, n);
}

void *realloc(void *old, size_t n)
{
	NEXT(realloc);
	return n && fails() ? NULL : next(old, n);
}

void *reallocarray(void *old, size_t count, size_t n)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, n, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	NEXT(realloc);
	return bytes && fails() ? NULL : next(old, bytes);
}

char *strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	NEXT(malloc);
	char *copy = fails() ? NULL : next(size);

	return copy ? memcpy(copy, text, size) : NULL;
}

/* What a sanitizer asks at a thread's start, and can't do without. */
int pthread_getattr_np(pthread_t thread, pthread_attr_t *ret)
{
	int rc;
	NEXT(pthread_getattr_np);

	is_spared = true;
	rc = next(thread, ret);
	is_spared = false;
	return rc;
}

struct passwd *getpwuid(uid_t user)
{
	struct passwd *found;
	NEXT(getpwuid);

	is_spared = true;
	found = next(user);
	is_spared = false;
	return found;
}
