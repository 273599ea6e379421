/* SPDX-License-Identifier: Apache-2.0
 * suan_supervisor.c: the small process beside each job on this machine, so that jobs outlive the daemon.
 *
 * Started by the local engine with the attempt's folder as its one argument; not for people. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "engine/supervise.h"

/* Nothing of whoever started it stays: neither descriptors nor a terminal nor a place in the tree of folders. */
static int detach(void)
{
	int null = open("/dev/null", O_RDWR);

	if (null < 0)
		return -1;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	if (fcntl(STDERR_FILENO, F_GETFD) < 0)
		dup2(null, STDERR_FILENO);
	close_range(STDERR_FILENO + 1, ~0U, 0);
	setsid(); /* fails where it leads a session already, which is as good */
	return chdir("/");
}

int main(int argc, char **argv)
{
	struct err err = {.subject = "start", .text = "/dev/null or / can't be opened"};

	if (argc != 2) {
		fputs("usage: suan-supervisor FOLDER\nStarted by suand for each job on this machine.\n", stderr);
		return 2;
	}
	if (detach() || supervise(argv[1], &err)) {
		fprintf(stderr, "suan-supervisor: %s: %s\n", err.subject, err.text);
		return 1;
	}
	return 0;
}
