#ifndef MRQC_BROADCAST_SHAPE_H
#define MRQC_BROADCAST_SHAPE_H

#include <stdint.h>

enum { BROADCAST_RANK = 6 };

/* Extents of the result's axes, and how far apart the elements along each stand in both operands: 0 where an operand
 * is repeated. Missing axes come first, with extent 1. */
struct broadcast_shape {
    int32_t extent[BROADCAST_RANK];
    int32_t lhs_stride[BROADCAST_RANK];
    int32_t rhs_stride[BROADCAST_RANK];
};

/* Where a run along the last axis begins in both operands, and its place among all runs. */
struct broadcast_run {
    int32_t index[BROADCAST_RANK];
    int32_t lhs;
    int32_t rhs;
};

/* Moves on to the next run, counting up the outer axes like an odometer; returns 0 after the last one. */
static inline int32_t next_run(const struct broadcast_shape *shape, struct broadcast_run *run)
{
    for (int32_t axis = BROADCAST_RANK - 2; axis >= 0; axis--) {
        run->lhs += shape->lhs_stride[axis];
        run->rhs += shape->rhs_stride[axis];
        if (++run->index[axis] < shape->extent[axis]) {
            return 1;
        }
        run->lhs -= shape->extent[axis] * shape->lhs_stride[axis];
        run->rhs -= shape->extent[axis] * shape->rhs_stride[axis];
        run->index[axis] = 0;
    }
    return 0;
}

#endif
