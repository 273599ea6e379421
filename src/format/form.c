/* SPDX-License-Identifier: Apache-2.0
 * form.c: maps of keys into structures, by tables; see form.h. */
#include "format/form.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/pool.h"
#include "core/spec.h"

static const char *type_words[] = {[YAML_SCALAR] = "a value", [YAML_LIST] = "a list", [YAML_MAP] = "a map of keys"};

int(form_fail)(struct form *form, const struct yaml *at, const char *fmt, ...)
{
	char text[sizeof form->err->text];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	err_set(form->err, ERR_INVALID, NULL, "%s", text);
	form->err->line = at ? at->line : 0;
	return ERR_INVALID;
}

int form_within(struct form *form, const struct yaml *at, const char *prefix)
{
	if (!form->err->line)
		form->err->line = at->line;
	return err_within(form->err, prefix);
}

int form_within_index(struct form *form, const struct yaml *at, uint32_t index)
{
	char prefix[16];

	snprintf(prefix, sizeof prefix, "[%" PRIu32 "]", index);
	return form_within(form, at, prefix);
}

void form_warn(struct form *form, const char *fmt, ...)
{
	char text[512];
	va_list args;

	if (form->n_warnings == FORM_WARNINGS_MAX)
		return;
	if (!form->warnings)
		form->warnings = arena_new(form->arena, FORM_WARNINGS_MAX, sizeof *form->warnings);
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	for (uint32_t i = 0; i < form->n_warnings; i++)
		if (!strcmp(form->warnings[i], text))
			return;
	form->warnings[form->n_warnings++] = arena_strdup(form->arena, text);
}

const char *form_did_you_mean(struct form *form, const char *word, const char *const *names, uint32_t n)
{
	const char *near = spec_nearest(word, names, n);

	return near ? arena_printf(form->arena, ", did you mean \"%s\"?", near) : "";
}

/* A key that no table has. */
static int unknown_key(struct form *form, const struct yaml *member, const struct form_table *table)
{
	const char **names = arena_new(form->arena, table->n_keys + 1, sizeof *names);
	const char *hint;

	for (uint32_t i = 0; i < table->n_keys; i++)
		names[i] = table->keys[i].name;
	hint = form_did_you_mean(form, member->key, names, table->n_keys);
	if (*hint || table->n_keys > 12)
		return form_fail(form, member, "unknown key%s", hint);
	hint = arena_strdup(form->arena, names[0]);
	for (uint32_t i = 1; i < table->n_keys; i++)
		hint = arena_printf(form->arena, "%s, %s", hint, names[i]);
	return form_fail(form, member, "unknown key; expected %s%s", table->n_keys > 1 ? "one of " : "", hint);
}

static int read_by_rule(struct form *form, const struct yaml *member, const struct form_table *table)
{
	for (uint32_t i = 0; i < table->n_rules; i++) {
		const struct form_rule *rule = &table->rules[i];

		if (strcmp(rule->name, member->key) != 0)
			continue;
		if (rule->verdict == VERDICT_REFUSED)
			return form_fail(form, member, "not supported: %s", rule->why);
		form_warn(form, "%s is ignored (line %" PRIu32 "): %s", rule->name, member->line, rule->why);
		return 0;
	}
	return unknown_key(form, member, table);
}

static int read_member(struct form *form, const struct yaml *member, const struct form_table *table, void *target)
{
	for (uint32_t i = 0; i < table->n_keys; i++)
		if (!strcmp(table->keys[i].name, member->key))
			return yaml_is_null(member) ? 0 : table->keys[i].read(form, member, target);
	return read_by_rule(form, member, table);
}

int form_map(struct form *form, const struct yaml *map, const struct form_table *table, void *target)
{
	if (map->type != YAML_MAP)
		return form_fail(form, map, "%s; expected a map of keys", type_words[map->type]);
	for (const struct yaml *m = map->first; m; m = m->next)
		if (read_member(form, m, table, target) < 0)
			return form_within(form, m, m->key);
	return 0;
}

int form_list(struct form *form, const struct yaml *list, uint32_t max, size_t size,
              int (*read)(struct form *form, const struct yaml *value, void *target), void *ret, uint32_t *ret_n)
{
	char *array;
	uint32_t i = 0;

	if (list->type != YAML_LIST)
		return form_fail(form, list, "%s; expected a list", type_words[list->type]);
	if (list->n > max)
		return form_fail(form, list, "%" PRIu32 " elements; expected at most %" PRIu32, list->n, max);
	array = arena_new(form->arena, list->n, size);
	for (const struct yaml *m = list->first; m; m = m->next, i++)
		if (read(form, m, array + i * size) < 0)
			return form_within_index(form, m, i);
	memcpy(ret, &array, sizeof array);
	*ret_n = list->n;
	return 0;
}

int form_text(struct form *form, const struct yaml *value, const char **ret)
{
	if (value->type != YAML_SCALAR)
		return form_fail(form, value, "%s; expected a single value", type_words[value->type]);
	if (yaml_is_null(value))
		return form_fail(form, value, "no value");
	*ret = value->text;
	return 0;
}

int form_name(struct form *form, const struct yaml *value, const char **ret)
{
	const char *text;

	if (form_text(form, value, &text) < 0)
		return form->err->code;
	if (!spec_name_ok(text))
		return form_fail(
			form, value,
			"\"%.60s\": expected a name: 1 to %d bytes, without line breaks, control characters, quotes, or blanks at its ends",
			text, NAME_LEN_MAX);
	*ret = text;
	return 0;
}

int form_scaled(struct form *form, const struct yaml *value, uint64_t scale, bool round_up, uint64_t max, uint64_t *ret)
{
	const char *text;

	if (form_text(form, value, &text) < 0)
		return form->err->code;
	return units_parse_scaled(text, scale, round_up, max, ret, form->err);
}

int form_uint(struct form *form, const struct yaml *value, uint64_t min, uint64_t max, uint64_t *ret)
{
	const char *text;
	uint64_t number;

	if (form_text(form, value, &text) < 0)
		return form->err->code;
	if (!*text || text[strspn(text, "0123456789")] || units_parse_scaled(text, 1, false, max, &number, form->err) < 0 ||
	    number < min)
		return form_fail(form, value, "\"%.60s\": expected a whole number from %" PRIu64 " to %" PRIu64, text, min, max);
	*ret = number;
	return 0;
}

int form_u32(struct form *form, const struct yaml *value, uint32_t min, uint32_t max, uint32_t *ret)
{
	uint64_t number;

	if (form_uint(form, value, min, max, &number) < 0)
		return form->err->code;
	*ret = (uint32_t)number;
	return 0;
}

int form_bool(struct form *form, const struct yaml *value, bool *ret)
{
	static const char *const words[] = {"false", "true"};
	uint32_t which;

	if (form_word(form, value, words, 2, &which) < 0)
		return form->err->code;
	*ret = which;
	return 0;
}

int form_duration(struct form *form, const struct yaml *value, us_t *ret)
{
	const char *text;

	if (form_text(form, value, &text) < 0)
		return form->err->code;
	return us_parse_duration(text, ret, form->err);
}

/* A number that may end in "+", which says "or more" and is what any amount means anyway. */
static int read_amount(struct form *form, const struct yaml *value, uint64_t scale, bool round_up, bool plus, uint64_t max,
                       uint64_t *ret)
{
	const char *text;
	size_t len;

	if (form_text(form, value, &text) < 0)
		return form->err->code;
	len = strlen(text);
	if (plus && len && text[len - 1] == '+')
		text = arena_strndup(form->arena, text, len - 1);
	return units_parse_scaled(text, scale, round_up, max, ret, form->err);
}

int form_memory(struct form *form, const struct yaml *value, bool round_up, bool plus, uint32_t *ret_mib)
{
	uint64_t micros, max = (uint64_t)(UNCOUNTED - 1) / 1024 * 1000000;

	if (read_amount(form, value, 1000000, round_up, plus, max, &micros) < 0)
		return form->err->code;
	*ret_mib = (uint32_t)((micros * 1024 + (round_up ? 999999 : 0)) / 1000000);
	return 0;
}

int form_cpus(struct form *form, const struct yaml *value, bool round_up, bool plus, uint32_t *ret_milli)
{
	uint64_t milli;

	if (read_amount(form, value, 1000, round_up, plus, UNCOUNTED - 1, &milli) < 0)
		return form->err->code;
	*ret_milli = (uint32_t)milli;
	return 0;
}

int form_word(struct form *form, const struct yaml *value, const char *const *words, uint32_t n, uint32_t *ret)
{
	const char *text, *list = words[0], *hint;

	if (form_text(form, value, &text) < 0)
		return form->err->code;
	for (uint32_t i = 0; i < n; i++) {
		if (!strcmp(words[i], text)) {
			*ret = i;
			return 0;
		}
	}
	for (uint32_t i = 1; i < n; i++)
		list = arena_printf(form->arena, "%s%s%s", list, i + 1 < n ? ", " : " or ", words[i]);
	hint = form_did_you_mean(form, text, words, n);
	return form_fail(form, value, "\"%.60s\": expected %s%s", text, list, hint);
}
