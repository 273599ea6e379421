/* SPDX-License-Identifier: Apache-2.0
 * verify.c: whether a journal is whole, and the one that was anchored; the rules are core/journal.h's. */
#include "store/stores.h"

struct verifying {
	struct journal_walk *walk;
	struct batch last; /* the last good one, without its events */
	struct err *err;
};

static int visit(void *ctx, const struct batch *batch)
{
	struct verifying *v = ctx;
	int code = journal_walk_take(v->walk, batch, v->err);

	if (code < 0)
		return code;
	v->last = *batch;
	v->last.events = NULL;
	v->last.len = 0;
	return 0;
}

int journal_verify_walk(struct store *store, struct journal_walk *walk, struct err *err)
{
	struct verifying v = {.walk = walk, .err = err};
	int code = store->ops->read(store, 0, visit, &v, err);

	return code < 0 ? code : journal_walk_end(walk, err);
}

int journal_verify(struct store *store, struct batch *ret_last, struct err *err)
{
	struct journal_walk walk = {0};
	struct verifying v = {.walk = &walk, .err = err};
	int code = store->ops->read(store, 0, visit, &v, err);

	if (ret_last)
		*ret_last = v.last;
	return code;
}
