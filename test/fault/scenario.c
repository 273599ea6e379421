/* SPDX-License-Identifier: Apache-2.0
 * scenario.c: the scenario of the fault tests and its oracle; see scenario.h. */
#include "scenario.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { RUN_MS_MAX = 60000, STARTS_MAX = 12, OVER_MS = 30000, PATH_BYTES = 2 * CONTROL_PATH };

/* What each job is, and how it must end. `rest`: more of its job file. */
struct plan {
	const char *name, *rest, *run, *state;
	int code;
	unsigned ranks;
	int after; /* the job that must be acknowledged first; below 0: none */
	bool array, cancel, reruns;
};

static const struct plan plans[SCENARIO_TASKS] = {
	{"well", "", "sleep 0.02", "completed", 0, 1, -1, false, false, false},
	{"fails", "", "exit 3", "failed", 3, 1, -1, false, false, false},
	{"gang", ", \"num_nodes\": 2", "exit 0", "completed", 0, 2, -1, false, false, false},
	{"secret", ", \"secrets\": {\"CANARY\": \"canary-7d1f\"}", "test $CANARY = canary-7d1f || exit 9", "completed", 0, 1, -1,
     false, false, false},
	{"array", ", \"array\": \"0-2\"", "exit 0", "completed", 0, 1, -1, true, false, false},
	{"sleeper", "", "exec sleep 30", "canceled", 0, 1, -1, false, true, false},
	{"later", ", \"begin\": \"2099-01-01T00:00:00Z\"", "exit 0", "canceled", 0, 1, -1, false, true, false},
	{"afterwards", "", "exit 0", "completed", 0, 1, 1, false, false, false},
	{"reruns", ", \"recovery\": {\"max_restarts\": 5, \"on_lost\": \"rerun\"}", "sleep 0.01; exit 0", "completed", 0, 1, -1,
     false, false, true},
	{"setup", ", \"setup\": \"echo ready\"", "exit 5", "failed", 5, 1, -1, false, false, false},
};

void scenario_fail(struct scenario *s, const char *fmt, ...)
{
	va_list args;

	if (s->failed[0])
		return;
	va_start(args, fmt);
	vsnprintf(s->failed, sizeof s->failed, fmt, args);
	va_end(args);
}

static void nap_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* ---- After a crash ---- */

static bool out_of_time(struct scenario *s)
{
	if (rig_now_us() - s->begun_us > RUN_MS_MAX * 1000ll)
		scenario_fail(s, "it didn't come to its end within %d s", RUN_MS_MAX / 1000);
	return s->failed[0];
}

/* The daemon is gone: was that the fault that was asked for? */
static void take_crash(struct scenario *s)
{
	struct control *control = s->rig->control;

	if (control->killed_call[0]) {
		s->crashes++;
	} else if (!s->faults_answer) {
		scenario_fail(s, "the daemon ended by itself");
	}
	if (control->power && control->off) {
		struct image image;

		rig_power_off(s->rig);
		image_tear(control, rng_next(&s->rng), &image);
		s->image.names_unsynced += image.names_unsynced;
		s->image.names_undone += image.names_undone;
		s->image.files += image.files;
		s->image.blocks_unsynced += image.blocks_unsynced;
		s->image.blocks_undone += image.blocks_undone;
		control->logs = false;
		for (unsigned i = 0; i < SCENARIO_TASKS; i++)
			s->tasks[i].may_be_lost = !s->tasks[i].seen[0];
	}
	control->kill_at = 0;
	control->killed_call[0] = 0;
	if (s->again_within) {
		control->kill_at = control->points + 1 + rng_below(&s->rng, s->again_within);
		s->again_within = 0;
	}
}

static void start(struct scenario *s)
{
	while (!out_of_time(s) && !rig_start(s->rig)) {
		if (++s->starts > STARTS_MAX && !s->faults_answer)
			scenario_fail(s, "the daemon doesn't come up");
		take_crash(s);
		if (s->faults_answer)
			nap_ms(10);
	}
}

/* Asks until there is an answer that isn't a fault's. Returns its status, or 0 where the scenario failed. */
static int ask(struct scenario *s, const char *method, const char *path, const char *body, const char *key, json_t **ret)
{
	while (!out_of_time(s)) {
		int status = rig_ask(s->rig, method, path, body, key, ret);

		if (status > 0 && status < 500)
			return status;
		if (status < 0) {
			scenario_fail(s, "%s %s: no answer within %d s", method, path, RIG_ANSWER_MS / 1000);
		} else if (status == 0) {
			take_crash(s);
			start(s);
		} else if (s->faults_answer && (status == 503 || status == 507)) {
			s->refused++;
			nap_ms(2);
		} else {
			char *text = ret && *ret ? json_dumps(*ret, JSON_COMPACT) : NULL;

			scenario_fail(s, "%s %s: status %d: %s", method, path, status, text ? text : "");
			free(text);
		}
		if (ret) {
			json_decref(*ret);
			*ret = NULL;
		}
	}
	return 0;
}

/* ---- What is done ---- */

static void submit(struct scenario *s, unsigned which)
{
	const struct plan *plan = &plans[which];
	struct task *task = &s->tasks[which];
	char body[2 * PATH_BYTES + 1024], key[32], depends[64] = "";
	json_t *answer;
	unsigned id;
	int status;

	if (plan->after >= 0)
		snprintf(depends, sizeof depends, ", \"depends_on\": [{\"job\": %u, \"when\": \"afterany\"}]", s->tasks[plan->after].id);
	snprintf(body, sizeof body,
	         "{\"name\": \"%s\", \"resources\": {\"accelerators\": \"test-card:1\"}, \"time\": \"5m\"%s%s, "
	         "\"run\": \"echo $$ >> '%s/starts/'$SUAN_JOB_ID.$SUAN_ATTEMPT.$NODE_RANK\\n%s\"}",
	         plan->name, plan->rest, depends, s->rig->dir, plan->run);
	snprintf(key, sizeof key, "key-%s", plan->name);
	status = ask(s, "POST", "/v1/jobs", body, key, &answer);
	if (s->failed[0])
		return;
	id = (unsigned)json_integer_value(json_object_get(answer, "id"));
	if ((status != 200 && status != 201) || !id) {
		char *text = json_dumps(answer, JSON_COMPACT);

		scenario_fail(s, "submitting %s: status %d: %s", plan->name, status, text);
		free(text);
	} else if (task->id && task->id != id) {
		scenario_fail(s, "the key of %s made job %u, and now job %u", plan->name, task->id, id);
	}
	task->id = id;
	json_decref(answer);
}

static void cancel(struct scenario *s, unsigned which)
{
	char path[64];
	int status;

	snprintf(path, sizeof path, "/v1/jobs/%u/cancel", s->tasks[which].id);
	s->tasks[which].cancel_asked = true;
	status = ask(s, "POST", path, NULL, NULL, NULL);
	if (!s->failed[0] && status != 200 && status != 202)
		scenario_fail(s, "canceling %s: status %d", plans[which].name, status);
	s->tasks[which].canceled = true;
}

static int code_of(const json_t *job)
{
	const json_t *code = json_object_get(job, "exit_code");

	return json_is_integer(code) ? (int)json_integer_value(code) : -1;
}

static const char *text_of(const json_t *job, const char *key)
{
	const char *text = json_string_value(json_object_get(job, key));

	return text ? text : "";
}

/* A supervisor that a fault ended takes its attempt with it. */
static bool is_lost(const json_t *job)
{
	return !strcmp(text_of(job, "state"), "failed") && !strcmp(text_of(job, "cause"), "lost");
}

static bool ends_rightly(const struct plan *plan, const json_t *job)
{
	if (strcmp(text_of(job, "state"), plan->state) != 0)
		return false;
	if (!strcmp(plan->state, "canceled"))
		return true;
	return plan->array || code_of(job) == plan->code;
}

/* What is seen to be over is right, and stays so. */
static void see(struct scenario *s, unsigned which, const json_t *job)
{
	const struct plan *plan = &plans[which];
	struct task *task = &s->tasks[which];
	bool excused = (task->may_be_lost || s->stateless_losses) && !plan->reruns;
	char *text;

	if (task->seen[0] && (strcmp(task->seen, text_of(job, "state")) != 0 || task->seen_code != code_of(job)))
		scenario_fail(s, "%s was seen to be %s with %d, and now is %s with %d", plan->name, task->seen, task->seen_code,
		              text_of(job, "state"), code_of(job));
	snprintf(task->seen, sizeof task->seen, "%s", text_of(job, "state"));
	task->seen_code = code_of(job);
	if (ends_rightly(plan, job) || (excused && (is_lost(job) || (plan->array && !strcmp(task->seen, "failed")))))
		return;
	text = json_dumps(job, JSON_COMPACT);
	scenario_fail(s, "%s should be %s with %d: %.400s", plan->name, plan->state, plan->code, text);
	free(text);
}

/* Waits until a job is over. Returns what is shown of it then, new; NULL where the scenario failed. */
static void wait_over(struct scenario *s, unsigned which)
{
	int64_t until = rig_now_us() + OVER_MS * 1000ll;
	char path[64];

	snprintf(path, sizeof path, "/v1/jobs/%u/wait?timeout_s=1", s->tasks[which].id);
	while (!s->failed[0]) {
		json_t *job;
		int status = ask(s, "GET", path, NULL, NULL, &job);

		if (status == 200)
			see(s, which, job);
		else if (!s->failed[0] && status != 202)
			scenario_fail(s, "job %u (%s) was acknowledged and isn't there: status %d", s->tasks[which].id, plans[which].name,
			              status);
		else if (!s->failed[0] && rig_now_us() > until)
			scenario_fail(s, "%s is %s after %d s: %s", plans[which].name, text_of(job, "state"), OVER_MS / 1000,
			              text_of(job, "note"));
		json_decref(job);
		if (status == 200)
			return;
	}
}

/* Stops it well; where a fault comes in between, starts it again and tries once more. */
static void stop(struct scenario *s)
{
	while (!out_of_time(s)) {
		int status = rig_stop(s->rig);

		if (status < 0)
			scenario_fail(s, "it didn't stop within 10 s of SIGTERM");
		if (status == 0 && !s->rig->control->off)
			return;
		if (!s->rig->control->killed_call[0] && !(s->faults_answer && WIFEXITED(status)))
			scenario_fail(s, "on SIGTERM it ended with wait status %d", status);
		take_crash(s);
		start(s);
	}
}

static void restart(struct scenario *s, unsigned which)
{
	(void)which;
	stop(s);
	if (!s->failed[0])
		start(s);
}

/* ---- In which order ---- */

struct step {
	void (*act)(struct scenario *s, unsigned which);
	unsigned which;
	int after; /* the job that must be acknowledged before; below 0: none */
	bool done;
};

static unsigned plan_steps(struct step *steps)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SCENARIO_TASKS; i++) {
		steps[n++] = (struct step){submit, i, plans[i].after, false};
		if (plans[i].cancel)
			steps[n++] = (struct step){cancel, i, (int)i, false};
	}
	steps[n++] = (struct step){submit, 0, 0, false}; /* a key again */
	steps[n++] = (struct step){submit, 3, 3, false}; /* and one with a secret */
	steps[n++] = (struct step){wait_over, 0, 0, false};
	steps[n++] = (struct step){restart, 0, 2, false};
	return n;
}

static bool is_ready(const struct scenario *s, const struct step *step)
{
	return !step->done && (step->after < 0 || s->tasks[step->after].id);
}

/* All steps, in an order of the seed's. */
static void do_steps(struct scenario *s)
{
	struct step steps[4 * SCENARIO_TASKS];
	unsigned n = plan_steps(steps);

	for (unsigned left = n; left && !s->failed[0]; left--) {
		unsigned at = (unsigned)rng_below(&s->rng, n);

		while (!is_ready(s, &steps[at]))
			at = (at + 1) % n;
		steps[at].act(s, steps[at].which);
		steps[at].done = true;
	}
	for (unsigned i = 0; i < SCENARIO_TASKS && !s->failed[0]; i++)
		wait_over(s, i);
}

/* ---- The oracle ---- */

static unsigned count_lines(const char *path)
{
	char text[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? 0 : read(fd, text, sizeof text);
	unsigned n = 0;

	if (fd >= 0)
		close(fd);
	for (ssize_t i = 0; i < len; i++)
		n += text[i] == '\n';
	return n;
}

static void check_starts_once(struct scenario *s)
{
	char path[PATH_BYTES], file[PATH_BYTES + 300];
	DIR *list;

	snprintf(path, sizeof path, "%s/starts", s->rig->dir);
	list = opendir(path);
	for (struct dirent *entry; list && (entry = readdir(list));) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
		if (count_lines(file) > 1)
			scenario_fail(s, "task %s (job.attempt.rank) started %u times", entry->d_name, count_lines(file));
	}
	if (list)
		closedir(list);
}

/* Each job once, under its number; and each that says it has run has run. */
static void check_job(struct scenario *s, const json_t *job, unsigned *seen)
{
	unsigned id = (unsigned)json_integer_value(json_object_get(job, "id"));
	unsigned attempt = (unsigned)json_integer_value(json_object_get(job, "attempt"));
	char path[PATH_BYTES];
	unsigned which;

	for (which = 0; which < SCENARIO_TASKS; which++)
		if (!strcmp(plans[which].name, text_of(job, "name")))
			break;
	if (which == SCENARIO_TASKS) {
		scenario_fail(s, "there is a job that nobody submitted: %s", text_of(job, "name"));
		return;
	}
	if (json_is_integer(json_object_get(job, "array_index")))
		return;
	if (s->tasks[which].id != id || seen[which]++)
		scenario_fail(s, "%s is job %u, and was acknowledged as job %u", plans[which].name, id, s->tasks[which].id);
	see(s, which, job);
	for (unsigned rank = 0; !plans[which].array && !plans[which].cancel && !is_lost(job) && rank < plans[which].ranks; rank++) {
		snprintf(path, sizeof path, "%s/starts/%u.%u.%u", s->rig->dir, id, attempt, rank);
		if (count_lines(path) != 1)
			scenario_fail(s, "%s is %s, and rank %u of attempt %u started %u times", plans[which].name, text_of(job, "state"),
			              rank, attempt, count_lines(path));
	}
}

static void check_jobs(struct scenario *s)
{
	unsigned seen[SCENARIO_TASKS] = {0};
	json_t *answer, *job;
	size_t i;

	ask(s, "GET", "/v1/jobs?limit=1000", NULL, NULL, &answer);
	json_array_foreach (json_object_get(answer, "jobs"), i, job)
		check_job(s, job, seen);
	json_decref(answer);
	for (unsigned which = 0; which < SCENARIO_TASKS; which++)
		if (!seen[which])
			scenario_fail(s, "job %u (%s) was acknowledged and isn't listed", s->tasks[which].id, plans[which].name);
}

static void check_no_secret(struct scenario *s)
{
	char path[PATH_BYTES];
	DIR *list;

	snprintf(path, sizeof path, "%s/state/secrets", s->rig->dir);
	list = opendir(path);
	for (struct dirent *entry; list && (entry = readdir(list));)
		if (entry->d_name[0] != '.')
			scenario_fail(s, "the secret %s is still there, and no job needs it", entry->d_name);
	if (list)
		closedir(list);
}

/* What makers of claims left when they died went when the daemon came up. */
static void check_no_leftovers(struct scenario *s)
{
	char path[PATH_BYTES];
	DIR *list;

	snprintf(path, sizeof path, "%s/state/engines/here/claims", s->rig->dir);
	list = opendir(path);
	if (!list)
		scenario_fail(s, "%s can't be listed", path);
	for (struct dirent *entry; list && (entry = readdir(list));)
		if (!strncmp(entry->d_name, ".tmp.", 5))
			scenario_fail(s, "the folder %s is still beside the claims", entry->d_name);
	if (list)
		closedir(list);
}

static void read_digest(struct scenario *s, char digest[80], uint64_t *ret_sequence)
{
	json_t *pool;

	ask(s, "GET", "/v1/pool", NULL, NULL, &pool);
	snprintf(digest, 80, "%s", text_of(pool, "state_digest"));
	*ret_sequence = (uint64_t)json_integer_value(json_object_get(pool, "sequence"));
	json_decref(pool);
}

static void check_journal(struct scenario *s, const char *digest, uint64_t sequence)
{
	char state[PATH_BYTES], until[32], out[8192];
	int status;

	snprintf(state, sizeof state, "%s/state", s->rig->dir);
	snprintf(until, sizeof until, "%lu", (unsigned long)sequence);
	status = rig_suan(s->rig, out, sizeof out, "journal", "verify", "--state", state, NULL);
	if (status)
		scenario_fail(s, "journal verify: status %d: %.400s", status, out);
	status = rig_suan(s->rig, out, sizeof out, "journal", "replay", "--digest", "--check", "--json", "--until", until, "--state",
	                  state, NULL);
	if (status || !digest[0] || !strstr(out, digest))
		scenario_fail(s, "the daemon showed digest %s at event %s, and its journal gives (status %d) %.300s", digest, until,
		              status, out);
}

/* Once more from what is on disk, without any fault. */
static void check_all(struct scenario *s)
{
	struct control *control = s->rig->control;
	char digest[80] = "";
	uint64_t sequence = 0;
	unsigned left;

	stop(s);
	control->kill_at = 0;
	control->scope = 0;
	if (s->failed[0])
		return;
	start(s);
	check_jobs(s);
	read_digest(s, digest, &sequence);
	if (s->failed[0])
		return;
	stop(s);
	left = s->failed[0] ? 0 : rig_wait_for_children(s->rig, 10000);
	if (left)
		scenario_fail(s, "%u processes are left behind", left);
	check_starts_once(s);
	check_no_secret(s);
	check_no_leftovers(s);
	if (!s->failed[0])
		check_journal(s, digest, sequence);
}

bool scenario_run(struct scenario *s)
{
	s->begun_us = rig_now_us();
	start(s);
	if (!s->failed[0])
		do_steps(s);
	if (!s->failed[0])
		check_all(s);
	rig_power_off(s->rig);
	return !s->failed[0];
}
