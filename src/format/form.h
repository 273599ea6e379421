/* SPDX-License-Identifier: Apache-2.0
 * form.h: maps of keys into structures, by tables.
 *
 * A form is filled from a map: a table says for each key who reads its value, another which keys of other
 * programs are only warned of or refused. An error names the key's path and line without its reader doing anything:
 * each level puts its key in front while the error passes. A key without a value (null) is as if it weren't there. */
#ifndef SUAN_FORMAT_FORM_H
#define SUAN_FORMAT_FORM_H

#include "base/arena.h"
#include "base/units.h"
#include "format/yaml.h"

/* What goes through the reading of one file. */
struct form {
	struct arena *arena;
	struct err *err; /* never NULL */
	const char **warnings;
	uint32_t n_warnings, warnings_cap;
};

enum { FORM_WARNINGS_MAX = 100 }; /* more are dropped */

/* A key that is honoured. target: what the caller of form_map filled in gives. Returns 0 or form->err->code. */
struct form_key {
	const char *name;
	int (*read)(struct form *form, const struct yaml *value, void *target);
};

/* What happens to a key or an option of another program that isn't honoured. */
enum verdict { VERDICT_WARNED, VERDICT_REFUSED };

struct form_rule {
	const char *name;
	enum verdict verdict;
	const char *why; /* goes on from the name: "there is no ...; use ..." */
};

struct form_table {
	const struct form_key *keys;
	uint32_t n_keys;
	const struct form_rule *rules;
	uint32_t n_rules;
};

#define FORM_COUNT(array) ((uint32_t)(sizeof(array) / sizeof *(array)))

/* Reads a map's members in their order. */
int form_map(struct form *form, const struct yaml *map, const struct form_table *table, void *target);

/* Reads a list's elements: allocates n × size zeroed bytes, and calls read with each. max: at most that many.
 * *ret and *ret_n are set on success. */
int form_list(struct form *form, const struct yaml *list, uint32_t max, size_t size,
              int (*read)(struct form *form, const struct yaml *value, void *target), void *ret, uint32_t *ret_n);

/* Sets the error, at the node's line. Returns ERR_INVALID. */
int form_fail(struct form *form, const struct yaml *at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
#define form_fail(...) err_is_failure(form_fail(__VA_ARGS__))
/* Puts an index or a key in front of the error's subject, and the line where it has none. Returns its code. */
int form_within(struct form *form, const struct yaml *at, const char *prefix);
int form_within_index(struct form *form, const struct yaml *at, uint32_t index);
/* Adds one sentence. */
void form_warn(struct form *form, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* One value each; on failure the error is set, and *ret unchanged. */
int form_text(struct form *form, const struct yaml *value, const char **ret); /* any scalar but null */
int form_name(struct form *form, const struct yaml *value, const char **ret); /* as spec_name_ok */
int form_uint(struct form *form, const struct yaml *value, uint64_t min, uint64_t max, uint64_t *ret);
int form_u32(struct form *form, const struct yaml *value, uint32_t min, uint32_t max, uint32_t *ret);
int form_bool(struct form *form, const struct yaml *value, bool *ret);
int form_duration(struct form *form, const struct yaml *value, us_t *ret);
/* value × scale; see units_parse_scaled. */
int form_scaled(struct form *form, const struct yaml *value, uint64_t scale, bool round_up, uint64_t max, uint64_t *ret);
/* GiB, decimal, as MiB. plus: "64+" is read as 64. */
int form_memory(struct form *form, const struct yaml *value, bool round_up, bool plus, uint32_t *ret_mib);
/* Thousandths of CPUs. */
int form_cpus(struct form *form, const struct yaml *value, bool round_up, bool plus, uint32_t *ret_milli);
/* One of some words; *ret is its place. */
int form_word(struct form *form, const struct yaml *value, const char *const *words, uint32_t n, uint32_t *ret);

/* The text `, did you mean "x"?` in the arena where a name is near, else "". */
const char *form_did_you_mean(struct form *form, const char *word, const char *const *names, uint32_t n);

#endif
