/* add_broadcast: as add, for operands of different shapes that are stretched over each other.
 *
 * Stack: 304 bytes. */
#include <stdint.h>

#include "broadcast_shape.h"
#include "channel_block.h"
#include "code_range.h"
#include "slots/accumulator.h"
#include "slots/input.h"
#include "slots/other.h"
#include "slots/output.h"
#include "slots/requantize.h"

void add_broadcast(const input_t *lhs, int32_t lhs_multiplier, const other_t *rhs, int32_t rhs_multiplier,
                   const struct broadcast_shape *shape, const scale_t *scales, const struct code_range *range,
                   output_t *output)
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
                const accumulator_t lhs_code = load_input(lhs + run.lhs + (start + i) * lhs_step);
                const accumulator_t rhs_code = load_other(rhs + run.rhs + (start + i) * rhs_step);
                sums[i] = lhs_code * lhs_multiplier + rhs_code * rhs_multiplier;
            }
            requantize(sums, count, 0, scales, range, output + start);
        }
        output += size;
    } while (next_run(shape, &run));
}
