/* SPDX-License-Identifier: Apache-2.0
 * sqlite.c: the journal, the payloads and the history in one SQLite file; see sqlite_inside.h for what is where.
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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/snapshot_file.h"
#include "store/sqlite_inside.h"

enum {
	APPLICATION_ID = 0x5375616e, /* "Suan" */
	SCHEMA_VERSION = 3,
	CELL_BYTES_MAX = 512 << 20, /* of one batch or payload; SQLite itself takes 1,000,000,000 */
};

/* What each version brought. */
static const char schema_1[] = "CREATE TABLE batch("
							   " sequence INTEGER PRIMARY KEY," /* of its first event */
							   " n_events INTEGER NOT NULL,"
							   " at_us INTEGER NOT NULL,"
							   " hash BLOB NOT NULL,"
							   " events BLOB NOT NULL);";

static const char schema_2[] = "CREATE TABLE history("
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

static const char schema_3[] = "CREATE TABLE payload(id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);"
							   "CREATE TABLE payload_hash(id INTEGER PRIMARY KEY, hash BLOB NOT NULL);";

/* Until version 3 payloads had an index by their hash, in one table with their bytes. */
static const char before_3[] = "ALTER TABLE payload RENAME TO payload_by_hash";
static const char after_3[] = "INSERT INTO payload_hash(id, hash) SELECT rowid, hash FROM payload_by_hash ORDER BY rowid;"
							  "INSERT INTO payload(id, bytes) SELECT rowid, bytes FROM payload_by_hash ORDER BY rowid;"
							  "DROP TABLE payload_by_hash";

/* ---- Appending ---- */

static int put_batch(struct connection *writer, const struct batch *batch, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int code = sql_statement(writer, PUT_BATCH, &stmt, err);

	if (code < 0)
		return code;
	sqlite3_bind_int64(stmt, 1, (sqlite3_int64)batch->sequence);
	sqlite3_bind_int64(stmt, 2, batch->n_events);
	sqlite3_bind_int64(stmt, 3, batch->at_us);
	sqlite3_bind_blob(stmt, 4, batch->hash.bytes, HASH_BYTES, SQLITE_STATIC);
	sqlite3_bind_blob64(stmt, 5, batch->events, batch->len, SQLITE_STATIC);
	return sql_finish(writer, stmt, "append a batch", err);
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
	uint64_t before = self->index.seen;
	int code = check_append(self, batch, blobs, n_blobs, err);

	if (code == 0)
		code = sql_run(self->writer, BEGIN, "begin a commit", err);
	if (code < 0)
		return code;
	code = put_batch(self->writer, batch, err);
	if (code == 0)
		code = payloads_put_all(self, batch->sequence, blobs, n_blobs, err);
	code = sql_end(self->writer, code, err);
	if (code < 0)
		payloads_take_back(self, before, blobs, n_blobs);
	else
		self->next_sequence = batch->sequence + batch->n_events;
	return code;
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
		code = sql_failed(reader->db, rc, "read it", err);
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
	code = sql_statement(reader, READ, &stmt, err);
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
	int rc, code = sql_statement(connection, LAST, &stmt, err);

	if (code < 0)
		return code;
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		code = batch_of_row(stmt, ret, err);
	else if (rc == SQLITE_DONE)
		*ret = (struct batch){0};
	else
		code = sql_failed(connection->db, rc, "read its end", err);
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
	int code = sql_ask(connection, "PRAGMA application_id", &application, err);

	if (code == 0)
		code = sql_ask(connection, "PRAGMA user_version", &version, err);
	if (code == 0)
		code = sql_ask(connection, "SELECT count(*) FROM sqlite_schema", &tables, err);
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

/* Makes what a file of this version lacks, or changes what it has otherwise; all or nothing. */
static int make_schema(struct connection *writer, int64_t version, struct err *err)
{
	const struct {
		bool due;
		const char *text;
	} steps[] = {
		{version < 1, schema_1}, {version < 2, schema_2}, {version >= 1, before_3}, {true, schema_3}, {version >= 1, after_3},
	};
	char head[96];
	int code = sql_run(writer, BEGIN, "begin a commit", err);

	for (size_t i = 0; code == 0 && i < sizeof steps / sizeof *steps; i++)
		if (steps[i].due)
			code = sql_text(writer, steps[i].text, "bring its tables up to date", err);
	sqlite3_snprintf(sizeof head, head, "PRAGMA application_id = %d; PRAGMA user_version = %d", APPLICATION_ID, SCHEMA_VERSION);
	if (code == 0)
		code = sql_text(writer, head, "mark it as a journal", err);
	return code < 0 ? code : sql_run(writer, COMMIT, "commit", err);
}

static int open_writer(struct sqlite_store *self, const char *dir, struct err *err)
{
	struct batch last;
	int code = make_file(dir, self->path, err);

	if (code == 0)
		code = connection_open(self->path, SQLITE_OPEN_READWRITE, &self->writer, err);
	if (code == 0)
		code = check_head(self->writer, &self->version, err); /* before anything is written to what may be another's */
	if (code == 0)
		code = sql_text(self->writer,
		                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;"
		                "PRAGMA journal_size_limit = 67108864",
		                "set it up", err);
	if (code == 0 && self->version < SCHEMA_VERSION)
		code = make_schema(self->writer, self->version, err);
	self->version = SCHEMA_VERSION;
	if (code == 0)
		code = find_last(self->writer, &last, err);
	if (code == 0)
		code = payloads_index(self, err);
	if (code == 0)
		self->next_sequence = last.sequence ? last.sequence + last.n_events : 1;
	return code;
}

static int open_reader(struct sqlite_store *self, struct err *err)
{
	struct connection *reader;
	struct stat st;
	int code;

	if (stat(self->path, &st) < 0)
		return file_failed("find a journal", self->path, err);
	code = reader_take(self, &reader, err);
	if (code < 0)
		return code;
	code = check_head(reader, &self->version, err);
	if (code == 0 && self->version == 0)
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
	payload_index_done(&self->index);
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
	code = sql_ask(self->writer, "PRAGMA page_size", &page_size, err);
	if (code < 0)
		return code;
	sqlite3_snprintf(sizeof sql, sql, "PRAGMA max_page_count = %lld", bytes ? (bytes + page_size - 1) / page_size : 0xfffffffe);
	return sql_text(self->writer, sql, "bound it", err);
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
		.history_ids = sqlite_history_ids,
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
