/* SPDX-License-Identifier: Apache-2.0
 * test_oracle.c: every order of arrival of a few jobs on a pool of four cards, against brute force.
 *
 * After each step, for each job that waits: every way to lay it on what is free is tried; one that would delay no promise to a
 * job before it must not exist. And what a dry run tells is what happens. The oracle reads plans and bounds, and nothing of what
 * the core keeps to be quick. */
#include "core_fixture.h"

enum { NODES = 2, CARDS = 2, NODE_CPUS = 2000, KINDS = 6, JOBS_MAX = 6 };

static const struct line_spec line = {
	.count = NODES, .kind = "a", .cards = CARDS, .cpus_milli = NODE_CPUS, .memory_mib = UNCOUNTED};
static const struct centre_spec centre = {
	.name = "x", .region = "r", .engine = "simulated", .capabilities = CAN_ALL, .lines = &line, .n_lines = 1};

static const struct want kinds[KINDS] = {
	{.cards_milli = 1000, .limit_us = US_HOUR},
	{.cards_milli = 2000, .limit_us = 2 * US_HOUR},
	{.cards_milli = 500, .limit_us = 3 * US_HOUR},
	{.nodes = 2, .cards_milli = 1000, .limit_us = US_HOUR},
	{.nodes = 2, .cards_milli = 2000, .limit_us = US_HOUR},
	{.cpus_milli = 1500, .limit_us = 2 * US_HOUR},
};

/* ---- The oracle ---- */

/* What is used. */
struct room {
	uint32_t milli[NODES][CARDS], cpus_milli[NODES];
};

/* One way to lay a job: its cards on each node (bit i: card i), where `on` has a bit. */
struct way {
	uint32_t on, cards[NODES];
};

static uint32_t each_of(const struct want *want)
{
	return want->cards_milli < 1000 ? want->cards_milli : 1000;
}

static void use(struct room *room, const struct want *want, uint32_t node, uint64_t cards)
{
	for (int i = 0; i < CARDS; i++)
		room->milli[node][i] += cards >> i & 1 ? each_of(want) : 0;
	room->cpus_milli[node] += want->cpus_milli;
}

static bool is_within(const struct room *room)
{
	for (int n = 0; n < NODES; n++) {
		for (int i = 0; i < CARDS; i++)
			if (room->milli[n][i] > 1000)
				return false;
		if (room->cpus_milli[n] > NODE_CPUS)
			return false;
	}
	return true;
}

/* One try: `made[id]` is the kind of job id. */
struct trial {
	uint32_t made[JOBS_MAX + 1], n;
};

/* What runs at an instant by its bound, of those that run now. */
static struct room room_at(const struct core *core, const struct trial *t, us_t at_us)
{
	struct room room = {0};

	for (uint32_t id = 1; id <= t->n; id++) {
		const struct job *job = core_job(core, id);

		for (uint32_t k = 0; job_is_live(job) && job->plan.until_us > at_us && k < job->plan.n_tasks; k++)
			use(&room, &kinds[t->made[id]], job->plan.tasks[k].node, job->plan.tasks[k].cards);
	}
	return room;
}

static void use_way(struct room *room, const struct want *want, const struct way *way)
{
	for (uint32_t n = 0; n < NODES; n++)
		if (way->on >> n & 1)
			use(room, want, n, way->cards[n]);
}

/* Whether a job that is laid so, now, would delay a promise: at its start, with all that runs past it, there is no room for it.
 */
static bool delays(const struct core *core, const struct trial *t, const struct want *want, const struct way *way, us_t now_us,
                   const struct reservation *r)
{
	struct room room;

	if (r->plan.start_us == US_NEVER || now_us + want->limit_us <= r->plan.start_us)
		return false;
	room = room_at(core, t, r->plan.start_us);
	use_way(&room, want, way);
	for (uint32_t i = 0; i < core_reservations(core); i++) { /* with all promises that run then */
		const struct reservation *other = core_reservation(core, i);

		if (other->plan.start_us > r->plan.start_us || other->plan.until_us <= r->plan.start_us)
			continue;
		for (uint32_t k = 0; k < other->plan.n_tasks; k++)
			use(&room, &kinds[t->made[other->job]], other->plan.tasks[k].node, other->plan.tasks[k].cards);
	}
	return !is_within(&room);
}

static bool is_harmless(const struct core *core, const struct trial *t, uint32_t id, const struct way *way, us_t now_us)
{
	for (uint32_t i = 0; i < core_reservations(core); i++) {
		const struct reservation *r = core_reservation(core, i);

		if (r->job < id && delays(core, t, &kinds[t->made[id]], way, now_us, r))
			return false;
	}
	return true;
}

/* Whether there is a way to lay a job that fits in what is free, and delays no promise to one before it. */
static bool could_start(const struct core *core, const struct trial *t, uint32_t id, us_t now_us)
{
	const struct want *want = &kinds[t->made[id]];
	const struct room used = room_at(core, t, now_us - 1); /* what is over its bound is there still */
	uint32_t nodes = want->nodes ? want->nodes : 1, cards = (want->cards_milli + 999) / 1000;

	for (uint32_t choice = 0; choice < 1u << (NODES + NODES * CARDS); choice++) {
		struct way way = {.on = choice & 3, .cards = {choice >> 2 & 3, choice >> 4 & 3}};
		struct room room = used;
		bool fits = (uint32_t)__builtin_popcount(way.on) == nodes;

		for (uint32_t n = 0; n < NODES && fits; n++)
			fits = (uint32_t)__builtin_popcount(way.cards[n]) == (way.on >> n & 1 ? cards : 0);
		use_way(&room, want, &way);
		if (fits && is_within(&room) && is_harmless(core, t, id, &way, now_us))
			return true;
	}
	return false;
}

static void print_trial(const struct trial *t)
{
	print_error("kinds:");
	for (uint32_t i = 1; i <= t->n; i++)
		print_error(" %u", t->made[i]);
	print_error("\n");
}

static void check_waiting(const struct core *core, const struct trial *t, us_t now_us)
{
	for (uint32_t id = 1; id <= t->n; id++)
		if (core_job(core, id)->state == JOB_QUEUED && could_start(core, t, id, now_us)) {
			print_trial(t);
			fail_msg("job %u waits, and could start", id);
		}
}

/* ---- Every order ---- */

struct search {
	struct step step;
	uint32_t jobs_max, n_leaves, told_now, told_later, n_steps;
	us_t now_us;
};

static void step(struct search *s, struct core *core, struct input in)
{
	step_reset(&s->step);
	in.now_us = in.now_us ? in.now_us : s->now_us;
	assert_int_equal(core_step(core, &in, &s->step, NULL), 0);
	s->n_steps++;
}

static void end_job(struct search *s, struct core *core, uint32_t id, us_t at_us)
{
	struct input in = {.type = INPUT_REPORT, .now_us = at_us};

	in.report = (struct report){.job = id, .attempt = 1, .state = ATTEMPT_ENDED, .cause = CAUSE_EXIT};
	step(s, core, in);
}

/* The live job that ends first by its bound; 0: none. */
static uint32_t next_end(const struct core *core)
{
	uint32_t next = 0;

	for (const struct job *job = core_live_after(core, 0); job; job = core_live_after(core, job->id))
		if (!next || job->plan.until_us < core_job(core, next)->plan.until_us)
			next = job->id;
	return next;
}

/* Nothing else changes, and everybody takes as long as he may: the last job starts when it was told. Where others before it hold
 * promises those may be older than an early end, and it may start the sooner. */
static void run_on(struct search *s, struct core *core, const struct trial *t, us_t told_us)
{
	uint32_t last = t->n, next;
	us_t started_us;

	while (core_job(core, last)->state == JOB_QUEUED && (next = next_end(core)))
		end_job(s, core, next, core_job(core, next)->plan.until_us);
	started_us = core_job(core, last)->placed_us;
	if (started_us > told_us || (started_us < told_us && core_config(core)->reservations == 1)) {
		print_trial(t);
		fail_msg("told %lld, started at %lld", (long long)told_us, (long long)started_us);
	}
}

static bool waits_before(const struct core *core, uint32_t id)
{
	for (uint32_t i = 1; i < id; i++)
		if (core_job(core, i)->state == JOB_QUEUED)
			return true;
	return false;
}

/* One more job: what is told of it is what happens at once, or what it is promised. Returns the start that was told. */
static us_t arrive(struct search *s, struct core *core, struct trial *t, uint32_t kind)
{
	struct want_spec spec;
	const struct job_spec *job = want_spec(&kinds[kind], &spec);
	struct arena arena = {0};
	struct plan told;
	uint32_t id, stopped;

	assert_int_equal(core_dry_run(core, job, s->now_us, &arena, &told, &stopped, NULL), 0);
	assert_int_equal(stopped, 0);
	step(s, core, (struct input){.type = INPUT_SUBMIT, .submit = {job, NULL}});
	id = s->step.job;
	t->made[++t->n] = kind;
	assert_int_equal(id, t->n);
	if (job_is_live(core_job(core, id)))
		assert_int_equal(told.start_us, s->now_us);
	else if (!waits_before(core, id) && core_config(core)->reservations)
		assert_int_not_equal(told.start_us, US_NEVER); /* everything has a bound: it can be told */
	if (core_reservation_of(core, id) && told.start_us != US_NEVER)
		assert_int_equal(core_reservation_of(core, id)->plan.start_us, told.start_us);
	s->told_now += told.start_us == s->now_us;
	s->told_later += told.start_us > s->now_us && told.start_us != US_NEVER;
	arena_done(&arena);
	return told.start_us;
}

static struct core *load(const struct buf *bytes)
{
	struct core *core;

	assert_int_equal(core_load(bytes->data, bytes->len, &core, NULL), 0);
	return core;
}

static void go_on(struct search *s, const struct core *core, const struct trial *t, bool ended);

static void try_end(struct search *s, const struct buf *bytes, const struct trial *t)
{
	struct core *core = load(bytes);

	end_job(s, core, core_live_after(core, 0)->id, s->now_us);
	check_waiting(core, t, s->now_us);
	go_on(s, core, t, true);
	core_free(core);
}

/* Every way on from here: each kind of job comes; or, once in a life, the first that runs ends early. */
static void go_on(struct search *s, const struct core *from, const struct trial *before, bool ended)
{
	struct buf bytes = {0};

	if (before->n == s->jobs_max) {
		s->n_leaves++;
		return;
	}
	core_save(from, &bytes);
	s->now_us += US_MINUTE;
	for (uint32_t kind = 0; kind < KINDS; kind++) {
		struct core *core = load(&bytes);
		struct trial t = *before;
		us_t told_us = arrive(s, core, &t, kind);

		check_waiting(core, &t, s->now_us);
		go_on(s, core, &t, ended);
		if (told_us != US_NEVER && t.n == s->jobs_max)
			run_on(s, core, &t, told_us);
		core_free(core);
	}
	if (!ended && before->n)
		try_end(s, &bytes, before);
	s->now_us -= US_MINUTE;
	buf_done(&bytes);
}

static void enumerate(uint32_t reservations, uint32_t jobs_max, bool ended, uint32_t leaves)
{
	struct pool_spec pool = pool_of(&centre, 1);
	struct config_spec config = config_default();
	struct search s = {.jobs_max = jobs_max, .now_us = 1000 * US_SECOND};
	struct core *core = core_new();

	config.reservations = reservations;
	step(&s, core, (struct input){.type = INPUT_CONFIG, .config = &config});
	step(&s, core, (struct input){.type = INPUT_POOL, .pool = &pool});
	go_on(&s, core, &(struct trial){0}, ended);
	assert_int_equal(s.n_leaves, leaves); /* none was left out */
	assert_true(s.told_now > 0 && (s.told_later > 0 || jobs_max < 2 || !reservations));
	step_done(&s.step);
	core_free(core);
}

static void test_six_jobs(void **state)
{
	(void)state;
	enumerate(1, 6, true, 46656);
}

/* The same with an end in the middle; with SUAN_FULL set of six jobs too, which takes half a minute. */
static void test_an_end_in_the_middle(void **state)
{
	(void)state;
	enumerate(1, 4, false, 1296 * 4);
	if (getenv("SUAN_FULL"))
		enumerate(1, 6, false, 46656 * 6);
}

static void test_several_promises(void **state)
{
	(void)state;
	enumerate(0, 4, false, 1296 * 4);
	enumerate(2, 4, false, 1296 * 4);
	enumerate(3, 4, false, 1296 * 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_six_jobs),
		cmocka_unit_test(test_an_end_in_the_middle),
		cmocka_unit_test(test_several_promises),
	};

	return cmocka_run_group_tests_name("oracle", tests, NULL, NULL);
}
