/* SPDX-License-Identifier: Apache-2.0
 * test_queue.c: the order of what waits, against a sorted array. */
#include "core_fixture.h"

#include "core/queue.h"

enum { JOBS = 60, SHAPES = 4 };

struct model {
	struct queue queue;
	uint32_t shapes[SHAPES];
	struct job jobs[JOBS];
	bool waits[JOBS];
};

static struct group group_of(struct request *q, uint32_t nodes)
{
	*q = (struct request){.kind = KIND_ANY, .cards_milli = 1000, .centre = CENTRE_ANY, .speed_milli = 1000};
	return (struct group){.nodes = nodes, .n_requests = 1, .requests = q, .highest = TIER_CENTRE};
}

static void model_init(struct model *m, struct rng *rng)
{
	*m = (struct model){0};
	for (uint32_t i = 0; i < SHAPES; i++) {
		struct request q;
		struct group g = group_of(&q, i + 1);
		bool is_new;

		assert_int_equal(queue_find_shape(&m->queue, &g), UINT32_MAX);
		m->shapes[i] = queue_shape(&m->queue, &g, &is_new);
		assert_true(is_new);
		assert_int_equal(queue_shape(&m->queue, &g, &is_new), m->shapes[i]);
		assert_false(is_new);
	}
	for (uint32_t i = 0; i < JOBS; i++)
		m->jobs[i] = (struct job){.id = i + 1,
		                          .shape = m->shapes[below(rng, SHAPES)],
		                          .project = below(rng, 2),
		                          .priority = (uint16_t)(below(rng, 3) * 500),
		                          .limit_us = chance(rng, 20) ? US_NEVER : 1 + below(rng, 20)};
}

static bool same_class(const struct job *a, const struct job *b)
{
	return a->shape == b->shape && a->project == b->project && a->priority == b->priority;
}

/* Index of the class's next waiting job from `from` on with a limit within; JOBS: none. */
static uint32_t next_alike(const struct model *m, const struct job *like, uint32_t from, us_t within_us)
{
	for (; from < JOBS; from++)
		if (m->waits[from] && same_class(&m->jobs[from], like) && m->jobs[from].limit_us <= within_us)
			break;
	return from;
}

/* The waiting jobs that are the first of their classes, by priority and number. */
static uint32_t list_firsts(const struct model *m, uint32_t *list)
{
	uint32_t n = 0;

	for (int priority = 1000; priority >= 0; priority -= 500)
		for (uint32_t i = 0; i < JOBS; i++)
			if (m->waits[i] && m->jobs[i].priority == priority && next_alike(m, &m->jobs[i], 0, US_NEVER) == i)
				list[n++] = i;
	return n;
}

static void compare_class(const struct model *m, const struct job_class *class, const struct job *first)
{
	uint32_t i = next_alike(m, first, 0, US_NEVER);

	assert_ptr_equal(class_first(class), first);
	assert_int_equal(class->first, first->id);
	for (const struct tree_node *node = tree_first(&class->jobs); node; node = tree_next(node)) {
		assert_ptr_equal(tree_entry(node, struct job, in_class), &m->jobs[i]);
		i = next_alike(m, first, i + 1, US_NEVER);
	}
	assert_int_equal(i, JOBS);
	for (us_t within = 0; within <= 21; within++) {
		uint32_t want = next_alike(m, first, 0, within);

		assert_ptr_equal(class_first_within(class, within), want == JOBS ? NULL : &m->jobs[want]);
	}
}

static void compare(const struct model *m)
{
	uint32_t firsts[JOBS], n = list_firsts(m, firsts), i = 0, waiting = 0;

	queue_check(&m->queue);
	for (const struct job_class *class = queue_first(&m->queue); class; class = queue_next(class)) {
		assert_true(i < n);
		compare_class(m, class, &m->jobs[firsts[i++]]);
	}
	assert_int_equal(i, n);
	for (i = 0; i < JOBS; i++) {
		uint32_t ahead = 0;

		waiting += m->waits[i];
		assert_int_equal(queue_has(&m->queue, &m->jobs[i]), m->waits[i]);
		for (uint32_t k = 0; k < JOBS; k++)
			ahead += m->waits[k] &&
			         (m->jobs[k].priority > m->jobs[i].priority || (m->jobs[k].priority == m->jobs[i].priority && k < i));
		assert_int_equal(queue_ahead(&m->queue, &m->jobs[i]), ahead);
	}
	assert_int_equal(m->queue.waiting, waiting);
}

static void test_against_array(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct rng rng = {seed};
		static struct model m;

		model_init(&m, &rng);
		for (int step = 0; step < 150; step++) {
			uint32_t i = below(&rng, JOBS);

			if (m.waits[i])
				queue_remove(&m.queue, &m.jobs[i]);
			else
				queue_add(&m.queue, &m.jobs[i]);
			m.waits[i] = !m.waits[i];
			compare(&m);
		}
		queue_done(&m.queue);
	}
}

/* What makes a shape another: everything that is asked for. */
static void test_shapes_differ(void **state)
{
	struct request base = {
		.kind = 1, .cards_milli = 1000, .cpus_milli = 1, .memory_mib = 1, .centre = CENTRE_ANY, .speed_milli = 1000};
	struct request requests[] = {base, base, base, base, base, base, base, base};
	struct request two[2] = {base, base};
	struct queue queue = {0};
	struct group groups[] = {
		{1, 1, &requests[0], 0, 0, TIER_CENTRE}, {2, 1, &requests[0], 0, 0, TIER_CENTRE}, {1, 1, &requests[0], 1, 0, TIER_CENTRE},
		{1, 1, &requests[0], 0, 1, TIER_CENTRE}, {1, 1, &requests[0], 0, 0, TIER_RACK},   {1, 2, two, 0, 0, TIER_CENTRE},
		{1, 1, &requests[1], 0, 0, TIER_CENTRE}, {1, 1, &requests[2], 0, 0, TIER_CENTRE}, {1, 1, &requests[3], 0, 0, TIER_CENTRE},
		{1, 1, &requests[4], 0, 0, TIER_CENTRE}, {1, 1, &requests[5], 0, 0, TIER_CENTRE}, {1, 1, &requests[6], 0, 0, TIER_CENTRE},
		{1, 1, &requests[7], 0, 0, TIER_CENTRE},
	};

	(void)state;
	requests[1].kind = KIND_ANY;
	requests[2].cards_milli = 2000;
	requests[3].cpus_milli = 2;
	requests[4].memory_mib = 2;
	requests[5].centre = 0;
	requests[6].speed_milli = 999;
	requests[7].image = 1;
	for (uint32_t i = 0; i < COUNT(groups); i++) {
		bool is_new;

		assert_int_equal(queue_shape(&queue, &groups[i], &is_new), i);
		assert_true(is_new);
	}
	for (uint32_t i = 0; i < COUNT(groups); i++)
		assert_int_equal(queue_find_shape(&queue, &groups[i]), i);
	queue_done(&queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_array),
		cmocka_unit_test(test_shapes_differ),
	};

	return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
