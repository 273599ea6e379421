/* SPDX-License-Identifier: Apache-2.0
 * local_find.h: what this machine has: cores and memory by hwloc, cards by NVML where its library is present. */
#ifndef SUAN_ENGINE_LOCAL_FIND_H
#define SUAN_ENGINE_LOCAL_FIND_H

#include "port/engine.h"

/* As engine_ops.discover. A machine without cards offers its cores as cards of kind "cpu-core". */
int local_discover(const struct centre_spec *centre, struct arena *arena, struct discovery *ret, struct err *err);

/* The name of a kind for a name that NVML gives: "NVIDIA H100 80GB HBM3" is "h100", "NVIDIA GeForce RTX 4090" is "rtx-4090".
 * Writes at most `size` bytes, terminated; returns buf. */
char *kind_of_device(const char *device, char *buf, size_t size);

#endif
