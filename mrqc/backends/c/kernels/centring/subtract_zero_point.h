/* subtract_zero_point: an 8-bit code less its zero point. Said to fit 16 bits, so that compilers multiply in them. */
#ifndef MRQC_SUBTRACT_ZERO_POINT_H
#define MRQC_SUBTRACT_ZERO_POINT_H

#include <stdint.h>

static inline int32_t subtract_zero_point(int32_t code, int32_t zero_point)
{
    return (int16_t)(code - (int16_t)zero_point);
}

#endif
