/* rescale: output[i] = requantize(input[i] - input_zero_point). The output may stand where the input stands if its
 * elements are no larger.
 *
 * Stack: 128 bytes. */
#include <stdint.h>

#include "channel_block.h"
#include "code_range.h"
#include "slots/input.h"
#include "slots/output.h"
#include "slots/requantize.h"

void rescale(const input_t *input, int32_t input_zero_point, int32_t size, const scale_t *scales,
             const struct code_range *range, output_t *output)
{
    for (int32_t start = 0; start < size; start += CHANNEL_BLOCK) {
        const int32_t rest = size - start;
        const int32_t count = rest < CHANNEL_BLOCK ? rest : CHANNEL_BLOCK;
        int32_t centred[CHANNEL_BLOCK];
        for (int32_t i = 0; i < count; i++) {
            centred[i] = load_input(input + start + i) - input_zero_point;
        }
        requantize(centred, count, 0, scales, range, output + start);
    }
}
