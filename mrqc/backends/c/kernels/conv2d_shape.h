#ifndef MRQC_CONV2D_SHAPE_H
#define MRQC_CONV2D_SHAPE_H

#include <stdint.h>

/* Geometry of a two-dimensional convolution over NHWC tensors. */
struct conv2d_shape {
    int32_t batch;
    int32_t input_height;
    int32_t input_width;
    int32_t input_channels;
    int32_t output_height;
    int32_t output_width;
    int32_t output_channels;
    int32_t kernel_height;
    int32_t kernel_width;
    int32_t stride_height;
    int32_t stride_width;
    int32_t padding_top;
    int32_t padding_left;
    int32_t dilation_height;
    int32_t dilation_width;
    int32_t groups;
    int32_t input_zero_point;
    int32_t weight_zero_point;
};

#endif
