/* SPDX-License-Identifier: Apache-2.0
 * quota.h: the plan checker's own books of projects: who holds how many cards of each kind, and how many each may.
 *
 * Written from Kueue's rules for cluster queues, and sharing nothing with the core's: sums are added up anew for each question.
 * Amounts are thousandths of cards. A project exists as soon as it is named; one without quotas is bound by none. */
#ifndef SUAN_SIM_QUOTA_H
#define SUAN_SIM_QUOTA_H

#include "base/map.h"
#include "core/spec.h"

struct quota_project {
	uint32_t parent;                         /* UINT32_MAX: none */
	uint32_t cohort;                         /* UINT32_MAX: none */
	bool bound;                              /* it has quotas, and 0 of what they don't list */
	uint64_t *nominal, *borrowing, *lending; /* by kind; NULL where it isn't bound */
	uint64_t *held;                          /* by kind, by it and all below it; NULL: nothing ever */
};

/* All zero: no project. */
struct quota_book {
	struct strtab names, cohorts;
	struct quota_project *projects;
	uint32_t n_projects, projects_cap;
	uint32_t **members, *n_members; /* by cohort: its projects with quotas */
	uint32_t n_kinds, n_cohorts;
	bool any; /* some project has quotas: nothing else needs to be asked */
};

/* Makes the tree anew as the pool declares it, with nothing held. kinds: numbers of kinds. */
void quota_declare(struct quota_book *book, const struct pool_spec *spec, const struct strtab *kinds);
/* The number of a project, new or not. */
uint32_t quota_project(struct quota_book *book, const char *name);

/* A job of the project holds so much more, or, below 0, less. kind: of `kinds`. Cost: O(depth). */
void quota_hold(struct quota_book *book, uint32_t project, uint32_t kind, int64_t milli);

/* Whether what is held now is more of a kind than the project, or one above it, may have; then `why` says so. size: of `why`.
 * Cost: O(depth × projects of a cohort). */
bool quota_exceeded(const struct quota_book *book, uint32_t project, uint32_t kind, char *why, size_t size);

/* Whether a job of `victim` holds cards of a kind that its project, or one above it, borrowed in a cohort that `winner`, or one
 * above that, is of too. */
bool quota_is_borrowed_from(const struct quota_book *book, uint32_t victim, uint32_t winner, uint32_t kind);

void quota_done(struct quota_book *book);

#endif
