/* SPDX-License-Identifier: Apache-2.0
 * job_file.h: job files (YAML or JSON) and scripts with #SUAN or #SBATCH lines, read into a job_spec.
 *
 * docs/format/job.md lists every key of SkyPilot's task and every #SBATCH option as honoured, accepted with a
 * warning, or refused with the reason. Anything else is an error with a "did you mean". */
#ifndef SUAN_FORMAT_JOB_FILE_H
#define SUAN_FORMAT_JOB_FILE_H

#include "base/arena.h"
#include "core/payload.h"
#include "core/spec.h"

enum { JOB_FILE_BYTES_MAX = 4 << 20, YAML_NODES_MAX = 100000, YAML_DEPTH_MAX = 64 };

/* A job as read. Everything is in the arena that it was read with. spec.payload is the hash of payload's encoding;
 * spec.user and spec.secrets are left NULL for the caller. */
struct job_file {
	struct job_spec spec;
	struct payload payload;
	struct buf payload_bytes; /* its encoding, in the arena too: not to be freed */
	const struct variable *secrets;
	uint32_t n_secrets;
	const char *const *warnings; /* one sentence each */
	uint32_t n_warnings;
};

/* Reads the content of a request: a job file as YAML or JSON (JSON is YAML here); a key `script` holds a whole script with
 * #SUAN or #SBATCH lines instead of `run`. Text that begins with "#!" is such a script by itself.
 * Returns 0, ERR_INVALID (err->subject is the key's path, err->line its line) or ERR_TOO_LARGE. Bounded in time and
 * memory whatever the text is. */
int job_file_parse(const char *text, size_t len, struct arena *arena, struct job_file *ret, struct err *err);

/* For the command line: turns a file's text into the JSON to send: workdir made absolute against `cwd`, secrets that are null
 * taken by `getenv_fn` (an unset one is an error that names it), a script wrapped. name: of the file, for a job without a name.
 * Checks all that can be checked without a pool. */
int job_file_to_request(const char *text, size_t len, const char *name, const char *cwd, const char *(*getenv_fn)(const char *),
                        struct buf *json, struct err *err);

#endif
