/* requantize_channel_multiplier: as requantize_multiplier, with a multiplier and shift for each output channel.
 *
 *   output[i] = clamp(round(accumulators[i] * multiplier[channel + i] / 2^shift[channel + i]) + zero_point,
 *                     minimum, maximum) */
#ifndef MRQC_REQUANTIZE_CHANNEL_MULTIPLIER_H
#define MRQC_REQUANTIZE_CHANNEL_MULTIPLIER_H

#include "code_range.h"
#include "fixed_point.h"
#include "slots/output.h"
#include "slots/round_64.h"

static inline void requantize_channel_multiplier(int32_t *accumulators, int32_t count, int32_t channel,
                                                 const struct fixed_point *scales,
                                                 const struct code_range *range, output_t *output)
{
    const int32_t zero_point = range->zero_point;
    const int32_t minimum = range->minimum;
    const int32_t maximum = range->maximum;
    for (int32_t i = 0; i < count; i++) {
        const struct fixed_point scale = scales[channel + i];
        accumulators[i] = (int32_t)round_64((int64_t)accumulators[i] * scale.multiplier, scale.shift);
    }
    for (int32_t i = 0; i < count; i++) {
        const int32_t code = accumulators[i] + zero_point;
        const int32_t raised = code < minimum ? minimum : code;
        store_output(output + i, raised > maximum ? maximum : raised);
    }
}

#endif
