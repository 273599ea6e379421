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
#include "host/anchor.h"
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

struct held;

/* What the walks below share. */
struct walk {
	struct core *core;
	struct journal_walk chain;
	uint64_t batches;
	uint64_t since, until;
	struct plan_check *checker; /* NULL: none */
	bool check, print;
	int (*visit)(struct walk *walk); /* after each batch; NULL: none */
	struct held *held;               /* snapshots to compare with */
	struct err err;
	int code; /* of what a visit found */
};

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

	if (last_event(batch) > walk->until)
		return 1;
	rc = journal_walk_take(&walk->chain, batch, &walk->err);
	if (rc == 0)
		rc = core_apply(walk->core, batch->events, batch->len, on_event, walk, &walk->err);
	if (rc == 0)
		rc = walk->code;
	if (rc < 0)
		return rc;
	walk->batches++;
	if (walk->check)
		core_check(walk->core);
	if (ferror(stdout))
		return err_set(&walk->err, ERR_IO, "standard output", "%s", strerror(errno));
	if (walk->visit)
		rc = walk->visit(walk);
	return rc < 0 ? rc : last_event(batch) == walk->until; /* what comes after may be what is broken */
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

struct counting {
	struct journal_walk walk;
	uint64_t batches;
	struct err err;
};

static int count_batch(void *ctx, const struct batch *batch)
{
	struct counting *c = ctx;
	int code = journal_walk_take(&c->walk, batch, &c->err);

	c->batches += code == 0;
	return code;
}

static void print_verified(const struct counting *c, const char *hash)
{
	json_t *json = json_object();

	json_object_set_new(json, "ok", json_true());
	json_object_set_new(json, "events", json_integer((json_int_t)c->walk.sequence));
	json_object_set_new(json, "batches", json_integer((json_int_t)c->batches));
	json_object_set_new(json, "last_hash", json_string(hash));
	json_object_set_new(json, "anchors", json_integer(c->walk.n_anchors));
	json_object_set_new(json, "anchored_event", json_integer((json_int_t)c->walk.anchored));
	print_json(json, true);
	json_decref(json);
}

static void print_broken(const struct counting *c)
{
	json_t *json = json_object();

	json_object_set_new(json, "ok", json_false());
	json_object_set_new(json, "last_good_event", json_integer((json_int_t)c->walk.good));
	json_object_set_new(json, "detail", json_string(c->err.text));
	print_json(json, true);
	json_decref(json);
}

static int verify(struct store *store, const struct anchor *anchors, uint32_t n, bool json)
{
	struct counting c = {.walk = {.anchors = anchors, .n_anchors = n}};
	char hash[HASH_HEX_SIZE];
	int code = store->ops->read(store, 0, count_batch, &c, &c.err);

	if (!code)
		code = journal_walk_end(&c.walk, &c.err);
	if (code < 0) {
		if (json)
			print_broken(&c);
		complain_err(STATUS_NO, NULL, &c.err);
		if (code == ERR_CORRUPT && c.walk.good)
			complain(0, "to go on from there: suan journal copy --from OLD --until %" PRIu64 " --to NEW", c.walk.good);
		return STATUS_NO;
	}
	hash_hex(&c.walk.hash, hash, sizeof hash);
	if (json) {
		print_verified(&c, hash);
		return STATUS_DONE;
	}
	printf("ok: %" PRIu64 " events in %" PRIu64 " batches, last hash %s\n", c.walk.sequence, c.batches, hash);
	if (n)
		printf("%" PRIu32 " anchors fit, the last at event %" PRIu64 "\n", n, c.walk.anchored);
	else
		complain(0, "there are no anchors, so neither an end that was cut off nor a chain written anew would show");
	return STATUS_DONE;
}

/* Reads the anchors of a journal. state: its directory; path, key: NULL for the ones in it. One that was named must be there. */
static int read_anchors(const char *state, const char *path, const char *key, struct anchor **ret, uint32_t *ret_n)
{
	const char *dir = store_directory(state) ? store_directory(state) : state;
	char own_path[4200], own_key[4200];
	uint8_t public_key[ANCHOR_KEY_BYTES];
	struct err err;
	int code;

	snprintf(own_path, sizeof own_path, "%s/anchors", dir);
	snprintf(own_key, sizeof own_key, "%s/anchor.pub", dir);
	code = anchor_key_read(key ? key : own_key, public_key, &err);
	if (!code)
		code = anchors_read(path ? path : own_path, public_key, UINT32_MAX, ret, ret_n, &err);
	if (code == ERR_NOT_FOUND && !path && !key)
		return STATUS_DONE;
	return code < 0 ? complain_err(STATUS_NO, NULL, &err) : STATUS_DONE;
}

int cmd_journal_verify(int argc, char **argv)
{
	const char *state = NULL, *path = NULL, *key = NULL;
	bool json = false;
	const struct opt opts[] = {{"state", 0, OPT_TEXT, &state},
	                           {"anchors", 0, OPT_TEXT, &path},
	                           {"key", 0, OPT_TEXT, &key},
	                           {"json", 0, OPT_FLAG, &json}};
	struct anchor *anchors = NULL;
	char default_path[4096];
	struct store *store;
	uint32_t n = 0;
	int status;

	if (opts_read(argc, argv, opts, 4, 0, 0) < 0)
		return STATUS_USAGE;
	state = state ? state : default_state(default_path, sizeof default_path);
	if ((status = open_reader(state, &store)) != STATUS_DONE)
		return status;
	status = read_anchors(state, path, key, &anchors, &n);
	if (status == STATUS_DONE)
		status = verify(store, anchors, n, json);
	free(anchors);
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

		json_object_set_new(object, "sequence", json_integer((json_int_t)walk->chain.sequence));
		json_object_set_new(object, "state_digest", json_string(digest));
		json_object_set_new(object, "batches", json_integer((json_int_t)walk->batches));
		print_json(object, true);
		json_decref(object);
		return;
	}
	if (digest_only) {
		printf("%s\n", digest);
		complain(0, "that is the state after event %" PRIu64, walk->chain.sequence);
		return;
	}
	printf("replayed %" PRIu64 " events in %" PRIu64 " batches, the last at %s\n", walk->chain.sequence, walk->batches,
	       us_format_instant(core_now(walk->core), last, sizeof last));
	print_field("sequence", "%" PRIu64, walk->chain.sequence);
	print_field("state_digest", "%s", digest);
	if (walk->checker)
		print_field("checked", "%" PRIu64 " plans and reservations", plan_check_count(walk->checker));
}

/* ---- Snapshots beside a replay: each core that was loaded from one goes along, and must come to the same state ---- */

struct held {
	struct {
		struct snapshot head;
		struct core *core; /* NULL before it is reached: its bytes wait */
		struct buf bytes;
	} list[SNAPSHOTS_KEPT];
	uint32_t n;
	struct store *store;
};

static int load_held(struct held *held, uint32_t i, const struct walk *walk, struct err *err)
{
	struct hash digest = core_digest(walk->core);

	if (memcmp(digest.bytes, held->list[i].head.digest.bytes, HASH_BYTES) != 0 ||
	    memcmp(walk->chain.hash.bytes, held->list[i].head.chain.bytes, HASH_BYTES) != 0)
		return err_set(err, ERR_CORRUPT, "snapshot", "the one after event %" PRIu64 " isn't the state that replay gives",
		               held->list[i].head.sequence);
	return core_load(held->list[i].bytes.data, held->list[i].bytes.len, &held->list[i].core, err);
}

static int compare_held(struct walk *walk)
{
	struct held *held = walk->held;

	for (uint32_t i = 0; i < held->n; i++)
		if (!held->list[i].core && held->list[i].head.sequence == walk->chain.sequence) {
			int code = load_held(held, i, walk, &walk->err);

			if (code < 0)
				return code;
		}
	return 0;
}

/* Reads all that can be read. Returns an exit status. */
static int read_held(const char *state, struct held *held)
{
	int code = 0, status = open_reader(state, &held->store);
	struct err err;

	for (uint32_t nth = 0; status == STATUS_DONE && code == 0 && nth < SNAPSHOTS_KEPT; nth++) {
		code = held->store->ops->snapshot(held->store, nth, &held->list[held->n].head, &held->list[held->n].bytes, &err);
		held->n += code == 0;
	}
	if (status == STATUS_DONE && (code && code != ERR_NOT_FOUND))
		return complain_err(STATUS_NO, NULL, &err);
	if (status == STATUS_DONE && !held->n)
		return complain(STATUS_NO, "there is no snapshot");
	return status;
}

static int apply_tail(void *ctx, const struct batch *batch)
{
	struct walk *walk = ctx;

	if (last_event(batch) > walk->until)
		return 1;
	return core_apply(walk->core, batch->events, batch->len, NULL, NULL, &walk->err);
}

/* From each snapshot to the end: the same state as from the beginning. */
static int check_tails(const struct held *held, const struct walk *whole)
{
	struct hash expected = core_digest(whole->core);

	for (uint32_t i = 0; i < held->n; i++) {
		struct walk walk = {.core = held->list[i].core, .until = whole->until};
		uint64_t sequence = held->list[i].head.sequence;
		struct hash digest;

		if (!walk.core)
			return complain(STATUS_NO, "the snapshot after event %" PRIu64 " is beyond what was replayed", sequence);
		if (held->store->ops->read(held->store, sequence + 1, apply_tail, &walk, &walk.err) < 0)
			return complain_err(STATUS_NO, NULL, &walk.err);
		digest = core_digest(walk.core);
		if (memcmp(digest.bytes, expected.bytes, sizeof digest.bytes) != 0)
			return complain(STATUS_NO, "from the snapshot after event %" PRIu64 " replay comes to another state", sequence);
		complain(0, "from the snapshot after event %" PRIu64 " replay comes to the same state", sequence);
	}
	return STATUS_DONE;
}

static void held_done(struct held *held)
{
	for (uint32_t i = 0; i < held->n; i++) {
		core_free(held->list[i].core);
		buf_done(&held->list[i].bytes);
	}
	if (held->store)
		held->store->ops->close(held->store);
}

int cmd_journal_replay(int argc, char **argv)
{
	struct held held = {0};
	struct walk walk = {.until = UINT64_MAX};
	const char *state = NULL;
	bool json = false, digest_only = false, from_snapshot = false;
	const struct opt opts[] = {{"digest", 0, OPT_FLAG, &digest_only}, {"from-snapshot", 0, OPT_FLAG, &from_snapshot},
	                           {"until", 0, OPT_COUNT, &walk.until},  {"check", 0, OPT_FLAG, &walk.check},
	                           {"state", 0, OPT_TEXT, &state},        {"json", 0, OPT_FLAG, &json}};
	char hex[HASH_HEX_SIZE];
	int status;

	if (opts_read(argc, argv, opts, 6, 0, 0) < 0)
		return STATUS_USAGE;
	walk.checker = walk.check ? plan_check_new() : NULL;
	walk.held = &held;
	walk.visit = from_snapshot ? compare_held : NULL;
	status = from_snapshot ? read_held(state, &held) : STATUS_DONE;
	if (status == STATUS_DONE)
		status = apply_all(state, &walk);
	if (status == STATUS_DONE && from_snapshot)
		status = check_tails(&held, &walk);
	if (status == STATUS_DONE && walk.until != UINT64_MAX && walk.chain.sequence != walk.until)
		status = complain(STATUS_NO, "--until: event %" PRIu64 " isn't the last of a commit; %" PRIu64 " is", walk.until,
		                  walk.chain.sequence);
	if (status == STATUS_DONE) {
		struct hash digest = core_digest(walk.core);

		print_replayed(&walk, hash_hex(&digest, hex, sizeof hex), json, digest_only);
	}
	plan_check_free(walk.checker);
	core_free(walk.core);
	held_done(&held);
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
	struct walk *walk = &copying->walk;
	int rc;

	if (last_event(batch) > walk->until)
		return 1;
	rc = journal_walk_take(&walk->chain, batch, &walk->err);
	if (rc == 0)
		rc = keep_payloads(copying, batch, &walk->err);
	if (rc == 0)
		rc = copying->to->ops->append(copying->to, batch, copying->blobs, copying->n_blobs, &walk->err);
	drop_blobs(copying);
	if (rc < 0)
		return rc;
	walk->batches++;
	return last_event(batch) == walk->until; /* what comes after may be what is broken */
}

static void print_copied(const struct copying *copying, bool json)
{
	const struct journal_walk *chain = &copying->walk.chain;
	char hash[HASH_HEX_SIZE];
	json_t *object;

	hash_hex(&chain->hash, hash, sizeof hash);
	if (!json) {
		printf("copied %" PRIu64 " events in %" PRIu64 " batches and %" PRIu64 " payloads, last hash %s\n", chain->sequence,
		       copying->walk.batches, copying->n_payloads, hash);
		return;
	}
	object = json_object();
	json_object_set_new(object, "events", json_integer((json_int_t)chain->sequence));
	json_object_set_new(object, "batches", json_integer((json_int_t)copying->walk.batches));
	json_object_set_new(object, "payloads", json_integer((json_int_t)copying->n_payloads));
	json_object_set_new(object, "payloads_erased", json_integer((json_int_t)copying->n_erased));
	json_object_set_new(object, "last_hash", json_string(hash));
	print_json(object, true);
	json_decref(object);
}

static int copy(struct store *from, struct store *to, const char *to_name, uint64_t until, bool json)
{
	struct copying copying = {.from = from, .to = to, .walk = {.until = until}};
	struct err *err = &copying.walk.err;
	struct batch last = {0};
	int rc = to->ops->last(to, &last, err);

	if (rc == 0 && last.n_events)
		return complain(STATUS_NO, "%s: it holds %" PRIu64 " events already: expected an empty store", to_name,
		                last_event(&last));
	if (rc == 0)
		rc = from->ops->read(from, 0, copy_batch, &copying, err);
	free(copying.blobs);
	if (rc < 0)
		return complain_err(STATUS_NO, NULL, err);
	print_copied(&copying, json);
	if (copying.n_erased)
		complain(0, "%" PRIu64 " payloads were erased before", copying.n_erased);
	if (until != UINT64_MAX && copying.walk.chain.sequence != until)
		complain(0, "event %" PRIu64 " isn't the last of a commit: the copy ends with the commit before it", until);
	return STATUS_DONE;
}

/* Opens the store to write to, and owns its directory until the process ends. */
static int open_writer(const char *url, struct store **ret)
{
	const char *dir = store_directory(url);
	struct err err;
	int lock;

	if (dir && state_lock(dir, &lock, &err) < 0)
		return complain_err(STATUS_NO, NULL, &err);
	return store_open(url, ret, &err) < 0 ? complain_err(STATUS_NO, NULL, &err) : STATUS_DONE;
}

int cmd_journal_copy(int argc, char **argv)
{
	const char *from_url = NULL, *to_url = NULL;
	uint64_t until = UINT64_MAX;
	bool json = false;
	const struct opt opts[] = {{"from", 0, OPT_TEXT, &from_url},
	                           {"to", 0, OPT_TEXT, &to_url},
	                           {"until", 0, OPT_COUNT, &until},
	                           {"json", 0, OPT_FLAG, &json}};
	struct store *from = NULL, *to = NULL;
	int status;

	if (opts_read(argc, argv, opts, 4, 0, 0) < 0)
		return STATUS_USAGE;
	if (!from_url || !to_url)
		return usage_error(argv[0], "--%s is missing", from_url ? "to" : "from");
	if ((status = open_reader(from_url, &from)) != STATUS_DONE)
		return status;
	status = open_writer(to_url, &to);
	if (status == STATUS_DONE)
		status = copy(from, to, to_url, until, json);
	if (to)
		to->ops->close(to);
	from->ops->close(from);
	return status;
}
