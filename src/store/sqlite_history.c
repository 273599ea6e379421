/* SPDX-License-Identifier: Apache-2.0
 * sqlite_history.c: the jobs that have left the core, a row each; see sqlite_inside.h. */
#include <stdlib.h>
#include <string.h>

#include "store/sqlite_inside.h"

static int put_job(struct connection *writer, const struct past_job *job, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int code = sql_statement(writer, PUT_JOB, &stmt, err);

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
	return sql_finish(writer, stmt, "keep a job in the history", err);
}

int sqlite_history_put(struct store *store, const struct past_job *jobs, uint32_t n, struct err *err)
{
	struct sqlite_store *self = self_of(store);
	int code;

	if (!self->writer)
		return err_set(err, ERR_DENIED, "history", "opened for reading");
	code = sql_run(self->writer, BEGIN, "begin a commit", err);
	if (code < 0)
		return code;
	for (uint32_t i = 0; code == 0 && i < n; i++)
		code = put_job(self->writer, &jobs[i], err);
	return sql_end(self->writer, code, err);
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

static enum sql statement_of(const struct past_query *query)
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

int sqlite_history(struct store *store, const struct past_query *query, int (*visit)(void *ctx, const struct past_job *job),
                   void *ctx, struct err *err)
{
	struct sqlite_store *self = self_of(store);
	struct connection *reader;
	sqlite3_stmt *stmt = NULL;
	int rc = SQLITE_DONE, code = reader_take(self, &reader, err);

	if (code < 0)
		return code;
	code = sql_statement(reader, statement_of(query), &stmt, err);
	if (!code)
		bind_query(stmt, query);
	while (!code && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct past_job job = job_of_row(stmt);

		if (is_of_query(query, &job))
			code = visit(ctx, &job);
	}
	if (!code && rc != SQLITE_DONE)
		code = sql_failed(reader->db, rc, "read the history", err);
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	reader_give(self, reader);
	return code;
}

int sqlite_history_ids(struct store *store, int (*visit)(void *ctx, uint32_t job), void *ctx, struct err *err)
{
	struct sqlite_store *self = self_of(store);
	struct connection *reader;
	sqlite3_stmt *stmt = NULL;
	int rc = SQLITE_DONE, code = reader_take(self, &reader, err);

	if (code < 0)
		return code;
	code = sql_statement(reader, JOB_IDS, &stmt, err);
	while (!code && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
		code = visit(ctx, (uint32_t)sqlite3_column_int64(stmt, 0));
	if (!code && rc != SQLITE_DONE)
		code = sql_failed(reader->db, rc, "read the history", err);
	sqlite3_reset(stmt);
	reader_give(self, reader);
	return code;
}
