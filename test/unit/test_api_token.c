/* SPDX-License-Identifier: Apache-2.0
 * test_api_token.c: the token is made once, stays secret, and is found where `suan` looks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/api.h"

static char dir[64], path[128];

static int set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/suan-token-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/token", dir);
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof command, "rm -r %s", dir);
	return system(command);
}

static void write_token(const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	chmod(path, mode);
}

static void test_made_once(void **state)
{
	char first[TOKEN_SIZE], second[TOKEN_SIZE];
	struct err err;
	struct stat st;

	(void)state;
	assert_int_equal(token_load(dir, first, &err), 0);
	assert_int_equal(strlen(first), TOKEN_SIZE - 1);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(token_load(dir, second, &err), 0);
	assert_string_equal(first, second);
}

static void test_refused(void **state)
{
	static const char good[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n";
	char token[TOKEN_SIZE];
	struct err err;

	(void)state;
	write_token(good, 0644);
	assert_int_equal(token_load(dir, token, &err), ERR_DENIED);
	write_token("short\n", 0600);
	assert_int_equal(token_load(dir, token, &err), ERR_INVALID);
	write_token("", 0600);
	assert_int_equal(token_load(dir, token, &err), ERR_INVALID);
	write_token("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef00", 0600);
	assert_int_equal(token_load(dir, token, &err), ERR_INVALID);
	write_token(good, 0600);
	assert_int_equal(token_load(dir, token, &err), 0);
	unlink(path);
	assert_int_equal(symlink("/etc/hostname", path), 0);
	assert_int_equal(token_load(dir, token, &err), ERR_IO);
}

static void test_published(void **state)
{
	char config[128], file[256], text[TOKEN_SIZE + 1] = "";
	struct err err;
	struct stat st;
	FILE *f;

	(void)state;
	snprintf(config, sizeof config, "%s/not/there", dir);
	snprintf(file, sizeof file, "%s/suan/tokens/127.0.0.1_7480", config);
	assert_int_equal(token_publish(config, "127.0.0.1", 7480, "abc", &err), 0);
	assert_int_equal(token_publish(config, "127.0.0.1", 7480, "def", &err), 0);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	f = fopen(file, "r");
	assert_non_null(fgets(text, sizeof text, f));
	fclose(f);
	assert_string_equal(text, "def\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_made_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_published, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
