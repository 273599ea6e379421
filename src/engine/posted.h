/* SPDX-License-Identifier: Apache-2.0
 * posted.h: an engine with a thread of its own: what is asked of it goes there by mailbox, and the caller goes on. */
#ifndef SUAN_ENGINE_POSTED_H
#define SUAN_ENGINE_POSTED_H

#include "engine/mailbox.h"

/* First in what such an engine is made of. */
struct posted {
	struct engine engine;
	struct mailbox box;
	pthread_t thread;
};

/* Calls of port/engine.h: each puts a letter into the mailbox. Return 0 or ERR_BUSY. */
int posted_recover(struct engine *engine, const struct known *known, uint32_t n, struct err *err);
int posted_release(struct engine *engine, uint32_t job, uint32_t attempt, struct err *err);
int posted_kill(struct engine *engine, uint32_t job, uint32_t attempt, enum cause cause, us_t grace_us, struct err *err);
int posted_forget(struct engine *engine, uint32_t job, uint32_t attempt, struct err *err);

/* Asks the thread to end, and waits until it has. */
void posted_stop(struct posted *posted);

#endif
