/* reduce_sum: output = requantize(sum of the codes along some axes, each less the zero point).
 *
 * Stack: 160 bytes. */
#include <stdint.h>

#include "channel_block.h"
#include "code_range.h"
#include "next_place.h"
#include "reduction_shape.h"
#include "slots/input.h"
#include "slots/output.h"
#include "slots/requantize.h"

void reduce_sum(const input_t *input, int32_t input_zero_point, const struct reduction_shape *shape,
                const scale_t *scales, const struct code_range *range, output_t *output)
{
    const int32_t inner_extent = shape->kept_extent[REDUCTION_RANK - 1];
    const int32_t inner_stride = shape->kept_stride[REDUCTION_RANK - 1];
    int32_t kept[REDUCTION_RANK] = {0};
    int32_t outer = 0;
    do {
        for (int32_t first = 0; first < inner_extent; first += CHANNEL_BLOCK) {
            const int32_t rest = inner_extent - first;
            const int32_t count = rest < CHANNEL_BLOCK ? rest : CHANNEL_BLOCK;
            const input_t *block = input + outer + first * inner_stride;
            int32_t accumulators[CHANNEL_BLOCK] = {0};
            int32_t reduced[REDUCTION_RANK] = {0};
            int32_t place = 0;
            do {
                for (int32_t i = 0; i < count; i++) {
                    accumulators[i] += load_input(block + place + i * inner_stride) - input_zero_point;
                }
                place = next_place(reduced, shape->reduced_extent, shape->reduced_stride, REDUCTION_RANK, place);
            } while (place >= 0);
            requantize(accumulators, count, 0, scales, range, output + first);
        }
        output += inner_extent;
        outer = next_place(kept, shape->kept_extent, shape->kept_stride, REDUCTION_RANK - 1, outer);
    } while (outer >= 0);
}
