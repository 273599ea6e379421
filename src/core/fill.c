/* SPDX-License-Identifier: Apache-2.0
 * fill.c: placing by the value of what is left; see fill.h.
 *
 * A choice maximises value(node after) − value(node before), in 1024ths of a thousandth of a card. The value of a node is
 *
 *     (1 + 3/16 pressure of its kind) · (M + 3/32 F) + Q
 *
 * M: the thousandths that lists of requests, drawn from what was learned, would use on it: offered in order, what fits is
 * taken, the tightest card first; the mean over SAMPLES lists. So a node's CPUs and the holes of its cards count together.
 * F: the thousandths on which the next request could run, the mean over the types learned: what FGD (Weng et al., "Beware of
 * fragmentation", USENIX ATC 2023) keeps large.
 * Pressure: what is still to come for a few kinds only, over what is free of them, at most 1: so who may go
 * anywhere leaves those alone.
 * Q: the slots for requests of several cards, each at its size times a price, 11/64 · min(1, may come / slots there are)⁴: slots
 * get dear as they get rare, and large requests aren't crowded out by small ones. An idle node is such a slot too, for half a
 * request that nobody has seen yet, at 11/64 · min(1, expected / idle nodes alike)².
 *
 * How many requests are to come: as many as fit into what is free, going by the mean size. As many as are expected of a type, and
 * three standard deviations more, may come: what comes seldom is known from few, and once the last of the nodes that hold it is
 * broken up, it has to wait however much else is free.
 *
 * Nodes in the same state (kind, free CPUs in steps of CPU_STEP, free cards) have the same value, so states are interned, and
 * of each state only the first node is tried. Everything kept between choices follows from states and from what was learned:
 * which state a node is in is compared with the capacity each time. */
#include "core/fill.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/wide.h"

#define NONE UINT32_MAX

enum {
	ONE = 1024,                 /* 1.0 */
	SAMPLES = 24,               /* lists of requests */
	SAMPLE_LEN = 100,           /* requests in each */
	CPU_STEP = 250,             /* thousandths of a CPU */
	CPU_STEPS_MANY = INT32_MAX, /* CPUs aren't counted */
	NEXT_WEIGHT = 96,           /* of F, in 1024ths */
	SLOT_WEIGHT = 176,          /* of Q */
	DEVIATIONS = 3,             /* above what is expected that may come for a slot */
	RATIO_MAX = 1 << 24,        /* of what is to come to what was seen, in 1024ths */
	IDLE_WEIGHT = 512,          /* of a request for an idle node that nobody has seen, against one that was seen */
	PRESSURE_WEIGHT = 192,      /* of a kind's pressure */
	TYPE_KINDS_MAX = 8,         /* a request for more kinds may as well take any */
	LARGE_MAX = 64,             /* types that have a price */
	COUNT_MAX = 32768,          /* all counts are halved there */
	GANG_MAX = 100,             /* so many of one group count */
	REFRESH_MAX = 400,          /* arrivals between two models */
	STATES_MAX = 16384,         /* more than that before a choice: forgotten */
	STEPS = 1 << 15,            /* kept transitions from state to state */
	FEW = 1024,                 /* a kind that is rarer than this is as rare as it */
	WINDOW = 4096,              /* nodes looked at, once one holds the request */
};

/* Requests that look alike. */
struct type {
	uint32_t kinds[TYPE_KINDS_MAX], n_kinds; /* ascending; none: any kind */
	uint32_t cards_milli, cpus_milli;
	uint32_t count; /* that came */
	uint32_t used;  /* that had come when the model was made */
};

struct offer {
	uint32_t cards_milli, cpus_milli;
};

/* The lists of requests with what a kind can't give left out. */
struct offers {
	uint32_t kind;
	struct offer *rows; /* SAMPLES rows of SAMPLE_LEN */
	uint32_t len[SAMPLES];
};

struct state {
	uint64_t hash;
	uint32_t kind, cards, cpu_steps;
	uint32_t idle;  /* 1: nothing of it is taken */
	uint32_t first; /* its cards in `levels`, ascending */
	uint32_t next;  /* state of the same hash, or NONE */
	uint32_t free_milli;
	bool valued;
	int64_t value;
	uint64_t seen_in; /* the latest choice that saw it, and where in `seen` */
	uint32_t seen;
};

struct step {
	uint32_t from, cards_milli, cpus_milli, level; /* level: free thousandths of the card that a share goes to */
	uint32_t to;                                   /* state + 1; 0: empty */
};

/* A state that a choice meets. */
struct seen {
	uint32_t state, count;
	uint32_t node; /* the first of them that holds the request, or NODE_NONE */
};

struct fill {
	struct type types[FILL_TYPES_MAX]; /* in order of arrival */
	uint32_t n_types, since;           /* arrivals since the model was made */

	/* The model: follows from `used`. */
	uint64_t total, total_milli;      /* requests; thousandths of cards that they ask for */
	uint32_t least_cpus, least_milli; /* of requests with cards: with less on a node, or on each card, none fits */
	uint16_t samples[SAMPLES * SAMPLE_LEN];
	uint16_t large[LARGE_MAX];
	uint32_t n_large;
	struct offers *offers;
	uint32_t n_offers, offers_cap;

	/* Kept to be quick. */
	struct state *states;
	uint32_t n_states, states_cap;
	struct map state_index; /* from a state's hash to the latest of that hash */
	uint16_t *levels;       /* free thousandths of cards, of all states */
	uint32_t n_levels, levels_cap;
	uint16_t *room; /* by state and large type: slots */
	uint32_t room_cap;
	struct step *steps;
	uint32_t *node_state, *node_steps, *node_first; /* by node: its state or NONE, CPU steps and first card at that time */
	uint16_t *node_levels;                          /* by card */
	uint32_t n_nodes, n_cards;

	/* Of one choice. */
	uint64_t choice;
	struct seen *seen;
	uint32_t n_seen, seen_cap;
	uint64_t *kind_free, *kind_pressure; /* by kind */
	uint32_t n_kinds;
};

/* ---- Types ---- */

static bool is_share(uint32_t cards_milli)
{
	return cards_milli > 0 && cards_milli < CARD_MILLI;
}

static bool takes_kind(const struct type *t, uint32_t kind)
{
	for (uint32_t i = 0; i < t->n_kinds; i++)
		if (t->kinds[i] == kind)
			return true;
	return t->n_kinds == 0;
}

/* The kinds of all alternatives, ascending; none where they may take any, or very many. */
static void set_kinds(struct type *t, const struct request *requests, uint32_t n)
{
	for (uint32_t r = 0; r < n; r++) {
		uint32_t kind = requests[r].kind, i = t->n_kinds;

		if (t->n_kinds && takes_kind(t, kind))
			continue;
		if (kind == KIND_ANY || kind == KIND_NONE || t->n_kinds == TYPE_KINDS_MAX) {
			t->n_kinds = 0;
			return;
		}
		for (; i > 0 && t->kinds[i - 1] > kind; i--)
			t->kinds[i] = t->kinds[i - 1];
		t->kinds[i] = kind;
		t->n_kinds++;
	}
}

static bool same_type(const struct type *a, const struct type *b)
{
	return a->cards_milli == b->cards_milli && a->cpus_milli == b->cpus_milli && a->n_kinds == b->n_kinds &&
	       !memcmp(a->kinds, b->kinds, a->n_kinds * sizeof *a->kinds);
}

static uint64_t count_all(const struct fill *f)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < f->n_types; i++)
		n += f->types[i].count;
	return n;
}

/* Halves every count, and leaves out what was seen once. */
static void halve(struct fill *f)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < f->n_types; i++) {
		f->types[n] = f->types[i];
		f->types[n].count /= 2;
		n += f->types[n].count > 0;
	}
	f->n_types = n;
}

/* ---- The model ---- */

/* The largest integer whose square isn't above x. */
static uint64_t root(uint64_t x)
{
	uint64_t r = 0;

	for (uint64_t bit = x ? (uint64_t)1 << (63 - __builtin_clzll(x)) / 2 : 0; bit; bit >>= 1)
		if ((r + bit) * (r + bit) <= x)
			r += bit;
	return r;
}

/* How often a type is drawn: its count by the fourth root of its cards, so that large ones are not missed. */
static uint64_t draw_weight(const struct type *t)
{
	return t->used * root(ONE * root((uint64_t)t->cards_milli * ONE * ONE / CARD_MILLI));
}

static uint32_t find_drawn(const uint64_t *sums, uint32_t n, uint64_t at)
{
	uint32_t low = 0, high = n - 1;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (sums[middle] > at)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* Draws the lists. At each place of the lists the draws are spread evenly over the distribution, one a stratum, and then
 * dealt out to the lists at random: the mean over the lists has less noise than with free draws. */
static void draw_samples(struct fill *f)
{
	uint64_t sums[FILL_TYPES_MAX], sum = 0;
	struct rng rng = {1};

	for (uint32_t i = 0; i < f->n_types; i++)
		sums[i] = sum += draw_weight(&f->types[i]);
	for (uint32_t j = 0; sum && j < SAMPLE_LEN; j++) {
		uint64_t offset = rng_next(&rng) >> 32;

		for (uint64_t s = 0; s < SAMPLES; s++) {
			uint64_t u = ((s << 32 | rng_next(&rng) >> 32) / SAMPLES + offset) & UINT32_MAX;
			uint64_t k = rng_below(&rng, s + 1);

			f->samples[s * SAMPLE_LEN + j] = f->samples[k * SAMPLE_LEN + j];
			f->samples[k * SAMPLE_LEN + j] = (uint16_t)find_drawn(sums, f->n_types, (uint64_t)((u128)u * sum >> 32));
		}
	}
}

/* Types of several cards, those that ask for the most in all first. */
static void choose_large(struct fill *f)
{
	f->n_large = 0;
	for (uint32_t i = 0; i < f->n_types; i++) {
		uint64_t weight = (uint64_t)f->types[i].used * f->types[i].cards_milli;
		uint32_t at = f->n_large;

		if (f->types[i].cards_milli < 2 * CARD_MILLI)
			continue;
		while (at > 0 && weight > (uint64_t)f->types[f->large[at - 1]].used * f->types[f->large[at - 1]].cards_milli)
			at--;
		if (at == LARGE_MAX)
			continue;
		f->n_large += f->n_large < LARGE_MAX;
		memmove(&f->large[at + 1], &f->large[at], (f->n_large - 1 - at) * sizeof *f->large);
		f->large[at] = (uint16_t)i;
	}
}

static void forget_states(struct fill *f)
{
	f->n_states = 0;
	f->n_levels = 0;
	map_done(&f->state_index);
	memset(f->steps, 0, STEPS * sizeof *f->steps);
	for (uint32_t i = 0; i < f->n_nodes; i++)
		f->node_state[i] = NONE;
}

static void forget_offers(struct fill *f)
{
	for (uint32_t i = 0; i < f->n_offers; i++)
		free(f->offers[i].rows);
	f->n_offers = 0;
}

/* Makes the model from `used`. */
static void model(struct fill *f)
{
	f->total = 0;
	f->total_milli = 0;
	f->least_cpus = UINT32_MAX;
	f->least_milli = CARD_MILLI;
	for (uint32_t i = 0; i < f->n_types; i++) {
		const struct type *t = &f->types[i];

		f->total += t->used;
		f->total_milli += (uint64_t)t->used * t->cards_milli;
		if (!t->used || !t->cards_milli)
			continue;
		f->least_cpus = t->cpus_milli < f->least_cpus ? t->cpus_milli : f->least_cpus;
		f->least_milli = t->cards_milli < f->least_milli ? t->cards_milli : f->least_milli;
	}
	draw_samples(f);
	choose_large(f);
	forget_offers(f);
	forget_states(f);
}

static void refresh(struct fill *f)
{
	for (uint32_t i = 0; i < f->n_types; i++)
		f->types[i].used = f->types[i].count;
	f->since = 0;
	model(f);
}

static uint32_t find_type(const struct fill *f, const struct type *t)
{
	uint32_t i = 0;

	while (i < f->n_types && !same_type(&f->types[i], t))
		i++;
	return i;
}

/* The type's number, added where it is new. */
static uint32_t need_type(struct fill *f, const struct type *t)
{
	uint32_t i = find_type(f, t);

	for (; i == f->n_types && f->n_types == FILL_TYPES_MAX; i = f->n_types)
		halve(f);
	if (i == f->n_types)
		f->types[f->n_types++] = *t;
	return i;
}

static struct type type_of(const struct request *requests, uint32_t n_requests)
{
	struct type t = {.cards_milli = requests->cards_milli, .cpus_milli = requests->cpus_milli};

	set_kinds(&t, requests, n_requests);
	return t;
}

/* What a gang counts for. */
static uint32_t count_of(uint32_t nodes)
{
	return nodes < GANG_MAX ? nodes : GANG_MAX;
}

/* The model is made anew once so many came; and where types are left out, for it goes by their numbers. */
bool fill_would_change(const struct fill *f, const struct request *requests, uint32_t n_requests, uint32_t nodes)
{
	struct type t = type_of(requests, n_requests);

	return f->since + 1 >= REFRESH_MAX || f->since + 1 > f->total / 8 || count_all(f) + count_of(nodes) > COUNT_MAX ||
	       (f->n_types == FILL_TYPES_MAX && find_type(f, &t) == f->n_types);
}

void fill_learn(struct fill *f, const struct request *requests, uint32_t n_requests, uint32_t nodes)
{
	struct type t = type_of(requests, n_requests);
	bool changes = fill_would_change(f, requests, n_requests, nodes);

	assert(n_requests > 0 && nodes > 0);
	f->types[need_type(f, &t)].count += count_of(nodes);
	f->since++;
	while (count_all(f) > COUNT_MAX)
		halve(f);
	if (changes)
		refresh(f);
}

/* ---- The value of a state ---- */

static const struct offers *offers_of(struct fill *f, uint32_t kind)
{
	struct offers *o;

	for (uint32_t i = 0; i < f->n_offers; i++)
		if (f->offers[i].kind == kind)
			return &f->offers[i];
	mem_grow((void **)&f->offers, &f->offers_cap, f->n_offers, sizeof *f->offers);
	o = &f->offers[f->n_offers++];
	*o = (struct offers){.kind = kind, .rows = mem_new((size_t)SAMPLES * SAMPLE_LEN, sizeof *o->rows)};
	for (uint32_t i = 0; i < SAMPLES * SAMPLE_LEN; i++) {
		const struct type *t = &f->types[f->samples[i]];
		uint32_t s = i / SAMPLE_LEN;

		if (takes_kind(t, kind))
			o->rows[s * SAMPLE_LEN + o->len[s]++] = (struct offer){t->cards_milli, t->cpus_milli};
	}
	return o;
}

/* A node that is being filled. levels: of the cards that have something free, ascending. */
struct rest {
	uint16_t levels[CARDS_PER_NODE_MAX];
	uint32_t cards;
	uint64_t cpus_milli;
	uint32_t free_milli;
};

/* Takes a share from the tightest card; returns whether one holds it. */
static bool take_share(struct rest *r, uint32_t milli)
{
	uint32_t i = 0, left;

	if (!r->cards || r->levels[r->cards - 1] < milli)
		return false;
	while (r->levels[i] < milli)
		i++;
	left = r->levels[i] - milli;
	for (; i > 0 && r->levels[i - 1] > left; i--)
		r->levels[i] = r->levels[i - 1];
	r->levels[i] = (uint16_t)left;
	return true;
}

static bool take_whole(struct rest *r, uint32_t cards)
{
	if (r->cards < cards || r->levels[r->cards - cards] < CARD_MILLI)
		return false;
	r->cards -= cards;
	return true;
}

/* Fills a node with a list of requests. Returns the thousandths of cards that they use. */
static uint32_t filled(const struct fill *f, struct rest r, const struct offer *list, uint32_t n)
{
	uint32_t before = r.free_milli;

	for (uint32_t i = 0; i < n && r.cards && r.levels[r.cards - 1] >= f->least_milli && r.cpus_milli >= f->least_cpus; i++) {
		uint32_t milli = list[i].cards_milli;

		if (list[i].cpus_milli > r.cpus_milli || !(is_share(milli) ? take_share(&r, milli) : take_whole(&r, milli / CARD_MILLI)))
			continue;
		r.cpus_milli -= list[i].cpus_milli;
		r.free_milli -= milli;
	}
	return before - r.free_milli;
}

/* The thousandths on which one more request could run, summed over the types by their counts. */
static uint64_t usable_next(const struct fill *f, const struct rest *r, uint32_t kind)
{
	uint32_t above[CARDS_PER_NODE_MAX + 1] = {0}; /* above[i]: free on card i and those with more */
	uint64_t sum = 0;

	for (uint32_t i = r->cards; i > 0; i--)
		above[i - 1] = above[i] + r->levels[i - 1];
	for (uint32_t i = 0; i < f->n_types; i++) {
		const struct type *t = &f->types[i];
		uint32_t need = is_share(t->cards_milli) ? t->cards_milli : CARD_MILLI, first = 0;

		if (!t->cards_milli || t->cpus_milli > r->cpus_milli || !takes_kind(t, kind))
			continue;
		while (first < r->cards && r->levels[first] < need)
			first++;
		if ((uint64_t)(r->cards - first) * CARD_MILLI >= t->cards_milli)
			sum += (uint64_t)t->used * above[first];
	}
	return sum;
}

static struct rest rest_of(const struct fill *f, const struct state *s)
{
	struct rest r = {.cpus_milli = (uint64_t)s->cpu_steps * CPU_STEP, .free_milli = s->free_milli};

	for (uint32_t i = 0; i < s->cards; i++)
		if (f->levels[s->first + i])
			r.levels[r.cards++] = f->levels[s->first + i];
	return r;
}

/* How many requests of a large type a state holds. */
static uint32_t slots(const struct rest *r, uint32_t kind, const struct type *t)
{
	uint64_t whole = 0, by_cpus;

	while (whole < r->cards && r->levels[r->cards - 1 - whole] == CARD_MILLI)
		whole++;
	by_cpus = t->cpus_milli ? r->cpus_milli / t->cpus_milli : whole;
	whole /= t->cards_milli / CARD_MILLI;
	if (!takes_kind(t, kind))
		return 0;
	return (uint32_t)(whole < by_cpus ? whole : by_cpus);
}

/* Values a state: M + 3/32 F, and its slots. */
static void value(struct fill *f, uint32_t id)
{
	struct state *s = &f->states[id];
	struct rest r = rest_of(f, s);
	uint64_t used = 0;

	if (s->valued)
		return;
	s->valued = true;
	s->value = 0;
	for (uint32_t i = 0; i < f->n_large; i++)
		f->room[(size_t)id * f->n_large + i] = (uint16_t)slots(&r, s->kind, &f->types[f->large[i]]);
	if (f->total_milli && s->free_milli) {
		const struct offers *o = offers_of(f, s->kind);

		for (uint32_t i = 0; i < SAMPLES; i++)
			used += filled(f, r, &o->rows[(size_t)i * SAMPLE_LEN], o->len[i]);
		s->value = (int64_t)(used * ONE / SAMPLES + usable_next(f, &r, s->kind) * NEXT_WEIGHT / f->total);
	}
}

/* ---- States ---- */

static uint64_t hash_state(const struct state *s, const uint16_t *levels)
{
	uint64_t hash = rng_mix((uint64_t)s->kind << 32 | s->cpu_steps) ^ rng_mix((uint64_t)s->cards << 1 | s->idle);

	for (uint32_t i = 0; i < s->cards; i++)
		hash = rng_mix(hash ^ levels[i]);
	return hash;
}

static bool same_state(const struct fill *f, const struct state *a, const struct state *b, const uint16_t *levels)
{
	return a->kind == b->kind && a->cards == b->cards && a->cpu_steps == b->cpu_steps && a->idle == b->idle &&
	       !memcmp(&f->levels[a->first], levels, a->cards * sizeof *levels);
}

static void sort_levels(uint16_t *levels, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++) {
		uint16_t level = levels[i];
		uint32_t j = i;

		for (; j > 0 && levels[j - 1] > level; j--)
			levels[j] = levels[j - 1];
		levels[j] = level;
	}
}

static uint32_t add_state(struct fill *f, struct state s, const uint16_t *levels)
{
	mem_grow((void **)&f->states, &f->states_cap, f->n_states, sizeof *f->states);
	if (f->n_levels + s.cards > f->levels_cap) {
		f->levels_cap = 2 * f->levels_cap + CARDS_PER_NODE_MAX;
		f->levels = mem_resize(f->levels, f->levels_cap, sizeof *f->levels);
	}
	if ((f->n_states + 1) * f->n_large > f->room_cap) {
		f->room_cap = 2 * f->room_cap + LARGE_MAX;
		f->room = mem_resize(f->room, f->room_cap, sizeof *f->room);
	}
	s.first = f->n_levels;
	for (uint32_t i = 0; i < s.cards; i++)
		s.free_milli += levels[i];
	memcpy(&f->levels[s.first], levels, s.cards * sizeof *levels);
	f->n_levels += s.cards;
	f->states[f->n_states] = s;
	return f->n_states++;
}

/* The number of a state; the levels are sorted in place. */
static uint32_t intern(struct fill *f, struct state s, uint16_t *levels)
{
	uint32_t id;

	sort_levels(levels, s.cards);
	s.hash = hash_state(&s, levels);
	s.next = map_get(&f->state_index, s.hash, NONE);
	for (id = s.next; id != NONE; id = f->states[id].next)
		if (same_state(f, &f->states[id], &s, levels))
			return id;
	id = add_state(f, s, levels);
	map_set(&f->state_index, s.hash, id);
	return id;
}

static uint32_t cpu_steps(uint32_t cpus_milli)
{
	return cpus_milli == UNCOUNTED ? CPU_STEPS_MANY : cpus_milli / CPU_STEP;
}

/* The state after a request is taken. level: free thousandths of the card that a share takes from. */
static uint32_t make_step(struct fill *f, uint32_t from, const struct request *q, uint32_t level)
{
	struct state s = {.kind = f->states[from].kind, .cards = f->states[from].cards};
	uint64_t cpus = (uint64_t)f->states[from].cpu_steps * CPU_STEP;
	uint16_t levels[CARDS_PER_NODE_MAX];
	uint32_t at = s.cards - 1;

	memcpy(levels, &f->levels[f->states[from].first], s.cards * sizeof *levels);
	s.cpu_steps = cpus < q->cpus_milli ? 0 : (uint32_t)((cpus - q->cpus_milli) / CPU_STEP);
	if (f->states[from].cpu_steps == CPU_STEPS_MANY)
		s.cpu_steps = CPU_STEPS_MANY;
	for (uint32_t i = 0; i < q->cards_milli / CARD_MILLI; i++)
		levels[at - i] = 0;
	if (is_share(q->cards_milli)) {
		while (levels[at] != level)
			at--;
		levels[at] = (uint16_t)(level - q->cards_milli);
	}
	return intern(f, s, levels);
}

static uint32_t step_to(struct fill *f, uint32_t from, const struct request *q, uint32_t level)
{
	uint64_t hash = rng_mix(((uint64_t)from << 32 | q->cards_milli) ^ rng_mix((uint64_t)level << 32 | q->cpus_milli));
	struct step *step = &f->steps[hash % STEPS];
	bool there = step->to && step->from == from && step->cards_milli == q->cards_milli && step->cpus_milli == q->cpus_milli &&
	             step->level == level;

	if (!there)
		*step = (struct step){from, q->cards_milli, q->cpus_milli, level, make_step(f, from, q, level) + 1};
	return step->to - 1;
}

/* ---- What a choice looks at ---- */

/* Other numbers of nodes and cards than before: nothing is known of any. */
static void learn_pool(struct fill *f, const struct pool *pool)
{
	f->n_nodes = pool->n_nodes;
	f->n_cards = pool->n_cards;
	f->node_state = mem_resize(f->node_state, f->n_nodes, sizeof *f->node_state);
	f->node_steps = mem_resize(f->node_steps, f->n_nodes, sizeof *f->node_steps);
	f->node_first = mem_resize(f->node_first, f->n_nodes, sizeof *f->node_first);
	f->node_levels = mem_resize(f->node_levels, f->n_cards, sizeof *f->node_levels);
	for (uint32_t i = 0; i < f->n_nodes; i++) {
		f->node_state[i] = NONE;
		f->node_first[i] = pool->nodes[i].card_first;
	}
}

/* Whether what is known of a node's state is so still. */
static bool is_known(const struct fill *f, const struct capacity *c, uint32_t id, uint32_t kind, uint32_t idle)
{
	const struct node *node = &c->pool->nodes[id];
	const struct state *s = &f->states[f->node_state[id]];

	return f->node_state[id] != NONE && s->kind == kind && s->cards == node->cards && s->idle == idle &&
	       f->node_steps[id] == cpu_steps(c->free_cpus[id]) &&
	       !memcmp(&f->node_levels[node->card_first], &c->card_milli[node->card_first], node->cards * sizeof *c->card_milli);
}

static uint32_t state_of(struct fill *f, const struct capacity *c, uint32_t id, uint32_t kind)
{
	const struct node *node = &c->pool->nodes[id];
	const uint16_t *free = &c->card_milli[node->card_first];
	struct state s = {.kind = kind, .cards = node->cards, .cpu_steps = cpu_steps(c->free_cpus[id])};
	uint16_t levels[CARDS_PER_NODE_MAX];

	if (f->node_first[id] != node->card_first)
		learn_pool(f, c->pool);
	s.idle = c->free_cpus[id] == node->cpus_milli && (uint32_t)__builtin_popcountll(c->free_cards[id]) == node->cards;
	if (!is_known(f, c, id, kind, s.idle)) {
		memcpy(levels, free, node->cards * sizeof *levels);
		memcpy(&f->node_levels[node->card_first], free, node->cards * sizeof *levels);
		f->node_steps[id] = s.cpu_steps;
		f->node_state[id] = intern(f, s, levels);
	}
	return f->node_state[id];
}

static bool holds(const struct fill *f, const struct capacity *c, uint32_t node, uint32_t state, const struct request *q)
{
	const struct state *s = &f->states[state];

	if (c->free_cpus[node] < q->cpus_milli || c->free_memory[node] < q->memory_mib)
		return false;
	if (is_share(q->cards_milli))
		return s->cards && f->levels[s->first + s->cards - 1] >= q->cards_milli;
	return (uint32_t)__builtin_popcountll(c->free_cards[node]) >= q->cards_milli / CARD_MILLI;
}

/* Counts a node with its state. Returns whether it holds the request. */
static bool see(struct fill *f, const struct capacity *c, uint32_t node, uint32_t kind, const struct request *q)
{
	uint32_t id = state_of(f, c, node, kind);
	struct state *s = &f->states[id];
	struct seen *seen;
	bool held = holds(f, c, node, id, q);

	if (s->seen_in != f->choice) {
		mem_grow((void **)&f->seen, &f->seen_cap, f->n_seen, sizeof *f->seen);
		s->seen_in = f->choice;
		s->seen = f->n_seen;
		f->seen[f->n_seen++] = (struct seen){.state = id, .node = NODE_NONE};
	}
	seen = &f->seen[s->seen];
	seen->count++;
	if (held && seen->node == NODE_NONE)
		seen->node = node;
	return held;
}

/* Whether a rack may hold the request, by its counts. few: how many free cards are enough to be looked at. */
static bool may_hold(const struct capacity *c, uint32_t rack, uint32_t cards_max, uint32_t cards_milli, uint32_t few)
{
	return !cards_milli || (c->shared[rack] && few <= 1) || capacity_nodes_with(c, rack, cards_max, few ? few : 1);
}

/* Looks at the nodes of the shelves, in order. Racks with nothing free are passed over, and past WINDOW nodes those that can't
 * hold the request; once one held it, WINDOW nodes are enough. */
static void look(struct fill *f, const struct capacity *c, const uint32_t *shelves, uint32_t n, const struct request *q)
{
	uint32_t looked = 0;
	bool held = false;

	f->n_seen = 0;
	f->choice++;
	for (uint32_t i = 0; i < n; i++) {
		const struct shelf *shelf = &c->pool->shelves[shelves[i]];

		for (uint32_t rack = shelf->rack_first; rack < shelf->rack_first + shelf->n_racks; rack++) {
			const struct domain *d = &c->pool->domains[rack];

			if (!may_hold(c, rack, shelf->cards_max, q->cards_milli, looked < WINDOW ? 1 : q->cards_milli / CARD_MILLI))
				continue;
			for (uint32_t node = d->node_first; node < d->node_first + d->n_nodes; node++, looked++) {
				if (looked >= WINDOW && held)
					return;
				held |= see(f, c, node, shelf->kind, q);
			}
		}
	}
}

/* ---- Prices ---- */

/* By kind: what is still to come that may take few kinds only, over what is free of those, in 1024ths. */
static void set_pressure(struct fill *f, const struct capacity *c)
{
	uint64_t free = 0;

	if (f->n_kinds < c->pool->n_kinds) {
		f->n_kinds = c->pool->n_kinds;
		f->kind_free = mem_resize(f->kind_free, f->n_kinds, sizeof *f->kind_free);
		f->kind_pressure = mem_resize(f->kind_pressure, f->n_kinds, sizeof *f->kind_pressure);
	}
	memset(f->kind_free, 0, f->n_kinds * sizeof *f->kind_free);
	memset(f->kind_pressure, 0, f->n_kinds * sizeof *f->kind_pressure);
	for (uint32_t i = 0; i < c->pool->n_shelves; i++) {
		free += c->shelf_milli[i];
		if (c->pool->shelves[i].kind < f->n_kinds)
			f->kind_free[c->pool->shelves[i].kind] += c->shelf_milli[i];
	}
	for (uint32_t i = 0; i < f->n_types; i++) {
		const struct type *t = &f->types[i];
		uint64_t theirs = 0, part, coming;

		for (uint32_t k = 0; k < t->n_kinds; k++)
			theirs += t->kinds[k] < f->n_kinds ? f->kind_free[t->kinds[k]] : 0;
		if (!theirs || !t->cards_milli || !t->used)
			continue;
		part = ((uint64_t)t->used * t->cards_milli << 20) / f->total_milli; /* of all that comes, in 2^20ths */
		coming = part * (free / theirs < FEW ? free * ONE / theirs : FEW * ONE) >> 20;
		for (uint32_t k = 0; k < t->n_kinds; k++)
			if (t->kinds[k] < f->n_kinds)
				f->kind_pressure[t->kinds[k]] += coming;
	}
}

/* What a kind's values are multiplied by, in 1024ths. */
static int64_t kind_factor(const struct fill *f, uint32_t kind)
{
	uint64_t pressure = kind < f->n_kinds ? f->kind_pressure[kind] : 0;

	return ONE + (int64_t)(pressure < ONE ? pressure : ONE) * PRESSURE_WEIGHT / ONE;
}

/* How many requests are expected, where `count` came out of all that did; both in 1024ths. */
static uint64_t expected(const struct fill *f, uint64_t free_milli, uint64_t count)
{
	return f->total_milli ? count * free_milli / f->total_milli : 0;
}

/* How many of a type may come: as many as are expected, and DEVIATIONS standard deviations more; in 1024ths, at most `most`.
 *
 * r times as many as came are still to come, so of one that came n times n · r are expected. How often it comes is known from
 * these n alone: with a rate distributed as they say (gamma), the number to come is distributed as negative binomial, and its
 * variance is n · r · (1 + r). */
static uint64_t may_come(const struct fill *f, uint64_t free_milli, uint64_t count, uint64_t most)
{
	uint64_t coming = expected(f, free_milli, count), ratio;

	if (coming > 0 && coming < most) {
		ratio = free_milli * ONE / f->total_milli;
		ratio = ratio < RATIO_MAX ? ratio : RATIO_MAX; /* that no product overflows */
		coming += DEVIATIONS * root(coming * (ONE + ratio));
	}
	return coming < most ? coming : most;
}

/* What comes over the slots there are for it, at most 1; all in 1024ths but the slots. */
static uint64_t scarcity(uint64_t coming, uint64_t there)
{
	return coming >= there * ONE ? ONE : coming / there;
}

/* The price of a slot for a type. */
static int64_t slot_price(const struct fill *f, uint64_t free_milli, const struct type *t, uint64_t there)
{
	uint64_t s = scarcity(may_come(f, free_milli, (uint64_t)t->used * ONE, there * ONE), there), square = s * s / ONE;

	return (int64_t)(square * square / ONE * SLOT_WEIGHT * t->cards_milli / ONE);
}

/* The prices of large types, by what the choice looked at. Returns its free thousandths. */
static uint64_t set_prices(struct fill *f, int64_t *prices)
{
	uint64_t there[LARGE_MAX] = {0}, free_milli = 0;

	for (uint32_t i = 0; i < f->n_seen; i++) {
		const struct seen *seen = &f->seen[i];
		const uint16_t *room = &f->room[(size_t)seen->state * f->n_large];

		value(f, seen->state);
		free_milli += (uint64_t)seen->count * f->states[seen->state].free_milli;
		for (uint32_t k = 0; k < f->n_large; k++)
			there[k] += (uint64_t)seen->count * room[k];
	}
	for (uint32_t k = 0; k < f->n_large; k++)
		prices[k] = slot_price(f, free_milli, &f->types[f->large[k]], there[k]);
	return free_milli;
}

/* ---- The choice ---- */

static int64_t gain(struct fill *f, uint32_t before, uint32_t after, const int64_t *prices)
{
	const uint16_t *then = &f->room[(size_t)before * f->n_large], *now;
	int64_t sum;

	value(f, after);
	now = &f->room[(size_t)after * f->n_large];
	sum = (f->states[after].value - f->states[before].value) * kind_factor(f, f->states[before].kind) / ONE;
	for (uint32_t i = 0; i < f->n_large; i++)
		sum += prices[i] * ((int64_t)now[i] - then[i]);
	return sum;
}

/* What opening an idle node of several cards costs. */
static int64_t idle_price(const struct fill *f, const struct seen *seen, uint64_t free_milli)
{
	const struct state *s = &f->states[seen->state];
	uint64_t scarce;

	if (!s->idle || s->cards < 2)
		return 0;
	scarce = scarcity(expected(f, free_milli, IDLE_WEIGHT), seen->count);
	return (int64_t)(scarce * scarce / ONE * SLOT_WEIGHT * s->cards * CARD_MILLI / ONE);
}

struct choice {
	int64_t gain;
	uint32_t node, level; /* level: of a share's card; 0: whole cards, or none */
};

static void consider(struct fill *f, const struct seen *seen, const struct request *q, const int64_t *prices, uint64_t free_milli,
                     struct choice *best)
{
	uint32_t first = f->states[seen->state].first, last = is_share(q->cards_milli) ? f->states[seen->state].cards : 1;
	int64_t opening = idle_price(f, seen, free_milli);

	for (uint32_t i = 0; i < last; i++) {
		uint32_t level = is_share(q->cards_milli) ? f->levels[first + i] : 0;
		int64_t sum;

		if (level < q->cards_milli % CARD_MILLI || (i > 0 && level == f->levels[first + i - 1]))
			continue;
		sum = gain(f, seen->state, step_to(f, seen->state, q, level), prices) - opening;
		if (best->node == NODE_NONE || sum > best->gain)
			*best = (struct choice){sum, seen->node, level};
	}
}

/* The cards of a node for a request: the lowest with that level, or the lowest whole ones. */
static uint64_t cards_of(const struct capacity *c, const struct choice *choice, const struct request *q)
{
	const uint16_t *levels = &c->card_milli[c->pool->nodes[choice->node].card_first];
	uint64_t free = c->free_cards[choice->node], cards = 0;
	uint32_t i = 0;

	if (is_share(q->cards_milli)) {
		while (levels[i] != choice->level)
			i++;
		return (uint64_t)1 << i;
	}
	for (; i < q->cards_milli / CARD_MILLI; i++, free &= free - 1)
		cards |= free & -free;
	return cards;
}

bool fill_choose(struct fill *f, const struct capacity *c, const uint32_t *shelves, uint32_t n_shelves, const struct request *q,
                 uint32_t *ret_node, uint64_t *ret_cards)
{
	struct choice best = {.node = NODE_NONE};
	int64_t prices[LARGE_MAX];
	uint64_t free_milli;

	if (f->n_states > STATES_MAX)
		forget_states(f);
	if (f->n_nodes != c->pool->n_nodes || f->n_cards != c->pool->n_cards)
		learn_pool(f, c->pool);
	set_pressure(f, c);
	look(f, c, shelves, n_shelves, q);
	free_milli = set_prices(f, prices);
	for (uint32_t i = 0; i < f->n_seen; i++)
		if (f->seen[i].node != NODE_NONE)
			consider(f, &f->seen[i], q, prices, free_milli, &best);
	if (best.node == NODE_NONE)
		return false;
	*ret_node = best.node;
	*ret_cards = cards_of(c, &best, q);
	return true;
}

/* ---- As bytes ---- */

struct fill *fill_new(void)
{
	struct fill *f = mem_new(1, sizeof *f);

	f->steps = mem_new(STEPS, sizeof *f->steps);
	f->levels_cap = CARDS_PER_NODE_MAX;
	f->levels = mem_new(f->levels_cap, sizeof *f->levels);
	f->room_cap = LARGE_MAX;
	f->room = mem_new(f->room_cap, sizeof *f->room);
	model(f);
	return f;
}

struct fill *fill_free(struct fill *f)
{
	if (!f)
		return NULL;
	forget_offers(f);
	map_done(&f->state_index);
	free(f->offers);
	free(f->states);
	free(f->levels);
	free(f->room);
	free(f->steps);
	free(f->node_state);
	free(f->node_steps);
	free(f->node_first);
	free(f->node_levels);
	free(f->seen);
	free(f->kind_free);
	free(f->kind_pressure);
	free(f);
	return NULL;
}

void fill_save(const struct fill *f, struct buf *buf)
{
	buf_put_uint(buf, f->n_types);
	buf_put_uint(buf, f->since);
	for (uint32_t i = 0; i < f->n_types; i++) {
		const struct type *t = &f->types[i];

		buf_put_uint(buf, t->n_kinds);
		for (uint32_t k = 0; k < t->n_kinds; k++)
			buf_put_uint(buf, t->kinds[k]);
		buf_put_uint(buf, t->cards_milli);
		buf_put_uint(buf, t->cpus_milli);
		buf_put_uint(buf, t->count);
		buf_put_uint(buf, t->used);
	}
}

static void load_type(struct reader *r, struct type *t)
{
	t->n_kinds = (uint32_t)read_uint_max(r, TYPE_KINDS_MAX);
	for (uint32_t k = 0; k < t->n_kinds; k++) {
		t->kinds[k] = (uint32_t)read_uint_max(r, KIND_ANY - 1);
		r->bad |= k > 0 && t->kinds[k] <= t->kinds[k - 1];
	}
	t->cards_milli = (uint32_t)read_uint_max(r, CARDS_PER_NODE_MAX * CARD_MILLI);
	t->cpus_milli = (uint32_t)read_uint_max(r, UINT32_MAX);
	t->count = (uint32_t)read_uint_max(r, COUNT_MAX);
	t->used = (uint32_t)read_uint_max(r, t->count);
	r->bad |= t->count == 0 || (t->cards_milli > CARD_MILLI && t->cards_milli % CARD_MILLI);
}

struct fill *fill_load(struct reader *r)
{
	struct fill *f = fill_new();

	f->n_types = (uint32_t)read_uint_max(r, FILL_TYPES_MAX);
	f->since = (uint32_t)read_uint_max(r, REFRESH_MAX);
	for (uint32_t i = 0; i < f->n_types; i++) {
		load_type(r, &f->types[i]);
		for (uint32_t k = 0; k < i && !r->bad; k++)
			r->bad |= same_type(&f->types[i], &f->types[k]);
	}
	if (r->bad || count_all(f) > COUNT_MAX) {
		r->bad = true;
		f->n_types = 0;
		f->since = 0;
	}
	model(f);
	return f;
}

/* ---- Arrivals ---- */

void arrivals_add(struct arrivals *a, const struct group *last, const struct group *group)
{
	uint32_t milli = group->requests[0].cards_milli;

	if (last && a->shares) {
		a->fill = a->fill ? a->fill : fill_new();
		fill_learn(a->fill, last->requests, last->n_requests, last->nodes);
	}
	a->all++;
	a->shares += milli > 0 && milli < CARD_MILLI;
}

static struct fill *copy(const struct fill *f)
{
	struct buf bytes = {0};
	struct reader r;
	struct fill *made;

	fill_save(f, &bytes);
	r = reader_of(bytes.data, bytes.len);
	made = fill_load(&r);
	buf_done(&bytes);
	return made;
}

struct arrivals arrivals_ahead(const struct arrivals *a, const struct group *last, const struct group *group)
{
	struct arrivals ahead = *a;

	if (a->fill && last && !fill_would_change(a->fill, last->requests, last->n_requests, last->nodes))
		last = NULL;
	if (a->fill && last)
		ahead.fill = copy(a->fill);
	arrivals_add(&ahead, last, group);
	return ahead;
}

void arrivals_ahead_done(const struct arrivals *a, struct arrivals *ahead)
{
	if (ahead->fill != a->fill)
		fill_free(ahead->fill);
}
