/* SPDX-License-Identifier: Apache-2.0
 * estimate.h: how long jobs will run and wait, learned from those that ran and waited. Estimates steer choices and are shown;
 * no promise is made from one. Quantiles of run times are those of what was learned (bursts of a user's jobs differ from what he
 * ran before: on the HPC2N log 76% lie between low and high); intervals of waits are corrected until they hold.
 *
 * A part of the state that knows nothing of jobs, queue or pool: numbers and hashes in, microseconds out. Integers only. */
#ifndef SUAN_CORE_ESTIMATE_H
#define SUAN_CORE_ESTIMATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/units.h"

/* ---- Run times ---- */

/* What jobs are alike in, from the most to the least. */
enum estimate_level {
	ESTIMATE_BY_NAME_SHAPE, /* project, user, name and shape */
	ESTIMATE_BY_NAME,       /* project, user and name */
	ESTIMATE_BY_SHAPE,      /* project, user and shape */
	ESTIMATE_BY_USER,
	ESTIMATE_BY_LIMIT, /* the share of their limits that all jobs use */
	ESTIMATE_BY_PROJECT,
	ESTIMATE_BY_ALL,
	ESTIMATE_BY_NOTHING, /* the default: nothing is known */
	ESTIMATE_LEVELS,
};

/* Who and what, in numbers that the caller chooses and keeps to. */
struct estimate_key {
	uint32_t project, user;
	uint64_t name;  /* a hash; best of the name without its digits, so that run-1 and run-2 are one */
	uint64_t shape; /* a number or a hash of the request */
};

/* Quantiles: 1 run in 20 ends before low, half before mid, 1 in 20 after high. 0 <= low <= mid <= high, none over the limit. */
struct estimate {
	us_t low_us, mid_us, high_us;
	enum estimate_level level; /* the most alike of which there is a run */
	uint32_t n;                /* about how many recent runs of that level count: up to ESTIMATE_RUNS_MAX; 0: the default */
};

enum {
	ESTIMATE_KEYS_MAX = 4096, /* what is kept: the least recently learned goes */
	ESTIMATE_RUNS_MAX = 64,
	ESTIMATE_BUCKETS = 96, /* a quarter of an octave each */
	ESTIMATE_HEADS = 2 * ESTIMATE_KEYS_MAX,
};

/* Runs of jobs that are alike: fading counts by size, and where in each bucket they lie on average. */
struct run_histogram {
	uint32_t total;     /* of the counts */
	uint8_t first, end; /* all that isn't 0 lies in buckets [first, end); follows from the counts */
	uint8_t counts[ESTIMATE_BUCKETS];
	uint8_t places[ESTIMATE_BUCKETS]; /* 1/256 of a bucket */
};

struct estimate_slot {
	uint64_t key;  /* a hash of level and what is alike: two that are equal would share their runs */
	uint16_t next; /* whose key begins alike */
	uint16_t older, newer;
};

/* All zero is one that knows nothing. At most 1.3 MiB. */
struct estimates {
	struct estimate_slot *slots; /* a list by when they were learned; 1 and up, 0 is its end */
	struct run_histogram *runs;  /* by slot; apart, so that the list lies close */
	uint32_t n_slots, cap;
	uint16_t oldest, newest;
	uint16_t heads[ESTIMATE_HEADS]; /* by the end of the key: the first slot */
	struct run_histogram all, shares;
};

/* Learns what a job that ended by itself, or by its limit, ran. limit_us: 1 or more, US_NEVER: none. run_us: 0 or more.
 * Cost: O(levels), 0.3 µs. */
void estimate_learn(struct estimates *e, const struct estimate_key *key, us_t limit_us, us_t run_us);

/* How long such a job will run. Half a second to 101 days; the default, where nothing is known: 1 minute, 1 hour, 1 day, or of a
 * limit a hundredth, half, and all. Cost: O(levels), 0.4 µs. */
struct estimate estimate_run(const struct estimates *e, const struct estimate_key *key, us_t limit_us);

/* Its mid_us alone, for less than half of the cost. */
us_t estimate_run_mid(const struct estimates *e, const struct estimate_key *key, us_t limit_us);

/* How much longer such a job will run that has run for ran_us, 0 or more. 0 from its limit on. Past all that was ever seen it is
 * as likely to run that long again as not (low ran/19, high 19 × ran). Cost: O(levels), 0.6 µs. */
struct estimate estimate_remaining(const struct estimates *e, const struct estimate_key *key, us_t limit_us, us_t ran_us);

void estimates_done(struct estimates *e);

/* Canonical bytes, at most ESTIMATES_BYTES_MAX (1.2 MB); usually under 200 KiB. */
void estimates_save(const struct estimates *e, struct buf *buf);
/* Fills an empty one: it answers and learns as the saved one. Sets r->bad where the bytes aren't what estimates_save writes. */
void estimates_load(struct estimates *e, struct reader *r);
#define ESTIMATES_BYTES_MAX ((ESTIMATE_KEYS_MAX + 2u) * (10 + 1 + 3 * ESTIMATE_BUCKETS) + 10)
/* Aborts where what is kept to be quick isn't what the state says. */
void estimates_check(const struct estimates *e);

/* ---- Waits ---- */

enum {
	WAIT_STATES = 8,     /* of the queue, as the caller tells them apart */
	WAIT_MAGNITUDES = 4, /* of the base: under 1 s, 64 s, 68 minutes, and more */
	WAIT_GROUPS = WAIT_STATES * WAIT_MAGNITUDES + WAIT_MAGNITUDES + 1,
	WAIT_BUCKETS = 192, /* a quarter of an octave each */
};

/* Waits that began alike: how they came out against their base, and by how much intervals have to be corrected. */
struct wait_group {
	uint32_t total;
	uint16_t zeros;                /* those that didn't wait at all */
	uint8_t end;                   /* the counts from this bucket on are 0; follows from them */
	int32_t below, above;          /* added to the quantile levels of the two ends; in WAIT_ONE */
	uint16_t counts[WAIT_BUCKETS]; /* fading, by actual / base */
};

/* All zero is one that knows nothing. 15 KiB. */
struct wait_model {
	struct wait_group groups[WAIT_GROUPS];
};

/* An interval [low, high], both ends within, that holds the wait of a job that is submitted now 90% of the time.
 * base_us: 0 or more, a guess of it made the same way each time; it may be off by any factor that stays about the same.
 * queue_state: 0 .. WAIT_STATES − 1 (more is the last); say, whether jobs wait ahead. Where over 1 in 20 start at once low is 0
 * and all misses lie above; where over 9 in 10 do, it is [0, 0] and holds more often than 90%. 0 <= low <= high < US_NEVER.
 * Nothing known: [0, 16 × base + 1 hour]. Cost: O(1), 0.2 µs. */
void wait_interval(const struct wait_model *model, us_t base_us, uint32_t queue_state, us_t *ret_low_us, us_t *ret_high_us);

/* Learns what became of it once the job started, in whatever order they do. What was passed in and said then; actual_us: 0 or
 * more. waiting: jobs that wait now, about as many as have been promised something and not started. A job that left without a
 * start isn't learned. Cost: O(1), 0.3 µs. */
void wait_learn(struct wait_model *model, us_t base_us, uint32_t queue_state, us_t said_low_us, us_t said_high_us, us_t actual_us,
                uint32_t waiting);

/* Canonical bytes, at most WAIT_BYTES_MAX (29 KB). */
void wait_model_save(const struct wait_model *model, struct buf *buf);
/* Fills an empty one; sets r->bad where the bytes aren't what wait_model_save writes. */
void wait_model_load(struct wait_model *model, struct reader *r);
#define WAIT_BYTES_MAX (WAIT_GROUPS * (4u * WAIT_BUCKETS + 16))
void wait_model_check(const struct wait_model *model);

#endif
