/* SPDX-License-Identifier: Apache-2.0
 * save.c: the whole state as canonical bytes, their hash, and the way back.
 *
 * Only the state proper is written, not what is kept to be quick, but for what a backlog's event said; in the order of numbers,
 * never of tables. Each save_x has its load_x below it. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/state.h"

/* Version 4 says of those that make room for a promise by which attempt; 5 is the same of a state with a backlog. A state is
 * written as the first version that has all it needs: it keeps its digest. */
enum { SAVE_WITHOUT_ATTEMPTS = 3, SAVE_WITHOUT_BACKLOG = 4, SAVE_VERSION = 5 };

static uint32_t save_version(const struct core *core)
{
	if (core->backlog)
		return SAVE_VERSION;
	for (uint32_t i = 0; i < core->keep.n_reservations; i++)
		if (core->keep.reservations[i]->n_victims)
			return SAVE_WITHOUT_BACKLOG;
	return SAVE_WITHOUT_ATTEMPTS;
}

static void save_names(const struct strtab *names, struct buf *buf)
{
	buf_put_uint(buf, names->count);
	for (uint32_t i = 0; i < names->count; i++)
		buf_put_str(buf, strtab_name(names, i));
}

static void load_names(struct strtab *names, struct reader *r, struct arena *arena)
{
	uint32_t n = read_count(r);

	for (uint32_t i = 0; i < n; i++)
		r->bad |= strtab_add(names, read_str(r, arena)) != i;
}

static void save_array(const struct array *a, struct buf *buf)
{
	buf_put_uint(buf, a->n_ranges);
	for (uint32_t i = 0; i < a->n_ranges; i++) {
		buf_put_uint(buf, a->ranges[i].first);
		buf_put_uint(buf, a->ranges[i].last);
		buf_put_uint(buf, a->ranges[i].step);
	}
	buf_put_uint(buf, a->parallel_max);
	buf_put_uint(buf, a->live);
	buf_put_uint(buf, a->over);
	buf_put_uint(buf, a->failed);
	buf_put_uint(buf, a->taken);
	for (uint32_t i = 0; i < a->taken; i++)
		buf_put_uint(buf, a->elements[i]);
}

static void *copy_of(const void *from, size_t count, size_t size)
{
	void *copy = mem_new(count, size);

	return count ? memcpy(copy, from, count * size) : copy;
}

static struct array *load_array(struct reader *r)
{
	struct array *a = mem_new(1, sizeof *a);

	a->n_ranges = read_count(r);
	a->ranges = mem_new(a->n_ranges, sizeof *a->ranges);
	for (uint32_t i = 0; i < a->n_ranges; i++) {
		a->ranges[i].first = (uint32_t)read_uint(r);
		a->ranges[i].last = (uint32_t)read_uint(r);
		a->ranges[i].step = (uint32_t)read_uint(r);
	}
	a->count = (uint32_t)ranges_count(a->ranges, a->n_ranges);
	a->parallel_max = (uint32_t)read_uint(r);
	a->live = (uint32_t)read_uint(r);
	a->over = (uint32_t)read_uint(r);
	a->failed = (uint32_t)read_uint(r);
	a->taken = a->elements_cap = read_count(r);
	a->elements = mem_new(a->taken, sizeof *a->elements);
	for (uint32_t i = 0; i < a->taken; i++)
		a->elements[i] = (uint32_t)read_uint(r);
	r->bad |= a->taken > a->count;
	return a;
}

static void save_extra(const struct job_extra *x, struct buf *buf)
{
	buf_put_uint(buf, x->n_dependencies);
	for (uint32_t i = 0; i < x->n_dependencies; i++) {
		buf_put_uint(buf, x->dependencies[i].job);
		buf_put_uint(buf, x->dependencies[i].when);
	}
	buf_put_str(buf, x->secrets);
	buf_put_str(buf, x->note);
	buf_put_str(buf, x->native_id);
	buf_put_str(buf, x->stopped_by);
	buf_put_u8(buf, x->has_idempotency);
	if (x->has_idempotency)
		buf_put(buf, x->idempotency, sizeof x->idempotency);
	buf_put_uint(buf, (uint64_t)x->done_us);
	buf_put_uint(buf, (uint64_t)x->attained_us);
}

static char *load_text(struct reader *r, struct arena *arena)
{
	const char *text = read_str(r, arena);

	return *text ? mem_strdup(text) : NULL;
}

static struct job_extra *load_extra(struct reader *r, struct arena *arena)
{
	struct job_extra *x = mem_new(1, sizeof *x);
	const void *key;

	x->n_dependencies = read_count(r);
	x->dependencies = mem_new(x->n_dependencies, sizeof *x->dependencies);
	for (uint32_t i = 0; i < x->n_dependencies; i++) {
		x->dependencies[i].job = (uint32_t)read_uint(r);
		x->dependencies[i].when = (enum dependency_when)read_uint_max(r, AFTER_ANY);
	}
	x->secrets = load_text(r, arena);
	x->note = load_text(r, arena);
	x->native_id = load_text(r, arena);
	x->stopped_by = load_text(r, arena);
	x->has_idempotency = read_uint_max(r, 1);
	key = x->has_idempotency ? read_bytes(r, sizeof x->idempotency) : NULL;
	if (key)
		memcpy(x->idempotency, key, sizeof x->idempotency);
	x->done_us = (us_t)read_uint_max(r, US_NEVER);
	x->attained_us = (us_t)read_uint_max(r, US_NEVER);
	return x;
}

/* Where a job's times are, in the order in which they are written. */
#define JOB_TIMES(job) \
	{ \
		&(job)->submitted_us, &(job)->begin_us, &(job)->limit_us, &(job)->eligible_us, &(job)->placed_us, &(job)->started_us, \
			&(job)->ended_us, &(job)->checkpoint_every_us, &(job)->preemptible_after_us \
	}

static void save_times(const struct job *job, struct buf *buf)
{
	const us_t *const times[] = JOB_TIMES(job);

	for (size_t i = 0; i < sizeof times / sizeof *times; i++)
		buf_put_uint(buf, *times[i] == US_NEVER ? 0 : (uint64_t)*times[i] + 1);
}

static void load_times(struct job *job, struct reader *r)
{
	us_t *const times[] = JOB_TIMES(job);

	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		uint64_t value = read_uint_max(r, US_NEVER);

		*times[i] = value ? (us_t)(value - 1) : US_NEVER;
	}
}

enum {
	FLAG_ELIGIBLE = 1,
	FLAG_RERUN = 2,
	FLAG_HELD = 4,
	FLAG_ARRAY = 8,
	FLAG_EXTRA = 16,
	FLAG_PREEMPTIBLE = 32,
	FLAG_MOVABLE = 64
};

/* A part that holds only what follows from other jobs (who depends on it) isn't written. */
static bool has_extra(const struct job *job)
{
	const struct job_extra *x = job->extra;

	return x && (x->n_dependencies || x->secrets || x->note || x->native_id || x->stopped_by || x->has_idempotency ||
	             x->done_us || x->attained_us);
}

static void save_share(const struct share *share, struct buf *buf)
{
	buf_put_uint(buf, share->cards);
	buf_put_uint(buf, share->milli);
	buf_put_uint(buf, share->cpus_milli);
	buf_put_uint(buf, share->memory_mib);
}

static struct share load_share(struct reader *r)
{
	struct share share = {.cards = read_uint(r)};

	share.milli = (uint32_t)read_uint_max(r, CARD_MILLI);
	share.cpus_milli = (uint32_t)read_uint_max(r, UINT32_MAX);
	share.memory_mib = (uint32_t)read_uint_max(r, UINT32_MAX);
	return share;
}

static void save_outlook(const struct job_outlook *o, struct buf *buf)
{
	buf_put_uint(buf, o->run);
	buf_put_uint(buf, o->shelf);
	buf_put_uint(buf, o->base);
	buf_put_uint(buf, o->low);
	buf_put_uint(buf, o->high);
	buf_put_u8(buf, o->state);
}

static void load_outlook(const struct core *core, struct job_outlook *o, struct reader *r)
{
	o->run = (uint16_t)read_uint_max(r, UINT16_MAX);
	o->shelf = (uint16_t)read_uint_max(r, UINT16_MAX);
	o->base = (uint16_t)read_uint_max(r, UINT16_MAX);
	o->low = (uint16_t)read_uint_max(r, UINT16_MAX);
	o->high = (uint16_t)read_uint_max(r, UINT16_MAX);
	o->state = read_u8(r);
	r->bad |= !outlook_fits(o, core->pool ? core->pool->n_shelves : 0);
}

static void save_job(const struct core *core, const struct job *job, struct buf *buf)
{
	unsigned flags = (job->eligible ? FLAG_ELIGIBLE : 0) | (job->rerun_when_lost ? FLAG_RERUN : 0) | (job->held ? FLAG_HELD : 0) |
	                 (job->array ? FLAG_ARRAY : 0) | (has_extra(job) ? FLAG_EXTRA : 0) |
	                 (job->preemptible ? FLAG_PREEMPTIBLE : 0) | (job->movable ? FLAG_MOVABLE : 0);

	buf_put_uint(buf, job->id);
	group_encode(&core_shape(core, job)->group, buf);
	buf_put_uint(buf, job->project);
	buf_put_str(buf, job->name);
	buf_put_uint(buf, job->user);
	buf_put_uint(buf, job->state);
	buf_put_uint(buf, job->attempt_state);
	buf_put_uint(buf, job->cause);
	buf_put_uint(buf, job->priority);
	buf_put_u8(buf, (uint8_t)flags);
	buf_put_u8(buf, job->level);
	buf_put_uint(buf, job->attempt);
	buf_put_uint(buf, job->restarts_left);
	buf_put_uint(buf, job->array_of);
	buf_put_uint(buf, job->array_index);
	buf_put_int(buf, job->exit_code);
	buf_put_uint(buf, job->exit_rank);
	save_times(job, buf);
	buf_put(buf, job->payload.bytes, sizeof job->payload.bytes);
	save_outlook(&job->outlook, buf);
	plan_encode(&job->plan, buf);
	for (uint32_t i = 0; job->held && i < job->plan.n_tasks; i++)
		save_share(&job->held[i], buf);
	if (job->array)
		save_array(job->array, buf);
	if (flags & FLAG_EXTRA)
		save_extra(job->extra, buf);
}

static void load_plan(struct job *job, struct reader *r, struct arena *arena)
{
	struct plan plan;

	plan_decode(r, arena, &plan);
	plan_keep(&job->plan, &plan);
}

static void load_flagged(struct job *job, unsigned flags, struct reader *r, struct arena *arena)
{
	job->eligible = flags & FLAG_ELIGIBLE;
	job->rerun_when_lost = flags & FLAG_RERUN;
	job->preemptible = flags & FLAG_PREEMPTIBLE;
	job->movable = flags & FLAG_MOVABLE;
	if (flags & FLAG_HELD)
		job->held = mem_new(job->plan.n_tasks, sizeof *job->held);
	for (uint32_t i = 0; job->held && i < job->plan.n_tasks; i++)
		job->held[i] = load_share(r);
	if (flags & FLAG_ARRAY)
		job->array = load_array(r);
	if (flags & FLAG_EXTRA)
		job->extra = load_extra(r, arena);
}

/* Reads a job into its place among the jobs, which is there. */
static void load_job(struct core *core, struct reader *r, struct arena *arena)
{
	struct job *job = job_new(&core->memory);
	const void *payload;
	struct group group;
	unsigned flags;
	bool new_shape;

	job->id = (uint32_t)read_uint_max(r, core->last_job);
	group_decode(r, arena, &group);
	job->project = (uint32_t)read_uint(r);
	job_set_name(job, read_str(r, arena));
	job->user = (uint32_t)read_uint(r);
	job->state = (enum job_state)read_uint_max(r, JOB_STATE_COUNT - 1);
	job->attempt_state = (enum attempt_state)read_uint_max(r, ATTEMPT_STATE_COUNT - 1);
	job->cause = (enum cause)read_uint_max(r, CAUSE_COUNT - 1);
	job->priority = (uint16_t)read_uint_max(r, JOB_PRIORITY_MAX);
	flags = read_u8(r);
	job->level = (uint8_t)read_uint_max(r, LAS_LEVELS_MAX);
	job->attempt = (uint32_t)read_uint(r);
	job->restarts_left = (uint32_t)read_uint(r);
	job->array_of = (uint32_t)read_uint(r);
	job->array_index = (uint32_t)read_uint(r);
	job->exit_code = (int32_t)read_int(r);
	job->exit_rank = (uint32_t)read_uint(r);
	load_times(job, r);
	payload = read_bytes(r, sizeof job->payload.bytes);
	if (payload)
		memcpy(job->payload.bytes, payload, sizeof job->payload.bytes);
	load_outlook(core, &job->outlook, r);
	load_plan(job, r, arena);
	load_flagged(job, flags, r, arena);
	r->bad |= job->id == 0 || core->jobs[job->id] || job->project >= core->projects.count || job->user >= core->users.count;
	if (r->bad) {
		job_free(&core->memory, job);
		return;
	}
	job->shape = queue_shape(&core->queue, &group, &new_shape);
	core->jobs[job->id] = job;
}

static void save_bookings(const struct core *core, struct buf *buf)
{
	buf_put_uint(buf, core->n_marks);
	for (uint32_t i = 0; i < core->n_marks; i++) {
		buf_put_uint(buf, core->marks[i].centre);
		buf_put_uint(buf, core->marks[i].number);
		buf_put_uint(buf, core->marks[i].state);
		buf_put_str(buf, core->marks[i].note);
	}
	buf_put_uint(buf, core->last_booking);
	buf_put_uint(buf, core->n_bookings);
	for (uint32_t i = 0; i < core->n_bookings; i++) {
		const struct booking *b = core->bookings[i];
		struct booked booked = {.booking = b->id,
		                        .name = b->name,
		                        .project = b->project == UINT32_MAX ? "" : strtab_name(&core->projects, b->project),
		                        .centre = b->centre,
		                        .ranges = b->ranges,
		                        .n_ranges = b->n_ranges,
		                        .from_us = b->from_us,
		                        .until_us = b->until_us};

		booked_encode(&booked, buf);
	}
}

static void load_marks(struct core *core, struct reader *r, struct arena *arena)
{
	core->n_marks = core->marks_cap = read_count(r);
	core->marks = mem_new(core->n_marks, sizeof *core->marks);
	for (uint32_t i = 0; i < core->n_marks; i++) {
		struct node_mark *m = &core->marks[i];

		m->centre = (uint32_t)read_uint(r);
		m->number = (uint32_t)read_uint(r);
		m->state = (enum node_state)read_uint_max(r, NODE_STATE_COUNT - 1);
		m->note = mem_strdup(read_str(r, arena));
		r->bad |= !core->pool || m->centre >= core->pool->n_centres || m->state == NODE_UP ||
		          m->number >= core->pool->centres[m->centre].n_nodes;
	}
}

static void load_booking(struct core *core, struct reader *r, struct arena *arena)
{
	struct booking *b = mem_new(1, sizeof *b);
	struct booked booked;

	booked_decode(r, arena, &booked);
	*b = (struct booking){.id = booked.booking,
	                      .name = mem_strdup(booked.name),
	                      .project = *booked.project ? strtab_find(&core->projects, booked.project) : UINT32_MAX,
	                      .centre = booked.centre,
	                      .n_ranges = booked.n_ranges,
	                      .from_us = booked.from_us,
	                      .until_us = booked.until_us};
	b->ranges = copy_of(booked.ranges, booked.n_ranges, sizeof *b->ranges);
	core->bookings[core->n_bookings++] = b;
	r->bad |= !core->pool || b->centre >= core->pool->n_centres || (*booked.project && b->project == STRTAB_NONE);
	for (uint32_t i = 0; i < b->n_ranges; i++)
		r->bad |= b->ranges[i].last < b->ranges[i].first || b->ranges[i].last > POOL_NODES_MAX;
}

static void load_bookings(struct core *core, struct reader *r, struct arena *arena)
{
	uint32_t n;

	load_marks(core, r, arena);
	core->last_booking = (uint32_t)read_uint_max(r, UINT32_MAX);
	n = core->bookings_cap = (uint32_t)read_uint_max(r, BOOKINGS_MAX);
	core->bookings = mem_new(n, sizeof(struct booking *));
	for (uint32_t i = 0; i < n && !r->bad; i++)
		load_booking(core, r, arena);
}

static void save_reservation(const struct reservation *r, struct buf *buf)
{
	buf_put_uint(buf, r->job);
	buf_put_uint(buf, r->cause);
	buf_put_uint(buf, r->broken);
	plan_encode(&r->plan, buf);
	buf_put_uint(buf, r->n_victims);
	for (uint32_t i = 0; i < r->n_victims; i++) {
		buf_put_uint(buf, r->victims[i]);
		buf_put_uint(buf, r->attempts[i]);
	}
	buf_put_uint(buf, r->n_stopped);
}

/* NULL, and the reader is bad, where it isn't one that this state can have. */
static struct reservation *load_reservation(const struct core *core, uint32_t version, struct reader *reader, struct arena *arena)
{
	struct reservation *r = mem_new(1, sizeof *r);
	struct plan plan;

	r->job = (uint32_t)read_uint_max(reader, core->last_job);
	r->cause = (enum cause)read_uint_max(reader, CAUSE_COUNT - 1);
	r->broken = (enum cause)read_uint_max(reader, CAUSE_COUNT - 1);
	plan_decode(reader, arena, &plan);
	r->n_victims = read_count(reader);
	r->victims = mem_new(r->n_victims, sizeof *r->victims);
	r->attempts = mem_new(r->n_victims, sizeof *r->attempts);
	for (uint32_t i = 0; i < r->n_victims; i++) {
		const struct job *victim = core_job(core, r->victims[i] = (uint32_t)read_uint(reader));

		r->attempts[i] = version > SAVE_WITHOUT_ATTEMPTS ? (uint32_t)read_uint(reader) : victim ? victim->attempt : 0;
	}
	r->n_stopped = (uint32_t)read_uint_max(reader, r->n_victims);
	plan_keep(&r->plan, &plan);
	reader->bad |= !r->job || !core->jobs[r->job] || plan.request >= core_job_group(core, core->jobs[r->job])->n_requests;
	for (uint32_t i = 0; !reader->bad && i < plan.n_tasks; i++)
		reader->bad |= plan.tasks[i].centre >= core->pool->n_centres ||
		               pool_node(core->pool, plan.tasks[i].centre, plan.tasks[i].node) == NODE_NONE;
	if (!reader->bad) {
		r->request = core_job_group(core, core->jobs[r->job])->requests[plan.request];
		return r;
	}
	return reservation_free(r);
}

static void save_backlog(const struct core *core, struct buf *buf)
{
	struct arena arena = {0};
	struct backlog backlog = pass_found(core, &arena);

	backlog_encode(&backlog, buf);
	arena_done(&arena);
}

void core_save(const struct core *core, struct buf *buf)
{
	buf_put_uint(buf, save_version(core));
	buf_put_uint(buf, core->sequence);
	buf_put_uint(buf, (uint64_t)core->now_us);
	config_spec_encode(&core->config, buf);
	save_names(&core->kinds, buf);
	save_names(&core->centres, buf);
	save_names(&core->projects, buf);
	save_names(&core->users, buf);
	buf_put_u8(buf, core->pool != NULL);
	if (core->pool)
		pool_spec_encode(&core->pool->spec, buf);
	for (uint32_t i = 0; i < core->centres.count; i++)
		buf_put_u8(buf, core->silent[i]);
	buf_put_uint(buf, core->last_job);
	buf_put_uint(buf, core->n_jobs);
	for (uint32_t id = 1; id <= core->last_job; id++)
		if (core->jobs[id])
			save_job(core, core->jobs[id], buf);
	save_bookings(core, buf);
	projects_save(core->tree, buf);
	estimates_save(&core->estimates, buf);
	wait_model_save(&core->waits, buf);
	buf_put_uint(buf, core->outlook_bias.actual);
	buf_put_uint(buf, core->outlook_bias.expected);
	buf_put_uint(buf, core->outlook_bias.learned);
	buf_put_u8(buf, core->arrivals.fill != NULL);
	if (core->arrivals.fill)
		fill_save(core->arrivals.fill, buf);
	buf_put_uint(buf, core->arrivals.all);
	buf_put_uint(buf, core->arrivals.shares);
	buf_put_uint(buf, core->last_submitted);
	buf_put_uint(buf, core->keep.n_reservations);
	for (uint32_t i = 0; i < core->keep.n_reservations; i++)
		save_reservation(core->keep.reservations[i], buf);
	if (core->backlog)
		save_backlog(core, buf);
}

static void load_pool(struct core *core, struct reader *r, struct arena *arena)
{
	struct pool_spec spec;

	if (!read_uint_max(r, 1))
		return;
	if (pool_spec_decode(r, arena, &spec) < 0 || pool_check(&spec, NULL) < 0) {
		r->bad = true;
		return;
	}
	core->pool = pool_new(&spec, &core->kinds, &core->centres);
	core->silent = mem_new(core->centres.count, sizeof *core->silent);
	apply_projects(core);
}

static void load_jobs(struct core *core, struct reader *r, struct arena *arena)
{
	uint32_t n;

	core->last_job = (uint32_t)read_uint_max(r, UINT32_MAX - 1);
	n = read_count(r);
	core->jobs_cap = core->last_job + 1;
	core->jobs = mem_new(core->jobs_cap, sizeof *core->jobs);
	for (uint32_t i = 0; i < n && !r->bad; i++)
		load_job(core, r, arena);
}

/* What a running job, or a reservation, names is in the pool; anything else core_save can't have written. */
static bool names_are_known(const struct core *core)
{
	for (uint32_t id = 1; id <= core->last_job; id++) {
		const struct job *job = core->jobs[id];

		if (!job)
			continue;
		if (job_is_live(job) && job->plan.n_tasks != core_job_group(core, job)->nodes)
			return false;
		if (job->array_of && job->array_of > core->last_job)
			return false;
	}
	return true;
}

/* The reservations of a state that was read whole; *ret_n of them, in the arena. */
static struct reservation **load_reservations(const struct core *core, uint32_t version, struct reader *r, struct arena *arena,
                                              uint32_t *ret_n)
{
	uint32_t n = (uint32_t)read_count(r);
	struct reservation **list = arena_new(arena, n, sizeof(struct reservation *));

	*ret_n = 0;
	for (uint32_t i = 0; i < n && !r->bad && core->pool; i++) {
		list[i] = load_reservation(core, version, r, arena);
		*ret_n += list[i] != NULL;
	}
	return list;
}

/* Returns the version. */
static uint32_t load_core(struct core *core, struct reader *r, struct arena *arena)
{
	uint32_t version = (uint32_t)read_uint_max(r, SAVE_VERSION);

	r->bad |= version < SAVE_WITHOUT_ATTEMPTS;
	core->backlog = version > SAVE_WITHOUT_BACKLOG;
	core->sequence = read_uint(r);
	core->now_us = (us_t)read_uint_max(r, US_NEVER - 1);
	r->bad |= config_spec_decode(r, CONFIG_VERSION, &core->config) < 0;
	load_names(&core->kinds, r, arena);
	load_names(&core->centres, r, arena);
	load_names(&core->projects, r, arena);
	load_names(&core->users, r, arena);
	load_pool(core, r, arena);
	for (uint32_t i = 0; !r->bad && i < core->centres.count; i++)
		core->silent[i] = read_uint_max(r, 1);
	load_jobs(core, r, arena);
	load_bookings(core, r, arena);
	r->bad |= !r->bad && projects_load(core->tree, r, core->projects.count, core->kinds.count) < 0;
	estimates_load(&core->estimates, r);
	wait_model_load(&core->waits, r);
	core->outlook_bias.actual = read_uint(r);
	core->outlook_bias.expected = read_uint(r);
	core->outlook_bias.learned = read_uint(r);
	if (read_uint_max(r, 1))
		core->arrivals.fill = fill_load(r);
	core->arrivals.all = read_uint(r);
	core->arrivals.shares = read_uint(r);
	core->last_submitted = (uint32_t)read_uint_max(r, core->last_job);
	return version;
}

int core_load(const void *bytes, size_t len, struct core **ret, struct err *err)
{
	struct reader r = reader_of(bytes, len);
	struct arena arena = {0};
	struct core *core = core_new();
	struct backlog backlog = {0};
	struct reservation **reserved;
	uint32_t n, version = load_core(core, &r, &arena);

	reserved = load_reservations(core, version, &r, &arena, &n);
	if (core->backlog)
		backlog_decode(&r, &arena, &backlog);
	r.bad = r.bad || r.at != r.end || !names_are_known(core);
	for (uint32_t i = 0; r.bad && i < n; i++)
		reservation_free(reserved[i]);
	if (!r.bad && core->pool)
		apply_index(core, reserved, n);
	r.bad = r.bad || core->backlog != backlog.more || (backlog.more && !pass_may_know(core, &backlog));
	if (!r.bad)
		pass_know(core, &backlog);
	core->replayed = true;
	arena_done(&arena);
	if (r.bad) {
		core_free(core);
		return err_set(err, ERR_CORRUPT, "snapshot", "its bytes aren't a state of this release");
	}
	*ret = core;
	return 0;
}

struct hash core_digest(const struct core *core)
{
	struct buf buf = {0};

	core_save(core, &buf);
	return hash_of_buf(&buf);
}
