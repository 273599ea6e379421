/* SPDX-License-Identifier: Apache-2.0
 * supervise.c: runs one attempt, from the claim to the exit. Runs in a process of its own, which outlives the daemon.
 *
 *   claim ─► read the launch ─► start every task ─► wait: a task ended | limit | asked to stop ─► sweep ─► exit
 *
 * The launch is read after the claim is made, so an attempt whose launch was taken away can't start any more, however late
 * its supervisor comes. This process is the reaper of all orphans below it (PR_SET_CHILD_SUBREAPER): as long as it has a child,
 * something of the attempt is alive, and when it has none, nothing is. */
#include "engine/supervise.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/files.h"
#include "engine/launch_file.h"
#include "engine/start_claim.h"
#include "engine/task_run.h"

enum {
	CODE_CANNOT_START = 126,
	PIDS_MAX = 8192, /* processes and threads of a task */
};

/* A request is looked for this often without a signal too. */
static const us_t look_every_us = 2 * US_SECOND;

enum stage { STAGE_SETUP, STAGE_RUN, STAGE_DONE };

struct member {
	pid_t pid;
	enum stage stage;
};

struct supervisor {
	const char *folder;
	char name[ATTEMPT_NAME_SIZE];
	int state, attempt, claims, claim, lock; /* descriptors */
	struct arena arena;
	struct task_job job; /* what task_run.c needs */
	struct launch launch;
	struct payload payload;
	struct cgroups cgroups;
	struct cgroup_paths groups;
	struct member *members;
	uint32_t n, n_live;
	us_t limit_at_us, kill_at_us, look_at_us; /* by the boot's clock */
	bool stopping;                            /* its processes have been asked to end */
	bool decided;                             /* `end` says why */
	bool have_code;                           /* and with which code */
	struct claim_end end;
};

/* ---- Setting up ---- */

/* Splits STATE/attempts/<name> and opens what is there. */
static int open_folders(struct supervisor *s, struct err *err)
{
	const char *slash = strrchr(s->folder, '/');
	uint32_t job, attempt;
	char *state;

	if (s->folder[0] != '/' || !slash || !attempt_of_name(slash + 1, &job, &attempt))
		return err_set(err, ERR_INVALID, "folder", "\"%s\": expected STATE/attempts/JOB.ATTEMPT, absolute", s->folder);
	attempt_name(job, attempt, s->name, sizeof s->name);
	s->attempt = folder_open(AT_FDCWD, s->folder, err);
	if (s->attempt < 0)
		return s->attempt;
	state = arena_printf(&s->arena, "%.*s/..", (int)(slash - s->folder), s->folder);
	s->state = folder_open(AT_FDCWD, state, err);
	if (s->state < 0)
		return s->state;
	s->claims = folder_open(s->state, LOCAL_CLAIMS, err);
	return s->claims < 0 ? s->claims : 0;
}

/* The engine's state folder as the engine itself names it: without the two last parts. */
static const char *owner_of(struct supervisor *s)
{
	size_t len = strlen(s->folder) - strlen(s->name) - strlen("/" LOCAL_ATTEMPTS "/");

	return arena_strndup(&s->arena, s->folder, len);
}

static int claim(struct supervisor *s, struct err *err)
{
	struct claim_owner owner = {.pid = getpid(), .start = process_start(getpid())};

	process_boot_id(owner.boot, sizeof owner.boot);
	cgroups_find(owner_of(s), &s->cgroups);
	cgroup_paths_of(&s->cgroups, s->name, &owner.cgroups);
	s->groups = owner.cgroups;
	s->claim = claim_make(s->claims, s->name, &owner, &s->lock, err);
	return s->claim < 0 ? s->claim : 0;
}

static int read_launch(struct supervisor *s, struct err *err)
{
	struct buf bytes = {0};
	int code = file_read(s->attempt, "launch", LAUNCH_BYTES_MAX, &bytes, err);

	if (!code) {
		code = launch_decode(bytes.data, bytes.len, &s->arena, &s->launch, &s->payload);
		if (code)
			err_set(err, code, "launch", "not what was written");
	}
	buf_done(&bytes);
	return code;
}

/* Secrets are read once: their file goes as soon as they are here. */
static int read_secrets(struct supervisor *s, struct err *err)
{
	struct buf bytes = {0};
	int code = file_read(s->attempt, "secrets", LAUNCH_BYTES_MAX, &bytes, err);

	if (!code) {
		code = variables_decode(bytes.data, bytes.len, &s->arena, &s->launch.secrets, &s->launch.n_secrets);
		if (code)
			err_set(err, code, "secrets", "not what was written");
	}
	unlinkat(s->attempt, "secrets", 0);
	if (bytes.data)
		explicit_bzero(bytes.data, bytes.len);
	buf_done(&bytes);
	return code == ERR_NOT_FOUND ? 0 : code;
}

/* A port of the loopback address that nobody has at this instant. */
static uint16_t find_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint16_t port = 29500; /* the usual one, where no port can be had */

	if (fd < 0)
		return port;
	if (!bind(fd, (struct sockaddr *)&address, len) && !getsockname(fd, (struct sockaddr *)&address, &len))
		port = ntohs(address.sin_port);
	close(fd);
	return port;
}

/* The scripts as files, for interpreters to read; gone when the attempt is forgotten. */
static int write_scripts(struct supervisor *s, struct err *err)
{
	const char *setup = s->payload.setup, *run = s->payload.run;
	int code = setup[0] ? file_put(s->attempt, "setup", setup, strlen(setup), 0, err) : 0;

	return code || !run[0] ? code : file_put(s->attempt, "run", run, strlen(run), 0, err);
}

static void prepare(struct supervisor *s)
{
	bool script = s->payload.flavour == FLAVOUR_SBATCH;

	s->n = script ? 1 : s->launch.n_tasks; /* a script runs once, on the first node */
	s->members = arena_new(&s->arena, s->n, sizeof *s->members);
	s->job = (struct task_job){
		.launch = &s->launch,
		.attempt = s->attempt,
		.folder = s->folder,
		.claim = arena_printf(&s->arena, "%s/" LOCAL_CLAIMS "/%s", owner_of(s), s->name),
		.port = find_port(),
		.cgroups = &s->cgroups,
		.name = s->name,
		.note = mmap(NULL, TASK_NOTE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0),
	};
	if (s->job.note == MAP_FAILED)
		s->job.note = NULL;
	task_job_read_account(&s->job, &s->arena);
}

/* Tells the daemon that something has changed; it finds out what from the claim, also if this is lost. */
static void notify(struct supervisor *s)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const struct timeval patience = {.tv_usec = 100000}; /* a daemon that is busy; one that is stopped must not stop us */
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	/* By descriptor, for the name of a folder may be longer than an address. */
	snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/" LOCAL_SOCKET, s->state);
	sendto(fd, s->name, strlen(s->name), 0, (struct sockaddr *)&address, sizeof address);
	close(fd);
}

/* ---- Deciding ---- */

static void decide(struct supervisor *s, enum cause cause, const char *note)
{
	if (s->decided)
		return;
	s->decided = true;
	s->end.cause = cause;
	snprintf(s->end.note, sizeof s->end.note, "%s", note ? note : "");
}

static void set_code(struct supervisor *s, uint32_t rank, int code)
{
	if (s->have_code)
		return;
	s->have_code = true;
	s->end.exit_code = code;
	s->end.rank = rank;
}

/* Asks every process to end by itself, and sets the time after which it is made to. */
static void stop(struct supervisor *s, us_t grace_us)
{
	us_t at = us_add(process_boot_us(), grace_us);

	if (!s->stopping || at < s->kill_at_us)
		s->kill_at_us = at;
	if (s->stopping)
		return;
	s->stopping = true;
	process_signal_descendants(getpid(), SIGTERM);
	process_signal_descendants(getpid(), SIGCONT); /* a stopped process would not hear it */
}

static void kill_all(struct supervisor *s)
{
	cgroup_kill(&s->groups);
	process_signal_descendants(getpid(), SIGKILL);
}

/* ---- Tasks ---- */

static void start_stage(struct supervisor *s, uint32_t rank);

static int exit_code_of(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* A task ended otherwise than well: that ends its gang, and its code is the attempt's. */
static void member_failed(struct supervisor *s, uint32_t rank, int status)
{
	bool memory = cgroup_oom_kills(&s->cgroups, s->name, rank) > 0;
	char note[sizeof s->end.note] = "";

	if (memory && s->launch.memory_mib)
		snprintf(note, sizeof note, "over its memory of %" PRIu32 " MiB", s->launch.memory_mib);
	else if (memory)
		snprintf(note, sizeof note, "the machine had no memory left");
	else if (s->job.note && s->job.note[0])
		snprintf(note, sizeof note, "%.200s", s->job.note);
	decide(s, memory ? CAUSE_MEMORY : WIFSIGNALED(status) ? CAUSE_SIGNAL : CAUSE_EXIT, note);
	set_code(s, rank, exit_code_of(status));
	if (s->n_live)
		stop(s, s->launch.grace_us);
}

static void member_ended(struct supervisor *s, uint32_t rank, int status)
{
	struct member *member = &s->members[rank];
	bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	if (well && member->stage == STAGE_SETUP && !s->stopping) {
		member->stage = STAGE_RUN;
		start_stage(s, rank);
		return;
	}
	member->stage = STAGE_DONE;
	member->pid = 0;
	s->n_live--;
	if (s->stopping)
		set_code(s, rank, exit_code_of(status)); /* why is known already; with which code is not */
	else if (!well)
		member_failed(s, rank, status);
}

static void start_stage(struct supervisor *s, uint32_t rank)
{
	struct member *member = &s->members[rank];

	while (member->stage != STAGE_DONE) {
		bool setup = member->stage == STAGE_SETUP;

		if ((setup ? s->payload.setup : s->payload.run)[0]) {
			member->pid = task_start(&s->job, rank, setup ? "setup" : "run");
			if (member->pid < 0) {
				decide(s, CAUSE_EXIT, "no process could be started for a task");
				member_ended(s, rank, CODE_CANNOT_START << 8);
			}
			return;
		}
		member->stage++;
	}
	s->n_live--; /* nothing to run: it ended well */
}

static void start_all(struct supervisor *s)
{
	struct cgroup_limits limits = {.memory_mib = s->launch.memory_mib, .cpus_milli = s->launch.cpus_milli, .pids = PIDS_MAX};
	struct stamp now = stamp_now();

	s->n_live = s->n;
	s->limit_at_us = us_add(now.boot_us, s->launch.limit_us);
	for (uint32_t rank = 0; rank < s->n; rank++)
		cgroup_make(&s->cgroups, s->name, rank, &limits);
	for (uint32_t rank = 0; rank < s->n && !s->decided; rank++)
		start_stage(s, rank);
	for (uint32_t rank = 0; rank < s->n; rank++) /* where the start itself failed, the rest never was */
		if (!s->members[rank].pid && s->members[rank].stage != STAGE_DONE && s->decided) {
			s->members[rank].stage = STAGE_DONE;
			s->n_live--;
		}
	claim_put_started(s->claim, &now, NULL);
	notify(s);
}

/* Takes in every process that has ended. Returns whether any child is left. */
static bool reap(struct supervisor *s)
{
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);

		if (pid < 0 && errno == EINTR)
			continue;
		if (pid <= 0)
			return pid == 0;
		for (uint32_t rank = 0; rank < s->n; rank++) {
			if (s->members[rank].pid == pid) {
				member_ended(s, rank, status);
				break;
			}
		}
	}
}

/* ---- Waiting ---- */

static void wait_signals(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGCHLD);
	sigaddset(ret, SUPERVISOR_SIGNAL);
	sigaddset(ret, SIGTERM);
	sigaddset(ret, SIGINT);
	sigaddset(ret, SIGHUP);
}

/* Sleeps until a signal or until an instant. Returns the signal, or 0. */
static int wait_until(us_t at_us)
{
	us_t us = at_us - process_boot_us();
	struct timespec timeout = {0};
	sigset_t set;
	int number;

	if (us > 0)
		timeout = (struct timespec){.tv_sec = us / US_SECOND, .tv_nsec = us % US_SECOND * 1000};
	wait_signals(&set);
	number = sigtimedwait(&set, NULL, &timeout);
	return number > 0 ? number : 0;
}

static void look_for_request(struct supervisor *s)
{
	struct claim_kill asked;

	if (!claim_read_kill(s->claim, &asked))
		return;
	decide(s, asked.cause, NULL);
	stop(s, asked.grace_us);
}

static void take_signal(struct supervisor *s, int number)
{
	if (number == SUPERVISOR_SIGNAL)
		look_for_request(s);
	if (number == SIGTERM || number == SIGINT) { /* the machine goes down, or a person knows what they do */
		decide(s, CAUSE_SIGNAL, "its supervisor was told to end");
		stop(s, s->launch.grace_us);
	}
}

static us_t next_instant(const struct supervisor *s)
{
	us_t next = s->look_at_us;

	if (!s->stopping && s->limit_at_us < next)
		next = s->limit_at_us;
	if (s->stopping && s->kill_at_us < next)
		next = s->kill_at_us;
	return next;
}

static void look_at_clock(struct supervisor *s)
{
	us_t now = process_boot_us();

	if (!s->stopping && now >= s->limit_at_us) {
		decide(s, CAUSE_LIMIT, "over its time limit");
		stop(s, s->launch.grace_us);
	}
	if (s->stopping && now >= s->kill_at_us) {
		kill_all(s);
		s->kill_at_us = now + 20 * US_MS; /* until none is left */
	}
	if (now >= s->look_at_us) {
		look_for_request(s);
		s->look_at_us = now + look_every_us;
	}
}

/* Until every task has ended; and where they were told to, every process below this one. */
static void wait_for_end(struct supervisor *s)
{
	s->look_at_us = process_boot_us();
	for (;;) {
		bool children = reap(s);

		if (s->stopping ? !children : s->n_live == 0)
			return;
		look_at_clock(s);
		take_signal(s, wait_until(next_instant(s)));
	}
}

/* What the tasks left behind ends with them. */
static void sweep(struct supervisor *s)
{
	while (reap(s)) {
		kill_all(s);
		wait_until(process_boot_us() + 5 * US_MS);
	}
	cgroup_remove(&s->groups);
}

static void finish(struct supervisor *s)
{
	struct err err;

	if (!s->decided)
		decide(s, CAUSE_EXIT, NULL);
	s->end.at = stamp_now();
	while (claim_put_end(s->claim, &s->end, &err) && err.code != ERR_CONFLICT && err.code != ERR_NOT_FOUND) {
		fprintf(stderr, "suan-supervisor: exit: %s; tried again\n", err.text);
		wait_until(process_boot_us() + US_SECOND); /* a full disk: the lock says that we are still here */
	}
	notify(s);
}

/* Waits for space on a full disk, as long as nobody asks for the end. */
static int write_scripts_patiently(struct supervisor *s, struct err *err)
{
	struct claim_kill asked;
	int code;

	while ((code = write_scripts(s, err)) == ERR_FULL && !claim_read_kill(s->claim, &asked))
		wait_until(process_boot_us() + US_SECOND);
	return code;
}

/* Why it can't start after all; false: it can. */
static bool is_over_already(struct supervisor *s)
{
	char note[sizeof s->end.note];
	struct claim_kill asked;
	struct err err;

	if (read_launch(s, &err) || read_secrets(s, &err) || write_scripts_patiently(s, &err)) {
		snprintf(note, sizeof note, "%.60s: %.180s", err.subject, err.text);
		decide(s, CAUSE_LOST, note);
	}
	if (claim_read_kill(s->claim, &asked)) { /* between the claim and now: that outdoes a full disk */
		s->decided = false;
		decide(s, asked.cause, "it never started");
	}
	return s->decided;
}

static void run(struct supervisor *s)
{
	if (!is_over_already(s)) {
		prepare(s);
		start_all(s);
		wait_for_end(s);
		sweep(s);
	}
	finish(s);
}

static void take_over_process(void)
{
	sigset_t set;

	wait_signals(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	umask(077);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	prctl(PR_SET_DUMPABLE, 0); /* it knows the secrets: no core dump, no debugger, and nobody reads its /proc/PID/environ */
}

int supervise(const char *folder, struct err *err)
{
	struct supervisor s = {.folder = folder, .kill_at_us = US_NEVER};
	int code;

	take_over_process();
	code = open_folders(&s, err);
	if (!code)
		code = claim(&s, err);
	if (!code)
		run(&s);
	arena_done(&s.arena);
	return code == ERR_CONFLICT ? 0 : code;
}
