/* transpose_conv2d: output = requantize(transposed_convolution(input - input_zero_point, weights - weight_zero_point) +
 * bias). Layouts as in conv2d.
 *
 * Input row y and kernel row i meet in output row y * stride + i * dilation - padding. Seen from the output, only every
 * stride-th tap falls on an input pixel; each that does adds one dot product over the input channels.
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

/* The input row, or column, that tap `tap` brings to `position` in the padded output; -1 if there is none. */
static inline int32_t tap_origin(int32_t position, int32_t tap, int32_t dilation, int32_t stride, int32_t extent)
{
    const int32_t reached = position - tap * dilation;
    if (reached < 0 || reached % stride != 0 || reached / stride >= extent) {
        return -1;
    }
    return reached / stride;
}

/* Adds what the taps bring to one output pixel to the accumulators of `count` filters of one group. */
static inline void transpose_conv2d_pixel(const input_t *image, int32_t row, int32_t column, const int8_t *filters,
                                          int32_t count, const struct conv2d_shape *shape,
                                          accumulator_t *accumulators)
{
    const int32_t channels = shape->input_channels;
    const int32_t depth = channels / shape->groups;
    const int32_t filter_size = shape->kernel_height * shape->kernel_width * depth;
    for (int32_t i = 0; i < shape->kernel_height; i++) {
        const int32_t y =
            tap_origin(row, i, shape->dilation_height, shape->stride_height, shape->input_height);
        for (int32_t j = 0; j < shape->kernel_width && y >= 0; j++) {
            const int32_t x =
                tap_origin(column, j, shape->dilation_width, shape->stride_width, shape->input_width);
            if (x >= 0) {
                accumulate_run(image + (y * shape->input_width + x) * channels, shape->input_zero_point, depth,
                               filters, shape->weight_zero_point, (i * shape->kernel_width + j) * depth,
                               filter_size, count, accumulators);
            }
        }
    }
}

void transpose_conv2d(const input_t *input, const int8_t *weights, const accumulator_t *bias,
                      const struct conv2d_shape *shape, const scale_t *scales, const struct code_range *range,
                      output_t *output)
{
    const int32_t depth = shape->input_channels / shape->groups;
    const int32_t filter_size = shape->kernel_height * shape->kernel_width * depth;
    const int32_t group_outputs = shape->output_channels / shape->groups;
    const int32_t pixels = shape->output_height * shape->output_width;
    const int32_t image_size = shape->input_height * shape->input_width * shape->input_channels;
    for (int32_t image = 0; image < shape->batch; image++) {
        for (int32_t pixel = 0; pixel < pixels; pixel++) {
            const int32_t row = pixel / shape->output_width + shape->padding_top;
            const int32_t column = pixel % shape->output_width + shape->padding_left;
            for (int32_t channel = 0, count; channel < shape->output_channels; channel += count) {
                const int32_t group = channel / group_outputs;
                const int32_t left_in_group = (group + 1) * group_outputs - channel;
                accumulator_t accumulators[CHANNEL_BLOCK];
                count = left_in_group < CHANNEL_BLOCK ? left_in_group : CHANNEL_BLOCK;
                start_accumulators(bias, channel, count, accumulators);
                transpose_conv2d_pixel(input + image * image_size + group * depth, row, column,
                                       weights + channel * filter_size, count, shape, accumulators);
                requantize(accumulators, count, channel, scales, range, output + channel);
            }
            output += shape->output_channels;
        }
    }
}
