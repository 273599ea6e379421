/* SPDX-License-Identifier: Apache-2.0
 * suan.c: the command line. One table of verbs; what they share of options and complaints.
 *
 * Answers go to standard output, everything else to standard error. */
#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/suan_print.h"
#include "core/pool.h"

struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *usage; /* what follows the name */
	const char *brief; /* one line of `suan help` */
	const char *help;  /* the rest of `suan help VERB`; "" for nothing */
};

static int cmd_help(int argc, char **argv);

#define JSON_HELP "  --json         the API's own JSON, one document\n"
#define OBJECT_HELP "  --json         one JSON object\n"
#define LIST_HELP JSON_HELP "  --all          all of them, however many (else the first 1000)\n"
#define NOTE_HELP "  --note TEXT    why, for who looks at the nodes\n"
#define WHEN_HELP \
	"  --from WHEN    an instant such as 2026-12-01T02:00:00+08:00, or +2h from now; default now\n" \
	"  --until WHEN   the same, or never, which is until it is taken back (suan unbook)\n"
#define STATE_HELP "  --state DIR    the daemon's state directory (default $XDG_STATE_HOME/suan, ~/.local/state/suan)\n"

static const struct verb verbs[] = {
	{"submit", cmd_submit, "FILE [--dry-run] [--wait] [--json]", "hand in a job; prints its id",
     "FILE is YAML or JSON, or a script with #SUAN or #SBATCH lines; - reads standard input.\n"
     "  --dry-run      where and when it would run; changes nothing\n"
     "  --wait         wait for its end; exit status 0 only where it completed\n"
     "  --key KEY      the Idempotency-Key; the same key with the same file never makes a second job\n" JSON_HELP},
	{"jobs", cmd_jobs, "[--state S] [--project P] [--all] [--json]", "the queue, newest first, and what is over",
     "  --state S      only jobs in this state: queued, active, completed, failed, ...\n"
     "  --project P    only jobs of this project\n" LIST_HELP},
	{"job", cmd_job, "ID [--json]", "one job", "ID is a number, or 12_5 for element 5 of array 12.\n" JSON_HELP},
	{"wait", cmd_wait, "ID... [--timeout T] [--json]", "wait until jobs are over",
     "Exit status 0 where all of them completed, 1 where one did not. A daemon that is restarted meanwhile is waited for.\n"
     "  --timeout T    wait no longer than this, as 90s or 2h; then exit status 1\n"
     "  --json         the job; for several an array of them\n"},
	{"logs", cmd_logs, "ID [-f] [--node N] [--attempt N] [--json]", "the output of a job",
     "  -f, --follow   go on as it is written, until the job is over\n"
     "  --node N       of this task of a gang, by its rank (default 0)\n"
     "  --attempt N    of this attempt (default the latest)\n"
     "  --json         one object with the text, instead of the bytes as they are\n"},
	{"cancel", cmd_cancel, "ID... [--json]", "end jobs, or take them out of the queue",
     "An array's ID cancels all of it.\n"
     "  --json         the job; for several an array of them\n"},
	{"explain", cmd_explain, "ID [--json]", "why a job waits, and when it is expected to start", JSON_HELP},
	{"pool", cmd_pool, "[--json]", "what there is in all, and what is free", JSON_HELP},
	{"centres", cmd_centres, "[--json]", "the computing centres",
     "CARDS is what is free of what there is. up* : an attempt can start more than once there.\n" JSON_HELP},
	{"nodes", cmd_nodes, "[--centre C] [--all] [--json]", "the nodes of the centres",
     "CARDS, CPUS and GIB are what is free of what there is. STATE is up, cordoned or down; WHY is the note that it was given,\n"
     "or the booking that it is in, or the next one.\n"
     "  --centre C     only of this centre\n" LIST_HELP},
	{"cards", cmd_cards, "[--centre C] [--node N] [--all] [--json]", "the cards, and the jobs on them",
     "  --centre C     only of this centre\n"
     "  --node N       only of the node with this number\n" LIST_HELP},
	{"links", cmd_links, "[--json]", "the links between centres", JSON_HELP},
	{"projects", cmd_projects, "[--json]", "the tree of projects: shares, quotas, what they hold",
     "SHARE is the part of the pool that a project and all below it held lately, divided by its weight: the smallest is first in\n"
     "line. HELD, QUOTA and BORROWED are cards by kind; BORROWED is what it holds over its quota.\n" JSON_HELP},
	{"node cordon", cmd_node_cordon, "CENTRE/NUMBER[-LAST] [--note TEXT] [--json]", "start nothing more on nodes",
     "What runs there goes on. LAST is the last node of a range, as tianjin/0-3.\n" NOTE_HELP JSON_HELP},
	{"node uncordon", cmd_node_uncordon, "CENTRE/NUMBER[-LAST] [--note TEXT] [--json]", "put cordoned nodes back into service",
     "Refused where one of them is down (suan node up).\n" NOTE_HELP JSON_HELP},
	{"node down", cmd_node_down, "CENTRE/NUMBER[-LAST] [--note TEXT] [--json]", "say that nodes failed",
     "What runs there is lost: its jobs are run again where their recovery says on_lost: rerun, and fail otherwise.\n" NOTE_HELP
         JSON_HELP},
	{"node up", cmd_node_up, "CENTRE/NUMBER[-LAST] [--note TEXT] [--json]", "put nodes back into service, whatever they were",
     NOTE_HELP JSON_HELP},
	{"drain", cmd_drain, "CENTRE/NUMBERS [--from WHEN] [--until WHEN] [--name TEXT] [--json]",
     "keep nodes free over a window, for maintenance",
     "Prints its ID. What can't be over by then isn't started there; what runs goes on. NUMBERS are such as 0-3,8.\n" WHEN_HELP
     "  --name TEXT    what it is called (default drain)\n" JSON_HELP},
	{"book", cmd_book, "CENTRE/NUMBERS --project P --until WHEN [--from WHEN] [--name TEXT] [--json]",
     "keep nodes for a project over a window",
     "Prints its ID. What isn't the project's, and can't be over by then, isn't started there. NUMBERS are such as 0-3,8.\n"
     "  --project P    for whom\n" WHEN_HELP "  --name TEXT    what it is called (default the project)\n" JSON_HELP},
	{"bookings", cmd_bookings, "[--json]", "the bookings and drains that aren't over", JSON_HELP},
	{"unbook", cmd_unbook, "ID [--json]", "take a booking or a drain back", "ID is as suan bookings shows it.\n" JSON_HELP},
	{"journal verify", cmd_journal_verify, "[--state DIR] [--anchors FILE] [--key FILE] [--json]",
     "check the record: its chain of hashes, and its anchors",
     "Says at which event bytes were changed, dropped, reordered, cut off at the end, or all written anew.\n"
     "  --anchors FILE anchors elsewhere (suand --anchors); default: those in the state directory\n"
     "  --key FILE     the public key that they were signed with (a copy of anchor.pub)\n" STATE_HELP OBJECT_HELP},
	{"journal cat", cmd_journal_cat, "[--since N] [--state DIR] [--json]", "print the record, one JSON object an event",
     "  --since N      from the event with this sequence number on\n" STATE_HELP
     "  --json         changes nothing: each line is a JSON document already\n"},
	{"journal replay", cmd_journal_replay, "[--digest] [--until N] [--check] [--from-snapshot] [--state DIR] [--json]",
     "apply the record to a fresh core",
     "Prints the digest of the state, which the daemon shows as state_digest (suan pool --json), and its sequence number.\n"
     "  --digest       the digest alone\n"
     "  --until N      stop after the event with this sequence number, the last of its commit\n"
     "  --check        check the state, and every plan, after each commit\n"
     "  --from-snapshot  also from each snapshot on, and compare\n" STATE_HELP OBJECT_HELP},
	{"journal copy", cmd_journal_copy, "--from URL --to URL [--until N] [--json]", "copy a store to another, empty one",
     "URL is a state directory, or what suand takes as --store. Events and payloads are copied, and the chain is\n"
     "checked on the way.\n"
     "  --until N      end with the event with this sequence number: what a broken journal can go on from\n" OBJECT_HELP},
	{"sim", cmd_sim, "--pool FILE --trace FILE [options]", "run the same scheduler over a trace",
     "  --pool FILE      the pool that it runs on\n"
     "  --trace FILE     the jobs: CSV, also .gz\n"
     "  --format F       of the trace: suan (default) or swf\n"
     "  --config FILE    as suand's\n"
     "  --policy P       fair (default), fifo, shortest or las\n"
     "  --seed N         of what is drawn at random\n"
     "  --jobs FILE      writes a line a job, as CSV\n"
     "  --timeline FILE  writes a line an arrival or an end, as CSV\n"
     "  --report FILE    writes a page, as HTML\n"
     "  --mtbf D         nodes fail, on average so long after they were last up\n"
     "  --repair D       and are down for so long (1h)\n"
     "  --no-check       without the independent check of every plan\n"
     "  --json           the result as one JSON object\n"},
	{"help", cmd_help, "[VERB]", "this, or what a verb takes", ""},
};

enum { N_VERBS = sizeof verbs / sizeof *verbs };

static const struct verb *verb_find(const char *name)
{
	for (unsigned i = 0; i < N_VERBS; i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

/* ---- Complaints ---- */

static void say(const char *who, const char *fmt, va_list args)
{
	char text[2048];
	struct arena arena = {0};

	vsnprintf(text, sizeof text, fmt, args);
	fflush(stdout);
	fprintf(stderr, "%s: %s\n", who, print_escape(&arena, text));
	arena_done(&arena);
}

int complain(int status, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say("suan", fmt, args);
	va_end(args);
	return status;
}

int complain_err(int status, const char *where, const struct err *err)
{
	char line[16] = "";

	if (where && err->line)
		snprintf(line, sizeof line, ":%" PRIu32, err->line);
	return complain(status, "%s%s%s%s%s%s", where ? where : "", line, where ? ": " : "", err->subject, *err->subject ? ": " : "",
	                err->text);
}

int usage_error(const char *verb, const char *fmt, ...)
{
	const struct verb *found = verb_find(verb);
	char who[64];
	va_list args;

	snprintf(who, sizeof who, "suan %s", verb);
	va_start(args, fmt);
	say(who, fmt, args);
	va_end(args);
	if (found)
		fprintf(stderr, "usage: suan %s %s\n", found->name, found->usage);
	return STATUS_USAGE;
}

/* ---- Options ---- */

static const struct opt *opt_find(const struct opt *opts, unsigned n, const char *name, size_t len)
{
	for (unsigned i = 0; i < n; i++)
		if (strlen(opts[i].name) == len && !strncmp(opts[i].name, name, len))
			return &opts[i];
	return NULL;
}

static const struct opt *opt_by_letter(const struct opt *opts, unsigned n, char letter)
{
	for (unsigned i = 0; i < n; i++)
		if (opts[i].letter == letter)
			return &opts[i];
	return NULL;
}

static int opt_unknown(const char *verb, const struct opt *opts, unsigned n, const char *word)
{
	const char *names[16], *near;
	char name[64];

	for (unsigned i = 0; i < n && i < 16; i++)
		names[i] = opts[i].name;
	snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
	near = spec_nearest(name + strspn(name, "-"), names, n < 16 ? n : 16);
	if (near)
		usage_error(verb, "unknown option \"%s\": did you mean --%s?", name, near);
	else
		usage_error(verb, "unknown option \"%s\"", name);
	return -1;
}

static int opt_set_count(const char *verb, const struct opt *opt, const char *value)
{
	char *end;

	errno = 0;
	*(uint64_t *)opt->ret = strtoull(value, &end, 10);
	if (*value < '0' || *value > '9' || *end || errno) {
		usage_error(verb, "--%s: \"%s\": expected a whole number of 0 or more", opt->name, value);
		return -1;
	}
	return 0;
}

static int opt_set(const char *verb, const struct opt *opt, const char *value)
{
	struct err err;

	switch (opt->type) {
	case OPT_FLAG: *(bool *)opt->ret = true; return 0;
	case OPT_TEXT: *(const char **)opt->ret = value; return 0;
	case OPT_COUNT: return opt_set_count(verb, opt, value);
	case OPT_DURATION:
		if (us_parse_duration(value, opt->ret, &err) == 0)
			return 0;
		usage_error(verb, "--%s: %s", opt->name, err.text);
		return -1;
	}
	abort();
}

/* Reads the option at argv[i]; returns the index of the last word that it used, or -1. */
static int opt_read(int argc, char **argv, int i, const struct opt *opts, unsigned n)
{
	bool is_long = argv[i][1] == '-';
	const char *value = NULL;
	const struct opt *opt;

	if (is_long) {
		size_t len = strcspn(argv[i] + 2, "=");

		opt = opt_find(opts, n, argv[i] + 2, len);
		value = argv[i][2 + len] ? argv[i] + 2 + len + 1 : NULL;
	} else {
		opt = opt_by_letter(opts, n, argv[i][1]);
		value = argv[i][2] ? argv[i] + 2 : NULL;
	}
	if (!opt || (!is_long && value && opt->type == OPT_FLAG))
		return opt_unknown(argv[0], opts, n, argv[i]);
	if (opt->type == OPT_FLAG && value) {
		usage_error(argv[0], "--%s takes no value", opt->name);
		return -1;
	}
	if (opt->type != OPT_FLAG && !value && (++i >= argc || !(value = argv[i]))) {
		usage_error(argv[0], "--%s: a value is missing", opt->name);
		return -1;
	}
	return opt_set(argv[0], opt, value) < 0 ? -1 : i;
}

int opts_read(int argc, char **argv, const struct opt *opts, unsigned n, int words_min, int words_max)
{
	int words = 0;
	bool only_words = false;

	for (int i = 1; i < argc; i++) {
		if (!only_words && !strcmp(argv[i], "--"))
			only_words = true;
		else if (only_words || argv[i][0] != '-' || !argv[i][1])
			argv[++words] = argv[i];
		else if ((i = opt_read(argc, argv, i, opts, n)) < 0)
			return -1;
	}
	if (words < words_min) {
		/* The words that a verb must have stand first in its usage line. */
		const char *usage = verb_find(argv[0]) ? verb_find(argv[0])->usage : "a word";

		usage_error(argv[0], "%.*s is missing", (int)strcspn(usage, " ."), usage);
		return -1;
	}
	if (words_max >= 0 && words > words_max) {
		usage_error(argv[0], "\"%s\" is one word too many", argv[words_max + 1]);
		return -1;
	}
	return words;
}

/* ---- Help ---- */

static void print_verb(const struct verb *verb, FILE *file)
{
	fprintf(file, "suan %s %s\n%s\n%s%s", verb->name, verb->usage, verb->brief, *verb->help ? "\n" : "", verb->help);
}

static void print_help(FILE *file)
{
	fputs("suan: submit jobs to a pool of computing centres, and see what becomes of them.\n\n", file);
	for (unsigned i = 0; i < N_VERBS; i++)
		fprintf(file, "  %-14s  %s\n", verbs[i].name, verbs[i].brief);
	fputs(
		"\nsuan help VERB says what a verb takes. SUAN_URL (default http://127.0.0.1:7480) says where the daemon is; the\n"
		"token that it left in your configuration directory is used, or SUAN_TOKEN. Of https://, SUAN_CACERT names whom to trust.\n"
		"Exit status: 0 done, 1 the answer is no, 2 usage, 3 the daemon can't be reached.\n",
		file);
}

/* Prints every verb that is `name`, or begins with it as its first word. Returns whether there was one. */
static bool print_verbs_of(const char *name, FILE *file)
{
	size_t len = strlen(name);
	unsigned n = 0;

	for (unsigned i = 0; i < N_VERBS; i++) {
		if (strncmp(verbs[i].name, name, len) || (verbs[i].name[len] && verbs[i].name[len] != ' '))
			continue;
		if (n++)
			fputc('\n', file);
		print_verb(&verbs[i], file);
	}
	return n > 0;
}

static int unknown_verb(const char *name)
{
	const char *names[N_VERBS], *near;

	for (unsigned i = 0; i < N_VERBS; i++)
		names[i] = verbs[i].name;
	near = spec_nearest(name, names, N_VERBS);
	if (near)
		return complain(STATUS_USAGE, "unknown verb \"%s\": did you mean %s? (suan help lists them)", name, near);
	return complain(STATUS_USAGE, "unknown verb \"%s\" (suan help lists them)", name);
}

static int cmd_help(int argc, char **argv)
{
	char name[64];

	if (argc > 3)
		return usage_error("help", "\"%s\" is one word too many", argv[3]);
	if (argc == 1) {
		print_help(stdout);
		return STATUS_DONE;
	}
	snprintf(name, sizeof name, "%s%s%s", argv[1], argc == 3 ? " " : "", argc == 3 ? argv[2] : "");
	return print_verbs_of(name, stdout) ? STATUS_DONE : unknown_verb(name);
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return true;
	return false;
}

static bool is_first_of_two(const char *word)
{
	size_t len = strlen(word);

	for (unsigned i = 0; i < N_VERBS; i++)
		if (!strncmp(verbs[i].name, word, len) && verbs[i].name[len] == ' ')
			return true;
	return false;
}

/* Finds the verb in argv[1], or in argv[1] and argv[2], and runs it. */
static int run_verb(int argc, char **argv)
{
	int skip = 1;
	char name[64];
	const struct verb *verb;

	snprintf(name, sizeof name, "%s", argv[1]);
	if (is_first_of_two(argv[1])) {
		if (argc == 2 || !strcmp(argv[2], "--help") || !strcmp(argv[2], "-h")) {
			print_verbs_of(argv[1], argc == 2 ? stderr : stdout);
			return argc == 2 ? STATUS_USAGE : STATUS_DONE;
		}
		snprintf(name, sizeof name, "%s %s", argv[1], argv[2]);
		skip = 2;
	}
	verb = verb_find(name);
	if (!verb)
		return unknown_verb(name);
	argv[skip] = name;
	if (wants_help(argc - skip, argv + skip)) {
		print_verb(verb, stdout);
		return STATUS_DONE;
	}
	return verb->run(argc - skip, argv + skip);
}

/* An answer that could not be written is no answer. */
static int close_stdout(int status)
{
	if ((fflush(stdout) != 0 || ferror(stdout)) && status == STATUS_DONE)
		return complain(STATUS_NO, "standard output: %s", strerror(errno));
	return status;
}

int main(int argc, char **argv)
{
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		setlocale(LC_CTYPE, "");
	if (argc < 2) {
		print_help(stderr);
		return STATUS_USAGE;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		puts("suan " SUAN_VERSION);
		return close_stdout(STATUS_DONE);
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		print_help(stdout);
		return close_stdout(STATUS_DONE);
	}
	if (argv[1][0] == '-')
		return complain(STATUS_USAGE, "unknown option \"%s\": a verb comes first (suan help lists them)", argv[1]);
	return close_stdout(run_verb(argc, argv));
}
