#ifndef MRQC_FIXED_POINT_H
#define MRQC_FIXED_POINT_H

#include <stdint.h>

/* The real number multiplier / 2^shift. */
struct fixed_point {
    int32_t multiplier;
    int32_t shift;
};

#endif
