/* SPDX-License-Identifier: Apache-2.0
 * local_find.c: what this machine has; see local_find.h.
 *
 * NVML is loaded where it is present, and never linked: most machines don't have it. Its few functions are declared here by their
 * documented signatures. */
#include "engine/local_find.h"

#include <ctype.h>
#include <dlfcn.h>
#include <hwloc.h>
#include <stdio.h>
#include <string.h>

enum { DEVICE_NAME_SIZE = 96, KINDS_MAX = 16 };

/* What the machine has besides cards. */
struct machine {
	uint32_t cores, cpus, memory_mib;
};

struct found_kind {
	char name[DEVICE_NAME_SIZE];
	uint32_t count;
	uint32_t memory_mib;
};

/* ---- Cores and memory ---- */

static int find_machine(struct machine *ret, struct err *err)
{
	hwloc_topology_t topology;
	int cores, cpus;
	uint64_t memory;

	if (hwloc_topology_init(&topology))
		return err_set(err, ERR_NOMEM, "nodes", "hwloc can't be started");
	if (hwloc_topology_load(topology)) {
		hwloc_topology_destroy(topology);
		return err_set(err, ERR_IO, "nodes", "this machine can't be looked at by hwloc; name its nodes in the pool file");
	}
	cores = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE);
	cpus = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU);
	memory = hwloc_get_root_obj(topology)->total_memory >> 20;
	hwloc_topology_destroy(topology);
	ret->cpus = cpus > 0 ? (uint32_t)cpus : 1;
	ret->cores = cores > 0 ? (uint32_t)cores : ret->cpus; /* not every virtual machine says which threads share a core */
	ret->memory_mib = memory && memory < UINT32_MAX ? (uint32_t)memory : UNCOUNTED;
	return 0;
}

/* ---- Cards ---- */

struct nvml_memory {
	unsigned long long total, free, used; /* bytes */
};

struct nvml {
	void *library;
	int (*init)(void);
	int (*shutdown)(void);
	int (*count)(unsigned *);
	int (*handle)(unsigned, void **);
	int (*name)(void *, char *, unsigned);
	int (*memory)(void *, struct nvml_memory *);
};

static bool nvml_open(struct nvml *nvml)
{
	static const char *const names[] = {"nvmlInit_v2",           "nvmlShutdown",
	                                    "nvmlDeviceGetCount_v2", "nvmlDeviceGetHandleByIndex_v2",
	                                    "nvmlDeviceGetName",     "nvmlDeviceGetMemoryInfo"};
	void *found[sizeof names / sizeof *names];

	nvml->library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!nvml->library)
		return false;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		found[i] = dlsym(nvml->library, names[i]);
		if (!found[i])
			return false;
	}
	memcpy(&nvml->init, &found[0], sizeof found[0]); /* C has no cast from an object's pointer to a function's */
	memcpy(&nvml->shutdown, &found[1], sizeof found[1]);
	memcpy(&nvml->count, &found[2], sizeof found[2]);
	memcpy(&nvml->handle, &found[3], sizeof found[3]);
	memcpy(&nvml->name, &found[4], sizeof found[4]);
	memcpy(&nvml->memory, &found[5], sizeof found[5]);
	return true;
}

char *kind_of_device(const char *device, char *buf, size_t size)
{
	static const char *const makers[] = {"nvidia ", "tesla ", "geforce ", "quadro "};
	char lower[DEVICE_NAME_SIZE], *at = lower, *out = buf;

	snprintf(lower, sizeof lower, "%s", device);
	for (char *c = lower; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	for (size_t i = 0; i < sizeof makers / sizeof *makers; i++)
		if (!strncmp(at, makers[i], strlen(makers[i])))
			at += strlen(makers[i]);
	*out = 0;
	for (; *at && (size_t)(out - buf) + 1 < size; at++) {
		bool blank = *at == '-' || *at == ' ';

		if (blank && strcmp(buf, "rtx") != 0 && strcmp(buf, "gtx") != 0)
			break; /* "h100 80gb hbm3", "a100-sxm4-40gb": the model is the first word, but after a series' name */
		if (blank || isalnum((unsigned char)*at))
			*out++ = blank ? '-' : *at;
		*out = 0;
	}
	if (out == buf)
		snprintf(buf, size, "gpu");
	return buf;
}

static struct found_kind *kind_slot(struct found_kind *kinds, uint32_t *n, const char *name)
{
	for (uint32_t i = 0; i < *n; i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	if (*n == KINDS_MAX)
		return NULL;
	snprintf(kinds[*n].name, sizeof kinds[*n].name, "%s", name);
	return &kinds[(*n)++];
}

static void find_device(const struct nvml *nvml, unsigned index, struct found_kind *kinds, uint32_t *n)
{
	char device[DEVICE_NAME_SIZE] = "", name[DEVICE_NAME_SIZE];
	struct nvml_memory memory = {0};
	struct found_kind *kind;
	void *handle;

	if (nvml->handle(index, &handle) || nvml->name(handle, device, sizeof device))
		return;
	kind = kind_slot(kinds, n, kind_of_device(device, name, sizeof name));
	if (!kind || kind->count == CARDS_PER_NODE_MAX)
		return;
	kind->count++;
	if (!nvml->memory(handle, &memory))
		kind->memory_mib = (uint32_t)(memory.total >> 20);
}

/* The kinds of card of this machine. Returns how many. */
static uint32_t find_cards(struct found_kind *kinds)
{
	struct nvml nvml = {0};
	uint32_t n = 0;
	unsigned count = 0;

	if (nvml_open(&nvml) && !nvml.init()) {
		if (!nvml.count(&count))
			for (unsigned i = 0; i < count; i++)
				find_device(&nvml, i, kinds, &n);
		nvml.shutdown();
	}
	if (nvml.library)
		dlclose(nvml.library);
	return n;
}

/* ---- Both ---- */

/* One line a kind; where there are several, each has its part of the CPUs and the memory. */
static struct line_spec line_of(const struct machine *machine, const char *kind, uint32_t cards, uint32_t parts)
{
	return (struct line_spec){
		.count = 1,
		.kind = kind,
		.cards = cards,
		.cpus_milli = machine->cpus / parts * CARD_MILLI,
		.memory_mib = machine->memory_mib == UNCOUNTED ? UNCOUNTED : machine->memory_mib / parts,
	};
}

int local_discover(const struct centre_spec *centre, struct arena *arena, struct discovery *ret, struct err *err)
{
	struct found_kind found[KINDS_MAX] = {0};
	struct machine machine = {0};
	struct line_spec *lines = arena_new(arena, KINDS_MAX, sizeof *lines);
	struct kind_spec *kinds = arena_new(arena, KINDS_MAX, sizeof *kinds);
	uint32_t n = find_cards(found);
	int code = find_machine(&machine, err);

	(void)centre;
	if (code)
		return code;
	if (n == 0) {
		uint32_t cards = machine.cores < CARDS_PER_NODE_MAX ? machine.cores : CARDS_PER_NODE_MAX;

		kinds[0] = (struct kind_spec){
			.name = "cpu-core", .vendor = "cpu", .source = "hwloc, on this machine", .class = CLASS_GENERAL};
		lines[0] = line_of(&machine, kinds[0].name, cards, 1);
		*ret = (struct discovery){.lines = lines, .n_lines = 1, .kinds = kinds, .n_kinds = 1};
		return 0;
	}
	for (uint32_t i = 0; i < n; i++) {
		kinds[i] = (struct kind_spec){.name = arena_strdup(arena, found[i].name),
		                              .vendor = "nvidia",
		                              .class = CLASS_INTELLIGENT,
		                              .source = "NVML, on this machine",
		                              .memory_mib = found[i].memory_mib};
		lines[i] = line_of(&machine, kinds[i].name, found[i].count, n);
	}
	*ret = (struct discovery){.lines = lines, .n_lines = n, .kinds = kinds, .n_kinds = n};
	return 0;
}
