/* SPDX-License-Identifier: Apache-2.0
 * auth.c: who may ask. Host and Origin are checked on every request, so that a web page can't reach the daemon
 * through a name of its own (DNS rebinding) or from another site; writes need the token. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/inside.h"

/* Whether text is one of the names that are always ours, or one that our certificate is for. */
static bool is_our_name(const struct api *api, const char *text, size_t len)
{
	const char *const names[] = {"localhost", "127.0.0.1", "[::1]", api->host};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strlen(names[i]) == len && !strncasecmp(text, names[i], len))
			return true;
	return api->tls && tls_names(api->tls, text, len);
}

bool auth_is_our_host(const struct api *api, const char *text, size_t len)
{
	const unsigned scheme_port = api->tls ? 443 : 80;
	char port[8];
	size_t port_len = (size_t)snprintf(port, sizeof port, ":%u", api->port);

	if (len > port_len && !memcmp(text + len - port_len, port, port_len))
		return is_our_name(api, text, len - port_len);
	return api->port == scheme_port && is_our_name(api, text, len);
}

int auth_check_site(const struct exchange *ex, struct err *err, unsigned *ret_status)
{
	const char *host = exchange_header(ex, "Host"), *origin = exchange_header(ex, "Origin");
	const char *scheme = ex->api->tls ? "https://" : "http://";
	size_t len = strlen(scheme);

	*ret_status = MHD_HTTP_FORBIDDEN;
	if (!host || !auth_is_our_host(ex->api, host, strlen(host)))
		return err_set(err, ERR_DENIED, "Host", "\"%.100s\": expected %s:%u or localhost:%u%s", host ? host : "", ex->api->host,
		               ex->api->port, ex->api->port, ex->api->tls ? ", or a name that the certificate is for" : "");
	if (origin && (strncmp(origin, scheme, len) != 0 || !auth_is_our_host(ex->api, origin + len, strlen(origin + len))))
		return err_set(err, ERR_DENIED, "Origin", "\"%.100s\": another site may not use this daemon", origin);
	return 0;
}

static bool has_token(const struct exchange *ex)
{
	const char *value = exchange_header(ex, "Authorization");

	if (!value || strncasecmp(value, "Bearer ", 7) != 0 || strlen(value + 7) != TOKEN_SIZE - 1)
		return false;
	return sodium_memcmp(value + 7, ex->api->config.token, TOKEN_SIZE - 1) == 0;
}

static bool needs_token(const struct exchange *ex)
{
	return (ex->route->flags & NEEDS_TOKEN) || (ex->api->reads_need_token && !(ex->route->flags & OPEN));
}

static const char *const media_types[] = {"application/json", "application/yaml", "text/yaml", "application/x-yaml"};

static bool is_media_type(const char *value)
{
	size_t len = strcspn(value, "; \t");

	for (size_t i = 0; i < sizeof media_types / sizeof *media_types; i++)
		if (strlen(media_types[i]) == len && !strncasecmp(value, media_types[i], len))
			return true;
	return false;
}

/* Whether something is sent that must say what it is. */
static bool sends_body(const struct exchange *ex)
{
	const char *length = exchange_header(ex, "Content-Length");

	if (!(ex->route->flags & MAY_HAVE_BODY))
		return ex->route->flags & TAKES_BODY;
	return exchange_header(ex, "Transfer-Encoding") || (length && length[strspn(length, "0")]);
}

int auth_check_caller(struct exchange *ex, struct err *err, unsigned *ret_status)
{
	const char *type = exchange_header(ex, "Content-Type"), *user = exchange_header(ex, "Suan-User");

	*ret_status = MHD_HTTP_UNAUTHORIZED;
	if (needs_token(ex) && !has_token(ex))
		return err_set(err, ERR_DENIED, "Authorization",
		               "expected \"Bearer TOKEN\" with the token that the daemon keeps in its state "
		               "directory and in its user's configuration directory");
	*ret_status = MHD_HTTP_UNSUPPORTED_MEDIA_TYPE;
	if (strcmp(ex->route->method, "POST") == 0 && (type || sends_body(ex)) && (!type || !is_media_type(type)))
		return err_set(err, ERR_INVALID, "Content-Type", "\"%.100s\": expected application/json or application/yaml",
		               type ? type : "");
	*ret_status = MHD_HTTP_BAD_REQUEST;
	if (user && !spec_name_ok(user))
		return err_set(err, ERR_INVALID, "Suan-User", "\"%.100s\": expected 1 to %d bytes without control characters or quotes",
		               user, NAME_LEN_MAX);
	ex->user = user ? user : ex->api->config.user;
	return 0;
}
