/* SPDX-License-Identifier: Apache-2.0
 * past.h: jobs that have left the core, as the API shows them: from the history, and as they were. */
#ifndef SUAN_API_PAST_H
#define SUAN_API_PAST_H

#include "api/inside.h"
#include "format/job_file.h"

struct past {
	uint32_t job, attempt;
	enum job_state state;
	json_t *json; /* the caller's */
};

/* The job that an id names, where the core doesn't have it. Returns 0; ERR_NOT_FOUND: the history hasn't either; or what reading
 * it failed with. */
int past_find(struct service *service, const struct job_id *id, struct past *ret, struct err *err);

/* What GET .../explain says of it. Takes past->json. */
json_t *past_explanation(const struct past *past);

/* Appends those that the query wants to an array. Returns how many, or a negative code; *ret_last: the number of the last;
 * *ret_large: there may be more, but these are as much as one answer should hold. */
int past_list(struct service *service, const struct past_query *query, json_t *list, uint32_t *ret_last, bool *ret_large,
              struct err *err);

/* Looks up a job's dependencies on jobs that have left the core, in spec->dependencies (in the arena, changed): what is satisfied
 * goes from it, with a warning; *ret_refusal gets the first that never will be (code 0: none), and that one stays, for the core
 * to refuse. Returns 0, or what reading the history failed with. */
int past_resolve(struct service *service, struct job_file *file, struct arena *arena, struct err *ret_refusal, struct err *err);

#endif
