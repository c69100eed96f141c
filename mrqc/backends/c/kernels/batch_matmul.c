/* batch_matmul: output = requantize((lhs - lhs_zero_point) * (rhs - rhs_zero_point)), matrix by matrix.
 *
 * The last axis but one of `rows` is that of the result's rows, the axes before it are those of the matrices.
 *
 * Stack: 32 accumulators. */
#include <stdint.h>

#include "batch_matmul_shape.h"
#include "broadcast_shape.h"
#include "channel_block.h"
#include "code_range.h"
#include "slots/accumulator.h"
#include "slots/input.h"
#include "slots/other.h"
#include "slots/output.h"
#include "slots/requantize.h"

/* Sets `count` accumulators to the products of one row with as many columns. */
static inline void multiply_row(const input_t *lhs, const other_t *rhs, int32_t count,
                                const struct batch_matmul_shape *shape, accumulator_t *accumulators)
{
    for (int32_t i = 0; i < count; i++) {
        accumulators[i] = 0;
    }
    for (int32_t k = 0; k < shape->depth; k++) {
        const accumulator_t factor = load_input(lhs + k * shape->lhs_stride) - shape->lhs_zero_point;
        const other_t *row = rhs + k * shape->rhs_stride;
        for (int32_t i = 0; i < count; i++) {
            accumulators[i] += factor * (load_other(row + i * shape->column_stride) - shape->rhs_zero_point);
        }
    }
}

void batch_matmul(const input_t *lhs, const other_t *rhs, const struct broadcast_shape *rows,
                  const struct batch_matmul_shape *shape, const scale_t *scales, const struct code_range *range,
                  output_t *output)
{
    struct broadcast_run run = {{0}, 0, 0};
    do {
        for (int32_t column = 0; column < shape->columns; column += CHANNEL_BLOCK) {
            const int32_t rest = shape->columns - column;
            const int32_t count = rest < CHANNEL_BLOCK ? rest : CHANNEL_BLOCK;
            accumulator_t accumulators[CHANNEL_BLOCK];
            multiply_row(lhs + run.lhs, rhs + run.rhs + column * shape->column_stride, count, shape, accumulators);
            requantize(accumulators, count, 0, scales, range, output + column);
        }
        output += shape->columns;
    } while (next_run(rows, &run));
}
