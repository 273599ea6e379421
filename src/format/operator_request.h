/* SPDX-License-Identifier: Apache-2.0
 * operator_request.h: what operators ask of nodes: the bodies of requests that change a node's state or book nodes, and the texts
 * of nodes and instants in them, which the command line reads too. */
#ifndef SUAN_FORMAT_OPERATOR_REQUEST_H
#define SUAN_FORMAT_OPERATOR_REQUEST_H

#include "base/arena.h"
#include "core/spec.h"

/* The body of a change of a node's state, all in the arena. */
struct node_request {
	const char *note; /* NULL: none */
	uint32_t last;    /* the last node of a range; UINT32_MAX: not stated */
};

enum { NODE_NOTE_LEN_MAX = 500 }; /* bytes */

/* Reads {"note": "...", "last": N} as JSON or YAML; an empty text is an empty map. Returns 0, ERR_INVALID (subject: the key's
 * path; line) or ERR_TOO_LARGE. */
int node_request_parse(const char *text, size_t len, struct arena *arena, struct node_request *ret, struct err *err);

/* Reads {"name", "project", "centre", "nodes": "0-3,8", "from", "until"} as JSON or YAML. centre and nodes are required. Without
 * a project it is a drain; without a name it is named after its project, or "drain". Without `from` it begins at now_us, without
 * `until` it has no end. Whether centre, nodes and project are there is up to the core. Returns as node_request_parse. */
int booking_request_parse(const char *text, size_t len, us_t now_us, struct arena *arena, struct booking_spec *ret,
                          struct err *err);

/* Reads numbers of nodes: "3", "0-3,8". They must rise and not meet; ranges that touch become one. Returns 0 or ERR_INVALID. */
int node_ranges_parse(const char *text, struct arena *arena, const struct node_range **ret, uint32_t *ret_n, struct err *err);

/* Reads an instant: RFC 3339 with an offset, "now", or "+2h", from now on. Returns 0 or ERR_INVALID. */
int instant_parse(const char *text, us_t now_us, us_t *ret, struct err *err);
/* The same, or "never". */
int instant_or_never_parse(const char *text, us_t now_us, us_t *ret, struct err *err);

#endif
