/* add: output[i] = requantize(lhs[i] * lhs_multiplier + rhs[i] * rhs_multiplier): both operands on one grid, rounded
 * once. The output may stand where an operand stands whose elements are no smaller.
 *
 * Stack: 256 bytes. */
#include <stdint.h>

#include "channel_block.h"
#include "code_range.h"
#include "slots/accumulator.h"
#include "slots/input.h"
#include "slots/other.h"
#include "slots/output.h"
#include "slots/requantize.h"

void add(const input_t *lhs, int32_t lhs_multiplier, const other_t *rhs, int32_t rhs_multiplier, int32_t size,
         const scale_t *scales, const struct code_range *range, output_t *output)
{
    for (int32_t start = 0; start < size; start += CHANNEL_BLOCK) {
        const int32_t rest = size - start;
        const int32_t count = rest < CHANNEL_BLOCK ? rest : CHANNEL_BLOCK;
        accumulator_t sums[CHANNEL_BLOCK];
        for (int32_t i = 0; i < count; i++) {
            sums[i] = (accumulator_t)load_input(lhs + start + i) * lhs_multiplier +
                      (accumulator_t)load_other(rhs + start + i) * rhs_multiplier;
        }
        requantize(sums, count, 0, scales, range, output + start);
    }
}
