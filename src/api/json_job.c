/* SPDX-License-Identifier: Apache-2.0
 * json_job.c: a job as the API shows it. */
#include <stdio.h>

#include "api/inside.h"

static const char *kind_name(const struct core *core, uint32_t kind)
{
	return kind == KIND_NONE ? NULL : pool_kind_name(core_pool(core), kind);
}

static json_t *json_cards(uint64_t cards)
{
	json_t *list;

	if (!cards)
		return json_null();
	list = json_array();
	for (int i = 0; i < CARDS_PER_NODE_MAX; i++)
		if (cards >> i & 1)
			json_array_append_new(list, json_integer(i));
	return list;
}

json_t *json_placement(const struct core *core, const struct plan *plan)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < plan->n_tasks; i++) {
		const struct task *task = &plan->tasks[i];
		char node[16];

		snprintf(node, sizeof node, "%u", task->node);
		json_array_append_new(list,
		                      json_pack("{s:s, s:s, s:o, s:o}", "centre", pool_centre_name(core_pool(core), task->centre), "node",
		                                node, "count", json_milli(task->cards_milli), "cards", json_cards(task->cards)));
	}
	return list;
}

static json_t *json_array_of(const struct array *array)
{
	if (!array)
		return json_null();
	return json_pack("{s:o, s:i, s:i, s:i, s:i, s:i, s:i}", "ranges", json_ranges(array->ranges, array->n_ranges), "count",
	                 (int)array->count, "placed", (int)array->taken, "live", (int)array->live, "over", (int)array->over, "failed",
	                 (int)array->failed, "parallel_max", (int)array->parallel_max);
}

static json_t *json_dependencies(const struct job_extra *extra)
{
	json_t *list = json_array();

	for (uint32_t i = 0; extra && i < extra->n_dependencies; i++)
		json_array_append_new(list, json_pack("{s:i, s:s}", "job", (int)extra->dependencies[i].job, "when",
		                                      extra->dependencies[i].when == AFTER_OK ? "afterok" : "afterany"));
	return list;
}

static bool is_simulated(const struct core *core, uint32_t centre)
{
	const struct pool *pool = core_pool(core);

	return centre < pool->n_centres && pool->centres[centre].spec && (pool->centres[centre].spec->capabilities & IS_SIMULATED);
}

/* Where the latest attempt is, or was; nothing while the job waits for another. */
static void add_place(json_t *json, const struct core *core, const struct job *job)
{
	bool placed = job->plan.n_tasks && (job_is_live(job) || job_is_over(job));
	uint32_t centre = placed ? job->plan.tasks[0].centre : CENTRE_ANY;

	json_object_set_new(json, "centre", placed ? json_text(pool_centre_name(core_pool(core), centre)) : json_null());
	json_object_set_new(json, "simulated", json_boolean(placed && is_simulated(core, centre)));
	json_object_set_new(json, "kind", placed ? json_text(kind_name(core, job->plan.kind)) : json_null());
	json_object_set_new(json, "placement", placed ? json_placement(core, &job->plan) : json_array());
}

static void add_times(json_t *json, const struct job *job)
{
	json_object_set_new(json, "submitted_at", json_instant(job->submitted_us));
	json_object_set_new(json, "eligible_at", json_instant(job->eligible_us));
	json_object_set_new(json, "begin_at", json_instant(job->begin_us));
	json_object_set_new(json, "placed_at", json_instant(job->placed_us));
	json_object_set_new(json, "lent_until", json_instant(core_lent_until(job)));
	json_object_set_new(json, "started_at", json_instant(job->started_us));
	json_object_set_new(json, "ended_at", json_instant(job->ended_us));
}

static void add_end(json_t *json, const struct job *job)
{
	bool exited = job_is_over(job) && job->attempt_state == ATTEMPT_ENDED;

	json_object_set_new(json, "exit_code", exited ? json_integer(job->exit_code) : json_null());
	json_object_set_new(json, "exit_rank", exited ? json_integer(job->exit_rank) : json_null());
	json_object_set_new(json, "cause", job->cause == CAUSE_NONE ? json_null() : json_string(cause_word(job->cause)));
	json_object_set_new(json, "attempt", json_integer(job->attempt));
	json_object_set_new(json, "native_id", json_text(job->extra ? job->extra->native_id : NULL));
	json_object_set_new(json, "native_state",
	                    job->attempt_state == ATTEMPT_NONE ? json_null() : json_string(attempt_state_word(job->attempt_state)));
	json_object_set_new(json, "note", json_text(job->extra ? job->extra->note : NULL));
}

static json_t *json_reservation(const struct core *core, const struct job *job)
{
	const struct reservation *held = core_reservation_of(core, job->id);

	if (!held)
		return json_null();
	return json_pack("{s:o, s:s, s:o}", "start_at", json_instant(held->plan.start_us), "cause", cause_word(held->cause),
	                 "preempts", json_jobs_of(held->victims, held->n_victims));
}

/* What it has had, and what is kept of it. */
static void add_service(json_t *json, const struct core *core, const struct job *job, us_t now_us)
{
	us_t at_us = now_us > core_now(core) ? now_us : core_now(core);

	json_object_set_new(json, "attained_card_s", json_seconds(core_attained_us(core, job, at_us)));
	json_object_set_new(json, "done_s", json_seconds(core_done_us(job)));
}

json_t *json_job(const struct core *core, const struct job *job, const struct explanation *why, us_t now_us)
{
	json_t *json = json_object();

	json_object_set_new(json, "id", json_integer(job->id));
	json_object_set_new(json, "name", json_text(job->name));
	json_object_set_new(json, "project", json_text(core_project_name(core, job->project)));
	json_object_set_new(json, "user", json_text(core_user(core, job->user)));
	json_object_set_new(json, "state", json_string(job_state_word(core_job_state(core, job))));
	json_object_set_new(json, "reason",
	                    why && why->reason != REASON_NONE
	                        ? json_pack("{s:s, s:o}", "code", reason_word(why->reason), "text", json_text(why->text))
	                        : json_null());
	json_object_set_new(json, "num_nodes", json_integer(core_job_group(core, job)->nodes));
	add_place(json, core, job);
	json_object_set_new(json, "priority", json_integer(job->priority));
	json_object_set_new(json, "time_limit_s", json_seconds(job->limit_us));
	json_object_set_new(json, "depends_on", json_dependencies(job->extra));
	json_object_set_new(json, "array", json_array_of(job->array));
	json_object_set_new(json, "array_id", job->array_of ? json_integer(job->array_of) : json_null());
	json_object_set_new(json, "array_index", job->array_of ? json_integer(job->array_index) : json_null());
	add_times(json, job);
	json_object_set_new(json, "reservation", json_reservation(core, job));
	add_service(json, core, job, now_us);
	add_end(json, job);
	return json;
}

/* It has no number of its own yet, so it goes by its array's. It waits, whatever others of the array do; where the array is
 * over, it never ran. */
json_t *json_unplaced_element(const struct core *core, const struct job *array, uint32_t index, const struct explanation *why,
                              us_t now_us)
{
	json_t *json = json_job(core, array, why, now_us);

	if (!job_is_over(array))
		json_object_set_new(json, "state", json_string(job_state_word(JOB_QUEUED)));
	json_object_set_new(json, "placed_at", json_null());
	json_object_set_new(json, "lent_until", json_null());
	json_object_set_new(json, "started_at", json_null());
	json_object_set_new(json, "array", json_null());
	json_object_set_new(json, "array_id", json_integer(array->id));
	json_object_set_new(json, "array_index", json_integer(index));
	return json;
}

static json_t *json_quota(const struct core *core, const struct explanation *why)
{
	const struct quota_view *v = &why->quota;

	if (why->reason != REASON_QUOTA)
		return json_null();
	return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o}", "project", json_text(core_project_name(core, v->project)), "kind",
	                 pool_kind_name(core_pool(core), why->quota_kind), "used", json_milli(v->used_milli), "nominal",
	                 json_milli(v->nominal_milli), "may_borrow", json_milli(v->borrowing_milli), "cohort_used",
	                 json_milli(v->cohort_used_milli), "cohort_nominal", json_milli(v->cohort_nominal_milli));
}

/* at: what at_us is. */
static json_t *json_others(const struct core *core, const struct other_job *others, uint32_t n, const char *at)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(list, json_pack("{s:i, s:o, s:o, s:I, s:o, s:o}", "job", (int)others[i].job, "project",
		                                      json_text(core_project_name(core, others[i].project)), "kind",
		                                      json_text(kind_name(core, others[i].kind)), "nodes", (json_int_t)others[i].nodes,
		                                      "cards", json_milli(others[i].cards_milli), at, json_instant(others[i].at_us)));
	return list;
}

static json_t *json_change(const struct core *core, const struct advice *advice)
{
	json_t *value = NULL;

	switch (advice->change) {
	case CHANGE_LIMIT: value = json_seconds(advice->limit_us); break;
	case CHANGE_TIER: value = json_string(tier_word(advice->tier)); break;
	case CHANGE_NODES: value = json_integer(advice->nodes); break;
	case CHANGE_CENTRE: value = json_string("any"); break;
	case CHANGE_KIND: value = json_text(kind_name(core, advice->kind)); break;
	case CHANGE_CARDS: value = json_milli(advice->cards_milli); break;
	default: return json_null();
	}
	return json_pack("{s:s, s:o, s:s}", "what", change_word(advice->change), "value", value, "text", advice->text);
}

/* Who is in its way, and what would start it now. */
static void add_advice(json_t *json, const struct core *core, const struct job *job, const struct explanation *why)
{
	struct advice advice;

	core_advise(core, job->id, why, &advice);
	json_object_set_new(json, "ahead_jobs", json_others(core, advice.ahead, advice.n_ahead, "promised_at"));
	json_object_set_new(json, "holders", json_others(core, advice.holders, advice.n_holders, "until"));
	json_object_set_new(json, "change", json_change(core, &advice));
	json_object_set_new(json, "change_text", *advice.text ? json_string(advice.text) : json_null());
}

json_t *json_explanation(const struct core *core, const struct job *job, bool is_element, const struct explanation *why)
{
	enum job_state state = is_element && !job_is_over(job) ? JOB_QUEUED : core_job_state(core, job);
	json_t *json = json_object();

	json_object_set_new(json, "job", json_integer(job->id));
	json_object_set_new(json, "state", json_string(job_state_word(state)));
	json_object_set_new(json, "reason", why->reason == REASON_NONE ? json_null() : json_string(reason_word(why->reason)));
	json_object_set_new(json, "text", json_text(why->text));
	json_object_set_new(json, "blocker", why->blocker ? json_integer(why->blocker) : json_null());
	json_object_set_new(json, "kind", json_text(kind_name(core, why->kind)));
	json_object_set_new(json, "centre",
	                    why->centre == CENTRE_ANY ? json_null() : json_text(pool_centre_name(core_pool(core), why->centre)));
	json_object_set_new(json, "need_nodes", json_integer((json_int_t)why->need_nodes));
	json_object_set_new(json, "free_nodes", json_integer((json_int_t)why->free_nodes));
	json_object_set_new(json, "free_cards", json_milli(why->free_milli));
	json_object_set_new(json, "total_cards", json_milli(why->total_milli));
	json_object_set_new(json, "ahead", json_integer(why->ahead));
	json_object_set_new(json, "expected_start_at", json_instant(why->start_us));
	json_object_set_new(json, "expected_start_low_at", json_instant(why->start_low_us));
	json_object_set_new(json, "expected_start_high_at", json_instant(why->start_high_us));
	json_object_set_new(json, "quota", json_quota(core, why));
	json_object_set_new(json, "booking", why->booking ? json_integer(why->booking) : json_null());
	add_advice(json, core, job, why);
	json_object_set_new(json, "reservation", json_reservation(core, job));
	return json;
}
