/* SPDX-License-Identifier: Apache-2.0
 * test_host_loop.c: the host's loop: what is answered is durable, what isn't durable isn't seen, and a restart goes on. */
#include "host_fixture.h"

#include <dirent.h>

#include "core/journal.h"

static unsigned files_in(const struct fixture *f, const char *folder)
{
	char path[128];
	unsigned n = 0;
	DIR *dir;

	snprintf(path, sizeof path, "%s/%s", f->dir, folder);
	dir = opendir(path);
	assert_non_null(dir);
	for (struct dirent *e = readdir(dir); e; e = readdir(dir))
		n += e->d_name[0] != '.';
	closedir(dir);
	return n;
}

static void test_run(void **state)
{
	struct fixture *f = *state;
	uint32_t job = submit_job(f, 2, "echo hi");

	wait_state(f, job, JOB_ACTIVE);
	assert_int_equal(fake.holds[job], 1);
	assert_int_equal(fake.releases[job], 1);
	assert_string_equal(fake.run, "echo hi");
	fake_report(job, 1, ATTEMPT_ENDED, CAUSE_EXIT, 0);
	wait_state(f, job, JOB_COMPLETED);
}

/* Where a start is unique by itself, nothing waits for the journal to know that the engine has it. */
static void test_run_at_once(void **state)
{
	struct fixture *f = *state;
	uint32_t job;

	assert_false(fake_centres[0].capabilities & CAN_START_ONCE);
	job = submit_job(f, 1, "x");
	wait_state(f, job, JOB_ACTIVE);
	assert_false(fake.released);
	f->host = host_close(f->host);
	fake_centres[0].capabilities |= CAN_START_ONCE;
	open_host(f);
	job = submit_job(f, 1, "y");
	wait_state(f, job, JOB_ACTIVE);
	assert_true(fake.released);
	assert_int_equal(fake.holds[job], 1);
	assert_int_equal(fake.releases[job], 0);
	fake_centres[0].capabilities &= ~(uint32_t)CAN_START_ONCE;
}

static void test_cancel(void **state)
{
	struct fixture *f = *state;
	uint32_t job = submit_job(f, 1, "sleep inf");
	struct waited w = {.call = {.type = SERVICE_CANCEL, .job = job}};

	wait_state(f, job, JOB_ACTIVE);
	waited_begin(f, &w);
	waited_end(&w);
	assert_int_equal(w.call.code, 0);
	wait_state(f, job, JOB_CANCELED);
	assert_int_equal(fake.kills[job], 1);

	w = (struct waited){.call = {.type = SERVICE_CANCEL, .job = 999}};
	waited_begin(f, &w);
	waited_end(&w);
	assert_int_equal(w.call.code, ERR_NOT_FOUND);
}

static void test_refused(void **state)
{
	struct fixture *f = *state;
	struct variable secret = {"TOKEN", "canary"};
	struct waited w;

	submit_begin(f, &w, 5, "x", &secret, NULL); /* the pool has 4 nodes */
	waited_end(&w);
	assert_int_equal(w.call.code, 0);
	assert_true(w.item.code < 0);
	assert_int_equal(files_in(f, "secrets"), 0);
}

static void test_key(void **state)
{
	struct fixture *f = *state;
	uint8_t key[IDEMPOTENCY_BYTES] = {1};
	uint32_t job;
	struct waited w;

	submit_begin(f, &w, 1, "x", NULL, key);
	waited_end(&w);
	assert_int_equal(w.item.code, 0);
	assert_false(w.item.repeated);
	job = w.item.job;
	submit_begin(f, &w, 1, "x", NULL, key);
	waited_end(&w);
	assert_int_equal(w.item.code, 0);
	assert_true(w.item.repeated);
	assert_int_equal(w.item.job, job);
	key[IDEMPOTENCY_BYTES - 1] = 9; /* the same key, another request */
	submit_begin(f, &w, 1, "y", NULL, key);
	waited_end(&w);
	assert_int_equal(w.item.code, ERR_CONFLICT);
}

static void test_secrets(void **state)
{
	struct fixture *f = *state;
	struct variable secret = {"TOKEN", "canary"};
	struct waited w;

	submit_begin(f, &w, 1, "x", &secret, NULL);
	waited_end(&w);
	assert_int_equal(w.item.code, 0);
	wait_state(f, w.item.job, JOB_ACTIVE);
	assert_string_equal(fake.secret, "canary");
	assert_int_equal(files_in(f, "secrets"), 1);
	fake_report(w.item.job, 1, ATTEMPT_ENDED, CAUSE_EXIT, 0);
	wait_state(f, w.item.job, JOB_COMPLETED);
	for (int i = 0; i < 1000 && files_in(f, "secrets"); i++)
		usleep(1000);
	assert_int_equal(files_in(f, "secrets"), 0);
}

/* A full store: the batch that is stuck is answered only once it is durable; later calls are refused; reports wait. */
static void test_full(void **state)
{
	struct fixture *f = *state;
	uint32_t running = submit_job(f, 1, "x");
	struct service_stats stats = {0};
	struct waited stuck, later;

	wait_state(f, running, JOB_ACTIVE);
	assert_int_equal(memory_store_limit(f->store, 1, &f->err), 0);
	submit_begin(f, &stuck, 1, "stuck", NULL, NULL);
	for (int i = 0; i < 5000 && !stats.failing; i++) {
		usleep(1000);
		f->service->ops->stats(f->service, &stats);
	}
	assert_true(stats.failing);
	assert_false(stuck.done);
	submit_begin(f, &later, 1, "later", NULL, NULL);
	waited_end(&later);
	assert_int_equal(later.call.code, ERR_FULL);
	fake_report(running, 1, ATTEMPT_ENDED, CAUSE_EXIT, 0);
	usleep(20000);
	assert_int_equal(state_of(f, running), JOB_ACTIVE);
	assert_int_equal(memory_store_limit(f->store, 0, &f->err), 0);
	waited_end(&stuck);
	assert_int_equal(stuck.item.code, 0);
	wait_state(f, stuck.item.job, JOB_ACTIVE);
	wait_state(f, running, JOB_COMPLETED);
}

/* Stopping while the store takes nothing: the caller hears that nobody knows. */
static void test_full_stop(void **state)
{
	struct fixture *f = *state;
	struct service_stats stats = {0};
	struct waited stuck, later;

	assert_int_equal(memory_store_limit(f->store, 1, &f->err), 0);
	submit_begin(f, &stuck, 1, "stuck", NULL, NULL);
	for (int i = 0; i < 5000 && !stats.failing; i++) {
		usleep(1000);
		f->service->ops->stats(f->service, &stats);
	}
	host_stop(f->host);
	waited_end(&stuck);
	assert_int_equal(stuck.call.code, ERR_IO);
	assert_int_equal(fake.holds[1], 0);
	submit_begin(f, &later, 1, "later", NULL, NULL);
	waited_end(&later);
	assert_true(later.call.code < 0);
}

static void test_restart(void **state)
{
	struct fixture *f = *state;
	uint32_t job = submit_job(f, 1, "x"), waiting;
	struct hash before, after;
	char a[HASH_HEX_SIZE], b[HASH_HEX_SIZE];

	submit_job(f, 3, "y");
	waiting = submit_job(f, 4, "z");
	wait_state(f, job, JOB_ACTIVE);
	wait_state(f, job + 1, JOB_ACTIVE);
	before = digest_of(f);
	f->host = host_close(f->host);
	open_host(f);
	after = digest_of(f);
	assert_string_equal(hash_hex(&before, a, sizeof a), hash_hex(&after, b, sizeof b));
	assert_int_equal(fake.known, 2);
	assert_int_equal(state_of(f, waiting), JOB_QUEUED);
	fake_report(job, 1, ATTEMPT_ENDED, CAUSE_EXIT, 3);
	wait_state(f, job, JOB_FAILED);
}

/* An engine that is busy is asked again; one that won't is believed. */
static void test_hold_again(void **state)
{
	struct fixture *f = *state;
	uint32_t job;

	fake.hold_fails = ERR_BUSY;
	fake.hold_fails_n = 1;
	job = submit_job(f, 1, "x");
	wait_state(f, job, JOB_ACTIVE);
	assert_int_equal(fake.holds[job], 2);

	fake.hold_fails = ERR_INVALID;
	fake.hold_fails_n = 100;
	job = submit_job(f, 1, "x");
	wait_state(f, job, JOB_FAILED);
}

static uint32_t run_to_end(struct fixture *f, const char *run)
{
	uint32_t job = submit_job(f, 1, run);

	wait_state(f, job, JOB_ACTIVE);
	fake_report(job, 1, ATTEMPT_ENDED, CAUSE_EXIT, 0);
	for (int i = 0; i < 5000; i++) {
		const struct job *seen = core_job(f->service->ops->read_begin(f->service, false), job);
		bool over = !seen || job_is_over(seen);

		f->service->ops->read_end(f->service);
		if (over)
			return job;
		usleep(1000);
	}
	fail_msg("job %u never ended", job);
	return 0;
}

static bool has_payload(struct fixture *f, const char *run)
{
	struct payload payload = {.setup = "", .run = run, .workdir = "", .output = "", .error = "", .checkpoint_signal = ""};
	struct buf bytes = {0}, stored = {0};
	struct hash hash;
	int code;

	payload_encode(&payload, &bytes);
	hash = hash_of(bytes.data, bytes.len);
	code = f->store->ops->payload(f->store, &hash, &stored, &f->err);
	buf_done(&bytes);
	buf_done(&stored);
	return code == 0;
}

/* What no job has any more is erased; what one still has is not, also where it comes back in the meantime. */
static void test_erase(void **state)
{
	struct fixture *f = *state;

	f->host = host_close(f->host);
	f->config.history_jobs_max = 1;
	open_host(f);
	run_to_end(f, "kept");
	run_to_end(f, "once");
	assert_true(has_payload(f, "once"));
	run_to_end(f, "kept");
	run_to_end(f, "last");
	for (int i = 0; i < 2000 && (has_payload(f, "once") || has_payload(f, "kept")); i++)
		usleep(1000);
	assert_false(has_payload(f, "once"));
	assert_false(has_payload(f, "kept"));
	assert_true(has_payload(f, "last"));
	run_to_end(f, "once");
	assert_string_equal(fake.run, "once");
	assert_true(has_payload(f, "once"));
}

/* ---- A journal that isn't whole ---- */

static const struct store_ops *honest;
static uint64_t bad_sequence;

struct tamper {
	int (*visit)(void *ctx, const struct batch *batch);
	void *ctx;
};

static int visit_tampered(void *ctx, const struct batch *batch)
{
	struct tamper *t = ctx;
	struct batch copy = *batch;
	uint8_t *bytes = mem_new(1, batch->len);
	int code;

	memcpy(bytes, batch->events, batch->len);
	copy.events = bytes;
	if (batch->sequence == bad_sequence)
		bytes[batch->len / 2] ^= 1;
	code = t->visit(t->ctx, &copy);
	free(bytes);
	return code;
}

static int read_tampered(struct store *store, uint64_t from, int (*visit)(void *ctx, const struct batch *batch), void *ctx,
                         struct err *err)
{
	struct tamper t = {visit, ctx};

	return honest->read(store, from, visit_tampered, &t, err);
}

static void test_tampered(void **state)
{
	struct fixture *f = *state;
	struct store_ops ops = *f->store->ops;

	submit_job(f, 1, "x");
	f->host = host_close(f->host);
	honest = f->store->ops;
	ops.read = read_tampered;
	f->store->ops = &ops;
	for (bad_sequence = 1; bad_sequence <= 3; bad_sequence++) {
		assert_int_equal(try_open_host(f), ERR_CORRUPT);
		assert_null(f->host);
	}
	f->store->ops = honest;
	open_host(f);
}

/* ---- Events ---- */

struct seen {
	uint64_t next;
	unsigned batches;
	struct hash chain;
};

static int see(void *ctx, const struct batch *batch)
{
	struct seen *seen = ctx;

	if (seen->next)
		assert_int_equal(batch->sequence, seen->next);
	seen->next = batch->sequence + batch->n_events;
	seen->batches++;
	seen->chain = journal_hash(&seen->chain, batch->sequence, batch->n_events, batch->at_us, batch->events, batch->len);
	assert_memory_equal(&seen->chain, &batch->hash, sizeof seen->chain);
	return 0;
}

/* From memory and from the store alike, without a gap. */
static void test_events(void **state)
{
	struct fixture *f = *state;
	struct seen all = {0}, again = {0};

	for (int i = 0; i < 50; i++)
		submit_job(f, 1, "x");
	assert_int_equal(f->service->ops->events(f->service, 1, see, &all, &f->err), 0);
	assert_true(all.next > 50);
	f->host = host_close(f->host);
	open_host(f); /* nothing in memory now */
	submit_job(f, 1, "x");
	assert_int_equal(f->service->ops->events(f->service, 1, see, &again, &f->err), 0);
	assert_true(again.next > all.next);
}

static void *submit_many(void *arg)
{
	struct fixture *f = arg;

	for (int i = 0; i < 50; i++)
		submit_job(f, 4, "x");
	return NULL;
}

static void test_many_threads(void **state)
{
	struct fixture *f = *state;
	struct service_stats stats;
	pthread_t threads[8];
	const struct core *core;

	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, submit_many, f), 0);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	core = f->service->ops->read_begin(f->service, true);
	core_check(core);
	assert_non_null(core_job(core, 400));
	assert_null(core_job(core, 401));
	f->service->ops->read_end(f->service);
	f->service->ops->stats(f->service, &stats);
	assert_true(stats.commits < 400); /* many to one commit */
}

/* ---- More due than is decided into one batch ---- */

enum { MANY = 3 * DECISIONS_MAX };

struct placings {
	uint32_t all, most; /* most: in one batch */
	bool behind;        /* the journal says that there was a backlog */
};

static int count_placings(void *ctx, const struct batch *batch)
{
	struct reader r = reader_of(batch->events, batch->len);
	struct placings *p = ctx;
	struct arena arena = {0};
	struct event e;
	uint32_t n = 0;

	for (us_t previous = 0; r.at != r.end; previous = e.at_us) {
		assert_int_equal(event_decode(&r, previous, &arena, &e), 0);
		n += e.type == EVENT_PLACED;
		p->behind |= e.type == EVENT_BACKLOG;
	}
	arena_done(&arena);
	p->all += n;
	p->most = n > p->most ? n : p->most;
	return 0;
}

static uint32_t count_active(struct fixture *f)
{
	const struct core *core = f->service->ops->read_begin(f->service, false);
	uint32_t n = core_jobs_in_state(core, JOB_ACTIVE);

	f->service->ops->read_end(f->service);
	return n;
}

/* An array that could all start at once is taken, and then starts bit by bit: no commit has more of it than a batch may hold; a
 * restart in the middle goes on by itself. */
static void test_backlog(void **state)
{
	struct fixture *f = *state;
	struct range all = {0, MANY - 1, 1};
	struct placings placings = {0};
	struct waited w;

	submit_fill(&w, 1, "x", NULL, NULL);
	w.request = (struct request_spec){.speed_milli = 1000};
	w.spec.array = &all;
	w.spec.n_array = 1;
	waited_begin(f, &w);
	waited_end(&w);
	assert_int_equal(w.item.code, 0);
	f->host = host_close(f->host);
	open_host(f);
	for (int i = 0; i < 60000 && count_active(f) < MANY + 1; i++) /* and the array itself */
		usleep(1000);
	assert_int_equal(count_active(f), MANY + 1);
	assert_int_equal(f->store->ops->read(f->store, 1, count_placings, &placings, &f->err), 0);
	assert_int_equal(placings.all, MANY);
	assert_true(placings.most <= DECISIONS_MAX);
	assert_true(placings.behind);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_run),     TEST(test_run_at_once), TEST(test_cancel),    TEST(test_refused),      TEST(test_key),
		TEST(test_secrets), TEST(test_full),        TEST(test_full_stop), TEST(test_restart),      TEST(test_hold_again),
		TEST(test_erase),   TEST(test_tampered),    TEST(test_events),    TEST(test_many_threads), TEST(test_backlog),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
