/* SPDX-License-Identifier: Apache-2.0
 * changes.h: what the files say now against what the journal knew, for the operator to read at a start. */
#ifndef SUAN_HOST_CHANGES_H
#define SUAN_HOST_CHANGES_H

#include "core/spec.h"

enum { CHANGES_SHOWN_MAX = 100 };

/* Appends one line, ended by a NUL, for each thing that a pool or a configuration says. */
void changes_describe_pool(const struct pool_spec *spec, struct buf *lines);
void changes_describe_config(const struct config_spec *config, struct buf *lines);

/* Calls `show` for each line that only one of the two has, in the order of the alphabet: is_new where it is `after` that has
 * it. Shows CHANGES_SHOWN_MAX at most, and returns how many there are. Cost: O(n log n) in the lines. */
uint32_t changes_between(const struct buf *before, const struct buf *after,
                         void (*show)(void *ctx, bool is_new, const char *line), void *ctx);

#endif
