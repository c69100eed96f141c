/* round_half_even: value / 2^shift to the nearest integer, ties to the even one. value + 2^(shift-1) must fit. */
#ifndef MRQC_ROUND_HALF_EVEN_H
#define MRQC_ROUND_HALF_EVEN_H

#include "../shift_right.h"
#include "../slots/width.h"

static inline wide_t round_half_even(wide_t value, int32_t shift)
{
    const wide_t half = (wide_t)(((unsigned_wide_t)1 << shift) >> 1);
    /* A tie goes up only from an odd floor; a shift by 0 has no ties, its half is 0. */
    const wide_t below_half = half > 0 ? half - 1 : 0;
    const wide_t odd_floor = half > 0 ? shift_right(value, shift) & 1 : 0;
    return shift_right(value + below_half + odd_floor, shift);
}

#endif
