/* multiply_add_row: accumulators[i] += factor * (weights[i] - zero_point), for a block of at most CHANNEL_BLOCK channels. */
#ifndef MRQC_MULTIPLY_ADD_ROW_H
#define MRQC_MULTIPLY_ADD_ROW_H

#include <stdint.h>

#include "channel_block.h"
#include "slots/accumulator.h"
#include "slots/centre_weight.h"

static inline void multiply_add_row(int32_t factor, const int8_t *weights, int32_t zero_point, int32_t count,
                                    accumulator_t *accumulators)
{
    if (count == CHANNEL_BLOCK) {
        for (int32_t i = 0; i < CHANNEL_BLOCK; i++) {
            accumulators[i] += factor * centre_weight(weights[i], zero_point);
        }
    } else {
        for (int32_t i = 0; i < count; i++) {
            accumulators[i] += factor * centre_weight(weights[i], zero_point);
        }
    }
}

#endif
