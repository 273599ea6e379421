/* SPDX-License-Identifier: Apache-2.0
 * resources.c: what a node of a job needs, and its alternatives.
 *
 * As in SkyPilot, each alternative of any_of or ordered is laid over the keys beside it, and several accelerators
 * are several ways again. All of them together are the requests of the job's one group. */
#include <inttypes.h>
#include <string.h>

#include "format/job_draft.h"

int cards_count_parse(const char *text, uint32_t *ret_milli, struct err *err)
{
	uint64_t micros;

	if (units_parse_scaled(text, 1000000, true, (uint64_t)1000000 * 1000000, &micros, err) < 0)
		return err->code;
	if (micros > (uint64_t)CARDS_PER_NODE_MAX * 1000000)
		return err_set(err, ERR_INVALID, NULL, "\"%.60s\": a node has at most %d cards; ask for more nodes (num_nodes)", text,
		               CARDS_PER_NODE_MAX);
	if (micros > 1000000 && micros % 1000000)
		return err_set(err, ERR_INVALID, NULL, "\"%.60s\": expected whole cards, or a share of one card below 1", text);
	if (micros % 1000)
		return err_set(err, ERR_INVALID, NULL, "\"%.60s\": a share of a card is counted in thousandths", text);
	if (!micros)
		return err_set(err, ERR_INVALID, NULL, "\"%.60s\": expected more than 0 cards; leave accelerators out for none", text);
	*ret_milli = (uint32_t)(micros / 1000);
	return 0;
}

/* One card need from its kind and, where it has one, its number. */
static int set_cards(struct form *form, const struct yaml *at, const char *kind, const char *count, struct cards_need *ret)
{
	if (!spec_name_ok(kind))
		return form_fail(form, at, "\"%.60s\": expected NAME or NAME:COUNT, such as h800:8", kind);
	ret->kind = strcmp(kind, "any") != 0 && strcmp(kind, "*") != 0 ? kind : "*";
	ret->milli = CARD_MILLI;
	return count ? cards_count_parse(count, &ret->milli, form->err) : 0;
}

/* "NAME:COUNT" or "NAME". */
static int split_cards(struct form *form, const struct yaml *at, const char *text, struct cards_need *ret)
{
	const char *colon = strchr(text, ':');

	if (!colon)
		return set_cards(form, at, text, NULL, ret);
	return set_cards(form, at, arena_strndup(form->arena, text, (size_t)(colon - text)), colon + 1, ret);
}

static int read_cards_text(struct form *form, const struct yaml *value, void *target)
{
	const char *text;

	if (form_text(form, value, &text) < 0)
		return form->err->code;
	return split_cards(form, value, text, target);
}

/* {h800:8, a800:8} (keys without values, a set) or {h800: 8}. */
static int read_cards_set(struct form *form, const struct yaml *map, struct need *need)
{
	struct cards_need *cards = arena_new(form->arena, map->n, sizeof *cards);
	uint32_t n = 0;

	for (const struct yaml *m = map->first; m; m = m->next) {
		const char *count = NULL;
		int rc;

		if (yaml_is_null(m))
			rc = split_cards(form, m, m->key, &cards[n++]);
		else if ((rc = form_text(form, m, &count)) == 0)
			rc = set_cards(form, m, m->key, count, &cards[n++]);
		if (rc < 0)
			return form_within(form, m, m->key);
	}
	need->cards = cards;
	need->n_cards = n;
	need->cards_ordered = false;
	return 0;
}

static int read_accelerators(struct form *form, const struct yaml *value, void *target)
{
	struct need *need = target;
	struct cards_need *one;

	if (value->n > JOB_REQUESTS_MAX)
		return form_fail(form, value, "%" PRIu32 " kinds; expected at most %d", value->n, JOB_REQUESTS_MAX);
	if (value->type != YAML_SCALAR && !value->n)
		return form_fail(form, value, "empty; name a kind of card, or leave the key out");
	if (value->type == YAML_MAP)
		return read_cards_set(form, value, need);
	if (value->type == YAML_LIST) {
		need->cards_ordered = true;
		return form_list(form, value, JOB_REQUESTS_MAX, sizeof *need->cards, read_cards_text, &need->cards, &need->n_cards);
	}
	one = arena_new(form->arena, 1, sizeof *one);
	if (read_cards_text(form, value, one) < 0)
		return form->err->code;
	need->cards = one;
	need->n_cards = 1;
	need->cards_ordered = false;
	return 0;
}

static int read_speeds(struct form *form, const struct yaml *value, void *target)
{
	struct need *need = target;
	struct speed_need *speeds = arena_new(form->arena, value->n, sizeof *speeds);
	uint32_t n = 0;

	if (value->type != YAML_MAP || value->n > POOL_KINDS_MAX)
		return form_fail(form, value, "expected a map of kinds and speeds, such as {h800: 1.0, ascend-910b2: 0.8}");
	for (const struct yaml *m = value->first; m; m = m->next) {
		uint64_t milli;

		if (form_scaled(form, m, 1000, false, 1000000, &milli) < 0)
			return form_within(form, m, m->key);
		if (!milli)
			return form_fail(form, m, "expected a speed over 0"), form_within(form, m, m->key);
		speeds[n++] = (struct speed_need){m->key, (uint32_t)milli};
	}
	need->speeds = speeds;
	need->n_speeds = n;
	return 0;
}

static int read_cpus(struct form *form, const struct yaml *value, void *target)
{
	return form_cpus(form, value, true, true, &((struct need *)target)->cpus_milli);
}

static int read_memory(struct form *form, const struct yaml *value, void *target)
{
	return form_memory(form, value, true, true, &((struct need *)target)->memory_mib);
}

static int read_infra(struct form *form, const struct yaml *value, void *target)
{
	return form_name(form, value, &((struct need *)target)->centre);
}

static int read_image(struct form *form, const struct yaml *value, void *target)
{
	const char *text;

	if (form_text(form, value, &text) < 0)
		return form->err->code;
	if (!*text || strlen(text) > 512 ||
	    text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/:@+")])
		return form_fail(form, value, "\"%.60s\": expected an image such as docker:registry.example/train:1", text);
	((struct need *)target)->image = text;
	return 0;
}

static int read_alternatives(struct form *form, const struct yaml *value, void *target)
{
	struct need *need = target;

	if (value->type != YAML_LIST || !value->n || value->n > JOB_REQUESTS_MAX)
		return form_fail(form, value,
		                 "expected a list of 1 to %d alternatives, such as [{accelerators: h800:8}, {accelerators: a800:8}]",
		                 JOB_REQUESTS_MAX);
	need->alternatives = value;
	need->ordered = !strcmp(value->key, "ordered");
	return 0;
}

static const struct form_key resources_keys[] = {
	{"accelerators", read_accelerators},
	{"any_of", read_alternatives},
	{"ordered", read_alternatives},
	{"cpus", read_cpus},
	{"memory", read_memory},
	{"memory_gib", read_memory},
	{"infra", read_infra},
	{"image_id", read_image},
	{"relative_speed", read_speeds},
};

const struct form_table resources_table = {resources_keys, FORM_COUNT(resources_keys), resources_rules, RESOURCES_RULES};

/* An empty any_of or ordered is as good as none, as in a template that leaves room for some. */
static const struct yaml *filled(const struct yaml *map, const char *key)
{
	const struct yaml *member = yaml_member(map, key);

	return member && !yaml_is_null(member) ? member : NULL;
}

static int read_need(struct form *form, const struct yaml *map, struct need *need)
{
	if (filled(map, "memory") && filled(map, "memory_gib"))
		return form_fail(form, map, "memory and memory_gib are the same; expected one of them");
	if (filled(map, "any_of") && filled(map, "ordered"))
		return form_fail(form, map, "any_of and ordered exclude each other; expected one of them");
	return form_map(form, map, &resources_table, need);
}

int resources_read(struct form *form, const struct yaml *value, void *target)
{
	return read_need(form, value, &((struct job_draft *)target)->need);
}

/* The requests of the group, as they come. */
struct request_list {
	struct request_spec items[JOB_REQUESTS_MAX];
	uint32_t n;
	bool ordered;
};

static int speed_of(struct form *form, const struct need *need, const char *kind, uint32_t *ret)
{
	*ret = 1000;
	if (need->n_speeds && !strcmp(kind, "*"))
		return form_fail(form, NULL, "relative_speed is of kinds; expected accelerators that name them instead of any");
	for (uint32_t i = 0; i < need->n_speeds; i++)
		if (!strcmp(need->speeds[i].kind, kind))
			*ret = need->speeds[i].milli;
	return 0;
}

static int add_request(struct form *form, const struct need *need, const struct cards_need *cards, struct request_list *list)
{
	struct request_spec *request = &list->items[list->n];
	bool bare = !cards;

	if (list->n == JOB_REQUESTS_MAX)
		return form_fail(form, NULL, "more than %d kinds and alternatives in all", JOB_REQUESTS_MAX);
	*request = (struct request_spec){.centre = need->centre, .image = need->image, .speed_milli = 1000};
	request->cpus_milli = need->cpus_milli != NEED_UNSET ? need->cpus_milli : bare ? 1000 : 0;
	request->memory_mib = need->memory_mib != NEED_UNSET ? need->memory_mib : 0;
	if (cards) {
		request->kind = cards->kind;
		request->cards_milli = cards->milli;
		if (speed_of(form, need, cards->kind, &request->speed_milli) < 0)
			return form->err->code;
	}
	list->n++;
	return 0;
}

static int add_requests(struct form *form, const struct need *need, struct request_list *list)
{
	if (!need->n_cards)
		return add_request(form, need, NULL, list);
	for (uint32_t i = 0; i < need->n_cards; i++)
		if (add_request(form, need, &need->cards[i], list) < 0)
			return form->err->code;
	return 0;
}

static int add_alternative(struct form *form, const struct yaml *alternative, const struct need *base, struct request_list *list)
{
	struct need need = *base;

	need.alternatives = NULL;
	if (read_need(form, alternative, &need) < 0)
		return form->err->code;
	if (need.alternatives)
		return form_fail(form, need.alternatives, "an alternative has no alternatives of its own");
	if (need.n_cards > 1 && need.cards_ordered != list->ordered)
		return form_fail(form, alternative,
		                 need.cards_ordered
		                     ? "a list of accelerators has an order and any_of has none; write a set {a, b}, or ordered"
		                     : "a set of accelerators has no order; write a list [a, b] in ordered");
	return add_requests(form, &need, list);
}

static int add_alternatives(struct form *form, const struct need *need, struct request_list *list)
{
	uint32_t i = 0;

	for (const struct yaml *m = need->alternatives->first; m; m = m->next, i++) {
		if (add_alternative(form, m, need, list) < 0) {
			form_within_index(form, m, i);
			return form_within(form, need->alternatives, need->alternatives->key);
		}
	}
	return 0;
}

static void warn_of_unused_speeds(struct form *form, const struct need *need, const struct request_list *list)
{
	for (uint32_t i = 0; i < need->n_speeds; i++) {
		bool used = false;

		for (uint32_t r = 0; r < list->n; r++)
			used |= list->items[r].kind && !strcmp(list->items[r].kind, need->speeds[i].kind);
		if (!used)
			form_warn(form, "relative_speed of %.60s is ignored: the job doesn't ask for that kind", need->speeds[i].kind);
	}
}

int resources_finish(struct form *form, struct job_draft *draft)
{
	struct request_list *list = arena_new(form->arena, 1, sizeof *list);
	const struct need *need = &draft->need;
	int rc;

	list->ordered = need->alternatives ? need->ordered : need->cards_ordered;
	rc = need->alternatives ? add_alternatives(form, need, list) : add_requests(form, need, list);
	if (rc < 0)
		return err_within(form->err, "resources");
	warn_of_unused_speeds(form, need, list);
	draft->group.requests = list->items;
	draft->group.n_requests = list->n;
	draft->group.ordered = list->ordered && list->n > 1;
	return 0;
}
