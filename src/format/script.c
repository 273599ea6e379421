/* SPDX-License-Identifier: Apache-2.0
 * script.c: scripts whose first lines say what the job needs.
 *
 * As sbatch does, lines are looked at until the first command: what follows it is the script's own. The #SUAN lines
 * make up one YAML document, of the keys of a job file; blank lines stand for all others, so that an error has the line of the
 * script. */
#include <string.h>

#include "format/job_draft.h"

/* Lines of one text. */
struct lines {
	const char *at, *end;
	uint32_t number;
};

static bool next_line(struct lines *lines, const char **ret, size_t *ret_len)
{
	const char *newline;

	if (lines->at == lines->end)
		return false;
	newline = memchr(lines->at, '\n', (size_t)(lines->end - lines->at));
	*ret = lines->at;
	*ret_len = (size_t)((newline ? newline : lines->end) - lines->at);
	lines->at = newline ? newline + 1 : lines->end;
	lines->number++;
	if (*ret_len && (*ret)[*ret_len - 1] == '\r')
		--*ret_len;
	return true;
}

/* Whether a line is `word`, alone or before a blank. */
static bool line_has(const char *line, size_t len, const char *word)
{
	size_t n = strlen(word);

	return len >= n && !memcmp(line, word, n) && (len == n || line[n] == ' ' || line[n] == '\t');
}

/* A command: neither blank nor a comment. */
static bool line_is_command(const char *line, size_t len)
{
	size_t i = 0;

	while (i < len && (line[i] == ' ' || line[i] == '\t'))
		i++;
	return i < len && line[i] != '#';
}

bool script_is(const char *text, size_t len)
{
	struct lines lines = {text, text + len, 0};
	const char *line;
	size_t n;

	if (len >= 2 && !memcmp(text, "#!", 2))
		return true;
	while (next_line(&lines, &line, &n)) {
		if (line_has(line, n, "#SUAN") || line_has(line, n, "#SBATCH"))
			return true;
		if (line_is_command(line, n))
			break;
	}
	return false;
}

/* What stands in the lines before the first command. */
struct head {
	struct buf suan; /* the YAML document */
	uint32_t n_suan, n_sbatch;
	struct sbatch *sbatch;
};

static int read_line(struct form *form, const char *line, size_t len, uint32_t number, struct head *head, struct job_draft *draft)
{
	if (line_has(line, len, "#SUAN")) {
		size_t skip = len > 5 ? 6 : 5;

		head->n_suan++;
		buf_put(&head->suan, line + skip, len - skip);
	} else if (line_has(line, len, "#SBATCH")) {
		if (!head->n_sbatch++)
			head->sbatch = sbatch_new(form);
		if (sbatch_line(form, head->sbatch, arena_strndup(form->arena, line + 7, len - 7), number, draft) < 0)
			return form->err->code;
	}
	buf_put_u8(&head->suan, '\n');
	if (!head->n_suan || !head->n_sbatch)
		return 0;
	form_fail(form, NULL, "both #SUAN and #SBATCH lines; expected one of them");
	form->err->line = number;
	return ERR_INVALID;
}

static int read_suan(struct form *form, const struct head *head, struct job_draft *draft)
{
	static const struct yaml_bounds bounds = {JOB_FILE_BYTES_MAX, YAML_NODES_MAX};
	struct yaml *root = NULL;
	const struct yaml *twice;

	if (yaml_parse((const char *)head->suan.data, head->suan.len, &bounds, form->arena, &root, form->err) < 0)
		return form->err->code;
	if (!root)
		return 0;
	if ((twice = yaml_member(root, "run")) || (twice = yaml_member(root, "script")))
		return form_fail(form, twice, "the script itself is what runs"), form_within(form, twice, twice->key);
	return form_map(form, root, &job_table, draft);
}

static int read_head(struct form *form, const char *text, size_t len, struct head *head, struct job_draft *draft)
{
	struct lines lines = {text, text + len, 0};
	const char *line;
	size_t n;

	while (next_line(&lines, &line, &n) && !line_is_command(line, n))
		if (read_line(form, line, n, lines.number, head, draft) < 0)
			return form->err->code;
	if (head->n_sbatch)
		return sbatch_finish(form, head->sbatch, draft);
	return head->n_suan ? read_suan(form, head, draft) : 0;
}

int script_read(struct form *form, const char *text, size_t len, struct job_draft *draft)
{
	struct head head = {0};
	uint32_t line = 0;
	int rc;

	if (len < 2 || memcmp(text, "#!", 2) != 0) {
		form_fail(form, NULL, "a script begins with #! and its interpreter, such as #!/bin/bash");
		form->err->line = 1;
		return ERR_INVALID;
	}
	if (!yaml_text_ok(text, len, &line)) {
		form_fail(form, NULL, "not text: a NUL, or invalid UTF-8");
		form->err->line = line;
		return ERR_INVALID;
	}
	draft->is_script = true;
	draft->payload.run = arena_strndup(form->arena, text, len);
	rc = read_head(form, text, len, &head, draft);
	draft->payload.flavour = head.n_sbatch ? FLAVOUR_SBATCH : FLAVOUR_TASK;
	buf_done(&head.suan);
	return rc;
}
