/* SPDX-License-Identifier: Apache-2.0
 * wide.h: integers of 128 bits, for products and sums of amounts that 64 bits don't hold. */
#ifndef SUAN_BASE_WIDE_H
#define SUAN_BASE_WIDE_H

#include <stdint.h>

__extension__ typedef unsigned __int128 u128;
__extension__ typedef __int128 i128;

/* a / b. Most that is divided fits in 64 bits, for which there is an instruction. b: not 0. */
static inline u128 wide_div(u128 a, uint64_t b)
{
	return a >> 64 ? a / b : (uint64_t)a / b;
}

#endif
