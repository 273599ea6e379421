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

struct memory_store {
	struct store store;
	pthread_mutex_t mutex; /* over all that follows */
	struct kept_batch **batches;
	uint32_t n_batches, batches_cap;
	struct tree payloads;      /* by hash */
	uint64_t bytes, bytes_max; /* bytes_max 0: no bound */
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

static struct store *memory_close(struct store *store)
{
	struct memory_store *self = self_of(store);

	if (!self)
		return NULL;
	for (uint32_t i = 0; i < self->n_batches; i++)
		free(self->batches[i]);
	free(self->batches);
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
