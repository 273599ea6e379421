/* SPDX-License-Identifier: Apache-2.0
 * effects.c: what the core asks of the engines, once its events are durable.
 *
 * Repeating an effect changes nothing, so whatever an engine couldn't take for now is dropped here, and a second
 * later everything that the state still waits for is sent again. */
#include <sodium.h>
#include <string.h>

#include "host/clock.h"
#include "host/inside.h"
#include "host/log.h"
#include "host/secret.h"

enum { RESEND_AFTER_US = 1000000 };

/* Whether asking again can help. */
static bool is_passing(int code)
{
	return code == ERR_BUSY || code == ERR_FULL || code == ERR_IO || code == ERR_NOMEM;
}

static const struct launch_task *launch_tasks(const struct plan *plan, struct arena *arena)
{
	struct launch_task *tasks = arena_new(arena, plan->n_tasks, sizeof *tasks);

	for (uint32_t i = 0; i < plan->n_tasks; i++)
		tasks[i] = (struct launch_task){
			.node = plan->tasks[i].node, .cards_milli = plan->tasks[i].cards_milli, .cards = plan->tasks[i].cards};
	return tasks;
}

static void fill_kind(const struct core *core, const struct job *job, struct launch *launch)
{
	const struct pool *pool = core_pool(core);

	launch->kind = launch->vendor = "";
	if (job->plan.kind < pool->n_kinds) {
		launch->kind = pool_kind_name(pool, job->plan.kind);
		if (pool->kinds[job->plan.kind] && pool->kinds[job->plan.kind]->vendor)
			launch->vendor = pool->kinds[job->plan.kind]->vendor;
	}
}

static void fill_array(const struct core *core, const struct job *job, struct launch *launch)
{
	const struct job *array = job->array_of ? core_job(core, job->array_of) : NULL;

	launch->array_of = job->array_of;
	launch->array_index = job->array_index;
	launch->array_count = array && array->array ? array->array->count : 0;
}

static int fill_payload(struct host *host, const struct job *job, struct arena *arena, struct launch *launch, struct err *err)
{
	struct payload *payload = arena_new(arena, 1, sizeof *payload);
	struct buf scratch = {0};
	const struct buf *bytes;
	int code = payloads_get(&host->payloads, host->config.store, &job->payload, &scratch, &bytes, err);

	if (!code && payload_decode(bytes->data, bytes->len, arena, payload) < 0)
		code = err_set(err, ERR_CORRUPT, "payload", "the stored payload isn't one");
	buf_done(&scratch);
	launch->payload = payload;
	launch->image = payload->n_images && job->plan.request < payload->n_images ? payload->images[job->plan.request] : "";
	return code;
}

static int fill_secrets(struct host *host, const struct core *core, const struct job *job, struct arena *arena,
                        struct launch *launch, struct err *err)
{
	const struct job *owner = job->array_of ? core_job(core, job->array_of) : job;

	if (!owner || !owner->extra || !owner->extra->secrets)
		return 0;
	return secret_read(host->secrets, owner->extra->secrets, arena, &launch->secrets, &launch->n_secrets, err);
}

/* Whether an attempt may run as soon as its engine has it. Where a claim makes its start unique, nothing is won by waiting until
 * the journal knows that the engine has it: only a commit is, which the start then doesn't wait for (docs/adr/0007). */
static bool may_run_at_once(const struct core *core, const struct job *job)
{
	const struct centre_spec *centre = core_pool(core)->centres[job->plan.tasks[0].centre].spec;

	return centre && centre->capabilities & CAN_START_ONCE && !core_is_stopping(core, job);
}

static int send_hold(struct host *host, struct engine *engine, const struct job *job, struct arena *arena, struct err *err)
{
	const struct core *core = host->follower;
	const struct request *request = &core_job_group(core, job)->requests[job->plan.request];
	struct launch launch = {.job = job->id,
	                        .attempt = job->attempt,
	                        .name = job->name,
	                        .user = core_user(core, job->user),
	                        .project = core_project_name(core, job->project),
	                        .centre = pool_centre_name(core_pool(core), job->plan.tasks[0].centre),
	                        .tasks = launch_tasks(&job->plan, arena),
	                        .n_tasks = job->plan.n_tasks,
	                        .cpus_milli = request->cpus_milli,
	                        .memory_mib = request->memory_mib,
	                        .limit_us = job->limit_us,
	                        .grace_us = core_config(core)->kill_grace_us,
	                        .released = may_run_at_once(core, job)};
	int code;

	fill_kind(core, job, &launch);
	fill_array(core, job, &launch);
	code = fill_payload(host, job, arena, &launch, err);
	if (!code)
		code = fill_secrets(host, core, job, arena, &launch, err);
	code = code < 0 ? code : engine->ops->hold(engine, &launch, err);
	for (uint32_t i = 0; i < launch.n_secrets; i++)
		sodium_memzero((char *)launch.secrets[i].value, strlen(launch.secrets[i].value));
	return code;
}

/* What an engine won't ever take is reported as if it had said so itself. */
static void report_failure(struct host *host, const struct effect *effect, const struct err *err)
{
	struct report report = {.job = effect->job, .attempt = effect->attempt, .note = err->text};

	if (effect->type == EFFECT_HOLD) {
		report.state = ATTEMPT_REFUSED;
		report.cause = CAUSE_REFUSED;
	} else {
		report.state = ATTEMPT_LOST;
		report.cause = CAUSE_LOST;
	}
	inbox_put_report(&host->inbox, &report);
}

static int erase(struct host *host, const struct hash *payload, struct err *err)
{
	if (core_payload_used(host->follower, payload)) /* a job of the same commit brought it again */
		return 0;
	payloads_drop(&host->payloads, payload);
	return host->config.store->ops->erase(host->config.store, payload, err);
}

static int send_to_engine(struct host *host, const struct effect *effect, struct arena *arena, struct err *err)
{
	struct engine *engine = station_engine(host, effect->centre);
	const struct job *job = core_job(host->follower, effect->job);
	us_t grace_us = core_config(host->follower)->kill_grace_us;

	if (!engine) {
		/* The pool has lost the centre, which says nothing of what runs there: it is asked when it is back. */
		log_entry(LOG_WARNING, "effect", "type=%d job=%u attempt=%u text=\"the centre isn't in the pool now\"", (int)effect->type,
		          effect->job, effect->attempt);
		return 0;
	}
	switch (effect->type) {
	case EFFECT_HOLD:
		/* The attempt may be over by now: then nobody waits for its start. */
		if (!job || job->attempt != effect->attempt || !job_is_live(job))
			return 0;
		return send_hold(host, engine, job, arena, err);
	case EFFECT_RELEASE: return engine->ops->release(engine, effect->job, effect->attempt, err);
	case EFFECT_KILL: return engine->ops->kill(engine, effect->job, effect->attempt, effect->cause, grace_us, err);
	case EFFECT_FORGET: return engine->ops->forget(engine, effect->job, effect->attempt, err);
	case EFFECT_ERASE: /* of no engine */ break;
	}
	return 0;
}

void effects_send(struct host *host, const struct effect *effects, uint32_t n)
{
	struct arena arena = {0};
	struct err err = {0};

	for (uint32_t i = 0; i < n; i++) {
		bool erases = effects[i].type == EFFECT_ERASE;
		int code = erases ? erase(host, &effects[i].payload, &err) : send_to_engine(host, &effects[i], &arena, &err);

		arena_reset(&arena);
		if (code >= 0)
			continue;
		log_entry(LOG_WARNING, "effect", "type=%d job=%u attempt=%u code=%s text=\"%s\"", (int)effects[i].type, effects[i].job,
		          effects[i].attempt, err_word(code), err.text);
		if (is_passing(code))
			host->resend_us = us_add(clock_now(), RESEND_AFTER_US);
		else if (effects[i].type != EFFECT_FORGET && !erases)
			report_failure(host, &effects[i], &err);
	}
	arena_done(&arena);
}
