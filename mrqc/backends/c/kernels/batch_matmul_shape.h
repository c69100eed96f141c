#ifndef MRQC_BATCH_MATMUL_SHAPE_H
#define MRQC_BATCH_MATMUL_SHAPE_H

#include <stdint.h>

/* Row by matrix: how far apart the elements stand along the depth in both operands, and along the columns of the
 * second. */
struct batch_matmul_shape {
    int32_t depth;
    int32_t columns;
    int32_t lhs_stride;
    int32_t rhs_stride;
    int32_t column_stride;
    int32_t lhs_zero_point;
    int32_t rhs_zero_point;
};

#endif
