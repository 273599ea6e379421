/* SPDX-License-Identifier: Apache-2.0
 * host_fixture.h: a host over the memory store, with one centre whose engine does what the test says. */
#ifndef SUAN_TEST_HOST_FIXTURE_H
#define SUAN_TEST_HOST_FIXTURE_H

#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "host/host.h"
#include "store/stores.h"

/* ---- An engine that holds and runs at once, and ends what it is told to ---- */

enum { FAKE_JOBS = 1000 };

static struct {
	pthread_mutex_t lock;
	const struct engine_sink *sink;
	unsigned holds[FAKE_JOBS], releases[FAKE_JOBS], kills[FAKE_JOBS], forgets[FAKE_JOBS], known;
	char secret[64], run[64]; /* of the latest launch */
	bool released;            /* it might run at once */
	int hold_fails;           /* this code is returned by so many holds */
	unsigned hold_fails_n;
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct engine fake_engine;

static void fake_report(uint32_t job, uint32_t attempt, enum attempt_state state, enum cause cause, int32_t exit_code)
{
	struct report report = {.job = job, .attempt = attempt, .state = state, .cause = cause, .exit_code = exit_code};

	fake.sink->report(fake.sink->ctx, &report);
}

static int fake_open(const struct engine_config *config, const struct engine_sink *sink, struct engine **ret, struct err *err)
{
	(void)config;
	(void)err;
	fake.sink = sink;
	*ret = &fake_engine;
	return 0;
}

static int fake_recover(struct engine *engine, const struct known *known, uint32_t n, struct err *err)
{
	(void)engine;
	(void)known;
	(void)err;
	fake.known = n;
	return 0;
}

static int fake_hold(struct engine *engine, const struct launch *launch, struct err *err)
{
	(void)engine;
	pthread_mutex_lock(&fake.lock);
	fake.holds[launch->job % FAKE_JOBS]++;
	snprintf(fake.secret, sizeof fake.secret, "%s", launch->n_secrets ? launch->secrets[0].value : "");
	snprintf(fake.run, sizeof fake.run, "%s", launch->payload->run);
	fake.released = launch->released;
	pthread_mutex_unlock(&fake.lock);
	if (fake.hold_fails_n) {
		fake.hold_fails_n--;
		return err_set(err, fake.hold_fails, NULL, "not now");
	}
	fake_report(launch->job, launch->attempt, launch->released ? ATTEMPT_RUNNING : ATTEMPT_HELD, CAUSE_NONE, 0);
	return 0;
}

static int fake_release(struct engine *engine, uint32_t job, uint32_t attempt, struct err *err)
{
	(void)engine;
	(void)err;
	fake.releases[job % FAKE_JOBS]++;
	fake_report(job, attempt, ATTEMPT_RUNNING, CAUSE_NONE, 0);
	return 0;
}

static int fake_kill(struct engine *engine, uint32_t job, uint32_t attempt, enum cause cause, us_t grace_us, struct err *err)
{
	(void)engine;
	(void)grace_us;
	(void)err;
	fake.kills[job % FAKE_JOBS]++;
	fake_report(job, attempt, ATTEMPT_ENDED, cause, 143);
	return 0;
}

static int fake_forget(struct engine *engine, uint32_t job, uint32_t attempt, struct err *err)
{
	(void)engine;
	(void)attempt;
	(void)err;
	fake.forgets[job % FAKE_JOBS]++;
	return 0;
}

static int fake_log_open(struct engine *engine, uint32_t job, uint32_t attempt, uint32_t rank, int *ret_fd, struct err *err)
{
	int fd = memfd_create("log", MFD_CLOEXEC);

	(void)engine;
	(void)err;
	if (fd < 0 || dprintf(fd, "output of %u.%u rank %u\n", job, attempt, rank) < 0)
		abort();
	*ret_fd = fd;
	return 0;
}

static struct engine *fake_close(struct engine *engine)
{
	(void)engine;
	return NULL;
}

static const struct engine_ops fake_ops = {.type = "fake",
                                           .capabilities = CAN_EXACT_CARDS | CAN_FRACTIONS | CAN_BARE | CAN_LOGS | CAN_SIGNALS |
                                                           CAN_START_ONCE,
                                           .open = fake_open,
                                           .recover = fake_recover,
                                           .hold = fake_hold,
                                           .release = fake_release,
                                           .kill = fake_kill,
                                           .forget = fake_forget,
                                           .log_open = fake_log_open,
                                           .close = fake_close};
static struct engine fake_engine = {.ops = &fake_ops};
static const struct engine_ops *const fake_engines[] = {&fake_ops};

/* ---- The pool: 4 nodes of 8 cards ---- */

static const struct kind_spec fake_kinds[] = {{.name = "k", .vendor = "v", .source = "test", .class = CLASS_INTELLIGENT}};
static const struct line_spec fake_lines[] = {
	{.count = 4, .kind = "k", .cards = 8, .cpus_milli = UNCOUNTED, .memory_mib = UNCOUNTED}};
static struct centre_spec fake_centres[] = {{.name = "..",
                                             .region = "r",
                                             .engine = "fake",
                                             .capabilities = CAN_EXACT_CARDS | CAN_FRACTIONS | CAN_BARE,
                                             .lines = fake_lines,
                                             .n_lines = 1}};
static const struct pool_spec fake_pool = {
	.name = "test", .currency = "CNY", .kinds = fake_kinds, .n_kinds = 1, .centres = fake_centres, .n_centres = 1};

/* ---- The fixture ---- */

struct fixture {
	char dir[64];
	struct store *store;
	struct config_spec config;
	uint64_t snapshot_events; /* 0: the usual */
	struct host *host;
	struct service *service;
	_Atomic int stopped;
	struct err err;
};

static void on_stopped(void *ctx)
{
	((struct fixture *)ctx)->stopped = 1;
}

static inline int try_open_host(struct fixture *f)
{
	struct host_config config = {.store = f->store,
	                             .state_dir = f->dir,
	                             .pool = &fake_pool,
	                             .config = &f->config,
	                             .engines = fake_engines,
	                             .n_engines = 1,
	                             .stopped = on_stopped,
	                             .snapshot_events = f->snapshot_events,
	                             .ctx = f};

	return host_open(&config, &f->host, &f->err);
}

static inline void open_host(struct fixture *f)
{
	if (try_open_host(f) < 0)
		fail_msg("%s: %s", f->err.subject, f->err.text);
	assert_int_equal(host_start(f->host, &f->err), 0);
	f->service = host_service(f->host);
}

static inline int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	memset(fake.holds, 0, sizeof fake.holds);
	memset(fake.releases, 0, sizeof fake.releases);
	memset(fake.kills, 0, sizeof fake.kills);
	memset(fake.forgets, 0, sizeof fake.forgets);
	fake.hold_fails_n = 0;
	strcpy(f->dir, "/tmp/suan-host-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->config = config_default();
	assert_int_equal(memory_store_open(&f->store, &f->err), 0);
	open_host(f);
	*state = f;
	return 0;
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static inline int tear_down(void **state)
{
	struct fixture *f = *state;

	f->host = host_close(f->host);
	f->store->ops->close(f->store);
	nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

/* ---- Calls, waited for ---- */

struct waited {
	struct service_call call;
	struct service_item item;
	struct job_spec spec;
	struct group_spec group;
	struct request_spec request;
	struct buf payload;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done;
};

static void waited_done(struct service_call *call)
{
	struct waited *w = call->ctx;

	pthread_mutex_lock(&w->lock);
	w->done = true;
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&w->lock);
}

static inline void waited_begin(struct fixture *f, struct waited *w)
{
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->cond, NULL);
	w->call.who = "somebody";
	w->call.done = waited_done;
	w->call.ctx = w;
	f->service->ops->call(f->service, &w->call);
}

static inline void waited_end(struct waited *w)
{
	pthread_mutex_lock(&w->lock);
	while (!w->done)
		pthread_cond_wait(&w->cond, &w->lock);
	pthread_mutex_unlock(&w->lock);
	buf_done(&w->payload);
}

/* A job of `nodes` nodes with 8 cards each; secret and key: NULL for none. */
static inline void submit_fill(struct waited *w, uint32_t nodes, const char *run, const struct variable *secret,
                               const uint8_t *key)
{
	struct payload payload = {.setup = "", .run = run, .workdir = "", .output = "", .error = "", .checkpoint_signal = ""};

	*w = (struct waited){0};
	payload_encode(&payload, &w->payload);
	w->request = (struct request_spec){.kind = "k", .cards_milli = 8000, .speed_milli = 1000};
	w->group = (struct group_spec){
		.nodes = nodes, .requests = &w->request, .n_requests = 1, .highest = TIER_CENTRE, .hard = true};
	w->spec = (struct job_spec){.name = "job",
	                            .project = "p",
	                            .user = "somebody",
	                            .groups = &w->group,
	                            .n_groups = 1,
	                            .priority = JOB_PRIORITY_DEFAULT,
	                            .limit_us = US_HOUR,
	                            .max_restarts = -1,
	                            .preemptible_after_us = US_NEVER,
	                            .payload = hash_of(w->payload.data, w->payload.len)};
	w->item = (struct service_item){.spec = &w->spec,
	                                .payload = w->payload.data,
	                                .payload_len = w->payload.len,
	                                .secrets = secret,
	                                .n_secrets = secret ? 1 : 0,
	                                .idempotency = key};
	w->call = (struct service_call){.type = SERVICE_SUBMIT, .items = &w->item, .n_items = 1};
}

static inline void submit_begin(struct fixture *f, struct waited *w, uint32_t nodes, const char *run,
                                const struct variable *secret, const uint8_t *key)
{
	submit_fill(w, nodes, run, secret, key);
	waited_begin(f, w);
}

static inline uint32_t submit_job(struct fixture *f, uint32_t nodes, const char *run)
{
	struct waited w;

	submit_begin(f, &w, nodes, run, NULL, NULL);
	waited_end(&w);
	if (w.call.code < 0 || w.item.code < 0)
		fail_msg("%s", w.call.code < 0 ? w.call.err.text : w.item.err.text);
	return w.item.job;
}

static inline enum job_state state_of(struct fixture *f, uint32_t job)
{
	const struct core *core = f->service->ops->read_begin(f->service, false);
	enum job_state state = core_job(core, job)->state;

	f->service->ops->read_end(f->service);
	return state;
}

static inline void wait_state(struct fixture *f, uint32_t job, enum job_state state)
{
	for (int i = 0; i < 5000 && state_of(f, job) != state; i++)
		usleep(1000);
	assert_string_equal(job_state_word(state_of(f, job)), job_state_word(state));
}

static inline struct hash digest_of(struct fixture *f)
{
	struct hash digest = core_digest(f->service->ops->read_begin(f->service, true));

	f->service->ops->read_end(f->service);
	return digest;
}

#endif
