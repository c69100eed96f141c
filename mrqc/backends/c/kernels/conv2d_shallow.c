/* conv2d_shallow: conv2d for few input channels and one group, as in the first layer of an image network.
 *
 * A dot product over three channels leaves nothing to do in parallel; here each input element meets the weights of
 * all output channels at once, which the emitter has laid side by side:
 * weights [kernel_height][kernel_width][input_channels][output_channels]. All else is as in conv2d.
 *
 * Stack: 32 accumulators. */
#include <stdint.h>

#include "channel_block.h"
#include "code_range.h"
#include "conv2d_shape.h"
#include "multiply_add_row.h"
#include "slots/accumulator.h"
#include "slots/centre_input.h"
#include "slots/input.h"
#include "slots/output.h"
#include "slots/requantize.h"
#include "start_accumulators.h"
#include "tap_range.h"

/* Adds what the window at (top, left) of one image holds to the accumulators of `count` output channels. */
static inline void conv2d_shallow_window(const input_t *image, int32_t top, int32_t left, const int8_t *weights,
                                         int32_t count, const struct conv2d_shape *shape, accumulator_t *accumulators)
{
    const int32_t depth = shape->input_channels;
    const int32_t outputs = shape->output_channels;
    const struct tap_range rows =
        clip_taps(top, shape->dilation_height, shape->kernel_height, shape->input_height);
    const struct tap_range columns =
        clip_taps(left, shape->dilation_width, shape->kernel_width, shape->input_width);
    for (int32_t row = rows.first; row < rows.last; row++) {
        const int32_t y = top + row * shape->dilation_height;
        for (int32_t column = columns.first; column < columns.last; column++) {
            const int32_t x = left + column * shape->dilation_width;
            const input_t *pixel = image + (y * shape->input_width + x) * depth;
            const int8_t *tap = weights + (row * shape->kernel_width + column) * depth * outputs;
            for (int32_t i = 0; i < depth; i++) {
                const int32_t factor = centre_input(load_input(pixel + i), shape->input_zero_point);
                multiply_add_row(factor, tap + i * outputs, shape->weight_zero_point, count, accumulators);
            }
        }
    }
}

void conv2d_shallow(const input_t *input, const int8_t *weights, const accumulator_t *bias,
                    const struct conv2d_shape *shape, const scale_t *scales, const struct code_range *range,
                    output_t *output)
{
    const int32_t outputs = shape->output_channels;
    const int32_t pixels = shape->output_height * shape->output_width;
    const int32_t image_size = shape->input_height * shape->input_width * shape->input_channels;
    for (int32_t image = 0; image < shape->batch; image++) {
        for (int32_t pixel = 0; pixel < pixels; pixel++) {
            const int32_t top = pixel / shape->output_width * shape->stride_height - shape->padding_top;
            const int32_t left = pixel % shape->output_width * shape->stride_width - shape->padding_left;
            for (int32_t channel = 0; channel < outputs; channel += CHANNEL_BLOCK) {
                const int32_t rest = outputs - channel;
                const int32_t count = rest < CHANNEL_BLOCK ? rest : CHANNEL_BLOCK;
                accumulator_t accumulators[CHANNEL_BLOCK];
                start_accumulators(bias, channel, count, accumulators);
                conv2d_shallow_window(input + image * image_size, top, left, weights + channel, count, shape,
                                      accumulators);
                requantize(accumulators, count, channel, scales, range, output + channel);
            }
            output += outputs;
        }
    }
}
