/* SPDX-License-Identifier: Apache-2.0
 * memory.c: a store that is gone when it is closed: for tests, and for trying things out.
 *
 * It keeps the whole contract of port/store.h but durability. A batch never moves nor changes once it is appended, so a
 * reader takes the mutex only to find the next one, and what it visits is read without. */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/tree.h"
#include "store/stores.h"

struct kept_payload {
	struct tree_node node;
	struct hash hash;
	size_t len;
	unsigned char bytes[];
};

struct kept_batch {
	struct batch batch; /* its events point to what follows */
	unsigned char events[];
};

struct kept_snapshot {
	struct snapshot head;
	struct buf bytes;
};

/* A job of the history, with its texts behind it. */
struct kept_job {
	struct past_job job;
	char texts[];
};

struct memory_store {
	struct store store;
	pthread_mutex_t mutex; /* over all that follows */
	struct kept_batch **batches;
	uint32_t n_batches, batches_cap;
	struct tree payloads;                           /* by hash */
	uint64_t bytes, bytes_max;                      /* bytes_max 0: no bound */
	struct kept_snapshot snapshots[SNAPSHOTS_KEPT]; /* the newest first */
	uint32_t n_snapshots;
	struct kept_job **jobs; /* by their number */
	uint32_t n_jobs, jobs_cap;
};

static struct memory_store *self_of(struct store *store)
{
	return (struct memory_store *)store;
}

static struct kept_payload *payload_of(const struct tree_node *node)
{
	return tree_entry(node, struct kept_payload, node);
}

static int compare_payloads(const struct tree_node *a, const struct tree_node *b)
{
	return memcmp(payload_of(a)->hash.bytes, payload_of(b)->hash.bytes, HASH_BYTES);
}

static struct kept_payload *find_payload(const struct memory_store *self, const struct hash *hash)
{
	struct tree_node *node = self->payloads.root;

	while (node) {
		int order = memcmp(hash->bytes, payload_of(node)->hash.bytes, HASH_BYTES);

		if (!order)
			return payload_of(node);
		node = order < 0 ? node->left : node->right;
	}
	return NULL;
}

static uint64_t next_sequence(const struct memory_store *self)
{
	const struct batch *last = self->n_batches ? &self->batches[self->n_batches - 1]->batch : NULL;

	return last ? last->sequence + last->n_events : 1;
}

static struct kept_batch *copy_batch(const struct batch *batch)
{
	struct kept_batch *kept = malloc(sizeof *kept + batch->len);

	assert(batch->n_events > 0);
	assert(batch->at_us >= 0);
	if (!kept)
		return NULL;
	kept->batch = *batch;
	kept->batch.events = kept->events;
	memcpy(kept->events, batch->events, batch->len);
	return kept;
}

static struct kept_payload *copy_payload(const struct blob *blob)
{
	struct kept_payload *kept = malloc(sizeof *kept + blob->len);

	if (!kept)
		return NULL;
	*kept = (struct kept_payload){.hash = blob->hash, .len = blob->len};
	if (blob->len)
		memcpy(kept->bytes, blob->bytes, blob->len);
	return kept;
}

static void remove_payload(struct memory_store *self, struct kept_payload *kept)
{
	tree_remove(&self->payloads, &kept->node);
	self->bytes -= kept->len;
	explicit_bzero(kept->bytes, kept->len);
	free(kept);
}

/* Adds those that are new. Returns how many, with them in `added`, or ERR_NOMEM with none added. */
static int add_payloads(struct memory_store *self, const struct blob *blobs, uint32_t n_blobs, struct kept_payload **added)
{
	int n = 0;

	for (uint32_t i = 0; i < n_blobs; i++) {
		uint64_t id;

		if (find_payload(self, &blobs[i].hash))
			continue;
		added[n] = copy_payload(&blobs[i]);
		if (!added[n]) {
			while (n)
				remove_payload(self, added[--n]);
			return ERR_NOMEM;
		}
		memcpy(&id, blobs[i].hash.bytes, sizeof id);
		tree_insert(&self->payloads, &added[n]->node, id);
		self->bytes += blobs[i].len;
		n++;
	}
	return n;
}

static int append_locked(struct memory_store *self, struct kept_batch *kept, const struct blob *blobs, uint32_t n_blobs,
                         struct kept_payload **added, struct err *err)
{
	uint64_t next = next_sequence(self);
	int n;

	if (kept->batch.sequence != next)
		return err_set(err, ERR_CONFLICT, "journal", "a batch that begins with event %lu: expected event %lu",
		               (unsigned long)kept->batch.sequence, (unsigned long)next);
	n = add_payloads(self, blobs, n_blobs, added);
	if (n < 0)
		return err_set(err, n, "journal", "out of memory");
	if (self->bytes_max && self->bytes + kept->batch.len > self->bytes_max) {
		while (n)
			remove_payload(self, added[--n]);
		return err_set(err, ERR_FULL, "journal", "over its bound of %lu bytes", (unsigned long)self->bytes_max);
	}
	mem_grow((void **)&self->batches, &self->batches_cap, self->n_batches, sizeof *self->batches);
	self->batches[self->n_batches++] = kept;
	self->bytes += kept->batch.len;
	return 0;
}

static int memory_append(struct store *store, const struct batch *batch, const struct blob *blobs, uint32_t n_blobs,
                         struct err *err)
{
	struct memory_store *self = self_of(store);
	struct kept_payload **added = calloc(n_blobs + 1, sizeof *added);
	struct kept_batch *kept = copy_batch(batch);
	int code;

	if (added && kept) {
		pthread_mutex_lock(&self->mutex);
		code = append_locked(self, kept, blobs, n_blobs, added, err);
		pthread_mutex_unlock(&self->mutex);
	} else {
		code = err_set(err, ERR_NOMEM, "journal", "out of memory");
	}
	free(added);
	if (code < 0)
		free(kept);
	return code;
}

/* The nth batch, or NULL past the end. Good until close. */
static const struct batch *batch_at(struct memory_store *self, uint32_t nth)
{
	const struct batch *batch;

	pthread_mutex_lock(&self->mutex);
	batch = nth < self->n_batches ? &self->batches[nth]->batch : NULL;
	pthread_mutex_unlock(&self->mutex);
	return batch;
}

/* The first batch that ends at or after an event. */
static uint32_t first_batch(struct memory_store *self, uint64_t from_sequence)
{
	uint32_t low = 0, high;

	pthread_mutex_lock(&self->mutex);
	high = self->n_batches;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct batch *batch = &self->batches[middle]->batch;

		if (batch->sequence + batch->n_events - 1 < from_sequence)
			low = middle + 1;
		else
			high = middle;
	}
	pthread_mutex_unlock(&self->mutex);
	return low;
}

static int memory_read(struct store *store, uint64_t from_sequence, int (*visit)(void *ctx, const struct batch *batch), void *ctx,
                       struct err *err)
{
	struct memory_store *self = self_of(store);
	const struct batch *batch;

	(void)err;
	for (uint32_t i = first_batch(self, from_sequence); (batch = batch_at(self, i)); i++) {
		int code = visit(ctx, batch);

		if (code)
			return code;
	}
	return 0;
}

static int memory_last(struct store *store, struct batch *ret, struct err *err)
{
	struct memory_store *self = self_of(store);

	(void)err;
	pthread_mutex_lock(&self->mutex);
	*ret = self->n_batches ? self->batches[self->n_batches - 1]->batch : (struct batch){0};
	pthread_mutex_unlock(&self->mutex);
	ret->events = NULL;
	ret->len = 0;
	return 0;
}

static int memory_payload(struct store *store, const struct hash *hash, struct buf *ret, struct err *err)
{
	struct memory_store *self = self_of(store);
	const struct kept_payload *kept;

	pthread_mutex_lock(&self->mutex);
	kept = find_payload(self, hash);
	if (kept)
		buf_put(ret, kept->bytes, kept->len);
	pthread_mutex_unlock(&self->mutex);
	return kept ? 0 : err_set(err, ERR_NOT_FOUND, "payload", "never kept, or erased");
}

static int memory_erase(struct store *store, const struct hash *hash, struct err *err)
{
	struct memory_store *self = self_of(store);
	struct kept_payload *kept;

	(void)err;
	pthread_mutex_lock(&self->mutex);
	kept = find_payload(self, hash);
	if (kept)
		remove_payload(self, kept);
	pthread_mutex_unlock(&self->mutex);
	return 0;
}

static int memory_payloads(struct store *store, int (*visit)(void *ctx, const struct hash *hash), void *ctx, struct err *err)
{
	struct memory_store *self = self_of(store);
	struct hash *hashes;
	uint32_t n = 0;
	int code = 0;

	(void)err;
	pthread_mutex_lock(&self->mutex);
	hashes = mem_new(self->payloads.count, sizeof *hashes);
	for (const struct tree_node *node = tree_first(&self->payloads); node; node = tree_next(node))
		hashes[n++] = payload_of(node)->hash;
	pthread_mutex_unlock(&self->mutex);
	for (uint32_t i = 0; !code && i < n; i++)
		code = visit(ctx, &hashes[i]);
	free(hashes);
	return code;
}

/* ---- Snapshots ---- */

static void drop_snapshot(struct memory_store *self, uint32_t nth)
{
	buf_done(&self->snapshots[nth].bytes);
	for (uint32_t i = nth + 1; i < SNAPSHOTS_KEPT; i++)
		self->snapshots[i - 1] = self->snapshots[i];
	self->n_snapshots--;
}

static int memory_snapshot_put(struct store *store, const struct snapshot *snapshot, struct err *err)
{
	struct memory_store *self = self_of(store);
	struct kept_snapshot kept = {.head = *snapshot};

	(void)err;
	buf_put(&kept.bytes, snapshot->bytes, snapshot->len);
	kept.head.bytes = NULL;
	pthread_mutex_lock(&self->mutex);
	while (self->n_snapshots && self->snapshots[0].head.sequence >= snapshot->sequence)
		drop_snapshot(self, 0);
	if (self->n_snapshots == SNAPSHOTS_KEPT)
		drop_snapshot(self, SNAPSHOTS_KEPT - 1);
	for (uint32_t i = SNAPSHOTS_KEPT - 1; i > 0; i--)
		self->snapshots[i] = self->snapshots[i - 1];
	self->snapshots[0] = kept;
	self->n_snapshots++;
	pthread_mutex_unlock(&self->mutex);
	return 0;
}

static int memory_snapshot(struct store *store, uint32_t nth, struct snapshot *ret, struct buf *bytes, struct err *err)
{
	struct memory_store *self = self_of(store);
	bool found;

	pthread_mutex_lock(&self->mutex);
	found = nth < self->n_snapshots;
	if (found) {
		*ret = self->snapshots[nth].head;
		buf_put(bytes, self->snapshots[nth].bytes.data, self->snapshots[nth].bytes.len);
	}
	pthread_mutex_unlock(&self->mutex);
	return found ? 0 : err_set(err, ERR_NOT_FOUND, "snapshot", "there is none");
}

/* ---- The history ---- */

static char *put_text(char **at, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = memcpy(*at, text, size);

	*at += size;
	return copy;
}

static struct kept_job *copy_job(const struct past_job *job)
{
	struct kept_job *kept = malloc(sizeof *kept + strlen(job->project) + strlen(job->centre) + strlen(job->record) + 3);
	char *at;

	if (!kept)
		return NULL;
	at = kept->texts;
	kept->job = *job;
	kept->job.project = put_text(&at, job->project);
	kept->job.centre = put_text(&at, job->centre);
	kept->job.record = put_text(&at, job->record);
	return kept;
}

/* Where a job with this number stands, or would. */
static uint32_t place_of_job(const struct memory_store *self, uint32_t id)
{
	uint32_t low = 0, high = self->n_jobs;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (self->jobs[middle]->job.id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void add_job(struct memory_store *self, struct kept_job *kept)
{
	uint32_t place = place_of_job(self, kept->job.id);

	if (place < self->n_jobs && self->jobs[place]->job.id == kept->job.id) {
		free(kept);
		return;
	}
	mem_grow((void **)&self->jobs, &self->jobs_cap, self->n_jobs, sizeof(*self->jobs));
	memmove(self->jobs + place + 1, self->jobs + place, (self->n_jobs - place) * sizeof(*self->jobs));
	self->jobs[place] = kept;
	self->n_jobs++;
}

static int memory_history_put(struct store *store, const struct past_job *jobs, uint32_t n, struct err *err)
{
	struct memory_store *self = self_of(store);
	struct kept_job **kept = calloc(n + 1, sizeof(*kept));
	uint32_t made = 0;

	while (kept && made < n && (kept[made] = copy_job(&jobs[made])))
		made++;
	if (made < n) {
		while (made)
			free(kept[--made]);
		free(kept);
		return err_set(err, ERR_NOMEM, "history", "out of memory");
	}
	pthread_mutex_lock(&self->mutex);
	for (uint32_t i = 0; i < n; i++)
		add_job(self, kept[i]);
	pthread_mutex_unlock(&self->mutex);
	free(kept);
	return 0;
}

static bool is_wanted(const struct past_query *query, const struct past_job *job)
{
	return job->id > query->after && (query->state < 0 || job->state == (enum job_state)query->state) &&
	       (!query->project || !strcmp(query->project, job->project)) &&
	       (!query->array_of || (job->array_of == query->array_of && job->array_index == query->array_index));
}

/* Jobs are never changed nor freed before close, so what is found is visited without the mutex. */
static int memory_history(struct store *store, const struct past_query *query,
                          int (*visit)(void *ctx, const struct past_job *job), void *ctx, struct err *err)
{
	struct memory_store *self = self_of(store);
	const struct past_job **found = NULL;
	uint32_t n = 0, cap = 0;
	int code = 0;

	(void)err;
	pthread_mutex_lock(&self->mutex);
	for (uint32_t i = place_of_job(self, query->before); i > 0 && n < query->limit; i--) {
		if (!is_wanted(query, &self->jobs[i - 1]->job))
			continue;
		mem_grow((void **)&found, &cap, n, sizeof(*found));
		found[n++] = &self->jobs[i - 1]->job;
	}
	pthread_mutex_unlock(&self->mutex);
	for (uint32_t i = 0; !code && i < n; i++)
		code = visit(ctx, found[i]);
	free(found);
	return code;
}

static int memory_history_ids(struct store *store, int (*visit)(void *ctx, uint32_t job), void *ctx, struct err *err)
{
	struct memory_store *self = self_of(store);
	uint32_t *ids, n;
	int code = 0;

	(void)err;
	pthread_mutex_lock(&self->mutex);
	n = self->n_jobs;
	ids = mem_new(n, sizeof *ids);
	for (uint32_t i = 0; i < n; i++)
		ids[i] = self->jobs[i]->job.id;
	pthread_mutex_unlock(&self->mutex);
	for (uint32_t i = 0; !code && i < n; i++)
		code = visit(ctx, ids[i]);
	free(ids);
	return code;
}

static struct store *memory_close(struct store *store)
{
	struct memory_store *self = self_of(store);

	if (!self)
		return NULL;
	for (uint32_t i = 0; i < self->n_batches; i++)
		free(self->batches[i]);
	free(self->batches);
	while (self->n_snapshots)
		drop_snapshot(self, 0);
	for (uint32_t i = 0; i < self->n_jobs; i++)
		free(self->jobs[i]);
	free(self->jobs);
	while (self->payloads.root)
		remove_payload(self, payload_of(self->payloads.root));
	pthread_mutex_destroy(&self->mutex);
	free(self);
	return NULL;
}

int memory_store_limit(struct store *store, uint64_t bytes, struct err *err)
{
	struct memory_store *self = self_of(store);

	(void)err;
	pthread_mutex_lock(&self->mutex);
	self->bytes_max = bytes;
	pthread_mutex_unlock(&self->mutex);
	return 0;
}

int memory_store_open(struct store **ret, struct err *err)
{
	static const struct store_ops ops = {
		.name = "memory",
		.append = memory_append,
		.read = memory_read,
		.last = memory_last,
		.payload = memory_payload,
		.erase = memory_erase,
		.payloads = memory_payloads,
		.snapshot_put = memory_snapshot_put,
		.snapshot = memory_snapshot,
		.history_put = memory_history_put,
		.history = memory_history,
		.history_ids = memory_history_ids,
		.close = memory_close,
	};
	struct memory_store *self = calloc(1, sizeof *self);

	if (!self)
		return err_set(err, ERR_NOMEM, "journal", "out of memory");
	self->store.ops = &ops;
	self->payloads.compare = compare_payloads;
	pthread_mutex_init(&self->mutex, NULL);
	*ret = &self->store;
	return 0;
}
