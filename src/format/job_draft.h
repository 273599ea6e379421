/* SPDX-License-Identifier: Apache-2.0
 * job_draft.h: a job while its file is being read; shared by the readers of src/format/ and nobody else.
 *
 * job_file.c reads the keys, resources.c what a node needs, script.c the lines of a script, sbatch.c their #SBATCH
 * options; job_request.c makes the request of a command line out of it. A script is read before the keys that stand beside
 * it, so that a key overrides its line. */
#ifndef SUAN_FORMAT_JOB_DRAFT_H
#define SUAN_FORMAT_JOB_DRAFT_H

#include "core/payload.h"
#include "format/form.h"
#include "format/job_file.h"

enum {
	JOB_VARIABLES_MAX = 1024,
	JOB_ARRAY_INDEX_MAX = 4000000, /* as Slurm's own bound */
	JOB_RULES = 19,                /* lengths of the tables in job_keys.c */
	RESOURCES_RULES = 26,
};

#define NEED_UNSET UINT32_MAX

/* Cards of one kind. kind: "*" for any. */
struct cards_need {
	const char *kind;
	uint32_t milli;
};

struct speed_need {
	const char *kind;
	uint32_t milli;
};

/* What `resources` says, or one of its alternatives over it. */
struct need {
	const struct cards_need *cards; /* the kinds that will do */
	uint32_t n_cards;
	bool cards_ordered;
	const struct speed_need *speeds;
	uint32_t n_speeds;
	uint32_t cpus_milli, memory_mib; /* or NEED_UNSET */
	const char *centre, *image;
	const struct yaml *alternatives; /* the value of any_of or ordered; or NULL */
	bool ordered;                    /* they are in the order of preference */
};

/* Environment. value NULL: to be taken from the environment that submits. */
struct variables {
	struct variable *items;
	uint32_t *lines; /* 0: not known */
	uint32_t n;
};

struct job_draft {
	struct job_spec spec;
	struct payload payload;
	struct group_spec group;
	struct need need;
	struct variables envs, secrets;
	bool is_script;
	uint32_t workdir_line;
};

/* Reads a job's text. *ret_root: the tree of a job file, NULL for a script; may be NULL. */
int job_draft_read(struct form *form, const char *text, size_t len, struct job_draft *draft, const struct yaml **ret_root);
/* Reads a map of a job file's keys over what the draft has. */
int job_draft_map(struct form *form, const struct yaml *map, struct job_draft *draft);

/* Whether text is a script: it begins with "#!", or with a line of "#SUAN" or "#SBATCH". */
bool script_is(const char *text, size_t len);
int script_read(struct form *form, const char *text, size_t len, struct job_draft *draft);

/* One line of #SBATCH options, what stands behind "#SBATCH"; then what all of them mean together. */
struct sbatch;
struct sbatch *sbatch_new(struct form *form);
int sbatch_line(struct form *form, struct sbatch *sbatch, const char *line, uint32_t line_number, struct job_draft *draft);
int sbatch_finish(struct form *form, const struct sbatch *sbatch, struct job_draft *draft);

/* The value of `resources`. */
int resources_read(struct form *form, const struct yaml *value, void *draft);
/* Turns the draft's need and its alternatives into the requests of its group. */
int resources_finish(struct form *form, struct job_draft *draft);
/* A number of cards, thousandths: whole up to CARDS_PER_NODE_MAX, or below one. */
int cards_count_parse(const char *text, uint32_t *ret_milli, struct err *err);

/* "0-99", "1,3,5-9:2", "0-15%4". */
int array_parse(struct form *form, const char *text, struct job_spec *spec);
/* Adds or replaces. at: for the error. */
int variables_set(struct form *form, const struct yaml *at, struct variables *list, const char *name, const char *value);

/* The keys and options, for the tables above and the test that holds docs/format/job.md against them. */
extern const struct form_table job_table, resources_table;
extern const struct form_rule job_rules[JOB_RULES], resources_rules[RESOURCES_RULES];

#endif
