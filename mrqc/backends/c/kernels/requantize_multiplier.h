/* requantize_multiplier: codes from accumulators by one fixed-point multiplication, the product exact in 64 bits.
 *
 *   output[i] = clamp(round(accumulators[i] * multiplier / 2^shift) + zero_point, minimum, maximum)
 *
 * The emitter chooses it where the rounded product and the zero point together provably fit 32 bits. Rounding and
 * clamping are two loops, with the accumulators as scratch memory between them: compilers turn the second one into
 * vector instructions, even where there are none for the first. */
#ifndef MRQC_REQUANTIZE_MULTIPLIER_H
#define MRQC_REQUANTIZE_MULTIPLIER_H

#include "code_range.h"
#include "fixed_point.h"
#include "slots/output.h"
#include "slots/round_64.h"

static inline void requantize_multiplier(int32_t *accumulators, int32_t count, int32_t channel,
                                         const struct fixed_point *scales, const struct code_range *range,
                                         output_t *output)
{
    const int32_t multiplier = scales[0].multiplier;
    const int32_t shift = scales[0].shift;
    const int32_t zero_point = range->zero_point;
    const int32_t minimum = range->minimum;
    const int32_t maximum = range->maximum;
    (void)channel;
    for (int32_t i = 0; i < count; i++) {
        accumulators[i] = (int32_t)round_64((int64_t)accumulators[i] * multiplier, shift);
    }
    for (int32_t i = 0; i < count; i++) {
        const int32_t code = accumulators[i] + zero_point;
        const int32_t raised = code < minimum ? minimum : code;
        store_output(output + i, raised > maximum ? maximum : raised);
    }
}

#endif
