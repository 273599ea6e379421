/* SPDX-License-Identifier: Apache-2.0
 * service.h: what the daemon's host offers to its API. Function tables and nothing else.
 *
 * Writes are calls that come back later, once they are durable; reads look at a core that follows what has
 * been committed, so nobody sees what a crash could still undo. All of it may be used from any thread. */
#ifndef SUAN_PORT_SERVICE_H
#define SUAN_PORT_SERVICE_H

#include "core/core.h"
#include "core/payload.h"
#include "port/store.h"

enum { SERVICE_ITEMS_MAX = 1000, SERVICE_SECRET_NAME = 40, SERVICE_BUCKETS = 12 };

/* One job to submit, and what became of it. What it points to is the caller's, and good until done. */
struct service_item {
	const struct job_spec *spec; /* its `secrets` is left NULL: the service makes one from `secrets` below */
	const void *payload;         /* what spec->payload is the hash of */
	size_t payload_len;
	const struct variable *secrets;
	uint32_t n_secrets;
	const uint8_t *idempotency; /* IDEMPOTENCY_BYTES; NULL: none */

	int code; /* 0, or negative and err says why: this job alone was refused */
	uint32_t job;
	bool repeated; /* the key was used before, and `job` is what it made then */
	struct err err;

	char secret_name[SERVICE_SECRET_NAME]; /* the service's own */
};

enum service_call_type { SERVICE_SUBMIT, SERVICE_CANCEL, SERVICE_NODE, SERVICE_BOOK, SERVICE_UNBOOK };

/* What operators say of a range of nodes. */
struct service_node {
	const char *centre;
	struct node_range range;
	enum node_state state;
	const char *note; /* NULL: none */
};

/* A request that changes something. All items of one call are in one commit. */
struct service_call {
	enum service_call_type type;
	const char *who;
	struct service_item *items; /* of SUBMIT: 1 to SERVICE_ITEMS_MAX */
	uint32_t n_items;
	uint32_t job;                    /* of CANCEL */
	struct service_node node;        /* of NODE; what it points to is good until done */
	const struct booking_spec *book; /* of BOOK; likewise */
	uint32_t booking;                /* of UNBOOK; of BOOK: set, the number of what was made */

	int code; /* 0, or negative: of all but a SUBMIT, or of a SUBMIT whose items weren't looked at (busy, full, stopping) */
	struct err err;
	/* Called once, from any thread and perhaps before `call` returns, when what was done is durable or was refused. Must be
	 * quick. The call is the caller's again. */
	void (*done)(struct service_call *call);
	void *ctx;

	struct service_call *next; /* the service's own */
};

/* How the service fares. Times in microseconds. */
struct service_stats {
	uint64_t commits, commits_failed, events, inputs, inputs_refused;
	uint64_t commit_us_sum;
	uint64_t commit_le[SERVICE_BUCKETS + 1]; /* commits that took at most service_bucket_us[i]; the last: longer */
	uint32_t waiting, waiting_max;           /* inputs that wait for the core */
	uint64_t preempted;                      /* attempts that made room for others */
	bool failing;                            /* the store takes nothing for now */
};

/* Upper bounds of the buckets of commit_le. */
static const uint32_t service_bucket_us[SERVICE_BUCKETS] = {100,   200,   500,   1000,   2000,   5000,
                                                            10000, 20000, 50000, 100000, 500000, 2000000};

struct service {
	const struct service_ops *ops;
};

struct service_ops {
	/* Takes a call; it is answered by call->done. ERR_BUSY: too much waits, or the daemon stops. ERR_FULL, ERR_IO: the store
	 * takes nothing for now. Cost: O(1), and a synced write a job with secrets. */
	void (*call)(struct service *service, struct service_call *call);

	/* The committed state, to look at until read_end; nothing is committed meanwhile, so be quick. alone: for core_explain,
	 * core_dry_run and core_digest, which one thread at a time may use. */
	const struct core *(*read_begin)(struct service *service, bool alone);
	void (*read_end)(struct service *service);

	/* Calls visit for each committed batch that ends at or after `from`, in order, until it returns other than 0, and returns
	 * that; 0 at the end. What has been committed lately comes from memory. No lock is held in visit. */
	int (*events)(struct service *service, uint64_t from, int (*visit)(void *ctx, const struct batch *batch), void *ctx,
	              struct err *err);

	/* As store_ops.history: jobs that have left the core, also those that aren't written yet. A job that isn't in the state that
	 * was looked at before is here. */
	int (*history)(struct service *service, const struct past_query *query, int (*visit)(void *ctx, const struct past_job *job),
	               void *ctx, struct err *err);

	/* `changed` is called after each commit from then on, from the service's thread; it must be quick. NULL: nobody's. */
	void (*watch)(struct service *service, void (*changed)(void *ctx), void *ctx);

	/* Opens a task's output; *ret_fd is the caller's. ERR_NOT_FOUND: no such job or attempt, or no output (yet). */
	int (*log_open)(struct service *service, uint32_t job, uint32_t attempt, uint32_t rank, int *ret_fd, struct err *err);

	us_t (*now)(struct service *service);
	void (*stats)(struct service *service, struct service_stats *ret);
};

#endif
