/* SPDX-License-Identifier: Apache-2.0
 * server.c: the threads that serve. Each listens, and runs a libmicrohttpd of its own.
 *
 * Who comes stands at the door first: what a connection begins with is looked at (head.c), and stays in the socket. Once a
 * request is here and well-formed, the connection is libmicrohttpd's; who begins with something else is told which byte is wrong,
 * and goes. So what never becomes a request costs no memory of a connection there. Over TLS nothing can be seen, and whoever
 * comes is let in. How long somebody may stand at the door is peer.c's to say: it shuts what comes from those that are late, and
 * they are told here where their request ended.
 *
 * A connection never changes its thread: libmicrohttpd takes one from another thread into a queue that knows no bound, and a
 * thread of its own that finds its places taken then never lets go of a lock (0.9.75). */
#include <errno.h>
#include <signal.h>
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

/* MEET_MAX: who is met in one turn, so that those who came at once are shared out among the threads. UNREAD_MAX: what is read and
 * dropped of one that was refused, for its answer would be lost if it were closed before. PAUSE_US: for so long nobody is met
 * where there is no place, or no descriptor, for another. ROUNDS_MAX: see serve(). */
enum { EVENTS = 64, MEET_MAX = 8, UNREAD_MAX = 1 << 20, PAUSE_US = 50000, ROUNDS_MAX = 64 };

/* Up to when a thread does what. */
enum { TAKES_NEW, SERVES, ENDS };

struct server {
	struct servers *all;
	struct MHD_Daemon *daemon;
	int epoll;
	bool listens;
	us_t listen_from_us; /* where it doesn't: from when on it does again */
	char *bytes;         /* HEAD_MAX: what somebody begins with; wiped after each, for a token may be in it */
	int wake;            /* eventfd, never read */
	_Atomic bool woken;  /* since the thread last looked at what there is to resume */
	pthread_t thread;
	bool runs;
};

struct servers {
	struct api *api;
	int listen;
	_Atomic int until;
	struct server each[THREADS];
};

static int watch(struct server *server, int how, int fd, uint32_t events, void *who)
{
	struct epoll_event event = {.events = events, .data.ptr = who};

	return epoll_ctl(server->epoll, how, fd, &event);
}

/* ---- At the door ---- */

/* A process that is being started may have the descriptor too, and then closing it doesn't take it out of epoll. */
static int take_out(struct server *server, struct peer *peer)
{
	int fd = peer->fd;

	watch(server, EPOLL_CTL_DEL, fd, 0, NULL);
	peer_leaves(&server->all->api->peers, peer);
	return fd;
}

static void send_away(struct server *server, struct peer *peer)
{
	close(take_out(server, peer));
}

static void let_in(struct server *server, int fd)
{
	/* Nobody asks for its address. Where it can't take it, it closes it. */
	struct sockaddr from = {.sa_family = AF_UNSPEC};

	MHD_add_connection(server->daemon, fd, &from, sizeof from);
}

static const char *reason_of(unsigned status)
{
	switch (status) {
	case MHD_HTTP_REQUEST_TIMEOUT: return "Request Timeout";
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

/* Answers with a problem document, to HEAD with its head alone. false: it couldn't. */
static bool refuse(struct server *server, struct peer *peer, bool is_head, unsigned status, const struct err *err)
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
	               status, reason_of(status), date, body_len, is_head ? 0 : (int)body_len, body);
	if (send(peer->fd, text, (size_t)len, MSG_NOSIGNAL) != len)
		return false;
	count_answer(server->all->api, NULL, status);
	shutdown(peer->fd, SHUT_WR);
	peer_is_refused(peer);
	return true;
}

/* Returns whether there is more to come, and to drop. */
static bool drop_some(struct server *server, struct peer *peer)
{
	ssize_t n;

	while (peer->unread < UNREAD_MAX) {
		n = recv(peer->fd, server->bytes, HEAD_MAX, 0);
		if (n <= 0)
			return n < 0 && errno == EAGAIN;
		sodium_memzero(server->bytes, (size_t)n);
		peer->unread += (size_t)n;
	}
	return false;
}

/* Whether somebody may come in, has to wait for more, or is refused: as head_check(), or -1: it is gone, or may as well be. */
static int look_at(struct server *server, struct peer *peer, bool ended)
{
	ssize_t n = recv(peer->fd, server->bytes, HEAD_MAX, MSG_PEEK);
	unsigned status = 0;
	struct err err = {0};
	int seen;

	if (n <= 0)
		return n < 0 && errno == EAGAIN ? HEAD_PART : -1;
	seen = head_check(server->bytes, (size_t)n, ended, &err, &status);
	if (seen < 0) {
		if (atomic_load(&peer->is_late)) /* what was wrong before was said before */
			status = MHD_HTTP_REQUEST_TIMEOUT;
		seen = refuse(server, peer, n > 5 && !memcmp(server->bytes, "HEAD ", 5), status, &err) ? HEAD_PART : -1;
	}
	sodium_memzero(server->bytes, (size_t)n);
	return seen;
}

/* Something came, or nothing comes any more (ended). */
static void attend(struct server *server, struct peer *peer, bool ended)
{
	int seen = peer->refused ? HEAD_PART : look_at(server, peer, ended);

	if (seen == HEAD_READY)
		let_in(server, take_out(server, peer));
	else if (seen < 0 || (peer->refused && !drop_some(server, peer)))
		send_away(server, peer);
	else if (seen == HEAD_BODY)
		peer_sends_body(peer);
}

/* Told of each arrival once, for what was looked at stays in the socket. */
static void meet(struct server *server, int fd)
{
	struct api *api = server->all->api;
	struct peer *peer = api->tls ? NULL : peer_comes(&api->peers, fd, true);

	if (api->tls)
		let_in(server, fd);
	else if (!peer)
		close(fd);
	else if (watch(server, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLRDHUP | EPOLLET, peer) < 0)
		send_away(server, peer);
}

/* ---- The threads ---- */

static void listen_or_not(struct server *server, bool listens)
{
	int fd = server->all->listen;

	if (listens == server->listens)
		return;
	if (listens ? watch(server, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLEXCLUSIVE, &server->all->listen) < 0
	            : watch(server, EPOLL_CTL_DEL, fd, 0, NULL) < 0)
		return;
	server->listens = listens;
	server->listen_from_us = wait_clock() + PAUSE_US;
}

static void meet_some(struct server *server)
{
	for (int i = 0; i < MEET_MAX; i++) {
		bool full = peers_are_full(&server->all->api->peers);
		int fd = full ? -1 : accept4(server->all->listen, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (full || (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)))
			listen_or_not(server, false);
		if (fd < 0)
			return;
		meet(server, fd);
	}
}

static int patience_ms(const struct server *server, bool may_listen)
{
	MHD_UNSIGNED_LONG_LONG ms;
	int least = may_listen && !server->listens ? PAUSE_US / 1000 : -1;

	if (MHD_get_timeout(server->daemon, &ms) == MHD_YES && (least < 0 || ms < (unsigned)least))
		least = ms < 3600000 ? (int)ms : 3600000;
	return least;
}

static void *serve(void *arg)
{
	struct server *server = arg;
	struct servers *all = server->all;
	struct epoll_event events[EVENTS];
	unsigned rounds = 0;
	sigset_t pipe;

	pthread_setname_np(pthread_self(), "http");
	/* Who closes while we write ends the writing, and not the daemon. */
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, NULL);
	for (int until; (until = atomic_load(&all->until)) != ENDS;) {
		int ms, n;
		bool at_once;

		if (until != TAKES_NEW)
			listen_or_not(server, false);
		else if (!server->listens && wait_clock() >= server->listen_from_us)
			listen_or_not(server, true);
		ms = patience_ms(server, until == TAKES_NEW);
		at_once = ms == 0;
		/* libmicrohttpd says "at once" for ever of a body that it can't go on with: the size of a chunk that doesn't end, and
		 * has filled its memory. Somebody who takes a long answer as fast as it is made looks the same, so it is a pause. */
		if (at_once && rounds >= ROUNDS_MAX)
			ms = 1;
		n = epoll_wait(server->epoll, events, EVENTS, ms);
		rounds = at_once && n == 0 ? rounds + 1 : 0;
		for (int i = 0; i < n; i++) {
			void *who = events[i].data.ptr;

			if (who == &all->listen)
				meet_some(server);
			else if (who)
				attend(server, who, events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
		}
		atomic_store(&server->woken, false);
		MHD_run(server->daemon);
	}
	return NULL;
}

/* What stays of libmicrohttpd's own options where there is no certificate is the end of the list. How many there may be is
 * peer.c's to count, for all of them together. */
static struct MHD_Daemon *start_daemon(struct api *api)
{
	struct MHD_OptionItem tls[] = {
		{MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)api->config.tls_cert},
		{MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)api->config.tls_key},
		{MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"},
		{MHD_OPTION_END, 0, NULL},
	};
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET;

	return MHD_start_daemon(api->tls ? flags | MHD_USE_TLS : flags, 0, NULL, NULL, on_request, api, MHD_OPTION_CONNECTION_LIMIT,
	                        (unsigned)CONNECTIONS_MAX * 2, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
	                        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S, MHD_OPTION_STRICT_FOR_CLIENT, 1,
	                        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_URI_LOG_CALLBACK, on_first_line, api,
	                        MHD_OPTION_NOTIFY_CONNECTION, on_connection, api, MHD_OPTION_NOTIFY_COMPLETED, on_completed, api,
	                        MHD_OPTION_ARRAY, api->tls ? tls : tls + 3, MHD_OPTION_END);
}

/* All but its thread: what wakes it looks at all of them. */
static int prepare(struct servers *all, struct server *server, struct err *err)
{
	const union MHD_DaemonInfo *info;

	server->all = all;
	server->bytes = mem_new(HEAD_MAX, 1);
	server->daemon = start_daemon(all->api);
	if (!server->daemon)
		return err_set(err, ERR_IO, "api", "can't serve: %s", strerror(errno));
	info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	server->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (server->epoll < 0 || server->wake < 0 || !info || watch(server, EPOLL_CTL_ADD, info->epoll_fd, EPOLLIN, NULL) < 0 ||
	    watch(server, EPOLL_CTL_ADD, server->wake, EPOLLIN | EPOLLET, NULL) < 0)
		return err_set(err, ERR_IO, "api", "epoll: %s", strerror(errno));
	return 0;
}

static int run(struct server *server, struct err *err)
{
	if (pthread_create(&server->thread, NULL, serve, server) != 0)
		return err_set(err, ERR_NOMEM, "api", "can't start a thread");
	server->runs = true;
	return 0;
}

/* Many that wake it before it looks are one. */
static void wake(struct server *server)
{
	if (!atomic_exchange(&server->woken, true))
		eventfd_write(server->wake, 1);
}

static void advance(struct servers *all, int until)
{
	atomic_store(&all->until, until);
	for (int i = 0; i < THREADS; i++)
		eventfd_write(all->each[i].wake, 1);
}

void servers_close(struct api *api)
{
	advance(api->servers, SERVES);
}

static void stop_one(struct server *server)
{
	if (server->runs)
		pthread_join(server->thread, NULL);
	if (server->daemon)
		MHD_stop_daemon(server->daemon);
	if (server->epoll >= 0)
		close(server->epoll);
	if (server->wake >= 0)
		close(server->wake);
	free(server->bytes);
}

void servers_stop(struct api *api)
{
	struct servers *all = api->servers;

	advance(all, ENDS);
	for (int i = 0; i < THREADS; i++)
		stop_one(&all->each[i]);
	close(all->listen);
	free(all);
	api->servers = NULL;
}

int servers_start(struct api *api, int fd, struct err *err)
{
	struct servers *all = mem_new(1, sizeof *all);
	int code = 0;

	all->api = api;
	all->listen = fd;
	api->servers = all;
	all->until = SERVES; /* nobody comes in before all of them run, for a failure of one ends them all */
	for (int i = 0; i < THREADS; i++)
		all->each[i].epoll = all->each[i].wake = -1;
	for (int i = 0; i < THREADS && !code; i++)
		code = prepare(all, &all->each[i], err);
	for (int i = 0; i < THREADS && !code; i++)
		code = run(&all->each[i], err);
	if (code < 0)
		servers_stop(api);
	else
		advance(all, TAKES_NEW);
	return code;
}

void servers_resume(struct api *api, struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_DAEMON);
	const struct MHD_Daemon *daemon = info ? info->daemon : NULL;

	MHD_resume_connection(connection);
	for (int i = 0; api->servers && i < THREADS; i++)
		if (api->servers->each[i].daemon == daemon)
			wake(&api->servers->each[i]);
}
