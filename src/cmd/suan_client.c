/* SPDX-License-Identifier: Apache-2.0
 * suan_client.c: talking to the daemon over HTTP with libcurl; see suan_client.h.
 *
 * The token goes to the address that SUAN_URL names and nowhere else: redirects aren't followed, a proxy isn't used
 * for this machine itself, and in the clear it goes to loopback only. */
#include "cmd/suan_client.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/suan_print.h"

#define URL_DEFAULT "http://127.0.0.1:7480"

enum { ANSWER_BYTES_MAX = 512 << 20, TOKEN_LEN_MAX = 512, CONNECT_TIMEOUT_S = 10 };

struct client {
	CURL *curl;
	char *url;  /* scheme, host and port, without a slash at its end */
	char *host; /* as in the URL, brackets and all */
	char *port;
	bool secure;                   /* https */
	const char *cacert;            /* SUAN_CACERT: whom to trust instead of the machine's own list; NULL: that */
	char token[TOKEN_LEN_MAX + 1]; /* "" for none */
	char user[64];
};

/* One answer being received. */
struct receiving {
	CURL *curl;
	const struct call *call;
	struct answer *answer;
	bool too_large, stopped;
};

/* ---- Where the daemon is, and what it knows us by ---- */

static bool is_loopback(const char *host)
{
	return !strcmp(host, "localhost") || !strcmp(host, "[::1]") ||
	       (!strncmp(host, "127.", 4) && strspn(host, "0123456789.") == strlen(host));
}

static char *url_part(CURLU *parsed, CURLUPart part)
{
	char *text = NULL;

	if (curl_url_get(parsed, part, &text, part == CURLUPART_PORT ? CURLU_DEFAULT_PORT : 0) != CURLUE_OK)
		return NULL;
	return text;
}

static int check_url(struct client *client, CURLU *parsed, const char *url, struct err *err)
{
	static const CURLUPart unwanted[] = {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY, CURLUPART_FRAGMENT};
	char *scheme;

	/* The URL itself isn't quoted where it may hold a password. */
	for (unsigned i = 0; i < sizeof unwanted / sizeof *unwanted; i++) {
		char *part = url_part(parsed, unwanted[i]);

		curl_free(part);
		if (part)
			return err_set(err, ERR_INVALID, "SUAN_URL",
			               "expected http://HOST:PORT or https://HOST:PORT, without user, password or query");
	}
	scheme = url_part(parsed, CURLUPART_SCHEME);
	client->host = url_part(parsed, CURLUPART_HOST);
	client->port = url_part(parsed, CURLUPART_PORT);
	client->secure = scheme && !strcmp(scheme, "https");
	if (!scheme || !client->host || !client->port || (!client->secure && strcmp(scheme, "http") != 0))
		err_set(err, ERR_INVALID, "SUAN_URL", "\"%.200s\": expected http://HOST:PORT or https://HOST:PORT", url);
	else
		err->code = 0;
	curl_free(scheme);
	return err->code;
}

static int read_url(struct client *client, struct err *err)
{
	const char *url = getenv("SUAN_URL");
	CURLU *parsed = curl_url();
	size_t len;
	int rc;

	if (!url || !*url)
		url = URL_DEFAULT;
	if (!parsed)
		return err_set(err, ERR_NOMEM, "SUAN_URL", "out of memory");
	if (curl_url_set(parsed, CURLUPART_URL, url, 0) != CURLUE_OK)
		rc = err_set(err, ERR_INVALID, "SUAN_URL", "expected http://HOST:PORT or https://HOST:PORT");
	else
		rc = check_url(client, parsed, url, err);
	curl_url_cleanup(parsed);
	client->url = mem_strdup(url);
	for (len = strlen(client->url); len && client->url[len - 1] == '/'; len--)
		client->url[len - 1] = 0;
	return rc;
}

/* A token goes into a header as it is: anything but visible ASCII would let it be more than one. */
static int take_token(struct client *client, const char *text, size_t len, const char *source, struct err *err)
{
	while (len && strchr(" \t\r\n", text[len - 1]))
		len--;
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return err_set(err, ERR_INVALID, source, "a token has no blanks or control characters");
	if (len > TOKEN_LEN_MAX)
		return err_set(err, ERR_INVALID, source, "a token has at most %d characters", TOKEN_LEN_MAX);
	memcpy(client->token, text, len);
	client->token[len] = 0;
	return 0;
}

/* Reads the token file for `host`, if there is one. Returns 1 where it was found, 0 where not. */
static int read_token_file(struct client *client, const char *host, struct err *err)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	char path[4096], text[TOKEN_LEN_MAX + 2];
	ssize_t len;
	int fd;

	if (config && config[0] == '/')
		snprintf(path, sizeof path, "%s/suan/tokens/%s_%s", config, host, client->port);
	else
		snprintf(path, sizeof path, "%s/.config/suan/tokens/%s_%s", home ? home : "", host, client->port);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : err_set(err, ERR_INVALID, path, "%s", strerror(errno));
	len = read(fd, text, sizeof text);
	close(fd);
	if (len < 0)
		return err_set(err, ERR_INVALID, path, "%s", strerror(errno));
	return take_token(client, text, (size_t)len, path, err) < 0 ? err->code : 1;
}

/* SUAN_TOKEN, else the file that the daemon left: named by its address as SUAN_URL has it, or by the address that
 * localhost is. */
static int read_token(struct client *client, struct err *err)
{
	const char *given = getenv("SUAN_TOKEN"), *bare = client->host + (client->host[0] == '[');
	char host[256];
	int rc;

	if (given && *given)
		return take_token(client, given, strlen(given), "SUAN_TOKEN", err);
	/* The daemon names the file by the address that it listens on, without brackets. */
	snprintf(host, sizeof host, "%.*s", (int)strcspn(bare, "]/"), bare);
	rc = read_token_file(client, host, err);
	if (rc == 0 && !strcmp(host, "localhost"))
		rc = read_token_file(client, "127.0.0.1", err);
	if (rc == 0 && !strcmp(host, "localhost"))
		rc = read_token_file(client, "::1", err);
	return rc < 0 ? rc : 0;
}

/* Who asks, for the record: the login name, where it can stand in a header. */
static void read_user(struct client *client)
{
	const struct passwd *pw = getpwuid(getuid());
	const char *name = pw ? pw->pw_name : "";

	for (const char *p = name; *p; p++)
		if (*p <= ' ' || *p > '~')
			name = "";
	snprintf(client->user, sizeof client->user, "%s", name);
}

int client_open(struct client **ret, struct err *err)
{
	struct client *client = mem_new(1, sizeof *client);

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(client->curl = curl_easy_init())) {
		client_close(client);
		return err_set(err, ERR_NOMEM, NULL, "libcurl can't be started");
	}
	if (read_url(client, err) < 0 || read_token(client, err) < 0) {
		client_close(client);
		return err->code;
	}
	if (*client->token && !client->secure && !is_loopback(client->host)) {
		client_close(client);
		return err_set(err, ERR_INVALID, "SUAN_URL", "the token isn't sent in the clear to another machine: expected https://");
	}
	client->cacert = getenv("SUAN_CACERT");
	if (client->cacert && !*client->cacert)
		client->cacert = NULL;
	read_user(client);
	*ret = client;
	return 0;
}

struct client *client_close(struct client *client)
{
	if (!client)
		return NULL;
	curl_easy_cleanup(client->curl);
	curl_free(client->host);
	curl_free(client->port);
	free(client->url);
	explicit_bzero(client->token, sizeof client->token);
	free(client);
	curl_global_cleanup();
	return NULL;
}

const char *client_url(const struct client *client)
{
	return client->url;
}

char *client_escape(struct client *client, const char *text)
{
	char *escaped = curl_easy_escape(client->curl, text, 0), *ret = mem_strdup(escaped ? escaped : "");

	curl_free(escaped);
	return ret;
}

/* ---- One request ---- */

static size_t on_body(char *bytes, size_t size, size_t n, void *ctx)
{
	struct receiving *receiving = ctx;
	long status = 0;

	n *= size;
	curl_easy_getinfo(receiving->curl, CURLINFO_RESPONSE_CODE, &status);
	if (receiving->call->sink && status == 200) {
		if (receiving->call->sink(receiving->call->ctx, bytes, n) < 0) {
			receiving->stopped = true;
			return 0;
		}
		return n;
	}
	if (receiving->answer->body.len + n > ANSWER_BYTES_MAX) {
		receiving->too_large = true;
		return 0;
	}
	buf_put(&receiving->answer->body, bytes, n);
	return n;
}

static bool header_is(const char *line, size_t len, const char *name, char *value, size_t size)
{
	size_t name_len = strlen(name), value_len;

	if (len <= name_len || strncasecmp(line, name, name_len) != 0 || line[name_len] != ':')
		return false;
	line += name_len + 1;
	len -= name_len + 1;
	for (; len && (*line == ' ' || *line == '\t'); len--)
		line++;
	for (value_len = 0; value_len < len && value_len + 1 < size && line[value_len] > ' '; value_len++)
		value[value_len] = line[value_len];
	value[value_len] = 0;
	return true;
}

static size_t on_header(char *line, size_t size, size_t n, void *ctx)
{
	struct receiving *receiving = ctx;
	char value[32];

	if (header_is(line, size * n, "Idempotency-Replayed", value, sizeof value))
		receiving->answer->replayed = !strcasecmp(value, "true");
	else if (header_is(line, size * n, "Retry-After", value, sizeof value))
		receiving->answer->retry_s = (unsigned)strtoul(value, NULL, 10);
	return size * n;
}

static void add_header(struct curl_slist **headers, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add_header(struct curl_slist **headers, const char *fmt, ...)
{
	struct curl_slist *longer;
	va_list args;
	char *line;

	va_start(args, fmt);
	if (vasprintf(&line, fmt, args) < 0)
		mem_exhausted();
	va_end(args);
	longer = curl_slist_append(*headers, line);
	if (!longer)
		mem_exhausted();
	*headers = longer;
	free(line);
}

static struct curl_slist *headers_for(const struct client *client, const struct call *call)
{
	struct curl_slist *headers = NULL;

	add_header(&headers, "Accept: %s", call->sink ? "text/plain, application/problem+json" : "application/json");
	add_header(&headers, "Expect:"); /* a body is sent at once, not after a 100 */
	if (*client->token)
		add_header(&headers, "Authorization: Bearer %s", client->token);
	if (*client->user)
		add_header(&headers, "Suan-User: %s", client->user);
	if (call->body)
		add_header(&headers, "Content-Type: application/json");
	if (call->idempotency_key)
		add_header(&headers, "Idempotency-Key: %s", call->idempotency_key);
	return headers;
}

/* One of them has the token. */
static void free_headers(struct curl_slist *headers)
{
	for (struct curl_slist *line = headers; line; line = line->next)
		explicit_bzero(line->data, strlen(line->data));
	curl_slist_free_all(headers);
}

static void prepare(struct client *client, const struct call *call, struct receiving *receiving, const char *url,
                    const struct curl_slist *headers)
{
	CURL *curl = client->curl;

	curl_easy_reset(curl); /* the connection stays */
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L); /* a centre may be called ".." */
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "suan/" SUAN_VERSION);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)call->timeout_s);
	curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, receiving);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, receiving);
	if (is_loopback(client->host))
		curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (client->cacert)
		curl_easy_setopt(curl, CURLOPT_CAINFO, client->cacert);
	if (!strcmp(call->method, "POST")) {
		curl_easy_setopt(curl, CURLOPT_POST, 1L);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_len);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body ? call->body : "");
	} else if (strcmp(call->method, "GET") != 0) {
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
	}
}

static void take_json(struct answer *answer)
{
	json_error_t error;

	if (answer->body.len)
		answer->json = json_loadb((const char *)answer->body.data, answer->body.len, JSON_REJECT_DUPLICATES, &error);
}

static int call_failed(struct client *client, CURLcode code, const struct receiving *receiving, struct err *err)
{
	if (receiving->too_large)
		return err_set(err, ERR_TOO_LARGE, client->url, "the answer is over %d MiB", ANSWER_BYTES_MAX >> 20);
	if (receiving->stopped)
		return err_set(err, ERR_FULL, "standard output", "%s", strerror(errno));
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		return err_set(
			err, ERR_CORRUPT, client->url,
			"its certificate isn't trusted, or is for another name (%s); SUAN_CACERT names a file with the certificate of who "
			"signed it",
			curl_easy_strerror(code));
	if (code == CURLE_SSL_CACERT_BADFILE && !client->cacert)
		return err_set(err, ERR_CORRUPT, client->url,
		               "its certificate isn't trusted: this machine has no list of whom to trust (package ca-certificates); "
		               "SUAN_CACERT names a file with the certificate of who vouches for it");
	if (code == CURLE_SSL_CACERT_BADFILE)
		return err_set(err, ERR_CORRUPT, "SUAN_CACERT", "\"%.200s\": expected a file with certificates as PEM", client->cacert);
	if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_WEIRD_SERVER_REPLY)
		return err_set(err, ERR_CORRUPT, client->url, "what answers there isn't suand (%s)", curl_easy_strerror(code));
	return err_set(err, ERR_IO, client->url, "%s", curl_easy_strerror(code));
}

int client_call(struct client *client, const struct call *call, struct answer *ret, struct err *err)
{
	struct receiving receiving = {.curl = client->curl, .call = call, .answer = ret};
	struct curl_slist *headers = headers_for(client, call);
	long sent = 0;
	CURLcode code;
	char *url;

	answer_done(ret);
	if (asprintf(&url, "%s%s", client->url, call->path) < 0)
		mem_exhausted();
	prepare(client, call, &receiving, url, headers);
	code = curl_easy_perform(client->curl);
	curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &ret->status);
	curl_easy_getinfo(client->curl, CURLINFO_REQUEST_SIZE, &sent);
	ret->sent = sent > 0;
	free_headers(headers);
	free(url);
	if (code != CURLE_OK)
		return call_failed(client, code, &receiving, err);
	take_json(ret);
	return 0;
}

void answer_done(struct answer *answer)
{
	json_decref(answer->json);
	buf_done(&answer->body);
	*answer = (struct answer){0};
}

int answer_problem(const struct client *client, const struct answer *answer, struct err *err)
{
	const char *detail = json_string_value(json_object_get(answer->json, "detail"));
	const char *title = json_string_value(json_object_get(answer->json, "title"));

	if (!detail)
		detail = title;
	if (detail)
		return err_set(err, ERR_INVALID, NULL, "%s", detail);
	return err_set(err, ERR_CORRUPT, client->url, "answered %ld without saying why: is that suand?", answer->status);
}

/* ---- For verbs ---- */

int client_start(struct client **ret)
{
	struct err err;

	return client_open(ret, &err) < 0 ? complain_err(STATUS_USAGE, NULL, &err) : STATUS_DONE;
}

int client_lost(const struct client *client, const struct err *err)
{
	if (err->code == ERR_FULL)
		return complain_err(STATUS_NO, NULL, err);
	if (err->code != ERR_IO)
		return complain_err(STATUS_UNREACHABLE, NULL, err);
	return complain(STATUS_UNREACHABLE, "can't reach the daemon at %s: %s (is suand running? SUAN_URL says where)", client->url,
	                err->text);
}

int answer_status(const struct client *client, const struct answer *answer)
{
	struct err err;

	if (answer->status >= 200 && answer->status < 300 && answer->json)
		return STATUS_DONE;
	if (answer->status >= 200 && answer->status < 300)
		return complain(STATUS_UNREACHABLE, "%s: answered something that isn't JSON: is that suand?", client->url);
	answer_problem(client, answer, &err);
	if (err.code == ERR_CORRUPT)
		return complain_err(STATUS_UNREACHABLE, NULL, &err);
	complain_err(STATUS_NO, NULL, &err);
	if (answer->status == 401)
		complain(STATUS_NO, "%s",
		         *client->token ? "the token isn't this daemon's: see SUAN_TOKEN, or the file that suand names when it starts"
		                        : "no token was found: run as the user who started suand, or set SUAN_TOKEN");
	return STATUS_NO;
}

void complain_warnings(const json_t *answer)
{
	const json_t *warning;
	size_t i;

	json_array_foreach (json_object_get(answer, "warnings"), i, warning)
		if (json_is_string(warning))
			complain(0, "warning: %s", json_string_value(warning));
}

int client_ask(struct client *client, const struct call *call, struct answer *ret)
{
	struct err err;

	return client_call(client, call, ret, &err) < 0 ? client_lost(client, &err) : answer_status(client, ret);
}

int client_get(struct client *client, const char *path, json_t **ret)
{
	const struct call call = {.method = "GET", .path = path, .timeout_s = 60};
	struct answer answer = {0};
	int status = client_ask(client, &call, &answer);

	if (status == STATUS_DONE)
		*ret = json_incref(answer.json);
	answer_done(&answer);
	return status;
}

int client_simulated(struct client *client, json_t **ret)
{
	json_t *answer = NULL, *centre;
	size_t i;
	int status = client_get(client, "/v1/centres", &answer);

	if (status != STATUS_DONE)
		return status;
	*ret = json_object();
	json_array_foreach (json_object_get(answer, "centres"), i, centre)
		if (true_of(centre, "simulated"))
			json_object_set_new(*ret, text_of(centre, "name", ""), json_true());
	json_decref(answer);
	return STATUS_DONE;
}

/* ---- A daemon that may be away ---- */

enum { FIRST_PATIENCE_S = 5, PAUSE_MS_FIRST = 100, PAUSE_MS_MAX = 2000 };

void sleep_ms(unsigned ms)
{
	struct timespec length = {ms / 1000, (long)(ms % 1000) * 1000000};

	nanosleep(&length, NULL);
}

struct patience patience_until(us_t deadline_us)
{
	return (struct patience){.deadline_us = deadline_us, .since_us = now_us()};
}

bool patience_pause(struct patience *patience, const struct client *client)
{
	us_t now = now_us();

	if (now >= patience->deadline_us)
		return false;
	if (!patience->heard && patience->deadline_us == US_NEVER && now - patience->since_us > FIRST_PATIENCE_S * US_SECOND)
		return false;
	if (!patience->said)
		complain(0, "the daemon at %s doesn't answer; waiting for it", client->url);
	patience->said = true;
	patience->pause_ms = patience->pause_ms ? patience->pause_ms * 2 : PAUSE_MS_FIRST;
	if (patience->pause_ms > PAUSE_MS_MAX)
		patience->pause_ms = PAUSE_MS_MAX;
	sleep_ms(patience->pause_ms);
	return true;
}

void patience_heard(struct patience *patience)
{
	patience->heard = true;
	patience->said = false;
	patience->pause_ms = 0;
}

bool client_is_away(int rc, const struct answer *answer)
{
	return rc == ERR_IO || (rc == 0 && answer->status >= 502 && answer->status <= 504);
}
