/* SPDX-License-Identifier: Apache-2.0
 * job_request.c: a job's file into the request that the command line sends; see job_file.h.
 *
 * The file is read here first, for its errors and for what depends on where it is submitted: the working directory,
 * variables taken from the environment, a name from the file's. The request is read again by job_file_parse, so what is
 * sent is what the daemon will accept. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "format/job_draft.h"

/* An integer that JSON writes as it stands here; any other text becomes a string, and means the same. */
static bool is_plain_integer(const struct yaml *node)
{
	size_t len = strlen(node->text);

	return node->plain && len && len < 16 && strspn(node->text, "0123456789") == len && (len == 1 || *node->text != '0');
}

static json_t *to_json(const struct yaml *node)
{
	json_t *json;

	if (node->type == YAML_SCALAR) {
		if (yaml_is_null(node))
			return json_null();
		return is_plain_integer(node) ? json_integer(strtoll(node->text, NULL, 10)) : json_string(node->text);
	}
	json = node->type == YAML_LIST ? json_array() : json_object();
	for (const struct yaml *m = node->first; m; m = m->next) {
		if (node->type == YAML_LIST)
			json_array_append_new(json, to_json(m));
		else
			json_object_set_new(json, m->key, to_json(m));
	}
	return json;
}

/* "dir/train.yaml" names a job "train". */
static const char *name_of_file(struct form *form, const char *path)
{
	const char *base = path ? strrchr(path, '/') : NULL;
	char *name = arena_strdup(form->arena, base ? base + 1 : path ? path : "");
	char *dot = strrchr(name, '.');

	if (dot && dot != name)
		*dot = 0;
	return spec_name_ok(name) ? name : "job";
}

static const char *absolute(struct form *form, const char *path, const char *cwd, const char *(*getenv_fn)(const char *))
{
	const char *home = getenv_fn("HOME");

	if (*path == '/')
		return path;
	if (!strcmp(path, "."))
		return cwd;
	if (*path == '~' && (!path[1] || path[1] == '/') && home && *home == '/')
		return arena_printf(form->arena, "%s%s", home, path + 1);
	return arena_printf(form->arena, "%s/%s", strcmp(cwd, "/") != 0 ? cwd : "", strncmp(path, "./", 2) != 0 ? path : path + 2);
}

/* Sets the variables that had no value, under `key` of the request. */
static int take_variables(struct form *form, const struct variables *list, const char *key,
                          const char *(*getenv_fn)(const char *), json_t *request)
{
	json_t *object = json_object_get(request, key);

	for (uint32_t i = 0; i < list->n; i++) {
		const char *name = list->items[i].name, *value = list->items[i].value ? NULL : getenv_fn(name);

		if (list->items[i].value)
			continue;
		if (!value || !yaml_text_ok(value, strlen(value), NULL)) {
			form_fail(form, NULL,
			          value ? "not text: invalid UTF-8" : "not set in the environment; set it, or give it a value in the file");
			err_within(form->err, name);
			return err_within(form->err, key);
		}
		if (!json_is_object(object)) {
			object = json_object();
			json_object_set_new(request, key, object);
		}
		json_object_set_new(object, name, json_string(value));
	}
	return 0;
}

/* The request, made of the file's tree, or around a script. */
static int build(struct form *form, const struct job_draft *draft, json_t *request, const char *name, const char *cwd,
                 const char *(*getenv_fn)(const char *))
{
	const char *workdir = draft->payload.workdir;

	if (!draft->spec.name)
		json_object_set_new(request, "name", json_string(name_of_file(form, name)));
	if (*workdir || draft->payload.flavour == FLAVOUR_SBATCH)
		json_object_set_new(request, "workdir", json_string(absolute(form, *workdir ? workdir : ".", cwd, getenv_fn)));
	if (take_variables(form, &draft->envs, "envs", getenv_fn, request) < 0)
		return form->err->code;
	return take_variables(form, &draft->secrets, "secrets", getenv_fn, request);
}

/* Reads the request as the daemon will, and appends it. */
static int check_and_write(struct form *form, json_t *request, struct buf *ret)
{
	struct job_file job;
	char *text = json_dumps(request, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0;
	int rc;

	if (!text)
		return err_set(form->err, ERR_NOMEM, NULL, "no memory for the request, or a path that isn't UTF-8");
	rc = job_file_parse(text, len, form->arena, &job, form->err);
	form->err->line = 0; /* of the request, which nobody sees */
	if (rc == 0)
		buf_put(ret, text, len);
	memset(text, 0, len); /* secrets */
	free(text);
	return rc;
}

int job_file_to_request(const char *text, size_t len, const char *name, const char *cwd, const char *(*getenv_fn)(const char *),
                        struct buf *json, struct err *err)
{
	struct err scratch;
	struct arena arena = {0};
	struct form form = {.arena = &arena, .err = err ? err : &scratch};
	struct job_draft draft = {0};
	const struct yaml *root = NULL;
	json_t *request;
	int rc;

	rc = job_draft_read(&form, text, len, &draft, &root);
	if (rc == 0 && root)
		rc = resources_finish(&form, &draft);
	if (rc < 0) {
		arena_done(&arena);
		return rc;
	}
	request = root ? to_json(root) : json_object();
	if (!root)
		json_object_set_new(request, "script", json_stringn(text, len));
	rc = build(&form, &draft, request, name, cwd, getenv_fn);
	if (rc == 0)
		rc = check_and_write(&form, request, json);
	json_decref(request);
	arena_done(&arena);
	return rc;
}
