/* rescaled_add: output = requantize(scaled(lhs) + scaled(rhs)), each operand rounded onto a fine grid of its own
 * accord, operands stretched over each other. The output may stand where an operand stands that is not repeated and
 * whose elements are no smaller.
 *
 * Stack: 304 bytes. */
#include <stdint.h>

#include "broadcast_shape.h"
#include "channel_block.h"
#include "code_range.h"
#include "operand_scaling.h"
#include "slots/accumulator.h"
#include "slots/input.h"
#include "slots/other.h"
#include "slots/output.h"
#include "slots/requantize.h"
#include "slots/round_operand.h"

static inline int64_t rescaled_operand(int32_t code, const struct operand_scaling *scaling)
{
    const int64_t product = (int64_t)(code - scaling->zero_point) * scaling->one * scaling->multiplier;
    return round_operand(product, scaling->shift);
}

void rescaled_add(const input_t *lhs, const struct operand_scaling *lhs_scaling, const other_t *rhs,
                  const struct operand_scaling *rhs_scaling, const struct broadcast_shape *shape,
                  const scale_t *scales, const struct code_range *range, output_t *output)
{
    const int32_t size = shape->extent[BROADCAST_RANK - 1];
    const int32_t lhs_step = shape->lhs_stride[BROADCAST_RANK - 1];
    const int32_t rhs_step = shape->rhs_stride[BROADCAST_RANK - 1];
    struct broadcast_run run = {{0}, 0, 0};
    do {
        for (int32_t start = 0; start < size; start += CHANNEL_BLOCK) {
            const int32_t rest = size - start;
            const int32_t count = rest < CHANNEL_BLOCK ? rest : CHANNEL_BLOCK;
            accumulator_t sums[CHANNEL_BLOCK];
            for (int32_t i = 0; i < count; i++) {
                const int32_t lhs_code = load_input(lhs + run.lhs + (start + i) * lhs_step);
                const int32_t rhs_code = load_other(rhs + run.rhs + (start + i) * rhs_step);
                sums[i] = (accumulator_t)(rescaled_operand(lhs_code, lhs_scaling) +
                                          rescaled_operand(rhs_code, rhs_scaling));
            }
            requantize(sums, count, 0, scales, range, output + start);
        }
        output += size;
    } while (next_run(shape, &run));
}
