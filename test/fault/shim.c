/* SPDX-License-Identifier: Apache-2.0
 * shim.c: preloaded into suand and suan-supervisor, so that tests can crash them before and after any call that changes something
 * outside of the process, let calls on their files fail, set the clock, and know what was never synced; see control.h.
 *
 * Only the process that loaded it counts, not what it forks: a task between fork and exec isn't ours to crash. */
/* Programs call the functions of both widths, and each must stand here under its own name. */
#undef _FILE_OFFSET_BITS
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "control.h"

static struct control *control;
static pid_t owner;
static enum fault_scope scope;
static char what[CONTROL_NAME];

/* The function that ours stands before. */
#define NEXT(name) \
	static __typeof__(&name) next; \
	if (!next) \
	*(void **)&next = dlsym(RTLD_NEXT, #name)

/* ---- Loading ---- */

static void learn_who(void)
{
	char text[1024];
	int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	const char *last;

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return;
	text[n] = 0;
	scope = strstr(text, "suan-supervisor") ? SCOPE_SUPERVISOR : SCOPE_DAEMON;
	last = text;
	for (ssize_t i = 0; i + 1 < n; i++)
		if (!text[i])
			last = text + i + 1;
	last = strrchr(last, '/') ? strrchr(last, '/') + 1 : last;
	snprintf(what, sizeof what, "%.60s", scope == SCOPE_SUPERVISOR ? last : "suand");
}

static _Noreturn void end(void)
{
	for (;;)
		kill(owner, SIGKILL);
}

__attribute__((constructor)) static void load(void)
{
	const char *path = getenv("SUAN_FAULT");
	int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
	void *at;

	if (fd < 0)
		return;
	at = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (at == MAP_FAILED)
		return;
	owner = getpid();
	learn_who();
	control = at;
	if (control->off)
		end();
}

static bool is_ours(void)
{
	return control && getpid() == owner;
}

/* ---- Points ---- */

static void point(const char *call)
{
	uint64_t number;
	int saved = errno;

	if (!is_ours())
		return;
	if (control->off)
		end();
	if (control->scope & scope) {
		number = atomic_fetch_add(&control->points, 1) + 1;
		if (number == control->kill_at) {
			snprintf(control->killed_call, CONTROL_NAME, "%s", call);
			snprintf(control->last_call, CONTROL_NAME, "%s", call);
			snprintf(control->killed_what, CONTROL_NAME, "%s", what);
			control->off = control->power;
			end();
		}
	}
	errno = saved;
}

/* ---- Which file ---- */

/* The absolute name of what a call names, as far as that is known. */
static void name_of(int dir, const char *name, char *out, size_t size)
{
	char link[64], base[PATH_MAX];
	ssize_t n;

	out[0] = 0;
	if (name && name[0] == '/') {
		snprintf(out, size, "%s", name);
		return;
	}
	snprintf(link, sizeof link, dir == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", dir);
	n = readlink(link, base, sizeof base - 1);
	if (n < 0)
		return;
	base[n] = 0;
	snprintf(out, size, name ? "%s/%s" : "%s", base, name);
}

static bool in_state(int dir, const char *name)
{
	char path[PATH_MAX + 300];
	size_t len;

	if (!is_ours() || !control->state[0])
		return false;
	name_of(dir, name, path, sizeof path);
	len = strlen(control->state);
	return !strncmp(path, control->state, len) && (!path[len] || path[len] == '/');
}

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static bool is_mended(void)
{
	int64_t first = 0, now = now_us();

	if (!control->mended_after_us)
		return false;
	atomic_compare_exchange_strong(&control->failing_since_us, &first, now);
	return first && now - first > control->mended_after_us;
}

/* Whether a call on a file of the state directory is to fail. */
static bool fails(const char *call)
{
	uint64_t number;

	if (!(control->scope & scope))
		return false;
	number = atomic_fetch_add(&control->calls, 1) + 1;
	if (number < control->fail_from || number >= control->fail_until || is_mended())
		return false;
	if (atomic_fetch_add(&control->failed, 1) == 0)
		snprintf(control->failed_call, CONTROL_NAME, "%s", call);
	errno = control->fail_errno;
	return true;
}

/* ---- The log ---- */

/* Opened for each record: a program may close whatever it doesn't know. */
static void put(struct entry entry, const void *bytes, const char *second)
{
	struct iovec parts[] = {{&entry, sizeof entry}, {(void *)(uintptr_t)bytes, entry.len}, {NULL, 0}};
	int fd = (int)syscall(SYS_openat, AT_FDCWD, control->log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	if (second) {
		parts[2] = (struct iovec){(void *)(uintptr_t)second, strlen(second) + 1};
		entry.len += (uint32_t)parts[2].iov_len;
	}
	if (syscall(SYS_writev, fd, parts, 3) < 0)
		end();
	close(fd);
}

static uint64_t node_of(int fd)
{
	return node_at(fd, "", AT_EMPTY_PATH);
}

/* The folder that a call names something in, and the name there. */
static uint64_t folder_of(int dir, const char *name, const char **ret_leaf)
{
	char path[PATH_MAX + 300], *slash;

	*ret_leaf = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
	name_of(dir, name, path, sizeof path);
	slash = strrchr(path, '/');
	if (!slash)
		return 0;
	*slash = 0;
	return node_at(AT_FDCWD, path, 0);
}

static void log_write(int fd, int64_t offset, size_t n)
{
	struct entry entry = {.type = ENTRY_WRITE, .offset = offset};
	struct stat st;
	char *before;
	ssize_t len = 0;
	char path[64];
	int copy;

	if (!control->logs || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return;
	before = malloc(n ? n : 1);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd); /* it may be open for writing only */
	copy = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (copy >= 0) {
		len = pread(copy, before, n, offset);
		close(copy);
	}
	entry.node = node_of(fd);
	entry.size = st.st_size;
	entry.len = len > 0 ? (uint32_t)len : 0;
	put(entry, before, NULL);
	free(before);
}

static void log_sync(int fd)
{
	if (control->logs)
		put((struct entry){.type = ENTRY_SYNC, .node = node_of(fd)}, "", NULL);
}

static void log_name(enum entry_type type, int dir, const char *name)
{
	const char *leaf;
	struct entry entry = {.type = type};

	if (!control->logs)
		return;
	entry.node = folder_of(dir, name, &leaf);
	entry.len = (uint32_t)strlen(leaf) + 1;
	put(entry, leaf, NULL);
}

/* Keeps what a name stands for under another one, outside of the state directory. Returns its number, or 0. */
static uint64_t keep(int dir, const char *name)
{
	uint64_t number = atomic_fetch_add(&control->trash_next, 1) + 1;
	char path[CONTROL_PATH + 32];
	NEXT(linkat);

	snprintf(path, sizeof path, "%s/%lu", control->trash, (unsigned long)number);
	return next(dir, name, AT_FDCWD, path, 0) ? 0 : number;
}

static void log_unlink(int dir, const char *name, bool folder)
{
	const char *leaf;
	struct entry entry = {.type = folder ? ENTRY_RMDIR : ENTRY_UNLINK};

	if (!control->logs)
		return;
	entry.node = folder_of(dir, name, &leaf);
	entry.len = (uint32_t)strlen(leaf) + 1;
	entry.trash = folder ? 0 : keep(dir, name);
	if (folder || entry.trash)
		put(entry, leaf, NULL);
}

static void log_rename(int dir, const char *from, int to_dir, const char *to)
{
	const char *leaf, *to_leaf;
	struct entry entry = {.type = ENTRY_RENAME};

	entry.moved = control->logs ? node_at(dir, from, AT_SYMLINK_NOFOLLOW) : 0;
	if (!entry.moved)
		return;
	entry.node = folder_of(dir, from, &leaf);
	folder_of(to_dir, to, &to_leaf);
	entry.len = (uint32_t)strlen(leaf) + 1;
	entry.trash = keep(to_dir, to);
	put(entry, leaf, to_leaf);
}

/* ---- Writing ---- */

/* What a failing device takes of a write: every other one, a part. */
static size_t taken(size_t n)
{
	return control->failed % 2 == 0 && n > 1 ? n / 2 : 0;
}

ssize_t write(int fd, const void *bytes, size_t n)
{
	bool file = in_state(fd, NULL);
	ssize_t done;
	NEXT(write);

	point("write");
	if (file && fails("write")) {
		n = taken(n);
		if (!n)
			return -1;
	}
	if (file)
		log_write(fd, (fcntl(fd, F_GETFL) & O_APPEND) ? lseek(fd, 0, SEEK_END) : lseek(fd, 0, SEEK_CUR), n);
	done = next(fd, bytes, n);
	point("write done");
	return done;
}

static ssize_t write_at(ssize_t (*next)(int, const void *, size_t, off_t), int fd, const void *bytes, size_t n, off_t offset)
{
	bool file = in_state(fd, NULL);
	ssize_t done;

	point("pwrite");
	if (file && fails("pwrite")) {
		n = taken(n);
		if (!n)
			return -1;
	}
	if (file)
		log_write(fd, offset, n);
	done = next(fd, bytes, n, offset);
	point("pwrite done");
	return done;
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t offset)
{
	NEXT(pwrite);
	return write_at(next, fd, bytes, n, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t offset)
{
	NEXT(pwrite64);
	return write_at(next, fd, bytes, n, offset);
}

static int sync_by(int (*next)(int), int fd, const char *call)
{
	bool file = in_state(fd, NULL);
	int done;

	point(call);
	if (file && fails(call))
		return -1;
	done = next(fd);
	if (!done && file)
		log_sync(fd);
	point("sync done");
	return done;
}

int fsync(int fd)
{
	NEXT(fsync);
	return sync_by(next, fd, "fsync");
}

int fdatasync(int fd)
{
	NEXT(fdatasync);
	return sync_by(next, fd, "fdatasync");
}

static int truncate_by(int (*next)(int, off_t), int fd, off_t size)
{
	bool file = in_state(fd, NULL);
	struct stat st;
	int done;

	point("ftruncate");
	if (file && fails("ftruncate"))
		return -1;
	if (file && !fstat(fd, &st))
		log_write(fd, size < st.st_size ? size : st.st_size, size < st.st_size ? (size_t)(st.st_size - size) : 0);
	done = next(fd, size);
	point("ftruncate done");
	return done;
}

int ftruncate(int fd, off_t size)
{
	NEXT(ftruncate);
	return truncate_by(next, fd, size);
}

int ftruncate64(int fd, off64_t size)
{
	NEXT(ftruncate64);
	return truncate_by(next, fd, size);
}

/* ---- Names ---- */

static bool is_there(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* What a file holds is lost as it is opened. */
static void log_emptying(int dir, const char *path)
{
	int fd = !control->logs ? -1 : (int)syscall(SYS_openat, dir, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return;
	log_write(fd, 0, 1 << 20);
	close(fd);
}

static int open_by(int dir, const char *path, int flags, mode_t mode)
{
	bool file = (flags & (O_CREAT | O_TRUNC)) && in_state(dir, path), fresh;
	int fd;

	if (is_ours() && control->boot_id[0] && !strcmp(path, "/proc/sys/kernel/random/boot_id"))
		path = control->boot_id;
	if (!file)
		return (int)syscall(SYS_openat, dir, path, flags, mode);
	fresh = !is_there(dir, path);
	point("open");
	if ((fresh || control->fail_errno == EIO) && fails("open"))
		return -1;
	if (!fresh && (flags & O_TRUNC))
		log_emptying(dir, path);
	fd = (int)syscall(SYS_openat, dir, path, flags, mode);
	if (fd >= 0 && fresh)
		log_name(ENTRY_CREATE, dir, path);
	point("open done");
	return fd;
}

static mode_t mode_of(int flags, va_list args)
{
	return (flags & (O_CREAT | __O_TMPFILE)) ? va_arg(args, mode_t) : 0;
}

#define OPEN(name, parameters, dir) \
	int name parameters \
	{ \
		va_list args; \
		mode_t mode; \
\
		va_start(args, flags); \
		mode = mode_of(flags, args); \
		va_end(args); \
		return open_by(dir, path, flags, mode); \
	}

OPEN(open, (const char *path, int flags, ...), AT_FDCWD)
OPEN(open64, (const char *path, int flags, ...), AT_FDCWD)
OPEN(openat, (int dir, const char *path, int flags, ...), dir)
OPEN(openat64, (int dir, const char *path, int flags, ...), dir)

int mkdirat(int dir, const char *path, mode_t mode)
{
	bool file = in_state(dir, path);
	int done;
	NEXT(mkdirat);

	point("mkdir");
	if (file && fails("mkdir"))
		return -1;
	done = next(dir, path, mode);
	if (!done && file)
		log_name(ENTRY_MKDIR, dir, path);
	point("mkdir done");
	return done;
}

int mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

int unlinkat(int dir, const char *path, int flags)
{
	bool file = in_state(dir, path);
	int done;
	NEXT(unlinkat);

	point("unlink");
	if (file && control->fail_errno == EIO && fails("unlink")) /* a full disk doesn't keep anybody from that */
		return -1;
	if (file && is_there(dir, path))
		log_unlink(dir, path, flags & AT_REMOVEDIR);
	done = next(dir, path, flags);
	point("unlink done");
	return done;
}

int unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int renameat(int dir, const char *from, int to_dir, const char *to)
{
	bool file = in_state(to_dir, to);
	int done;
	NEXT(renameat);

	point("rename");
	if (file && fails("rename"))
		return -1;
	if (file)
		log_rename(dir, from, to_dir, to);
	done = next(dir, from, to_dir, to);
	point("rename done");
	return done;
}

int rename(const char *from, const char *to)
{
	return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int linkat(int dir, const char *from, int to_dir, const char *to, int flags)
{
	bool file = in_state(to_dir, to);
	int done;
	NEXT(linkat);

	point("link");
	if (file && fails("link"))
		return -1;
	done = next(dir, from, to_dir, to, flags);
	if (!done && file)
		log_name(ENTRY_CREATE, to_dir, to);
	point("link done");
	return done;
}

/* ---- Processes ---- */

pid_t fork(void)
{
	pid_t pid;
	NEXT(fork);

	point("fork");
	pid = next();
	if (pid)
		point("fork done");
	return pid;
}

int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
                char *const argv[], char *const envp[])
{
	int done;
	NEXT(posix_spawn);

	point("spawn");
	done = next(pid, path, actions, attributes, argv, envp);
	point("spawn done");
	return done;
}

long syscall(long number, ...)
{
	long a[6], done;
	va_list args;
	NEXT(syscall);

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_clone3)
		point("clone");
	done = next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (number == SYS_clone3 && done)
		point("clone done");
	return done;
}

/* ---- Talking ---- */

ssize_t sendto(int fd, const void *bytes, size_t n, int flags, __CONST_SOCKADDR_ARG to, socklen_t len)
{
	ssize_t done;
	NEXT(sendto);

	point("send");
	done = next(fd, bytes, n, flags, to, len);
	point("send done");
	return done;
}

ssize_t send(int fd, const void *bytes, size_t n, int flags)
{
	return sendto(fd, bytes, n, flags, NULL, 0);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	ssize_t done;
	NEXT(sendmsg);

	point("sendmsg");
	done = next(fd, message, flags);
	point("sendmsg done");
	return done;
}

ssize_t sendfile64(int out, int in, off64_t *offset, size_t n)
{
	ssize_t done;
	NEXT(sendfile64);

	point("sendfile");
	done = next(out, in, offset, n);
	point("sendfile done");
	return done;
}

/* ---- The wall clock ---- */

int clock_gettime(clockid_t id, struct timespec *ret)
{
	int done;
	int64_t ns;
	NEXT(clock_gettime);

	done = next(id, ret);
	if (done || !control || id != CLOCK_REALTIME || !control->wall_offset_us)
		return done;
	ns = (int64_t)ret->tv_sec * 1000000000 + ret->tv_nsec + control->wall_offset_us * 1000;
	*ret = (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
	return 0;
}

time_t time(time_t *ret)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (ret)
		*ret = now.tv_sec;
	return now.tv_sec;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
	struct timespec now;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	*ret = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
	return 0;
}
