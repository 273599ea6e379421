/* SPDX-License-Identifier: Apache-2.0
 * tree.h: an ordered tree inside the things that it orders (a treap, Seidel and Aragon 1996).
 *
 * The balance follows from a number that the owner gives each node (its id), so the same inserts give the
 * same tree. A tree may keep sums: `update` recomputes one node's from itself and its two children. */
#ifndef SUAN_BASE_TREE_H
#define SUAN_BASE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tree_node {
	struct tree_node *parent, *left, *right;
	uint64_t weight; /* a parent's is the greater */
};

struct tree {
	struct tree_node *root;
	/* Below 0, 0 or above: a before, at or after b. A total order over what is in the tree. */
	int (*compare)(const struct tree_node *a, const struct tree_node *b);
	/* Makes a node's sums anew; returns whether any is another than it was. NULL: no sums. */
	bool (*update)(struct tree_node *node);
	uint32_t count;
};

/* The thing that a node is a member of. */
#define tree_entry(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))

/* Adds a node; none in the tree may compare equal. Cost: O(log n) expected. */
void tree_insert(struct tree *tree, struct tree_node *node, uint64_t id);
/* The same for a node that belongs behind all others, of which `last` is the last; NULL: there is none. Cost: O(1) expected, and
 * the sums as far up as they change. */
void tree_append(struct tree *tree, struct tree_node *node, uint64_t id, struct tree_node *last);
/* Takes out a node that is in the tree. Cost: O(log n) expected. */
void tree_remove(struct tree *tree, struct tree_node *node);
/* Recomputes the sums from a node, whose own value changed but not its order, as far up as they change. */
void tree_updated(struct tree *tree, struct tree_node *node);
struct tree_node *tree_first(const struct tree *tree);
struct tree_node *tree_last(const struct tree *tree);
struct tree_node *tree_next(const struct tree_node *node);
struct tree_node *tree_previous(const struct tree_node *node);

#endif
