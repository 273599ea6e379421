/* SPDX-License-Identifier: Apache-2.0
 * calendar.h: how much of one resource is claimed over time. One type for cards, CPUs, memory, links, licences. */
#ifndef SUAN_CORE_CALENDAR_H
#define SUAN_CORE_CALENDAR_H

#include "base/tree.h"
#include "base/units.h"

/* All zero but for the capacity is an empty calendar. Amounts are in the resource's own unit. */
struct calendar {
	uint64_t capacity; /* AMOUNT_NONE: not counted, every amount fits at once */
	int64_t base;      /* claimed since before every step */
	us_t folded_us;    /* steps up to here are in `base` */
	struct tree steps;
};

/* Adds a claim over [from, until); until US_NEVER: for ever. Cost: O(log n) in the number of steps. */
void calendar_add(struct calendar *calendar, uint64_t amount, us_t from_us, us_t until_us);
/* Takes out a claim that was added, with the same arguments. */
void calendar_remove(struct calendar *calendar, uint64_t amount, us_t from_us, us_t until_us);

/* Folds steps up to an instant, which nobody will ask about any more, into the base. It never goes back. */
void calendar_fold(struct calendar *calendar, us_t until_us);

/* Claimed at an instant, which must be at or after the folded. Cost: O(log n). */
int64_t calendar_claimed(const struct calendar *calendar, us_t at_us);

/* Earliest instant at or after not_before_us from which `amount` stays free for duration_us (US_NEVER: for ever).
 * Returns US_NEVER where there is none. Cost: O(log n) a hump of claims that lies in between. */
us_t calendar_earliest(const struct calendar *calendar, uint64_t amount, us_t not_before_us, us_t duration_us);

void calendar_done(struct calendar *calendar);

/* Aborts where the sums differ from the steps. */
void calendar_check(const struct calendar *calendar);

#endif
