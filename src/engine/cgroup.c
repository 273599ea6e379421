/* SPDX-License-Identifier: Apache-2.0
 * cgroup.c: the kernel's control groups, version 1 and 2; see cgroup.h.
 *
 * Where: a group beside the one that this process is in would need rights above it, so on version 1 our folder lies inside our
 * own group, and so under whatever bounds that has. On version 2 a group that holds processes can't hand controllers down, unless
 * it is the root: there our folder lies in our own group if that works, else in the root, else in our own group without limits,
 * which still gives us cgroup.kill. */
#include "engine/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
	const char *name;
	uint32_t use;
	const char *what;
} controllers[] = {{"memory", CGROUP_MEMORY, "memory"}, {"cpu", CGROUP_CPU, "CPUs"}, {"pids", CGROUP_PIDS, "processes"}};

#define N_CONTROLLERS (sizeof controllers / sizeof *controllers)

/* A path in two parts; false where it is too long to be used. */
static bool join(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static bool join(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(buf, size, fmt, args);
	va_end(args);
	return n >= 0 && (size_t)n < size;
}

/* One write, as these files want it. */
static bool put(const char *folder, const char *file, const char *text)
{
	char path[CGROUP_PATH_SIZE + 64];
	int fd;
	bool ok;

	if (!join(path, sizeof path, "%s/%s", folder, file))
		return false;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok;
}

/* Reads a file's start, terminated; "" where it isn't there. */
static char *get(const char *folder, const char *file, char *buf, size_t size)
{
	char path[CGROUP_PATH_SIZE + 64];
	ssize_t n = -1;
	int fd = join(path, sizeof path, "%s/%s", folder, file) ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd >= 0) {
		n = read(fd, buf, size - 1);
		close(fd);
	}
	buf[n > 0 ? n : 0] = 0;
	return buf;
}

static bool is_there(const char *folder, const char *file)
{
	char path[CGROUP_PATH_SIZE + 64];

	return join(path, sizeof path, "%s/%s", folder, file) && access(path, F_OK) == 0;
}

/* Whether a list such as "rw,cpu,cpuacct" or "cpu memory" holds a word. */
static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = list; (at = strstr(at, word)); at += len)
		if ((at == list || strchr(", ", at[-1])) && (!at[len] || strchr(", \n", at[len])))
			return true;
	return false;
}

/* ---- Finding ---- */

/* A mounted tree of groups, as /proc/self/mountinfo has it. */
struct mount {
	bool v2;
	char root[CGROUP_PATH_SIZE], point[CGROUP_PATH_SIZE];
	uint32_t uses; /* of version 1: its controllers */
};

/* The path of our own group in a tree, "" where it can't be told: the line "N:controllers:path" of /proc/self/cgroup. */
static void own_group(const struct mount *mount, char *buf, size_t size)
{
	char line[1024];
	FILE *file = fopen("/proc/self/cgroup", "re");

	buf[0] = 0;
	while (file && fgets(line, sizeof line, file)) {
		char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL;
		bool ours = false;

		if (!path)
			continue;
		*path++ = 0;
		path[strcspn(path, "\n")] = 0;
		if (mount->v2)
			ours = !names[1];
		for (size_t i = 0; i < N_CONTROLLERS && !mount->v2; i++)
			ours |= (mount->uses & controllers[i].use) && has_word(names + 1, controllers[i].name);
		if (ours)
			snprintf(buf, size, "%s", path);
	}
	if (file)
		fclose(file);
}

static bool parse_mount(const char *line, struct mount *ret)
{
	char root[CGROUP_PATH_SIZE], point[CGROUP_PATH_SIZE], type[32], options[256];
	const char *rest = strstr(line, " - ");

	if (!rest || sscanf(line, "%*s %*s %*s %255s %255s", root, point) != 2 ||
	    sscanf(rest, " - %31s %*s %255s", type, options) != 2)
		return false;
	*ret = (struct mount){.v2 = !strcmp(type, "cgroup2")};
	if (!ret->v2 && strcmp(type, "cgroup") != 0)
		return false;
	for (size_t i = 0; i < N_CONTROLLERS && !ret->v2; i++)
		if (has_word(options, controllers[i].name))
			ret->uses |= controllers[i].use;
	memcpy(ret->root, root, sizeof root);
	memcpy(ret->point, point, sizeof point);
	return ret->v2 || ret->uses;
}

/* Our own group's folder under the mount point. */
static bool own_folder(const struct mount *mount, char *buf, size_t size)
{
	char own[CGROUP_PATH_SIZE];
	size_t root_len = strlen(mount->root);
	const char *inside = own;

	own_group(mount, own, sizeof own);
	if (root_len > 1 && !strncmp(own, mount->root, root_len))
		inside = own + root_len;
	if (!strcmp(inside, "/"))
		inside = "";
	return join(buf, size, "%s%s", mount->point, inside) && access(buf, W_OK) == 0;
}

/* Hands the controllers that are there down to a group's children. Returns those that its children have. */
static uint32_t hand_down(const char *folder)
{
	char there[512], order[32];
	uint32_t uses = 0;

	get(folder, "cgroup.controllers", there, sizeof there);
	for (size_t i = 0; i < N_CONTROLLERS; i++) {
		snprintf(order, sizeof order, "+%s", controllers[i].name);
		if (has_word(there, controllers[i].name) && put(folder, "cgroup.subtree_control", order))
			uses |= controllers[i].use;
	}
	return uses;
}

static bool make_group(const char *path)
{
	return mkdir(path, 0755) == 0 || errno == EEXIST;
}

static uint32_t use_v2(struct cgroup_tree *tree, const char *parent, const char *ours)
{
	uint32_t uses = hand_down(parent);

	if (!join(tree->base, sizeof tree->base, "%s/%s", parent, ours) || !make_group(tree->base))
		return 0;
	if (uses)
		uses &= hand_down(tree->base);
	if (is_there(tree->base, "cgroup.kill"))
		uses |= CGROUP_KILL;
	tree->uses = uses;
	return uses;
}

static uint32_t use_v1(struct cgroup_tree *tree, const char *parent, const char *ours, uint32_t uses)
{
	if (!join(tree->base, sizeof tree->base, "%s/%s", parent, ours) || !make_group(tree->base))
		return 0;
	tree->uses = uses;
	return uses;
}

/* Makes our folder on a mounted tree. Returns what it is good for. */
static uint32_t use_mount(const struct mount *mount, const char *ours, uint32_t taken, struct cgroup_tree *ret)
{
	char own[CGROUP_PATH_SIZE];
	bool have_own = own_folder(mount, own, sizeof own);
	uint32_t uses = 0;

	*ret = (struct cgroup_tree){.v2 = mount->v2};
	if (!mount->v2) {
		if (have_own)
			uses = use_v1(ret, own, ours, mount->uses & ~taken);
		return uses ? uses : use_v1(ret, mount->point, ours, mount->uses & ~taken);
	}
	if (have_own)
		uses = use_v2(ret, own, ours);
	if (!(uses & ~(uint32_t)CGROUP_KILL) && strcmp(own, mount->point) != 0) {
		struct cgroup_tree other = {.v2 = true};

		if (use_v2(&other, mount->point, ours) > uses) {
			rmdir(ret->base); /* nothing goes into that one; where somebody is in it, it stays */
			*ret = other;
			uses = other.uses;
		}
	}
	return uses;
}

void cgroups_find(const char *owner, struct cgroups *ret)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	uint64_t tag = 0xcbf29ce484222325u; /* FNV-1a */
	char line[2048], ours[32];
	uint32_t taken = 0;

	for (const char *at = owner; *at; at++)
		tag = (tag ^ (unsigned char)*at) * 0x100000001b3u;
	snprintf(ours, sizeof ours, "suan-%08" PRIx32, (uint32_t)(tag ^ tag >> 32));
	*ret = (struct cgroups){0};
	while (file && fgets(line, sizeof line, file) && ret->n < CGROUP_TREES_MAX) {
		struct mount mount;
		uint32_t uses;

		if (!parse_mount(line, &mount) || (!mount.v2 && !(mount.uses & ~taken)))
			continue;
		uses = use_mount(&mount, ours, taken, &ret->trees[ret->n]);
		taken |= uses;
		if (uses)
			ret->n++;
	}
	if (file)
		fclose(file);
}

char *cgroups_describe(const struct cgroups *cgroups, char *buf, size_t size)
{
	uint32_t v1 = 0, v2 = 0;
	size_t at;

	for (uint32_t i = 0; i < cgroups->n; i++)
		*(cgroups->trees[i].v2 ? &v2 : &v1) |= cgroups->trees[i].uses;
	at = (size_t)snprintf(buf, size, "limits of a task:");
	for (size_t i = 0; i < N_CONTROLLERS && at < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s %s %s", i ? "," : "", controllers[i].what,
		                       v1 & controllers[i].use   ? "by cgroup v1"
		                       : v2 & controllers[i].use ? "by cgroup v2"
		                                                 : "NOT ENFORCED (no cgroup that may be written)");
	if (at < size)
		snprintf(buf + at, size - at, "; its processes are ended by %s",
		         v2 & CGROUP_KILL ? "cgroup.kill"
		         : cgroups->n     ? "walking their cgroup"
		                          : "walking their family tree");
	return buf;
}

void cgroup_paths_of(const struct cgroups *cgroups, const char *attempt, struct cgroup_paths *ret)
{
	*ret = (struct cgroup_paths){0};
	for (uint32_t i = 0; i < cgroups->n; i++)
		if (join(ret->paths[ret->n], CGROUP_PATH_SIZE, "%s/%s", cgroups->trees[i].base, attempt))
			ret->n++;
}

/* ---- A task's groups ---- */

static bool task_path(const struct cgroup_tree *tree, const char *attempt, uint32_t rank, char *buf, size_t size)
{
	return join(buf, size, "%s/%s/t%" PRIu32, tree->base, attempt, rank);
}

/* Whether our own group of version 2 has a path that ends so. */
static bool is_own_v2(const char *end)
{
	char own[CGROUP_PATH_SIZE + 64];
	size_t len;

	own_group(&(struct mount){.v2 = true}, own, sizeof own);
	len = strlen(own);
	return len >= strlen(end) && !strcmp(own + len - strlen(end), end);
}

static void put_limit(const char *folder, const char *file, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void put_limit(const char *folder, const char *file, const char *fmt, ...)
{
	char text[64];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	put(folder, file, text);
}

/* CPU time in each tenth of a second; the kernel takes no less than a millisecond. */
static uint64_t quota_us(const struct cgroup_limits *limits)
{
	uint64_t us = (uint64_t)limits->cpus_milli * 100;

	return us < 1000 ? 1000 : us;
}

static void limit_v1(const char *path, uint32_t uses, const struct cgroup_limits *limits)
{
	uint64_t memory = (uint64_t)limits->memory_mib << 20;

	if ((uses & CGROUP_MEMORY) && memory) {
		put_limit(path, "memory.limit_in_bytes", "%" PRIu64, memory);
		put_limit(path, "memory.memsw.limit_in_bytes", "%" PRIu64, memory); /* memory and swap together */
	}
	if ((uses & CGROUP_CPU) && limits->cpus_milli) {
		put_limit(path, "cpu.cfs_period_us", "100000");
		put_limit(path, "cpu.cfs_quota_us", "%" PRIu64, quota_us(limits));
	}
	if ((uses & CGROUP_PIDS) && limits->pids)
		put_limit(path, "pids.max", "%" PRIu32, limits->pids);
}

static void limit_v2(const char *path, uint32_t uses, const struct cgroup_limits *limits)
{
	if ((uses & CGROUP_MEMORY) && limits->memory_mib) {
		put_limit(path, "memory.max", "%" PRIu64, (uint64_t)limits->memory_mib << 20);
		put_limit(path, "memory.swap.max", "0");
		put_limit(path, "memory.oom.group", "1"); /* all of the task or none: half a task helps nobody */
	}
	if ((uses & CGROUP_CPU) && limits->cpus_milli)
		put_limit(path, "cpu.max", "%" PRIu64 " 100000", quota_us(limits));
	if ((uses & CGROUP_PIDS) && limits->pids)
		put_limit(path, "pids.max", "%" PRIu32, limits->pids);
}

uint32_t cgroup_make(const struct cgroups *cgroups, const char *attempt, uint32_t rank, const struct cgroup_limits *limits)
{
	uint32_t uses = 0;

	for (uint32_t i = 0; i < cgroups->n; i++) {
		const struct cgroup_tree *tree = &cgroups->trees[i];
		char path[CGROUP_PATH_SIZE + 64];

		if (!join(path, sizeof path, "%s/%s", tree->base, attempt) || !make_group(path))
			continue;
		if (tree->v2 && (tree->uses & ~(uint32_t)CGROUP_KILL))
			hand_down(path);
		if (!task_path(tree, attempt, rank, path, sizeof path) || !make_group(path))
			continue;
		(tree->v2 ? limit_v2 : limit_v1)(path, tree->uses, limits);
		uses |= tree->uses;
	}
	return uses;
}

/* On version 1 a thread that moves itself, by `tasks`, needs no lock that stops the whole machine's forks for some
 * milliseconds, as a move of a process does; and the caller has one thread. */
void cgroup_enter(const struct cgroups *cgroups, const char *attempt, uint32_t rank)
{
	char path[CGROUP_PATH_SIZE + 64], there[CGROUP_PATH_SIZE + 96];

	for (uint32_t i = 0; i < cgroups->n; i++) {
		const struct cgroup_tree *tree = &cgroups->trees[i];

		if (!task_path(tree, attempt, rank, path, sizeof path))
			continue;
		if (!tree->v2)
			put(path, "tasks", "0");
		else if (!join(there, sizeof there, "/%s/t%" PRIu32, attempt, rank) || !is_own_v2(there))
			put(path, "cgroup.procs", "0");
	}
}

int cgroup_open_v2(const struct cgroups *cgroups, const char *attempt, uint32_t rank)
{
	char path[CGROUP_PATH_SIZE + 64];

	for (uint32_t i = 0; i < cgroups->n; i++)
		if (cgroups->trees[i].v2 && task_path(&cgroups->trees[i], attempt, rank, path, sizeof path))
			return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return -1;
}

uint64_t cgroup_oom_kills(const struct cgroups *cgroups, const char *attempt, uint32_t rank)
{
	char path[CGROUP_PATH_SIZE + 64], text[512];
	uint64_t n = 0;

	for (uint32_t i = 0; i < cgroups->n; i++) {
		const struct cgroup_tree *tree = &cgroups->trees[i];
		const char *at;

		if (!(tree->uses & CGROUP_MEMORY) || !task_path(tree, attempt, rank, path, sizeof path))
			continue;
		get(path, tree->v2 ? "memory.events" : "memory.oom_control", text, sizeof text);
		at = strstr(text, "oom_kill ");
		if (at)
			n += strtoull(at + strlen("oom_kill "), NULL, 10);
	}
	return n;
}

/* ---- An attempt's groups, by path ---- */

/* Calls visit for a group and the groups inside it, the inner ones first. */
static void each_group(const char *path, void (*visit)(void *ctx, const char *path), void *ctx)
{
	DIR *list = opendir(path);

	if (!list)
		return;
	for (struct dirent *entry; (entry = readdir(list));) {
		char inner[CGROUP_PATH_SIZE + 64];

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		if (join(inner, sizeof inner, "%s/%s", path, entry->d_name))
			each_group(inner, visit, ctx);
	}
	closedir(list);
	visit(ctx, path);
}

/* Sends a signal to each process of a group, and counts them. */
struct procs {
	int signal_number; /* 0: none, only count */
	uint32_t n;
};

static void visit_procs(void *ctx, const char *path)
{
	struct procs *procs = ctx;
	char name[CGROUP_PATH_SIZE + 96];
	FILE *file;
	int pid;

	snprintf(name, sizeof name, "%s/cgroup.procs", path);
	file = fopen(name, "re");
	while (file && fscanf(file, "%d", &pid) == 1) {
		procs->n++;
		if (procs->signal_number && pid > 1 && pid != getpid())
			kill(pid, procs->signal_number);
	}
	if (file)
		fclose(file);
}

static void visit_remove(void *ctx, const char *path)
{
	(void)ctx;
	rmdir(path);
}

void cgroup_kill(const struct cgroup_paths *paths)
{
	for (uint32_t i = 0; i < paths->n; i++) {
		struct procs procs = {.signal_number = SIGKILL};

		if (!put(paths->paths[i], "cgroup.kill", "1"))
			each_group(paths->paths[i], visit_procs, &procs);
	}
}

bool cgroup_is_empty(const struct cgroup_paths *paths)
{
	struct procs procs = {0};

	for (uint32_t i = 0; i < paths->n; i++)
		each_group(paths->paths[i], visit_procs, &procs);
	return procs.n == 0;
}

void cgroup_remove(const struct cgroup_paths *paths)
{
	for (uint32_t i = 0; i < paths->n; i++)
		each_group(paths->paths[i], visit_remove, NULL);
}
