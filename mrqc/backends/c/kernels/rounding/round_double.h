/* round_double: value / 2^shift as gemmlowp rounds a fixed-point product, twice.
 *
 * Half up by as many bits as the high half of a doubled 64-bit product drops, 31; then, by what is left of the shift,
 * to the nearest integer with ties away from zero. value + 2^30 must fit. */
#ifndef MRQC_ROUND_DOUBLE_H
#define MRQC_ROUND_DOUBLE_H

#include "../slots/width.h"
#include "round_half_away.h"
#include "round_half_up.h"

static inline wide_t round_double(wide_t value, int32_t shift)
{
    const int32_t first = shift < 31 ? shift : 31;
    return round_half_away(round_half_up(value, first), shift - first);
}

#endif
