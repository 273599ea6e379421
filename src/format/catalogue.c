/* SPDX-License-Identifier: Apache-2.0
 * catalogue.c: the built-in catalogue of cards.
 *
 * Figures are their makers' own, nominal: dense (never with sparsity), FP64 and FP32 of the vector units, memory as
 * on the box. Where a maker doesn't publish one it is left out; a pool file can state it, with its source. Nothing is decided by
 * this table after a pool was read: what a pool uses of it stands in the journal. */
#include <string.h>

#include "format/pool_file.h"

/* Figures in tenths of 10^12 operations a second, for a table that can be read. */
#define TENTHS(fp64, fp32, tf32, fp16, int8) \
	{ \
		(fp64) * UINT64_C(100), (fp32)*UINT64_C(100), (tf32)*UINT64_C(100), (fp16)*UINT64_C(100), (int8)*UINT64_C(100) \
	}
#define CARD(name, vendor, gib, bandwidth, watts, flops) \
	{ \
		name, vendor, "vendor, nominal", CLASS_INTELLIGENT, false, (gib)*1024, flops, bandwidth, watts \
	}

/* clang-format off */
static const struct kind_spec cards[] = {
	/*    name            vendor       GiB   GB/s  W           fp64  fp32  tf32  fp16   int8 */
	CARD("h200",         "nvidia",     141, 4800, 700, TENTHS( 340,  670, 4945, 9895, 19790)),
	CARD("h100",         "nvidia",      80, 3350, 700, TENTHS( 340,  670, 4945, 9895, 19790)),
	CARD("h800",         "nvidia",      80, 3350, 700, TENTHS(  10,  670, 4945, 9895, 19790)),
	CARD("h20",          "nvidia",      96, 4000, 400, TENTHS(  10,  440,  740, 1480,  2960)),
	CARD("a100",         "nvidia",      80, 2039, 400, TENTHS(  97,  195, 1560, 3120,  6240)),
	CARD("a800",         "nvidia",      80, 2039, 400, TENTHS(  97,  195, 1560, 3120,  6240)),
	CARD("v100",         "nvidia",      32,  900, 300, TENTHS(  78,  157,    0, 1250,     0)),
	CARD("p100",         "nvidia",      16,  732, 300, TENTHS(  53,  106,    0,  212,     0)),
	CARD("a10",          "nvidia",      24,  600, 150, TENTHS(   0,  312,  625, 1250,  2500)),
	CARD("t4",           "nvidia",      16,  320,  70, TENTHS(   0,   81,    0,  650,  1300)),
	CARD("l4",           "nvidia",      24,  300,  72, TENTHS(   0,  303,  600, 1210,  2425)),
	CARD("l20",          "nvidia",      48,  864, 275, TENTHS(   0,  598,  598, 1195,  2390)),
	CARD("l40s",         "nvidia",      48,  864, 350, TENTHS(   0,  916, 1830, 3620,  7330)),
	CARD("rtx-4090",     "nvidia",      24, 1008, 450, TENTHS(   0,  826,  826, 1652,  6606)),
	CARD("mi300x",       "amd",        192, 5300, 750, TENTHS( 817, 1634, 6537, 13074, 26149)),
	CARD("ascend-910b1", "huawei",      64,    0,   0, TENTHS(   0,    0,    0,    0,     0)),
	CARD("ascend-910b2", "huawei",      64,    0,   0, TENTHS(   0,    0,    0, 3760,     0)),
	CARD("ascend-910b3", "huawei",      64,    0,   0, TENTHS(   0,    0,    0, 3130,     0)),
	CARD("ascend-310p",  "huawei",      24,  204,  72, TENTHS(   0,    0,    0,  700,  1400)),
	CARD("mlu370",       "cambricon",   48,  614, 250, TENTHS(   0,  240,    0,  960,  2560)),
	CARD("mlu590",       "cambricon",    0,    0,   0, TENTHS(   0,    0,    0,    0,     0)),
	CARD("dcu-k100",     "hygon",       64,    0,   0, TENTHS(   0,    0,    0,    0,     0)),
	CARD("kunlun-r200",  "kunlunxin",    0,  512, 150, TENTHS(   0,  320,    0, 1280,  2560)),
	CARD("br104",        "biren",       32,  819, 300, TENTHS(   0, 1280, 2560, 5120, 10240)),
	CARD("mtt-s4000",    "moorethreads", 48, 768, 450, TENTHS(   0,  250,  500, 1000,  2000)),
	/* A core of a machine without cards, counted as one: what runs there really runs, and promises no speed. */
	{"cpu-core", "cpu", "this machine", CLASS_GENERAL, false, 0, {0}, 0, 0},
};
/* clang-format on */

const struct kind_spec *catalogue_all(uint32_t *ret_n)
{
	*ret_n = sizeof cards / sizeof *cards;
	return cards;
}

const struct kind_spec *catalogue_find(const char *name)
{
	for (size_t i = 0; i < sizeof cards / sizeof *cards; i++)
		if (!strcmp(cards[i].name, name))
			return &cards[i];
	return NULL;
}
