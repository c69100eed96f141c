#ifndef MRQC_RECIPROCAL_SOFTMAX_SHAPE_H
#define MRQC_RECIPROCAL_SOFTMAX_SHAPE_H

#include <stdint.h>

/* Rows of `depth` codes; results of `bits` bits from `least` to `greatest`. */
struct reciprocal_softmax_shape {
    int32_t rows;
    int32_t depth;
    int32_t bits;
    int32_t least;
    int32_t greatest;
};

#endif
