/* SPDX-License-Identifier: Apache-2.0
 * fill.h: which node and card, so that what is left stays of use to the requests that will come.
 *
 * Beside place.h: best fit asks how full a node is, this asks what its rest is worth to the mix of requests seen so far. For
 * groups of one node: shares of a card, whole cards, and requests without cards. */
#ifndef SUAN_CORE_FILL_H
#define SUAN_CORE_FILL_H

#include "core/capacity.h"

/* What was learned of the requests that came, and values of nodes that follow from it. A choice is a pure function of what was
 * learned, the capacity and the request: the values kept between choices only save work. */
struct fill;

/* Nothing learned yet. Never NULL. */
struct fill *fill_new(void);
/* Accepts NULL; returns NULL. */
struct fill *fill_free(struct fill *fill);

/* One arrival, whether it will be placed or not. requests: a group's alternatives, 1 or more; the amounts of the first count, and
 * the kinds of all. nodes: of the group, 1 or more. What is learned follows from the sequence of calls alone.
 * Cost: O(types), of which FILL_TYPES_MAX are kept; now and then, at most each 400 arrivals once there were that many, some 0.1
 * ms. */
void fill_learn(struct fill *fill, const struct request *requests, uint32_t n_requests, uint32_t nodes);
/* Whether choices could be others once that was learned: they are not, but now and then. Cost: O(types). */
bool fill_would_change(const struct fill *fill, const struct request *requests, uint32_t n_requests, uint32_t nodes);

/* The node on any of the shelves, and its cards, from which the request takes the least value; false where none holds it, and
 * then nothing is returned. shelves: equally good otherwise, their kinds allowed; the order decides between equals, then the
 * number of the node. request: for one task; its kind and centre aren't looked at.
 * Past 4,096 nodes looked at, the first that hold the request are enough. Cost: O(nodes looked at), and some microseconds for
 * each state of a node that is new. */
bool fill_choose(struct fill *fill, const struct capacity *capacity, const uint32_t *shelves, uint32_t n_shelves,
                 const struct request *request, uint32_t *ret_node, uint64_t *ret_cards);

/* What was learned, as bytes, and back: choices are the same before and after. Never NULL; sets r->bad where the bytes aren't
 * what fill_save wrote, and then nothing is learned. */
void fill_save(const struct fill *fill, struct buf *buf);
struct fill *fill_load(struct reader *r);

enum { FILL_TYPES_MAX = 512 };

/* What was seen of the jobs that came. All zero: none. */
struct arrivals {
	struct fill *fill;    /* what was learned of requests, once one asked for a share of a card; NULL: nothing */
	uint64_t all, shares; /* jobs; and of them those for a share of a card */
};

/* A job comes, and is counted; the one that came before it is learned, where shares of cards are asked for at all. last: what
 * that one asked for, or NULL. */
void arrivals_add(struct arrivals *arrivals, const struct group *last, const struct group *group);
/* What arrivals_add would make of them, which stay as they are: for arrivals_ahead_done, while they stay so. */
struct arrivals arrivals_ahead(const struct arrivals *arrivals, const struct group *last, const struct group *group);
void arrivals_ahead_done(const struct arrivals *arrivals, struct arrivals *ahead);

#endif
