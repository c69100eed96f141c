#ifndef MRQC_DOUBLE_SCALE_H
#define MRQC_DOUBLE_SCALE_H

#include <stdint.h>

/* The real number (high * 2^31 + low) / 2^shift, where the integer has 53 bits: a number in double precision. */
struct double_scale {
    int32_t high;
    int32_t low;
    int32_t shift;
};

#endif
