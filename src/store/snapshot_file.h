/* SPDX-License-Identifier: Apache-2.0
 * snapshot_file.h: snapshots as files beside the journal: DIR/snapshot-SEQUENCE.
 *
 * Beside it and not in it, so that writing one holds no lock of the database, and a large one leaves no free pages behind. */
#ifndef SUAN_STORE_SNAPSHOT_FILE_H
#define SUAN_STORE_SNAPSHOT_FILE_H

#include "port/store.h"

/* As store_ops.snapshot_put and store_ops.snapshot, in a directory. */
int snapshot_file_put(const char *dir, const struct snapshot *snapshot, struct err *err);
int snapshot_file_get(const char *dir, uint32_t nth, struct snapshot *ret, struct buf *bytes, struct err *err);

#endif
