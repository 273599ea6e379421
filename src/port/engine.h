/* SPDX-License-Identifier: Apache-2.0
 * engine.h: what runs a centre's jobs. Function tables and nothing else.
 *
 * Every call returns at once: what takes time happens on the engine's own threads and comes back as a report.
 * Calls come from one thread; reports may leave from any. Repeating a call changes nothing. */
#ifndef SUAN_PORT_ENGINE_H
#define SUAN_PORT_ENGINE_H

#include "core/input.h"
#include "core/payload.h"

/* One node's part of an attempt. */
struct launch_task {
	uint32_t node;        /* its number in the centre */
	uint32_t cards_milli; /* 0: none; below 1000: a share of the one card */
	uint64_t cards;       /* bit i: card i of the node; 0 where the engine chooses */
};

/* Everything that an engine needs to run an attempt. Borrowed for the call. */
struct launch {
	uint32_t job, attempt;
	const char *name, *user, *project;
	const char *centre;
	const char *kind, *vendor;       /* of its cards; "" without */
	const struct launch_task *tasks; /* by rank */
	uint32_t n_tasks;
	uint32_t cpus_milli, memory_mib;             /* a task: its share of its node; 0: not stated */
	us_t limit_us, grace_us;                     /* limit: US_NEVER for none */
	uint32_t array_of, array_index, array_count; /* array_of 0: not an element */
	const char *image;                           /* "" for none */
	const struct payload *payload;
	const struct variable *secrets; /* environment too, but never kept in the clear but 0600, nor shown */
	uint32_t n_secrets;
	bool released; /* it may run as soon as the engine has it: HELD needn't be reported, and no release is waited for. Set only
	                  where the engine can start once; an engine that doesn't look at it reports HELD, and is released as ever */
};

/* What the core knows of an attempt that isn't over, when an engine comes up. */
struct known {
	uint32_t job, attempt;
	enum attempt_state state;
	us_t placed_us, started_us; /* started_us: US_NEVER where it hasn't */
	bool stopping;
	enum cause cause; /* where stopping */
};

/* Where reports go. Both may be called from any thread, until close returns. */
struct engine_sink {
	void *ctx;
	void (*report)(void *ctx, const struct report *report); /* copies what it needs */
	void (*log)(void *ctx, const char *text);               /* one line, for the operator */
};

struct engine_config {
	const struct centre_spec *centre; /* borrowed until close */
	const char *state_dir;            /* absolute; the engine's own folder, there already, 0700 */
	uint64_t seed;
	us_t (*now)(void); /* the host's wall clock, which never goes back */
};

struct discovery {
	const struct line_spec *lines;
	uint32_t n_lines;
	const struct kind_spec *kinds;
	uint32_t n_kinds;
};

struct engine {
	const struct engine_ops *ops;
};

struct engine_ops {
	const char *type;      /* as in a pool file: "local", "simulated" */
	uint32_t capabilities; /* enum capability: what every centre of this type can do */

	/* Finds this machine's nodes, for a centre whose pool file names none: lines, and the kinds of card that the
	 * catalogue may lack, in the arena. NULL: this type can't, so its centres must name their nodes. */
	int (*discover)(const struct centre_spec *centre, struct arena *arena, struct discovery *ret, struct err *err);

	/* Opens the engine of one centre. *ret is NULL on failure. */
	int (*open)(const struct engine_config *config, const struct engine_sink *sink, struct engine **ret, struct err *err);

	/* Once, after open and before anything else: the attempts that the journal knows at this centre. The engine looks
	 * them up by (job, attempt) and reports where each is now; attempts of its own that aren't among them are never started. */
	int (*recover)(struct engine *engine, const struct known *known, uint32_t n, struct err *err);

	int (*hold)(struct engine *engine, const struct launch *launch, struct err *err);       /* then HELD or REFUSED is reported */
	int (*release)(struct engine *engine, uint32_t job, uint32_t attempt, struct err *err); /* then RUNNING, ENDED or LOST */
	/* Ends an attempt, whatever it is at; then ENDED with this cause is reported. One never held, or never started,
	 * is made unable to start. */
	int (*kill)(struct engine *engine, uint32_t job, uint32_t attempt, enum cause cause, us_t grace_us, struct err *err);
	int (*forget)(struct engine *engine, uint32_t job, uint32_t attempt, struct err *err);

	/* Opens a task's output for reading: *ret_fd is the caller's. ERR_NOT_FOUND: none (yet); ERR_UNSUPPORTED. May be called
	 * from any thread. */
	int (*log_open)(struct engine *engine, uint32_t job, uint32_t attempt, uint32_t rank, int *ret_fd, struct err *err);

	struct engine *(*close)(struct engine *engine); /* its jobs go on; accepts NULL, returns NULL */
};

#endif
