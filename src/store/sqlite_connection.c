/* SPDX-License-Identifier: Apache-2.0
 * sqlite_connection.c: a connection to the journal's file, its statements and what its errors mean; see sqlite_inside.h. All
 * SQL that is run more than once stands here. */
#include <errno.h>
#include <stdlib.h>

#include "store/sqlite_inside.h"

enum { READERS_KEPT = 4 };

/* The columns of a job of the history, as job_of_row takes them, and what each statement over them ends with. */
#define JOB_COLUMNS "SELECT id, array_of, array_index, attempt, state, ended_us, project, centre, record FROM history"
#define JOB_ORDER " AND id > ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"

/* A batch is found from any of its events: it is the last one that begins at or before it. */
static const char *const statement_text[] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[PUT_BATCH] = "INSERT INTO batch(sequence, n_events, at_us, hash, events) VALUES(?1, ?2, ?3, ?4, ?5)",
	[PUT_PAYLOAD] = "INSERT INTO payload(id, bytes) VALUES(?1, ?2)",
	[PUT_HASH] = "INSERT INTO payload_hash(id, hash) VALUES(?1, ?2)",
	[ERASE] = "DELETE FROM payload WHERE id = ?1",
	[ERASE_HASH] = "DELETE FROM payload_hash WHERE id = ?1",
	[LAST] = "SELECT sequence, n_events, at_us, hash, NULL FROM batch ORDER BY sequence DESC LIMIT 1",
	[READ] = ("SELECT sequence, n_events, at_us, hash, events FROM batch"
              " WHERE sequence >= (SELECT coalesce(max(sequence), 0) FROM batch WHERE sequence <= ?1) ORDER BY sequence"),
	[HAS_HASH] = "SELECT id FROM payload_hash WHERE id = ?1 AND hash = ?2",
	[PAYLOAD] = "SELECT bytes FROM payload WHERE id = (SELECT id FROM payload_hash WHERE id = ?1 AND hash = ?2)",
	[PAYLOADS] = "SELECT id, hash FROM payload_hash WHERE id > ?1 ORDER BY id",
	[OLD_PAYLOAD] = "SELECT bytes FROM payload WHERE hash = ?2",
	[OLD_PAYLOADS] = "SELECT rowid, hash FROM payload WHERE rowid > ?1 ORDER BY rowid",
	[PUT_JOB] = ("INSERT OR IGNORE INTO history(id, array_of, array_index, attempt, state, ended_us, project, centre, record)"
                 " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"),
	[JOB_IDS] = "SELECT id FROM history",
	[JOBS] = JOB_COLUMNS " WHERE true" JOB_ORDER,
	[JOBS_OF_STATE] = JOB_COLUMNS " WHERE state = ?4" JOB_ORDER,
	[JOBS_OF_PROJECT] = JOB_COLUMNS " WHERE project = ?5" JOB_ORDER,
	[JOBS_OF_BOTH] = JOB_COLUMNS " WHERE state = ?4 AND project = ?5" JOB_ORDER,
	[JOBS_OF_ARRAY] = JOB_COLUMNS " WHERE array_of > 0 AND array_of = ?6 AND array_index = ?7" JOB_ORDER,
};

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

int sql_failed(sqlite3 *db, int rc, const char *what, struct err *err)
{
	return err_set(err, code_of(db, rc), "journal", "can't %s: %s", what, db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
}

/* ---- Connections ---- */

struct connection *connection_free(struct connection *connection)
{
	if (!connection)
		return NULL;
	for (int i = 0; i < SQL_COUNT; i++)
		sqlite3_finalize(connection->statements[i]);
	sqlite3_close(connection->db);
	free(connection);
	return NULL;
}

int connection_open(const char *path, int flags, struct connection **ret, struct err *err)
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
		code = sql_failed(connection->db, rc, "open it", err);
		connection_free(connection);
		return code;
	}
	*ret = connection;
	return 0;
}

int sql_statement(struct connection *connection, enum sql which, sqlite3_stmt **ret, struct err *err)
{
	int rc;

	if (!connection->statements[which]) {
		rc = sqlite3_prepare_v3(connection->db, statement_text[which], -1, SQLITE_PREPARE_PERSISTENT,
		                        &connection->statements[which], NULL);
		if (rc != SQLITE_OK)
			return sql_failed(connection->db, rc, "prepare a statement", err);
	}
	*ret = connection->statements[which];
	return 0;
}

int sql_finish(struct connection *connection, sqlite3_stmt *stmt, const char *what, struct err *err)
{
	int rc = sqlite3_step(stmt), code = rc == SQLITE_DONE ? 0 : sql_failed(connection->db, rc, what, err);

	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return code;
}

int sql_run(struct connection *connection, enum sql which, const char *what, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int code = sql_statement(connection, which, &stmt, err);

	return code < 0 ? code : sql_finish(connection, stmt, what, err);
}

int sql_text(struct connection *connection, const char *sql, const char *what, struct err *err)
{
	int rc = sqlite3_exec(connection->db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : sql_failed(connection->db, rc, what, err);
}

int sql_ask(struct connection *connection, const char *sql, int64_t *ret, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(connection->db, sql, -1, &stmt, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*ret = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return rc == SQLITE_ROW ? 0 : sql_failed(connection->db, rc, "read its head", err);
}

int sql_end(struct connection *writer, int code, struct err *err)
{
	if (code == 0)
		code = sql_run(writer, COMMIT, "commit", err);
	if (code < 0 && !sqlite3_get_autocommit(writer->db)) /* SQLite rolls back by itself after some failures */
		sql_run(writer, ROLLBACK, "roll back", NULL);
	return code;
}

/* ---- Those that read ---- */

int reader_take(struct sqlite_store *self, struct connection **ret, struct err *err)
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

void reader_give(struct sqlite_store *self, struct connection *connection)
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
