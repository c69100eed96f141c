/* transpose: the axes of a tensor in another order.
 *
 * Stack: 32 bytes. */
#include <stdint.h>

#include "slots/input.h"
#include "slots/output.h"
#include "transpose_shape.h"

void transpose(const input_t *input, const struct transpose_shape *shape, output_t *output)
{
    const int32_t inner_extent = shape->extent[TRANSPOSE_RANK - 1];
    const int32_t inner_stride = shape->stride[TRANSPOSE_RANK - 1];
    int32_t index[TRANSPOSE_RANK] = {0};
    int32_t source = 0;
    int32_t axis;
    do {
        for (int32_t i = 0; i < inner_extent; i++) {
            store_output(output + i, load_input(input + source + i * inner_stride));
        }
        output += inner_extent;
        /* Count up the outer axes like an odometer, the place in the input along with them. */
        for (axis = TRANSPOSE_RANK - 2; axis >= 0; axis--) {
            source += shape->stride[axis];
            if (++index[axis] < shape->extent[axis]) {
                break;
            }
            source -= shape->extent[axis] * shape->stride[axis];
            index[axis] = 0;
        }
    } while (axis >= 0);
}
