/* SPDX-License-Identifier: Apache-2.0
 * fuzz_simulated_log.c: what a simulated centre remembers, as it finds its file after a crash. The file is the input as the body
 * of a record with a right checksum, and then the input as it is; what was read of it is all that it reads the next time. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/simulated_log.h"
#include "fuzz.h"

static char folder[64];
static int dir = -1;

static void clean_up(void)
{
	unlinkat(dir, "attempts.log", 0);
	rmdir(folder);
}

static void set_up(void)
{
	snprintf(folder, sizeof folder, "%s/suan-fuzz-log-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	CHECK(mkdtemp(folder));
	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(dir >= 0);
	atexit(clean_up);
}

static void put_record(struct buf *buf, const uint8_t *data, size_t size)
{
	uint32_t sum = 0x811c9dc5u;

	for (size_t i = 0; i < size; i++)
		sum = (sum ^ data[i]) * 0x01000193u;
	buf_put_uint(buf, size);
	for (unsigned shift = 0; shift < 32; shift += 8)
		buf_put_u8(buf, (uint8_t)(sum >> shift));
	buf_put(buf, data, size);
}

static void count(void *ctx, const struct simulated *s, bool forgotten)
{
	(void)forgotten;
	CHECK(s->run_us >= 0 && s->limit_us >= 0 && s->startup_us >= 0 && s->released_us >= 0 && s->killed_us >= 0);
	CHECK(s->cause < CAUSE_COUNT);
	++*(uint64_t *)ctx;
}

static uint64_t count_records(void)
{
	struct simulated_log log;
	uint64_t n = 0;
	struct err err;

	CHECK(simulated_log_open(&log, dir, count, &n, &err) == 0);
	CHECK(log.n_records == n);
	simulated_log_close(&log);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf bytes = {0};
	uint64_t n;
	int fd;

	if (dir < 0)
		set_up();
	if (!size || size > 4096)
		return 0;
	put_record(&bytes, data, size < 200 ? size : 200);
	buf_put(&bytes, data, size);
	fd = openat(dir, "attempts.log", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && write(fd, bytes.data, bytes.len) == (ssize_t)bytes.len);
	close(fd);
	n = count_records();
	CHECK(count_records() == n);
	buf_done(&bytes);
	return 0;
}
