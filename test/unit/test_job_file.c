/* SPDX-License-Identifier: Apache-2.0
 * test_job_file.c: job files and scripts: every key, every list, bad input, and what must come out the same. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "format/sbatch.h"

/* ---- Helpers ---- */

struct read {
	struct arena arena;
	struct job_file job;
	struct err err;
	int rc;
};

static struct read read_text(const char *text, size_t len)
{
	struct read r = {0};

	r.rc = job_file_parse(text, len, &r.arena, &r.job, &r.err);
	return r;
}

static struct read read_job(const char *text)
{
	return read_text(text, strlen(text));
}

static struct read read_good(const char *text)
{
	struct read r = read_job(text);

	if (r.rc < 0)
		fail_msg("%s\nline %" PRIu32 ": %s: %s", text, r.err.line, r.err.subject, r.err.text);
	return r;
}

static void done(struct read *r)
{
	arena_done(&r->arena);
}

static const struct request_spec *request(const struct read *r, uint32_t i)
{
	assert_true(i < r->job.spec.groups[0].n_requests);
	return &r->job.spec.groups[0].requests[i];
}

static bool warned(const struct read *r, const char *part)
{
	for (uint32_t i = 0; i < r->job.n_warnings; i++)
		if (strstr(r->job.warnings[i], part))
			return true;
	return false;
}

/* ---- Keys ---- */

static void a_job_has_its_defaults(void **state)
{
	struct read r = read_good("run: echo hi\n");
	const struct job_spec *spec = &r.job.spec;

	(void)state;
	assert_string_equal(spec->name, "job");
	assert_string_equal(spec->project, "default");
	assert_null(spec->user);
	assert_null(spec->secrets);
	assert_int_equal(spec->n_groups, 1);
	assert_int_equal(spec->groups[0].nodes, 1);
	assert_true(spec->groups[0].hard);
	assert_int_equal(spec->groups[0].highest, TIER_CENTRE);
	assert_false(spec->groups[0].ordered);
	assert_int_equal(spec->priority, JOB_PRIORITY_DEFAULT);
	assert_true(spec->limit_us == US_NEVER);
	assert_true(spec->begin_us == 0);
	assert_int_equal(spec->max_restarts, -1);
	assert_false(spec->rerun_when_lost);
	assert_true(spec->preemptible_after_us == US_NEVER);
	assert_true(spec->checkpoint_every_us == 0);
	assert_int_equal(spec->groups[0].n_requests, 1);
	assert_null(request(&r, 0)->kind);
	assert_int_equal(request(&r, 0)->cpus_milli, 1000);
	assert_int_equal(request(&r, 0)->memory_mib, 0);
	assert_int_equal(request(&r, 0)->speed_milli, 1000);
	assert_string_equal(r.job.payload.run, "echo hi");
	assert_string_equal(r.job.payload.workdir, "");
	assert_int_equal(r.job.payload.flavour, FLAVOUR_TASK);
	assert_true(r.job.payload.simulated_run_us == US_NEVER);
	assert_int_equal(r.job.payload.n_images, 0);
	done(&r);
}

static const char every_key[] = "name: pretrain-7b\n"
								"project: llm-lab\n"
								"num_nodes: 16\n"
								"resources:\n"
								"  accelerators: ascend-910b2:8\n"
								"  cpus: 64+\n"
								"  memory: 512\n"
								"  infra: tianjin-wuqing\n"
								"  image_id: docker:registry.example/train:1\n"
								"  relative_speed: {ascend-910b2: 0.8}\n"
								"time: 72h\n"
								"priority: 50\n"
								"topology: {mode: soft, highest_tier: pod}\n"
								"depends_on: [{job: 17, when: afterany}, 18]\n"
								"begin: 2026-12-01T02:00:00+08:00\n"
								"array: 0-99:3%7\n"
								"envs: {EPOCHS: \"3\", EMPTY: ''}\n"
								"secrets: {HF_TOKEN: abc}\n"
								"workdir: /data\n"
								"setup: |\n"
								"  ./prepare.sh\n"
								"run: |\n"
								"  ./train.sh\n"
								"  echo done\n"
								"recovery: {max_restarts: 3, on_lost: rerun}\n"
								"checkpoint: {every: 30m, signal: USR1}\n"
								"preemptible_after: 2h\n"
								"simulated: {run: 20s, exit: 3}\n";

static void every_key_is_read(void **state)
{
	struct read r = read_good(every_key);
	const struct job_spec *spec = &r.job.spec;
	const struct payload *payload = &r.job.payload;

	(void)state;
	assert_string_equal(spec->name, "pretrain-7b");
	assert_string_equal(spec->project, "llm-lab");
	assert_int_equal(spec->groups[0].nodes, 16);
	assert_false(spec->groups[0].hard);
	assert_int_equal(spec->groups[0].highest, TIER_POD);
	assert_string_equal(request(&r, 0)->kind, "ascend-910b2");
	assert_int_equal(request(&r, 0)->cards_milli, 8000);
	assert_int_equal(request(&r, 0)->cpus_milli, 64000);
	assert_int_equal(request(&r, 0)->memory_mib, 512 * 1024);
	assert_string_equal(request(&r, 0)->centre, "tianjin-wuqing");
	assert_string_equal(request(&r, 0)->image, "docker:registry.example/train:1");
	assert_int_equal(request(&r, 0)->speed_milli, 800);
	assert_true(spec->limit_us == 72 * US_HOUR);
	assert_int_equal(spec->priority, 50);
	assert_int_equal(spec->n_dependencies, 2);
	assert_int_equal(spec->dependencies[0].job, 17);
	assert_int_equal(spec->dependencies[0].when, AFTER_ANY);
	assert_int_equal(spec->dependencies[1].job, 18);
	assert_int_equal(spec->dependencies[1].when, AFTER_OK);
	assert_true(spec->begin_us == INT64_C(1796061600) * US_SECOND);
	assert_int_equal(spec->n_array, 1);
	assert_int_equal(spec->array[0].last, 99);
	assert_int_equal(spec->array[0].step, 3);
	assert_int_equal(spec->array_parallel_max, 7);
	assert_int_equal(spec->max_restarts, 3);
	assert_true(spec->rerun_when_lost);
	assert_true(spec->checkpoint_every_us == 30 * US_MINUTE);
	assert_true(spec->preemptible_after_us == 2 * US_HOUR);
	assert_string_equal(payload->workdir, "/data");
	assert_string_equal(payload->setup, "./prepare.sh\n");
	assert_string_equal(payload->run, "./train.sh\necho done\n");
	assert_int_equal(payload->n_envs, 2);
	assert_string_equal(payload->envs[0].name, "EPOCHS");
	assert_string_equal(payload->envs[0].value, "3");
	assert_string_equal(payload->envs[1].value, "");
	assert_int_equal(payload->n_images, 1);
	assert_string_equal(payload->checkpoint_signal, "USR1");
	assert_true(payload->simulated_run_us == 20 * US_SECOND);
	assert_int_equal(payload->simulated_exit, 3);
	assert_int_equal(r.job.n_secrets, 1);
	assert_string_equal(r.job.secrets[0].value, "abc");
	assert_int_equal(r.job.n_warnings, 0);
	done(&r);
}

/* The payload's bytes are its encoding, its hash is theirs, and no secret is in them. */
static void the_payload_is_hashed_without_secrets(void **state)
{
	struct read r = read_good("{run: x, envs: {A: b}, secrets: {TOKEN: canary-8f1e}}");
	struct arena arena = {0};
	struct payload back;
	struct hash hash = hash_of(r.job.payload_bytes.data, r.job.payload_bytes.len);

	(void)state;
	assert_memory_equal(hash.bytes, r.job.spec.payload.bytes, HASH_BYTES);
	assert_int_equal(payload_decode(r.job.payload_bytes.data, r.job.payload_bytes.len, &arena, &back), 0);
	assert_string_equal(back.run, "x");
	assert_string_equal(back.envs[0].value, "b");
	assert_null(memmem(r.job.payload_bytes.data, r.job.payload_bytes.len, "canary", 6));
	assert_null(memmem(r.job.payload_bytes.data, r.job.payload_bytes.len, "TOKEN", 5));
	arena_done(&arena);
	done(&r);
}

static void accelerators_take_their_forms(void **state)
{
	static const struct {
		const char *value;
		uint32_t n;
		const char *kind[2];
		uint32_t milli[2];
		bool ordered;
	} cases[] = {
		{"h800:8", 1, {"h800"}, {8000}, false},
		{"h800", 1, {"h800"}, {1000}, false},
		{"h800:0.5", 1, {"h800"}, {500}, false},
		{"h800:0.001", 1, {"h800"}, {1}, false},
		{"h800:64", 1, {"h800"}, {64000}, false},
		{"any:2", 1, {"*"}, {2000}, false},
		{"{h800:8, a800:4}", 2, {"h800", "a800"}, {8000, 4000}, false},
		{"{h800: 8, a800: 0.5}", 2, {"h800", "a800"}, {8000, 500}, false},
		{"{h800, a800}", 2, {"h800", "a800"}, {1000, 1000}, false},
		{"{\"h800:8\": null}", 1, {"h800"}, {8000}, false},
		{"[h800:8, a800]", 2, {"h800", "a800"}, {8000, 1000}, true},
		{"[h800:8]", 1, {"h800"}, {8000}, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[256];
		struct read r;

		snprintf(text, sizeof text, "run: x\nresources: {accelerators: %s}\n", cases[i].value);
		r = read_good(text);
		assert_int_equal(r.job.spec.groups[0].n_requests, cases[i].n);
		assert_int_equal(r.job.spec.groups[0].ordered, cases[i].ordered);
		for (uint32_t k = 0; k < cases[i].n; k++) {
			assert_string_equal(request(&r, k)->kind, cases[i].kind[k]);
			assert_int_equal(request(&r, k)->cards_milli, cases[i].milli[k]);
			assert_int_equal(request(&r, k)->cpus_milli, 0);
		}
		done(&r);
	}
}

static void single_quotes_are_read(void **state)
{
	static const struct {
		const char *yaml, *value;
	} cases[] = {
		{"''", ""},
		{"'a''b'", "a'b"},
		{"'a''''b'", "a''b"},
		{"''''''''''''", "'''''"},
		{"'a\n  b'", "a b"},
		{"'a  \n\n  \n  b '", "a\n\nb "},
		{"'a\r\n\r\n  b'", "a\nb"},
		{"'\\n # \"'", "\\n # \""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[256];
		struct read r;

		snprintf(text, sizeof text, "name: x\nrun: echo\nenvs:\n A: %s\n", cases[i].yaml);
		r = read_good(text);
		assert_int_equal(r.job.payload.n_envs, 1);
		assert_string_equal(r.job.payload.envs[0].value, cases[i].value);
		done(&r);
	}
}

/* SkyPilot's rule: an alternative is laid over the keys beside it, wherever they stand. */
static void alternatives_are_laid_over_the_rest(void **state)
{
	struct read r = read_good("run: x\n"
	                          "resources:\n"
	                          "  any_of:\n"
	                          "  - {infra: tianjin-wuqing}\n"
	                          "  - {accelerators: {a800:4, v100:8}, cpus: 2, image_id: \"docker:b\"}\n"
	                          "  image_id: docker:a\n"
	                          "  accelerators: h800:8\n"
	                          "  cpus: 16\n"
	                          "  relative_speed: {a800: 0.5}\n");

	(void)state;
	assert_int_equal(r.job.spec.groups[0].n_requests, 3);
	assert_false(r.job.spec.groups[0].ordered);
	assert_string_equal(request(&r, 0)->kind, "h800");
	assert_string_equal(request(&r, 0)->centre, "tianjin-wuqing");
	assert_int_equal(request(&r, 0)->cpus_milli, 16000);
	assert_string_equal(request(&r, 1)->kind, "a800");
	assert_null(request(&r, 1)->centre);
	assert_int_equal(request(&r, 1)->cpus_milli, 2000);
	assert_int_equal(request(&r, 1)->speed_milli, 500);
	assert_string_equal(request(&r, 2)->kind, "v100");
	assert_int_equal(request(&r, 2)->cards_milli, 8000);
	assert_int_equal(r.job.payload.n_images, 3);
	assert_string_equal(r.job.payload.images[0], "docker:a");
	assert_string_equal(r.job.payload.images[2], "docker:b");
	done(&r);

	r = read_good("{run: x, resources: {ordered: [{accelerators: h800:8}, {accelerators: [a800:8, v100:8]}], any_of: null}}");
	assert_int_equal(r.job.spec.groups[0].n_requests, 3);
	assert_true(r.job.spec.groups[0].ordered);
	done(&r);
}

static void amounts_round_up(void **state)
{
	struct read r = read_good("{run: x, resources: {cpus: 0.0001, memory_gib: \"0.3+\"}}");

	(void)state;
	assert_int_equal(request(&r, 0)->cpus_milli, 1);
	assert_int_equal(request(&r, 0)->memory_mib, 308); /* 307.2 */
	done(&r);
}

static void arrays_take_their_forms(void **state)
{
	struct read r = read_good("{run: x, array: '1,3,5-9:2,4000000%12'}");

	(void)state;
	assert_int_equal(r.job.spec.n_array, 4);
	assert_int_equal(r.job.spec.array[2].first, 5);
	assert_int_equal(r.job.spec.array[2].last, 9);
	assert_int_equal(r.job.spec.array[2].step, 2);
	assert_int_equal(r.job.spec.array[3].first, 4000000);
	assert_int_equal(r.job.spec.array_parallel_max, 12);
	done(&r);
	r = read_good("{run: x, array: 7}");
	assert_int_equal(r.job.spec.array[0].first, 7);
	assert_int_equal(r.job.spec.array[0].last, 7);
	done(&r);
}

static void keys_without_a_value_are_not_there(void **state)
{
	struct read r = read_good("run: x\ntime:\npriority: ~\nresources: null\narray: null\nsetup:\nname:\n");

	(void)state;
	assert_true(r.job.spec.limit_us == US_NEVER);
	assert_int_equal(r.job.spec.priority, JOB_PRIORITY_DEFAULT);
	assert_string_equal(r.job.spec.name, "job");
	done(&r);
}

/* JSON as another program writes it: tabs, escapes, surrogate pairs. */
static void json_is_read(void **state)
{
	struct read r = read_good(
		"{\n\t\"name\": \"\\u7b97 \\ud83d\\ude00\",\n\t\"run\": \"echo \\\"a\\/b\\\"\\n\\techo $X\",\n\t\"num_nodes\": 3,\n"
		"\t\"resources\": {\"accelerators\": {\"h800:8\": null}}, \"envs\": {\"X\": \"{a: b}\"}\n}");

	(void)state;
	assert_string_equal(r.job.spec.name, "算 😀");
	assert_string_equal(r.job.payload.run, "echo \"a/b\"\n\techo $X");
	assert_int_equal(r.job.spec.groups[0].nodes, 3);
	assert_string_equal(r.job.payload.envs[0].value, "{a: b}");
	done(&r);
}

/* ---- Bad input ---- */

static const struct {
	const char *text, *subject;
	uint32_t line;
	const char *part; /* of the error's text */
} bad[] = {
	/* The whole */
	{"", "", 1, "empty"},
	{"# nothing\n", "", 1, "empty"},
	{"hello", "", 1, "expected a map"},
	{"[1, 2]", "", 1, "expected a map"},
	{"name: x\n", "run", 0, "nothing to run"},
	{"run: x\nrun: y\n", "run", 2, "stands twice; first on line 1"},
	{"run: x\nresources: {cpus: 1, cpus: 2}\n", "resources.cpus", 2, "stands twice"},
	{"run: x\n---\nrun: y\n", "", 2, "second document"},
	{"run: &a x\nname: *a\n", "", 1, "aliases"},
	{"name: *a\n", "", 1, "aliases"},
	{"run: !!str x\n", "", 1, "tags"},
	{"? [a]\n: b\n", "", 1, "expected a name"},
	{"run: x\nname: [a\n", "", 3, "not YAML"},
	{"run: \"a\\0b\"\n", "", 1, "NUL"},
	{"run: a\xff\n", "", 1, "UTF-8"},
	{"run: x\nname: \xed\xa0\x80\n", "", 2, "UTF-8"},
	{"run: a: b: c\n", "", 1, "not YAML"},
	{"a:\n\tb: 1\n", "", 2, "tab"},
	/* Unknown keys */
	{"run: x\nnum_node: 3\n", "num_node", 2, "did you mean \"num_nodes\"?"},
	{"run: x\nresources:\n  acelerators: h800\n", "resources.acelerators", 3, "did you mean \"accelerators\"?"},
	{"run: x\ncompletely_else: 3\n", "completely_else", 2, "unknown key"},
	{"run: x\ntopology: {tier: rack}\n", "topology.tier", 2, "mode"},
	{"run: x\ndepends_on: [{job: 1, wen: afterok}]\n", "depends_on[0].wen", 2, "did you mean \"when\"?"},
	{"run: x\n<<: {name: y}\n", "<<", 2, "unknown key"},
	/* Wrong types */
	{"run: [x]\n", "run", 1, "expected a single value"},
	{"run: x\nname: {a: b}\n", "name", 2, "expected a single value"},
	{"run: x\nnum_nodes: many\n", "num_nodes", 2, "whole number from 1"},
	{"run: x\nnum_nodes: 1.5\n", "num_nodes", 2, "whole number"},
	{"run: x\nnum_nodes: -1\n", "num_nodes", 2, "whole number"},
	{"run: x\nnum_nodes: 0\n", "num_nodes", 2, "from 1"},
	{"run: x\nnum_nodes: 1000001\n", "num_nodes", 2, "to 1000000"},
	{"run: x\nnum_nodes: 99999999999999999999999\n", "num_nodes", 2, "to 1000000"},
	{"run: x\nresources: h800:8\n", "resources", 2, "expected a map"},
	{"run: x\nenvs: [A=1]\n", "envs", 2, "expected a map"},
	{"run: x\nenvs: {A: [1]}\n", "envs.A", 2, "single value"},
	{"run: x\ndepends_on: {job: 1}\n", "depends_on", 2, "expected a list"},
	{"run: x\ndepends_on: [x]\n", "depends_on[0]", 2, "whole number"},
	{"run: x\ndepends_on: [{when: afterok}]\n", "depends_on[0]", 2, "expected {job"},
	{"run: x\ndepends_on: [0]\n", "depends_on[0]", 2, "from 1"},
	{"run: x\ndepends_on: [1, {job: 2, when: aftrok}]\n", "depends_on[1].when", 2, "did you mean \"afterok\"?"},
	{"run: x\nrecovery: 3\n", "recovery", 2, "expected a map"},
	{"run: x\nrecovery: {on_lost: maybe}\n", "recovery.on_lost", 2, "ask or rerun"},
	{"run: x\nrecovery: {max_restarts: -1}\n", "recovery.max_restarts", 2, "whole number"},
	{"run: x\ncheckpoint: {every: 30}\n", "checkpoint.every", 2, "30m"},
	{"run: x\ncheckpoint: {every: 0s}\n", "checkpoint.every", 2, "more than 0"},
	{"run: x\ncheckpoint: {signal: KILL}\n", "checkpoint.signal", 2, "TERM"},
	{"run: x\nsimulated: {run: 20}\n", "simulated.run", 2, "20s"},
	{"run: x\nsimulated: {exit: 256}\n", "simulated.exit", 2, "255"},
	{"run: x\nworkdir: {url: git}\n", "workdir", 2, "setup"},
	{"run: x\nworkdir: rel/path\n", "workdir", 2, "absolute"},
	/* Names */
	{"run: x\nname: \"a\\nb\"\n", "name", 2, "expected a name"},
	{"run: x\nname: \" a\"\n", "name", 2, "expected a name"},
	{"run: x\nname: ''\n", "name", 2, "expected a name"},
	{"run: x\nname: \"a\\x1bb\"\n", "name", 2, "expected a name"},
	{"run: x\nproject: \"it's\"\n", "project", 2, "expected a name"},
	{"run: x\nenvs: {1A: x}\n", "envs.1A", 2, "variable"},
	{"run: x\nenvs: {A-B: x}\n", "envs.A-B", 2, "variable"},
	{"run: x\nenvs: {SUAN_JOB_ID: x}\n", "envs.SUAN_JOB_ID", 2, "Suan's own"},
	{"run: x\nenvs: {A: null}\n", "envs.A", 2, "no value"},
	{"run: x\nsecrets:\n  A:\n", "secrets.A", 3, "no value"},
	{"run: x\nenvs: {A: b}\nsecrets: {A: c}\n", "secrets", 0, "in envs too"},
	/* Time */
	{"run: x\ntime: 90\n", "time", 2, "90m"},
	{"run: x\ntime: 0s\n", "time", 2, "over 0"},
	{"run: x\ntime: soon\n", "time", 2, "expected a duration"},
	{"run: x\nbegin: 2026-12-01T02:00:00\n", "begin", 2, "offset"},
	{"run: x\nbegin: tomorrow\n", "begin", 2, "offset"},
	{"run: x\npreemptible_after: 2\n", "preemptible_after", 2, "2h"},
	{"run: x\npriority: 1001\n", "priority", 2, "1000"},
	/* Cards */
	{"run: x\nresources: {accelerators: 'h800:65'}\n", "resources.accelerators", 2, "at most 64"},
	{"run: x\nresources: {accelerators: 'h800:1.5'}\n", "resources.accelerators", 2, "whole cards"},
	{"run: x\nresources: {accelerators: 'h800:0.0005'}\n", "resources.accelerators", 2, "thousandths"},
	{"run: x\nresources: {accelerators: 'h800:0'}\n", "resources.accelerators", 2, "more than 0"},
	{"run: x\nresources: {accelerators: 'h800:-1'}\n", "resources.accelerators", 2, "number"},
	{"run: x\nresources: {accelerators: 'h800:8x'}\n", "resources.accelerators", 2, "number"},
	{"run: x\nresources: {accelerators: 'h800:'}\n", "resources.accelerators", 2, "number"},
	{"run: x\nresources: {accelerators: ':8'}\n", "resources.accelerators", 2, "NAME:COUNT"},
	{"run: x\nresources: {accelerators: {h800: 9x}}\n", "resources.accelerators.h800", 2, "number"},
	{"run: x\nresources: {accelerators: {h800: [8]}}\n", "resources.accelerators.h800", 2, "single value"},
	{"run: x\nresources: {accelerators: []}\n", "resources.accelerators", 2, "empty"},
	{"run: x\nresources: {accelerators: [h800, {a: 1}]}\n", "resources.accelerators[1]", 2, "single value"},
	{"run: x\nresources: {cpus: lots}\n", "resources.cpus", 2, "number"},
	{"run: x\nresources: {cpus: 8++}\n", "resources.cpus", 2, "decimal"},
	{"run: x\nresources: {memory: 64G}\n", "resources.memory", 2, "decimal"},
	{"run: x\nresources: {memory: 5000000}\n", "resources.memory", 2, "at most"},
	{"run: x\nresources: {memory: 1, memory_gib: 1}\n", "resources", 2, "the same"},
	{"run: x\nresources: {image_id: 'a b'}\n", "resources.image_id", 2, "image"},
	{"run: x\nresources: {image_id: {us: a}}\n", "resources.image_id", 2, "single value"},
	{"run: x\nresources: {relative_speed: {h800: 0}}\n", "resources.relative_speed.h800", 2, "over 0"},
	{"run: x\nresources: {relative_speed: 3}\n", "resources.relative_speed", 2, "map"},
	{"run: x\nresources: {accelerators: any, relative_speed: {h800: 1}}\n", "resources", 0, "instead of any"},
	{"run: x\nresources: {any_of: [{a: 1}]}\n", "resources.any_of[0].a", 2, "unknown key"},
	{"run: x\nresources: {any_of: []}\n", "resources.any_of", 2, "expected a list of 1"},
	{"run: x\nresources: {any_of: [{}], ordered: [{}]}\n", "resources", 2, "exclude"},
	{"run: x\nresources: {any_of: [{ordered: [{}]}]}\n", "resources.any_of[0]", 2, "of its own"},
	{"run: x\nresources: {any_of: [{accelerators: [a, b]}]}\n", "resources.any_of[0]", 2, "order"},
	{"run: x\nresources: {ordered: [{accelerators: {a, b}}]}\n", "resources.ordered[0]", 2, "order"},
	{"run: x\nresources:\n  any_of:\n  - {infra: a}\n  - {accelerators: h800:99}\n", "resources.any_of[1].accelerators", 5, "64"},
	/* Topology */
	{"run: x\ntopology: {highest_tier: pool}\n", "topology.highest_tier", 2, "links"},
	{"run: x\ntopology: {highest_tier: rak}\n", "topology.highest_tier", 2, "did you mean \"rack\"?"},
	{"run: x\ntopology: {mode: firm}\n", "topology.mode", 2, "soft or hard"},
	/* Arrays */
	{"run: x\narray: 5-3\n", "array", 2, "ranges"},
	{"run: x\narray: ''\n", "array", 2, "ranges"},
	{"run: x\narray: 0-9:0\n", "array", 2, "ranges"},
	{"run: x\narray: 1,1\n", "array", 2, "twice"},
	{"run: x\narray: '0-10,5'\n", "array", 2, "twice"},
	{"run: x\narray: 0-9%0\n", "array", 2, "after %"},
	{"run: x\narray: 0-9%2x\n", "array", 2, "ranges"},
	{"run: x\narray: 0-4000001\n", "array", 2, "ranges"},
	{"run: x\narray: 0-1000000\n", "array", 2, "at most 1000000"},
	{"run: x\narray: 1,\n", "array", 2, "ranges"},
	{"run: x\narray: -1\n", "array", 2, "ranges"},
	/* Scripts */
	{"#SUAN name: x\necho\n", "", 1, "#!"},
	{"# hi\n#SBATCH -N1\necho\n", "", 1, "#!"},
	{"#!/bin/sh\n#SUAN name: x\n#SBATCH -N1\n", "", 3, "both"},
	{"#!/bin/sh\n\n#SUAN nam: x\n", "nam", 3, "did you mean \"name\"?"},
	{"#!/bin/sh\n#SUAN run: x\n", "run", 2, "script itself"},
	{"#!/bin/sh\n#SUAN script: x\n", "script", 2, "script itself"},
	{"#!/bin/sh\n#SUAN resources:\n# between\n#SUAN   cpus: x\n", "resources.cpus", 4, "number"},
	{"#!/bin/sh\n\x80\n", "", 2, "UTF-8"},
	{"{script: 'echo'}\n", "script", 1, "#!"},
	{"{run: x, script: \"#!/bin/sh\\n\"}\n", "run", 1, "not both"},
	{"{script: \"#!/bin/sh\\n#SUAN nam: x\\n\"}\n", "script.nam", 2, "did you mean"},
};

static void bad_jobs_get_their_path_line_and_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct job_file untouched;
		struct arena arena = {0};
		struct job_file job;
		struct err err = {0};
		int rc;

		memset(&untouched, 0x5a, sizeof untouched);
		job = untouched;
		rc = job_file_parse(bad[i].text, strlen(bad[i].text), &arena, &job, &err);
		if (rc != ERR_INVALID || strcmp(err.subject, bad[i].subject) != 0 || err.line != bad[i].line ||
		    !strstr(err.text, bad[i].part))
			fail_msg("%s\ngave %d, line %" PRIu32 ", \"%s\": %s\nnot line %" PRIu32 ", \"%s\": %s", bad[i].text, rc, err.line,
			         err.subject, err.text, bad[i].line, bad[i].subject, bad[i].part);
		assert_int_equal(err.code, ERR_INVALID);
		assert_memory_equal(&job, &untouched, sizeof job); /* nothing changes on failure */
		arena_done(&arena);
	}
}

static void a_nul_byte_is_refused(void **state)
{
	struct read r = read_text("run: x\0y\n", 9);

	(void)state;
	assert_int_equal(r.rc, ERR_INVALID);
	done(&r);
	r = read_text("#!/bin/sh\n\0echo\n", 16);
	assert_int_equal(r.rc, ERR_INVALID);
	done(&r);
}

/* A billion laughs: refused at the first anchor, before anything could expand. */
static void a_bomb_of_aliases_is_refused(void **state)
{
	struct buf text = {0};
	struct read r;

	(void)state;
	buf_printf(&text, "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
	for (int i = 1; i < 30; i++)
		buf_printf(&text, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
	r = read_text((const char *)text.data, text.len);
	assert_int_equal(r.rc, ERR_INVALID);
	assert_int_equal(r.err.line, 1);
	assert_non_null(strstr(r.err.text, "aliases"));
	assert_true(r.arena.total < 65536);
	done(&r);
	buf_done(&text);
}

static void what_is_too_large_is_refused_unread(void **state)
{
	size_t len = 100u << 20;
	char *text = malloc(len);
	struct read r;

	(void)state;
	assert_non_null(text);
	memset(text, 'a', 4096); /* the rest is never looked at, so it needn't be there */
	r = read_text(text, len);
	assert_int_equal(r.rc, ERR_TOO_LARGE);
	assert_non_null(strstr(r.err.text, "4194304"));
	assert_int_equal(r.arena.total, 0);
	done(&r);
	memcpy(text, "#!/bin/sh\n", 10);
	r = read_text(text, len);
	assert_int_equal(r.rc, ERR_TOO_LARGE);
	done(&r);
	free(text);
}

/* Deep and wide texts end with an error, soon. */
static void depth_and_width_are_bounded(void **state)
{
	static const struct {
		const char *piece;
		int times;
	} cases[] = {{"[", 1000000},   {"{a: ", 1000000}, {"- ", 1000000},  {"- a\n", 900000},      {"a: ", 1000000},
	             {"? ", 1000000},  {"[a,", 1000000},  {"\"", 4000000},  {"#SUAN a:\n", 400000}, {"|\n", 1000000},
	             {"&a ", 1000000}, {"!!a ", 1000000}, {"%a\n", 1000000}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf text = {0};
		struct read r;

		for (int n = 0; n < cases[i].times; n++)
			buf_put(&text, cases[i].piece, strlen(cases[i].piece));
		r = read_text((const char *)text.data, text.len);
		assert_true(r.rc == ERR_INVALID || r.rc == ERR_TOO_LARGE);
		done(&r);
		buf_done(&text);
	}
}

/* Blank lines, as many as come. */
static void white_space_is_read(void **state)
{
	struct buf text = {0};
	struct read r;
	size_t n = 0;

	(void)state;
	buf_printf(&text, "run: |\n  a\n");
	for (; n < 500000; n++)
		buf_put_u8(&text, '\n');
	buf_printf(&text, "  b\n");
	r = read_text((const char *)text.data, text.len);
	assert_int_equal(r.rc, 0);
	assert_int_equal(strlen(r.job.payload.run), n + 4);
	done(&r);
	buf_done(&text);
}

static void too_many_of_a_thing_are_refused(void **state)
{
	struct buf text = {0};
	struct read r;

	(void)state;
	buf_printf(&text, "run: x\nenvs:\n");
	for (int i = 0; i <= JOB_VARIABLES_MAX; i++)
		buf_printf(&text, "  V%d: x\n", i);
	r = read_text((const char *)text.data, text.len);
	assert_int_equal(r.rc, ERR_INVALID);
	assert_string_equal(r.err.subject, "envs.V1024");
	done(&r);

	text.len = 0;
	buf_printf(&text, "run: x\ndepends_on:\n");
	for (int i = 0; i <= JOB_DEPENDENCIES_MAX; i++)
		buf_printf(&text, "- %d\n", i + 1);
	r = read_text((const char *)text.data, text.len);
	assert_string_equal(r.err.subject, "depends_on");
	done(&r);

	text.len = 0;
	buf_printf(&text, "run: x\nresources:\n  any_of:\n");
	for (int i = 0; i < 33; i++)
		buf_printf(&text, "  - {accelerators: {a%d, b%d}}\n", i, i);
	r = read_text((const char *)text.data, text.len);
	assert_string_equal(r.err.subject, "resources.any_of[32]");
	assert_non_null(strstr(r.err.text, "64"));
	done(&r);

	text.len = 0;
	buf_printf(&text, "run: x\narray: 0");
	for (int i = 1; i <= JOB_RANGES_MAX; i++)
		buf_printf(&text, ",%d", i);
	r = read_text((const char *)text.data, text.len);
	assert_string_equal(r.err.subject, "array");
	done(&r);

	text.len = 0;
	buf_printf(&text, "run: x\nname: ");
	for (int i = 0; i <= NAME_LEN_MAX; i++)
		buf_put_u8(&text, 'n');
	r = read_text((const char *)text.data, text.len);
	assert_string_equal(r.err.subject, "name");
	done(&r);
	buf_done(&text);
}

/* ---- Scripts ---- */

static void suan_lines_are_a_job_file(void **state)
{
	static const char script[] = "#!/usr/bin/python3\n"
								 "# a comment\n"
								 "#SUAN name: train\n"
								 "#SUAN resources:\n"
								 "\n"
								 "#SUAN   accelerators: h800:8\n"
								 "#SUAN   cpus: 4\n"
								 "#SUANX name: not-a-line\n"
								 "#SUAN\n"
								 "#SUAN num_nodes: 2\r\n"
								 "print('hi')\n"
								 "#SUAN name: too-late\n";
	struct read r = read_good(script);

	(void)state;
	assert_string_equal(r.job.spec.name, "train");
	assert_int_equal(r.job.spec.groups[0].nodes, 2);
	assert_string_equal(request(&r, 0)->kind, "h800");
	assert_int_equal(request(&r, 0)->cpus_milli, 4000);
	assert_string_equal(r.job.payload.run, script);
	assert_int_equal(r.job.payload.flavour, FLAVOUR_TASK);
	done(&r);
}

static void a_script_alone_is_a_job(void **state)
{
	struct read r = read_good("#!/bin/sh\necho hi");

	(void)state;
	assert_string_equal(r.job.payload.run, "#!/bin/sh\necho hi");
	assert_int_equal(r.job.payload.flavour, FLAVOUR_TASK);
	assert_int_equal(request(&r, 0)->cpus_milli, 1000);
	done(&r);
}

static void keys_beside_a_script_override_its_lines(void **state)
{
	struct read r = read_good(
		"{num_nodes: 5, script: \"#!/bin/sh\\n#SUAN num_nodes: 2\\n#SUAN name: a\\n#SUAN secrets: {T: null}\\n\", secrets: {T: x}}");

	(void)state;
	assert_int_equal(r.job.spec.groups[0].nodes, 5);
	assert_string_equal(r.job.spec.name, "a");
	assert_string_equal(r.job.secrets[0].value, "x");
	done(&r);
}

static void sbatch_lines_are_read_as_slurm_does(void **state)
{
	static const char script[] = "#!/bin/bash -l\n"
								 "#SBATCH -J \"my job\" -N2 --ntasks-per-node 4 # said once\n"
								 "#SBATCH --cpus-per-task=2 --mem=16G\n"
								 "##SBATCH --hold\n"
								 "#SBATCHX --hold\n"
								 "#SBATCH --gres=gpu:a100:4\n"
								 "#SBATCH -t 1-12:30 --account=llm-lab\n"
								 "#SBATCH --array=0-15%4 --begin=2026-12-01T02:00:00+08:00\n"
								 "#SBATCH --dependency=afterok:1:2,afterany:3\n"
								 "#SBATCH -o out-%j.txt -e 'err %j.txt' -D /data\n"
								 "#SBATCH --export=ALL,A=1,B='x y' --requeue --priority=7\n"
								 "#SBATCH -p gpu\n"
								 "\n"
								 "srun ./train\n"
								 "#SBATCH --hold\n";
	struct read r = read_good(script);
	const struct job_spec *spec = &r.job.spec;

	(void)state;
	assert_string_equal(spec->name, "my job");
	assert_string_equal(spec->project, "llm-lab");
	assert_int_equal(spec->groups[0].nodes, 2);
	assert_int_equal(request(&r, 0)->cpus_milli, 8000);
	assert_int_equal(request(&r, 0)->memory_mib, 16384);
	assert_string_equal(request(&r, 0)->kind, "a100");
	assert_int_equal(request(&r, 0)->cards_milli, 4000);
	assert_true(spec->limit_us == 36 * US_HOUR + 30 * US_MINUTE);
	assert_int_equal(spec->array[0].last, 15);
	assert_int_equal(spec->array_parallel_max, 4);
	assert_int_equal(spec->n_dependencies, 3);
	assert_int_equal(spec->dependencies[1].job, 2);
	assert_int_equal(spec->dependencies[1].when, AFTER_OK);
	assert_int_equal(spec->dependencies[2].when, AFTER_ANY);
	assert_true(spec->begin_us == INT64_C(1796061600) * US_SECOND);
	assert_true(spec->rerun_when_lost);
	assert_int_equal(spec->priority, 7);
	assert_string_equal(r.job.payload.output, "out-%j.txt");
	assert_string_equal(r.job.payload.error, "err %j.txt");
	assert_string_equal(r.job.payload.workdir, "/data");
	assert_int_equal(r.job.payload.n_envs, 2 + 9); /* and what it is told of its own options */
	assert_string_equal(r.job.payload.envs[1].value, "x y");
	assert_int_equal(r.job.payload.flavour, FLAVOUR_SBATCH);
	assert_string_equal(r.job.payload.run, script);
	assert_true(warned(&r, "--partition"));
	assert_true(warned(&r, "--export=ALL"));
	assert_int_equal(r.job.n_warnings, 2);
	done(&r);
}

static void sbatch_times_have_slurms_units(void **state)
{
	static const struct {
		const char *text;
		us_t us;
	} cases[] = {
		{"90", 90 * US_MINUTE},
		{"1:30", 90 * US_SECOND},
		{"01:30:00", 90 * US_MINUTE},
		{"2-3", 51 * US_HOUR},
		{"2-3:4", 51 * US_HOUR + 4 * US_MINUTE},
		{"2-3:4:5", 51 * US_HOUR + 4 * US_MINUTE + 5 * US_SECOND},
		{"UNLIMITED", US_NEVER},
		{"infinite", US_NEVER},
		{"0", US_NEVER},
	};
	static const char *const wrong[] = {"",          "x",  "1h", "1:2:3:4",   "-5",  "1-",
	                                    "1-2:3:4:5", "1:", ":1", "999999999", "1.5", "100000-0"};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[128];
		struct read r;

		snprintf(text, sizeof text, "#!/bin/sh\n#SBATCH --time=%s\n", cases[i].text);
		r = read_good(text);
		assert_true(r.job.spec.limit_us == cases[i].us);
		done(&r);
	}
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		char text[128];
		struct read r;

		snprintf(text, sizeof text, "#!/bin/sh\n#SBATCH --time=%s\n", wrong[i]);
		r = read_job(text);
		assert_int_equal(r.rc, ERR_INVALID);
		assert_string_equal(r.err.subject, "--time");
		assert_int_equal(r.err.line, 2);
		done(&r);
	}
}

/* Options that depend on one another. */
static void sbatch_options_make_nodes_cards_and_cpus(void **state)
{
	static const struct {
		const char *options;
		uint32_t nodes, cards, cpus_milli, memory_mib;
		const char *kind;
	} cases[] = {
		{"-N 2", 2, 0, 1000, 0, NULL},
		{"-n 6 -N 4", 4, 0, 2000, 0, NULL},
		{"-n 6 --ntasks-per-node=2", 3, 0, 2000, 0, NULL},
		{"-n 6", 1, 0, 6000, 0, NULL},
		{"-c 4 --mem-per-cpu=2G", 1, 0, 4000, 8192, NULL},
		{"--mem=512", 1, 0, 1000, 512, NULL},
		{"--mem=1T", 1, 0, 1000, 1024 * 1024, NULL},
		{"--mem=1025K", 1, 0, 1000, 2, NULL},
		{"--gres=gpu", 1, 1, 1000, 0, "*"},
		{"--gres=gpu:2", 1, 2, 1000, 0, "*"},
		{"--gres=gpu:h800", 1, 1, 1000, 0, "h800"},
		{"--gres=none", 1, 0, 1000, 0, NULL},
		{"--gpus=h800:16 -N 2", 2, 8, 1000, 0, "h800"},
		{"-G 16 --gpus-per-node=h800:8", 2, 8, 1000, 0, "h800"},
		{"--gpus-per-task=1 -n 8 -N 2", 2, 4, 4000, 0, "*"},
		{"--gpus-per-node=4 --cpus-per-gpu=6 --mem-per-gpu=10G", 1, 4, 24000, 40960, "*"},
		{"--gres gpu:a100:2 --gpu-bind=closest", 1, 2, 1000, 0, "a100"},
		{"-N 2-2", 2, 0, 1000, 0, NULL},
		{"--ntasks-per-n 3", 1, 0, 3000, 0, NULL}, /* cut short, as getopt_long has it */
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[256];
		struct read r;

		snprintf(text, sizeof text, "#!/bin/sh\n#SBATCH %s\ntrue\n", cases[i].options);
		r = read_good(text);
		if (r.job.spec.groups[0].nodes != cases[i].nodes || request(&r, 0)->cards_milli != cases[i].cards * 1000 ||
		    request(&r, 0)->cpus_milli != cases[i].cpus_milli || request(&r, 0)->memory_mib != cases[i].memory_mib)
			fail_msg("%s: %u nodes, %u cards, %u CPUs, %u MiB", cases[i].options, r.job.spec.groups[0].nodes,
			         request(&r, 0)->cards_milli, request(&r, 0)->cpus_milli, request(&r, 0)->memory_mib);
		if (cases[i].kind)
			assert_string_equal(request(&r, 0)->kind, cases[i].kind);
		else
			assert_null(request(&r, 0)->kind);
		done(&r);
	}
}

/* What a script is told of what it asked for: no more than it stated. */
static void sbatch_options_are_told_to_the_script(void **state)
{
	static const struct {
		const char *options, *name, *value;
	} cases[] = {
		{"-N 2 --ntasks-per-node=2 -c 3", "SLURM_NTASKS", "4"},
		{"-N 2 --ntasks-per-node=2 -c 3", "SLURM_NPROCS", "4"},
		{"-N 2 --ntasks-per-node=2 -c 3", "SLURM_NTASKS_PER_NODE", "2"},
		{"-N 2 --ntasks-per-node=2 -c 3", "SLURM_TASKS_PER_NODE", "2(x2)"},
		{"-N 2 --ntasks-per-node=2 -c 3", "SLURM_CPUS_PER_TASK", "3"},
		{"-n 6 -N 4", "SLURM_TASKS_PER_NODE", "2(x2),1(x2)"},
		{"-n 5 -N 2", "SLURM_TASKS_PER_NODE", "3,2"},
		{"-n 5 -N 2", "SLURM_CPUS_PER_TASK", NULL},
		{"-n 4", "SLURM_TASKS_PER_NODE", "4"},
		{"-n 4", "SLURM_NTASKS_PER_NODE", NULL},
		{"-N 3", "SLURM_NTASKS", NULL}, /* the engine tells one a node */
		{"--gpus=8 --cpus-per-gpu=2 --mem-per-gpu=1G", "SLURM_GPUS", "8"},
		{"--gpus=8 --cpus-per-gpu=2 --mem-per-gpu=1G", "SLURM_CPUS_PER_GPU", "2"},
		{"--gpus=8 --cpus-per-gpu=2 --mem-per-gpu=1G", "SLURM_MEM_PER_GPU", "1024"},
		{"--mem-per-cpu=0", "SLURM_MEM_PER_CPU", "0"},
		{"-a 3-7:2%1", "SLURM_ARRAY_TASK_MIN", "3"},
		{"-a 3-7:2%1", "SLURM_ARRAY_TASK_MAX", "7"},
		{"-a 3-7:2%1", "SLURM_ARRAY_TASK_STEP", "2"},
		{"-a 9,1-4", "SLURM_ARRAY_TASK_MAX", "9"},
		{"-a 9,1-4", "SLURM_ARRAY_TASK_MIN", "1"},
		{"-a 9,1-4", "SLURM_ARRAY_TASK_STEP", "1"},
		{"-n 1", "SLURM_ARRAY_TASK_MIN", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *value = NULL;
		char text[256];
		struct read r;

		snprintf(text, sizeof text, "#!/bin/sh\n#SBATCH %s\ntrue\n", cases[i].options);
		r = read_good(text);
		for (uint32_t k = 0; k < r.job.payload.n_envs; k++)
			if (!strcmp(r.job.payload.envs[k].name, cases[i].name))
				value = r.job.payload.envs[k].value;
		if (!value != !cases[i].value || (value && strcmp(value, cases[i].value) != 0))
			fail_msg("%s: %s is %s", cases[i].options, cases[i].name, value ? value : "not set");
		done(&r);
	}
}

static void bad_sbatch_lines_are_refused(void **state)
{
	static const struct {
		const char *options, *subject, *part;
	} cases[] = {
		{"--nodse=2", "--nodse", "did you mean \"nodes\"?"},
		{"--gpu=2", "--gpu", "unknown option"}, /* several begin so */
		{"-Z", "-Z", "unknown option"},
		{"nodes=2", "nodes", "unknown option"},
		{"-", "-", "unknown option"},
		{"--", "--", "unknown option"},
		{"--=3", "--", "unknown option"},
		{"--nodes", "--nodes", "expected a value"},
		{"-N", "--nodes", "expected a value"},
		{"--requeue=yes", "--requeue", "takes no value"},
		{"--job-name=\"a", "--job-name=a", "quote"},
		{"--job-name \"a", "--job-name", "expected a value"},
		{"-N 0", "--nodes", "from 1"},
		{"-N 4-2", "--nodes", "from 4"},
		{"-N x", "--nodes", "whole number"},
		{"--mem=16Q", "--mem", "size"},
		{"--mem=", "--mem", "size"},
		{"--mem=99999999999", "--mem", "size"},
		{"--gres=shard:1", "--gres", "gpu:TYPE:COUNT"},
		{"--gres=gpu:a:1,gpu:b:1", "--gres", "one kind"},
		{"--gpus-per-node=h800:1 --gpus=a800:1", "--gpus", "one kind"},
		{"--gpus=5 -N 2", "--gpus", "don't divide"},
		{"--gpus=5 --gpus-per-node=2 -N 2", "--gpus", "in all"},
		{"--gpus=65", "--gpus-per-node", "at most 64"},
		{"--dependency=afternotok:1", "--dependency", "afterok:ID"},
		{"--dependency=singleton", "--dependency", "afterok:ID"},
		{"--dependency=afterok", "--dependency", "ids"},
		{"--dependency=afterok:1_2", "--dependency", "ids"},
		{"--dependency=afterok:", "--dependency", "whole number"},
		{"--dependency=afterok:1?afterok:2", "--dependency", "any of several"},
		{"--dependency=,", "--dependency", "afterok:ID"},
		{"--begin=now+1hour", "--begin", "date -d"},
		{"--begin=2026-12-01T02:00:00", "--begin", "offset"},
		{"--array=3-1", "--array", "ranges"},
		{"--export=1A=x", "--export.1A", "variable"},
		{"--job-name=", "--job-name", "name"},
		{"--priority=TOP", "--priority", "whole number"},
		{"--output=", "--output", "path"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[256];
		struct read r;

		snprintf(text, sizeof text, "#!/bin/sh\n\n#SBATCH %s\n", cases[i].options);
		r = read_job(text);
		if (r.rc != ERR_INVALID || strcmp(r.err.subject, cases[i].subject) != 0 || !strstr(r.err.text, cases[i].part))
			fail_msg("%s gave %d, \"%s\": %s", cases[i].options, r.rc, r.err.subject, r.err.text);
		done(&r);
	}
}

static void a_name_from_an_sbatch_line_injects_nothing(void **state)
{
	struct read r = read_job("#!/bin/sh\n#SBATCH --job-name=a\rb\n");

	(void)state;
	assert_int_equal(r.rc, ERR_INVALID);
	done(&r);
	r = read_good("#!/bin/sh\n#SBATCH --job-name=%n\n");
	assert_string_equal(r.job.spec.name, "%n");
	done(&r);
}

/* ---- The three lists ---- */

/* A value that an option could take. */
static const char *value_for(const struct sbatch_option *option)
{
	static const struct {
		const char *name, *value;
	} values[] = {{"begin", "2026-12-01T02:00:00Z"},
	              {"dependency", "afterok:1"},
	              {"mem", "1G"},
	              {"export", "A=b"},
	              {"chdir", "/x"},
	              {"gres", "gpu:1"}};

	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		if (!strcmp(values[i].name, option->name))
			return values[i].value;
	return "1";
}

static void check_option(const struct sbatch_option *option, const char *text)
{
	struct read r = read_job(text);

	if (option->read || option->verdict == VERDICT_WARNED) {
		if (r.rc < 0)
			fail_msg("%s gave %s: %s", text, r.err.subject, r.err.text);
		assert_int_equal(option->read == NULL, r.job.n_warnings == 1);
	} else {
		assert_int_equal(r.rc, ERR_INVALID);
		assert_non_null(strstr(r.err.subject, option->name));
		assert_non_null(strstr(r.err.text, option->why));
		assert_int_equal(r.err.line, 2);
	}
	done(&r);
}

static void every_option_of_sbatch_does_as_its_list_says(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < SBATCH_OPTIONS; i++) {
		const struct sbatch_option *option = &sbatch_options[i];
		char text[128];

		assert_true(strlen(option->why) > 0);
		snprintf(text, sizeof text, "#!/bin/sh\n#SBATCH --%s%s%s\n", option->name, option->argument == ARGUMENT_YES ? "=" : "",
		         option->argument == ARGUMENT_YES ? value_for(option) : "");
		check_option(option, text);
		if (option->letter) {
			snprintf(text, sizeof text, "#!/bin/sh\n#SBATCH -%c %s\n", option->letter,
			         option->argument == ARGUMENT_YES ? value_for(option) : "");
			check_option(option, text);
		}
		for (uint32_t j = 0; j < i; j++) {
			assert_string_not_equal(option->name, sbatch_options[j].name);
			assert_true(!option->letter || option->letter != sbatch_options[j].letter);
		}
	}
}

static void check_rules(const struct form_rule *rules, uint32_t n, const char *format, const char *path)
{
	for (uint32_t i = 0; i < n; i++) {
		char text[256], subject[128];
		struct read r;

		snprintf(text, sizeof text, format, rules[i].name);
		snprintf(subject, sizeof subject, "%s%s", path, rules[i].name);
		r = read_job(text);
		if (rules[i].verdict == VERDICT_WARNED) {
			assert_int_equal(r.rc, 0);
			assert_int_equal(r.job.n_warnings, 1);
			assert_true(warned(&r, rules[i].name) && warned(&r, rules[i].why));
		} else {
			assert_int_equal(r.rc, ERR_INVALID);
			assert_string_equal(r.err.subject, subject);
			assert_non_null(strstr(r.err.text, rules[i].why));
		}
		done(&r);
	}
}

static void every_other_key_of_skypilot_does_as_its_list_says(void **state)
{
	(void)state;
	check_rules(job_rules, JOB_RULES, "run: x\n%s: {a: b}\n", "");
	check_rules(resources_rules, RESOURCES_RULES, "run: x\nresources:\n  %s: true\n", "resources.");
}

/* The document, and where one of its sections ends. */
static char *read_document(void)
{
	char path[4096];
	const char *root = getenv("SUAN_SOURCE");
	FILE *file;
	char *text = calloc(1, 1 << 20);

	snprintf(path, sizeof path, "%s/docs/format/job.md", root ? root : ".");
	file = fopen(path, "r");
	if (!file)
		fail_msg("%s isn't there; set SUAN_SOURCE", path);
	assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
	fclose(file);
	return text;
}

static void expect_rows(const char *document, const char *table)
{
	if (!strstr(document, table))
		fail_msg("docs/format/job.md doesn't have this table as it is in the code:\n%s", table);
}

static void expect_rules(const char *document, const struct form_rule *rules, uint32_t n, enum verdict verdict)
{
	struct buf table = {0};

	buf_printf(&table, "| key | why |\n|---|---|\n");
	for (uint32_t i = 0; i < n; i++)
		if (rules[i].verdict == verdict)
			buf_printf(&table, "| `%s` | %s |\n", rules[i].name, rules[i].why);
	buf_put(&table, "\n", 2);
	expect_rows(document, (const char *)table.data);
	buf_done(&table);
}

static void expect_options(const char *document, int list)
{
	struct buf table = {0};

	buf_printf(&table, "| option | %s |\n|---|---|\n", list ? "why" : "as");
	for (uint32_t i = 0; i < SBATCH_OPTIONS; i++) {
		const struct sbatch_option *o = &sbatch_options[i];
		char letter[16] = "";

		if (list != (o->read ? 0 : o->verdict == VERDICT_WARNED ? 1 : 2))
			continue;
		if (o->letter)
			snprintf(letter, sizeof letter, ", `-%c`", o->letter);
		buf_printf(&table, "| `--%s`%s | %s |\n", o->name, letter, o->why);
	}
	buf_put(&table, "\n", 2);
	expect_rows(document, (const char *)table.data);
	buf_done(&table);
}

/* Each honoured key has its row between two headings, and each row there its key. */
static void expect_keys(const char *document, const char *from, const char *to, const struct form_table *table)
{
	const char *begin = strstr(document, from), *end = begin ? strstr(begin, to) : NULL;
	uint32_t rows = 0;

	assert_non_null(begin);
	assert_non_null(end);
	for (uint32_t i = 0; i < table->n_keys; i++) {
		char row[64];
		const char *at;

		snprintf(row, sizeof row, "\n| `%s` |", table->keys[i].name);
		at = strstr(begin, row);
		if (!at || at > end)
			fail_msg("docs/format/job.md: no row for %s under %s", table->keys[i].name, from);
	}
	for (const char *at = strstr(begin, "\n| `"); at && at < end; at = strstr(at + 1, "\n| `"))
		rows++;
	assert_int_equal(rows, table->n_keys);
}

static void the_document_shows_the_lists(void **state)
{
	char *document = read_document();

	(void)state;
	expect_keys(document, "## Keys", "### resources", &job_table);
	expect_keys(document, "### resources", "`accelerators` takes", &resources_table);
	expect_rules(document, job_rules, JOB_RULES, VERDICT_WARNED);
	expect_rules(document, job_rules, JOB_RULES, VERDICT_REFUSED);
	expect_rules(document, resources_rules, RESOURCES_RULES, VERDICT_WARNED);
	expect_rules(document, resources_rules, RESOURCES_RULES, VERDICT_REFUSED);
	for (int list = 0; list < 3; list++)
		expect_options(document, list);
	free(document);
}

/* ---- Requests ---- */

static const char *environment(const char *name)
{
	return !strcmp(name, "HF_TOKEN") ? "secret: \"1\"\n" : !strcmp(name, "HOME") ? "/home/me" : NULL;
}

static struct buf request_of(const char *text, const char *file)
{
	struct buf json = {0};
	struct err err = {0};

	if (job_file_to_request(text, strlen(text), file, "/work/dir", environment, &json, &err) < 0)
		fail_msg("%s\n%s: %s", text, err.subject, err.text);
	return json;
}

static void a_request_knows_where_it_comes_from(void **state)
{
	static const struct {
		const char *text, *file, *name, *workdir;
	} cases[] = {
		{"{run: x}", "jobs/train.yaml", "train", ""},
		{"{run: x, name: n, workdir: .}", "a.yaml", "n", "/work/dir"},
		{"{run: x, workdir: ./sub}", ".yaml", ".yaml", "/work/dir/sub"},
		{"{run: x, workdir: sub}", "it's.yaml", "job", "/work/dir/sub"},
		{"{run: x, workdir: ~/sub}", "-", "-", "/home/me/sub"},
		{"{run: x, workdir: /abs}", NULL, "job", "/abs"},
		{"#!/bin/sh\n", "dir.d/go.sh", "go", ""},
		{"#!/bin/sh\n#SUAN workdir: sub\n", "go.sh", "go", "/work/dir/sub"},
		{"#!/bin/sh\n#SBATCH -N1\n", "go.sh", "go", "/work/dir"},
		{"#!/bin/sh\n#SBATCH -N1 -D sub -J n\n", "go.sh", "n", "/work/dir/sub"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf json = request_of(cases[i].text, cases[i].file);
		struct read r = read_text((const char *)json.data, json.len);

		assert_int_equal(r.rc, 0);
		assert_string_equal(r.job.spec.name, cases[i].name);
		assert_string_equal(r.job.payload.workdir, cases[i].workdir);
		assert_int_equal(json.data[0], '{');
		done(&r);
		buf_done(&json);
	}
}

static void secrets_are_taken_from_the_environment(void **state)
{
	static const char *const texts[] = {
		"{run: x, secrets: {HF_TOKEN: null, OTHER: given}}",
		"#!/bin/sh\n#SUAN secrets: {HF_TOKEN: null, OTHER: given}\n",
	};
	struct buf json = {0};
	struct err err = {0};
	static const char unset[] = "run: x\nsecrets: {UNSET: null}\n";

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct buf request_json = request_of(texts[i], "a");
		struct read r = read_text((const char *)request_json.data, request_json.len);

		assert_int_equal(r.rc, 0);
		assert_int_equal(r.job.n_secrets, 2);
		assert_string_equal(r.job.secrets[0].value, "secret: \"1\"\n");
		assert_string_equal(r.job.secrets[1].value, "given");
		done(&r);
		buf_done(&request_json);
	}
	json = request_of("#!/bin/sh\n#SBATCH --export=HOME\n", "a");
	assert_non_null(memmem(json.data, json.len, "\"envs\":{\"HOME\":\"/home/me\"}", 26));
	buf_done(&json);
	assert_int_equal(job_file_to_request(unset, strlen(unset), "a", "/", environment, &json, &err), ERR_INVALID);
	assert_string_equal(err.subject, "secrets.UNSET");
	assert_int_equal(json.len, 0);
}

/* A bad file is told of in its own lines, not the request's. */
static void a_bad_file_makes_no_request(void **state)
{
	struct buf json = {0};
	struct err err = {0};

	(void)state;
	assert_int_equal(job_file_to_request("run: x\n\ntime: 90\n", 17, "a", "/", environment, &json, &err), ERR_INVALID);
	assert_string_equal(err.subject, "time");
	assert_int_equal(err.line, 3);
	assert_int_equal(job_file_to_request("name: x\n", 8, "a", "/", environment, &json, &err), ERR_INVALID);
	assert_string_equal(err.subject, "run");
	assert_int_equal(json.len, 0);
}

static void same_text(const char *a, const char *b)
{
	if (a && b)
		assert_string_equal(a, b);
	else
		assert_ptr_equal(a, b);
}

static void same_job(const struct job_file *a, const struct job_file *b)
{
	const struct group_spec *g = &a->spec.groups[0], *h = &b->spec.groups[0];

	assert_string_equal(a->spec.project, b->spec.project);
	assert_memory_equal(a->spec.payload.bytes, b->spec.payload.bytes, HASH_BYTES);
	assert_true(a->spec.limit_us == b->spec.limit_us && a->spec.begin_us == b->spec.begin_us);
	assert_int_equal(a->spec.priority, b->spec.priority);
	assert_int_equal(a->spec.n_array, b->spec.n_array);
	assert_int_equal(a->spec.n_dependencies, b->spec.n_dependencies);
	assert_int_equal(a->spec.max_restarts, b->spec.max_restarts);
	assert_int_equal(a->spec.rerun_when_lost, b->spec.rerun_when_lost);
	assert_true(a->spec.checkpoint_every_us == b->spec.checkpoint_every_us);
	assert_true(a->spec.preemptible_after_us == b->spec.preemptible_after_us);
	assert_int_equal(a->n_secrets, b->n_secrets);
	assert_int_equal(g->nodes, h->nodes);
	assert_int_equal(g->n_requests, h->n_requests);
	assert_int_equal(g->ordered, h->ordered);
	assert_int_equal(g->highest, h->highest);
	assert_int_equal(g->hard, h->hard);
	for (uint32_t i = 0; i < g->n_requests; i++) {
		const struct request_spec *p = &g->requests[i], *q = &h->requests[i];

		same_text(p->kind, q->kind);
		same_text(p->centre, q->centre);
		same_text(p->image, q->image);
		assert_true(p->cards_milli == q->cards_milli && p->cpus_milli == q->cpus_milli && p->memory_mib == q->memory_mib &&
		            p->speed_milli == q->speed_milli);
	}
}

/* parse(to_request(x)) == parse(x), for files that say all that the request adds. */
static void requests_go_round(void **state)
{
	static const char *const texts[] = {
		every_key,
		"{name: a, run: x, resources: {any_of: [{accelerators: {h800:8, a800:0.5}}, {infra: b}], cpus: 007, memory: 1.50}}",
		"{name: a, run: \"a\\tb\\n\\u0001\", envs: {A: '', B: 'null', C: '~', D: \"\\ud83d\\ude00\", E: 'true', F: 12345678901234567890}}",
		"#!/bin/sh\n#SUAN name: a\n#SUAN resources: [\n#SUAN ]\n",
		"#!/bin/sh\n#SUAN name: a\n#SUAN resources: {accelerators: [h800:8, any]}\necho \"\\\\\"\n",
		"#!/bin/sh\n#SBATCH -J a -N 3 --gpus=6 -D /x --export=A=b\necho \xe7\xae\x97\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct read a = read_job(texts[i]), b;
		struct buf json;

		if (a.rc < 0) { /* a bad one is bad both ways */
			struct buf none = {0};

			assert_int_equal(job_file_to_request(texts[i], strlen(texts[i]), "a", "/", environment, &none, NULL), a.rc);
			done(&a);
			continue;
		}
		json = request_of(texts[i], "other");
		b = read_text((const char *)json.data, json.len);
		assert_int_equal(b.rc, 0);
		assert_string_equal(a.job.spec.name, b.job.spec.name);
		same_job(&a.job, &b.job);
		done(&a);
		done(&b);
		buf_done(&json);
	}
}

/* ---- Mutations ---- */

static const char *const seeds[] = {
	every_key,
	"{\"name\": \"a\", \"run\": \"x\", \"resources\": {\"any_of\": [{\"accelerators\": {\"h800:8\": null}}, {\"accelerators\": [\"a:1\"]}]}}",
	"#!/bin/sh\n#SUAN name: a\n#SUAN resources: {accelerators: h800:0.5, relative_speed: {h800: 1.5}}\necho\n",
	"#!/bin/bash\n#SBATCH -J \"my job\" -N2 --time=1-12:30 --gres=gpu:a100:4 # c\n#SBATCH --array=0-15%4 --dependency=afterok:1:2 "
	"--export=A=1,B\n#SBATCH --mem=16G --begin=2026-12-01T02:00:00Z\nx\n",
	"name: x\nrun: |\n  a\n  b\nresources:\n  ordered:\n  - accelerators: h800:8\n    image_id: docker:a\n  - infra: b\narray: 1,3,5-9:2\n",
};

static const char *const pieces[] = {":",
                                     "- ",
                                     "\n",
                                     "{",
                                     "}",
                                     "[",
                                     "]",
                                     ",",
                                     "#",
                                     "&a",
                                     "*a",
                                     "!!x",
                                     "|",
                                     ">",
                                     "\"",
                                     "'",
                                     "\\",
                                     "\t",
                                     "%",
                                     "?",
                                     "null",
                                     "~",
                                     "99999999999999999999",
                                     "-1",
                                     "0",
                                     ".",
                                     "1e9",
                                     "\xff",
                                     "\xe7\xae\x97",
                                     "---",
                                     "...",
                                     "#SUAN ",
                                     "#SBATCH ",
                                     "--",
                                     "=",
                                     "any",
                                     "accelerators",
                                     "<<",
                                     "\r"};

static void mutate(struct rng *rng, struct buf *text)
{
	size_t at = rng_below(rng, text->len + 1), len = rng_below(rng, 12);
	const char *piece = pieces[rng_below(rng, sizeof pieces / sizeof *pieces)];
	struct buf out = {0};

	if (len > text->len - at)
		len = text->len - at;
	buf_put(&out, text->data, at);
	switch (rng_below(rng, 5)) {
	case 0: /* another byte */
		buf_put_u8(&out, (uint8_t)rng_next(rng));
		at += at < text->len;
		break;
	case 1: /* a piece more */ buf_put(&out, piece, strlen(piece)); break;
	case 2: /* some bytes less */ at += len; break;
	case 3: /* some bytes twice */ buf_put(&out, text->data + at, len); break;
	default: /* a piece instead */ buf_put(&out, piece, strlen(piece)); at += len;
	}
	buf_put(&out, text->data + at, text->len - at);
	buf_done(text);
	*text = out;
}

/* Under the address and undefined sanitizers this is where they would speak. */
static void ten_thousand_mutations_end_well(void **state)
{
	const char *given = getenv("SUAN_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 10) : 1;
	struct rng rng = {seed};
	uint32_t good = 0, wrong = 0;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		const char *start = seeds[rng_below(&rng, sizeof seeds / sizeof *seeds)];
		struct buf text = {0}, json = {0};
		struct read r;

		buf_put(&text, start, strlen(start));
		for (uint64_t n = 1 + rng_below(&rng, 6); n > 0; n--)
			mutate(&rng, &text);
		r = read_text((const char *)text.data, text.len);
		if (r.rc == 0)
			good++;
		else if ((r.rc != ERR_INVALID && r.rc != ERR_TOO_LARGE) || !*r.err.text ||
		         (!r.err.line && !*r.err.subject && text.len > 40 && !strstr(r.err.text, "empty") && !strstr(r.err.text, "#!")))
			fail_msg("seed %" PRIu64 ", mutation %d gave %d without a place: %s\n%.*s", seed, i, r.rc, r.err.text, (int)text.len,
			         text.data);
		else
			wrong++;
		if (i % 5 == 0)
			job_file_to_request((const char *)text.data, text.len, "a", "/", environment, &json, NULL);
		done(&r);
		buf_done(&json);
		buf_done(&text);
	}
	assert_true(good > 500 && wrong > 500); /* else they show nothing */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_job_has_its_defaults),
		cmocka_unit_test(every_key_is_read),
		cmocka_unit_test(the_payload_is_hashed_without_secrets),
		cmocka_unit_test(accelerators_take_their_forms),
		cmocka_unit_test(single_quotes_are_read),
		cmocka_unit_test(alternatives_are_laid_over_the_rest),
		cmocka_unit_test(amounts_round_up),
		cmocka_unit_test(arrays_take_their_forms),
		cmocka_unit_test(keys_without_a_value_are_not_there),
		cmocka_unit_test(json_is_read),
		cmocka_unit_test(bad_jobs_get_their_path_line_and_reason),
		cmocka_unit_test(a_nul_byte_is_refused),
		cmocka_unit_test(a_bomb_of_aliases_is_refused),
		cmocka_unit_test(what_is_too_large_is_refused_unread),
		cmocka_unit_test(depth_and_width_are_bounded),
		cmocka_unit_test(white_space_is_read),
		cmocka_unit_test(too_many_of_a_thing_are_refused),
		cmocka_unit_test(suan_lines_are_a_job_file),
		cmocka_unit_test(a_script_alone_is_a_job),
		cmocka_unit_test(keys_beside_a_script_override_its_lines),
		cmocka_unit_test(sbatch_lines_are_read_as_slurm_does),
		cmocka_unit_test(sbatch_times_have_slurms_units),
		cmocka_unit_test(sbatch_options_make_nodes_cards_and_cpus),
		cmocka_unit_test(sbatch_options_are_told_to_the_script),
		cmocka_unit_test(bad_sbatch_lines_are_refused),
		cmocka_unit_test(a_name_from_an_sbatch_line_injects_nothing),
		cmocka_unit_test(every_option_of_sbatch_does_as_its_list_says),
		cmocka_unit_test(every_other_key_of_skypilot_does_as_its_list_says),
		cmocka_unit_test(the_document_shows_the_lists),
		cmocka_unit_test(a_request_knows_where_it_comes_from),
		cmocka_unit_test(secrets_are_taken_from_the_environment),
		cmocka_unit_test(a_bad_file_makes_no_request),
		cmocka_unit_test(requests_go_round),
		cmocka_unit_test(ten_thousand_mutations_end_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
