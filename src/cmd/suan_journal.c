/* SPDX-License-Identifier: Apache-2.0
 * suan_journal.c: the record, read straight from its store, beside a running daemon or without one.
 *
 * Every verb walks the batches in order and checks, on the way, that each follows the one before. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/inside.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/suan_print.h"
#include "core/core.h"
#include "core/journal.h"
#include "sim/plan_check.h"
#include "store/stores.h"

/* ---- Opening, and walking ---- */

/* Where suand keeps its state unless it is told. Returns buf. */
static const char *default_state(char *buf, size_t size)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (state && state[0] == '/')
		snprintf(buf, size, "%s/suan", state);
	else
		snprintf(buf, size, "%s/.local/state/suan", home ? home : "");
	return buf;
}

/* Opens the store to look at; says why not. */
static int open_reader(const char *state, struct store **ret)
{
	char path[4096];
	struct err err;

	if (!state)
		state = default_state(path, sizeof path);
	return store_open_reader(state, ret, &err) < 0 ? complain_err(STATUS_NO, NULL, &err) : STATUS_DONE;
}

static uint64_t last_event(const struct batch *batch)
{
	return batch->n_events ? batch->sequence + batch->n_events - 1 : 0;
}

/* What the walks below share. */
struct walk {
	struct core *core;
	uint64_t batches, events;
	struct hash hash; /* of the batch before */
	uint64_t since, until;
	struct plan_check *checker; /* NULL: none */
	bool check, print;
	struct err err;
	int code; /* of what a visit found */
};

/* Refuses a batch that doesn't follow from the one before it. */
static int check_batch(struct walk *walk, const struct batch *batch)
{
	struct hash hash = journal_hash(&walk->hash, batch->sequence, batch->n_events, batch->at_us, batch->events, batch->len);

	if (batch->sequence != walk->events + 1 || memcmp(hash.bytes, batch->hash.bytes, sizeof hash.bytes) != 0)
		return err_set(&walk->err, ERR_CORRUPT, "journal",
		               "the batch of events %" PRIu64 " to %" PRIu64 " doesn't follow from event %" PRIu64
		               " (suan journal verify)",
		               batch->sequence, last_event(batch), walk->events);
	return 0;
}

static void take_batch(struct walk *walk, const struct batch *batch)
{
	walk->hash = batch->hash;
	walk->events += batch->n_events;
	walk->batches++;
}

static void on_event(void *ctx, const struct core *core, uint64_t sequence, const struct event *event)
{
	struct walk *walk = ctx;
	json_t *json;

	if (walk->checker && walk->code == 0)
		walk->code = plan_check_event(walk->checker, event, &walk->err);
	if (!walk->print || sequence < walk->since || sequence > walk->until)
		return;
	json = json_event(core, sequence, event);
	print_json(json, false);
	json_decref(json);
}

static int apply_batch(void *ctx, const struct batch *batch)
{
	struct walk *walk = ctx;
	int rc;

	if (batch->sequence > walk->until)
		return 1;
	rc = check_batch(walk, batch);
	if (rc == 0)
		rc = core_apply(walk->core, batch->events, batch->len, on_event, walk, &walk->err);
	if (rc == 0)
		rc = walk->code;
	if (rc == 0)
		take_batch(walk, batch);
	if (rc == 0 && walk->check)
		core_check(walk->core);
	if (rc == 0 && ferror(stdout))
		return err_set(&walk->err, ERR_IO, "standard output", "%s", strerror(errno));
	return rc;
}

/* Applies the whole journal to the walk's fresh core. Returns an exit status. */
static int apply_all(const char *state, struct walk *walk)
{
	struct store *store;
	int rc, status = open_reader(state, &store);

	if (status != STATUS_DONE)
		return status;
	walk->core = core_new();
	rc = store->ops->read(store, 0, apply_batch, walk, &walk->err);
	store->ops->close(store);
	if (rc < 0)
		status = complain_err(STATUS_NO, NULL, &walk->err);
	return status;
}

/* ---- suan journal verify ---- */

static int count_batch(void *ctx, const struct batch *batch)
{
	(void)batch;
	++*(uint64_t *)ctx;
	return 0;
}

static void print_verified(const struct batch *last, uint64_t batches, const char *hash)
{
	json_t *json = json_object();

	json_object_set_new(json, "ok", json_true());
	json_object_set_new(json, "events", json_integer((json_int_t)last_event(last)));
	json_object_set_new(json, "batches", json_integer((json_int_t)batches));
	json_object_set_new(json, "last_hash", json_string(hash));
	print_json(json, true);
	json_decref(json);
}

static void print_broken(const struct batch *last, const struct err *err)
{
	json_t *json = json_object();

	json_object_set_new(json, "ok", json_false());
	json_object_set_new(json, "last_good_event", json_integer((json_int_t)last_event(last)));
	json_object_set_new(json, "detail", json_string(err->text));
	print_json(json, true);
	json_decref(json);
}

static int verify(struct store *store, bool json)
{
	struct batch last = {0};
	struct err err = {0};
	uint64_t batches = 0;
	char hash[HASH_HEX_SIZE];

	if (journal_verify(store, &last, &err) < 0 || store->ops->read(store, 0, count_batch, &batches, &err) < 0) {
		if (json)
			print_broken(&last, &err);
		return complain_err(STATUS_NO, NULL, &err);
	}
	hash_hex(&last.hash, hash, sizeof hash);
	if (json)
		print_verified(&last, batches, hash);
	else
		printf("ok: %" PRIu64 " events in %" PRIu64 " batches, last hash %s\n", last_event(&last), batches, hash);
	return STATUS_DONE;
}

int cmd_journal_verify(int argc, char **argv)
{
	const char *state = NULL;
	bool json = false;
	const struct opt opts[] = {{"state", 0, OPT_TEXT, &state}, {"json", 0, OPT_FLAG, &json}};
	struct store *store;
	int status;

	if (opts_read(argc, argv, opts, 2, 0, 0) < 0)
		return STATUS_USAGE;
	if ((status = open_reader(state, &store)) != STATUS_DONE)
		return status;
	status = verify(store, json);
	store->ops->close(store);
	return status;
}

/* ---- suan journal cat ---- */

int cmd_journal_cat(int argc, char **argv)
{
	struct walk walk = {.since = 1, .until = UINT64_MAX, .print = true};
	const char *state = NULL;
	bool json = false;
	const struct opt opts[] = {
		{"since", 0, OPT_COUNT, &walk.since}, {"state", 0, OPT_TEXT, &state}, {"json", 0, OPT_FLAG, &json}};
	int status;

	if (opts_read(argc, argv, opts, 3, 0, 0) < 0)
		return STATUS_USAGE;
	status = apply_all(state, &walk);
	core_free(walk.core);
	return status;
}

/* ---- suan journal replay ---- */

static void print_replayed(const struct walk *walk, const char *digest, bool json, bool digest_only)
{
	char last[40];

	if (json) {
		json_t *object = json_object();

		json_object_set_new(object, "sequence", json_integer((json_int_t)walk->events));
		json_object_set_new(object, "state_digest", json_string(digest));
		json_object_set_new(object, "batches", json_integer((json_int_t)walk->batches));
		print_json(object, true);
		json_decref(object);
		return;
	}
	if (digest_only) {
		printf("%s\n", digest);
		complain(0, "that is the state after event %" PRIu64, walk->events);
		return;
	}
	printf("replayed %" PRIu64 " events in %" PRIu64 " batches, the last at %s\n", walk->events, walk->batches,
	       us_format_instant(core_now(walk->core), last, sizeof last));
	print_field("sequence", "%" PRIu64, walk->events);
	print_field("state_digest", "%s", digest);
	if (walk->checker)
		print_field("checked", "%" PRIu64 " plans and reservations", plan_check_count(walk->checker));
}

int cmd_journal_replay(int argc, char **argv)
{
	struct walk walk = {.until = UINT64_MAX};
	const char *state = NULL;
	bool json = false, digest_only = false;
	const struct opt opts[] = {{"digest", 0, OPT_FLAG, &digest_only},
	                           {"until", 0, OPT_COUNT, &walk.until},
	                           {"check", 0, OPT_FLAG, &walk.check},
	                           {"state", 0, OPT_TEXT, &state},
	                           {"json", 0, OPT_FLAG, &json}};
	char hex[HASH_HEX_SIZE];
	int status;

	if (opts_read(argc, argv, opts, 5, 0, 0) < 0)
		return STATUS_USAGE;
	walk.checker = walk.check ? plan_check_new() : NULL;
	status = apply_all(state, &walk);
	if (status == STATUS_DONE && walk.until != UINT64_MAX && walk.events != walk.until)
		status = complain(STATUS_NO, "--until: event %" PRIu64 " isn't the last of a commit; %" PRIu64 " is", walk.until,
		                  walk.events);
	if (status == STATUS_DONE) {
		struct hash digest = core_digest(walk.core);

		print_replayed(&walk, hash_hex(&digest, hex, sizeof hex), json, digest_only);
	}
	plan_check_free(walk.checker);
	core_free(walk.core);
	return status;
}

/* ---- suan journal copy ---- */

struct copying {
	struct store *from, *to;
	struct walk walk;
	struct blob *blobs; /* of the batch at hand */
	uint32_t n_blobs, blobs_cap;
	uint64_t n_payloads, n_erased;
};

static void drop_blobs(struct copying *copying)
{
	for (uint32_t i = 0; i < copying->n_blobs; i++)
		free((void *)(uintptr_t)copying->blobs[i].bytes);
	copying->n_blobs = 0;
}

/* Reads one payload; one that was erased is none any more. */
static int keep_payload(struct copying *copying, const struct hash *hash, struct err *err)
{
	static const struct hash none;
	struct buf bytes = {0};
	struct hash got;
	int rc;

	if (!memcmp(hash->bytes, none.bytes, sizeof none.bytes))
		return 0;
	rc = copying->from->ops->payload(copying->from, hash, &bytes, err);
	if (rc == ERR_NOT_FOUND) {
		copying->n_erased++;
		return 0;
	}
	if (rc < 0)
		return rc;
	got = hash_of(bytes.data, bytes.len);
	if (memcmp(got.bytes, hash->bytes, sizeof got.bytes) != 0) {
		buf_done(&bytes);
		return err_set(err, ERR_CORRUPT, "payload", "a payload isn't what its hash says");
	}
	mem_grow((void **)&copying->blobs, &copying->blobs_cap, copying->n_blobs, sizeof *copying->blobs);
	copying->blobs[copying->n_blobs++] = (struct blob){*hash, bytes.data, bytes.len};
	copying->n_payloads++;
	return 0;
}

static int keep_payloads(struct copying *copying, const struct batch *batch, struct err *err)
{
	struct reader reader = reader_of(batch->events, batch->len);
	struct arena arena = {0};
	us_t previous = 0;
	int rc = 0;

	for (uint32_t i = 0; i < batch->n_events && rc == 0; i++) {
		struct event event;

		rc = event_decode(&reader, previous, &arena, &event);
		if (rc < 0)
			rc = err_set(err, ERR_CORRUPT, "journal", "event %" PRIu64 " can't be read", batch->sequence + i);
		else if (event.type == EVENT_SUBMITTED)
			rc = keep_payload(copying, &event.submitted.payload, err);
		previous = event.at_us;
		arena_reset(&arena);
	}
	arena_done(&arena);
	return rc;
}

static int copy_batch(void *ctx, const struct batch *batch)
{
	struct copying *copying = ctx;
	struct err *err = &copying->walk.err;
	int rc = check_batch(&copying->walk, batch);

	if (rc == 0)
		rc = keep_payloads(copying, batch, err);
	if (rc == 0)
		rc = copying->to->ops->append(copying->to, batch, copying->blobs, copying->n_blobs, err);
	drop_blobs(copying);
	if (rc == 0)
		take_batch(&copying->walk, batch);
	return rc;
}

static int copy(struct store *from, struct store *to, const char *to_name)
{
	struct copying copying = {.from = from, .to = to};
	struct err *err = &copying.walk.err;
	struct batch last = {0};
	char hash[HASH_HEX_SIZE];
	int rc = to->ops->last(to, &last, err);

	if (rc == 0 && last.n_events)
		return complain(STATUS_NO, "%s: it holds %" PRIu64 " events already: expected an empty store", to_name,
		                last_event(&last));
	if (rc == 0)
		rc = from->ops->read(from, 0, copy_batch, &copying, err);
	free(copying.blobs);
	if (rc < 0)
		return complain_err(STATUS_NO, NULL, err);
	printf("copied %" PRIu64 " events in %" PRIu64 " batches and %" PRIu64 " payloads, last hash %s\n", copying.walk.events,
	       copying.walk.batches, copying.n_payloads, hash_hex(&copying.walk.hash, hash, sizeof hash));
	if (copying.n_erased)
		complain(0, "%" PRIu64 " payloads were erased before", copying.n_erased);
	return STATUS_DONE;
}

/* Opens the store to write to, and owns its directory until the process ends. */
static int open_writer(const char *url, struct store **ret)
{
	const char *dir = !strncmp(url, "sqlite:", 7) && strncmp(url, "sqlite://", 9) ? url + 7 : url;
	struct err err;
	int lock;

	if (!strstr(url, "://") && strcmp(url, "memory:") != 0 && *dir && state_lock(dir, &lock, &err) < 0)
		return complain_err(STATUS_NO, NULL, &err);
	return store_open(url, ret, &err) < 0 ? complain_err(STATUS_NO, NULL, &err) : STATUS_DONE;
}

int cmd_journal_copy(int argc, char **argv)
{
	const char *from_url = NULL, *to_url = NULL;
	const struct opt opts[] = {{"from", 0, OPT_TEXT, &from_url}, {"to", 0, OPT_TEXT, &to_url}};
	struct store *from = NULL, *to = NULL;
	int status;

	if (opts_read(argc, argv, opts, 2, 0, 0) < 0)
		return STATUS_USAGE;
	if (!from_url || !to_url)
		return usage_error(argv[0], "--%s is missing", from_url ? "to" : "from");
	if ((status = open_reader(from_url, &from)) != STATUS_DONE)
		return status;
	status = open_writer(to_url, &to);
	if (status == STATUS_DONE)
		status = copy(from, to, to_url);
	if (to)
		to->ops->close(to);
	from->ops->close(from);
	return status;
}
