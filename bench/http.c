/* SPDX-License-Identifier: Apache-2.0
 * http.c: a kept-alive connection; see http.h. */
#include "http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "measure.h"

enum { READ_BYTES = 65536, PATIENCE_MS = 30000 };

void target_read(struct target *target, const char *listen, const char *token_file)
{
	FILE *file = fopen(token_file, "re");
	const char *colon = strrchr(listen, ':');

	if (!file || !fgets(target->token, sizeof target->token, file))
		die("%s: can't read the token", token_file);
	fclose(file);
	target->token[strcspn(target->token, "\n")] = 0;
	if (!colon || (size_t)(colon - listen) >= sizeof target->address)
		die("%s: expected ADDRESS:PORT", listen);
	memcpy(target->address, listen, (size_t)(colon - listen));
	target->address[colon - listen] = 0;
	target->port = (uint16_t)strtoul(colon + 1, NULL, 10);
}

void http_open(struct http *http, const struct target *target)
{
	struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(target->port)};
	int one = 1;

	*http = (struct http){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	if (http->fd < 0 || inet_pton(AF_INET, target->address, &where.sin_addr) != 1 ||
	    connect(http->fd, (struct sockaddr *)&where, sizeof where) < 0)
		die("%s:%u: %s", target->address, target->port, strerror(errno));
	setsockopt(http->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

void http_close(struct http *http)
{
	close(http->fd);
	free(http->out);
	free(http->in);
	*http = (struct http){.fd = -1};
}

static void make_room(char **bytes, size_t *cap, size_t wanted)
{
	if (wanted <= *cap)
		return;
	*cap = wanted * 2;
	*bytes = realloc(*bytes, *cap);
	if (!*bytes)
		die("out of memory");
}

void http_begin(struct http *http, const struct target *target, const char *method, const char *path, const char *body,
                size_t body_len)
{
	int head;

	make_room(&http->out, &http->out_cap, HTTP_HEAD_MAX + body_len);
	head = snprintf(http->out, HTTP_HEAD_MAX,
	                "%s %s HTTP/1.1\r\nHost: %s:%u\r\nAuthorization: Bearer %s\r\n"
	                "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
	                method, path, target->address, target->port, target->token, body_len);
	if (head < 0 || head >= HTTP_HEAD_MAX)
		die("a request's head is over %d bytes", HTTP_HEAD_MAX);
	if (body_len)
		memcpy(http->out + head, body, body_len);
	http->out_len = (size_t)head + body_len;
	http->out_sent = http->in_len = http->head_len = 0;
}

bool http_send(struct http *http)
{
	while (http->out_sent < http->out_len) {
		ssize_t n = send(http->fd, http->out + http->out_sent, http->out_len - http->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return false;
		if (n < 0)
			die("sending: %s", strerror(errno));
		http->out_sent += (size_t)n;
	}
	return true;
}

static void read_head(struct http *http)
{
	const char *end = memmem(http->in, http->in_len, "\r\n\r\n", 4), *length;

	if (!end)
		return;
	http->head_len = (size_t)(end - http->in) + 4;
	length = strcasestr(http->in, "\r\nContent-Length:");
	if (!length || length > end)
		die("an answer without its length: %.80s", http->in);
	http->body_len = strtoul(length + 17, NULL, 10);
}

bool http_receive(struct http *http)
{
	for (;;) {
		ssize_t n;

		make_room(&http->in, &http->in_cap, http->in_len + READ_BYTES + 1);
		n = recv(http->fd, http->in + http->in_len, READ_BYTES, MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return false;
		if (n <= 0)
			die("the daemon closed a connection: %s", n < 0 ? strerror(errno) : "at the end");
		http->in_len += (size_t)n;
		http->in[http->in_len] = 0;
		if (!http->head_len)
			read_head(http);
		if (http->head_len && http->in_len >= http->head_len + http->body_len)
			return true;
	}
}

int http_status(const struct http *http)
{
	return http->in_len > 12 ? atoi(http->in + 9) : 0;
}

const char *http_body(const struct http *http)
{
	return http->in + http->head_len;
}

static void wait_for(const struct http *http, short events)
{
	struct pollfd fd = {.fd = http->fd, .events = events};

	if (poll(&fd, 1, PATIENCE_MS) != 1)
		die("no answer within %d s", PATIENCE_MS / 1000);
}

int http_ask(struct http *http, const struct target *target, const char *method, const char *path, const char *body)
{
	http_begin(http, target, method, path, body, body ? strlen(body) : 0);
	while (!http_send(http))
		wait_for(http, POLLOUT);
	while (!http_receive(http))
		wait_for(http, POLLIN);
	return http_status(http);
}
