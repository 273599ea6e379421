/* SPDX-License-Identifier: Apache-2.0
 * mailbox.c: requests on their way to an engine's thread; see mailbox.h. */
#include "engine/mailbox.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"

int mailbox_init(struct mailbox *box, struct err *err)
{
	*box = (struct mailbox){.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	if (box->event_fd < 0)
		return err_set(err, ERR_IO, "mailbox", "no eventfd can be had");
	box->last = &box->first;
	pthread_mutex_init(&box->mutex, NULL);
	return 0;
}

void mailbox_done(struct mailbox *box)
{
	for (struct letter *letter = mailbox_take(box), *next; letter; letter = next) {
		next = letter->next;
		letter_free(letter);
	}
	close(box->event_fd);
	pthread_mutex_destroy(&box->mutex);
}

struct letter *letter_new(enum letter_type type, uint32_t job, uint32_t attempt)
{
	struct letter *letter = mem_new(1, sizeof *letter);

	letter->type = type;
	letter->job = job;
	letter->attempt = attempt;
	return letter;
}

struct letter *letter_free(struct letter *letter)
{
	if (!letter)
		return NULL;
	free(letter->known);
	buf_done(&letter->launch);
	if (letter->secrets.data)
		explicit_bzero(letter->secrets.data, letter->secrets.cap);
	buf_done(&letter->secrets);
	free(letter);
	return NULL;
}

int mailbox_put(struct mailbox *box, struct letter *letter, struct err *err)
{
	const uint64_t one = 1;
	bool full;

	pthread_mutex_lock(&box->mutex);
	full = box->count >= MAILBOX_MAX && letter->type != LETTER_CLOSE;
	if (!full) {
		*box->last = letter;
		box->last = &letter->next;
		box->count++;
	}
	pthread_mutex_unlock(&box->mutex);
	if (full) {
		letter_free(letter);
		return err_set(err, ERR_BUSY, "engine", "%d requests wait already", MAILBOX_MAX);
	}
	/* Fails only where the counter is at its end, and then it is readable anyway. */
	return write(box->event_fd, &one, sizeof one) < 0 ? 0 : 0;
}

struct letter *mailbox_take(struct mailbox *box)
{
	struct letter *all;
	uint64_t count;
	ssize_t n = read(box->event_fd, &count, sizeof count); /* before the letters: a later one makes it readable again */

	(void)n;
	pthread_mutex_lock(&box->mutex);
	all = box->first;
	box->first = NULL;
	box->last = &box->first;
	box->count = 0;
	pthread_mutex_unlock(&box->mutex);
	return all;
}
