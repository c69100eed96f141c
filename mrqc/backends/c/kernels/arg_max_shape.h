#ifndef MRQC_ARG_MAX_SHAPE_H
#define MRQC_ARG_MAX_SHAPE_H

#include <stdint.h>

/* The middle axis of [outer][extent][inner] is searched; for the least code with sign -1, else 1. */
struct arg_max_shape {
    int32_t outer;
    int32_t extent;
    int32_t inner;
    int32_t sign;
};

#endif
