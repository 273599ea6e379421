/* SPDX-License-Identifier: Apache-2.0
 * cmd.h: the verbs of `suan`. Each takes the words after its name and returns the exit status: 0 done, 1 the answer is
 * no, 2 usage, 3 the daemon can't be reached. */
#ifndef SUAN_CMD_CMD_H
#define SUAN_CMD_CMD_H

int cmd_sim(int argc, char **argv); /* suan_sim.c; argv[0] is "sim" */

#endif
