/* SPDX-License-Identifier: Apache-2.0
 * payload.h: what a job runs: large or private, so it isn't in the journal but in the store's payload
 * table, by its hash; the journal holds the hash. Secrets are in neither. */
#ifndef SUAN_CORE_PAYLOAD_H
#define SUAN_CORE_PAYLOAD_H

#include "core/spec.h"

enum { PAYLOAD_BYTES_MAX = 4 << 20 };

enum payload_flavour {
	FLAVOUR_TASK,  /* SkyPilot's: setup, then run, on every node */
	FLAVOUR_SBATCH /* one script, once, on the first node, with SLURM_* */
};

struct variable {
	const char *name, *value;
};

struct payload {
	enum payload_flavour flavour;
	const char *setup, *run;    /* shell text; "" for none. For a script: run is the whole file, first line and all */
	const char *workdir;        /* absolute; "" for the attempt's own folder */
	const char *output, *error; /* where a script's #SBATCH lines want it, patterns unexpanded; "": kept by Suan only */
	const struct variable *envs;
	uint32_t n_envs;
	const char *const *images; /* one a request of the job's group, "" for none; or n_images is 0 */
	uint32_t n_images;
	const char *checkpoint_signal; /* "TERM", ... */
	us_t simulated_run_us;         /* how long a simulated centre takes; US_NEVER: not stated */
	int32_t simulated_exit;
};

/* Canonical bytes: equal payloads give equal bytes, and so one row in the table. */
void payload_encode(const struct payload *payload, struct buf *buf);
/* Fills *ret from bytes, in the arena. Returns 0, or ERR_CORRUPT. */
int payload_decode(const void *bytes, size_t len, struct arena *arena, struct payload *ret);

#endif
