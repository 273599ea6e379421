/* SPDX-License-Identifier: Apache-2.0
 * past.c: jobs that have left the core; see past.h. A job is looked for in the core first: it is in the history from the moment
 * in which it isn't in the core any more. */
#include "api/past.h"

#include <string.h>

char *api_job_record(const struct core *core, const struct job *job)
{
	json_t *json = json_job(core, job, NULL, core_now(core));
	char *text = json_dumps(json, JSON_COMPACT);

	json_decref(json);
	return text;
}

static json_t *json_of(const struct past_job *job)
{
	return json_loads(job->record, 0, NULL);
}

/* ---- One ---- */

static int take(void *ctx, const struct past_job *job)
{
	*(struct past *)ctx = (struct past){.job = job->id, .attempt = job->attempt, .state = job->state, .json = json_of(job)};
	return 1;
}

static struct past_query query_of(const struct job_id *id, bool as_element)
{
	if (as_element)
		return (struct past_query){.before = UINT32_MAX, .array_of = id->job, .array_index = id->index, .state = -1, .limit = 1};
	return (struct past_query){.after = id->job - 1, .before = id->job + 1, .state = -1, .limit = 1};
}

static int find(struct service *service, const struct job_id *id, bool as_element, struct past *ret, struct err *err)
{
	struct past_query query = query_of(id, as_element);
	int code = service->ops->history(service, &query, take, ret, err);

	if (code == 1 && !ret->json)
		return err_set(err, ERR_CORRUPT, "history", "the record of job %u isn't one", ret->job);
	return code < 0 ? code : code ? 0 : ERR_NOT_FOUND;
}

int past_find(struct service *service, const struct job_id *id, struct past *ret, struct err *err)
{
	struct past past = {0}, array = {0};
	int code = find(service, id, id->is_element, &past, err);

	if (!code) {
		*ret = past;
		return 0;
	}
	json_decref(past.json);
	if (code != ERR_NOT_FOUND)
		return code;
	if (id->is_element && find(service, id, false, &array, err) == 0) {
		json_decref(array.json);
		return err_set(err, ERR_NOT_FOUND, "id", "%u_%u: job %u is over, and no such element of it ever ran", id->job, id->index,
		               id->job);
	}
	return err_set(err, ERR_NOT_FOUND, "id", id->is_element ? "%u_%u: there is no such job" : "%u: there is no such job", id->job,
	               id->index);
}

json_t *past_explanation(const struct past *past)
{
	static const char *const empty[] = {"reason",
	                                    "blocker",
	                                    "kind",
	                                    "centre",
	                                    "expected_start_at",
	                                    "reservation",
	                                    "expected_start_low_at",
	                                    "expected_start_high_at",
	                                    "quota",
	                                    "booking",
	                                    "change",
	                                    "change_text"};
	static const char *const zero[] = {"need_nodes", "free_nodes", "free_cards", "total_cards", "ahead"};
	json_t *json = json_pack("{s:i, s:s, s:s}", "job", (int)past->job, "state", job_state_word(past->state), "text",
	                         "it is over, and waits for nothing");

	for (size_t i = 0; i < sizeof empty / sizeof *empty; i++)
		json_object_set_new(json, empty[i], json_null());
	for (size_t i = 0; i < sizeof zero / sizeof *zero; i++)
		json_object_set_new(json, zero[i], json_integer(0));
	json_object_set_new(json, "ahead_jobs", json_array());
	json_object_set_new(json, "holders", json_array());
	json_decref(past->json);
	return json;
}

/* ---- Many ---- */

enum { LIST_BYTES_MAX = 4 << 20 };

struct listing {
	json_t *list;
	uint32_t last;
	size_t bytes;
	int n;
};

static int add(void *ctx, const struct past_job *job)
{
	struct listing *listing = ctx;
	json_t *json = json_of(job);

	if (json)
		json_array_append_new(listing->list, json);
	listing->last = job->id;
	listing->n++;
	listing->bytes += strlen(job->record);
	return listing->bytes > LIST_BYTES_MAX;
}

int past_list(struct service *service, const struct past_query *query, json_t *list, uint32_t *ret_last, bool *ret_large,
              struct err *err)
{
	struct listing listing = {.list = list};
	int code = service->ops->history(service, query, add, &listing, err);

	if (code < 0)
		return code;
	*ret_last = listing.last;
	*ret_large = code > 0;
	return listing.n;
}

/* ---- Dependencies ---- */

/* Those of a job that the core doesn't have, by their place. */
static uint32_t unknown_dependencies(struct service *service, const struct job_spec *spec, uint32_t *places)
{
	const struct core *core = service->ops->read_begin(service, false);
	uint32_t n = 0;

	for (uint32_t i = 0; i < spec->n_dependencies && i < JOB_DEPENDENCIES_MAX; i++)
		if (!core_job(core, spec->dependencies[i].job))
			places[n++] = i;
	service->ops->read_end(service);
	return n;
}

static void warn(struct job_file *file, struct arena *arena, const char *text)
{
	const char **warnings = arena_new(arena, file->n_warnings + 1, sizeof *warnings);

	for (uint32_t i = 0; i < file->n_warnings; i++)
		warnings[i] = file->warnings[i];
	warnings[file->n_warnings++] = text;
	file->warnings = warnings;
}

/* Whether a dependency is satisfied by what has left the core; where it never will be, *refusal says so. */
static int look_up(struct service *service, const struct dependency_spec *dependency, uint32_t place, struct past *past,
                   struct err *refusal, struct err *err)
{
	struct job_id id = {.job = dependency->job};
	char subject[40];
	int code = past_find(service, &id, past, err);

	if (code < 0)
		return code == ERR_NOT_FOUND ? 0 : code;
	json_decref(past->json);
	past->json = NULL;
	if (dependency->when == AFTER_ANY || past->state == JOB_COMPLETED)
		return 1;
	if (!refusal->code) {
		snprintf(subject, sizeof subject, "depends_on[%u].job", place);
		err_set(refusal, ERR_INVALID, subject, "%u: that job is over and has %s, so this one would never run", dependency->job,
		        past->state == JOB_CANCELED ? "been canceled" : "failed");
	}
	return 0;
}

int past_resolve(struct service *service, struct job_file *file, struct arena *arena, struct err *ret_refusal, struct err *err)
{
	struct job_spec *spec = &file->spec;
	struct dependency_spec *left = arena_new(arena, spec->n_dependencies, sizeof *left);
	uint32_t places[JOB_DEPENDENCIES_MAX], n = unknown_dependencies(service, spec, places), next = 0, n_left = 0;

	ret_refusal->code = 0;
	for (uint32_t i = 0; n && i < spec->n_dependencies; i++) {
		struct past past = {0};
		int code = 0;

		if (next < n && places[next] == i) {
			next++;
			code = look_up(service, &spec->dependencies[i], i, &past, ret_refusal, err);
		}
		if (code < 0)
			return code;
		if (code)
			warn(file, arena,
			     arena_printf(arena, "depends_on[%u].job: %u is over (%s): nothing to wait for", i, past.job,
			                  job_state_word(past.state)));
		else
			left[n_left++] = spec->dependencies[i];
	}
	if (n) {
		spec->dependencies = left;
		spec->n_dependencies = n_left;
	}
	return 0;
}
