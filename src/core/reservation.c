/* SPDX-License-Identifier: Apache-2.0
 * reservation.c: keeping parts of the pool for later; see reservation.h.
 *
 * For each node of a promise its future is kept: what will be free there at the promised start, with the promised job running,
 * everything ended whose bound is at or before the start, and what other promises take then taken. Since between starts things
 * only end, a later job delays no promise if at each promised start before its own end its share fits in that future. A future
 * only changes for claims that last longer than the start; when it falls below 0, the promise is broken. Where others are made to
 * leave for the promise, all last longer but those who are leaving.
 *
 * Invariant: open = the lesser of live and of every future, on every node and card; nothing, on a node with a window. */
#include "core/reservation.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/place.h"

/* What a node has: of each card, CPUs, memory. Futures may be below 0. UNCOUNTED stays. */
struct room {
	int32_t milli[CARDS_PER_NODE_MAX];
	int64_t cpus_milli, memory_mib;
};

/* A promise's part of a node. */
struct hold {
	struct reservation *of;
	struct share share; /* what the promised job takes */
	struct room future; /* what is free at the start, that taken */
};

struct window {
	uint32_t id, project;
	us_t from_us, until_us;
};

struct kept_node {
	uint32_t node, cards;
	uint32_t at; /* in keep->nodes */
	struct hold *holds;
	uint32_t n_holds, holds_cap;
	struct window *windows;
	uint32_t n_windows, windows_cap;
	bool withheld;
	struct room then; /* for plans of the future: free by then */
};

/* ---- Rooms ---- */

static struct room room_of(const struct capacity *c, uint32_t id)
{
	const struct node *node = &c->pool->nodes[id];
	struct room room = {.cpus_milli = c->free_cpus[id], .memory_mib = c->free_memory[id]};

	for (uint32_t i = 0; i < node->cards; i++)
		room.milli[i] = c->card_milli[node->card_first + i];
	return room;
}

/* sign 1 frees the share, −1 takes it, 0 changes nothing. Returns whether anything that it has a part of is below 0 then. */
static bool room_change(struct room *room, const struct share *share, int sign)
{
	bool below = false;

	for (uint64_t left = share->cards; left; left &= left - 1) {
		int32_t *milli = &room->milli[__builtin_ctzll(left)];

		*milli += sign * (int32_t)share->milli;
		below |= *milli < 0;
	}
	if (room->cpus_milli != UNCOUNTED)
		room->cpus_milli += sign * (int64_t)share->cpus_milli;
	if (room->memory_mib != UNCOUNTED)
		room->memory_mib += sign * (int64_t)share->memory_mib;
	return below || (share->cpus_milli && room->cpus_milli < 0) || (share->memory_mib && room->memory_mib < 0);
}

static void room_least(struct room *room, const struct room *other, uint32_t cards)
{
	for (uint32_t i = 0; i < cards; i++)
		room->milli[i] = other->milli[i] < room->milli[i] ? other->milli[i] : room->milli[i];
	room->cpus_milli = other->cpus_milli < room->cpus_milli ? other->cpus_milli : room->cpus_milli;
	room->memory_mib = other->memory_mib < room->memory_mib ? other->memory_mib : room->memory_mib;
}

static uint32_t at_least_0(int64_t value)
{
	return value < 0 ? 0 : (uint32_t)value;
}

/* Makes a node of a capacity what a room says, or nothing for NULL. */
static void room_set(struct capacity *c, uint32_t id, const struct room *room)
{
	uint16_t milli[CARDS_PER_NODE_MAX];

	for (uint32_t i = 0; i < c->pool->nodes[id].cards; i++)
		milli[i] = room ? (uint16_t)at_least_0(room->milli[i]) : 0;
	capacity_set(c, id, milli, room ? at_least_0(room->cpus_milli) : 0, room ? at_least_0(room->memory_mib) : 0);
}

/* ---- What a job may take of a node ---- */

static bool overlaps(us_t from_us, us_t until_us, us_t start_us, us_t end_us)
{
	return from_us < end_us && start_us < until_us;
}

/* Whether promise `a` runs at the start of promise `b`, by their plans. */
static bool runs_at_start(const struct reservation *a, const struct reservation *b)
{
	return a->plan.start_us <= b->plan.start_us && b->plan.start_us < a->plan.until_us;
}

static const struct hold *own_hold(const struct kept_node *n, uint32_t job)
{
	for (uint32_t i = 0; job && i < n->n_holds; i++)
		if (n->holds[i].of->job == job)
			return &n->holds[i];
	return NULL;
}

static bool window_forbids(const struct kept_node *n, const struct keep_view *v)
{
	for (uint32_t i = 0; i < n->n_windows; i++) {
		const struct window *w = &n->windows[i];

		if (overlaps(w->from_us, w->until_us, v->now_us, v->until_us) && (w->project == UINT32_MAX || w->project != v->project))
			return true;
	}
	return false;
}

/* Whether some promise of a node doesn't count for a view: the viewer's own, or one that is behind. */
static bool any_left_out(const struct kept_node *n, const struct hold *own)
{
	bool any = own != NULL;

	for (uint32_t i = 0; i < n->n_holds; i++)
		any |= n->holds[i].of->behind;
	return any;
}

/* What is free at the start of a promise if those that don't count for a view weren't there. */
static struct room future_without(const struct kept_node *n, const struct hold *own, const struct hold *h)
{
	struct room future = h->future;

	for (uint32_t i = 0; i < n->n_holds; i++) {
		const struct hold *other = &n->holds[i];

		if (other == h || !(other == own || other->of->behind))
			continue;
		/* Of what others are made to leave one may take, who is gone by then, what it was promised before. */
		if (runs_at_start(other->of, h->of) ||
		    (other == own && h->of->n_victims && own->of->plan.until_us <= h->of->plan.start_us))
			room_change(&future, &other->share, 1);
	}
	return future;
}

/* Lessens what is free at view->now_us by what promises in force from then to view->until_us need. is_then: that instant is to
 * come, and promises that start before it are seen to already. Returns false where nothing is left at all. */
static bool lessen(const struct kept_node *n, const struct keep_view *v, bool is_then, struct room *room)
{
	const struct hold *own = own_hold(n, v->job);
	bool left_out = any_left_out(n, own);

	if (window_forbids(n, v))
		return false;
	for (uint32_t i = 0; i < n->n_holds; i++) {
		const struct hold *h = &n->holds[i];
		struct room future;

		if (h == own || h->of->behind)
			continue;
		if (h->of->plan.start_us == US_NEVER)
			return false;
		if (is_then && h->of->plan.start_us < v->now_us)
			continue;
		if (h->of->plan.start_us >= v->until_us && !h->of->n_victims) /* what others leave is taken by nobody in between */
			continue;
		future = left_out ? future_without(n, own, h) : h->future;
		room_least(room, &future, n->cards);
	}
	return true;
}

/* Brings what is open of a node in line with what is free and what is kept. */
static void refresh(struct keep *keep, struct kept_node *n, const struct capacity *live)
{
	const struct keep_view all = {.project = UINT32_MAX, .until_us = US_NEVER};
	struct room room = room_of(live, n->node), free = room;
	bool any = lessen(n, &all, false, &room), withheld;

	room_set(&keep->open, n->node, any ? &room : NULL);
	withheld = memcmp(&room, &free, sizeof room) != 0 || !any;
	keep->withheld += (uint32_t)withheld - (uint32_t)n->withheld;
	n->withheld = withheld;
}

/* ---- Nodes ---- */

static struct kept_node *find_node(const struct keep *keep, uint32_t node)
{
	uint32_t i = keep->n_nodes ? map_get(&keep->node_index, node, UINT32_MAX) : UINT32_MAX;

	return i == UINT32_MAX ? NULL : keep->nodes[i];
}

bool keep_has(const struct keep *keep, uint32_t node)
{
	return find_node(keep, node) != NULL;
}

bool keep_has_other(const struct keep *keep, uint32_t node, uint32_t job)
{
	const struct kept_node *n = find_node(keep, node);

	for (uint32_t i = 0; n && i < n->n_holds; i++)
		if (n->holds[i].of->job != job && !n->holds[i].of->behind)
			return true;
	return n && n->n_windows;
}

static struct kept_node *need_node(struct keep *keep, uint32_t node)
{
	struct kept_node *n = find_node(keep, node);

	if (n)
		return n;
	n = mem_new(1, sizeof *n);
	*n = (struct kept_node){.node = node, .cards = keep->open.pool->nodes[node].cards, .at = keep->n_nodes};
	mem_grow((void **)&keep->nodes, &keep->nodes_cap, keep->n_nodes, sizeof(struct kept_node *));
	keep->nodes[keep->n_nodes] = n;
	map_set(&keep->node_index, node, keep->n_nodes++);
	return n;
}

static void free_node(struct kept_node *n)
{
	free(n->holds);
	free(n->windows);
	free(n);
}

/* After something of a node was given up: it may be like any other again. */
static void settle_node(struct keep *keep, struct kept_node *n, const struct capacity *live)
{
	refresh(keep, n, live);
	if (n->n_holds || n->n_windows)
		return;
	keep->nodes[n->at] = keep->nodes[--keep->n_nodes];
	keep->nodes[n->at]->at = n->at;
	map_set(&keep->node_index, keep->nodes[n->at]->node, n->at);
	map_remove(&keep->node_index, n->node);
	free_node(n);
}

void keep_init(struct keep *keep, const struct capacity *live)
{
	*keep = (struct keep){0};
	capacity_index(&keep->open, live);
}

struct reservation *reservation_free(struct reservation *r)
{
	if (!r)
		return NULL;
	plan_drop(&r->plan);
	free(r->victims);
	free(r->attempts);
	free(r);
	return NULL;
}

void keep_done(struct keep *keep)
{
	for (uint32_t i = 0; i < keep->n_reservations; i++)
		reservation_free(keep->reservations[i]);
	for (uint32_t i = 0; i < keep->n_nodes; i++)
		free_node(keep->nodes[i]);
	free(keep->reservations);
	free(keep->starts);
	free(keep->nodes);
	map_done(&keep->node_index);
	capacity_done(&keep->open);
	*keep = (struct keep){0};
}

/* ---- Promises ---- */

struct reservation *keep_find(const struct keep *keep, uint32_t job)
{
	for (uint32_t i = 0; i < keep->n_reservations; i++)
		if (keep->reservations[i]->job == job)
			return keep->reservations[i];
	return NULL;
}

/* Where an instant stands among the starts, or would. */
static uint32_t start_place(const struct keep *keep, us_t at_us)
{
	uint32_t low = 0, high = keep->n_starts;

	while (low < high) {
		uint32_t mid = (low + high) / 2;

		if (keep->starts[mid].at_us < at_us)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void add_start(struct keep *keep, us_t at_us)
{
	uint32_t i = start_place(keep, at_us);

	if (at_us == US_NEVER)
		return;
	if (i == keep->n_starts || keep->starts[i].at_us != at_us) {
		mem_grow((void **)&keep->starts, &keep->starts_cap, keep->n_starts, sizeof *keep->starts);
		memmove(&keep->starts[i + 1], &keep->starts[i], (keep->n_starts - i) * sizeof *keep->starts);
		keep->starts[i] = (struct start){.at_us = at_us};
		keep->n_starts++;
	}
	keep->starts[i].uses++;
}

static void remove_start(struct keep *keep, us_t at_us)
{
	uint32_t i = start_place(keep, at_us);

	if (at_us == US_NEVER || --keep->starts[i].uses)
		return;
	keep->n_starts--;
	memmove(&keep->starts[i], &keep->starts[i + 1], (keep->n_starts - i) * sizeof *keep->starts);
}

void keep_set_behind(struct keep *keep, uint32_t place, bool behind)
{
	for (uint32_t i = 0, n = 0; i < keep->n_reservations; i++)
		if (reservation_is_ordinary(keep->reservations[i]) && n++ >= place && keep->reservations[i]->behind != behind) {
			keep->reservations[i]->behind = behind;
			(behind ? remove_start : add_start)(keep, keep->reservations[i]->plan.start_us);
		}
}

us_t keep_limit(const struct keep *keep, us_t now_us)
{
	us_t last_us = keep->n_starts ? keep->starts[keep->n_starts - 1].at_us : 0;

	if (keep->withheld && keep->granted)
		return US_NEVER;
	return keep->withheld && last_us > now_us ? last_us - now_us : 0;
}

us_t keep_start_before(const struct keep *keep, us_t before_us)
{
	uint32_t i = start_place(keep, before_us);

	return i > 0 ? keep->starts[i - 1].at_us : 0;
}

static void break_promise(struct reservation *r, enum cause cause)
{
	if (r->broken == CAUSE_NONE)
		r->broken = cause;
}

/* The new promise's share changes the futures of the others that it runs into, and theirs its own. sign −1: it is made, 1: given
 * up. */
static void meet_others(struct kept_node *n, struct hold *own, int sign)
{
	for (uint32_t i = 0; i < n->n_holds; i++) {
		struct hold *h = &n->holds[i];

		if (h == own)
			continue;
		if (runs_at_start(own->of, h->of) && room_change(&h->future, &own->share, sign) && sign < 0)
			break_promise(h->of, CAUSE_ORDER);
		if (sign < 0 && runs_at_start(h->of, own->of))
			room_change(&own->future, &h->share, -1);
	}
}

static void hold_node(struct keep *keep, struct reservation *r, uint32_t task, const struct capacity *live)
{
	uint32_t id = pool_node(live->pool, r->plan.tasks[task].centre, r->plan.tasks[task].node);
	struct kept_node *n = need_node(keep, id);
	struct hold *h;

	mem_grow((void **)&n->holds, &n->holds_cap, n->n_holds, sizeof *n->holds);
	h = &n->holds[n->n_holds++];
	*h = (struct hold){.of = r, .share = place_share(&r->plan.tasks[task], &r->request), .future = room_of(live, id)};
	room_change(&h->future, &h->share, -1);
	meet_others(n, h, -1);
	refresh(keep, n, live);
}

void keep_reserve(struct keep *keep, struct reservation *r, const struct capacity *live)
{
	mem_grow((void **)&keep->reservations, &keep->reservations_cap, keep->n_reservations, sizeof(struct reservation *));
	keep->reservations[keep->n_reservations++] = r;
	for (uint32_t i = 0; i < r->plan.n_tasks; i++)
		hold_node(keep, r, i, live);
	add_start(keep, r->plan.start_us);
}

void keep_unreserve(struct keep *keep, uint32_t job, const struct capacity *live)
{
	struct reservation *r = keep_find(keep, job);
	uint32_t at = 0;

	for (uint32_t i = 0; i < r->plan.n_tasks; i++) {
		struct kept_node *n = find_node(keep, pool_node(live->pool, r->plan.tasks[i].centre, r->plan.tasks[i].node));
		struct hold *own = &n->holds[0];

		while (own->of != r)
			own++;
		meet_others(n, own, 1);
		memmove(own, own + 1, (size_t)(n->holds + n->n_holds - (own + 1)) * sizeof *own);
		n->n_holds--;
		settle_node(keep, n, live);
	}
	while (keep->reservations[at] != r)
		at++;
	keep->n_reservations--;
	memmove(&keep->reservations[at], &keep->reservations[at + 1], (keep->n_reservations - at) * sizeof(struct reservation *));
	remove_start(keep, r->plan.start_us);
	reservation_free(r);
}

/* ---- Windows ---- */

/* A promise that would run into a window that isn't its own can't be kept. */
static void break_overlapping(struct kept_node *n, const struct window *w)
{
	for (uint32_t i = 0; i < n->n_holds; i++)
		if (overlaps(w->from_us, w->until_us, n->holds[i].of->plan.start_us, n->holds[i].of->plan.until_us))
			break_promise(n->holds[i].of, CAUSE_BOOKED);
}

void keep_window(struct keep *keep, uint32_t node, uint32_t id, uint32_t project, us_t from_us, us_t until_us,
                 const struct capacity *live)
{
	struct kept_node *n = need_node(keep, node);

	mem_grow((void **)&n->windows, &n->windows_cap, n->n_windows, sizeof *n->windows);
	n->windows[n->n_windows++] = (struct window){id, project, from_us, until_us};
	keep->granted += project != UINT32_MAX;
	break_overlapping(n, &n->windows[n->n_windows - 1]);
	refresh(keep, n, live);
	add_start(keep, from_us);
}

void keep_unwindow(struct keep *keep, uint32_t node, uint32_t id, const struct capacity *live)
{
	struct kept_node *n = find_node(keep, node);
	uint32_t i = 0;

	while (n->windows[i].id != id)
		i++;
	keep->granted -= n->windows[i].project != UINT32_MAX;
	remove_start(keep, n->windows[i].from_us);
	n->n_windows--;
	memmove(&n->windows[i], &n->windows[i + 1], (n->n_windows - i) * sizeof *n->windows);
	settle_node(keep, n, live);
}

bool keep_forbids(const struct keep *keep, const struct plan *plan, us_t start_us, us_t until_us, uint32_t project)
{
	const struct keep_view view = {.project = project, .now_us = start_us, .until_us = until_us};

	for (uint32_t i = 0; i < plan->n_tasks; i++) {
		const struct kept_node *n = find_node(keep, pool_node(keep->open.pool, plan->tasks[i].centre, plan->tasks[i].node));

		if (n && window_forbids(n, &view))
			return true;
	}
	return false;
}

/* ---- What starts and ends ---- */

/* Whether what is in use still is at a promise's start. For one for which others leave all stay but those: its job starts as soon
 * as they are gone, which who has come for a short while would put off. */
static bool lasts_past(struct stay stay, const struct reservation *r)
{
	return stay.until_us > r->plan.start_us || (r->n_victims && !stay.leaving);
}

void keep_ends(struct keep *keep, uint32_t node, const struct share *share, struct stay stay, uint32_t only,
               const struct capacity *live)
{
	struct kept_node *n = find_node(keep, node);
	bool changed = false;

	for (uint32_t i = 0; n && i < n->n_holds; i++) {
		struct hold *h = &n->holds[i];

		if ((only && h->of->job != only) || lasts_past(stay, h->of))
			continue;
		room_change(&h->future, share, 1);
		changed = true;
	}
	if (changed)
		refresh(keep, n, live);
}

void keep_taken(struct keep *keep, uint32_t node, const struct share *share, struct stay stay, const struct capacity *live,
                enum cause cause)
{
	struct kept_node *n = find_node(keep, node);

	if (!n) {
		capacity_take(&keep->open, node, share);
		return;
	}
	for (uint32_t i = 0; i < n->n_holds; i++)
		if (lasts_past(stay, n->holds[i].of) && room_change(&n->holds[i].future, share, -1) &&
		    stay.until_us > n->holds[i].of->plan.start_us)
			break_promise(n->holds[i].of, cause);
	refresh(keep, n, live);
}

void keep_given(struct keep *keep, uint32_t node, const struct share *share, struct stay stay, const struct capacity *live)
{
	struct kept_node *n = find_node(keep, node);

	if (!n) {
		capacity_give(&keep->open, node, share);
		return;
	}
	for (uint32_t i = 0; i < n->n_holds; i++)
		if (lasts_past(stay, n->holds[i].of))
			room_change(&n->holds[i].future, share, 1);
	refresh(keep, n, live);
}

void keep_moved(struct keep *keep, uint32_t node, const struct share *share, struct stay before, struct stay after,
                const struct capacity *live)
{
	struct kept_node *n = find_node(keep, node);
	bool changed = false;

	for (uint32_t i = 0; n && i < n->n_holds; i++) {
		bool lasts = lasts_past(after, n->holds[i].of);

		if (lasts_past(before, n->holds[i].of) == lasts)
			continue;
		room_change(&n->holds[i].future, share, lasts ? -1 : 1);
		changed = true;
	}
	if (changed)
		refresh(keep, n, live);
}

/* ---- Showing ---- */

static bool any_behind(const struct keep *keep)
{
	for (uint32_t i = 0; i < keep->n_reservations; i++)
		if (keep->reservations[i]->behind)
			return true;
	return false;
}

bool keep_show(struct keep *keep, const struct keep_view *view, const struct capacity *live)
{
	bool own = (view->job && keep_find(keep, view->job)) || any_behind(keep);
	us_t last_us = keep->n_starts ? keep->starts[keep->n_starts - 1].at_us : 0;
	bool changed = false;

	if (!keep->withheld)
		return false;
	for (uint32_t i = 0; i < keep->n_nodes; i++) {
		struct kept_node *n = keep->nodes[i];
		struct room room;

		if (!n->withheld || (!own && !n->n_windows && view->until_us > last_us))
			continue;
		room = room_of(live, n->node);
		room_set(&keep->open, n->node, lessen(n, view, false, &room) ? &room : NULL);
		changed = true;
	}
	return changed;
}

void keep_hide(struct keep *keep, const struct capacity *live)
{
	for (uint32_t i = 0; i < keep->n_nodes; i++)
		if (keep->nodes[i]->withheld)
			refresh(keep, keep->nodes[i], live);
}

bool keep_spares(const struct keep *keep, uint32_t node, const struct share *share, uint32_t project, us_t from_us, us_t until_us)
{
	const struct kept_node *n = find_node(keep, node);

	/* What began before was declared over it: a drain, or a cordon, lets it end by itself. */
	for (uint32_t i = 0; n && i < n->n_windows; i++)
		if (n->windows[i].from_us >= from_us && n->windows[i].from_us < until_us && n->windows[i].project != project)
			return false;
	for (uint32_t i = 0; n && i < n->n_holds; i++) {
		struct room future = n->holds[i].future;
		us_t start_us = n->holds[i].of->plan.start_us;
		int sign = n->holds[i].of->n_victims ? 0 : -1; /* where others leave it counts as staying already */

		if (start_us == US_NEVER || (start_us >= from_us && start_us < until_us && room_change(&future, share, sign)))
			return false;
	}
	return true;
}

/* ---- The future ---- */

void keep_then_begin(struct keep *keep, const struct capacity *live)
{
	for (uint32_t i = 0; i < keep->n_nodes; i++)
		keep->nodes[i]->then = room_of(live, keep->nodes[i]->node);
}

void keep_then_give(struct keep *keep, uint32_t node, const struct share *share)
{
	struct kept_node *n = find_node(keep, node);

	if (n)
		room_change(&n->then, share, 1);
	else
		capacity_give(&keep->open, node, share);
}

void keep_then_take(struct keep *keep, uint32_t node, const struct share *share)
{
	struct kept_node *n = find_node(keep, node);

	if (n)
		room_change(&n->then, share, -1);
	else
		capacity_take(&keep->open, node, share);
}

void keep_then_show(struct keep *keep, const struct keep_view *view)
{
	for (uint32_t i = 0; i < keep->n_nodes; i++) {
		struct kept_node *n = keep->nodes[i];
		struct room room = n->then;

		for (uint32_t k = 0; k < n->n_holds; k++) {
			const struct reservation *r = n->holds[k].of;

			if (r->job != view->job && !r->behind && r->plan.start_us <= view->now_us && view->now_us < r->plan.until_us)
				room_change(&room, &n->holds[k].share, -1);
		}
		room_set(&keep->open, n->node, lessen(n, view, true, &room) ? &room : NULL);
	}
}

us_t keep_next_end(const struct keep *keep, us_t after_us)
{
	us_t next = US_NEVER;

	for (uint32_t i = 0; i < keep->n_reservations; i++)
		if (!keep->reservations[i]->behind && keep->reservations[i]->plan.until_us > after_us &&
		    keep->reservations[i]->plan.until_us < next)
			next = keep->reservations[i]->plan.until_us;
	for (uint32_t i = 0; i < keep->n_nodes; i++)
		for (uint32_t k = 0; k < keep->nodes[i]->n_windows; k++)
			if (keep->nodes[i]->windows[k].until_us > after_us && keep->nodes[i]->windows[k].until_us < next)
				next = keep->nodes[i]->windows[k].until_us;
	return next;
}

void keep_then_end(struct keep *keep, const struct capacity *live)
{
	for (uint32_t i = 0; i < keep->n_nodes; i++)
		refresh(keep, keep->nodes[i], live);
}

/* ---- Checking ---- */

void keep_check(const struct keep *keep, const struct capacity *live)
{
	struct capacity fresh;
	uint32_t withheld = 0, starts = 0;

	capacity_check(&keep->open);
	capacity_index(&fresh, live);
	for (uint32_t i = 0; i < keep->n_nodes; i++) {
		const struct keep_view all = {.project = UINT32_MAX, .until_us = US_NEVER};
		const struct kept_node *n = keep->nodes[i];
		struct room room = room_of(live, n->node);

		assert(n->at == i && (n->n_holds || n->n_windows));
		room_set(&fresh, n->node, lessen(n, &all, false, &room) ? &room : NULL);
		withheld += n->withheld;
		starts += n->n_windows;
	}
	for (uint32_t i = 0; i < keep->n_reservations; i++)
		starts += keep->reservations[i]->plan.start_us != US_NEVER;
	for (uint32_t i = 0; i < keep->n_starts; i++) {
		assert(keep->starts[i].uses && (!i || keep->starts[i - 1].at_us < keep->starts[i].at_us));
		starts -= keep->starts[i].uses;
	}
	assert(starts == 0);
	capacity_settle(&fresh);
	assert(fresh.size == keep->open.size);
	assert(!memcmp(fresh.memory, keep->open.memory, fresh.size));
	assert(withheld == keep->withheld);
	capacity_done(&fresh);
}
