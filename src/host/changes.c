/* SPDX-License-Identifier: Apache-2.0
 * changes.c: what the files say now against what the journal knew; see changes.h.
 *
 * Each thing that they say is a line, and what only one of the two has is a change: no field is compared by name, so none
 * can be forgotten but in its description. */
#include "host/changes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- Lines ---- */

static void line_end(struct buf *lines)
{
	buf_put_u8(lines, 0);
}

/* " NAME AMOUNT", in units; nothing where it isn't stated. */
static void put_milli(struct buf *lines, const char *name, uint64_t milli, uint64_t unset)
{
	char text[32];

	if (milli != unset)
		buf_printf(lines, " %s %s", name, units_format_milli(milli, text, sizeof text));
}

static void put_number(struct buf *lines, const char *name, uint64_t number)
{
	if (number)
		buf_printf(lines, " %s %" PRIu64, name, number);
}

static void describe_kind(const struct kind_spec *kind, struct buf *lines)
{
	buf_printf(lines, "kind %s: %s, %s, %s", kind->name, kind->vendor ? kind->vendor : "", card_class_word(kind->class),
	           kind->measured ? "measured" : "nominal");
	put_number(lines, "memory_mib", kind->memory_mib);
	for (int p = 0; p < PRECISION_COUNT; p++)
		put_number(lines, precision_word((enum precision)p), kind->gflops[p]);
	put_number(lines, "bandwidth_gbps", kind->bandwidth_gbps);
	put_number(lines, "watts", kind->watts);
	buf_printf(lines, ", by %s", kind->source ? kind->source : "");
	line_end(lines);
}

static void describe_nodes(const char *centre, const struct line_spec *nodes, struct buf *lines)
{
	buf_printf(lines, "centre %s: %" PRIu32 " nodes", centre, nodes->count);
	if (nodes->kind)
		buf_printf(lines, " with %" PRIu32 " %s", nodes->cards, nodes->kind);
	put_milli(lines, "cpus", nodes->cpus_milli, UNCOUNTED);
	if (nodes->memory_mib != UNCOUNTED)
		buf_printf(lines, " memory_mib %" PRIu32, nodes->memory_mib);
	put_number(lines, "nodes_per_rack", nodes->nodes_per_rack);
	put_number(lines, "racks_per_pod", nodes->racks_per_pod);
	line_end(lines);
}

static void describe_centre(const struct centre_spec *centre, struct buf *lines)
{
	buf_printf(lines, "centre %s: region %s, engine %s", centre->name, centre->region ? centre->region : "", centre->engine);
	for (uint32_t i = 0; i < centre->n_options; i++)
		buf_printf(lines, " %s=%s", centre->options[i].key, centre->options[i].value);
	buf_printf(lines, ", at %" PRId32 ",%" PRId32 " udeg, abilities 0x%" PRIx32, centre->latitude_udeg, centre->longitude_udeg,
	           centre->capabilities);
	put_milli(lines, "pue", centre->pue_milli, 0);
	line_end(lines);
	for (uint32_t i = 0; i < centre->n_prices; i++) {
		buf_printf(lines, "centre %s: price of %s a card-hour, in millionths: %" PRIu64, centre->name, centre->prices[i].kind,
		           centre->prices[i].micros);
		line_end(lines);
	}
	for (uint32_t i = 0; i < centre->n_lines; i++)
		describe_nodes(centre->name, &centre->lines[i], lines);
}

static void describe_link(const struct link_spec *link, struct buf *lines)
{
	buf_printf(lines, "link %s: %s to %s,", link->name, link->ends[0], link->ends[1]);
	put_number(lines, "mbps", link->mbps);
	put_number(lines, "latency_us", link->latency_us);
	put_number(lines, "price_micros_per_tib", link->price_micros_per_tib);
	line_end(lines);
}

static void describe_project(const struct project_spec *project, struct buf *lines)
{
	buf_printf(lines, "project %s:", project->name);
	put_milli(lines, "weight", project->weight_milli, UINT64_MAX);
	buf_printf(lines, ", parent %s, cohort %s", project->parent ? project->parent : "none",
	           project->cohort ? project->cohort : "none");
	line_end(lines);
	for (uint32_t i = 0; i < project->n_quotas; i++) {
		const struct quota_spec *quota = &project->quotas[i];

		buf_printf(lines, "project %s: %s", project->name, quota->kind);
		put_milli(lines, "nominal_quota", quota->nominal_milli, AMOUNT_NONE);
		put_milli(lines, "borrowing_limit", quota->borrowing_milli, AMOUNT_NONE);
		put_milli(lines, "lending_limit", quota->lending_milli, AMOUNT_NONE);
		line_end(lines);
	}
}

void changes_describe_pool(const struct pool_spec *spec, struct buf *lines)
{
	buf_printf(lines, "pool %s, currency %s", spec->name, spec->currency ? spec->currency : "none");
	line_end(lines);
	for (uint32_t i = 0; i < spec->n_kinds; i++)
		describe_kind(&spec->kinds[i], lines);
	for (uint32_t i = 0; i < spec->n_centres; i++)
		describe_centre(&spec->centres[i], lines);
	for (uint32_t i = 0; i < spec->n_links; i++)
		describe_link(&spec->links[i], lines);
	for (uint32_t i = 0; i < spec->n_projects; i++)
		describe_project(&spec->projects[i], lines);
}

static void put_duration(struct buf *lines, const char *name, us_t us)
{
	char text[32];

	buf_printf(lines, "%s: %s", name, us == US_NEVER ? "never" : us_format_duration(us, text, sizeof text));
	line_end(lines);
}

static void put_setting(struct buf *lines, const char *name, uint64_t value)
{
	buf_printf(lines, "%s: %" PRIu64, name, value);
	line_end(lines);
}

void changes_describe_config(const struct config_spec *config, struct buf *lines)
{
	char name[32];

	buf_printf(lines, "policy: %s", policy_word(config->policy));
	line_end(lines);
	put_setting(lines, "reservations", config->reservations);
	put_setting(lines, "max_restarts", config->max_restarts);
	put_duration(lines, "kill_grace", config->kill_grace_us);
	put_duration(lines, "lease", config->lease_us);
	put_duration(lines, "history_after", config->history_after_us);
	put_setting(lines, "history_jobs_max", config->history_jobs_max);
	put_setting(lines, "jobs_max", config->jobs_max);
	put_setting(lines, "seed", config->seed);
	put_duration(lines, "starvation_after", config->starvation_after_us);
	put_duration(lines, "half_life", config->half_life_us);
	for (uint32_t i = 0; i < config->n_las_levels; i++) {
		snprintf(name, sizeof name, "las_levels[%" PRIu32 "]", i);
		put_duration(lines, name, config->las_levels_us[i]);
	}
	buf_printf(lines, "cards_power: %s", units_format_milli(config->cards_power_milli, name, sizeof name));
	line_end(lines);
	put_setting(lines, "score.finish", config->finish_weight);
	put_setting(lines, "score.price", config->price_weight);
	put_setting(lines, "score.balance", config->balance_weight);
	put_duration(lines, "move.after", config->move_after_us);
	buf_printf(lines, "move.gain: %s", units_format_milli(config->move_gain_milli, name, sizeof name));
	line_end(lines);
	put_duration(lines, "move.least", config->move_least_us);
}

/* ---- What only one of them has ---- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The lines of a text in the order of the alphabet. *ret_n: how many. */
static const char **sorted(const struct buf *lines, uint32_t *ret_n)
{
	const char **list, *at = (const char *)lines->data, *end = at + lines->len;
	uint32_t n = 0;

	for (size_t i = 0; i < lines->len; i++)
		n += !lines->data[i];
	list = mem_new(n + 1, sizeof *list);
	for (uint32_t i = 0; at < end; at += strlen(at) + 1)
		list[i++] = at;
	if (n)
		qsort(list, n, sizeof *list, by_text);
	*ret_n = n;
	return list;
}

uint32_t changes_between(const struct buf *before, const struct buf *after,
                         void (*show)(void *ctx, bool is_new, const char *line), void *ctx)
{
	uint32_t n_old, n_new, changes = 0;
	const char **old = sorted(before, &n_old), **new = sorted(after, &n_new);

	for (uint32_t i = 0, k = 0; i < n_old || k < n_new;) {
		int order = i == n_old ? 1 : k == n_new ? -1 : strcmp(old[i], new[k]);

		if (order && changes++ < CHANGES_SHOWN_MAX)
			show(ctx, order > 0, order > 0 ? new[k] : old[i]);
		i += order <= 0;
		k += order >= 0;
	}
	free(old);
	free(new);
	return changes;
}
