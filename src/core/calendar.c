/* SPDX-License-Identifier: Apache-2.0
 * calendar.c: a profile of claims as a tree of steps; see calendar.h.
 *
 * A step is an instant and the change of what is claimed there. Each node of the tree also holds, for its part, the sum
 * of the changes, and the greatest and least sum of a prefix of them; so the next instant at which the profile rises
 * over a level, or falls to it, is found by one descent.
 *
 * Invariants: instants are distinct and after folded_us; a step whose change is 0 is kept only while claims name it. */
#include "core/calendar.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "core/spec.h"

struct step_node {
	struct tree_node node;
	us_t at_us;
	uint32_t claims; /* ends of claims that lie here */
	int64_t change;
	int64_t sum, most, least; /* over this node's part; most and least of its non-empty prefixes */
};

static struct step_node *step_of(const struct tree_node *node)
{
	return tree_entry(node, struct step_node, node);
}

static int compare_steps(const struct tree_node *a, const struct tree_node *b)
{
	us_t x = step_of(a)->at_us, y = step_of(b)->at_us;

	return x < y ? -1 : x > y;
}

static void update_step(struct tree_node *node)
{
	struct step_node *step = step_of(node);
	const struct step_node *left = node->left ? step_of(node->left) : NULL, *right = node->right ? step_of(node->right) : NULL;
	int64_t here = (left ? left->sum : 0) + step->change;

	step->sum = here + (right ? right->sum : 0);
	step->most = here;
	step->least = here;
	if (left && left->most > step->most)
		step->most = left->most;
	if (left && left->least < step->least)
		step->least = left->least;
	if (right && here + right->most > step->most)
		step->most = here + right->most;
	if (right && here + right->least < step->least)
		step->least = here + right->least;
}

static struct step_node *find_step(const struct calendar *calendar, us_t at_us)
{
	struct tree_node *node = calendar->steps.root;

	while (node && step_of(node)->at_us != at_us)
		node = at_us < step_of(node)->at_us ? node->left : node->right;
	return node ? step_of(node) : NULL;
}

/* Changes what is claimed from an instant on. ends: 1 where an end of a claim comes to lie there, −1 where one goes. */
static void change_at(struct calendar *calendar, us_t at_us, int64_t change, int ends)
{
	struct step_node *step;

	if (at_us == US_NEVER)
		return;
	if (at_us <= calendar->folded_us) {
		calendar->base += change;
		return;
	}
	step = find_step(calendar, at_us);
	if (!step) {
		assert(ends > 0);
		calendar->steps.compare = compare_steps;
		calendar->steps.update = update_step;
		step = mem_new(1, sizeof *step);
		step->at_us = at_us;
		step->change = change;
		step->claims = 1;
		tree_insert(&calendar->steps, &step->node, (uint64_t)at_us);
		return;
	}
	step->change += change;
	step->claims += (uint32_t)ends;
	if (step->claims) {
		tree_updated(&calendar->steps, &step->node);
		return;
	}
	assert(step->change == 0);
	tree_remove(&calendar->steps, &step->node);
	free(step);
}

void calendar_add(struct calendar *calendar, uint64_t amount, us_t from_us, us_t until_us)
{
	assert(from_us < until_us);
	change_at(calendar, from_us, (int64_t)amount, 1);
	change_at(calendar, until_us, -(int64_t)amount, 1);
}

void calendar_remove(struct calendar *calendar, uint64_t amount, us_t from_us, us_t until_us)
{
	change_at(calendar, from_us, -(int64_t)amount, -1);
	change_at(calendar, until_us, (int64_t)amount, -1);
}

void calendar_fold(struct calendar *calendar, us_t until_us)
{
	struct tree_node *node;

	if (until_us <= calendar->folded_us)
		return;
	while ((node = tree_first(&calendar->steps)) && step_of(node)->at_us <= until_us) {
		calendar->base += step_of(node)->change;
		tree_remove(&calendar->steps, node);
		free(step_of(node));
	}
	calendar->folded_us = until_us;
}

int64_t calendar_claimed(const struct calendar *calendar, us_t at_us)
{
	int64_t sum = calendar->base;

	for (const struct tree_node *node = calendar->steps.root; node;) {
		if (step_of(node)->at_us > at_us) {
			node = node->left;
			continue;
		}
		sum += step_of(node)->change + (node->left ? step_of(node->left)->sum : 0);
		node = node->right;
	}
	return sum;
}

/* The first step in a part of the tree after which the profile is over `level` (above), or at or under it (not above), at
 * or after at_us. sum: the profile before that part; moved past it where nothing is found. */
static const struct step_node *find_crossing(const struct tree_node *node, us_t at_us, int64_t level, bool above, int64_t *sum)
{
	const struct step_node *step, *found;

	if (!node)
		return NULL;
	step = step_of(node);
	if (above ? *sum + step->most <= level : *sum + step->least > level) {
		*sum += step->sum;
		return NULL;
	}
	if (step->at_us > at_us) {
		found = find_crossing(node->left, at_us, level, above, sum);
		if (found)
			return found;
	} else if (node->left) {
		*sum += step_of(node->left)->sum;
	}
	*sum += step->change;
	if (step->at_us >= at_us && (above ? *sum > level : *sum <= level))
		return step;
	return find_crossing(node->right, at_us, level, above, sum);
}

us_t calendar_earliest(const struct calendar *calendar, uint64_t amount, us_t not_before_us, us_t duration_us)
{
	us_t start = not_before_us;
	int64_t level;

	if (calendar->capacity == AMOUNT_NONE)
		return start;
	if (amount > calendar->capacity)
		return US_NEVER;
	level = (int64_t)(calendar->capacity - amount);
	if (start < calendar->folded_us)
		start = calendar->folded_us;
	for (;;) {
		int64_t sum = calendar->base;
		const struct step_node *step;

		if (calendar_claimed(calendar, start) > level) {
			step = find_crossing(calendar->steps.root, start, level, false, &sum);
			if (!step)
				return US_NEVER;
			start = step->at_us;
			sum = calendar->base;
		}
		step = find_crossing(calendar->steps.root, start, level, true, &sum);
		if (!step || step->at_us >= us_add(start, duration_us))
			return start;
		start = step->at_us;
	}
}

void calendar_done(struct calendar *calendar)
{
	struct tree_node *node;

	while ((node = tree_first(&calendar->steps))) {
		tree_remove(&calendar->steps, node);
		free(step_of(node));
	}
	*calendar = (struct calendar){0};
}

void calendar_check(const struct calendar *calendar)
{
	int64_t sum = calendar->base;

	for (const struct tree_node *node = tree_first(&calendar->steps); node; node = tree_next(node)) {
		assert(step_of(node)->at_us > calendar->folded_us);
		sum += step_of(node)->change;
		assert(calendar_claimed(calendar, step_of(node)->at_us) == sum);
		assert(sum >= 0);
	}
}
