/* SPDX-License-Identifier: Apache-2.0
 * stations.c: one engine a centre: opened, told what the journal knows, closed. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "core/state.h"
#include "host/clock.h"
#include "host/inside.h"
#include "host/log.h"

static void take_report(void *ctx, const struct report *report)
{
	struct station *station = ctx;

	inbox_put_report(&station->host->inbox, report);
}

static void take_log(void *ctx, const char *text)
{
	struct station *station = ctx;

	log_entry(LOG_INFO, "engine", "centre=\"%s\" text=\"%s\"", station->name, text);
}

static const struct engine_ops *find_ops(const struct host_config *config, const char *type)
{
	for (uint32_t i = 0; i < config->n_engines; i++)
		if (!strcmp(config->engines[i]->type, type))
			return config->engines[i];
	return NULL;
}

/* A centre's name as one plain file name: what isn't a letter, digit, '-' or '_' becomes %XX. */
static char *folder_name(const char *name)
{
	struct buf buf = {0};

	for (; *name; name++) {
		unsigned char c = (unsigned char)*name;

		if ((isalnum(c) && c < 0x80) || c == '-' || c == '_')
			buf_put_u8(&buf, c);
		else
			buf_printf(&buf, "%%%02X", c);
	}
	buf_put_u8(&buf, 0);
	return (char *)buf.data;
}

/* Makes a folder in another one. Its name is durable after this, for what lies below it must outlast a loss of power; also where
 * it was there already, for nobody knows whether whoever made it came that far. */
static int make_dir(const char *parent, const char *path, struct err *err)
{
	int fd, code = 0;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_set(err, errno == ENOSPC ? ERR_FULL : ERR_IO, "state", "can't make %s: %s", path, strerror(errno));
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		code = err_set(err, errno == ENOSPC ? ERR_FULL : ERR_IO, "state", "can't sync %s: %s", parent, strerror(errno));
	if (fd >= 0)
		close(fd);
	return code;
}

static int make_station_dir(struct station *station, const char *state_dir, struct err *err)
{
	char *folder = folder_name(station->name);
	struct buf engines = {0}, path = {0};
	int code;

	buf_printf(&engines, "%s/engines", state_dir);
	buf_printf(&path, "%s/%s", (char *)engines.data, folder);
	code = make_dir(state_dir, (char *)engines.data, err);
	if (!code)
		code = make_dir((char *)engines.data, (char *)path.data, err);
	buf_done(&engines);
	free(folder);
	station->dir = (char *)path.data;
	return code;
}

static bool is_known_here(const struct job *job, uint32_t centre)
{
	return job->plan.n_tasks && job->plan.tasks[0].centre == centre;
}

/* The attempts at a centre that aren't over. */
static struct known *known_at(const struct core *core, uint32_t centre, uint32_t *ret_n)
{
	struct known *list = NULL;
	uint32_t cap = 0, n = 0;

	for (const struct job *job = core_live_after(core, 0); job; job = core_live_after(core, job->id)) {
		if (!is_known_here(job, centre))
			continue;
		mem_grow((void **)&list, &cap, n, sizeof *list);
		list[n++] = (struct known){.job = job->id,
		                           .attempt = job->attempt,
		                           .state = job->attempt_state,
		                           .placed_us = job->placed_us,
		                           .started_us = job->started_us,
		                           .stopping = job->state == JOB_CLEANUP,
		                           .cause = job->cause};
	}
	*ret_n = n;
	return list;
}

static int open_station(struct host *host, uint32_t number, struct err *err)
{
	struct station *station = &host->stations[number];
	const struct centre_spec *centre = core_pool(host->core)->centres[number].spec;
	struct engine_config config = {.centre = centre, .seed = core_config(host->core)->seed, .now = clock_now};
	const struct engine_ops *ops;
	struct known *known;
	uint32_t n_known;
	int code;

	if (!centre) /* the pool has it no more; its attempts wait until it has it again */
		return 0;
	ops = find_ops(&host->config, centre->engine);
	station->host = host;
	station->name = mem_strdup(centre->name);
	station->sink = (struct engine_sink){.ctx = station, .report = take_report, .log = take_log};
	if (!ops)
		return err_set(err, ERR_UNSUPPORTED, centre->name, "no engine of type \"%s\" is built in", centre->engine);
	code = make_station_dir(station, host->config.state_dir, err);
	if (code < 0)
		return code;
	config.state_dir = station->dir;
	code = ops->open(&config, &station->sink, &station->engine, err);
	if (code < 0)
		return err_within(err, centre->name);
	known = known_at(host->core, number, &n_known);
	code = ops->recover(station->engine, known, n_known, err);
	free(known);
	if (code < 0)
		return err_within(err, centre->name);
	log_entry(LOG_INFO, "centre", "name=\"%s\" engine=%s attempts=%u", centre->name, ops->type, n_known);
	return 0;
}

int stations_open(struct host *host, struct err *err)
{
	uint32_t n = core_pool(host->core)->n_centres;

	host->stations = mem_new(n, sizeof *host->stations);
	host->n_stations = n;
	for (uint32_t i = 0; i < n; i++) {
		int code = open_station(host, i, err);

		if (code < 0)
			return code;
	}
	return 0;
}

void stations_close(struct host *host)
{
	for (uint32_t i = 0; i < host->n_stations; i++) {
		struct station *station = &host->stations[i];

		if (station->engine)
			station->engine = station->engine->ops->close(station->engine);
		free(station->name);
		free(station->dir);
	}
	free(host->stations);
	host->stations = NULL;
	host->n_stations = 0;
}

struct engine *station_engine(const struct host *host, uint32_t centre)
{
	return centre < host->n_stations ? host->stations[centre].engine : NULL;
}
