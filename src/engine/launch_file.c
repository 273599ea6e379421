/* SPDX-License-Identifier: Apache-2.0
 * launch_file.c: a launch as bytes; see launch_file.h. The numbers are those of buf.h. */
#include "engine/launch_file.h"

#include <assert.h>
#include <string.h>

static const char magic[] = "suan launch 1\n";

static void put_variables(struct buf *buf, const struct variable *variables, uint32_t n)
{
	buf_put_uint(buf, n);
	for (uint32_t i = 0; i < n; i++) {
		buf_put_str(buf, variables[i].name);
		buf_put_str(buf, variables[i].value);
	}
}

static const struct variable *read_variables(struct reader *r, struct arena *arena, uint32_t *ret_n)
{
	uint32_t n = read_count(r);
	struct variable *variables = arena_new(arena, n, sizeof *variables);

	for (uint32_t i = 0; i < n && !r->bad; i++)
		variables[i] = (struct variable){.name = read_str(r, arena), .value = read_str(r, arena)};
	*ret_n = n;
	return variables;
}

static void put_tasks(struct buf *buf, const struct launch *launch)
{
	buf_put_uint(buf, launch->n_tasks);
	for (uint32_t i = 0; i < launch->n_tasks; i++) {
		buf_put_uint(buf, launch->tasks[i].node);
		buf_put_uint(buf, launch->tasks[i].cards_milli);
		buf_put_uint(buf, launch->tasks[i].cards);
	}
}

static void read_tasks(struct reader *r, struct arena *arena, struct launch *ret)
{
	uint32_t n = read_count(r);
	struct launch_task *tasks = arena_new(arena, n, sizeof *tasks);

	for (uint32_t i = 0; i < n; i++) {
		tasks[i].node = (uint32_t)read_uint_max(r, UINT32_MAX);
		tasks[i].cards_milli = (uint32_t)read_uint_max(r, UINT32_MAX);
		tasks[i].cards = read_uint(r);
	}
	ret->tasks = tasks;
	ret->n_tasks = n;
	r->bad |= n == 0 || n > LAUNCH_TASKS_MAX;
}

void launch_encode(const struct launch *launch, struct buf *buf)
{
	const struct payload *payload = launch->payload;

	assert(launch->n_tasks >= 1 && launch->n_tasks <= LAUNCH_TASKS_MAX);
	buf_put(buf, magic, sizeof magic - 1);
	buf_put_uint(buf, launch->job);
	buf_put_uint(buf, launch->attempt);
	buf_put_str(buf, launch->name);
	buf_put_str(buf, launch->user);
	buf_put_str(buf, launch->project);
	buf_put_str(buf, launch->centre);
	buf_put_str(buf, launch->kind);
	buf_put_str(buf, launch->vendor);
	put_tasks(buf, launch);
	buf_put_uint(buf, launch->cpus_milli);
	buf_put_uint(buf, launch->memory_mib);
	buf_put_int(buf, launch->limit_us);
	buf_put_int(buf, launch->grace_us);
	buf_put_uint(buf, launch->array_of);
	buf_put_uint(buf, launch->array_index);
	buf_put_uint(buf, launch->array_count);
	buf_put_uint(buf, (uint64_t)payload->flavour);
	buf_put_str(buf, payload->setup);
	buf_put_str(buf, payload->run);
	buf_put_str(buf, payload->workdir);
	buf_put_str(buf, payload->output);
	buf_put_str(buf, payload->error);
	put_variables(buf, payload->envs, payload->n_envs);
}

int launch_decode(const void *bytes, size_t len, struct arena *arena, struct launch *ret, struct payload *ret_payload)
{
	struct reader r = reader_of(len ? bytes : "", len);
	const char *start = read_bytes(&r, sizeof magic - 1);

	for (size_t i = 0; i < sizeof magic - 1; i++)
		if (!start || start[i] != magic[i])
			return ERR_CORRUPT;
	*ret = (struct launch){.payload = ret_payload, .image = ""};
	*ret_payload = (struct payload){.checkpoint_signal = "", .simulated_run_us = US_NEVER};
	ret->job = (uint32_t)read_uint_max(&r, UINT32_MAX);
	ret->attempt = (uint32_t)read_uint_max(&r, UINT32_MAX);
	ret->name = read_str(&r, arena);
	ret->user = read_str(&r, arena);
	ret->project = read_str(&r, arena);
	ret->centre = read_str(&r, arena);
	ret->kind = read_str(&r, arena);
	ret->vendor = read_str(&r, arena);
	read_tasks(&r, arena, ret);
	ret->cpus_milli = (uint32_t)read_uint_max(&r, UINT32_MAX);
	ret->memory_mib = (uint32_t)read_uint_max(&r, UINT32_MAX);
	ret->limit_us = read_int(&r);
	ret->grace_us = read_int(&r);
	ret->array_of = (uint32_t)read_uint_max(&r, UINT32_MAX);
	ret->array_index = (uint32_t)read_uint_max(&r, UINT32_MAX);
	ret->array_count = (uint32_t)read_uint_max(&r, UINT32_MAX);
	ret_payload->flavour = (enum payload_flavour)read_uint_max(&r, FLAVOUR_SBATCH);
	ret_payload->setup = read_str(&r, arena);
	ret_payload->run = read_str(&r, arena);
	ret_payload->workdir = read_str(&r, arena);
	ret_payload->output = read_str(&r, arena);
	ret_payload->error = read_str(&r, arena);
	ret_payload->envs = read_variables(&r, arena, &ret_payload->n_envs);
	return r.bad || r.at != r.end || ret->limit_us < 0 || ret->grace_us < 0 ? ERR_CORRUPT : 0;
}

void variables_encode(const struct variable *variables, uint32_t n, struct buf *buf)
{
	size_t bytes = 10;

	for (uint32_t i = 0; i < n; i++)
		bytes += 20 + strlen(variables[i].name) + strlen(variables[i].value);
	buf_reserve(buf, bytes); /* they are secrets: no copy stays behind in the heap because the buffer moved */
	put_variables(buf, variables, n);
}

int variables_decode(const void *bytes, size_t len, struct arena *arena, const struct variable **ret, uint32_t *ret_n)
{
	struct reader r = reader_of(len ? bytes : "", len);
	uint32_t n;
	const struct variable *variables = read_variables(&r, arena, &n);

	if (r.bad || r.at != r.end)
		return ERR_CORRUPT;
	*ret = variables;
	*ret_n = n;
	return 0;
}
