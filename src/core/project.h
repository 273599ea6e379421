/* SPDX-License-Identifier: Apache-2.0
 * project.h: the tree of projects: whose turn it is (fair shares), and how much each may hold (quotas, cohorts).
 *
 * Knows projects and kinds by number, and amounts; nothing of jobs. A project exists as soon as its number is used; one that the
 * pool doesn't declare has weight 1, no parent and no quota. What a project holds counts for it and for all its ancestors.
 *
 * Fair share (as in DRF, Ghodsi et al. 2011, over time as in Slurm's multifactor plugin): the use of a resource is the amount
 * held, integrated over time and decayed with a half-life. The share of a project is the greatest of its uses, each as a part of
 * the pool's capacity, divided by its weight. Down the tree, the sibling with the smallest share is first.
 *
 * Quota (as in Kueue's cluster queues): see projects_fits. */
#ifndef SUAN_CORE_PROJECT_H
#define SUAN_CORE_PROJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/units.h"
#include "core/spec.h"

#define PROJECT_NONE UINT32_MAX

/* The pool's amount of each resource. AMOUNT_NONE or 0: that resource doesn't count in shares. */
struct project_capacity {
	const uint64_t *cards_milli; /* by number of kind */
	uint32_t n_kinds;            /* kinds from here on don't count */
	uint64_t cpus_milli, memory_mib;
};

struct projects;

struct projects *projects_new(void);
struct projects *projects_free(struct projects *projects);

/* Makes the tree, weights, quotas and cohorts anew from a spec that passed pool_check, and keeps what is held and was used.
 * names: the numbers of projects; those of the spec that are new are added, in its order. kinds: numbers of kinds; a quota for a
 * kind that isn't there is left out. half_life_us: 0, US_NEVER or over US_DURATION_MAX: use doesn't decay. now_us: not before any
 * instant given earlier; it matters only where the half-life changes. A weight of 0 counts as one thousandth.
 * Nothing is kept of the arguments. Cost: O(projects × resources that they ever held, and quotas). */
void projects_declare(struct projects *projects, const struct pool_spec *spec, struct strtab *names, const struct strtab *kinds,
                      const struct project_capacity *capacity, us_t half_life_us, us_t now_us);

/* Whether the pool declares any project, and this one. */
bool projects_any_declared(const struct projects *projects);
bool projects_is_declared(const struct projects *projects, uint32_t project);
uint32_t projects_parent(const struct projects *projects, uint32_t project); /* PROJECT_NONE: none */
uint32_t projects_weight_milli(const struct projects *projects, uint32_t project);

/* ---- What is held ---- */

/* What starts or ends being held. kind: KIND_NONE where cards_milli is 0. Each sum over the pool stays below 2^55. */
struct project_amount {
	uint32_t kind;
	uint64_t cards_milli, cpus_milli, memory_mib;
};

/* A job of the project takes an amount, or gives it back. now_us: never before that of an earlier call, nor before 1970.
 * Taking isn't bound by quota: whoever decides asks projects_fits first.
 * Cost: O(depth × log of the resources that a project ever held); O(all) once in 8 half-lives. */
void projects_take(struct projects *projects, uint32_t project, const struct project_amount *amount, us_t now_us);
void projects_give(struct projects *projects, uint32_t project, const struct project_amount *amount, us_t now_us);
/* As projects_take, for what was held before projects_save: the use that was loaded knows of it already. Nobody has ranked yet.
 */
void projects_hold_again(struct projects *projects, uint32_t project, const struct project_amount *amount);

/* Says that it is so late now. It saves work for what follows at the same instant, and changes no result. */
void projects_reach(struct projects *projects, us_t now_us);

/* The other way round, for a question: until projects_hold_again the amount doesn't count as held, and nothing of what was used
 * changes. Rankings that are kept aren't told: nobody ranks with one meanwhile. */
void projects_set_aside(struct projects *projects, uint32_t project, const struct project_amount *amount);

/* Thousandths of cards of a kind that the project and all below it hold. */
uint64_t projects_held_milli(const struct projects *projects, uint32_t project, uint32_t kind);

/* ---- Fair shares ---- */

/* What one call of projects_rank leaves for the next; all zero is an empty one. It saves work and changes no result. */
struct project_ranking {
	uint32_t *list;                /* the projects that were ranked, */
	struct ranked *order;          /* and in order */
	uint32_t n, cap;               /* of both */
	uint32_t *place_of, n_place;   /* by project; all 0 between calls */
	uint64_t period, growth;       /* the moment */
	uint64_t remade, changed_seen; /* of the tree's changes: those that the order has */
};

/* Ranks listed projects (those in which jobs wait; each at most once) at an instant: ret_ranks[i] of list[i], from 0, the
 * smallest share first; equal ranks where nothing tells two apart.
 * Two projects compare by the shares of the two children of their deepest common ancestor on their ways down. A project's own
 * jobs are one more child of it where it has children, of weight 1. Where those shares are equal, the next ones down are
 * compared, where there is none as 0; so all are equal while nobody has used anything.
 * now_us: not before the latest take or give. ranking: of the same tree, or NULL; not shared between threads.
 * Returns whether the list or any rank isn't what it was when it last ranked with this ranking: where false, ret_ranks isn't
 * written. Cost: O(n), and O(log n × depth × resources) for each of those that took or gave, came, or passed another since;
 * without a ranking, or where the tree was declared anew or a half-life is over, O(n log n × depth × resources). */
bool projects_rank(const struct projects *projects, us_t now_us, const uint32_t *list, uint32_t n,
                   struct project_ranking *ranking, uint32_t *ret_ranks);
void project_ranking_done(struct project_ranking *ranking);
/* Aborts where the order that is kept isn't that from nothing; it can't be told once somebody took or gave. Cost: O(all). */
void project_ranking_check(const struct projects *projects, const struct project_ranking *ranking);

/* The share of a project (with all below it) at an instant, its weight counted: as microseconds for which it would have held the
 * pool's whole capacity. Divided by projects_unit_us it is the part of the pool that it held lately. Saturates at US_NEVER. */
us_t projects_share_us(const struct projects *projects, uint32_t project, us_t now_us);
/* The decayed use of whoever held the whole pool for ever: half-life / ln 2; US_NEVER where use doesn't decay. */
us_t projects_unit_us(const struct projects *projects);
/* The decayed use of cards of a kind by a project and all below it, in thousandths of card-hours. */
uint64_t projects_used_milli_hours(const struct projects *projects, uint32_t project, uint32_t kind, us_t now_us);

/* ---- Quota ---- */

/* In order of how little can be done about it. */
enum quota_verdict {
	QUOTA_OK,
	QUOTA_KIND,    /* a project with quotas doesn't list that kind */
	QUOTA_NOMINAL, /* over its nominal and what it may ever borrow */
	QUOTA_COHORT   /* the others of its cohort hold what it would need */
};

/* The numbers of one project and kind; thousandths of a card. Without a cohort the cohort's are the project's own. */
struct quota_view {
	uint32_t project;         /* PROJECT_NONE: no project on the path has quotas */
	uint64_t used_milli;      /* it and all below it */
	uint64_t nominal_milli;   /* 0 where it doesn't list the kind */
	uint64_t borrowing_milli; /* what it may borrow at most: by its limit and by what the others lend */
	uint64_t lent_milli;      /* of its nominal, unused by it, what it can't have now since others of its cohort hold it */
	uint64_t cohort_used_milli, cohort_nominal_milli;
};

/* Whether `milli` thousandths of a card of a kind may be taken now by a job of the project. Asked of the project and each
 * ancestor that has quotas (one without is unlimited); used counts all below. For each such project p, in its cohort c:
 *   lendable(p) = min(nominal, lending limit), kept(p) = nominal − lendable
 *   used + milli ≤ nominal + min(borrowing limit, Σ lendable of the others)           else QUOTA_NOMINAL
 *   Σ over c of max(0, used − kept), `milli` counted in ≤ Σ over c of lendable        else QUOTA_COHORT
 * from which follows Σ used ≤ Σ nominal. What a project keeps is never refused by the second. Without a cohort it can't borrow.
 * why: NULL, or filled with the project that refuses: the first verdict of the enum, the nearest to `project`; where all is well,
 * with the nearest that has quotas. Nothing of 0 is refused. Cost: O(depth × log of kinds). */
enum quota_verdict projects_fits(const struct projects *projects, uint32_t project, uint32_t kind, uint64_t milli,
                                 struct quota_view *why);
/* The same while nobody holds anything: QUOTA_OK, QUOTA_KIND or QUOTA_NOMINAL. */
enum quota_verdict projects_ever_fits(const struct projects *projects, uint32_t project, uint32_t kind, uint64_t milli,
                                      struct quota_view *why);

/* Whether it is refused by QUOTA_COHORT alone, and each project that refuses would still be within its own nominal: then what
 * others borrowed may be taken back for it. */
bool projects_may_reclaim(const struct projects *projects, uint32_t project, uint32_t kind, uint64_t milli);
/* Whether with so much more it would hold no more than its own nominal, and so each above it that has quotas. */
bool projects_owns(const struct projects *projects, uint32_t project, uint32_t kind, uint64_t milli);
/* What a project itself holds over its nominal; 0 where it has no quotas. */
uint64_t projects_borrows(const struct projects *projects, uint32_t project, uint32_t kind);
/* Below 0, 0 or above: a is less, as much, or more over its share than b, by borrowed / nominal; with a nominal of 0 by far the
 * most (two such: by what they borrowed), with nothing borrowed the least. */
int projects_over_share(const struct projects *projects, uint32_t a, uint32_t b, uint32_t kind);
/* Whether both have quotas and are of one cohort; also true of one and itself. */
bool projects_same_cohort(const struct projects *projects, uint32_t a, uint32_t b);
/* Whether the same project's quotas are the nearest that bound both; false where nothing does. */
bool projects_share_quota(const struct projects *projects, uint32_t a, uint32_t b);
/* The nearest on the path from `project` up that is of one cohort with `member` and isn't `member`: of whom a job of `project`
 * holds what `member` may want back. PROJECT_NONE where there is none. */
uint32_t projects_cohort_fellow(const struct projects *projects, uint32_t member, uint32_t project);

/* Grows whenever something is given back, or declared, that could let a job of the project pass where projects_fits refused it.
 * A memo, no state: not saved. Cost: O(projects with quotas on the path). */
uint64_t projects_relieved(const struct projects *projects, uint32_t project);
/* Whether no quota and no cohort is exceeded: what holds for ever where each take was asked for, until one is declared smaller.
 * Cost: O(all). */
bool projects_within_quotas(const struct projects *projects);

/* ---- As bytes ---- */

/* Decayed use, and nothing that follows from the spec or from what is held. The same state gives the same bytes. */
void projects_save(const struct projects *projects, struct buf *buf);
/* Into a tree that was declared with the same half-life, before projects_hold_again. n_projects, n_kinds: numbers that there
 * are. Returns 0, or ERR_CORRUPT, after which the tree is good for projects_free alone. */
int projects_load(struct projects *projects, struct reader *r, uint32_t n_projects, uint32_t n_kinds);

/* Aborts where what is kept to be quick differs from what it follows from. Cost: O(all). */
void projects_check(const struct projects *projects);

#endif
