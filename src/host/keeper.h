/* SPDX-License-Identifier: Apache-2.0
 * keeper.h: what is written beside the journal, on a thread of its own: snapshots and anchors. */
#ifndef SUAN_HOST_KEEPER_H
#define SUAN_HOST_KEEPER_H

#include <pthread.h>
#include <stdbool.h>

#include "host/anchor.h"
#include "port/store.h"

/* A snapshot is due after so many events, once the journal has grown by half the size of the last one: so what is written for
 * snapshots is in proportion to the journal, and what is replayed at a start to the state. KEEPER_STOP_EVENTS: at a clean stop.
 * An anchor is due after so many batches, or so long after the first that it hasn't. */
enum {
	KEEPER_SNAPSHOT_EVENTS = 50000,
	KEEPER_STOP_EVENTS = 1000,
	KEEPER_ANCHOR_BATCHES = 10000,
	KEEPER_ANCHOR_S = 60,
};

struct keeper {
	struct store *store;
	struct anchors anchors;
	pthread_t thread;
	bool started;

	/* The loop's. */
	uint64_t snapshot_events; /* KEEPER_SNAPSHOT_EVENTS, or what a test wants */
	uint64_t events, bytes;   /* of the journal, since the last snapshot */
	uint64_t last_len;        /* of the last snapshot */

	pthread_mutex_t lock; /* over what follows */
	pthread_cond_t wanted;
	bool stopping;
	bool writing; /* a snapshot is the thread's until it has written it */
	struct snapshot snapshot;
	struct buf bytes_of_snapshot;
	struct anchor latest; /* the last batch */
	uint64_t anchored;    /* the last event with an anchor */
	uint32_t batches;     /* since then */
};

/* Opens the anchors: path as anchors_open's. snapshot_events: 0 for the usual. */
int keeper_open(struct keeper *keeper, struct store *store, const char *state_dir, const char *path, uint64_t snapshot_events,
                struct err *err);
int keeper_start(struct keeper *keeper, struct err *err);
/* Writes what is under way, and an anchor for the last batch; ends the thread. May be called twice. */
void keeper_stop(struct keeper *keeper);
void keeper_done(struct keeper *keeper);

/* A batch was committed. len: of its events. */
void keeper_note(struct keeper *keeper, const struct batch *batch);

/* A start goes on from this snapshot. */
void keeper_resume(struct keeper *keeper, const struct snapshot *snapshot);

/* Whether a snapshot should be taken now, of which keeper_take is then told. */
bool keeper_wants_snapshot(struct keeper *keeper, bool at_stop);
/* Gives a snapshot to write; *bytes is taken. */
void keeper_take(struct keeper *keeper, const struct snapshot *snapshot, struct buf *bytes);

#endif
