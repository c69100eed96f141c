/* round_half_away: value / 2^shift to the nearest integer, ties away from zero. value + 2^(shift-1) must fit. */
#ifndef MRQC_ROUND_HALF_AWAY_H
#define MRQC_ROUND_HALF_AWAY_H

#include "../shift_right.h"
#include "../slots/width.h"

static inline wide_t round_half_away(wide_t value, int32_t shift)
{
    const wide_t half = (wide_t)(((unsigned_wide_t)1 << shift) >> 1);
    /* One less sends a negative tie down; a shift by 0 has no ties, its half is 0. */
    const wide_t below_half = half > 0 ? half - 1 : 0;
    return shift_right(value + (value < 0 ? below_half : half), shift);
}

#endif
