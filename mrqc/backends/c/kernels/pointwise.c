/* pointwise: output = requantize((input - input_zero_point) * (weights - weight_zero_point)^T + bias), row by row: a
 * fully connected layer, or a convolution with a 1x1 kernel and stride 1, whose rows are the pixels.
 *
 * input [rows][depth], weights [outputs][depth], bias [outputs] or NULL, output [rows][outputs].
 *
 * Stack: 32 accumulators. */
#include <stdint.h>

#include "accumulate_run.h"
#include "channel_block.h"
#include "code_range.h"
#include "pointwise_shape.h"
#include "slots/accumulator.h"
#include "slots/input.h"
#include "slots/output.h"
#include "slots/requantize.h"
#include "start_accumulators.h"

void pointwise(const input_t *input, const int8_t *weights, const accumulator_t *bias,
               const struct pointwise_shape *shape, const scale_t *scales, const struct code_range *range,
               output_t *output)
{
    const int32_t rows = shape->rows;
    const int32_t depth = shape->depth;
    const int32_t outputs = shape->outputs;
    for (int32_t row = 0; row < rows; row++) {
        for (int32_t channel = 0; channel < outputs; channel += CHANNEL_BLOCK) {
            const int32_t left = outputs - channel;
            const int32_t count = left < CHANNEL_BLOCK ? left : CHANNEL_BLOCK;
            accumulator_t accumulators[CHANNEL_BLOCK];
            start_accumulators(bias, channel, count, accumulators);
            accumulate_run(input, shape->input_zero_point, depth, weights + channel * depth,
                           shape->weight_zero_point, 0, depth, count, accumulators);
            requantize(accumulators, count, channel, scales, range, output + channel);
        }
        input += depth;
        output += outputs;
    }
}
