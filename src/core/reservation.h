/* SPDX-License-Identifier: Apache-2.0
 * reservation.h: what is kept for the first job that waits, so that no later job delays it.
 *
 * A reservation is a whole plan: a start, nodes and cards. A later job may start ahead if by its bound it ends by
 * that start, or on what is left when the reserved job's needs are set aside: `kept`. On a node of the plan `kept` is the
 * lesser of what is free now and of what will be free at the start with the reserved job running; elsewhere it
 * is what is free now. */
#ifndef SUAN_CORE_RESERVATION_H
#define SUAN_CORE_RESERVATION_H

#include "core/capacity.h"

struct reserved_node;

/* All zero: nobody holds one. */
struct reservation {
	uint32_t job; /* 0: nobody */
	struct plan plan;
	enum cause broken; /* other than CAUSE_NONE: the plan can't be kept any more, and why */
	struct capacity kept;
	struct reserved_node *nodes;
	uint32_t n_nodes;
	struct map node_index;
	int32_t *card_milli; /* of all the nodes' cards: free at the start, the reserved job running */
};

/* Sets a reservation. live: what is free now. The caller then calls reservation_ends for each attempt that runs. */
void reservation_set(struct reservation *reservation, uint32_t job, const struct plan *plan, const struct request *request,
                     const struct capacity *live);
void reservation_clear(struct reservation *reservation);

/* Something that is claimed now will be free by the start. */
void reservation_ends(struct reservation *reservation, uint32_t node, const struct share *share, const struct capacity *live);
/* A share was taken, or given back, after `live` was changed; until_us: its bound. cause: why, where it breaks the plan. */
void reservation_taken(struct reservation *reservation, uint32_t node, const struct share *share, us_t until_us,
                       const struct capacity *live, enum cause cause);
void reservation_given(struct reservation *reservation, uint32_t node, const struct share *share, us_t until_us,
                       const struct capacity *live);
/* A claim's bound moved, with nothing taken or given. That breaks no plan: should it last past the start, the reservation
 * moves then, once, and not with every job that comes up a little late. */
void reservation_moved(struct reservation *reservation, uint32_t node, const struct share *share, us_t old_until_us,
                       us_t until_us, const struct capacity *live);

#endif
