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
	void (*update)(struct tree_node *node); /* NULL: no sums */
	uint32_t count;
};

/* The thing that a node is a member of. */
#define tree_entry(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))

/* Adds a node; none in the tree may compare equal. Cost: O(log n) expected. */
void tree_insert(struct tree *tree, struct tree_node *node, uint64_t id);
/* Takes out a node that is in the tree. Cost: O(log n) expected. */
void tree_remove(struct tree *tree, struct tree_node *node);
/* Recomputes the sums from a node, whose own value changed but not its order, up to the root. */
void tree_updated(struct tree *tree, struct tree_node *node);
struct tree_node *tree_first(const struct tree *tree);
struct tree_node *tree_last(const struct tree *tree);
struct tree_node *tree_next(const struct tree_node *node);
struct tree_node *tree_previous(const struct tree_node *node);

#endif
