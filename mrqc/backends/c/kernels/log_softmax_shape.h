#ifndef MRQC_LOG_SOFTMAX_SHAPE_H
#define MRQC_LOG_SOFTMAX_SHAPE_H

#include <stdint.h>

/* Rows of `depth` codes; results from `least` to `greatest`; which distances are too great: those beyond `radius`, and
 * those that the logarithm, times multiplier / 2^shift, rules out. */
struct log_softmax_shape {
    int32_t rows;
    int32_t depth;
    int32_t radius;
    int32_t multiplier;
    int32_t shift;
    int32_t least;
    int32_t greatest;
};

#endif
