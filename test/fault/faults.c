/* SPDX-License-Identifier: Apache-2.0
 * faults.c: runs a campaign of fault tests: a sample of it as a test, which prints TAP; or, for a soak, run after run until the
 * time is up, going on where the last one stopped.
 *
 *   faults CAMPAIGN [--seed N] [--sample N]           a random sample (SUAN_SEED repeats one)
 *   faults CAMPAIGN --seed N --at K                   one run, whose folder is kept
 *   faults CAMPAIGN --soak FILE --seconds N           a piece of a soak; FILE keeps how far it came
 *   faults --list                                     the campaigns, with the runs of a whole soak */
#include <getopt.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "campaigns.h"

enum { EXIT_USAGE = 2 };

/* How far a soak came. */
struct progress {
	uint64_t seed, k, runs, places, failures, seconds, slowest_us, names_undone, blocks_undone;
};

struct field {
	const char *name;
	size_t offset;
};

static const struct field fields[] = {
	{"seed", offsetof(struct progress, seed)},
	{"k", offsetof(struct progress, k)},
	{"runs", offsetof(struct progress, runs)},
	{"places", offsetof(struct progress, places)},
	{"failures", offsetof(struct progress, failures)},
	{"seconds", offsetof(struct progress, seconds)},
	{"slowest_us", offsetof(struct progress, slowest_us)},
	{"names_undone", offsetof(struct progress, names_undone)},
	{"blocks_undone", offsetof(struct progress, blocks_undone)},
};

static uint64_t *field_of(struct progress *progress, const char *name)
{
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (!strcmp(fields[i].name, name))
			return (uint64_t *)(void *)((char *)progress + fields[i].offset);
	return NULL;
}

static void load(const char *path, struct progress *ret)
{
	FILE *file = fopen(path, "re");
	char name[32];
	uint64_t value;

	*ret = (struct progress){.seed = 1, .k = 1};
	while (file && fscanf(file, "%31s %" SCNu64, name, &value) == 2)
		if (field_of(ret, name))
			*field_of(ret, name) = value;
	if (file)
		fclose(file);
}

/* Whole or not at all, so that a soak may be stopped at any time. */
static void save(const char *path, struct progress *progress)
{
	char aside[1024];
	FILE *file;

	snprintf(aside, sizeof aside, "%.1000s.new", path);
	file = fopen(aside, "we");
	if (!file) {
		perror(aside);
		exit(EXIT_USAGE);
	}
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		fprintf(file, "%s %" PRIu64 "\n", fields[i].name, *field_of(progress, fields[i].name));
	if (fclose(file) || rename(aside, path))
		perror(path);
}

/* The last lines that the daemon said. */
static void say_log(const struct rig *rig, FILE *to)
{
	char path[CONTROL_PATH], text[1200];
	FILE *file;
	size_t n;

	snprintf(path, sizeof path, "%s/daemon.log", rig->dir);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fseek(file, -(long)(sizeof text - 1), SEEK_END))
		rewind(file);
	n = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	text[n] = 0;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		fprintf(to, "#   %s\n", line);
}

static void say_failure(const struct campaign *campaign, const struct rig *rig, uint64_t seed, uint64_t k,
                        const struct outcome *outcome, FILE *to)
{
	say_log(rig, to);
	fprintf(to, "# %s at %s: %s\n# repeat it: faults %s --seed %" PRIu64 " --at %" PRIu64 "\n", campaign->name, outcome->where,
	        outcome->failed, campaign->name, seed, k);
	fflush(to);
}

/* ---- As a test ---- */

/* Of one request in a sample: far more than it needs as built, and a part of what it needs under a sanitizer. */
enum { SAMPLE_SHORT_US = 5000000 };

static int sample(const struct campaign *campaign, uint64_t seed, unsigned n)
{
	struct rng rng = {.state = rng_mix(seed)};
	struct outcome outcome = {0};
	unsigned failures = 0, hits = 0, tries = 0;
	int64_t slowest_us;
	struct rig rig;
	uint64_t places;

	rig_init(&rig, campaign->name);
	rig.heap = campaign->heap;
	rig.short_us = SAMPLE_SHORT_US;
	campaign->run(&rig, seed, 0, &outcome);
	places = outcome.places;
	slowest_us = outcome.slowest_us;
	printf("1..2\n# %s; seed %" PRIu64 "; %" PRIu64 " places\n", campaign->what, seed, places);
	if (outcome.failed[0])
		say_failure(campaign, &rig, seed, 0, &outcome, stdout);
	printf("%sok 1 - %s: without a fault\n", outcome.failed[0] || !places ? "not " : "", campaign->name);
	if (campaign->every)
		n = (unsigned)places;
	/* Where it comes depends on timing too, so one or another comes after the end, and is drawn again. */
	for (; tries < (campaign->every ? n : 2 * n) && (campaign->every || hits < n) && places && failures < 3; tries++) {
		uint64_t k = campaign->every ? tries + 1 : 1 + rng_below(&rng, places);

		outcome = (struct outcome){0};
		campaign->run(&rig, seed, k, &outcome);
		hits += outcome.hit;
		slowest_us = outcome.slowest_us > slowest_us ? outcome.slowest_us : slowest_us;
		if (outcome.failed[0]) {
			failures++;
			say_failure(campaign, &rig, seed, k, &outcome, stdout);
		}
	}
	printf("# %u runs, the fault came in %u, the slowest answer took %.3f s\n", tries, hits, (double)slowest_us / 1e6);
	printf("%sok 2 - %s: %u runs\n", failures || hits < n - n / 4 ? "not " : "", campaign->name, tries);
	rig_done(&rig, false);
	return failures || hits < n - n / 4 || !places;
}

static int once(const struct campaign *campaign, uint64_t seed, uint64_t k)
{
	struct outcome outcome = {0};
	struct rig rig;

	rig_init(&rig, campaign->name);
	rig.heap = campaign->heap;
	campaign->run(&rig, seed, k, &outcome);
	printf(
		"%s: %s%s; %" PRIu64 " places; the slowest answer took %.3f s; undone: %u of %u names, %u of %u blocks of %u files\n%s\n",
		campaign->name, outcome.hit ? "hit at " : "not hit", outcome.hit ? outcome.where : "", outcome.places,
		(double)outcome.slowest_us / 1e6, outcome.image.names_undone, outcome.image.names_unsynced, outcome.image.blocks_undone,
		outcome.image.blocks_unsynced, outcome.image.files, outcome.failed[0] ? outcome.failed : "all holds");
	printf("left in %s\n", rig.dir);
	rig_done(&rig, true);
	return outcome.failed[0] != 0;
}

/* ---- As a soak ---- */

/* k = 1, 2, 3, ... until the scenario has no such place; then the next seed, which does things in another order. */
static void soak_one(const struct campaign *campaign, struct rig *rig, struct progress *progress, const char *path)
{
	struct outcome outcome = {0};
	char failures[1024];
	FILE *file;

	campaign->run(rig, progress->seed, progress->k, &outcome);
	if (outcome.failed[0]) {
		progress->failures++;
		snprintf(failures, sizeof failures, "%.1000s.failures", path);
		file = fopen(failures, "ae");
		say_failure(campaign, rig, progress->seed, progress->k, &outcome, file ? file : stdout);
		if (file)
			fclose(file);
	}
	progress->runs += outcome.hit;
	progress->places = outcome.places;
	progress->names_undone += outcome.image.names_undone;
	progress->blocks_undone += outcome.image.blocks_undone;
	if ((uint64_t)outcome.slowest_us > progress->slowest_us)
		progress->slowest_us = (uint64_t)outcome.slowest_us;
	progress->k++;
	if (outcome.hit || outcome.failed[0])
		return;
	progress->seed++;
	progress->k = 1;
}

static int soak(const struct campaign *campaign, const char *path, unsigned seconds)
{
	int64_t begun_us = rig_now_us(), mark_us = begun_us;
	struct progress progress;
	struct rig rig;

	load(path, &progress);
	rig_init(&rig, campaign->name);
	rig.heap = campaign->heap;
	while (progress.runs < campaign->full && rig_now_us() - begun_us < seconds * 1000000ll) {
		soak_one(campaign, &rig, &progress, path);
		progress.seconds += (uint64_t)((rig_now_us() - mark_us) / 1000000);
		mark_us += (rig_now_us() - mark_us) / 1000000 * 1000000;
		save(path, &progress);
	}
	rig_done(&rig, false);
	printf("%s: %" PRIu64 " of %u runs, %" PRIu64 " failures\n", campaign->name, progress.runs, campaign->full,
	       progress.failures);
	return progress.failures != 0;
}

/* ---- Options ---- */

static const struct campaign *find(const char *name)
{
	for (unsigned i = 0; i < n_campaigns; i++)
		if (!strcmp(campaigns[i].name, name))
			return &campaigns[i];
	return NULL;
}

static int list(void)
{
	for (unsigned i = 0; i < n_campaigns; i++)
		printf("%s %u %s\n", campaigns[i].name, campaigns[i].full, campaigns[i].what);
	return 0;
}

static int usage(void)
{
	fputs("usage: faults CAMPAIGN [--seed N] [--sample N | --at K | --soak FILE --seconds N]\n       faults --list\n", stderr);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	static const struct option known[] = {{"seed", required_argument, NULL, 's'},
	                                      {"sample", required_argument, NULL, 'n'},
	                                      {"at", required_argument, NULL, 'k'},
	                                      {"soak", required_argument, NULL, 'f'},
	                                      {"seconds", required_argument, NULL, 't'},
	                                      {"list", no_argument, NULL, 'l'},
	                                      {0}};
	const char *set = getenv("SUAN_SEED"), *file = NULL;
	uint64_t seed = set ? strtoull(set, NULL, 10) : (uint64_t)time(NULL) ^ (uint64_t)getpid() << 8, at = 0;
	unsigned n = 0, seconds = 0;
	const struct campaign *campaign;
	bool have_at = false;
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) >= 0) {
		switch (c) {
		case 's': seed = strtoull(optarg, NULL, 10); break;
		case 'n': n = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'k': at = strtoull(optarg, NULL, 10), have_at = true; break;
		case 'f': file = optarg; break;
		case 't': seconds = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'l': return list();
		default: return usage();
		}
	}
	campaign = optind == argc - 1 ? find(argv[optind]) : NULL;
	if (!campaign)
		return usage();
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (file)
		return soak(campaign, file, seconds);
	if (have_at)
		return once(campaign, seed, at);
	return sample(campaign, seed, n ? n : campaign->sample);
}
