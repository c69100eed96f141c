#ifndef MRQC_TAKE_SHAPE_H
#define MRQC_TAKE_SHAPE_H

#include <stdint.h>

/* A choice of `count` among `extent` entries along the middle axis of [outer][extent][inner]. */
struct take_shape {
    int32_t outer;
    int32_t extent;
    int32_t inner;
    int32_t count;
};

#endif
