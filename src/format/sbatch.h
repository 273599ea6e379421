/* SPDX-License-Identifier: Apache-2.0
 * sbatch.h: the table of sbatch's options, and what their readers fill. */
#ifndef SUAN_FORMAT_SBATCH_H
#define SUAN_FORMAT_SBATCH_H

#include "format/job_draft.h"

/* What the lines of a script have said so far. 0: not stated; memory: NEED_UNSET. */
struct sbatch {
	struct job_draft *draft; /* what an option says by itself goes there at once */
	uint32_t nodes, ntasks, ntasks_per_node, cpus_per_task, cpus_per_gpu;
	uint32_t memory_mib, memory_per_cpu_mib, memory_per_gpu_mib; /* the first a node */
	uint32_t gpus, gpus_per_node, gpus_per_task;
	const char *kind; /* of the cards; NULL: any */
};

enum sbatch_argument { ARGUMENT_NO, ARGUMENT_YES, ARGUMENT_MAY };

struct sbatch_option {
	const char *name;
	char letter; /* 0: none */
	enum sbatch_argument argument;
	int (*read)(struct form *form, struct sbatch *sbatch, const char *value); /* honoured; else NULL */
	enum verdict verdict;
	const char *why; /* honoured: as what */
};

enum { SBATCH_OPTIONS = 117 };
extern const struct sbatch_option sbatch_options[SBATCH_OPTIONS];

int sbatch_account(struct form *form, struct sbatch *sbatch, const char *value);
int sbatch_array(struct form *form, struct sbatch *sbatch, const char *value);
int sbatch_begin(struct form *form, struct sbatch *sbatch, const char *value);
int sbatch_chdir(struct form *form, struct sbatch *sbatch, const char *value);
int sbatch_cpus_per_gpu(struct form *form, struct sbatch *sbatch, const char *value);
int sbatch_cpus_per_task(struct form *form, struct sbatch *sbatch, const char *value);
int sbatch_dependency(struct form *form, struct sbatch *sbatch, const char *value);
int sbatch_error(struct form *form, struct sbatch *sbatch, const char *value);
int sbatch_export(struct form *form, struct sbatch *sbatch, const char *value);
int sbatch_gpus(struct form *form, struct sbatch *sbatch, const char *value);
int sbatch_gpus_per_node(struct form *form, struct sbatch *sbatch, const char *value);
int sbatch_gpus_per_task(struct form *form, struct sbatch *sbatch, const char *value);
int sbatch_gres(struct form *form, struct sbatch *sbatch, const char *value);
int sbatch_job_name(struct form *form, struct sbatch *sbatch, const char *value);
int sbatch_mem(struct form *form, struct sbatch *sbatch, const char *value);
int sbatch_mem_per_cpu(struct form *form, struct sbatch *sbatch, const char *value);
int sbatch_mem_per_gpu(struct form *form, struct sbatch *sbatch, const char *value);
int sbatch_nice(struct form *form, struct sbatch *sbatch, const char *value);
int sbatch_no_requeue(struct form *form, struct sbatch *sbatch, const char *value);
int sbatch_nodes(struct form *form, struct sbatch *sbatch, const char *value);
int sbatch_ntasks(struct form *form, struct sbatch *sbatch, const char *value);
int sbatch_ntasks_per_node(struct form *form, struct sbatch *sbatch, const char *value);
int sbatch_output(struct form *form, struct sbatch *sbatch, const char *value);
int sbatch_priority(struct form *form, struct sbatch *sbatch, const char *value);
int sbatch_requeue(struct form *form, struct sbatch *sbatch, const char *value);
int sbatch_time(struct form *form, struct sbatch *sbatch, const char *value);

/* Adds the SLURM_* variables that say what was asked for to the draft's environment. nodes: 1 or more. Returns 0, or what
 * variables_set does. */
int sbatch_env(struct form *form, const struct sbatch *sbatch, uint32_t nodes, struct job_draft *draft);

#endif
