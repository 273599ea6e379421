/* SPDX-License-Identifier: Apache-2.0
 * clocks.c: somebody sets the wall clock a year forward or back, while jobs run and between two starts: nothing ends before its
 * limit, what has a limit ends by it, and no time goes back. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "campaigns.h"

enum { CLOCK_JOBS = 6, ANSWER_S = 20 };

static const int64_t year_us = 365ll * 86400 * 1000000;

struct watched {
	unsigned id;
	char submitted[40], started[40], ended[40], state[40], cause[40];
};

static void copy(char *out, const json_t *job, const char *key)
{
	const char *text = json_string_value(json_object_get(job, key));

	snprintf(out, 40, "%s", text ? text : "");
}

static bool say(struct outcome *ret, const char *text, const char *detail)
{
	if (!ret->failed[0])
		snprintf(ret->failed, sizeof ret->failed, "%.100s: %.400s", text, detail);
	return false;
}

static void submit(struct rig *rig, struct watched *job, const char *limit, const char *run, struct outcome *ret)
{
	char body[512];
	json_t *answer;

	snprintf(body, sizeof body,
	         "{\"name\": \"clock\", \"resources\": {\"accelerators\": \"test-card:1\"}, \"time\": \"%s\", \"run\": \"%s\"}",
	         limit, run);
	if (rig_ask(rig, "POST", "/v1/jobs", body, NULL, &answer) != 201)
		say(ret, "a job isn't taken", run);
	job->id = (unsigned)json_integer_value(json_object_get(answer, "id"));
	json_decref(answer);
}

static void see(struct rig *rig, struct watched *job, struct outcome *ret)
{
	char path[64];
	json_t *answer;

	snprintf(path, sizeof path, "/v1/jobs/%u/wait?timeout_s=%d", job->id, ANSWER_S / 2);
	if (rig_ask(rig, "GET", path, NULL, NULL, &answer) != 200)
		say(ret, "a job isn't over", path);
	copy(job->submitted, answer, "submitted_at");
	copy(job->started, answer, "started_at");
	copy(job->ended, answer, "ended_at");
	copy(job->state, answer, "state");
	copy(job->cause, answer, "cause");
	json_decref(answer);
}

static void wait_running(struct rig *rig, const struct watched *job)
{
	char path[64];

	snprintf(path, sizeof path, "/v1/jobs/%u", job->id);
	for (unsigned i = 0; i < 500; i++) {
		json_t *answer;
		bool runs;

		rig_ask(rig, "GET", path, NULL, NULL, &answer);
		runs = json_is_string(json_object_get(answer, "started_at"));
		json_decref(answer);
		if (runs)
			return;
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
}

static void restart(struct rig *rig, int64_t offset_us, struct outcome *ret)
{
	if (rig_stop(rig))
		say(ret, "it doesn't stop well", "");
	rig->control->wall_offset_us = offset_us;
	if (!rig_start(rig))
		say(ret, "it doesn't come up", "with another wall clock");
}

/* All is text of one form, so its order is that of time. */
static void check_order(const struct watched *jobs, struct outcome *ret)
{
	for (unsigned i = 0; i < CLOCK_JOBS; i++) {
		const struct watched *job = &jobs[i];
		bool limited = i == 2;

		if (!job->submitted[0] || strcmp(job->submitted, job->started) > 0 || strcmp(job->started, job->ended) > 0)
			say(ret, "times out of order", job->submitted);
		if (i && strcmp(jobs[i - 1].submitted, job->submitted) > 0)
			say(ret, "submitted before the one before it", job->submitted);
		if (strcmp(job->state, limited ? "failed" : "completed") != 0 || (limited && strcmp(job->cause, "limit") != 0))
			say(ret, limited ? "should end by its limit" : "should be completed", job->cause);
	}
}

void run_clock(struct rig *rig, uint64_t seed, uint64_t k, struct outcome *ret)
{
	int64_t first = seed % 2 ? year_us : -year_us;
	struct watched jobs[CLOCK_JOBS] = {0};
	int64_t begun;

	ret->places = 1;
	ret->hit = k != 0;
	rig_reset(rig);
	if (!rig_start(rig)) {
		say(ret, "the daemon doesn't come up", "");
		return;
	}
	submit(rig, &jobs[0], "2m", "sleep 0.6", ret);
	submit(rig, &jobs[1], "1h", "sleep 1.5", ret); /* over both restarts */
	begun = rig_now_us();
	submit(rig, &jobs[2], "1s", "exec sleep 30", ret);
	wait_running(rig, &jobs[1]);
	rig->control->wall_offset_us = k ? first : 0;
	see(rig, &jobs[0], ret);
	see(rig, &jobs[2], ret);
	if (rig_now_us() - begun < 1000000 || rig_now_us() - begun > 10000000)
		say(ret, "a limit of 1 s", "wasn't held");
	submit(rig, &jobs[3], "2m", "sleep 0.1", ret);
	see(rig, &jobs[3], ret);
	restart(rig, k ? -first : 0, ret);
	submit(rig, &jobs[4], "2m", "sleep 0.1", ret);
	see(rig, &jobs[4], ret);
	restart(rig, k ? first : 0, ret);
	submit(rig, &jobs[5], "2m", "sleep 0.1", ret);
	see(rig, &jobs[5], ret);
	see(rig, &jobs[1], ret);
	check_order(jobs, ret);
	if (rig_stop(rig))
		say(ret, "it doesn't stop well", "");
	rig_wait_for_children(rig, 5000);
}
