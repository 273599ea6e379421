/* SPDX-License-Identifier: Apache-2.0
 * mailbox.h: what an engine was asked to do, on the way from the caller to the engine's own thread.
 *
 * Calls come from one thread and return at once; the engine's thread takes all that waits, in order. */
#ifndef SUAN_ENGINE_MAILBOX_H
#define SUAN_ENGINE_MAILBOX_H

#include <pthread.h>

#include "port/engine.h"

enum { MAILBOX_MAX = 1 << 20 }; /* letters that wait; a caller over it gets ERR_BUSY */

enum letter_type { LETTER_RECOVER, LETTER_HOLD, LETTER_RELEASE, LETTER_KILL, LETTER_FORGET, LETTER_CLOSE, LETTER_TYPE_COUNT };

/* One request, copied from its call. */
struct letter {
	struct letter *next;
	enum letter_type type;
	uint32_t job, attempt;
	enum cause cause; /* of KILL */
	us_t grace_us;
	struct known *known; /* of RECOVER */
	uint32_t n_known;
	const char *refusal; /* of HOLD: why it won't be taken; NULL: it will. Static text */
	bool released;       /* of HOLD: it may run at once */
	/* Of HOLD: what the engine made of the launch. */
	struct buf launch, secrets;
};

struct mailbox {
	pthread_mutex_t mutex;
	struct letter *first, **last;
	uint32_t count;
	int event_fd; /* readable while something waits */
};

int mailbox_init(struct mailbox *box, struct err *err);
void mailbox_done(struct mailbox *box);

/* A letter of that type about an attempt, for mailbox_put or letter_free. Never NULL. */
struct letter *letter_new(enum letter_type type, uint32_t job, uint32_t attempt);
struct letter *letter_free(struct letter *letter);

/* Takes the letter over, also where it fails. Returns 0 or ERR_BUSY. */
int mailbox_put(struct mailbox *box, struct letter *letter, struct err *err);

/* All that waits, oldest first, linked by `next`; the caller frees each. NULL: nothing. */
struct letter *mailbox_take(struct mailbox *box);

#endif
