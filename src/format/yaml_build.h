/* SPDX-License-Identifier: Apache-2.0
 * yaml_build.h: the tree of yaml.h as it grows, within its bounds: what the reader of YAML and that of JSON share.
 *
 * Depth and nodes are counted as they come, so nothing is built beyond a bound. Every function that may fail returns 0 or the
 * code of the error that it set. */
#ifndef SUAN_FORMAT_YAML_BUILD_H
#define SUAN_FORMAT_YAML_BUILD_H

#include "format/job_file.h"
#include "format/yaml.h"

/* All zero but for the first four: nothing was read yet. */
struct yaml_builder {
	struct arena *arena;
	struct err *err; /* never NULL */
	uint32_t nodes_max;
	uint32_t line; /* of what is being read, from 1: whoever reads sets it */
	uint32_t nodes, depth;
	/* The open maps and lists, outermost first, and where in them the next node goes. */
	struct {
		struct yaml *node;
		struct yaml **tail; /* where the next child is linked */
		const char *key;    /* of a map: read, and its value isn't */
		uint32_t key_line;
	} open[YAML_DEPTH_MAX];
	struct yaml *root;
};

/* Sets an error at the builder's line. Returns `code`. */
int yaml_build_fail(struct yaml_builder *b, int code, const char *text);

/* A map or a list begins, or the innermost open one ends. */
int yaml_build_start(struct yaml_builder *b, enum yaml_type type);
int yaml_build_end(struct yaml_builder *b);

/* A scalar: a key where the innermost open map expects one. text: of len bytes, terminated, in the arena; refused where it isn't
 * valid UTF-8 without NUL. */
int yaml_build_scalar(struct yaml_builder *b, const char *text, size_t len, bool plain);

/* The innermost that is open; NULL for none. */
const struct yaml *yaml_build_top(const struct yaml_builder *b);

enum { YAML_NOT_JSON = 1 };

/* Reads a text that is JSON (RFC 8259): valid UTF-8 without NUL. Returns YAML_NOT_JSON for any other text, of which the tree then
 * holds a part. Cost: O(len log len). */
int yaml_json_read(struct yaml_builder *b, const char *text, size_t len);

#endif
