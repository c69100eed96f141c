/* requantize_channel_shift: as requantize_shift, with a shift for each output channel.
 *
 *   output[i] = clamp(round(accumulators[i] / 2^shifts[channel + i]) + zero_point, minimum, maximum) */
#ifndef MRQC_REQUANTIZE_CHANNEL_SHIFT_H
#define MRQC_REQUANTIZE_CHANNEL_SHIFT_H

#include "code_range.h"
#include "slots/output.h"
#include "slots/round_32.h"

static inline void requantize_channel_shift(int32_t *accumulators, int32_t count, int32_t channel,
                                            const uint8_t *shifts, const struct code_range *range,
                                            output_t *output)
{
    const int32_t zero_point = range->zero_point;
    const int32_t minimum = range->minimum;
    const int32_t maximum = range->maximum;
    for (int32_t i = 0; i < count; i++) {
        const int32_t code = round_32(accumulators[i], shifts[channel + i]) + zero_point;
        const int32_t raised = code < minimum ? minimum : code;
        store_output(output + i, raised > maximum ? maximum : raised);
    }
}

#endif
