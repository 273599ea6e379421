/* SPDX-License-Identifier: Apache-2.0
 * door.c: who comes in. A thread of its own listens, and looks at what each connection begins with, without taking it from the
 * socket. Once the head of a request is here and well-formed, the connection is libmicrohttpd's; who begins with something else
 * is told which byte is wrong, and goes. So what never becomes a request costs no place and no memory of a connection there. Over
 * TLS nothing can be seen, and whoever comes is let through.
 *
 * How long somebody may stand here is peer.c's to say: it shuts the sockets of those that are late, and they end here like any
 * other whose client is gone. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "api/inside.h"
#include "base/mem.h"

/* UNREAD_MAX: what is read and dropped of one that was told what is wrong, for its answer would be lost if it were closed before.
 * PAUSE_MS: for so long nobody is let in where there is no room, or no descriptor, for another. */
enum { EVENTS = 64, UNREAD_MAX = 1 << 20, PAUSE_MS = 50 };

struct visitor {
	struct visitor *next, **place;
	struct peer *peer;
	int fd;
	bool told;
	size_t unread; /* bytes dropped since it was told */
};

struct door {
	struct api *api;
	struct visitor *list;
	int listen, epoll, stop;
	bool paused;
	char *bytes; /* HEAD_MAX: what a visitor begins with; wiped after each, for a token may be in it */
	pthread_t thread;
};

static int watch(struct door *door, int how, int fd, uint32_t events, void *who)
{
	struct epoll_event event = {.events = events, .data.ptr = who};

	return epoll_ctl(door->epoll, how, fd, &event);
}

/* ---- One visitor ---- */

static void forget(struct door *door, struct visitor *visitor)
{
	*visitor->place = visitor->next;
	if (visitor->next)
		visitor->next->place = visitor->place;
	peer_leaves(&door->api->peers, visitor->peer);
	free(visitor);
}

static void send_away(struct door *door, struct visitor *visitor)
{
	int fd = visitor->fd;

	forget(door, visitor);
	close(fd);
}

static void let_in(struct door *door, struct visitor *visitor)
{
	struct sockaddr_storage from;
	socklen_t size = sizeof from;
	int fd = visitor->fd;

	if (getpeername(fd, (struct sockaddr *)&from, &size) < 0) {
		send_away(door, visitor);
		return;
	}
	watch(door, EPOLL_CTL_DEL, fd, 0, NULL);
	forget(door, visitor);
	/* Where it can't, it closes it. */
	MHD_add_connection(door->api->daemon, fd, (struct sockaddr *)&from, size);
}

static const char *reason_of(unsigned status)
{
	switch (status) {
	case MHD_HTTP_CONTENT_TOO_LARGE: return "Content Too Large";
	case MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE: return "Request Header Fields Too Large";
	default: return "Bad Request";
	}
}

static void put_date(char *ret, size_t size)
{
	time_t now = time(NULL);
	struct tm utc;

	if (!gmtime_r(&now, &utc) || !strftime(ret, size, "%a, %d %b %Y %H:%M:%S GMT", &utc))
		*ret = 0;
}

/* Answers with a problem document. false: it couldn't. */
static bool tell(struct door *door, struct visitor *visitor, unsigned status, const struct err *err)
{
	json_t *json = problem_json(err, status);
	char body[2048], text[2560], date[64];
	size_t body_len = json ? json_dumpb(json, body, sizeof body, JSON_COMPACT) : 0;
	int len;

	json_decref(json);
	if (!body_len || body_len > sizeof body)
		return false; /* no memory */
	put_date(date, sizeof date);
	len = snprintf(text, sizeof text,
	               "HTTP/1.1 %u %s\r\nDate: %s\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
	               "Content-Length: %zu\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n\r\n%.*s",
	               status, reason_of(status), date, body_len, (int)body_len, body);
	if (send(visitor->fd, text, (size_t)len, MSG_NOSIGNAL) != len)
		return false;
	count_answer(door->api, NULL, status);
	shutdown(visitor->fd, SHUT_WR);
	visitor->told = true;
	peer_is_told(visitor->peer);
	return true;
}

/* Returns whether there is more to come, and to drop. */
static bool drop_some(struct door *door, struct visitor *visitor)
{
	ssize_t n;

	do {
		n = recv(visitor->fd, door->bytes, HEAD_MAX, 0);
		visitor->unread += n > 0 ? (size_t)n : 0;
	} while (n > 0 && visitor->unread < UNREAD_MAX);
	return n < 0 && errno == EAGAIN;
}

/* ended: it sends nothing more. */
static void look_at(struct door *door, struct visitor *visitor, bool ended)
{
	struct err err = {0};
	unsigned status = 0;
	bool stays = true;
	int code = 0;

	if (!visitor->told) {
		ssize_t n = recv(visitor->fd, door->bytes, HEAD_MAX, MSG_PEEK);

		stays = n > 0 || (n < 0 && errno == EAGAIN);
		code = n > 0 ? head_check(door->bytes, (size_t)n, ended, &err, &status) : 0;
		stays = code < 0 ? tell(door, visitor, status, &err) : stays;
	}
	if (stays && visitor->told)
		stays = drop_some(door, visitor);
	sodium_memzero(door->bytes, HEAD_MAX);
	if (code > 0)
		let_in(door, visitor);
	else if (!stays)
		send_away(door, visitor);
}

/* ---- The thread ---- */

static void meet(struct door *door, int fd)
{
	struct visitor *visitor = calloc(1, sizeof *visitor);

	if (visitor)
		visitor->peer = peer_comes(&door->api->peers, fd);
	if (!visitor || !visitor->peer) {
		free(visitor);
		close(fd);
		return;
	}
	visitor->fd = fd;
	visitor->next = door->list;
	visitor->place = &door->list;
	if (visitor->next)
		visitor->next->place = &visitor->next;
	door->list = visitor;
	if (door->api->tls)
		let_in(door, visitor);
	/* Told of each arrival once: what is looked at stays in the socket. */
	else if (watch(door, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLRDHUP | EPOLLET, visitor) < 0)
		send_away(door, visitor);
}

static void pause_or_go_on(struct door *door, bool pause)
{
	if (pause != door->paused && watch(door, EPOLL_CTL_MOD, door->listen, pause ? 0 : EPOLLIN, &door->listen) == 0)
		door->paused = pause;
}

/* Some of those that came; between them, those that are here already are looked at. */
static void meet_some(struct door *door)
{
	for (int i = 0; i < EVENTS; i++) {
		bool full = peers_are_full(&door->api->peers);
		int fd = full ? -1 : accept4(door->listen, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (full || (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)))
			pause_or_go_on(door, true);
		if (fd < 0)
			return;
		meet(door, fd);
	}
}

static void *attend(void *arg)
{
	struct door *door = arg;
	struct epoll_event events[EVENTS];

	for (bool stopping = false; !stopping;) {
		int n = epoll_wait(door->epoll, events, EVENTS, door->paused ? PAUSE_MS : -1);

		pause_or_go_on(door, false);
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == &door->stop)
				stopping = true;
			else if (events[i].data.ptr == &door->listen)
				meet_some(door);
			else
				look_at(door, events[i].data.ptr, events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
		}
	}
	return NULL;
}

static struct door *door_free(struct door *door)
{
	while (door->list)
		send_away(door, door->list);
	if (door->epoll >= 0)
		close(door->epoll);
	if (door->stop >= 0)
		close(door->stop);
	free(door->bytes);
	free(door);
	return NULL;
}

int door_open(struct api *api, int fd, struct door **ret, struct err *err)
{
	struct door *door = mem_new(1, sizeof *door);

	door->api = api;
	door->listen = fd;
	door->bytes = mem_new(HEAD_MAX, 1);
	door->epoll = epoll_create1(EPOLL_CLOEXEC);
	door->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (door->epoll < 0 || door->stop < 0 || watch(door, EPOLL_CTL_ADD, fd, EPOLLIN, &door->listen) < 0 ||
	    watch(door, EPOLL_CTL_ADD, door->stop, EPOLLIN, &door->stop) < 0) {
		err_set(err, ERR_IO, "api", "epoll: %s", strerror(errno));
		door_free(door);
		return ERR_IO;
	}
	if (pthread_create(&door->thread, NULL, attend, door) != 0) {
		door_free(door);
		return err_set(err, ERR_NOMEM, "api", "can't start a thread");
	}
	*ret = door;
	return 0;
}

struct door *door_close(struct door *door)
{
	int fd;

	if (!door)
		return NULL;
	eventfd_write(door->stop, 1);
	pthread_join(door->thread, NULL);
	fd = door->listen;
	door_free(door);
	close(fd);
	return NULL;
}
