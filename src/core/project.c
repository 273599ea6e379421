/* SPDX-License-Identifier: Apache-2.0
 * project.c: the tree of projects, as the pool declares it; see project.h.
 *
 * A declaration takes back all that the one before declared, and leaves what is held and was used. Numbers of projects only grow.
 * Up the tree there is no circle; the depth is one more than the parent's; `guarded` is the project itself where it has quotas,
 * else its parent's. */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "core/project_inside.h"

const struct project project_nobody = {
	.parent = PROJECT_NONE, .weight_milli = 1000, .guarded = PROJECT_NONE, .cohort = PROJECT_NONE};

void projects_grow(struct projects *p, uint32_t project)
{
	assert(project < PROJECT_NUMBERS_MAX);
	while (p->n <= project) {
		mem_grow((void **)&p->project, &p->cap, p->n, sizeof *p->project);
		p->project[p->n] = project_nobody;
		p->project[p->n++].weight_inverse = inverse_weight(1000);
	}
}

/* ---- The declaration ---- */

/* Takes all that was declared back. */
static void forget(struct projects *p)
{
	cohorts_free(p);
	p->relieved++;
	p->n_declared = 0;
	for (uint32_t i = 0; i < p->n; i++) {
		struct account own = p->project[i].own, total = p->project[i].total;

		free(p->project[i].quotas);
		p->project[i] = project_nobody;
		p->project[i].own = own;
		p->project[i].total = total;
		p->project[i].weight_inverse = inverse_weight(1000);
	}
}

/* Depths, and who is guarded by whom, once all parents are known. */
static void declare_depths(struct projects *p)
{
	for (uint32_t i = 0; i < p->n; i++) {
		struct project *project = &p->project[i];

		for (uint32_t n = i; n != PROJECT_NONE; n = p->project[n].parent) {
			if (project->guarded == PROJECT_NONE && p->project[n].n_quotas > 0)
				project->guarded = n;
			project->depth++;
			assert(project->depth <= p->n); /* no circle */
		}
		project->depth--;
	}
}

static void declare_tree(struct projects *p, const struct pool_spec *spec, struct strtab *names, const struct strtab *kinds)
{
	for (uint32_t i = 0; i < spec->n_projects; i++) {
		const struct project_spec *from = &spec->projects[i];
		uint32_t number = strtab_add(names, from->name);

		projects_grow(p, number);
		p->project[number].declared = true;
		p->project[number].weight_milli = from->weight_milli ? from->weight_milli : 1;
		p->project[number].weight_inverse = inverse_weight(from->weight_milli);
		quotas_declare(&p->project[number], from, kinds);
	}
	p->n_declared = spec->n_projects;
	for (uint32_t i = 0; i < spec->n_projects; i++)
		if (spec->projects[i].parent) {
			uint32_t parent = strtab_find(names, spec->projects[i].parent);

			assert(parent < p->n);
			p->project[strtab_find(names, spec->projects[i].name)].parent = parent;
			p->project[parent].n_children++;
		}
}

void projects_declare(struct projects *p, const struct pool_spec *spec, struct strtab *names, const struct strtab *kinds,
                      const struct project_capacity *capacity, us_t half_life_us, us_t now_us)
{
	if (half_life_us <= 0 || half_life_us > US_DURATION_MAX)
		half_life_us = US_NEVER;
	if (half_life_us != p->half_life_us)
		uses_change_half_life(p, half_life_us, now_us);
	p->remade++;
	forget(p);
	declare_tree(p, spec, names, kinds);
	cohorts_declare(p, spec, names);
	declare_depths(p);
	shares_declare(p, capacity);
	uses_sum(p);
}

struct projects *projects_new(void)
{
	struct projects *p = mem_new(1, sizeof *p);

	p->half_life_us = US_NEVER;
	return p;
}

struct projects *projects_free(struct projects *p)
{
	if (!p)
		return NULL;
	cohorts_free(p);
	for (uint32_t i = 0; i < p->n; i++) {
		free(p->project[i].quotas);
		free(p->project[i].own.uses);
		free(p->project[i].total.uses);
	}
	free(p->project);
	free(p->inverses);
	free(p);
	return NULL;
}

/* ---- Looking ---- */

bool projects_any_declared(const struct projects *p)
{
	return p->n_declared > 0;
}

bool projects_is_declared(const struct projects *p, uint32_t project)
{
	return project_of(p, project)->declared;
}

uint32_t projects_parent(const struct projects *p, uint32_t project)
{
	return project_of(p, project)->parent;
}

uint32_t projects_weight_milli(const struct projects *p, uint32_t project)
{
	return project_of(p, project)->weight_milli;
}

void projects_check(const struct projects *p)
{
	uint32_t n_declared = 0;

	for (uint32_t i = 0; i < p->n; i++) {
		const struct project *project = &p->project[i];

		n_declared += project->declared;
		assert(project->weight_inverse == inverse_weight(project->weight_milli));
		assert(project->depth == (project->parent == PROJECT_NONE ? 0 : p->project[project->parent].depth + 1));
		assert((project->cohort == PROJECT_NONE) == (project->n_quotas == 0));
		assert(project->guarded == (project->n_quotas                 ? i
		                            : project->parent == PROJECT_NONE ? PROJECT_NONE
		                                                              : p->project[project->parent].guarded));
	}
	assert(n_declared == p->n_declared);
	uses_check(p);
	cohorts_check(p);
}
