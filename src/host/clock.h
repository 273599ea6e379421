/* SPDX-License-Identifier: Apache-2.0
 * clock.h: the host's wall clock, which never goes back. */
#ifndef SUAN_HOST_CLOCK_H
#define SUAN_HOST_CLOCK_H

#include "base/units.h"

/* Anchors the clock: from now on it reads the wall's time of this call, or `least` where that is later, plus what the
 * boot clock counts from here (which goes on while the machine sleeps). Before any call, the first clock_now anchors it. */
void clock_anchor(us_t least);

/* Microseconds since 1970-01-01 UTC. Never less than any thread saw before. */
us_t clock_now(void);

#endif
