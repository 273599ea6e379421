/* SPDX-License-Identifier: Apache-2.0
 * timeline.h: one scenario, run, and told as lines that a person can read. */
#ifndef SUAN_TEST_TIMELINE_H
#define SUAN_TEST_TIMELINE_H

#include "base/buf.h"
#include "base/err.h"

/* Runs the scenario in a folder (pool.yaml and steps) and appends its timeline to *ret. The plan checker and core_check
 * watch. Returns 0, or fails with the line of `steps` that is wrong.
 *
 * A line of `steps` is an instant from the start and what happens then; # begins a comment:
 *   0s   submit {name: a, resources: {accelerators: "v100:8"}, time: 20m, simulated: {run: 10m}}
 *   1m   cancel 2          a job's number
 *   2m   end 3 exit 1      it ends now, with this exit code
 *   3m   lose 4            its engine lost it
 *   3m   late 30s          the centre of the next job that is submitted ends it only so long after its limit
 *   3m   slow 20s          from now on a job that is killed is gone only so long after
 *   3m   config other.yaml the configuration is this from now on
 *   4m   silent here       a centre is past its lease; heard here: it is back
 *   5m   pool other.yaml   the pool is this from now on
 *   6m   cordon here/0-3   nothing more is started there; down here/0: it failed; up here/0: it is back
 *   7m   book here/0 8m 9m lab    whole nodes from 8m to 9m for a project; drain here/0 8m never: for nobody; unbook 1: not any
 *                          more
 * A job without simulated.run runs until something ends it. config.yaml, where there is one, is the configuration. */
int timeline_run(const char *folder, struct buf *ret, struct err *err);

/* Reads a whole file into *ret, which is terminated and not counted so. Returns 0 or ERR_IO. */
int timeline_read_file(const char *path, struct buf *ret, struct err *err);

#endif
