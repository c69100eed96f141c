#ifndef MRQC_TRANSPOSE_SHAPE_H
#define MRQC_TRANSPOSE_SHAPE_H

#include <stdint.h>

enum { TRANSPOSE_RANK = 8 };

/* Extents of the result's axes, and how far apart in the input the elements along each stand. Missing axes come
 * first, with extent 1. */
struct transpose_shape {
    int32_t extent[TRANSPOSE_RANK];
    int32_t stride[TRANSPOSE_RANK];
};

#endif
