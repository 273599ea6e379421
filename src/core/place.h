/* SPDX-License-Identifier: Apache-2.0
 * place.h: which nodes and cards of one shelf a group gets. */
#ifndef SUAN_CORE_PLACE_H
#define SUAN_CORE_PLACE_H

#include "core/capacity.h"

/* Finds room for a whole group, by one of its requests, on one shelf, in what `capacity` says is free; or for none of it.
 *
 * The narrowest domain that can hold it, and of those the one with the least room; in it the nodes that are fullest
 * already (best fit), lowest number first; so that large free blocks survive. A share goes to the fullest card
 * that holds it. tasks: room for group->nodes; filled in order of nodes where true is returned, else untouched or
 * scratch. A group of one node costs O(tiers × domains of a tier) and, where CPUs or memory are short, the nodes passed over. */
bool place_find(const struct capacity *capacity, uint32_t shelf, const struct group *group, const struct request *request,
                struct task *tasks);

/* Whether one node could hold one task of a request now. */
bool place_node_holds(const struct capacity *capacity, uint32_t node, const struct request *request);

/* What a task takes of its node. */
struct share place_share(const struct task *task, const struct request *request);

#endif
