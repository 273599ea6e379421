/* SPDX-License-Identifier: Apache-2.0
 * test_upgrade.c: journals and snapshots of earlier releases, in test/corpus/journal-VERSION, are read for ever: each replays to
 * the state whose digest was written down beside it, and so does its snapshot with what follows it. A release that keeps more in
 * its state writes the digests of earlier journals anew, and goes by them instead of by their snapshots.
 *
 * test/corpus/regenerate writes the one of this version anew (SUAN_CORPUS_WRITE=DIR), which may be done until it is released. */
#include "core_fixture.h"

#include <dirent.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/journal.h"
#include "store/stores.h"

#define MINUTE US_MINUTE

/* ---- Making one: every type of event, and what a busy day has ---- */

static const struct line_spec lines[] = {
	{.count = 6, .kind = "a", .cards = 8, .cpus_milli = 64000, .memory_mib = 65536, .nodes_per_rack = 2, .racks_per_pod = 2},
	{.count = 2, .cpus_milli = 32000, .memory_mib = 32768},
};
static const struct line_spec counted_lines[] = {
	{.count = 3, .kind = "b", .cards = 4, .cpus_milli = UNCOUNTED, .memory_mib = UNCOUNTED}};
static const struct centre_spec centres[] = {
	{.name = "exact", .region = "r", .engine = "e", .capabilities = CAN_ALL, .lines = lines, .n_lines = 2},
	{.name = "counted",
     .region = "r",
     .engine = "e",
     .capabilities = CAN_ALL & ~(unsigned)(CAN_EXACT_CARDS | CAN_LIMIT),
     .lines = counted_lines,
     .n_lines = 1},
};

/* An engine whose centre chooses says which cards it chose. */
static void run_bound(struct world *w, uint32_t job)
{
	static const uint64_t cards[] = {0xc};
	struct report r = {.job = job, .attempt = 1, .state = ATTEMPT_RUNNING, .native_id = "native-7", .cards = cards, .n_cards = 1};

	world_report(w, job, ATTEMPT_HELD, 0, 0);
	assert_int_equal(world_step(w, (struct input){.type = INPUT_REPORT, .report = r}), 0);
	assert_int_equal(count_events(w, EVENT_BOUND), 1);
}

static void run(struct world *w, uint32_t job)
{
	if (job_of(w, job)->attempt_state == ATTEMPT_INTENT)
		world_run(w, job);
}

static void end(struct world *w, uint32_t job, int32_t exit_code)
{
	if (job_of(w, job)->state == JOB_ACTIVE)
		world_end(w, job, exit_code);
}

/* nodes: of 8 cards, that there are. */
static void live_a_day(struct world *w, uint32_t nodes)
{
	const uint8_t key[IDEMPOTENCY_BYTES] = {(uint8_t)w->n_batches};
	uint32_t wide, gang, array, lost, doomed, counted, first, endless, never;

	first = world_submit(w, (struct want){.cards_milli = 8000, .nodes = nodes - 3, .limit_us = 60 * MINUTE, .key = key});
	run(w, first);
	endless = world_submit(w, (struct want){.cards_milli = 8000});
	run(w, endless);
	wide = world_submit(w, (struct want){.cards_milli = 8000, .nodes = nodes - 1, .limit_us = 30 * MINUTE, .priority = 200});
	never = world_submit(w, (struct want){.cards_milli = 8000, .nodes = nodes, .limit_us = MINUTE, .priority = 300});
	world_cancel(w, never);
	gang = world_submit(w, (struct want){.cards_milli = 4000, .nodes = 2, .limit_us = 10 * MINUTE, .highest = TIER_RACK});
	run(w, gang);
	array = world_submit(
		w, (struct want){.cpus_milli = 16000, .memory_mib = 8192, .limit_us = 5 * MINUTE, .array = {3, 9, 3}, .parallel_max = 2});
	lost = world_submit(w,
	                    (struct want){.cards_milli = 500, .limit_us = 8 * MINUTE, .rerun = true, .restarts = 2, .project = "q"});
	doomed = world_submit(w, (struct want){.cards_milli = 1000, .on = {{lost, AFTER_OK}, {gang, AFTER_ANY}}, .n_on = 2});
	counted = world_submit(
		w, (struct want){.kind = "b", .cards_milli = 2000, .limit_us = 20 * MINUTE, .begin_us = w->now_us + MINUTE});
	world_tick(w, 2 * MINUTE);
	run_bound(w, counted);
	world_silence(w, 1, true);
	run(w, lost);
	world_lose(w, lost);
	world_tick(w, MINUTE);
	world_silence(w, 1, false);
	for (uint32_t id = array + 1; id <= doomed + 5 && core_job(w->core, id); id++)
		if (job_of(w, id)->array_of == array && job_is_live(job_of(w, id)))
			run(w, id);
	end(w, gang, 3);
	world_cancel(w, first);
	world_report(w, first, ATTEMPT_ENDED, CAUSE_CANCEL, 143);
	run(w, wide);
	world_tick(w, 25 * MINUTE);
	world_cancel(w, array);
	for (uint32_t id = 1; core_job_before(w->core, UINT32_MAX)->id >= id; id++)
		if (core_job(w->core, id) && job_of(w, id)->state == JOB_CLEANUP && job_is_live(job_of(w, id)))
			world_report(w, id, ATTEMPT_ENDED, job_of(w, id)->cause, 143);
	end(w, wide, 0);
	end(w, endless, 0);
	world_tick(w, 10 * MINUTE);
}

/* Everybody who is there runs and ends. */
static void finish(struct world *w)
{
	for (uint32_t id = 1; id <= core_job_before(w->core, UINT32_MAX)->id; id++) {
		if (!core_job(w->core, id))
			continue;
		if (job_is_live(job_of(w, id)) && job_of(w, id)->state == JOB_STAGE_IN)
			run(w, id);
		if (job_of(w, id)->state == JOB_ACTIVE && job_is_live(job_of(w, id)))
			end(w, id, 0);
	}
}

/* Nodes that are out, a booking and a drain, a job that may be preempted once it has run for a while, and is. */
static void operate(struct world *w)
{
	static const struct node_range one = {5, 5}, two[] = {{0, 0}, {2, 2}};
	const struct booking_spec booking = {.name = "course",
	                                     .project = "p",
	                                     .centre = "exact",
	                                     .ranges = two,
	                                     .n_ranges = 2,
	                                     .from_us = w->now_us + 300 * MINUTE,
	                                     .until_us = w->now_us + 400 * MINUTE};
	struct booking_spec drain = booking;
	uint32_t meek, urgent;

	finish(w);
	finish(w);
	assert_int_equal(world_step(w, (struct input){.type = INPUT_BOOK, .book = &booking}), 0);
	drain.project = NULL;
	drain.from_us = w->now_us + 500 * MINUTE;
	drain.until_us = US_NEVER;
	assert_int_equal(world_step(w, (struct input){.type = INPUT_BOOK, .book = &drain}), 0);
	meek = world_submit(w, (struct want){.cards_milli = 8000,
	                                     .nodes = 4,
	                                     .limit_us = 60 * MINUTE,
	                                     .preemptible = true,
	                                     .preemptible_after_us = 5 * MINUTE,
	                                     .priority = 1});
	run(w, meek);
	assert_int_equal(job_of(w, meek)->state, JOB_ACTIVE);
	world_tick(w, 6 * MINUTE);
	urgent = world_submit(w, (struct want){.cards_milli = 8000, .nodes = 4, .limit_us = 10 * MINUTE, .priority = 900});
	assert_int_equal(job_of(w, meek)->state, JOB_CLEANUP);
	world_report(w, meek, ATTEMPT_ENDED, CAUSE_PREEMPTED, 143);
	run(w, urgent);
	assert_int_equal(world_step(w, (struct input){.type = INPUT_NODE,
	                                              .node = {.centre = "exact", .range = one, .state = NODE_DOWN, .note = "fan"}}),
	                 0);
	assert_int_equal(world_step(w, (struct input){.type = INPUT_UNBOOK, .unbook.booking = 2}), 0);
	end(w, urgent, 0);
	world_cancel(w, meek);
	for (uint32_t id = meek; id <= urgent; id++)
		if (job_is_live(job_of(w, id)))
			world_report(w, id, ATTEMPT_ENDED, CAUSE_CANCEL, 143);
	assert_int_equal(
		world_step(w, (struct input){.type = INPUT_NODE, .node = {.centre = "exact", .range = one, .state = NODE_UP}}), 0);
	world_tick(w, 500 * MINUTE);
}

/* A job is lent nodes until a drain, and keeps them once there is none. */
static void lend(struct world *w)
{
	static const struct node_range all = {0, 5};
	const struct booking_spec drain = {.name = "power",
	                                   .centre = "exact",
	                                   .ranges = &all,
	                                   .n_ranges = 1,
	                                   .from_us = w->now_us + 60 * MINUTE,
	                                   .until_us = US_NEVER};
	struct input unbook = {.type = INPUT_UNBOOK};
	uint32_t job;

	assert_int_equal(world_step(w, (struct input){.type = INPUT_BOOK, .book = &drain}), 0);
	unbook.unbook.booking = w->step.job;
	job = world_submit(
		w, (struct want){.cards_milli = 8000, .limit_us = 600 * MINUTE, .preemptible = true, .preemptible_after_us = 5 * MINUTE});
	world_tick(w, MINUTE);
	run(w, job); /* late, which lends it no longer */
	assert_int_equal(job_of(w, job)->plan.until_us, drain.from_us);
	assert_int_equal(world_step(w, unbook), 0);
	world_tick(w, 60 * MINUTE);
	assert_int_equal(job_of(w, job)->plan.until_us, job_of(w, job)->started_us + 600 * MINUTE);
	end(w, job, 0);
}

/* A job on slow cards goes to fast ones once these are free. */
static void move(struct world *w)
{
	const struct request_spec requests[] = {{.kind = "a", .cards_milli = 8000, .speed_milli = 1000},
	                                        {.kind = "b", .cards_milli = 2000, .speed_milli = 300}};
	const struct group_spec group = {.nodes = 1, .requests = requests, .n_requests = 2, .highest = TIER_CENTRE};
	const struct job_spec spec = {.name = "mover",
	                              .project = "p",
	                              .user = "u",
	                              .groups = &group,
	                              .n_groups = 1,
	                              .priority = 100,
	                              .limit_us = 6000 * MINUTE,
	                              .checkpoint_every_us = MINUTE};
	uint32_t all = world_submit(w, (struct want){.cards_milli = 8000, .nodes = 6, .limit_us = 60 * MINUTE}), job;

	run(w, all);
	assert_int_equal(world_step(w, (struct input){.type = INPUT_SUBMIT, .submit = {&spec, NULL}}), 0);
	job = w->step.job;
	run_bound(w, job);
	world_tick(w, 40 * MINUTE);
	end(w, all, 0);
	assert_int_equal(job_of(w, job)->cause, CAUSE_MOVED);
	world_report(w, job, ATTEMPT_ENDED, CAUSE_SIGNAL, 143);
	run(w, job);
	end(w, job, 0);
}

/* More is due than is decided into one batch. */
static void fall_behind(struct world *w)
{
	uint32_t array;

	world_decide_at_most(w, 2);
	array = world_submit(w, (struct want){.cards_milli = 100, .array = {0, 4, 1}});
	assert_true(core_has_backlog(w->core));
	world_catch_up(w);
	world_decide_at_most(w, DECISIONS_MAX);
	world_cancel(w, array);
	for (uint32_t i = 0; i < 5; i++)
		world_report(w, core_element(w->core, array, i)->id, ATTEMPT_ENDED, CAUSE_CANCEL, 143);
}

static void change_the_pool(struct world *w)
{
	struct line_spec fewer[2] = {lines[0], lines[1]};
	struct centre_spec changed[2] = {centres[0], centres[1]};
	struct pool_spec pool = pool_of(changed, 2);
	struct config_spec config = config_default();

	fewer[0].count = 5;
	changed[0].lines = fewer;
	assert_int_equal(world_pool(w, &pool), 0);
	config.kill_grace_us = 7 * US_SECOND;
	config.history_jobs_max = 6;
	assert_int_equal(world_config(w, config), 0);
}

static struct batch batch_at(const struct world *w, uint32_t i)
{
	size_t end = i + 1 < w->n_batches ? w->batch[i + 1] : w->journal.len;
	struct batch batch = {.events = w->journal.data + w->batch[i], .len = end - w->batch[i]};
	struct reader r = reader_of(batch.events, batch.len);
	struct arena arena = {0};
	struct event e;

	for (; r.at != r.end; batch.at_us = e.at_us, batch.n_events++)
		assert_int_equal(event_decode(&r, batch.at_us, &arena, &e), 0);
	arena_done(&arena);
	return batch;
}

static void put_snapshot(struct store *store, const struct core *core, const struct batch *last)
{
	struct snapshot snapshot = {.sequence = core_sequence(core), .at_us = core_now(core), .chain = last->hash};
	struct buf bytes = {0};
	struct err err;

	core_save(core, &bytes);
	snapshot.bytes = bytes.data;
	snapshot.len = bytes.len;
	snapshot.digest = core_digest(core);
	assert_int_equal(store->ops->snapshot_put(store, &snapshot, &err), 0);
	buf_done(&bytes);
}

/* Writes all of a world's journal, and a snapshot of its middle. */
static void put_journal(struct store *store, const struct world *w)
{
	struct core *core = core_new();
	struct batch last = {0};
	struct err err;

	for (uint32_t i = 0; i < w->n_batches; i++) {
		struct batch batch = batch_at(w, i);

		batch.sequence = last.sequence + last.n_events + (i == 0);
		batch.hash = journal_hash(&last.hash, batch.sequence, batch.n_events, batch.at_us, batch.events, batch.len);
		assert_int_equal(store->ops->append(store, &batch, NULL, 0, &err), 0);
		assert_int_equal(core_apply(core, batch.events, batch.len, NULL, NULL, &err), 0);
		last = batch;
		if (i == w->n_batches / 2)
			put_snapshot(store, core, &last);
	}
	core_free(core);
}

static void write_corpus(const char *dir)
{
	struct pool_spec pool = pool_of(centres, 2);
	struct world *w = world_new(&pool);
	struct store *store;
	struct hash digest;
	char path[512], hex[HASH_HEX_SIZE];
	struct err err;
	FILE *file;

	live_a_day(w, 6);
	operate(w);
	lend(w);
	move(w);
	fall_behind(w);
	change_the_pool(w);
	live_a_day(w, 5);
	if (store_open(dir, &store, &err) < 0)
		fail_msg("%s: %s", err.subject, err.text);
	put_journal(store, w);
	store->ops->close(store);
	snprintf(path, sizeof path, "%s/digest", dir);
	file = fopen(path, "w");
	assert_non_null(file);
	digest = core_digest(w->core);
	fprintf(file, "%" PRIu64 " %s\n", core_sequence(w->core), hash_hex(&digest, hex, sizeof hex));
	fclose(file);
	world_free(w);
}

/* ---- Reading them ---- */

/* A journal is opened where it may be brought up to date: in a copy. */
static void copy_file(const char *from, const char *to)
{
	char bytes[65536];
	FILE *in = fopen(from, "r"), *out = fopen(to, "w");
	size_t n;

	assert_non_null(in);
	assert_non_null(out);
	while ((n = fread(bytes, 1, sizeof bytes, in)) > 0)
		assert_int_equal(fwrite(bytes, 1, n, out), n);
	fclose(in);
	assert_int_equal(fclose(out), 0);
}

static void copy_dir(const char *from, const char *to)
{
	DIR *dir = opendir(from);
	char a[512], b[512];

	assert_non_null(dir);
	for (const struct dirent *entry; (entry = readdir(dir));) {
		snprintf(a, sizeof a, "%s/%s", from, entry->d_name);
		snprintf(b, sizeof b, "%s/%s", to, entry->d_name);
		if (entry->d_name[0] != '.')
			copy_file(a, b);
	}
	closedir(dir);
}

static void remove_dir(const char *path)
{
	DIR *dir = opendir(path);
	char name[512];

	for (const struct dirent *entry; (entry = readdir(dir));) {
		snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
		if (entry->d_name[0] != '.')
			unlink(name);
	}
	closedir(dir);
	assert_int_equal(rmdir(path), 0);
}

struct reading {
	struct core *core;
	uint32_t seen[EVENT_TYPE_COUNT];
	struct err err;
};

static void count(void *ctx, const struct core *core, uint64_t sequence, const struct event *event)
{
	struct reading *reading = ctx;

	(void)core;
	(void)sequence;
	reading->seen[event->type]++;
}

static int apply_one(void *ctx, const struct batch *batch)
{
	struct reading *reading = ctx;
	int code = core_apply(reading->core, batch->events, batch->len, count, reading, &reading->err);

	if (code == 0)
		core_check(reading->core);
	return code;
}

static void assert_digest(const char *dir, const struct core *core)
{
	struct hash digest = core_digest(core);
	char path[512], expected[128] = "", got[128], hex[HASH_HEX_SIZE];
	FILE *file;

	snprintf(path, sizeof path, "%s/digest", dir);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_non_null(fgets(expected, sizeof expected, file));
	fclose(file);
	snprintf(got, sizeof got, "%" PRIu64 " %s\n", core_sequence(core), hash_hex(&digest, hex, sizeof hex));
	if (strcmp(got, expected) != 0)
		fail_msg("%s: replay gives another state than the release that wrote it: %snot %s"
		         "Only a version that isn't released yet may be written anew, by test/corpus/regenerate",
		         dir, got, expected);
}

static void replay_from(const char *dir, struct store *store, uint64_t from, struct reading *reading)
{
	if (store->ops->read(store, from, apply_one, reading, &reading->err) < 0)
		fail_msg("%s: %s: %s. Only a version that isn't released yet may be written anew, by test/corpus/regenerate", dir,
		         reading->err.subject, reading->err.text);
	assert_digest(dir, reading->core);
	reading->core = core_free(reading->core);
}

static void check_journal(const char *dir)
{
	char copy[] = "/tmp/suan-corpus-XXXXXX";
	struct reading reading = {.core = core_new()};
	struct snapshot snapshot;
	struct buf bytes = {0};
	struct store *store;

	assert_non_null(mkdtemp(copy));
	copy_dir(dir, copy);
	if (store_open(copy, &store, &reading.err) < 0 || journal_verify(store, NULL, &reading.err) < 0)
		fail_msg("%s: %s: %s", dir, reading.err.subject, reading.err.text);
	replay_from(dir, store, 1, &reading);
	for (int type = 1; type < EVENT_TYPE_COUNT; type++)
		if (!reading.seen[type] && (type <= EVENT_FORGOTTEN || strstr(dir, "journal-" SUAN_VERSION)))
			fail_msg("%s: no event \"%s\"", dir, event_word((enum event_type)type));
	assert_int_equal(store->ops->snapshot(store, 0, &snapshot, &bytes, &reading.err), 0);
	if (core_load(bytes.data, bytes.len, &reading.core, &reading.err) == 0)
		replay_from(dir, store, snapshot.sequence + 1, &reading);
	else /* a later release may have another form of it, and then goes by the journal */
		assert_true(strstr(dir, "journal-" SUAN_VERSION) == NULL);
	buf_done(&bytes);
	store->ops->close(store);
	remove_dir(copy);
}

static void every_release_is_read(void **state)
{
	const char *source = getenv("SUAN_SOURCE");
	char corpus[256], path[512];
	unsigned n = 0;
	DIR *dir;

	(void)state;
	snprintf(corpus, sizeof corpus, "%s/test/corpus", source ? source : ".");
	dir = opendir(corpus);
	assert_non_null(dir);
	for (const struct dirent *entry; (entry = readdir(dir));) {
		if (strncmp(entry->d_name, "journal-", 8) != 0)
			continue;
		snprintf(path, sizeof path, "%.255s/%.200s", corpus, entry->d_name);
		check_journal(path);
		n++;
	}
	closedir(dir);
	assert_true(n >= 1);
}

/* What the script makes now is read as well, so that regenerating works when it is wanted. */
static void one_that_is_made_now_is_read(void **state)
{
	char dir[] = "/tmp/suan-made-XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(dir));
	write_corpus(dir);
	check_journal(dir);
	remove_dir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_release_is_read), cmocka_unit_test(one_that_is_made_now_is_read)};

	if (getenv("SUAN_CORPUS_WRITE")) {
		write_corpus(getenv("SUAN_CORPUS_WRITE"));
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
