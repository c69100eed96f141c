#ifndef MRQC_SLICE_SHAPE_H
#define MRQC_SLICE_SHAPE_H

#include <stdint.h>

enum { SLICE_RANK = 8 };

/* A box of a tensor: where its first element stands, extents of the result's axes, and how far apart in the input the
 * elements along each stand, negative where it is read backwards. Missing axes come first, with extent 1. */
struct slice_shape {
    int32_t start;
    int32_t extent[SLICE_RANK];
    int32_t stride[SLICE_RANK];
};

#endif
