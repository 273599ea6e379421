/* SPDX-License-Identifier: Apache-2.0
 * input.h: what is asked of the core, or reported to it. An input may be refused; an event can't. */
#ifndef SUAN_CORE_INPUT_H
#define SUAN_CORE_INPUT_H

#include "core/event.h"

enum input_type {
	INPUT_CLOCK,  /* nothing but the time */
	INPUT_POOL,   /* the pool as its file has it now */
	INPUT_CONFIG, /* the configuration as its file has it now */
	INPUT_SUBMIT,
	INPUT_CANCEL,
	INPUT_REPORT, /* an engine on one attempt */
	INPUT_CENTRE, /* the host on a centre's lease */
	INPUT_NODE,   /* an operator, or an engine, on nodes */
	INPUT_BOOK,   /* an operator: whole nodes over a window */
	INPUT_UNBOOK,
};

/* What an engine says of one attempt. Reports may come twice, late, or skip a state: the core takes what is
 * news and ignores what isn't. */
struct report {
	uint32_t job, attempt;
	enum attempt_state state; /* HELD, RELEASED, RUNNING, ENDED, REFUSED or LOST */
	us_t at_us;               /* when it became so, by the engine; 0: now */
	enum cause cause;         /* of an end: EXIT, SIGNAL, LIMIT, CANCEL, MEMORY */
	int32_t exit_code;        /* of an end: the deciding task's */
	uint32_t rank;            /* of an end: the deciding task */
	const char *native_id;    /* the engine's own name for it; NULL: none */
	const char *note;         /* for a person; NULL: none */
	const uint64_t *cards;    /* of RUNNING: a mask a task, where the engine chose; NULL: as decided */
	uint32_t n_cards;
};

struct input {
	enum input_type type;
	us_t now_us;     /* never decreases; an earlier one is taken as the last */
	const char *who; /* the user who asked, or the engine; NULL: the host */
	union {
		const struct pool_spec *pool;
		const struct config_spec *config;
		struct {
			const struct job_spec *spec;
			const void *idempotency; /* IDEMPOTENCY_BYTES, or NULL */
		} submit;
		struct {
			uint32_t job; /* an array's number cancels all of it */
		} cancel;
		struct report report;
		struct {
			uint32_t centre;
			bool silent;
		} centre;
		struct {
			const char *centre;
			struct node_range range;
			enum node_state state;
			const char *note; /* for a person; NULL: none */
		} node;
		const struct booking_spec *book;
		struct {
			uint32_t booking;
		} unbook;
	};
};

#endif
