/* SPDX-License-Identifier: Apache-2.0
 * inside.h: what the files of src/host share. */
#ifndef SUAN_HOST_INSIDE_H
#define SUAN_HOST_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/core.h"
#include "host/history.h"
#include "host/host.h"
#include "host/inbox.h"
#include "host/keeper.h"
#include "host/payloads.h"
#include "host/recent.h"

/* The engine of one centre, by the centre's number. */
struct station {
	struct host *host;
	struct engine *engine; /* NULL: it has none here */
	struct engine_sink sink;
	char *name, *dir;
};

struct host {
	struct service service; /* first: the service is the host */
	struct host_config config;
	struct core *core;     /* decides; the loop's alone */
	struct core *follower; /* what is committed; written by the loop under `view` */
	pthread_rwlock_t view;
	pthread_mutex_t alone;
	struct hash chain; /* of the last committed batch */
	struct inbox inbox;
	struct recent recent;
	struct payloads payloads;
	struct history history;
	struct keeper keeper;
	struct station *stations;
	uint32_t n_stations;
	int secrets; /* the folder */
	pthread_t thread;
	bool started;

	/* The loop's. */
	struct step step;
	struct blob *blobs;
	uint32_t n_blobs, blobs_cap;
	struct service_call *calls;         /* of the step, not answered yet */
	struct arena kept;                  /* the bytes of its blobs, where the calls that they were of have been answered */
	char (*stale)[SERVICE_SECRET_NAME]; /* secrets of jobs that the batch ended */
	uint32_t n_stale, stale_cap;
	us_t resend_us; /* when to send again what engines couldn't take; US_NEVER: nothing */

	_Atomic int failing; /* 0, or why the store takes nothing for now */
	pthread_mutex_t watch_lock;
	void (*changed)(void *ctx);
	void *changed_ctx;
	pthread_mutex_t stats_lock;
	struct service_stats stats;
};

/* replay.c: the newest snapshot that is good, and the journal from there, into both cores; and *ret_last_us the time of the last
 * event. */
int replay(struct host *host, us_t *ret_last_us, struct err *err);

/* snapshot.c: the newest snapshot that can be loaded and is of this journal, into the host's core. Returns false where there is
 * none: then *ret is all zero, and the core is fresh. Those that won't do are logged. */
bool snapshot_load(struct host *host, struct snapshot *ret);
/* Takes one where it is due, once the history behind it is written. The loop's, or after it has ended. */
void snapshot_if_due(struct host *host, bool at_stop);
/* A job leaves the core: it goes to the history. */
void remember(struct host *host, const struct core *core, const struct event *event);
/* Writes the history that waits, where it is due. */
void history_if_due(struct host *host, us_t now_us);
/* Erases the payloads that no job has any more: of erasures that a crash or a full disk cut off. */
void sweep_payloads(struct host *host);

/* stations.c */
int stations_open(struct host *host, struct err *err);
void stations_close(struct host *host);
/* The engine of a centre, or NULL. */
struct engine *station_engine(const struct host *host, uint32_t centre);

/* effects.c: asks the engines for what the step's effects say. */
void effects_send(struct host *host, const struct effect *effects, uint32_t n);

/* commit.c: makes the step durable and shows it. Returns false where the daemon stops before it could. */
bool commit(struct host *host);
/* The same without trying again: returns what the store failed with. */
int commit_once(struct host *host, struct err *err);
/* Answers a call that wasn't looked at. */
void refuse(const struct host *host, struct service_call *call, int code, const char *text);
/* Removes the files of secrets that a call brought; only_unused: of items that made no job. */
void drop_secrets(const struct host *host, struct service_call *call, bool only_unused);

/* loop.c */
void *loop(void *host);
/* A step of the host's own, outside the loop: the pool, the configuration. */
int step_once(struct host *host, struct input *input, struct err *err);

/* view.c */
extern const struct service_ops host_service_ops;

#endif
