/* SPDX-License-Identifier: Apache-2.0
 * sqlite.c: the journal and the payloads in one SQLite file.
 *
 * One row a batch, so that one commit is one row and one fsync whatever it holds. WAL with synchronous=FULL: the commit
 * returns once the log is on disk, and readers see the last commit while the next is being written.
 *
 * One connection writes and belongs to the one thread that appends. Reads take a connection of their own from a few that are
 * kept, or open one, so they may come from any thread, also from within the visit of another.
 *
 * An append that failed is rolled back whole, and nothing is kept of it here: the same batch may come again. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/snapshot_file.h"
#include "store/stores.h"

enum {
	APPLICATION_ID = 0x5375616e, /* "Suan" */
	SCHEMA_VERSION = 2,
	BUSY_MS = 5000,
	SCRUB_BUSY_MS = 50,
	READERS_KEPT = 4,
	PATH_SIZE = 4096,
	CELL_BYTES_MAX = 512 << 20, /* of one batch or payload; SQLite itself takes 1,000,000,000 */
};

enum statement {
	BEGIN,
	COMMIT,
	ROLLBACK,
	PUT_BATCH,
	PUT_PAYLOAD,
	ERASE,
	LAST,
	READ,
	PAYLOAD,
	PAYLOADS,
	PUT_JOB,
	JOBS,
	JOBS_OF_STATE,
	JOBS_OF_PROJECT,
	JOBS_OF_BOTH,
	JOBS_OF_ARRAY,
	STATEMENT_COUNT
};

/* The columns of a job of the history, as job_of_row takes them, and what each statement over them ends with. */
#define JOB_COLUMNS "SELECT id, array_of, array_index, attempt, state, ended_us, project, centre, record FROM history"
#define JOB_ORDER " AND id > ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"

/* A batch is found from any of its events: it is the last one that begins at or before it. */
static const char *const statement_text[] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[PUT_BATCH] = "INSERT INTO batch(sequence, n_events, at_us, hash, events) VALUES(?1, ?2, ?3, ?4, ?5)",
	[PUT_PAYLOAD] = "INSERT OR IGNORE INTO payload(hash, bytes) VALUES(?1, ?2)",
	[ERASE] = "DELETE FROM payload WHERE hash = ?1",
	[LAST] = "SELECT sequence, n_events, at_us, hash, NULL FROM batch ORDER BY sequence DESC LIMIT 1",
	[READ] = ("SELECT sequence, n_events, at_us, hash, events FROM batch"
              " WHERE sequence >= (SELECT coalesce(max(sequence), 0) FROM batch WHERE sequence <= ?1) ORDER BY sequence"),
	[PAYLOAD] = "SELECT bytes FROM payload WHERE hash = ?1",
	[PAYLOADS] = "SELECT hash FROM payload",
	[PUT_JOB] = ("INSERT OR IGNORE INTO history(id, array_of, array_index, attempt, state, ended_us, project, centre, record)"
                 " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"),
	[JOBS] = JOB_COLUMNS " WHERE true" JOB_ORDER,
	[JOBS_OF_STATE] = JOB_COLUMNS " WHERE state = ?4" JOB_ORDER,
	[JOBS_OF_PROJECT] = JOB_COLUMNS " WHERE project = ?5" JOB_ORDER,
	[JOBS_OF_BOTH] = JOB_COLUMNS " WHERE state = ?4 AND project = ?5" JOB_ORDER,
	[JOBS_OF_ARRAY] = JOB_COLUMNS " WHERE array_of > 0 AND array_of = ?6 AND array_index = ?7" JOB_ORDER,
};

static const char schema[] = "CREATE TABLE batch("
							 " sequence INTEGER PRIMARY KEY," /* of its first event */
							 " n_events INTEGER NOT NULL,"
							 " at_us INTEGER NOT NULL,"
							 " hash BLOB NOT NULL,"
							 " events BLOB NOT NULL);"
							 "CREATE TABLE payload(hash BLOB PRIMARY KEY, bytes BLOB NOT NULL);";

/* Since version 2. */
static const char schema_of_history[] = "CREATE TABLE history("
										" id INTEGER PRIMARY KEY,"
										" array_of INTEGER NOT NULL," /* 0: not an element */
										" array_index INTEGER NOT NULL,"
										" attempt INTEGER NOT NULL,"
										" state INTEGER NOT NULL,"
										" ended_us INTEGER NOT NULL,"
										" project TEXT NOT NULL,"
										" centre TEXT NOT NULL,"
										" record TEXT NOT NULL);" /* JSON */
										"CREATE INDEX history_by_state ON history(state, id);"
										"CREATE INDEX history_by_project ON history(project, id);"
										"CREATE INDEX history_by_array ON history(array_of, array_index) WHERE array_of > 0;";

/* A connection with its statements, which are prepared when they are first used. */
struct connection {
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENT_COUNT];
	struct connection *next; /* among those kept */
};

struct sqlite_store {
	struct store store;
	char dir[PATH_SIZE - 16], path[PATH_SIZE];
	struct connection *writer; /* NULL in a reader's store */
	uint64_t next_sequence;
	pthread_mutex_t mutex; /* over what follows */
	struct connection *readers;
	uint32_t n_readers;
};

static struct sqlite_store *self_of(struct store *store)
{
	return (struct sqlite_store *)store;
}

/* ---- Errors ---- */

/* What a device said matters more than what SQLite made of it: a full disk shows as an I/O error where it was hit outside of
 * a plain write. */
static int code_of(sqlite3 *db, int rc)
{
	static const struct {
		int rc, code;
	} codes[] = {
		{SQLITE_FULL, ERR_FULL},        {SQLITE_BUSY, ERR_BUSY},           {SQLITE_LOCKED, ERR_BUSY},
		{SQLITE_NOMEM, ERR_NOMEM},      {SQLITE_CORRUPT, ERR_CORRUPT},     {SQLITE_NOTADB, ERR_CORRUPT},
		{SQLITE_TOOBIG, ERR_TOO_LARGE}, {SQLITE_READONLY, ERR_DENIED},     {SQLITE_PERM, ERR_DENIED},
		{SQLITE_AUTH, ERR_DENIED},      {SQLITE_CONSTRAINT, ERR_CONFLICT},
	};
	int device = db ? sqlite3_system_errno(db) : 0;

	if ((rc & 0xff) == SQLITE_IOERR && (device == ENOSPC || device == EDQUOT))
		return ERR_FULL;
	if (rc == SQLITE_IOERR_NOMEM)
		return ERR_NOMEM;
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		if (codes[i].rc == (rc & 0xff))
			return codes[i].code;
	return ERR_IO;
}

static int failed(sqlite3 *db, int rc, const char *what, struct err *err)
{
	return err_set(err, code_of(db, rc), "journal", "can't %s: %s", what, db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
}

/* ---- Connections ---- */

static struct connection *connection_free(struct connection *connection)
{
	if (!connection)
		return NULL;
	for (int i = 0; i < STATEMENT_COUNT; i++)
		sqlite3_finalize(connection->statements[i]);
	sqlite3_close(connection->db);
	free(connection);
	return NULL;
}

static int connection_open(const char *path, int flags, struct connection **ret, struct err *err)
{
	struct connection *connection = calloc(1, sizeof *connection);
	int rc, code;

	if (!connection)
		return err_set(err, ERR_NOMEM, "journal", "out of memory");
	rc = sqlite3_open_v2(path, &connection->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_busy_timeout(connection->db, BUSY_MS);
	if (rc == SQLITE_OK)
		rc = sqlite3_db_config(connection->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if (rc != SQLITE_OK) {
		code = failed(connection->db, rc, "open it", err);
		connection_free(connection);
		return code;
	}
	*ret = connection;
	return 0;
}

/* The statement, ready for its parameters. */
static int statement(struct connection *connection, enum statement which, sqlite3_stmt **ret, struct err *err)
{
	int rc;

	if (!connection->statements[which]) {
		rc = sqlite3_prepare_v3(connection->db, statement_text[which], -1, SQLITE_PREPARE_PERSISTENT,
		                        &connection->statements[which], NULL);
		if (rc != SQLITE_OK)
			return failed(connection->db, rc, "prepare a statement", err);
	}
	*ret = connection->statements[which];
	return 0;
}

/* Runs a statement that yields no row, and makes it ready for its next use. */
static int finish(struct connection *connection, sqlite3_stmt *stmt, const char *what, struct err *err)
{
	int rc = sqlite3_step(stmt), code = rc == SQLITE_DONE ? 0 : failed(connection->db, rc, what, err);

	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return code;
}

static int run_plain(struct connection *connection, enum statement which, const char *what, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int code = statement(connection, which, &stmt, err);

	return code < 0 ? code : finish(connection, stmt, what, err);
}

static int run_text(struct connection *connection, const char *sql, const char *what, struct err *err)
{
	int rc = sqlite3_exec(connection->db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : failed(connection->db, rc, what, err);
}

/* The one integer that a query yields. */
static int ask(struct connection *connection, const char *sql, int64_t *ret, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(connection->db, sql, -1, &stmt, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*ret = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return rc == SQLITE_ROW ? 0 : failed(connection->db, rc, "read its head", err);
}

/* A connection for reading, of those kept or a new one. */
static int reader_take(struct sqlite_store *self, struct connection **ret, struct err *err)
{
	struct connection *connection;

	pthread_mutex_lock(&self->mutex);
	connection = self->readers;
	if (connection) {
		self->readers = connection->next;
		self->n_readers--;
	}
	pthread_mutex_unlock(&self->mutex);
	if (!connection)
		return connection_open(self->path, SQLITE_OPEN_READONLY, ret, err);
	*ret = connection;
	return 0;
}

static void reader_give(struct sqlite_store *self, struct connection *connection)
{
	pthread_mutex_lock(&self->mutex);
	if (self->n_readers < READERS_KEPT) {
		connection->next = self->readers;
		self->readers = connection;
		self->n_readers++;
		connection = NULL;
	}
	pthread_mutex_unlock(&self->mutex);
	connection_free(connection);
}

/* ---- Appending ---- */

static int put_batch(struct connection *writer, const struct batch *batch, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int code = statement(writer, PUT_BATCH, &stmt, err);

	if (code < 0)
		return code;
	sqlite3_bind_int64(stmt, 1, (sqlite3_int64)batch->sequence);
	sqlite3_bind_int64(stmt, 2, batch->n_events);
	sqlite3_bind_int64(stmt, 3, batch->at_us);
	sqlite3_bind_blob(stmt, 4, batch->hash.bytes, HASH_BYTES, SQLITE_STATIC);
	sqlite3_bind_blob64(stmt, 5, batch->events, batch->len, SQLITE_STATIC);
	return finish(writer, stmt, "append a batch", err);
}

static int put_payload(struct connection *writer, const struct blob *blob, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int code = statement(writer, PUT_PAYLOAD, &stmt, err);

	if (code < 0)
		return code;
	sqlite3_bind_blob(stmt, 1, blob->hash.bytes, HASH_BYTES, SQLITE_STATIC);
	sqlite3_bind_blob64(stmt, 2, blob->len ? blob->bytes : "", blob->len, SQLITE_STATIC);
	return finish(writer, stmt, "keep a payload", err);
}

static int put_all(struct connection *writer, const struct batch *batch, const struct blob *blobs, uint32_t n_blobs,
                   struct err *err)
{
	int code = put_batch(writer, batch, err);

	for (uint32_t i = 0; code == 0 && i < n_blobs; i++)
		code = put_payload(writer, &blobs[i], err);
	return code < 0 ? code : run_plain(writer, COMMIT, "commit", err);
}

static int check_append(const struct sqlite_store *self, const struct batch *batch, const struct blob *blobs, uint32_t n_blobs,
                        struct err *err)
{
	assert(batch->n_events > 0);
	assert(batch->at_us >= 0);
	if (!self->writer)
		return err_set(err, ERR_DENIED, "journal", "opened for reading");
	if (batch->sequence != self->next_sequence)
		return err_set(err, ERR_CONFLICT, "journal", "a batch that begins with event %" PRIu64 ": expected event %" PRIu64,
		               batch->sequence, self->next_sequence);
	if (batch->len > CELL_BYTES_MAX)
		return err_set(err, ERR_TOO_LARGE, "journal", "a batch of %zu bytes: at most %d", batch->len, CELL_BYTES_MAX);
	for (uint32_t i = 0; i < n_blobs; i++)
		if (blobs[i].len > CELL_BYTES_MAX)
			return err_set(err, ERR_TOO_LARGE, "payload", "%zu bytes: at most %d", blobs[i].len, CELL_BYTES_MAX);
	return 0;
}

static int sqlite_append(struct store *store, const struct batch *batch, const struct blob *blobs, uint32_t n_blobs,
                         struct err *err)
{
	struct sqlite_store *self = self_of(store);
	int code = check_append(self, batch, blobs, n_blobs, err);

	if (code == 0)
		code = run_plain(self->writer, BEGIN, "begin a commit", err);
	if (code < 0)
		return code;
	code = put_all(self->writer, batch, blobs, n_blobs, err);
	if (code == 0)
		self->next_sequence = batch->sequence + batch->n_events;
	else if (!sqlite3_get_autocommit(self->writer->db)) /* SQLite rolls back by itself after some failures */
		run_plain(self->writer, ROLLBACK, "roll back", NULL);
	return code;
}

/* Empties the log, which still holds the pages as they were before. Not for long behind a reader, for the appending thread
 * waits: then the bytes stay in the log until the next erasure, or until it wraps. */
static int empty_log(struct connection *writer, struct err *err)
{
	int rc;

	sqlite3_busy_timeout(writer->db, SCRUB_BUSY_MS);
	rc = sqlite3_wal_checkpoint_v2(writer->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	sqlite3_busy_timeout(writer->db, BUSY_MS);
	return rc == SQLITE_OK ? 0 : failed(writer->db, rc, "empty the log of an erased payload", err);
}

/* From then on nobody reads it; what is deleted is overwritten in the file (secure_delete). */
static int sqlite_erase(struct store *store, const struct hash *hash, struct err *err)
{
	struct sqlite_store *self = self_of(store);
	sqlite3_stmt *stmt = NULL;
	int code;

	if (!self->writer)
		return err_set(err, ERR_DENIED, "journal", "opened for reading");
	code = statement(self->writer, ERASE, &stmt, err);
	if (code < 0)
		return code;
	sqlite3_bind_blob(stmt, 1, hash->bytes, HASH_BYTES, SQLITE_STATIC);
	code = finish(self->writer, stmt, "erase a payload", err);
	return code < 0 ? code : empty_log(self->writer, err);
}

/* ---- Reading ---- */

/* Fills a batch from a row; what a damaged file may hold is refused here. */
static int batch_of_row(sqlite3_stmt *stmt, struct batch *ret, struct err *err)
{
	int64_t sequence = sqlite3_column_int64(stmt, 0), n_events = sqlite3_column_int64(stmt, 1),
			at_us = sqlite3_column_int64(stmt, 2);
	const void *hash = sqlite3_column_blob(stmt, 3);

	if (sequence < 1 || n_events < 1 || n_events > UINT32_MAX || sequence > INT64_MAX - n_events || at_us < 0 || !hash ||
	    sqlite3_column_bytes(stmt, 3) != HASH_BYTES)
		return err_set(err, ERR_CORRUPT, "journal", "the row of event %" PRId64 " isn't a batch", sequence);
	*ret = (struct batch){.sequence = (uint64_t)sequence, .n_events = (uint32_t)n_events, .at_us = at_us};
	memcpy(ret->hash.bytes, hash, HASH_BYTES);
	ret->events = sqlite3_column_blob(stmt, 4);
	ret->len = (size_t)sqlite3_column_bytes(stmt, 4);
	return 0;
}

static int visit_rows(struct connection *reader, sqlite3_stmt *stmt, uint64_t from_sequence,
                      int (*visit)(void *ctx, const struct batch *batch), void *ctx, struct err *err)
{
	int rc, code = 0;

	while (!code && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct batch batch;

		code = batch_of_row(stmt, &batch, err);
		if (!code && batch.sequence + batch.n_events > from_sequence)
			code = visit(ctx, &batch);
	}
	if (!code && rc != SQLITE_DONE)
		code = failed(reader->db, rc, "read it", err);
	return code;
}

static int sqlite_read(struct store *store, uint64_t from_sequence, int (*visit)(void *ctx, const struct batch *batch), void *ctx,
                       struct err *err)
{
	struct sqlite_store *self = self_of(store);
	struct connection *reader;
	sqlite3_stmt *stmt = NULL;
	int code = reader_take(self, &reader, err);

	if (code < 0)
		return code;
	code = statement(reader, READ, &stmt, err);
	if (code == 0) {
		sqlite3_bind_int64(stmt, 1, from_sequence > INT64_MAX ? INT64_MAX : (sqlite3_int64)from_sequence);
		code = visit_rows(reader, stmt, from_sequence, visit, ctx, err);
		sqlite3_reset(stmt);
	}
	reader_give(self, reader);
	return code;
}

/* The last batch by a connection; sequence 0 where there is none. */
static int find_last(struct connection *connection, struct batch *ret, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc, code = statement(connection, LAST, &stmt, err);

	if (code < 0)
		return code;
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		code = batch_of_row(stmt, ret, err);
	else if (rc == SQLITE_DONE)
		*ret = (struct batch){0};
	else
		code = failed(connection->db, rc, "read its end", err);
	sqlite3_reset(stmt);
	return code;
}

static int sqlite_last(struct store *store, struct batch *ret, struct err *err)
{
	struct sqlite_store *self = self_of(store);
	struct connection *reader;
	int code = reader_take(self, &reader, err);

	if (code < 0)
		return code;
	code = find_last(reader, ret, err);
	reader_give(self, reader);
	return code;
}

static int find_payload(struct connection *reader, const struct hash *hash, struct buf *ret, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc, code = statement(reader, PAYLOAD, &stmt, err);

	if (code < 0)
		return code;
	sqlite3_bind_blob(stmt, 1, hash->bytes, HASH_BYTES, SQLITE_STATIC);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		buf_put(ret, sqlite3_column_blob(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0));
	else if (rc == SQLITE_DONE)
		code = err_set(err, ERR_NOT_FOUND, "payload", "never kept, or erased");
	else
		code = failed(reader->db, rc, "read a payload", err);
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return code;
}

static int sqlite_payload(struct store *store, const struct hash *hash, struct buf *ret, struct err *err)
{
	struct sqlite_store *self = self_of(store);
	struct connection *reader;
	int code = reader_take(self, &reader, err);

	if (code < 0)
		return code;
	code = find_payload(reader, hash, ret, err);
	reader_give(self, reader);
	return code;
}

static int sqlite_payloads(struct store *store, int (*visit)(void *ctx, const struct hash *hash), void *ctx, struct err *err)
{
	struct sqlite_store *self = self_of(store);
	struct connection *reader;
	sqlite3_stmt *stmt = NULL;
	int rc = SQLITE_DONE, code = reader_take(self, &reader, err);

	if (code < 0)
		return code;
	code = statement(reader, PAYLOADS, &stmt, err);
	while (!code && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct hash hash;

		if (sqlite3_column_bytes(stmt, 0) != HASH_BYTES)
			continue;
		memcpy(hash.bytes, sqlite3_column_blob(stmt, 0), HASH_BYTES);
		code = visit(ctx, &hash);
	}
	if (!code && rc != SQLITE_DONE)
		code = failed(reader->db, rc, "list its payloads", err);
	sqlite3_reset(stmt);
	reader_give(self, reader);
	return code;
}

/* ---- Snapshots ---- */

static int sqlite_snapshot_put(struct store *store, const struct snapshot *snapshot, struct err *err)
{
	const struct sqlite_store *self = self_of(store);

	if (!self->writer)
		return err_set(err, ERR_DENIED, "snapshot", "opened for reading");
	return snapshot_file_put(self->dir, snapshot, err);
}

static int sqlite_snapshot(struct store *store, uint32_t nth, struct snapshot *ret, struct buf *bytes, struct err *err)
{
	return snapshot_file_get(self_of(store)->dir, nth, ret, bytes, err);
}

/* ---- The history ---- */

static int put_job(struct connection *writer, const struct past_job *job, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int code = statement(writer, PUT_JOB, &stmt, err);

	if (code < 0)
		return code;
	sqlite3_bind_int64(stmt, 1, job->id);
	sqlite3_bind_int64(stmt, 2, job->array_of);
	sqlite3_bind_int64(stmt, 3, job->array_index);
	sqlite3_bind_int64(stmt, 4, job->attempt);
	sqlite3_bind_int64(stmt, 5, job->state);
	sqlite3_bind_int64(stmt, 6, job->ended_us);
	sqlite3_bind_text(stmt, 7, job->project, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 8, job->centre, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 9, job->record, -1, SQLITE_STATIC);
	return finish(writer, stmt, "keep a job in the history", err);
}

static int sqlite_history_put(struct store *store, const struct past_job *jobs, uint32_t n, struct err *err)
{
	struct sqlite_store *self = self_of(store);
	int code;

	if (!self->writer)
		return err_set(err, ERR_DENIED, "history", "opened for reading");
	code = run_plain(self->writer, BEGIN, "begin a commit", err);
	if (code < 0)
		return code;
	for (uint32_t i = 0; code == 0 && i < n; i++)
		code = put_job(self->writer, &jobs[i], err);
	if (code == 0)
		code = run_plain(self->writer, COMMIT, "commit", err);
	if (code < 0 && !sqlite3_get_autocommit(self->writer->db))
		run_plain(self->writer, ROLLBACK, "roll back", NULL);
	return code;
}

static const char *text_at(sqlite3_stmt *stmt, int column)
{
	const char *text = (const char *)sqlite3_column_text(stmt, column);

	return text ? text : "";
}

static struct past_job job_of_row(sqlite3_stmt *stmt)
{
	int64_t state = sqlite3_column_int64(stmt, 4);

	return (struct past_job){.id = (uint32_t)sqlite3_column_int64(stmt, 0),
	                         .array_of = (uint32_t)sqlite3_column_int64(stmt, 1),
	                         .array_index = (uint32_t)sqlite3_column_int64(stmt, 2),
	                         .attempt = (uint32_t)sqlite3_column_int64(stmt, 3),
	                         .state = state >= 0 && state < JOB_STATE_COUNT ? (enum job_state)state : JOB_UNKNOWN,
	                         .ended_us = sqlite3_column_int64(stmt, 5),
	                         .project = text_at(stmt, 6),
	                         .centre = text_at(stmt, 7),
	                         .record = text_at(stmt, 8)};
}

static enum statement statement_of(const struct past_query *query)
{
	if (query->array_of)
		return JOBS_OF_ARRAY;
	if (query->state >= 0)
		return query->project ? JOBS_OF_BOTH : JOBS_OF_STATE;
	return query->project ? JOBS_OF_PROJECT : JOBS;
}

/* A statement takes the parameters that it has. */
static void bind_query(sqlite3_stmt *stmt, const struct past_query *query)
{
	sqlite3_bind_int64(stmt, 1, query->after);
	sqlite3_bind_int64(stmt, 2, query->before);
	sqlite3_bind_int64(stmt, 3, query->limit);
	if (query->array_of) {
		sqlite3_bind_int64(stmt, 6, query->array_of);
		sqlite3_bind_int64(stmt, 7, query->array_index);
		return;
	}
	if (query->state >= 0)
		sqlite3_bind_int64(stmt, 4, query->state);
	if (query->project)
		sqlite3_bind_text(stmt, 5, query->project, -1, SQLITE_TRANSIENT);
}

static bool is_of_query(const struct past_query *query, const struct past_job *job)
{
	return !query->array_of || ((query->state < 0 || job->state == (enum job_state)query->state) &&
	                            (!query->project || !strcmp(query->project, job->project)));
}

static int sqlite_history(struct store *store, const struct past_query *query,
                          int (*visit)(void *ctx, const struct past_job *job), void *ctx, struct err *err)
{
	struct sqlite_store *self = self_of(store);
	struct connection *reader;
	sqlite3_stmt *stmt = NULL;
	int rc = SQLITE_DONE, code = reader_take(self, &reader, err);

	if (code < 0)
		return code;
	code = statement(reader, statement_of(query), &stmt, err);
	if (!code)
		bind_query(stmt, query);
	while (!code && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct past_job job = job_of_row(stmt);

		if (is_of_query(query, &job))
			code = visit(ctx, &job);
	}
	if (!code && rc != SQLITE_DONE)
		code = failed(reader->db, rc, "read the history", err);
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	reader_give(self, reader);
	return code;
}

/* ---- Opening and closing ---- */

/* Makes the file before SQLite does, for its mode: the log and its index take theirs from it. Its name is durable after this.
 * Only an owner comes here, and before its first connection: closing a file drops the process's locks on it. */
static int make_file(const char *dir, const char *path, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), dir_fd, code = 0;

	if (fd < 0)
		return file_failed("open this file", path, err);
	if (fchmod(fd, 0600) < 0)
		code = file_failed("set the mode of this file", path, err);
	close(fd);
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!code && (dir_fd < 0 || fsync(dir_fd) < 0))
		code = file_failed("sync this directory", dir, err);
	if (dir_fd >= 0)
		close(dir_fd);
	return code;
}

/* Whose file it is, and of which version, 0: nobody's yet. */
static int check_head(struct connection *connection, int64_t *ret_version, struct err *err)
{
	int64_t application = 0, version = 0, tables = 0;
	int code = ask(connection, "PRAGMA application_id", &application, err);

	if (code == 0)
		code = ask(connection, "PRAGMA user_version", &version, err);
	if (code == 0)
		code = ask(connection, "SELECT count(*) FROM sqlite_schema", &tables, err);
	if (code < 0)
		return code;
	if ((application || version || tables) && application != APPLICATION_ID)
		return err_set(err, ERR_INVALID, "journal", "a database of another program, not a journal");
	if (version > SCHEMA_VERSION)
		return err_set(err, ERR_UNSUPPORTED, "journal",
		               "schema version %" PRId64 " is newer than this program's, %d: use the suand that wrote it, or a later one",
		               version, SCHEMA_VERSION);
	*ret_version = version;
	return 0;
}

/* Makes what a file of this version lacks. */
static int make_schema(struct connection *writer, int64_t version, struct err *err)
{
	char head[96];
	int code;

	sqlite3_snprintf(sizeof head, head, "PRAGMA application_id = %d; PRAGMA user_version = %d", APPLICATION_ID, SCHEMA_VERSION);
	code = run_plain(writer, BEGIN, "begin a commit", err);
	if (code == 0 && version < 1)
		code = run_text(writer, schema, "make its tables", err);
	if (code == 0)
		code = run_text(writer, schema_of_history, "make its history", err);
	if (code == 0)
		code = run_text(writer, head, "mark it as a journal", err);
	return code < 0 ? code : run_plain(writer, COMMIT, "commit", err);
}

static int open_writer(struct sqlite_store *self, const char *dir, struct err *err)
{
	int64_t version = 0;
	struct batch last;
	int code = make_file(dir, self->path, err);

	if (code == 0)
		code = connection_open(self->path, SQLITE_OPEN_READWRITE, &self->writer, err);
	if (code == 0)
		code = check_head(self->writer, &version, err); /* before anything is written to what may be another's */
	if (code == 0)
		code = run_text(self->writer,
		                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;"
		                "PRAGMA journal_size_limit = 67108864",
		                "set it up", err);
	if (code == 0 && version < SCHEMA_VERSION)
		code = make_schema(self->writer, version, err);
	if (code == 0)
		code = find_last(self->writer, &last, err);
	if (code == 0)
		self->next_sequence = last.sequence ? last.sequence + last.n_events : 1;
	return code;
}

static int open_reader(struct sqlite_store *self, struct err *err)
{
	struct connection *reader;
	int64_t version;
	struct stat st;
	int code;

	if (stat(self->path, &st) < 0)
		return file_failed("find a journal", self->path, err);
	code = reader_take(self, &reader, err);
	if (code < 0)
		return code;
	code = check_head(reader, &version, err);
	if (code == 0 && version == 0)
		code = err_set(err, ERR_NOT_FOUND, "journal", "%.400s: nothing was written to it yet", self->path);
	reader_give(self, reader);
	return code;
}

static struct store *sqlite_close(struct store *store)
{
	struct sqlite_store *self = self_of(store);

	if (!self)
		return NULL;
	while (self->readers) {
		struct connection *next = self->readers->next;

		connection_free(self->readers);
		self->readers = next;
	}
	connection_free(self->writer); /* last: it then takes the log into the file */
	pthread_mutex_destroy(&self->mutex);
	free(self);
	return NULL;
}

int sqlite_store_limit(struct store *store, uint64_t bytes, struct err *err)
{
	struct sqlite_store *self = self_of(store);
	int64_t page_size = 0;
	char sql[64];
	int code;

	if (!self->writer)
		return err_set(err, ERR_DENIED, "journal", "opened for reading");
	code = ask(self->writer, "PRAGMA page_size", &page_size, err);
	if (code < 0)
		return code;
	sqlite3_snprintf(sizeof sql, sql, "PRAGMA max_page_count = %lld", bytes ? (bytes + page_size - 1) / page_size : 0xfffffffe);
	return run_text(self->writer, sql, "bound it", err);
}

int sqlite_store_open(const char *dir, bool reader, struct store **ret, struct err *err)
{
	static const struct store_ops ops = {
		.name = "sqlite",
		.append = sqlite_append,
		.read = sqlite_read,
		.last = sqlite_last,
		.payload = sqlite_payload,
		.erase = sqlite_erase,
		.payloads = sqlite_payloads,
		.snapshot_put = sqlite_snapshot_put,
		.snapshot = sqlite_snapshot,
		.history_put = sqlite_history_put,
		.history = sqlite_history,
		.close = sqlite_close,
	};
	struct sqlite_store *self = calloc(1, sizeof *self);
	int code = 0;

	if (!self)
		return err_set(err, ERR_NOMEM, "journal", "out of memory");
	self->store.ops = &ops;
	pthread_mutex_init(&self->mutex, NULL);
	if (snprintf(self->dir, sizeof self->dir, "%s", dir) >= (int)sizeof self->dir)
		code = err_set(err, ERR_INVALID, "journal", "the directory's name is longer than %zu bytes", sizeof self->dir - 1);
	else
		snprintf(self->path, sizeof self->path, "%s/journal.db", dir);
	if (code == 0 && !reader)
		code = state_dir(dir, err);
	if (code == 0)
		code = reader ? open_reader(self, err) : open_writer(self, dir, err);
	if (code < 0) {
		sqlite_close(&self->store);
		return code;
	}
	*ret = &self->store;
	return 0;
}
