/* SPDX-License-Identifier: Apache-2.0
 * disk.c: how long this directory's device takes to make a small write durable: the reference for all that is acknowledged.
 *
 * bench-disk DIR WRITES. Each write appends 8 KiB, as a small commit does to SQLite's log, and is followed by fdatasync. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"

enum { WRITE_BYTES = 8192, WRITES_MAX = 100000 };

static double write_once(int fd, const void *bytes)
{
	uint64_t begun = now_ns();

	if (write(fd, bytes, WRITE_BYTES) != WRITE_BYTES || fdatasync(fd) < 0)
		die("writing: %s", strerror(errno));
	return seconds_since(begun) * 1e6;
}

int main(int argc, char **argv)
{
	char path[4096], bytes[WRITE_BYTES];
	size_t n = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	double *values;
	int fd;

	if (!n || n > WRITES_MAX)
		die("usage: bench-disk DIR WRITES");
	snprintf(path, sizeof path, "%s/fdatasync", argv[1]);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	memset(bytes, 's', sizeof bytes);
	values = calloc(n, sizeof *values);
	for (size_t i = 0; values && i < n; i++)
		values[i] = write_once(fd, bytes);
	if (!values)
		die("out of memory");
	sort_values(values, n);
	put_run("disk.p50", quantile(values, n, 0.5));
	put_run("disk.p99", quantile(values, n, 0.99));
	put_why("disk.p50", "the device: %zu appends of 8 KiB, each followed by fdatasync; fastest %.0f us", n, values[0]);
	put_why("disk.p99", "the device, and who else uses it; slowest %.0f us", values[n - 1]);
	free(values);
	close(fd);
	unlink(path);
	return 0;
}
