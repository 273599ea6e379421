/* SPDX-License-Identifier: Apache-2.0
 * yaml_build.c: a tree as it grows; see yaml_build.h. */
#include "format/yaml_build.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int yaml_build_fail(struct yaml_builder *b, int code, const char *text)
{
	err_set(b->err, code, NULL, "%s", text);
	b->err->line = b->line;
	return code;
}

const struct yaml *yaml_build_top(const struct yaml_builder *b)
{
	return b->depth ? b->open[b->depth - 1].node : NULL;
}

static bool expects_key(const struct yaml_builder *b)
{
	return b->depth && b->open[b->depth - 1].node->type == YAML_MAP && !b->open[b->depth - 1].key;
}

static int count_node(struct yaml_builder *b)
{
	return ++b->nodes > b->nodes_max ? yaml_build_fail(b, ERR_TOO_LARGE, "too many keys and values") : 0;
}

/* Links a node that has just begun into the map or list that is open. */
static int add_node(struct yaml_builder *b, enum yaml_type type, struct yaml **ret)
{
	struct yaml *node;

	if (count_node(b) < 0)
		return b->err->code;
	node = arena_new(b->arena, 1, sizeof *node);
	node->type = type;
	node->line = b->line;
	if (!b->depth) {
		b->root = node;
	} else {
		struct yaml *parent = b->open[b->depth - 1].node;

		if (parent->type == YAML_MAP) {
			assert(b->open[b->depth - 1].key);
			node->key = b->open[b->depth - 1].key;
			node->line = b->open[b->depth - 1].key_line;
			b->open[b->depth - 1].key = NULL;
		}
		*b->open[b->depth - 1].tail = node;
		b->open[b->depth - 1].tail = &node->next;
		parent->n++;
	}
	*ret = node;
	return 0;
}

int yaml_build_start(struct yaml_builder *b, enum yaml_type type)
{
	struct yaml *node;

	if (expects_key(b))
		return yaml_build_fail(b, ERR_INVALID, "a key is a map or a list; expected a name");
	if (b->depth == YAML_DEPTH_MAX)
		return yaml_build_fail(b, ERR_TOO_LARGE, "nested too deep");
	if (add_node(b, type, &node) < 0)
		return b->err->code;
	b->open[b->depth].node = node;
	b->open[b->depth].tail = &node->first;
	b->open[b->depth].key = NULL;
	b->depth++;
	return 0;
}

static int compare_keys(const void *a, const void *b)
{
	const struct yaml *x = *(const struct yaml *const *)a, *y = *(const struct yaml *const *)b;
	int order = strcmp(x->key, y->key);

	return order ? order : (x->line > y->line) - (x->line < y->line);
}

/* The keys of the maps that are open, and of what just ended, before one of its keys. */
static const char *path_to(struct yaml_builder *b, const struct yaml *map, const char *key)
{
	const char *path = "";

	for (uint32_t i = 0; i < b->depth; i++)
		if (b->open[i].node->key)
			path = arena_printf(b->arena, "%s%.40s.", path, b->open[i].node->key);
	return map->key ? arena_printf(b->arena, "%s%.40s.%.40s", path, map->key, key) : arena_printf(b->arena, "%s%.40s", path, key);
}

static int check_duplicates(struct yaml_builder *b, const struct yaml *map)
{
	const struct yaml **members = arena_new(b->arena, map->n, sizeof *members);
	uint32_t n = 0;

	for (const struct yaml *m = map->first; m; m = m->next)
		members[n++] = m;
	qsort(members, n, sizeof *members, compare_keys);
	for (uint32_t i = 1; i < n; i++) {
		if (strcmp(members[i - 1]->key, members[i]->key) != 0)
			continue;
		b->line = members[i]->line;
		err_set(b->err, ERR_INVALID, path_to(b, map, members[i]->key), "stands twice; first on line %u", members[i - 1]->line);
		b->err->line = b->line;
		return ERR_INVALID;
	}
	return 0;
}

int yaml_build_end(struct yaml_builder *b)
{
	const struct yaml *node = b->open[--b->depth].node;

	return node->type == YAML_MAP && node->n > 1 ? check_duplicates(b, node) : 0;
}

int yaml_build_scalar(struct yaml_builder *b, const char *text, size_t len, bool plain)
{
	struct yaml *node;

	if (!yaml_text_ok(text, len, NULL))
		return yaml_build_fail(b, ERR_INVALID, "a string with a NUL or with invalid Unicode");
	if (expects_key(b)) {
		b->open[b->depth - 1].key = text;
		b->open[b->depth - 1].key_line = b->line;
		return count_node(b);
	}
	if (add_node(b, YAML_SCALAR, &node) < 0)
		return b->err->code;
	node->text = text;
	node->plain = plain;
	return 0;
}
