/* SPDX-License-Identifier: Apache-2.0
 * project_inside.h: what the files of the tree of projects share; nobody else includes it.
 *
 *   project.c        the tree, as the pool declares it
 *   project_use.c    what each project holds, and its decayed use
 *   project_share.c  shares, and the order of projects by them
 *   project_order.c  that order, kept from one instant to the next
 *   project_quota.c  quotas and cohorts
 *
 * What each project itself holds and used (`own`) is the state, and so are `half_life_us` and `period`; what was declared follows
 * from the pool, and sums over subtrees and cohorts from both. */
#ifndef SUAN_CORE_PROJECT_INSIDE_H
#define SUAN_CORE_PROJECT_INSIDE_H

#include "base/wide.h"
#include "core/event.h"
#include "core/project.h"

enum {
	WEIGHT_BITS = 52, /* of 1 / weight */
	RESOURCE_CPUS_MILLI = 0,
	RESOURCE_MEMORY_MIB = 1,
	RESOURCE_KINDS = 2, /* and the kind's number */
	PROJECT_NUMBERS_MAX = 1 << 24,
	SHARE_BITS = 65,   /* of a part of the pool */
	CHANGED_KEPT = 64, /* whoever looks later than after so many changes takes it that all changed */
};

/* What an account holds and has used of one resource. */
struct use {
	uint32_t resource;
	uint64_t held;
	i128 base;
};

/* Uses by resource, ascending. */
struct account {
	struct use *uses;
	uint32_t n, cap;
};

struct quota {
	uint32_t kind;
	uint64_t nominal, borrowing, lendable;
};

/* One kind in a cohort. */
struct cohort_line {
	uint32_t kind;
	uint64_t nominal, lendable;
	uint64_t used, shared; /* shared: the sum of what each holds over what it keeps */
};

struct cohort {
	struct cohort_line *lines; /* by kind, ascending */
	uint32_t n_lines, cap;
	uint64_t relieved;
};

/* What ranking reads comes first: it fits one line of a cache. */
struct project {
	uint32_t parent, depth, n_children;
	uint32_t guarded; /* the nearest with quotas, from itself up; PROJECT_NONE */
	uint64_t weight_inverse;
	struct account total, own; /* total: with all below it */
	bool declared;
	uint32_t weight_milli;
	uint32_t cohort;      /* PROJECT_NONE where it has no quotas */
	struct quota *quotas; /* by kind, ascending; n_quotas 0: unlimited */
	uint32_t n_quotas, quotas_cap;
};

/* 1 / capacity, as a product and a shift. */
struct inverse {
	uint64_t factor; /* 0: that resource doesn't count */
	uint32_t shift;  /* below 64, as compilers are told, to which a longer one is a case of its own */
};

/* An instant as the scale of uses: G = growth · 2^period. */
struct moment {
	uint64_t period, growth;
};

struct projects {
	struct project *project; /* by number */
	uint32_t n, cap;
	uint32_t n_declared;
	struct cohort *cohorts;
	uint32_t n_cohorts;
	struct inverse *inverses; /* by resource */
	uint32_t n_inverses;
	us_t half_life_us;  /* US_NEVER: no decay */
	uint64_t period;    /* of all bases */
	uint64_t relieved;  /* what the cohorts before the latest declaration counted */
	struct moment last; /* a memo: the latest instant that was reached; growth 0: none */
	us_t last_us;
	/* For orders that are kept: whose accounts changed lately, each change by its count; how often all were made anew. */
	uint32_t changed[CHANGED_KEPT];
	uint64_t n_changed, remade;
};

/* The lesser of two. */
static inline uint64_t cut(u128 value, uint64_t most)
{
	return value < most ? (uint64_t)value : most;
}

/* ---- The tree ---- */

/* One that isn't there: without use, parent or quotas. */
extern const struct project project_nobody;

static inline uint64_t inverse_weight(uint32_t weight_milli)
{
	return ((uint64_t)1000 << WEIGHT_BITS) / (weight_milli ? weight_milli : 1);
}

static inline const struct project *project_of(const struct projects *p, uint32_t project)
{
	return project < p->n ? &p->project[project] : &project_nobody;
}

static inline uint32_t guarded_of(const struct projects *p, uint32_t project)
{
	return project_of(p, project)->guarded;
}

/* The next with quotas above one that has some. */
static inline uint32_t guarded_above(const struct projects *p, uint32_t guarded)
{
	uint32_t parent = p->project[guarded].parent;

	return parent == PROJECT_NONE ? PROJECT_NONE : p->project[parent].guarded;
}

/* Makes the numbers up to this one exist. */
void projects_grow(struct projects *projects, uint32_t project);

/* ---- Uses (project_use.c) ---- */

struct moment moment_at(us_t half_life_us, us_t now_us);
/* The same of a tree's half-life; at once for the instant that was reached last. */
struct moment moment_of(const struct projects *projects, us_t now_us);
/* From the period of the bases to that of a moment; at most 127. */
uint32_t periods_since(const struct projects *projects, const struct moment *at);

/* Where a resource stands among the uses, or would. Cost: O(log n). */
uint32_t account_place(const struct account *account, uint32_t resource);

/* A at a moment, so many periods after that of the bases: floor(A / 2^periods). A shift of what is below 0 rounds down too, with
 * each compiler that we build with. */
static inline u128 use_at(const struct use *use, uint32_t periods, uint64_t growth)
{
	i128 value = (periods ? use->base >> periods : use->base) + (i128)((u128)use->held * growth);

	return value > 0 ? (u128)value : 0;
}

/* A value on the scale of a moment as amount × microseconds. */
u128 use_amount_us(const struct projects *projects, const struct moment *at, u128 value);
/* value · numerator / denominator, rounded down, at most 2^121. denominator: 1 to 2^63. */
u128 use_scale(u128 value, uint64_t numerator, uint64_t denominator);

/* Makes the sums over subtrees and cohorts anew from what each project itself holds and used. */
void uses_sum(struct projects *projects);
/* Puts every use on the scale of another half-life: what was used stays what it is now, and decays differently from now on. The
 * sums are made by uses_sum. */
void uses_change_half_life(struct projects *projects, us_t half_life_us, us_t now_us);
void uses_check(const struct projects *projects);

/* ---- Shares (project_share.c) ---- */

/* What shares are parts of. */
void shares_declare(struct projects *projects, const struct project_capacity *capacity);

/* A use as a part of the pool, before it is cut off: floor(A · factor / 2^(64 + shift)). */
static inline u128 use_part(const struct use *use, const struct inverse *inverse, uint32_t periods, uint64_t growth)
{
	u128 value = use_at(use, periods, growth);

	return ((value >> 64) * inverse->factor + ((u128)(uint64_t)value * inverse->factor >> 64)) >> (inverse->shift & 63);
}

static inline u128 part_cut(u128 part)
{
	return part < (u128)1 << SHARE_BITS ? part : (u128)1 << SHARE_BITS;
}

/* Ranks projects from nothing, as projects_rank says. */
void projects_rank_all(const struct projects *projects, const struct moment *at, const uint32_t *list, uint32_t n,
                       uint32_t *ret_ranks);

/* ---- Quotas and cohorts (project_quota.c) ---- */

/* Gives a project that has none its quotas, of the kinds that there are. */
void quotas_declare(struct project *project, const struct project_spec *spec, const struct strtab *kinds);
/* Makes the cohorts of all projects whose quotas were declared. Nothing is counted in them yet: uses_sum. */
void cohorts_declare(struct projects *projects, const struct pool_spec *spec, const struct strtab *names);
void cohorts_free(struct projects *projects);
/* A project with quotas comes from holding `before` to holding `after` of a kind. */
void cohorts_count(struct projects *projects, const struct project *project, uint32_t kind, uint64_t before, uint64_t after);
/* Nothing is used of any cohort. */
void cohorts_clear(struct projects *projects);
/* Something was given back: see projects_relieved. */
void cohorts_relieve(struct projects *projects, uint32_t project);
void cohorts_check(const struct projects *projects);

#endif
