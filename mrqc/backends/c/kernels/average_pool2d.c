/* average_pool2d: output = requantize(sum of each window, every code less the zero point); the division is part of the
 * scale. Padding adds nothing.
 *
 * input [batch][input_height][input_width][channels], output [batch][output_height][output_width][channels].
 *
 * Stack: 128 bytes. */
#include <stdint.h>

#include "channel_block.h"
#include "code_range.h"
#include "pool2d_shape.h"
#include "slots/input.h"
#include "slots/output.h"
#include "slots/requantize.h"
#include "sum_window.h"

void average_pool2d(const input_t *input, int32_t input_zero_point, const struct pool2d_shape *shape,
                    const scale_t *scales, const struct code_range *range, output_t *output)
{
    const int32_t channels = shape->channels;
    const int32_t pixels = shape->output_height * shape->output_width;
    const int32_t image_size = shape->input_height * shape->input_width * channels;
    for (int32_t image = 0; image < shape->batch; image++) {
        for (int32_t pixel = 0; pixel < pixels; pixel++) {
            const int32_t top = pixel / shape->output_width * shape->stride_height - shape->padding_top;
            const int32_t left = pixel % shape->output_width * shape->stride_width - shape->padding_left;
            for (int32_t channel = 0; channel < channels; channel += CHANNEL_BLOCK) {
                const int32_t rest = channels - channel;
                const int32_t count = rest < CHANNEL_BLOCK ? rest : CHANNEL_BLOCK;
                int32_t accumulators[CHANNEL_BLOCK] = {0};
                sum_window(input + image * image_size + channel, input_zero_point, top, left, count, shape,
                           accumulators);
                requantize(accumulators, count, channel, scales, range, output + channel);
            }
            output += channels;
        }
    }
}
