/* SPDX-License-Identifier: Apache-2.0
 * wide.h: integers of 128 bits, for products and sums of amounts that 64 bits don't hold. */
#ifndef SUAN_BASE_WIDE_H
#define SUAN_BASE_WIDE_H

__extension__ typedef unsigned __int128 u128;
__extension__ typedef __int128 i128;

#endif
