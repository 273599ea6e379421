/* SPDX-License-Identifier: Apache-2.0
 * task_run.c: starts one task; see task_run.h. All but task_start runs in the child. */
#include "engine/task_run.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/sched.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/files.h"

enum { EXIT_CANNOT_START = 126, EXIT_NO_INTERPRETER = 127 };

static const char *const shells[] = {"/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash", "/bin/sh"};

static const char *find_shell(void)
{
	for (size_t i = 0; i + 1 < sizeof shells / sizeof *shells; i++)
		if (access(shells[i], X_OK) == 0)
			return shells[i];
	return shells[sizeof shells / sizeof *shells - 1];
}

void task_job_read_account(struct task_job *job, struct arena *arena)
{
	struct passwd *account = getpwuid(getuid());
	char host[256] = "localhost";

	gethostname(host, sizeof host - 1);
	host[strcspn(host, ".")] = 0;
	job->home = arena_strdup(arena, account && account->pw_dir[0] ? account->pw_dir : "/");
	job->user = account ? arena_strdup(arena, account->pw_name) : arena_printf(arena, "%u", (unsigned)getuid());
	job->shell = find_shell();
	job->host = arena_strdup(arena, host);
}

/* Leaves the reason where the supervisor sees it, and in the task's own output; ends the process. */
static _Noreturn void give_up(const struct task_job *job, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static _Noreturn void give_up(const struct task_job *job, int code, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	dprintf(STDERR_FILENO, "suan: %s\n", text);
	if (job->note && !job->note[0])
		snprintf(job->note, TASK_NOTE_SIZE, "%s", text);
	_exit(code);
}

/* ---- Where it runs, and where its output goes ---- */

/* The folder that each attempt has of its own, where the job names none. */
static const char *enter_own_workdir(const struct task_job *job, struct arena *arena)
{
	const char *workdir = arena_printf(arena, "%s/work", job->folder);
	int fd;

	mkdirat(job->attempt, "work", 0700);
	fd = path_open(job->attempt, "work", O_RDONLY | O_DIRECTORY, 0, PATH_BENEATH);
	if (fd < 0 || fchdir(fd))
		give_up(job, EXIT_CANNOT_START, "workdir: \"%s\": %s", workdir, strerror(errno));
	close(fd);
	return workdir;
}

static const char *enter_workdir(const struct task_job *job, struct arena *arena)
{
	const char *workdir = job->launch->payload->workdir;

	if (!workdir[0])
		return enter_own_workdir(job, arena);
	if (chdir(workdir))
		give_up(job, EXIT_CANNOT_START, "workdir: \"%s\": %s", workdir, strerror(errno));
	return workdir;
}

/* The output that Suan keeps, marked as such: who looks at it later knows it from any other file put in its place. */
static int open_kept(const struct task_job *job, uint32_t rank)
{
	char name[32];
	int fd;

	snprintf(name, sizeof name, "out.%" PRIu32, rank);
	fd = openat(job->attempt, name, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0)
		file_mark(fd, job->name);
	return fd;
}

/* Lets Suan's log be the file that a script asked for: by a second name of it, or across file systems by where it is. */
static void keep_as_log(const struct task_job *job, int fd)
{
	char link[48], path[4096];
	struct stat st;
	ssize_t len;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return;
	file_mark(fd, job->name);
	unlinkat(job->attempt, "out.0", 0);
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	if (!linkat(AT_FDCWD, link, job->attempt, "out.0", AT_SYMLINK_FOLLOW))
		return;
	len = readlink(link, path, sizeof path - 1);
	if (len <= 0)
		return;
	path[len] = 0;
	if (symlinkat(path, job->attempt, "out.0"))
		return;
}

/* Where a pattern may lead. From a working folder of the attempt's own not out of it, for beside it are the files that the
 * attempt is made of. */
static enum path_rule rule_of(const struct task_job *job, const char *path)
{
	return path[0] == '/' || job->launch->payload->workdir[0] ? PATH_OF_USER : PATH_BENEATH;
}

/* Opens the file of an #SBATCH --output or --error, from the working folder; a later attempt goes on in it. It is emptied only
 * once it is known to be a plain file; a pipe that nobody reads isn't waited for. */
static int open_pattern(const struct task_job *job, const char *pattern, struct arena *arena)
{
	const char *path = slurm_expand(pattern, job->launch, job->host, arena);
	const int flags = O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
	int fd = path_open(AT_FDCWD, path, flags, 0644, rule_of(job, path));
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || (S_ISREG(st.st_mode) && job->launch->attempt <= 1 && st.st_size && ftruncate(fd, 0)))
		give_up(job, EXIT_CANNOT_START, "output: \"%.100s\": %s", path,
		        errno == EXDEV ? "leads out of the job's own working folder" : strerror(errno));
	fcntl(fd, F_SETFL, O_APPEND);
	return fd;
}

/* Before anything can fail, so that there is a place to say so. */
static void open_output(const struct task_job *job, uint32_t rank)
{
	int in = open("/dev/null", O_RDONLY | O_CLOEXEC), out = open_kept(job, rank);

	if (in < 0 || out < 0)
		give_up(job, EXIT_CANNOT_START, "out.%" PRIu32 ": %s", rank, strerror(errno));
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
}

static void open_slurm_output(const struct task_job *job, struct arena *arena)
{
	const struct payload *payload = job->launch->payload;

	if (payload->output[0]) {
		int fd = open_pattern(job, payload->output, arena);

		keep_as_log(job, fd);
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
	}
	if (payload->error[0])
		dup2(open_pattern(job, payload->error, arena), STDERR_FILENO);
}

/* ---- What it runs ---- */

/* The interpreter that a script's first line names, and its one argument, as the kernel reads it; by ourselves, so that the
 * folder may be on a file system that runs nothing. Returns whether there is one. */
static bool read_interpreter(const struct task_job *job, const char *script, char *line, size_t size, char **ret_argument)
{
	int fd = openat(job->attempt, script, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, line, size - 1);
	char *at;

	if (fd >= 0)
		close(fd);
	*ret_argument = NULL;
	if (n < 3 || line[0] != '#' || line[1] != '!')
		return false;
	line[n] = 0;
	line[strcspn(line, "\r\n")] = 0;
	memmove(line, line + 2, strlen(line + 2) + 1);
	at = line + strspn(line, " \t");
	memmove(line, at, strlen(at) + 1);
	for (at = line + strlen(line); at > line && strchr(" \t", at[-1]);)
		*--at = 0;
	at = strpbrk(line, " \t");
	if (at) {
		*at++ = 0;
		*ret_argument = at + strspn(at, " \t");
	}
	return line[0] != 0;
}

static _Noreturn void run_script(const struct task_job *job, const char *script, char **env, struct arena *arena)
{
	char line[256], *argument, *argv[4], *path = arena_printf(arena, "%s/%s", job->folder, script);
	int n = 0;

	if (read_interpreter(job, script, line, sizeof line, &argument)) {
		argv[n++] = line;
		if (argument)
			argv[n++] = argument;
	} else {
		argv[n++] = (char *)job->shell;
	}
	argv[n++] = path;
	argv[n] = NULL;
	execve(argv[0], argv, env);
	give_up(job, EXIT_NO_INTERPRETER, "\"%s\" can't be run: %s", argv[0], strerror(errno));
}

/* ---- The child ---- */

/* What is done on a signal was set back to the default when the supervisor was started; which are blocked is its own doing. */
static void unblock_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void child(const struct task_job *job, uint32_t rank, const char *script, pid_t supervisor)
{
	struct arena arena = {0};
	struct task_place place = {
		.home = job->home, .user = job->user, .shell = job->shell, .host = job->host, .claim = job->claim, .port = job->port};

	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != supervisor)
		_exit(EXIT_CANNOT_START);
	cgroup_enter(job->cgroups, job->name, rank);
	unblock_signals();
	open_output(job, rank);
	umask(022);
	place.workdir = enter_workdir(job, &arena);
	if (job->launch->payload->flavour == FLAVOUR_SBATCH)
		open_slurm_output(job, &arena);
	run_script(job, script, task_env(job->launch, rank, &place, &arena), &arena);
}

/* As fork; the child is born in its group of version 2 where it has one, for moving there would stop every fork of the machine
 * for some milliseconds. */
static pid_t fork_in_group(const struct task_job *job, uint32_t rank)
{
	int group = cgroup_open_v2(job->cgroups, job->name, rank);
	struct clone_args args = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)group};
	pid_t pid = -1;

	if (group >= 0) {
		pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
		if (pid != 0)
			close(group);
	}
	return pid >= 0 ? pid : fork();
}

pid_t task_start(const struct task_job *job, uint32_t rank, const char *script)
{
	pid_t supervisor = getpid(), pid = fork_in_group(job, rank);

	if (pid == 0)
		child(job, rank, script, supervisor);
	return pid;
}
