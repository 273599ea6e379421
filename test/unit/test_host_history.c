/* SPDX-License-Identifier: Apache-2.0
 * test_host_history.c: the host over a long life: snapshots are taken while it works, jobs leave the core for the history and can
 * be read there at every moment, payloads go with the last job that has them, and a start brings all of it back. */
#include "host_fixture.h"

#include "host/inside.h"

enum { JOBS = 40 };

/* Starts over with few jobs in the core and a snapshot every few events. */
static void restart(struct fixture *f)
{
	f->host = host_close(f->host);
	f->config.history_jobs_max = 3;
	f->snapshot_events = 25;
	open_host(f);
}

static void run_one(struct fixture *f, const char *run)
{
	uint32_t job = submit_job(f, 1, run);

	for (int i = 0; i < 5000; i++) {
		const struct job *found = core_job(f->service->ops->read_begin(f->service, false), job);
		bool runs = found && found->state == JOB_ACTIVE;

		f->service->ops->read_end(f->service);
		if (runs)
			break;
		usleep(1000);
	}
	fake_report(job, 1, ATTEMPT_ENDED, CAUSE_EXIT, (int32_t)(job % 2));
}

struct found {
	uint32_t n, last;
	bool bad;
};

static int note(void *ctx, const struct past_job *job)
{
	struct found *found = ctx;

	found->bad |= found->last && job->id >= found->last;
	found->bad |= job->state != (job->id % 2 ? JOB_FAILED : JOB_COMPLETED) || strcmp(job->centre, "..") != 0;
	found->last = job->id;
	found->n++;
	return 0;
}

static struct found all_past(struct fixture *f)
{
	struct past_query query = {.before = UINT32_MAX, .state = -1, .limit = UINT32_MAX};
	struct found found = {0};

	assert_int_equal(f->service->ops->history(f->service, &query, note, &found, &f->err), 0);
	assert_false(found.bad);
	return found;
}

/* A job is in the core, or else in the history: looked for in that order, it is always found. */
static bool is_anywhere(struct fixture *f, uint32_t id)
{
	struct past_query query = {.after = id - 1, .before = id + 1, .state = -1, .limit = 1};
	bool in_core = core_job(f->service->ops->read_begin(f->service, false), id);
	struct found found = {0};

	f->service->ops->read_end(f->service);
	return in_core || (f->service->ops->history(f->service, &query, note, &found, &f->err) == 0 && found.n == 1 && !found.bad);
}

struct looker {
	struct fixture *f;
	_Atomic uint32_t known;
	_Atomic bool over;
	uint32_t looks, missed;
};

static void *look(void *arg)
{
	struct looker *looker = arg;

	while (!atomic_load(&looker->over))
		for (uint32_t id = atomic_load(&looker->known); id > 0 && !atomic_load(&looker->over); id--, looker->looks++)
			looker->missed += !is_anywhere(looker->f, id);
	return NULL;
}

static void jobs_are_found_while_they_leave(void **state)
{
	struct fixture *f = *state;
	struct looker looker = {.f = f};
	pthread_t thread;

	restart(f);
	assert_int_equal(pthread_create(&thread, NULL, look, &looker), 0);
	for (uint32_t i = 1; i <= JOBS; i++) {
		run_one(f, "true");
		atomic_store(&looker.known, i);
	}
	for (int i = 0; i < 5000 && all_past(f).n < JOBS - 3; i++)
		usleep(1000);
	atomic_store(&looker.over, true);
	pthread_join(thread, NULL);
	assert_int_equal(all_past(f).n, JOBS - 3);
	assert_true(looker.looks > JOBS);
	assert_int_equal(looker.missed, 0);
}

static uint64_t newest_snapshot(struct fixture *f)
{
	struct snapshot snapshot = {0};
	struct buf bytes = {0};
	int code = f->store->ops->snapshot(f->store, 0, &snapshot, &bytes, &f->err);

	buf_done(&bytes);
	return code < 0 ? 0 : snapshot.sequence;
}

static void a_start_goes_from_a_snapshot(void **state)
{
	struct fixture *f = *state;
	struct hash before, after;
	uint64_t snapshot;

	restart(f);
	for (uint32_t i = 1; i <= JOBS; i++)
		run_one(f, "true");
	for (int i = 0; i < 5000 && (all_past(f).n < JOBS - 3 || !newest_snapshot(f)); i++)
		usleep(1000);
	snapshot = newest_snapshot(f);
	assert_true(snapshot > 0);
	before = digest_of(f);
	restart(f);
	after = digest_of(f);
	assert_memory_equal(&before, &after, sizeof before);
	assert_true(newest_snapshot(f) >= snapshot);
	assert_int_equal(f->host->keeper.latest.sequence, core_sequence(f->host->core)); /* and an anchor of it can be made */
	core_check(f->host->core);
	core_check(f->host->follower);
	assert_int_equal(all_past(f).n, JOBS - 3);
}

/* What a start writes to the history; and a job that it is told isn't there. */
static const struct store_ops *real_ops;
static uint32_t written, hidden;

static int count_put(struct store *store, const struct past_job *jobs, uint32_t n, struct err *err)
{
	written += n;
	return real_ops->history_put(store, jobs, n, err);
}

struct ids {
	int (*visit)(void *ctx, uint32_t job);
	void *ctx;
};

static int visit_but_hidden(void *ctx, uint32_t job)
{
	struct ids *ids = ctx;

	return job == hidden ? 0 : ids->visit(ids->ctx, job);
}

static int ids_but_hidden(struct store *store, int (*visit)(void *ctx, uint32_t job), void *ctx, struct err *err)
{
	struct ids ids = {visit, ctx};

	return real_ops->history_ids(store, visit_but_hidden, &ids, err);
}

static void a_start_writes_only_what_is_missing(void **state)
{
	struct fixture *f = *state;
	struct store_ops ops;

	f->host = host_close(f->host);
	f->config.history_jobs_max = 3;
	f->snapshot_events = UINT64_MAX;
	open_host(f);
	for (uint32_t i = 1; i <= JOBS; i++)
		run_one(f, "true");
	for (int i = 0; i < 5000 && all_past(f).n < JOBS - 3; i++)
		usleep(1000);
	assert_int_equal(newest_snapshot(f), 0);
	for (hidden = 0; hidden < 2; hidden++) {
		f->host = host_close(f->host);
		ops = *f->store->ops;
		real_ops = f->store->ops;
		ops.history_put = count_put;
		ops.history_ids = ids_but_hidden;
		f->store->ops = &ops;
		written = 0;
		open_host(f);
		assert_int_equal(written, hidden);
		assert_int_equal(all_past(f).n, JOBS - 3);
		f->host = host_close(f->host);
		f->store->ops = real_ops;
		open_host(f);
	}
}

static int count_one(void *ctx, const struct hash *hash)
{
	(void)hash;
	++*(unsigned *)ctx;
	return 0;
}

static unsigned payloads(struct fixture *f)
{
	unsigned n = 0;

	assert_int_equal(f->store->ops->payloads(f->store, count_one, &n, &f->err), 0);
	return n;
}

/* A batch with one event that changes the configuration, and a payload that no job has. */
static int append_config(struct fixture *f, const struct batch *last, const struct blob *blob)
{
	struct event event = {.type = EVENT_CONFIG, .at_us = last->at_us, .config = f->config};
	struct batch batch = {.sequence = last->sequence + last->n_events, .n_events = 1, .at_us = last->at_us};
	struct buf bytes = {0};
	int code;

	event_encode(&event, 0, &bytes);
	batch.events = bytes.data;
	batch.len = bytes.len;
	batch.hash = journal_hash(&last->hash, batch.sequence, 1, batch.at_us, bytes.data, bytes.len);
	code = f->store->ops->append(f->store, &batch, blob, 1, &f->err);
	buf_done(&bytes);
	return code;
}

static void payloads_go_with_their_jobs(void **state)
{
	struct fixture *f = *state;
	struct blob left = {.hash = hash_of("left", 4), .bytes = "left", .len = 4};
	struct batch last;
	char run[32];

	restart(f);
	for (uint32_t i = 1; i <= JOBS; i++) {
		snprintf(run, sizeof run, "echo %u", i / 2); /* two jobs each */
		run_one(f, run);
	}
	for (int i = 0; i < 5000 && (all_past(f).n < JOBS - 3 || payloads(f) > 2); i++)
		usleep(1000);
	assert_int_equal(payloads(f), 2); /* of the last three */

	/* One that a crash kept from being erased is erased at the next start. */
	f->host = host_close(f->host);
	assert_int_equal(f->store->ops->last(f->store, &last, &f->err), 0);
	assert_int_equal(append_config(f, &last, &left), 0);
	assert_int_equal(payloads(f), 3);
	open_host(f);
	assert_int_equal(payloads(f), 2);
}

/* A snapshot that isn't of this journal, and one whose bytes are no state, are said and not used. */
static void bad_snapshots_are_passed_over(void **state)
{
	struct fixture *f = *state;
	struct snapshot foreign = {.bytes = "no state", .len = 8, .digest = hash_of("no state", 8)};
	struct hash before, after;

	restart(f);
	for (uint32_t i = 1; i <= 10; i++)
		run_one(f, "true");
	wait_state(f, submit_job(f, 1, "true"), JOB_ACTIVE);
	f->host = host_close(f->host);
	f->snapshot_events = 0;
	open_host(f);
	before = digest_of(f);
	foreign.sequence = core_sequence(f->host->follower);
	foreign.chain = f->host->chain;
	f->host = host_close(f->host);
	assert_int_equal(f->store->ops->snapshot_put(f->store, &foreign, &f->err), 0); /* of the right batch, and no state */
	open_host(f);
	after = digest_of(f);
	assert_memory_equal(&before, &after, sizeof before);
	f->host = host_close(f->host);
	foreign.sequence += 1000; /* beyond the end */
	assert_int_equal(f->store->ops->snapshot_put(f->store, &foreign, &f->err), 0);
	open_host(f);
	after = digest_of(f);
	assert_memory_equal(&before, &after, sizeof before);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(jobs_are_found_while_they_leave), test(a_start_goes_from_a_snapshot),  test(a_start_writes_only_what_is_missing),
		test(payloads_go_with_their_jobs),     test(bad_snapshots_are_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
