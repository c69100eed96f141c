/* conv2d: output = requantize(convolution(input - input_zero_point, weights - weight_zero_point) + bias), for any
 * kernel, stride, dilation and grouping. Padding contributes nothing.
 *
 * input [batch][input_height][input_width][input_channels],
 * weights [output_channels][kernel_height][kernel_width][input_channels / groups], bias [output_channels] or NULL,
 * output [batch][output_height][output_width][output_channels].
 *
 * The neighbouring taps of a row are neighbours in memory too, in the input and in the weights, unless dilation or
 * groups set them apart: a row of taps is then one long dot product.
 *
 * Stack: 32 accumulators. */
#include <stdint.h>

#include "accumulate_run.h"
#include "channel_block.h"
#include "code_range.h"
#include "conv2d_shape.h"
#include "slots/accumulator.h"
#include "slots/input.h"
#include "slots/output.h"
#include "slots/requantize.h"
#include "start_accumulators.h"
#include "tap_range.h"

/* Adds what the window at (top, left) of one image holds to the accumulators of `count` filters of one group, the
 * input channels of which start at `depth_start`. */
static inline void conv2d_window(const input_t *image, int32_t top, int32_t left, int32_t depth_start,
                                 const int8_t *filters, int32_t count, const struct conv2d_shape *shape,
                                 accumulator_t *accumulators)
{
    const int32_t channels = shape->input_channels;
    const int32_t depth = channels / shape->groups;
    const int32_t filter_size = shape->kernel_height * shape->kernel_width * depth;
    const int32_t contiguous = depth == channels && shape->dilation_width == 1;
    const struct tap_range rows =
        clip_taps(top, shape->dilation_height, shape->kernel_height, shape->input_height);
    const struct tap_range columns =
        clip_taps(left, shape->dilation_width, shape->kernel_width, shape->input_width);
    const int32_t runs = contiguous ? (columns.first < columns.last ? 1 : 0) : columns.last - columns.first;
    const int32_t run_length = contiguous ? (columns.last - columns.first) * depth : depth;
    for (int32_t row = rows.first; row < rows.last; row++) {
        const int32_t y = top + row * shape->dilation_height;
        for (int32_t run = 0; run < runs; run++) {
            const int32_t column = columns.first + run;
            const int32_t x = left + column * shape->dilation_width;
            accumulate_run(image + (y * shape->input_width + x) * channels + depth_start,
                           shape->input_zero_point, run_length, filters, shape->weight_zero_point,
                           (row * shape->kernel_width + column) * depth, filter_size, count, accumulators);
        }
    }
}

void conv2d(const input_t *input, const int8_t *weights, const accumulator_t *bias, const struct conv2d_shape *shape,
            const scale_t *scales, const struct code_range *range, output_t *output)
{
    const int32_t depth = shape->input_channels / shape->groups;
    const int32_t filter_size = shape->kernel_height * shape->kernel_width * depth;
    const int32_t group_outputs = shape->output_channels / shape->groups;
    const int32_t pixels = shape->output_height * shape->output_width;
    const int32_t image_size = shape->input_height * shape->input_width * shape->input_channels;
    for (int32_t image = 0; image < shape->batch; image++) {
        for (int32_t pixel = 0; pixel < pixels; pixel++) {
            const int32_t top = pixel / shape->output_width * shape->stride_height - shape->padding_top;
            const int32_t left = pixel % shape->output_width * shape->stride_width - shape->padding_left;
            for (int32_t channel = 0, count; channel < shape->output_channels; channel += count) {
                const int32_t group = channel / group_outputs;
                const int32_t left_in_group = (group + 1) * group_outputs - channel;
                accumulator_t accumulators[CHANNEL_BLOCK];
                count = left_in_group < CHANNEL_BLOCK ? left_in_group : CHANNEL_BLOCK;
                start_accumulators(bias, channel, count, accumulators);
                conv2d_window(input + image * image_size, top, left, group * depth,
                              weights + channel * filter_size, count, shape, accumulators);
                requantize(accumulators, count, channel, scales, range, output + channel);
            }
            output += shape->output_channels;
        }
    }
}
