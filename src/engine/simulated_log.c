/* SPDX-License-Identifier: Apache-2.0
 * simulated_log.c: a simulated centre's memory; see simulated_log.h. */
#include "engine/simulated_log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/files.h"

#define LOG_NAME "attempts.log"

enum { RECORD_BYTES_MAX = 256, LOG_BYTES_MAX = 1 << 30 };

static uint32_t checksum(const void *bytes, size_t len)
{
	const uint8_t *at = bytes;
	uint32_t sum = 0x811c9dc5u; /* FNV-1a */

	for (size_t i = 0; i < len; i++)
		sum = (sum ^ at[i]) * 0x01000193u;
	return sum;
}

static void record_encode(const struct simulated *s, bool forgotten, struct buf *buf)
{
	buf_put_uint(buf, s->job);
	buf_put_uint(buf, s->attempt);
	buf_put_u8(buf, forgotten);
	buf_put_u8(buf, s->held);
	buf_put_int(buf, s->run_us);
	buf_put_int(buf, s->limit_us);
	buf_put_int(buf, s->startup_us);
	buf_put_int(buf, s->exit_code);
	buf_put_int(buf, s->released_us);
	buf_put_int(buf, s->killed_us);
	buf_put_uint(buf, (uint64_t)s->cause);
}

static bool record_decode(struct reader *r, struct simulated *ret, bool *ret_forgotten)
{
	ret->job = (uint32_t)read_uint_max(r, UINT32_MAX);
	ret->attempt = (uint32_t)read_uint_max(r, UINT32_MAX);
	*ret_forgotten = read_u8(r) != 0;
	ret->held = read_u8(r) != 0;
	ret->run_us = read_int(r);
	ret->limit_us = read_int(r);
	ret->startup_us = read_int(r);
	ret->exit_code = (int32_t)read_int(r);
	ret->released_us = read_int(r);
	ret->killed_us = read_int(r);
	ret->cause = (enum cause)read_uint_max(r, CAUSE_COUNT - 1);
	return !r->bad && r->at == r->end && ret->run_us >= 0 && ret->limit_us >= 0 && ret->startup_us >= 0 &&
	       ret->released_us >= 0 && ret->killed_us >= 0;
}

void simulated_log_put(struct simulated_log *log, const struct simulated *s, bool forgotten)
{
	struct buf record = {0};
	uint32_t sum;

	record_encode(s, forgotten, &record);
	sum = checksum(record.data, record.len);
	buf_put_uint(&log->pending, record.len);
	for (unsigned shift = 0; shift < 32; shift += 8)
		buf_put_u8(&log->pending, (uint8_t)(sum >> shift));
	buf_put(&log->pending, record.data, record.len);
	log->n_records++;
	buf_done(&record);
}

/* Returns false at the end, or at what isn't a whole record. */
static bool read_record(struct reader *r, struct simulated *ret, bool *ret_forgotten)
{
	size_t len = (size_t)read_uint_max(r, RECORD_BYTES_MAX);
	uint32_t sum = 0;
	const void *bytes;
	struct reader inner;

	for (unsigned shift = 0; shift < 32; shift += 8)
		sum |= (uint32_t)read_u8(r) << shift;
	bytes = read_bytes(r, len);
	if (!bytes || checksum(bytes, len) != sum)
		return false;
	inner = reader_of(bytes, len);
	return record_decode(&inner, ret, ret_forgotten);
}

int simulated_log_open(struct simulated_log *log, int dir, void (*visit)(void *ctx, const struct simulated *s, bool forgotten),
                       void *ctx, struct err *err)
{
	struct buf bytes = {0};
	struct reader r;
	struct simulated s;
	size_t whole = 0;
	bool forgotten;
	int code;

	*log = (struct simulated_log){.dir = dir, .fd = -1};
	code = file_read(dir, LOG_NAME, LOG_BYTES_MAX, &bytes, err);
	if (code && code != ERR_NOT_FOUND)
		return code;
	for (r = reader_of(bytes.len ? bytes.data : (const void *)"", bytes.len); r.at < r.end && read_record(&r, &s, &forgotten);
	     log->n_records++) {
		visit(ctx, &s, forgotten);
		whole = (size_t)(r.at - bytes.data);
	}
	buf_done(&bytes);
	log->fd = openat(dir, LOG_NAME, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	/* What was cut goes, or what comes after it would never be read. */
	if (log->fd < 0 || ftruncate(log->fd, (off_t)whole))
		return err_from_errno(err, LOG_NAME, "can't be opened");
	return folder_sync(dir, err);
}

int simulated_log_sync(struct simulated_log *log, struct err *err)
{
	off_t before = lseek(log->fd, 0, SEEK_END);
	size_t at = 0;

	while (at < log->pending.len) {
		ssize_t n = write(log->fd, log->pending.data + at, log->pending.len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		at += (size_t)n;
	}
	if (at == log->pending.len && (at == 0 || !fdatasync(log->fd))) {
		log->pending.len = 0;
		return 0;
	}
	err_from_errno(err, LOG_NAME, "can't be written");
	if (before >= 0 && ftruncate(log->fd, before)) /* half a record would hide those after it */
		return err_from_errno(err, LOG_NAME, "can't be cut back");
	return err ? err->code : ERR_IO;
}

int simulated_log_rewrite(struct simulated_log *log, void (*put_all)(void *ctx, struct simulated_log *log), void *ctx,
                          struct err *err)
{
	struct simulated_log fresh = {.dir = log->dir, .fd = -1};
	int code, fd;

	put_all(ctx, &fresh);
	code = file_put(log->dir, LOG_NAME, fresh.pending.data, fresh.pending.len, FILE_DURABLE, err);
	buf_done(&fresh.pending);
	if (code)
		return code;
	fd = openat(log->dir, LOG_NAME, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_from_errno(err, LOG_NAME, "can't be opened again");
	close(log->fd);
	log->fd = fd;
	log->n_records = fresh.n_records;
	log->pending.len = 0;
	return 0;
}

void simulated_log_close(struct simulated_log *log)
{
	if (log->fd >= 0)
		close(log->fd);
	buf_done(&log->pending);
}
