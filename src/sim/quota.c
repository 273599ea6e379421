/* SPDX-License-Identifier: Apache-2.0
 * quota.c: the plan checker's own books of projects; see quota.h.
 *
 * The rules, for each bound project p of a cohort c, with what all below it holds counted:
 *   held(p) <= nominal(p) + min(borrowing limit(p), sum of what the others of c lend)
 *   sum over c of what each holds beyond what it keeps for itself <= sum over c of what each lends
 * where p lends the lesser of its nominal and its lending limit, and keeps the rest. */
#include "sim/quota.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

#define NONE UINT32_MAX

uint32_t quota_project(struct quota_book *book, const char *name)
{
	uint32_t number = strtab_add(&book->names, name);

	while (book->n_projects <= number) {
		mem_grow((void **)&book->projects, &book->projects_cap, book->n_projects, sizeof *book->projects);
		book->projects[book->n_projects++] = (struct quota_project){.parent = NONE, .cohort = NONE};
	}
	return number;
}

static void clear_project(struct quota_project *p)
{
	free(p->nominal);
	free(p->borrowing);
	free(p->lending);
	free(p->held);
	*p = (struct quota_project){.parent = NONE, .cohort = NONE};
}

static void clear(struct quota_book *book)
{
	for (uint32_t i = 0; i < book->n_projects; i++)
		clear_project(&book->projects[i]);
	for (uint32_t i = 0; i < book->n_cohorts; i++)
		free(book->members[i]);
	free(book->members);
	free(book->n_members);
	book->members = NULL;
	book->n_members = NULL;
	book->n_cohorts = 0;
	book->any = false;
}

/* ---- The tree ---- */

static void set_quotas(struct quota_book *book, struct quota_project *p, const struct project_spec *spec,
                       const struct strtab *kinds)
{
	p->bound = spec->n_quotas > 0;
	if (!p->bound)
		return;
	book->any = true;
	p->nominal = mem_new(book->n_kinds, sizeof *p->nominal);
	p->borrowing = mem_new(book->n_kinds, sizeof *p->borrowing);
	p->lending = mem_new(book->n_kinds, sizeof *p->lending);
	for (uint32_t i = 0; i < spec->n_quotas; i++) {
		uint32_t kind = strtab_find(kinds, spec->quotas[i].kind);

		if (kind >= book->n_kinds)
			continue; /* STRTAB_NONE: no centre has that kind */
		p->nominal[kind] = spec->quotas[i].nominal_milli;
		p->borrowing[kind] = spec->quotas[i].borrowing_milli;
		p->lending[kind] = spec->quotas[i].lending_milli;
	}
}

static void list_members(struct quota_book *book)
{
	book->n_cohorts = book->cohorts.count;
	book->members = mem_new(book->n_cohorts, sizeof *book->members);
	book->n_members = mem_new(book->n_cohorts, sizeof *book->n_members);
	for (uint32_t i = 0; i < book->n_projects; i++) {
		uint32_t cohort = book->projects[i].cohort;

		if (cohort == NONE || !book->projects[i].bound)
			continue;
		book->members[cohort] = mem_resize(book->members[cohort], book->n_members[cohort] + 1, sizeof **book->members);
		book->members[cohort][book->n_members[cohort]++] = i;
	}
}

void quota_declare(struct quota_book *book, const struct pool_spec *spec, const struct strtab *kinds)
{
	clear(book);
	book->n_kinds = kinds->count;
	for (uint32_t i = 0; i < spec->n_projects; i++) {
		const struct project_spec *from = &spec->projects[i];
		uint32_t number = quota_project(book, from->name), parent = from->parent ? quota_project(book, from->parent) : NONE;
		struct quota_project *p = &book->projects[number];

		p->parent = parent;
		p->cohort = from->cohort ? strtab_add(&book->cohorts, from->cohort) : NONE;
		set_quotas(book, p, from, kinds);
	}
	list_members(book);
}

/* ---- What is held ---- */

void quota_hold(struct quota_book *book, uint32_t project, uint32_t kind, int64_t milli)
{
	for (uint32_t i = project; book->any && i != NONE; i = book->projects[i].parent) {
		struct quota_project *p = &book->projects[i];

		assert(kind < book->n_kinds);
		if (!p->held)
			p->held = mem_new(book->n_kinds, sizeof *p->held);
		p->held[kind] += (uint64_t)milli;
	}
}

static uint64_t held(const struct quota_project *p, uint32_t kind)
{
	return p->held ? p->held[kind] : 0;
}

static uint64_t lends(const struct quota_project *p, uint32_t kind)
{
	return p->lending[kind] < p->nominal[kind] ? p->lending[kind] : p->nominal[kind];
}

/* Of a project alone: its nominal, and what it may borrow at most. */
static bool over_own(const struct quota_book *book, uint32_t number, uint32_t kind, char *why, size_t size)
{
	const struct quota_project *p = &book->projects[number];
	uint64_t may_borrow = 0;

	for (uint32_t i = 0; p->cohort != NONE && i < book->n_members[p->cohort]; i++)
		if (book->members[p->cohort][i] != number)
			may_borrow += lends(&book->projects[book->members[p->cohort][i]], kind);
	if (may_borrow > p->borrowing[kind])
		may_borrow = p->borrowing[kind];
	if (held(p, kind) <= p->nominal[kind] + may_borrow)
		return false;
	snprintf(why, size,
	         "project %.60s holds %" PRIu64 " thousandths of kind %" PRIu32 ", over its nominal quota of %" PRIu64
	         " and the %" PRIu64 " that it may borrow",
	         strtab_name(&book->names, number), held(p, kind), kind, p->nominal[kind], may_borrow);
	return true;
}

/* Of its cohort: what all hold beyond what each keeps for itself. What a project keeps it may always have, even where the others
 * hold too much since quotas were declared smaller. */
static bool over_cohort(const struct quota_book *book, const struct quota_project *asks, uint32_t kind, char *why, size_t size)
{
	uint64_t taken = 0, lent = 0;
	uint32_t cohort = asks->cohort;

	for (uint32_t i = 0; i < book->n_members[cohort]; i++) {
		const struct quota_project *p = &book->projects[book->members[cohort][i]];
		uint64_t keeps = p->nominal[kind] - lends(p, kind);

		lent += lends(p, kind);
		taken += held(p, kind) > keeps ? held(p, kind) - keeps : 0;
	}
	if (taken <= lent || held(asks, kind) <= asks->nominal[kind] - lends(asks, kind))
		return false;
	snprintf(why, size,
	         "cohort %.60s: %" PRIu64 " thousandths of kind %" PRIu32 " are taken of %" PRIu64 " that its projects lend",
	         strtab_name(&book->cohorts, cohort), taken, kind, lent);
	return true;
}

bool quota_exceeded(const struct quota_book *book, uint32_t project, uint32_t kind, char *why, size_t size)
{
	for (uint32_t i = project; book->any && i != NONE; i = book->projects[i].parent) {
		const struct quota_project *p = &book->projects[i];

		if (!p->bound)
			continue;
		if (over_own(book, i, kind, why, size) || (p->cohort != NONE && over_cohort(book, p, kind, why, size)))
			return true;
	}
	return false;
}

/* Whether a project, or one above it, is of a cohort. */
static bool is_of_cohort(const struct quota_book *book, uint32_t project, uint32_t cohort)
{
	while (project != NONE && !(book->projects[project].bound && book->projects[project].cohort == cohort))
		project = book->projects[project].parent;
	return project != NONE;
}

static bool is_above(const struct quota_book *book, uint32_t above, uint32_t project)
{
	while (project != NONE && project != above)
		project = book->projects[project].parent;
	return project == above;
}

bool quota_is_borrowed_from(const struct quota_book *book, uint32_t victim, uint32_t winner, uint32_t kind)
{
	for (uint32_t i = victim; i != NONE; i = book->projects[i].parent) {
		const struct quota_project *p = &book->projects[i];

		if (p->bound && p->cohort != NONE && held(p, kind) > p->nominal[kind] && !is_above(book, i, winner) &&
		    is_of_cohort(book, winner, p->cohort))
			return true;
	}
	return false;
}

void quota_done(struct quota_book *book)
{
	clear(book);
	free(book->projects);
	strtab_done(&book->names);
	strtab_done(&book->cohorts);
	*book = (struct quota_book){0};
}
