#ifndef MRQC_REDUCTION_SHAPE_H
#define MRQC_REDUCTION_SHAPE_H

#include <stdint.h>

enum { REDUCTION_RANK = 4 };

/* A reduction over [outer][kept and reduced axes in turns]: extents of the axes that stay and of those that go, and
 * how far apart in the input the elements along each stand. Missing axes come first, with extent 1. */
struct reduction_shape {
    int32_t kept_extent[REDUCTION_RANK];
    int32_t kept_stride[REDUCTION_RANK];
    int32_t reduced_extent[REDUCTION_RANK];
    int32_t reduced_stride[REDUCTION_RANK];
};

#endif
