/* SPDX-License-Identifier: Apache-2.0
 * test_audit.c: batches gone over on the caller's thread and on another: the same hash, the same plans, the same fault. */
#include "sim/audit.h"

#include "core_fixture.h"

enum { JOBS = 300 };

static const struct line_spec lines[] = {{.count = 40,
                                          .kind = "a",
                                          .cards = 8,
                                          .cpus_milli = UNCOUNTED,
                                          .memory_mib = UNCOUNTED,
                                          .nodes_per_rack = 4,
                                          .racks_per_pod = 2}};
static const struct centre_spec centres[] = {{.name = "c", .capabilities = CAN_ALL, .lines = lines, .n_lines = 1}};

/* A core's batches: a pool, and jobs that are placed as they come. */
struct batches {
	struct buf events[JOBS + 2];
	struct batch batch[JOBS + 2];
	uint32_t n;
};

static void add_input(struct batches *b, struct core *core, struct input in)
{
	struct step step = {0};
	struct err err;

	in.now_us = (us_t)(1000 + b->n) * US_SECOND;
	assert_int_equal(core_step(core, &in, &step, &err), 0);
	assert_true(step.n_events > 0);
	b->events[b->n] = step.events;
	b->batch[b->n] = (struct batch){.sequence = core_sequence(core) - step.n_events + 1,
	                                .n_events = step.n_events,
	                                .at_us = step.last_us,
	                                .events = step.events.data,
	                                .len = step.events.len};
	b->n++;
	free(step.effects);
}

static struct batches make_batches(void)
{
	const struct pool_spec pool = pool_of(centres, 1);
	const struct want want = {.cards_milli = 1000, .limit_us = US_HOUR};
	struct core *core = core_new();
	struct batches b = {0};
	struct want_spec spec;
	struct input in = {.type = INPUT_POOL, .pool = &pool};

	add_input(&b, core, in);
	in = (struct input){.type = INPUT_SUBMIT};
	in.submit.spec = want_spec(&want, &spec);
	for (int i = 0; i < JOBS; i++)
		add_input(&b, core, in);
	core_free(core);
	return b;
}

static void drop_batches(struct batches *b)
{
	for (uint32_t i = 0; i < b->n; i++)
		buf_done(&b->events[i]);
}

/* Hands over a copy of batch i, as the bytes are the audit's from then on. */
static int take(struct audit *audit, struct buf *room, const struct batches *b, uint32_t i, struct err *err)
{
	struct batch batch = b->batch[i];
	int code;

	buf_put(room, b->events[i].data, b->events[i].len);
	batch.events = room->data;
	code = audit_take(audit, room, &batch, err);
	assert_int_equal(room->len, 0);
	return code;
}

/* Takes the batches, with batch `again`, if there is one, a second time behind all. */
static int run(const struct batches *b, bool threaded, bool unchecked, uint32_t again, struct hash *ret_hash, uint64_t *ret_count,
               struct err *err)
{
	struct audit *audit = audit_new(unchecked, threaded);
	struct buf room = {0};
	int code = 0;

	for (uint32_t i = 0; code == 0 && i < b->n; i++)
		code = take(audit, &room, b, i, err);
	if (code == 0 && again < b->n)
		code = take(audit, &room, b, again, err);
	if (code == 0)
		code = audit_finish(audit, ret_hash, err);
	*ret_count = audit_count(audit);
	audit_free(audit);
	buf_done(&room);
	return code;
}

static void both_ways_are_the_same(void **state)
{
	struct batches b = make_batches();
	struct hash chain = {{0}};

	(void)state;
	for (uint32_t i = 0; i < b.n; i++)
		chain = journal_hash(&chain, b.batch[i].sequence, b.batch[i].n_events, b.batch[i].at_us, b.batch[i].events,
		                     b.batch[i].len);
	for (int way = 0; way < 4; way++) {
		struct hash hash;
		uint64_t count;
		struct err err;

		assert_int_equal(run(&b, way & 1, way & 2, UINT32_MAX, &hash, &count, &err), 0);
		assert_memory_equal(&hash, &chain, sizeof hash);
		assert_int_equal(count, way & 2 ? 0 : JOBS);
	}
	drop_batches(&b);
}

/* A job that comes a second time: on another thread it shows at the end at the latest, and says the same. */
static void what_breaks_a_rule_shows(void **state)
{
	struct batches b = make_batches();
	struct err here = {0}, there = {0};
	struct hash hash;
	uint64_t count;

	(void)state;
	assert_int_equal(run(&b, false, false, 7, &hash, &count, &here), ERR_CORRUPT);
	assert_int_equal(run(&b, true, false, 7, &hash, &count, &there), ERR_CORRUPT);
	assert_string_equal(here.subject, there.subject);
	assert_string_equal(here.text, there.text);
	assert_non_null(strstr(here.text, "was there already"));
	drop_batches(&b);
}

static void what_is_not_an_event_shows(void **state)
{
	struct batches b = make_batches();
	struct hash hash;
	uint64_t count;
	struct err err;

	(void)state;
	memset(b.events[5].data, 0xff, b.events[5].len);
	for (int threaded = 0; threaded < 2; threaded++) {
		assert_int_equal(run(&b, threaded, false, UINT32_MAX, &hash, &count, &err), ERR_CORRUPT);
		assert_non_null(strstr(err.text, "can't be read again"));
	}
	drop_batches(&b);
}

/* It may be left at any time, with batches that nobody went over. */
static void it_may_be_left(void **state)
{
	struct batches b = make_batches();

	(void)state;
	for (int i = 0; i < 20; i++) {
		struct audit *audit = audit_new(false, true);
		struct buf room = {0};
		struct err err;

		for (uint32_t k = 0; k < 5; k++)
			assert_int_equal(take(audit, &room, &b, k, &err), 0);
		assert_null(audit_free(audit));
		buf_done(&room);
	}
	drop_batches(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ways_are_the_same),
		cmocka_unit_test(what_breaks_a_rule_shows),
		cmocka_unit_test(what_is_not_an_event_shows),
		cmocka_unit_test(it_may_be_left),
	};

	return cmocka_run_group_tests_name("audit", tests, NULL, NULL);
}
