/* SPDX-License-Identifier: Apache-2.0
 * host.c: opening, starting and stopping the host; see host.h. */
#include "host/host.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/map.h"
#include "base/mem.h"
#include "host/changes.h"
#include "host/clock.h"
#include "host/inside.h"
#include "host/log.h"
#include "host/secret.h"

static void init(struct host *host, const struct host_config *config)
{
	pthread_rwlockattr_t attr;

	host->service.ops = &host_service_ops;
	host->config = *config;
	host->core = core_new();
	host->follower = core_new();
	host->secrets = -1;
	host->resend_us = US_NEVER;
	/* Readers come without end; the loop must not wait for a moment without any. */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&host->view, &attr);
	pthread_rwlockattr_destroy(&attr);
	pthread_mutex_init(&host->alone, NULL);
	pthread_mutex_init(&host->watch_lock, NULL);
	pthread_mutex_init(&host->stats_lock, NULL);
	inbox_init(&host->inbox);
	recent_init(&host->recent);
	history_init(&host->history);
}

static int replay_journal(struct host *host, struct err *err)
{
	us_t last_us = 0, begun_us = clock_now();
	char took[32];
	int code = replay(host, &last_us, err);

	if (code < 0)
		return code;
	clock_anchor(last_us);
	log_entry(LOG_INFO, "replayed", "events=%" PRIu64 " from=%" PRIu64 " took=%s", core_sequence(host->core),
	          core_sequence(host->core) - host->keeper.events, us_format_duration(clock_now() - begun_us, took, sizeof took));
	return 0;
}

static void describe_config(const struct core *core, struct buf *lines)
{
	changes_describe_config(core_config(core), lines);
}

static void describe_pool(const struct core *core, struct buf *lines)
{
	if (core_pool(core))
		changes_describe_pool(&core_pool(core)->spec, lines);
}

static void log_change(void *ctx, bool is_new, const char *line)
{
	log_entry(LOG_INFO, "changed", "%s %s=\"%s\"", (const char *)ctx, is_new ? "now" : "was", line);
}

/* Says what the step changed; before: what was known until then, nothing at the first start. */
static void log_changes(const char *name, const struct buf *before, const struct buf *after, const struct host *host)
{
	uint32_t n;

	log_entry(LOG_INFO, "changed", "what=%s events=%u sequence=%" PRIu64, name, host->step.n_events, core_sequence(host->core));
	if (!before->len)
		return;
	n = changes_between(before, after, log_change, (void *)name);
	if (n > CHANGES_SHOWN_MAX)
		log_entry(LOG_INFO, "changed", "%s and %" PRIu32 " more", name, n - CHANGES_SHOWN_MAX);
}

/* What the files say now, where it isn't what the journal knows. */
static int take_files(struct host *host, struct err *err)
{
	struct input config = {.type = INPUT_CONFIG, .config = host->config.config};
	struct input pool = {.type = INPUT_POOL, .pool = host->config.pool};
	const struct {
		const char *name;
		struct input *input;
		void (*describe)(const struct core *core, struct buf *lines);
	} files[] = {{"configuration", &config, describe_config}, {"pool", &pool, describe_pool}};
	int code = 0;

	for (size_t i = 0; i < sizeof files / sizeof *files && code >= 0; i++) {
		struct buf before = {0}, after = {0};

		if (core_sequence(host->core))
			files[i].describe(host->core, &before);
		code = step_once(host, files[i].input, err);
		if (code >= 0 && host->step.n_events) {
			files[i].describe(host->core, &after);
			log_changes(files[i].name, &before, &after, host);
		}
		buf_done(&before);
		buf_done(&after);
	}
	return code < 0 ? code : 0;
}

static bool is_wanted(void *ctx, const char *name)
{
	return strtab_find(ctx, name) != STRTAB_NONE;
}

/* Secrets whose submit a crash cut off, or whose job ended just before one. */
static void sweep_secrets(struct host *host)
{
	struct strtab wanted = {0};

	for (const struct job *job = core_job_after(host->core, 0); job; job = core_job_after(host->core, job->id))
		if (job->extra && job->extra->secrets && !job_is_over(job))
			strtab_add(&wanted, job->extra->secrets);
	secret_sweep(host->secrets, is_wanted, &wanted);
	strtab_done(&wanted);
}

int host_open(const struct host_config *config, struct host **ret, struct err *err)
{
	struct host *host = mem_new(1, sizeof *host);
	int code;

	init(host, config);
	code = host->secrets = secret_open_dir(config->state_dir, err);
	if (code >= 0)
		code = keeper_open(&host->keeper, config->store, config->state_dir, config->anchors, config->snapshot_events, err);
	if (code >= 0)
		code = replay_journal(host, err);
	if (code >= 0)
		sweep_payloads(host);
	if (code >= 0)
		code = take_files(host, err);
	if (code >= 0) {
		sweep_secrets(host);
		code = stations_open(host, err);
	}
	if (code < 0) {
		host_close(host);
		return code;
	}
	*ret = host;
	return 0;
}

int host_start(struct host *host, struct err *err)
{
	/* The loop's first turn sends what the state still waits for. */
	host->resend_us = 0;
	if (keeper_start(&host->keeper, err) < 0)
		return err->code;
	if (pthread_create(&host->thread, NULL, loop, host) != 0)
		return err_set(err, ERR_NOMEM, "host", "can't start a thread");
	host->started = true;
	return 0;
}

struct service *host_service(struct host *host)
{
	return &host->service;
}

void host_stop(struct host *host)
{
	inbox_close(&host->inbox);
	if (host->started) {
		pthread_join(host->thread, NULL);
		snapshot_if_due(host, true);
		history_if_due(host, US_NEVER);
	}
	host->started = false;
	keeper_stop(&host->keeper);
}

struct host *host_close(struct host *host)
{
	if (!host)
		return NULL;
	host_stop(host);
	stations_close(host);
	if (host->secrets >= 0)
		close(host->secrets);
	step_done(&host->step);
	arena_done(&host->kept);
	free(host->blobs);
	free(host->stale);
	keeper_done(&host->keeper);
	history_done(&host->history);
	payloads_done(&host->payloads);
	recent_done(&host->recent);
	inbox_done(&host->inbox);
	pthread_mutex_destroy(&host->stats_lock);
	pthread_mutex_destroy(&host->watch_lock);
	pthread_mutex_destroy(&host->alone);
	pthread_rwlock_destroy(&host->view);
	core_free(host->follower);
	core_free(host->core);
	free(host);
	return NULL;
}
