/* SPDX-License-Identifier: Apache-2.0
 * local.c: this machine as a centre: real processes, each job beside a supervisor of its own that outlives us.
 *
 *   call ─► mailbox ─► our thread ─► folder, supervisor, claim ─► report
 *
 * A datagram of a supervisor, the end of its process and, once a second, the clock make the thread look at an attempt. */
#include "engine/local.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/engines.h"
#include "engine/files.h"
#include "engine/launch_file.h"
#include "engine/local_find.h"
#include "engine/start_claim.h"
#include "engine/supervise.h"

enum { EVENTS_AT_ONCE = 64, KEEP_DAYS = 30 };

/* What wakes the thread; above these, the key of an attempt whose supervisor has ended. */
enum wake { WAKE_MAILBOX, WAKE_SOCKET, WAKE_CLOCK, WAKE_COUNT };

static const us_t look_every_us = US_SECOND;
static const us_t retry_us_max = 30 * US_SECOND;

static struct local *local_of(struct engine *engine)
{
	return (struct local *)engine;
}

void local_log(struct local *e, const char *fmt, ...)
{
	char text[768];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	e->sink.log(e->sink.ctx, text);
}
/* ---- The thread ---- */

/* What may pass by itself: no space, no memory, no process. */
static bool may_pass(int code)
{
	return code == ERR_FULL || code == ERR_IO || code == ERR_NOMEM || code == ERR_BUSY || code == ERR_DENIED;
}

/* Keeps a letter that failed for now, said once; a later one about the same attempt takes its place, but for that of a kill,
 * after which nothing else is to be done. */
static void keep_for_later(struct local *e, struct attempt *a, struct letter *letter, const struct err *err)
{
	if (!a->retry_wait_us)
		local_log(e, "job %" PRIu32 ", attempt %" PRIu32 ": %s: %s; tried again", a->job, a->attempt, err->subject, err->text);
	a->retry_wait_us = a->retry_wait_us ? 2 * a->retry_wait_us : 100 * US_MS;
	if (a->retry_wait_us > retry_us_max)
		a->retry_wait_us = retry_us_max;
	a->retry_at_us = process_boot_us() + a->retry_wait_us;
	if (a->retry && a->retry->type == LETTER_KILL && letter->type != LETTER_KILL) {
		letter_free(letter);
		return;
	}
	letter_free(a->retry);
	a->retry = letter;
}

/* Takes the letter over. */
static void do_letter(struct local *e, struct letter *letter)
{
	struct attempt *a = local_add_attempt(e, letter->job, letter->attempt);
	struct err err = {0};
	int code;

	if (a->retry == letter)
		a->retry = NULL;
	code = local_do(e, a, letter, &err);
	if (code && may_pass(code)) {
		keep_for_later(e, a, letter, &err);
		return;
	}
	if (code)
		local_log(e, "job %" PRIu32 ", attempt %" PRIu32 ": %s: %s", letter->job, letter->attempt, err.subject, err.text);
	else if (letter->type == LETTER_HOLD && !letter->released)
		a->retry_wait_us = 0; /* of a start: once there is a claim */
	letter_free(letter);
}

/* One letter for each attempt, so that each succeeds or waits by itself. */
static void recover_all(struct local *e, const struct letter *letter)
{
	for (uint32_t i = 0; i < letter->n_known; i++) {
		const struct known *known = &letter->known[i];
		struct letter *one = letter_new(LETTER_RECOVER, known->job, known->attempt);

		one->known = mem_new(1, sizeof *known);
		*one->known = *known;
		one->n_known = 1;
		do_letter(e, one);
	}
	local_tidy(e);
	e->purge_at_us = 0; /* not before we know who is still asked for */
}

/* A hold writes files, and may sync them: holds are put aside, and done one at a time between the others. A letter that overtakes
 * the hold of its own attempt does no harm: a release follows the report of HELD, and a kill makes a tombstone, which the hold
 * then finds. */
static void take_letters(struct local *e)
{
	for (struct letter *letter = mailbox_take(&e->posted.box), *next; letter; letter = next) {
		next = letter->next;
		letter->next = NULL;
		if (letter->type == LETTER_HOLD) {
			*e->last_hold = letter;
			e->last_hold = &letter->next;
			continue;
		}
		if (letter->type != LETTER_RECOVER && letter->type != LETTER_CLOSE) {
			do_letter(e, letter);
			continue;
		}
		if (letter->type == LETTER_CLOSE)
			e->closing = true;
		else
			recover_all(e, letter);
		letter_free(letter);
	}
}

static void take_hold(struct local *e)
{
	struct letter *letter = e->holds;

	e->holds = letter->next;
	if (!e->holds)
		e->last_hold = &e->holds;
	letter->next = NULL;
	do_letter(e, letter);
}

static void look_or_log(struct local *e, struct attempt *a)
{
	struct err err;

	if (local_look(e, a, &err) < 0)
		local_log(e, "job %" PRIu32 ", attempt %" PRIu32 ": %s: %s", a->job, a->attempt, err.subject, err.text);
}

/* Each datagram is the name of an attempt. */
static void take_datagrams(struct local *e)
{
	char name[ATTEMPT_NAME_SIZE];
	uint32_t job, attempt;
	ssize_t n;

	while ((n = recv(e->socket, name, sizeof name - 1, MSG_DONTWAIT)) >= 0) {
		struct attempt *a;

		name[n] = 0;
		a = attempt_of_name(name, &job, &attempt) ? local_find_attempt(e, job, attempt) : NULL;
		if (a)
			look_or_log(e, a);
	}
}

/* Starts it again later; or ends it, where that was asked for since. */
static void start_again(struct local *e, struct attempt *a, const struct err *err)
{
	struct letter *letter = letter_new(a->stopping ? LETTER_KILL : LETTER_RELEASE, a->job, a->attempt);

	if (!a->stopping) {
		keep_for_later(e, a, letter, err);
		return;
	}
	letter->cause = a->cause;
	letter->grace_us = a->grace_us;
	do_letter(e, letter);
}

/* A supervisor has ended. Without a claim, its own start failed: it is tried again. */
static void supervisor_ended(struct local *e, uint32_t job, uint32_t attempt)
{
	struct attempt *a = local_find_attempt(e, job, attempt);
	struct err err;

	if (!a)
		return;
	if (a->pidfd < 0 && local_child_runs(a)) { /* where no process can be watched, the clock asks */
		look_or_log(e, a);
		return;
	}
	local_unwatch(e, a);
	if (local_look(e, a, &err) == CLAIM_NONE && a->launched) {
		a->launched = false;
		err_set(&err, ERR_IO, "supervisor", "ended before it could claim; see supervisor.log in the attempt's folder");
		start_again(e, a, &err);
	}
}

/* Once a second: what no datagram and no end of a process told us, and what failed for now. */
static void look_around(struct local *e)
{
	us_t now = process_boot_us();
	uint64_t ticks;
	ssize_t n = read(e->clock, &ticks, sizeof ticks);

	(void)n;
	for (uint32_t i = e->n; i-- > 0;) {
		struct attempt *a = e->table[i];

		if (a->retry && now >= a->retry_at_us)
			do_letter(e, a->retry);
		else if (a->launched && !a->over && a->pidfd < 0)
			supervisor_ended(e, a->job, a->attempt); /* as far as we can see */
		else if (a->launched && !a->over && !a->told_running)
			look_or_log(e, a);
	}
	local_take_in(e);
	if (now >= e->purge_at_us) {
		e->purge_at_us = now + US_HOUR;
		local_purge(e);
	}
}

static void *thread_main(void *arg)
{
	struct local *e = arg;
	struct epoll_event events[EVENTS_AT_ONCE];

	pthread_setname_np(pthread_self(), "local");
	while (!e->closing) {
		int n = epoll_wait(e->epoll, events, EVENTS_AT_ONCE, e->holds ? 0 : -1);

		for (int i = 0; i < n; i++) {
			uint64_t key = events[i].data.u64;

			if (key == WAKE_MAILBOX)
				take_letters(e);
			else if (key == WAKE_SOCKET)
				take_datagrams(e);
			else if (key == WAKE_CLOCK)
				look_around(e);
			else
				supervisor_ended(e, (uint32_t)(key >> 32), (uint32_t)key);
		}
		if (e->holds && !e->closing)
			take_hold(e);
	}
	return NULL;
}

/* ---- Opening and closing ---- */

/* The supervisor's program: beside ours, or where the environment says (for tests). */
static int find_supervisor(char **ret, struct err *err)
{
	const char *stated = secure_getenv("SUAN_SUPERVISOR");
	char path[PATH_MAX + 32];

	if (stated && stated[0] == '/') {
		snprintf(path, sizeof path, "%s", stated);
	} else {
		ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);
		char *slash;

		path[n > 0 ? n : 0] = 0;
		slash = strrchr(path, '/');
		strcpy(slash ? slash + 1 : path, "suan-supervisor");
	}
	if (access(path, X_OK))
		return err_from_errno(err, path, "the program that stays beside each job can't be run");
	*ret = mem_strdup(path);
	return 0;
}

static int add_wake(struct local *e, int fd, enum wake wake)
{
	return epoll_ctl(e->epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.u64 = wake});
}

static int open_socket(struct local *e, struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	e->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlinkat(e->state, LOCAL_SOCKET, 0);
	/* By descriptor, for the name of a folder may be longer than an address. */
	snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/" LOCAL_SOCKET, e->state);
	if (e->socket < 0 || bind(e->socket, (struct sockaddr *)&address, sizeof address))
		return err_from_errno(err, LOCAL_SOCKET, "can't be opened");
	return 0;
}

static int open_wakes(struct local *e, struct err *err)
{
	const struct itimerspec every = {.it_interval.tv_sec = look_every_us / US_SECOND,
	                                 .it_value.tv_sec = look_every_us / US_SECOND};

	e->epoll = epoll_create1(EPOLL_CLOEXEC);
	e->clock = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (e->epoll < 0 || e->clock < 0 || timerfd_settime(e->clock, 0, &every, NULL) ||
	    add_wake(e, e->posted.box.event_fd, WAKE_MAILBOX) || add_wake(e, e->socket, WAKE_SOCKET) ||
	    add_wake(e, e->clock, WAKE_CLOCK))
		return err_from_errno(err, "engine", "its events can't be watched");
	return 0;
}

static int open_folders(struct local *e, const char *state_dir, struct err *err)
{
	e->state_dir = realpath(state_dir, NULL);
	if (!e->state_dir)
		return err_from_errno(err, state_dir, "can't be opened");
	if (strlen(e->state_dir) > PATH_MAX - 128)
		return err_set(err, ERR_TOO_LARGE, "state", "the name of the folder is too long");
	e->state = folder_open(AT_FDCWD, e->state_dir, err);
	if (e->state < 0)
		return e->state;
	e->attempts = folder_make(e->state, LOCAL_ATTEMPTS, err);
	if (e->attempts < 0)
		return e->attempts;
	e->claims = folder_make(e->state, LOCAL_CLAIMS, err);
	return e->claims < 0 ? e->claims : folder_sync(e->state, err);
}

/* Supervisors outlive the daemon, and one may be making its claim just now; our own thread isn't there yet. */
static void clear_claims(struct local *e)
{
	uint32_t n = claim_remove_leftovers(e->claims);

	if (n)
		local_log(e, "%" PRIu32 " claims that a crash left unfinished were removed", n);
}

static void say_limits(struct local *e)
{
	struct cgroups cgroups;
	char text[512];

	cgroups_find(e->state_dir, &cgroups);
	cgroups_describe(&cgroups, text, sizeof text);
	local_log(e, "%s", text);
}

static int open_parts(struct local *e, const struct engine_config *config, struct err *err)
{
	int code = mailbox_init(&e->posted.box, err);

	if (!code)
		code = find_supervisor(&e->supervisor, err);
	if (!code)
		code = open_folders(e, config->state_dir, err);
	if (!code)
		code = open_socket(e, err);
	if (!code)
		code = open_wakes(e, err);
	return code;
}

/* Signals are the host's: our thread takes none. */
static int start_thread(struct local *e, struct err *err)
{
	sigset_t all, before;
	int number;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	number = pthread_create(&e->posted.thread, NULL, thread_main, e);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = number;
	return number ? err_from_errno(err, "engine", "no thread can be had") : 0;
}

static void free_parts(struct local *e)
{
	const int fds[] = {e->state, e->attempts, e->claims, e->epoll, e->socket, e->clock};

	while (e->n)
		local_drop_attempt(e, e->table[e->n - 1]);
	for (struct letter *letter = e->holds, *next; letter; letter = next) {
		next = letter->next;
		letter_free(letter);
	}
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (e->posted.box.last)
		mailbox_done(&e->posted.box);
	map_done(&e->index);
	free(e->table);
	free(e->leaving);
	free(e->state_dir);
	free(e->supervisor);
	free(e);
}

static int read_options(struct local *e, const struct centre_spec *centre, struct err *err)
{
	e->keep_us = KEEP_DAYS * US_DAY;
	for (uint32_t i = 0; i < centre->n_options; i++) {
		const struct option_spec *option = &centre->options[i];

		if (strcmp(option->key, "keep") != 0)
			return err_set(err, ERR_INVALID, "engine", "\"%.60s\": the local engine has one option, keep", option->key);
		if (us_parse_duration(option->value, &e->keep_us, NULL) < 0)
			return err_set(err, ERR_INVALID, "engine.keep", "\"%.60s\": expected a duration, such as 30d", option->value);
	}
	return 0;
}

static int local_open(const struct engine_config *config, const struct engine_sink *sink, struct engine **ret, struct err *err)
{
	struct local *e = mem_new(1, sizeof *e);
	int code;

	*ret = NULL;
	*e = (struct local){.posted.engine.ops = &engine_local,
	                    .sink = *sink,
	                    .now = config->now,
	                    .state = -1,
	                    .attempts = -1,
	                    .claims = -1,
	                    .epoll = -1,
	                    .socket = -1,
	                    .clock = -1};
	e->last_hold = &e->holds;
	e->purge_at_us = US_NEVER;
	code = read_options(e, config->centre, err);
	if (!code)
		code = open_parts(e, config, err);
	if (!code) {
		clear_claims(e);
		say_limits(e);
		code = start_thread(e, err);
	}
	if (code) {
		free_parts(e);
		return code;
	}
	*ret = &e->posted.engine;
	return 0;
}

static struct engine *local_close(struct engine *engine)
{
	struct local *e = engine ? local_of(engine) : NULL;

	if (!e)
		return NULL;
	posted_stop(&e->posted);
	free_parts(e);
	return NULL;
}

/* ---- The calls ---- */

/* Why this machine won't have a launch; NULL: it will. */
static const char *refusal_of(const struct launch *launch)
{
	if (launch->image[0])
		return "this centre runs no container images";
	if (launch->n_tasks > LAUNCH_TASKS_MAX)
		return "this machine runs at most 1024 tasks of one job";
	if (launch->payload->n_envs > LAUNCH_VARIABLES_MAX || launch->n_secrets > LAUNCH_VARIABLES_MAX)
		return "a job's environment has at most 4096 variables here";
	if (launch->payload->workdir[0] && launch->payload->workdir[0] != '/')
		return "its workdir isn't absolute";
	return NULL;
}

static int local_hold(struct engine *engine, const struct launch *launch, struct err *err)
{
	struct letter *letter = letter_new(LETTER_HOLD, launch->job, launch->attempt);

	assert(launch->n_tasks >= 1);
	letter->refusal = refusal_of(launch);
	letter->released = launch->released;
	if (!letter->refusal) {
		launch_encode(launch, &letter->launch);
		if (launch->n_secrets)
			variables_encode(launch->secrets, launch->n_secrets, &letter->secrets);
	}
	return mailbox_put(&local_of(engine)->posted.box, letter, err);
}

/* A script's own output on another file system: the supervisor left a link to it, with a name that has no link in it. */
static int open_linked(int attempt, const char *name)
{
	char path[PATH_MAX];
	ssize_t n = readlinkat(attempt, name, path, sizeof path - 1);

	if (n <= 0)
		return -1;
	path[n] = 0;
	return path_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0, PATH_NO_LINKS);
}

/* Whether an output may be shown to whoever may read logs. A job can write in its own folder, and put any file of its user's
 * there, by a link or by moving it: what isn't the very file that the supervisor made and marked is shown only where all users
 * may read it. So no link ever shows a key, the token or another job's secrets. Where files bear no marks, what was reached by a
 * link, or has another name, is taken to be another's. */
static int check_output(int fd, const char *name, const char *attempt, bool linked, struct err *err)
{
	enum mark mark = file_has_mark(fd, attempt);
	struct stat st;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return err_set(err, ERR_NOT_FOUND, name, "not a regular file");
	if (mark != MARK_THERE && (mark == MARK_MISSING || linked || st.st_nlink > 1) && !(st.st_mode & S_IROTH))
		return err_set(err, ERR_DENIED, name, "is another file too, one that not everybody may read: look at it there");
	return 0;
}

static int local_log_open(struct engine *engine, uint32_t job, uint32_t attempt, uint32_t rank, int *ret_fd, struct err *err)
{
	struct local *e = local_of(engine);
	char folder[ATTEMPT_NAME_SIZE], name[32];
	int dir = folder_open(e->attempts, attempt_name(job, attempt, folder, sizeof folder), err), fd, code;
	bool linked;

	if (dir < 0)
		return dir;
	snprintf(name, sizeof name, "out.%" PRIu32, rank);
	fd = path_open(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, PATH_BENEATH);
	linked = fd < 0 && errno == ELOOP;
	if (linked)
		fd = open_linked(dir, name);
	close(dir);
	if (fd < 0)
		return err_from_errno(err, name, "can't be opened");
	code = check_output(fd, name, folder, linked, err);
	if (code < 0)
		close(fd);
	else
		*ret_fd = fd;
	return code;
}

const struct engine_ops engine_local = {
	.type = "local",
	.capabilities = CAN_EXACT_CARDS | CAN_FRACTIONS | CAN_BARE | CAN_LOGS | CAN_SIGNALS | CAN_START_ONCE | CAN_LIMIT,
	.discover = local_discover,
	.open = local_open,
	.recover = posted_recover,
	.hold = local_hold,
	.release = posted_release,
	.kill = posted_kill,
	.forget = posted_forget,
	.log_open = local_log_open,
	.close = local_close,
};
