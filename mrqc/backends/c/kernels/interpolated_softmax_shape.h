#ifndef MRQC_INTERPOLATED_SOFTMAX_SHAPE_H
#define MRQC_INTERPOLATED_SOFTMAX_SHAPE_H

#include <stdint.h>

/* Rows of `depth` codes; differences times multiplier / 2^shift are places in the table of exponentials. */
struct interpolated_softmax_shape {
    int32_t rows;
    int32_t depth;
    int32_t multiplier;
    int32_t shift;
};

#endif
