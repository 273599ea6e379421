/* SPDX-License-Identifier: Apache-2.0
 * peer.c: who is connected, and until when each must have done what it is at.
 *
 * libmicrohttpd drops a connection on which nothing moves. A client that sends a byte a second is never idle, so each phase of a
 * request has an end here as well, and a thread of its own shuts the socket of those that are past it; the server's thread
 * then sees the end of the stream, and closes it as it would any other. At the door only what comes is shut at first, so that
 * it can still be told that it was late, but in a crowd, where its place is needed. While a request waits for the daemon, it has
 * no end.
 *
 * Invariant: a socket in the list is open, for it leaves the list before it is closed, under the lock. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/inside.h"

/* HEAD: from the connection, or from a request's first line, to the end of its head. The rates are what a sender, or a reader,
 * must keep up with after its first grace. CROWDED: what a head may take where most places are taken. */
enum {
	HEAD_US = 10000000,
	CROWDED_HEAD_US = 1000000,
	BODY_GRACE_US = 20000000,
	ANSWER_GRACE_US = 60000000,
	REFUSED_US = 1000000,
	BYTES_PER_MS_MIN = 32,
	LOOK_EVERY_US = 250000,
	CROWD = CONNECTIONS_MAX / 4 * 3
};

static us_t allowance(us_t grace_us, uint64_t bytes)
{
	return grace_us + (us_t)(bytes / BYTES_PER_MS_MIN) * 1000;
}

static void expect_head(struct peer *peer, us_t now_us, us_t within_us)
{
	atomic_store(&peer->due_us, now_us + within_us);
	atomic_store(&peer->since_us, now_us);
}

struct peer *peer_comes(struct peers *peers, int fd, bool at_door)
{
	struct peer *peer = calloc(1, sizeof *peer);

	if (!peer)
		return NULL;
	peer->fd = fd;
	peer->at_door = at_door;
	expect_head(peer, wait_clock(), HEAD_US);
	pthread_mutex_lock(&peers->lock);
	peer->next = peers->list;
	peer->place = &peers->list;
	if (peer->next)
		peer->next->place = &peer->next;
	peers->list = peer;
	peers->n++;
	pthread_mutex_unlock(&peers->lock);
	return peer;
}

void peer_leaves(struct peers *peers, struct peer *peer)
{
	pthread_mutex_lock(&peers->lock);
	*peer->place = peer->next;
	if (peer->next)
		peer->next->place = peer->place;
	peers->n--;
	pthread_mutex_unlock(&peers->lock);
	free(peer);
}

void on_connection(void *ctx, struct MHD_Connection *connection, void **state, enum MHD_ConnectionNotificationCode what)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct api *api = ctx;

	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		*state = info ? peer_comes(&api->peers, info->connect_fd, false) : NULL;
	else if (*state)
		peer_leaves(&api->peers, *state);
}

bool peers_are_full(struct peers *peers)
{
	bool full;

	pthread_mutex_lock(&peers->lock);
	full = peers->n >= CONNECTIONS_MAX;
	pthread_mutex_unlock(&peers->lock);
	return full;
}

static struct peer *peer_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

void peer_begins(struct MHD_Connection *connection)
{
	struct peer *peer = peer_of(connection);

	if (peer)
		atomic_store(&peer->due_us, wait_clock() + HEAD_US);
}

void peer_sends(struct exchange *ex)
{
	struct peer *peer = peer_of(ex->connection);

	if (!peer)
		return;
	atomic_store(&peer->since_us, US_NEVER);
	atomic_store(&peer->due_us, ex->began_us + allowance(BODY_GRACE_US, ex->body_read));
}

void peer_waits(struct exchange *ex)
{
	struct peer *peer = peer_of(ex->connection);

	if (!peer)
		return;
	atomic_store(&peer->since_us, US_NEVER);
	atomic_store(&peer->due_us, US_NEVER);
}

void peer_takes(struct exchange *ex, size_t bytes)
{
	struct peer *peer = peer_of(ex->connection);

	if (!peer)
		return;
	atomic_store(&peer->since_us, US_NEVER);
	atomic_store(&peer->due_us, wait_clock() + allowance(ANSWER_GRACE_US, bytes));
}

void peer_rests(struct MHD_Connection *connection)
{
	struct peer *peer = peer_of(connection);

	if (peer)
		expect_head(peer, wait_clock(), (us_t)IDLE_TIMEOUT_S * US_SECOND + HEAD_US);
}

/* It has a moment, for whatever is left to do. */
static void end_soon(struct peer *peer)
{
	atomic_store(&peer->since_us, US_NEVER);
	atomic_store(&peer->due_us, wait_clock() + REFUSED_US);
}

void peer_is_refused(struct peer *peer)
{
	peer->refused = true;
	end_soon(peer);
}

void peer_sends_body(struct peer *peer)
{
	if (atomic_exchange(&peer->since_us, US_NEVER) != US_NEVER)
		atomic_store(&peer->due_us, wait_clock() + BODY_GRACE_US);
}

/* ---- The thread ---- */

static bool is_past(const struct peer *peer, us_t now_us, bool crowded)
{
	us_t since_us = atomic_load(&peer->since_us);

	return now_us >= atomic_load(&peer->due_us) || (crowded && since_us != US_NEVER && now_us - since_us >= CROWDED_HEAD_US);
}

/* The lock is held. */
static void shut_late_ones(struct peers *peers)
{
	us_t now_us = wait_clock();
	bool crowded = peers->n > CROWD;

	for (struct peer *peer = peers->list; peer; peer = peer->next) {
		if (peer->is_shut || !is_past(peer, now_us, crowded))
			continue;
		peer->is_shut = !peer->at_door || crowded || atomic_exchange(&peer->is_late, true);
		if (!peer->is_shut)
			end_soon(peer);
		shutdown(peer->fd, peer->is_shut ? SHUT_RDWR : SHUT_RD);
	}
}

static void *watch_peers(void *arg)
{
	struct peers *peers = arg;

	pthread_setname_np(pthread_self(), "peers");
	pthread_mutex_lock(&peers->lock);
	while (!peers->stopping) {
		struct timespec until;

		shut_late_ones(peers);
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += LOOK_EVERY_US * 1000L;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&peers->stop, &peers->lock, &until);
	}
	pthread_mutex_unlock(&peers->lock);
	return NULL;
}

int peers_start(struct peers *peers, struct err *err)
{
	pthread_condattr_t attr;

	*peers = (struct peers){0};
	pthread_mutex_init(&peers->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&peers->stop, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&peers->thread, NULL, watch_peers, peers) != 0)
		return err_set(err, ERR_NOMEM, "api", "can't start a thread");
	return 0;
}

void peers_stop(struct peers *peers)
{
	pthread_mutex_lock(&peers->lock);
	peers->stopping = true;
	pthread_cond_signal(&peers->stop);
	pthread_mutex_unlock(&peers->lock);
	pthread_join(peers->thread, NULL);
}

void peers_done(struct peers *peers)
{
	while (peers->list) {
		int fd = peers->list->fd;

		peer_leaves(peers, peers->list);
		close(fd);
	}
	pthread_cond_destroy(&peers->stop);
	pthread_mutex_destroy(&peers->lock);
}
