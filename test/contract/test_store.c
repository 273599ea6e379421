/* SPDX-License-Identifier: Apache-2.0
 * test_store.c: what every store must do (port/store.h), run on each of them; and what only SQLite's does. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/journal.h"
#include "store/stores.h"

struct fixture {
	char dir[64];
	struct store *store;
	struct batch last; /* the tail of what was appended */
	struct err err;
};

static const char *tested; /* "memory:", or NULL for SQLite in the fixture's folder */

#define assert_ok(f, call) \
	do { \
		int code_ = (call); \
		if (code_ < 0) \
			print_error("%s: %s: %s\n", #call, (f)->err.subject, (f)->err.text); \
		assert_int_equal(code_, 0); \
	} while (0)

static void open_store(struct fixture *f)
{
	assert_ok(f, store_open(tested ? tested : f->dir, &f->store, &f->err));
}

static void close_store(struct fixture *f)
{
	f->store = f->store ? f->store->ops->close(f->store) : NULL;
}

static void reopen_store(struct fixture *f)
{
	close_store(f);
	open_store(f);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	strcpy(f->dir, "/tmp/suan-store-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	open_store(f);
	*state = f;
	return 0;
}

static void remove_file(const struct fixture *f, const char *name)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", f->dir, name);
	unlink(path);
}

static int tear_down(void **state)
{
	static const char *const names[] = {"journal.db", "journal.db-wal", "journal.db-shm", "lock"};
	struct fixture *f = *state;

	char name[40];

	close_store(f);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		remove_file(f, names[i]);
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof name, "snapshot-%020d", i);
		remove_file(f, name);
	}
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

/* The batch that follows the fixture's last: n events, in all these bytes. */
static struct batch next_batch(const struct fixture *f, uint32_t n, const void *events, size_t len)
{
	struct batch batch = {.n_events = n, .events = events, .len = len};

	batch.sequence = f->last.sequence ? f->last.sequence + f->last.n_events : 1;
	batch.at_us = f->last.at_us + 1000;
	batch.hash = journal_hash(&f->last.hash, batch.sequence, n, batch.at_us, events, len);
	return batch;
}

static int append_with(struct fixture *f, const struct batch *batch, const struct blob *blobs, uint32_t n_blobs)
{
	int code = f->store->ops->append(f->store, batch, blobs, n_blobs, &f->err);

	if (code == 0)
		f->last = *batch;
	return code;
}

static void append(struct fixture *f, uint32_t n, const char *text)
{
	struct batch batch = next_batch(f, n, text, strlen(text));

	assert_ok(f, append_with(f, &batch, NULL, 0));
}

/* What reading yielded, as text: "1+2:abc 3+1:d " (sequence, events, bytes). */
struct reading {
	char text[4096];
	size_t len;
	uint32_t n, stop_after;
};

static int note(void *ctx, const struct batch *batch)
{
	struct reading *r = ctx;

	r->len += (size_t)snprintf(r->text + r->len, sizeof r->text - r->len, "%lu+%u:%.*s ", (unsigned long)batch->sequence,
	                           batch->n_events, (int)batch->len, (const char *)batch->events);
	r->n++;
	return r->n == r->stop_after ? 77 : 0;
}

static void assert_reads(struct fixture *f, uint64_t from, const char *expected)
{
	struct reading r = {0};

	assert_ok(f, f->store->ops->read(f->store, from, note, &r, &f->err));
	assert_string_equal(r.text, expected);
}

static struct blob blob_of(const char *text)
{
	return (struct blob){.hash = hash_of(text, strlen(text)), .bytes = text, .len = strlen(text)};
}

static void assert_payload(struct fixture *f, const char *text)
{
	struct blob blob = blob_of(text);
	struct buf buf = {0};

	buf_put(&buf, "kept: ", 6);
	assert_ok(f, f->store->ops->payload(f->store, &blob.hash, &buf, &f->err));
	assert_int_equal(buf.len, 6 + blob.len); /* appended behind what was there */
	assert_memory_equal(buf.data + 6, text, blob.len);
	buf_done(&buf);
}

static void assert_no_payload(struct fixture *f, const char *text)
{
	struct blob blob = blob_of(text);
	struct buf buf = {0};

	assert_int_equal(f->store->ops->payload(f->store, &blob.hash, &buf, &f->err), ERR_NOT_FOUND);
	assert_int_equal(buf.len, 0);
}

/* ---- The contract ---- */

static void an_empty_store_has_no_last(void **state)
{
	struct fixture *f = *state;
	struct batch last = {.sequence = 9, .n_events = 9};

	assert_ok(f, f->store->ops->last(f->store, &last, &f->err));
	assert_int_equal(last.sequence, 0);
	assert_int_equal(last.n_events, 0);
	assert_reads(f, 0, "");
	assert_reads(f, 1, "");
	assert_ok(f, journal_verify(f->store, &last, &f->err));
	assert_int_equal(last.sequence, 0);
}

static void what_is_appended_is_read_in_order(void **state)
{
	struct fixture *f = *state;

	append(f, 2, "ab");
	append(f, 1, "c");
	append(f, 3, "def");
	assert_reads(f, 0, "1+2:ab 3+1:c 4+3:def ");
}

static void reading_begins_with_the_batch_that_holds_the_event(void **state)
{
	static const struct {
		uint64_t from;
		const char *expected;
	} cases[] = {
		{0, "1+2:ab 3+1:c 4+3:def "},
		{1, "1+2:ab 3+1:c 4+3:def "},
		{2, "1+2:ab 3+1:c 4+3:def "},
		{3, "3+1:c 4+3:def "},
		{4, "4+3:def "},
		{6, "4+3:def "},
		{7, ""},
		{UINT64_MAX, ""},
	};
	struct fixture *f = *state;

	append(f, 2, "ab");
	append(f, 1, "c");
	append(f, 3, "def");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_reads(f, cases[i].from, cases[i].expected);
}

static void reading_stops_where_the_visitor_says(void **state)
{
	struct fixture *f = *state;
	struct reading r = {.stop_after = 2};

	append(f, 1, "a");
	append(f, 1, "b");
	append(f, 1, "c");
	assert_int_equal(f->store->ops->read(f->store, 0, note, &r, &f->err), 77);
	assert_string_equal(r.text, "1+1:a 2+1:b ");
	assert_reads(f, 0, "1+1:a 2+1:b 3+1:c "); /* and nothing of it stays behind */
}

static void last_is_the_tail_with_its_hash_and_time(void **state)
{
	struct fixture *f = *state;
	struct batch last;

	append(f, 2, "ab");
	append(f, 5, "cdefg");
	assert_ok(f, f->store->ops->last(f->store, &last, &f->err));
	assert_int_equal(last.sequence, 3);
	assert_int_equal(last.n_events, 5);
	assert_int_equal(last.at_us, f->last.at_us);
	assert_memory_equal(&last.hash, &f->last.hash, sizeof last.hash);
	assert_null(last.events);
	assert_int_equal(last.len, 0);
}

static void a_batch_that_does_not_follow_is_a_conflict(void **state)
{
	static const uint64_t sequences[] = {0, 1, 2, 4, 5, UINT64_MAX};
	struct fixture *f = *state;
	struct blob blob = blob_of("of a batch that was refused");

	append(f, 2, "ab");
	for (size_t i = 0; i < sizeof sequences / sizeof *sequences; i++) {
		struct batch batch = next_batch(f, 1, "x", 1);

		batch.sequence = sequences[i];
		assert_int_equal(append_with(f, &batch, &blob, 1), ERR_CONFLICT);
	}
	assert_reads(f, 0, "1+2:ab ");
	assert_no_payload(f, "of a batch that was refused");
	append(f, 1, "c");
	assert_reads(f, 0, "1+2:ab 3+1:c ");
}

static void the_first_batch_begins_with_event_one(void **state)
{
	struct fixture *f = *state;
	struct batch batch = next_batch(f, 1, "a", 1);

	batch.sequence = 2;
	assert_int_equal(append_with(f, &batch, NULL, 0), ERR_CONFLICT);
	assert_reads(f, 0, "");
}

static void any_byte_may_be_in_a_batch(void **state)
{
	struct fixture *f = *state;
	unsigned char bytes[256], *large;
	struct batch batch, last;

	for (int i = 0; i < 256; i++)
		bytes[i] = (unsigned char)i;
	batch = next_batch(f, 1, bytes, sizeof bytes);
	assert_ok(f, append_with(f, &batch, NULL, 0));
	large = malloc(3 << 20);
	assert_non_null(large);
	memset(large, 0xa5, 3 << 20);
	batch = next_batch(f, UINT32_MAX, large, 3 << 20);
	assert_ok(f, append_with(f, &batch, NULL, 0));
	assert_ok(f, journal_verify(f->store, &last, &f->err)); /* the hash speaks for each byte */
	assert_int_equal(last.sequence, 2);
	assert_int_equal(last.n_events, UINT32_MAX);
	free(large);
}

static void payloads_come_with_their_batch(void **state)
{
	struct fixture *f = *state;
	struct blob blobs[] = {blob_of("first"), blob_of("second"), blob_of("")};
	struct batch batch = next_batch(f, 1, "a", 1);

	assert_no_payload(f, "first");
	assert_ok(f, append_with(f, &batch, blobs, 3));
	assert_payload(f, "first");
	assert_payload(f, "second");
	assert_payload(f, "");
	assert_no_payload(f, "third");
}

static void the_same_payload_may_come_again(void **state)
{
	struct fixture *f = *state;
	struct blob twice[] = {blob_of("same"), blob_of("same")};
	struct batch batch = next_batch(f, 1, "a", 1);

	assert_ok(f, append_with(f, &batch, twice, 2));
	batch = next_batch(f, 1, "b", 1);
	assert_ok(f, append_with(f, &batch, twice, 1));
	assert_payload(f, "same");
	assert_ok(f, f->store->ops->erase(f->store, &twice[0].hash, &f->err));
	assert_no_payload(f, "same"); /* there was only one */
}

static void an_erased_payload_is_gone_and_may_come_back(void **state)
{
	struct fixture *f = *state;
	struct blob blobs[] = {blob_of("erased"), blob_of("stays")};
	struct batch batch = next_batch(f, 1, "a", 1);

	assert_ok(f, append_with(f, &batch, blobs, 2));
	assert_ok(f, f->store->ops->erase(f->store, &blobs[0].hash, &f->err));
	assert_no_payload(f, "erased");
	assert_payload(f, "stays");
	assert_ok(f, f->store->ops->erase(f->store, &blobs[0].hash, &f->err)); /* not there: no error */
	assert_reads(f, 0, "1+1:a ");
	batch = next_batch(f, 1, "b", 1);
	assert_ok(f, append_with(f, &batch, blobs, 1));
	assert_payload(f, "erased");
}

static void a_full_store_takes_the_same_batch_later(void **state)
{
	struct fixture *f = *state;
	size_t len = 1 << 20;
	char *large = malloc(len);
	struct blob blob = {.bytes = large, .len = len}, small = blob_of("small");
	struct batch batch, again;
	struct batch last;

	assert_non_null(large);
	memset(large, 'x', len);
	blob.hash = hash_of(large, len);
	append(f, 1, "a");
	assert_ok(f, store_limit(f->store, 256 << 10, &f->err));

	/* By its payload, and by itself. */
	batch = next_batch(f, 1, "b", 1);
	for (int i = 0; i < 3; i++) {
		struct blob both[] = {small, blob};

		assert_int_equal(append_with(f, &batch, both, 2), ERR_FULL);
		assert_true(f->err.text[0]);
	}
	again = next_batch(f, 1, large, len);
	assert_int_equal(append_with(f, &again, NULL, 0), ERR_FULL);
	assert_reads(f, 0, "1+1:a ");
	assert_no_payload(f, "small");
	assert_ok(f, f->store->ops->last(f->store, &last, &f->err));
	assert_int_equal(last.sequence, 1);

	assert_ok(f, store_limit(f->store, 0, &f->err));
	assert_ok(f, append_with(f, &batch, &blob, 1));
	assert_reads(f, 0, "1+1:a 2+1:b ");
	assert_ok(f, journal_verify(f->store, NULL, &f->err));
	free(large);
}

/* A reader beside the appending thread sees whole batches, in order, and never fewer than before. */
struct race {
	struct fixture *f;
	atomic_bool over;
	uint64_t seen_max;
	int failures;
	atomic_int rounds;
};

struct race_walk {
	uint64_t next;
	bool bad;
};

static int check_follows(void *ctx, const struct batch *batch)
{
	struct race_walk *walk = ctx;
	uint64_t stated;

	memcpy(&stated, batch->events, sizeof stated);
	if (batch->sequence != walk->next || stated != batch->sequence || batch->len != 8 + stated % 700)
		walk->bad = true;
	walk->next = batch->sequence + batch->n_events;
	return 0;
}

static void *read_often(void *ctx)
{
	struct race *race = ctx;
	struct blob blob = blob_of("shared");
	struct err err;

	while (!atomic_load(&race->over)) {
		struct race_walk walk = {.next = 1};
		struct buf buf = {0};

		if (race->f->store->ops->read(race->f->store, 0, check_follows, &walk, &err) < 0 || walk.bad ||
		    walk.next < race->seen_max)
			race->failures++;
		if (race->f->store->ops->payload(race->f->store, &blob.hash, &buf, &err) < 0 || buf.len != 6)
			race->failures++;
		race->seen_max = walk.next;
		atomic_fetch_add(&race->rounds, 1);
		buf_done(&buf);
	}
	return NULL;
}

static bool each_has_read(struct race *races, int n)
{
	for (int i = 0; i < n; i++)
		if (atomic_load(&races[i].rounds) < 5)
			return false;
	return true;
}

static void reads_may_come_from_other_threads(void **state)
{
	struct fixture *f = *state;
	struct race races[3] = {{.f = f}, {.f = f}, {.f = f}};
	pthread_t threads[3];
	unsigned char bytes[8 + 700] = {0};
	struct blob shared = blob_of("shared");
	uint64_t sequence = 1;

	for (int i = 0; i < 20; i++, sequence++) { /* enough to read from the start */
		struct batch batch;

		memcpy(bytes, &sequence, sizeof sequence);
		batch = next_batch(f, 1, bytes, 8 + sequence % 700);
		assert_ok(f, append_with(f, &batch, &shared, 1));
	}
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_often, &races[i]), 0);
	while (sequence < 300 || !each_has_read(races, 3)) { /* until every reader has read beside it */
		struct batch batch;

		memcpy(bytes, &sequence, sizeof sequence);
		batch = next_batch(f, 1, bytes, 8 + sequence % 700);
		assert_ok(f, append_with(f, &batch, &shared, 1));
		sequence++;
	}
	for (int i = 0; i < 3; i++) {
		atomic_store(&races[i].over, true);
		pthread_join(threads[i], NULL);
		assert_int_equal(races[i].failures, 0);
	}
}

/* Within a visit, the same store answers other reads. */
static int read_within(void *ctx, const struct batch *batch)
{
	struct fixture *f = ctx;
	struct reading r = {0};

	if (f->store->ops->read(f->store, batch->sequence, note, &r, &f->err) < 0 || !r.n)
		return 1;
	assert_payload(f, "inner");
	return 0;
}

static void a_visitor_may_read(void **state)
{
	struct fixture *f = *state;
	struct blob blob = blob_of("inner");
	struct batch batch = next_batch(f, 1, "a", 1);

	assert_ok(f, append_with(f, &batch, &blob, 1));
	append(f, 1, "b");
	assert_ok(f, f->store->ops->read(f->store, 0, read_within, f, &f->err));
}

static void a_broken_chain_is_found(void **state)
{
	struct fixture *f = *state;
	struct batch batch, last;

	append(f, 2, "ab");
	append(f, 1, "c");
	batch = next_batch(f, 2, "de", 2);
	batch.hash.bytes[31] ^= 1;
	assert_ok(f, append_with(f, &batch, NULL, 0)); /* a store checks no hash: journal_verify does */
	append(f, 1, "f");
	assert_int_equal(journal_verify(f->store, &last, &f->err), ERR_CORRUPT);
	assert_non_null(strstr(f->err.text, "events 4 to 5"));
	assert_non_null(strstr(f->err.text, "last good event is 3"));
	assert_int_equal(last.sequence, 3);
	assert_int_equal(last.n_events, 1);
}

static void time_that_goes_back_is_found(void **state)
{
	struct fixture *f = *state;
	struct batch batch;

	append(f, 1, "a");
	batch = next_batch(f, 1, "b", 1);
	batch.at_us = f->last.at_us - 1;
	batch.hash = journal_hash(&f->last.hash, batch.sequence, 1, batch.at_us, "b", 1);
	assert_ok(f, append_with(f, &batch, NULL, 0));
	assert_int_equal(journal_verify(f->store, NULL, &f->err), ERR_CORRUPT);
	assert_non_null(strstr(f->err.text, "time goes back"));
}

/* ---- Payloads, snapshots, the history ---- */

static int count_payload(void *ctx, const struct hash *hash)
{
	struct blob first = blob_of("first"), second = blob_of("second");
	unsigned *seen = ctx;

	*seen += !memcmp(hash, &first.hash, sizeof *hash) ? 1 : !memcmp(hash, &second.hash, sizeof *hash) ? 10 : 100;
	return *seen >= 1000 ? 77 : 0;
}

static void payloads_are_listed(void **state)
{
	struct fixture *f = *state;
	struct blob blobs[] = {blob_of("first"), blob_of("second"), blob_of("third")};
	struct batch batch = next_batch(f, 1, "a", 1);
	unsigned seen = 0;

	assert_ok(f, f->store->ops->payloads(f->store, count_payload, &seen, &f->err));
	assert_int_equal(seen, 0);
	assert_ok(f, append_with(f, &batch, blobs, 3));
	assert_ok(f, f->store->ops->erase(f->store, &blobs[2].hash, &f->err));
	assert_ok(f, f->store->ops->payloads(f->store, count_payload, &seen, &f->err));
	assert_int_equal(seen, 11);
	seen = 999;
	assert_int_equal(f->store->ops->payloads(f->store, count_payload, &seen, &f->err), 77);
}

/* Two hashes that begin alike, as somebody may find them: each keeps its own bytes. */
static void hashes_that_begin_alike_are_told_apart(void **state)
{
	struct fixture *f = *state;
	struct blob blobs[40];
	struct batch batch = next_batch(f, 1, "a", 1);
	struct buf buf = {0};
	char texts[40][8];

	for (uint32_t i = 0; i < 40; i++) {
		snprintf(texts[i], sizeof texts[i], "p%u", i);
		blobs[i] = blob_of(texts[i]);
		memcpy(blobs[i].hash.bytes, blobs[i % 3].hash.bytes, 16);
	}
	assert_ok(f, append_with(f, &batch, blobs, 40));
	for (uint32_t i = 0; i < 40; i += 2)
		assert_ok(f, f->store->ops->erase(f->store, &blobs[i].hash, &f->err));
	for (unsigned round = 0; round < (tested ? 1 : 2); round++) { /* of memory nothing is left after its close */
		for (uint32_t i = 0; i < 40; i++) {
			int code = f->store->ops->payload(f->store, &blobs[i].hash, &buf, &f->err);

			assert_int_equal(code, i % 2 ? 0 : ERR_NOT_FOUND);
			if (code == 0)
				assert_memory_equal(buf.data, texts[i], buf.len);
			buf.len = 0;
		}
		reopen_store(f);
	}
	buf_done(&buf);
}

/* Many, of which some are erased: the table that finds them moves them about. */
static void many_payloads_are_found(void **state)
{
	enum { MANY = 3000 };

	struct fixture *f = *state;
	struct batch batch;
	uint32_t n = 0;

	for (uint32_t i = 0; i < MANY; i++) {
		char text[16];
		struct blob blob;

		snprintf(text, sizeof text, "payload %u", i);
		blob = blob_of(text);
		batch = next_batch(f, 1, text, strlen(text));
		assert_ok(f, append_with(f, &batch, &blob, 1));
		if (i % 10 != 5)
			continue;
		snprintf(text, sizeof text, "payload %u", i - i % 3);
		blob = blob_of(text);
		assert_ok(f, f->store->ops->erase(f->store, &blob.hash, &f->err));
	}
	for (uint32_t i = 0; i < MANY; i++) {
		char text[16];
		struct blob blob;
		struct buf buf = {0};

		snprintf(text, sizeof text, "payload %u", i);
		blob = blob_of(text);
		n += f->store->ops->payload(f->store, &blob.hash, &buf, &f->err) == 0;
		buf_done(&buf);
	}
	assert_int_equal(n, MANY - MANY / 10);
}

static int put_snapshot(struct fixture *f, uint64_t sequence, const char *text)
{
	struct snapshot snapshot = {.sequence = sequence, .at_us = 1000 + (us_t)sequence, .bytes = text, .len = strlen(text)};

	snapshot.digest = hash_of(text, strlen(text));
	snapshot.chain = hash_of(&sequence, sizeof sequence);
	return f->store->ops->snapshot_put(f->store, &snapshot, &f->err);
}

static void assert_snapshot(struct fixture *f, uint32_t nth, uint64_t sequence, const char *text)
{
	struct hash chain = hash_of(&sequence, sizeof sequence), digest = hash_of(text, strlen(text));
	struct snapshot got;
	struct buf bytes = {0};

	buf_put(&bytes, "kept: ", 6);
	assert_ok(f, f->store->ops->snapshot(f->store, nth, &got, &bytes, &f->err));
	assert_int_equal(got.sequence, sequence);
	assert_int_equal(got.at_us, 1000 + sequence);
	assert_int_equal(got.len, strlen(text));
	assert_memory_equal(&got.chain, &chain, sizeof chain);
	assert_memory_equal(&got.digest, &digest, sizeof digest);
	assert_null(got.bytes);
	assert_int_equal(bytes.len, 6 + strlen(text));
	assert_memory_equal(bytes.data + 6, text, strlen(text));
	buf_done(&bytes);
}

static void assert_no_snapshot(struct fixture *f, uint32_t nth, int code)
{
	struct snapshot got;
	struct buf bytes = {0};

	assert_int_equal(f->store->ops->snapshot(f->store, nth, &got, &bytes, &f->err), code);
	assert_int_equal(bytes.len, 0);
}

static void snapshots_are_kept_by_age(void **state)
{
	struct fixture *f = *state;

	assert_no_snapshot(f, 0, ERR_NOT_FOUND);
	assert_ok(f, put_snapshot(f, 9, "nine"));
	assert_snapshot(f, 0, 9, "nine");
	assert_no_snapshot(f, 1, ERR_NOT_FOUND);
	assert_ok(f, put_snapshot(f, 10, ""));
	assert_snapshot(f, 0, 10, "");
	assert_snapshot(f, 1, 9, "nine");
	assert_ok(f, put_snapshot(f, 19, "later"));
	assert_snapshot(f, 0, 19, "later");
	assert_snapshot(f, 1, 10, "");
	assert_no_snapshot(f, 2, ERR_NOT_FOUND);
}

static void a_snapshot_of_another_journal_goes(void **state)
{
	struct fixture *f = *state;

	assert_ok(f, put_snapshot(f, 5, "five"));
	assert_ok(f, put_snapshot(f, 9, "nine"));
	assert_ok(f, put_snapshot(f, 7, "seven")); /* so there is no event 9 in this journal */
	assert_snapshot(f, 0, 7, "seven");
	assert_snapshot(f, 1, 5, "five");
	assert_no_snapshot(f, 2, ERR_NOT_FOUND);
	assert_ok(f, put_snapshot(f, 7, "again"));
	assert_snapshot(f, 0, 7, "again");
	assert_snapshot(f, 1, 5, "five");
}

static void a_large_snapshot_is_read_as_it_was(void **state)
{
	struct fixture *f = *state;
	size_t len = (3 << 20) + 7; /* of several pieces */
	char *text = malloc(len + 1);

	for (size_t i = 0; i < len; i++)
		text[i] = (char)('a' + i * 7919 % 26);
	text[len] = 0;
	assert_ok(f, put_snapshot(f, 3, text));
	assert_snapshot(f, 0, 3, text);
	free(text);
}

static void put_past(struct fixture *f, uint32_t id, uint32_t array_of, uint32_t index, enum job_state job_state,
                     const char *project)
{
	struct past_job job = {.id = id,
	                       .array_of = array_of,
	                       .array_index = index,
	                       .attempt = id % 5,
	                       .state = job_state,
	                       .ended_us = id * 100,
	                       .project = project,
	                       .centre = "c",
	                       .record = "{\"x\": 1}"};

	assert_ok(f, f->store->ops->history_put(f->store, &job, 1, &f->err));
}

static int note_past(void *ctx, const struct past_job *job)
{
	struct reading *r = ctx;

	assert_int_equal(job->attempt, job->id % 5);
	assert_int_equal(job->ended_us, job->id * 100);
	assert_string_equal(job->centre, "c");
	assert_string_equal(job->record, "{\"x\": 1}");
	r->len += (size_t)snprintf(r->text + r->len, sizeof r->text - r->len, "%u ", job->id);
	r->n++;
	return r->n == r->stop_after ? 77 : 0;
}

static void assert_past(struct fixture *f, const struct past_query *query, const char *expected)
{
	struct reading r = {0};

	assert_ok(f, f->store->ops->history(f->store, query, note_past, &r, &f->err));
	assert_string_equal(r.text, expected);
}

static void the_history_is_queried(void **state)
{
	static const struct {
		struct past_query query;
		const char *expected;
	} cases[] = {
		{{.before = UINT32_MAX, .state = -1, .limit = 100}, "12 11 9 8 5 4 "},
		{{.before = UINT32_MAX, .state = -1, .limit = 2}, "12 11 "},
		{{.before = 11, .state = -1, .limit = 2}, "9 8 "},
		{{.before = 11, .after = 8, .state = -1, .limit = 100}, "9 "},
		{{.before = 6, .after = 4, .state = -1, .limit = 100}, "5 "},
		{{.before = 8, .after = 5, .state = -1, .limit = 100}, ""},
		{{.before = UINT32_MAX, .state = JOB_FAILED, .limit = 100}, "11 5 "},
		{{.before = 11, .state = JOB_FAILED, .limit = 100}, "5 "},
		{{.before = UINT32_MAX, .state = JOB_QUEUED, .limit = 100}, ""},
		{{.before = UINT32_MAX, .state = -1, .project = "q", .limit = 100}, "12 5 "},
		{{.before = UINT32_MAX, .state = JOB_FAILED, .project = "q", .limit = 100}, "5 "},
		{{.before = UINT32_MAX, .state = -1, .project = "none", .limit = 100}, ""},
		{{.before = UINT32_MAX, .state = -1, .array_of = 4, .array_index = 30, .limit = 1}, "9 "},
		{{.before = UINT32_MAX, .state = JOB_FAILED, .array_of = 4, .array_index = 30, .limit = 1}, ""},
		{{.before = UINT32_MAX, .state = -1, .array_of = 4, .array_index = 31, .limit = 1}, ""},
	};
	struct fixture *f = *state;
	struct reading r = {.stop_after = 2};

	put_past(f, 9, 4, 30, JOB_COMPLETED, "p");
	put_past(f, 4, 0, 0, JOB_COMPLETED, "p");
	put_past(f, 12, 0, 0, JOB_CANCELED, "q");
	put_past(f, 5, 0, 0, JOB_FAILED, "q");
	put_past(f, 8, 4, 20, JOB_COMPLETED, "p");
	put_past(f, 11, 0, 0, JOB_FAILED, "p");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_past(f, &cases[i].query, cases[i].expected);
	assert_int_equal(f->store->ops->history(f->store, &cases[0].query, note_past, &r, &f->err), 77);
	assert_string_equal(r.text, "12 11 ");
}

static int sum_ids(void *ctx, uint32_t job)
{
	uint32_t *sum = ctx;

	*sum += job;
	return *sum >= 1000 ? 77 : 0;
}

static void the_numbers_of_the_history_are_listed(void **state)
{
	struct fixture *f = *state;
	uint32_t sum = 0;

	assert_ok(f, f->store->ops->history_ids(f->store, sum_ids, &sum, &f->err));
	assert_int_equal(sum, 0);
	put_past(f, 9, 4, 30, JOB_COMPLETED, "p");
	put_past(f, 4, 0, 0, JOB_COMPLETED, "p");
	put_past(f, 9, 4, 30, JOB_COMPLETED, "p");
	assert_ok(f, f->store->ops->history_ids(f->store, sum_ids, &sum, &f->err));
	assert_int_equal(sum, 13);
	sum = 999;
	assert_int_equal(f->store->ops->history_ids(f->store, sum_ids, &sum, &f->err), 77);
}

static void a_job_of_the_history_stays_as_it_was(void **state)
{
	struct fixture *f = *state;
	struct past_job again[] = {
		{.id = 3, .state = JOB_FAILED, .project = "other", .centre = "", .record = "{}"},
		{.id = 5, .attempt = 0, .state = JOB_FAILED, .ended_us = 500, .project = "q", .centre = "c", .record = "{\"x\": 1}"}};

	put_past(f, 3, 0, 0, JOB_COMPLETED, "p");
	assert_ok(f, f->store->ops->history_put(f->store, again, 2, &f->err));
	assert_past(f, &(struct past_query){.before = UINT32_MAX, .state = JOB_COMPLETED, .limit = 9}, "3 ");
	assert_past(f, &(struct past_query){.before = UINT32_MAX, .state = JOB_FAILED, .limit = 9}, "5 ");
	append(f, 1, "a"); /* and the journal goes on */
	assert_reads(f, 0, "1+1:a ");
}

static int past_within(void *ctx, const struct past_job *job)
{
	struct fixture *f = ctx;

	(void)job;
	assert_past(f, &(struct past_query){.before = UINT32_MAX, .state = -1, .limit = 1}, "3 ");
	put_past(f, 2, 0, 0, JOB_COMPLETED, "p");
	return 1;
}

static void the_history_may_be_read_while_it_grows(void **state)
{
	struct fixture *f = *state;
	struct past_query all = {.before = UINT32_MAX, .state = -1, .limit = 9};

	put_past(f, 3, 0, 0, JOB_COMPLETED, "p");
	assert_int_equal(f->store->ops->history(f->store, &all, past_within, f, &f->err), 1);
	assert_past(f, &all, "3 2 ");
}

/* ---- Anchors ---- */

static void an_anchor_shows_a_rewritten_chain(void **state)
{
	struct fixture *f = *state;
	struct anchor anchors[2];
	struct journal_walk walk = {.anchors = anchors, .n_anchors = 2};

	append(f, 2, "ab");
	anchors[0] = (struct anchor){.sequence = 2, .hash = f->last.hash};
	append(f, 1, "c");
	append(f, 1, "d");
	anchors[1] = (struct anchor){.sequence = 4, .hash = f->last.hash};
	append(f, 1, "e");
	assert_ok(f, journal_verify_walk(f->store, &walk, &f->err));
	assert_int_equal(walk.sequence, 5);
	assert_int_equal(walk.anchored, 4);
	anchors[1].hash.bytes[7] ^= 1;
	walk = (struct journal_walk){.anchors = anchors, .n_anchors = 2};
	assert_int_equal(journal_verify_walk(f->store, &walk, &f->err), ERR_CORRUPT);
	assert_non_null(strstr(f->err.text, "events 3 to 4 were rewritten"));
	assert_int_equal(walk.good, 2);
	anchors[0].sequence = 1; /* within a commit: there it ended once */
	walk = (struct journal_walk){.anchors = anchors, .n_anchors = 2};
	assert_int_equal(journal_verify_walk(f->store, &walk, &f->err), ERR_CORRUPT);
	assert_non_null(strstr(f->err.text, "events 1 to 1 were rewritten"));
	assert_int_equal(walk.good, 0);
}

static void an_anchor_shows_a_cut_end(void **state)
{
	struct fixture *f = *state;
	struct anchor anchors[2];
	struct journal_walk walk = {.anchors = anchors, .n_anchors = 2};

	append(f, 2, "ab");
	anchors[0] = (struct anchor){.sequence = 2, .hash = f->last.hash};
	anchors[1] = (struct anchor){.sequence = 9, .hash = f->last.hash};
	assert_int_equal(journal_verify_walk(f->store, &walk, &f->err), ERR_CORRUPT);
	assert_non_null(strstr(f->err.text, "events 3 to 9 are missing: the end was cut off"));
	assert_int_equal(walk.good, 2);
}

static void close_accepts_null(void **state)
{
	struct fixture *f = *state;

	assert_null(f->store->ops->close(NULL));
}

/* ---- SQLite's alone: what outlives it ---- */

static void a_reopened_store_has_all(void **state)
{
	struct fixture *f = *state;
	struct blob blob = blob_of("stays");
	struct batch batch = next_batch(f, 2, "ab", 2);

	assert_ok(f, append_with(f, &batch, &blob, 1));
	reopen_store(f);
	assert_reads(f, 0, "1+2:ab ");
	assert_payload(f, "stays");
	assert_int_equal(append_with(f, &batch, NULL, 0), ERR_CONFLICT);
	batch = next_batch(f, 1, "c", 1);
	assert_ok(f, append_with(f, &batch, NULL, 0));
	assert_ok(f, journal_verify(f->store, NULL, &f->err));
}

/* A child appends, says so, and is killed: what it said is there. */
static void what_was_acknowledged_survives_a_kill(void **state)
{
	struct fixture *f = *state;
	int said[2], status;
	uint32_t acknowledged = 0, got;
	struct batch last;
	pid_t child;

	close_store(f);
	assert_int_equal(pipe(said), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		for (open_store(f);;) {
			struct batch batch = next_batch(f, 1, "one event", 9);

			if (append_with(f, &batch, NULL, 0) < 0 || write(said[1], &(uint32_t){(uint32_t)batch.sequence}, 4) != 4)
				_exit(1);
		}
	}
	close(said[1]);
	while (acknowledged < 50 && read(said[0], &got, 4) == 4)
		acknowledged = got;
	kill(child, SIGKILL);
	while (read(said[0], &got, 4) == 4)
		acknowledged = got;
	close(said[0]);
	waitpid(child, &status, 0);
	assert_true(WIFSIGNALED(status));
	assert_true(acknowledged >= 50);
	open_store(f);
	assert_ok(f, journal_verify(f->store, &last, &f->err));
	assert_true(last.sequence >= acknowledged);
}

static void its_files_are_their_owners_alone(void **state)
{
	static const char *const names[] = {"journal.db", "journal.db-wal", "journal.db-shm"};
	struct fixture *f = *state;
	char dir[96], path[128];
	mode_t mask = umask(0);
	struct store *store = NULL;
	struct batch batch = next_batch(f, 1, "a", 1);
	struct stat st;

	snprintf(dir, sizeof dir, "%s/made", f->dir);
	assert_ok(f, store_open(dir, &store, &f->err));
	assert_ok(f, store->ops->append(store, &batch, NULL, 0, &f->err));
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
	}
	store->ops->close(store);
	umask(mask);
	snprintf(path, sizeof path, "%s/journal.db", dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0); /* and a clean close leaves nothing else */
}

static void a_snapshot_outlives_its_store(void **state)
{
	struct fixture *f = *state;
	struct fixture reader = {0};
	struct stat st;
	char path[128];

	assert_ok(f, put_snapshot(f, 4, "four"));
	assert_ok(f, put_snapshot(f, 6, "six"));
	reopen_store(f);
	assert_snapshot(f, 0, 6, "six");
	assert_ok(&reader, store_open_reader(f->dir, &reader.store, &reader.err));
	assert_snapshot(&reader, 1, 4, "four");
	assert_int_equal(put_snapshot(&reader, 8, "eight"), ERR_DENIED);
	assert_int_equal(reader.store->ops->history_put(reader.store, NULL, 0, &reader.err), ERR_DENIED);
	close_store(&reader);
	snprintf(path, sizeof path, "%s/snapshot-%020d", f->dir, 6);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

/* Every byte of its file counts, and so does its length. */
static void a_damaged_snapshot_is_corrupt(void **state)
{
	struct fixture *f = *state;
	char path[128], byte;
	struct stat st;
	int fd;

	assert_ok(f, put_snapshot(f, 4, "four"));
	assert_ok(f, put_snapshot(f, 6, "six"));
	snprintf(path, sizeof path, "%s/snapshot-%020d", f->dir, 6);
	fd = open(path, O_RDWR);
	assert_int_equal(fstat(fd, &st), 0);
	for (off_t at = 0; at < st.st_size; at++) {
		assert_int_equal(pread(fd, &byte, 1, at), 1);
		byte ^= 4;
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		assert_no_snapshot(f, 0, ERR_CORRUPT);
		byte ^= 4;
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	}
	assert_snapshot(f, 0, 6, "six");
	for (off_t len = 0; len < st.st_size; len++) {
		assert_int_equal(ftruncate(fd, st.st_size - 1 - len), 0);
		assert_no_snapshot(f, 0, ERR_CORRUPT);
	}
	close(fd);
	assert_snapshot(f, 1, 4, "four"); /* the one before is still there */
}

/* Runs SQL on the file as another program would. */
static void tamper(struct fixture *f, const char *sql)
{
	char path[128];
	sqlite3 *db;

	close_store(f);
	snprintf(path, sizeof path, "%s/journal.db", f->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void assert_not_opened(struct fixture *f, int code, const char *text)
{
	assert_int_equal(store_open(f->dir, &f->store, &f->err), code);
	assert_null(f->store);
	if (!strstr(f->err.text, text))
		fail_msg("\"%s\" doesn't say \"%s\"", f->err.text, text);
	assert_int_equal(store_open_reader(f->dir, &f->store, &f->err), code);
	assert_null(f->store);
}

static void a_newer_schema_is_refused(void **state)
{
	struct fixture *f = *state;

	append(f, 1, "a");
	tamper(f, "PRAGMA user_version = 4");
	assert_not_opened(f, ERR_UNSUPPORTED, "schema version 4 is newer");
	tamper(f, "PRAGMA user_version = 3");
	open_store(f);
	assert_reads(f, 0, "1+1:a ");
}

/* Payloads as they were kept until version 3. */
#define PAYLOADS_BY_HASH \
	"ALTER TABLE payload RENAME TO p; CREATE TABLE payload(hash BLOB PRIMARY KEY, bytes BLOB NOT NULL);" \
	"INSERT INTO payload SELECT h.hash, p.bytes FROM payload_hash h JOIN p ON p.id = h.id ORDER BY h.hash;" \
	"DROP TABLE p; DROP TABLE payload_hash;"

static void an_older_schema_gets_what_it_lacks(void **state)
{
	struct fixture *f = *state;

	append(f, 1, "a");
	tamper(f, PAYLOADS_BY_HASH "DROP TABLE history; PRAGMA user_version = 1");
	open_store(f);
	assert_reads(f, 0, "1+1:a ");
	assert_past(f, &(struct past_query){.before = UINT32_MAX, .state = -1, .limit = 10}, "");
	put_past(f, 7, 0, 0, JOB_COMPLETED, "p");
	reopen_store(f);
	assert_past(f, &(struct past_query){.before = UINT32_MAX, .state = -1, .limit = 10}, "7 ");
}

static int count_hash(void *ctx, const struct hash *hash)
{
	(void)hash;
	(*(uint32_t *)ctx)++;
	return 0;
}

static void payloads_of_an_older_schema_are_kept(void **state)
{
	struct fixture *f = *state;
	struct fixture reader = {0};
	struct blob blobs[] = {blob_of("one"), blob_of(""), blob_of("three")}, more = blob_of("four");
	struct batch batch = next_batch(f, 3, "a", 1);
	uint32_t n = 0;

	assert_ok(f, append_with(f, &batch, blobs, 3));
	tamper(f, PAYLOADS_BY_HASH "PRAGMA user_version = 2");
	assert_ok(&reader, store_open_reader(f->dir, &reader.store, &reader.err)); /* which changes nothing */
	assert_payload(&reader, "one");
	assert_no_payload(&reader, "four");
	assert_ok(&reader, reader.store->ops->payloads(reader.store, count_hash, &n, &reader.err));
	assert_int_equal(n, 3);
	close_store(&reader);
	open_store(f);
	assert_payload(f, "one");
	assert_payload(f, "");
	assert_ok(f, f->store->ops->erase(f->store, &blobs[2].hash, &f->err));
	batch = next_batch(f, 1, "b", 1);
	assert_ok(f, append_with(f, &batch, &more, 1));
	reopen_store(f);
	assert_payload(f, "one");
	assert_no_payload(f, "three");
	assert_payload(f, "four");
}

static void a_database_of_another_program_is_left_alone(void **state)
{
	struct fixture *f = *state;

	tamper(f, "PRAGMA application_id = 7");
	assert_not_opened(f, ERR_INVALID, "another program");
	tamper(f, "PRAGMA application_id = 0; PRAGMA user_version = 0");
	assert_not_opened(f, ERR_INVALID, "another program");
}

static void a_file_that_is_no_database_is_corrupt(void **state)
{
	struct fixture *f = *state;
	char path[128], junk[8192];
	FILE *file;

	close_store(f);
	snprintf(path, sizeof path, "%s/journal.db", f->dir);
	file = fopen(path, "w");
	assert_non_null(file);
	memset(junk, 'j', sizeof junk);
	assert_int_equal(fwrite(junk, 1, sizeof junk, file), sizeof junk);
	fclose(file);
	assert_not_opened(f, ERR_CORRUPT, "");
}

static void a_dropped_or_damaged_row_is_found(void **state)
{
	static const struct {
		const char *sql, *text;
	} cases[] = {
		{"DELETE FROM batch WHERE sequence = 2", "events 3 to 3: events before these are missing; the last good event is 1"},
		{"UPDATE batch SET events = x'7a' WHERE sequence = 2", "events 2 to 2: the hash"},
		{"UPDATE batch SET n_events = 2 WHERE sequence = 2", "events 2 to 3: the hash"},
		{"UPDATE batch SET at_us = at_us + 1 WHERE sequence = 2", "events 2 to 2: the hash"},
		{"UPDATE batch SET hash = zeroblob(32) WHERE sequence = 3", "events 3 to 3: the hash"},
		{"UPDATE batch SET hash = x'00' WHERE sequence = 2", "the row of event 2 isn't a batch"},
		{"UPDATE batch SET n_events = -1 WHERE sequence = 2", "the row of event 2 isn't a batch"},
		{"UPDATE batch SET n_events = 'many', at_us = -5 WHERE sequence = 3", "the row of event 3 isn't a batch"},
		{"UPDATE batch SET events = NULL WHERE 0; UPDATE batch SET events = '' WHERE sequence = 1", "events 1 to 1: the hash"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct fixture *f = *state;

		append(f, 1, "a");
		append(f, 1, "b");
		append(f, 1, "c");
		append(f, 1, "d");
		tamper(f, cases[i].sql);
		assert_ok(f, store_open_reader(f->dir, &f->store, &f->err));
		assert_int_equal(journal_verify(f->store, NULL, &f->err), ERR_CORRUPT);
		if (!strstr(f->err.text, cases[i].text))
			fail_msg("after %s: \"%s\" doesn't say \"%s\"", cases[i].sql, f->err.text, cases[i].text);
		tear_down(state);
		set_up(state);
	}
}

static void a_reader_looks_beside_the_owner_and_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct fixture reader = {0};
	struct blob blob = blob_of("p");
	struct batch batch = next_batch(f, 1, "a", 1);

	assert_ok(f, append_with(f, &batch, &blob, 1));
	assert_ok(&reader, store_open_reader(f->dir, &reader.store, &reader.err));
	assert_reads(&reader, 0, "1+1:a ");
	assert_payload(&reader, "p");
	append(f, 1, "b");
	assert_reads(&reader, 0, "1+1:a 2+1:b ");
	batch = next_batch(f, 1, "c", 1);
	assert_int_equal(append_with(&reader, &batch, NULL, 0), ERR_DENIED);
	assert_int_equal(reader.store->ops->erase(reader.store, &blob.hash, &reader.err), ERR_DENIED);
	assert_int_equal(store_limit(reader.store, 0, &reader.err), ERR_DENIED);
	assert_payload(&reader, "p");
	append(f, 1, "c");
	close_store(&reader);
	assert_reads(f, 0, "1+1:a 2+1:b 3+1:c ");
}

static void a_reader_makes_nothing(void **state)
{
	struct fixture *f = *state;
	char dir[96];
	struct store *store = NULL;

	snprintf(dir, sizeof dir, "%s/nowhere", f->dir);
	assert_int_equal(store_open_reader(dir, &store, &f->err), ERR_NOT_FOUND);
	assert_int_equal(access(dir, F_OK), -1);
	assert_null(store);
}

static bool file_holds(const char *path, const char *what)
{
	FILE *file = fopen(path, "r");
	size_t size = 4 << 20, len;
	char *bytes = malloc(size);
	bool holds;

	assert_non_null(bytes);
	len = file ? fread(bytes, 1, size, file) : 0;
	assert_true(len < size);
	holds = memmem(bytes, len, what, strlen(what)) != NULL;
	free(bytes);
	if (file)
		fclose(file);
	return holds;
}

/* Erased for good: the bytes are in none of its files any more. */
static void erased_bytes_are_nowhere_on_disk(void **state)
{
	static const char canary[] = "canary-7f3a-in-a-payload";
	static const char *const names[] = {"journal.db", "journal.db-wal"};
	struct fixture *f = *state;
	size_t len = 64 << 10;
	char *text = malloc(len + 1), path[128];
	struct blob blob;
	struct batch batch = next_batch(f, 1, "a", 1);

	for (size_t i = 0; i < len; i++)
		text[i] = canary[i % (sizeof canary - 1)];
	text[len] = 0;
	blob = blob_of(text);
	assert_ok(f, append_with(f, &batch, &blob, 1));
	assert_payload(f, text);
	snprintf(path, sizeof path, "%s/journal.db-wal", f->dir);
	assert_true(file_holds(path, "canary-7f3a")); /* so that its absence says something */
	assert_ok(f, f->store->ops->erase(f->store, &blob.hash, &f->err));
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/%s", f->dir, names[i]);
		if (file_holds(path, "canary-7f3a"))
			fail_msg("%s still has it", names[i]);
	}
	free(text);
}

static int erase_within(void *ctx, const struct batch *batch)
{
	struct fixture *f = ctx;
	struct blob blob = blob_of("p");

	(void)batch;
	return f->store->ops->erase(f->store, &blob.hash, &f->err);
}

/* Nobody reads it from then on; but the old pages can't leave the log while a reader may look at them. */
static void an_erasure_beside_a_reader_is_to_be_repeated(void **state)
{
	struct fixture *f = *state;
	struct blob blob = blob_of("p");
	struct batch batch = next_batch(f, 1, "a", 1);

	assert_ok(f, append_with(f, &batch, &blob, 1));
	append(f, 1, "b");
	assert_int_equal(f->store->ops->read(f->store, 0, erase_within, f, &f->err), ERR_BUSY);
	assert_no_payload(f, "p");
	append(f, 1, "c");
	assert_ok(f, f->store->ops->erase(f->store, &blob.hash, &f->err));
	assert_reads(f, 0, "1+1:a 2+1:b 3+1:c ");
}

static void a_state_directory_has_one_owner(void **state)
{
	struct fixture *f = *state;
	char expected[64];
	int fd = -1, other = -1;

	assert_ok(f, state_lock(f->dir, &fd, &f->err));
	assert_int_equal(state_lock(f->dir, &other, &f->err), ERR_CONFLICT);
	snprintf(expected, sizeof expected, "process %ld", (long)getpid());
	assert_non_null(strstr(f->err.text, expected));
	assert_int_equal(other, -1);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	assert_ok(f, state_lock(f->dir, &other, &f->err));
	close(other);
}

/* ---- Which store ---- */

static void a_url_that_is_no_store_is_refused(void **state)
{
	static const struct {
		const char *url;
		int code;
		const char *text;
	} cases[] = {
		{"postgresql://me:hunter2@db/suan", ERR_INVALID, "password"},
		{"postgresql://db/suan", ERR_UNSUPPORTED, "PostgreSQL"},
		{"mysql://db/suan", ERR_INVALID, "unknown"},
		{"bogus:", ERR_INVALID, "unknown"},
		{"mem:x", ERR_INVALID, "unknown"},
		{"memory:x", ERR_INVALID, "unknown"},
		{"me:hunter2@db", ERR_INVALID, "unknown"},
		{"", ERR_INVALID, "expected a directory"},
		{"sqlite:", ERR_INVALID, "expected a directory"},
		{"/proc/no/such/parent", ERR_NOT_FOUND, "can't make"},
		{"/dev/null", ERR_INVALID, "not a directory"},
	};
	struct store *store = NULL;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(store_open(cases[i].url, &store, &err), cases[i].code);
		assert_non_null(strstr(err.text, cases[i].text));
		assert_null(strstr(err.text, "hunter2"));
		assert_null(store);
	}
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest contract[] = {
		test(an_empty_store_has_no_last),
		test(what_is_appended_is_read_in_order),
		test(reading_begins_with_the_batch_that_holds_the_event),
		test(reading_stops_where_the_visitor_says),
		test(last_is_the_tail_with_its_hash_and_time),
		test(a_batch_that_does_not_follow_is_a_conflict),
		test(the_first_batch_begins_with_event_one),
		test(any_byte_may_be_in_a_batch),
		test(payloads_come_with_their_batch),
		test(the_same_payload_may_come_again),
		test(an_erased_payload_is_gone_and_may_come_back),
		test(a_full_store_takes_the_same_batch_later),
		test(reads_may_come_from_other_threads),
		test(a_visitor_may_read),
		test(a_broken_chain_is_found),
		test(time_that_goes_back_is_found),
		test(payloads_are_listed),
		test(hashes_that_begin_alike_are_told_apart),
		test(many_payloads_are_found),
		test(snapshots_are_kept_by_age),
		test(a_snapshot_of_another_journal_goes),
		test(a_large_snapshot_is_read_as_it_was),
		test(the_history_is_queried),
		test(the_numbers_of_the_history_are_listed),
		test(a_job_of_the_history_stays_as_it_was),
		test(the_history_may_be_read_while_it_grows),
		test(an_anchor_shows_a_rewritten_chain),
		test(an_anchor_shows_a_cut_end),
		test(close_accepts_null),
	};
	const struct CMUnitTest sqlite_alone[] = {
		test(a_reopened_store_has_all),
		test(what_was_acknowledged_survives_a_kill),
		test(its_files_are_their_owners_alone),
		test(a_newer_schema_is_refused),
		test(an_older_schema_gets_what_it_lacks),
		test(payloads_of_an_older_schema_are_kept),
		test(a_snapshot_outlives_its_store),
		test(a_damaged_snapshot_is_corrupt),
		test(a_database_of_another_program_is_left_alone),
		test(a_file_that_is_no_database_is_corrupt),
		test(a_dropped_or_damaged_row_is_found),
		test(a_reader_looks_beside_the_owner_and_changes_nothing),
		test(a_reader_makes_nothing),
		test(erased_bytes_are_nowhere_on_disk),
		test(an_erasure_beside_a_reader_is_to_be_repeated),
		test(a_state_directory_has_one_owner),
		cmocka_unit_test(a_url_that_is_no_store_is_refused),
	};
	int failed = 0;

	tested = "memory:";
	failed += cmocka_run_group_tests_name("memory", contract, NULL, NULL);
	tested = NULL;
	failed += cmocka_run_group_tests_name("sqlite", contract, NULL, NULL);
	failed += cmocka_run_group_tests_name("sqlite alone", sqlite_alone, NULL, NULL);
	return failed ? 1 : 0;
}
