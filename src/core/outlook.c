/* SPDX-License-Identifier: Apache-2.0
 * outlook.c: when jobs are expected to start; see outlook.h.
 *
 * What a job counts for is made from what it keeps (its estimated run, its shelf), so that it is taken off as it was put on,
 * whatever was learned in between. */
#include "core/outlook.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "core/state.h"

enum {
	WAYS_MAX = 8,    /* shelves that are looked at for a job, of all that will do */
	BIAS_JOBS = 256, /* that count in what estimates have come to */
	BIAS_SHIFT = 20, /* its work is kept in so many bits less */
	FEW = 64,        /* jobs that waited and started: below it an interval is a good deal wider */
	BASE_OFF = 16,   /* by which a base is held to be off at most, while nothing is known */
	LATE_PART = 8,   /* what runs has at least this part of its work left, however late it is */
};

#define BIAS_WORK_MAX ((u128)1 << 54)

/* ---- Codes: 6 bits of exponent and 10 of fraction ---- */

enum { FRACTION_BITS = 10 };

#define CODED_MAX ((us_t)1 << 62)

static uint16_t code_down(us_t us)
{
	uint64_t v = us < CODED_MAX ? (uint64_t)us : CODED_MAX;
	uint32_t exponent;

	if (v >> FRACTION_BITS == 0)
		return (uint16_t)v;
	exponent = 63 - (uint32_t)__builtin_clzll(v) - FRACTION_BITS;
	return (uint16_t)(((exponent + 1) << FRACTION_BITS) + ((v >> exponent) - (1u << FRACTION_BITS)));
}

static us_t decode(uint16_t code)
{
	uint64_t fraction = code & ((1u << FRACTION_BITS) - 1);
	uint32_t exponent = code >> FRACTION_BITS;

	return (us_t)(exponent ? ((1u << FRACTION_BITS) + fraction) << (exponent - 1) : fraction);
}

static uint16_t code_up(us_t us)
{
	uint16_t code = code_down(us);

	return decode(code) < us && us < CODED_MAX ? (uint16_t)(code + 1) : code;
}

/* ---- What a job counts for ---- */

void outlook_init(struct outlook *outlook, const struct pool *pool)
{
	free(outlook->shelves);
	outlook->n = pool->n_shelves;
	outlook->chosen_for = 0;
	outlook->shelves = mem_new(outlook->n, sizeof *outlook->shelves);
	for (uint32_t i = 0; i < pool->n_nodes; i++)
		if (pool->nodes[i].cpus_milli != UNCOUNTED)
			outlook->shelves[pool->nodes[i].shelf].cpus_milli += pool->nodes[i].cpus_milli;
	for (uint32_t i = 0; i < outlook->n; i++) {
		uint64_t milli = pool->shelves[i].cards * CARD_MILLI;

		outlook->shelves[i].size = milli ? milli : outlook->shelves[i].cpus_milli;
	}
}

void outlook_done(struct outlook *outlook)
{
	free(outlook->shelves);
	*outlook = (struct outlook){0};
}

/* What a job needs of a shelf; without cards, as many of them as go with its CPUs. */
static uint64_t needs(const struct core *core, uint32_t shelf, const struct group *group, const struct request *q)
{
	const struct shelf_work *work = &core->outlook.shelves[shelf];

	if (q->cards_milli)
		return (uint64_t)group->nodes * q->cards_milli;
	return work->cpus_milli ? (uint64_t)((u128)group->nodes * q->cpus_milli * work->size / work->cpus_milli) : 0;
}

/* The kth of the ways that are looked at for a job. */
static const struct candidate *way_of(const struct job *job, const struct shape *shape, uint32_t k)
{
	uint32_t from = shape->n_candidates > WAYS_MAX ? job->id % shape->n_candidates : 0;

	return &shape->candidates[(from + k) % shape->n_candidates];
}

static uint32_t n_ways(const struct shape *shape)
{
	return shape->never ? 0 : shape->n_candidates < WAYS_MAX ? shape->n_candidates : WAYS_MAX;
}

/* What a job that waits counts for on its shelf; an array: with all elements that it has left. */
static u128 work_of(const struct core *core, const struct job *job)
{
	const struct shape *shape = core_shape(core, job);
	uint32_t n = job->array ? job->array->count - job->array->taken : 1;

	for (uint32_t k = 0; k < n_ways(shape); k++) {
		const struct candidate *way = way_of(job, shape, k);

		if (way->shelf == job->outlook.shelf)
			return (u128)n * needs(core, way->shelf, &shape->group, &shape->group.requests[way->request]) *
			       (uint64_t)decode(job->outlook.run);
	}
	return 0;
}

/* What is left to be done on a shelf of what runs there. */
static u128 left_of(const struct shelf_work *work, us_t now_us)
{
	u128 now = (u128)work->held * (uint64_t)now_us, least = work->runs / LATE_PART;

	return work->ends > now + least ? work->ends - now : least;
}

/* How long a shelf is busy with work. */
static us_t busy_of(const struct shelf_work *shelf, u128 work)
{
	u128 us = shelf->size ? wide_div(work, shelf->size) : 0;

	return us < (u128)US_DURATION_MAX ? (us_t)us : US_DURATION_MAX;
}

/* The same as busy_of(shelf, work) < us, without a division. */
static bool is_busy_below(const struct shelf_work *shelf, u128 work, us_t us)
{
	return shelf->size ? work < (u128)(uint64_t)us * shelf->size : us > 0;
}

/* How long that is by what estimates of late have come to: for a longer time, no shorter one. */
static us_t base_of(const struct core *core, us_t busy_us)
{
	const struct outlook_bias *bias = &core->outlook_bias;
	u128 base = (uint64_t)busy_us;

	if (bias->expected && busy_us < US_DURATION_MAX)
		base = wide_div(base * bias->actual, bias->expected);
	return base < (u128)US_DURATION_MAX ? (us_t)base : US_DURATION_MAX;
}

/* The shelf on which a job's work would be done first. One that isn't done sooner than the best so far has no base below its
 * base. */
static struct shelf_choice choose_shelf(const struct core *core, const struct job *job, us_t now_us)
{
	const struct shape *shape = core_shape(core, job);
	struct shelf_choice best = {SHELF_NONE, US_NEVER};
	us_t best_busy_us = US_NEVER;

	for (uint32_t k = 0; k < n_ways(shape); k++) {
		uint32_t n = way_of(job, shape, k)->shelf;
		const struct shelf_work *shelf = n < SHELF_NONE ? &core->outlook.shelves[n] : NULL;
		u128 work = shelf ? shelf->waiting + left_of(shelf, now_us) : 0;
		us_t busy_us, base_us;

		if (!shelf || (best.shelf != SHELF_NONE && !is_busy_below(shelf, work, best_busy_us)))
			continue;
		busy_us = busy_of(shelf, work);
		base_us = base_of(core, busy_us);
		if (base_us < best.base_us) {
			best = (struct shelf_choice){(uint16_t)n, base_us};
			best_busy_us = busy_us;
		}
	}
	return best;
}

/* The same, remembered: a job that comes is asked for what will be said of it, and again as it enters the queue. */
static struct shelf_choice choice_for(struct core *core, const struct job *job)
{
	struct outlook *o = &core->outlook;

	if (o->chosen_for != job->id || o->chosen_at != core->sequence) {
		o->chosen = choose_shelf(core, job, core->now_us);
		o->chosen_for = job->id;
		o->chosen_at = core->sequence;
	}
	return o->chosen;
}

/* ---- Kept as jobs come and go ---- */

void outlook_estimate(const struct core *core, const struct shape *shape, struct job *job)
{
	struct estimate_key key;

	if (job->outlook.run)
		return;
	key = core_estimate_key(shape, job);
	job->outlook.run = code_down(estimate_run_mid(&core->estimates, &key, job->limit_us));
	if (!job->outlook.run)
		job->outlook.run = 1;
}

us_t outlook_run_us(const struct job *job)
{
	return decode(job->outlook.run);
}

void outlook_enter(struct core *core, struct job *job)
{
	if (job->outlook.shelf == SHELF_NONE)
		job->outlook.shelf = choice_for(core, job).shelf;
	if (job->outlook.shelf != SHELF_NONE)
		core->outlook.shelves[job->outlook.shelf].waiting += work_of(core, job);
}

void outlook_leave(struct core *core, struct job *job)
{
	if (job->outlook.shelf != SHELF_NONE)
		core->outlook.shelves[job->outlook.shelf].waiting -= work_of(core, job);
	job->outlook.shelf = SHELF_NONE;
}

void outlook_element(struct core *core, const struct job *array, bool taken)
{
	u128 work = array->outlook.shelf == SHELF_NONE ? 0 : work_of(core, array);

	if (work && taken)
		core->outlook.shelves[array->outlook.shelf].waiting += work;
	else if (work)
		core->outlook.shelves[array->outlook.shelf].waiting -= work;
}

/* Puts what an attempt has on its shelf on the sums, or takes it off. A node that left the pool has no shelf. */
static void count_running(const struct core *core, const struct job *job, struct shelf_work *shelves, bool off)
{
	uint32_t node = pool_node(core->pool, job->plan.tasks[0].centre, job->plan.tasks[0].node);
	us_t run_us = decode(job->outlook.run);
	uint64_t milli;
	u128 run, end;

	if (node == NODE_NONE)
		return;
	shelves += core->pool->nodes[node].shelf;
	milli = needs(core, core->pool->nodes[node].shelf, &core_shape(core, job)->group, job_request(core, job));
	run = (u128)milli * (uint64_t)run_us;
	end = (u128)milli * (uint64_t)(job->placed_us + run_us);
	shelves->held += off ? -milli : milli;
	shelves->runs += off ? -run : run;
	shelves->ends += off ? -end : end;
}

void outlook_hold(struct core *core, const struct job *job)
{
	count_running(core, job, core->outlook.shelves, false);
}

void outlook_ran(struct core *core, const struct job *job, us_t run_us)
{
	const struct request *q = job_request(core, job);
	u128 milli = (u128)job->plan.n_tasks * (q->cards_milli ? q->cards_milli : q->cpus_milli);
	u128 actual = milli * (uint64_t)run_us >> BIAS_SHIFT, expected = milli * (uint64_t)decode(job->outlook.run) >> BIAS_SHIFT;
	struct outlook_bias *bias = &core->outlook_bias;

	if (actual >= BIAS_WORK_MAX || expected >= BIAS_WORK_MAX)
		return;
	bias->actual += (uint64_t)actual - bias->actual / BIAS_JOBS;
	bias->expected += (uint64_t)expected - bias->expected / BIAS_JOBS;
}

void outlook_release(struct core *core, const struct job *job)
{
	count_running(core, job, core->outlook.shelves, true);
}

/* ---- What is said ---- */

/* How things stand for a job, as far as waits differ by it: whether others wait, and how much of its shelf it needs. */
static uint8_t state_of(const struct core *core, const struct job *job, uint32_t shelf, bool first)
{
	const struct shape *shape = core_shape(core, job);
	uint64_t milli = needs(core, shelf, &shape->group, &shape->group.requests[0]), size = core->outlook.shelves[shelf].size;
	uint8_t large = milli >= size / 8 ? 3 : milli >= size / 32 ? 2 : milli >= size / 128 ? 1 : 0;

	return (uint8_t)(large * 2 + first);
}

static us_t scaled(us_t us, uint64_t by, uint64_t over)
{
	u128 value = wide_div((u128)(uint64_t)us * by, over);

	return value < (u128)US_DURATION_MAX ? (us_t)value : US_DURATION_MAX;
}

/* The interval for a base. While few have started it is wider: the quantiles of few lie too close, and those that started are
 * those that waited least; so as long as they are fewer than twice those that wait, what would be said of the first is held to
 * be possible too. */
static void interval_of(const struct core *core, us_t base_us, uint8_t state, us_t *ret_low_us, us_t *ret_high_us)
{
	uint64_t learned = core->outlook_bias.learned;

	wait_interval(&core->waits, base_us, state, ret_low_us, ret_high_us);
	*ret_high_us = scaled(*ret_high_us, learned + FEW, learned + FEW / 4);
	if (learned >= 2 * (uint64_t)core->queue.waiting) {
		*ret_low_us = scaled(*ret_low_us, learned + FEW / 4, learned + FEW);
		return;
	}
	*ret_low_us = 0;
	*ret_high_us = *ret_high_us > base_us * BASE_OFF + US_HOUR ? *ret_high_us : base_us * BASE_OFF + US_HOUR;
}

void outlook_say(struct core *core, struct job *job)
{
	struct shelf_choice choice = choice_for(core, job);
	us_t low_us, high_us;

	if (choice.shelf == SHELF_NONE)
		return;
	job->outlook.base = code_down(choice.base_us);
	job->outlook.state = state_of(core, job, choice.shelf, core->queue.waiting == core->queue.never);
	interval_of(core, decode(job->outlook.base), job->outlook.state, &low_us, &high_us);
	job->outlook.low = code_down(low_us);
	job->outlook.high = code_up(high_us);
}

void outlook_learn(struct core *core, const struct job *job, us_t placed_us)
{
	const struct job_outlook *said = &job->outlook;

	if (said->state == OUTLOOK_UNSAID || placed_us <= job->eligible_us)
		return;
	core->outlook_bias.learned++;
	wait_learn(&core->waits, decode(said->base), said->state, decode(said->low), decode(said->high), placed_us - job->eligible_us,
	           core->queue.waiting);
}

bool core_said(const struct job *job, us_t *ret_low_us, us_t *ret_high_us)
{
	if (job->outlook.state == OUTLOOK_UNSAID)
		return false;
	*ret_low_us = us_add(job->eligible_us, decode(job->outlook.low));
	*ret_high_us = us_add(job->eligible_us, decode(job->outlook.high));
	return true;
}

bool outlook_of(const struct core *core, const struct job *job, uint32_t ahead, us_t now_us, us_t *ret_low_us, us_t *ret_high_us)
{
	uint16_t shelf = job->outlook.shelf == SHELF_NONE ? choose_shelf(core, job, now_us).shelf : job->outlook.shelf;
	const struct shelf_work *work;
	uint32_t others = core->queue.waiting - core->queue.never;
	u128 before;

	if (shelf == SHELF_NONE)
		return false;
	work = &core->outlook.shelves[shelf];
	before = work->waiting;
	if (job->outlook.shelf != SHELF_NONE) {
		before -= work_of(core, job);
		others -= others > 0;
	}
	if (ahead < others)
		before = before / others * ahead;
	before += left_of(work, now_us);
	interval_of(core, base_of(core, busy_of(work, before)), state_of(core, job, shelf, ahead == 0), ret_low_us, ret_high_us);
	return true;
}

/* ---- Check ---- */

bool outlook_fits(const struct job_outlook *o, uint32_t n_shelves)
{
	uint16_t most = code_down(CODED_MAX);

	return o->run <= most && decode(o->run) <= US_DURATION_MAX && o->base <= most && o->low <= o->high && o->high <= most &&
	       (o->shelf == SHELF_NONE || o->shelf < n_shelves) && (o->state == OUTLOOK_UNSAID || o->state < WAIT_STATES);
}

static bool same_work(const struct shelf_work *a, const struct shelf_work *b)
{
	return a->waiting == b->waiting && a->runs == b->runs && a->ends == b->ends && a->held == b->held && a->size == b->size &&
	       a->cpus_milli == b->cpus_milli;
}

void outlook_check(const struct core *core)
{
	struct outlook fresh = {0};

	outlook_init(&fresh, core->pool);
	for (uint32_t id = 1; id <= core->last_job; id++) {
		const struct job *job = core->jobs[id];

		if (!job)
			continue;
		assert(queue_has(&core->queue, job) || job->outlook.shelf == SHELF_NONE);
		if (job->outlook.shelf != SHELF_NONE)
			fresh.shelves[job->outlook.shelf].waiting += work_of(core, job);
		if (job_is_live(job))
			count_running(core, job, fresh.shelves, false);
	}
	assert(fresh.n == core->outlook.n);
	for (uint32_t i = 0; i < fresh.n; i++)
		assert(same_work(&fresh.shelves[i], &core->outlook.shelves[i]));
	outlook_done(&fresh);
	wait_model_check(&core->waits);
}
