/* SPDX-License-Identifier: Apache-2.0
 * simulated.c: a centre that runs nothing and behaves in real time as if it did: a start-up delay, the job's run time, failures.
 *
 *   released ──startup──► RUNNING ──run time, or its failure, or its limit──► ENDED
 *
 * What becomes of an attempt is a function of the seed, the attempt and the instant of its release, so after a restart of the
 * daemon it goes on as if there had been none, and what would have ended meanwhile ended when it would have. One thread keeps all
 * attempts in a tree by their next instant. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/tree.h"
#include "engine/engines.h"
#include "engine/files.h"
#include "engine/posted.h"
#include "engine/simulated_log.h"

enum { FAILURE_SCALE = 1000000, REWRITE_RECORDS_MIN = 10000, CODE_TERMINATED = 128 + SIGTERM };

struct sim_options {
	us_t startup_us, run_us;
	uint64_t failure_ppm; /* probability that an attempt fails, millionths */
	uint64_t seed;
};

/* What an attempt waits for. */
enum sim_stage { SIM_IDLE, SIM_STARTS, SIM_RUNS, SIM_OVER };

struct sim_attempt {
	struct simulated s;
	enum sim_stage stage;
	us_t due_us; /* when the stage ends; US_NEVER: not by itself */
	struct tree_node in_due;
	uint32_t place; /* in the table */
};

struct sim {
	struct posted posted; /* first */
	struct engine_sink sink;
	us_t (*now)(void);
	struct sim_options options;
	int dir;
	struct simulated_log log;
	struct sim_attempt **table;
	uint32_t n, cap;
	struct map index;
	struct tree due;
	struct sim_attempt **changed; /* to be reported once the log is on disk */
	uint32_t n_changed, changed_cap;
	us_t retry_at_us; /* when the log is to be tried again; 0: it is well */
	bool closing;
};

static struct sim *sim_of(struct engine *engine)
{
	return (struct sim *)engine;
}

static void sim_log_line(struct sim *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void sim_log_line(struct sim *e, const char *fmt, ...)
{
	char text[768];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	e->sink.log(e->sink.ctx, text);
}

/* ---- The table ---- */

static uint64_t key_of(uint32_t job, uint32_t attempt)
{
	return (uint64_t)job << 32 | attempt;
}

static struct sim_attempt *of_due(const struct tree_node *node)
{
	return tree_entry(node, struct sim_attempt, in_due);
}

static int compare_due(const struct tree_node *x, const struct tree_node *y)
{
	const struct sim_attempt *a = of_due(x), *b = of_due(y);
	uint64_t key_a = key_of(a->s.job, a->s.attempt), key_b = key_of(b->s.job, b->s.attempt);

	if (a->due_us != b->due_us)
		return a->due_us < b->due_us ? -1 : 1;
	return key_a < key_b ? -1 : key_a > key_b;
}

static struct sim_attempt *find_attempt(struct sim *e, uint32_t job, uint32_t attempt)
{
	uint32_t at = map_get(&e->index, key_of(job, attempt), UINT32_MAX);

	return at == UINT32_MAX ? NULL : e->table[at];
}

static struct sim_attempt *add_attempt(struct sim *e, const struct simulated *s)
{
	struct sim_attempt *a = mem_new(1, sizeof *a);
	void *table = e->table;

	assert(!find_attempt(e, s->job, s->attempt));
	*a = (struct sim_attempt){.s = *s, .due_us = US_NEVER, .place = e->n};
	mem_grow(&table, &e->cap, e->n, sizeof *e->table);
	e->table = table;
	e->table[e->n] = a;
	map_set(&e->index, key_of(s->job, s->attempt), e->n++);
	return a;
}

/* The next instant at which it changes by itself. */
static void set_due(struct sim *e, struct sim_attempt *a, us_t due_us)
{
	if (a->due_us != US_NEVER)
		tree_remove(&e->due, &a->in_due);
	a->due_us = due_us;
	if (due_us != US_NEVER)
		tree_insert(&e->due, &a->in_due, rng_mix(key_of(a->s.job, a->s.attempt)));
}

static void drop_attempt(struct sim *e, struct sim_attempt *a)
{
	struct sim_attempt *last = e->table[e->n - 1];

	set_due(e, a, US_NEVER);
	map_remove(&e->index, key_of(a->s.job, a->s.attempt));
	if (last != a) {
		e->table[a->place] = last;
		last->place = a->place;
		map_set(&e->index, key_of(last->s.job, last->s.attempt), last->place);
	}
	e->n--;
	free(a);
}

/* ---- What becomes of an attempt ---- */

static us_t started_us(const struct simulated *s)
{
	return us_add(s->released_us, s->startup_us);
}

/* When it ends if nobody ends it. */
static us_t ends_us(const struct simulated *s)
{
	us_t run = s->limit_us < s->run_us ? s->limit_us : s->run_us;

	return us_add(started_us(s), run);
}

/* Draws what the payload leaves open: a run time around the usual one, and whether it fails, and when. */
static void draw(const struct sim_options *options, const struct payload *payload, struct simulated *s)
{
	struct rng rng = {.state = rng_mix(options->seed ^ rng_mix(key_of(s->job, s->attempt)))};

	s->run_us = payload->simulated_run_us;
	if (s->run_us == US_NEVER) /* 75% to 125% of the usual */
		s->run_us = options->run_us - options->run_us / 4 + (us_t)rng_below(&rng, (uint64_t)options->run_us / 2 + 1);
	s->exit_code = payload->simulated_exit;
	if (s->exit_code == 0 && rng_below(&rng, FAILURE_SCALE) < options->failure_ppm) {
		s->exit_code = 1;
		s->run_us = (us_t)rng_below(&rng, (uint64_t)s->run_us + 1);
	}
}

/* ---- Reports ---- */

static void report(struct sim *e, const struct simulated *s, struct report r)
{
	r.job = s->job;
	r.attempt = s->attempt;
	e->sink.report(e->sink.ctx, &r);
}

static void report_end(struct sim *e, const struct simulated *s)
{
	us_t ends = s->released_us == US_NEVER ? US_NEVER : ends_us(s);
	bool ran = s->released_us != US_NEVER && started_us(s) <= s->killed_us;

	if (ran)
		report(e, s, (struct report){.state = ATTEMPT_RUNNING, .at_us = started_us(s), .native_id = "simulated"});
	if (s->killed_us <= ends)
		report(e, s,
		       (struct report){.state = ATTEMPT_ENDED,
		                       .at_us = s->killed_us,
		                       .cause = s->cause,
		                       .exit_code = ran ? CODE_TERMINATED : 0,
		                       .note = ran ? NULL : "it never started"});
	else if (s->limit_us < s->run_us)
		report(e, s,
		       (struct report){.state = ATTEMPT_ENDED,
		                       .at_us = ends,
		                       .cause = CAUSE_LIMIT,
		                       .exit_code = CODE_TERMINATED,
		                       .note = "over its time limit"});
	else
		report(e, s, (struct report){.state = ATTEMPT_ENDED, .at_us = ends, .cause = CAUSE_EXIT, .exit_code = s->exit_code});
}

/* Where it is now, and when to look again. */
static void settle(struct sim *e, struct sim_attempt *a)
{
	const struct simulated *s = &a->s;
	us_t now = e->now();

	if (s->killed_us != US_NEVER || (s->released_us != US_NEVER && ends_us(s) <= now)) {
		a->stage = SIM_OVER;
		set_due(e, a, US_NEVER);
		report_end(e, s);
	} else if (s->released_us == US_NEVER) {
		a->stage = SIM_IDLE;
		set_due(e, a, US_NEVER);
		report(e, s, (struct report){.state = ATTEMPT_HELD});
	} else if (started_us(s) > now) {
		a->stage = SIM_STARTS;
		set_due(e, a, started_us(s));
	} else {
		a->stage = SIM_RUNS;
		set_due(e, a, ends_us(s));
		report(e, s, (struct report){.state = ATTEMPT_RUNNING, .at_us = started_us(s), .native_id = "simulated"});
	}
}

/* ---- What the letters ask ---- */

/* What changed is told once the log is on disk. */
static void note_change(struct sim *e, struct sim_attempt *a)
{
	void *changed = e->changed;

	mem_grow(&changed, &e->changed_cap, e->n_changed, sizeof *e->changed);
	e->changed = changed;
	e->changed[e->n_changed++] = a;
}

static void do_hold(struct sim *e, struct letter *letter)
{
	struct sim_attempt *a = find_attempt(e, letter->job, letter->attempt);
	struct reader r = reader_of(letter->launch.data, letter->launch.len);
	struct simulated s = {
		.job = letter->job, .attempt = letter->attempt, .released_us = US_NEVER, .killed_us = US_NEVER, .held = true};

	if (!a) {
		s.run_us = read_int(&r);
		s.limit_us = read_int(&r);
		s.exit_code = (int32_t)read_int(&r);
		s.startup_us = e->options.startup_us;
		assert(!r.bad);
		a = add_attempt(e, &s);
		simulated_log_put(&e->log, &s, false);
	}
	note_change(e, a);
}

static void do_release(struct sim *e, struct letter *letter)
{
	struct sim_attempt *a = find_attempt(e, letter->job, letter->attempt);

	if (!a) {
		report(e, &(struct simulated){.job = letter->job, .attempt = letter->attempt},
		       (struct report){.state = ATTEMPT_LOST, .note = "it was held, and what was held is gone"});
		return;
	}
	if (a->s.released_us == US_NEVER && a->s.killed_us == US_NEVER) {
		a->s.released_us = e->now();
		simulated_log_put(&e->log, &a->s, false);
	}
	note_change(e, a);
}

/* Its processes end at once: there are none. */
static void do_kill(struct sim *e, struct letter *letter)
{
	struct sim_attempt *a = find_attempt(e, letter->job, letter->attempt);
	us_t now = e->now();

	if (!a)
		a = add_attempt(e, &(struct simulated){.job = letter->job,
		                                       .attempt = letter->attempt,
		                                       .run_us = US_NEVER,
		                                       .limit_us = US_NEVER,
		                                       .released_us = US_NEVER,
		                                       .killed_us = US_NEVER});
	if (a->s.killed_us == US_NEVER && (a->s.released_us == US_NEVER || ends_us(&a->s) > now)) {
		a->s.killed_us = now;
		a->s.cause = letter->cause;
		simulated_log_put(&e->log, &a->s, false);
	}
	note_change(e, a);
}

static void do_forget(struct sim *e, struct letter *letter)
{
	struct sim_attempt *a = find_attempt(e, letter->job, letter->attempt);

	if (!a)
		return;
	for (uint32_t i = 0; i < e->n_changed; i++) /* told already, or nobody asks any more */
		if (e->changed[i] == a)
			e->changed[i--] = e->changed[--e->n_changed];
	simulated_log_put(&e->log, &a->s, true);
	drop_attempt(e, a);
}

/* What was held here and the journal doesn't know as live is out: it is never started. */
static void drop_unknown(struct sim *e, const struct map *known)
{
	for (uint32_t i = e->n; i-- > 0;)
		if (!map_get(known, key_of(e->table[i]->s.job, e->table[i]->s.attempt), 0)) {
			simulated_log_put(&e->log, &e->table[i]->s, true);
			drop_attempt(e, e->table[i]);
		}
}

static void do_recover(struct sim *e, struct letter *letter)
{
	struct map known = {0};

	for (uint32_t i = 0; i < letter->n_known; i++)
		map_set(&known, key_of(letter->known[i].job, letter->known[i].attempt), 1);
	drop_unknown(e, &known);
	for (uint32_t i = 0; i < letter->n_known; i++) {
		const struct known *k = &letter->known[i];
		struct sim_attempt *a = find_attempt(e, k->job, k->attempt);

		if (a)
			note_change(e, a);
		else if (k->state != ATTEMPT_INTENT)
			report(e, &(struct simulated){.job = k->job, .attempt = k->attempt},
			       (struct report){.state = ATTEMPT_LOST, .note = "this simulated centre doesn't remember it"});
	}
	map_done(&known);
}

static void do_close(struct sim *e, struct letter *letter)
{
	(void)letter;
	e->closing = true;
}

static void (*const doers[LETTER_TYPE_COUNT])(struct sim *, struct letter *) = {
	[LETTER_RECOVER] = do_recover, [LETTER_HOLD] = do_hold,     [LETTER_RELEASE] = do_release,
	[LETTER_KILL] = do_kill,       [LETTER_FORGET] = do_forget, [LETTER_CLOSE] = do_close};

/* ---- The thread ---- */

static void put_all(void *ctx, struct simulated_log *log)
{
	struct sim *e = ctx;

	for (uint32_t i = 0; i < e->n; i++)
		simulated_log_put(log, &e->table[i]->s, false);
}

/* Nothing is reported that a restart could take back: first the log, then the reports. */
static void commit(struct sim *e)
{
	bool mostly_old = e->log.n_records > REWRITE_RECORDS_MIN && e->log.n_records / 4 > e->n;
	struct err err;
	int code = mostly_old ? simulated_log_rewrite(&e->log, put_all, e, &err) : simulated_log_sync(&e->log, &err);

	if (code) {
		if (!e->retry_at_us)
			sim_log_line(e, "%s: %s; tried again every second", err.subject, err.text);
		e->retry_at_us = e->now() + US_SECOND;
		return;
	}
	e->retry_at_us = 0;
	for (uint32_t i = 0; i < e->n_changed; i++)
		settle(e, e->changed[i]);
	e->n_changed = 0;
}

static void take_letters(struct sim *e)
{
	for (struct letter *letter = mailbox_take(&e->posted.box), *next; letter; letter = next) {
		next = letter->next;
		doers[letter->type](e, letter);
		letter_free(letter);
	}
}

/* Every attempt whose instant has come. One that was released or killed in memory only is not looked at: commit does. */
static void take_due(struct sim *e)
{
	us_t now = e->now();
	struct tree_node *first;

	while ((first = tree_first(&e->due)) && of_due(first)->due_us <= now)
		settle(e, of_due(first));
}

static us_t next_wake(const struct sim *e)
{
	const struct tree_node *first = tree_first(&e->due);
	us_t next = first ? of_due(first)->due_us : US_NEVER;

	return e->retry_at_us && e->retry_at_us < next ? e->retry_at_us : next;
}

static void wait_for_work(struct sim *e)
{
	struct pollfd wake = {.fd = e->posted.box.event_fd, .events = POLLIN};
	us_t next = next_wake(e), us = next == US_NEVER ? US_DAY : next - e->now();
	struct timespec timeout = {0};

	if (us > US_DAY)
		us = US_DAY;
	if (us > 0)
		timeout = (struct timespec){.tv_sec = us / US_SECOND, .tv_nsec = us % US_SECOND * 1000};
	ppoll(&wake, 1, &timeout, NULL);
}

static void *thread_main(void *arg)
{
	struct sim *e = arg;

	pthread_setname_np(pthread_self(), "simulated");
	while (!e->closing) {
		wait_for_work(e);
		take_letters(e);
		if (e->log.pending.len || e->n_changed)
			commit(e);
		take_due(e);
	}
	return NULL;
}

/* ---- Opening and closing ---- */

static int parse_us(const char *text, us_t *ret, struct err *err)
{
	int code = us_parse_duration(text, ret, err);

	if (!code && *ret > US_DURATION_MAX)
		return err_set(err, ERR_INVALID, NULL, "\"%.40s\": over 100 years", text);
	return code;
}

static int set_startup(struct sim_options *options, const char *value, struct err *err)
{
	return parse_us(value, &options->startup_us, err);
}

static int set_run(struct sim_options *options, const char *value, struct err *err)
{
	return parse_us(value, &options->run_us, err);
}

static int set_failure_rate(struct sim_options *options, const char *value, struct err *err)
{
	return units_parse_scaled(value, FAILURE_SCALE, false, FAILURE_SCALE, &options->failure_ppm, err);
}

static int set_seed(struct sim_options *options, const char *value, struct err *err)
{
	char *end;

	errno = 0;
	options->seed = strtoull(value, &end, 10);
	if (errno || end == value || *end || value[0] == '-')
		return err_set(err, ERR_INVALID, NULL, "\"%.40s\": expected a whole number, 0 or more", value);
	return 0;
}

static const struct {
	const char *key;
	int (*set)(struct sim_options *options, const char *value, struct err *err);
} settings[] = {{"startup", set_startup}, {"run", set_run}, {"failure_rate", set_failure_rate}, {"seed", set_seed}};

static int read_option(struct sim_options *options, const struct option_spec *option, struct err *err)
{
	char subject[64];
	int code;

	snprintf(subject, sizeof subject, "engine.%.48s", option->key);
	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
		if (strcmp(settings[i].key, option->key) != 0)
			continue;
		code = settings[i].set(options, option->value, err);
		return code ? err_within(err, subject) : 0;
	}
	return err_set(err, ERR_INVALID, subject, "not an option of a simulated centre: it has startup, run, failure_rate, seed");
}

static void remember(void *ctx, const struct simulated *s, bool forgotten)
{
	struct sim *e = ctx;
	struct sim_attempt *a = find_attempt(e, s->job, s->attempt);

	if (forgotten && a)
		drop_attempt(e, a);
	else if (!forgotten && a)
		a->s = *s;
	else if (!forgotten)
		add_attempt(e, s);
}

/* Signals are the host's: our thread takes none. */
static int start_thread(struct sim *e, struct err *err)
{
	sigset_t all, before;
	int number;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	number = pthread_create(&e->posted.thread, NULL, thread_main, e);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = number;
	return number ? err_from_errno(err, "engine", "no thread can be had") : 0;
}

static int open_parts(struct sim *e, const struct engine_config *config, struct err *err)
{
	int code = 0;

	for (uint32_t i = 0; i < config->centre->n_options && !code; i++)
		code = read_option(&e->options, &config->centre->options[i], err);
	if (!code)
		code = mailbox_init(&e->posted.box, err);
	if (code)
		return code;
	e->dir = folder_open(AT_FDCWD, config->state_dir, err);
	if (e->dir < 0)
		return e->dir;
	code = simulated_log_open(&e->log, e->dir, remember, e, err);
	return code ? code : start_thread(e, err);
}

static void free_parts(struct sim *e)
{
	while (e->n)
		drop_attempt(e, e->table[e->n - 1]);
	simulated_log_close(&e->log);
	if (e->dir >= 0)
		close(e->dir);
	if (e->posted.box.last)
		mailbox_done(&e->posted.box);
	map_done(&e->index);
	free(e->table);
	free(e->changed);
	free(e);
}

static int sim_open(const struct engine_config *config, const struct engine_sink *sink, struct engine **ret, struct err *err)
{
	struct sim *e = mem_new(1, sizeof *e);
	int code;

	*ret = NULL;
	*e = (struct sim){
		.posted.engine.ops = &engine_simulated,
		.sink = *sink,
		.now = config->now,
		.options = {.startup_us = US_SECOND, .run_us = 10 * US_SECOND, .seed = config->seed},
		.dir = -1,
		.log.fd = -1,
		.due.compare = compare_due,
	};
	code = open_parts(e, config, err);
	if (code) {
		free_parts(e);
		return code;
	}
	*ret = &e->posted.engine;
	return 0;
}

static struct engine *sim_close(struct engine *engine)
{
	struct sim *e = engine ? sim_of(engine) : NULL;

	if (!e)
		return NULL;
	posted_stop(&e->posted);
	free_parts(e);
	return NULL;
}

/* ---- The calls ---- */

static int sim_hold(struct engine *engine, const struct launch *launch, struct err *err)
{
	struct sim *e = sim_of(engine);
	struct letter *letter = letter_new(LETTER_HOLD, launch->job, launch->attempt);
	struct simulated s = {.job = launch->job, .attempt = launch->attempt};

	draw(&e->options, launch->payload, &s);
	buf_put_int(&letter->launch, s.run_us);
	buf_put_int(&letter->launch, launch->limit_us);
	buf_put_int(&letter->launch, s.exit_code);
	return mailbox_put(&e->posted.box, letter, err);
}

static int sim_log_open(struct engine *engine, uint32_t job, uint32_t attempt, uint32_t rank, int *ret_fd, struct err *err)
{
	int fd = memfd_create("log", MFD_CLOEXEC);

	(void)engine;
	if (fd < 0)
		return err_from_errno(err, "log", "can't be made");
	dprintf(fd, "simulated: nothing ran; job %" PRIu32 ", attempt %" PRIu32 ", node %" PRIu32 " printed nothing\n", job, attempt,
	        rank);
	lseek(fd, 0, SEEK_SET);
	*ret_fd = fd;
	return 0;
}

const struct engine_ops engine_simulated = {
	.type = "simulated",
	.capabilities = CAN_EXACT_CARDS | CAN_FRACTIONS | CAN_BARE | CAN_IMAGES | CAN_LOGS | CAN_SIGNALS | CAN_START_ONCE |
                    CAN_LIMIT | IS_SIMULATED,
	.open = sim_open,
	.recover = posted_recover,
	.hold = sim_hold,
	.release = posted_release,
	.kill = posted_kill,
	.forget = posted_forget,
	.log_open = sim_log_open,
	.close = sim_close,
};
