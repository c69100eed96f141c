/* requantize_multiplier: codes from accumulators by one fixed-point multiplication, the product exact in 64 bits.
 *
 *   output[i] = clamp(round(accumulators[i] * multiplier / 2^shift) + zero_point, minimum, maximum) */
#ifndef MRQC_REQUANTIZE_MULTIPLIER_H
#define MRQC_REQUANTIZE_MULTIPLIER_H

#include "code_range.h"
#include "fixed_point.h"
#include "slots/accumulator.h"
#include "slots/output.h"
#include "slots/round_64.h"

static inline void requantize_multiplier(const accumulator_t *accumulators, int32_t count, int32_t channel,
                                         const struct fixed_point *scales, const struct code_range *range,
                                         output_t *output)
{
    const int64_t multiplier = scales[0].multiplier;
    const int32_t shift = scales[0].shift;
    const int64_t zero_point = range->zero_point;
    const int64_t minimum = range->minimum;
    const int64_t maximum = range->maximum;
    (void)channel;
    for (int32_t i = 0; i < count; i++) {
        const int64_t code = round_64(accumulators[i] * multiplier, shift) + zero_point;
        const int64_t raised = code < minimum ? minimum : code;
        store_output(output + i, (int32_t)(raised > maximum ? maximum : raised));
    }
}

#endif
