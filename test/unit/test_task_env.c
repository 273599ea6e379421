/* SPDX-License-Identifier: Apache-2.0
 * test_task_env.c: what a task finds around it: visible devices, Slurm's patterns and lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "engine/local_find.h"
#include "engine/task_env.h"

static struct launch_task tasks[4];
static struct payload payload;
static struct launch launch;
static struct arena arena;
static const struct task_place place = {.home = "/root",
                                        .user = "root",
                                        .shell = "/bin/bash",
                                        .host = "host",
                                        .claim = "/s/claims/17.2",
                                        .workdir = "/work",
                                        .port = 4000};

static int setup(void **state)
{
	(void)state;
	memset(tasks, 0, sizeof tasks);
	payload = (struct payload){.setup = "", .run = "", .workdir = "", .output = "", .error = ""};
	launch = (struct launch){.job = 17,
	                         .attempt = 2,
	                         .name = "train",
	                         .user = "li",
	                         .project = "lab",
	                         .centre = "here",
	                         .kind = "",
	                         .vendor = "",
	                         .tasks = tasks,
	                         .n_tasks = 1,
	                         .payload = &payload,
	                         .image = ""};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_done(&arena);
	return 0;
}

/* The value of a variable, or NULL. */
static const char *value_of(char **env, const char *name)
{
	const char *value = NULL;

	for (size_t len = strlen(name); *env; env++) {
		if (strncmp(*env, name, len) != 0 || (*env)[len] != '=')
			continue;
		assert_null(value); /* each but once */
		value = *env + len + 1;
	}
	return value;
}

static void test_visible_devices(void **state)
{
	static const struct {
		const char *vendor, *variable, *value;
		uint32_t cards_milli;
		uint64_t cards;
	} cases[] = {{"nvidia", "CUDA_VISIBLE_DEVICES", "1,3", 2000, 0xa},
	             {"huawei", "ASCEND_RT_VISIBLE_DEVICES", "0", 1000, 1},
	             {"amd", "HIP_VISIBLE_DEVICES", "63", 1000, UINT64_C(1) << 63},
	             {"hygon", "HIP_VISIBLE_DEVICES", "2", 500, 4},          /* a share of a card */
	             {"cambricon", "MLU_VISIBLE_DEVICES", "0,1,2", 3000, 0}, /* not known which: they count from 0 */
	             {"nvidia", "CUDA_VISIBLE_DEVICES", NULL, 0, 0},
	             {"cpu", "CUDA_VISIBLE_DEVICES", NULL, 1000, 1}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *value;

		launch.vendor = cases[i].vendor;
		tasks[0] = (struct launch_task){.cards_milli = cases[i].cards_milli, .cards = cases[i].cards};
		value = value_of(task_env(&launch, 0, &place, &arena), cases[i].variable);
		if (cases[i].value)
			assert_string_equal(value, cases[i].value);
		else
			assert_null(value);
	}
}

static void test_all_cards(void **state)
{
	const char *value;

	(void)state;
	tasks[0] = (struct launch_task){.cards_milli = 64000, .cards = UINT64_MAX};
	value = value_of(task_env(&launch, 0, &place, &arena), "SUAN_CARDS");
	assert_string_equal(value + strlen(value) - 3, ",63");
	tasks[0].cards = 0;
	assert_string_equal(value_of(task_env(&launch, 0, &place, &arena), "SUAN_CARDS"), value);
}

static void test_later_replaces(void **state)
{
	static const struct variable envs[] = {{"PATH", "/opt"}, {"A", "1"},   {"A", "2"},     {"=B", "x"},
	                                       {"", "y"},        {"C=D", "z"}, {"E", "a=b\nc"}};
	static const struct variable secrets[] = {{"A", "3"}};
	char **env;

	(void)state;
	payload.envs = envs;
	payload.n_envs = sizeof envs / sizeof *envs;
	launch.secrets = secrets;
	launch.n_secrets = 1;
	env = task_env(&launch, 0, &place, &arena);
	assert_string_equal(value_of(env, "PATH"), "/opt");
	assert_string_equal(value_of(env, "A"), "3");
	assert_string_equal(value_of(env, "E"), "a=b\nc");
	assert_null(value_of(env, "C"));
	assert_null(value_of(env, "SLURM_JOB_ID"));
	assert_null(value_of(env, "SUAN_ARRAY_INDEX"));
	assert_string_equal(value_of(env, "MASTER_PORT"), "4000");
	assert_string_equal(env[0], "SUAN_CLAIM=/s/claims/17.2");
}

static void test_gang(void **state)
{
	char **env;

	(void)state;
	launch.n_tasks = 3;
	env = task_env(&launch, 2, &place, &arena);
	assert_string_equal(value_of(env, "NODE_RANK"), "2");
	assert_string_equal(value_of(env, "SKYPILOT_NODE_IPS"), "127.0.0.1\n127.0.0.1\n127.0.0.1");
}

static void test_slurm(void **state)
{
	char **env;

	(void)state;
	payload.flavour = FLAVOUR_SBATCH;
	launch.cpus_milli = 2500;
	launch.memory_mib = 4096;
	launch.array_of = 12;
	launch.array_index = 7;
	launch.array_count = 100;
	env = task_env(&launch, 0, &place, &arena);
	assert_string_equal(value_of(env, "SLURM_JOB_ID"), "17");
	assert_null(value_of(env, "SLURM_CPUS_PER_TASK")); /* as sbatch has it: only where the script states it */
	assert_string_equal(value_of(env, "SLURM_CPUS_ON_NODE"), "3");
	assert_string_equal(value_of(env, "SLURM_JOB_CPUS_PER_NODE"), "3");
	assert_string_equal(value_of(env, "SLURM_TASKS_PER_NODE"), "1");
	assert_string_equal(value_of(env, "SLURM_MEM_PER_NODE"), "4096");
	assert_string_equal(value_of(env, "SLURM_SUBMIT_DIR"), "/work");
	assert_string_equal(value_of(env, "SLURM_ARRAY_JOB_ID"), "12");
	assert_string_equal(value_of(env, "SLURM_ARRAY_TASK_ID"), "7");
	assert_string_equal(value_of(env, "SLURM_ARRAY_TASK_COUNT"), "100");
	assert_string_equal(value_of(env, "SLURM_RESTART_COUNT"), "1");
	assert_string_equal(value_of(env, "SLURM_JOB_NODELIST"), "here-0");
}

static void test_nodelist(void **state)
{
	(void)state;
	launch.n_tasks = 4;
	tasks[0].node = 3;
	tasks[1].node = 4;
	tasks[2].node = 9;
	tasks[3].node = 0;
	assert_string_equal(slurm_nodelist(&launch, &arena), "here-[3-4,9,0]");
}

static void test_patterns(void **state)
{
	static const struct {
		const char *pattern, *expected;
	} cases[] = {{"slurm-%j.out", "slurm-17.out"},
	             {"%A_%a.out", "17_4294967294.out"}, /* as Slurm for a job without an array */
	             {"%x-%u@%N", "a_b-li@host"},
	             {"%4j|%12j|%99999999999j|%0j", "0017|0000000017|0000000017|17"},
	             {"100%%", "100%"},
	             {"%q%", "%q%"},
	             {"%5", "%5"},
	             {"\\%j", "\\%j"},
	             {"%t%n", "00"},
	             {"", ""}};

	(void)state;
	launch.name = "a/b"; /* a name leads to no other folder */
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(slurm_expand(cases[i].pattern, &launch, "host", &arena), cases[i].expected);
	launch.array_of = 12;
	launch.array_index = 5;
	assert_string_equal(slurm_expand("%A_%3a.%j", &launch, "host", &arena), "12_005.17");
}

static void test_device_names(void **state)
{
	static const struct {
		const char *device, *kind;
	} cases[] = {{"NVIDIA H100 80GB HBM3", "h100"},
	             {"NVIDIA H800", "h800"},
	             {"NVIDIA A100-SXM4-40GB", "a100"},
	             {"Tesla V100-SXM2-32GB", "v100"},
	             {"Tesla T4", "t4"},
	             {"NVIDIA GeForce RTX 4090", "rtx-4090"},
	             {"NVIDIA RTX A6000", "rtx-a6000"},
	             {"NVIDIA L40S", "l40s"},
	             {"NVIDIA H20", "h20"},
	             {"GeForce GTX 1080 Ti", "gtx-1080"},
	             {"", "gpu"},
	             {"\n\"'", "gpu"}};
	char name[64];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(kind_of_device(cases[i].device, name, sizeof name), cases[i].kind);
	assert_string_equal(kind_of_device("NVIDIA H100", name, 3), "h1"); /* never past the end */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_visible_devices, setup, teardown),
		cmocka_unit_test_setup_teardown(test_all_cards, setup, teardown),
		cmocka_unit_test_setup_teardown(test_later_replaces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gang, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slurm, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nodelist, setup, teardown),
		cmocka_unit_test_setup_teardown(test_patterns, setup, teardown),
		cmocka_unit_test(test_device_names),
	};

	return cmocka_run_group_tests_name("task_env", tests, NULL, NULL);
}
