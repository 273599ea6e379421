/* SPDX-License-Identifier: Apache-2.0
 * sqlite_inside.h: what the files of the SQLite store share.
 *
 *   sqlite.c             the file, its schema, the journal's batches
 *   sqlite_connection.c  connections, their statements, errors
 *   sqlite_payload.c     payloads, and the index by which they are found
 *   sqlite_history.c     jobs that have left the core */
#ifndef SUAN_STORE_SQLITE_INSIDE_H
#define SUAN_STORE_SQLITE_INSIDE_H

#include <pthread.h>
#include <sqlite3.h>

#include "store/stores.h"

/* ---- Connections ---- */

enum sql {
	BEGIN,
	COMMIT,
	ROLLBACK,
	PUT_BATCH,
	PUT_PAYLOAD,
	PUT_HASH,
	ERASE,
	ERASE_HASH,
	LAST,
	READ,
	HAS_HASH,
	PAYLOAD,
	PAYLOADS,
	OLD_PAYLOAD,
	OLD_PAYLOADS,
	PUT_JOB,
	JOB_IDS,
	JOBS,
	JOBS_OF_STATE,
	JOBS_OF_PROJECT,
	JOBS_OF_BOTH,
	JOBS_OF_ARRAY,
	SQL_COUNT
};

/* A connection with its statements, which are prepared when they are first used. */
struct connection {
	sqlite3 *db;
	sqlite3_stmt *statements[SQL_COUNT];
	struct connection *next; /* among those kept */
};

enum { BUSY_MS = 5000 }; /* how long a connection waits for another */

/* Opens the file, with sqlite3_open_v2's flags. *ret is the caller's, to free. */
int connection_open(const char *path, int flags, struct connection **ret, struct err *err);
struct connection *connection_free(struct connection *connection);

/* Fills *err from what SQLite said: what couldn't be done ("append a batch"). Returns its code. */
int sql_failed(sqlite3 *db, int rc, const char *what, struct err *err);

/* The statement, ready for its parameters. */
int sql_statement(struct connection *connection, enum sql which, sqlite3_stmt **ret, struct err *err);
/* Runs a statement that yields no row, and makes it ready for its next use. */
int sql_finish(struct connection *connection, sqlite3_stmt *stmt, const char *what, struct err *err);
/* Both, for one without parameters. */
int sql_run(struct connection *connection, enum sql which, const char *what, struct err *err);
/* Runs a text of statements. */
int sql_text(struct connection *connection, const char *sql, const char *what, struct err *err);
/* The one integer that a query yields. */
int sql_ask(struct connection *connection, const char *sql, int64_t *ret, struct err *err);
/* Ends the writer's transaction: commits, or where `code` is a failure rolls back and returns it. */
int sql_end(struct connection *writer, int code, struct err *err);

/* ---- The store ---- */

struct payload_index {
	struct payload_slot *slots;
	uint32_t cap, n; /* cap: 0 or a power of two */
	uint64_t seen;   /* the greatest number that was ever in it */
};

struct sqlite_store {
	struct store store;
	char dir[4096 - 16], path[4096];
	int64_t version;           /* of the file's schema */
	struct connection *writer; /* NULL in a reader's store */
	uint64_t next_sequence;
	pthread_mutex_t mutex; /* over what follows */
	struct connection *readers;
	uint32_t n_readers;
	struct payload_index index;
};

static inline struct sqlite_store *self_of(struct store *store)
{
	return (struct sqlite_store *)store;
}

/* A connection for reading, of those kept or a new one; and back. */
int reader_take(struct sqlite_store *self, struct connection **ret, struct err *err);
void reader_give(struct sqlite_store *self, struct connection *connection);

/* ---- Payloads ---- */

/* Reads the index of what is there. The writer's, before it appends. Cost: O(payloads). */
int payloads_index(struct sqlite_store *self, struct err *err);
/* Keeps payloads, within a transaction of the writer; `sequence` is of the first event of their batch. */
int payloads_put_all(struct sqlite_store *self, uint64_t sequence, const struct blob *blobs, uint32_t n, struct err *err);
/* That transaction was rolled back: what of these has a number above `before` isn't there. */
void payloads_take_back(struct sqlite_store *self, uint64_t before, const struct blob *blobs, uint32_t n);
void payload_index_done(struct payload_index *index);

int sqlite_erase(struct store *store, const struct hash *hash, struct err *err);
int sqlite_payload(struct store *store, const struct hash *hash, struct buf *ret, struct err *err);
int sqlite_payloads(struct store *store, int (*visit)(void *ctx, const struct hash *hash), void *ctx, struct err *err);

/* ---- The history ---- */

int sqlite_history_put(struct store *store, const struct past_job *jobs, uint32_t n, struct err *err);
int sqlite_history(struct store *store, const struct past_query *query, int (*visit)(void *ctx, const struct past_job *job),
                   void *ctx, struct err *err);
int sqlite_history_ids(struct store *store, int (*visit)(void *ctx, uint32_t job), void *ctx, struct err *err);

#endif
