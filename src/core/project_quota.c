/* SPDX-License-Identifier: Apache-2.0
 * project_quota.c: how much each project may hold: quotas, cohorts, borrowing; see project.h.
 *
 * A project with quotas and without a cohort is the only one of a cohort of its own. A cohort keeps a line for each kind: what
 * its projects bring (nominal, lendable), what they hold, and how much of that is over what each keeps for itself (shared). In
 * each line lendable <= nominal and shared <= used; and as long as shared <= lendable, used <= nominal. */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "core/project_inside.h"

#define QUOTA_MAX (UINT64_C(1) << 48) /* more is as good as this: sums stay in 64 bits */

/* ---- Lookups ---- */

/* Quotas and cohorts' lines begin with their kind, and are sorted by it. */
static int compare_kind(const void *kind, const void *row)
{
	uint32_t a = *(const uint32_t *)kind, b = *(const uint32_t *)row;

	return a < b ? -1 : a > b;
}

static const struct quota *quota_of(const struct project *project, uint32_t kind)
{
	return project->n_quotas ? bsearch(&kind, project->quotas, project->n_quotas, sizeof *project->quotas, compare_kind) : NULL;
}

/* What a project has of a kind that it doesn't list. */
static struct quota quota_or_none(const struct project *project, uint32_t kind)
{
	const struct quota *quota = quota_of(project, kind);

	return quota ? *quota : (struct quota){.kind = kind};
}

static struct cohort_line *line_of(const struct cohort *cohort, uint32_t kind)
{
	return cohort->n_lines ? bsearch(&kind, cohort->lines, cohort->n_lines, sizeof *cohort->lines, compare_kind) : NULL;
}

static uint64_t over(uint64_t amount, uint64_t bound)
{
	return amount > bound ? amount - bound : 0;
}

static uint64_t kept_of(const struct project *project, uint32_t kind)
{
	struct quota quota = quota_or_none(project, kind);

	return quota.nominal - quota.lendable;
}

/* ---- What a cohort counts ---- */

void cohorts_count(struct projects *p, const struct project *project, uint32_t kind, uint64_t before, uint64_t after)
{
	struct cohort_line *line = line_of(&p->cohorts[project->cohort], kind);
	uint64_t kept;

	if (!line) /* nobody there lists the kind */
		return;
	kept = kept_of(project, kind);
	line->used += after - before;
	line->shared += over(after, kept) - over(before, kept);
}

void cohorts_clear(struct projects *p)
{
	for (uint32_t i = 0; i < p->n_cohorts; i++)
		for (uint32_t k = 0; k < p->cohorts[i].n_lines; k++)
			p->cohorts[i].lines[k].used = p->cohorts[i].lines[k].shared = 0;
}

void cohorts_relieve(struct projects *p, uint32_t project)
{
	for (uint32_t n = guarded_of(p, project); n != PROJECT_NONE; n = guarded_above(p, n))
		p->cohorts[p->project[n].cohort].relieved++;
}

uint64_t projects_relieved(const struct projects *p, uint32_t project)
{
	uint64_t relieved = p->relieved;

	for (uint32_t n = guarded_of(p, project); n != PROJECT_NONE; n = guarded_above(p, n))
		relieved += p->cohorts[p->project[n].cohort].relieved;
	return relieved;
}

/* ---- Verdicts ---- */

/* What a project may borrow at most: by its limit, and by what the others lend. */
static uint64_t borrowing_of(const struct quota *quota, const struct cohort_line *line)
{
	uint64_t lent = line->lendable - quota->lendable;

	return quota->borrowing < lent ? quota->borrowing : lent;
}

/* Whether a project with quotas refuses `milli` more on top of what is used. used: by it; line: of its cohort, as it is then. */
static enum quota_verdict refuses(const struct quota *quota, const struct cohort_line *line, uint64_t used, uint64_t milli)
{
	uint64_t kept = quota->nominal - quota->lendable;

	if ((u128)used + milli > (u128)quota->nominal + borrowing_of(quota, line))
		return QUOTA_NOMINAL;
	if (line->shared - over(used, kept) + over(used + milli, kept) > line->lendable)
		return over(used + milli, kept) > 0 ? QUOTA_COHORT : QUOTA_OK; /* what it keeps is its own, whatever the others hold */
	return QUOTA_OK;
}

/* The verdict of one project with quotas. empty: as if nobody held anything. */
static enum quota_verdict verdict_of(const struct projects *p, uint32_t guarded, uint32_t kind, uint64_t milli, bool empty)
{
	const struct project *project = &p->project[guarded];
	const struct quota *quota = quota_of(project, kind);
	struct cohort_line line;

	if (!quota)
		return QUOTA_KIND;
	line = *line_of(&p->cohorts[project->cohort], kind);
	if (empty)
		line.shared = 0;
	return refuses(quota, &line, empty ? 0 : projects_held_milli(p, guarded, kind), milli);
}

static uint64_t lent_of(const struct quota *quota, const struct cohort_line *line, uint64_t used)
{
	uint64_t to_be_had = over(quota->nominal - quota->lendable, used) + over(line->lendable, line->shared);

	return over(over(quota->nominal, used), to_be_had);
}

static struct quota_view view_of(const struct projects *p, uint32_t guarded, uint32_t kind, bool empty)
{
	const struct project *project;
	struct quota_view view = {.project = guarded};
	struct cohort_line line = {0}, *of_cohort;
	struct quota quota;

	if (guarded == PROJECT_NONE)
		return view;
	project = &p->project[guarded];
	quota = quota_or_none(project, kind);
	of_cohort = line_of(&p->cohorts[project->cohort], kind);
	if (of_cohort)
		line = *of_cohort;
	if (empty)
		line.shared = line.used = 0;
	view.used_milli = empty ? 0 : projects_held_milli(p, guarded, kind);
	view.nominal_milli = quota.nominal;
	view.borrowing_milli = quota_of(project, kind) ? borrowing_of(&quota, &line) : 0;
	view.lent_milli = lent_of(&quota, &line, view.used_milli);
	view.cohort_used_milli = line.used;
	view.cohort_nominal_milli = line.nominal;
	return view;
}

static enum quota_verdict fits(const struct projects *p, uint32_t project, uint32_t kind, uint64_t milli, bool empty,
                               struct quota_view *why)
{
	enum quota_verdict worst = QUOTA_OK;
	uint32_t by = guarded_of(p, project);

	for (uint32_t n = by; n != PROJECT_NONE && kind != KIND_NONE && milli > 0; n = guarded_above(p, n)) {
		enum quota_verdict verdict = verdict_of(p, n, kind, milli, empty);

		if (verdict == QUOTA_OK || (worst != QUOTA_OK && worst <= verdict))
			continue;
		worst = verdict;
		by = n;
	}
	if (why)
		*why = view_of(p, by, kind, empty);
	return worst;
}

enum quota_verdict projects_fits(const struct projects *p, uint32_t project, uint32_t kind, uint64_t milli,
                                 struct quota_view *why)
{
	return fits(p, project, kind, milli, false, why);
}

enum quota_verdict projects_ever_fits(const struct projects *p, uint32_t project, uint32_t kind, uint64_t milli,
                                      struct quota_view *why)
{
	return fits(p, project, kind, milli, true, why);
}

bool projects_may_reclaim(const struct projects *p, uint32_t project, uint32_t kind, uint64_t milli)
{
	if (projects_fits(p, project, kind, milli, NULL) != QUOTA_COHORT)
		return false;
	for (uint32_t n = guarded_of(p, project); n != PROJECT_NONE; n = guarded_above(p, n)) {
		struct quota quota = quota_or_none(&p->project[n], kind);

		if (verdict_of(p, n, kind, milli, false) == QUOTA_COHORT && projects_held_milli(p, n, kind) + milli > quota.nominal)
			return false;
	}
	return true;
}

bool projects_owns(const struct projects *p, uint32_t project, uint32_t kind, uint64_t milli)
{
	for (uint32_t n = guarded_of(p, project); n != PROJECT_NONE; n = guarded_above(p, n))
		if (projects_held_milli(p, n, kind) + milli > quota_or_none(&p->project[n], kind).nominal)
			return false;
	return true;
}

uint64_t projects_borrows(const struct projects *p, uint32_t project, uint32_t kind)
{
	const struct project *of = project_of(p, project);

	return of->n_quotas ? over(projects_held_milli(p, project, kind), quota_or_none(of, kind).nominal) : 0;
}

int projects_over_share(const struct projects *p, uint32_t a, uint32_t b, uint32_t kind)
{
	uint64_t x = projects_borrows(p, a, kind), y = projects_borrows(p, b, kind);
	uint64_t of_a = quota_or_none(project_of(p, a), kind).nominal, of_b = quota_or_none(project_of(p, b), kind).nominal;
	u128 left = (u128)x * of_b, right = (u128)y * of_a;

	if (x == 0 || y == 0 || (of_a == 0 && of_b == 0))
		return (x > y) - (x < y);
	return (left > right) - (left < right); /* where one's nominal is 0, the other's product is */
}

bool projects_same_cohort(const struct projects *p, uint32_t a, uint32_t b)
{
	uint32_t cohort = project_of(p, a)->cohort;

	return cohort != PROJECT_NONE && cohort == project_of(p, b)->cohort;
}

bool projects_share_quota(const struct projects *p, uint32_t a, uint32_t b)
{
	return guarded_of(p, a) != PROJECT_NONE && guarded_of(p, a) == guarded_of(p, b);
}

uint32_t projects_cohort_fellow(const struct projects *p, uint32_t member, uint32_t project)
{
	for (uint32_t n = guarded_of(p, project); n != PROJECT_NONE; n = guarded_above(p, n))
		if (n != member && projects_same_cohort(p, n, member))
			return n;
	return PROJECT_NONE;
}

static bool within_quotas(const struct projects *p, uint32_t project)
{
	const struct account *total = &p->project[project].total;

	for (uint32_t i = account_place(total, RESOURCE_KINDS); i < total->n; i++) {
		uint32_t kind = total->uses[i].resource - RESOURCE_KINDS;

		if (total->uses[i].held > 0 && verdict_of(p, project, kind, 0, false) != QUOTA_OK)
			return false;
	}
	return true;
}

bool projects_within_quotas(const struct projects *p)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (p->project[i].n_quotas > 0 && !within_quotas(p, i))
			return false;
	return true;
}

/* ---- The declaration ---- */

static void add_quota(struct project *project, const struct quota_spec *spec, uint32_t kind)
{
	struct quota quota = {.kind = kind, .nominal = cut(spec->nominal_milli, QUOTA_MAX), .borrowing = spec->borrowing_milli};
	uint32_t at = project->n_quotas;

	quota.lendable = cut(spec->lending_milli, quota.nominal);
	mem_grow((void **)&project->quotas, &project->quotas_cap, project->n_quotas, sizeof *project->quotas);
	for (; at > 0 && project->quotas[at - 1].kind > kind; at--)
		project->quotas[at] = project->quotas[at - 1];
	project->quotas[at] = quota;
	project->n_quotas++;
}

/* A project whose quotas are all for kinds that aren't there has one of 0 for a kind that nobody has: it isn't unlimited. */
void quotas_declare(struct project *project, const struct project_spec *spec, const struct strtab *kinds)
{
	for (uint32_t i = 0; i < spec->n_quotas; i++) {
		uint32_t kind = strtab_find(kinds, spec->quotas[i].kind);

		if (kind != STRTAB_NONE && !quota_of(project, kind))
			add_quota(project, &spec->quotas[i], kind);
	}
	if (spec->n_quotas > 0 && project->n_quotas == 0)
		add_quota(project, &(struct quota_spec){0}, KIND_NONE);
}

static void bring_into_cohort(struct cohort *cohort, const struct quota *quota)
{
	struct cohort_line *line = line_of(cohort, quota->kind);

	if (!line) {
		uint32_t at = cohort->n_lines;

		mem_grow((void **)&cohort->lines, &cohort->cap, cohort->n_lines, sizeof *cohort->lines);
		for (; at > 0 && cohort->lines[at - 1].kind > quota->kind; at--)
			cohort->lines[at] = cohort->lines[at - 1];
		line = &cohort->lines[at];
		*line = (struct cohort_line){.kind = quota->kind};
		cohort->n_lines++;
	}
	line->nominal += quota->nominal;
	line->lendable += quota->lendable;
}

/* The numbers of cohorts: those with names first, as they come, then one each for those without. */
void cohorts_declare(struct projects *p, const struct pool_spec *spec, const struct strtab *names)
{
	struct strtab cohorts = {0};
	uint32_t n;

	for (uint32_t i = 0; i < spec->n_projects; i++)
		if (spec->projects[i].cohort && spec->projects[i].n_quotas)
			p->project[strtab_find(names, spec->projects[i].name)].cohort = strtab_add(&cohorts, spec->projects[i].cohort);
	n = cohorts.count;
	strtab_done(&cohorts);
	for (uint32_t i = 0; i < p->n; i++)
		if (p->project[i].n_quotas && p->project[i].cohort == PROJECT_NONE)
			p->project[i].cohort = n++;
	p->n_cohorts = n;
	p->cohorts = mem_new(n, sizeof *p->cohorts);
	for (uint32_t i = 0; i < p->n; i++)
		for (uint32_t k = 0; k < p->project[i].n_quotas; k++)
			bring_into_cohort(&p->cohorts[p->project[i].cohort], &p->project[i].quotas[k]);
}

void cohorts_free(struct projects *p)
{
	for (uint32_t i = 0; i < p->n_cohorts; i++) {
		p->relieved += p->cohorts[i].relieved;
		free(p->cohorts[i].lines);
	}
	free(p->cohorts);
	p->cohorts = NULL;
	p->n_cohorts = 0;
}

/* ---- Checks ---- */

static void check_cohort(const struct projects *p, uint32_t cohort)
{
	for (uint32_t k = 0; k < p->cohorts[cohort].n_lines; k++) {
		const struct cohort_line *line = &p->cohorts[cohort].lines[k];
		uint64_t nominal = 0, lendable = 0, used = 0, shared = 0;

		for (uint32_t i = 0; i < p->n; i++) {
			struct quota quota = quota_or_none(&p->project[i], line->kind);
			uint64_t held = line->kind == KIND_NONE ? 0 : projects_held_milli(p, i, line->kind);

			if (p->project[i].cohort != cohort)
				continue;
			nominal += quota.nominal;
			lendable += quota.lendable;
			used += held;
			shared += over(held, quota.nominal - quota.lendable);
		}
		assert(line->nominal == nominal);
		assert(line->lendable == lendable && lendable <= nominal);
		assert(line->used == used);
		assert(line->shared == shared && shared <= used);
		assert(shared > lendable || used <= nominal);
	}
}

void cohorts_check(const struct projects *p)
{
	for (uint32_t i = 0; i < p->n_cohorts; i++)
		check_cohort(p, i);
}
