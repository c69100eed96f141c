/* requantize_wide_multiplier: as requantize_multiplier, for what does not provably fit 32 bits before the clamp. */
#ifndef MRQC_REQUANTIZE_WIDE_MULTIPLIER_H
#define MRQC_REQUANTIZE_WIDE_MULTIPLIER_H

#include "code_range.h"
#include "fixed_point.h"
#include "slots/accumulator.h"
#include "slots/output.h"
#include "slots/round_64.h"

static inline void requantize_wide_multiplier(accumulator_t *accumulators, int32_t count, int32_t channel,
                                         const struct fixed_point *scales, const struct code_range *range,
                                         output_t *output)
{
    const int32_t multiplier = scales[0].multiplier;
    const int32_t shift = scales[0].shift;
    const int64_t zero_point = range->zero_point;
    const int64_t minimum = range->minimum;
    const int64_t maximum = range->maximum;
    (void)channel;
    for (int32_t i = 0; i < count; i++) {
        const int64_t code = round_64((int64_t)accumulators[i] * multiplier, shift) + zero_point;
        const int64_t raised = code < minimum ? minimum : code;
        store_output(output + i, (int32_t)(raised > maximum ? maximum : raised));
    }
}

#endif
