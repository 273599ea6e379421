/* SPDX-License-Identifier: Apache-2.0
 * image.h: what a disk may hold after the power went: of what was never synced, a part. */
#ifndef SUAN_TEST_FAULT_IMAGE_H
#define SUAN_TEST_FAULT_IMAGE_H

#include "control.h"

/* What a torn image came to. */
struct image {
	unsigned names_unsynced, names_undone, files, blocks_unsynced, blocks_undone;
};

/* Changes the state directory of a machine that is off into one that its log allows: names made, moved or removed since their
 * folder was synced are undone from a random one on, the last first (file systems keep the order of these); of each file, each
 * 512-byte block that was written since the file was synced is as it is or as it was then, by a coin, and so is the file's size.
 * The same seed and log give the same image. */
void image_tear(const struct control *control, uint64_t seed, struct image *ret);

#endif
