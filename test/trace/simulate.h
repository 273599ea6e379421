/* SPDX-License-Identifier: Apache-2.0
 * simulate.h: a trace, simulated, and told in a few figures and the digest of its events. */
#ifndef SUAN_TEST_SIMULATE_H
#define SUAN_TEST_SIMULATE_H

#include "base/buf.h"
#include "base/err.h"

/* Simulates jobs.csv of a folder on its pool.yaml, with the plan checker, and appends the figures to *ret. */
int simulate_run(const char *folder, struct buf *ret, struct err *err);

#endif
