/* SPDX-License-Identifier: Apache-2.0
 * sqlite_payload.c: payloads, and the index by which they are found; see sqlite_inside.h.
 *
 *   payload(id, bytes)       in the order in which they came, so that those of one commit lie on a page or two
 *   payload_hash(id, hash)   their names, apart from their bytes, for a start reads all of these
 *
 * An index by hash in the file would cost a page of its own for each new payload, for hashes come in no order: four fifths of
 * what a commit writes. So the index is in memory, 16 bytes a slot of a table that is at most three quarters full, and read when
 * the file is opened (docs/adr/0008). It holds the first 8 bytes of each hash; which payload is meant is told by the row, so two
 * hashes that begin alike, which somebody may search for, do no harm.
 *
 * A payload's number is the sequence of its batch, or a little more: it never comes again, even after the last one was erased. So
 * a reader's store that has seen all numbers up to some one needs to look only at what is behind it. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/sqlite_inside.h"

enum { SCRUB_BUSY_MS = 50, SLOTS_FEWEST = 64 };

struct payload_slot {
	uint64_t word; /* the first bytes of its hash */
	uint64_t id;   /* 0: free */
};

/* ---- The index: open addressing, linear probing, and no tombstones ---- */

void payload_index_done(struct payload_index *index)
{
	free(index->slots);
	*index = (struct payload_index){0};
}

static void put_slot(struct payload_index *index, struct payload_slot slot)
{
	uint32_t at = (uint32_t)slot.word & (index->cap - 1);

	while (index->slots[at].id)
		at = (at + 1) & (index->cap - 1);
	index->slots[at] = slot;
}

static void index_add(struct payload_index *index, const struct hash *hash, uint64_t id)
{
	assert(id);
	if (4 * ((uint64_t)index->n + 1) > 3 * (uint64_t)index->cap) {
		struct payload_index larger = {.cap = index->cap ? 2 * index->cap : SLOTS_FEWEST};

		larger.slots = mem_new(larger.cap, sizeof *larger.slots);
		for (uint32_t i = 0; i < index->cap; i++)
			if (index->slots[i].id)
				put_slot(&larger, index->slots[i]);
		free(index->slots);
		index->slots = larger.slots;
		index->cap = larger.cap;
	}
	put_slot(index, (struct payload_slot){.word = hash_word(hash->bytes), .id = id});
	index->n++;
	if (id > index->seen)
		index->seen = id;
}

/* The least number above `after` under a hash's first bytes; 0: none. */
static uint64_t index_next(const struct payload_index *index, const struct hash *hash, uint64_t after)
{
	uint64_t word = hash_word(hash->bytes), best = 0;

	for (uint32_t at = (uint32_t)word; index->cap && index->slots[at & (index->cap - 1)].id; at++) {
		const struct payload_slot *slot = &index->slots[at & (index->cap - 1)];

		if (slot->word == word && slot->id > after && (!best || slot->id < best))
			best = slot->id;
	}
	return best;
}

/* What comes behind a slot that was freed moves up, as far as it isn't at home already. */
static void close_gap(struct payload_index *index, uint32_t gap)
{
	uint32_t mask = index->cap - 1;

	for (uint32_t at = (gap + 1) & mask; index->slots[at].id; at = (at + 1) & mask) {
		uint32_t home = (uint32_t)index->slots[at].word & mask;

		if (((at - home) & mask) < ((at - gap) & mask))
			continue;
		index->slots[gap] = index->slots[at];
		gap = at;
	}
	index->slots[gap] = (struct payload_slot){0};
}

static void index_remove(struct payload_index *index, const struct hash *hash, uint64_t id)
{
	uint32_t mask = index->cap - 1, at = (uint32_t)hash_word(hash->bytes) & mask;

	while (index->slots[at].id && index->slots[at].id != id)
		at = (at + 1) & mask;
	assert(index->slots[at].id);
	index->n--;
	close_gap(index, at);
}

/* ---- Numbers ---- */

/* Whether a number is that of a hash; false for one that isn't there any more. */
static int is_of(struct connection *connection, uint64_t id, const struct hash *hash, bool *ret, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc, code = sql_statement(connection, HAS_HASH, &stmt, err);

	if (code < 0)
		return code;
	sqlite3_bind_int64(stmt, 1, (sqlite3_int64)id);
	sqlite3_bind_blob(stmt, 2, hash->bytes, HASH_BYTES, SQLITE_STATIC);
	rc = sqlite3_step(stmt);
	*ret = rc == SQLITE_ROW;
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		code = sql_failed(connection->db, rc, "find a payload", err);
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return code;
}

/* The number of a payload that the writer has; 0: none. */
static int find_id(struct sqlite_store *self, const struct hash *hash, uint64_t *ret, struct err *err)
{
	bool found = false;
	int code = 0;

	*ret = 0;
	while (!code && !found && (*ret = index_next(&self->index, hash, *ret)))
		code = is_of(self->writer, *ret, hash, &found, err);
	return code;
}

/* Calls visit for each payload that is kept behind a number. */
static int each_hash(struct sqlite_store *self, struct connection *connection, uint64_t after,
                     int (*visit)(void *ctx, uint64_t id, const struct hash *hash), void *ctx, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = SQLITE_DONE, code = sql_statement(connection, self->version < 3 ? OLD_PAYLOADS : PAYLOADS, &stmt, err);

	if (code < 0)
		return code;
	sqlite3_bind_int64(stmt, 1, (sqlite3_int64)after);
	while (!code && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		int64_t id = sqlite3_column_int64(stmt, 0);
		struct hash hash;

		if (id < 1 || sqlite3_column_bytes(stmt, 1) != HASH_BYTES)
			continue;
		memcpy(hash.bytes, sqlite3_column_blob(stmt, 1), HASH_BYTES);
		code = visit(ctx, (uint64_t)id, &hash);
	}
	if (!code && rc != SQLITE_DONE)
		code = sql_failed(connection->db, rc, "list its payloads", err);
	sqlite3_reset(stmt);
	return code;
}

static int take_into_index(void *ctx, uint64_t id, const struct hash *hash)
{
	index_add(ctx, hash, id);
	return 0;
}

int payloads_index(struct sqlite_store *self, struct err *err)
{
	return each_hash(self, self->writer, 0, take_into_index, &self->index, err);
}

/* ---- Keeping ---- */

static int put_row(struct connection *writer, enum sql which, uint64_t id, const void *bytes, size_t len, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int code = sql_statement(writer, which, &stmt, err);

	if (code < 0)
		return code;
	sqlite3_bind_int64(stmt, 1, (sqlite3_int64)id);
	sqlite3_bind_blob64(stmt, 2, len ? bytes : "", len, SQLITE_STATIC);
	return sql_finish(writer, stmt, "keep a payload", err);
}

static int put_payload(struct sqlite_store *self, uint64_t sequence, const struct blob *blob, struct err *err)
{
	uint64_t id;
	int code = find_id(self, &blob->hash, &id, err);

	if (code < 0 || id)
		return code;
	id = self->index.seen < sequence ? sequence : self->index.seen + 1;
	code = put_row(self->writer, PUT_HASH, id, blob->hash.bytes, HASH_BYTES, err);
	if (code == 0)
		code = put_row(self->writer, PUT_PAYLOAD, id, blob->bytes, blob->len, err);
	if (code < 0)
		return code;
	pthread_mutex_lock(&self->mutex);
	index_add(&self->index, &blob->hash, id);
	pthread_mutex_unlock(&self->mutex);
	return 0;
}

int payloads_put_all(struct sqlite_store *self, uint64_t sequence, const struct blob *blobs, uint32_t n, struct err *err)
{
	int code = 0;

	for (uint32_t i = 0; code == 0 && i < n; i++)
		code = put_payload(self, sequence, &blobs[i], err);
	return code;
}

void payloads_take_back(struct sqlite_store *self, uint64_t before, const struct blob *blobs, uint32_t n)
{
	pthread_mutex_lock(&self->mutex);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t id = index_next(&self->index, &blobs[i].hash, before);

		if (id)
			index_remove(&self->index, &blobs[i].hash, id);
	}
	pthread_mutex_unlock(&self->mutex);
}

/* ---- Erasing ---- */

static int delete_row(struct connection *writer, enum sql which, uint64_t id, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int code = sql_statement(writer, which, &stmt, err);

	if (code < 0)
		return code;
	sqlite3_bind_int64(stmt, 1, (sqlite3_int64)id);
	return sql_finish(writer, stmt, "erase a payload", err);
}

static int delete_payload(struct sqlite_store *self, uint64_t id, struct err *err)
{
	int code = sql_run(self->writer, BEGIN, "begin a commit", err);

	if (code < 0)
		return code;
	code = delete_row(self->writer, ERASE, id, err);
	if (code == 0)
		code = delete_row(self->writer, ERASE_HASH, id, err);
	return sql_end(self->writer, code, err);
}

/* Empties the log, which still holds the pages as they were before. Not for long behind a reader, for the appending thread
 * waits: then the bytes stay in the log until the next erasure, or until it wraps. */
static int empty_log(struct connection *writer, struct err *err)
{
	int rc;

	sqlite3_busy_timeout(writer->db, SCRUB_BUSY_MS);
	rc = sqlite3_wal_checkpoint_v2(writer->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	sqlite3_busy_timeout(writer->db, BUSY_MS);
	return rc == SQLITE_OK ? 0 : sql_failed(writer->db, rc, "empty the log of an erased payload", err);
}

/* From then on nobody reads it; what is deleted is overwritten in the file (secure_delete). The log is emptied also where it was
 * gone already, for then that may be what failed before. */
int sqlite_erase(struct store *store, const struct hash *hash, struct err *err)
{
	struct sqlite_store *self = self_of(store);
	uint64_t id;
	int code;

	if (!self->writer)
		return err_set(err, ERR_DENIED, "journal", "opened for reading");
	code = find_id(self, hash, &id, err);
	if (code == 0 && id) {
		code = delete_payload(self, id, err);
		pthread_mutex_lock(&self->mutex);
		if (code == 0)
			index_remove(&self->index, hash, id);
		pthread_mutex_unlock(&self->mutex);
	}
	return code < 0 ? code : empty_log(self->writer, err);
}

/* ---- Reading ---- */

/* Appends the bytes of the payload with that hash; in a file that is older than the numbers, `id` says nothing. */
static int read_payload(struct sqlite_store *self, struct connection *reader, uint64_t id, const struct hash *hash,
                        struct buf *ret, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc, code = sql_statement(reader, self->version < 3 ? OLD_PAYLOAD : PAYLOAD, &stmt, err);

	if (code < 0)
		return code;
	sqlite3_bind_int64(stmt, 1, (sqlite3_int64)id);
	sqlite3_bind_blob(stmt, 2, hash->bytes, HASH_BYTES, SQLITE_STATIC);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		buf_put(ret, sqlite3_column_blob(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0));
	else if (rc == SQLITE_DONE)
		code = err_set(err, ERR_NOT_FOUND, "payload", "never kept, or erased");
	else
		code = sql_failed(reader->db, rc, "read a payload", err);
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return code;
}

/* The next number that may be meant. A reader's store first takes in what its owner has added. */
static int next_id(struct sqlite_store *self, struct connection *reader, const struct hash *hash, uint64_t *id, struct err *err)
{
	uint64_t next;
	int code = 0;

	pthread_mutex_lock(&self->mutex);
	next = index_next(&self->index, hash, *id);
	if (!next && !self->writer) {
		code = each_hash(self, reader, self->index.seen, take_into_index, &self->index, err);
		next = index_next(&self->index, hash, *id);
	}
	pthread_mutex_unlock(&self->mutex);
	*id = next;
	return code;
}

static int find_payload(struct sqlite_store *self, struct connection *reader, const struct hash *hash, struct buf *ret,
                        struct err *err)
{
	uint64_t id = 0;
	int code;

	if (self->version < 3)
		return read_payload(self, reader, 0, hash, ret, err);
	while ((code = next_id(self, reader, hash, &id, err)) == 0 && id) {
		code = read_payload(self, reader, id, hash, ret, err);
		if (code != ERR_NOT_FOUND)
			return code;
	}
	return code < 0 ? code : err_set(err, ERR_NOT_FOUND, "payload", "never kept, or erased");
}

int sqlite_payload(struct store *store, const struct hash *hash, struct buf *ret, struct err *err)
{
	struct sqlite_store *self = self_of(store);
	struct connection *reader;
	int code = reader_take(self, &reader, err);

	if (code < 0)
		return code;
	code = find_payload(self, reader, hash, ret, err);
	reader_give(self, reader);
	return code;
}

struct listing {
	int (*visit)(void *ctx, const struct hash *hash);
	void *ctx;
};

static int visit_hash(void *ctx, uint64_t id, const struct hash *hash)
{
	struct listing *listing = ctx;

	(void)id;
	return listing->visit(listing->ctx, hash);
}

int sqlite_payloads(struct store *store, int (*visit)(void *ctx, const struct hash *hash), void *ctx, struct err *err)
{
	struct sqlite_store *self = self_of(store);
	struct listing listing = {.visit = visit, .ctx = ctx};
	struct connection *reader;
	int code = reader_take(self, &reader, err);

	if (code < 0)
		return code;
	code = each_hash(self, reader, 0, visit_hash, &listing, err);
	reader_give(self, reader);
	return code;
}
