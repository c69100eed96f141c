#ifndef MRQC_RESIZE_SHAPE_H
#define MRQC_RESIZE_SHAPE_H

#include <stdint.h>

/* A change of size of NHWC images; weights are in units of 2^-bits. */
struct resize_shape {
    int32_t batch;
    int32_t input_height;
    int32_t input_width;
    int32_t channels;
    int32_t output_height;
    int32_t output_width;
    int32_t bits;
};

#endif
