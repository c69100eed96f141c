#ifndef MRQC_POINTWISE_SHAPE_H
#define MRQC_POINTWISE_SHAPE_H

#include <stdint.h>

/* A matrix product: rows of `depth` elements become rows of `outputs` elements. */
struct pointwise_shape {
    int32_t rows;
    int32_t depth;
    int32_t outputs;
    int32_t input_zero_point;
    int32_t weight_zero_point;
};

#endif
