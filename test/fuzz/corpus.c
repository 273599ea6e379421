/* SPDX-License-Identifier: Apache-2.0
 * corpus.c: runs the inputs that are kept through a target, once each: what was found stays mended. Usage: TARGET FOLDER|FILE...
 * The folder must hold at least one. The sanitizers of the build, and the target's own checks, say what is wrong. */
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "fuzz.h"

static void run_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct buf text = {0};
	char piece[4096];
	uint8_t *exact;
	size_t n;

	CHECK(file);
	while ((n = fread(piece, 1, sizeof piece, file)) > 0)
		buf_put(&text, piece, n);
	CHECK(!ferror(file));
	fclose(file);
	/* Named first: the last line says which one it was. */
	printf("%s\n", path);
	fflush(stdout);
	/* As large as the input is, so that reading past its end is noticed. */
	exact = malloc(text.len ? text.len : 1);
	CHECK(exact);
	if (text.len)
		memcpy(exact, text.data, text.len);
	LLVMFuzzerTestOneInput(exact, text.len);
	free(exact);
	buf_done(&text);
}

static unsigned run_folder(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	unsigned n = 0;
	char path[4096];

	CHECK(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		run_file(path);
		n++;
	}
	closedir(dir);
	CHECK(n);
	return n;
}

int main(int argc, char **argv)
{
	unsigned n = 0;
	struct stat st;

	for (int i = 1; i < argc; i++) {
		CHECK(!stat(argv[i], &st));
		if (S_ISDIR(st.st_mode))
			n += run_folder(argv[i]);
		else
			run_file(argv[i]), n++;
	}
	printf("%u inputs\n", n);
	return n ? 0 : 1;
}
