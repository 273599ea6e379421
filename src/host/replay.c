/* SPDX-License-Identifier: Apache-2.0
 * replay.c: from the journal back to the state, in both cores, checking that each batch follows from the one before. */
#include <inttypes.h>
#include <string.h>

#include "core/journal.h"
#include "host/inside.h"

struct replay {
	struct host *host;
	struct err *err;
	us_t last_us;
};

static int corrupt(struct replay *replay, const struct batch *batch, const char *why)
{
	return err_set(replay->err, ERR_CORRUPT, "journal", "events %" PRIu64 " to %" PRIu64 ": %s; the last good event is %" PRIu64,
	               batch->sequence, batch->sequence + batch->n_events - 1, why, core_sequence(replay->host->core));
}

static int visit(void *ctx, const struct batch *batch)
{
	struct replay *replay = ctx;
	struct host *host = replay->host;
	struct hash hash = journal_hash(&host->chain, batch->sequence, batch->n_events, batch->at_us, batch->events, batch->len);
	struct err why;

	if (batch->sequence != core_sequence(host->core) + 1)
		return corrupt(replay, batch, "they don't follow the events before them");
	if (memcmp(hash.bytes, batch->hash.bytes, sizeof hash.bytes) != 0)
		return corrupt(replay, batch, "their hash isn't that of their bytes after the events before them");
	if (core_apply(host->core, batch->events, batch->len, NULL, NULL, &why) < 0 ||
	    core_apply(host->follower, batch->events, batch->len, NULL, NULL, &why) < 0)
		return corrupt(replay, batch, why.text);
	if (core_sequence(host->core) != batch->sequence + batch->n_events - 1)
		return corrupt(replay, batch, "they hold another number of events than they say");
	host->chain = batch->hash;
	replay->last_us = batch->at_us;
	return 0;
}

int replay(struct host *host, us_t *ret_last_us, struct err *err)
{
	struct replay state = {.host = host, .err = err};
	int code = host->config.store->ops->read(host->config.store, 0, visit, &state, err);

	*ret_last_us = state.last_us;
	return code;
}
