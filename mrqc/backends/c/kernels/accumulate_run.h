/* accumulate_run: adds to each of `count` accumulators the dot product of one run of input with the same run of
 * that accumulator's filter. The filters stand one after the other, filter_size apart; the run begins at `offset`.
 *
 * The input is widened to 16 bits once and then read by every filter: compilers have an instruction that multiplies
 * 16-bit numbers and adds the products in pairs, for 8-bit ones they have none. Four filters share each pass.
 *
 * Stack: 512 bytes. */
#ifndef MRQC_ACCUMULATE_RUN_H
#define MRQC_ACCUMULATE_RUN_H

#include <stdint.h>

#include "run_length.h"
#include "slots/accumulator.h"
#include "slots/centre_input.h"
#include "slots/centre_weight.h"
#include "slots/input.h"

static inline void accumulate_run(const input_t *input, int32_t input_zero_point, int32_t length,
                                  const int8_t *filters, int32_t weight_zero_point, int32_t offset,
                                  int32_t filter_size, int32_t count, accumulator_t *accumulators)
{
    int16_t run[RUN_LENGTH];
    for (int32_t start = 0; start < length; start += RUN_LENGTH) {
        const int32_t rest = length - start;
        const int32_t terms = rest < RUN_LENGTH ? rest : RUN_LENGTH;
        const int8_t *filter = filters;
        int32_t o = 0;
        for (int32_t i = 0; i < terms; i++) {
            run[i] = (int16_t)centre_input(load_input(input + start + i), input_zero_point);
        }
        for (; o + 4 <= count; o += 4) {
            const int8_t *run0 = filter + offset + start;
            const int8_t *run1 = run0 + filter_size;
            const int8_t *run2 = run1 + filter_size;
            const int8_t *run3 = run2 + filter_size;
            accumulator_t sum0 = 0;
            accumulator_t sum1 = 0;
            accumulator_t sum2 = 0;
            accumulator_t sum3 = 0;
            for (int32_t i = 0; i < terms; i++) {
                const int32_t value = run[i];
                sum0 += value * centre_weight(run0[i], weight_zero_point);
                sum1 += value * centre_weight(run1[i], weight_zero_point);
                sum2 += value * centre_weight(run2[i], weight_zero_point);
                sum3 += value * centre_weight(run3[i], weight_zero_point);
            }
            accumulators[o] += sum0;
            accumulators[o + 1] += sum1;
            accumulators[o + 2] += sum2;
            accumulators[o + 3] += sum3;
            filter += 4 * filter_size;
        }
        for (; o < count; o++) {
            const int8_t *run0 = filter + offset + start;
            accumulator_t sum = 0;
            for (int32_t i = 0; i < terms; i++) {
                sum += (int32_t)run[i] * centre_weight(run0[i], weight_zero_point);
            }
            accumulators[o] += sum;
            filter += filter_size;
        }
    }
}

#endif
