/* SPDX-License-Identifier: Apache-2.0
 * test_event.c: every type of event with every field there and back; and a hundred thousand damaged ones.
 *
 * What can be read but could not follow must be refused by apply_fits(); what is accepted leaves a state that core_check() and
 * further steps agree with. */
#include "core_fixture.h"

#include "base/hash.h"

/* ---- Random events ---- */

static uint64_t any_size(struct rng *rng)
{
	return rng_next(rng) >> below(rng, 64);
}

static uint32_t any_u32(struct rng *rng)
{
	return (uint32_t)rng_next(rng) >> below(rng, 32);
}

static us_t any_us(struct rng *rng)
{
	return chance(rng, 20) ? 0 : (us_t)(any_size(rng) >> 1);
}

static us_t any_until(struct rng *rng)
{
	return chance(rng, 30) ? US_NEVER : any_us(rng);
}

static uint32_t any_number(struct rng *rng)
{
	return chance(rng, 40) ? UINT32_MAX - below(rng, 2) : any_u32(rng);
}

static const char *any_text(struct rng *rng)
{
	static const char *const texts[] = {"",     "x",         "a name with blanks",
	                                    "北京", "line\nend", "0123456789012345678901234567890123456789"};

	return texts[below(rng, COUNT(texts))];
}

static const char *any_optional(struct rng *rng)
{
	return chance(rng, 50) ? NULL : "there";
}

static void any_pool(struct rng *rng, struct arena *arena, struct event *e)
{
	struct kind_spec *kinds = arena_new(arena, 3, sizeof *kinds);
	struct centre_spec *centres = arena_new(arena, 3, sizeof *centres);
	struct link_spec *links = arena_new(arena, 2, sizeof *links);
	struct project_spec *projects = arena_new(arena, 2, sizeof *projects);
	struct line_spec *line = arena_new(arena, 1, sizeof *line);
	struct quota_spec *quota = arena_new(arena, 1, sizeof *quota);

	for (int i = 0; i < 3; i++) {
		kinds[i] = (struct kind_spec){any_text(rng),
		                              any_text(rng),
		                              any_text(rng),
		                              (enum card_class)below(rng, 4),
		                              chance(rng, 50),
		                              any_u32(rng),
		                              {any_size(rng), 0, any_size(rng), 1, any_size(rng)},
		                              any_u32(rng),
		                              any_u32(rng)};
		centres[i] = (struct centre_spec){.name = any_text(rng),
		                                  .region = any_text(rng),
		                                  .latitude_udeg = -(int32_t)(any_u32(rng) >> 1),
		                                  .longitude_udeg = (int32_t)(any_u32(rng) >> 1),
		                                  .engine = any_text(rng),
		                                  .capabilities = any_u32(rng),
		                                  .pue_milli = any_u32(rng),
		                                  .lines = line,
		                                  .n_lines = below(rng, 2)};
	}
	*line = (struct line_spec){
		1 + below(rng, 4000000), any_optional(rng), below(rng, 65), any_u32(rng), any_u32(rng), any_u32(rng), any_u32(rng)};
	*quota = (struct quota_spec){any_text(rng), any_size(rng), any_size(rng), AMOUNT_NONE};
	links[0] = links[1] = (struct link_spec){
		any_text(rng), {any_text(rng), any_text(rng)}, any_size(rng), any_u32(rng), any_size(rng)};
	projects[0] = projects[1] = (struct project_spec){any_text(rng), any_optional(rng), any_optional(rng), any_u32(rng),
	                                                  quota,         below(rng, 2)};
	e->pool = (struct pool_spec){any_text(rng), any_text(rng), kinds,         below(rng, 4), centres,
	                             below(rng, 4), links,         below(rng, 3), projects,      below(rng, 3)};
}

static void any_config(struct rng *rng, struct arena *arena, struct event *e)
{
	(void)arena;
	e->config = config_default();
	e->config.policy = (enum policy)below(rng, 4);
	e->config.reservations = below(rng, RESERVATIONS_MAX + 1);
	e->config.max_restarts = any_u32(rng);
	e->config.kill_grace_us = below(rng, 1000000000);
	e->config.lease_us = US_DURATION_MAX;
	e->config.history_after_us = any_until(rng);
	e->config.history_jobs_max = any_u32(rng);
	e->config.jobs_max = any_u32(rng);
	e->config.seed = any_size(rng);
	e->config.starvation_after_us = any_until(rng);
	e->config.half_life_us = 1 + (any_us(rng) >> 1);
	e->config.n_las_levels = below(rng, LAS_LEVELS_MAX + 1);
	for (uint32_t i = 0; i < e->config.n_las_levels; i++)
		e->config.las_levels_us[i] = (i ? e->config.las_levels_us[i - 1] : 0) + 1 + (us_t)any_u32(rng);
	e->config.cards_power_milli = below(rng, 1001);
	e->config.finish_weight = below(rng, 1001);
	e->config.price_weight = below(rng, 1001);
	e->config.balance_weight = below(rng, 1001);
	e->config.move_after_us = chance(rng, 20) ? US_NEVER : any_us(rng);
	e->config.move_gain_milli = below(rng, 1001);
	e->config.move_least_us = any_us(rng) % US_DURATION_MAX;
}

static struct group any_group(struct rng *rng, struct arena *arena)
{
	struct group g = {.nodes = 1 + below(rng, JOB_NODES_MAX), .n_requests = 1 + below(rng, 4)};

	g.requests = arena_new(arena, g.n_requests, sizeof *g.requests);
	g.ordered = chance(rng, 50);
	g.hard = chance(rng, 50);
	g.highest = (enum tier)below(rng, TIER_COUNT);
	for (uint32_t i = 0; i < g.n_requests; i++)
		g.requests[i] = (struct request){any_number(rng), below(rng, 64001), any_u32(rng),   any_u32(rng),
		                                 any_number(rng), any_u32(rng),      chance(rng, 50)};
	return g;
}

static void any_submitted(struct rng *rng, struct arena *arena, struct event *e)
{
	struct dependency_spec *on = arena_new(arena, 3, sizeof *on);
	struct range *ranges = arena_new(arena, 2, sizeof *ranges);
	uint8_t *key = arena_new(arena, 1, IDEMPOTENCY_BYTES);

	for (int i = 0; i < 3; i++)
		on[i] = (struct dependency_spec){any_u32(rng), (enum dependency_when)below(rng, 2)};
	for (int i = 0; i < 2; i++)
		ranges[i] = (struct range){any_u32(rng), any_u32(rng), any_u32(rng)};
	for (int i = 0; i < IDEMPOTENCY_BYTES; i++)
		key[i] = (uint8_t)rng_next(rng);
	e->submitted = (struct submitted){.job = any_u32(rng),
	                                  .name = any_text(rng),
	                                  .project = any_text(rng),
	                                  .user = any_text(rng),
	                                  .group = any_group(rng, arena),
	                                  .priority = below(rng, 1001),
	                                  .limit_us = any_until(rng),
	                                  .begin_us = any_us(rng),
	                                  .dependencies = on,
	                                  .n_dependencies = below(rng, 4),
	                                  .array = ranges,
	                                  .n_array = below(rng, 3),
	                                  .array_parallel_max = any_u32(rng),
	                                  .max_restarts = any_u32(rng),
	                                  .rerun_when_lost = chance(rng, 50),
	                                  .checkpoint_every_us = any_us(rng),
	                                  .preemptible_after_us = any_until(rng),
	                                  .secrets = any_text(rng),
	                                  .idempotency = chance(rng, 50) ? key : NULL};
	if (chance(rng, 50))
		e->submitted.payload = hash_of(key, 5);
}

static struct task *any_tasks(struct rng *rng, struct arena *arena, uint32_t *n)
{
	struct task *tasks = arena_new(arena, 40, sizeof *tasks);

	*n = below(rng, 41);
	for (uint32_t i = 0; i < *n; i++) {
		tasks[i] = (struct task){any_u32(rng), any_u32(rng), below(rng, 4000000), any_u32(rng), any_size(rng)};
		if (i > 0 && chance(rng, 60)) { /* runs of neighbours are written as one */
			tasks[i] = tasks[i - 1];
			tasks[i].node += tasks[i].node < 4000000;
		}
	}
	return tasks;
}

static struct plan any_plan(struct rng *rng, struct arena *arena)
{
	struct plan p = {.start_us = any_until(rng),
	                 .until_us = any_until(rng),
	                 .request = any_u32(rng),
	                 .kind = any_number(rng),
	                 .n_claims = below(rng, 4)};

	p.tasks = any_tasks(rng, arena, &p.n_tasks);
	p.claims = arena_new(arena, 3, sizeof *p.claims);
	for (int i = 0; i < 3; i++)
		p.claims[i] = (struct claim){any_u32(rng), any_size(rng), any_until(rng), any_until(rng)};
	return p;
}

static void any_eligible(struct rng *rng, struct arena *arena, struct event *e)
{
	(void)arena;
	e->eligible.job = any_u32(rng);
}

static void any_placed(struct rng *rng, struct arena *arena, struct event *e)
{
	e->placed = (struct placed){any_u32(rng), any_u32(rng), below(rng, 2) * any_u32(rng), 0, any_plan(rng, arena)};
	e->placed.index = e->placed.array ? any_u32(rng) : 0;
}

static void any_attempt(struct rng *rng, struct arena *arena, struct event *e)
{
	(void)arena;
	e->attempt.job = any_u32(rng);
	e->attempt.attempt = any_u32(rng);
	e->attempt.state = (enum attempt_state)below(rng, ATTEMPT_STATE_COUNT);
	e->attempt.at_us = e->at_us - (us_t)rng_below(rng, (uint64_t)e->at_us + 1);
	e->attempt.native_id = any_text(rng);
}

static void any_bound(struct rng *rng, struct arena *arena, struct event *e)
{
	e->bound.job = any_u32(rng);
	e->bound.attempt = any_u32(rng);
	e->bound.tasks = any_tasks(rng, arena, &e->bound.n_tasks);
}

static void any_stopping(struct rng *rng, struct arena *arena, struct event *e)
{
	(void)arena;
	e->stopping.job = any_u32(rng);
	e->stopping.attempt = any_u32(rng);
	e->stopping.cause = (enum cause)below(rng, CAUSE_COUNT);
	e->stopping.who = any_text(rng);
}

static void any_ended(struct rng *rng, struct arena *arena, struct event *e)
{
	(void)arena;
	e->ended = (struct ended){any_u32(rng),
	                          any_u32(rng),
	                          (enum attempt_state)below(rng, ATTEMPT_STATE_COUNT),
	                          (enum cause)below(rng, CAUSE_COUNT),
	                          (int32_t)rng_next(rng),
	                          any_u32(rng),
	                          e->at_us - (us_t)rng_below(rng, (uint64_t)e->at_us + 1),
	                          (enum job_state)below(rng, JOB_STATE_COUNT),
	                          any_text(rng)};
}

static void any_reserved(struct rng *rng, struct arena *arena, struct event *e)
{
	e->reserved.job = any_u32(rng);
	uint32_t *victims = arena_new(arena, 5, sizeof *victims);

	e->reserved.job = any_u32(rng);
	e->reserved.cause = (enum cause)below(rng, CAUSE_COUNT);
	e->reserved.plan = any_plan(rng, arena);
	e->reserved.victims = victims;
	e->reserved.n_victims = below(rng, 6);
	for (uint32_t i = 0; i < 5; i++)
		victims[i] = any_u32(rng);
}

static void any_unreserved(struct rng *rng, struct arena *arena, struct event *e)
{
	(void)arena;
	e->unreserved.job = any_u32(rng);
	e->unreserved.cause = (enum cause)below(rng, CAUSE_COUNT);
}

static void any_centre(struct rng *rng, struct arena *arena, struct event *e)
{
	(void)arena;
	e->centre.centre = any_u32(rng);
	e->centre.silent = chance(rng, 50);
}

static void any_forgotten(struct rng *rng, struct arena *arena, struct event *e)
{
	(void)arena;
	e->forgotten.job = any_u32(rng);
}

static void any_node(struct rng *rng, struct arena *arena, struct event *e)
{
	(void)arena;
	e->node.centre = any_u32(rng);
	e->node.range = (struct node_range){any_u32(rng), any_u32(rng)};
	e->node.state = (enum node_state)below(rng, NODE_STATE_COUNT);
	e->node.note = any_text(rng);
}

static void any_booked(struct rng *rng, struct arena *arena, struct event *e)
{
	struct node_range *ranges = arena_new(arena, 4, sizeof *ranges);

	for (int i = 0; i < 4; i++)
		ranges[i] = (struct node_range){any_u32(rng), any_u32(rng)};
	e->booked = (struct booked){.booking = any_u32(rng),
	                            .name = any_text(rng),
	                            .project = any_text(rng),
	                            .centre = any_u32(rng),
	                            .ranges = ranges,
	                            .n_ranges = below(rng, 5),
	                            .from_us = any_us(rng),
	                            .until_us = any_until(rng)};
}

static void any_unbooked(struct rng *rng, struct arena *arena, struct event *e)
{
	(void)arena;
	e->unbooked.booking = any_u32(rng);
	e->unbooked.cause = (enum cause)below(rng, CAUSE_COUNT);
}

static void any_extended(struct rng *rng, struct arena *arena, struct event *e)
{
	(void)arena;
	e->extended.job = any_u32(rng);
	e->extended.until_us = chance(rng, 20) ? US_NEVER : any_us(rng);
}

static void any_aged(struct rng *rng, struct arena *arena, struct event *e)
{
	(void)arena;
	e->aged.job = any_u32(rng);
	e->aged.level = below(rng, LAS_LEVELS_MAX + 1);
	e->aged.preemptible = chance(rng, 50);
	e->aged.movable = chance(rng, 50);
}

static void any_backlog(struct rng *rng, struct arena *arena, struct event *e)
{
	uint32_t n = below(rng, 5), *unhelped = arena_new(arena, n, sizeof *unhelped);

	for (uint32_t i = 0; i < n; i++)
		unhelped[i] = any_u32(rng);
	e->backlog = (struct backlog){.more = chance(rng, 50), .unmoved = chance(rng, 50), .n_unhelped = n, .unhelped = unhelped};
}

static void any_moving(struct rng *rng, struct arena *arena, struct event *e)
{
	e->moving.n = 1 + below(rng, MOVES_MAX);
	for (uint32_t i = 0; i < e->moving.n; i++)
		e->moving.moves[i] = (struct move){any_u32(rng), any_plan(rng, arena)};
}

/* ---- Are two events the same, field by field? ---- */

#define same(member) assert_true(a->member == b->member)
#define same_text(member) assert_string_equal(a->member, b->member)

static void same_optional(const char *a, const char *b)
{
	assert_int_equal(a == NULL, b == NULL);
	if (a)
		assert_string_equal(a, b);
}

static void same_centre_spec(const struct centre_spec *a, const struct centre_spec *b)
{
	same_text(name), same_text(region), same_text(engine);
	same(latitude_udeg), same(longitude_udeg), same(n_options), same(capabilities), same(pue_milli), same(n_prices),
		same(n_lines);
	for (uint32_t i = 0; i < a->n_lines; i++) {
		same(lines[i].count), same(lines[i].cards), same(lines[i].cpus_milli), same(lines[i].memory_mib);
		same(lines[i].nodes_per_rack), same(lines[i].racks_per_pod);
		same_optional(a->lines[i].kind, b->lines[i].kind);
	}
}

static void same_pool(const struct event *x, const struct event *y)
{
	const struct pool_spec *a = &x->pool, *b = &y->pool;

	same_text(name), same_text(currency), same(n_kinds), same(n_centres), same(n_links), same(n_projects);
	for (uint32_t i = 0; i < a->n_kinds; i++) {
		same_text(kinds[i].name), same_text(kinds[i].vendor), same_text(kinds[i].source);
		same(kinds[i].class), same(kinds[i].measured), same(kinds[i].memory_mib), same(kinds[i].bandwidth_gbps),
			same(kinds[i].watts);
		for (int p = 0; p < PRECISION_COUNT; p++)
			same(kinds[i].gflops[p]);
	}
	for (uint32_t i = 0; i < a->n_centres; i++)
		same_centre_spec(&a->centres[i], &b->centres[i]);
	for (uint32_t i = 0; i < a->n_links; i++) {
		same_text(links[i].name), same_text(links[i].ends[0]), same_text(links[i].ends[1]);
		same(links[i].mbps), same(links[i].latency_us), same(links[i].price_micros_per_tib);
	}
	for (uint32_t i = 0; i < a->n_projects; i++) {
		same_text(projects[i].name), same(projects[i].weight_milli), same(projects[i].n_quotas);
		same_optional(a->projects[i].parent, b->projects[i].parent);
		same_optional(a->projects[i].cohort, b->projects[i].cohort);
		for (uint32_t k = 0; k < a->projects[i].n_quotas; k++) {
			same_text(projects[i].quotas[k].kind), same(projects[i].quotas[k].nominal_milli);
			same(projects[i].quotas[k].borrowing_milli), same(projects[i].quotas[k].lending_milli);
		}
	}
}

static void same_config(const struct event *x, const struct event *y)
{
	const struct config_spec *a = &x->config, *b = &y->config;

	same(policy), same(reservations), same(max_restarts), same(kill_grace_us), same(lease_us), same(jobs_max), same(seed);
	same(history_after_us), same(history_jobs_max), same(starvation_after_us), same(half_life_us), same(n_las_levels);
	for (uint32_t i = 0; i < a->n_las_levels; i++)
		same(las_levels_us[i]);
	same(cards_power_milli), same(finish_weight), same(price_weight), same(balance_weight);
	same(move_after_us), same(move_gain_milli), same(move_least_us);
}

static void same_submitted(const struct event *x, const struct event *y)
{
	const struct submitted *a = &x->submitted, *b = &y->submitted;

	same(job), same_text(name), same_text(project), same_text(user), same(priority), same(limit_us), same(begin_us),
		same(n_dependencies);
	same(n_array), same(array_parallel_max), same(max_restarts), same(rerun_when_lost), same(checkpoint_every_us),
		same(preemptible_after_us);
	same_text(secrets), same(group.nodes), same(group.n_requests), same(group.ordered), same(group.hard), same(group.highest);
	for (uint32_t i = 0; i < a->group.n_requests; i++) {
		same(group.requests[i].kind), same(group.requests[i].cards_milli), same(group.requests[i].cpus_milli),
			same(group.requests[i].memory_mib);
		same(group.requests[i].centre), same(group.requests[i].speed_milli), same(group.requests[i].image);
	}
	for (uint32_t i = 0; i < a->n_dependencies; i++)
		same(dependencies[i].job), same(dependencies[i].when);
	for (uint32_t i = 0; i < a->n_array; i++)
		same(array[i].first), same(array[i].last), same(array[i].step);
	assert_memory_equal(&a->payload, &b->payload, sizeof a->payload);
	assert_int_equal(a->idempotency == NULL, b->idempotency == NULL);
	if (a->idempotency)
		assert_memory_equal(a->idempotency, b->idempotency, IDEMPOTENCY_BYTES);
}

static void same_tasks(const struct task *a, const struct task *b, uint32_t n)
{
	for (; n > 0; n--, a++, b++)
		same(group), same(centre), same(node), same(cards_milli), same(cards);
}

static void same_plan(const struct plan *a, const struct plan *b)
{
	same(start_us), same(until_us), same(request), same(kind), same(n_tasks), same(n_claims);
	same_tasks(a->tasks, b->tasks, a->n_tasks);
	for (uint32_t i = 0; i < a->n_claims; i++)
		same(claims[i].resource), same(claims[i].amount), same(claims[i].from_us), same(claims[i].until_us);
}

static void same_eligible(const struct event *a, const struct event *b)
{
	same(eligible.job);
}

static void same_placed(const struct event *a, const struct event *b)
{
	same(placed.job), same(placed.attempt), same(placed.array), same(placed.index);
	same_plan(&a->placed.plan, &b->placed.plan);
}

static void same_attempt(const struct event *a, const struct event *b)
{
	same(attempt.job), same(attempt.attempt), same(attempt.state), same(attempt.at_us), same_text(attempt.native_id);
}

static void same_bound(const struct event *a, const struct event *b)
{
	same(bound.job), same(bound.attempt), same(bound.n_tasks);
	same_tasks(a->bound.tasks, b->bound.tasks, a->bound.n_tasks);
}

static void same_stopping(const struct event *a, const struct event *b)
{
	same(stopping.job), same(stopping.attempt), same(stopping.cause), same_text(stopping.who);
}

static void same_ended(const struct event *a, const struct event *b)
{
	same(ended.job), same(ended.attempt), same(ended.attempt_state), same(ended.cause), same(ended.exit_code), same(ended.rank);
	same(ended.at_us), same(ended.then), same_text(ended.note);
}

static void same_reserved(const struct event *a, const struct event *b)
{
	same(reserved.job), same(reserved.cause), same(reserved.n_victims);
	same_plan(&a->reserved.plan, &b->reserved.plan);
	for (uint32_t i = 0; i < a->reserved.n_victims; i++)
		same(reserved.victims[i]);
}

static void same_unreserved(const struct event *a, const struct event *b)
{
	same(unreserved.job), same(unreserved.cause);
}

static void same_centre(const struct event *a, const struct event *b)
{
	same(centre.centre), same(centre.silent);
}

static void same_forgotten(const struct event *a, const struct event *b)
{
	same(forgotten.job);
}

static void same_node(const struct event *a, const struct event *b)
{
	same(node.centre), same(node.range.first), same(node.range.last), same(node.state), same_text(node.note);
}

static void same_booked(const struct event *a, const struct event *b)
{
	same(booked.booking), same_text(booked.name), same_text(booked.project), same(booked.centre), same(booked.n_ranges);
	same(booked.from_us), same(booked.until_us);
	for (uint32_t i = 0; i < a->booked.n_ranges; i++)
		same(booked.ranges[i].first), same(booked.ranges[i].last);
}

static void same_unbooked(const struct event *a, const struct event *b)
{
	same(unbooked.booking), same(unbooked.cause);
}

static void same_extended(const struct event *a, const struct event *b)
{
	same(extended.job), same(extended.until_us);
}

static void same_aged(const struct event *a, const struct event *b)
{
	same(aged.job), same(aged.level), same(aged.preemptible), same(aged.movable);
}

static void same_backlog(const struct event *a, const struct event *b)
{
	same(backlog.more), same(backlog.unmoved), same(backlog.n_unhelped);
	for (uint32_t i = 0; i < a->backlog.n_unhelped; i++)
		same(backlog.unhelped[i]);
}

static void same_moving(const struct event *a, const struct event *b)
{
	same(moving.n);
	for (uint32_t i = 0; i < a->moving.n; i++) {
		same(moving.moves[i].job);
		same_plan(&a->moving.moves[i].plan, &b->moving.moves[i].plan);
	}
}

/* ---- There and back ---- */

static const struct {
	enum event_type type;
	void (*any)(struct rng *rng, struct arena *arena, struct event *event);
	void (*compare)(const struct event *a, const struct event *b);
} types[] = {
	{EVENT_POOL, any_pool, same_pool},
	{EVENT_CONFIG, any_config, same_config},
	{EVENT_SUBMITTED, any_submitted, same_submitted},
	{EVENT_ELIGIBLE, any_eligible, same_eligible},
	{EVENT_PLACED, any_placed, same_placed},
	{EVENT_ATTEMPT, any_attempt, same_attempt},
	{EVENT_BOUND, any_bound, same_bound},
	{EVENT_STOPPING, any_stopping, same_stopping},
	{EVENT_ENDED, any_ended, same_ended},
	{EVENT_RESERVED, any_reserved, same_reserved},
	{EVENT_UNRESERVED, any_unreserved, same_unreserved},
	{EVENT_CENTRE, any_centre, same_centre},
	{EVENT_FORGOTTEN, any_forgotten, same_forgotten},
	{EVENT_NODE, any_node, same_node},
	{EVENT_BOOKED, any_booked, same_booked},
	{EVENT_UNBOOKED, any_unbooked, same_unbooked},
	{EVENT_AGED, any_aged, same_aged},
	{EVENT_EXTENDED, any_extended, same_extended},
	{EVENT_MOVING, any_moving, same_moving},
	{EVENT_BACKLOG, any_backlog, same_backlog},
};

static void there_and_back(const struct event *event, us_t previous_us, size_t type)
{
	struct buf bytes = {0}, again = {0};
	struct arena arena = {0};
	struct event back;
	struct reader r;

	event_encode(event, previous_us, &bytes);
	r = reader_of(bytes.data, bytes.len);
	assert_int_equal(event_decode(&r, previous_us, &arena, &back), 0);
	assert_ptr_equal(r.at, r.end);
	assert_int_equal(back.type, event->type);
	assert_int_equal(back.at_us, event->at_us);
	types[type].compare(event, &back);
	event_encode(&back, previous_us, &again);
	assert_int_equal(again.len, bytes.len);
	assert_memory_equal(again.data, bytes.data, bytes.len);
	for (size_t len = 0; len < bytes.len; len++) { /* no shorter part of it is an event */
		r = reader_of(bytes.data, len);
		assert_int_equal(event_decode(&r, previous_us, &arena, &back), ERR_CORRUPT);
		if (len > 200)
			len += 7;
	}
	buf_done(&bytes);
	buf_done(&again);
	arena_done(&arena);
}

static void test_every_type(void **state)
{
	(void)state;
	assert_int_equal(COUNT(types), EVENT_TYPE_COUNT - 1); /* a new type gets a line in the table */
	for (size_t t = 0; t < COUNT(types); t++)
		for (uint64_t seed = 1; seed <= 60; seed++) {
			struct rng rng = {seed << 8 | t};
			struct arena arena = {0};
			struct event e = {.type = types[t].type};
			us_t previous = any_us(&rng) / 2;

			assert_int_equal(types[t].type, t + 1);
			e.at_us = previous + any_us(&rng) / 2;
			types[t].any(&rng, &arena, &e);
			there_and_back(&e, previous, t);
			arena_done(&arena);
		}
}

/* What an older release wrote is read, with what it hadn't at its default. */
static void test_version_1(void **state)
{
	struct rng rng = {7};
	struct arena arena = {0};
	struct event e = {.type = EVENT_CONFIG, .at_us = 5}, back;
	struct config_spec old = config_default();
	struct buf bytes = {0};
	struct reader r;

	(void)state;
	old.reservations = 0;
	old.kill_grace_us = 7;
	old.history_jobs_max = 9;
	old.seed = 11;
	buf_put(&bytes, (uint8_t[]){EVENT_CONFIG, 1, 5}, 3);
	for (size_t i = 0; i < 9; i++)
		buf_put_uint(&bytes, (uint64_t[]){old.policy, old.reservations, old.max_restarts, (uint64_t)old.kill_grace_us,
		                                  (uint64_t)old.lease_us, (uint64_t)old.history_after_us, old.history_jobs_max,
		                                  old.jobs_max, old.seed}[i]);
	r = reader_of(bytes.data, bytes.len);
	assert_int_equal(event_decode(&r, 0, &arena, &back), 0);
	assert_ptr_equal(r.at, r.end);
	e.config = old;
	same_config(&e, &back);
	bytes.len = 0;
	e = (struct event){.type = EVENT_RESERVED, .at_us = 5};
	any_reserved(&rng, &arena, &e);
	e.reserved.n_victims = 0;
	buf_put(&bytes, (uint8_t[]){EVENT_RESERVED, 1, 5}, 3);
	buf_put_uint(&bytes, e.reserved.job);
	buf_put_uint(&bytes, e.reserved.cause);
	plan_encode(&e.reserved.plan, &bytes);
	r = reader_of(bytes.data, bytes.len);
	assert_int_equal(event_decode(&r, 0, &arena, &back), 0);
	assert_ptr_equal(r.at, r.end);
	same_reserved(&e, &back);
	buf_done(&bytes);
	arena_done(&arena);
}

static void test_words(void **state)
{
	(void)state;
	for (int i = 0; i < JOB_STATE_COUNT; i++) {
		assert_non_null(job_state_word((enum job_state)i));
		assert_int_equal(job_state_from_word(job_state_word((enum job_state)i)), i);
	}
	assert_int_equal(job_state_from_word("no such"), -1);
	for (int i = 0; i < ATTEMPT_STATE_COUNT; i++)
		assert_non_null(attempt_state_word((enum attempt_state)i));
	for (int i = 0; i < CAUSE_COUNT; i++)
		for (int k = 0; k < i; k++)
			assert_string_not_equal(cause_word((enum cause)i), cause_word((enum cause)k));
	for (int i = 1; i < EVENT_TYPE_COUNT; i++)
		assert_string_not_equal(event_word((enum event_type)i), "unknown");
	assert_string_equal(event_word((enum event_type)0), "unknown");
	assert_string_equal(event_word(EVENT_TYPE_COUNT), "unknown");
}

static void test_not_events(void **state)
{
	static const uint8_t rows[][4] = {{0, 1, 0, 1},
	                                  {EVENT_TYPE_COUNT, 1, 0, 1},
	                                  {255, 1, 0, 1},
	                                  {EVENT_ELIGIBLE, 0, 0, 1},
	                                  {EVENT_ELIGIBLE, 2, 0, 1},
	                                  {EVENT_UNBOOKED, 2, 0, 1},
	                                  {EVENT_CONFIG, 3, 0, 1},
	                                  {EVENT_RESERVED, 0, 0, 1},
	                                  {EVENT_RESERVED, 3, 0, 1}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct reader r = reader_of(rows[i], sizeof rows[i]);
		struct arena arena = {0};
		struct event e = {.at_us = 77};

		assert_int_equal(event_decode(&r, 0, &arena, &e), ERR_CORRUPT);
		assert_int_equal(e.at_us, 77);
		arena_done(&arena);
	}
}

/* ---- Damage ---- */

/* A day with something of everything in it. */
static struct world *busy_world(void)
{
	const struct line_spec a = {.count = 4,
	                            .kind = "a",
	                            .cards = 4,
	                            .cpus_milli = 16000,
	                            .memory_mib = 1000,
	                            .nodes_per_rack = 2},
						   b = {.count = 2, .kind = "b", .cards = 2, .cpus_milli = UNCOUNTED, .memory_mib = UNCOUNTED};
	const struct centre_spec centres[] = {
		{.name = "x", .region = "r", .engine = "simulated", .capabilities = CAN_ALL & ~CAN_LIMIT, .lines = &a, .n_lines = 1},
		{.name = "y",
	     .region = "r",
	     .engine = "simulated",
	     .capabilities = CAN_ALL & ~CAN_EXACT_CARDS,
	     .lines = &b,
	     .n_lines = 1}};
	const struct pool_spec both = pool_of(centres, 2), one = pool_of(centres, 1);
	struct world *w = world_new(&both);
	uint8_t key[IDEMPOTENCY_BYTES] = {1, 2, 3};
	uint64_t cards[] = {2};
	uint32_t gang, share, counted, array, first, waits, after, done, yields, winner;
	struct report r;

	gang = world_submit(
		w, (struct want){.nodes = 3, .cards_milli = 4000, .limit_us = US_HOUR, .rerun = true, .restarts = 2, .key = key});
	share = world_submit(w, (struct want){.cards_milli = 500, .cpus_milli = 1000, .memory_mib = 10, .limit_us = US_MINUTE});
	counted = world_submit(w, (struct want){.kind = "b", .cards_milli = 1000});
	array = world_submit(
		w, (struct want){.cards_milli = 1000, .cpus_milli = 100, .array = {0, 8, 2}, .parallel_max = 2, .limit_us = US_HOUR});
	first = world_submit(w, (struct want){.nodes = 4, .cards_milli = 4000, .limit_us = US_HOUR, .priority = 500});
	after = world_submit(w, (struct want){.cards_milli = 1000, .on = {{share, AFTER_OK}, {gang, AFTER_ANY}}, .n_on = 2});
	waits = world_submit(w, (struct want){.cards_milli = 2000, .begin_us = w->now_us + 90 * US_SECOND, .limit_us = US_MINUTE});
	world_run(w, gang);
	world_run(w, share);
	r = (struct report){.job = counted,
	                    .attempt = 1,
	                    .state = ATTEMPT_RUNNING,
	                    .cards = cards,
	                    .n_cards = 1,
	                    .native_id = "slurm-7",
	                    .note = "n"};
	world_step(w, (struct input){.type = INPUT_REPORT, .report = r});
	world_tick(w, 61 * US_SECOND); /* the share is over its limit */
	world_report(w, share, ATTEMPT_ENDED, CAUSE_LIMIT, 137);
	world_silence(w, 1, true);
	world_lose(w, gang);
	world_silence(w, 1, false);
	world_tick(w, 60 * US_SECOND);
	world_cancel(w, first);
	yields = world_submit(
		w, (struct want){
			   .kind = "b", .cards_milli = 2000, .preemptible = true, .preemptible_after_us = US_SECOND, .limit_us = US_HOUR});
	world_run(w, yields);
	world_tick(w, 2 * US_SECOND); /* it may make room from now on */
	world_node(w, "x", 3, 3, NODE_CORDONED);
	assert_int_equal(count_events(w, EVENT_NODE), 1);
	assert_int_equal(world_book(w, "y", 1, 1, "default", US_DAY, US_HOUR), 0);
	world_book(w, "x", 0, 0, NULL, US_DAY, US_HOUR);
	winner = world_submit(w, (struct want){.kind = "b", .cards_milli = 2000, .priority = 900, .limit_us = US_MINUTE});
	assert_int_equal(cause_of_reserved(w, EVENT_RESERVED), CAUSE_PREEMPTED);
	world_report(w, yields, ATTEMPT_ENDED, CAUSE_SIGNAL, 143);
	world_node(w, "x", 3, 3, NODE_UP);
	world_end(w, winner, 0);
	world_node(w, "x", 2, 3, NODE_DOWN);
	world_unbook(w, 1);
	world_node(w, "x", 2, 3, NODE_UP);
	done = world_submit(w, (struct want){.kind = "b", .cards_milli = 1000, .limit_us = US_MINUTE});
	world_end(w, done, 0);
	world_pool(w, &one);
	world_cancel(w, array);
	world_cancel(w, waits);
	world_pool(w, &both);
	world_end(w, counted, 3);
	world_submit(w, (struct want){.nodes = 4, .cards_milli = 4000, .limit_us = US_HOUR});
	(void)after;
	return w;
}

struct damage {
	struct buf *events; /* each on its own, as a batch of one */
	uint32_t n, cap;
};

static void keep_event(void *ctx, const struct core *core, uint64_t sequence, const struct event *event)
{
	struct damage *d = ctx;
	void *events = d->events;

	(void)core;
	(void)sequence;
	mem_grow(&events, &d->cap, d->n, sizeof *d->events);
	d->events = events;
	d->events[d->n] = (struct buf){0};
	event_encode(event, 0, &d->events[d->n++]);
}

static struct core *core_after(const struct damage *d, uint32_t n)
{
	struct core *core = core_new();

	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(core_apply(core, d->events[i].data, d->events[i].len, NULL, NULL, NULL), 0);
	return core;
}

/* One to three small changes of a copy. */
static size_t damage_bytes(struct rng *rng, uint8_t *bytes, size_t len)
{
	static const uint8_t odd[] = {0, 1, 2, 0x7f, 0x80, 0xff};

	for (uint32_t i = 0, n = 1 + below(rng, 3); i < n && len > 0; i++) {
		size_t at = below(rng, (uint32_t)len);

		switch (below(rng, 7)) {
		case 0: bytes[at] ^= (uint8_t)(1u << below(rng, 8)); break;
		case 1: bytes[at] = odd[below(rng, sizeof odd)]; break;
		case 2:
		case 3: bytes[at]++; break;
		case 4: bytes[at]--; break;
		case 5: memmove(bytes + at, bytes + at + 1, --len - at); break;
		default:
			memmove(bytes + at + 1, bytes + at, len++ - at);
			bytes[at] = (uint8_t)rng_next(rng);
			break;
		}
	}
	return len;
}

/* Pools of millions of nodes are legal, and take a while each. */
static bool too_large(const uint8_t *bytes, size_t len)
{
	struct reader r = reader_of(bytes, len);
	struct arena arena = {0};
	struct event e;
	uint64_t nodes = 0;

	if (event_decode(&r, 0, &arena, &e) == 0 && e.type == EVENT_POOL)
		for (uint32_t c = 0; c < e.pool.n_centres; c++)
			for (uint32_t l = 0; l < e.pool.centres[c].n_lines; l++)
				nodes += e.pool.centres[c].lines[l].count;
	arena_done(&arena);
	return nodes > 2000;
}

/* What was accepted is a state like any other: things go on from there, and a follower agrees. */
static void go_on(struct core *core, const struct damage *d, uint32_t n, const uint8_t *bytes, size_t len)
{
	struct core *follower = core_after(d, n);
	struct step step = {0};
	struct want want = {.cards_milli = 1000, .limit_us = US_MINUTE};
	struct want_spec spec;
	const struct job_spec *job = want_spec(&want, &spec);
	struct hash a, b;
	us_t now = core_now(core);
	struct input inputs[] = {{.type = INPUT_CLOCK, .now_us = now},
	                         {.type = INPUT_SUBMIT, .now_us = now, .submit = {job, NULL}},
	                         {.type = INPUT_CANCEL, .now_us = now, .cancel = {3}},
	                         {.type = INPUT_REPORT, .now_us = now, .report = {.job = 1, .attempt = 1, .state = ATTEMPT_RUNNING}},
	                         {.type = INPUT_REPORT, .now_us = now, .report = {.job = 2, .attempt = 1, .state = ATTEMPT_ENDED}},
	                         {.type = INPUT_REPORT, .now_us = now, .report = {.job = 3, .attempt = 1, .state = ATTEMPT_LOST}},
	                         {.type = INPUT_CLOCK, .now_us = us_add(now, US_HOUR)}};

	core_check(core);
	assert_int_equal(core_apply(follower, bytes, len, NULL, NULL, NULL), 0);
	for (size_t i = 0; i < COUNT(inputs); i++) {
		step_reset(&step);
		core_step(core, &inputs[i], &step, NULL);
		assert_int_equal(core_apply(follower, step.events.data, step.events.len, NULL, NULL, NULL), 0);
		core_check(core);
	}
	a = core_digest(core);
	b = core_digest(follower);
	assert_memory_equal(&a, &b, sizeof a);
	step_done(&step);
	core_free(follower);
}

static void test_damage(void **state)
{
	enum { TOTAL = 100000 };
	struct world *w = busy_world();
	struct damage d = {0};
	struct core *whole = core_new(), *core = NULL;
	const char *trace = getenv("SUAN_TEST_TRACE");
	struct rng rng = {2026};
	uint32_t accepted = 0, tried = 0;

	(void)state;
	for (uint32_t i = 0; i < w->n_batches; i++) {
		size_t end = i + 1 < w->n_batches ? w->batch[i + 1] : w->journal.len;

		assert_int_equal(core_apply(whole, w->journal.data + w->batch[i], end - w->batch[i], keep_event, &d, NULL), 0);
	}
	for (uint32_t n = 0; n < d.n; n++) {
		core = core_after(&d, n);
		for (; tried < (uint64_t)TOTAL * (n + 1) / d.n; tried++) {
			/* Mostly the event that is next, or one that was or will be. */
			const struct buf *of = &d.events[chance(&rng, 60) ? n : below(&rng, d.n)];
			uint8_t bytes[4096];
			size_t len = of->len;

			assert_true(len + 3 <= sizeof bytes);
			memcpy(bytes, of->data, len);
			len = chance(&rng, 3) ? len : damage_bytes(&rng, bytes, len);
			if (len == 0 || too_large(bytes, len))
				continue;
			if (trace) { /* what to look at where it stops here */
				fprintf(stderr, "try %u after %u events:", tried, n);
				for (size_t i = 0; i < len; i++)
					fprintf(stderr, " %02x", bytes[i]);
				fputc('\n', stderr);
			}
			if (core_apply(core, bytes, len, NULL, NULL, NULL) == 0) {
				accepted++;
				go_on(core, &d, n, bytes, len);
			} else if (core_sequence(core) == n) {
				continue; /* nothing changed: go on with it */
			}
			core_free(core);
			core = core_after(&d, n);
		}
		core_free(core);
	}
	assert_in_range(accepted, TOTAL / 50, TOTAL / 2); /* both answers are common */
	for (uint32_t i = 0; i < d.n; i++)
		buf_done(&d.events[i]);
	free(d.events);
	core_free(whole);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_type), cmocka_unit_test(test_version_1), cmocka_unit_test(test_words),
		cmocka_unit_test(test_not_events), cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
