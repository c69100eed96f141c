/* mean_pool2d: output = clamp(sum / number) of the codes of each window that lie in the image, rounded half away from
 * zero.
 *
 * input [batch][input_height][input_width][channels], output [batch][output_height][output_width][channels].
 *
 * Stack: 128 bytes. */
#include <stdint.h>

#include "channel_block.h"
#include "pool2d_shape.h"
#include "slots/input.h"
#include "slots/output.h"
#include "sum_window.h"
#include "tap_range.h"

void mean_pool2d(const input_t *input, const struct pool2d_shape *shape, int32_t minimum, int32_t maximum,
                 output_t *output)
{
    const int32_t channels = shape->channels;
    const int32_t pixels = shape->output_height * shape->output_width;
    const int32_t image_size = shape->input_height * shape->input_width * channels;
    for (int32_t image = 0; image < shape->batch; image++) {
        for (int32_t pixel = 0; pixel < pixels; pixel++) {
            const int32_t top = pixel / shape->output_width * shape->stride_height - shape->padding_top;
            const int32_t left = pixel % shape->output_width * shape->stride_width - shape->padding_left;
            const struct tap_range rows = clip_taps(top, 1, shape->kernel_height, shape->input_height);
            const struct tap_range columns = clip_taps(left, 1, shape->kernel_width, shape->input_width);
            const int32_t number = (rows.last - rows.first) * (columns.last - columns.first);
            const int32_t half = number / 2;
            for (int32_t channel = 0; channel < channels; channel += CHANNEL_BLOCK) {
                const int32_t rest = channels - channel;
                const int32_t count = rest < CHANNEL_BLOCK ? rest : CHANNEL_BLOCK;
                int32_t accumulators[CHANNEL_BLOCK] = {0};
                sum_window(input + image * image_size + channel, 0, top, left, count, shape, accumulators);
                for (int32_t i = 0; i < count; i++) {
                    const int32_t sum = accumulators[i];
                    const int32_t mean = (sum < 0 ? sum - half : sum + half) / number;
                    const int32_t raised = mean < minimum ? minimum : mean;
                    store_output(output + channel + i, raised > maximum ? maximum : raised);
                }
            }
            output += channels;
        }
    }
}
