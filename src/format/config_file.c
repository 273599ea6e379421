/* SPDX-License-Identifier: Apache-2.0
 * config_file.c: configuration files; see pool_file.h. */
#include "format/form.h"
#include "format/pool_file.h"

enum { CONFIG_FILE_BYTES_MAX = 1 << 20, CONFIG_YAML_NODES_MAX = 10000 };

static int read_policy(struct form *form, const struct yaml *value, void *target)
{
	const char *words[POLICY_LAS + 1];
	uint32_t policy;

	for (int i = 0; i <= POLICY_LAS; i++)
		words[i] = policy_word((enum policy)i);
	if (form_word(form, value, words, POLICY_LAS + 1, &policy) < 0)
		return form->err->code;
	((struct config_spec *)target)->policy = (enum policy)policy;
	return 0;
}

static int read_reservations(struct form *form, const struct yaml *value, void *target)
{
	return form_u32(form, value, 0, 1, &((struct config_spec *)target)->reservations);
}

static int read_max_restarts(struct form *form, const struct yaml *value, void *target)
{
	return form_u32(form, value, 0, 1000000, &((struct config_spec *)target)->max_restarts);
}

static int read_kill_grace(struct form *form, const struct yaml *value, void *target)
{
	return form_duration(form, value, &((struct config_spec *)target)->kill_grace_us);
}

static int read_lease(struct form *form, const struct yaml *value, void *target)
{
	us_t lease;

	if (form_duration(form, value, &lease) < 0)
		return form->err->code;
	if (!lease)
		return form_fail(form, value, "expected more than 0");
	((struct config_spec *)target)->lease_us = lease;
	return 0;
}

static int read_jobs_max(struct form *form, const struct yaml *value, void *target)
{
	return form_uint(form, value, 1, UINT32_MAX - 1, &((struct config_spec *)target)->jobs_max);
}

static int read_history_after(struct form *form, const struct yaml *value, void *target)
{
	return form_duration(form, value, &((struct config_spec *)target)->history_after_us);
}

static int read_history_jobs_max(struct form *form, const struct yaml *value, void *target)
{
	return form_u32(form, value, 0, UINT32_MAX, &((struct config_spec *)target)->history_jobs_max);
}

static int read_seed(struct form *form, const struct yaml *value, void *target)
{
	return form_uint(form, value, 0, INT64_MAX, &((struct config_spec *)target)->seed);
}

static const struct form_key config_keys[] = {
	{"policy", read_policy},
	{"reservations", read_reservations},
	{"max_restarts", read_max_restarts},
	{"kill_grace", read_kill_grace},
	{"lease", read_lease},
	{"jobs_max", read_jobs_max},
	{"history_after", read_history_after},
	{"history_jobs_max", read_history_jobs_max},
	{"seed", read_seed},
};
static const struct form_table config_table = {config_keys, FORM_COUNT(config_keys), NULL, 0};

int config_file_parse(const char *text, size_t len, struct arena *arena, struct config_spec *ret, struct err *err)
{
	static const struct yaml_bounds bounds = {CONFIG_FILE_BYTES_MAX, CONFIG_YAML_NODES_MAX};
	struct err scratch;
	struct form form = {.arena = arena, .err = err ? err : &scratch};
	struct config_spec config = config_default();
	struct yaml *root = NULL;

	if (yaml_parse(text, len, &bounds, arena, &root, form.err) < 0)
		return form.err->code;
	if (root && !yaml_is_null(root) && form_map(&form, root, &config_table, &config) < 0)
		return form.err->code;
	*ret = config;
	return 0;
}
