/* SPDX-License-Identifier: Apache-2.0
 * heap.c: preloaded into suand and suan, so that tests can let allocations fail by their number; see control.h. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libfyaml.h>
#include <link.h>
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
/* libfyaml and the C library's list of users don't survive a failure (src/format/yaml.c asks for room before it calls the first):
 * theirs don't count. */
static uintptr_t spared_from, spared_to;
static _Thread_local bool is_spared;

static int find_spared(struct dl_phdr_info *library, size_t size, void *ctx)
{
	(void)size;
	(void)ctx;
	for (int i = 0; strstr(library->dlpi_name, "libfyaml") && i < library->dlpi_phnum; i++) {
		uintptr_t from = library->dlpi_addr + library->dlpi_phdr[i].p_vaddr, to = from + library->dlpi_phdr[i].p_memsz;

		if (library->dlpi_phdr[i].p_type != PT_LOAD)
			continue;
		spared_from = spared_from && spared_from < from ? spared_from : from;
		spared_to = to > spared_to ? to : spared_to;
	}
	return 0;
}

#define NEXT(name) \
	static __typeof__(&name) next; \
	if (!next) \
	*(void **)&next = dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void load(void)
{
	const char *path = getenv("SUAN_FAULT");
	int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
	void *at;

	dl_iterate_phdr(find_spared, NULL);
	if (fd < 0)
		return;
	at = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (at != MAP_FAILED)
		control = at;
}

static bool fails(const void *caller)
{
	uint64_t number;

	if (!control || !control->heap_counts || is_spared || ((uintptr_t)caller >= spared_from && (uintptr_t)caller < spared_to))
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
	return fails(__builtin_return_address(0)) ? NULL : next(n);
}

void *calloc(size_t count, size_t n)
{
	NEXT(calloc);
	return fails(__builtin_return_address(0)) ? NULL : next(count, n);
}

void *realloc(void *old, size_t n)
{
	NEXT(realloc);
	return n && fails(__builtin_return_address(0)) ? NULL : next(old, n);
}

void *reallocarray(void *old, size_t count, size_t n)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, n, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	NEXT(realloc);
	return bytes && fails(__builtin_return_address(0)) ? NULL : next(old, bytes);
}

char *strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	NEXT(malloc);
	char *copy = fails(__builtin_return_address(0)) ? NULL : next(size);

	return copy ? memcpy(copy, text, size) : NULL;
}

/* What it has the C library allocate for it. */
int fy_parser_set_string(struct fy_parser *parser, const char *text, size_t len)
{
	int rc;
	NEXT(fy_parser_set_string);

	is_spared = true;
	rc = next(parser, text, len);
	is_spared = false;
	return rc;
}

struct fy_event *fy_parser_parse(struct fy_parser *parser)
{
	struct fy_event *event;
	NEXT(fy_parser_parse);

	is_spared = true;
	event = next(parser);
	is_spared = false;
	return event;
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
