/* SPDX-License-Identifier: Apache-2.0
 * seeds.c: writes what fuzzing of the binary formats begins with, as this version of the program writes them. Usage: seeds
 * FOLDER; it makes FOLDER/TARGET/seed-NAME. So a format may change, and its fuzzing goes on from records that are whole. */
#include <string.h>
#include <sys/stat.h>

#include "engine/launch_file.h"
#include "fuzz.h"

static const char *out;

static void write_seed(const char *target, const char *name, const void *bytes, size_t len)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", out, target);
	mkdir(path, 0777);
	snprintf(path, sizeof path, "%s/%s/seed-%s", out, target, name);
	file = fopen(path, "wb");
	CHECK(file && fwrite(bytes, 1, len, file) == len && !fclose(file));
}

/* ---- Journals: stories of a few jobs, as the core tells them ---- */

struct story {
	struct core *core;
	struct step step;
	us_t now_us;
	uint32_t job; /* submitted last */
};

static struct story begin(void)
{
	struct story s = {.now_us = FUZZ_NOW_US};

	s.core = fuzz_core(&s.step);
	step_reset(&s.step);
	return s;
}

static void end(struct story *s, const char *name)
{
	write_seed("journal", name, s->step.events.data, s->step.events.len);
	core_free(s->core);
	step_done(&s->step);
}

static void pass_time(struct story *s, us_t us)
{
	s->now_us += us;
	fuzz_step(s->core, &(struct input){.type = INPUT_CLOCK, .now_us = s->now_us}, &s->step);
}

static const struct request_spec on_a = {
	.kind = "a", .cards_milli = 8000, .cpus_milli = 4000, .memory_mib = 1024, .speed_milli = 1000};
static const struct request_spec share = {.kind = "a", .cards_milli = 500, .cpus_milli = 1000, .speed_milli = 1000};
static const struct request_spec on_b = {.kind = "b", .cards_milli = 2000, .speed_milli = 1000};
static const struct request_spec no_cards = {.cpus_milli = 2000, .memory_mib = 512, .speed_milli = 1000};

static struct job_spec spec_of(const struct group_spec *group)
{
	return (struct job_spec){.name = "job",
	                         .project = "p",
	                         .user = "u",
	                         .groups = group,
	                         .n_groups = 1,
	                         .priority = JOB_PRIORITY_DEFAULT,
	                         .limit_us = 3600 * US_SECOND,
	                         .max_restarts = 1,
	                         .rerun_when_lost = true,
	                         .preemptible_after_us = US_NEVER};
}

static void submit(struct story *s, const struct job_spec *spec)
{
	fuzz_step(s->core, &(struct input){.type = INPUT_SUBMIT, .now_us = s->now_us, .who = "u", .submit.spec = spec}, &s->step);
	s->job = s->step.job;
}

static void submit_group(struct story *s, const struct request_spec *request, uint32_t nodes)
{
	struct group_spec group = {.nodes = nodes, .requests = request, .n_requests = 1, .highest = TIER_CENTRE, .hard = true};
	struct job_spec spec = spec_of(&group);

	submit(s, &spec);
}

static void report(struct story *s, uint32_t job, enum attempt_state state, enum cause cause, int32_t exit_code)
{
	struct input input = {.type = INPUT_REPORT, .now_us = s->now_us, .who = "exact"};

	input.report = (struct report){.job = job,
	                               .attempt = core_job(s->core, job)->attempt,
	                               .state = state,
	                               .cause = cause,
	                               .exit_code = exit_code,
	                               .native_id = "native",
	                               .note = state >= ATTEMPT_ENDED ? "a note" : NULL};
	fuzz_step(s->core, &input, &s->step);
}

static void run(struct story *s, uint32_t job)
{
	report(s, job, ATTEMPT_HELD, CAUSE_NONE, 0);
	report(s, job, ATTEMPT_RELEASED, CAUSE_NONE, 0);
	report(s, job, ATTEMPT_RUNNING, CAUSE_NONE, 0);
}

static void cancel(struct story *s, uint32_t job)
{
	fuzz_step(s->core, &(struct input){.type = INPUT_CANCEL, .now_us = s->now_us, .who = "u", .cancel.job = job}, &s->step);
}

static void tell_life(void)
{
	struct story s = begin();

	submit_group(&s, &on_a, 1);
	run(&s, 1);
	pass_time(&s, US_SECOND);
	report(&s, 1, ATTEMPT_ENDED, CAUSE_EXIT, 0);
	end(&s, "life");
}

/* A gang holds a reservation behind a job; a small one goes before it; one is lost and runs again. */
static void tell_queue(void)
{
	struct story s = begin();

	submit_group(&s, &on_a, 2);
	run(&s, 1);
	submit_group(&s, &on_a, 3);
	submit_group(&s, &share, 1);
	run(&s, s.job);
	pass_time(&s, US_SECOND);
	report(&s, 1, ATTEMPT_LOST, CAUSE_LOST, 0);
	pass_time(&s, US_SECOND);
	end(&s, "queue");
}

static void tell_array(void)
{
	struct range range = {.first = 0, .last = 4, .step = 2};
	struct group_spec group = {.nodes = 1, .requests = &no_cards, .n_requests = 1, .highest = TIER_CENTRE, .hard = true};
	struct job_spec spec = spec_of(&group);
	struct story s = begin();

	spec.array = &range;
	spec.n_array = 1;
	spec.array_parallel_max = 2;
	submit(&s, &spec);
	report(&s, 2, ATTEMPT_RUNNING, CAUSE_NONE, 0);
	report(&s, 2, ATTEMPT_ENDED, CAUSE_EXIT, 3);
	cancel(&s, 1);
	report(&s, 3, ATTEMPT_ENDED, CAUSE_CANCEL, 143);
	pass_time(&s, US_SECOND);
	end(&s, "array");
}

static void tell_dependencies(void)
{
	struct dependency_spec on[] = {{.job = 1, .when = AFTER_OK}, {.job = 2, .when = AFTER_ANY}};
	struct group_spec group = {.nodes = 1, .requests = &on_b, .n_requests = 1, .highest = TIER_CENTRE, .hard = true};
	struct job_spec spec = spec_of(&group);
	struct story s = begin();

	submit_group(&s, &on_b, 2);
	submit_group(&s, &on_a, 1);
	spec.dependencies = on;
	spec.n_dependencies = 2;
	spec.secrets = "1";
	submit(&s, &spec);
	spec.n_dependencies = 0;
	spec.begin_us = s.now_us + US_SECOND;
	submit(&s, &spec);
	run(&s, 1);
	cancel(&s, 2);
	report(&s, 2, ATTEMPT_ENDED, CAUSE_CANCEL, 143);
	report(&s, 1, ATTEMPT_ENDED, CAUSE_EXIT, 1);
	pass_time(&s, 2 * US_SECOND);
	fuzz_step(s.core, &(struct input){.type = INPUT_CENTRE, .now_us = s.now_us, .centre = {.centre = 1, .silent = true}},
	          &s.step);
	end(&s, "dependencies");
}

/* The engine chooses the cards; then the pool changes under what runs. */
static void tell_pool(void)
{
	uint64_t cards[] = {0x3, 0xc};
	struct pool_spec smaller = fuzz_pool;
	struct input input = {.type = INPUT_REPORT, .who = "counted"};
	struct story s = begin();

	submit_group(&s, &on_b, 2);
	input.now_us = s.now_us;
	input.report = (struct report){.job = 1, .attempt = 1, .state = ATTEMPT_RUNNING, .cards = cards, .n_cards = 2};
	fuzz_step(s.core, &input, &s.step);
	submit_group(&s, &on_a, 1);
	smaller.n_centres = 1;
	fuzz_step(s.core, &(struct input){.type = INPUT_POOL, .now_us = s.now_us, .pool = &smaller}, &s.step);
	end(&s, "pool");
}

/* ---- The others ---- */

static const struct variable envs[] = {{"EPOCHS", "3"}, {"EMPTY", ""}};
static const char *const images[] = {"docker:image", ""};
static const struct payload payload = {.flavour = FLAVOUR_TASK,
                                       .setup = "true",
                                       .run = "echo hello\n",
                                       .workdir = "/work",
                                       .output = "",
                                       .error = "",
                                       .envs = envs,
                                       .n_envs = 2,
                                       .images = images,
                                       .n_images = 2,
                                       .checkpoint_signal = "TERM",
                                       .simulated_run_us = US_NEVER};

static void put_payload(void)
{
	struct buf buf = {0};

	payload_encode(&payload, &buf);
	write_seed("payload", "task", buf.data, buf.len);
	buf_done(&buf);
}

static void put_launch(void)
{
	struct launch_task tasks[] = {{.node = 0, .cards_milli = 2000, .cards = 3}, {.node = 1, .cards_milli = 500, .cards = 1}};
	struct launch launch = {.job = 7,
	                        .attempt = 1,
	                        .name = "job",
	                        .user = "u",
	                        .project = "p",
	                        .centre = "exact",
	                        .kind = "a",
	                        .vendor = "v",
	                        .payload = &payload,
	                        .tasks = tasks,
	                        .n_tasks = 2,
	                        .limit_us = US_NEVER,
	                        .grace_us = US_SECOND};
	struct buf buf = {0};

	launch_encode(&launch, &buf);
	write_seed("launch", "gang", buf.data, buf.len);
	buf.len = 0;
	variables_encode(envs, 2, &buf);
	write_seed("launch", "secrets", buf.data, buf.len);
	buf_done(&buf);
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	out = argv[1];
	mkdir(out, 0777);
	tell_life();
	tell_queue();
	tell_array();
	tell_dependencies();
	tell_pool();
	put_payload();
	put_launch();
	return 0;
}
