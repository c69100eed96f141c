/* maximum: the greater of two codes, operands stretched over each other. The output may stand where an operand stands
 * that is not repeated.
 *
 * Stack: 48 bytes. */
#include <stdint.h>

#include "broadcast_shape.h"
#include "slots/input.h"
#include "slots/output.h"

void maximum(const input_t *lhs, const input_t *rhs, const struct broadcast_shape *shape, output_t *output)
{
    const int32_t size = shape->extent[BROADCAST_RANK - 1];
    const int32_t lhs_step = shape->lhs_stride[BROADCAST_RANK - 1];
    const int32_t rhs_step = shape->rhs_stride[BROADCAST_RANK - 1];
    struct broadcast_run run = {{0}, 0, 0};
    do {
        for (int32_t i = 0; i < size; i++) {
            const int32_t lhs_code = load_input(lhs + run.lhs + i * lhs_step);
            const int32_t rhs_code = load_input(rhs + run.rhs + i * rhs_step);
            store_output(output + i, lhs_code > rhs_code ? lhs_code : rhs_code);
        }
        output += size;
    } while (next_run(shape, &run));
}
