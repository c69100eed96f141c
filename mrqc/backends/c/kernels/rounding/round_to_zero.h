/* round_to_zero: value / 2^shift, the fraction cut off. value + 2^shift must fit. */
#ifndef MRQC_ROUND_TO_ZERO_H
#define MRQC_ROUND_TO_ZERO_H

#include "../shift_right.h"
#include "../slots/width.h"

static inline wide_t round_to_zero(wide_t value, int32_t shift)
{
    const wide_t below_one = (wide_t)(((unsigned_wide_t)1 << shift) - 1);
    return shift_right(value < 0 ? value + below_one : value, shift);
}

#endif
