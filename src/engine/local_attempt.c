/* SPDX-License-Identifier: Apache-2.0
 * local_attempt.c: what the local engine does to an attempt: holds, launches, ends, looks it up, forgets; see local.h.
 *
 * Looking twice reports twice, which the core takes as one. */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/files.h"
#include "engine/local.h"
#include "engine/start_claim.h"
#include "engine/supervise.h"

static const us_t sweep_us_max = 2 * US_SECOND;
/* A claim is kept this long after the attempt was forgotten. What makes a late supervisor harmless is that its launch is gone;
 * this is the second bar, and there for people to look at. */
static const us_t claim_kept_us = US_DAY;

/* ---- The table ---- */

uint64_t local_key(uint32_t job, uint32_t attempt)
{
	return (uint64_t)job << 32 | attempt;
}

struct attempt *local_find_attempt(struct local *e, uint32_t job, uint32_t attempt)
{
	uint32_t at = map_get(&e->index, local_key(job, attempt), UINT32_MAX);

	return at == UINT32_MAX ? NULL : e->table[at];
}

struct attempt *local_add_attempt(struct local *e, uint32_t job, uint32_t attempt)
{
	struct attempt *a = local_find_attempt(e, job, attempt);
	void *table = e->table;

	if (a)
		return a;
	a = mem_new(1, sizeof *a);
	*a = (struct attempt){.job = job, .attempt = attempt, .pidfd = -1};
	mem_grow(&table, &e->cap, e->n, sizeof *e->table);
	e->table = table;
	map_set(&e->index, local_key(job, attempt), e->n);
	e->table[e->n++] = a;
	return a;
}

bool local_child_runs(struct attempt *a)
{
	if (a->child && waitpid(a->child, NULL, WNOHANG) != 0)
		a->child = 0;
	return a->child;
}

/* A supervisor tells us of the end before its own. */
void local_unwatch(struct local *e, struct attempt *a)
{
	void *leaving = e->leaving;

	if (a->pidfd >= 0)
		close(a->pidfd); /* leaves the epoll by itself */
	a->pidfd = -1;
	if (!local_child_runs(a))
		return;
	mem_grow(&leaving, &e->cap_leaving, e->n_leaving, sizeof *e->leaving);
	e->leaving = leaving;
	e->leaving[e->n_leaving++] = a->child;
	a->child = 0;
}

void local_take_in(struct local *e)
{
	for (uint32_t i = e->n_leaving; i-- > 0;)
		if (waitpid(e->leaving[i], NULL, WNOHANG) != 0)
			e->leaving[i] = e->leaving[--e->n_leaving];
}

void local_drop_attempt(struct local *e, struct attempt *a)
{
	uint32_t at = map_get(&e->index, local_key(a->job, a->attempt), UINT32_MAX);
	struct attempt *last = e->table[e->n - 1];

	assert(at != UINT32_MAX);
	map_remove(&e->index, local_key(a->job, a->attempt));
	if (last != a) {
		e->table[at] = last;
		map_set(&e->index, local_key(last->job, last->attempt), at);
	}
	e->n--;
	local_unwatch(e, a);
	letter_free(a->retry);
	free(a);
}

/* ---- Reports ---- */

static void report(struct local *e, const struct attempt *a, struct report r)
{
	r.job = a->job;
	r.attempt = a->attempt;
	e->sink.report(e->sink.ctx, &r);
}

static void report_state(struct local *e, const struct attempt *a, enum attempt_state state, const char *note)
{
	report(e, a, (struct report){.state = state, .note = note});
}

static void report_running(struct local *e, struct attempt *a, const struct claim_view *view)
{
	char id[32];

	snprintf(id, sizeof id, "pid %d", (int)view->owner.pid);
	report(e, a,
	       (struct report){.state = ATTEMPT_RUNNING, .at_us = stamp_on_clock(&view->started_at, e->now()), .native_id = id});
	a->told_running = true;
}

static void report_end(struct local *e, struct attempt *a, const struct claim_view *view)
{
	const struct claim_end *end = &view->end;
	bool lost = end->cause == CAUSE_LOST;

	if (view->started && !a->told_running)
		report_running(e, a, view);
	local_unwatch(e, a);
	a->over = true;
	report(e, a,
	       (struct report){
			   .state = lost ? ATTEMPT_LOST : ATTEMPT_ENDED,
			   .at_us = stamp_on_clock(&end->at, e->now()),
			   .cause = end->cause,
			   .exit_code = end->exit_code,
			   .rank = end->rank,
			   .note = end->note[0] ? end->note : NULL,
		   });
}

/* ---- Looking ---- */

/* Watches a supervisor's process, so that its end wakes us. */
static void watch(struct local *e, struct attempt *a, const struct claim_owner *owner)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = local_key(a->job, a->attempt)};

	if (a->pidfd >= 0 || owner->pid <= 1)
		return;
	a->pidfd = (int)syscall(SYS_pidfd_open, owner->pid, 0);
	if (a->pidfd < 0)
		return;
	/* The number may be another process's by now; then the clock does the looking. */
	if (process_start(owner->pid) != owner->start || epoll_ctl(e->epoll, EPOLL_CTL_ADD, a->pidfd, &event)) {
		close(a->pidfd);
		a->pidfd = -1;
	}
}

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* The supervisor is gone and left no exit: what it left running ends before anybody hears that the cards are free. */
static int settle_lost(struct local *e, const char *name, struct claim_view *view, struct err *err)
{
	struct claim_end end = {.cause = CAUSE_LOST, .at = stamp_now()};
	us_t until = process_boot_us() + sweep_us_max;
	char marker[PATH_MAX + 64];
	int folder, code;

	snprintf(end.note, sizeof end.note, "%s",
	         view->this_boot ? "its supervisor is gone" : "the machine was restarted while it ran");
	snprintf(marker, sizeof marker, "SUAN_CLAIM=%s/" LOCAL_CLAIMS "/%s", e->state_dir, name);
	while (view->this_boot) {
		uint32_t left;

		cgroup_kill(&view->owner.cgroups);
		left = process_kill_marked(marker);
		if ((!left && cgroup_is_empty(&view->owner.cgroups)) || process_boot_us() > until)
			break;
		sleep_ms(5);
	}
	cgroup_remove(&view->owner.cgroups);
	folder = folder_open(e->claims, name, err);
	if (folder < 0)
		return folder;
	code = claim_put_end(folder, &end, err);
	close(folder);
	if (code == ERR_CONFLICT)
		code = 0;
	return code ? code : claim_look(e->claims, name, view, err);
}

/* Looks at an attempt's claim, and reports what it says. Returns its state, or a negative code. */
int local_look(struct local *e, struct attempt *a, struct err *err)
{
	char name[ATTEMPT_NAME_SIZE];
	struct claim_view view;
	int code = claim_look(e->claims, attempt_name(a->job, a->attempt, name, sizeof name), &view, err);

	if (!code && view.state == CLAIM_DEAD)
		code = settle_lost(e, name, &view, err);
	if (code)
		return code;
	if (view.state == CLAIM_OVER) {
		report_end(e, a, &view);
	} else if (view.state == CLAIM_ALIVE) {
		a->launched = true;
		a->retry_wait_us = 0;
		watch(e, a, &view.owner);
		if (view.started && !a->told_running)
			report_running(e, a, &view);
	}
	return (int)view.state;
}

/* Whether what an attempt needs to start is here. */
static bool have_folder(struct local *e, const struct attempt *a)
{
	char name[ATTEMPT_NAME_SIZE];
	int folder = folder_open(e->attempts, attempt_name(a->job, a->attempt, name, sizeof name), NULL);
	bool have = folder >= 0 && faccessat(folder, "launch", F_OK, AT_SYMLINK_NOFOLLOW) == 0;

	if (folder >= 0)
		close(folder);
	return have;
}

/* ---- What the letters ask ---- */

/* The launch file comes last: with it the folder is whole. It is durable where HELD will be reported, for then nobody holds the
 * attempt again; one that may run at once stays an intent until there is a claim, and is held again after a loss of power, which
 * writes these files anew whatever is left of them (docs/adr/0007). */
static int put_files(struct local *e, const char *name, const struct letter *letter, struct err *err)
{
	unsigned flags = letter->released ? 0 : FILE_DURABLE;
	int folder = folder_make(e->attempts, name, err), code = 0;

	if (folder < 0)
		return folder;
	if (letter->secrets.len)
		code = file_put(folder, "secrets", letter->secrets.data, letter->secrets.len, flags, err);
	if (!code)
		code = file_put(folder, "launch", letter->launch.data, letter->launch.len, flags, err);
	close(folder);
	return code || letter->released ? code : folder_sync(e->attempts, err);
}

/* Where a supervisor says what it can't say in the claim: supervisor.log of the attempt's folder. */
static int open_supervisor_log(struct local *e, const char *name, struct err *err)
{
	int folder = folder_open(e->attempts, name, err), log;

	if (folder < 0)
		return folder;
	log = openat(folder, "supervisor.log", O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (log < 0)
		log = err_from_errno(err, "supervisor.log", "can't be opened");
	close(folder);
	return log;
}

/* Starts a supervisor; it has our state folder's name, its log, and nothing else of ours. */
static int spawn(struct local *e, const char *folder, int log, pid_t *ret, struct err *err)
{
	char *argv[] = {e->supervisor, (char *)folder, NULL}, *envp[] = {NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int number;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, log, STDERR_FILENO);
	posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	number = posix_spawn(ret, e->supervisor, &actions, &attributes, argv, envp);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	errno = number;
	return number ? err_from_errno(err, e->supervisor, "can't be started") : 0;
}

/* Makes a tombstone, where nobody has claimed the attempt, and reports what is there then. */
static int bury(struct local *e, struct attempt *a, enum cause cause, const char *note, struct err *err)
{
	struct claim_end end = {.cause = cause, .at = stamp_now()};
	char name[ATTEMPT_NAME_SIZE];
	int code;

	snprintf(end.note, sizeof end.note, "%s", note);
	code = claim_bury(e->claims, attempt_name(a->job, a->attempt, name, sizeof name), &end, err);
	if (code && code != ERR_CONFLICT)
		return code;
	code = local_look(e, a, err);
	return code < 0 ? code : 0;
}

static int launch_attempt(struct local *e, struct attempt *a, struct err *err)
{
	char name[ATTEMPT_NAME_SIZE], folder[PATH_MAX];
	struct claim_owner owner = {0};
	int code, log;

	if (a->stopping) /* since, and what it was asked for may be gone with a claim that was given back */
		return bury(e, a, a->cause, "it never started", err);
	snprintf(folder, sizeof folder, "%s/" LOCAL_ATTEMPTS "/%s", e->state_dir,
	         attempt_name(a->job, a->attempt, name, sizeof name));
	log = open_supervisor_log(e, name, err);
	if (log < 0)
		return log;
	code = spawn(e, folder, log, &owner.pid, err);
	close(log);
	if (code)
		return code;
	a->launched = true;
	a->child = owner.pid;
	owner.start = process_start(owner.pid);
	watch(e, a, &owner);
	return 0;
}

/* Files that are there already are written again: nothing says whether they are whole, and durable. */
static int do_hold(struct local *e, struct attempt *a, struct letter *letter, struct err *err)
{
	char name[ATTEMPT_NAME_SIZE];
	int state, code;

	if (letter->refusal) {
		report_state(e, a, ATTEMPT_REFUSED, letter->refusal);
		return 0;
	}
	a->told_running = false; /* whoever asks again may not have heard */
	state = local_look(e, a, err);
	if (state != CLAIM_NONE || a->launched)
		return state < 0 ? state : 0;
	code = put_files(e, attempt_name(a->job, a->attempt, name, sizeof name), letter, err);
	if (code)
		return code;
	if (letter->released)
		return launch_attempt(e, a, err);
	report_state(e, a, ATTEMPT_HELD, NULL);
	return 0;
}

static int do_release(struct local *e, struct attempt *a, struct letter *letter, struct err *err)
{
	int state;

	(void)letter;
	a->told_running = false; /* whoever asks again may not have heard */
	state = local_look(e, a, err);
	if (state < 0)
		return state;
	if (state != CLAIM_NONE || a->pidfd >= 0 || local_child_runs(a)) /* it has started, or its supervisor is on the way */
		return 0;
	if (!have_folder(e, a))
		return bury(e, a, CAUSE_LOST, "it was held, and what was held is gone", err);
	return launch_attempt(e, a, err);
}

/* Wakes the supervisor whose lock was just seen to be held. */
static void signal_supervisor(const struct claim_owner *owner)
{
	int pidfd = owner->pid > 1 ? (int)syscall(SYS_pidfd_open, owner->pid, 0) : -1;

	if (pidfd < 0)
		return;
	if (process_start(owner->pid) == owner->start)
		syscall(SYS_pidfd_send_signal, pidfd, SUPERVISOR_SIGNAL, NULL, 0);
	close(pidfd);
}

/* Either the tombstone is in place before any supervisor's claim, or there is a claim to put the request into. That claim may be
 * given back the next moment, with the request in it (put_in_place() in start_claim.c): the attempt keeps it too. */
static int do_kill(struct local *e, struct attempt *a, struct letter *letter, struct err *err)
{
	const struct claim_kill asked = {.cause = letter->cause, .grace_us = letter->grace_us};
	char name[ATTEMPT_NAME_SIZE];
	struct claim_view view = {0};
	int code = bury(e, a, letter->cause, "it never started", err);

	a->stopping = true;
	a->cause = letter->cause;
	a->grace_us = letter->grace_us;
	if (!code)
		code = claim_look(e->claims, attempt_name(a->job, a->attempt, name, sizeof name), &view, err);
	if (!code && view.state == CLAIM_NONE)
		return err_set(err, ERR_BUSY, "claim", "was given back just now");
	if (code || view.state != CLAIM_ALIVE)
		return code;
	code = claim_put_kill(e->claims, name, &asked, err);
	if (code == ERR_NOT_FOUND)
		code = ERR_BUSY; /* likewise */
	if (!code)
		signal_supervisor(&view.owner);
	return code;
}

static bool is_log(const char *name)
{
	return !strncmp(name, "out.", 4);
}

static bool is_exit(const char *name)
{
	return !strcmp(name, "exit");
}

/* What was printed stays, what was written in its own working folder stays; the launch goes first, and for good. Of the claim
 * the exit stays: see claim_kept_us. */
static int do_forget(struct local *e, struct attempt *a, struct letter *letter, struct err *err)
{
	char name[ATTEMPT_NAME_SIZE];
	struct claim_view view;
	int code = claim_look(e->claims, attempt_name(a->job, a->attempt, name, sizeof name), &view, err), folder;

	(void)letter;
	if (code)
		return code;
	if (view.state == CLAIM_ALIVE || view.state == CLAIM_DEAD)
		return err_set(err, ERR_CONFLICT, "forget", "job %" PRIu32 ", attempt %" PRIu32 " isn't over", a->job, a->attempt);
	folder = folder_open(e->attempts, name, NULL);
	if (folder >= 0) {
		unlinkat(folder, "launch", 0);
		close(folder);
	}
	code = folder_remove(e->attempts, name, is_log, err);
	if (!code && view.state == CLAIM_OVER)
		code = folder_remove(e->claims, name, is_exit, err);
	if (!code)
		local_drop_attempt(e, a);
	return code;
}

/* ---- Coming up ---- */

/* Where an attempt is that the journal knows; the letter has that one. */
static int do_recover(struct local *e, struct attempt *a, struct letter *letter, struct err *err)
{
	const struct known *known = letter->known;
	int state = local_look(e, a, err);

	if (state != CLAIM_NONE)
		return state < 0 ? state : 0;
	if (known->state == ATTEMPT_RUNNING)
		return bury(e, a, CAUSE_LOST, "it ran, and its claim is gone", err);
	if (known->stopping && known->state != ATTEMPT_INTENT)
		return bury(e, a, known->cause, "it never started", err);
	if (known->state == ATTEMPT_RELEASED)
		return do_release(e, a, letter, err);
	if (known->state != ATTEMPT_HELD)
		return 0; /* an intent is held again by who had it, whatever came here: HELD was never reported */
	if (!have_folder(e, a))
		return bury(e, a, CAUSE_LOST, "it was held, and what was held is gone", err);
	report_state(e, a, ATTEMPT_HELD, NULL);
	return 0;
}

/* What an attempt needs to run; and secrets that a crash left on their way to their name. */
static bool is_of_launch(const char *name)
{
	static const char *const files[] = {"launch", "secrets", "run", "setup"};

	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		if (!strcmp(name, files[i]))
			return true;
	return !strncmp(name, ".secrets.", 9);
}

/* Whether an attempt's folder holds more than what was printed. */
static bool could_run(struct local *e, const char *name)
{
	int fd = folder_open(e->attempts, name, NULL);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	bool could = false;

	if (!list) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	for (struct dirent *entry; !could && (entry = readdir(list));)
		could = is_of_launch(entry->d_name);
	closedir(list);
	return could;
}

/* A folder of an attempt that the journal doesn't know as live: it may not start, ever; what runs is left alone. */
static void tidy_one(struct local *e, uint32_t job, uint32_t attempt, const char *name)
{
	struct claim_end end = {.cause = CAUSE_LOST, .at = stamp_now(), .note = "the journal doesn't know it"};
	struct claim_view view;
	struct attempt *a;

	if (local_find_attempt(e, job, attempt) || !could_run(e, name) || claim_look(e->claims, name, &view, NULL))
		return;
	if (view.state == CLAIM_ALIVE) {
		local_log(e, "job %" PRIu32 ", attempt %" PRIu32 " runs here (pid %d), and the journal doesn't know it; it is left alone",
		          job, attempt, (int)view.owner.pid);
		return;
	}
	if (view.state == CLAIM_NONE && claim_bury(e->claims, name, &end, NULL))
		return;
	if (view.state == CLAIM_DEAD && settle_lost(e, name, &view, NULL))
		return;
	a = local_add_attempt(e, job, attempt);
	if (do_forget(e, a, NULL, NULL))
		local_drop_attempt(e, a);
}

/* Calls visit for each attempt that has a folder in `dir`. */
static void each_folder(struct local *e, int dir,
                        void (*visit)(struct local *e, uint32_t job, uint32_t attempt, const char *name))
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	uint32_t job, attempt;

	if (!list) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (struct dirent *entry; (entry = readdir(list));)
		if (attempt_of_name(entry->d_name, &job, &attempt))
			visit(e, job, attempt, entry->d_name);
	closedir(list);
}

/* A claim that was forgotten a day ago goes. */
static void purge_one(struct local *e, uint32_t job, uint32_t attempt, const char *name)
{
	struct stat st;

	if (local_find_attempt(e, job, attempt) || fstatat(e->claims, name, &st, AT_SYMLINK_NOFOLLOW))
		return;
	if (process_wall_us() - (us_t)st.st_mtime * US_SECOND > claim_kept_us) {
		struct claim_view view;

		if (!claim_look(e->claims, name, &view, NULL) && view.state == CLAIM_OVER)
			folder_remove(e->claims, name, NULL, NULL);
	}
}

/* What an attempt printed, that is all that is left of it. */
static void purge_output(struct local *e, uint32_t job, uint32_t attempt, const char *name)
{
	struct stat st;

	if (local_find_attempt(e, job, attempt) || could_run(e, name) || fstatat(e->attempts, name, &st, AT_SYMLINK_NOFOLLOW))
		return;
	if (process_wall_us() - (us_t)st.st_mtime * US_SECOND > e->keep_us)
		folder_remove(e->attempts, name, NULL, NULL);
}

void local_tidy(struct local *e)
{
	each_folder(e, e->attempts, tidy_one);
}

void local_purge(struct local *e)
{
	each_folder(e, e->claims, purge_one);
	each_folder(e, e->attempts, purge_output);
}

static int (*const doers[])(struct local *, struct attempt *, struct letter *, struct err *) = {[LETTER_RECOVER] = do_recover,
                                                                                                [LETTER_HOLD] = do_hold,
                                                                                                [LETTER_RELEASE] = do_release,
                                                                                                [LETTER_KILL] = do_kill,
                                                                                                [LETTER_FORGET] = do_forget};

int local_do(struct local *e, struct attempt *a, struct letter *letter, struct err *err)
{
	return doers[letter->type](e, a, letter, err);
}
