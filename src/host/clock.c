/* SPDX-License-Identifier: Apache-2.0
 * clock.c: the wall's time at one instant, carried on by the boot clock; see clock.h. So nobody who sets the
 * wall clock makes limits fire early or time run backward. */
#include "host/clock.h"

#include <stdatomic.h>
#include <time.h>

/* What to add to the boot clock; 0: not anchored. */
static _Atomic us_t offset_us;

static us_t read_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (us_t)t.tv_sec * US_SECOND + t.tv_nsec / 1000;
}

void clock_anchor(us_t least)
{
	us_t wall = read_clock(CLOCK_REALTIME);

	atomic_store(&offset_us, (wall > least ? wall : least) - read_clock(CLOCK_BOOTTIME));
}

us_t clock_now(void)
{
	us_t offset = atomic_load(&offset_us);

	if (!offset) {
		clock_anchor(0);
		offset = atomic_load(&offset_us);
	}
	return offset + read_clock(CLOCK_BOOTTIME);
}
