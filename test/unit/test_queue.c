/* SPDX-License-Identifier: Apache-2.0
 * test_queue.c: the order of what waits, against a sorted array; and the memos of what was passed over, against a walk. */
#include "core_fixture.h"

#include "core/queue.h"

enum { JOBS = 60, SHAPES = 5, NEVER = 4, PROJECTS = 3 }; /* NEVER: the shape that no pool could hold */

struct model {
	struct queue queue;
	uint32_t shapes[SHAPES];
	uint32_t share[PROJECTS]; /* of each project; several may stand equal */
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
	*m = (struct model){.queue.by_share = chance(rng, 50)};
	for (uint32_t i = 0; i < SHAPES; i++) {
		struct request q;
		struct group g = group_of(&q, i + 1);
		bool is_new;

		assert_int_equal(queue_find_shape(&m->queue, &g), UINT32_MAX);
		m->shapes[i] = queue_shape(&m->queue, &g, &is_new);
		assert_true(is_new);
		assert_int_equal(queue_shape(&m->queue, &g, &is_new), m->shapes[i]);
		assert_false(is_new);
		m->queue.shapes[m->shapes[i]]->place = i / 2; /* two look in the same places: one lane */
		m->queue.shapes[m->shapes[i]]->never = i == NEVER;
	}
	for (uint32_t i = 0; i < JOBS; i++)
		m->jobs[i] = (struct job){.id = i + 1,
		                          .shape = m->shapes[below(rng, SHAPES)],
		                          .project = below(rng, PROJECTS),
		                          .priority = (uint16_t)(below(rng, 3) * 500),
		                          .rank = chance(rng, 50) ? 0 : below(rng, 4),
		                          .stay_us = chance(rng, 20) ? US_NEVER : 1 + below(rng, 20),
		                          .limit_us = chance(rng, 20) ? US_NEVER : 1 + below(rng, 20)};
}

static bool same_class(const struct job *a, const struct job *b)
{
	return a->shape == b->shape && a->project == b->project && a->priority == b->priority;
}

/* Whether a goes before b of the same class: by rank, then by number. */
static bool job_before(const struct job *a, const struct job *b)
{
	return a->rank != b->rank ? a->rank < b->rank : a->id < b->id;
}

static uint32_t share_of(const struct model *m, const struct job *job)
{
	return m->queue.by_share ? m->share[job->project] : 0;
}

/* Whether a goes before b, whatever their classes. */
static bool goes_before(const struct model *m, const struct job *a, const struct job *b)
{
	if (a->priority != b->priority)
		return a->priority > b->priority;
	return share_of(m, a) != share_of(m, b) ? share_of(m, a) < share_of(m, b) : job_before(a, b);
}

static bool is_in_line(const struct model *m, uint32_t i)
{
	return m->waits[i] && m->jobs[i].shape != m->shapes[NEVER];
}

/* The first waiting job of a class after another one (NULL: of all) with a stay within; NULL: none. */
static const struct job *next_alike(const struct model *m, const struct job *like, const struct job *after, us_t stay_us,
                                    us_t limit_us)
{
	const struct job *found = NULL;

	for (uint32_t i = 0; i < JOBS; i++) {
		const struct job *job = &m->jobs[i];

		if (m->waits[i] && same_class(job, like) && job->stay_us <= stay_us && job->limit_us <= limit_us &&
		    (!after || job_before(after, job)) && (!found || job_before(job, found)))
			found = job;
	}
	return found;
}

/* The waiting jobs that are the first of their classes, in order. */
static uint32_t list_firsts(const struct model *m, const struct job **list)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < JOBS; i++) {
		uint32_t at = n;

		if (!is_in_line(m, i) || next_alike(m, &m->jobs[i], NULL, US_NEVER, US_NEVER) != &m->jobs[i])
			continue;
		for (; at > 0 && goes_before(m, &m->jobs[i], list[at - 1]); at--)
			list[at] = list[at - 1];
		list[at] = &m->jobs[i];
		n++;
	}
	return n;
}

static void compare_class(const struct model *m, const struct job_class *class, const struct job *first)
{
	const struct job *job = NULL;

	assert_ptr_equal(class_first(class), first);
	assert_int_equal(class->first, first->id);
	assert_int_equal(class->rank, first->rank);
	for (const struct job *have = class_first(class); have; have = class_next(have)) {
		job = next_alike(m, first, job, US_NEVER, US_NEVER);
		assert_ptr_equal(have, job);
	}
	assert_null(next_alike(m, first, job, US_NEVER, US_NEVER));
	for (us_t within = 0; within <= 21; within++) {
		assert_ptr_equal(class_first_within(class, within, US_NEVER), next_alike(m, first, NULL, within, US_NEVER));
		assert_ptr_equal(class_first_within(class, US_NEVER, within), next_alike(m, first, NULL, US_NEVER, within));
		assert_ptr_equal(class_first_within(class, within, 21 - within), next_alike(m, first, NULL, within, 21 - within));
	}
}

/* The projects' shares are set by whoever ranks them; here by the model. */
static void sort(struct model *m, us_t now_us)
{
	for (uint32_t i = 0; i < m->queue.n_buckets; i++)
		if (m->queue.buckets[i])
			m->queue.buckets[i]->share = m->queue.by_share ? m->share[m->queue.buckets[i]->project] : 0;
	queue_sort(&m->queue, now_us);
}

static void compare_ahead(const struct model *m)
{
	uint32_t waiting = 0;

	for (uint32_t i = 0; i < JOBS; i++) {
		uint32_t ahead = 0;

		waiting += m->waits[i];
		assert_int_equal(queue_has(&m->queue, &m->jobs[i]), m->waits[i]);
		if (!m->waits[i])
			continue;
		for (uint32_t k = 0; is_in_line(m, i) && k < JOBS; k++)
			ahead += is_in_line(m, k) && goes_before(m, &m->jobs[k], &m->jobs[i]);
		assert_int_equal(queue_ahead(&m->queue, &m->jobs[i]), ahead);
	}
	assert_int_equal(m->queue.waiting, waiting);
}

static us_t least_stay(const struct job_class *class)
{
	us_t least_us = US_NEVER;

	for (const struct job *job = class_first(class); job; job = class_next(job))
		least_us = job->stay_us < least_us ? job->stay_us : least_us;
	return least_us;
}

static void compare_lane_open(const struct lane *lane, uint64_t stamp, const struct worth *worth)
{
	const struct job_class *want = NULL;

	for (const struct tree_node *node = tree_first(&lane->classes); node && !want; node = tree_next(node)) {
		const struct job_class *class = tree_entry(node, struct job_class, in_lane);
		bool fits = class->nodes <= worth->nodes || (class->nodes <= worth->nodes_within && least_stay(class) <= worth->stay_us);

		want = class->passed_over <= stamp && fits ? class : NULL;
	}
	assert_ptr_equal(lane_open(lane, stamp, worth), want);
}

/* The first class of a lane that is open is the one that a walk finds. */
static void compare_open(const struct model *m, uint64_t stamp, struct rng *rng)
{
	for (uint32_t i = 0; i < m->queue.n_lanes; i++)
		for (uint32_t nodes = 0; m->queue.lanes[i] && nodes <= SHAPES; nodes++) {
			struct worth worth = {.nodes = nodes, .nodes_within = nodes + (uint32_t)rng_below(rng, SHAPES)};

			worth.stay_us = m->jobs[rng_below(rng, JOBS)].stay_us;
			compare_lane_open(m->queue.lanes[i], stamp, &worth);
		}
}

static void compare(struct model *m, us_t now_us)
{
	const struct job *firsts[JOBS];
	uint32_t n = list_firsts(m, firsts), i = 0;
	struct arena arena = {0};
	struct queue_walk walk = {.queue = &m->queue, .arena = &arena};

	sort(m, now_us);
	queue_check(&m->queue);
	for (const struct job_class *class; (class = queue_walk_next(&walk));) {
		assert_true(i < n);
		compare_class(m, class, firsts[i++]);
	}
	assert_int_equal(i, n);
	compare_ahead(m);
	arena_done(&arena);
}

/* Somebody is passed over at this stamp, and looked at again only later, or when its class gets another job. */
static void pass_over_some(struct model *m, struct rng *rng, uint64_t stamp)
{
	for (uint32_t i = 0; i < m->queue.n_classes; i++)
		if (m->queue.classes[i] && !m->queue.shapes[m->queue.classes[i]->shape]->never && chance(rng, 20))
			class_pass_over(&m->queue, m->queue.classes[i], stamp);
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
			if (m.waits[i] && m.jobs[i].shape != m.shapes[NEVER])
				assert_int_equal(m.queue.classes[m.jobs[i].queue_class - 1]->passed_over, 0);
			for (uint32_t p = 0; p < PROJECTS && step % 10 == 0; p++)
				m.share[p] = below(&rng, PROJECTS);
			m.queue.sorted &= step % 10 != 0;
			compare(&m, step);
			pass_over_some(&m, &rng, (uint64_t)step);
			compare_open(&m, (uint64_t)step, &rng);
			compare_open(&m, (uint64_t)step + 1, &rng);
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
