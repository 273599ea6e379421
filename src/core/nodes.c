/* SPDX-License-Identifier: Apache-2.0
 * nodes.c: nodes that are out, and bookings of nodes for a while; see apply_inside.h.
 *
 * Marks are in order of centre and number, one a node, never NODE_UP. Bookings are in order of their numbers, from 1. Each mark
 * of a node, and each booking on each of its nodes that the pool has, is a window in what is kept; a mark's has no end. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/apply_inside.h"

enum { WINDOW_OF_MARK = 0 }; /* bookings are numbered from 1 */

/* ---- Marks ---- */

static struct node_mark *find_mark(const struct core *core, uint32_t centre, uint32_t number, uint32_t *ret_at)
{
	uint32_t low = 0, high = core->n_marks;

	while (low < high) {
		uint32_t mid = (low + high) / 2;
		const struct node_mark *m = &core->marks[mid];

		if (m->centre < centre || (m->centre == centre && m->number < number))
			low = mid + 1;
		else
			high = mid;
	}
	*ret_at = low;
	return low < core->n_marks && core->marks[low].centre == centre && core->marks[low].number == number ? &core->marks[low]
	                                                                                                     : NULL;
}

enum node_state core_node_state(const struct core *core, uint32_t node, const char **ret_note)
{
	uint32_t at;
	const struct node_mark *m = find_mark(core, core->pool->nodes[node].centre, core->pool->nodes[node].number, &at);

	*ret_note = m ? m->note : "";
	return m ? m->state : NODE_UP;
}

bool job_lost_node(const struct core *core, const struct job *job)
{
	uint32_t at;

	for (uint32_t i = 0; core->n_marks && i < job->plan.n_tasks; i++) {
		const struct node_mark *m = find_mark(core, job->plan.tasks[i].centre, job->plan.tasks[i].node, &at);

		if (m && m->state == NODE_DOWN)
			return true;
	}
	return false;
}

void mark_node(struct core *core, uint32_t centre, uint32_t number, enum node_state state, const char *note)
{
	uint32_t at, node = pool_node(core->pool, centre, number);
	struct node_mark *m = find_mark(core, centre, number, &at);

	if (m) {
		free(m->note);
		keep_unwindow(&core->keep, node, WINDOW_OF_MARK, &core->capacity);
		core->n_marks--;
		memmove(m, m + 1, (core->n_marks - at) * sizeof *m);
	}
	if (state == NODE_UP)
		return;
	mem_grow((void **)&core->marks, &core->marks_cap, core->n_marks, sizeof *core->marks);
	memmove(&core->marks[at + 1], &core->marks[at], (core->n_marks - at) * sizeof *core->marks);
	core->marks[at] = (struct node_mark){centre, number, state, mem_strdup(note)};
	core->n_marks++;
	keep_window(&core->keep, node, WINDOW_OF_MARK, UINT32_MAX, core->now_us, US_NEVER, &core->capacity);
}

/* ---- Bookings ---- */

/* Each node of a booking that the pool has. */
static void window_nodes(struct core *core, const struct booking *b, bool keep)
{
	for (uint32_t i = 0; i < b->n_ranges; i++)
		for (uint32_t number = b->ranges[i].first; number <= b->ranges[i].last; number++) {
			uint32_t node = pool_node(core->pool, b->centre, number);

			if (node != NODE_NONE && keep)
				keep_window(&core->keep, node, b->id, b->project, b->from_us, b->until_us, &core->capacity);
			else if (node != NODE_NONE)
				keep_unwindow(&core->keep, node, b->id, &core->capacity);
		}
}

void add_booking(struct core *core, const struct booked *from)
{
	struct booking *b = mem_new(1, sizeof *b);

	*b = (struct booking){.id = from->booking,
	                      .name = mem_strdup(from->name),
	                      .project = *from->project ? strtab_add(&core->projects, from->project) : UINT32_MAX,
	                      .centre = from->centre,
	                      .n_ranges = from->n_ranges,
	                      .from_us = from->from_us,
	                      .until_us = from->until_us};
	b->ranges = mem_new(b->n_ranges, sizeof *b->ranges);
	memcpy(b->ranges, from->ranges, b->n_ranges * sizeof *b->ranges);
	mem_grow((void **)&core->bookings, &core->bookings_cap, core->n_bookings, sizeof(struct booking *));
	core->bookings[core->n_bookings++] = b;
	core->last_booking = b->id;
	window_nodes(core, b, true);
}

struct booking *booking_free(struct booking *b)
{
	if (!b)
		return NULL;
	free(b->name);
	free(b->ranges);
	free(b);
	return NULL;
}

void remove_booking(struct core *core, uint32_t booking)
{
	uint32_t i = 0;

	while (core->bookings[i]->id != booking)
		i++;
	window_nodes(core, core->bookings[i], false);
	booking_free(core->bookings[i]);
	core->n_bookings--;
	memmove(&core->bookings[i], &core->bookings[i + 1], (core->n_bookings - i) * sizeof(struct booking *));
}

/* ---- When the pool changes ---- */

void index_keep(struct core *core)
{
	uint32_t n = 0;

	keep_done(&core->keep);
	keep_init(&core->keep, &core->capacity);
	for (uint32_t i = 0; i < core->n_marks; i++) {
		uint32_t node = pool_node(core->pool, core->marks[i].centre, core->marks[i].number);

		if (node == NODE_NONE) {
			free(core->marks[i].note);
			continue;
		}
		keep_window(&core->keep, node, WINDOW_OF_MARK, UINT32_MAX, core->now_us, US_NEVER, &core->capacity);
		core->marks[n++] = core->marks[i];
	}
	core->n_marks = n;
	for (uint32_t i = 0; i < core->n_bookings; i++)
		window_nodes(core, core->bookings[i], true);
}
