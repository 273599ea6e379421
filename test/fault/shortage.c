/* SPDX-License-Identifier: Apache-2.0
 * shortage.c: no memory: one allocation after the other fails while each route is asked and each verb of suan runs; and a daemon
 * that truly has none left. An error is fine, no answer too where not even that could be said; a crash isn't. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "campaigns.h"

enum { ALLOCATIONS_MAX = 20000, PATH_BYTES = 2 * CONTROL_PATH };

static const char plain[] = "{\"name\": \"plain\", \"resources\": {\"accelerators\": \"test-card:1\"}, \"run\": \"true\"}";

struct request {
	const char *method, *path, *body, *key;
};

static const struct request requests[] = {
	{"POST", "/v1/jobs", plain, NULL},
	{"POST", "/v1/jobs", plain, "key-1"},
	{"POST", "/v1/jobs",
     "name: yaml\nenvs: {A: b}\nsecrets: {S: t}\narray: 0-3\nresources:\n  any_of:\n  - accelerators: test-card:2\n", NULL},
	{"POST", "/v1/jobs", "{\"script\": \"#!/bin/bash\\n#SBATCH --job-name=x\\n#SBATCH -N 1\\ntrue\\n\"}", NULL},
	{"POST", "/v1/jobs", "{\"jobs\": [{\"name\": \"a\", \"run\": \"true\"}, {\"name\": \"b\", \"nmae\": \"c\"}]}", NULL},
	{"POST", "/v1/jobs", "name: [1, 2\n", NULL},
	{"POST", "/v1/jobs?dry_run=true", plain, NULL},
	{"POST", "/v1/jobs/1/cancel", NULL, NULL},
	{"POST", "/v1/jobs/999/cancel", NULL, NULL},
	{"GET", "/v1/jobs", NULL, NULL},
	{"GET", "/v1/jobs?state=completed&limit=2", NULL, NULL},
	{"GET", "/v1/jobs/1", NULL, NULL},
	{"GET", "/v1/jobs/nobody", NULL, NULL},
	{"GET", "/v1/jobs/1/logs", NULL, NULL},
	{"GET", "/v1/jobs/1/explain", NULL, NULL},
	{"GET", "/v1/jobs/1/wait?timeout_s=0", NULL, NULL},
	{"GET", "/v1/pool", NULL, NULL},
	{"GET", "/v1/centres", NULL, NULL},
	{"GET", "/v1/nodes", NULL, NULL},
	{"GET", "/v1/cards", NULL, NULL},
	{"GET", "/v1/links", NULL, NULL},
	{"GET", "/v1/projects", NULL, NULL},
	{"GET", "/livez", NULL, NULL},
	{"GET", "/readyz", NULL, NULL},
	{"GET", "/metrics", NULL, NULL},
	{"GET", "/openapi.json", NULL, NULL},
	{"GET", "/", NULL, NULL},
	{"GET", "/nowhere", NULL, NULL},
};

enum { REQUESTS = sizeof requests / sizeof *requests };

static void say(struct outcome *ret, const char *text, unsigned long at)
{
	if (!ret->failed[0])
		snprintf(ret->failed, sizeof ret->failed, "%.500s (allocation %lu)", text, at);
}

static void start(struct rig *rig, struct outcome *ret)
{
	rig_reset(rig);
	rig->settle_us = 20000;
	if (!rig_start(rig))
		say(ret, "the daemon doesn't come up", 0);
}

/* It serves as before: a job is taken, perhaps after a moment, and it stops well, with a journal that is whole. */
static void check_well(struct rig *rig, struct outcome *ret)
{
	int64_t until = rig_now_us() + 3000000;
	char out[4096], state[PATH_BYTES];
	int status;

	do {
		status = rig_ask(rig, "POST", "/v1/jobs", plain, NULL, NULL);
	} while (status == 503 && rig_now_us() < until);
	if (status != 201)
		say(ret, "afterwards, a job isn't taken", (unsigned long)status);
	status = rig_stop(rig);
	if (status)
		say(ret, "it doesn't stop well", (unsigned long)status);
	snprintf(state, sizeof state, "%s/state", rig->dir);
	if (!ret->failed[0] && rig_suan(rig, out, sizeof out, "journal", "verify", "--state", state, NULL))
		say(ret, out, 0);
	rig_wait_for_children(rig, 2000);
	rig_power_off(rig);
	rig->settle_us = 0;
}

/* One request with its first, second, third... allocation failing, until it makes no more, or its time is over. */
static void ask_short(struct rig *rig, const struct request *request, struct outcome *ret)
{
	struct control *control = rig->control;
	int64_t until = rig->short_us ? rig_now_us() + rig->short_us : INT64_MAX;

	control->heap_counts = true;
	for (uint64_t i = 1; i < ALLOCATIONS_MAX && !ret->failed[0] && rig_now_us() < until; i++) {
		int64_t begun = rig_now_us();
		uint64_t before = control->heap_failed;
		json_t *answer;

		control->heap_from = control->allocations + i;
		control->heap_until = control->heap_from + 1;
		rig_ask(rig, request->method, request->path, request->body, request->key, &answer);
		json_decref(answer);
		if (!rig_runs(rig, NULL))
			say(ret, "the daemon ended", i);
		if (rig_now_us() - begun > 2000000)
			say(ret, "no answer for 2 s", i);
		if (control->heap_failed == before)
			break;
		ret->hit = true;
	}
	control->heap_counts = false;
}

void run_heap_routes(struct rig *rig, uint64_t seed, uint64_t k, struct outcome *ret)
{
	(void)seed;
	ret->places = REQUESTS;
	start(rig, ret);
	if (k && k <= REQUESTS && !ret->failed[0]) {
		snprintf(ret->where, sizeof ret->where, "%s %.60s", requests[k - 1].method, requests[k - 1].path);
		ask_short(rig, &requests[k - 1], ret);
	}
	if (!ret->failed[0])
		check_well(rig, ret);
}

/* ---- suan ---- */

static const char *const verbs[][4] = {
	{"jobs"},
	{"jobs", "--json"},
	{"job", "1"},
	{"explain", "1"},
	{"logs", "1"},
	{"pool"},
	{"centres"},
	{"nodes"},
	{"cards"},
	{"links"},
	{"submit", "FILE"},
	{"submit", "FILE", "--dry-run"},
	{"cancel", "1"},
	{"wait", "1"},
	{"journal", "verify"},
	{"journal", "cat"},
	{"journal", "replay", "--digest"},
	{"jobs", "--state", "nonsense"},
	{"--help"},
};

enum { VERBS = sizeof verbs / sizeof *verbs, VERB_RUNS = 25 };

static int run_verb(struct rig *rig, const char *const *verb, char *out, size_t size)
{
	char file[PATH_BYTES], state[PATH_BYTES], *words[6] = {NULL};
	int n = 0;

	snprintf(file, sizeof file, "%s/pool.yaml.job", rig->dir);
	snprintf(state, sizeof state, "%s/state", rig->dir);
	for (int i = 0; i < 4 && verb[i]; i++)
		words[n++] = strcmp(verb[i], "FILE") ? (char *)(uintptr_t)verb[i] : file;
	if (!strcmp(verb[0], "journal")) {
		words[n++] = "--state";
		words[n++] = state;
	}
	return rig_suan(rig, out, size, words[0], words[1], words[2], words[3], words[4], NULL);
}

static void write_job(const struct rig *rig)
{
	char path[PATH_BYTES];
	FILE *file;

	snprintf(path, sizeof path, "%s/pool.yaml.job", rig->dir);
	file = fopen(path, "we");
	if (file) {
		fputs(plain, file);
		fclose(file);
	}
}

/* One verb, again and again, each time with another of its allocations failing: an exit status of suan's own, not a signal. */
void run_heap_suan(struct rig *rig, uint64_t seed, uint64_t k, struct outcome *ret)
{
	struct control *control = rig->control;
	struct rng rng = {.state = rng_mix(seed)};
	bool heap = rig->heap;
	char out[1 << 16];
	uint64_t all = 0;

	ret->places = VERBS;
	rig->heap = false;
	start(rig, ret);
	rig->heap = heap;
	write_job(rig);
	rig_ask(rig, "POST", "/v1/jobs", plain, NULL, NULL);
	if (k && k <= VERBS)
		snprintf(ret->where, sizeof ret->where, "suan %s %s", verbs[k - 1][0], verbs[k - 1][1] ? verbs[k - 1][1] : "");
	for (unsigned run = 0; k && k <= VERBS && run <= VERB_RUNS && !ret->failed[0]; run++) {
		int status;

		/* The first run counts them. */
		control->heap_from = control->heap_until = run ? 1 + rng_below(&rng, all ? all : 1) : 0;
		control->heap_until += run != 0;
		control->allocations = 0;
		control->heap_counts = true;
		status = run_verb(rig, verbs[k - 1], out, sizeof out);
		control->heap_counts = false;
		all = run ? all : control->allocations;
		if (status > 3)
			say(ret, out[0] ? out : "it crashed", control->heap_from);
		ret->hit = control->heap_failed;
	}
	rig->heap = false;
	if (!ret->failed[0])
		check_well(rig, ret);
	rig->heap = heap;
}

/* ---- A daemon that has no memory ---- */

static rlim_t address_space(pid_t pid)
{
	char path[64];
	unsigned long pages = 0;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
	file = fopen(path, "re");
	if (file && fscanf(file, "%lu", &pages) != 1)
		pages = 0;
	if (file)
		fclose(file);
	return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static char *large_job(size_t len)
{
	static const char head[] = "{\"name\": \"large\", \"begin\": \"2099-01-01T00:00:00Z\", \"run\": \"";
	char *body = malloc(len + sizeof head + 8);

	if (!body)
		abort();
	memcpy(body, head, sizeof head - 1);
	memset(body + sizeof head - 1, '#', len);
	strcpy(body + sizeof head - 1 + len, "\"}");
	return body;
}

/* It has some memory more than it uses, and is sent more than that. Then it has enough again. */
void run_heap_limit(struct rig *rig, uint64_t seed, uint64_t k, struct outcome *ret)
{
	struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY}, limit = none;
	struct rng rng = {.state = rng_mix(seed ^ k << 32)};
	char *body = large_job(3 << 20);
	unsigned refused = 0;

	ret->places = UINT32_MAX;
	start(rig, ret);
	if (k && !ret->failed[0]) {
		limit.rlim_cur = address_space(rig->daemon) + rng_below(&rng, 2u << 20);
		prlimit(rig->daemon, RLIMIT_AS, &limit, NULL);
		for (unsigned i = 0; i < 40 && refused < 20 && !ret->failed[0]; i++) {
			int status = rig_ask(rig, "POST", "/v1/jobs", body, NULL, NULL);

			refused += status == 503 || status <= 0;
			if (!rig_runs(rig, NULL))
				say(ret, "the daemon ended", i);
		}
		ret->hit = refused;
		if (rig->daemon)
			prlimit(rig->daemon, RLIMIT_AS, &none, NULL);
		snprintf(ret->where, sizeof ret->where, "a limit of %lu MiB", (unsigned long)(limit.rlim_cur >> 20));
	}
	free(body);
	if (!ret->failed[0])
		check_well(rig, ret);
}
