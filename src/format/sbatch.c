/* SPDX-License-Identifier: Apache-2.0
 * sbatch.c: the options of #SBATCH lines, as sbatch of Slurm 24.11 reads them.
 *
 * An option is honoured, ignored with a warning, or refused with the reason; the table is in sbatch_keys.c. What
 * depends on several (cards in all and nodes, tasks and CPUs a task) is worked out in sbatch_finish. */
#include "format/sbatch.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- Lines into words, words into options ---- */

/* The next word of a line, its quotes and backslashes taken off; NULL at its end or before a comment. *at moves. */
static const char *next_word(struct form *form, const char **at)
{
	const char *p = *at + strspn(*at, " \t\r");
	char *word = arena_new(form->arena, strlen(p) + 1, 1), *out = word;
	char quote = 0;

	if (!*p || *p == '#')
		return NULL;
	for (; *p && (quote || !strchr(" \t\r", *p)); p++) {
		if (quote ? *p == quote : *p == '"' || *p == '\'')
			quote = quote ? 0 : *p;
		else if (*p == '\\' && p[1] && quote != '\'')
			*out++ = *++p;
		else
			*out++ = *p;
	}
	*at = quote ? NULL : p;
	return word;
}

static int fail_at(struct form *form, uint32_t line, const char *option)
{
	if (!form->err->line)
		form->err->line = line;
	return err_within(form->err, option);
}

/* The option of a long name, which may be cut where only one begins so, as getopt_long has it. */
static const struct sbatch_option *find_long(const char *name, size_t len)
{
	const struct sbatch_option *found = NULL;

	for (uint32_t i = 0; i < SBATCH_OPTIONS; i++) {
		const struct sbatch_option *option = &sbatch_options[i];

		if (strncmp(option->name, name, len) != 0)
			continue;
		if (!option->name[len])
			return option;
		if (found)
			return NULL;
		found = option;
	}
	return len ? found : NULL;
}

static const struct sbatch_option *find_short(char letter)
{
	for (uint32_t i = 0; letter && i < SBATCH_OPTIONS; i++)
		if (sbatch_options[i].letter == letter)
			return &sbatch_options[i];
	return NULL;
}

static int unknown_option(struct form *form, const char *word)
{
	const char *names[SBATCH_OPTIONS];
	const char *bare = arena_strndup(form->arena, word, strcspn(word, "="));

	for (uint32_t i = 0; i < SBATCH_OPTIONS; i++)
		names[i] = sbatch_options[i].name;
	form_fail(form, NULL, "unknown option of sbatch%s", form_did_you_mean(form, bare + strspn(bare, "-"), names, SBATCH_OPTIONS));
	return err_within(form->err, bare);
}

static int apply(struct form *form, struct sbatch *sbatch, const struct sbatch_option *option, const char *value)
{
	if (option->read)
		return option->read(form, sbatch, value ? value : "");
	if (option->verdict == VERDICT_REFUSED)
		return form_fail(form, NULL, "not supported: %s", option->why);
	form_warn(form, "--%s is ignored: %s", option->name, option->why);
	return 0;
}

/* One option: its name in `word`, its value in it too, or in the next word. */
static int take_option(struct form *form, struct sbatch *sbatch, const char *word, const char **at)
{
	bool is_long = word[0] == '-' && word[1] == '-';
	size_t len = is_long ? strcspn(word + 2, "=") : 1;
	const struct sbatch_option *option = is_long ? find_long(word + 2, len) : word[0] == '-' ? find_short(word[1]) : NULL;
	const char *value = is_long ? (word[2 + len] ? word + 3 + len : NULL) : word[0] && word[1] && word[2] ? word + 2 : NULL;
	const char *shown;

	if (!option)
		return unknown_option(form, word);
	shown = arena_printf(form->arena, "--%s", option->name);
	if (option->argument == ARGUMENT_YES && !value)
		value = next_word(form, at);
	if ((option->argument == ARGUMENT_YES && !value) || !*at)
		return form_fail(form, NULL, "expected a value"), err_within(form->err, shown);
	if (option->argument == ARGUMENT_NO && value)
		return form_fail(form, NULL, "takes no value"), err_within(form->err, shown);
	return apply(form, sbatch, option, value) < 0 ? err_within(form->err, shown) : 0;
}

struct sbatch *sbatch_new(struct form *form)
{
	struct sbatch *sbatch = arena_new(form->arena, 1, sizeof *sbatch);

	sbatch->memory_mib = sbatch->memory_per_cpu_mib = sbatch->memory_per_gpu_mib = NEED_UNSET;
	return sbatch;
}

int sbatch_line(struct form *form, struct sbatch *sbatch, const char *line, uint32_t line_number, struct job_draft *draft)
{
	const char *word;

	sbatch->draft = draft;
	while ((word = next_word(form, &line))) {
		if (!line) {
			form_fail(form, NULL, "a quote isn't closed");
			return fail_at(form, line_number, word);
		}
		if (take_option(form, sbatch, word, &line) < 0) {
			if (!form->err->line)
				form->err->line = line_number;
			return form->err->code;
		}
	}
	return 0;
}

/* ---- Values ---- */

static int read_number(struct form *form, const char *text, uint64_t min, uint64_t max, uint32_t *ret)
{
	uint64_t number;

	if (!*text || text[strspn(text, "0123456789")] || units_parse_scaled(text, 1, false, max, &number, form->err) < 0 ||
	    number < min)
		return form_fail(form, NULL, "\"%.60s\": expected a whole number from %" PRIu64 " to %" PRIu64, text, min, max);
	*ret = (uint32_t)number;
	return 0;
}

/* "16G", "512M", "4096" (MiB), "1T", "2048K". */
static int read_size(struct form *form, const char *text, uint32_t *ret_mib)
{
	static const char units[] = "KMGT";
	size_t digits = strspn(text, "0123456789");
	const char *unit = text[digits] ? strchr(units, toupper((unsigned char)text[digits])) : units + 1;
	uint64_t kib = strtoull(text, NULL, 10);

	if (!digits || digits > 10 || !unit || (text[digits] && text[digits + 1] && strcasecmp(text + digits + 1, "B") != 0))
		return form_fail(form, NULL, "\"%.60s\": expected a size such as 16G, 512M, or a bare number of MiB", text);
	for (; unit > units; unit--)
		kib *= 1024;
	if ((kib + 1023) / 1024 >= UNCOUNTED)
		return form_fail(form, NULL, "\"%.60s\": too large", text);
	*ret_mib = (uint32_t)((kib + 1023) / 1024);
	return 0;
}

/* Slurm's: minutes, minutes:seconds, hours:minutes:seconds, days-hours[:minutes[:seconds]], or without limit. */
static int read_limit(struct form *form, const char *text, us_t *ret)
{
	static const us_t by_colons[2][3] = {{US_MINUTE, US_MINUTE, US_HOUR}, {US_HOUR, US_HOUR, US_HOUR}};
	const char *dash = strchr(text, '-'), *p = dash ? dash + 1 : text;
	us_t sum, unit;
	int colons = 0;

	if (!strcasecmp(text, "UNLIMITED") || !strcasecmp(text, "INFINITE") || !strcmp(text, "-1") || !strcmp(text, "0")) {
		*ret = US_NEVER;
		return 0;
	}
	for (const char *c = p; *c; c++)
		colons += *c == ':';
	if (colons > 2 || (dash && (dash == text || dash - text > 5 || strspn(text, "0123456789") != (size_t)(dash - text))))
		goto bad;
	sum = dash ? (us_t)strtoul(text, NULL, 10) * US_DAY : 0;
	for (unit = by_colons[dash != NULL][colons];; unit /= 60) {
		size_t digits = strspn(p, "0123456789");

		if (!digits || digits > 8)
			goto bad;
		sum += (us_t)strtoul(p, NULL, 10) * unit;
		p += digits;
		if (!*p)
			break;
		if (*p++ != ':')
			goto bad;
	}
	if (sum > US_DURATION_MAX)
		goto bad;
	*ret = sum ? sum : US_NEVER;
	return 0;
bad:
	return form_fail(
		form, NULL,
		"\"%.60s\": expected MINUTES, MINUTES:SECONDS, HOURS:MINUTES:SECONDS, DAYS-HOURS[:MINUTES[:SECONDS]] or UNLIMITED", text);
}

/* "gpu:TYPE:N", "gpu:N", "gpu:TYPE", "gpu", where the word gpu has gone: TYPE:N, N, TYPE or nothing. */
static int read_gpus(struct form *form, struct sbatch *sbatch, const char *text, uint32_t *ret)
{
	const char *colon = strrchr(text, ':'), *count = colon ? colon + 1 : text;
	const char *kind = colon ? arena_strndup(form->arena, text, (size_t)(colon - text)) : NULL;

	if (!colon && *text && !isdigit((unsigned char)*text)) {
		kind = text;
		count = "1";
	}
	if (strchr(text, ',') || strchr(text, '('))
		return form_fail(form, NULL, "\"%.60s\": expected one kind of card, such as h800:8", text);
	if (kind && (!spec_name_ok(kind) || (sbatch->kind && strcmp(sbatch->kind, kind) != 0)))
		return form_fail(form, NULL, "\"%.60s\": expected one kind of card, such as h800:8", text);
	if (kind)
		sbatch->kind = kind;
	if (!*count)
		count = "1";
	return read_number(form, count, 0, (uint64_t)JOB_NODES_MAX * CARDS_PER_NODE_MAX, ret);
}

/* ---- Options ---- */

int sbatch_job_name(struct form *form, struct sbatch *sbatch, const char *value)
{
	if (!spec_name_ok(value))
		return form_fail(form, NULL, "\"%.60s\": expected a name of at most %d bytes, without control characters or quotes",
		                 value, NAME_LEN_MAX);
	sbatch->draft->spec.name = value;
	return 0;
}

int sbatch_account(struct form *form, struct sbatch *sbatch, const char *value)
{
	if (!spec_name_ok(value))
		return form_fail(form, NULL, "\"%.60s\": expected a project's name", value);
	sbatch->draft->spec.project = value;
	return 0;
}

int sbatch_time(struct form *form, struct sbatch *sbatch, const char *value)
{
	return read_limit(form, value, &sbatch->draft->spec.limit_us);
}

int sbatch_nodes(struct form *form, struct sbatch *sbatch, const char *value)
{
	const char *dash = strchr(value, '-');
	uint32_t least, most;

	if (!dash)
		return read_number(form, value, 1, JOB_NODES_MAX, &sbatch->nodes);
	if (read_number(form, arena_strndup(form->arena, value, (size_t)(dash - value)), 1, JOB_NODES_MAX, &least) < 0 ||
	    read_number(form, dash + 1, least, JOB_NODES_MAX, &most) < 0)
		return form->err->code;
	if (least != most)
		form_warn(form, "--nodes=%.40s is read as %" PRIu32 ": a gang has one size", value, least);
	sbatch->nodes = least;
	return 0;
}

int sbatch_ntasks(struct form *form, struct sbatch *sbatch, const char *value)
{
	return read_number(form, value, 1, 100000000, &sbatch->ntasks);
}

int sbatch_ntasks_per_node(struct form *form, struct sbatch *sbatch, const char *value)
{
	return read_number(form, value, 1, 1000000, &sbatch->ntasks_per_node);
}

int sbatch_cpus_per_task(struct form *form, struct sbatch *sbatch, const char *value)
{
	return read_number(form, value, 1, 1000000, &sbatch->cpus_per_task);
}

int sbatch_cpus_per_gpu(struct form *form, struct sbatch *sbatch, const char *value)
{
	return read_number(form, value, 1, 1000000, &sbatch->cpus_per_gpu);
}

int sbatch_mem(struct form *form, struct sbatch *sbatch, const char *value)
{
	if (read_size(form, value, &sbatch->memory_mib) < 0)
		return form->err->code;
	if (!sbatch->memory_mib)
		form_warn(form, "--mem=0 asks for no memory here; name the amount to have it kept for the job");
	return 0;
}

int sbatch_mem_per_cpu(struct form *form, struct sbatch *sbatch, const char *value)
{
	return read_size(form, value, &sbatch->memory_per_cpu_mib);
}

int sbatch_mem_per_gpu(struct form *form, struct sbatch *sbatch, const char *value)
{
	return read_size(form, value, &sbatch->memory_per_gpu_mib);
}

int sbatch_gres(struct form *form, struct sbatch *sbatch, const char *value)
{
	if (!strcasecmp(value, "none"))
		return 0;
	if (!strncmp(value, "gres/", 5) || !strncmp(value, "gres:", 5))
		value += 5;
	if (strncmp(value, "gpu", 3) != 0 || (value[3] && value[3] != ':'))
		return form_fail(form, NULL, "\"%.60s\": expected gpu:TYPE:COUNT; other resources aren't known", value);
	return read_gpus(form, sbatch, value[3] ? value + 4 : "", &sbatch->gpus_per_node);
}

int sbatch_gpus(struct form *form, struct sbatch *sbatch, const char *value)
{
	return read_gpus(form, sbatch, value, &sbatch->gpus);
}

int sbatch_gpus_per_node(struct form *form, struct sbatch *sbatch, const char *value)
{
	return read_gpus(form, sbatch, value, &sbatch->gpus_per_node);
}

int sbatch_gpus_per_task(struct form *form, struct sbatch *sbatch, const char *value)
{
	return read_gpus(form, sbatch, value, &sbatch->gpus_per_task);
}

int sbatch_array(struct form *form, struct sbatch *sbatch, const char *value)
{
	return array_parse(form, value, &sbatch->draft->spec);
}

/* One of "afterok:1:2" and its like. */
static int add_dependencies(struct form *form, struct job_spec *spec, struct dependency_spec *list, const char *text)
{
	const char *p = strchr(text, ':');
	size_t len = p ? (size_t)(p - text) : strlen(text);
	enum dependency_when when = AFTER_ANY;

	if (len == 7 && !strncmp(text, "afterok", 7))
		when = AFTER_OK;
	else if (len != 8 || strncmp(text, "afterany", 8) != 0)
		return form_fail(form, NULL, "\"%.60s\": expected afterok:ID or afterany:ID; no other dependency is supported", text);
	if (!p)
		return form_fail(form, NULL, "\"%.60s\": expected the ids of jobs, such as afterok:17", text);
	while (*p == ':') {
		size_t digits = strspn(p + 1, "0123456789");
		uint32_t job;

		if (spec->n_dependencies == JOB_DEPENDENCIES_MAX)
			return form_fail(form, NULL, "more than %d dependencies", JOB_DEPENDENCIES_MAX);
		if (p[1 + digits] && p[1 + digits] != ':')
			return form_fail(form, NULL, "\"%.60s\": expected the ids of jobs, such as afterok:17:18", text);
		if (read_number(form, arena_strndup(form->arena, p + 1, digits), 1, UINT32_MAX - 1, &job) < 0)
			return form->err->code;
		list[spec->n_dependencies++] = (struct dependency_spec){job, when};
		p += 1 + digits;
	}
	return 0;
}

int sbatch_dependency(struct form *form, struct sbatch *sbatch, const char *value)
{
	struct job_spec *spec = &sbatch->draft->spec;
	struct dependency_spec *list = arena_new(form->arena, JOB_DEPENDENCIES_MAX, sizeof *list);
	char *text = arena_strdup(form->arena, value), *rest = NULL;

	if (strchr(value, '?'))
		return form_fail(form, NULL, "\"%.60s\": any of several (?) is not supported; expected all of them (,)", value);
	spec->n_dependencies = 0;
	for (char *part = strtok_r(text, ",", &rest); part; part = strtok_r(NULL, ",", &rest))
		if (add_dependencies(form, spec, list, part) < 0)
			return form->err->code;
	if (!spec->n_dependencies)
		return form_fail(form, NULL, "\"%.60s\": expected afterok:ID or afterany:ID", value);
	spec->dependencies = list;
	return 0;
}

int sbatch_begin(struct form *form, struct sbatch *sbatch, const char *value)
{
	if (us_parse_instant(value, &sbatch->draft->spec.begin_us, form->err) < 0)
		return form_fail(
			form, NULL,
			"\"%.60s\": expected an instant with its offset, such as 2026-12-01T02:00:00+08:00; one relative to now, or "
			"without an offset, isn't read: write it out, as in --begin=$(date -d '+1 hour' --iso-8601=seconds)",
			value);
	return 0;
}

/* Where output goes, and where it runs. */
static int read_path(struct form *form, const char *value, const char **ret)
{
	if (!*value || strlen(value) >= 4096)
		return form_fail(form, NULL, "expected a path of 1 to 4095 bytes");
	*ret = value;
	return 0;
}

int sbatch_output(struct form *form, struct sbatch *sbatch, const char *value)
{
	return read_path(form, value, &sbatch->draft->payload.output);
}

int sbatch_error(struct form *form, struct sbatch *sbatch, const char *value)
{
	return read_path(form, value, &sbatch->draft->payload.error);
}

int sbatch_chdir(struct form *form, struct sbatch *sbatch, const char *value)
{
	return read_path(form, value, &sbatch->draft->payload.workdir);
}

int sbatch_export(struct form *form, struct sbatch *sbatch, const char *value)
{
	char *text = arena_strdup(form->arena, value), *rest = NULL;

	for (char *part = strtok_r(text, ",", &rest); part; part = strtok_r(NULL, ",", &rest)) {
		char *equals = strchr(part, '=');

		if (!strcasecmp(part, "ALL"))
			form_warn(form, "--export=ALL is ignored: a job inherits no environment; name the variables that it needs");
		if (!strcasecmp(part, "ALL") || !strcasecmp(part, "NONE") || !strcasecmp(part, "NIL"))
			continue;
		if (equals)
			*equals = 0;
		if (variables_set(form, NULL, &sbatch->draft->envs, part, equals ? equals + 1 : NULL) < 0)
			return err_within(form->err, part);
	}
	return 0;
}

int sbatch_priority(struct form *form, struct sbatch *sbatch, const char *value)
{
	return read_number(form, value, 0, JOB_PRIORITY_MAX, &sbatch->draft->spec.priority);
}

/* Slurm takes it off a priority of its own scale; here, off the default. */
int sbatch_nice(struct form *form, struct sbatch *sbatch, const char *value)
{
	bool negative = *value == '-';
	uint32_t nice = 100;

	if (*value && read_number(form, value + negative, 0, 2147483645, &nice) < 0)
		return form->err->code;
	if (negative)
		sbatch->draft->spec.priority = nice > JOB_PRIORITY_MAX - JOB_PRIORITY_DEFAULT ? JOB_PRIORITY_MAX
		                                                                              : JOB_PRIORITY_DEFAULT + nice;
	else
		sbatch->draft->spec.priority = nice > JOB_PRIORITY_DEFAULT ? 0 : JOB_PRIORITY_DEFAULT - nice;
	return 0;
}

int sbatch_requeue(struct form *form, struct sbatch *sbatch, const char *value)
{
	(void)form, (void)value;
	sbatch->draft->spec.rerun_when_lost = true;
	sbatch->draft->spec.max_restarts = -1;
	return 0;
}

int sbatch_no_requeue(struct form *form, struct sbatch *sbatch, const char *value)
{
	(void)form, (void)value;
	sbatch->draft->spec.rerun_when_lost = false;
	sbatch->draft->spec.max_restarts = 0;
	return 0;
}

/* ---- What they mean together ---- */

static uint32_t divide_up(uint32_t a, uint32_t b)
{
	return a / b + (a % b != 0);
}

static int fail_option(struct form *form, const char *option, const char *fmt, uint64_t a, uint64_t b)
{
	form_fail(form, NULL, fmt, a, b);
	return err_within(form->err, option);
}

static uint32_t nodes_of(const struct sbatch *s)
{
	if (s->nodes)
		return s->nodes;
	if (s->ntasks && s->ntasks_per_node)
		return divide_up(s->ntasks, s->ntasks_per_node);
	if (s->gpus && s->gpus_per_node)
		return divide_up(s->gpus, s->gpus_per_node);
	return 1;
}

/* Cards a node, from whichever of the four ways names them. */
static int cards_of(struct form *form, const struct sbatch *s, uint32_t nodes, uint32_t tasks, uint64_t *ret)
{
	uint64_t cards = s->gpus_per_node ? s->gpus_per_node : s->gpus_per_task ? (uint64_t)s->gpus_per_task * tasks : 0;

	if (s->gpus && !cards && s->gpus % nodes)
		return fail_option(form, "--gpus", "%" PRIu64 " cards don't divide into %" PRIu64 " equal nodes; say --gpus-per-node",
		                   s->gpus, nodes);
	if (s->gpus && cards && s->gpus != cards * nodes)
		return fail_option(form, "--gpus", "%" PRIu64 " cards in all, but the other options make %" PRIu64, s->gpus,
		                   cards * nodes);
	*ret = cards ? cards : s->gpus / nodes;
	if (*ret > CARDS_PER_NODE_MAX)
		return fail_option(form, "--gpus-per-node", "%" PRIu64 " cards a node; a node has at most %" PRIu64, *ret,
		                   CARDS_PER_NODE_MAX);
	return 0;
}

static uint64_t memory_of(const struct sbatch *s, uint64_t cpus, uint64_t cards)
{
	if (s->memory_mib != NEED_UNSET)
		return s->memory_mib;
	if (s->memory_per_cpu_mib != NEED_UNSET)
		return s->memory_per_cpu_mib * cpus;
	return s->memory_per_gpu_mib != NEED_UNSET ? s->memory_per_gpu_mib * cards : 0;
}

int sbatch_finish(struct form *form, const struct sbatch *s, struct job_draft *draft)
{
	uint32_t nodes = nodes_of(s);
	uint32_t tasks = s->ntasks_per_node ? s->ntasks_per_node : s->ntasks ? divide_up(s->ntasks, nodes) : 1;
	uint64_t cards = 0, cpus, memory;
	struct cards_need *need;

	if (nodes > JOB_NODES_MAX)
		return fail_option(form, "--ntasks", "%" PRIu64 " nodes; expected at most %" PRIu64, nodes, JOB_NODES_MAX);
	if (cards_of(form, s, nodes, tasks, &cards) < 0)
		return form->err->code;
	cpus = s->cpus_per_gpu && !s->cpus_per_task ? s->cpus_per_gpu * cards
	                                            : (uint64_t)tasks * (s->cpus_per_task ? s->cpus_per_task : 1);
	memory = memory_of(s, cpus, cards);
	if (cpus > 4000000)
		return fail_option(form, "--cpus-per-task", "%" PRIu64 " CPUs a node; expected at most %" PRIu64, cpus, 4000000);
	if (memory >= UNCOUNTED)
		return fail_option(form, "--mem", "%" PRIu64 " MiB a node; expected at most %" PRIu64, memory, UNCOUNTED - 1);
	draft->group.nodes = nodes;
	draft->need.cpus_milli = (uint32_t)cpus * 1000;
	draft->need.memory_mib = (uint32_t)memory;
	if (sbatch_env(form, s, nodes, draft) < 0)
		return form->err->code;
	if (!cards)
		return 0;
	need = arena_new(form->arena, 1, sizeof *need);
	*need = (struct cards_need){s->kind ? s->kind : "*", (uint32_t)cards * CARD_MILLI};
	draft->need.cards = need;
	draft->need.n_cards = 1;
	return 0;
}
