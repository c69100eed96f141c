/* start_accumulators: the biases of a block of channels, or 0 where a layer has none. */
#ifndef MRQC_START_ACCUMULATORS_H
#define MRQC_START_ACCUMULATORS_H

#include <stdint.h>
#include <string.h>

#include "slots/accumulator.h"

static inline void start_accumulators(const accumulator_t *bias, int32_t channel, int32_t count,
                                      accumulator_t *accumulators)
{
    for (int32_t i = 0; i < count; i++) {
        accumulators[i] = bias == NULL ? 0 : bias[channel + i];
    }
}

#endif
