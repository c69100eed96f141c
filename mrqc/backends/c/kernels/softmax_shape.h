#ifndef MRQC_SOFTMAX_SHAPE_H
#define MRQC_SOFTMAX_SHAPE_H

#include <stdint.h>

/* Rows of `depth` codes; a probability of 1 is the code distance `one`. */
struct softmax_shape {
    int32_t rows;
    int32_t depth;
    int32_t one;
};

#endif
