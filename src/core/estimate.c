/* SPDX-License-Identifier: Apache-2.0
 * estimate.c: histograms of run times and of waits, and the intervals that are read from them; see estimate.h.
 *
 * Sizes are kept as logarithms of base 2 in 1/1024 of an octave, so that all errors are relative; a bucket is a quarter of an
 * octave. Counts fade: each sample adds a step, and where a histogram is full every count first loses a quarter, rounded up. So
 * the latest count most, and what was seen once goes.
 *
 * Run times. A sample is learned at every level (name and shape, name, ... all). An answer is read from a mixture: of the
 * probability that is left, a level with n runs takes n / (n + 2), and leaves the rest to the next one, so that few runs of one's
 * own are filled up by those of others (as counts of words are smoothed, Bell, Cleary and Witten 1990). How much longer a job
 * runs is the mixture beyond what it ran already: where no job of its own kind ran that long, only those of others are left in
 * it. In each bucket all mass lies at its mean place, so that jobs that always run the same are met to 1/1000.
 *
 * Waits. What is learned is actual / base, both + 1 s, by the base's magnitude and the queue's state, and waits of 0 apart. An
 * interval reaches from one quantile to another; which ones is corrected with each outcome, by a step up after a miss and a small
 * one down after a hit, so that the share of misses comes to what it shall be whatever the base is worth (adaptive conformal
 * inference, Gibbs and Candès 2021; each end for itself). Outcomes come late, the long waits last. Jobs that were all promised
 * the same before the first of them started correct the same mistake once each, so the step is the smaller the more jobs wait:
 * then all that are on their way together move an end by no more than one of them would where none waits.
 *
 * Invariants: a histogram's total is the sum of its counts and at most its bound; a place is 0 where the count is; no slot is
 * empty, each is in the map and in the list once. */
#include "core/estimate.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

/* ---- Logarithms ---- */

enum { OCTAVE = 1024, BUCKET = OCTAVE / 4 };

/* 1024 · log2, rounded down; 0 counts as 1. One bit of the fraction a squaring. */
static int32_t log_of(us_t value)
{
	uint64_t v = value > 0 ? (uint64_t)value : 1;
	int zeros = __builtin_clzll(v);
	int32_t log = 63 - zeros;
	uint64_t m = v << zeros >> 32; /* 1 <= m < 2, in 1/2^31 */

	for (int i = 0; i < 10; i++) {
		uint64_t square = m * m >> 31;
		uint64_t carry = square >> 32;

		m = square >> carry;
		log = log * 2 + (int32_t)carry;
	}
	return log;
}

/* 2^(log / 1024), rounded down; 0 below 0, and at most 2^62. */
static us_t value_of(int32_t log)
{
	/* 2^(1/2), 2^(1/4), ... in 1/2^31 */
	static const uint32_t roots[] = {3037000500u, 2553802834u, 2341847524u, 2242560872u, 2194507417u,
	                                 2170868212u, 2159144272u, 2153306067u, 2150392887u, 2148937775u};
	uint64_t m = 1u << 31;
	int32_t octaves = log / OCTAVE;

	if (log < 0)
		return 0;
	if (octaves >= 62)
		return (us_t)1 << 62;
	for (unsigned i = 0; i < 10; i++)
		if (log & (OCTAVE / 2 >> i))
			m = m * roots[i] >> 31;
	return octaves >= 31 ? (us_t)(m << (octaves - 31)) : (us_t)(m >> (31 - octaves));
}

static int32_t clamp(int32_t value, int32_t least, int32_t most)
{
	return value < least ? least : value > most ? most : value;
}

/* ---- Histograms of run times ---- */

enum {
	RUN_STEP = 4, /* what a run adds; it is out of 256 */
	RUN_TOTAL_MAX = 255,
	RUN_LEAST = 19 * OCTAVE, /* half a second */
	RUN_SPAN = ESTIMATE_BUCKETS * BUCKET,
	SHARE_LEAST = -22 * OCTAVE, /* of run / limit */
	EIGHT = 8,
};

/* A bucket has a count. */
static void widen_to(struct run_histogram *h, uint32_t bucket)
{
	if (h->first == h->end) {
		h->first = (uint8_t)bucket;
		h->end = (uint8_t)(bucket + 1);
	}
	h->first = bucket < h->first ? (uint8_t)bucket : h->first;
	h->end = bucket >= h->end ? (uint8_t)(bucket + 1) : h->end;
}

/* All of eight buckets' counts: no sum of counts is over 255, so none of the bytes that are added in the product runs over. */
static uint32_t eight_counts(const uint8_t *counts)
{
	uint64_t word;

	memcpy(&word, counts, EIGHT);
	return (uint32_t)(word * UINT64_C(0x0101010101010101) >> 56);
}

/* A loop over all buckets, without a branch, becomes vector instructions. */
static void fade_counts(struct run_histogram *h)
{
	for (uint32_t i = 0; i < ESTIMATE_BUCKETS; i++) {
		uint8_t count = h->counts[i];

		count = (uint8_t)(count - (count >> 2) - ((count & 3) != 0));
		h->counts[i] = count;
		h->places[i] = count ? h->places[i] : 0;
	}
}

/* Of a full one: some count is 3 or more, and stays. */
static void fade_runs(struct run_histogram *h)
{
	fade_counts(h);
	h->total = 0;
	for (uint32_t i = 0; i < ESTIMATE_BUCKETS; i += EIGHT)
		h->total += eight_counts(&h->counts[i]);
	while (!h->counts[h->first])
		h->first++;
	while (!h->counts[h->end - 1])
		h->end--;
}

static void learn_run(struct run_histogram *h, int32_t at)
{
	uint32_t bucket, place, count;

	at = clamp(at, 0, RUN_SPAN - 1);
	bucket = (uint32_t)at / BUCKET;
	place = (uint32_t)at % BUCKET;
	if (h->total + RUN_STEP > RUN_TOTAL_MAX)
		fade_runs(h);
	h->total += RUN_STEP;
	widen_to(h, bucket);
	h->counts[bucket] = (uint8_t)(h->counts[bucket] + RUN_STEP);
	count = h->counts[bucket];
	h->places[bucket] = (uint8_t)((h->places[bucket] * (count - RUN_STEP) + place * RUN_STEP + count / 2) / count);
}

/* ---- Keys ---- */

static inline uint64_t hash_pair(uint64_t a, uint64_t b)
{
	return rng_mix(a ^ rng_mix(b));
}

static uint64_t owner_of(const struct estimate_key *key)
{
	return hash_pair(key->project, key->user);
}

static uint64_t slot_key(uint64_t owner, const struct estimate_key *key, enum estimate_level level)
{
	switch (level) {
	case ESTIMATE_BY_NAME_SHAPE: return hash_pair(hash_pair(owner, key->name) + level, key->shape);
	case ESTIMATE_BY_NAME: return hash_pair(owner + level, key->name);
	case ESTIMATE_BY_SHAPE: return hash_pair(owner + level, key->shape);
	case ESTIMATE_BY_USER: return hash_pair(level, key->user);
	default: assert(level == ESTIMATE_BY_PROJECT); return hash_pair(level, key->project);
	}
}

/* 0: there is none. */
static uint32_t find_slot(const struct estimates *e, uint64_t key)
{
	uint32_t i = e->heads[key % ESTIMATE_HEADS];

	while (i && e->slots[i].key != key)
		i = e->slots[i].next;
	return i;
}

static void forget_key(struct estimates *e, uint32_t i)
{
	uint16_t *link = &e->heads[e->slots[i].key % ESTIMATE_HEADS];

	while (*link != i)
		link = &e->slots[*link].next;
	*link = e->slots[i].next;
}

static void unlink_slot(struct estimates *e, uint32_t i)
{
	struct estimate_slot *slot = &e->slots[i];

	*(slot->older ? &e->slots[slot->older].newer : &e->oldest) = slot->newer;
	*(slot->newer ? &e->slots[slot->newer].older : &e->newest) = slot->older;
}

static void link_newest(struct estimates *e, uint32_t i)
{
	e->slots[i].older = e->newest;
	e->slots[i].newer = 0;
	*(e->newest ? &e->slots[e->newest].newer : &e->oldest) = (uint16_t)i;
	e->newest = (uint16_t)i;
}

static void make_room(struct estimates *e)
{
	uint32_t cap = e->cap;

	mem_grow((void **)&e->slots, &e->cap, cap ? e->n_slots + 1 : 0, sizeof *e->slots); /* 0 stays unused */
	if (e->cap != cap)
		e->runs = mem_resize(e->runs, e->cap, sizeof *e->runs);
}

/* A slot for a new key: the next one, or that which was learned the longest ago. */
static uint32_t add_slot(struct estimates *e, uint64_t key)
{
	uint32_t i;

	if (e->n_slots < ESTIMATE_KEYS_MAX) {
		make_room(e);
		i = ++e->n_slots;
	} else {
		i = e->oldest;
		unlink_slot(e, i);
		forget_key(e, i);
	}
	e->slots[i] = (struct estimate_slot){.key = key, .next = e->heads[key % ESTIMATE_HEADS]};
	e->heads[key % ESTIMATE_HEADS] = (uint16_t)i;
	e->runs[i] = (struct run_histogram){0};
	link_newest(e, i);
	return i;
}

/* i: where the key was before others were learned; 0: nowhere. */
static void learn_key(struct estimates *e, uint64_t key, uint32_t i, int32_t at)
{
	if (!i || e->slots[i].key != key)
		i = find_slot(e, key);
	if (!i) {
		i = add_slot(e, key);
	} else if (i != e->newest) {
		unlink_slot(e, i);
		link_newest(e, i);
	}
	learn_run(&e->runs[i], at);
}

/* Asks for what a run will change. */
static void fetch_run(const struct run_histogram *h, int32_t at)
{
	int32_t bucket = clamp(at, 0, RUN_SPAN - 1) / BUCKET;

	__builtin_prefetch(h);
	__builtin_prefetch(&h->counts[bucket]);
	__builtin_prefetch(&h->places[bucket]);
}

/* All keys are looked for before any is learned, so that none waits until the one before has come from memory. A name that comes
 * for the first time takes one slot and not two: many never come again. */
static void learn_keys(struct estimates *e, const struct estimate_key *key, int32_t at)
{
	static const enum estimate_level levels[] = {ESTIMATE_BY_NAME_SHAPE, ESTIMATE_BY_NAME, ESTIMATE_BY_SHAPE, ESTIMATE_BY_USER,
	                                             ESTIMATE_BY_PROJECT};
	enum { N = sizeof levels / sizeof *levels };
	uint64_t keys[N], owner = owner_of(key);
	uint32_t slots[N];

	for (int i = 0; i < N; i++) {
		keys[i] = slot_key(owner, key, levels[i]);
		slots[i] = find_slot(e, keys[i]);
		if (slots[i])
			fetch_run(&e->runs[slots[i]], at);
	}
	for (int i = slots[ESTIMATE_BY_NAME] ? 0 : 1; i < N; i++)
		learn_key(e, keys[i], slots[i], at);
}

void estimate_learn(struct estimates *e, const struct estimate_key *key, us_t limit_us, us_t run_us)
{
	int32_t log = log_of(run_us);

	assert(limit_us > 0 && run_us >= 0);
	learn_keys(e, key, log - RUN_LEAST);
	learn_run(&e->all, log - RUN_LEAST);
	if (limit_us != US_NEVER)
		learn_run(&e->shares, log - log_of(limit_us) - SHARE_LEAST);
}

/* ---- Mixtures ---- */

enum { MIX_ONE = 1 << 23, OTHERS = 2 * RUN_STEP, TAIL = 25 };

struct mixture {
	uint32_t mass[ESTIMATE_BUCKETS];   /* sums to at most MIX_ONE */
	uint32_t moment[ESTIMATE_BUCKETS]; /* mass × place */
	int32_t first, end;                /* what isn't 0 lies in [first, end) */
	enum estimate_level level;
	uint32_t n;
};

static void widen_mix(struct mixture *mix, int32_t first, int32_t end)
{
	mix->first = first < mix->first ? first : mix->first;
	mix->end = end > mix->end ? end : mix->end;
}

static void mix_shifted(struct mixture *mix, const struct run_histogram *h, uint32_t unit, int32_t shift)
{
	for (int32_t i = h->first; i < h->end; i++) {
		if (!h->counts[i])
			continue;
		int32_t at = clamp(i * BUCKET + h->places[i] + shift, 0, RUN_SPAN - 1);
		uint32_t mass = h->counts[i] * unit;

		widen_mix(mix, at / BUCKET, at / BUCKET + 1);
		mix->mass[at / BUCKET] += mass;
		mix->moment[at / BUCKET] += mass * (uint32_t)(at % BUCKET);
	}
}

/* restrict: so that the loop is made of vector instructions. */
static void mix_straight(struct mixture *restrict mix, const struct run_histogram *restrict h, uint32_t unit)
{
	widen_mix(mix, h->first, h->end);
	for (int i = h->first; i < h->end; i++) {
		uint32_t mass = h->counts[i] * unit;

		mix->mass[i] += mass;
		mix->moment[i] += mass * h->places[i];
	}
}

/* The levels of a mixture, and how much a run of each weighs. */
struct blend {
	struct part {
		const struct run_histogram *runs;
		uint32_t unit; /* of MIX_ONE, for each count */
		int32_t shift; /* added to where its runs lie */
	} parts[ESTIMATE_LEVELS];
	uint32_t n_parts;
	uint32_t left; /* of MIX_ONE, for the levels that follow */
	uint32_t most; /* the greatest total of those before */
	enum estimate_level level;
	uint32_t n;
};

/* Whether a level holds but the runs of those before it, which tell nothing more. A full one may hold any. */
static bool is_known_already(const struct blend *blend, const struct run_histogram *h)
{
	return h->total <= blend->most + RUN_STEP && h->total <= RUN_TOTAL_MAX / 2 && blend->n;
}

/* Adds a level's runs, by its number of them. */
static void blend_level(struct blend *blend, const struct run_histogram *h, enum estimate_level level, int32_t shift)
{
	uint32_t unit;

	if (!h || !h->total || (level != ESTIMATE_BY_LIMIT && is_known_already(blend, h)))
		return;
	if (!blend->n) {
		blend->level = level;
		blend->n = (h->total + RUN_STEP - 1) / RUN_STEP;
	}
	unit = blend->left / (h->total + OTHERS);
	blend->left -= unit * h->total;
	if (level != ESTIMATE_BY_LIMIT && h->total > blend->most)
		blend->most = h->total;
	blend->parts[blend->n_parts++] = (struct part){h, unit, shift};
}

static const struct run_histogram *runs_at(const struct estimates *e, uint64_t owner, const struct estimate_key *key,
                                           enum estimate_level level)
{
	uint32_t i;

	if (level == ESTIMATE_BY_ALL)
		return &e->all;
	i = find_slot(e, slot_key(owner, key, level));
	return i ? &e->runs[i] : NULL;
}

/* enough: stops where less than this is left to others. */
static void blend_all(struct blend *blend, const struct estimates *e, const struct estimate_key *key, us_t limit_us,
                      uint32_t enough)
{
	uint64_t owner = owner_of(key);

	blend->n_parts = blend->most = blend->n = 0;
	blend->left = MIX_ONE;
	blend->level = ESTIMATE_BY_NOTHING;
	for (enum estimate_level level = 0; level < ESTIMATE_BY_NOTHING && blend->left > enough; level++)
		if (level != ESTIMATE_BY_LIMIT)
			blend_level(blend, runs_at(e, owner, key, level), level, 0);
		else if (limit_us != US_NEVER)
			blend_level(blend, &e->shares, level, log_of(limit_us) + SHARE_LEAST - RUN_LEAST);
}

static void mix_all(struct mixture *mix, const struct blend *blend)
{
	*mix = (struct mixture){.level = blend->level, .n = blend->n, .first = ESTIMATE_BUCKETS};
	for (const struct part *part = blend->parts; part < &blend->parts[blend->n_parts]; part++)
		if (part->shift)
			mix_shifted(mix, part->runs, part->unit, part->shift);
		else
			mix_straight(mix, part->runs, part->unit);
}

/* Takes out what lies at `at` or before. */
static void mix_only_after(struct mixture *mix, int32_t at)
{
	for (int32_t i = mix->first; i < mix->end && i * BUCKET <= at; i++)
		if (mix->mass[i] && i * BUCKET + (int32_t)(mix->moment[i] / mix->mass[i]) <= at)
			mix->mass[i] = 0;
}

static uint32_t mix_sum(const struct mixture *mix)
{
	uint32_t sum = 0;

	for (int32_t i = mix->first; i < mix->end; i++)
		sum += mix->mass[i];
	return sum;
}

/* Where all mass of a bucket lies. */
static us_t mix_value(const struct mixture *mix, int32_t bucket)
{
	return value_of(RUN_LEAST + bucket * BUCKET + (int32_t)(mix->moment[bucket] / mix->mass[bucket]));
}

/* Reads the quantiles; returns whether there is anything to read them from. The tails of some 40 runs are shorter than those of
 * what they come from: 1 in 25 of them stands for 1 in 20. */
static bool mix_quantiles(const struct mixture *mix, struct estimate *ret)
{
	uint32_t sum = mix_sum(mix), n = 0, targets[3];
	us_t values[3];

	ret->level = mix->level;
	ret->n = mix->n;
	if (!sum)
		return false;
	targets[0] = (sum + TAIL - 1) / TAIL;
	targets[1] = (sum + 1) / 2;
	targets[2] = sum - sum / TAIL;
	sum = 0;
	for (int32_t i = mix->first; n < 3; i++)
		for (sum += mix->mass[i]; n < 3 && sum >= targets[n]; n++)
			values[n] = mix_value(mix, i);
	ret->low_us = values[0];
	ret->mid_us = values[1];
	ret->high_us = values[2];
	return true;
}

static us_t least_of(us_t a, us_t b)
{
	return a < b ? a : b;
}

static void estimate_bound(struct estimate *e, us_t most_us)
{
	e->low_us = least_of(e->low_us, most_us);
	e->mid_us = least_of(e->mid_us, most_us);
	e->high_us = least_of(e->high_us, most_us);
}

/* Where nothing is known. */
static us_t usual_mid(us_t limit_us)
{
	return limit_us == US_NEVER ? US_HOUR : limit_us / 2;
}

struct estimate estimate_run(const struct estimates *e, const struct estimate_key *key, us_t limit_us)
{
	struct blend blend;
	struct mixture mix;
	struct estimate ret;

	assert(limit_us > 0);
	blend_all(&blend, e, key, limit_us, MIX_ONE / 64);
	mix_all(&mix, &blend);
	if (!mix_quantiles(&mix, &ret)) {
		ret.low_us = limit_us == US_NEVER ? US_MINUTE : limit_us / 100;
		ret.mid_us = usual_mid(limit_us);
		ret.high_us = limit_us == US_NEVER ? US_DAY : limit_us;
	}
	estimate_bound(&ret, limit_us);
	return ret;
}

/* ---- The middle alone ---- */

static uint32_t mass_of_eight(const struct blend *blend, uint32_t bucket)
{
	uint32_t mass = 0;

	for (const struct part *part = blend->parts; part < &blend->parts[blend->n_parts]; part++)
		mass += eight_counts(&part->runs->counts[bucket]) * part->unit;
	return mass;
}

static uint32_t mass_of_one(const struct blend *blend, uint32_t bucket)
{
	uint32_t mass = 0;

	for (const struct part *part = blend->parts; part < &blend->parts[blend->n_parts]; part++)
		mass += part->runs->counts[bucket] * part->unit;
	return mass;
}

static uint32_t moment_of_one(const struct blend *blend, uint32_t bucket)
{
	uint32_t moment = 0;

	for (const struct part *part = blend->parts; part < &blend->parts[blend->n_parts]; part++)
		moment += part->runs->counts[bucket] * part->unit * part->runs->places[bucket];
	return moment;
}

/* What lies where the sum of masses reaches `target`. No level is shifted. */
static us_t blend_reach(const struct blend *blend, uint32_t target)
{
	uint32_t i = 0, mass;

	for (; (mass = mass_of_eight(blend, i)) < target; i += EIGHT)
		target -= mass;
	for (; (mass = mass_of_one(blend, i)) < target; i++)
		target -= mass;
	return value_of((int32_t)(RUN_LEAST + i * BUCKET + moment_of_one(blend, i) / mass));
}

static bool blend_is_straight(const struct blend *blend)
{
	uint32_t n = 0;

	while (n < blend->n_parts && !blend->parts[n].shift)
		n++;
	return n == blend->n_parts;
}

/* The same of a mixture. */
static us_t mix_reach(const struct mixture *mix, uint32_t target)
{
	int32_t i = mix->first;

	for (uint32_t below = 0; (below += mix->mass[i]) < target;)
		i++;
	return mix_value(mix, i);
}

/* Read off the levels, most of the time: they are two or three, and of all the moments one bucket's is all that counts. */
us_t estimate_run_mid(const struct estimates *e, const struct estimate_key *key, us_t limit_us)
{
	struct blend blend;
	struct mixture mix;
	uint32_t half;

	assert(limit_us > 0);
	blend_all(&blend, e, key, limit_us, MIX_ONE / 64);
	half = (MIX_ONE - blend.left + 1) / 2;
	if (!half)
		return usual_mid(limit_us);
	if (blend_is_straight(&blend))
		return least_of(blend_reach(&blend, half), limit_us);
	mix_all(&mix, &blend);
	return least_of(mix_reach(&mix, half), limit_us);
}

struct estimate estimate_remaining(const struct estimates *e, const struct estimate_key *key, us_t limit_us, us_t ran_us)
{
	struct blend blend;
	struct mixture mix;
	struct estimate ret;
	int32_t at = log_of(ran_us) - RUN_LEAST;

	assert(limit_us > 0 && ran_us >= 0);
	blend_all(&blend, e, key, limit_us, 0);
	mix_all(&mix, &blend);
	mix_only_after(&mix, at);
	if (mix_quantiles(&mix, &ret)) {
		ret.low_us -= least_of(ran_us, ret.low_us); /* a logarithm is rounded down, so it may be a little less than ran_us */
		ret.mid_us -= least_of(ran_us, ret.mid_us);
		ret.high_us -= least_of(ran_us, ret.high_us);
	} else if (!mix.n && ran_us < US_MINUTE) {
		ret = estimate_run(e, key, limit_us);
	} else {
		ret.low_us = ran_us / 19;
		ret.mid_us = ran_us;
		ret.high_us = ran_us < US_NEVER / 19 ? 19 * ran_us : US_NEVER;
	}
	estimate_bound(&ret, limit_us == US_NEVER ? US_DURATION_MAX : limit_us - least_of(ran_us, limit_us));
	return ret;
}

void estimates_done(struct estimates *e)
{
	free(e->slots);
	free(e->runs);
	*e = (struct estimates){0};
}

/* ---- As bytes ---- */

static void save_runs(const struct run_histogram *h, struct buf *buf)
{
	uint8_t n = 0;

	for (int i = 0; i < ESTIMATE_BUCKETS; i++)
		n += h->counts[i] != 0;
	buf_put_u8(buf, n);
	for (int i = 0; i < ESTIMATE_BUCKETS; i++)
		if (h->counts[i]) {
			buf_put_u8(buf, (uint8_t)i);
			buf_put_u8(buf, h->counts[i]);
			buf_put_u8(buf, h->places[i]);
		}
}

static void load_runs(struct run_histogram *h, struct reader *r)
{
	uint8_t n = read_u8(r);

	for (int i = 0, after = 0; i < n && !r->bad; i++) {
		uint8_t bucket = read_u8(r), count = read_u8(r), place = read_u8(r);

		if (bucket < after || bucket >= ESTIMATE_BUCKETS || !count) {
			r->bad = true;
			return;
		}
		widen_to(h, bucket);
		h->counts[bucket] = count;
		h->places[bucket] = place;
		h->total += count;
		after = bucket + 1;
	}
	r->bad |= h->total > RUN_TOTAL_MAX;
}

void estimates_save(const struct estimates *e, struct buf *buf)
{
	save_runs(&e->all, buf);
	save_runs(&e->shares, buf);
	buf_put_uint(buf, e->n_slots);
	for (uint32_t i = e->oldest; i; i = e->slots[i].newer) {
		buf_put_uint(buf, e->slots[i].key);
		save_runs(&e->runs[i], buf);
	}
}

void estimates_load(struct estimates *e, struct reader *r)
{
	uint32_t n;

	load_runs(&e->all, r);
	load_runs(&e->shares, r);
	n = (uint32_t)read_uint_max(r, ESTIMATE_KEYS_MAX);
	for (uint32_t i = 0; i < n && !r->bad; i++) {
		uint64_t key = read_uint(r);

		if (r->bad || find_slot(e, key)) {
			r->bad = true;
			return;
		}
		add_slot(e, key);
		load_runs(&e->runs[e->newest], r);
		r->bad |= e->runs[e->newest].total == 0;
	}
}

static void check_runs(const struct run_histogram *h)
{
	uint32_t total = 0;

	for (int i = 0; i < ESTIMATE_BUCKETS; i++) {
		total += h->counts[i];
		assert(h->counts[i] || !h->places[i]);
		assert(!h->counts[i] || (i >= h->first && i < h->end));
	}
	assert(total == h->total);
	assert(total <= RUN_TOTAL_MAX);
}

void estimates_check(const struct estimates *e)
{
	uint32_t n = 0, last = 0;

	check_runs(&e->all);
	check_runs(&e->shares);
	for (uint32_t i = e->oldest; i; i = e->slots[i].newer) {
		assert(e->slots[i].older == last);
		assert(find_slot(e, e->slots[i].key) == i);
		assert(e->runs[i].total > 0);
		check_runs(&e->runs[i]);
		last = i;
		n++;
	}
	assert(last == e->newest);
	assert(n == e->n_slots && n <= ESTIMATE_KEYS_MAX);
}

/* ---- Waits ---- */

#define WAIT_SOFT US_SECOND /* added to waits before they are divided: less than this hardly counts */

enum {
	AT_ZERO = INT32_MIN,
	WAIT_STEP = 32, /* what a wait adds */
	WAIT_TOTAL_MAX = 512 * WAIT_STEP,
	WAIT_ENOUGH = 50 * WAIT_STEP,
	WAIT_LEAST = -24 * OCTAVE, /* of actual / base */
	WAIT_SPAN = WAIT_BUCKETS * BUCKET,
	WAIT_ONE = 1 << 20,           /* of quantile levels */
	MISS_ONE_END = WAIT_ONE / 20, /* that shall lie beyond an end, where both can be missed */
	MISS_BOTH = WAIT_ONE / 10,
	CORRECT_SLOWLY = 128, /* a miss moves a level by 1/128, or less */
	CORRECT_MAX = WAIT_ONE / 2,
	STRETCH = 8 * OCTAVE, /* of an end whose level is past everything seen, a whole level */
};

static uint32_t magnitude_of(us_t base_us)
{
	us_t s = base_us / US_SECOND;

	return s < 1 ? 0 : s < 64 ? 1 : s < 64 * 64 ? 2 : WAIT_MAGNITUDES - 1;
}

/* The groups that a wait is learned in, the narrowest first. */
static void groups_of(us_t base_us, uint32_t queue_state, uint32_t ret[3])
{
	uint32_t magnitude = magnitude_of(base_us);

	assert(base_us >= 0);
	if (queue_state >= WAIT_STATES)
		queue_state = WAIT_STATES - 1;
	ret[0] = queue_state * WAIT_MAGNITUDES + magnitude;
	ret[1] = WAIT_STATES * WAIT_MAGNITUDES + magnitude;
	ret[2] = WAIT_GROUPS - 1;
}

enum { FOUR = 4 };

/* All of four buckets' counts: their sum is at most WAIT_TOTAL_MAX, so none of what is added in the product runs over. */
static int32_t four_counts(const uint16_t *counts)
{
	uint64_t word;

	memcpy(&word, counts, sizeof word);
	return (int32_t)(word * UINT64_C(0x0001000100010001) >> 48);
}

/* Where the sum of the counts reaches `target`, 1 or more, with a bucket's counts spread evenly over it. Zeros aren't in it. From
 * the nearer end, four buckets at a time until it is among the next four. */
static int32_t wait_reach(const struct wait_group *g, int32_t target)
{
	int32_t all = (int32_t)g->total - g->zeros, i = 0, sum = 0, four;

	if (target > all / 2) {
		sum = all;
		for (i = (g->end + FOUR - 1) / FOUR * FOUR; sum - (four = four_counts(&g->counts[i - FOUR])) >= target; i -= FOUR)
			sum -= four;
		while (sum >= target)
			sum -= g->counts[--i];
	} else {
		for (; sum + (four = four_counts(&g->counts[i])) < target; i += FOUR)
			sum += four;
		while (sum + g->counts[i] < target)
			sum += g->counts[i++];
	}
	return i * BUCKET + (target - sum) * BUCKET / g->counts[i];
}

/* Where a quantile level lies, which may be below 0 or over WAIT_ONE; AT_ZERO: at a wait of 0. */
static int32_t wait_quantile(const struct wait_group *g, int32_t level)
{
	int32_t target = (int32_t)((int64_t)level * g->total / WAIT_ONE);

	if (target <= g->zeros || g->total == g->zeros)
		return AT_ZERO;
	if (level <= WAIT_ONE)
		return wait_reach(g, target - g->zeros);
	return wait_reach(g, (int32_t)g->total - g->zeros) + (int32_t)((int64_t)(level - WAIT_ONE) * STRETCH / WAIT_ONE);
}

static us_t wait_at(int32_t at, int32_t log_base)
{
	us_t value = at == AT_ZERO ? 0 : value_of(at + WAIT_LEAST + log_base) - WAIT_SOFT;

	return value > 0 ? value : 0;
}

struct interval {
	us_t low_us, high_us;
};

struct ends {
	int32_t low, high;
	bool are_narrow; /* they can't be nearer: a bucket apart, or both at zero */
};

/* Of an interval; one that can't be missed below may be missed above by as much more. */
static struct ends ends_of(const struct wait_group *g, int32_t log_base)
{
	struct ends ret = {.low = AT_ZERO};

	if ((uint64_t)g->zeros * WAIT_ONE <= (uint64_t)g->total * MISS_ONE_END)
		ret.low = wait_quantile(g, MISS_ONE_END + g->below);
	if (wait_at(ret.low, log_base) == 0)
		ret.low = AT_ZERO;
	ret.high = wait_quantile(g, WAIT_ONE - (ret.low == AT_ZERO ? MISS_BOTH : MISS_ONE_END) + g->above);
	ret.are_narrow = ret.high == AT_ZERO || (ret.low != AT_ZERO && ret.high - ret.low <= BUCKET);
	return ret;
}

static struct interval interval_of(const struct wait_group *g, int32_t log_base)
{
	struct ends ends = ends_of(g, log_base);

	if (ends.are_narrow && ends.low != AT_ZERO) {
		ends.low = (ends.low + ends.high - BUCKET) / 2;
		ends.high = ends.low + BUCKET;
	}
	return (struct interval){wait_at(ends.low, log_base), wait_at(ends.high, log_base)};
}

static int32_t log_of_base(us_t base_us)
{
	return log_of(us_add(base_us, WAIT_SOFT));
}

/* The group to read from: the narrowest of which enough is known, or the last. */
static uint32_t group_for(const struct wait_model *model, us_t base_us, uint32_t queue_state)
{
	uint32_t groups[3];

	groups_of(base_us, queue_state, groups);
	for (int i = 0; i < 2; i++)
		if (model->groups[groups[i]].total >= WAIT_ENOUGH)
			return groups[i];
	return groups[2];
}

void wait_interval(const struct wait_model *model, us_t base_us, uint32_t queue_state, us_t *ret_low_us, us_t *ret_high_us)
{
	const struct wait_group *g = &model->groups[group_for(model, base_us, queue_state)];
	struct interval said = {0, 16 * least_of(base_us, US_DURATION_MAX) + US_HOUR};

	if (g->total)
		said = interval_of(g, log_of_base(base_us));
	*ret_low_us = said.low_us;
	*ret_high_us = said.high_us;
}

static void fade_waits(struct wait_group *g)
{
	g->zeros = (uint16_t)(g->zeros - (g->zeros + 3) / 4);
	g->total = g->zeros;
	for (int i = 0; i < WAIT_BUCKETS; i++) {
		g->counts[i] = (uint16_t)(g->counts[i] - (g->counts[i] + 3) / 4);
		g->total += g->counts[i];
	}
	while (g->end && !g->counts[g->end - 1])
		g->end--;
}

static void count_wait(struct wait_group *g, uint32_t bucket)
{
	g->counts[bucket] = (uint16_t)(g->counts[bucket] + WAIT_STEP);
	g->end = bucket >= g->end ? (uint8_t)(bucket + 1) : g->end;
}

static void learn_wait(struct wait_group *g, us_t actual_us, int32_t log_base)
{
	int32_t at = log_of(us_add(actual_us, WAIT_SOFT)) - log_base - WAIT_LEAST;

	if (g->total + WAIT_STEP > WAIT_TOTAL_MAX)
		fade_waits(g);
	if (actual_us)
		count_wait(g, (uint32_t)clamp(at, 0, WAIT_SPAN - 1) / BUCKET);
	else
		g->zeros = (uint16_t)(g->zeros + WAIT_STEP);
	g->total += WAIT_STEP;
}

/* How far an outcome moves a level: to one side by what was missed, to the other by what shall be. */
static int32_t correction(bool is_missed, int32_t shall, uint32_t waiting)
{
	return (int32_t)((is_missed * WAIT_ONE - shall) / ((int64_t)CORRECT_SLOWLY + waiting));
}

/* An end at 0 can't be missed, and hits don't make narrower what can't be. */
static void correct_group(struct wait_group *g, int32_t log_base, struct interval said, us_t actual_us, uint32_t waiting)
{
	bool is_below = actual_us<said.low_us, is_above = actual_us> said.high_us;
	bool may_narrow = !ends_of(g, log_base).are_narrow;
	int32_t shall = said.low_us > 0 ? MISS_ONE_END : MISS_BOTH;

	if (is_below || (may_narrow && said.low_us > 0))
		g->below = clamp(g->below - correction(is_below, shall, waiting), -CORRECT_MAX, CORRECT_MAX);
	if (is_above || may_narrow)
		g->above = clamp(g->above + correction(is_above, shall, waiting), -CORRECT_MAX, CORRECT_MAX);
}

void wait_learn(struct wait_model *model, us_t base_us, uint32_t queue_state, us_t said_low_us, us_t said_high_us, us_t actual_us,
                uint32_t waiting)
{
	struct interval said = {said_low_us, said_high_us};
	struct wait_group *read_from = &model->groups[group_for(model, base_us, queue_state)];
	int32_t log_base = log_of_base(base_us);
	uint32_t groups[3];

	assert(said_low_us >= 0 && said_low_us <= said_high_us && actual_us >= 0);
	if (read_from->total >= WAIT_ENOUGH)
		correct_group(read_from, log_base, said, actual_us, waiting);
	groups_of(base_us, queue_state, groups);
	for (int i = 0; i < 3; i++)
		learn_wait(&model->groups[groups[i]], actual_us, log_base);
}

/* ---- As bytes ---- */

static void save_group(const struct wait_group *g, struct buf *buf)
{
	uint32_t n = 0;

	buf_put_uint(buf, g->zeros);
	buf_put_int(buf, g->below);
	buf_put_int(buf, g->above);
	for (int i = 0; i < WAIT_BUCKETS && g->total > g->zeros; i++)
		n += g->counts[i] != 0;
	buf_put_uint(buf, n);
	for (int i = 0; i < WAIT_BUCKETS && n; i++)
		if (g->counts[i]) {
			buf_put_u8(buf, (uint8_t)i);
			buf_put_uint(buf, g->counts[i]);
		}
}

static int32_t load_correction(struct reader *r)
{
	int64_t value = read_int(r);

	r->bad |= value < -CORRECT_MAX || value > CORRECT_MAX;
	return r->bad ? 0 : (int32_t)value;
}

static void load_group(struct wait_group *g, struct reader *r)
{
	uint32_t n;

	g->zeros = (uint16_t)read_uint_max(r, WAIT_TOTAL_MAX);
	g->total = g->zeros;
	g->below = load_correction(r);
	g->above = load_correction(r);
	n = (uint32_t)read_uint_max(r, WAIT_BUCKETS);
	for (uint32_t i = 0, after = 0; i < n && !r->bad; i++) {
		uint32_t bucket = read_u8(r), count = (uint32_t)read_uint_max(r, WAIT_TOTAL_MAX);

		if (bucket < after || bucket >= WAIT_BUCKETS || !count) {
			r->bad = true;
			return;
		}
		g->counts[bucket] = (uint16_t)count;
		g->total += count;
		after = bucket + 1;
		g->end = (uint8_t)after;
	}
	r->bad |= g->total > WAIT_TOTAL_MAX;
}

void wait_model_save(const struct wait_model *model, struct buf *buf)
{
	for (int i = 0; i < WAIT_GROUPS; i++)
		save_group(&model->groups[i], buf);
}

void wait_model_load(struct wait_model *model, struct reader *r)
{
	for (int i = 0; i < WAIT_GROUPS && !r->bad; i++)
		load_group(&model->groups[i], r);
}

void wait_model_check(const struct wait_model *model)
{
	for (int i = 0; i < WAIT_GROUPS; i++) {
		const struct wait_group *g = &model->groups[i];
		uint32_t total = g->zeros;

		for (int k = 0; k < WAIT_BUCKETS; k++)
			total += g->counts[k];
		assert(g->end <= WAIT_BUCKETS);
		for (int k = g->end; k < WAIT_BUCKETS; k++)
			assert(!g->counts[k]);
		assert(total == g->total && total <= WAIT_TOTAL_MAX);
		assert(g->below >= -CORRECT_MAX && g->below <= CORRECT_MAX);
		assert(g->above >= -CORRECT_MAX && g->above <= CORRECT_MAX);
	}
}
