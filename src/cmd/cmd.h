/* SPDX-License-Identifier: Apache-2.0
 * cmd.h: the verbs of `suan`. Each takes the words after its name and returns the exit status: 0 done, 1 the answer is
 * no, 2 usage, 3 the daemon can't be reached. */
#ifndef SUAN_CMD_CMD_H
#define SUAN_CMD_CMD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Exit statuses: scripts rely on them. */
enum {
	STATUS_DONE = 0,
	STATUS_NO = 1,          /* the answer is no: a job failed, nothing was found, a bad job file */
	STATUS_USAGE = 2,       /* the words on the command line are wrong */
	STATUS_UNREACHABLE = 3, /* the daemon can't be reached */
};

/* Each verb: argv[0] is its name ("jobs", "journal verify"), the rest is as typed. */
int cmd_submit(int argc, char **argv); /* suan_submit.c */
int cmd_jobs(int argc, char **argv);   /* suan_job.c */
int cmd_job(int argc, char **argv);
int cmd_wait(int argc, char **argv); /* suan_wait.c */
int cmd_cancel(int argc, char **argv);
int cmd_logs(int argc, char **argv);    /* suan_logs.c */
int cmd_explain(int argc, char **argv); /* suan_explain.c */
int cmd_pool(int argc, char **argv);    /* suan_pool.c */
int cmd_centres(int argc, char **argv);
int cmd_nodes(int argc, char **argv);
int cmd_cards(int argc, char **argv);
int cmd_links(int argc, char **argv);
int cmd_projects(int argc, char **argv);    /* suan_projects.c */
int cmd_node_cordon(int argc, char **argv); /* suan_node.c */
int cmd_node_uncordon(int argc, char **argv);
int cmd_node_down(int argc, char **argv);
int cmd_node_up(int argc, char **argv);
int cmd_drain(int argc, char **argv);
int cmd_book(int argc, char **argv);
int cmd_bookings(int argc, char **argv);
int cmd_unbook(int argc, char **argv);
int cmd_journal_verify(int argc, char **argv); /* suan_journal.c */
int cmd_journal_cat(int argc, char **argv);
int cmd_journal_replay(int argc, char **argv);
int cmd_journal_copy(int argc, char **argv);
int cmd_sim(int argc, char **argv); /* suan_sim.c; argv[0] is "sim" */

/* ---- What verbs share ---- */

enum opt_type {
	OPT_FLAG,     /* ret: bool; takes no value */
	OPT_TEXT,     /* ret: const char *, borrowed from argv */
	OPT_COUNT,    /* ret: uint64_t; a whole number of 0 or more */
	OPT_DURATION, /* ret: us_t; with its unit, as "90s" */
};

/* One option: "--name", and "-letter" unless letter is 0. *ret keeps its value where the option isn't given. */
struct opt {
	const char *name;
	char letter;
	enum opt_type type;
	void *ret;
};

/* Reads the options of a verb, which may stand anywhere before "--", and moves the other words to argv[1] and on.
 * words_max below 0: no bound. Returns the number of words, or -1 having said on stderr what is wrong. */
int opts_read(int argc, char **argv, const struct opt *opts, unsigned n, int words_min, int words_max);

/* Says "suan VERB: ..." and the verb's usage line on stderr. Returns STATUS_USAGE. */
int usage_error(const char *verb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Says "suan: ..." on stderr, hostile bytes escaped, and returns `status`. */
int complain(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Says a failure: "suan: WHERE:LINE: SUBJECT: TEXT", with what is known of these. where: a file, or NULL. */
int complain_err(int status, const char *where, const struct err *err);

#endif
