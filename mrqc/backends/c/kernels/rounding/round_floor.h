/* round_floor: value / 2^shift, towards minus infinity. */
#ifndef MRQC_ROUND_FLOOR_H
#define MRQC_ROUND_FLOOR_H

#include "../shift_right.h"
#include "../slots/width.h"

static inline wide_t round_floor(wide_t value, int32_t shift)
{
    return shift_right(value, shift);
}

#endif
