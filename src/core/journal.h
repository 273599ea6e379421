/* SPDX-License-Identifier: Apache-2.0
 * journal.h: how batches are chained, so that a changed, dropped or reordered one shows. */
#ifndef SUAN_CORE_JOURNAL_H
#define SUAN_CORE_JOURNAL_H

#include "base/hash.h"
#include "base/units.h"

/* The hash of a batch: of the previous batch's hash (all zero before the first), then sequence, number of events and
 * time as varints, then the events. */
struct hash journal_hash(const struct hash *previous, uint64_t sequence, uint32_t n_events, us_t at_us, const void *events,
                         size_t len);

#endif
