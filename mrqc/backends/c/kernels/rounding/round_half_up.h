/* round_half_up: value / 2^shift to the nearest integer, ties towards plus infinity. value + 2^(shift-1) must fit. */
#ifndef MRQC_ROUND_HALF_UP_H
#define MRQC_ROUND_HALF_UP_H

#include "../shift_right.h"
#include "../slots/width.h"

static inline wide_t round_half_up(wide_t value, int32_t shift)
{
    const wide_t half = (wide_t)(((unsigned_wide_t)1 << shift) >> 1);
    return shift_right(value + half, shift);
}

#endif
