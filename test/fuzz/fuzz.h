/* SPDX-License-Identifier: Apache-2.0
 * fuzz.h: what the fuzz targets share. A target is one file with LLVMFuzzerTestOneInput: clang's libFuzzer calls it with what it
 * makes up (./dev fuzz), corpus.c with the inputs that are kept (./dev test). A target aborts where a promise is broken. */
#ifndef SUAN_TEST_FUZZ_H
#define SUAN_TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Aborts, saying what should have been. An assert would be left out by NDEBUG. */
#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

/* A core of millions of nodes is no parser's business, and slow. */
enum { FUZZ_NODES_TRIED = 20000 };

#define FUZZ_NOW_US ((us_t)1800000000 * US_SECOND)

/* Two centres of 4 nodes: one whose cards are exact, with CPUs and memory counted, one whose cards are counted; the kinds "a"
 * and "b"; no projects declared. */
extern const struct pool_spec fuzz_pool;

/* A core that has taken the configuration and the pool, in *step as one batch. */
struct core *fuzz_core(struct step *step);
/* The same with an input more; it must be taken. */
void fuzz_step(struct core *core, const struct input *input, struct step *step);

/* A failure says what is wrong: a code, and a text that a person can read on one line. code: what was returned. */
void fuzz_check_err(int code, const struct err *err);

#endif
