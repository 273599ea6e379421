/* SPDX-License-Identifier: Apache-2.0
 * task_env.c: a task's environment; see task_env.h. */
#include "engine/task_env.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct env {
	struct arena *arena;
	char **vars; /* ends with NULL */
	uint32_t n, cap;
};

/* Which variable tells a vendor's libraries what cards they may use. */
static const struct {
	const char *vendor, *variable;
} visible[] = {{"nvidia", "CUDA_VISIBLE_DEVICES"},   {"huawei", "ASCEND_RT_VISIBLE_DEVICES"},
               {"amd", "HIP_VISIBLE_DEVICES"},       {"hygon", "HIP_VISIBLE_DEVICES"},
               {"cambricon", "MLU_VISIBLE_DEVICES"}, {"moorethreads", "MUSA_VISIBLE_DEVICES"}};

/* Adds "name=value", in the place of one with that name. */
static void env_add(struct env *env, const char *name, const char *value)
{
	size_t len = strlen(name);
	char *text = arena_printf(env->arena, "%s=%s", name, value);

	for (uint32_t i = 0; i < env->n; i++) {
		if (!strncmp(env->vars[i], text, len + 1)) {
			env->vars[i] = text;
			return;
		}
	}
	assert(env->n + 1 < env->cap);
	env->vars[env->n++] = text;
}

static void env_set(struct env *env, const char *name, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void env_set(struct env *env, const char *name, const char *fmt, ...)
{
	char value[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(value, sizeof value, fmt, args);
	va_end(args);
	env_add(env, name, value);
}

static uint32_t whole_cards(const struct launch_task *task)
{
	return task->cards_milli / CARD_MILLI + (task->cards_milli % CARD_MILLI != 0);
}

/* The numbers of a task's cards: "0,1,5". Where they aren't known they count from 0. */
static char *card_list(const struct launch_task *task, struct arena *arena)
{
	uint64_t cards = task->cards;
	char text[4 * CARDS_PER_NODE_MAX] = "";
	size_t at = 0;

	if (!cards && whole_cards(task))
		cards = whole_cards(task) >= 64 ? UINT64_MAX : (UINT64_C(1) << whole_cards(task)) - 1;
	for (unsigned i = 0; i < 64; i++)
		if (cards >> i & 1)
			at += (size_t)snprintf(text + at, sizeof text - at, "%s%u", at ? "," : "", i);
	return arena_strdup(arena, text);
}

static void add_login(struct env *env, const struct task_place *place)
{
	env_add(env, "SUAN_CLAIM", place->claim); /* the first: process_kill_marked looks for it in the first bytes */
	env_add(env, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	env_add(env, "HOME", place->home);
	env_add(env, "USER", place->user);
	env_add(env, "LOGNAME", place->user);
	env_add(env, "SHELL", place->shell);
	env_add(env, "LANG", "C.UTF-8");
	env_add(env, "TMPDIR", "/tmp");
}

static void add_suan(struct env *env, const struct launch *launch, uint32_t rank, uint16_t port)
{
	env_set(env, "SUAN_JOB_ID", "%" PRIu32, launch->job);
	env_set(env, "SUAN_JOB_NAME", "%s", launch->name);
	env_set(env, "SUAN_ATTEMPT", "%" PRIu32, launch->attempt);
	env_set(env, "SUAN_CENTRE", "%s", launch->centre);
	env_add(env, "SUAN_CARDS", card_list(&launch->tasks[rank], env->arena));
	if (launch->array_of) {
		env_set(env, "SUAN_ARRAY_ID", "%" PRIu32, launch->array_of);
		env_set(env, "SUAN_ARRAY_INDEX", "%" PRIu32, launch->array_index);
		env_set(env, "SUAN_ARRAY_COUNT", "%" PRIu32, launch->array_count);
	}
	env_add(env, "MASTER_ADDR", "127.0.0.1");
	env_set(env, "MASTER_PORT", "%u", port);
	env_set(env, "NODE_RANK", "%" PRIu32, rank);
	env_set(env, "NNODES", "%" PRIu32, launch->n_tasks);
}

static void add_skypilot(struct env *env, const struct launch *launch, uint32_t rank)
{
	static const char address[] = "127.0.0.1\n";
	size_t len = sizeof address - 1;
	char *addresses = arena_new(env->arena, launch->n_tasks * len + 1, 1);

	for (uint32_t i = 0; i < launch->n_tasks; i++)
		memcpy(addresses + i * len, address, len);
	addresses[launch->n_tasks * len - 1] = 0;
	env_set(env, "SKYPILOT_NODE_RANK", "%" PRIu32, rank);
	env_add(env, "SKYPILOT_NODE_IPS", addresses);
	env_set(env, "SKYPILOT_NUM_NODES", "%" PRIu32, launch->n_tasks);
	env_set(env, "SKYPILOT_NUM_GPUS_PER_NODE", "%" PRIu32, whole_cards(&launch->tasks[rank]));
}

static void add_visible(struct env *env, const struct launch *launch, uint32_t rank)
{
	if (!launch->tasks[rank].cards_milli)
		return;
	for (size_t i = 0; i < sizeof visible / sizeof *visible; i++)
		if (!strcmp(visible[i].vendor, launch->vendor))
			env_add(env, visible[i].variable, card_list(&launch->tasks[rank], env->arena));
}

/* A number of each node, as Slurm writes it: "2", or "2(x3)" of three. */
static void env_set_each(struct env *env, const char *name, uint32_t number, uint32_t nodes)
{
	if (nodes > 1)
		env_set(env, name, "%" PRIu32 "(x%" PRIu32 ")", number, nodes);
	else
		env_set(env, name, "%" PRIu32, number);
}

static void add_slurm_array(struct env *env, const struct launch *launch)
{
	if (!launch->array_of)
		return;
	env_set(env, "SLURM_ARRAY_JOB_ID", "%" PRIu32, launch->array_of);
	env_set(env, "SLURM_ARRAY_TASK_ID", "%" PRIu32, launch->array_index);
	env_set(env, "SLURM_ARRAY_TASK_COUNT", "%" PRIu32, launch->array_count);
}

static void add_slurm(struct env *env, const struct launch *launch, uint32_t rank, const struct task_place *place)
{
	uint32_t cards = whole_cards(&launch->tasks[rank]), cpus = (launch->cpus_milli + 999) / 1000;
	char *nodelist = slurm_nodelist(launch, env->arena);

	env_set(env, "SLURM_JOB_ID", "%" PRIu32, launch->job);
	env_set(env, "SLURM_JOBID", "%" PRIu32, launch->job);
	env_set(env, "SLURM_JOB_NAME", "%s", launch->name);
	env_set(env, "SLURM_JOB_USER", "%s", launch->user);
	env_set(env, "SLURM_JOB_ACCOUNT", "%s", launch->project);
	env_set(env, "SLURM_CLUSTER_NAME", "%s", launch->centre);
	env_set(env, "SLURM_NNODES", "%" PRIu32, launch->n_tasks);
	env_set(env, "SLURM_JOB_NUM_NODES", "%" PRIu32, launch->n_tasks);
	env_set(env, "SLURM_NTASKS", "%" PRIu32, launch->n_tasks); /* where the script states no tasks: format/sbatch_env.c */
	env_set(env, "SLURM_NPROCS", "%" PRIu32, launch->n_tasks);
	env_set_each(env, "SLURM_TASKS_PER_NODE", 1, launch->n_tasks);
	env_set(env, "SLURM_PROCID", "%" PRIu32, rank);
	env_add(env, "SLURM_LOCALID", "0");
	env_set(env, "SLURM_NODEID", "%" PRIu32, rank);
	env_set(env, "SLURM_RESTART_COUNT", "%" PRIu32, launch->attempt - 1);
	env_add(env, "SLURM_SUBMIT_DIR", place->workdir);
	env_add(env, "SLURM_SUBMIT_HOST", place->host);
	env_add(env, "SLURMD_NODENAME", place->host);
	env_add(env, "SLURM_JOB_NODELIST", nodelist);
	env_add(env, "SLURM_NODELIST", nodelist);
	if (cpus) {
		env_set(env, "SLURM_CPUS_ON_NODE", "%" PRIu32, cpus);
		env_set_each(env, "SLURM_JOB_CPUS_PER_NODE", cpus, launch->n_tasks);
	}
	if (launch->memory_mib)
		env_set(env, "SLURM_MEM_PER_NODE", "%" PRIu32, launch->memory_mib);
	if (cards) {
		env_set(env, "SLURM_GPUS_ON_NODE", "%" PRIu32, cards);
		env_add(env, "SLURM_JOB_GPUS", card_list(&launch->tasks[rank], env->arena));
	}
	add_slurm_array(env, launch);
}

static void add_variables(struct env *env, const struct variable *variables, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (variables[i].name[0] && !strchr(variables[i].name, '='))
			env_add(env, variables[i].name, variables[i].value);
}

char **task_env(const struct launch *launch, uint32_t rank, const struct task_place *place, struct arena *arena)
{
	struct env env = {.arena = arena, .cap = 64 + launch->payload->n_envs + launch->n_secrets};

	assert(rank < launch->n_tasks);
	env.vars = arena_new(arena, env.cap, sizeof *env.vars);
	add_login(&env, place);
	add_suan(&env, launch, rank, place->port);
	add_skypilot(&env, launch, rank);
	add_visible(&env, launch, rank);
	if (launch->payload->flavour == FLAVOUR_SBATCH)
		add_slurm(&env, launch, rank, place);
	add_variables(&env, launch->payload->envs, launch->payload->n_envs);
	add_variables(&env, launch->secrets, launch->n_secrets);
	return env.vars;
}

/* ---- Slurm's texts ---- */

char *slurm_nodelist(const struct launch *launch, struct arena *arena)
{
	struct buf list = {0};
	char *text;

	for (uint32_t i = 0; i < launch->n_tasks;) {
		uint32_t first = launch->tasks[i].node, last = first;

		for (i++; i < launch->n_tasks && launch->tasks[i].node == last + 1; i++)
			last++;
		buf_printf(&list, first == last ? "%s%" PRIu32 : "%s%" PRIu32 "-%" PRIu32, list.len ? "," : "", first, last);
	}
	text = arena_printf(arena, launch->n_tasks == 1 ? "%s-%.*s" : "%s-[%.*s]", launch->centre, (int)list.len,
	                    (const char *)list.data);
	buf_done(&list);
	return text;
}

/* What one letter of a pattern stands for: a number (returns true), a text in *ret_text, or nothing (both left alone). */
static bool expand_letter(char letter, const struct launch *launch, const char *host, uint32_t *ret_number, const char **ret_text)
{
	bool element = launch->array_of != 0;

	switch (letter) {
	case 'J':
	case 'j': *ret_number = launch->job; return true;
	case 'A': *ret_number = element ? launch->array_of : launch->job; return true;
	case 'a': *ret_number = element ? launch->array_index : UINT32_MAX - 1; return true; /* Slurm's own "none" */
	case 't':
	case 'n': *ret_number = 0; return true;
	case 's': *ret_text = "batch"; return false;
	case 'x': *ret_text = launch->name; return false;
	case 'u': *ret_text = launch->user; return false;
	case 'N': *ret_text = host; return false;
	case '%': *ret_text = "%"; return false;
	default: return false;
	}
}

/* One "%4j" of a pattern; `at` is after the percent sign. Returns what comes after it. */
static const char *expand_one(const char *at, const struct launch *launch, const char *host, struct buf *out)
{
	const char *start = at, *text = NULL;
	uint32_t number = 0;
	int width = 0;

	for (; *at >= '0' && *at <= '9'; at++)
		width = width < 10 ? width * 10 + (*at - '0') : width;
	if (expand_letter(*at, launch, host, &number, &text))
		buf_printf(out, "%0*" PRIu32, width < 10 ? width : 10, number);
	else if (text)
		for (; *text; text++)
			buf_put_u8(out, (uint8_t)(*text == '/' ? '_' : *text)); /* a job's name must not lead to other folders */
	else                                                            /* not a pattern: as it stands */
		buf_printf(out, "%%%.*s", (int)(at - start) + (*at != 0), start);
	return *at ? at + 1 : at;
}

char *slurm_expand(const char *pattern, const struct launch *launch, const char *host, struct arena *arena)
{
	struct buf out = {0};
	char *text;

	if (strchr(pattern, '\\'))
		return arena_strdup(arena, pattern);
	for (const char *at = pattern; *at;) {
		if (*at == '%')
			at = expand_one(at + 1, launch, host, &out);
		else
			buf_put_u8(&out, (uint8_t)*at++);
	}
	text = arena_strndup(arena, out.len ? (const char *)out.data : "", out.len);
	buf_done(&out);
	return text;
}
