/* SPDX-License-Identifier: Apache-2.0
 * inside.h: what the files of src/api share: a request, its routes, how it is answered, and how it waits. */
#ifndef SUAN_API_INSIDE_H
#define SUAN_API_INSIDE_H

#include <jansson.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "api/api.h"
#include "base/arena.h"
#include "base/buf.h"

enum {
	HEAD_MAX = 16 << 10,  /* a request line and headers */
	HEAD_PARTS_MAX = 128, /* headers, parameters of the query and cookies */
	BODY_MAX = 4 << 20,
	DISCARD_MAX = 256 << 20, /* of a body that is over BODY_MAX: read and dropped, so that its sender hears why */
	BODIES_MAX = 512 << 20,  /* of all requests at once */
	CONNECTIONS_MAX = 4096,
	/* HEAD_MAX bytes and a record of each part fit in this. Over 32 KiB, for then libmicrohttpd maps it by itself, and what it
	 * read (tokens, secrets) goes back to the kernel when the connection ends. */
	CONNECTION_MEMORY = 36 << 10,
	IDLE_TIMEOUT_S = 30,
	STOP_PATIENCE_MS = 2000, /* for answers that are under way when the API stops */
	STREAMS_MAX = 1024,      /* event streams, followed logs and waits at once */
	ID_MAX = 32,
	CENTRE_MAX = NAME_LEN_MAX + 1,
	ALLOW_MAX = 32,
	THREADS = 2,
};

/* ---- Waiting (wait.c): a suspended connection, resumed when something was committed, or at an instant ---- */

struct api;

struct waiter {
	struct waiter *next, **place; /* place: what points to it; NULL while it isn't listed */
	struct MHD_Connection *connection;
	us_t due_us;
	uint64_t generation; /* wait_generation() before the caller looked and found nothing */
	bool on_commit;      /* else only due_us counts */
};

struct waits {
	struct api *api;
	pthread_mutex_t lock;
	struct waiter *list;
	us_t next_us; /* when the thread wakes by itself */
	int event;    /* eventfd: wakes the thread */
	bool stopping;
	pthread_t thread;
	_Atomic uint64_t generation;
};

int waits_start(struct api *api, struct err *err);
/* Resumes all, lets no more in, and ends the thread. */
void waits_stop(struct waits *waits, struct service *service);
void waits_done(struct waits *waits);
/* The clock of due_us: the boot clock. */
us_t wait_clock(void);
uint64_t wait_generation(const struct waits *waits);
/* Suspends the connection. Returns false where there is news already, or the API stops: look again. */
bool wait_for(struct waits *waits, struct waiter *waiter);
bool waits_stopping(struct waits *waits);

struct exchange;

/* ---- Who is connected (peer.c): what a client does, it must have done by some instant ---- */

struct peer {
	struct peer *next, **place;
	int fd;
	_Atomic us_t due_us;   /* US_NEVER: no end */
	_Atomic us_t since_us; /* since when no whole head has come; US_NEVER: one has */
	bool at_door;          /* its socket is the server's still, and not libmicrohttpd's */
	_Atomic bool is_late;  /* at the door: its time is up, and no more is read of it */
	bool is_shut;          /* the socket is, by peer.c */
	bool refused;          /* at the door: it was told what is wrong */
	size_t unread;         /* bytes dropped since */
};

struct peers {
	pthread_mutex_t lock;
	pthread_cond_t stop;
	struct peer *list;
	uint32_t n;
	bool stopping;
	pthread_t thread;
};

int peers_start(struct peers *peers, struct err *err);
void peers_stop(struct peers *peers); /* ends the thread; connections may still come and go */
void peers_done(struct peers *peers); /* closes what is left: those at the door */
/* Whether there are as many as there may be. */
bool peers_are_full(struct peers *peers);
/* One that came, from whom a head is expected; NULL: no memory. It leaves before its socket is closed. */
struct peer *peer_comes(struct peers *peers, int fd, bool at_door);
void peer_leaves(struct peers *peers, struct peer *peer);
/* It was told what is wrong, and has a moment to read that. */
void peer_is_refused(struct peer *peer);
/* It sends the body of its first request. */
void peer_sends_body(struct peer *peer);
/* MHD's, for each connection. */
void on_connection(void *api, struct MHD_Connection *connection, void **state, enum MHD_ConnectionNotificationCode what);

/* What the client is at: it begins a request, sends its body, waits for us, takes the answer (of `bytes`), rests between two. */
void peer_begins(struct MHD_Connection *connection);
void peer_sends(struct exchange *ex);
void peer_waits(struct exchange *ex);
void peer_takes(struct exchange *ex, size_t bytes);
void peer_rests(struct MHD_Connection *connection);

/* ---- Who serves (server.c), and whom (head.c) ---- */

struct servers;

/* Threads that listen on fd, which is theirs then, also on failure, and serve who comes: api->servers. */
int servers_start(struct api *api, int fd, struct err *err);
/* Nobody else comes in. Who is in is served still. */
void servers_close(struct api *api);
void servers_stop(struct api *api);
/* Resumes a suspended connection, and wakes its thread for it. Any thread. */
void servers_resume(struct api *api, struct MHD_Connection *connection);

/* What a connection begins with: its head isn't whole; its head is well-formed, and the body isn't whole; it is to be served. A
 * request that fits in HEAD_MAX is whole then; of others, and of one that expects to be asked for its body, that comes later. */
enum { HEAD_PART, HEAD_BODY, HEAD_READY };

/* Looks at that. Returns one of these, or ERR_INVALID or ERR_TOO_LARGE: *err names the part and the byte (counted from 1),
 * *ret_status is the HTTP status. len: up to HEAD_MAX. ended: nothing more comes. O(len). */
int head_check(const char *bytes, size_t len, bool ended, struct err *err, unsigned *ret_status);

/* ---- Routes and requests ---- */

/* OPEN: goes without the token beyond loopback too. MAY_HAVE_BODY: as TAKES_BODY, but goes without one. MAKES: answers 201. */
enum { NEEDS_TOKEN = 1, TAKES_BODY = 2, OPEN = 4, MAY_HAVE_BODY = 8, MAKES = 16 };

/* One query parameter or header, for reading and for openapi.json. */
struct parameter {
	const char *name, *in, *type, *text;
};

struct route {
	const char *method, *path; /* {id}, {number}: one part of a path; {centre}: a centre's name */
	enum MHD_Result (*handle)(struct exchange *ex);
	unsigned flags;
	const char *text;                   /* what it does, in openapi.json */
	const char *answer;                 /* the schema of its 200 or 201; or a media type */
	const struct parameter *parameters; /* ends with a NULL name */
};

extern const struct route routes[];
extern const unsigned n_routes;

struct exchange {
	struct api *api;
	struct MHD_Connection *connection;
	const struct route *route;
	char id[ID_MAX];         /* what {id} or {number} stands for */
	char centre[CENTRE_MAX]; /* what {centre} stands for */
	char allow[ALLOW_MAX];   /* where the method is wrong: those that would do */
	const char *user;
	const char *amiss; /* what is wrong with the request's first line, known before its head is here */
	bool begun;
	us_t began_us; /* by wait_clock(), when the head was here */
	struct buf body;
	uint64_t body_read, body_counted; /* counted: against BODIES_MAX */
	int refused;                      /* 0, or why the body isn't taken: ERR_TOO_LARGE, ERR_BUSY */
	struct arena arena;
	/* Called instead of the route's handler when the request comes back from waiting. */
	enum MHD_Result (*again)(struct exchange *ex);
	struct waiter waiter;
	struct service_call call;
	void *submission; /* submit.c's */
	bool counted_stream;
};

enum { STATUSES = 18, ROUTES_MAX = 40 };

struct api {
	struct api_config config;
	struct service *service;
	struct servers *servers;
	struct waits waits;
	struct peers peers;
	struct tls *tls;         /* NULL: plain HTTP */
	bool reads_need_token;   /* it listens beyond loopback */
	char host[80], url[112]; /* host: with brackets where it is of IPv6 */
	uint16_t port;
	_Atomic uint64_t bodies;                           /* bytes of bodies that are held */
	_Atomic uint32_t streams, exchanges;               /* under way */
	_Atomic uint64_t counts[ROUTES_MAX + 1][STATUSES]; /* the last row: no route */
	pthread_mutex_t digest_lock;
	struct hash digest; /* of the state at digest_sequence */
	uint64_t digest_sequence;
};

/* What is called for a request's first line, MHD's access handler, and what is called when a request is over (exchange.c). */
void *on_first_line(void *api, const char *target, struct MHD_Connection *connection);
enum MHD_Result on_request(void *api, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                           const char *data, size_t *size, void **state);
void on_completed(void *api, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode why);

/* Takes the place of one that waits or streams, until the request is over. false: too many do. */
bool exchange_streams(struct exchange *ex);

/* A query parameter; NULL where it isn't given. */
const char *exchange_query(const struct exchange *ex, const char *name);
const char *exchange_header(const struct exchange *ex, const char *name);
/* A whole number, or `otherwise` where it isn't given. */
int exchange_number(const struct exchange *ex, const char *name, uint64_t least, uint64_t most, uint64_t otherwise, uint64_t *ret,
                    struct err *err);
int exchange_flag(const struct exchange *ex, const char *name, bool *ret, struct err *err);

/* Whether a path is a route's; id, of ID_MAX: what {id} or {number} stands for; centre, of CENTRE_MAX: likewise. (route.c) */
bool route_matches(const char *pattern, const char *path, char *id, char *centre);
/* The route, or NULL; allow, of ALLOW_MAX: then the methods that the path has, "" where there is no such path. */
const struct route *route_find(const char *method, const char *path, char *id, char *centre, char *allow);

/* ---- Who may (auth.c) ---- */

/* Host and Origin, before anything else; then the token, the user and the content type. Returns 0 or a negative code;
 * *ret_status: the HTTP status that says it best. */
int auth_check_site(const struct exchange *ex, struct err *err, unsigned *ret_status);
int auth_check_caller(struct exchange *ex, struct err *err, unsigned *ret_status);

/* Whether text is one of our names, with our port unless that is the scheme's own: "localhost:7480". */
bool auth_is_our_host(const struct api *api, const char *text, size_t len);

/* ---- The certificate (tls.c) ---- */

/* cert, key: PEM. Returns 0, ERR_INVALID (not a pair, or not PEM) or ERR_NOMEM. */
int tls_open(const char *cert, const char *key, struct tls **ret, struct err *err);
struct tls *tls_close(struct tls *tls);
/* Whether the certificate is for this name or address ("suan.example", "192.0.2.1", "[2001:db8::1]"). */
bool tls_names(const struct tls *tls, const char *host, size_t len);

/* ---- Answering (reply.c, problem.c) ---- */

/* A document as the body of an answer; json is given away. type: its media type. NULL: no memory. */
struct MHD_Response *response_of_json(struct exchange *ex, json_t *json, const char *type);
/* Each queues the answer and returns MHD's result for it. json is given away. */
enum MHD_Result reply_json(struct exchange *ex, unsigned status, json_t *json);
enum MHD_Result reply_json_with(struct exchange *ex, unsigned status, json_t *json, const char *header, const char *value);
enum MHD_Result reply_text(struct exchange *ex, unsigned status, const char *type, const char *text);
enum MHD_Result reply_buf(struct exchange *ex, unsigned status, const char *type, struct buf *buf); /* takes the bytes */
enum MHD_Result reply_response(struct exchange *ex, unsigned status, struct MHD_Response *response);
/* A problem document. status 0: what the code stands for. */
enum MHD_Result reply_problem(struct exchange *ex, unsigned status, const struct err *err);

/* Counts an answer for the metrics. route: NULL, or whose it is. */
void count_answer(struct api *api, const struct route *route, unsigned status);

unsigned problem_status(const struct err *err);
json_t *problem_json(const struct err *err, unsigned status);
/* The place of a status in api.counts; and the statuses, for metrics. */
unsigned status_index(unsigned status);
extern const unsigned statuses[STATUSES];

/* ---- What is shown (json_*.c) ---- */

json_t *json_milli(uint64_t milli);   /* 500: 0.5; 8000: 8 */
json_t *json_micros(uint64_t micros); /* money */
json_t *json_instant(us_t instant);   /* null for never and for 0 */
json_t *json_seconds(us_t duration);  /* null for never */
json_t *json_text(const char *text);  /* null for NULL and "" */

json_t *json_ranges(const struct range *ranges, uint32_t n);          /* "0-3,8,10-20:5" */
json_t *json_node_ranges(const struct node_range *nodes, uint32_t n); /* "0-3,8" */

/* A job, as of now_us. why: it waits for it, or NULL. */
json_t *json_job(const struct core *core, const struct job *job, const struct explanation *why, us_t now_us);
/* An element of an array that isn't placed yet. */
json_t *json_unplaced_element(const struct core *core, const struct job *array, uint32_t index, const struct explanation *why,
                              us_t now_us);
json_t *json_placement(const struct core *core, const struct plan *plan);
/* is_element: of an element of the array `job` that isn't placed. */
json_t *json_explanation(const struct core *core, const struct job *job, bool is_element, const struct explanation *why);
json_t *json_centre(const struct core *core, uint32_t centre);
json_t *json_pool(const struct core *core);
json_t *json_event(const struct core *core, uint64_t sequence, const struct event *event);
json_t *json_jobs_of(const uint32_t *jobs, uint32_t n); /* their numbers */
json_t *json_booking(const struct core *core, const struct booking *booking);

/* One schema of openapi.json (schemas.c). */
struct schema {
	const char *name, *text;
};
enum { SCHEMA_MAX = 4096 };
extern const struct schema schemas[];
extern const unsigned n_schemas;
json_t *openapi_document(void);

/* ---- The routes' handlers ---- */

enum MHD_Result get_jobs(struct exchange *ex); /* jobs.c */
enum MHD_Result get_job(struct exchange *ex);
enum MHD_Result get_explain(struct exchange *ex);
enum MHD_Result get_wait(struct exchange *ex);
enum MHD_Result post_cancel(struct exchange *ex);
enum MHD_Result post_jobs(struct exchange *ex); /* submit.c */
enum MHD_Result get_logs(struct exchange *ex);  /* logs.c */
enum MHD_Result get_pool(struct exchange *ex);  /* resources.c */
enum MHD_Result get_centres(struct exchange *ex);
enum MHD_Result get_nodes(struct exchange *ex);
enum MHD_Result get_cards(struct exchange *ex);
enum MHD_Result get_links(struct exchange *ex);
enum MHD_Result get_projects(struct exchange *ex);
enum MHD_Result post_cordon(struct exchange *ex); /* operators.c */
enum MHD_Result post_uncordon(struct exchange *ex);
enum MHD_Result post_down(struct exchange *ex);
enum MHD_Result post_up(struct exchange *ex);
enum MHD_Result get_bookings(struct exchange *ex);
enum MHD_Result post_bookings(struct exchange *ex);
enum MHD_Result delete_booking(struct exchange *ex);
enum MHD_Result get_events(struct exchange *ex);  /* stream.c */
enum MHD_Result get_metrics(struct exchange *ex); /* metrics.c */
enum MHD_Result get_openapi(struct exchange *ex); /* openapi.c */
enum MHD_Result get_page(struct exchange *ex);    /* page.c */
enum MHD_Result get_livez(struct exchange *ex);
enum MHD_Result get_readyz(struct exchange *ex);

/* jobs.c, for others: the job that an id names ("17", or "12_5": an element of an array), or NULL and *err. *ret_array: where
 * the element isn't placed yet, its array, and *ret_index. */
struct job_id {
	uint32_t job, index;
	bool is_element;
};
int job_id_parse(const char *text, struct job_id *ret, struct err *err);
const struct job *job_id_find(const struct core *core, const struct job_id *id, struct err *err);
/* The job as JSON with why it waits, seen now; NULL and *err. *ret_over: whether it is over. */
json_t *job_seen(struct api *api, const struct job_id *id, bool *ret_over, struct err *err);
/* Hands the request's call to the service; `again` answers it. */
enum MHD_Result call_service(struct exchange *ex, enum MHD_Result (*again)(struct exchange *ex));

#endif
