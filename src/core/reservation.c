/* SPDX-License-Identifier: Apache-2.0
 * reservation.c: keeping cards for the first job that waits; see reservation.h.
 *
 * For each node of the plan the future is kept: what will be free there at the start, with the reserved job running
 * and everything ended whose bound is at or before the start. It only changes for claims that last longer than that; when it
 * falls below 0, the plan is broken. Invariant: kept ≤ live, on every node and card. */
#include "core/reservation.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/place.h"

struct reserved_node {
	uint32_t node;
	uint32_t card_first;            /* among card_milli */
	int64_t cpus_milli, memory_mib; /* free at the start */
};

static struct reserved_node *find_node(const struct reservation *r, uint32_t node)
{
	uint32_t i = map_get(&r->node_index, node, UINT32_MAX);

	return i == UINT32_MAX ? NULL : &r->nodes[i];
}

static uint32_t lesser(uint32_t live, int64_t future)
{
	return future < 0 ? 0 : future < live ? (uint32_t)future : live;
}

/* Brings `kept` on a reserved node in line with what is free now and what will be. */
static void refresh(struct reservation *r, const struct reserved_node *n, const struct capacity *live)
{
	const struct node *node = &live->pool->nodes[n->node];
	uint16_t milli[CARDS_PER_NODE_MAX];

	for (uint32_t i = 0; i < node->cards; i++)
		milli[i] = (uint16_t)lesser(live->card_milli[node->card_first + i], r->card_milli[n->card_first + i]);
	capacity_set(&r->kept, n->node, milli, lesser(live->free_cpus[n->node], n->cpus_milli),
	             lesser(live->free_memory[n->node], n->memory_mib));
}

/* Changes the future of a reserved node: sign 1 frees the share at the start, −1 takes it. */
static void change_future(struct reservation *r, struct reserved_node *n, const struct share *share, int sign, enum cause cause)
{
	bool below = false;

	for (uint64_t left = share->cards; left; left &= left - 1) {
		int32_t *milli = &r->card_milli[n->card_first + (uint32_t)__builtin_ctzll(left)];

		*milli += sign * (int32_t)share->milli;
		below |= *milli < 0;
	}
	if (n->cpus_milli != UNCOUNTED)
		n->cpus_milli += sign * (int64_t)share->cpus_milli;
	if (n->memory_mib != UNCOUNTED)
		n->memory_mib += sign * (int64_t)share->memory_mib;
	if ((below || n->cpus_milli < 0 || n->memory_mib < 0) && r->broken == CAUSE_NONE)
		r->broken = cause;
}

void reservation_set(struct reservation *r, uint32_t job, const struct plan *plan, const struct request *request,
                     const struct capacity *live)
{
	const struct pool *pool = live->pool;
	uint32_t cards = 0;

	reservation_clear(r);
	r->job = job;
	r->plan = *plan;
	r->plan.tasks = mem_new(plan->n_tasks, sizeof *plan->tasks);
	memcpy(r->plan.tasks, plan->tasks, plan->n_tasks * sizeof *plan->tasks);
	r->plan.claims = mem_new(plan->n_claims, sizeof *plan->claims);
	memcpy(r->plan.claims, plan->claims, plan->n_claims * sizeof *plan->claims);
	capacity_copy(&r->kept, live);
	r->nodes = mem_new(plan->n_tasks, sizeof *r->nodes);
	for (uint32_t i = 0; i < plan->n_tasks; i++)
		cards += pool->nodes[pool_node(pool, plan->tasks[i].centre, plan->tasks[i].node)].cards;
	r->card_milli = mem_new(cards, sizeof *r->card_milli);
	cards = 0;
	for (uint32_t i = 0; i < plan->n_tasks; i++) {
		uint32_t id = pool_node(pool, plan->tasks[i].centre, plan->tasks[i].node);
		struct reserved_node *n = &r->nodes[r->n_nodes];
		struct share share = place_share(&plan->tasks[i], request);

		*n = (struct reserved_node){id, cards, live->free_cpus[id], live->free_memory[id]};
		for (uint32_t k = 0; k < pool->nodes[id].cards; k++)
			r->card_milli[cards++] = live->card_milli[pool->nodes[id].card_first + k];
		map_set(&r->node_index, id, r->n_nodes++);
		change_future(r, n, &share, -1, CAUSE_NONE);
		refresh(r, n, live);
	}
}

void reservation_clear(struct reservation *r)
{
	if (r->job)
		capacity_done(&r->kept);
	free(r->plan.tasks);
	free(r->plan.claims);
	free(r->nodes);
	free(r->card_milli);
	map_done(&r->node_index);
	*r = (struct reservation){0};
}

void reservation_ends(struct reservation *r, uint32_t node, const struct share *share, const struct capacity *live)
{
	struct reserved_node *n = find_node(r, node);

	if (n) {
		change_future(r, n, share, 1, CAUSE_NONE);
		refresh(r, n, live);
	}
}

void reservation_taken(struct reservation *r, uint32_t node, const struct share *share, us_t until_us,
                       const struct capacity *live, enum cause cause)
{
	struct reserved_node *n;

	if (!r->job)
		return;
	n = find_node(r, node);
	if (!n) {
		capacity_take(&r->kept, node, share);
		return;
	}
	if (until_us > r->plan.start_us)
		change_future(r, n, share, -1, cause);
	refresh(r, n, live);
}

void reservation_given(struct reservation *r, uint32_t node, const struct share *share, us_t until_us,
                       const struct capacity *live)
{
	struct reserved_node *n;

	if (!r->job)
		return;
	n = find_node(r, node);
	if (!n) {
		capacity_give(&r->kept, node, share);
		return;
	}
	if (until_us > r->plan.start_us)
		change_future(r, n, share, 1, CAUSE_NONE);
	refresh(r, n, live);
}

void reservation_moved(struct reservation *r, uint32_t node, const struct share *share, us_t old_until_us, us_t until_us,
                       const struct capacity *live)
{
	struct reserved_node *n = r->job ? find_node(r, node) : NULL;
	bool before = n && old_until_us > r->plan.start_us, after = n && until_us > r->plan.start_us;

	if (before == after)
		return;
	change_future(r, n, share, after ? -1 : 1, CAUSE_NONE);
	refresh(r, n, live);
}
