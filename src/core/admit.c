/* SPDX-License-Identifier: Apache-2.0
 * admit.c: from a job's spec, by names, to the event that accepts it, by numbers; or why not.
 *
 * What is refused here is refused for good: an unknown kind, centre, project or dependency, an array that is none, a
 * job that not even the empty pool could hold. Reads the state and writes nothing. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/place.h"
#include "core/state.h"

static int unknown(struct err *err, const char *subject, const char *what, const char *name, const char *const *names, uint32_t n)
{
	const char *near = spec_nearest(name, names, n);

	return err_set(err, ERR_INVALID, subject, "\"%.60s\": there is no such %s in the pool%s%.60s%s", name, what,
	               near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static int unknown_kind(const struct core *core, const char *name, struct err *err)
{
	const char *names[POOL_KINDS_MAX];
	uint32_t n = 0;

	for (uint32_t i = 0; i < core->pool->n_kinds && n < POOL_KINDS_MAX; i++)
		if (core->pool->kinds[i])
			names[n++] = core->pool->kind_names[i];
	return unknown(err, "resources.accelerators", "kind of card", name, names, n);
}

static int unknown_centre(const struct core *core, const char *name, struct err *err)
{
	const char *names[POOL_CENTRES_MAX];
	uint32_t n = 0;

	for (uint32_t i = 0; i < core->pool->n_centres && n < POOL_CENTRES_MAX; i++)
		if (core->pool->centres[i].spec)
			names[n++] = core->pool->centres[i].spec->name;
	return unknown(err, "resources.infra", "centre", name, names, n);
}

/* Only those that the pool declares: what jobs named before it did would be refused as well. */
static int unknown_project(const struct core *core, const char *name, struct err *err)
{
	const char *names[POOL_PROJECTS_MAX];
	uint32_t n = 0;

	for (; n < core->pool->spec.n_projects; n++)
		names[n] = core->pool->spec.projects[n].name;
	return unknown(err, "project", "project", name, names, n);
}

static int admit_request(const struct core *core, const struct request_spec *spec, struct request *ret, struct err *err)
{
	*ret = (struct request){
		.kind = KIND_NONE,
		.cards_milli = spec->cards_milli,
		.cpus_milli = spec->cpus_milli,
		.memory_mib = spec->memory_mib,
		.centre = CENTRE_ANY,
		.speed_milli = spec->speed_milli,
		.image = spec->image != NULL,
	};
	if (spec->cards_milli > CARD_MILLI && spec->cards_milli % CARD_MILLI)
		return err_set(err, ERR_INVALID, "resources.accelerators", "%u.%03u: expected whole cards, or a share below 1",
		               spec->cards_milli / CARD_MILLI, spec->cards_milli % CARD_MILLI);
	if (spec->cards_milli > CARDS_PER_NODE_MAX * CARD_MILLI)
		return err_set(err, ERR_INVALID, "resources.accelerators", "%u: a node has at most %d cards",
		               spec->cards_milli / CARD_MILLI, CARDS_PER_NODE_MAX);
	if (spec->kind && spec->cards_milli) {
		ret->kind = strcmp(spec->kind, "*") ? pool_find_kind(core->pool, spec->kind) : KIND_ANY;
		if (ret->kind == NODE_NONE)
			return unknown_kind(core, spec->kind, err);
	}
	if (!ret->cards_milli && !ret->cpus_milli && !ret->memory_mib)
		ret->cpus_milli = 1; /* a task that runs takes something: so none is started on nodes that are booked or out */
	if (spec->centre) {
		ret->centre = pool_find_centre(core->pool, spec->centre);
		if (ret->centre == NODE_NONE)
			return unknown_centre(core, spec->centre, err);
	}
	return 0;
}

static int admit_group(const struct core *core, const struct job_spec *spec, struct arena *arena, struct group *ret,
                       struct err *err)
{
	const struct group_spec *g = spec->groups;

	if (spec->n_groups != 1)
		return err_set(err, ERR_UNSUPPORTED, "groups", "%" PRIu32 ": a job has one group of equal nodes in this release",
		               spec->n_groups);
	if (g->nodes < 1 || g->nodes > JOB_NODES_MAX)
		return err_set(err, ERR_INVALID, "num_nodes", "%" PRIu32 ": expected 1 to %d", g->nodes, JOB_NODES_MAX);
	if (g->n_requests < 1 || g->n_requests > JOB_REQUESTS_MAX)
		return err_set(err, ERR_INVALID, "resources", "%" PRIu32 " alternatives: expected 1 to %d", g->n_requests,
		               JOB_REQUESTS_MAX);
	if (g->highest == TIER_POOL)
		return err_set(err, ERR_UNSUPPORTED, "topology.highest_tier",
		               "pool: a gang over several centres is refused until links are planned; use centre");
	*ret = (struct group){
		.nodes = g->nodes, .n_requests = g->n_requests, .ordered = g->ordered, .hard = g->hard, .highest = g->highest};
	ret->requests = arena_new(arena, g->n_requests, sizeof *ret->requests);
	for (uint32_t i = 0; i < g->n_requests; i++)
		if (admit_request(core, &g->requests[i], &ret->requests[i], err) < 0)
			return err->code;
	return 0;
}

/* Why no centre will do at all. */
static int no_centre(const struct core *core, const struct request *q, struct err *err)
{
	const char *kind = pool_kind_name(core->pool, q->kind);

	if (q->image)
		return err_set(err, ERR_NEVER, "resources.image_id", "no centre with such nodes runs container images");
	if (q->cards_milli % CARD_MILLI)
		return err_set(err, ERR_NEVER, "resources.accelerators", "no centre with cards of kind %s gives shares of a card", kind);
	if (q->centre != CENTRE_ANY)
		return err_set(err, ERR_NEVER, "resources.infra", "%s: has no %s%s", pool_centre_name(core->pool, q->centre),
		               *kind ? "cards of kind " : "nodes", kind);
	return err_set(err, ERR_NEVER, "resources", "no centre has %s%s that run without a container image",
	               *kind ? "cards of kind " : "nodes", kind);
}

/* Nodes of a shelf that could hold one task of a request if they were empty. */
static uint32_t count_holders(const struct core *core, const struct shelf *shelf, const struct request *q)
{
	const struct domain *d = &core->pool->domains[shelf->domain];
	uint32_t holders = 0;

	for (uint32_t n = d->node_first; n < d->node_first + d->n_nodes; n++)
		holders += place_node_holds(&core->empty, n, q);
	return holders;
}

/* Says what of a request is more than any node, or than any centre, has. */
static int never(const struct core *core, const struct shape *shape, struct err *err)
{
	const struct request *q = &shape->group.requests[0];
	const char *kind = pool_kind_name(core->pool, q->kind), *tier = tier_word(shape->group.highest);
	uint32_t cards = 0, nodes = 0;

	if (!shape->n_candidates)
		return no_centre(core, q, err);
	for (uint32_t i = 0; i < shape->n_candidates; i++) {
		const struct shelf *shelf = &core->pool->shelves[shape->candidates[i].shelf];
		uint32_t here = count_holders(core, shelf, &shape->group.requests[shape->candidates[i].request]);

		cards = shelf->cards_max > cards ? shelf->cards_max : cards;
		nodes = here > nodes ? here : nodes;
	}
	if (q->cards_milli > cards * CARD_MILLI)
		return err_set(err, ERR_NEVER, "resources.accelerators", "\"%s:%u\": a node of kind %s has %u cards", kind,
		               q->cards_milli / CARD_MILLI, kind, cards);
	if (!nodes)
		return err_set(err, ERR_NEVER, "resources",
		               "no such node of the pool has that many CPUs (%u.%03u) or that much memory (%u MiB)", q->cpus_milli / 1000,
		               q->cpus_milli % 1000, q->memory_mib);
	if (shape->group.nodes > nodes)
		return err_set(err, ERR_NEVER, "num_nodes", "%" PRIu32 ": no centre has more than %" PRIu32 " nodes that could hold this",
		               shape->group.nodes, nodes);
	return err_set(err, ERR_NEVER, "topology.highest_tier", "%s: no %s of the pool has %" PRIu32 " nodes that could hold this",
	               tier, tier, shape->group.nodes);
}

static int check_holdable(const struct core *core, const struct group *group, struct arena *arena, struct err *err)
{
	uint32_t known = queue_find_shape(&core->queue, group);
	struct shape made;

	if (known != UINT32_MAX && !core->queue.shapes[known]->never)
		return 0;
	made = plan_shape(core, group, arena);
	return made.never ? never(core, &made, err) : 0;
}

static int check_project(const struct core *core, const char *name, struct err *err)
{
	if (!name || !spec_name_ok(name))
		return err_set(err, ERR_INVALID, "project", "\"%.60s\": expected 1 to %d bytes of plain text", name ? name : "",
		               NAME_LEN_MAX);
	if (projects_any_declared(core->tree)) {
		uint32_t id = strtab_find(&core->projects, name);

		if (id == STRTAB_NONE || !projects_is_declared(core->tree, id))
			return unknown_project(core, name, err);
	}
	if (core->projects.count >= POOL_PROJECTS_MAX && strtab_find(&core->projects, name) == STRTAB_NONE)
		return err_set(err, ERR_TOO_LARGE, "project", "\"%.60s\": the pool has %d projects already", name, POOL_PROJECTS_MAX);
	return 0;
}

/* What a project's quota could never let through, even were nothing held, is refused as well. */
static int check_quota(const struct core *core, const char *project, const struct group *group, struct arena *arena,
                       struct err *err)
{
	uint32_t id = strtab_find(&core->projects, project);
	struct shape shape = plan_shape(core, group, arena);
	struct quota_view view = {.project = PROJECT_NONE};
	uint32_t kind = KIND_NONE;
	char nominal[24], borrowing[24];

	if (id == STRTAB_NONE)
		return 0;
	for (uint32_t i = 0; i < shape.n_candidates; i++) {
		const struct request *q = &group->requests[shape.candidates[i].request];

		kind = core->pool->shelves[shape.candidates[i].shelf].kind;
		if (!q->cards_milli ||
		    projects_ever_fits(core->tree, id, kind, (uint64_t)group->nodes * q->cards_milli, &view) == QUOTA_OK)
			return 0;
	}
	return err_set(err, ERR_NEVER, "project", "%s: its quota of %s is %s, and it may borrow %s: never enough for this job",
	               core_project_name(core, view.project), pool_kind_name(core->pool, kind),
	               units_format_milli(view.nominal_milli, nominal, sizeof nominal),
	               units_format_milli(view.borrowing_milli, borrowing, sizeof borrowing));
}

static int check_dependencies(const struct core *core, const struct job_spec *spec, struct err *err)
{
	char subject[40];

	if (spec->n_dependencies > JOB_DEPENDENCIES_MAX)
		return err_set(err, ERR_TOO_LARGE, "depends_on", "%" PRIu32 ": at most %d", spec->n_dependencies, JOB_DEPENDENCIES_MAX);
	for (uint32_t i = 0; i < spec->n_dependencies; i++)
		if (!core_job(core, spec->dependencies[i].job)) {
			snprintf(subject, sizeof subject, "depends_on[%" PRIu32 "].job", i);
			return err_set(err, ERR_INVALID, subject, "%" PRIu32 ": there is no such job", spec->dependencies[i].job);
		}
	return 0;
}

int admit(const struct core *core, const struct job_spec *spec, const void *idempotency, us_t now_us, struct arena *arena,
          struct submitted *ret, struct err *err)
{
	struct submitted s = {.job = core->last_job + 1};

	(void)now_us;
	if (!core->pool)
		return err_set(err, ERR_BUSY, "pool", "there is no pool yet");
	if (core->n_jobs >= core->config.jobs_max)
		return err_set(err, ERR_BUSY, "jobs", "the pool holds %u jobs, as many as its configuration allows", core->n_jobs);
	if (!spec->name || !spec_name_ok(spec->name))
		return err_set(err, ERR_INVALID, "name",
		               "\"%.60s\": expected 1 to %d bytes of plain text, without control characters or quotes",
		               spec->name ? spec->name : "", NAME_LEN_MAX);
	if (spec->user && !spec_name_ok(spec->user))
		return err_set(err, ERR_INVALID, "user", "\"%.60s\": expected 1 to %d bytes of plain text", spec->user, NAME_LEN_MAX);
	if (spec->priority > JOB_PRIORITY_MAX)
		return err_set(err, ERR_INVALID, "priority", "%" PRIu32 ": expected 0 to %d", spec->priority, JOB_PRIORITY_MAX);
	if (spec->limit_us <= 0)
		return err_set(err, ERR_INVALID, "time", "0: expected a limit above 0, or none");
	if (spec->begin_us < 0)
		return err_set(err, ERR_INVALID, "begin", "%" PRId64 ": expected an instant since 1970, or none", spec->begin_us);
	if (spec->checkpoint_every_us < 0 || spec->preemptible_after_us < 0)
		return err_set(err, ERR_INVALID, "checkpoint", "expected durations of 0 or more");
	if (spec->n_array > JOB_RANGES_MAX)
		return err_set(err, ERR_TOO_LARGE, "array", "%" PRIu32 " ranges: at most %d", spec->n_array, JOB_RANGES_MAX);
	if (spec->n_array && ranges_count(spec->array, spec->n_array) == 0)
		return err_set(err, ERR_INVALID, "array", "expected ranges such as 0-99 or 1,3,5-9:2, of 1 to %d elements in all",
		               JOB_ARRAY_MAX);
	if (check_project(core, spec->project, err) < 0 || check_dependencies(core, spec, err) < 0 ||
	    admit_group(core, spec, arena, &s.group, err) < 0 || check_holdable(core, &s.group, arena, err) < 0)
		return err->code;
	if (core->projects_bounded && check_quota(core, spec->project, &s.group, arena, err) < 0)
		return err->code;
	s.name = spec->name;
	s.project = spec->project;
	s.user = spec->user ? spec->user : "unknown";
	s.priority = spec->priority;
	s.limit_us = spec->limit_us;
	s.begin_us = spec->begin_us;
	s.dependencies = spec->dependencies;
	s.n_dependencies = spec->n_dependencies;
	s.array = spec->array;
	s.n_array = spec->n_array;
	s.array_parallel_max = spec->array_parallel_max;
	s.max_restarts = spec->max_restarts < 0 ? core->config.max_restarts : (uint32_t)spec->max_restarts;
	s.rerun_when_lost = spec->rerun_when_lost;
	s.checkpoint_every_us = spec->checkpoint_every_us;
	s.preemptible_after_us = spec->preemptible_after_us;
	s.payload = spec->payload;
	s.secrets = spec->secrets ? spec->secrets : "";
	s.idempotency = idempotency;
	*ret = s;
	return 0;
}
