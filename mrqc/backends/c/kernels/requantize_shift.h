/* requantize_shift: codes from accumulators by one rounding right shift, all in 32 bits.
 *
 *   output[i] = clamp(round(accumulators[i] / 2^shifts[0]) + zero_point, minimum, maximum)
 *
 * The emitter chooses it where accumulator, rounding term and zero point together provably fit 32 bits. */
#ifndef MRQC_REQUANTIZE_SHIFT_H
#define MRQC_REQUANTIZE_SHIFT_H

#include "code_range.h"
#include "slots/output.h"
#include "slots/round_32.h"

static inline void requantize_shift(int32_t *accumulators, int32_t count, int32_t channel,
                                    const uint8_t *shifts, const struct code_range *range, output_t *output)
{
    const int32_t shift = shifts[0];
    const int32_t zero_point = range->zero_point;
    const int32_t minimum = range->minimum;
    const int32_t maximum = range->maximum;
    (void)channel;
    for (int32_t i = 0; i < count; i++) {
        const int32_t code = round_32(accumulators[i], shift) + zero_point;
        const int32_t raised = code < minimum ? minimum : code;
        store_output(output + i, raised > maximum ? maximum : raised);
    }
}

#endif
