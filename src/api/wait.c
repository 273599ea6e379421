/* SPDX-License-Identifier: Apache-2.0
 * wait.c: connections that wait for a commit or an instant, suspended meanwhile so that they cost no thread.
 *
 * A waiter says which generation it looked at; a commit makes a new one. So a commit between looking and waiting
 * is never missed. Many commits in a row are one wake-up. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "api/inside.h"

enum { LEAST_GAP_US = 5000 };

us_t wait_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (us_t)t.tv_sec * US_SECOND + t.tv_nsec / 1000;
}

static void poke(const struct waits *waits)
{
	uint64_t one = 1;

	/* It can only fail where it is set already. */
	if (write(waits->event, &one, sizeof one) < 0)
		return;
}

static void changed(void *ctx)
{
	struct waits *waits = ctx;

	atomic_fetch_add(&waits->generation, 1);
	poke(waits);
}

uint64_t wait_generation(const struct waits *waits)
{
	return atomic_load(&waits->generation);
}

bool waits_stopping(struct waits *waits)
{
	bool stopping;

	pthread_mutex_lock(&waits->lock);
	stopping = waits->stopping;
	pthread_mutex_unlock(&waits->lock);
	return stopping;
}

bool wait_for(struct waits *waits, struct waiter *waiter)
{
	bool news;

	pthread_mutex_lock(&waits->lock);
	news = waits->stopping || (waiter->on_commit && waiter->generation != atomic_load(&waits->generation));
	if (!news) {
		waiter->next = waits->list;
		waiter->place = &waits->list;
		if (waits->list)
			waits->list->place = &waiter->next;
		waits->list = waiter;
		MHD_suspend_connection(waiter->connection);
		if (waiter->due_us < waits->next_us)
			poke(waits);
	}
	pthread_mutex_unlock(&waits->lock);
	return !news;
}

static void resume(const struct waits *waits, struct waiter *waiter)
{
	*waiter->place = waiter->next;
	if (waiter->next)
		waiter->next->place = waiter->place;
	waiter->place = NULL;
	servers_resume(waits->api, waiter->connection);
}

/* Resumes those whose time or news has come; sets next_us. The lock is held. */
static void resume_due(struct waits *waits)
{
	uint64_t generation = atomic_load(&waits->generation);
	us_t now_us = wait_clock();

	waits->next_us = US_NEVER;
	for (struct waiter *w = waits->list, *next; w; w = next) {
		next = w->next;
		if (waits->stopping || w->due_us <= now_us || (w->on_commit && w->generation != generation))
			resume(waits, w);
		else if (w->due_us < waits->next_us)
			waits->next_us = w->due_us;
	}
}

static int poll_ms(us_t next_us)
{
	us_t now_us = wait_clock();

	if (next_us == US_NEVER)
		return -1;
	return next_us <= now_us ? 0 : (int)((next_us - now_us + 999) / 1000 % 3600000);
}

static void *tick(void *arg)
{
	struct waits *waits = arg;
	bool stopping = false;

	pthread_setname_np(pthread_self(), "waits");
	while (!stopping) {
		struct pollfd fd = {.fd = waits->event, .events = POLLIN};
		uint64_t count;
		us_t next_us;

		pthread_mutex_lock(&waits->lock);
		resume_due(waits);
		next_us = waits->next_us;
		stopping = waits->stopping;
		pthread_mutex_unlock(&waits->lock);
		if (stopping)
			break;
		if (poll(&fd, 1, poll_ms(next_us)) == 1 && read(waits->event, &count, sizeof count) > 0)
			usleep(LEAST_GAP_US); /* gathers what comes in a row */
	}
	return NULL;
}

int waits_start(struct api *api, struct err *err)
{
	struct waits *waits = &api->waits;

	memset(waits, 0, sizeof *waits);
	waits->api = api;
	pthread_mutex_init(&waits->lock, NULL);
	waits->next_us = US_NEVER;
	waits->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (waits->event < 0)
		return err_set(err, ERR_IO, "api", "eventfd: %s", strerror(errno));
	if (pthread_create(&waits->thread, NULL, tick, waits) != 0) {
		close(waits->event);
		return err_set(err, ERR_NOMEM, "api", "can't start a thread");
	}
	api->service->ops->watch(api->service, changed, waits);
	return 0;
}

void waits_stop(struct waits *waits, struct service *service)
{
	service->ops->watch(service, NULL, NULL);
	pthread_mutex_lock(&waits->lock);
	waits->stopping = true;
	pthread_mutex_unlock(&waits->lock);
	poke(waits);
	pthread_join(waits->thread, NULL);
}

void waits_done(struct waits *waits)
{
	close(waits->event);
	pthread_mutex_destroy(&waits->lock);
}
