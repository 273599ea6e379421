/* SPDX-License-Identifier: Apache-2.0
 * payload.c: what a job runs, as bytes; see payload.h. */
#include "core/payload.h"

enum { PAYLOAD_VERSION = 1 };

void payload_encode(const struct payload *payload, struct buf *buf)
{
	buf_put_uint(buf, PAYLOAD_VERSION);
	buf_put_uint(buf, payload->flavour);
	buf_put_str(buf, payload->setup);
	buf_put_str(buf, payload->run);
	buf_put_str(buf, payload->workdir);
	buf_put_str(buf, payload->output);
	buf_put_str(buf, payload->error);
	buf_put_uint(buf, payload->n_envs);
	for (uint32_t i = 0; i < payload->n_envs; i++) {
		buf_put_str(buf, payload->envs[i].name);
		buf_put_str(buf, payload->envs[i].value);
	}
	buf_put_uint(buf, payload->n_images);
	for (uint32_t i = 0; i < payload->n_images; i++)
		buf_put_str(buf, payload->images[i]);
	buf_put_str(buf, payload->checkpoint_signal);
	buf_put_uint(buf, (uint64_t)payload->simulated_run_us);
	buf_put_int(buf, payload->simulated_exit);
}

int payload_decode(const void *bytes, size_t len, struct arena *arena, struct payload *ret)
{
	struct reader r = reader_of(bytes, len);
	struct payload p = {0};
	struct variable *envs;
	const char **images;

	if (read_uint(&r) != PAYLOAD_VERSION)
		return ERR_CORRUPT;
	p.flavour = (enum payload_flavour)read_uint_max(&r, FLAVOUR_SBATCH);
	p.setup = read_str(&r, arena);
	p.run = read_str(&r, arena);
	p.workdir = read_str(&r, arena);
	p.output = read_str(&r, arena);
	p.error = read_str(&r, arena);
	p.n_envs = read_count(&r);
	p.envs = envs = arena_new(arena, p.n_envs, sizeof *envs);
	for (uint32_t i = 0; i < p.n_envs; i++) {
		envs[i].name = read_str(&r, arena);
		envs[i].value = read_str(&r, arena);
	}
	p.n_images = read_count(&r);
	p.images = images = arena_new(arena, p.n_images, sizeof *images);
	for (uint32_t i = 0; i < p.n_images; i++)
		images[i] = read_str(&r, arena);
	p.checkpoint_signal = read_str(&r, arena);
	p.simulated_run_us = (us_t)read_uint_max(&r, US_NEVER);
	p.simulated_exit = (int32_t)read_int(&r);
	if (r.bad || r.at != r.end)
		return ERR_CORRUPT;
	*ret = p;
	return 0;
}
