/* SPDX-License-Identifier: Apache-2.0
 * json_event.c: an event of the journal as JSON. */
#include <string.h>

#include "api/inside.h"

static void put(json_t *json, const char *key, json_t *value)
{
	json_object_set_new(json, key, value);
}

static void put_pool(json_t *json, const struct core *core, const struct event *event)
{
	(void)core;
	put(json, "name", json_text(event->pool.name));
	put(json, "centres", json_integer(event->pool.n_centres));
	put(json, "kinds", json_integer(event->pool.n_kinds));
}

static void put_config(json_t *json, const struct core *core, const struct event *event)
{
	(void)core;
	put(json, "policy", json_string(policy_word(event->config.policy)));
	put(json, "seed", json_integer((json_int_t)event->config.seed));
}

static void put_submitted(json_t *json, const struct core *core, const struct event *event)
{
	const struct submitted *s = &event->submitted;

	(void)core;
	put(json, "job", json_integer(s->job));
	put(json, "name", json_text(s->name));
	put(json, "project", json_text(s->project));
	put(json, "user", json_text(s->user));
	put(json, "num_nodes", json_integer(s->group.nodes));
	put(json, "priority", json_integer(s->priority));
}

static void put_eligible(json_t *json, const struct core *core, const struct event *event)
{
	(void)core;
	put(json, "job", json_integer(event->eligible.job));
}

static void put_placed(json_t *json, const struct core *core, const struct event *event)
{
	const struct placed *p = &event->placed;

	put(json, "job", json_integer(p->job));
	put(json, "attempt", json_integer(p->attempt));
	put(json, "array_id", p->array ? json_integer(p->array) : json_null());
	put(json, "array_index", p->array ? json_integer(p->index) : json_null());
	put(json, "kind", p->plan.kind == KIND_NONE ? json_null() : json_text(pool_kind_name(core_pool(core), p->plan.kind)));
	put(json, "placement", json_placement(core, &p->plan));
}

static void put_attempt(json_t *json, const struct core *core, const struct event *event)
{
	(void)core;
	put(json, "job", json_integer(event->attempt.job));
	put(json, "attempt", json_integer(event->attempt.attempt));
	put(json, "state", json_string(attempt_state_word(event->attempt.state)));
	put(json, "native_id", json_text(event->attempt.native_id));
}

static void put_bound(json_t *json, const struct core *core, const struct event *event)
{
	const struct plan plan = {.tasks = event->bound.tasks, .n_tasks = event->bound.n_tasks};

	put(json, "job", json_integer(event->bound.job));
	put(json, "attempt", json_integer(event->bound.attempt));
	put(json, "placement", json_placement(core, &plan));
}

static void put_stopping(json_t *json, const struct core *core, const struct event *event)
{
	(void)core;
	put(json, "job", json_integer(event->stopping.job));
	put(json, "attempt", json_integer(event->stopping.attempt));
	put(json, "cause", json_string(cause_word(event->stopping.cause)));
	put(json, "who", json_text(event->stopping.who));
}

static void put_ended(json_t *json, const struct core *core, const struct event *event)
{
	const struct ended *e = &event->ended;

	(void)core;
	put(json, "job", json_integer(e->job));
	put(json, "attempt", json_integer(e->attempt));
	put(json, "state", json_string(job_state_word(e->then)));
	put(json, "cause", json_string(cause_word(e->cause)));
	put(json, "exit_code", e->attempt_state == ATTEMPT_ENDED ? json_integer(e->exit_code) : json_null());
	put(json, "exit_rank", e->attempt_state == ATTEMPT_ENDED ? json_integer(e->rank) : json_null());
	put(json, "ended_at", json_instant(e->at_us));
	put(json, "note", json_text(e->note));
}

json_t *json_jobs_of(const uint32_t *jobs, uint32_t n)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(list, json_integer(jobs[i]));
	return list;
}

static void put_reserved(json_t *json, const struct core *core, const struct event *event)
{
	(void)core;
	put(json, "job", json_integer(event->reserved.job));
	put(json, "cause", json_string(cause_word(event->reserved.cause)));
	put(json, "start_at", json_instant(event->reserved.plan.start_us));
	put(json, "num_nodes", json_integer(event->reserved.plan.n_tasks));
	put(json, "preempts", json_jobs_of(event->reserved.victims, event->reserved.n_victims));
}

static void put_unreserved(json_t *json, const struct core *core, const struct event *event)
{
	(void)core;
	put(json, "job", json_integer(event->unreserved.job));
	put(json, "cause", json_string(cause_word(event->unreserved.cause)));
}

static void put_centre(json_t *json, const struct core *core, const struct event *event)
{
	put(json, "centre", json_text(pool_centre_name(core_pool(core), event->centre.centre)));
	put(json, "silent", json_boolean(event->centre.silent));
}

static void put_forgotten(json_t *json, const struct core *core, const struct event *event)
{
	(void)core;
	put(json, "job", json_integer(event->forgotten.job));
}

static void put_node(json_t *json, const struct core *core, const struct event *event)
{
	put(json, "centre", json_text(pool_centre_name(core_pool(core), event->node.centre)));
	put(json, "nodes", json_node_ranges(&event->node.range, 1));
	put(json, "state", json_string(node_state_word(event->node.state)));
	put(json, "note", json_text(event->node.note));
}

static void put_booked(json_t *json, const struct core *core, const struct event *event)
{
	const struct booked *b = &event->booked;

	put(json, "booking", json_integer(b->booking));
	put(json, "name", json_text(b->name));
	put(json, "project", json_text(b->project));
	put(json, "centre", json_text(pool_centre_name(core_pool(core), b->centre)));
	put(json, "nodes", json_node_ranges(b->ranges, b->n_ranges));
	put(json, "from", json_instant(b->from_us));
	put(json, "until", json_instant(b->until_us));
}

static void put_unbooked(json_t *json, const struct core *core, const struct event *event)
{
	(void)core;
	put(json, "booking", json_integer(event->unbooked.booking));
	put(json, "cause", json_string(cause_word(event->unbooked.cause)));
}

static void put_aged(json_t *json, const struct core *core, const struct event *event)
{
	(void)core;
	put(json, "job", json_integer(event->aged.job));
	put(json, "level", json_integer(event->aged.level));
	put(json, "preemptible", json_boolean(event->aged.preemptible));
	put(json, "movable", json_boolean(event->aged.movable));
}

static void put_extended(json_t *json, const struct core *core, const struct event *event)
{
	(void)core;
	put(json, "job", json_integer(event->extended.job));
	put(json, "until", json_instant(event->extended.until_us));
}

static void put_moving(json_t *json, const struct core *core, const struct event *event)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < event->moving.n; i++) {
		const struct move *m = &event->moving.moves[i];
		json_t *move = json_pack("{s:I}", "job", (json_int_t)m->job);

		put(move, "kind", json_text(m->plan.kind == KIND_NONE ? NULL : pool_kind_name(core_pool(core), m->plan.kind)));
		put(move, "start_at", json_instant(m->plan.start_us));
		put(move, "placement", json_placement(core, &m->plan));
		json_array_append_new(list, move);
	}
	put(json, "moves", list);
}

static void put_backlog(json_t *json, const struct core *core, const struct event *event)
{
	(void)core;
	put(json, "more", json_boolean(event->backlog.more));
	put(json, "unmoved", json_boolean(event->backlog.unmoved));
	put(json, "unhelped", json_jobs_of(event->backlog.unhelped, event->backlog.n_unhelped));
}

static void (*const puts_of[EVENT_TYPE_COUNT])(json_t *json, const struct core *core, const struct event *event) = {
	[EVENT_POOL] = put_pool,
	[EVENT_CONFIG] = put_config,
	[EVENT_SUBMITTED] = put_submitted,
	[EVENT_ELIGIBLE] = put_eligible,
	[EVENT_PLACED] = put_placed,
	[EVENT_ATTEMPT] = put_attempt,
	[EVENT_BOUND] = put_bound,
	[EVENT_STOPPING] = put_stopping,
	[EVENT_ENDED] = put_ended,
	[EVENT_RESERVED] = put_reserved,
	[EVENT_UNRESERVED] = put_unreserved,
	[EVENT_CENTRE] = put_centre,
	[EVENT_FORGOTTEN] = put_forgotten,
	[EVENT_NODE] = put_node,
	[EVENT_BOOKED] = put_booked,
	[EVENT_UNBOOKED] = put_unbooked,
	[EVENT_AGED] = put_aged,
	[EVENT_EXTENDED] = put_extended,
	[EVENT_MOVING] = put_moving,
	[EVENT_BACKLOG] = put_backlog,
};

json_t *json_event(const struct core *core, uint64_t sequence, const struct event *event)
{
	json_t *json = json_pack("{s:I, s:o, s:s}", "sequence", (json_int_t)sequence, "at", json_instant(event->at_us), "type",
	                         event_word(event->type));

	if (event->type < EVENT_TYPE_COUNT && puts_of[event->type])
		puts_of[event->type](json, core, event);
	return json;
}
