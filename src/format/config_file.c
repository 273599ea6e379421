/* SPDX-License-Identifier: Apache-2.0
 * config_file.c: configuration files; see pool_file.h. */
#include <string.h>

#include "format/form.h"
#include "format/pool_file.h"

enum { CONFIG_FILE_BYTES_MAX = 1 << 20, CONFIG_YAML_NODES_MAX = 10000, SCORE_WEIGHT_MAX = 1000 };

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
	return form_u32(form, value, 0, RESERVATIONS_MAX, &((struct config_spec *)target)->reservations);
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

/* A duration, or `never`. */
static int read_duration_or_never(struct form *form, const struct yaml *value, us_t *ret)
{
	if (value->type == YAML_SCALAR && !strcmp(value->text, "never")) {
		*ret = US_NEVER;
		return 0;
	}
	return form_duration(form, value, ret);
}

static int read_starvation_after(struct form *form, const struct yaml *value, void *target)
{
	return read_duration_or_never(form, value, &((struct config_spec *)target)->starvation_after_us);
}

static int read_half_life(struct form *form, const struct yaml *value, void *target)
{
	us_t half_life;

	if (read_duration_or_never(form, value, &half_life) < 0)
		return form->err->code;
	if (!half_life)
		return form_fail(form, value, "expected more than 0, or never");
	((struct config_spec *)target)->half_life_us = half_life;
	return 0;
}

static int read_las_level(struct form *form, const struct yaml *value, void *target)
{
	us_t level;

	if (form_duration(form, value, &level) < 0)
		return form->err->code;
	if (!level)
		return form_fail(form, value, "expected more than 0");
	*(us_t *)target = level;
	return 0;
}

static int read_las_levels(struct form *form, const struct yaml *value, void *target)
{
	struct config_spec *config = target;
	us_t *levels = NULL;
	uint32_t n = 0;

	if (form_list(form, value, LAS_LEVELS_MAX, sizeof *levels, read_las_level, &levels, &n) < 0)
		return form->err->code;
	if (!n)
		return form_fail(form, value, "no levels; expected 1 to %d, such as [1h, 4h, 16h]", LAS_LEVELS_MAX);
	for (uint32_t i = 1; i < n; i++)
		if (levels[i] <= levels[i - 1])
			return form_fail(form, value, "not more than the one before; expected rising durations"),
			       form_within_index(form, value, i);
	memcpy(config->las_levels_us, levels, n * sizeof *levels);
	for (uint32_t i = n; i < LAS_LEVELS_MAX; i++)
		config->las_levels_us[i] = 0;
	config->n_las_levels = n;
	return 0;
}

static int read_cards_power(struct form *form, const struct yaml *value, void *target)
{
	uint64_t milli;

	if (form_scaled(form, value, 1000, false, 1000, &milli) < 0)
		return form->err->code;
	((struct config_spec *)target)->cards_power_milli = (uint32_t)milli;
	return 0;
}

static int read_finish(struct form *form, const struct yaml *value, void *target)
{
	return form_u32(form, value, 0, SCORE_WEIGHT_MAX, &((struct config_spec *)target)->finish_weight);
}

static int read_price(struct form *form, const struct yaml *value, void *target)
{
	return form_u32(form, value, 0, SCORE_WEIGHT_MAX, &((struct config_spec *)target)->price_weight);
}

static int read_balance(struct form *form, const struct yaml *value, void *target)
{
	return form_u32(form, value, 0, SCORE_WEIGHT_MAX, &((struct config_spec *)target)->balance_weight);
}

static int read_score(struct form *form, const struct yaml *value, void *target)
{
	static const struct form_key keys[] = {{"finish", read_finish}, {"price", read_price}, {"balance", read_balance}};
	static const struct form_table table = {keys, FORM_COUNT(keys), NULL, 0};

	return form_map(form, value, &table, target);
}

static int read_move_after(struct form *form, const struct yaml *value, void *target)
{
	return read_duration_or_never(form, value, &((struct config_spec *)target)->move_after_us);
}

static int read_move_gain(struct form *form, const struct yaml *value, void *target)
{
	uint64_t milli;

	if (form_scaled(form, value, 1000, false, 1000, &milli) < 0)
		return form->err->code;
	if (!milli)
		return form_fail(form, value, "expected more than 0, and at most 1");
	((struct config_spec *)target)->move_gain_milli = (uint32_t)milli;
	return 0;
}

static int read_move_least(struct form *form, const struct yaml *value, void *target)
{
	return form_duration(form, value, &((struct config_spec *)target)->move_least_us);
}

static int read_move(struct form *form, const struct yaml *value, void *target)
{
	static const struct form_key keys[] = {{"after", read_move_after}, {"gain", read_move_gain}, {"least", read_move_least}};
	static const struct form_table table = {keys, FORM_COUNT(keys), NULL, 0};

	return form_map(form, value, &table, target);
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
	{"starvation_after", read_starvation_after},
	{"half_life", read_half_life},
	{"las_levels", read_las_levels},
	{"cards_power", read_cards_power},
	{"score", read_score},
	{"move", read_move},
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
