/* SPDX-License-Identifier: Apache-2.0
 * posted.c: the calls that only go on to an engine's thread; see posted.h. */
#include "engine/posted.h"

#include <string.h>

#include "base/mem.h"

static int put(struct engine *engine, struct letter *letter, struct err *err)
{
	return mailbox_put(&((struct posted *)engine)->box, letter, err);
}

int posted_recover(struct engine *engine, const struct known *known, uint32_t n, struct err *err)
{
	struct letter *letter = letter_new(LETTER_RECOVER, 0, 0);

	letter->known = mem_new(n, sizeof *known);
	if (n)
		memcpy(letter->known, known, n * sizeof *known);
	letter->n_known = n;
	return put(engine, letter, err);
}

int posted_release(struct engine *engine, uint32_t job, uint32_t attempt, struct err *err)
{
	return put(engine, letter_new(LETTER_RELEASE, job, attempt), err);
}

int posted_kill(struct engine *engine, uint32_t job, uint32_t attempt, enum cause cause, us_t grace_us, struct err *err)
{
	struct letter *letter = letter_new(LETTER_KILL, job, attempt);

	letter->cause = cause;
	letter->grace_us = grace_us;
	return put(engine, letter, err);
}

int posted_forget(struct engine *engine, uint32_t job, uint32_t attempt, struct err *err)
{
	return put(engine, letter_new(LETTER_FORGET, job, attempt), err);
}

void posted_stop(struct posted *posted)
{
	mailbox_put(&posted->box, letter_new(LETTER_CLOSE, 0, 0), NULL);
	pthread_join(posted->thread, NULL);
}
