/* SPDX-License-Identifier: Apache-2.0
 * sbatch_env.c: the SLURM_* variables that say what a script's #SBATCH lines asked for.
 *
 * Only what was stated, as with sbatch: scripts write ${SLURM_CPUS_PER_TASK:-1}. What a job was given (its nodes, its cards)
 * is known where it runs: engine/task_env.c. */
#include <inttypes.h>
#include <stdio.h>

#include "format/sbatch.h"

/* The tasks of all nodes; 0: not stated. */
static uint64_t tasks_in_all(const struct sbatch *s, uint32_t nodes)
{
	return s->ntasks ? s->ntasks : (uint64_t)s->ntasks_per_node * nodes;
}

/* "2(x3)", "3,2", "1": the first nodes have one more where they don't divide. */
static const char *tasks_per_node(struct form *form, uint64_t tasks, uint32_t nodes)
{
	uint64_t least = tasks / nodes, more = tasks % nodes;
	char parts[2][48] = {"", ""};

	for (int i = 0; i < 2; i++) {
		uint64_t count = i ? nodes - more : more, each = i ? least : least + 1;

		if (count && each)
			snprintf(parts[i], sizeof parts[i], count > 1 ? "%" PRIu64 "(x%" PRIu64 ")" : "%" PRIu64, each, count);
	}
	return arena_printf(form->arena, "%s%s%s", parts[0], *parts[0] && *parts[1] ? "," : "", parts[1]);
}

static int set_number(struct form *form, struct job_draft *draft, const char *name, uint64_t number)
{
	return variables_set(form, NULL, &draft->envs, name, arena_printf(form->arena, "%" PRIu64, number));
}

static int set_array(struct form *form, struct job_draft *draft)
{
	const struct job_spec *spec = &draft->spec;
	uint32_t least = UINT32_MAX, most = 0;

	for (uint32_t i = 0; i < spec->n_array; i++) {
		least = spec->array[i].first < least ? spec->array[i].first : least;
		most = spec->array[i].last > most ? spec->array[i].last : most;
	}
	if (!spec->n_array)
		return 0;
	if (set_number(form, draft, "SLURM_ARRAY_TASK_MIN", least) < 0 || set_number(form, draft, "SLURM_ARRAY_TASK_MAX", most) < 0)
		return form->err->code;
	return set_number(form, draft, "SLURM_ARRAY_TASK_STEP", spec->n_array == 1 ? spec->array[0].step : 1);
}

int sbatch_env(struct form *form, const struct sbatch *s, uint32_t nodes, struct job_draft *draft)
{
	uint64_t tasks = tasks_in_all(s, nodes);
	const struct {
		const char *name;
		uint64_t number;
		uint32_t unset;
	} stated[] = {
		{"SLURM_NTASKS", tasks, 0},
		{"SLURM_NPROCS", tasks, 0},
		{"SLURM_NTASKS_PER_NODE", s->ntasks_per_node, 0},
		{"SLURM_CPUS_PER_TASK", s->cpus_per_task, 0},
		{"SLURM_CPUS_PER_GPU", s->cpus_per_gpu, 0},
		{"SLURM_GPUS", s->gpus, 0},
		{"SLURM_GPUS_PER_NODE", s->gpus_per_node, 0},
		{"SLURM_GPUS_PER_TASK", s->gpus_per_task, 0},
		{"SLURM_MEM_PER_CPU", s->memory_per_cpu_mib, NEED_UNSET},
		{"SLURM_MEM_PER_GPU", s->memory_per_gpu_mib, NEED_UNSET},
	};

	for (size_t i = 0; i < sizeof stated / sizeof *stated; i++)
		if (stated[i].number != stated[i].unset && set_number(form, draft, stated[i].name, stated[i].number) < 0)
			return form->err->code;
	if (tasks && variables_set(form, NULL, &draft->envs, "SLURM_TASKS_PER_NODE", tasks_per_node(form, tasks, nodes)) < 0)
		return form->err->code;
	return set_array(form, draft);
}
