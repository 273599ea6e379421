/* SPDX-License-Identifier: Apache-2.0
 * audit.h: what goes over a world's batches of events: it hashes them into a chain, reads every event again from its bytes, and
 * has every plan checked (plan_check.h).
 *
 * It needs nothing but the bytes, so it may work on a thread of its own while the core goes on. It is used by one thread. */
#ifndef SUAN_SIM_AUDIT_H
#define SUAN_SIM_AUDIT_H

#include "base/buf.h"
#include "base/hash.h"
#include "core/journal.h"

struct audit;

/* unchecked: hashes alone. threaded: on a thread of its own; where none can be made, on the caller's. Never NULL. */
struct audit *audit_new(bool unchecked, bool threaded);
/* Ends its thread, whatever it still has to do. */
struct audit *audit_free(struct audit *audit);

/* Takes the next batch: *events is its bytes, of which `batch` says the rest (but no hash); *events is empty then, with room for
 * another batch. Returns 0, or ERR_CORRUPT where this batch, or on a thread of its own one before it, breaks a rule or can't be
 * read; after that the audit is only good for being freed. May wait for batches before it: a few are kept, and no more. */
int audit_take(struct audit *audit, struct buf *events, const struct batch *batch, struct err *err);

/* Waits until all that was taken has been gone over; *ret_hash is the chain's. Returns as audit_take. */
int audit_finish(struct audit *audit, struct hash *ret_hash, struct err *err);

/* Plans and reservations that were checked, once it has finished. */
uint64_t audit_count(const struct audit *audit);

#endif
