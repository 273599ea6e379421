/* SPDX-License-Identifier: Apache-2.0
 * job_file.c: job files into job specs; see job_file.h.
 *
 * The table of keys is at the end; each key has a reader that fills the draft. Keys may come in any order: what
 * depends on several is done in finish(). */
#include "format/job_file.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "format/job_draft.h"

/* ---- Variables ---- */

static bool variable_name_ok(const char *name)
{
	if (!isalpha((unsigned char)*name) && *name != '_')
		return false;
	while (isalnum((unsigned char)*name) || *name == '_')
		name++;
	return !*name;
}

int variables_set(struct form *form, const struct yaml *at, struct variables *list, const char *name, const char *value)
{
	if (!variable_name_ok(name) || strlen(name) > 255)
		return form_fail(form, at, "expected a variable's name: letters, digits and _, not beginning with a digit");
	if (!strncmp(name, "SUAN_", 5))
		return form_fail(form, at, "names that begin with SUAN_ are Suan's own");
	for (uint32_t i = 0; i < list->n; i++) {
		if (!strcmp(list->items[i].name, name)) {
			list->items[i].value = value;
			list->lines[i] = at ? at->line : 0;
			return 0;
		}
	}
	if (list->n == JOB_VARIABLES_MAX)
		return form_fail(form, at, "more than %d variables", JOB_VARIABLES_MAX);
	if (!list->items) {
		list->items = arena_new(form->arena, JOB_VARIABLES_MAX, sizeof *list->items);
		list->lines = arena_new(form->arena, JOB_VARIABLES_MAX, sizeof *list->lines);
	}
	list->lines[list->n] = at ? at->line : 0;
	list->items[list->n++] = (struct variable){name, value};
	return 0;
}

static int read_variables(struct form *form, const struct yaml *map, struct variables *list)
{
	if (map->type != YAML_MAP)
		return form_fail(form, map, "expected a map of names and values, such as {EPOCHS: \"3\"}");
	for (const struct yaml *m = map->first; m; m = m->next) {
		const char *value = NULL;

		if ((!yaml_is_null(m) && form_text(form, m, &value) < 0) || variables_set(form, m, list, m->key, value) < 0)
			return form_within(form, m, m->key);
	}
	return 0;
}

static int read_envs(struct form *form, const struct yaml *value, void *target)
{
	return read_variables(form, value, &((struct job_draft *)target)->envs);
}

static int read_secrets(struct form *form, const struct yaml *value, void *target)
{
	return read_variables(form, value, &((struct job_draft *)target)->secrets);
}

/* ---- Who and what ---- */

static int read_name(struct form *form, const struct yaml *value, void *target)
{
	return form_name(form, value, &((struct job_draft *)target)->spec.name);
}

static int read_project(struct form *form, const struct yaml *value, void *target)
{
	return form_name(form, value, &((struct job_draft *)target)->spec.project);
}

static int read_num_nodes(struct form *form, const struct yaml *value, void *target)
{
	return form_u32(form, value, 1, JOB_NODES_MAX, &((struct job_draft *)target)->group.nodes);
}

static int read_setup(struct form *form, const struct yaml *value, void *target)
{
	return form_text(form, value, &((struct job_draft *)target)->payload.setup);
}

static int read_run(struct form *form, const struct yaml *value, void *target)
{
	struct job_draft *draft = target;

	if (draft->is_script)
		return form_fail(form, value, "a script is what runs; expected run or script, not both");
	return form_text(form, value, &draft->payload.run);
}

static int read_workdir(struct form *form, const struct yaml *value, void *target)
{
	struct job_draft *draft = target;
	const char *text;

	if (value->type == YAML_MAP)
		return form_fail(form, value, "a repository to clone is not supported; clone it in setup");
	if (form_text(form, value, &text) < 0)
		return form->err->code;
	if (strlen(text) >= 4096)
		return form_fail(form, value, "a path of 4096 bytes or more");
	draft->payload.workdir = text;
	draft->workdir_line = value->line;
	return 0;
}

/* ---- When ---- */

static int read_time(struct form *form, const struct yaml *value, void *target)
{
	struct job_draft *draft = target;
	us_t limit;

	if (form_duration(form, value, &limit) < 0)
		return form->err->code;
	if (!limit)
		return form_fail(form, value, "expected a limit over 0; leave the key out for none");
	draft->spec.limit_us = limit;
	return 0;
}

static int read_begin(struct form *form, const struct yaml *value, void *target)
{
	const char *text;

	if (form_text(form, value, &text) < 0)
		return form->err->code;
	return us_parse_instant(text, &((struct job_draft *)target)->spec.begin_us, form->err);
}

static int read_priority(struct form *form, const struct yaml *value, void *target)
{
	return form_u32(form, value, 0, JOB_PRIORITY_MAX, &((struct job_draft *)target)->spec.priority);
}

static int read_preemptible_after(struct form *form, const struct yaml *value, void *target)
{
	return form_duration(form, value, &((struct job_draft *)target)->spec.preemptible_after_us);
}

/* ---- topology ---- */

static int read_mode(struct form *form, const struct yaml *value, void *target)
{
	static const char *const words[] = {"soft", "hard"};
	uint32_t which;

	if (form_word(form, value, words, 2, &which) < 0)
		return form->err->code;
	((struct job_draft *)target)->group.hard = which;
	return 0;
}

static int read_highest_tier(struct form *form, const struct yaml *value, void *target)
{
	const char *words[TIER_COUNT];
	uint32_t tier;

	for (int i = 0; i < TIER_COUNT; i++)
		words[i] = tier_word((enum tier)i);
	if (form_word(form, value, words, TIER_COUNT, &tier) < 0)
		return form->err->code;
	if (tier == TIER_POOL)
		return form_fail(
			form, value,
			"a gang over several centres needs their links to be planned, which is not done yet; expected centre or narrower");
	((struct job_draft *)target)->group.highest = (enum tier)tier;
	return 0;
}

static int read_topology(struct form *form, const struct yaml *value, void *target)
{
	static const struct form_key keys[] = {{"mode", read_mode}, {"highest_tier", read_highest_tier}};
	static const struct form_table table = {keys, FORM_COUNT(keys), NULL, 0};

	return form_map(form, value, &table, target);
}

/* ---- depends_on ---- */

static int read_dependency_job(struct form *form, const struct yaml *value, void *target)
{
	return form_u32(form, value, 1, UINT32_MAX - 1, &((struct dependency_spec *)target)->job);
}

static int read_dependency_when(struct form *form, const struct yaml *value, void *target)
{
	static const char *const words[] = {[AFTER_OK] = "afterok", [AFTER_ANY] = "afterany"};
	uint32_t when;

	if (form_word(form, value, words, 2, &when) < 0)
		return form->err->code;
	((struct dependency_spec *)target)->when = (enum dependency_when)when;
	return 0;
}

static int read_dependency(struct form *form, const struct yaml *value, void *target)
{
	static const struct form_key keys[] = {{"job", read_dependency_job}, {"when", read_dependency_when}};
	static const struct form_table table = {keys, FORM_COUNT(keys), NULL, 0};
	struct dependency_spec *dependency = target;

	if (value->type == YAML_SCALAR)
		return read_dependency_job(form, value, target);
	if (form_map(form, value, &table, target) < 0)
		return form->err->code;
	return dependency->job ? 0 : form_fail(form, value, "expected {job: ID, when: afterok}, or the id alone");
}

static int read_depends_on(struct form *form, const struct yaml *value, void *target)
{
	struct job_spec *spec = &((struct job_draft *)target)->spec;

	return form_list(form, value, JOB_DEPENDENCIES_MAX, sizeof *spec->dependencies, read_dependency, &spec->dependencies,
	                 &spec->n_dependencies);
}

/* ---- array ---- */

/* A number of a range; *at moves behind it. */
static bool take_index(const char **at, uint32_t *ret)
{
	size_t digits = strspn(*at, "0123456789");
	unsigned long value;

	if (!digits || digits > 7)
		return false;
	value = strtoul(*at, NULL, 10);
	*at += digits;
	*ret = (uint32_t)value;
	return value <= JOB_ARRAY_INDEX_MAX;
}

static bool take_range(const char **at, struct range *ret)
{
	*ret = (struct range){.step = 1};
	if (!take_index(at, &ret->first))
		return false;
	ret->last = ret->first;
	if (**at == '-' && (++*at, !take_index(at, &ret->last)))
		return false;
	if (**at == ':' && (++*at, !take_index(at, &ret->step)))
		return false;
	return ret->first <= ret->last && ret->step;
}

/* Whether no index stands in two ranges; counts them too. */
static bool ranges_distinct(struct form *form, const struct range *ranges, uint32_t n, uint64_t *ret_count)
{
	unsigned char *seen = arena_new(form->arena, JOB_ARRAY_INDEX_MAX / 8 + 1, 1);

	*ret_count = 0;
	for (uint32_t i = 0; i < n; i++) {
		for (uint64_t index = ranges[i].first; index <= ranges[i].last; index += ranges[i].step) {
			if (seen[index / 8] & 1 << index % 8)
				return false;
			seen[index / 8] |= (unsigned char)(1 << index % 8);
			++*ret_count;
		}
	}
	return true;
}

int array_parse(struct form *form, const char *text, struct job_spec *spec)
{
	struct range *ranges = arena_new(form->arena, JOB_RANGES_MAX, sizeof *ranges);
	uint32_t n = 0, parallel_max = 0;
	uint64_t count;
	const char *at = text;

	do {
		if (n == JOB_RANGES_MAX)
			return form_fail(form, NULL, "more than %d ranges", JOB_RANGES_MAX);
		if (!take_range(&at, &ranges[n++]))
			return form_fail(form, NULL, "\"%.60s\": expected ranges such as 0-99, 1,3,5-9:2 or 0-15%%4, of indices up to %d",
			                 text, JOB_ARRAY_INDEX_MAX);
	} while (*at++ == ',');
	at--;
	if (*at == '%' && (at++, !take_index(&at, &parallel_max) || !parallel_max))
		return form_fail(form, NULL, "\"%.60s\": expected a number of 1 or more after %%, the elements that may run at once",
		                 text);
	if (*at)
		return form_fail(form, NULL, "\"%.60s\": expected ranges such as 0-99, 1,3,5-9:2 or 0-15%%4", text);
	if (!ranges_distinct(form, ranges, n, &count))
		return form_fail(form, NULL, "\"%.60s\": an index stands twice", text);
	if (count > JOB_ARRAY_MAX)
		return form_fail(form, NULL, "\"%.60s\": %" PRIu64 " elements; expected at most %d", text, count, JOB_ARRAY_MAX);
	spec->array = ranges;
	spec->n_array = n;
	spec->array_parallel_max = parallel_max;
	return 0;
}

static int read_array(struct form *form, const struct yaml *value, void *target)
{
	const char *text;

	if (form_text(form, value, &text) < 0)
		return form->err->code;
	return array_parse(form, text, &((struct job_draft *)target)->spec);
}

/* ---- recovery, checkpoint, simulated ---- */

static int read_max_restarts(struct form *form, const struct yaml *value, void *target)
{
	uint32_t n;

	if (form_u32(form, value, 0, 1000000, &n) < 0)
		return form->err->code;
	((struct job_draft *)target)->spec.max_restarts = (int32_t)n;
	return 0;
}

static int read_on_lost(struct form *form, const struct yaml *value, void *target)
{
	static const char *const words[] = {"ask", "rerun"};
	uint32_t which;

	if (form_word(form, value, words, 2, &which) < 0)
		return form->err->code;
	((struct job_draft *)target)->spec.rerun_when_lost = which;
	return 0;
}

static int read_recovery(struct form *form, const struct yaml *value, void *target)
{
	static const struct form_key keys[] = {{"max_restarts", read_max_restarts}, {"on_lost", read_on_lost}};
	static const struct form_table table = {keys, FORM_COUNT(keys), NULL, 0};

	return form_map(form, value, &table, target);
}

static int read_every(struct form *form, const struct yaml *value, void *target)
{
	us_t every;

	if (form_duration(form, value, &every) < 0)
		return form->err->code;
	if (!every)
		return form_fail(form, value, "expected more than 0");
	((struct job_draft *)target)->spec.checkpoint_every_us = every;
	return 0;
}

static int read_signal(struct form *form, const struct yaml *value, void *target)
{
	static const char *const words[] = {"TERM", "INT", "HUP", "USR1", "USR2"};
	uint32_t which;

	if (form_word(form, value, words, FORM_COUNT(words), &which) < 0)
		return form->err->code;
	((struct job_draft *)target)->payload.checkpoint_signal = words[which];
	return 0;
}

static int read_checkpoint(struct form *form, const struct yaml *value, void *target)
{
	static const struct form_key keys[] = {{"every", read_every}, {"signal", read_signal}};
	static const struct form_table table = {keys, FORM_COUNT(keys), NULL, 0};

	return form_map(form, value, &table, target);
}

static int read_simulated_run(struct form *form, const struct yaml *value, void *target)
{
	return form_duration(form, value, &((struct job_draft *)target)->payload.simulated_run_us);
}

static int read_simulated_exit(struct form *form, const struct yaml *value, void *target)
{
	uint32_t code;

	if (form_u32(form, value, 0, 255, &code) < 0)
		return form->err->code;
	((struct job_draft *)target)->payload.simulated_exit = (int32_t)code;
	return 0;
}

static int read_simulated(struct form *form, const struct yaml *value, void *target)
{
	static const struct form_key keys[] = {{"run", read_simulated_run}, {"exit", read_simulated_exit}};
	static const struct form_table table = {keys, FORM_COUNT(keys), NULL, 0};

	return form_map(form, value, &table, target);
}

/* ---- The whole ---- */

/* Read before the others, by job_draft_map: a key beside the script overrides its lines. */
static int skip_script(struct form *form, const struct yaml *value, void *target)
{
	(void)form, (void)value, (void)target;
	return 0;
}

static const struct form_key job_keys[] = {
	{"name", read_name},
	{"project", read_project},
	{"num_nodes", read_num_nodes},
	{"resources", resources_read},
	{"time", read_time},
	{"priority", read_priority},
	{"topology", read_topology},
	{"depends_on", read_depends_on},
	{"begin", read_begin},
	{"array", read_array},
	{"envs", read_envs},
	{"secrets", read_secrets},
	{"workdir", read_workdir},
	{"setup", read_setup},
	{"run", read_run},
	{"script", skip_script},
	{"recovery", read_recovery},
	{"checkpoint", read_checkpoint},
	{"simulated", read_simulated},
	{"preemptible_after", read_preemptible_after},
};

const struct form_table job_table = {job_keys, FORM_COUNT(job_keys), job_rules, JOB_RULES};

int job_draft_map(struct form *form, const struct yaml *map, struct job_draft *draft)
{
	const struct yaml *script = yaml_member(map, "script");
	const char *text;

	if (script && !yaml_is_null(script)) {
		if (draft->is_script)
			return form_fail(form, script, "a script can't hold a script"), form_within(form, script, "script");
		if (form_text(form, script, &text) < 0 || script_read(form, text, strlen(text), draft) < 0)
			return form_within(form, script, "script");
	}
	return form_map(form, map, &job_table, draft);
}

static void set_defaults(struct job_draft *draft)
{
	draft->need.cpus_milli = draft->need.memory_mib = NEED_UNSET;
	draft->group = (struct group_spec){.nodes = 1, .highest = TIER_CENTRE, .hard = true};
	draft->spec = (struct job_spec){
		.project = "default",
		.priority = JOB_PRIORITY_DEFAULT,
		.limit_us = US_NEVER,
		.max_restarts = -1,
		.preemptible_after_us = US_NEVER,
	};
	draft->payload = (struct payload){
		.setup = "",
		.run = "",
		.workdir = "",
		.output = "",
		.error = "",
		.checkpoint_signal = "TERM",
		.simulated_run_us = US_NEVER,
	};
}

int job_draft_read(struct form *form, const char *text, size_t len, struct job_draft *draft, const struct yaml **ret_root)
{
	static const struct yaml_bounds bounds = {JOB_FILE_BYTES_MAX, YAML_NODES_MAX};
	struct yaml *root = NULL;

	set_defaults(draft);
	if (len <= JOB_FILE_BYTES_MAX && script_is(text, len))
		return script_read(form, text, len, draft);
	if (yaml_parse(text, len, &bounds, form->arena, &root, form->err) < 0)
		return form->err->code;
	if (!root || yaml_is_null(root)) {
		form_fail(form, NULL, "empty; expected a job file, such as {name: hello, run: echo hello}");
		form->err->line = 1;
		return ERR_INVALID;
	}
	if (ret_root)
		*ret_root = root;
	return job_draft_map(form, root, draft);
}

static int check_variables(struct form *form, const struct variables *list, const char *key)
{
	for (uint32_t i = 0; i < list->n; i++) {
		if (list->items[i].value)
			continue;
		form_fail(form, NULL, "no value; suan submit takes it from the environment that it runs in");
		form->err->line = list->lines[i];
		err_within(form->err, list->items[i].name);
		return err_within(form->err, key);
	}
	return 0;
}

/* A path may be relative in a script's lines while a key beside the script can still override it; not in the end. */
static int check_workdir(struct form *form, const struct job_draft *draft)
{
	if (!*draft->payload.workdir || *draft->payload.workdir == '/')
		return 0;
	form_fail(form, NULL, "\"%.60s\": expected an absolute path (suan submit makes it one)", draft->payload.workdir);
	form->err->line = draft->workdir_line;
	return err_within(form->err, "workdir");
}

static int check_whole(struct form *form, const struct job_draft *draft)
{
	if (check_variables(form, &draft->envs, "envs") < 0 || check_variables(form, &draft->secrets, "secrets") < 0 ||
	    check_workdir(form, draft) < 0)
		return form->err->code;
	for (uint32_t i = 0; i < draft->secrets.n; i++)
		for (uint32_t e = 0; e < draft->envs.n; e++)
			if (!strcmp(draft->secrets.items[i].name, draft->envs.items[e].name))
				return form_fail(form, NULL, "%s is in envs too; expected it in one of them", draft->secrets.items[i].name),
				       err_within(form->err, "secrets");
	if (!*draft->payload.run && draft->payload.simulated_run_us == US_NEVER)
		return form_fail(form, NULL, "nothing to run; expected a shell command, such as: echo hello"),
		       err_within(form->err, "run");
	return 0;
}

/* The images, one a request, where any has one. */
static void set_images(struct form *form, struct job_draft *draft)
{
	const struct group_spec *group = &draft->group;
	const char **images = arena_new(form->arena, group->n_requests, sizeof *images);
	bool any = false;

	for (uint32_t i = 0; i < group->n_requests; i++) {
		images[i] = group->requests[i].image ? group->requests[i].image : "";
		any |= *images[i] != 0;
	}
	draft->payload.images = any ? images : NULL;
	draft->payload.n_images = any ? group->n_requests : 0;
}

/* What hangs together: requests, payload and its hash. */
static int finish(struct form *form, struct job_draft *draft, struct job_file *ret)
{
	struct group_spec *group = arena_new(form->arena, 1, sizeof *group);
	struct buf bytes = {0};

	if (resources_finish(form, draft) < 0 || check_whole(form, draft) < 0)
		return form->err->code;
	set_images(form, draft);
	draft->payload.envs = draft->envs.items;
	draft->payload.n_envs = draft->envs.n;
	payload_encode(&draft->payload, &bytes);
	if (bytes.len > PAYLOAD_BYTES_MAX) {
		buf_done(&bytes);
		return err_set(form->err, ERR_TOO_LARGE, NULL, "run, setup, envs and images take over %d bytes", PAYLOAD_BYTES_MAX);
	}
	*group = draft->group;
	draft->spec.groups = group;
	draft->spec.n_groups = 1;
	draft->spec.payload = hash_of(bytes.data, bytes.len);
	if (!draft->spec.name)
		draft->spec.name = "job";
	*ret = (struct job_file){.spec = draft->spec, .payload = draft->payload};
	ret->payload_bytes.data = (uint8_t *)arena_strndup(form->arena, (const char *)bytes.data, bytes.len);
	ret->payload_bytes.len = ret->payload_bytes.cap = bytes.len;
	ret->secrets = draft->secrets.items;
	ret->n_secrets = draft->secrets.n;
	ret->warnings = form->warnings;
	ret->n_warnings = form->n_warnings;
	buf_done(&bytes);
	return 0;
}

int job_file_parse(const char *text, size_t len, struct arena *arena, struct job_file *ret, struct err *err)
{
	struct err scratch;
	struct form form = {.arena = arena, .err = err ? err : &scratch};
	struct job_draft draft = {0};

	if (job_draft_read(&form, text, len, &draft, NULL) < 0)
		return form.err->code;
	return finish(&form, &draft, ret);
}
