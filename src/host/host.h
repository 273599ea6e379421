/* SPDX-License-Identifier: Apache-2.0
 * host.h: the real world around the core: clock, store, engines, and the loop that owns the core.
 *
 *   calls, reports ─► queue ─► core_step ─► store ─► follower ─► answers, watchers ─► engines
 *
 * Two cores: one decides; the other follows what has been committed, and is all that anybody else sees. */
#ifndef SUAN_HOST_HOST_H
#define SUAN_HOST_HOST_H

#include "core/spec.h"
#include "port/engine.h"
#include "port/service.h"
#include "port/store.h"

struct host;

/* All borrowed until host_close. */
struct host_config {
	struct store *store;
	const char *state_dir;        /* absolute, there already, owned by this process alone */
	const struct pool_spec *pool; /* capabilities filled */
	const struct config_spec *config;
	const struct engine_ops *const *engines;
	uint32_t n_engines;
	void (*stopped)(void *ctx); /* the loop can't go on, and has logged why; called from its thread */
	void *ctx;
	const char *anchors;      /* where the anchors are; NULL: STATE/anchors */
	uint64_t snapshot_events; /* a snapshot after so many; 0: the usual */
	/* A job as the history keeps it, to be freed; called as it leaves the core. NULL: as an empty record. */
	char *(*job_record)(const struct core *core, const struct job *job);
};

/* Loads the newest snapshot and replays the journal from there, checking all of its chain and its anchors; takes in what the pool
 * and the configuration say now; opens the engines and tells them what is known. Nothing runs yet. Returns 0; ERR_CORRUPT for a
 * journal that isn't whole, or not what was anchored; or what the pool, the store or an engine failed with. */
int host_open(const struct host_config *config, struct host **ret, struct err *err);

/* Starts the loop. */
int host_start(struct host *host, struct err *err);

/* What the API uses; good until host_close. */
struct service *host_service(struct host *host);

/* Ends the loop: calls that wait are answered, later ones get ERR_BUSY; jobs go on. May be called twice. */
void host_stop(struct host *host);

/* Stops, closes the engines and frees. Accepts NULL, returns NULL. */
struct host *host_close(struct host *host);

#endif
