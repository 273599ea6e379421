/* SPDX-License-Identifier: Apache-2.0
 * http.h: a kept-alive HTTP/1.1 connection over a raw socket, as little of a client as can be: what is measured is the daemon. */
#ifndef SUAN_BENCH_HTTP_H
#define SUAN_BENCH_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HTTP_HEAD_MAX = 1024 };

/* Where the daemon is. token: in the state directory. */
struct target {
	char address[64];
	uint16_t port;
	char token[256];
};

struct http {
	int fd;
	char *out; /* a request on its way */
	size_t out_len, out_sent, out_cap;
	char *in; /* the answer so far, terminated */
	size_t in_len, in_cap;
	size_t head_len; /* of the answer's head; 0: not whole yet */
	size_t body_len; /* as the head says */
};

/* "ADDRESS:PORT" and the file that holds the token. Ends the process where either is no good. */
void target_read(struct target *target, const char *listen, const char *token_file);

void http_open(struct http *http, const struct target *target);
void http_close(struct http *http);

/* Begins a request; method "POST" has a JSON body, "GET" none. */
void http_begin(struct http *http, const struct target *target, const char *method, const char *path, const char *body,
                size_t body_len);

/* Sends what the socket takes. Returns whether the request is out whole. */
bool http_send(struct http *http);
/* Reads what the socket has. Returns whether the answer is here whole; ends the process where the daemon closes. */
bool http_receive(struct http *http);

/* Of a whole answer. */
int http_status(const struct http *http);
const char *http_body(const struct http *http);

/* One request and its answer, waiting for each. Returns the status. */
int http_ask(struct http *http, const struct target *target, const char *method, const char *path, const char *body);

#endif
