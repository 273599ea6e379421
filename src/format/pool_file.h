/* SPDX-License-Identifier: Apache-2.0
 * pool_file.h: pool files and configuration files (YAML), and the built-in catalogue of cards. */
#ifndef SUAN_FORMAT_POOL_FILE_H
#define SUAN_FORMAT_POOL_FILE_H

#include "base/arena.h"
#include "core/spec.h"

enum { POOL_FILE_BYTES_MAX = 16 << 20 };

/* Finds the nodes of a centre that names none (its engine's discover). Returns 0 and fills lines and kinds, or fails. NULL in
 * pool_file_parse: such a centre is an error. */
typedef int pool_discover_fn(void *ctx, const struct centre_spec *centre, struct arena *arena, const struct line_spec **ret_lines,
                             uint32_t *ret_n_lines, const struct kind_spec **ret_kinds, uint32_t *ret_n_kinds, struct err *err);

/* Reads a pool file into *ret, all in the arena: kinds resolved (the file's own over the catalogue's, and of these only what a
 * line or a price uses), names checked, defaults filled. capabilities are left 0 for the host. What is accepted and not yet
 * acted on becomes a warning. Returns 0, ERR_INVALID (subject: the key's path such as centres[3].nodes[0].cards; line) or
 * ERR_TOO_LARGE. */
int pool_file_parse(const char *text, size_t len, pool_discover_fn *discover, void *ctx, struct arena *arena,
                    struct pool_spec *ret, const char *const **ret_warnings, uint32_t *ret_n_warnings, struct err *err);

/* Reads a configuration file (keys as in struct config_spec, durations with units) over config_default(). */
int config_file_parse(const char *text, size_t len, struct arena *arena, struct config_spec *ret, struct err *err);

/* The built-in catalogue of cards. */
const struct kind_spec *catalogue_find(const char *name);
const struct kind_spec *catalogue_all(uint32_t *ret_n);

#endif
