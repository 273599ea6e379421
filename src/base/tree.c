/* SPDX-License-Identifier: Apache-2.0
 * tree.c: a treap with parent pointers; see tree.h. */
#include "base/tree.h"

#include <assert.h>

#include "base/rng.h"

static void update(const struct tree *tree, struct tree_node *node)
{
	if (tree->update)
		(void)tree->update(node);
}

static void replace_child(struct tree *tree, struct tree_node *parent, struct tree_node *old, struct tree_node *with)
{
	if (!parent)
		tree->root = with;
	else if (parent->left == old)
		parent->left = with;
	else
		parent->right = with;
	if (with)
		with->parent = parent;
}

/* Lifts a node over its parent; the order stays. */
static void rotate_up(struct tree *tree, struct tree_node *node)
{
	struct tree_node *parent = node->parent;

	replace_child(tree, parent->parent, parent, node);
	if (parent->left == node) {
		parent->left = node->right;
		if (parent->left)
			parent->left->parent = parent;
		node->right = parent;
	} else {
		parent->right = node->left;
		if (parent->right)
			parent->right->parent = parent;
		node->left = parent;
	}
	parent->parent = node;
	update(tree, parent);
	update(tree, node);
}

void tree_updated(struct tree *tree, struct tree_node *node)
{
	if (tree->update)
		while (node && tree->update(node))
			node = node->parent;
}

/* Hangs a new node below its parent, where nothing is, and lifts it to its place. */
static void hang(struct tree *tree, struct tree_node *node, uint64_t id, struct tree_node *parent, struct tree_node **at)
{
	*node = (struct tree_node){.parent = parent, .weight = rng_mix(id)};
	*at = node;
	tree->count++;
	update(tree, node);
	tree_updated(tree, parent); /* also where the node's own sums are by chance what they were in another tree */
	while (node->parent && node->parent->weight < node->weight)
		rotate_up(tree, node);
}

void tree_insert(struct tree *tree, struct tree_node *node, uint64_t id)
{
	struct tree_node **at = &tree->root, *parent = NULL;

	while (*at) {
		int order = tree->compare(node, *at);

		assert(order != 0);
		parent = *at;
		at = order < 0 ? &parent->left : &parent->right;
	}
	hang(tree, node, id, parent, at);
}

void tree_append(struct tree *tree, struct tree_node *node, uint64_t id, struct tree_node *last)
{
	assert(last ? !last->right && tree->compare(last, node) < 0 : !tree->root);
	hang(tree, node, id, last, last ? &last->right : &tree->root);
}

void tree_remove(struct tree *tree, struct tree_node *node)
{
	struct tree_node *parent;

	while (node->left && node->right)
		rotate_up(tree, node->left->weight > node->right->weight ? node->left : node->right);
	parent = node->parent;
	replace_child(tree, parent, node, node->left ? node->left : node->right);
	tree->count--;
	tree_updated(tree, parent);
	*node = (struct tree_node){0};
}

struct tree_node *tree_first(const struct tree *tree)
{
	struct tree_node *node = tree->root;

	while (node && node->left)
		node = node->left;
	return node;
}

struct tree_node *tree_last(const struct tree *tree)
{
	struct tree_node *node = tree->root;

	while (node && node->right)
		node = node->right;
	return node;
}

struct tree_node *tree_next(const struct tree_node *node)
{
	if (node->right) {
		for (node = node->right; node->left;)
			node = node->left;
		return (struct tree_node *)node;
	}
	while (node->parent && node->parent->right == node)
		node = node->parent;
	return node->parent;
}

struct tree_node *tree_previous(const struct tree_node *node)
{
	if (node->left) {
		for (node = node->left; node->right;)
			node = node->right;
		return (struct tree_node *)node;
	}
	while (node->parent && node->parent->left == node)
		node = node->parent;
	return node->parent;
}
