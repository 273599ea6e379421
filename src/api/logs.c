/* SPDX-License-Identifier: Apache-2.0
 * logs.c: a task's output, as it is or as it grows. The file is read as the client takes it: nothing is kept here. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/inside.h"
#include "api/past.h"

enum { LOG_BLOCK = 32 << 10, LOG_POLL_US = 200000 };

struct output {
	struct exchange *ex;
	int fd; /* below 0: there is none yet */
	uint32_t job, attempt, rank;
	uint64_t offset, end; /* end: where a log that isn't followed ends */
	bool follow;
};

/* Whether nothing more can come. A job that waits gets its output with its next attempt: *output takes that one. */
static bool is_over(struct output *output)
{
	struct service *service = output->ex->api->service;
	const struct job *job = core_job(service->ops->read_begin(service, false), output->job);
	bool over = !job || job_is_over(job);

	if (!over && !output->attempt)
		output->attempt = job->attempt;
	if (!over && output->attempt)
		over = job->attempt != output->attempt || !job_is_live(job);
	service->ops->read_end(service);
	return over;
}

static ssize_t read_some(struct output *output, char *to, size_t max)
{
	struct service *service = output->ex->api->service;
	ssize_t n;

	if (output->fd < 0 &&
	    (!output->attempt || service->ops->log_open(service, output->job, output->attempt, output->rank, &output->fd, NULL) < 0))
		return 0;
	if (!output->follow && max > output->end - output->offset)
		max = output->end - output->offset;
	do
		n = pread(output->fd, to, max, (off_t)output->offset);
	while (n < 0 && errno == EINTR);
	return n;
}

static ssize_t on_read(void *ctx, uint64_t pos, char *to, size_t max)
{
	struct output *output = ctx;
	struct waits *waits = &output->ex->api->waits;

	(void)pos;
	for (;;) {
		/* Looked at first: what is written before its end is read after it. */
		bool over = !output->follow || is_over(output);
		ssize_t n = read_some(output, to, max);

		if (n < 0)
			return MHD_CONTENT_READER_END_WITH_ERROR;
		if (n > 0) {
			output->offset += (uint64_t)n;
			return n;
		}
		if (over || waits_stopping(waits))
			return MHD_CONTENT_READER_END_OF_STREAM;
		output->ex->waiter.due_us = wait_clock() + LOG_POLL_US;
		if (wait_for(waits, &output->ex->waiter))
			return 0;
	}
}

static void on_free(void *ctx)
{
	struct output *output = ctx;

	if (output->fd >= 0)
		close(output->fd);
	free(output);
}

static int read_query(struct exchange *ex, struct output *output, struct err *err)
{
	uint64_t rank, attempt;

	if (exchange_number(ex, "node", 0, JOB_NODES_MAX, 0, &rank, err) < 0 ||
	    exchange_number(ex, "attempt", 1, UINT32_MAX, 0, &attempt, err) < 0 ||
	    exchange_number(ex, "offset", 0, INT64_MAX, 0, &output->offset, err) < 0 ||
	    exchange_flag(ex, "follow", &output->follow, err) < 0)
		return err->code;
	output->rank = (uint32_t)rank;
	output->attempt = (uint32_t)attempt;
	return 0;
}

static int check_output(const struct core *core, const struct job *job, const struct job_id *id, const struct output *output,
                        struct err *err)
{
	if (job->array)
		return err_set(err, ERR_NOT_FOUND, "id", "%u: an array has no output of its own; ask for an element, such as %u_%u",
		               job->id, job->id, id->is_element ? id->index : job->array->ranges[0].first);
	if (output->attempt > job->attempt)
		return err_set(err, ERR_NOT_FOUND, "attempt", "%u: job %u has had %u", output->attempt, job->id, job->attempt);
	if (output->rank >= core_job_group(core, job)->nodes)
		return err_set(err, ERR_NOT_FOUND, "node", "%u: job %u runs on nodes 0 to %u", output->rank, job->id,
		               core_job_group(core, job)->nodes - 1);
	return 0;
}

/* Of a job that has left the core: its output stays for a while. */
static int find_past_output(struct exchange *ex, const struct job_id *id, struct output *output, struct err *err)
{
	struct past past;
	int code = past_find(ex->api->service, id, &past, err);

	if (code < 0)
		return code;
	if (json_is_object(json_object_get(past.json, "array")))
		code = err_set(err, ERR_NOT_FOUND, "id", "%u: an array has no output of its own; ask for an element", past.job);
	else if (output->attempt > past.attempt)
		code = err_set(err, ERR_NOT_FOUND, "attempt", "%u: job %u has had %u", output->attempt, past.job, past.attempt);
	output->job = past.job;
	output->attempt = output->attempt ? output->attempt : past.attempt;
	json_decref(past.json);
	return code;
}

/* Which job and attempt; *ret_waits: its output can still come. */
static int find_output(struct exchange *ex, struct output *output, bool *ret_waits, struct err *err)
{
	struct service *service = ex->api->service;
	const struct core *core;
	const struct job *job;
	struct job_id id;
	int code = job_id_parse(ex->id, &id, err);

	if (code < 0)
		return code;
	core = service->ops->read_begin(service, false);
	job = job_id_find(core, &id, err);
	code = job ? check_output(core, job, &id, output, err) : err->code;
	if (!code) {
		output->job = job->id;
		output->attempt = output->attempt ? output->attempt : job->attempt;
		*ret_waits = !job_is_over(job) && output->attempt == job->attempt;
	}
	service->ops->read_end(service);
	return job || code != ERR_NOT_FOUND ? code : find_past_output(ex, &id, output, err);
}

static enum MHD_Result stream(struct exchange *ex, struct output *output)
{
	struct MHD_Response *response;
	char offset[24];
	struct stat st;

	if (output->fd >= 0 && fstat(output->fd, &st) == 0)
		output->end = (uint64_t)st.st_size;
	if (output->end < output->offset)
		output->end = output->offset;
	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, LOG_BLOCK, on_read, output, on_free);
	if (!response) {
		on_free(output);
		return MHD_NO;
	}
	snprintf(offset, sizeof offset, "%llu", (unsigned long long)output->offset);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain; charset=utf-8");
	MHD_add_response_header(response, "Suan-Log-Offset", offset);
	return reply_response(ex, MHD_HTTP_OK, response);
}

enum MHD_Result get_logs(struct exchange *ex)
{
	struct service *service = ex->api->service;
	struct output *output = calloc(1, sizeof *output);
	struct err err = {0};
	bool waits = false;
	int code;

	if (!output)
		return MHD_NO;
	output->ex = ex;
	output->fd = -1;
	code = read_query(ex, output, &err);
	if (code < 0) {
		on_free(output);
		return reply_problem(ex, MHD_HTTP_BAD_REQUEST, &err);
	}
	code = find_output(ex, output, &waits, &err);
	if (code < 0)
		waits = false;
	else
		code = service->ops->log_open(service, output->job, output->attempt, output->rank, &output->fd, &err);
	if (code == ERR_NOT_FOUND && waits && output->follow)
		code = 0;
	if (!code && output->follow && !exchange_streams(ex))
		code = err_set(&err, ERR_BUSY, NULL, "%d streams are open already", STREAMS_MAX);
	if (code < 0) {
		on_free(output);
		return reply_problem(ex, 0, &err);
	}
	return stream(ex, output);
}
