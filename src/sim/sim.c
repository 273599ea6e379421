/* SPDX-License-Identifier: Apache-2.0
 * sim.c: a trace, run over a pool; see sim.h.
 *
 * Arrivals come from the trace, failures of nodes from faults.c, all else from the world. What is counted here is counted from
 * events, and how much work each job has left is this file's own reckoning (work.h): the core's isn't asked. */
#include "sim/sim.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sim/world.h"

enum {
	PERFECT_CENTRE = CAN_EXACT_CARDS | CAN_FRACTIONS | CAN_IMAGES | CAN_BARE | CAN_START_ONCE | CAN_LIMIT | IS_SIMULATED,
	BATCH_BYTES = 64 << 10,
	RESTARTS_MAX = 100000, /* of one job: it goes on however often it is lost, but not for ever */
};

__extension__ typedef unsigned __int128 wide;

#define NO_JOB UINT32_MAX

/* A kind of the pool that will do for a job, and how fast it is. */
struct option {
	const char *name;
	uint32_t kind; /* its number */
	uint32_t speed_micro;
};

/* What a choice of the trace comes to on this pool. */
struct options {
	uint32_t first, n;
	bool any; /* any kind, all at speed 1 */
};

struct sim {
	const struct sim_config *config;
	struct sim_result result;
	struct world *world;
	struct faults *faults;
	struct work *work;       /* by the trace's job */
	us_t *promised_us;       /* the start that it was promised last; US_NEVER: none */
	struct options *options; /* by choice */
	struct option *option;
	uint32_t n_option, option_cap;
	uint32_t *trace_job_of; /* by the core's number */
	uint32_t numbers_cap;
	uint32_t arriving; /* the trace's job that is being submitted, or NO_JOB */
	uint32_t arrived, over, waiting;
	uint64_t submitted_milli, allocated_milli;
	us_t counted_us;        /* up to when `allocated` goes */
	wide allocated, useful; /* thousandths of cards × microseconds */
	bool news;              /* an arrival or an end since the timeline's last line */
};

static uint64_t milli_of(const struct trace_job *job)
{
	return (uint64_t)job->nodes * job->cards_milli;
}

/* ---- Which kinds ---- */

static bool pool_has_kind(const struct pool_spec *pool, const char *name)
{
	for (uint32_t c = 0; c < pool->n_centres; c++)
		for (uint32_t l = 0; l < pool->centres[c].n_lines; l++)
			if (pool->centres[c].lines[l].kind && !strcmp(pool->centres[c].lines[l].kind, name))
				return true;
	return false;
}

static void add_option(struct sim *sim, struct options *options, const char *name, uint32_t speed_micro)
{
	uint32_t kind = pool_find_kind(core_pool(world_core(sim->world)), name);

	for (uint32_t i = options->first; i < options->first + options->n; i++)
		if (sim->option[i].kind == kind)
			return;
	if (!pool_has_kind(sim->config->pool, name) || options->n == JOB_REQUESTS_MAX)
		return;
	mem_grow((void **)&sim->option, &sim->option_cap, sim->n_option, sizeof *sim->option);
	sim->option[sim->n_option++] = (struct option){name, kind, speed_micro};
	options->n++;
}

static uint32_t stated_speed(const struct trace *trace, const struct trace_choice *choice, const char *name)
{
	for (uint32_t i = choice->first_speed; i < choice->first_speed + choice->n_speeds; i++)
		if (!strcmp(trace_text(trace, trace->kinds[i].name), name))
			return trace->kinds[i].speed_micro;
	return SPEED_MICRO;
}

/* A kind that this pool hasn't got holds nothing, and is left out; a choice with none left fits nowhere. */
static void resolve_choice(struct sim *sim, uint32_t number)
{
	const struct trace *trace = sim->config->trace;
	const struct trace_choice *choice = &trace->choices[number];
	struct options *options = &sim->options[number];

	options->first = sim->n_option;
	options->any = !choice->n_kinds && !choice->n_speeds;
	for (uint32_t i = choice->first; i < choice->first + choice->n_kinds; i++)
		add_option(sim, options, trace_text(trace, trace->kinds[i].name), trace->kinds[i].speed_micro);
	for (uint32_t k = 0; k < sim->config->pool->n_kinds && !choice->n_kinds && !options->any; k++)
		add_option(sim, options, sim->config->pool->kinds[k].name, stated_speed(trace, choice, sim->config->pool->kinds[k].name));
}

static uint32_t speed_on(const struct sim *sim, const struct trace_job *job, uint32_t kind)
{
	const struct options *options = &sim->options[job->choice];

	for (uint32_t i = options->first; i < options->first + options->n; i++)
		if (sim->option[i].kind == kind)
			return sim->option[i].speed_micro;
	return SPEED_MICRO;
}

/* Asks for what there is of a job of the trace, before it is looked at. Always inline: gcc takes a function that only asks for
 * memory for one that does nothing, and leaves out the calls of it. */
__attribute__((always_inline)) static inline void fetch(const struct sim *sim, uint32_t number)
{
	const struct trace_job *job = &sim->config->trace->jobs[number];

	__builtin_prefetch(&job->run_us);
	__builtin_prefetch(&job->cards_milli);
	__builtin_prefetch(&sim->result.jobs[number]);
	__builtin_prefetch(&sim->work[number]);
	__builtin_prefetch(&sim->promised_us[number]);
}

/* ---- Arrivals ---- */

/* The ways to hold a node of the job. Returns how many; 0: this pool has nothing of the kind. */
static uint32_t fill_requests(const struct sim *sim, const struct trace_job *job, struct request_spec requests[JOB_REQUESTS_MAX])
{
	const struct options *options = &sim->options[job->choice];
	struct request_spec request = {
		.cards_milli = job->cards_milli,
		.cpus_milli = job->cpus_milli,
		.memory_mib = job->memory_mib,
		.speed_milli = 1000,
	};

	if (!job->cards_milli || options->any) {
		request.kind = job->cards_milli ? "*" : NULL;
		requests[0] = request;
		return 1;
	}
	for (uint32_t i = 0; i < options->n; i++) {
		const struct option *option = &sim->option[options->first + i];
		uint32_t milli = (option->speed_micro + 500) / 1000;

		requests[i] = request;
		requests[i].kind = option->name;
		requests[i].speed_milli = milli ? milli : 1;
	}
	return options->n;
}

static bool is_preemptible(const struct sim *sim, const struct trace_job *job)
{
	enum policy policy = sim->config->config->policy;

	return job->preemptible < 0 ? policy == POLICY_SHORTEST || policy == POLICY_LAS : job->preemptible > 0;
}

static int submit(struct sim *sim, const struct trace_job *job, const struct request_spec *requests, uint32_t n, struct err *err)
{
	const struct trace *trace = sim->config->trace;
	struct group_spec group = {
		.nodes = job->nodes, .requests = requests, .n_requests = n, .highest = (enum tier)job->highest, .hard = job->hard};
	const char *name = trace_text(trace, job->name), *project = trace_text(trace, job->project);
	struct job_spec spec = {
		.name = name ? name : "job",
		.project = project ? project : "default",
		.user = trace_text(trace, job->user),
		.groups = &group,
		.n_groups = 1,
		.priority = job->priority,
		.limit_us = job->limit_us,
		.max_restarts = RESTARTS_MAX,
		.rerun_when_lost = true,
		.checkpoint_every_us = job->checkpoint_us ? job->checkpoint_us : 1, /* without one nothing is ever lost */
		.preemptible_after_us = is_preemptible(sim, job) ? 0 : US_NEVER,
	};
	uint32_t number;

	return world_submit(sim->world, job->submit_us, &spec, &number, err);
}

/* A line of the timeline for an arrival or an end, and of progress. */
static void tell(struct sim *sim, us_t now_us)
{
	if (sim->config->timeline)
		fprintf(sim->config->timeline,
		        "%" PRId64 ".%06" PRId64 ",%" PRIu64 ".%03" PRIu64 ",%" PRIu64 ".%03" PRIu64 ",%" PRIu32 "\n", now_us / US_SECOND,
		        now_us % US_SECOND, sim->submitted_milli / 1000, sim->submitted_milli % 1000, sim->allocated_milli / 1000,
		        sim->allocated_milli % 1000, sim->waiting);
	if (sim->config->progress)
		sim->config->progress(sim->config->progress_ctx, sim->arrived, sim->over, now_us);
	sim->news = false;
}

static int arrive(struct sim *sim, uint32_t number, struct err *err)
{
	const struct trace_job *job = &sim->config->trace->jobs[number];
	struct request_spec requests[JOB_REQUESTS_MAX];
	uint32_t n = fill_requests(sim, job, requests);
	bool too_large = job->cards_milli > CARDS_PER_NODE_MAX * CARD_MILLI;
	int code = ERR_NEVER;

	if (number + 1 < sim->result.n_jobs)
		fetch(sim, number + 1);
	sim->arriving = number;
	sim->arrived++;
	sim->submitted_milli += milli_of(job);
	sim->news = true;
	if (n && !too_large)
		code = submit(sim, job, requests, n, err);
	sim->arriving = NO_JOB;
	sim->result.end_milli = sim->allocated_milli;
	if (code == ERR_NEVER) {
		sim->result.jobs[number].outcome = SIM_NEVER_FIT;
		sim->result.never_fit++;
		tell(sim, job->submit_us);
		return 0;
	}
	if (code < 0 && code != ERR_CORRUPT && err)
		err->line = job->line;
	return code;
}

/* ---- What the world says ---- */

static struct fate fate_of(void *ctx, const struct core *core, const struct job *job)
{
	struct sim *sim = ctx;
	uint32_t number = sim->trace_job_of[job->id];
	const struct trace_job *job_of_trace = &sim->config->trace->jobs[number];
	uint32_t speed_micro = speed_on(sim, job_of_trace, job->plan.kind);

	(void)core;
	return (struct fate){.run_us = work_begin(&sim->work[number], job_of_trace, job->started_us, speed_micro),
	                     .state = ATTEMPT_ENDED,
	                     .cause = CAUSE_EXIT};
}

/* Sums up what was allocated since the last change. */
static void count_until(struct sim *sim, us_t now_us)
{
	sim->allocated += (wide)sim->allocated_milli * (uint64_t)(now_us - sim->counted_us);
	sim->counted_us = now_us;
}

static void see_submitted(struct sim *sim, uint32_t number)
{
	assert(sim->arriving != NO_JOB);
	while (number >= sim->numbers_cap) {
		sim->numbers_cap = sim->numbers_cap ? sim->numbers_cap * 2 : 1024;
		sim->trace_job_of = mem_resize(sim->trace_job_of, sim->numbers_cap, sizeof *sim->trace_job_of);
	}
	sim->trace_job_of[number] = sim->arriving;
	sim->waiting++;
}

/* Of jobs that waited: whether the start that was expected when they came is what came about. */
static void see_said(struct sim *sim, const struct core *core, uint32_t number, us_t at_us)
{
	const struct job *job = core_job(core, number);
	us_t low_us, high_us;

	if (job->attempt != 1 || at_us <= job->eligible_us || !core_said(job, &low_us, &high_us))
		return;
	sim->result.intervals++;
	sim->result.held += at_us >= low_us && at_us <= high_us;
}

static void see_placed(struct sim *sim, const struct placed *placed, us_t at_us)
{
	struct sim_job *job = &sim->result.jobs[sim->trace_job_of[placed->job]];
	const struct trace_job *work = &sim->config->trace->jobs[sim->trace_job_of[placed->job]];

	count_until(sim, at_us);
	sim->waiting--;
	sim->allocated_milli += milli_of(work);
	if (sim->allocated_milli > sim->result.peak_milli)
		sim->result.peak_milli = sim->allocated_milli;
	if (job->start_us == US_NEVER) {
		job->start_us = at_us;
		sim->result.started++;
	}
	sim->promised_us[sim->trace_job_of[placed->job]] = US_NEVER;
	job->outcome = SIM_RUNNING;
	job->centre = placed->plan.tasks[0].centre;
	job->kind = placed->plan.kind;
}

static void see_ended(struct sim *sim, const struct ended *ended, us_t at_us)
{
	uint32_t number = sim->trace_job_of[ended->job];
	struct sim_job *job = &sim->result.jobs[number];
	const struct trace_job *of_trace = &sim->config->trace->jobs[number];
	us_t useful_us;

	count_until(sim, at_us);
	if (ended->attempt)
		sim->allocated_milli -= milli_of(of_trace);
	else
		sim->waiting--;
	useful_us = work_end(&sim->work[number], of_trace, at_us, ended->then == JOB_COMPLETED);
	sim->useful += (wide)milli_of(of_trace) * (uint64_t)useful_us;
	sim->news = true;
	if (ended->then == JOB_QUEUED) {
		sim->waiting++;
		job->restarts++;
		job->outcome = SIM_PENDING;
		sim->result.restarts++;
		return;
	}
	sim->over++;
	job->end_us = at_us;
	job->outcome = ended->then == JOB_COMPLETED ? SIM_COMPLETED : ended->then == JOB_FAILED ? SIM_FAILED : SIM_CANCELED;
}

static void see_stopping(struct sim *sim, enum cause cause)
{
	sim->result.preemptions += cause == CAUSE_PREEMPTED || cause == CAUSE_RECLAIMED;
	sim->result.moves += cause == CAUSE_MOVED;
}

/* A promise may be taken back before another is made: what counts is what the job was told last. */
static void see_reserved(struct sim *sim, uint32_t number, us_t start_us, enum cause cause)
{
	us_t *promised_us = &sim->promised_us[sim->trace_job_of[number]];

	if (*promised_us != US_NEVER && start_us > *promised_us)
		sim->result.moved[cause]++;
	*promised_us = start_us;
}

static void see(void *ctx, const struct core *core, const struct event *event)
{
	struct sim *sim = ctx;

	sim->result.events++;
	switch (event->type) {
	case EVENT_SUBMITTED: see_submitted(sim, event->submitted.job); break;
	case EVENT_PLACED:
		see_said(sim, core, event->placed.job, event->at_us);
		see_placed(sim, &event->placed, event->at_us);
		break;
	case EVENT_ENDED: see_ended(sim, &event->ended, event->at_us); break;
	case EVENT_STOPPING: see_stopping(sim, event->stopping.cause); break;
	case EVENT_RESERVED: see_reserved(sim, event->reserved.job, event->reserved.plan.start_us, event->reserved.cause); break;
	default: break;
	}
}

static void soon(void *ctx, uint32_t job)
{
	const struct sim *sim = ctx;

	fetch(sim, sim->trace_job_of[job]);
}

static void settled(void *ctx, const struct core *core, us_t now_us)
{
	struct sim *sim = ctx;

	(void)core;
	if (!sim->news)
		return;
	sim->result.last_us = now_us;
	tell(sim, now_us);
}

/* ---- The run ---- */

/* Every centre of a simulation is perfect: whatever engine its file names, nothing really runs. */
static void make_perfect(const struct pool_spec *from, struct arena *arena, struct pool_spec *ret)
{
	struct centre_spec *centres = arena_new(arena, from->n_centres, sizeof *centres);

	*ret = *from;
	for (uint32_t i = 0; i < from->n_centres; i++) {
		centres[i] = from->centres[i];
		centres[i].capabilities = PERFECT_CENTRE;
	}
	ret->centres = centres;
}

static int begin(struct sim *sim, struct err *err)
{
	struct arena arena = {0};
	struct pool_spec pool;
	struct config_spec config = *sim->config->config;
	int code;

	if (config.jobs_max <= sim->result.n_jobs)
		config.jobs_max = (uint64_t)sim->result.n_jobs + 1;
	config.kill_grace_us = 0; /* what is killed is over at once */
	make_perfect(sim->config->pool, &arena, &pool);
	code = world_input(sim->world, &(struct input){.type = INPUT_CONFIG, .config = &config}, err);
	if (code == 0)
		code = world_input(sim->world, &(struct input){.type = INPUT_POOL, .pool = &pool}, err);
	arena_done(&arena);
	return code;
}

static void start_result(struct sim *sim)
{
	const struct pool_spec *pool = sim->config->pool;
	struct sim_result *r = &sim->result;

	r->n_jobs = sim->config->trace->n_jobs;
	r->jobs = mem_new(r->n_jobs, sizeof *r->jobs);
	sim->work = mem_new(r->n_jobs, sizeof *sim->work);
	sim->promised_us = mem_new(r->n_jobs, sizeof *sim->promised_us);
	for (uint32_t i = 0; i < r->n_jobs; i++) {
		r->jobs[i] = (struct sim_job){.start_us = US_NEVER, .end_us = US_NEVER, .centre = CENTRE_ANY, .kind = KIND_NONE};
		sim->work[i].began_us = sim->promised_us[i] = US_NEVER;
	}
	for (uint32_t c = 0; c < pool->n_centres; c++)
		for (uint32_t l = 0; l < pool->centres[c].n_lines; l++)
			r->total_milli += (uint64_t)pool->centres[c].lines[l].count * pool->centres[c].lines[l].cards * CARD_MILLI;
	r->first_us = r->last_us = r->n_jobs ? sim->config->trace->jobs[0].submit_us : 0;
	sim->counted_us = 0;
	sim->arriving = NO_JOB;
}

/* What runs still, runs on: it is useful so far. */
static void finish_running(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->result.n_jobs; i++) {
		const struct trace_job *job = &sim->config->trace->jobs[i];

		if (sim->work[i].began_us != US_NEVER)
			sim->useful += (wide)milli_of(job) * (uint64_t)work_end(&sim->work[i], job, sim->counted_us, true);
	}
}

/* What the jobs that started at each centre need of its cards, at the speed of the kind that they got. */
static void finish_centres(struct sim *sim)
{
	const struct pool *pool = core_pool(world_core(sim->world));
	struct sim_result *r = &sim->result;

	r->n_centres = pool->n_centres;
	r->centres = mem_new(r->n_centres, sizeof *r->centres);
	r->centre_names = mem_new(r->n_centres, sizeof *r->centre_names);
	for (uint32_t c = 0; c < r->n_centres; c++)
		r->centre_names[c] = mem_strdup(pool_centre_name(pool, c));
	for (uint32_t i = 0; i < pool->n_shelves; i++)
		r->centres[pool->shelves[i].centre].cards_milli += pool->shelves[i].cards * CARD_MILLI;
	for (uint32_t i = 0; i < r->n_jobs; i++) {
		const struct trace_job *job = &sim->config->trace->jobs[i];
		us_t run_us = sim_run_us(job->run_us, speed_on(sim, job, r->jobs[i].kind));

		if (r->jobs[i].start_us == US_NEVER)
			continue;
		if (run_us == US_NEVER)
			run_us = r->last_us - r->jobs[i].start_us;
		r->centres[r->jobs[i].centre].demand_milli_s += (double)milli_of(job) * ((double)run_us / US_SECOND);
	}
}

static void finish_result(struct sim *sim)
{
	const struct pool *pool = core_pool(world_core(sim->world));
	struct sim_result *r = &sim->result;

	finish_running(sim);
	finish_centres(sim);
	r->card_seconds = (double)sim->allocated / 1e9;
	r->useful_card_seconds = (double)sim->useful / 1e9;
	r->plans_checked = world_checked(sim->world);
	r->n_kinds = pool->n_kinds;
	r->kinds = mem_new(r->n_kinds, sizeof *r->kinds);
	for (uint32_t i = 0; i < r->n_kinds; i++)
		r->kinds[i] = mem_strdup(pool_kind_name(pool, i));
	for (uint32_t i = 0; i < r->n_jobs; i++) {
		r->completed += r->jobs[i].outcome == SIM_COMPLETED;
		r->failed += r->jobs[i].outcome == SIM_FAILED;
		r->pending += r->jobs[i].outcome == SIM_PENDING;
		r->running += r->jobs[i].outcome == SIM_RUNNING;
	}
}

/* A node fails, or is back. */
static int take_fault(struct sim *sim, struct err *err)
{
	struct input input = {.type = INPUT_NODE, .now_us = faults_next(sim->faults)};
	struct fault fault;

	if (!faults_take(sim->faults, &fault))
		return 0;
	sim->result.failures += fault.down;
	input.node.centre = sim->config->pool->centres[fault.centre].name;
	input.node.range = (struct node_range){fault.node, fault.node};
	input.node.state = fault.down ? NODE_DOWN : NODE_UP;
	return world_input(sim->world, &input, err);
}

/* Lets time pass up to and with an instant, failures included; US_NEVER: until nothing else is to come. A failure of an idle
 * pool is no news. */
static int run_until(struct sim *sim, us_t until_us, struct err *err)
{
	int code = 0;

	while (code == 0 && faults_next(sim->faults) < until_us) {
		code = world_run(sim->world, faults_next(sim->faults), err);
		if (until_us == US_NEVER && world_next(sim->world) == US_NEVER && !faults_any_down(sim->faults))
			break;
		if (code == 0)
			code = take_fault(sim, err);
	}
	return code == 0 ? world_run(sim->world, until_us, err) : code;
}

static int run_trace(struct sim *sim, struct err *err)
{
	const struct trace *trace = sim->config->trace;
	int code = 0;

	for (uint32_t i = 0; code == 0 && i < trace->n_jobs; i++) {
		code = run_until(sim, trace->jobs[i].submit_us, err);
		if (code == 0)
			code = arrive(sim, i, err);
	}
	return code == 0 ? run_until(sim, US_NEVER, err) : code;
}

static int run(struct sim *sim, struct err *err)
{
	const struct trace *trace = sim->config->trace;
	int code = begin(sim, err);

	sim->options = mem_new(trace->n_choices, sizeof *sim->options);
	for (uint32_t i = 0; code == 0 && i < trace->n_choices; i++)
		resolve_choice(sim, i);
	if (sim->config->timeline)
		fputs("t_s,submitted_cards,allocated_cards,pending_jobs\n", sim->config->timeline);
	if (code == 0)
		code = run_trace(sim, err);
	if (code == 0)
		code = world_finish(sim->world, &sim->result.digest, err);
	if (code == 0 && sim->config->timeline && (fflush(sim->config->timeline) || ferror(sim->config->timeline)))
		code = err_set(err, ERR_IO, "timeline", "%s", strerror(errno));
	return code;
}

int sim_run(const struct sim_config *config, struct sim_result *ret, struct err *err)
{
	struct sim sim = {.config = config};
	int code;

	sim.world = world_new(&(struct world_config){.ctx = &sim,
	                                             .fate = fate_of,
	                                             .applied = see,
	                                             .settled = settled,
	                                             .soon = soon,
	                                             .batch_bytes = BATCH_BYTES,
	                                             .unchecked = config->unchecked,
	                                             .threaded = true});
	start_result(&sim);
	sim.faults = faults_new(config->pool, &config->faults, config->config->seed, sim.result.first_us);
	code = run(&sim, err);
	if (code == 0) {
		finish_result(&sim);
		*ret = sim.result;
	} else {
		sim_done(&sim.result);
	}
	world_free(sim.world);
	faults_free(sim.faults);
	free(sim.work);
	free(sim.promised_us);
	free(sim.options);
	free(sim.option);
	free(sim.trace_job_of);
	return code;
}

void sim_done(struct sim_result *result)
{
	for (uint32_t i = 0; i < result->n_centres; i++)
		free(result->centre_names[i]);
	for (uint32_t i = 0; i < result->n_kinds; i++)
		free(result->kinds[i]);
	free(result->centre_names);
	free(result->centres);
	free(result->kinds);
	free(result->jobs);
	*result = (struct sim_result){0};
}
