/* conv2d_depthwise: conv2d with as many groups as input and output channels: each channel has its own filter.
 *
 * The emitter has laid the filters side by side, as the channels of the input are:
 * weights [kernel_height][kernel_width][channels]. All else is as in conv2d.
 *
 * Stack: 32 accumulators. */
#include <stdint.h>

#include "channel_block.h"
#include "code_range.h"
#include "conv2d_shape.h"
#include "slots/accumulator.h"
#include "slots/centre_input.h"
#include "slots/centre_weight.h"
#include "slots/input.h"
#include "slots/output.h"
#include "slots/requantize.h"
#include "start_accumulators.h"
#include "tap_range.h"

/* accumulators[i] += input[i] * weights[i], both less their zero points, for a block of at most CHANNEL_BLOCK
 * channels. */
static inline void conv2d_depthwise_tap(const input_t *input, int32_t input_zero_point, const int8_t *weights,
                                        int32_t weight_zero_point, int32_t count, accumulator_t *accumulators)
{
    if (count == CHANNEL_BLOCK) {
        for (int32_t i = 0; i < CHANNEL_BLOCK; i++) {
            accumulators[i] += centre_input(load_input(input + i), input_zero_point) *
                               centre_weight(weights[i], weight_zero_point);
        }
    } else {
        for (int32_t i = 0; i < count; i++) {
            accumulators[i] += centre_input(load_input(input + i), input_zero_point) *
                               centre_weight(weights[i], weight_zero_point);
        }
    }
}

/* Adds what the window at (top, left) of one image holds to the accumulators of `count` channels. */
static inline void conv2d_depthwise_window(const input_t *image, int32_t top, int32_t left, const int8_t *weights,
                                           int32_t count, const struct conv2d_shape *shape,
                                           accumulator_t *accumulators)
{
    const int32_t channels = shape->input_channels;
    const struct tap_range rows =
        clip_taps(top, shape->dilation_height, shape->kernel_height, shape->input_height);
    const struct tap_range columns =
        clip_taps(left, shape->dilation_width, shape->kernel_width, shape->input_width);
    for (int32_t row = rows.first; row < rows.last; row++) {
        const int32_t y = top + row * shape->dilation_height;
        for (int32_t column = columns.first; column < columns.last; column++) {
            const int32_t x = left + column * shape->dilation_width;
            conv2d_depthwise_tap(image + (y * shape->input_width + x) * channels, shape->input_zero_point,
                                 weights + (row * shape->kernel_width + column) * channels,
                                 shape->weight_zero_point, count, accumulators);
        }
    }
}

void conv2d_depthwise(const input_t *input, const int8_t *weights, const accumulator_t *bias,
                      const struct conv2d_shape *shape, const scale_t *scales, const struct code_range *range,
                      output_t *output)
{
    const int32_t channels = shape->input_channels;
    const int32_t pixels = shape->output_height * shape->output_width;
    const int32_t image_size = shape->input_height * shape->input_width * channels;
    for (int32_t image = 0; image < shape->batch; image++) {
        for (int32_t pixel = 0; pixel < pixels; pixel++) {
            const int32_t top = pixel / shape->output_width * shape->stride_height - shape->padding_top;
            const int32_t left = pixel % shape->output_width * shape->stride_width - shape->padding_left;
            for (int32_t channel = 0; channel < channels; channel += CHANNEL_BLOCK) {
                const int32_t rest = channels - channel;
                const int32_t count = rest < CHANNEL_BLOCK ? rest : CHANNEL_BLOCK;
                accumulator_t accumulators[CHANNEL_BLOCK];
                start_accumulators(bias, channel, count, accumulators);
                conv2d_depthwise_window(input + image * image_size + channel, top, left, weights + channel,
                                        count, shape, accumulators);
                requantize(accumulators, count, channel, scales, range, output + channel);
            }
            output += channels;
        }
    }
}
