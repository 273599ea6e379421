/* SPDX-License-Identifier: Apache-2.0
 * api.c: listening, serving and stopping; see api.h. */
#include "api/api.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/inside.h"
#include "base/mem.h"

enum { BACKLOG = 1024 };

/* ---- The address ---- */

/* Fills a socket address. Returns its size, or a negative code. */
static int read_address(const char *text, uint16_t port, bool *ret_loopback, struct sockaddr_storage *ret, struct err *err)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof *ret);
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		*ret_loopback = ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
		return sizeof *v4;
	}
	if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		*ret_loopback = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
		return sizeof *v6;
	}
	return err_set(err, ERR_INVALID, "listen", "\"%.60s\": expected an IP address or localhost", text);
}

/* The same where it may be listened on: beyond loopback only with TLS. */
static int allowed_address(const char *text, uint16_t port, bool tls, bool *ret_loopback, struct sockaddr_storage *ret,
                           struct err *err)
{
	int code = read_address(text, port, ret_loopback, ret, err);

	if (code < 0 || tls || *ret_loopback)
		return code;
	return err_set(err, ERR_UNSUPPORTED, "listen",
	               "\"%.60s\": beyond loopback only with --tls-cert and --tls-key; or forward a port of 127.0.0.1 over SSH",
	               text);
}

int api_parse_listen(const char *text, bool tls, char *address, uint16_t *ret_port, struct err *err)
{
	const char *colon = strrchr(text, ':'), *from = text;
	size_t len = colon ? (size_t)(colon - text) : 0;
	unsigned long port;
	struct sockaddr_storage where;
	bool loopback;
	char *end;
	int code;

	if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
		from++;
		len -= 2;
	}
	port = colon && colon[1] >= '0' && colon[1] <= '9' ? strtoul(colon + 1, &end, 10) : UINT16_MAX + 1ul;
	if (!len || len >= 64 || port > UINT16_MAX || *end)
		return err_set(err, ERR_INVALID, "listen", "\"%.100s\": expected ADDR:PORT, such as 127.0.0.1:7480", text);
	memcpy(address, from, len);
	address[len] = 0;
	if (!strcmp(address, "localhost"))
		strcpy(address, "127.0.0.1");
	code = allowed_address(address, (uint16_t)port, tls, &loopback, &where, err);
	if (code < 0)
		return code;
	*ret_port = (uint16_t)port;
	return 0;
}

static int listen_on(struct api *api, struct err *err)
{
	const char *address = api->config.address;
	uint16_t port = api->config.port;
	struct sockaddr_storage where;
	socklen_t size;
	bool loopback;
	int code = allowed_address(address, port, api->tls, &loopback, &where, err), fd, one = 1;

	if (code < 0)
		return code;
	api->reads_need_token = !loopback;
	size = (socklen_t)code;
	fd = socket(where.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(err, ERR_IO, "listen", "socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&where, size) < 0 || listen(fd, BACKLOG) < 0) {
		code = err_set(err, errno == EADDRINUSE ? ERR_CONFLICT : ERR_IO, "listen", "%s port %u: %s", address, port,
		               strerror(errno));
		close(fd);
		return code;
	}
	size = sizeof where;
	getsockname(fd, (struct sockaddr *)&where, &size);
	api->port = ntohs(where.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&where)->sin6_port
	                                              : ((struct sockaddr_in *)&where)->sin_port);
	return fd;
}

/* ---- Starting and stopping ---- */

static void stop_threads(struct api *api)
{
	waits_stop(&api->waits, api->service);
	peers_stop(&api->peers);
}

static int start_threads(struct api *api, struct err *err)
{
	int code = waits_start(api, err);

	if (code < 0)
		return code;
	code = peers_start(&api->peers, err);
	if (code < 0) {
		waits_stop(&api->waits, api->service);
		waits_done(&api->waits);
	}
	return code;
}

static struct api *api_free(struct api *api)
{
	tls_close(api->tls);
	pthread_mutex_destroy(&api->digest_lock);
	free(api);
	return NULL;
}

/* Everything but the certificate. */
static int start(struct api *api, struct err *err)
{
	bool v6 = strchr(api->config.address, ':');
	int fd = listen_on(api, err), code = fd < 0 ? fd : start_threads(api, err);

	if (code < 0) {
		if (fd >= 0)
			close(fd);
		return code;
	}
	snprintf(api->host, sizeof api->host, v6 ? "[%s]" : "%s", api->config.address);
	snprintf(api->url, sizeof api->url, "%s://%s:%u", api->tls ? "https" : "http", api->host, api->port);
	code = servers_start(api, fd, err);
	if (code < 0) {
		stop_threads(api);
		waits_done(&api->waits);
		peers_done(&api->peers);
	}
	return code;
}

int api_start(const struct api_config *config, struct api **ret, struct err *err)
{
	struct api *api = mem_new(1, sizeof *api);
	int code = 0;

	api->config = *config;
	api->service = config->service;
	api->digest_sequence = UINT64_MAX;
	pthread_mutex_init(&api->digest_lock, NULL);
	if (config->tls_cert)
		code = tls_open(config->tls_cert, config->tls_key, &api->tls, err);
	if (!code)
		code = start(api, err);
	if (code < 0) {
		api_free(api);
		return code;
	}
	*ret = api;
	return 0;
}

int api_check_tls(const char *cert, const char *key, struct err *err)
{
	struct tls *tls;
	int code = tls_open(cert, key, &tls, err);

	if (!code)
		tls_close(tls);
	return code;
}

const char *api_url(const struct api *api)
{
	return api->url;
}

uint16_t api_port(const struct api *api)
{
	return api->port;
}

struct api *api_stop(struct api *api)
{
	if (!api)
		return NULL;
	servers_close(api);
	/* A suspended connection must not be there when libmicrohttpd stops: all are resumed, and none waits again. */
	stop_threads(api);
	for (int ms = 0; ms < STOP_PATIENCE_MS && atomic_load(&api->exchanges); ms++)
		usleep(1000);
	servers_stop(api);
	waits_done(&api->waits);
	peers_done(&api->peers);
	return api_free(api);
}
