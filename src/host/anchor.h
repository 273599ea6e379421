/* SPDX-License-Identifier: Apache-2.0
 * anchor.h: points of the journal's chain, signed and written down outside the store.
 *
 * The chain alone can't show that its end was cut off, nor that all of it was written anew: whoever can write the store can do
 * both. An anchor says what the chain was at an event; a copy of the file where no one else can write makes that last.
 *
 * A line each, appended and synced: suan-anchor-1 SEQUENCE TIME_US HASH SIGNATURE. The signature (Ed25519) is of all before it.
 */
#ifndef SUAN_HOST_ANCHOR_H
#define SUAN_HOST_ANCHOR_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/journal.h"

/* ANCHOR_CHECKED: how many of the newest signatures a start looks at. The last anchor speaks for everything before it. */
enum { ANCHOR_KEY_BYTES = 32, ANCHOR_SECRET_BYTES = 64, ANCHOR_LINE_MAX = 320, ANCHOR_CHECKED = 64 };

/* The file that anchors are appended to, and the key. All zero with fd below 0 is closed. */
struct anchors {
	int fd;
	char *path;
	uint8_t secret[ANCHOR_SECRET_BYTES];
	struct anchor *list; /* those that were there when it was opened, by sequence */
	uint32_t n;
	off_t size; /* up to the end of the last whole line */
};

/* Opens `path` (NULL: STATE/anchors), made 0600 where it is missing, and reads it; the key is STATE/anchor.key, made at the
 * first start, its public half STATE/anchor.pub. A last line that a crash cut off is removed. Returns 0; ERR_CORRUPT where the
 * file holds anything that this key didn't sign; ERR_DENIED where others may read the key; ERR_IO, ERR_FULL. */
int anchors_open(const char *state_dir, const char *path, struct anchors *ret, struct err *err);
void anchors_done(struct anchors *anchors);

/* Appends an anchor; durable when it returns 0. ERR_IO, ERR_FULL: it isn't there, and may be tried again. */
int anchors_add(struct anchors *anchors, const struct anchor *anchor, struct err *err);

/* Reads a file of anchors for one who checks it. key: of the file STATE/anchor.pub; checked_max: that many of the newest
 * signatures are checked. *ret is the caller's, to free. ERR_NOT_FOUND: there is no such file; ERR_CORRUPT: names the line. */
int anchors_read(const char *path, const uint8_t key[ANCHOR_KEY_BYTES], uint32_t checked_max, struct anchor **ret,
                 uint32_t *ret_n, struct err *err);

/* Reads a public key, 64 hex digits. ERR_NOT_FOUND, ERR_INVALID, ERR_IO. */
int anchor_key_read(const char *path, uint8_t key[ANCHOR_KEY_BYTES], struct err *err);

#endif
