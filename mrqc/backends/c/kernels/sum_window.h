/* sum_window: the sum of what the window at (top, left) of one image holds, every code less the zero point, for
 * `count` channels. Padding adds nothing. */
#ifndef MRQC_SUM_WINDOW_H
#define MRQC_SUM_WINDOW_H

#include <stdint.h>

#include "pool2d_shape.h"
#include "slots/input.h"
#include "tap_range.h"

static inline void sum_window(const input_t *image, int32_t zero_point, int32_t top, int32_t left, int32_t count,
                              const struct pool2d_shape *shape, int32_t *accumulators)
{
    const struct tap_range rows = clip_taps(top, 1, shape->kernel_height, shape->input_height);
    const struct tap_range columns = clip_taps(left, 1, shape->kernel_width, shape->input_width);
    for (int32_t row = rows.first; row < rows.last; row++) {
        for (int32_t column = columns.first; column < columns.last; column++) {
            const input_t *pixel = image + ((top + row) * shape->input_width + left + column) * shape->channels;
            for (int32_t i = 0; i < count; i++) {
                accumulators[i] += load_input(pixel + i) - zero_point;
            }
        }
    }
}

#endif
