/* SPDX-License-Identifier: Apache-2.0
 * timeline.c: one scenario, run, and told as lines; see timeline.h. */
#include "timeline.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "format/job_file.h"
#include "format/pool_file.h"
#include "sim/world.h"

enum { FILE_BYTES_MAX = 1 << 20 };

/* What a job of the scenario does once it runs. */
struct script {
	us_t run_us, overrun_us;
	int32_t exit_code;
};

struct timeline {
	const char *folder;
	struct world *world;
	struct buf *out;
	struct arena arena;     /* of the scenario */
	struct script *scripts; /* by job */
	uint32_t n_scripts, scripts_cap;
	struct script submitting;
	uint32_t *promised, n_promised, promised_cap; /* jobs that hold promises, in the order in which these were made */
	us_t overrun_us;                              /* of the next job */
	uint32_t line;
};

int timeline_read_file(const char *path, struct buf *ret, struct err *err)
{
	FILE *file = fopen(path, "re");
	char chunk[4096];
	size_t n;

	if (!file)
		return err_set(err, ERR_IO, path, "%s", strerror(errno));
	while ((n = fread(chunk, 1, sizeof chunk, file)) > 0 && ret->len < FILE_BYTES_MAX)
		buf_put(ret, chunk, n);
	fclose(file);
	buf_put(ret, "", 1);
	ret->len--;
	return 0;
}

/* ---- Telling ---- */

static void say(struct timeline *t, us_t at_us, uint32_t job, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* The beginning of a line: when, and which job (0: none). */
static void say(struct timeline *t, us_t at_us, uint32_t job, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	if (at_us % US_SECOND)
		buf_printf(t->out, "[%12.6fs] ", (double)at_us / US_SECOND);
	else
		buf_printf(t->out, "[%5" PRId64 "s] ", at_us / US_SECOND);
	if (job)
		buf_printf(t->out, "job %" PRIu32 ": ", job);
	buf_printf(t->out, "%s", text);
}

static void say_amounts(struct timeline *t, const struct core *core, const struct request *r)
{
	char number[32];

	if (r->kind != KIND_NONE)
		buf_printf(t->out, "%s:%s", pool_kind_name(core_pool(core), r->kind),
		           units_format_milli(r->cards_milli, number, sizeof number));
	if (r->cpus_milli)
		buf_printf(t->out, "%s%s CPUs", r->kind != KIND_NONE ? " + " : "",
		           units_format_milli(r->cpus_milli, number, sizeof number));
	if (r->memory_mib)
		buf_printf(t->out, " + %" PRIu32 " MiB", r->memory_mib);
	if (r->image)
		buf_printf(t->out, " in an image");
	if (r->centre != CENTRE_ANY)
		buf_printf(t->out, " at %s", pool_centre_name(core_pool(core), r->centre));
}

static void say_needs(struct timeline *t, const struct core *core, const struct submitted *s)
{
	char limit[32];

	if (s->group.nodes > 1)
		buf_printf(t->out, "%" PRIu32 " nodes of ", s->group.nodes);
	for (uint32_t i = 0; i < s->group.n_requests; i++) {
		buf_printf(t->out, "%s", i == 0 ? "" : s->group.ordered ? ", else " : " or ");
		say_amounts(t, core, &s->group.requests[i]);
	}
	if (s->group.hard && s->group.highest < TIER_CENTRE)
		buf_printf(t->out, " in one %s", tier_word(s->group.highest));
	if (s->limit_us != US_NEVER)
		buf_printf(t->out, ", at most %s", us_format_duration(s->limit_us, limit, sizeof limit));
	if (s->priority != JOB_PRIORITY_DEFAULT)
		buf_printf(t->out, ", priority %" PRIu32, s->priority);
	for (uint32_t i = 0; i < s->n_array; i++) {
		buf_printf(t->out, ", %s%" PRIu32 "-%" PRIu32, i ? "" : "array ", s->array[i].first, s->array[i].last);
		if (s->array[i].step > 1)
			buf_printf(t->out, " by %" PRIu32, s->array[i].step);
	}
	if (s->array_parallel_max)
		buf_printf(t->out, ", %" PRIu32 " at once", s->array_parallel_max);
	for (uint32_t i = 0; i < s->n_dependencies; i++)
		buf_printf(t->out, ", after job %" PRIu32 "%s", s->dependencies[i].job,
		           s->dependencies[i].when == AFTER_OK ? " completes" : " ends");
	if (s->begin_us)
		buf_printf(t->out, ", not before %" PRId64 "s", s->begin_us / US_SECOND);
}

/* "cards 0-2,7", or "0.5 of card 3". */
static void say_cards(struct timeline *t, const struct task *task)
{
	char number[32];
	const char *comma = "";

	if (!task->cards_milli)
		return;
	if (task->cards_milli < CARD_MILLI) {
		buf_printf(t->out, " (%s of card %d)", units_format_milli(task->cards_milli, number, sizeof number),
		           __builtin_ctzll(task->cards));
		return;
	}
	buf_printf(t->out, " (cards ");
	for (int first = 0, last; first < 64; first = last + 1) {
		last = first;
		if (!(task->cards >> first & 1))
			continue;
		while (last + 1 < 64 && task->cards >> (last + 1) & 1)
			last++;
		buf_printf(t->out, last > first ? "%s%d-%d" : "%s%d", comma, first, last);
		comma = ",";
	}
	buf_printf(t->out, ")");
}

/* "tianjin/0-3 (cards 0-7), tianjin/6 (cards 0-3)": nodes in a row with the same cards are told together. */
static void say_where(struct timeline *t, const struct core *core, const struct plan *plan)
{
	for (uint32_t i = 0, next; i < plan->n_tasks; i = next) {
		const struct task *first = &plan->tasks[i];

		for (next = i + 1; next < plan->n_tasks; next++)
			if (plan->tasks[next].node != first->node + (next - i) || plan->tasks[next].cards != first->cards)
				break;
		buf_printf(t->out, "%s%s/%" PRIu32, i ? ", " : "", pool_centre_name(core_pool(core), first->centre), first->node);
		if (next > i + 1)
			buf_printf(t->out, "-%" PRIu32, first->node + (next - i) - 1);
		say_cards(t, first);
	}
}

/* A job that waits first has been promised something, or no longer is: as events say it, so that what a step promises after it
 * placed a job doesn't count. Those for whom others make room go before anybody anyway. */
static void note_promise(struct timeline *t, uint32_t job, bool is_promised)
{
	uint32_t i = 0;

	while (i < t->n_promised && t->promised[i] != job)
		i++;
	if (is_promised && i == t->n_promised) {
		mem_grow((void **)&t->promised, &t->promised_cap, t->n_promised, sizeof *t->promised);
		t->promised[t->n_promised++] = job;
	} else if (!is_promised && i < t->n_promised) {
		memmove(&t->promised[i], &t->promised[i + 1], (--t->n_promised - i) * sizeof *t->promised);
	}
}

/* The job that was promised something first, where another passes it; 0: none, or the other was promised something itself. */
static uint32_t passed_over(const struct timeline *t, uint32_t number)
{
	for (uint32_t i = 0; i < t->n_promised; i++)
		if (t->promised[i] == number)
			return 0;
	return t->n_promised ? t->promised[0] : 0;
}

/* When a job that is placed now is over by its own limit. */
static us_t job_ends(const struct core *core, uint32_t number)
{
	const struct job *job = core_job(core, number);

	return job->limit_us == US_NEVER ? US_NEVER : us_add(job->placed_us, job->limit_us);
}

static void tell_placed(struct timeline *t, const struct core *core, const struct placed *p, us_t at_us)
{
	uint32_t number = p->array ? p->array : p->job; /* that stood in line */
	uint32_t passed = passed_over(t, number);

	note_promise(t, number, false);

	say(t, at_us, p->job, "placed on ");
	say_where(t, core, &p->plan);
	if (p->array)
		buf_printf(t->out, ", element %" PRIu32 " of job %" PRIu32, p->index, p->array);
	if (p->attempt > 1)
		buf_printf(t->out, ", attempt %" PRIu32, p->attempt);
	if (passed)
		buf_printf(t->out, ", before job %" PRIu32 " (backfill)", passed);
	if (job_ends(core, p->job) != p->plan.until_us)
		buf_printf(t->out, ", lent until %" PRId64 "s", p->plan.until_us / US_SECOND);
	buf_printf(t->out, "\n");
}

static void tell_ended(struct timeline *t, const struct ended *e, us_t at_us)
{
	say(t, at_us, e->job, "%s", e->then == JOB_QUEUED ? "ended, and waits again" : job_state_word(e->then));
	if (e->cause == CAUSE_EXIT && e->exit_code)
		buf_printf(t->out, " (exit code %" PRId32 ")", e->exit_code);
	else if (e->cause != CAUSE_EXIT)
		buf_printf(t->out, " (%s)", cause_word(e->cause));
	buf_printf(t->out, "\n");
}

static void tell_reserved(struct timeline *t, const struct core *core, const struct event *event)
{
	const struct plan *plan = &event->reserved.plan;
	char start[32] = "no known time";

	if (plan->start_us != US_NEVER)
		snprintf(start, sizeof start, "%" PRId64 "s", plan->start_us / US_SECOND);
	say(t, event->at_us, event->reserved.job, "reserved at %s on ", start);
	say_where(t, core, plan);
	buf_printf(t->out, " (%s)", cause_word(event->reserved.cause));
	for (uint32_t i = 0; i < event->reserved.n_victims; i++)
		buf_printf(t->out, "%s job %" PRIu32, i ? "," : ", which makes room:", event->reserved.victims[i]);
	buf_printf(t->out, "\n");
}

static void tell_node(struct timeline *t, const struct core *core, const struct event *e)
{
	say(t, e->at_us, 0, "%s/%" PRIu32, pool_centre_name(core_pool(core), e->node.centre), e->node.range.first);
	if (e->node.range.last > e->node.range.first)
		buf_printf(t->out, "-%" PRIu32, e->node.range.last);
	buf_printf(t->out, " %s\n", e->node.state == NODE_UP ? "is up" : e->node.state == NODE_DOWN ? "is down" : "is cordoned");
}

static void tell_booked(struct timeline *t, const struct core *core, const struct booked *b, us_t at_us)
{
	say(t, at_us, 0, "%s %" PRIu32 ", \"%s\"", *b->project ? "booking" : "drain", b->booking, b->name);
	if (*b->project)
		buf_printf(t->out, " for %s", b->project);
	for (uint32_t i = 0; i < b->n_ranges; i++)
		buf_printf(t->out, "%s %s/%" PRIu32 "-%" PRIu32, i ? "," : ":", pool_centre_name(core_pool(core), b->centre),
		           b->ranges[i].first, b->ranges[i].last);
	buf_printf(t->out, " from %" PRId64 "s", b->from_us / US_SECOND);
	if (b->until_us != US_NEVER)
		buf_printf(t->out, " until %" PRId64 "s", b->until_us / US_SECOND);
	buf_printf(t->out, "\n");
}

static void tell_aged(struct timeline *t, const struct event *e)
{
	if (e->aged.level)
		say(t, e->at_us, e->aged.job, "is at level %" PRIu32 "%s%s\n", e->aged.level,
		    e->aged.preemptible ? ", and may be preempted" : "", e->aged.movable ? ", and moved" : "");
	else if (e->aged.movable)
		say(t, e->at_us, e->aged.job, "may be preempted, and moved, from now on\n");
	else
		say(t, e->at_us, e->aged.job, "may be preempted from now on\n");
}

static void tell_moving(struct timeline *t, const struct core *core, const struct event *e)
{
	for (uint32_t i = 0; i < e->moving.n; i++) {
		const struct move *m = &e->moving.moves[i];

		say(t, e->at_us, m->job, "is moved at %" PRId64 "s to ", m->plan.start_us / US_SECOND);
		say_where(t, core, &m->plan);
		buf_printf(t->out, " of %s", pool_kind_name(core_pool(core), m->plan.kind));
		if (e->moving.n > 1)
			buf_printf(t->out, ", as job %" PRIu32 " leaves", e->moving.moves[1 - i].job);
		buf_printf(t->out, "\n");
	}
}

static void see(void *ctx, const struct core *core, const struct event *event)
{
	struct timeline *t = ctx;

	switch (event->type) {
	case EVENT_SUBMITTED:
		while (t->n_scripts <= event->submitted.job) {
			mem_grow((void **)&t->scripts, &t->scripts_cap, t->n_scripts, sizeof *t->scripts);
			t->scripts[t->n_scripts++] = (struct script){0};
		}
		t->scripts[event->submitted.job] = t->submitting;
		say(t, event->at_us, event->submitted.job, "submitted, \"%s\": ", event->submitted.name);
		say_needs(t, core, &event->submitted);
		buf_printf(t->out, "\n");
		break;
	case EVENT_ELIGIBLE: say(t, event->at_us, event->eligible.job, "may start\n"); break;
	case EVENT_PLACED: tell_placed(t, core, &event->placed, event->at_us); break;
	case EVENT_STOPPING:
		say(t, event->at_us, event->stopping.job, "is being stopped (%s)\n", cause_word(event->stopping.cause));
		break;
	case EVENT_ENDED:
		tell_ended(t, &event->ended, event->at_us);
		note_promise(t, event->ended.job, false);
		break;
	case EVENT_RESERVED:
		tell_reserved(t, core, event);
		note_promise(t, event->reserved.job, event->reserved.n_victims == 0);
		break;
	case EVENT_UNRESERVED:
		note_promise(t, event->unreserved.job, false);
		say(t, event->at_us, event->unreserved.job, "reservation gone (%s)\n", cause_word(event->unreserved.cause));
		break;
	case EVENT_CENTRE:
		say(t, event->at_us, 0, "centre %s %s\n", pool_centre_name(core_pool(core), event->centre.centre),
		    event->centre.silent ? "is silent" : "is heard again");
		break;
	case EVENT_POOL:
		say(t, event->at_us, 0, "the pool is %s\n", event->pool.name);
		t->n_promised = 0;
		break;
	case EVENT_NODE: tell_node(t, core, event); break;
	case EVENT_BOOKED: tell_booked(t, core, &event->booked, event->at_us); break;
	case EVENT_UNBOOKED:
		say(t, event->at_us, 0, "booking %" PRIu32 " is over (%s)\n", event->unbooked.booking, cause_word(event->unbooked.cause));
		break;
	case EVENT_MOVING: tell_moving(t, core, event); break;
	case EVENT_AGED: tell_aged(t, event); break;
	case EVENT_EXTENDED: say(t, event->at_us, event->extended.job, "keeps what it was lent\n"); break;
	case EVENT_CONFIG:
	case EVENT_ATTEMPT:
	case EVENT_BOUND:
	case EVENT_FORGOTTEN:
	case EVENT_BACKLOG:
	case EVENT_TYPE_COUNT: break;
	}
}

/* ---- Running ---- */

static struct fate fate_of(void *ctx, const struct core *core, const struct job *job)
{
	const struct timeline *t = ctx;
	uint32_t number = job->array_of ? job->array_of : job->id;

	(void)core;
	return (struct fate){.run_us = t->scripts[number].run_us,
	                     .overrun_us = t->scripts[number].overrun_us,
	                     .state = ATTEMPT_ENDED,
	                     .cause = CAUSE_EXIT,
	                     .exit_code = t->scripts[number].exit_code};
}

static void settled(void *ctx, const struct core *core, us_t now_us)
{
	(void)ctx, (void)now_us;
	core_check(core);
}

static int do_submit(struct timeline *t, us_t at_us, char *words, struct err *err)
{
	struct job_file file;
	struct err why = {0};
	uint32_t job;
	int code = job_file_parse(words, strlen(words), &t->arena, &file, err);

	if (code < 0)
		return code;
	t->submitting = (struct script){file.payload.simulated_run_us, t->overrun_us, file.payload.simulated_exit};
	t->overrun_us = 0;
	code = world_submit(t->world, at_us, &file.spec, &job, &why);
	if (code == ERR_CORRUPT) {
		*err = why;
		return code;
	}
	if (code < 0) {
		say(t, at_us, 0, "refused, \"%s\": %s: %s\n", file.spec.name, why.subject, why.text);
	}
	return 0;
}

static int do_pool(struct timeline *t, us_t at_us, char *name, struct err *err)
{
	struct buf text = {0};
	struct pool_spec pool;
	struct centre_spec *centres;
	const char *const *warnings;
	uint32_t n_warnings;
	int code = timeline_read_file(arena_printf(&t->arena, "%s/%s", t->folder, name), &text, err);

	if (code == 0)
		code = pool_file_parse((const char *)text.data, text.len, NULL, NULL, &t->arena, &pool, &warnings, &n_warnings, err);
	buf_done(&text);
	if (code < 0)
		return code;
	centres = arena_new(&t->arena, pool.n_centres, sizeof *centres);
	memcpy(centres, pool.centres, pool.n_centres * sizeof *centres);
	for (uint32_t i = 0; i < pool.n_centres; i++)
		centres[i].capabilities = CAN_EXACT_CARDS | CAN_FRACTIONS | CAN_IMAGES | CAN_BARE | CAN_START_ONCE | CAN_LIMIT |
		                          IS_SIMULATED;
	pool.centres = centres;
	return world_input(t->world, &(struct input){.type = INPUT_POOL, .now_us = at_us, .pool = &pool}, err);
}

static int parse_config(struct timeline *t, const char *path, struct config_spec *config, struct err *err)
{
	struct buf text = {0};
	int code = timeline_read_file(path, &text, err);

	if (code == 0)
		code = config_file_parse((const char *)text.data, text.len, &t->arena, config, err);
	buf_done(&text);
	return code;
}

static int do_config(struct timeline *t, us_t at_us, char *name, struct err *err)
{
	struct config_spec config = config_default();
	int code = parse_config(t, arena_printf(&t->arena, "%s/%s", t->folder, name), &config, err);

	if (code < 0)
		return code;
	say(t, at_us, 0, "the configuration is %s\n", name);
	return world_input(t->world, &(struct input){.type = INPUT_CONFIG, .now_us = at_us, .config = &config}, err);
}

static int do_cancel(struct timeline *t, us_t at_us, char *words, struct err *err)
{
	struct input input = {.type = INPUT_CANCEL, .now_us = at_us, .who = "somebody"};
	struct err why = {0};
	int code;

	input.cancel.job = (uint32_t)strtoul(words, NULL, 10);
	say(t, at_us, input.cancel.job, "canceled by somebody\n");
	code = world_input(t->world, &input, &why);
	if (code == ERR_CORRUPT)
		*err = why;
	else if (code < 0)
		say(t, at_us, 0, "refused: %s: %s\n", why.subject, why.text);
	return code == ERR_CORRUPT ? code : 0;
}

static int report(struct timeline *t, us_t at_us, uint32_t number, enum attempt_state state, int32_t exit_code, struct err *err)
{
	const struct job *job = core_job(world_core(t->world), number);
	struct input input = {.type = INPUT_REPORT, .now_us = at_us};

	if (!job || !job_is_live(job))
		return err_set(err, ERR_NOT_FOUND, "job", "%" PRIu32 ": it isn't running then", number);
	input.report = (struct report){.job = number,
	                               .attempt = job->attempt,
	                               .state = state,
	                               .at_us = at_us,
	                               .cause = state == ATTEMPT_ENDED ? CAUSE_EXIT : CAUSE_LOST,
	                               .exit_code = exit_code};
	return world_input(t->world, &input, err);
}

static int do_end(struct timeline *t, us_t at_us, char *words, struct err *err)
{
	unsigned job;
	int exit_code = 0;

	if (sscanf(words, "%u exit %d", &job, &exit_code) < 1)
		return err_set(err, ERR_INVALID, "end", "expected a job's number");
	return report(t, at_us, job, ATTEMPT_ENDED, exit_code, err);
}

static int do_late(struct timeline *t, us_t at_us, char *words, struct err *err)
{
	(void)at_us;
	return us_parse_duration(words, &t->overrun_us, err);
}

static int do_slow(struct timeline *t, us_t at_us, char *words, struct err *err)
{
	us_t kill_us;

	(void)at_us;
	if (us_parse_duration(words, &kill_us, err) < 0)
		return err->code;
	world_slow(t->world, kill_us);
	return 0;
}

static int do_lose(struct timeline *t, us_t at_us, char *words, struct err *err)
{
	return report(t, at_us, (uint32_t)strtoul(words, NULL, 10), ATTEMPT_LOST, 0, err);
}

static int hear(struct timeline *t, us_t at_us, const char *name, bool silent, struct err *err)
{
	struct input input = {.type = INPUT_CENTRE, .now_us = at_us};

	input.centre.centre = pool_find_centre(core_pool(world_core(t->world)), name);
	input.centre.silent = silent;
	if (input.centre.centre == NODE_NONE)
		return err_set(err, ERR_NOT_FOUND, "centre", "\"%s\"", name);
	return world_input(t->world, &input, err);
}

static int do_silent(struct timeline *t, us_t at_us, char *words, struct err *err)
{
	return hear(t, at_us, words, true, err);
}

static int do_heard(struct timeline *t, us_t at_us, char *words, struct err *err)
{
	return hear(t, at_us, words, false, err);
}

/* "tianjin/0-3" as a centre's name, in place, and its nodes. */
static int read_nodes(char *words, const char **ret_centre, struct node_range *ret, struct err *err)
{
	char *nodes = strchr(words, '/');
	int n;

	if (!nodes)
		return err_set(err, ERR_INVALID, NULL, "\"%s\": expected CENTRE/FIRST-LAST", words);
	*nodes++ = 0;
	*ret_centre = words;
	n = sscanf(nodes, "%u-%u", &ret->first, &ret->last);
	if (n == 1)
		ret->last = ret->first;
	return n < 1 ? err_set(err, ERR_INVALID, NULL, "\"%s\": expected FIRST-LAST", nodes) : 0;
}

static int mark_nodes(struct timeline *t, us_t at_us, char *words, enum node_state state, struct err *err)
{
	struct input input = {.type = INPUT_NODE, .now_us = at_us, .who = "somebody"};

	input.node.state = state;
	if (read_nodes(words, &input.node.centre, &input.node.range, err) < 0)
		return err->code;
	return world_input(t->world, &input, err);
}

static int do_cordon(struct timeline *t, us_t at_us, char *words, struct err *err)
{
	return mark_nodes(t, at_us, words, NODE_CORDONED, err);
}

static int do_down(struct timeline *t, us_t at_us, char *words, struct err *err)
{
	return mark_nodes(t, at_us, words, NODE_DOWN, err);
}

static int do_up(struct timeline *t, us_t at_us, char *words, struct err *err)
{
	return mark_nodes(t, at_us, words, NODE_UP, err);
}

/* CENTRE/FIRST-LAST FROM UNTIL [PROJECT] */
static int book_nodes(struct timeline *t, us_t at_us, char *words, const char *name, struct err *err)
{
	char *nodes = strsep(&words, " "), *from = strsep(&words, " "), *until = strsep(&words, " ");
	struct booking_spec spec = {.name = name, .project = words, .until_us = US_NEVER, .n_ranges = 1};
	struct node_range range;
	struct err why = {0};
	int code;

	if (!until)
		return err_set(err, ERR_INVALID, NULL, "expected nodes, from when, until when");
	if (read_nodes(nodes, &spec.centre, &range, err) < 0 || us_parse_duration(from, &spec.from_us, err) < 0 ||
	    (strcmp(until, "never") && us_parse_duration(until, &spec.until_us, err) < 0))
		return err->code;
	spec.ranges = &range;
	code = world_input(t->world, &(struct input){.type = INPUT_BOOK, .now_us = at_us, .who = "somebody", .book = &spec}, &why);
	if (code == ERR_CORRUPT)
		*err = why;
	else if (code < 0)
		say(t, at_us, 0, "refused, \"%s\": %s: %s\n", name, why.subject, why.text);
	return code == ERR_CORRUPT ? code : 0;
}

static int do_book(struct timeline *t, us_t at_us, char *words, struct err *err)
{
	return book_nodes(t, at_us, words, "booking", err);
}

static int do_drain(struct timeline *t, us_t at_us, char *words, struct err *err)
{
	return book_nodes(t, at_us, words, "drain", err);
}

static int do_unbook(struct timeline *t, us_t at_us, char *words, struct err *err)
{
	struct input input = {.type = INPUT_UNBOOK, .now_us = at_us, .who = "somebody"};

	input.unbook.booking = (uint32_t)strtoul(words, NULL, 10);
	return world_input(t->world, &input, err);
}

static const struct {
	const char *word;
	int (*act)(struct timeline *t, us_t at_us, char *words, struct err *err);
} acts[] = {
	{"submit", do_submit}, {"cancel", do_cancel}, {"end", do_end},     {"lose", do_lose},
	{"late", do_late},     {"silent", do_silent}, {"heard", do_heard}, {"pool", do_pool},
	{"cordon", do_cordon}, {"down", do_down},     {"up", do_up},       {"book", do_book},
	{"drain", do_drain},   {"unbook", do_unbook}, {"slow", do_slow},   {"config", do_config},
};

static int do_line(struct timeline *t, char *line, struct err *err)
{
	char *when, *word;
	us_t at_us;
	int code;

	line += strspn(line, " \t");
	if (!*line || *line == '#')
		return 0;
	when = strsep(&line, " \t");
	line += line ? strspn(line, " \t") : 0;
	word = line ? strsep(&line, " \t") : NULL;
	if (!line)
		return err_set(err, ERR_INVALID, NULL, "expected an instant, a word, and what it is about");
	line += strspn(line, " \t");
	if (us_parse_duration(when, &at_us, err) < 0)
		return err->code;
	code = world_run(t->world, at_us, err);
	for (size_t i = 0; code == 0 && i < sizeof acts / sizeof *acts; i++)
		if (!strcmp(acts[i].word, word))
			return acts[i].act(t, at_us, line, err);
	return code < 0 ? code : err_set(err, ERR_INVALID, NULL, "\"%s\": no such thing happens", word);
}

/* What is left when nothing can change any more. */
static void tell_rest(struct timeline *t)
{
	const struct core *core = world_core(t->world);

	for (const struct job *job = core_job_after(core, 0); job; job = core_job_after(core, job->id)) {
		struct explanation why;

		if (job_is_over(job))
			continue;
		buf_printf(t->out, "[  end ] job %" PRIu32 ": %s", job->id, job_state_word(core_job_state(core, job)));
		if (job->state == JOB_QUEUED && core_explain(core, job->id, core_now(core), &why, NULL) == 0)
			buf_printf(t->out, " (%s)", reason_word(why.reason));
		buf_printf(t->out, "\n");
	}
}

/* A scenario may have a configuration of its own. */
static int read_config(struct timeline *t, struct config_spec *config, struct err *err)
{
	const char *path = arena_printf(&t->arena, "%s/config.yaml", t->folder);

	return access(path, R_OK) == 0 ? parse_config(t, path, config, err) : 0;
}

static int run(struct timeline *t, struct err *err)
{
	struct config_spec config = config_default();
	struct buf steps = {0};
	int code = timeline_read_file(arena_printf(&t->arena, "%s/steps", t->folder), &steps, err);

	if (code == 0)
		code = read_config(t, &config, err);
	if (code == 0)
		code = world_input(t->world, &(struct input){.type = INPUT_CONFIG, .config = &config}, err);
	if (code == 0)
		code = do_pool(t, 0, (char[]){"pool.yaml"}, err);
	t->out->len = 0; /* the pool that it starts with is no news */
	for (char *line, *rest = (char *)steps.data; code == 0 && (line = strsep(&rest, "\n"));) {
		t->line++;
		code = do_line(t, line, err);
	}
	if (code == 0)
		code = world_run(t->world, US_NEVER, err);
	if (code < 0)
		err->line = t->line;
	buf_done(&steps);
	return code;
}

int timeline_run(const char *folder, struct buf *ret, struct err *err)
{
	struct timeline t = {.folder = folder, .out = ret};
	int code;

	t.world = world_new(&(struct world_config){.ctx = &t, .fate = fate_of, .see = see, .settled = settled});
	code = run(&t, err);
	if (code == 0)
		tell_rest(&t);
	world_free(t.world);
	free(t.scripts);
	free(t.promised);
	arena_done(&t.arena);
	return code;
}
