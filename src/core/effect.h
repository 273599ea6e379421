/* SPDX-License-Identifier: Apache-2.0
 * effect.h: what is asked of the world outside, after the events that it follows from are durable.
 *
 * Each is keyed by (job, attempt), and repeating one changes nothing. */
#ifndef SUAN_CORE_EFFECT_H
#define SUAN_CORE_EFFECT_H

#include "core/event.h"

enum effect_type {
	EFFECT_HOLD,    /* take the attempt, and don't run it */
	EFFECT_RELEASE, /* it may run */
	EFFECT_KILL,    /* end it: SIGTERM, the grace, SIGKILL */
	EFFECT_FORGET,  /* its end is recorded: what was kept to find it again may go; its logs stay */
	EFFECT_ERASE,   /* no job of the core has this payload any more: it may be erased. Of no centre */
};

struct effect {
	enum effect_type type;
	uint32_t centre, job, attempt;
	enum cause cause;    /* of KILL */
	struct hash payload; /* of ERASE */
};

#endif
