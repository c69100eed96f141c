/* shift_right: floor(value / 2^amount), for 0 <= amount < the width of the integer.
 *
 * C leaves the right shift of a negative number to the compiler; this form does not, and gcc and clang turn it into
 * the one arithmetic shift that it is. */
#ifndef MRQC_SHIFT_RIGHT_H
#define MRQC_SHIFT_RIGHT_H

#include "slots/width.h"

static inline wide_t shift_right(wide_t value, int32_t amount)
{
    return value < 0 ? ~(~value >> amount) : value >> amount;
}

#endif
