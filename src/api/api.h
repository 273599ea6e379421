/* SPDX-License-Identifier: Apache-2.0
 * api.h: the daemon's HTTP API. */
#ifndef SUAN_API_API_H
#define SUAN_API_API_H

#include "port/service.h"

struct api;

/* All borrowed until api_stop. */
struct api_config {
	struct service *service;
	const char *address;            /* 127.0.0.1, another of 127/8, or ::1; beyond loopback only with TLS */
	uint16_t port;                  /* 0: any that is free */
	const char *tls_cert, *tls_key; /* PEM; both NULL: plain HTTP */
	const char *token;
	const char *user;            /* whose a request is that doesn't say: whoever started the daemon */
	const char *const *warnings; /* about the pool file, shown with the pool */
	uint32_t n_warnings;
};

/* Listens and serves from its own threads. Beyond loopback every request needs the token, but for /livez and /readyz. Returns 0;
 * ERR_INVALID for a certificate and key that aren't a pair, or an address that isn't one; ERR_UNSUPPORTED for one beyond loopback
 * without TLS; ERR_CONFLICT where the port is taken; ERR_IO. */
int api_start(const struct api_config *config, struct api **ret, struct err *err);

/* "http://127.0.0.1:7480" */
const char *api_url(const struct api *api);
/* The port, also where any that is free was asked for. */
uint16_t api_port(const struct api *api);

/* A job as the history is to keep it: as it is shown, by malloc. NULL: out of memory. */
char *api_job_record(const struct core *core, const struct job *job);

/* Ends streams and waits, and stops. The service must answer the calls that it still has, at once or before. Accepts NULL,
 * returns NULL. */
struct api *api_stop(struct api *api);

/* Reads "ADDR:PORT", "[::1]:PORT" or "localhost:PORT" (which is 127.0.0.1) into address (of 64 bytes) and port. tls: there is a
 * certificate. Returns 0, ERR_INVALID, or without TLS ERR_UNSUPPORTED for an address beyond loopback. */
int api_parse_listen(const char *text, bool tls, char *address, uint16_t *ret_port, struct err *err);

/* Whether these are a certificate and its key, as api_start takes them. Returns 0, ERR_INVALID or ERR_NOMEM. */
int api_check_tls(const char *cert, const char *key, struct err *err);

/* ---- The token (token.c) ---- */

enum { TOKEN_SIZE = 65 };

/* Reads state_dir/token, made at the first start: 64 hex digits, mode 0600. Returns 0; ERR_DENIED where others can read it;
 * ERR_INVALID where it isn't one; ERR_IO, ERR_FULL. */
int token_load(const char *state_dir, char token[TOKEN_SIZE], struct err *err);

/* Makes another token in the place of the one that is there. */
int token_renew(const char *state_dir, char token[TOKEN_SIZE], struct err *err);

/* Keeps a copy where `suan` looks for it: config_dir/suan/tokens/ADDR_PORT, mode 0600. */
int token_publish(const char *config_dir, const char *address, uint16_t port, const char *token, struct err *err);

#endif
