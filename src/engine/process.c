/* SPDX-License-Identifier: Apache-2.0
 * process.c: what /proc says of processes; see process.h. */
#include "engine/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

struct family {
	struct relation {
		pid_t pid, parent;
		bool found;
	} * members;
	uint32_t n, cap;
};

/* Reads the start of a file into buf, terminated. Returns its length, 0 where it can't be read. */
static size_t read_start(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return 0;
	n = read(fd, buf, size - 1);
	close(fd);
	buf[n > 0 ? n : 0] = 0;
	return n > 0 ? (size_t)n : 0;
}

char *process_boot_id(char *buf, size_t size)
{
	size_t n = read_start("/proc/sys/kernel/random/boot_id", buf, size);

	if (n == 0)
		buf[0] = 0;
	buf[strcspn(buf, "\n")] = 0;
	return buf;
}

/* Reads a process's stat into text, and finds its nth field, from the state (3) on; its name may hold blanks and brackets. */
static const char *find_field(pid_t pid, unsigned field, char *text, size_t size)
{
	char path[48], *at;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (!read_start(path, text, size) || !(at = strrchr(text, ')')))
		return NULL;
	for (unsigned i = 2; i < field && at; i++)
		at = strchr(at + 1, ' ');
	return at ? at + 1 : NULL;
}

static uint64_t stat_field(pid_t pid, unsigned field)
{
	char text[1024];
	const char *at = find_field(pid, field, text, sizeof text);

	return at ? strtoull(at, NULL, 10) : 0;
}

uint64_t process_start(pid_t pid)
{
	return stat_field(pid, 22);
}

bool process_runs(pid_t pid)
{
	char text[1024];
	const char *at = find_field(pid, 3, text, sizeof text);

	return at && *at != 'Z' && *at != 'X';
}

static us_t read_clock(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (us_t)ts.tv_sec * US_SECOND + ts.tv_nsec / 1000;
}

us_t process_boot_us(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

us_t process_wall_us(void)
{
	return read_clock(CLOCK_REALTIME);
}

/* Calls visit for the number of each process. */
static void each_process(void (*visit)(void *ctx, pid_t pid), void *ctx)
{
	DIR *proc = opendir("/proc");

	if (!proc)
		return;
	for (struct dirent *entry; (entry = readdir(proc));) {
		char *end;
		long pid = strtol(entry->d_name, &end, 10);

		if (pid > 0 && !*end)
			visit(ctx, (pid_t)pid);
	}
	closedir(proc);
}

static void note_relation(void *ctx, pid_t pid)
{
	struct family *family = ctx;
	struct relation relation = {.pid = pid, .parent = (pid_t)stat_field(pid, 4)};
	void *members = family->members;

	if (relation.parent <= 0)
		return;
	mem_grow(&members, &family->cap, family->n, sizeof *family->members);
	family->members = members;
	family->members[family->n++] = relation;
}

/* Marks the members whose parent is `parent`, and adds them to the queue of those whose children are still to be found. */
static void find_children(struct family *family, pid_t parent, pid_t *queue, uint32_t *n)
{
	for (uint32_t i = 0; i < family->n; i++) {
		struct relation *member = &family->members[i];

		if (member->found || member->parent != parent)
			continue;
		member->found = true;
		queue[(*n)++] = member->pid;
	}
}

uint32_t process_signal_descendants(pid_t ancestor, int signal_number)
{
	struct family family = {0};
	uint32_t n = 0;
	pid_t *queue;

	each_process(note_relation, &family);
	queue = mem_new(family.n, sizeof *queue);
	find_children(&family, ancestor, queue, &n);
	for (uint32_t i = 0; i < n; i++)
		find_children(&family, queue[i], queue, &n);
	for (uint32_t i = 0; i < n; i++)
		kill(queue[i], signal_number);
	free(queue);
	free(family.members);
	return n;
}

struct marked {
	const char *marker;
	uint32_t n;
};

static void kill_if_marked(void *ctx, pid_t pid)
{
	static const size_t size = 256 << 10;
	struct marked *marked = ctx;
	char path[48], *text = mem_new(size, 1);
	size_t len;

	snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
	len = pid == getpid() ? 0 : read_start(path, text, size);
	for (char *at = text; at < text + len; at += strlen(at) + 1) {
		if (!strcmp(at, marked->marker)) {
			kill(pid, SIGKILL);
			marked->n++;
			break;
		}
	}
	free(text);
}

uint32_t process_kill_marked(const char *marker)
{
	struct marked marked = {.marker = marker};

	each_process(kill_if_marked, &marked);
	return marked.n;
}
