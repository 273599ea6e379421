/* SPDX-License-Identifier: Apache-2.0
 * yaml.h: hostile text into a bounded tree of maps, lists and scalars.
 *
 * All of JSON, and of YAML what 1.1 and 1.2 read alike: one document, no anchors, aliases or tags, keys are scalars and each
 * stands once in its map; no control characters, and none that 1.1 takes for the end of a line. What a scalar means is up to
 * whoever reads it; a tree keeps its text. The end of a line in a scalar is a newline, however it was written (LF, CR LF, CR). */
#ifndef SUAN_FORMAT_YAML_H
#define SUAN_FORMAT_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

enum yaml_type { YAML_SCALAR, YAML_LIST, YAML_MAP };

/* A node of the tree. It and its strings are in the arena that it was read with. */
struct yaml {
	enum yaml_type type;
	bool plain;       /* a scalar without quotes */
	uint32_t line;    /* from 1; of a map's member: its key's */
	const char *key;  /* of a map's member; else NULL */
	const char *text; /* of a scalar: valid UTF-8 without NUL */
	struct yaml *first, *next;
	uint32_t n; /* members or elements */
};

/* What a text may be at most. depth: at most YAML_DEPTH_MAX. */
struct yaml_bounds {
	size_t bytes;
	uint32_t nodes;
};

/* Reads a text. *ret is the root; NULL for a text with nothing in it but comments. Returns 0, ERR_INVALID with the line,
 * ERR_TOO_LARGE or ERR_NOMEM. Cost: O(len log len); a text over its bound isn't looked at. */
int yaml_parse(const char *text, size_t len, const struct yaml_bounds *bounds, struct arena *arena, struct yaml **ret,
               struct err *err);

/* The member of that name, or NULL; map: may be NULL, or no map. Cost: O(members). */
const struct yaml *yaml_member(const struct yaml *map, const char *key);

/* An empty, ~ or null scalar without quotes. */
bool yaml_is_null(const struct yaml *node);

/* Whether bytes are valid UTF-8 without NUL. *ret_line: the line of the first that isn't; may be NULL. */
bool yaml_text_ok(const char *text, size_t len, uint32_t *ret_line);

#endif
