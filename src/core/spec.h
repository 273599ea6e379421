/* SPDX-License-Identifier: Apache-2.0
 * spec.h: what comes in from outside, by name: pools, configuration, jobs.
 *
 * First in the pipeline. The readers of files and requests (src/format) fill these; admit.c resolves the
 * names against the pool. All pointers are borrowed from whoever filled the spec, and good for the call. */
#ifndef SUAN_CORE_SPEC_H
#define SUAN_CORE_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/units.h"

/* Bounds on what anybody may ask for or declare. */
enum {
	CARDS_PER_NODE_MAX = 64,
	POOL_CENTRES_MAX = 1024,
	POOL_KINDS_MAX = 256,
	POOL_LINKS_MAX = 4096,
	POOL_PROJECTS_MAX = 10000,
	PROJECT_DEPTH_MAX = 32, /* projects above one */
	POOL_NODES_MAX = 4000000,
	JOB_NODES_MAX = 1000000,
	JOB_REQUESTS_MAX = 64,
	JOB_DEPENDENCIES_MAX = 256,
	JOB_ARRAY_MAX = 1000000,
	JOB_RANGES_MAX = 1024,
	JOB_PRIORITY_MAX = 1000,
	JOB_PRIORITY_DEFAULT = 100,
	NAME_LEN_MAX = 128, /* bytes of a name of anything */
	RESERVATIONS_MAX = 64,
	LAS_LEVELS_MAX = 32,
	BOOKINGS_MAX = 1024,
	BOOKING_RANGES_MAX = 1024,
};

#define UNCOUNTED UINT32_MAX   /* this node doesn't count that resource: it never runs out */
#define AMOUNT_NONE UINT64_MAX /* no such limit */

/* ---- The pool ---- */

enum card_class { CLASS_GENERAL, CLASS_INTELLIGENT, CLASS_SUPER, CLASS_QUANTUM };
enum precision { PRECISION_FP64, PRECISION_FP32, PRECISION_TF32, PRECISION_FP16, PRECISION_INT8, PRECISION_COUNT };

/* A kind of card. gflops: dense 10^9 operations a second at each precision, 0: not stated. */
struct kind_spec {
	const char *name, *vendor, *source;
	enum card_class class;
	bool measured; /* else nominal, as its maker states it */
	uint32_t memory_mib;
	uint64_t gflops[PRECISION_COUNT];
	uint32_t bandwidth_gbps; /* memory bandwidth, 10^9 bytes a second */
	uint32_t watts;
};

/* `count` equal nodes in a row. kind is NULL and cards 0 for nodes without cards. */
struct line_spec {
	uint32_t count;
	const char *kind;
	uint32_t cards;          /* a node: 0 to CARDS_PER_NODE_MAX */
	uint32_t cpus_milli;     /* a node; or UNCOUNTED */
	uint32_t memory_mib;     /* a node; or UNCOUNTED */
	uint32_t nodes_per_rack; /* 0: the line is one rack */
	uint32_t racks_per_pod;  /* 0: the line is one pod */
};

struct price_spec {
	const char *kind;
	uint64_t micros; /* millionths of the pool's currency a card-hour */
};

/* A setting that an engine reads for itself ("startup": "2s"). */
struct option_spec {
	const char *key, *value;
};

/* What a centre's engine can do; or'ed together. */
enum capability {
	CAN_EXACT_CARDS = 1 << 0, /* takes the very cards it is told; else it counts them and reports which */
	CAN_FRACTIONS = 1 << 1,   /* shares of a card */
	CAN_IMAGES = 1 << 2,      /* runs container images */
	CAN_BARE = 1 << 3,        /* runs without an image */
	CAN_LOGS = 1 << 4,
	CAN_SIGNALS = 1 << 5,
	CAN_START_ONCE = 1 << 6, /* an attempt's `run` starts at most once (a claim); else at_least_once */
	CAN_LIMIT = 1 << 7,      /* ends a job at its limit by itself, also while the daemon is away */
	IS_SIMULATED = 1 << 8,   /* nothing really runs; said wherever it shows */
};

struct centre_spec {
	const char *name, *region;
	int32_t latitude_udeg, longitude_udeg; /* millionths of a degree; both 0: not stated */
	const char *engine;                    /* local | simulated | ... */
	const struct option_spec *options;
	uint32_t n_options;
	uint32_t capabilities; /* enum capability; filled by the host from the engine */
	uint32_t pue_milli;    /* power usage effectiveness, thousandths; 0: not stated */
	const struct price_spec *prices;
	uint32_t n_prices;
	const struct line_spec *lines;
	uint32_t n_lines;
};

struct link_spec {
	const char *name;
	const char *ends[2]; /* names of centres */
	uint64_t mbps;
	uint32_t latency_us;
	uint64_t price_micros_per_tib;
};

struct quota_spec {
	const char *kind;
	uint64_t nominal_milli;
	uint64_t borrowing_milli, lending_milli; /* AMOUNT_NONE: no limit */
};

struct project_spec {
	const char *name, *parent, *cohort; /* parent, cohort: NULL for none */
	uint32_t weight_milli;
	const struct quota_spec *quotas;
	uint32_t n_quotas;
};

struct pool_spec {
	const char *name, *currency;
	const struct kind_spec *kinds; /* the catalogue with the file's own, as resolved: only those that some line uses */
	uint32_t n_kinds;
	const struct centre_spec *centres;
	uint32_t n_centres;
	const struct link_spec *links;
	uint32_t n_links;
	const struct project_spec *projects; /* none: every project that a job names exists */
	uint32_t n_projects;
};

/* ---- Configuration that shapes decisions ---- */

enum policy { POLICY_FAIR, POLICY_FIFO, POLICY_SHORTEST, POLICY_LAS };

struct config_spec {
	enum policy policy;
	uint32_t reservations;     /* waiting jobs that hold one, under fair and fifo: 0 to RESERVATIONS_MAX */
	uint32_t max_restarts;     /* where a job that may be run again doesn't say */
	us_t kill_grace_us;        /* between SIGTERM and SIGKILL */
	us_t lease_us;             /* silence after which a centre's jobs are shown as unknown */
	us_t history_after_us;     /* a job that is over so long leaves the core, with its idempotency key; US_NEVER: it stays */
	uint32_t history_jobs_max; /* jobs that are over and in the core; over it the oldest leaves */
	uint64_t jobs_max;         /* jobs that the core holds; a submit over it gets ERR_BUSY */
	uint64_t seed;
	us_t starvation_after_us; /* a job that can be promised no start keeps cards that come free from then on; US_NEVER: not */
	us_t half_life_us;        /* of use, under fair; US_NEVER: use isn't forgotten */
	/* Under las: the service (time × cards) from which on a job stands one level lower; rising. */
	us_t las_levels_us[LAS_LEVELS_MAX];
	uint32_t n_las_levels;
	uint32_t cards_power_milli; /* under shortest: least remaining time × cards^(this / 1000) first; 0 to 1000 */
	/* What counts when a centre and kind are chosen, in proportion: an early finish, a low price, little in use. */
	uint32_t finish_weight, price_weight, balance_weight;
	/* A job that runs is moved to cards that it is faster on: once its attempt has run so long (US_NEVER: never); where the
	 * speeds, of each job's fastest, rise by so many thousandths in all; and where that saves it so much time, and what is lost
	 * again. */
	us_t move_after_us;
	uint32_t move_gain_milli; /* 1 to 1000 */
	us_t move_least_us;
};

enum { CONFIG_VERSION = 2 };

/* The configuration of an installation that states none. */
struct config_spec config_default(void);

/* ---- What operators say of nodes ---- */

enum node_state {
	NODE_UP,
	NODE_CORDONED, /* nothing more is started there; what runs goes on */
	NODE_DOWN,     /* it failed: what ran there is lost */
	NODE_STATE_COUNT
};

/* Nodes of one centre, by their numbers: first to last. */
struct node_range {
	uint32_t first, last;
};

/* Whole nodes over a window of time: for a project (an advance reservation), or for nobody (a drain for maintenance). */
struct booking_spec {
	const char *name;
	const char *project; /* NULL: a drain */
	const char *centre;
	const struct node_range *ranges; /* rising, apart */
	uint32_t n_ranges;
	us_t from_us, until_us; /* [from, until); until US_NEVER: until it is taken back */
};

/* ---- A job ---- */

enum tier { TIER_NODE, TIER_RACK, TIER_POD, TIER_CENTRE, TIER_POOL, TIER_COUNT };

/* One of the ways to hold a node of a group. */
struct request_spec {
	const char *kind;     /* NULL: no cards; "*": any kind */
	uint32_t cards_milli; /* a node: below 1000 a share of one card, else whole cards in thousandths */
	uint32_t cpus_milli;  /* a node */
	uint32_t memory_mib;  /* a node */
	const char *centre;   /* NULL: any */
	const char *image;    /* NULL: none */
	uint32_t speed_milli; /* of this job's work on this kind, relative; 1000 where not stated */
};

/* `nodes` equal nodes, all or none. */
struct group_spec {
	uint32_t nodes;
	const struct request_spec *requests; /* 1 or more ways that will do */
	uint32_t n_requests;
	bool ordered;      /* the first that can hold it; else the best */
	enum tier highest; /* how far the group may spread */
	bool hard;         /* false: soft, the narrowest tier that is free now, up to `highest` */
};

enum dependency_when { AFTER_OK, AFTER_ANY };

struct dependency_spec {
	uint32_t job;
	enum dependency_when when;
};

/* first, first + step, ... up to last. */
struct range {
	uint32_t first, last, step;
};

struct job_spec {
	const char *name, *project, *user;
	const struct group_spec *groups;
	uint32_t n_groups; /* 1 in this release */
	uint32_t priority; /* 0 to JOB_PRIORITY_MAX */
	us_t limit_us;     /* US_NEVER: none */
	us_t begin_us;     /* not before; 0: at once */
	const struct dependency_spec *dependencies;
	uint32_t n_dependencies;
	const struct range *array; /* none: not an array */
	uint32_t n_array;
	uint32_t array_parallel_max; /* 0: no limit */
	int32_t max_restarts;        /* below 0: not stated */
	bool rerun_when_lost;
	us_t checkpoint_every_us;  /* 0: none */
	us_t preemptible_after_us; /* US_NEVER: not preempted */
	struct hash payload;       /* what payload.h encodes; all zero: none */
	const char *secrets;       /* name of the file that holds the job's secrets; NULL: none */
};

/* ---- As bytes: how pools and configurations stand in the journal ---- */

void pool_spec_encode(const struct pool_spec *spec, struct buf *buf);
/* Fills *ret from bytes, in the arena. Returns 0, or ERR_CORRUPT. */
int pool_spec_decode(struct reader *r, struct arena *arena, struct pool_spec *ret);
void config_spec_encode(const struct config_spec *spec, struct buf *buf);
/* version: of EVENT_CONFIG, 1 or CONFIG_VERSION; what an older one hasn't is at its default. */
int config_spec_decode(struct reader *r, unsigned version, struct config_spec *ret);

/* Whether text can name a thing: 1 to NAME_LEN_MAX bytes of valid UTF-8 without control characters, quotes, or
 * blanks at its ends. */
bool spec_name_ok(const char *text);

/* Words for enums, as files and JSON write them; *_from_word returns -1 for an unknown one. */
const char *tier_word(enum tier tier);
int tier_from_word(const char *word);
const char *card_class_word(enum card_class class);
int card_class_from_word(const char *word);
const char *policy_word(enum policy policy);
int policy_from_word(const char *word);
const char *node_state_word(enum node_state state);
int node_state_from_word(const char *word);
const char *precision_word(enum precision precision);
int precision_from_word(const char *word);

#endif
