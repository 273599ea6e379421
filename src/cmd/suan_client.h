/* SPDX-License-Identifier: Apache-2.0
 * suan_client.h: talking to the daemon: one connection, kept, and JSON answers. */
#ifndef SUAN_CMD_SUAN_CLIENT_H
#define SUAN_CMD_SUAN_CLIENT_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/units.h"

struct client;

/* A request. All borrowed for the call. */
struct call {
	const char *method; /* "GET", "POST", "DELETE" */
	const char *path;   /* from /v1 on, escaped */
	const char *body;   /* JSON; NULL: none */
	size_t body_len;
	const char *idempotency_key; /* NULL: none */
	unsigned timeout_s;          /* 0: no end */
	/* Where a 200's bytes go as they come; NULL: into answer.body. Returns below 0 to break off. */
	int (*sink)(void *ctx, const void *bytes, size_t len);
	void *ctx;
};

/* What came back. All zero before the first use; answer_done frees it. */
struct answer {
	long status;      /* of HTTP; 0: none came */
	bool sent;        /* the request left: it may have been acted on, also without an answer */
	bool replayed;    /* Idempotency-Replayed */
	unsigned retry_s; /* Retry-After; 0: not stated */
	struct buf body;
	json_t *json; /* the body, where it is JSON */
};

/* Reads SUAN_URL and SUAN_TOKEN, or the token that the daemon left in the user's configuration directory. A missing token
 * is no error: reads may go without. Returns 0, or ERR_INVALID with what is wrong with them. */
int client_open(struct client **ret, struct err *err);
struct client *client_close(struct client *client);
/* Where the daemon should be, for messages. */
const char *client_url(const struct client *client);

/* Sends a request and takes the answer, whatever its status. Returns 0; or ERR_IO where the daemon can't be reached, or was
 * lost before the answer was whole; or ERR_TOO_LARGE, ERR_CORRUPT (what answers doesn't speak as suand does). */
int client_call(struct client *client, const struct call *call, struct answer *ret, struct err *err);
void answer_done(struct answer *answer);

/* Fills *err from a problem document. */
int answer_problem(const struct client *client, const struct answer *answer, struct err *err);

/* A value as a part of a path or query. The caller frees it with free(). */
char *client_escape(struct client *client, const char *text);

/* Opens the client for a verb; says why not. Returns STATUS_DONE or STATUS_USAGE. */
int client_start(struct client **ret);

/* A call that must be answered with 2xx and JSON; says on stderr what went wrong. Returns an exit status; *ret is the caller's
 * to answer_done, whatever that is. */
int client_ask(struct client *client, const struct call *call, struct answer *ret);

/* One GET that must be answered with 2xx and JSON; says on stderr what went wrong. Returns an exit status; *ret, on
 * STATUS_DONE, is the caller's. */
int client_get(struct client *client, const char *path, json_t **ret);

/* The names of the centres that are simulated, as the keys of an object; the caller's. As client_get otherwise. */
int client_simulated(struct client *client, json_t **ret);

/* What every verb does with an answer: 2xx is STATUS_DONE; else the problem is said and STATUS_NO returned. */
int answer_status(const struct client *client, const struct answer *answer);

/* Says the warnings that an answer carries. */
void complain_warnings(const json_t *answer);

/* An answer that wasn't to be had: says so. Returns STATUS_UNREACHABLE. */
int client_lost(const struct client *client, const struct err *err);

/* ---- A daemon that may be away ---- */

/* How a verb that outlives a daemon's restart fares with it. */
struct patience {
	us_t deadline_us; /* US_NEVER: none */
	us_t since_us;
	unsigned pause_ms;
	bool heard, said;
};

/* Patience until an instant of now_us(). Without a deadline, a daemon that isn't heard even once is given up after 5 s. */
struct patience patience_until(us_t deadline_us);
/* The daemon didn't answer: says so, once, pauses a little longer each time, and returns true; false: give it up. */
bool patience_pause(struct patience *patience, const struct client *client);
/* It did answer. */
void patience_heard(struct patience *patience);
/* Whether what client_call returned means that the daemon is away, or stopping, and may be back. */
bool client_is_away(int rc, const struct answer *answer);

void sleep_ms(unsigned ms);

#endif
